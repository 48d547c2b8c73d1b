/** The numbers of an RSA key: which key type they make, and whether they belong together. */
import type { KeyType } from '../model/key.ts'
import { decodeRsaPkcs8, type RsaPrivateNumbers, type RsaPublicNumbers } from './pkcs8.ts'

export type RsaKeyType = Extract<KeyType, `rsa-${number}`>

/** Length of the modulus. */
export const rsaBits: { readonly [T in RsaKeyType]: number } = { 'rsa-2048': 2048, 'rsa-3072': 3072, 'rsa-4096': 4096 }

/** The parts of a PKCS#8 of this key type: two primes, a modulus of exactly its length, the exponent 65537. Else undefined. */
export function rsaParts(keyType: RsaKeyType, pkcs8: Uint8Array): RsaPrivateNumbers | undefined {
  const parts = decodeRsaPkcs8(pkcs8)
  if (parts === undefined || !isOfType(keyType, parts)) return undefined
  return parts
}

/** Whether a public key is of this key type. */
export function isOfType(keyType: RsaKeyType, { n, e }: RsaPublicNumbers): boolean {
  const exactly = n.length === rsaBits[keyType] / 8 && (n[0] ?? 0) > 0x7f
  return exactly && e.length === 3 && e[0] === 1 && e[1] === 0 && e[2] === 1
}

/**
 * RFC 8017 §3.2: n = p·q, e·d ≡ 1 modulo p − 1 and q − 1, and the CRT parts follow from these; FIPS 186-5 §A.1.1: each prime
 * has half of the bits, and they lie apart, or n is factored at once. Whether p and q are prime is not asked here: signing with
 * such a key and verifying it is Fermat's test of both. BigInt's time depends on its values; this runs once, on a key that
 * comes in.
 */
export function belongTogether(parts: RsaPrivateNumbers): boolean {
  const { n, e, d, p, q, dp, dq, qi } = numbersOf(parts)
  const half = BigInt(4 * parts.n.length)
  if (p >> (half - 1n) !== 1n || q >> (half - 1n) !== 1n || p * q !== n) return false
  if ((p > q ? p - q : q - p) >> (half - 100n) === 0n) return false
  if (d >= n || (d * e) % (p - 1n) !== 1n || (d * e) % (q - 1n) !== 1n) return false
  return dp === d % (p - 1n) && dq === d % (q - 1n) && qi < p && (qi * q) % p === 1n
}

function numbersOf(parts: RsaPrivateNumbers): { readonly [P in keyof RsaPrivateNumbers]: bigint } {
  const { n, e, d, p, q, dp, dq, qi } = parts
  return {
    n: toBigInt(n),
    e: toBigInt(e),
    d: toBigInt(d),
    p: toBigInt(p),
    q: toBigInt(q),
    dp: toBigInt(dp),
    dq: toBigInt(dq),
    qi: toBigInt(qi),
  }
}

/** Without a string in between, which nothing could wipe. */
function toBigInt(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}
