import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextDay } from '../../src/detect/days.ts'
import { isYoung, learningPeriod } from '../../src/detect/learning.ts'
import { localTime } from '../../src/detect/local-time.ts'
import { isQuiet } from '../../src/detect/quiet.ts'
import type { Tools } from '../../src/detect/tools.ts'

const day = 86_400_000
const start = Date.UTC(2026, 0, 1)

/** Only records are asked for. */
const tools = { record: (_: string, make: () => object) => make() } as unknown as Tools

test('learning is over after its period, counted from the first entry', () => {
  const learning = learningPeriod(tools, 14 * day)
  for (let number = 0; number < 14; number++) assert.equal(learning.isOver(start + number * day), false)
  assert.equal(learning.isOver(start + 14 * day), true)
})

test('after a silence longer than the period it begins anew, after a shorter one it does not', () => {
  const learning = learningPeriod(tools, 14 * day)
  learning.isOver(start)
  assert.equal(learning.isOver(start + 14 * day), true)
  assert.equal(learning.isOver(start + 29 * day), false)
  assert.equal(learning.isOver(start + 42 * day), false)
  assert.equal(learning.isOver(start + 43 * day), true)
})

test('a clock set far ahead makes everything new, and set back it is as if it never was', () => {
  const learning = learningPeriod(tools, 14 * day)
  for (let number = 0; number < 20; number++) learning.isOver(start + number * day)
  assert.equal(learning.isOver(start + 400 * day), false)
  assert.equal(learning.isOver(start + 20 * day), true)
})

test('a clock set back by a year takes nothing from what was learned', () => {
  const learning = learningPeriod(tools, 14 * day)
  for (let number = 0; number < 20; number++) learning.isOver(start + number * day)
  assert.equal(learning.isOver(start - 365 * day), true)
  assert.equal(learning.isOver(start - 364 * day), true)
})

test('writers whose clocks differ by minutes do not make it shorter', () => {
  const learning = learningPeriod(tools, 14 * day)
  for (let number = 0; number < 13 * 24 * 60; number++)
    assert.equal(learning.isOver(start + number * 60_000 - (number % 2) * 300_000), false)
})

test('what lies ahead of a clock set back is old, and quiet in the future is none', () => {
  assert.deepEqual(
    [isYoung(10, 10, 5), isYoung(14, 10, 5), isYoung(15, 10, 5), isYoung(9, 10, 5)],
    [true, true, false, false],
  )
  assert.deepEqual(
    [isQuiet(9, 10, 5), isQuiet(10, 10, 5), isQuiet(4, 10, 5), isQuiet(0, 10, 5)],
    [true, false, true, false],
  )
})

test('the next day begins at midnight of the wall clock, on the days of 23 and 25 hours too', () => {
  const amsterdam = localTime('Europe/Amsterdam')
  const next = (text: string) => new Date(nextDay(amsterdam, Date.parse(text))).toISOString()
  assert.equal(next('2026-01-01T12:00:00Z'), '2026-01-01T23:00:00.000Z')
  assert.equal(next('2026-01-01T23:00:00Z'), '2026-01-02T23:00:00.000Z')
  assert.equal(next('2026-03-28T23:30:00Z'), '2026-03-29T22:00:00.000Z')
  assert.equal(next('2026-10-24T22:00:00Z'), '2026-10-25T23:00:00.000Z')
  const kathmandu = localTime('Asia/Kathmandu')
  assert.equal(nextDay(kathmandu, Date.parse('2026-01-01T12:00:00Z')), Date.parse('2026-01-01T18:15:00Z'))
})
