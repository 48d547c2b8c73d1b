/** Changes of who may do what, and of what holds the keys together. */
import type { AuditEntry } from '../../model/entry.ts'
import { byWhom, forWhatReason, isNear, keyAndActor, mayBeDone } from '../deed.ts'
import type { Level, Subject } from '../finding.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { counted, word } from '../words.ts'

interface Cell {
  /** Days; 0: no rotation by itself, or not known. */
  period: number
  /** 0: not known. */
  least: number
}

interface Signer {
  at: number
}

interface Change {
  readonly level: Level
  /** After who, before the reason: `switched off the rotation of key orders`. */
  readonly did: string
}

const hourMs = 3_600_000

export const accessChange: Rule = defineRule({
  id: 'access-change',
  title: 'A rule about keys was changed',
  level: 'medium',
  attack: ['T1098'],
  why: 'Policies, rotation settings, the root key and the signer of the log decide what everything else is worth. Whoever weakens them does so before the attack, and seldom by accident.',
  falsePositives: ['A change by the team that runs the key store, or by its deployments.'],
  whatToDo:
    'Compare with what was planned. What nobody planned: set it back, look at what was done since then that the old rule would have refused, and ask how the actor came by the permission.',
  actions: ['kms_key.*', 'kms_keystore.*', 'secret.update_policy', 'audit.key_rotated'],
  parameters: {},
  watch(_parameters, tools) {
    const cells = tools.table<Cell>('keys', { max: 10_000, make: () => ({ period: 0, least: 0 }) })
    const signer = tools.record<Signer>('signer', () => ({ at: Number.MIN_SAFE_INTEGER }))

    function changeOf(seen: Seen): Change | undefined {
      const { entry, key, keyName, at } = seen
      const { action } = entry
      if (action === 'kms_key.create' && key !== undefined) {
        setPeriod(cells.of(key), entry)
        return undefined
      }
      if (action === 'kms_key.update' && key !== undefined) return updateOf(cells.of(key), seen)
      if (action === 'kms_keystore.rotate_signer') signer.at = at
      // The trail goes over to the keystore's new signer by itself; any other one was put in from outside.
      if (action === 'audit.key_rotated' && isNear(at, signer.at, hourMs)) return undefined
      const known = changes.get(action)
      return known && { level: known[0], did: known[1].replace('{key}', () => `key ${word(keyName)}`) }
    }

    return {
      take(seen) {
        const { entry } = seen
        if (!mayBeDone(entry)) return
        const change = changeOf(seen)
        if (change === undefined) return
        const { level, did } = change
        const says = `${byWhom(seen)} ${did}${secretOf(entry)}, ${forWhatReason(seen)}`
        tools.report({ level, subject: subjectOf(seen), evidence: [entry.eventID], says })
      },
    }
  },
  examples: [
    {
      says: 'rotation is switched off',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms_key.update', with: { details: { keyRotationEnabled: false } } }],
    },
    {
      says: 'rotation is to come less often, as far as the trail tells what it was',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 30 } } },
        { action: 'kms_key.update', with: { details: { keyRotationEnabled: true, rotationPeriodInDays: 90 } } },
      ],
    },
    {
      says: 'old key versions are let in again; then more are shut out',
      findings: 3,
      levels: ['low', 'medium', 'low'],
      steps: [5, 2, 4].map((minDecryptionVersion) => ({
        action: 'kms_key.update',
        with: { details: { minDecryptionVersion } },
      })),
    },
    {
      says: 'rotation switched on, or more often',
      findings: 0,
      steps: [90, 90, 30].map((rotationPeriodInDays) => ({
        action: 'kms_key.update',
        with: { details: { keyRotationEnabled: true, rotationPeriodInDays } },
      })),
    },
    {
      says: 'of the keystore itself, and of who signs the log: the signer once',
      findings: 4,
      levels: ['medium', 'low', 'medium', 'high'],
      steps: [
        keystore('rewrap_root_key'),
        keystore('rotate_wrapping_key'),
        keystore('rotate_signer'),
        { action: 'audit.key_rotated', after: '1m' },
        keystore('disconnect'),
      ],
    },
    {
      says: 'the log goes over to a signer that is not of the keystore',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'audit.key_rotated' }],
    },
    {
      says: 'the policy of a secret, and what AWS KMS knows of policies, grants and aliases',
      findings: 4,
      levels: ['low', 'medium', 'low', 'medium'],
      steps: [
        { action: 'secret.update_policy', with: { resourceType: 'secret', resourceIdentity: '/prod/db' } },
        { action: 'kms_key.put_key_policy' },
        { action: 'kms_key.create_grant' },
        { action: 'kms_key.update_alias' },
      ],
    },
    {
      says: 'refused, or only looked at',
      findings: 0,
      steps: [
        { action: 'kms_key.update', with: { outcome: 'failure', details: { keyRotationEnabled: false } } },
        { action: 'kms_key.describe' },
        { action: 'kms_key.get_key_policy' },
        { ...keystore('describe') },
      ],
    },
  ],
})

/** All but the settings of a single key, which are compared with what they were. */
const changes: ReadonlyMap<string, readonly [Level, string]> = new Map([
  ['kms_keystore.rewrap_root_key', ['medium', 'sealed the keystore under another root key']],
  ['kms_keystore.rotate_wrapping_key', ['low', "rotated the keystore's key for imports"]],
  ['kms_keystore.rotate_signer', ['medium', "rotated the keystore's key for the audit log"]],
  ['kms_keystore.create', ['low', 'made a key store']],
  ['kms_keystore.connect', ['low', 'connected a key store']],
  ['kms_keystore.update', ['medium', 'changed a key store']],
  // All keys in it stop at once.
  ['kms_keystore.disconnect', ['high', 'disconnected a key store']],
  ['kms_keystore.delete', ['high', 'deleted a key store']],
  ['audit.key_rotated', ['medium', 'gave the audit log another signer']],
  // Deployments do this.
  ['secret.update_policy', ['low', 'changed the access policy of']],
  ['kms_key.put_key_policy', ['medium', 'changed the access policy of {key}']],
  // Services of AWS make and retire grants all day.
  ['kms_key.create_grant', ['low', 'granted the use of {key}']],
  ['kms_key.retire_grant', ['informational', 'retired a grant of {key}']],
  ['kms_key.revoke_grant', ['low', 'revoked a grant of {key}']],
  ['kms_key.create_alias', ['low', 'gave {key} an alias']],
  // What is encrypted under that name goes to another key from here on.
  ['kms_key.update_alias', ['medium', 'moved an alias to {key}']],
  ['kms_key.delete_alias', ['medium', 'deleted the alias {key}']],
  ['kms_key.replicate_key', ['medium', 'replicated {key} to another region']],
  ['kms_key.update_primary_region', ['medium', 'moved {key} to another primary region']],
] as const)

function updateOf(cell: Cell, { entry, keyName }: Seen): Change | undefined {
  const { keyRotationEnabled, minDecryptionVersion: least } = entry.details ?? {}
  const key = `key ${word(keyName)}`
  if (typeof least === 'number') {
    const before = cell.least
    cell.least = least
    if (before > least)
      return {
        level: 'medium',
        did: `let versions of ${key} from ${word(least)} on be used again, which had been shut out`,
      }
    return before === least ? undefined : { level: 'low', did: `shut out versions of ${key} below ${word(least)}` }
  }
  if (keyRotationEnabled === undefined) return undefined
  const before = cell.period
  setPeriod(cell, entry)
  if (!keyRotationEnabled) return { level: 'medium', did: `switched off the rotation of ${key}` }
  if (before === 0 || cell.period <= before) return undefined
  return { level: 'low', did: `let ${key} rotate every ${counted(cell.period, 'day')} instead of ${before}` }
}

function setPeriod(cell: Cell, { details }: AuditEntry): void {
  const { rotationPeriodInDays: days, keyRotationEnabled = days !== undefined } = details ?? {}
  if (!keyRotationEnabled) cell.period = 0
  else if (typeof days === 'number' && days >= 1) cell.period = days
}

function secretOf({ action, resourceIdentity }: AuditEntry): string {
  return action === 'secret.update_policy' ? ` secret ${word(resourceIdentity)}` : ''
}

function subjectOf(seen: Seen): Subject {
  const { resourceType, resourceIdentity } = seen.entry
  const { key, actor } = keyAndActor(seen)
  const by = actor === undefined ? {} : { actor }
  if (resourceType === 'secret') return { ...(resourceIdentity !== undefined && { secret: resourceIdentity }), ...by }
  // A keystore is no key, though entries about it stand where a key's would.
  return resourceType === 'kms_key' && key !== undefined ? { key, ...by } : by
}

function keystore(verb: string) {
  const about = { resourceType: 'kms_keystore', resourceIdentity: 'keystore-1' }
  return { action: `kms_keystore.${verb}`, with: about }
}
