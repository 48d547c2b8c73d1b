/** Moments as a reader's wall shows them. */
import { KmsError } from '../../model/errors.ts'
import { html, type Markup, named } from './markup.ts'

export interface Times {
  readonly timeZone: string
  /** `2026-11-26 14:03:22` as a `<time>`; text that is no moment, as it is; nothing for `undefined`. */
  moment(at: string | undefined): Markup
  /** `2026-11-26 14:03`. */
  minute(at: string | undefined): Markup
  /** `2026-11-26` as plain text, or an empty one. */
  day(at: string | undefined): string
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

/** @throws KmsError `INVALID_INPUT` for a time zone that this host does not know. */
export function timesIn(timeZone: string): Times {
  const format = formatIn(timeZone)
  const wall = (at: unknown): string | undefined => {
    // Engines read a date out of almost any text with a number in it.
    const ms = typeof at === 'string' && rfc3339.test(at) ? Date.parse(at) : Number.NaN
    return Number.isNaN(ms) ? undefined : format.format(ms)
  }
  const told = (at: string | undefined, length: number): Markup => {
    const text = wall(at)
    if (text === undefined) return named(at ?? '', 40)
    return html`<time datetime="${at}">${text.slice(0, length)}</time>`
  }
  return {
    timeZone,
    moment: (at) => told(at, 19),
    minute: (at) => told(at, 16),
    day: (at) => wall(at)?.slice(0, 10) ?? '',
  }
}

function formatIn(timeZone: string): Intl.DateTimeFormat {
  try {
    // Swedish is the language whose dates are written as RFC 3339 has them.
    return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' })
  } catch (cause) {
    const message = "'timeZone' of a review must be an IANA name that this host knows, such as Europe/Amsterdam or UTC"
    throw new KmsError('INVALID_INPUT', message, { cause })
  }
}
