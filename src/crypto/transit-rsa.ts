/**
 * RSA signatures as the transit engine makes them, with each of its digests, with PSS salts of every length, over digests made elsewhere.
 * No host does all of that, so the public operation is spelt out in BigInt, alike on both engines: nothing in it is secret.
 */
import { concat, equal } from './bytes.ts'
import { encodeDer, objectIdentifier, octetString, sequence, tags } from './der.ts'
import type { Engine } from './engine.ts'
import type { RsaPublicNumbers } from './pkcs8.ts'
import { pssSalt } from './rsa-emsa.ts'
import { type TransitHash, transitDigest } from './transit-hash.ts'

export interface TransitRsaInput {
  readonly padding: 'pss' | 'pkcs1v15'
  /** `none`: pkcs1v15 over the bytes as they are, without the name of a digest. */
  readonly hash: TransitHash | 'none'
  readonly digest: Uint8Array
}

/** False for anything but a valid signature. */
export function verifyTransitRsa(
  engine: Engine,
  { n, e }: RsaPublicNumbers,
  { padding, hash, digest }: TransitRsaInput,
  signature: Uint8Array,
): boolean {
  // RFC 8017 §8.1.2 step 1 and §5.2.2 step 1.
  if (signature.length !== n.length) return false
  const [modulus, s] = [toBigInt(n), toBigInt(signature)]
  if (s >= modulus) return false
  const encoded = toBytes(power(s, toBigInt(e), modulus), n.length)
  if (padding === 'pkcs1v15') return equal(encoded, encodePkcs1(hash, digest, n.length))
  if (hash === 'none') return false
  const hashed = (algorithm: TransitHash, data: Uint8Array) => transitDigest(engine, algorithm, data)
  return pssSalt(hashed, { hashAlgorithm: hash, digest }, encoded) !== undefined
}

/** EMSA-PKCS1-v1_5-ENCODE (§9.2), to be compared as a whole; empty, which equals no signature, if it does not fit. */
function encodePkcs1(hash: TransitHash | 'none', digest: Uint8Array, size: number): Uint8Array {
  const t = hash === 'none' ? digest : digestInfo(hash, digest)
  if (t.length > size - 11) return new Uint8Array(0)
  const padding = new Uint8Array(size - 3 - t.length).fill(0xff)
  return concat([Uint8Array.of(0, 1), padding, Uint8Array.of(0), t])
}

// RFC 8017 §B.1; NIST's register for SHA-3.
const oids: { readonly [H in TransitHash]: string } = {
  sha1: '1.3.14.3.2.26',
  sha224: '2.16.840.1.101.3.4.2.4',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  'sha3-224': '2.16.840.1.101.3.4.2.7',
  'sha3-256': '2.16.840.1.101.3.4.2.8',
  'sha3-384': '2.16.840.1.101.3.4.2.9',
  'sha3-512': '2.16.840.1.101.3.4.2.10',
}

function digestInfo(hash: TransitHash, digest: Uint8Array): Uint8Array {
  const algorithm = sequence(objectIdentifier(oids[hash]), { tag: tags.null, contents: [] })
  return encodeDer(sequence(algorithm, octetString(digest)))
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

function toBigInt(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}

function toBytes(value: bigint, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let at = length - 1, rest = value; at >= 0; at--, rest >>= 8n) out[at] = Number(rest & 0xffn)
  return out
}
