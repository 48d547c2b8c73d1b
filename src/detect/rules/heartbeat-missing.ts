/** A writer is silent although it was not closed: not even its heartbeat comes. */
import { msOf } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { exampleStart } from '../example.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { lengthOf, listed, word } from '../words.ts'
import { writerName } from '../writer.ts'

export const heartbeatMissing: Rule = defineRule({
  id: 'heartbeat-missing',
  title: 'A writer is silent',
  level: 'medium',
  attack: ['T1562.008', 'T1489'],
  why: 'A writer with nothing to tell writes a heartbeat. If that does not come, its process is gone without a goodbye, or its entries do not arrive.',
  falsePositives: [
    'A process that was killed and not started again, such as an instance that was scaled down without a signal.',
    'A machine that sleeps, and heartbeats that were switched off with `heartbeatMs: 0`.',
  ],
  whatToDo:
    'Look whether the process runs. If it does, find out where its entries go: see its health, its disk and its sinks. If it was stopped, find out by whom, and have it closed in good order.',
  actions: ['*'],
  phases: ['intent', 'result', 'amendment'],
  parameters: {
    /** Period of heartbeats, until the writer's own tell theirs. */
    every: '1h',
    /** So many periods without an entry. */
    periods: 2,
    /** After a finding, of the same start of a writer. While the clock of one of several is wrong, time goes to and fro with each entry. */
    quiet: '12h',
  },
  check({ periods }) {
    if (periods < 1)
      refuse("'heartbeat-missing.periods' must be 1 or more: a heartbeat comes only after a whole period")
  },
  watch({ every, periods, quiet }, tools) {
    const everyMs = msOf('every', every)
    const writers = tools.table<Writer>('writers', { max: maxWriters, make: newWriter })
    /** Of a writer's name: the period, and its latest start. */
    const names = tools.table('names', { max: 2000, make: () => ({ everyMs, instance: '' }) })
    const told = quietFor(tools, { name: 'told', span: msOf('quiet', quiet), max: maxWriters })
    // One writer has many entries in a row; nothing that is remembered depends on it.
    let lately = ''
    let latest: Writer | undefined
    let evicted = 0

    return {
      take(seen) {
        const { entry, at } = seen
        const { action, instance } = entry
        if (action.startsWith('audit.') && !stays(seen)) return
        if (latest === undefined || instance !== lately || evicted !== writers.evicted) {
          latest = writers.of(instance)
          lately = instance
          evicted = writers.evicted
        }
        const isEarlier = at < latest.at
        const isNew = latest.at === 0
        latest.at = at
        latest.eventID = entry.eventID
        if (isNew) begin(instance, latest)
        // A clock that was set back makes it due earlier than was asked for.
        if (isNew || isEarlier) tools.wake(slotAfter(at + latest.limitMs))
      },
      wake(now) {
        latest = undefined
        const silent: (Writer & { readonly instance: string })[] = []
        let next = Number.POSITIVE_INFINITY
        for (const [instance, writer] of writers.entries()) {
          if (now - writer.at < writer.limitMs) next = Math.min(next, writer.at + writer.limitMs)
          else {
            writers.delete(instance)
            if (told.mayTell(instance, now)) silent.push({ ...writer, instance })
          }
        }
        if (next !== Number.POSITIVE_INFINITY) tools.wake(slotAfter(next))
        if (silent.length > 0) tell(silent, now)
      },
    }

    /** Of the log itself: whether its writer goes on to write. */
    function stays(seen: Seen): boolean {
      const { action, instance, details } = seen.entry
      if (action === 'audit.closed') {
        writers.delete(instance)
        latest = undefined
        return false
      }
      if (action === 'audit.opened') replace(instance)
      const idle: unknown = details?.idleMs
      if (action === 'audit.heartbeat' && typeof idle === 'number') learn(instance, idle)
      return true
    }

    /** A newer start of the same name writes in its place; if the older one lives, it is heard of again. */
    function replace(instance: string): void {
      const older = names.get(writerName(instance))?.instance
      if (older !== undefined && older !== instance) writers.delete(older)
      latest = undefined
    }

    function begin(instance: string, writer: Writer): void {
      const name = names.of(writerName(instance))
      name.instance = instance
      writer.limitMs = periods * name.everyMs
    }

    function learn(instance: string, idleMs: number): void {
      const name = names.of(writerName(instance))
      name.everyMs = Math.min(Math.max(idleMs, shortest), longest)
      writers.of(instance).limitMs = periods * name.everyMs
    }

    function tell(silent: readonly (Writer & { readonly instance: string })[], now: number): void {
      const called = [...new Set(silent.map(({ instance }) => writerName(instance)))]
      const [first] = silent
      const from = Math.min(...silent.map(({ at }) => at))
      const who = silent.length === 1 ? word(called[0]) : `${silent.length} writers, ${listed(called)},`
      tools.report({
        subject: silent.length === 1 && first !== undefined ? { instance: first.instance } : {},
        evidence: silent.map(({ eventID }) => eventID),
        ...{ from, to: now },
        says: `${who} ${silent.length === 1 ? 'is' : 'are'} silent for ${lengthOf(now - from)}, without ${silent.length === 1 ? 'its' : 'their'} heartbeat`,
      })
    }
  },
  examples: [
    {
      says: 'nothing for more than two hours, while others go on',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms.encrypt', times: 20, every: '10m', with: (number) => other(number) },
      ],
    },
    {
      says: 'of two writers whose clocks are thirteen hours apart each takes the other for silent once, not at each entry',
      findings: 1,
      steps: [
        {
          action: 'kms.encrypt',
          times: 40,
          every: 0,
          with: (number) => ({
            instance: `w${number % 2}-1`,
            sequence: number,
            createdAt: new Date(exampleStart + 60_000 * number + (number % 2) * 13 * 3_600_000).toISOString(),
          }),
        },
      ],
    },
    {
      says: 'several at once are one finding',
      findings: 1,
      steps: [
        { action: 'kms.encrypt', times: 9, with: (number) => ({ instance: `w${number}-1`, sequence: 0 }) },
        { action: 'kms.encrypt', after: '3h', with: other(0) },
      ],
    },
    {
      says: 'its heartbeats came every ten minutes',
      findings: 1,
      steps: [
        { action: 'audit.heartbeat', times: 3, every: '10m', with: { details: { idleMs: 600_000 } } },
        { action: 'kms.encrypt', times: 4, every: '10m', with: (number) => other(number) },
      ],
    },
    {
      says: 'a shorter period is said',
      findings: 1,
      parameters: { every: '5m' },
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms.encrypt', times: 2, every: '16m', with: (number) => other(number) },
      ],
    },
    {
      says: 'a heartbeat an hour',
      findings: 0,
      steps: [{ action: 'audit.heartbeat', times: 40, every: '1h', with: { details: { idleMs: 3_600_000 } } }],
    },
    {
      says: 'its heartbeats came every four hours, by its own setting',
      findings: 0,
      steps: [
        { action: 'audit.heartbeat', times: 9, every: '110m', with: { details: { idleMs: 14_400_000 } } },
        { action: 'audit.heartbeat', after: '4h', times: 5, every: '4h', with: { details: { idleMs: 14_400_000 } } },
      ],
    },
    {
      says: 'it was closed',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'audit.closed' },
        { action: 'audit.opened', after: '3d', with: { instance: 'main-example2', sequence: 0 } },
      ],
    },
    {
      says: 'it was killed, and started anew within the time',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'audit.opened', after: '1h', with: { instance: 'main-example2', sequence: 0 } },
        {
          action: 'audit.heartbeat',
          ...{ times: 9, every: '1h' },
          with: (number) => ({ instance: 'main-example2', sequence: 1 + number, details: { idleMs: 3_600_000 } }),
        },
      ],
    },
  ],
})

interface Writer {
  at: number
  eventID: string
  limitMs: number
}

function newWriter(): Writer {
  return { at: 0, eventID: '', limitMs: 0 }
}

const maxWriters = 10_000
/** A heartbeat that tells less or more is not believed. */
const [shortest, longest] = [60_000, 7 * 86_400_000]

/** What falls silent together is told together. */
function slotAfter(at: number): number {
  return (Math.floor(at / slot) + 1) * slot
}

const slot = 60_000

function other(number: number) {
  return { instance: 'other-1', sequence: number } as const
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
