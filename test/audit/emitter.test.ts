import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, test } from 'node:test'
import type { AuditOptions } from '../../src/audit/audit.ts'
import { draftOf } from '../../src/audit/draft.ts'
import { createAudit } from '../../src/audit/emitter.ts'
import { KmsClient } from '../../src/client.ts'
import { KmsError } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { isPromise } from '../../src/model/promise.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { validEntries } from '../validate.ts'
import { puppet, turn } from './puppet.ts'

const draft = () => draftOf({ action: 'kms.encrypt', phase: 'result', resourceType: 'kms_key', outcome: 'success' })

describe('order and batches', () => {
  test('a sink that answers at once makes no promise', () => {
    const sink = puppet()
    const audit = createAudit({ required: [sink] })
    assert.equal(isPromise(audit.emit(draft())), false)
    assert.equal(sink.accepted.length, 2)
    assert.equal(sink.accepted[0]?.action, 'audit.opened')
  })

  test('one write is in flight; what arrives meanwhile is the next batch, in order', async () => {
    const sink = puppet()
    const audit = createAudit({ required: [sink] })
    sink.mode = 'hang'
    const first = audit.emit(draft())
    const rest = Array.from({ length: 10 }, () => audit.emit(draft()))
    await turn()
    assert.equal(sink.batches.length, 1)
    sink.mode = 'async'
    sink.settle('accept')
    await Promise.all([first, ...rest])
    assert.equal(sink.batches.length, 2)
    assert.deepEqual(
      sink.accepted.map(({ sequence }) => sequence),
      Array.from({ length: 12 }, (_, at) => at),
    )
  })

  test('a crowd starts a write before all of it is there, and still only one is in flight', async () => {
    const sink = puppet()
    const audit = createAudit({ required: [sink] })
    sink.mode = 'async'
    await audit.emit(draft())
    sink.mode = 'hang'
    const before = sink.batches.length
    const crowd = Array.from({ length: 150 }, () => audit.emit(draft()))
    assert.equal(sink.batches.length, before + 1, 'the disk works meanwhile')
    await turn()
    assert.equal(sink.batches.length, before + 1, 'one write at a time')
    sink.mode = 'async'
    sink.settle('accept')
    await Promise.all(crowd)
    assert.deepEqual(
      sink.batches.slice(before).map((batch) => batch.length),
      [64, 86],
    )
  })

  test('a call made from inside a write joins the next batch', async () => {
    const sink = puppet()
    const audit = createAudit({ required: [sink] })
    let again = 3
    const inner: unknown[] = []
    const write = sink.write.bind(sink)
    const reentering = {
      ...sink,
      write(entries: Parameters<typeof write>[0]) {
        if (again-- > 0) inner.push(nested.emit(draft()))
        return write(entries)
      },
    }
    const nested = createAudit({ required: [reentering] })
    inner.push(nested.emit(draft()))
    for (let at = 0; at < 5; at++) await Promise.all(inner)
    assert.deepEqual(
      sink.accepted.map(({ sequence }) => sequence),
      [0, 1, 2, 3, 4],
    )
    await audit.close()
  })

  for (const how of ['emit', 'note'] as const)
    test(`a required sink that fails at once in ${how} leaves the others their order`, async () => {
      const clock = fakeClock()
      const required = puppet({ name: 'required' })
      const extra = puppet({ name: 'extra' })
      const audit = createAudit({ required: [required], bestEffort: [extra], clock })
      audit.emit(draft())
      required.mode = 'throw'
      audit[how](draft())
      required.mode = 'sync'
      clock.advance(100)
      await turn()
      for (const { accepted } of [required, extra]) {
        assert.deepEqual(
          accepted.map(({ sequence }) => sequence),
          [0, 1, 2, 3, 4],
        )
      }
    })

  test('held entries go out in one write', async () => {
    const sink = puppet()
    const audit = createAudit({ required: [sink] })
    audit.hold()
    const emitted = Array.from({ length: 5 }, () => audit.emit(draft()))
    assert.equal(sink.batches.length, 0)
    audit.release()
    await Promise.all(emitted)
    assert.deepEqual(
      sink.batches.map((batch) => batch.length),
      [6],
    )
  })

  test('a refused batch is sent again first, with back-off, and nothing is lost or reordered', async () => {
    const clock = fakeClock()
    const sink = puppet()
    const audit = createAudit({ required: [sink], clock })
    audit.emit(draft())
    sink.mode = 'throw'
    assert.ok(audit.emit(draft()) instanceof KmsError)
    const before = sink.batches.length
    for (const wait of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
      clock.advance(wait - 1)
      const tries = sink.batches.length
      clock.advance(1)
      assert.equal(sink.batches.length, tries + 1)
    }
    assert.equal(sink.batches.length, before + 8)
    sink.mode = 'sync'
    clock.advance(5000)
    await turn()
    assert.deepEqual(
      sink.accepted.map(({ sequence }) => sequence),
      sink.accepted.map((_, at) => at),
    )
    assert.deepEqual(
      sink.accepted.slice(-2).map(({ action }) => action),
      ['audit.sink_down', 'audit.sink_up'],
    )
  })

  test('a late write stays the only one in flight, and its entries are not sent twice when it succeeds', async () => {
    const clock = fakeClock()
    const sink = puppet()
    const audit = createAudit({ required: [sink], clock, sinkDeadlineMs: 100 })
    audit.emit(draft())
    sink.mode = 'hang'
    const late = audit.emit(draft())
    clock.advance(100)
    assert.ok((await late) instanceof KmsError)
    clock.advance(60_000)
    await turn()
    assert.equal(sink.batches.length, 3, 'opened, the first, and the one that hangs')
    sink.mode = 'async'
    sink.settle('accept')
    await turn()
    assert.equal(new Set(sink.accepted.map(({ eventID }) => eventID)).size, sink.accepted.length)
    assert.equal(audit.health().state, 'ok')
  })
})

describe('stamps', () => {
  test('event ids never go back, not within a millisecond and not when the clock steps back', () => {
    const clock = fakeClock()
    const sink = puppet()
    const audit = createAudit({ required: [sink], clock })
    for (let at = 0; at < 2000; at++) {
      if (at % 50 === 0) clock.advance(1)
      if (at === 1000) clock.step(-3_600_000)
      audit.emit(draft())
    }
    const ids = sink.accepted.map(({ eventID }) => eventID)
    assert.deepEqual(ids, [...ids].sort())
    assert.equal(new Set(ids).size, ids.length)
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const stepped = sink.accepted.filter(({ action }) => action === 'audit.clock_stepped')
    assert.deepEqual(
      stepped.map(({ details }) => details),
      [{ steppedMs: 3_599_999 }],
    )
    validEntries(sink.accepted)
  })

  test('the first entry tells the configuration, and the second what a sink has to say of its opening', () => {
    const sink = Object.assign(puppet({ name: 'trail', durability: 'synced' }), {
      facts: { filesystem: 'ext4', size: '7', vkey: 'v', warnings: ['overlay'] },
      notices: [{ action: 'audit.recovered', details: { quarantinedBytes: 12, file: 'quarantine/1' } }] as const,
    })
    const audit = createAudit({
      required: [sink],
      bestEffort: [puppet({ name: 'extra' })],
      fields: { clientIp: 'hash', hash: ['actor.id'], hashKey: new Uint8Array(16) },
    })
    audit.emit(draft())
    const [opened, recovered] = validEntries(sink.accepted)
    assert.deepEqual(opened?.details, {
      sinks: [
        {
          name: 'trail',
          durability: 'synced',
          required: true,
          filesystem: 'ext4',
          size: '7',
          vkey: 'v',
          warnings: ['overlay'],
        },
        { name: 'extra', durability: 'memory', required: false },
      ],
      engine: 'node',
      version: '0.1.0',
      fields: 'clientIp=hash encryptionContext=clear hash=actor.id',
    })
    assert.equal(recovered?.action, 'audit.recovered')
    assert.deepEqual(recovered?.details, { sink: 'trail', quarantinedBytes: 12, file: 'quarantine/1' })
  })
})

describe('best-effort sinks', () => {
  test('never slow a call, lose beyond their bound, and the loss is an entry', async () => {
    const clock = fakeClock()
    const required = puppet({ name: 'required' })
    const slow = puppet({ name: 'slow' })
    slow.mode = 'hang'
    const audit = createAudit({ required: [required], bestEffort: [slow], bestEffortQueue: { entries: 10 }, clock })
    for (let at = 0; at < 100; at++) assert.equal(isPromise(audit.emit(draft())), false)
    const health = audit.health().sinks.find(({ name }) => name === 'slow')
    assert.equal(health?.queued, 10)
    assert.equal(health?.lost, 91)
    clock.advance(1000)
    const dropped = required.accepted.find(({ action }) => action === 'audit.dropped')
    assert.deepEqual(dropped?.details, { sink: 'slow', dropped: 91 })
    validEntries(required.accepted)
  })

  test('what a sink says that it gave up on is an entry, within a minute and at close', async () => {
    const clock = fakeClock()
    const sink = Object.assign(puppet(), { lost: 0 })
    const audit = createAudit({ required: [sink], clock })
    audit.emit(draft())
    clock.advance(60_000)
    sink.lost = 7
    clock.advance(60_000)
    sink.lost = 9
    assert.equal(audit.health().sinks[0]?.lost, 9)
    await audit.close()
    const dropped = sink.accepted.filter(({ action }) => action === 'audit.dropped')
    assert.deepEqual(
      dropped.map(({ details }) => details?.dropped),
      [7, 2],
    )
    validEntries(sink.accepted)
  })

  test('the bound counts bytes too', () => {
    const slow = puppet({ name: 'slow' })
    slow.mode = 'hang'
    const audit = createAudit({
      required: [puppet()],
      bestEffort: [slow],
      bestEffortQueue: { bytes: 2000 },
      clock: fakeClock(),
    })
    for (let at = 0; at < 100; at++) audit.emit(draft())
    const health = audit.health().sinks.find(({ name }) => name === 'slow')
    assert.ok((health?.queued ?? 0) < 10 && (health?.queued ?? 0) > 2)
  })

  test('the bound of bytes is exact, also where only a part of the queue was measured', async () => {
    const clock = fakeClock()
    const slow = puppet({ name: 'slow' })
    slow.mode = 'hang'
    const room = 60 * 16_384
    const audit = createAudit({
      ...{ required: [memorySink({ maxEntries: 100_000 })], bestEffort: [slow], clock, heartbeatMs: 0 },
      bestEffortQueue: { entries: 100_000, bytes: room },
    })
    const queued: number[] = []
    const stateOf = () => audit.health().sinks.find(({ name }) => name === 'slow') ?? assert.fail('it is there')
    audit.onEvent((event) => event.type === 'entry' && queued.push(lineOf(event.entry).length))
    const fill = (count: number) => {
      for (let at = 0; at < count; at++) {
        const { lost } = stateOf()
        audit.emit(draft())
        if (stateOf().lost > lost) queued.pop()
      }
    }
    const bytes = () => queued.reduce((sum, size) => sum + size, 0)
    // The first of them, `audit.opened`, is on its way alone; then a thousand at a time.
    for (const batch of [1, 1000]) {
      fill(4500)
      assert.equal(stateOf().queued, queued.length)
      assert.ok(stateOf().lost > 0 && bytes() <= room && bytes() > room - 1000, `${bytes()} of ${room}`)
      queued.splice(0, batch)
      slow.settle('accept')
      await turn()
    }
    while (queued.length > 0) {
      queued.splice(0, 1000)
      slow.settle('accept')
      await turn()
    }
    const { lost } = stateOf()
    fill(60)
    assert.equal(stateOf().lost, lost)
  })

  test('one that comes up does not take the count of refused calls with it', async () => {
    const clock = fakeClock()
    const required = puppet({ name: 'required' })
    const extra = puppet({ name: 'extra' })
    const audit = createAudit({ required: [required], bestEffort: [extra], clock })
    audit.emit(draft())
    required.mode = 'throw'
    extra.mode = 'throw'
    audit.emit(draft())
    for (let at = 0; at < 3; at++) assert.equal(audit.admit()?.code, 'AUDIT_REFUSED')
    extra.mode = 'sync'
    clock.advance(100)
    await turn()
    required.mode = 'sync'
    clock.advance(10_000)
    await turn()
    const up = required.accepted.filter(({ action }) => action === 'audit.sink_up').map(({ details }) => details)
    assert.deepEqual(up, [{ sink: 'extra' }, { sink: 'required', refusedCalls: 3 }])
  })

  test('one that is down degrades health and refuses nothing', () => {
    const broken = puppet({ name: 'broken' })
    broken.mode = 'throw'
    const audit = createAudit({ required: [puppet()], bestEffort: [broken], clock: fakeClock() })
    assert.equal(audit.emit(draft()), undefined)
    assert.equal(audit.admit(), undefined)
    assert.equal(audit.health().state, 'degraded')
  })
})

describe('events', () => {
  test('are told to listeners and to the diagnostics channel; a listener that throws is dropped', () => {
    const audit = createAudit({ required: [puppet()] })
    const heard: string[] = []
    const published: unknown[] = []
    const onMessage = (message: unknown) => published.push(message)
    subscribe('keytrail', onMessage)
    let throws = 0
    audit.onEvent(() => {
      throws += 1
      throw new Error('broken listener')
    })
    const stop = audit.onEvent((event) => heard.push(event.type))
    audit.emit(draft())
    audit.emit(draft())
    stop()
    audit.emit(draft())
    unsubscribe('keytrail', onMessage)
    assert.deepEqual(heard, ['entry', 'entry', 'entry'])
    assert.equal(throws, 1)
    assert.equal(published.length, 4)
  })
})

describe('closing', () => {
  test('writes audit.closed, closes every sink, and refuses what comes after', async () => {
    const closed: string[] = []
    const sink = Object.assign(puppet(), { close: async () => void closed.push('puppet') })
    const audit = createAudit({ required: [sink] })
    audit.emit(draft())
    await Promise.all([audit.close(), audit.close()])
    assert.deepEqual(closed, ['puppet'])
    assert.equal(sink.accepted.at(-1)?.action, 'audit.closed')
    assert.equal(audit.admit()?.code, 'CLOSED')
  })

  test('a sink that hangs cannot keep the others from closing', async () => {
    const clock = fakeClock()
    const hanging = puppet({ name: 'hanging' })
    const closed: string[] = []
    const good = Object.assign(puppet({ name: 'good' }), { close: async () => void closed.push('good') })
    const audit = createAudit({ required: [hanging, good], clock, sinkDeadlineMs: 100 })
    hanging.mode = 'hang'
    audit.emit(draft())
    const closing = assert.rejects(audit.close(), { code: 'AUDIT_REFUSED' })
    await turn()
    assert.deepEqual(closed, ['good'])
    clock.advance(100)
    await closing
  })

  test('flush tells when a required sink is down', async () => {
    const sink = puppet()
    const audit = createAudit({ required: [sink], clock: fakeClock() })
    await audit.flush()
    sink.mode = 'throw'
    audit.emit(draft())
    await assert.rejects(audit.flush(), { code: 'AUDIT_REFUSED' })
  })
})

describe('options', () => {
  const wrong: readonly [string, unknown][] = [
    ['nothing', undefined],
    ['no required sink', { required: [] }],
    ['something that is not a sink', { required: [{}] }],
    ['a sink of unknown durability', { required: [{ ...puppet(), durability: 'eternal' }] }],
    ['a bad instance', { required: [puppet()], instance: 'a b' }],
    ['a bad deadline', { required: [puppet()], sinkDeadlineMs: 0 }],
    ['an unknown policy field', { required: [puppet()], fields: { drop: ['plaintext'] } }],
    ['an unknown IP mode', { required: [puppet()], fields: { clientIp: 'some' } }],
    ['a hash without a key', { required: [puppet()], fields: { clientIp: 'hash' } }],
  ]
  for (const [what, options] of wrong) {
    test(`${what} is refused with INVALID_INPUT`, () => {
      assert.throws(() => createAudit(options as AuditOptions), { name: 'KmsError', code: 'INVALID_INPUT' })
    })
  }
})

test('an audit that is shared stays open when a client closes', async () => {
  const sink = memorySink()
  const audit = createAudit({ required: [sink] })
  const one = new KmsClient({ provider: fakeProvider(), audit, region: 'one' })
  const two = new KmsClient({ provider: fakeProvider(), audit, region: 'two' })
  await one.createKey({ slug: 'orders' })
  await one.close()
  await two.createKey({ slug: 'orders' })
  await assert.rejects(one.listKeys(), { code: 'CLOSED' })
  assert.deepEqual(
    sink.entries.filter(({ phase }) => phase === 'result').map(({ region }) => region),
    [undefined, 'one', 'two'],
  )
  await two.close()
  await audit.close()
})
