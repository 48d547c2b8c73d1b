import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KmsClient, type KmsClientOptions } from '../src/client.ts'
import { engine } from '../src/crypto/node.ts'
import type { AuditEntry } from '../src/model/entry.ts'
import { KmsError } from '../src/model/errors.ts'
import { openKeyring } from '../src/providers/local/keyring.ts'
import { newKeystore } from '../src/providers/local/keystore.ts'
import { type EmbeddedKms, embeddedKms } from '../src/providers/local/provider.ts'
import { openUsage } from '../src/providers/local/usage.ts'
import { memorySink } from '../src/sinks/memory.ts'
import { type FakeClock, fakeClock } from '../src/testing/clock.ts'
import { summary } from '../src/testing/summary.ts'
import { usageRotation } from '../src/usage-rotation.ts'
import { type Puppet, puppet } from './audit/puppet.ts'
import { validEntries } from './validate.ts'

const plaintext = new TextEncoder().encode('attack at dawn')
const limits = { warnAt: 80, limit: 90, block: 16 }

/** As `memoryKms`, with limits that a test can reach. */
function smallKms(clock: FakeClock, small = limits): EmbeddedKms {
  const keystore = newKeystore(engine)
  const usage = openUsage({ keystore, limits: small })
  const keyring = openKeyring(engine, keystore, { usage })
  const persist = async () => ({ oldRemain: false })
  return embeddedKms({ name: 'memory', engine, keyring, usage, clock, persist })
}

async function stage(options: Partial<KmsClientOptions> = {}, small = limits) {
  const clock = fakeClock()
  const sink = memorySink()
  const provider = smallKms(clock, small)
  const kms = new KmsClient({
    provider,
    // Who calls must say so: the rotation does, too.
    audit: { required: [sink], clock, require: { 'kms.rotate.scheduled': ['actor', 'reason'] } },
    region: 'nl-01',
    project: 'billing',
    rotateAtUsageWarning: true,
    ...options,
  })
  await kms.createKey({ slug: 'orders', keyType: 'aes256-gcm96' })
  sink.clear()
  return { clock, sink, provider, kms }
}

async function seal(kms: KmsClient, times: number): Promise<void> {
  for (let sealed = 0; sealed < times; sealed++) await kms.encrypt({ key: 'orders', plaintext })
}

function asyncSink(): Puppet {
  return Object.assign(puppet(), { mode: 'async' } as const)
}

/** Lets what goes on in the background come to its end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

const rotations = (entries: readonly AuditEntry[]) => entries.filter(({ action }) => action.startsWith('kms.rotate'))

test('a thousand encrypts at once bring one rotation, whose entries tell why, when and that nobody called for it', async () => {
  const { clock, sink, kms } = await stage({}, { warnAt: 80, limit: 2000, block: 16 })
  const alice = kms.with({ actor: { type: 'user', id: 'alice' }, requestId: 'req-1' })
  const answers = await Promise.all(Array.from({ length: 1000 }, () => alice.encrypt({ key: 'orders', plaintext })))
  await settled()
  const entries = validEntries(sink.entries)
  assert.deepEqual(summary(rotations(entries)), [
    'kms.rotate.scheduled pending orders',
    'kms.rotate.scheduled success orders v2',
  ])
  const [intent, result] = rotations(entries)
  for (const entry of [intent, result]) {
    assert.deepEqual(entry?.actor, { type: 'system', id: 'keytrail', source: 'context' })
    assert.deepEqual(entry?.reason, { code: 'usage-warning' })
    assert.equal(entry?.context, undefined)
    assert.equal(entry?.details?.because, 'usage')
    assert.equal(entry?.details?.dueAt, new Date(clock.now()).toISOString())
    assert.deepEqual([entry?.region, entry?.project], ['nl-01', 'billing'])
  }
  assert.equal(result?.details?.previousVersion, 1)
  assert.deepEqual(answers[79]?.usage, { messages: 80, limit: 2000 })
  const warned = entries.filter(({ details }) => details?.flags?.includes('usage_limit_near'))
  assert.equal(warned.length, answers.filter(({ usage }) => usage !== undefined).length)
  assert.deepEqual(warned[0]?.details, { flags: ['usage_limit_near'], messages: 80, messageLimit: 2000 })
  assert.equal((await kms.encrypt({ key: 'orders', plaintext })).keyVersion, 2)
})

test('the same through a sink that takes its time, and the calls do not wait for it', async () => {
  const sink = asyncSink()
  const { kms } = await stage({ audit: { required: [sink] } })
  const before = sink.accepted.length
  const answers = await Promise.all(Array.from({ length: 85 }, () => kms.encrypt({ key: 'orders', plaintext })))
  assert.ok(answers.every(({ keyVersion }) => keyVersion === 1))
  await settled()
  await settled()
  assert.equal(rotations(sink.accepted.slice(before)).length, 2)
  assert.equal((await kms.describeKey({ key: 'orders' })).key.latestVersion, 2)
})

test('nothing is rotated unless asked for, and then the version refuses at its limit', async () => {
  const { sink, kms } = await stage({ rotateAtUsageWarning: false })
  await seal(kms, 90)
  await settled()
  await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'USAGE_LIMIT', statusCode: 400 })
  const refused = validEntries(sink.entries).at(-1)
  assert.deepEqual(
    [refused?.action, refused?.outcome, refused?.error, refused?.keyVersion, refused?.keySlug],
    ['kms.encrypt', 'failure', 'USAGE_LIMIT', 1, 'orders'],
  )
  assert.deepEqual(refused?.payloadSizes, { plaintext: 14 })
  assert.deepEqual(rotations(sink.entries), [])
  assert.throws(
    () =>
      new KmsClient({ provider: smallKms(fakeClock()), audit: { required: [sink] }, rotateAtUsageWarning: 1 as never }),
    { code: 'INVALID_INPUT', message: /rotateAtUsageWarning/ },
  )
})

test('a rotation that fails is tried again at a later warning, at most once a minute', async () => {
  let denied = true
  const { clock, sink, kms } = await stage({
    middleware: [
      (call, next) => {
        if (denied && call.operation === 'rotateScheduled') throw new KmsError('ACCESS_DENIED', 'not today')
        return next()
      },
    ],
  })
  await seal(kms, 83)
  await settled()
  const failure = ['kms.rotate.scheduled pending orders', 'kms.rotate.scheduled failure orders ACCESS_DENIED']
  assert.deepEqual(summary(rotations(sink.entries)), failure)
  clock.advance(59_999)
  await seal(kms, 1)
  await settled()
  assert.equal(rotations(sink.entries).length, 2)
  clock.advance(1)
  await seal(kms, 1)
  await settled()
  assert.deepEqual(summary(rotations(sink.entries)), [...failure, ...failure])
  denied = false
  clock.advance(60_000)
  await seal(kms, 1)
  await settled()
  assert.equal(summary(rotations(sink.entries)).at(-1), 'kms.rotate.scheduled success orders v2')
  clock.advance(60_000)
  await seal(kms, 10)
  await settled()
  assert.equal(rotations(sink.entries).length, 6)
})

test('who comes second has nothing to do: a lost race is a conflict, and not tried again', async () => {
  const clock = fakeClock()
  const provider = smallKms(clock)
  const sinks = [memorySink(), memorySink()]
  const clients = sinks.map(
    (sink) => new KmsClient({ provider, audit: { required: [sink], clock }, rotateAtUsageWarning: true }),
  )
  await clients[0]?.createKey({ slug: 'orders', keyType: 'aes256-gcm96' })
  const [first = assert.fail(), second = assert.fail()] = clients
  await second.ready()
  await seal(first, 79)
  await Promise.all([seal(first, 1), seal(second, 1)])
  await settled()
  const results = sinks.flatMap(({ entries }) => rotations(entries).filter(({ phase }) => phase === 'result'))
  assert.deepEqual(results.map(({ error = 'none' }) => error).sort(), ['VERSION_CONFLICT', 'none'])
  clock.advance(120_000)
  for (const kms of clients) await kms.encrypt({ key: 'orders', plaintext, keyVersion: 1 })
  await settled()
  assert.equal((await first.describeKey({ key: 'orders' })).key.latestVersion, 2)
  assert.equal(sinks.flatMap(({ entries }) => rotations(entries)).length, 4)
})

test('of a provider that does not tell its newest version, a conflict says that there is a newer one', async () => {
  const clock = fakeClock()
  const outcomes = [new KmsError('THROTTLED', 'later'), new KmsError('VERSION_CONFLICT', 'latest version is 2')]
  const asked: number[] = []
  const watch = usageRotation({
    clock,
    rotate(_key, version) {
      const outcome = outcomes[asked.length]
      asked.push(version)
      return outcome === undefined ? Promise.resolve() : Promise.reject(outcome)
    },
  })
  const key = { identity: 'kms-a', slug: 'a', keyType: 'aes256-gcm96' }
  const warn = async (keyVersion: number) => {
    watch({ key, keyVersion, ciphertext: plaintext, usage: { messages: 80, limit: 90 } })
    await settled()
    clock.advance(60_000)
  }
  for (let times = 0; times < 4; times++) await warn(1)
  assert.deepEqual(asked, [1, 1])
  for (let times = 0; times < 2; times++) await warn(2)
  assert.deepEqual(asked, [1, 1, 2])
  watch({ key, keyVersion: 3, ciphertext: plaintext })
  assert.deepEqual(asked, [1, 1, 2])
})

test('only the newest version brings a rotation, each newest one does, and it is the key that sealed that is rotated', async () => {
  const { kms, sink } = await stage()
  await kms.rotate({ key: 'orders' })
  for (let sealed = 0; sealed < 82; sealed++) await kms.encrypt({ key: 'orders', plaintext, keyVersion: 1 })
  await settled()
  assert.equal((await kms.describeKey({ key: 'orders' })).key.latestVersion, 2)
  await seal(kms, 80)
  await settled()
  assert.equal((await kms.describeKey({ key: 'orders' })).key.latestVersion, 3)
  await seal(kms, 80)
  await settled()
  assert.equal((await kms.describeKey({ key: 'orders' })).key.latestVersion, 4)

  await kms.createKey({ slug: 'source' })
  const { ciphertext } = await kms.encrypt({ key: 'source', plaintext })
  for (let sealed = 0; sealed < 80; sealed++)
    await kms.reEncrypt({ key: 'source', ciphertext, destinationKey: 'orders' })
  await settled()
  const { keys } = await kms.listKeys()
  assert.deepEqual(
    keys.map(({ slug, latestVersion }) => [slug, latestVersion]),
    [
      ['orders', 5],
      ['source', 1],
    ],
  )
  validEntries(sink.entries)
})

test('closing waits for a rotation that is under way, and none begins afterwards', async () => {
  const { kms, sink } = await stage()
  await seal(kms, 80)
  await kms.close()
  assert.equal(summary(rotations(sink.entries)).at(-1), 'kms.rotate.scheduled success orders v2')
  assert.equal(sink.entries.at(-1)?.action, 'audit.closed')

  const slow = asyncSink()
  const other = await stage({ audit: { required: [slow] } })
  await seal(other.kms, 79)
  const last = other.kms.encrypt({ key: 'orders', plaintext })
  const closing = other.kms.close()
  assert.deepEqual((await last).usage, { messages: 80, limit: 90 })
  await closing
  assert.deepEqual(rotations(slow.accepted), [])
})
