/** @node What FIPS mode allows and refuses, tried in a process that runs with OpenSSL's FIPS provider: one JSON document of facts. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { KmsClient } from '../../src/client.ts'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { KeyType } from '../../src/model/key.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { openTrail, readTrail, verifyTrail } from '../../src/trail/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'keytrail-fips-'))
const path = join(folder, 'keys')
const input = new TextEncoder().encode('attack at dawn')
const rootKey = randomBytes(32)

async function refusal(run: () => Promise<unknown>): Promise<string> {
  try {
    await run()
    return 'allowed'
  } catch (error) {
    return error instanceof KmsError ? `${error.code}: ${error.message}` : `foreign: ${String(error)}`
  }
}

/** Everything that a key of the type is for. */
async function used(kms: KmsClient, keyType: KeyType): Promise<boolean> {
  const key = `k-${keyType}`
  const { uses } = algorithms[keyType]
  await kms.createKey({ slug: key, keyType, exportAllowed: true })
  if (uses.includes('encrypt')) {
    const { ciphertext } = await kms.encrypt({ key, plaintext: input, encryptionContext: { order: '17' } })
    const { plaintext } = await kms.decrypt({ key, ciphertext, encryptionContext: { order: '17' } })
    if (Buffer.compare(plaintext, input) !== 0) return false
  }
  if (uses.includes('sign')) {
    const { signature } = await kms.sign({ key, input })
    if (!(await kms.verify({ key, input, signature }))) return false
  }
  if (uses.includes('mac')) {
    const { hmac } = await kms.hmac({ key, input })
    if (!(await kms.verifyHmac({ key, input, hmac }))) return false
  }
  return (await kms.export({ key })).keyMaterial.length > 0
}

const withPassphrase = await refusal(() => openLocalKms({ path, passphrase: 'correct horse', fips: true }))
const local = await openLocalKms({ path, rootKey, fips: true })
const audit = join(folder, 'audit')
const trail = await openTrail({ path: audit, signer: local.auditSigner() })
const kms = new KmsClient({ provider: local, audit: { required: [trail] }, deadlineMs: 60_000 })
const byType: Record<string, string> = {}
for (const keyType of Object.keys(algorithms) as KeyType[]) // the table's own names
  byType[keyType] = await refusal(async () => {
    if (!(await used(kms, keyType))) throw new Error('answered wrongly')
  })
const { key } = await kms.createKey({ slug: 'by-default' })
const prehashed = await refusal(() =>
  kms.sign({ key: 'k-ecdsa-p256', input: new Uint8Array(randomBytes(32)), prehashed: true }),
)
const rewrapped = await refusal(() => kms.rewrapRootKey({ passphrase: 'correct horse' }))
await kms.close()
const { verdict } = await verifyTrail(audit, { vkey: trail.vkey })

// Without the option, the same machine: what OpenSSL lacks is refused in words, and the default type still works.
const lax = await openLocalKms({ path: join(folder, 'lax'), rootKey })
const laxKms = new KmsClient({
  provider: lax,
  audit: { required: [await openTrail({ path: join(folder, 'lax-audit'), signer: lax.auditSigner() })] },
})
const laxTypes: Record<string, string> = {}
for (const keyType of ['xaes256-gcm', 'chacha20-poly1305', 'xchacha20-poly1305', 'ecdsa-secp256k1'] as const)
  laxTypes[keyType] = await refusal(() => used(laxKms, keyType))
await laxKms.close()

const entries = []
for await (const { entry } of readTrail(audit))
  entries.push({
    action: entry.action,
    phase: entry.phase,
    keyType: entry.keyType,
    outcome: entry.outcome,
    error: entry.error,
    engine: entry.details?.engine,
  })
rmSync(folder, { recursive: true, force: true })
process.stdout.write(
  JSON.stringify({
    withPassphrase,
    facts: local.facts,
    byType,
    byDefault: key.keyType,
    prehashed,
    rewrapped,
    verdict,
    laxTypes,
    entries,
  }),
)
