/**
 * Ed25519 (RFC 8032 §5.1) with one verdict everywhere. Implementations differ on cofactors and odd encodings, so a gate
 * decides those: S < L, y < p, and no point of small order, for the key A as for R. What passes is checked by the
 * cofactorless equation.
 */
import { KmsError } from '../model/errors.ts'
import type { Ed25519Key, Engine } from './engine.ts'

/** Makes signatures of 64 bytes. */
export type Ed25519Signer = (message: Uint8Array) => Uint8Array
/** False for anything but a valid signature of 64 bytes; never throws. */
export type Ed25519Verifier = (message: Uint8Array, signature: Uint8Array) => boolean
/** The same as a promise; both arrays must stay as they are until it settles. */
export type Ed25519LaterVerifier = (message: Uint8Array, signature: Uint8Array) => Promise<boolean>

/** The 32-byte public key of a 32-byte seed. */
export function ed25519Public(engine: Engine, seed: Uint8Array): Uint8Array {
  return ed25519Key(engine, seed).publicKey
}

/** Prepares a seed for signing many messages. The seed is copied. */
export function ed25519Sign(engine: Engine, seed: Uint8Array): Ed25519Signer {
  return ed25519Key(engine, seed).sign
}

/** Both at once, and a way to let go of the seed. */
export function ed25519Key(engine: Engine, seed: Uint8Array): Ed25519Key {
  if (seed.length !== 32) throw new KmsError('INVALID_INPUT', `an ed25519 seed must be 32 bytes, not ${seed.length}`)
  return engine.ed25519(seed)
}

/**
 * Prepares a public key for checking many signatures. A key of another length is `INVALID_INPUT`; one of 32 bytes that
 * no signature can be trusted under (not a point, not canonical, small order) verifies nothing.
 */
export function ed25519Verify(engine: Engine, publicKey: Uint8Array): Ed25519Verifier {
  if (!acceptableKey(publicKey)) return () => false
  const equation = engine.ed25519Equation(publicKey.slice())
  return (message, signature) => acceptableSignature(signature) && equation(message, signature)
}

/** The same verdict, off this thread where the host has others: for whoever checks thousands. */
export function ed25519VerifyLater(engine: Engine, publicKey: Uint8Array): Ed25519LaterVerifier {
  if (!acceptableKey(publicKey)) return async () => false
  const equation = engine.ed25519EquationLater(publicKey.slice())
  return async (message, signature) => acceptableSignature(signature) && equation(message, signature)
}

function acceptableKey(publicKey: Uint8Array): boolean {
  if (publicKey.length === 32) return acceptablePoint(publicKey)
  throw new KmsError('INVALID_INPUT', `an ed25519 public key must be 32 bytes, not ${publicKey.length}`)
}

function acceptableSignature(signature: Uint8Array): boolean {
  return signature.length === 64 && acceptablePoint(signature) && scalarInRange(signature)
}

const prime = 2n ** 255n - 19n
// y of the points of order 8: the other one is its negative.
const orderEightY = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n

// Little-endian, as encoded.
const p = littleEndian(prime)
const groupOrder = littleEndian(2n ** 252n + 27742317777372353535851937790883648493n)

// The y of the eight points of small order; with either sign bit they make ten encodings, two of them not canonical.
const smallOrderY: readonly Uint8Array[] = [0n, 1n, prime - 1n, orderEightY, prime - orderEightY].map(littleEndian)

/** Of the first 32 bytes of `bytes`: y < p, and not one of the ten. */
function acceptablePoint(bytes: Uint8Array): boolean {
  const last = (bytes[31] ?? 0) & 0x7f
  if (!below(bytes, 0, last, p)) return false
  return !smallOrderY.some((y) => sameY(bytes, last, y))
}

/** RFC 8032 §5.1.7: 0 ≤ S < L, or a signature could be changed into another. */
function scalarInRange(signature: Uint8Array): boolean {
  return below(signature, 32, signature[63] ?? 0, groupOrder)
}

/** Whether the 32-byte little-endian number at `from`, whose top byte is `last`, is below `limit`. */
function below(bytes: Uint8Array, from: number, last: number, limit: Uint8Array): boolean {
  let difference = last - (limit[31] ?? 0)
  for (let at = 30; at >= 0 && difference === 0; at--) difference = (bytes[from + at] ?? 0) - (limit[at] ?? 0)
  return difference < 0
}

function sameY(bytes: Uint8Array, last: number, y: Uint8Array): boolean {
  if (last !== y[31]) return false
  for (let at = 30; at >= 0; at--) if (bytes[at] !== y[at]) return false
  return true
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn))
}
