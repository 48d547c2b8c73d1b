/** A file system that breaks on demand: steps are counted, and one or all from a given one on fail. */
import { type FileSystem, nodeFileSystem, type OpenFile } from '../../src/storage/filesystem.ts'

export type Step =
  | 'open'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'link'
  | 'remove'
  | 'syncFolder'
  | 'list'
  | 'makeFolder'

export interface FaultyFileSystem extends FileSystem {
  /** The steps taken so far, such as `open write sync rename syncFolder`. */
  readonly steps: Step[]
}

export interface Faults {
  /** Called before each step with its running number from 0; a returned code makes it fail. */
  readonly fail: (step: Step, number: number, path: string) => string | undefined
  /** What a failing write still writes, and a working one at most. */
  readonly shortWrite?: number
  readonly over?: FileSystem
  /** Without O_DSYNC: an append is a write and a sync. */
  readonly separateSync?: true
}

export function faultyFileSystem(faults: Faults): FaultyFileSystem {
  const fs = faults.over ?? nodeFileSystem
  const steps: Step[] = []

  async function step<T>(name: Step, path: string, run: () => Promise<T>, onFail?: () => Promise<unknown>): Promise<T> {
    const code = faults.fail(name, steps.length, path)
    steps.push(name)
    if (code === undefined) return run()
    await onFail?.()
    throw Object.assign(new Error(`${code}: injected`), { code })
  }

  function wrap(file: OpenFile, path: string): OpenFile {
    const short = (bytes: Uint8Array) => bytes.subarray(0, faults.shortWrite ?? bytes.length)
    return {
      ...file,
      durable: file.durable && faults.separateSync !== true,
      write: (bytes) =>
        step(
          'write',
          path,
          () => file.write(short(bytes)),
          async () => {
            if (faults.shortWrite !== undefined) await file.write(short(bytes))
          },
        ),
      truncate: (size) => step('truncate', path, () => file.truncate(size)),
      sync: () => step('sync', path, () => file.sync()),
    }
  }

  return {
    ...fs,
    steps,
    open: (path, how, mode) =>
      how === 'read'
        ? fs.open(path, how, mode)
        : step('open', path, async () => wrap(await fs.open(path, how, mode), path)),
    list: (folder) => step('list', folder, () => fs.list(folder)),
    makeFolder: (folder, mode) => step('makeFolder', folder, () => fs.makeFolder(folder, mode)),
    rename: (from, to) => step('rename', from, () => fs.rename(from, to)),
    link: (from, to) => step('link', from, () => fs.link(from, to)),
    remove: (path) => step('remove', path, () => fs.remove(path)),
    syncFolder: (folder) => step('syncFolder', folder, () => fs.syncFolder(folder)),
  }
}

/** Everything from step `from` on fails, as for a process that is no more. */
export function crashAt(from: number, code = 'EIO'): Faults['fail'] {
  return (_step, number) => (number >= from ? code : undefined)
}

/** Only the first step of this name fails. */
export function failOnce(name: Step, code: string): Faults['fail'] {
  let failed = false
  return (step) => {
    if (failed || step !== name) return undefined
    failed = true
    return code
  }
}
