/** @node Copies one instance of a trail while its writer may be at work: a whole trail, somewhat older than the original. */
import { Buffer } from 'node:buffer'
import { join, relative, sep } from 'node:path'
import { equal } from '../crypto/bytes.ts'
import { type FileSystem, fileError, systemCode } from '../storage/filesystem.ts'
import { type Instance, listSegments, readIfThere } from '../trail/layout.ts'
import type { BackupFile } from './manifest.ts'
import type { Staging } from './staging.ts'

export interface TrailCopying {
  readonly fs: FileSystem
  readonly instance: Instance
  readonly to: Staging
}

/**
 * Undefined when the original was changed otherwise than by growing (pruned, compressed, handed over to another key): try
 * again. What it says of itself is read first and the segments last, so that the checkpoint, the tiles and what witnesses
 * signed never speak of entries that the copy does not hold. Holds one segment in memory.
 */
export async function copyTrail({ fs, instance, to }: TrailCopying): Promise<readonly BackupFile[] | undefined> {
  const { layout, name } = instance
  const files: BackupFile[] = []

  async function copy(path: string, part: (bytes: Uint8Array) => Uint8Array = whole): Promise<boolean> {
    const bytes = await readIfThere(fs, path)
    if (bytes === undefined) return false
    const kept = part(bytes)
    if (kept.length > 0)
      files.push(await to.put(['audit', name, ...relative(layout.folder, path).split(sep)].join('/'), kept))
    return true
  }

  const about = await readIfThere(fs, layout.about)
  const first = (await listSegments(fs, layout))[0]?.name
  for (const path of await filesUnder(fs, layout.folder, layout.segments)) if (!(await copy(path))) return undefined

  const segments = await listSegments(fs, layout)
  if (segments[0]?.name !== first) return undefined
  for (const { path } of segments.slice(0, -1)) if (!(await copy(path))) return undefined
  const last = segments.at(-1)
  if (last !== undefined && !(await copy(last.path, last.compressed ? whole : committed))) return undefined
  const aboutNow = await readIfThere(fs, layout.about)
  return isSame(about, aboutNow) ? files : undefined
}

function isSame(before: Uint8Array | undefined, now: Uint8Array | undefined): boolean {
  return before === undefined || now === undefined ? before === now : equal(before, now)
}

/** Of the writer alone: its lock, its spare room, what it is about to rename. */
const notTrail = /^(?:lock\..*|reserve|.*\.tmp|.*\.sock)$/

/** All files under `folder`, the checkpoint among the first, without those in `except`. */
async function filesUnder(fs: FileSystem, folder: string, except: string): Promise<readonly string[]> {
  const names = (await list(fs, folder)).filter((name) => !notTrail.test(name)).sort()
  const paths = names.map((name) => join(folder, name)).filter((path) => path !== except)
  const files = paths.filter((path) => fs.status(path)?.kind === 'file')
  const folders = paths.filter((path) => fs.status(path)?.kind === 'folder')
  const within: string[] = []
  for (const inner of folders) for (const path of await filesUnder(fs, inner, except)) within.push(path)
  return [...files, ...within]
}

async function list(fs: FileSystem, folder: string): Promise<readonly string[]> {
  try {
    return await fs.list(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw fileError('list', folder, error)
  }
}

function whole(bytes: Uint8Array): Uint8Array {
  return bytes
}

/** Up to the end of the last commit line: behind it stands at most a batch that is being written. */
function committed(bytes: Uint8Array): Uint8Array {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = view.lastIndexOf('\n{"commit":')
  while (at > 0) {
    const end = view.indexOf('\n', at + 1)
    if (end !== -1) return bytes.subarray(0, end + 1)
    at = view.lastIndexOf('\n{"commit":', at - 1)
  }
  return bytes.subarray(0, 0)
}
