/** @node What a crash leaves is set right without losing anything that was committed; what is no crash is refused. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import {
  closeSync,
  cpSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Receipt } from '../../src/model/sink.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { copyFolder } from '../copy-folder.ts'
import { spread } from '../share.ts'
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
import { entryOf } from './log.ts'

const signer = signerOf(7)
const fs = hastyFileSystem
const firstSegment = '00000000000000000000.jsonl'

/** Batches of one entry with as few fields as may be: every byte of one can be tried. */
function short(first: number): AuditEntry[] {
  const { schema, eventID, createdAt, instance, sequence, action, phase, resourceType, outcome, salt } = entryAt(first)
  return [{ schema, eventID, createdAt, instance, sequence, action, phase, resourceType, outcome, salt }]
}

const pairs = (first: number): AuditEntry[] => entriesFrom(first, 2)

/** A writer that was killed: `published` entries under the checkpoint, then more batches, of two by default. */
async function killedWriter(path: string, published: number, batches: number, batchAt = pairs): Promise<string> {
  const elsewhere = join(path, 'alive')
  const clock = handClock()
  const trail = await openTrail({ path: elsewhere, signer, origin: 'keytrail/test', fs, clock })
  if (published > 0) await trail.write(entriesFrom(0, published))
  await trail.flush()
  for (let batch = 0; batch < batches; batch++) await trail.write(batchAt(Number(trail.size)))
  const folder = join(path, 'dead')
  cpSync(elsewhere, folder, { recursive: true, filter: (name) => !/lock\.\d/.test(name) })
  await trail.close()
  rmSync(elsewhere, { recursive: true })
  return folder
}

function quarantined(folder: string): { readonly name: string; readonly bytes: Buffer }[] {
  const quarantine = join(folder, 'main', 'quarantine')
  if (!existsSync(quarantine)) return []
  return readdirSync(quarantine).map((name) => ({ name, bytes: readFileSync(join(quarantine, name)) }))
}

describe('a torn tail', () => {
  test('at every byte of the last batch: nothing committed is lost, the cut bytes are kept', async (t) => {
    const path = await killedWriter(folderFor(t), 2, 2, short)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    const wholeSize = segment.bytes.length
    const start = segment.bytes.lastIndexOf('{"commit"', segment.bytes.lastIndexOf('{"commit"') - 1)
    const lastBatch = segment.bytes.indexOf('\n', start) + 1
    ok(wholeSize - lastBatch > 500)
    const copy = folderFor(t)
    const cut = Array.from({ length: wholeSize - lastBatch }, (_, at) => lastBatch + at)
    for (const size of [...spread(cut), wholeSize]) {
      rmSync(copy, { recursive: true })
      cpSync(path, copy, { recursive: true, filter: (name) => !name.endsWith('reserve') })
      linkSync(join(path, 'main', 'reserve'), join(copy, 'main', 'reserve'))
      const file = join(copy, 'main', 'segments', firstSegment)
      truncateSync(file, size)
      const trail = await openTrail({ path: copy, signer, fs })
      const whole = size === wholeSize
      strictEqual(trail.size, whole ? 4n : 3n, `${size}`)
      const torn: Buffer = segment.bytes.subarray(lastBatch, size)
      const kept = quarantined(copy)
      if (whole || torn.length === 0) deepStrictEqual([trail.notices, kept], [[], []])
      else {
        deepStrictEqual(
          trail.notices,
          kept.map(({ name }) => ({
            action: 'audit.recovered',
            details: { quarantinedBytes: torn.length, file: `quarantine/${name}` },
          })),
        )
        deepStrictEqual(kept[0]?.bytes, torn)
      }
      await trail.write([entryAt(100)])
      await trail.close()
      const verdict = await verifyTrail(copy, { vkey: trail.vkey })
      deepStrictEqual(
        [verdict.verdict, verdict.size, verdict.unsignedTail],
        ['valid', trail.size, undefined],
        `${size}`,
      )
    }
    strictEqual((await collect(copy)).length, 5)
  })

  test('a killed writer’s complete batches count, and a new segment begins', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 3)
    const trail = await openTrail({ path, signer, fs })
    deepStrictEqual([trail.size, trail.notices], [9n, []])
    await trail.write(entriesFrom(9, 1))
    await trail.close()
    deepStrictEqual(
      segmentsIn(trail.path).map(({ name }) => Number.parseInt(name, 10)),
      [0, 9],
    )
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => entry),
      entriesFrom(0, 10),
    )
  })

  test('the batch counts as safe only when it was synced again: the page cache is no disk', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 1)
    const synced: string[] = []
    const watching: typeof fs = {
      ...fs,
      async open(name, how, mode) {
        const file = await fs.open(name, how, mode)
        return { ...file, sync: async () => void synced.push(name) }
      },
    }
    const trail = await openTrail({ path, signer, fs: watching })
    ok(synced.includes(join(trail.path, 'segments', firstSegment)))
    await trail.close()
  })

  test('pages of the last batch that never reached the disk are cut with it', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 2)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    const bytes = Buffer.from(segment.bytes)
    bytes.fill(0, bytes.length - 900, bytes.length - 500)
    writeFileSync(segment.path, bytes)
    const trail = await openTrail({ path, signer, fs })
    strictEqual(trail.size, 5n)
    deepStrictEqual(quarantined(path)[0]?.bytes, bytes.subarray(-(trail.notices[0]?.details.quarantinedBytes ?? 0)))
    await trail.close()
    strictEqual((await verifyTrail(path)).verdict, 'valid')
  })

  test('a segment without a good commit moves away whole, and is told until an entry tells it', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 0)
    const name = '00000000000000000003.jsonl'
    const torn = '{"schema":"keytrail/1","eventID":"019c13'
    const notices = [0, 1].map((time) => ({
      action: 'audit.recovered' as const,
      details: { quarantinedBytes: torn.length, file: `quarantine/${name}.${time}` },
    }))
    for (let time = 0; time < 2; time++) {
      writeFileSync(join(path, 'main', 'segments', name), torn)
      const trail = await openTrail({ path, signer, fs })
      deepStrictEqual(trail.notices, notices.slice(0, time + 1))
      await trail.close()
    }
    const trail = await openTrail({ path, signer, fs })
    deepStrictEqual(trail.notices, notices)
    await trail.write(notices.map((notice, at) => entryOf(notice, 3 + at)))
    await trail.close()
    deepStrictEqual(
      quarantined(path).map(({ bytes }) => String(bytes)),
      [torn, torn],
    )
    const again = await openTrail({ path, signer, fs })
    deepStrictEqual([again.size, again.notices], [5n, []])
    await again.close()
    strictEqual((await verifyTrail(path)).size, 5n)
  })

  test('is left alone by who may not write: another signer, a trail of another name', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 1)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    truncateSync(segment.path, segment.bytes.length - 10)
    await refused(() => openTrail({ path, signer: signerOf(8), fs }), 'INVALID_INPUT', /its own signer/)
    await refused(() => openTrail({ path, signer, fs, origin: 'another' }), 'INVALID_INPUT', /is called/)
    strictEqual(readFileSync(segment.path).length, segment.bytes.length - 10)
    deepStrictEqual(quarantined(path), [])
  })

  test('a crash at birth: an empty segment, or no checkpoint yet, is no damage', async (t) => {
    const path = await killedWriter(folderFor(t), 0, 0)
    rmSync(join(path, 'main', 'checkpoint'))
    await (await openTrail({ path, signer, fs })).close()
    writeFileSync(join(path, 'main', 'segments', firstSegment), '')
    strictEqual((await verifyTrail(path)).verdict, 'valid')
    const trail = await openTrail({ path, signer, fs })
    await trail.write(entriesFrom(0, 2))
    await trail.close()
    strictEqual((await verifyTrail(path)).size, 2n)
    deepStrictEqual(quarantined(path), [])
  })
})

describe('what no crash leaves', () => {
  test('below the published checkpoint nothing is cut', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 0)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    for (let size = 0; size < segment.bytes.length; size += 37) {
      truncateSync(segment.path, size)
      await refused(() => openTrail({ path, signer, fs }), 'INTERNAL', /damaged/)
      strictEqual(readFileSync(segment.path).length, size)
      writeFileSync(segment.path, segment.bytes)
    }
    deepStrictEqual(quarantined(path), [])
    await (await openTrail({ path, signer, fs })).close()
  })

  test('damage before a good commit line is refused, although the checkpoint does not reach so far', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 3)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    const firstCommit = segment.bytes.indexOf('\n', segment.bytes.indexOf('{"commit"')) + 1
    const lastCommit = segment.bytes.lastIndexOf('{"commit"')
    const lastBatch = segment.bytes.indexOf('\n', segment.bytes.lastIndexOf('{"commit"', lastCommit - 1)) + 1
    let checked = 0
    for (let at = firstCommit; at < lastBatch; at += 29) {
      const bytes: Buffer = Buffer.from(segment.bytes)
      bytes[at] = (bytes[at] ?? 0) ^ 2
      // The signatures of commit lines but the last are for verifyTrail: openTrail compares their roots.
      if (bytes.subarray(bytes.lastIndexOf(10, at), at).includes('— ')) continue
      writeFileSync(segment.path, bytes)
      await refused(() => openTrail({ path, signer, fs }), 'INTERNAL', /damaged/)
      deepStrictEqual(readFileSync(segment.path), bytes)
      strictEqual((await verifyTrail(path)).verdict, 'tampered', `byte ${at}`)
      checked++
    }
    ok(checked > 50)
    deepStrictEqual(quarantined(path), [])
  })

  test('a checkpoint signed for other entries is refused, although both signatures are good', async (t) => {
    const path = await killedWriter(folderFor(t), 3, 1)
    const other = await killedWriter(folderFor(t), 3, 1, () => entriesFrom(50, 2))
    const trail = await openTrail({ path: other, signer, fs })
    await trail.close()
    cpSync(join(trail.path, 'checkpoint'), join(path, 'main', 'checkpoint'))
    await refused(() => openTrail({ path, signer, fs }), 'INTERNAL', /not of these entries/)
    strictEqual((await verifyTrail(path)).problem, 'the published checkpoint is not of these entries')
  })

  test('a missing checkpoint or trail.json beside segments is refused', async (t) => {
    for (const name of ['checkpoint', 'trail.json']) {
      const path = await killedWriter(folderFor(t), 3, 1)
      rmSync(join(path, 'main', name))
      await refused(() => openTrail({ path, signer, fs }), 'INTERNAL', /missing/)
      strictEqual((await collect(path)).length, 5)
      ok((await verifyTrail(path)).verdict !== 'valid')
    }
  })
})

describe('the anchor of a keystore', () => {
  const anchorOf = async (path: string): Promise<Receipt> => {
    const trail = await openTrail({ path, signer, fs })
    const receipt = await trail.write([])
    await trail.close()
    return receipt
  }

  test('is where nothing may be cut: a torn tail before it is damage, and stays', async (t) => {
    const path = await killedWriter(folderFor(t), 2, 2)
    const whole = folderFor(t)
    copyFolder(path, whole)
    const anchor = await anchorOf(whole)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    truncateSync(segment.path, segment.bytes.length - 10)
    await refused(() => openTrail({ path, signer, fs, anchor }), 'INTERNAL', /damaged/)
    strictEqual(readFileSync(segment.path).length, segment.bytes.length - 10)
    deepStrictEqual(quarantined(path), [])
    const trail = await openTrail({ path, signer, fs, anchor: { ...anchor, origin: 'another' } })
    strictEqual(trail.size, 4n)
    await trail.close()
  })

  test('is no hindrance to cutting what comes after it', async (t) => {
    const path = await killedWriter(folderFor(t), 2, 2)
    const [segment] = segmentsIn(join(path, 'main'))
    ok(segment)
    truncateSync(segment.path, segment.bytes.length - 10)
    const anchor = { origin: 'keytrail/test', size: 4n, root: new Uint8Array(32) }
    const trail = await openTrail({ path, signer, fs, anchor })
    strictEqual(trail.size, 4n)
    await trail.close()
  })

  test('beyond the end of a trail in good order: it was taken back, unless an entry accepts that', async (t) => {
    const path = await killedWriter(folderFor(t), 2, 0)
    const anchor = { origin: 'keytrail/test', size: 3n, root: new Uint8Array(32).fill(5) }
    await refused(() => openTrail({ path, signer, fs, anchor }), 'ROLLED_BACK', /2 entries, but .* when it had 3/)
    const trail = await openTrail({ path, signer, fs })
    const root = Buffer.from(anchor.root).toString('base64')
    const restored = { keystore: 'k', generation: 7, anchorSize: '4', anchorRoot: root }
    await trail.write([entryAt(2, { action: 'audit.restored', details: restored })])
    await trail.close()
    const accepted = { ...anchor, size: 4n }
    await (await openTrail({ path, signer, fs, anchor: accepted })).close()
    await refused(() => openTrail({ path, signer, fs, anchor: { ...accepted, size: 5n } }), 'ROLLED_BACK', /had 5/)
    const other = { ...accepted, root: new Uint8Array(32) }
    await refused(() => openTrail({ path, signer, fs, anchor: other }), 'ROLLED_BACK', /had 4/)
  })

  test('must be a receipt', async (t) => {
    const anchor = { origin: 'keytrail/test', size: 4n, root: new Uint8Array(31) }
    await refused(() => openTrail({ path: folderFor(t), signer, anchor }), 'INVALID_INPUT', /anchor must be a receipt/)
  })
})

describe('a sync that fails', () => {
  test('is not repeated on its file: the segment is written anew', async (t) => {
    for (const tear of [0, 10]) {
      const path = await killedWriter(folderFor(t), 3, 2)
      const [segment] = segmentsIn(join(path, 'main'))
      ok(segment)
      if (tear > 0) truncateSync(segment.path, segment.bytes.length - tear)
      const inode = nodeFileSystem.status(segment.path)?.inode
      // Held open, so that its number is not given to another file when it is gone.
      const held = openSync(segment.path, 'r')
      let failed = 0
      const failing: typeof fs = {
        ...fs,
        async open(name, how, mode) {
          const file = await fs.open(name, how, mode)
          if (!name.endsWith('.jsonl') || how !== 'append') return file
          const sync = async () => {
            failed++
            throw Object.assign(new Error('EIO'), { code: 'EIO' })
          }
          return { ...file, sync }
        },
      }
      const trail = await openTrail({ path, signer, fs: failing })
      ok(failed > 0)
      strictEqual(trail.size, tear === 0 ? 7n : 5n)
      ok(nodeFileSystem.status(segment.path)?.inode !== inode)
      closeSync(held)
      await trail.close()
      strictEqual((await verifyTrail(path)).verdict, 'valid')
    }
  })
})
