/** The entries' time as a clock on the wall shows it, quickly: the offset of a time zone is asked for once a quarter of an hour. */
import { KmsError } from '../model/errors.ts'

export interface LocalTime {
  /** 0–167, from Monday 00:00. */
  hourOfWeek(at: number): number
  /** 0–23. */
  hour(at: number): number
  /** Whole days since 1970-01-01 by the wall's date. */
  day(at: number): number
}

const hour = 3_600_000
const quarter = hour / 4
const day = 24 * hour

/** @throws KmsError `INVALID_INPUT` for a time zone that this host does not know. */
export function localTime(timeZone: string): LocalTime {
  const offsetAt = timeZone === 'UTC' ? () => 0 : offsets(timeZone)
  const local = (at: number) => at + offsetAt(at)
  return {
    // The epoch was a Thursday.
    hourOfWeek: (at) => (((Math.floor(local(at) / hour) + 72) % 168) + 168) % 168,
    hour: (at) => ((Math.floor(local(at) / hour) % 24) + 24) % 24,
    day: (at) => Math.floor(local(at) / day),
  }
}

/**
 * Zones change their offset at a quarter of an hour, so one question answers for the whole of it. Rules ask of the hour that is and
 * of hours that were, in turn: the latest answers of some days are kept.
 */
function offsets(timeZone: string): (at: number) => number {
  const format = formatOf(timeZone)
  const asked = new Array<number>(kept).fill(Number.NaN)
  const answers = new Array<number>(kept).fill(0)
  return (at) => {
    const slot = Math.floor(at / quarter)
    const place = ((slot % kept) + kept) % kept
    if (slot !== asked[place]) {
      asked[place] = slot
      answers[place] = wallTime(format, slot * quarter) - slot * quarter
    }
    return answers[place] ?? 0
  }
}

/** Quarters of hours: ten days and a half. */
const kept = 1024

function wallTime(format: Intl.DateTimeFormat, at: number): number {
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? Number.NaN
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'))
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  // Absent, it would be the zone of whatever machine this is.
  if (typeof timeZone !== 'string' || timeZone === '') throw new KmsError('INVALID_INPUT', message)
  try {
    const fields = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const
    return new Intl.DateTimeFormat('en-GB', { timeZone, ...fields, hourCycle: 'h23', calendar: 'gregory' })
  } catch (cause) {
    throw new KmsError('INVALID_INPUT', message, { cause })
  }
}

const message = "'timeZone' must be an IANA name that this host knows, such as Europe/Amsterdam or UTC"
