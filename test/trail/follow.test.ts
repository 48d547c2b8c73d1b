/** @node `followTrail`: what is there, then what comes, and never what is not yet safe. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { followTrail, type TrailEntry } from '../../src/trail/index.ts'
import { compressSegment } from '../../src/trail/retention/compress.ts'
import { entriesFrom, folderFor, hastyFileSystem, refused } from './entries.ts'
import { layTrail } from './laid.ts'

const soon = { everyMs: 1 }

/** The next so many entries. */
async function next(entries: AsyncGenerator<TrailEntry>, count: number): Promise<readonly TrailEntry[]> {
  const found: TrailEntry[] = []
  while (found.length < count) {
    const { value } = await entries.next()
    ok(value)
    found.push(value)
  }
  return found
}

const places = (found: readonly TrailEntry[]) => found.map(({ index }) => Number(index))
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)

test('first what is there, then each batch as it is published, over seals', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write(entriesFrom(0, 5))
  const following = followTrail(trail.path, {}, soon)
  deepStrictEqual(places(await next(following, 5)), range(0, 5))
  for (let at = 5; at < 50; at += 5) {
    if (at % 15 === 0) trail.seal()
    const coming = next(following, 5)
    trail.write(entriesFrom(at, 5))
    const found = await coming
    deepStrictEqual(places(found), range(at, at + 5))
    deepStrictEqual(
      found.map(({ entry, covered }) => [entry, covered]),
      entriesFrom(at, 5).map((entry) => [entry, true]),
    )
  }
  await following.return()
})

test('never passes the published checkpoint, within a segment or behind it', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write(entriesFrom(0, 3))
  const published = readFileSync(trail.layout.checkpoint)
  trail.write(entriesFrom(3, 3))
  trail.seal()
  trail.write(entriesFrom(6, 3))
  writeFileSync(trail.layout.checkpoint, published)
  const following = followTrail(trail.path, {}, soon)
  deepStrictEqual(places(await next(following, 3)), [0, 1, 2])
  const coming = next(following, 7)
  trail.write(entriesFrom(9, 1))
  const came = await coming
  deepStrictEqual(places(came), range(3, 10))
  ok(came.every(({ covered }) => covered))
  await following.return()
})

for (const batches of [1, 2, 4])
  for (const filter of [{}, { action: 'kms.export' }, { from: '2026-01-31' }])
    test(`goes on where it was when segments are compressed, ${batches} batches into one, ${JSON.stringify(filter)}`, async (t) => {
      const trail = layTrail(folderFor(t))
      for (let segment = 0; segment < 4; segment++) {
        for (let batch = 0; batch < 4; batch++)
          trail.write(entriesFrom(segment * 20 + batch * 5, 5, { action: 'kms.export' }))
        trail.seal()
      }
      const all = readFileSync(trail.layout.checkpoint)
      const line = readFileSync(trail.segments[1]?.path ?? '', 'utf8').split('\n')[6 * batches - 1] ?? ''
      writeFileSync(trail.layout.checkpoint, JSON.parse(line).checkpoint)
      const read = 20 + 5 * batches
      const following = followTrail(trail.path, filter, soon)
      deepStrictEqual(places(await next(following, read)), range(0, read))
      for (const segment of trail.segments)
        await compressSegment({ fs: hastyFileSystem, layout: trail.layout, segment, check: () => {} })
      const coming = next(following, 80 - read)
      writeFileSync(trail.layout.checkpoint, all)
      deepStrictEqual(places(await coming), range(read, 80))
      await following.return()
    })

test('a trail that is taken back, or away, is told: waiting for it to grow back would see nothing', async (t) => {
  const path = folderFor(t)
  const [one, two] = [layTrail(path, { instance: 'one' }), layTrail(path, { instance: 'two' })]
  one.write(entriesFrom(0, 2))
  const published = readFileSync(one.layout.checkpoint)
  one.write(entriesFrom(2, 2))
  two.write(entriesFrom(9, 1))
  const following = followTrail(path, {}, soon)
  await next(following, 5)
  writeFileSync(one.layout.checkpoint, published)
  await refused(() => following.next(), 'ROLLED_BACK', /4 entries of the trail 'one' were seen, and it has 2/)
  const again = followTrail(path, {}, soon)
  await next(again, 3)
  rmSync(two.layout.folder, { recursive: true })
  await refused(() => again.next(), 'ROLLED_BACK', /'two' were seen, and it is gone/)
})

test('goes on behind what was pruned', async (t) => {
  const trail = layTrail(folderFor(t))
  for (let segment = 0; segment < 4; segment++) {
    trail.write(entriesFrom(segment * 5, 5))
    trail.seal()
  }
  const following = followTrail(trail.path, {}, soon)
  deepStrictEqual(places(await next(following, 3)), [0, 1, 2])
  for (const segment of trail.segments.slice(0, 3)) rmSync(segment.path)
  deepStrictEqual(places(await next(following, 7)), [3, 4, 15, 16, 17, 18, 19])
  const coming = next(following, 1)
  trail.write(entriesFrom(20, 1))
  deepStrictEqual(places(await coming), [20])
  await following.return()
})

test('filters and limits, and a limit ends it', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write([...entriesFrom(0, 2), ...entriesFrom(2, 1, { action: 'kms.export' })])
  const found: number[] = []
  for await (const { index } of followTrail(trail.path, { action: 'kms.export', limit: 2 }, soon)) {
    found.push(Number(index))
    trail.write([...entriesFrom(3, 1), ...entriesFrom(4, 1, { action: 'kms.export' })])
  }
  deepStrictEqual(found, [2, 4])
})

test('an abort ends it, also while it waits', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write(entriesFrom(0, 1))
  const controller = new AbortController()
  const following = followTrail(trail.path, {}, { signal: controller.signal, everyMs: 3_600_000 })
  await next(following, 1)
  const waiting = following.next()
  controller.abort()
  strictEqual((await waiting).done, true)
  const late = followTrail(trail.path, {}, { signal: controller.signal })
  strictEqual((await late.next()).done, true)
})

test('an instance that comes later joins in', async (t) => {
  const path = folderFor(t)
  const one = layTrail(path, { instance: 'one' })
  one.write(entriesFrom(0, 1))
  const following = followTrail(path, {}, soon)
  await next(following, 1)
  const coming = next(following, 2)
  const two = layTrail(path, { instance: 'two' })
  two.write(entriesFrom(1, 1))
  one.write(entriesFrom(2, 1))
  deepStrictEqual(
    new Set((await coming).map(({ instance, index }) => `${instance} ${index}`)),
    new Set(['two 0', 'one 1']),
  )
  await following.return()
})

test('damage is told when it is met, after what can be read', async (t) => {
  const trail = layTrail(folderFor(t))
  trail.write(entriesFrom(0, 3))
  const text = readFileSync(trail.segments[0]?.path ?? '', 'utf8')
  writeFileSync(trail.segments[0]?.path ?? '', text.replace('{"schema"', 'x"schema"'))
  const following = followTrail(trail.path, {}, soon)
  deepStrictEqual(places(await next(following, 2)), [1, 2])
  await refused(() => following.next(), 'INTERNAL', /damaged lines/)
})

test('where there is no trail it says so', async (t) => {
  await refused(() => followTrail(join(folderFor(t), 'none')).next(), 'INVALID_INPUT', /no trail/)
})
