/** @node A disk that fails: nothing is acknowledged that is not safe, nothing acknowledged is lost, nothing stands twice. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { Notice } from '../../src/model/sink.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail, verifyTrail } from '../../src/trail/index.ts'
import { faultyFileSystem } from '../storage/faults.ts'
import {
  collect,
  entriesFrom,
  folderFor,
  handClock,
  hastyFileSystem,
  refused,
  segmentsIn,
  signerOf,
} from './entries.ts'

type HandClock = ReturnType<typeof handClock>

const signer = signerOf(7)

type Fault = 'none' | 'ENOSPC' | 'EIO after writing' | 'short write, then ENOSPC' | 'rename EIO'

/** The next appends to a segment fail in this way, until told otherwise. */
function faultyDisk(): { readonly fs: FileSystem; fault: Fault } {
  const fail = (code: string) => {
    throw Object.assign(new Error(code), { code })
  }
  const faulty = {
    fault: 'none' as Fault,
    fs: {
      ...hastyFileSystem,
      async open(path, how, mode) {
        const file = await hastyFileSystem.open(path, how, mode)
        if (how !== 'append' || !path.endsWith('.jsonl')) return file
        let writes = 0
        return {
          ...file,
          async write(bytes) {
            if (faulty.fault === 'ENOSPC') fail('ENOSPC')
            if (faulty.fault === 'EIO after writing') {
              await file.write(bytes)
              fail('EIO')
            }
            if (faulty.fault === 'short write, then ENOSPC') {
              if (++writes % 2 === 0) fail('ENOSPC')
              return file.write(bytes.subarray(0, Math.ceil(bytes.length / 2)))
            }
            return file.write(bytes)
          },
        }
      },
      async rename(from, to) {
        if (faulty.fault === 'rename EIO') fail('EIO')
        await nodeFileSystem.rename(from, to)
      },
    } satisfies FileSystem as FileSystem,
  }
  return faulty
}

async function writeUntilAccepted(trail: Trail, entries: readonly AuditEntry[], wait: () => void): Promise<number> {
  for (let attempt = 1; attempt < 100; attempt++) {
    try {
      await trail.write(entries)
      return attempt
    } catch (error) {
      ok(error instanceof KmsError && (error.retryable || error.code === 'INTERNAL'), String(error))
      wait()
    }
  }
  throw new Error('never accepted')
}

describe('a failing disk', () => {
  for (const fault of ['ENOSPC', 'EIO after writing', 'short write, then ENOSPC'] as const) {
    test(`${fault}: the batch is refused, and written once when it comes again`, async (t) => {
      const path = folderFor(t)
      const faulty = faultyDisk()
      const clock = handClock()
      const trail = await openTrail({ path, signer, fs: faulty.fs, clock })
      await trail.write(entriesFrom(0, 2))
      faulty.fault = fault
      for (let attempt = 0; attempt < 3; attempt++) {
        await refused(() => trail.write(entriesFrom(2, 3)), 'PROVIDER_UNAVAILABLE', /ENOSPC|EIO|within/)
        strictEqual(trail.size, 2n)
        clock.pass(20_000)
      }
      faulty.fault = 'none'
      await writeUntilAccepted(trail, entriesFrom(2, 3), () => clock.pass(20_000))
      await trail.write(entriesFrom(5, 1))
      await trail.close()
      deepStrictEqual(
        (await collect(path)).map(({ entry }) => entry),
        entriesFrom(0, 6),
      )
      const verdict = await verifyTrail(path, { vkey: trail.vkey })
      deepStrictEqual([verdict.verdict, verdict.size, verdict.unsignedTail], ['valid', 6n, undefined])
      deepStrictEqual(
        segmentsIn(trail.path).map(({ name }) => Number.parseInt(name, 10)),
        [0, 2],
      )
      // Every attempt that left bytes has them kept, each once.
      const kept = fault === 'ENOSPC' ? 0 : readdirSync(join(trail.path, 'quarantine')).length
      ok(fault === 'ENOSPC' || kept > 0)
    })
  }

  test('bytes that a failed sync left in memory are not taken for safe', async (t) => {
    const path = folderFor(t)
    const faulty = faultyDisk()
    const clock = handClock()
    const trail = await openTrail({ path, signer, fs: faulty.fs, clock })
    await trail.write(entriesFrom(0, 2))
    faulty.fault = 'EIO after writing'
    await refused(() => trail.write(entriesFrom(2, 2)), 'PROVIDER_UNAVAILABLE', /EIO/)
    faulty.fault = 'none'
    // The refused batch stands there, signed; another one comes instead.
    clock.pass(200)
    await trail.write(entriesFrom(10, 1))
    await trail.close()
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => entry.sequence),
      [0, 1, 10],
    )
    strictEqual((await verifyTrail(path)).verdict, 'valid')
  })

  test('while the cut cannot be made nothing is written, and attempts grow rare', async (t) => {
    const path = folderFor(t)
    const faulty = faultyDisk()
    const clock = handClock()
    const trail = await openTrail({ path, signer, fs: faulty.fs, clock })
    await trail.write(entriesFrom(0, 1))
    faulty.fault = 'EIO after writing'
    await refused(() => trail.write(entriesFrom(1, 1)), 'PROVIDER_UNAVAILABLE', /EIO/)
    faulty.fault = 'rename EIO'
    let tried = 0
    for (let ms = 0; ms < 60_000; ms += 50) {
      const error = await trail.write(entriesFrom(1, 1)).catch((caught) => caught)
      ok(error instanceof KmsError)
      if (!/within/.test(error.message)) tried++
      clock.pass(50)
    }
    ok(tried >= 10 && tried < 25, `${tried} attempts in a minute`)
    faulty.fault = 'none'
    await writeUntilAccepted(trail, entriesFrom(1, 1), () => clock.pass(500))
    await trail.close()
    strictEqual((await verifyTrail(path)).size, 2n)
    strictEqual((await collect(path)).length, 2)
  })

  test('a trail closed with a refused batch is recovered at the next opening', async (t) => {
    const path = folderFor(t)
    const faulty = faultyDisk()
    const trail = await openTrail({ path, signer, fs: faulty.fs, clock: handClock() })
    await trail.write(entriesFrom(0, 1))
    faulty.fault = 'short write, then ENOSPC'
    await refused(() => trail.write(entriesFrom(1, 2)), 'PROVIDER_UNAVAILABLE', /ENOSPC/)
    await trail.close()
    const again = await openTrail({ path, signer, fs: hastyFileSystem })
    strictEqual(again.size, 1n)
    ok((again.notices[0]?.details.quarantinedBytes ?? 0) > 100)
    await again.close()
  })

  test('a random disk: what was acknowledged is there once, in order, and verifies', async (t) => {
    const faults: readonly Fault[] = [
      'none',
      'none',
      'ENOSPC',
      'EIO after writing',
      'short write, then ENOSPC',
      'rename EIO',
    ]
    let state = 12345
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    const path = folderFor(t)
    let next = 0
    for (let opening = 0; opening < 6; opening++) {
      const faulty = faultyDisk()
      const clock = handClock()
      const trail = await openTrail({ path, signer, fs: faulty.fs, clock, segmentBytes: 5000 })
      strictEqual(trail.size, BigInt(next))
      for (let batch = 0; batch < 40; batch++) {
        const count = 1 + random(4)
        await writeUntilAccepted(trail, entriesFrom(next, count), () => {
          faulty.fault = faults[random(faults.length)] ?? 'none'
          clock.pass(random(3000))
        })
        next += count
        faulty.fault = faults[random(faults.length)] ?? 'none'
        clock.pass(random(100))
      }
      faulty.fault = 'none'
      await trail.close()
    }
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => entry.sequence),
      Array.from({ length: next }, (_, at) => at),
    )
    strictEqual((await verifyTrail(path)).verdict, 'valid')
  })
})

describe('every step of the disk failing once', () => {
  for (const code of ['EIO', 'ENOSPC'] as const) {
    test(`${code}: an opening, batches over two segments, and a close`, async (t) => {
      for (let broken = 0; ; broken++) {
        const path = folderFor(t)
        let failedAt = ''
        const fs = faultyFileSystem({
          over: hastyFileSystem,
          separateSync: true,
          fail(step, number, name) {
            if (number !== broken) return undefined
            failedAt = `${step} ${name.replace(path, '')}`
            return code
          },
        })
        const clock = handClock()
        const told = await scenario(path, { fs, clock })
        const where = `step ${broken}: ${failedAt}`
        if (failedAt === '') {
          ok(broken > 40, where)
          break
        }
        const again = await openTrail({ path, signer, fs: hastyFileSystem, clock })
        ok(again.size >= told, `${where}: ${again.size} of ${told}`)
        await again.write(entriesFrom(Number(again.size), 1))
        await again.close()
        const sequences = (await collect(path)).map(({ entry }) => entry.sequence)
        deepStrictEqual(
          sequences,
          sequences.map((_, at) => at),
          where,
        )
        const verdict = await verifyTrail(path, { vkey: again.vkey })
        strictEqual(verdict.verdict, 'valid', `${where}: ${verdict.problem}`)
      }
    })
  }

  for (const [what, segmentBytes] of [
    ['the tail of a segment', 100_000],
    ['a segment that was just begun', 1],
  ] as const) {
    test(`while it is set right after a failure: ${what}`, async (t) => {
      for (let broken = 0; ; broken++) {
        const path = folderFor(t)
        let steps = Number.NEGATIVE_INFINITY
        let failedAt = ''
        const fs = faultyFileSystem({
          over: hastyFileSystem,
          separateSync: true,
          fail(step, _number, name) {
            // The sync of the second batch, and then one step of what follows.
            if (steps === Number.NEGATIVE_INFINITY && armed && step === 'sync' && name.endsWith('.jsonl')) {
              // A new segment is synced when it is made, too.
              if (segmentBytes === 1 && !made.has(name)) {
                made.add(name)
                return undefined
              }
              steps = 0
              return 'EIO'
            }
            if (steps++ !== broken) return undefined
            failedAt = `${step} ${name.replace(path, '')}`
            return 'EIO'
          },
        })
        let armed = false
        const made = new Set<string>()
        const clock = handClock()
        const trail = await openTrail({ path, signer, segmentBytes, fs, clock })
        await trail.write(entriesFrom(0, 2))
        armed = true
        await refused(() => trail.write(entriesFrom(2, 2)), 'PROVIDER_UNAVAILABLE', /EIO/)
        const attempts = await writeUntilAccepted(trail, entriesFrom(2, 2), () => clock.pass(20_000))
        await writeUntilAccepted(trail, entriesFrom(4, 2), () => clock.pass(20_000))
        await trail.close().catch(retryable)
        const where = `step ${broken}: ${failedAt}`
        deepStrictEqual(
          (await collect(path)).map(({ entry }) => entry.sequence),
          [0, 1, 2, 3, 4, 5],
          where,
        )
        strictEqual((await verifyTrail(path)).verdict, 'valid', where)
        if (failedAt === '') {
          ok(broken > 10, where)
          strictEqual(attempts, 1)
          break
        }
      }
    })
  }

  /** Resolves to how many entries were acknowledged. */
  async function scenario(
    path: string,
    given: { readonly fs: FileSystem; readonly clock: HandClock },
  ): Promise<bigint> {
    const trail = await openTrail({ path, signer, segmentBytes: 3000, ...given }).catch(retryable)
    if (trail === undefined) return 0n
    for (let next = 0; next < 12; next += 2) {
      await writeUntilAccepted(trail, entriesFrom(next, 2), () => given.clock.pass(20_000))
      if (next === 6) await trail.flush().catch(retryable)
    }
    const { size } = trail
    await trail.close().catch(retryable)
    return size
  }

  function retryable(error: unknown): undefined {
    ok(error instanceof KmsError, String(error))
  }
})

describe('a sync that fails', () => {
  test('is the last one of its file: what was acknowledged is copied into another', async (t) => {
    const path = folderFor(t)
    const clock = handClock()
    // Inode numbers are used again: a file is who was made under one last.
    const files = new Map<bigint, symbol>()
    const failed = new Set<symbol>()
    const repeated: string[] = []
    let failing = false
    const inodeOf = (name: string) => nodeFileSystem.status(name)?.inode ?? 0n
    const fs: FileSystem = {
      ...hastyFileSystem,
      async open(name, how, mode) {
        const file = await hastyFileSystem.open(name, how, mode)
        if (!name.includes('.jsonl')) return file
        if (how === 'create') files.set(inodeOf(name), Symbol(name))
        const self = files.get(inodeOf(name)) ?? Symbol(name)
        return {
          ...file,
          durable: false,
          async sync() {
            if (failed.has(self)) repeated.push(name)
            if (!failing) return
            failed.add(self)
            throw Object.assign(new Error('EIO'), { code: 'EIO' })
          },
        }
      },
    }
    const trail = await openTrail({ path, signer, fs, clock })
    for (let next = 0; next < 12; next += 2) {
      failing = next % 4 === 2
      const attempts = await writeUntilAccepted(trail, entriesFrom(next, 2), () => {
        clock.pass(20_000)
        failing = false
      })
      strictEqual(attempts > 1, next % 4 === 2)
    }
    ok(failed.size >= 3)
    await trail.close()
    deepStrictEqual(repeated, [])
    strictEqual((await collect(path)).length, 12)
    strictEqual((await verifyTrail(path)).verdict, 'valid')
  })

  test('the cut that it leads to is told by an entry', async (t) => {
    const faulty = faultyDisk()
    const trail = await openTrail({ path: folderFor(t), signer, fs: faulty.fs, clock: handClock() })
    const told: Notice[] = []
    trail.connect({
      async note(notice) {
        told.push(notice)
      },
    })
    await trail.write(entriesFrom(0, 1))
    faulty.fault = 'EIO after writing'
    await refused(() => trail.write(entriesFrom(1, 1)), 'PROVIDER_UNAVAILABLE', /EIO/)
    faulty.fault = 'none'
    await trail.write(entriesFrom(1, 1))
    await trail.close()
    strictEqual(told.length, 1)
    strictEqual(told[0]?.action, 'audit.recovered')
    ok((told[0].details.quarantinedBytes ?? 0) > 100)
    ok(readdirSync(join(trail.path, 'quarantine')).includes((told[0].details.file ?? '').slice('quarantine/'.length)))
  })
})
