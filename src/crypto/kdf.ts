/** Keys from keys (HKDF) and from passphrases (scrypt). */
import { KmsError } from '../model/errors.ts'
import { concat, wipe } from './bytes.ts'
import type { Engine, ScryptParameters } from './engine.ts'

export interface HkdfInput {
  /** The secret to derive from. */
  readonly key: Uint8Array
  readonly salt: Uint8Array
  readonly info: Uint8Array
  /** Bytes wanted: 1–8160. */
  readonly length: number
}

/** HKDF with SHA-256 (RFC 5869). */
export function hkdfSha256(engine: Engine, { key, salt, info, length }: HkdfInput): Uint8Array {
  // RFC 5869 §2.3: L ≤ 255 · HashLen.
  if (!Number.isInteger(length) || length < 1 || length > 255 * 32) {
    throw new KmsError('INVALID_INPUT', `HKDF-SHA-256 gives 1 to 8160 bytes, not ${length}`)
  }
  const extract = engine.hmac('sha256', salt)
  const pseudorandom = extract.compute(key)
  const expand = engine.hmac('sha256', pseudorandom)
  const out = new Uint8Array(length)
  let block: Uint8Array = new Uint8Array(0)
  for (let at = 0; at < length; at += 32) {
    const input = concat([block, info, Uint8Array.of(at / 32 + 1)])
    wipe(block)
    block = expand.compute(input)
    wipe(input)
    out.set(block.subarray(0, length - at), at)
  }
  wipe(pseudorandom, block)
  extract.destroy()
  expand.destroy()
  return out
}

// Files name their parameters, and may be anyone's: what they can make us spend is bounded.
const maxMemory = 2 ** 30
const maxParallelism = 16

/**
 * scrypt (RFC 7914), asynchronous on both engines. `N`: a power of two; at most 1 GiB of memory (128 · N · r), p ≤ 16,
 * length 1–1024. Anything else is `INVALID_INPUT`.
 */
export async function scrypt(engine: Engine, parameters: ScryptParameters): Promise<Uint8Array> {
  const { N, r, p, length } = parameters
  const powerOfTwo = positive(N) && N > 1 && Number.isInteger(Math.log2(N))
  if (!powerOfTwo) refuse('N must be a power of two above 1')
  if (!positive(r) || 128 * N * r > maxMemory) refuse(`N and r must need no more than ${maxMemory} bytes (128 · N · r)`)
  if (!positive(p) || p > maxParallelism) refuse(`p must be 1 to ${maxParallelism}`)
  if (!positive(length) || length > 1024) refuse('length must be 1 to 1024')
  return engine.scrypt(parameters)
}

function positive(value: number): boolean {
  return Number.isInteger(value) && value > 0
}

function refuse(why: string): never {
  throw new KmsError('INVALID_INPUT', `scrypt: ${why}`)
}
