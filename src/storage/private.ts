/** @node Folders and files for nobody but their owner. */
import { dirname, resolve } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, fileError, statusOf, systemCode } from './filesystem.ts'

export const folderMode = 0o700
export const fileMode = 0o600

const others = 0o007
const group = 0o070

/**
 * Makes `folder` with mode 0700 unless it is there, and the folders above it. When it resolves their names are durable:
 * what is synced within a folder is lost with the folder's own name. Errors: `PROVIDER_UNAVAILABLE`.
 */
export async function makePrivateFolder(fs: FileSystem, folder: string): Promise<void> {
  const path = resolve(folder)
  const missing = await makeMissing(fs, path)
  // Also where nothing was missing: a process may have died between making them and this.
  const parents = ancestorsOf(path, Math.max(missing, ownLevels))
  for (const [at, parent] of parents.entries()) await syncParent(fs, parent, { made: at < missing })
}

/** A folder and those above it that keytrail makes: an instance's segments, the instance, the trail. */
const ownLevels = 3

/** How many folders were made. */
async function makeMissing(fs: FileSystem, path: string): Promise<number> {
  try {
    const above = [path, ...ancestorsOf(path, Number.POSITIVE_INFINITY)]
    const missing = above.findIndex((ancestor) => fs.status(ancestor) !== undefined)
    if (missing !== 0) await fs.makeFolder(path, folderMode)
    return Math.max(missing, 0)
  } catch (error) {
    throw fileError('make the folder', path, error)
  }
}

/** The nearest first. */
function ancestorsOf(path: string, most: number): readonly string[] {
  const ancestors: string[] = []
  for (let at = path; ancestors.length < most && dirname(at) !== at; at = dirname(at)) ancestors.push(dirname(at))
  return ancestors
}

/** A folder that was there may be another user's, whose names are not ours to see to. */
async function syncParent(fs: FileSystem, parent: string, { made }: { readonly made: boolean }): Promise<void> {
  try {
    await fs.syncFolder(parent)
  } catch (error) {
    const code = systemCode(error)
    if (!made && (code === 'EACCES' || code === 'EPERM')) return
    throw fileError('sync', parent, error)
  }
}

/**
 * A warning when the group has access to `path`, else undefined. Refused with `INVALID_INPUT`: access for everybody, and
 * a path that is not there.
 */
export function checkPrivate(fs: FileSystem, path: string): string | undefined {
  const found = statusOf(fs, path)
  if (found === undefined) throw new KmsError('INVALID_INPUT', `${path} does not exist`)
  const right = found.kind === 'folder' ? '700' : '600'
  if ((found.mode & others) !== 0)
    throw new KmsError('INVALID_INPUT', `${path} is open to every user (mode ${octal(found.mode)}): chmod ${right} it`)
  if ((found.mode & group) !== 0) return `${path} is open to its group (mode ${octal(found.mode)})`
  return undefined
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
