/** @node Goes through a segment for the ranges of its times and ids: to write them, and to see whether they are right. */
import { Buffer } from 'node:buffer'
import type { FileSystem } from '../../storage/filesystem.ts'
import { blocksOf } from '../blocks.ts'
import { parseCheckpoint } from '../checkpoint.ts'
import { type Commit, isCommit, parseCommit } from '../commit.ts'
import type { Layout, Segment } from '../layout.ts'
import { createdAtPlace, eventIDPlace, linesIn } from '../reading/entry-line.ts'
import { putFile } from '../tree/tiles.ts'
import {
  believedRanges,
  type Chunk,
  formatRanges,
  type Range,
  type Ranges,
  rangesPath,
  type TextRange,
} from './ranges.ts'

const usualChunk = 1024 * 1024

export interface RangesOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  /** All that there are, by index. */
  readonly segments: readonly Segment[]
  /** Those below this index are finished: it is where the next one begins. */
  readonly size: bigint
  /** First indexes of those whose ranges are known to be right; added to. */
  readonly known: Set<bigint>
  /** A chunk ends with the first batch that fills it; 1 MiB by default. */
  readonly chunkBytes?: number
}

/**
 * Writes the ranges of each finished segment that has none, or none that a reader would believe. A segment whose lines are
 * not all committed, one after another, gets none and is read whole. One call at a time for a trail. Errors: `PROVIDER_UNAVAILABLE`.
 */
export async function writeRanges(options: RangesOptions): Promise<void> {
  const { fs, layout, segments, size, known, chunkBytes = usualChunk } = options
  const isFull: EndsChunk = (_, bytes, start) => bytes - start >= chunkBytes
  for (const [at, segment] of segments.entries()) {
    if (known.has(segment.first) || segment.first >= size) continue
    const end = segments[at + 1]?.first ?? size
    if ((await believedRanges(fs, layout, { segment, end })) === undefined) {
      const ranges = await measured(fs, segment, isFull)
      if (ranges?.size === end) await putFile(fs, rangesPath(layout, segment.first), formatRanges(ranges))
    }
    known.add(segment.first)
  }
}

/**
 * Whether a search that believes `ranges` could miss an entry of the segment: what is wrong with them, or undefined.
 * Errors: `PROVIDER_UNAVAILABLE`.
 */
export async function missing(fs: FileSystem, segment: Segment, ranges: Ranges): Promise<string | undefined> {
  const ends = new Map(ranges.chunks.map(({ size, bytes }) => [size, bytes]))
  const found = await measured(fs, segment, (size, bytes) => ends.get(size) === bytes)
  if (found === undefined || found.chunks.length !== ranges.chunks.length) return 'name other batches'
  const isRight = found.chunks.every((chunk, at) => {
    const said = ranges.chunks[at]
    return said?.size === chunk.size && said.bytes === chunk.bytes && holds(said, chunk) && holds(ranges, chunk)
  })
  return isRight ? undefined : 'leave out times or ids'
}

function holds(said: Range, found: Range): boolean {
  return isWithin(said.createdAt, found.createdAt) && isWithin(said.eventID, found.eventID)
}

function isWithin(said: TextRange, found: TextRange): boolean {
  // Where nothing is said, all is read.
  if (said === undefined) return true
  return found !== undefined && said[0] <= found[0] && found[1] <= said[1]
}

/** Whether a chunk that began at `start` ends behind the batch that ends there. */
type EndsChunk = (size: bigint, bytes: number, start: number) => boolean

/** Undefined when its lines are not whole batches, one after another, or there are none. */
async function measured(fs: FileSystem, segment: Segment, endsChunk: EndsChunk): Promise<Ranges | undefined> {
  const chunks: Chunk[] = []
  const [times, ids] = [extremes(createdAtLength), extremes(eventIDLength)]
  let [before, chunkStart] = [0, 0]
  let [index, size] = [segment.first, segment.first]
  let commit: Commit | undefined
  let end = 0

  function endChunk(): void {
    chunks.push({ bytes: end, size, createdAt: times.take(), eventID: ids.take() })
    chunkStart = end
  }

  for await (const block of blocksOf(fs, segment.path)) {
    const { bytes, start } = block
    if (!block.whole) return undefined
    for (const line of linesIn(block)) {
      if (!isCommit(bytes, line.start)) {
        times.see(bytes, createdAtPlace(bytes, line))
        ids.see(bytes, eventIDPlace(bytes, line))
        index++
        continue
      }
      commit = parseCommit(bytes.toString('utf8', line.start, line.end))
      if (commit?.from !== size || commit.size !== index || index === size) return undefined
      size = index
      end = before + line.end + 1 - start
      if (endsChunk(size, end, chunkStart)) endChunk()
    }
    before += block.end - start
  }
  if (commit === undefined || before !== end) return undefined
  if (end > chunkStart) endChunk()
  const root = parseCheckpoint(commit.note.slice(0, commit.note.indexOf('\n\n') + 1))?.root
  if (root === undefined) return undefined
  const over = (name: keyof Range): TextRange => {
    const all = chunks.map((chunk) => chunk[name]).filter((range) => range !== undefined)
    const [low, high] = [
      all.map(([least]) => least).sort()[0],
      all
        .map(([, most]) => most)
        .sort()
        .at(-1),
    ]
    return all.length < chunks.length || low === undefined || high === undefined ? undefined : [low, high]
  }
  return {
    first: segment.first,
    size,
    bytes: end,
    root,
    createdAt: over('createdAt'),
    eventID: over('eventID'),
    chunks,
  }
}

const createdAtLength = 24
const eventIDLength = 36

interface Extremes {
  /** The text at `at`; negative: one that cannot be told. */
  see(bytes: Buffer, at: number): void
  /** Of all since the last time. */
  take(): TextRange
}

/** Compared as bytes: a text made of each of a million would take longer than reading them. */
function extremes(length: number): Extremes {
  const [low, high] = [Buffer.alloc(length), Buffer.alloc(length)]
  let state: 'none' | 'some' | 'unknown' = 'none'
  return {
    see(bytes, at) {
      if (at < 0) state = 'unknown'
      if (state === 'unknown') return
      const isFirst = state === 'none'
      state = 'some'
      // Most are above all before: one comparison then.
      const order = isFirst ? 1 : bytes.compare(high, 0, length, at, at + length)
      if (order > 0) bytes.copy(high, 0, at, at + length)
      if (isFirst || (order < 0 && bytes.compare(low, 0, length, at, at + length) < 0))
        bytes.copy(low, 0, at, at + length)
    },
    take() {
      const range: TextRange = state === 'some' ? [low.toString('latin1'), high.toString('latin1')] : undefined
      state = 'none'
      return range
    },
  }
}
