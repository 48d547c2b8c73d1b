/** The key types that a token can hold as a table: how each is made, used and recognized, and which mechanisms it takes. */
import { equal, toBase64 } from '../../crypto/bytes.ts'
import { type Curve, curves } from '../../crypto/curves.ts'
import { encodeDer, objectIdentifier, readDer, tags } from '../../crypto/der.ts'
import { encodeEcSpki, encodeEd25519Spki, encodeRsaSpki, publicKeyPem } from '../../crypto/pkcs8.ts'
import type { KeyType } from '../../model/key.ts'
import type { HashAlgorithm } from '../../model/operation.ts'
import { ckk, type MechanismName } from './constants.ts'
import type { Making, ObjectFacts } from './protocol.ts'

export type Use = 'encrypt' | 'sign' | 'mac'

export interface TokenKeyType {
  readonly keyType: KeyType
  readonly uses: readonly Use[]
  readonly making: Making
  /** What makes it. */
  readonly maker: MechanismName
  readonly kind: Kind
}

export type Kind =
  | { readonly is: 'aes' }
  | { readonly is: 'rsa'; readonly size: number }
  | { readonly is: 'ecdsa'; readonly curve: Curve }
  | { readonly is: 'ed25519' }
  | {
      readonly is: 'hmac'
      readonly hashAlgorithm: HashAlgorithm
      readonly mechanism: MechanismName
      readonly size: number
    }

export const keyTypes: readonly TokenKeyType[] = [
  aes('aes128-gcm96', 16),
  aes('aes256-gcm96', 32),
  rsa('rsa-2048', 2048),
  rsa('rsa-3072', 3072),
  rsa('rsa-4096', 4096),
  ecdsa('ecdsa-p256', curves.p256),
  ecdsa('ecdsa-p384', curves.p384),
  ecdsa('ecdsa-p521', curves.p521),
  ecdsa('ecdsa-secp256k1', curves.secp256k1),
  {
    keyType: 'ed25519',
    uses: ['sign'],
    // RFC 8410 §3.
    making: { is: 'edwards', params: encodeDer(objectIdentifier('1.3.101.112')) },
    maker: 'EC_EDWARDS_KEY_PAIR_GEN',
    kind: { is: 'ed25519' },
  },
  hmac('hmac-sha256', 'sha256', 'SHA256_HMAC', 32),
  hmac('hmac-sha384', 'sha384', 'SHA384_HMAC', 48),
  hmac('hmac-sha512', 'sha512', 'SHA512_HMAC', 64),
  hmac('hmac', 'sha256', 'SHA256_HMAC', 32),
]

export function typeNamed(keyType: string): TokenKeyType | undefined {
  return keyTypes.find((type) => type.keyType === keyType)
}

/** Which key type an object of the token is; undefined for one that we have no name for. */
export function typeOf(facts: ObjectFacts, plainHmac: boolean): TokenKeyType | undefined {
  return keyTypes.find(({ keyType, kind, making }) => {
    switch (making.is) {
      case 'aes':
        return facts.keyType === ckk.AES && facts.valueLength === making.length
      case 'secret':
        if (plainHmac !== (keyType === 'hmac') || facts.valueLength !== making.length || kind.is !== 'hmac')
          return false
        return facts.keyType === ckk.GENERIC_SECRET || facts.keyType === hmacKeyTypes[kind.hashAlgorithm]
      case 'rsa':
        if (facts.exponent !== undefined && !equal(stripped(facts.exponent), usualExponent)) return false
        return facts.keyType === ckk.RSA && bitsOf(facts.modulus) === making.bits
      case 'ec':
        return facts.keyType === ckk.EC && equal(facts.ecParams ?? nothing, making.params)
      default:
        return facts.keyType === ckk.EC_EDWARDS && isEd25519(facts.ecParams ?? nothing, making.params)
    }
  })
}

const nothing = new Uint8Array(0)
const usualExponent = Uint8Array.of(1, 0, 1)
const hmacKeyTypes = { sha256: ckk.SHA256_HMAC, sha384: ckk.SHA384_HMAC, sha512: ckk.SHA512_HMAC }

function bitsOf(modulus: Uint8Array | undefined): number {
  const start = modulus?.findIndex((byte) => byte !== 0) ?? -1
  if (modulus === undefined || start < 0) return 0
  return 8 * (modulus.length - start) - Math.clz32(modulus[start] ?? 0) + 24
}

/** PKCS#11 3.0 §2.3.10: the curve as an object identifier, or by name. */
function isEd25519(params: Uint8Array, oid: Uint8Array): boolean {
  if (equal(params, oid)) return true
  const name = readDer(params, (from) => from.take(0x13))
  return name !== undefined && String.fromCharCode(...name) === 'edwards25519'
}

export interface PublicKey {
  readonly spki: Uint8Array
  /** PEM, or base64 of the raw 32 bytes for Ed25519. */
  readonly text: string
}

/** What the private or the public object tells, put together; undefined where it does not tell enough. */
export function publicKeyOf(kind: Kind, facts: readonly ObjectFacts[]): PublicKey | undefined {
  const modulus = facts.find((one) => one.modulus !== undefined)?.modulus
  const exponent = facts.find((one) => one.exponent !== undefined)?.exponent
  const point = facts.find((one) => one.ecPoint !== undefined)?.ecPoint
  if (kind.is === 'rsa')
    return modulus && exponent && pem(encodeRsaSpki({ n: stripped(modulus), e: stripped(exponent) }))
  if (kind.is === 'ecdsa') {
    const uncompressed = point && pointOf(point, 1 + 2 * kind.curve.length)
    return uncompressed && pem(encodeEcSpki(kind.curve, uncompressed))
  }
  if (kind.is !== 'ed25519' || point === undefined) return undefined
  const raw = pointOf(point, 32)
  return raw && { spki: encodeEd25519Spki(raw), text: toBase64(raw) }
}

function pem(spki: Uint8Array): PublicKey {
  return { spki, text: publicKeyPem(spki) }
}

function stripped(number: Uint8Array): Uint8Array {
  const start = number.findIndex((byte) => byte !== 0)
  return number.subarray(Math.max(0, start))
}

/** CKA_EC_POINT: in an OCTET STRING as PKCS#11 2.40 has it, in a BIT STRING, or bare, as some tokens do. */
function pointOf(value: Uint8Array, length: number): Uint8Array | undefined {
  if (value.length === length) return value
  const octets = readDer(value, (from) => from.take(tags.octetString))
  const bits = readDer(value, (from) => from.withinBits(() => from.rest()))
  const point = octets ?? bits
  return point?.length === length ? point : undefined
}

function aes(keyType: KeyType, length: number): TokenKeyType {
  return { keyType, uses: ['encrypt'], making: { is: 'aes', length }, maker: 'AES_KEY_GEN', kind: { is: 'aes' } }
}

function rsa(keyType: KeyType, bits: number): TokenKeyType {
  const kind = { is: 'rsa', size: bits / 8 } as const
  return { keyType, uses: ['encrypt', 'sign'], making: { is: 'rsa', bits }, maker: 'RSA_PKCS_KEY_PAIR_GEN', kind }
}

function ecdsa(keyType: KeyType, curve: Curve): TokenKeyType {
  const params = encodeDer(objectIdentifier(curve.oid))
  const kind = { is: 'ecdsa', curve } as const
  return { keyType, uses: ['sign'], making: { is: 'ec', params }, maker: 'EC_KEY_PAIR_GEN', kind }
}

function hmac(keyType: KeyType, hashAlgorithm: HashAlgorithm, mechanism: MechanismName, size: number): TokenKeyType {
  const kind = { is: 'hmac', hashAlgorithm, mechanism, size } as const
  return { keyType, uses: ['mac'], making: { is: 'secret', length: size }, maker: 'GENERIC_SECRET_KEY_GEN', kind }
}
