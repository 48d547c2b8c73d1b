/** @node Counts and percentiles, and the fields that entries are counted by. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { tallyTrail } from '../../src/trail/index.ts'
import { fieldOf } from '../../src/trail/reading/fields.ts'
import { openSummary } from '../../src/trail/reading/summary.ts'
import { openTally, type TallyOptions } from '../../src/trail/reading/tally.ts'
import { fullEntry } from '../model/full-entry.ts'
import { entriesFrom, entryAt, folderFor, refused } from './entries.ts'
import { layTrail } from './laid.ts'

const placed = (entry: ReturnType<typeof entryAt>, index = 0n) => ({ instance: 'main', index, entry, covered: true })

test('percentiles are exact for few numbers, within 1 % for many, and the rest is exact always', () => {
  const value = fc.oneof(
    fc.nat(70_000),
    fc.double({ min: 0, max: 1e7, noNaN: true }),
    fc.constant(0),
    fc.constant(1e15),
  )
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 600 }), fc.boolean(), (some, isRepeated) => {
      const values = isRepeated ? [...some, ...some, ...some] : some
      const summing = openSummary()
      for (const one of values) summing.add(one)
      const { count, min, p50, p90, p99, max, sum, error } = summing.summary()
      const sorted = values.toSorted((a, b) => a - b)
      deepStrictEqual([count, min, max], [values.length, sorted[0], sorted.at(-1)])
      const total = values.reduce((all, one) => all + one, 0)
      ok(Math.abs(sum - total) <= 1e-11 * total)
      strictEqual(error, values.length > 256 ? 0.01 : 0)
      for (const [share, found] of [
        [0.5, p50],
        [0.9, p90],
        [0.99, p99],
      ] as const) {
        const truth = sorted[Math.max(1, Math.ceil(share * values.length)) - 1] ?? 0
        // Below a billionth all is nothing.
        ok(found !== undefined && Math.abs(found - truth) <= error * truth + 1e-9, `${share}: ${found} for ${truth}`)
      }
    }),
    { numRuns: 150 },
  )
})

test('wherever in its bucket a number lies, it is told within 1 %', () => {
  for (let value = 1; value < 70_000; value = value * 1.0031 + 0.01) {
    const summing = openSummary()
    for (let count = 0; count < 300; count++) summing.add(value)
    // Both ends elsewhere: they would be told exactly.
    summing.add(0.001)
    summing.add(1e9)
    const { p50 = 0 } = summing.summary()
    ok(Math.abs(p50 - value) <= 0.01 * value, `${p50} for ${value}`)
  }
})

test('of nothing there are no percentiles, and what is no size is left out', () => {
  const summing = openSummary()
  for (const one of [Number.NaN, -1, Number.POSITIVE_INFINITY]) summing.add(one)
  const none = { min: undefined, p50: undefined, p90: undefined, p99: undefined, max: undefined }
  deepStrictEqual(summing.summary(), { count: 0, sum: 0, error: 0, ...none })
})

test('entries are counted by any fields, the largest group first, with failures and sums', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write([
    ...entriesFrom(0, 3, { actor: { type: 'user', id: 'alice' } }),
    ...entriesFrom(3, 2, { action: 'kms.decrypt', outcome: 'failure', payloadSizes: { ciphertext: 7 } }),
    entryAt(5, { actor: { type: 'unknown' }, keyVersion: 1 }),
  ])
  const { groups, others, ...all } = await tallyTrail(trail.path, {}, { by: ['actor', 'action'], stats: ['plaintext'] })
  deepStrictEqual(
    groups.map(({ values, count, failures, stats }) => [values, count, failures, stats['plaintext']?.sum]),
    [
      [['alice', 'kms.encrypt'], 3, 0, 3072],
      [['sa-orders', 'kms.decrypt'], 2, 2, 0],
      [['unknown', 'kms.encrypt'], 1, 0, 1024],
    ],
  )
  deepStrictEqual([others, all.count, all.failures, all.stats['plaintext']?.p50], [undefined, 6, 2, 1024])
  const byVersion = await tallyTrail(trail.path, { actor: 'alice' }, { by: ['keyVersion'] })
  deepStrictEqual(
    byVersion.groups.map(({ values, count }) => [values, count]),
    [[[3], 3]],
  )
  const plain = await tallyTrail(trail.path)
  deepStrictEqual([plain.count, plain.groups, plain.stats], [6, [], {}])
})

test('a number is not the text that looks like it, nor what is missing a text', () => {
  const tally = openTally({ by: ['encryptionContext.n', 'keyVersion'] })
  tally.add(placed(entryAt(0, { encryptionContext: { n: 'null' } })))
  tally.add(placed(entryAt(1, { encryptionContext: {} })))
  // As a trail that was tampered with may hold.
  tally.add(placed(entryAt(2, { encryptionContext: {}, keyVersion: '3' as never })))
  deepStrictEqual(
    tally
      .told()
      .groups.map(({ values }) => values)
      .sort(),
    [
      ['null', 3],
      [undefined, '3'],
      [undefined, 3],
    ].sort(),
  )
})

test('groups are capped, and who came too late is counted', () => {
  const tally = openTally({ by: ['sequence'], stats: ['plaintext'], maxGroups: 3 })
  for (let sequence = 0; sequence < 10; sequence++) tally.add(placed(entryAt(sequence, { outcome: 'failure' })))
  tally.add(placed(entryAt(1)))
  const { groups, others, count } = tally.told()
  deepStrictEqual(
    [
      groups.map(({ values, count }) => [...values, count]),
      others?.count,
      others?.failures,
      others?.stats['plaintext']?.count,
      count,
    ],
    [
      [
        [1, 2],
        [0, 1],
        [2, 1],
      ],
      7,
      7,
      7,
      11,
    ],
  )
})

test('long values do not fill the memory', () => {
  const tally = openTally({ by: ['context.userAgent'] })
  // One text for all, so that only what a tally makes of it counts.
  const text = 'x'.repeat(1024 * 1024)
  for (let sequence = 0; sequence < 40; sequence++)
    tally.add(placed(entryAt(sequence, { context: { userAgent: `${sequence}${text}` } })))
  const { groups, others } = tally.told()
  ok(groups.length < 33 && groups.length + (others?.count ?? 0) === 40)
})

test('every field that an entry may have can be named, and no other', () => {
  const schema = JSON.parse(readFileSync(new URL('../../src/model/schema.json', import.meta.url), 'utf8'))
  const names = Object.keys(schema.properties)
  ok(names.length > 25)
  for (const name of names) strictEqual(fieldOf(name).name, name)
  const entry = fullEntry
  const paths = (value: object, before = ''): string[] =>
    Object.entries(value).flatMap(([name, inner]) =>
      typeof inner === 'object' && !Array.isArray(inner) ? paths(inner, `${before}${name}.`) : [`${before}${name}`],
    )
  const own = paths(entry)
  ok(own.length > 60)
  for (const path of own) if (fieldOf(path).of(placed(entry)) === undefined) throw new Error(`${path} is not told`)
  for (const name of [
    '',
    'actor.',
    'actor.nam',
    'toString',
    '__proto__',
    'constructor.name',
    'details.sinks.name',
    'payloadSizes.length',
    'Actor',
  ])
    throws(() => fieldOf(name), /an entry has no field/)
  strictEqual(fieldOf('encryptionContext.__proto__').of(placed(entryAt(0))), undefined)
  strictEqual(fieldOf('encryptionContext.a.b').of(placed(entryAt(0, { encryptionContext: { 'a.b': 'x' } }))), 'x')
})

test('what an entry tells through its place can be named too', () => {
  const found = placed(entryAt(0), 7n)
  const told = (name: string) => fieldOf(name).of(found)
  deepStrictEqual(
    ['trail', 'index', 'covered', 'day', 'hour', 'source', 'key', 'plaintext', 'status', 'provider', 'origin'].map(
      told,
    ),
    ['main', 7, true, '2026-01-31', '2026-01-31T12', '192.0.2.7', 'orders', 1024, 200, 'local', undefined],
  )
  strictEqual(fieldOf('details.flags').of(placed(entryAt(0, { details: { flags: ['a'] } }))), '["a"]')
})

test('what cannot be counted by is refused', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write(entriesFrom(0, 1))
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{ by: ['nope'] }, /an entry has no field 'nope'/],
    [{ by: [] }, /'by' must name 1 to 64 fields/],
    [{ by: 'actor' }, /'by' must name/],
    [{ by: ['actor', 'actor'] }, /'by' names actor twice/],
    [{ by: [7] }, /no field '7'/],
    [{ stats: Array.from({ length: 9 }, (_, at) => `encryptionContext.${at}`) }, /'stats' must name at most 8/],
    [{ by: ['actor'], maxGroups: 0 }, /'maxGroups' must be/],
    [{ by: ['actor'], stats: ['plaintext'], maxGroups: 10_001 }, /from 1 to 10000/],
    [null, /a tally takes one object/],
  ]
  for (const [options, message] of wrong)
    await refused(() => tallyTrail(trail.path, {}, options as TallyOptions), 'INVALID_INPUT', message)
})

test('of a damaged trail nothing is told but the damage', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write(entriesFrom(0, 3))
  const path = trail.segments[0]?.path ?? ''
  writeFileSync(path, readFileSync(path, 'utf8').replace('{"schema"', 'x"schema"'))
  await refused(() => tallyTrail(trail.path), 'INTERNAL', /damaged lines in the trail: 1/)
})
