// The morning after: who decrypted with this key and failed, and has anyone touched the record?
// prints: mallory failed to decrypt with orders v1: authentication_failed
// prints: the trail is valid
// prints: after one changed name it is tampered
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KmsClient } from 'keytrail'
import { openLocalKms } from 'keytrail/providers/local'
import { openTrail, readTrail, verifyTrail } from 'keytrail/trail'

const folder = mkdtempSync(join(tmpdir(), 'investigate-'))
const audit = join(folder, 'audit')
const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: crypto.getRandomValues(new Uint8Array(32)) })
const trail = await openTrail({ path: audit, signer: local.auditSigner() })
const kms = new KmsClient({ provider: local, audit: { required: [trail] } })

await kms.createKey({ slug: 'orders' })
const { ciphertext } = await kms.encrypt({
  key: 'orders',
  plaintext: new Uint8Array([1]),
  encryptionContext: { order: '17' },
})
const mallory = kms.with({ actor: { type: 'user', id: 'mallory' } })
await mallory
  .decrypt({ key: 'orders', ciphertext, encryptionContext: { order: '18' } })
  .catch((error) => console.error(`refused: ${error.message}`))
await kms.close()

for await (const { entry } of readTrail(audit, { action: 'kms.decrypt', outcome: 'failure', key: 'orders' })) {
  const why = entry.details?.decryptFailure
  console.log(`${entry.actor?.id} failed to decrypt with ${entry.keySlug} v${entry.keyVersion}: ${why}`)
}

// The key to verify with comes from outside the trail's directory.
const { vkey } = trail
console.log(`the trail is ${(await verifyTrail(audit, { vkey })).verdict}`)

const copy = join(folder, 'copy')
cpSync(audit, copy, { recursive: true })
const segments = join(copy, 'main', 'segments')
const segment = join(segments, readdirSync(segments)[0])
writeFileSync(segment, readFileSync(segment, 'utf8').replace('mallory', 'alicexx'))
const found = await verifyTrail(copy, { vkey })
console.log(`after one changed name it is ${found.verdict} (${found.problem}, near entry ${found.index})`)
rmSync(folder, { recursive: true })
