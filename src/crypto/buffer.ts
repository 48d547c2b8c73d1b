/** @node Between node's Buffers and plain arrays. */
import { Buffer } from 'node:buffer'
import { wipe } from './bytes.ts'

/** The bytes as a plain array that owns its buffer: without a copy where the Buffer already does. */
export function owned(buffer: Buffer): Uint8Array {
  const whole = buffer.byteOffset === 0 && buffer.buffer.byteLength === buffer.length
  return whole ? new Uint8Array(buffer.buffer) : new Uint8Array(buffer)
}

/** The same of a secret: what is left behind where a copy was needed is wiped. */
export function ownedSecret(buffer: Buffer): Uint8Array {
  const out = owned(buffer)
  if (out.buffer !== buffer.buffer) wipe(buffer)
  return out
}

/** node:crypto takes DER only as a Buffer: the same memory, no copy. */
export function der(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
