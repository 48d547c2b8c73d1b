/** Many deadlines, one timer: it is armed for the earliest and stands still when nothing waits. */
import type { Clock } from '../model/clock.ts'

export interface Deadlines {
  /** Runs `expire` once, `ms` from now, unless cancelled before; returns what cancels it. */
  after(ms: number, expire: () => void): () => void
}

/** Hosts take a longer delay for none at all. */
const longestTimer = 2 ** 31 - 1

export function createDeadlines(clock: Clock): Deadlines {
  const waiting = new Set<{ readonly at: number; readonly expire: () => void }>()
  let armedFor = Number.POSITIVE_INFINITY
  let disarm = () => {}

  return {
    after(ms, expire) {
      const deadline = { at: clock.monotonic() + ms, expire }
      waiting.add(deadline)
      if (deadline.at < armedFor) arm(deadline.at)
      return () => {
        waiting.delete(deadline)
      }
    },
  }

  function arm(at: number) {
    disarm()
    armedFor = at
    disarm = clock.after(Math.min(longestTimer, Math.max(0, Math.ceil(at - clock.monotonic()))), sweep)
  }

  function sweep() {
    armedFor = Number.POSITIVE_INFINITY
    const now = clock.monotonic()
    const expired = []
    let next = Number.POSITIVE_INFINITY
    for (const deadline of waiting) {
      if (deadline.at <= now) expired.push(deadline)
      else if (deadline.at < next) next = deadline.at
    }
    for (const deadline of expired) waiting.delete(deadline)
    if (next < Number.POSITIVE_INFINITY) arm(next)
    for (const deadline of expired) deadline.expire()
  }
}
