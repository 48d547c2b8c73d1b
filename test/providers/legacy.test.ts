import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { KmsClient } from '../../src/client.ts'
import { evidenceOf, KmsError } from '../../src/model/errors.ts'
import { type LegacyOptions, legacy } from '../../src/providers/legacy.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { providerConformance, summary } from '../../src/testing/index.ts'
import { bytes, callOf, failureOf, run, scope } from './calls.ts'

const message = 'ciphertext does not open with this key and encryption context'

/** The format of this test: every byte the other way round, behind a mark. */
function openReversed(ciphertext: Uint8Array): Uint8Array {
  if (ciphertext[0] !== 0x7e) throw new Error(`no mark before ${ciphertext.join()}`)
  return ciphertext.slice(1).reverse()
}

const sealed = (text: string) => Uint8Array.of(0x7e, ...bytes(text).reverse())

for (const { name, run: check } of providerConformance(() => ({
  provider: legacy({ keys: ['orders', 'other'], open: openReversed }),
  keys: { encrypt: 'orders', other: 'other' },
})))
  test(`kit: ${name}`, check)

test('an old ciphertext opens with an entry, and all else is refused with one', async () => {
  const sink = memorySink()
  const provider = legacy({ keys: ['orders'], open: openReversed })
  const kms = new KmsClient({ provider, audit: { required: [sink] } })
  const { plaintext, key, keyVersion } = await kms.decrypt({ key: 'orders', ciphertext: sealed('17 boxes') })
  assert.deepEqual(plaintext, bytes('17 boxes'))
  assert.deepEqual([key, keyVersion], [{ identity: 'legacy/orders', slug: 'orders', keyType: 'legacy' }, undefined])
  const codes = []
  for (const call of [
    kms.decrypt({ key: 'orders', ciphertext: bytes('nonsense') }),
    kms.decrypt({ key: 'absent', ciphertext: sealed('x') }),
    kms.encrypt({ key: 'orders', plaintext: bytes('x') }),
  ])
    codes.push((await failureOf(call)).code)
  assert.deepEqual(codes, ['INVALID_CIPHERTEXT', 'KEY_NOT_FOUND', 'UNSUPPORTED_OPERATION'])
  const lines = summary(sink.entries.filter(({ action }) => action.startsWith('kms.')))
  assert.deepEqual(lines, [
    'kms.decrypt success orders',
    'kms.decrypt failure orders INVALID_CIPHERTEXT',
    'kms.decrypt failure absent KEY_NOT_FOUND',
    'kms.encrypt failure orders UNSUPPORTED_OPERATION',
  ])
  const [opened] = sink.entries.filter(({ action }) => action === 'kms.decrypt')
  assert.deepEqual(
    [opened?.resourceIdentity, opened?.keyType, opened?.provider?.name],
    ['legacy/orders', 'legacy', 'legacy'],
  )
})

describe('what the function that opens does', () => {
  const opening = (open: unknown) => legacy({ open: open as LegacyOptions['open'] })
  const decrypt = (open: unknown, over = {}) =>
    run(opening(open), 'decrypt', { key: 'orders', ciphertext: sealed('x') }, over)

  test('it is told slug, encryption context and signal, and gets a copy', async () => {
    const told: unknown[] = []
    const ciphertext = sealed('x')
    const controller = new AbortController()
    const provider = opening((given: Uint8Array, call: object) => {
      told.push(call)
      given.fill(0)
      return bytes('y')
    })
    const { signal } = controller
    const encryptionContext = { order: '17' }
    await run(provider, 'decrypt', { key: 'orders', ciphertext, encryptionContext }, { signal })
    await run(provider, 'decrypt', { key: 'legacy/orders', ciphertext }, { signal })
    assert.deepEqual(told, [
      { key: 'orders', encryptionContext, signal },
      { key: 'orders', encryptionContext: {}, signal },
    ])
    assert.deepEqual(ciphertext, sealed('x'))
  })

  test('what it answers is copied into bytes of their own', async () => {
    const pool = Buffer.from('a secret beside the plaintext')
    const { plaintext } = await decrypt(() => pool.subarray(2, 8))
    assert.deepEqual(plaintext, bytes('secret'))
    assert.deepEqual(
      [plaintext.constructor, plaintext.byteOffset, plaintext.buffer.byteLength],
      [Uint8Array, 0, plaintext.length],
    )
    pool.fill(0)
    assert.deepEqual(plaintext, bytes('secret'))
  })

  const failures: Record<string, unknown> = {
    'an error': () => {
      throw new Error('bad MAC for 17 boxes')
    },
    'a rejection': async () => {
      throw new TypeError('key hunter2 is wrong')
    },
    'a thrown text': () => {
      throw 'hunter2'
    },
    nothing: () => undefined,
    null: async () => null,
    'its own words for the same': () => {
      throw new KmsError('INVALID_CIPHERTEXT', 'hunter2 does not fit', { cause: new Error('hunter2') })
    },
  }
  for (const [what, open] of Object.entries(failures))
    test(`${what} is the one refusal, without its words`, async () => {
      const error = await failureOf(decrypt(open))
      assert.deepEqual([error.code, error.message, error.cause], ['INVALID_CIPHERTEXT', message, undefined])
      assert.doesNotMatch(`${inspect(error, { depth: 9 })}${JSON.stringify(evidenceOf(error))}`, /hunter2|17 boxes/)
    })

  test('a KmsError of another code passes as it is, and what it told its entry', async () => {
    const down = new KmsError('PROVIDER_UNAVAILABLE', 'the old key server did not answer')
    assert.equal(
      await failureOf(
        decrypt(() => {
          throw down
        }),
      ),
      down,
    )
    const evidence = { decryptFailure: 'malformed' } as const
    const error = await failureOf(
      decrypt(() => {
        throw new KmsError('INVALID_CIPHERTEXT', 'x', { evidence })
      }),
    )
    assert.deepEqual(evidenceOf(error), evidence)
  })

  test('an answer that is no bytes is a fault of its own, and not quoted', async () => {
    for (const answer of ['hunter2', 7, [1, 2], {}, new ArrayBuffer(4)]) {
      const error = await failureOf(decrypt(() => answer))
      assert.equal(error.code, 'INTERNAL')
      assert.doesNotMatch(inspect(error), /hunter2/)
    }
  })
})

test('keys are those that were named, in their region and project', async () => {
  const open = () => bytes('x')
  const named = legacy({ keys: ['orders'], scope, open })
  assert.equal((await named.resolve?.('legacy/orders', scope))?.slug, 'orders')
  const elsewhere: [string, object][] = [
    ['other', scope],
    ['orders', {}],
    ['orders', { ...scope, project: 'x' }],
    ['orders', { ...scope, region: 'x' }],
  ]
  for (const [name, where] of elsewhere) {
    assert.throws(() => named.resolve?.(name, where), { code: 'KEY_NOT_FOUND' })
    const call = callOf({ scope: where })
    const asked = run(named, 'decrypt', { key: name, ciphertext: sealed('x') }, call)
    assert.equal((await failureOf(asked)).code, 'KEY_NOT_FOUND')
  }
  const any = legacy({ name: 'php', open })
  assert.deepEqual(await any.resolve?.('orders', {}), { identity: 'php/orders', slug: 'orders', keyType: 'legacy' })
  for (const name of ['kms/../x', 'Orders', 'a b', 'kms-'.padEnd(80, 'x')])
    assert.throws(() => any.resolve?.(name, {}), { code: 'KEY_NOT_FOUND' }, name)
})

test('a wrong option is refused', () => {
  const open = () => bytes('x')
  const wrong: unknown[] = [
    undefined,
    null,
    {},
    { open: 'x' },
    { open, name: '' },
    { open, name: 'a b' },
    { open, keys: 'orders' },
    { open, keys: ['A'] },
    { open, keys: [7] },
    { open, scope: 'x' },
  ]
  for (const options of wrong)
    assert.throws(() => legacy(options as LegacyOptions), { code: 'INVALID_INPUT' }, inspect(options))
})
