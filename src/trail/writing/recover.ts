/** @node What openTrail finds: the trail so far, set in order after a crash, or refused when it is damaged. */
import { equal } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import type { Receipt } from '../../model/sink.ts'
import { type FileSystem, fileError, statusOf } from '../../storage/filesystem.ts'
import type { About } from '../about.ts'
import { type Layout, listSegments, type Segment } from '../layout.ts'
import { type Finding, type Replayed, replaySegment } from '../replay.ts'
import { openHashes, treeAt } from '../tree/hashes.ts'
import { emptyTree, type Tree } from '../tree/tree.ts'
import { type Cut, cutSegment, rewriteSegment, untoldCuts } from './quarantine.ts'
import { collectTold, type Told } from './told.ts'
import { afterHandover, trustedKeys } from './trusted.ts'
import { readWatermark } from './watermark.ts'

/** The trail as it stands on the disk, up to its last good commit line. */
export interface Found {
  readonly tree: Tree
  /** As trail.json should say: a crash may have come before it was written. */
  readonly about: About
  /** The checkpoint that is published now, and how many entries it covers. */
  readonly published: string | undefined
  readonly covered: bigint
  /** Signed checkpoint of the last commit line; undefined if there is none. */
  readonly note: string | undefined
  readonly told: Told
  /** Index of the first entry that is still there. */
  readonly first: bigint
  /** Root at the size of the anchor that was given. */
  readonly anchorRoot?: Uint8Array
  readonly last: { readonly segment: Segment; readonly replayed: Replayed } | undefined
}

/** What is left to go on from. */
export interface Mended {
  /** The last segment, when the trail was closed in good order and it may go on. */
  readonly resume: Segment | undefined
  /** What was cut off, now or earlier, and no entry tells of. */
  readonly cuts: readonly Cut[]
  /** Nothing is added to the segments below this index any more. */
  readonly sealed: bigint
}

export interface RecoverOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly about: About
  /** Where the trail stood when the keystore was changed last: nothing is cut below. */
  readonly anchor?: Receipt
}

/**
 * Goes through all segments, and changes nothing. A torn tail is what a crash leaves of one batch; anything else that is not
 * as it was signed is damage: `INTERNAL`. A trail that is in good order but ends before `anchor` was taken back:
 * `ROLLED_BACK`.
 */
export async function findTrail(options: RecoverOptions): Promise<Found> {
  const { engine, about, anchor } = options
  const found = await replayAll(options)
  const { tree, told, last, note } = found
  const torn = last !== undefined && last.replayed.tailBytes > 0
  if (torn && last.segment.compressed) throw damagedAt(last.replayed.finding)
  if (anchor !== undefined && anchor.origin === about.origin && tree.size < anchor.size) {
    if (torn) throw damagedAt(last.replayed.finding)
    if (!told.keystores.accepts(anchor)) throw takenBack(tree.size, anchor)
  }
  if (note === undefined) return found
  return { ...found, about: afterHandover(engine, about, { size: tree.size, note, entries: told.latest }) }
}

/** Cuts a torn tail into `quarantine/`, and makes what stands before it durable. Errors: `PROVIDER_UNAVAILABLE`. */
export async function mendTrail({ fs, engine, layout }: RecoverOptions, found: Found): Promise<Mended> {
  const { tree, told, last, covered } = found
  if (last === undefined || last.segment.compressed)
    return { resume: undefined, sealed: tree.size, cuts: await untold(fs, layout, told) }
  const { segment, replayed } = last
  const cut = await cutSegment({ fs, engine, layout, segment, keep: replayed.bytes, how: 'shorten' })
  await settle(fs, layout, segment)
  const isClean = cut === undefined && tree.size === covered
  return {
    resume: isClean ? segment : undefined,
    sealed: isClean ? segment.first : tree.size,
    cuts: await untold(fs, layout, told, cut),
  }
}

async function replayAll({ fs, engine, layout, about, anchor }: RecoverOptions): Promise<Found> {
  const segments = await listSegments(fs, layout)
  const trusted = trustedKeys(engine, about)
  const watermark = await readWatermark(fs, layout, trusted)
  if (watermark.state === 'wrong') throw damage(watermark.problem)
  if (watermark.state === 'missing' && segments.length > 0) throw damage('the checkpoint file is missing')
  const published = watermark.state === 'good' ? watermark : undefined
  const reached = published?.checkpoint.size ?? 0n

  const told = collectTold(about.origin)
  const first = segments[0]?.first ?? 0n
  let tree = first === 0n ? emptyTree(engine) : await treeBefore({ fs, engine, layout, size: first })
  let last: Found['last']
  let note: string | undefined
  let anchorRoot: Uint8Array | undefined
  for (const segment of segments) {
    if (last !== undefined && last.replayed.tailBytes > 0) throw damagedAt(last.replayed.finding)
    if (segment.first !== tree.size) throw damage(`a segment is missing before ${segment.name}`)
    const replayed = await replaySegment({
      fs,
      segment,
      origin: about.origin,
      tree,
      onEntry: told.seen,
      onCommit(size, root) {
        told.committed()
        if (size === anchor?.size) anchorRoot = root.slice()
        if (size === reached && !equal(root, published?.checkpoint.root ?? root))
          throw damage('the checkpoint file is not of these entries')
      },
    })
    if (replayed.damaged) throw damagedAt(replayed.finding)
    last = { segment, replayed }
    tree = replayed.tree
    note = replayed.note ?? note
  }
  // A root is checked against each commit line; the signature of the last one stands for all before it.
  if (note !== undefined && !('text' in trusted.open(note)))
    throw damage('the last commit line is not signed by the key')
  if (tree.size < reached)
    throw last?.replayed.finding ? damagedAt(last.replayed.finding) : damage(`it ends before entry ${reached - 1n}`)
  if (first > told.prunedBelow) throw damage(`a segment is missing before ${segments[0]?.name}`)
  return {
    tree,
    about,
    told,
    published: published?.note,
    covered: reached,
    last,
    note,
    first,
    ...(anchorRoot && { anchorRoot }),
  }
}

/** What stands for the entries that were pruned. The roots signed after them show whether it is right. */
async function treeBefore(
  options: Pick<RecoverOptions, 'fs' | 'engine' | 'layout'> & { readonly size: bigint },
): Promise<Tree> {
  try {
    return await treeAt(options.engine, await openHashes(options), options.size)
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INTERNAL')
      throw damage(`entries are missing before ${options.size}, and the tiles do not stand for them: ${error.message}`)
    throw error
  }
}

/** A crash may have come after the cut and before the entry that tells of it. */
async function untold(fs: FileSystem, layout: Layout, told: Told, cut?: Cut): Promise<readonly Cut[]> {
  // The same bytes may have been cut before, and told.
  return untoldCuts(fs, layout, (file) => file !== cut?.file && told.isQuarantineTold(file))
}

/** A killed writer's last batch may stand in memory only; it counts from here on, so it goes to the disk first. */
async function settle(fs: FileSystem, layout: Layout, segment: Segment): Promise<void> {
  if (statusOf(fs, segment.path) === undefined) return
  if (!(await syncs(fs, segment))) await rewriteSegment(fs, segment)
  await fs.syncFolder(layout.segments).catch((error) => {
    throw fileError('sync', segment.path, error)
  })
}

/** False when it failed: the same sync again could succeed without having written. */
async function syncs(fs: FileSystem, segment: Segment): Promise<boolean> {
  const file = await fs.open(segment.path, 'append').catch((error) => {
    throw fileError('open', segment.path, error)
  })
  try {
    await file.sync()
    return true
  } catch {
    // Whatever it was, the file is written anew, and that fails with a reason of its own.
    return false
  } finally {
    await file.close().catch(() => undefined)
  }
}

function takenBack(size: bigint, anchor: Receipt): KmsError {
  return new KmsError(
    'ROLLED_BACK',
    `the trail ends after ${size} entries, but the keystore was changed when it had ${anchor.size}: put the newest trail back, or open it without anchor and accept the loss with rebind`,
  )
}

function damagedAt(finding: Finding | undefined): KmsError {
  if (finding === undefined) return damage('entries are missing')
  const { segment, line, index, problem } = finding
  return damage(`${segment} line ${line}, entry ${index}: ${problem}`)
}

function damage(problem: string): KmsError {
  return new KmsError('INTERNAL', `the trail is damaged and not written to; it can be read and verified: ${problem}`)
}
