/** @node Overdue rotations while nothing happens, and while clocks are wrong: what examples cannot say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector, type DetectorState } from '../../../src/detect/detector.ts'
import { exampleStart, playExample, type Step } from '../../../src/detect/example.ts'
import { rotationOverdue } from '../../../src/detect/rules/rotation-overdue.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'

const day = 86_400_000

const key = (number: number) => ({ resourceIdentity: `kms-${number}`, keySlug: `k${number}` })
const created = (times: number): Step => ({
  action: 'kms_key.create',
  times,
  with: (number) => ({ ...key(number), details: { rotationPeriodInDays: 30 } }),
})

/** The entries of `steps`, and after them others at moments of their own. */
function entriesOf(steps: readonly Step[], later: readonly (readonly [at: number, fields: Partial<AuditEntry>])[]) {
  const { entries } = playExample({ says: '', findings: 0, steps })
  const last = playExample({
    ...{ says: '', findings: 0 },
    steps: [...steps, { action: 'audit.heartbeat', times: later.length }],
  }).entries.slice(entries.length)
  const moved = last.map((entry, at) => {
    const [when, fields] = later[at] ?? [0, {}]
    return { ...entry, createdAt: new Date(when).toISOString(), ...fields }
  })
  return [...entries, ...moved]
}

test('without any entry it is told once for each of a few keys, and for the rest once somebody is there again', () => {
  const entries = entriesOf([created(60)], [[exampleStart + 400 * day, {}]])
  const detector = createDetector([rotationOverdue])
  for (const entry of entries.slice(0, 60)) assert.deepEqual(detector.take(entry), [])
  assert.equal(detector.advance(exampleStart + 399 * day).length, 5)
  assert.equal(detector.advance(exampleStart + 400 * day - 1).length, 0)
  // Also by one that goes on from the state.
  const state = JSON.parse(JSON.stringify(detector.state())) as DetectorState
  for (const one of [detector, createDetector([rotationOverdue], { state })]) {
    for (const entry of entries.slice(60)) assert.deepEqual(one.take(entry), [])
    assert.equal(one.advance(exampleStart + 400 * day + 2 * 3_600_000).length, 60)
  }
})

test('a clock that runs years ahead for an entry brings no flood, and what is overdue afterwards is told', () => {
  const years = exampleStart + 3000 * day
  const entries = entriesOf(
    [created(60)],
    [
      [years, {}],
      [exampleStart + day, {}],
      [exampleStart + 33 * day, {}],
      [exampleStart + 33 * day + 1000, {}],
    ],
  )
  const detector = createDetector([rotationOverdue])
  const found = entries.map((entry) => detector.take(entry).length)
  assert.equal(found[60], 5)
  assert.deepEqual(found.slice(61, 62), [0])
  assert.equal(found[62], 5)
  assert.equal(detector.advance(exampleStart + 34 * day).length, 55)
})

test('a version that a clock far ahead has dated counts from when the clock was set back', () => {
  const ahead = exampleStart + 3000 * day
  const rotated: Partial<AuditEntry> = { action: 'kms.rotate', resourceType: 'kms_key', ...key(0) }
  const entries = entriesOf(
    [created(1)],
    [
      [ahead, rotated],
      [exampleStart + day, {}],
      [exampleStart + 2 * day, {}],
      [exampleStart + 32 * day, {}],
      [exampleStart + 34 * day + 7_200_000, {}],
    ],
  )
  const detector = createDetector([rotationOverdue])
  const found = entries.map((entry) => detector.take(entry).length)
  // Before the entry that is ahead everything in between is looked at: the key was overdue by then.
  assert.deepEqual(found, [0, 1, 0, 0, 0, 1])
})

test('a key that is rotated while it is overdue is not told of again', () => {
  const detector = createDetector([rotationOverdue])
  const rotated: Partial<AuditEntry> = { action: 'kms.rotate', resourceType: 'kms_key', ...key(0) }
  const entries = entriesOf(
    [created(1)],
    [
      [exampleStart + 33 * day, rotated],
      [exampleStart + 60 * day, {}],
    ],
  )
  assert.deepEqual(
    entries.map((entry) => detector.take(entry).map(({ says }) => says)),
    [[], ['the newest version of key k0 is 32 days old, and it is to rotate every 30 days'], []],
  )
})

test('of a policy and a longest time the shorter one holds, and * is every other key', () => {
  const found = (maxDays: { readonly [key: string]: number }) => {
    const detector = createDetector([rotationOverdue.withParameters({ maxDays })])
    const entries = entriesOf([created(2)], [[exampleStart + 13 * day, {}]])
    return entries.flatMap((entry) => detector.take(entry).map(({ subject }) => subject.key))
  }
  assert.deepEqual(found({ k0: 10 }), ['k0'])
  assert.deepEqual(found({ 'kms-1': 10 }), ['k1'])
  assert.deepEqual(found({ '*': 10, k1: 300 }), ['k0'])
})

test('parameters that make no sense are refused, and the error says which', () => {
  const wrong: readonly (readonly [Parameters<typeof rotationOverdue.withParameters>[0], RegExp])[] = [
    [{ grace: '2 days' }, /'grace'/],
    [{ again: '10m' }, /'again' must be at least an hour/],
    [{ maxDays: { orders: 0 } }, /'maxDays' must hold numbers of days/],
    [{ maxDays: { orders: '30d' } }, /'maxDays' must hold numbers of days/],
    [{ selfRotating: [7] }, /'selfRotating' must be a list of texts/],
  ]
  for (const [changed, message] of wrong)
    assert.throws(() => rotationOverdue.withParameters(changed), { code: 'INVALID_INPUT', message })
})
