/**
 * XAES-256-GCM's key derivation (C2SP, c2sp.org/XAES-256-GCM): AES-256-GCM with 24-byte random nonces, each message
 * under a key of its own.
 */
import { wipe } from './bytes.ts'

/** Both halves of a message's AES-256-GCM input. */
export interface XaesMessage {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
}

/**
 * Prepares a key: `encryptBlocks` is AES-256 under it, block by block (ECB). The function returned derives the message
 * key from the first half of the nonce, by CMAC in counter mode (NIST SP 800-108r1); the second half is GCM's nonce.
 */
export function xaesDerivation(encryptBlocks: (blocks: Uint8Array) => Uint8Array): (nonce: Uint8Array) => XaesMessage {
  const subkey = cmacSubkey(encryptBlocks(new Uint8Array(16)))
  // K1 ⊕ (00 ‖ counter ‖ 'X' ‖ 00 ‖ nonce[0..12]) for the counters 1 and 2; only the nonce changes.
  const blocks = new Uint8Array(32)
  for (let block = 0; block < 2; block++) {
    blocks.set(subkey, 16 * block)
    xorInto(blocks, 16 * block, Uint8Array.of(0, block + 1, 0x58, 0))
  }
  const masked = new Uint8Array(32)
  wipe(subkey)
  return (nonce) => {
    masked.set(blocks)
    const prefix = nonce.subarray(0, 12)
    xorInto(masked, 4, prefix)
    xorInto(masked, 20, prefix)
    return { key: encryptBlocks(masked), nonce: nonce.subarray(12) }
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
