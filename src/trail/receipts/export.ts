/** @node A trail as a C2SP tlog-tiles log (c2sp.org/tlog-tiles), for readers that know nothing of ours. */
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { engine } from '#engine'
import { concat, utf8 } from '../../crypto/bytes.ts'
import { randomToken } from '../../crypto/random.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError, nodeFileSystem, statusOf } from '../../storage/filesystem.ts'
import { checkPath, findInstances, type Instance, type Layout, listSegments } from '../layout.ts'
import { parseEntry } from '../reading/entry-line.ts'
import { leavesOf } from '../tree/leaves.ts'
import { copyTiles, putFile, tilePath, tileWidth, writeTiles } from '../tree/tiles.ts'
import { keysOf, readPublished, type Vkeys } from './signed-checkpoint.ts'
import { verifyTiles } from './tlog-tiles.ts'

export interface ExportOptions {
  /** Who must have signed the checkpoint; whoever trail.json names, if it is left out. */
  readonly vkey?: Vkeys
  readonly fs?: FileSystem
}

export interface Exported {
  readonly instance: string
  readonly origin: string
  /** Who signed the checkpoint. */
  readonly vkey: string
  /** Entries that the checkpoint covers. */
  readonly size: bigint
  /** RFC 6962 root over them. */
  readonly root: Uint8Array
  /** Index of the first entry that is in the export; all before it are there as hashes only, because they were pruned. */
  readonly entriesFrom: bigint
}

/**
 * Writes what the trail at `path` has published into the folder `out`: `checkpoint`, `vkey`, hash tiles and entry bundles,
 * verified before `out` appears. All of it or nothing: `out` must not exist, or be empty.
 *
 * Of a pruned trail the bundles begin with the first one that is still whole; readers that insist on all entries refuse it.
 *
 * Errors: `INVALID_INPUT` (no trail there, or several; `out` is taken; an entry is larger than the 65,535 bytes that a
 * bundle takes), `INTERNAL` (the trail is damaged), `PROVIDER_UNAVAILABLE` (disk).
 *
 * @example
 * ```ts
 * const { size, vkey } = await exportTiles('./audit', './export')     // serve ./export with any web server
 * ```
 */
export async function exportTiles(path: string, out: string, options: ExportOptions = {}): Promise<Exported> {
  const { fs = nodeFileSystem } = options
  const instance = await onlyInstance(fs, path)
  const { layout } = instance
  await checkFree(fs, out)
  const { origin, size, root, vkey, note } = await readPublished(fs, layout, await keysOf(fs, layout, options.vkey))
  const folder = join(dirname(out), `${basename(out)}.${randomToken()}.tmp`)
  try {
    // The tiles of the copy, made from the segments of the trail.
    const target: Layout = { ...layout, folder }
    const segments = await listSegments(fs, layout)
    await copyTiles({ fs, engine, layout }, { to: target, leaves: segments[0]?.first ?? size })
    await writeTiles({ fs, engine, layout: target, size, partial: true })
    await writeBundles({ fs, folder, layout, size })
    await putFile(fs, join(folder, 'vkey'), utf8(`${vkey}\n`))
    await putFile(fs, join(folder, 'checkpoint'), utf8(note))
    const { verdict, problem, entriesFrom = size } = await verifyTiles(fs, folder, { vkey })
    if (verdict !== 'valid') throw new KmsError('INTERNAL', `the trail is damaged: verify it (${problem})`)
    await putInPlace(fs, folder, out)
    return { instance: instance.name, origin, vkey, size, root, entriesFrom }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function onlyInstance(fs: FileSystem, path: string): Promise<Instance> {
  const [first, ...others] = await findInstances(fs, path)
  if (first !== undefined && others.length === 0) return first
  throw new KmsError('INVALID_INPUT', `there are several trails at ${path}: export them one by one`)
}

async function checkFree(fs: FileSystem, out: string): Promise<void> {
  checkPath(out)
  const found = statusOf(fs, out)
  if (found === undefined) return
  const isEmpty = found.kind === 'folder' && (await fs.list(out)).length === 0
  if (!isEmpty) throw new KmsError('INVALID_INPUT', `${out} is there already: name a new folder`)
}

interface Bundling {
  readonly fs: FileSystem
  /** Where the export is made. */
  readonly folder: string
  readonly layout: Layout
  readonly size: bigint
}

async function writeBundles({ fs, folder, layout, size }: Bundling): Promise<void> {
  const segments = await listSegments(fs, layout)
  const wide = BigInt(tileWidth)
  let index = ((segments[0]?.first ?? size) + wide - 1n) / wide
  if (index * wide >= size) return
  let parts: Uint8Array[] = []
  const put = async () => {
    await putFile(fs, join(folder, tilePath('entries', index, parts.length)), concat(parts))
    index++
    parts = []
  }
  for await (const { first, bytes, bounds } of leavesOf({ fs, segments, from: index * wide, to: size })) {
    for (let at = 0; at < bounds.length; at += 2) {
      parts.push(prefixed(bytes.subarray(bounds[at], bounds[at + 1]), first + BigInt(at / 2)))
      if (parts.length === tileWidth) await put()
    }
  }
  if (parts.length > 0) await put()
}

const mostBytes = 65_535

/** The entry after its length: two bytes, big-endian. */
function prefixed(line: Buffer, index: bigint): Uint8Array {
  if (line.length > mostBytes) {
    const name = parseEntry(line.toString('utf8'))?.eventID ?? 'without an eventID'
    throw new KmsError(
      'INVALID_INPUT',
      `entry ${index} (${name}) has ${line.length} bytes: the format takes ${mostBytes} at most`,
    )
  }
  const out = new Uint8Array(2 + line.length)
  out[0] = line.length >> 8
  out[1] = line.length & 255
  out.set(line, 2)
  return out
}

async function putInPlace(fs: FileSystem, folder: string, out: string): Promise<void> {
  try {
    await fs.rename(folder, out)
    await fs.syncFolder(dirname(out))
  } catch (error) {
    throw fileError('make', out, error)
  }
}
