/** @node The live watch: finds what a look at the trail afterwards finds, and nobody waits for it. */
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { createDetector } from '../../src/detect/detector.ts'
import { playExample } from '../../src/detect/example.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { defineRule } from '../../src/detect/rule.ts'
import { everyRule, shippedRules } from '../../src/detect/shipped.ts'
import { detectorSink } from '../../src/detect/sink.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'

const text = new TextEncoder().encode('attack at dawn')
const exported = (sequence: number) => exampleEntry(sequence, { action: 'kms.export', details: { form: 'raw' } })

/** Reports every entry, and what time it is told. */
function nosy(times: number[] = []) {
  return defineRule({
    id: 'nosy',
    title: 'an entry',
    level: 'low',
    attack: [],
    why: 'for a test',
    falsePositives: ['all'],
    whatToDo: 'nothing',
    actions: ['kms.*'],
    parameters: {},
    watch: (_, tools) => ({
      take({ entry, at }) {
        tools.report({ subject: {}, evidence: [entry.eventID], says: 'an entry' })
        tools.wake(at + 1000)
      },
      wake(now) {
        times.push(now)
      },
    }),
    examples: [],
  })
}

test('a write is shown later, never in the turn of its caller, and resolves when all of it was shown', async () => {
  const detector = createDetector([nosy()])
  const found: Finding[] = []
  const sink = detectorSink(detector, { onFindings: (some) => found.push(...some) })
  const written = sink.write(exampleEntries(500))
  assert.ok(written instanceof Promise)
  await Promise.resolve()
  assert.deepEqual([detector.health().entries, sink.health().waiting], [0, 500])
  await written
  assert.deepEqual([detector.health().entries, sink.health().waiting], [500, 0])
  await sink.flush?.()
  assert.equal(found.length, 500)
  assert.equal(sink.health().findings, 500)
  await sink.close?.()
  await assert.rejects(async () => sink.write(exampleEntries(1)), { code: 'CLOSED' })
})

test('keeps no array that it was given', async () => {
  const detector = createDetector([nosy()])
  const sink = detectorSink(detector, { onFindings: () => undefined })
  const batch = [...exampleEntries(3)]
  const written = sink.write(batch)
  batch.length = 0
  await written
  assert.equal(detector.health().entries, 3)
  await sink.close?.()
})

test('a slow rule holds the event loop for a moment at a time', async () => {
  const slow = defineRule({
    ...{ id: 'slow', title: 'slow', level: 'low', attack: [], why: 'for a test', falsePositives: ['all'] },
    ...{ whatToDo: 'nothing', actions: ['kms.*'], parameters: {}, examples: [] },
    sees() {
      const end = performance.now() + 0.1
      while (performance.now() < end);
      return undefined
    },
  })
  const sink = detectorSink(createDetector([slow]), { onFindings: () => undefined })
  let turns = 0
  const count = setInterval(() => turns++, 0)
  await sink.write(exampleEntries(1000))
  clearInterval(count)
  // At 0.1 ms an entry, 16 of them are a slice.
  assert.ok(turns >= 30, `${turns} turns`)
  await sink.close?.()
})

describe('onFindings that fails', () => {
  for (const [how, onFindings] of [
    ['throws', () => assert.fail('no')],
    ['rejects', () => Promise.reject(new RangeError('no'))],
  ] as const)
    test(`${how}: counted, and the watch goes on`, async () => {
      const sink = detectorSink(createDetector(shippedRules()), { onFindings })
      await sink.write([exported(0)])
      await sink.write([exported(1)])
      await sink.flush?.()
      const { findings, failures, lastFailure } = sink.health()
      assert.deepEqual([findings, failures], [2, 2])
      assert.match(lastFailure ?? '', /Error/)
      await sink.close?.()
    })
})

test('close waits for what onFindings returned', async () => {
  let finish = () => {}
  const onFindings = () => new Promise<void>((resolve) => (finish = resolve))
  const sink = detectorSink(createDetector(shippedRules()), { onFindings })
  await sink.write([exported(0)])
  let closed = false
  const closing = Promise.resolve(sink.close?.()).then(() => (closed = true))
  await new Promise(setImmediate)
  assert.equal(closed, false)
  finish()
  await closing
})

test('closed by whoever it told, it tells no more', async () => {
  const { createdAt } = exampleEntry(0)
  const clock = fakeClock(Date.parse(createdAt))
  const rule = defineRule({
    ...{ id: 'late', title: 'late', level: 'low', attack: [], why: '', falsePositives: [], whatToDo: '' },
    ...{ actions: ['*'], parameters: {}, examples: [] },
    watch: (_, tools) => ({
      take: ({ at }) => tools.wake(at + 1000),
      wake: () => tools.report({ subject: {}, evidence: [], says: 'late' }),
    }),
  })
  const sink = detectorSink(createDetector([rule]), { clock, tickMs: 10_000, onFindings: () => void sink.close?.() })
  await sink.write(exampleEntries(1))
  clock.advance(10_000)
  assert.equal(sink.health().findings, 1)
  assert.equal(clock.pending, 0)
})

test('flush waits for what the emitter has queued behind a write, too', async () => {
  const required = memorySink()
  const found: Finding[] = []
  const watch = detectorSink(createDetector(shippedRules()), { onFindings: (some) => found.push(...some) })
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [required], bestEffort: [watch] } })
  await kms.createKey({ slug: 'orders', exportAllowed: true })
  for (let call = 0; call < 1500; call++) await kms.encrypt({ key: 'orders', plaintext: text })
  await kms.export({ key: 'orders' })
  await watch.flush?.()
  assert.ok(found.some(({ rule }) => rule === 'export'))
  assert.equal(kms.health().sinks.find(({ name }) => name === 'detector')?.queued, 0)
  await kms.close()
})

test('tells the time while nothing happens, five seconds behind the clock, and never while entries wait', async () => {
  const times: number[] = []
  const { createdAt } = exampleEntry(0)
  const clock = fakeClock(Date.parse(createdAt))
  const sink = detectorSink(createDetector([nosy(times)]), { onFindings: () => undefined, clock, tickMs: 1500 })
  await sink.write(exampleEntries(1))
  clock.advance(4500)
  assert.deepEqual(times, [])
  // Another one comes, and has not been shown yet: it might tell of something before the time that is due.
  const written = sink.write([exampleEntry(1)])
  clock.advance(3000)
  assert.deepEqual(times, [])
  await written
  clock.advance(1500)
  assert.deepEqual(times, [Date.parse(createdAt) + 1000])
  await sink.close?.()
  assert.equal(clock.pending, 0)
})

test('live findings are those of the trail afterwards, under load, and no call failed', async () => {
  const clock = fakeClock()
  const required = memorySink({ maxEntries: 100_000 })
  const live: Finding[] = []
  const watch = detectorSink(createDetector(shippedRules()), { onFindings: (some) => live.push(...some), clock })
  const kms = new KmsClient({
    provider: memoryKms({ clock }),
    audit: { required: [required], bestEffort: [watch], clock },
  })
  await kms.createKey({ slug: 'orders', exportAllowed: true })
  const mallory = kms.with({ actor: { type: 'user', id: 'mallory' }, clientIp: '192.0.2.66' })
  const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: text })
  for (let round = 0; round < 40; round++) {
    const calls = Array.from({ length: 100 }, () => kms.decrypt({ key: 'orders', ciphertext }))
    const wrong = mallory.decrypt({ key: 'orders', ciphertext, encryptionContext: { not: 'it' } })
    await Promise.all([...calls, wrong.catch(() => undefined)])
    if (round % 10 === 9) await kms.export({ key: 'orders' })
    await clock.advanceAsync(30_000)
  }
  await kms.close()
  const { entries } = required
  assert.ok(entries.length > 4000)
  assert.equal(kms.health().sinks.find(({ name }) => name === 'detector')?.lost, 0)
  assert.deepEqual(live, offline(entries))
  assert.ok(live.length >= 5, `${live.length} findings`)
})

describe('live findings are those of the trail afterwards, in each example of each rule, though time is told meanwhile', () => {
  for (const rule of everyRule)
    test(rule.id, async () => {
      for (const example of rule.examples) {
        const rules = shippedRules({ [rule.id]: example.parameters ?? {} })
        const { entries, end } = playExample(example)
        const clock = fakeClock(Date.parse(entries[0]?.createdAt ?? ''))
        const live: Finding[] = []
        const onFindings = (some: readonly Finding[]) => live.push(...some)
        const sink = detectorSink(createDetector(rules), { onFindings, clock, tickMs: 1 })
        const part = Math.ceil(entries.length / 10)
        for (let from = 0; from < entries.length; from += part) {
          const some = entries.slice(from, from + part)
          await sink.write(some)
          clock.step(Date.parse(some.at(-1)?.createdAt ?? '') - clock.now())
          clock.advance(1)
        }
        clock.step(end - clock.now() + 5000)
        clock.advance(1)
        await sink.close?.()
        const detector = createDetector(rules)
        const after = [...entries.flatMap((entry) => [...detector.take(entry)]), ...detector.advance(end + 1)]
        assert.deepEqual(live, after, example.says)
      }
    })
})

test('what the emitter has no room for is counted there, and the detector sees the gap', async () => {
  const required = memorySink()
  const detector = createDetector(shippedRules())
  const watch = detectorSink(detector, { onFindings: () => undefined })
  const kms = new KmsClient({
    provider: memoryKms(),
    audit: { required: [required], bestEffort: [watch], bestEffortQueue: { entries: 50 } },
  })
  await kms.createKey({ slug: 'orders' })
  // A memory sink answers at once: these calls leave the detector no turn.
  for (let call = 0; call < 500; call++) await kms.encrypt({ key: 'orders', plaintext: text })
  await kms.close()
  const { lost = 0 } = kms.health().sinks.find(({ name }) => name === 'detector') ?? {}
  assert.ok(lost > 0)
  assert.ok(required.entries.some(({ action, details }) => action === 'audit.dropped' && details?.sink === 'detector'))
  assert.equal(detector.health().entries, required.entries.length - lost)
})

test('options that make no sense are refused', () => {
  const detector = createDetector([])
  const onFindings = () => undefined
  for (const wrong of [
    () => detectorSink({} as never, { onFindings }),
    () => detectorSink(detector, {} as never),
    () => detectorSink(detector, undefined as never),
    () => detectorSink(detector, { onFindings, tickMs: 0 }),
    () => detectorSink(detector, { onFindings, tickMs: Number.NaN }),
    () => detectorSink(detector, { onFindings, tickMs: 2 ** 31 }),
  ])
    assert.throws(wrong, { code: 'INVALID_INPUT' })
})

function offline(entries: readonly AuditEntry[]): readonly Finding[] {
  const detector = createDetector(shippedRules())
  return entries.flatMap((entry) => [...detector.take(entry)])
}
