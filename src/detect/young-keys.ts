/** Keys that are taken away by whoever has just made them: a test, or a slip that is put right. Nobody lost anything. */
import { isNear } from './deed.ts'
import type { Seen } from './rule.ts'
import type { Tools } from './tools.ts'

export interface YoungKeys {
  /** Remembers a key that `seen` made. */
  made(seen: Seen): void
  /** Whether the actor of `seen` made its key within the last day. */
  isOwn(seen: Seen): boolean
}

interface Cell {
  at: number
  by: string
}

const youngMs = 86_400_000

export function youngKeys(tools: Tools): YoungKeys {
  const cells = tools.table<Cell>('young', { max: 5000, make: () => ({ at: 0, by: '' }) })
  return {
    made({ key, at, actor = '' }) {
      if (key === undefined) return
      const cell = cells.of(key)
      cell.at = at
      cell.by = actor
    },
    isOwn({ key = '', at, actor }) {
      const cell = cells.get(key)
      return cell !== undefined && actor !== undefined && cell.by === actor && isNear(at, cell.at, youngMs)
    },
  }
}
