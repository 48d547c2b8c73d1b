/** What is evaluated: the shipped rules as they are, told what the company knows of itself, and nothing else. */
import { createDetector } from '../../src/detect/detector.ts'
import { type RuleSettings, shippedRules } from '../../src/detect/shipped.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Finding } from './evaluate.ts'
import type { Company, SigningHours } from './life/company.ts'

export function detect(entries: Iterable<AuditEntry>, company: Company): readonly Finding[] {
  const detector = createDetector(shippedRules(settingsOf(company)), { timeZone: company.timeZone })
  const findings: Finding[] = []
  let last = 0
  for (const entry of entries) {
    for (const finding of detector.take(entry)) findings.push(judged(finding))
    last += 1
  }
  const { failed } = detector.health()
  if (last > 0 && Object.keys(failed).length > 0) throw new Error(`rules failed: ${JSON.stringify(failed)}`)
  return findings
}

/** Lists that a company has to write down, and deadlines that it sets itself; every threshold is the shipped one. */
export function settingsOf(company: Company): RuleSettings {
  const { expectedDecryptors, networks, canaryKeys, signingHours, rotationPolicy, oldVersionDeadlineDays } = company
  const actors = Object.entries(expectedDecryptors).map(([key, ids]) => [key, ids.map(anyTypeOf)])
  return {
    'unexpected-decrypt': { actors: { ...Object.fromEntries(actors), '*': [] }, networks },
    'decrypt-cap': { perActor: company.decryptCapPerHour },
    'canary-key': { keys: canaryKeys },
    'signing-outside-hours': { keys: mapped(signingHours, hoursOf) },
    'manual-rotation': { actors: rotationPolicy.manualBy.map(anyTypeOf) },
    'rotation-overdue': { maxDays: rotationPolicy.periodDays, grace: `${rotationPolicy.graceHours}h` },
    'old-version': { keys: mapped(oldVersionDeadlineDays, (days) => `${days}d`), deadline: '3650d' },
    'trail-pruned': { minDays: company.retentionDays },
  }
}

/** The company names people and services by id; ids are of one type only. */
function anyTypeOf(id: string): string {
  return `*:${id}`
}

function mapped<V, R>(record: Readonly<Record<string, V>>, of: (value: V) => R): Readonly<Record<string, R>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, of(value)]))
}

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

function hoursOf({ weekdays, fromHour, toHour }: SigningHours) {
  return { startHour: fromHour, endHour: toHour, days: weekdays.flatMap((day) => days[day] ?? []) }
}

function judged({ subject, ...finding }: ReturnType<ReturnType<typeof createDetector>['take']>[number]): Finding {
  // The evaluation names actors by id alone.
  const actor = subject.actor?.slice(subject.actor.indexOf(':') + 1)
  return { ...finding, subject: { ...subject, actor } }
}
