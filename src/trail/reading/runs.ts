/**
 * @node The entries of one instance or archive, in order, and in runs of a block's worth: an await for each would cost more
 * than reading it.
 */
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, statusOf } from '../../storage/filesystem.ts'
import { type Block, blocksOf } from '../blocks.ts'
import { isCommit, parseCommit } from '../commit.ts'
import { type Instance, listSegments, type Segment } from '../layout.ts'
import type { Archive } from '../retention/archive.ts'
import { linesIn, parseEntry } from './entry-line.ts'
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
    for (const segment of await listSegments(fs, layout)) {
      if (segment.first < cursor.segment) continue
      if (segment.first > cursor.segment)
        Object.assign(cursor, { segment: segment.first, next: segment.first, offset: 0 })
      try {
        if (yield* runsIn(blocksFrom(fs, segment, cursor), { ...reading, name })) return
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

/** Errors: `PROVIDER_UNAVAILABLE`. */
export async function* runsOfArchive(
  { header, blocks }: Archive,
  reading: Omit<Reading, 'covered' | 'cursor'> & { readonly name: string },
): Runs {
  const { from, below } = header
  const cursor = { segment: from, next: from, offset: 0 }
  yield* runsIn({ blocks: blocks(), first: from, offset: 0 }, { ...reading, covered: below, cursor })
}

interface Lines {
  readonly blocks: AsyncIterable<Block>
  /** Index of the first line's entry. */
  readonly first: bigint
  /** Where the first line begins. */
  readonly offset: number
}

/** A plain segment that was read in part goes on from there; a compressed one is gone through from its start. */
function blocksFrom(fs: FileSystem, { path, compressed, first }: Segment, { offset, next }: Cursor): Lines {
  if (compressed || offset === 0) return { blocks: blocksOf(fs, path), first, offset: 0 }
  return { blocks: blocksOf(shifted(fs, offset), path), first: next, offset }
}

/** Files read from `offset` on, as if they began there. */
function shifted(fs: FileSystem, offset: number): FileSystem {
  return {
    ...fs,
    async open(path, how, mode) {
      const file = await fs.open(path, how, mode)
      return { ...file, read: (into, position) => file.read(into, position + offset) }
    },
  }
}

/** Returns true when it came to the end of what was asked for. */
async function* runsIn(
  { blocks, first, offset }: Lines,
  reading: Reading & { readonly name: string },
): AsyncGenerator<readonly TrailEntry[], boolean, undefined> {
  const { filter, damage, covered, upTo, cursor, name } = reading
  let index = first
  let before = offset
  let batch: { readonly index: bigint; readonly text: string }[] = []
  for await (const block of blocks) {
    const { bytes, start, end } = block
    if (block.damage !== undefined) damage.lines++
    const run: TrailEntry[] = []
    const mayWant = filter.mayWant(block)
    for (const line of linesIn(block)) {
      if (!isCommit(bytes, line.start)) {
        if (index >= cursor.next && mayWant(line))
          batch.push({ index, text: bytes.toString('utf8', line.start, line.end) })
        index++
        continue
      }
      const commit = parseCommit(bytes.toString('utf8', line.start, line.end))
      if (upTo !== undefined && (commit?.size ?? index) > upTo) {
        if (run.length > 0) yield run
        return true
      }
      if (commit === undefined || commit.size !== index) damage.lines++
      if (commit === undefined) continue
      index = commit.size
      for (const { index: position, text } of batch) {
        const entry = parseEntry(text)
        if (entry === undefined) damage.lines++
        else if (filter.wants(entry)) run.push({ instance: name, index: position, entry, covered: position < covered })
      }
      batch = []
      Object.assign(cursor, { next: index, offset: before + line.end + 1 - start })
    }
    before += end - start
    if (run.length > 0) yield run
  }
  return false
}

/** Errors: `INTERNAL` when there was any. */
export function checkDamage({ lines }: Damage): void {
  if (lines > 0) throw new KmsError('INTERNAL', `damaged lines in the trail: ${lines}; verify it to see where`)
}
