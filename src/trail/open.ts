/** @node `openTrail`: the trail as a sink. */
import { join } from 'node:path'
import { engine } from '#engine'
import { utf8 } from '../crypto/bytes.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import type { Notice } from '../model/sink.ts'
import { type FileSystem, nodeFileSystem } from '../storage/filesystem.ts'
import { checkFilesystem, filesystemOf } from '../storage/filesystem-type.ts'
import { acquireLock, type Lock } from '../storage/lock.ts'
import { checkPrivate, makePrivateFolder } from '../storage/private.ts'
import { replaceFile } from '../storage/replace.ts'
import { openAnchoring } from './anchors/anchoring.ts'
import { formatCheckpoint } from './checkpoint.ts'
import { type Layout, layoutOf, listSegments } from './layout.ts'
import { writeRanges } from './ranges/measure.ts'
import { proveEntry } from './receipts/prove.ts'
import { compressSegment } from './retention/compress.ts'
import { pruneTrail } from './retention/prune.ts'
import type { Trail, TrailOptions } from './trail.ts'
import { writeTiles } from './tree/tiles.ts'
import { type Budget, openBudget, unlimited } from './writing/budget.ts'
import { foundAbout, replaceAbout } from './writing/founding.ts'
import { openKeys } from './writing/handover.ts'
import { openLedger } from './writing/ledger.ts'
import { collectNotices, type Notices } from './writing/notices.ts'
import { checkOptions, checkSigner } from './writing/options.ts'
import { findTrail, mendTrail } from './writing/recover.ts'
import { isFullDisk } from './writing/reserve.ts'
import { openUpkeep } from './writing/upkeep.ts'
import { openWriter } from './writing/writer.ts'

/**
 * Opens the trail for writing, or makes it. What a crash tore is cut off and kept (`notices` tell); a trail that is
 * damaged otherwise is refused.
 *
 * Errors: `INVALID_INPUT` (options, another signer or origin than the trail's, a file system or mode that is not safe),
 * `LOCKED`, `INTERNAL` (damage), `ROLLED_BACK` (it ends before `anchor`), `PROVIDER_UNAVAILABLE` (disk).
 *
 * @example
 * ```ts
 * const trail = await openTrail({ path: './audit', signer: local.auditSigner() })
 * const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
 * ```
 */
export async function openTrail(options: TrailOptions): Promise<Trail> {
  checkOptions(options)
  const { path, instance = 'main', allowFilesystem = [], takeOver = false } = options
  const { clock = systemClock, fs = nodeFileSystem } = options
  const layout = layoutOf(join(path, instance))
  await makePrivateFolder(fs, layout.segments)
  const filesystem = await filesystemOf(fs, layout.folder)
  const warnings = [checkFilesystem(filesystem, allowFilesystem).warning, checkPrivate(fs, layout.folder)]
  const lock = await acquireLock(fs, layout.folder, { takeOver, clock })
  try {
    return await openLocked({ options, fs, clock, layout, lock, filesystem, warnings: warnings.filter(isText) })
  } catch (error) {
    await lock.release()
    throw error
  }
}

interface Opening {
  readonly options: TrailOptions
  readonly fs: FileSystem
  readonly clock: Clock
  readonly layout: Layout
  readonly lock: Lock
  readonly filesystem: string
  readonly warnings: readonly string[]
}

async function openLocked({ options, fs, clock, layout, lock, filesystem, warnings }: Opening): Promise<Trail> {
  const { check } = lock
  const { anchor, compressSealed = false, pin, witnesses = [], segmentBytes = 64 * 1024 * 1024 } = options
  const named = await foundAbout(fs, layout, { options, clock })
  const recovering = { fs, engine, layout, about: named, ...(anchor && { anchor }) }
  const found = await findTrail(recovering)
  const { about, tree, told, first } = found
  const { origin, minRetentionDays } = about
  const probe = formatCheckpoint({ origin, size: tree.size, root: tree.root() })
  const keys = openKeys({ engine, about, signer: options.signer, probe, save: (now) => replaceAbout(fs, layout, now) })
  // From here on the trail is changed, and not before it is known to be this signer's.
  if (about !== named) await keys.catchUp()
  const { resume, sealed, ...mended } = await mendTrail(recovering, found)
  const checkpoint = found.note ?? found.published ?? keys.sign(probe, 'one')
  // From the start there is a checkpoint, so that one that is missing later was taken away.
  if (found.published === undefined) await replaceFile(fs, layout.checkpoint, utf8(checkpoint))
  const published = found.published ?? checkpoint

  const cuts = mended.cuts.map((cut): Notice => ({ action: 'audit.recovered', details: cut }))
  const notices = collectNotices(keys.notice === undefined ? cuts : [...cuts, keys.notice])
  const budget = await budgetOf(options, { fs, layout, notices })
  const anchoring = await openAnchoring({ fs, engine, layout, clock, pin, witnesses, published, check })
  const upkeep = openUpkeep({ fs, clock, check, follow })
  const writer = await openWriter({
    fs,
    layout,
    clock,
    origin,
    keys,
    tree,
    checkpoint,
    published,
    segmentBytes,
    resume,
    check,
    onWritten(entries, bytes) {
      told.written(entries)
      budget.add(bytes)
    },
    onSeal: upkeep.sealed,
    onCut: (cut) => notices.tell({ action: 'audit.recovered', details: cut }),
    onPublished: anchoring.published,
  })
  const sizeAtOpen = String(writer.size)
  let prunedBelow = first
  const ledger = openLedger({
    fs,
    engine,
    layout,
    keystores: told.keystores,
    receipt: writer.receipt,
    prunedBelow: () => prunedBelow,
    ...(anchor && found.anchorRoot && { known: { size: anchor.size, root: found.anchorRoot } }),
  })
  anchoring.published(published)
  if (sealed > first) upkeep.sealed(sealed)
  let closing: Promise<void> | undefined

  const ranged = new Set<bigint>()

  /** Tiles and ranges first: they are made from the segments as they stand. */
  async function follow(changing: FileSystem, size: bigint): Promise<void> {
    await writeTiles({ fs: changing, engine, layout, size })
    const finished = (await listSegments(fs, layout)).filter((segment) => segment.first < size)
    await writeRanges({ fs: changing, layout, segments: finished, size, known: ranged })
    if (compressSealed) for (const segment of finished) await compressSegment({ fs: changing, layout, segment, check })
    await budget.recount()
  }

  async function close(): Promise<void> {
    await writer.finish()
    try {
      await writer.publish()
      await anchoring.close()
    } finally {
      await upkeep.close()
      await writer.close()
      await lock.release().catch((error) => {
        // Who comes next finds that nobody listens any more: on a full disk that must do.
        if (!isFullDisk(error)) throw error
      })
    }
  }

  return {
    name: 'trail',
    durability: 'synced',
    path: layout.folder,
    origin,
    get vkey() {
      return keys.vkey
    },
    get size() {
      return writer.size
    },
    get prunedBelow() {
      return prunedBelow
    },
    facts: {
      filesystem,
      size: sizeAtOpen,
      vkey: keys.vkey,
      ...(minRetentionDays !== undefined && { minRetentionDays }),
      ...(warnings.length > 0 && { warnings }),
    },
    notices: notices.early,
    connect: notices.connect,
    get full() {
      return writer.full ?? budget.full
    },
    ledgers: () => [ledger],
    async write(entries) {
      return entries.length === 0 ? writer.receipt() : writer.write(entries)
    },
    openIntents: async () => told.intents.open,
    async rotateSigner(next) {
      writer.checkOpen()
      checkSigner(next)
      const { log } = notices
      if (log === undefined)
        throw new KmsError(
          'INVALID_INPUT',
          'nobody can write the entry: give the trail to a KmsClient or an audit first',
        )
      keys.handOver(next)
      if (keys.notice !== undefined) await log.note(keys.notice)
    },
    async prune(request) {
      writer.checkOpen()
      return upkeep.alone(async (changing) => {
        const { log } = notices
        const { seal, publish } = writer
        const writing = { log, seal, publish, check }
        try {
          return await pruneTrail({ fs: changing, engine, layout, clock, about: keys.about, ...writing }, request)
        } finally {
          prunedBelow = (await listSegments(fs, layout))[0]?.first ?? prunedBelow
          await budget.recount()
        }
      })
    },
    async proveEntry(eventID, { archive } = {}) {
      await writer.publish()
      return proveEntry(layout.folder, eventID, { fs, ...(archive !== undefined && { archive }) })
    },
    async pin() {
      await writer.publish()
      return anchoring.pin()
    },
    health: () => ({
      problems: [writer.problem, upkeep.problem, anchoring.problem].filter(isText),
      witnesses: anchoring.witnesses(),
    }),
    flush: writer.publish,
    close() {
      closing ??= close()
      return closing
    },
  }
}

interface Budgeting {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly notices: Notices
}

async function budgetOf({ budgetBytes }: TrailOptions, { fs, layout, notices }: Budgeting): Promise<Budget> {
  if (budgetBytes === undefined) return unlimited
  const onLow = (usedBytes: number) => notices.tell({ action: 'audit.space_low', details: { usedBytes, budgetBytes } })
  return openBudget({ fs, layout, budgetBytes, onLow })
}

function isText(value: string | undefined): value is string {
  return value !== undefined
}
