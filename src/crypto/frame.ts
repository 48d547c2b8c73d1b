/**
 * The local ciphertext, as bytes and as text. Of the two formats this is the one of AEAD keys; frame-rsa.ts has the other.
 *
 *     01 ‖ version u32be ‖ commitment(32) ‖ nonce(12 or 24) ‖ body ‖ tag(16)
 *     AAD = lp("keytrail/aad/1") ‖ lp(all before the body) ‖ lp(type) ‖ context
 *
 * The commitment pins version, type and key: an AEAD ciphertext can be made to open under two keys, a frame cannot.
 */
import { type DecryptFailure, KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import { type AeadName, aeads, tagLength } from './aead.ts'
import { concat, equal, fromBase64url, lp, toBase64url, u32be, utf8, wipe } from './bytes.ts'
import type { Engine } from './engine.ts'
import { held } from './held.ts'
import { randomInto } from './random.ts'

const format = 1
const rsaFormat = 2
/** Format, version, commitment. */
export const headerLength: number = 1 + 4 + 32
const shortest = headerLength + aeads['aes-256-gcm'].nonceLength + tagLength

// As long as the moduli of the RSA key types.
const rsaLengths: readonly number[] = [2048, 3072, 4096].map((bits) => headerLength + bits / 8)

/** What pins a frame to one key: SHA-256(lp("keytrail/commit/1") ‖ u32be version ‖ lp(type) ‖ lp(key, or SPKI of RSA)). */
export function commitment(
  engine: Engine,
  of: { readonly version: number; readonly keyType: KeyType; readonly key: Uint8Array },
): Uint8Array {
  const input = concat([lp(utf8('keytrail/commit/1')), u32be(of.version), lp(utf8(of.keyType)), lp(of.key)])
  const digest = engine.hash('sha256', input)
  wipe(input)
  return digest
}

/** The key version that a frame names, or undefined for what is no frame. Nothing is authenticated yet. */
export function versionOf(frame: Uint8Array): number | undefined {
  if (!hasShape(frame)) return undefined
  // Never absent: the length is checked.
  const [a, b, c, d] = [frame[1] ?? 0, frame[2] ?? 0, frame[3] ?? 0, frame[4] ?? 0]
  const version = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  return version === 0 ? undefined : version
}

function hasShape(frame: Uint8Array): boolean {
  if (frame[0] === format) return frame.length >= shortest
  return frame[0] === rsaFormat && rsaLengths.includes(frame.length)
}

/** Seals and opens ciphertexts of one key version. `context` comes from canonical.ts. After `destroy`: `CLOSED`. */
export interface SealingKey {
  seal(plaintext: Uint8Array, context: Uint8Array): Uint8Array | Promise<Uint8Array>
  open(ciphertext: Uint8Array, context: Uint8Array): Uint8Array | DecryptFailure | Promise<Uint8Array | DecryptFailure>
  destroy(): void
}

/** One that waits for nothing. */
export interface FrameKey extends SealingKey {
  /** A whole frame, under a fresh random nonce. */
  seal(plaintext: Uint8Array, context: Uint8Array): Uint8Array
  /** The plaintext, or why there is none; never throws for a bad frame. */
  open(frame: Uint8Array, context: Uint8Array): Uint8Array | DecryptFailure
  destroy(): void
}

export interface FrameKeyOptions {
  readonly keyType: KeyType
  readonly version: number
  readonly aead: AeadName
  readonly key: Uint8Array
}

/** Prepares what every frame of the version shares. `key` is copied; its length is checked (`INVALID_INPUT`). */
export function frameKey(engine: Engine, { keyType, version, aead: name, key }: FrameKeyOptions): FrameKey {
  const aead = held(engine.aead(name, key))
  const { nonceLength } = aeads[name]
  const bodyAt = headerLength + nonceLength
  const pinned = commitment(engine, { version, keyType, key })
  const header = concat([Uint8Array.of(format), u32be(version), pinned])
  // Scratch of the synchronous calls below, so that they allocate nothing but their result.
  const nonce = new Uint8Array(nonceLength)
  const aadHead = concat([lp(utf8('keytrail/aad/1')), lp(concat([header, nonce])), lp(utf8(keyType))])
  const nonceInAad = lp(utf8('keytrail/aad/1')).length + 4 + headerLength
  let aad = aadHead

  function aadWith(context: Uint8Array): Uint8Array {
    if (aad.length !== aadHead.length + context.length) aad = concat([aadHead, context])
    aad.set(nonce, nonceInAad)
    aad.set(context, aadHead.length)
    return aad
  }

  return {
    seal(plaintext, context) {
      const frame = new Uint8Array(bodyAt + plaintext.length + tagLength)
      // RFC 5116 §2.1: a nonce must not repeat under one key. SP 800-38D §8.3: hence below 2^32 random ones of 96 bits.
      randomInto(nonce)
      frame.set(header)
      frame.set(nonce, headerLength)
      aead.use().seal(nonce, aadWith(context), plaintext, frame, bodyAt)
      return frame
    },
    open(frame, context) {
      const named = versionOf(frame)
      if (named === undefined || frame[0] !== format || frame.length < bodyAt + tagLength) return 'malformed'
      if (named !== version) return 'unknown_version'
      if (!equal(frame.subarray(5, headerLength), pinned)) return 'commitment_mismatch'
      nonce.set(frame.subarray(headerLength, bodyAt))
      return aead.use().open(nonce, aadWith(context), frame, bodyAt) ?? 'authentication_failed'
    },
    destroy: aead.destroy,
  }
}

/** The one text spelling of a ciphertext: `keytrail:v<version>:<base64url>`. Refuses what is no frame. */
export function encodeCiphertext(ciphertext: Uint8Array): string {
  const version = ciphertext instanceof Uint8Array ? versionOf(ciphertext) : undefined
  if (version === undefined) throw new KmsError('INVALID_CIPHERTEXT', 'not a ciphertext of the embedded KMS')
  return `keytrail:v${version}:${toBase64url(ciphertext)}`
}

/** The bytes of a text that `encodeCiphertext` made; any other text is `INVALID_CIPHERTEXT`, a non-string `INVALID_INPUT`. */
export function decodeCiphertext(text: string): Uint8Array {
  if (typeof text !== 'string') throw new KmsError('INVALID_INPUT', 'a ciphertext in text form must be a string')
  const ciphertext = fromBase64url(text.slice(text.lastIndexOf(':') + 1))
  const version = ciphertext === undefined ? undefined : versionOf(ciphertext)
  if (ciphertext !== undefined && version !== undefined && text.startsWith(`keytrail:v${version}:`)) {
    // base64url has no colon, so the last one ends this very prefix exactly if the lengths agree.
    if (text.lastIndexOf(':') === `keytrail:v${version}`.length) return ciphertext
  }
  throw new KmsError('INVALID_CIPHERTEXT', 'not a ciphertext text: expected keytrail:v<version>:<base64url>')
}
