import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { engine } from '../../../src/crypto/node.ts'
import { sealKeystore, unsealKeystore } from '../../../src/providers/local/file.ts'
import { type LocalKms, type OpenLocalKmsOptions, openLocalKms } from '../../../src/providers/local/index.ts'
import type { Keystore, UsageCount } from '../../../src/providers/local/keystore.ts'
import { usageLimits } from '../../../src/providers/local/usage.ts'
import { sealUsage, unsealUsage } from '../../../src/providers/local/usage-file.ts'
import { nodeFileSystem } from '../../../src/storage/filesystem.ts'
import { faultyFileSystem } from '../../storage/faults.ts'
import { freshFolder } from '../../storage/folder.ts'
import { bytes, failureOf, handClock, run } from '../calls.ts'

const rootKey = new Uint8Array(randomBytes(32))
const plaintext = bytes('kept')
const keyType = 'aes256-gcm96'
const { block, limit, warnAt } = usageLimits

function open(path: string, over: Partial<OpenLocalKmsOptions> = {}): Promise<LocalKms> {
  return openLocalKms({ path, rootKey, ...over })
}

async function opened(t: TestContext, path: string, over: Partial<OpenLocalKmsOptions> = {}): Promise<LocalKms> {
  const kms = await open(path, over)
  t.after(() => kms.close().catch(() => undefined))
  return kms
}

async function messagesOf(kms: LocalKms, key = 'k'): Promise<readonly (number | undefined)[]> {
  return (await run(kms, 'describeKey', { key })).key.versions.map(({ messages }) => messages)
}

async function seal(kms: LocalKms, times: number, key = 'k'): Promise<void> {
  for (let sealed = 0; sealed < times; sealed++) await run(kms, 'encrypt', { key, plaintext })
}

function newest(path: string): string {
  const name = readdirSync(path)
    .filter((file) => file.endsWith('.keys'))
    .sort()
    .at(-1)
  return join(path, name ?? assert.fail('no keystore'))
}

function keystoreIn(path: string): Keystore {
  return unsealKeystore(engine, { key: rootKey }, readFileSync(newest(path)))
}

function countsIn(path: string): readonly UsageCount[] {
  const counts = unsealUsage(engine, keystoreIn(path), readFileSync(join(path, 'usage')))
  return counts ?? assert.fail('the usage file opens')
}

/** What a process that is killed now leaves on the disk. */
function killed(t: TestContext, path: string): string {
  const copy = join(freshFolder(t), 'keys')
  cpSync(path, copy, { recursive: true, filter: (file) => !/lock\.|\.sock$/.test(file) })
  return copy
}

/** A keystore with one key whose first version has sealed so often, as the usage file or as the keystore has it. */
async function usedUp(t: TestContext, messages: number, where: 'file' | 'keystore' = 'file'): Promise<string> {
  const path = freshFolder(t)
  const kms = await open(path)
  const { key } = await run(kms, 'createKey', { slug: 'k', keyType })
  await kms.close()
  const usage = [{ identity: key.identity, version: 1, messages }]
  if (where === 'file') writeFileSync(join(path, 'usage'), sealUsage(engine, keystoreIn(path), usage))
  else writeFileSync(newest(path), sealKeystore(engine, { key: rootKey }, { ...keystoreIn(path), usage }))
  return path
}

test('counts are there after reopening, exactly, however often', async (t) => {
  const path = freshFolder(t)
  let kms = await open(path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  for (let round = 1; round <= 3; round++) {
    await seal(kms, 5)
    await run(kms, 'rotate', { key: 'k' })
    await kms.close()
    kms = await open(path)
    assert.deepEqual(kms.warnings, [])
    assert.deepEqual(await messagesOf(kms), [...Array.from({ length: round }, () => 5), 0])
  }
  await kms.close()
})

test('a keystore in which nothing is counted has no usage file; one for its owner alone appears with the first key that is', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path)
  await run(kms, 'createKey', { slug: 'x' })
  assert.ok(!existsSync(join(path, 'usage')))
  await run(kms, 'createKey', { slug: 'k', keyType })
  assert.equal(statSync(join(path, 'usage')).mode & 0o777, 0o600)
})

test('room for a new version is on the disk before the version is, and after a crash it counts as used', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  await seal(kms, 3)
  assert.deepEqual(
    countsIn(path).map(({ messages }) => messages),
    [block],
  )
  const after = await opened(t, killed(t, path))
  assert.deepEqual(await messagesOf(after), [block])
  await seal(after, 1)
  assert.deepEqual(await messagesOf(after), [block + 1])

  const steps: string[] = []
  const fs = faultyFileSystem({
    fail: (step, _number, file) => {
      if (step === 'rename' || step === 'link') steps.push(file.replace(/.*\//, ''))
      return undefined
    },
  })
  const other = await opened(t, freshFolder(t), { fs })
  steps.length = 0
  await run(other, 'createKey', { slug: 'k', keyType })
  assert.deepEqual(steps, ['usage.tmp', '00000000000000000002.keys.tmp'])
})

test('whatever step of making or rotating a counted key fails, no version is there without room, and none is counted too low', async (t) => {
  for (let step = 0; ; step++) {
    const path = freshFolder(t)
    let crash = Number.POSITIVE_INFINITY
    const fs = faultyFileSystem({ fail: (_step, number) => (number >= crash ? 'EIO' : undefined) })
    const kms = await open(path, { fs })
    await run(kms, 'createKey', { slug: 'k', keyType })
    await seal(kms, 3)
    crash = fs.steps.length + step
    const failure = await run(kms, 'rotate', { key: 'k' }).then(
      () => undefined,
      (error) => error,
    )
    await seal(kms, 2)
    await kms.close().catch(() => undefined)
    const after = await open(path)
    assert.deepEqual(after.warnings, [], `step ${step}`)
    const [first = 0, second] = await messagesOf(after)
    assert.ok(first >= (failure === undefined ? 3 : 5), `step ${step}: ${first}`)
    if (failure === undefined) assert.ok((second ?? 0) >= 2)
    await seal(after, 1)
    await after.close()
    if (failure === undefined) {
      assert.ok(step > 8)
      break
    }
  }
})

test('another block is written in the background when half of one is used; a full disk then stops sealing, not opening', async (t) => {
  const path = freshFolder(t)
  let isFull = false
  let refusals = 0
  const fs = faultyFileSystem({
    fail: (step, _number, file) => {
      if (!isFull || step !== 'open' || !file.includes('usage')) return undefined
      refusals += 1
      return 'ENOSPC'
    },
  })
  const kms = await opened(t, path, { fs })
  await run(kms, 'createKey', { slug: 'k', keyType })
  const encrypt = kms.operations.encrypt ?? assert.fail()
  const call = { operationID: '', scope: { region: 'nl-01', project: 'billing' }, signal: new AbortController().signal }
  isFull = true
  for (let sealed = 0; sealed < block; sealed++) {
    encrypt({ key: 'k', plaintext }, call)
    if (sealed % 20_000 === 0) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const error = await failureOf(run(kms, 'encrypt', { key: 'k', plaintext }))
  assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
  assert.match(error.message, /version 1 .* nothing was sealed/)
  assert.match(String(error.cause), /ENOSPC/)
  assert.deepEqual(await messagesOf(kms), [block])
  const tryOnce = async () => {
    await run(kms, 'encrypt', { key: 'k', plaintext }).catch(() => undefined)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  // A writing asks for a block more than was counted when it began: those begun before the last message are over then.
  const before = refusals
  while (refusals < before + 2) await tryOnce()
  isFull = false
  while ((await messagesOf(kms))[0] === block) await tryOnce()
  assert.deepEqual(
    countsIn(path).map(({ messages }) => messages),
    [2 * block],
  )
})

test('a keystore whose counts cannot be written opens all the same, says so, decrypts, and seals as soon as they can', async (t) => {
  const path = freshFolder(t)
  const before = await open(path)
  await run(before, 'createKey', { slug: 'k', keyType })
  const { ciphertext } = await run(before, 'encrypt', { key: 'k', plaintext })
  await before.close()
  let isFull = true
  const fs = faultyFileSystem({
    fail: (step, _number, file) => (isFull && step === 'open' && file.includes('usage') ? 'ENOSPC' : undefined),
  })
  const kms = await opened(t, path, { fs })
  assert.match(kms.warnings.join(), /usage counts cannot be written.*ENOSPC/)
  assert.deepEqual((await run(kms, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
  assert.equal((await failureOf(run(kms, 'encrypt', { key: 'k', plaintext }))).code, 'PROVIDER_UNAVAILABLE')
  isFull = false
  // It makes room for every version that has none.
  await run(kms, 'createKey', { slug: 'other', keyType })
  assert.equal((await run(kms, 'encrypt', { key: 'k', plaintext })).keyVersion, 1)
  assert.deepEqual(await messagesOf(kms), [2])
})

test('the warning and the refusal come from what was kept, and a new version goes on', async (t) => {
  const kms = await opened(t, await usedUp(t, warnAt - 2))
  assert.equal((await run(kms, 'encrypt', { key: 'k', plaintext })).usage, undefined)
  assert.deepEqual((await run(kms, 'encrypt', { key: 'k', plaintext })).usage, { messages: warnAt, limit })
  const made = await run(kms, 'generateDataKey', { key: 'k' })
  assert.deepEqual(made.usage, { messages: warnAt + 1, limit })
  const moved = await run(kms, 'reEncrypt', { key: 'k', ciphertext: made.ciphertext })
  assert.deepEqual(moved.usage, { messages: warnAt + 2, limit })
  const dueAt = new Date().toISOString()
  const scheduled = { key: 'k', expectLatestVersion: 1, dueAt, because: 'usage' } as const
  assert.equal((await run(kms, 'rotateScheduled', scheduled)).keyVersion, 2)
  assert.equal((await failureOf(run(kms, 'rotateScheduled', scheduled))).code, 'VERSION_CONFLICT')
  const again = { ...scheduled, expectLatestVersion: 2 }
  assert.equal((await failureOf(run(kms, 'rotateScheduled', again))).code, 'INVALID_INPUT')

  const full = await opened(t, await usedUp(t, limit - 1))
  const { ciphertext } = await run(full, 'encrypt', { key: 'k', plaintext })
  for (const [operation, input] of [
    ['encrypt', { key: 'k', plaintext }],
    ['generateDataKey', { key: 'k' }],
    ['reEncrypt', { key: 'k', ciphertext }],
  ] as const)
    assert.equal((await failureOf(run(full, operation, input as never))).code, 'USAGE_LIMIT')
  assert.deepEqual((await run(full, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
  assert.deepEqual(await messagesOf(full), [limit])
  await run(full, 'rotate', { key: 'k' })
  assert.equal((await run(full, 'encrypt', { key: 'k', plaintext })).keyVersion, 2)
  const old = await failureOf(run(full, 'encrypt', { key: 'k', plaintext, keyVersion: 1 }))
  assert.equal(old.code, 'USAGE_LIMIT')
})

test('each change writes down what is counted by then: without the file, counting goes on from there, and that is said', async (t) => {
  const path = freshFolder(t)
  const kms = await open(path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  await seal(kms, 7)
  await run(kms, 'createKey', { slug: 'another' })
  await seal(kms, 2)
  await kms.close()
  rmSync(join(path, 'usage'))
  const after = await opened(t, path)
  assert.deepEqual(await messagesOf(after), [7])
  assert.match(after.warnings.join(), /usage file is missing: .* may be too few/)
})

test('an older file is told as such, and the larger of the two counts holds', async (t) => {
  const path = freshFolder(t)
  let kms = await open(path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  await seal(kms, 2)
  await kms.close()
  const older = readFileSync(join(path, 'usage'))
  kms = await open(path)
  await seal(kms, 5)
  await run(kms, 'createKey', { slug: 'another' })
  await kms.close()
  writeFileSync(join(path, 'usage'), older)
  const after = await open(path)
  assert.deepEqual(await messagesOf(after), [7])
  assert.match(after.warnings.join(), /usage file is older than the keys/)
  await run(after, 'rotate', { key: 'k' })
  await after.close()
  writeFileSync(join(path, 'usage'), older)
  const later = await opened(t, path)
  assert.match(later.warnings.join(), /older than the keys/, 'it lacks a version')
})

test('a damaged file, or one of another keystore, is refused like a damaged keystore', async (t) => {
  const path = freshFolder(t)
  const kms = await open(path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  await kms.close()
  const whole = readFileSync(join(path, 'usage'))
  const damages = [new Uint8Array(), whole.subarray(0, 20), whole.subarray(0, -1), Buffer.concat([whole, bytes('x')])]
  for (let at = 0; at < whole.length; at += 7)
    damages.push(whole.map((byte, index) => (index === at ? byte ^ 1 : byte)))
  for (const damaged of damages) {
    writeFileSync(join(path, 'usage'), damaged)
    const error = await failureOf(open(path))
    assert.equal(error.code, 'INTERNAL')
    assert.match(error.message, /usage is damaged, or of another keystore: restore it from a backup, or remove it/)
  }
  const other = freshFolder(t)
  const theirs = await open(other)
  await run(theirs, 'createKey', { slug: 'k', keyType })
  await theirs.close()
  cpSync(join(other, 'usage'), join(path, 'usage'))
  await assert.rejects(open(path), { code: 'INTERNAL' })
  rmSync(join(path, 'usage'))
  await (await open(path)).close()
})

test('one that an earlier keystore left is of no account for a new one', async (t) => {
  const path = freshFolder(t)
  writeFileSync(join(path, 'usage'), 'of another', { mode: 0o600 })
  const kms = await open(path)
  await kms.close()
  const again = await open(path)
  assert.deepEqual(again.warnings, [])
  await run(again, 'createKey', { slug: 'k', keyType })
  await again.close()
  await (await open(path)).close()
})

test('another root key leaves the file as it is: whenever the process dies, the counts are there', async (t) => {
  const path = freshFolder(t)
  const newKey = new Uint8Array(randomBytes(32))
  const kms = await opened(t, path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  await seal(kms, 3)
  const before = readFileSync(join(path, 'usage'))
  await run(kms, 'rewrapRootKey', { rootKey: newKey })
  assert.deepEqual(readFileSync(join(path, 'usage')), before)
  const crashed = await opened(t, killed(t, path), { rootKey: newKey })
  assert.deepEqual([await messagesOf(crashed), crashed.warnings], [[block], []])
  await seal(kms, 1)
  await kms.close()
  const after = await opened(t, path, { rootKey: newKey })
  assert.deepEqual(await messagesOf(after), [4])
})

test('destroyed keys leave the file with the next writing', async (t) => {
  const path = freshFolder(t)
  const clock = handClock()
  const kms = await open(path, { clock })
  await run(kms, 'createKey', { slug: 'k', keyType })
  const { key } = await run(kms, 'createKey', { slug: 'gone', keyType })
  const { key: pending } = await run(kms, 'scheduleKeyDeletion', { key: 'gone' })
  clock.turn(90 * 86_400_000)
  await run(kms, 'destroyKey', { key: 'gone', dueAt: pending.deletionScheduledAt ?? '' })
  await kms.close()
  assert.equal(countsIn(path).length, 1)
  assert.ok(countsIn(path).every(({ identity }) => identity !== key.identity))
})

test('a reader counts by itself from what the keystore remembers, and writes nothing', async (t) => {
  const path = await usedUp(t, limit - 2, 'keystore')
  rmSync(join(path, 'usage'))
  const before = readdirSync(path)
  const clock = handClock()
  const reader = await opened(t, path, { readOnly: true, clock })
  assert.deepEqual((await run(reader, 'encrypt', { key: 'k', plaintext })).usage, { messages: limit - 1, limit })
  await seal(reader, 1)
  assert.equal((await failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))).code, 'USAGE_LIMIT')
  await reader.close()
  assert.deepEqual(readdirSync(path), before)
})

test('a reader catches up with the counts of each new generation', async (t) => {
  const path = await usedUp(t, 10)
  const clock = handClock()
  const writer = await opened(t, path)
  const reader = await opened(t, path, { readOnly: true, clock })
  assert.deepEqual(await messagesOf(reader), [0])
  await run(writer, 'createKey', { slug: 'new', keyType })
  clock.turn(500)
  assert.deepEqual(await messagesOf(reader), [10])
  await seal(reader, 1, 'new')
  assert.deepEqual(await messagesOf(reader, 'new'), [1])
})

test('a writer that was taken over writes no counts', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path)
  await run(kms, 'createKey', { slug: 'k', keyType })
  await seal(kms, 1)
  writeFileSync(join(path, 'lock.2'), readFileSync(join(path, 'lock.1')))
  const theirs = readFileSync(join(path, 'usage'))
  await kms.close()
  assert.deepEqual(readFileSync(join(path, 'usage')), theirs)
})

test('the file tells nothing to who has no root key', async (t) => {
  const path = freshFolder(t)
  const kms = await opened(t, path, { fs: nodeFileSystem })
  const { key } = await run(kms, 'createKey', { slug: 'k', keyType })
  const file = readFileSync(join(path, 'usage'))
  assert.equal(file.subarray(0, 16).toString(), 'keytrail-usage/1')
  assert.ok(!file.includes(key.identity))
  assert.equal(unsealUsage(engine, { ...keystoreIn(path), id: 'another' }, file), undefined)
  assert.equal(unsealUsage(engine, { ...keystoreIn(path), usageKey: new Uint8Array(32) }, file), undefined)
})
