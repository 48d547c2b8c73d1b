/** @node What a trail is held against besides its key, and trails of which not all is there: one verdict for each. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { engine } from '#engine'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { type Verdict, type VerifyOptions, verifyTrail } from '../../src/trail/index.ts'
import { layoutOf } from '../../src/trail/layout.ts'
import { pruneTrail } from '../../src/trail/retention/prune.ts'
import { writeTiles } from '../../src/trail/tree/tiles.ts'
import { noShared, sharedPath } from '../shared.ts'
import { cosigner } from './cosigner.ts'
import { type Crafted, type CraftedBatch, craft, noteBy, origin, vkeyOf } from './crafted.ts'
import { entriesFrom, entryAt, folderFor, refused, segmentsIn, signerOf } from './entries.ts'
import { type LaidTrail, layTrail } from './laid.ts'

const signer = signerOf(7)
const vkey = vkeyOf(signer)
const vkeys = [{ vkey, fromIndex: 0 }]

interface Cleaning {
  after(run: () => void): void
}

/** Batches of three entries, a segment for every two of them. */
function batchesOf(count: number): CraftedBatch[] {
  return Array.from({ length: count }, (_, at) => {
    return { entries: entriesFrom(3 * at, 3), signers: [signer], begins: at > 0 && at % 2 === 0 }
  })
}

function trailOf(t: Cleaning, batches: readonly CraftedBatch[] = batchesOf(5)): Crafted & { readonly path: string } {
  const path = folderFor(t)
  return { path, ...craft(path, { batches, vkeys }) }
}

function told({ verdict, anchor, anchors }: Verdict): unknown[] {
  return [verdict, anchor, anchors.map(({ kind, size, agrees }) => [kind, size, agrees])]
}

async function judged(path: string, options: VerifyOptions): Promise<unknown[]> {
  return told(await verifyTrail(path, { vkey, ...options }))
}

describe('a pin', () => {
  test('of any size that the trail has had is what the verdict rests on, from a file or as text', async (t) => {
    const { path, notes } = trailOf(t)
    for (const [at, pin] of notes.entries()) {
      const size = BigInt(3 * at)
      deepStrictEqual(await judged(path, { pin }), ['valid', 'pin', [['pin', size, true]]])
      const file = join(path, 'pin')
      writeFileSync(file, pin)
      const verdict = await verifyTrail(path, { vkey, pin: file })
      deepStrictEqual(verdict.anchors, [{ kind: 'pin', size, file, agrees: true }])
      match(verdict.note, /agrees with the pin/)
    }
  })

  test('within a batch counts as well: every size has one root', async (t) => {
    const { path } = trailOf(t)
    const one = craft(folderFor(t), { batches: [{ entries: entriesFrom(0, 4), signers: [signer] }], vkeys })
    deepStrictEqual(await judged(path, { pin: one.notes[1] ?? '' }), ['valid', 'pin', [['pin', 4n, true]]])
  })

  test('ahead of the trail: rolled back', async (t) => {
    const { notes } = trailOf(t)
    const shorter = trailOf(t, batchesOf(3))
    const verdict = await verifyTrail(shorter.path, { vkey, pin: notes[5] ?? '' })
    deepStrictEqual(told(verdict), ['rolled-back', 'pin', [['pin', 15n, false]]])
    strictEqual(verdict.problem, 'the pin covers 15 entries, the trail has 9')
    strictEqual(verdict.size, 9n)
  })

  test('of another history by the same key: forked, whatever the sizes', async (t) => {
    const { path } = trailOf(t)
    for (const count of [1, 3, 5]) {
      const other = batchesOf(count).map((batch) => ({
        ...batch,
        entries: batch.entries.map((one) => ({ ...one, salt: 'B' })),
      }))
      const pin = trailOf(t, other).notes.at(-1) ?? ''
      deepStrictEqual(await judged(path, { pin }), ['forked', 'pin', [['pin', BigInt(3 * count), false]]])
    }
  })

  test('an entry about a restore explains it, and changes no verdict', async (t) => {
    const { notes } = trailOf(t)
    const details = { keystore: 'k', generation: 1, trailSize: '6', trailRoot: 'AAAA' }
    const restored = entryAt(6, {
      action: 'audit.restored',
      resourceType: 'audit_log',
      details,
      reason: { code: 'disk-lost' },
    })
    const after = { entries: [restored, ...entriesFrom(7, 2)], signers: [signer] }
    const { path } = trailOf(t, [...batchesOf(2), after])
    const ahead = await verifyTrail(path, { vkey, pin: notes[5] ?? '' })
    strictEqual(ahead.verdict, 'rolled-back')
    match(ahead.note, /entry 6 tells that the trail was restored at 6 entries \(disk-lost\)/)
    const aside = await verifyTrail(path, { vkey, pin: notes[3] ?? '' })
    strictEqual(aside.verdict, 'forked')
    match(aside.note, /entry 6 tells/)
    const before = await verifyTrail(path, { vkey, pin: notes[2] ?? '' })
    strictEqual(before.verdict, 'valid')
  })

  test('that the key did not sign says nothing; nor does one of another trail', async (t) => {
    const { path, notes } = trailOf(t)
    const text = (notes[3] ?? '').slice(0, (notes[3] ?? '').indexOf('\n\n') + 1)
    deepStrictEqual(await judged(path, { pin: noteBy([signerOf(9)], text) }), ['unverifiable', 'none', []])
    const elsewhere = formatCheckpoint({ origin: 'keytrail/else', size: 3n, root: new Uint8Array(32) })
    const verdict = await verifyTrail(path, { vkey, pin: noteBy([signer], elsewhere, 'keytrail/else') })
    deepStrictEqual(
      verdict.instances.map(({ instance, verdict: kind, problem }) => [instance, kind, problem]),
      [
        ['main', 'unverifiable', `no pin that was given is of ${origin}`],
        ['keytrail/else', 'unverifiable', 'there is no trail keytrail/else here, but a pin'],
      ],
    )
  })

  test('that is none is refused', async (t) => {
    const { path } = trailOf(t)
    await refused(() => verifyTrail(path, { pin: join(path, 'absent') }), 'INVALID_INPUT', /there is no pin/)
    await refused(() => verifyTrail(path, { pin: join(path, 'main', 'trail.json') }), 'INVALID_INPUT', /is no pin/)
    await refused(() => verifyTrail(path, { pin: 'two\nlines\n' }), 'INVALID_INPUT', /no signed checkpoint/)
  })

  test('does not make a damaged trail anything but tampered', async (t) => {
    const { path, folder, notes } = trailOf(t)
    const [segment] = segmentsIn(folder)
    ok(segment)
    writeFileSync(segment.path, segment.bytes.toString('utf8').replace('"success"', '"failure"'))
    strictEqual((await verifyTrail(path, { vkey, pin: notes[5] ?? '' })).verdict, 'tampered')
  })
})

describe('a witness', () => {
  const witness = cosigner('witness.example/w1', new Uint8Array(32).fill(21))

  test('that cosigned a checkpoint beside the trail, or one in a pin, is the strongest anchor', async (t) => {
    const { path, folder, notes } = trailOf(t)
    const cosigned = (notes[2] ?? '') + witness.cosign(notes[2] ?? '', 1_780_000_000)
    writeFileSync(join(folder, 'witnessed'), cosigned)
    const verdict = await verifyTrail(path, { vkey, witness: witness.vkey, pin: notes[4] ?? '' })
    deepStrictEqual([verdict.verdict, verdict.anchor], ['valid', 'witness'])
    deepStrictEqual(verdict.anchors.at(-1), {
      kind: 'witness',
      size: 6n,
      at: '2026-05-28T20:26:40.000Z',
      witness: 'witness.example/w1',
      agrees: true,
    })
    rmSync(join(folder, 'witnessed'))
    deepStrictEqual(await judged(path, { witness: witness.vkey, pin: cosigned }), [
      'valid',
      'witness',
      [
        ['pin', 6n, true],
        ['witness', 6n, true],
      ],
    ])
  })

  test('who was asked for and cosigned nothing makes it unverifiable, also beside another who did', async (t) => {
    const { path, folder, notes } = trailOf(t)
    const other = cosigner('witness.example/w2', new Uint8Array(32).fill(22))
    const verdict = await verifyTrail(path, { vkey, witness: witness.vkey })
    deepStrictEqual([verdict.verdict, verdict.anchor], ['unverifiable', 'none'])
    match(verdict.problem ?? '', /there is no cosignature of witness\.example\/w1/)
    writeFileSync(join(folder, 'witnessed'), (notes[2] ?? '') + witness.cosign(notes[2] ?? '', 1_780_000_000))
    strictEqual((await verifyTrail(path, { vkey, witness: [witness.vkey, other.vkey] })).verdict, 'unverifiable')
    await refused(() => verifyTrail(path, { witness: vkey }), 'INVALID_INPUT', /witness/)
  })

  test('who saw more, or other entries, convicts the trail', async (t) => {
    const { notes } = trailOf(t)
    const shorter = trailOf(t, batchesOf(3))
    writeFileSync(join(shorter.folder, 'witnessed'), (notes[5] ?? '') + witness.cosign(notes[5] ?? '', 1_780_000_000))
    const ahead = await verifyTrail(shorter.path, { vkey, witness: witness.vkey })
    deepStrictEqual([ahead.verdict, ahead.anchor], ['rolled-back', 'witness'])
    const text = formatCheckpoint({ origin, size: 6n, root: new Uint8Array(32).fill(1) })
    const note = noteBy([signer], text)
    writeFileSync(join(shorter.folder, 'witnessed'), note + witness.cosign(note, 1_780_000_000))
    const aside = await verifyTrail(shorter.path, { vkey, witness: witness.vkey })
    deepStrictEqual([aside.verdict, aside.anchor], ['forked', 'witness'])
  })
})

describe('a copy', () => {
  test('behind the trail agrees; one ahead, or of another history, convicts it', async (t) => {
    const { path } = trailOf(t)
    const behind = trailOf(t, batchesOf(3))
    deepStrictEqual(await judged(path, { copy: behind.path }), ['valid', 'copy', [['copy', 9n, true]]])
    deepStrictEqual(await judged(behind.path, { copy: path }), ['rolled-back', 'copy', [['copy', 15n, false]]])
    const other = trailOf(t, [{ entries: entriesFrom(40, 3), signers: [signer] }])
    deepStrictEqual(await judged(path, { copy: other.path }), ['forked', 'copy', [['copy', 3n, false]]])
  })

  test('and a pin that disagree: the one that convicts is named', async (t) => {
    const { path, notes } = trailOf(t, batchesOf(3))
    const copy = trailOf(t).path
    deepStrictEqual(await judged(path, { copy, pin: notes[2] ?? '' }), [
      'rolled-back',
      'copy',
      [
        ['pin', 6n, true],
        ['copy', 15n, false],
      ],
    ])
    await refused(() => verifyTrail(path, { copy: folderFor(t) }), 'INVALID_INPUT', /no trail/)
  })
})

describe('from a pin on', () => {
  async function tiled(t: Cleaning): Promise<Crafted & { readonly path: string }> {
    const made = trailOf(t, batchesOf(7))
    await writeTiles({ fs: nodeFileSystem, engine, layout: layoutOf(made.folder), size: 18n, partial: true })
    return made
  }

  test('only the segments are read that it does not cover whole', async (t) => {
    const { path, folder, notes } = await tiled(t)
    const bytes = segmentsIn(folder).map((one) => one.bytes.length)
    // Pinned at 15: segments begin at 0, 6, 12 and 18.
    const verdict = await verifyTrail(path, { vkey, pin: notes[5] ?? '', incremental: true })
    deepStrictEqual(told(verdict), ['valid', 'pin', [['pin', 15n, true]]])
    deepStrictEqual(verdict.read, { from: 12n, bytes: (bytes[2] ?? 0) + (bytes[3] ?? 0) })
    strictEqual((await verifyTrail(path, { vkey, pin: notes[5] ?? '' })).read, undefined)
    strictEqual((await verifyTrail(path, { vkey, incremental: true })).read, undefined)
  })

  test('other, smaller pins are held against the hashes', async (t) => {
    const { path, notes } = await tiled(t)
    const [, first = '', , , , fifth = ''] = notes
    const both = await verifyTrail(path, { vkey, pin: [first, fifth], incremental: true })
    deepStrictEqual([both.verdict, both.read?.from, both.anchors.length], ['valid', 12n, 2])
    const lie = noteBy([signer], formatCheckpoint({ origin, size: 3n, root: new Uint8Array(32) }))
    strictEqual((await verifyTrail(path, { vkey, pin: [lie, fifth], incremental: true })).verdict, 'forked')
  })

  test('a trail signed anew from there on by another key does not pass for it', async (t) => {
    const { path, folder, notes } = await tiled(t)
    const thief = signerOf(66)
    const [, , , later] = segmentsIn(folder)
    ok(later)
    const anew = craft(folderFor(t), {
      batches: batchesOf(7).map((batch, at) => (at < 4 ? batch : { ...batch, signers: [thief] })),
      vkeys: [...vkeys, { vkey: vkeyOf(thief), fromIndex: 12 }],
    })
    cpSync(anew.folder, folder, { recursive: true })
    for (const key of [undefined, vkey, vkeyOf(thief)]) {
      const options = { pin: notes[5] ?? '', incremental: true, ...(key !== undefined && { vkey: key }) }
      strictEqual((await verifyTrail(path, options)).verdict, 'tampered', key)
    }
  })

  test('damage behind it is found; a tile that is wrong costs a full reading, and is no tampering', async (t) => {
    const { path, folder, notes } = await tiled(t)
    const pin = notes[5] ?? ''
    const last = segmentsIn(folder).at(-1)
    ok(last)
    writeFileSync(last.path, last.bytes.toString('utf8').replace('"success"', '"failure"'))
    const found = await verifyTrail(path, { vkey, pin, incremental: true })
    deepStrictEqual([found.verdict, found.index, found.read], ['tampered', 18n, undefined])
    writeFileSync(last.path, last.bytes)
    const tile = join(folder, 'tile/0/000.p/18')
    const hashes = readFileSync(tile)
    hashes[40] = (hashes[40] ?? 0) ^ 1
    writeFileSync(tile, hashes)
    const whole = await verifyTrail(path, { vkey, pin, incremental: true })
    deepStrictEqual([whole.verdict, whole.read], ['valid', undefined])
  })
})

const day = 86_400_000
const at = (days: number) => new Date(Date.UTC(2026, 0, 1) + days * day).toISOString()

interface PrunedTrail extends LaidTrail {
  readonly archive: string
  /** Signed checkpoints of all batches, by size. */
  readonly notes: ReadonlyMap<number, string>
}

/** Four segments of ten entries, one a day; pruned on day 100 below entry 20. */
async function pruned(t: Cleaning, minRetentionDays?: number): Promise<PrunedTrail> {
  const path = folderFor(t)
  const trail = layTrail(join(path, 'audit'), {
    now: () => Date.parse(at(100)),
    ...(minRetentionDays !== undefined && { minRetentionDays }),
  })
  for (let segment = 0; segment < 4; segment++) {
    const first = 10 * segment
    trail.write(Array.from({ length: 4 }, (_, index) => entryAt(first + index, { createdAt: at(first + index) })))
    trail.write(
      Array.from({ length: 6 }, (_, index) => entryAt(first + index + 4, { createdAt: at(first + index + 4) })),
    )
    if (segment < 3) trail.seal()
  }
  const archive = join(path, 'archive.jsonl')
  const { layout, about, log } = trail
  const notes = new Map<number, string>()
  for (const { bytes } of segmentsIn(layout.folder))
    for (const line of bytes
      .toString('utf8')
      .split('\n')
      .filter((text) => text.startsWith('{"commit"'))) {
      const { commit, checkpoint } = JSON.parse(line) as { commit: { size: number }; checkpoint: string }
      notes.set(commit.size, checkpoint)
    }
  const clock = { now: () => Date.parse(at(100)), monotonic: () => 0, after: () => () => {} }
  const options = { fs: nodeFileSystem, engine, layout, clock, about, log, check: () => {} }
  await pruneTrail(options, { olderThan: '75d', archive })
  return { ...trail, archive, notes }
}

describe('a pruned trail', () => {
  test('is valid, tells what is gone, and still answers pins from before', async (t) => {
    const trail = await pruned(t, 30)
    const verdict = await verifyTrail(trail.path, { vkey: trail.vkey })
    deepStrictEqual([verdict.verdict, verdict.size, verdict.prunedBelow], ['valid', 41n, 20n], verdict.problem)
    ok(trail.notes.size === 8)
    for (const [size, pin] of trail.notes) {
      deepStrictEqual(told(await verifyTrail(trail.path, { vkey: trail.vkey, pin })), [
        'valid',
        'pin',
        [['pin', BigInt(size), true]],
      ])
    }
    const lie = noteBy(
      [signer],
      formatCheckpoint({ origin: 'keytrail/main', size: 14n, root: new Uint8Array(32) }),
      'keytrail/main',
    )
    strictEqual((await verifyTrail(trail.path, { vkey: trail.vkey, pin: lie })).verdict, 'forked')
  })

  test('without the entry that says so, its segments were taken away', async (t) => {
    const trail = await pruned(t)
    const [first] = segmentsIn(trail.layout.folder)
    ok(first)
    rmSync(first.path)
    const verdict = await verifyTrail(trail.path, { vkey: trail.vkey })
    deepStrictEqual([verdict.verdict, verdict.index, verdict.line], ['tampered', 0n, 1])

    const whole = trailOf(t)
    await writeTiles({ fs: nodeFileSystem, engine, layout: layoutOf(whole.folder), size: 12n, partial: true })
    const [cut] = segmentsIn(whole.folder)
    ok(cut)
    rmSync(cut.path)
    const kept = await verifyTrail(whole.path, { vkey })
    deepStrictEqual([kept.verdict, kept.index, kept.segment], ['tampered', 0n, '00000000000000000006.jsonl'])
    strictEqual(kept.problem, 'entries below 6 are gone, and no entry says that they were pruned')
  })

  test('more is gone than the entry says', async (t) => {
    const { layout, path, vkey: key } = await pruned(t)
    await writeTiles({ fs: nodeFileSystem, engine, layout, size: 30n, partial: true })
    const [first] = segmentsIn(layout.folder)
    ok(first)
    rmSync(first.path)
    const verdict = await verifyTrail(path, { vkey: key })
    strictEqual(verdict.problem, 'entries below 30 are gone, and no entry says that they were pruned')
  })

  test('a crash between two removals is no tampering; a tile that is wrong or gone is', async (t) => {
    const trail = await pruned(t)
    const folder = trail.layout.folder
    const archived = readFileSync(trail.archive, 'utf8')
    const second = archived.slice(archived.indexOf('{"schema', archived.indexOf('"size":10}')))
    writeFileSync(join(folder, 'segments/00000000000000000010.jsonl'), second)
    const between = await verifyTrail(trail.path, { vkey: trail.vkey })
    deepStrictEqual([between.verdict, between.prunedBelow], ['valid', 10n], between.problem)
    rmSync(join(folder, 'segments/00000000000000000010.jsonl'))
    const [tile] = readdirSync(join(folder, 'tile/0/000.p'))
    const path = join(folder, 'tile/0/000.p', tile ?? '')
    const hashes = readFileSync(path)
    hashes[33] = (hashes[33] ?? 0) ^ 1
    writeFileSync(path, hashes)
    deepStrictEqual(told(await verifyTrail(trail.path, { vkey: trail.vkey })), ['tampered', 'none', []])
    rmSync(join(folder, 'tile'), { recursive: true })
    const gone = await verifyTrail(trail.path, { vkey: trail.vkey })
    deepStrictEqual(
      [gone.verdict, gone.problem],
      ['tampered', 'the entries before this segment are gone, and so are their hashes'],
    )
  })

  test('of entries younger than the recorded minimum is tampered with, whoever signed it', async (t) => {
    const entries = (details: object) => [
      ...entriesFrom(0, 3),
      entryAt(3, { action: 'audit.pruned', resourceType: 'audit_log', createdAt: at(100), details }),
    ]
    const told = { prunedFrom: '0', prunedBelow: '3', newestAt: at(71), minRetentionDays: 30 }
    const cases = [
      [{ ...told, newestAt: at(70) }, 30, 'valid'],
      [told, 30, 'tampered'],
      [{ ...told, newestAt: undefined }, 30, 'tampered'],
      // trail.json was changed to allow it.
      [told, 29, 'tampered'],
      [told, undefined, 'tampered'],
    ] as const
    for (const [details, minRetentionDays, expected] of cases) {
      const path = folderFor(t)
      const batches = [{ entries: entries(details), signers: [signer] }]
      craft(path, { batches, vkeys, ...(minRetentionDays !== undefined && { minRetentionDays }) })
      const verdict = await verifyTrail(path, { vkey })
      deepStrictEqual([verdict.verdict, verdict.index], [expected, expected === 'valid' ? undefined : 3n])
    }
  })

  test('a minimum that trail.json does not know any more is missed where the trail was opened', async (t) => {
    const sinks = [{ name: 'trail', durability: 'synced', required: true, vkey, minRetentionDays: 400 }] as const
    const opened = entryAt(0, { action: 'audit.opened', resourceType: 'audit_log', details: { sinks } })
    for (const [days, expected] of [
      [400, 'valid'],
      [30, 'tampered'],
      [undefined, 'tampered'],
    ] as const) {
      const path = folderFor(t)
      const batches = [{ entries: [opened, ...entriesFrom(1, 2)], signers: [signer] }]
      craft(path, { batches, vkeys, ...(days !== undefined && { minRetentionDays: days }) })
      strictEqual((await verifyTrail(path, { vkey })).verdict, expected)
    }
  })
})

describe('an archive', () => {
  test('verifies by itself, plain or compressed, and by the key of its trail', async (t) => {
    const { archive, vkey: key } = await pruned(t)
    const verdict = await verifyTrail(archive, { vkey: key })
    deepStrictEqual([verdict.verdict, verdict.size, verdict.read?.from], ['valid', 20n, 0n], verdict.problem)
    const compressed = `${archive}.gz`
    writeFileSync(compressed, gzipSync(readFileSync(archive)))
    strictEqual((await verifyTrail(compressed, { vkey: key })).verdict, 'valid')
    strictEqual((await verifyTrail(archive)).note, 'self-consistent; key supplied by this directory')
    strictEqual((await verifyTrail(archive, { vkey: vkeyOf(signerOf(9), 'keytrail/main') })).verdict, 'tampered')
    strictEqual((await verifyTrail(archive, { vkey })).verdict, 'unverifiable')
    // A missing key is not tampering, and one that came later is missing.
    const later = vkeyOf(signerOf(8), 'keytrail/main')
    const text = readFileSync(archive, 'utf8')
    const [, vkeys = ''] = /"vkeys":\[(.*?)\]/.exec(text) ?? []
    writeFileSync(archive, text.replace(vkeys, `${vkeys},{"vkey":"${later}","fromIndex":30}`))
    strictEqual((await verifyTrail(archive, { vkey: key })).verdict, 'valid')
    const { verdict: kind, problem } = await verifyTrail(archive, { vkey: later })
    deepStrictEqual([kind, problem], ['unverifiable', 'the key that was given signed only later entries'])
  })

  test('one changed byte anywhere is found', async (t) => {
    const { archive, vkey: key } = await pruned(t)
    const bytes = readFileSync(archive)
    const headerEnds = bytes.indexOf(10)
    let checked = 0
    for (let place = headerEnds + 1; place < bytes.length; place += 29, checked++) {
      const changed = Buffer.from(bytes)
      changed[place] = (changed[place] ?? 0) ^ (1 << (place % 8))
      writeFileSync(archive, changed)
      const verdict = await verifyTrail(archive, { vkey: key })
      strictEqual(verdict.verdict, 'tampered', `byte ${place}`)
      ok(verdict.line === undefined || verdict.line > 1)
    }
    ok(checked > 300)
    const text = bytes.toString('utf8')
    for (const [said, lie] of [
      ['"below":"20"', '"below":"21"'],
      ['"fromIndex":0', '"fromIndex":1'],
    ] as const) {
      ok(text.includes(said))
      writeFileSync(archive, text.replace(said, lie))
      strictEqual((await verifyTrail(archive, { vkey: key })).verdict, 'tampered', lie)
    }
    writeFileSync(archive, text.slice(0, -1))
    strictEqual((await verifyTrail(archive, { vkey: key })).verdict, 'tampered')
    writeFileSync(archive, 'no archive\n')
    await refused(() => verifyTrail(archive), 'INVALID_INPUT', /is no archive/)
  })
})

describe('compressed segments', () => {
  test('verify as the bytes that were written; what does not unpack is found and located', async (t) => {
    const { path, folder } = trailOf(t)
    const [first] = segmentsIn(folder)
    ok(first)
    const compressed = `${first.path}.gz`
    const packed = gzipSync(first.bytes)
    writeFileSync(compressed, packed)
    rmSync(first.path)
    strictEqual((await verifyTrail(path, { vkey })).verdict, 'valid')
    for (const spoilt of [packed.subarray(0, -9), packed.subarray(0, 40), Buffer.from('no gzip'), Buffer.alloc(0)]) {
      writeFileSync(compressed, spoilt)
      const verdict = await verifyTrail(path, { vkey })
      strictEqual(verdict.verdict, 'tampered', `${spoilt.length} bytes`)
      ok(verdict.segment === `${first.name}.gz` || spoilt.length === 0, verdict.problem)
    }
    for (let place = 12; place < packed.length; place += 17) {
      const changed = Buffer.from(packed)
      changed[place] = (changed[place] ?? 0) ^ 4
      writeFileSync(compressed, changed)
      strictEqual((await verifyTrail(path, { vkey })).verdict, 'tampered', `byte ${place}`)
    }
  })
})

describe('many commits', () => {
  test('of one entry: a forged signature among them is found where it stands, and the first of two', async (t) => {
    const batches = Array.from({ length: 1500 }, (_, index) => ({ entries: entriesFrom(index, 1), signers: [signer] }))
    const { path, folder } = trailOf(t, batches)
    strictEqual((await verifyTrail(path, { vkey })).verdict, 'valid')
    const [segment] = segmentsIn(folder)
    ok(segment)
    const lines = segment.bytes.toString('utf8').split('\n')
    const forge = (line: number) => {
      lines[line - 1] = (lines[line - 1] ?? '').replace(/.(?=.{6}\\n"\}$)/, (found) => (found === 'A' ? 'B' : 'A'))
    }
    for (const [forged, first] of [
      [2900, 2900],
      [1402, 1402],
      [2102, 1402],
    ] as const) {
      forge(forged)
      writeFileSync(segment.path, lines.join('\n'))
      const verdict = await verifyTrail(path, { vkey })
      deepStrictEqual(
        [verdict.verdict, verdict.line, verdict.index, verdict.size],
        ['tampered', first, BigInt(first / 2 - 1), BigInt(first / 2 - 1)],
        verdict.problem,
      )
    }
  })
})

describe('beyond the published checkpoint', () => {
  test('one that is signed, but of other entries, is not this trail’s', async (t) => {
    const { path, folder } = trailOf(t)
    const other = trailOf(t, [{ entries: entriesFrom(40, 15), signers: [signer] }])
    writeFileSync(join(folder, 'checkpoint'), other.notes[1] ?? '')
    const verdict = await verifyTrail(path, { vkey })
    strictEqual(verdict.problem, 'the published checkpoint is not of these entries')
  })

  test('a forged signature with commits behind it is no torn batch; a pin of what is torn is ahead', async (t) => {
    const { path, folder, notes } = trailOf(t, batchesOf(2))
    writeFileSync(join(folder, 'checkpoint'), notes[0] ?? '')
    const [segment] = segmentsIn(folder)
    ok(segment)
    const lines = segment.bytes.toString('utf8').split('\n')
    const forged = lines.with(
      3,
      (lines[3] ?? '').replace(/.(?=.{6}\\n"\}$)/, (found) => (found === 'A' ? 'B' : 'A')),
    )
    writeFileSync(segment.path, forged.join('\n'))
    const verdict = await verifyTrail(path, { vkey })
    deepStrictEqual([verdict.verdict, verdict.line, verdict.index, verdict.size], ['tampered', 4, 0n, 0n])
    writeFileSync(segment.path, `${lines.slice(0, 7).join('\n')}\n`)
    const torn = await verifyTrail(path, { vkey, pin: notes[2] ?? '' })
    deepStrictEqual([torn.verdict, torn.size, torn.unsignedTail?.segment], ['rolled-back', 3n, segment.name])
  })
})

describe('while a writer is at work', () => {
  test('a segment compressed or pruned under the verifier is looked for again', async (t) => {
    const { path, folder } = trailOf(t)
    const [first] = segmentsIn(folder)
    ok(first)
    const fs: FileSystem = {
      ...nodeFileSystem,
      async open(name, how, mode) {
        if (name === first.path && readdirSync(join(folder, 'segments')).includes(first.name)) {
          writeFileSync(`${first.path}.gz`, gzipSync(first.bytes))
          rmSync(first.path)
        }
        return nodeFileSystem.open(name, how, mode)
      },
    }
    strictEqual((await verifyTrail(path, { vkey, fs })).verdict, 'valid')
    rmSync(`${first.path}.gz`)
    strictEqual((await verifyTrail(path, { vkey, fs })).verdict, 'tampered')
  })
})

describe('other formats', () => {
  test('a trail of a version that this one does not know is not called tampered with', async (t) => {
    const { path, folder } = trailOf(t)
    const file = join(folder, 'trail.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('keytrail-trail/1', 'keytrail-trail/2'))
    strictEqual((await verifyTrail(path, { vkey })).verdict, 'unverifiable')
    strictEqual((await verifyTrail(path)).verdict, 'unverifiable')
  })

  test('a tlog-tiles log of others verifies, and not when a byte of it was changed', { skip: noShared }, async (t) => {
    const path = join(folderFor(t), 'log')
    cpSync(sharedPath('vectors/tlog-log'), path, { recursive: true })
    const verdict = await verifyTrail(path)
    strictEqual(verdict.verdict, 'valid', verdict.problem)
    const tile = join(path, 'tile/0', readdirSync(join(path, 'tile/0')).find((name) => !name.includes('.')) ?? '')
    const bytes = readFileSync(tile)
    bytes[0] = (bytes[0] ?? 0) ^ 1
    writeFileSync(tile, bytes)
    strictEqual((await verifyTrail(path)).verdict, 'tampered')
    await refused(() => verifyTrail(path, { pin: 'a\nb\n' }), 'INVALID_INPUT', /./)
  })
})

test('an entry that was tampered with may hold anything, and is a verdict', async (t) => {
  const path = folderFor(t)
  const { folder } = craft(path, { batches: batchesOf(2), vkeys })
  const [segment] = segmentsIn(folder)
  const text = segment?.bytes.toString('utf8') ?? ''
  const odd = { toString: 1, valueOf: 1 }
  const details = [null, 7, { sinks: 1 }, { sinks: [null, 3, {}] }, { trailSize: odd, newestAt: odd, prunedBelow: odd }]
  for (const action of ['audit.opened', 'audit.pruned', 'audit.restored', 'audit.key_rotated'])
    for (const told of details) {
      const line = JSON.stringify({ ...entryAt(0, { action }), details: told, reason: null })
      writeFileSync(
        segment?.path ?? '',
        text.replace(/^.*\n/, () => `${line}\n`),
      )
      strictEqual((await verifyTrail(path)).verdict, 'tampered', line)
    }
})
