/** More is read than written, all at once: data are copied out slowly, or by somebody who only ever wrote. */
import { nextDay } from '../days.ts'
import type { Step } from '../example.ts'
import { defineRule, type Rule } from '../rule.ts'
import { sample } from '../samples.ts'
import type { Table } from '../table.ts'
import { counted, word } from '../words.ts'

interface Cell {
  /** The day that is counted, by the wall's date; -1 before the first. */
  day: number
  decrypts: number
  encrypts: number
  /** Of the decrypts. */
  ids: string[]
  /** The same counts of days before, the newest last; days with none are not kept. */
  past: [decrypts: number, encrypts: number][]
  /** What a finding calls it: the name it had last. */
  name: string
}

const hour = 3_600_000
const unknown = 'unknown'
/** Days with fewer calls say nothing of a ratio. */
const fewCalls = 20

export const decryptRatio: Rule = defineRule({
  id: 'decrypt-ratio',
  title: 'The ratio of decrypts to encrypts has shifted',
  level: 'medium',
  attack: ['T1530', 'T1078'],
  why: 'What a program reads for each thing it writes is its nature. A copy made slowly enough to hide among the usual volume still shifts it.',
  falsePositives: ['A migration or a re-index; a service that gets a new task.'],
  whatToDo:
    'Look at what this actor, or who with this key, decrypted that day. Ask the owner what changed; if nothing did, disable the actor.',
  actions: ['kms.decrypt', 'kms.encrypt', 'kms.generate_data_key'],
  parameters: {
    /** Decrypts in the day. */
    minimum: 200,
    /** So many times the ratio of the days before taken together; and three times that of any one of them. */
    factor: 8,
    /** And so many standard deviations more decrypts than that ratio gives. */
    score: 6,
    /** Days with calls before the first judgement: a week, with its weekend. */
    learningDays: 7,
    /** Days that are remembered. */
    memoryDays: 14,
  },
  watch({ minimum, factor, score, learningDays, memoryDays }, tools) {
    const make = (): Cell => ({ day: -1, decrypts: 0, encrypts: 0, ids: [], past: [], name: '' })
    const actors = tools.table('actors', { max: 3000, make })
    const keys = tools.table('keys', { max: 3000, make })
    /** Between these moments it is the same day. */
    const today = tools.record('today', () => ({ day: -1, from: -1, until: -1 }))

    return {
      take({ entry, at, actor, key, keyName }) {
        if (entry.outcome !== 'success') return
        if (at >= today.until || at < today.from - hour) beginDay(at)
        count(actors.of(actor ?? unknown), entry.action, entry.eventID)
        if (key === undefined) return
        const cell = keys.of(key)
        if (cell.name === '') cell.name = keyName ?? key
        count(cell, entry.action, entry.eventID)
      },
      wake(now) {
        closeDay(actors, 'actor', now)
        closeDay(keys, 'key', now)
        // The next entry begins a day: while there is none, nothing has to be closed.
        today.until = -1
      },
    }

    function beginDay(at: number): void {
      today.day = tools.local.day(at)
      today.from = at
      today.until = nextDay(tools.local, at)
      tools.wake(today.until)
    }

    function count(cell: Cell, action: string, eventID: string): void {
      if (cell.day !== today.day) {
        // Of a day that the clock left backwards nothing is learned.
        clear(cell)
        cell.day = today.day
      }
      if (action !== 'kms.decrypt') {
        cell.encrypts += 1
        return
      }
      cell.decrypts += 1
      sample(cell.ids, cell.decrypts, eventID)
    }

    function closeDay(table: Table<Cell>, about: 'actor' | 'key', now: number): void {
      for (const [group, cell] of table.entries()) {
        const { decrypts, encrypts, past } = cell
        if (decrypts + encrypts === 0) continue
        if (isShifted(cell)) tell(group, cell, about, now)
        past.push([decrypts, encrypts])
        if (past.length > memoryDays) past.shift()
        clear(cell)
      }
    }

    function isShifted({ decrypts, encrypts, past }: Cell): boolean {
      if (decrypts < minimum || past.length < learningDays) return false
      const [read, written] = sumOf(past)
      const ratio = ratioOf(decrypts, encrypts)
      if (ratio < factor * ratioOf(read, written)) return false
      for (const [one, other] of past) if (one + other >= fewCalls && ratio < 3 * ratioOf(one, other)) return false
      const share = (read + 1) / (read + written + 2)
      const calls = decrypts + encrypts
      return decrypts - calls * share >= score * Math.sqrt(calls * share * (1 - share))
    }

    function tell(group: string, { decrypts, encrypts, past, ids, name }: Cell, about: 'actor' | 'key', now: number) {
      const [read, written] = sumOf(past)
      const who =
        about === 'key' ? `with key ${word(name)}` : `by ${group === unknown ? 'callers unknown' : word(group)}`
      tools.report({
        subject: about === 'key' ? { key: name } : group === unknown ? {} : { actor: group },
        evidence: ids,
        count: decrypts,
        from: Math.min(today.from, now),
        to: now,
        says: `${counted(decrypts, 'decrypt')} for ${counted(encrypts, 'encrypt')} ${who} in a day, where the ${counted(past.length, 'day')} before had ${read.toLocaleString('en-US')} for ${written.toLocaleString('en-US')}`,
      })
    }
  },
  examples: [
    {
      says: 'who wrote a hundred and read ten a day reads three hundred: told for the actor and the key once the day is over',
      findings: 2,
      levels: ['medium', 'medium'],
      steps: [...days(8, 10, 100), ...days(1, 300, 100)],
      afterwards: '1d',
    },
    {
      says: 'the day is not over',
      findings: 0,
      steps: [...days(8, 10, 100), ...days(1, 300, 100)],
    },
    {
      says: 'after six days only',
      findings: 0,
      steps: [...days(6, 10, 100), ...days(1, 300, 100)],
      afterwards: '1d',
    },
    {
      says: 'five times as many of both: growth',
      findings: 0,
      steps: [...days(8, 50, 50), ...days(1, 250, 250)],
      afterwards: '1d',
    },
    {
      says: 'a hundred and ninety-nine',
      findings: 0,
      steps: [...days(8, 10, 100), ...days(1, 199, 10)],
      afterwards: '1d',
    },
    {
      says: 'who never encrypts has no ratio to shift',
      findings: 0,
      steps: [...days(8, 50, 0), ...days(1, 300, 0)],
      afterwards: '1d',
    },
    {
      says: 'one of the days before was much the same, as weekends are',
      findings: 0,
      steps: [...days(1, 150, 1), ...days(8, 10, 100), ...days(1, 300, 1)],
      afterwards: '1d',
    },
    {
      says: 'who only ever wrote, into envelopes',
      findings: 2,
      steps: [
        ...Array.from({ length: 8 }, () => ({ action: 'kms.generate_data_key', after: '85000s', times: 100 })),
        { action: 'kms.decrypt', after: '12h', times: 250 },
      ],
      afterwards: '1d',
    },
  ],
})

/** So many decrypts, and then encrypts, on each of so many days. */
function days(number: number, decrypts: number, encrypts: number): Step[] {
  const rest = `${86_400 - decrypts - encrypts}s`
  return Array.from({ length: number }, () => [
    { action: 'kms.decrypt', after: rest, times: decrypts },
    { action: 'kms.encrypt', after: '1s', times: encrypts },
  ]).flat()
}

function clear(cell: Cell): void {
  cell.decrypts = 0
  cell.encrypts = 0
  cell.ids = []
}

function sumOf(past: Cell['past']): readonly [number, number] {
  return past.reduce<readonly [number, number]>(
    ([read, written], [one, other]) => [read + one, written + other],
    [0, 0],
  )
}

function ratioOf(decrypts: number, encrypts: number): number {
  return (decrypts + 1) / (encrypts + 1)
}
