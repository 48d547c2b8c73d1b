/**
 * What an engine is: the primitives, and no decisions. Two exist, node.ts and noble.ts; package.json's `#engine` picks
 * one, and everything else in this folder takes the engine as an argument, so that one process can test both.
 *
 * Engines trust the lengths they are given except where a row here says otherwise; the gates stand in the callers.
 */
import type { HashAlgorithm, SignatureFormat, SignaturePadding } from '../model/operation.ts'
import type { AeadName } from './aead.ts'
import type { Curve } from './curves.ts'
import type { MlDsaName } from './ml-dsa-sets.ts'

export interface Engine {
  readonly name: 'node' | 'noble'
  /** Whether OpenSSL's FIPS provider does all the work at this moment: `crypto.getFips() === 1`. */
  fips(): boolean
  /** Fills `out` from the host's random generator. Pooled bytes for nonces and ids come from random.ts. */
  randomFill(out: Uint8Array): void
  /** The digest (FIPS 180-4) of `data`. */
  hash(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array
  /** The same into `out`, from `at` on, without an array of its own. `out` may overlap `data`. */
  hashInto(algorithm: HashAlgorithm, data: Uint8Array, out: Uint8Array, at: number): void
  /** HMAC (RFC 2104) with the key prepared; `key` is copied. */
  hmac(algorithm: HashAlgorithm, key: Uint8Array): Mac
  /** Refuses a key of the wrong length with `INVALID_INPUT`; `key` is copied. */
  aead(name: AeadName, key: Uint8Array): Aead
  /** RFC 8032 Ed25519 signing from the 32-byte seed, which is copied. */
  ed25519(seed: Uint8Array): Ed25519Key
  /** The cofactorless equation `[S]B = R + [k]A` alone: ed25519.ts has the gate before it. */
  ed25519Equation(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => boolean
  /** The same off this thread, where the host has others; both arrays must stay as they are meanwhile. */
  ed25519EquationLater(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => Promise<boolean>
  /** ECDSA (FIPS 186-5 §6) from a scalar in 1 … n − 1, as long as the order, big-endian, which is copied. */
  ecdsa(curve: Curve, scalar: Uint8Array): EcdsaKey
  /** `publicKey`: uncompressed (SEC 1 §2.3.3). Undefined if it is no point of the curve. */
  ecdsaVerifier(curve: Curve, publicKey: Uint8Array): EcdsaVerifier | undefined
  /** RSA (RFC 8017): one padding for encryption, two for signatures. */
  readonly rsa: Rsa
  /** AES key wrap with padding (RFC 5649): kwp.ts has the gate before it. */
  readonly kwp: Kwp
  /** Only where the user brought it. */
  readonly mlDsa?: MlDsa
  /** RFC 7914, off the event loop or in slices of it; kdf.ts has checked the parameters. */
  scrypt(parameters: ScryptParameters): Promise<Uint8Array>
}

/** One AEAD key, until `destroy`; whoever holds it must not use it after. Both functions refuse a nonce of the wrong length with `INVALID_INPUT`. */
export interface Aead {
  /** Writes the ciphertext and its 16-byte tag of `plaintext` into `out`, from `at` on. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, at: number): void
  /** The same in arrays of their own, one after another, where that spares copying what is large. */
  sealPieces?(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): readonly Uint8Array[]
  /** The plaintext of `sealed` from `at` on (ciphertext ‖ tag), or undefined if it is not authentic. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, at: number): Uint8Array | undefined
  destroy(): void
}

export interface Mac {
  compute(input: Uint8Array): Uint8Array
  destroy(): void
}

export interface Ed25519Key {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 64 bytes, deterministic. */
  sign(message: Uint8Array): Uint8Array
  destroy(): void
}

export interface EcdsaKey {
  /** Uncompressed. */
  readonly publicKey: Uint8Array
  /** With low s, where that is the curve's way. */
  sign(algorithm: HashAlgorithm, input: Uint8Array, format: SignatureFormat): Uint8Array
  destroy(): void
}

/** `signature`: r ‖ s, both in 1 … n − 1. High s is accepted. */
export type EcdsaVerifier = (algorithm: HashAlgorithm, input: Uint8Array, signature: Uint8Array) => boolean

export interface Rsa {
  /** Whether keys answer at once, or everything they do is a promise. Making a key always is. */
  readonly synchronous: boolean
  /** The PKCS#8 of a fresh key with a modulus of so many bits and the public exponent 65537, made off the event loop. */
  generate(bits: number): Promise<Uint8Array>
  /** `pkcs8` is copied. One that the host does not take is `INVALID_INPUT`: now, or of the first promise. */
  privateKey(pkcs8: Uint8Array): RsaPrivateKey
  /** The same of an SPKI. */
  publicKey(spki: Uint8Array): RsaPublicKey
}

/** How to sign: RSASSA-PSS with MGF1 of the same hash and a salt as long as the digest, or RSASSA-PKCS1-v1_5 (RFC 8017 §8). */
export interface RsaScheme {
  readonly padding: SignaturePadding
  readonly hashAlgorithm: HashAlgorithm
}

/** Until `destroy`. The modulus has a whole number of bytes. */
export interface RsaPrivateKey {
  /** RSAES-OAEP with SHA-256, also in MGF1 (RFC 8017 §7.1.2): undefined for every block that does not decode, without a hint why. */
  decrypt(block: Uint8Array, label: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  sign(scheme: RsaScheme, input: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** The same of a digest of the right length. Absent where the host hashes by itself: WebCrypto. */
  signDigest?(scheme: RsaScheme, digest: Uint8Array): Uint8Array
  destroy(): void
}

export interface RsaPublicKey {
  /** `plaintext`: 66 bytes shorter than the modulus at most. */
  encrypt(plaintext: Uint8Array, label: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** `signature`: as long as the modulus. */
  verify(scheme: RsaScheme, input: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>
  /** As `signDigest`. */
  verifyDigest?(scheme: RsaScheme, digest: Uint8Array, signature: Uint8Array): boolean
}

export interface Kwp {
  /** `key`: 16, 24 or 32 bytes; `material`: at least one. */
  wrap(key: Uint8Array, material: Uint8Array): Uint8Array
  /** Undefined for anything that is not authentic. `wrapped`: at least 16 bytes, in blocks of 8. */
  unwrap(key: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined
}

/** ML-DSA (FIPS 204), as `keytrail/ml-dsa` has it. */
export type MlDsa = { readonly [N in MlDsaName]: MlDsaFunctions }

/** An engine that has ML-DSA too, if there is one. */
export function withMlDsa(engine: Engine, mlDsa: MlDsa | undefined): Engine {
  return mlDsa === undefined ? engine : { ...engine, mlDsa }
}

/** One parameter set; lengths have been checked. Results own their buffers. */
export interface MlDsaFunctions {
  /** §6.1, from the 32-byte seed ξ. */
  keygen(seed: Uint8Array): MlDsaKeys
  /** §5.2 with an empty context. `randomness`: 32 bytes; zeros make it deterministic (§3.4). */
  sign(secretKey: Uint8Array, message: Uint8Array, randomness: Uint8Array): Uint8Array
  /** §5.3 with an empty context; false for what is malformed. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
}

/** What a seed makes. */
export interface MlDsaKeys {
  readonly publicKey: Uint8Array
  /** Expanded; whoever asked for it wipes it. */
  readonly secretKey: Uint8Array
}

export interface ScryptParameters {
  readonly passphrase: Uint8Array
  readonly salt: Uint8Array
  /** Cost: a power of two. */
  readonly N: number
  /** Block size. */
  readonly r: number
  /** Parallelism. */
  readonly p: number
  /** Bytes wanted. */
  readonly length: number
}
