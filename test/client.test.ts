import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, test } from 'node:test'
import { createAudit } from '../src/audit/emitter.ts'
import { KmsClient, type KmsClientOptions } from '../src/client.ts'
import type { RequestContext } from '../src/model/context.ts'
import { type Evidence, KmsError, type KmsErrorOptions } from '../src/model/errors.ts'
import type { KmsCall, KmsMiddleware } from '../src/model/middleware.ts'
import { isPromise } from '../src/model/promise.ts'
import { memoryKms } from '../src/providers/memory.ts'
import { memorySink } from '../src/sinks/memory.ts'
import { fakeClock } from '../src/testing/clock.ts'
import { exampleEntry } from '../src/testing/entries.ts'
import { fakeProvider } from '../src/testing/provider.ts'
import { summary } from '../src/testing/summary.ts'
import { puppet, turn } from './audit/puppet.ts'
import { validEntries } from './validate.ts'

const plaintext = new TextEncoder().encode('attack at dawn')

async function open(options: Partial<KmsClientOptions> = {}) {
  const sink = memorySink()
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, ...options })
  await kms.createKey({ slug: 'orders', keyType: 'aes256-gcm96' })
  sink.clear()
  return { kms, sink }
}

describe('a refusal by middleware', () => {
  const refusing = (options: KmsErrorOptions) =>
    open({
      middleware: [
        (call, next) => {
          if (call.operation === 'decrypt') throw new KmsError('KEY_NOT_FOUND', 'there is no such key', options)
          return next()
        },
      ],
    })

  test('may tell the entry another code than its caller, and which rule it was', async () => {
    const { kms, sink } = await refusing({ evidence: { code: 'ACCESS_DENIED', rule: 'payroll-only' } })
    const refused = kms.decrypt({ key: 'orders', ciphertext: plaintext })
    await assert.rejects(refused, { code: 'KEY_NOT_FOUND', statusCode: 404 })
    const [entry] = sink.entries
    assert.deepEqual([entry?.error, entry?.statusCode], ['ACCESS_DENIED', 403])
    assert.deepEqual(entry?.details, { rule: 'payroll-only' })
    validEntries(sink.entries)
  })

  test('before its intent leaves a change with one entry, and the layers behind unasked; of crypto and reads it is not asked', async () => {
    const asked: string[] = []
    const layer = (name: string, refuses: string): KmsMiddleware =>
      Object.assign(((_call, next) => next()) satisfies KmsMiddleware, {
        async admit({ operation, key, input }: KmsCall) {
          asked.push(`${name} ${operation} ${key?.slug ?? ('slug' in input && input.slug)}`)
          if (operation === refuses) throw new KmsError('ACCESS_DENIED', 'not now')
        },
      })
    const { kms, sink } = await open({ middleware: [layer('outer', 'rotate'), layer('inner', 'disableKey')] })
    await kms.encrypt({ key: 'orders', plaintext })
    await kms.describeKey({ key: 'orders' })
    await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'ACCESS_DENIED' })
    await assert.rejects(kms.disableKey({ key: 'orders' }), { code: 'ACCESS_DENIED' })
    await kms.updateRotation({ key: 'orders', keyRotationEnabled: false })
    assert.deepEqual(asked, [
      'outer createKey orders',
      'inner createKey orders',
      'outer rotate orders',
      'outer disableKey orders',
      'inner disableKey orders',
      'outer updateRotation orders',
      'inner updateRotation orders',
    ])
    assert.deepEqual(summary(sink.entries), [
      'kms.encrypt success orders v1',
      'kms_key.describe success orders',
      'kms.rotate failure orders ACCESS_DENIED',
      'kms_key.disable failure orders ACCESS_DENIED',
      'kms_key.update pending orders',
      'kms_key.update success orders',
    ])
    validEntries(sink.entries)
  })

  test('before its intent by what is no KmsError is INTERNAL, with its entry', async () => {
    const broken = Object.assign(((_call, next) => next()) satisfies KmsMiddleware, {
      admit({ operation }: KmsCall) {
        if (operation === 'rotate') throw new TypeError('secret')
      },
    })
    const { kms, sink } = await open({ middleware: [broken] })
    await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'INTERNAL', message: /middleware/ })
    assert.deepEqual([sink.entries.length, sink.entries[0]?.error], [1, 'INTERNAL'])
  })

  test('that tells no code and no rule that there can be is recorded by its own', async () => {
    // Wrong on purpose, as middleware in JavaScript can be.
    const evidence = { code: 'toString', rule: { secret: 'x' } } as unknown as Evidence
    const { kms, sink } = await refusing({ evidence })
    await assert.rejects(kms.decrypt({ key: 'orders', ciphertext: plaintext }), { code: 'KEY_NOT_FOUND' })
    assert.deepEqual([sink.entries[0]?.error, sink.entries[0]?.details], ['KEY_NOT_FOUND', undefined])
  })
})

describe('a round trip', () => {
  test('encrypts, decrypts, and each result names its entry', async () => {
    const { kms, sink } = await open()
    const sealed = await kms.encrypt({ key: 'orders', plaintext, encryptionContext: { order: '17' } })
    const opened = await kms.decrypt({
      key: 'orders',
      ciphertext: sealed.ciphertext,
      encryptionContext: { order: '17' },
    })
    assert.deepEqual(opened.plaintext, plaintext)
    assert.equal(sealed.keyVersion, 1)
    assert.deepEqual(
      sink.entries.map(({ eventID }) => eventID),
      [sealed.eventID, opened.eventID],
    )
    assert.deepEqual(sink.entries[0]?.encryptionContext, { order: '17' })
    validEntries(sink.entries)
  })

  test('verify and verifyHmac answer with a plain boolean; call() with everything', async () => {
    const { kms } = await open()
    await kms.createKey({ slug: 'pen', keyType: 'ed25519' })
    await kms.createKey({ slug: 'mac', keyType: 'hmac' })
    const { signature } = await kms.sign({ key: 'pen', input: plaintext })
    const { hmac } = await kms.hmac({ key: 'mac', input: plaintext })
    assert.equal(await kms.verify({ key: 'pen', input: plaintext, signature }), true)
    assert.equal(await kms.verify({ key: 'pen', input: new Uint8Array(3), signature }), false)
    assert.equal(await kms.verifyHmac({ key: 'mac', input: plaintext, hmac }), true)
    assert.equal(await kms.verifyHmac({ key: 'mac', input: plaintext, hmac: new Uint8Array(32) }), false)
    await kms.rotate({ key: 'pen' })
    const told = await kms.call('verify', { key: 'pen', input: plaintext, signature })
    assert.equal(told.valid, true)
    assert.equal(told.keyVersion, 1)
    assert.match(told.eventID, /^[0-9a-f-]{36}$/)
  })

  test('a data key, a move to another key, and a public key', async () => {
    const { kms, sink } = await open()
    await kms.createKey({ slug: 'archive' })
    await kms.createKey({ slug: 'pen', keyType: 'ecdsa-p256' })
    sink.clear()
    const dataKey = await kms.generateDataKey({ key: 'orders' })
    assert.equal(dataKey.plaintext.length, 32)
    const moved = await kms.reEncrypt({ key: 'orders', ciphertext: dataKey.ciphertext, destinationKey: 'archive' })
    const opened = await kms.decrypt({ key: 'archive', ciphertext: moved.ciphertext })
    assert.deepEqual(opened.plaintext, dataKey.plaintext)
    const { publicKey } = await kms.getPublicKey({ key: 'pen' })
    assert.match(publicKey, /^-----BEGIN PUBLIC KEY-----/)
    const [, reEncrypt] = validEntries(sink.entries)
    assert.equal(reEncrypt?.details?.destinationKey?.slug, 'archive')
    assert.equal(reEncrypt?.details?.destinationKey?.keyVersion, 1)
  })

  test('nothing in it waits: the entry is in the sink before the promise is looked at', async () => {
    const { kms, sink } = await open()
    const promise = kms.encrypt({ key: 'orders', plaintext })
    assert.equal(isPromise(promise), true)
    assert.equal(sink.entries.length, 1)
    await promise
  })
})

describe('what is passed at the call is what is used', () => {
  const changed = async (kms: KmsClient) => {
    const mine = plaintext.slice()
    const call = kms.encrypt({ key: 'orders', plaintext: mine })
    mine.fill(0)
    const { ciphertext } = await call
    return (await kms.decrypt({ key: 'orders', ciphertext })).plaintext
  }

  test('by a provider that answers at once, whose input is not copied', async () => {
    const { kms } = await open()
    assert.deepEqual(await changed(kms), plaintext)
  })

  test('by many at once, ready or not', async () => {
    for (const make of [async () => (await open()).kms, firstCall]) {
      const kms = await make()
      const inputs = [
        { key: 'orders', plaintext: plaintext.slice() },
        { key: 'orders', plaintext: plaintext.slice() },
      ]
      const calls = kms.encryptMany(inputs)
      for (const input of inputs) input.plaintext.fill(0)
      inputs.length = 0
      for (const one of await calls) {
        assert.ok(one.ok)
        assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext: one.ciphertext })).plaintext, plaintext)
      }
    }
  })

  test('by one that does not, and behind middleware', async () => {
    const slow = fakeProvider()
    slow.tell('encrypt', { after: turn() })
    assert.deepEqual(await changed((await open({ provider: slow })).kms), plaintext)
    const waiting = await open({ middleware: [async (_, next) => turn().then(next)] })
    assert.deepEqual(await changed(waiting.kms), plaintext)
  })

  /** A client that has its recovery still before it. */
  async function firstCall(): Promise<KmsClient> {
    const provider = memoryKms()
    const sink = Object.assign(puppet(), { openIntents: () => turn().then(() => []) })
    const before = new KmsClient({ provider, audit: { required: [puppet()] } })
    await before.createKey({ slug: 'orders' })
    return new KmsClient({ provider, audit: { required: [sink] } })
  }

  test('by the first call, which waits for recovery', async () => {
    assert.deepEqual(await changed(await firstCall()), plaintext)
  })

  test('and the caller keeps its own: nothing that comes back shares memory with what was given', async () => {
    const { kms } = await open()
    const mine = new Uint8Array(Buffer.from('xattack at dawnx')).subarray(1, 15)
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: mine })
    const opened = await kms.decrypt({ key: 'orders', ciphertext })
    assert.notEqual(opened.plaintext.buffer, mine.buffer)
    assert.deepEqual(opened.plaintext, plaintext)
    opened.plaintext.fill(0)
    assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext })).plaintext, plaintext)
  })
})

describe('context', () => {
  const alice: RequestContext = { actor: { type: 'user', id: 'alice' }, userAgent: 'web' }

  test('with() binds, binds over, and leaves the parent alone; the call wins', async () => {
    const { kms, sink } = await open()
    const bound = kms.with(alice).with({ requestId: 'r1' })
    await bound.encrypt({ key: 'orders', plaintext })
    await bound.encrypt(
      { key: 'orders', plaintext },
      { context: { actor: { type: 'system', id: 'cron' }, requestId: 'r2' } },
    )
    await kms.encrypt({ key: 'orders', plaintext })
    const [first, second, third] = validEntries(sink.entries)
    assert.deepEqual(first?.actor, { type: 'user', id: 'alice', source: 'context' })
    assert.deepEqual(first?.context, { userAgent: 'web', requestId: 'r1' })
    assert.deepEqual(second?.actor, { type: 'system', id: 'cron', source: 'call' })
    assert.deepEqual(second?.context, { userAgent: 'web', requestId: 'r2' })
    assert.deepEqual(third?.actor, { type: 'unknown' })
    assert.equal(third?.context, undefined)
  })

  test('a carrier fills what is neither bound nor passed', async () => {
    const storage = new AsyncLocalStorage<RequestContext>()
    const { kms, sink } = await open({ context: { current: () => storage.getStore() } })
    const bound = kms.with({ userAgent: 'bound' })
    await storage.run({ ...alice, requestId: 'r1' }, async () => {
      await bound.encrypt({ key: 'orders', plaintext })
      await bound.encrypt({ key: 'orders', plaintext }, { context: { requestId: 'r2' } })
    })
    await bound.encrypt({ key: 'orders', plaintext })
    assert.deepEqual(
      sink.entries.map(({ actor, context }) => [actor?.id, context?.userAgent, context?.requestId]),
      [
        ['alice', 'bound', 'r1'],
        ['alice', 'bound', 'r2'],
        [undefined, 'bound', undefined],
      ],
    )
  })

  test('what a request learns of itself on its way is in the entries from then on', async () => {
    const store: { actor?: RequestContext['actor']; requestId: string } = { requestId: 'r1' }
    const { kms, sink } = await open({ context: { current: () => store as RequestContext } })
    await kms.encrypt({ key: 'orders', plaintext })
    store.actor = { type: 'user', id: 'alice' }
    await kms.encrypt({ key: 'orders', plaintext })
    assert.deepEqual(
      sink.entries.map(({ actor }) => actor?.id),
      [undefined, 'alice'],
    )
  })

  test('a wrong context is refused: at once by with(), with an entry by a call', async () => {
    const { kms, sink } = await open()
    assert.throws(() => kms.with({ actor: 'alice' } as never), { code: 'INVALID_INPUT' })
    const wrong = kms.encrypt({ key: 'orders', plaintext }, { context: { clientIp: 7 } as never })
    await assert.rejects(wrong, { code: 'INVALID_INPUT' })
    assert.deepEqual(summary(sink.entries), ['kms.encrypt failure orders INVALID_INPUT'])
  })

  test('a carrier that gives nonsense, a signal or a deadline that is none: refused, with an entry', async () => {
    let carried: unknown
    const { kms, sink } = await open({ context: { current: () => carried as RequestContext } })
    carried = { actor: 'alice' }
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'INVALID_INPUT', message: /actor/ })
    const plain = await open()
    const call = (options: object) => plain.kms.encrypt({ key: 'orders', plaintext }, options)
    await assert.rejects(call({ signal: 'now' }), { code: 'INVALID_INPUT', message: /AbortSignal/ })
    const broken = {
      aborted: false,
      addEventListener: () => assert.fail('broken'),
      removeEventListener: () => undefined,
    }
    await assert.rejects(call({ signal: broken }), { code: 'INVALID_INPUT' })
    await assert.rejects(call({ deadlineMs: Number.NaN }), { code: 'INVALID_INPUT', message: /deadlineMs/ })
    await assert.rejects(call({ deadlineMs: 0 }), { code: 'INVALID_INPUT' })
    assert.deepEqual(summary([...sink.entries, ...plain.sink.entries]), [
      ...Array.from({ length: 5 }, () => 'kms.encrypt failure orders INVALID_INPUT'),
    ])
  })

  test('required context: an export without actor and reason is refused, and recorded', async () => {
    const sink = memorySink()
    const audit = createAudit({ required: [sink], require: { 'kms.export': ['actor', 'reason'], '*': ['requestId'] } })
    const kms = new KmsClient({ provider: memoryKms(), audit }).with({ requestId: 'r' })
    await kms.createKey({ slug: 'vault', exportAllowed: true })
    await assert.rejects(kms.export({ key: 'vault' }), { code: 'INVALID_INPUT', message: /needs 'actor'/ })
    await assert.rejects(kms.with(alice).export({ key: 'vault' }), { code: 'INVALID_INPUT', message: /needs 'reason'/ })
    await kms.with(alice).export({ key: 'vault' }, { context: { reason: { code: 'drill', ticket: 'SEC-1' } } })
    assert.deepEqual(summary(sink.entries.slice(-4)), [
      'kms.export failure vault INVALID_INPUT',
      'kms.export failure vault INVALID_INPUT',
      'kms.export pending vault',
      'kms.export success vault v1',
    ])
    assert.deepEqual(sink.entries.at(-1)?.reason, { code: 'drill', ticket: 'SEC-1' })
  })

  test('an encryption context that would swell the entry beyond 16 KiB is left out, flagged and still measured', async () => {
    const { kms, sink } = await open()
    const hostile = kms.with({
      actor: { type: 'user', id: '\u0001'.repeat(300), name: '\u0001'.repeat(300) },
      userAgent: '\u202e'.repeat(9000),
      origin: { service: '\u0001'.repeat(100), resource: '\u0001'.repeat(9000) },
    })
    for (const value of ['\u0001'.repeat(8000), 'é'.repeat(4000), 'x'.repeat(8000)]) {
      const encryptionContext = { a: value }
      const { ciphertext } = await hostile.encrypt({ key: 'orders', plaintext, encryptionContext })
      await hostile.decrypt({ key: 'orders', ciphertext, encryptionContext })
    }
    await kms.encrypt({ key: 'orders', plaintext, encryptionContext: { a: 'x'.repeat(8000) } })
    const { lineOf } = await import('../src/model/line.ts')
    for (const entry of validEntries(sink.entries)) assert.ok(Buffer.byteLength(lineOf(entry)) <= 16_384)
    assert.deepEqual(sink.entries[0]?.details?.flags, ['encryption_context_dropped'])
    assert.equal(sink.entries[0]?.payloadSizes?.encryptionContext, 8001)
    assert.equal(sink.entries[0]?.encryptionContext, undefined)
    assert.equal(sink.entries.at(-1)?.encryptionContext?.['a']?.length, 8000, 'one that fits is kept')
  })
})

describe('many', () => {
  test('encryptMany and decryptMany: an entry each, one write, order kept, failures on their own', async () => {
    const sink = puppet()
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
    await kms.createKey({ slug: 'orders' })
    sink.batches.length = 0
    const sealed = await kms.encryptMany([
      { key: 'orders', plaintext },
      { key: 'nobody', plaintext },
      { key: 'orders', plaintext: new Uint8Array(0) },
      { key: 'orders', plaintext: new Uint8Array([7]) },
    ])
    assert.deepEqual(
      sealed.map((one) => (one.ok ? 'ok' : one.error.code)),
      ['ok', 'KEY_NOT_FOUND', 'INVALID_INPUT', 'ok'],
    )
    assert.deepEqual(
      sink.batches.map((batch) => batch.length),
      [4],
    )
    const ciphertexts = sealed.flatMap((one) => (one.ok ? [{ key: 'orders', ciphertext: one.ciphertext }] : []))
    const opened = await kms.decryptMany(ciphertexts)
    assert.deepEqual(
      opened.map((one) => one.ok && one.plaintext),
      [plaintext, new Uint8Array([7])],
    )
    await assert.rejects(kms.encryptMany('x' as never), { code: 'INVALID_INPUT' })
  })
})

describe('scheduled rotation', () => {
  test('rotateDueKeys rotates what is due, once, as kms.rotate.scheduled', async () => {
    const clock = fakeClock()
    const sink = memorySink()
    const kms = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [sink], clock } })
    await kms.createKey({ slug: 'monthly', keyRotationEnabled: true, rotationPeriodInDays: 30 })
    await kms.createKey({ slug: 'never' })
    await kms.createKey({ slug: 'off', keyRotationEnabled: true, rotationPeriodInDays: 30 })
    await kms.disableKey({ key: 'off' })
    assert.deepEqual(await kms.rotateDueKeys(), [])
    clock.advance(30 * 86_400_000 + 60_000)
    sink.clear()
    const [rotated, ...rest] = await kms.rotateDueKeys()
    assert.ok(rotated?.ok)
    assert.equal(rotated.key.slug, 'monthly')
    assert.equal(rotated.keyVersion, 2)
    assert.deepEqual(rest, [])
    assert.deepEqual(summary(sink.entries), [
      'kms_key.list success',
      'kms.rotate.scheduled pending monthly',
      'kms.rotate.scheduled success monthly v2',
    ])
    assert.equal(validEntries(sink.entries).at(-1)?.details?.latenessMs, 60_000)
    assert.deepEqual(await kms.rotateDueKeys(), [])
  })

  test('two schedulers at once: one rotates, the other gets VERSION_CONFLICT', async () => {
    const clock = fakeClock()
    const kms = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [memorySink()], clock } })
    await kms.createKey({ slug: 'monthly', keyRotationEnabled: true, rotationPeriodInDays: 30 })
    clock.advance(31 * 86_400_000)
    const both = (await Promise.all([kms.rotateDueKeys(), kms.rotateDueKeys()])).flat()
    const codes = both.map((one) => (one.ok ? 'ok' : one.error.code))
    assert.deepEqual(codes.sort(), ['VERSION_CONFLICT', 'ok'])
    assert.equal((await kms.describeKey({ key: 'monthly' })).key.latestVersion, 2)
  })
})

describe('the end of a key', () => {
  const days = 86_400_000

  async function doomed() {
    const clock = fakeClock()
    const sink = memorySink()
    const audit = { required: [sink], clock, heartbeatMs: 0 }
    const kms = new KmsClient({ provider: memoryKms({ clock }), audit, region: 'nl-01' })
    for (const slug of ['soon', 'later', 'stays', 'back']) await kms.createKey({ slug, keyType: 'aes256-gcm96' })
    await kms.scheduleKeyDeletion({ key: 'soon', pendingWindowInDays: 7 })
    await kms.scheduleKeyDeletion({ key: 'later' })
    await kms.scheduleKeyDeletion({ key: 'back', pendingWindowInDays: 7 })
    await kms.cancelKeyDeletion({ key: 'back' })
    sink.clear()
    return { clock, sink, kms }
  }

  test('destroyDueKeys destroys what is due, once, as kms_key.destroy, with intent and result', async () => {
    const { clock, sink, kms } = await doomed()
    assert.deepEqual(await kms.destroyDueKeys(), [])
    clock.advance(7 * days - 1)
    assert.deepEqual(await kms.destroyDueKeys(), [])
    clock.advance(60_001)
    sink.clear()
    const { identity, deletionScheduledAt } = (await kms.describeKey({ key: 'soon' })).key
    sink.clear()
    const admin = kms.with({ actor: { type: 'serviceAccount', id: 'scheduler' } })
    const [destroyed, ...rest] = await admin.destroyDueKeys()
    assert.ok(destroyed?.ok)
    assert.deepEqual([destroyed.key.slug, rest], ['soon', []])
    const [, intent, result] = validEntries(sink.entries)
    assert.deepEqual(summary(sink.entries), [
      'kms_key.list success',
      'kms_key.destroy pending soon',
      'kms_key.destroy success soon',
    ])
    for (const entry of [intent, result])
      assert.deepEqual(
        [entry?.resourceType, entry?.resourceIdentity, entry?.keySlug, entry?.keyType, entry?.actor?.id, entry?.region],
        ['kms_key', identity, 'soon', 'aes256-gcm96', 'scheduler', 'nl-01'],
      )
    assert.equal(intent?.operationID, result?.operationID)
    const { dueAt, latenessMs, generation } = result?.details ?? {}
    assert.deepEqual([dueAt, latenessMs, typeof generation], [deletionScheduledAt, 60_000, 'number'])
    await assert.rejects(kms.encrypt({ key: 'soon', plaintext }), { code: 'KEY_NOT_FOUND' })
    assert.deepEqual(await kms.destroyDueKeys(), [])
    assert.deepEqual(
      (await kms.listKeys()).keys.map(({ slug }) => slug),
      ['later', 'stays', 'back'],
    )
  })

  test('two schedulers at once: one destroys, the other finds nothing to destroy', async () => {
    const { clock, kms } = await doomed()
    clock.advance(31 * days)
    const both = (await Promise.all([kms.destroyDueKeys(), kms.destroyDueKeys()])).flat()
    const codes = both.map((one) => (one.ok ? 'ok' : one.error.code)).sort()
    assert.deepEqual(codes, ['KEY_NOT_FOUND', 'KEY_NOT_FOUND', 'ok', 'ok'])
  })

  test('a refused destruction, minimum version and slug have their entries, with what was asked', async () => {
    const { clock, sink, kms } = await doomed()
    const dueAt = '2026-01-09T03:04:05.000Z'
    await assert.rejects(kms.call('destroyKey', { key: 'soon', dueAt }), { code: 'INVALID_INPUT', statusCode: 400 })
    await assert.rejects(kms.call('destroyKey', { key: 'stays', dueAt }), { code: 'INVALID_INPUT' })
    await assert.rejects(kms.call('destroyKey', { key: 'soon', dueAt: clock.now() as never }), {
      code: 'INVALID_INPUT',
    })
    await assert.rejects(kms.updateMinDecryptionVersion({ key: 'stays', minDecryptionVersion: 2 }), {
      code: 'INVALID_INPUT',
    })
    await kms.rotate({ key: 'stays' })
    const { ciphertext } = await kms.encrypt({ key: 'stays', plaintext, keyVersion: 1 })
    await kms.updateMinDecryptionVersion({ key: 'stays', minDecryptionVersion: 2 })
    await assert.rejects(kms.decrypt({ key: 'stays', ciphertext }), { code: 'INVALID_CIPHERTEXT' })
    await assert.rejects(kms.encrypt({ key: 'stays', plaintext, keyVersion: 1 }), { code: 'VERSION_NOT_FOUND' })
    clock.advance(7 * days)
    await kms.destroyDueKeys()
    await assert.rejects(kms.createKey({ slug: 'soon' }), { code: 'KEY_EXISTS', statusCode: 409 })
    await kms.createKey({ slug: 'soon', reuseSlug: true })
    const entries = validEntries(sink.entries)
    assert.deepEqual(summary(entries), [
      'kms_key.destroy pending soon',
      'kms_key.destroy failure soon INVALID_INPUT',
      'kms_key.destroy pending stays',
      'kms_key.destroy failure stays INVALID_INPUT',
      'kms_key.destroy failure soon INVALID_INPUT',
      'kms_key.update pending stays',
      'kms_key.update failure stays INVALID_INPUT',
      'kms.rotate pending stays',
      'kms.rotate success stays v2',
      'kms.encrypt success stays v1',
      'kms_key.update pending stays',
      'kms_key.update success stays',
      'kms.decrypt failure stays v1 INVALID_CIPHERTEXT',
      'kms.encrypt failure stays v1 VERSION_NOT_FOUND',
      'kms_key.list success',
      'kms_key.destroy pending soon',
      'kms_key.destroy success soon',
      'kms_key.create pending soon',
      'kms_key.create failure soon KEY_EXISTS',
      'kms_key.create pending soon',
      'kms_key.create success soon',
    ])
    assert.equal(entries[1]?.details?.dueAt, dueAt)
    assert.equal(entries[6]?.details?.minDecryptionVersion, 2)
    assert.equal(entries[11]?.details?.minDecryptionVersion, 2)
    assert.equal(entries[12]?.details?.decryptFailure, 'version_below_minimum')
    assert.deepEqual(entries.at(-1)?.details?.flags, ['slug_reused'])
  })
})

describe('recovery', () => {
  const idOf = (letter: string) => `0199c9d0-1b00-7000-8000-00000000000${letter}`
  const intent = (letter: string, name = 'memory') =>
    exampleEntry(0, {
      phase: 'intent',
      outcome: 'pending',
      action: 'kms.rotate',
      operationID: idOf(letter),
      provider: { name },
    })

  test('open intents are closed before the first call, as the provider tells', async () => {
    const found = ['a', 'b', 'c', 'd'].map((id) => intent(id))
    const sink = Object.assign(puppet(), { openIntents: async () => [...found, intent('e', 'other')] })
    const provider = fakeProvider()
    provider.tell(
      'outcomeOf',
      { answers: 'done' },
      { answers: 'not-done' },
      { answers: 'unknown' },
      { throws: new Error('x') },
    )
    const kms = new KmsClient({ provider, audit: { required: [sink] } })
    await kms.createKey({ slug: 'orders' })
    const recovered = sink.accepted.filter(({ details }) => details?.recovered === true)
    assert.deepEqual(
      recovered.map(({ operationID, outcome, phase, action }) => [operationID, outcome, phase, action]),
      [
        [idOf('a'), 'success', 'result', 'kms.rotate'],
        [idOf('b'), 'failure', 'result', 'kms.rotate'],
        [idOf('c'), 'unknown', 'result', 'kms.rotate'],
        [idOf('d'), 'unknown', 'result', 'kms.rotate'],
      ],
    )
    assert.deepEqual(summary(sink.accepted.slice(-2)), [
      'kms_key.create pending orders',
      'kms_key.create success orders',
    ])
  })

  test('happens once, also for two clients of one audit and for calls at the same time', async () => {
    let asked = 0
    const sink = Object.assign(puppet(), {
      openIntents: async () => {
        asked += 1
        return [intent('a')]
      },
    })
    const audit = createAudit({ required: [sink] })
    const provider = fakeProvider()
    const one = new KmsClient({ provider, audit })
    const two = new KmsClient({ provider, audit })
    await Promise.all([one.ready(), one.ready(), one.listKeys(), two.listKeys()])
    assert.equal(asked, 2)
    assert.equal(sink.accepted.filter(({ details }) => details?.recovered).length, 1)
  })

  test('a sink that cannot tell its intents refuses calls, and the next call tries again', async () => {
    let broken = true
    const sink = Object.assign(puppet(), {
      openIntents: async () => {
        if (broken) throw new Error('disk on fire')
        return []
      },
    })
    const provider = fakeProvider()
    const kms = new KmsClient({ provider, audit: { required: [sink] } })
    await assert.rejects(kms.listKeys(), { code: 'AUDIT_REFUSED', operation: 'listKeys' })
    assert.equal(provider.calls.length, 0)
    assert.equal(kms.health().refusedCalls, 1)
    broken = false
    await kms.listKeys()
  })

  test('recovery that takes longer than a call may does not hold the call up', async () => {
    const clock = fakeClock()
    const silent = Object.assign(puppet(), { openIntents: () => new Promise<never>(() => undefined) })
    const kms = new KmsClient({ provider: fakeProvider(), audit: { required: [silent], clock } })
    const refused = assert.rejects(kms.listKeys({}, { deadlineMs: 100 }), { code: 'DEADLINE_EXCEEDED' })
    await turn()
    clock.advance(100)
    await refused
    assert.equal(summary(silent.accepted).at(-1), 'kms_key.list failure DEADLINE_EXCEEDED')
  })

  test('a sink that never tells its intents, or a provider that never tells the outcome, ends at the deadline', async () => {
    const clock = fakeClock()
    const silent = Object.assign(puppet(), { openIntents: () => new Promise<never>(() => undefined) })
    const kms = new KmsClient({ provider: fakeProvider(), audit: { required: [silent], clock } })
    const refused = assert.rejects(kms.ready(), { code: 'AUDIT_REFUSED' })
    await turn()
    clock.advance(10_000)
    await refused

    const provider = fakeProvider()
    provider.tell('outcomeOf', 'never')
    const sink = Object.assign(puppet(), { openIntents: async () => [intent('a')] })
    const second = new KmsClient({ provider, audit: { required: [sink], clock } })
    const ready = second.ready()
    await turn()
    clock.advance(10_000)
    await ready
    assert.equal(sink.accepted.at(-1)?.outcome, 'unknown')
  })
})

describe('bounds', () => {
  test('more calls than allowed at once are OVERLOADED, and counted', async () => {
    const provider = fakeProvider()
    const kms = new KmsClient({ provider, audit: { required: [memorySink()] }, maxInFlight: 2 })
    await kms.createKey({ slug: 'orders' })
    let go = () => {}
    const wait = new Promise<void>((resolve) => {
      go = resolve
    })
    provider.tell('encrypt', { after: wait }, { after: wait })
    const held = [kms.encrypt({ key: 'orders', plaintext }), kms.encrypt({ key: 'orders', plaintext })]
    assert.equal(kms.health().inFlight, 2)
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'OVERLOADED', statusCode: 429 })
    assert.equal(kms.health().refusedCalls, 1)
    go()
    await Promise.all(held)
    assert.equal(kms.health().inFlight, 0)
    await kms.encrypt({ key: 'orders', plaintext })
  })

  test('limits can be raised', async () => {
    const { kms } = await open({ limits: { plaintext: 1 << 20, ciphertext: 1 << 21 } })
    const big = new Uint8Array(1 << 20).fill(7)
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: big })
    assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext })).plaintext, big)
  })
})

describe('providers that misbehave', () => {
  const misbehaviours: readonly [string, unknown][] = [
    ['nothing', undefined],
    ['a string', 'ciphertext'],
    ['no ciphertext', { keyVersion: 1 }],
    ['a ciphertext that is not bytes', { ciphertext: 'AAAA', keyVersion: 1 }],
  ]
  for (const [what, answers] of misbehaviours)
    test(`${what} for an answer is INTERNAL, never a result`, async () => {
      const provider = fakeProvider()
      const sink = memorySink()
      const kms = new KmsClient({ provider, audit: { required: [sink] } })
      await kms.createKey({ slug: 'orders' })
      provider.tell('encrypt', { answers })
      await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { name: 'KmsError', code: 'INTERNAL' })
      assert.equal(summary(sink.entries).at(-1), 'kms.encrypt failure orders INTERNAL')
    })

  test('a truthy verdict that is not a boolean is INTERNAL', async () => {
    const provider = fakeProvider()
    const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
    await kms.createKey({ slug: 'pen', keyType: 'ed25519' })
    provider.tell('verify', { answers: { valid: 'false' } })
    const signature = new Uint8Array(64)
    await assert.rejects(kms.verify({ key: 'pen', input: plaintext, signature }), { code: 'INTERNAL' })
  })

  test('a foreign error is INTERNAL; its name and code are the cause, its message is not', async () => {
    const provider = fakeProvider()
    const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
    await kms.createKey({ slug: 'orders' })
    provider.tell('encrypt', { throws: Object.assign(new TypeError('token=hunter2'), { code: 'ECONNRESET' }) })
    const error = await kms.encrypt({ key: 'orders', plaintext }).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof KmsError)
    assert.equal(error.code, 'INTERNAL')
    assert.equal((error.cause as Error).message, 'TypeError ECONNRESET')
    const { inspect } = await import('node:util')
    assert.doesNotMatch(inspect(error, { depth: null, showHidden: true }), /hunter2/)
  })

  test('bytes that are a slice of a pool are copied before they leave', async () => {
    const provider = fakeProvider()
    const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
    await kms.createKey({ slug: 'orders' })
    const key = { identity: 'kms-x', slug: 'orders', keyType: 'x' }
    provider.tell('encrypt', { answers: { ciphertext: Buffer.from('sealed'), key, keyVersion: 1 } })
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
    assert.equal(ciphertext.constructor, Uint8Array)
    assert.equal(ciphertext.buffer.byteLength, 6)
  })

  test('an operation that the provider lacks is UNSUPPORTED_OPERATION, with its entry', async () => {
    const sink = memorySink()
    const kms = new KmsClient({ provider: fakeProvider({ without: ['hmac'] }), audit: { required: [sink] } })
    await kms.createKey({ slug: 'mac', keyType: 'hmac' })
    await assert.rejects(kms.hmac({ key: 'mac', input: plaintext }), { code: 'UNSUPPORTED_OPERATION', statusCode: 400 })
    assert.equal(summary(sink.entries).at(-1), 'kms.hmac failure mac UNSUPPORTED_OPERATION')
    await assert.rejects(kms.call('nonsense' as never, {} as never), { code: 'INVALID_INPUT' })
  })
})

describe('middleware', () => {
  test('runs outermost first, sees the resolved key whatever name was used, and may change nothing', async () => {
    const seen: unknown[] = []
    const { kms } = await open({
      middleware: [
        (call, next) => {
          seen.push(['outer', call.action, call.key?.slug])
          assert.throws(() => Object.assign(call, { action: 'kms.sign' }), TypeError)
          return next()
        },
        async (call, next) => {
          seen.push(['inner', call.operation])
          return next()
        },
      ],
    })
    seen.length = 0
    const { key } = await kms.describeKey({ key: 'orders' })
    await kms.encrypt({ key: key.identity, plaintext })
    assert.deepEqual(seen.slice(-2), [
      ['outer', 'kms.encrypt', 'orders'],
      ['inner', 'encrypt'],
    ])
  })
})

test('a middleware that forgets to return the answer is INTERNAL, never an empty result', async () => {
  const { kms, sink } = await open({
    middleware: [
      (call, next) => {
        const output = next()
        return call.operation === 'encrypt' ? (undefined as never) : output
      },
    ],
  })
  await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'INTERNAL', message: /the middleware/ })
  assert.equal(summary(sink.entries).at(-1), 'kms.encrypt failure orders INTERNAL')
})

describe('closing', () => {
  test('refuses new calls, lets those in flight settle, closes children, sinks and provider; twice is once', async () => {
    const closed: string[] = []
    const sink = Object.assign(puppet(), { close: async () => void closed.push('sink') })
    const inner = memoryKms()
    const provider = fakeProvider({ inner: { ...inner, close: async () => void closed.push('provider') } })
    const kms = new KmsClient({ provider, audit: { required: [sink] } })
    await kms.createKey({ slug: 'orders' })
    let go = () => {}
    provider.tell('encrypt', {
      after: new Promise<void>((resolve) => {
        go = resolve
      }),
    })
    const child = kms.with({ requestId: 'r' })
    const inFlight = child.encrypt({ key: 'orders', plaintext })
    const closing = Promise.all([kms.close(), child.close()])
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'CLOSED' })
    await assert.rejects(child.listKeys(), { code: 'CLOSED' })
    go()
    assert.ok((await inFlight).ciphertext)
    await closing
    assert.deepEqual(closed, ['sink', 'provider'], 'the provider last: a trail signs with its key')
    assert.deepEqual(summary(sink.accepted).slice(-2), ['kms.encrypt success orders v1', 'audit.closed success'])
    assert.equal(kms.health().state, 'closed')
  })

  test('await using closes it (written out: Node 20 has the symbol, not the syntax)', async () => {
    const sink = puppet()
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
    await kms.createKey({ slug: 'orders' })
    await kms[Symbol.asyncDispose]()
    assert.equal(sink.accepted.at(-1)?.action, 'audit.closed')
  })
})

describe('options', () => {
  const good = { provider: memoryKms(), audit: { required: [memorySink()] } }
  const wrong: readonly [string, unknown][] = [
    ['nothing', undefined],
    ['no provider', { audit: good.audit }],
    ['no audit', { provider: good.provider }],
    ['no required sink', { ...good, audit: { required: [] } }],
    ['a bad region', { ...good, region: 'a b' }],
    ['bad middleware', { ...good, middleware: ['x'] }],
    ['a bad deadline', { ...good, deadlineMs: -1 }],
    ['a bad limit', { ...good, limits: { plaintext: Number.NaN } }],
  ]
  for (const [what, options] of wrong)
    test(`${what}: INVALID_INPUT`, () => {
      assert.throws(() => new KmsClient(options as KmsClientOptions), { name: 'KmsError', code: 'INVALID_INPUT' })
    })
})

test('health tells whether a crash could lose what was acknowledged', async () => {
  const { kms } = await open()
  assert.equal(kms.health().durable, false)
  const synced = new KmsClient({ provider: memoryKms(), audit: { required: [puppet({ durability: 'synced' })] } })
  assert.equal(synced.health().durable, true)
})
