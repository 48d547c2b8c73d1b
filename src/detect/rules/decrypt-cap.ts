/** More decrypts in an hour than anybody should need. */
import { KmsError } from '../../model/errors.ts'
import { isQuiet } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { counted, word } from '../words.ts'

interface Cell {
  /** Which five minutes are counted now, and what each of the last twelve had. */
  slot: number
  counts: number[]
  sum: number
  ids: string[]
  quietUntil: number
}

const slotMs = 300_000
const slots = 12
const quiet = 86_400_000
const keptIDs = 10

const noCaps: { readonly [key: string]: number } = {}

export const decryptCap: Rule = defineRule({
  id: 'decrypt-cap',
  title: 'More decrypts than the cap allows',
  level: 'medium',
  attack: ['T1530'],
  why: 'A cap needs nothing learned: it holds on the first day, and for whoever raises the usual volume little by little.',
  falsePositives: ['A batch that reads everything: give its key a cap of its own.'],
  whatToDo:
    'Ask the owner of the actor what ran. If nobody knows, disable the actor, and see by the encryption contexts of the entries what was read.',
  actions: ['kms.decrypt'],
  parameters: {
    /** In any hour. A company with a million entries a month has 1,400 of all kinds in an hour. */
    perActor: 10_000,
    perKey: 10_000,
    /** By slug or identity, in place of `perKey`: `{ payroll: 200 }`. Beyond such a cap the level is high. */
    keys: noCaps,
  },
  check({ keys }) {
    for (const [name, cap] of Object.entries(keys))
      if (typeof cap !== 'number' || !(cap >= 0 && cap < Number.POSITIVE_INFINITY))
        throw new KmsError('INVALID_INPUT', `'decrypt-cap.keys' must give '${name}' a number of 0 or more`)
  },
  watch({ perActor, perKey, keys }, tools) {
    const caps = new Map(Object.entries(keys))
    const make = (): Cell => ({ slot: -1, counts: [], sum: 0, ids: [], quietUntil: 0 })
    const ofActors = tools.table('actors', { max: 10_000, make })
    const ofKeys = tools.table('keys', { max: 10_000, make })
    return {
      take(seen) {
        const { entry, actor, key } = seen
        if (entry.outcome !== 'success') return
        count(ofActors.of(actor ?? 'unknown'), perActor, 'actor', seen)
        if (key === undefined) return
        const named = caps.size === 0 ? undefined : (caps.get(seen.keyName ?? key) ?? caps.get(key))
        count(ofKeys.of(key), named ?? perKey, named === undefined ? 'key' : 'named', seen)
      },
    }

    function count(cell: Cell, cap: number, about: 'actor' | 'key' | 'named', seen: Seen): void {
      const { at, entry, actor, keyName = 'unknown' } = seen
      const slot = Math.floor(at / slotMs)
      if (slot !== cell.slot) slide(cell, slot)
      const place = cell.slot % slots
      cell.counts[place] = (cell.counts[place] ?? 0) + 1
      cell.sum += 1
      if (cell.sum <= cap - keptIDs) return
      if (isQuiet(at, cell.quietUntil, quiet)) return
      cell.ids = [...cell.ids.slice(-keptIDs), entry.eventID]
      if (cell.sum <= cap) return
      cell.quietUntil = at + quiet
      const who =
        about !== 'actor' ? `of key ${word(keyName)}` : `by ${actor === undefined ? 'callers unknown' : word(actor)}`
      tools.report({
        level: about === 'named' ? 'high' : 'medium',
        subject: about !== 'actor' ? { key: keyName } : actor === undefined ? {} : { actor },
        evidence: cell.ids,
        count: cell.sum,
        from: Math.max(0, at - slots * slotMs),
        to: at,
        says: `${counted(cell.sum, 'decrypt')} ${who} within an hour, where at most ${cap.toLocaleString('en-US')} are meant to be`,
      })
    }
  },
  examples: [
    {
      says: 'one more than the cap of an actor',
      findings: 1,
      levels: ['medium'],
      parameters: { perActor: 100 },
      steps: [{ action: 'kms.decrypt', times: 101 }],
    },
    {
      says: 'exactly the cap',
      findings: 0,
      parameters: { perActor: 100, perKey: 100 },
      steps: [{ action: 'kms.decrypt', times: 100 }],
    },
    {
      says: 'over the hour of a clock, and told once a day',
      findings: 2,
      levels: ['medium', 'medium'],
      parameters: { perKey: 100 },
      steps: [
        { action: 'kms.decrypt', after: '40m', times: 400, every: '15s' },
        { action: 'kms.decrypt', after: '23h', times: 200, every: '15s' },
      ],
    },
    {
      says: 'ninety-nine in every hour',
      findings: 0,
      parameters: { perActor: 110, perKey: 110 },
      steps: [{ action: 'kms.decrypt', times: 600, every: '36s' }],
    },
    {
      says: 'a key with a cap of its own, by slug',
      findings: 1,
      levels: ['high'],
      parameters: { keys: { orders: 5 } },
      steps: [{ action: 'kms.decrypt', times: 50 }],
    },
    {
      says: 'a key that nobody should ever use',
      findings: 1,
      levels: ['high'],
      parameters: { keys: { 'kms-orders': 0 } },
      steps: [{ action: 'kms.decrypt' }],
    },
    {
      says: 'another key has its own',
      findings: 0,
      parameters: { keys: { payroll: 5 } },
      steps: [{ action: 'kms.decrypt', times: 50 }],
    },
    {
      says: 'refused ones',
      findings: 0,
      parameters: { perActor: 10, perKey: 10 },
      steps: [{ action: 'kms.decrypt', times: 50, with: { outcome: 'failure' } }],
    },
  ],
})

/** Moves the window; of a clock that was set back by more than its length, nothing is kept. */
function slide(cell: Cell, slot: number): void {
  const passed = slot - cell.slot
  if (passed < 0 && passed > -slots) return
  cell.ids = []
  if (cell.slot < 0 || passed >= slots || passed < 0) {
    cell.counts = new Array<number>(slots).fill(0)
    cell.sum = 0
  } else
    for (let number = 1; number <= passed; number++) {
      const place = (cell.slot + number) % slots
      cell.sum -= cell.counts[place] ?? 0
      cell.counts[place] = 0
    }
  cell.slot = slot
}
