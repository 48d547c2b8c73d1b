/** Calls by hour of the week. */
import type { LocalTime } from '../detect/local-time.ts'
import type { Fact } from './fact.ts'

export interface Hours {
  take(fact: Fact): void
  /** 168 numbers, from Monday 00:00. */
  told(): readonly number[]
}

export function collectHours(local: LocalTime): Hours {
  const hours = new Array<number>(168).fill(0)
  return {
    take({ isCall, within, at, weight }) {
      if (!isCall || !within) return
      const hour = local.hourOfWeek(at)
      hours[hour] = (hours[hour] ?? 0) + weight
    },
    told: () => hours,
  }
}
