/** @node Sealing and opening whole messages: what opens, what is recorded, and that nothing leaves without its entry. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { type EnvelopeStream, envelope } from '../../../src/integrations/envelope/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { type Asked, fakeProvider } from '../../../src/testing/provider.ts'
import { turn } from '../../audit/puppet.ts'
import { validEntries } from '../../validate.ts'
import { counted, rig } from './rig.ts'

const encryptionContext = { order: '17' }

function heard(promise: Promise<unknown>): Promise<KmsError> {
  return promise.then(
    () => assert.fail('released'),
    (error: unknown) => {
      assert.ok(error instanceof KmsError, String(error))
      return error
    },
  )
}

describe('an envelope', () => {
  test('opens what it sealed, of any length, each with a call of the KMS', async () => {
    const { orders, lines, entries } = await rig({ chunkLength: 4096 })
    for (const length of [0, 1, 4095, 4096, 4097, 100_000]) {
      const sealing = await orders.seal({ plaintext: counted(length), encryptionContext })
      const opening = await orders.open({ sealed: sealing.sealed, encryptionContext })
      assert.deepEqual(opening.plaintext, counted(length))
      for (const bytes of [sealing.sealed, opening.plaintext]) assert.equal(bytes.buffer.byteLength, bytes.length)
      assert.deepEqual([sealing.keyVersion, opening.keyVersion, sealing.key.slug], [1, 1, 'orders'])
      assert.deepEqual(
        entries()
          .slice(-2)
          .map(({ eventID }) => eventID),
        [sealing.eventID, opening.eventID],
      )
    }
    assert.deepEqual(lines().slice(-2), ['kms.generate_data_key success orders v1', 'kms.decrypt success orders v1'])
    assert.equal(entries().length, 12)
    validEntries(entries())
  })

  test('takes the bytes of other realms, views and Buffers', async () => {
    const { orders } = await rig()
    const foreign = runInNewContext('new Uint8Array([1, 2, 3])') as Uint8Array
    const holder = counted(100)
    for (const plaintext of [foreign, Buffer.from([1, 2, 3]), holder.subarray(1, 4)]) {
      const { sealed } = await orders.seal({ plaintext })
      const inside = Buffer.concat([Buffer.alloc(7), sealed, Buffer.alloc(7)]).subarray(7, 7 + sealed.length)
      assert.deepEqual((await orders.open({ sealed: inside })).plaintext, new Uint8Array([1, 2, 3]))
    }
  })

  test('every failure to open is one code and one message, and its entry says why', async () => {
    const { orders, entries, kms } = await rig({ chunkLength: 4096 })
    const { sealed } = await orders.seal({ plaintext: counted(5000), encryptionContext })
    const flipped = (at: number) => {
      const changed = sealed.slice()
      changed[at] = (changed[at] ?? 0) ^ 1
      return changed
    }
    const { ciphertext: short } = await kms.encrypt({ key: 'orders', plaintext: counted(5), encryptionContext })
    const { ciphertext: otherKey } = await kms.generateDataKey({ key: 'orders', encryptionContext })
    const withKey = (key: Uint8Array) => {
      const length = new DataView(new ArrayBuffer(4))
      length.setUint32(0, key.length)
      return Buffer.concat([sealed.subarray(0, 69), new Uint8Array(length.buffer), key, sealed.subarray(-5032)])
    }
    const huge = sealed.slice()
    huge.set([255, 255, 255, 255], 69)
    const wrong: readonly (readonly [string, Uint8Array, object])[] = [
      ['malformed', new Uint8Array(0), encryptionContext],
      ['malformed', flipped(0), encryptionContext],
      ['malformed', huge, encryptionContext],
      ['malformed', sealed.subarray(0, 72), encryptionContext],
      ['commitment_mismatch', flipped(4), encryptionContext],
      ['commitment_mismatch', flipped(5), encryptionContext],
      ['commitment_mismatch', flipped(37), encryptionContext],
      ['commitment_mismatch', withKey(short), encryptionContext],
      ['commitment_mismatch', withKey(otherKey), encryptionContext],
      ['authentication_failed', sealed, { order: '18' }],
      ['authentication_failed', sealed, {}],
      ['authentication_failed', flipped(sealed.length - 1), encryptionContext],
      ['authentication_failed', sealed.subarray(0, -1), encryptionContext],
      ['authentication_failed', sealed.subarray(0, -920), encryptionContext],
      ['authentication_failed', Buffer.concat([sealed, new Uint8Array(1)]), encryptionContext],
    ]
    for (const [why, bytes, context] of wrong) {
      const error = await heard(orders.open({ sealed: bytes, encryptionContext: { ...context } }))
      assert.equal(error.code, 'INVALID_CIPHERTEXT', why)
      assert.equal(error.message, 'sealed message does not open with this key and encryption context')
      const entry = entries().at(-1)
      assert.equal(entry?.eventID, error.eventID)
      assert.deepEqual([entry?.action, entry?.outcome, entry?.error], ['kms.decrypt', 'failure', 'INVALID_CIPHERTEXT'])
      assert.equal(entry?.details?.decryptFailure, why)
    }
    validEntries(entries())
  })

  test('the entry of a body that is not authentic names that of its data key', async () => {
    const { orders, entries } = await rig()
    const { sealed } = await orders.seal({ plaintext: counted(10) })
    await heard(orders.open({ sealed: sealed.fill(0, -1) }))
    const [, key, body] = entries()
    assert.equal(key?.outcome, 'success')
    assert.equal(body?.details?.kmsEventID, key?.eventID)
    assert.deepEqual([body?.keySlug, body?.keyVersion], ['orders', 1])
  })

  test('a bit of the whole message, wherever it is changed, is noticed', async () => {
    const { orders } = await rig()
    const { sealed } = await orders.seal({ plaintext: counted(40), encryptionContext })
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = sealed.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const error = await heard(orders.open({ sealed: changed, encryptionContext }))
      assert.equal(error.code, 'INVALID_CIPHERTEXT', `bit ${bit}`)
    }
  })

  test('a sealed message opens with every version of its key, and after a rotation new ones have the newest', async () => {
    const { orders, kms } = await rig({ cache: {} })
    const before = await orders.seal({ plaintext: counted(10) })
    await kms.rotate({ key: 'orders' })
    const after = await orders.seal({ plaintext: counted(10) })
    assert.deepEqual([before.keyVersion, after.keyVersion], [1, 2])
    assert.equal((await orders.open({ sealed: before.sealed })).keyVersion, 1)
  })
})

describe('no entry, no result, of an envelope', () => {
  test('a refused entry withholds what was sealed and opened', async () => {
    for (const cache of [undefined, {}]) {
      const { orders, sink } = await rig(cache && { cache })
      const { sealed } = await orders.seal({ plaintext: counted(10) })
      await orders.open({ sealed })
      sink.mode = 'reject'
      assert.equal((await heard(orders.open({ sealed }))).code, 'AUDIT_REFUSED')
      assert.equal((await heard(orders.seal({ plaintext: counted(10) }))).code, 'AUDIT_REFUSED')
    }
  })

  test('nothing resolves before a slow sink has accepted, from the cache too', async () => {
    const { orders, sink } = await rig({ cache: {} })
    const { sealed } = await orders.seal({ plaintext: counted(10) })
    await orders.open({ sealed })
    for (const work of [() => orders.seal({ plaintext: counted(10) }), () => orders.open({ sealed })]) {
      sink.mode = 'hang'
      let isDone = false
      const call = work().then(() => {
        isDone = true
      })
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
      assert.equal(isDone, false)
      sink.mode = 'sync'
      sink.settle('accept')
      await call
    }
  })
})

test('one deadline is for the whole of a message, its refusal included', async () => {
  const provider = fakeProvider({ inner: { ...memoryKms(), synchronous: false } })
  const { orders, sink, clock, asked } = await rig({ provider })
  const { sealed } = await orders.seal({ plaintext: counted(10) })
  let answer = () => {}
  const asItIs = new Promise<void>((resolve) => {
    answer = resolve
  })
  provider.tell('decrypt', { after: asItIs })
  const told: string[] = []
  const opening = heard(orders.open({ sealed: sealed.fill(0, -1) })).then(({ code }) => told.push(code))
  while (asked('decrypt') === 0) await turn()
  clock.advance(9000)
  sink.mode = 'hang'
  answer()
  for (let turns = 0; turns < 5; turns++) await turn()
  // The data key's entry; that of the refusal hangs.
  sink.settle('accept')
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.deepEqual(told, [])
  clock.advance(1000)
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.deepEqual(told, ['AUDIT_REFUSED'])
  await opening
})

describe('bad input', () => {
  // What a caller without types may pass.
  type Any = (input?: unknown, options?: unknown) => Promise<unknown>

  test('is INVALID_INPUT, with an entry each', async () => {
    const { orders, entries } = await rig()
    const { sealed } = await orders.seal({ plaintext: counted(1) })
    const [seal, open] = [orders.seal as Any, orders.open as Any]
    const throws = {
      get plaintext() {
        throw new TypeError('secret')
      },
    }
    const wrong: readonly (() => Promise<unknown>)[] = [
      () => seal(),
      () => seal(null),
      () => seal({ plaintext: 'text' }),
      () => seal({ plaintext: new Uint8Array(new SharedArrayBuffer(8)) }),
      () => seal({ plaintext: counted(1), encryptioncontext: {} }),
      () => seal({ plaintext: counted(1), encryptionContext: { order: 17 } }),
      () => seal({ plaintext: counted(1), encryptionContext: ['a'] }),
      () => seal({ plaintext: counted(1), encryptionContext: { order: '\ud800' } }),
      () => seal(throws),
      () => open({ sealed: 'text' }),
      () => open({ plaintext: counted(1), sealed }),
      () => seal({ plaintext: counted(1) }, { context: { actor: 'alice' } }),
      () => seal({ plaintext: counted(1) }, { deadlineMs: -1 }),
      () => open({ sealed: new Uint8Array(0) }, { context: { actor: 'alice' } }),
      () => open({ sealed: new Uint8Array(0) }, { deadlineMs: Number.NaN }),
      () => open({ sealed: new Uint8Array(0) }, { deadlineMs: Number.POSITIVE_INFINITY }),
      () => seal({ plaintext: 'text' }, { context: { actor: 'alice' } }),
    ]
    for (const [at, call] of wrong.entries()) {
      const before = entries().length
      const error = await heard(call())
      assert.equal(error.code, 'INVALID_INPUT', `${at}: ${error.message}`)
      assert.doesNotMatch(error.message, /secret/)
      assert.equal(entries().length, before + 1, `${at}`)
      assert.deepEqual([entries().at(-1)?.outcome, entries().at(-1)?.error], ['failure', 'INVALID_INPUT'])
      assert.equal(entries().at(-1)?.eventID, error.eventID)
    }
    validEntries(entries())
  })

  test('a buffer that is given away or shrunk meanwhile is INVALID_INPUT, and no shorter message', async () => {
    const { orders, entries, provider, asked } = await rig({
      provider: fakeProvider({ inner: { ...memoryKms(), synchronous: false } }),
    })
    const { sealed } = await orders.seal({ plaintext: counted(100) })
    const written = async ({ writable }: EnvelopeStream, chunk: Uint8Array) => {
      const writer = writable.getWriter()
      writer.closed.catch(() => {})
      await writer.write(chunk)
    }
    const away = (bytes: Uint8Array) => void structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] })
    const shrink = (bytes: Uint8Array) => (bytes.buffer as ArrayBuffer & { resize(length: number): void }).resize(0)
    const resizable = (bytes: Uint8Array): Uint8Array => {
      const Resizable = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer
      const copy = new Uint8Array(new Resizable(bytes.length, { maxByteLength: bytes.length }))
      copy.set(bytes)
      return copy
    }
    for (const [copy, take] of [
      [(bytes: Uint8Array) => bytes.slice(), away],
      [resizable, shrink],
    ] as const)
      for (const [operation, bytes, begin] of [
        ['generateDataKey', counted(100), (plaintext) => orders.seal({ plaintext })],
        ['decrypt', sealed, (given) => orders.open({ sealed: given })],
        ['generateDataKey', counted(100), (chunk) => written(orders.sealStream(), chunk)],
        ['decrypt', sealed, (chunk) => written(orders.openStream(), chunk)],
      ] as const satisfies readonly (readonly [Asked, Uint8Array, (bytes: Uint8Array) => Promise<unknown>])[]) {
        const given = copy(bytes)
        const before = asked(operation)
        let answer = () => {}
        const asItIs = new Promise<void>((resolve) => {
          answer = resolve
        })
        provider.tell(operation, { after: asItIs })
        const refusal = heard(begin(given))
        while (asked(operation) === before) await turn()
        take(given)
        answer()
        assert.equal((await refusal).code, 'INVALID_INPUT')
      }
    assert.deepEqual([entries().at(-1)?.error, entries().length], [undefined, 1 + 2 * 6])
    validEntries(entries())
  })

  test('wrong options are refused at once, in words', async () => {
    const { kms } = await rig()
    const make = envelope as (options: unknown) => unknown
    for (const options of [
      undefined,
      { key: 'orders' },
      { kms, key: '' },
      { kms, key: 'orders', chunkLength: 1000 },
      { kms, key: 'orders', chunkLength: 2048 },
      { kms, key: 'orders', chunkLength: 2 ** 21 },
      // Out of an environment variable: counting with it would join texts.
      { kms, key: 'orders', chunkLength: '65536' },
      { kms, key: 'orders', chunkLength: [65536] },
      { kms, key: 'orders', cache: true },
      { kms, key: 'orders', cache: { maxAge: 5 } },
      { kms, key: 'orders', cache: { maxAgeMs: Number.POSITIVE_INFINITY } },
      { kms, key: 'orders', cache: { maxMessages: Number.POSITIVE_INFINITY } },
      { kms, key: 'orders', cache: { maxBytes: Number.POSITIVE_INFINITY } },
      { kms, key: 'orders', cache: { maxAgeMs: 3_600_001 } },
      { kms, key: 'orders', cache: { maxMessages: 1_000_001 } },
      { kms, key: 'orders', cache: { maxBytes: 2 ** 40 + 1 } },
      { kms, key: 'orders', cache: { maxKeys: 0 } },
      { kms, key: 'orders', cache: { maxMessages: 1.5 } },
    ])
      assert.throws(() => make(options), { code: 'INVALID_INPUT' })
  })

  test('after close everything is CLOSED; a key that is refused is refused as the client refuses it', async () => {
    const { orders, kms, sink } = await rig({ cache: {} })
    const { sealed } = await orders.seal({ plaintext: counted(1) })
    await orders.open({ sealed })
    await kms.disableKey({ key: 'orders' })
    assert.equal((await heard(orders.open({ sealed }))).code, 'KEY_NOT_ACTIVE')
    await kms.enableKey({ key: 'orders' })
    await orders.close()
    await orders.close()
    assert.equal((await heard(orders.seal({ plaintext: counted(1) }))).code, 'CLOSED')
    assert.throws(() => orders.openStream(), { code: 'CLOSED' })
    assert.equal(kms.health().refusedCalls, 2)
    await kms.close()
    assert.equal(sink.accepted.at(-1)?.action, 'audit.closed')
  })

  test('a data key of another length is no data key', async () => {
    const provider = fakeProvider()
    const { orders } = await rig({ provider })
    provider.tell('generateDataKey', { answers: { plaintext: counted(16), ciphertext: counted(16) } })
    assert.equal((await heard(orders.seal({ plaintext: counted(1) }))).code, 'INVALID_INPUT')
  })
})
