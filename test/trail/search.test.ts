/** @node Searching: whatever is left out of reading, what is found is what reading everything would find. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { blocksOf, searchedBytes } from '../../src/trail/blocks.ts'
import { followTrail, openTrail, proveEntry, readTrail, type TrailFilter, verifyTrail } from '../../src/trail/index.ts'
import { listSegments } from '../../src/trail/layout.ts'
import { writeRanges } from '../../src/trail/ranges/measure.ts'
import { believedRanges, formatRanges, parseRanges, rangesPath } from '../../src/trail/ranges/ranges.ts'
import { createdAtIn, linesIn } from '../../src/trail/reading/entry-line.ts'
import { compressSegment } from '../../src/trail/retention/compress.ts'
import { collect, entriesFrom, entryAt, folderFor, hastyFileSystem, idAt, refused, signerOf } from './entries.ts'
import { type LaidTrail, layTrail } from './laid.ts'
import { connected } from './log.ts'

const fs = hastyFileSystem

/** Of all but the last segment, which grows. */
async function ranged({ layout }: LaidTrail, chunkBytes = 2000): Promise<void> {
  const segments = await listSegments(fs, layout)
  const size = segments.at(-1)?.first ?? 0n
  await writeRanges({ fs, layout, segments, size, known: new Set(), chunkBytes })
}

async function compress({ layout }: LaidTrail, which: (number: number) => boolean): Promise<void> {
  for (const [number, segment] of (await listSegments(fs, layout)).entries())
    if (which(number)) await compressSegment({ fs, layout, segment, check: () => {} })
}

/** What could be read, whatever is damaged besides. */
async function readable(path: string, filter: TrailFilter = {}) {
  const found: { readonly place: string; readonly entry: AuditEntry }[] = []
  try {
    for await (const { instance, index, entry } of readTrail(path, filter))
      found.push({ place: `${instance} ${index}`, entry })
  } catch (error) {
    ok(error instanceof KmsError && error.code === 'INTERNAL', String(error))
  }
  // Several instances are merged by what comes next of each, which a filter changes where ids do not grow.
  return found.sort((a, b) => (a.place < b.place ? -1 : 1))
}

describe('filters', () => {
  const path = folderFor({ after })
  const sizes = (plaintext: number, ciphertext: number) => ({ payloadSizes: { plaintext, ciphertext } })
  const odd: readonly AuditEntry[] = [
    entryAt(0, { keyType: 'ed25519', keyVersion: 1, context: { clientIp: '10.1.2.3' } }),
    entryAt(1, { action: 'kms.verify', valid: false, keyVersion: 12, context: { clientIp: '2001:db8::1' } }),
    entryAt(2, {
      action: 'kms.verify',
      valid: true,
      error: 'INVALID_CIPHERTEXT',
      context: { clientIp: '10.1.2.0/24' },
    }),
    entryAt(3, { origin: { service: 'secrets-manager' }, context: { clientIp: 'h:AAAA' } }),
    entryAt(4, { project: 'pay', region: 'nl-02', ...sizes(10, 99) }),
    entryAt(5, { ...sizes(1000, 1065), error: 'ACCESS_DENIED', outcome: 'failure', statusCode: 403 }),
    entryAt(6, { encryptionContext: { clientIp: '10.1.2.3', context: 'x', error: 'ACCESS_DENIED', valid: 'false' } }),
    entryAt(7, { context: { clientIp: '::ffff:10.9.9.9', userAgent: '"context":{"clientIp":"10.1.2.3"' } }),
    entryAt(8, { context: { clientIp: '10.1.2.4"\u202e' }, details: { destinationKey: secondKey(12) } }),
  ]
  function secondKey(keyVersion: number) {
    return { identity: 'kms-2', slug: 'second', keyType: 'aes128-gcm96', keyVersion }
  }
  before(() => layTrail(path).write(odd))
  const rows: readonly (readonly [TrailFilter, readonly number[]])[] = [
    [{ keyType: 'ed25519' }, [0]],
    [{ keyType: ['ed25519', 'aes128-gcm96'] }, [0]],
    [{ keyVersion: 12 }, [1]],
    [{ keyVersion: [1, 12] }, [0, 1]],
    [{ source: '10.0.0.0/8' }, [0, 2, 7]],
    [{ source: '10.1.2.3' }, [0]],
    [{ source: ['10.1.2.0/24', '2001:db8::/32'] }, [0, 1, 2]],
    [{ source: '10.1.2.0/25' }, [0]],
    [{ source: [] }, []],
    [{ error: 'ACCESS_DENIED' }, [5]],
    [{ error: ['ACCESS_DENIED', 'INVALID_CIPHERTEXT'] }, [2, 5]],
    [{ origin: 'secrets-manager' }, [3]],
    [{ project: 'pay' }, [4]],
    [{ region: 'nl-02', project: ['pay', 'billing'] }, [4]],
    [{ valid: false }, [1]],
    [{ valid: true }, [2]],
    [{ minSize: 1070 }, [0, 1, 2, 3, 6, 7, 8]],
    [{ minSize: { plaintext: 1001 } }, [0, 1, 2, 3, 6, 7, 8]],
    [{ minSize: 11, maxSize: 99 }, [4]],
    [{ maxSize: { plaintext: 10, ciphertext: 98 } }, []],
    [{ minSize: { encryptionContext: 21 }, maxSize: { encryptionContext: 21 } }, [0, 1, 2, 3, 6, 7, 8]],
    [{ maxSize: 21 }, [4]],
    [{ statusCode: [403, 404] }, [5]],
    [{ outcome: ['failure', 'pending'] }, [5]],
    [{ eventID: [odd[3]?.eventID ?? '', odd[1]?.eventID ?? ''] }, [1, 3]],
    [{ key: ['second', 'nothing'] }, [8]],
    [{ actor: Array.from({ length: 40 }, (_, at) => `sa-${at}`) }, []],
    [{ action: 'kms.*', error: 'ACCESS_DENIED' }, [5]],
  ]
  for (const [filter, expected] of rows)
    test(`${JSON.stringify(filter).slice(0, 90)} finds ${expected.length}`, async () => {
      deepStrictEqual(
        (await collect(path, filter)).map(({ index }) => Number(index)),
        expected,
      )
    })

  test('what a field cannot be is refused, and so is a day that does not exist', async () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [{ source: '10.0.0.1/8' }, /'source' must hold networks/],
      [{ source: 'localhost' }, /'source' must hold networks/],
      [{ valid: 'false' }, /'valid' must be true or false/],
      [{ minSize: -1 }, /'minSize' must be a whole number/],
      [{ minSize: null }, /'minSize' must be a whole number/],
      [{ maxSize: { plain: 1 } }, /names no payload 'plain'/],
      [{ maxSize: { plaintext: '1' } }, /'maxSize.plaintext' must be/],
      [{ keyVersion: '3' }, /'keyVersion' must be a whole number/],
      [{ actor: 7 }, /'actor' must be text/],
      [{ action: [null] }, /'action' must be text/],
      [{ from: '2026-02-30' }, /'from' is no date/],
      [{ to: '2026-02-30T00:00:00Z' }, /'to' is no date.*exists/],
      [{ from: '2026-01-31T12:00:00' }, /'from' is no date/],
      [{ from: new Date(Number.NaN) }, /'from' is no date/],
      [{ from: new Date(8.64e15) }, /'from' is no date/],
      [{ to: 1767225600000 }, /'to' is no date/],
      ['kms.export', /a filter is one object/],
      [null, /a filter is one object/],
    ]
    // As a caller without types could.
    for (const [filter, message] of wrong)
      await refused(() => collect(path, filter as TrailFilter), 'INVALID_INPUT', message)
  })
})

describe('a search finds what reading everything would', () => {
  const moment = fc.integer({ min: 0, max: 40 }).map((hours) => Date.UTC(2026, 0, 31, hours))
  const drawn = fc.record({
    moment,
    action: fc.constantFrom('kms.encrypt', 'kms.decrypt', 'kms.export'),
    actor: fc.constantFrom('alice', 'bob', 'al"ice', 'b'),
    isOdd: fc.integer({ min: 0, max: 30 }),
  })
  const batches = fc.array(
    fc.record({
      entries: fc.array(drawn, { minLength: 1, maxLength: 9 }),
      seals: fc.boolean(),
      instance: fc.constantFrom('a', 'b'),
    }),
    { minLength: 1, maxLength: 14 },
  )
  const fields = {
    action: fc.constantFrom('kms.export', 'kms.*', ['kms.decrypt', 'kms.export']),
    actor: fc.constantFrom<string | string[]>('alice', 'al"ice', ['bob', 'b']),
    from: moment.map((at) => new Date(at)),
    to: moment.map((at) => new Date(at)),
  }
  const eventID = fc.tuple(moment, fc.nat(60)).map(([at, sequence]) => idAt(at, sequence))
  const filters = fc.oneof(
    { weight: 4, arbitrary: fc.record(fields, { requiredKeys: [] }) },
    { weight: 1, arbitrary: fc.record({ ...fields, eventID }, { requiredKeys: ['eventID'] }) },
  )
  const damage = fc.option(fc.record({ at: fc.nat(), what: fc.constantFrom('byte', 'line', 'commit', 'twice', 'cut') }))

  function wants({ action, actor, from, to, eventID }: TrailFilter, entry: AuditEntry): boolean {
    const actions = action === undefined ? undefined : [action].flat()
    return (
      (actions?.some((one) => (one === 'kms.*' ? entry.action.startsWith('kms.') : entry.action === one)) ?? true) &&
      (actor === undefined || [actor].flat().includes(entry.actor?.id ?? '')) &&
      (!(from instanceof Date) || entry.createdAt >= from.toISOString()) &&
      (!(to instanceof Date) || entry.createdAt < to.toISOString()) &&
      (eventID === undefined || entry.eventID === eventID)
    )
  }

  function spoil(file: string, { at, what }: { readonly at: number; readonly what: string }): void {
    const text = readFileSync(file, 'latin1')
    const lines = text.split('\n')
    const line = at % Math.max(1, lines.length - 1)
    const commit = lines.findIndex((one, number) => number >= line && one.startsWith('{"commit"'))
    if (what === 'byte') lines[line] = `${lines[line]?.slice(0, at % 400)}\u0001${lines[line]?.slice((at % 400) + 1)}`
    else if (what === 'line') lines.splice(line, 1)
    else if (what === 'twice') lines.splice(line, 0, lines[line] ?? '')
    else if (what === 'commit') lines[commit] = `{"commit":${lines[commit]?.slice(20)}`
    const spoiled = lines.join('\n')
    writeFileSync(file, what === 'cut' ? text.slice(0, at % text.length) : spoiled, 'latin1')
  }

  test('on any trail: clocks that step, several instances, damage, compressed segments, with ranges or without', async (t) => {
    const path = folderFor(t)
    let run = 0
    let found = 0
    await fc.assert(
      fc.asyncProperty(
        batches,
        filters,
        damage,
        fc.boolean(),
        fc.nat(7),
        async (all, filter, spoiling, isRanged, packed) => {
          const trails = new Map(['a', 'b'].map((instance) => [instance, layTrail(join(path, `${run}`), { instance })]))
          let sequence = 0
          for (const { entries, seals, instance } of all) {
            const trail = trails.get(instance)
            trail?.write(
              entries.map(({ moment: at, action, actor, isOdd }) => {
                const eventID = isOdd === 0 ? 'odd' : idAt(at, sequence)
                const createdAt = isOdd === 1 ? 'odd' : new Date(at).toISOString()
                return entryAt(sequence++, { eventID, createdAt, action, actor: { type: 'user', id: actor } })
              }),
            )
            if (seals) trail?.seal()
          }
          const files = [...trails.values()].flatMap(({ segments }) => segments.map((segment) => segment.path))
          const file = files[(spoiling?.at ?? 0) % files.length]
          if (spoiling !== null && file !== undefined) spoil(file, spoiling)
          for (const trail of trails.values()) {
            if (isRanged) await ranged(trail, 1500)
            const last = trail.segments.length - 1
            await compress(trail, (number) => number < last && (packed & (1 << (number % 3))) > 0)
          }
          const everything = await readable(join(path, `${run}`))
          const wanted = everything.filter(({ entry }) => wants(filter, entry))
          deepStrictEqual(await readable(join(path, `${run}`), filter), wanted)
          found += wanted.length
          rmSync(join(path, `${run++}`), { recursive: true })
        },
      ),
      { numRuns: 120 },
    )
    ok(found > 40, String(found))
  })

  test('also behind commit lines that are none', async (t) => {
    const trail = layTrail(folderFor(t))
    for (let batch = 0; batch < 4; batch++) trail.write(entriesFrom(5 * batch, 5, { action: `kms.a${batch}` }))
    const path = trail.segments[0]?.path ?? ''
    const text = readFileSync(path, 'utf8').split('\n')
    for (const [number, line] of [5, 11].entries()) text[line] = `{"commit":x${number}`
    writeFileSync(path, text.join('\n'))
    const everything = await readable(trail.path)
    strictEqual(everything.length, 20)
    for (const action of ['kms.a0', 'kms.a1', 'kms.a2', 'kms.a3'])
      deepStrictEqual(
        await readable(trail.path, { action }),
        everything.filter(({ entry }) => entry.action === action),
      )
  })

  test('over blocks and chunks: many batches in one file, small and large', async (t) => {
    const trail = layTrail(folderFor(t))
    const sizes = [1, 400, 2, 3000, 1, 1, 900, 50]
    let sequence = 0
    for (const size of sizes) {
      trail.write(
        Array.from({ length: size }, () => entryAt(sequence++, sequence % 997 === 0 ? { action: 'kms.export' } : {})),
      )
      if (size === 3000) trail.seal()
    }
    await ranged(trail, 100_000)
    const all = await collect(trail.path)
    strictEqual(all.length, sequence)
    for (const filter of [
      { action: 'kms.export' },
      { from: all[1200]?.entry.createdAt ?? '', to: all[1300]?.entry.createdAt ?? '' },
      { from: all[350]?.entry.createdAt ?? '', action: 'kms.export' },
      { eventID: all[3402]?.entry.eventID ?? '' },
      { eventID: all[0]?.entry.eventID ?? '' },
    ] satisfies TrailFilter[])
      deepStrictEqual(
        await collect(trail.path, filter),
        all.filter(({ entry }) =>
          wants(
            {
              ...filter,
              ...(filter.from && { from: new Date(filter.from) }),
              ...('to' in filter && { to: new Date(filter.to ?? '') }),
            },
            entry,
          ),
        ),
        JSON.stringify(filter),
      )
  })
})

describe('what a search reads', () => {
  test('blocks grow in a large file, and are the file all the same', async (t) => {
    const path = join(folderFor(t), 'large.jsonl')
    const text = Array.from({ length: 60_000 }, (_, at) => `${at} ${'é'.repeat(at % 60)}\n`).join('')
    writeFileSync(path, text)
    for (const [most, atLeast, atMost] of [
      [undefined, 200_000, 262_144],
      [searchedBytes, 1_000_000, 1_048_576],
    ] as const) {
      const blocks: string[] = []
      for await (const { bytes, start, end, whole } of blocksOf(fs, path, most)) {
        ok(whole)
        blocks.push(bytes.toString('utf8', start, end))
      }
      const longest = Math.max(...blocks.map((block) => Buffer.byteLength(block)))
      ok(longest > atLeast && longest <= atMost, String(longest))
      strictEqual(blocks.join(''), text)
    }
  })

  test('a time is told of the line alone, with an operationID before it or without', () => {
    const told = [entryAt(0), entryAt(1, { operationID: idAt(0, 7) })]
    const block = Buffer.from([...told.map(lineOf), '{"schema":"keytrail/1"}', lineOf(entryAt(2)), ''].join('\n'))
    const moments = [...linesIn({ bytes: block, start: 0, end: block.length, whole: true, read: 0 })].map((line) =>
      createdAtIn(block, line),
    )
    deepStrictEqual(moments, [told[0]?.createdAt, told[1]?.createdAt, undefined, entryAt(2).createdAt])
  })
})

describe('ranges', () => {
  const lines = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)

  /** Three finished segments and a last one, ten entries each, in two batches. */
  async function sealed(t: Parameters<typeof folderFor>[0]): Promise<LaidTrail> {
    const trail = layTrail(folderFor(t))
    for (let segment = 0; segment < 4; segment++) {
      trail.write(entriesFrom(10 * segment, 5))
      trail.write(entriesFrom(10 * segment + 5, 5))
      if (segment < 3) trail.seal()
    }
    await ranged(trail)
    return trail
  }

  const sequences = async (trail: LaidTrail, filter: TrailFilter) =>
    (await collect(trail.path, filter)).map(({ entry }) => entry.sequence)
  const second = { from: entryAt(12).createdAt, to: entryAt(14).createdAt }
  const rangesOf = ({ layout }: LaidTrail, first: number) => rangesPath(layout, BigInt(first))

  /** As many bytes as before, so that only who reads them notices. */
  function garble(trail: LaidTrail, segment: number): void {
    const path = trail.segments[segment]?.path ?? ''
    writeFileSync(path, readFileSync(path, 'utf8').replace('{"schema":', 'x"schema":'))
  }

  test('stand beside each finished segment, and tell no more than it does', async (t) => {
    const trail = await sealed(t)
    deepStrictEqual(readdirSync(join(trail.layout.folder, 'ranges')).length, 3)
    const ranges = parseRanges(readFileSync(rangesOf(trail, 10)))
    ok(ranges)
    deepStrictEqual([ranges.first, ranges.size, ranges.chunks.length], [10n, 20n, 2])
    deepStrictEqual(ranges.createdAt, [entryAt(10).createdAt, entryAt(19).createdAt])
    deepStrictEqual(ranges.chunks[1]?.eventID, [entryAt(15).eventID, entryAt(19).eventID])
    deepStrictEqual(formatRanges(ranges), new Uint8Array(readFileSync(rangesOf(trail, 10))))
    strictEqual((await verifyTrail(trail.path)).verdict, 'valid')
  })

  test('their ends belong to them, and an entry that no range can tell is found whatever is asked', async (t) => {
    const trail = await sealed(t)
    deepStrictEqual(await sequences(trail, { from: entryAt(19).createdAt, to: entryAt(20).createdAt }), [19])
    deepStrictEqual(await sequences(trail, { from: entryAt(10).createdAt, to: entryAt(11).createdAt }), [10])
    deepStrictEqual(await sequences(trail, { eventID: [entryAt(10).eventID, entryAt(19).eventID] }), [10, 19])
    const odd = layTrail(folderFor(t))
    odd.write([entryAt(0), entryAt(1, { createdAt: 'whenever' }), entryAt(2), entryAt(3, { eventID: 'whichever' })])
    odd.seal()
    odd.write([entryAt(4)])
    await ranged(odd)
    deepStrictEqual(await sequences(odd, { from: '2030-01-01' }), [1])
    deepStrictEqual(await sequences(odd, { eventID: 'whichever' }), [3])
    strictEqual((await verifyTrail(odd.path)).verdict, 'valid')
  })

  test('of a compressed segment they are believed only where the next one begins', async (t) => {
    const trail = await sealed(t)
    await compress(trail, (number) => number === 1)
    const moved = readFileSync(rangesOf(trail, 10), 'utf8').replaceAll('12:00:1', '13:00:1')
    writeFileSync(rangesOf(trail, 10), moved.replaceAll('"size":"20"', '"size":"21"'))
    deepStrictEqual(await sequences(trail, second), [12, 13])
  })

  test('what they leave out is not read', async (t) => {
    const trail = await sealed(t)
    garble(trail, 0)
    garble(trail, 2)
    deepStrictEqual(await sequences(trail, second), [12, 13])
    deepStrictEqual(await sequences(trail, { eventID: entryAt(17).eventID }), [17])
    await refused(() => collect(trail.path), 'INTERNAL', /damaged lines in the trail: 2/)
    await refused(() => collect(trail.path, { to: entryAt(3).createdAt }), 'INTERNAL', /damaged lines in the trail: 1/)
  })

  test('those that are gone, malformed, or of other entries only cost time', async (t) => {
    const spoilt: readonly ((trail: LaidTrail) => void)[] = [
      (trail) => rmSync(rangesOf(trail, 10)),
      (trail) => writeFileSync(rangesOf(trail, 10), ''),
      (trail) => writeFileSync(rangesOf(trail, 10), readFileSync(rangesOf(trail, 0))),
      (trail) =>
        writeFileSync(
          rangesOf(trail, 10),
          readFileSync(rangesOf(trail, 10), 'utf8')
            .replaceAll('12:00:1', '13:00:1')
            .replace('"root":"', '"root":"AAAA')
            .replace(/AAAA(.{4})/, 'AAAA'),
        ),
      (trail) =>
        writeFileSync(
          rangesOf(trail, 10),
          readFileSync(rangesOf(trail, 10), 'utf8')
            .replaceAll('12:00:1', '13:00:1')
            .replaceAll('"size":"20"', '"size":"21"'),
        ),
      (trail) =>
        writeFileSync(
          rangesOf(trail, 10),
          readFileSync(rangesOf(trail, 10), 'utf8').replaceAll('12:00:1', '13:00:1').slice(0, -1),
        ),
      (trail) =>
        writeFileSync(
          rangesOf(trail, 10),
          lines(rangesOf(trail, 10))
            .slice(0, -1)
            .map((line) => `${line.replaceAll('12:00:1', '13:00:1')}\n`)
            .join(''),
        ),
    ]
    for (const [number, spoil] of spoilt.entries()) {
      const trail = await sealed(t)
      spoil(trail)
      deepStrictEqual(await sequences(trail, second), [12, 13], `case ${number}`)
      strictEqual((await verifyTrail(trail.path)).verdict, 'valid', `case ${number}`)
      await ranged(trail)
      ok(await believedRanges(fs, trail.layout, { segment: trail.segments[1] ?? never(), end: 20n }), `case ${number}`)
    }
  })

  function never(): never {
    throw new Error('there are four segments')
  }

  test('of an older copy of the same segment they are not believed, though it has as many bytes and entries', async (t) => {
    const trail = await sealed(t)
    const other = layTrail(folderFor(t))
    for (let segment = 0; segment < 4; segment++) {
      other.write(entriesFrom(10 * segment, 5, { salt: 'B'.repeat(22) }))
      other.write(entriesFrom(10 * segment + 5, 5, { createdAt: entryAt(99).createdAt }))
      if (segment < 3) other.seal()
    }
    await ranged(other)
    for (const first of [0, 10, 20]) writeFileSync(rangesOf(other, first), readFileSync(rangesOf(trail, first)))
    deepStrictEqual(await sequences(other, { from: entryAt(99).createdAt, limit: 2 }), [5, 6])
  })

  test('wrong ones that would be believed are told by verifying: they hide entries', async (t) => {
    const trail = await sealed(t)
    const wrong: readonly (readonly [string, string])[] = [
      ['"createdAt":["2026-01-31T12:00:10', '"createdAt":["2026-01-31T12:00:13'],
      [entryAt(14).createdAt, entryAt(13).createdAt],
      [entryAt(15).eventID, entryAt(16).eventID],
      [entryAt(19).eventID, entryAt(18).eventID],
    ]
    const good = readFileSync(rangesOf(trail, 10), 'utf8')
    for (const [from, to] of wrong) {
      ok(good.includes(from))
      writeFileSync(rangesOf(trail, 10), good.replaceAll(from, to))
      const { verdict, problem, segment, index } = await verifyTrail(trail.path)
      deepStrictEqual([verdict, segment, index], ['tampered', trail.segments[1]?.name, 10n])
      match(problem ?? '', /ranges\/00000000000000000010\.jsonl leave out times or ids: .* remove the file/)
    }
    const bytes = /"bytes":(\d+),"size":"15"/.exec(good)?.[1] ?? ''
    writeFileSync(
      rangesOf(trail, 10),
      good.replace(`"bytes":${bytes},"size":"15"`, `"bytes":${Number(bytes) + 1},"size":"15"`),
    )
    match((await verifyTrail(trail.path)).problem ?? '', /name other batches/)
    rmSync(rangesOf(trail, 10))
    strictEqual((await verifyTrail(trail.path)).verdict, 'valid')
    // Wider than need be, nothing is hidden.
    writeFileSync(rangesOf(trail, 10), good.replaceAll(entryAt(19).createdAt, entryAt(30).createdAt))
    strictEqual((await verifyTrail(trail.path)).verdict, 'valid')
  })

  test('a clock that steps hides nothing: a range tells the lowest and the highest, not the first and the last', async (t) => {
    const trail = layTrail(folderFor(t))
    trail.write([entryAt(0), entryAt(1, { createdAt: '2031-01-01T00:00:00.000Z' }), entryAt(2)])
    trail.seal()
    trail.write([entryAt(3), entryAt(4, { eventID: idAt(0, 4), createdAt: '1970-01-01T00:00:00.000Z' }), entryAt(5)])
    trail.seal()
    trail.write([entryAt(6)])
    await ranged(trail)
    deepStrictEqual(await sequences(trail, { from: '2030-01-01' }), [1])
    deepStrictEqual(await sequences(trail, { to: '2000-01-01' }), [4])
    deepStrictEqual(await sequences(trail, { eventID: idAt(0, 4) }), [4])
    strictEqual((await proveEntry(trail.path, idAt(0, 4))).index, 4n)
  })

  test('an entry is proven without reading other segments, compressed ones included', async (t) => {
    const trail = await sealed(t)
    await compress(trail, (number) => number === 1)
    for (const sequence of [3, 12, 19, 20, 29, 35])
      strictEqual((await proveEntry(trail.path, entryAt(sequence).eventID)).index, BigInt(sequence))
    await refused(() => proveEntry(trail.path, idAt(0, 1)), 'INVALID_INPUT', /there is no entry/)
    deepStrictEqual(await sequences(trail, second), [12, 13])
    strictEqual((await verifyTrail(trail.path)).verdict, 'valid')
  })

  test('a follower seeks its beginning, and then misses nothing', async (t) => {
    const trail = await sealed(t)
    garble(trail, 0)
    const following = followTrail(trail.path, { from: entryAt(27).createdAt }, { everyMs: 1 })
    const seen: number[] = []
    for await (const { entry } of following) {
      seen.push(entry.sequence)
      if (entry.sequence === 39) {
        trail.seal()
        trail.write(entriesFrom(40, 2))
        await ranged(trail)
      }
      if (entry.sequence === 41) break
    }
    deepStrictEqual(
      seen,
      Array.from({ length: 15 }, (_, at) => 27 + at),
    )
  })

  test('the writer leaves them behind each seal, makes those that are missing when it opens, and drops them with what is pruned', async (t) => {
    const path = folderFor(t)
    const open = () => openTrail({ path, signer: signerOf(7), fs, segmentBytes: 20_000 })
    const trail = await open()
    for (let at = 0; at < 200; at += 20) await trail.write(entriesFrom(at, 20))
    await trail.close()
    const folder = join(trail.path, 'ranges')
    const names = () => readdirSync(folder).sort()
    const finished = readdirSync(join(trail.path, 'segments')).sort().slice(0, -1)
    ok(finished.length >= 3)
    deepStrictEqual(names(), finished)
    rmSync(folder, { recursive: true })
    await (await open()).close()
    deepStrictEqual(names(), finished)
    writeFileSync(join(folder, finished[0] ?? ''), 'x')
    const pruned = connected(await open())
    await pruned.prune({ olderThan: '30d' })
    await pruned.close()
    ok(!existsSync(join(folder, finished[0] ?? '')))
    deepStrictEqual(names(), readdirSync(join(trail.path, 'segments')).sort().slice(0, -1))
    strictEqual((await verifyTrail(path)).verdict, 'valid')
  })

  test('no bytes break their reader', () => {
    const piece = fc.constantFrom(
      '\n',
      '{"ranges":"keytrail-ranges/1","first":"0","size":"1","bytes":9',
      ',"root":"',
      'A'.repeat(43),
      '=',
      '"}',
      '{"bytes":9,"size":"1"}',
      'null',
      '[]',
      '"createdAt":["b","a"]',
      '\u00ff',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const ranges = parseRanges(Buffer.from(pieces.join(''), 'latin1'))
        ok(ranges === undefined || (ranges.size === 1n && ranges.bytes === 9))
      }),
    )
    const good = `{"ranges":"keytrail-ranges/1","first":"0","size":"1","bytes":9,"root":"${'A'.repeat(43)}="}\n{"bytes":9,"size":"1"}\n`
    strictEqual(parseRanges(Buffer.from(good))?.chunks.length, 1)
    for (const wrong of [
      '"createdAt":["2026-01-31T12:00:00.001Z","2026-01-31T12:00:00.000Z"]',
      '"eventID":["a","b"]',
      '"createdAt":"x"',
    ])
      strictEqual(parseRanges(Buffer.from(good.replace('"}\n{"b', `",${wrong}}\n{"b`))), undefined)
  })
})
