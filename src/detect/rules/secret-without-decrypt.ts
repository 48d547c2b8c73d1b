/** The value of a secret was read or written, and no KMS call is recorded for it. */
import { msOf } from '../../model/duration.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { wholeSecond } from '../seconds.ts'
import { whoOf } from '../who.ts'
import { counted, listed, word } from '../words.ts'

export const secretWithoutDecrypt: Rule = defineRule({
  id: 'secret-without-decrypt',
  title: 'A secret was read without its decryption',
  level: 'high',
  attack: ['T1555'],
  why: 'A value cannot be read or written without its key. If no KMS call is recorded for it, the key was used where nobody records it, such as after an export, or the entry was kept out of the trail.',
  falsePositives: ['Entries that were left out when this trail was copied or filtered.'],
  whatToDo:
    'Verify the trail. If it is whole, find out which process gave the value, and where its key is besides the KMS; rotate the key, and change the secrets that are named.',
  actions: ['kms.*', 'secret.get_value', 'secret.put_value', 'secret.create'],
  parameters: {
    /** The KMS call stands before the secret's entry; where trails are read together it may come so much later. */
    wait: '2m',
    /** Of one actor, once in so long. */
    quiet: '1d',
  },
  watch({ wait, quiet }, tools) {
    const waitMs = msOf('wait', wait)
    /** KMS calls in the name of the Secrets Manager, by their `eventID`, until the secret's entry names them. */
    const calls = tools.table<{ failed: 0 | 1 }>('calls', { max: 10_000, make: () => ({ failed: 0 }) })
    /** Entries of secrets whose KMS call is missing so far, by their `eventID`. */
    const lonely = tools.table<Lonely>('lonely', {
      max: 5000,
      make: () => ({ at: 0, who: '', isActor: false, path: '', kms: '' }),
    })
    const told = quietFor(tools, { name: 'told', span: msOf('quiet', quiet), max: 5000 })
    const state = tools.record('state', () => ({ from: -1 }))

    return {
      take(seen) {
        const { entry, at } = seen
        if (state.from < 0) state.from = at
        if (entry.action.startsWith('secret.')) hearSecret(seen)
        else if (entry.origin?.service === 'secrets-manager') {
          calls.of(entry.eventID).failed = entry.outcome === 'success' ? 0 : 1
          if (lonely.size > 0) join(entry)
        }
      },
      wake(now) {
        const due = new Map<string, (Lonely & { readonly eventID: string })[]>()
        let next = Number.POSITIVE_INFINITY
        for (const [eventID, each] of lonely.entries()) {
          // A clock that was set back makes what is later than now as old as it can be.
          if (now - each.at < waitMs && each.at <= now + waitMs) {
            next = Math.min(next, each.at + waitMs)
            continue
          }
          lonely.delete(eventID)
          due.set(each.who, [...(due.get(each.who) ?? []), { ...each, eventID }])
        }
        if (next !== Number.POSITIVE_INFINITY) tools.wake(wholeSecond(next))
        for (const [who, group] of due) tell(who, group, now)
      },
    }

    function hearSecret(seen: Seen): void {
      const { entry, at } = seen
      const { eventID, operationID, details } = entry
      const named = typeof details?.kmsEventID === 'string' ? details.kmsEventID : ''
      const call = named === '' ? undefined : calls.get(named)
      calls.delete(named)
      if (!needsKms(entry) || call?.failed === 0) return
      // It was begun before the first entry that was seen, and so may its KMS call be.
      if (timeOf(operationID ?? eventID) <= state.from) return
      const each = lonely.of(eventID)
      each.at = at
      each.who = whoOf(seen)
      each.isActor = seen.actor !== undefined
      each.path = typeof entry.resourceIdentity === 'string' ? entry.resourceIdentity : 'unknown'
      each.kms = named
      tools.wake(wholeSecond(at + waitMs))
    }

    /** A KMS call that comes late. */
    function join({ eventID, origin, outcome }: AuditEntry): void {
      const named = typeof origin?.eventID === 'string' ? origin.eventID : ''
      if (outcome === 'success' && lonely.get(named)?.kms === eventID) lonely.delete(named)
    }

    function tell(who: string, group: readonly (Lonely & { readonly eventID: string })[], now: number): void {
      if (told.has(who, now)) return
      told.begin(who, now)
      const paths = [...new Set(group.map(({ path }) => path))]
      const [path = 'unknown', ...others] = paths
      tools.report({
        subject: { ...(group[0]?.isActor === true && { actor: who }), ...(others.length === 0 && { secret: path }) },
        evidence: group.map(({ eventID }) => eventID),
        from: group[0]?.at ?? now,
        to: group.at(-1)?.at ?? now,
        says: `${word(who)} read or wrote ${listed(paths)} in ${counted(group.length, 'call')}, and no KMS call is recorded for that`,
      })
    }
  },
  examples: [
    {
      says: 'a read that names no KMS call',
      findings: 1,
      levels: ['high'],
      steps: [
        { action: 'kms.encrypt' },
        { action: 'secret.get_value', after: '5s', with: secret(0) },
        { action: 'audit.heartbeat', after: '5m' },
      ],
    },
    {
      says: 'a read that names a KMS call which is not there',
      findings: 1,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'secret.get_value', after: '5s', with: secret(0, 'nowhere') },
        { action: 'kms.encrypt', after: '5m' },
      ],
    },
    {
      says: 'a read whose KMS call was refused',
      findings: 1,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms.decrypt', after: '5s', with: { ...call(0), outcome: 'failure' } },
        { action: 'secret.get_value', with: secret(0, idOf('a', 0)) },
        { action: 'audit.heartbeat', after: '5m' },
      ],
    },
    {
      says: 'a write without its encryption; forty of one actor are one finding',
      findings: 1,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'secret.put_value', after: '5s', times: 40, every: '30s', with: (number) => secret(number) },
        { action: 'audit.heartbeat', after: '5m' },
      ],
    },
    {
      says: 'ordinary reads and writes',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms.decrypt', after: '5s', with: call(1) },
        { action: 'secret.get_value', with: secret(1, idOf('a', 1)) },
        { action: 'kms.encrypt', after: '5s', with: call(2) },
        { action: 'secret.put_value', with: secret(2, idOf('a', 2)) },
        { action: 'audit.heartbeat', after: '1d' },
      ],
    },
    {
      says: 'trails that are read together: the KMS call comes a little later',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'secret.get_value', after: '5s', with: secret(1, idOf('a', 1)) },
        { action: 'kms.decrypt', after: '20s', with: call(1) },
        { action: 'audit.heartbeat', after: '1d' },
      ],
    },
    {
      says: 'reads that were refused, and what needs no key: a new secret without a value',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        {
          action: 'secret.get_value',
          after: '5s',
          times: 9,
          with: { ...secret(0), outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' },
        },
        { action: 'secret.create', with: { ...secret(1), details: {} } },
        { action: 'audit.heartbeat', after: '1d' },
      ],
    },
    {
      says: 'what was begun before the first entry that is known',
      findings: 0,
      steps: [
        { action: 'secret.get_value', with: { ...secret(0), eventID: '019b0000-0000-7000-9000-000000000000' } },
        { action: 'audit.heartbeat', after: '1d' },
      ],
    },
  ],
})

interface Lonely {
  at: number
  who: string
  /** And not an address. */
  isActor: boolean
  path: string
  /** The KMS call that it names, or empty. */
  kms: string
}

/** A value is read or written by one KMS call; a result that recovery wrote does not know it. */
function needsKms({ action, outcome, details }: AuditEntry): boolean {
  if (outcome !== 'success' || details?.recovered === true) return false
  return action !== 'secret.create' || details?.secretVersion !== undefined
}

/** Milliseconds since the epoch at which an id was made (RFC 9562 §5.7); what is no UUID is of no time, and never before. */
function timeOf(eventID: string): number {
  const time = Number.parseInt(String(eventID).replace('-', '').slice(0, 12), 16)
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time
}

function idOf(kind: '9' | 'a', number: number): string {
  // Of 2027: after everything in the examples.
  return `01a20000-0000-7000-${kind}000-${String(number).padStart(12, '0')}`
}

function call(number: number) {
  const origin = { service: 'secrets-manager', eventID: idOf('9', number), resource: '/db/password' }
  return { eventID: idOf('a', number), origin } as const
}

function secret(number: number, kmsEventID?: string) {
  return {
    eventID: idOf('9', number),
    resourceType: 'secret',
    resourceIdentity: '/db/password',
    keySlug: 'orders',
    details: { secretVersion: 1, ...(kmsEventID !== undefined && { kmsEventID }) },
  } as const
}
