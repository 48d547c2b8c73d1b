/**
 * What an engine is: the primitives, and no decisions. Two exist, node.ts and noble.ts; package.json's `#engine` picks
 * one, and everything else in this folder takes the engine as an argument, so that one process can test both.
 *
 * Engines trust the lengths they are given except where a row here says otherwise; the gates stand in the callers.
 */
import type { HashAlgorithm, SignatureFormat } from '../model/operation.ts'
import type { AeadName } from './aead.ts'
import type { Curve } from './curves.ts'
import type { MlDsaName } from './ml-dsa-sets.ts'

export interface Engine {
  readonly name: 'node' | 'noble'
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
  /** Only where the user brought it. */
  readonly mlDsa?: MlDsa
  /** RFC 7914, off the event loop or in slices of it; kdf.ts has checked the parameters. */
  scrypt(parameters: ScryptParameters): Promise<Uint8Array>
}

/** One AEAD key, until `destroy`; whoever holds it must not use it after. Both functions refuse a nonce of the wrong length with `INVALID_INPUT`. */
export interface Aead {
  /** Writes the ciphertext and its 16-byte tag of `plaintext` into `out`, from `at` on. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, at: number): void
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
