/**
 * PKCS#8 private keys and SubjectPublicKeyInfo for Ed25519 (RFC 8410) and P-256 (RFC 5958, 5915, 5480). DER has one
 * encoding for each of these shapes, so a fixed prefix is a complete and strict parser.
 */
import { concat, equal, fromHex, toBase64 } from './bytes.ts'

const empty = new Uint8Array(0)

// SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING (32) } }
const ed25519Private = prefix('302e020100300506032b657004220420')
// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING (32) }
const ed25519Public = prefix('302a300506032b6570032100')
// SEQUENCE { INTEGER 0, SEQUENCE { OID ecPublicKey, OID prime256v1 }, OCTET STRING { SEQUENCE { INTEGER 1,
// OCTET STRING (32), [1] { BIT STRING (65) } } } }, the last part optional
const p256Private = prefix('308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420')
const p256PrivateAlone = prefix('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420')
const p256PublicPart = prefix('a144034200')
// SEQUENCE { SEQUENCE { OID ecPublicKey, OID prime256v1 }, BIT STRING (65) }
const p256Public = prefix('3059301306072a8648ce3d020106082a8648ce3d030107034200')

/** `seed`: 32 bytes. */
export function encodeEd25519Pkcs8(seed: Uint8Array): Uint8Array {
  return concat([ed25519Private, seed])
}

/** The 32-byte seed, or undefined for anything but `encodeEd25519Pkcs8`'s output. */
export function decodeEd25519Pkcs8(der: Uint8Array): Uint8Array | undefined {
  return body(der, ed25519Private, 32)
}

/** `publicKey`: 32 bytes. */
export function encodeEd25519Spki(publicKey: Uint8Array): Uint8Array {
  return concat([ed25519Public, publicKey])
}

/** The 32-byte key, or undefined for anything but `encodeEd25519Spki`'s output. Not checked to be a point. */
export function decodeEd25519Spki(der: Uint8Array): Uint8Array | undefined {
  return body(der, ed25519Public, 32)
}

/** `scalar`: 32 bytes; `publicKey`, if given: 65 bytes uncompressed, written beside it as OpenSSL does. */
export function encodeP256Pkcs8(scalar: Uint8Array, publicKey?: Uint8Array): Uint8Array {
  if (publicKey === undefined) return concat([p256PrivateAlone, scalar])
  return concat([p256Private, scalar, p256PublicPart, publicKey])
}

/** What a P-256 PKCS#8 holds. */
export interface P256Private {
  readonly scalar: Uint8Array
  /** If written beside it. Whether both belong together is for the caller to check. */
  readonly publicKey?: Uint8Array
}

/** The parts, or undefined for anything but `encodeP256Pkcs8`'s outputs. The scalar's range is not checked. */
export function decodeP256Pkcs8(der: Uint8Array): P256Private | undefined {
  const alone = body(der, p256PrivateAlone, 32)
  if (alone !== undefined) return { scalar: alone }
  const both = body(der, p256Private, 32 + p256PublicPart.length + 65)
  if (both === undefined) return undefined
  const publicKey = body(both.subarray(32), p256PublicPart, 65)
  return publicKey === undefined ? undefined : { scalar: both.slice(0, 32), publicKey }
}

/** `publicKey`: 65 bytes, uncompressed. */
export function encodeP256Spki(publicKey: Uint8Array): Uint8Array {
  return concat([p256Public, publicKey])
}

/** The 65-byte key, or undefined for anything but an uncompressed P-256 SPKI. Not checked to be a point. */
export function decodeP256Spki(der: Uint8Array): Uint8Array | undefined {
  const publicKey = body(der, p256Public, 65)
  return publicKey?.[0] === 4 ? publicKey : undefined
}

/** RFC 7468 text of an SPKI, with a final newline. */
export function publicKeyPem(spki: Uint8Array): string {
  const lines = toBase64(spki).replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN PUBLIC KEY-----\n${lines}\n-----END PUBLIC KEY-----\n`
}

function body(der: Uint8Array, head: Uint8Array, length: number): Uint8Array | undefined {
  if (der.length !== head.length + length || !equal(der.subarray(0, head.length), head)) return undefined
  return der.slice(head.length)
}

function prefix(digits: string): Uint8Array {
  return fromHex(digits) ?? empty
}
