/** @node Logs that other implementations wrote: found valid as they are, and not valid with any byte of them changed. */
import { match, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { engine } from '#engine'
import { ed25519Key } from '../../src/crypto/ed25519.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { noteSigner } from '../../src/trail/note.ts'
import { isTilesLog, type TilesVerdict, verifyTiles } from '../../src/trail/receipts/tlog-tiles.ts'
import { noShared, sharedJson, sharedPath } from '../shared.ts'
import { folderFor, refused } from './entries.ts'

interface Log {
  readonly name: string
  readonly size: bigint
  readonly origin: string
  /** Every so many bytes of each file, one is changed. */
  readonly stride: number
}

const logs: readonly Log[] = [
  { name: 'tlog-log', size: 300n, origin: 'audit.example/public/log1', stride: 331 },
  { name: 'tessera-log', size: 15n, origin: 'example.com/log/testdata', stride: 37 },
]

const vkeyOf = (folder: string) => readFileSync(join(folder, 'vkey'), 'utf8').trim()

function filesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return names.filter((name) => statSync(join(folder, name)).isFile())
}

/** The disk, except that one file has other bytes. */
function changed(path: string, bytes: Uint8Array): FileSystem {
  const own = new Uint8Array(bytes)
  return {
    ...nodeFileSystem,
    readFile: async (name) => (name === path ? own : nodeFileSystem.readFile(name)),
  }
}

/** A copy that can be written to. */
function copyOf(t: TestContext, log: string): { folder: string; vkey: string } {
  const folder = join(folderFor(t), log)
  cpSync(sharedPath(`vectors/${log}`), folder, { recursive: true })
  return { folder, vkey: vkeyOf(folder) }
}

const verdictOf = (folder: string, vkey: string): Promise<TilesVerdict> => verifyTiles(nodeFileSystem, folder, { vkey })

describe('a log of another implementation', { skip: noShared }, () => {
  for (const { name, size, origin, stride } of logs) {
    const folder = sharedPath(`vectors/${name}`)

    test(`${name} is valid, with the key given and with its own`, async () => {
      ok(isTilesLog(nodeFileSystem, folder))
      const vkey = vkeyOf(folder)
      const found = await verdictOf(folder, vkey)
      strictEqual(found.problem, undefined)
      strictEqual(found.verdict, 'valid')
      strictEqual(found.size, size)
      strictEqual(found.origin, origin)
      strictEqual(found.vkey, vkey)
      strictEqual(found.entriesFrom, 0n)
      match(readFileSync(join(folder, 'checkpoint'), 'utf8'), new RegExp(`\n${escaped(found.root)}\n`))
      const own = await verifyTiles(nodeFileSystem, folder)
      strictEqual(own.verdict, 'valid')
      match(own.note, /key supplied by this directory/)
    })

    test(`${name} with one byte changed anywhere is not`, async () => {
      const vkey = vkeyOf(folder)
      let flips = 0
      for (const file of filesIn(folder)) {
        const path = join(folder, file)
        const bytes = readFileSync(path)
        for (let at = bytes.length - 1; at >= 0; at -= at < 4 || at > bytes.length - 4 ? 1 : stride) {
          const other = Uint8Array.from(bytes)
          other[at] = (other[at] ?? 0) ^ (1 << (flips++ % 8))
          const { verdict } = await verifyTiles(changed(path, other), folder, { vkey })
          notStrictEqual(verdict, 'valid', `${file}, byte ${at}`)
        }
        // The newline after the key is a habit, not a part of it.
        if (file === 'vkey') continue
        for (const other of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)])]) {
          const { verdict } = await verifyTiles(changed(path, other), folder, { vkey })
          notStrictEqual(verdict, 'valid', `${file} of ${other.length} bytes`)
        }
      }
      ok(flips > 150, `${flips} flips`)
    })
  }

  test('is found tampered with when a tile, a bundle in between, or the checkpoint is gone', async (t) => {
    for (const gone of ['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1', 'tile/entries/001.p/44', 'checkpoint']) {
      const { folder, vkey } = copyOf(t, 'tlog-log')
      rmSync(join(folder, gone))
      const { verdict, problem } = await verdictOf(folder, vkey)
      strictEqual(verdict, 'tampered', gone)
      ok(problem?.includes(gone), problem)
    }
  })

  test('is valid without entries, or without those at the start, and says so', async (t) => {
    const { folder, vkey } = copyOf(t, 'tlog-log')
    rmSync(join(folder, 'tile/entries/000'))
    const pruned = await verdictOf(folder, vkey)
    strictEqual(pruned.verdict, 'valid')
    strictEqual(pruned.entriesFrom, 256n)
    match(pruned.note, /below 256 are not there/)
    rmSync(join(folder, 'tile/entries'), { recursive: true })
    strictEqual((await verdictOf(folder, vkey)).entriesFrom, 300n)
  })

  test('is valid when wider tiles stand where narrow ones would do', async (t) => {
    const { folder, vkey } = copyOf(t, 'tlog-log')
    // As at size 3, after the log has grown: only the head is older.
    renameSync(join(folder, 'checkpoint.3'), join(folder, 'checkpoint'))
    for (const size of [8, 256, 300]) rmSync(join(folder, `checkpoint.${size}`))
    const found = await verdictOf(folder, vkey)
    strictEqual(found.problem, undefined)
    strictEqual(found.size, 3n)
    rmSync(join(folder, 'tile/0/000.p/3'))
    rmSync(join(folder, 'tile/entries/000.p/3'))
    strictEqual((await verdictOf(folder, vkey)).verdict, 'valid')
  })

  test('whose checkpoint was rolled back behind another is tampered with', async (t) => {
    const { folder, vkey } = copyOf(t, 'tlog-log')
    cpSync(join(folder, 'checkpoint.256'), join(folder, 'checkpoint'))
    const { verdict, problem } = await verdictOf(folder, vkey)
    strictEqual(verdict, 'tampered')
    match(problem ?? '', /checkpoint\.300 is ahead/)
  })

  test('is tampered with when the key has signed an older checkpoint of other entries', async (t) => {
    const { folder, vkey } = copyOf(t, 'tlog-log')
    const { keys } = sharedJson<{ readonly keys: { readonly log: { readonly seedHex: string } } }>('vectors/tlog.json')
    const key = ed25519Key(engine, Uint8Array.from(Buffer.from(keys.log.seedHex, 'hex')))
    const [name = ''] = vkey.split('+')
    for (const size of [0n, 9n, 256n]) {
      const path = join(folder, `checkpoint.${size}`)
      const root = new Uint8Array(32).fill(1)
      writeFileSync(path, noteSigner(engine, name, key).sign(formatCheckpoint({ origin: name, size, root })))
      const { verdict, problem } = await verdictOf(folder, vkey)
      strictEqual(verdict, 'tampered')
      strictEqual(problem, `checkpoint.${size} is of other entries`)
      rmSync(path)
    }
  })

  test('is tampered with when an older checkpoint stands under the name of another size', async (t) => {
    const { folder, vkey } = copyOf(t, 'tlog-log')
    cpSync(join(folder, 'checkpoint.8'), join(folder, 'checkpoint.9'))
    strictEqual((await verdictOf(folder, vkey)).problem, 'checkpoint.9 is of 8 entries')
  })

  test('of another key cannot be verified', async (t) => {
    const { keys } = sharedJson<{ readonly keys: { readonly logNext: { readonly vkey: string } } }>('vectors/tlog.json')
    const { folder, vkey } = copyOf(t, 'tlog-log')
    strictEqual((await verdictOf(folder, keys.logNext.vkey)).verdict, 'unverifiable')
    strictEqual((await verdictOf(folder, vkeyOf(sharedPath('vectors/tessera-log')))).verdict, 'unverifiable')
    writeFileSync(join(folder, 'vkey'), keys.logNext.vkey)
    strictEqual((await verdictOf(folder, vkey)).verdict, 'tampered')
    strictEqual((await verifyTiles(nodeFileSystem, folder)).verdict, 'tampered')
    writeFileSync(join(folder, 'vkey'), 'no key')
    strictEqual((await verifyTiles(nodeFileSystem, folder)).verdict, 'unverifiable')
    rmSync(join(folder, 'vkey'))
    strictEqual((await verifyTiles(nodeFileSystem, folder)).verdict, 'unverifiable')
    strictEqual((await verdictOf(folder, vkey)).verdict, 'valid')
    await refused(() => verdictOf(folder, 'no key'), 'INVALID_INPUT', /not an Ed25519 key/)
  })
})

test('a folder without tiles is no tiles log', (t) => {
  strictEqual(isTilesLog(nodeFileSystem, folderFor(t)), false)
})

function escaped(root: Uint8Array): string {
  return Buffer.from(root).toString('base64').replace(/[+/]/g, '\\$&')
}
