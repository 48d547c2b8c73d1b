/** @node An exported trail, read by our verifier, and by Go's golang.org/x/mod/sumdb, which shares nothing with it. */
import { deepStrictEqual, match, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { engine } from '#engine'
import { lineOf } from '../../src/model/line.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail } from '../../src/trail/index.ts'
import { layoutOf } from '../../src/trail/layout.ts'
import { exportTiles } from '../../src/trail/receipts/export.ts'
import { proveEntry } from '../../src/trail/receipts/prove.ts'
import { verifyTiles } from '../../src/trail/receipts/tlog-tiles.ts'
import { writeTiles } from '../../src/trail/tree/tiles.ts'
import { noShared, sharedPath } from '../shared.ts'
import { entriesFrom, entryAt, folderFor, hastyFileSystem, refused, segmentsIn, signerOf } from './entries.ts'

const fs = hastyFileSystem

/** Debian's golang-go and golang-golang-x-mod-dev: no download, no module. */
const goEnvironment = {
  GO111MODULE: 'off',
  GOPATH: '/usr/share/gocode',
  GOFLAGS: '-buildvcs=false',
  GOTOOLCHAIN: 'local',
  CGO_ENABLED: '0',
}
const packageFolder = join(goEnvironment.GOPATH, 'src/golang.org/x/mod/sumdb/tlog')
const hasGo = spawnSync('go', ['version']).status === 0 && existsSync(packageFolder)
const skip =
  !hasGo && process.env['CI'] !== 'true'
    ? 'golang-go and golang-golang-x-mod-dev are not installed: no independent reader'
    : false

interface Rig {
  readonly path: string
  readonly trail: Trail
  /** The checkpoint after the first 100 entries. */
  readonly early: string
}

async function rig(t: TestContext, count: number): Promise<Rig> {
  const path = folderFor(t)
  const trail = await openTrail({ path, signer: signerOf(7), segmentBytes: 60_000, fs })
  await trail.write(entriesFrom(0, Math.min(100, count)))
  await trail.flush?.()
  const early = readFileSync(join(trail.path, 'checkpoint'), 'utf8')
  for (let next = 100; next < count; next += 77) await trail.write(entriesFrom(next, Math.min(77, count - next)))
  await trail.close()
  return { path, trail, early }
}

function filesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return names.filter((name) => statSync(join(folder, name)).isFile())
}

describe('an exported trail', () => {
  test('has the files of the format, each entry in it, and is valid', async (t) => {
    const { path, trail } = await rig(t, 600)
    const out = join(folderFor(t), 'export')
    const exported = await exportTiles(path, out, { fs })
    strictEqual(exported.size, 600n)
    strictEqual(exported.entriesFrom, 0n)
    strictEqual(exported.origin, trail.origin)
    deepStrictEqual(filesIn(out), [
      'checkpoint',
      'tile/0/000',
      'tile/0/001',
      'tile/0/002.p/88',
      'tile/1/000.p/2',
      'tile/entries/000',
      'tile/entries/001',
      'tile/entries/002.p/88',
      'vkey',
    ])
    strictEqual(readFileSync(join(out, 'checkpoint'), 'utf8'), readFileSync(join(trail.path, 'checkpoint'), 'utf8'))
    strictEqual(readFileSync(join(out, 'vkey'), 'utf8'), `${trail.vkey}\n`)
    const bundle = readFileSync(join(out, 'tile/entries/001'))
    const line = lineOf(entryAt(256))
    strictEqual(bundle.readUInt16BE(0), line.length)
    strictEqual(bundle.toString('utf8', 2, 2 + line.length), line)
    const found = await verifyTiles(nodeFileSystem, out, { vkey: trail.vkey })
    strictEqual(found.verdict, 'valid')
    deepStrictEqual(found.root, exported.root)
    deepStrictEqual(readdirSync(dirname(out)), ['export'])
  })

  test('is the same with and without tiles in the trail, and into an empty folder', async (t) => {
    const { path, trail } = await rig(t, 600)
    const [first, second] = [join(folderFor(t), 'export'), folderFor(t)]
    rmSync(join(trail.path, 'tile'), { recursive: true, force: true })
    await exportTiles(path, first, { fs })
    strictEqual(existsSync(join(trail.path, 'tile')), false)
    await writeTiles({ fs, engine, layout: layoutOf(trail.path), size: 600n })
    await exportTiles(path, second, { fs })
    deepStrictEqual(filesIn(second), filesIn(first))
    for (const name of filesIn(first))
      deepStrictEqual(readFileSync(join(second, name)), readFileSync(join(first, name)))
  })

  test('of no entries is a checkpoint alone', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer: signerOf(7), fs })
    await trail.close()
    const out = join(folderFor(t), 'export')
    strictEqual((await exportTiles(path, out, { fs })).size, 0n)
    deepStrictEqual(filesIn(out), ['checkpoint', 'vkey'])
  })

  test('that was pruned has all hashes, and the entries from the first bundle that is whole', async (t) => {
    const { path, trail } = await rig(t, 900)
    const layout = layoutOf(trail.path)
    const [first, second] = segmentsIn(trail.path)
    ok(first && second)
    const below = BigInt(second.name.slice(0, 20))
    ok(below % 256n !== 0n && below < 512n)
    await writeTiles({ fs, engine, layout, size: below, partial: true })
    rmSync(first.path)
    const out = join(folderFor(t), 'export')
    const { entriesFrom } = await exportTiles(path, out, { fs })
    strictEqual(entriesFrom, below < 256n ? 256n : 512n)
    const { verdict, note } = await verifyTiles(nodeFileSystem, out, { vkey: trail.vkey })
    strictEqual(verdict, 'valid')
    match(note, /not there, only their hashes/)
  })

  test('never overwrites, and leaves nothing behind when it fails', async (t) => {
    const { path, trail } = await rig(t, 300)
    const folder = folderFor(t)
    const out = join(folder, 'export')
    mkdirSync(out)
    writeFileSync(join(out, 'mine'), '')
    await refused(() => exportTiles(path, out, { fs }), 'INVALID_INPUT', /is there already/)
    await refused(() => exportTiles(path, join(out, 'mine'), { fs }), 'INVALID_INPUT', /is there already/)
    rmSync(out, { recursive: true })

    const full = { ...fs, rename: fs.rename }
    let writes = 0
    const broken = {
      ...full,
      rename: async (from: string, to: string) => {
        if (++writes === 3) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
        return fs.rename(from, to)
      },
    }
    await rejects(() => exportTiles(path, out, { fs: broken }), { code: 'PROVIDER_UNAVAILABLE' })
    deepStrictEqual(readdirSync(folder), [])

    const [segment] = segmentsIn(trail.path)
    ok(segment)
    writeFileSync(segment.path, segment.bytes.toString('latin1').replace('"req-4"', '"req-5"'), 'latin1')
    rmSync(join(trail.path, 'tile'), { recursive: true, force: true })
    await refused(() => exportTiles(path, out, { fs }), 'INTERNAL', /the trail is damaged/)
    deepStrictEqual(readdirSync(folder), [])
  })

  test('refuses an entry that no bundle can take, by its name', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer: signerOf(7), fs })
    const large = entryAt(1, { resourceIdentity: 'x'.repeat(65_535) })
    await trail.write([entryAt(0), large, entryAt(2)])
    await trail.close()
    const folder = folderFor(t)
    await refused(
      () => exportTiles(path, join(folder, 'export'), { fs }),
      'INVALID_INPUT',
      new RegExp(`entry 1 \\(${large.eventID}\\) has 66\\d{3} bytes: the format takes 65535`),
    )
    deepStrictEqual(readdirSync(folder), [])
  })

  test('of several trails is asked for one by one', async (t) => {
    const path = folderFor(t)
    for (const instance of ['a', 'b']) await (await openTrail({ path, instance, signer: signerOf(7), fs })).close()
    const out = join(folderFor(t), 'export')
    await refused(() => exportTiles(path, out, { fs }), 'INVALID_INPUT', /several trails/)
    strictEqual((await exportTiles(join(path, 'b'), out, { fs })).instance, 'b')
  })
})

describe('the independent reader', { skip }, () => {
  const program = join(folderFor({ after }), 'reader')
  before(() => {
    const source = fileURLToPath(new URL('independent/reader.go', import.meta.url))
    const built = spawnSync('go', ['build', '-o', program, source], {
      encoding: 'utf8',
      env: { ...process.env, ...goEnvironment, GOCACHE: join(dirname(program), 'cache') },
    })
    strictEqual(built.status, 0, built.stderr)
  })

  interface Answer {
    readonly valid: boolean
    readonly size: number
    readonly root: string
    readonly entries: number
    readonly receipts: readonly string[]
    readonly problem?: string
  }

  function read(folder: string, vkey: string, ...rest: readonly string[]): Answer {
    const { stdout, stderr } = spawnSync(program, [folder, vkey, ...rest], { encoding: 'utf8' })
    ok(stdout.startsWith('{'), stderr)
    return JSON.parse(stdout) as Answer
  }

  test('reads the logs that others wrote as we do', { skip: noShared }, async () => {
    for (const name of ['tlog-log', 'tessera-log']) {
      const folder = sharedPath(`vectors/${name}`)
      const vkey = readFileSync(join(folder, 'vkey'), 'utf8').trim()
      const { size, root } = await verifyTiles(nodeFileSystem, folder, { vkey })
      const answer = { valid: true, size: Number(size), root: Buffer.from(root).toString('base64') }
      deepStrictEqual(read(folder, vkey), { ...answer, entries: Number(size), receipts: [] })
    }
  })

  test('verifies an exported trail, its entries, receipts, and an older checkpoint', async (t) => {
    const { path, trail, early } = await rig(t, 1200)
    const folder = folderFor(t)
    const out = join(folder, 'export')
    const { root } = await exportTiles(path, out, { fs })
    const proofs: string[] = []
    const lines: string[] = []
    for (const index of [0, 99, 256, 777, 1199]) {
      const { text, line } = await proveEntry(path, entryAt(index).eventID)
      proofs.push(join(folder, `${index}.tlog-proof`))
      lines.push(line)
      writeFileSync(proofs.at(-1) ?? '', text)
    }
    const old = join(folder, 'old')
    writeFileSync(old, early)
    deepStrictEqual(read(out, trail.vkey, old, ...proofs), {
      valid: true,
      size: 1200,
      root: Buffer.from(root).toString('base64'),
      entries: 1200,
      receipts: lines,
    })
  })

  test('and our own verifier find the same changes', async (t) => {
    const { path, trail } = await rig(t, 300)
    const out = join(folderFor(t), 'export')
    await exportTiles(path, out, { fs })
    for (const name of filesIn(out)) {
      const good = readFileSync(join(out, name))
      for (const at of [0, good.length >> 1, good.length - 2]) {
        writeFileSync(
          join(out, name),
          good.map((byte, place) => (place === at ? byte ^ 4 : byte)),
        )
        notStrictEqual((await verifyTiles(nodeFileSystem, out, { vkey: trail.vkey })).verdict, 'valid', name)
        // It is told the key, and does not look at the file.
        strictEqual(read(out, trail.vkey).valid, name === 'vkey', `${name}, byte ${at}`)
      }
      writeFileSync(join(out, name), good)
    }
    ok(read(out, trail.vkey).valid)
  })
})
