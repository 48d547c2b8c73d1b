import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KmsError } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'
import { sinkConformance } from '../../src/testing/sink-conformance.ts'
import { validEntries } from '../validate.ts'

for (const { name, run } of sinkConformance(() => {
  const sink = memorySink()
  return { sink, accepted: () => sink.entries }
})) {
  test(`memory sink: ${name}`, run)
}

test('keeps what it accepted, in order', () => {
  const sink = memorySink({ name: 'recent' })
  sink.write(exampleEntries(2))
  sink.write([exampleEntry(2)])
  assert.deepEqual(validEntries(sink.entries), exampleEntries(3))
  assert.equal(sink.name, 'recent')
  assert.equal(sink.durability, 'memory')
})

test('answers at once, without a promise', () => {
  assert.equal(memorySink().write(exampleEntries(1)), undefined)
})

test('refuses a batch that does not fit, whole, and drops nothing', () => {
  const sink = memorySink({ maxEntries: 3 })
  sink.write(exampleEntries(2))
  assert.throws(() => sink.write(exampleEntries(2, 2)), { code: 'AUDIT_REFUSED', message: /full.*3 entries.*clear/ })
  assert.deepEqual(sink.entries, exampleEntries(2))
  sink.write([exampleEntry(2)])
  assert.deepEqual(sink.entries, exampleEntries(3))
})

test('has room again once it is cleared', () => {
  const bytes = Buffer.byteLength(`${lineOf(exampleEntry(0, { keySlug: 'é€🔑' }))}\n`)
  const sink = memorySink({ maxBytes: 2 * bytes })
  for (let round = 0; round < 3; round++) {
    sink.write([exampleEntry(0, { keySlug: 'é€🔑' }), exampleEntry(1, { keySlug: 'é€🔑' })])
    assert.throws(() => sink.write([exampleEntry(2)]), { code: 'AUDIT_REFUSED', message: /bytes/ })
    assert.equal(sink.entries.length, 2)
    sink.clear()
    assert.deepEqual(sink.entries, [])
  }
})

test('keeps 10,000 entries unless told otherwise', () => {
  const sink = memorySink()
  sink.write(exampleEntries(10_000))
  assert.throws(() => sink.write([exampleEntry(10_000)]), { code: 'AUDIT_REFUSED' })
})

test('what was read stays as it was', () => {
  const sink = memorySink()
  sink.write(exampleEntries(1))
  const before = sink.entries
  sink.write([exampleEntry(1)])
  sink.clear()
  assert.deepEqual(before, exampleEntries(1))
})

test('refuses limits that are none', () => {
  for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '10' as unknown as number]) {
    assert.throws(() => memorySink({ maxEntries: limit }), KmsError)
    assert.throws(() => memorySink({ maxBytes: limit }), { code: 'INVALID_INPUT' })
  }
})
