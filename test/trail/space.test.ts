/** @node A disk without room: what was begun is finished, the trail closes, and it goes on by itself when there is room. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Notice } from '../../src/model/sink.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail, verifyTrail } from '../../src/trail/index.ts'
import { collect, entriesFrom, folderFor, handClock, hastyFileSystem, refused, signerOf } from './entries.ts'
import { connected, until } from './log.ts'

const signer = signerOf(7)
const mebibyte = 1024 * 1024

/** A disk that has room for `free` more bytes, and gets back what is removed from it. */
function smallDisk(): { readonly fs: FileSystem; free: number } {
  const full = () => Object.assign(new Error('no space'), { code: 'ENOSPC' })
  const disk = {
    free: Number.POSITIVE_INFINITY,
    fs: {
      ...hastyFileSystem,
      async open(path, how, mode) {
        const file = await hastyFileSystem.open(path, how, mode)
        return {
          ...file,
          async write(bytes) {
            if (disk.free <= 0) throw full()
            const written = await file.write(bytes.subarray(0, Math.min(bytes.length, disk.free)))
            disk.free -= written
            return written
          },
        }
      },
      async remove(path) {
        const size = nodeFileSystem.status(path)?.size ?? 0
        await nodeFileSystem.remove(path)
        disk.free += size
      },
      async rename(from, to) {
        const size = nodeFileSystem.status(to)?.size ?? 0
        await nodeFileSystem.rename(from, to)
        disk.free += size
      },
    } satisfies FileSystem as FileSystem,
  }
  return disk
}

const reserveOf = (trail: Trail) => join(trail.path, 'reserve')

describe('the reserve', () => {
  test('is a mebibyte that stands from the start, and is made again when it was taken away', async (t) => {
    const path = folderFor(t)
    for (let opening = 0; opening < 2; opening++) {
      const trail = await openTrail({ path, signer, fs: hastyFileSystem })
      const { size, blocks } = statSync(reserveOf(trail))
      strictEqual(size, mebibyte)
      ok(blocks * 512 >= mebibyte)
      strictEqual(trail.full, undefined)
      await trail.close()
      rmSync(reserveOf(trail))
    }
  })

  test('is given up for the batch that finds the disk full, and no further call should begin', async (t) => {
    const path = folderFor(t)
    const disk = smallDisk()
    const clock = handClock()
    const trail = await openTrail({ path, signer, fs: disk.fs, clock })
    await trail.write(entriesFrom(0, 2))
    disk.free = 300
    strictEqual((await trail.write(entriesFrom(2, 20))).size, 22n)
    match(trail.full ?? '', /the disk is full/)
    ok(!existsSync(reserveOf(trail)))
    // What is queued is written all the same, and the trail closes with its last entries published.
    strictEqual((await trail.write(entriesFrom(22, 5))).size, 27n)
    await trail.close()
    const verdict = await verifyTrail(path, { vkey: trail.vkey })
    deepStrictEqual([verdict.verdict, verdict.size, verdict.unsignedTail], ['valid', 27n, undefined])
    deepStrictEqual(
      (await collect(path)).map(({ entry, covered }) => [entry.sequence, covered]),
      Array.from({ length: 27 }, (_, at) => [at, true]),
    )
  })

  test('is made again as soon as there is room, at longer and longer intervals', async (t) => {
    const disk = smallDisk()
    const clock = handClock()
    let failed = 0
    const fs: FileSystem = {
      ...disk.fs,
      async remove(path) {
        await disk.fs.remove(path)
        if (path.endsWith('reserve.tmp')) failed++
      },
    }
    const trail = await openTrail({ path: folderFor(t), signer, fs, clock })
    disk.free = 0
    await trail.write(entriesFrom(0, 2))
    for (const [attempt, seconds] of [1, 2, 4, 8, 16, 30, 30].entries()) {
      disk.free = 1000
      clock.pass(1000 * seconds - 1)
      await until(() => true)
      strictEqual(failed, attempt)
      clock.pass(1)
      await until(() => failed > attempt)
      match(trail.full ?? '', /full/)
    }
    disk.free = 10 * mebibyte
    clock.pass(30_000)
    await until(() => trail.full === undefined)
    ok(existsSync(reserveOf(trail)))
    disk.free = 0
    strictEqual((await trail.write(entriesFrom(2, 1))).size, 3n)
    await trail.close()
  })

  test('once it is gone and the disk is full again, batches are refused until there is room', async (t) => {
    const path = folderFor(t)
    const disk = smallDisk()
    const clock = handClock()
    const trail = await openTrail({ path, signer, fs: disk.fs, clock })
    disk.free = 0
    await trail.write(entriesFrom(0, 2))
    disk.free = 100
    await refused(() => trail.write(entriesFrom(2, 2)), 'PROVIDER_UNAVAILABLE', /ENOSPC/)
    strictEqual(trail.size, 2n)
    disk.free = mebibyte
    strictEqual((await trail.write(entriesFrom(2, 2))).size, 4n)
    await trail.close()
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => entry.sequence),
      [0, 1, 2, 3],
    )
    strictEqual((await verifyTrail(path)).verdict, 'valid')
  })

  test('a trail that finds no room for it when it is opened is full', async (t) => {
    const path = folderFor(t)
    const before = await openTrail({ path, signer, fs: hastyFileSystem })
    await before.close()
    rmSync(reserveOf(before))
    const disk = smallDisk()
    disk.free = 10_000
    const clock = handClock()
    const trail = await openTrail({ path, signer, fs: disk.fs, clock })
    match(trail.full ?? '', /full/)
    disk.free = 2 * mebibyte
    clock.pass(1000)
    await until(() => trail.full === undefined)
    await trail.close()
  })
})

describe('a full file system of the machine', () => {
  test('the trail closes with its last entries, and goes on by itself once there is room', async (t) => {
    const path = mounted(t)
    if (path === undefined) return
    const filler = join(path, 'filler')
    const clock = handClock()
    const trail = await openTrail({ path: join(path, 'audit'), signer, allowFilesystem: ['tmpfs'], clock })
    await trail.write(entriesFrom(0, 100))
    fill(filler)
    let next = 100
    while (trail.full === undefined) next = Number((await trail.write(entriesFrom(next, 100))).size)
    next = Number((await trail.write(entriesFrom(next, 100))).size)
    rmSync(filler)
    clock.pass(1000)
    await until(() => trail.full === undefined)
    next = Number((await trail.write(entriesFrom(next, 100))).size)
    fill(filler)
    while (trail.full === undefined) next = Number((await trail.write(entriesFrom(next, 100))).size)
    await trail.close()
    rmSync(filler)
    const verdict = await verifyTrail(join(path, 'audit'), { vkey: trail.vkey })
    deepStrictEqual([verdict.verdict, verdict.size, verdict.unsignedTail], ['valid', BigInt(next), undefined])
    await (await openTrail({ path: join(path, 'audit'), signer, allowFilesystem: ['tmpfs'] })).close()
  })
})

/** A file system of 8 MiB; undefined, and said so, where this user may not mount one. */
function mounted(t: TestContext): string | undefined {
  const path = mkdtempSync(join(tmpdir(), 'keytrail-small-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'keytrail', path], { stdio: 'ignore' })
  } catch {
    rmSync(path, { recursive: true })
    t.skip('mounting a small file system takes root')
    return undefined
  }
  t.after(() => {
    execFileSync('umount', [path])
    rmSync(path, { recursive: true })
  })
  return path
}

/** Writes until the file system takes no more. */
function fill(path: string): void {
  for (let size = 4 * mebibyte, flag = 'w'; size >= 1; flag = 'a') {
    try {
      writeFileSync(path, new Uint8Array(size), { flag })
    } catch (error) {
      ok((error as { code?: string }).code === 'ENOSPC', String(error))
      size = Math.floor(size / 2)
    }
  }
}

describe('a budget', () => {
  test('warns by an entry at four fifths, refuses at its end, and is free again after a prune', async (t) => {
    const path = folderFor(t)
    const told: Notice[] = []
    const budgetBytes = 40_000
    const trail = await openTrail({ path, signer, fs: hastyFileSystem, segmentBytes: 8000, budgetBytes })
    trail.connect({
      async note(notice) {
        told.push(notice)
      },
    })
    let next = 0
    const write = async () => {
      await trail.write(entriesFrom(next, 2))
      next += 2
    }
    while (told.length === 0) await write()
    const [low] = told
    strictEqual(low?.action, 'audit.space_low')
    strictEqual(low.details.budgetBytes, budgetBytes)
    const { usedBytes = 0 } = low.details
    ok(usedBytes >= 0.8 * budgetBytes && usedBytes < 0.9 * budgetBytes, `${usedBytes}`)
    strictEqual(trail.full, undefined)
    while (trail.full === undefined) await write()
    match(trail.full, /budget of 40000 bytes/)
    await write()
    deepStrictEqual(
      told.map(({ action }) => action),
      ['audit.space_low'],
    )
    await trail.close()
    const again = await openTrail({ path, signer, fs: hastyFileSystem, budgetBytes })
    match(again.full ?? '', /budget/)
    deepStrictEqual(
      again.notices.map(({ action }) => action),
      ['audit.space_low'],
    )
    connected(again)
    const { segments } = await again.prune({ olderThan: '30d' })
    ok(segments > 0)
    strictEqual(again.full, undefined)
    await again.close()
  })

  test('must be a number of bytes', async (t) => {
    const path = folderFor(t)
    for (const budgetBytes of [0, -1, 0.5, Number.NaN])
      await refused(() => openTrail({ path, signer, budgetBytes }), 'INVALID_INPUT', /budgetBytes must be/)
  })
})
