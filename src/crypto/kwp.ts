/** AES-256 key wrap with padding (RFC 5649, NIST SP 800-38F KWP): key material under a key. Deterministic, authentic. */
import { KmsError } from '../model/errors.ts'
import type { Engine } from './engine.ts'

const keyLength = 32

/** `key`: 32 bytes; `material`: at least one byte. Otherwise `INVALID_INPUT`. 8 to 15 bytes longer than `material`. */
export function wrapKwp(engine: Engine, key: Uint8Array, material: Uint8Array): Uint8Array {
  checkKey(key)
  if (material.length === 0) throw new KmsError('INVALID_INPUT', 'there is no key material to wrap')
  return engine.kwp.wrap(key, material)
}

/** The material, which the caller wipes, or undefined for anything but what `wrapKwp` made under this key. */
export function unwrapKwp(engine: Engine, key: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined {
  checkKey(key)
  if (wrapped.length < 16 || wrapped.length % 8 !== 0) return undefined
  return engine.kwp.unwrap(key, wrapped)
}

function checkKey(key: Uint8Array): void {
  if (key.length === keyLength) return
  throw new KmsError('INVALID_INPUT', `an AES-KWP key must be ${keyLength} bytes, not ${key.length}`)
}
