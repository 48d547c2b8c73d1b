/** @node How the endpoint makes key pairs, and seals and opens, with node:crypto alone. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import { refusal } from './refusal.ts'
import type { Spec } from './specs.ts'

export interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export async function makePair(spec: Spec): Promise<Pair> {
  const make = promisify(generateKeyPair)
  if (spec.curve !== undefined) return (await make('ec', { namedCurve: spec.curve })) as Pair
  return (await make('rsa', { modulusLength: spec.bits ?? 0 })) as Pair
}

export function spkiOf(pair: Pair): Buffer {
  return pair.publicKey.export({ type: 'spki', format: 'der' })
}

/** Which key and which of its materials sealed a blob, as the blob tells. */
export interface BlobHead {
  readonly keyId: string
  readonly material: number
}

const magic = 0xa7
const headLength = 1 + 16 + 4

/** `A7 ‖ key id ‖ material ‖ nonce ‖ body ‖ tag`, bound to the encryption context, whose order does not matter. */
export function seal(key: Buffer, { keyId, material }: BlobHead, context: object, plaintext: Buffer): Buffer {
  const head = Buffer.alloc(headLength)
  head[0] = magic
  Buffer.from(keyId.replaceAll('-', ''), 'hex').copy(head, 1)
  head.writeUInt32BE(material, 17)
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(head, context))
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([head, nonce, body, cipher.getAuthTag()])
}

export function headOf(blob: Buffer): BlobHead | undefined {
  if (blob.length < headLength + 12 + 16 + 1 || blob[0] !== magic) return undefined
  const id = blob.toString('hex', 1, 17)
  const keyId = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { keyId, material: blob.readUInt32BE(17) }
}

export function open(key: Buffer, context: object, blob: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(headLength, headLength + 12))
    .setAAD(boundTo(blob.subarray(0, headLength), context))
    .setAuthTag(blob.subarray(-16))
  try {
    return Buffer.concat([decipher.update(blob.subarray(headLength + 12, -16)), decipher.final()])
  } catch {
    throw refusal('InvalidCiphertextException')
  }
}

function boundTo(head: Buffer, context: object): Buffer {
  const pairs = Object.entries(context).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return Buffer.concat([head, Buffer.from(JSON.stringify(pairs))])
}

export function rsaEncrypt(pair: Pair, algorithm: string, plaintext: Buffer): Buffer {
  const bits = pair.publicKey.asymmetricKeyDetails?.modulusLength ?? 0
  const most = bits / 8 - 2 * (algorithm.endsWith('256') ? 32 : 20) - 2
  if (plaintext.length > most)
    throw refusal(
      'ValidationException',
      `Algorithm ${algorithm} and key spec RSA_${bits} cannot encrypt data larger than ${most} bytes.`,
    )
  return publicEncrypt({ key: pair.publicKey, ...oaep(algorithm) }, plaintext)
}

export function rsaDecrypt(pair: Pair, algorithm: string, blob: Buffer): Buffer {
  try {
    return privateDecrypt({ key: pair.privateKey, ...oaep(algorithm) }, blob)
  } catch {
    throw refusal('InvalidCiphertextException')
  }
}

function oaep(algorithm: string) {
  return {
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: algorithm.endsWith('256') ? 'sha256' : 'sha1',
  }
}
