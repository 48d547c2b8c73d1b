/** The sink seam's contract as cases that any test runner can run. */
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { lineOf } from '../model/line.ts'
import type { AuditSink, Durability } from '../model/sink.ts'
import { type ConformanceCase, demand, demandEqual, refusalOf } from './conformance.ts'
import { exampleEntries, exampleEntry } from './entries.ts'

/** A fresh sink, and a way to see what it holds. */
export interface SinkUnderTest {
  readonly sink: AuditSink
  /** Everything the sink has accepted, in order, as a reader of it finds it. */
  accepted(): readonly AuditEntry[] | Promise<readonly AuditEntry[]>
  /** Makes the next write fail, and only that. Leave it out where that cannot be arranged. */
  refuseNext?(): void | Promise<void>
  /** Called after the case, whatever came of it. */
  dispose?(): void | Promise<void>
}

const durabilities: readonly Durability[] = ['memory', 'handed-over', 'written', 'synced', 'remote']

/**
 * Cases for a sink; `make` is called once a case.
 *
 * @example
 * ```ts
 * for (const { name, run } of sinkConformance(() => {
 *   const sink = memorySink()
 *   return { sink, accepted: () => sink.entries }
 * })) {
 *   test(name, run)
 * }
 * ```
 */
export function sinkConformance(make: () => SinkUnderTest | Promise<SinkUnderTest>): readonly ConformanceCase[] {
  return cases.map(({ name, check }) => ({
    name,
    async run() {
      const tested = await make()
      try {
        await check(tested)
      } finally {
        await tested.dispose?.()
      }
    },
  }))
}

interface SinkCase {
  readonly name: string
  readonly check: (tested: SinkUnderTest) => Promise<void>
}

const cases: readonly SinkCase[] = [
  {
    name: 'has a name and says how durable it is',
    async check({ sink }) {
      demand(typeof sink.name === 'string' && sink.name !== '', 'name must be a text that is not empty')
      demand(durabilities.includes(sink.durability), `durability must be one of ${durabilities.join(', ')}`)
    },
  },
  {
    name: 'has accepted a batch, in order, when write returns',
    async check(tested) {
      const entries = exampleEntries(50)
      await tested.sink.write(entries)
      await demandHolds(tested, entries)
    },
  },
  {
    name: 'keeps batches one after another without a gap',
    async check(tested) {
      const batches = [1, 3, 2].map((count, at) => exampleEntries(count, at * 10))
      for (const batch of batches) await tested.sink.write(batch)
      await demandHolds(tested, batches.flat())
    },
  },
  {
    name: 'does not keep the array that it was given',
    async check(tested) {
      const entries = exampleEntries(3)
      const given = [...entries]
      await tested.sink.write(given)
      given.length = 0
      await tested.sink.write([exampleEntry(3)])
      await demandHolds(tested, [...entries, exampleEntry(3)])
    },
  },
  {
    name: 'does not change what it was given',
    async check(tested) {
      const given = exampleEntries(3)
      const before = given.map(lineOf)
      await tested.sink.write(deepFrozen(given))
      demandEqual(given.map(lineOf), before, 'the entries after write')
    },
  },
  {
    name: 'accepts entries that it has seen before',
    async check(tested) {
      await tested.sink.write(exampleEntries(3))
      await tested.sink.write(exampleEntries(4, 1))
      await demandHolds(tested, exampleEntries(5))
    },
  },
  {
    name: 'keeps hostile text as it is',
    async check(tested) {
      const hostile = hostileTexts.map((text, at) =>
        exampleEntry(at, { keySlug: text, encryptionContext: { [text]: text } }),
      )
      await tested.sink.write(hostile)
      await demandHolds(tested, hostile)
    },
  },
  {
    name: 'accepts an entry of 16 KiB',
    async check(tested) {
      const large = [exampleEntry(0, { encryptionContext: { filling: 'x'.repeat(15_500) } })]
      await tested.sink.write(large)
      await demandHolds(tested, large)
    },
  },
  {
    name: 'throws a KmsError when it refuses, and takes the same entries again, first, without a gap',
    async check(tested) {
      if (tested.refuseNext === undefined) return
      await tested.sink.write(exampleEntries(2))
      await tested.refuseNext()
      const refusal = await refusalOf(() => tested.sink.write(exampleEntries(2, 2)))
      demand(refusal instanceof KmsError, `a refusal must be a KmsError, not ${String(refusal)}`)
      await tested.sink.write(exampleEntries(4, 2))
      await demandHolds(tested, exampleEntries(6))
    },
  },
  {
    name: 'flushes',
    async check(tested) {
      await tested.sink.write(exampleEntries(2))
      await tested.sink.flush?.()
      await demandHolds(tested, exampleEntries(2))
    },
  },
  {
    name: 'answers openIntents with intents',
    async check({ sink }) {
      const intents = (await sink.openIntents?.()) ?? []
      demand(
        intents.every((entry) => entry.phase === 'intent'),
        'openIntents must answer with intents only',
      )
    },
  },
  {
    name: 'closes twice, and refuses to write afterwards with a KmsError',
    async check({ sink }) {
      if (sink.close === undefined) return
      await sink.write(exampleEntries(1))
      await sink.close()
      await sink.close()
      const refusal = await refusalOf(() => sink.write(exampleEntries(1, 1)))
      demand(refusal instanceof KmsError, `a write after close must throw a KmsError, not ${String(refusal)}`)
    },
  },
]

const hostileTexts: readonly string[] = [
  'a\nb\r\n{"forged":true}',
  '"},{"outcome":"success"',
  '\u001b[2J\u001b[31mroot',
  'user\u202egro.elpmaxe',
  '\u2028\u2029\ufeff\u200b',
  'e\u0301\u0301 \u{1f511} \u{e0041}',
  '__proto__',
  '',
]

/** What is held, without what came again, must be `entries`: order and completeness in one. */
async function demandHolds(tested: SinkUnderTest, entries: readonly AuditEntry[]): Promise<void> {
  const found = await tested.accepted()
  const first = new Map(found.map((entry) => [entry.eventID, entry]))
  demandEqual([...first.values()].map(lineOf), entries.map(lineOf), 'what the sink holds')
}

function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value)
    Object.values(value).forEach(deepFrozen)
  }
  return value
}
