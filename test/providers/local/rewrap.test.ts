import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { KmsClient } from '../../../src/client.ts'
import { lineOf } from '../../../src/model/line.ts'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import type { RootKeyOptions } from '../../../src/providers/local/root-key.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { faultyFileSystem } from '../../storage/faults.ts'
import { freshFolder } from '../../storage/folder.ts'
import { bytes, callOf, failureOf, handClock, run } from '../calls.ts'

const plaintext = bytes('kept')
const oldKey = new Uint8Array(randomBytes(32))
const newKey = new Uint8Array(randomBytes(32))

function rootKeyFile(t: TestContext): string {
  const path = join(freshFolder(t), 'root.key')
  writeFileSync(path, newKey, { mode: 0o600 })
  return path
}

const sources: Record<string, (t: TestContext) => RootKeyOptions & { rootKeyFrom?: never }> = {
  'a root key': () => ({ rootKey: newKey }),
  'a root key file': (t) => ({ rootKeyFile: rootKeyFile(t) }),
  'a passphrase': () => ({ passphrase: 'correct horse' }),
  'a passphrase in bytes': () => ({ passphrase: bytes('correct horse') }),
}

for (const [what, source] of Object.entries(sources))
  test(`a keystore sealed anew under ${what} opens with it, and no longer with the old one`, async (t) => {
    const path = freshFolder(t)
    const given = source(t)
    const kms = await openLocalKms({ path, rootKey: oldKey })
    await run(kms, 'createKey', { slug: 'k' })
    const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
    const { keystore } = kms.binding() ?? {}
    assert.deepEqual(await run(kms, 'rewrapRootKey', given), { keystore, generation: 3 })
    await run(kms, 'rotate', { key: 'k' })
    await kms.close()
    assert.deepEqual(
      readdirSync(path).filter((name) => name.includes('.keys')),
      ['00000000000000000004.keys'],
    )

    const error = await failureOf(openLocalKms({ path, rootKey: oldKey }))
    assert.equal(error.code, 'INVALID_INPUT')
    assert.match(error.message, /wrong root key|sealed with a passphrase/)
    const again = await openLocalKms({ path, ...given })
    t.after(() => again.close())
    assert.deepEqual((await run(again, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
    assert.equal((await run(again, 'describeKey', { key: 'k' })).key.latestVersion, 2)
    assert.equal(again.binding()?.keystore, keystore)
  })

test('whatever step of it fails, one of the two keys opens the keystore, and the recorded outcome says which', async (t) => {
  for (let step = 0; ; step++) {
    const path = freshFolder(t)
    let crash = Number.POSITIVE_INFINITY
    const fs = faultyFileSystem({ fail: (_step, number) => (number >= crash ? 'EIO' : undefined) })
    const kms = await openLocalKms({ path, rootKey: oldKey, fs })
    await run(kms, 'createKey', { slug: 'k' })
    crash = fs.steps.length + step
    const call = callOf()
    const failure = await run(kms, 'rewrapRootKey', { rootKey: newKey }, call).then(
      () => undefined,
      (error) => error,
    )
    await kms.close().catch(() => undefined)

    const withNew = await openLocalKms({ path, rootKey: newKey }).catch((error) => error)
    const isNew = 'operations' in withNew
    const after = isNew ? withNew : await openLocalKms({ path, rootKey: oldKey })
    assert.equal(after.outcomeOf(call.operationID), isNew ? 'done' : 'not-done')
    assert.equal((await run(after, 'listKeys', {})).keys.length, 1)
    await after.close()
    if (failure === undefined) {
      assert.ok(isNew && step > 5)
      break
    }
    if (failure.code === 'PROVIDER_UNAVAILABLE') assert.ok(!isNew)
  }
})

test('a change that the disk refused leaves the old root key in force for the next one', async (t) => {
  const path = freshFolder(t)
  let full = false
  const fs = faultyFileSystem({ fail: (step) => (full && step === 'write' ? 'ENOSPC' : undefined) })
  const kms = await openLocalKms({ path, rootKey: oldKey, fs })
  full = true
  assert.equal((await failureOf(run(kms, 'rewrapRootKey', { rootKey: newKey }))).code, 'PROVIDER_UNAVAILABLE')
  full = false
  await run(kms, 'createKey', { slug: 'k' })
  await kms.close()
  await (await openLocalKms({ path, rootKey: oldKey })).close()
})

test("the caller's bytes are left as they are", async (t) => {
  const kms = await openLocalKms({ path: freshFolder(t), rootKey: oldKey })
  t.after(() => kms.close())
  const rootKey = newKey.slice()
  await run(kms, 'rewrapRootKey', { rootKey })
  assert.deepEqual(rootKey, newKey)
})

test('a follower says that the keystore was sealed anew', async (t) => {
  const path = freshFolder(t)
  const clock = handClock()
  const writer = await openLocalKms({ path, rootKey: oldKey })
  t.after(() => writer.close())
  await run(writer, 'createKey', { slug: 'k' })
  const reader = await openLocalKms({ path, rootKey: oldKey, readOnly: true, clock })
  t.after(() => reader.close())
  await run(writer, 'rewrapRootKey', { rootKey: newKey })
  clock.turn(1000)
  const error = await failureOf(run(reader, 'encrypt', { key: 'k', plaintext }))
  assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
  assert.match(error.message, /sealed anew: close the keystore and open it again/)
})

const wrong: readonly (readonly [string, object, RegExp])[] = [
  ['nothing', {}, /exactly one of rootKey, rootKeyFile, passphrase/],
  ['two', { rootKey: newKey, passphrase: 'x' }, /exactly one of/],
  ['a short root key', { rootKey: newKey.slice(1) }, /'rootKey' must be 32 bytes long; this is 31/],
  ['a root key in text', { rootKey: 'a'.repeat(32) }, /'rootKey' must be a Uint8Array/],
  ['an empty passphrase', { passphrase: '' }, /'passphrase' must be 1–1024 bytes/],
  ['no bytes of passphrase', { passphrase: new Uint8Array() }, /'passphrase' must be 1–1024 bytes/],
  ['half a character', { passphrase: 'x\ud800' }, /well-formed/],
  ['a passphrase too long', { passphrase: 'x'.repeat(1025) }, /1–1024/],
  ['a number', { passphrase: 7 }, /'passphrase' must be a Uint8Array/],
  ['a root key file that is not there', { rootKeyFile: '/no/such/file' }, /ENOENT/],
  ['another source', { rootKeyFrom: () => newKey }, /has no field 'rootKeyFrom'/],
]

for (const [what, input, message] of wrong)
  test(`${what} is refused, with words and without a trace of it, and changes nothing`, async (t) => {
    const path = freshFolder(t)
    const sink = memorySink()
    const kms = new KmsClient({
      provider: await openLocalKms({ path, rootKey: oldKey }),
      audit: { required: [sink] },
    })
    const error = await failureOf(kms.rewrapRootKey(input))
    assert.match(error.message, message)
    await kms.close()
    const entry = sink.entries.find(({ eventID }) => eventID === error.eventID)
    assert.deepEqual(
      [entry?.action, entry?.resourceType, entry?.outcome],
      ['kms_keystore.rewrap_root_key', 'kms_keystore', 'failure'],
    )
    await (await openLocalKms({ path, rootKey: oldKey })).close()
  })

test('neither the entries, nor the output, nor the client show the new root key', async (t) => {
  const sink = memorySink()
  const provider = await openLocalKms({ path: freshFolder(t), rootKey: oldKey })
  const kms = new KmsClient({ provider, audit: { required: [sink] } })
  const { keystore = '' } = provider.binding() ?? {}
  const output = await kms.rewrapRootKey({ rootKey: newKey })
  assert.deepEqual(output, { keystore, generation: 2, eventID: output.eventID })
  const [intent, result] = sink.entries.filter(({ action }) => action === 'kms_keystore.rewrap_root_key')
  assert.deepEqual(
    [intent?.phase, intent?.resourceType, intent?.resourceIdentity, intent?.details],
    ['intent', 'kms_keystore', keystore, undefined],
  )
  assert.deepEqual(
    [result?.phase, result?.resourceIdentity, result?.details],
    ['result', keystore, { generation: 2, keystore }],
  )
  const shown = `${sink.entries.map(lineOf).join()}${inspect([kms, provider, output], { depth: 20, showHidden: true })}`
  for (const form of [newKey.join(', '), Buffer.from(newKey).toString('hex'), Buffer.from(newKey).toString('base64')])
    assert.ok(!shown.includes(form))
  await kms.close()
})
