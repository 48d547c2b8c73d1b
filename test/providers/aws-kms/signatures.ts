/**
 * @node How the endpoint signs and verifies. node:crypto signs no digest as it is, so that the padding of RSA (RFC 8017 §9)
 * is written out here, and ECDSA of digests is noble's.
 */
import { constants, createHash, privateEncrypt, publicDecrypt, randomBytes, sign, verify } from 'node:crypto'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { Pair } from './material.ts'

/** What is signed. */
export interface Message {
  /** A SigningAlgorithmSpec. */
  readonly algorithm: string
  readonly isDigest: boolean
  readonly bytes: Buffer
}

export function makeSignature(pair: Pair, message: Message): Buffer {
  const { algorithm, isDigest, bytes } = message
  if (!isDigest) return sign(hashOf(algorithm), bytes, { key: pair.privateKey, ...options(algorithm) })
  if (algorithm.startsWith('ECDSA')) {
    const { d = '' } = pair.privateKey.export({ format: 'jwk' })
    const scalar = new Uint8Array(Buffer.from(d, 'base64url'))
    return Buffer.from(
      curveOf(pair).sign(new Uint8Array(bytes), scalar, { prehash: false, lowS: false, format: 'der' }),
    )
  }
  if (algorithm.startsWith('RSASSA_PKCS1'))
    return privateEncrypt({ key: pair.privateKey, padding: constants.RSA_PKCS1_PADDING }, digestInfo(algorithm, bytes))
  const encoded = encodePss(bitsOf(pair), hashOf(algorithm), bytes)
  return privateEncrypt({ key: pair.privateKey, padding: constants.RSA_NO_PADDING }, encoded)
}

export function isSignature(pair: Pair, message: Message, signature: Buffer): boolean {
  const { algorithm, isDigest, bytes } = message
  if (!isDigest) return verify(hashOf(algorithm), bytes, { key: pair.publicKey, ...options(algorithm) }, signature)
  try {
    if (algorithm.startsWith('ECDSA')) {
      const { x = '', y = '' } = pair.publicKey.export({ format: 'jwk' })
      const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
      const how = { prehash: false, lowS: false, format: 'der' } as const
      return curveOf(pair).verify(new Uint8Array(signature), new Uint8Array(bytes), new Uint8Array(point), how)
    }
    if (algorithm.startsWith('RSASSA_PKCS1')) {
      const found = publicDecrypt({ key: pair.publicKey, padding: constants.RSA_PKCS1_PADDING }, signature)
      return found.equals(digestInfo(algorithm, bytes))
    }
    const encoded = publicDecrypt({ key: pair.publicKey, padding: constants.RSA_NO_PADDING }, signature)
    return isPss(bitsOf(pair), hashOf(algorithm), bytes, encoded)
  } catch {
    // What cannot be read is no signature.
    return false
  }
}

function hashOf(algorithm: string): string {
  return `sha${algorithm.slice(-3)}`
}

function bitsOf(pair: Pair): number {
  return pair.publicKey.asymmetricKeyDetails?.modulusLength ?? 0
}

function options(algorithm: string) {
  if (algorithm.startsWith('ECDSA')) return {}
  if (algorithm.startsWith('RSASSA_PKCS1')) return { padding: constants.RSA_PKCS1_PADDING }
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(algorithm.slice(-3)) / 8 }
}

const curves = { prime256v1: p256, secp384r1: p384, secp521r1: p521, secp256k1 }

function curveOf(pair: Pair) {
  // Only keys of these four curves are made.
  return curves[pair.publicKey.asymmetricKeyDetails?.namedCurve as keyof typeof curves]
}

/** RFC 8017 §9.2: the DER before the digest, by the digest's length. */
const prefixes: Readonly<Record<string, string>> = {
  '256': '3031300d060960864801650304020105000420',
  '384': '3041300d060960864801650304020205000430',
  '512': '3051300d060960864801650304020305000440',
}

function digestInfo(algorithm: string, digest: Buffer): Buffer {
  return Buffer.concat([Buffer.from(prefixes[algorithm.slice(-3)] ?? '', 'hex'), digest])
}

function hash(name: string, ...parts: readonly Buffer[]): Buffer {
  return parts.reduce((made, part) => made.update(part), createHash(name)).digest()
}

/** RFC 8017 appendix B.2.1. */
function mgf1(name: string, seed: Buffer, length: number): Buffer {
  const blocks: Buffer[] = []
  for (let made = 0, count = 0; made < length; count++) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(count)
    const block = hash(name, seed, counter)
    blocks.push(block)
    made += block.length
  }
  return Buffer.concat(blocks).subarray(0, length)
}

/** RFC 8017 §9.1.1 with a salt as long as the digest; the modulus has a whole number of bytes. */
function encodePss(bits: number, name: string, digest: Buffer): Buffer {
  const salt = randomBytes(digest.length)
  const h = hash(name, Buffer.alloc(8), digest, salt)
  const length = bits / 8 - h.length - 1
  const block = Buffer.concat([Buffer.alloc(length - salt.length - 1), Buffer.of(1), salt])
  const masked = exclusiveOr(block, mgf1(name, h, length))
  masked[0] = (masked[0] ?? 0) & 0x7f
  return Buffer.concat([masked, h, Buffer.of(0xbc)])
}

/** RFC 8017 §9.1.2. */
function isPss(bits: number, name: string, digest: Buffer, encoded: Buffer): boolean {
  const length = bits / 8 - digest.length - 1
  const masked = encoded.subarray(0, length)
  const h = encoded.subarray(length, -1)
  if (encoded.at(-1) !== 0xbc || ((masked[0] ?? 0) & 0x80) !== 0) return false
  const block = exclusiveOr(masked, mgf1(name, h, length))
  block[0] = (block[0] ?? 0) & 0x7f
  const saltAt = length - digest.length
  if (block[saltAt - 1] !== 1 || block.subarray(0, saltAt - 1).some((byte) => byte !== 0)) return false
  return hash(name, Buffer.alloc(8), digest, block.subarray(saltAt)).equals(h)
}

function exclusiveOr(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))
}
