/**
 * The encryption context as bytes: one encoding for one set of pairs, whatever order they came in.
 * `u32be count`, then `lp(name) ‖ lp(value)` for each pair, sorted by the UTF-8 bytes of the name.
 */
import { KmsError } from '../model/errors.ts'
import type { EncryptionContext } from '../model/operation.ts'
import { u32be } from './bytes.ts'

const maxPairs = 32
const maxBytes = 8192
const empty = u32be(0)

// Written by the synchronous calls below: one allocation a call. Writes past its end do nothing, and are then refused.
const scratch = new Uint8Array(maxBytes)

/**
 * Absent and empty are the same. At most 32 pairs and, encoded, 8,192 bytes; only strings, and only well-formed ones;
 * no normalisation. Anything else is `INVALID_INPUT`. The result may be shared between calls: do not write to it.
 */
export function encodeContext(context: EncryptionContext | undefined): Uint8Array {
  if (context === undefined) return empty
  // Not a Map, an array or null: they have no own pairs, and would silently bind nothing.
  if (Object.prototype.toString.call(context) !== '[object Object]') refuse('must be an object of strings')
  const names = Object.keys(context)
  if (names.length === 0) return empty
  if (names.length > maxPairs) refuse(`has ${names.length} pairs, at most ${maxPairs} are allowed`)
  if (names.length > 1) names.sort(byCodePoint)
  let at = putLength(0, names.length)
  for (const name of names) at = putText(putText(at, name), context[name])
  return scratch.slice(0, at)
}

/** Writes `lp(text)`; returns where it ends. */
function putText(at: number, text: unknown): number {
  if (typeof text !== 'string') refuse('must hold strings only')
  const start = at + 4
  let end = start
  // UTF-8 is never shorter than the string is long: what cannot fit is refused before it is walked through.
  if (start + text.length > maxBytes) refuse(`is longer than ${maxBytes} bytes`)
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i) ?? 0
    if (code > 0xffff) i++
    end = putCodePoint(end, code)
  }
  if (end > maxBytes) refuse(`is longer than ${maxBytes} bytes`)
  putLength(at, end - start)
  return end
}

/** RFC 3629 §3. */
function putCodePoint(at: number, code: number): number {
  if (code < 0x80) {
    scratch[at] = code
    return at + 1
  }
  if (code < 0x800) {
    scratch[at] = 0xc0 | (code >> 6)
    scratch[at + 1] = 0x80 | (code & 63)
    return at + 2
  }
  if (code < 0x10000) {
    if (isSurrogate(code)) refuse('holds a lone surrogate, which UTF-8 cannot express')
    scratch[at] = 0xe0 | (code >> 12)
    scratch[at + 1] = 0x80 | ((code >> 6) & 63)
    scratch[at + 2] = 0x80 | (code & 63)
    return at + 3
  }
  scratch[at] = 0xf0 | (code >> 18)
  scratch[at + 1] = 0x80 | ((code >> 12) & 63)
  scratch[at + 2] = 0x80 | ((code >> 6) & 63)
  scratch[at + 3] = 0x80 | (code & 63)
  return at + 4
}

/** Writes a u32be below 2¹⁶. */
function putLength(at: number, length: number): number {
  scratch[at] = 0
  scratch[at + 1] = 0
  scratch[at + 2] = length >> 8
  scratch[at + 3] = length & 255
  return at + 4
}

/** The order of the UTF-8 bytes. JavaScript's own is by UTF-16 unit, which puts U+10000 before U+E000. */
function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at)
    const right = b.charCodeAt(at)
    if (left === right) continue
    if (isSurrogate(left) !== isSurrogate(right) && Math.max(left, right) >= 0xe000) return right - left
    return left - right
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

function refuse(why: string): never {
  throw new KmsError('INVALID_INPUT', `encryptionContext ${why}`)
}
