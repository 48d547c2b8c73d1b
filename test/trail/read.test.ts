/** @node Reading: filters, several instances, a writer at work, and text that wants to break a line. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { AuditEntry } from '../../src/model/entry.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { blocksOf, maxLine } from '../../src/trail/blocks.ts'
import { openTrail, readTrail, type TrailFilter, verifyTrail } from '../../src/trail/index.ts'
import { noShared, sharedJson } from '../shared.ts'
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
import { layTrail } from './laid.ts'

const signer = signerOf(7)
const fs = hastyFileSystem

async function write(path: string, entries: readonly AuditEntry[], instance = 'main'): Promise<void> {
  const trail = await openTrail({ path, signer, fs, instance, segmentBytes: 20_000 })
  for (let at = 0; at < entries.length; at += 7) await trail.write(entries.slice(at, at + 7))
  await trail.close()
}

describe('filters', () => {
  const path = folderFor({ after })
  const reEncrypted = { identity: 'kms-second', slug: 'archive', keyType: 'aes256-gcm96', keyVersion: 1 }
  const odd: AuditEntry[] = [
    entryAt(0),
    entryAt(1, { action: 'kms.decrypt', outcome: 'failure', statusCode: 400, error: 'INVALID_CIPHERTEXT' }),
    entryAt(2, { action: 'kms.rotate', phase: 'intent', outcome: 'pending', operationID: 'op-1' }),
    entryAt(3, { action: 'kms.rotate', operationID: 'op-1', actor: { type: 'user', id: 'alice' } }),
    entryAt(4, { action: 'kms.rotate.scheduled', actor: { type: 'system', id: 'al"ice\u202e' } }),
    entryAt(5, { action: 'kms_key.create', resourceIdentity: 'kms-other', keySlug: 'payments' }),
    entryAt(6, { action: 'kms.re_encrypt', details: { destinationKey: reEncrypted } }),
    entryAt(7, { resourceType: 'secret', resourceIdentity: 'payments', keySlug: 'vault', action: 'secret.read' }),
    entryAt(8, { encryptionContext: { action: 'kms.export', id: 'alice', outcome: 'failure', phase: 'intent' } }),
    entryAt(9, { context: { userAgent: '"eventID":"op-1","action":"kms.export","id":"alice"' } }),
  ]
  before(() => write(path, odd))

  const rows: readonly (readonly [TrailFilter, readonly number[]])[] = [
    [{}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [{ action: 'kms.decrypt' }, [1]],
    [{ action: 'kms.rotate' }, [2, 3]],
    [{ action: 'kms.rotate*' }, [2, 3, 4]],
    [{ action: 'kms.*' }, [0, 1, 2, 3, 4, 6, 8, 9]],
    [{ action: ['kms_key.*', 'kms.decrypt'] }, [1, 5]],
    [{ action: '*' }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [{ action: [] }, []],
    [{ action: 'kms.export' }, []],
    [{ key: 'kms-other' }, [5]],
    [{ key: 'payments' }, [5]],
    [{ key: 'archive' }, [6]],
    [{ key: 'kms-second' }, [6]],
    [{ actor: 'alice' }, [3]],
    [{ actor: 'al"ice\u202e' }, [4]],
    [{ actor: 'ali' }, []],
    [{ outcome: 'failure' }, [1]],
    [{ outcome: 'pending' }, [2]],
    [{ statusCode: 400 }, [1]],
    [{ statusCode: 40 }, []],
    [{ phase: 'intent' }, [2]],
    [{ operationID: 'op-1' }, [2, 3]],
    [{ operationID: 'op-1', phase: 'result' }, [3]],
    [{ eventID: entryAt(5).eventID }, [5]],
    [{ eventID: 'op-1' }, []],
    [{ from: '2026-01-31T12:00:07Z' }, [7, 8, 9]],
    [{ to: '2026-01-31T12:00:02.000Z' }, [0, 1]],
    [{ from: new Date(Date.UTC(2026, 0, 31, 12, 0, 3)), to: '2026-01-31T13:00:05+01:00' }, [3, 4]],
    [{ limit: 3 }, [0, 1, 2]],
    [{ limit: 0 }, []],
    [{ action: 'kms.*', actor: 'sa-orders', limit: 2 }, [0, 1]],
  ]
  for (const [filter, expected] of rows) {
    test(`${JSON.stringify(filter)} finds ${expected.length}`, async () => {
      deepStrictEqual(
        (await collect(path, filter)).map(({ index, entry }) => [index, entry]),
        expected.map((at) => [BigInt(at), odd[at]]),
      )
    })
  }

  test('what is no filter is refused, rather than ignored', async () => {
    const wrong = { acton: 'kms.export' } as TrailFilter
    await refused(() => collect(path, wrong), 'INVALID_INPUT', /no filter 'acton'/)
    await refused(() => collect(path, { action: 'kms.*.x' }), 'INVALID_INPUT', /only at the end/)
    await refused(() => collect(path, { from: 'yesterday' }), 'INVALID_INPUT', /'from' is no date/)
    await refused(() => collect(path, { limit: -1 }), 'INVALID_INPUT', /limit/)
    await refused(() => collect(join(path, 'nowhere')), 'INVALID_INPUT', /no trail/)
    await refused(() => collect(''), 'INVALID_INPUT', /path/)
  })
})

describe('several instances', () => {
  test('are merged in the order of their event ids, each in its own order', async (t) => {
    const path = folderFor(t)
    const entries = entriesFrom(0, 90)
    for (const [at, instance] of ['a', 'b', 'c'].entries()) {
      const own = entries.filter((_, number) => number % 3 === at)
      await write(path, own, instance)
    }
    const found = await collect(path)
    deepStrictEqual(
      found.map(({ entry }) => entry),
      entries,
    )
    deepStrictEqual(
      found.slice(0, 6).map(({ instance, index }) => `${instance}${index}`),
      ['a0', 'b0', 'c0', 'a1', 'b1', 'c1'],
    )
    strictEqual((await collect(join(path, 'b'))).length, 30)
    strictEqual((await collect(path, { limit: 4 })).length, 4)
  })
})

describe('what time tells', () => {
  test('entries are found by their own time, wherever a clock that stepped has put them', async (t) => {
    const trail = layTrail(folderFor(t))
    const at = (sequence: number, createdAt: string) => entryAt(sequence, { createdAt })
    trail.write([
      at(0, '2026-02-01T00:00:00.000Z'),
      at(1, '2031-01-01T00:00:00.000Z'),
      at(2, '2026-02-02T00:00:00.000Z'),
    ])
    trail.seal()
    trail.write([at(3, '2019-06-01T00:00:00.000Z'), at(4, '2026-02-03T00:00:00.000Z')])
    trail.seal()
    trail.write([at(5, '2026-02-04T00:00:00.000Z')])
    const found = async (filter: TrailFilter) => (await collect(trail.path, filter)).map(({ index }) => Number(index))
    deepStrictEqual(await found({ from: '2030-01-01' }), [1])
    deepStrictEqual(await found({ to: '2020-01-01' }), [3])
    deepStrictEqual(await found({ from: '2026-02-02', to: '2026-02-04' }), [2, 4])
    deepStrictEqual(await found({ from: '2026-02-04T00:00:00.000Z', action: 'kms.*' }), [1, 5])
  })

  test('the test on the bytes never loses an entry that the test on the entry wants', async (t) => {
    const path = folderFor(t)
    const moment = fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true })
    const hostile = fc.constantFrom(
      '2025-01-01T00:00:00.000Z',
      ',"createdAt":"2025-01-01T00:00:00.000Z"',
      '"createdAt":"',
      'x',
    )
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(moment, hostile), { maxLength: 8 }),
        moment,
        moment,
        async (told, from, to) => {
          const entries = told.map(([date, text], at) => {
            const createdAt = date.toISOString()
            return entryAt(at, {
              createdAt,
              resourceIdentity: text,
              operationID: text,
              encryptionContext: { a: text, createdAt: text },
            })
          })
          const trail = layTrail(join(path, String(run++)))
          trail.write([entryAt(99), ...entries])
          const wanted = entries.filter(
            ({ createdAt }) => createdAt >= from.toISOString() && createdAt < to.toISOString(),
          )
          deepStrictEqual(
            (await collect(trail.path, { from, to, key: 'orders' }))
              .map(({ entry }) => entry)
              .filter(({ sequence }) => sequence < 99),
            wanted,
          )
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a pruned trail', () => {
  test('is read from its first entry on, which keeps its index', async (t) => {
    const trail = layTrail(folderFor(t))
    for (let segment = 0; segment < 3; segment++) {
      trail.write(entriesFrom(segment * 4, 4))
      trail.seal()
    }
    for (const { path } of trail.segments.slice(0, 2)) rmSync(path)
    const found = await collect(trail.path)
    deepStrictEqual(
      found.map(({ index, entry, covered }) => [index, entry.sequence, covered]),
      [8, 9, 10, 11].map((at) => [BigInt(at), at, true]),
    )
  })

  test('while it is pruned a reader goes on behind what is gone', async (t) => {
    const trail = layTrail(folderFor(t))
    for (let segment = 0; segment < 5; segment++) {
      trail.write(entriesFrom(segment * 4, 4))
      trail.seal()
    }
    const seen: number[] = []
    for await (const { index } of readTrail(trail.path)) {
      seen.push(Number(index))
      if (index === 1n) for (const { path } of trail.segments.slice(0, 3)) rmSync(path)
    }
    deepStrictEqual(seen, [0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 18, 19])
  })

  test('a name without a file behind it is an error, not a wait', async (t) => {
    const trail = layTrail(folderFor(t))
    trail.write(entriesFrom(0, 2))
    trail.seal()
    symlinkSync('nowhere', join(trail.layout.segments, '00000000000000000002.jsonl'))
    await refused(() => collect(trail.path), 'PROVIDER_UNAVAILABLE', /ENOENT/)
  })
})

describe('a writer at work', () => {
  test('readers see whole batches only, and know which are published', async (t) => {
    const path = folderFor(t)
    const clock = handClock()
    const trail = await openTrail({ path, signer, fs, clock, segmentBytes: 10_000 })
    for (let batch = 0; batch < 20; batch++) {
      await trail.write(entriesFrom(batch * 3, 3))
      if (batch === 9) await trail.flush()
      const found = await collect(path)
      strictEqual(found.length, batch * 3 + 3)
    }
    const covered = (await collect(path)).filter((one) => one.covered).length
    ok(covered >= 30 && covered < 60, String(covered))
    await trail.close()
    strictEqual((await collect(path)).filter((one) => one.covered).length, 60)
  })

  test('reading and verifying beside a busy writer never sees anything torn', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer, segmentBytes: 20_000 })
    await trail.write(entriesFrom(0, 1))
    let busy = true
    const writing = (async () => {
      // Bounded: what is written during a look makes the next one longer.
      for (let next = 1; busy && next < 10_000; next += 5) await trail.write(entriesFrom(next, 5))
    })()
    try {
      for (let look = 0; look < 25; look++) {
        const found = await collect(path)
        deepStrictEqual(
          found.map(({ entry }) => entry.sequence),
          found.map((_, at) => at),
        )
        strictEqual(found.length % 5, 1)
        const verdict = await verifyTrail(path, { vkey: trail.vkey })
        strictEqual(verdict.verdict, 'valid', verdict.problem)
      }
    } finally {
      busy = false
      await writing
      await trail.close()
    }
  })

  test('leaving early closes the files', async (t) => {
    const path = folderFor(t)
    await write(path, entriesFrom(0, 50))
    let open = 0
    const counting: typeof nodeFileSystem = {
      ...nodeFileSystem,
      async open(name, how, mode) {
        const file = await nodeFileSystem.open(name, how, mode)
        open++
        return {
          ...file,
          async close() {
            open--
            await file.close()
          },
        }
      },
    }
    for await (const { whole } of blocksOf(counting, join(path, 'main', 'segments', '00000000000000000000.jsonl'))) {
      strictEqual(open, 1)
      if (whole) break
    }
    strictEqual(open, 0)
    for await (const { index } of readTrail(path)) if (index === 3n) break
  })
})

describe('damage', () => {
  test('the rest is read, and at the end the reader hears of it', async (t) => {
    const path = folderFor(t)
    await write(path, entriesFrom(0, 14))
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    const bytes = Buffer.from(segment.bytes)
    bytes[bytes.indexOf('\n') + 1] = 0x5b
    writeFileSync(segment.path, bytes)
    const seen: number[] = []
    await refused(
      async () => {
        for await (const { entry } of readTrail(path)) seen.push(entry.sequence)
      },
      'INTERNAL',
      /damaged lines in the trail: 1/,
    )
    deepStrictEqual(seen, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
  })

  test('a line without end, however long, costs no memory and is no line', async (t) => {
    const path = folderFor(t)
    await write(path, entriesFrom(0, 3))
    const file = join(path, 'main', 'segments', '00000000000000000000.jsonl')
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(5 * maxLine, 'x'), Buffer.from('\n')]))
    strictEqual((await collect(path)).length, 3)
    const verdict = await verifyTrail(path)
    deepStrictEqual([verdict.verdict, verdict.unsignedTail?.bytes], ['valid', 5 * maxLine + 1])
    for await (const { start, end } of blocksOf(nodeFileSystem, file)) ok(end - start <= 2 * maxLine)
  })

  test('no bytes break reader or verifier', async (t) => {
    const path = folderFor(t)
    await write(path, entriesFrom(0, 3))
    const file = join(path, 'main', 'segments', '00000000000000000000.jsonl')
    const good = readFileSync(file).toString('latin1')
    const commit = good.slice(good.indexOf('{"commit"'))
    const piece = fc.oneof(
      fc.constantFrom('\n', commit, commit.slice(0, 60), good, '{"commit":', '{}', 'null', '[]', '"', '{"schema":1}'),
      fc.string({ unit: 'binary' }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        writeFileSync(file, Buffer.from(pieces.join(''), 'latin1'))
        const found = await collect(path).catch((error) => error.code)
        ok(Array.isArray(found) || found === 'INTERNAL')
        const { verdict } = await verifyTrail(path)
        ok(verdict === 'valid' ? pieces.join('').startsWith(good) : verdict === 'tampered')
      }),
      { numRuns: 300 },
    )
  })
})

describe('hostile text', () => {
  test('goes through the trail unchanged, one line each', { skip: noShared }, async (t) => {
    const texts: string[] = []
    const gather = (value: unknown): void => {
      if (typeof value === 'string') texts.push(value)
      else if (typeof value === 'object' && value !== null) Object.values(value).forEach(gather)
    }
    gather(sharedJson('vectors/hostile.json'))
    ok(texts.length > 50)
    const entries = texts.map((text, at) =>
      entryAt(at, {
        resourceIdentity: text,
        actor: { type: 'user', id: text, name: text },
        context: { userAgent: text, route: text },
        encryptionContext: { [text]: text },
      }),
    )
    const path = folderFor(t)
    await write(path, entries)
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => JSON.stringify(entry)),
      entries.map((entry) => JSON.stringify(entry)),
    )
    strictEqual((await verifyTrail(path)).size, BigInt(entries.length))
    for (const [at, text] of texts.entries()) {
      const found = await collect(path, { actor: text })
      ok(
        found.some(({ index }) => index === BigInt(at)),
        JSON.stringify(text),
      )
    }
    const raw = Buffer.concat(segmentsIn(join(path, 'main')).map(({ bytes }) => bytes)).toString('utf8')
    ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/.test(raw))
  })
})
