/** Holding what a test wants against what an entry says, and putting both in words. */
import { jsonText } from '../model/line.ts'

/** What Jest's and Vitest's `expect.any(…)`, `expect.stringContaining(…)` and their like are. */
export interface AsymmetricMatcher {
  asymmetricMatch(found: unknown): boolean
}

/** One place where an entry is not as wanted. `found` is undefined where the entry has no such field. */
export interface Difference {
  readonly at: string
  readonly wanted: unknown
  readonly found: unknown
}

/**
 * Where `found` is not as `wanted`: objects in part, by the names that `wanted` has; lists whole; `null` is a field that
 * must be absent; a regular expression is searched in text.
 */
export function differences(at: string, wanted: unknown, found: unknown): readonly Difference[] {
  if (isPart(wanted) && isRecord(found))
    return Object.entries(wanted).flatMap(([name, value]) => differences(`${at}.${name}`, value, fieldOf(found, name)))
  return matches(wanted, found) ? [] : [{ at, wanted, found }]
}

function matches(wanted: unknown, found: unknown): boolean {
  if (wanted === null) return found === undefined
  if (wanted instanceof RegExp) return typeof found === 'string' && found.search(wanted) !== -1
  if (isAsymmetric(wanted)) return wanted.asymmetricMatch(found)
  if (Array.isArray(wanted)) return isSameList(wanted, found)
  return Object.is(wanted, found)
}

function isSameList(wanted: readonly unknown[], found: unknown): boolean {
  if (!Array.isArray(found) || found.length !== wanted.length) return false
  return wanted.every((item, at) => differences('', item, found[at]).length === 0)
}

/** An object of which the entry must have each name, not a value that is compared whole. */
export function isPart(wanted: unknown): wanted is Readonly<Record<string, unknown>> {
  return isRecord(wanted) && !Array.isArray(wanted) && !(wanted instanceof RegExp) && !isAsymmetric(wanted)
}

export function isAsymmetric(value: unknown): value is AsymmetricMatcher {
  return isRecord(value) && typeof value['asymmetricMatch'] === 'function'
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Own fields only: `constructor` is in no entry. */
function fieldOf(record: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

/** `value` as a test author would write it; text escaped as in an entry's line. */
export function show(value: unknown): string {
  if (typeof value === 'string') return jsonText(value)
  if (value === null || value === undefined) return 'absent'
  if (value instanceof RegExp) return String(value)
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
  if (isAsymmetric(value)) return showAsymmetric(value)
  if (!isRecord(value)) return String(value)
  const fields = Object.entries(value).map(([name, field]) => `${name}: ${show(field)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}

/** Jest's and Vitest's have a text of their own, such as `Any<Number>`. */
function showAsymmetric(matcher: AsymmetricMatcher & { toAsymmetricMatcher?(): unknown }): string {
  return typeof matcher.toAsymmetricMatcher === 'function' ? String(matcher.toAsymmetricMatcher()) : 'a matcher'
}

export function showDifference({ at, wanted, found }: Difference): string {
  return `${at}: expected ${show(wanted)}, found ${show(found)}`
}
