/** The time that both sides cover: outside it, what one of them lacks proves nothing. */

export interface CommonRange {
  /** ms since the epoch, inclusive … exclusive. */
  readonly from: number
  readonly to: number
  /** Up to here CloudTrail has delivered all, for sure. */
  readonly complete: number
}

interface Wanted {
  readonly from: number | undefined
  readonly to: number | undefined
  readonly windowMs: number
  readonly delayMs: number
}

interface Span {
  readonly first: number
  readonly last: number
}

/** What is given is believed; the rest is narrowed by what the clocks may be apart. Undefined if nothing is left. */
export function commonRange(wanted: Wanted, ours: Span, theirs: Span): CommonRange | undefined {
  const { windowMs, delayMs } = wanted
  const from = wanted.from ?? Math.max(ours.first, theirs.first) + windowMs
  const to = wanted.to ?? Math.min(ours.last, theirs.last) - windowMs
  const complete = wanted.to ?? Math.min(to, theirs.last - delayMs - windowMs)
  return from < to && Number.isFinite(from) && Number.isFinite(to) ? { from, to, complete } : undefined
}
