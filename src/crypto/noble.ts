/** The portable engine over the @noble packages: browsers, workers, Bun, Deno. Audited, pure JavaScript, slower. */
import { aeskwp, ecb, gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ed25519 as curve } from '@noble/curves/ed25519.js'
import { hmac as nobleHmac } from '@noble/hashes/hmac.js'
import { scryptAsync } from '@noble/hashes/scrypt.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { host } from '../model/host.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { type AeadName, checkAeadKey, checkNonce, tagLength } from './aead.ts'
import { concat, equal, wipe } from './bytes.ts'
import type { Curve } from './curves.ts'
import { toDer } from './ecdsa.ts'
import { nobleCurves, signDigest, verifyDigest } from './ecdsa-digest.ts'
import type { Aead, EcdsaKey, EcdsaVerifier, Ed25519Key, Engine, Mac, ScryptParameters } from './engine.ts'
import { rsa } from './rsa-web.ts'
import { type XaesParts, xaes } from './xaes.ts'

const digests = { sha256, sha384, sha512 } as const

export const engine: Engine = {
  name: 'noble',
  fips: () => false,
  randomFill,
  hash: (algorithm, data) => digests[algorithm](data),
  hashInto: (algorithm, data, out, at) => out.set(digests[algorithm](data), at),
  hmac,
  aead,
  ed25519,
  ed25519Equation,
  ed25519EquationLater,
  ecdsa,
  ecdsaVerifier,
  rsa,
  kwp: { wrap, unwrap },
  scrypt: scryptInSlices,
}

/** Web Cryptography §10.1.1: at most 65,536 bytes a call. */
function randomFill(out: Uint8Array): void {
  for (let at = 0; at < out.length; at += 65_536) host.crypto.getRandomValues(out.subarray(at, at + 65_536))
}

function hmac(algorithm: HashAlgorithm, key: Uint8Array): Mac {
  const own = key.slice()
  const digest = digests[algorithm]
  return {
    compute: (input) => nobleHmac(digest, own, input),
    destroy: () => wipe(own),
  }
}

const ciphers = {
  'aes-128-gcm': gcm,
  'aes-256-gcm': gcm,
  'chacha20-poly1305': chacha20poly1305,
  'xchacha20-poly1305': xchacha20poly1305,
} as const

function aead(name: AeadName, key: Uint8Array): Aead {
  checkAeadKey(name, key)
  const own = key.slice()
  if (name === 'xaes-256-gcm') return xaes(xaesParts(own))
  const cipher = ciphers[name]
  return {
    seal(nonce, aad, plaintext, out, at) {
      checkNonce(name, nonce)
      out.set(cipher(own, nonce, aad).encrypt(plaintext), at)
    },
    open(nonce, aad, sealed, at) {
      checkNonce(name, nonce)
      return opened(cipher(own, nonce, aad), sealed, at)
    },
    destroy: () => wipe(own),
  }
}

function xaesParts(key: Uint8Array): XaesParts {
  return {
    encryptBlocks: (blocks) => ecb(key, { disablePadding: true }).encrypt(blocks),
    seal: (messageKey, nonce, aad, plaintext, out, at) => out.set(gcm(messageKey, nonce, aad).encrypt(plaintext), at),
    open: (messageKey, nonce, aad, sealed, at) => opened(gcm(messageKey, nonce, aad), sealed, at),
    destroy: () => wipe(key),
  }
}

function opened(
  cipher: { decrypt(sealed: Uint8Array): Uint8Array },
  sealed: Uint8Array,
  at: number,
): Uint8Array | undefined {
  if (sealed.length - at < tagLength) return undefined
  try {
    return cipher.decrypt(sealed.subarray(at))
  } catch {
    // With key, nonce and tag of the right length, noble throws for one reason only: the tag does not match.
    return undefined
  }
}

function ed25519(seed: Uint8Array): Ed25519Key {
  const own = seed.slice()
  return {
    publicKey: curve.getPublicKey(own),
    sign: (message) => curve.sign(message, own),
    destroy: () => wipe(own),
  }
}

const { Point } = curve

// noble's own `verify` multiplies by the cofactor, OpenSSL does not: the equation is spelt out, so that both agree.
function ed25519Equation(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => boolean {
  const key = decodePoint(publicKey)
  if (key === undefined) return () => false
  const negated = key.negate()
  return (message, signature) => {
    const r = signature.subarray(0, 32)
    const s = littleEndian(signature.subarray(32))
    // RFC 8032 §5.1.7: k = SHA-512(R ‖ A ‖ M) mod L; R' = [S]B − [k]A, compared as encoded.
    const k = Point.Fn.create(littleEndian(sha512(concat([r, publicKey, message]))))
    return equal(Point.BASE.multiplyUnsafe(s).add(negated.multiplyUnsafe(k)).toBytes(), r)
  }
}

/** There are no other threads: as soon as it is asked. */
function ed25519EquationLater(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => Promise<boolean> {
  const holds = ed25519Equation(publicKey)
  return async (message, signature) => holds(message, signature)
}

function decodePoint(bytes: Uint8Array): InstanceType<typeof Point> | undefined {
  try {
    return Point.fromBytes(bytes)
  } catch {
    // The length is right, so the bytes are no point of the curve.
    return undefined
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  let digits = '0x'
  for (let at = bytes.length - 1; at >= 0; at--) digits += (bytes[at] ?? 0).toString(16).padStart(2, '0')
  return BigInt(digits)
}

function ecdsa(curve: Curve, scalar: Uint8Array): EcdsaKey {
  const own = scalar.slice()
  return {
    publicKey: nobleCurves[curve.name].getPublicKey(own, false),
    sign(algorithm, input, format) {
      const signature = signDigest(curve, own, digests[algorithm](input))
      return format === 'der' ? toDer(signature) : signature
    },
    destroy: () => wipe(own),
  }
}

function ecdsaVerifier(curve: Curve, publicKey: Uint8Array): EcdsaVerifier | undefined {
  if (!nobleCurves[curve.name].utils.isValidPublicKey(publicKey, false)) return undefined
  return (algorithm, input, signature) => verifyDigest(curve, publicKey, digests[algorithm](input), signature)
}

function wrap(key: Uint8Array, material: Uint8Array): Uint8Array {
  return aeskwp(key).encrypt(material)
}

function unwrap(key: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined {
  const cipher = aeskwp(key)
  try {
    const material = cipher.decrypt(wrapped)
    const own = material.slice()
    wipe(material)
    return own
  } catch {
    // With key and input of the right lengths, noble throws for one reason only: it is not authentic.
    return undefined
  }
}

/** Gives the event loop a turn every 10 ms. */
function scryptInSlices({ passphrase, salt, N, r, p, length }: ScryptParameters): Promise<Uint8Array> {
  const maxmem = 256 * r * (N + p)
  return scryptAsync(passphrase, salt, { N, r, p, dkLen: length, asyncTick: 10, maxmem })
}
