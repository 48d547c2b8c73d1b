/** @node Time that passes as fast as the event loop turns, so that back-offs and deadlines cost no waiting. */
import { getActiveResourcesInfo } from 'node:process'
import { type FakeClock, fakeClock } from '../../src/testing/clock.ts'
import { turn } from '../audit/puppet.ts'

export interface QuickClock extends FakeClock {
  /**
   * Waits until `work` has settled. While a file or a socket is really waited for, time stands still, so that the same
   * happens in each run; what else is not settled waits for time, which passes 5 ms a turn. Rejects after `limitMs` of it.
   */
  until<T>(work: Promise<T>, limitMs?: number): Promise<T>
  /** Lets `ms` pass, and what falls due run. */
  pass(ms: number): Promise<void>
}

const stepMs = 5
const patience = 5
const lastResortMs = 5000

export function quickClock(start?: number): QuickClock {
  const clock = fakeClock(start)
  return Object.assign(clock, {
    async until<T>(work: Promise<T>, limitMs = 120_000): Promise<T> {
      let over = false
      const settled = work.finally(() => {
        over = true
      })
      // It is awaited below: until then nobody hears of a rejection.
      settled.catch(() => undefined)
      for (let ms = 0, quiet = 0; ms < limitMs; ) {
        await turn()
        if (over) return settled
        if (getActiveResourcesInfo().some(isReal)) {
          quiet = 0
          // Sleeps instead of asking again and again: the disk may take a while.
          await new Promise((resolve) => setTimeout(resolve, 1))
          continue
        }
        if (++quiet < patience) continue
        clock.advance(stepMs)
        ms += stepMs
      }
      // The machine may be busy: what is real has seconds to come to its end.
      for (const from = performance.now(); performance.now() - from < lastResortMs; ) {
        await turn()
        if (over) return settled
      }
      throw new Error(`not settled after ${limitMs} ms: ${getActiveResourcesInfo()} are under way`)
    },
    async pass(ms: number) {
      clock.advance(ms)
      await turn()
    },
  })
}

/** Something that the kernel or the thread pool is about to finish. */
function isReal(resource: string): boolean {
  return /^(FSReq|CloseReq|ConnectWrap|PipeConnectWrap)/.test(resource)
}
