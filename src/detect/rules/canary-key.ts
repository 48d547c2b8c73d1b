/** Keys that nobody has a reason to touch: whoever does looks around. */
import { msOf } from '../../model/duration.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { compileGlobs } from '../../model/globs.ts'
import { byWhom } from '../deed.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { checkTexts } from '../texts.ts'
import { word } from '../words.ts'

const none: readonly string[] = []

export const canaryKey: Rule = defineRule({
  id: 'canary-key',
  title: 'A canary key was touched',
  level: 'critical',
  attack: ['T1078', 'T1580'],
  why: 'A key that no program uses, with a name that invites, is asked for by nobody but an intruder or a tool that goes through all keys.',
  falsePositives: [
    'An inventory or a backup that looks at every key: name its actor in except, or leave the canary out there.',
  ],
  whatToDo:
    'Take it for an intrusion until it is explained: find where the actor and its address come from, disable the actor, and look at all it did since it was first seen.',
  actions: ['kms.*', 'kms_key.*'],
  phases: ['intent', 'result', 'amendment'],
  parameters: {
    /** Identities or slugs. */
    keys: none,
    /** Who may touch them, as `serviceAccount:inventory` or `system:keytrail*`. */
    except: none,
    /** Told again for the same key and actor after so long. */
    again: '1h',
  },
  check({ keys, except, again }) {
    checkTexts('keys', keys)
    checkTexts('except', except)
    msOf('again', again)
  },
  watch({ keys, except, again }, tools) {
    const canaries = new Set<unknown>(keys)
    const mayTouch = compileGlobs(except)
    const quiet = quietFor(tools, { name: 'told', span: msOf('again', again) })
    return {
      take(seen) {
        if (canaries.size === 0) return
        const touched = canaryIn(seen.entry, canaries)
        if (touched === undefined || mayTouch.matches(seen.actor ?? '') || makesIt(seen)) return
        const { entry, at, actor } = seen
        const group = JSON.stringify([actor ?? '', touched])
        if (quiet.has(group, at)) return
        quiet.begin(group, at)
        const how = entry.outcome === 'failure' ? 'tried' : entry.phase === 'intent' ? 'is about to do' : 'did'
        const address = entry.context?.clientIp
        tools.report({
          subject: {
            key: touched,
            ...(actor !== undefined && { actor }),
            ...(address !== undefined && { source: address }),
          },
          evidence: [entry.eventID],
          says: `${byWhom(seen)} ${how} ${word(entry.action)} with the canary key ${word(touched)}${address === undefined ? '' : ` from ${word(address)}`}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'no canary is named',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 5 }],
    },
    {
      says: 'used, looked at, refused, about to be exported, its name tried: by each actor once',
      findings: 5,
      levels: ['critical', 'critical', 'critical', 'critical', 'critical'],
      parameters: { keys: ['honey'] },
      steps: [
        touch('kms.decrypt', 'a'),
        touch('kms_key.describe', 'b'),
        touch('kms.decrypt', 'c', { outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' }),
        touch('kms.export', 'd', { phase: 'intent', outcome: 'pending' }),
        touch('kms.export', 'd'),
        touch('kms.decrypt', 'a'),
        touch('kms_key.create', 'e', { outcome: 'failure', statusCode: 409, error: 'KEY_EXISTS' }),
      ],
    },
    {
      says: 'by its identity, and again after an hour',
      findings: 2,
      parameters: { keys: ['kms-honey'] },
      steps: [touch('kms.sign', 'a'), { ...touch('kms.sign', 'a'), after: '1h' }],
    },
    {
      says: 'asked for by a name that the policy hides',
      findings: 1,
      parameters: { keys: ['honey'] },
      steps: [
        {
          action: 'kms.decrypt',
          with: { outcome: 'failure', statusCode: 404, error: 'KEY_NOT_FOUND', resourceIdentity: 'honey' },
        },
      ],
    },
    {
      says: 'something re-encrypted to it',
      findings: 1,
      parameters: { keys: ['honey'] },
      steps: [
        {
          action: 'kms.re_encrypt',
          with: { details: { destinationKey: { identity: 'kms-honey', slug: 'honey', keyType: 'xaes256-gcm' } } },
        },
      ],
    },
    {
      says: 'made, listed among all keys, or looked at by who may; and every other key',
      findings: 0,
      parameters: { keys: ['honey'], except: ['serviceAccount:inventory*'] },
      steps: [
        touch('kms_key.create', 'a', { phase: 'intent', outcome: 'pending', resourceIdentity: undefined }),
        touch('kms_key.create', 'a'),
        { action: 'kms_key.list', with: { details: { count: 61 } } },
        touch('kms_key.describe', 'inventory-7'),
        { action: 'kms.decrypt', times: 20 },
      ],
    },
  ],
})

function touch(action: string, id: string, fields: object = {}) {
  const key = { resourceIdentity: 'kms-honey', keySlug: 'honey' }
  return { action, with: { ...key, actor: { type: 'serviceAccount', id }, ...fields } } as const
}

/** What the list calls the canary that the entry is about. */
function canaryIn(
  { resourceIdentity, keySlug, details }: AuditEntry,
  canaries: ReadonlySet<unknown>,
): string | undefined {
  if (canaries.has(keySlug)) return keySlug
  if (canaries.has(resourceIdentity)) return resourceIdentity
  const destination = details?.destinationKey
  if (canaries.has(destination?.slug)) return destination?.slug
  return canaries.has(destination?.identity) ? destination?.identity : undefined
}

/** To put it there is no use of it; to try it under a name that is taken is. */
function makesIt({ entry }: Seen): boolean {
  const { action, outcome } = entry
  return (action === 'kms_key.create' || action === 'kms_key.import') && outcome !== 'failure'
}
