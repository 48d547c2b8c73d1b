/** Bytes: join, compare, wipe, and their spellings as text. Portable, linear in time; every result owns its buffer. */
import { host } from '../model/host.ts'

const encoder = new host.TextEncoder()
const strict = new host.TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** A plain array of its own: `slice` of a Buffer is a view of the same memory. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** Whether the contents are the same. The time taken depends on the lengths only, not on where they differ. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  // The fallback is never taken: `at` stays below both lengths.
  for (let at = 0; at < a.length; at++) difference |= (a[at] ?? 0) ^ (b[at] ?? 0)
  return difference === 0
}

/** Overwrites with zeros. Copies that the engine or the garbage collector made are beyond JavaScript's reach. */
export function wipe(...arrays: readonly Uint8Array[]): void {
  for (const array of arrays) array.fill(0)
}

/** UTF-8. Lone surrogates become U+FFFD: refuse them before where that matters. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** The text, or undefined if `bytes` are not well-formed UTF-8. A byte order mark is kept. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes)
  } catch {
    // A fatal decoder throws for one reason only: malformed input.
    return undefined
  }
}

/** Four bytes, big-endian. `value`: an integer from 0 to 2³² − 1. */
export function u32be(value: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value)
  return out
}

/** Eight bytes, big-endian. `value`: from 0 to 2⁶⁴ − 1. */
export function u64be(value: bigint): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, value)
  return out
}

/** Length-prefixed: `u32be(length) ‖ bytes`. */
export function lp(bytes: Uint8Array): Uint8Array {
  return concat([u32be(bytes.length), bytes])
}

const hexDigits = utf8('0123456789abcdef')

/** Lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  const out = new Uint8Array(bytes.length * 2)
  let at = 0
  for (const byte of bytes) {
    out[at++] = hexDigits[byte >> 4] ?? 0
    out[at++] = hexDigits[byte & 15] ?? 0
  }
  return ascii(out)
}

/** The bytes, or undefined for anything but an even number of hexadecimal digits (either case). */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  const out = new Uint8Array(text.length / 2)
  for (let at = 0; at < out.length; at++) out[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16)
  return out
}

/** Standard base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  return `${encode64(bytes, standard)}${'='.repeat((3 - (bytes.length % 3)) % 3)}`
}

/** The bytes, or undefined for any spelling that `toBase64` would not give. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return decode64(text, text.length - padding, standard)
}

/** base64url without padding (RFC 4648 §5). */
export function toBase64url(bytes: Uint8Array): string {
  return encode64(bytes, urlSafe)
}

/** The bytes, or undefined for any spelling that `toBase64url` would not give. */
export function fromBase64url(text: string): Uint8Array | undefined {
  return decode64(text, text.length, urlSafe)
}

interface Alphabet {
  readonly digits: Uint8Array
  /** Value of each ASCII code; 255 for none. */
  readonly values: Uint8Array
}

function alphabet(last: string): Alphabet {
  const digits = utf8(`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${last}`)
  const values = new Uint8Array(128).fill(255)
  digits.forEach((code, value) => {
    values[code] = value
  })
  return { digits, values }
}

const standard = alphabet('+/')
const urlSafe = alphabet('-_')

function encode64(bytes: Uint8Array, { digits }: Alphabet): string {
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3))
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    // Past the end of `bytes` the missing bits are zero; past the end of `out` a write does nothing.
    const group = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0)
    out[to] = digits[group >> 18] ?? 0
    out[to + 1] = digits[(group >> 12) & 63] ?? 0
    out[to + 2] = digits[(group >> 6) & 63] ?? 0
    out[to + 3] = digits[group & 63] ?? 0
  }
  return ascii(out)
}

function decode64(text: string, length: number, { values }: Alphabet): Uint8Array | undefined {
  if (length % 4 === 1) return undefined
  const out = new Uint8Array(Math.floor((length * 3) / 4))
  let bits = 0
  let held = 0
  let to = 0
  for (let from = 0; from < length; from++) {
    const value = values[text.charCodeAt(from)] ?? 255
    if (value === 255) return undefined
    held = ((held << 6) | value) & 0xfff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    out[to++] = held >> bits
  }
  // RFC 4648 §3.5: bits that encode nothing must be zero, or one value would have several spellings.
  return (held & ((1 << bits) - 1)) === 0 ? out : undefined
}

function ascii(codes: Uint8Array): string {
  return strict.decode(codes)
}
