// A file through an envelope: sealed as a stream, opened again, and moved to the newest version of its key.
// prints: sealed
// prints: opened: the same bytes
// prints: orders-1 moved from version 1 to 2
// prints: orders-1 current
// prints: the second message was sealed with a cached data key
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { KmsClient } from 'keytrail'
import { envelope, reEncryptAll } from 'keytrail/envelope'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
await kms.createKey({ slug: 'orders' })
const orders = envelope({ kms, key: 'orders', cache: { maxAgeMs: 60_000, maxMessages: 100 } })
const encryptionContext = { file: 'orders-1' }
const folder = mkdtempSync(join(tmpdir(), 'envelope-'))
const [plain, sealed] = [join(folder, 'orders-1'), join(folder, 'orders-1.sealed')]
writeFileSync(plain, randomBytes(1_000_000))

const read = (path) => Readable.toWeb(createReadStream(path))
await read(plain)
  .pipeThrough(orders.sealStream({ encryptionContext }))
  .pipeTo(Writable.toWeb(createWriteStream(sealed)))
console.log('sealed')

// What comes out is only the beginning of something until the stream has ended without an error: keep it aside until then.
const digest = createHash('sha256')
for await (const chunk of read(sealed).pipeThrough(orders.openStream({ encryptionContext }))) digest.update(chunk)
const same = digest.digest('hex') === createHash('sha256').update(readFileSync(plain)).digest('hex')
console.log(`opened: ${same ? 'the same bytes' : 'other bytes'}`)

// After a rotation only the header changes.
await kms.rotate({ key: 'orders' })
const store = ({ ciphertext }) => writeFileSync(sealed, ciphertext)
for (let run = 0; run < 2; run++) {
  const items = [{ id: 'orders-1', ciphertext: readFileSync(sealed), encryptionContext }]
  for await (const { id, verdict, from, to } of reEncryptAll({ kms, key: 'orders', items, store }))
    console.log(verdict === 'moved' ? `${id} moved from version ${from} to ${to}` : `${id} ${verdict}`)
}

const first = await orders.seal({ plaintext: new Uint8Array(10), encryptionContext })
await orders.seal({ plaintext: new Uint8Array(10), encryptionContext })
const last = sink.entries.at(-1)
if (last.action === 'kms.generate_data_key' && last.details.cache.parent === first.eventID)
  console.log('the second message was sealed with a cached data key')

await orders.close()
await kms.close()
rmSync(folder, { recursive: true })
