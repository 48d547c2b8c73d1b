import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { localTime } from '../../src/detect/local-time.ts'
import { momentReader } from '../../src/detect/moment.ts'

const hour = 3_600_000

test('UTC: Thursday noon is hour 84 of the week', () => {
  const utc = localTime('UTC')
  const at = Date.UTC(2026, 0, 1, 12, 59, 59, 999)
  assert.deepEqual([utc.hourOfWeek(at), utc.hour(at), utc.day(at)], [84, 12, 20_454])
  assert.deepEqual([utc.hourOfWeek(at + 1), utc.hour(at + 1)], [85, 13])
  assert.equal(utc.hourOfWeek(Date.UTC(2026, 0, 5)), 0)
  assert.equal(utc.hourOfWeek(Date.UTC(2026, 0, 4, 23)), 167)
  assert.deepEqual([utc.hourOfWeek(-1), utc.hour(-1), utc.day(-1)], [71, 23, -1])
})

test('Amsterdam: an hour is left out in spring, and comes twice in autumn', () => {
  const { hour: of } = localTime('Europe/Amsterdam')
  const hoursFrom = (start: number) => Array.from({ length: 5 }, (_, each) => of(start + each * hour))
  assert.deepEqual(hoursFrom(Date.UTC(2026, 2, 28, 23)), [0, 1, 3, 4, 5])
  assert.deepEqual(hoursFrom(Date.UTC(2026, 9, 24, 22)), [0, 1, 2, 2, 3])
})

test("St. John's is half an hour off, Kathmandu three quarters", () => {
  const [newfoundland, nepal] = [localTime('America/St_Johns'), localTime('Asia/Kathmandu')]
  // UTC−03:30 in winter, UTC−02:30 in summer; UTC+05:45.
  assert.deepEqual(
    [newfoundland.hour(Date.UTC(2026, 0, 1, 3, 29)), newfoundland.hour(Date.UTC(2026, 0, 1, 3, 30))],
    [23, 0],
  )
  assert.deepEqual(
    [newfoundland.hour(Date.UTC(2026, 6, 1, 2, 29)), newfoundland.hour(Date.UTC(2026, 6, 1, 2, 30))],
    [23, 0],
  )
  assert.deepEqual([nepal.hour(Date.UTC(2026, 0, 1, 18, 14)), nepal.hour(Date.UTC(2026, 0, 1, 18, 15))], [23, 0])
  assert.equal(nepal.day(Date.UTC(2026, 0, 1, 18, 15)), newfoundland.day(Date.UTC(2026, 0, 1, 18, 15)) + 1)
})

test('in every zone it is what the host says, asked in any order', () => {
  for (const timeZone of ['Europe/Amsterdam', 'America/St_Johns', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'UTC']) {
    const { hour: hourOf, day, hourOfWeek } = localTime(timeZone)
    const format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone, weekday: 'short', hour: '2-digit', hourCycle: 'h23' },
      ...{ year: 'numeric', month: '2-digit', day: '2-digit' },
    })
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2060, 0) }), (at) => {
        const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
        const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
        assert.equal(hourOf(at), Number(parts.get('hour')))
        assert.equal(hourOfWeek(at), days.indexOf(parts.get('weekday') ?? '') * 24 + Number(parts.get('hour')))
        const [year, month, date] = ['year', 'month', 'day'].map((name) => Number(parts.get(name as 'year')))
        assert.equal(day(at), Date.UTC(year ?? 0, (month ?? 0) - 1, date) / (24 * hour))
      }),
      { numRuns: 60 },
    )
  }
})

test('a moment is read as entries spell it, whatever was read before', () => {
  const moment = momentReader()
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }),
      fc.integer({ min: 0, max: 200_000 }),
      (at, more) => {
        assert.equal(moment(new Date(at).toISOString()), at)
        assert.equal(moment(new Date(at + more).toISOString()), at + more)
      },
    ),
    { numRuns: 300 },
  )
})

test('what is no moment is none, and spoils no other', () => {
  const moment = momentReader()
  const noon = '2026-02-28T12:00:00.000Z'
  const wrong: readonly unknown[] = [
    ...['', '2026-02-28', '2026-02-28T12:00:00Z', '2026-02-28T12:00:00.000', '2026-02-28T12:00:60.000Z'],
    ...['2026-02-29T12:00:00.000Z', '2026-13-01T12:00:00.000Z', '2026-02-28T24:00:00.000Z', '2026-02-28T12:60:00.000Z'],
    ...[
      `${noon}\n`,
      ` ${noon}`,
      '+002026-02-28T12:00:00.000Z',
      '2026-02-28t12:00:00.000z',
      null,
      undefined,
      7,
      {},
      [noon],
    ],
  ]
  for (const text of wrong) {
    assert.equal(moment(text as string), undefined, String(text))
    assert.equal(moment(noon), Date.UTC(2026, 1, 28, 12))
  }
})
