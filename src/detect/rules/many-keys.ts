/** One actor uses many different keys at once. */
import { msOf } from '../../model/duration.ts'
import { learningPeriod } from '../learning.ts'
import { isQuiet } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, listed, word } from '../words.ts'

interface Cell {
  /** Which half minute is counted; its keys, and those of the half before, each with its first entry. */
  half: number
  keys: string[]
  ids: string[]
  keysBefore: string[]
  idsBefore: string[]
  /** The most in a minute: of the day that runs, and of days before, fading by half in a month. */
  day: number
  top: number
  usual: number
  quietUntil: number
}

const halfMs = 30_000
const dayMs = 86_400_000
const quiet = dayMs
const fade = 0.98
/** Of very many keys the rest are not remembered. */
const mostKeys = 200

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
    const make = (): Cell => ({
      ...{ half: -1, keys: [], ids: [], keysBefore: [], idsBefore: [] },
      ...{ day: -1, top: 0, usual: 0, quietUntil: 0 },
    })
    const cells = tools.table<Cell>('actors', { max: 10_000, make })

    return {
      take({ entry, at, actor, key, keyName }) {
        const knowsEnough = learned.isOver(at)
        if (key === undefined || entry.statusCode === 404) return
        const cell = cells.of(actor ?? 'unknown')
        const half = Math.floor(at / halfMs)
        if (half !== cell.half) turn(cell, half, knowsEnough)
        if (cell.keys.includes(key) || cell.keys.length >= mostKeys) return
        cell.keys.push(key)
        cell.ids.push(entry.eventID)
        const count = distinctOf(cell)
        if (count > cell.top) cell.top = count
        if (count < Math.round(cell.usual) + more || !knowsEnough || isQuiet(at, cell.quietUntil, quiet)) return
        cell.quietUntil = at + quiet
        const who = actor === undefined ? 'callers who name nobody' : word(actor)
        const names = listed([keyName ?? key, ...cell.keys.filter((other) => other !== key)].slice(0, 3))
        tools.report({
          subject: actor === undefined ? {} : { actor },
          evidence: [...cell.idsBefore, ...cell.ids],
          count,
          from: (half - 1) * halfMs,
          to: at,
          says: `${who} used ${counted(count, 'different key')} within a minute, ${names} among them; ${Math.round(cell.usual)} were the most of late`,
        })
      },
    }

    function turn(cell: Cell, half: number, knowsEnough: boolean): void {
      // What comes a little late, as of several writers, belongs to the half that is counted.
      if (half < cell.half && half >= cell.half - 2) return
      const isNext = half === cell.half + 1
      const [keys, ids] = [cell.keysBefore, cell.idsBefore]
      cell.keysBefore = cell.keys
      cell.idsBefore = cell.ids
      if (!isNext) {
        cell.keysBefore.length = 0
        cell.idsBefore.length = 0
      }
      // The lists are used again: a rare caller would need new ones at each call.
      keys.length = 0
      ids.length = 0
      cell.keys = keys
      cell.ids = ids
      cell.half = half
      const day = Math.floor((half * halfMs) / dayMs)
      if (day !== cell.day) beginDay(cell, day, knowsEnough)
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

function distinctOf({ keys, keysBefore }: Cell): number {
  return keys.length + keysBefore.filter((key) => !keys.includes(key)).length
}
