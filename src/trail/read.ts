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
import { findInstances, type Instance, listSegments, readIfThere, type Segment } from './layout.ts'

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
  const instances = await findInstances(nodeFileSystem, path)
  for await (const entry of merged(
    instances.map((one) => entriesOf(nodeFileSystem, one, { filter: prepared, damage })),
  )) {
    yield entry
    if (--left === 0) return
  }
  if (damage.lines > 0)
    throw new KmsError('INTERNAL', `${damage.lines} lines of the trail are damaged: verify it to see where`)
}

/** Lines that could not be read, over all instances. */
interface Damage {
  lines: number
}

interface Reading {
  readonly filter: Filter
  readonly damage: Damage
}

async function* merged(sources: readonly AsyncGenerator<TrailEntry>[]): AsyncGenerator<TrailEntry> {
  try {
    const heads = await Promise.all(sources.map(async (source) => ({ source, next: await source.next() })))
    for (;;) {
      let first: (typeof heads)[number] | undefined
      for (const head of heads) {
        if (head.next.done === true) continue
        if (first === undefined || first.next.done === true || isBefore(head.next.value, first.next.value)) first = head
      }
      if (first === undefined || first.next.done === true) return
      yield first.next.value
      first.next = await first.source.next()
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)))
  }
}

function isBefore(a: TrailEntry, b: TrailEntry): boolean {
  return a.entry.eventID < b.entry.eventID
}

async function* entriesOf(fs: FileSystem, instance: Instance, reading: Reading): AsyncGenerator<TrailEntry> {
  // Read before the segments: what it covers is there.
  const covered = await coveredSize(fs, instance)
  for (const segment of await listSegments(fs, instance.layout)) {
    for await (const { index, entry } of entriesIn(fs, segment, reading)) {
      yield { instance: instance.name, index, entry, covered: index < covered }
    }
  }
}

async function coveredSize(fs: FileSystem, { layout }: Instance): Promise<bigint> {
  const bytes = await readIfThere(fs, layout.checkpoint)
  const note = (bytes && fromUtf8(bytes)) ?? ''
  return parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))?.size ?? 0n
}

interface Indexed {
  readonly index: bigint
  readonly entry: AuditEntry
}

async function* entriesIn(fs: FileSystem, segment: Segment, { filter, damage }: Reading): AsyncGenerator<Indexed> {
  let index = segment.first
  let batch: { readonly index: bigint; readonly text: string }[] = []
  for await (const { bytes, start, end, whole } of blocksOf(fs, segment.path)) {
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
      const committed = batch
      batch = []
      for (const { index: position, text } of committed) {
        const entry = parseEntry(text)
        if (entry === undefined) damage.lines++
        else if (filter.wants(entry)) yield { index: position, entry }
      }
    }
  }
}
