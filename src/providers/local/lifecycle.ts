/**
 * The life of a key, and changes of the keystore itself, as pure functions: what a keystore becomes, and what the caller gets.
 * Nothing here writes or waits; the keystore that a change returns counts only once it has been made durable.
 */
import { KmsError } from '../../model/errors.ts'
import type { KeyType } from '../../model/key.ts'
import type { Operation } from '../../model/operation.ts'
import {
  type Before,
  type Change,
  type ChangeOperation,
  changed,
  changedTo,
  find,
  freshMaterial,
  type KeyChanged,
  madeBy,
  nextGeneration,
  outcome,
  type Wanted,
} from './change.ts'
import { active, type LiveKey, onlyOpens } from './keyring.ts'
import { type RetiredKey, rotatedSeeds, type StoredKey, type StoredVersion } from './keystore.ts'
import { defaultRotationDays, describedKey, knownType } from './new-key.ts'
import type { TransferOperation } from './transfer.ts'
import { dayMs, dueAt, timeText } from './view.ts'

/** PLATFORM.md §2; the days are this provider's choice where that is silent. */
const defaultKeyType: KeyType = 'xaes256-gcm'
const defaultFipsKeyType: KeyType = 'aes256-gcm96'
const defaultPendingDays = 30

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
    const key = rotatable(active(find(input, before), 'rotate'), 'rotate')
    expectVersion(key, input.expectLatestVersion)
    return rotated(before, key)
  },

  /** Automatic rotation, decided by the client: refused unless it is due now by the key's own settings, or by its usage. */
  rotateScheduled(input, before) {
    const key = rotatable(active(find(input, before), 'rotateScheduled'), 'rotateScheduled')
    expectVersion(key, input.expectLatestVersion)
    if (input.because === 'usage') return rotated(before, nearLimit(key, before))
    const due = dueAt(key.stored, before.now)
    if (due === undefined) throw new KmsError('INVALID_INPUT', 'key has no automatic rotation', { key: input.key })
    if (Date.parse(input.dueAt) !== due)
      throw new KmsError('VERSION_CONFLICT', `key is due at ${timeText(due)}, not when you say`, {
        key: input.key,
      })
    if (due > before.now)
      throw new KmsError('INVALID_INPUT', `key is not due before ${timeText(due)}`, { key: input.key })
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
    if (keyRotationEnabled) rotatable(key, 'updateRotation')
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
    // What the former root key opens is to be gone.
    return { keystore, output: madeBy(keystore), rootKey, purge: true }
  },

  rotateAuditSigner(_input, before) {
    const next = nextGeneration(before, before.keyring.keystore.keys)
    const keystore = { ...next, ...rotatedSeeds(before.engine, next) }
    return { keystore, output: madeBy(keystore) }
  },
}

function expectVersion(key: LiveKey, expected: number | undefined): void {
  if (expected === undefined || expected === key.latest) return
  throw new KmsError('VERSION_CONFLICT', `latest version is ${key.latest}, not ${expected} as expected`, {
    key: key.stored.slug,
  })
}

/** PLATFORM.md §2: an imported key rotates only if it was imported so. */
function rotatable(key: LiveKey, operation: Operation): LiveKey {
  const { onlyFrom } = key.algorithm
  if (onlyFrom !== undefined) throw onlyOpens(key, onlyFrom, operation)
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

interface Rotated extends KeyChanged {
  readonly output: KeyChanged['output'] & { readonly keyVersion: number }
}
