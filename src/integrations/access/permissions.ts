/** What each operation needs, and which actions of a rule give it: two tables, which the compiler holds complete. */
import type { Operation } from '../../model/operation.ts'

/** What a call needs. Each is also an action that a rule may name. */
export type Permission =
  | 'kms:Encrypt'
  | 'kms:Decrypt'
  | 'kms:GenerateDataKey'
  | 'kms:ReEncryptFrom'
  | 'kms:ReEncryptTo'
  | 'kms:Sign'
  | 'kms:Verify'
  | 'kms:Hmac'
  | 'kms:VerifyHmac'
  | 'kms:ListKeys'
  | 'kms:DescribeKey'
  | 'kms:GetPublicKey'
  | 'kms:CreateKey'
  | 'kms:Rotate'
  | 'kms:RotateScheduled'
  | 'kms:UpdateRotation'
  | 'kms:UpdateMinDecryptionVersion'
  | 'kms:EnableKey'
  | 'kms:DisableKey'
  | 'kms:ScheduleKeyDeletion'
  | 'kms:CancelKeyDeletion'
  | 'kms:GetWrappingKey'
  | 'kms:Export'
  | 'kms:ExportWrapped'
  | 'kms:ImportKey'
  | 'kms:ImportKeyVersion'
  | 'kms:DestroyKey'
  | 'kms:RotateWrappingKey'
  | 'kms:RewrapRootKey'
  | 'kms:RotateAuditSigner'

/** Many at once. `kms:FullAccess` and `kms:*` are the same. */
export type PermissionGroup = 'kms:ReadAccess' | 'kms:FullAccess' | 'kms:*'

/** What a rule may name. */
export type AccessAction = Permission | PermissionGroup

const full: readonly AccessAction[] = ['kms:FullAccess', 'kms:*']
const read: readonly AccessAction[] = ['kms:ReadAccess', ...full]
/** Granted by name only: what takes key material out or in, or cannot be undone. */
const apart: readonly AccessAction[] = []

/** Which other actions give a permission when a rule allows them. */
const includedIn: { readonly [P in Permission]: readonly AccessAction[] } = {
  'kms:Encrypt': full,
  'kms:Decrypt': full,
  // Whoever may encrypt can seal random bytes of their own: the same power.
  'kms:GenerateDataKey': ['kms:Encrypt', ...full],
  'kms:ReEncryptFrom': ['kms:Decrypt', ...full],
  'kms:ReEncryptTo': ['kms:Encrypt', ...full],
  'kms:Sign': full,
  'kms:Verify': full,
  'kms:Hmac': full,
  'kms:VerifyHmac': full,
  'kms:ListKeys': read,
  'kms:DescribeKey': read,
  'kms:GetPublicKey': read,
  'kms:CreateKey': full,
  'kms:Rotate': full,
  'kms:RotateScheduled': ['kms:Rotate', ...full],
  'kms:UpdateRotation': full,
  'kms:UpdateMinDecryptionVersion': full,
  'kms:EnableKey': full,
  'kms:DisableKey': full,
  // Can be cancelled for as long as the key is there.
  'kms:ScheduleKeyDeletion': full,
  'kms:CancelKeyDeletion': full,
  'kms:GetWrappingKey': full,
  'kms:Export': apart,
  'kms:ExportWrapped': ['kms:Export'],
  // Whoever brings key material in knows it.
  'kms:ImportKey': apart,
  'kms:ImportKeyVersion': ['kms:ImportKey'],
  'kms:DestroyKey': apart,
  'kms:RotateWrappingKey': apart,
  'kms:RewrapRootKey': apart,
  'kms:RotateAuditSigner': apart,
}

/**
 * What a rule's `keys` are held to: the call's key · the slug of one that is to be made · none, since the answer tells of many ·
 * none, since it is the keystore that changes.
 */
export type About = 'key' | 'newKey' | 'keys' | 'keystore'

export interface Need {
  readonly permission: Permission
  readonly about: About
}

/** A new operation has no access until it stands here, and does not compile until it does. */
export const needs: { readonly [O in Operation]: Need } = {
  encrypt: { permission: 'kms:Encrypt', about: 'key' },
  decrypt: { permission: 'kms:Decrypt', about: 'key' },
  sign: { permission: 'kms:Sign', about: 'key' },
  verify: { permission: 'kms:Verify', about: 'key' },
  hmac: { permission: 'kms:Hmac', about: 'key' },
  verifyHmac: { permission: 'kms:VerifyHmac', about: 'key' },
  rotate: { permission: 'kms:Rotate', about: 'key' },
  rotateScheduled: { permission: 'kms:RotateScheduled', about: 'key' },
  // For a recipient: kms:ExportWrapped.
  export: { permission: 'kms:Export', about: 'key' },
  generateDataKey: { permission: 'kms:GenerateDataKey', about: 'key' },
  // And kms:ReEncryptTo on the destination.
  reEncrypt: { permission: 'kms:ReEncryptFrom', about: 'key' },
  createKey: { permission: 'kms:CreateKey', about: 'newKey' },
  importKey: { permission: 'kms:ImportKey', about: 'newKey' },
  importKeyVersion: { permission: 'kms:ImportKeyVersion', about: 'key' },
  describeKey: { permission: 'kms:DescribeKey', about: 'key' },
  listKeys: { permission: 'kms:ListKeys', about: 'keys' },
  enableKey: { permission: 'kms:EnableKey', about: 'key' },
  disableKey: { permission: 'kms:DisableKey', about: 'key' },
  scheduleKeyDeletion: { permission: 'kms:ScheduleKeyDeletion', about: 'key' },
  cancelKeyDeletion: { permission: 'kms:CancelKeyDeletion', about: 'key' },
  destroyKey: { permission: 'kms:DestroyKey', about: 'key' },
  updateRotation: { permission: 'kms:UpdateRotation', about: 'key' },
  updateMinDecryptionVersion: { permission: 'kms:UpdateMinDecryptionVersion', about: 'key' },
  getPublicKey: { permission: 'kms:GetPublicKey', about: 'key' },
  getWrappingKey: { permission: 'kms:GetWrappingKey', about: 'keystore' },
  rotateWrappingKey: { permission: 'kms:RotateWrappingKey', about: 'keystore' },
  rewrapRootKey: { permission: 'kms:RewrapRootKey', about: 'keystore' },
  rotateAuditSigner: { permission: 'kms:RotateAuditSigner', about: 'keystore' },
}

export function isAccessAction(value: unknown): value is AccessAction {
  return typeof value === 'string' && (Object.hasOwn(includedIn, value) || read.some((group) => group === value))
}

/** Whether a rule of this effect that names `action` speaks of `permission`. A denial of everything is of everything. */
export function covers(effect: 'allow' | 'deny', action: AccessAction, permission: Permission): boolean {
  if (action === permission || includedIn[permission].includes(action)) return true
  return effect === 'deny' && full.includes(action)
}

/** What an export needs. */
export function exportPermission(isWrapped: boolean): Permission {
  return isWrapped ? 'kms:ExportWrapped' : 'kms:Export'
}
