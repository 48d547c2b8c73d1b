import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeadlines } from '../../src/audit/deadlines.ts'
import { fakeClock } from '../../src/testing/clock.ts'

test('a thousand deadlines are one timer, each runs once at its own time, and a cancelled one never', () => {
  const clock = fakeClock()
  const deadlines = createDeadlines(clock)
  const ran: number[] = []
  const cancels = Array.from({ length: 1000 }, (_, at) => deadlines.after(1000 - at, () => ran.push(1000 - at)))
  assert.equal(clock.pending, 1)
  for (const [at, cancel] of cancels.entries()) if (at % 2 === 0) cancel()
  clock.advance(10)
  assert.deepEqual(ran, [1, 3, 5, 7, 9])
  clock.advance(2000)
  assert.equal(ran.length, 500)
  assert.equal(clock.pending, 0, 'nothing waits, nothing is armed')
})

test('a deadline that sets another', () => {
  const clock = fakeClock()
  const deadlines = createDeadlines(clock)
  let ran = 0
  deadlines.after(5, () => deadlines.after(5, () => (ran += 1)))
  clock.advance(9)
  assert.equal(ran, 0)
  clock.advance(1)
  assert.equal(ran, 1)
})

test('a deadline of a year is not a busy loop: no timer is armed for longer than hosts can', () => {
  const armed: number[] = []
  const clock = fakeClock()
  const deadlines = createDeadlines({
    ...clock,
    after(ms, run) {
      armed.push(ms)
      return clock.after(ms, run)
    },
  })
  let ran = false
  const year = 365 * 86_400_000
  deadlines.after(year, () => {
    ran = true
  })
  clock.advance(year - 1)
  assert.equal(ran, false)
  clock.advance(1)
  assert.equal(ran, true)
  assert.ok(armed.length < 20 && armed.every((ms) => ms < 2 ** 31))
})
