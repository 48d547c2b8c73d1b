/** @node */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { KmsClient, type KmsClientOptions } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { evidenceOf, KmsError, type KmsErrorCode } from '../../src/model/errors.ts'
import type { Operation } from '../../src/model/operation.ts'
import type { IntentOutcome, KmsProvider } from '../../src/model/provider.ts'
import { legacy } from '../../src/providers/legacy.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { type MigratingOptions, migrating } from '../../src/providers/migrating.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { fakeClock, fakeProvider, providerConformance, summary } from '../../src/testing/index.ts'
import { openTrail, readTrail } from '../../src/trail/index.ts'
import { copyFolder } from '../copy-folder.ts'
import { freshFolder } from '../storage/folder.ts'
import { bytes, callOf, failureOf, run, scope } from './calls.ts'

const plaintext = bytes('17 boxes')
const one = 'ciphertext does not open with this key and encryption context'

/** A provider with the keys `orders`, `releases` (Ed25519) and `tokens` (HMAC), under a name of its own. */
async function withKeys(name: string, more: readonly string[] = []) {
  const provider = fakeProvider({ name })
  for (const slug of ['orders', ...more]) await run(provider, 'createKey', { slug })
  await run(provider, 'createKey', { slug: 'releases', keyType: 'ed25519' })
  await run(provider, 'createKey', { slug: 'tokens', keyType: 'hmac' })
  return provider
}

async function twoHouses() {
  const [to, old] = [await withKeys('new'), await withKeys('old', ['archive'])]
  return { to, old, both: migrating({ to, from: [old] }) }
}

describe('the conformance kit', () => {
  const keys = { encrypt: 'orders', other: 'second', sign: 'releases', mac: 'tokens' }
  async function filled(provider: KmsProvider): Promise<KmsProvider> {
    for (const [slug, keyType] of [
      ['orders', 'aes256-gcm96'],
      ['second', 'xaes256-gcm'],
      ['releases', 'ed25519'],
      ['tokens', 'hmac-sha256'],
    ] as const)
      await run(provider, 'createKey', { slug, keyType })
    return provider
  }
  const made: Record<string, () => Promise<KmsProvider>> = {
    'memory to memory': async () => migrating({ to: await filled(memoryKms()), from: [memoryKms()] }),
    'memory to memory, keys in both': async () =>
      migrating({ to: await filled(memoryKms()), from: [await filled(memoryKms())] }),
    'from three, one of them a legacy format': async () => {
      const open = () => {
        throw new Error('not mine')
      }
      const from = [await filled(fakeProvider()), legacy({ open }), await filled(memoryKms())]
      return migrating({ to: await filled(memoryKms()), from })
    },
    'one within another': async () =>
      migrating({
        to: migrating({ to: await filled(memoryKms()), from: [memoryKms()] }),
        from: [await filled(memoryKms())],
      }),
    'to one that cannot re-encrypt': async () =>
      migrating({
        to: fakeProvider({ inner: await filled(memoryKms()), without: ['reEncrypt'] }),
        from: [memoryKms()],
      }),
  }
  for (const [what, make] of Object.entries(made))
    for (const { name, run: check } of providerConformance(async () => ({ provider: await make(), keys, scope })))
      test(`${what}: ${name}`, check)
})

test('a whole move: old ciphertexts open, new ones are sealed by the new, all are re-encrypted, the old is dropped', async () => {
  const [to, old] = [fakeProvider({ name: 'new' }), fakeProvider({ name: 'old' })]
  const clientOf = (provider: KmsProvider) => {
    const sink = memorySink()
    const told = () =>
      sink.entries
        .filter(({ action }) => action.startsWith('kms'))
        .map((entry) => `${summary([entry]).join('')} ${flagsOf(entry)}`)
    return { kms: new KmsClient({ provider, audit: { required: [sink] }, ...scope }), told, sink }
  }

  const before = clientOf(old)
  await before.kms.createKey({ slug: 'orders' })
  const encryptionContext = { order: '17' }
  const ciphertexts: Uint8Array[] = []
  for (const text of ['a', 'b', 'c'])
    ciphertexts.push(
      (await before.kms.encrypt({ key: 'orders', plaintext: bytes(text), encryptionContext })).ciphertext,
    )

  const during = clientOf(migrating({ to, from: [old] }))
  const refused = await failureOf(during.kms.encrypt({ key: 'orders', plaintext }))
  assert.deepEqual([refused.code, refused.retryable], ['KEY_NOT_FOUND', false])
  assert.equal(refused.message, "the key lives only in 'old', where nothing new is made: create it in 'new'")
  await during.kms.createKey({ slug: 'orders', keyType: 'aes256-gcm96' })
  const fresh = await during.kms.encrypt({ key: 'orders', plaintext, encryptionContext })
  const [first = assert.fail()] = ciphertexts
  await during.kms.decrypt({ key: 'orders', ciphertext: first, encryptionContext })
  const moved: Uint8Array[] = [fresh.ciphertext]
  for (const ciphertext of ciphertexts) {
    const answer = await during.kms.reEncrypt({ key: 'orders', ciphertext, encryptionContext })
    assert.deepEqual([answer.key.keyType, answer.destinationKey.keyType], ['xaes256-gcm', 'aes256-gcm96'])
    moved.push(answer.ciphertext)
  }
  // Done twice by mistake: the new one does it alone.
  await during.kms.reEncrypt({ key: 'orders', ciphertext: fresh.ciphertext, encryptionContext })
  assert.deepEqual(during.told(), [
    'kms.encrypt failure orders KEY_NOT_FOUND migrating',
    'kms_key.create pending orders migrating',
    'kms_key.create success orders new',
    'kms.encrypt success orders v1 new',
    'kms.decrypt success orders v1 old refused_by.new',
    ...Array.from({ length: 3 }, () => 'kms.re_encrypt success orders v1 new opened_by.old refused_by.new'),
    'kms.re_encrypt success orders v1 new',
  ])
  const last = during.sink.entries.filter(({ action }) => action === 'kms.re_encrypt').at(-2)
  const oldKey = await old.resolve?.('orders', scope)
  const newKey = await to.resolve?.('orders', scope)
  assert.equal(last?.resourceIdentity, oldKey?.identity)
  assert.deepEqual(last?.details?.destinationKey, {
    identity: newKey?.identity,
    slug: 'orders',
    keyType: 'aes256-gcm96',
    keyVersion: 1,
  })
  assert.deepEqual(last?.payloadSizes, { ciphertext: 78, encryptionContext: 7 })

  const after = clientOf(to)
  const texts = []
  for (const ciphertext of moved) {
    const opened = await after.kms.decrypt({ key: 'orders', ciphertext, encryptionContext })
    texts.push(Buffer.from(opened.plaintext).toString())
  }
  assert.deepEqual(texts, ['17 boxes', 'a', 'b', 'c'])
  assert.equal(
    (await failureOf(after.kms.decrypt({ key: 'orders', ciphertext: first, encryptionContext }))).code,
    'INVALID_CIPHERTEXT',
  )
})

function flagsOf({ provider, details }: AuditEntry): string {
  return [provider?.name, ...(details?.flags ?? [])].join(' ')
}

describe('a name', () => {
  test('is a key of the new one first, else of the first old one that has it', async () => {
    const { to, old, both } = await twoHouses()
    const found = async (name: string) => (await both.resolve?.(name, scope))?.identity
    const own = async (provider: KmsProvider, name: string) => (await provider.resolve?.(name, scope))?.identity
    assert.equal(await found('orders'), await own(to, 'orders'))
    assert.equal(await found('archive'), await own(old, 'archive'))
    const oldOrders = (await own(old, 'orders')) ?? assert.fail()
    assert.equal(await found(oldOrders), oldOrders)
    assert.throws(() => both.resolve?.('absent', scope), { code: 'KEY_NOT_FOUND' })
    assert.throws(() => both.resolve?.('orders', {}), { code: 'KEY_NOT_FOUND' })
  })

  test('that is an identity reaches its own key and no other', async () => {
    const { to, old, both } = await twoHouses()
    const oldOrders = (await old.resolve?.('orders', scope))?.identity ?? assert.fail()
    const sealedNew = await run(to, 'encrypt', { key: 'orders', plaintext })
    const sealedOld = await run(old, 'encrypt', { key: 'orders', plaintext })
    const opened = await run(both, 'decrypt', { key: oldOrders, ciphertext: sealedOld.ciphertext })
    assert.deepEqual([opened.key.identity, opened.plaintext], [oldOrders, plaintext])
    const wrong = await failureOf(run(both, 'decrypt', { key: oldOrders, ciphertext: sealedNew.ciphertext }))
    assert.equal(wrong.code, 'INVALID_CIPHERTEXT')
    const refused = await failureOf(run(both, 'encrypt', { key: oldOrders, plaintext }))
    assert.deepEqual([refused.code, evidenceOf(refused).provider], ['KEY_NOT_FOUND', undefined])
    assert.match(refused.message, /lives only in 'old'/)
  })

  test('is resolved by each provider for itself: what it is handed is its own key', async () => {
    const { to, old, both } = await twoHouses()
    const { ciphertext } = await run(old, 'encrypt', { key: 'orders', plaintext })
    const key = await both.resolve?.('orders', scope)
    await run(both, 'decrypt', { key: 'orders', ciphertext }, key && { key })
    for (const provider of [to, old]) {
      const last = provider.calls.at(-1)
      assert.deepEqual([last?.asked, last?.call?.key], ['decrypt', await provider.resolve?.('orders', scope)])
    }
  })

  test('of an access policy is the key of the name, whatever provider answers', async () => {
    const { old, both } = await twoHouses()
    const seen: (string | undefined)[] = []
    const kms = new KmsClient({
      provider: both,
      audit: { required: [memorySink()] },
      ...scope,
      middleware: [
        (call, next) => {
          seen.push(call.key?.slug)
          return next()
        },
      ],
    })
    const { ciphertext } = await run(old, 'encrypt', { key: 'orders', plaintext })
    await kms.decrypt({ key: (await old.resolve?.('orders', scope))?.identity ?? '', ciphertext })
    await kms.decrypt({ key: 'orders', ciphertext })
    assert.deepEqual(seen, ['orders', 'orders'])
  })
})

describe('decrypt', () => {
  const fail = (code: KmsErrorCode) => ({ throws: new KmsError(code, `it is ${code}`) })

  async function sealedByOld() {
    const houses = await twoHouses()
    const { ciphertext } = await run(houses.old, 'encrypt', { key: 'orders', plaintext })
    return { ...houses, decrypt: () => run(houses.both, 'decrypt', { key: 'orders', ciphertext }) }
  }

  for (const code of [
    'PROVIDER_UNAVAILABLE',
    'THROTTLED',
    'INTERNAL',
    'INVALID_INPUT',
    'UNSUPPORTED_OPERATION',
  ] as const)
    test(`${code} of the new one does not keep an old one from answering`, async () => {
      const { to, decrypt } = await sealedByOld()
      to.tell('decrypt', fail(code))
      const opened = await decrypt()
      assert.deepEqual([opened.plaintext, opened.provider?.name, opened.flags], [plaintext, 'old', undefined])
    })

  for (const code of ['ACCESS_DENIED', 'KEY_NOT_ACTIVE'] as const)
    test(`${code} of the new one ends it: no other is asked`, async () => {
      const { to, old, decrypt } = await sealedByOld()
      to.tell('decrypt', fail(code))
      const asked = old.calls.length
      const error = await failureOf(decrypt())
      assert.deepEqual([error.code, evidenceOf(error).provider, old.calls.length], [code, 'new', asked])
    })

  test('where one is in trouble and the others refuse, the trouble is told and never INVALID_CIPHERTEXT', async () => {
    const troubles = ['PROVIDER_UNAVAILABLE', 'THROTTLED', 'INTERNAL', 'OVERLOADED'] as const
    for (const code of troubles) {
      const { to, old, both } = await twoHouses()
      const { ciphertext } = await run(to, 'encrypt', { key: 'orders', plaintext })
      for (const [provider, name] of [
        [to, 'new'],
        [old, 'old'],
      ] as const) {
        provider.tell('decrypt', fail(code))
        const nobodys = provider === to ? ciphertext : bytes('of nobody')
        const error = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: nobodys }))
        assert.deepEqual([error.code, error.message, evidenceOf(error).provider], [code, `it is ${code}`, name])
      }
    }
  })

  test('of several troubles one that may pass is told', async () => {
    const { to, old, both } = await twoHouses()
    to.tell('decrypt', { throws: new TypeError('undefined is not a function') })
    old.tell('decrypt', fail('THROTTLED'))
    const error = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: bytes('x') }))
    assert.deepEqual([error.code, evidenceOf(error).provider], ['THROTTLED', 'old'])
  })

  test('a foreign error is told as one, without its message', async () => {
    const { to, both } = await twoHouses()
    to.tell('decrypt', { throws: new TypeError('hunter2 is not a function') })
    const error = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: bytes('x') }))
    assert.deepEqual([error.code, evidenceOf(error).provider], ['INTERNAL', 'new'])
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hunter2/)
  })

  test('a wrong shape is no answer', async () => {
    const { to, decrypt } = await sealedByOld()
    for (const answers of [undefined, {}, { plaintext: 'text' }]) {
      to.tell('decrypt', { answers })
      assert.deepEqual((await decrypt()).plaintext, plaintext)
    }
  })

  test('a source that is down when its key is looked up is passed over, and told if nobody else can', async () => {
    const { to, both, decrypt } = await sealedByOld()
    to.tell('resolve', fail('PROVIDER_UNAVAILABLE'))
    assert.deepEqual((await decrypt()).plaintext, plaintext)
    to.tell('resolve', fail('PROVIDER_UNAVAILABLE'))
    const error = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: bytes('x') }))
    assert.deepEqual([error.code, evidenceOf(error).provider], ['PROVIDER_UNAVAILABLE', 'new'])
    to.tell('resolve', fail('PROVIDER_UNAVAILABLE'))
    assert.throws(() => both.resolve?.('absent', scope), { code: 'PROVIDER_UNAVAILABLE' })
  })

  test('nobody opens it: one code, one message, and the cause only if it is certain', async () => {
    const { to, old, both } = await twoHouses()
    const context = { order: '17' }
    const own = await run(to, 'encrypt', { key: 'orders', plaintext, encryptionContext: context })
    const other = await run(old, 'encrypt', { key: 'orders', plaintext, encryptionContext: context })
    const evidences = []
    for (const ciphertext of [own.ciphertext, other.ciphertext, bytes('nonsense'), new Uint8Array(200)]) {
      const error = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext }))
      assert.deepEqual([error.code, error.message], ['INVALID_CIPHERTEXT', one])
      evidences.push(evidenceOf(error))
    }
    // Both keys have a version 1, and whose ciphertext it is cannot be told from without.
    assert.deepEqual(evidences, [{}, {}, { decryptFailure: 'malformed' }, { decryptFailure: 'malformed' }])
    await run(both, 'rotate', { key: 'orders' })
    const second = await run(both, 'encrypt', { key: 'orders', plaintext, encryptionContext: context })
    const error = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: second.ciphertext }))
    assert.deepEqual(evidenceOf(error), { keyVersion: 2, decryptFailure: 'authentication_failed', provider: 'new' })
  })

  test('one refusal for a key that lives in one of them only is its own', async () => {
    const { both } = await twoHouses()
    const error = await failureOf(run(both, 'decrypt', { key: 'archive', ciphertext: bytes('nonsense') }))
    assert.deepEqual(
      [error.code, error.message, evidenceOf(error)],
      ['INVALID_CIPHERTEXT', one, { decryptFailure: 'malformed', provider: 'old' }],
    )
  })

  test('a key that nobody has is not found, and one that is no such key is told so', async () => {
    const { both } = await twoHouses()
    for (const [key, code] of [
      ['absent', 'KEY_NOT_FOUND'],
      ['releases', 'UNSUPPORTED_OPERATION'],
    ] as const)
      assert.equal((await failureOf(run(both, 'decrypt', { key, ciphertext: bytes('x') }))).code, code)
  })

  test('one that hangs holds the call until its deadline, is told to stop, and nobody is asked after it', async () => {
    const { to, old, both } = await twoHouses()
    const { ciphertext } = await run(old, 'encrypt', { key: 'orders', plaintext })
    let release: (() => void) | undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    to.tell('decrypt', { after: held })
    const clock = fakeClock()
    const kms = new KmsClient({ provider: both, audit: { required: [memorySink()], clock }, ...scope })
    const failed = failureOf(kms.decrypt({ key: 'orders', ciphertext }, { deadlineMs: 20 }))
    while (to.calls.at(-1)?.asked !== 'decrypt') await new Promise(setImmediate)
    clock.advance(20)
    const error = await failed
    assert.equal(error.code, 'DEADLINE_EXCEEDED')
    assert.equal(to.calls.at(-1)?.call?.signal.aborted, true)
    const asked = old.calls.length
    release?.()
    await kms.close()
    assert.equal(old.calls.length, asked)
  })

  test('nothing is asked of anyone once the call is over', async () => {
    const { to, both } = await twoHouses()
    const controller = new AbortController()
    controller.abort()
    const asked = to.calls.length
    const call = run(both, 'decrypt', { key: 'orders', ciphertext: bytes('x') }, { signal: controller.signal })
    assert.deepEqual([(await failureOf(call)).code, to.calls.length], ['ABORTED', asked])
  })
})

describe('verify and verifyHmac', () => {
  test('are true by any, false only where all who could answer said so', async () => {
    const { to, old, both } = await twoHouses()
    const input = bytes('a release')
    const { signature } = await run(old, 'sign', { key: 'releases', input })
    const yes = await run(both, 'verify', { key: 'releases', input, signature })
    assert.deepEqual([yes.valid, yes.provider?.name], [true, 'old'])
    const no = await run(both, 'verify', { key: 'releases', input: bytes('x'), signature })
    assert.deepEqual([no.valid, no.provider?.name], [false, 'new'])
    const { hmac } = await run(old, 'hmac', { key: 'tokens', input })
    assert.equal((await run(both, 'verifyHmac', { key: 'tokens', input, hmac })).valid, true)
    assert.equal((await run(both, 'verifyHmac', { key: 'tokens', input: bytes('x'), hmac })).valid, false)

    for (const provider of [to, old]) {
      provider.tell('verify', { throws: new KmsError('PROVIDER_UNAVAILABLE', 'down') })
      const failed = await failureOf(run(both, 'verify', { key: 'releases', input: bytes('x'), signature }))
      assert.equal(failed.code, 'PROVIDER_UNAVAILABLE')
    }
    to.tell('verify', { throws: new KmsError('PROVIDER_UNAVAILABLE', 'down') })
    assert.equal((await run(both, 'verify', { key: 'releases', input, signature })).valid, true)
  })

  test('pass over one that has not the version or the kind of key', async () => {
    const { to, both } = await twoHouses()
    await run(to, 'rotate', { key: 'releases' })
    const input = bytes('a release')
    const { signature } = await run(both, 'sign', { key: 'releases', input })
    const at = (keyVersion: number) => run(both, 'verify', { key: 'releases', input, signature, keyVersion })
    assert.deepEqual([(await at(2)).valid, (await at(1)).valid], [true, false])
    assert.equal((await failureOf(at(3))).code, 'VERSION_NOT_FOUND')
    const wrong = await failureOf(run(both, 'verify', { key: 'orders', input, signature }))
    assert.equal(wrong.code, 'UNSUPPORTED_OPERATION')
  })
})

describe('reEncrypt', () => {
  test('seals under the key and context that were named, in the new one', async () => {
    const { to, old, both } = await twoHouses()
    const encryptionContext = { order: '17' }
    const { ciphertext } = await run(old, 'encrypt', { key: 'archive', plaintext, encryptionContext })
    const moved = await run(both, 'reEncrypt', {
      key: 'archive',
      ciphertext,
      encryptionContext,
      destinationKey: 'orders',
      destinationEncryptionContext: { order: '18' },
    })
    assert.deepEqual([moved.key.slug, moved.destinationKey.slug], ['archive', 'orders'])
    const opened = await run(to, 'decrypt', {
      key: 'orders',
      ciphertext: moved.ciphertext,
      encryptionContext: { order: '18' },
    })
    assert.deepEqual(opened.plaintext, plaintext)
  })

  test('of a key that is not in the new one yet says so, and opens nothing', async () => {
    const { old, both } = await twoHouses()
    const { ciphertext } = await run(old, 'encrypt', { key: 'archive', plaintext })
    const asked = old.calls.filter(({ asked: what }) => what === 'decrypt').length
    for (const destinationKey of [undefined, 'archive', 'absent']) {
      const input = { key: 'archive', ciphertext, ...(destinationKey !== undefined && { destinationKey }) }
      const error = await failureOf(run(both, 'reEncrypt', input))
      assert.equal(error.code, 'KEY_NOT_FOUND')
      if (destinationKey !== 'absent') assert.match(error.message, /create it in 'new'/)
    }
    assert.equal(old.calls.filter(({ asked: what }) => what === 'decrypt').length, asked)
  })

  test('by the identity of the old key goes to the new key of its slug', async () => {
    const { to, old, both } = await twoHouses()
    const { ciphertext, key } = await run(old, 'encrypt', { key: 'orders', plaintext })
    const moved = await run(both, 'reEncrypt', { key: key.identity, ciphertext })
    assert.equal(moved.destinationKey.identity, (await to.resolve?.('orders', scope))?.identity)
  })

  test('wipes the plaintext, whether it was sealed or not', async () => {
    for (const behaviour of ['real', { throws: new KmsError('THROTTLED', 'slow down') }] as const) {
      const { to, old, both } = await twoHouses()
      const { ciphertext } = await run(old, 'encrypt', { key: 'orders', plaintext })
      const opened = Uint8Array.from(plaintext)
      const key = (await old.resolve?.('orders', scope)) ?? assert.fail()
      old.tell('decrypt', { answers: { key, keyVersion: 1, plaintext: opened } })
      to.tell('encrypt', behaviour)
      const moved = run(both, 'reEncrypt', { key: 'orders', ciphertext })
      if (behaviour === 'real') await moved
      else assert.deepEqual(evidenceOf(await failureOf(moved)), { provider: 'new' })
      assert.deepEqual(opened, new Uint8Array(plaintext.length))
    }
  })

  test('of what nobody opens is the one refusal; of one in trouble, its trouble', async () => {
    const { old, both } = await twoHouses()
    const refused = await failureOf(run(both, 'reEncrypt', { key: 'orders', ciphertext: bytes('nonsense') }))
    assert.deepEqual([refused.code, refused.message], ['INVALID_CIPHERTEXT', one])
    old.tell('decrypt', { throws: new KmsError('PROVIDER_UNAVAILABLE', 'down') })
    const down = await failureOf(run(both, 'reEncrypt', { key: 'orders', ciphertext: bytes('nonsense') }))
    assert.equal(down.code, 'PROVIDER_UNAVAILABLE')
  })
})

describe('changes and reads', () => {
  test('are about the key that the name names: of a slug the new one, by its identity the old one', async () => {
    const { to, old, both } = await twoHouses()
    const oldOrders = (await old.resolve?.('orders', scope))?.identity ?? assert.fail()
    const sealedOld = await run(old, 'encrypt', { key: 'orders', plaintext })
    const statuses = async () => [
      (await to.resolve?.('orders', scope))?.status,
      (await old.resolve?.('orders', scope))?.status,
    ]
    const disabled = await run(both, 'disableKey', { key: oldOrders })
    assert.deepEqual([disabled.key.identity, disabled.provider?.name], [oldOrders, 'old'])
    assert.deepEqual(await statuses(), ['active', 'disabled'])
    // A disabled key opens nothing, and the new one knows nothing of it.
    const stopped = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: sealedOld.ciphertext }))
    assert.equal(stopped.code, 'KEY_NOT_ACTIVE')
    await run(both, 'enableKey', { key: oldOrders })
    await run(both, 'disableKey', { key: 'orders' })
    assert.deepEqual(await statuses(), ['disabled', 'active'])
    // Disabled by its slug, it is not reached by way of the old one.
    const shut = await failureOf(run(both, 'decrypt', { key: 'orders', ciphertext: sealedOld.ciphertext }))
    assert.equal(shut.code, 'KEY_NOT_ACTIVE')
    await run(both, 'scheduleKeyDeletion', { key: 'archive', pendingWindowInDays: 7 })
    assert.equal((await old.resolve?.('archive', scope))?.status, 'pending_deletion')
    for (const operation of ['rotate', 'encrypt'] as const) {
      const error = await failureOf(run(both, operation, { key: 'archive', plaintext }))
      assert.match(`${error.code} ${error.message}`, /^KEY_NOT_FOUND .*create it in 'new'/)
    }
  })

  test('fail while one that comes before the key cannot be asked', async () => {
    const { to, both } = await twoHouses()
    to.tell('resolve', { throws: new KmsError('PROVIDER_UNAVAILABLE', 'down') })
    const error = await failureOf(run(both, 'scheduleKeyDeletion', { key: 'archive' }))
    assert.deepEqual([error.code, evidenceOf(error).provider], ['PROVIDER_UNAVAILABLE', 'new'])
  })

  test('keys of all are listed with their provider, and old ones never fall due', async () => {
    const [to, old] = [fakeProvider({ name: 'new' }), fakeProvider({ name: 'old' })]
    const due = { keyRotationEnabled: true, rotationPeriodInDays: 1 }
    await run(to, 'createKey', { slug: 'orders', annotations: { team: 'x' }, ...due })
    await run(old, 'createKey', { slug: 'orders', ...due })
    const both = migrating({ to, from: [old, legacy({ open: () => undefined })] })
    const { keys } = await run(both, 'listKeys', {})
    assert.deepEqual(
      keys.map(({ slug, annotations, keyRotationEnabled, nextRotationAt }) => [
        slug,
        annotations,
        keyRotationEnabled,
        nextRotationAt !== undefined,
      ]),
      [
        ['orders', { team: 'x', 'keytrail/provider': 'new' }, true, true],
        ['orders', { 'keytrail/provider': 'old' }, true, false],
      ],
    )
    const { key } = await run(both, 'describeKey', { key: keys[1]?.identity ?? '' })
    assert.equal(key.annotations?.['keytrail/provider'], 'old')
    old.tell('listKeys', { throws: new KmsError('THROTTLED', 'slow down') })
    assert.equal((await failureOf(run(both, 'listKeys', {}))).code, 'THROTTLED')
  })

  test('old keys whose deletion was scheduled are destroyed, and only they', async (t) => {
    const { clock, turn } = turning()
    const [to, old] = [memoryKms({ clock }), fakeProvider({ name: 'old', inner: memoryKms({ clock }) })]
    const kms = new KmsClient({
      provider: migrating({ to, from: [old] }),
      audit: { required: [memorySink()], clock },
      ...scope,
    })
    t.after(() => kms.close())
    const { key } = await run(old, 'createKey', { slug: 'orders', keyRotationEnabled: true, rotationPeriodInDays: 1 })
    await kms.createKey({ slug: 'orders' })
    await kms.scheduleKeyDeletion({ key: key.identity, pendingWindowInDays: 7 })
    turn(8 * 86_400_000)
    assert.deepEqual(await kms.rotateDueKeys(), [])
    const [destroyed, ...more] = await kms.destroyDueKeys()
    assert.deepEqual([destroyed?.ok, destroyed?.ok && destroyed.key.identity, more], [true, key.identity, []])
    assert.equal((await kms.encrypt({ key: 'orders', plaintext })).key.slug, 'orders')
  })
})

/** A clock of both kinds, turned by hand. */
function turning() {
  let now = Date.UTC(2026, 0, 1)
  const clock = { now: () => now, monotonic: () => performance.now(), after: () => () => undefined }
  return {
    clock,
    turn(ms: number) {
      now += ms
    },
  }
}

describe('its table', () => {
  const named = (name: string, ...names: readonly Operation[]): KmsProvider => ({
    name,
    operations: Object.fromEntries(names.map((operation) => [operation, () => assert.fail(operation)])),
    resolve: () => {
      throw new KmsError('KEY_NOT_FOUND', 'none')
    },
  })
  const table = (to: KmsProvider, ...from: KmsProvider[]) => Object.keys(migrating({ to, from }).operations).sort()

  test('holds just what someone can do', () => {
    const old = named('old', 'encrypt', 'decrypt', 'sign', 'verify', 'createKey', 'rotate', 'disableKey', 'listKeys')
    assert.deepEqual(table(named('new', 'encrypt'), old), [
      'decrypt',
      'disableKey',
      'encrypt',
      'listKeys',
      'reEncrypt',
      'verify',
    ])
    assert.deepEqual(table(named('new', 'sign'), named('old', 'decrypt')), ['decrypt', 'sign'])
    const all = [...table(memoryKms(), named('old', 'rewrapRootKey'))]
    assert.deepEqual(all, Object.keys(memoryKms().operations).sort())
  })

  test('has the operations of one keystore, the one that binding tells', async () => {
    const [cloud, embedded, second] = [await withKeys('cloud'), memoryKms(), memoryKms()]
    const both = migrating({ to: cloud, from: [embedded, second] })
    assert.deepEqual(both.binding?.(), embedded.binding())
    const { keystore } = await run(both, 'rotateWrappingKey', {})
    assert.deepEqual([keystore, embedded.binding()?.generation], [embedded.binding()?.keystore, 2])
    assert.equal(second.binding()?.generation, 1)
  })

  test('answers without a promise where each of them does', () => {
    const [to, old] = [memoryKms(), memoryKms()]
    assert.equal(migrating({ to, from: [old] }).synchronous, true)
    assert.equal(migrating({ to, from: [old, legacy({ open: () => undefined })] }).synchronous, false)
    assert.equal(migrating({ to: fakeProvider(), from: [old] }).synchronous, false)
  })

  test('synchronous crypto on a synchronous pair makes no promise', async () => {
    const [to, old] = [memoryKms(), memoryKms()]
    for (const kms of [to, old]) await run(kms, 'createKey', { slug: 'orders' })
    const both = migrating({ to, from: [old] })
    const call = callOf()
    assert.equal(both.resolve?.('orders', scope) instanceof Promise, false)
    const sealed = old.operations.encrypt?.({ key: 'orders', plaintext }, call)
    if (sealed === undefined || sealed instanceof Promise) return assert.fail()
    const input = { key: 'orders', ciphertext: sealed.ciphertext }
    const answers: unknown[] = [both.operations.decrypt?.(input, call), both.operations.reEncrypt?.(input, call)]
    for (const answer of answers) assert.equal(typeof answer === 'object' && !(answer instanceof Promise), true)
  })
})

test('closes all of them once, and tells the first failure', async () => {
  const closed: string[] = []
  const closing = (name: string, fails = false): KmsProvider => ({
    ...fakeProvider({ name }),
    close: async () => {
      closed.push(name)
      if (fails) throw new KmsError('PROVIDER_UNAVAILABLE', `${name} does not close`)
    },
  })
  const both = migrating({ to: closing('a', true), from: [closing('b'), closing('c')] })
  assert.equal((await failureOf(both.close?.() ?? Promise.resolve())).message, 'a does not close')
  await failureOf(both.close?.() ?? Promise.resolve())
  assert.deepEqual(closed, ['a', 'b', 'c'])
})

describe('the outcome of an open intent', () => {
  const cases: [string, (IntentOutcome | 'throws' | 'hangs' | 'cannot')[], IntentOutcome][] = [
    ['done by one is done', ['not-done', 'done', 'unknown'], 'done'],
    ['done is told though another hangs', ['hangs', 'done'], 'done'],
    ['not done by all is not done', ['not-done', 'not-done'], 'not-done'],
    ['not known by one is not known', ['not-done', 'unknown'], 'unknown'],
    ['not known by one that cannot tell', ['not-done', 'cannot'], 'unknown'],
    ['not known by one that fails', ['throws', 'not-done'], 'unknown'],
  ]
  const answering = (outcome: (typeof cases)[number][1][number]): KmsProvider => {
    const provider = fakeProvider()
    if (outcome === 'cannot') {
      const { outcomeOf: _none, ...rest } = provider
      return rest
    }
    if (outcome === 'throws') provider.tell('outcomeOf', { throws: new Error('x') })
    else provider.tell('outcomeOf', outcome === 'hangs' ? 'never' : { answers: outcome })
    return provider
  }
  for (const [name, outcomes, expected] of cases)
    test(name, async () => {
      const [to = assert.fail(), ...from] = outcomes.map(answering)
      // A format on its way out changes nothing, and is not asked.
      const all = migrating({ to, from: [...from, legacy({ open: () => undefined })] })
      assert.equal(await all.outcomeOf?.('0199c9d0-1b00-7000-8000-000000000001'), expected)
    })
})

test('a wrong option is refused', () => {
  const to = memoryKms()
  const from = [memoryKms()]
  const { resolve: _none, ...unfindable } = memoryKms()
  const wrong: unknown[] = [
    undefined,
    {},
    { to },
    { to, from: [] },
    { to, from: to },
    { to, from: [to] },
    { to: {}, from },
    { to: unfindable, from },
    { to, from: [unfindable] },
    { to, from: [null] },
    { to, from, name: 'a b' },
  ]
  for (const options of wrong) assert.throws(() => migrating(options as MigratingOptions), { code: 'INVALID_INPUT' })
})

describe('an embedded KMS on the disk behind it', () => {
  const rootKey = new Uint8Array(32).fill(7)

  /** A house whose keystore is the old one, the new one being in memory, or the other way round. */
  function house(folder: string) {
    const keys = join(folder, 'keys')
    const audit = join(folder, 'audit')
    return {
      async open(wrap: (local: KmsProvider) => KmsProvider, options: Partial<KmsClientOptions> = {}) {
        const local = await openLocalKms({ path: keys, rootKey })
        const trail = await openTrail({ path: audit, signer: local.auditSigner() })
        const kms = new KmsClient({ provider: wrap(local), audit: { required: [trail] }, ...scope, ...options })
        return { kms, local, trail }
      },
      copy(part: 'keys' | 'audit', to: string) {
        copyFolder(join(folder, part), to, (path) => !/lock[^/]*$/.test(path))
      },
      keys,
      audit,
      async results() {
        const found: AuditEntry[] = []
        for await (const { entry } of readTrail(audit))
          if (entry.phase === 'result' && entry.operationID !== undefined) found.push(entry)
        return found
      },
    }
  }

  const wraps: Record<string, (local: KmsProvider) => KmsProvider> = {
    'as the new one': (local) => migrating({ to: local, from: [fakeProvider({ name: 'old' })] }),
    'as the old one': (local) => migrating({ to: fakeProvider({ name: 'new' }), from: [local] }),
    'beside another keystore': (local) => migrating({ to: memoryKms(), from: [local] }),
    'two deep': (local) =>
      migrating({ to: fakeProvider({ name: 'new' }), from: [migrating({ to: local, from: [memoryKms()] })] }),
  }

  async function filled(t: TestContext) {
    const folder = freshFolder(t)
    const place = house(folder)
    const { kms } = await place.open((local) => local)
    await kms.createKey({ slug: 'orders' })
    await kms.close()
    place.copy('keys', join(folder, 'before'))
    return { folder, place }
  }

  for (const [what, wrap] of Object.entries(wraps)) {
    test(`${what}, opens and changes as ever`, async (t) => {
      const { place } = await filled(t)
      for (let turn = 0; turn < 2; turn++) {
        const { kms, local } = await place.open(wrap)
        await kms.ready()
        const { identity } = await (local.resolve?.('orders', scope) ?? assert.fail())
        await kms.updateRotation({ key: identity, keyRotationEnabled: turn === 0 })
        await kms.close()
      }
      const { kms } = await place.open((local) => local)
      await kms.ready()
      await kms.close()
    })

    test(`${what}, taken back alone is ROLLED_BACK`, async (t) => {
      const { folder, place } = await filled(t)
      const first = await place.open((local) => local)
      await first.kms.rotate({ key: 'orders' })
      await first.kms.close()
      rmSync(place.keys, { recursive: true })
      copyFolder(join(folder, 'before'), place.keys)
      const { kms } = await place.open(wrap)
      const error = await failureOf(kms.decrypt({ key: 'orders', ciphertext: bytes('x') }))
      assert.equal(error.code, 'ROLLED_BACK')
      assert.match(error.message, /keystore was taken back/)
      await kms.close()
    })

    test(`${what}, changed without entries is ROLLED_BACK, and rebind goes on`, async (t) => {
      const { place } = await filled(t)
      const alone = await openLocalKms({ path: place.keys, rootKey })
      await run(alone, 'rotate', { key: 'orders' })
      await alone.close()
      const refused = await place.open(wrap)
      assert.equal((await failureOf(refused.kms.listKeys())).code, 'ROLLED_BACK')
      await refused.kms.close()
      const { kms } = await place.open(wrap, { rebind: { code: 'drill' } })
      await kms.listKeys()
      await kms.close()
      const again = await place.open(wrap)
      await again.kms.listKeys()
      await again.kms.close()
    })

    for (const before of ['under it', 'without it'] as const)
      test(`${what}, a change that a crash cut off ${before} is closed with its outcome and generation`, async (t) => {
        const { folder, place } = await filled(t)
        const begun = await place.open(before === 'under it' ? wrap : (local) => local)
        const { identity } = await (begun.local.resolve?.('orders', scope) ?? assert.fail())
        await begun.kms.disableKey({ key: identity })
        await begun.trail.flush?.()
        // The crash: the trail as it was when the intent was written, and the keystore as it was after the change.
        place.copy('audit', join(folder, 'whole'))
        const generation = begun.local.binding()?.generation
        await begun.kms.close()
        cutAfterIntent(join(folder, 'whole'), place.audit)
        const { kms, local } = await place.open(wrap)
        await kms.ready()
        assert.equal(local.binding()?.generation, generation)
        await kms.close()
        const last = (await place.results()).at(-1)
        assert.deepEqual(
          [last?.action, last?.outcome, last?.details?.recovered, last?.details?.generation],
          ['kms_key.disable', 'success', true, generation],
        )
        assert.equal(last?.provider?.name, before === 'under it' ? 'migrating' : 'local')
        const again = await place.open(wrap)
        await again.kms.ready()
        await again.kms.close()
      })
  }
})

/** Makes `target` the trail at `source` up to and with its last intent. */
function cutAfterIntent(source: string, target: string): void {
  rmSync(target, { recursive: true, force: true })
  copyFolder(source, target)
  const segment = join(target, 'main/segments/00000000000000000000.jsonl')
  const lines = readFileSync(segment, 'utf8').split('\n')
  const intent = lines.findLastIndex((line) => line.includes('"phase":"intent"'))
  const commit = lines.findIndex((line, at) => at > intent && line.startsWith('{"commit"'))
  writeFileSync(segment, `${lines.slice(0, commit + 1).join('\n')}\n`)
  writeFileSync(join(target, 'main/checkpoint'), JSON.parse(lines[commit] ?? '').checkpoint)
}
