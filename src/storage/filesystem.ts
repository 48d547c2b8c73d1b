/** @node The file system: the few operations that durable files need, injectable for fault tests. */
import {
  close,
  constants,
  fstat,
  fsync,
  ftruncate,
  link,
  mkdir,
  open,
  read,
  readdir,
  rename,
  statfs,
  statSync,
  unlink,
  write,
} from 'node:fs'
import { promisify } from 'node:util'
import { describeForeign, KmsError } from '../model/errors.ts'

export interface FileStatus {
  readonly kind: 'file' | 'folder' | 'other'
  /** Device and inode together say whether two names are one file. */
  readonly device: bigint
  readonly inode: bigint
  /** Names that the file has. */
  readonly links: number
  readonly size: number
  /** Permission bits, such as `0o600`. */
  readonly mode: number
}

/**
 * How a file is opened: `read` an existing one, `create` a new one for writing (fails if the name is taken), `append` to
 * an existing one. Neither of the last two follows a symbolic link in the last part of the path.
 */
export type OpenHow = 'read' | 'create' | 'append'

export interface OpenFile {
  /** True when a write is durable as soon as it resolves; otherwise `sync` makes it so. */
  readonly durable: boolean
  /** Reads up to `into.length` bytes from `position`; resolves to how many, 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Writes after what was written before (`append`: at the end); resolves to how many bytes, which may be fewer. */
  write(bytes: Uint8Array): Promise<number>
  truncate(size: number): Promise<void>
  /** fsync: contents and metadata are on the disk. */
  sync(): Promise<void>
  close(): Promise<void>
}

/**
 * What everything in `storage/` stands on. Functions fail with the system's own errors (`code: 'ENOENT'` …); the files
 * that use them turn those into a `KmsError` with {@link fileError}. A test replaces single functions to break them:
 * `{ ...nodeFileSystem, rename: async () => { throw … } }`.
 */
export interface FileSystem {
  /** `mode` counts for `create`; 0o600 by default. */
  open(path: string, how: OpenHow, mode?: number): Promise<OpenFile>
  /** A fresh array with the whole file. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>
  /** Undefined when there is no such file. Synchronous, because it costs 2 µs where a promise costs 30. */
  status(path: string): FileStatus | undefined
  /** Names in a folder, in no order. */
  list(folder: string): Promise<readonly string[]>
  /** Makes the folder and its parents; fine when it exists. */
  makeFolder(folder: string, mode: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** A second name for a file; fails with `EEXIST` if it is taken: the compare-and-swap of the file system. */
  link(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes names created, renamed or removed in the folder durable. */
  syncFolder(folder: string): Promise<void>
  /** The number by which the kernel knows the file system under `path` (statfs `f_type`). */
  filesystemNumber(path: string): Promise<number>
}

const openAsync = promisify(open)
const closeAsync = promisify(close)
const fstatAsync = promisify(fstat)
const fsyncAsync = promisify(fsync)
const ftruncateAsync = promisify(ftruncate)
const statfsAsync = promisify(statfs)
const mkdirAsync = promisify(mkdir)

// On Linux O_DSYNC means write + fdatasync in one system call and one trip through the thread pool: 5–15 % faster.
// Elsewhere it may stop short of the disk's own cache, which libuv's fsync does not.
const durableAppend = process.platform === 'linux' ? constants.O_DSYNC : 0

const flags: { readonly [H in OpenHow]: number } = {
  read: constants.O_RDONLY,
  create: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  append: constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | durableAppend,
}

/** The machine's own file system. */
export const nodeFileSystem: FileSystem = {
  async open(path, how, mode = 0o600) {
    return openFile(await openAsync(path, flags[how], mode), how === 'append' && durableAppend !== 0)
  },
  async readFile(path) {
    const fd = await openAsync(path, flags.read)
    try {
      const bytes = new Uint8Array((await fstatAsync(fd)).size)
      const file = openFile(fd, false)
      let filled = 0
      while (filled < bytes.length) {
        const got = await file.read(bytes.subarray(filled), filled)
        if (got === 0) return bytes.slice(0, filled)
        filled += got
      }
      return bytes
    } finally {
      await closeAsync(fd)
    }
  },
  status(path) {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    if (found === undefined) return undefined
    return {
      kind: found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other',
      device: found.dev,
      inode: found.ino,
      links: Number(found.nlink),
      size: Number(found.size),
      mode: Number(found.mode) & 0o7777,
    }
  },
  list: promisify<string, string[]>(readdir),
  async makeFolder(folder, mode) {
    await mkdirAsync(folder, { recursive: true, mode })
  },
  rename: promisify(rename),
  link: promisify(link),
  remove: promisify(unlink),
  async syncFolder(folder) {
    const fd = await openAsync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await fsyncAsync(fd)
    } finally {
      await closeAsync(fd)
    }
  },
  async filesystemNumber(path) {
    return (await statfsAsync(path)).type
  },
}

function openFile(fd: number, durable: boolean): OpenFile {
  return {
    durable,
    // Not through promisify: read and write are the hot ones, and its result object costs another allocation.
    read: (into, position) =>
      new Promise((resolve, reject) => {
        read(fd, into, 0, into.length, position, (error, count) => (error ? reject(error) : resolve(count)))
      }),
    write: (bytes) =>
      new Promise((resolve, reject) => {
        write(fd, bytes, 0, bytes.length, null, (error, count) => (error ? reject(error) : resolve(count)))
      }),
    truncate: (size) => ftruncateAsync(fd, size),
    sync: () => fsyncAsync(fd),
    close: () => closeAsync(fd),
  }
}

/** The system's code of a failed operation, such as `ENOSPC`. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/**
 * `cannot <doing> <path>: <system code>` as a `PROVIDER_UNAVAILABLE`: nothing was changed, and the same call may succeed
 * once the disk has room, the file is back, or access is granted.
 */
export function fileError(doing: string, path: string, error: unknown): KmsError {
  if (error instanceof KmsError) return error
  const why = systemCode(error) ?? describeForeign(error).message
  return new KmsError('PROVIDER_UNAVAILABLE', `cannot ${doing} ${path}: ${why}`, { cause: error })
}

/** Undefined when there is no such file. Errors: `PROVIDER_UNAVAILABLE`. */
export function statusOf(fs: FileSystem, path: string): FileStatus | undefined {
  try {
    return fs.status(path)
  } catch (error) {
    throw fileError('look at', path, error)
  }
}

/** Undefined when there is no such file. Errors: `PROVIDER_UNAVAILABLE`. */
export async function readIfThere(fs: FileSystem, path: string): Promise<Uint8Array | undefined> {
  try {
    return await fs.readFile(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw fileError('read', path, error)
  }
}

/** The names in a folder; none where there is no such folder. Errors: `PROVIDER_UNAVAILABLE`. */
export async function listIfThere(fs: FileSystem, folder: string): Promise<readonly string[]> {
  try {
    return await fs.list(folder)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw fileError('list', folder, error)
  }
}

/** Errors: `PROVIDER_UNAVAILABLE`. */
export async function closeFile(file: OpenFile, path: string): Promise<void> {
  await file.close().catch((error) => {
    throw fileError('close', path, error)
  })
}

/** Removes a file that may be gone already. */
export async function removeIfThere(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.remove(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw fileError('remove', path, error)
  }
}

/** Writes all of `bytes`, however many calls that takes. */
export async function writeAll(file: OpenFile, bytes: Uint8Array): Promise<void> {
  let written = await file.write(bytes)
  while (written < bytes.length) {
    const more = await file.write(bytes.subarray(written))
    if (more === 0) throw new KmsError('PROVIDER_UNAVAILABLE', 'cannot write: the file system takes no more bytes')
    written += more
  }
}
