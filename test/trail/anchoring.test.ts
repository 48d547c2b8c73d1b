/** @node Pins and witnesses of a living trail: beside its work, never in its way. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { engine } from '#engine'
import { openTrail, pinTrail, type Trail, type TrailOptions, verifyTrail } from '../../src/trail/index.ts'
import { parseNote } from '../../src/trail/note.ts'
import { verifyConsistency } from '../../src/trail/tree/proofs.ts'
import { cosignerOf } from './cosigner.ts'
import { entriesFrom, folderFor, handClock, hastyFileSystem, refused, signerOf } from './entries.ts'
import { until, whilePassing } from './log.ts'
import { cosigns, hangs, refuses, witnessServer } from './witness-server.ts'

const signer = signerOf(7)
const origin = 'keytrail/test'
const hour = 3_600_000

function open(path: string, more: Partial<TrailOptions> = {}): Promise<Trail> {
  return openTrail({ path, signer, origin, fs: hastyFileSystem, clock: handClock(), ...more })
}

const sizeOf = (note: string) => Number(note.split('\n')[1])
const sizeIn = (file: string) => sizeOf(readFileSync(file, 'utf8'))

describe('a pin', () => {
  test('is kept on close, every hour when entries came, and by command', async (t) => {
    const folder = folderFor(t)
    const [path, file] = [join(folder, 'audit'), join(folder, 'audit.pin')]
    const clock = handClock()
    const trail = await open(path, { clock, pin: { file } })
    await trail.write(entriesFrom(0, 2))
    await trail.flush()
    clock.pass(hour - 1)
    await trail.flush()
    ok(!existsSync(file))
    clock.pass(1)
    await until(() => existsSync(file))
    strictEqual(sizeIn(file), 2)
    await trail.write(entriesFrom(2, 2))
    const note = await trail.pin()
    deepStrictEqual([sizeIn(file), readFileSync(file, 'utf8')], [4, note])
    await trail.write(entriesFrom(4, 2))
    await trail.close()
    strictEqual(sizeIn(file), 6)
    strictEqual((await verifyTrail(path, { vkey: trail.vkey, pin: file })).anchor, 'pin')
  })

  test('may be kept by a function, which waits for nothing and fails as it likes', async (t) => {
    const kept: number[] = []
    let isBroken = false
    const pin = async (note: string) => {
      if (isBroken) throw new TypeError('secret')
      kept.push(sizeOf(note))
    }
    const trail = await open(folderFor(t), { pin })
    await trail.write(entriesFrom(0, 3))
    await trail.pin()
    deepStrictEqual(kept, [3])
    isBroken = true
    await refused(() => trail.pin(), 'PROVIDER_UNAVAILABLE', /^the function given as pin failed$/)
    match(trail.health().problems[0] ?? '', /not pinned: the function given as pin failed/)
    await trail.write(entriesFrom(3, 1))
    isBroken = false
    await trail.close()
    deepStrictEqual(kept, [3, 4])
  })

  test('that cannot be kept at close is told when the trail is closed, and the lock is given back', async (t) => {
    const path = folderFor(t)
    const trail = await open(path, { pin: () => Promise.reject(new Error('down')) })
    await trail.write(entriesFrom(0, 1))
    await refused(() => trail.close(), 'PROVIDER_UNAVAILABLE', /function given as pin failed/)
    await (await open(path)).close()
  })

  test('that hangs holds up the close for three seconds, and no write', async (t) => {
    const clock = handClock()
    const trail = await open(folderFor(t), { clock, pin: () => new Promise(() => {}) })
    await trail.write(entriesFrom(0, 1))
    void trail.pin()
    await trail.write(entriesFrom(1, 1))
    const closing = trail.close()
    await refused(() => whilePassing(clock, closing), 'PROVIDER_UNAVAILABLE', /not pinned within 3000 ms/)
  })

  test('of a trail that was taken back stays as it is', async (t) => {
    const folder = folderFor(t)
    const file = join(folder, 'audit.pin')
    const ahead = await open(join(folder, 'one'), { pin: { file } })
    await ahead.write(entriesFrom(0, 5))
    await ahead.close()
    const behind = await open(join(folder, 'two'), { pin: { file } })
    await behind.write(entriesFrom(0, 3))
    await refused(() => behind.pin(), 'ROLLED_BACK', /rolled back/)
    await refused(() => behind.close(), 'ROLLED_BACK', /rolled back/)
    strictEqual(sizeIn(file), 5)
  })

  test('within the trail’s own folder is refused, as is a time that cannot be', async (t) => {
    const path = folderFor(t)
    await refused(() => open(path, { pin: { file: join(path, 'x', 'pin') } }), 'INVALID_INPUT', /inside the trail/)
    for (const everyMs of [0, -1, 0.5, 2 ** 31])
      await refused(() => open(path, { pin: { file: '/pin', everyMs } }), 'INVALID_INPUT', /everyMs/)
    await refused(() => open(path, { pin: { file: '' } }), 'INVALID_INPUT', /pin must be/)
  })

  test('of a trail on the disk, by pinTrail: one trail, signed by the key that is asked for', async (t) => {
    const folder = folderFor(t)
    const [path, out] = [join(folder, 'audit'), join(folder, 'audit.pin')]
    const trail = await open(path)
    const { root } = await trail.write(entriesFrom(0, 2))
    await trail.flush()
    const pinned = await pinTrail(path, { out, vkey: trail.vkey })
    deepStrictEqual(pinned, { instance: 'main', origin, size: 2n, root, note: readFileSync(out, 'utf8') })
    const other = await open(path, { instance: 'other', origin: 'keytrail/other' })
    await refused(() => pinTrail(path, { out }), 'INVALID_INPUT', /several trails/)
    await refused(() => pinTrail(other.path, { out }), 'INVALID_INPUT', /pin of another trail/)
    await refused(() => pinTrail(trail.path, { out, vkey: other.vkey }), 'INVALID_INPUT', /no key was given/)
    writeFileSync(join(trail.path, 'checkpoint'), 'nothing')
    await refused(() => pinTrail(trail.path, { out }), 'INTERNAL', /not signed/)
    strictEqual(sizeIn(out), 2)
    await other.close()
  })
})

describe('witnesses', () => {
  const witness = cosignerOf(1)

  async function witnessed(t: TestContext, more: Partial<TrailOptions> = {}) {
    const server = await witnessServer(t, cosigns(witness))
    const clock = handClock()
    const path = folderFor(t)
    const options = { clock, witnesses: [{ url: server.url, vkey: witness.vkey }], ...more }
    return { server, clock, path, options, trail: await open(path, options) }
  }

  test('cosign what is published, once a minute and on close, with proofs that hold', async (t) => {
    const { server, clock, path, trail } = await witnessed(t)
    const file = join(trail.path, 'witnessed')
    const roots = new Map<string, Uint8Array>()
    const write = async (count: number) => {
      const { size, root } = await trail.write(entriesFrom(Number(trail.size), count))
      roots.set(String(size), root)
      await trail.flush()
    }
    await write(3)
    await server.askedTimes(1)
    await write(4)
    await write(5)
    await until(() => trail.health().witnesses[0]?.size === 3n)
    strictEqual(server.asked.length, 1)
    clock.pass(60_000)
    await server.askedTimes(2)
    await write(300)
    await trail.close()
    strictEqual(server.asked.length, 3)
    deepStrictEqual(
      server.asked.map(({ old, note }) => [old, sizeOf(note)]),
      [
        ['old 0', 3],
        ['old 3', 12],
        ['old 12', 312],
      ],
    )
    for (const { old, note, proof } of server.asked.slice(1)) {
      const [from, to] = [old.slice(4), String(sizeOf(note))]
      const hashes = proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64')))
      const fromRoot = roots.get(from) ?? new Uint8Array()
      const toRoot = roots.get(to) ?? new Uint8Array()
      ok(verifyConsistency(engine, { from: BigInt(from), fromRoot, to: BigInt(to), toRoot, proof: hashes }))
    }
    strictEqual(sizeIn(file), 312)
    strictEqual(parseNote(readFileSync(file, 'utf8'))?.signatures.length, 2)
    const verdict = await verifyTrail(path, { vkey: trail.vkey, witness: witness.vkey })
    deepStrictEqual([verdict.verdict, verdict.anchor], ['valid', 'witness'])
  })

  test('are known again by what they cosigned before, and pins carry it', async (t) => {
    const { server, options, path, trail } = await witnessed(t)
    await trail.write(entriesFrom(0, 2))
    await trail.close()
    strictEqual(server.asked.length, 1)
    const again = await open(path, options)
    const note = await again.pin()
    strictEqual(parseNote(note)?.signatures.length, 2)
    deepStrictEqual(again.health().witnesses[0]?.size, 2n)
    await again.write(entriesFrom(2, 1))
    await again.close()
    deepStrictEqual(server.asked.at(-1)?.old, 'old 2')
    const out = join(folderFor(t), 'pin')
    const pinned = await pinTrail(path, { out })
    deepStrictEqual([pinned.size, parseNote(pinned.note)?.signatures.length], [3n, 2])
  })

  test('that are sick hinder nobody, are told, and hold up the close for three seconds at most', async (t) => {
    const { server, clock, trail } = await witnessed(t)
    server.answer(refuses(500), hangs)
    await trail.write(entriesFrom(0, 1))
    await trail.flush()
    await server.askedTimes(1)
    await until(() => trail.health().witnesses[0]?.problem !== undefined)
    strictEqual(trail.health().witnesses[0]?.url, server.url)
    strictEqual((await trail.write(entriesFrom(1, 1))).size, 2n)
    clock.pass(3_600_000)
    await trail.flush()
    await whilePassing(clock, trail.close())
    ok(!existsSync(join(trail.path, 'witnessed')))
  })

  test('must be addressed as such', async (t) => {
    const path = folderFor(t)
    const witnesses = [{ url: 'ftp://witness', vkey: witness.vkey }]
    await refused(() => open(path, { witnesses }), 'INVALID_INPUT', /http/)
    // @ts-expect-error: not a list
    await refused(() => open(path, { witnesses: {} }), 'INVALID_INPUT', /witnesses must be a list/)
    await (await open(path)).close()
  })
})
