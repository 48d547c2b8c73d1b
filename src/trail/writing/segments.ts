/** @node Appending batches to segment files: when one ends and the next begins, and what happens after a failure. */
import type { Engine } from '../../crypto/engine.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { type AppendFile, openAppend } from '../../storage/append.ts'
import { type FileSystem, removeIfThere, statusOf } from '../../storage/filesystem.ts'
import { type Layout, type Segment, segmentAt } from '../layout.ts'
import { type Cut, cutSegment } from './quarantine.ts'
import { isFullDisk } from './reserve.ts'

export interface Segments {
  /** Resolves when `bytes`, whose first entry has index `first`, are on the disk. One at a time. */
  append(bytes: Uint8Array, first: bigint): Promise<void>
  /** Has the next append begin another segment. */
  end(): void
  close(): Promise<void>
}

export interface SegmentsOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly clock: Clock
  /** A segment that has grown to this many bytes is followed by another. */
  readonly segmentBytes: number
  /** The last segment, if it was left in good order and may go on. */
  readonly resume?: Segment
  /** A segment is finished: nothing is added to it any more. */
  readonly onSeal: () => void
  /** What a failed append had left was cut off. */
  readonly onCut: (cut: Cut) => void
}

const firstDelayMs = 100
const longestDelayMs = 5000

/** A segment that failed. What was acknowledged stays; what followed is cut before anything else is written. */
interface Broken {
  readonly segment: Segment
  /** Undefined once it was seen to be the file that failed: cutting gives it another. */
  readonly inode: bigint | undefined
  readonly keep: number
  readonly how: 'shorten' | 'rewrite'
}

/** Errors of `append`: `PROVIDER_UNAVAILABLE`, also while it waits before the next attempt to recover; `INTERNAL`. */
export async function openSegments(options: SegmentsOptions): Promise<Segments> {
  const { fs, engine, layout, clock, segmentBytes, onSeal, onCut } = options
  let open = options.resume === undefined ? undefined : await goOn(fs, options.resume)
  let broken: Broken | undefined
  let ending = false
  // The first attempt after a success that fails is followed by another at once, the next ones by longer and longer waits.
  let delayMs = 0
  let notBefore = Number.NEGATIVE_INFINITY
  let appending: Promise<void> = Promise.resolve()

  // After a failed sync the kernel may show bytes that are not on the disk (and call a second sync a success), so what is
  // there is not asked. The batch was not acknowledged: it is cut, and written again when its entries come again.
  async function cut({ segment, inode, keep, how }: Broken): Promise<void> {
    checkStill(fs, { segment, inode, keep })
    broken = { segment, inode: undefined, keep, how }
    const kept = await cutSegment({ fs, engine, layout, segment, keep, how })
    broken = undefined
    if (kept !== undefined) onCut(kept)
  }

  async function seal(): Promise<void> {
    const finished = open
    open = undefined
    ending = false
    // What it holds is synced: how it closes changes nothing.
    await finished?.file.close().catch(ignore)
    onSeal()
  }

  async function write(bytes: Uint8Array, first: bigint): Promise<void> {
    if (broken !== undefined) await cut(broken)
    if (open !== undefined && (ending || open.file.size >= segmentBytes)) await seal()
    open ??= await begin(fs, layout, first)
    const { segment, file, inode } = open
    const keep = file.size
    try {
      await file.append(bytes)
    } catch (error) {
      broken = { segment, inode, keep, how: isFullDisk(error) ? 'shorten' : 'rewrite' }
      open = undefined
      await file.close().catch(ignore)
      throw error
    }
  }

  async function attempt(bytes: Uint8Array, first: bigint): Promise<void> {
    if (clock.monotonic() < notBefore)
      throw new KmsError(
        'PROVIDER_UNAVAILABLE',
        `${layout.segments} failed: the next attempt is made within ${delayMs} ms`,
      )
    try {
      await write(bytes, first)
    } catch (error) {
      notBefore = clock.monotonic() + delayMs
      delayMs = delayMs === 0 ? firstDelayMs : Math.min(2 * delayMs, longestDelayMs)
      throw error
    }
    delayMs = 0
    notBefore = Number.NEGATIVE_INFINITY
  }

  return {
    append(bytes, first) {
      appending = attempt(bytes, first)
      return appending
    },
    end() {
      ending = true
    },
    async close() {
      await appending.catch(ignore)
      const last = open
      open = undefined
      await last?.file.close().catch(ignore)
    },
  }
}

interface OpenSegment {
  readonly segment: Segment
  readonly file: AppendFile
  readonly inode: bigint | undefined
}

async function begin(fs: FileSystem, layout: Layout, first: bigint): Promise<OpenSegment> {
  const segment = segmentAt(layout, first)
  const found = statusOf(fs, segment.path)
  if (found !== undefined && (found.kind !== 'file' || found.size > 0))
    throw new KmsError(
      'PROVIDER_UNAVAILABLE',
      `${segment.path} is in the way: it was not there when the trail was opened`,
    )
  // An empty one is what an attempt left that failed right after making it, perhaps to sync it.
  if (found !== undefined) await removeIfThere(fs, segment.path)
  return opened(fs, segment, await openAppend(fs, segment.path, { create: true }))
}

async function goOn(fs: FileSystem, segment: Segment): Promise<OpenSegment> {
  return opened(fs, segment, await openAppend(fs, segment.path))
}

function opened(fs: FileSystem, segment: Segment, file: AppendFile): OpenSegment {
  return { segment, file, inode: statusOf(fs, segment.path)?.inode }
}

/** A segment that was taken away or shortened is not a failed disk: going on without it would leave a gap. */
function checkStill(fs: FileSystem, { segment, inode, keep }: Pick<Broken, 'segment' | 'inode' | 'keep'>): void {
  const found = statusOf(fs, segment.path)
  // Nothing that was acknowledged is in it, and an attempt to move it away may have got so far.
  if (found === undefined && keep === 0) return
  const same = found !== undefined && (inode === undefined || found.inode === inode)
  if (same && found.links === 1 && found.size >= keep) return
  throw new KmsError('PROVIDER_UNAVAILABLE', `${segment.path} is not the file that was written: put it back`)
}

/** For a failure that another has heard of, or that changes nothing. */
function ignore(): void {}
