/** What was told a short while ago is not told again: by group, such as an actor. */
import type { Tools } from './tools.ts'

export interface Quiet {
  /** Whether the group was told within the span. */
  has(group: string, at: number): boolean
  /** It is told now. */
  begin(group: string, at: number): void
  /** Whether it may be told now; if so, there is quiet from here on. */
  mayTell(group: string, at: number): boolean
}

export interface QuietOptions {
  /** Name of its table. */
  readonly name: string
  /** ms. */
  readonly span: number
  /** Most groups that are remembered; 10,000 by default. */
  readonly max?: number
}

/** Whether it is quiet at `at` until `until`. A clock that was set back for as long ends it; merged writers step back a little. */
export function isQuiet(at: number, until: number, span: number): boolean {
  return at < until && at > until - 2 * span
}

export function quietFor(tools: Tools, { name, span, max = 10_000 }: QuietOptions): Quiet {
  const cells = tools.table<{ until: number }>(name, { max, make: () => ({ until: 0 }) })
  const has = (group: string, at: number) => {
    const cell = cells.get(group)
    return cell !== undefined && isQuiet(at, cell.until, span)
  }
  const begin = (group: string, at: number) => {
    cells.of(group).until = at + span
  }
  return {
    has,
    begin,
    mayTell(group, at) {
      if (has(group, at)) return false
      begin(group, at)
      return true
    },
  }
}
