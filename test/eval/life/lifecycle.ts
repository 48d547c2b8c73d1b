/** What changes a key, and how its entries look. */
import type { EntryContext, EntryReason } from '../../../src/model/entry.ts'
import type { KmsErrorCode } from '../../../src/model/errors.ts'
import { day } from './calendar.ts'
import { recordChange } from './calls.ts'
import type { KeyState } from './keys.ts'
import type { Mark } from './mark.ts'
import type { Persona, World } from './world.ts'
import type { Writer } from './writer.ts'

/** Who changes what, when, and why. */
export interface Changing {
  readonly at: number
  readonly by: Persona
  readonly key: KeyState
  readonly reason?: EntryReason
  readonly context?: EntryContext
  readonly error?: KmsErrorCode
  readonly writer?: Writer
  readonly mark?: Mark | undefined
  readonly because?: Mark
}

export function rotate(world: World, changing: Changing): void {
  recordChange(world, { ...changing, action: 'kms.rotate', ...rotation(changing.key) })
}

export function rotateScheduled(
  world: World,
  changing: Changing & { readonly dueAt: number; readonly because?: never; readonly cause?: 'usage' },
): void {
  const { at, dueAt, key, cause } = changing
  const dates = { dueAt: new Date(dueAt).toISOString(), latenessMs: Math.max(0, at - dueAt) }
  recordChange(world, {
    ...changing,
    action: 'kms.rotate.scheduled',
    intentDetails: { ...dates, ...(cause !== undefined && { because: cause }) },
    ...rotation(key),
  })
}

function rotation(key: KeyState) {
  return {
    keyVersion: () => key.latest,
    details: () => ({ previousVersion: key.latest - 1 }),
    effect(at: number) {
      key.latest += 1
      delete key.nearLimit
      key.rotatedAt = at
      key.nextRotationAt = key.period === undefined ? undefined : at + key.period * day
    },
  }
}

export function disable(world: World, changing: Changing): void {
  recordChange(world, { ...changing, action: 'kms_key.disable', ...status(changing, 'disabled') })
}

export function enable(world: World, changing: Changing): void {
  recordChange(world, { ...changing, action: 'kms_key.enable', ...status(changing, 'active') })
}

export function scheduleDeletion(world: World, changing: Changing & { readonly days: number }): void {
  const deletionScheduledAt = new Date(changing.at + changing.days * day).toISOString()
  recordChange(world, {
    ...changing,
    action: 'kms_key.delete',
    ...status(changing, 'pending_deletion'),
    details: () => ({ deletionScheduledAt }),
  })
}

export function cancelDeletion(world: World, changing: Changing): void {
  recordChange(world, { ...changing, action: 'kms_key.cancel_deletion', ...status(changing, 'active') })
}

function status({ key, mark }: Changing, becomes: KeyState['status']) {
  return {
    effect() {
      key.status = becomes
      if (mark !== undefined && becomes !== 'active') key.because = mark
      else delete key.because
    },
  }
}

export function createKey(world: World, changing: Changing): void {
  const { key } = changing
  const { period, exportAllowed } = key
  recordChange(world, {
    ...changing,
    action: 'kms_key.create',
    isNew: true,
    intentDetails: {
      ...(period !== undefined && { keyRotationEnabled: true, rotationPeriodInDays: period }),
      ...(exportAllowed === true && { exportAllowed }),
    },
    effect: () => world.keys.set(key.slug, key),
  })
}

export function importKey(world: World, changing: Changing & { readonly form: 'raw' | 'wrapped' }): void {
  const { key, form } = changing
  const wrappingKey = `sha256:${world.fork('wrapping key').text(64, '0123456789abcdef')}`
  recordChange(world, {
    ...changing,
    action: 'kms_key.import',
    isNew: true,
    intentDetails: { form },
    ...(form === 'wrapped' && { details: () => ({ wrappingKey }) }),
    keyVersion: () => 1,
    sizes: { keyMaterial: form === 'raw' ? 32 : 552 },
    effect: () => world.keys.set(key.slug, key),
  })
}

export interface Exporting extends Changing {
  /** Fingerprint of whom it is wrapped for; absent: it leaves in the clear. */
  readonly recipient?: string
  readonly version?: number
}

export function exportKey(world: World, exporting: Exporting): void {
  const { key, recipient, version } = exporting
  recordChange(world, {
    ...exporting,
    action: 'kms.export',
    ...(recipient !== undefined && { intentDetails: { form: 'wrapped', recipient } }),
    ...(recipient === undefined && { details: () => ({ form: 'raw' }) }),
    ...(version !== undefined && { askedVersion: version }),
    keyVersion: () => version ?? key.latest,
    sizes: { keyMaterial: recipient === undefined ? 32 : 296 },
  })
}

export function updateRotation(world: World, changing: Changing & { readonly period: number | undefined }): void {
  const { key, period } = changing
  recordChange(world, {
    ...changing,
    action: 'kms_key.update',
    intentDetails: {
      keyRotationEnabled: period !== undefined,
      ...(period !== undefined && { rotationPeriodInDays: period }),
    },
    effect() {
      key.nextRotationAt = period === undefined ? undefined : key.rotatedAt + period * day
    },
  })
}

export function updateMinDecryptionVersion(
  world: World,
  changing: Changing & { readonly minDecryptionVersion: number },
): void {
  const { minDecryptionVersion } = changing
  recordChange(world, { ...changing, action: 'kms_key.update', intentDetails: { minDecryptionVersion } })
}
