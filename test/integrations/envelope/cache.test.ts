/** @node Cached data keys: who may use which, for how long and how often, and the entry of every use. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RequestContext } from '../../../src/model/context.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { fakeProvider } from '../../../src/testing/provider.ts'
import { turn } from '../../audit/puppet.ts'
import { validEntries } from '../../validate.ts'
import { counted, drained, type RigOptions, rig, source } from './rig.ts'

const plaintext = counted(100)
const encryptionContext = { order: '17' }
const alice: RequestContext = { actor: { type: 'user', id: 'alice' } }

/** How many data keys were made, and how many opened, by the KMS. */
function calls({ asked }: Awaited<ReturnType<typeof rig>>): [number, number] {
  return [asked('generateDataKey'), asked('decrypt')]
}

const cached = (options: RigOptions = {}) => rig({ cache: {}, ...options })

describe('a cached data key', () => {
  test('seals and opens many messages, each with an entry that names the call which filled the cache', async () => {
    const made = await cached()
    const { entries, lines } = made
    const orders = made.orders.with({ ...alice, clientIp: '192.0.2.7', requestId: 'r-1' })
    const first = await orders.seal({ plaintext, encryptionContext })
    const second = await orders.seal({ plaintext, encryptionContext })
    const opened = await orders.open({ sealed: first.sealed, encryptionContext })
    // The same data key, and a message key of its own.
    const again = await orders.open({ sealed: second.sealed, encryptionContext })
    assert.deepEqual([opened.plaintext, again.plaintext], [plaintext, plaintext])
    assert.deepEqual(calls(made), [1, 1])
    assert.deepEqual(lines(), [
      'kms.generate_data_key success orders v1',
      'kms.generate_data_key success orders v1',
      'kms.decrypt success orders v1',
      'kms.decrypt success orders v1',
    ])
    const [filled, hit, read, readHit] = entries()
    assert.deepEqual([filled?.details, read?.details], [undefined, undefined])
    assert.deepEqual(hit?.details, { cache: { hit: true, parent: first.eventID } })
    assert.deepEqual(readHit?.details, { cache: { hit: true, parent: opened.eventID } })
    assert.deepEqual([hit?.eventID, readHit?.eventID], [second.eventID, again.eventID])
    for (const [call, use] of [
      [filled, hit],
      [read, readHit],
    ] as const) {
      assert.ok(call && use)
      // Nobody answered.
      const { eventID, createdAt, sequence, salt, durationMs, details, provider, ...said } = call
      for (const [field, value] of Object.entries(said)) assert.deepEqual(use[field as 'actor'], value, field)
      assert.equal(use.provider, undefined)
    }
    validEntries(entries())
  })

  test('is not used for another actor, address, route, reason, origin, or encryption context', async () => {
    const made = await cached()
    const { orders } = made
    const { sealed } = await orders.with(alice).seal({ plaintext, encryptionContext })
    await orders.with(alice).open({ sealed, encryptionContext })
    const others: readonly RequestContext[] = [
      {},
      { actor: { type: 'user', id: 'bob' } },
      { actor: { type: 'user', id: 'alic\ud800' } },
      { actor: { type: 'user', id: 'alic\ud801' } },
      { actor: { type: 'serviceAccount', id: 'alice' } },
      { actor: { type: 'user', id: 'alice', name: 'Alice of Sales' } },
      { ...alice, clientIp: '192.0.2.7' },
      { ...alice, peerIp: '192.0.2.7' },
      { ...alice, method: 'POST' },
      { ...alice, route: '/orders' },
      { ...alice, reason: { code: 'break-glass' } },
      { ...alice, origin: { service: 'billing' } },
      { ...alice, origin: { service: 'billing', resource: '/a' } },
    ]
    for (const [at, context] of others.entries()) {
      await orders.with(context).open({ sealed, encryptionContext })
      assert.equal(calls(made)[1], at + 2, JSON.stringify(context))
    }
    await orders.seal({ plaintext, encryptionContext: { order: '18' } }, { context: alice })
    assert.equal(calls(made)[0], 2)
    await assert.rejects(orders.open({ sealed, encryptionContext: { order: '18' } }, { context: alice }), {
      code: 'INVALID_CIPHERTEXT',
    })
  })

  test('is used for other requests of the same actor', async () => {
    const made = await cached()
    for (const requestId of ['r-1', 'r-2', 'r-3'])
      await made.orders.seal({ plaintext }, { context: { ...alice, requestId, userAgent: `agent ${requestId}` } })
    assert.deepEqual(calls(made), [1, 0])
    assert.deepEqual(
      made.entries().map(({ context }) => context?.requestId),
      ['r-1', 'r-2', 'r-3'],
    )
  })

  test('does not open for one whom an access policy refuses, whoever has opened before', async () => {
    const made = await cached({
      client: {
        middleware: [
          (call, next) => {
            if (call.action.startsWith('kms.') && call.context.actor?.id !== 'alice')
              throw new KmsError('ACCESS_DENIED', 'not you')
            return next()
          },
        ],
      },
    })
    const { sealed } = await made.orders.with(alice).seal({ plaintext })
    await made.orders.with(alice).open({ sealed })
    await made.orders.with(alice).open({ sealed })
    const bob = made.orders.with({ actor: { type: 'user', id: 'bob' } })
    await assert.rejects(bob.open({ sealed }), { code: 'ACCESS_DENIED' })
    await assert.rejects(bob.seal({ plaintext }), { code: 'ACCESS_DENIED' })
    assert.deepEqual(
      made
        .lines()
        .slice(-2)
        .map((line) => line.split(' ').at(-1)),
      ['ACCESS_DENIED', 'ACCESS_DENIED'],
    )
  })

  test('is not used where the audit requires context that is missing', async () => {
    const { sink } = await rig()
    const made = await cached({
      client: { audit: { required: [sink], require: { 'kms.decrypt': ['requestId'] } } },
    })
    const { sealed } = await made.orders.seal({ plaintext })
    await made.orders.open({ sealed }, { context: { requestId: 'r-1' } })
    await assert.rejects(made.orders.open({ sealed }), { code: 'INVALID_INPUT' })
    await made.orders.open({ sealed }, { context: { requestId: 'r-2' } })
    assert.deepEqual(calls(made), [1, 1])
  })
})

describe('its limits', () => {
  test('age: by the clock, and the key is wiped when it is over', async () => {
    const made = await cached({ cache: { maxAgeMs: 1000 } })
    await made.orders.seal({ plaintext })
    made.clock.advance(999)
    await made.orders.seal({ plaintext })
    assert.deepEqual(calls(made), [1, 0])
    made.clock.advance(1)
    await made.orders.seal({ plaintext })
    assert.deepEqual(calls(made), [2, 0])
  })

  test('messages: that many, the first included', async () => {
    const made = await cached({ cache: { maxMessages: 3 } })
    for (let message = 0; message < 7; message++) await made.orders.seal({ plaintext })
    assert.deepEqual(calls(made), [3, 0])
    const single = await cached({ cache: { maxMessages: 1 } })
    for (let message = 0; message < 3; message++) await single.orders.seal({ plaintext })
    assert.deepEqual(calls(single), [3, 0])
  })

  test('bytes: known before, or counted as a stream goes', async () => {
    const made = await cached({ cache: { maxBytes: 250 } })
    for (let message = 0; message < 5; message++) await made.orders.seal({ plaintext })
    assert.deepEqual(calls(made), [3, 0])
    const streams = await cached({ cache: { maxBytes: 250_000 } })
    for (let message = 0; message < 5; message++)
      await drained(source(counted(100_000)).pipeThrough(streams.orders.sealStream()))
    assert.deepEqual(calls(streams), [2, 0])
  })

  test('keys: the one that was used longest ago goes', async () => {
    const made = await cached({ cache: { maxKeys: 2 } })
    const seal = (order: string) => made.orders.seal({ plaintext, encryptionContext: { order } })
    for (const order of ['1', '2', '1', '3', '1', '2']) await seal(order)
    assert.deepEqual(calls(made), [4, 0])
  })
})

describe('a key that changes', () => {
  test('disabled: nothing is sealed or opened any more, though it is cached', async () => {
    const made = await cached()
    const { sealed } = await made.orders.seal({ plaintext })
    await made.orders.open({ sealed })
    await made.kms.disableKey({ key: 'orders' })
    await assert.rejects(made.orders.open({ sealed }), { code: 'KEY_NOT_ACTIVE' })
    await assert.rejects(made.orders.seal({ plaintext }), { code: 'KEY_NOT_ACTIVE' })
    await made.kms.enableKey({ key: 'orders' })
    // It was dropped for good.
    const before = calls(made)
    await made.orders.open({ sealed })
    assert.equal(calls(made)[1], before[1] + 1)
  })

  test('rotated: what is sealed next is sealed under the newest version', async () => {
    const made = await cached()
    await made.orders.seal({ plaintext })
    await made.kms.rotate({ key: 'orders' })
    assert.equal((await made.orders.seal({ plaintext })).keyVersion, 2)
    assert.equal((await made.orders.seal({ plaintext })).keyVersion, 2)
    assert.deepEqual(calls(made), [2, 0])
  })

  test('rotated: what opens still opens from the cache, and its entry says that the version is an old one', async () => {
    const made = await cached()
    const { sealed } = await made.orders.seal({ plaintext })
    await made.orders.open({ sealed })
    await made.kms.rotate({ key: 'orders' })
    assert.equal((await made.orders.open({ sealed })).key.latestVersion, 2)
    assert.deepEqual(calls(made), [1, 1])
    const { details, keyVersion, latestVersion } = made.entries().at(-1) ?? assert.fail('an entry')
    assert.deepEqual([details?.cache?.hit, keyVersion, latestVersion], [true, 1, false])
  })

  test('where a provider would have to be asked, that message goes by the KMS', async () => {
    const inner = memoryKms()
    const provider = fakeProvider({ inner: { ...inner, synchronous: false } })
    const made = await cached({ provider })
    await made.orders.seal({ plaintext })
    provider.tell('resolve', { after: Promise.resolve() })
    await made.orders.seal({ plaintext })
    assert.deepEqual(calls(made), [2, 0])
    await made.orders.seal({ plaintext })
    assert.deepEqual(calls(made), [2, 0])
  })
})

describe('the cache', () => {
  test('is closed with the envelope, and answers nothing once its client is closed', async () => {
    const made = await cached()
    const { sealed } = await made.orders.seal({ plaintext })
    await made.orders.open({ sealed })
    await made.kms.close()
    await assert.rejects(made.orders.open({ sealed }), { code: 'CLOSED' })
    await assert.rejects(made.orders.seal({ plaintext }), { code: 'CLOSED' })
  })

  test('hands nothing out while a required sink is down', async () => {
    const made = await cached()
    await made.orders.seal({ plaintext })
    made.sink.mode = 'reject'
    for (let call = 0; call < 3; call++)
      await assert.rejects(made.orders.seal({ plaintext }), { code: 'AUDIT_REFUSED' })
    made.sink.mode = 'sync'
    const closing = made.kms.close()
    for (let second = 0; second < 10; second++) {
      await turn()
      made.clock.advance(1000)
    }
    await closing
    // The first was handed to the sink, and withheld; the others were refused at the door.
    assert.deepEqual(made.lines(), [
      'kms.generate_data_key success orders v1',
      'kms.generate_data_key success orders v1',
      'kms.generate_data_key amendment success orders v1',
    ])
  })

  test('keeps the tampering of one message from being a reason to distrust the key', async () => {
    const made = await cached()
    const { sealed } = await made.orders.seal({ plaintext })
    const broken = sealed.slice().fill(0, -3)
    await assert.rejects(made.orders.open({ sealed: broken }), { code: 'INVALID_CIPHERTEXT' })
    await assert.rejects(made.orders.open({ sealed: broken }), { code: 'INVALID_CIPHERTEXT' })
    const [, opened, failed, hit, failedAgain] = made.entries()
    assert.deepEqual([failed?.details?.kmsEventID, failedAgain?.details?.kmsEventID], [opened?.eventID, hit?.eventID])
    assert.deepEqual((await made.orders.open({ sealed })).plaintext, plaintext)
    assert.deepEqual(calls(made), [1, 1])
  })
})
