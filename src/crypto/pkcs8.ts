/**
 * Keys as files have them: PKCS#8 (RFC 5958) for private ones, SubjectPublicKeyInfo (RFC 5280 §4.1) for public ones, in
 * DER or as PEM text. Each key type has one form here, the one OpenSSL writes: version 0, no attributes, named curves,
 * uncompressed points. What is read is checked for its form alone; numbers and points are for the caller to judge.
 */
import { fromBase64, toBase64 } from './bytes.ts'
import type { Curve } from './curves.ts'
import {
  bitString,
  type DerReader,
  type Element,
  encodeDer,
  integer,
  objectIdentifier,
  octetString,
  readDer,
  sequence,
  tags,
} from './der.ts'
import { type MlDsaName, mlDsaSeedLength, mlDsaSets } from './ml-dsa-sets.ts'

const zero = Uint8Array.of(0)
const versionZero = encodeDer(integer(zero))
const versionOne = encodeDer(integer(Uint8Array.of(1)))
/** [0], implicit: the seed of an ML-DSA key. */
const seedTag = 0x80
/** [1], explicit: the public key in an ECPrivateKey. */
const publicKeyTag = 0xa1

// RFC 8410 §3: no parameters.
const ed25519Identifier = encodeDer(sequence(objectIdentifier('1.3.101.112')))
// RFC 8017 §A.1: the parameters are NULL.
const rsaIdentifier = encodeDer(sequence(objectIdentifier('1.2.840.113549.1.1.1'), { tag: tags.null, contents: [] }))

/** RFC 5480 §2.1.1: the parameters name the curve. */
function ecIdentifier({ oid }: Curve): Uint8Array {
  return encodeDer(sequence(objectIdentifier('1.2.840.10045.2.1'), objectIdentifier(oid)))
}

/** RFC 9881 §2: no parameters. */
function mlDsaIdentifier(name: MlDsaName): Uint8Array {
  return encodeDer(sequence(objectIdentifier(mlDsaSets[name].oid)))
}

function encodePkcs8(identifier: Uint8Array, key: Element | Uint8Array): Uint8Array {
  return encodeDer(sequence(versionZero, identifier, octetString(key)))
}

function encodeSpki(identifier: Uint8Array, key: Element | Uint8Array): Uint8Array {
  return encodeDer(sequence(identifier, bitString(key)))
}

function readPkcs8<T>(der: Uint8Array, identifier: Uint8Array, readKey: (from: DerReader) => T): T | undefined {
  return readDer(der, (from) =>
    from.within(tags.sequence, () => {
      from.expect(versionZero)
      from.expect(identifier)
      return from.within(tags.octetString, () => readKey(from))
    }),
  )
}

function readSpki<T>(der: Uint8Array, identifier: Uint8Array, readKey: (from: DerReader) => T): T | undefined {
  return readDer(der, (from) =>
    from.within(tags.sequence, () => {
      from.expect(identifier)
      return from.withinBits(() => readKey(from))
    }),
  )
}

/** A copy, if it has this length. */
function ofLength(bytes: Uint8Array | undefined, length: number): Uint8Array | undefined {
  return bytes?.length === length ? bytes.slice() : undefined
}

/** `seed`: 32 bytes (RFC 8410 §7). */
export function encodeEd25519Pkcs8(seed: Uint8Array): Uint8Array {
  return encodePkcs8(ed25519Identifier, octetString(seed))
}

/** The 32-byte seed, or undefined for anything but `encodeEd25519Pkcs8`'s output. */
export function decodeEd25519Pkcs8(der: Uint8Array): Uint8Array | undefined {
  return ofLength(
    readPkcs8(der, ed25519Identifier, (from) => from.take(tags.octetString)),
    32,
  )
}

/** `publicKey`: 32 bytes (RFC 8410 §4). */
export function encodeEd25519Spki(publicKey: Uint8Array): Uint8Array {
  return encodeSpki(ed25519Identifier, publicKey)
}

/** The 32-byte key, or undefined for anything but `encodeEd25519Spki`'s output. Not checked to be a point. */
export function decodeEd25519Spki(der: Uint8Array): Uint8Array | undefined {
  return ofLength(
    readSpki(der, ed25519Identifier, (from) => from.rest()),
    32,
  )
}

/** `scalar`: as long as the curve's order (RFC 5915); `publicKey`, if given: uncompressed, written beside it as OpenSSL does. */
export function encodeEcPkcs8(curve: Curve, scalar: Uint8Array, publicKey?: Uint8Array): Uint8Array {
  const parts = publicKey === undefined ? [] : [{ tag: publicKeyTag, contents: [bitString(publicKey)] }]
  return encodePkcs8(ecIdentifier(curve), sequence(versionOne, octetString(scalar), ...parts))
}

/** What the PKCS#8 of an EC key holds. */
export interface EcPrivate {
  /** As long as the curve's order. */
  readonly scalar: Uint8Array
  /** Uncompressed, if written beside it. Whether both belong together is for the caller to check. */
  readonly publicKey?: Uint8Array
}

/** The parts, or undefined for anything but `encodeEcPkcs8`'s outputs for this curve. The scalar's range is not checked. */
export function decodeEcPkcs8(curve: Curve, der: Uint8Array): EcPrivate | undefined {
  const found = readPkcs8(der, ecIdentifier(curve), (from) =>
    from.within(tags.sequence, () => {
      from.expect(versionOne)
      const scalar = from.take(tags.octetString)
      if (!from.has(publicKeyTag)) return { scalar }
      return { scalar, point: from.within(publicKeyTag, () => from.withinBits(() => from.rest())) }
    }),
  )
  const scalar = ofLength(found?.scalar, curve.length)
  if (found === undefined || scalar === undefined) return undefined
  if (found.point === undefined) return { scalar }
  const publicKey = uncompressed(curve, found.point)
  return publicKey === undefined ? undefined : { scalar, publicKey }
}

/** `publicKey`: uncompressed (SEC 1 §2.3.3). */
export function encodeEcSpki(curve: Curve, publicKey: Uint8Array): Uint8Array {
  return encodeSpki(ecIdentifier(curve), publicKey)
}

/** The key, or undefined for anything but an uncompressed one of this curve. Not checked to be a point. */
export function decodeEcSpki(curve: Curve, der: Uint8Array): Uint8Array | undefined {
  return uncompressed(
    curve,
    readSpki(der, ecIdentifier(curve), (from) => from.rest()),
  )
}

function uncompressed({ length }: Curve, point: Uint8Array | undefined): Uint8Array | undefined {
  return point?.[0] === 4 ? ofLength(point, 1 + 2 * length) : undefined
}

/** An RSA public key; numbers are big-endian, without leading zeros. */
export interface RsaPublicNumbers {
  /** The modulus. */
  readonly n: Uint8Array
  /** The public exponent. */
  readonly e: Uint8Array
}

/** An RSA private key of two primes. */
export interface RsaPrivateNumbers extends RsaPublicNumbers {
  readonly d: Uint8Array
  readonly p: Uint8Array
  readonly q: Uint8Array
  /** d mod (p − 1) */
  readonly dp: Uint8Array
  /** d mod (q − 1) */
  readonly dq: Uint8Array
  /** q⁻¹ mod p */
  readonly qi: Uint8Array
}

/** RFC 8017 §A.1.2. Leading zeros of the numbers do not matter. */
export function encodeRsaPkcs8({ n, e, d, p, q, dp, dq, qi }: RsaPrivateNumbers): Uint8Array {
  return encodePkcs8(rsaIdentifier, sequence(versionZero, ...[n, e, d, p, q, dp, dq, qi].map(integer)))
}

/** The numbers, each positive and an array of its own, or undefined. Whether they belong together is not checked. */
export function decodeRsaPkcs8(der: Uint8Array): RsaPrivateNumbers | undefined {
  const found = readPkcs8(der, rsaIdentifier, (from) =>
    from.within(tags.sequence, () => {
      // Version 0: two primes.
      from.expect(versionZero)
      const next = () => from.integer()
      return { n: next(), e: next(), d: next(), p: next(), q: next(), dp: next(), dq: next(), qi: next() }
    }),
  )
  if (found === undefined || !Object.values(found).every(isPositive)) return undefined
  const { n, e, d, p, q, dp, dq, qi } = found
  return {
    n: n.slice(),
    e: e.slice(),
    d: d.slice(),
    p: p.slice(),
    q: q.slice(),
    dp: dp.slice(),
    dq: dq.slice(),
    qi: qi.slice(),
  }
}

/** RFC 8017 §A.1.1. Leading zeros of the numbers do not matter. */
export function encodeRsaSpki({ n, e }: RsaPublicNumbers): Uint8Array {
  return encodeSpki(rsaIdentifier, sequence(integer(n), integer(e)))
}

/** The numbers, each positive and an array of its own, or undefined. */
export function decodeRsaSpki(der: Uint8Array): RsaPublicNumbers | undefined {
  const found = readSpki(der, rsaIdentifier, (from) =>
    from.within(tags.sequence, () => ({ n: from.integer(), e: from.integer() })),
  )
  if (found === undefined || !isPositive(found.n) || !isPositive(found.e)) return undefined
  return { n: found.n.slice(), e: found.e.slice() }
}

function isPositive(digits: Uint8Array): boolean {
  return digits[0] !== 0
}

/** `seed`: 32 bytes, written as such (RFC 9881 §6). */
export function encodeMlDsaPkcs8(name: MlDsaName, seed: Uint8Array): Uint8Array {
  return encodePkcs8(mlDsaIdentifier(name), { tag: seedTag, contents: [seed] })
}

/** What the PKCS#8 of an ML-DSA key holds: one of them, or both. */
export interface MlDsaPrivate {
  /** 32 bytes. */
  readonly seed?: Uint8Array
  /** What the seed expands to; whether it does is for the caller to check. */
  readonly secretKey?: Uint8Array
}

/** The parts in any of the three forms of RFC 9881 §6, or undefined. */
export function decodeMlDsaPkcs8(name: MlDsaName, der: Uint8Array): MlDsaPrivate | undefined {
  const seed = (from: DerReader, tag: number) => ofLength(from.take(tag), mlDsaSeedLength)
  const secretKey = (from: DerReader) => ofLength(from.take(tags.octetString), mlDsaSets[name].secretKeyLength)
  const found = readPkcs8(der, mlDsaIdentifier(name), (from) => {
    if (from.has(seedTag)) return { seed: seed(from, seedTag) }
    if (from.has(tags.octetString)) return { secretKey: secretKey(from) }
    return from.within(tags.sequence, () => ({ seed: seed(from, tags.octetString), secretKey: secretKey(from) }))
  })
  if (found === undefined || Object.values(found).includes(undefined)) return undefined
  return { ...(found.seed && { seed: found.seed }), ...(found.secretKey && { secretKey: found.secretKey }) }
}

/** `publicKey`: as long as the parameter set has it (RFC 9881 §4). */
export function encodeMlDsaSpki(name: MlDsaName, publicKey: Uint8Array): Uint8Array {
  return encodeSpki(mlDsaIdentifier(name), publicKey)
}

/** The key, or undefined for anything but `encodeMlDsaSpki`'s output for this parameter set. */
export function decodeMlDsaSpki(name: MlDsaName, der: Uint8Array): Uint8Array | undefined {
  return ofLength(
    readSpki(der, mlDsaIdentifier(name), (from) => from.rest()),
    mlDsaSets[name].publicKeyLength,
  )
}

/** RFC 7468 text of an SPKI, with a final newline. */
export function publicKeyPem(spki: Uint8Array): string {
  return toPem('PUBLIC KEY', spki)
}

/** RFC 7468 text of DER: lines of 64, with a final newline. `label`: `PUBLIC KEY` for an SPKI, `PRIVATE KEY` for a PKCS#8. */
export function toPem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}

/**
 * The DER in a text that `toPem` would give with this label, with either end of line and with or without the last one;
 * undefined for any other text.
 */
export function fromPem(label: string, text: string): Uint8Array | undefined {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  if (lines.shift() !== `-----BEGIN ${label}-----` || lines.pop() !== `-----END ${label}-----`) return undefined
  const full = lines.slice(0, -1).every((line) => line.length === 64)
  const last = lines.at(-1)?.length ?? 0
  return full && last > 0 && last <= 64 ? fromBase64(lines.join('')) : undefined
}
