/** Far more decrypts than usual: what a copy of the ciphertexts and a stolen credential look like from here. */
import { msOf } from '../../model/duration.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { type Baseline, learnUntil, newBaseline, usualOf } from '../baseline.ts'
import type { Step } from '../example.ts'
import type { Level } from '../finding.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { sample, upTo } from '../samples.ts'
import { counted, word } from '../words.ts'

interface Cell {
  readonly baseline: Baseline
  isPerson: boolean
  /** The hour that is counted, in hours since the epoch; -1 before the first. */
  hour: number
  count: number
  /** At so many in this hour there is something to tell. */
  limit: number
  /** Evidence of this hour. */
  ids: string[]
  /** Hour of the last alarm, and of the last note on an unusual hour; -1 before there is one. */
  alarmed: number
  noted: number
}

const hourMs = 3_600_000
const never = Number.MAX_SAFE_INTEGER
/** Whoever names nobody is one group. */
const unknown = 'unknown'

export const decryptVolume: Rule = defineRule({
  id: 'decrypt-volume',
  title: 'Far more decrypts than usual',
  level: 'medium',
  attack: ['T1530', 'T1078'],
  why: 'Whoever copies data out has to decrypt it: it shows as a volume that this actor or this key never had.',
  falsePositives: [
    'A migration, a restore or a re-index that reads everything once.',
    'Growth at once, such as a large customer: told for a day or two, then learned.',
  ],
  whatToDo:
    'Ask the owner of the actor what ran at that hour. If nobody knows, disable the actor, and see by the encryption contexts of the entries what was read.',
  actions: ['kms.decrypt'],
  parameters: {
    /** Never fewer than this in an hour: a service that starts reads dozens of secrets, once for each of its instances. */
    minimum: 100,
    /** The same of an actor that is a `user`: a person on call reads a few dozen. */
    minimumOfPeople: 50,
    /** So many times what the hour of the week usually has; at an hour without precedent only beyond twice the peak as well. */
    ratio: 3,
    /** And so many standard deviations above it. */
    score: 6,
    /** A week: every hour of it was seen once. */
    learning: '7d',
    quiet: '1d',
  },
  watch({ minimum, minimumOfPeople, ratio, score, learning, quiet }, tools) {
    const quietHours = msOf('quiet', quiet) / hourMs
    const make = (): Cell => ({
      isPerson: false,
      hour: -1,
      count: 0,
      limit: never,
      ids: [],
      alarmed: -1,
      noted: -1,
      baseline: newBaseline(),
    })
    // A cell is 168 means: a few thousand are a few MB.
    const actors = tools.table('actors', { max: 2000, make })
    const keys = tools.table('keys', { max: 2000, make })
    const slotOf = (hour: number) => tools.local.hourOfWeek(hour * hourMs)
    const options = { hours: msOf('learning', learning) / hourMs, room: minimum, slotOf }

    return {
      take(seen) {
        const { entry, at, actor, key } = seen
        if (entry.outcome !== 'success') return
        const hour = Math.floor(at / hourMs)
        const ofActor = actors.of(actor ?? unknown)
        if (ofActor.hour < 0) ofActor.isPerson = entry.actor?.type === 'user'
        if (count(ofActor, hour, entry)) tell('actor', seen, ofActor, key === undefined ? undefined : keys.get(key))
        if (key === undefined) return
        const ofKey = keys.of(key)
        if (count(ofKey, hour, entry)) tell('key', seen, ofKey, ofActor)
      },
    }

    /** Whether there is something to tell. */
    function count(cell: Cell, hour: number, { eventID }: AuditEntry): boolean {
      // What comes a little late, as of several writers, belongs to the hour that is counted.
      if (hour > cell.hour || hour < cell.hour - 1) begin(cell, hour)
      cell.count += 1
      sample(cell.ids, cell.count, eventID)
      return cell.count >= cell.limit
    }

    function begin(cell: Cell, hour: number): void {
      if (cell.hour >= 0) learnUntil(cell.baseline, hour, cell, options)
      cell.hour = hour
      cell.count = 0
      cell.ids = []
      const { beyond, odd } = boundsOf(cell)
      if (cell.baseline.hours < options.hours || isQuiet(cell.alarmed, hour)) cell.limit = never
      else cell.limit = isQuiet(cell.noted, hour) ? beyond : Math.min(odd, beyond)
    }

    /** Beyond all there was of late, whatever the hour; and far beyond what this hour has, though others had as many. */
    function boundsOf(cell: Cell): { readonly beyond: number; readonly odd: number } {
      const { count: usual, deviation, peak } = usualOf(cell.baseline, slotOf(cell.hour))
      const least = cell.isPerson ? minimumOfPeople : minimum
      return {
        beyond: Math.max(least, 2 * peak, ratio * usual, usual + score * deviation),
        odd: Math.max(2 * least, 3 * ratio * usual, usual + 2 * score * deviation),
      }
    }

    function isQuiet(last: number, hour: number): boolean {
      return last >= 0 && hour >= last && hour - last < quietHours
    }

    function tell(about: 'actor' | 'key', seen: Seen, cell: Cell, other: Cell | undefined): void {
      const { entry, at, actor, keyName = unknown } = seen
      const { beyond } = boundsOf(cell)
      const level: Level = cell.count >= beyond ? 'medium' : 'low'
      if (level === 'medium') cell.alarmed = cell.hour
      else cell.noted = cell.hour
      cell.limit = level === 'medium' ? never : beyond
      // One burst is one finding: told of the actor, it is not told of the key again, nor the other way round.
      if (other?.alarmed === cell.hour || (level === 'low' && other?.noted === cell.hour)) return
      const { count: usual, peak } = usualOf(cell.baseline, slotOf(cell.hour))
      const [whole, most] = [Math.round(usual), Math.round(peak)]
      const who =
        about === 'key' ? `key ${word(keyName)}` : actor === undefined ? 'callers who name nobody' : word(actor)
      tools.report({
        level,
        subject: about === 'key' ? { key: keyName } : actor === undefined ? {} : { actor },
        evidence: upTo(cell.ids, entry.eventID),
        count: cell.count,
        from: Math.min(at, cell.hour * hourMs),
        to: at,
        says: `${counted(cell.count, 'decrypt')} ${about === 'key' ? 'of' : 'by'} ${who} within an hour: ${whole} are usual at that hour of the week, ${most} were the most of late`,
      })
    }
  },
  examples: [
    {
      says: 'one an hour for eight days, then a hundred: told once, however long it goes on',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.decrypt', times: 192, every: '1h' },
        { action: 'kms.decrypt', after: '50m', times: 600, every: '5s' },
      ],
    },
    {
      says: 'ninety-nine',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 192, every: '1h' },
        { action: 'kms.decrypt', after: '1h', times: 99, every: '10s' },
      ],
    },
    {
      says: 'fifty by a person',
      findings: 1,
      steps: byAnn(50),
    },
    {
      says: 'forty-nine by a person',
      findings: 0,
      steps: byAnn(49),
    },
    {
      says: 'many by many actors: only the key has more than usual',
      findings: 1,
      steps: [
        ...apart(200, 2, '1h'),
        {
          action: 'kms.decrypt',
          after: '1h',
          times: 140,
          every: '10s',
          with: (number) => ({ actor: { type: 'serviceAccount', id: `a${number % 4}` } }),
        },
      ],
    },
    {
      says: 'nothing is usual yet',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 72, every: '1h' },
        { action: 'kms.decrypt', after: '1h', times: 500, every: '1s' },
      ],
    },
    {
      says: 'every noon two hundred: told neither at noon nor, while days are learned, a little later',
      findings: 0,
      steps: [...noons(10, 200), { action: 'kms.decrypt', after: '1h', times: 200, every: '1s' }],
    },
    {
      says: 'as many as at noon, but in the middle of the night: no more than a note',
      findings: 1,
      levels: ['low'],
      steps: [...noons(10, 250), { action: 'kms.decrypt', after: '12h', times: 240, every: '1s' }],
    },
    {
      says: 'growth by a fifth a day is learned',
      findings: 0,
      steps: growing(18, 20, 1.2),
    },
    {
      says: 'four times as many from one day to the next, for good: told on the first days, then learned',
      findings: 2,
      levels: ['medium', 'medium'],
      steps: [...noons(10, 100), ...noons(8, 600).map((step) => ({ ...step, after: step.after ?? '24h' }))],
    },
    {
      says: 'refused ones: nothing was read',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 192, every: '1h' },
        { action: 'kms.decrypt', after: '1h', times: 300, with: { outcome: 'failure' } },
      ],
    },
  ],
})

/** So many at noon, day after day. */
function noons(days: number, times: number): Step[] {
  const day = { action: 'kms.decrypt', times, every: '1s' }
  return Array.from({ length: days }, (_, number) => (number === 0 ? day : { ...day, after: `${86_400 - times + 1}s` }))
}

/** A person who reads once an hour for eight days, then so many times in an hour. */
function byAnn(times: number): Step[] {
  const ann = { actor: { type: 'user', id: 'ann' } as const }
  return [
    { action: 'kms.decrypt', times: 192, every: '1h', with: ann },
    { action: 'kms.decrypt', after: '1h', times, every: '10s', with: ann },
  ]
}

/** At noon, day after day, so many times as many as the day before. */
function growing(days: number, first: number, factor: number): Step[] {
  let before = 1
  return Array.from({ length: days }, (_, day) => {
    const after = day === 0 ? '0s' : `${86_400 - before + 1}s`
    before = Math.round(first * factor ** day)
    return { action: 'kms.decrypt', after, times: before, every: '1s' }
  })
}

/** One decrypt each by so many actors in turn. */
function apart(times: number, actors: number, every: string): Step[] {
  const by = (number: number) => ({ actor: { type: 'serviceAccount', id: `a${number % (2 * actors)}` } as const })
  return [{ action: 'kms.decrypt', times, every, with: by }]
}
