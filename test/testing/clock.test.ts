import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeClock } from '../../src/testing/clock.ts'

test('stands still until it is told', () => {
  const clock = fakeClock(1_000)
  assert.deepEqual([clock.now(), clock.monotonic()], [1_000, 0])
  clock.advance(250)
  assert.deepEqual([clock.now(), clock.monotonic()], [1_250, 250])
})

test('runs what falls due, each at its own moment, in order', () => {
  const clock = fakeClock(0)
  const ran: (readonly [string, number])[] = []
  clock.after(30, () => ran.push(['c', clock.monotonic()]))
  clock.after(10, () => {
    ran.push(['a', clock.monotonic()])
    clock.after(10, () => ran.push(['b', clock.monotonic()]))
  })
  clock.after(100, () => ran.push(['late', clock.monotonic()]))
  clock.advance(50)
  assert.deepEqual(ran, [
    ['a', 10],
    ['b', 20],
    ['c', 30],
  ])
  assert.equal(clock.monotonic(), 50)
  assert.equal(clock.pending, 1)
})

test('does not run what was cancelled', () => {
  const clock = fakeClock()
  const cancel = clock.after(10, () => assert.fail('cancelled'))
  clock.after(5, cancel)
  clock.advance(20)
  assert.equal(clock.pending, 0)
  cancel()
})

test('steps the wall clock without letting time pass', () => {
  const clock = fakeClock(1_000)
  clock.after(10, () => assert.fail('no time has passed'))
  clock.step(-500)
  assert.deepEqual([clock.now(), clock.monotonic()], [500, 0])
})

test('does not run backwards', () => {
  assert.throws(() => fakeClock().advance(-1), { code: 'INVALID_INPUT' })
  assert.throws(() => fakeClock().advance(Number.NaN), { code: 'INVALID_INPUT' })
})

test('timers run in the order of their time, equal ones in the order they were set', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.array(fc.nat(7)), (delays, steps) => {
      const clock = fakeClock()
      const ran: number[] = []
      for (const [at, delay] of delays.entries()) clock.after(delay, () => ran.push(at))
      for (const step of steps) clock.advance(step)
      clock.advance(20)
      const expected = delays.map((delay, at) => ({ delay, at })).sort((a, b) => a.delay - b.delay || a.at - b.at)
      assert.deepEqual(
        ran,
        expected.map(({ at }) => at),
      )
    }),
  )
})
