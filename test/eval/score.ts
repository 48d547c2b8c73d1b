/** Judgements of several lives, added up: by attack, by rule, and in all; and whether the aims are met. */
import type { Judgement } from './evaluate.ts'
import type { Truth } from './truth.ts'

/** One life that was judged. */
export interface Trial {
  readonly seed: number
  /** Ordinary life alone, or with attacks woven in. */
  readonly life: 'ordinary' | 'attacked'
  readonly days: number
  readonly entries: number
  /** Of the detector alone. */
  readonly seconds: number
  readonly judgement: Judgement
}

export interface KindScore {
  readonly kind: string
  readonly attacks: number
  readonly found: number
  readonly foundBy: readonly string[]
  readonly seenBy: readonly string[]
  /** The middle one of the delays of those found, ms. */
  readonly delayMs: number | undefined
}

export interface RuleScore {
  readonly rule: string
  /** Attacks that it is expected to find, alone or with others, and how many of them it found. */
  readonly expected: number
  readonly found: number
  /** Alarms in attacked lives, with evidence of an attack and without. */
  readonly trueAlarms: number
  readonly falseAlarms: number
  /** Alarms in ordinary life, all of which are false, and the findings that call nobody. */
  readonly ordinaryAlarms: number
  readonly ordinaryQuiet: number
}

export interface Score {
  readonly seeds: readonly number[]
  readonly entries: number
  readonly entriesPerSecond: number
  readonly attacks: number
  readonly found: number
  readonly recall: number
  /** Of the alarms in attacked lives, those that were true; 1 if there were none. */
  readonly precision: number
  /** Alarms a day in ordinary life. */
  readonly falseAlarmsPerDay: number
  readonly quietPerDay: number
  readonly kinds: readonly KindScore[]
  readonly rules: readonly RuleScore[]
  readonly missed: readonly Missed[]
}

/** An attack that nobody found. */
export interface Missed {
  readonly seed: number
  readonly kind: string
  readonly variant: string
  readonly from: string
  readonly to: string
  readonly key?: string
  readonly actor?: string
  /** The first of them, to look them up. */
  readonly eventIDs: readonly string[]
}

export interface Aims {
  readonly recall: number
  readonly falseAlarmsPerDay: number
  readonly entriesPerSecond: number
}

export const aims: Aims = { recall: 0.95, falseAlarmsPerDay: 1, entriesPerSecond: 300_000 }

/** What is not as it should be, in words; empty if all is. */
export function shortfalls(score: Score, wanted: Aims = aims): readonly string[] {
  const { recall, falseAlarmsPerDay, entriesPerSecond } = score
  return [
    ...(recall < wanted.recall ? [`recall ${percent(recall)} is below ${percent(wanted.recall)}`] : []),
    ...(falseAlarmsPerDay > wanted.falseAlarmsPerDay
      ? [`${falseAlarmsPerDay.toFixed(2)} false alarms a day are more than ${wanted.falseAlarmsPerDay}`]
      : []),
    ...(entriesPerSecond < wanted.entriesPerSecond
      ? [`${Math.round(entriesPerSecond)} entries a second are fewer than ${wanted.entriesPerSecond}`]
      : []),
  ]
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

/** `expected`: by attack kind, the rules that may find it. */
export function scoreOf(trials: readonly Trial[], expected: Readonly<Record<string, readonly string[]>>): Score {
  const attacked = trials.filter(({ life }) => life === 'attacked')
  const ordinary = trials.filter(({ life }) => life === 'ordinary')
  const attacks = attacked.flatMap(({ judgement }) => judgement.attacks)
  const found = attacks.filter(({ foundBy }) => foundBy.length > 0)
  const alarms = attacked.flatMap(({ judgement }) => judgement.findings).filter(({ isAlarm }) => isAlarm)
  const quiet = ordinary.flatMap(({ judgement }) => judgement.findings)
  const days = sum(ordinary.map((trial) => trial.days))
  const entries = sum(trials.map((trial) => trial.entries))
  return {
    seeds: [...new Set(trials.map(({ seed }) => seed))],
    entries,
    entriesPerSecond: entries / Math.max(1e-9, sum(trials.map(({ seconds }) => seconds))),
    attacks: attacks.length,
    found: found.length,
    recall: share(found.length, attacks.length),
    precision: share(alarms.filter(({ isTrue }) => isTrue).length, alarms.length),
    falseAlarmsPerDay: quiet.filter(({ isAlarm }) => isAlarm).length / Math.max(1, days),
    quietPerDay: quiet.filter(({ isAlarm }) => !isAlarm).length / Math.max(1, days),
    kinds: kindsOf(attacked),
    rules: rulesOf(trials, expected),
    missed: attacked.flatMap(({ seed, judgement }) =>
      judgement.attacks.filter(({ foundBy }) => foundBy.length === 0).map(({ truth }) => missedOf(seed, truth)),
    ),
  }
}

function missedOf(seed: number, { kind, variant, from, to, key, actor, eventIDs }: Truth): Missed {
  return {
    seed,
    kind,
    variant,
    from,
    to,
    ...(key !== undefined && { key: key.slug }),
    ...(actor !== undefined && { actor }),
    eventIDs: eventIDs.slice(0, 3),
  }
}

function kindsOf(attacked: readonly Trial[]): readonly KindScore[] {
  const all = attacked.flatMap(({ judgement }) => judgement.attacks)
  return [...new Set(all.map(({ truth }) => truth.kind))].map((kind) => {
    const attacks = all.filter(({ truth }) => truth.kind === kind)
    const delays = attacks.flatMap(({ delayMs }) => (delayMs === undefined ? [] : [delayMs])).sort((a, b) => a - b)
    return {
      kind,
      attacks: attacks.length,
      found: delays.length,
      foundBy: [...new Set(attacks.flatMap(({ foundBy }) => foundBy))].sort(),
      seenBy: [...new Set(attacks.flatMap(({ seenBy }) => seenBy))].sort(),
      delayMs: delays[Math.floor(delays.length / 2)],
    }
  })
}

function rulesOf(
  trials: readonly Trial[],
  expected: Readonly<Record<string, readonly string[]>>,
): readonly RuleScore[] {
  const attacked = trials.filter(({ life }) => life === 'attacked')
  const attacks = attacked.flatMap(({ judgement }) => judgement.attacks)
  const findings = trials.flatMap(({ life, judgement }) => judgement.findings.map((judged) => ({ ...judged, life })))
  const rules = new Set([...Object.values(expected).flat(), ...findings.map(({ finding }) => finding.rule)])
  return [...rules].sort().map((rule) => {
    const own = findings.filter(({ finding }) => finding.rule === rule)
    const alarms = own.filter(({ life, isAlarm }) => life === 'attacked' && isAlarm)
    const calm = own.filter(({ life }) => life === 'ordinary')
    const due = attacks.filter(({ truth }) => expected[truth.kind]?.includes(rule))
    return {
      rule,
      expected: due.length,
      found: due.filter(({ foundBy }) => foundBy.includes(rule)).length,
      trueAlarms: alarms.filter(({ isTrue }) => isTrue).length,
      falseAlarms: alarms.filter(({ isTrue }) => !isTrue).length,
      ordinaryAlarms: calm.filter(({ isAlarm }) => isAlarm).length,
      ordinaryQuiet: calm.filter(({ isAlarm }) => !isAlarm).length,
    }
  })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

/** 1 where there is nothing to have a share in. */
function share(part: number, whole: number): number {
  return whole === 0 ? 1 : part / whole
}
