/**
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): ChaCha20-Poly1305 with 24-byte random nonces, each message under a
 * key of its own. For engines that have the one and not the other.
 */
import { checkNonce } from './aead.ts'
import { wipe } from './bytes.ts'
import type { Aead } from './engine.ts'

/** What an engine brings: ChaCha20-Poly1305 (RFC 8439) under any key. */
export interface XChachaParts {
  /** As {@link Aead.seal}, with the key. */
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, at: number): void
  /** As {@link Aead.open}, with the key. */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, at: number): Uint8Array | undefined
}

/** `key`: 32 bytes, copied. */
export function xchacha(key: Uint8Array, parts: XChachaParts): Aead {
  const own = key.slice()

  /** Draft §2.3: the first 16 bytes of the nonce make the key, the others stay, after four zeros. */
  function withMessageKey<T>(nonce: Uint8Array, use: (key: Uint8Array, nonce: Uint8Array) => T): T {
    checkNonce('xchacha20-poly1305', nonce)
    const messageKey = hchacha20(own, nonce.subarray(0, 16))
    const rest = new Uint8Array(12)
    rest.set(nonce.subarray(16), 4)
    try {
      return use(messageKey, rest)
    } finally {
      wipe(messageKey)
    }
  }

  return {
    seal(nonce, aad, plaintext, out, at) {
      withMessageKey(nonce, (key, rest) => parts.seal(key, rest, aad, plaintext, out, at))
    },
    open(nonce, aad, sealed, at) {
      return withMessageKey(nonce, (key, rest) => parts.open(key, rest, aad, sealed, at))
    },
    destroy: () => wipe(own),
  }
}

/** "expand 32-byte k", little-endian. */
const constants = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const
/** Scratch of the function below, wiped when it returns. */
const state = new Int32Array(16)

/** Draft §2.2: a 32-byte key out of one, and 16 bytes of nonce. Additions, rotations and exclusive ors only: no secret decides what is done. */
export function hchacha20(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  state.set(constants)
  for (let word = 0; word < 8; word++) state[4 + word] = littleEndian(key, 4 * word)
  for (let word = 0; word < 4; word++) state[12 + word] = littleEndian(nonce, 4 * word)
  // RFC 8439 §2.3: ten times a round of columns and one of diagonals.
  for (let round = 0; round < 10; round++) {
    quarterRound(0, 4, 8, 12)
    quarterRound(1, 5, 9, 13)
    quarterRound(2, 6, 10, 14)
    quarterRound(3, 7, 11, 15)
    quarterRound(0, 5, 10, 15)
    quarterRound(1, 6, 11, 12)
    quarterRound(2, 7, 8, 13)
    quarterRound(3, 4, 9, 14)
  }
  const out = new Uint8Array(32)
  const words = new DataView(out.buffer)
  for (let word = 0; word < 4; word++) {
    words.setInt32(4 * word, state[word] ?? 0, true)
    words.setInt32(16 + 4 * word, state[12 + word] ?? 0, true)
  }
  state.fill(0)
  return out
}

/** RFC 8439 §2.1, on words of `state`. */
function quarterRound(a: number, b: number, c: number, d: number): void {
  mix(a, b, d, 16)
  mix(c, d, b, 12)
  mix(a, b, d, 8)
  mix(c, d, b, 7)
}

/** x += y; z = (z ⊕ x) rotated left. */
function mix(x: number, y: number, z: number, left: number): void {
  // Never absent: the indices are those above. An Int32Array takes every result modulo 2³².
  const sum = ((state[x] ?? 0) + (state[y] ?? 0)) | 0
  const turned = (state[z] ?? 0) ^ sum
  state[x] = sum
  state[z] = (turned << left) | (turned >>> (32 - left))
}

function littleEndian(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0]
  return a | (b << 8) | (c << 16) | (d << 24)
}
