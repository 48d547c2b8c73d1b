/** The two forms of an ECDSA signature on P-256: DER (RFC 3279 §2.2.3) and the fixed-length r ‖ s of IEEE P1363. */
import { fromHex } from './bytes.ts'

const half = 32

// SEC 2 §2.4.2: the order of P-256.
const order = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551') ?? new Uint8Array(half)

/** Whether a 32-byte big-endian number is in 1 … n − 1: a private key, or half a signature. */
export function validScalar(scalar: Uint8Array): boolean {
  if (scalar.length !== half) return false
  for (let at = 0; at < half; at++) {
    const difference = (scalar[at] ?? 0) - (order[at] ?? 0)
    if (difference !== 0) return difference < 0 && scalar.some((byte) => byte !== 0)
  }
  return false
}

/** r ‖ s if it is 64 bytes with both parts in range, else undefined. */
export function parseP1363(signature: Uint8Array): Uint8Array | undefined {
  if (signature.length !== 2 * half) return undefined
  return validScalar(signature.subarray(0, half)) && validScalar(signature.subarray(half)) ? signature : undefined
}

/** r ‖ s of a DER signature; undefined for any encoding but the one of DER, and for parts out of range. */
export function parseDer(signature: Uint8Array): Uint8Array | undefined {
  // SEQUENCE of two INTEGERs, together 70 bytes at most: every length fits one byte (X.690 §10.1: the shortest form).
  if (signature[0] !== 0x30 || signature[1] !== signature.length - 2) return undefined
  const out = new Uint8Array(2 * half)
  const next = integerInto(out, 0, signature, 2)
  if (next === undefined) return undefined
  return integerInto(out, half, signature, next) === signature.length ? parseP1363(out) : undefined
}

/** Reads the INTEGER at `from` into 32 bytes of `out`; returns where it ends. */
function integerInto(out: Uint8Array, to: number, der: Uint8Array, from: number): number | undefined {
  const length = der[from + 1] ?? 0
  const start = from + 2
  const end = start + length
  const first = der[start] ?? 0
  if (der[from] !== 0x02 || length === 0 || end > der.length) return undefined
  // X.690 §8.3: the top bit is the sign, and a leading zero stands only where it would otherwise be set.
  if (first > 0x7f || (first === 0 && length > 1 && (der[start + 1] ?? 0) <= 0x7f)) return undefined
  const digits = der.subarray(first === 0 ? start + 1 : start, end)
  if (digits.length > half) return undefined
  out.set(digits, to + half - digits.length)
  return end
}

/** The DER form of a valid r ‖ s. */
export function toDer(signature: Uint8Array): Uint8Array {
  const r = unsigned(signature.subarray(0, half))
  const s = unsigned(signature.subarray(half))
  const out = new Uint8Array(6 + r.length + s.length)
  out[0] = 0x30
  out[1] = out.length - 2
  putInteger(out, 2, r)
  putInteger(out, 4 + r.length, s)
  return out
}

/** X.690 §8.3.2: no leading zeros, except one where the top bit would be read as a sign. */
function unsigned(scalar: Uint8Array): Uint8Array {
  let start = 0
  while (scalar[start] === 0) start++
  const digits = scalar.subarray(start)
  if ((digits[0] ?? 0) <= 0x7f) return digits
  const signed = new Uint8Array(1 + digits.length)
  signed.set(digits, 1)
  return signed
}

function putInteger(out: Uint8Array, at: number, digits: Uint8Array): void {
  out[at] = 0x02
  out[at + 1] = digits.length
  out.set(digits, at + 2)
}
