/** When a day of the wall clock ends. */
import type { LocalTime } from './local-time.ts'

const quarter = 900_000

/** The first moment (ms) after `at` with another date; days may have 23 or 25 hours, and zones begin theirs at a quarter of an hour. */
export function nextDay(local: LocalTime, at: number): number {
  const today = local.day(at)
  let end = (Math.floor(at / quarter) + 1) * quarter
  while (local.day(end) === today) end += quarter
  return end
}
