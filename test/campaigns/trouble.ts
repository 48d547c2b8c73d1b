/** What may befall a sink at each of its steps, and when it stops. */
import type { Clock } from '../../src/model/clock.ts'
import type { Chance } from './chance.ts'

/**
 * `deadlock`: the sink waits for a call that waits for the sink. `random`: at each step one of the others, or nothing.
 */
export type Fault = 'hang' | 'break' | 'fill' | 'late' | 're-enter' | 'deadlock' | 'random'

export const faults: readonly Fault[] = ['hang', 'break', 'fill', 'late', 're-enter', 'deadlock', 'random']

export interface Trouble {
  begin(fault: Fault): void
  /** What hangs goes on, and nothing more happens. */
  end(): void
  /** One step: nothing, a throw, or a wait. */
  meet(): void | Promise<void>
  /** What a step that re-enters calls. */
  reenter: () => Promise<unknown>
}

export interface TroubleOptions {
  readonly chance: Chance
  readonly clock: Clock
  /** A late step takes up to so long. */
  readonly latestMs: number
}

export function trouble({ chance, clock, latestMs }: TroubleOptions): Trouble {
  let now: Fault | undefined
  let held: (() => void)[] = []
  let reentries = 0

  const made: Trouble = {
    begin(fault) {
      now = fault
      reentries = 0
    },
    end() {
      now = undefined
      const waiting = held
      held = []
      for (const go of waiting) go()
    },
    meet() {
      if (now === 'random') return befall(chance.pick([undefined, undefined, ...faults.slice(0, -1)]))
      return befall(now)
    },
    reenter: () => Promise.resolve(),
  }
  return made

  function befall(fault: Fault | undefined): void | Promise<void> {
    switch (fault) {
      case 'hang':
        return new Promise((resolve) => held.push(resolve))
      case 'break':
        throw systemError('EIO')
      case 'fill':
        throw systemError('ENOSPC')
      case 'late':
        return new Promise((resolve) => {
          held.push(resolve)
          clock.after(chance.below(latestMs), resolve)
        })
      case 're-enter':
        reenter()
        return
      case 'deadlock':
        return reenter()
      default:
        return
    }
  }

  // Each call from inside makes the next write: without an end, calls and writes would follow each other for ever.
  async function reenter(): Promise<void> {
    if (reentries++ < 50) await made.reenter()
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}
