/** @node Where things stand in a trail's directory. */
import { basename, join } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, listIfThere, statusOf } from '../storage/filesystem.ts'

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
  /** File name: the index of the first entry, 20 digits, and `.jsonl`, or `.jsonl.gz` when it is compressed. */
  readonly name: string
  readonly path: string
  readonly first: bigint
  /** Gzip of the bytes that were written; hashes and sizes are those of the bytes themselves. */
  readonly compressed: boolean
}

/** The segment that begins at `first`, as it is written. */
export function segmentAt(layout: Layout, first: bigint): Segment {
  const name = `${String(first).padStart(20, '0')}.jsonl`
  return { name, path: join(layout.segments, name), first, compressed: false }
}

/** The same segment's place once it is compressed. */
export function compressedAt(layout: Layout, first: bigint): Segment {
  const name = `${String(first).padStart(20, '0')}.jsonl.gz`
  return { name, path: join(layout.segments, name), first, compressed: true }
}

/**
 * By index. Files of other names are none of ours. Where a segment stands plain and compressed, which is what a crash
 * while compressing leaves, the plain one counts.
 */
export async function listSegments(fs: FileSystem, layout: Layout): Promise<readonly Segment[]> {
  const names = new Set(await listIfThere(fs, layout.segments))
  const segments: Segment[] = []
  for (const name of [...names].sort()) {
    const [, digits, gz] = /^(\d{20})\.jsonl(\.gz)?$/.exec(name) ?? []
    if (digits === undefined) continue
    const first = BigInt(digits)
    if (gz === undefined) segments.push(segmentAt(layout, first))
    else if (!names.has(`${digits}.jsonl`)) segments.push(compressedAt(layout, first))
  }
  return segments
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
