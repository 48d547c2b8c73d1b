/** @node Another key signs from here on: handed over by an entry, and whoever trusts either key can follow. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { engine } from '#engine'
import { KmsClient } from '../../src/client.ts'
import type { Signer } from '../../src/model/signer.ts'
import { openLocalKms } from '../../src/providers/local/open.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { fileSigner, openTrail, type Trail, verifyTrail } from '../../src/trail/index.ts'
import { noteSigner } from '../../src/trail/note.ts'
import { copyFolder } from '../copy-folder.ts'
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
import { connected, entryOf, opened, vkeyOf } from './log.ts'

const origin = 'keytrail/test'
const fs = hastyFileSystem
const [first, second, third] = [signerOf(7), signerOf(8), signerOf(9)]
const [vkey1, vkey2, vkey3] = [vkeyOf(7, origin), vkeyOf(8, origin), vkeyOf(9, origin)]
const after = (previous: Signer, signer: Signer): Signer => ({ ...signer, previous })
const handover = { action: 'audit.key_rotated', details: { vkey: vkey2, previousVkey: vkey1 } } as const

async function trailOf(path: string, entries = 3): Promise<Trail> {
  const trail = await openTrail({ path, signer: first, origin, fs, clock: handClock() })
  if (entries > 0) await trail.write(entriesFrom(0, entries))
  return trail
}

/** How many keys signed each commit, in order. */
function signatures(trail: string): number[] {
  const lines = segmentsIn(trail).flatMap(({ bytes }) => bytes.toString('utf8').split('\n'))
  return lines.filter((line) => line.startsWith('{"commit"')).map((line) => line.split('\\n— ').length - 1)
}

function keysIn(trail: string): [string, number][] {
  const { vkeys } = JSON.parse(readFileSync(join(trail, 'trail.json'), 'utf8')) as {
    vkeys: { vkey: string; fromIndex: number }[]
  }
  return vkeys.map(({ vkey, fromIndex }) => [vkey, fromIndex])
}

async function validBy(path: string, vkeys: readonly string[]): Promise<void> {
  for (const vkey of vkeys) {
    const verdict = await verifyTrail(path, { vkey })
    strictEqual(verdict.verdict, 'valid', `${vkey}: ${verdict.problem}`)
  }
}

describe('a trail whose signer has another key now', () => {
  test('goes on with the old key until the entry is there, whose batch both sign', async (t) => {
    const path = folderFor(t)
    await (await trailOf(path)).close()
    const trail = await openTrail({ path, signer: after(first, second), fs })
    deepStrictEqual([trail.vkey, trail.facts.vkey, trail.notices], [vkey1, vkey1, [handover]])
    await trail.write(entriesFrom(3, 1))
    strictEqual(trail.vkey, vkey1)
    await trail.write([entryAt(4), entryOf(handover, 5), entryAt(6)])
    strictEqual(trail.vkey, vkey2)
    await trail.write(entriesFrom(7, 1))
    await trail.close()
    deepStrictEqual(signatures(trail.path), [1, 1, 2, 1])
    deepStrictEqual(keysIn(trail.path), [
      [vkey1, 0],
      [vkey2, 7],
    ])
    await validBy(path, [vkey1, vkey2])
    strictEqual((await verifyTrail(path, { vkey: vkey3 })).verdict === 'valid', false)
    const again = await openTrail({ path, signer: second, fs })
    deepStrictEqual([again.vkey, again.notices, again.size], [vkey2, [], 8n])
    await again.close()
    await refused(() => openTrail({ path, signer: first, fs }), 'INVALID_INPUT', /its own signer/)
  })

  test('is handed to the newest key at once, however often the key was changed meanwhile', async (t) => {
    const path = folderFor(t)
    await (await trailOf(path)).close()
    const trail = await opened(await openTrail({ path, signer: after(after(first, second), third), fs }))
    strictEqual(trail.vkey, vkey3)
    await trail.close()
    deepStrictEqual(keysIn(trail.path), [
      [vkey1, 0],
      [vkey3, 5],
    ])
    await validBy(path, [vkey1, vkey3])
  })

  test('may be empty yet', async (t) => {
    const path = folderFor(t)
    await (await trailOf(path, 0)).close()
    const trail = await opened(await openTrail({ path, signer: after(first, second), fs }))
    await trail.write(entriesFrom(2, 1))
    await trail.close()
    deepStrictEqual(signatures(trail.path), [2, 1])
    await validBy(path, [vkey1, vkey2])
  })

  test('three times, from key to key', async (t) => {
    const path = folderFor(t)
    let signer = first
    await (await trailOf(path)).close()
    for (const next of [second, third, signerOf(10)]) {
      signer = after(signer, next)
      const trail = await opened(await openTrail({ path, signer, fs }))
      await trail.write(entriesFrom(Number(trail.size), 2))
      await trail.close()
    }
    deepStrictEqual(
      keysIn(join(path, 'main')).map(([vkey]) => vkey),
      [vkey1, vkey2, vkey3, vkeyOf(10, origin)],
    )
    await validBy(path, [vkey1, vkey2, vkey3, vkeyOf(10, origin)])
  })

  test('is not handed over by an entry of another trail', async (t) => {
    const path = folderFor(t)
    await (await trailOf(path)).close()
    const trail = await openTrail({ path, signer: after(first, second), fs })
    const foreign = { vkey: vkeyOf(8, 'other'), previousVkey: vkeyOf(7, 'other') }
    await trail.write([entryAt(3, { action: 'audit.key_rotated', details: foreign })])
    strictEqual(trail.vkey, vkey1)
    await trail.close()
    deepStrictEqual(signatures(trail.path), [1, 1])
    await validBy(path, [vkey1])
  })
})

describe('rotateSigner', () => {
  test('hands a living trail over, once the entry is accepted', async (t) => {
    const path = folderFor(t)
    const trail = connected(await trailOf(path))
    await trail.rotateSigner(second)
    strictEqual(trail.vkey, vkey2)
    await trail.write(entriesFrom(4, 1))
    await trail.rotateSigner(second)
    strictEqual(trail.size, 5n)
    await trail.rotateSigner(third)
    await trail.write(entriesFrom(6, 1))
    await trail.close()
    deepStrictEqual(signatures(trail.path), [1, 2, 1, 2, 1])
    await validBy(path, [vkey1, vkey2, vkey3])
  })

  test('needs an audit, a key that signs, and one handover at a time', async (t) => {
    const trail = await trailOf(folderFor(t))
    await refused(() => trail.rotateSigner(second), 'INVALID_INPUT', /audit first/)
    trail.connect({ note: () => new Promise(() => {}) })
    await refused(() => trail.rotateSigner({ ...second, sign: first.sign }), 'INVALID_INPUT', /does not sign/)
    const short = { ...second, publicKey: new Uint8Array(31) }
    await refused(() => trail.rotateSigner(short), 'INVALID_INPUT', /public key/)
    void trail.rotateSigner(second)
    await refused(() => trail.rotateSigner(third), 'INVALID_INPUT', /being handed over/)
    await trail.close()
    await refused(() => trail.rotateSigner(second), 'CLOSED', /closed/)
  })

  test('with keys in files', async (t) => {
    const folder = folderFor(t)
    const path = join(folder, 'audit')
    const old = await fileSigner(join(folder, 'old.key'))
    const trail = await openTrail({ path, signer: old })
    await trail.write(entriesFrom(0, 1))
    await trail.close()
    const signer = await fileSigner(join(folder, 'new.key'), { previous: old })
    await (await opened(await openTrail({ path, signer }))).close()
    const inside = await fileSigner(join(path, 'inside.key'))
    const previous = await fileSigner(join(folder, 'newer.key'), { previous: inside })
    await refused(() => openTrail({ path, signer: previous }), 'INVALID_INPUT', /inside the trail/)
    strictEqual((await verifyTrail(path, { vkey: trail.vkey })).verdict, 'valid')
  })
})

test('a keystore whose signer was changed, and a process that died before the trail heard of it', async (t) => {
  const folder = folderFor(t)
  const [keys, path] = [join(folder, 'keys'), join(folder, 'audit')]
  const rootKey = new Uint8Array(32).fill(1)
  const vkeys: string[] = []
  for (const change of [true, false, false]) {
    const local = await openLocalKms({ path: keys, rootKey, fs })
    const trail = await openTrail({ path, signer: local.auditSigner(), fs })
    const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
    vkeys.push(trail.vkey)
    if (change) await kms.rotateAuditSigner()
    else await kms.listKeys()
    await kms.close()
  }
  const [old = '', still, next = ''] = vkeys
  deepStrictEqual([still, next === old], [old, false])
  await validBy(path, [old, next])
})

describe('a crash while handing over', () => {
  /** Fails to put a new trail.json in place. */
  function stubborn(): { readonly fs: typeof nodeFileSystem; fails: boolean } {
    const state = {
      fails: false,
      fs: {
        ...fs,
        async rename(from: string, to: string) {
          if (state.fails && to.endsWith('trail.json')) throw Object.assign(new Error('EIO'), { code: 'EIO' })
          await nodeFileSystem.rename(from, to)
        },
      },
    }
    return state
  }

  function copyOf(trail: Trail, to: string): string {
    copyFolder(trail.path, join(to, 'main'), (name) => !/lock\.\d/.test(name))
    return to
  }

  test('after the commit, before trail.json: nothing else is written first, and the next opening goes on', async (t) => {
    const path = folderFor(t)
    await (await trailOf(path)).close()
    const disk = stubborn()
    const trail = await openTrail({ path, signer: after(first, second), fs: disk.fs, clock: handClock() })
    disk.fails = true
    const { size } = await trail.write([entryOf(handover, 3)])
    strictEqual(size, 4n)
    await refused(() => trail.write(entriesFrom(4, 1)), 'PROVIDER_UNAVAILABLE', /trail\.json/)
    const crashed = copyOf(trail, folderFor(t))
    deepStrictEqual(keysIn(join(crashed, 'main')), [[vkey1, 0]])
    disk.fails = false
    await trail.write(entriesFrom(4, 1))
    await trail.close()
    await validBy(path, [vkey1, vkey2])

    await validBy(crashed, [vkey1])
    await refused(() => openTrail({ path: crashed, signer: first, fs }), 'INVALID_INPUT', /its own signer/)
    const again = await openTrail({ path: crashed, signer: after(first, second), fs })
    deepStrictEqual([again.vkey, again.notices, again.size], [vkey2, [], 4n])
    await again.write(entriesFrom(4, 1))
    await again.close()
    deepStrictEqual(keysIn(again.path), [
      [vkey1, 0],
      [vkey2, 4],
    ])
    await validBy(crashed, [vkey1, vkey2])
  })

  test('within the commit: it is cut, and the handover comes again', async (t) => {
    const path = folderFor(t)
    const alive = await trailOf(path)
    await alive.close()
    const clock = handClock()
    const trail = await openTrail({ path, signer: after(first, second), fs, clock })
    const [before] = segmentsIn(trail.path)
    const aboutBefore = readFileSync(join(trail.path, 'trail.json'))
    await trail.write([entryOf(handover, 3)])
    const [whole] = segmentsIn(trail.path)
    ok(before && whole)
    const crashed = copyOf(trail, folderFor(t))
    await trail.close()
    for (let at = before.bytes.length + 1; at < whole.bytes.length; at += 97) {
      const copy = folderFor(t)
      copyFolder(crashed, copy)
      // As it was before the commit.
      writeFileSync(join(copy, 'main', 'trail.json'), aboutBefore)
      truncateSync(join(copy, 'main', 'segments', whole.name), at)
      const again = await openTrail({ path: copy, signer: after(first, second), fs })
      deepStrictEqual([again.vkey, again.size], [vkey1, 3n])
      deepStrictEqual(
        again.notices.map(({ action }) => action),
        ['audit.recovered', 'audit.key_rotated'],
      )
      await opened(again)
      await again.close()
      await validBy(copy, [vkey1, vkey2])
    }
  })

  test('before the checkpoint is published: the old one still counts, but not beyond the handover', async (t) => {
    const path = folderFor(t)
    await (await trailOf(path)).close()
    const trail = await openTrail({ path, signer: after(first, second), fs, clock: handClock() })
    await trail.write([entryOf(handover, 3)])
    await trail.write(entriesFrom(4, 2))
    const crashed = copyOf(trail, folderFor(t))
    const { root, size } = await trail.write([])
    await trail.close()
    strictEqual(readFileSync(join(crashed, 'main', 'checkpoint'), 'utf8').split('\n')[1], '3')
    const forged = folderFor(t)
    copyFolder(crashed, forged)
    const again = await openTrail({ path: crashed, signer: second, fs })
    strictEqual(again.size, 6n)
    await again.close()
    strictEqual((await collect(crashed)).length, 6)

    const text = `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`
    writeFileSync(join(forged, 'main', 'checkpoint'), noteSigner(engine, origin, first).sign(text))
    await refused(() => openTrail({ path: forged, signer: second, fs }), 'INTERNAL', /not signed by this key/)
  })
})
