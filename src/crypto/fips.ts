/**
 * FIPS mode: all cryptography by OpenSSL's FIPS provider under Node, and only algorithms that FIPS 140-3 approves and that the
 * provider does as a whole. It is a fence, not a validation: SECURITY.md says what it is not.
 */
import { KmsError } from '../model/errors.ts'
import type { ImportableKeyType, KeyType } from '../model/key.ts'
import type { Engine } from './engine.ts'

/**
 * SP 800-38D (AES-GCM), FIPS 186-5 (RSA, ECDSA on the NIST curves, Ed25519), FIPS 198-1 (HMAC). Not among them: XAES-256-GCM,
 * whose key derivation is composed here; ML-DSA, which is JavaScript here; ChaCha20 and secp256k1, which are not approved; keys from a
 * transit engine, whose derivation and RSA verification are composed here too.
 */
const approved: readonly KeyType[] = [
  'aes128-gcm96',
  'aes256-gcm96',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ed25519',
  'ecdsa-p256',
  'ecdsa-p384',
  'ecdsa-p521',
  'hmac',
  'hmac-sha256',
  'hmac-sha384',
  'hmac-sha512',
]

/** Whether FIPS mode allows keys of this type. */
export function isApproved(keyType: ImportableKeyType): boolean {
  return approved.some((one) => one === keyType)
}

/** Refuses a process that is not in FIPS mode: `UNSUPPORTED_OPERATION`. */
export function requireFips(engine: Engine): void {
  if (engine.fips()) return
  const how =
    engine.name === 'node'
      ? 'crypto.getFips() is 0: start Node with --force-fips and an OpenSSL configuration that has the FIPS provider'
      : `this runtime uses the ${engine.name} engine, which is no FIPS module`
  throw new KmsError('UNSUPPORTED_OPERATION', `'fips: true' cannot be kept: ${how}`)
}

/** Refuses a type that is not approved: `UNSUPPORTED_OPERATION`. */
export function requireApproved(keyType: ImportableKeyType): void {
  if (isApproved(keyType)) return
  throw new KmsError(
    'UNSUPPORTED_OPERATION',
    `${keyType} is not allowed in FIPS mode: use one of ${approved.join(', ')}`,
  )
}

/** Refuses signing of digests, which no FIPS module does as a whole: `UNSUPPORTED_OPERATION`. */
export function requireHashing(prehashed: boolean | undefined): void {
  if (!prehashed) return
  throw new KmsError('UNSUPPORTED_OPERATION', "'prehashed' is not allowed in FIPS mode: hand over the message itself")
}
