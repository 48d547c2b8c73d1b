/** @node A keystore and a trail on the disk, taken back together and alone. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { KmsClient, type KmsClientOptions } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { KmsMiddleware } from '../../src/model/middleware.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { anyOf } from '../../src/sinks/combine.ts'
import { openTrail, readTrail, verifyTrail } from '../../src/trail/index.ts'
import { copyFolder } from '../copy-folder.ts'
import { freshFolder } from '../storage/folder.ts'

const plaintext = new Uint8Array(32)

/** A house of `keys` and `audit`; `copy` makes another of them as they are, `put` one part of another house into this. */
function house(folder: string) {
  return {
    folder,
    async open(options: Partial<KmsClientOptions> & { spare?: true } = {}) {
      const { spare, ...rest } = options
      const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: new Uint8Array(32).fill(7) })
      const signer = local.auditSigner()
      const trail = await openTrail({ path: join(folder, 'audit'), signer })
      const other = spare && (await openTrail({ path: join(folder, 'spare'), signer }))
      const required = [other ? anyOf(trail, other) : trail]
      return { kms: new KmsClient({ provider: local, audit: { required }, ...rest }), local, trail }
    },
    copy(to: string) {
      copyFolder(folder, to, (path) => !/lock[^/]*$/.test(path))
      return house(to)
    },
    put(part: 'keys' | 'audit', from: { readonly folder: string }) {
      rmSync(join(folder, part), { recursive: true, force: true })
      copyFolder(join(from.folder, part), join(folder, part))
    },
    async entries(): Promise<readonly AuditEntry[]> {
      const entries: AuditEntry[] = []
      for await (const { entry } of readTrail(join(folder, 'audit'))) entries.push(entry)
      return entries
    },
  }
}

/** A house with two changes, a copy of it, and one more change. */
async function stage(t: TestContext) {
  const folder = freshFolder(t)
  const now = house(join(folder, 'now'))
  const first = await now.open()
  await first.kms.createKey({ slug: 'orders' })
  await first.kms.rotate({ key: 'orders' })
  await first.kms.close()
  const before = now.copy(join(folder, 'before'))
  const second = await now.open()
  await second.kms.rotate({ key: 'orders' })
  await second.kms.encrypt({ key: 'orders', plaintext })
  await second.kms.close()
  return { folder, now, before }
}

describe('keystore and trail', () => {
  test('that were left alone open again, and so do both of them taken back together', async (t) => {
    const { now, before } = await stage(t)
    for (const place of [now, before]) {
      const { kms } = await place.open()
      await kms.ready()
      await kms.rotate({ key: 'orders' })
      await kms.close()
    }
  })

  for (const [part, message] of [
    ['keys', /keystore was taken back/],
    ['audit', /trail was taken back/],
  ] as const) {
    test(`${part} taken back alone: refused, until a client rebinds them; then all goes on`, async (t) => {
      const { now, before } = await stage(t)
      now.put(part, before)
      const refused = await now.open()
      await assert.rejects(refused.kms.encrypt({ key: 'orders', plaintext }), { code: 'ROLLED_BACK', message })
      await refused.kms.close()

      const rebound = await now.open({ rebind: { code: 'drill', ticket: 'OPS-7' } })
      await rebound.kms.encrypt({ key: 'orders', plaintext })
      await rebound.kms.close()
      const restored = (await now.entries()).filter(({ action }) => action === 'audit.restored')
      assert.deepEqual(
        restored.map(({ reason }) => reason),
        [{ code: 'drill', ticket: 'OPS-7' }],
      )

      for (let round = 0; round < 2; round++) {
        const after = await now.open()
        await after.kms.ready()
        if (round === 1) await after.kms.rotate({ key: 'orders' })
        await after.kms.close()
      }
      const last = await now.open()
      await last.kms.ready()
      await last.kms.close()
      assert.equal((await verifyTrail(join(now.folder, 'audit'), { vkey: last.trail.vkey })).verdict, 'valid')
    })
  }

  test('of two houses do not fit', async (t) => {
    const { now } = await stage(t)
    const other = await stage(t)
    now.put('keys', other.now)
    const local = await openLocalKms({ path: join(now.folder, 'keys'), rootKey: new Uint8Array(32).fill(7) })
    const trail = await openTrail({ path: join(now.folder, 'new'), signer: local.auditSigner() })
    const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
    await assert.rejects(kms.ready(), { code: 'ROLLED_BACK', message: /another one/ })
    await kms.close()
  })

  for (const changes of [1, 3]) {
    test(`that a crash left with ${changes} change(s) made and not told: recovered, and the start after that is quiet`, async (t) => {
      const { folder, now } = await stage(t)
      let made = 0
      const crash: KmsMiddleware = async (_call, next) => {
        await next()
        made += 1
        return new Promise(() => {})
      }
      const { kms } = await now.open({ middleware: [crash], deadlineMs: 600_000 })
      for (let at = 0; at < changes; at++) void kms.rotate({ key: 'orders' }).catch(() => undefined)
      while (made < changes) await new Promise((resolve) => setImmediate(resolve))
      const crashed = now.copy(join(folder, 'crashed'))

      for (let start = 0; start < 3; start++) {
        const { kms } = await crashed.open()
        await kms.ready()
        const { key } = await kms.describeKey({ key: 'orders' })
        assert.equal(key.latestVersion, 3 + changes)
        await kms.close()
      }
      const recovered = (await crashed.entries()).filter(({ details }) => details?.recovered === true)
      assert.deepEqual(
        recovered.map(({ outcome }) => outcome),
        Array.from({ length: changes }, () => 'success'),
      )
    })
  }

  test('with a spare trail: the anchor may stand in either', async (t) => {
    const place = house(freshFolder(t))
    for (let start = 0; start < 4; start++) {
      const { kms } = await place.open({ spare: true })
      if (start === 0) await kms.createKey({ slug: 'orders' })
      for (let at = 0; at < 5; at++) await kms.rotate({ key: 'orders' })
      await kms.close()
    }
  })
})
