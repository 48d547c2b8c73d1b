/**
 * Messages of any length, chunk by chunk: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online
 * Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015, §7) over AES-256-GCM, under a key of its own for
 * each message.
 *
 *     commitment(32) ‖ message key(32) ‖ prefix(7) = HKDF-SHA-256(data key, salt, info), 71 bytes
 *     nonce of a chunk                             = prefix ‖ u32be(index) ‖ 01 for the last chunk, 00 for the others
 *
 * A chunk opens only at its place: another index, another end, another message are other nonces or other keys. The last chunk is
 * always shorter than the others, which are full, and may be empty: so a message has one layout, a full chunk is never the last, and
 * nobody who seals or opens need wait for more before it is done with a chunk.
 */
import { KmsError } from '../model/errors.ts'
import { aeads, tagLength } from './aead.ts'
import { wipe } from './bytes.ts'
import type { Engine } from './engine.ts'
import { held } from './held.ts'
import { hkdfSha256 } from './kdf.ts'

export const streamSaltLength = 32
export const streamCommitmentLength = 32
/** Of the key that a message's own is derived from. */
export const dataKeyLength = 32
/** Below, a copy costs less than a second array. */
const inOnePiece = 16 * 1024
/** Indexes have 32 bits. */
const maxChunks = 2 ** 32

export interface StreamKeyOptions {
  /** 32 bytes; not kept. */
  readonly dataKey: Uint8Array
  /** 32 fresh random bytes for each message: what lets one data key seal many. */
  readonly salt: Uint8Array
  /** What else the message is bound to. */
  readonly info: Uint8Array
  /** Bytes of plaintext in a chunk. */
  readonly chunkLength: number
}

/** The key of one message, until `destroy`; then: `CLOSED`. */
export interface StreamKey {
  readonly chunkLength: number
  /** Of data key, salt and info (HKDF-SHA-256 is collision resistant for keys of one length): compare it before a chunk is opened. */
  readonly commitment: Uint8Array
  /**
   * Writes the chunk, 16 bytes longer than `plaintext`, into `out` from `at` on. `INVALID_INPUT` from the 2³²nd chunk on: its nonce would be that of an earlier one.
   */
  sealChunk(place: ChunkPlace, plaintext: Uint8Array, out: Uint8Array, at: number): void
  /** The same in arrays of their own, one after another. */
  sealPieces(place: ChunkPlace, plaintext: Uint8Array): readonly Uint8Array[]
  /** The plaintext, or undefined if it is not this message's chunk of that place. */
  openChunk(place: ChunkPlace, sealed: Uint8Array): Uint8Array | undefined
  destroy(): void
}

export interface ChunkPlace {
  /** From 0. */
  readonly index: number
  readonly isLast: boolean
}

export function streamKey(engine: Engine, { dataKey, salt, info, chunkLength }: StreamKeyOptions): StreamKey {
  if (dataKey.length !== dataKeyLength)
    throw new KmsError('INVALID_INPUT', `a data key must be ${dataKeyLength} bytes, not ${dataKey.length}`)
  const { keyLength, nonceLength } = aeads['aes-256-gcm']
  const derived = hkdfSha256(engine, { key: dataKey, salt, info, length: streamCommitmentLength + keyLength + 7 })
  const keyAt = streamCommitmentLength
  const commitment = derived.slice(0, keyAt)
  const aead = held(engine.aead('aes-256-gcm', derived.subarray(keyAt, keyAt + keyLength)))
  // Scratch of the synchronous calls below.
  const nonce = new Uint8Array(nonceLength)
  nonce.set(derived.subarray(keyAt + keyLength))
  wipe(derived)
  const counter = new DataView(nonce.buffer)

  function nonceOf({ index, isLast }: ChunkPlace): Uint8Array {
    // RFC 5116 §2.1: a nonce must not repeat under one key.
    if (index >= maxChunks) throw new KmsError('INVALID_INPUT', `a message has at most ${maxChunks} chunks`)
    counter.setUint32(7, index)
    nonce[11] = isLast ? 1 : 0
    return nonce
  }

  return {
    chunkLength,
    commitment,
    sealChunk: (place, plaintext, out, at) => aead.use().seal(nonceOf(place), nothing, plaintext, out, at),
    sealPieces(place, plaintext) {
      const key = aead.use()
      if (key.sealPieces !== undefined && plaintext.length > inOnePiece)
        return key.sealPieces(nonceOf(place), nothing, plaintext)
      const sealed = new Uint8Array(plaintext.length + tagLength)
      key.seal(nonceOf(place), nothing, plaintext, sealed, 0)
      return [sealed]
    },
    openChunk(place, sealed) {
      if (!hasShape(place, sealed.length - tagLength, chunkLength)) return undefined
      return aead.use().open(nonceOf(place), nothing, sealed, 0)
    },
    destroy: aead.destroy,
  }
}

/** All that a message is bound to is in its key, and a chunk's place in its nonce. */
const nothing = new Uint8Array(0)

function hasShape({ index, isLast }: ChunkPlace, length: number, chunkLength: number): boolean {
  return index < maxChunks && (isLast ? length >= 0 && length < chunkLength : length === chunkLength)
}

/** Bytes of the chunks of a message of `length` bytes. */
export function sealedLength(length: number, chunkLength: number): number {
  return length + tagLength * (Math.floor(length / chunkLength) + 1)
}

/** Writes all chunks of `plaintext` into `out` from `at` on. */
export function sealChunks(key: StreamKey, plaintext: Uint8Array, out: Uint8Array, at: number): void {
  const { chunkLength } = key
  const full = Math.floor(plaintext.length / chunkLength)
  for (let index = 0; index <= full; index++) {
    const chunk = plaintext.subarray(index * chunkLength, (index + 1) * chunkLength)
    key.sealChunk({ index, isLast: index === full }, chunk, out, at + index * (chunkLength + tagLength))
  }
}

/** The whole plaintext of the chunks in `sealed`, or undefined unless each and every one is authentic. */
export function openChunks(key: StreamKey, sealed: Uint8Array): Uint8Array | undefined {
  const { chunkLength } = key
  const step = chunkLength + tagLength
  const full = Math.floor(sealed.length / step)
  const length = sealed.length - tagLength * (full + 1)
  if (length < full * chunkLength) return undefined
  const out = new Uint8Array(length)
  for (let index = 0; index <= full; index++) {
    const chunk = sealed.subarray(index * step, (index + 1) * step)
    const plaintext = key.openChunk({ index, isLast: index === full }, chunk)
    if (plaintext === undefined) {
      wipe(out)
      return undefined
    }
    out.set(plaintext, index * chunkLength)
    wipe(plaintext)
  }
  return out
}
