/** One authenticated seal for files: XAES-256-GCM, so that random nonces are safe for as many files as there are. */
import { tagLength } from './aead.ts'
import type { Engine } from './engine.ts'

export interface BoxInput {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** 24 bytes, random; never twice under one key. */
  readonly nonce: Uint8Array
  /** Authenticated, not encrypted: the file's header. */
  readonly aad: Uint8Array
}

/** Ciphertext ‖ 16-byte tag. A key or nonce of the wrong length is `INVALID_INPUT`. */
export function sealBox(engine: Engine, input: BoxInput & { readonly plaintext: Uint8Array }): Uint8Array {
  const { key, nonce, aad, plaintext } = input
  const aead = engine.aead('xaes-256-gcm', key)
  const out = new Uint8Array(plaintext.length + tagLength)
  try {
    aead.seal(nonce, aad, plaintext, out, 0)
    return out
  } finally {
    aead.destroy()
  }
}

/** The plaintext, or undefined if key, nonce, aad and box do not belong together unchanged. */
export function openBox(engine: Engine, input: BoxInput & { readonly box: Uint8Array }): Uint8Array | undefined {
  const { key, nonce, aad, box } = input
  const aead = engine.aead('xaes-256-gcm', key)
  try {
    return aead.open(nonce, aad, box, 0)
  } finally {
    aead.destroy()
  }
}
