/** The key resource: PLATFORM.md's fields, states and types. */

/** Key types of the embedded KMS. Other providers may name types of their own in entries. */
export type KeyType =
  | 'aes128-gcm96'
  | 'aes256-gcm96'
  | 'chacha20-poly1305'
  | 'xaes256-gcm'
  | 'rsa-2048'
  | 'rsa-3072'
  | 'rsa-4096'
  | 'xchacha20-poly1305'
  | 'ed25519'
  | 'ecdsa-p256'
  | 'ecdsa-p384'
  | 'ecdsa-p521'
  | 'ecdsa-secp256k1'
  | 'ml-dsa-44'
  | 'ml-dsa-65'
  | 'ml-dsa-87'
  | 'hmac'
  | 'hmac-sha256'
  | 'hmac-sha384'
  | 'hmac-sha512'

/**
 * Key types of versions that came out of Vault's or OpenBao's transit engine, by its own names: they open and verify what was made
 * there, and make nothing. `keytrail/vault-backup` imports them.
 */
export type TransitKeyType =
  | 'transit-aes128-gcm96'
  | 'transit-aes256-gcm96'
  | 'transit-chacha20-poly1305'
  | 'transit-xchacha20-poly1305'
  | 'transit-ed25519'
  | 'transit-ecdsa-p256'
  | 'transit-ecdsa-p384'
  | 'transit-ecdsa-p521'
  | 'transit-rsa-2048'
  | 'transit-rsa-3072'
  | 'transit-rsa-4096'
  | 'transit-hmac'

/** What a key of the embedded KMS can be: made here or imported, or only imported. */
export type ImportableKeyType = KeyType | TransitKeyType

/** Crypto needs `active`; a key `pending_deletion` is still listed and can be restored until it is destroyed. */
export type KeyStatus = 'active' | 'disabled' | 'pending_deletion'

/** How outputs and entries name a key. */
export interface KeyRef {
  /** Stable, unique, `kms-…`. */
  readonly identity: string
  /** URL-safe name, unique within region and project. */
  readonly slug: string
  readonly keyType: string
  /** The newest version, if the provider tells. An entry says `latestVersion: false` when an older one was used. */
  readonly latestVersion?: number
}

/** What a name resolved to, before the call is let through. */
export interface ResolvedKey extends KeyRef {
  readonly status?: KeyStatus
}

export interface KeyVersion {
  /** 1, 2, 3 … */
  readonly version: number
  /** RFC 3339, UTC. For an imported version, when it was imported. */
  readonly createdAt: string
  /**
   * Messages sealed under it at most, where the type's random nonces set a limit; told by `describeKey` and `listKeys`. A
   * crash counts a block of messages that may not have been sealed.
   */
  readonly messages?: number
}

/** A key as `createKey`, `describeKey` and `listKeys` return it; no key material. */
export interface Key extends KeyRef {
  readonly name: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly region?: string
  readonly projectId?: string
  readonly keyType: ImportableKeyType | (string & {})
  readonly status: KeyStatus
  /** Set at creation, for good: whether key material may ever leave by `export`. */
  readonly exportAllowed: boolean
  readonly imported?: boolean
  /** Of an imported key: whether newer versions may be made or imported. */
  readonly allowRotation?: boolean
  readonly keyRotationEnabled: boolean
  readonly rotationPeriodInDays?: number
  /** When automatic rotation falls due; RFC 3339, UTC. */
  readonly nextRotationAt?: string
  readonly latestVersion: number
  /** Oldest first. Numbers may be missing in an imported key. */
  readonly versions: readonly KeyVersion[]
  /** Versions below it are not used any more, for nothing but export and their public key; absent while all are. */
  readonly minDecryptionVersion?: number
  readonly deletionScheduledAt?: string
  readonly createdAt: string
  readonly updatedAt: string
  /** Counts changes to this key. */
  readonly objectVersion: number
}

/** Where a slug is unique and a key may be used: calls with another region or project do not find it (404). */
export interface Scope {
  readonly region?: string
  readonly project?: string
}
