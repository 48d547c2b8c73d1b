/** @node Rules about exports, rotations and the life of keys, over the entries that a client really writes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { createDetector } from '../../../src/detect/detector.ts'
import type { RuleSettings } from '../../../src/detect/shipped.ts'
import { shippedRules } from '../../../src/detect/shipped.ts'
import { runRotation } from '../../../src/integrations/rotation/index.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'

const [hour, day] = [3_600_000, 86_400_000]
const plaintext = new TextEncoder().encode('attack at dawn')
const ids = [
  ...['export', 'export-after-change', 'rotation-overdue', 'scheduled-rotation', 'manual-rotation', 'rotation-storm'],
  ...['inactive-key', 'key-disabled', 'mass-disable', 'key-import', 'access-change', 'canary-key', 'usage-limit'],
]

function stage() {
  const clock = fakeClock()
  const sink = memorySink()
  const kms = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [sink], clock, heartbeatMs: day } })
  const alice = kms.with({ actor: { type: 'user', id: 'alice' }, clientIp: '192.0.2.7' })
  /** Rule and level of each finding, in their order. */
  function found(settings: RuleSettings = {}): readonly string[] {
    const detector = createDetector(shippedRules(settings).filter(({ id }) => ids.includes(id)))
    const findings = [...sink.entries.flatMap((entry) => [...detector.take(entry)]), ...detector.advance(clock.now())]
    assert.deepEqual(detector.health().failed, {})
    for (const { says } of findings) assert.doesNotMatch(says, /undefined|NaN|unknown/)
    return findings.map(({ rule, level }) => `${rule} ${level}`)
  }
  return { clock, sink, kms, alice, found }
}

test('an export in the clear of a key of today is told twice: as any export, and as one that came too soon', async () => {
  const { clock, kms, alice, found } = stage()
  await alice.createKey({ slug: 'orders', exportAllowed: true })
  clock.advance(hour)
  await alice.export({ key: 'orders' })
  assert.deepEqual(found(), ['export critical', 'export-after-change high'])
  await kms.close()
})

test('rotations match the policy, until the scheduler stands still and somebody helps by hand', async () => {
  const { clock, kms, alice, found } = stage()
  await alice.createKey({ slug: 'orders', rotationPeriodInDays: 30 })
  for (let month = 0; month < 3; month++) {
    clock.advance(30 * day)
    assert.equal((await runRotation(kms)).rotated.length, 1)
  }
  assert.deepEqual(found(), [])
  clock.advance(33 * day)
  assert.deepEqual(found(), ['rotation-overdue medium'])
  assert.equal((await runRotation(kms)).rotated.length, 1)
  assert.deepEqual(found(), ['rotation-overdue medium', 'scheduled-rotation medium'])
  clock.advance(hour)
  await alice.rotate({ key: 'orders' })
  assert.deepEqual(found().slice(2), ['manual-rotation medium'])
  await kms.close()
})

test('a policy that is set for an old key makes its first rotation neither late nor overdue', async () => {
  const { clock, kms, alice, found } = stage()
  await alice.createKey({ slug: 'orders' })
  clock.advance(400 * day)
  await alice.updateRotation({ key: 'orders', keyRotationEnabled: true, rotationPeriodInDays: 90 })
  clock.advance(hour)
  assert.equal((await runRotation(kms)).rotated.length, 1)
  assert.deepEqual(found(), [])
  await alice.updateRotation({ key: 'orders', keyRotationEnabled: false })
  assert.deepEqual(found(), ['access-change medium'])
  await kms.close()
})

test('a key in use is disabled, asked for, deleted, destroyed, and asked for again', async () => {
  const { clock, kms, alice, found } = stage()
  await alice.createKey({ slug: 'orders' })
  const { ciphertext } = await alice.encrypt({ key: 'orders', plaintext })
  const mallory = kms.with({ actor: { type: 'user', id: 'mallory' } })
  await mallory.disableKey({ key: 'orders' })
  for (let attempt = 0; attempt < 5; attempt++)
    await assert.rejects(alice.decrypt({ key: 'orders', ciphertext }), { code: 'KEY_NOT_ACTIVE' })
  clock.advance(2 * day)
  await mallory.scheduleKeyDeletion({ key: 'orders' })
  clock.advance(30 * day)
  assert.equal((await runRotation(kms)).destroyed.length, 1)
  await assert.rejects(alice.decrypt({ key: 'orders', ciphertext }), { code: 'KEY_NOT_FOUND' })
  assert.deepEqual(found(), [
    'key-disabled high',
    'inactive-key low',
    'inactive-key medium',
    'key-disabled low',
    'key-disabled low',
    'inactive-key low',
  ])
  await kms.close()
})

test('five keys are deleted by somebody who did not make them', async () => {
  const { kms, alice, found } = stage()
  for (let number = 0; number < 5; number++) await alice.createKey({ slug: `key-${number}` })
  const mallory = kms.with({ actor: { type: 'user', id: 'mallory' } })
  for (let number = 0; number < 5; number++) await mallory.scheduleKeyDeletion({ key: `key-${number}` })
  assert.deepEqual(found().slice(-2), ['key-disabled medium', 'mass-disable critical'])
  await kms.close()
})

test('key material is imported, also as a newer version', async () => {
  const { kms, alice, found } = stage()
  const keyType = 'aes256-gcm96'
  await alice.importKey({ slug: 'byok', keyType, keyMaterial: randomBytes(32), form: 'raw', allowRotation: true })
  await alice.importKeyVersion({ key: 'byok', keyVersion: 2, keyMaterial: randomBytes(32), form: 'raw' })
  assert.deepEqual(found(), ['key-import low', 'key-import medium'])
  await kms.close()
})

test('old versions are shut out and let in again, and the keystore gets another signer', async () => {
  const { kms, alice, found } = stage()
  await alice.createKey({ slug: 'orders' })
  await alice.with({ reason: { code: 'leaver' } }).rotate({ key: 'orders' })
  await alice.updateMinDecryptionVersion({ key: 'orders', minDecryptionVersion: 2 })
  await alice.updateMinDecryptionVersion({ key: 'orders', minDecryptionVersion: 1 })
  await alice.rotateAuditSigner()
  assert.deepEqual(found(), ['access-change low', 'access-change medium', 'access-change medium'])
  await kms.close()
})

test('a canary is touched by its identity, by its slug, and by whoever is refused; listing touches nobody', async () => {
  const { kms, alice, found, sink } = stage()
  const { key } = await alice.createKey({ slug: 'honey' })
  const settings = { 'canary-key': { keys: ['honey'] } }
  await alice.listKeys()
  assert.deepEqual(found(settings), [])
  await alice.describeKey({ key: key.identity })
  const mallory = kms.with({ actor: { type: 'user', id: 'mallory' } })
  await assert.rejects(mallory.export({ key: 'honey' }), { code: 'EXPORT_NOT_ALLOWED' })
  assert.deepEqual(found(settings), ['canary-key critical', 'canary-key critical'])
  assert.ok(sink.entries.some(({ action, phase }) => action === 'kms.export' && phase === 'result'))
  assert.deepEqual(found({ 'canary-key': { keys: [key.identity], except: ['user:alice'] } }), ['canary-key critical'])
  await kms.close()
})

test('three rotations of one key on one day are a storm', async () => {
  const { clock, kms, alice, found } = stage()
  await alice.createKey({ slug: 'orders' })
  for (let turn = 0; turn < 3; turn++) {
    clock.advance(hour)
    await alice.with({ reason: { code: 'test' } }).rotate({ key: 'orders' })
  }
  assert.deepEqual(found(), ['rotation-storm medium'])
  await kms.close()
})
