/** When a request that failed may come again, and what its failure may tell. */

/** RFC 9110 §10.2.3, in ms: seconds, or a date. Undefined for anything else. */
export function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** Full jitter, ms: many clients refused at once must not come back at once. `attempt` counts from 0. */
export function backOff(attempt: number): number {
  return Math.random() * Math.min(2_000, 100 * 2 ** attempt)
}

/** `fetch` wraps what happened, such as ECONNREFUSED, in a TypeError that says nothing. */
export function reasonOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error
}
