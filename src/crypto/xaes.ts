/**
 * XAES-256-GCM (C2SP, c2sp.org/XAES-256-GCM): AES-256-GCM with 24-byte random nonces, each message under a key of its
 * own. Written once over an engine's AES; so that it costs one more AES call a message, not a second cipher.
 */
import { checkNonce } from './aead.ts'
import { wipe } from './bytes.ts'
import type { Aead } from './engine.ts'

/** What an engine brings: AES-256 under the key, and AES-256-GCM under any. */
export interface XaesParts {
  /** Block by block (ECB), into a new array. */
  encryptBlocks(blocks: Uint8Array): Uint8Array
  /** As {@link Aead.seal}, with the key. */
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, at: number): void
  /** As {@link Aead.open}, with the key. */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, at: number): Uint8Array | undefined
  destroy(): void
}

export function xaes(parts: XaesParts): Aead {
  const messageKey = keyDerivation(parts.encryptBlocks)
  return {
    seal(nonce, aad, plaintext, out, at) {
      checkNonce('xaes-256-gcm', nonce)
      const key = messageKey(nonce)
      try {
        parts.seal(key, nonce.subarray(12), aad, plaintext, out, at)
      } finally {
        wipe(key)
      }
    },
    open(nonce, aad, sealed, at) {
      checkNonce('xaes-256-gcm', nonce)
      const key = messageKey(nonce)
      try {
        return parts.open(key, nonce.subarray(12), aad, sealed, at)
      } finally {
        wipe(key)
      }
    },
    destroy: parts.destroy,
  }
}

/** CMAC in counter mode (NIST SP 800-108r1) over the first half of the nonce; the second half is left for GCM. */
function keyDerivation(encryptBlocks: (blocks: Uint8Array) => Uint8Array): (nonce: Uint8Array) => Uint8Array {
  const subkey = cmacSubkey(encryptBlocks(new Uint8Array(16)))
  // K1 ⊕ (00 ‖ counter ‖ 'X' ‖ 00 ‖ nonce[0..12]) for the counters 1 and 2; only the nonce changes.
  const blocks = new Uint8Array(32)
  for (let block = 0; block < 2; block++) {
    blocks.set(subkey, 16 * block)
    xorInto(blocks, 16 * block, Uint8Array.of(0, block + 1, 0x58, 0))
  }
  const masked = new Uint8Array(32)
  return (nonce) => {
    const prefix = nonce.subarray(0, 12)
    masked.set(blocks)
    xorInto(masked, 4, prefix)
    xorInto(masked, 20, prefix)
    return encryptBlocks(masked)
  }
}

/** NIST SP 800-38B §6.1: L doubled in GF(2¹²⁸). */
function cmacSubkey(l: Uint8Array): Uint8Array {
  const out = new Uint8Array(16)
  // Past the end the byte is zero: nothing is shifted in.
  for (let at = 0; at < 16; at++) out[at] = ((l[at] ?? 0) << 1) | ((l[at + 1] ?? 0) >> 7)
  // A multiplication rather than a branch: the top bit is secret.
  out[15] = (out[15] ?? 0) ^ (((l[0] ?? 0) >> 7) * 0x87)
  return out
}

function xorInto(target: Uint8Array, at: number, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) target[at + i] = (target[at + i] ?? 0) ^ (bytes[i] ?? 0)
}
