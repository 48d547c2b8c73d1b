/** Intents without a result: what a crash left open. */
import type { AuditEntry } from '../../model/entry.ts'

export interface Intents {
  /** An entry that was there when the trail was opened: an intent opens, a result closes. */
  found(entry: AuditEntry): void
  /** An entry that is written now: only results count, because whoever writes an intent now will close it. */
  written(entry: AuditEntry): void
  /** In the order of the trail. */
  readonly open: readonly AuditEntry[]
}

export function collectIntents(): Intents {
  const open = new Map<string, AuditEntry>()

  function written({ operationID, phase }: AuditEntry): void {
    if (operationID !== undefined && phase === 'result') open.delete(operationID)
  }

  return {
    found(entry) {
      if (entry.phase === 'intent' && entry.operationID !== undefined) open.set(entry.operationID, entry)
      else written(entry)
    },
    written,
    get open() {
      return [...open.values()]
    },
  }
}
