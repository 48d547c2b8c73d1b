/** @node Intents without a result: what a crash left open. */
import { Buffer } from 'node:buffer'
import type { AuditEntry } from '../model/entry.ts'
import { mayHold, parseEntry } from './entry-line.ts'

export interface Intents {
  /** An entry's line, not yet known to be committed. */
  seen(bytes: Buffer, start: number, end: number): void
  /** What was seen since the last call is committed; what is seen after the last call does not count. */
  committed(): void
  /** Results that came later. */
  written(entries: readonly AuditEntry[]): void
  /** In the order of the trail. */
  readonly open: readonly AuditEntry[]
}

// Only entries of changes carry one.
const operation = Buffer.from('"operationID":"')

export function collectIntents(): Intents {
  const open = new Map<string, AuditEntry>()
  let waiting: string[] = []

  function close(entry: AuditEntry): void {
    if (entry.operationID !== undefined && entry.phase === 'result') open.delete(entry.operationID)
  }

  return {
    seen(bytes, start, end) {
      if (mayHold(bytes, { start, end }, operation)) waiting.push(bytes.toString('utf8', start, end))
    },
    committed() {
      if (waiting.length === 0) return
      for (const text of waiting) {
        const entry = parseEntry(text)
        if (entry?.operationID === undefined) continue
        if (entry.phase === 'intent') open.set(entry.operationID, entry)
        else close(entry)
      }
      waiting = []
    },
    written(entries) {
      if (open.size > 0) for (const entry of entries) close(entry)
    },
    get open() {
      return [...open.values()]
    },
  }
}
