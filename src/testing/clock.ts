/** Time that a test turns by hand. */
import type { Clock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'

export interface FakeClock extends Clock {
  /** Lets `ms` pass: what falls due runs, in order, each at its own moment. */
  advance(ms: number): void
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
      if (!(ms >= 0)) throw new KmsError('INVALID_INPUT', 'time passes forwards only; use step to set the wall clock')
      const end = elapsed + ms
      for (let timer = firstDue(timers, end); timer !== undefined; timer = firstDue(timers, end)) {
        const next = timer
        timers = timers.filter((other) => other !== next)
        pass(Math.max(0, next.due - elapsed))
        next.run()
      }
      pass(end - elapsed)
    },
    step(ms) {
      wall += ms
    },
    get pending() {
      return timers.length
    },
  }
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
