/**
 * The CKA_ID of a version that we made, 33 bytes: whose version it is, and which intent in the trail allowed it.
 *
 *     layout(1) ‖ key(12) ‖ version u32be ‖ operation(16)
 *
 * `layout` is 01, or 02 for a key of the type `hmac`, which a token cannot tell from `hmac-sha256`. `key` is random, the same in all
 * versions of a key, and its identity. `operation` is the `operationID` of the entry that announced it, a UUIDv7: it tells when, and
 * `outcomeOf` finds by it what became of an intent.
 */
import { concat, fromHex, hex, u32be } from '../../crypto/bytes.ts'
import { randomBytes } from '../../crypto/random.ts'

export interface KeyId {
  /** 12 bytes. */
  readonly key: Uint8Array
  readonly version: number
  /** 16 bytes. */
  readonly operation: Uint8Array
  /** Of the key type `hmac`. */
  readonly plainHmac: boolean
}

const length = 33

export const keyLength = 12

export function encodeKeyId({ key, version, operation, plainHmac }: KeyId): Uint8Array {
  return concat([Uint8Array.of(plainHmac ? 2 : 1), key, u32be(version), operation])
}

/** Undefined for a CKA_ID that is not ours. */
export function decodeKeyId(id: Uint8Array): KeyId | undefined {
  const layout = id[0]
  if (id.length !== length || (layout !== 1 && layout !== 2)) return undefined
  const version = new DataView(id.buffer, id.byteOffset + 1 + keyLength).getUint32(0)
  if (version === 0) return undefined
  return { key: id.slice(1, 1 + keyLength), version, operation: id.slice(1 + keyLength + 4), plainHmac: layout === 2 }
}

/** The bytes of a UUID; for what is none, 16 that begin with the time as those of a UUIDv7 do. */
export function operationBytes(operationID: string, now: number): Uint8Array {
  const told = fromHex(operationID.replaceAll('-', ''))
  if (told?.length === 16) return told
  const made = randomBytes(16)
  const view = new DataView(made.buffer, made.byteOffset)
  const ms = Math.max(0, Math.trunc(now))
  view.setUint16(0, Math.floor(ms / 2 ** 32))
  view.setUint32(2, ms % 2 ** 32)
  return made
}

/** RFC 9562 §5.7: when a UUIDv7 was made, ms since the epoch. */
export function timeOf(operation: Uint8Array): number {
  const view = new DataView(operation.buffer, operation.byteOffset)
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2)
}

/** `kms-` and 24 hexadecimal digits. */
export function identityOf(key: Uint8Array): string {
  return `kms-${hex(key)}`
}
