/** AWS's key specs as a table: our key type for each, and what a key of it can do. */
import { type Curve, curves } from '../../crypto/curves.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyType } from '../../model/key.ts'
import type { HashAlgorithm } from '../../model/operation.ts'
import type { EncryptionAlgorithm, KeySpec, KeyUsage, MacAlgorithm } from './sdk.ts'

export interface KeySpecRow {
  readonly spec: KeySpec
  /** Ours; one of its own where we have none. */
  readonly keyType: KeyType | `aws:${string}`
  /** An RSA key in AWS has one of two. */
  readonly usages: readonly KeyUsage[]
  readonly seals?: { readonly algorithm: EncryptionAlgorithm; readonly maxPlaintext: number }
  readonly signs?: { readonly scheme: 'rsa' } | { readonly scheme: 'ecdsa'; readonly curve: Curve }
  readonly authenticates?: { readonly algorithm: MacAlgorithm; readonly hashAlgorithm?: HashAlgorithm }
  /** Whether AWS makes newer versions of its material. */
  readonly rotates: boolean
}

/** AWS KMS takes no more at once, neither to encrypt nor as a message. */
export const maxPayload = 4096
/** Nor longer ciphertexts, signatures and MACs. */
export const maxCiphertext = 6144

/** RFC 8017 §7.1.1: OAEP with SHA-256 takes 66 bytes. */
function rsa(spec: KeySpec, keyType: KeyType, bytes: number): KeySpecRow {
  return {
    spec,
    keyType,
    usages: ['SIGN_VERIFY', 'ENCRYPT_DECRYPT'],
    seals: { algorithm: 'RSAES_OAEP_SHA_256', maxPlaintext: bytes - 66 },
    signs: { scheme: 'rsa' },
    rotates: false,
  }
}

function ecdsa(spec: KeySpec, keyType: KeyType, curve: Curve): KeySpecRow {
  return { spec, keyType, usages: ['SIGN_VERIFY'], signs: { scheme: 'ecdsa', curve }, rotates: false }
}

function hmac(spec: KeySpec, keyType: KeySpecRow['keyType'], authenticates: KeySpecRow['authenticates']): KeySpecRow {
  return { spec, keyType, usages: ['GENERATE_VERIFY_MAC'], ...(authenticates && { authenticates }), rotates: false }
}

const rows: readonly KeySpecRow[] = [
  {
    spec: 'SYMMETRIC_DEFAULT',
    keyType: 'aes256-gcm96',
    usages: ['ENCRYPT_DECRYPT'],
    seals: { algorithm: 'SYMMETRIC_DEFAULT', maxPlaintext: maxPayload },
    rotates: true,
  },
  rsa('RSA_2048', 'rsa-2048', 256),
  rsa('RSA_3072', 'rsa-3072', 384),
  rsa('RSA_4096', 'rsa-4096', 512),
  ecdsa('ECC_NIST_P256', 'ecdsa-p256', curves.p256),
  ecdsa('ECC_NIST_P384', 'ecdsa-p384', curves.p384),
  ecdsa('ECC_NIST_P521', 'ecdsa-p521', curves.p521),
  ecdsa('ECC_SECG_P256K1', 'ecdsa-secp256k1', curves.secp256k1),
  hmac('HMAC_224', 'aws:HMAC_224', { algorithm: 'HMAC_SHA_224' }),
  hmac('HMAC_256', 'hmac-sha256', { algorithm: 'HMAC_SHA_256', hashAlgorithm: 'sha256' }),
  hmac('HMAC_384', 'hmac-sha384', { algorithm: 'HMAC_SHA_384', hashAlgorithm: 'sha384' }),
  hmac('HMAC_512', 'hmac-sha512', { algorithm: 'HMAC_SHA_512', hashAlgorithm: 'sha512' }),
]

/** Newer than what this provider does: named as they are elsewhere, and not used. */
const namedOnly: ReadonlyMap<string, string> = new Map([
  ['ECC_NIST_EDWARDS25519', 'ed25519'],
  ['ML_DSA_44', 'ml-dsa-44'],
  ['ML_DSA_65', 'ml-dsa-65'],
  ['ML_DSA_87', 'ml-dsa-87'],
])

const byKeyType = new Map<string, KeySpecRow>(rows.map((row) => [row.keyType, row]))
const bySpec = new Map<string, KeySpecRow>(rows.map((row) => [row.spec, row]))

/** What this provider can do with keys of a type; undefined for those it only names. */
export function rowOf(keyType: string): KeySpecRow | undefined {
  return byKeyType.get(keyType)
}

/** Our name for keys of a spec and usage; `aws:…` for what has no name of ours. */
export function keyTypeOf(spec: string, usage: string): string {
  const row = bySpec.get(spec)
  if (row?.usages.some((one) => one === usage) === true) return row.keyType
  return namedOnly.get(spec) ?? `aws:${spec}`
}

/** What to ask AWS for, or `INVALID_INPUT`. */
export function specToMake(keyType: string): KeySpecRow {
  // The embedded KMS has `hmac` for HMAC-SHA-256 too.
  const row = rowOf(keyType === 'hmac' ? 'hmac-sha256' : keyType)
  if (row !== undefined) return row
  throw new KmsError('INVALID_INPUT', `AWS KMS makes keys of these types: ${[...byKeyType.keys()].join(', ')}`)
}
