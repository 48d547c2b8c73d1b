/** One actor uses many different keys at once. */
import { msOf } from '../../model/duration.ts'
import { learningPeriod } from '../learning.ts'
import { isQuiet } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, word } from '../words.ts'

interface Cell {
  /** Keys used of late, and of each the last moment and the last entry. */
  keys: string[]
  times: number[]
  ids: string[]
  /** The most in a minute: of the day that runs, and of days before, fading by half in a month. */
  day: number
  top: number
  usual: number
  quietUntil: number
}

const minute = 60_000
const dayMs = 86_400_000
const fade = 0.98
/** Of an actor: a power of two. */
const mostKeys = 128

export const manyKeys: Rule = defineRule({
  id: 'many-keys',
  title: 'Many different keys used by one actor within a minute',
  level: 'medium',
  attack: ['T1555', 'T1078'],
  why: 'A program has its few keys. Whoever has stolen an identity tries what it opens, key after key.',
  falsePositives: ['A job over all keys, such as a backup: told when it is new, then it is usual.'],
  whatToDo:
    'Ask the owner of the actor what ran. If nobody knows, disable the actor and look at all its entries of that hour.',
  actions: [
    ...['kms.encrypt', 'kms.decrypt', 'kms.re_encrypt', 'kms.generate_data_key', 'kms.export'],
    ...['kms.sign', 'kms.verify', 'kms.hmac', 'kms.verify_hmac'],
  ],
  parameters: {
    /** So many more than the most that this actor used in a minute of late; refused calls count, unless there is no such key. */
    more: 10,
    /** Of the whole: an actor that is new after it has no usual number. */
    learning: '7d',
  },
  watch({ more, learning }, tools) {
    const learned = learningPeriod(tools, msOf('learning', learning))
    const make = (): Cell => ({ keys: [], times: [], ids: [], day: -1, top: 0, usual: 0, quietUntil: 0 })
    const cells = tools.table<Cell>('actors', { max: 3000, make })

    return {
      take({ entry, at, actor, key, keyName }) {
        const knowsEnough = learned.isOver(at)
        if (key === undefined || entry.statusCode === 404) return
        const cell = cells.of(actor ?? 'unknown')
        const place = cell.keys.indexOf(key)
        const isNew = place < 0 || !isClose(at, cell.times[place])
        if (place >= 0) {
          cell.times[place] = at
          cell.ids[place] = entry.eventID
        } else if (!add(cell, key, at, entry.eventID)) return
        // A key that was used within the minute changes nothing.
        if (!isNew) return
        const day = Math.floor(at / dayMs)
        if (day !== cell.day) beginDay(cell, day, knowsEnough)
        let count = 0
        for (const time of cell.times) if (isClose(at, time)) count += 1
        if (count > cell.top) cell.top = count
        if (count < Math.round(cell.usual) + more || !knowsEnough || isQuiet(at, cell.quietUntil, dayMs)) return
        cell.quietUntil = at + dayMs
        const used = usedOf(cell, at)
        const who = actor === undefined ? 'callers who name nobody' : word(actor)
        tools.report({
          subject: actor === undefined ? {} : { actor },
          evidence: used.map(([, id]) => id),
          count,
          from: Math.min(...used.map(([time]) => time)),
          to: at,
          says: `${who} used ${counted(count, 'different key')} within a minute, ${word(keyName)} the last of them; ${Math.round(cell.usual)} were the most of late`,
        })
      },
    }

    /** A day teaches no more than a step. */
    function beginDay(cell: Cell, day: number, knowsEnough: boolean): void {
      const passed = cell.day < 0 ? 0 : Math.min(7, Math.max(0, day - cell.day))
      const taught = knowsEnough ? Math.min(cell.top, cell.usual + more) : cell.top
      cell.usual = Math.max(cell.usual * fade ** passed, taught)
      cell.top = 0
      cell.day = day
    }
  },
  examples: [
    {
      says: 'ten keys within a minute, by an actor with one; told once, however many follow',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.decrypt', times: 170, every: '1h' },
        { action: 'kms.decrypt', after: '1h', times: 30, every: '5s', with: keyOf },
      ],
    },
    {
      says: 'by an actor who was never seen',
      findings: 1,
      steps: [
        { action: 'kms.decrypt', times: 170, every: '1h' },
        {
          action: 'kms.sign',
          times: 12,
          with: (number) => ({ ...keyOf(number), actor: { type: 'user', id: 'eve' } }),
        },
      ],
    },
    {
      says: 'refused ones too',
      findings: 1,
      steps: [
        { action: 'kms.decrypt', times: 170, every: '1h' },
        {
          action: 'kms.decrypt',
          after: '1h',
          times: 12,
          with: (number) => ({ ...keyOf(number), outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' }),
        },
      ],
    },
    {
      says: 'keys that there are not: another rule counts them',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 170, every: '1h' },
        {
          action: 'kms.decrypt',
          after: '1h',
          times: 30,
          with: (number) => ({ ...keyOf(number), outcome: 'failure', statusCode: 404, error: 'KEY_NOT_FOUND' }),
        },
      ],
    },
    {
      says: 'nine',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 170, every: '1h' },
        { action: 'kms.decrypt', after: '1h', times: 40, with: (number) => keyOf(number % 9) },
      ],
    },
    {
      says: 'thirty keys, one in ten seconds',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 170, every: '1h' },
        { action: 'kms.decrypt', after: '1h', times: 30, every: '10s', with: keyOf },
      ],
    },
    {
      says: 'who uses twenty every morning',
      findings: 0,
      steps: Array.from({ length: 12 }, () => ({ action: 'kms.decrypt', after: '23h', times: 20, with: keyOf })),
    },
    {
      says: 'in the first week',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 30, with: keyOf }],
    },
  ],
})

function keyOf(number: number) {
  return { resourceIdentity: `kms-${number}`, keySlug: `k${number}` }
}

/** Within the minute; also of what comes a little late, as of several writers. */
function isClose(at: number, time = 0): boolean {
  return at - time < minute && time - at < minute
}

/** Whether there was room. What was not used for a minute goes at sixteen keys, at thirty-two and so on. */
function add(cell: Cell, key: string, at: number, eventID: string): boolean {
  const size = cell.keys.length
  if (size >= 16 && (size & (size - 1)) === 0) {
    const kept = [...cell.times.keys()].filter((place) => isClose(at, cell.times[place]))
    if (kept.length >= mostKeys) return false
    const of = <T>(list: readonly T[]) => kept.flatMap((place) => list.slice(place, place + 1))
    Object.assign(cell, { keys: of(cell.keys), times: of(cell.times), ids: of(cell.ids) })
  }
  cell.keys.push(key)
  cell.times.push(at)
  cell.ids.push(eventID)
  return true
}

function usedOf({ times, ids }: Cell, at: number): readonly (readonly [time: number, id: string])[] {
  const used = times.map((time, place) => [time, ids[place] ?? ''] as const)
  return used.filter(([time]) => isClose(at, time)).sort(([one], [other]) => one - other)
}
