/** What was told before: the same finding again, and another one of the same rule about the same, soon after. */
import { type Finding, isAtLeast, type Level } from '../../detect/finding.ts'

export interface Repeats {
  /** Whether this very finding came before, no less bad; it is known from now on. */
  isKnown(finding: Finding): boolean
  /**
   * Undefined when one of the same rule about the same, at least as bad, was told shortly before: it is counted. Else how many were
   * counted since the last one that was told.
   */
  tellable(finding: Finding): number | undefined
}

interface Last {
  readonly at: number
  readonly level: Level
  repeats: number
}

const most = 10_000

/** Time is that of the findings: those of an old trail are as far apart as they were. `quietMs` 0: nothing is a repeat. */
export function createRepeats(quietMs: number): Repeats {
  const ids = new Map<string, Level>()
  const told = new Map<string, Last>()
  return {
    isKnown({ id, level }) {
      const known = ids.get(id)
      if (known !== undefined && isAtLeast(known, level)) return true
      makeRoom(ids)
      ids.set(id, level)
      return false
    },
    tellable(finding) {
      const about = JSON.stringify([finding.rule, finding.subject])
      const at = Date.parse(finding.at)
      const last = told.get(about)
      if (last !== undefined && Math.abs(at - last.at) < quietMs && isAtLeast(last.level, finding.level)) {
        last.repeats += 1
        return undefined
      }
      told.delete(about)
      makeRoom(told)
      told.set(about, { at, level: finding.level, repeats: 0 })
      return last?.repeats ?? 0
    },
  }
}

/** The one that has been there longest goes. */
function makeRoom(kept: Map<string, unknown>): void {
  if (kept.size < most) return
  for (const oldest of kept.keys()) {
    kept.delete(oldest)
    return
  }
}
