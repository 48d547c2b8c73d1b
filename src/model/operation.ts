/**
 * Every operation, once: its input and output as types, and as a table its audit action, its kind, the fields it
 * accepts and the payload sizes its entry tells. Client, middleware, validation, record and providers all follow it.
 */
import type { ImportableKeyType, Key, KeyRef, KeyType } from './key.ts'

export type HashAlgorithm = 'sha256' | 'sha384' | 'sha512'
export type SignatureFormat = 'der' | 'ieee-p1363'
/** RSA only: RSASSA-PSS with a salt as long as the digest (default), or RSASSA-PKCS1-v1_5 (RFC 8017 §8). */
export type SignaturePadding = 'pss' | 'pkcs1v15'
/**
 * `raw` bytes of a symmetric key; `pkcs8` (DER, RFC 5958) of an asymmetric one; `jwk`, the UTF-8 text of a JSON Web Key
 * (RFC 7517); `wrapped`, the first or second of these encrypted to an RSA public key: RSA-OAEP (SHA-256) of a fresh AES-256 key,
 * then the key material under it by AES-KWP (RFC 5649), as `CKM_RSA_AES_KEY_WRAP` has it.
 */
export type KeyMaterialForm = 'raw' | 'pkcs8' | 'jwk' | 'wrapped'

/** Non-secret pairs bound into a ciphertext: ≤ 32 strings, ≤ 8 KiB in all. Recorded in the clear unless policy says otherwise. */
export type EncryptionContext = Readonly<Record<string, string>>

/** What a provider tells about how it answered; recorded, and handed on to the caller. */
export interface ProviderTrace {
  /** Which provider answered, of several behind one. */
  readonly name?: string
  /** The service's own name for the request: what its log calls it. */
  readonly requestId?: string
  /** Requests made, the last one included. */
  readonly attempts?: number
  /** Time spent in the service, ms. */
  readonly durationMs?: number
}

/** What every output carries for its entry. */
export interface Used {
  readonly key?: KeyRef
  readonly keyVersion?: number
  readonly provider?: ProviderTrace
  /** The keystore generation that a change made, where the provider has one. */
  readonly generation?: number
  /** Which keystore, where `generation` is told. */
  readonly keystore?: string
  /** Told once a key version nears the limit of its type: time to rotate it. */
  readonly usage?: KeyUsage
  /** What its entry is to say besides, such as `old_generations_remain`. */
  readonly flags?: readonly string[]
}

/** How often a key version has sealed, where the type's random nonces set a limit (NIST SP 800-38D §8.3). */
export interface KeyUsage {
  /** At most so many: a crash counts messages that may not have been sealed. */
  readonly messages: number
  /** From this many on the version refuses to seal: `USAGE_LIMIT`. */
  readonly limit: number
}

/** A change of the keystore itself, not of a key in it. */
interface UsedKeystore extends Used {
  readonly generation: number
  readonly keystore: string
}

interface UsedVersion extends Used {
  readonly key: KeyRef
  /** Absent where the service does not tell it; the embedded KMS always does. */
  readonly keyVersion?: number
}

interface UsedKey extends Used {
  readonly key: Key
}

interface Imported {
  readonly keyVersion: number
  /** How the key material came. */
  readonly form: KeyMaterialForm
  /** Fingerprint of the key that it was wrapped to, if it was. */
  readonly wrappingKey?: string
}

interface Named {
  /** Identity (`kms-…`) or slug. */
  readonly key: string
}

interface WithContext {
  /** Must be the same at decryption as at encryption. Absent and empty are the same. */
  readonly encryptionContext?: EncryptionContext
}

interface SigningOptions {
  /** Digest for RSA and ECDSA keys: by default SHA-256, for P-384 SHA-384, for P-521 SHA-512. Other types have their own. */
  readonly hashAlgorithm?: HashAlgorithm
  /** `input` is already the digest: its length is checked and it is not hashed again. RSA (on Node) and ECDSA only. */
  readonly prehashed?: boolean
  /** RSA only: `pss` (default) or `pkcs1v15`. */
  readonly padding?: SignaturePadding
  /** ECDSA only: ASN.1 DER (default) or the fixed-length r ‖ s of IEEE P1363. */
  readonly format?: SignatureFormat
}

/** Input and output of every operation. Bytes are `Uint8Array`; outputs own their whole `ArrayBuffer`. */
export interface Operations {
  encrypt: {
    /** `plaintext`: 1–65,535 bytes unless the client's limit says otherwise. */
    input: Named & WithContext & { readonly plaintext: Uint8Array; readonly keyVersion?: number }
    output: UsedVersion & { readonly ciphertext: Uint8Array }
  }
  decrypt: {
    /** The ciphertext carries its key version. */
    input: Named & WithContext & { readonly ciphertext: Uint8Array }
    output: UsedVersion & { readonly plaintext: Uint8Array }
  }
  sign: {
    input: Named & SigningOptions & { readonly input: Uint8Array; readonly keyVersion?: number }
    output: UsedVersion & { readonly signature: Uint8Array }
  }
  verify: {
    /** Without `keyVersion`, versions are tried newest first. */
    input: Named &
      SigningOptions & { readonly input: Uint8Array; readonly signature: Uint8Array; readonly keyVersion?: number }
    /** `keyVersion`: the version that matched, or the one asked for. */
    output: Used & { readonly key: KeyRef; readonly valid: boolean }
  }
  hmac: {
    input: Named & { readonly input: Uint8Array; readonly keyVersion?: number; readonly hashAlgorithm?: HashAlgorithm }
    output: UsedVersion & { readonly hmac: Uint8Array }
  }
  verifyHmac: {
    /** Without `keyVersion`, versions are tried newest first. */
    input: Named & {
      readonly input: Uint8Array
      readonly hmac: Uint8Array
      readonly keyVersion?: number
      readonly hashAlgorithm?: HashAlgorithm
    }
    output: Used & { readonly key: KeyRef; readonly valid: boolean }
  }
  rotate: {
    /** With `expectLatestVersion`, another latest version is a `VERSION_CONFLICT`: makes retries safe. */
    input: Named & { readonly expectLatestVersion?: number }
    output: UsedKey
  }
  rotateScheduled: {
    /** `dueAt`: when the rotation fell due, RFC 3339. `because`: of the key's period (default), or of its usage warning. */
    input: Named & {
      readonly expectLatestVersion: number
      readonly dueAt: string
      readonly because?: RotationCause
    }
    output: UsedKey
  }
  export: {
    input: Named & {
      readonly keyVersion?: number
      /** By default `wrapped` with a `recipient`, otherwise `raw` (symmetric, HMAC) or `pkcs8` (asymmetric). */
      readonly form?: KeyMaterialForm
      /** SPKI (DER) of an RSA key of 2048–4096 bits, for whose holder the key material is wrapped. Its fingerprint is recorded. */
      readonly recipient?: Uint8Array
    }
    output: UsedVersion & { readonly keyMaterial: Uint8Array; readonly form: KeyMaterialForm }
  }
  generateDataKey: {
    /** `length`: bytes of the new key, 16–64, 32 by default. */
    input: Named & WithContext & { readonly length?: number }
    output: UsedVersion & { readonly plaintext: Uint8Array; readonly ciphertext: Uint8Array }
  }
  reEncrypt: {
    /** Opens `ciphertext` with `key` and seals it under `destinationKey` (by default the same key's latest version). */
    input: Named &
      WithContext & {
        readonly ciphertext: Uint8Array
        readonly destinationKey?: string
        /** By default the same as `encryptionContext`. */
        readonly destinationEncryptionContext?: EncryptionContext
      }
    /** `key` and `keyVersion` opened it; `destinationKey` and `destinationKeyVersion` sealed it. */
    output: UsedVersion & {
      readonly ciphertext: Uint8Array
      readonly destinationKey: KeyRef
      readonly destinationKeyVersion?: number
    }
  }
  createKey: {
    input: {
      /** `^[a-z0-9][a-z0-9-]{0,62}$`, not starting with `kms-`; made from random characters when absent. */
      readonly slug?: string
      readonly name?: string
      readonly description?: string
      readonly labels?: Readonly<Record<string, string>>
      readonly annotations?: Readonly<Record<string, string>>
      /** Default of the embedded KMS: `xaes256-gcm`. */
      readonly keyType?: KeyType
      readonly exportAllowed?: boolean
      readonly keyRotationEnabled?: boolean
      /** 1–3650. */
      readonly rotationPeriodInDays?: number
      /** Take the slug of a key that was destroyed, which is `KEY_EXISTS` otherwise: old ciphertexts will not open under it. */
      readonly reuseSlug?: boolean
    }
    output: UsedKey
  }
  importKey: {
    /** As `createKey`, but with key material from elsewhere. HMAC types are refused, but for what `keytrail/vault-backup` imports. */
    input: {
      readonly slug?: string
      readonly name?: string
      readonly description?: string
      readonly labels?: Readonly<Record<string, string>>
      readonly annotations?: Readonly<Record<string, string>>
      readonly keyType: ImportableKeyType
      readonly exportAllowed?: boolean
      readonly reuseSlug?: boolean
      /** Whether newer versions may be made or imported later; otherwise the key stays as it is. */
      readonly allowRotation?: boolean
      readonly keyMaterial: Uint8Array
      /** By default `raw` for symmetric types, `pkcs8` for asymmetric ones. `wrapped`: to the key of `getWrappingKey`. */
      readonly form?: KeyMaterialForm
      /** Which version it is, 1 by default: ciphertexts of version 3 open with version 3 only. */
      readonly keyVersion?: number
    }
    output: UsedKey & Imported
  }
  importKeyVersion: {
    /** Adds a version that an imported key has not: an older one always, a newer one if it was imported with `allowRotation`. */
    input: Named & {
      readonly keyVersion: number
      readonly keyMaterial: Uint8Array
      readonly form?: KeyMaterialForm
    }
    output: UsedKey & Imported
  }
  describeKey: { input: Named; output: UsedKey }
  listKeys: { input: object; output: Used & { readonly keys: readonly Key[] } }
  enableKey: { input: Named; output: UsedKey }
  disableKey: { input: Named; output: UsedKey }
  scheduleKeyDeletion: {
    /** 7–90 days, 30 by default. */
    input: Named & { readonly pendingWindowInDays?: number }
    output: UsedKey
  }
  cancelKeyDeletion: { input: Named; output: UsedKey }
  destroyKey: {
    /** `dueAt`: when its deletion was scheduled for. Refused before. `key` of the output is the key as it was. */
    input: Named & { readonly dueAt: string }
    output: UsedKey
  }
  updateRotation: {
    /** 1–3650 days. */
    input: Named & { readonly keyRotationEnabled: boolean; readonly rotationPeriodInDays?: number }
    output: UsedKey
  }
  updateMinDecryptionVersion: {
    /** 1 … the latest version; can be lowered again. */
    input: Named & { readonly minDecryptionVersion: number }
    output: UsedKey
  }
  getPublicKey: {
    input: Named & { readonly keyVersion?: number }
    output: UsedVersion & {
      /** PEM (SPKI) for RSA, ECDSA and ML-DSA, base64 of the raw 32 bytes for Ed25519. */
      readonly publicKey: string
      /** SubjectPublicKeyInfo, DER (RFC 5280). */
      readonly spki: Uint8Array
      /** JSON Web Key (RFC 7517), where the provider gives one. */
      readonly jwk?: Readonly<Record<string, string>>
    }
  }
  /** The RSA-4096 key to which key material is wrapped for `importKey`. Made at the first call. */
  getWrappingKey: { input: object; output: UsedKeystore & WrappingKey }
  /** Another one from here on: what was wrapped to the one before cannot be imported any more. */
  rotateWrappingKey: { input: object; output: UsedKeystore & WrappingKey }
  rewrapRootKey: {
    /** What the keystore is sealed under from here on; exactly one of them. */
    input: {
      /** 32 bytes. */
      readonly rootKey?: Uint8Array
      /** As `openLocalKms` takes it. */
      readonly rootKeyFile?: string
      /** 1–1024 bytes of UTF-8. */
      readonly passphrase?: string | Uint8Array
    }
    output: UsedKeystore
  }
  rotateAuditSigner: { input: object; output: UsedKeystore }
}

export type RotationCause = 'period' | 'usage'

/** A keystore's public key for imports. */
export interface WrappingKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** The same as PEM. */
  readonly publicKey: string
  /** `sha256:` and the hexadecimal SHA-256 of `spki`. */
  readonly fingerprint: string
}

export type Operation = keyof Operations
export type Input<O extends Operation> = Operations[O]['input']
export type Output<O extends Operation> = Operations[O]['output']

/**
 * `crypto` and `read` leave a result entry; `change` and `lifecycle` write an intent entry first, so that no effect is
 * without an entry even if the process dies in between.
 */
export type OperationKind = 'crypto' | 'change' | 'lifecycle' | 'read'

/** How one input field is checked and copied at the door. Bounds of `bytes` are inclusive; `max` names a client limit. */
export type FieldRule =
  | { readonly is: 'key' | 'slug' | 'encryptionContext' | 'flag' | 'timestamp' | 'texts'; readonly required?: true }
  | { readonly is: 'rootKey' | 'passphrase'; readonly required?: never }
  | { readonly is: 'text'; readonly max: number; readonly required?: true }
  | { readonly is: 'integer'; readonly min: number; readonly max: number; readonly required?: true }
  | { readonly is: 'oneOf'; readonly values: readonly string[]; readonly required?: true }
  | { readonly is: 'bytes'; readonly min: number; readonly max: keyof Limits; readonly required?: true }

/** Most bytes that a payload may have. */
export interface Limits {
  readonly plaintext: number
  readonly ciphertext: number
  /** What is signed, verified or authenticated. */
  readonly input: number
  readonly signature: number
  /** Of an import, and the recipient of an export. The embedded KMS takes no more than the default. */
  readonly keyMaterial: number
}

export const defaultLimits: Limits = {
  plaintext: 65_535,
  // Of the longest plaintext, also where a service gives base64 text: a third more, and 1,024.
  ciphertext: 88_404,
  input: 16 * 1024 * 1024,
  signature: 8192,
  keyMaterial: 16_384,
}

/** A payload whose size the entry tells: which field of input or output, under which name. */
export interface SizeRule {
  readonly of: 'input' | 'output'
  readonly field: string
  readonly as: PayloadName
}

export type PayloadName = 'plaintext' | 'ciphertext' | 'input' | 'signature' | 'mac' | 'keyMaterial'

export interface OperationRow {
  readonly action: string
  readonly kind: OperationKind
  /** What it is about, unless that is a `kms_key`. */
  readonly resourceType?: 'kms_keystore'
  readonly fields: Readonly<Record<string, FieldRule>>
  /** Of these fields exactly one must be given. */
  readonly oneOf?: readonly string[]
  readonly sizes: readonly SizeRule[]
  /** Output fields that are bytes. */
  readonly makes: readonly string[]
  /** Input fields that are secrets of the keystore: our copies are wiped once the provider has answered. */
  readonly secrets?: readonly string[]
}

const key = { is: 'key', required: true } as const
const version = { is: 'integer', min: 1, max: 0xffff_ffff } as const
const days = { is: 'integer', min: 1, max: 3650 } as const
const encryptionContext = { is: 'encryptionContext' } as const
const flag = { is: 'flag' } as const
const hashAlgorithm = { is: 'oneOf', values: ['sha256', 'sha384', 'sha512'] } as const
const input = { is: 'bytes', min: 0, max: 'input', required: true } as const
const ciphertext = { is: 'bytes', min: 1, max: 'ciphertext', required: true } as const
const signature = { is: 'bytes', min: 1, max: 'signature', required: true } as const
const signing = {
  hashAlgorithm,
  prehashed: flag,
  padding: { is: 'oneOf', values: ['pss', 'pkcs1v15'] },
  format: { is: 'oneOf', values: ['der', 'ieee-p1363'] },
} as const
const keyMaterial = { is: 'bytes', min: 1, max: 'keyMaterial', required: true } as const
const form = { is: 'oneOf', values: ['raw', 'pkcs8', 'jwk', 'wrapped'] } as const
const timestamp = { is: 'timestamp', required: true } as const
const description = {
  slug: { is: 'slug' },
  name: { is: 'text', max: 256 },
  description: { is: 'text', max: 1024 },
  labels: { is: 'texts' },
  annotations: { is: 'texts' },
} as const

const given = (field: string, as: PayloadName): SizeRule => ({ of: 'input', field, as })
const made = (field: string, as: PayloadName): SizeRule => ({ of: 'output', field, as })

/** The table. Rows stand in the order of the public documentation. */
export const operations: { readonly [O in Operation]: OperationRow } = {
  encrypt: {
    action: 'kms.encrypt',
    kind: 'crypto',
    fields: {
      key,
      plaintext: { is: 'bytes', min: 1, max: 'plaintext', required: true },
      keyVersion: version,
      encryptionContext,
    },
    sizes: [given('plaintext', 'plaintext'), made('ciphertext', 'ciphertext')],
    makes: ['ciphertext'],
  },
  decrypt: {
    action: 'kms.decrypt',
    kind: 'crypto',
    fields: { key, ciphertext, encryptionContext },
    sizes: [made('plaintext', 'plaintext'), given('ciphertext', 'ciphertext')],
    makes: ['plaintext'],
  },
  sign: {
    action: 'kms.sign',
    kind: 'crypto',
    fields: { key, input, keyVersion: version, ...signing },
    sizes: [given('input', 'input'), made('signature', 'signature')],
    makes: ['signature'],
  },
  verify: {
    action: 'kms.verify',
    kind: 'crypto',
    fields: { key, input, signature, keyVersion: version, ...signing },
    sizes: [given('input', 'input'), given('signature', 'signature')],
    makes: [],
  },
  hmac: {
    action: 'kms.hmac',
    kind: 'crypto',
    fields: { key, input, keyVersion: version, hashAlgorithm },
    sizes: [given('input', 'input'), made('hmac', 'mac')],
    makes: ['hmac'],
  },
  verifyHmac: {
    action: 'kms.verify_hmac',
    kind: 'crypto',
    fields: { key, input, hmac: signature, keyVersion: version, hashAlgorithm },
    sizes: [given('input', 'input'), given('hmac', 'mac')],
    makes: [],
  },
  rotate: {
    action: 'kms.rotate',
    kind: 'change',
    fields: { key, expectLatestVersion: version },
    sizes: [],
    makes: [],
  },
  rotateScheduled: {
    action: 'kms.rotate.scheduled',
    kind: 'change',
    fields: {
      key,
      expectLatestVersion: { ...version, required: true },
      dueAt: timestamp,
      because: { is: 'oneOf', values: ['period', 'usage'] },
    },
    sizes: [],
    makes: [],
  },
  export: {
    action: 'kms.export',
    kind: 'change',
    fields: { key, keyVersion: version, form, recipient: { is: 'bytes', min: 1, max: 'keyMaterial' } },
    sizes: [made('keyMaterial', 'keyMaterial')],
    makes: ['keyMaterial'],
  },
  generateDataKey: {
    action: 'kms.generate_data_key',
    kind: 'crypto',
    fields: { key, length: { is: 'integer', min: 16, max: 64 }, encryptionContext },
    sizes: [made('plaintext', 'plaintext'), made('ciphertext', 'ciphertext')],
    makes: ['plaintext', 'ciphertext'],
  },
  reEncrypt: {
    action: 'kms.re_encrypt',
    kind: 'crypto',
    fields: {
      key,
      ciphertext,
      encryptionContext,
      destinationKey: { is: 'key' },
      destinationEncryptionContext: encryptionContext,
    },
    sizes: [given('ciphertext', 'ciphertext')],
    makes: ['ciphertext'],
  },
  createKey: {
    action: 'kms_key.create',
    kind: 'lifecycle',
    fields: {
      ...description,
      keyType: { is: 'text', max: 64 },
      exportAllowed: flag,
      keyRotationEnabled: flag,
      rotationPeriodInDays: days,
      reuseSlug: flag,
    },
    sizes: [],
    makes: [],
  },
  importKey: {
    action: 'kms_key.import',
    kind: 'lifecycle',
    fields: {
      ...description,
      keyType: { is: 'text', max: 64, required: true },
      exportAllowed: flag,
      reuseSlug: flag,
      allowRotation: flag,
      keyMaterial,
      form,
      keyVersion: version,
    },
    sizes: [given('keyMaterial', 'keyMaterial')],
    makes: [],
    secrets: ['keyMaterial'],
  },
  importKeyVersion: {
    action: 'kms_key.import_version',
    kind: 'lifecycle',
    fields: { key, keyVersion: { ...version, required: true }, keyMaterial, form },
    sizes: [given('keyMaterial', 'keyMaterial')],
    makes: [],
    secrets: ['keyMaterial'],
  },
  describeKey: { action: 'kms_key.describe', kind: 'read', fields: { key }, sizes: [], makes: [] },
  listKeys: { action: 'kms_key.list', kind: 'read', fields: {}, sizes: [], makes: [] },
  enableKey: { action: 'kms_key.enable', kind: 'lifecycle', fields: { key }, sizes: [], makes: [] },
  disableKey: { action: 'kms_key.disable', kind: 'lifecycle', fields: { key }, sizes: [], makes: [] },
  scheduleKeyDeletion: {
    action: 'kms_key.delete',
    kind: 'lifecycle',
    fields: { key, pendingWindowInDays: { is: 'integer', min: 7, max: 90 } },
    sizes: [],
    makes: [],
  },
  cancelKeyDeletion: { action: 'kms_key.cancel_deletion', kind: 'lifecycle', fields: { key }, sizes: [], makes: [] },
  destroyKey: {
    action: 'kms_key.destroy',
    kind: 'lifecycle',
    fields: { key, dueAt: timestamp },
    sizes: [],
    makes: [],
  },
  updateRotation: {
    action: 'kms_key.update',
    kind: 'lifecycle',
    fields: { key, keyRotationEnabled: { ...flag, required: true }, rotationPeriodInDays: days },
    sizes: [],
    makes: [],
  },
  updateMinDecryptionVersion: {
    action: 'kms_key.update',
    kind: 'lifecycle',
    fields: { key, minDecryptionVersion: { ...version, required: true } },
    sizes: [],
    makes: [],
  },
  getPublicKey: {
    action: 'kms_key.get_public_key',
    kind: 'read',
    fields: { key, keyVersion: version },
    sizes: [],
    makes: ['spki'],
  },
  getWrappingKey: {
    action: 'kms_key.get_wrapping_key',
    // The first call makes the key.
    kind: 'lifecycle',
    resourceType: 'kms_keystore',
    fields: {},
    sizes: [],
    makes: ['spki'],
  },
  rotateWrappingKey: {
    action: 'kms_keystore.rotate_wrapping_key',
    kind: 'lifecycle',
    resourceType: 'kms_keystore',
    fields: {},
    sizes: [],
    makes: ['spki'],
  },
  rewrapRootKey: {
    action: 'kms_keystore.rewrap_root_key',
    kind: 'lifecycle',
    resourceType: 'kms_keystore',
    fields: { rootKey: { is: 'rootKey' }, rootKeyFile: { is: 'text', max: 4096 }, passphrase: { is: 'passphrase' } },
    oneOf: ['rootKey', 'rootKeyFile', 'passphrase'],
    sizes: [],
    makes: [],
    secrets: ['rootKey', 'passphrase'],
  },
  rotateAuditSigner: {
    action: 'kms_keystore.rotate_signer',
    kind: 'lifecycle',
    resourceType: 'kms_keystore',
    fields: {},
    sizes: [],
    makes: [],
  },
}
