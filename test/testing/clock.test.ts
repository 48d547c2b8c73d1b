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

test('lets promises settle before, between and after timers', async () => {
  const clock = fakeClock(0)
  const ran: string[] = []
  const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve))
  const work = async () => {
    await Promise.resolve()
    for (const name of ['first', 'second', 'third']) {
      await wait(10)
      await Promise.resolve()
      ran.push(`${name} at ${clock.monotonic()}`)
    }
  }
  const done = work()
  await clock.advanceAsync(25)
  assert.deepEqual(ran, ['first at 10', 'second at 20'])
  assert.deepEqual([clock.monotonic(), clock.pending], [25, 1])
  await clock.advanceAsync(5)
  assert.deepEqual(ran, ['first at 10', 'second at 20', 'third at 30'])
  await done
})

test('settling lets no time pass', async () => {
  const clock = fakeClock(0)
  clock.after(1, () => assert.fail('no time has passed'))
  let settled = false
  void Promise.resolve()
    .then(() => undefined)
    .then(() => {
      settled = true
    })
  await clock.settle()
  assert.equal(settled, true)
  assert.deepEqual([clock.now(), clock.monotonic()], [0, 0])
})

test('goes to a moment of the wall clock, whatever it has been set to', async () => {
  const clock = fakeClock(Date.UTC(2026, 0, 1))
  const ran: number[] = []
  clock.after(86_400_000, () => ran.push(clock.now()))
  await clock.advanceTo('2026-01-02T12:00:00Z')
  assert.deepEqual(ran, [Date.UTC(2026, 0, 2)])
  clock.step(-3_600_000)
  await clock.advanceTo(new Date('2026-01-02T12:00:00Z'))
  assert.equal(clock.monotonic(), 37 * 3_600_000)
  await clock.advanceTo(Date.UTC(2026, 0, 3))
  assert.equal(clock.now(), Date.UTC(2026, 0, 3))
  for (const moment of ['2026-01-01', 'tomorrow', Number.NaN])
    await assert.rejects(clock.advanceTo(moment), { code: 'INVALID_INPUT' })
  await assert.rejects(clock.advanceAsync(-1), { code: 'INVALID_INPUT' })
})

test('a year of hourly timers passes in a moment', async () => {
  const clock = fakeClock()
  let beats = 0
  const beat = () => {
    beats += 1
    clock.after(3_600_000, beat)
  }
  clock.after(3_600_000, beat)
  await clock.advanceAsync(365 * 86_400_000)
  assert.equal(beats, 365 * 24)
})

test('a timer that sets itself again without delay does not hang the test', async () => {
  const clock = fakeClock()
  const again = () => void clock.after(0, again)
  again()
  assert.throws(() => clock.advance(1), /no time passed: one sets itself again without delay/)
  again()
  await assert.rejects(clock.advanceAsync(1), { code: 'INVALID_INPUT' })
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
