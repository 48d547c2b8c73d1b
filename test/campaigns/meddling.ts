/**
 * @node Somebody removes, moves, shortens, links or replaces files of a trail and its keystore under a process at work:
 * what is acknowledged afterwards is there, and a trail that lacks anything is never called valid.
 */
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Campaign, CampaignOptions, Violation } from './campaign.ts'
import { chance } from './chance.ts'
import { auditOf, type House, keysOf, openHouse, type Place, withFolder } from './house.ts'
import { committedEntries } from './lines.ts'
import { loadProduct, type Product } from './product.ts'
import { type QuickClock, quickClock } from './quick-clock.ts'
import type { Seen } from './seen.ts'
import { type Work, work } from './work.ts'

/** What is meddled with: its path, or undefined while there is none. */
const targets: Readonly<Record<string, (folder: string) => string | undefined>> = {
  'the last segment': (folder) => lastIn(segmentsOf(folder), /\.jsonl$/),
  'the first segment': (folder) => firstIn(segmentsOf(folder), /\.jsonl$/),
  'the checkpoint': (folder) => join(trailOf(folder), 'checkpoint'),
  'trail.json': (folder) => join(trailOf(folder), 'trail.json'),
  'the lock': (folder) => lastIn(trailOf(folder), /^lock\.\d+$/),
  'the socket': (folder) => lastIn(trailOf(folder), /^lock\..*\.sock$/),
  'the segments': segmentsOf,
  'the instance': trailOf,
  'the trail': (folder) => auditOf({ folder }),
  'the newest keys': (folder) => lastIn(keysOf({ folder }), /\.keys$/),
  'the keystore': (folder) => keysOf({ folder }),
}

const meddlings: Readonly<Record<string, (path: string) => void>> = {
  removed: (path) => rmSync(path, { recursive: true }),
  moved: (path) => renameSync(path, awayFrom(path)),
  emptied: (path) => truncateSync(path, 0),
  shortened: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  'shortened by a line': (path) => truncateSync(path, Math.max(0, statSync(path).size - 1)),
  lengthened: (path) => writeFileSync(path, '{"torn', { flag: 'a' }),
  'given a second name': (path) => linkSync(path, `${path}.second`),
  'replaced by a copy': (path) => {
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
  },
  'replaced by a link to itself elsewhere': (path) => {
    renameSync(path, awayFrom(path))
    symlinkSync(awayFrom(path), path)
  },
  'replaced by an empty folder': (path) => {
    renameSync(path, awayFrom(path))
    mkdirSync(path, { mode: 0o700 })
  },
}

interface Case {
  readonly name: string
  readonly target: (folder: string) => string | undefined
  readonly meddle: (path: string) => void
  /** After so many rests of the work; at the last one the process has done all its calls. */
  readonly moment: number
}

const moments = [0, 1, 2, 3]

export const meddling: Campaign = async (options) => {
  const product = await loadProduct(options.product)
  const found: Violation[] = []
  for (const one of casesOf(options)) {
    const wrong = await withFolder((folder) => tryCase(product, folder, one))
    for (const what of wrong) found.push({ case: one.name, what })
    options.say?.(`${one.name}: ${wrong.length === 0 ? 'holds' : wrong.join('; ')}`)
    if (options.first && found.length > 0) break
  }
  return found
}

function casesOf({ seed, count, only }: CampaignOptions): readonly Case[] {
  const all = Object.entries(targets).flatMap(([of, target]) =>
    Object.entries(meddlings).flatMap(([what, meddle]) =>
      moments.map((moment): Case => ({ name: `${of} ${what} at ${moment}`, target, meddle, moment })),
    ),
  )
  if (only !== undefined) return all.filter(({ name }) => name === only)
  const luck = chance(seed)
  const ranked = all.map((one) => ({ one, rank: luck.next() })).sort((a, b) => a.rank - b.rank)
  return ranked.slice(0, count).map(({ one }) => one)
}

interface Scene {
  readonly product: Product
  readonly place: Place
  readonly clock: QuickClock
  readonly begun: Work
  readonly wrong: string[]
}

async function tryCase(product: Product, folder: string, { target, meddle, moment }: Case): Promise<readonly string[]> {
  const clock = quickClock()
  const place: Place = { folder, fs: product.nodeFileSystem, clock }
  const begun = work()
  const scene: Scene = { product, place, clock, begun, wrong: [] }
  const house = await clock.until(openHouse(product, place))
  let rests = 0
  let before = 0
  const rest = async () => {
    await clock.pass(100)
    if (rests++ !== moment) return
    // The checkpoint of what was acknowledged is published by then.
    await clock.until(house.trail.flush?.() ?? Promise.resolve())
    const path = target(folder)
    if (path !== undefined && existsSync(path)) attempt(() => meddle(path))
    before = begun.seen.length
  }
  await clock.until(begun.run(house.kms, rest)).catch((error) => scene.wrong.push(`P6: ${error}`))
  if (rests === moment) await rest()
  await clock.until(begun.probe(house.kms))
  await closeAll(scene, house)

  const entries = await entriesIn(scene)
  for (const { eventID, operation, key } of begun.seen.slice(before))
    if (!entries.has(eventID)) scene.wrong.push(`P1: ${operation} ${key} was released afterwards and is nowhere`)
  await neverValidWithout(scene, house.trail.vkey, 'as it was left')
  await openAgain(scene, house.trail.vkey)
  return scene.wrong
}

/** Some meddlings do not apply to some targets, such as shortening a folder. */
function attempt(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
  }
}

async function closeAll({ product, clock, wrong }: Scene, { kms, local }: House): Promise<void> {
  for (const close of [() => kms.close(), () => Promise.resolve(local.close?.())]) {
    await clock.until(close()).catch((error) => {
      if (!(error instanceof product.KmsError)) wrong.push(`a foreign error came out at closing: ${error}`)
    })
  }
}

/** The next process refuses what is there, or goes on with it; then it must not look whole when it is not. */
async function openAgain(scene: Scene, vkey: string): Promise<void> {
  const { product, place, clock, begun, wrong } = scene
  let house: House
  try {
    house = await clock.until(openHouse(product, place))
  } catch (error) {
    if (!(error instanceof product.KmsError)) wrong.push(`a foreign error came out at opening again: ${error}`)
    return
  }
  await clock.until(begun.probe(house.kms))
  await closeAll(scene, house)
  // An outside verifier knows the key of the trail that was, which is not that of a new one in its place.
  await neverValidWithout(scene, vkey, 'after another process')
}

/** P4 and P5: valid means that everything acknowledged is there. */
async function neverValidWithout({ product, place, begun, wrong }: Scene, vkey: string, when: string): Promise<void> {
  let verdict: string
  try {
    verdict = (await product.verifyTrail(auditOf(place), { vkey })).verdict
  } catch (error) {
    if (!(error instanceof product.KmsError)) wrong.push(`a foreign error came out of verifying ${when}: ${error}`)
    return
  }
  if (verdict !== 'valid') return
  const entries = await entriesIn({ place })
  const missing = begun.seen.filter(({ eventID }: Seen) => !entries.has(eventID))
  if (missing.length > 0) wrong.push(`P4: ${when} it is called valid without ${missing.length} acknowledged entries`)
}

/** Event IDs of the committed entries that are found where they belong. */
async function entriesIn({ place }: Pick<Scene, 'place'>): Promise<ReadonlySet<string>> {
  const { fs, folder } = place
  if (!existsSync(segmentsOf(folder))) return new Set()
  const whole = { ...fs, list: async (path: string) => readdirSync(path).filter((name) => isFile(join(path, name))) }
  return new Set((await committedEntries(whole, trailOf(folder))).map(({ eventID }) => eventID))
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile()
}

/** Beside the keystore and the trail. */
function awayFrom(path: string): string {
  let folder = dirname(path)
  while (/\/(?:keys|audit|main|segments)$/.test(folder)) folder = dirname(folder)
  return join(folder, 'away')
}

function trailOf(folder: string): string {
  return join(auditOf({ folder }), 'main')
}

function segmentsOf(folder: string): string {
  return join(trailOf(folder), 'segments')
}

function lastIn(folder: string, pattern: RegExp): string | undefined {
  return namesIn(folder, pattern).at(-1)
}

function firstIn(folder: string, pattern: RegExp): string | undefined {
  return namesIn(folder, pattern)[0]
}

function namesIn(folder: string, pattern: RegExp): readonly string[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => pattern.test(name))
  return names.sort().map((name) => join(folder, name))
}
