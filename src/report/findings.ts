/** What the detector found in the time reviewed, worst first, with the suppressions that hold some of it back. */
import { type Finding, levels } from '../detect/finding.ts'
import { type Suppression, suppressionOf } from '../detect/suppression.ts'
import { mostRows, type ReviewedFinding } from './review.ts'

export interface FindingsOptions {
  /** The time reviewed, ms. */
  readonly from: number
  readonly to: number
  readonly suppressions: readonly Suppression[]
  /** ms: what is suppressed then. */
  readonly now: number
}

export interface Findings {
  take(found: readonly Finding[]): void
  told(): { readonly rows: readonly ReviewedFinding[]; readonly others: number }
}

export function collectFindings({ from, to, suppressions, now }: FindingsOptions): Findings {
  let kept: ReviewedFinding[] = []
  let others = 0

  function cut(): void {
    kept.sort(worstFirst)
    others += Math.max(0, kept.length - mostRows)
    kept = kept.slice(0, mostRows)
  }

  return {
    take(found) {
      for (const finding of found) {
        const at = Date.parse(finding.at)
        // What is plain at the very end, from the time alone, is found then.
        if (at < from || at > to) continue
        kept.push(marked(finding, suppressionOf(finding, suppressions, now)))
        if (kept.length >= 2 * mostRows) cut()
      }
    },
    told() {
      cut()
      return { rows: kept, others }
    },
  }
}

function marked(finding: Finding, suppression: Suppression | undefined): ReviewedFinding {
  if (suppression === undefined) return finding
  const { until, reason, by } = suppression
  return { ...finding, suppressed: { until, reason, by } }
}

/** What is held back comes after what is not: of very many it is the first to be left out. */
function worstFirst(a: ReviewedFinding, b: ReviewedFinding): number {
  const held = Number(a.suppressed !== undefined) - Number(b.suppressed !== undefined)
  return held || levels.indexOf(b.level) - levels.indexOf(a.level) || Date.parse(b.at) - Date.parse(a.at)
}
