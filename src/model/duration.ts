/** Lengths of time as options say them: `'15m'`, or a number of milliseconds. */
import { KmsError } from './errors.ts'

/** Milliseconds, or a whole number with its unit: `'500ms'`, `'30s'`, `'15m'`, `'1h'`, `'1d'`. */
export type Duration = number | string

export interface DurationBounds {
  /** Milliseconds, both included. */
  readonly min: number
  readonly max: number
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Whole milliseconds. `name` says in an error where the value stands.
 *
 * @throws KmsError `INVALID_INPUT` for any other spelling (`'1 h'`, `'1.5h'`, `'3600'`), and for what is out of bounds.
 */
export function parseDuration(name: string, value: Duration, { min, max }: DurationBounds): number {
  const ms = typeof value === 'number' ? value : spelled(value)
  if (Number.isSafeInteger(ms) && ms >= min && ms <= max) return ms
  throw new KmsError(
    'INVALID_INPUT',
    `'${name}' must be whole milliseconds, or a number with ms, s, m, h or d such as '15m': from ${textOf(min)} to ${textOf(max)}`,
  )
}

function spelled(value: unknown): number {
  const [, digits, unit = ''] = (typeof value === 'string' && /^(0|[1-9]\d{0,14})(ms|s|m|h|d)$/.exec(value)) || []
  return Number(digits) * (units[unit] ?? Number.NaN)
}

/** In the largest unit in which it is a whole number. */
function textOf(ms: number): string {
  const [unit, size] = Object.entries(units).findLast(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** Milliseconds of a length of time of up to ten years, with no bound below. */
export function msOf(name: string, value: Duration): number {
  return parseDuration(name, value, { min: 0, max: 3653 * 86_400_000 })
}
