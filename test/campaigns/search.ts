/** @node Finds a secret in whatever form it may have leaked: raw, hex, base64 at any alignment, UTF-16, lists of numbers. */
import { inspect } from 'node:util'

export interface Secret {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Texts (or bytes) to look through, by where they came from. */
export type Haystack = Map<string, string | Uint8Array>

export interface Leak {
  readonly secret: string
  readonly form: string
  readonly where: string
}

/** So many bytes in a row are no accident. */
const pieceLength = 12

/** Every leak, also of a part of a secret. */
export function leaksIn(haystack: Haystack, secrets: readonly Secret[]): readonly Leak[] {
  const leaks: Leak[] = []
  const search = searchFor(
    secrets.flatMap(({ name, bytes }) => needlesOf(bytes).map((needle) => ({ name, ...needle }))),
  )
  for (const [where, found] of haystack) {
    const bytes = typeof found === 'string' ? Buffer.from(found, 'utf8') : Buffer.from(found)
    for (const { name, form } of search(bytes)) leaks.push({ secret: name, form, where })
  }
  return leaks
}

type NamedNeedle = Needle & { readonly name: string }

/** All needles in one pass: at each place only those are looked at that begin with the four bytes which stand there. */
function searchFor(needles: readonly NamedNeedle[]): (bytes: Buffer) => ReadonlySet<NamedNeedle> {
  const byStart = new Map<number, { readonly bytes: Buffer; readonly needle: NamedNeedle }[]>()
  const starts = new Uint8Array(1 << 16)
  for (const needle of needles) {
    // One character a byte, as the forms are spelled.
    const bytes = Buffer.from(needle.needle, 'latin1')
    const start = bytes.readUInt32LE(0)
    byStart.set(start, [...(byStart.get(start) ?? []), { bytes, needle }])
    starts[folded(start)] = 1
  }
  return (bytes) => {
    const found = new Set<NamedNeedle>()
    let start = 0
    for (let at = 0; at < bytes.length; at++) {
      // The four bytes that end here, the last one on top.
      start = (start >>> 8) | ((bytes[at] ?? 0) << 24)
      if (at < 3 || starts[folded(start)] === 0) continue
      for (const { bytes: wanted, needle } of byStart.get(start >>> 0) ?? [])
        if (bytes.subarray(at - 3, at - 3 + wanted.length).equals(wanted)) found.add(needle)
    }
    return found
  }
}

function folded(start: number): number {
  return (Math.imul(start, 0x9e37_79b1) >>> 16) & 0xffff
}

/** As much of `value` as can be seen at all. */
export function inspected(value: unknown): string {
  return inspect(value, {
    depth: Number.POSITIVE_INFINITY,
    showHidden: true,
    getters: true,
    maxArrayLength: Number.POSITIVE_INFINITY,
    maxStringLength: Number.POSITIVE_INFINITY,
    breakLength: Number.POSITIVE_INFINITY,
    compact: true,
  })
}

interface Needle {
  readonly form: string
  readonly needle: string
}

function needlesOf(secret: Uint8Array): readonly Needle[] {
  if (secret.length < pieceLength) throw new Error('too short to tell a leak from an accident')
  const pieces = new Map<string, Needle>()
  for (const at of [0, (secret.length - pieceLength) >> 1, secret.length - pieceLength])
    for (const needle of formsOf(Buffer.from(secret.subarray(at, at + pieceLength)))) pieces.set(needle.needle, needle)
  return [...pieces.values()]
}

export function formsOf(piece: Buffer): readonly Needle[] {
  const latin1 = piece.toString('latin1')
  const hex = piece.toString('hex')
  return [
    { form: 'raw', needle: latin1 },
    // Bytes above 127 that were taken for text.
    { form: 'raw, as UTF-8', needle: Buffer.from(latin1, 'utf8').toString('latin1') },
    { form: 'hex', needle: hex },
    { form: 'HEX', needle: hex.toUpperCase() },
    { form: 'hex with spaces', needle: (hex.match(/../g) ?? []).join(' ') },
    { form: 'numbers', needle: [...piece].join(', ') },
    { form: 'numbers in JSON', needle: [...piece].join(',') },
    { form: 'numbers by index', needle: [...piece.subarray(0, 6)].map((byte, at) => `"${at}":${byte}`).join(',') },
    { form: 'UTF-16LE', needle: Buffer.from(latin1, 'utf16le').toString('latin1') },
    { form: 'UTF-16BE', needle: Buffer.from(latin1, 'utf16le').swap16().toString('latin1') },
    { form: 'JSON escapes', needle: JSON.stringify(latin1).slice(1, -1) },
    ...[0, 1, 2].flatMap((alignment) => base64At(piece, alignment)),
  ]
}

/** Without the characters that also hold bits of the neighbours. */
function base64At(piece: Buffer, alignment: number): readonly Needle[] {
  const whole = Math.floor((alignment + piece.length) / 3) * 3
  const padded = Buffer.concat([Buffer.alloc(alignment), piece]).subarray(0, whole)
  const skipped = alignment === 0 ? 0 : 4
  const needle = padded.toString('base64').slice(skipped)
  const url = needle.replaceAll('+', '-').replaceAll('/', '_')
  return [
    { form: `base64 at ${alignment}`, needle },
    { form: `base64url at ${alignment}`, needle: url },
  ]
}
