/**
 * @node Power cuts at every step of a run: what was not synced is dropped, reordered and torn, and what was acknowledged
 * by then is there.
 */
import { join } from 'node:path'
import { type VolatileFileSystem, volatileFileSystem } from '../storage/volatile.ts'
import type { Campaign } from './campaign.ts'
import { chance } from './chance.ts'
import { makeFolders, openHouse, withFolder } from './house.ts'
import { liveThrough } from './life.ts'
import { loadProduct, type Product } from './product.ts'
import { quickClock } from './quick-clock.ts'
import type { Seen } from './seen.ts'
import { judgeStates, mountAt, type State } from './states.ts'
import { watchedFileSystem } from './watched.ts'
import { work } from './work.ts'

/** A case is a moment and a seed for what is left: `<moment>/<seed>`. */
export const power: Campaign = async ({ seed, count, product: from, only, first, say }) => {
  const product = await loadProduct(from)
  const moments = await countMoments(product)
  const luck = chance(seed)
  const planned = Array.from({ length: count }, () => ({ at: luck.below(moments), seed: luck.below(2 ** 31) }))
  const cuts = planned
    .map((one) => ({ ...one, name: `${one.at}/${one.seed}` }))
    .filter(({ name }) => only === undefined || name === only)
  const statesOfSome = (folder: string, some: readonly Cut[]) => statesOf(product, folder, some)
  return judgeStates({ product, cases: cuts, statesOf: statesOfSome, first, ...(say && { say }) })
}

interface Cut {
  readonly name: string
  readonly at: number
  readonly seed: number
}

/** What each cut of one and the same run leaves. */
async function statesOf(product: Product, folder: string, cuts: readonly Cut[]): Promise<readonly State[]> {
  const states: State[] = []
  await live(product, folder, ({ disk, seen, at }) => {
    for (const cut of cuts) {
      if (cut.at !== at) continue
      const mount = mountAt(folder, states.length)
      states.push({ name: cut.name, disk: disk.cut(chance(cut.seed).next, mount), seen: [...seen] })
    }
  })
  return states
}

interface Moment {
  readonly disk: VolatileFileSystem
  readonly seen: readonly Seen[]
  readonly at: number
}

async function countMoments(product: Product): Promise<number> {
  let moments = 0
  await withFolder((folder) => live(product, folder, () => moments++))
  return moments
}

/**
 * Three processes after one another, of which the second is killed, so that cuts fall into openings and into recoveries
 * as well.
 */
async function live(product: Product, folder: string, onMoment: (moment: Moment) => void): Promise<void> {
  const mount = join(folder, 'house')
  makeFolders(mount)
  const disk = volatileFileSystem({ mount, newFolders: 'named' })
  const clock = quickClock()
  const begun = work()
  const { seen, errors } = begun
  let at = 0
  for (const killedAfter of [Number.POSITIVE_INFINITY, 400, Number.POSITIVE_INFINITY]) {
    const fs = watchedFileSystem(disk, ({ operation, number }) => {
      if (number >= killedAfter) return { fail: 'EIO' }
      if (changing.has(operation)) onMoment({ disk, seen, at: at++ })
      return undefined
    })
    const place = { folder: mount, fs, clock }
    const house = await clock.until(openHouse(product, place))
    await clock.until(liveThrough({ house, place, begun, clock }))
    for (const close of [() => house.kms.close(), () => Promise.resolve(house.local.close?.())]) {
      await clock.until(close()).catch((error) => {
        // A killed one only gives back what the kernel would: its sockets.
        if (killedAfter === Number.POSITIVE_INFINITY) throw error
      })
    }
  }
  onMoment({ disk, seen, at })
  if (seen.length < 60) throw new Error(`too little was answered: ${errors.join(', ')}`)
}

/** Between the others nothing changes on the disk. */
const changing: ReadonlySet<string> = new Set([
  'open',
  'write',
  'truncate',
  'sync',
  'makeFolder',
  'rename',
  'link',
  'remove',
  'syncFolder',
])
