// Nobody is locked in: an exported key and thirty lines of node:crypto open every ciphertext of the embedded KMS.
// prints: aes128-gcm96: attack at dawn
// prints: aes256-gcm96: attack at dawn
// prints: chacha20-poly1305: attack at dawn
// prints: xaes256-gcm: attack at dawn
// prints: rsa-2048: attack at dawn
// prints: with another context it does not open
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
} from 'node:crypto'
import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

// The thirty lines. `key`: the raw bytes; `context`: the encryption context.
const u32 = (number) => Buffer.from([number >>> 24, number >>> 16, number >>> 8, number])
const lp = (bytes) => Buffer.concat([u32(Buffer.byteLength(bytes)), Buffer.from(bytes)])
const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()

function open(frame, type, key, context = {}) {
  checkCommitment(frame, type, key)
  const isXaes = type === 'xaes256-gcm'
  const bodyAt = isXaes ? 61 : 49
  const [messageKey, nonce] = isXaes ? xaes(key, frame.subarray(37, 61)) : [key, frame.subarray(37, 49)]
  const cipher = type === 'chacha20-poly1305' ? type : type === 'aes128-gcm96' ? 'aes-128-gcm' : 'aes-256-gcm'
  const decipher = createDecipheriv(cipher, messageKey, nonce, { authTagLength: 16 })
  decipher.setAAD(associatedData(frame.subarray(0, bodyAt), type, context)).setAuthTag(frame.subarray(-16))
  return Buffer.concat([decipher.update(frame.subarray(bodyAt, -16)), decipher.final()])
}
function checkCommitment(frame, type, key) {
  const commitment = sha256(lp('keytrail/commit/1'), frame.subarray(1, 5), lp(type), lp(key))
  if (!commitment.equals(frame.subarray(5, 37))) throw new Error('sealed under another key')
}
function associatedData(head, type, context) {
  const pairs = Object.entries(context).map((pair) => pair.map((text) => Buffer.from(text)))
  pairs.sort(([a], [b]) => Buffer.compare(a, b))
  return Buffer.concat([lp('keytrail/aad/1'), lp(head), lp(type), u32(pairs.length), ...pairs.flat().map(lp)])
}
// c2sp.org/XAES-256-GCM
function xaes(key, nonce) {
  const ecb = (blocks) => createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(blocks)
  const l = ecb(Buffer.alloc(16))
  const k1 = l.map((byte, at) => (byte << 1) ^ ((l[at + 1] ?? 0) >> 7) ^ (at === 15 ? (l[0] >> 7) * 0x87 : 0))
  const block = (i) => Buffer.from([0, i, 0x58, 0, ...nonce.subarray(0, 12)]).map((byte, at) => byte ^ k1[at])
  return [ecb(Buffer.concat([block(1), block(2)])), nonce.subarray(12)]
}

// RSA, for who has a key of it. `der`: PKCS#8.
function openRsa(frame, type, der, context = {}) {
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  checkCommitment(frame, type, createPublicKey(key).export({ format: 'der', type: 'spki' }))
  const oaepLabel = sha256(associatedData(frame.subarray(0, 37), type, context))
  return privateDecrypt({ key, oaepHash: 'sha256', oaepLabel }, frame.subarray(37))
}

// Fresh ciphertexts, each opened with nothing but its exported key.
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [memorySink()] } })
const plaintext = new TextEncoder().encode('attack at dawn')
const encryptionContext = { order: '17', é: 'ü' }
for (const keyType of ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xaes256-gcm', 'rsa-2048']) {
  await kms.createKey({ slug: keyType, keyType, exportAllowed: true })
  await kms.rotate({ key: keyType })
  const { ciphertext } = await kms.encrypt({ key: keyType, plaintext, encryptionContext })
  const { keyMaterial } = await kms.export({ key: keyType })
  const [frame, key] = [Buffer.from(ciphertext), Buffer.from(keyMaterial)]
  const opened = keyType.startsWith('rsa-') ? openRsa : open
  console.log(`${keyType}: ${opened(frame, keyType, key, encryptionContext)}`)
  try {
    opened(frame, keyType, key, { order: '18' })
  } catch {
    console.log('with another context it does not open')
  }
}
await kms.close()
