/** @node `readTrail`: the entries, in order, also while a writer writes. It does not check signatures: verify.ts does. */
import { fromUtf8 } from '../crypto/bytes.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, nodeFileSystem } from '../storage/filesystem.ts'
import { blocksOf, newline } from './blocks.ts'
import { parseCheckpoint } from './checkpoint.ts'
import { isCommit, parseCommit } from './commit.ts'
import { mayHold, parseEntry } from './entry-line.ts'
import { type Filter, prepareFilter, type TrailFilter } from './filter.ts'
import { findInstances, type Instance, listSegments, readIfThere } from './layout.ts'

export interface TrailEntry {
  /** Directory name of the instance that wrote it. */
  readonly instance: string
  /** Position in that instance's trail, from 0. */
  readonly index: bigint
  readonly entry: AuditEntry
  /** False beyond the published checkpoint: safe on the disk, most likely, but not yet said to be. */
  readonly covered: boolean
}

/**
 * The entries under `path`, which is one instance's directory or the parent of many. Within an instance the order is that
 * of the trail; several are merged by `eventID`, which begins with the time. What is not committed is left out.
 *
 * Reading does not verify. Where a line is damaged, the others are still read; after the last one an `INTERNAL` error tells
 * how many could not be. Other errors: `INVALID_INPUT` (no trail there, or no such filter), `PROVIDER_UNAVAILABLE` (disk).
 *
 * @example
 * ```ts
 * for await (const { entry } of readTrail('./audit', { action: 'kms.export', from: '2026-01-01T00:00:00Z' })) …
 * ```
 */
export async function* readTrail(path: string, filter: TrailFilter = {}): AsyncGenerator<TrailEntry, void, undefined> {
  const prepared = prepareFilter(filter)
  const damage: Damage = { lines: 0 }
  let left = prepared.limit
  if (left === 0) return
  const sources: Source[] = []
  try {
    for (const instance of await findInstances(nodeFileSystem, path)) {
      const runs = runsOf(nodeFileSystem, instance, { filter: prepared, damage })
      sources.push({ runs, run: [], at: 0 })
    }
    for (;;) {
      const next = await firstOf(sources)
      if (next === undefined) break
      yield next
      if (--left === 0) return
    }
  } finally {
    await Promise.all(sources.map(({ runs }) => runs.return()))
  }
  if (damage.lines > 0)
    throw new KmsError('INTERNAL', `damaged lines in the trail: ${damage.lines}; verify it to see where`)
}

/** Lines that could not be read, over all instances. */
interface Damage {
  lines: number
}

interface Reading {
  readonly filter: Filter
  readonly damage: Damage
}

/** One instance: the run of entries that was read last, and how far it is used up. */
interface Source {
  readonly runs: AsyncGenerator<readonly TrailEntry[], void, undefined>
  run: readonly TrailEntry[]
  at: number
}

/** Takes the entry with the lowest event id of those that come next; undefined when there are no more. */
async function firstOf(sources: Source[]): Promise<TrailEntry | undefined> {
  let first: Source | undefined
  let lowest: TrailEntry | undefined
  for (const source of sources) {
    const head = source.run[source.at] ?? (await nextRun(source))
    if (head === undefined || (lowest !== undefined && lowest.entry.eventID <= head.entry.eventID)) continue
    first = source
    lowest = head
  }
  if (first !== undefined) first.at++
  return lowest
}

async function nextRun(source: Source): Promise<TrailEntry | undefined> {
  for (;;) {
    const { done, value } = await source.runs.next()
    if (done === true) return undefined
    source.run = value
    source.at = 0
    if (value[0] !== undefined) return value[0]
  }
}

async function coveredSize(fs: FileSystem, { layout }: Instance): Promise<bigint> {
  const bytes = await readIfThere(fs, layout.checkpoint)
  const note = (bytes && fromUtf8(bytes)) ?? ''
  return parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))?.size ?? 0n
}

/** In runs of a block's worth: an await for each entry would cost more than reading it. */
async function* runsOf(fs: FileSystem, instance: Instance, { filter, damage }: Reading): Source['runs'] {
  // Read before the segments: what it covers is there.
  const covered = await coveredSize(fs, instance)
  for (const segment of await listSegments(fs, instance.layout)) {
    let index = segment.first
    let batch: { readonly index: bigint; readonly text: string }[] = []
    for await (const { bytes, start, end, whole } of blocksOf(fs, segment.path)) {
      const run: TrailEntry[] = []
      for (let at = start; whole && at < end; ) {
        const stop = bytes.indexOf(newline, at)
        const line = { start: at, end: stop }
        at = stop + 1
        if (!isCommit(bytes, line.start)) {
          if (filter.needle === undefined || mayHold(bytes, line, filter.needle))
            batch.push({ index, text: bytes.toString('utf8', line.start, line.end) })
          index++
          continue
        }
        const commit = parseCommit(bytes.toString('utf8', line.start, line.end))
        if (commit === undefined || commit.size !== index) damage.lines++
        if (commit === undefined) continue
        index = commit.size
        for (const { index: position, text } of batch) {
          const entry = parseEntry(text)
          if (entry === undefined) damage.lines++
          else if (filter.wants(entry))
            run.push({ instance: instance.name, index: position, entry, covered: position < covered })
        }
        batch = []
      }
      yield run
    }
  }
}
