/**
 * The encodings that stand between a digest and the bare RSA operation (RFC 8017 §9), for digests that a caller made:
 * the hosts' own signing functions would hash them again. The modulus has a whole number of bytes.
 */
import type { HashAlgorithm } from '../model/operation.ts'
import { concat, equal, fromHex } from './bytes.ts'

/** Whatever digests there are: the engines' three, or more. */
type Hash<A extends string> = (algorithm: A, data: Uint8Array) => Uint8Array

export interface PssInput<A extends string> {
  readonly hashAlgorithm: A
  readonly digest: Uint8Array
}

// RFC 8017 §9.2 note 1: SEQUENCE { SEQUENCE { OID, NULL }, OCTET STRING (the digest) } up to the digest.
const digestInfos: { readonly [H in HashAlgorithm]: Uint8Array } = {
  sha256: prefix('3031300d060960864801650304020105000420'),
  sha384: prefix('3041300d060960864801650304020205000430'),
  sha512: prefix('3051300d060960864801650304020305000440'),
}

const padding1 = new Uint8Array(8)
const trailer = 0xbc

/** DER of DigestInfo: what RSASSA-PKCS1-v1_5 pads and signs (§9.2). */
export function digestInfo(hashAlgorithm: HashAlgorithm, digest: Uint8Array): Uint8Array {
  return concat([digestInfos[hashAlgorithm], digest])
}

/** EMSA-PSS-ENCODE (§9.1.1) into as many bytes as the modulus has; `salt` is as long as the digest. */
export function encodePss<A extends string>(
  hash: Hash<A>,
  { hashAlgorithm, digest }: PssInput<A>,
  salt: Uint8Array,
  size: number,
): Uint8Array {
  const h = hash(hashAlgorithm, concat([padding1, digest, salt]))
  const encoded = new Uint8Array(size)
  const maskedDB = encoded.subarray(0, size - h.length - 1)
  maskedDB[maskedDB.length - salt.length - 1] = 0x01
  maskedDB.set(salt, maskedDB.length - salt.length)
  maskWith(hash, hashAlgorithm, h, maskedDB)
  // emBits = 8·size − 1: one bit is left over (step 11).
  maskedDB[0] = (maskedDB[0] ?? 0) & 0x7f
  encoded.set(h, maskedDB.length)
  encoded[size - 1] = trailer
  return encoded
}

/** EMSA-PSS-VERIFY (§9.1.2) for salts as long as the digest, and no others. Everything here is public. */
export function verifyPss<A extends string>(hash: Hash<A>, input: PssInput<A>, encoded: Uint8Array): boolean {
  return pssSalt(hash, input, encoded)?.length === input.digest.length
}

/** The same for a salt of any length: that salt, or undefined. */
export function pssSalt<A extends string>(
  hash: Hash<A>,
  { hashAlgorithm, digest }: PssInput<A>,
  encoded: Uint8Array,
): Uint8Array | undefined {
  const { length } = digest
  if (encoded.length < length + 2 || encoded[encoded.length - 1] !== trailer) return undefined
  const db = encoded.slice(0, encoded.length - length - 1)
  const h = encoded.subarray(db.length, encoded.length - 1)
  if ((db[0] ?? 0) > 0x7f) return undefined
  maskWith(hash, hashAlgorithm, h, db)
  db[0] = (db[0] ?? 0) & 0x7f
  // Step 10: zeros, then a one, then the salt.
  const one = db.findIndex((byte) => byte !== 0)
  if (db[one] !== 0x01) return undefined
  const salt = db.subarray(one + 1)
  return equal(hash(hashAlgorithm, concat([padding1, digest, salt])), h) ? salt : undefined
}

/** MGF1 (§B.2.1), XORed into `data`. */
function maskWith<A extends string>(hash: Hash<A>, hashAlgorithm: A, seed: Uint8Array, data: Uint8Array): void {
  const block = concat([seed, new Uint8Array(4)])
  const counter = new DataView(block.buffer, seed.length)
  for (let at = 0, count = 0; at < data.length; count++) {
    counter.setUint32(0, count)
    for (const byte of hash(hashAlgorithm, block)) {
      if (at === data.length) break
      data[at] = (data[at] ?? 0) ^ byte
      at++
    }
  }
}

function prefix(digits: string): Uint8Array {
  return fromHex(digits) ?? new Uint8Array(0)
}
