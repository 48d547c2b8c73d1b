/** Prepared signing keys: Ed25519, and ECDSA on P-256. */
import { KmsError } from '../model/errors.ts'
import type { HashAlgorithm, SignatureFormat } from '../model/operation.ts'
import { toBase64, wipe } from './bytes.ts'
import { parseDer, parseP1363, toDer, validScalar } from './ecdsa.ts'
import { ed25519Key, ed25519Verify } from './ed25519.ts'
import type { Engine } from './engine.ts'
import { type Held, held } from './held.ts'
import { checkOption, digestLength, type SignatureOptions } from './options.ts'
import { signP256Digest, verifyP256Digest } from './p256-digest.ts'
import { encodeEd25519Spki, encodeP256Spki, publicKeyPem } from './pkcs8.ts'

/** One version of a signing key. Options that make no sense for the key type are `INVALID_INPUT`. After `destroy`: `CLOSED`. */
export interface SigningKey {
  sign(input: Uint8Array, options?: SignatureOptions): Uint8Array | Promise<Uint8Array>
  /** False for any signature that is not valid, malformed ones included. */
  verify(input: Uint8Array, signature: Uint8Array, options?: SignatureOptions): boolean | Promise<boolean>
  readonly publicKey: PublicKey
  destroy(): void
}

/** One that waits for nothing. */
export interface CurveKey extends SigningKey {
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
const nothing: readonly string[] = []
const hashAlgorithms: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']
const formats: readonly SignatureFormat[] = ['der', 'ieee-p1363']
const unhashed: readonly boolean[] = [false]
const eitherWay: readonly boolean[] = [true, false]

/** `seed`: 32 bytes (RFC 8032), copied. */
export function ed25519SigningKey(engine: Engine, seed: Uint8Array): CurveKey {
  const key = ed25519Key(engine, seed)
  const { publicKey } = key
  const verify = ed25519Verify(engine, publicKey)
  const secret = held(key)
  return {
    sign(input, options = none) {
      checkEd25519(options)
      return secret.use().sign(input)
    },
    verify(input, signature, options = none) {
      checkEd25519(options)
      secret.use()
      return verify(input, signature)
    },
    get publicKey() {
      return { spki: encodeEd25519Spki(publicKey), text: toBase64(publicKey) }
    },
    destroy: secret.destroy,
  }
}

// Ed25519 hashes by itself (RFC 8032 §5.1); Ed25519ph is another algorithm.
function checkEd25519({ hashAlgorithm, prehashed, format }: SignatureOptions): void {
  checkOption('ed25519', 'hashAlgorithm', hashAlgorithm, nothing)
  checkOption('ed25519', 'prehashed', prehashed, unhashed)
  checkOption('ed25519', 'format', format, nothing)
}

/** `scalar`: 32 bytes big-endian in 1 … n − 1, copied. */
export function p256SigningKey(engine: Engine, scalar: Uint8Array): CurveKey {
  if (!validScalar(scalar)) throw new KmsError('INVALID_INPUT', 'a P-256 private key must be 32 bytes in 1 … n − 1')
  const key = engine.p256(scalar)
  const { publicKey } = key
  const verify = p256Verify(engine, publicKey)
  const secret = heldWith(key, scalar)
  return {
    sign(input, options = none) {
      const hashAlgorithm = checkP256(options, input)
      const { key, material } = secret.use()
      const signature = options.prehashed ? signP256Digest(material, input) : key.sign(hashAlgorithm, input)
      return options.format === 'ieee-p1363' ? signature : toDer(signature)
    },
    verify(input, signature, options) {
      secret.use()
      return verify(input, signature, options)
    },
    get publicKey() {
      const spki = encodeP256Spki(publicKey)
      return { spki, text: publicKeyPem(spki) }
    },
    destroy: secret.destroy,
  }
}

/** False for any signature that is not valid, malformed ones included. */
export type P256SignatureVerifier = (input: Uint8Array, signature: Uint8Array, options?: SignatureOptions) => boolean

/** Prepares a public key (65 bytes, uncompressed) for checking signatures. One that is no point is `INVALID_INPUT`. */
export function p256Verify(engine: Engine, publicKey: Uint8Array): P256SignatureVerifier {
  const uncompressed = publicKey.length === 65 && publicKey[0] === 4
  const own = publicKey.slice()
  const verify = uncompressed ? engine.p256Verifier(own) : undefined
  if (verify === undefined) throw new KmsError('INVALID_INPUT', 'a P-256 public key must be an uncompressed point')
  return (input, signature, options = none) => {
    const hashAlgorithm = checkP256(options, input)
    const parsed = options.format === 'ieee-p1363' ? parseP1363(signature) : parseDer(signature)
    if (parsed === undefined) return false
    return options.prehashed ? verifyP256Digest(own, input, parsed) : verify(hashAlgorithm, input, parsed)
  }
}

function checkP256(
  { hashAlgorithm = 'sha256', prehashed, format }: SignatureOptions,
  input: Uint8Array,
): HashAlgorithm {
  checkOption('ecdsa-p256', 'hashAlgorithm', hashAlgorithm, hashAlgorithms)
  checkOption('ecdsa-p256', 'prehashed', prehashed, eitherWay)
  checkOption('ecdsa-p256', 'format', format, formats)
  if (prehashed && input.length !== digestLength[hashAlgorithm]) {
    const expected = `${digestLength[hashAlgorithm]} bytes of ${hashAlgorithm}`
    throw new KmsError('INVALID_INPUT', `a prehashed input must be ${expected}, not ${input.length} bytes`)
  }
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
