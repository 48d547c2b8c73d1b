/** `anyOf` under an audit: what it tells when a sink goes down and comes back, and that it tells it once. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { draftOf } from '../../src/audit/draft.ts'
import { createAudit } from '../../src/audit/emitter.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { AuditSink, Ledger, Notice, Receipt, SinkLog } from '../../src/model/sink.ts'
import { anyOf, filter } from '../../src/sinks/combine.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'
import { summary } from '../../src/testing/summary.ts'
import { type Puppet, puppet, turn } from '../audit/puppet.ts'
import { validEntries } from '../validate.ts'

const draft = () => draftOf({ action: 'kms.encrypt', phase: 'result', resourceType: 'kms_key', outcome: 'success' })

function stage(names: readonly string[] = ['main', 'spare']) {
  const clock = fakeClock()
  const sinks = names.map((name) => puppet({ name, receipts: true }))
  for (const sink of sinks) sink.mode = 'async'
  const combined = anyOf({ sinks, clock })
  const audit = createAudit({ required: [combined], clock, heartbeatMs: 0 })
  const [main, spare] = sinks
  assert.ok(main && spare)
  return { clock, combined, audit, main, spare }
}

/** Lets writes, and the entries that they set off, come to rest. */
async function rest(): Promise<void> {
  for (let at = 0; at < 20; at++) await turn()
}

const told = ({ accepted }: Puppet) =>
  accepted
    .filter(({ action }) => action.startsWith('audit.sink'))
    .map(({ action, details }) => `${action} ${details?.sink}`)

describe('failover', () => {
  test('a sink that refuses is told to be down, in both, and up once it has caught up', async () => {
    const { audit, combined, main, spare } = stage()
    await audit.emit(draft())
    main.mode = 'reject'
    for (let at = 0; at < 5; at++) assert.ok(!((await audit.emit(draft())) instanceof KmsError))
    await rest()
    assert.deepEqual(told(spare), ['audit.sink_down main'])
    assert.deepEqual(told(main), [])
    assert.equal(audit.health().state, 'ok')
    main.mode = 'async'
    await audit.emit(draft())
    await rest()
    for (const sink of [main, spare]) assert.deepEqual(told(sink), ['audit.sink_down main', 'audit.sink_up main'])
    assert.deepEqual(
      main.accepted.map(({ sequence }) => sequence),
      spare.accepted.map(({ sequence }) => sequence),
    )
    assert.deepEqual(
      combined.members.map(({ waiting, lost }) => [waiting, lost]),
      [
        [0, 0],
        [0, 0],
      ],
    )
    validEntries(main.accepted)
  })

  test('a sink that hangs is told to be down after its time, and up when it answers', async () => {
    const { clock, audit, main, spare } = stage()
    await audit.emit(draft())
    main.mode = 'hang'
    await audit.emit(draft())
    clock.advance(4999)
    await audit.emit(draft())
    await rest()
    assert.deepEqual(told(spare), [])
    clock.advance(1)
    await audit.emit(draft())
    await rest()
    assert.deepEqual(told(spare), ['audit.sink_down main'])
    main.mode = 'async'
    main.settle('accept')
    await rest()
    assert.deepEqual(told(main), ['audit.sink_down main', 'audit.sink_up main'])
  })

  test('a sink that comes and goes at each write sets off no storm of entries', async () => {
    const { audit, main, spare } = stage()
    await audit.emit(draft())
    let writes = 0
    const { write } = main
    main.write = (entries) => {
      writes += 1
      main.mode = writes % 2 === 1 ? 'reject' : 'async'
      return write(entries)
    }
    for (let at = 0; at < 10; at++) {
      await audit.emit(draft())
      await rest()
    }
    assert.ok(told(spare).includes('audit.sink_up main'), 'it came and went')
    assert.ok(told(spare).length <= 20, `${told(spare).length} entries about sinks for 10 others`)
    const before = writes
    await rest()
    assert.equal(writes, before, 'it comes to rest')
  })

  test('when none accepts, the whole is down, and nobody is told apart', async () => {
    const { clock, audit, main, spare } = stage()
    await audit.emit(draft())
    main.mode = 'reject'
    spare.mode = 'reject'
    assert.ok((await audit.emit(draft())) instanceof KmsError)
    assert.equal(audit.health().state, 'refusing')
    main.mode = 'async'
    spare.mode = 'async'
    clock.advance(10_000)
    await rest()
    assert.deepEqual(told(main), ['audit.sink_down anyOf(main, spare)', 'audit.sink_up anyOf(main, spare)'])
    assert.deepEqual(summary(main.accepted), summary(spare.accepted))
  })

  test('two sinks of one name are told apart', async () => {
    const { audit, main, spare } = stage(['trail', 'trail'])
    await audit.emit(draft())
    spare.mode = 'reject'
    await audit.emit(draft())
    await rest()
    assert.deepEqual(told(main), ['audit.sink_down trail#2'])
  })
})

describe('what anyOf hands through', () => {
  test('the receipt of the sink that accepts first', async () => {
    const { audit, main } = stage()
    await audit.emit(draft())
    main.mode = 'reject'
    const receipt = await audit.emit(draft())
    assert.ok(receipt !== undefined && !(receipt instanceof KmsError))
    assert.equal(receipt.origin, 'spare')
    assert.equal(await anyOf(memorySink()).write(exampleEntries(1)), undefined)
  })

  test('it is full when no sink is left that is neither full nor down', async () => {
    const { audit, combined, main, spare } = stage()
    const fill = (sink: Puppet, full: string | undefined) => Object.assign(sink, { full })
    await audit.emit(draft())
    fill(main, 'no room')
    assert.equal(combined.full, undefined)
    fill(spare, 'no room either')
    assert.equal(combined.full, 'main: no room; spare: no room either')
    fill(main, undefined)
    main.mode = 'reject'
    fill(spare, undefined)
    await audit.emit(draft())
    await rest()
    assert.equal(combined.full, undefined)
    fill(spare, 'no room')
    assert.equal(combined.full, 'main: down; spare: no room')
    assert.equal(audit.admit()?.code, 'AUDIT_REFUSED')
  })

  test('connection, notices, ledgers and retention, each by the name of its sink', async () => {
    const logs: SinkLog[] = []
    const late: Notice[] = []
    const ledger = (origin: string): Ledger => ({
      origin,
      size: 0n,
      prunedBelow: 0n,
      rootAt: async () => undefined,
      lastOf: () => undefined,
    })
    const trail = (origin: string, days: number): AuditSink => ({
      name: 'trail',
      durability: 'synced',
      write: (): Receipt => ({ origin, size: 1n, root: new Uint8Array(32) }),
      facts: { minRetentionDays: days },
      get notices() {
        return late
      },
      connect: (log) => void logs.push(log),
      ledgers: () => [ledger(origin)],
    })
    const kept = memorySink()
    const sink = anyOf(trail('one', 30), trail('two', 30))
    const audit = createAudit({ required: [sink, kept] })
    late.push({ action: 'audit.recovered', details: { quarantinedBytes: 1 } })
    await audit.emit(draft())
    await logs[1]?.note({ action: 'audit.space_low', details: { usedBytes: 1, budgetBytes: 2 } })
    assert.deepEqual(
      kept.entries
        .filter(({ details }) => details?.sink !== undefined)
        .map(({ action, details }) => [action, details?.sink]),
      [
        ['audit.recovered', 'trail'],
        ['audit.recovered', 'trail#2'],
        ['audit.space_low', 'trail#2'],
      ],
    )
    assert.deepEqual(
      audit.ledgers().map(({ origin }) => origin),
      ['one', 'two'],
    )
    assert.deepEqual(sink.facts, { minRetentionDays: 30 })
    assert.deepEqual(anyOf(trail('one', 30), trail('two', 60)).facts, {})
  })
})

describe('what filter hands through', () => {
  test('an entry that its sink asked for reaches it, whatever the filter says', async () => {
    let log: SinkLog | undefined
    const inner = Object.assign(puppet({ name: 'trail' }), {
      connect: (given: SinkLog) => {
        log = given
      },
      ledgers: () => [],
      full: 'no room',
    })
    const sink = filter(inner, ({ action }) => action === 'kms.export')
    assert.equal(sink.full, 'no room')
    assert.deepEqual(sink.ledgers?.(), [])
    const audit = createAudit({ required: [memorySink()], bestEffort: [sink] })
    audit.emit(draft())
    await log?.note({ action: 'audit.key_rotated', details: { vkey: 'new', previousVkey: 'old' } })
    assert.deepEqual(
      inner.accepted.map(({ action }) => action),
      ['audit.key_rotated'],
    )
    assert.deepEqual(inner.accepted[0]?.details, { sink: 'trail', vkey: 'new', previousVkey: 'old' })
  })

  test('a sink without a connection, ledgers or fullness has none under a filter either', () => {
    const sink = filter(memorySink(), () => true)
    assert.equal(sink.connect, undefined)
    assert.equal(sink.ledgers, undefined)
    assert.equal(sink.full, undefined)
    assert.equal(sink.write([exampleEntry(0)]), undefined)
  })
})
