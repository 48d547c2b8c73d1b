import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { type RotationRun, runRotation, startRotationScheduler } from '../../../src/integrations/rotation/index.ts'
import type { RequestContext } from '../../../src/model/context.ts'
import type { Key } from '../../../src/model/key.ts'
import type { KmsProvider } from '../../../src/model/provider.ts'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { migrating } from '../../../src/providers/migrating.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { fakeProvider } from '../../../src/testing/provider.ts'
import { summary } from '../../../src/testing/summary.ts'
import { startRig } from '../../providers/aws-kms/rig.ts'
import { rig as startVault } from '../../providers/vault-transit/rig.ts'
import { freshFolder } from '../../storage/folder.ts'
import { day, stage } from './stage.ts'

test('a run by hand does what a turn does, once, without a timer, and says what it did in plain JSON', async (t) => {
  const { clock, kms, changes } = await stage(t, { monthly: 30 })
  clock.advance(30 * day + 1)
  const run = await runRotation(kms)
  assert.deepEqual(changes(), ['kms.rotate.scheduled pending monthly', 'kms.rotate.scheduled success monthly v2'])
  const { startedAt, durationMs, rotated, ...rest } = run
  assert.deepEqual([startedAt, durationMs], [new Date(clock.now()).toISOString(), 0])
  assert.deepEqual(rest, { destroyed: [], overtaken: [], failed: [], ahead: [], leftOut: [] })
  const told = JSON.parse(JSON.stringify(rotated))
  assert.deepEqual([told[0].key.slug, told[0].keyVersion, told[0].latenessMs], ['monthly', 2, 1])
  assert.equal((await runRotation(kms)).rotated.length, 0)
  await kms.close()
  assert.equal((await runRotation(kms)).error?.code, 'CLOSED')
})

test('a key of which the provider tells no period, or no version, is due when it says so, and one that is nonsense is not', async () => {
  const now = Date.UTC(2026, 0, 2)
  const clock = fakeClock(now)
  const provider = fakeProvider({ inner: memoryKms({ clock }) })
  const kms = new KmsClient({ provider, audit: { required: [memorySink()], clock } })
  const { key } = await kms.createKey({ slug: 'odd', rotationPeriodInDays: 30 })
  const { rotationPeriodInDays: _none, ...odd } = key
  const due = new Date(now).toISOString()
  const listings: readonly (readonly [Key, number])[] = [
    [{ ...odd, nextRotationAt: due }, 1],
    [{ ...key, versions: [], nextRotationAt: due }, 1],
    [{ ...key, nextRotationAt: 'soon' }, 0],
    [{ ...odd, nextRotationAt: new Date(now + 1).toISOString() }, 0],
  ]
  for (const [listed, tried] of listings) {
    provider.tell('listKeys', { answers: { keys: [listed] } })
    const { overtaken, rotated, failed, error } = await runRotation(kms)
    // It is not due by what the provider itself keeps.
    assert.deepEqual([overtaken.length, rotated.length, failed, error], [tried, 0, [], undefined])
  }
  provider.tell('listKeys', { answers: { keys: [null] } })
  assert.equal((await runRotation(kms)).error?.code, 'INTERNAL')
})

describe('a provider that rotates by itself is left alone, and the run says so', () => {
  test('AWS KMS: not one request, not one entry', async () => {
    const { kms, endpoint, entries, close } = await startRig()
    await kms.createKey({ slug: 'yearly', keyRotationEnabled: true })
    const [requests, written] = [endpoint.requests.length, entries.length]
    const run = await runRotation(kms)
    assert.deepEqual(
      run.leftOut.map(({ operation, because }) => [operation, because]),
      [
        ['rotateScheduled', 'provider'],
        ['destroyKey', 'provider'],
      ],
    )
    assert.match(run.leftOut[0]?.message ?? '', /'aws-kms' rotates by itself/)
    assert.deepEqual([run.failed, run.error], [[], undefined])
    assert.deepEqual([endpoint.requests.length, entries.length], [requests, written])
    await close()
  })

  test('Vault: the same', async (t) => {
    const { kms, endpoint, sink } = await startVault(t)
    const run = await runRotation(kms, { destroyDueKeys: false })
    assert.match(run.leftOut.map(({ message }) => message).join(), /'vault-transit' rotates by itself/)
    assert.deepEqual([run.failed, run.error, sink.entries, endpoint.requests], [[], undefined, [], []])
  })

  test('with the embedded KMS behind it, what is there to be destroyed is', async () => {
    const clock = fakeClock()
    const to = fakeProvider({ name: 'new', inner: memoryKms({ clock }), without: ['rotateScheduled', 'destroyKey'] })
    const old = memoryKms({ clock })
    const sink = memorySink()
    const before = new KmsClient({ provider: old, audit: { required: [memorySink()], clock } })
    await before.createKey({ slug: 'gone' })
    await before.scheduleKeyDeletion({ key: 'gone' })
    clock.advance(30 * day)
    const kms = new KmsClient({ provider: migrating({ to, from: [old] }), audit: { required: [sink], clock } })
    const run = await runRotation(kms)
    assert.deepEqual(
      run.leftOut.map(({ operation }) => operation),
      ['rotateScheduled'],
    )
    assert.deepEqual(
      run.destroyed.map(({ key }) => key.slug),
      ['gone'],
    )
  })
})

test('who has the keystore open read-only leaves it to the writer, without an entry', async (t) => {
  const path = join(freshFolder(t), 'keys')
  const rootKey = randomBytes(32)
  const clock = fakeClock()
  const writer = await openLocalKms({ path, rootKey, clock })
  const reader = await openLocalKms({ path, rootKey, clock, readOnly: true })
  const open = (provider: KmsProvider) => {
    const sink = memorySink()
    return { sink, kms: new KmsClient({ provider, audit: { required: [sink], clock } }) }
  }
  const [changing, using] = [open(writer), open(reader)]
  await changing.kms.createKey({ slug: 'monthly', rotationPeriodInDays: 30 })
  clock.advance(30 * day)
  const left = await runRotation(using.kms)
  assert.deepEqual(
    left.leftOut.map(({ because }) => because),
    ['read-only', 'read-only'],
  )
  assert.match(left.leftOut[0]?.message ?? '', /open read-only: run this where it is changed/)
  assert.deepEqual(using.sink.entries, [])
  assert.equal((await runRotation(changing.kms)).rotated.length, 1)
  for (const { kms, sink } of [changing, using]) {
    await kms.close()
    if (sink === changing.sink) assert.ok(summary(sink.entries).includes('kms.rotate.scheduled success monthly v2'))
  }
  const { kms } = open(writer)
  await writer.close()
  const scheduler = startRotationScheduler(kms, { jitter: 0 })
  assert.equal((await scheduler.run()).error?.code, 'CLOSED')
  await reader.close()
})

test('a request in which a run was made by hand stands in the entries of that run, and of no later turn', async (t) => {
  const requests = new AsyncLocalStorage<RequestContext>()
  const sink = memorySink()
  const context = { current: () => requests.getStore() }
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context })
  let told = (_run: RotationRun) => {}
  const scheduler = startRotationScheduler(kms, { every: '1s', jitter: '1s', onRun: (run) => told(run) })
  const next = () =>
    new Promise<RotationRun>((resolve) => {
      told = resolve
    })
  // Its timers would not.
  const alive = setInterval(() => undefined, 1000)
  t.after(() => clearInterval(alive))
  await requests.run({ requestId: 'req-1', actor: { type: 'user', id: 'alice' } }, () => scheduler.run())
  await next()
  await next()
  await scheduler.stop()
  const lists = sink.entries.filter(({ action }) => action === 'kms_key.list')
  assert.ok(lists.length >= 3)
  for (const { actor } of lists) assert.equal(actor?.id, 'keytrail-rotation')
  const said = lists.map((entry) => entry.context?.requestId)
  assert.deepEqual([said[0], ...new Set(said.slice(1))], ['req-1', undefined])
  await kms.close()
})
