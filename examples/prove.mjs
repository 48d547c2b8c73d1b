// An auditor who trusts nobody here: a receipt for one entry, a pin kept elsewhere, and what each of them shows.
// prints: the receipt proves kms.export by alice
// prints: the trail is valid, and agrees with the pin
// prints: cut back to before the export it is rolled-back
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KmsClient } from 'keytrail'
import { openLocalKms } from 'keytrail/providers/local'
import { checkProof, openTrail, verifyTrail } from 'keytrail/trail'

const folder = mkdtempSync(join(tmpdir(), 'prove-'))
const [audit, before, pin] = ['audit', 'before', 'elsewhere.pin'].map((name) => join(folder, name))
const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: crypto.getRandomValues(new Uint8Array(32)) })
const trail = await openTrail({ path: audit, signer: local.auditSigner(), pin: { file: pin } })
const kms = new KmsClient({ provider: local, audit: { required: [trail] } })

await kms.createKey({ slug: 'backup', exportAllowed: true })
await trail.flush()
cpSync(audit, before, { recursive: true, filter: (name) => !name.endsWith('.sock') })
const alice = kms.with({ actor: { type: 'user', id: 'alice' }, reason: { code: 'migration', ticket: 'OPS-17' } })
const { eventID } = await alice.export({ key: 'backup' })
const receipt = await trail.proveEntry(eventID)
// Closing keeps the pin, too.
await kms.close()

// Offline, with the receipt and the key that was handed over on another way: nothing else is read.
const { vkey } = trail
const checked = await checkProof(receipt.text, { vkey })
if (checked.valid) console.log(`the receipt proves ${checked.entry.action} by ${checked.entry.actor?.id}`)

const verdict = await verifyTrail(audit, { vkey, pin })
console.log(`the trail is ${verdict.verdict}, and agrees with the ${verdict.anchor}`)

// Someone puts the trail of an hour ago back. In itself it is whole; the pin has seen more.
const cut = await verifyTrail(before, { vkey, pin })
console.log(`cut back to before the export it is ${cut.verdict} (${cut.problem})`)
rmSync(folder, { recursive: true })
