import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import type { Finding } from '../../../src/detect/finding.ts'
import { shippedRules } from '../../../src/detect/shipped.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { rig } from '../../integrations/secrets-manager/rig.ts'

const ofSecrets = shippedRules().filter(({ id }) => id === 'secret-without-decrypt' || id === 'decrypt-without-secret')

function findingsIn(entries: readonly AuditEntry[]): readonly Finding[] {
  const detector = createDetector(ofSecrets)
  const found = entries.flatMap((entry) => [...detector.take(entry)])
  const late = detector.advance(Date.parse(entries.at(-1)?.createdAt ?? '') + 86_400_000)
  assert.deepEqual(detector.health().failed, {})
  return [...found, ...late]
}

/** A day of a real Secrets Manager: written, read, refused, not there, destroyed; then whatever `and` does, and a while after that. */
async function lived(and: (house: Awaited<ReturnType<typeof rig>>) => Promise<void> = async () => undefined) {
  const house = await rig()
  const { secrets, clock, sink, kms } = house
  await secrets.create({ path: '/db/password', key: 'orders', secretString: 's3cret' })
  for (let number = 0; number < 5; number++) {
    clock.advance(60_000)
    await secrets.put({ path: '/db/password', secretString: `s3cret-${number}` })
    await secrets.get({ path: '/db/password' })
    await secrets.get({ path: '/nowhere' }).catch(() => undefined)
  }
  await kms.disableKey({ key: 'orders' })
  await secrets.get({ path: '/db/password' }).catch(() => undefined)
  await secrets.put({ path: '/db/password', secretString: 'x' }).catch(() => undefined)
  await kms.enableKey({ key: 'orders' })
  clock.advance(60_000)
  await and(house)
  clock.advance(600_000)
  await kms.encrypt({ key: 'orders', plaintext: new Uint8Array(4) })
  return sink.accepted
}

test('a real Secrets Manager, with reads, writes and failures of either end: nothing to tell', async () => {
  const entries = await lived()
  assert.ok(entries.filter(({ action, outcome }) => action === 'secret.get_value' && outcome === 'failure').length >= 6)
  assert.deepEqual(findingsIn(entries), [])
})

test('somebody decrypts in the name of a secret, past the Secrets Manager', async () => {
  const entries = await lived(async ({ kms }) => {
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: new Uint8Array(4) })
    const origin = {
      service: 'secrets-manager',
      eventID: '0199c9d0-1b00-7000-8000-000000000000',
      resource: '/db/password',
    }
    await kms.decrypt({ key: 'orders', ciphertext }, { context: { origin, actor: { type: 'client', id: 'script' } } })
  })
  const [finding, ...others] = findingsIn(entries)
  assert.ok(finding !== undefined && others.length === 0)
  const decrypt = entries.find(({ action, actor }) => action === 'kms.decrypt' && actor?.id === 'script')
  assert.deepEqual(
    [finding.rule, finding.level, finding.evidence],
    ['decrypt-without-secret', 'high', [decrypt?.eventID]],
  )
  assert.deepEqual(finding.subject, { actor: 'client:script', key: 'orders', secret: '/db/password' })
})

test('by nobody who is named, an address is no actor', async () => {
  const [decrypt, ...entries] = (await lived()).filter(
    ({ action }) => action.startsWith('secret.') || action.startsWith('kms.'),
  )
  assert.ok(decrypt)
  const last = entries.at(-1)
  assert.ok(last)
  const alone: AuditEntry = {
    ...{ ...last, action: 'kms.decrypt', eventID: 'alone', sequence: last.sequence + 1, actor: { type: 'unknown' } },
    ...{ context: { clientIp: '2001:db8::1' }, origin: { service: 'secrets-manager', eventID: 'none' } },
  }
  const later: AuditEntry = {
    ...{ ...last, eventID: 'later', sequence: last.sequence + 2 },
    createdAt: new Date(Date.parse(last.createdAt) + 400_000).toISOString(),
  }
  const [finding] = findingsIn([...entries, alone, later])
  assert.deepEqual(finding?.subject, { key: 'orders' })
  assert.match(finding?.says ?? '', /^2001:db8::1 made 1 KMS call in the name of the Secrets Manager, and no entry/)
})

test('the entry of the KMS call is missing: the read stands alone', async () => {
  const entries = await lived()
  const read = entries.find(({ action, outcome }) => action === 'secret.get_value' && outcome === 'success')
  const [finding, ...others] = findingsIn(entries.filter(({ eventID }) => eventID !== read?.details?.kmsEventID))
  assert.ok(finding !== undefined && others.length === 0)
  assert.deepEqual([finding.rule, finding.level, finding.evidence], ['secret-without-decrypt', 'high', [read?.eventID]])
  assert.deepEqual(finding.subject, { actor: 'user:alice', secret: '/db/password' })
})
