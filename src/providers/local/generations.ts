/** @node The keystore's folder: one file per generation, the newest counts. */
import { join } from 'node:path'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError, readIfThere, removeIfThere } from '../../storage/filesystem.ts'
import type { Lock } from '../../storage/lock.ts'
import { checkPrivate } from '../../storage/private.ts'
import { createFile } from '../../storage/replace.ts'

export interface Generation {
  readonly number: number
  readonly path: string
  readonly bytes: Uint8Array
  /** About its mode. */
  readonly warning?: string
}

const fileName = /^(\d{20})\.keys$/
const leftoverName = /^\d{20}\.keys\.tmp$/

/** Number of the newest generation in `folder`, 0 when there is none. */
export async function newestNumber(fs: FileSystem, folder: string): Promise<number> {
  return Math.max(0, ...(await numbersIn(fs, folder)))
}

/**
 * The newest generation, undefined when there is none. Whether it is sound is for the caller to see, who must not fall
 * back to the one before: that would undo a change, such as a key disabled, without a word.
 *
 * Its name is durable when this resolves: a writer may have died, or be, between naming and syncing, and what a key
 * version that a power cut takes back had sealed would be lost.
 */
export async function readNewest(fs: FileSystem, folder: string): Promise<Generation | undefined> {
  // A writer may remove what was just listed, having made a newer one.
  for (let round = 0; round < 10; round++) {
    const number = await newestNumber(fs, folder)
    if (number === 0) return undefined
    const path = pathOf(folder, number)
    const bytes = await readIfThere(fs, path)
    if (bytes === undefined) continue
    await fs.syncFolder(folder).catch((error) => {
      throw fileError('sync', folder, error)
    })
    // One look: a writer that has made a newer one may remove it between two.
    const status = fs.status(path)
    const warning = status && checkPrivate({ ...fs, status: () => status }, path)
    return { number, path, bytes, ...(warning !== undefined && { warning }) }
  }
  throw new KmsError('PROVIDER_UNAVAILABLE', `${folder} changes faster than it can be read`)
}

export interface Publication {
  readonly number: number
  readonly bytes: Uint8Array
  /** What older generations hold is to be gone, and to stay so after a power cut. */
  readonly purge?: true
}

export interface Published {
  /** Older generations could not be removed, or not for good: the next publication tries again, and so does opening. */
  readonly oldRemain: boolean
}

export interface GenerationWriter {
  /** Durable when it resolves. `PROVIDER_UNAVAILABLE`: nothing changed. */
  publish(publication: Publication): Promise<Published>
}

/**
 * Writes generations, and keeps the one before until the next is durable. After a write whose outcome is unknown, or that
 * finds its name taken, it writes no more: only opening again can tell what holds.
 */
export function generationWriter(fs: FileSystem, folder: string, lock: Lock): GenerationWriter {
  let broken: string | undefined

  async function create(number: number, bytes: Uint8Array): Promise<void> {
    try {
      if (await createFile(fs, pathOf(folder, number), bytes)) return
    } catch (error) {
      if (!(error instanceof KmsError && error.code === 'INTERNAL')) throw error
      broken = 'an earlier change may not have been kept'
      throw new KmsError('INTERNAL', error.message, { cause: error.cause, evidence: { unsettled: true } })
    }
    broken = 'another process has written to it'
    throw new KmsError('LOCKED', `${folder}: ${broken}: close the keystore and open it again`)
  }

  /** The change is made, whatever becomes of the files before it. */
  async function clear(number: number, purge: boolean): Promise<Published> {
    try {
      await clearBelow(fs, folder, number)
      if (purge) await fs.syncFolder(folder)
      return { oldRemain: false }
    } catch {
      // Told to who made the change; what it was is of no use there.
      return { oldRemain: true }
    }
  }

  return {
    async publish({ number, bytes, purge = false }) {
      if (broken !== undefined)
        throw new KmsError('INTERNAL', `${folder}: ${broken}: close the keystore and open it again`)
      lock.check()
      await create(number, bytes)
      return clear(number, purge)
    },
  }
}

/** Removes generations older than `number`, and unfinished files. */
export async function clearBelow(fs: FileSystem, folder: string, number: number): Promise<void> {
  for (const name of await list(fs, folder)) {
    const older = Number(fileName.exec(name)?.[1] ?? Number.POSITIVE_INFINITY) < number
    if (older || leftoverName.test(name)) await removeIfThere(fs, join(folder, name))
  }
}

async function numbersIn(fs: FileSystem, folder: string): Promise<readonly number[]> {
  return (await list(fs, folder)).map((name) => Number(fileName.exec(name)?.[1] ?? 0))
}

async function list(fs: FileSystem, folder: string): Promise<readonly string[]> {
  return fs.list(folder).catch((error) => {
    throw fileError('list', folder, error)
  })
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(20, '0')}.keys`)
}
