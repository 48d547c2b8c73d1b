/** A KMS call in a secret's name, and nothing about that secret: somebody opens secrets past the Secrets Manager. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { wholeSecond } from '../seconds.ts'
import { whoOf } from '../who.ts'
import { counted, listed, word } from '../words.ts'

/** What the Secrets Manager's KMS calls name as their origin. */
const secretsManager = 'secrets-manager'

export const decryptWithoutSecret: Rule = defineRule({
  id: 'decrypt-without-secret',
  title: 'A KMS call in the name of a secret that nobody asked for',
  level: 'high',
  attack: ['T1555'],
  why: 'The Secrets Manager writes an entry for each value that it reads or writes, after that of the KMS call it needs. A call in its name without that entry is made by somebody else: past its access policies, with ciphertexts taken from its store.',
  falsePositives: ['A Secrets Manager whose own entries go to another trail than those of its KMS calls.'],
  whatToDo:
    'Find the process that made the calls, by actor, address and time, and who can read the ciphertexts of the store. If it is not the Secrets Manager, take its access to the key away, and change the secrets that are named.',
  actions: ['*'],
  phases: ['intent', 'result'],
  parameters: {
    /** How long a secret's entry may take to follow: some deadlines and a slow store. */
    wait: '5m',
    /** Of one actor, once in so long. */
    quiet: '1d',
  },
  watch({ wait, quiet }, tools) {
    const waitMs = msOf('wait', wait)
    /** By the `eventID` that the secret's entry will have. */
    const calls = tools.table<Call>('calls', { max: 10_000, make: newCall })
    /** Writers some of whose calls are due: told when they write again, since one that was killed could not. */
    const overdue = tools.table('overdue', { max: 1000, make: () => ({}) })
    const writers = tools.table('writers', { max: 1000, make: () => ({}) })
    const told = quietFor(tools, { name: 'told', span: msOf('quiet', quiet), max: 5000 })
    const state = tools.record('state', () => ({ dueAt: never, knowsSecrets: 0 }))

    return {
      take(seen) {
        const { entry, at } = seen
        if (entry.action.startsWith('secret.')) hearSecret(seen)
        else if (entry.origin?.service === secretsManager && entry.phase === 'result') hearCall(seen)
        else if (entry.action === 'audit.closed') hearClosed(seen)
        if (at >= state.dueAt) findOverdue(at)
        if (overdue.size > 0 && overdue.get(entry.instance) !== undefined) {
          overdue.delete(entry.instance)
          tellOf(seen, (call) => isDue(call, at))
        }
      },
    }

    function hearCall(seen: Seen): void {
      const { entry, at, keyName } = seen
      const { origin } = entry
      const secret = typeof origin?.eventID === 'string' ? origin.eventID : entry.eventID
      const known = calls.get(secret)
      if (known !== undefined && known.kms === '' && known.isAnswered) {
        known.kms = entry.eventID
        return
      }
      // The second call for one secret entry is as lonely as one without any.
      const call = calls.of(known === undefined ? secret : `${secret} ${entry.eventID}`)
      call.kms = entry.eventID
      call.at = at
      call.instance = entry.instance
      call.who = whoOf(seen)
      call.isActor = seen.actor !== undefined
      call.key = keyName ?? ''
      call.path = typeof origin?.resource === 'string' ? origin.resource : ''
      state.dueAt = Math.min(state.dueAt, at + waitMs)
    }

    function hearSecret(seen: Seen): void {
      const { entry, at } = seen
      state.knowsSecrets = 1
      writers.of(entry.instance)
      const { eventID, operationID, error, details } = entry
      // Of a change that a crash left open, its result has another id; its operation is still called after the call.
      const name = operationID ?? eventID
      const call = calls.get(name)
      const isOver = error === 'DEADLINE_EXCEEDED' || error === 'ABORTED'
      if (entry.phase === 'intent' || (isOver && call === undefined)) {
        // Its KMS call may come still.
        const waiting = calls.of(name)
        waiting.at = at
        waiting.instance = entry.instance
        waiting.isAnswered = true
        state.dueAt = Math.min(state.dueAt, at + waitMs)
      } else if (call !== undefined && (call.isAnswered || isOver || details?.kmsEventID === call.kms))
        calls.delete(name)
    }

    /** It will not write again. One that never wrote of a secret is no Secrets Manager; of another, the latest may have been under way. */
    function hearClosed(seen: Seen): void {
      const { entry, at } = seen
      const isManager = writers.get(entry.instance) !== undefined
      writers.delete(entry.instance)
      if (calls.size > 0) tellOf(seen, (call) => !isManager || at - call.at > underWayMs)
    }

    function findOverdue(at: number): void {
      let next = never
      for (const [name, call] of calls.entries()) {
        if (!isDue(call, at)) next = Math.min(next, call.at + waitMs)
        else if (call.isAnswered || Math.abs(at - call.at) > forgottenMs) calls.delete(name)
        else {
          overdue.of(call.instance)
          next = Math.min(next, at + waitMs)
        }
      }
      // In a flood some are due at each entry: not all of them are gone through each time.
      state.dueAt = Math.max(next, wholeSecond(at + 1))
    }

    /** A clock that was set back makes what is later than now as old as it can be. */
    function isDue(call: Call, at: number): boolean {
      return at - call.at >= waitMs || call.at > at + waitMs
    }

    function tellOf({ entry, at }: Seen, isToTell: (call: Call) => boolean): void {
      const lonely = new Map<string, Call[]>()
      for (const [name, call] of calls.entries()) {
        if (call.instance !== entry.instance || call.isAnswered || !isToTell(call)) continue
        calls.delete(name)
        lonely.set(call.who, [...(lonely.get(call.who) ?? []), call])
      }
      // Where no secret was ever told of, their entries are in another trail.
      if (state.knowsSecrets === 0) return
      for (const [who, group] of lonely) {
        if (told.has(who, at)) continue
        told.begin(who, at)
        const first = group[0]
        const paths = [...new Set(group.map(({ path }) => path))].filter((path) => path !== '')
        const keys = new Set(group.map(({ key }) => key))
        const [path, ...others] = paths
        tools.report({
          subject: {
            ...(first?.isActor === true && { actor: who }),
            ...(keys.size === 1 && first !== undefined && first.key !== '' && { key: first.key }),
            ...(path !== undefined && others.length === 0 && { secret: path }),
          },
          evidence: group.map(({ kms }) => kms),
          from: first?.at ?? at,
          to: group.at(-1)?.at ?? at,
          says: `${word(who)} made ${counted(group.length, 'KMS call')} in the name of the Secrets Manager${paths.length === 0 ? '' : `, for ${listed(paths)}`}, and no entry of a secret follows`,
        })
      }
    }
  },
  examples: [
    {
      says: 'a decrypt in the name of a secret, and the process goes on without an entry of it',
      findings: 1,
      levels: ['high'],
      steps: [...read(0), { action: 'kms.decrypt', with: call(8) }, { action: 'kms.encrypt', after: '6m' }],
    },
    {
      says: 'many of them are one finding of their actor',
      findings: 1,
      steps: [
        ...read(0),
        { action: 'kms.decrypt', times: 40, with: (number) => call(100 + number) },
        { action: 'kms.encrypt', after: '6m' },
        { action: 'kms.decrypt', times: 40, with: (number) => call(200 + number) },
        { action: 'kms.encrypt', after: '6m' },
      ],
    },
    {
      says: 'a process that makes one and closes, and never told of a secret',
      findings: 1,
      steps: [
        ...read(0),
        { action: 'audit.opened', with: { instance: 'script-1', sequence: 0 } },
        { action: 'kms.decrypt', with: { ...call(9), instance: 'script-1', sequence: 1 } },
        { action: 'audit.closed', with: { instance: 'script-1', sequence: 2 } },
      ],
    },
    {
      says: 'the entry of a secret that was read already is named a second time',
      findings: 1,
      steps: [...read(0), { action: 'kms.decrypt', with: call(0) }, { action: 'kms.encrypt', after: '6m' }],
    },
    {
      says: 'two calls for one change',
      findings: 1,
      steps: [
        {
          action: 'secret.put_value',
          with: { ...secret(5), details: {}, operationID: idOf(5), phase: 'intent', outcome: 'pending' },
        },
        { action: 'kms.encrypt', with: call(5) },
        { action: 'kms.decrypt', with: { ...call(5), eventID: kmsIdOf(6) } },
        { action: 'secret.put_value', with: { ...secret(5), operationID: idOf(5) } },
        { action: 'kms.encrypt', after: '6m' },
      ],
    },
    {
      says: 'any other call in the name of the Secrets Manager, which makes none',
      findings: 1,
      steps: [...read(0), { action: 'kms.export', with: call(3) }, { action: 'kms.encrypt', after: '6m' }],
    },
    {
      says: 'ordinary reads, also slow ones',
      findings: 0,
      steps: [
        ...read(0),
        ...read(1),
        { action: 'kms.decrypt', with: call(2) },
        { action: 'secret.get_value', after: '4m', with: secret(2) },
        { action: 'kms.encrypt', after: '1d' },
      ],
    },
    {
      says: 'a write: intent, KMS call, result',
      findings: 0,
      steps: [
        {
          action: 'secret.put_value',
          with: { ...secret(5), details: {}, operationID: idOf(5), phase: 'intent', outcome: 'pending' },
        },
        { action: 'kms.encrypt', with: call(5) },
        { action: 'secret.put_value', with: { ...secret(5), operationID: idOf(5) } },
        { action: 'kms.encrypt', after: '1d' },
      ],
    },
    {
      says: 'a reader whose deadline passed before the KMS answered',
      findings: 0,
      steps: [
        {
          action: 'secret.get_value',
          with: { ...secret(4), details: {}, outcome: 'failure', statusCode: 504, error: 'DEADLINE_EXCEEDED' },
        },
        { action: 'kms.decrypt', after: '3s', with: call(4) },
        { action: 'kms.encrypt', after: '1d' },
      ],
    },
    {
      says: 'the process was killed in between, and starts again',
      findings: 0,
      steps: [
        ...read(0),
        { action: 'kms.decrypt', with: call(7) },
        { action: 'audit.opened', after: '2h', with: { instance: 'main-example2', sequence: 0 } },
        { action: 'kms.encrypt', after: '1h', with: { instance: 'main-example2', sequence: 1 } },
        { action: 'audit.heartbeat', after: '1d', with: { instance: 'main-example2', sequence: 2 } },
      ],
    },
    {
      says: 'a Secrets Manager whose own entries are elsewhere',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 50, every: '1m', with: (number) => call(number) }],
    },
  ],
})

interface Call {
  at: number
  /** `eventID` of the KMS call; empty while there is none. */
  kms: string
  instance: string
  who: string
  /** And not an address. */
  isActor: boolean
  key: string
  path: string
  /** The secret's entry is there already. */
  isAnswered: boolean
}

function newCall(): Call {
  return { at: 0, kms: '', instance: '', who: '', isActor: false, key: '', path: '', isAnswered: false }
}

/** JSON has no infinity. */
const never = Number.MAX_SAFE_INTEGER
/** Calls of a Secrets Manager that were begun so shortly before it closed may have had no time for their entries. */
const underWayMs = 1000
/** Of a process that was killed nothing follows. */
const forgottenMs = 86_400_000

function idOf(number: number): string {
  return `019b7a00-0000-7000-9000-${String(number).padStart(12, '0')}`
}

function call(number: number) {
  const origin = { service: secretsManager, eventID: idOf(number), resource: '/db/password' }
  return { eventID: kmsIdOf(number), origin } as const
}

function kmsIdOf(number: number): string {
  return `019b7a00-0000-7000-a000-${String(number).padStart(12, '0')}`
}

function secret(number: number) {
  const details = { secretVersion: 1, kmsEventID: kmsIdOf(number) }
  return { eventID: idOf(number), resourceType: 'secret', resourceIdentity: '/db/password', details } as const
}

function read(number: number) {
  return [
    { action: 'kms.decrypt', with: call(number) },
    { action: 'secret.get_value', with: secret(number) },
  ] as const
}
