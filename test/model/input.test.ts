import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import vm from 'node:vm'
import { checkInput, salvageInput } from '../../src/model/input.ts'
import { defaultLimits, type Operation, operations } from '../../src/model/operation.ts'

const check = (operation: Operation, raw: unknown) =>
  checkInput(operation, raw, defaultLimits) as unknown as Record<string, unknown>
const bytes = (length: number) => new Uint8Array(length)

describe('bytes at the door', () => {
  test('are copied, into a plain Uint8Array that owns its buffer', () => {
    const pooled = Buffer.from('secret')
    const { plaintext } = check('encrypt', { key: 'k', plaintext: pooled })
    assert.ok(plaintext instanceof Uint8Array)
    assert.equal(plaintext.constructor, Uint8Array)
    assert.equal(plaintext.buffer.byteLength, 6)
    pooled.fill(0)
    assert.equal(new TextDecoder().decode(plaintext), 'secret')
  })

  test('of another realm are bytes too', () => {
    const foreign: unknown = vm.runInNewContext('new Uint8Array([1, 2, 3])')
    assert.deepEqual(check('encrypt', { key: 'k', plaintext: foreign })['plaintext'], new Uint8Array([1, 2, 3]))
  })

  const detached = bytes(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const wrong: readonly [string, unknown, RegExp][] = [
    ['a string', 'text', /TextEncoder/],
    ['an array', [1, 2], /Uint8Array/],
    ['another view', new Uint16Array(2), /Uint8Array/],
    ['an ArrayBuffer', new ArrayBuffer(2), /Uint8Array/],
    ['an impostor', Object.create(Uint8Array.prototype), /Uint8Array/],
    ['shared memory', new Uint8Array(new SharedArrayBuffer(4)), /SharedArrayBuffer/],
    ['a detached buffer', detached, /detached/],
    ['nothing', bytes(0), /1–65535/],
    ['too much', bytes(65_536), /1–65535 bytes long; this is 65536/],
  ]
  for (const [what, plaintext, message] of wrong)
    test(`${what}: INVALID_INPUT that says what to do`, () => {
      assert.throws(() => check('encrypt', { key: 'k', plaintext }), { code: 'INVALID_INPUT', message })
    })

  test('may be empty where there is nothing to hide: an empty message can be signed', () => {
    assert.deepEqual(check('sign', { key: 'k', input: bytes(0) })['input'], bytes(0))
  })

  test('may be of the largest size exactly', () => {
    assert.ok(check('encrypt', { key: 'k', plaintext: bytes(65_535) }))
  })
})

describe('the other fields', () => {
  const refused: readonly [Operation, unknown, RegExp][] = [
    ['encrypt', undefined, /takes one object/],
    ['encrypt', null, /takes one object/],
    ['encrypt', { plaintext: bytes(1) }, /needs 'key'/],
    ['encrypt', { key: '', plaintext: bytes(1) }, /identity or slug/],
    ['encrypt', { key: 'k'.repeat(257), plaintext: bytes(1) }, /identity or slug/],
    ['encrypt', { key: 'k', plaintxt: bytes(1) }, /no field 'plaintxt'/],
    ['encrypt', { key: 'k', plaintext: bytes(1), keyVersion: 0 }, /integer from 1/],
    ['encrypt', { key: 'k', plaintext: bytes(1), keyVersion: '1' }, /integer from 1/],
    ['encrypt', { key: 'k', plaintext: bytes(1), keyVersion: 1.5 }, /integer from 1/],
    ['encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: { a: 1 } }, /only strings/],
    ['encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: ['a'] }, /plain object/],
    ['encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: new Map() }, /plain object/],
    ['encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: 'a' }, /plain object/],
    ['encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: { a: '\ud800' } }, /lone surrogate/],
    ['encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: { a: 'x'.repeat(8192) } }, /8192 bytes/],
    [
      'encrypt',
      {
        key: 'k',
        plaintext: bytes(1),
        encryptionContext: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [at, ''])),
      },
      /32 pairs/,
    ],
    ['sign', { key: 'k', input: bytes(1), hashAlgorithm: 'md5' }, /one of sha256, sha384, sha512/],
    ['sign', { key: 'k', input: bytes(1), prehashed: 'yes' }, /true or false/],
    ['createKey', { slug: 'Orders' }, /must match/],
    ['createKey', { slug: 'kms-orders' }, /not start with kms-/],
    ['createKey', { slug: '../../etc/passwd' }, /must match/],
    ['createKey', { rotationPeriodInDays: 3651 }, /1 to 3650/],
    ['createKey', { labels: { a: 1 } }, /only strings/],
    ['createKey', { labels: { ['n'.repeat(129)]: '' } }, /64 pairs/],
    ['scheduleKeyDeletion', { key: 'k', pendingWindowInDays: 6 }, /7 to 90/],
    ['updateRotation', { key: 'k' }, /needs 'keyRotationEnabled'/],
    ['rotateScheduled', { key: 'k', expectLatestVersion: 1, dueAt: 'yesterday' }, /RFC 3339/],
    ['rotateScheduled', { key: 'k', expectLatestVersion: 1, dueAt: '2026-13-01T00:00:00Z' }, /RFC 3339/],
    ['listKeys', { key: 'k' }, /no field 'key'/],
  ]
  for (const [operation, raw, message] of refused)
    test(`${operation}: ${message.source}`, () => {
      assert.throws(() => check(operation, raw), { code: 'INVALID_INPUT', message })
    })

  test('an empty encryption context is none', () => {
    const empty = check('encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: {} })
    assert.deepEqual(empty, { key: 'k', plaintext: bytes(1) })
  })

  test('__proto__ is a name like any other', () => {
    const context = JSON.parse('{"__proto__":"x"}') as object
    const { encryptionContext } = check('encrypt', { key: 'k', plaintext: bytes(1), encryptionContext: context })
    assert.deepEqual(Object.entries(encryptionContext as object), [['__proto__', 'x']])
  })

  test('every operation refuses an unknown field', () => {
    for (const operation of Object.keys(operations)) {
      assert.throws(() => check(operation as Operation, { nonsense: 1 }), { code: 'INVALID_INPUT' })
    }
  })
})

test('salvage keeps no number below what its field may be: the schema of entries has none', () => {
  const period = (rotationPeriodInDays: number) =>
    salvageInput('updateRotation', { key: 'orders', keyRotationEnabled: true, rotationPeriodInDays })
  assert.deepEqual(period(4000), { key: 'orders', rotationPeriodInDays: 4000 })
  for (const wrong of [0, -5]) assert.deepEqual(period(wrong), { key: 'orders' })
})

test('salvage keeps what an entry may tell, and survives any input', () => {
  const plaintext = bytes(70_000)
  assert.deepEqual(
    salvageInput('encrypt', { key: 'orders', plaintext, keyVersion: 3, encryptionContext: { a: 'b' } }),
    {
      key: 'orders',
      plaintext,
      keyVersion: 3,
    },
  )
  const trap = new Proxy(
    {},
    {
      get: () => {
        throw new Error('trap')
      },
    },
  )
  for (const raw of [
    undefined,
    null,
    7,
    'text',
    trap,
    {
      get key() {
        throw new Error('getter')
      },
    },
    { plaintext: Object.create(Uint8Array.prototype) },
  ])
    assert.deepEqual(salvageInput('encrypt', raw), {})
})
