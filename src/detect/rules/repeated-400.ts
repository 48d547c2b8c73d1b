/** Calls that are wrong again and again: a program that is broken, or somebody who tries what works. */
import { msOf } from '../../model/duration.ts'
import { defineRule, type Rule } from '../rule.ts'
import { slidingWindow } from '../window.ts'
import { lengthOf, word } from '../words.ts'

const groups = ['actor', 'key', 'source'] as const

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
  watch({ atLeast, within, probingKeys }, tools) {
    const span = msOf('within', within)
    const windows = groups.map((name) => [name, slidingWindow(tools, { name, span, atLeast })] as const)
    return {
      take(seen) {
        const { entry, actor, keyName } = seen
        if (entry.statusCode !== 400) return
        const group = { actor, key: keyName, source: entry.context?.clientIp }
        for (const [name, window] of windows) {
          const of = group[name]
          const hits = of === undefined ? undefined : window.add(of, seen, keyName ?? '')
          if (hits === undefined || of === undefined) continue
          const { count, items, evidence, from, to } = hits
          const probing = items.length >= probingKeys
          const keys = items.length === 1 ? '' : ` with ${items.length} keys`
          const says = `${count} calls ${prefix[name]} ${word(of)}${keys} were refused within ${lengthOf(span)}${probing ? ': it looks like probing' : ''}`
          tools.report({ level: probing ? 'high' : 'medium', subject: { [name]: of }, count, evidence, from, to, says })
        }
      },
    }
  },
  examples: [
    {
      says: 'ten within a quarter of an hour, told once for the actor, the key and the source',
      findings: 3,
      levels: ['medium', 'medium', 'medium'],
      steps: [{ action: 'kms.decrypt', times: 12, every: '1m', with: { outcome: 'failure' } }],
    },
    {
      says: 'over three keys it is probing',
      findings: 2,
      levels: ['high', 'high'],
      steps: [
        {
          action: 'kms.decrypt',
          times: 10,
          with: (number) => ({ outcome: 'failure', resourceIdentity: `kms-${number % 3}`, keySlug: `k${number % 3}` }),
        },
      ],
    },
    {
      says: 'joined into one entry',
      findings: 3,
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
      says: 'denied ones: another rule counts them',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 50, with: { outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' } },
      ],
    },
  ],
})

const prefix = { actor: 'by', key: 'of key', source: 'from' } as const
