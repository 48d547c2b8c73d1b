/**
 * @node The hashes of a trail's tree as files (c2sp.org/tlog-tiles): `tile/<level>/<index>`, each with 256 hashes of 32
 * bytes; level 0 holds leaf hashes, each level above the roots of whole tiles below. Derived data: written whole, never
 * changed, and no more trusted than the root that is computed from it.
 */
import { basename, dirname, join } from 'node:path'
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError, listIfThere, readIfThere, statusOf } from '../../storage/filesystem.ts'
import { replaceFile } from '../../storage/replace.ts'
import { type Layout, listSegments } from '../layout.ts'
import { leavesOf } from './leaves.ts'
import { leafHashWithin } from './tree.ts'

/** Hashes in a full tile. */
export const tileWidth = 256
export const hashBytes = 32
const tileBytes = tileWidth * hashBytes

export interface TilesOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
}

/**
 * `tile/0/x001/067`, or `tile/0/000.p/5` for a partial tile of `width` hashes. `entries` instead of a level: where the
 * bundle with the entries of a tile of level 0 stands.
 */
export function tilePath(level: number | 'entries', index: bigint, width: number = tileWidth): string {
  const groups = [String(index % 1000n).padStart(3, '0')]
  for (let rest = index / 1000n; rest > 0n; rest /= 1000n) groups.unshift(`x${String(rest % 1000n).padStart(3, '0')}`)
  const path = `tile/${level}/${groups.join('/')}`
  return width === tileWidth ? path : `${path}.p/${width}`
}

/** Leaves that the tiles on the disk cover from 0 without a gap (partial ones included). Errors: `PROVIDER_UNAVAILABLE`. */
export async function tiledSize(options: TilesOptions): Promise<bigint> {
  const full = await fullTiles(options, 0)
  const widths = await partialWidths(options, 0, full)
  return full * BigInt(tileWidth) + BigInt(widths.at(-1) ?? 0)
}

/**
 * Makes the tiles of the tree of `size` that are missing; `partial: true` also the partial ones. Reads leaf hashes from the
 * tiles there are, and the rest from the segments. One at a time for a trail.
 *
 * With `partial: true` all of them stand on the disk for good when it resolves. Without, a power cut may take some away,
 * and a later call makes them again: folders are not synced for what the segments still hold.
 *
 * Errors: `INTERNAL` where leaves are in neither, `PROVIDER_UNAVAILABLE` (disk); what was made until then stays, and the
 * next call goes on from there.
 */
export async function writeTiles(
  options: TilesOptions & { readonly size: bigint; readonly partial?: boolean },
): Promise<void> {
  const { fs, layout, size, partial = false } = options
  const lazy = { ...options, fs: { ...fs, syncFolder: async () => {} } }
  const covered = await tiledSize(options)
  const to = partial ? size : size - (size % BigInt(tileWidth))
  if (covered < to)
    for await (const { index, hashes } of leafTiles(options, { from: covered, to }))
      await putTile(lazy, { level: 0, index, hashes })
  for (let level = 0; countAt(size, level) > 0n; level++) {
    const [full, width] = [countAt(size, level + 1), Number(countAt(size, level) % BigInt(tileWidth))]
    if (level > 0)
      for (let index = await fullTiles(options, level); index < full; index++)
        await putTile(lazy, { level, index, hashes: await fromBelow(options, { level, index, width: tileWidth }) })
    if (!partial || width === 0 || isThere(options, tilePath(level, full))) continue
    if (isThere(options, tilePath(level, full, width))) continue
    const edge = { level, index: full, width }
    const hashes = level === 0 ? await leafPrefix(options, edge) : await fromBelow(options, edge)
    await putTile(lazy, { level, index: full, hashes })
  }
  // All of them, also those that earlier calls filled.
  if (partial) for (const folder of foldersOf(layout, size)) await syncFolder(fs, folder)
}

/** Copies the tiles of level 0 that cover the first `leaves`. Errors: `INTERNAL` where one is missing, and as replaceFile. */
export async function copyTiles(
  options: TilesOptions,
  { to, leaves }: { readonly to: Layout; readonly leaves: bigint },
): Promise<void> {
  for (let index = 0n; index * BigInt(tileWidth) < leaves; index++) {
    const left = leaves - index * BigInt(tileWidth)
    const width = left < tileWidth ? Number(left) : tileWidth
    await putTile({ ...options, layout: to }, { level: 0, index, hashes: await leafPrefix(options, { index, width }) })
  }
}

/** A tile of level 0 as far as it is known: 256 hashes, fewer at the end of the range. */
export interface LeafTile {
  readonly index: bigint
  readonly hashes: Uint8Array
}

/**
 * The tiles of level 0 from leaf `from` up to leaf `to`, computed from the segments; where `from` is not the start of a
 * tile, what comes before it in that tile is read from the tiles on the disk.
 */
export async function* leafTiles(
  options: TilesOptions,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): AsyncGenerator<LeafTile, void, undefined> {
  const { fs, engine, layout } = options
  let index = from / BigInt(tileWidth)
  let filled = Number(from % BigInt(tileWidth))
  let tile = new Uint8Array(tileBytes)
  if (filled > 0) tile.set(await leafPrefix(options, { index, width: filled }))
  const segments = from < to ? await listSegments(fs, layout) : []
  for await (const { bytes, bounds } of leavesOf({ fs, segments, from, to })) {
    for (let at = 0; at < bounds.length; at += 2) {
      // Starts and ends stand in pairs: the fallbacks are never taken.
      tile.set(leafHashWithin(engine, bytes, bounds[at] ?? 1, bounds[at + 1] ?? 1), hashBytes * filled++)
      if (filled < tileWidth) continue
      yield { index, hashes: tile }
      index++
      filled = 0
      tile = new Uint8Array(tileBytes)
    }
  }
  if (filled > 0) yield { index, hashes: tile.slice(0, hashBytes * filled) }
}

/** A full tile; undefined when it is not there, or not whole. Errors: `PROVIDER_UNAVAILABLE`. */
export async function readTile(
  { fs, layout }: TilesOptions,
  { level, index }: { readonly level: number; readonly index: bigint },
): Promise<Uint8Array | undefined> {
  const bytes = await readIfThere(fs, join(layout.folder, tilePath(level, index)))
  return bytes?.length === tileBytes ? bytes : undefined
}

/** Root over `count` hashes of a tile, from the one at `start` on; `count` is a power of two. */
export function rootWithin(
  engine: Engine,
  hashes: Uint8Array,
  { start, count }: { readonly start: number; readonly count: number },
): Uint8Array {
  const row = hashes.slice(start * hashBytes, (start + count) * hashBytes)
  for (let left = count; left > 1; left /= 2)
    for (let at = 0; at < left * hashBytes; at += 2 * hashBytes) {
      pair.set(row.subarray(at, at + 2 * hashBytes), 1)
      engine.hashInto('sha256', pair, row, at / 2)
    }
  return row.slice(0, hashBytes)
}

// RFC 6962 §2.1: 01 ‖ left ‖ right. Hashing is synchronous, so one is enough; an array for each would cost a quarter more.
const pair = new Uint8Array(1 + 2 * hashBytes)
pair[0] = 1

/** Hashes of the tree of `size` that stand in tiles of `level`. */
export function countAt(size: bigint, level: number): bigint {
  return size >> BigInt(8 * level)
}

/** The first `width` leaf hashes of a tile of level 0, from the full tile or a partial one that is wide enough. */
async function leafPrefix(
  options: TilesOptions,
  { index, width }: { readonly index: bigint; readonly width: number },
): Promise<Uint8Array> {
  const full = await readTile(options, { level: 0, index })
  if (full !== undefined) return full.slice(0, width * hashBytes)
  for (const wide of (await partialWidths(options, 0, index)).filter((other) => other >= width)) {
    const bytes = await readIfThere(options.fs, join(options.layout.folder, tilePath(0, index, wide)))
    if (bytes?.length === wide * hashBytes) return bytes.slice(0, width * hashBytes)
  }
  throw missing(0, index)
}

async function fromBelow(
  options: TilesOptions,
  { level, index, width }: { readonly level: number; readonly index: bigint; readonly width: number },
): Promise<Uint8Array> {
  const hashes = new Uint8Array(width * hashBytes)
  for (let at = 0; at < width; at++) {
    const child = { level: level - 1, index: index * BigInt(tileWidth) + BigInt(at) }
    const below = await readTile(options, child)
    if (below === undefined) throw missing(child.level, child.index)
    hashes.set(rootWithin(options.engine, below, { start: 0, count: tileWidth }), at * hashBytes)
  }
  return hashes
}

function missing(level: number, index: bigint): KmsError {
  return new KmsError('INTERNAL', `${tilePath(level, index)} is missing or damaged, and so is what it is made from`)
}

async function putTile(
  { fs, layout }: TilesOptions,
  { level, index, hashes }: { readonly level: number; readonly index: bigint; readonly hashes: Uint8Array },
): Promise<void> {
  await putFile(fs, join(layout.folder, tilePath(level, index, hashes.length / hashBytes)), hashes)
}

/** A whole file in folders that are made for it. Errors: as replaceFile. */
export async function putFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  await makeDurableFolder(fs, dirname(path))
  await replaceFile(fs, path, bytes)
}

/** A file's name is durable only if those of its folders are. */
async function makeDurableFolder(fs: FileSystem, folder: string): Promise<void> {
  if (statusOf(fs, folder) !== undefined) return
  await makeDurableFolder(fs, dirname(folder))
  try {
    await fs.makeFolder(folder, 0o700)
    await fs.syncFolder(dirname(folder))
  } catch (error) {
    throw fileError('make', folder, error)
  }
}

/** Every folder that a tile of the tree of `size` may stand in, and those above. */
function foldersOf({ folder: top }: Layout, size: bigint): ReadonlySet<string> {
  const folders = new Set([top])
  const add = (path: string) => {
    for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(join(top, at))
  }
  for (let level = 0; countAt(size, level) > 0n; level++) {
    const edge = countAt(size, level + 1)
    for (let index = 0n; index <= edge; index += 1000n) add(tilePath(level, index))
    add(tilePath(level, edge))
    add(tilePath(level, edge, 1))
  }
  return folders
}

async function syncFolder(fs: FileSystem, folder: string): Promise<void> {
  if (statusOf(fs, folder) === undefined) return
  try {
    await fs.syncFolder(folder)
  } catch (error) {
    throw fileError('sync', folder, error)
  }
}

function isThere({ fs, layout }: TilesOptions, path: string): boolean {
  return statusOf(fs, join(layout.folder, path)) !== undefined
}

/** Full tiles of a level from 0 on without a gap. By listing: asking for each would take longer than a batch may wait. */
async function fullTiles({ fs, layout }: TilesOptions, level: number): Promise<bigint> {
  for (let index = 0n; ; ) {
    const folder = dirname(join(layout.folder, tilePath(level, index)))
    const names = new Set(await listIfThere(fs, folder))
    const next = index + 1000n
    while (index < next && names.has(basename(tilePath(level, index)))) index++
    if (index < next) return index
  }
}

/** Widths of the partial tiles that are there, ascending. Errors: `PROVIDER_UNAVAILABLE`. */
async function partialWidths({ fs, layout }: TilesOptions, level: number, index: bigint): Promise<readonly number[]> {
  const names = await listIfThere(fs, join(layout.folder, `${tilePath(level, index)}.p`))
  const widths = names.filter((name) => /^[1-9]\d{0,2}$/.test(name)).map(Number)
  return widths.filter((width) => width < tileWidth).sort((a, b) => a - b)
}
