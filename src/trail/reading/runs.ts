/**
 * @node The entries of one instance or archive, in order, and in runs of a block's worth: an await for each would cost more
 * than reading it.
 */
import type { Buffer } from 'node:buffer'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, statusOf } from '../../storage/filesystem.ts'
import { type Block, blocksOf, newline, searchedBytes } from '../blocks.ts'
import { isCommit, parseCommit } from '../commit.ts'
import { type Instance, listSegments, type Segment } from '../layout.ts'
import { type Places, seekerOf, windowed } from '../ranges/seek.ts'
import type { Archive } from '../retention/archive.ts'
import { parseEntry } from './entry-line.ts'
import type { Filter } from './filter.ts'
import type { TrailEntry } from './read.ts'

export type Runs = AsyncGenerator<readonly TrailEntry[], void, undefined>

/** Lines that could not be read. */
export interface Damage {
  lines: number
}

/** How far an instance was read: to go on from, also when segments were compressed or dropped since. */
export interface Cursor {
  /** First index of the segment. */
  segment: bigint
  /** Index of the next entry in it. */
  next: bigint
  /** Where the next entry's line begins, in the bytes that were written. */
  offset: number
}

export function fromTheStart(): Cursor {
  return { segment: 0n, next: 0n, offset: 0 }
}

export interface Reading {
  readonly filter: Filter
  readonly damage: Damage
  /** Entries below this index are covered. */
  readonly covered: bigint
  /** Batches that end beyond this size are left for later; all are read by default. */
  readonly upTo?: bigint
  /** Where to begin; moved on with what is read. */
  readonly cursor: Cursor
}

/** Of what is not committed, nothing. Errors: `PROVIDER_UNAVAILABLE`. */
export async function* runsOf(fs: FileSystem, { name, layout }: Instance, reading: Reading): Runs {
  const { cursor } = reading
  let missing: Segment | undefined
  for (;;) {
    const before = missing
    missing = undefined
    const segments = await listSegments(fs, layout)
    const { sought } = reading.filter
    const seek = sought && seekerOf(fs, layout, { segments, sought })
    for (const [at, segment] of segments.entries()) {
      if (segment.first < cursor.segment) continue
      if (segment.first > cursor.segment)
        Object.assign(cursor, { segment: segment.first, next: segment.first, offset: 0 })
      try {
        // Where it was read in part already, it is read to its end.
        const places = cursor.offset === 0 && cursor.next === segment.first ? await seek?.(at) : undefined
        if (yield* runsInSegment({ fs, segment, places }, { ...reading, name })) return
      } catch (error) {
        // Compressed, or dropped, since the folder was listed: another look finds what there is now.
        if (before?.path === segment.path || statusOf(fs, segment.path) !== undefined) throw error
        missing = segment
        break
      }
    }
    if (missing === undefined) return
  }
}

interface InSegment {
  readonly fs: FileSystem
  readonly segment: Segment
  /** Undefined: anywhere in it. */
  readonly places: Places | undefined
}

type NamedReading = Reading & { readonly name: string }

/** What cannot hold anything that is sought is not read, and so not seen to be damaged. Returns as {@link runsIn}. */
async function* runsInSegment({ fs, segment, places }: InSegment, reading: NamedReading): RunsInPart {
  const { cursor, upTo, filter } = reading
  const most = filter.needles === undefined ? undefined : searchedBytes
  if (places === undefined || (upTo !== undefined && places.size > upTo))
    return yield* runsIn(blocksFrom({ fs, segment, most }, cursor), reading)
  for (const span of places.spans) {
    Object.assign(cursor, { next: span.from, offset: span.offset })
    const blocks = blocksOf(windowed(fs, span), segment.path, most)
    if (yield* runsIn({ blocks, first: span.from, offset: span.offset }, reading)) return true
  }
  Object.assign(cursor, { next: places.size, offset: places.bytes })
  return false
}

type RunsInPart = AsyncGenerator<readonly TrailEntry[], boolean, undefined>

/** Errors: `PROVIDER_UNAVAILABLE`. */
export async function* runsOfArchive(
  { header, blocks }: Archive,
  reading: Omit<Reading, 'covered' | 'cursor'> & { readonly name: string },
): Runs {
  const { from, below } = header
  const cursor = { segment: from, next: from, offset: 0 }
  yield* runsIn({ blocks: blocks(), first: from, offset: 0 }, { ...reading, covered: below, cursor })
}

interface Opened {
  readonly fs: FileSystem
  readonly segment: Segment
  readonly most: number | undefined
}

interface Lines {
  readonly blocks: AsyncIterable<Block>
  /** Index of the first line's entry. */
  readonly first: bigint
  /** Where the first line begins. */
  readonly offset: number
}

/** A plain segment that was read in part goes on from there; a compressed one is gone through from its start. */
function blocksFrom({ fs, segment, most }: Opened, { offset, next }: Cursor): Lines {
  const { path, compressed, first } = segment
  if (compressed || offset === 0) return { blocks: blocksOf(fs, path, most), first, offset: 0 }
  const end = Number.POSITIVE_INFINITY
  return { blocks: blocksOf(windowed(fs, { offset, end }), path, most), first: next, offset }
}

/** Returns true when it came to the end of what was asked for. */
async function* runsIn({ blocks, first, offset }: Lines, reading: NamedReading): RunsInPart {
  const lines = readLines(reading, first, offset)
  for await (const block of blocks) {
    const { run, ended } = lines.read(block)
    if (run.length > 0) yield run
    if (ended) return true
  }
  return false
}

interface LineReader {
  /** The entries whose commit line is in this block. `ended`: it came to the end of what was asked for. */
  read(block: Block): { readonly run: readonly TrailEntry[]; readonly ended: boolean }
}

function readLines(
  { filter, damage, covered, upTo, cursor, name }: NamedReading,
  first: bigint,
  offset: number,
): LineReader {
  /** Of the entry in the next line. */
  let index = first
  /** Where the block begins. */
  let before = offset
  /** Wanted, most likely, and not yet committed. */
  let batch: { readonly index: bigint; readonly text: string }[] = []
  // What lies before was read already: a compressed segment is gone through from its start again.
  const resumed = cursor.next

  /** Behind a commit line. */
  function moveOn(next: bigint, at: number): void {
    if (next > resumed) Object.assign(cursor, { next, offset: at })
  }

  /** Where to go on one by one, at or behind `at`: behind the last commit line before the hit. What is left out only counts. */
  function skip({ bytes, start, end }: Block, at: number, hit: number): number {
    const limit = hit < 0 ? end : Math.max(at, bytes.lastIndexOf(newline, hit) + 1)
    const { commit, entries } = lastCommit(bytes, at, limit)
    if (commit !== undefined && upTo !== undefined && commit.size > upTo) return at
    if (commit !== undefined) moveOn(commit.size, before + commit.end - start)
    index = (commit?.size ?? index) + BigInt(entries)
    return limit
  }

  return {
    read(block) {
      const { bytes, start, end, whole } = block
      if (block.damage !== undefined) damage.lines++
      const run: TrailEntry[] = []
      const hits = hitsIn(block, filter.needles)
      for (let at = start, sure = start; whole && at < end; ) {
        if (at >= sure && batch.length === 0) {
          const hit = hits.from(at)
          sure = hit < 0 ? end : hit + 1
          if (hit !== at) at = skip(block, at, hit)
          if (at >= end) break
        }
        const stop = bytes.indexOf(newline, at)
        const line = { start: at, end: stop }
        at = stop + 1
        if (!isCommit(bytes, line.start)) {
          const hit = hits.from(line.start)
          if (index >= resumed && hit >= 0 && hit < stop && filter.mayWant(bytes, line))
            batch.push({ index, text: bytes.toString('utf8', line.start, line.end) })
          index++
          continue
        }
        const commit = parseCommit(bytes.toString('utf8', line.start, line.end))
        if (upTo !== undefined && (commit?.size ?? index) > upTo) return { run, ended: true }
        if (commit === undefined || commit.size !== index) damage.lines++
        if (commit === undefined) continue
        index = commit.size
        for (const { index: position, text } of batch) {
          const entry = parseEntry(text)
          if (entry === undefined) damage.lines++
          else if (filter.wants(entry))
            run.push({ instance: name, index: position, entry, covered: position < covered })
        }
        batch = []
        moveOn(index, before + at - start)
      }
      before += end - start
      return { run, ended: false }
    },
  }
}

interface Hits {
  /** Where the next needle stands at or behind `at`, which only ever grows; `at` itself without needles, -1 for none. */
  from(at: number): number
}

/** One search through the block for each needle, not one through each line. What stands behind the block's end is no hit. */
function hitsIn({ bytes, start, end }: Block, needles: readonly Buffer[] | undefined): Hits {
  if (needles === undefined) return { from: (at) => at }
  const found = needles.map((needle) => bytes.indexOf(needle, start))
  let next = lowest(found, end)
  return {
    from(at) {
      if (next < 0 || next >= at) return next
      for (const [number, needle] of needles.entries()) {
        const last = found[number] ?? -1
        if (last >= 0 && last < at) found[number] = bytes.indexOf(needle, at)
      }
      next = lowest(found, end)
      return next
    },
  }
}

function lowest(found: readonly number[], end: number): number {
  let least = end
  for (const at of found) if (at >= 0 && at < least) least = at
  return least === end ? -1 : least
}

interface Skipped {
  /** The last commit line in the bytes that is one. */
  readonly commit: { readonly size: bigint; readonly end: number } | undefined
  /** Lines behind it, or in all of them, that are not meant as commit lines. */
  readonly entries: number
}

/** Of whole lines, `bytes[from…to)`, from the last one back: line ends are found ten times faster than anything else. */
function lastCommit(bytes: Buffer, from: number, to: number): Skipped {
  let entries = 0
  for (let end = to; end > from; ) {
    const start = Math.max(from, bytes.lastIndexOf(newline, end - 2) + 1)
    if (!isCommit(bytes, start)) entries++
    else {
      const commit = parseCommit(bytes.toString('utf8', start, end - 1))
      if (commit !== undefined) return { commit: { size: commit.size, end }, entries }
    }
    end = start
  }
  return { commit: undefined, entries }
}

/** Errors: `INTERNAL` when there was any. */
export function checkDamage({ lines }: Damage): void {
  if (lines > 0) throw new KmsError('INTERNAL', `damaged lines in the trail: ${lines}; verify it to see where`)
}
