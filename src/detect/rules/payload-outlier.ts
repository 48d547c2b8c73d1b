/** Much more comes out of a few decrypts than ever did: bulk that keeps the number of calls low. */
import { msOf } from '../../model/duration.ts'
import type { Level } from '../finding.ts'
import { isYoung } from '../learning.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { sample, upTo } from '../samples.ts'
import { counted, word } from '../words.ts'

/** Of an actor with a key. */
interface Cell {
  first: number
  /** Payloads learned, their mean, and mean and variance of their binary logarithm. */
  learned: number
  average: number
  mean: number
  variance: number
  /** The largest payload, and the most bytes in an hour, fading by half in a month. */
  top: number
  peak: number
  /** Neither is learned beyond twice of what it was when the day began. */
  day: number
  dayTop: number
  dayPeak: number
  /** The hour that is counted, in hours since the epoch; -1 before the first. */
  hour: number
  count: number
  bytes: number
  hourTop: number
  ids: string[]
  /** At such a payload, and at so many bytes in this hour, there is something to tell. */
  single: number
  limit: number
  /** Hour of the last alarm, and of the last note; -1 before there is one. */
  alarmed: number
  noted: number
}

const hourMs = 3_600_000
const dayHours = 24
const never = Number.MAX_SAFE_INTEGER
/** A terabyte: no payload has as much, and many of them still are a number. */
const mostBytes = 2 ** 40
const fade = 0.98
/** Payloads before anything is usual. */
const fewPayloads = 50
/** A payload counts for so much, once there are as many. */
const weight = 1 / 200

export const payloadOutlier: Rule = defineRule({
  id: 'payload-outlier',
  title: 'Far larger payloads are decrypted than ever before',
  level: 'medium',
  attack: ['T1530', 'T1030'],
  why: 'Whoever knows that calls are counted takes much in each. The sizes of what an actor reads with a key hardly change.',
  falsePositives: [
    'A release that keeps larger things under the same key.',
    'A first file in a place for short secrets: told low.',
  ],
  whatToDo:
    'See by the encryption contexts of the entries what was read, and ask the owner of the actor. If nobody knows, disable it.',
  actions: ['kms.decrypt'],
  parameters: {
    /** Bytes. One payload below this is never remarkable. */
    minimumPayload: 32_768,
    /** Bytes of plaintext in an hour, of one actor with one key. */
    minimumBytes: 131_072,
    /** So many times the largest payload, or the most in an hour, of late. */
    factor: 8,
    /** And a payload so many standard deviations above the mean, on a scale of doublings. */
    score: 5,
    /** Of each actor with each key, and at least 50 payloads. */
    learning: '7d',
  },
  watch({ minimumPayload, minimumBytes, factor, score, learning }, tools) {
    const young = msOf('learning', learning)
    const pairs = tools.table('pairs', { max: 15_000, make: newCell })

    return {
      take(seen) {
        const { entry, at, pair } = seen
        const size = entry.payloadSizes?.plaintext
        // Of a trail that was tampered with, what is no size must not become what is usual.
        if (pair === undefined || !isSize(size) || entry.outcome !== 'success') return
        const cell = pairs.of(pair)
        const hour = Math.floor(at / hourMs)
        // What comes a little late, as of several writers, belongs to the hour that is counted.
        if (hour > cell.hour || hour < cell.hour - 1) begin(cell, hour, at)
        cell.count += 1
        cell.bytes += size
        if (size > cell.hourTop) cell.hourTop = size
        sample(cell.ids, cell.count, entry.eventID)
        if (cell.bytes >= cell.limit) judgeHour(cell, seen)
        if (size >= cell.single) tellSingle(cell, size, seen)
        else learn(cell, size)
      },
    }

    function begin(cell: Cell, hour: number, at: number): void {
      if (cell.first < 0) cell.first = at
      const isKnown = cell.learned >= fewPayloads && !isYoung(at, cell.first, young)
      if (hour > cell.hour) closeHour(cell, isKnown)
      const day = Math.floor(hour / dayHours)
      if (day !== cell.day) beginDay(cell, day)
      cell.hour = hour
      cell.count = 0
      cell.bytes = 0
      cell.hourTop = 0
      cell.ids = []
      const deviation = Math.max(0.5, Math.sqrt(cell.variance))
      const unusual = Math.min(never, 2 ** (cell.mean + score * deviation))
      const mayAlarm = isKnown && !isQuiet(cell.alarmed, hour)
      cell.limit = mayAlarm ? Math.max(minimumBytes, factor * cell.peak) : never
      cell.single =
        mayAlarm && !isQuiet(cell.noted, hour) ? Math.max(minimumPayload, factor * cell.top, unusual) : never
    }

    function closeHour(cell: Cell, isKnown: boolean): void {
      // Nobody wonders about what lies below the minimum: it may be learned at once.
      const most = isKnown ? Math.max(2 * cell.dayPeak, minimumBytes / 4) : never
      const largest = isKnown ? Math.max(2 * cell.dayTop, minimumPayload / 4) : never
      cell.peak = Math.max(cell.peak, Math.min(cell.bytes, most))
      cell.top = Math.max(cell.top, Math.min(cell.hourTop, largest))
    }

    /** Much in an hour is this rule's only if the payloads are larger: more of the usual ones is another's. */
    function judgeHour(cell: Cell, seen: Seen): void {
      if (cell.bytes < 2 * cell.average * cell.count) return
      cell.limit = never
      cell.single = never
      cell.alarmed = cell.hour
      const usual = counted(Math.round(cell.peak), 'byte')
      tell(cell, seen, 'medium', {
        count: cell.count,
        how: `${counted(cell.bytes, 'byte')} in ${counted(cell.count, 'call')} within an hour; at most ${usual} were read in an hour of late`,
      })
    }

    function tellSingle(cell: Cell, size: number, seen: Seen): void {
      cell.single = never
      cell.noted = cell.hour
      const usual = counted(Math.round(cell.top), 'byte')
      tell(cell, seen, 'low', {
        count: 1,
        how: `a payload of ${counted(size, 'byte')}; the largest of late had ${usual}`,
      })
    }

    function tell(
      cell: Cell,
      seen: Seen,
      level: Level,
      { count, how }: { readonly count: number; readonly how: string },
    ) {
      const { entry, at, actor, key = '', keyName = key } = seen
      const who = actor === undefined ? 'somebody unknown' : word(actor)
      tools.report({
        level,
        subject: { key: keyName, ...(actor !== undefined && { actor }) },
        evidence: count === 1 ? [entry.eventID] : upTo(cell.ids, entry.eventID),
        count,
        from: count === 1 ? at : Math.min(at, cell.hour * hourMs),
        to: at,
        says: `${who} decrypted with key ${word(keyName)} ${how}`,
      })
    }
  },
  examples: [
    {
      says: 'three payloads of 60 kB where 300 bytes are usual: a note on the first, an alarm on the third, then quiet',
      findings: 2,
      levels: ['low', 'medium'],
      steps: [
        { action: 'kms.decrypt', times: 200, every: '1h', with: sized(300) },
        { action: 'kms.decrypt', after: '1h', times: 20, with: sized(60_000) },
      ],
    },
    {
      says: 'one larger payload is a note',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', times: 200, every: '1h', with: sized(300) },
        { action: 'kms.decrypt', after: '1h', with: sized(32_768) },
      ],
    },
    {
      says: 'one that is larger, but not large',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 200, every: '1h', with: sized(300) },
        { action: 'kms.decrypt', after: '1h', with: sized(32_767) },
      ],
    },
    {
      says: 'more of the usual ones: another rule counts them',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 200, every: '1h', with: sized(300) },
        { action: 'kms.decrypt', after: '1h', times: 600, with: sized(300) },
      ],
    },
    {
      says: 'large ones are usual',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 200, every: '1h', with: (number) => sized(number % 9 === 0 ? 60_000 : 300) },
        { action: 'kms.decrypt', after: '1h', times: 6, every: '5m', with: sized(60_000) },
      ],
    },
    {
      says: 'the pair is known for six days',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 140, every: '1h', with: sized(300) },
        { action: 'kms.decrypt', after: '1h', times: 20, with: sized(60_000) },
      ],
    },
    {
      says: 'sizes that are not told, and calls that were refused',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 200, every: '1h', with: sized(300) },
        { action: 'kms.decrypt', after: '1h', times: 20 },
        { action: 'kms.decrypt', times: 20, with: { ...sized(60_000), outcome: 'failure' } },
      ],
    },
  ],
})

function sized(plaintext: number) {
  return { payloadSizes: { plaintext, ciphertext: plaintext + 80 } }
}

/** One literal: an object put together of several is slower to change, and this one changes with every decrypt. */
function newCell(): Cell {
  return {
    first: -1,
    learned: 0,
    average: 0,
    mean: 0,
    variance: 0,
    top: 0,
    peak: 0,
    day: -1,
    dayTop: 0,
    dayPeak: 0,
    hour: -1,
    count: 0,
    bytes: 0,
    hourTop: 0,
    ids: [],
    single: never,
    limit: never,
    alarmed: -1,
    noted: -1,
  }
}

function isSize(size: unknown): size is number {
  return typeof size === 'number' && size >= 0 && size <= mostBytes
}

function beginDay(cell: Cell, day: number): void {
  // After a long silence, or a clock set far ahead, no more than a week fades.
  const passed = cell.day < 0 ? 0 : Math.min(7, Math.max(0, day - cell.day))
  cell.top *= fade ** passed
  cell.peak *= fade ** passed
  cell.day = day
  cell.dayTop = cell.top
  cell.dayPeak = cell.peak
}

function learn(cell: Cell, size: number): void {
  cell.learned += 1
  const share = Math.max(weight, 1 / cell.learned)
  const off = Math.log2(size + 1) - cell.mean
  cell.average += (size - cell.average) * share
  cell.mean += off * share
  cell.variance += (off * off - cell.variance) * share
}

function isQuiet(last: number, hour: number): boolean {
  return last >= 0 && hour >= last && hour - last < dayHours
}
