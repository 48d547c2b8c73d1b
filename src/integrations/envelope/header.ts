/**
 * What stands before the chunks of a sealed message:
 *
 *     "KTE" 01 ‖ chunk exponent(1) ‖ salt(32) ‖ commitment(32) ‖ lp(sealed data key)
 *
 * All of it but the sealed data key is bound into the message's key. That one the KMS authenticates, and the commitment says whether
 * it holds the right key: so it can be sealed anew, under another version or key, while the chunks stay as they are.
 */
import { concat, lp, u32be, utf8 } from '../../crypto/bytes.ts'
import { streamCommitmentLength, streamSaltLength } from '../../crypto/stream.ts'
import { KmsError } from '../../model/errors.ts'

export interface EnvelopeHeader {
  /** 4 KiB … 1 MiB. */
  readonly chunkLength: number
  readonly salt: Uint8Array
  readonly commitment: Uint8Array
  /** The data key, as the KMS sealed it. */
  readonly sealedKey: Uint8Array
  /** Bytes of the header. */
  readonly length: number
}

const magic: Uint8Array = concat([utf8('KTE'), Uint8Array.of(1)])
const saltAt = magic.length + 1
const commitmentAt = saltAt + streamSaltLength
const sealedKeyAt = commitmentAt + streamCommitmentLength
const smallestExponent = 12
const largestExponent = 20
/** Of any KMS; more is no header. */
const maxSealedKey = 8192

export const defaultChunkLength = 65_536

/** Whether there can be messages with such chunks. */
export function isChunkLength(length: unknown): boolean {
  const exponent = typeof length === 'number' ? Math.log2(length) : Number.NaN
  return Number.isInteger(exponent) && exponent >= smallestExponent && exponent <= largestExponent
}

/** What the key of a message is bound to, besides its salt. `context`: from canonical.ts. */
export function streamInfo(chunkLength: number, context: Uint8Array): Uint8Array {
  return concat([lp(utf8('keytrail/envelope/1')), magic, Uint8Array.of(Math.log2(chunkLength)), context])
}

/** `INVALID_INPUT` for a data key whose sealed form no reader would take. */
export function encodeHeader({ chunkLength, salt, commitment, sealedKey }: Omit<EnvelopeHeader, 'length'>): Uint8Array {
  if (sealedKey.length === 0 || sealedKey.length > maxSealedKey)
    throw new KmsError(
      'INVALID_INPUT',
      `a sealed data key must be 1–${maxSealedKey} bytes; this is ${sealedKey.length}`,
    )
  return concat([magic, Uint8Array.of(Math.log2(chunkLength)), salt, commitment, lp(sealedKey)])
}

/** The header that `bytes` begin with, as a copy; how many bytes it takes to tell more; or that there is none. Nothing is authenticated yet. */
export function readHeader(bytes: Uint8Array): EnvelopeHeader | { readonly needs: number } | 'malformed' {
  if (magic.some((byte, at) => at < bytes.length && bytes[at] !== byte)) return 'malformed'
  const exponent = bytes[magic.length] ?? largestExponent
  if (exponent < smallestExponent || exponent > largestExponent) return 'malformed'
  const bodyOfKeyAt = sealedKeyAt + 4
  if (bytes.length < bodyOfKeyAt) return { needs: bodyOfKeyAt }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(sealedKeyAt)
  if (length === 0 || length > maxSealedKey) return 'malformed'
  const end = bodyOfKeyAt + length
  if (bytes.length < end) return { needs: end }
  return {
    chunkLength: 2 ** exponent,
    salt: bytes.slice(saltAt, commitmentAt),
    commitment: bytes.slice(commitmentAt, sealedKeyAt),
    sealedKey: bytes.slice(bodyOfKeyAt, end),
    length: end,
  }
}

/** The whole header of `bytes`, or undefined where there is none. */
export function headerOf(bytes: Uint8Array): EnvelopeHeader | undefined {
  const header = readHeader(bytes)
  return typeof header === 'object' && 'sealedKey' in header ? header : undefined
}

/** `sealed`, or its header alone, with another sealed data key. The chunks are copied as they are. */
export function withSealedKey(sealed: Uint8Array, header: EnvelopeHeader, sealedKey: Uint8Array): Uint8Array {
  return concat([sealed.subarray(0, sealedKeyAt), u32be(sealedKey.length), sealedKey, sealed.subarray(header.length)])
}
