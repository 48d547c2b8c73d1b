/** @node `followTrail`: the entries that are there, and then each one as it becomes safe. */

import { KmsError } from '../../model/errors.ts'
import { host, type Signal } from '../../model/host.ts'
import { nodeFileSystem } from '../../storage/filesystem.ts'
import { findInstances } from '../layout.ts'
import { type Filter, prepareFilter, type TrailFilter } from './filter.ts'
import { merged } from './merge.ts'
import { coveredSize, type TrailEntry } from './read.ts'
import { type Cursor, checkDamage, fromTheStart, type Runs, runsOf } from './runs.ts'

export interface FollowOptions {
  /** Ends it. */
  readonly signal?: Signal
  /** So often it looks for new entries, in ms; 200 by default. */
  readonly everyMs?: number
}

/**
 * As `readTrail`, and then goes on, until `signal` or `limit` ends it. It never passes the published checkpoint, so what it
 * yields is not taken back by a crash. Sealing, compressing and pruning do not disturb it, and an instance that comes later
 * joins in; several are merged by `eventID` as far as they are there. It keeps the process alive.
 *
 * Errors: as `readTrail`; the one for damaged lines comes when they are met, after the others that were there then.
 * `ROLLED_BACK` when a trail has fewer entries than were seen of it, or is gone.
 *
 * @example
 * ```ts
 * for await (const { entry } of followTrail('./audit', { action: 'kms.export' }, { signal })) alarm(entry)
 * ```
 */
export async function* followTrail(
  path: string,
  filter: TrailFilter = {},
  { signal, everyMs = 200 }: FollowOptions = {},
): AsyncGenerator<TrailEntry, void, undefined> {
  const prepared = prepareFilter(filter)
  const cursors = new Map<string, Cursor>()
  let left = prepared.limit
  while (left > 0 && !isAborted(signal)) {
    for await (const entry of coveredSince(path, prepared, cursors)) {
      yield entry
      if (--left === 0) return
      if (isAborted(signal)) return
    }
    await pause(everyMs, signal)
  }
}

/**
 * What is safe now and lies beyond `cursors`, by name of the instance; moves them on, and makes those that are missing. Until it
 * has come to its end they may be ahead of what it yielded. Errors: as `followTrail`.
 */
export async function* coveredSince(
  path: string,
  filter: Filter,
  cursors: Map<string, Cursor>,
): AsyncGenerator<TrailEntry, void, undefined> {
  const damage = { lines: 0 }
  const sources: Runs[] = []
  const sizes = new Map<string, bigint>()
  for (const instance of await findInstances(nodeFileSystem, path)) {
    const cursor = cursorOf(cursors, instance.name)
    const covered = await coveredSize(nodeFileSystem, instance.layout)
    sizes.set(instance.name, covered)
    if (covered > cursor.next)
      sources.push(runsOf(nodeFileSystem, instance, { filter, damage, covered, upTo: covered, cursor }))
  }
  checkSizes(sizes, cursors)
  for await (const run of merged(sources)) for (const entry of run) yield entry
  checkDamage(damage)
}

/** Who waits for a trail to grow back to where it was would see nothing meanwhile. */
function checkSizes(sizes: ReadonlyMap<string, bigint>, cursors: ReadonlyMap<string, Cursor>): void {
  for (const [name, { next }] of cursors) {
    const size = sizes.get(name)
    if (size !== undefined && size >= next) continue
    const now = size === undefined ? 'is gone' : `has ${size}`
    throw new KmsError('ROLLED_BACK', `${next} entries of the trail '${name}' were seen, and it ${now}: verify it`)
  }
}

function isAborted(signal: Signal | undefined): boolean {
  return signal?.aborted === true
}

function cursorOf(cursors: Map<string, Cursor>, name: string): Cursor {
  const cursor = cursors.get(name) ?? fromTheStart()
  cursors.set(name, cursor)
  return cursor
}

/** Resolves after `ms`, or when `signal` says so. */
export function pause(ms: number, signal: Signal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      host.clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = host.setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
    if (isAborted(signal)) done()
  })
}
