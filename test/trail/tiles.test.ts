/** @node Tiles against published answers, and a trail's tiles against its tree. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { engine } from '#engine'
import { replaceFile } from '../../src/storage/replace.ts'
import { openTrail } from '../../src/trail/index.ts'
import { type Layout, layoutOf, listSegments } from '../../src/trail/layout.ts'
import { openHashes, rootAt, treeAt } from '../../src/trail/tree/hashes.ts'
import { leavesOf } from '../../src/trail/tree/leaves.ts'
import { tiledSize, tilePath, writeTiles } from '../../src/trail/tree/tiles.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'
import { noShared, sharedJson } from '../shared.ts'
import { volatileFileSystem } from '../storage/volatile.ts'
import { entriesFrom, folderFor, hastyFileSystem, segmentsIn, signerOf } from './entries.ts'

const fs = hastyFileSystem
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

interface Trail {
  readonly layout: Layout
  readonly size: bigint
  readonly leaves: readonly Uint8Array[]
}

/** A closed trail of `count` entries in batches of 1 to 60, in segments of 40 kB. */
async function trailOf(t: TestContext, count: number): Promise<Trail> {
  const trail = await openTrail({ path: folderFor(t), signer: signerOf(7), segmentBytes: 40_000, fs })
  for (let next = 0, batch = 1; next < count; next += batch, batch = Math.min(1 + (next % 60), count - next))
    await trail.write(entriesFrom(next, batch))
  await trail.close()
  // What the writer made of its own accord is made anew by each test.
  rmSync(join(trail.path, 'tile'), { recursive: true, force: true })
  return { layout: layoutOf(trail.path), size: BigInt(count), leaves: leavesIn(trail.path) }
}

/** By hand: every line that is no commit line. */
function leavesIn(folder: string): Uint8Array[] {
  const lines = segmentsIn(folder).flatMap(({ bytes }) => bytes.toString('utf8').split('\n').slice(0, -1))
  return lines.filter((line) => !line.startsWith('{"commit"')).map((line) => leafHash(engine, Buffer.from(line)))
}

function rootOver(leaves: readonly Uint8Array[], size: bigint): string {
  const tree = emptyTree(engine)
  for (const leaf of leaves.slice(0, Number(size))) tree.append(leaf)
  return hex(tree.root())
}

/** Paths below `tile`, with their bytes in hex. */
function tilesIn({ folder }: Layout): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (name.startsWith('tile/') && statSync(path).isFile()) found.set(name, hex(readFileSync(path)))
  }
  return found
}

describe('tile paths', () => {
  test('are those of the published answers', { skip: noShared }, () => {
    const { paths } = sharedJson<{
      readonly paths: readonly {
        readonly index: number
        readonly level: string
        readonly path: string
        readonly width: number
      }[]
    }>('vectors/tlog.json')
    for (const { index, level, path, width } of paths)
      strictEqual(tilePath(level === 'entries' ? level : Number(level), BigInt(index), width), path)
    ok(paths.length > 8)
  })

  test('of full tiles need no width, and take indexes beyond 2^53', () => {
    strictEqual(tilePath(0, 1067n), 'tile/0/x001/067')
    strictEqual(tilePath(5, 0n, 5), 'tile/5/000.p/5')
    strictEqual(tilePath(0, 9_007_199_254_740_993n), 'tile/0/x009/x007/x199/x254/x740/993')
  })
})

describe('tiles of a trail', () => {
  test('are those that the published answers name, at every size', { skip: noShared }, async (t) => {
    const { tiles, entries } = sharedJson<{
      readonly entries: { readonly seed: string }
      readonly tiles: readonly {
        readonly size: number
        readonly all: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[]
      }[]
    }>('vectors/tlog.json')
    let checked = 0
    for (const { size, all } of tiles.filter(({ size, all }) => size <= 70_000 && Array.isArray(all))) {
      const lines = Array.from({ length: size }, (_, at) => `${entries.seed}:${at}:${'x'.repeat((at * 7) % 97)}\n`)
      const layout = layoutOf(join(folderFor(t), 'main'))
      mkdirSync(layout.segments, { recursive: true })
      writeFileSync(join(layout.segments, `${'0'.repeat(20)}.jsonl`), lines.join(''))
      await writeTiles({ fs, engine, layout, size: BigInt(size), partial: true })
      const made = tilesIn(layout)
      const expected = all.filter(({ path }) => !path.startsWith('tile/entries/'))
      for (const { path, bytes, sha256 } of expected) {
        const tile = Buffer.from(made.get(path) ?? '', 'hex')
        strictEqual(tile.length, bytes, path)
        strictEqual(createHash('sha256').update(tile).digest('hex'), sha256, path)
        checked++
      }
      deepStrictEqual([...made.keys()].sort(), expected.map(({ path }) => path).sort())
    }
    ok(checked > 10, `${checked} tiles`)
  })

  test('are the same in one go and step by step, and not made twice', async (t) => {
    const { layout, size } = await trailOf(t, 1300)
    const options = { fs, engine, layout }
    strictEqual(await tiledSize(options), 0n)
    await writeTiles({ ...options, size })
    strictEqual(await tiledSize(options), 1280n)
    const inOneGo = tilesIn(layout)
    deepStrictEqual(
      [...inOneGo.keys()].sort(),
      ['000', '001', '002', '003', '004'].map((name) => `tile/0/${name}`),
    )
    rmSync(join(layout.folder, 'tile'), { recursive: true })
    for (const step of [1n, 255n, 256n, 257n, 700n, 700n, 1025n, size]) await writeTiles({ ...options, size: step })
    deepStrictEqual(tilesIn(layout), inOneGo)

    const opened: string[] = []
    const watched = {
      ...fs,
      open: (path: string, how: 'read' | 'create' | 'append', mode?: number) => {
        opened.push(path)
        return fs.open(path, how, mode)
      },
    }
    await writeTiles({ ...options, fs: watched, size })
    deepStrictEqual(opened, [])
  })

  test('with partial ones cover every entry, and whole ones take over from them', async (t) => {
    const { layout, size, leaves } = await trailOf(t, 600)
    const options = { fs, engine, layout }
    await writeTiles({ ...options, size: 300n, partial: true })
    deepStrictEqual([...tilesIn(layout).keys()].sort(), ['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1'])
    strictEqual(await tiledSize(options), 300n)
    await writeTiles({ ...options, size: 280n, partial: true })
    strictEqual(
      tilesIn(layout).get('tile/0/001.p/24'),
      tilesIn(layout)
        .get('tile/0/001.p/44')
        ?.slice(0, 24 * 64),
    )
    strictEqual(await tiledSize(options), 300n)

    // As after pruning: the entries below 300 are gone but for their hashes.
    const segments = join(layout.folder, 'segments')
    const [first] = segmentsIn(layout.folder)
    ok(first)
    const kept = leavesOf({ fs, segments: await listSegments(fs, layout), from: 300n, to: size })
    const lines: string[] = []
    for await (const { bytes, bounds } of kept)
      for (let at = 0; at < bounds.length; at += 2)
        lines.push(`${bytes.toString('utf8', bounds[at], bounds[at + 1])}\n`)
    for (const { path } of segmentsIn(layout.folder)) rmSync(path)
    writeFileSync(join(segments, `${'300'.padStart(20, '0')}.jsonl`), lines.join(''))

    const before = await openHashes({ ...options, size })
    strictEqual(hex(await rootAt(engine, before, 300n)), rootOver(leaves, 300n))
    strictEqual(hex(await rootAt(engine, before, size)), rootOver(leaves, size))
    await writeTiles({ ...options, size })
    strictEqual(await tiledSize(options), 512n)
    const after = await openHashes({ ...options, size })
    for (const at of [1n, 299n, 300n, 511n, 512n, 513n, size])
      strictEqual(hex(await rootAt(engine, after, at)), rootOver(leaves, at), `${at}`)
  })

  test('outlast a power cut when their entries may go, whoever made them', async () => {
    const mount = '/trail'
    const disk = volatileFileSystem({ mount, newFolders: 'named' })
    const layout = layoutOf(join(mount, 'main'))
    await disk.makeFolder(layout.segments, 0o700)
    await disk.syncFolder(mount)
    await disk.syncFolder(layout.folder)
    const lines = Array.from({ length: 600 }, (_, at) => `entry ${at}\n`).join('')
    await replaceFile(disk, join(layout.segments, `${'0'.repeat(20)}.jsonl`), Buffer.from(lines))
    const options = { engine, layout, size: 600n }
    const root = hex(await rootAt(engine, await openHashes({ ...options, fs: disk }), 600n))
    // First as after a segment, where nothing hangs on them.
    await writeTiles({ ...options, fs: disk })
    await writeTiles({ ...options, fs: disk, partial: true })
    await disk.remove(join(layout.segments, `${'0'.repeat(20)}.jsonl`))
    for (const chance of [0, 0.5, 0.999]) {
      const after = disk.cut(() => chance)
      strictEqual(await tiledSize({ ...options, fs: after }), 600n)
      strictEqual(hex(await rootAt(engine, await openHashes({ ...options, fs: after }), 600n)), root)
    }
  })

  test('that are gone are made again, and without the entries they are missed', async (t) => {
    const { layout, size, leaves } = await trailOf(t, 1100)
    const options = { fs, engine, layout }
    await writeTiles({ ...options, size })
    const all = tilesIn(layout)
    rmSync(join(layout.folder, 'tile/0/002'))
    strictEqual(await tiledSize(options), 512n)
    strictEqual(hex(await rootAt(engine, await openHashes({ ...options, size }), size)), rootOver(leaves, size))
    await writeTiles({ ...options, size })
    deepStrictEqual(tilesIn(layout), all)

    writeFileSync(join(layout.folder, 'tile/0/002'), Buffer.alloc(31))
    await rejects(async () => rootAt(engine, await openHashes({ ...options, size }), size), { code: 'INTERNAL' })
    rmSync(join(layout.folder, 'tile/0/002'))
    rmSync(segmentsIn(layout.folder)[0]?.path ?? '')
    const [firstLeft] = segmentsIn(layout.folder)
    ok(firstLeft)
    for (const { path } of segmentsIn(layout.folder)) rmSync(path)
    await rejects(() => writeTiles({ ...options, size }), { code: 'INTERNAL', message: /entry 512 is in no segment/ })
    await rejects(() => openHashes({ ...options, size }), { code: 'INTERNAL', message: /entry 512 is in no segment/ })
  })
})

describe('hashes', () => {
  test('are the same from tiles, from segments, and from both', async (t) => {
    const { layout, size, leaves } = await trailOf(t, 1300)
    const options = { fs, engine, layout, size }
    const sizes = [0n, 1n, 2n, 255n, 256n, 257n, 512n, 700n, 1023n, 1024n, 1280n, 1281n, size]
    for (const tiled of [0n, 256n, 1024n, size]) {
      await writeTiles({ fs, engine, layout, size: tiled })
      const hashes = await openHashes(options)
      for (const at of sizes) {
        const tree = await treeAt(engine, hashes, at)
        strictEqual(tree.size, at)
        strictEqual(hex(tree.root()), rootOver(leaves, at), `${at} with ${tiled} in tiles`)
      }
      strictEqual(hex(await hashes.node(0, 1299n)), hex(leaves[1299] ?? new Uint8Array()))
      strictEqual(hex(await hashes.node(10, 0n)), rootOver(leaves, 1024n))
    }
  })

  test('of a size below what there is see nothing of the rest', async (t) => {
    const { layout, size, leaves } = await trailOf(t, 600)
    await writeTiles({ fs, engine, layout, size })
    const hashes = await openHashes({ fs, engine, layout, size: 290n })
    strictEqual(hex(await rootAt(engine, hashes, 290n)), rootOver(leaves, 290n))
    await rejects(() => hashes.node(0, 290n), { code: 'INTERNAL' })
    await rejects(() => hashes.node(1, 145n), { code: 'INTERNAL' })
    await rejects(() => hashes.node(0, -1n), { code: 'INTERNAL' })
  })

  test('go up three levels of tiles, with and without the tiles in between', async (t) => {
    const layout = layoutOf(join(folderFor(t), 'main'))
    mkdirSync(layout.segments, { recursive: true })
    const count = 2 ** 16 + 300
    const lines = Array.from({ length: count }, (_, at) => `entry ${at}\n`)
    writeFileSync(join(layout.segments, `${'0'.repeat(20)}.jsonl`), lines.join(''))
    const leaves = lines.map((line) => leafHash(engine, Buffer.from(line.slice(0, -1))))
    const size = BigInt(count)
    const options = { fs, engine, layout, size }
    strictEqual(hex(await rootAt(engine, await openHashes(options), size)), rootOver(leaves, size))
    await writeTiles(options)
    ok(statSync(join(layout.folder, 'tile/1/000')).isFile())
    strictEqual(hex(await rootAt(engine, await openHashes(options), size)), rootOver(leaves, size))
    rmSync(join(layout.folder, 'tile/1'), { recursive: true })
    const hashes = await openHashes(options)
    strictEqual(hex(await rootAt(engine, hashes, size)), rootOver(leaves, size))
    strictEqual(hex(await rootAt(engine, hashes, 65_536n)), rootOver(leaves, 65_536n))
    await writeTiles({ ...options, partial: true })
    ok(statSync(join(layout.folder, 'tile/1/000')).isFile())
    ok(statSync(join(layout.folder, 'tile/1/001.p/1')).isFile())
    ok(statSync(join(layout.folder, 'tile/2/000.p/1')).isFile())
    strictEqual(dirname(tilePath(0, 257n)), 'tile/0')
  })
})
