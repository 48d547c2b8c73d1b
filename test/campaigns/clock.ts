/**
 * @node The clock goes back by seconds, hours, years, and forward, and stands still: order, deadlines and promises do not
 * hang on it.
 */
import { join } from 'node:path'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import { turn } from '../audit/puppet.ts'
import { volatileFileSystem } from '../storage/volatile.ts'
import type { Campaign, Violation } from './campaign.ts'
import { type Chance, chance } from './chance.ts'
import { auditOf, type House, makeFolders, openHouse, withFolder } from './house.ts'
import { judge } from './judge.ts'
import { committedEntries } from './lines.ts'
import { loadProduct, type Product } from './product.ts'
import { type QuickClock, quickClock } from './quick-clock.ts'
import { plaintextOf } from './seen.ts'
import { type Work, work } from './work.ts'

const second = 1000
const hour = 3600 * second
const year = 365 * 24 * hour
const jumps = [0, -100, -2 * second, -hour, -year, -10 * year, 2 * second, hour, year, 10 * year]
/** The second is that of a machine whose battery is empty. */
const starts = [Date.UTC(2026, 0, 2, 3, 4, 5), 0]

/** Further back than this is told in an entry. */
const toldMs = 1000

export const clock: Campaign = async ({ seed, count, product: from, only, first, say }) => {
  const product = await loadProduct(from)
  const luck = chance(seed)
  const found: Violation[] = []
  for (let number = 0; number < count; number++) {
    const name = String(luck.below(2 ** 31))
    if (only !== undefined && name !== only) continue
    const tried = withFolder((folder) => tryCase(product, folder, chance(Number(name))))
    const wrong = await tried.catch((error) => [`P6: ${error}`])
    for (const what of wrong) found.push({ case: name, what })
    if (wrong.length > 0) say?.(`${name}: ${wrong.join('; ')}`)
    if (first && found.length > 0) break
  }
  return found
}

interface Scene {
  readonly product: Product
  readonly time: QuickClock
  readonly luck: Chance
  readonly gate: Gate
  readonly begun: Work
  readonly wrong: string[]
}

async function tryCase(product: Product, folder: string, luck: Chance): Promise<readonly string[]> {
  makeFolders(folder)
  const disk = volatileFileSystem({ mount: folder })
  const gate = gated(disk)
  const time = quickClock(luck.pick(starts))
  const scene: Scene = { product, time, luck, gate, begun: work(), wrong: [] }
  for (let process = 0; process < 2; process++) await oneProcess(scene, folder)
  const place = { folder, fs: disk, clock: time }
  const after = judge({ product, place, seen: scene.begun.seen }).catch((error) => [`P5: afterwards: ${error}`])
  return [...scene.wrong, ...(await time.until(after))]
}

async function oneProcess(scene: Scene, folder: string): Promise<void> {
  const { product, time, luck, gate, begun, wrong } = scene
  const place = { folder, fs: gate.fs, clock: time }
  const { kms, local, trail } = await time.until(openHouse(product, place))
  const from = Number(trail.size)
  // The highest that an entry has seen, and what it must tell when it finds the clock behind that.
  let highest = Number.NEGATIVE_INFINITY
  const steps: number[] = []
  const rest = async () => {
    highest = Math.max(highest, time.now())
    const jump = luck.pick(jumps)
    // Before 1970 no clock goes.
    if (time.now() + jump >= 0) time.step(jump)
    if (highest - time.now() > toldMs + 100) {
      steps.push(highest - time.now())
      highest = time.now()
    }
    await time.pass(luck.pick([0, 100]))
  }
  await time.until(begun.run(kms, rest))
  await deadlines(scene, kms)
  const idleFrom = Number(trail.size)
  const idleTo = idleFrom + (await idle(scene, trail))
  await time.until(kms.close()).catch((error) => wrong.push(`it does not close: ${error}`))
  await time.until(Promise.resolve(local.close?.()))

  const entries = (await committedEntries(gate.fs, join(auditOf({ folder }), 'main'))).slice(from)
  wrong.push(...outOfOrder(entries))
  wrong.push(...arrhythmic(entries.slice(idleFrom - from, idleTo - from)))
  const told = entries.filter(({ action }) => action === 'audit.clock_stepped').map(({ details }) => details?.steppedMs)
  for (const [at, step] of steps.entries()) {
    const off = Math.abs((told[at] ?? Number.NaN) - step)
    if (!(off <= 200)) wrong.push(`the clock went back by ${step} ms, and the trail tells ${told[at] ?? 'nothing'}`)
  }
}

/** Order is that of the trail, and the ids say the same. */
function outOfOrder(entries: readonly AuditEntry[]): readonly string[] {
  const wrong: string[] = []
  for (const [at, { eventID, sequence }] of entries.entries()) {
    const next = entries[at + 1]
    if (next === undefined) continue
    if (next.sequence !== sequence + 1) wrong.push(`after entry ${sequence} comes ${next.sequence}`)
    // An intent's and a failure's ids may be reserved before others are queued; those of the trail still grow.
    if (next.eventID <= eventID) wrong.push(`the id of entry ${next.sequence} is not above that of the one before`)
  }
  return wrong
}

/** A call waits as long as it should, whatever the clock says meanwhile. */
async function deadlines(scene: Scene, kms: House['kms']): Promise<void> {
  const { time, luck, gate, wrong } = scene
  const encrypt = () => kms.encrypt({ key: 'seal', plaintext: plaintextOf('seal') })
  const jump = () => {
    const by = luck.pick([-year, -hour, hour, year])
    if (time.now() + by >= 0) time.step(by)
  }
  gate.close()
  const patient = encrypt()
  await turn()
  jump()
  await time.pass(50)
  gate.open()
  await time.until(patient).catch((error) => wrong.push(`a step of the clock ended a call: ${error}`))

  gate.close()
  const begunAt = time.monotonic()
  const hopeless = encrypt()
  await turn()
  jump()
  const settled = await time.until(hopeless).then(
    () => 'answered',
    () => 'refused',
  )
  const waited = time.monotonic() - begunAt
  if (settled === 'answered') wrong.push('P1: a result left while its entry could not be written')
  if (waited > 10_100) wrong.push(`P6: a call took ${waited} ms when the clock stepped`)
  gate.open()
  if (!(await time.until(scene.begun.probe(kms)))) {
    await time.pass(10_000)
    if (!(await time.until(scene.begun.probe(kms)))) wrong.push('P6: it does not go on after the step')
  }
}

const idleHours = 5

/** Hours in which nothing is called and the clock jumps about; resolves to the number of entries that they made. */
async function idle({ time, luck }: Scene, trail: House['trail']): Promise<number> {
  const before = Number(trail.size)
  for (let minutes = 0; minutes < idleHours * 60; minutes += 10) {
    const by = luck.pick(jumps)
    if (luck.next() < 0.2 && time.now() + by >= 0) time.step(by)
    await time.pass(10 * 60 * second)
    await turn()
  }
  return Number(trail.size) - before
}

/** One heartbeat an hour of time that passed, whatever the clock says. */
function arrhythmic(entries: readonly AuditEntry[]): readonly string[] {
  const beats = entries.filter(({ action }) => action === 'audit.heartbeat')
  const wrong: string[] = []
  if (Math.abs(beats.length - idleHours) > 1) wrong.push(`${beats.length} heartbeats in ${idleHours} hours`)
  for (const { details } of beats) {
    const { idleMs = Number.NaN } = details ?? {}
    if (!(idleMs >= 0.8 * hour && idleMs <= 1.5 * hour))
      wrong.push(`a heartbeat tells of ${idleMs} ms without an entry`)
  }
  return wrong
}

interface Gate {
  readonly fs: FileSystem
  /** Appends wait. */
  close(): void
  open(): void
}

function gated(disk: FileSystem): Gate {
  let opened: Promise<void> | undefined
  let open = () => {}
  return {
    fs: {
      ...disk,
      async open(path, how, mode) {
        const file = await disk.open(path, how, mode)
        return {
          ...file,
          async write(bytes) {
            await opened
            return file.write(bytes)
          },
        }
      },
    },
    close() {
      opened = new Promise((resolve) => {
        open = resolve
      })
    },
    open() {
      open()
      opened = undefined
    },
  }
}
