/** Several instances as one: their entries by `eventID`, which begins with the time. */
import type { TrailEntry } from './read.ts'
import type { Runs } from './runs.ts'

/** One instance: the run of entries that was read last, and how far it is used up. */
interface Source {
  readonly runs: Runs
  run: readonly TrailEntry[]
  at: number
}

/** All entries of the sources by `eventID`, each source in its own order; in runs as long as no source has to be asked for more. */
export async function* merged(all: readonly Runs[]): Runs {
  let sources: readonly Source[] = all.map((runs) => ({ runs, run: [], at: 0 }))
  try {
    for (;;) {
      const left: Source[] = []
      for (const source of sources) if (await hasMore(source)) left.push(source)
      sources = left
      const [only] = left
      if (only === undefined) return
      yield left.length === 1 ? restOf(only) : untilOneEnds(left)
    }
  } finally {
    await Promise.all(all.map((runs) => runs.return()))
  }
}

async function hasMore(source: Source): Promise<boolean> {
  while (source.at >= source.run.length) {
    const { done, value } = await source.runs.next()
    if (done === true) return false
    source.run = value
    source.at = 0
  }
  return true
}

function restOf(source: Source): readonly TrailEntry[] {
  const { run, at } = source
  source.at = run.length
  return at === 0 ? run : run.slice(at)
}

/** Takes the entry with the lowest event id of those that come next, again and again; of equal ones that of the first source. */
function untilOneEnds(sources: readonly Source[]): readonly TrailEntry[] {
  const taken: TrailEntry[] = []
  for (;;) {
    let first: Source | undefined
    let lowest: TrailEntry | undefined
    for (const source of sources) {
      const head = source.run[source.at]
      if (head === undefined) return taken
      if (lowest !== undefined && lowest.entry.eventID <= head.entry.eventID) continue
      first = source
      lowest = head
    }
    if (first === undefined || lowest === undefined) return taken
    first.at++
    taken.push(lowest)
  }
}
