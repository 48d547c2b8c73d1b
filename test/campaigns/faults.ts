/**
 * Each operation on the file system failing once, in each way that it can: the calls settle, nothing leaves without
 * its entry, and the process goes on by itself.
 */
import { volatileFileSystem } from '../storage/volatile.ts'
import type { Campaign, CampaignOptions, Violation } from './campaign.ts'
import { chance } from './chance.ts'
import { makeFolders, withFolder } from './house.ts'
import { judge } from './judge.ts'
import { oneLife } from './life.ts'
import { loadProduct, type Product } from './product.ts'
import { quickClock } from './quick-clock.ts'
import { type Fate, type Step, watchedFileSystem } from './watched.ts'
import { work } from './work.ts'

const codes = ['EIO', 'ENOSPC', 'EROFS', 'EMFILE'] as const

/** What may befall an operation. */
const fates: Readonly<Record<string, (step: Step) => Fate>> = {
  ...Object.fromEntries(codes.map((fail) => [fail, () => ({ fail })])),
  // A write that fails has often written something; one that succeeds may have written less than it was given.
  'EIO after half': ({ operation }) => (operation === 'write' ? { fail: 'EIO', bytes: 300 } : undefined),
  'EIO after all': ({ operation }) => (operation === 'write' ? { fail: 'EIO', bytes: 1_000_000 } : undefined),
  'ENOSPC after half': ({ operation }) => (operation === 'write' ? { fail: 'ENOSPC', bytes: 300 } : undefined),
  short: ({ operation }) => (operation === 'write' ? { short: 100 } : undefined),
}

interface Case {
  readonly name: string
  readonly at: number
  readonly fate: (step: Step) => Fate
}

export const faults: Campaign = async (options) => {
  const product = await loadProduct(options.product)
  const steps: Step[] = []
  const without = await tryCase(product, (step) => {
    steps.push(step)
    return undefined
  })
  if (without.length > 0) return without.map((what) => ({ case: 'none', what }))
  const found: Violation[] = []
  for (const { name, at, fate } of casesOf(options, steps)) {
    let where = ''
    const wrong = await tryCase(product, (step) => {
      if (step.number !== at) return undefined
      where = step.path
      return fate(step)
    })
    for (const what of wrong) found.push({ case: name, what: `${what} (${where})` })
    options.say?.(`${name}: ${wrong.length === 0 ? 'holds' : wrong.join('; ')}`)
    if (options.first && found.length > 0) break
  }
  return found
}

function casesOf({ seed, count, only }: CampaignOptions, steps: readonly Step[]): readonly Case[] {
  const all = steps.flatMap((step) =>
    Object.entries(fates)
      .filter(([, fate]) => fate(step) !== undefined)
      .map(([name, fate]) => ({ name: `${name} at ${step.number} ${step.operation}`, at: step.number, fate })),
  )
  if (only !== undefined) return all.filter(({ name }) => name === only)
  const luck = chance(seed)
  const ranked = all.map((one) => ({ one, rank: luck.next() })).sort((a, b) => a.rank - b.rank)
  return ranked.slice(0, count).map(({ one }) => one)
}

function tryCase(product: Product, fate: (step: Step) => Fate): Promise<readonly string[]> {
  return withFolder((folder) => live(product, folder, fate))
}

/** One process, from opening to closing, and what the next one finds. */
async function live(product: Product, folder: string, fate: (step: Step) => Fate): Promise<readonly string[]> {
  makeFolders(folder)
  const disk = volatileFileSystem({ mount: folder })
  const clock = quickClock()
  const begun = work()
  let over = false
  const fs = watchedFileSystem(disk, (step) => (over ? undefined : fate(step)))
  const wrong = await oneLife({ product, place: { folder, fs, clock }, clock, begun })
  over = true
  const place = { folder, fs: disk, clock }
  const after = clock.until(judge({ product, place, seen: begun.seen })).catch((error) => [`P5: afterwards: ${error}`])
  return [...wrong, ...(await after)]
}
