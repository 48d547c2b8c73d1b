import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuditOptions } from '../../src/audit/audit.ts'
import { draftOf } from '../../src/audit/draft.ts'
import { createAudit } from '../../src/audit/emitter.ts'
import type { FloodOptions } from '../../src/audit/floods.ts'
import { KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { validEntries } from '../validate.ts'
import { puppet, turn } from './puppet.ts'

async function stage(floods?: FloodOptions, options: Partial<AuditOptions> = {}) {
  const clock = fakeClock()
  const sink = puppet()
  const provider = fakeProvider()
  const audit = { required: [sink], clock, heartbeatMs: 0, ...(floods && { floods }), ...options }
  const kms = new KmsClient({ provider, audit, region: 'nl-01' })
  await kms.createKey({ slug: 'orders' })
  sink.accepted.length = 0
  const refusals = () => sink.accepted.filter(({ outcome }) => outcome === 'failure')
  return { clock, sink, provider, kms, refusals }
}

async function refused(call: Promise<unknown>): Promise<KmsError> {
  const error = await call.then(
    () => assert.fail('the call must be refused'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof KmsError, String(error))
  return error
}

/** So many calls are refused in the words of these entries. */
function counted(entries: readonly AuditEntry[]): number {
  return entries.reduce((sum, { details }) => sum + (details?.joined ?? 1), 0)
}

const ciphertext = new Uint8Array(100)

describe('a flood of refusals of one kind', () => {
  test('has 100 entries of its own, and one for the rest of its 10 seconds', async () => {
    const { clock, sink, kms, refusals } = await stage()
    const alice = kms.with({ actor: { type: 'user', id: 'alice', name: 'Alice' }, clientIp: '192.0.2.7' })
    const errors: KmsError[] = []
    for (let at = 0; at < 250; at++) {
      errors.push(await refused(alice.decrypt({ key: 'orders', ciphertext })))
      clock.advance(10)
    }
    assert.equal(refusals().length, 100)
    clock.advance(7500)
    const [joined, ...more] = refusals().slice(100)
    assert.deepEqual(more, [])
    assert.equal(joined?.action, 'kms.decrypt')
    assert.equal(joined?.error, 'INVALID_CIPHERTEXT')
    assert.equal(joined?.statusCode, 400)
    assert.equal(joined?.keySlug, 'orders')
    assert.equal(joined?.region, 'nl-01')
    assert.deepEqual(joined?.actor, { type: 'user', id: 'alice' })
    assert.deepEqual(joined?.details, {
      joined: 150,
      firstAt: '2026-01-02T03:04:06.000Z',
      lastAt: '2026-01-02T03:04:07.490Z',
    })
    assert.equal(joined?.context, undefined, 'what differs from call to call is left out')
    assert.equal(joined?.payloadSizes, undefined)
    assert.equal(counted(refusals()), 250)
    const told = new Set(errors.map(({ eventID }) => eventID))
    assert.deepEqual(told, new Set(refusals().map(({ eventID }) => eventID)), 'each caller can find its entry')
    assert.ok(errors.every(({ code, key }) => code === 'INVALID_CIPHERTEXT' && key === 'orders'))
    validEntries(sink.accepted)
  })

  test('begins anew in the next window', async () => {
    const { clock, kms, refusals } = await stage({ perWindow: 2, windowMs: 1000 })
    for (let at = 0; at < 3; at++) {
      for (let call = 0; call < 5; call++) await refused(kms.decrypt({ key: 'orders', ciphertext }))
      clock.advance(1000)
    }
    assert.deepEqual(
      refusals().map(({ details }) => details?.joined ?? 1),
      [1, 1, 3, 1, 1, 3, 1, 1, 3],
    )
  })

  test('does not touch other actors, keys, actions or errors, and no call that succeeds', async () => {
    const { clock, kms, refusals, sink } = await stage({ perWindow: 1 })
    await kms.createKey({ slug: 'other' })
    sink.accepted.length = 0
    const alice = kms.with({ actor: { type: 'user', id: 'alice' } })
    const calls = [
      () => kms.decrypt({ key: 'orders', ciphertext }),
      () => alice.decrypt({ key: 'orders', ciphertext }),
      () => kms.with({ actor: { type: 'client', id: 'alice' } }).decrypt({ key: 'orders', ciphertext }),
      () => kms.decrypt({ key: 'other', ciphertext }),
      () => kms.describeKey({ key: 'absent' }),
      () => kms.decrypt({ key: 'absent', ciphertext }),
      () => kms.rotate({ key: 'absent' }),
      () => kms.decrypt({ key: 'orders', ciphertext: 'text' as unknown as Uint8Array }),
    ]
    for (let round = 0; round < 3; round++) {
      for (const call of calls) await refused(call())
      await kms.encrypt({ key: 'orders', plaintext: ciphertext })
    }
    assert.equal(refusals().length, calls.length, 'the first of each')
    assert.equal(sink.accepted.filter(({ outcome }) => outcome === 'success').length, 3)
    clock.advance(10_000)
    assert.deepEqual(
      refusals()
        .slice(calls.length)
        .map(({ details }) => details?.joined),
      calls.map(() => 2),
    )
    assert.equal(counted(refusals()), 3 * calls.length)
    validEntries(sink.accepted)
  })

  test('never joins the result of a change that has an intent', async () => {
    const { kms, refusals } = await stage({ perWindow: 1 })
    for (let at = 0; at < 5; at++) await refused(kms.createKey({ slug: 'orders' }))
    assert.deepEqual(
      refusals().map(({ error, details }) => [error, details?.joined]),
      Array.from({ length: 5 }, () => ['KEY_EXISTS', undefined]),
    )
  })

  test('joins what the deadline ends, too', async () => {
    const { clock, provider, kms, refusals } = await stage({ perWindow: 1, windowMs: 60_000 })
    provider.tell('encrypt', 'never', 'never', 'never')
    const calls = [1, 2, 3].map(() => refused(kms.encrypt({ key: 'orders', plaintext: ciphertext })))
    await turn()
    clock.advance(10_000)
    for (const { code } of await Promise.all(calls)) assert.equal(code, 'DEADLINE_EXCEEDED')
    clock.advance(60_000)
    assert.deepEqual(
      refusals().map(({ details }) => details?.joined ?? 1),
      [1, 2],
    )
  })

  test('is written at flush and at close', async () => {
    const { sink, kms, refusals } = await stage({ perWindow: 1 })
    for (let at = 0; at < 4; at++) await refused(kms.decrypt({ key: 'orders', ciphertext }))
    await kms.close()
    assert.deepEqual(
      refusals().map(({ details }) => details?.joined ?? 1),
      [1, 3],
    )
    assert.equal(sink.accepted.at(-1)?.action, 'audit.closed')
    validEntries(sink.accepted)
  })

  test('is not joined once the audit is closed: nobody would write it', async () => {
    const audit = createAudit({ required: [puppet()], floods: { perWindow: 1 }, clock: fakeClock() })
    const refusal = () =>
      draftOf({ action: 'kms.decrypt', phase: 'result', resourceType: 'kms_key', outcome: 'failure' })
    assert.equal(audit.join(refusal()), undefined)
    assert.equal(typeof audit.join(refusal()), 'string')
    await audit.close()
    assert.equal(audit.join(refusal()), undefined)
  })

  test('keeps its count through a sink that is down', async () => {
    const { clock, sink, kms, refusals } = await stage({ perWindow: 1 })
    for (let at = 0; at < 4; at++) await refused(kms.decrypt({ key: 'orders', ciphertext }))
    sink.mode = 'throw'
    clock.advance(10_000)
    assert.equal(refusals().length, 1)
    sink.mode = 'sync'
    clock.advance(10_000)
    await turn()
    assert.equal(counted(refusals()), 4)
  })
})

describe('a flood of many kinds', () => {
  test('is joined by action and error beyond 1,000 kinds, and what is remembered is bounded', async () => {
    const { clock, kms, sink, refusals } = await stage()
    for (let at = 0; at < 5000; at++) {
      await refused(kms.decrypt({ key: `absent-${at}`, ciphertext }))
      if (at % 100 === 0) clock.advance(150)
    }
    assert.equal(refusals().length, 1000)
    clock.advance(10_000)
    const broad = refusals().slice(1000)
    assert.equal(broad.length, 1)
    assert.equal(broad[0]?.error, 'KEY_NOT_FOUND')
    assert.equal(broad[0]?.resourceIdentity, undefined)
    assert.equal(broad[0]?.actor, undefined)
    assert.equal(counted(refusals()), 5000)
    validEntries(sink.accepted)
  })

  test('has at most 1,000 entries of its own in a second', async () => {
    const { clock, kms, refusals } = await stage()
    for (let at = 0; at < 2000; at++) {
      await refused(kms.decrypt({ key: `absent-${at % 20}`, ciphertext }))
    }
    assert.equal(refusals().length, 1000)
    clock.advance(1000)
    for (let at = 0; at < 40; at++) await refused(kms.decrypt({ key: `absent-${at % 20}`, ciphertext }))
    assert.equal(refusals().length, 1040)
    clock.advance(10_000)
    assert.equal(counted(refusals()), 2040)
  })

  test('of one kind a window forgets those that ended, so that new kinds find room', async () => {
    const { clock, kms, refusals } = await stage({ windowMs: 1000 })
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 900; at++) await refused(kms.decrypt({ key: `absent-${round}-${at}`, ciphertext }))
      clock.advance(1000)
    }
    assert.equal(refusals().length, 2700)
    assert.ok(refusals().every(({ details }) => details?.joined === undefined))
  })
})

describe('options', () => {
  test('Infinity gives every refusal its entry', async () => {
    const { kms, refusals } = await stage({ perWindow: Number.POSITIVE_INFINITY })
    for (let at = 0; at < 3000; at++) await refused(kms.decrypt({ key: 'orders', ciphertext }))
    assert.equal(refusals().length, 3000)
  })

  test('a rate above the bound of a second lifts it', async () => {
    const { kms, refusals } = await stage({ perWindow: 2500 })
    for (let at = 0; at < 2500; at++) await refused(kms.decrypt({ key: 'orders', ciphertext }))
    assert.equal(refusals().length, 2500)
  })

  test('wrong ones are refused', async () => {
    const wrong = [
      { perWindow: 0 },
      { perWindow: 1.5 },
      { perWindow: '9' },
      { windowMs: 0 },
      { windowMs: Number.POSITIVE_INFINITY },
      { windowMs: Number.NaN },
      'often',
    ]
    for (const floods of wrong) await assert.rejects(stage(floods as FloodOptions), { code: 'INVALID_INPUT' })
  })
})
