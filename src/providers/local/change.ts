/** What a change of a keystore is, and what all changes are made with. */
import type { Later } from '../../crypto/algorithms.ts'
import type { Engine } from '../../crypto/engine.ts'
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import { requireApproved } from '../../crypto/fips.ts'
import type { ImportableKeyType, Key } from '../../model/key.ts'
import type { Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import type { Keyring, LiveKey } from './keyring.ts'
import { type Keystore, rememberChange, type StoredKey } from './keystore.ts'
import type { Usage } from './usage.ts'
import { keyOf } from './view.ts'

export type ChangeOperation =
  | 'rotate'
  | 'rotateScheduled'
  | 'export'
  | 'createKey'
  | 'importKey'
  | 'importKeyVersion'
  | 'getWrappingKey'
  | 'rotateWrappingKey'
  | 'enableKey'
  | 'disableKey'
  | 'scheduleKeyDeletion'
  | 'cancelKeyDeletion'
  | 'destroyKey'
  | 'updateRotation'
  | 'updateMinDecryptionVersion'
  | 'rewrapRootKey'
  | 'rotateAuditSigner'

export interface Changed<O extends ChangeOperation> {
  readonly keystore: Keystore
  readonly output: Output<O>
  /** What seals it from here on, where that changes. */
  readonly rootKey?: NewRootKey
  /** What generations before it hold is to be gone from the disk too. */
  readonly purge?: true
}

/** Nothing has changed yet: the change is to be asked again with this material. */
export interface Wanted<O extends ChangeOperation = never> {
  /** How to make it, which takes seconds; or it is on its way. */
  readonly wants: Later | Promise<Uint8Array>
  /** What to ask then, if not the same change with the same input. */
  readonly again?: (before: Before) => Changed<O> | Wanted<O>
}

/** For material that is on its way. */
export function onItsWay<O extends ChangeOperation>(
  material: Promise<Uint8Array>,
  again: NonNullable<Wanted<O>['again']>,
): Wanted<O> {
  // Its failure is told to who asks again; until then it must not count as unhandled.
  material.catch(() => undefined)
  return { wants: material, again }
}

export type NewRootKey = Input<'rewrapRootKey'>

/** What a change is made of and in. */
export interface Before {
  readonly engine: Engine
  readonly keyring: Keyring
  readonly usage: Usage
  readonly call: CallInfo
  /** ms since the epoch. */
  readonly now: number
  /** Only approved algorithms. */
  readonly fips: boolean
  /** What an earlier answer `wants`. */
  readonly material: Uint8Array | undefined
}

export type Change<O extends ChangeOperation> = (input: Input<O>, before: Before) => Changed<O> | Wanted<O>

export function find(input: { readonly key: string }, { keyring, call }: Before): LiveKey {
  return keyring.find(call.key?.identity ?? input.key, call.scope)
}

/** New secret material, or how to make it. */
export function freshMaterial({ engine, fips, material }: Before, keyType: ImportableKeyType): Uint8Array | Wanted {
  if (fips) requireApproved(keyType)
  const fresh = material ?? everyAlgorithm[keyType].generate(engine)
  return typeof fresh === 'function' ? { wants: fresh } : fresh
}

type Changeable = Pick<
  StoredKey,
  'status' | 'statusBefore' | 'deletionScheduledAt' | 'keyRotationEnabled' | 'rotationPeriodInDays' | 'versions'
>

export function changed(before: Before, key: LiveKey, fields: Partial<Changeable>): KeyChanged {
  return changedTo(before, key, { ...key.stored, ...fields })
}

export function changedTo(before: Before, key: LiveKey, after: StoredKey): KeyChanged {
  const next = { ...after, updatedAt: before.now, objectVersion: key.stored.objectVersion + 1 }
  const keys = before.keyring.keystore.keys.map((stored) => (stored === key.stored ? next : stored))
  return outcome(before, keys, next)
}

export interface KeyChanged {
  readonly keystore: Keystore
  readonly output: MadeBy & { readonly key: Key }
}

export function outcome(before: Before, keys: readonly StoredKey[], key: StoredKey): KeyChanged {
  const keystore = nextGeneration(before, keys)
  return { keystore, output: { key: keyOf(key), ...madeBy(keystore) } }
}

interface MadeBy {
  readonly generation: number
  readonly keystore: string
}

export function madeBy({ generation, id }: Keystore): MadeBy {
  return { generation, keystore: id }
}

export function nextGeneration({ keyring, call }: Before, keys: readonly StoredKey[]): Keystore {
  const { keystore } = keyring
  return {
    ...keystore,
    generation: keystore.generation + 1,
    keys,
    ...(call.anchor !== undefined && { anchor: call.anchor }),
    changes: rememberChange(keystore.changes, call.operationID),
  }
}
