/** `createdAt` as a number: entries follow one another within a minute, so the minute is read once. */

/**
 * Reads moments as entries spell them, `2026-01-31T12:00:00.000Z`, to ms since the epoch. Undefined for any other text.
 */
export function momentReader(): (text: string) => number | undefined {
  let minute = ' '
  let start = 0
  return (text) => {
    if (typeof text !== 'string' || !spelling.test(text)) return undefined
    if (!text.startsWith(minute)) {
      const prefix = text.slice(0, 17)
      const at = Date.parse(`${prefix}00.000Z`)
      // A date that does not exist is taken for the next month's by some, for none by others.
      if (Number.isNaN(at) || !new Date(at).toISOString().startsWith(prefix)) return undefined
      minute = prefix
      start = at
    }
    return (
      start +
      digit(text, 17) * 10_000 +
      digit(text, 18) * 1000 +
      digit(text, 20) * 100 +
      digit(text, 21) * 10 +
      digit(text, 22)
    )
  }
}

const spelling = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{3}Z$/

function digit(text: string, at: number): number {
  return text.charCodeAt(at) - 48
}
