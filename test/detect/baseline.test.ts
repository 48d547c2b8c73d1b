import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Baseline, learnUntil, newBaseline, usualOf } from '../../src/detect/baseline.ts'

const options = { hours: 168, room: 50, slotOf: (hour: number) => hour % 168 }

/** Learns one hour after another, from the hour 0 of a week. */
function taught(counts: readonly number[], baseline: Baseline = newBaseline()): Baseline {
  for (const count of counts) {
    const hour = baseline.hours
    learnUntil(baseline, hour + 1, { hour, count }, options)
  }
  return baseline
}

const weeks = (number: number, of: (hour: number) => number) =>
  Array.from({ length: number * 168 }, (_, hour) => of(hour))

test('each hour of the week is learned for itself', () => {
  const baseline = taught(weeks(4, (hour) => (hour % 168 === 30 ? 80 : 4)))
  assert.equal(usualOf(baseline, 30).count, 80)
  assert.equal(usualOf(baseline, 31).count, 60)
  assert.equal(usualOf(baseline, 32).count, 4)
  assert.ok(usualOf(baseline, 30).peak <= 80 && usualOf(baseline, 30).peak > 70)
})

test('while it is young, an hour is backed by the days beside it and by the mean of all', () => {
  const baseline = taught(weeks(1, (hour) => (hour % 168 === 30 ? 800 : 0)))
  assert.equal(usualOf(baseline, 54).count, 800)
  assert.equal(usualOf(baseline, 6).count, 800)
  assert.ok(Math.abs(usualOf(baseline, 100).count - 800 / 168) < 0.5)
})

test('the week goes round: Sunday night is beside Monday morning', () => {
  const baseline = taught(weeks(4, (hour) => (hour % 168 === 167 ? 80 : 0)))
  assert.equal(usualOf(baseline, 0).count, 60)
  assert.equal(usualOf(baseline, 166).count, 60)
})

test('what comes at once teaches little, however often it comes on one day; what stays is learned within days', () => {
  const baseline = taught(weeks(2, () => 10))
  taught(
    Array.from({ length: 8 }, () => 5000),
    baseline,
  )
  assert.ok(usualOf(baseline, 4).count <= 40, String(usualOf(baseline, 4).count))
  assert.ok(baseline.peak <= 50, String(baseline.peak))
  taught(
    weeks(3, () => 5000),
    baseline,
  )
  assert.ok(usualOf(baseline, 4).count > 2500, String(usualOf(baseline, 4).count))
  assert.equal(baseline.peak, 5000)
})

test('a peak fades by half within five weeks', () => {
  const baseline = taught(weeks(1, (hour) => (hour === 3 ? 1000 : 0)))
  taught(
    weeks(5, () => 0),
    baseline,
  )
  assert.ok(baseline.peak > 400 && baseline.peak < 500, String(baseline.peak))
})

test('the spread is what hours vary by: chance alone is about one, bursts are many', () => {
  // Twelve and eight in turn: the same mean, hardly any spread.
  const calm = taught(weeks(6, (hour) => ((hour + Math.floor(hour / 168)) % 2 === 0 ? 12 : 8)))
  const wild = taught(weeks(6, (hour) => ((hour + Math.floor(hour / 168)) % 2 === 0 ? 40 : 0)))
  assert.ok(calm.spread >= 1 && calm.spread < 2, String(calm.spread))
  assert.ok(wild.spread > 10, String(wild.spread))
})

test('a silence of a year is learned as one of a week, and a clock set back not at all', () => {
  const baseline = taught(weeks(4, () => 100))
  learnUntil(baseline, 10_000, { hour: 672, count: 100 }, options)
  assert.equal(baseline.hours, 672 + 168)
  assert.ok(usualOf(baseline, 50).count >= 70)
  const before = JSON.stringify(baseline)
  learnUntil(baseline, 5, { hour: 10_000, count: 9 }, options)
  assert.equal(JSON.stringify(baseline), before)
})
