/** @node Copies one instance of a trail while its writer may be at work: a whole trail, somewhat older than the original. */
import { Buffer } from 'node:buffer'
import { join, relative, sep } from 'node:path'
import { equal } from '../crypto/bytes.ts'
import { type FileSystem, listIfThere, readIfThere, statusOf } from '../storage/filesystem.ts'
import { type Instance, listSegments } from '../trail/layout.ts'
import type { BackupFile } from './manifest.ts'
import type { Staging } from './staging.ts'

export interface TrailCopying {
  readonly fs: FileSystem
  readonly instance: Instance
  readonly to: Staging
}

export interface TrailCopy {
  /**
   * What was still being written, read now and not yet written anywhere; undefined when the original was changed otherwise
   * than by growing (pruned, compressed, handed over to another key): begin again.
   */
  tip(): Promise<TrailTip | undefined>
}

export interface TrailTip {
  /** Writes it, and resolves to all files of the copy. */
  put(): Promise<readonly BackupFile[]>
}

/**
 * Copies what does not grow any more. What the trail says of itself is read first and the last segment at the end, so that
 * the checkpoint, the tiles and what witnesses signed never speak of entries that the copy does not hold. Undefined: begin
 * again, as for `tip`. Holds one segment in memory, and the last ones at the tip.
 */
export async function copyTrail({ fs, instance, to }: TrailCopying): Promise<TrailCopy | undefined> {
  const { layout, name } = instance
  const files: BackupFile[] = []

  async function put(path: string, bytes: Uint8Array): Promise<void> {
    const copied = ['audit', name, ...relative(layout.folder, path).split(sep)].join('/')
    if (bytes.length > 0) files.push(await to.put(copied, bytes))
  }

  async function copy(path: string): Promise<boolean> {
    const bytes = await readIfThere(fs, path)
    if (bytes !== undefined) await put(path, bytes)
    return bytes !== undefined
  }

  async function tip(): Promise<TrailTip | undefined> {
    const segments = await listSegments(fs, layout)
    if (finished.some(({ name: file }, at) => segments[at]?.name !== file)) return undefined
    const read: { readonly path: string; readonly bytes: Uint8Array }[] = []
    for (const { path, compressed } of segments.slice(finished.length)) {
      const bytes = await readIfThere(fs, path)
      if (bytes === undefined) return undefined
      read.push({ path, bytes: compressed || path !== segments.at(-1)?.path ? bytes : committed(bytes) })
    }
    if (!isSame(about, await readIfThere(fs, layout.about))) return undefined
    return {
      async put() {
        for (const { path, bytes } of read) await put(path, bytes)
        return files
      },
    }
  }

  const about = await readIfThere(fs, layout.about)
  const finished = (await listSegments(fs, layout)).slice(0, -1)
  for (const path of await filesUnder(fs, layout.folder, layout.segments)) if (!(await copy(path))) return undefined
  for (const { path } of finished) if (!(await copy(path))) return undefined
  return { tip }
}

function isSame(before: Uint8Array | undefined, now: Uint8Array | undefined): boolean {
  return before === undefined || now === undefined ? before === now : equal(before, now)
}

/** Of the writer alone: its lock, its spare room, what it is about to rename. */
const notTrail = /^(?:lock\..*|reserve|.*\.tmp|.*\.sock)$/

/** All files under `folder`, the checkpoint among the first, without those in `except`. */
async function filesUnder(fs: FileSystem, folder: string, except: string): Promise<readonly string[]> {
  const names = (await listIfThere(fs, folder)).filter((name) => !notTrail.test(name)).sort()
  const paths = names.map((name) => join(folder, name)).filter((path) => path !== except)
  const files = paths.filter((path) => statusOf(fs, path)?.kind === 'file')
  const folders = paths.filter((path) => statusOf(fs, path)?.kind === 'folder')
  const within: string[] = []
  for (const inner of folders) for (const path of await filesUnder(fs, inner, except)) within.push(path)
  return [...files, ...within]
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
