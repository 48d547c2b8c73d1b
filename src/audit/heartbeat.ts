/** The heartbeat: an entry after so long without one, so that silence in a trail is evidence that nobody wrote it. */
import type { Clock } from '../model/clock.ts'
import type { Deadlines } from './deadlines.ts'

export interface HeartbeatOptions {
  /** 0: none. */
  readonly everyMs: number
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** How many entries there are, and the wall clock at the last one. */
  readonly written: () => { readonly count: number; readonly at: number }
  /** Writes the entry. */
  readonly beat: (idleMs: number) => void
}

export interface Heartbeat {
  begin(): void
  stop(): void
}

/** Clocks that differ by less over a period run alike. */
const steadyMs = 1000

/** Costs nothing while entries come: it looks once a period, and then waits for what is left of the idle time. */
export function createHeartbeat({ everyMs, clock, deadlines, written, beat }: HeartbeatOptions): Heartbeat {
  let cancel = () => {}

  return {
    begin() {
      if (everyMs > 0) wait(0)
    },
    stop() {
      cancel()
    },
  }

  /** `idleMs` have passed since the last entry. */
  function wait(idleMs: number): void {
    const { count } = written()
    const begunAt = clock.monotonic()
    const begunWall = clock.now()
    cancel = deadlines.after(everyMs - idleMs, () => {
      const waited = clock.monotonic() - begunAt
      const now = clock.now()
      const last = written()
      if (last.count === count) {
        beat(Math.round(idleMs + waited))
        wait(0)
        return
      }
      // Only the wall clock tells when the last entry came; one that was set meanwhile tells nothing.
      const isSteady = Math.abs(now - begunWall - waited) < steadyMs
      wait(isSteady ? Math.min(Math.max(0, now - last.at), waited) : 0)
    })
  }
}
