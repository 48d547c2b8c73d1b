/** @node One entry of a trail by its `eventID`: looked for by its bytes, where it most likely stands first. */
import type { Buffer } from 'node:buffer'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import { newline, segmentBlocks } from '../blocks.ts'
import { type Layout, listSegments, type Segment } from '../layout.ts'
import { placesIn, windowed } from '../ranges/seek.ts'
import { needleFor, parseEntry } from '../reading/entry-line.ts'
import { leavesOf } from '../tree/leaves.ts'

/** `index`: in the trail, from 0. `line`: its exact bytes, without the newline. */
export interface FoundEntry {
  readonly index: bigint
  readonly line: Uint8Array
}

export interface Looking {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly eventID: string
  /** Entries that are safe; the others are not looked at. */
  readonly size: bigint
}

/** Undefined when none of the first `size` entries that are left is it. Errors: `INTERNAL` (gaps), `PROVIDER_UNAVAILABLE`. */
export async function findEntry({ fs, layout, eventID, size }: Looking): Promise<FoundEntry | undefined> {
  const segments = (await listSegments(fs, layout)).filter(({ first }) => first < size)
  const wanted = { eventID, needle: needleOf(eventID) }
  for (const segment of await likelyFirst(fs, segments, eventID)) {
    const next = segments[segments.indexOf(segment) + 1]
    const found = await findInSegment({ fs, layout, segment, next, end: next?.first ?? size }, wanted)
    if (found !== undefined) return found
  }
  return undefined
}

interface Place {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly segment: Segment
  readonly next: Segment | undefined
  /** Index after the last of its entries that are safe. */
  readonly end: bigint
}

async function findInSegment(
  { fs, layout, segment, next, end }: Place,
  wanted: Wanted,
): Promise<FoundEntry | undefined> {
  const sought = { from: '', to: undefined, eventIDs: [wanted.eventID] }
  const places = await placesIn(fs, layout, { segment, next, sought })
  if (places === undefined) return findIn(leavesOf({ fs, segments: [segment], from: segment.first, to: end }), wanted)
  for (const { from, size, ...window } of places.spans) {
    const segments = [{ ...segment, first: from }]
    const found = await findIn(leavesOf({ fs: windowed(fs, window), segments, from, to: size }), wanted)
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether an entry of this id seems to stand behind the first `size`: written, but not known to be safe yet. */
export async function isUncovered({ fs, layout, eventID, size }: Looking): Promise<boolean> {
  const segments = await listSegments(fs, layout)
  const needle = needleOf(eventID)
  // Whatever stands before in the same segment was looked at already, and is not it.
  for (const segment of segments.slice(
    Math.max(
      0,
      segments.findLastIndex(({ first }) => first <= size),
    ),
  ))
    for await (const { bytes, start, end } of segmentBlocks(fs, segment.path))
      if (bytes.subarray(start, end).includes(needle)) return true
  return false
}

function needleOf(eventID: string): Buffer {
  const needle = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(eventID)
    ? needleFor('"eventID":"', eventID)
    : undefined
  if (needle === undefined) throw new KmsError('INVALID_INPUT', 'an eventID is a UUID in lower case')
  return needle
}

interface Wanted {
  readonly eventID: string
  readonly needle: Buffer
}

async function findIn(runs: ReturnType<typeof leavesOf>, { eventID, needle }: Wanted): Promise<FoundEntry | undefined> {
  for await (const { first, bytes, bounds } of runs) {
    const end = bounds.at(-1) ?? 0
    for (let hit = bytes.indexOf(needle, bounds[0]); hit >= 0 && hit < end; hit = bytes.indexOf(needle, hit + 1)) {
      const at = lineAt(bounds, hit)
      const line = bytes.subarray(bounds[2 * at], bounds[2 * at + 1])
      // Another entry may name it, as `origin.eventID`.
      if (parseEntry(line.toString('utf8'))?.eventID !== eventID) continue
      return { index: first + BigInt(at), line: new Uint8Array(line) }
    }
  }
  return undefined
}

/** Which of the lines holds the byte at `hit`. */
function lineAt(bounds: readonly number[], hit: number): number {
  return bounds.findIndex((bound, at) => at % 2 === 1 && hit < bound) >> 1
}

/**
 * Ids begin with the time and grow, so the last segment whose first id is not above the one wanted should hold it. A clock
 * that was set back may have put it into any other.
 */
async function likelyFirst(fs: FileSystem, segments: readonly Segment[], eventID: string): Promise<readonly Segment[]> {
  let low = 0
  for (let high = segments.length; high - low > 1; ) {
    const middle = (low + high) >> 1
    const first = await firstID(fs, segments[middle])
    if (first !== undefined && first <= eventID) low = middle
    else high = middle
  }
  const likely = segments.slice(low, low + 1)
  return [...likely, ...segments.filter((other) => !likely.includes(other))]
}

async function firstID(fs: FileSystem, segment: Segment | undefined): Promise<string | undefined> {
  if (segment === undefined) return undefined
  for await (const { bytes, start, end } of segmentBlocks(fs, segment.path)) {
    const stop = bytes.indexOf(newline, start)
    return parseEntry(bytes.toString('utf8', start, stop < 0 ? end : stop))?.eventID
  }
  return undefined
}
