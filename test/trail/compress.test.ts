/** @node Compressed segments: the same entries, and no moment at which they are not there. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { KmsError } from '../../src/model/errors.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { readTrail, verifyTrail } from '../../src/trail/index.ts'
import { listSegments, type Segment } from '../../src/trail/layout.ts'
import { compressSegment } from '../../src/trail/retention/compress.ts'
import { crashAt, faultyFileSystem } from '../storage/faults.ts'
import { collect, entriesFrom, folderFor, hastyFileSystem, refused } from './entries.ts'
import { type LaidTrail, layTrail } from './laid.ts'

function laid(path: string): LaidTrail {
  const trail = layTrail(path)
  for (let segment = 0; segment < 4; segment++) {
    trail.write(entriesFrom(segment * 50, 50))
    trail.seal()
  }
  return trail
}

const compress = (trail: LaidTrail, segment: Segment | undefined, fs: FileSystem = hastyFileSystem) => {
  ok(segment)
  return compressSegment({ fs, layout: trail.layout, segment, check: () => {} })
}

const namesIn = ({ layout }: LaidTrail) => readdirSync(layout.segments).sort()

async function whole(trail: LaidTrail): Promise<void> {
  deepStrictEqual(
    (await collect(trail.path)).map(({ index, entry }) => [index, entry]),
    entriesFrom(0, 200).map((entry, at) => [BigInt(at), entry]),
  )
  const verdict = await verifyTrail(trail.path, { vkey: trail.vkey })
  deepStrictEqual([verdict.verdict, verdict.problem, verdict.size], ['valid', undefined, 200n])
}

test('a compressed segment unpacks to the bytes that were written, and is much smaller', async (t) => {
  const trail = laid(folderFor(t))
  const [first] = trail.segments
  const bytes = readFileSync(first?.path ?? '')
  const compressed = await compress(trail, first)
  strictEqual(compressed.name, '00000000000000000000.jsonl.gz')
  deepStrictEqual(gunzipSync(readFileSync(compressed.path)), bytes)
  ok(statSync(compressed.path).size < bytes.length / 4)
  strictEqual(statSync(compressed.path).mode & 0o777, 0o600)
  strictEqual(namesIn(trail).length, 4)
  strictEqual((await compress(trail, compressed)).path, compressed.path)
  await whole(trail)
})

test('all of them but the last: read and verified alike', async (t) => {
  const trail = laid(folderFor(t))
  for (const segment of trail.segments.slice(0, -1)) await compress(trail, segment)
  strictEqual(namesIn(trail).filter((name) => name.endsWith('.gz')).length, 3)
  await whole(trail)
})

test('a crash at any step leaves every entry in its place, and the next attempt finishes', async (t) => {
  const root = folderFor(t)
  for (let step = 0, done = false; !done; step++) {
    const trail = laid(join(root, String(step)))
    const fs = faultyFileSystem({ fail: crashAt(step), over: hastyFileSystem })
    done = await compress(trail, trail.segments[1], fs).then(
      () => true,
      () => false,
    )
    await whole(trail)
    const [, again] = await listSegments(nodeFileSystem, trail.layout)
    await compress(trail, again)
    strictEqual(namesIn(trail).filter((name) => name.endsWith('.gz')).length, 1)
    strictEqual(namesIn(trail).length, 4)
    await whole(trail)
    ok(step < 40)
  }
})

test('where both are there the plain one counts, whatever the other holds', async (t) => {
  const trail = laid(folderFor(t))
  writeFileSync(`${trail.segments[1]?.path}.gz`, 'torn')
  await whole(trail)
  await compress(trail, trail.segments[1])
  await whole(trail)
})

test('the plain file stays when the compressed one does not read back, or the lock is lost', async (t) => {
  const trail = laid(folderFor(t))
  const [first] = trail.segments
  ok(first)
  const forgetful: FileSystem = {
    ...hastyFileSystem,
    async rename(from, to) {
      await hastyFileSystem.rename(from, to)
      const bytes = readFileSync(to)
      writeFileSync(to, bytes.fill(0, bytes.length - 500, bytes.length - 400))
    },
  }
  await refused(() => compress(trail, first, forgetful), 'PROVIDER_UNAVAILABLE', /read back|unpack/)
  await whole(trail)
  const swapped: FileSystem = {
    ...hastyFileSystem,
    async rename(from, to) {
      await hastyFileSystem.rename(from, to)
      writeFileSync(to, gzipSync('{"other":"lines"}\n'))
    },
  }
  await refused(() => compress(trail, first, swapped), 'PROVIDER_UNAVAILABLE', /read back/)
  await whole(trail)
  const check = () => {
    throw new KmsError('LOCKED', 'taken over')
  }
  const { layout } = trail
  await refused(() => compressSegment({ fs: hastyFileSystem, layout, segment: first, check }), 'LOCKED', /taken over/)
  ok(namesIn(trail).includes(first.name))
  await whole(trail)
})

test('a reader under way goes on when segments ahead of it are compressed', async (t) => {
  const trail = laid(folderFor(t))
  const seen: bigint[] = []
  for await (const { index } of readTrail(trail.path)) {
    seen.push(index)
    if (index === 20n) for (const segment of trail.segments) await compress(trail, segment)
  }
  deepStrictEqual(
    seen,
    Array.from({ length: 200 }, (_, at) => BigInt(at)),
  )
})

test('a damaged compressed segment: the others are read, and the damage is told', async (t) => {
  const trail = laid(folderFor(t))
  const { path } = await compress(trail, trail.segments[1])
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.subarray(0, bytes.length / 2))
  const seen = new Set<bigint>()
  await refused(
    async () => {
      for await (const { index } of readTrail(trail.path)) seen.add(index)
    },
    'INTERNAL',
    /damaged lines/,
  )
  ok(seen.has(49n) && seen.has(100n) && seen.has(199n) && !seen.has(99n))
  strictEqual((await verifyTrail(trail.path, { vkey: trail.vkey })).verdict, 'tampered')
})
