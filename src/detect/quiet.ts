/** What was told is not told again for a while. */
import type { Tools } from './tools.ts'

export interface QuietOptions {
  /** Name of its table. */
  readonly name: string
  /** ms. */
  readonly span: number
  /** Most groups that are remembered; 10,000 by default. */
  readonly max?: number
}

/** Whether it is quiet at `at` until `until`. A clock that was set back begins anew. */
export function isQuiet(at: number, until: number, span: number): boolean {
  return at < until && at >= until - span
}

/** Tells whether something about this group may be told now; if so, there is quiet from here on. */
export function quietTable(tools: Tools, { name, span, max = 10_000 }: QuietOptions) {
  const cells = tools.table<{ until: number }>(name, { max, make: () => ({ until: 0 }) })
  return (group: string, at: number): boolean => {
    const cell = cells.of(group)
    if (isQuiet(at, cell.until, span)) return false
    cell.until = at + span
    return true
  }
}
