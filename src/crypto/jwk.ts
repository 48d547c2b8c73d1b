/**
 * JSON Web Keys (RFC 7517): `oct` and `RSA` (RFC 7518 §6), `EC` (the same, and RFC 8812 for secp256k1), `OKP` for Ed25519
 * (RFC 8037), `AKP` for ML-DSA (RFC 9964), whose private part is the seed.
 */
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import { algorithms, isFor } from './algorithms.ts'
import { fromBase64url, fromUtf8, toBase64url, utf8, wipe } from './bytes.ts'
import { type CurveName, curves } from './curves.ts'
import type { Engine } from './engine.ts'
import {
  decodeEcSpki,
  decodeEd25519Spki,
  decodeMlDsaSpki,
  decodeRsaPkcs8,
  decodeRsaSpki,
  encodeRsaPkcs8,
  type RsaPrivate,
} from './pkcs8.ts'

/** Members that are text; a JWK of ours has no others. */
export type Jwk = Readonly<Record<string, string>>

/** What stands in a JWK of this type, and which `alg` may stand in one that comes in. */
interface Shape {
  readonly kty: 'oct' | 'RSA' | 'EC' | 'OKP' | 'AKP'
  readonly crv?: string
  readonly curve?: CurveName
  readonly algs: readonly string[]
}

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
  ed25519: { kty: 'OKP', crv: 'Ed25519', algs: ['EdDSA', 'Ed25519'] },
  'ecdsa-p256': { kty: 'EC', crv: 'P-256', curve: 'p256', algs: ['ES256'] },
  'ecdsa-p384': { kty: 'EC', crv: 'P-384', curve: 'p384', algs: ['ES384'] },
  'ecdsa-p521': { kty: 'EC', crv: 'P-521', curve: 'p521', algs: ['ES512'] },
  'ecdsa-secp256k1': { kty: 'EC', crv: 'secp256k1', curve: 'secp256k1', algs: ['ES256K'] },
  'ml-dsa-44': { kty: 'AKP', algs: ['ML-DSA-44'] },
  'ml-dsa-65': { kty: 'AKP', algs: ['ML-DSA-65'] },
  'ml-dsa-87': { kty: 'AKP', algs: ['ML-DSA-87'] },
  hmac: { kty: 'oct', algs: ['HS256'] },
  'hmac-sha256': { kty: 'oct', algs: ['HS256'] },
  'hmac-sha384': { kty: 'oct', algs: ['HS384'] },
  'hmac-sha512': { kty: 'oct', algs: ['HS512'] },
}

/** The JWK of a public key, from its SPKI. Types of more than one `alg` have none in it. */
export function publicJwk(keyType: KeyType, spki: Uint8Array): Jwk {
  const { kty, crv, curve } = shapes[keyType]
  switch (kty) {
    case 'RSA': {
      const { n, e } = sound(decodeRsaSpki(spki))
      return { kty, n: toBase64url(n), e: toBase64url(e) }
    }
    case 'EC': {
      const point = sound(curve && decodeEcSpki(curve, spki))
      const half = (point.length - 1) / 2
      return {
        kty,
        crv: crv ?? '',
        x: toBase64url(point.subarray(1, 1 + half)),
        y: toBase64url(point.subarray(1 + half)),
      }
    }
    case 'OKP':
      return { kty, crv: crv ?? '', x: toBase64url(sound(decodeEd25519Spki(spki))) }
    case 'AKP':
      return { kty, alg: keyType.toUpperCase(), pub: toBase64url(sound(decodeMlDsaSpki(keyType, spki))) }
    case 'oct':
      throw new KmsError('INTERNAL', `a key of type ${keyType} has no public key`)
  }
}
