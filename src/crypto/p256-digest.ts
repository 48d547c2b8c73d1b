/**
 * ECDSA on P-256 over a digest that is already made. node:crypto has no such call (its `sign` always hashes), so both
 * engines use noble here.
 */
import { p256 } from '@noble/curves/nist.js'

// High s is kept and accepted (as FIPS 186-5 and OpenSSL do): `lowS` is a rule of Bitcoin's.
const options = { prehash: false, lowS: false, format: 'compact' } as const

/** r ‖ s, 64 bytes, with the deterministic k of RFC 6979 (HMAC-SHA-256). */
export function signP256Digest(scalar: Uint8Array, digest: Uint8Array): Uint8Array {
  return p256.sign(digest, scalar, options)
}

/** `publicKey` uncompressed, `signature` r ‖ s. */
export function verifyP256Digest(publicKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  return p256.verify(signature, digest, publicKey, options)
}
