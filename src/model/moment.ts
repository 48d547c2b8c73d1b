/** Moments as text: RFC 3339, and only moments that exist. */

const dateOnly = /^(\d{4})-(\d\d)-(\d\d)$/
const dateTime = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/
const latest = 253_402_300_799_999

/**
 * Milliseconds since the epoch of an RFC 3339 §5.6 time such as `2026-01-31T12:00:00+01:00`, or of a bare date, which is its
 * midnight in UTC. Undefined for any other text and for what no calendar or clock shows: 30 February, 24 o'clock. What is
 * finer than a millisecond is cut off.
 */
export function parseMoment(text: string): number | undefined {
  const [, year, month, day, hour = '00'] = dateTime.exec(text) ?? dateOnly.exec(text) ?? []
  // Date would count a 30 February on into March, and 24:00 into the next day.
  if (year === undefined || hour > '23' || Number(day) > daysIn(Number(year), Number(month))) return undefined
  const moment = Date.parse(text)
  return isTold(moment) ? moment : undefined
}

/** Whether an entry's `createdAt` could tell it: a moment of the years 0 to 9999, which alone compare as their texts do. */
export function isTold(moment: number): boolean {
  return moment >= -62_167_219_200_000 && moment <= latest
}

/** 0 for a month that is none. */
function daysIn(year: number, month: number): number {
  if (month < 1 || month > 12) return 0
  // Day 0 of the next month. setUTCFullYear, because Date.UTC takes the years 0 to 99 for those of the 20th century.
  const last = new Date(0)
  last.setUTCFullYear(year, month, 0)
  return last.getUTCDate()
}
