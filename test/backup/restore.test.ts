import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { backup, type RestoreOptions, restore } from '../../src/backup/index.ts'
import { formatManifest, manifestName, parseManifest } from '../../src/backup/manifest.ts'
import { systemClock } from '../../src/model/clock.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, readTrail, verifyTrail } from '../../src/trail/index.ts'
import { failureOf } from '../providers/calls.ts'
import { faultyFileSystem } from '../storage/faults.ts'
import { entriesFrom } from '../trail/entries.ts'
import { type House, house, plaintext } from './house.ts'

const reason = { code: 'disk-lost', ticket: 'OPS-17' }

function bring(home: House, over: Partial<RestoreOptions> = {}) {
  const { keys, audit, rootKey } = home
  return restore({ from: home.out(), keys, audit, rootKey, reason, ...over })
}

function disaster({ keys, audit }: House): void {
  for (const folder of [keys, audit]) rmSync(folder, { recursive: true, force: true })
}

async function entriesOf(home: House) {
  const entries = []
  for await (const { entry } of readTrail(home.audit)) entries.push(entry)
  return entries
}

test('the drill: work, backup, more work, disaster, restore, and what was sealed before opens again', async (t) => {
  const home = house(t)
  const before = await home.open()
  await before.kms.createKey({ slug: 'orders' })
  const { ciphertext } = await before.kms.encrypt({ key: 'orders', plaintext })
  const { keystore } = before.local.binding() ?? {}
  const manifest = await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  await before.kms.rotate({ key: 'orders' })
  const later = await before.kms.encrypt({ key: 'orders', plaintext })
  const { vkey } = before.trail
  await before.kms.close()

  disaster(home)
  assert.deepEqual(await bring(home, { vkey }), manifest)

  const { verdict, note } = await verifyTrail(home.audit, { vkey })
  assert.deepEqual([verdict, note], ['valid', 'signed throughout by the key that was given'])
  const told = await entriesOf(home)
  assert.ok(!told.some(({ eventID }) => eventID === later.eventID))
  const restored = told.filter(({ action }) => action === 'audit.restored')
  assert.equal(restored.length, 1)
  assert.deepEqual(restored[0]?.reason, reason)
  assert.deepEqual([restored[0]?.details?.keystore, restored[0]?.details?.generation], [keystore, manifest.generation])

  const { kms } = await home.open()
  assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext })).plaintext, plaintext)
  const lost = await failureOf(kms.decrypt({ key: 'orders', ciphertext: later.ciphertext }))
  assert.equal(lost.code, 'INVALID_CIPHERTEXT')
  await kms.rotate({ key: 'orders' })
  await kms.close()
  const { kms: again } = await home.open()
  assert.equal((await again.describeKey({ key: 'orders' })).key.latestVersion, 2)
  await again.close()
  assert.equal((await verifyTrail(home.audit, { vkey })).verdict, 'valid')
})

test('usage counts come back with the keys: exactly those of a keystore at rest, and no fewer of one at work', async (t) => {
  const home = house(t)
  const first = await home.open()
  await first.kms.createKey({ slug: 'k', keyType: 'aes256-gcm96' })
  for (let sealed = 0; sealed < 5; sealed++) await first.kms.encrypt({ key: 'k', plaintext })
  await backup({ keys: home.keys, audit: home.audit, out: home.out('at-work') })
  await first.kms.close()
  const { files } = await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  assert.ok(files.some(({ path }) => path === 'keys/usage'))
  const messages = async () => {
    const { kms, local } = await home.open({ rebind: true })
    const { key } = await kms.describeKey({ key: 'k' })
    await kms.close()
    assert.deepEqual(local.warnings, [])
    return key.versions[0]?.messages ?? assert.fail('it is counted')
  }
  disaster(home)
  await bring(home)
  assert.equal(await messages(), 5)
  disaster(home)
  await bring(home, { from: home.out('at-work') })
  assert.ok((await messages()) > 5)
})

test('a change while a backup is made does not leave it with counts older than its keys', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k', keyType: 'aes256-gcm96' })
  let changed = false
  const fs = {
    ...nodeFileSystem,
    async readFile(path: string) {
      const bytes = await nodeFileSystem.readFile(path)
      if (path.endsWith('usage') && !changed) {
        changed = true
        await kms.rotate({ key: 'k' })
      }
      return bytes
    },
  }
  const { generation } = await backup({ keys: home.keys, audit: home.audit, out: home.out(), fs })
  assert.ok(changed)
  assert.equal(generation, 3)
  await kms.close()
  // As it is: restoring opens it, and would have put up with less.
  const local = await openLocalKms({ path: join(home.out(), 'keys'), rootKey: home.rootKey })
  assert.deepEqual(local.warnings, [])
  await local.close()
})

test('a backup taken under work is restored too, and its open intents are closed', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  let over = false
  const work = (async () => {
    while (!over) {
      await kms.rotate({ key: 'k' })
      for (let at = 0; at < 200; at++) await kms.encrypt({ key: 'k', plaintext })
    }
  })()
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  over = true
  await work
  await kms.close()
  disaster(home)
  await bring(home)
  const { kms: again } = await home.open()
  await again.encrypt({ key: 'k', plaintext })
  await again.close()
  const intents = new Set<string | undefined>()
  for (const { phase, operationID } of await entriesOf(home))
    if (phase === 'intent') intents.add(operationID)
    else intents.delete(operationID)
  assert.deepEqual([...intents], [])
})

test('every instance of the trail says that it was restored, and from where it went on', async (t) => {
  const home = house(t)
  const { kms, local } = await home.open()
  const second = await openTrail({ path: home.audit, instance: 'second', signer: local.auditSigner() })
  await kms.createKey({ slug: 'k' })
  await second.write(entriesFrom(0, 3))
  const { trails } = await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  await second.close()
  await kms.close()
  disaster(home)
  await bring(home)
  for (const { instance, size } of trails) {
    const told = []
    for await (const { entry } of readTrail(join(home.audit, instance), { action: ['audit.restored'] }))
      told.push(entry)
    assert.equal(told.length, 1, instance)
    assert.ok(Number(told[0]?.details?.trailSize) >= Number(size))
  }
  assert.deepEqual(
    trails.map(({ instance }) => instance),
    ['main', 'second'],
  )
})

test('a manifest that tells of other trails than there are is refused', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  await kms.close()
  disaster(home)
  const file = join(home.out(), manifestName)
  const manifest = parseManifest(readFileSync(file))
  const [main] = manifest.trails
  assert.ok(main !== undefined)
  for (const trails of [[], [{ ...main, size: main.size + 1n }], [main, { ...main, instance: 'ghost' }]]) {
    writeFileSync(file, formatManifest({ ...manifest, trails }))
    const error = await failureOf(bring(home))
    assert.deepEqual([error.code, /are not those that backup\.json tells/.test(error.message)], ['INTERNAL', true])
  }
})

test('a backup opens with the root key that it was made under, also after the original was sealed anew', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  const newKey = new Uint8Array(randomBytes(32))
  await kms.rewrapRootKey({ rootKey: newKey })
  await kms.close()
  disaster(home)
  const error = await failureOf(bring(home, { rootKey: newKey }))
  assert.deepEqual([error.code, /wrong root key/.test(error.message)], ['INVALID_INPUT', true])
  assert.ok(!existsSync(home.keys) && !existsSync(`${home.keys}.restoring`))
  await bring(home)
})

test('without a reason, into a folder in use, or from what is no backup, nothing is restored', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  await kms.close()
  assert.match((await failureOf(bring(home))).message, /audit is there already and not empty/)
  disaster(home)
  const cases: readonly (readonly [Partial<RestoreOptions>, RegExp])[] = [
    [{ reason: undefined as never }, /needs a 'reason'/],
    [{ reason: { code: '' } }, /needs a 'reason'/],
    [{ from: home.folder }, /holds no backup\.json/],
    [{ keys: '' }, /needs 'keys'/],
    [{ rootKey: undefined as never }, /exactly one of rootKey/],
  ]
  for (const [over, message] of cases) {
    const error = await failureOf(bring(home, over))
    assert.equal(error.code, 'INVALID_INPUT')
    assert.match(error.message, message)
  }
  mkdirSync(`${home.keys}.restoring`)
  assert.match((await failureOf(bring(home))).message, /left from an earlier attempt/)
  rmSync(`${home.keys}.restoring`, { recursive: true })
  assert.ok(![home.keys, home.audit, `${home.audit}.restoring`].some((path) => existsSync(path)))
  mkdirSync(home.keys, { mode: 0o700 })
  await bring(home)
})

test('a backup in which a byte was changed, or a file is missing, is refused as damaged', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  const { files } = await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  await kms.close()
  disaster(home)
  for (const { path } of files) {
    const file = join(home.out(), path)
    const whole = readFileSync(file)
    const changed = Uint8Array.from(whole)
    changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1
    writeFileSync(file, changed)
    const error = await failureOf(bring(home))
    assert.equal(error.code, 'INTERNAL')
    assert.match(error.message, new RegExp(`${path} is not as it was written`))
    unlinkSync(file)
    assert.match((await failureOf(bring(home))).message, /is missing/)
    writeFileSync(file, whole)
  }
  await bring(home)
})

test('whatever step fails, what is restored has said so, and what has not said so is not there', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  await kms.close()
  for (let step = 0, done = false; !done; step += 3) {
    disaster(home)
    const fs = faultyFileSystem({ fail: (_step, number) => (number === step ? 'EIO' : undefined) })
    const restored = await bring(home, { fs }).catch((error) => error)
    done = fs.steps.length <= step
    assert.ok(step < 500 && !existsSync(`${home.audit}.restoring`) && !existsSync(`${home.keys}.restoring`))
    if (done) assert.ok(step > 20 && existsSync(home.keys), String(restored))
    if (!existsSync(home.audit)) continue
    assert.ok((await entriesOf(home)).some(({ action }) => action === 'audit.restored'))
    assert.equal((await verifyTrail(home.audit)).verdict, 'valid')
  }
})

test('a trail that was pruned is backed up and restored with what stands for the entries that are gone', async (t) => {
  const home = house(t)
  const day = 86_400_000
  const longAgo = { ...systemClock, now: () => systemClock.now() - 500 * day }
  const old = await home.open({ clock: longAgo, trail: { segmentBytes: 3000 } })
  await old.kms.createKey({ slug: 'k' })
  for (let at = 0; at < 20; at++) await old.kms.encrypt({ key: 'k', plaintext })
  const { vkey } = old.trail
  await old.kms.close()
  const { kms, trail } = await home.open({ trail: { segmentBytes: 3000 } })
  await kms.encrypt({ key: 'k', plaintext })
  const { prunedBelow } = await trail.prune({ olderThan: '400d' })
  assert.ok(BigInt(prunedBelow) > 5n)
  await backup({ keys: home.keys, audit: home.audit, out: home.out(), vkey })
  await kms.close()
  disaster(home)
  await bring(home, { vkey })
  const { kms: again } = await home.open()
  await again.rotate({ key: 'k' })
  await again.close()
  const { verdict, size } = await verifyTrail(home.audit, { vkey })
  assert.deepEqual([verdict, size > BigInt(prunedBelow)], ['valid', true])
})
