/** One after another: work on the same thing waits for its turn, work on others does not. */

export type Turns = <T>(name: string, work: () => Promise<T>) => Promise<T>

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return async (name, work) => {
    const before = last.get(name)
    const mine = before === undefined ? work() : before.then(work)
    // What went wrong is for its own caller; the next one's turn comes all the same.
    const over = mine.then(nothing, nothing)
    last.set(name, over)
    try {
      return await mine
    } finally {
      if (last.get(name) === over) last.delete(name)
    }
  }
}

function nothing(): void {}
