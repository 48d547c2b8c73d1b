/** What sinks have the audit write, and what a full one refuses. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuditEvent } from '../../src/audit/audit.ts'
import { draftOf } from '../../src/audit/draft.ts'
import { createAudit } from '../../src/audit/emitter.ts'
import { KmsClient } from '../../src/client.ts'
import type { AuditSink, SinkLog } from '../../src/model/sink.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { validEntries } from '../validate.ts'
import { type Puppet, puppet, turn } from './puppet.ts'

const draft = () => draftOf({ action: 'kms.encrypt', phase: 'result', resourceType: 'kms_key', outcome: 'success' })

/** A puppet that an audit connects, and whose room a test takes. */
function connecting(name = 'trail'): Puppet & { log(): SinkLog; full: string | undefined } {
  let log: SinkLog | undefined
  return Object.assign(puppet({ name }), {
    full: undefined as string | undefined,
    connect: (given: SinkLog) => {
      log = given
    },
    log: () => log ?? assert.fail('it was not connected'),
  })
}

describe('entries that a sink asks for', () => {
  test('name it, tell its details and the reason, and are accepted by every required sink when told', async () => {
    const sink = connecting()
    const other = puppet({ name: 'other' })
    const audit = createAudit({ required: [sink, other] })
    const reason = { code: 'policy', ticket: 'AUD-7' }
    await sink.log().note({ action: 'audit.pruned', details: { prunedBelow: '12' }, reason })
    for (const { accepted } of [sink, other]) {
      const [opened, pruned] = validEntries(accepted)
      assert.equal(opened?.action, 'audit.opened')
      assert.equal(pruned?.resourceIdentity, audit.instance)
      assert.deepEqual(pruned?.details, { sink: 'trail', prunedBelow: '12' })
      assert.deepEqual(pruned?.reason, reason)
      assert.deepEqual(pruned?.actor, { type: 'system', id: 'keytrail' })
    }
  })

  test('found when it was opened tell their reason too', () => {
    const reason = { code: 'moved' }
    const sink = Object.assign(puppet({ name: 'trail' }), {
      notices: [{ action: 'audit.restored', details: { generation: 3 }, reason }] as const,
    })
    createAudit({ required: [sink] }).emit(draft())
    assert.deepEqual(sink.accepted[1]?.reason, reason)
  })

  test('that are refused stay queued: AUDIT_REFUSED now, written later', async () => {
    const clock = fakeClock()
    const sink = connecting()
    createAudit({ required: [sink], clock })
    sink.mode = 'throw'
    await assert.rejects(sink.log().note({ action: 'audit.pruned', details: {} }), { code: 'AUDIT_REFUSED' })
    sink.mode = 'sync'
    clock.advance(100)
    await turn()
    assert.ok(sink.accepted.some(({ action }) => action === 'audit.pruned'))
  })

  test('asked for inside a write come in the next one', async () => {
    const sink = connecting()
    const { write } = sink
    let asked: Promise<void> | undefined
    sink.write = (entries) => {
      asked ??= sink.log().note({ action: 'audit.space_low', details: { usedBytes: 8, budgetBytes: 10 } })
      return write(entries)
    }
    const audit = createAudit({ required: [sink] })
    await audit.emit(draft())
    await asked
    assert.deepEqual(
      sink.accepted.map(({ action, sequence }) => [action, sequence]),
      [
        ['audit.opened', 0],
        ['kms.encrypt', 2],
        ['audit.space_low', 1],
      ].sort((a, b) => Number(a[1]) - Number(b[1])),
    )
  })

  test('are refused once the audit is closed, so that audit.closed is the last', async () => {
    const sink = connecting()
    const audit = createAudit({ required: [sink] })
    audit.emit(draft())
    await audit.close()
    await assert.rejects(sink.log().note({ action: 'audit.pruned', details: {} }), { code: 'AUDIT_REFUSED' })
    assert.equal(sink.accepted.at(-1)?.action, 'audit.closed')
  })

  test('go to one audit: a second one that takes the same sink is refused, and changes nothing', async () => {
    const [one, two] = [connecting('one'), connecting('two')]
    createAudit({ required: [one] })
    const before = one.log()
    assert.throws(() => createAudit({ required: [two, one] }), { code: 'INVALID_INPUT', message: /'one' is in use/ })
    assert.throws(() => createAudit({ required: [two], bestEffort: [two] }), { code: 'INVALID_INPUT' })
    assert.equal(one.log(), before)
    createAudit({ required: [two] })
    const plain = puppet()
    for (let at = 0; at < 2; at++) createAudit({ required: [plain] })
  })
})

describe('a required sink that is full', () => {
  async function stage() {
    const clock = fakeClock()
    const sink = connecting()
    const provider = fakeProvider()
    const kms = new KmsClient({ provider, audit: { required: [sink], clock, heartbeatMs: 500 } })
    await kms.createKey({ slug: 'orders' })
    return { clock, sink, provider, kms, plaintext: new Uint8Array(8) }
  }

  test('refuses calls before the provider is touched, and says why', async () => {
    const { sink, provider, kms, plaintext } = await stage()
    sink.full = 'the disk is nearly full'
    const before = provider.calls.length
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), {
      code: 'AUDIT_REFUSED',
      retryable: true,
      message: /'trail' is full \(the disk is nearly full\)/,
    })
    await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'AUDIT_REFUSED' })
    assert.equal(provider.calls.length, before)
    const health = kms.health()
    assert.equal(health.state, 'refusing')
    assert.equal(health.refusedCalls, 2)
    assert.equal(health.sinks[0]?.full, 'the disk is nearly full')
    assert.equal(health.sinks[0]?.state, 'up')
  })

  test('still gets what a call under way leaves, and what the log says of itself', async () => {
    const { sink, provider, kms, plaintext, clock } = await stage()
    let go = () => {}
    provider.tell('encrypt', {
      after: new Promise<void>((resolve) => {
        go = resolve
      }),
    })
    const call = kms.encrypt({ key: 'orders', plaintext })
    await turn()
    sink.full = 'the disk is nearly full'
    go()
    await call
    clock.advance(500)
    assert.deepEqual(
      sink.accepted.slice(-2).map(({ action }) => action),
      ['kms.encrypt', 'audit.heartbeat'],
    )
  })

  test('takes calls again when there is room, and audit.sink_up tells how many did not happen', async () => {
    const { clock, sink, kms, plaintext } = await stage()
    sink.full = 'the disk is nearly full'
    for (let at = 0; at < 3; at++)
      await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'AUDIT_REFUSED' })
    clock.advance(5000)
    sink.full = undefined
    await kms.encrypt({ key: 'orders', plaintext })
    clock.advance(1000)
    const ups = sink.accepted.filter(({ action }) => action === 'audit.sink_up')
    assert.deepEqual(
      ups.map(({ details }) => details),
      [{ sink: 'trail', refusedCalls: 3 }],
    )
    assert.equal(kms.health().state, 'ok')
    clock.advance(60_000)
    assert.equal(sink.accepted.filter(({ action }) => action === 'audit.sink_up').length, 1)
    validEntries(sink.accepted)
  })

  test('and down at once is told up once', async () => {
    const clock = fakeClock()
    const sink = connecting()
    const audit = createAudit({ required: [sink], clock })
    const heard: AuditEvent['type'][] = []
    audit.onEvent(({ type }) => {
      if (type.startsWith('sink')) heard.push(type)
    })
    audit.emit(draft())
    sink.full = 'no room'
    for (let at = 0; at < 2; at++) assert.equal(audit.admit()?.code, 'AUDIT_REFUSED')
    sink.mode = 'throw'
    audit.emit(draft())
    sink.full = undefined
    clock.advance(1000)
    sink.mode = 'sync'
    clock.advance(10_000)
    await turn()
    const ups = sink.accepted.filter(({ action }) => action === 'audit.sink_up')
    assert.deepEqual(
      ups.map(({ details }) => details?.refusedCalls),
      [2],
    )
    assert.deepEqual(heard, ['sink_down', 'sink_down', 'sink_up'])
  })

  test('one that is best-effort refuses nothing', () => {
    const full: AuditSink = { ...puppet({ name: 'extra' }), full: 'no room' }
    const audit = createAudit({ required: [puppet()], bestEffort: [full], clock: fakeClock() })
    assert.equal(audit.admit(), undefined)
    assert.equal(audit.health().state, 'degraded')
  })
})
