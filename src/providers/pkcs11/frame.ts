/**
 * What this provider makes of a plaintext. Three formats, after those of the embedded KMS (src/crypto/README.md), whose `lp` and
 * `context` are used here:
 *
 *     AES-GCM            11 ‖ version u32be ‖ iv(12) ‖ body ‖ tag(16)        body = CTR of (32 zeros ‖ plaintext)
 *     OAEP with SHA-256  12 ‖ version u32be ‖ block, as long as the modulus  block = OAEP of (SHA-256(AAD) ‖ plaintext)
 *     OAEP with SHA-1    13 ‖ the same, where the token has no better
 *     AAD = lp("keytrail/pkcs11/1") ‖ lp(format ‖ version) ‖ lp(type) ‖ context
 *
 * The zeros commit to the key. A GCM ciphertext alone can be made to open under two keys; one that opens to 256 zero bits under
 * both would be a collision of 256 bits of key stream. Nothing about the key need be computed outside the token, and nothing about
 * it is told. The IV is authentic as part of GCM itself. OAEP's label would bind the context as well, but tokens refuse labels:
 * the digest is in the block instead, and is compared. The key's identity is not bound: a key that was restored opens what it
 * sealed.
 */
import { engine } from '#engine'
import { concat, equal, lp, u32be, utf8 } from '../../crypto/bytes.ts'
import type { OaepHash } from './protocol.ts'

export const formats = { gcm: 0x11, sha256: 0x12, sha1: 0x13 } as const

const headLength = 5
const ivLength = 12
const tagLength = 16

/** What a GCM plaintext begins with. */
export const commitment: Uint8Array = new Uint8Array(32)

export interface Bound {
  readonly format: number
  readonly version: number
  readonly keyType: string
  /** From canonical.ts. */
  readonly context: Uint8Array
}

export function aadOf({ format, version, keyType, context }: Bound): Uint8Array {
  const head = concat([Uint8Array.of(format), u32be(version)])
  return concat([lp(utf8('keytrail/pkcs11/1')), lp(head), lp(utf8(keyType)), context])
}

/** What an OAEP plaintext begins with. The hash of OAEP itself is not bound: it is found out only as the token seals. */
export function digestOf(bound: Omit<Bound, 'format'>): Uint8Array {
  return engine.hash('sha256', aadOf({ ...bound, format: formats.sha256 }))
}

export function frameOf(format: number, version: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return concat([Uint8Array.of(format), u32be(version), ...parts])
}

export type Frame =
  | { readonly is: 'gcm'; readonly version: number; readonly iv: Uint8Array; readonly sealed: Uint8Array }
  | { readonly is: 'oaep'; readonly version: number; readonly hash: OaepHash; readonly block: Uint8Array }

/** The parts of a frame, or undefined for what is none. Nothing is authenticated yet. */
export function parseFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length <= headLength) return undefined
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  if (version === 0) return undefined
  const [format] = bytes
  const rest = bytes.slice(headLength)
  if (format === formats.gcm) {
    if (rest.length <= ivLength + commitment.length + tagLength) return undefined
    return { is: 'gcm', version, iv: rest.slice(0, ivLength), sealed: rest.slice(ivLength) }
  }
  if (format === formats.sha256) return { is: 'oaep', version, hash: 'sha256', block: rest }
  return format === formats.sha1 ? { is: 'oaep', version, hash: 'sha1', block: rest } : undefined
}

/** The plaintext behind `prefix`, an array of its own; undefined if that is not what it begins with. */
export function behind(prefix: Uint8Array, plaintext: Uint8Array): Uint8Array | undefined {
  if (plaintext.length < prefix.length || !equal(plaintext.subarray(0, prefix.length), prefix)) return undefined
  return plaintext.slice(prefix.length)
}
