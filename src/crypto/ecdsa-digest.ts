/**
 * ECDSA over a digest that is already made. node:crypto has no such call (its `sign` always hashes), so both engines
 * use noble here. Digests longer than n are cut to its bits, as FIPS 186-5 §6.4.1 has it.
 */
import type { ECDSA } from '@noble/curves/abstract/weierstrass.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { Curve, CurveName } from './curves.ts'

/** noble's own curves, by our names. */
export const nobleCurves: { readonly [N in CurveName]: ECDSA } = { p256, p384, p521, secp256k1 }

/** r ‖ s with the deterministic k of RFC 6979, made with the curve's own hash. */
export function signDigest({ name, lowS }: Curve, scalar: Uint8Array, digest: Uint8Array): Uint8Array {
  return nobleCurves[name].sign(digest, scalar, { prehash: false, lowS, format: 'compact' })
}

/** `publicKey` uncompressed, `signature` r ‖ s. High s is accepted, as FIPS 186-5 and OpenSSL do. */
export function verifyDigest(
  { name }: Curve,
  publicKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  return nobleCurves[name].verify(signature, digest, publicKey, { prehash: false, lowS: false, format: 'compact' })
}
