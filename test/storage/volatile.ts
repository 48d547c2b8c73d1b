/**
 * A file system in memory that forgets like a disk: `cut` gives what may be left after a power cut. Of a file that was
 * not synced anything may be there, of a folder a part of its changes in their order.
 */
import { basename, dirname } from 'node:path'
import type { FileSystem, OpenFile } from '../../src/storage/filesystem.ts'

interface File {
  readonly inode: bigint
  now: Uint8Array<ArrayBuffer>
  synced: Uint8Array<ArrayBuffer>
}

type Names = Map<string, File>

interface Folder {
  readonly now: Names
  synced: Names
  /** Since the last sync, in order. */
  changes: ((names: Names) => void)[]
}

export interface VolatileFileSystem extends FileSystem {
  /** What a machine finds that starts again; `chance` gives numbers from 0 to 1. */
  cut(chance: () => number): VolatileFileSystem
}

export function volatileFileSystem(folders: Map<string, Folder> = new Map()): VolatileFileSystem {
  let inodes = 1000n

  function folderOf(path: string): Folder {
    const folder = folders.get(dirname(path))
    if (folder === undefined) throw failure('ENOENT')
    return folder
  }

  function fileAt(path: string): File {
    const file = folderOf(path).now.get(basename(path))
    if (file === undefined) throw failure('ENOENT')
    return file
  }

  function change(path: string, apply: (names: Names) => void): void {
    const folder = folderOf(path)
    apply(folder.now)
    folder.changes.push(apply)
  }

  function openFile(file: File): OpenFile {
    return {
      durable: false,
      async read(into, position) {
        const part = file.now.subarray(position, position + into.length)
        into.set(part)
        return part.length
      },
      async write(bytes) {
        const longer = new Uint8Array(file.now.length + bytes.length)
        longer.set(file.now)
        longer.set(bytes, file.now.length)
        file.now = longer
        return bytes.length
      },
      async truncate(size) {
        file.now = file.now.slice(0, size)
      },
      async sync() {
        file.synced = file.now
      },
      async close() {},
    }
  }

  return {
    async open(path, how) {
      if (how !== 'create') return openFile(fileAt(path))
      if (folderOf(path).now.has(basename(path))) throw failure('EEXIST')
      const file = { inode: inodes++, now: new Uint8Array(0), synced: new Uint8Array(0) }
      change(path, (names) => names.set(basename(path), file))
      return openFile(file)
    },
    async readFile(path) {
      return fileAt(path).now.slice()
    },
    status(path) {
      const shape = { device: 1n, links: 1, size: 0 }
      if (folders.has(path)) return { ...shape, kind: 'folder', inode: 1n, mode: 0o700 }
      const file = folders.get(dirname(path))?.now.get(basename(path))
      return file && { ...shape, kind: 'file', inode: file.inode, size: file.now.length, mode: 0o600 }
    },
    async list(folder) {
      return [...(folders.get(folder)?.now.keys() ?? [])]
    },
    async makeFolder(folder) {
      if (!folders.has(folder)) folders.set(folder, { now: new Map(), synced: new Map(), changes: [] })
    },
    async rename(from, to) {
      const file = fileAt(from)
      change(to, (names) => {
        names.delete(basename(from))
        names.set(basename(to), file)
      })
    },
    async link(from, to) {
      const file = fileAt(from)
      if (folderOf(to).now.has(basename(to))) throw failure('EEXIST')
      change(to, (names) => names.set(basename(to), file))
    },
    async remove(path) {
      fileAt(path)
      change(path, (names) => names.delete(basename(path)))
    },
    async syncFolder(folder) {
      const found = folderOf(`${folder}/x`)
      found.synced = new Map(found.now)
      found.changes = []
    },
    async filesystemNumber() {
      return 0xef53
    },
    cut(chance) {
      const left = new Map<string, Folder>()
      for (const [path, { synced, changes }] of folders) {
        const names = new Map(synced)
        for (const apply of changes.slice(0, Math.floor(chance() * (changes.length + 1)))) apply(names)
        for (const [name, file] of names) names.set(name, leftOf(file, chance))
        left.set(path, { now: names, synced: new Map(names), changes: [] })
      }
      return volatileFileSystem(left)
    },
  }
}

function leftOf({ inode, now, synced }: File, chance: () => number): File {
  const luck = chance()
  const rest = now.slice(synced.length, synced.length + Math.floor(chance() * (now.length - synced.length + 1)))
  const torn = new Uint8Array([...synced, ...(luck < 0.5 ? rest : rest.fill(0))])
  const kept = now === synced || luck < 0.2 ? synced : torn
  return { inode, now: kept, synced: kept }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
