/** What a figure is, and how a ratio is measured. */

export type Figure = Contested | Counted

interface Named {
  /** For `--only`. */
  readonly name: string
  readonly text: string
  /** None for what is told for information. */
  readonly aim?: Aim
}

export type Aim = { readonly atMost: number } | { readonly atLeast: number }

/** A ratio of two sides that do the same work in the same run. */
export interface Contested extends Named {
  /** `time`: ours ÷ the reference's, lower is better. `speed`: the inverse. */
  readonly of: 'time' | 'speed'
  readonly open: (effort: Effort) => Contest | Promise<Contest>
}

/** A number that is no ratio. */
export interface Counted extends Named {
  readonly unit: string
  readonly count: (effort: Effort) => Promise<Measured>
}

/** `once` only sees that a figure works. */
export type Effort = 'once' | 'quick' | 'full'

export interface Contest {
  readonly ours: Side
  readonly reference: Side
  /** So often the sides alternate in a round; 10 by default. */
  readonly turns?: number
  /** A round's time: the mean of its turns by default, or the median, which is what one caller usually waits. */
  readonly timeOf?: 'mean' | 'median'
  /** Rounds of a full run, 40 by default. */
  readonly rounds?: number
  /** A full collection before each turn, so that neither side collects large payloads of the other. */
  readonly collects?: boolean
  readonly close?: () => Promise<void>
}

export interface Side {
  /** Calls that one `run` makes: few milliseconds, so that what else the machine does hits both sides alike. */
  readonly calls: number
  readonly run: () => void | Promise<void>
  /** Not timed: throws unless the run did what it should, and makes room for the next. */
  readonly check?: () => void
}

export interface Measured {
  readonly median: number
  readonly least: number
  readonly most: number
  /** Microseconds a call, medians. */
  readonly each?: { readonly ours: number; readonly reference: number }
}

const warmUps = { once: 0, quick: 4, full: 5 } as const
const fewRounds = { once: 1, quick: 7 } as const
const usualRounds = 40

const usualTurns = 10

/**
 * Ours and the reference's in turn, and the median of the rounds' ratios: what else the machine does then meets both.
 * A round is long enough for each side to pay for the garbage it makes.
 */
export async function contest(figure: Contested, effort: Effort): Promise<Measured> {
  const opened = await figure.open(effort)
  try {
    for (let round = 0; round < warmUps[effort]; round++) await oneRound(opened)
    collect()
    const rounds = effort === 'full' ? (opened.rounds ?? usualRounds) : fewRounds[effort]
    const ours: number[] = []
    const reference: number[] = []
    for (let round = 0; round < rounds; round++) {
      const times = await oneRound(opened)
      ours.push(times.ours)
      reference.push(times.reference)
    }
    const ratios = ours.map((time, round) => {
      const ratio = time / (reference[round] ?? Number.NaN)
      return figure.of === 'time' ? ratio : 1 / ratio
    })
    return { ...spread(ratios), each: { ours: 1000 * median(ours), reference: 1000 * median(reference) } }
  } finally {
    await opened.close?.()
  }
}

/** Median, least and most. */
export function spread(values: readonly number[]): Measured {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) }
}

interface RoundTimes {
  readonly ours: number
  readonly reference: number
}

/** Milliseconds a call. */
async function oneRound(contest: Contest): Promise<RoundTimes> {
  const { ours, reference, turns = usualTurns, collects = false } = contest
  const typical = contest.timeOf === 'median' ? median : mean
  const oursTimes: number[] = []
  const referenceTimes: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    if (collects) collect()
    referenceTimes.push(await timed(reference))
    if (collects) collect()
    oursTimes.push(await timed(ours))
  }
  return { ours: typical(oursTimes), reference: typical(referenceTimes) }
}

async function timed({ calls, run, check }: Side): Promise<number> {
  const start = performance.now()
  await run()
  const time = performance.now() - start
  check?.()
  return time / calls
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('run node with --expose-gc')
  globalThis.gc()
}
