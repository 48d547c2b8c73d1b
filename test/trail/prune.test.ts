/** @node Retention: what goes, what stays, what is told, and that a crash at any step harms nothing. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { engine } from '#engine'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import type { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { verifyTrail } from '../../src/trail/index.ts'
import { type Pruned, type PruneOptions, type PruneRequest, pruneTrail } from '../../src/trail/retention/prune.ts'
import { crashAt, faultyFileSystem } from '../storage/faults.ts'
import { collect, entriesFrom, entryAt, folderFor, handClock, hastyFileSystem, refused } from './entries.ts'
import { type LaidTrail, layTrail } from './laid.ts'

const dayMs = 86_400_000

/** Five segments of 30 entries each, the oldest 10 × `daysApart` … days old; now is 500 days after the first entry. */
const day = (number: number): Partial<AuditEntry> => ({ createdAt: new Date(begin + number * dayMs).toISOString() })
const begin = Date.UTC(2026, 0, 31, 12)

interface Laid {
  readonly trail: LaidTrail
  readonly prune: (request: PruneRequest, options?: Partial<PruneOptions>) => Promise<Pruned>
  readonly clock: ReturnType<typeof handClock>
}

function fiveSegments(path: string, options: { minRetentionDays?: number; fields?: Partial<AuditEntry> } = {}): Laid {
  const clock = handClock()
  clock.pass(500 * dayMs)
  const { minRetentionDays } = options
  const trail = layTrail(path, { now: clock.now, ...(minRetentionDays !== undefined && { minRetentionDays }) })
  for (let segment = 0; segment < 5; segment++) {
    for (let batch = 0; batch < 3; batch++)
      trail.write(entriesFrom(segment * 30 + batch * 10, 10, { ...day(segment * 100), ...options.fields }))
    trail.seal()
  }
  const given = { fs: hastyFileSystem, engine, layout: trail.layout, clock, about: trail.about, log: trail.log }
  const prune: Laid['prune'] = (request, more) => pruneTrail({ ...given, check: () => {}, ...more }, request)
  return { trail, prune, clock }
}

const namesIn = ({ layout }: LaidTrail) => readdirSync(layout.segments).sort()
const firstOf = (trail: LaidTrail) => Number(namesIn(trail)[0]?.slice(0, 20))

async function valid(trail: LaidTrail, prunedBelow: bigint): Promise<void> {
  const verdict = await verifyTrail(trail.path, { vkey: trail.vkey })
  deepStrictEqual(
    [verdict.verdict, verdict.problem, verdict.size, verdict.prunedBelow ?? 0n],
    ['valid', undefined, trail.size, prunedBelow],
  )
}

describe('what goes', () => {
  test('are whole segments whose newest entry is old enough, and the entry says which', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    const pruned = await prune({ olderThan: '250d', reason: { code: 'retention', ticket: 'OPS-9' } })
    const bytes = pruned.bytes
    deepStrictEqual(pruned, { prunedFrom: 0n, prunedBelow: 90n, entries: 90n, bytes, segments: 3, dryRun: false })
    ok(bytes > 90 * 400)
    strictEqual(firstOf(trail), 90)
    const found = await collect(trail.path)
    deepStrictEqual([found.length, found[0]?.index], [61, 90n])
    const { entry } = found.at(-1) ?? {}
    deepStrictEqual([entry?.action, entry?.reason?.code], ['audit.pruned', 'retention'])
    deepStrictEqual(entry?.details, {
      sink: 'trail',
      vkey: trail.vkey,
      prunedFrom: '0',
      prunedBelow: '90',
      newestAt: day(200).createdAt,
      olderThanDays: 250,
    })
    await valid(trail, 90n)
  })

  test('again and again, and never the last segment', async (t) => {
    const { trail, prune, clock } = fiveSegments(folderFor(t))
    strictEqual((await prune({ olderThan: 450 })).prunedBelow, 30n)
    await valid(trail, 30n)
    const none = await prune({ olderThan: 450 })
    deepStrictEqual([none.prunedFrom, none.prunedBelow, none.segments], [30n, 30n, 0])
    strictEqual(trail.size, 151n)
    strictEqual((await prune({ olderThan: 350 })).prunedFrom, 30n)
    await valid(trail, 60n)
    clock.pass(5000 * dayMs)
    strictEqual((await prune({ olderThan: 1 })).prunedBelow, 150n)
    await valid(trail, 150n)
    strictEqual((await prune({ olderThan: 1 })).segments, 0)
    trail.seal()
    trail.write([entryAt(153)])
    clock.pass(2 * dayMs)
    strictEqual((await prune({ olderThan: 1 })).prunedBelow, 153n)
    strictEqual((await prune({ olderThan: 1 })).segments, 0)
    strictEqual(namesIn(trail).length, 1)
    await valid(trail, 153n)
  })

  test('a segment goes by its newest entry, wherever that stands in it', async (t) => {
    const path = folderFor(t)
    const clock = handClock()
    clock.pass(500 * dayMs)
    const trail = layTrail(path, { now: clock.now })
    trail.write([...entriesFrom(0, 5, day(0)), entryAt(5, day(499)), ...entriesFrom(6, 5, day(1))])
    trail.seal()
    trail.write(entriesFrom(11, 5, day(2)))
    trail.seal()
    trail.write(entriesFrom(16, 5, day(3)))
    const options = { fs: hastyFileSystem, engine, layout: trail.layout, clock, about: trail.about, log: trail.log }
    const prune = () => pruneTrail({ ...options, check: () => {} }, { olderThan: 100 })
    strictEqual((await prune()).segments, 0)
    clock.pass(100 * dayMs)
    strictEqual((await prune()).prunedBelow, 16n)
  })

  test('where little is written, the last segment ends by its age, and goes when its time has come', async (t) => {
    const clock = handClock()
    const trail = layTrail(folderFor(t), { now: clock.now })
    const entries = (count: number) =>
      trail.write(entriesFrom(Number(trail.size), count, { createdAt: new Date(clock.now()).toISOString() }))
    const options = { fs: hastyFileSystem, engine, layout: trail.layout, clock, about: trail.about, log: trail.log }
    let sealed = 0
    const seal = () => {
      sealed++
      trail.seal()
    }
    const prune = () => pruneTrail({ ...options, check: () => {}, seal }, { olderThan: 100 })
    entries(5)
    clock.pass(9 * dayMs)
    await prune()
    strictEqual(sealed, 0)
    clock.pass(2 * dayMs)
    await pruneTrail({ ...options, check: () => {}, seal }, { olderThan: 100, dryRun: true })
    strictEqual(sealed, 0)
    await prune()
    strictEqual(sealed, 1)
    entries(5)
    clock.pass(95 * dayMs)
    strictEqual((await prune()).prunedBelow, 5n)
    strictEqual(sealed, 2)
    await valid(trail, 5n)
  })

  test('a dry run tells the same and does nothing, also without an audit', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    const before = readFolder(trail.path)
    const told = await prune({ olderThan: 250, dryRun: true }, { log: undefined })
    deepStrictEqual([told.prunedBelow, told.segments, told.dryRun], [90n, 3, true])
    deepStrictEqual(readFolder(trail.path), before)
    const { dryRun: _, ...done } = await prune({ olderThan: 250 })
    deepStrictEqual({ ...done, dryRun: true }, told)
  })
})

describe('what stays', () => {
  test('everything from an intent without a result on', async (t) => {
    const path = folderFor(t)
    const clock = handClock()
    clock.pass(500 * dayMs)
    const trail = layTrail(path, { now: clock.now })
    const intent = (at: number, operationID: string) =>
      entryAt(at, { ...day(at), action: 'kms.rotate', phase: 'intent', outcome: 'pending', operationID })
    const result = (at: number, operationID: string) => entryAt(at, { ...day(at), action: 'kms.rotate', operationID })
    trail.write([entryAt(0, day(0)), intent(1, 'ended-later')])
    trail.seal()
    trail.write([result(2, 'ended-later'), intent(3, 'never-ended')])
    trail.seal()
    trail.write([entryAt(4, day(4))])
    trail.seal()
    trail.write([entryAt(5, day(5))])
    const options = { fs: hastyFileSystem, engine, layout: trail.layout, clock, about: trail.about, log: trail.log }
    const prune = (olderThan: number) => pruneTrail({ ...options, check: () => {} }, { olderThan })
    strictEqual((await prune(100)).prunedBelow, 2n)
    const last = trail.segments.at(-1)?.path ?? ''
    const committed = readFileSync(last)
    // A result that a crash may still take away ends nothing.
    appendFileSync(last, `${lineOf(result(6, 'never-ended'))}\n`)
    strictEqual((await prune(100)).prunedBelow, 2n)
    writeFileSync(last, committed)
    trail.write([result(6, 'never-ended')])
    strictEqual((await prune(100)).prunedBelow, 5n)
    await valid(trail, 5n)
  })

  test('what the minimum protects, and the message says how long that is', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t), { minRetentionDays: 365 })
    await refused(() => prune({ olderThan: '364d' }), 'INVALID_INPUT', /at least 365 days/)
    strictEqual((await prune({ olderThan: 365 })).prunedBelow, 60n)
    const [pruned] = await collect(trail.path, { action: 'audit.pruned' })
    strictEqual(pruned?.entry.details?.minRetentionDays, 365)
    await valid(trail, 60n)
  })

  test('everything, when the entry is not accepted', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    const note = () => Promise.reject(new KmsError('AUDIT_REFUSED', 'refused'))
    await refused(() => prune({ olderThan: 1 }, { log: { note } }), 'AUDIT_REFUSED', /refused/)
    await refused(() => prune({ olderThan: 1 }, { log: undefined }), 'INVALID_INPUT', /nobody can write/)
    strictEqual(namesIn(trail).length, 5)
    await valid(trail, 0n)
  })

  test('everything, when the clock stepped back while the entry was written', async (t) => {
    const { trail, prune, clock } = fiveSegments(folderFor(t), { minRetentionDays: 365 })
    const now = { at: clock.now() }
    const stepping = { ...clock, now: () => now.at }
    const note: LaidTrail['log']['note'] = async (notice) => {
      await trail.log.note(notice)
      now.at -= 300 * dayMs
    }
    await refused(() => prune({ olderThan: 365 }, { clock: stepping, log: { note } }), 'INVALID_INPUT', /stepped back/)
    await valid(trail, 0n)
  })

  test('everything, when this process may no longer write', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    const check = () => {
      throw new KmsError('LOCKED', 'taken over')
    }
    await refused(() => prune({ olderThan: 1 }, { check }), 'LOCKED', /taken over/)
    await valid(trail, 0n)
  })

  test('evidence: a segment that was tampered with is not dropped', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    const path = trail.segments[1]?.path ?? ''
    const text = readFileSync(path, 'utf8')
    for (const wrong of [
      text.replace('"outcome":"success"', '"outcome":"failure"'),
      text.slice(0, text.lastIndexOf('{"schema"')),
      text.slice(text.indexOf('\n') + 1),
      `${text}${lineOf(entryAt(60, day(100)))}\n`,
      text.replaceAll(/(— \S+ )[^"]+/g, (_, lead) => `${lead}${Buffer.alloc(68, 1).toString('base64')}\\n`),
    ]) {
      writeFileSync(path, wrong)
      await refused(() => prune({ olderThan: 350 }), 'INTERNAL', /damaged, and nothing of it is dropped/)
    }
    writeFileSync(path, text)
    strictEqual((await prune({ olderThan: 350 })).prunedBelow, 60n)
  })

  test('everything, when the tiles are not those of the entries', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    await prune({ olderThan: 450 })
    const tile = join(trail.layout.folder, 'tile/0/000.p/30')
    const bytes = readFileSync(tile)
    bytes[40] = 255 - (bytes[40] ?? 0)
    writeFileSync(tile, bytes)
    await refused(() => prune({ olderThan: 350 }), 'INTERNAL', /damaged/)
    strictEqual(firstOf(trail), 30)

    const other = fiveSegments(folderFor(t))
    mkdirSync(join(other.trail.layout.folder, 'tile/0/000.p'), { recursive: true })
    writeFileSync(join(other.trail.layout.folder, 'tile/0/000.p/150'), new Uint8Array(32 * 150))
    await refused(() => other.prune({ olderThan: 350 }), 'INTERNAL', /tiles are not those of the entries/)
    strictEqual(firstOf(other.trail), 0)
  })
})

describe('refused at the door', () => {
  for (const olderThan of ['400', '1y', '-1d', '', 0, -1, 1.5, Number.NaN, 1e9])
    test(`an age of ${JSON.stringify(olderThan)}`, async (t) => {
      const { prune } = fiveSegments(folderFor(t))
      await refused(() => prune({ olderThan }), 'INVALID_INPUT', /whole days/)
    })

  test('no request, and a reason that is none; a long one is capped', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    await refused(() => prune(undefined as unknown as PruneRequest), 'INVALID_INPUT', /takes one object/)
    for (const reason of [{ code: '' }, { code: 7 }, { code: 'x', ticket: 7 }])
      await refused(() => prune({ olderThan: 1, reason } as PruneRequest), 'INVALID_INPUT', /reason must be/)
    await prune({ olderThan: 450, reason: { code: 'x'.repeat(5000) } })
    strictEqual((await collect(trail.path)).at(-1)?.entry.reason?.code, `${'x'.repeat(128)}…#5000`)
  })

  test('an archive within the trail', async (t) => {
    const { trail, prune } = fiveSegments(folderFor(t))
    for (const archive of [join(trail.path, 'old.jsonl'), join(trail.layout.folder, 'x'), join(trail.path, 'a/../b')])
      await refused(() => prune({ olderThan: 1, archive }), 'INVALID_INPUT', /inside the trail/)
    await refused(() => prune({ olderThan: 1, archive: '' }), 'INVALID_INPUT', /path/)
  })
})

/** Every file under `path`, by name. */
function readFolder(path: string): Readonly<Record<string, string>> {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'latin1')]),
  )
}

describe('a crash', () => {
  test('at any step leaves a valid trail, and the next prune finishes', async (t) => {
    const root = folderFor(t)
    const laid = join(root, 'laid')
    fiveSegments(laid)
    let last = -1
    for (let step = 0; last < 0; step++) {
      const path = join(root, `crash-${step}`)
      const { trail, prune } = fiveSegments(path)
      const archive = join(root, `archive-${step}.gz`)
      const fs = faultyFileSystem({ fail: crashAt(step), over: hastyFileSystem })
      const outcome = await prune({ olderThan: 250, archive }, { fs }).catch((error) => error)
      if (!(outcome instanceof KmsError)) last = step
      const first = firstOf(trail)
      ok([0, 30, 60, 90].includes(first), String(first))
      await valid(trail, BigInt(first))
      const entries = await collect(path)
      deepStrictEqual(entries[0]?.index, BigInt(first))

      const again = await prune({ olderThan: 250, archive: join(root, `again-${step}.gz`) })
      deepStrictEqual([again.prunedFrom, again.prunedBelow], [BigInt(first), 90n])
      strictEqual(firstOf(trail), 90)
      await valid(trail, 90n)
      // Between them the archives hold what is gone.
      const archived = [archive, join(root, `again-${step}.gz`)].filter(existsSync)
      const kept = (await Promise.all(archived.map((file) => collect(file)))).flat()
      deepStrictEqual(
        new Set(kept.map(({ index }) => Number(index))),
        new Set(Array.from({ length: 90 }, (_, at) => at)),
      )
    }
    ok(last > 15, String(last))
  })

  test('removes in order: never a later segment before an earlier one is gone for good', async (t) => {
    const { prune } = fiveSegments(folderFor(t))
    const removed: string[] = []
    const fs: typeof nodeFileSystem = {
      ...hastyFileSystem,
      async remove(path) {
        await hastyFileSystem.remove(path)
        if (path.includes('segments')) removed.push(path.slice(-12, -6))
      },
      async syncFolder(folder) {
        if (folder.endsWith('segments')) removed.push('sync')
      },
    }
    await prune({ olderThan: 250 }, { fs })
    deepStrictEqual(removed, ['000000', 'sync', '000030', 'sync', '000060', 'sync'])
  })

  test('that kept the entry and lost the removal is no pruning', async (t) => {
    const root = folderFor(t)
    const { trail, prune } = fiveSegments(join(root, 'a'))
    const before = join(root, 'before')
    cpSync(trail.layout.segments, before, { recursive: true })
    await prune({ olderThan: 250 })
    for (const name of readdirSync(before))
      if (!existsSync(join(trail.layout.segments, name))) cpSync(join(before, name), join(trail.layout.segments, name))
    await valid(trail, 0n)
  })
})
