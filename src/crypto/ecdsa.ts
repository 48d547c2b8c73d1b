/** The two forms of an ECDSA signature: DER (RFC 3279 §2.2.3) and the fixed-length r ‖ s of IEEE P1363. */
import { below, type Curve, validScalar } from './curves.ts'
import { encodeDer, integer, readDer, sequence, tags } from './der.ts'

/** r ‖ s if it is twice the curve's length with both parts in range, else undefined. */
export function parseP1363(curve: Curve, signature: Uint8Array): Uint8Array | undefined {
  const { length } = curve
  if (signature.length !== 2 * length) return undefined
  const inRange = validScalar(curve, signature.subarray(0, length)) && validScalar(curve, signature.subarray(length))
  return inRange ? signature : undefined
}

/** r ‖ s of a DER signature; undefined for any encoding but the one of DER, and for parts out of range. */
export function parseDer(curve: Curve, signature: Uint8Array): Uint8Array | undefined {
  const { length } = curve
  const found = readDer(signature, (from) =>
    from.within(tags.sequence, () => ({ r: from.integer(), s: from.integer() })),
  )
  if (found === undefined || found.r.length > length || found.s.length > length) return undefined
  const out = new Uint8Array(2 * length)
  out.set(found.r, length - found.r.length)
  out.set(found.s, 2 * length - found.s.length)
  return parseP1363(curve, out)
}

/** The DER form of a valid r ‖ s. */
export function toDer(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2
  return encodeDer(sequence(integer(signature.subarray(0, half)), integer(signature.subarray(half))))
}

/** Of (r, s) and (r, n − s), which verify alike, the one whose s is lower; a valid r ‖ s in either case. */
export function withLowS({ length, order }: Curve, signature: Uint8Array): Uint8Array {
  const s = signature.subarray(length)
  const negated = subtract(order, s)
  if (!below(negated, s)) return signature
  const out = signature.slice()
  out.set(negated, length)
  return out
}

/** a − b, both big-endian and equally long, a ≥ b. */
function subtract(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length)
  let borrow = 0
  for (let at = a.length - 1; at >= 0; at--) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0) - borrow
    out[at] = difference
    borrow = difference >>> 31
  }
  return out
}
