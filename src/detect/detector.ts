/**
 * The detector: shows each entry to the rules that look at its action, in order, and tells what they find. Its only memory is
 * a state of bounded tables; its only time is that of the entries, so an old trail gives the same findings again.
 */
import { type Clock, systemClock } from '../model/clock.ts'
import type { AuditEntry } from '../model/entry.ts'
import { describeForeign, KmsError } from '../model/errors.ts'
import { type Finding, findingID, keptEvidence, type Sighting } from './finding.ts'
import { localTime } from './local-time.ts'
import { momentReader } from './moment.ts'
import { nameCache } from './names.ts'
import type { Rule, Seen, Watch } from './rule.ts'
import { type Cells, createTable, type KeptTable, type StoredTable } from './table.ts'
import type { Tools } from './tools.ts'

export interface DetectorOptions {
  /** For `advance()` alone: tells how late it is when nothing happens. */
  readonly clock?: Clock
  /** IANA name of the zone whose hours and days the rules mean; `UTC` by default. */
  readonly timeZone?: string
  /** What `state()` of an earlier detector gave: this one goes on where that one stopped. */
  readonly state?: DetectorState
}

/** Plain JSON. Read it as a whole or not at all: its inside may change with a version. */
export interface DetectorState {
  readonly format: 'keytrail-detector/1'
  readonly entries: number
  readonly duplicates: number
  /** The latest running number of each writer. */
  readonly writers: StoredTable
  readonly rules: Readonly<Record<string, StoredRule>>
}

export interface StoredRule {
  readonly wakeAt?: number
  readonly tables: Readonly<Record<string, StoredTable>>
}

export interface DetectorHealth {
  /** Entries taken, without those that came twice. */
  readonly entries: number
  readonly duplicates: number
  /** Cells that had to make room in bounded tables, by rule: what these rules know is no longer everything. */
  readonly evicted: Readonly<Record<string, number>>
  /** Entries at which a rule failed, by rule, and what its last failure was: such as an entry that was tampered with. */
  readonly failed: Readonly<Record<string, { readonly entries: number; readonly last: string }>>
}

export interface Detector {
  readonly rules: readonly Rule[]
  /**
   * Takes the next entry. Entries come in the order of the trail, all of them; one that came before (same `instance`, a
   * `sequence` not above the last) is left out. Never throws.
   */
  take(entry: AuditEntry): readonly Finding[]
  /** Tells what is plain from the time alone, such as a rotation that did not come. `now` is ms since the epoch, the clock's by default. */
  advance(now?: number): readonly Finding[]
  state(): DetectorState
  health(): DetectorHealth
}

interface Placed {
  readonly rule: Rule
  readonly watch: Watch
  readonly tables: ReadonlyMap<string, KeptTable<Cells>>
  wakeAt: number
}

const phases: readonly AuditEntry['phase'][] = ['intent', 'result', 'amendment']
const maxWriters = 10_000
const maxRoutes = 1000
const none: readonly Finding[] = []

/**
 * Makes a detector of `rules`, such as `shippedRules()`.
 *
 * @throws KmsError `INVALID_INPUT` for two rules of one id, an unknown time zone, or a state that is none.
 * @example
 * ```ts
 * const detector = createDetector(shippedRules({ 'canary-key': { keys: ['honey'] } }), { timeZone: 'Europe/Amsterdam' })
 * for await (const { entry } of readTrail('./audit')) for (const finding of detector.take(entry)) console.log(finding.says)
 * ```
 */
export function createDetector(rules: readonly Rule[], options: DetectorOptions = {}): Detector {
  const { clock = systemClock, timeZone = 'UTC', state } = options
  checkRules(rules)
  if (state !== undefined) checkState(state)
  const local = localTime(timeZone)
  const moment = momentReader()
  const writers = createTable({ max: maxWriters, make: newWriter }, state?.writers)
  const failed = new Map<string, { entries: number; last: string }>()
  const routes = new Map<string, Map<string, readonly Placed[]>>(phases.map((phase) => [phase, new Map()]))
  const namesOf = nameCache()
  let entries = state?.entries ?? 0
  let duplicates = state?.duplicates ?? 0
  /** The earliest of all that rules asked for. */
  let nextWake = Number.POSITIVE_INFINITY
  /** What the rule at work finds, and when. */
  let found: Finding[] = []
  let now = 0

  const placed = rules.map((rule) => place(rule, state?.rules[rule.id]))
  nextWake = Math.min(...placed.map(({ wakeAt }) => wakeAt))
  return { rules, take: takeAny, advance, state: stored, health }

  /** Of a trail that was tampered with an entry may hold anything, where its type says otherwise. */
  function takeAny(entry: AuditEntry): readonly Finding[] {
    try {
      return take(entry)
    } catch (error) {
      fail('detector', describeForeign(error).message)
      return handOver()
    }
  }

  function take(entry: AuditEntry): readonly Finding[] {
    if (!isPlaced(entry)) {
      entries += 1
      fail('detector', 'an entry without its place: eventID, instance, sequence, action and phase')
      return none
    }
    const writer = writers.of(entry.instance)
    const before = writer.sequence
    if (entry.sequence <= before) {
      duplicates += 1
      return none
    }
    entries += 1
    const at = moment(entry.createdAt)
    if (at === undefined) {
      // Its number counts as missing: what cannot be placed in time must not close a gap.
      fail('detector', 'an entry without a moment')
      return none
    }
    if (at >= nextWake) wakeUntil(at)
    now = at
    const seen = seenOf(entry, at, writer)
    writer.sequence = entry.sequence
    writer.at = at
    for (const one of routeOf(entry)) {
      try {
        one.watch.take(seen)
      } catch (error) {
        // An entry of a trail that was tampered with may hold anything; the other rules go on.
        fail(one.rule.id, describeForeign(error).message)
      }
    }
    return handOver()
  }

  function advance(until: number = clock.now()): readonly Finding[] {
    if (until >= nextWake) wakeUntil(until)
    return handOver()
  }

  function handOver(): readonly Finding[] {
    if (found.length === 0) return none
    const handed = found
    found = []
    return handed
  }

  /** In the order of time: what a late look finds is what a timely one would have found. */
  function wakeUntil(until: number): void {
    while (nextWake <= until) {
      now = nextWake
      for (const one of placed) {
        if (one.wakeAt > now) continue
        one.wakeAt = Number.POSITIVE_INFINITY
        try {
          one.watch.wake?.(now)
        } catch (error) {
          fail(one.rule.id, describeForeign(error).message)
        }
      }
      nextWake = Math.min(...placed.map(({ wakeAt }) => wakeAt))
    }
  }

  function routeOf({ action, phase }: AuditEntry): readonly Placed[] {
    const ofPhase = routes.get(phase)
    const known = ofPhase?.get(action)
    if (known !== undefined) return known
    const route = placed.filter(({ rule }) => looksAt(rule, action, phase))
    // Actions come from a file: their number is not ours to trust.
    if (ofPhase !== undefined && ofPhase.size < maxRoutes) ofPhase.set(action, route)
    return route
  }

  function seenOf(entry: AuditEntry, at: number, before: Writer): Seen {
    const { resourceType, resourceIdentity, keySlug, details } = entry
    const { actor, key, pair } = namesOf(entry.actor, resourceType === 'kms_key' ? resourceIdentity : undefined)
    const isFirst = before.sequence < 0
    return {
      entry,
      at,
      actor,
      key,
      pair,
      keyName: textIn(keySlug) ?? key,
      weight: weightIn(details?.joined),
      missed: isFirst ? 0 : entry.sequence - before.sequence - 1,
      sinceMs: isFirst ? undefined : at - before.at,
    }
  }

  function place(rule: Rule, from: StoredRule | undefined): Placed {
    const tables = new Map<string, KeptTable<Cells>>()
    const one = { rule, tables, wakeAt: from?.wakeAt ?? Number.POSITIVE_INFINITY }
    const table: Tools['table'] = (name, made) => {
      if (tables.has(name)) throw new KmsError('INVALID_INPUT', `rule '${rule.id}' has two tables '${name}'`)
      const kept = createTable(made, from?.tables[name])
      tables.set(name, kept)
      return kept
    }
    const tools: Tools = {
      table,
      record: (name, make) => table(name, { max: 1, make }).of(''),
      wake(at) {
        // No moment at all would be the earliest of all, and end every waking.
        if (Number.isNaN(at)) throw new KmsError('INVALID_INPUT', `rule '${rule.id}' asks to be woken at no moment`)
        // Never in the past: a rule that asks for it would be woken for ever.
        const next = Math.max(at, now + 1)
        one.wakeAt = Math.min(one.wakeAt, next)
        nextWake = Math.min(nextWake, one.wakeAt)
      },
      report: (sighting) => void found.push(findingOf(rule, sighting)),
      local,
    }
    return Object.assign(one, { watch: rule.start(tools) })
  }

  function findingOf(rule: Rule, sighting: Sighting): Finding {
    const { id, title, attack, whatToDo } = rule
    const { subject, evidence, level = rule.level, count = evidence.length, from = now, to = now, says } = sighting
    const at = new Date(now).toISOString()
    return {
      ...{ id: findingID(id, at, sighting), rule: id, title, level, attack, at, subject },
      window: { from: new Date(from).toISOString(), to: new Date(to).toISOString() },
      ...{ count, evidence: keptEvidence(evidence), says, whatToDo },
    }
  }

  function fail(rule: string, last: string): void {
    failed.set(rule, { entries: (failed.get(rule)?.entries ?? 0) + 1, last })
  }

  function stored(): DetectorState {
    const each = placed.map(({ rule, tables, wakeAt }) => {
      const kept = Object.fromEntries([...tables].map(([name, table]) => [name, table.stored()]))
      return [rule.id, { ...(Number.isFinite(wakeAt) && { wakeAt }), tables: kept }] as const
    })
    // A copy: what the rules go on to change must not reach into it.
    return plainCopy({
      ...{ format: 'keytrail-detector/1' as const, entries, duplicates },
      writers: writers.stored(),
      rules: Object.fromEntries(each),
    })
  }

  function health(): DetectorHealth {
    const evicted = placed.map(({ rule, tables }) => {
      const counts = [...tables.values()].map((table) => table.evicted)
      return [rule.id, counts.reduce((sum, count) => sum + count, 0)] as const
    })
    return {
      ...{ entries, duplicates },
      evicted: Object.fromEntries(evicted.filter(([, count]) => count > 0)),
      failed: Object.fromEntries(failed),
    }
  }
}

function plainCopy(state: DetectorState): DetectorState {
  // What was just made of a state is one.
  return JSON.parse(JSON.stringify(state)) as DetectorState
}

/** How far a writer has come. */
interface Writer {
  sequence: number
  at: number
}

function newWriter(): Writer {
  return { sequence: -1, at: 0 }
}

/** Whether it has what the detector itself goes by. A trail that was tampered with holds anything. */
function isPlaced(entry: AuditEntry): boolean {
  return (
    typeof entry === 'object' &&
    entry !== null &&
    Number.isSafeInteger(entry.sequence) &&
    entry.sequence >= 0 &&
    typeof entry.instance === 'string' &&
    typeof entry.eventID === 'string' &&
    typeof entry.action === 'string' &&
    typeof entry.phase === 'string'
  )
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function weightIn(joined: unknown): number {
  return typeof joined === 'number' && Number.isSafeInteger(joined) && joined > 0 ? joined : 1
}
function looksAt({ actions, phases = ['result'] }: Rule, action: string, phase: AuditEntry['phase']): boolean {
  if (!phases.includes(phase)) return false
  return actions.some((wanted) => (wanted.endsWith('*') ? action.startsWith(wanted.slice(0, -1)) : action === wanted))
}

function checkRules(rules: readonly Rule[]): void {
  if (!Array.isArray(rules)) throw new KmsError('INVALID_INPUT', "'rules' must be a list of rules")
  const ids = rules.map((rule: Rule) => rule?.id)
  const twice = ids.find((id, at) => ids.indexOf(id) < at)
  if (twice !== undefined) throw new KmsError('INVALID_INPUT', `there are two rules '${twice}'`)
}

/** What a file gives may be anything. */
function checkState(state: unknown): asserts state is DetectorState {
  const fields = (typeof state === 'object' && state !== null ? state : {}) as Readonly<Record<string, unknown>>
  if (fields['format'] !== 'keytrail-detector/1')
    throw new KmsError(
      'INVALID_INPUT',
      "'state' is not what a detector's state() gave, or of another version: begin without it",
    )
}
