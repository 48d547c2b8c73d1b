/** Snapshots are the same in every run, and tell the rest whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { exampleEntry, fakeClock, fakeProvider, snapshotOf, summary } from '../../src/testing/index.ts'
import { fullEntry } from '../model/full-entry.ts'

async function story(start: number) {
  const clock = fakeClock(start)
  const sink = memorySink()
  const provider = fakeProvider({ inner: memoryKms({ clock }) })
  const kms = new KmsClient({ provider, audit: { required: [sink], clock }, region: 'nl-01' })
  await kms.createKey({ slug: 'orders', rotationPeriodInDays: 1 })
  await kms.createKey({ slug: 'archive' })
  const { ciphertext } = await kms
    .with({ actor: { type: 'user', id: 'alice' }, requestId: `r-${start}`, route: '/orders/:id' })
    .encrypt({ key: 'orders', plaintext: new Uint8Array(9), encryptionContext: { customerID: '7', paidAt: 'noon' } })
  const encryptionContext = { customerID: '7', paidAt: 'noon' }
  await kms.reEncrypt({ key: 'orders', ciphertext, encryptionContext, destinationKey: 'archive' })
  await kms.decrypt({ key: 'nobody', ciphertext }).catch(() => undefined)
  await kms.scheduleKeyDeletion({ key: 'archive' })
  clock.advance(86_400_000)
  await kms.rotateDueKeys()
  await kms.listKeys({})
  await kms.close()
  return sink.entries
}

test('two runs at different times, with other ids, are one and the same; as text too', async () => {
  const [first, second] = [await story(0), await story(1_800_000_000_000)]
  assert.notDeepEqual(first, second)
  assert.equal(JSON.stringify(snapshotOf(first)), JSON.stringify(snapshotOf(second)))
  assert.deepEqual(snapshotOf(first, { log: true }), snapshotOf(second, { log: true }))
  assert.equal(snapshotOf(first, { log: true })[0]?.['action'], 'audit.opened')
  assert.equal(snapshotOf(first)[0]?.['action'], 'kms_key.create')
  assert.deepEqual(summary(first), summary(second))
})

test('what is the same in each run is all there', async () => {
  const entries = await story(0)
  const encrypt = snapshotOf(entries).find(({ action }) => action === 'kms.encrypt')
  assert.deepEqual(encrypt, {
    schema: 'keytrail/1',
    action: 'kms.encrypt',
    phase: 'result',
    resourceType: 'kms_key',
    outcome: 'success',
    statusCode: 200,
    region: 'nl-01',
    keySlug: 'orders',
    keyType: 'xaes256-gcm',
    keyVersion: 1,
    payloadSizes: { plaintext: 9, ciphertext: 86, encryptionContext: 21 },
    actor: { type: 'user', id: 'alice', source: 'context' },
    context: { route: '/orders/:id' },
    provider: { name: 'memory' },
    encryptionContext: { customerID: '7', paidAt: 'noon' },
  })
  const unknown = snapshotOf(entries).find(({ error }) => error === 'KEY_NOT_FOUND')
  assert.equal(unknown?.['resourceIdentity'], 'nobody')
})

test('nothing that an entry may hold is a time, an id or a duration any more', () => {
  const [left] = snapshotOf([fullEntry], { log: true })
  const names = [...JSON.stringify(left).matchAll(/"(\w+)":/g)].map(([, name = '']) => name)
  assert.ok(names.length > 30)
  assert.deepEqual(
    names.filter((name) => /^(?:salt|instance|sequence|vkey|traceparent)$|(?:At|Ms|ID)$/.test(name)),
    [],
  )
})

test('keeps what is asked for, leaves out more, and refuses to keep what is kept anyway', () => {
  const entry = exampleEntry(3, { details: { dueAt: '2026-01-01T00:00:00.000Z', previousVersion: 1 } })
  const [kept] = snapshotOf([entry], {
    keep: ['eventID', 'resourceIdentity', 'details.dueAt'],
    omit: ['provider', 'actor.id'],
  })
  assert.equal(kept?.['eventID'], entry.eventID)
  assert.equal(kept?.['resourceIdentity'], 'kms-example')
  assert.deepEqual(kept?.['details'], { dueAt: '2026-01-01T00:00:00.000Z', previousVersion: 1 })
  assert.deepEqual(kept?.['actor'], { type: 'user', source: 'context' })
  assert.equal(kept !== undefined && 'provider' in kept, false)
  assert.throws(() => snapshotOf([entry], { keep: ['evntID'] }), /'evntID' is nothing that a snapshot leaves out/)
  assert.throws(() => snapshotOf([], { keep: ['outcome'] }), { code: 'INVALID_INPUT' })
})

test('is in the fixed order whatever order the entry has', () => {
  const entry = exampleEntry()
  const turned = Object.fromEntries(Object.entries(entry).reverse()) as unknown as typeof entry
  assert.equal(JSON.stringify(snapshotOf([turned])), JSON.stringify(snapshotOf([entry])))
})

test("the path of a secret is the program's word", () => {
  const entry = exampleEntry(0, { action: 'secret.get_value', resourceType: 'secret', resourceIdentity: '/db' })
  assert.equal(snapshotOf([entry])[0]?.['resourceIdentity'], '/db')
})
