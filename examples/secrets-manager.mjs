// A service reads its database password from a Secrets Manager; afterwards somebody asks who read it, from where, and with
// which key.
// prints: the password is hunter2, version 1
// prints: from 203.0.113.9 it is refused: ACCESS_DENIED (403)
// prints: GET /orders/:id from 10.0.0.7 → secret.get_value /billing/database version 1 → kms.decrypt with orders v1
// prints: every KMS call for a secret has its entry: 0 orphans
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KmsClient } from 'keytrail'
import { openLocalKms } from 'keytrail/providers/local'
import { correlate, secretsManager } from 'keytrail/secrets-manager'
import { openSecretFiles } from 'keytrail/secrets-manager/files'
import { openTrail, readTrail } from 'keytrail/trail'

const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
const audit = join(folder, 'audit')
const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: crypto.getRandomValues(new Uint8Array(32)) })
const trail = await openTrail({ path: audit, signer: local.auditSigner() })
const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
const secrets = secretsManager({ kms, store: await openSecretFiles({ path: join(folder, 'secrets') }) })

await kms.createKey({ slug: 'orders' })
const path = '/billing/database'
const policy = { conditions: [{ type: 'ip', effect: 'allow', cidrs: ['10.0.0.0/8'] }] }
await secrets.create({ path, key: 'orders', policy, secretString: 'hunter2' })

const request = {
  actor: { type: 'serviceAccount', id: 'orders' },
  clientIp: '10.0.0.7',
  method: 'GET',
  route: '/orders/:id',
}
const { secretString, version, eventID } = await secrets.with(request).get({ path })
console.log(`the password is ${secretString}, version ${version}`)

try {
  await secrets.with({ ...request, clientIp: '203.0.113.9' }).get({ path })
} catch (error) {
  console.log(`from 203.0.113.9 it is refused: ${error.code} (${error.statusCode})`)
}
await secrets.close()
await kms.close()

let orphans = 0
for await (const call of correlate(readTrail(audit))) {
  if (call.kind === 'orphan') orphans += 1
  if (call.secret?.eventID !== eventID) continue
  const { request, secret, kms } = call
  const { method, route, clientIp } = request.context
  const read = `${secret.action} ${secret.resourceIdentity} version ${secret.details.secretVersion}`
  const used = `${kms.action} with ${kms.keySlug} v${kms.keyVersion}`
  console.log(`${method} ${route} from ${clientIp} → ${read} → ${used}`)
}
console.log(`every KMS call for a secret has its entry: ${orphans} orphans`)
rmSync(folder, { recursive: true })
