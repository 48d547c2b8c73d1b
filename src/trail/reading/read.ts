/** @node `readTrail`: the entries, in order, also while a writer writes. It does not check signatures: verify.ts does. */
import { basename } from 'node:path'
import { fromUtf8 } from '../../crypto/bytes.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { type FileSystem, nodeFileSystem, readIfThere, statusOf } from '../../storage/filesystem.ts'
import { parseCheckpoint } from '../checkpoint.ts'
import { checkPath, findInstances, type Layout } from '../layout.ts'
import { openArchive } from '../retention/archive.ts'
import { type Filter, prepareFilter, type TrailFilter } from './filter.ts'
import { merged } from './merge.ts'
import { checkDamage, type Damage, fromTheStart, type Runs, runsOf, runsOfArchive } from './runs.ts'

export interface TrailEntry {
  /** Directory name of the instance that wrote it; of an archive, its file name. */
  readonly instance: string
  /** Position in that instance's trail, from 0. */
  readonly index: bigint
  readonly entry: AuditEntry
  /** False beyond the published checkpoint: safe on the disk, most likely, but not yet said to be. */
  readonly covered: boolean
}

/**
 * The entries under `path`, which is one instance's directory, the parent of many, or an archive of pruned entries. Within
 * an instance the order is that of the trail; several are merged by `eventID`, which begins with the time. What is not
 * committed is left out, and what was pruned is not there: `index` tells.
 *
 * Reading does not verify. Where a line is damaged, the others are still read; after the last one an `INTERNAL` error tells
 * how many could not be. That counts the lines that were looked at: without a filter all of them. With one, a line that does
 * not hold the bytes of what is asked for, commit lines far from any that does, and whatever the ranges beside a segment
 * leave out (`from`, `to`, `eventID`) are passed over, damaged or not, so an entry whose bytes were spoilt just there is not
 * missed aloud. `verifyTrail` looks at everything.
 *
 * Other errors: `INVALID_INPUT` (no trail there, or no such filter), `PROVIDER_UNAVAILABLE` (disk).
 *
 * @example
 * ```ts
 * for await (const { entry } of readTrail('./audit', { action: 'kms.export', from: '2026-01-01T00:00:00Z' })) …
 * ```
 */
export async function* readTrail(path: string, filter: TrailFilter = {}): AsyncGenerator<TrailEntry, void, undefined> {
  const prepared = prepareFilter(filter)
  if (prepared.limit === 0) return
  const damage: Damage = { lines: 0 }
  const sources = await sourcesOf(nodeFileSystem, path, { filter: prepared, damage })
  let left = prepared.limit
  for await (const run of merged(sources))
    for (const entry of run) {
      yield entry
      if (--left === 0) return
    }
  checkDamage(damage)
}

/**
 * All entries under `path` as {@link readTrail} gives them, many at a time: for whoever goes through a whole trail, an await for
 * each entry would cost as much as parsing it. Damaged lines are counted in `damage`, and no error.
 */
export async function* readRuns(path: string, damage: Damage): Runs {
  yield* merged(await sourcesOf(nodeFileSystem, path, { filter: prepareFilter({}), damage }))
}

async function sourcesOf(
  fs: FileSystem,
  path: string,
  reading: { readonly filter: Filter; readonly damage: Damage },
): Promise<readonly Runs[]> {
  checkPath(path)
  if (statusOf(fs, path)?.kind === 'file')
    return [runsOfArchive(await openArchive(fs, path), { ...reading, name: basename(path) })]
  const sources: Runs[] = []
  for (const instance of await findInstances(fs, path)) {
    // Read before the segments: what it covers is there.
    const covered = await coveredSize(fs, instance.layout)
    sources.push(runsOf(fs, instance, { ...reading, covered, cursor: fromTheStart() }))
  }
  return sources
}

/** What the published checkpoint says, whoever signed it. */
export async function coveredSize(fs: FileSystem, layout: Layout): Promise<bigint> {
  const bytes = await readIfThere(fs, layout.checkpoint)
  const note = (bytes && fromUtf8(bytes)) ?? ''
  return parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))?.size ?? 0n
}
