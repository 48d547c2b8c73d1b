/** Whether entries were watched for long enough to tell what is new: who has seen nothing yet finds everything new. */
import type { Tools } from './tools.ts'

export interface Learning {
  /** To be asked at every entry, since it follows the time. */
  isOver(at: number): boolean
}

interface Watched {
  since: number
  latest: number
  /** When the last silence ended that was longer than the period: nobody could tell old from new then. */
  woke: number
}

const day = 86_400_000

/**
 * Begins with the first entry, and anew after a silence longer than `period` (ms), which a clock set far ahead looks like: once
 * it is set back, what was learned before counts again.
 */
export function learningPeriod(tools: Tools, period: number): Learning {
  const watched = tools.record<Watched>('learning', () => ({ since: -1, latest: -1, woke: -1 }))
  return {
    isOver(at) {
      const { latest } = watched
      if (watched.since < 0) watched.since = at
      else if (at - latest > period) watched.woke = at
      // A clock set back takes nothing from what was learned.
      else if (latest - at > day) watched.since -= latest - at
      if (at > latest || latest - at > day) watched.latest = at
      return at - watched.since >= period && (watched.woke < 0 || at < watched.woke || at - watched.woke >= period)
    },
  }
}

/** Of something first seen at `first`: whether that is less than `period` ago. What lies ahead of a clock set back is old. */
export function isYoung(at: number, first: number, period: number): boolean {
  return at >= first && at - first < period
}
