/** @node `tallyTrail`: how many entries there are of each kind, and how their sizes and times are spread. */
import { KmsError } from '../../model/errors.ts'
import { type Field, type FieldValue, fieldsOf } from './fields.ts'
import type { TrailFilter } from './filter.ts'
import { readTrail, type TrailEntry } from './read.ts'
import { openSummary, type Summary, type Summing } from './summary.ts'

export interface TallyOptions {
  /** Fields by which entries are grouped: paths such as `context.clientIp`, or short names such as `actor`, `key`, `day`. */
  readonly by?: readonly string[]
  /** Fields that hold numbers, such as `plaintext`, `durationMs`: what is summed up of them. At most 8. */
  readonly stats?: readonly string[]
  /** Groups that are kept apart: 100,000 by default, 10,000 with `stats`, and at most that; fewer where their values are long. */
  readonly maxGroups?: number
}

export interface TallyCount {
  readonly count: number
  /** Of `count`, those with the outcome `failure`. */
  readonly failures: number
  /** By the fields of `stats`, of the entries that have them. */
  readonly stats: Readonly<Record<string, Summary>>
}

export interface TallyGroup extends TallyCount {
  /** In the order of `by`. */
  readonly values: readonly FieldValue[]
}

/** Of all entries, and of each group. */
export interface Tally extends TallyCount {
  /** The largest first; of two as large, by their values. None without `by`. */
  readonly groups: readonly TallyGroup[]
  /** Entries of the groups that came when there was no room for another one; undefined when there was for all. */
  readonly others: TallyCount | undefined
}

/**
 * Counts the entries that `readTrail` finds there with this filter. What it holds in memory hangs on the groups, not on the
 * trail: a few hundred bytes for each, and with `stats` up to some ten kilobytes for each field of each.
 *
 * Percentiles are exact for up to 256 numbers, and within 1 % of the true one beyond.
 *
 * Errors: as readTrail, also `INTERNAL` for damaged lines: then nothing is told. `INVALID_INPUT` for what is no field.
 *
 * @example
 * ```ts
 * const { groups } = await tallyTrail('./audit', { action: 'kms.decrypt', from }, { by: ['actor', 'key'], stats: ['ciphertext'] })
 * ```
 */
export async function tallyTrail(path: string, filter: TrailFilter = {}, options: TallyOptions = {}): Promise<Tally> {
  const tally = openTally(options)
  for await (const entry of readTrail(path, filter)) tally.add(entry)
  return tally.told()
}

export interface Tallying {
  add(entry: TrailEntry): void
  told(): Tally
}

/** Errors: `INVALID_INPUT`. */
export function openTally(options: TallyOptions = {}): Tallying {
  if (typeof options !== 'object' || options === null)
    throw new KmsError('INVALID_INPUT', "a tally takes one object, such as { by: ['actor'] }")
  const by = options.by === undefined ? [] : fieldsOf('by', options.by)
  const stats = options.stats === undefined ? [] : fieldsOf('stats', options.stats)
  if (stats.length > manyStats) throw new KmsError('INVALID_INPUT', `'stats' must name at most ${manyStats} fields`)
  const most = stats.length > 0 ? mostWithStats : mostGroups
  const { maxGroups = most } = options
  if (!Number.isSafeInteger(maxGroups) || maxGroups < 1 || maxGroups > most)
    throw new KmsError('INVALID_INPUT', `'maxGroups' must be a whole number from 1 to ${most}`)
  const all = openCount(stats)
  const groups = new Map<string, { readonly values: readonly FieldValue[]; readonly counting: Counting }>()
  let others: Counting | undefined
  let held = 0

  function groupOf(found: TrailEntry): Counting {
    const values = by.map(({ of }) => of(found))
    // JSON tells a text from the number that looks like it, and null from 'null'.
    const name = JSON.stringify(values.map((value) => value ?? null))
    const known = groups.get(name)
    if (known !== undefined) return known.counting
    held += name.length
    if (groups.size >= maxGroups || held > manyCharacters) {
      others ??= openCount(stats)
      return others
    }
    const counting = openCount(stats)
    groups.set(name, { values, counting })
    return counting
  }

  return {
    add(found) {
      all.add(found)
      if (by.length > 0) groupOf(found).add(found)
    },
    told() {
      const told = [...groups].map(([name, { values, counting }]) => ({ name, group: { values, ...counting.told() } }))
      told.sort((a, b) => b.group.count - a.group.count || (a.name < b.name ? -1 : 1))
      return { ...all.told(), groups: told.map(({ group }) => group), others: others?.told() }
    },
  }
}

const mostGroups = 100_000
const mostWithStats = 10_000
const manyStats = 8

/** Of all groups' values together: a user agent is short, an encryption context need not be. */
const manyCharacters = 32 * 1024 * 1024

interface Counting {
  add(found: TrailEntry): void
  told(): TallyCount
}

function openCount(stats: readonly Field[]): Counting {
  const summing: readonly (readonly [Field, Summing])[] = stats.map((field) => [field, openSummary()])
  let count = 0
  let failures = 0
  return {
    add(found) {
      count++
      if (found.entry.outcome === 'failure') failures++
      for (const [{ of }, sum] of summing) {
        const value = of(found)
        if (typeof value === 'number') sum.add(value)
      }
    },
    told: () => ({
      count,
      failures,
      stats: Object.fromEntries(summing.map(([{ name }, sum]) => [name, sum.summary()])),
    }),
  }
}
