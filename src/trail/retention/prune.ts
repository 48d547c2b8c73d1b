/**
 * @node Retention. The order is the safety: the archive is on the disk, the hashes are kept as tiles, the entry that says so
 * is accepted, and only then segments go, oldest first. A crash at any point leaves a trail that verifies, and the next
 * prune goes on.
 */
import { basename } from 'node:path'
import { equal } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import type { Clock } from '../../model/clock.ts'
import type { EntryDetails, EntryReason } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import type { SinkLog } from '../../model/sink.ts'
import { capText } from '../../model/text.ts'
import { type FileSystem, fileError, removeIfThere } from '../../storage/filesystem.ts'
import type { About } from '../about.ts'
import { blocksOf } from '../blocks.ts'
import { compressedAt, type Layout, listSegments, type Segment, segmentAt } from '../layout.ts'
import { rangesPath } from '../ranges/ranges.ts'
import { createdAtIn, linesIn } from '../reading/entry-line.ts'
import { openHashes, rootAt } from '../tree/hashes.ts'
import { writeTiles } from '../tree/tiles.ts'
import { checkArchivePath, writeArchive } from './archive-write.ts'
import { type Droppable, findDroppable } from './droppable.ts'

export interface PruneRequest {
  /** Age that every dropped entry has reached: `400d`, or whole days, at least 1. Never below the trail's `minRetentionDays`. */
  readonly olderThan: string | number
  /** A new file, outside the trail's folder, for the dropped lines; gzip when its name ends in `.gz`. Without it they are gone. */
  readonly archive?: string
  /** Only tell what would be dropped. */
  readonly dryRun?: boolean
  /** Stands in the entry. */
  readonly reason?: EntryReason
}

export interface Pruned {
  /** Entries from here up to, not including, `prunedBelow` were dropped; the same when there was nothing to drop. */
  readonly prunedFrom: bigint
  readonly prunedBelow: bigint
  readonly entries: bigint
  /** Bytes of their lines, commit lines included. */
  readonly bytes: number
  readonly segments: number
  readonly archive?: string
  /** Of the file as it is, hex. */
  readonly archiveSha256?: string
  readonly dryRun: boolean
}

export interface PruneOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly clock: Clock
  /** As trail.json says now. */
  readonly about: About
  /** Undefined until an audit has taken the trail. */
  readonly log: SinkLog | undefined
  /** Throws when this process may no longer write. */
  readonly check: () => void
  /** Has the next batch begin another segment. */
  readonly seal?: () => void
  /** Publishes the newest checkpoint: of one that covers less than what is dropped, nobody can tell whether it is of this trail. */
  readonly publish?: () => Promise<void>
}

/**
 * Drops whole segments whose entries are all older than `olderThan`, and keeps their hashes. Never the last segment, and
 * none from an open intent on. One at a time, and not while tiles are made or a segment is compressed; entries may be
 * written meanwhile.
 *
 * Errors: `INVALID_INPUT` (an age below the minimum, a file in the way, no audit to write the entry), `AUDIT_REFUSED` (the
 * entry was not accepted: nothing is dropped), `INTERNAL` (what would go is damaged: nothing is dropped),
 * `PROVIDER_UNAVAILABLE` (disk; run it again).
 */
export async function pruneTrail(options: PruneOptions, request: PruneRequest): Promise<Pruned> {
  if (typeof request !== 'object' || request === null)
    throw new KmsError('INVALID_INPUT', "prune takes one object, such as { olderThan: '400d' }")
  const { fs, engine, layout, clock, about } = options
  const { archive, dryRun = false } = request
  const reason = reasonIn(request)
  const days = daysOf(about, request.olderThan)
  if (archive !== undefined) checkArchivePath(layout, archive)
  const log = dryRun ? undefined : connected(options)

  if (!dryRun) await sealOld(options, days)
  const found = await findDroppable({ fs, engine, layout, about, before: clock.now() - days * dayMs })
  if (found === undefined) return { ...(await nothingOf(options)), dryRun }
  const { from: prunedFrom, below: prunedBelow, bytes, segments } = found
  const told = { prunedFrom, prunedBelow, entries: prunedBelow - prunedFrom, bytes, segments: segments.length, dryRun }
  if (log === undefined) return told

  await keepHashes(options, found)
  const archived = archive === undefined ? {} : await archiveOf(options, { archive, found })
  await log.note({
    action: 'audit.pruned',
    details: detailsOf(about, { found, days, archived }),
    ...(reason !== undefined && { reason }),
  })
  // Until here the clock may have stepped back, and a verifier goes by what the entry tells.
  if (clock.now() - found.newestAt < (about.minRetentionDays ?? 0) * dayMs) throw tooYoung(about)
  await options.publish?.()
  for (const segment of segments) await removeSegment(options, segment)
  return { ...told, ...archived }
}

const dayMs = 86_400_000

function daysOf(about: About, olderThan: string | number): number {
  const days = typeof olderThan === 'number' ? olderThan : Number(/^(\d{1,6})d$/.exec(olderThan)?.[1])
  if (!Number.isSafeInteger(days) || days < 1 || days > 999_999)
    throw new KmsError('INVALID_INPUT', "olderThan must be whole days, at least 1, such as '400d'")
  const { minRetentionDays: least = 0 } = about
  if (days < least)
    throw new KmsError('INVALID_INPUT', `this trail keeps every entry for at least ${least} days: olderThan is below`)
  return days
}

/** As every text of a caller's it is capped. */
function reasonIn({ reason }: PruneRequest): EntryReason | undefined {
  if (reason === undefined) return undefined
  const { code, ticket } = reason
  if (typeof code !== 'string' || code === '' || (ticket !== undefined && typeof ticket !== 'string'))
    throw new KmsError('INVALID_INPUT', 'reason must be { code, ticket? }, both text')
  return { code: capText(code, longestReason), ...(ticket !== undefined && { ticket: capText(ticket, longestReason) }) }
}

const longestReason = 128

function connected({ log }: PruneOptions): SinkLog {
  if (log !== undefined) return log
  throw new KmsError(
    'INVALID_INPUT',
    'nobody can write that entries are dropped: give the trail to a KmsClient or an audit first',
  )
}

function tooYoung({ minRetentionDays }: About): KmsError {
  return new KmsError(
    'INVALID_INPUT',
    `the clock stepped back, and the newest entry is no longer ${minRetentionDays} days old: nothing is dropped`,
  )
}

/**
 * Segments end by size. Where little is written one would hold years and never be old enough whole, so it ends here when it
 * spans a tenth of the age at which entries go.
 */
async function sealOld({ fs, layout, clock, seal }: PruneOptions, days: number): Promise<void> {
  const last = (await listSegments(fs, layout)).at(-1)
  if (seal === undefined || last === undefined) return
  const began = Date.parse((await firstCreatedAt(fs, last)) ?? '')
  if (clock.now() - began > (days * dayMs) / 10) seal()
}

async function firstCreatedAt(fs: FileSystem, { path }: Segment): Promise<string | undefined> {
  for await (const block of blocksOf(fs, path)) for (const line of linesIn(block)) return createdAtIn(block.bytes, line)
  return undefined
}

/** Writes the tiles that stand for what goes, and reads them back up to the root that was signed. */
async function keepHashes({ fs, engine, layout }: PruneOptions, { below, tree }: Droppable): Promise<void> {
  await writeTiles({ fs, engine, layout, size: below, partial: true })
  const hashes = await openHashes({ fs, engine, layout, size: below })
  if (equal(await rootAt(engine, hashes, below), tree.root())) return
  throw new KmsError(
    'INTERNAL',
    `the tiles are not those of the entries, and nothing is dropped: remove ${layout.folder}/tile, it is made again`,
  )
}

async function nothingOf({ fs, layout }: PruneOptions): Promise<Omit<Pruned, 'dryRun'>> {
  const first = (await listSegments(fs, layout))[0]?.first ?? 0n
  return { prunedFrom: first, prunedBelow: first, entries: 0n, bytes: 0, segments: 0 }
}

interface Archiving {
  readonly archive: string
  readonly found: Droppable
}

type Archived = Pick<Pruned, 'archive' | 'archiveSha256'>

async function archiveOf({ fs, about }: PruneOptions, archiving: Archiving): Promise<Archived> {
  const { archive, found } = archiving
  const { from, below, segments, before } = found
  const header = { origin: about.origin, from, below, vkeys: about.vkeys, peaks: before.peaks() }
  return { archive, archiveSha256: await writeArchive({ fs, path: archive, header, segments }) }
}

interface Told {
  readonly found: Droppable
  readonly days: number
  readonly archived: Archived
}

function detailsOf({ minRetentionDays, vkeys }: About, { found, days, archived }: Told): EntryDetails {
  const { archive, archiveSha256 } = archived
  const vkey = vkeys.at(-1)?.vkey
  return {
    // Of two trails behind one audit each hears of the other's.
    ...(vkey !== undefined && { vkey }),
    prunedFrom: String(found.from),
    prunedBelow: String(found.below),
    newestAt: new Date(found.newestAt).toISOString(),
    olderThanDays: days,
    ...(minRetentionDays !== undefined && { minRetentionDays }),
    ...(archive !== undefined && { archive: basename(archive) }),
    ...(archiveSha256 !== undefined && { archiveSha256 }),
  }
}

/** Synced one by one: a power cut must not take a later segment and leave an earlier one. */
async function removeSegment({ fs, layout, check }: PruneOptions, { first }: Segment): Promise<void> {
  check()
  // Before what they are of: they save time only as long as it is there.
  await removeIfThere(fs, rangesPath(layout, first))
  // The compressed one first: it counts only where there is no plain one, and may be unfinished.
  await removeIfThere(fs, compressedAt(layout, first).path)
  await removeIfThere(fs, segmentAt(layout, first).path)
  await fs.syncFolder(layout.segments).catch((error) => {
    throw fileError('sync', layout.segments, error)
  })
}
