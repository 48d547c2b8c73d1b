/** What follows a seal, in the background: never in the way of a write, and tried again when it failed. */
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import { settledWithin } from './bounded.ts'
import { problemOf } from './problem.ts'

export interface Upkeep {
  /** The segments below entry `size` are finished. */
  sealed(size: bigint): void
  /** Runs `work` by itself, after what is under way; `fs` changes nothing any more once the trail is closed. */
  alone<T>(work: (fs: FileSystem) => Promise<T>): Promise<T>
  /** Why the last attempt failed. */
  readonly problem: string | undefined
  /** Waits for what is under way, two seconds at most; from then on it changes nothing. */
  close(): Promise<void>
}

export interface UpkeepOptions {
  readonly fs: FileSystem
  readonly clock: Clock
  /** Throws when this process may no longer write. */
  readonly check: () => void
  /** What is to be done about the finished segments below entry `size`; repeated from the start after a failure. */
  readonly follow: (fs: FileSystem, size: bigint) => Promise<void>
}

const longestCloseMs = 2000

export function openUpkeep({ fs, clock, check, follow }: UpkeepOptions): Upkeep {
  let stopped = false
  const stoppable = stoppableFileSystem(fs, () => {
    if (stopped) throw new KmsError('CLOSED', 'the trail is closed')
    check()
  })
  let running: Promise<unknown> = Promise.resolve()
  let newest = 0n
  let planned = false
  let problem: string | undefined

  function alone<T>(work: (fs: FileSystem) => Promise<T>): Promise<T> {
    const result = running.then(() => work(stoppable))
    running = result.catch(ignore)
    return result
  }

  async function followNewest(): Promise<void> {
    planned = false
    try {
      await follow(stoppable, newest)
      problem = undefined
    } catch (error) {
      problem = problemOf(error)
    }
  }

  return {
    sealed(size) {
      newest = size
      if (planned) return
      planned = true
      running = running.then(followNewest)
    },
    alone,
    get problem() {
      return problem
    },
    async close() {
      await settledWithin(clock, longestCloseMs, running)
      stopped = true
    },
  }
}

function stoppableFileSystem(fs: FileSystem, check: () => void): FileSystem {
  const checked =
    <A extends unknown[], R>(run: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      check()
      return run(...args)
    }
  return {
    ...fs,
    open: checked(fs.open),
    makeFolder: checked(fs.makeFolder),
    rename: checked(fs.rename),
    link: checked(fs.link),
    remove: checked(fs.remove),
    syncFolder: checked(fs.syncFolder),
  }
}

/** For a failure that whoever asked for the work has heard of. */
function ignore(): void {}
