/**
 * One version of a transit key as key material: what Vault keeps of it, and the facts of its policy that change what its
 * ciphertexts are.
 *
 *     01 ‖ derivation ‖ convergent version ‖ lp(key) ‖ lp(HMAC key)
 *
 * `key` is raw for symmetric types, the seed for Ed25519 (derived: all 64 bytes that Go keeps), the scalar for ECDSA, PKCS#8
 * for RSA.
 */
import type { TransitKeyType } from '../model/key.ts'
import { type AeadName, aeads } from './aead.ts'
import { concat, lp } from './bytes.ts'
import { type Curve, curves, validScalar } from './curves.ts'
import { isRsaMaterial } from './rsa.ts'
import type { RsaKeyType } from './rsa-parts.ts'

/** How a key is derived for each context: not at all, by the counter mode of old keys, by HKDF. */
export type TransitDerivation = 'none' | 'counter' | 'hkdf'

export interface TransitVersion {
  readonly key: Uint8Array
  /** Of every type but `transit-hmac`, whose key is that; empty where a very old version has none. */
  readonly hmacKey: Uint8Array
  readonly derivation: TransitDerivation
  /** 0: nonces are random. 1: callers kept the nonce. 2 and 3: it is made of the plaintext and stands in the ciphertext. */
  readonly convergent: number
}

/** What a transit key type is by its native counterpart. */
export type TransitKind =
  | { readonly is: 'aead'; readonly aead: AeadName }
  | { readonly is: 'ed25519' }
  | { readonly is: 'ecdsa'; readonly curve: Curve; readonly native: 'ecdsa-p256' | 'ecdsa-p384' | 'ecdsa-p521' }
  | { readonly is: 'rsa'; readonly native: RsaKeyType }
  | { readonly is: 'hmac' }

export const transitKinds: { readonly [T in TransitKeyType]: TransitKind } = {
  'transit-aes128-gcm96': { is: 'aead', aead: 'aes-128-gcm' },
  'transit-aes256-gcm96': { is: 'aead', aead: 'aes-256-gcm' },
  'transit-chacha20-poly1305': { is: 'aead', aead: 'chacha20-poly1305' },
  'transit-xchacha20-poly1305': { is: 'aead', aead: 'xchacha20-poly1305' },
  'transit-ed25519': { is: 'ed25519' },
  'transit-ecdsa-p256': { is: 'ecdsa', curve: curves.p256, native: 'ecdsa-p256' },
  'transit-ecdsa-p384': { is: 'ecdsa', curve: curves.p384, native: 'ecdsa-p384' },
  'transit-ecdsa-p521': { is: 'ecdsa', curve: curves.p521, native: 'ecdsa-p521' },
  'transit-rsa-2048': { is: 'rsa', native: 'rsa-2048' },
  'transit-rsa-3072': { is: 'rsa', native: 'rsa-3072' },
  'transit-rsa-4096': { is: 'rsa', native: 'rsa-4096' },
  'transit-hmac': { is: 'hmac' },
}

const format = 1
const headLength = 3
const derivations: readonly TransitDerivation[] = ['none', 'counter', 'hkdf']

/** Key material of `importKey` and `importKeyVersion`: bytes that the caller owns, and wipes. */
export function encodeTransitVersion({ key, hmacKey, derivation, convergent }: TransitVersion): Uint8Array {
  const head = Uint8Array.of(format, derivations.indexOf(derivation), convergent)
  const parts = [lp(key), lp(hmacKey)]
  const encoded = concat([head, ...parts])
  for (const part of parts) part.fill(0)
  return encoded
}

/** The version, its keys being views of `material`; undefined for what is none of this type. */
export function decodeTransitVersion(keyType: TransitKeyType, material: Uint8Array): TransitVersion | undefined {
  const key = prefixed(material, headLength)
  const hmacKey = key === undefined ? undefined : prefixed(material, headLength + 4 + key.length)
  const [first, by = 0, convergent = 0] = material
  const derivation = derivations[by]
  if (key === undefined || hmacKey === undefined || derivation === undefined || first !== format) return undefined
  if (headLength + 8 + key.length + hmacKey.length !== material.length) return undefined
  const version = { key, hmacKey, derivation, convergent }
  return isSound(transitKinds[keyType], version) ? version : undefined
}

function prefixed(bytes: Uint8Array, at: number): Uint8Array | undefined {
  if (at + 4 > bytes.length) return undefined
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at)
  return length <= bytes.length - at - 4 ? bytes.subarray(at + 4, at + 4 + length) : undefined
}

function isSound(kind: TransitKind, { key, hmacKey, derivation, convergent }: TransitVersion): boolean {
  if (kind.is === 'hmac' ? hmacKey.length !== 0 : hmacKey.length > longestHmacKey) return false
  // Vault derives keys of these two only, convergent nonces only under derived keys, and Ed25519 and short keys by HKDF alone.
  if (derivation !== 'none' && kind.is !== 'aead' && kind.is !== 'ed25519') return false
  if (convergent > 3 || (convergent > 0 && (derivation === 'none' || kind.is !== 'aead'))) return false
  switch (kind.is) {
    case 'aead': {
      const { keyLength } = aeads[kind.aead]
      return key.length === keyLength && (derivation !== 'counter' || keyLength === 32)
    }
    case 'ed25519':
      return derivation === 'none' ? key.length === 32 : derivation === 'hkdf' && key.length === 64
    case 'ecdsa':
      return validScalar(kind.curve, key)
    case 'rsa':
      return isRsaMaterial(kind.native, key)
    case 'hmac':
      return key.length >= shortestHmacKey && key.length <= longestHmacKey
  }
}

// Vault's own bounds of an HMAC key.
const shortestHmacKey = 32
const longestHmacKey = 512
