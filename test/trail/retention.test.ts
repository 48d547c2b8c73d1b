/** @node Retention as its user meets it: a client, its trail, receipts and archives, over openings. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { Clock } from '../../src/model/clock.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail, verifyTrail } from '../../src/trail/index.ts'
import { checkProof, proveEntry } from '../../src/trail/receipts/prove.ts'
import { collect, folderFor, handClock, hastyFileSystem, refused, signerOf } from './entries.ts'

const dayMs = 86_400_000

interface Open {
  readonly kms: KmsClient
  readonly trail: Trail
  /** So many calls, one entry each; resolves to their event ids. */
  work(calls: number): Promise<readonly string[]>
}

async function open(path: string, clock: Clock, fs: FileSystem = hastyFileSystem): Promise<Open> {
  const trail = await openTrail({
    path,
    signer: signerOf(7),
    clock,
    fs,
    segmentBytes: 8_000,
    minRetentionDays: 90,
    compressSealed: true,
  })
  const kms = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [trail], clock, heartbeatMs: 0 } })
  await kms.createKey({ slug: 'orders' })
  return {
    kms,
    trail,
    async work(calls) {
      const ids: string[] = []
      for (let call = 0; call < calls; call++)
        ids.push((await kms.encrypt({ key: 'orders', plaintext: new Uint8Array(16) })).eventID)
      return ids
    },
  }
}

const segmentsOf = ({ path }: Trail) => readdirSync(join(path, 'segments')).sort()

test('a year of use: pruned, archived, opened again; trail, archive and every receipt still verify', async (t) => {
  const root = folderFor(t)
  const path = join(root, 'audit')
  const clock = handClock()
  const first = await open(path, clock)
  const [early = ''] = await first.work(60)
  const { vkey } = first.trail
  const receipt = await first.trail.proveEntry(early)
  clock.pass(100 * dayMs)
  const [late = ''] = await first.work(30)

  await refused(() => first.trail.prune({ olderThan: '89d' }), 'INVALID_INPUT', /at least 90 days/)
  const archive = join(root, 'old.jsonl.gz')
  const pruned = await first.trail.prune({ olderThan: '90d', archive, reason: { code: 'retention' } })
  ok(pruned.segments > 2 && pruned.prunedFrom === 0n, JSON.stringify(pruned.segments))
  strictEqual(first.trail.prunedBelow, pruned.prunedBelow)
  await first.work(5)
  await first.kms.close()

  const all = [...(await collect(archive)), ...(await collect(path))]
  deepStrictEqual(
    all.map(({ index }) => index),
    all.map((_, at) => BigInt(at)),
  )
  for (const [where, size] of [
    [path, BigInt(all.length)],
    [archive, pruned.prunedBelow],
  ] as const) {
    const verdict = await verifyTrail(where, { vkey })
    deepStrictEqual([verdict.verdict, verdict.problem, verdict.size], ['valid', undefined, size])
  }
  strictEqual((await checkProof(receipt.text, { vkey })).valid, true)
  strictEqual((await proveEntry(path, late, { vkey })).instance, 'main')
  strictEqual((await proveEntry(path, early, { vkey, archive })).index, receipt.index)

  const again = await open(path, clock)
  await again.work(30)
  clock.pass(200 * dayMs)
  await again.work(1)
  const second = await again.trail.prune({ olderThan: 150, archive: join(root, 'more.jsonl') })
  strictEqual(second.prunedFrom, pruned.prunedBelow)
  await again.kms.close()
  for (const where of [path, archive, join(root, 'more.jsonl')])
    strictEqual((await verifyTrail(where, { vkey })).problem, undefined, where)
  strictEqual((await verifyTrail(path, { vkey })).prunedBelow, second.prunedBelow)
})

test('a trail whose pruning was cut short opens, goes on, and the next prune finishes', async (t) => {
  const root = folderFor(t)
  for (const removals of [0, 1, 2]) {
    const path = join(root, String(removals))
    const clock = handClock()
    let left = Number.POSITIVE_INFINITY
    const fs: FileSystem = {
      ...hastyFileSystem,
      async remove(file) {
        if (/segments.*\.gz$/.test(file) && left-- <= 0) throw Object.assign(new Error('EIO'), { code: 'EIO' })
        await hastyFileSystem.remove(file)
      },
    }
    const broken = await open(path, clock, fs)
    await broken.work(60)
    clock.pass(100 * dayMs)
    await broken.work(1)
    left = removals
    await refused(() => broken.trail.prune({ olderThan: 95 }), 'PROVIDER_UNAVAILABLE', /EIO/)
    await broken.kms.close()

    const verdict = await verifyTrail(path, { vkey: broken.trail.vkey })
    deepStrictEqual([verdict.verdict, verdict.problem], ['valid', undefined])
    const again = await open(path, clock)
    deepStrictEqual((await collect(path))[0]?.index, again.trail.prunedBelow)
    strictEqual(again.trail.prunedBelow > 0n, removals > 0)
    const finished = await again.trail.prune({ olderThan: 95 })
    ok(finished.segments > 0 && finished.prunedFrom === (verdict.prunedBelow ?? 0n))
    await again.work(3)
    await again.kms.close()
    const after = await verifyTrail(path, { vkey: again.trail.vkey })
    deepStrictEqual([after.problem, after.prunedBelow], [undefined, finished.prunedBelow])
  }
})

test('a trail that was handed over before what was pruned: the archive leads from the old key to the new one', async (t) => {
  const root = folderFor(t)
  const path = join(root, 'audit')
  const clock = handClock()
  const { kms, trail, work } = await open(path, clock)
  await work(40)
  const before = trail.vkey
  await trail.rotateSigner(signerOf(8))
  await work(40)
  clock.pass(100 * dayMs)
  await work(1)
  const archive = join(root, 'old.gz')
  const pruned = await trail.prune({ olderThan: 95, archive })
  ok(pruned.prunedBelow > 50n)
  await kms.close()
  ok(trail.vkey !== before)
  const verdicts = async (where: string) => [
    (await verifyTrail(where, { vkey: before })).verdict,
    (await verifyTrail(where, { vkey: trail.vkey })).verdict,
  ]
  deepStrictEqual(await verdicts(archive), ['valid', 'valid'])
  // What led from the first key to the second is in the archive now.
  deepStrictEqual(await verdicts(path), ['unverifiable', 'valid'])
})

test('an archive that was changed is found', async (t) => {
  const root = folderFor(t)
  const clock = handClock()
  const { kms, trail, work } = await open(join(root, 'audit'), clock)
  await work(60)
  clock.pass(100 * dayMs)
  const archive = join(root, 'old.jsonl')
  await trail.prune({ olderThan: 95, archive })
  await kms.close()
  const text = readFileSync(archive, 'utf8')
  const { vkey } = trail
  strictEqual((await verifyTrail(archive, { vkey })).verdict, 'valid')
  const lines = text.split('\n')
  const changed: readonly (readonly [string, string])[] = [
    ['an entry', text.replace('"plaintext":16', '"plaintext":17')],
    ['the order', [lines[0], ...lines.slice(2, 3), ...lines.slice(1, 2), ...lines.slice(3)].join('\n')],
    ['the end', `${lines.slice(0, -3).join('\n')}\n`],
    ['the range in its header', text.replace('"from":"0","below":"', '"from":"0","below":"1')],
    ['the origin', text.replace(/"origin":"[^"]+"/, '"origin":"other"')],
  ]
  for (const [what, other] of changed) {
    ok(other !== text, what)
    writeFileSync(archive, other)
    const { verdict } = await verifyTrail(archive, { vkey })
    ok(verdict !== 'valid', `${what}: ${verdict}`)
  }
})

test('pruning beside a busy client: nothing waits for it, nothing is lost', async (t) => {
  const path = join(folderFor(t), 'audit')
  const clock = handClock()
  const { kms, trail, work } = await open(path, clock)
  await work(60)
  clock.pass(100 * dayMs)
  await work(1)
  const size = trail.size
  const [pruned, ids] = await Promise.all([trail.prune({ olderThan: 95 }), work(60)])
  await kms.close()
  ok(pruned.segments > 0)
  strictEqual(trail.size, size + 61n + 1n)
  const found = await collect(path)
  for (const id of ids) ok(found.some(({ entry }) => entry.eventID === id))
  strictEqual(found[0]?.index, pruned.prunedBelow)
  strictEqual((await verifyTrail(path, { vkey: trail.vkey })).problem, undefined)
  ok(segmentsOf(trail).some((name) => name.endsWith('.gz')))
})

test('where little is written, a segment ends when it spans a tenth of the age: it can go when it is old enough', async (t) => {
  const path = join(folderFor(t), 'audit')
  const clock = handClock()
  const trail = await openTrail({ path, signer: signerOf(7), clock, fs: hastyFileSystem })
  const kms = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [trail], clock, heartbeatMs: 0 } })
  await kms.createKey({ slug: 'orders' })
  strictEqual((await trail.prune({ olderThan: '100d' })).segments, 0)
  clock.pass(50 * dayMs)
  strictEqual((await trail.prune({ olderThan: '100d' })).segments, 0)
  await kms.describeKey({ key: 'orders' })
  strictEqual(segmentsOf(trail).length, 2)
  clock.pass(51 * dayMs)
  strictEqual((await trail.prune({ olderThan: '100d' })).segments, 1)
  await kms.close()
  strictEqual((await verifyTrail(path, { vkey: trail.vkey })).verdict, 'valid')
})
