/** @node The entries in a trail's segments as leaves of its tree: their exact bytes, from one index up to another. */
import type { Buffer } from 'node:buffer'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import { newline, segmentBlocks } from '../blocks.ts'
import { isCommit } from '../commit.ts'
import type { Segment } from '../layout.ts'

/** A block's worth of leaves: an await for each of them would cost more than hashing it. */
export interface LeafRun {
  /** Index of the first. */
  readonly first: bigint
  /** Lent until the next run. There is always a byte before a line to borrow. */
  readonly bytes: Buffer
  /** Where each line starts and ends, without its newline, in turn. */
  readonly bounds: readonly number[]
}

export interface LeavesOptions {
  readonly fs: FileSystem
  /** All that there are, by index. */
  readonly segments: readonly Segment[]
  readonly from: bigint
  /** Not included. They must all be committed: what stands behind them may be a torn batch. */
  readonly to: bigint
}

/** Errors: `INTERNAL` where an entry of the range is in no segment, `PROVIDER_UNAVAILABLE` (disk). */
export async function* leavesOf({ fs, segments, from, to }: LeavesOptions): AsyncGenerator<LeafRun, void, undefined> {
  let next = from
  for (const [at, segment] of segments.entries()) {
    const following = segments[at + 1]?.first ?? to
    const limit = following < to ? following : to
    if (limit <= next) continue
    if (segment.first > next) break
    let skip = Number(next - segment.first)
    for await (const { bytes, start, end, whole } of segmentBlocks(fs, segment.path)) {
      const left = Number(limit - next)
      const bounds: number[] = []
      for (let line = start; whole && line < end && bounds.length < 2 * left; ) {
        const stop = bytes.indexOf(newline, line)
        if (isCommit(bytes, line)) {
          line = stop + 1
          continue
        }
        if (skip > 0) skip--
        else bounds.push(line, stop)
        line = stop + 1
      }
      if (bounds.length > 0) yield { first: next, bytes, bounds }
      next += BigInt(bounds.length / 2)
      if (next === limit) break
    }
    if (next < limit) break
  }
  if (next < to)
    throw new KmsError('INTERNAL', `entry ${next} is in no segment: verify the trail to see what is missing`)
}
