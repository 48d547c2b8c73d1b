import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type LocalKms, type OpenLocalKmsOptions, openLocalKms } from '../../../src/providers/local/index.ts'
import { nodeFileSystem } from '../../../src/storage/filesystem.ts'
import { crashAt, failOnce, faultyFileSystem } from '../../storage/faults.ts'
import { freshFolder } from '../../storage/folder.ts'
import { volatileFileSystem } from '../../storage/volatile.ts'
import { bytes, callOf, failureOf, handClock, run, scope } from '../calls.ts'

const rootKey = randomBytes(32)
const plaintext = bytes('kept')

function open(path: string, over: Partial<OpenLocalKmsOptions> = {}): Promise<LocalKms> {
  return openLocalKms({ path, rootKey, ...over })
}

async function opened(t: TestContext, path: string, over: Partial<OpenLocalKmsOptions> = {}): Promise<LocalKms> {
  const kms = await open(path, over)
  t.after(() => kms.close().catch(() => undefined))
  return kms
}

const keyFiles = (folder: string) => readdirSync(folder).filter((name) => name.includes('.keys'))
const name = (generation: number) => `${String(generation).padStart(20, '0')}.keys`

test('keys, their settings and every version are there after reopening, and open what was sealed before', async (t) => {
  const path = join(freshFolder(t), 'keys')
  const first = await open(path)
  await run(first, 'createKey', { slug: 'k', labels: { a: 'ü' }, rotationPeriodInDays: 9 })
  await run(first, 'createKey', { slug: 'gone' })
  await run(first, 'createKey', { slug: 's', keyType: 'ed25519' }, { scope: {} })
  const { ciphertext } = await run(first, 'encrypt', { key: 'k', plaintext })
  await run(first, 'rotate', { key: 'k' })
  await run(first, 'scheduleKeyDeletion', { key: 'gone' })
  const before = (await run(first, 'listKeys', {})).keys
  const signer = first.auditSigner().publicKey
  const binding = first.binding()
  await first.close()
  const second = await opened(t, path)
  assert.deepEqual((await run(second, 'listKeys', {})).keys, before)
  assert.deepEqual((await run(second, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
  assert.equal((await run(second, 'cancelKeyDeletion', { key: 'gone' })).key.status, 'active')
  assert.deepEqual(second.auditSigner().publicKey, signer)
  assert.equal(second.binding()?.keystore, binding?.keystore)
  assert.equal(second.binding()?.generation, (binding?.generation ?? 0) + 1)
})

test('each change is one new file, and the one before goes', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path)
  assert.deepEqual(keyFiles(path), [name(1)])
  await run(kms, 'createKey', { slug: 'k' })
  assert.deepEqual(keyFiles(path), [name(2)])
  await run(kms, 'rotate', { key: 'k' })
  assert.deepEqual(keyFiles(path), [name(3)])
})

test('the older file goes only after the newer one and its name are synced', async (t) => {
  const fs = faultyFileSystem({ fail: () => undefined })
  const kms = await opened(t, freshFolder(t), { fs })
  fs.steps.length = 0
  await run(kms, 'createKey', { slug: 'k' })
  const order = ['remove', 'open', 'write', 'sync', 'link', 'syncFolder', 'remove', 'list', 'remove']
  assert.deepEqual(fs.steps, order)
})

test('a change that fails at any step is made or not made, on disk as in memory, and never half', async (t) => {
  for (let step = 0; ; step++) {
    const path = freshFolder(t)
    let crash = Number.POSITIVE_INFINITY
    const fs = faultyFileSystem({ fail: (_step, number) => (number >= crash ? 'EIO' : undefined), shortWrite: 100 })
    const kms = await open(path, { fs })
    await run(kms, 'createKey', { slug: 'k' })
    const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
    crash = fs.steps.length + step
    const call = callOf()
    const failure = await run(kms, 'rotate', { key: 'k' }, call).then(
      () => undefined,
      (error) => error,
    )
    const inMemory = (await run(kms, 'describeKey', { key: 'k' })).key.latestVersion
    assert.equal(inMemory, failure === undefined ? 2 : 1)
    assert.deepEqual((await run(kms, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
    await kms.close().catch(() => undefined)

    const after = await open(path)
    const onDisk = (await run(after, 'describeKey', { key: 'k' })).key.latestVersion
    if (failure === undefined) assert.equal(onDisk, 2)
    if (failure?.code === 'PROVIDER_UNAVAILABLE') assert.equal(onDisk, 1)
    assert.equal(after.outcomeOf(call.operationID), onDisk === 2 ? 'done' : 'not-done')
    assert.deepEqual((await run(after, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
    assert.equal(keyFiles(path).length, 1)
    await after.close()
    if (failure === undefined) {
      assert.ok(step > 5)
      break
    }
  }
})

for (const step of ['open', 'write', 'sync', 'link'] as const) {
  test(`a full disk at ${step} refuses the change, keeps what was, and does not stop the next`, async (t) => {
    const path = freshFolder(t)
    await (await open(path)).close()
    let broken = false
    const once = failOnce(step, 'ENOSPC')
    const fs = faultyFileSystem({ fail: (...args) => (broken ? once(...args) : undefined) })
    const kms = await opened(t, path, { fs })
    broken = true
    const error = await failureOf(run(kms, 'createKey', { slug: 'k' }))
    assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
    assert.match(error.message, /ENOSPC/)
    assert.deepEqual((await run(kms, 'listKeys', {})).keys, [])
    assert.equal((await run(kms, 'createKey', { slug: 'k' })).generation, 2)
    assert.deepEqual(keyFiles(path), [name(2)])
  })
}

test('after a write whose outcome is unknown nothing more is changed until the keystore is opened again', async (t) => {
  const path = freshFolder(t)
  await (await open(path)).close()
  let broken = false
  const once = failOnce('syncFolder', 'EIO')
  const kms = await open(path, { fs: faultyFileSystem({ fail: (...args) => (broken ? once(...args) : undefined) }) })
  broken = true
  assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k' }))).code, 'INTERNAL')
  const refused = await failureOf(run(kms, 'createKey', { slug: 'l' }))
  assert.equal(refused.code, 'INTERNAL')
  assert.match(refused.message, /open it again/)
  await kms.close()
  const after = await opened(t, path)
  assert.deepEqual(
    (await run(after, 'listKeys', {})).keys.map(({ slug }) => slug),
    ['k'],
  )
})

test('two instances on one path are LOCKED, and the path is free again after closing', async (t) => {
  const path = freshFolder(t)
  const first = await open(path)
  await assert.rejects(open(path), { code: 'LOCKED' })
  await assert.rejects(open(path, { takeOver: true }), { code: 'LOCKED' })
  await first.close()
  await (await open(path)).close()
})

test('an opening that fails gives its lock back', async (t) => {
  const path = freshFolder(t)
  await (await open(path)).close()
  await assert.rejects(open(path, { rootKey: randomBytes(32) }), { code: 'INVALID_INPUT' })
  await (await open(path)).close()
})

test('a writer that was taken over changes nothing more', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path)
  await run(kms, 'createKey', { slug: 'k' })
  writeFileSync(join(path, 'lock.2'), readFileSync(join(path, 'lock.1')))
  assert.equal((await failureOf(run(kms, 'rotate', { key: 'k' }))).code, 'LOCKED')
  assert.deepEqual(keyFiles(path), [name(2)])
})

test('a generation that another made is never overwritten', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path)
  writeFileSync(join(path, name(2)), 'another', { mode: 0o600 })
  assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k' }))).code, 'LOCKED')
  assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k' }))).code, 'INTERNAL')
  assert.equal(readFileSync(join(path, name(2)), 'utf8'), 'another')
})

test('a damaged newest generation is refused although the one before is whole', async (t) => {
  const path = freshFolder(t)
  const kms = await open(path)
  await run(kms, 'createKey', { slug: 'k' })
  const older = readFileSync(join(path, name(2)))
  await run(kms, 'disableKey', { key: 'k' })
  await kms.close()
  writeFileSync(join(path, name(2)), older, { mode: 0o600 })
  const newest = readFileSync(join(path, name(3)))
  newest[200] = (newest[200] ?? 0) ^ 1
  writeFileSync(join(path, name(3)), newest)
  await assert.rejects(open(path), { code: 'INTERNAL', message: /damaged/ })
  assert.deepEqual(keyFiles(path), [name(2), name(3)])
})

test('an older generation under a newer name is damage', async (t) => {
  const path = freshFolder(t)
  await (await open(path)).close()
  renameSync(join(path, name(1)), join(path, name(9)))
  await assert.rejects(open(path), { code: 'INTERNAL', message: /holds generation 1/ })
})

test('what a crash left behind is cleared away when the keystore is opened', async (t) => {
  const path = freshFolder(t)
  const kms = await open(path)
  const first = readFileSync(join(path, name(1)))
  await run(kms, 'createKey', { slug: 'k' })
  await kms.close()
  writeFileSync(join(path, name(1)), first, { mode: 0o600 })
  writeFileSync(join(path, `${name(3)}.tmp`), 'half', { mode: 0o600 })
  writeFileSync(join(path, 'note.txt'), 'not ours', { mode: 0o600 })
  const again = await opened(t, path)
  assert.deepEqual(keyFiles(path), [name(2)])
  assert.ok(readdirSync(path).includes('note.txt'))
  assert.equal((await run(again, 'listKeys', {})).keys.length, 1)
})

test('after a power cut at any moment every acknowledged change is there, and at most the one under way besides', async (t) => {
  const chance = chances(20260101)
  let unacknowledged = 0
  for (let round = 0; round < 300; round++) {
    const path = join(freshFolder(t), 'keys')
    // The sockets of the lock are real; everything else is in memory.
    mkdirSync(path, { recursive: true })
    const disk = volatileFileSystem()
    const powerCut = Math.floor(chance() * 90)
    const kms = await open(path, { fs: faultyFileSystem({ over: disk, fail: crashAt(powerCut) }) }).catch(
      () => undefined,
    )
    const acknowledged: string[] = []
    const asked: string[] = []
    for (let change = 0; kms !== undefined && change < 8; change++) {
      const slug = `k${change}`
      asked.push(slug)
      const made = await run(kms, 'createKey', { slug }).then(
        () => true,
        () => false,
      )
      if (!made) break
      acknowledged.push(slug)
    }
    await kms?.close().catch(() => undefined)

    // Every other time the process is killed first and another one goes on, whose keys must stay too.
    if (round % 2 === 1) {
      let dead = false
      const heir = await open(path, { fs: faultyFileSystem({ over: disk, fail: () => (dead ? 'EIO' : undefined) }) })
      acknowledged.splice(0, 8, ...(await run(heir, 'listKeys', {})).keys.map(({ slug }) => slug))
      dead = true
      await heir.close().catch(() => undefined)
    }
    const after = await open(path, { fs: disk.cut(chance) })
    const found = (await run(after, 'listKeys', {})).keys.map(({ slug }) => slug)
    assert.deepEqual(found.slice(0, acknowledged.length), acknowledged, `round ${round}`)
    assert.ok(found.length <= asked.length)
    if (found.length > acknowledged.length) unacknowledged++
    await after.close()
  }
  assert.ok(unacknowledged > 0, 'some cuts fell between the name and its sync')
})

test('a read-only opener follows the writer, and is never more than half a second behind', async (t) => {
  const path = freshFolder(t)
  const writer = await opened(t, path)
  await run(writer, 'createKey', { slug: 'k' })
  const clock = handClock()
  const reader = await opened(t, path, { readOnly: true, clock })
  const { ciphertext } = await run(reader, 'encrypt', { key: 'k', plaintext })
  assert.deepEqual((await run(writer, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
  await run(writer, 'rotate', { key: 'k' })
  await run(writer, 'createKey', { slug: 'later' })
  clock.turn(499)
  const soon = reader.operations.encrypt?.({ key: 'k', plaintext }, callOf())
  assert.ok(soon !== undefined && !(soon instanceof Promise) && soon.keyVersion === 1)
  clock.turn(1)
  assert.equal((await reader.resolve?.('later', scope))?.slug, 'later')
  assert.equal((await run(reader, 'encrypt', { key: 'k', plaintext })).keyVersion, 2)
  assert.deepEqual((await run(reader, 'decrypt', { key: 'k', ciphertext })).keyVersion, 1)
  await run(writer, 'disableKey', { key: 'k' })
  clock.turn(500)
  const errors = await Promise.all(
    Array.from({ length: 3 }, () => failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))),
  )
  for (const error of errors) assert.equal(error.code, 'KEY_NOT_ACTIVE')
  assert.deepEqual(reader.auditSigner().publicKey, writer.auditSigner().publicKey)
  const signer = reader.auditSigner()
  await run(writer, 'rotateAuditSigner', {})
  clock.turn(500)
  await run(reader, 'listKeys', {})
  assert.deepEqual(reader.auditSigner().publicKey, writer.auditSigner().publicKey)
  assert.equal(reader.auditSigner().previous, signer)
  assert.equal(reader.binding(), undefined)
})

test('a read-only opener changes nothing: no lock, no file, no change', async (t) => {
  const path = freshFolder(t)
  const writer = await open(path)
  await run(writer, 'createKey', { slug: 'k', exportAllowed: true })
  await writer.close()
  const before = readdirSync(path)
  const reader = await opened(t, path, { readOnly: true })
  await run(reader, 'encrypt', { key: 'k', plaintext })
  for (const operation of ['rotate', 'export', 'disableKey', 'createKey'] as const) {
    const error = await failureOf(run(reader, operation, { key: 'k' } as never)) // refused whatever it is given
    assert.equal(error.code, 'UNSUPPORTED_OPERATION')
    assert.match(error.message, /read-only/)
  }
  assert.deepEqual(readdirSync(path), before)
  await assert.rejects(open(freshFolder(t), { readOnly: true }), { code: 'INVALID_INPUT', message: /no keystore/ })
  await assert.rejects(open('/no/such/folder', { readOnly: true }), {
    code: 'INVALID_INPUT',
    message: /does not exist/,
  })
})

test('a follower that cannot read the newest generation uses nothing until it can', async (t) => {
  const path = freshFolder(t)
  const writer = await opened(t, path)
  await run(writer, 'createKey', { slug: 'k' })
  const clock = handClock()
  const reader = await opened(t, path, { readOnly: true, clock })
  await run(writer, 'disableKey', { key: 'k' })
  const whole = readFileSync(join(path, name(3)))
  writeFileSync(join(path, name(3)), whole.subarray(0, 100))
  clock.turn(1000)
  assert.equal((await failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))).code, 'INTERNAL')
  assert.equal((await failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))).code, 'INTERNAL')
  writeFileSync(join(path, name(3)), whole)
  assert.equal((await failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))).code, 'KEY_NOT_ACTIVE')
  renameSync(join(path, name(3)), join(path, 'away'))
  clock.turn(1000)
  const lost = await failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))
  assert.match(lost.message, /has lost generation 3/)
})

test('a reader that looks while a writer replaces the file finds the newer one', async (t) => {
  const path = freshFolder(t)
  const writer = await opened(t, path)
  let raced = false
  const fs = {
    ...nodeFileSystem,
    async readFile(file: string) {
      if (!raced && file.endsWith('.keys')) {
        raced = true
        await run(writer, 'createKey', { slug: 'k' })
      }
      return nodeFileSystem.readFile(file)
    },
  }
  const reader = await opened(t, path, { readOnly: true, fs })
  assert.ok(raced)
  assert.equal((await run(reader, 'listKeys', {})).keys.length, 1)
})

test('a generation that goes as soon as it is read is good to open with', async (t) => {
  const path = freshFolder(t)
  const writer = await opened(t, path)
  const fs = {
    ...nodeFileSystem,
    async readFile(file: string) {
      const content = await nodeFileSystem.readFile(file)
      if (file.endsWith(name(1))) await run(writer, 'createKey', { slug: 'k' })
      return content
    },
  }
  const clock = handClock()
  const reader = await opened(t, path, { readOnly: true, fs, clock })
  assert.equal((await run(reader, 'listKeys', {})).keys.length, 0)
  clock.turn(1000)
  assert.equal((await run(reader, 'listKeys', {})).keys.length, 1)
})

/** Numbers from 0 to 1, the same ones each time (mulberry32). */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
