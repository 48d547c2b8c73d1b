/**
 * Each sync failing once, as on Linux: the pages are dropped, and the next sync of the file says that all is well. Then,
 * some calls later, the power goes.
 */

import type { FileSystem } from '../../src/storage/filesystem.ts'
import { type VolatileFileSystem, volatileFileSystem } from '../storage/volatile.ts'
import type { Campaign, CampaignOptions, Violation } from './campaign.ts'
import { chance } from './chance.ts'
import { makeFolders, withFolder } from './house.ts'
import { judge } from './judge.ts'
import { oneLife } from './life.ts'
import { loadProduct, type Product } from './product.ts'
import { quickClock } from './quick-clock.ts'
import type { Seen } from './seen.ts'
import { type Step, watchedFileSystem } from './watched.ts'
import { work } from './work.ts'

/** How a file is appended to: a write and a sync, or a write that is durable when it returns (O_DSYNC). */
type Appending = 'write and sync' | 'synced write'

interface Case {
  readonly name: string
  readonly appending: Appending
  /** Number of the step that fails. */
  readonly at: number
  /** So many steps later the power goes; undefined: not before the process has closed. */
  readonly cutAfter: number | undefined
}

export const fsync: Campaign = async (options) => {
  const product = await loadProduct(options.product)
  const found: Violation[] = []
  for (const one of await casesOf(options, product)) {
    const wrong = await withFolder((folder) => tryCase(product, folder, one))
    for (const what of wrong) found.push({ case: one.name, what })
    options.say?.(`${one.name}: ${wrong.length === 0 ? 'holds' : wrong.join('; ')}`)
    if (options.first && found.length > 0) break
  }
  return found
}

async function casesOf({ seed, count, only }: CampaignOptions, product: Product): Promise<readonly Case[]> {
  const all: Case[] = []
  for (const appending of ['write and sync', 'synced write'] as const) {
    for (const at of await syncsOf(product, appending)) {
      for (const cutAfter of [undefined, 10, 30, 100]) {
        const when = cutAfter === undefined ? 'closing' : `${cutAfter} steps`
        all.push({ name: `${appending}, ${at} fails, power cut after ${when}`, appending, at, cutAfter })
      }
    }
  }
  if (only !== undefined) return all.filter(({ name }) => name === only)
  const luck = chance(seed)
  const ranked = all.map((one) => ({ one, rank: luck.next() })).sort((a, b) => a.rank - b.rank)
  return ranked.slice(0, count).map(({ one }) => one)
}

/** The numbers of the steps that make something durable. */
function syncsOf(product: Product, appending: Appending): Promise<readonly number[]> {
  return withFolder(async (folder) => {
    const syncs: number[] = []
    const clock = quickClock()
    makeFolders(folder)
    const fs = watchedFileSystem(disksOf(folder, appending).fs, (step) => {
      if (isSync(step, appending)) syncs.push(step.number)
      return undefined
    })
    await oneLife({ product, place: { folder, fs, clock }, clock, begun: work() })
    return syncs
  })
}

function isSync({ operation, path }: Step, appending: Appending): boolean {
  if (operation === 'sync' || operation === 'syncFolder') return true
  return appending === 'synced write' && operation === 'write' && path.endsWith('.jsonl')
}

async function tryCase(
  product: Product,
  folder: string,
  { appending, at, cutAfter }: Case,
): Promise<readonly string[]> {
  const clock = quickClock()
  const mount = `${folder}/house`
  const after = `${folder}/cut`
  makeFolders(mount)
  makeFolders(after)
  const { disk, fs, failNext } = disksOf(mount, appending)
  const begun = work()
  let seen: readonly Seen[] | undefined
  let left: VolatileFileSystem | undefined
  const cut = () => {
    seen = [...begun.seen]
    left = disk.cut(nothingMore, after)
  }
  const watched = watchedFileSystem(fs, (step) => {
    if (cutAfter !== undefined && step.number === at + cutAfter) cut()
    if (step.number !== at) return undefined
    if (step.operation === 'syncFolder') return { fail: 'EIO' }
    if (step.operation === 'sync') {
      disk.forget(step.path)
      return { fail: 'EIO' }
    }
    failNext()
    return undefined
  })
  const wrong = await oneLife({ product, place: { folder: mount, fs: watched, clock }, clock, begun })
  if (left === undefined || seen === undefined) cut()
  // `cut` has set both.
  const place = { folder: after, fs: left ?? disk, clock }
  const judged = judge({ product, place, seen: seen ?? begun.seen }).catch((error) => [`P5: afterwards: ${error}`])
  return [...wrong, ...(await clock.until(judged))]
}

/** Of what was not synced nothing is left. */
function nothingMore(): number {
  return 0
}

interface Disks {
  readonly disk: VolatileFileSystem
  readonly fs: FileSystem
  /** The next synced write fails, and leaves nothing on the disk. */
  readonly failNext: () => void
}

function disksOf(mount: string, appending: Appending): Disks {
  const disk = volatileFileSystem({ mount })
  let failing = false
  const fs: FileSystem = {
    ...disk,
    async open(path, how, mode) {
      const file = await disk.open(path, how, mode)
      if (how !== 'append') return file
      return {
        ...file,
        durable: true,
        async write(bytes) {
          const written = await file.write(bytes)
          if (!failing) {
            await file.sync()
            return written
          }
          failing = false
          disk.forget(path)
          throw Object.assign(new Error('EIO: injected'), { code: 'EIO' })
        },
      }
    },
  }
  return {
    disk,
    fs: appending === 'synced write' ? fs : disk,
    failNext: () => {
      failing = true
    },
  }
}
