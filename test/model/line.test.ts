import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import { exampleEntry } from '../../src/testing/entries.ts'
import { noShared, sharedJson } from '../shared.ts'
import { fullEntry } from './full-entry.ts'

/** What must not stand in a line as itself, written by other means than line.ts does: by name, not by code point. */
const dangerous =
  /\p{Cc}|\p{Bidi_Control}|\p{Zl}|\p{Zp}|\p{Cs}|[\u{ad}\u{180e}\u{200b}-\u{200d}\u{2060}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/u

test('an entry is one line of JSON with its fields in the documented order', () => {
  const line = lineOf(fullEntry)
  assert.deepEqual(JSON.parse(line), fullEntry)
  assert.deepEqual(Object.keys(JSON.parse(line)), Object.keys(fullEntry))
  assert.equal(lineOf(shuffled(fullEntry)), line)
})

test('absent fields and undefined fields are left out alike', () => {
  const { region: _, ...without } = exampleEntry()
  // A JavaScript caller may name a field and leave it undefined.
  const undefinedRegion = { ...exampleEntry(), region: undefined } as unknown as AuditEntry
  assert.equal(lineOf(undefinedRegion), lineOf(without))
  assert.doesNotMatch(lineOf(without), /region|undefined|null/)
})

test('a frozen part that comes back gives the same text, and a thawed one is read again', () => {
  const actor = { type: 'user', id: 'alice' } as const
  const changing = { ...actor } as { type: 'user'; id: string }
  const frozen = Object.freeze({ ...actor })
  assert.equal(lineOf(exampleEntry(0, { actor: frozen })), lineOf(exampleEntry(0, { actor: frozen })))
  assert.match(lineOf(exampleEntry(0, { actor: changing })), /alice/)
  changing.id = 'bob'
  assert.match(lineOf(exampleEntry(0, { actor: changing })), /bob/)
})

test('hostile strings obey the law in every text field', { skip: noShared }, () => {
  const strings = hostileStrings()
  assert.ok(strings.length > 50)
  for (const text of strings) holdsEverywhere(text)
})

test('random strings obey the law in every text field', () => {
  const text = fc.oneof(
    { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
    { weight: 3, arbitrary: fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)) },
    { weight: 3, arbitrary: fc.array(fc.nat(0x2fff)).map((points) => String.fromCodePoint(...points)) },
    {
      weight: 2,
      arbitrary: fc.array(fc.integer({ min: 0xe0000, max: 0xe01ff })).map((p) => String.fromCodePoint(...p)),
    },
    { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', '0', '10', '2', '') },
  )
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      holds(
        exampleEntry(0, {
          keySlug: a,
          encryptionContext: Object.fromEntries([
            [b, c],
            [c, a],
            ['x', b],
          ]),
        }),
      )
      holds(exampleEntry(0, { actor: { type: 'user', id: b, name: c }, details: { flags: [a, b, c] } }))
    }),
    { numRuns: 10_000 },
  )
})

test('every code point alone obeys the law', () => {
  // In blocks, so that the line of each stays short and a failure names where.
  for (let first = 0; first <= 0x10ffff; first += 256) {
    const points = Array.from({ length: 256 }, (_, at) => first + at)
    // Apart from each other: a high surrogate followed by a low one would be another character.
    holds(exampleEntry(0, { keySlug: points.map((point) => String.fromCodePoint(point)).join('a') }))
  }
})

test('random numbers obey the law', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeNat(), (ms, count) => {
      holds(exampleEntry(0, { durationMs: Math.abs(ms), sequence: count, details: { steppedMs: ms === 0 ? 0 : ms } }))
    }),
    { numRuns: 10_000 },
  )
})

test('pairs of the encryption context stand in one order, however they came', () => {
  const a = lineOf(exampleEntry(0, { encryptionContext: { b: '1', a: '2', 10: '3', 2: '4' } }))
  const b = lineOf(exampleEntry(0, { encryptionContext: { 2: '4', 10: '3', a: '2', b: '1' } }))
  assert.equal(a, b)
  assert.match(a, /\{"10":"3","2":"4","a":"2","b":"1"\}/)
})

test('a line takes time in proportion to its text', () => {
  const worst = ['\u202e', '\ud800', '"', '\\', '\u0000', '\u{e0041}', 'a', '\udb40', 'a\u202e']
  for (const unit of worst) {
    const short = timeOf(unit.repeat(20_000))
    const long = timeOf(unit.repeat(400_000))
    // 20 × the text: linear is 20 ×, quadratic 400 ×.
    assert.ok(long < 120 * Math.max(short, 0.2), `${JSON.stringify(unit)}: ${short} ms, then ${long} ms`)
  }
})

/** The best of several runs, in ms of the processor, so that other processes do not count: noise only ever adds. */
function timeOf(text: string): number {
  const runs = Array.from({ length: 5 }, (_, at) => {
    const entry = exampleEntry(at, { keySlug: text })
    const start = process.cpuUsage()
    lineOf(entry)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  })
  return Math.min(...runs)
}

/** `text` in every text field that is not from a closed set, all at once and as a name in the encryption context. */
function holdsEverywhere(text: string): void {
  const closed = new Set(['schema', 'phase', 'outcome', 'error'])
  const replaced = (value: unknown, name: string): unknown => {
    if (typeof value === 'string') return closed.has(name) ? value : text
    if (Array.isArray(value)) return value.map((item) => replaced(item, name))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, replaced(inner, field)]))
  }
  // Of the shape of fullEntry, field by field.
  const entry = replaced(fullEntry, '') as AuditEntry
  holds({
    ...entry,
    encryptionContext: Object.fromEntries([
      [text, text],
      ['a', text],
    ]),
  })
}

function holds(entry: AuditEntry): void {
  const line = lineOf(entry)
  assert.equal(lineOf(JSON.parse(line)), line, 'the law: lineOf(JSON.parse(line)) === line')
  assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify(entry)), 'what JSON.stringify says')
  assert.doesNotMatch(line, dangerous)
}

function shuffled<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  // The same fields with the same values, the last first.
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, field]) => [name, shuffled(field)]),
  ) as T
}

type Hostile =
  | string
  | { readonly repeat: readonly [string, number] }
  | { readonly repeat2: readonly [string, number, string] }
  | { readonly head: string; readonly count: number; readonly tail: string }

function hostileStrings(): readonly string[] {
  const lists = sharedJson<Readonly<Record<string, readonly unknown[] | string>>>('vectors/hostile.json')
  const all = Object.entries(lists).flatMap(([name, list]) => (Array.isArray(list) && name !== 'versions' ? list : []))
  return all.map((item: Hostile) => {
    if (typeof item === 'string') return item
    if ('repeat' in item) return item.repeat[0].repeat(item.repeat[1])
    if ('repeat2' in item) return item.repeat2[0].repeat(item.repeat2[1]) + item.repeat2[2]
    return item.head.repeat(item.count) + item.tail
  })
}
