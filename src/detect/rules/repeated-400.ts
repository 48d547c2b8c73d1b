/** Calls that are wrong again and again: a program that is broken, or somebody who tries what works. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { sourceOf, whoOf, whoSubject } from '../who.ts'
import { checkHits, type Hits, slidingWindow } from '../window.ts'
import { counted, lengthOf, listed, word } from '../words.ts'

export const repeated400: Rule = defineRule({
  id: 'repeated-400',
  title: 'Calls are refused again and again (400)',
  level: 'medium',
  attack: ['T1110', 'T1595'],
  why: 'A wrong call is a slip; many are a misconfiguration, or an attack that tries parameters, keys or ciphertexts.',
  falsePositives: ['A release with a wrong key name or key type: it stops when the release is mended.'],
  whatToDo:
    'Look at the errors of the entries: one error on one key is most likely a bug of that caller, several keys or errors are probing. Ask the owner of the actor; if there is none, block the source.',
  actions: ['kms.*', 'kms_key.*'],
  parameters: {
    /** So many, joined refusals counted one by one. */
    atLeast: 10,
    within: '15m',
    /** With so many different keys it is probing. */
    probingKeys: 3,
  },
  check({ atLeast, probingKeys }) {
    checkHits('repeated-400', { atLeast, probingKeys })
  },
  watch({ atLeast, within, probingKeys }, tools) {
    const span = msOf('within', within)
    const windows = groups.map((name) => [name, slidingWindow(tools, { name, span, atLeast })] as const)
    const probing = slidingWindow(tools, { name: 'probing', span, atLeast, distinct: probingKeys })
    // What was told of an actor is not told once more of the keys and the address that it used.
    const told = quietFor(tools, { name: 'told', span })

    function report(seen: Seen, hits: Hits, subject: Partial<Record<Group, string>>): void {
      const { count, items, evidence, from, to } = hits
      const [whos, keys] = [different(items, 0), different(items, 1)]
      // Behind one address or one key may be many, each with a slip.
      const isProbing = keys.length >= probingKeys && whos.length === 1
      for (const who of whos) told.begin(who, seen.at)
      const [group, name] = Object.entries(subject)[0] ?? ['source', 'unknown']
      const key = keys.length === 1 ? keys[0] : undefined
      const of =
        group === 'key' || keys.length === 0
          ? ''
          : ` with ${key === undefined ? `${keys.length} keys` : `key ${word(key)}`}`
      const by = group === 'key' ? `, by ${listed(whos)},` : ''
      tools.report({
        level: isProbing ? 'high' : 'medium',
        subject: { ...subject, ...(key !== undefined && { key }) },
        ...{ count, evidence, from, to },
        says: `${counted(count, 'call')} ${prefix[named(group)]} ${word(name)}${of}${by} were refused within ${lengthOf(span)}${isProbing ? ': it looks like probing' : ''}`,
      })
    }

    return {
      take(seen) {
        const { entry, actor, keyName } = seen
        if (entry.statusCode !== 400 || isOthers(seen)) return
        const source = sourceOf(seen)
        const who = whoOf(seen)
        const item = JSON.stringify([who, keyName ?? ''])
        const tried = probing.add(who, seen, item)
        const of = { actor, source, key: keyName }
        const full = windows.flatMap(([name, window]) => {
          const group = of[name]
          const hits = group === undefined ? undefined : window.add(group, seen, item)
          return hits === undefined || group === undefined ? [] : [{ subject: { [name]: group }, hits }]
        })
        if (tried !== undefined && different(tried.items, 1).length >= probingKeys) {
          report(seen, tried, whoSubject(seen))
          return
        }
        const first = full.find(({ subject, hits }) => {
          const whos = different(hits.items, 0)
          if ('source' in subject && hits.count < mostOfMany * whos.length) return false
          return whos.some((each) => !told.has(each, seen.at))
        })
        if (first !== undefined) report(seen, first.hits, first.subject)
      },
    }
  },
  examples: [
    {
      says: 'ten within a quarter of an hour: one finding, not one each for the actor, the key and the source',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms.decrypt', times: 12, every: '1m', with: { outcome: 'failure' } }],
    },
    {
      says: 'over three keys it is probing',
      findings: 1,
      levels: ['high'],
      steps: [
        {
          action: 'kms.decrypt',
          times: 10,
          with: (number) => ({ outcome: 'failure', resourceIdentity: `kms-${number % 3}`, keySlug: `k${number % 3}` }),
        },
      ],
    },
    {
      says: 'who tries further keys after the first finding is heard of again',
      findings: 2,
      levels: ['medium', 'high'],
      steps: [
        { action: 'kms.decrypt', times: 10, with: { outcome: 'failure' } },
        { action: 'kms.decrypt', with: { outcome: 'failure', resourceIdentity: 'kms-b', keySlug: 'b' } },
        { action: 'kms.decrypt', times: 5, with: { outcome: 'failure', resourceIdentity: 'kms-c', keySlug: 'c' } },
      ],
    },
    {
      says: 'of one key by ten actors: its configuration is wrong, which is one finding and not ten',
      findings: 1,
      levels: ['medium'],
      steps: [
        {
          action: 'kms.encrypt',
          times: 40,
          every: '10s',
          with: (number) => ({
            outcome: 'failure',
            actor: { type: 'serviceAccount', id: `s${number % 10}` },
            context: { clientIp: `192.0.2.${number % 10}` },
          }),
        },
      ],
    },
    {
      says: 'by somebody who is not named, from one address',
      findings: 1,
      levels: ['high'],
      steps: [
        {
          action: 'kms.decrypt',
          times: 10,
          with: (number) => ({ outcome: 'failure', actor: { type: 'unknown' }, keySlug: `k${number}` }),
        },
      ],
    },
    {
      says: 'a gateway: the slips of many, one each',
      findings: 0,
      steps: [
        {
          action: 'kms.decrypt',
          times: 12,
          with: (number) => ({ outcome: 'failure', actor: { type: 'user', id: `u${number}` }, keySlug: `k${number}` }),
        },
      ],
    },
    {
      says: 'joined into one entry',
      findings: 1,
      steps: [{ action: 'kms.encrypt', with: { outcome: 'failure', details: { joined: 200 } } }],
    },
    {
      says: 'nine',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 9, with: { outcome: 'failure' } }],
    },
    {
      says: 'one in two minutes, all day',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 500, every: '2m', with: { outcome: 'failure' } }],
    },
    {
      says: 'what other rules tell: denied ones, and ciphertexts that were swapped',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 50, with: { outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' } },
        {
          action: 'kms.decrypt',
          times: 50,
          with: {
            outcome: 'failure',
            error: 'INVALID_CIPHERTEXT',
            details: { decryptFailure: 'authentication_failed' },
          },
        },
        { action: 'kms.decrypt', times: 50, with: { outcome: 'failure', error: 'KEY_NOT_ACTIVE' } },
      ],
    },
    {
      says: 'callers that gave up: the calls were not wrong',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 50, with: { outcome: 'failure', error: 'ABORTED' } }],
    },
  ],
})

const groups = ['actor', 'source', 'key'] as const
type Group = (typeof groups)[number]

/** An address that many share, such as a gateway's, sees the slips of all: so many of each on average is more than that. */
const mostOfMany = 5

const prefix = { actor: 'by', key: 'of key', source: 'from' } as const

function named(group: string): Group {
  return groups.find((each) => each === group) ?? 'source'
}

/** Other rules tell of these: ciphertexts that were swapped, keys that are not in use. A call given up was not wrong. */
function isOthers({ entry: { error, details } }: Seen): boolean {
  return error === 'ABORTED' || error === 'KEY_NOT_ACTIVE' || details?.decryptFailure === 'authentication_failed'
}

/** Of items `[who, key]`, what differs at `place`; without those that name none. */
function different(items: readonly string[], place: 0 | 1): readonly string[] {
  // As made above.
  const parts = items.map((item) => (JSON.parse(item) as readonly [string, string])[place])
  return [...new Set(parts)].filter((part) => part !== '')
}
