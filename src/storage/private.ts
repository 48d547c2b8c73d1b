/** @node Folders and files for nobody but their owner. */
import { KmsError } from '../model/errors.ts'
import { type FileSystem, fileError } from './filesystem.ts'

export const folderMode = 0o700
export const fileMode = 0o600

const others = 0o007
const group = 0o070

/** Makes `folder` with mode 0700 unless it is there. Errors: `PROVIDER_UNAVAILABLE`. */
export async function makePrivateFolder(fs: FileSystem, folder: string): Promise<void> {
  try {
    await fs.makeFolder(folder, folderMode)
  } catch (error) {
    throw fileError('make the folder', folder, error)
  }
}

/**
 * A warning when the group has access to `path`, else undefined. Refused with `INVALID_INPUT`: access for everybody, and
 * a path that is not there.
 */
export function checkPrivate(fs: FileSystem, path: string): string | undefined {
  const found = fs.status(path)
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
