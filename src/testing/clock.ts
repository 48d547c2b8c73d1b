/** Time that a test turns by hand. */
import type { Clock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'

export interface FakeClock extends Clock {
  /** Lets `ms` pass: what falls due runs, in order, each at its own moment. */
  advance(ms: number): void
  /**
   * The same, but promises settle before, between and after: what a timer sets off goes on, and sets timers of its own that fall
   * due on the way. For everything that awaits: retries, schedulers, deadlines.
   */
  advanceAsync(ms: number): Promise<void>
  /** As `advanceAsync`, until the wall clock tells `moment`: a `Date`, ms since the epoch, or RFC 3339 text. */
  advanceTo(moment: Date | number | string): Promise<void>
  /** Lets what is ready go on, and no time pass: promises settle. Real I/O takes longer: await that itself. */
  settle(): Promise<void>
  /** Sets the wall clock forward or back by `ms`; no time passes. */
  step(ms: number): void
  /** Timers that still wait. */
  readonly pending: number
}

/**
 * A clock that stands still until told. Starts at `start` ms since the epoch, by default 2026-01-02T03:04:05Z.
 *
 * @example
 * ```ts
 * const clock = fakeClock()
 * clock.after(5_000, () => refuse())
 * clock.advance(5_000) // refuse() has run
 * ```
 */
export function fakeClock(start: number = Date.UTC(2026, 0, 2, 3, 4, 5)): FakeClock {
  let wall = start
  let elapsed = 0
  let timers: readonly Timer[] = []

  function pass(ms: number): void {
    wall += ms
    elapsed += ms
  }

  /** The next timer that falls due before `end`, its moment having come. */
  function next(end: number): Timer | undefined {
    const timer = firstDue(timers, end)
    if (timer === undefined) return undefined
    timers = timers.filter((other) => other !== timer)
    pass(Math.max(0, timer.due - elapsed))
    return timer
  }

  async function advanceAsync(ms: number): Promise<void> {
    const end = elapsed + duration(ms)
    const runs = countRuns()
    await settle()
    for (let timer = next(end); timer !== undefined; timer = next(end)) {
      runs.count(elapsed)
      timer.run()
      await settle()
    }
    pass(end - elapsed)
  }

  return {
    now: () => wall,
    monotonic: () => elapsed,
    after(ms, run) {
      const timer = { due: elapsed + Math.max(0, ms), run }
      timers = [...timers, timer]
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      const end = elapsed + duration(ms)
      const runs = countRuns()
      for (let timer = next(end); timer !== undefined; timer = next(end)) {
        runs.count(elapsed)
        timer.run()
      }
      pass(end - elapsed)
    },
    advanceAsync,
    async advanceTo(moment) {
      await advanceAsync(new Date(moment).getTime() - wall)
    },
    settle,
    step(ms) {
      wall += ms
    },
    get pending() {
      return timers.length
    },
  }
}

function duration(ms: number): number {
  if (ms >= 0) return ms
  throw new KmsError('INVALID_INPUT', 'time passes forwards only; use step to set the wall clock')
}

const mostRuns = 10_000

/** A timer that sets itself again for the same moment would never let time pass. */
function countRuns(): { count(moment: number): void } {
  let at = Number.NaN
  let runs = 0
  return {
    count(moment) {
      runs = moment === at ? runs + 1 : 1
      at = moment
      if (runs > mostRuns)
        throw new KmsError(
          'INVALID_INPUT',
          `${mostRuns} timers ran and no time passed: one sets itself again without delay`,
        )
    },
  }
}

// Taken when this is loaded: a runner's own fake timers, installed later, would never end the wait. Node's `setImmediate` is
// a hundred times faster than its shortest timer.
const { setTimeout } = host
const { setImmediate = (run: () => void) => setTimeout(run, 0) } = globalThis as {
  readonly setImmediate?: (run: () => void) => unknown
}

/** All promises that are ready have gone on when a turn of the event loop is over. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

interface Timer {
  readonly due: number
  readonly run: () => void
}

function firstDue(timers: readonly Timer[], end: number): Timer | undefined {
  return timers.filter(({ due }) => due <= end).reduce<Timer | undefined>(earlier, undefined)
}

function earlier(first: Timer | undefined, timer: Timer): Timer {
  return first === undefined || timer.due < first.due ? timer : first
}
