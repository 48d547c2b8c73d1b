/** Rotations that did not come: what no entry tells, only the time. */
import { msOf } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import type { Step } from '../example.ts'
import { dayMs, longestDays, type RotationPolicy, rotationPolicies } from '../rotation-policy.ts'
import { defineRule, type Rule, type Seen, type Watch } from '../rule.ts'
import { checkTexts } from '../texts.ts'
import type { Tools } from '../tools.ts'
import { counted, lengthOf, word } from '../words.ts'

interface Memory {
  /** The newest entry of any kind: whether somebody is there at all. */
  seenAt: number
  /** Findings since then. */
  told: number
  /** More is to be told once an entry comes. */
  isHeld: boolean
}

const noDays: { readonly [key: string]: number } = {}
const selfRotating: readonly string[] = ['aws-kms', 'vault-transit']
const hourMs = 3_600_000
/** After so long without any entry the trail stands still, or its clock has jumped: then a few findings are enough. */
const stillMs = 2 * dayMs
const mostWhileStill = 5

export const rotationOverdue: Rule = defineRule({
  id: 'rotation-overdue',
  title: 'A rotation is overdue',
  level: 'medium',
  attack: [],
  why: 'A key that should rotate and does not protects more than it was meant to, for longer. Mostly it tells that the scheduler does not run.',
  falsePositives: [
    'A trail that does not hold the rotations: another program makes them, or a provider whose name is not among selfRotating.',
  ],
  whatToDo:
    'Look whether the rotation scheduler runs, and for failed kms.rotate.scheduled of this key. Rotate it by hand with the reason, then mend the scheduler.',
  actions: ['kms.*', 'kms_key.*', 'audit.*'],
  parameters: {
    /** After the day on which it is due: a scheduler that was down over a weekend has caught up. */
    grace: '2d',
    /** Told again, while it lasts. */
    again: '7d',
    /** Most days between rotations by slug or identity of keys, whatever their own policy says; `*` for every other key. */
    maxDays: noDays,
    /** Providers that rotate keys by themselves and leave no entry of it: AWS KMS, Vault and OpenBao. */
    selfRotating,
  },
  check({ grace, again, maxDays, selfRotating }) {
    msOf('grace', grace)
    if (msOf('again', again) < hourMs) refuse("'again' must be at least an hour")
    const isDays = (days: unknown) => typeof days === 'number' && days >= 1 && days <= longestDays
    if (!Object.values(maxDays).every(isDays)) refuse("'maxDays' must hold numbers of days from 1 to 3650, by key")
    checkTexts('selfRotating', selfRotating)
  },
  watch({ grace, again, maxDays, selfRotating }, tools) {
    const most = new Map(Object.entries(maxDays))
    return overdue(tools, {
      graceMs: msOf('grace', grace),
      againMs: msOf('again', again),
      maxDaysOf: (key, name) => most.get(name) ?? most.get(key) ?? most.get('*') ?? 0,
      watchesUse: most.size > 0,
      rotatesItself: (provider) => selfRotating.includes(provider),
    })
  },
  examples: [
    {
      says: 'the day has come and gone, then it is told each week while there are entries',
      findings: 3,
      levels: ['medium', 'medium', 'medium'],
      steps: [
        { action: 'kms_key.create', with: { details: { keyRotationEnabled: true, rotationPeriodInDays: 30 } } },
        { action: 'audit.heartbeat', after: '1h', times: 24 * 50, every: '1h' },
      ],
    },
    {
      says: 'nothing happens at all: once',
      findings: 1,
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 1 } } },
        { action: 'audit.heartbeat', after: '300d' },
      ],
    },
    {
      says: 'in the days of grace',
      findings: 0,
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 30 } } },
        { action: 'audit.heartbeat', after: '31d' },
      ],
    },
    {
      says: 'each time in time, by schedule or by hand',
      findings: 0,
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 30 } } },
        { action: 'kms.rotate.scheduled', after: '30d', times: 5, every: '30d' },
        { action: 'kms.rotate', after: '10d', times: 3, every: '29d' },
        { action: 'audit.heartbeat', after: '31d' },
      ],
    },
    {
      says: 'a rotation that failed is none',
      findings: 1,
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 30 } } },
        { action: 'kms.rotate.scheduled', after: '30d', with: { outcome: 'failure', error: 'INTERNAL' } },
        { action: 'audit.heartbeat', after: '3d' },
      ],
    },
    {
      says: 'overdue, rotated, and overdue again at once: the week is of one rotation',
      findings: 2,
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 1 } } },
        { action: 'kms.rotate', after: '4d' },
        { action: 'audit.heartbeat', after: '4d' },
      ],
    },
    {
      says: 'switched on for an old key, and not done',
      findings: 1,
      steps: [
        { action: 'kms_key.create' },
        {
          action: 'kms_key.update',
          after: '400d',
          with: { details: { keyRotationEnabled: true, rotationPeriodInDays: 90 } },
        },
        { action: 'audit.heartbeat', after: '3d' },
      ],
    },
    {
      says: 'disabled, to be deleted, destroyed, or without a policy any more',
      findings: 0,
      steps: [
        ...['disable', 'delete', 'destroy', 'update'].flatMap((verb): readonly Step[] => {
          const key = { resourceIdentity: `kms-${verb}`, keySlug: verb }
          return [
            { action: 'kms_key.create', with: { ...key, details: { rotationPeriodInDays: 30 } } },
            { action: `kms_key.${verb}`, after: '1h', with: { ...key, details: { keyRotationEnabled: false } } },
          ]
        }),
        { action: 'audit.heartbeat', after: '100d' },
      ],
    },
    {
      says: 'enabled again long after: the days of grace begin anew',
      findings: 0,
      steps: backAfter('1d'),
    },
    {
      says: 'enabled again, and not rotated in the days of grace either',
      findings: 1,
      steps: backAfter('2d'),
    },
    {
      says: 'two rotations by schedule tell the period of a key whose creation nobody saw',
      findings: 1,
      steps: [
        { action: 'kms.rotate.scheduled', with: { details: { dueAt: '2026-01-01T11:30:00.000Z' } } },
        { action: 'kms.rotate.scheduled', after: '30d', with: { details: { dueAt: '2026-01-31T12:00:00.000Z' } } },
        { action: 'audit.heartbeat', after: '33d' },
      ],
    },
    {
      says: 'a key by its name, which is only ever used',
      findings: 1,
      parameters: { maxDays: { orders: 7 } },
      steps: [
        { action: 'kms.encrypt', times: 10, every: '1d' },
        { action: 'kms.encrypt', times: 4, every: '1d', with: { resourceIdentity: 'kms-other', keySlug: 'other' } },
      ],
    },
    {
      says: 'AWS KMS rotates by itself, and leaves no entry of it',
      findings: 0,
      steps: [
        {
          action: 'kms_key.update',
          with: { details: { keyRotationEnabled: true, rotationPeriodInDays: 90 }, provider: { name: 'aws-kms' } },
        },
        { action: 'audit.heartbeat', after: '200d' },
      ],
    },
  ],
})

function backAfter(after: string): readonly Step[] {
  return [
    { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 30 } } },
    { action: 'kms_key.disable', after: '1d' },
    { action: 'kms_key.enable', after: '98d' },
    // What was not pending is not taken back.
    { action: 'kms_key.cancel_deletion', after: '1d' },
    { action: 'audit.heartbeat', after },
  ]
}

interface Course {
  readonly graceMs: number
  readonly againMs: number
  /** 0 for none. */
  readonly maxDaysOf: (key: string, name: string) => number
  readonly watchesUse: boolean
  readonly rotatesItself: (provider: string) => boolean
}

function overdue(tools: Tools, course: Course): Watch {
  const policies = rotationPolicies(tools)
  const memory = tools.record<Memory>('memory', () => ({ seenAt: 0, told: 0, isHeld: false }))
  return {
    take(seen) {
      const { entry, at, key } = seen
      // A look is due: at what was held back while the trail stood still, and after a clock was set back.
      if (memory.isHeld || at < memory.seenAt - dayMs) tools.wake(nextHour(at))
      memory.seenAt = at
      memory.told = 0
      memory.isHeld = false
      if (key === undefined) return
      const { action } = entry
      if (action === 'kms.decrypt' || action === 'kms.encrypt') {
        if (course.watchesUse && entry.outcome === 'success') watchUse(seen, key)
        return
      }
      if (course.rotatesItself(entry.provider?.name ?? '')) return
      const policy = policies.take(seen)
      if (policy !== undefined) plan(key, policy, at)
    },
    wake(now) {
      for (const [key, policy] of policies.entries()) {
        const due = dueOf(key, policy, now)
        if (due === undefined) continue
        if (due > now) tools.wake(nextHour(due))
        else if (mayTell(policy, now)) tell(key, policy, now)
        // Asked anew by the next entry, whenever that comes.
        else memory.isHeld = true
      }
    },
  }

  function watchUse(seen: Seen, key: string): void {
    if (policies.get(key) === undefined && course.maxDaysOf(key, seen.keyName ?? key) > 0)
      plan(key, policies.used(seen, key), seen.at)
  }

  function plan(key: string, policy: RotationPolicy, now: number): void {
    const due = dueOf(key, policy, now)
    if (due !== undefined) tools.wake(nextHour(Math.max(due, now)))
  }

  /** When it is to be told of next; undefined for never. */
  function dueOf(key: string, policy: RotationPolicy, now: number): number | undefined {
    const days = daysOf(key, policy)
    if (days === 0 || policy.isDisabled || policy.isPending) return undefined
    // Dated by a clock that was ahead: it was made now at the latest.
    if (policy.base > now + hourMs) policy.base = now
    if (policy.since > now + hourMs) policy.since = now
    if (policy.told > now + hourMs) policy.told = 0
    const due = Math.max(policy.base + days * dayMs, policy.since) + course.graceMs
    return policy.told === 0 ? due : Math.max(due, policy.told + course.againMs)
  }

  function daysOf(key: string, { name, period }: RotationPolicy): number {
    const most = course.maxDaysOf(key, name)
    return period > 0 && most > 0 ? Math.min(period, most) : Math.max(period, most)
  }

  /** While no entry comes, nothing is told twice; and if time has run far ahead of the entries, a few keys stand for all. */
  function mayTell({ told }: RotationPolicy, now: number): boolean {
    if (told !== 0 && memory.seenAt <= told) return false
    return memory.told < mostWhileStill || now - memory.seenAt <= stillMs
  }

  function tell(key: string, policy: RotationPolicy, now: number): void {
    memory.told += 1
    policy.told = now
    tools.wake(nextHour(now + course.againMs))
    const { name, eventID, base } = policy
    const says = sentenceOf(policy, daysOf(key, policy), now)
    tools.report({ subject: { key: name }, evidence: [eventID], from: base, says })
  }
}

function sentenceOf({ name, base, isMade }: RotationPolicy, days: number, now: number): string {
  const age = lengthOf(now - base)
  const state = isMade
    ? `the newest version of key ${word(name)} is ${age} old`
    : `key ${word(name)} was seen without a rotation for ${age}`
  return `${state}, and it is to rotate every ${counted(days, 'day')}`
}

/** Due keys are evaluated hourly. */
function nextHour(at: number): number {
  return Math.ceil((at + 1) / hourMs) * hourMs
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', `rule 'rotation-overdue': ${message}`)
}
