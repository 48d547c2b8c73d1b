/** Prepared signing keys of elliptic curves: Ed25519 and ECDSA. */
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import type { HashAlgorithm, SignatureFormat } from '../model/operation.ts'
import { toBase64, wipe } from './bytes.ts'
import { type Curve, validScalar } from './curves.ts'
import { parseDer, parseP1363, toDer } from './ecdsa.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import { ed25519Key, ed25519Verify } from './ed25519.ts'
import type { Engine } from './engine.ts'
import { type Held, held } from './held.ts'
import { checkDigest, checkNoOptions, checkOption, type SignatureOptions } from './options.ts'
import { encodeEcSpki, encodeEd25519Spki, publicKeyPem } from './pkcs8.ts'

/** One version of a signing key. Options that make no sense for the key type are `INVALID_INPUT`. After `destroy`: `CLOSED`. */
export interface SigningKey {
  sign(input: Uint8Array, options?: SignatureOptions): Uint8Array | Promise<Uint8Array>
  /** False for any signature that is not valid, malformed ones included. */
  verify(input: Uint8Array, signature: Uint8Array, options?: SignatureOptions): boolean | Promise<boolean>
  readonly publicKey: PublicKey
  destroy(): void
}

/** One that waits for nothing. */
export interface PromptSigningKey extends SigningKey {
  sign(input: Uint8Array, options?: SignatureOptions): Uint8Array
  verify(input: Uint8Array, signature: Uint8Array, options?: SignatureOptions): boolean
}

export interface PublicKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** PEM, or base64 of the raw 32 bytes for Ed25519. */
  readonly text: string
}

const none: SignatureOptions = {}
const hashAlgorithms: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']
const formats: readonly SignatureFormat[] = ['der', 'ieee-p1363']
const eitherWay: readonly boolean[] = [true, false]

/** `seed`: 32 bytes (RFC 8032), copied. */
export function ed25519SigningKey(engine: Engine, seed: Uint8Array): PromptSigningKey {
  const key = ed25519Key(engine, seed)
  const { publicKey } = key
  const verify = ed25519Verify(engine, publicKey)
  const secret = held(key)
  return {
    sign(input, options) {
      // RFC 8032 §5.1: it hashes by itself; Ed25519ph is another algorithm.
      checkNoOptions('ed25519', options)
      return secret.use().sign(input)
    },
    verify(input, signature, options) {
      checkNoOptions('ed25519', options)
      secret.use()
      return verify(input, signature)
    },
    get publicKey() {
      return { spki: encodeEd25519Spki(publicKey), text: toBase64(publicKey) }
    },
    destroy: secret.destroy,
  }
}

/** A key type of ECDSA and its curve. */
export interface EcdsaType {
  readonly keyType: KeyType
  readonly curve: Curve
}

/** `scalar`: as long as the curve's order, big-endian, in 1 … n − 1; copied. */
export function ecdsaSigningKey(engine: Engine, type: EcdsaType, scalar: Uint8Array): PromptSigningKey {
  const { curve } = type
  if (!validScalar(curve, scalar)) {
    throw new KmsError('INVALID_INPUT', `a ${curve.title} private key must be ${curve.length} bytes in 1 … n − 1`)
  }
  const key = engine.ecdsa(curve, scalar)
  const { publicKey } = key
  const verify = ecdsaVerify(engine, type, publicKey)
  const secret = heldWith(key, scalar)
  return {
    sign(input, options = none) {
      const hashAlgorithm = checkEcdsa(type, options, input)
      const { format = 'der' } = options
      const { key, material } = secret.use()
      if (!options.prehashed) return key.sign(hashAlgorithm, input, format)
      const signature = signDigest(curve, material, input)
      return format === 'der' ? toDer(signature) : signature
    },
    verify(input, signature, options) {
      secret.use()
      return verify(input, signature, options)
    },
    get publicKey() {
      const spki = encodeEcSpki(curve, publicKey)
      return { spki, text: publicKeyPem(spki) }
    },
    destroy: secret.destroy,
  }
}

/** False for any signature that is not valid, malformed ones included. */
export type SignatureVerifier = (input: Uint8Array, signature: Uint8Array, options?: SignatureOptions) => boolean

/** Prepares a public key (uncompressed) for checking signatures. One that is no point is `INVALID_INPUT`. */
export function ecdsaVerify(engine: Engine, type: EcdsaType, publicKey: Uint8Array): SignatureVerifier {
  const { curve } = type
  const uncompressed = publicKey.length === 1 + 2 * curve.length && publicKey[0] === 4
  const own = publicKey.slice()
  const verify = uncompressed ? engine.ecdsaVerifier(curve, own) : undefined
  if (verify === undefined) {
    throw new KmsError('INVALID_INPUT', `a ${curve.title} public key must be an uncompressed point`)
  }
  return (input, signature, options = none) => {
    const hashAlgorithm = checkEcdsa(type, options, input)
    const { format = 'der' } = options
    const parsed = format === 'der' ? parseDer(curve, signature) : parseP1363(curve, signature)
    if (parsed === undefined) return false
    return options.prehashed ? verifyDigest(curve, own, input, parsed) : verify(hashAlgorithm, input, parsed)
  }
}

function checkEcdsa({ keyType, curve }: EcdsaType, options: SignatureOptions, input: Uint8Array): HashAlgorithm {
  const { hashAlgorithm = curve.hashAlgorithm, prehashed, format, padding } = options
  checkOption(keyType, 'hashAlgorithm', hashAlgorithm, hashAlgorithms)
  checkOption(keyType, 'prehashed', prehashed, eitherWay)
  checkOption(keyType, 'format', format, formats)
  checkOption(keyType, 'padding', padding, [])
  if (prehashed) checkDigest(hashAlgorithm, input)
  return hashAlgorithm
}

/** The engine's key and the scalar, which signs digests: destroyed together. */
function heldWith<K extends { destroy(): void }>(
  key: K,
  material: Uint8Array,
): Held<{ readonly key: K; readonly material: Uint8Array; destroy(): void }> {
  const own = material.slice()
  return held({
    key,
    material: own,
    destroy() {
      key.destroy()
      wipe(own)
    },
  })
}
