/** Count, extremes, sum and percentiles of many numbers in little memory. */

/** Of the numbers that were there; percentiles by nearest rank. All but `count` and `sum` are undefined where there were none. */
export interface Summary {
  readonly count: number
  readonly min: number | undefined
  readonly p50: number | undefined
  readonly p90: number | undefined
  readonly p99: number | undefined
  readonly max: number | undefined
  readonly sum: number
  /** By what share of itself a percentile may be off: 0 up to 256 numbers, 0.01 beyond. All else is exact, save that a sum of
   * fractions has twelve digits.
   */
  readonly error: number
}

export interface Summing {
  /** A finite number of 0 or more; another is left out. */
  add(value: number): void
  summary(): Summary
}

const exactly = 256
const error = 0.01

// Buckets whose bounds grow by this factor: whatever is in one lies within 0.95 % of the middle that stands for it (DDSketch,
// Masson, Rim and Lee, 2019), which is told with four digits. Sizes from 1 byte to 64 KiB need fewer than 600 of them.
const factor = (1 + 0.95 * error) / (1 - 0.95 * error)
const perBucket = 1 / Math.log(factor)

/** Below this all is one bucket: a picosecond, told in ms. */
const least = 1e-9

export function openSummary(): Summing {
  let values: number[] | undefined = []
  const buckets = new Map<number, number>()
  let count = 0
  let sum = 0
  let min = Number.POSITIVE_INFINITY
  let max = 0

  function put(value: number): void {
    const bucket = value < least ? lowest : Math.ceil(Math.log(value) * perBucket)
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
  }

  function quantiles(shares: readonly number[]): readonly number[] {
    const ranks = shares.map((share) => Math.max(1, Math.ceil(share * count)))
    if (values !== undefined) {
      const sorted = values.toSorted((a, b) => a - b)
      return ranks.map((rank) => sorted[rank - 1] ?? 0)
    }
    const found: number[] = []
    let below = 0
    for (const [bucket, held] of [...buckets].sort(([a], [b]) => a - b)) {
      below += held
      while (found.length < ranks.length && below >= (ranks[found.length] ?? 0)) found.push(middleOf(bucket))
    }
    return found.map((value) => Math.min(max, Math.max(min, value)))
  }

  return {
    add(value) {
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return
      count++
      sum += value
      min = Math.min(min, value)
      max = Math.max(max, value)
      if (values === undefined) return put(value)
      values.push(value)
      if (values.length <= exactly) return
      for (const one of values) put(one)
      values = undefined
    },
    summary() {
      // Sums of fractions end in noise; those of bytes are whole.
      const told = {
        count,
        sum: Number.isInteger(sum) ? sum : Number(sum.toPrecision(12)),
        error: values === undefined ? error : 0,
      }
      if (count === 0)
        return { ...told, min: undefined, p50: undefined, p90: undefined, p99: undefined, max: undefined }
      const [p50, p90, p99] = quantiles([0.5, 0.9, 0.99])
      return { ...told, min, p50, p90, p99, max }
    },
  }
}

const lowest = Number.NEGATIVE_INFINITY

function middleOf(bucket: number): number {
  return bucket === lowest ? 0 : Number(((2 * factor ** bucket) / (1 + factor)).toPrecision(4))
}
