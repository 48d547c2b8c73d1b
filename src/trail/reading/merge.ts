/** Several instances as one: their entries by `eventID`, which begins with the time. */
import type { TrailEntry } from './read.ts'
import type { Runs } from './runs.ts'

/** One instance: the run of entries that was read last, and how far it is used up. */
interface Source {
  readonly runs: Runs
  run: readonly TrailEntry[]
  at: number
}

/** All entries of the sources by `eventID`, each source in its own order. */
export async function* merged(all: readonly Runs[]): AsyncGenerator<TrailEntry, void, undefined> {
  const sources: Source[] = all.map((runs) => ({ runs, run: [], at: 0 }))
  try {
    for (;;) {
      const next = await firstOf(sources)
      if (next === undefined) return
      yield next
    }
  } finally {
    await Promise.all(sources.map(({ runs }) => runs.return()))
  }
}

/** Takes the entry with the lowest event id of those that come next; undefined when there are no more. */
async function firstOf(sources: Source[]): Promise<TrailEntry | undefined> {
  let first: Source | undefined
  let lowest: TrailEntry | undefined
  for (const source of sources) {
    const head = source.run[source.at] ?? (await nextRun(source))
    if (head === undefined || (lowest !== undefined && lowest.entry.eventID <= head.entry.eventID)) continue
    first = source
    lowest = head
  }
  if (first !== undefined) first.at++
  return lowest
}

async function nextRun(source: Source): Promise<TrailEntry | undefined> {
  for (;;) {
    const { done, value } = await source.runs.next()
    if (done === true) return undefined
    source.run = value
    source.at = 0
    if (value[0] !== undefined) return value[0]
  }
}
