/** Rotations by schedule that fail, or come late. */
import { msOf } from '../../model/duration.ts'
import { errorCodes } from '../../model/errors.ts'
import { isNear } from '../deed.ts'
import type { Level } from '../finding.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { counted, lengthOf, word } from '../words.ts'

interface Cell {
  /** When lateness began to count: the policy was set, or the key came into use again; 0 if nobody saw it. */
  since: number
  /** Failures since the last success, and the first and the last of them. */
  failures: number
  firstAt: number
  first: string
}

const dayMs = 86_400_000

export const scheduledRotation: Rule = defineRule({
  id: 'scheduled-rotation',
  title: 'A scheduled rotation failed or came late',
  level: 'medium',
  attack: [],
  why: 'The policy says when keys rotate. Where that fails, a key goes on protecting more than it should, and whoever holds an old copy of it goes on reading.',
  falsePositives: ['A service that was down for an hour: the scheduler tries again, and one failure is told as low.'],
  whatToDo:
    'Look at the error of the entry. If it is lasting, mend its cause and rotate the key by hand with the reason; if it came late, look when and why the scheduler did not run.',
  actions: ['kms.rotate.scheduled', 'kms_key.create', 'kms_key.update', 'kms_key.enable', 'kms_key.cancel_deletion'],
  parameters: {
    /** The scheduler looks each hour; a day is more than a bad deployment, and less than the grace of rotation-overdue. */
    lateBy: '24h',
    /** What may pass (a service that is down) is an alarm once it has failed for so long … */
    failingFor: '1h',
    /** … and so often. */
    failures: 3,
  },
  watch({ lateBy, failingFor, failures }, tools) {
    const [lateMs, failingMs] = [msOf('lateBy', lateBy), msOf('failingFor', failingFor)]
    const cells = tools.table<Cell>('keys', {
      max: 10_000,
      make: () => ({ since: 0, failures: 0, firstAt: 0, first: '' }),
    })
    const firsts = quietFor(tools, { name: 'firsts', span: dayMs })
    const lasting = quietFor(tools, { name: 'lasting', span: dayMs })

    function failed(seen: Seen, key: string): void {
      const { entry, at } = seen
      const { error, outcome } = entry
      // Another scheduler or a person was faster, and nothing was left to do.
      if (outcome === 'failure' && error !== undefined && lostRace.has(error)) return
      const cell = cells.of(key)
      // Failures long ago were followed by something that the trail does not tell.
      if (cell.failures === 0 || !isNear(at, cell.firstAt, 7 * dayMs))
        Object.assign(cell, { failures: 0, firstAt: at, first: entry.eventID })
      cell.failures += 1
      const mayPass = error === undefined || errorCodes[error]?.retryable === true
      const lasts = cell.failures >= failures && at - cell.firstAt >= failingMs
      const isAlarm = !mayPass || lasts
      const quiet = isAlarm ? lasting : firsts
      if (quiet.has(key, at)) return
      quiet.begin(key, at)
      report(seen, isAlarm ? 'medium' : 'low', cell)
    }

    function report(seen: Seen, level: Level, { failures: count, firstAt, first }: Cell): void {
      const { entry, at, keyName } = seen
      const error = word(entry.error ?? (entry.outcome === 'unknown' ? 'outcome unknown' : 'interrupted'))
      const times = count === 1 ? '' : `, ${counted(count, 'time')} in ${lengthOf(Math.max(0, at - firstAt))}`
      const evidence = first === entry.eventID ? [first] : [first, entry.eventID]
      const says = `the scheduled rotation of key ${word(keyName)} failed with ${error}${times}`
      tools.report({ level, subject: { key: keyName ?? '' }, evidence, count, from: Math.min(firstAt, at), says })
    }

    return {
      take(seen) {
        const { entry, at, key, keyName } = seen
        if (key === undefined) return
        if (entry.action !== 'kms.rotate.scheduled') {
          if (entry.outcome === 'success') cells.of(key).since = at
          return
        }
        if (entry.outcome !== 'success') {
          failed(seen, key)
          return
        }
        const cell = cells.of(key)
        cell.failures = 0
        const told = entry.details?.latenessMs
        // A policy that is new to an old key makes it due long ago, and nobody could have been in time.
        const late = Math.min(typeof told === 'number' ? told : 0, cell.since === 0 ? at : Math.abs(at - cell.since))
        if (late <= lateMs) return
        const says = `the scheduled rotation of key ${word(keyName)} came ${lengthOf(late)} late`
        tools.report({ subject: { key: keyName ?? key }, evidence: [entry.eventID], from: at - late, says })
      },
    }
  },
  examples: [
    {
      says: 'two days late',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms.rotate.scheduled', with: { details: { latenessMs: 2 * dayMs } } }],
    },
    {
      says: 'within the day, as after a bad night',
      findings: 0,
      steps: [
        { action: 'kms.rotate.scheduled', times: 3, every: '30d', with: { details: { latenessMs: 80_000_000 } } },
      ],
    },
    {
      says: 'a failure that lasts, once a day',
      findings: 2,
      levels: ['medium', 'medium'],
      steps: [
        {
          action: 'kms.rotate.scheduled',
          times: 26,
          every: '1h',
          with: { outcome: 'failure', statusCode: 500, error: 'INTERNAL' },
        },
      ],
    },
    {
      says: 'a service that is down for a few minutes',
      findings: 1,
      levels: ['low'],
      steps: [
        {
          action: 'kms.rotate.scheduled',
          times: 5,
          every: '5m',
          with: { outcome: 'failure', statusCode: 503, error: 'PROVIDER_UNAVAILABLE' },
        },
        { action: 'kms.rotate.scheduled', after: '5m' },
        {
          action: 'kms.rotate.scheduled',
          after: '5m',
          times: 2,
          every: '2h',
          with: { outcome: 'failure', statusCode: 503, error: 'PROVIDER_UNAVAILABLE' },
        },
      ],
    },
    {
      says: 'a service that stays down: first low, then an alarm',
      findings: 2,
      levels: ['low', 'medium'],
      steps: [
        {
          action: 'kms.rotate.scheduled',
          times: 9,
          every: '30m',
          with: { outcome: 'failure', statusCode: 503, error: 'PROVIDER_UNAVAILABLE' },
        },
      ],
    },
    {
      says: 'another scheduler was faster',
      findings: 0,
      steps: ['VERSION_CONFLICT' as const, 'KEY_NOT_ACTIVE' as const, 'KEY_NOT_FOUND' as const].map((error) => ({
        action: 'kms.rotate.scheduled',
        with: { outcome: 'failure', error } as const,
      })),
    },
    {
      says: 'the first rotation of an old key, whose policy was set a moment ago: due for a year by its age, and not late',
      findings: 0,
      steps: [
        { action: 'kms_key.update', with: { details: { keyRotationEnabled: true } } },
        { action: 'kms.rotate.scheduled', after: '50m', with: { details: { latenessMs: 365 * dayMs } } },
      ],
    },
    {
      says: 'a crash in the midst of it, which recovery closed',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'kms.rotate.scheduled', with: { outcome: 'unknown', details: { recovered: true } } }],
    },
  ],
})

/** As the scheduler itself takes them. */
const lostRace: ReadonlySet<string> = new Set(['VERSION_CONFLICT', 'KEY_NOT_ACTIVE', 'KEY_NOT_FOUND'])
