/** @node Whole files, written so that a crash leaves the old or the new one, never a part. */
import { dirname } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, fileError, removeIfThere, systemCode, writeAll } from './filesystem.ts'

export interface FileMode {
  /** Permission bits; 0o600 by default. */
  readonly mode?: number
  /** Under which name it is prepared; `path` and `.tmp` by default. One of its own where others may replace `path` meanwhile. */
  readonly temporary?: string
}

/**
 * Puts `bytes` in place of whatever `path` held: temporary file in the same folder, fsync, rename, fsync of the folder.
 * One replacement of a path at a time (its folder is locked by the caller).
 *
 * Errors: `PROVIDER_UNAVAILABLE`, and `path` holds what it held; `INTERNAL` when the new file may be in place but may
 * not survive a power cut, so the caller must build on neither.
 */
export async function replaceFile(
  fs: FileSystem,
  path: string,
  bytes: Uint8Array,
  options: FileMode = {},
): Promise<void> {
  const temporary = await prepare(fs, path, bytes, options)
  try {
    await fs.rename(temporary, path)
  } catch (error) {
    // Still under its temporary name: the rename did not happen, whatever the reason.
    if (isThere(fs, temporary)) throw await dropped(fs, temporary, fileError('replace', path, error))
    throw unsettled(path, error)
  }
  await settle(fs, path)
}

/**
 * Makes the file `path` with `bytes`, whole and durable. Resolves to false, and changes nothing, when the name is taken:
 * of two writers only one can make a file. Errors as {@link replaceFile}.
 */
export async function createFile(
  fs: FileSystem,
  path: string,
  bytes: Uint8Array,
  options: FileMode = {},
): Promise<boolean> {
  const temporary = await prepare(fs, path, bytes, options)
  try {
    await fs.link(temporary, path)
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      await removeIfThere(fs, temporary)
      return false
    }
    if (!isThere(fs, path)) throw await dropped(fs, temporary, fileError('create', path, error))
    throw unsettled(path, error)
  }
  await settle(fs, path)
  // The file is made, whatever becomes of its second name: the next attempt clears that.
  await removeIfThere(fs, temporary).catch(() => undefined)
  return true
}

/** The name under which `path` is prepared; one left by a crash is cleared by the next attempt. */
export function temporaryOf(path: string): string {
  return `${path}.tmp`
}

/** Resolves to the name of a new file beside `path` with all of `bytes` on the disk. */
async function prepare(fs: FileSystem, path: string, bytes: Uint8Array, options: FileMode): Promise<string> {
  const { temporary = temporaryOf(path) } = options
  await removeIfThere(fs, temporary)
  try {
    const file = await fs.open(temporary, 'create', options.mode)
    try {
      await writeAll(file, bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw await dropped(fs, temporary, fileError('write', temporary, error))
  }
  return temporary
}

async function settle(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.syncFolder(dirname(path))
  } catch (error) {
    throw unsettled(path, error)
  }
}

function unsettled(path: string, cause: unknown): KmsError {
  return new KmsError('INTERNAL', `${path} may or may not have been written: open it again to see`, { cause })
}

function isThere(fs: FileSystem, path: string): boolean {
  try {
    return fs.status(path) !== undefined
  } catch (error) {
    // A disk that cannot be asked has settled nothing.
    return systemCode(error) === undefined
  }
}

/** Clears the temporary file of a failed write; `error` tells more than a failure to do so would. */
async function dropped(fs: FileSystem, temporary: string, error: KmsError): Promise<KmsError> {
  try {
    await removeIfThere(fs, temporary)
    return error
  } catch (left) {
    return new KmsError(error.code, `${error.message} (and ${temporary} is left behind)`, { cause: left })
  }
}
