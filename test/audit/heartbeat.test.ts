import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuditOptions } from '../../src/audit/audit.ts'
import { draftOf } from '../../src/audit/draft.ts'
import { createAudit } from '../../src/audit/emitter.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { validEntries } from '../validate.ts'
import { puppet } from './puppet.ts'

const draft = () => draftOf({ action: 'kms.encrypt', phase: 'result', resourceType: 'kms_key', outcome: 'success' })

function stage(options: Partial<AuditOptions> = {}) {
  const clock = fakeClock()
  const sink = puppet()
  const audit = createAudit({ required: [sink], clock, ...options })
  const beats = () => sink.accepted.filter(({ action }) => action === 'audit.heartbeat')
  return { clock, sink, audit, beats }
}

describe('heartbeats', () => {
  test('an hour without an entry is told, and each further one', () => {
    const { clock, sink, audit, beats } = stage()
    audit.emit(draft())
    clock.advance(3_599_999)
    assert.deepEqual(beats(), [])
    clock.advance(1)
    clock.advance(3_600_000)
    assert.deepEqual(
      beats().map(({ details }) => details),
      [{ idleMs: 3_600_000 }, { idleMs: 3_600_000 }],
    )
    validEntries(sink.accepted)
  })

  test('the idle time begins anew with each entry', () => {
    const { clock, audit, beats } = stage({ heartbeatMs: 1000 })
    audit.emit(draft())
    for (let at = 0; at < 20; at++) {
      clock.advance(700)
      audit.emit(draft())
    }
    assert.deepEqual(beats(), [])
    clock.advance(999)
    assert.deepEqual(beats(), [])
    clock.advance(1)
    assert.deepEqual(
      beats().map(({ details }) => details),
      [{ idleMs: 1000 }],
    )
  })

  for (const hours of [-48, 48]) {
    test(`a wall clock that steps by ${hours} hours silences none and makes none up`, () => {
      const { clock, audit, beats } = stage()
      audit.emit(draft())
      clock.advance(1_800_000)
      audit.emit(draft())
      clock.step(hours * 3_600_000)
      clock.advance(1_800_000)
      assert.ok(beats().length === 0, 'it has been idle for half an hour')
      clock.advance(3_600_000)
      assert.ok(beats().length >= 1)
      for (const { details } of beats()) assert.ok((details?.idleMs ?? 0) >= 3_600_000)
    })
  }

  test('there is none before the first entry, none after the last, and none when they are off', async () => {
    const before = stage()
    before.clock.advance(10_000_000)
    assert.deepEqual(before.sink.accepted, [])

    const closed = stage()
    closed.audit.emit(draft())
    await closed.audit.close()
    let heard = 0
    closed.audit.onEvent(() => {
      heard += 1
    })
    closed.clock.advance(10_000_000)
    assert.equal(heard, 0)
    assert.equal(closed.sink.accepted.at(-1)?.action, 'audit.closed')

    const off = stage({ heartbeatMs: 0 })
    off.audit.emit(draft())
    off.clock.advance(100_000_000)
    assert.deepEqual(off.beats(), [])
  })

  test('a wrong period is refused', () => {
    for (const heartbeatMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, '10' as unknown as number])
      assert.throws(() => stage({ heartbeatMs }), { code: 'INVALID_INPUT' })
  })
})
