/** Signatures or MACs that do not hold, in numbers: somebody tries to forge one. */

import { msOf } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { sourceOf, whoOf, whoSubject } from '../who.ts'
import { checkHits, slidingWindow } from '../window.ts'
import { counted, lengthOf, listed, word } from '../words.ts'

export const forgeryAttempts: Rule = defineRule({
  id: 'forgery-attempts',
  title: 'Signatures or MACs do not hold, again and again',
  level: 'medium',
  attack: ['T1110', 'T1565'],
  why: 'Who forges tokens, webhooks or records has them verified until one passes. Each that fails is recorded.',
  falsePositives: [
    'Tokens of another environment, or of before a rotation whose old version may not be used any more.',
    'A partner that signs with the wrong key.',
  ],
  whatToDo:
    'Look at where the failed ones come from. Out of one source with changing content they are an attack: block it, and see whether one has passed. If each fails that a partner sends, compare the keys.',
  actions: ['kms.verify', 'kms.verify_hmac'],
  parameters: {
    /** So many per key, actor or source. */
    atLeast: 10,
    within: '15m',
    /** So many are `high`. */
    many: 100,
    /** So many times its ordinary share: a busy key always has some that do not hold. */
    factor: 4,
  },
  check({ atLeast, many }) {
    checkHits('forgery-attempts', { atLeast, many })
    if (many < atLeast)
      throw new KmsError('INVALID_INPUT', "'forgery-attempts.many' must not be below 'forgery-attempts.atLeast'")
  },
  watch({ atLeast, within, many, factor }, tools) {
    const span = msOf('within', within)
    const sets = groups.map((name) => ({
      volumes: tools.table<Volume>(`volume-${name}`, { max: 5000, make: newVolume }),
      some: slidingWindow(tools, { name: `some-${name}`, span, atLeast, max: 2000, quiet: span / 5 }),
      lots: slidingWindow(tools, { name: `many-${name}`, span, atLeast: many, max: 2000 }),
    }))
    const told = quietFor(tools, { name: 'told', span })
    const toldMany = quietFor(tools, { name: 'told-many', span })

    return {
      take(seen) {
        const { entry, at } = seen
        if (entry.outcome !== 'success') return
        const isBad = entry.valid === false
        const names = [seen.keyName ?? 'unknown', whoOf(seen), sourceOf(seen)]
        for (let place = 0; place < sets.length; place++) {
          const [name, set] = [names[place], sets[place]]
          if (name !== undefined) count(set?.volumes.of(name), { at, isBad, span })
        }
        if (isBad) look(seen, names)
      },
    }

    function look(seen: Seen, names: readonly (string | undefined)[]): void {
      const item = JSON.stringify([names[0], names[1]])
      const full = sets.flatMap(({ volumes, some, lots }, place) => {
        const name = names[place]
        if (name === undefined) return []
        const hits = [lots.add(name, seen, item), some.add(name, seen, item)].find((each) => each !== undefined)
        if (hits === undefined) return []
        const isUnusual = hits.count >= tooManyIn(volumes.of(name), factor)
        return isUnusual ? [{ hits, group: groups[place] ?? 'key' }] : []
      })
      const first = full.find(({ hits }) => {
        const quiet = hits.count >= many ? toldMany : told
        return hits.items.some((each) => !quiet.has(each, seen.at))
      })
      if (first === undefined) return
      const { hits, group } = first
      for (const each of hits.items) {
        told.begin(each, seen.at)
        if (hits.count >= many) toldMany.begin(each, seen.at)
      }
      // As made above.
      const pairs = hits.items.map((each) => JSON.parse(each) as readonly [key: string, who: string])
      const [keys, whos] = [new Set(pairs.map(([key]) => key)), new Set(pairs.map(([, who]) => who))]
      const source = sourceOf(seen)
      const { count, evidence, from, to } = hits
      tools.report({
        level: count >= many ? 'high' : 'medium',
        subject: {
          ...(keys.size === 1 && seen.keyName !== undefined && { key: seen.keyName }),
          ...(whos.size === 1 && whoSubject(seen)),
          ...(group === 'source' && source !== undefined && { source }),
        },
        ...{ count, evidence, from, to },
        says: `${counted(count, 'signature or MAC', 'signatures or MACs')} of ${keys.size === 1 ? 'key ' : ''}${listed([...keys], 3)}, given by ${whos.size > 3 ? counted(whos.size, 'actor') : listed([...whos])}${group === 'source' ? ` from ${word(source)}` : ''}, did not hold within ${lengthOf(span)}`,
      })
    }
  },
  examples: [
    {
      says: 'ten within a quarter of an hour: one finding, not one each for the key, the actor and the source',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms.verify', times: 12, every: '30s', with: { valid: false } }],
    },
    {
      says: 'a hundred: it is heard of again, as more than it seemed',
      findings: 2,
      levels: ['medium', 'high'],
      steps: [{ action: 'kms.verify_hmac', times: 120, with: { valid: false } }],
    },
    {
      says: 'one actor over many keys',
      findings: 1,
      steps: [{ action: 'kms.verify', times: 10, with: (number) => ({ valid: false, keySlug: `k${number}` }) }],
    },
    {
      says: 'one source under many names',
      findings: 1,
      steps: [
        {
          action: 'kms.verify',
          times: 10,
          with: (number) => ({ valid: false, keySlug: `k${number}`, actor: { type: 'client', id: `c${number}` } }),
        },
      ],
    },
    {
      says: 'a busy key with a tenth that never hold, of many',
      findings: 0,
      steps: [
        {
          action: 'kms.verify',
          times: 6000,
          every: '5s',
          with: (number) => ({
            valid: number % 10 !== 0,
            actor: { type: 'client', id: `c${number % 70}` },
            context: {},
          }),
        },
      ],
    },
    {
      says: 'the same key, when its share rises',
      findings: 1,
      steps: [
        {
          action: 'kms.verify',
          times: 6000,
          every: '5s',
          with: (number) => ({
            valid: number % 10 !== 0,
            actor: { type: 'client', id: `c${number % 70}` },
            context: {},
          }),
        },
        { action: 'kms.verify', times: 90, every: '5s', with: { valid: false, actor: { type: 'client', id: 'eve' } } },
      ],
    },
    {
      says: 'nine',
      findings: 0,
      steps: [{ action: 'kms.verify', times: 9, with: { valid: false } }],
    },
    {
      says: 'calls that failed tell nothing of a signature',
      findings: 0,
      steps: [{ action: 'kms.verify', times: 60, with: { outcome: 'failure', valid: false } }],
    },
    {
      says: 'one in two minutes',
      findings: 0,
      steps: [{ action: 'kms.verify', times: 300, every: '2m', with: { valid: false } }],
    },
  ],
})

const groups = ['key', 'actor', 'source'] as const

/** All verifications of a group, in buckets as long as the window: this one and the one before, and what is usual. */
interface Volume {
  /** Where the bucket begins, ms. */
  at: number
  all: number
  bad: number
  before: number
  /** Of earlier buckets, each a little less than the one after it. */
  pastAll: number
  pastBad: number
}

function newVolume(): Volume {
  return { at: 0, all: 0, bad: 0, before: 0, pastAll: 0, pastBad: 0 }
}

interface Counted {
  readonly at: number
  readonly isBad: boolean
  readonly span: number
}

/** A quarter of an hour of half a week ago counts three quarters of one of now. */
const fading = 0.999

function count(volume: Volume | undefined, { at, isBad, span }: Counted): void {
  if (volume === undefined) return
  if (at >= volume.at + span || at < volume.at - span) {
    // A burst is not what is usual.
    const bad = isKnown(volume) ? Math.min(volume.bad, 2 * shareOf(volume) * volume.all) : volume.bad
    volume.pastAll = volume.pastAll * fading + volume.all
    volume.pastBad = volume.pastBad * fading + bad
    volume.before = at < volume.at + 2 * span && at >= volume.at ? volume.all : 0
    volume.at = Math.floor(at / span) * span
    volume.all = 0
    volume.bad = 0
  }
  volume.all += 1
  if (isBad) volume.bad += 1
}

/** So many make a share that means something. */
const enough = 200

function isKnown({ pastAll }: Volume): boolean {
  return pastAll >= enough
}

/** A few that never failed are no promise that none will. */
function shareOf({ pastAll, pastBad }: Volume): number {
  return (pastBad + 2) / (pastAll + enough)
}

/** How many that do not hold are too many, of as many as there were lately. Of a group that is not known yet: half of all. */
function tooManyIn(volume: Volume, factor: number): number {
  const lately = volume.all + volume.before
  return isKnown(volume) ? factor * shareOf(volume) * lately : lately / 2
}
