/** What a detector found, held against what was done: recall for each attack, false alarms and precision for each rule. */
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Expectations } from './expected.ts'
import type { Company } from './life/company.ts'
import type { Truth } from './truth.ts'

export type Level = 'informational' | 'low' | 'medium' | 'high' | 'critical'

export interface Finding {
  readonly rule: string
  readonly level: Level
  /** When it was found, RFC 3339. */
  readonly at: string
  /** `eventID`s. */
  readonly evidence: readonly string[]
  /** RFC 3339. */
  readonly window: { readonly from: string; readonly to: string }
  /** Whom or what it is about: key (identity or slug), actor (id), instance … */
  readonly subject: Readonly<Record<string, string | undefined>>
}

/** Goes through `entries` once, in order. */
export type Detect = (
  entries: Iterable<AuditEntry>,
  company: Company,
) => readonly Finding[] | Promise<readonly Finding[]>

export interface AttackJudgement {
  readonly truth: Truth
  /** Rules that were expected to find it and did; none: it was missed. */
  readonly foundBy: readonly string[]
  /** Others that have evidence of it. */
  readonly seenBy: readonly string[]
  /** From its beginning until the first of `foundBy`, ms. */
  readonly delayMs: number | undefined
}

export interface FindingJudgement {
  readonly finding: Finding
  /** Medium, high or critical: somebody is called. */
  readonly isAlarm: boolean
  /** Some of its evidence is of an attack, or of what an attack brought about. */
  readonly isTrue: boolean
}

export interface Judgement {
  readonly attacks: readonly AttackJudgement[]
  readonly findings: readonly FindingJudgement[]
}

/**
 * Judges the findings of one life. An attack is found when a rule that is expected to find it has evidence among its entries; what is
 * missing (a rotation, a heartbeat, numbers) also when a finding names the same subject in a window that overlaps.
 *
 * Throws if no rule is expected to find an attack.
 */
export function judge(
  findings: readonly Finding[],
  { truths, expected }: { readonly truths: readonly Truth[]; readonly expected: Expectations },
): Judgement {
  const places = placesOf(truths)
  const absences = truths.filter(({ isAbsence }) => isAbsence)
  const found = new Map<Truth, Finding[]>(truths.map((truth) => [truth, []]))
  const judged = findings.map((finding): FindingJudgement => {
    const { own, isAftermath } = touched(finding, places)
    for (const truth of absences) if (isOf(finding, truth)) own.add(truth)
    for (const truth of own) found.get(truth)?.push(finding)
    return { finding, isAlarm: isAlarm(finding), isTrue: own.size > 0 || isAftermath }
  })
  return { attacks: truths.map((truth) => judgeAttack(truth, found.get(truth) ?? [], expected)), findings: judged }
}

function judgeAttack(truth: Truth, findings: readonly Finding[], expected: Expectations): AttackJudgement {
  const rules = expected[truth.kind] ?? []
  if (rules.length === 0) throw new Error(`no rule is expected to find ${truth.kind}`)
  const hits = findings.filter(({ rule }) => rules.includes(rule))
  const first = Math.min(...hits.map(({ at }) => Date.parse(at)))
  return {
    truth,
    foundBy: named(hits),
    seenBy: named(findings.filter(({ rule }) => !rules.includes(rule))),
    delayMs: hits.length === 0 ? undefined : first - Date.parse(truth.from),
  }
}

function named(findings: readonly Finding[]): readonly string[] {
  return [...new Set(findings.map(({ rule }) => rule))].sort()
}

export function isAlarm({ level }: Finding): boolean {
  return level === 'medium' || level === 'high' || level === 'critical'
}

/** Which attack an entry is of, and whether it is one that an attack has brought about. */
interface Places {
  readonly own: ReadonlyMap<string, readonly Truth[]>
  readonly aftermath: ReadonlySet<string>
}

function placesOf(truths: readonly Truth[]): Places {
  const own = new Map<string, Truth[]>()
  const aftermath = new Set<string>()
  for (const truth of truths) {
    for (const eventID of truth.eventIDs) own.set(eventID, [...(own.get(eventID) ?? []), truth])
    for (const eventID of truth.aftermath) aftermath.add(eventID)
  }
  return { own, aftermath }
}

function touched({ evidence }: Finding, places: Places) {
  const own = new Set<Truth>()
  let isAftermath = false
  for (const eventID of evidence) {
    for (const truth of places.own.get(eventID) ?? []) own.add(truth)
    isAftermath ||= places.aftermath.has(eventID)
  }
  return { own, isAftermath }
}

/** Whether a finding tells of what is missing: at the time, and of the same key, actor or writer. */
function isOf({ window, subject }: Finding, { from, to, key, actor, writer }: Truth): boolean {
  if (Date.parse(window.from) > Date.parse(to) || Date.parse(window.to) < Date.parse(from)) return false
  const names = Object.values(subject).filter((name) => name !== undefined)
  if (key !== undefined && !names.includes(key.identity) && !names.includes(key.slug)) return false
  if (actor !== undefined && !names.includes(actor)) return false
  // An instance is called by its writer's name and the id of a start.
  if (writer !== undefined && !names.some((name) => name === writer || name.startsWith(`${writer}-`))) return false
  return key !== undefined || actor !== undefined || writer !== undefined
}
