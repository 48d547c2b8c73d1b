/** The curves of ECDSA as a table. */
import type { HashAlgorithm } from '../model/operation.ts'
import { fromHex } from './bytes.ts'

export type CurveName = 'p256' | 'p384' | 'p521' | 'secp256k1'

export interface Curve {
  readonly name: CurveName
  /** What people call it. */
  readonly title: string
  /** Bytes of a scalar, of a coordinate, and of half a signature. */
  readonly length: number
  /** n, the order of the base point, in `length` bytes, big-endian. */
  readonly order: Uint8Array
  /** Dotted. */
  readonly oid: string
  /** What is signed with unless another is asked for: as strong as the curve. */
  readonly hashAlgorithm: HashAlgorithm
  /** Whether signatures are made with the lower s. Either is accepted: FIPS 186-5 knows no such rule. */
  readonly lowS: boolean
}

/** SEC 2 v2 §2.4.1, 2.4.2, 2.5.1, 2.6.1; identifiers: RFC 5480 §2.1.1.1 and SEC 2 §A.2.1. */
export const curves: { readonly [N in CurveName]: Curve } = {
  p256: {
    name: 'p256',
    title: 'P-256',
    length: 32,
    order: bigEndian('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
    oid: '1.2.840.10045.3.1.7',
    hashAlgorithm: 'sha256',
    lowS: false,
  },
  p384: {
    name: 'p384',
    title: 'P-384',
    length: 48,
    order: bigEndian(
      'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    ),
    oid: '1.3.132.0.34',
    hashAlgorithm: 'sha384',
    lowS: false,
  },
  p521: {
    name: 'p521',
    title: 'P-521',
    length: 66,
    order: bigEndian(`01${'f'.repeat(64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`),
    oid: '1.3.132.0.35',
    hashAlgorithm: 'sha512',
    lowS: false,
  },
  secp256k1: {
    name: 'secp256k1',
    title: 'secp256k1',
    length: 32,
    order: bigEndian('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'),
    oid: '1.3.132.0.10',
    hashAlgorithm: 'sha256',
    // BIP 146: the networks that use this curve refuse the other.
    lowS: true,
  },
}

/** Whether a big-endian number of the curve's length is in 1 … n − 1: a private key, or half a signature. */
export function validScalar({ length, order }: Curve, scalar: Uint8Array): boolean {
  if (scalar.length !== length) return false
  let bits = 0
  for (const byte of scalar) bits |= byte
  return bits !== 0 && below(scalar, order)
}

/** Whether a < b, both big-endian and equally long. The time taken does not depend on the numbers. */
export function below(a: Uint8Array, b: Uint8Array): boolean {
  let borrow = 0
  for (let at = a.length - 1; at >= 0; at--) borrow = ((a[at] ?? 0) - (b[at] ?? 0) - borrow) >>> 31
  return borrow === 1
}

function bigEndian(digits: string): Uint8Array {
  return fromHex(digits) ?? new Uint8Array()
}
