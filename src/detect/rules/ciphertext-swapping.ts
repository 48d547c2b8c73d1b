/**
 * Decryption fails under an intact commitment: the ciphertext was made by this very key version, and its body or its encryption
 * context is not the one that it was made with.
 */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { whoOf, whoSubject } from '../who.ts'
import { checkHits, type Hits, slidingWindow } from '../window.ts'
import { counted, lengthOf, word } from '../words.ts'

export const ciphertextSwapping: Rule = defineRule({
  id: 'ciphertext-swapping',
  title: 'Ciphertexts fail their authentication',
  level: 'medium',
  attack: ['T1565'],
  why: 'The key fits and the ciphertext does not: somebody changed it, or put one in the place of another, such as the balance of one account into the row of another. The other failures mean less: `malformed` is no ciphertext of ours, `unknown_version` and `version_below_minimum` name a version that may not be used, and `commitment_mismatch` is the ciphertext of another key, as after a mix-up of environments.',
  falsePositives: [
    'A release that gives another encryption context than the one before: every record fails, from its first minute on.',
    'Records that a disk or a transfer has damaged.',
  ],
  whatToDo:
    'Compare the encryption context of the failed calls with that of the calls that wrote the records. If the program gives the right one, somebody wrote to the place where the ciphertexts are kept: find out who can, and restore these records from a backup.',
  actions: ['kms.decrypt', 'kms.re_encrypt'],
  parameters: {
    /** So many per actor or key. */
    atLeast: 3,
    /** So many are `high`. */
    many: 10,
    within: '1h',
  },
  check({ atLeast, many }) {
    checkHits('ciphertext-swapping', { atLeast, many })
  },
  watch({ atLeast, many, within }, tools) {
    const span = msOf('within', within)
    const some = groups.map((name) => slidingWindow(tools, { name: `some-${name}`, span, atLeast }))
    const lots = groups.map((name) => slidingWindow(tools, { name: `many-${name}`, span, atLeast: many }))
    const told = quietFor(tools, { name: 'told', span })
    const toldMany = quietFor(tools, { name: 'told-many', span })

    /** The first group that is full, of which not all were told already. */
    function full(windows: typeof some, seen: Seen, who: string) {
      const hits = windows.map((window, at) => {
        const group = at === 0 ? who : (seen.keyName ?? 'unknown')
        return window.add(group, seen, at === 0 ? (seen.keyName ?? 'unknown') : who)
      })
      const at = hits.findIndex((each) => each !== undefined)
      return { group: groups[at], hits: hits[at] }
    }

    function report(seen: Seen, { group, hits }: { readonly group: 'actor' | 'key'; readonly hits: Hits }): void {
      const { items, count, evidence, from, to } = hits
      const who = whoOf(seen)
      const key = seen.keyName ?? 'unknown'
      const keys = group === 'actor' && items.length > 1 ? counted(items.length, 'key') : `key ${word(key)}`
      const whos = group === 'key' && items.length > 1 ? counted(items.length, 'actor') : word(who)
      tools.report({
        level: count >= many ? 'high' : 'medium',
        subject: {
          ...(items.length === 1 || group === 'key' ? { key } : {}),
          ...(items.length === 1 || group === 'actor' ? whoSubject(seen) : {}),
        },
        ...{ count, evidence, from, to },
        says: `${counted(count, 'decryption')} with ${keys} by ${whos} failed within ${lengthOf(span)} although the key fits: ciphertexts or their contexts were changed or swapped`,
      })
    }

    return {
      take(seen) {
        if (seen.entry.details?.decryptFailure !== 'authentication_failed') return
        const who = whoOf(seen)
        const [first, more] = [full(some, seen, who), full(lots, seen, who)]
        for (const [{ group, hits }, quiet] of [
          [more, toldMany],
          [first, told],
        ] as const) {
          if (group === undefined || hits === undefined) continue
          const whos = group === 'actor' ? [who] : hits.items
          if (whos.every((each) => quiet.has(each, seen.at))) continue
          for (const each of whos) {
            told.begin(each, seen.at)
            if (hits.count >= many) toldMany.begin(each, seen.at)
          }
          report(seen, { group, hits })
          return
        }
      },
    }
  },
  examples: [
    {
      says: 'three within an hour: one finding, not one each for the actor and the key',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms.decrypt', times: 3, every: '10m', with: failed('authentication_failed') }],
    },
    {
      says: 'ten: it is heard of again, as more than it seemed',
      findings: 2,
      levels: ['medium', 'high'],
      steps: [{ action: 'kms.decrypt', times: 20, every: '1m', with: failed('authentication_failed') }],
    },
    {
      says: 'of one key, by three actors',
      findings: 1,
      steps: [
        {
          action: 'kms.decrypt',
          times: 3,
          every: '1m',
          with: (number) => ({
            ...failed('authentication_failed'),
            actor: { type: 'serviceAccount', id: `s${number}` },
          }),
        },
      ],
    },
    {
      says: 'by one actor, of three keys, on the way to other keys',
      findings: 1,
      steps: [
        {
          action: 'kms.re_encrypt',
          times: 3,
          every: '1m',
          with: (number) => ({ ...failed('authentication_failed'), keySlug: `k${number}` }),
        },
      ],
    },
    {
      says: 'very many by one actor: the keys that it used are not told besides',
      findings: 2,
      levels: ['medium', 'high'],
      steps: [
        {
          action: 'kms.decrypt',
          ...{ times: 40, every: '1m' },
          with: (number) => ({ ...failed('authentication_failed'), keySlug: `k${number % 2}` }),
        },
      ],
    },
    {
      says: 'two: records do get damaged',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 2, with: failed('authentication_failed') }],
    },
    {
      says: 'one in forty minutes',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 9, every: '40m', with: failed('authentication_failed') }],
    },
    {
      says: 'other failures: the wrong key, an old version, no ciphertext at all',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 20, with: failed('commitment_mismatch') },
        { action: 'kms.decrypt', times: 20, with: failed('unknown_version') },
        { action: 'kms.decrypt', times: 20, with: failed('version_below_minimum') },
        { action: 'kms.decrypt', times: 20, with: failed('malformed') },
      ],
    },
  ],
})

const groups = ['actor', 'key'] as const

function failed(
  decryptFailure:
    | 'authentication_failed'
    | 'commitment_mismatch'
    | 'unknown_version'
    | 'version_below_minimum'
    | 'malformed',
) {
  return { outcome: 'failure', error: 'INVALID_CIPHERTEXT', details: { decryptFailure } } as const
}
