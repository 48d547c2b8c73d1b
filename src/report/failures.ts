/** Failures by cause: what was answered, to what, and how many actors and keys it concerns. */
import { countOf, type Fact, textOf } from './fact.ts'
import type { ReviewedFailure } from './review.ts'
import { addTo, boundedRows, byCount, firstRows, type Room } from './rows.ts'

export interface Failures {
  take(fact: Fact): void
  told(): { readonly rows: readonly ReviewedFailure[]; readonly others: number }
}

interface Row {
  readonly statusCode: number
  readonly error: string
  readonly action: string
  readonly decryptFailure: string | undefined
  count: number
  readonly actors: Set<string>
  readonly keys: Set<string>
  readonly examples: string[]
}

const mostExamples = 5

export function collectFailures(room: Room): Failures {
  // By a text that names the cause; the row is made from the entry that is the first of it.
  const rows = boundedRows<{ row?: Row }>(() => ({}))
  return {
    take({ entry, isResult, within, outcome, action, weight, actor, asked }) {
      if (!isResult || !within || outcome !== 'failure') return
      const statusCode = countOf(entry.statusCode) ?? 0
      const error = textOf(entry.error) ?? 'unknown'
      const decryptFailure = textOf(entry.details?.decryptFailure)
      const slot = rows.of(JSON.stringify([statusCode, error, action, decryptFailure ?? null]))
      if (slot === undefined) return
      slot.row ??= {
        ...{ statusCode, error, action, decryptFailure },
        ...{ count: 0, actors: new Set(), keys: new Set(), examples: [] },
      }
      const { row } = slot
      row.count += weight
      addTo(row.actors, actor, room)
      addTo(row.keys, asked, room)
      const eventID = textOf(entry.eventID)
      if (row.examples.length < mostExamples && eventID !== undefined) row.examples.push(eventID)
    },
    told() {
      const found = rows.all().flatMap(([name, { row }]) => (row === undefined ? [] : [{ name, row }]))
      found.sort(
        byCount(
          ({ row }) => row.count,
          ({ name }) => name,
        ),
      )
      const { rows: first, others } = firstRows(found)
      return { rows: first.map(({ row }) => failureOf(row)), others: others + rows.leftOut }
    },
  }
}

function failureOf({ decryptFailure, actors, keys, ...row }: Row): ReviewedFailure {
  return { ...row, actors: actors.size, keys: keys.size, ...(decryptFailure !== undefined && { decryptFailure }) }
}
