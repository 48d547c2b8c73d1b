/** The cryptography of a transit engine on node:crypto, for the endpoint. It shares nothing with what it is there to test. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { p256, p384, p521 } from '@noble/curves/nist.js'

const aeads = {
  'aes128-gcm96': { cipher: 'aes-128-gcm', length: 16 },
  'aes256-gcm96': { cipher: 'aes-256-gcm', length: 32 },
  'chacha20-poly1305': { cipher: 'chacha20-poly1305', length: 32 },
} as const
const ecdsaTypes = {
  'ecdsa-p256': { node: 'P-256', noble: p256, size: 32 },
  'ecdsa-p384': { node: 'P-384', noble: p384, size: 48 },
  'ecdsa-p521': { node: 'P-521', noble: p521, size: 66 },
} as const

export const keyTypes: readonly string[] = [
  ...Object.keys(aeads),
  ...Object.keys(ecdsaTypes),
  'ed25519',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'hmac',
]

/** Bytes of a symmetric or HMAC key, or a private key. */
export type Material = Buffer | KeyObject

export const isAead = (type: string): type is keyof typeof aeads => type in aeads
export const isEcdsa = (type: string): type is keyof typeof ecdsaTypes => type in ecdsaTypes
export const isRsa = (type: string): boolean => type.startsWith('rsa-')
export const encrypts = (type: string): boolean => isAead(type) || isRsa(type)
export const signs = (type: string): boolean => isEcdsa(type) || isRsa(type) || type === 'ed25519'

/** What crypto code of Go says, by name. */
export class CryptoFailure extends Error {}

export function generate(type: string, size: number): Material {
  if (isAead(type)) return randomBytes(aeads[type].length)
  if (type === 'hmac') return randomBytes(size)
  if (isEcdsa(type)) return generateKeyPairSync('ec', { namedCurve: ecdsaTypes[type].node }).privateKey
  if (type === 'ed25519') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) }).privateKey
}

/** From what `import` unwraps: raw bytes or PKCS#8. */
export function materialFrom(type: string, bytes: Buffer): Material {
  if (isAead(type) || type === 'hmac') return Buffer.from(bytes)
  return createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })
}

/** From what `export` gives. */
export function materialFromExport(type: string, text: string): Material {
  if (isAead(type) || type === 'hmac') return Buffer.from(text, 'base64')
  if (type !== 'ed25519') return createPrivateKey(text)
  const seed = Buffer.from(text, 'base64').subarray(0, 32)
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
  return createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' })
}

export function exported(type: string, material: Material): string {
  if (Buffer.isBuffer(material)) return material.toString('base64')
  if (isRsa(type)) return String(material.export({ type: 'pkcs1', format: 'pem' }))
  if (isEcdsa(type)) return String(material.export({ type: 'sec1', format: 'pem' })).trim()
  const { d = '', x = '' } = material.export({ format: 'jwk' })
  return Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]).toString('base64')
}

export function publicKeyText(type: string, material: KeyObject): string {
  const publicKey = createPublicKey(material)
  if (type === 'ed25519')
    return Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
  return String(publicKey.export({ type: 'spki', format: 'pem' }))
}

/** HKDF-SHA-256 of the key, the context as info. */
export function derived(type: string, key: Buffer, context: Buffer): Buffer {
  const length = isAead(type) ? aeads[type].length : 32
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), context, length))
}

export function seal(type: string, material: Material, plaintext: Buffer, aad: Buffer): Buffer {
  if (!Buffer.isBuffer(material)) {
    const size = Number(type.slice(4)) / 8
    if (plaintext.length > size - 66)
      throw new CryptoFailure(
        'failed to RSA encrypt the plaintext: crypto/rsa: message too long for RSA public key size',
      )
    return publicEncrypt({ key: createPublicKey(material), oaepHash: 'sha256' }, plaintext)
  }
  if (!isAead(type)) throw new CryptoFailure(`unsupported key type ${type}`)
  const nonce = randomBytes(12)
  // Every one of them takes these options; the types of node want to know which it is.
  const cipher = createCipheriv(aeads[type].cipher as 'aes-256-gcm', material, nonce, { authTagLength: 16 })
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

export function open(type: string, material: Material, sealed: Buffer, aad: Buffer): Buffer {
  if (!Buffer.isBuffer(material)) {
    try {
      return privateDecrypt({ key: material, oaepHash: 'sha256' }, sealed)
    } catch {
      throw new CryptoFailure('failed to RSA decrypt the ciphertext: crypto/rsa: decryption error')
    }
  }
  if (!isAead(type)) throw new CryptoFailure(`unsupported key type ${type}`)
  if (sealed.length < 12) throw new CryptoFailure('invalid ciphertext length')
  const failure = `${type.startsWith('aes') ? 'cipher' : 'chacha20poly1305'}: message authentication failed`
  if (sealed.length < 28) throw new CryptoFailure(failure)
  const decipher = createDecipheriv(aeads[type].cipher as 'aes-256-gcm', material, sealed.subarray(0, 12), {
    authTagLength: 16,
  })
  const body = sealed.subarray(12, -16)
  decipher.setAAD(aad, { plaintextLength: body.length })
  decipher.setAuthTag(sealed.subarray(-16))
  try {
    return Buffer.concat([decipher.update(body), decipher.final()])
  } catch {
    throw new CryptoFailure(failure)
  }
}

export const hashes: Readonly<Record<string, string>> = {
  sha1: 'sha1',
  'sha2-224': 'sha224',
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
  'sha2-512': 'sha512',
  'sha3-224': 'sha3-224',
  'sha3-256': 'sha3-256',
  'sha3-384': 'sha3-384',
  'sha3-512': 'sha3-512',
}

export function hmac(key: Buffer, hash: string, input: Buffer): Buffer {
  return createHmac(hashes[hash] ?? '', key)
    .update(input)
    .digest()
}

export const sameBytes = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

export interface Signing {
  /** transit's name, such as `sha2-256`. */
  readonly hash: string
  readonly prehashed: boolean
  readonly padding: string
  readonly saltLength: string
  readonly marshaling: 'asn1' | 'jws'
}

export function signed(type: string, key: KeyObject, input: Buffer, options: Signing): Buffer {
  if (type === 'ed25519') return sign(null, input, key)
  const digest = digestOf(input, options)
  if (isEcdsa(type)) {
    const { noble } = ecdsaTypes[type]
    const secret = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
    const format = options.marshaling === 'jws' ? 'compact' : 'der'
    return Buffer.from(noble.sign(digest, secret, { prehash: false, lowS: false, format }))
  }
  if (options.padding === 'pkcs1v15')
    return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(digest, options.hash))
  if (options.padding !== '' && options.padding !== 'pss')
    throw new CryptoFailure(`unsupported rsa signature algorithm ${options.padding}`)
  const bits = Number(type.slice(4)) - 1
  const most = Math.ceil(bits / 8) - digest.length - 2
  const salt = randomBytes(options.saltLength === 'hash' ? digest.length : most)
  return privateEncrypt(
    { key, padding: constants.RSA_NO_PADDING },
    pssEncode(digest, { hash: options.hash, salt, bits }),
  )
}

export function isSigned(type: string, key: KeyObject, input: Buffer, signature: Buffer, options: Signing): boolean {
  const publicKey = createPublicKey(key)
  if (type === 'ed25519') return signature.length === 64 && verify(null, input, publicKey, signature)
  const digest = digestOf(input, options)
  if (isEcdsa(type)) {
    const { noble, size } = ecdsaTypes[type]
    if (options.marshaling === 'asn1') checkDer(signature)
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
    const der = options.marshaling === 'asn1'
    const format = der ? 'der' : 'compact'
    try {
      const given = der ? signature : halves(signature, size)
      return noble.verify(given, digest, point, { prehash: false, lowS: false, format })
    } catch {
      return false
    }
  }
  try {
    if (options.padding === 'pkcs1v15') {
      const block = publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature)
      return sameBytes(block, digestInfo(digest, options.hash))
    }
    const bits = Number(type.slice(4)) - 1
    const block = publicDecrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, signature)
    return pssFits(digest, block, { hash: options.hash, bits, saltLength: options.saltLength })
  } catch {
    return false
  }
}

/** r ‖ s of whatever length: the server takes each half for a number, leading zeros and all. */
function halves(signature: Buffer, size: number): Buffer {
  const middle = signature.length >> 1
  const numbers = [signature.subarray(0, middle), signature.subarray(middle)].map((half) => {
    const bare = half.subarray(
      Math.max(
        0,
        half.findIndex((byte) => byte !== 0),
      ),
    )
    return Buffer.concat([Buffer.alloc(Math.max(0, size - bare.length)), bare])
  })
  return Buffer.concat(numbers)
}

function digestOf(input: Buffer, { hash, prehashed }: Signing): Buffer {
  if (prehashed) return input
  return createHash(hashes[hash] ?? '')
    .update(input)
    .digest()
}

/** As much of a DER signature as Go's parser insists on before it looks at the numbers. */
function checkDer(signature: Buffer): void {
  const [tag, length = 0] = signature
  if (tag !== 0x30 || length > 0x84 || signature.length < 8) throw new CryptoFailure('supplied signature is invalid')
  const header = length < 0x80 ? 2 : 2 + (length & 0x7f)
  const inner = length < 0x80 ? length : signature.readUIntBE(2, length & 0x7f)
  if (signature.length > header + inner) throw new CryptoFailure('supplied signature contains extra data')
  let at = header
  for (let number = 0; number < 2; number++) {
    const size = signature[at + 1] ?? 0
    const first = signature[at + 2] ?? 0
    const minimal = !(first === 0 && size > 1 && (signature[at + 3] ?? 0) < 0x80)
    if (signature[at] !== 2 || size === 0 || at + 2 + size > signature.length || !minimal)
      throw new CryptoFailure('supplied signature is invalid')
    at += 2 + size
  }
  if (at !== signature.length) throw new CryptoFailure('supplied signature is invalid')
}

const digestInfos: Readonly<Record<string, string>> = {
  'sha2-256': '3031300d060960864801650304020105000420',
  'sha2-384': '3041300d060960864801650304020205000430',
  'sha2-512': '3051300d060960864801650304020305000440',
}

/** RFC 8017 §9.2. */
function digestInfo(digest: Buffer, hash: string): Buffer {
  const prefix = digestInfos[hash]
  const size = createHash(hashes[hash] ?? '').digest().length
  if (prefix === undefined || digest.length !== size)
    throw new CryptoFailure('crypto/rsa: input must be hashed with given hash')
  return Buffer.concat([Buffer.from(prefix, 'hex'), digest])
}

interface Pss {
  readonly hash: string
  readonly bits: number
}

/** RFC 8017 §9.1.1. */
function pssEncode(digest: Buffer, { hash, bits, salt }: Pss & { readonly salt: Buffer }): Buffer {
  const name = hashes[hash] ?? ''
  const size = createHash(name).digest().length
  if (digest.length !== size) throw new CryptoFailure('crypto/rsa: input must be hashed with given hash')
  const length = Math.ceil(bits / 8)
  const h = createHash(name)
    .update(Buffer.concat([Buffer.alloc(8), digest, salt]))
    .digest()
  const db = Buffer.concat([Buffer.alloc(length - salt.length - size - 2), Buffer.from([1]), salt])
  const masked = xor(db, mgf1(name, h, db.length))
  masked[0] = (masked[0] ?? 0) & (0xff >> (8 * length - bits))
  return Buffer.concat([masked, h, Buffer.from([0xbc])])
}

/** RFC 8017 §9.1.2. */
function pssFits(
  digest: Buffer,
  block: Buffer,
  { hash, bits, saltLength }: Pss & { readonly saltLength: string },
): boolean {
  const name = hashes[hash] ?? ''
  const size = createHash(name).digest().length
  const length = Math.ceil(bits / 8)
  if (digest.length !== size || block.at(-1) !== 0xbc) return false
  const masked = block.subarray(0, length - size - 1)
  const h = block.subarray(length - size - 1, -1)
  const db = xor(masked, mgf1(name, h, masked.length))
  db[0] = (db[0] ?? 0) & (0xff >> (8 * length - bits))
  const one = db.findIndex((byte) => byte !== 0)
  if (one < 0 || db[one] !== 1) return false
  const salt = db.subarray(one + 1)
  if (saltLength === 'hash' && salt.length !== size) return false
  return sameBytes(
    h,
    createHash(name)
      .update(Buffer.concat([Buffer.alloc(8), digest, salt]))
      .digest(),
  )
}

function mgf1(name: string, seed: Buffer, length: number): Buffer {
  const parts: Buffer[] = []
  for (let count = 0, made = 0; made < length; count++) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(count)
    const part = createHash(name).update(seed).update(counter).digest()
    parts.push(part)
    made += part.length
  }
  return Buffer.concat(parts).subarray(0, length)
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))
}

/** RSA-OAEP of an AES-256 key, then AES-KWP under it. */
export function unwrapImport(wrappingKey: KeyObject, blob: Buffer): Buffer {
  const size = 512
  if (blob.length <= size) throw new CryptoFailure('provided ciphertext is too short')
  const key = privateDecrypt({ key: wrappingKey, oaepHash: 'sha256' }, blob.subarray(0, size))
  const decipher = createDecipheriv('id-aes256-wrap-pad', key, Buffer.from('a65959a6', 'hex'))
  return Buffer.concat([decipher.update(blob.subarray(size)), decipher.final()])
}
