/** The sink that fails on demand, as a required sink and as a best-effort one; it keeps the contract of sinks all the same. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import {
  exampleEntries,
  exampleEntry,
  expectEntries,
  type FaultySink,
  type FaultySinkOptions,
  fakeClock,
  faultySink,
  type SinkState,
  sinkConformance,
  summary,
} from '../../src/testing/index.ts'

const plaintext = new TextEncoder().encode('attack at dawn')

for (const { name, run } of sinkConformance(() => {
  const sink = faultySink()
  return { sink: refusing(sink), accepted: () => sink.entries, refuseNext: () => sink.become('failing') }
}))
  test(`it ${name}`, run)

/** Working again after each write, as the kit wants it. */
function refusing(sink: FaultySink) {
  return {
    name: sink.name,
    durability: sink.durability,
    write(entries: readonly AuditEntry[]) {
      try {
        return sink.write(entries)
      } finally {
        sink.become('working')
      }
    },
  }
}

async function clientOver(options: FaultySinkOptions = {}) {
  const clock = fakeClock()
  const sink = faultySink({ clock, ...options })
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], clock, sinkDeadlineMs: 5_000 } })
  return { clock, sink, kms }
}

describe('as a required sink', () => {
  test('failing: the call is refused, the next one at the door, and when it works again so do they', async () => {
    const { clock, sink, kms } = await clientOver()
    await kms.createKey({ slug: 'orders' })
    sink.become('failing')
    const before = sink.attempts
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'AUDIT_REFUSED' })
    assert.equal(sink.attempts, before + 1)
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'AUDIT_REFUSED' })
    assert.equal(sink.attempts, before + 1)
    sink.become('working')
    await clock.advanceAsync(5_000)
    await kms.encrypt({ key: 'orders', plaintext })
    expectEntries(sink).toHaveRecorded('audit.sink_up', { details: { refusedCalls: 1 } })
  })

  test('hanging: the call is refused at the sink deadline, and what hung is accepted when it works again', async () => {
    const { clock, sink, kms } = await clientOver()
    await kms.createKey({ slug: 'orders' })
    sink.become('hanging')
    const refused = assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'AUDIT_REFUSED' })
    await clock.advanceAsync(4_999)
    assert.equal(kms.health().state, 'ok')
    await clock.advanceAsync(1)
    await refused
    expectEntries(sink).not.toHaveRecorded('kms.encrypt')
    sink.become('working')
    await clock.settle()
    expectEntries(sink).toHaveRecordedInOrder(['kms.encrypt', ['kms.encrypt', { phase: 'amendment' }]])
  })

  test('what hangs is refused when it fails', async () => {
    const sink = faultySink({ state: 'hanging' })
    const refused = assert.rejects(Promise.resolve(sink.write([exampleEntry()])), { code: 'AUDIT_REFUSED' })
    sink.become('failing')
    await refused
    assert.deepEqual(sink.entries, [])
  })

  test('slow: the call waits so long on the clock, and no longer', async () => {
    const { clock, sink, kms } = await clientOver()
    await kms.createKey({ slug: 'orders' })
    sink.become({ slowMs: 3_000 })
    let answered = false
    const call = kms.encrypt({ key: 'orders', plaintext }).then(() => {
      answered = true
    })
    await clock.advanceAsync(2_999)
    assert.equal(answered, false)
    await clock.advanceAsync(1)
    await call
  })

  test('failing for some entries only: a change is made, and its result cannot be accounted for', async () => {
    const when = ({ action, phase }: AuditEntry) => action === 'kms.rotate' && phase === 'result'
    const { sink, kms } = await clientOver({ state: 'failing', when })
    await kms.createKey({ slug: 'orders' })
    await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'OUTCOME_UNAUDITED' })
    assert.deepEqual(summary(sink.entries).slice(-1), ['kms.rotate pending orders'])
  })
})

test('as a best-effort sink it disturbs no call, whatever it does', async () => {
  for (const state of ['failing', 'hanging', { slowMs: 60_000 }] satisfies SinkState[]) {
    const clock = fakeClock()
    const trail = faultySink({ name: 'trail' })
    const faulty = faultySink({ state, clock })
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [trail], bestEffort: [faulty], clock } })
    await kms.createKey({ slug: 'orders' })
    expectEntries(trail).toHaveRecorded('kms_key.create')
    expectEntries(faulty).toHaveRecordedNothing()
  }
})

test('gives out an array of its own, and keeps none that it was given', async () => {
  const sink = faultySink({ state: 'hanging' })
  const given = [...exampleEntries(2)]
  const written = sink.write(given)
  given.length = 0
  sink.become('working')
  await written
  assert.equal(sink.entries.length, 2)
  assert.notEqual(sink.entries, sink.entries)
})

test('is called what it is told', () => {
  const { name, durability } = faultySink({ name: 'trail', durability: 'synced' })
  assert.deepEqual([name, durability], ['trail', 'synced'])
  assert.deepEqual([faultySink().name, faultySink().durability], ['faulty', 'memory'])
})

test('a state that is none is refused', () => {
  for (const state of ['broken', { slowMs: -1 }, { slowMs: Number.NaN }, null, {}]) {
    assert.throws(() => faultySink({ state: state as SinkState }), { code: 'INVALID_INPUT' })
    assert.throws(() => faultySink().become(state as SinkState), { code: 'INVALID_INPUT' })
  }
})
