/** Calls over the time reviewed, in at most so many buckets of one length. */
import { type Fact, momentText } from './fact.ts'
import type { Timeline } from './review.ts'
import { compareText } from './rows.ts'

export interface Timelines {
  take(fact: Fact): void
  told(): Timeline
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const sizes = [
  ...[minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute],
  ...[hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day],
]
const mostBuckets = 400
const mostSeries = 200

export function collectTimeline({ from, to }: { readonly from: number; readonly to: number }): Timelines {
  const bucketMs = sizeFor(from, to)
  const start = Math.floor(from / bucketMs) * bucketMs
  const buckets = bucketsOf({ from, to }, bucketMs)
  const series = new Map<string, Map<string, number[]>>()
  let made = 0

  return {
    take({ isCall, within, at, action, outcome, weight }) {
      if (!isCall || !within) return
      const counts = series.get(action)?.get(outcome) ?? countsOf(action, outcome)
      const bucket = Math.floor((at - start) / bucketMs)
      counts[bucket] = (counts[bucket] ?? 0) + weight
    },
    told: () => ({
      from: momentText(start),
      bucketMs,
      series: [...series]
        .flatMap(([action, outcomes]) => [...outcomes].map(([outcome, counts]) => ({ action, outcome, counts })))
        .sort((a, b) => compareText(a.action, b.action) || compareText(a.outcome, b.outcome)),
    }),
  }

  /** Actions come from a file: their number is not ours to trust. */
  function countsOf(action: string, outcome: string): number[] {
    if (made >= mostSeries && action !== 'other') return countsOf('other', 'any')
    const outcomes = series.get(action) ?? new Map<string, number[]>()
    series.set(action, outcomes)
    const counts = outcomes.get(outcome) ?? new Array<number>(buckets).fill(0)
    if (!outcomes.has(outcome)) made += 1
    outcomes.set(outcome, counts)
    return counts
  }
}

function sizeFor(from: number, to: number): number {
  const fits = sizes.find((size) => bucketsOf({ from, to }, size) <= mostBuckets)
  return fits ?? Math.ceil((to - from) / (mostBuckets - 1) / day) * day
}

/** They begin at whole ones since the epoch, so that the first may begin before `from`. */
function bucketsOf({ from, to }: { readonly from: number; readonly to: number }, size: number): number {
  return Math.ceil(to / size) - Math.floor(from / size)
}
