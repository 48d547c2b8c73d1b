/**
 * JSON Web Keys (RFC 7517): `oct` and `RSA` (RFC 7518 §6), `EC` (the same, and RFC 8812 for secp256k1), `OKP` for Ed25519
 * (RFC 8037), `AKP` for ML-DSA (draft-ietf-cose-dilithium), whose private part is the seed.
 */
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import { andThen } from '../model/promise.ts'
import { algorithms, isFor } from './algorithms.ts'
import { fromBase64url, fromUtf8, toBase64url, utf8, wipe } from './bytes.ts'
import { type Curve, curves } from './curves.ts'
import type { Engine } from './engine.ts'
import type { MlDsaName } from './ml-dsa-sets.ts'
import {
  decodeEcSpki,
  decodeEd25519Spki,
  decodeMlDsaSpki,
  decodeRsaPkcs8,
  decodeRsaSpki,
  encodeRsaPkcs8,
} from './pkcs8.ts'

/** All members are text. */
export type Jwk = Readonly<Record<string, string>>

/** What tells the type of a JWK, and which `alg` may stand in one that comes in. */
type Shape = { readonly algs: readonly string[] } & (
  | { readonly kty: 'oct' | 'RSA' | 'OKP' }
  | { readonly kty: 'EC'; readonly curve: Curve }
  | { readonly kty: 'AKP'; readonly set: MlDsaName }
)

const rsa: Shape = { kty: 'RSA', algs: ['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512', 'RSA-OAEP-256'] }

const shapes: { readonly [T in KeyType]: Shape } = {
  'aes128-gcm96': { kty: 'oct', algs: ['A128GCM'] },
  'aes256-gcm96': { kty: 'oct', algs: ['A256GCM'] },
  'chacha20-poly1305': { kty: 'oct', algs: ['C20P'] },
  'xchacha20-poly1305': { kty: 'oct', algs: ['XC20P'] },
  'xaes256-gcm': { kty: 'oct', algs: [] },
  'rsa-2048': rsa,
  'rsa-3072': rsa,
  'rsa-4096': rsa,
  ed25519: { kty: 'OKP', algs: ['EdDSA', 'Ed25519'] },
  'ecdsa-p256': { kty: 'EC', curve: curves.p256, algs: ['ES256'] },
  'ecdsa-p384': { kty: 'EC', curve: curves.p384, algs: ['ES384'] },
  'ecdsa-p521': { kty: 'EC', curve: curves.p521, algs: ['ES512'] },
  'ecdsa-secp256k1': { kty: 'EC', curve: curves.secp256k1, algs: ['ES256K'] },
  'ml-dsa-44': { kty: 'AKP', set: 'ml-dsa-44', algs: ['ML-DSA-44'] },
  'ml-dsa-65': { kty: 'AKP', set: 'ml-dsa-65', algs: ['ML-DSA-65'] },
  'ml-dsa-87': { kty: 'AKP', set: 'ml-dsa-87', algs: ['ML-DSA-87'] },
  hmac: { kty: 'oct', algs: ['HS256'] },
  'hmac-sha256': { kty: 'oct', algs: ['HS256'] },
  'hmac-sha384': { kty: 'oct', algs: ['HS384'] },
  'hmac-sha512': { kty: 'oct', algs: ['HS512'] },
}

/** The JWK of a public key, from its SPKI. `alg` stands in it only where `kty` demands one. */
export function publicJwk(keyType: KeyType, spki: Uint8Array): Jwk {
  const shape = shapes[keyType]
  switch (shape.kty) {
    case 'RSA': {
      const { n, e } = sound(decodeRsaSpki(spki))
      return { kty: 'RSA', n: toBase64url(n), e: toBase64url(e) }
    }
    case 'EC': {
      const { title, length } = shape.curve
      const point = sound(decodeEcSpki(shape.curve, spki))
      const [x, y] = [point.subarray(1, 1 + length), point.subarray(1 + length)].map(toBase64url)
      return { kty: 'EC', crv: title, x: x ?? '', y: y ?? '' }
    }
    case 'OKP':
      return { kty: 'OKP', crv: 'Ed25519', x: toBase64url(sound(decodeEd25519Spki(spki))) }
    case 'AKP':
      return { kty: 'AKP', alg: shape.algs[0] ?? '', pub: toBase64url(sound(decodeMlDsaSpki(shape.set, spki))) }
    case 'oct':
      throw new KmsError('INTERNAL', `a key of type ${keyType} has no public key`)
  }
}

/** The secret JWK of key material, as UTF-8 text without spaces: bytes that the caller owns, and wipes. */
export function encodeJwk(engine: Engine, keyType: KeyType, material: Uint8Array): Uint8Array {
  const { kty } = shapes[keyType]
  if (kty === 'oct') return utf8(JSON.stringify({ kty, k: toBase64url(material) }))
  return utf8(
    JSON.stringify({ ...publicJwk(keyType, spkiOf(engine, keyType, material)), ...secretPart(kty, material) }),
  )
}

function secretPart(kty: Exclude<Shape['kty'], 'oct'>, material: Uint8Array): Jwk {
  if (kty === 'AKP') return { priv: toBase64url(material) }
  if (kty !== 'RSA') return { d: toBase64url(material) }
  const { d, p, q, dp, dq, qi } = sound(decodeRsaPkcs8(material))
  const [d64 = '', p64 = '', q64 = '', dp64 = '', dq64 = '', qi64 = ''] = [d, p, q, dp, dq, qi].map(toBase64url)
  wipe(d, p, q, dp, dq, qi)
  return { d: d64, p: p64, q: q64, dp: dp64, dq: dq64, qi: qi64 }
}

/**
 * The material that a secret JWK holds; undefined for text that is none, for another type of key, for a public key alone, and
 * for one whose parts do not belong together. `alg` and `use`, where given, must fit the type; what else stands in it is of
 * no account (RFC 7517 §4).
 */
export function decodeJwk(
  engine: Engine,
  keyType: KeyType,
  text: Uint8Array,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  const jwk = parseJwk(text)
  if (jwk === undefined || !fits(keyType, jwk)) return undefined
  const shape = shapes[keyType]
  if (shape.kty === 'RSA') return decodeRsaJwk(engine, keyType, jwk)
  const material = bytesOf(jwk, shape.kty === 'oct' ? 'k' : shape.kty === 'AKP' ? 'priv' : 'd')
  if (material === undefined || !algorithms[keyType].valid(material)) return undefined
  if (shape.kty === 'oct' || samePublic(publicJwk(keyType, spkiOf(engine, keyType, material)), jwk)) return material
  wipe(material)
  return undefined
}

function decodeRsaJwk(
  engine: Engine,
  keyType: KeyType,
  jwk: Members,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  const [n, e, d, p, q, dp, dq, qi] = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => numberOf(jwk, name))
  if (!n || !e || !d || !p || !q || !dp || !dq || !qi) return undefined
  const der = encodeRsaPkcs8({ n, e, d, p, q, dp, dq, qi })
  return andThen(algorithms[keyType].decode(engine, der), (material) => {
    wipe(der, d, p, q, dp, dq, qi)
    return material
  })
}

type Members = ReadonlyMap<string, unknown>

function parseJwk(text: Uint8Array): Members | undefined {
  try {
    const parsed: unknown = JSON.parse(fromUtf8(text) ?? '')
    return typeof parsed === 'object' && parsed !== null ? new Map(Object.entries(parsed)) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function fits(keyType: KeyType, jwk: Members): boolean {
  const { kty, algs } = shapes[keyType]
  const { uses } = algorithms[keyType]
  const [alg, use] = [jwk.get('alg'), jwk.get('use')]
  const isUse = (use === 'enc' && uses.includes('encrypt')) || (use === 'sig' && !isOnlyFor('encrypt', uses))
  const isAlg = typeof alg === 'string' && algs.includes(alg)
  return jwk.get('kty') === kty && (isAlg || (alg === undefined && kty !== 'AKP')) && (isUse || use === undefined)
}

function isOnlyFor(use: string, uses: readonly string[]): boolean {
  return uses.every((one) => one === use)
}

/** RFC 7518 §6.2.1.2, 6.3.1: one spelling each, without padding; coordinates in full length, numbers without leading zeros. */
function bytesOf(jwk: Members, name: string): Uint8Array | undefined {
  const text = jwk.get(name)
  return typeof text === 'string' ? fromBase64url(text) : undefined
}

function numberOf(jwk: Members, name: string): Uint8Array | undefined {
  const bytes = bytesOf(jwk, name)
  return bytes === undefined || bytes.length === 0 || bytes[0] === 0 ? undefined : bytes
}

function samePublic(expected: Jwk, jwk: Members): boolean {
  return Object.entries(expected).every(([name, text]) => jwk.get(name) === text)
}

function spkiOf(engine: Engine, keyType: KeyType, material: Uint8Array): Uint8Array {
  const algorithm = algorithms[keyType]
  if (!isFor('sign', algorithm)) throw new KmsError('INTERNAL', `a key of type ${keyType} has no public key`)
  const key = algorithm.open(engine, material, 1)
  try {
    return key.publicKey.spki
  } finally {
    key.destroy()
  }
}

/** What a codec of ours gave for what was written by another. */
function sound<T>(decoded: T | undefined): T {
  if (decoded === undefined) throw new KmsError('INTERNAL', 'a key of ours cannot be read')
  return decoded
}
