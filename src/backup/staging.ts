/** @node A folder in the making: it gets its name when all of it is on the disk, so that none is ever half there. */
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { engine } from '#engine'
import { hex } from '../crypto/bytes.ts'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, fileError, writeAll } from '../storage/filesystem.ts'
import { makePrivateFolder } from '../storage/private.ts'
import type { BackupFile } from './manifest.ts'

export interface Staging {
  /** Where it is made. */
  readonly folder: string
  /** A new file; its bytes are on the disk when this resolves. `path` has `/` between its parts. */
  put(path: string, bytes: Uint8Array): Promise<BackupFile>
  /** Gives the folder its name, for good when it resolves. It must not have been there, or be empty. */
  place(): Promise<void>
  /** Takes back what was made. */
  remove(): Promise<void>
}

/** For `target`, beside it. Errors: `INVALID_INPUT` when `target` holds something, or an earlier attempt was left. */
export async function stage(fs: FileSystem, target: string, ending: string): Promise<Staging> {
  const folder = `${target}.${ending}`
  if (!(await isFree(fs, target))) throw new KmsError('INVALID_INPUT', `${target} is there already and not empty`)
  if (fs.status(folder) !== undefined)
    throw new KmsError('INVALID_INPUT', `${folder} is left from an earlier attempt: look at it, and remove it`)
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    await makePrivateFolder(fs, folder)
  } catch (error) {
    await remove()
    throw error
  }
  const folders = new Set([folder])

  async function folderOf(path: string): Promise<void> {
    const parent = dirname(path)
    if (folders.has(parent)) return
    await folderOf(parent)
    await makePrivateFolder(fs, parent)
    folders.add(parent)
  }

  return {
    folder,
    async put(path, bytes) {
      const file = join(folder, ...path.split('/'))
      await folderOf(file)
      await write(fs, file, bytes)
      return { path, bytes: bytes.length, sha256: hex(engine.hash('sha256', bytes)) }
    },
    async place() {
      try {
        for (const made of [...folders].reverse()) await fs.syncFolder(made)
        await fs.rename(folder, target)
        await fs.syncFolder(dirname(target))
      } catch (error) {
        throw fileError('make', target, error)
      }
    },
    remove,
  }
}

async function isFree(fs: FileSystem, target: string): Promise<boolean> {
  const found = fs.status(target)
  if (found === undefined) return true
  if (found.kind !== 'folder') return false
  const names = await fs.list(target).catch((error) => {
    throw fileError('list', target, error)
  })
  return names.length === 0
}

async function write(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  try {
    const file = await fs.open(path, 'create')
    try {
      await writeAll(file, bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw fileError('write', path, error)
  }
}
