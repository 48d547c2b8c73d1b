/** Every command of the SDK, as an action of the trail; and what is made of those that AWS adds later. */
import type { PayloadName } from '../../model/operation.ts'

/** `crypto` and `read` leave a result; a `change` writes its intent before the request is sent. */
export type CommandKind = 'crypto' | 'read' | 'change'

export interface CommandRow {
  readonly action: string
  readonly kind: CommandKind
  /** What it is about, unless that is a `kms_key`. */
  readonly resourceType?: 'kms_keystore'
  /** Which field of the request names the key, unless `KeyId`. */
  readonly asked?: string
  /** Which field of the answer names the key that was used, unless `KeyId`. */
  readonly told?: string
  readonly sizes?: readonly SizeRule[]
}

/** A payload whose size the entry tells. */
export interface SizeRule {
  readonly of: 'request' | 'answer'
  readonly field: string
  readonly as: PayloadName
}

export interface Command extends CommandRow {
  /** Without its ending: `Encrypt`. */
  readonly name: string
}

const asked = (field: string, as: PayloadName): SizeRule => ({ of: 'request', field, as })
const told = (field: string, as: PayloadName): SizeRule => ({ of: 'answer', field, as })
const keystore = { resourceType: 'kms_keystore', asked: 'CustomKeyStoreId', told: 'CustomKeyStoreId' } as const

/** Those that are not told by their name alone. */
const rows: Readonly<Record<string, CommandRow>> = {
  Encrypt: {
    action: 'kms.encrypt',
    kind: 'crypto',
    sizes: [asked('Plaintext', 'plaintext'), told('CiphertextBlob', 'ciphertext')],
  },
  Decrypt: {
    action: 'kms.decrypt',
    kind: 'crypto',
    sizes: [told('Plaintext', 'plaintext'), asked('CiphertextBlob', 'ciphertext')],
  },
  Sign: {
    action: 'kms.sign',
    kind: 'crypto',
    sizes: [asked('Message', 'input'), told('Signature', 'signature')],
  },
  Verify: {
    action: 'kms.verify',
    kind: 'crypto',
    sizes: [asked('Message', 'input'), asked('Signature', 'signature')],
  },
  GenerateMac: { action: 'kms.hmac', kind: 'crypto', sizes: [asked('Message', 'input'), told('Mac', 'mac')] },
  VerifyMac: { action: 'kms.verify_hmac', kind: 'crypto', sizes: [asked('Message', 'input'), asked('Mac', 'mac')] },
  GenerateDataKey: {
    action: 'kms.generate_data_key',
    kind: 'crypto',
    sizes: [told('Plaintext', 'plaintext'), told('CiphertextBlob', 'ciphertext')],
  },
  GenerateDataKeyWithoutPlaintext: {
    action: 'kms.generate_data_key',
    kind: 'crypto',
    sizes: [told('CiphertextBlob', 'ciphertext')],
  },
  GenerateDataKeyPair: {
    action: 'kms.generate_data_key_pair',
    kind: 'crypto',
    sizes: [told('PrivateKeyPlaintext', 'plaintext'), told('PrivateKeyCiphertextBlob', 'ciphertext')],
  },
  GenerateDataKeyPairWithoutPlaintext: {
    action: 'kms.generate_data_key_pair',
    kind: 'crypto',
    sizes: [told('PrivateKeyCiphertextBlob', 'ciphertext')],
  },
  ReEncrypt: {
    action: 'kms.re_encrypt',
    kind: 'crypto',
    asked: 'SourceKeyId',
    told: 'SourceKeyId',
    sizes: [asked('CiphertextBlob', 'ciphertext')],
  },
  GenerateRandom: { action: 'kms.generate_random', kind: 'crypto', sizes: [told('Plaintext', 'plaintext')] },
  DeriveSharedSecret: {
    action: 'kms.derive_shared_secret',
    kind: 'crypto',
    sizes: [told('SharedSecret', 'keyMaterial')],
  },
  Encapsulate: {
    action: 'kms.encapsulate',
    kind: 'crypto',
    sizes: [told('SharedSecretCiphertextBlob', 'ciphertext'), told('SharedSecret', 'keyMaterial')],
  },
  Decapsulate: {
    action: 'kms.decapsulate',
    kind: 'crypto',
    sizes: [asked('SharedSecretCiphertextBlob', 'ciphertext'), told('SharedSecret', 'keyMaterial')],
  },
  RotateKeyOnDemand: { action: 'kms.rotate', kind: 'change' },

  CreateKey: { action: 'kms_key.create', kind: 'change' },
  DescribeKey: { action: 'kms_key.describe', kind: 'read' },
  ListKeys: { action: 'kms_key.list', kind: 'read' },
  GetPublicKey: { action: 'kms_key.get_public_key', kind: 'read' },
  EnableKey: { action: 'kms_key.enable', kind: 'change' },
  DisableKey: { action: 'kms_key.disable', kind: 'change' },
  EnableKeyRotation: { action: 'kms_key.update', kind: 'change' },
  DisableKeyRotation: { action: 'kms_key.update', kind: 'change' },
  ScheduleKeyDeletion: { action: 'kms_key.delete', kind: 'change' },
  CancelKeyDeletion: { action: 'kms_key.cancel_deletion', kind: 'change' },
  GetParametersForImport: { action: 'kms_key.get_wrapping_key', kind: 'read' },
  ImportKeyMaterial: {
    action: 'kms_key.import',
    kind: 'change',
    sizes: [asked('EncryptedKeyMaterial', 'keyMaterial')],
  },
  CreateAlias: { action: 'kms_key.create_alias', kind: 'change', asked: 'TargetKeyId' },
  UpdateAlias: { action: 'kms_key.update_alias', kind: 'change', asked: 'TargetKeyId' },
  DeleteAlias: { action: 'kms_key.delete_alias', kind: 'change', asked: 'AliasName' },

  CreateCustomKeyStore: { action: 'kms_keystore.create', kind: 'change', ...keystore },
  ConnectCustomKeyStore: { action: 'kms_keystore.connect', kind: 'change', ...keystore },
  DisconnectCustomKeyStore: { action: 'kms_keystore.disconnect', kind: 'change', ...keystore },
  UpdateCustomKeyStore: { action: 'kms_keystore.update', kind: 'change', ...keystore },
  DeleteCustomKeyStore: { action: 'kms_keystore.delete', kind: 'change', ...keystore },
  DescribeCustomKeyStores: { action: 'kms_keystore.describe', kind: 'read', ...keystore },
}

const isRead = /^(?:Get|List|Describe)[A-Z]/

/**
 * The command that the SDK calls `commandName`. One without a row is its own action, `PutKeyPolicy` a
 * `kms_key.put_key_policy`: a read if its name begins with Get, List or Describe, else a change.
 */
export function commandOf(commandName: unknown): Command {
  const name = typeof commandName === 'string' ? commandName.replace(/Command$/, '') : ''
  const row = Object.hasOwn(rows, name) ? rows[name] : undefined
  if (row !== undefined) return { name, ...row }
  // One that is none of the SDK's: the action must be one all the same.
  if (!/^[A-Z][A-Za-z0-9]{0,63}$/.test(name)) return { name: 'Unknown', action: 'kms_key.unknown', kind: 'change' }
  return { name, action: `kms_key.${snakeCase(name)}`, kind: isRead.test(name) ? 'read' : 'change' }
}

function snakeCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '_').toLowerCase()
}
