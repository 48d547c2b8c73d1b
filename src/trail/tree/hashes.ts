/** @node Any hash of a trail's tree: from its tiles, and from its segments for what they do not cover. */
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import type { Nodes } from './proofs.ts'
import {
  countAt,
  hashBytes,
  leafTiles,
  readTile,
  rootWithin,
  type TilesOptions,
  tiledSize,
  tileWidth,
} from './tiles.ts'
import { type Tree, treeFrom } from './tree.ts'

/** Untrusted until a root that is computed from them is a signed one. */
export interface Hashes extends Nodes {
  readonly size: bigint
  /** Hash over the leaves [index·2^level, (index+1)·2^level), all below `size`. Errors: as {@link openHashes}. */
  node(level: number, index: bigint): Promise<Uint8Array>
}

/**
 * The hashes of the first `size` leaves, which must be committed. Reads the segments once for what the tiles do not cover,
 * and again where a proof leads there. Memory: some tiles of 8 KiB, and 32 bytes for each 256 entries without a tile.
 *
 * Errors: `INTERNAL` where leaves are in neither tiles nor segments, `PROVIDER_UNAVAILABLE` (disk).
 */
export async function openHashes(options: TilesOptions & { readonly size: bigint }): Promise<Hashes> {
  const { engine, size } = options
  let covered = await tiledSize(options)
  // Tiles may stand for more than is asked for here.
  if (covered > size) covered = size
  /** Roots over the whole tiles of level 0 that are not on the disk, from this one on. */
  const firstUntiled = covered / wide
  const roots: Uint8Array[] = []
  /** The last leaves, too few for a tile. */
  let edge: Uint8Array = new Uint8Array(0)
  for await (const { hashes } of leafTiles(options, { from: covered, to: size })) {
    if (hashes.length === tileWidth * hashBytes) roots.push(rootWithin(engine, hashes, wholeTile))
    else edge = hashes
  }
  const recent = recentTiles()

  async function tileAt(level: number, index: bigint): Promise<Uint8Array> {
    const found = recent.get(level, index) ?? (await loadTile(level, index))
    recent.put(level, index, found)
    return found
  }

  async function loadTile(level: number, index: bigint): Promise<Uint8Array> {
    if (level === 0 && index === countAt(size, 1)) return edge
    if (level === 0 && index >= firstUntiled) return untiledTile(index)
    const stored = await readTile(options, { level, index })
    if (stored !== undefined) return stored
    if (level === 0) throw new KmsError('INTERNAL', `a tile of ${size} entries is gone or damaged: tile ${index}`)
    const count = countAt(size, level) - index * wide
    const hashes = new Uint8Array(hashBytes * Number(count < wide ? count : wide))
    for (let at = 0; at < hashes.length; at += hashBytes)
      hashes.set(await rootOfTile(level - 1, index * wide + BigInt(at / hashBytes)), at)
    return hashes
  }

  async function rootOfTile(level: number, index: bigint): Promise<Uint8Array> {
    const known = level === 0 ? roots[Number(index - firstUntiled)] : undefined
    return known ?? rootWithin(engine, await loadTile(level, index), wholeTile)
  }

  async function untiledTile(index: bigint): Promise<Uint8Array> {
    const from = index === firstUntiled ? covered : index * wide
    for await (const { hashes } of leafTiles(options, { from, to: (index + 1n) * wide })) return hashes
    throw new KmsError('INTERNAL', `entry ${from} is in no segment`)
  }

  return {
    size,
    async node(level, index) {
      if (index < 0n || (index + 1n) << BigInt(level) > size)
        throw new KmsError('INTERNAL', `the tree of ${size} leaves has no node ${index} at level ${level}`)
      const above = level % 8
      const first = index << BigInt(above)
      const tile = await tileAt((level - above) / 8, first / wide)
      return rootWithin(engine, tile, { start: Number(first % wide), count: 1 << above })
    },
  }
}

/** The compact tree over the first `size` entries. Errors: as {@link openHashes}. */
export async function treeAt(engine: Engine, hashes: Hashes, size: bigint): Promise<Tree> {
  const peaks: Uint8Array[] = []
  for (let left = size; left > 0n; ) {
    const level = left.toString(2).length - 1
    peaks.push(await hashes.node(level, (size - left) >> BigInt(level)))
    left -= 1n << BigInt(level)
  }
  return treeFrom(engine, size, peaks)
}

/** RFC 6962 root over the first `size` entries, 32 bytes. Errors: as {@link openHashes}. */
export async function rootAt(engine: Engine, hashes: Hashes, size: bigint): Promise<Uint8Array> {
  return (await treeAt(engine, hashes, size)).root()
}

const wide = BigInt(tileWidth)
const wholeTile = { start: 0, count: tileWidth } as const
const kept = 32

interface RecentTiles {
  get(level: number, index: bigint): Uint8Array | undefined
  put(level: number, index: bigint, tile: Uint8Array): void
}

/** The tiles used last: one proof asks a tile for up to eight hashes, and the next proof for most of the same tiles. */
function recentTiles(): RecentTiles {
  const tiles = new Map<string, Uint8Array>()
  return {
    get: (level, index) => tiles.get(`${level}/${index}`),
    put(level, index, tile) {
      const name = `${level}/${index}`
      // A Map keeps the order of insertion: the first is the one not used for the longest.
      tiles.delete(name)
      tiles.set(name, tile)
      for (const oldest of tiles.keys()) {
        if (tiles.size <= kept) break
        tiles.delete(oldest)
      }
    },
  }
}
