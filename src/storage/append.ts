/** @node A file that only grows, each append durable before it resolves. */
import { dirname } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { closeFile, type FileSystem, fileError, type OpenFile, statusOf, writeAll } from './filesystem.ts'

export interface AppendOptions {
  /** Makes the file, which must not exist; without it, it must. */
  readonly create?: boolean
  /** Permission bits of a new file; 0o600 by default. */
  readonly mode?: number
}

export interface AppendFile {
  readonly path: string
  /** Bytes that are durable. */
  readonly size: number
  /**
   * Resolves when all of `bytes` are on the disk. Before it writes it looks whether `path` is still this file, with one
   * name and the size it left. One append at a time.
   *
   * After any failure the file is dead: this and every later append or truncate throws `PROVIDER_UNAVAILABLE`. What of
   * `bytes` reached the disk is then unknown; a failed sync is never tried again, because the kernel may have dropped
   * the pages and would call the second one a success.
   */
  append(bytes: Uint8Array): Promise<void>
  /** Cuts a torn tail: durable when it resolves. Only ever shortens. Keeping the bytes cut off is the caller's. */
  truncate(size: number): Promise<void>
  /** Idempotent; waits for nothing, so let an append settle first. */
  close(): Promise<void>
}

/** Opens `path` for appending. Errors: `PROVIDER_UNAVAILABLE`, with nothing made that the caller must clean up. */
export async function openAppend(fs: FileSystem, path: string, options: AppendOptions = {}): Promise<AppendFile> {
  if (options.create === true) await makeEmpty(fs, path, options.mode)
  const file = await fs.open(path, 'append').catch((error) => {
    throw fileError('open', path, error)
  })
  try {
    return appendTo(fs, path, file)
  } catch (error) {
    await closeFile(file, path)
    throw fileError('open', path, error)
  }
}

async function makeEmpty(fs: FileSystem, path: string, mode: number | undefined): Promise<void> {
  try {
    const made = await fs.open(path, 'create', mode)
    await made.sync()
    await made.close()
    await fs.syncFolder(dirname(path))
  } catch (error) {
    throw fileError('create', path, error)
  }
}

function appendTo(fs: FileSystem, path: string, file: OpenFile): AppendFile {
  const opened = statusOf(fs, path)
  if (opened === undefined || opened.kind !== 'file')
    throw new KmsError('PROVIDER_UNAVAILABLE', `${path} is not a file`)
  const { device, inode } = opened
  let size = opened.size
  let state: 'idle' | 'busy' | 'dead' | 'closed' = 'idle'

  function begin(): void {
    if (state === 'dead') throw new KmsError('PROVIDER_UNAVAILABLE', `${path} failed before: open it again`)
    if (state === 'closed') throw new KmsError('CLOSED', `${path} is closed`)
    if (state === 'busy') throw new KmsError('INTERNAL', `${path} is being written: one append at a time`)
    // Appending to a file that was moved, replaced, linked or written by others would look like success and be lost.
    const now = statusOf(fs, path)
    const same = now?.inode === inode && now.device === device
    if (same && now.links === 1 && now.size === size) {
      state = 'busy'
      return
    }
    state = 'dead'
    const what = same ? (now.links === 1 ? 'changed its size' : 'got another name') : 'was moved or replaced'
    throw new KmsError('PROVIDER_UNAVAILABLE', `${path} ${what} behind our back: nothing more is written to it`)
  }

  function settled(newSize: number): void {
    size = newSize
    if (state === 'busy') state = 'idle'
  }

  function died(doing: string, error: unknown): KmsError {
    if (state === 'busy') state = 'dead'
    return fileError(doing, path, error)
  }

  return {
    path,
    get size() {
      return size
    },
    async append(bytes) {
      begin()
      try {
        const written = await file.write(bytes)
        if (written < bytes.length) await writeAll(file, bytes.subarray(written))
        if (!file.durable) await file.sync()
      } catch (error) {
        throw died('append to', error)
      }
      settled(size + bytes.length)
    },
    async truncate(newSize) {
      if (!Number.isSafeInteger(newSize) || newSize < 0 || newSize > size)
        throw new KmsError('INVALID_INPUT', `cannot cut ${path} to ${newSize} bytes: it has ${size}`)
      begin()
      try {
        await file.truncate(newSize)
        await file.sync()
      } catch (error) {
        throw died('truncate', error)
      }
      settled(newSize)
    },
    async close() {
      if (state === 'closed') return
      state = 'closed'
      await closeFile(file, path)
    },
  }
}
