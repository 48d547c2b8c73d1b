/** @node RSA over node:crypto: everything at once, but for making keys. */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  hash,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  type RSAKeyPairOptions,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto'
import { KmsError } from '../model/errors.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { der, owned, ownedSecret } from './buffer.ts'
import { equal } from './bytes.ts'
import type { Rsa, RsaPrivateKey, RsaPublicKey, RsaScheme } from './engine.ts'
import { digestLength } from './options.ts'
import { digestInfo, encodePss, verifyPss } from './rsa-emsa.ts'

export const rsa: Rsa = { synchronous: true, generate, privateKey, publicKey }

const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const

/** On libuv's threads. */
function generate(bits: number): Promise<Uint8Array> {
  const options: RSAKeyPairOptions<'der', 'der'> = {
    modulusLength: bits,
    publicExponent: 0x10001,
    publicKeyEncoding: { format: 'der', type: 'spki' },
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
  }
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', options, (error, _publicKey, pkcs8) => {
      if (error === null) resolve(ownedSecret(pkcs8))
      else reject(new KmsError('INTERNAL', 'an RSA key could not be generated', { cause: error }))
    })
  })
}

function privateKey(pkcs8: Uint8Array): RsaPrivateKey {
  const key = readKey(() => createPrivateKey({ key: der(pkcs8), format: 'der', type: 'pkcs8' }))
  const size = modulusLength(key)
  return {
    decrypt(block, label) {
      try {
        return ownedSecret(privateDecrypt({ key, ...oaep, oaepLabel: label }, block))
      } catch {
        // The block is not less than the modulus, or OAEP does not decode. OpenSSL finds the latter in constant time, with
        // one error for all of its causes (RFC 8017 §7.1.2 note), and nothing here looks at which it was.
        return undefined
      }
    },
    sign: (scheme, input) => owned(sign(scheme.hashAlgorithm, input, { key, ...paddingOf(scheme) })),
    signDigest({ padding, hashAlgorithm }, digest) {
      if (padding === 'pkcs1v15') return rawSign(key, constants.RSA_PKCS1_PADDING, digestInfo(hashAlgorithm, digest))
      const salt = randomFillSync(new Uint8Array(digestLength[hashAlgorithm]))
      return rawSign(key, constants.RSA_NO_PADDING, encodePss(digestOf, { hashAlgorithm, digest }, salt, size))
    },
    // OpenSSL clears a key when its KeyObject is collected: all there is to do is to let go of it.
    destroy() {},
  }
}

function publicKey(spki: Uint8Array): RsaPublicKey {
  const key = readKey(() => createPublicKey({ key: der(spki), format: 'der', type: 'spki' }))
  return {
    encrypt: (plaintext, label) => owned(publicEncrypt({ key, ...oaep, oaepLabel: label }, plaintext)),
    verify: (scheme, input, signature) => verify(scheme.hashAlgorithm, input, { key, ...paddingOf(scheme) }, signature),
    verifyDigest({ padding, hashAlgorithm }, digest, signature) {
      if (padding === 'pss') {
        const encoded = rawVerify(key, constants.RSA_NO_PADDING, signature)
        return encoded !== undefined && verifyPss(digestOf, { hashAlgorithm, digest }, encoded)
      }
      // Compared as a whole: parsing what was signed is how forgeries under small exponents came about (RFC 8017 §8.2.2).
      const signed = rawVerify(key, constants.RSA_PKCS1_PADDING, signature)
      return signed !== undefined && equal(signed, digestInfo(hashAlgorithm, digest))
    },
  }
}

/** A salt of exactly the digest's length, when signing and when verifying. */
function paddingOf({ padding, hashAlgorithm }: RsaScheme): { readonly padding: number; readonly saltLength?: number } {
  if (padding === 'pkcs1v15') return { padding: constants.RSA_PKCS1_PADDING }
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: digestLength[hashAlgorithm] }
}

/** RSASP1 (RFC 8017 §5.2.1), blinded and checked against faults by OpenSSL. */
function rawSign(key: KeyObject, padding: number, encoded: Uint8Array): Uint8Array {
  return owned(privateEncrypt({ key, padding }, encoded))
}

/** RSAVP1 (§5.2.2): what was signed, or undefined for a signature that is out of range or wrongly padded. */
function rawVerify(key: KeyObject, padding: number, signature: Uint8Array): Uint8Array | undefined {
  try {
    return publicDecrypt({ key, padding }, signature)
  } catch {
    // A public operation with a key that was read: it fails for what the signature is, and for nothing else.
    return undefined
  }
}

function readKey(read: () => KeyObject): KeyObject {
  try {
    return read()
  } catch (error) {
    throw new KmsError('INVALID_INPUT', 'OpenSSL does not take this as an RSA key', { cause: error })
  }
}

function modulusLength(key: KeyObject): number {
  return (key.asymmetricKeyDetails?.modulusLength ?? 0) >> 3
}

function digestOf(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  return owned(hash(algorithm, data, 'buffer'))
}
