/** @node One writer per folder: numbered lock files, of which the highest holds. */
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { type Clock, systemClock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { type FileSystem, fileError, readIfThere, removeIfThere, statusOf, systemCode, writeAll } from './filesystem.ts'
import { filesystemOf, isLocal } from './filesystem-type.ts'
import { type Listener, listenAt, someoneListens } from './liveness.ts'
import { bootId, machineId } from './machine.ts'
import { replaceFile } from './replace.ts'

export interface LockOptions {
  /** Take the lock from a holder that cannot be asked from here. Never from one that is alive on this machine. */
  readonly takeOver?: boolean
  /** For the date in the lock file. */
  readonly clock?: Clock
}

export interface Lock {
  /** Grows with every holder of this folder. */
  readonly epoch: number
  /** Throws `LOCKED` when another has taken the lock over. Two stats, about 3 µs: call it before each batch. */
  check(): void
  /** Gives the lock back. Idempotent. Finish all writes first. */
  release(): Promise<void>
}

/**
 * Takes the lock of the folder `path`, or throws `LOCKED` saying who holds it; the same process asking twice is refused too.
 *
 * Lock files are made by `link`, which fails when the name is taken: of all who try for a number, one gets it. The highest
 * is never removed, so whoever slept between looking and linking finds a higher one afterwards and withdraws.
 *
 * A holder is gone when it says so in its file, or when nobody listens on its socket and that is proof: this is the same
 * boot, or the same machine after a restart with a file system that no other kernel can have mounted. Anything else
 * (another host, a network file system) needs `takeOver`.
 */
export async function acquireLock(fs: FileSystem, path: string, options: LockOptions = {}): Promise<Lock> {
  // The process may change its working directory while it holds.
  const folder = resolve(path)
  const here: Here = {
    boot: await bootId(),
    machine: await machineId(),
    local: isLocal(await filesystemOf(fs, folder)),
  }
  // Losing a race means that another one won it, who is alive and will be met in the next round.
  for (let round = 0; round < 100; round++) {
    const highest = await highestEpoch(fs, folder)
    if (highest > 0) await refuseUnlessGone(fs, folder, { epoch: highest, here, takeOver: options.takeOver === true })
    const lock = await tryEpoch(fs, folder, { epoch: highest + 1, here, clock: options.clock ?? systemClock })
    if (lock !== undefined) return lock
  }
  throw new KmsError('LOCKED', `${folder} is wanted by too many at once: try again`)
}

/** What is known of this machine, and whether only its kernel can have the folder mounted. */
interface Here {
  readonly boot: string
  readonly machine: string
  readonly local: boolean
}

/** What a lock file says. */
interface Holder {
  readonly pid: number
  readonly host: string
  readonly machine: string
  readonly boot: string
  /** Name of the socket in the folder on which the holder listens while it lives. */
  readonly socket: string
  /** RFC 3339. */
  readonly since: string
  readonly released: boolean
}

const lockName = /^lock\.(\d{1,15})$/
// Beside `lock.7`: the sockets and unfinished files of all who tried for number 7.
const attemptName = /^lock\.(\d{1,15})(\..+)?$/

async function highestEpoch(fs: FileSystem, folder: string): Promise<number> {
  let highest = 0
  for (const name of await list(fs, folder)) highest = Math.max(highest, Number(lockName.exec(name)?.[1] ?? 0))
  return highest
}

async function list(fs: FileSystem, folder: string): Promise<readonly string[]> {
  try {
    return await fs.list(folder)
  } catch (error) {
    throw fileError('list', folder, error)
  }
}

interface Rival {
  readonly epoch: number
  readonly here: Here
  readonly takeOver: boolean
}

async function refuseUnlessGone(fs: FileSystem, folder: string, rival: Rival): Promise<void> {
  const { here, takeOver } = rival
  const path = join(folder, `lock.${rival.epoch}`)
  const bytes = await readIfThere(fs, path)
  // Removed since it was listed: there is a higher one, which linking the next number will show.
  if (bytes === undefined) return
  const holder = holderFrom(bytes)
  if (holder === undefined) {
    if (takeOver) return
    throw new KmsError('LOCKED', `${path} cannot be read: if its writer is gone for sure, open with takeOver`)
  }
  if (holder.released) return
  const who = `process ${holder.pid} on ${holder.host} since ${holder.since}`
  if (await someoneListens(join(folder, holder.socket))) throw new KmsError('LOCKED', `${folder} is in use by ${who}`)
  if (holder.boot === here.boot) return
  const restarted = here.local && here.machine !== '' && holder.machine === here.machine
  if (restarted || takeOver) return
  throw new KmsError(
    'LOCKED',
    `${folder} was locked by ${who}, which cannot be asked from here: if it is gone for sure, open with takeOver`,
  )
}

interface Attempt {
  readonly epoch: number
  readonly here: Here
  readonly clock: Clock
}

/** The lock with this number, or undefined when another was faster. */
async function tryEpoch(fs: FileSystem, folder: string, attempt: Attempt): Promise<Lock | undefined> {
  const { epoch, here, clock } = attempt
  const token = randomName()
  const socket = `lock.${epoch}.${token}.sock`
  // It listens before anyone can read its name.
  const listener = await listenAt(join(folder, socket)).catch((error) => {
    throw fileError('listen at', join(folder, socket), error)
  })
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    machine: here.machine,
    boot: here.boot,
    socket,
    since: new Date(clock.now()).toISOString(),
    released: false,
  }
  try {
    if (await won(fs, folder, { epoch, holder, temporary: `lock.${epoch}.${token}.tmp` })) {
      await clearBelow(fs, folder, { epoch, socket })
      return held(fs, folder, { epoch, holder, listener })
    }
  } catch (error) {
    await listener.close()
    throw error
  }
  await listener.close()
  return undefined
}

interface Bid {
  readonly epoch: number
  readonly holder: Holder
  readonly temporary: string
}

async function won(fs: FileSystem, folder: string, bid: Bid): Promise<boolean> {
  const path = join(folder, `lock.${bid.epoch}`)
  if (!(await linkNew(fs, { path, temporary: join(folder, bid.temporary), bytes: bytesOf(bid.holder) }))) return false
  if ((await highestEpoch(fs, folder)) === bid.epoch) return true
  await removeIfThere(fs, path)
  return false
}

interface NewFile {
  readonly path: string
  readonly temporary: string
  readonly bytes: Uint8Array
}

async function linkNew(fs: FileSystem, file: NewFile): Promise<boolean> {
  try {
    const written = await fs.open(file.temporary, 'create')
    try {
      await writeAll(written, file.bytes)
      // An empty lock file after a power cut would name nobody, and keep everybody out.
      await written.sync()
    } finally {
      await written.close()
    }
    await fs.link(file.temporary, file.path)
    return true
  } catch (error) {
    const code = systemCode(error)
    // ENOENT: a winner has cleared the temporary file away.
    if (code === 'EEXIST' || code === 'ENOENT') return false
    throw fileError('lock', file.path, error)
  } finally {
    await removeIfThere(fs, file.temporary)
  }
}

/** Removes what lower numbers and lost attempts left. A slow loser whose socket goes with it has lost already. */
async function clearBelow(fs: FileSystem, folder: string, own: { epoch: number; socket: string }): Promise<void> {
  const doomed = (await list(fs, folder)).filter((name) => {
    const ours = name === own.socket || name === `lock.${own.epoch}`
    return !ours && epochOf(name) <= own.epoch
  })
  // Lowest first: a deposed holder misses its own file before its successor's is gone.
  for (const name of doomed.sort((a, b) => epochOf(a) - epochOf(b))) await removeIfThere(fs, join(folder, name))
}

function epochOf(name: string): number {
  return Number(attemptName.exec(name)?.[1] ?? Number.POSITIVE_INFINITY)
}

interface Held {
  readonly epoch: number
  readonly holder: Holder
  readonly listener: Listener
}

function held(fs: FileSystem, folder: string, { epoch, holder, listener }: Held): Lock {
  const path = join(folder, `lock.${epoch}`)
  const next = join(folder, `lock.${epoch + 1}`)
  const inode = statusOf(fs, path)?.inode
  let released: Promise<void> | undefined

  // The next number is there from the moment of a takeover; soon after, ours is cleared away.
  const holds = () => statusOf(fs, next) === undefined && inode !== undefined && statusOf(fs, path)?.inode === inode

  async function giveBack(): Promise<void> {
    try {
      if (holds()) await replaceFile(fs, path, bytesOf({ ...holder, released: true }))
    } finally {
      await listener.close()
      await removeIfThere(fs, join(folder, holder.socket))
    }
  }

  return {
    epoch,
    check() {
      if (released === undefined && holds()) return
      throw new KmsError('LOCKED', `${folder} was taken over by another process: open it again`)
    },
    release() {
      released ??= giveBack()
      return released
    },
  }
}

function bytesOf(holder: Holder): Uint8Array {
  return new host.TextEncoder().encode(`${JSON.stringify(holder)}\n`)
}

function holderFrom(bytes: Uint8Array): Holder | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(new host.TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    // Anything else than bad text would be ours to hear of.
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
  return isHolder(parsed) ? parsed : undefined
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null) return false
  const fields = value as Record<string, unknown> // an object, whose fields are checked one by one
  const texts = ['host', 'machine', 'boot', 'since'].every((name) => typeof fields[name] === 'string')
  const socket = fields['socket']
  // Only a name that we make: never a path out of the folder.
  const named = typeof socket === 'string' && /^lock\.\d{1,15}\.[0-9a-f]+\.sock$/.test(socket)
  return texts && named && typeof fields['pid'] === 'number' && typeof fields['released'] === 'boolean'
}

function randomName(): string {
  const bytes = host.crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
