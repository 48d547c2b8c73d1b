/** A file system that asks before each operation what shall become of it. */
import type { FileSystem, OpenFile } from '../../src/storage/filesystem.ts'

export type Operation =
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'close'
  | 'readFile'
  | 'status'
  | 'list'
  | 'makeFolder'
  | 'rename'
  | 'link'
  | 'remove'
  | 'syncFolder'
  | 'filesystemNumber'

export interface Step {
  readonly operation: Operation
  readonly path: string
  /** Steps before this one. */
  readonly number: number
}

/**
 * Undefined: it is done. `fail`: it throws this system code, and a write has written `bytes` before. `short`: a write
 * writes only so many bytes, and says so.
 */
export type Fate = undefined | { readonly fail: string; readonly bytes?: number } | { readonly short: number }

export function watchedFileSystem(over: FileSystem, before: (step: Step) => Fate): FileSystem {
  let steps = 0

  function meet(operation: Operation, path: string): Fate {
    const fate = before({ operation, path, number: steps })
    steps += 1
    return fate
  }

  /** Throws what the step was fated to. */
  function pass(operation: Operation, path: string): void {
    const fate = meet(operation, path)
    if (fate !== undefined && 'fail' in fate) throw systemError(fate.fail)
  }

  function file(path: string, inner: OpenFile): OpenFile {
    return {
      durable: inner.durable,
      async read(into, position) {
        pass('read', path)
        return inner.read(into, position)
      },
      async write(bytes) {
        const fate = meet('write', path)
        if (fate === undefined) return inner.write(bytes)
        if ('short' in fate) return inner.write(bytes.subarray(0, Math.max(1, Math.min(fate.short, bytes.length))))
        if (fate.bytes !== undefined) await inner.write(bytes.subarray(0, fate.bytes))
        throw systemError(fate.fail)
      },
      async truncate(size) {
        pass('truncate', path)
        return inner.truncate(size)
      },
      async sync() {
        pass('sync', path)
        return inner.sync()
      },
      async close() {
        // A file that fails to close is closed all the same, as on Linux.
        const fate = meet('close', path)
        await inner.close()
        if (fate !== undefined && 'fail' in fate) throw systemError(fate.fail)
      },
    }
  }

  return {
    async open(path, how, mode) {
      pass('open', path)
      return file(path, await over.open(path, how, mode))
    },
    async readFile(path) {
      pass('readFile', path)
      return over.readFile(path)
    },
    status(path) {
      pass('status', path)
      return over.status(path)
    },
    async list(folder) {
      pass('list', folder)
      return over.list(folder)
    },
    async makeFolder(folder, mode) {
      pass('makeFolder', folder)
      return over.makeFolder(folder, mode)
    },
    async rename(from, to) {
      pass('rename', from)
      return over.rename(from, to)
    },
    async link(from, to) {
      pass('link', from)
      return over.link(from, to)
    },
    async remove(path) {
      pass('remove', path)
      return over.remove(path)
    },
    async syncFolder(folder) {
      pass('syncFolder', folder)
      return over.syncFolder(folder)
    },
    async filesystemNumber(path) {
      pass('filesystemNumber', path)
      return over.filesystemNumber(path)
    },
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}
