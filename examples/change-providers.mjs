// Moving house while people live in it: one provider that encrypts by the new KMS and decrypts by any, a home-made format on its
// way out among them, until nothing old is left. Every entry says who answered.
// prints: kms.decrypt orders by files-2019 (refused_by.memory)
// prints: kms.encrypt orders by memory
// prints: kms.re_encrypt orders → orders by memory (opened_by.files-2019, refused_by.memory)
// prints: kms.decrypt orders by memory
// prints: still sealed in the old format: 0
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { KmsClient } from 'keytrail'
import { legacy } from 'keytrail/providers/legacy'
import { memoryKms } from 'keytrail/providers/memory'
import { migrating } from 'keytrail/providers/migrating'
import { memorySink } from 'keytrail/sinks/memory'

// What the application did until now: nonce, tag and body of AES-256-GCM, under a key in its configuration.
const oldKey = randomBytes(32)
function sealOld(text) {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', oldKey, nonce)
  const body = Buffer.concat([cipher.update(text), cipher.final()])
  return new Uint8Array(Buffer.concat([nonce, cipher.getAuthTag(), body]))
}
function openOld(sealed) {
  const decipher = createDecipheriv('aes-256-gcm', oldKey, sealed.subarray(0, 12))
  decipher.setAuthTag(sealed.subarray(12, 28))
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()])
}
const database = [sealOld('1 box'), sealOld('2 boxes'), sealOld('17 boxes')]

// In place of memoryKms: openLocalKms, awsKms, vaultTransit, pkcs11 …
const next = memoryKms()
const old = legacy({ name: 'files-2019', keys: ['orders'], open: openOld })
const sink = memorySink()
const kms = new KmsClient({ provider: migrating({ to: next, from: [old] }), audit: { required: [sink] } })

// Before anything is moved: the old opens, and the new one has no such key.
await kms.decrypt({ key: 'orders', ciphertext: database[0] }).catch((error) => console.error(error.code))
await kms.createKey({ slug: 'orders' })
await kms.decrypt({ key: 'orders', ciphertext: database[0] })
database.push((await kms.encrypt({ key: 'orders', plaintext: new TextEncoder().encode('18 boxes') })).ciphertext)

// The move, a record at a time and in any order; what is moved already is only sealed anew.
for (const [at, ciphertext] of database.entries())
  database[at] = (await kms.reEncrypt({ key: 'orders', ciphertext })).ciphertext

// Nothing old is left: the new KMS alone opens all.
const movedAt = sink.entries.length
for (const ciphertext of database) await kms.decrypt({ key: 'orders', ciphertext })

for (const entry of sink.entries.filter(({ action }) => action.startsWith('kms.'))) {
  const { action, keySlug, provider, details } = entry
  const second = details?.destinationKey === undefined ? '' : ` → ${details.destinationKey.slug}`
  const flags = details?.flags === undefined ? '' : ` (${details.flags.join(', ')})`
  console.log(`${action} ${keySlug}${second} by ${provider.name}${flags}`)
}
const left = sink.entries.slice(movedAt).filter(({ provider }) => provider?.name === 'files-2019')
console.log(`still sealed in the old format: ${left.length}`)
await kms.close()
