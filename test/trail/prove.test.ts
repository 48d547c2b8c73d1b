/** @node Receipts: made from a trail, checked without it. */
import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { engine } from '#engine'
import { concat, toBase64, u64be, utf8 } from '../../src/crypto/bytes.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail } from '../../src/trail/index.ts'
import { layoutOf } from '../../src/trail/layout.ts'
import { formatVkey } from '../../src/trail/note.ts'
import { checkProof, type EntryProof, proveEntry } from '../../src/trail/receipts/prove.ts'
import { formatTlogProof, parseTlogProof } from '../../src/trail/receipts/tlog-proof.ts'
import { formatArchiveHeader } from '../../src/trail/retention/archive.ts'
import { writeTiles } from '../../src/trail/tree/tiles.ts'
import { noShared, sharedJson } from '../shared.ts'
import {
  entriesFrom,
  entryAt,
  folderFor,
  handClock,
  hastyFileSystem,
  refused,
  segmentsIn,
  signerOf,
} from './entries.ts'
import { connected } from './log.ts'

const fs = hastyFileSystem
const unknownID = '01999999-0000-7000-8000-000000000000'

interface Rig {
  readonly path: string
  readonly trail: Trail
  readonly entries: readonly AuditEntry[]
}

/** A closed trail in several segments, in batches of one to nine entries. */
async function rig(t: TestContext, count: number, byte = 7): Promise<Rig> {
  const path = folderFor(t)
  const trail = await openTrail({ path, signer: signerOf(byte), segmentBytes: 20_000, fs })
  const entries = entriesFrom(0, count)
  for (let next = 0, batch = 1; next < count; next += batch, batch = 1 + (next % 9))
    await trail.write(entries.slice(next, next + batch))
  await trail.close()
  return { path, trail, entries }
}

function idOf(entries: readonly AuditEntry[], index: number): string {
  return entries[index]?.eventID ?? ''
}

async function problemOf(text: string, vkey: string): Promise<string> {
  const checked = await checkProof(text, { vkey })
  ok(!checked.valid, 'the receipt is valid')
  return checked.problem
}

describe('a receipt', () => {
  test('of each entry holds its line, its place and the published checkpoint, and is valid', async (t) => {
    const { path, trail, entries } = await rig(t, 300)
    for (const index of [0, 1, 8, 149, 255, 256, 298, 299]) {
      const made = await proveEntry(path, idOf(entries, index))
      const line = lineOf(entryAt(index))
      const checkpoint = readFileSync(join(trail.path, 'checkpoint'), 'utf8')
      deepStrictEqual(
        { ...made, text: '' },
        { instance: 'main', index: BigInt(index), line, checkpoint, vkey: trail.vkey, text: '' },
      )
      deepStrictEqual(await checkProof(made.text, { vkey: trail.vkey }), {
        valid: true,
        origin: trail.origin,
        index: BigInt(index),
        size: 300n,
        vkey: trail.vkey,
        entry: entryAt(index),
        line,
        witnesses: [],
      })
    }
  })

  test('is the same whether its hashes come from tiles or from segments', async (t) => {
    const { path, trail, entries } = await rig(t, 700)
    rmSync(join(trail.path, 'tile'), { recursive: true, force: true })
    const before = await Promise.all([3, 300, 699].map((index) => proveEntry(path, idOf(entries, index))))
    await writeTiles({ fs, engine, layout: layoutOf(trail.path), size: 700n })
    for (const { index, text } of before) strictEqual((await proveEntry(path, idOf(entries, Number(index)))).text, text)
  })

  test('with any character changed is not valid', async (t) => {
    const { path, trail, entries } = await rig(t, 20)
    const { text } = await proveEntry(path, idOf(entries, 11))
    for (let at = 0; at < text.length; at++) {
      const other = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`
      ok(!(await checkProof(other, { vkey: trail.vkey })).valid, `character ${at}`)
    }
  })

  test('says what is wrong with it', async (t) => {
    const { path, trail, entries } = await rig(t, 20)
    const { text } = await proveEntry(path, idOf(entries, 11))
    const other = await rig(t, 20, 8)
    const parsed = parseTlogProof(text)
    ok(parsed)
    match(await problemOf(text, other.trail.vkey), /not signed by the key/)
    const { extra: _, ...without } = parsed
    match(await problemOf(formatTlogProof(without), trail.vkey), /no audit entry/)
    match(await problemOf(formatTlogProof({ ...parsed, index: 12n }), trail.vkey), /not at this place/)
    const changed = utf8(lineOf(entryAt(11, { action: 'kms.decrypt' })))
    match(await problemOf(formatTlogProof({ ...parsed, extra: changed }), trail.vkey), /not at this place/)
    match(await problemOf('', trail.vkey), /no tlog-proof/)
    // A caller without types.
    match(await problemOf(undefined as unknown as string, trail.vkey), /no tlog-proof/)
    await refused(() => checkProof(text, { vkey: 'no key' }), 'INVALID_INPUT', /not an Ed25519 key/)
  })

  test('of a hostile shape is an answer, not an error', { skip: noShared }, async (t) => {
    const { path, trail, entries } = await rig(t, 3)
    const { text } = await proveEntry(path, idOf(entries, 1))
    const texts = Object.values(sharedJson<Record<string, unknown>>('vectors/hostile.json')).flat()
    const hostile = texts.filter((value): value is string => typeof value === 'string')
    ok(hostile.length > 30)
    for (const word of hostile)
      for (const other of [
        word,
        word + text,
        text + word,
        text.replace('index', word),
        text.replace('\n\n', `\n${word}\n`),
      ])
        if (other !== text) ok(!(await checkProof(other, { vkey: trail.vkey })).valid)
  })

  test('is found among several trails, and checked with several keys', async (t) => {
    const path = folderFor(t)
    const first = await openTrail({ path, instance: 'a', signer: signerOf(7), fs })
    const second = await openTrail({ path, instance: 'b', signer: signerOf(8), fs })
    await first.write(entriesFrom(0, 10))
    await second.write(entriesFrom(100, 10))
    await first.close()
    await second.close()
    const made = await proveEntry(path, entryAt(104).eventID)
    strictEqual(made.instance, 'b')
    strictEqual(made.index, 4n)
    const checked = await checkProof(made.text, { vkey: [first.vkey, second.vkey] })
    ok(checked.valid)
    strictEqual(checked.vkey, second.vkey)
    strictEqual((await proveEntry(path, entryAt(104).eventID, { vkey: [first.vkey, second.vkey] })).vkey, second.vkey)
    await refused(
      () => proveEntry(path, entryAt(104).eventID, { vkey: first.vkey }),
      'INVALID_INPUT',
      /no key was given/,
    )
  })

  test('is made for an entry that a clock set back put where it is not looked for first', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer: signerOf(7), segmentBytes: 4000, fs })
    for (const start of [5000, 100, 9000, 50]) await trail.write(entriesFrom(start, 8))
    await trail.close()
    ok(segmentsIn(trail.path).length > 2)
    for (const start of [5000, 100, 9000, 50]) {
      const { text, index } = await proveEntry(path, entryAt(start + 3).eventID)
      ok((await checkProof(text, { vkey: trail.vkey })).valid)
      strictEqual(index % 8n, 3n)
    }
  })

  test('is of the entry that has the id, not of one that names it', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer: signerOf(7), fs })
    const named = { service: 'secrets', eventID: entryAt(2).eventID }
    await trail.write([entryAt(1, { origin: named }), entryAt(2), entryAt(3, { origin: named })])
    await trail.close()
    strictEqual((await proveEntry(path, entryAt(2).eventID)).index, 1n)
  })

  test('rests on the checkpoint that a witness cosigned, and says when', async (t) => {
    const { path, trail, entries } = await rig(t, 40)
    const { text: plain } = await proveEntry(path, idOf(entries, 4))
    const published = readFileSync(join(trail.path, 'checkpoint'), 'utf8')
    const { line, vkey: witness } = cosigned(published, 1_760_000_000)
    writeFileSync(join(trail.path, 'witnessed'), published + line)
    const { text } = await proveEntry(path, idOf(entries, 4))
    ok(text.endsWith(line))
    const checked = await checkProof(text, { vkey: trail.vkey, witness })
    ok(checked.valid)
    deepStrictEqual(checked.witnesses, [{ vkey: witness, time: 1_760_000_000_000 }])
    const missing = await checkProof(plain, { vkey: trail.vkey, witness })
    deepStrictEqual(missing, { valid: false, problem: 'the checkpoint is not cosigned by witness.example/w1' })
  })
})

describe('there is no receipt', () => {
  test('for an entry that is not there', async (t) => {
    const { path } = await rig(t, 30)
    await refused(() => proveEntry(path, unknownID), 'INVALID_INPUT', /there is no entry/)
    for (const id of ['', 'x', '../..', '"', unknownID.replace('7000', '7FFF')])
      await refused(() => proveEntry(path, id), 'INVALID_INPUT', /a UUID/)
    // A caller without types.
    await refused(() => proveEntry(path, undefined as unknown as string), 'INVALID_INPUT', /a UUID/)
    await refused(() => proveEntry(join(path, 'nowhere'), unknownID), 'INVALID_INPUT', /there is no trail/)
  })

  test('for an entry that is not published yet, until it is', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer: signerOf(7), fs, clock: handClock() })
    await trail.write(entriesFrom(0, 3))
    await refused(() => proveEntry(trail.path, entryAt(1).eventID), 'PROVIDER_UNAVAILABLE', /not yet published: flush/)
    await trail.flush?.()
    const { text } = await proveEntry(trail.path, entryAt(1).eventID)
    ok((await checkProof(text, { vkey: trail.vkey })).valid)
    await trail.close()
  })

  test('when the entry, a tile or the checkpoint is not what was signed', async (t) => {
    const { path, trail, entries } = await rig(t, 600)
    await writeTiles({ fs, engine, layout: layoutOf(trail.path), size: 600n })
    const tile = join(trail.path, 'tile/0/001')
    const good = readFileSync(tile)
    writeFileSync(
      tile,
      good.map((byte, at) => (at === 77 ? byte ^ 1 : byte)),
    )
    await refused(() => proveEntry(path, idOf(entries, 4)), 'INTERNAL', /a tile is damaged/)
    writeFileSync(tile, good)
    const [segment] = segmentsIn(trail.path)
    ok(segment)
    writeFileSync(segment.path, segment.bytes.toString('latin1').replace('"req-4"', '"req-5"'), 'latin1')
    await refused(() => proveEntry(path, idOf(entries, 4)), 'INTERNAL', /not what was signed/)
    writeFileSync(segment.path, segment.bytes)
    ok((await checkProof((await proveEntry(path, idOf(entries, 4))).text, { vkey: trail.vkey })).valid)

    const checkpoint = readFileSync(join(trail.path, 'checkpoint'), 'utf8')
    writeFileSync(join(trail.path, 'checkpoint'), checkpoint.replace('600', '599'))
    await refused(() => proveEntry(path, idOf(entries, 4)), 'INTERNAL', /not signed by a key/)
    rmSync(join(trail.path, 'checkpoint'))
    await refused(() => proveEntry(path, idOf(entries, 4)), 'INTERNAL', /checkpoint is missing/)
    rmSync(join(trail.path, 'trail.json'))
    await refused(() => proveEntry(path, idOf(entries, 4)), 'INTERNAL', /trail\.json is missing/)
  })
})

test('a receipt from before the key was changed is checked with the old key, one from after with the new', async (t) => {
  const path = folderFor(t)
  const trail = connected(await openTrail({ path, signer: signerOf(7), fs }))
  const old = trail.vkey
  await trail.write(entriesFrom(0, 5))
  const before = await trail.proveEntry(entryAt(2).eventID)
  strictEqual(before.vkey, old)
  await trail.rotateSigner({ ...signerOf(8), previous: signerOf(7) })
  await trail.write(entriesFrom(100, 5))
  const after = await trail.proveEntry(entryAt(2).eventID)
  await trail.close()
  notStrictEqual(after.vkey, old)
  for (const { text, vkey } of [before, after]) ok((await checkProof(text, { vkey: [old, vkey] })).valid)
  ok((await checkProof(before.text, { vkey: old })).valid)
  ok(!(await checkProof(before.text, { vkey: after.vkey })).valid)
  ok(!(await checkProof(after.text, { vkey: old })).valid)
  ok((await checkProof(after.text, { vkey: after.vkey })).valid)

  // The newest cosigned checkpoint may still be one by the old key.
  writeFileSync(join(trail.path, 'witnessed'), before.checkpoint)
  strictEqual((await proveEntry(path, entryAt(2).eventID)).vkey, old)
  strictEqual((await proveEntry(path, entryAt(2).eventID, { vkey: after.vkey })).vkey, after.vkey)
  strictEqual((await proveEntry(path, entryAt(104).eventID)).vkey, after.vkey)
})

test('receipts are the same when the segments are compressed', async (t) => {
  const path = folderFor(t)
  const plain = await rig(t, 300)
  const options = { path, signer: signerOf(7), origin: plain.trail.origin, segmentBytes: 20_000, fs }
  const trail = await openTrail({ ...options, compressSealed: true })
  for (let next = 0, batch = 1; next < 300; next += batch, batch = 1 + (next % 9))
    await trail.write(plain.entries.slice(next, next + batch))
  await trail.close()
  ok(segmentsIn(trail.path).some(({ name }) => name.endsWith('.gz')))
  for (const index of [0, 150, 299]) {
    const { text } = await proveEntry(plain.path, idOf(plain.entries, index))
    strictEqual((await proveEntry(path, idOf(plain.entries, index))).text, text)
    rmSync(join(trail.path, 'tile'), { recursive: true, force: true })
    strictEqual((await proveEntry(path, idOf(plain.entries, index))).text, text)
  }
})

test('segments that are compressed between the look at the folder and the reading are read as that', async (t) => {
  const { path, trail, entries } = await rig(t, 300)
  const { text } = await proveEntry(path, idOf(entries, 1))
  rmSync(join(trail.path, 'tile'), { recursive: true, force: true })
  const compressing = {
    ...nodeFileSystem,
    async open(...[file, ...how]: Parameters<typeof nodeFileSystem.open>) {
      if (file.endsWith('.jsonl') && file.includes('/segments/')) {
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file)))
        rmSync(file)
      }
      return nodeFileSystem.open(file, ...how)
    },
  }
  strictEqual((await proveEntry(path, idOf(entries, 1), { fs: compressing })).text, text)
  ok(segmentsIn(trail.path).some(({ name }) => name.endsWith('.gz')))
})

test('an entry that was pruned is proven from its archive', async (t) => {
  const { path, trail, entries } = await rig(t, 600)
  const layout = layoutOf(trail.path)
  const before = await proveEntry(path, idOf(entries, 5))
  const [first, second] = segmentsIn(trail.path)
  ok(first && second)
  const below = BigInt(Number(second.name.slice(0, 20)))
  await writeTiles({ fs, engine, layout, size: below, partial: true })
  await writeTiles({ fs, engine, layout, size: 600n })
  rmSync(first.path)
  await refused(() => proveEntry(path, idOf(entries, 5)), 'INVALID_INPUT', /name the archive of what was pruned/)

  const archive = join(path, 'pruned.archive')
  const vkeys = [{ vkey: trail.vkey, fromIndex: 0 }]
  const header = formatArchiveHeader({ origin: trail.origin, from: 0n, below, vkeys, peaks: [] })
  writeFileSync(archive, Buffer.concat([Buffer.from(`${header}\n`), first.bytes]))
  const made: EntryProof = await proveEntry(path, idOf(entries, 5), { archive, fs: nodeFileSystem })
  strictEqual(made.text, before.text)
  ok((await checkProof(made.text, { vkey: trail.vkey })).valid)
  await refused(() => proveEntry(path, unknownID, { archive }), 'INVALID_INPUT', /nor does .* hold it/)
})

/** A witness's cosignature line over a note, and its key (c2sp.org/tlog-cosignature). */
function cosigned(note: string, seconds: number): { line: string; vkey: string } {
  const name = 'witness.example/w1'
  const { publicKey, sign } = signerOf(99)
  const keyHash = engine.hash('sha256', concat([utf8(`${name}\n`), Uint8Array.of(4), publicKey])).slice(0, 4)
  const text = note.slice(0, note.indexOf('\n\n') + 1)
  const signature = sign(utf8(`cosignature/v1\ntime ${seconds}\n${text}`))
  const hash = Buffer.from(keyHash).toString('hex')
  ok(formatVkey(engine, name, publicKey).startsWith(name))
  return {
    line: `— ${name} ${toBase64(concat([keyHash, u64be(BigInt(seconds)), signature]))}\n`,
    vkey: `${name}+${hash}+${toBase64(concat([Uint8Array.of(4), publicKey]))}`,
  }
}
