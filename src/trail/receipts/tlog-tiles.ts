/** @node Verifies a folder that is a log as others read it (c2sp.org/tlog-tiles): a checkpoint, hash tiles, entry bundles. */
import { basename, dirname, join } from 'node:path'
import { engine } from '#engine'
import { equal, fromUtf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, listIfThere, readIfThere, statusOf } from '../../storage/filesystem.ts'
import type { Checkpoint } from '../checkpoint.ts'
import type { NoteVerifier } from '../note.ts'
import { hashBytes, rootWithin, tilePath, tileWidth } from '../tree/tiles.ts'
import { emptyTree, leafHashWithin } from '../tree/tree.ts'
import { openCheckpoint, type Vkeys, verifiersFor } from './signed-checkpoint.ts'

export interface TilesVerdict {
  /** `unverifiable`: no key to verify with, which is not tampering. */
  readonly verdict: 'valid' | 'tampered' | 'unverifiable'
  /** What was found right: all of it where the verdict is `valid`, else nothing. */
  readonly size: bigint
  /** RFC 6962 root over them. */
  readonly root: Uint8Array
  readonly origin?: string
  /** The key it was verified with. */
  readonly vkey?: string
  /** Index of the first entry that is there itself, not only its hash; `size` when none is. */
  readonly entriesFrom?: bigint
  readonly problem?: string
  /** For people: what this verdict means. */
  readonly note: string
}

export interface VerifyTilesOptions {
  /** The key that the log must be signed by, from outside; the folder's own `vkey` file is used if it is left out. */
  readonly vkey?: Vkeys
  /** After each tile: leaves verified so far. */
  readonly onLeaves?: (leaves: bigint, size: bigint) => void
}

/** Whether `path` is a folder with a checkpoint and tiles, and no trail of ours. Errors: `PROVIDER_UNAVAILABLE`. */
export function isTilesLog(fs: FileSystem, path: string): boolean {
  const isFolder = (name: string) => statusOf(fs, join(path, name))?.kind === 'folder'
  return isFolder('tile') && !isFolder('segments') && statusOf(fs, join(path, 'checkpoint'))?.kind === 'file'
}

/**
 * Recomputes leaf hashes from the entry bundles that are there, every tile above from those below, and the root; checks
 * that the checkpoint and each `checkpoint.<size>` beside it are signed and of this tree, and older partial tiles as well.
 * Entries may be missing at the start (pruned), or altogether.
 *
 * Not covered, because no checkpoint speaks of it: what belongs to a larger tree, and files that the format does not name.
 *
 * Errors: `INVALID_INPUT` for a `vkey` that is no key, `PROVIDER_UNAVAILABLE` (disk). Whatever the files hold is a verdict.
 */
export async function verifyTiles(
  fs: FileSystem,
  path: string,
  { vkey = [], onLeaves = () => {} }: VerifyTilesOptions = {},
): Promise<TilesVerdict> {
  const nothing = { size: 0n, root: emptyTree(engine).root() } as const
  const unverifiable = (problem: string) =>
    ({ ...nothing, verdict: 'unverifiable', problem, note: 'give this log’s vkey' }) as const
  const tampered = (problem: string) =>
    ({ ...nothing, verdict: 'tampered', problem, note: 'the log is not as it was signed' }) as const

  const given = verifiersFor(vkey)
  const own = await ownKey(fs, path)
  if (given.length === 0 && own === undefined) return unverifiable('no key was given, and none is in the folder')
  if (given.length === 0 && own?.verifier === undefined) return unverifiable('the file vkey holds no key')
  const verifiers = given.length > 0 ? given : own?.verifier === undefined ? [] : [own.verifier]
  const isOwnGiven = own !== undefined && given.some((one) => isText(own.text, one.vkey))

  const head = await readCheckpoint(fs, join(path, 'checkpoint'), verifiers)
  if (head === undefined) return tampered('the file checkpoint is missing')
  if (head.problem === 'unsigned' && given.length > 0 && !isOwnGiven)
    return unverifiable('the checkpoint is not signed by the key that was given')
  if (!('size' in head)) return tampered(`the checkpoint ${problems[head.problem]}`)
  const known = { origin: head.origin, vkey: head.vkey }
  if (own !== undefined && given.length > 0 && !isOwnGiven)
    return { ...known, ...tampered('the file vkey names another key than the one given') }

  const older = await olderCheckpoints(fs, path, verifiers)
  if ('problem' in older) return { ...known, ...tampered(older.problem) }
  const walked = await walk({ fs, path, head, older: older.roots, onLeaves })
  if ('problem' in walked) return { ...known, ...tampered(walked.problem) }
  const { entriesFrom } = walked
  const missing = entriesFrom === 0n ? '' : `; the entries below ${entriesFrom} are not there, only their hashes`
  const note = given.length > 0 ? 'signed by the key that was given' : 'self-consistent; key supplied by this directory'
  return { ...known, verdict: 'valid', size: head.size, root: head.root, entriesFrom, note: note + missing }
}

/** Why a log is not what was signed. */
interface Wrong {
  readonly problem: string
}

interface OwnKey {
  readonly text: string
  readonly verifier: NoteVerifier | undefined
}

async function ownKey(fs: FileSystem, path: string): Promise<OwnKey | undefined> {
  const bytes = await readIfThere(fs, join(path, 'vkey'))
  if (bytes === undefined) return undefined
  const text = fromUtf8(bytes) ?? ''
  return { text, verifier: verifierIn(text.endsWith('\n') ? text.slice(0, -1) : text) }
}

function verifierIn(text: string): NoteVerifier | undefined {
  try {
    return verifiersFor(text)[0]
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

function isText(text: string, vkey: string): boolean {
  return text === vkey || text === `${vkey}\n`
}

const problems = {
  malformed: 'is no signed note',
  unsigned: 'is not signed by the key',
  'bad-signature': 'has a wrong signature',
  'no-checkpoint': 'is no checkpoint in the name of the key',
} as const

type Read =
  | (Checkpoint & { readonly vkey: string; readonly problem?: never })
  | { readonly problem: keyof typeof problems }

async function readCheckpoint(
  fs: FileSystem,
  path: string,
  verifiers: readonly NoteVerifier[],
): Promise<Read | undefined> {
  const bytes = await readIfThere(fs, path)
  if (bytes === undefined) return undefined
  const note = fromUtf8(bytes) ?? ''
  const signed = openCheckpoint(note, verifiers)
  if (signed !== undefined) return signed
  const opened = verifiers.map(({ open }) => open(note))
  const reason = opened.find((one) => 'problem' in one && one.problem !== 'unsigned') ?? opened[0]
  return { problem: reason !== undefined && 'problem' in reason ? reason.problem : 'no-checkpoint' }
}

/** By size. */
type Roots = ReadonlyMap<bigint, Uint8Array>

async function olderCheckpoints(
  fs: FileSystem,
  path: string,
  verifiers: readonly NoteVerifier[],
): Promise<{ readonly roots: Roots } | Wrong> {
  const roots = new Map<bigint, Uint8Array>()
  for (const name of await listIfThere(fs, path)) {
    const [, digits] = /^checkpoint\.(0|[1-9]\d*)$/.exec(name) ?? []
    if (digits === undefined) continue
    const read = await readCheckpoint(fs, join(path, name), verifiers)
    if (read === undefined || !('size' in read)) return { problem: `${name} ${problems[read?.problem ?? 'malformed']}` }
    if (String(read.size) !== digits) return { problem: `${name} is of ${read.size} entries` }
    roots.set(read.size, read.root)
  }
  return { roots }
}

interface Walking {
  readonly fs: FileSystem
  readonly path: string
  readonly head: Checkpoint
  readonly older: Roots
  readonly onLeaves: (leaves: bigint, size: bigint) => void
}

async function walk(walking: Walking): Promise<{ readonly entriesFrom: bigint } | Wrong> {
  const { head, older, onLeaves } = walking
  const { size, root } = head
  const ahead = [...older.keys()].find((at) => at > size)
  if (ahead !== undefined) return { problem: `checkpoint.${ahead} is ahead of the checkpoint, which has ${size}` }
  const tree = emptyTree(engine)
  const isRight = () => equal(older.get(tree.size) ?? tree.root(), tree.root())
  const wrongRoot = () => ({ problem: `checkpoint.${tree.size} is of other entries` })
  if (older.has(0n) && !isRight()) return wrongRoot()

  const files = openTiles(walking)
  const above = levelsAbove(files)
  let entriesFrom = size
  for (let index = 0n; index * wide < size; index++) {
    const left = size - index * wide
    const width = left < wide ? Number(left) : tileWidth
    const tile = await files.read({ level: 0, index, width })
    if ('problem' in tile) return tile
    for (let at = 0; at < tile.hashes.length; at += hashBytes) {
      tree.append(tile.hashes.subarray(at, at + hashBytes))
      if (older.has(tree.size) && !isRight()) return wrongRoot()
    }
    const bundle = await files.checkEntries({ index, hashes: tile.hashes })
    if (typeof bundle === 'object') return bundle
    if (bundle === 'absent' && entriesFrom < size) return { problem: `${tilePath('entries', index, width)} is missing` }
    if (bundle === 'right' && entriesFrom === size) entriesFrom = index * wide
    const wrong = width === tileWidth ? await above.add(tile.hashes) : undefined
    if (wrong !== undefined) return wrong
    onLeaves(tree.size, size)
  }
  if (!equal(tree.root(), root)) return { problem: 'the tiles are not those of the checkpoint' }
  return (await above.finish()) ?? { entriesFrom }
}

const wide = BigInt(tileWidth)
const wholeTile = { start: 0, count: tileWidth } as const

interface TileName {
  readonly level: number
  readonly index: bigint
  /** Hashes that the tree has there. */
  readonly width: number
}

interface TileFiles {
  /** The hashes of a tile, after every file of it was compared with the widest. */
  read(tile: TileName): Promise<{ readonly hashes: Uint8Array } | Wrong>
  /** Compares every file of a bundle with the leaf hashes. */
  checkEntries(leaves: { readonly index: bigint; readonly hashes: Uint8Array }): Promise<'right' | 'absent' | Wrong>
}

function openTiles({ fs, path }: Pick<Walking, 'fs' | 'path'>): TileFiles {
  const folders = recentFolders(fs)

  /** What there is of a tile or bundle: the widest first. */
  async function widthsOf(level: number | 'entries', index: bigint): Promise<readonly number[]> {
    const name = join(path, tilePath(level, index))
    const beside = await folders.listIfThere(dirname(name))
    const partial = beside.has(`${basename(name)}.p`) ? await listIfThere(fs, `${name}.p`) : []
    const widths = partial.filter((digits) => /^[1-9]\d{0,2}$/.test(digits)).map(Number)
    const full = beside.has(basename(name)) ? [tileWidth] : []
    return [...full, ...widths.filter((width) => width < tileWidth).sort((a, b) => b - a)]
  }

  return {
    async read({ level, index, width }) {
      let hashes: Uint8Array | undefined
      for (const wideness of await widthsOf(level, index)) {
        const name = tilePath(level, index, wideness)
        const bytes = await readIfThere(fs, join(path, name))
        if (bytes?.length !== wideness * hashBytes) return { problem: `${name} is not ${wideness} hashes long` }
        // Beyond the tree: nothing says what should stand there.
        const within = bytes.subarray(0, width * hashBytes)
        if (hashes === undefined && wideness < width) return { problem: `${tilePath(level, index, width)} is missing` }
        hashes ??= within
        if (!equal(within, hashes.subarray(0, within.length)))
          return { problem: `${name} differs from a wider tile of the same place` }
      }
      return hashes === undefined ? { problem: `${tilePath(level, index, width)} is missing` } : { hashes }
    },
    async checkEntries({ index, hashes }) {
      const widths = await widthsOf('entries', index)
      const width = hashes.length / hashBytes
      if ((widths[0] ?? 0) < width) return 'absent'
      for (const wideness of widths) {
        const name = tilePath('entries', index, wideness)
        const bytes = await readIfThere(fs, join(path, name))
        const problem = bytes === undefined ? 'is missing' : wrongInBundle(bytes, { hashes, count: wideness })
        if (problem !== undefined) return { problem: `${name} ${problem}` }
      }
      return 'right'
    },
  }
}

/** A bundle is its entries, each after its length: two bytes, big-endian. */
function wrongInBundle(
  bytes: Uint8Array,
  { hashes, count }: { readonly hashes: Uint8Array; readonly count: number },
): string | undefined {
  let at = 0
  for (let entry = 0; entry < count; entry++) {
    const start = at + 2
    const end = start + ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0)
    if (end > bytes.length || start > bytes.length) return `ends within entry ${entry} of it`
    const expected = hashes.subarray(entry * hashBytes, (entry + 1) * hashBytes)
    const isBeyond = expected.length === 0
    if (!isBeyond && !equal(leafHashWithin(engine, bytes, start, end), expected))
      return `has another entry ${entry} than its tile`
    at = end
  }
  return at === bytes.length ? undefined : 'goes on after its last entry'
}

interface LevelsAbove {
  /** The next full tile of level 0. */
  add(tile: Uint8Array): Promise<Wrong | undefined>
  /** The tiles at the edge, which are not full. */
  finish(): Promise<Wrong | undefined>
}

/** Computes the tiles from level 1 up as those below get full, and compares them with what is stored. */
function levelsAbove(files: TileFiles): LevelsAbove {
  const rows: { index: bigint; filled: number; hashes: Uint8Array }[] = []

  async function compare(level: number): Promise<Wrong | undefined> {
    const row = rows[level - 1]
    if (row === undefined || row.filled === 0) return undefined
    const { index, filled, hashes } = row
    const stored = await files.read({ level, index, width: filled })
    if ('problem' in stored) return stored
    if (equal(stored.hashes, hashes.subarray(0, filled * hashBytes))) return undefined
    return { problem: `${tilePath(level, index, filled)} is not what the tiles below it hash to` }
  }

  return {
    async add(tile) {
      let full = tile
      for (let level = 1; ; level++) {
        rows[level - 1] ??= { index: 0n, filled: 0, hashes: new Uint8Array(tileWidth * hashBytes) }
        const row = rows[level - 1]
        row?.hashes.set(rootWithin(engine, full, wholeTile), row.filled++ * hashBytes)
        if (row === undefined || row.filled < tileWidth) return undefined
        const wrong = await compare(level)
        if (wrong !== undefined) return wrong
        full = row.hashes.slice()
        row.index++
        row.filled = 0
      }
    },
    async finish() {
      for (let level = 1; level <= rows.length; level++) {
        const wrong = await compare(level)
        if (wrong !== undefined) return wrong
      }
      return undefined
    },
  }
}

/** Names in folders, kept for the few folders in which tiles are read in turn. */
function recentFolders(fs: FileSystem): { listIfThere(folder: string): Promise<ReadonlySet<string>> } {
  const known = new Map<string, ReadonlySet<string>>()
  return {
    async listIfThere(folder) {
      const found = known.get(folder) ?? new Set(await listIfThere(fs, folder))
      if (known.size > 16) known.clear()
      known.set(folder, found)
      return found
    },
  }
}
