/** A window of hours of the day in a time zone, over midnight too. */
import { KmsError } from './errors.ts'

export interface Hours {
  /** 0–23: the first hour of the window. */
  readonly startHour: number
  /** 1–24, not in the window itself; below `startHour` the window goes over midnight. */
  readonly endHour: number
  /** IANA name, such as `Europe/Amsterdam`, or `UTC`. */
  readonly timezone: string
}

/**
 * Tells of a moment (ms since the epoch) whether it is in the window, by the wall clock of its time zone. `name` says in an
 * error where the window stands.
 *
 * @throws KmsError `INVALID_INPUT` for hours that are none, an empty window, or a time zone that this host does not know.
 */
export function hoursTest(name: string, hours: Hours): (now: number) => boolean {
  if (typeof hours !== 'object' || hours === null) refuse(name, '{ startHour, endHour, timezone }')
  const { startHour, endHour, timezone } = hours
  if (!isHour(startHour, 0, 23)) refuse(`${name}.startHour`, 'a whole number from 0 to 23')
  if (!isHour(endHour, 0, 24)) refuse(`${name}.endHour`, 'a whole number from 0 to 24')
  if (startHour === endHour) refuse(`${name}.endHour`, 'another hour than startHour; the whole day is 0 to 24')
  const hourOf = hourIn(name, timezone)
  return (now) => {
    const hour = hourOf(now)
    return startHour < endHour ? startHour <= hour && hour < endHour : startHour <= hour || hour < endHour
  }
}

function hourIn(name: string, timezone: string): (now: number) => number {
  const format = formatOf(name, timezone)
  return (now) => Number(format.formatToParts(now).find(({ type }) => type === 'hour')?.value)
}

function formatOf(name: string, timeZone: string): Intl.DateTimeFormat {
  // Absent, it would be the zone of whatever machine this is.
  if (typeof timeZone !== 'string') refuse(`${name}.timezone`, 'an IANA name, such as Europe/Amsterdam')
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', hourCycle: 'h23' })
  } catch (cause) {
    throw new KmsError('INVALID_INPUT', `'${name}.timezone' must be an IANA name that this host knows, such as UTC`, {
      cause,
    })
  }
}

function isHour(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && Number(value) >= min && Number(value) <= max
}

function refuse(name: string, what: string): never {
  throw new KmsError('INVALID_INPUT', `'${name}' must be ${what}`)
}
