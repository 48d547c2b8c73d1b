/** What AWS tells of a key in `KeyMetadata`, in our words. */
import type { KeyStatus, ResolvedKey } from '../../model/key.ts'
import type { Answer } from './answer.ts'
import { keyTypeOf, rowOf } from './key-specs.ts'

export interface Metadata {
  readonly identity: string
  readonly id: string
  readonly keyType: string
  readonly status: KeyStatus
  readonly description: string | undefined
  readonly createdAt: string
  readonly deletionScheduledAt: string | undefined
  readonly imported: boolean
  /** Made by the account, not by a service of AWS. */
  readonly isCustomers: boolean
  /** Whether its material may have versions. */
  readonly rotates: boolean
}

export function metadataOf(answer: Answer): Metadata {
  const told = answer.part('KeyMetadata')
  const identity = told.text('Arn')
  const id = told.text('KeyId')
  if (!/^arn:[^:]+:kms:[^:]+:[^:]+:key\/./.test(identity) || !identity.endsWith(`:key/${id}`))
    throw answer.bad("an 'Arn' that is not of this key")
  const createdAt = told.optionalTime('CreationDate')
  if (createdAt === undefined) throw answer.bad("no 'CreationDate'")
  const spec = told.optionalText('KeySpec') ?? told.text('CustomerMasterKeySpec')
  const keyType = keyTypeOf(spec, told.text('KeyUsage'))
  return {
    identity,
    id,
    keyType,
    status: statusOf(told.text('KeyState')),
    description: told.optionalText('Description') || undefined,
    createdAt,
    deletionScheduledAt: told.optionalTime('DeletionDate'),
    imported: told.optionalText('Origin') === 'EXTERNAL',
    isCustomers: told.optionalText('KeyManager') !== 'AWS',
    rotates: rowOf(keyType)?.rotates === true,
  }
}

/** A state that is not known is none to use a key in. */
function statusOf(state: string): KeyStatus {
  if (state === 'Enabled') return 'active'
  return state === 'PendingDeletion' || state === 'PendingReplicaDeletion' ? 'pending_deletion' : 'disabled'
}

/** Keys that never rotate have one version, which is the latest. */
export function refOf({ identity, keyType, status }: Metadata, slug: string): ResolvedKey {
  return { identity, slug, keyType, status, ...(rowOf(keyType)?.rotates === false && { latestVersion: 1 }) }
}
