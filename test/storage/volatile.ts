/**
 * A file system in memory that forgets like a disk: `cut` gives what may be left after a power cut. Of what was written
 * to a file since its last sync any part may be there, whatever became of other files; of a folder's names since its last
 * sync the first few, or any of them.
 */
import { basename, dirname, relative } from 'node:path'
import type { FileSystem, OpenFile } from '../../src/storage/filesystem.ts'

interface File {
  readonly kind: 'file'
  readonly inode: bigint
  /** What a reader gets. */
  now: Uint8Array<ArrayBuffer>
  /** What stands on the disk. */
  disk: Uint8Array<ArrayBuffer>
  /** Up to here the kernel takes the disk to be as `now` is; after a failed sync it is wrong. */
  clean: number
}

type Names = Map<string, File | Folder>

interface Folder {
  readonly kind: 'folder'
  readonly inode: bigint
  readonly now: Names
  synced: Names
  /** Since the last sync, in order. */
  changes: ((names: Names) => void)[]
}

export interface VolatileOptions {
  /** The folder under which it stands, which is there from the start; `/` by default. */
  readonly mount?: string
  /** `named`: a new folder is there after a cut only if its parent was synced, as POSIX has it; `kept` by default. */
  readonly newFolders?: 'kept' | 'named'
}

export interface VolatileFileSystem extends FileSystem {
  /**
   * What a machine finds that starts again, under another `mount` if given; `chance` gives numbers from 0 up to 1. This
   * file system is left as it is.
   */
  cut(chance: () => number, mount?: string): VolatileFileSystem
  /**
   * What a failed sync of `path` does on Linux: what was written since the last one is not on the disk, and the next sync
   * takes it for written.
   */
  forget(path: string): void
  /** A copy of all that a reader gets now: what another process finds after this one was killed. */
  copy(mount: string): VolatileFileSystem
}

export function volatileFileSystem(options: VolatileOptions = {}): VolatileFileSystem {
  return mounted(newFolder(1n), options)
}

function mounted(root: Folder, options: VolatileOptions): VolatileFileSystem {
  const { mount = '/', newFolders = 'kept' } = options
  let inodes = 1000n

  // What stands above the mount is not ours: it is there, and stays.
  const above = newFolder(0n)

  function find(path: string): File | Folder | undefined {
    if (/^\.\.(?:\/\.\.)*$/.test(relative(mount, path))) return above
    let found: File | Folder | undefined = root
    for (const name of relative(mount, path).split('/')) {
      if (name === '') continue
      found = found?.kind === 'folder' ? found.now.get(name) : undefined
    }
    return found
  }

  function folderAt(path: string): Folder {
    const folder = find(path)
    if (folder?.kind !== 'folder') throw failure(folder === undefined ? 'ENOENT' : 'ENOTDIR')
    return folder
  }

  function fileAt(path: string): File {
    const file = find(path)
    if (file?.kind !== 'file') throw failure(file === undefined ? 'ENOENT' : 'EISDIR')
    return file
  }

  function change(folder: Folder, apply: (names: Names) => void): void {
    apply(folder.now)
    folder.changes.push(apply)
  }

  function linksOf(path: string, file: File): number {
    let links = 0
    for (const other of folderAt(dirname(path)).now.values()) if (other === file) links += 1
    return links
  }

  return {
    async open(path, how) {
      if (how !== 'create') return openFile(fileAt(path))
      const folder = folderAt(dirname(path))
      if (folder.now.has(basename(path))) throw failure('EEXIST')
      const file = newFile(inodes++)
      change(folder, (names) => names.set(basename(path), file))
      return openFile(file)
    },
    async readFile(path) {
      return fileAt(path).now.slice()
    },
    status(path) {
      const found = find(path)
      if (found === undefined) return undefined
      const { kind, inode } = found
      if (kind === 'folder') return { kind, inode, device: 1n, links: 2, size: 0, mode: 0o700 }
      return { kind, inode, device: 1n, links: linksOf(path, found), size: found.now.length, mode: 0o600 }
    },
    async list(folder) {
      return [...folderAt(folder).now.keys()]
    },
    async makeFolder(path) {
      let parent = root
      for (const name of relative(mount, path).split('/')) {
        if (name === '') continue
        const there = parent.now.get(name)
        if (there?.kind === 'file') throw failure('ENOTDIR')
        const folder = there ?? newFolder(inodes++)
        if (there === undefined && newFolders === 'named') change(parent, (names) => names.set(name, folder))
        if (there === undefined && newFolders === 'kept') {
          parent.now.set(name, folder)
          parent.synced.set(name, folder)
        }
        parent = folder
      }
    },
    async rename(from, to) {
      const file = fileAt(from)
      const [source, target] = [folderAt(dirname(from)), folderAt(dirname(to))]
      if (source !== target) {
        change(target, (names) => names.set(basename(to), file))
        change(source, (names) => names.delete(basename(from)))
        return
      }
      change(target, (names) => {
        names.delete(basename(from))
        names.set(basename(to), file)
      })
    },
    async link(from, to) {
      const file = fileAt(from)
      const folder = folderAt(dirname(to))
      if (folder.now.has(basename(to))) throw failure('EEXIST')
      change(folder, (names) => names.set(basename(to), file))
    },
    async remove(path) {
      fileAt(path)
      change(folderAt(dirname(path)), (names) => names.delete(basename(path)))
    },
    async syncFolder(path) {
      const folder = folderAt(path)
      folder.synced = new Map(folder.now)
      folder.changes = []
    },
    async filesystemNumber() {
      return 0xef53
    },
    cut: (chance, at = mount) => mounted(folderLeft(root, chance, new Map()), { mount: at, newFolders }),
    copy: (at) => mounted(folderSeen(root, new Map()), { mount: at, newFolders }),
    forget(path) {
      const file = fileAt(path)
      file.disk = lengthened(file.disk, file.now.length)
      file.clean = file.now.length
    },
  }
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
      const end = file.now.length
      file.now = lengthened(file.now, end + bytes.length)
      file.now.set(bytes, end)
      return bytes.length
    },
    async truncate(size) {
      file.now = file.now.slice(0, size)
      file.clean = Math.min(file.clean, size)
    },
    async sync() {
      file.disk = withRest(file.disk, file)
      file.clean = file.now.length
    },
    async close() {},
  }
}

function newFile(inode: bigint): File {
  return { kind: 'file', inode, now: new Uint8Array(0), disk: new Uint8Array(0), clean: 0 }
}

function newFolder(inode: bigint): Folder {
  return { kind: 'folder', inode, now: new Map(), synced: new Map(), changes: [] }
}

/** What the disk holds up to `clean`, and `now` from there on. */
function withRest(disk: Uint8Array, { now, clean }: File): Uint8Array<ArrayBuffer> {
  const whole = lengthened(disk.subarray(0, clean), now.length)
  whole.set(now.subarray(clean), clean)
  return whole
}

function lengthened(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const longer = new Uint8Array(length)
  longer.set(bytes.subarray(0, length))
  return longer
}

type Left = Map<File | Folder, File | Folder>

function folderLeft(folder: Folder, chance: () => number, left: Left): Folder {
  const names = new Map(folder.synced)
  const { changes } = folder
  const inOrder = chance() < 0.5 ? Math.floor(chance() * (changes.length + 1)) : -1
  for (const [at, apply] of changes.entries()) if (inOrder < 0 ? chance() < 0.5 : at < inOrder) apply(names)
  return copied(
    folder,
    names,
    (file) => fileLeft(file, chance),
    (inner) => folderLeft(inner, chance, left),
    left,
  )
}

function folderSeen(folder: Folder, left: Left): Folder {
  const fileSeen = (file: File): File => ({ ...file })
  return copied(folder, folder.now, fileSeen, (inner) => folderSeen(inner, left), left)
}

function copied(
  { inode }: Folder,
  names: Names,
  copyFile: (file: File) => File,
  copyFolder: (folder: Folder) => Folder,
  left: Left,
): Folder {
  const now: Names = new Map()
  for (const [name, found] of names) {
    // Two names of one file stay two names of one file.
    const copy = left.get(found) ?? (found.kind === 'file' ? copyFile(found) : copyFolder(found))
    left.set(found, copy)
    now.set(name, copy)
  }
  return { kind: 'folder', inode, now, synced: new Map(now), changes: [] }
}

const sector = 512

/** Of what was not synced nothing is there, or it ends at any byte, or any sectors of it are there and the others zero. */
function fileLeft(file: File, chance: () => number): File {
  const luck = chance()
  const unsynced = file.clean < file.now.length || file.disk.length !== file.now.length
  const bytes = !unsynced || luck < 0.2 ? file.disk : luck < 0.6 ? torn(file, chance) : patchy(file, chance)
  return { kind: 'file', inode: file.inode, now: bytes, disk: bytes, clean: bytes.length }
}

function torn(file: File, chance: () => number): Uint8Array<ArrayBuffer> {
  const rest = file.now.length - file.clean
  return withRest(file.disk, file).slice(0, file.clean + Math.floor(chance() * (rest + 1)))
}

function patchy(file: File, chance: () => number): Uint8Array<ArrayBuffer> {
  const whole = withRest(file.disk, file)
  for (let start = file.clean; start < whole.length; ) {
    const end = Math.min(whole.length, start - (start % sector) + sector)
    if (chance() < 0.5) whole.fill(0, start, end)
    start = end
  }
  return whole
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
