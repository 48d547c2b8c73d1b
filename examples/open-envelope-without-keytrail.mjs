// Nobody is locked in: a data key and forty lines of node:crypto open what an envelope sealed.
// prints: 300000 bytes, the same
// prints: with another context it does not open
// prints: cut short it does not open
import { createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { KmsClient } from 'keytrail'
import { envelope } from 'keytrail/envelope'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

// The lines. `dataKey`: what the KMS opens `sealedKey(sealed)` to, with the same encryption context.
const u32 = (number) => Buffer.from([number >>> 24, number >>> 16, number >>> 8, number])
const lp = (bytes) => Buffer.concat([u32(Buffer.byteLength(bytes)), Buffer.from(bytes)])
const sealedKey = (sealed) => sealed.subarray(73, 73 + sealed.readUInt32BE(69))

function open(sealed, dataKey, context = {}) {
  if (sealed.toString('latin1', 0, 4) !== 'KTE\x01') throw new Error('no envelope of this format')
  const info = Buffer.concat([lp('keytrail/envelope/1'), sealed.subarray(0, 5), contextBytes(context)])
  const derived = Buffer.from(hkdfSync('sha256', dataKey, sealed.subarray(5, 37), info, 71))
  if (!derived.subarray(0, 32).equals(sealed.subarray(37, 69))) throw new Error('another data key, header or context')
  const [messageKey, prefix] = [derived.subarray(32, 64), derived.subarray(64)]
  const chunks = sealed.subarray(73 + sealed.readUInt32BE(69))
  const step = 2 ** sealed[4] + 16
  const full = Math.floor(chunks.length / step)
  const opened = []
  for (let index = 0; index <= full; index++) {
    const chunk = chunks.subarray(index * step, (index + 1) * step)
    if (chunk.length < 16) throw new Error('it is cut short')
    const nonce = Buffer.concat([prefix, u32(index), Buffer.from([index === full ? 1 : 0])])
    const decipher = createDecipheriv('aes-256-gcm', messageKey, nonce, { authTagLength: 16 })
    decipher.setAuthTag(chunk.subarray(-16))
    opened.push(decipher.update(chunk.subarray(0, -16)), decipher.final())
  }
  return Buffer.concat(opened)
}

function contextBytes(context) {
  const pairs = Object.entries(context).map((pair) => pair.map((text) => Buffer.from(text)))
  pairs.sort(([a], [b]) => Buffer.compare(a, b))
  return Buffer.concat([u32(pairs.length), ...pairs.flat().map(lp)])
}

// A fresh message, opened with nothing but its data key.
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [memorySink()] } })
await kms.createKey({ slug: 'orders' })
const orders = envelope({ kms, key: 'orders' })
const plaintext = randomBytes(300_000)
const encryptionContext = { order: '17', é: 'ü' }
const sealed = Buffer.from((await orders.seal({ plaintext, encryptionContext })).sealed)
const { plaintext: dataKey } = await kms.decrypt({ key: 'orders', ciphertext: sealedKey(sealed), encryptionContext })
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex')
const same = digest(open(sealed, dataKey, encryptionContext)) === digest(plaintext)
console.log(`${plaintext.length} bytes, ${same ? 'the same' : 'and others'}`)
const attempts = {
  'with another context': [sealed, { order: '18' }],
  'cut short': [sealed.subarray(0, -1), encryptionContext],
}
for (const [how, [bytes, context]] of Object.entries(attempts)) {
  try {
    open(bytes, dataKey, context)
  } catch {
    console.log(`${how} it does not open`)
  }
}
await kms.close()
