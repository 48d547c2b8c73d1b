/** @node Appending batches to segment files: when one ends and the next begins, and what happens after a failure. */
import type { Engine } from '../crypto/engine.ts'
import type { Clock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import { type AppendFile, openAppend } from '../storage/append.ts'
import { type FileSystem, fileError } from '../storage/filesystem.ts'
import { type Layout, type Segment, segmentAt, statusOf } from './layout.ts'
import { cutSegment } from './quarantine.ts'

export interface Segments {
  /** Resolves when `bytes`, whose first entry has index `first`, are on the disk. One at a time. */
  append(bytes: Uint8Array, first: bigint): Promise<void>
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
  /** A segment is finished; its last checkpoint should be published. */
  readonly onSeal: () => void
}

const firstDelayMs = 100
const longestDelayMs = 5000

/** A segment that failed. What was acknowledged stays; what followed is cut before anything else is written. */
interface Broken {
  readonly segment: Segment
  readonly inode: bigint | undefined
  readonly keep: number
  /** On the monotonic clock. */
  readonly notBefore: number
  readonly delayMs: number
}

/** Errors of `append`: `PROVIDER_UNAVAILABLE`, also while it waits before the next attempt to recover. */
export async function openSegments(options: SegmentsOptions): Promise<Segments> {
  const { fs, engine, layout, clock, segmentBytes, onSeal } = options
  let open = options.resume === undefined ? undefined : await goOn(fs, options.resume)
  let broken: Broken | undefined
  let appending: Promise<void> = Promise.resolve()

  // After a failed sync the kernel may show bytes that are not on the disk (and call a second sync a success), so what is
  // there is not asked. The batch was not acknowledged: it is cut, and written again when its entries come again.
  async function recover({ segment, inode, keep, notBefore, delayMs }: Broken): Promise<void> {
    if (clock.monotonic() < notBefore) {
      throw new KmsError(
        'PROVIDER_UNAVAILABLE',
        `${segment.path} failed: the next attempt is made within ${delayMs} ms`,
      )
    }
    const longer = Math.min(2 * delayMs, longestDelayMs)
    broken = { segment, inode, keep, notBefore: clock.monotonic() + delayMs, delayMs: longer }
    checkStill(fs, { segment, inode, keep })
    await cutSegment({ fs, engine, layout, segment, keep })
    broken = undefined
  }

  async function seal(): Promise<void> {
    const finished = open
    open = undefined
    await finished?.file.close()
    onSeal()
  }

  async function write(bytes: Uint8Array, first: bigint): Promise<void> {
    if (broken !== undefined) await recover(broken)
    if (open !== undefined && open.file.size >= segmentBytes) await seal()
    open ??= await begin(fs, layout, first)
    const { segment, file, inode } = open
    const keep = file.size
    try {
      await file.append(bytes)
    } catch (error) {
      broken = { segment, inode, keep, notBefore: clock.monotonic(), delayMs: firstDelayMs }
      open = undefined
      await file.close().catch(ignore)
      throw error
    }
  }

  return {
    append(bytes, first) {
      appending = write(bytes, first)
      return appending
    },
    async close() {
      await appending.catch(ignore)
      const last = open
      open = undefined
      await last?.file.close()
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
  // An empty one is what an attempt that failed right after making it left.
  if (found === undefined) return opened(fs, segment, await openAppend(fs, segment.path, { create: true }))
  if (found.kind !== 'file' || found.size > 0)
    throw new KmsError(
      'PROVIDER_UNAVAILABLE',
      `${segment.path} is in the way: it was not there when the trail was opened`,
    )
  await fs.syncFolder(layout.segments).catch((error) => {
    throw fileError('sync', layout.segments, error)
  })
  return goOn(fs, segment)
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
  if (found !== undefined && found.inode === inode && found.links === 1 && found.size >= keep) return
  throw new KmsError('PROVIDER_UNAVAILABLE', `${segment.path} is not the file that was written: put it back`)
}

/** For a failure that another has heard of, or that says less than the one before it. */
function ignore(): void {}
