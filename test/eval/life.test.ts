/** Parts of ordinary life by themselves: floods of refusals, clocks, theft, heartbeats, the calendar, the agenda. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { validateEntry } from '../validate.ts'
import { openAgenda } from './life/agenda.ts'
import { atLocal, day, hour, isWorkday, lifeBegins, localTime, minute, monthEndDay } from './life/calendar.ts'
import { record, recordFlood } from './life/calls.ts'
import type { Mark } from './life/mark.ts'
import { oddsOf } from './life/odds.ts'
import { openWorld, type Persona, type World } from './life/world.ts'

const by: Persona = {
  project: 'shop',
  route: ['kms-a'],
  actor: { type: 'user', id: 'ada', source: 'call' },
  context: () => ({ clientIp: '203.0.113.9', userAgent: 'curl/8.11.0' }),
}

function opened(): World {
  const world = openWorld({ seed: 3, scale: 1 })
  world.writer('kms-a').open({ at: world.begins })
  world.drain()
  return world
}

function play(world: World, until: number): readonly AuditEntry[] {
  while (world.agenda.step(until));
  const entries = world.drain()
  for (const entry of entries) validateEntry(entry)
  return entries
}

const marking = (): Mark => ({ kind: 'x', variant: 'loud', isAbsence: false, eventIDs: [], aftermath: [] })

test('of a flood the first hundred in ten seconds have entries of their own, and the rest is counted in one', () => {
  const world = opened()
  const mark = marking()
  const at = world.begins + minute
  const call = {
    at,
    by,
    action: 'kms.decrypt',
    key: world.key('orders'),
    bytes: 9,
    error: 'INVALID_INPUT',
    mark,
  } as const
  recordFlood(world, call, { count: 500, overMs: 20_000 })
  const entries = play(world, at + minute)
  const joined = entries.filter(({ details }) => details?.joined !== undefined)
  assert.equal(entries.length, 202)
  assert.deepEqual(
    joined.map(({ details }) => details?.joined),
    [150, 150],
  )
  const [first] = joined
  assert.equal(first?.details?.firstAt, new Date(at + 4000).toISOString())
  assert.equal(first?.details?.lastAt, new Date(at + 9960).toISOString())
  assert.equal(first?.actor?.id, 'ada')
  assert.equal(first?.context, undefined)
  // As old as the first of those that it counts, and written when the ten seconds are over.
  assert.equal(Number.parseInt(String(first?.eventID).replace('-', '').slice(0, 12), 16), at + 4000)
  assert.equal(first?.createdAt, new Date(at + 10_000).toISOString())
  assert.equal(mark.eventIDs.length, 202)
})

test('a clock that goes back is told once, with how far, and ids go on', () => {
  const world = opened()
  const mark = marking()
  const writer = world.writer('kms-a')
  const call = { by, action: 'kms.encrypt', key: world.key('orders'), bytes: 9 } as const
  world.agenda.at(world.begins + minute, (at) => record(world, { ...call, at }))
  world.agenda.at(world.begins + 2 * minute, () => writer.skew(-10 * minute, mark))
  for (const nth of [3, 4]) world.agenda.at(world.begins + nth * minute, (at) => record(world, { ...call, at }))
  const entries = play(world, world.begins + 5 * minute)
  assert.deepEqual(
    entries.map(({ action }) => action),
    ['kms.encrypt', 'audit.clock_stepped', 'kms.encrypt', 'kms.encrypt'],
  )
  assert.equal(entries[1]?.details?.steppedMs, 8 * minute)
  assert.deepEqual(mark.eventIDs, [entries[1]?.eventID])
  assert.deepEqual(
    [...entries].map(({ eventID }) => eventID).sort(),
    [...entries].map(({ eventID }) => eventID),
  )
})

test('what is stolen leaves its number behind, and who comes next is known', () => {
  const world = opened()
  let next: AuditEntry | undefined
  world.writer('kms-a').steal(2, (entry) => {
    next = entry
  })
  for (let nth = 1; nth <= 4; nth++)
    world.agenda.at(world.begins + nth * minute, (at) =>
      record(world, { at, by, action: 'kms.decrypt', key: world.key('orders'), bytes: 9 }),
    )
  const entries = play(world, world.begins + hour)
  assert.deepEqual(
    entries.map(({ sequence }) => sequence),
    [3, 4],
  )
  assert.equal(next, entries[0])
})

test('an hour without an entry is an entry, and a dead writer writes none', () => {
  const world = opened()
  world.agenda.at(world.begins + 20 * minute, (at) => record(world, { at, by, action: 'kms_key.list' }))
  world.agenda.at(world.begins + 3 * hour, () => world.writer('kms-a').die())
  const beats = play(world, world.begins + 9 * hour).filter(({ action }) => action === 'audit.heartbeat')
  assert.deepEqual(
    beats.map(({ createdAt, details }) => [Date.parse(createdAt) - world.begins, details?.idleMs]),
    [
      [80 * minute, hour],
      [140 * minute, hour],
    ],
  )
})

test('a key that is not active refuses, and whose doing that is has it among its aftermath', () => {
  const world = opened()
  const mark = marking()
  const key = world.key('orders')
  key.status = 'disabled'
  key.because = mark
  const entry = record(world, { at: world.begins + 1, by, action: 'kms.decrypt', key, bytes: 9 })
  assert.equal(entry?.error, 'KEY_NOT_ACTIVE')
  assert.equal(entry?.keyVersion, undefined)
  assert.deepEqual(mark.aftermath, [entry?.eventID])
  assert.deepEqual(mark.eventIDs, [])
})

describe('the calendar', () => {
  test('knows summer time, weekends and the holiday', () => {
    assert.equal(localTime('Europe/Amsterdam', Date.UTC(2026, 2, 29, 0, 59)).hour, 1)
    assert.equal(localTime('Europe/Amsterdam', Date.UTC(2026, 2, 29, 1)).hour, 3)
    assert.equal(localTime('America/New_York', Date.UTC(2026, 2, 29, 1)).hour, 21)
    assert.equal(localTime('Asia/Singapore', Date.UTC(2026, 2, 29, 20)).weekday, 1)
    assert.equal(localTime('Europe/Amsterdam', lifeBegins).weekday, 3)
    assert.ok(isWorkday('Europe/Amsterdam', Date.UTC(2026, 3, 7, 10)))
    assert.ok(!isWorkday('Europe/Amsterdam', Date.UTC(2026, 3, 6, 10)))
    assert.ok(isWorkday('America/New_York', Date.UTC(2026, 3, 6, 15)))
    assert.ok(!isWorkday('Europe/Amsterdam', Date.UTC(2026, 3, 4, 10)))
  })

  test('finds the hour that people mean', () => {
    const intl = new Intl.DateTimeFormat('en-GB', {
      timeZone: 'Europe/Amsterdam',
      dateStyle: 'short',
      timeStyle: 'short',
    })
    assert.equal(intl.format(atLocal('Europe/Amsterdam', 0, 9.5)), '11/03/2026, 09:30')
    assert.equal(intl.format(atLocal('Europe/Amsterdam', 25, 9.5)), '05/04/2026, 09:30')
    assert.equal(intl.format(atLocal('Europe/Amsterdam', monthEndDay, 0)), '31/03/2026, 00:00')
    assert.equal(atLocal('Asia/Singapore', 1, 9), lifeBegins + day + hour)
  })
})

test('the agenda keeps the order of time, and of being put down', () => {
  const odds = oddsOf(8)
  const agenda = openAgenda()
  const put = Array.from({ length: 500 }, (_, order) => ({ time: odds.below(60), order }))
  const done: typeof put = []
  for (const one of put) agenda.at(one.time, () => done.push(one))
  while (agenda.step(50));
  const due = put.filter(({ time }) => time < 50).sort((a, b) => a.time - b.time || a.order - b.order)
  assert.deepEqual(done, due)
})
