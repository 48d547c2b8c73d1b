/**
 * Changes, as pure functions: what a keystore becomes, and what the caller gets. Nothing here writes or waits; the
 * keystore that a change returns counts only once it has been made durable.
 */
import { algorithms, type Later } from '../../crypto/algorithms.ts'
import type { Engine } from '../../crypto/engine.ts'
import { requireApproved } from '../../crypto/fips.ts'
import { KmsError } from '../../model/errors.ts'
import type { Key, KeyType, Scope } from '../../model/key.ts'
import type { Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import { utf8Length } from '../../model/text.ts'
import { active, type Keyring, type LiveKey } from './keyring.ts'
import {
  type Keystore,
  type RetiredKey,
  rememberChange,
  rotatedSeeds,
  type StoredKey,
  type StoredVersion,
} from './keystore.ts'
import { randomName } from './names.ts'
import type { TransferOperation } from './transfer.ts'
import type { Usage } from './usage.ts'
import { dayMs, keyOf, nextRotationAt, timeText } from './view.ts'

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

/** Nothing has changed yet: the change is to be asked again with this material, which takes time to make. */
export interface Wanted<O extends ChangeOperation = never> {
  readonly wants: Later
  /** What to ask then, if not the same. */
  readonly input?: Input<O>
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

/** PLATFORM.md §2; the days are this provider's choice where that is silent. */
const defaultKeyType: KeyType = 'xaes256-gcm'
const defaultFipsKeyType: KeyType = 'aes256-gcm96'
const defaultRotationDays = 365
const defaultPendingDays = 30

const slugPattern = /^[a-z0-9][a-z0-9-]{0,62}$/

/**
 * Every change makes a generation, also one that leaves the key as it was: its operation ID stands there, so that after a
 * crash it is known whether it was made. `enableKey` on an active key and `disableKey` on a disabled one are such; so is
 * `export`, whose generation is durable before the key material exists outside.
 */
export const changes: { readonly [O in Exclude<ChangeOperation, TransferOperation>]: Change<O> } = {
  createKey(input, before) {
    const keyType = knownType(before, input.keyType ?? (before.fips ? defaultFipsKeyType : defaultKeyType))
    const { described, flags } = describedKey(before, input, keyType)
    const material = freshMaterial(before, keyType)
    if ('wants' in material) return material
    const key: StoredKey = { ...described, versions: [{ version: 1, createdAt: before.now, material }] }
    const { keystore, output } = outcome(before, [...before.keyring.keystore.keys, key], key)
    return { keystore, output: { ...output, ...flags } }
  },

  rotate(input, before) {
    const key = rotatable(active(find(input, before), 'rotate'))
    expectVersion(key, input.expectLatestVersion)
    return rotated(before, key)
  },

  /** Automatic rotation, decided by the client: refused unless it is due now by the key's own settings, or by its usage. */
  rotateScheduled(input, before) {
    const key = rotatable(active(find(input, before), 'rotateScheduled'))
    expectVersion(key, input.expectLatestVersion)
    if (input.because === 'usage') return rotated(before, nearLimit(key, before))
    const due = nextRotationAt(key.stored)
    if (due === undefined) throw new KmsError('INVALID_INPUT', 'key has no automatic rotation', { key: input.key })
    if (Date.parse(input.dueAt) !== due)
      throw new KmsError('VERSION_CONFLICT', `key is due at ${key.key.nextRotationAt}, not when you say`, {
        key: input.key,
      })
    if (due > before.now)
      throw new KmsError('INVALID_INPUT', `key is not due before ${key.key.nextRotationAt}`, { key: input.key })
    return rotated(before, key)
  },

  enableKey(input, before) {
    return withStatus(before, find(input, before), 'active')
  },

  disableKey(input, before) {
    return withStatus(before, find(input, before), 'disabled')
  },

  /** A key already pending is refused: its window is changed by cancelling and scheduling anew, in the open. */
  scheduleKeyDeletion(input, before) {
    const key = notPending(find(input, before))
    const { status } = key.stored
    return changed(before, key, {
      status: 'pending_deletion',
      statusBefore: status === 'disabled' ? 'disabled' : 'active',
      deletionScheduledAt: before.now + (input.pendingWindowInDays ?? defaultPendingDays) * dayMs,
    })
  },

  /** Back to the status from before: a key in use works again at once, and a disabled one stays disabled. */
  cancelKeyDeletion(input, before) {
    const key = find(input, before)
    const { deletionScheduledAt: _at, statusBefore, ...rest } = key.stored
    if (statusBefore === undefined)
      throw new KmsError('INVALID_INPUT', `key is ${key.stored.status}, not pending deletion`, { key: input.key })
    return changedTo(before, key, { ...rest, status: statusBefore })
  },

  /**
   * The end of a key: refused before its day. Its versions are wiped in memory and removed from the disk with the generations
   * that hold them; copies elsewhere, and what a disk keeps of removed files, are beyond reach.
   */
  destroyKey(input, before) {
    const key = find(input, before)
    const { deletionScheduledAt: due, status, identity, slug, region, project } = key.stored
    if (due === undefined)
      throw new KmsError('INVALID_INPUT', `key is ${status}, not pending deletion`, { key: input.key })
    if (Date.parse(input.dueAt) !== due)
      throw new KmsError('VERSION_CONFLICT', `key is to be destroyed on ${timeText(due)}, not when you say`, {
        key: input.key,
      })
    if (due > before.now)
      throw new KmsError('INVALID_INPUT', `key is not to be destroyed before ${timeText(due)}`, { key: input.key })
    const { keys, retired } = before.keyring.keystore
    const gone: RetiredKey = {
      identity,
      slug,
      ...(region !== undefined && { region }),
      ...(project !== undefined && { project }),
      destroyedAt: before.now,
    }
    const rest = keys.filter((stored) => stored !== key.stored)
    const keystore = { ...nextGeneration(before, rest), retired: [...retired, gone] }
    return { keystore, output: { key: key.key, ...madeBy(keystore) }, purge: true }
  },

  updateRotation(input, before) {
    const key = notPending(find(input, before))
    const { keyRotationEnabled } = input
    if (keyRotationEnabled) rotatable(key)
    const period = input.rotationPeriodInDays ?? key.stored.rotationPeriodInDays ?? defaultRotationDays
    return changed(before, key, { keyRotationEnabled, rotationPeriodInDays: period })
  },

  updateMinDecryptionVersion(input, before) {
    const key = notPending(find(input, before))
    const { minDecryptionVersion: least } = input
    if (least > key.latest)
      throw new KmsError('INVALID_INPUT', `'minDecryptionVersion' must be 1–${key.latest}, the latest version`, {
        key: input.key,
      })
    const { minDecryptionVersion: _before, ...rest } = key.stored
    return changedTo(before, key, least === 1 ? rest : { ...rest, minDecryptionVersion: least })
  },

  rewrapRootKey(rootKey, before) {
    const keystore = nextGeneration(before, before.keyring.keystore.keys)
    return { keystore, output: madeBy(keystore), rootKey }
  },

  rotateAuditSigner(_input, before) {
    const next = nextGeneration(before, before.keyring.keystore.keys)
    const keystore = { ...next, ...rotatedSeeds(before.engine, next) }
    return { keystore, output: madeBy(keystore) }
  },
}

/** A key in the making: all but its versions. `flags` belong in the output. */
export interface DescribedKey {
  readonly described: Omit<StoredKey, 'versions'>
  readonly flags: FreeSlug['flags']
}

export function describedKey(
  before: Before,
  input: Omit<Input<'createKey'>, 'keyType'>,
  keyType: KeyType,
): DescribedKey {
  const { call, now } = before
  const { slug, flags } = freeSlug(input, before)
  const { name = slug, description = '', labels = {}, annotations = {} } = input
  for (const texts of [{ name, description }, labels, annotations, call.scope]) refuseUnstorable(texts)
  const { keyRotationEnabled = input.rotationPeriodInDays !== undefined } = input
  const period = input.rotationPeriodInDays ?? (keyRotationEnabled ? defaultRotationDays : undefined)
  const described: DescribedKey['described'] = {
    identity: `kms-${randomName(20)}`,
    slug,
    name,
    ...(input.description !== undefined && { description: input.description }),
    ...(input.labels !== undefined && { labels: input.labels }),
    ...(input.annotations !== undefined && { annotations: input.annotations }),
    ...(call.scope.region !== undefined && { region: call.scope.region }),
    ...(call.scope.project !== undefined && { project: call.scope.project }),
    keyType,
    status: 'active',
    exportAllowed: input.exportAllowed ?? false,
    keyRotationEnabled,
    ...(period !== undefined && { rotationPeriodInDays: period }),
    createdAt: now,
    updatedAt: now,
    objectVersion: 1,
  }
  return { described, flags }
}

export function find(input: { readonly key: string }, { keyring, call }: Before): LiveKey {
  return keyring.find(call.key?.identity ?? input.key, call.scope)
}

function expectVersion(key: LiveKey, expected: number | undefined): void {
  if (expected === undefined || expected === key.latest) return
  throw new KmsError('VERSION_CONFLICT', `latest version is ${key.latest}, not ${expected} as expected`, {
    key: key.stored.slug,
  })
}

/** PLATFORM.md §2: an imported key rotates only if it was imported so. */
function rotatable(key: LiveKey): LiveKey {
  if (key.stored.imported?.allowRotation !== false) return key
  const message = 'key was imported without allowRotation, which cannot be changed: it never rotates'
  throw new KmsError('INVALID_INPUT', message, { key: key.stored.slug })
}

function nearLimit(key: LiveKey, { usage }: Before): LiveKey {
  if (usage.isNear(key.stored)) return key
  throw new KmsError('INVALID_INPUT', `version ${key.latest} is not near the limit of its usage`, {
    key: key.stored.slug,
  })
}

function notPending(key: LiveKey): LiveKey {
  if (key.stored.status !== 'pending_deletion') return key
  const { deletionScheduledAt } = key.key
  throw new KmsError('KEY_NOT_ACTIVE', `key is pending deletion on ${deletionScheduledAt}: cancel that first`, {
    key: key.stored.slug,
  })
}

/** A name of the table, allowed here. */
export function knownType({ fips }: Before, keyType: string): KeyType {
  if (!Object.hasOwn(algorithms, keyType))
    throw new KmsError('INVALID_INPUT', `'keyType' must be one of ${Object.keys(algorithms).join(', ')}`)
  const known = keyType as KeyType // a name of the table
  if (fips) requireApproved(known)
  return known
}

/** A slug for a new key: the one asked for, or a random one. `flags` belong in the output. */
export interface FreeSlug {
  readonly slug: string
  readonly flags: { readonly flags?: readonly string[] }
}

/** `KEY_EXISTS` for a slug that a key has, or that a destroyed key had unless `reuseSlug`: it must not mean another one unnoticed. */
export function freeSlug(
  wanted: { readonly slug?: string; readonly reuseSlug?: boolean },
  { keyring, call: { scope } }: Before,
): FreeSlug {
  const slug = wanted.slug ?? `key-${randomName(12)}`
  if (!slugPattern.test(slug) || slug.startsWith('kms-'))
    throw new KmsError('INVALID_INPUT', `'slug' must match ${slugPattern.source} and not start with kms-`)
  if (keyring.list(scope).some(({ stored }) => stored.slug === slug))
    throw new KmsError('KEY_EXISTS', 'a key with this slug exists in this region and project', { key: slug })
  const retired = keyring.keystore.retired.findLast((key) => key.slug === slug && isWithin(key, scope))
  if (retired === undefined) return { slug, flags: {} }
  if (wanted.reuseSlug === true) return { slug, flags: { flags: ['slug_reused'] } }
  const message = `a key with this slug was destroyed on ${timeText(retired.destroyedAt)}: reuseSlug takes it all the same`
  throw new KmsError('KEY_EXISTS', message, { key: slug })
}

function isWithin(key: Scope, { region, project }: Scope): boolean {
  return key.region === region && key.project === project
}

/** A lone surrogate has no UTF-8 form: it would read differently after reopening. */
function refuseUnstorable(texts: object): void {
  for (const text of Object.entries(texts).flat()) {
    if (typeof text === 'string' && utf8Length(text) < 0)
      throw new KmsError('INVALID_INPUT', 'a text must be well-formed Unicode: it holds a lone surrogate')
  }
}

/** New secret material, or how to make it. */
export function freshMaterial({ engine, fips, material }: Before, keyType: KeyType): Uint8Array | Wanted {
  if (fips) requireApproved(keyType)
  const fresh = material ?? algorithms[keyType].generate(engine)
  return typeof fresh === 'function' ? { wants: fresh } : fresh
}

function rotated(before: Before, key: LiveKey): Rotated | Wanted {
  const { keyType, versions } = key.stored
  const material = freshMaterial(before, keyType)
  if ('wants' in material) return material
  const version: StoredVersion = { version: key.latest + 1, createdAt: before.now, material }
  const { keystore, output } = changed(before, key, { versions: [...versions, version] })
  return { keystore, output: { ...output, keyVersion: version.version } }
}

function withStatus(before: Before, key: LiveKey, status: 'active' | 'disabled'): KeyChanged {
  if (notPending(key).stored.status !== status) return changed(before, key, { status })
  return outcome(before, before.keyring.keystore.keys, key.stored)
}

type Changeable = Pick<
  StoredKey,
  'status' | 'statusBefore' | 'deletionScheduledAt' | 'keyRotationEnabled' | 'rotationPeriodInDays' | 'versions'
>

export function changed(before: Before, key: LiveKey, fields: Partial<Changeable>): KeyChanged {
  return changedTo(before, key, { ...key.stored, ...fields })
}

function changedTo(before: Before, key: LiveKey, after: StoredKey): KeyChanged {
  const next = { ...after, updatedAt: before.now, objectVersion: key.stored.objectVersion + 1 }
  const keys = before.keyring.keystore.keys.map((stored) => (stored === key.stored ? next : stored))
  return outcome(before, keys, next)
}

interface KeyChanged {
  readonly keystore: Keystore
  readonly output: MadeBy & { readonly key: Key }
}

interface Rotated extends KeyChanged {
  readonly output: KeyChanged['output'] & { readonly keyVersion: number }
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
