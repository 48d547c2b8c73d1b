/** Waiting for what may never come to an end. */
import type { Clock } from '../../model/clock.ts'

/** True when `work` settled, either way, within `ms`. */
export function settledWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(false))
    const settled = () => {
      cancel()
      resolve(true)
    }
    work.then(settled, settled)
  })
}
