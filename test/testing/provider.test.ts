import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallInfo, KmsProvider } from '../../src/model/provider.ts'
import { type FakeProvider, fakeProvider } from '../../src/testing/index.ts'

const plaintext = new TextEncoder().encode('hello')
const call: CallInfo = {
  operationID: '0199c9d0-1b00-7000-8000-000000000000',
  scope: {},
  signal: new AbortController().signal,
}

async function withKey(provider: FakeProvider): Promise<FakeProvider> {
  await provider.operations.createKey?.({ slug: 'orders', keyType: 'aes256-gcm96' }, call)
  return provider
}

const encrypt = (provider: KmsProvider) => provider.operations.encrypt?.({ key: 'orders', plaintext }, call)

test('without a word it does the real work', async () => {
  const provider = await withKey(fakeProvider())
  const sealed = await encrypt(provider)
  assert.ok(sealed)
  const opened = await provider.operations.decrypt?.({ key: 'orders', ciphertext: sealed.ciphertext }, call)
  assert.deepEqual(opened?.plaintext, plaintext)
  assert.equal((await provider.resolve?.('orders', {}))?.slug, 'orders')
  assert.equal(provider.name, 'memory')
})

test('answers as told, one behaviour a question, then really again', async () => {
  const provider = await withKey(fakeProvider())
  const foreign = new TypeError('socket hang up')
  provider.tell('encrypt', { throws: foreign }, { answers: 'nonsense' }, 'real')
  assert.throws(() => encrypt(provider), foreign)
  assert.equal(await encrypt(provider), 'nonsense')
  assert.ok((await encrypt(provider))?.ciphertext)
  assert.ok((await encrypt(provider))?.ciphertext)
})

test('answers late: really, once the promise has settled', async () => {
  const provider = await withKey(fakeProvider())
  let release: () => void = () => undefined
  provider.tell('encrypt', { after: new Promise<void>((resolve) => (release = resolve)) })
  let answered = false
  const answer = Promise.resolve(encrypt(provider)).then((output) => {
    answered = true
    return output
  })
  await new Promise(setImmediate)
  assert.equal(answered, false)
  release()
  assert.ok((await answer)?.ciphertext)
})

test('never answers when told so', async () => {
  const provider = await withKey(fakeProvider())
  provider.tell('encrypt', 'never')
  const first = await Promise.race([encrypt(provider), new Promise((resolve) => setImmediate(resolve, 'nothing'))])
  assert.equal(first, 'nothing')
})

test('its questions can be told how to answer too', async () => {
  const provider = await withKey(fakeProvider())
  provider.tell('resolve', { throws: new Error('down') })
  assert.throws(() => provider.resolve?.('orders', {}), /down/)
  provider.tell('outcomeOf', { answers: 'done' })
  assert.equal(await provider.outcomeOf?.('some-id'), 'done')
})

test('leaves out what it is told to, and what its inner provider leaves out', () => {
  assert.equal(fakeProvider({ without: ['sign', 'export'] }).operations.sign, undefined)
  const bare = fakeProvider({ inner: { name: 'bare', operations: {} } })
  assert.deepEqual([bare.operations, bare.resolve, bare.outcomeOf, bare.name], [{}, undefined, undefined, 'bare'])
})

test('remembers what it was asked', async () => {
  const provider = await withKey(fakeProvider({ name: 'fake' }))
  await encrypt(provider)
  await provider.resolve?.('orders', {})
  assert.deepEqual(
    provider.calls.map(({ asked }) => asked),
    ['createKey', 'encrypt', 'resolve'],
  )
  assert.deepEqual(provider.calls[1]?.input, { key: 'orders', plaintext })
  assert.equal(provider.calls[1]?.call, call)
  assert.equal(provider.name, 'fake')
})
