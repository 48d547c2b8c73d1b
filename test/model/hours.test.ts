import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Hours, hoursTest } from '../../src/model/hours.ts'

const at = (time: string) => Date.parse(time)

test('a window begins with its first hour and ends before its last', () => {
  const office = hoursTest('hours', { startHour: 9, endHour: 17, timezone: 'UTC' })
  assert.equal(office(at('2026-01-05T08:59:59.999Z')), false)
  assert.equal(office(at('2026-01-05T09:00:00Z')), true)
  assert.equal(office(at('2026-01-05T16:59:59.999Z')), true)
  assert.equal(office(at('2026-01-05T17:00:00Z')), false)
})

test('a window that ends before it begins goes over midnight', () => {
  const night = hoursTest('hours', { startHour: 22, endHour: 6, timezone: 'UTC' })
  for (const hour of [22, 23, 0, 5]) assert.equal(night(at(`2026-01-05T${String(hour).padStart(2, '0')}:30:00Z`)), true)
  for (const hour of [6, 12, 21]) assert.equal(night(at(`2026-01-05T${String(hour).padStart(2, '0')}:30:00Z`)), false)
})

test('0 to 24 is the whole day, and 0 the end of a day', () => {
  const always = hoursTest('hours', { startHour: 0, endHour: 24, timezone: 'UTC' })
  const evening = hoursTest('hours', { startHour: 18, endHour: 0, timezone: 'UTC' })
  for (let hour = 0; hour < 24; hour++) {
    const now = Date.UTC(2026, 0, 5, hour, 30)
    assert.equal(always(now), true)
    assert.equal(evening(now), hour >= 18)
  }
})

test('the wall clock of the zone counts, in summer and in winter', () => {
  const amsterdam = hoursTest('hours', { startHour: 9, endHour: 17, timezone: 'Europe/Amsterdam' })
  assert.equal(amsterdam(at('2026-01-05T08:00:00Z')), true)
  assert.equal(amsterdam(at('2026-01-05T07:59:00Z')), false)
  assert.equal(amsterdam(at('2026-07-06T07:00:00Z')), true)
  assert.equal(amsterdam(at('2026-07-06T15:00:00Z')), false)
  // The clocks go back: 02:30 comes twice, and is in the window both times.
  const early = hoursTest('hours', { startHour: 2, endHour: 3, timezone: 'Europe/Amsterdam' })
  assert.deepEqual([at('2026-10-25T00:30:00Z'), at('2026-10-25T01:30:00Z'), at('2026-10-25T02:30:00Z')].map(early), [
    true,
    true,
    false,
  ])
  // And forward: it does not come at all.
  assert.deepEqual([at('2026-03-29T00:59:00Z'), at('2026-03-29T01:00:00Z')].map(early), [false, false])
  const kathmandu = hoursTest('hours', { startHour: 9, endHour: 10, timezone: 'Asia/Kathmandu' })
  assert.deepEqual([at('2026-01-05T03:14:00Z'), at('2026-01-05T03:15:00Z')].map(kathmandu), [false, true])
})

test('a window that is none is refused, and the message says which part', () => {
  const good: Hours = { startHour: 9, endHour: 17, timezone: 'UTC' }
  const wrong: readonly (readonly [object | null, RegExp])[] = [
    [{ ...good, startHour: 24 }, /hours\.startHour/],
    [{ ...good, startHour: 9.5 }, /hours\.startHour/],
    [{ ...good, startHour: '9' }, /hours\.startHour/],
    [{ ...good, endHour: 25 }, /hours\.endHour/],
    [{ ...good, endHour: 9 }, /hours\.endHour/],
    [{ ...good, timezone: 'Mars/Olympus' }, /hours\.timezone/],
    [{ ...good, timezone: '' }, /hours\.timezone/],
    [{ startHour: 9, endHour: 17 }, /hours\.timezone/],
    [null, /'hours'/],
  ]
  // Wrong on purpose, as JavaScript callers can be.
  for (const [hours, message] of wrong)
    assert.throws(() => hoursTest('hours', hours as Hours), { code: 'INVALID_INPUT', message }, JSON.stringify(hours))
})
