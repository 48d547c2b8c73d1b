/** @node Rigs of a suite that are closed, whatever comes of its tests. */
import { afterEach } from 'node:test'

/** `make`, in the suite in which this is called: what it makes is closed after the test that asked for it. */
export function closedAfterEach<O, T extends { close(): Promise<void> }>(
  make: (options?: O) => Promise<T>,
): (options?: O) => Promise<T> {
  const open: T[] = []
  afterEach(async () => {
    for (const made of open.splice(0)) await made.close()
  })
  return async (options) => {
    const made = await make(options)
    open.push(made)
    return made
  }
}
