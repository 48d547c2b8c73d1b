/** @node Archives: whole, never over another file, readable without the trail, and wary of what they are given. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { engine } from '#engine'
import { toBase64, utf8 } from '../../src/crypto/bytes.ts'
import { lineOf } from '../../src/model/line.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { archivedEntry, openArchive } from '../../src/trail/retention/archive.ts'
import { type Pruned, type PruneRequest, pruneTrail } from '../../src/trail/retention/prune.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'
import { collect, entriesFrom, entryAt, folderFor, hastyFileSystem, refused } from './entries.ts'
import { type LaidTrail, layTrail } from './laid.ts'

interface Laid {
  readonly trail: LaidTrail
  readonly prune: (request: PruneRequest, fs?: FileSystem) => Promise<Pruned>
}

/** Four segments of 25 entries, the first two of them old. */
function laid(path: string): Laid {
  const trail = layTrail(path)
  for (let segment = 0; segment < 4; segment++) {
    const createdAt = segment < 2 ? '2020-01-01T00:00:00.000Z' : new Date().toISOString()
    for (let batch = 0; batch < 5; batch++) trail.write(entriesFrom(segment * 25 + batch * 5, 5, { createdAt }))
    trail.seal()
  }
  const { layout, about, log } = trail
  const clock = { now: () => Date.now(), monotonic: () => 0, after: () => () => {} }
  return {
    trail,
    prune: (request, fs = hastyFileSystem) =>
      pruneTrail({ fs, engine, layout, about, log, clock, check: () => {} }, request),
  }
}

describe('what an archive holds', () => {
  for (const name of ['old.jsonl', 'old.jsonl.gz'])
    test(`${name}: a header, and the bytes of the segments as they were`, async (t) => {
      const root = folderFor(t)
      const { trail, prune } = laid(join(root, 'audit'))
      const [first, second] = trail.segments.map(({ path }) => readFileSync(path, 'utf8'))
      const archive = join(root, name)
      const pruned = await prune({ olderThan: 30, archive })
      const bytes = readFileSync(archive)
      strictEqual(pruned.archive, archive)
      strictEqual(pruned.archiveSha256, createHash('sha256').update(bytes).digest('hex'))
      const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
      const header = { archive: 'keytrail-archive/1', origin: 'keytrail/main', from: '0', below: '50' }
      const vkeys = [{ vkey: trail.vkey, fromIndex: 0 }]
      strictEqual(text, `${JSON.stringify({ ...header, vkeys, peaks: [] })}\n${first}${second}`)
      const [told] = await collect(trail.path, { action: 'audit.pruned' })
      deepStrictEqual([told?.entry.details?.archive, told?.entry.details?.archiveSha256], [name, pruned.archiveSha256])
      deepStrictEqual(readdirSync(root).sort(), ['audit', name])
    })

  test('the next one goes on where the first ended, from the tree that was there', async (t) => {
    const root = folderFor(t)
    const path = join(root, 'audit')
    const { trail, prune } = laid(path)
    rmSync(trail.segments[1]?.path ?? '')
    await refused(() => prune({ olderThan: 30 }), 'INTERNAL', /missing/)

    const again = laid(join(root, 'again'))
    await again.prune({ olderThan: 30, archive: join(root, 'a.gz') })
    for (let at = 0; at < 2; at++) {
      again.trail.write(entriesFrom(101 + at, 1))
      again.trail.seal()
    }
    const clock = { now: () => Date.now() + 40 * 86_400_000, monotonic: () => 0, after: () => () => {} }
    const { layout, about, log } = again.trail
    const options = { fs: hastyFileSystem, engine, layout, about, log, clock, check: () => {} }
    const second = await pruneTrail(options, { olderThan: 30, archive: join(root, 'b.jsonl') })
    deepStrictEqual([second.prunedFrom, second.prunedBelow], [50n, 102n])
    const { header } = await openArchive(nodeFileSystem, join(root, 'b.jsonl'))
    const tree = emptyTree(engine)
    for (const { entry } of await collect(join(root, 'a.gz'))) tree.append(leafHash(engine, utf8(lineOf(entry))))
    deepStrictEqual(header, {
      origin: 'keytrail/main',
      from: 50n,
      below: 102n,
      vkeys: about.vkeys,
      peaks: tree.peaks(),
    })
    deepStrictEqual((await collect(join(root, 'b.jsonl')))[0]?.index, 50n)
  })

  test('entries are read from it with their own indexes, by the same filters', async (t) => {
    const root = folderFor(t)
    const { prune } = laid(join(root, 'audit'))
    const archive = join(root, 'old.jsonl.gz')
    await prune({ olderThan: 30, archive })
    const found = await collect(archive)
    deepStrictEqual(
      found.map(({ index, covered, instance, entry }) => [index, covered, instance, entry.sequence]),
      Array.from({ length: 50 }, (_, at) => [BigInt(at), true, 'old.jsonl.gz', at]),
    )
    const wanted = entryAt(37).eventID
    deepStrictEqual(
      (await collect(archive, { eventID: wanted })).map(({ index }) => index),
      [37n],
    )
    deepStrictEqual(await collect(archive, { from: '2021-01-01T00:00:00Z' }), [])
    strictEqual((await collect(archive, { limit: 3 })).length, 3)
  })

  test('one entry is found by its id, with the exact bytes of its line', async (t) => {
    const root = folderFor(t)
    const { prune } = laid(join(root, 'audit'))
    const path = join(root, 'old.jsonl.gz')
    await prune({ olderThan: 30, archive: path })
    const archive = await openArchive(nodeFileSystem, path)
    const wanted = entryAt(42, { createdAt: '2020-01-01T00:00:00.000Z' })
    const found = await archivedEntry(archive, wanted.eventID)
    deepStrictEqual([found?.index, found?.line], [42n, utf8(lineOf(wanted))])
    strictEqual(found?.line.buffer.byteLength, found?.line.length)
    strictEqual(await archivedEntry(archive, entryAt(60).eventID), undefined)
    strictEqual(await archivedEntry(archive, 'no id "at all'), undefined)
  })
})

describe('a name that is taken', () => {
  test('is never written over, and nothing is dropped', async (t) => {
    const root = folderFor(t)
    const { trail, prune } = laid(join(root, 'audit'))
    const archive = join(root, 'taken')
    for (const content of ['', 'precious\n', `${JSON.stringify({ archive: 'keytrail-archive/1' })}\n`]) {
      writeFileSync(archive, content)
      await refused(() => prune({ olderThan: 30, archive }), 'INVALID_INPUT', /exists, and is never written over/)
      strictEqual(readFileSync(archive, 'utf8'), content)
    }
    strictEqual(readdirSync(trail.layout.segments).length, 4)
    deepStrictEqual(readdirSync(root).sort(), ['audit', 'taken'])
  })

  test('by this very archive, left by an attempt that failed later, is fine; by a damaged copy of it is not', async (t) => {
    const root = folderFor(t)
    const { prune } = laid(join(root, 'audit'))
    const archive = join(root, 'old.gz')
    const failing: FileSystem = {
      ...hastyFileSystem,
      async remove(path) {
        if (path.endsWith('.jsonl')) throw Object.assign(new Error('no'), { code: 'EIO' })
        await hastyFileSystem.remove(path)
      },
    }
    await refused(() => prune({ olderThan: 30, archive }, failing), 'PROVIDER_UNAVAILABLE', /EIO/)
    const bytes = readFileSync(archive)
    writeFileSync(archive, gzipSync(gunzipSync(bytes).toString('utf8').replace('"sequence":7,', '"sequence":8,')))
    await refused(() => prune({ olderThan: 30, archive }), 'INVALID_INPUT', /exists/)
    writeFileSync(archive, bytes)
    strictEqual((await prune({ olderThan: 30, archive })).prunedBelow, 50n)
    deepStrictEqual(readFileSync(archive), bytes)
  })

  for (const name of ['old.gz', 'old.jsonl'])
    test(`a disk that does not keep what is written into ${name} is found before anything is dropped`, async (t) => {
      const root = folderFor(t)
      const { trail, prune } = laid(join(root, 'audit'))
      const archive = join(root, name)
      const forgetful: FileSystem = {
        ...hastyFileSystem,
        async rename(from, to) {
          await hastyFileSystem.rename(from, to)
          if (to === archive) writeFileSync(archive, readFileSync(archive).fill(0, 1000, 1100))
        },
      }
      await refused(() => prune({ olderThan: 30, archive }, forgetful), 'PROVIDER_UNAVAILABLE', /read back|unpack/)
      ok(!existsSync(archive))
      strictEqual(readdirSync(trail.layout.segments).length, 4)
    })

  test('in a folder that is not there is an error of the disk', async (t) => {
    const root = folderFor(t)
    const { prune } = laid(join(root, 'audit'))
    const nowhere = join(root, 'no', 'such', 'folder')
    await refused(() => prune({ olderThan: 30, archive: nowhere }), 'PROVIDER_UNAVAILABLE', /ENOENT/)
  })
})

describe('what is no archive', () => {
  const good = { archive: 'keytrail-archive/1', origin: 'o', from: '3', below: '5' }
  const peak = toBase64(new Uint8Array(32))
  const vkeys = [{ vkey: 'o+00000000+AAAA', fromIndex: 0 }]
  const whole = { ...good, vkeys, peaks: [peak, peak] }
  const wrong: readonly [string, string][] = [
    ['nothing', ''],
    ['no line end', JSON.stringify(whole)],
    ['no JSON', '{"archive":\n'],
    ['null', 'null\n'],
    ['an entry', `${lineOf(entryAt(0))}\n`],
    ['another format', `${JSON.stringify({ ...whole, archive: 'keytrail-archive/2' })}\n`],
    ['no origin', `${JSON.stringify({ ...whole, origin: undefined })}\n`],
    ['a hostile origin', `${JSON.stringify({ ...whole, origin: 'a b\u001b[2J' })}\n`],
    ['numbers for indexes', `${JSON.stringify({ ...whole, from: 3 })}\n`],
    ['a negative index', `${JSON.stringify({ ...whole, from: '-3' })}\n`],
    ['an empty range', `${JSON.stringify({ ...whole, below: '3' })}\n`],
    ['a huge index', `${JSON.stringify({ ...whole, below: '9'.repeat(400) })}\n`],
    ['no keys', `${JSON.stringify({ ...whole, vkeys: [] })}\n`],
    ['keys that are none', `${JSON.stringify({ ...whole, vkeys: [null] })}\n`],
    ['too few peaks', `${JSON.stringify({ ...whole, peaks: [peak] })}\n`],
    ['short peaks', `${JSON.stringify({ ...whole, peaks: [peak, 'AAAA'] })}\n`],
    ['peaks that are no list', `${JSON.stringify({ ...whole, peaks: { length: 2 } })}\n`],
    ['a line without end', 'x'.repeat(5_000_000)],
  ]
  for (const [what, text] of wrong)
    test(`${what} is refused`, async (t) => {
      const path = join(folderFor(t), 'file')
      writeFileSync(path, text)
      await refused(() => openArchive(nodeFileSystem, path), 'INVALID_INPUT', /no archive of a trail/)
      await refused(() => collect(path), 'INVALID_INPUT', /no archive of a trail/)
      writeFileSync(`${path}.gz`, gzipSync(text))
      await refused(() => openArchive(nodeFileSystem, `${path}.gz`), 'INVALID_INPUT', /no archive of a trail/)
    })

  test('the same header, unbroken, is taken', async (t) => {
    const path = join(folderFor(t), 'file')
    writeFileSync(path, `${JSON.stringify(whole)}\n`)
    strictEqual((await openArchive(nodeFileSystem, path)).header.below, 5n)
    deepStrictEqual(await collect(path), [])
  })

  test('gzip that is cut or damaged: what unpacks is read, and the damage is told', async (t) => {
    const root = folderFor(t)
    const { prune } = laid(join(root, 'audit'))
    const path = join(root, 'old.gz')
    await prune({ olderThan: 30, archive: path })
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.subarray(0, bytes.length - 20))
    await refused(() => collect(path), 'INTERNAL', /damaged/)
    await refused(
      async () => archivedEntry(await openArchive(nodeFileSystem, path), 'x'),
      'INTERNAL',
      /old\.gz is damaged/,
    )
    writeFileSync(path, 'not gzip at all')
    await refused(() => openArchive(nodeFileSystem, path), 'INVALID_INPUT', /no archive/)
    await rejects(() => collect(join(root, 'not-there')))
  })
})
