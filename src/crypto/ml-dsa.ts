/**
 * `keytrail/ml-dsa`: ML-DSA (FIPS 204) over @noble/post-quantum, which is an optional package: `npm i @noble/post-quantum`.
 * Portable.
 *
 * @example
 * ```ts
 * import { mlDsa } from 'keytrail/ml-dsa'
 * const local = await openLocalKms({ path: './keys', rootKey, mlDsa })
 * ```
 */
import { type DSA, ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'
import type { MlDsa, MlDsaFunctions } from './engine.ts'

/** The three parameter sets, for `openLocalKms` and `memoryKms`. Pure JavaScript: milliseconds a signature. */
export const mlDsa: MlDsa = Object.freeze({
  'ml-dsa-44': functionsOf(ml_dsa44),
  'ml-dsa-65': functionsOf(ml_dsa65),
  'ml-dsa-87': functionsOf(ml_dsa87),
})

function functionsOf(set: DSA): MlDsaFunctions {
  return Object.freeze({
    keygen: (seed: Uint8Array) => set.keygen(seed),
    sign: (secretKey: Uint8Array, message: Uint8Array, randomness: Uint8Array) =>
      set.sign(message, secretKey, { extraEntropy: randomness }),
    verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
      set.verify(signature, message, publicKey),
  })
}
