/** @node Where things stand in a trail's directory. */
import { basename, join } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { type FileStatus, type FileSystem, fileError, systemCode } from '../storage/filesystem.ts'

/** One instance's directory: `<path>/<instance>`. */
export interface Layout {
  readonly folder: string
  /** What the trail is: about.ts. */
  readonly about: string
  /** The newest published checkpoint, the durability watermark: what it covers was synced before it was published. */
  readonly checkpoint: string
  readonly segments: string
  /** What recovery cut off. */
  readonly quarantine: string
}

export function layoutOf(folder: string): Layout {
  return {
    folder,
    about: join(folder, 'trail.json'),
    checkpoint: join(folder, 'checkpoint'),
    segments: join(folder, 'segments'),
    quarantine: join(folder, 'quarantine'),
  }
}

export interface Segment {
  /** File name: the index of the first entry, 20 digits, and `.jsonl`. */
  readonly name: string
  readonly path: string
  readonly first: bigint
}

export function segmentAt(layout: Layout, first: bigint): Segment {
  const name = `${String(first).padStart(20, '0')}.jsonl`
  return { name, path: join(layout.segments, name), first }
}

/** By index. Files of other names are none of ours. */
export async function listSegments(fs: FileSystem, layout: Layout): Promise<readonly Segment[]> {
  const names = (await listIfThere(fs, layout.segments)).filter((name) => /^\d{20}\.jsonl$/.test(name)).sort()
  return names.map((name) => segmentAt(layout, BigInt(name.slice(0, 20))))
}

export interface Instance {
  readonly name: string
  readonly layout: Layout
}

/** The trails under `path`, which is one instance or the parent of many, by name. Errors: `INVALID_INPUT` if there is none. */
export async function findInstances(fs: FileSystem, path: string): Promise<readonly Instance[]> {
  checkPath(path)
  const given = layoutOf(path)
  if (isTrail(fs, given)) return [{ name: basename(path), layout: given }]
  const names = [...(await listIfThere(fs, path))].sort()
  const found = names
    .map((name) => ({ name, layout: layoutOf(join(path, name)) }))
    .filter((one) => isTrail(fs, one.layout))
  if (found.length === 0) throw new KmsError('INVALID_INPUT', `there is no trail at ${path}`)
  return found
}

export function checkPath(path: string): void {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new KmsError('INVALID_INPUT', "path must be a folder's name")
}

function isTrail(fs: FileSystem, layout: Layout): boolean {
  if (statusOf(fs, layout.folder)?.kind !== 'folder') return false
  return statusOf(fs, layout.about) !== undefined || statusOf(fs, layout.segments)?.kind === 'folder'
}

/** Undefined when there is no such file. Errors: `PROVIDER_UNAVAILABLE`. */
export function statusOf(fs: FileSystem, path: string): FileStatus | undefined {
  try {
    return fs.status(path)
  } catch (error) {
    throw fileError('look at', path, error)
  }
}

async function listIfThere(fs: FileSystem, folder: string): Promise<readonly string[]> {
  try {
    return await fs.list(folder)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw fileError('list', folder, error)
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
