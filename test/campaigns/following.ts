/** @node Readers beside a writer at work: nothing counts as safe before it is, and no follower passes what is published. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import type { followTrail, Trail } from '../../src/trail/index.ts'
import { turn } from '../audit/puppet.ts'
import type { Campaign, Violation } from './campaign.ts'
import { type Chance, chance } from './chance.ts'
import { withFolder } from './house.ts'
import { loadProduct, type Product } from './product.ts'
import { type QuickClock, quickClock } from './quick-clock.ts'
import { entryOf, signerOf } from './tamper-trails.ts'

export const following: Campaign = async ({ seed, count, product: from, only, first, say }) => {
  const product = await loadProduct(from)
  const { followTrail: follow } = await import(pathToFileURL(join(from, 'trail/index.ts')).href)
  const luck = chance(seed)
  const found: Violation[] = []
  for (let number = 0; number < count; number++) {
    const name = String(luck.below(2 ** 31))
    if (only !== undefined && name !== only) continue
    const tried = withFolder((folder) => tryCase({ product, follow, folder, luck: chance(Number(name)) }))
    const wrong = await tried.catch((error) => [`${error}`])
    for (const what of wrong) found.push({ case: name, what })
    if (wrong.length > 0) say?.(`${name}: ${wrong.join('; ')}`)
    if (first && found.length > 0) break
  }
  return found
}

interface Trying {
  readonly product: Product
  readonly follow: typeof followTrail
  readonly folder: string
  readonly luck: Chance
}

async function tryCase({ product, follow, folder, luck }: Trying): Promise<readonly string[]> {
  const wrong = new Set<string>()
  const clock = quickClock()
  const disk = slowDisk(product.nodeFileSystem)
  const opening = {
    path: folder,
    signer: signerOf(7),
    segmentBytes: 3000,
    clock,
    fs: disk.fs,
    allowFilesystem: ['tmpfs'],
  }
  const trail = await product.openTrail(opening)
  const published = () => publishedSize(trail)
  const ended = new AbortController()
  let followed = 0n
  const follower = (async () => {
    for await (const { index } of follow(folder, {}, { signal: ended.signal, everyMs: 1 })) {
      if (index !== followed) wrong.add(`after entry ${followed - 1n} the follower got ${index}`)
      followed = index + 1n
      if (index >= published()) wrong.add('P5: the follower got an entry that is not published as safe')
    }
  })()

  for (let step = 0; step < 12; step++) {
    const { written } = await act({ trail, clock, luck, disk })
    if (published() > disk.safe()) wrong.add('P5: entries are published as safe that are not on the disk')
    const before = published()
    const read: { readonly index: bigint; readonly covered: boolean }[] = []
    for await (const { index, covered } of product.readTrail(folder)) read.push({ index, covered })
    const after = published()
    if (read.some(({ index, covered }) => covered && index >= after))
      wrong.add('P5: a reader calls safe what is not published')
    if (read.some(({ index, covered }) => !covered && index < before)) wrong.add('a reader doubts what is published')
    disk.open()
    await written
  }
  await trail.close()
  for (let waited = 0; followed < trail.size && waited < 2000; waited++) await new Promise((go) => setTimeout(go, 5))
  ended.abort()
  await follower
  if (followed !== trail.size) wrong.add(`the follower got ${followed} entries of ${trail.size}`)
  return [...wrong]
}

interface Acting {
  readonly trail: Trail
  readonly clock: QuickClock
  readonly luck: Chance
  readonly disk: SlowDisk
}

/** A batch, which the disk may take its time for; and maybe the time after which what is safe gets published. */
async function act({ trail, clock, luck, disk }: Acting): Promise<{ readonly written: Promise<unknown> }> {
  const first = Number(trail.size)
  const batch = Array.from({ length: 1 + luck.below(4) }, (_, at) => entryOf(first + at))
  const isSlow = luck.next() < 0.5
  if (isSlow) disk.hold()
  const written = trail.write(batch)
  if (!isSlow) await written
  if (luck.next() < 0.6) {
    await clock.pass(60)
    for (let turns = 0; turns < 20; turns++) await turn()
  }
  if (!isSlow && luck.next() < 0.3) await trail.flush?.()
  return { written }
}

interface SlowDisk {
  readonly fs: FileSystem
  /** Syncs of segments wait. */
  hold(): void
  open(): void
  /** Entries that were synced. */
  safe(): bigint
}

function slowDisk(under: FileSystem): SlowDisk {
  const synced = new Map<string, bigint>()
  let opened: Promise<void> = Promise.resolve()
  let open = () => {}
  return {
    fs: {
      ...under,
      async open(path, how, mode) {
        const file = await under.open(path, how, mode)
        const isSegment = path.endsWith('.jsonl')
        return {
          ...file,
          durable: false,
          async sync() {
            if (!isSegment) return
            await opened
            synced.set(path, entriesIn(path))
          },
        }
      },
      syncFolder: async () => {},
    },
    hold() {
      opened = new Promise((resolve) => {
        open = resolve
      })
    },
    open: () => open(),
    safe: () => [...synced.values()].reduce((sum, one) => sum + one, 0n),
  }
}

function entriesIn(path: string): bigint {
  const lines = readFileSync(path, 'utf8').split('\n')
  return BigInt(lines.filter((line) => line !== '' && !line.startsWith('{"commit":')).length)
}

/** What the checkpoint file says, read without any code of ours. */
function publishedSize({ path }: Trail): bigint {
  if (!readdirSync(path).includes('checkpoint')) return 0n
  return BigInt(readFileSync(join(path, 'checkpoint'), 'utf8').split('\n')[1] ?? 0)
}
