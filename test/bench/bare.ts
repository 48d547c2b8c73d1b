/** @node The references: node:crypto as an application would call it by itself, with keys kept as KeyObjects; noble for what it has not. */
import { Buffer } from 'node:buffer'
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'
import type { Side } from './figure.ts'

export const kibibyte: Uint8Array = new Uint8Array(randomBytes(1024))

const secret = createSecretKey(randomBytes(32))

export function bareEncrypt(plaintext: Uint8Array): Buffer {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', secret, nonce)
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

export function bareDecrypt(sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12))
  decipher.setAuthTag(sealed.subarray(-16))
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
}

export function bareHmac(hash: string): (input: Uint8Array) => Buffer {
  return (input) => createHmac(hash, secret).update(input).digest()
}

export interface BareSigner {
  readonly sign: (input: Uint8Array) => Uint8Array
  readonly verify: (input: Uint8Array, signature: Uint8Array) => boolean
}

export function bareEd25519(): BareSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    sign: (input) => sign(null, input, privateKey),
    verify: (input, signature) => verify(null, input, publicKey, signature),
  }
}

export function bareEcdsa(namedCurve: string, hash: string): BareSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  return {
    sign: (input) => sign(hash, input, privateKey),
    verify: (input, signature) => verify(hash, input, publicKey, signature),
  }
}

/** PSS with SHA-256 and a salt as long as the digest. */
export function bareRsa(modulusLength: number): BareSigner {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength })
  const how = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return {
    sign: (input) => sign('sha256', input, { key: privateKey, ...how }),
    verify: (input, signature) => verify('sha256', input, { key: publicKey, ...how }, signature),
  }
}

const mlDsaSets = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const

/** Node 20 has none: noble's, with its own randomness. */
export function bareMlDsa(name: keyof typeof mlDsaSets): BareSigner {
  const set = mlDsaSets[name]
  const { publicKey, secretKey } = set.keygen()
  return {
    sign: (input) => set.sign(input, secretKey),
    verify: (input, signature) => set.verify(signature, input, publicKey),
  }
}

/** A side of synchronous calls, one after another. */
export function repeated(calls: number, one: () => unknown): Side {
  return {
    calls,
    run() {
      for (let call = 0; call < calls; call++) one()
    },
  }
}
