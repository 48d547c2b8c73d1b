/** Prepared signing keys of ML-DSA, for engines that have it. */
import { KmsError } from '../model/errors.ts'
import { equal, wipe } from './bytes.ts'
import type { Engine, MlDsaFunctions, MlDsaKeys } from './engine.ts'
import { held } from './held.ts'
import { type MlDsaName, mlDsaSets } from './ml-dsa-sets.ts'
import { checkNoOptions } from './options.ts'
import { decodeMlDsaPkcs8, encodeMlDsaSpki, publicKeyPem } from './pkcs8.ts'
import type { PromptSigningKey, SignatureVerifier } from './signing.ts'

/**
 * `seed`: 32 bytes (FIPS 204 §6.1), copied. Signatures are hedged (§3.4): fresh randomness goes into each, so that a fault
 * or a bad generator alone does not give the key away. `UNSUPPORTED_OPERATION` if the engine has no ML-DSA.
 */
export function mlDsaSigningKey(engine: Engine, name: MlDsaName, seed: Uint8Array): PromptSigningKey {
  const functions = requireMlDsa(engine, name)
  const { publicKey, secretKey } = functions.keygen(seed)
  const verify = mlDsaVerify(engine, name, publicKey)
  const secret = held({ secretKey, destroy: () => wipe(secretKey) })
  return {
    sign(input, options) {
      checkNoOptions(name, options)
      const randomness = new Uint8Array(32)
      engine.randomFill(randomness)
      try {
        return functions.sign(secret.use().secretKey, input, randomness)
      } finally {
        wipe(randomness)
      }
    },
    verify(input, signature, options) {
      secret.use()
      return verify(input, signature, options)
    },
    get publicKey() {
      const spki = encodeMlDsaSpki(name, publicKey)
      return { spki, text: publicKeyPem(spki) }
    },
    destroy: secret.destroy,
  }
}

/** Prepares a public key for checking signatures. One of another length is `INVALID_INPUT`; every other is one. */
export function mlDsaVerify(engine: Engine, name: MlDsaName, publicKey: Uint8Array): SignatureVerifier {
  const { publicKeyLength, signatureLength } = mlDsaSets[name]
  const functions = requireMlDsa(engine, name)
  if (publicKey.length !== publicKeyLength) {
    throw new KmsError('INVALID_INPUT', `a public key of ${name} must be ${publicKeyLength} bytes`)
  }
  const own = publicKey.slice()
  return (input, signature, options) => {
    checkNoOptions(name, options)
    return signature.length === signatureLength && functions.verify(own, input, signature)
  }
}

/**
 * The seed in a PKCS#8, or undefined for what is no such key, or one whose parts do not belong together. `INVALID_INPUT`
 * for one that holds what the seed was expanded to and not the seed, which cannot be had back; to check one that holds
 * both takes an engine with ML-DSA, or it is `UNSUPPORTED_OPERATION`.
 */
export function decodeMlDsaSeed(engine: Engine, name: MlDsaName, der: Uint8Array): Uint8Array | undefined {
  const found = decodeMlDsaPkcs8(name, der)
  if (found === undefined) return undefined
  const { seed, secretKey } = found
  if (seed === undefined) {
    wipe(secretKey ?? der.subarray(0, 0))
    throw new KmsError('INVALID_INPUT', `this ${name} key holds no seed: keys in expanded form alone are not taken`)
  }
  if (secretKey === undefined) return seed
  const keys: MlDsaKeys = requireMlDsa(engine, name).keygen(seed)
  const belong = equal(secretKey, keys.secretKey)
  wipe(secretKey, keys.secretKey)
  if (belong) return seed
  wipe(seed)
  return undefined
}

/** The functions of one parameter set; `UNSUPPORTED_OPERATION` if the engine has no ML-DSA, saying what to do. */
export function requireMlDsa({ mlDsa }: Engine, name: MlDsaName): MlDsaFunctions {
  const functions = mlDsa?.[name]
  if (functions !== undefined) return functions
  const remedy = 'npm i @noble/post-quantum, and pass mlDsa from keytrail/ml-dsa when opening the KMS'
  throw new KmsError('UNSUPPORTED_OPERATION', `${name} keys are of no use without ML-DSA: ${remedy}`)
}
