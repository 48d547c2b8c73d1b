/** Text from entries within a sentence. */
import { jsonText } from '../model/line.ts'

const longest = 128

/** One word for a sentence: what a terminal might act upon is escaped, what has a blank is quoted, what is long is cut. */
export function word(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'unknown')
  const shown = jsonText(text.length > longest ? `${text.slice(0, longest)}…` : text)
  return /^"[^\s"\\]+"$/.test(shown) ? shown.slice(1, -1) : shown
}

/** `7 days`, `1 day`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
}

/** A length of time in the largest unit that leaves a number of at least 1, as `3 days` or `90 minutes`. */
export function lengthOf(ms: number): string {
  const [size, unit] = units.find(([each]) => ms >= 2 * each) ?? [1, 'ms']
  const count = Math.round(ms / size)
  return unit === 'ms' ? `${count} ms` : counted(count, unit)
}

const units = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
] as const

/** `a, b and 3 more`. */
export function listed(items: readonly string[], most = 5): string {
  const shown = items.slice(0, most).map(word)
  const more = items.length - shown.length
  if (more > 0) return `${shown.join(', ')} and ${more} more`
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}
