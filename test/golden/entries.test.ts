/**
 * @node The entries of one scripted afternoon, line by line: whoever changes what an entry says sees it here first.
 * Random parts are masked. `UPDATE_GOLDEN=1 npm test -- test/golden/entries.test.ts` writes the file anew.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { KmsError } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { validEntries } from '../validate.ts'

const golden = new URL('./entries.jsonl', import.meta.url)
const text = new TextEncoder().encode('attack at dawn')

test('the entries of one afternoon are as they were', async () => {
  const lines = await afternoon()
  if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(golden, `${lines.join('\n')}\n`)
  assert.deepEqual(lines, readFileSync(golden, 'utf8').trimEnd().split('\n'))
})

async function afternoon(): Promise<string[]> {
  const clock = fakeClock()
  const sink = memorySink()
  const kms = new KmsClient({
    provider: memoryKms({ clock }),
    audit: {
      required: [sink],
      clock,
      heartbeatMs: 0,
      fields: { clientIp: 'prefix' },
      require: { 'kms.export': ['reason'] },
    },
    region: 'nl-01',
    project: 'billing',
    middleware: [
      (call, next) => {
        if (call.context.actor?.id === 'mallory') throw new KmsError('ACCESS_DENIED', 'not you')
        return next()
      },
    ],
  }).with({
    actor: { type: 'user', id: 'alice', name: 'Alice' },
    clientIp: '192.0.2.7',
    userAgent: 'Mozilla/5.0 (X11)\u202e',
    requestId: 'req-1',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    method: 'POST',
    route: '/orders/:id',
    origin: { service: 'secrets-manager', eventID: 'e-1', resource: '/prod/db' },
  })
  const refused = (call: Promise<unknown>) =>
    call.then(
      () => assert.fail(),
      () => undefined,
    )
  const day = 86_400_000

  await kms.createKey({ slug: 'box', keyType: 'aes256-gcm96', keyRotationEnabled: true, rotationPeriodInDays: 30 })
  await kms.createKey({ slug: 'pen', keyType: 'ed25519' })
  await kms.createKey({ slug: 'mac', keyType: 'hmac' })
  await kms.createKey({ slug: 'vault', exportAllowed: true })
  await refused(kms.createKey({ slug: 'vault' }))
  const { ciphertext } = await kms.encrypt({ key: 'box', plaintext: text, encryptionContext: { order: '17' } })
  await kms.decrypt({ key: 'box', ciphertext, encryptionContext: { order: '17' } })
  await refused(kms.decrypt({ key: 'box', ciphertext, encryptionContext: { order: '18' } }))
  const { signature } = await kms.sign({ key: 'pen', input: text })
  await kms.verify({ key: 'pen', input: text, signature })
  await kms.verify({ key: 'pen', input: text, signature: new Uint8Array(64) })
  const { hmac } = await kms.hmac({ key: 'mac', input: text, hashAlgorithm: 'sha256' })
  await kms.verifyHmac({ key: 'mac', input: text, hmac })
  await kms.rotate({ key: 'pen' })
  await kms.verify({ key: 'pen', input: text, signature })
  clock.advance(31 * day)
  await kms.rotateDueKeys()
  await refused(kms.export({ key: 'vault' }))
  const inspection = kms.with({ reason: { code: 'inspection', ticket: 'SEC-1' } })
  await inspection.export({ key: 'vault' })
  await refused(inspection.export({ key: 'box' }))
  await kms.generateDataKey({ key: 'box' })
  await kms.reEncrypt({ key: 'box', ciphertext, encryptionContext: { order: '17' }, destinationKey: 'vault' })
  await kms.getPublicKey({ key: 'pen' })
  await kms.describeKey({ key: 'box' })
  await kms.listKeys()
  await kms.updateRotation({ key: 'box', keyRotationEnabled: false })
  await kms.disableKey({ key: 'box' })
  await refused(kms.encrypt({ key: 'box', plaintext: text }))
  await kms.enableKey({ key: 'box' })
  await kms.scheduleKeyDeletion({ key: 'box', pendingWindowInDays: 7 })
  await kms.cancelKeyDeletion({ key: 'box' })
  await refused(kms.encrypt({ key: 'box', plaintext: new Uint8Array(70_000) }))
  await refused(kms.encrypt({ key: 'nobody', plaintext: text }))
  await refused(kms.with({ actor: { type: 'user', id: 'mallory' } }).encrypt({ key: 'vault', plaintext: text }))
  await kms.rotateAuditSigner()
  await refused(kms.rewrapRootKey({ passphrase: 'not in a memory KMS' }))
  await refused(kms.rewrapRootKey({}))
  await kms.close()
  return masked(validEntries(sink.entries).map(lineOf))
}

/** Random ids and salts by running names, so that what is equal stays equal. */
function masked(lines: readonly string[]): string[] {
  const names = new Map<string, string>()
  const name = (kind: string, found: string) => {
    const known =
      names.get(found) ?? `<${kind} ${[...names.values()].filter((text) => text.startsWith(`<${kind} `)).length}>`
    names.set(found, known)
    return known
  }
  return lines.map((line) =>
    line
      .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => name('id', id))
      .replace(/\bkms-[a-z0-9]{8,}/g, (id) => name('key', id))
      .replace(/\bmain-\w{1,8}\b/g, (id) => name('instance', id))
      .replace(/(?<="keystore":"|"resourceIdentity":")[a-z2-7]{26}\b/g, (id) => name('keystore', id))
      .replace(/"salt":"[\w-]{22}"/, '"salt":"<salt>"'),
  )
}
