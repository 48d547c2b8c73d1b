/** @node Many states of a disk from one run, each looked at as a process would that starts on it. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { VolatileFileSystem } from '../storage/volatile.ts'
import type { Violation } from './campaign.ts'
import { makeFolders, withFolder } from './house.ts'
import { judge } from './judge.ts'
import type { Product } from './product.ts'
import { quickClock } from './quick-clock.ts'
import type { Seen } from './seen.ts'

export interface State {
  /** Of its case. */
  readonly name: string
  /** Mounted at {@link mountAt} its place in the list. */
  readonly disk: VolatileFileSystem
  /** What the caller had in hand then. */
  readonly seen: readonly Seen[]
}

export interface Judging<C> {
  readonly product: Product
  readonly cases: readonly C[]
  /** Runs once below `folder`, and takes the state of each case on its way. */
  readonly statesOf: (folder: string, cases: readonly C[]) => Promise<readonly State[]>
  readonly first?: boolean | undefined
  readonly say?: (line: string) => void
}

/** One run serves so many cases: to look at a state costs less than what leads to it. */
const statesARun = 500

export async function judgeStates<C>({
  product,
  cases,
  statesOf,
  first: atFirst,
  say,
}: Judging<C>): Promise<readonly Violation[]> {
  const found: Violation[] = []
  for (let first = 0; first < cases.length; first += statesARun) {
    await withFolder(async (folder) => {
      const states = await statesOf(folder, cases.slice(first, first + statesARun))
      for (const [at, { name, disk, seen }] of states.entries()) {
        // Behind the clock of the run, as that of a machine that forgot the time with the power.
        const clock = quickClock(Date.UTC(2026, 0, 3, 12))
        const place = { folder: mountAt(folder, at), fs: disk, clock }
        const judged = judge({ product, place, seen }).catch((error) => [`P5: afterwards: ${error}`])
        for (const what of await clock.until(judged)) found.push({ case: name, what })
        rmSync(place.folder, { recursive: true, force: true })
        if (atFirst && found.length > 0) return
      }
    })
    if (atFirst && found.length > 0) break
    say?.(`${Math.min(first + statesARun, cases.length)} states, ${found.length} violations`)
  }
  return found
}

/** Where the state of this number stands below `folder`; made when first asked for. */
export function mountAt(folder: string, number: number): string {
  const mount = join(folder, `state-${number}`)
  makeFolders(mount)
  return mount
}
