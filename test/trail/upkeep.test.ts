/** @node What the trail does beside the writing: tiles and compression after a seal, and what it remembers. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { engine } from '#engine'
import type { Ledger } from '../../src/model/sink.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail, type TrailOptions, verifyTrail } from '../../src/trail/index.ts'
import { layoutOf } from '../../src/trail/layout.ts'
import { tiledSize } from '../../src/trail/tree/tiles.ts'
import {
  collect,
  entriesFrom,
  entryAt,
  folderFor,
  handClock,
  hastyFileSystem,
  refused,
  segmentsIn,
  signerOf,
} from './entries.ts'
import { connected, until, whilePassing } from './log.ts'

const signer = signerOf(7)
const fs = hastyFileSystem

function open(path: string, more: Partial<TrailOptions> = {}): Promise<Trail> {
  return openTrail({ path, signer, fs, segmentBytes: 60_000, ...more })
}

async function fill(trail: Trail, entries: number): Promise<void> {
  for (const end = trail.size + BigInt(entries); trail.size < end; )
    await trail.write(entriesFrom(Number(trail.size), 50))
}

const tiled = (trail: Trail) => tiledSize({ fs, engine, layout: layoutOf(trail.path) })

/** Entries in all segments but the last. */
const sealed = (trail: Trail) => BigInt(segmentsIn(trail.path).at(-1)?.name.slice(0, 20) ?? 0)

describe('after a seal', () => {
  test('full tiles stand for what is sealed, and no others', async (t) => {
    const trail = await open(folderFor(t))
    await fill(trail, 1200)
    ok(sealed(trail) > 512n)
    await trail.close()
    strictEqual(await tiled(trail), sealed(trail) - (sealed(trail) % 256n))
    deepStrictEqual(trail.health(), { problems: [], witnesses: [] })
  })

  test('tiles that could not be made hinder nobody, are told, and are made at the next opening', async (t) => {
    const path = folderFor(t)
    const broken: FileSystem = {
      ...fs,
      async makeFolder(folder, mode) {
        if (folder.includes('tile')) throw Object.assign(new Error('EIO'), { code: 'EIO' })
        await fs.makeFolder(folder, mode)
      },
    }
    const trail = await open(path, { fs: broken })
    await fill(trail, 600)
    await trail.close()
    strictEqual(trail.health().problems.length, 1)
    ok(/EIO/.test(trail.health().problems[0] ?? ''))
    strictEqual(await tiled(trail), 0n)
    await (await open(path)).close()
    strictEqual(await tiled(trail), sealed(trail) - (sealed(trail) % 256n))
  })

  test('a trail that is closed waits for them two seconds, and then they change nothing any more', async (t) => {
    const clock = handClock()
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow: FileSystem = {
      ...fs,
      async makeFolder(folder, mode) {
        if (folder.includes('tile')) await hanging
        await fs.makeFolder(folder, mode)
      },
    }
    const trail = await open(folderFor(t), { fs: slow, clock })
    await fill(trail, 600)
    const before = clock.monotonic()
    await whilePassing(clock, trail.close())
    ok(clock.monotonic() - before >= 2000)
    release()
    await until(() => trail.health().problems.length > 0)
    deepStrictEqual(trail.health().problems, ['the trail is closed'])
    strictEqual(await tiled(trail), 0n)
  })

  test('sealed segments are compressed if asked for, and the trail goes on', async (t) => {
    const path = folderFor(t)
    for (let opening = 0; opening < 2; opening++) {
      const trail = await open(path, { compressSealed: true, segmentBytes: 20_000 })
      await fill(trail, 150)
      await trail.close()
    }
    const names = readdirSync(join(path, 'main', 'segments'))
    ok(names.filter((name) => name.endsWith('.gz')).length >= 3)
    strictEqual(names.filter((name) => name.endsWith('.jsonl')).length, 1)
    strictEqual((await verifyTrail(path)).verdict, 'valid')
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => entry.sequence),
      Array.from({ length: 300 }, (_, at) => at),
    )
  })
})

describe('a pruned trail', () => {
  test('opens upon its tiles, goes on, and is damaged without them', async (t) => {
    const path = folderFor(t)
    const before = connected(await open(path))
    await fill(before, 700)
    const { prunedBelow, segments } = await before.prune({ olderThan: '30d' })
    ok(segments > 0 && prunedBelow > 256n)
    strictEqual(before.prunedBelow, prunedBelow)
    const { root, size } = await before.write([])
    await before.close()
    const trail = await open(path)
    deepStrictEqual([trail.size, trail.prunedBelow], [size, prunedBelow])
    deepStrictEqual((await trail.write([])).root, root)
    await trail.write(entriesFrom(Number(size), 1))
    await trail.close()
    strictEqual((await verifyTrail(path)).verdict, 'valid')
    rmSync(join(trail.path, 'tile'), { recursive: true })
    await refused(() => open(path), 'INTERNAL', /damaged.*tiles do not stand for them/)
  })

  test('without the entry that says so, a segment is missing', async (t) => {
    const path = folderFor(t)
    const trail = await open(path)
    await fill(trail, 600)
    await trail.close()
    const [first] = segmentsIn(trail.path)
    ok(first && existsSync(join(trail.path, 'tile')))
    rmSync(first.path)
    await refused(() => open(path), 'INTERNAL', /damaged/)
  })

  test('cannot be pruned once it is closed', async (t) => {
    const trail = connected(await open(folderFor(t)))
    await trail.close()
    await refused(() => trail.prune({ olderThan: '30d' }), 'CLOSED', /closed/)
  })
})

describe('the ledger', () => {
  const only = (trail: Trail): Ledger => {
    const [ledger] = trail.ledgers()
    ok(ledger)
    return ledger
  }

  test('tells the root at every size, from tiles, segments, or what is known', async (t) => {
    const path = folderFor(t)
    const trail = await open(path)
    const roots = new Map<bigint, Uint8Array>()
    while (trail.size < 700n) {
      const { size, root } = await trail.write(entriesFrom(Number(trail.size), 35))
      roots.set(size, root)
    }
    const check = async (one: Trail) => {
      const ledger = only(one)
      deepStrictEqual([ledger.origin, ledger.size, ledger.prunedBelow], [trail.origin, one.size, 0n])
      for (const [size, root] of roots) deepStrictEqual(await ledger.rootAt(size), root, `${size}`)
      strictEqual(await ledger.rootAt(one.size + 1n), undefined)
    }
    await check(trail)
    await trail.close()
    const again = await open(path, { anchor: { origin: trail.origin, size: 105n, root: new Uint8Array(32) } })
    await check(again)
    await again.close()
  })

  test('remembers the newest generation of each keystore, over openings, and what was accepted', async (t) => {
    const path = folderFor(t)
    const root = new Uint8Array(32).fill(3)
    const changed = (at: number, keystore: string, generation: number) =>
      entryAt(at, { action: 'kms.rotate', operationID: `op-${at}`, details: { generation, keystore } })
    const trail = await open(path)
    strictEqual(only(trail).lastOf('a'), undefined)
    await trail.write([changed(0, 'a', 2), changed(1, 'b', 9), changed(2, 'a', 3)])
    // Not a change: a pair of the encryption context that looks like one.
    await trail.write([entryAt(3, { encryptionContext: { keystore: 'a', generation: '99', operationID: 'x' } })])
    const check = (one: Trail) => {
      deepStrictEqual(only(one).lastOf('a'), { generation: 3 })
      deepStrictEqual(only(one).lastOf('b'), { generation: 9 })
      strictEqual(only(one).lastOf('c'), undefined)
    }
    check(trail)
    await trail.close()
    const again = await open(path)
    check(again)
    const anchor = { anchorSize: '4', anchorRoot: Buffer.from(root).toString('base64') }
    const restored = { keystore: 'a', generation: 2, ...anchor }
    await again.write([entryAt(4, { action: 'audit.restored', details: restored })])
    const accepted = { generation: 2, accepted: { size: 4n, root } }
    deepStrictEqual(only(again).lastOf('a'), accepted)
    await again.close()
    const third = await open(path)
    deepStrictEqual(only(third).lastOf('a'), accepted)
    await third.write([changed(5, 'a', 3)])
    deepStrictEqual(only(third).lastOf('a'), { generation: 3 })
    await third.close()
  })
})

test('facts tell the retention that was set when the trail was made', async (t) => {
  const path = folderFor(t)
  await (await open(path, { minRetentionDays: 30 })).close()
  const trail = await open(path)
  strictEqual(trail.facts.minRetentionDays, 30)
  await trail.close()
})
