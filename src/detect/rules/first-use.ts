/** A key used by somebody who never used it, or not for two weeks. */
import { msOf } from '../../model/duration.ts'
import type { Level } from '../finding.ts'
import { isYoung, learningPeriod } from '../learning.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { lengthOf, word } from '../words.ts'

const hour = 3_600_000
/** What gives something away, or speaks in the key's name; an encrypt or a verify does neither. */
const strong = new Set(['kms.decrypt', 'kms.re_encrypt', 'kms.sign', 'kms.hmac', 'kms.export'])

export const firstUse: Rule = defineRule({
  id: 'first-use',
  title: 'First use of a key by an actor',
  level: 'low',
  attack: ['T1078'],
  why: 'Who uses which key hardly changes. A known actor at a known key that are new to each other is a change of the program, or of who is behind the actor.',
  falsePositives: [
    'A release that uses one more key; a person who stands in for another.',
    'A new key or a new actor: told with a lower level.',
  ],
  whatToDo: 'Ask the owner of the actor what it needs the key for. If there is no reason, take the permission away.',
  actions: [
    ...['kms.encrypt', 'kms.decrypt', 'kms.re_encrypt', 'kms.generate_data_key', 'kms.export'],
    ...['kms.sign', 'kms.verify', 'kms.hmac', 'kms.verify_hmac'],
  ],
  parameters: {
    /** A use after so long counts as a first one; actors and keys seen for so long are old. */
    within: '14d',
    learning: '14d',
    /** A key with so many actors, and an actor with so many keys, come together by chance: no alarm. */
    shared: 8,
  },
  watch({ within, learning, shared }, tools) {
    const span = msOf('within', within)
    const learned = learningPeriod(tools, msOf('learning', learning))
    const pairs = tools.table('pairs', { max: 30_000, make: () => ({ last: -1 }) })
    const actors = tools.table('actors', { max: 10_000, make: () => ({ first: -1, keys: 0 }) })
    const keys = tools.table('keys', { max: 10_000, make: () => ({ first: -1, actors: 0, people: 0 }) })

    return {
      take(seen) {
        const { entry, at, pair } = seen
        const knowsEnough = learned.isOver(at)
        if (pair === undefined || entry.outcome !== 'success') return
        const known = pairs.of(pair)
        const { last } = known
        // Written once an hour: that is close enough.
        if (at - last > hour || at < last) known.last = at
        if (last >= 0 && at - last < span) return
        const level = meet(seen, last >= 0)
        if (!knowsEnough) return
        const { actor, key = '', keyName = key } = seen
        const who = actor === undefined ? 'somebody unknown' : word(actor)
        tools.report({
          level,
          subject: { key: keyName, ...(actor !== undefined && { actor }) },
          evidence: [entry.eventID],
          says: `${who} used key ${word(keyName)} (${word(entry.action)}) for the first time${last < 0 ? '' : ` in ${lengthOf(at - last)}`}`,
        })
      },
    }

    /** The level of such a meeting, which counts from here on. */
    function meet({ entry, at, actor = 'unknown', key = '' }: Seen, isReturn: boolean): Level {
      const [who, what] = [actors.of(actor), keys.of(key)]
      if (who.first < 0) who.first = at
      if (what.first < 0) what.first = at
      const isPerson = entry.actor?.type === 'user'
      // People see many keys: one that only programs used is another matter.
      const isRare = isPerson ? what.people === 0 : who.keys < shared && what.actors < shared
      if (!isReturn) {
        who.keys += 1
        what.actors += 1
        if (isPerson) what.people += 1
      }
      if (isYoung(at, what.first, span)) return 'informational'
      if (isYoung(at, who.first, span) || isReturn) return 'low'
      return isRare && strong.has(entry.action) ? 'medium' : 'low'
    }
  },
  examples: [
    {
      says: 'actor and key are old, and meet for the first time to decrypt',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.encrypt', times: 60, every: '6h', with: twoSides },
        { action: 'kms.decrypt', times: 3 },
      ],
    },
    {
      says: 'to encrypt',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'kms.encrypt', times: 60, every: '6h', with: twoSides }, { action: 'kms.encrypt' }],
    },
    {
      says: 'a person with a key that only programs used, and then another person',
      findings: 2,
      levels: ['medium', 'low'],
      steps: [
        { action: 'kms.encrypt', times: 80, every: '6h', with: (number) => (number % 4 === 0 ? {} : person(number)) },
        { action: 'kms.decrypt', with: { actor: { type: 'user', id: 'u1' } } },
        { action: 'kms.decrypt', with: { actor: { type: 'user', id: 'u2' } } },
      ],
    },
    {
      says: 'a joiner with an old key',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', with: { actor: { type: 'user', id: 'new' } } },
      ],
    },
    {
      says: 'a new key',
      findings: 1,
      levels: ['informational'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', with: { resourceIdentity: 'kms-new', keySlug: 'new' } },
      ],
    },
    {
      says: 'the same pair again after two weeks, in which others went on',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', with: { actor: { type: 'user', id: 'ann' } } },
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', with: { actor: { type: 'user', id: 'ann' } } },
      ],
    },
    {
      says: 'while everything is new',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 50, every: '6h', with: (number) => person(number) }],
    },
    {
      says: 'after nothing at all was watched for a month, everything is new again',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 80, every: '6h' },
        { action: 'kms.decrypt', after: '30d', times: 3, with: (number) => person(number) },
      ],
    },
    {
      says: 'a refused use is none',
      findings: 0,
      steps: [
        { action: 'kms.encrypt', times: 60, every: '6h', with: twoSides },
        { action: 'kms.decrypt', with: { outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' } },
      ],
    },
  ],
})

/** Another actor with the key, and the actor with another key. */
function twoSides(number: number) {
  return number % 2 === 0
    ? { actor: { type: 'serviceAccount', id: 'other' } as const }
    : { resourceIdentity: 'kms-other', keySlug: 'other' }
}

function person(number: number) {
  return {
    actor: { type: 'user', id: `u${number % 4}` } as const,
    ...{ resourceIdentity: 'kms-people', keySlug: 'people' },
  }
}
