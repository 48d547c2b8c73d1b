/** @node A kill in the midst of a write: every write of a run, torn at every byte. */
import { join, relative } from 'node:path'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import { type VolatileFileSystem, volatileFileSystem } from '../storage/volatile.ts'
import type { Campaign } from './campaign.ts'
import { chance } from './chance.ts'
import { makeFolders, openHouse, withFolder } from './house.ts'
import { liveThrough } from './life.ts'
import { loadProduct, type Product } from './product.ts'
import { quickClock } from './quick-clock.ts'
import type { Seen } from './seen.ts'
import { judgeStates, mountAt, type State } from './states.ts'
import { work } from './work.ts'

interface Tear {
  /** `<write>/<bytes>`. */
  readonly name: string
  /** Number of the write, and how many of its bytes are there. */
  readonly at: number
  readonly bytes: number
}

export const torn: Campaign = async ({ seed, count, product: from, only, first, say }) => {
  const product = await loadProduct(from)
  const all = (await lengthsOf(product)).flatMap((length, at) =>
    Array.from({ length }, (_, bytes): Tear => ({ name: `${at}/${bytes}`, at, bytes })),
  )
  const luck = chance(seed)
  const ranked = all.map((one) => ({ one, rank: luck.next() })).sort((a, b) => a.rank - b.rank)
  const chosen = ranked.slice(0, count).map(({ one }) => one)
  const cases = only === undefined ? chosen : all.filter(({ name }) => name === only)
  const statesOfSome = (folder: string, some: readonly Tear[]) => statesOf(product, folder, some)
  return judgeStates({ product, cases, statesOf: statesOfSome, first, ...(say && { say }) })
}

/** How long each write of a run is. */
async function lengthsOf(product: Product): Promise<readonly number[]> {
  const lengths: number[] = []
  await withFolder((folder) =>
    live(product, folder, async ({ bytes }) => {
      lengths.push(bytes.length)
    }),
  )
  return lengths
}

async function statesOf(product: Product, folder: string, tears: readonly Tear[]): Promise<readonly State[]> {
  const states: State[] = []
  await live(product, folder, async ({ at, disk, path, bytes, seen }) => {
    // All copies before the first wait, in which the process would go on.
    const made = tears
      .filter((tear) => tear.at === at)
      .map((tear, more) => {
        const mount = mountAt(folder, states.length + more)
        return { tear, mount, disk: disk.copy(mount), seen: [...seen] }
      })
    for (const { tear, disk, seen } of made) states.push({ name: tear.name, disk, seen })
    for (const { tear, mount, disk: copy } of made) {
      const file = await copy.open(join(mount, path), 'append')
      await file.write(bytes.subarray(0, tear.bytes))
    }
  })
  return states
}

interface Write {
  readonly at: number
  /** As it is before the write. */
  readonly disk: VolatileFileSystem
  /** Below the mount. */
  readonly path: string
  readonly bytes: Uint8Array
  readonly seen: readonly Seen[]
}

async function live(product: Product, folder: string, onWrite: (write: Write) => Promise<void>): Promise<void> {
  const mount = join(folder, 'house')
  makeFolders(mount)
  const disk = volatileFileSystem({ mount })
  const clock = quickClock()
  const begun = work()
  const { seen, errors } = begun
  let at = 0
  const fs: FileSystem = {
    ...disk,
    async open(path, how, mode) {
      const file = await disk.open(path, how, mode)
      return {
        ...file,
        async write(bytes) {
          await onWrite({ at: at++, disk, path: relative(mount, path), bytes, seen })
          return file.write(bytes)
        },
      }
    },
  }
  const place = { folder: mount, fs, clock }
  const house = await clock.until(openHouse(product, place))
  await clock.until(liveThrough({ house, place, begun, clock }))
  await clock.until(house.kms.close())
  await clock.until(Promise.resolve(house.local.close?.()))
  if (seen.length < 25 || errors.length > 6) throw new Error(`too little was answered: ${errors.join(', ')}`)
}
