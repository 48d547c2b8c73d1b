/** Key versions that have sealed nearly as many messages as they may, or all of them. */
import { hasFlag } from '../deed.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { counted, word } from '../words.ts'

const dayMs = 86_400_000

export const usageLimit: Rule = defineRule({
  id: 'usage-limit',
  title: 'A key version is near the limit of its usage',
  level: 'medium',
  attack: ['T1499'],
  why: 'Types with short random nonces may seal only so many messages with one key. At the limit the key refuses, and what needs it stands still; a limit that comes much too soon tells of somebody who seals for another purpose.',
  falsePositives: [
    'A busy key that rotates by itself at the warning: a kms.rotate.scheduled of it follows within minutes.',
  ],
  whatToDo:
    'Rotate the key: the new version begins at nothing, and old ciphertexts stay readable. Give it a rotation period, or a type without a limit (xaes256-gcm). Look whether its use has grown, and who does it.',
  actions: ['kms.*'],
  parameters: {},
  watch(_parameters, tools) {
    // One message in ten is left when it is near: at any pace that lasts a week, a weekly word is enough.
    const near = quietFor(tools, { name: 'near', span: 7 * dayMs })
    const reached = quietFor(tools, { name: 'reached', span: dayMs })
    return {
      take(seen) {
        const { entry, at, weight } = seen
        if (entry.error === 'USAGE_LIMIT') {
          const { name, group } = keyOf(seen)
          if (reached.has(group, at)) return
          reached.begin(group, at)
          const times = weight === 1 ? '' : ` ${counted(weight, 'time')}`
          const says = `key ${word(name)} refused ${word(entry.action)}${times}: the limit of its usage is reached`
          tools.report({ level: 'high', subject: subjectOf(name), evidence: [entry.eventID], count: weight, says })
          return
        }
        const { details } = entry
        // Most entries have none.
        if (details === undefined || !hasFlag(details, 'usage_limit_near')) return
        const { name, version, group } = keyOf(seen)
        if (near.has(group, at)) return
        near.begin(group, at)
        const { messages, messageLimit } = details
        const used =
          messages === undefined || messageLimit === undefined
            ? ''
            : `: ${word(messages)} of ${word(messageLimit)} messages`
        const which = version === undefined ? '' : `version ${word(version)} of `
        const says = `${which}key ${word(name)} is near the limit of its usage${used}`
        tools.report({ subject: subjectOf(name), evidence: [entry.eventID], says })
      },
    }
  },
  examples: [
    {
      says: 'near, once for each version',
      findings: 2,
      levels: ['medium', 'medium'],
      steps: [1, 2].map((keyVersion) => ({
        action: 'kms.encrypt',
        times: 50,
        with: {
          keyVersion,
          details: { messages: 3_500_000_000, messageLimit: 3_865_470_566, flags: ['usage_limit_near'] },
        },
      })),
    },
    {
      says: 'near for weeks',
      findings: 3,
      steps: [{ action: 'kms.encrypt', times: 16, every: '1d', with: { details: { flags: ['usage_limit_near'] } } }],
    },
    {
      says: 'reached: everything that needs the key stands still',
      findings: 1,
      levels: ['high'],
      steps: [{ action: 'kms.encrypt', times: 100, with: { outcome: 'failure', error: 'USAGE_LIMIT' } }],
    },
    {
      says: 're-encrypting: it is the other key',
      findings: 2,
      steps: [
        {
          action: 'kms.re_encrypt',
          with: {
            details: {
              ...{ flags: ['usage_limit_near'] },
              destinationKey: { identity: 'kms-new', slug: 'new', keyType: 'aes256-gcm96', keyVersion: 1 },
            },
          },
        },
        { action: 'kms.encrypt', with: { details: { flags: ['usage_limit_near'] } } },
      ],
    },
    {
      says: 'other flags, other errors, no limit',
      findings: 0,
      steps: [
        { action: 'kms.encrypt', times: 20 },
        { action: 'kms.encrypt', with: { details: { flags: ['client_ip_invalid'] } } },
        { action: 'kms.encrypt', times: 20, with: { outcome: 'failure' } },
      ],
    },
  ],
})

interface SealingKey {
  readonly name: string | undefined
  readonly version: number | undefined
  readonly group: string
}

/** What was re-encrypted was sealed by the destination. */
function keyOf({ entry, key, keyName }: Seen): SealingKey {
  const { destinationKey } = entry.details ?? {}
  const {
    identity = key,
    slug: name = keyName,
    keyVersion: version,
  } = destinationKey ?? { keyVersion: entry.keyVersion }
  return { name, version, group: JSON.stringify([identity, version]) }
}

function subjectOf(name: string | undefined) {
  return name === undefined ? {} : { key: name }
}
