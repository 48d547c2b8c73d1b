/** DESIGN.md §4, "Who hears what": a test for each row and kind. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { summary } from '../../src/testing/summary.ts'
import { validEntries } from '../validate.ts'
import { type Puppet, puppet, turn } from './puppet.ts'

const plaintext = new TextEncoder().encode('attack at dawn')

async function stage(options: { mode?: Puppet['mode'] } = {}) {
  const clock = fakeClock()
  const sink = puppet()
  const provider = fakeProvider()
  const kms = new KmsClient({ provider, audit: { required: [sink], clock, sinkDeadlineMs: 5000 }, deadlineMs: 10_000 })
  await kms.createKey({ slug: 'orders', keyType: 'aes256-gcm96', exportAllowed: true })
  sink.accepted.length = 0
  sink.mode = options.mode ?? 'sync'
  const asked = () => provider.calls.filter(({ asked }) => asked !== 'resolve').length
  return { clock, sink, provider, kms, asked }
}

async function refusal(call: Promise<unknown>): Promise<KmsError> {
  const error = await call.then(
    () => assert.fail('the call must not be answered'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof KmsError, String(error))
  return error
}

/** Takes the sink down by one refused call. */
async function takeDown({ sink, kms }: { sink: Puppet; kms: KmsClient }) {
  sink.mode = 'throw'
  assert.equal((await refusal(kms.encrypt({ key: 'orders', plaintext }))).code, 'AUDIT_REFUSED')
  assert.equal(kms.health().state, 'refusing')
}

describe('a required sink is known to be down', () => {
  for (const [kind, call] of [
    ['crypto', (kms: KmsClient) => kms.encrypt({ key: 'orders', plaintext })],
    ['a read', (kms: KmsClient) => kms.describeKey({ key: 'orders' })],
    ['a change', (kms: KmsClient) => kms.rotate({ key: 'orders' })],
    ['an export', (kms: KmsClient) => kms.export({ key: 'orders' })],
    ['lifecycle', (kms: KmsClient) => kms.disableKey({ key: 'orders' })],
  ] as const) {
    test(`${kind} is refused before the provider is touched, and counted in sink_up`, async () => {
      const set = await stage()
      await takeDown(set)
      const before = set.asked()
      const error = await refusal(call(set.kms))
      assert.equal(error.code, 'AUDIT_REFUSED')
      assert.equal(error.statusCode, 503)
      assert.equal(error.retryable, true)
      assert.equal(set.asked(), before)
      assert.equal(set.kms.health().refusedCalls, 1)

      set.sink.mode = 'sync'
      set.clock.advance(100)
      await turn()
      assert.equal(set.kms.health().state, 'ok')
      const up = set.sink.accepted.find(({ action }) => action === 'audit.sink_up')
      assert.deepEqual(up?.details, { sink: 'puppet', refusedCalls: 1 })
      validEntries(set.sink.accepted)
      await call(set.kms)
    })
  }
})

describe('the intent is refused', () => {
  for (const mode of ['throw', 'reject', 'hang'] as const) {
    test(`by a sink that does ${mode}: AUDIT_REFUSED, the provider is untouched, and the intent does not stay open`, async () => {
      const { sink, kms, asked, clock } = await stage({ mode })
      const before = asked()
      const refused = refusal(kms.rotate({ key: 'orders' }))
      await turn()
      clock.advance(mode === 'hang' ? 5000 : 0)
      assert.equal((await refused).code, 'AUDIT_REFUSED')
      assert.equal(asked(), before)

      sink.mode = 'sync'
      sink.settle('accept')
      clock.advance(100)
      await turn()
      assert.deepEqual(
        summary(sink.accepted).filter((line) => line.startsWith('kms.')),
        ['kms.rotate pending orders', 'kms.rotate failure orders AUDIT_REFUSED'],
      )
      assert.equal(sink.accepted.filter(({ operationID }) => operationID !== undefined).length, 2)
      const { key } = await kms.describeKey({ key: 'orders' })
      assert.equal(key.latestVersion, 1)
    })
  }
})

describe('the result entry is refused or late', () => {
  for (const mode of ['throw', 'reject', 'hang'] as const) {
    test(`crypto, by a sink that does ${mode}: AUDIT_REFUSED, the result is dropped, an amendment says so`, async () => {
      const { sink, kms, clock } = await stage({ mode })
      const refused = refusal(kms.encrypt({ key: 'orders', plaintext }))
      await turn()
      clock.advance(mode === 'hang' ? 5000 : 0)
      const error = await refused
      assert.equal(error.code, 'AUDIT_REFUSED')

      sink.mode = 'sync'
      sink.settle('accept')
      clock.advance(100)
      await turn()
      const lines = summary(sink.accepted).filter((line) => line.startsWith('kms.'))
      assert.deepEqual(lines, ['kms.encrypt success orders v1', 'kms.encrypt amendment success orders v1'])
      const [result, amendment] = sink.accepted.filter(({ action }) => action === 'kms.encrypt')
      assert.equal(result?.eventID, error.eventID)
      assert.deepEqual(amendment?.details, { amends: error.eventID, flags: ['withheld'] })
      validEntries(sink.accepted)
    })

    test(`a change, by a sink that does ${mode} after the intent: OUTCOME_UNAUDITED, the entry waits and comes`, async () => {
      const { sink, kms, provider, clock } = await stage({ mode: 'async' })
      let go = () => {}
      provider.tell('rotate', {
        after: new Promise<void>((resolve) => {
          go = resolve
        }),
      })
      const refused = refusal(kms.rotate({ key: 'orders' }))
      while (sink.accepted.length === 0) await turn()
      sink.mode = mode
      go()
      await turn()
      await turn()
      clock.advance(mode === 'hang' ? 5000 : 0)
      const error = await refused
      assert.equal(error.code, 'OUTCOME_UNAUDITED')
      assert.equal(error.statusCode, 500)

      sink.mode = 'async'
      sink.settle('accept')
      clock.advance(100)
      await turn()
      const lines = summary(sink.accepted).filter((line) => line.startsWith('kms.'))
      assert.deepEqual(lines, [
        'kms.rotate pending orders',
        'kms.rotate success orders v2',
        'kms.rotate amendment success orders v2',
      ])
      assert.equal(
        new Set(sink.accepted.map(({ operationID }) => operationID)).size,
        2,
        'one operationID joins the three',
      )
    })
  }

  test('the plaintext of a withheld decryption is zeroed', async () => {
    const { sink, kms, provider } = await stage()
    const secret = new Uint8Array([1, 2, 3])
    const key = { identity: 'kms-x', slug: 'orders', keyType: 'aes256-gcm96' }
    provider.tell('decrypt', { answers: { plaintext: secret, key, keyVersion: 1 } })
    sink.mode = 'throw'
    await refusal(kms.decrypt({ key: 'orders', ciphertext: new Uint8Array(80) }))
    assert.deepEqual(secret, new Uint8Array(3))
  })

  test('a failure whose entry is refused is not told either: AUDIT_REFUSED', async () => {
    const { sink, kms } = await stage({ mode: 'throw' })
    const error = await refusal(kms.decrypt({ key: 'orders', ciphertext: new Uint8Array(80) }))
    assert.equal(error.code, 'AUDIT_REFUSED')
    assert.equal(sink.accepted.length, 0)
  })
})

describe('the deadline passes, or the caller aborts, before the provider has answered', () => {
  const ends = {
    DEADLINE_EXCEEDED: (clock: { advance(ms: number): void }) => clock.advance(10_000),
    ABORTED: (_: unknown, controller: AbortController) => controller.abort(),
  }
  for (const [code, end] of Object.entries(ends)) {
    test(`crypto: ${code} at once, a failure entry follows, the late answer is dropped`, async () => {
      const { sink, kms, provider, clock } = await stage()
      let go = () => {}
      provider.tell('encrypt', {
        after: new Promise<void>((resolve) => {
          go = resolve
        }),
      })
      const controller = new AbortController()
      const refused = refusal(kms.encrypt({ key: 'orders', plaintext }, { signal: controller.signal }))
      await turn()
      const { call } = provider.calls.at(-1) ?? assert.fail('the provider was asked')
      const signal = call?.signal ?? assert.fail('a call has its signal')
      assert.equal(signal.aborted, false)
      end(clock, controller)
      assert.equal((await refused).code, code)
      assert.equal(signal.aborted, true, 'the provider is told to stop')
      go()
      await turn()
      assert.deepEqual(summary(sink.accepted), [`kms.encrypt failure orders ${code}`])
      validEntries(sink.accepted)
    })

    for (const did of ['did it all the same', 'stopped'] as const) {
      test(`a change: ${code} at once, never an early failure; a provider that ${did} is told as it was`, async () => {
        const { sink, kms, provider, clock } = await stage()
        const { key } = await kms.describeKey({ key: 'orders' })
        sink.accepted.length = 0
        let go = () => {}
        const settled = new Promise<void>((resolve) => {
          go = resolve
        })
        // The memory KMS stops when its signal has aborted; this answer stands for a service that does not.
        const rotated = { key: { ...key, latestVersion: 2 }, keyVersion: 2 }
        provider.tell('rotate', did === 'stopped' ? { after: settled } : { answers: settled.then(() => rotated) })
        const controller = new AbortController()
        const refused = refusal(kms.rotate({ key: 'orders' }, { signal: controller.signal }))
        await turn()
        void provider.calls.at(-1)?.call?.signal
        end(clock, controller)
        assert.equal((await refused).code, code)
        assert.deepEqual(summary(sink.accepted), ['kms.rotate pending orders'])
        go()
        while (sink.accepted.length < 2) await turn()
        const told = did === 'stopped' ? 'kms.rotate failure orders ABORTED' : 'kms.rotate success orders v2'
        assert.deepEqual(summary(sink.accepted), ['kms.rotate pending orders', told])
        validEntries(sink.accepted)
      })
    }
  }

  test('a signal that is aborted already stops the call before the provider, with its entry', async () => {
    const { sink, kms, asked } = await stage()
    const before = asked()
    const error = await refusal(kms.encrypt({ key: 'orders', plaintext }, { signal: AbortSignal.abort() }))
    assert.equal(error.code, 'ABORTED')
    assert.equal(asked(), before)
    assert.deepEqual(summary(sink.accepted), ['kms.encrypt failure orders ABORTED'])
  })

  test('a provider that never answers, and a resolver that never answers, settle at the deadline', async () => {
    for (const asked of ['encrypt', 'resolve'] as const) {
      const { kms, provider, clock } = await stage()
      provider.tell(asked, 'never')
      const refused = refusal(kms.encrypt({ key: 'orders', plaintext }))
      await turn()
      clock.advance(9999)
      await turn()
      clock.advance(1)
      assert.equal((await refused).code, 'DEADLINE_EXCEEDED')
    }
  })

  test('waiting for the entry counts too: a sink deadline longer than the call ends at the call deadline', async () => {
    const { sink, kms, clock } = await stage({ mode: 'hang' })
    const refused = refusal(kms.encrypt({ key: 'orders', plaintext }, { deadlineMs: 50 }))
    await turn()
    clock.advance(50)
    assert.equal((await refused).code, 'AUDIT_REFUSED')
    sink.settle('accept')
  })
})

describe('two required sinks', () => {
  test('one refuses: the result is withheld, and an amendment tells the one that had accepted', async () => {
    const clock = fakeClock()
    const good = puppet({ name: 'good' })
    const bad = puppet({ name: 'bad' })
    const kms = new KmsClient({ provider: fakeProvider(), audit: { required: [good, bad], clock } })
    await kms.createKey({ slug: 'orders' })
    good.accepted.length = 0
    bad.mode = 'throw'
    const error = await refusal(kms.encrypt({ key: 'orders', plaintext }))
    assert.equal(error.code, 'AUDIT_REFUSED')
    const lines = summary(good.accepted).filter((line) => line.startsWith('kms.'))
    assert.deepEqual(lines, ['kms.encrypt success orders v1', 'kms.encrypt amendment success orders v1'])
    bad.mode = 'sync'
    clock.advance(100)
    await turn()
    const tail = (entries: readonly AuditEntry[]) => summary(entries).slice(-4)
    assert.deepEqual(tail(bad.accepted), tail(good.accepted), 'both have the same entries in the same order')
  })
})
