/** Intents: those that have no result, and what an intent told of a change whose result was written by recovery. */
import type { AuditEntry } from '../model/entry.ts'
import { type Fact, textOf } from './fact.ts'
import { mostRows } from './review.ts'

export interface Intents {
  /** The intent that this result closes, if it is known. */
  take(fact: Fact): AuditEntry | undefined
  /** `eventID`s of those that were written before `before`, ms, and are open. */
  told(before: number): readonly string[]
  /** Intents that found no room. */
  readonly leftOut: number
}

export function collectIntents(): Intents {
  const open = new Map<string, { readonly entry: AuditEntry; readonly at: number }>()
  let leftOut = 0
  return {
    take({ entry, at, isResult }) {
      const operation = textOf(entry.operationID)
      if (operation === undefined) return undefined
      if (entry.phase === 'intent') {
        if (open.size < mostRows) open.set(operation, { entry, at })
        else leftOut += 1
        return undefined
      }
      if (!isResult) return undefined
      const intent = open.get(operation)?.entry
      open.delete(operation)
      return intent
    },
    told(before) {
      const old = [...open.values()].filter(({ at }) => at < before)
      return old.flatMap(({ entry }) => textOf(entry.eventID) ?? [])
    },
    get leftOut() {
      return leftOut
    },
  }
}
