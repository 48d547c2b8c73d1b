import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { AuditSink, Placed } from '../../src/model/sink.ts'
import { anyOf, filter } from '../../src/sinks/combine.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'
import { sinkConformance } from '../../src/testing/sink-conformance.ts'

/** A sink that a test opens and shuts: refusing, or hanging until released. */
function gate(name: string) {
  const inner = memorySink({ maxEntries: 100_000 })
  const writes: (readonly number[])[] = []
  let mode: 'open' | 'refusing' | 'hanging' = 'open'
  let release: () => void = () => undefined
  const sink: AuditSink = {
    name,
    durability: 'memory',
    async write(entries) {
      writes.push(numbersOf(entries))
      if (mode === 'hanging') {
        await new Promise<void>((resolve) => {
          release = resolve
        })
      }
      if (mode === 'refusing') throw new Error('out of order')
      inner.write(entries)
    },
  }
  return {
    sink,
    writes,
    numbers: () => numbersOf(inner.entries),
    set(next: typeof mode): void {
      mode = next
      if (next !== 'hanging') release()
    },
  }
}

const numbersOf = (entries: readonly AuditEntry[]) => entries.map((entry) => entry.sequence)
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at)

for (const { name, run } of sinkConformance(() => {
  const kept = memorySink()
  const a = gate('a')
  return {
    sink: anyOf(a.sink, kept),
    accepted: () => kept.entries,
  }
})) {
  test(`anyOf: ${name}`, run)
}

for (const { name, run } of sinkConformance(() => {
  const kept = memorySink()
  return { sink: filter(kept, () => true), accepted: () => kept.entries }
})) {
  test(`filter: ${name}`, run)
}

test('anyOf writes to all', async () => {
  const [a, b] = [memorySink(), memorySink()]
  const sink = anyOf(a, b)
  await sink.write(exampleEntries(3))
  await sink.flush?.()
  assert.deepEqual(a.entries, exampleEntries(3))
  assert.deepEqual(b.entries, exampleEntries(3))
})

test('anyOf accepts when one accepts, and the other gets its backlog first, in order', async () => {
  const [a, b] = [gate('a'), gate('b')]
  const sink = anyOf(a.sink, b.sink)
  b.set('refusing')
  await sink.write(exampleEntries(2))
  await sink.write(exampleEntries(2, 2))
  assert.deepEqual(sink.members, [
    { name: 'a', waiting: 0, lost: 0 },
    { name: 'b', waiting: 4, lost: 0 },
  ])
  b.set('open')
  await sink.write(exampleEntries(1, 4))
  await sink.flush?.()
  assert.deepEqual(a.numbers(), upTo(5))
  assert.deepEqual(b.numbers(), upTo(5))
  assert.deepEqual(b.writes.at(-1), upTo(5))
  assert.equal(sink.members[1]?.waiting, 0)
})

test('anyOf does not wait for a sink that hangs, nor write to it twice at once', async () => {
  const [a, b] = [gate('a'), gate('b')]
  const sink = anyOf(a.sink, b.sink)
  b.set('hanging')
  for (const entry of exampleEntries(5)) await sink.write([entry])
  assert.deepEqual(a.numbers(), upTo(5))
  assert.deepEqual(b.writes, [[0]])
  b.set('open')
  await sink.flush?.()
  assert.deepEqual(b.numbers(), upTo(5))
})

test('anyOf keeps the order when a write fails late and another waits behind it', async () => {
  const [a, b] = [gate('a'), gate('b')]
  const sink = anyOf(a.sink, b.sink)
  b.set('hanging')
  for (const entry of exampleEntries(3)) await sink.write([entry])
  b.set('refusing')
  await sink.flush?.()
  assert.equal(sink.members[1]?.waiting, 3)
  b.set('open')
  await sink.flush?.()
  assert.deepEqual(b.numbers(), upTo(3))
})

test('anyOf keeps entries for a lagging sink, not the array they came in', async () => {
  const [a, b] = [gate('a'), gate('b')]
  const sink = anyOf(a.sink, b.sink)
  b.set('refusing')
  const given = [...exampleEntries(3)]
  await sink.write(given)
  given.length = 0
  b.set('open')
  await sink.flush?.()
  assert.deepEqual(b.numbers(), upTo(3))
})

test('anyOf refuses when none accepts, and what is sent again comes once', async () => {
  const [a, b] = [gate('a'), gate('b')]
  const sink = anyOf(a.sink, b.sink)
  b.set('refusing')
  await sink.write(exampleEntries(1))
  a.set('refusing')
  for (let round = 0; round < 3; round++) {
    await assert.rejects(async () => sink.write(exampleEntries(2, 1)), { code: 'AUDIT_REFUSED', message: /a, b/ })
  }
  assert.deepEqual(
    sink.members.map(({ waiting, lost }) => ({ waiting, lost })),
    [
      { waiting: 0, lost: 0 },
      { waiting: 1, lost: 0 },
    ],
  )
  a.set('open')
  b.set('open')
  await sink.write(exampleEntries(3, 1))
  await sink.flush?.()
  assert.deepEqual(a.numbers(), upTo(4))
  assert.deepEqual(b.numbers(), upTo(4))
})

test('anyOf waits for a busy sink when the others refuse', async () => {
  const [a, b] = [gate('a'), gate('b')]
  const sink = anyOf(a.sink, b.sink)
  b.set('hanging')
  await sink.write(exampleEntries(1))
  a.set('refusing')
  const written = sink.write(exampleEntries(1, 1))
  b.set('open')
  await written
  assert.deepEqual(b.numbers(), [0, 1])
})

test('anyOf goes on with a sink that recovers between a refusal and the next write', async () => {
  const a = gate('a')
  const sink = anyOf(a.sink)
  for (let round = 0; round < 50; round++) {
    a.set('refusing')
    const refused = sink.write([exampleEntry(round)])
    await assert.rejects(async () => refused)
    a.set('open')
    await sink.write([exampleEntry(round)])
  }
  assert.deepEqual(a.numbers(), upTo(50))
})

test('anyOf catches what a sink throws at once', async () => {
  const kept = memorySink()
  const broken: AuditSink = {
    name: 'broken',
    durability: 'synced',
    write() {
      throw new TypeError('no such file')
    },
  }
  const sink = anyOf(broken, kept)
  await sink.write(exampleEntries(1))
  await sink.write(exampleEntries(1, 1))
  assert.deepEqual(numbersOf(kept.entries), [0, 1])
  assert.equal(sink.members[0]?.waiting, 2)
})

test('anyOf keeps a bounded backlog, loses the oldest, and tells how many', async () => {
  const kept = memorySink({ maxEntries: 100_000 })
  const b = gate('b')
  const sink = anyOf(kept, b.sink)
  b.set('refusing')
  for (let at = 0; at < 10_500; at += 500) await sink.write(exampleEntries(500, at))
  assert.deepEqual(sink.members[1], { name: 'b', waiting: 10_000, lost: 500 })
  assert.deepEqual(sink.facts?.warnings, ['b: 500 entries lost'])
  b.set('open')
  await sink.flush?.()
  assert.deepEqual(b.numbers(), upTo(10_500).slice(500))
  assert.equal(kept.entries.length, 10_500)
})

test('anyOf holds at most twice its bound while a sink hangs', async () => {
  const kept = memorySink({ maxEntries: 100_000 })
  const b = gate('b')
  const sink = anyOf(kept, b.sink)
  b.set('hanging')
  await sink.write(exampleEntries(10_000))
  for (let at = 10_000; at < 30_000; at += 1000) await sink.write(exampleEntries(1000, at))
  assert.deepEqual(sink.members[1], { name: 'b', waiting: 10_000, lost: 20_000 })
  b.set('open')
  await sink.write(exampleEntries(1, 30_000))
  await sink.flush?.()
  assert.equal(sink.members[1]?.waiting, 0)
})

test('anyOf is as durable as its weakest sink', () => {
  const of = (durability: AuditSink['durability']): AuditSink => ({ name: 's', durability, write: () => undefined })
  assert.equal(anyOf(of('remote'), of('synced')).durability, 'synced')
  assert.equal(anyOf(of('synced'), of('handed-over'), of('written')).durability, 'handed-over')
  assert.equal(anyOf(of('remote'), of('memory')).durability, 'memory')
})

test('anyOf refuses what are no sinks, and a wrong option', () => {
  const wrong = [[], [undefined], [{}], [memorySink(), null], [{ sinks: [] }], [{ sinks: 7 }], [{ sinks: [{}] }]]
  for (const given of wrong) assert.throws(() => anyOf(...(given as AuditSink[])), { code: 'INVALID_INPUT' })
  assert.throws(() => anyOf({ sinks: [memorySink()], lateMs: 0 }), { code: 'INVALID_INPUT' })
})

test('anyOf reports an intent open in any of its sinks, once', async () => {
  const intent = exampleEntry(0, { phase: 'intent', outcome: 'pending' })
  const other = exampleEntry(1, { phase: 'intent', outcome: 'pending' })
  const trail = (intents: readonly AuditEntry[]): AuditSink => ({
    name: 'trail',
    durability: 'synced',
    write: () => ({ origin: 'o', size: 1n, root: new Uint8Array(32) }),
    openIntents: async () => intents,
  })
  const sink = anyOf(trail([intent]), trail([intent, other]), memorySink())
  assert.deepEqual(await sink.openIntents?.(), [intent, other])
})

test('anyOf closes every sink even if one cannot be closed, and counts what lags as lost', async () => {
  let closed = 0
  const failing: AuditSink = {
    name: 'failing',
    durability: 'remote',
    write: () => Promise.reject(new Error('gone')),
    close: () => Promise.reject(new Error('cannot close')),
  }
  const good: AuditSink = {
    name: 'good',
    durability: 'remote',
    write: () => undefined,
    async close() {
      closed++
    },
  }
  const sink = anyOf(failing, good)
  await sink.write(exampleEntries(2))
  await assert.rejects(async () => sink.close?.(), /cannot close/)
  assert.equal(closed, 1)
  assert.deepEqual(sink.members[0], { name: 'failing', waiting: 0, lost: 2 })
})

test('anyOf and filter hand on where entries stand in the trail', async () => {
  const seen: (readonly bigint[])[] = []
  const follower: AuditSink = {
    name: 'follower',
    durability: 'remote',
    write: (_, placed) => {
      seen.push((placed ?? []).map(({ index }) => index))
    },
  }
  const placed = (indexes: readonly bigint[]): readonly Placed[] =>
    indexes.map((index) => ({ index, leafHash: new Uint8Array(32), checkpoint: '' }))
  await anyOf(follower).write(exampleEntries(2), placed([7n, 8n]))
  await filter(follower, ({ sequence }) => sequence === 1).write(exampleEntries(2), placed([7n, 8n]))
  assert.deepEqual(seen, [[7n, 8n], [8n]])
})

test('filter accepts what does not match without writing it', async () => {
  const writes: (readonly number[])[] = []
  const sink: AuditSink = {
    name: 'pager',
    durability: 'remote',
    write: (entries) => void writes.push(numbersOf(entries)),
  }
  const filtered = filter(sink, ({ action }) => action === 'kms.export')
  await filtered.write([exampleEntry(0), exampleEntry(1, { action: 'kms.export' }), exampleEntry(2)])
  await filtered.write([exampleEntry(3)])
  assert.deepEqual(writes, [[1]])
  assert.equal(filtered.durability, 'remote')
  assert.deepEqual(filtered.facts?.warnings, ['filtered: entries that do not match are not written'])
})

test('filter answers at once when its sink does', () => {
  assert.equal(filter(memorySink(), () => true).write(exampleEntries(1)), undefined)
})
