/** The `traceparent` header of W3C Trace Context, read strictly. */

/** Stands for a header that is none: the audit drops it and flags the entry `traceparent_invalid`. */
export const invalidTraceparent = 'invalid'

/** §3.2.2: version, trace id, parent id, flags, and for versions to come perhaps more after another dash. */
const pattern = /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?$/

/** Flags that level 2 knows: sampled, and random trace id. */
const knownFlags = 0x03

/**
 * The header as entries keep it, or undefined where there is none. A version above 00 becomes 00 with the flags that are known,
 * as §4.3 has it. What is no `traceparent`, or more than one, becomes a text that the audit drops and flags. Source: W3C
 * Trace Context level 1 and 2.
 */
export function traceparentOf(header: string | readonly string[] | null | undefined): string | undefined {
  if (header === undefined || header === null) return undefined
  // Several headers of one name arrive joined by commas, too.
  const text = typeof header === 'string' ? header : header.join(',')
  const [, version, ids, flags = '', more] = pattern.exec(text) ?? []
  if (ids === undefined) return invalidTraceparent
  if (version === '00') return more === undefined ? text : invalidTraceparent
  const known = Number.parseInt(flags, 16) & knownFlags
  return `00-${ids}-0${known}`
}
