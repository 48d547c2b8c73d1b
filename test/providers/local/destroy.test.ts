import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { engine } from '../../../src/crypto/node.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { unsealKeystore } from '../../../src/providers/local/file.ts'
import { type LocalKms, type OpenLocalKmsOptions, openLocalKms } from '../../../src/providers/local/index.ts'
import { openKeyring } from '../../../src/providers/local/keyring.ts'
import { newKeystore, type StoredKey } from '../../../src/providers/local/keystore.ts'
import { openUsage } from '../../../src/providers/local/usage.ts'
import { faultyFileSystem, type Step } from '../../storage/faults.ts'
import { freshFolder } from '../../storage/folder.ts'
import { bytes, callOf, day, failureOf, type HandClock, handClock, run, scope } from '../calls.ts'

const rootKey = new Uint8Array(randomBytes(32))
const plaintext = bytes('gone')
const name = (generation: number) => `${String(generation).padStart(20, '0')}.keys`
const keyFiles = (folder: string) => readdirSync(folder).filter((file) => file.includes('.keys'))

interface Doomed {
  readonly kms: LocalKms
  readonly path: string
  readonly clock: HandClock
  readonly ciphertext: Uint8Array
  destroy(operationID?: string): ReturnType<typeof run<'destroyKey'>>
}

/** A keystore, generation 4, of which the key `k` is due to be destroyed. */
async function doomed(t: TestContext, over: Partial<OpenLocalKmsOptions> = {}): Promise<Doomed> {
  const path = freshFolder(t)
  const clock = handClock()
  const kms = await openLocalKms({ path, rootKey, clock, ...over })
  t.after(() => kms.close().catch(() => undefined))
  await run(kms, 'createKey', { slug: 'k' })
  await run(kms, 'createKey', { slug: 'other' })
  const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
  const { key } = await run(kms, 'scheduleKeyDeletion', { key: 'k', pendingWindowInDays: 7 })
  clock.turn(7 * day)
  const dueAt = key.deletionScheduledAt ?? ''
  const destroy = (operationID = callOf().operationID) => run(kms, 'destroyKey', { key: 'k', dueAt }, { operationID })
  return { kms, path, clock, ciphertext, destroy }
}

function slugsIn(path: string): readonly string[] {
  const [file = '', ...others] = keyFiles(path)
  assert.deepEqual(others, [])
  return unsealKeystore(engine, { key: rootKey }, readFileSync(join(path, file))).keys.map(({ slug }) => slug)
}

test('when a destruction is answered, no file holds the key, and that has been synced', async (t) => {
  const fs = faultyFileSystem({ fail: () => undefined })
  const { path, destroy } = await doomed(t, { fs })
  fs.steps.length = 0
  const made = await destroy()
  assert.equal(made.flags, undefined)
  assert.deepEqual(keyFiles(path), [name(5)])
  assert.deepEqual(slugsIn(path), ['other'])
  assert.deepEqual(fs.steps.slice(-3), ['list', 'remove', 'syncFolder'])
})

for (const [what, fails] of [
  ['removed', (step: Step, file: string) => step === 'remove' && file.endsWith(name(4))],
  ['listed', (step: Step) => step === 'list'],
  [
    'synced away',
    (step: Step, _file: string, steps: readonly Step[]) => step === 'syncFolder' && steps.at(-1) === 'remove',
  ],
] as const)
  test(`an older generation that cannot be ${what} leaves the key destroyed, is told, and goes with the next change`, async (t) => {
    let sick = false
    const fs = faultyFileSystem({
      fail: (step, _number, file) => (sick && fails(step, file, fs.steps) ? 'EIO' : undefined),
    })
    const { kms, path, destroy } = await doomed(t, { fs })
    sick = true
    const { operationID } = callOf()
    assert.deepEqual((await destroy(operationID)).flags, ['old_generations_remain'])
    assert.equal(kms.outcomeOf(operationID), 'done')
    assert.equal((await failureOf(run(kms, 'describeKey', { key: 'k' }))).code, 'KEY_NOT_FOUND')
    if (what !== 'synced away') {
      assert.deepEqual(keyFiles(path), [name(4), name(5)])
      const still = await run(kms, 'rotate', { key: 'other' })
      assert.deepEqual(still.flags, ['old_generations_remain'], 'whatever the next change is')
    }
    sick = false
    assert.equal((await run(kms, 'rotate', { key: 'other' })).flags, undefined)
    assert.deepEqual(slugsIn(path), ['other'])
  })

test('an older generation that stayed is removed when the keystore is opened', async (t) => {
  const { kms, path, destroy } = await doomed(t)
  const older = readFileSync(join(path, name(4)))
  await destroy()
  await kms.close()
  writeFileSync(join(path, name(4)), older, { mode: 0o600 })
  const again = await openLocalKms({ path, rootKey })
  t.after(() => again.close())
  assert.deepEqual(slugsIn(path), ['other'])
})

test('a destruction that fails at any step is made or not made, and the recorded outcome says which', async (t) => {
  for (let step = 0; ; step++) {
    let crash = Number.POSITIVE_INFINITY
    const fs = faultyFileSystem({ fail: (_step, number) => (number >= crash ? 'EIO' : undefined) })
    const { kms, path, clock, ciphertext, destroy } = await doomed(t, { fs })
    crash = fs.steps.length + step
    const { operationID } = callOf()
    const made = await destroy(operationID).catch((error) => error)
    await kms.close().catch(() => undefined)
    const after = await openLocalKms({ path, rootKey, clock })
    const slugs = (await run(after, 'listKeys', {})).keys.map(({ slug }) => slug)
    const isGone = !slugs.includes('k')
    assert.equal(after.outcomeOf(operationID), isGone ? 'done' : 'not-done')
    assert.deepEqual(slugsIn(path), slugs)
    if (!(made instanceof KmsError)) assert.ok(isGone)
    if (made instanceof KmsError && made.code === 'PROVIDER_UNAVAILABLE') assert.ok(!isGone)
    if (!isGone) {
      await run(after, 'cancelKeyDeletion', { key: 'k' })
      assert.deepEqual((await run(after, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
    }
    await after.close()
    if (!(made instanceof KmsError) && made.flags === undefined) {
      assert.ok(step > 8)
      break
    }
  }
})

test('that a slug is retired is still known after reopening', async (t) => {
  const { kms, path, clock, destroy } = await doomed(t)
  await destroy()
  await kms.close()
  const again = await openLocalKms({ path, rootKey, clock })
  t.after(() => again.close())
  assert.match((await failureOf(run(again, 'createKey', { slug: 'k' }))).message, /destroyed on 2026-01-08T/)
  assert.deepEqual((await run(again, 'createKey', { slug: 'k', reuseSlug: true })).flags, ['slug_reused'])
})

test('a reader stops using a destroyed key, and versions below a new minimum, within half a second', async (t) => {
  const { kms, path, clock, ciphertext, destroy } = await doomed(t)
  await run(kms, 'cancelKeyDeletion', { key: 'k' })
  const readersClock = handClock()
  const reader = await openLocalKms({ path, rootKey, readOnly: true, clock: readersClock })
  t.after(() => reader.close())
  assert.deepEqual((await run(reader, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
  await run(kms, 'rotate', { key: 'k' })
  await run(kms, 'updateMinDecryptionVersion', { key: 'k', minDecryptionVersion: 2 })
  readersClock.turn(500)
  assert.equal((await failureOf(run(reader, 'decrypt', { key: 'k', ciphertext }))).code, 'INVALID_CIPHERTEXT')
  assert.equal((await run(reader, 'describeKey', { key: 'k' })).key.minDecryptionVersion, 2)
  await run(kms, 'scheduleKeyDeletion', { key: 'k', pendingWindowInDays: 7 })
  assert.equal((await failureOf(destroy())).code, 'VERSION_CONFLICT', 'it was scheduled anew')
  clock.turn(7 * day)
  const { key } = await run(kms, 'describeKey', { key: 'k' })
  await run(kms, 'destroyKey', { key: 'k', dueAt: key.deletionScheduledAt ?? '' })
  readersClock.turn(500)
  assert.equal((await failureOf(run(reader, 'decrypt', { key: 'k', ciphertext }))).code, 'KEY_NOT_FOUND')
  await assert.rejects(async () => reader.resolve?.(key.identity, scope), { code: 'KEY_NOT_FOUND' })
})

function stored(identity: string): StoredKey {
  return {
    identity,
    slug: identity,
    name: identity,
    keyType: 'aes256-gcm96',
    status: 'active',
    exportAllowed: false,
    keyRotationEnabled: false,
    createdAt: 0,
    updatedAt: 0,
    objectVersion: 1,
    versions: [{ version: 1, createdAt: 0, material: new Uint8Array(randomBytes(32)) }],
  }
}

test('a keystore without a key lets go of it: material and prepared versions are wiped, and no older state of it brings them back', () => {
  const gone = stored('gone')
  const kept = stored('kept')
  const keystore = { ...newKeystore(engine), keys: [gone, kept] }
  const keyring = openKeyring(engine, keystore, { usage: openUsage({ keystore }) })
  const late = keyring.find('gone', {})
  const context = new Uint8Array()
  const { version } = keyring.sealing(late)
  const { version: other } = keyring.sealing(keyring.find('kept', {}))
  keyring.replace({ ...keystore, generation: 2, keys: [kept] })
  assert.throws(() => version.seal(plaintext, context), { code: 'CLOSED' })
  assert.ok(gone.versions.every(({ material }) => material.every((byte) => byte === 0)))
  assert.throws(() => keyring.sealing(late), { code: 'KEY_NOT_FOUND' })
  assert.throws(() => keyring.version(late, 'encrypt'), { code: 'KEY_NOT_FOUND' })
  assert.ok(kept.versions.every(({ material }) => material.some((byte) => byte !== 0)))
  assert.ok(other.seal(plaintext, context) instanceof Uint8Array)
  keyring.close()
  assert.throws(() => keyring.sealing(late), { code: 'CLOSED' })
  assert.ok(kept.versions.every(({ material }) => material.every((byte) => byte === 0)))
})

test('a newer keystore read from the disk takes the place of the one before, whose copies of the material are wiped', () => {
  const key = stored('k')
  const material = key.versions[0]?.material ?? assert.fail()
  const keystore = { ...newKeystore(engine), keys: [key] }
  const keyring = openKeyring(engine, keystore, { usage: openUsage({ keystore }) })
  const late = keyring.find('k', {})
  const again = { ...key, versions: [{ version: 1, createdAt: 0, material: material.slice() }] }
  keyring.replace({ ...keystore, generation: 2, keys: [again] })
  assert.ok(material.every((byte) => byte === 0))
  // Prepared only now, from an older state of the key: of the material in force, not of zeros.
  const sealed = keyring.sealing(late).version.seal(plaintext, new Uint8Array())
  assert.ok(sealed instanceof Uint8Array)
  const fresh = openKeyring(engine, { ...keystore, keys: [again] }, { usage: openUsage({ keystore }) })
  assert.deepEqual(fresh.version(fresh.find('k', {}), 'encrypt').open(sealed, new Uint8Array()), plaintext)
})
