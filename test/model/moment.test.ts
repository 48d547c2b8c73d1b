import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTold, parseMoment } from '../../src/model/moment.ts'

test('a time is read whatever its zone, and a bare date is its midnight in UTC', () => {
  strictEqual(parseMoment('2026-01-31T12:00:00Z'), Date.UTC(2026, 0, 31, 12))
  strictEqual(parseMoment('2026-01-31T13:00:00.5+01:00'), Date.UTC(2026, 0, 31, 12, 0, 0, 500))
  strictEqual(parseMoment('2026-01-31'), Date.UTC(2026, 0, 31))
  strictEqual(parseMoment('2024-02-29'), Date.UTC(2024, 1, 29))
  strictEqual(parseMoment('0000-02-29'), -62_162_121_600_000)
})

test('what no calendar and no clock shows is no moment', () => {
  const wrong = [
    '2026-02-30',
    '2026-02-29',
    '1900-02-29',
    '2026-04-31T00:00:00Z',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00',
  ]
  const clocks = ['2026-01-31T24:00:00Z', '2026-01-31T23:60:00Z', '2026-01-31T23:59:60Z', '2026-01-31T12:00:00+25:00']
  const others = [
    '',
    'yesterday',
    '2026',
    '2026-01-31T12:00:00',
    '2026-1-31',
    '2026-01-31 12:00:00Z',
    ' 2026-01-31',
    '1767225600000',
  ]
  deepStrictEqual(
    [...wrong, ...clocks, ...others].map(parseMoment).filter((moment) => moment !== undefined),
    [],
  )
})

test('every moment that an entry can tell is read back as it was', () => {
  const moment = fc.date({
    min: new Date(-62_167_219_200_000),
    max: new Date(253_402_300_799_999),
    noInvalidDate: true,
  })
  fc.assert(fc.property(moment, (date) => parseMoment(date.toISOString()) === date.getTime()))
  strictEqual(isTold(253_402_300_800_000), false)
  strictEqual(isTold(-62_167_219_200_001), false)
  strictEqual(isTold(Number.NaN), false)
})
