/** @node The engine over node:crypto: synchronous, with a KeyObject prepared for every key that stays. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  getFips,
  hash,
  type KeyObject,
  randomFillSync,
  scrypt,
  sign,
  verify,
} from 'node:crypto'
import { KmsError } from '../model/errors.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { type AeadName, checkAeadKey, checkNonce, tagLength } from './aead.ts'
import { der, owned } from './buffer.ts'
import { wipe } from './bytes.ts'
import type { Curve } from './curves.ts'
import { toDer, withLowS } from './ecdsa.ts'
import type { Aead, EcdsaKey, EcdsaVerifier, Ed25519Key, Engine, Mac, ScryptParameters } from './engine.ts'
import { kwp } from './kwp-node.ts'
import { digestLength } from './options.ts'
import { encodeEcPkcs8, encodeEcSpki, encodeEd25519Pkcs8, encodeEd25519Spki } from './pkcs8.ts'
import { rsa } from './rsa-node.ts'
import { type XaesParts, xaes } from './xaes.ts'
import { type XChachaParts, xchacha } from './xchacha.ts'

export const engine: Engine = {
  name: 'node',
  fips: () => getFips() === 1,
  randomFill: (out) => void randomFillSync(out),
  hash: oneShotHash,
  hashInto: oneShotHashInto,
  hmac,
  aead,
  ed25519,
  ed25519Equation,
  ed25519EquationLater,
  ecdsa,
  ecdsaVerifier,
  rsa,
  kwp,
  scrypt: scryptOffThread,
}

// OpenSSL clears a key when its KeyObject is collected: all there is to do is to let go of it.
function letGo(): void {}

// Measured: one-shot with the digest as text is faster than into a Buffer, and the array is then our own.
function oneShotHash(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  return fromLatin1(hash(algorithm, data, 'binary'))
}

function oneShotHashInto(algorithm: HashAlgorithm, data: Uint8Array, out: Uint8Array, at: number): void {
  const digest = hash(algorithm, data, 'binary')
  for (let from = 0; from < digest.length; from++) out[at + from] = digest.charCodeAt(from)
}

function fromLatin1(text: string): Uint8Array {
  const out = new Uint8Array(text.length)
  for (let at = 0; at < out.length; at++) out[at] = text.charCodeAt(at)
  return out
}

/** Of RFC 2104: bytes that the hash takes in at once. */
const blockLengths: { readonly [H in HashAlgorithm]: number } = { sha256: 64, sha384: 128, sha512: 128 }

// Measured: up to here two one-shot hashes over prepared blocks take half the time of an Hmac object; beyond, the copy
// of the input costs more than that.
const shortInput = 8 * 1024
/** One for all keys, wiped after each use: calls are synchronous. */
const inner = new Uint8Array(128 + shortInput)

function hmac(algorithm: HashAlgorithm, key: Uint8Array): Mac {
  const secret = createSecretKey(key)
  const whole = (input: Uint8Array) => fromLatin1(createHmac(algorithm, secret).update(input).digest('binary'))
  // There, HMAC is the module's as a whole.
  if (getFips() === 1) return { compute: whole, destroy: letGo }
  const blockLength = blockLengths[algorithm]
  const innerBlock = padded(algorithm, key, 0x36)
  // RFC 2104 §2: the outer hash goes over its block and the inner digest.
  const outerBlock = padded(algorithm, key, 0x5c)
  const outer = new Uint8Array(blockLength + digestLength[algorithm])
  return {
    compute(input) {
      const length = blockLength + input.length
      if (input.length > shortInput) return whole(input)
      try {
        inner.set(innerBlock)
        inner.set(input, blockLength)
        outer.set(outerBlock)
        oneShotHashInto(algorithm, inner.subarray(0, length), outer, blockLength)
        return oneShotHash(algorithm, outer)
      } finally {
        inner.fill(0, 0, length)
        outer.fill(0)
      }
    },
    destroy: () => wipe(innerBlock, outerBlock),
  }
}

/** RFC 2104 §2: the key, hashed if it is longer than a block, filled up with zeros, and every byte ⊕ `mask`. */
function padded(algorithm: HashAlgorithm, key: Uint8Array, mask: number): Uint8Array {
  const out = new Uint8Array(blockLengths[algorithm])
  if (key.length <= out.length) out.set(key)
  else oneShotHashInto(algorithm, key, out, 0)
  for (let at = 0; at < out.length; at++) out[at] = (out[at] ?? 0) ^ mask
  return out
}

type GcmLike = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'

function aead(name: AeadName, key: Uint8Array): Aead {
  checkAeadKey(name, key)
  if (name === 'xaes-256-gcm') return xaes(xaesParts(key))
  if (name === 'chacha20-poly1305' || name === 'xchacha20-poly1305') refuseInFips(name)
  if (name === 'xchacha20-poly1305') return xchacha(key, xchachaParts)
  const secret = createSecretKey(key)
  return {
    seal(nonce, aad, plaintext, out, at) {
      checkNonce(name, nonce)
      sealInto(name, secret, nonce, aad, plaintext, out, at)
    },
    sealPieces(nonce, aad, plaintext) {
      checkNonce(name, nonce)
      return sealedPieces(name, secret, nonce, aad, plaintext)
    },
    open(nonce, aad, sealed, at) {
      checkNonce(name, nonce)
      return openSealed(name, secret, nonce, aad, sealed, at)
    },
    destroy: letGo,
  }
}

/** What OpenSSL lacks in FIPS mode: better known in words than as a foreign error. */
function refuseInFips(name: AeadName | Curve['name']): void {
  if (getFips() !== 1) return
  throw new KmsError('UNSUPPORTED_OPERATION', `OpenSSL has no ${name} in FIPS mode`)
}

function xaesParts(key: Uint8Array): XaesParts {
  // ECB keeps no state between blocks, so one cipher object serves every message of the key.
  const blocks = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  return {
    encryptBlocks: (input) => blocks.update(input),
    seal: (...input) => sealInto('aes-256-gcm', ...input),
    open: (...input) => openSealed('aes-256-gcm', ...input),
    destroy: letGo,
  }
}

const xchachaParts: XChachaParts = {
  seal: (...input) => sealInto('chacha20-poly1305', ...input),
  open: (...input) => openSealed('chacha20-poly1305', ...input),
}

const pieceLength = 32 * 1024

function sealInto(
  name: GcmLike,
  key: KeyObject | Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  out: Uint8Array,
  at: number,
): void {
  // The three names share one signature at run time; the types want GCM and ChaCha20 told apart.
  const cipher = createCipheriv(name as 'aes-256-gcm', key, nonce)
  cipher.setAAD(aad)
  // In pieces, straight into place: a large plaintext then needs no second array of its size.
  for (let from = 0; from < plaintext.length; from += pieceLength) {
    out.set(cipher.update(plaintext.subarray(from, from + pieceLength)), at + from)
  }
  cipher.final()
  out.set(cipher.getAuthTag(), at + plaintext.length)
}

const smallPiece = 4 * 1024

/** What OpenSSL gives is handed on as it is; only the end is copied, to stand before its tag. */
function sealedPieces(
  name: GcmLike,
  key: KeyObject,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): readonly Uint8Array[] {
  const cipher = createCipheriv(name as 'aes-256-gcm', key, nonce)
  cipher.setAAD(aad)
  const length = Math.max(0, plaintext.length - smallPiece)
  const head = owned(cipher.update(plaintext.subarray(0, length)))
  const end = new Uint8Array(plaintext.length - length + tagLength)
  end.set(cipher.update(plaintext.subarray(length)))
  cipher.final()
  end.set(cipher.getAuthTag(), plaintext.length - length)
  return length === 0 ? [end] : [head, end]
}

function openSealed(
  name: GcmLike,
  key: KeyObject | Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  at: number,
): Uint8Array | undefined {
  const tagAt = sealed.length - tagLength
  if (tagAt < at) return undefined
  const decipher = createDecipheriv(name as 'aes-256-gcm', key, nonce)
  decipher.setAuthTag(sealed.subarray(tagAt))
  decipher.setAAD(aad)
  const plaintext = owned(decipher.update(sealed.subarray(at, tagAt)))
  try {
    decipher.final()
    return plaintext
  } catch {
    // With key, nonce and tag of the right length, `final` throws for one reason only: the tag does not match.
    wipe(plaintext)
    return undefined
  }
}

function privateKey(pkcs8: Uint8Array): KeyObject {
  const key = createPrivateKey({ key: der(pkcs8), format: 'der', type: 'pkcs8' })
  wipe(pkcs8)
  return key
}

/** The last `length` bytes of an SPKI are the key itself, for every curve. */
function rawPublicKey(key: KeyObject, length: number): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-length))
}

function ed25519(seed: Uint8Array): Ed25519Key {
  const key = privateKey(encodeEd25519Pkcs8(seed))
  return {
    publicKey: rawPublicKey(key, 32),
    sign: (message) => owned(sign(null, message, key)),
    destroy: letGo,
  }
}

// OpenSSL checks the cofactorless equation, by comparing R's encoding.
function ed25519Equation(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => boolean {
  const key = ed25519PublicKey(publicKey)
  return (message, signature) => verify(null, message, key, signature)
}

function ed25519EquationLater(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => Promise<boolean> {
  const key = ed25519PublicKey(publicKey)
  return (message, signature) =>
    new Promise((resolve, reject) => {
      verify(null, message, key, signature, (error, holds) => {
        if (error === null) resolve(holds)
        else reject(new KmsError('INTERNAL', 'ed25519 verification failed', { cause: error }))
      })
    })
}

function ed25519PublicKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: der(encodeEd25519Spki(publicKey)), format: 'der', type: 'spki' })
}

function ecdsa(curve: Curve, scalar: Uint8Array): EcdsaKey {
  if (curve.name === 'secp256k1') refuseInFips(curve.name)
  const key = privateKey(encodeEcPkcs8(curve, scalar))
  const signAs = {
    der: { key, dsaEncoding: 'der' },
    'ieee-p1363': { key, dsaEncoding: 'ieee-p1363' },
  } as const
  return {
    publicKey: rawPublicKey(key, 1 + 2 * curve.length),
    sign(algorithm, input, format) {
      if (!curve.lowS) return owned(sign(algorithm, input, signAs[format]))
      const signature = withLowS(curve, owned(sign(algorithm, input, signAs['ieee-p1363'])))
      return format === 'der' ? toDer(signature) : signature
    },
    destroy: letGo,
  }
}

function ecdsaVerifier(curve: Curve, publicKey: Uint8Array): EcdsaVerifier | undefined {
  if (curve.name === 'secp256k1') refuseInFips(curve.name)
  const key = pointOnCurve(curve, publicKey)
  if (key === undefined) return undefined
  const how = { key, dsaEncoding: 'ieee-p1363' } as const
  return (algorithm, input, signature) => verify(algorithm, input, how, signature)
}

function pointOnCurve(curve: Curve, publicKey: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: der(encodeEcSpki(curve, publicKey)), format: 'der', type: 'spki' })
  } catch {
    // The DER around it is ours, so only the point itself can be refused.
    return undefined
  }
}

function scryptOffThread({ passphrase, salt, N, r, p, length }: ScryptParameters): Promise<Uint8Array> {
  // Node's limit counts 128·r·(N + p) and a little; twice that leaves room, and kdf.ts has bounded the parameters.
  const maxmem = 256 * r * (N + p)
  // Asked for it in FIPS mode, OpenSSL fails, and leaves an error behind that the next key read would report as its own.
  if (getFips() === 1)
    throw new KmsError('UNSUPPORTED_OPERATION', 'OpenSSL has no scrypt in FIPS mode: give a root key, not a passphrase')
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, length, { N, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(owned(key))
      else reject(new KmsError('INTERNAL', 'scrypt failed', { cause: error }))
    })
  })
}
