/** Files held in memory, to be read and never written: what a verifier gets to see of a trail that somebody changed. */
import { relative } from 'node:path'
import type { FileStatus, FileSystem } from '../../src/storage/filesystem.ts'

/** By path below a folder, `/` between the names. */
export type Files = ReadonlyMap<string, Uint8Array>

/** Where {@link heldFiles} has them. */
export const heldAt = '/held'

export function heldFiles(files: Files): FileSystem {
  const folders = new Set<string>([''])
  for (const path of files.keys())
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) folders.add(path.slice(0, end))

  function bytesOf(path: string): Uint8Array {
    const bytes = files.get(relative(heldAt, path))
    if (bytes === undefined) throw failure('ENOENT')
    return bytes
  }

  return {
    async open(path, how) {
      if (how !== 'read') throw failure('EROFS')
      const bytes = bytesOf(path)
      return {
        durable: false,
        async read(into, position) {
          const part = bytes.subarray(position, position + into.length)
          into.set(part)
          return part.length
        },
        write: refuse,
        truncate: refuse,
        sync: refuse,
        async close() {},
      }
    },
    async readFile(path) {
      return bytesOf(path).slice()
    },
    status(path): FileStatus | undefined {
      const name = relative(heldAt, path)
      const size = files.get(name)?.length
      if (size === undefined && !folders.has(name)) return undefined
      const kind = size === undefined ? 'folder' : 'file'
      return { kind, device: 1n, inode: 1n, links: 1, size: size ?? 0, mode: 0o600 }
    },
    async list(folder) {
      const name = relative(heldAt, folder)
      if (!folders.has(name)) throw failure('ENOENT')
      const within = name === '' ? '' : `${name}/`
      const below = [...files.keys()].filter((path) => path.startsWith(within))
      return [...new Set(below.map((path) => path.slice(within.length).split('/')[0] ?? ''))]
    },
    makeFolder: refuse,
    rename: refuse,
    link: refuse,
    remove: refuse,
    syncFolder: refuse,
    async filesystemNumber() {
      return 0xef53
    },
  }
}

async function refuse(): Promise<never> {
  throw failure('EROFS')
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
