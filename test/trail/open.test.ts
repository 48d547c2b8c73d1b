/** @node The trail as a sink: what it writes, when it publishes, whom it lets write. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lineOf } from '../../src/model/line.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { fileSigner, openTrail, verifyTrail } from '../../src/trail/index.ts'
import { collect, entriesFrom, entryAt, folderFor, handClock, refused, segmentsIn, signerOf } from './entries.ts'

const origin = 'keytrail/test'
const signer = signerOf(7)

describe('what is written', () => {
  test('golden bytes: the same entries, signer and clock give the same files for ever', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer, origin, clock: handClock() })
    await trail.write(entriesFrom(0, 3))
    await trail.write(entriesFrom(3, 1))
    await trail.close()
    const [segment] = segmentsIn(trail.path)
    const lines = segment?.bytes.toString('utf8').split('\n') ?? []
    strictEqual(segment?.name, '00000000000000000000.jsonl')
    deepStrictEqual(lines.slice(0, 3), entriesFrom(0, 3).map(lineOf))
    strictEqual(
      lines[3],
      '{"commit":{"from":0,"size":3},"checkpoint":"keytrail/test\\n3\\n7/7SMAEnn+bvQNoxVIHA7Gj6xBYffLwwJdEUOIv/EYc=\\n\\n— keytrail/test wae5APrV4aCEHMj4+oaPC2F6w0k+C9RfzxmMwdc2UgluPNjkVMO2CFN0yTJ2tX6FK7kWG4au4yMM8EpkElQ78HwV5gQ=\\n"}',
    )
    strictEqual(lines[4], lineOf(entryAt(3)))
    strictEqual(lines.length, 7)
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
    strictEqual(
      sha256(segment?.bytes ?? new Uint8Array()),
      '7debfe21fd49c10ff2b673a6d8e948cae83d061422333d6542407c1e6767ab3e',
    )
    const published = readFileSync(join(trail.path, 'checkpoint'), 'utf8')
    strictEqual(`${JSON.stringify(published)}}`, lines[5]?.slice(lines[5].indexOf('"keytrail')))
    strictEqual(
      readFileSync(join(trail.path, 'trail.json'), 'utf8'),
      `{
  "format": "keytrail-trail/1",
  "origin": "keytrail/test",
  "vkeys": [
    {
      "vkey": "keytrail/test+c1a7b900+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs",
      "fromIndex": 0
    }
  ],
  "createdAt": "2026-01-31T12:00:00.000Z"
}
`,
    )
  })

  test('what went in comes out, over batches, segments and openings', async (t) => {
    const path = folderFor(t)
    const written = entriesFrom(0, 60)
    for (let opening = 0; opening < 3; opening++) {
      const trail = await openTrail({ path, signer, segmentBytes: 4000 })
      strictEqual(trail.size, BigInt(opening * 20))
      strictEqual(trail.facts.size, String(opening * 20))
      for (let at = 0; at < 20; at += 4) {
        const first = opening * 20 + at
        const receipt = await trail.write(written.slice(first, first + 4))
        deepStrictEqual([receipt.origin, receipt.size], [trail.origin, BigInt(first + 4)])
      }
      await trail.close()
    }
    const found = await collect(path)
    deepStrictEqual(
      found.map(({ entry }) => entry),
      written,
    )
    deepStrictEqual(
      found.map(({ index, covered, instance }) => [index, covered, instance]),
      written.map((_, at) => [BigInt(at), true, 'main']),
    )
    const names = segmentsIn(join(path, 'main')).map(({ name }) => name)
    ok(names.length > 5)
    const verdict = await verifyTrail(path)
    deepStrictEqual([verdict.verdict, verdict.size, verdict.problem], ['valid', 60n, undefined])
  })

  test('after a clean close the last segment goes on', async (t) => {
    const path = folderFor(t)
    for (let opening = 0; opening < 3; opening++) {
      const trail = await openTrail({ path, signer })
      await trail.write(entriesFrom(opening, 1))
      await trail.close()
    }
    const again = await openTrail({ path, signer })
    await again.close()
    strictEqual(segmentsIn(again.path).length, 1)
    strictEqual((await verifyTrail(path)).size, 3n)
  })

  test('a receipt is the tree that the verifier finds', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer })
    const receipt = await trail.write(entriesFrom(0, 7))
    deepStrictEqual(await trail.write([]), receipt)
    await trail.close()
    const { root, size, vkey, origin: named } = await verifyTrail(path, { vkey: trail.vkey })
    deepStrictEqual({ root, size, origin: named }, receipt)
    strictEqual(vkey, trail.vkey)
    strictEqual(receipt.root.buffer.byteLength, 32)
  })

  test('large batches and long lines fit; what no reader could read back is refused before it is written', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer })
    const many = entriesFrom(0, 5000)
    await trail.write(many)
    const long = entryAt(5000, { resourceIdentity: 'ü'.repeat(500_000) })
    await trail.write([long, entryAt(5001)])
    const tooLong = entryAt(5002, { resourceIdentity: 'ü'.repeat(600_000) })
    await refused(() => trail.write([entryAt(5002), tooLong]), 'INVALID_INPUT', /bytes, at most 1048576 fit/)
    strictEqual((await trail.write([entryAt(5003)])).size, 5003n)
    await trail.close()
    deepStrictEqual(
      (await collect(path)).map(({ entry }) => entry),
      [...many, long, entryAt(5001), entryAt(5003)],
    )
    strictEqual((await verifyTrail(path)).verdict, 'valid')
    await (await openTrail({ path, signer })).close()
  })

  test('origins are made unique', async (t) => {
    const path = folderFor(t)
    const one = await openTrail({ path, signer, instance: 'one' })
    const two = await openTrail({ path, signer, instance: 'two' })
    ok(/^keytrail\/[\w-]{22}$/.test(one.origin))
    ok(one.origin !== two.origin)
    await Promise.all([one.close(), two.close()])
  })

  test('files are for their owner only', async (t) => {
    const path = join(folderFor(t), 'audit')
    const trail = await openTrail({ path, signer })
    await trail.write(entriesFrom(0, 1))
    await trail.close()
    const modes = ['', 'segments', 'trail.json', 'checkpoint', 'segments/00000000000000000000.jsonl'].map(
      (name) => statSync(join(trail.path, name)).mode & 0o777,
    )
    deepStrictEqual(modes, [0o700, 0o700, 0o600, 0o600, 0o600])
  })
})

describe('the published checkpoint', () => {
  const sizeIn = (folder: string) => Number(readFileSync(join(folder, 'checkpoint'), 'utf8').split('\n')[1])

  test('stands from the start, follows within 50 ms of a write, and never runs ahead', async (t) => {
    const clock = handClock()
    const trail = await openTrail({ path: folderFor(t), signer, clock })
    strictEqual(sizeIn(trail.path), 0)
    await trail.write(entriesFrom(0, 1))
    await trail.write(entriesFrom(1, 1))
    strictEqual(sizeIn(trail.path), 0)
    clock.pass(50)
    await trail.flush()
    strictEqual(sizeIn(trail.path), 2)
    await trail.close()
  })

  test('is published by flush, by the end of a segment, and by close', async (t) => {
    const clock = handClock()
    const trail = await openTrail({ path: folderFor(t), signer, clock, segmentBytes: 100 })
    await trail.write(entriesFrom(0, 2))
    await trail.flush()
    strictEqual(sizeIn(trail.path), 2)
    await trail.write(entriesFrom(2, 1))
    await trail.close()
    strictEqual(sizeIn(trail.path), 3)
  })

  test('one that cannot be published delays nobody, and is tried again', async (t) => {
    const clock = handClock()
    let full = false
    const fs: typeof nodeFileSystem = {
      ...nodeFileSystem,
      async rename(from, to) {
        if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
        await nodeFileSystem.rename(from, to)
      },
    }
    const trail = await openTrail({ path: folderFor(t), signer, clock, fs })
    full = true
    await trail.write(entriesFrom(0, 1))
    clock.pass(50)
    await refused(() => trail.flush(), 'PROVIDER_UNAVAILABLE', /ENOSPC/)
    await trail.write(entriesFrom(1, 1))
    full = false
    await trail.flush()
    strictEqual(sizeIn(trail.path), 2)
    await trail.close()
  })
})

describe('one writer', () => {
  test('a second opening is refused until the first is closed', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer })
    await refused(() => openTrail({ path, signer }), 'LOCKED', /in use/)
    await trail.close()
    await trail.close()
    await (await openTrail({ path, signer })).close()
  })

  test('a second write before the first has settled is refused', async (t) => {
    const trail = await openTrail({ path: folderFor(t), signer })
    const first = trail.write(entriesFrom(0, 1))
    await refused(() => trail.write(entriesFrom(1, 1)), 'INTERNAL', /one batch at a time/)
    strictEqual((await first).size, 1n)
    strictEqual((await trail.write(entriesFrom(1, 1))).size, 2n)
    await trail.close()
  })

  test('a closed trail writes nothing more, and what was under way is finished', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer })
    const last = trail.write(entriesFrom(0, 5))
    await trail.close()
    strictEqual((await last).size, 5n)
    await refused(() => trail.write(entriesFrom(5, 1)), 'CLOSED', /closed/)
    strictEqual((await collect(path)).filter(({ covered }) => covered).length, 5)
  })

  test('who was deposed writes nothing more', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer })
    await trail.write(entriesFrom(0, 1))
    writeFileSync(join(trail.path, 'lock.2'), '{}')
    await refused(() => trail.write(entriesFrom(1, 1)), 'LOCKED', /taken over/)
    await refused(() => trail.flush().then(() => trail.close()), 'LOCKED', /taken over/)
    strictEqual((await collect(path)).length, 1)
  })

  test('a segment that was moved away or replaced is noticed, and not written around', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer })
    await trail.write(entriesFrom(0, 1))
    const [segment] = segmentsIn(trail.path)
    ok(segment)
    renameSync(segment.path, `${segment.path}.1`)
    await refused(() => trail.write(entriesFrom(1, 1)), 'PROVIDER_UNAVAILABLE', /moved or replaced/)
    await refused(() => trail.write(entriesFrom(1, 1)), 'PROVIDER_UNAVAILABLE', /put it back/)
    writeFileSync(segment.path, segment.bytes)
    await refused(() => trail.write(entriesFrom(1, 1)), 'PROVIDER_UNAVAILABLE', /within \d+ ms/)
    ok(!existsSync(join(trail.path, 'segments', '00000000000000000001.jsonl')))
    await trail.close()
  })
})

describe('refused at the door', () => {
  test('another signer, origin or retention than the trail was made with', async (t) => {
    const path = folderFor(t)
    const trail = await openTrail({ path, signer, origin, minRetentionDays: 30 })
    await trail.close()
    await refused(() => openTrail({ path, signer: signerOf(8) }), 'INVALID_INPUT', /its own signer/)
    await refused(() => openTrail({ path, signer, origin: 'other' }), 'INVALID_INPUT', /is called keytrail\/test/)
    await refused(() => openTrail({ path, signer, minRetentionDays: 29 }), 'INVALID_INPUT', /set to 30 for good/)
    await (await openTrail({ path, signer, origin, minRetentionDays: 30 })).close()
  })

  test('options that make no sense', async (t) => {
    const path = folderFor(t)
    for (const instance of ['', '..', 'a/b', '.hidden', 'x'.repeat(64)]) {
      await refused(() => openTrail({ path, signer, instance }), 'INVALID_INPUT', /instance/)
    }
    for (const name of ['', 'a b', 'a+b', 'a"b', 'a\\b', 'ä', 'a\n', 'x'.repeat(201)]) {
      await refused(() => openTrail({ path, signer, origin: name }), 'INVALID_INPUT', /origin/)
    }
    await refused(() => openTrail({ path: '', signer }), 'INVALID_INPUT', /path/)
    await refused(() => openTrail({ path, signer, segmentBytes: 0 }), 'INVALID_INPUT', /segmentBytes/)
    await refused(() => openTrail({ path, signer, minRetentionDays: 0.5 }), 'INVALID_INPUT', /minRetentionDays/)
    const short = { publicKey: new Uint8Array(31), sign: signer.sign }
    await refused(() => openTrail({ path, signer: short }), 'INVALID_INPUT', /signer/)
    deepStrictEqual(existsSync(join(path, 'main')), false)
    const mixed = { publicKey: signer.publicKey, sign: signerOf(8).sign }
    await refused(() => openTrail({ path, signer: mixed }), 'INVALID_INPUT', /does not sign with the key/)
  })

  test('a file system that forgets, unless it is allowed by name', async (t) => {
    const path = folderFor(t)
    const fs: typeof nodeFileSystem = { ...nodeFileSystem, filesystemNumber: async () => 0x01021994 }
    await refused(() => openTrail({ path, signer, fs }), 'INVALID_INPUT', /tmpfs/)
    const trail = await openTrail({ path, signer, fs, allowFilesystem: ['tmpfs'] })
    strictEqual(trail.facts.filesystem, 'tmpfs')
    ok(trail.facts.warnings?.[0]?.includes('tmpfs'))
    await trail.close()
  })
})

describe('fileSigner', () => {
  test('makes a key once, and signs a trail that its vkey verifies', async (t) => {
    const folder = folderFor(t)
    const file = join(folder, 'signer.key')
    const made = await fileSigner(file)
    const again = await fileSigner(file)
    deepStrictEqual(made.publicKey, again.publicKey)
    strictEqual(statSync(file).mode & 0o777, 0o600)
    ok(/^PRIVATE\+KEY\+keytrail\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\n$/.test(readFileSync(file, 'utf8')))
    const path = join(folder, 'audit')
    const trail = await openTrail({ path, signer: made })
    await trail.write(entriesFrom(0, 2))
    await trail.close()
    await (await openTrail({ path, signer: again })).close()
    strictEqual((await verifyTrail(path, { vkey: trail.vkey })).verdict, 'valid')
  })

  test('a key inside the trail is refused, as is a file that is no key or is open to all', async (t) => {
    const path = folderFor(t)
    const inside = await fileSigner(join(path, 'signer.key'))
    await refused(() => openTrail({ path, signer: inside }), 'INVALID_INPUT', /inside the trail/)
    const bad = join(path, 'bad.key')
    writeFileSync(bad, 'PRIVATE+KEY+keytrail+00000000+AAAA\n', { mode: 0o600 })
    await refused(() => fileSigner(bad), 'INVALID_INPUT', /not an Ed25519 key|no signing key/)
    writeFileSync(bad, '')
    await refused(() => fileSigner(bad), 'INVALID_INPUT', /no signing key/)
    const open = join(path, 'open.key')
    writeFileSync(open, readFileSync(join(path, 'signer.key')), { mode: 0o644 })
    await refused(() => fileSigner(open), 'INVALID_INPUT', /open to every user/)
  })
})

describe('open intents', () => {
  const intent = (at: number, operationID: string) =>
    entryAt(at, { action: 'kms.rotate', phase: 'intent', outcome: 'pending', operationID })
  const result = (at: number, operationID: string) => entryAt(at, { action: 'kms.rotate', operationID })

  test('are those found without a result; those written now are not among them', async (t) => {
    const path = folderFor(t)
    const before = await openTrail({ path, signer, segmentBytes: 500 })
    deepStrictEqual(await before.openIntents(), [])
    const lost = intent(3, 'lost')
    await before.write([intent(0, 'done'), entryAt(1)])
    await before.write([result(2, 'done'), lost, intent(4, 'late')])
    // Not a result: a pair of the encryption context that looks like one.
    await before.write([entryAt(5, { encryptionContext: { operationID: 'lost', phase: 'result' } })])
    // Nor is an amendment.
    await before.write([entryAt(6, { phase: 'amendment', operationID: 'lost' })])
    deepStrictEqual(await before.openIntents(), [])
    await before.close()

    const after = await openTrail({ path, signer })
    deepStrictEqual(await after.openIntents(), [lost, intent(4, 'late')])
    await after.write([intent(6, 'new')])
    await after.write([result(7, 'late')])
    deepStrictEqual(await after.openIntents(), [lost])
    await after.close()
  })
})
