/** What a rule set would have refused in a recorded trail, what it would have allowed, and what cannot be told. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { compileRules, type Judgement, type Question, type RuleSet } from './judge.ts'
import { type KeptFields, keptFields, type RecordedCall, type RecordedNeed, recordedCall } from './recorded.ts'
import { type AccessRule, checkRules } from './rules.ts'

/** An entry, or what `readTrail` gives. */
export type RecordedEntry = AuditEntry | { readonly entry: AuditEntry }

/** What an entry does not tell, because the field policy leaves it out or cuts it, or because it stands for many refusals. */
export type Untold = 'actor' | 'key' | 'clientIp' | 'time' | 'operation'

/** Calls of one actor for one action with one key, which one rule judges alike. */
export interface DryRunGroup {
  /** Type and id as the entry has them; absent where it tells of no actor. */
  readonly actor?: string
  readonly action: string
  /** The slug, or what was asked for. */
  readonly key?: string
  /** The deny that would refuse; absent where no rule allows, and where nothing is refused. */
  readonly rule?: string
  /** Of what cannot be told: for want of what. */
  readonly untold?: readonly Untold[]
  readonly calls: number
  /** Of them, those that succeeded then. */
  readonly succeeded: number
  /** `eventID`s of the first five. */
  readonly examples: readonly string[]
}

export interface DryRunTally {
  readonly calls: number
  /** Most calls first; beyond 10,000 the rest by action alone. */
  readonly groups: readonly DryRunGroup[]
}

/** How many calls a rule would refuse; without `rule`, for want of one that allows. */
export interface RuleTally {
  readonly rule?: string
  readonly calls: number
}

export interface DryRun {
  /** Calls that a policy is asked about: each operation once, and each of the refusals that stand in one entry. */
  readonly calls: number
  /** Would be refused, and were not denied then. */
  readonly refused: DryRunTally
  /** Were denied then, and would be allowed. */
  readonly allowed: DryRunTally
  /** Cannot be told from what the entry keeps. */
  readonly unclear: DryRunTally
  /** Every deny, in the order of the rules, then the default. */
  readonly rules: readonly RuleTally[]
}

export interface DryRunOptions {
  /** Judge calls from this moment on, by `createdAt`; what is before it is read all the same, for what it tells of the rest. */
  readonly from?: Date
  /** Judge calls before this moment. */
  readonly to?: Date
}

const mostGroups = 10_000
const mostExamples = 5

type Change = 'refused' | 'allowed' | 'unclear'
type Groups = Map<string, Grown>
interface Grown extends Omit<DryRunGroup, 'examples'> {
  calls: number
  succeeded: number
  examples: string[]
}

/**
 * Holds the calls of a trail to `rules`. Each is judged by what its entry tells, with the hours at the entry's own time; an answer
 * that hangs on what the entry does not tell is `unclear`, never a guess. Give the whole trail: an entry `audit.opened` tells which
 * fields are left out, and without it an address that is not there might have been said. What was found by no name
 * (`KEY_NOT_FOUND`) is left out: a policy is never asked about it. `listKeys` is judged as a call, not by what it listed.
 *
 * @throws KmsError `INVALID_INPUT` for wrong rules, or for what is no entry; whatever reading the trail throws.
 *
 * @example
 * ```ts
 * const { refused } = await dryRun(rules, readTrail('./audit'))
 * for (const { actor, action, key, calls } of refused.groups) console.log(calls, actor, action, key)
 * ```
 */
export async function dryRun(
  rules: readonly AccessRule[],
  trail: AsyncIterable<RecordedEntry> | Iterable<RecordedEntry>,
  { from, to }: DryRunOptions = {},
): Promise<DryRun> {
  const checked = checkRules(rules)
  const report = openReport(checked, compileRules(checked))
  const [first, end] = [from?.getTime() ?? Number.NEGATIVE_INFINITY, to?.getTime() ?? Number.POSITIVE_INFINITY]
  const kept = new Map<string, KeptFields>()
  const intents = new Map<string, AuditEntry>()
  for await (const item of trail) {
    const entry = entryOf(item)
    if (entry.action === 'audit.opened') kept.set(entry.instance, keptFields(entry))
    if (entry.phase === 'intent' && entry.operationID !== undefined) intents.set(entry.operationID, entry)
    if (entry.phase !== 'result') continue
    const intent = intents.get(entry.operationID ?? '')
    intents.delete(entry.operationID ?? '')
    judge(entry, intent)
  }
  // Their results are not in what was read.
  for (const intent of intents.values()) judge(intent, intent)
  return report.end()

  function judge(entry: AuditEntry, intent: AuditEntry | undefined): void {
    const at = Date.parse(entry.createdAt)
    if (at >= first && at < end) report.add(recordedCall(entry, kept.get(entry.instance), intent))
  }
}

function openReport(
  rules: readonly AccessRule[],
  set: RuleSet,
): { add(call: RecordedCall | undefined): void; end(): DryRun } {
  const groups: { readonly [C in Change]: Groups } = { refused: new Map(), allowed: new Map(), unclear: new Map() }
  const byRule = new Map<string | undefined, number>(
    rules.filter(({ effect }) => effect === 'deny').map(({ id }) => [id, 0]),
  )
  byRule.set(undefined, 0)
  let calls = 0

  return {
    add(call) {
      if (call === undefined) return
      calls += call.calls
      const judgement = judgementOf(set, call)
      const { verdict, rule } = judgement
      const wasDenied = call.entry.error === 'ACCESS_DENIED'
      if (verdict === 'unclear') return count(groups.unclear, call, judgement)
      if (verdict === 'allowed' && wasDenied) return count(groups.allowed, call, judgement)
      if (verdict === 'allowed' || wasDenied) return
      byRule.set(rule, (byRule.get(rule) ?? 0) + call.calls)
      count(groups.refused, call, judgement)
    },
    end: () => ({
      calls,
      refused: tallyOf(groups.refused),
      allowed: tallyOf(groups.allowed),
      unclear: tallyOf(groups.unclear),
      rules: [...byRule].map(([rule, refused]) => ({ ...(rule !== undefined && { rule }), calls: refused })),
    }),
  }
}

/** Of all that a call needs, and, where the entry leaves open which operation it was, of each. */
function judgementOf(set: RuleSet, { alternatives }: RecordedCall): Judgement {
  const [first, ...others] = alternatives.map((needs) => judgementOfAll(set, needs))
  const isSame = others.every(({ verdict }) => verdict === first?.verdict)
  return first !== undefined && isSame ? first : { verdict: 'unclear' }
}

function judgementOfAll(set: RuleSet, needs: readonly RecordedNeed[]): Judgement {
  const judgements = needs.map(({ permission, question }) => set.judge(permission, question))
  return (
    judgements.find(({ verdict }) => verdict === 'refused') ??
    judgements.find(({ verdict }) => verdict === 'unclear') ?? { verdict: 'allowed' }
  )
}

function count(groups: Groups, call: RecordedCall, { verdict, rule }: Judgement): void {
  const { entry } = call
  const untold = verdict === 'unclear' ? untoldOf(call) : undefined
  const told = { ...aboutOf(entry), ...(rule !== undefined && { rule }), ...(untold && { untold }) }
  const name = JSON.stringify(told)
  const group = groups.get(name) ?? begin(groups, name, told)
  group.calls += call.calls
  if (entry.outcome === 'success') group.succeeded += call.calls
  if (group.examples.length < mostExamples) group.examples.push(entry.eventID)
}

function begin(groups: Groups, name: string, told: Omit<DryRunGroup, 'calls' | 'succeeded' | 'examples'>): Grown {
  const isFull = groups.size >= mostGroups
  const { action } = told
  const key = isFull ? JSON.stringify({ action }) : name
  const group = groups.get(key) ?? { ...(isFull ? { action } : told), calls: 0, succeeded: 0, examples: [] }
  groups.set(key, group)
  return group
}

function aboutOf({ actor, action, keySlug, resourceIdentity }: AuditEntry): {
  readonly actor?: string
  readonly action: string
  readonly key?: string
} {
  const key = keySlug ?? resourceIdentity
  return {
    ...(actor !== undefined && { actor: actor.id === undefined ? actor.type : `${actor.type}:${actor.id}` }),
    action,
    ...(key !== undefined && { key }),
  }
}

function untoldOf({ alternatives }: RecordedCall): readonly Untold[] {
  const questions = alternatives.flat().map(({ question }) => question)
  const some = (lacks: (question: Question) => boolean) => questions.some(lacks)
  const all: readonly (readonly [Untold, boolean])[] = [
    ['actor', some(({ actor }) => actor === 'untold' || (actor.type !== 'unknown' && actor.id === undefined))],
    ['key', some(({ key }) => key === 'untold')],
    ['clientIp', some(({ clientIp }) => clientIp === 'untold' || (clientIp !== 'unknown' && 'network' in clientIp))],
    ['time', some(({ at }) => at === 'untold')],
    ['operation', alternatives.length > 1],
  ]
  return all.filter(([, isUntold]) => isUntold).map(([name]) => name)
}

function tallyOf(groups: Groups): DryRunTally {
  const sorted = [...groups.values()].sort((a, b) => b.calls - a.calls)
  return { calls: sorted.reduce((sum, { calls }) => sum + calls, 0), groups: sorted }
}

function entryOf(item: RecordedEntry): AuditEntry {
  const entry = typeof item === 'object' && item !== null && 'entry' in item ? item.entry : item
  if (typeof entry?.action !== 'string' || typeof entry.phase !== 'string')
    throw new KmsError('INVALID_INPUT', 'the trail must give entries, as readTrail does')
  return entry
}
