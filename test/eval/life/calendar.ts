/**
 * The month that is lived: from Wednesday, 11 March 2026, 00:00 UTC, for 30 days. In it clocks go forward in Europe (29 March), a
 * month ends, and Easter Monday (6 April) is a public holiday.
 */

export const minute = 60_000
export const hour = 3_600_000
export const day = 86_400_000

/** First millisecond, UTC. */
export const lifeBegins = Date.UTC(2026, 2, 11)
export const lifeDays = 30
const summerTimeBegins = Date.UTC(2026, 2, 29, 1)
const holidayBegins = Date.UTC(2026, 3, 5, 22)
const monthEnd = Date.UTC(2026, 2, 31)

/** Local dates without office hours besides weekends. */
export const holidays: readonly string[] = ['2026-04-06']

export type Zone = 'Europe/Amsterdam' | 'America/New_York' | 'Asia/Singapore'

export interface LocalTime {
  readonly hour: number
  /** 0 is Sunday. */
  readonly weekday: number
  readonly isHoliday: boolean
}

export function localTime(zone: Zone, at: number): LocalTime {
  const hours = Math.floor((at + offsetOf(zone, at)) / hour)
  // 1 January 1970 was a Thursday.
  const weekday = (Math.floor(hours / 24) + 4) % 7
  return {
    hour: hours % 24,
    weekday,
    isHoliday: zone === 'Europe/Amsterdam' && at >= holidayBegins && at < holidayBegins + day,
  }
}

/** UTC of `localHour` on day number `dayNumber` of the month that is lived, in `zone`. */
export function atLocal(zone: Zone, dayNumber: number, localHour: number): number {
  const guess = lifeBegins + dayNumber * day + Math.round(localHour * hour)
  return guess - offsetOf(zone, guess)
}

/** Neither weekend nor holiday. */
export function isWorkday(zone: Zone, at: number): boolean {
  const { weekday, isHoliday } = localTime(zone, at)
  return weekday > 0 && weekday < 6 && !isHoliday
}

/** Number of the day on which the calendar month ends. */
export const monthEndDay: number = (monthEnd - lifeBegins) / day

/** America had its summer time already. */
function offsetOf(zone: Zone, at: number): number {
  if (zone === 'America/New_York') return -4 * hour
  if (zone === 'Asia/Singapore') return 8 * hour
  return at < summerTimeBegins ? hour : 2 * hour
}
