/**
 * The key types that every runtime must be able to use: a row more is all that a new type needs. `webCrypto` says how the
 * host's own WebCrypto, which shares no code with either engine, reads such a key; without it that check is left out.
 */
import type { HashAlgorithm, KeyType } from 'keytrail'

export interface EncryptingType {
  readonly keyType: KeyType
  readonly keyLength: number
  readonly nonceLength: number
  readonly webCrypto?: 'AES-GCM' | 'XAES-GCM'
}

export const encryptingTypes: readonly EncryptingType[] = [
  { keyType: 'aes128-gcm96', keyLength: 16, nonceLength: 12, webCrypto: 'AES-GCM' },
  { keyType: 'aes256-gcm96', keyLength: 32, nonceLength: 12, webCrypto: 'AES-GCM' },
  { keyType: 'chacha20-poly1305', keyLength: 32, nonceLength: 12 },
  { keyType: 'xchacha20-poly1305', keyLength: 32, nonceLength: 24 },
  { keyType: 'xaes256-gcm', keyLength: 32, nonceLength: 24, webCrypto: 'XAES-GCM' },
]

export interface SigningType {
  readonly keyType: KeyType
  /** Of ECDSA: as IEEE P1363. */
  readonly signatureLength: number
  /** Digests that it takes, its default first; empty for types with a digest of their own. */
  readonly hashAlgorithms: readonly HashAlgorithm[]
  readonly webCrypto?: { readonly name: string; readonly namedCurve?: string }
}

export const signingTypes: readonly SigningType[] = [
  { keyType: 'ed25519', signatureLength: 64, hashAlgorithms: [], webCrypto: { name: 'Ed25519' } },
  {
    keyType: 'ecdsa-p256',
    signatureLength: 64,
    hashAlgorithms: ['sha256', 'sha384', 'sha512'],
    webCrypto: { name: 'ECDSA', namedCurve: 'P-256' },
  },
  {
    keyType: 'ecdsa-p384',
    signatureLength: 96,
    hashAlgorithms: ['sha384', 'sha256', 'sha512'],
    webCrypto: { name: 'ECDSA', namedCurve: 'P-384' },
  },
  // Not every runtime's WebCrypto has P-521, and none has secp256k1.
  { keyType: 'ecdsa-p521', signatureLength: 132, hashAlgorithms: ['sha512', 'sha256', 'sha384'] },
  { keyType: 'ecdsa-secp256k1', signatureLength: 64, hashAlgorithms: ['sha256', 'sha384', 'sha512'] },
  { keyType: 'ml-dsa-44', signatureLength: 2420, hashAlgorithms: [] },
  { keyType: 'ml-dsa-65', signatureLength: 3309, hashAlgorithms: [] },
  { keyType: 'ml-dsa-87', signatureLength: 4627, hashAlgorithms: [] },
]

export interface MacType {
  readonly keyType: KeyType
  readonly keyLength: number
  readonly hashAlgorithm: HashAlgorithm
}

export const macTypes: readonly MacType[] = [
  { keyType: 'hmac', keyLength: 32, hashAlgorithm: 'sha256' },
  { keyType: 'hmac-sha256', keyLength: 32, hashAlgorithm: 'sha256' },
  { keyType: 'hmac-sha384', keyLength: 48, hashAlgorithm: 'sha384' },
  { keyType: 'hmac-sha512', keyLength: 64, hashAlgorithm: 'sha512' },
]

/** WebCrypto's name of a digest. */
export const digestNames: Readonly<Record<HashAlgorithm, string>> = {
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
}
