/** The encryption context as bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concat, hex, lp, u32be, utf8 } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import type { EncryptionContext } from '../../src/model/operation.ts'
import { assertOwned, kmsError } from './engines.ts'

/** DESIGN §3 written a second time, with the host's own sort of bytes. */
function reference(context: EncryptionContext): Uint8Array {
  const pairs = Object.entries(context).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return concat([u32be(pairs.length), ...pairs.flatMap(([name, value]) => [lp(utf8(name)), lp(utf8(value))])])
}

test('golden bytes: sorted by UTF-8, not by UTF-16', () => {
  const encoded = encodeContext({ order: '17', '\u{10000}': 'y', '\ue000': 'x', é: '' })
  const golden =
    '00000004000000056f7264657200000002313700000002c3a90000000000000003ee8080000000017800000004f09080800000000179'
  assert.equal(hex(encoded), golden)
  assertOwned(encoded)
})

test('absent and empty are the same four zero bytes', () => {
  assert.equal(hex(encodeContext(undefined)), '00000000')
  assert.equal(hex(encodeContext({})), '00000000')
  assert.equal(hex(encodeContext(Object.create(null))), '00000000')
})

test('one encoding for one set of pairs, whatever their order', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 })
  const context = fc.dictionary(
    fc.oneof(text, fc.string({ unit: fc.constantFrom('\ue000', '\u{10000}', '\uffff', 'a', '\ud7ff') })),
    text,
    { maxKeys: 32 },
  )
  fc.assert(
    fc.property(context, (pairs) => {
      const encoded = encodeContext(pairs)
      assert.deepEqual(encoded, reference(pairs))
      assert.deepEqual(encodeContext(Object.fromEntries(Object.entries(pairs).reverse())), encoded)
    }),
    { numRuns: 1000 },
  )
})

test('different pairs never encode alike', () => {
  const contexts: EncryptionContext[] = [
    {},
    { a: 'b' },
    { ab: '' },
    { '': 'ab' },
    { a: 'b', c: 'd' },
    { a: 'bc', '': 'd' },
    { é: '' },
    { 'e\u0301': '' },
  ]
  assert.equal(new Set(contexts.map((context) => hex(encodeContext(context)))).size, contexts.length)
})

test('32 pairs are allowed, 33 are not', () => {
  const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`name${at}`, 'value']))
  assert.equal(encodeContext(pairs(32))[3], 32)
  assert.throws(() => encodeContext(pairs(33)), kmsError('INVALID_INPUT', /33 pairs, at most 32/))
})

test('8,192 bytes encoded are allowed, one more is not, and a gigantic text is refused at once', () => {
  const overhead = 4 + 4 + 1 + 4
  assert.equal(encodeContext({ a: 'x'.repeat(8192 - overhead) }).length, 8192)
  const tooLong = kmsError('INVALID_INPUT', /longer than 8192 bytes/)
  assert.throws(() => encodeContext({ a: 'x'.repeat(8193 - overhead) }), tooLong)
  assert.throws(() => encodeContext({ a: 'é'.repeat(4096) }), tooLong)
  assert.throws(() => encodeContext({ a: '\u{1F600}'.repeat(2048) }), tooLong)
  assert.throws(() => encodeContext({ ['n'.repeat(8190)]: '' }), tooLong)
  assert.throws(() => encodeContext({ a: 'x'.repeat(1 << 28) }), tooLong)
  assert.throws(() => encodeContext({ a: 'x'.repeat(5000), b: 'x'.repeat(5000) }), tooLong)
  // The scratch it leaves behind must not show in the next one.
  assert.deepEqual(encodeContext({ a: 'b' }), reference({ a: 'b' }))
})

test('lone surrogates are refused, in names and values', () => {
  const refused = kmsError('INVALID_INPUT', /lone surrogate/)
  for (const text of ['\ud800', 'a\udfffb', '\udc00\ud800', '\ud800\ud800\udc00']) {
    assert.throws(() => encodeContext({ [text]: '' }), refused)
    assert.throws(() => encodeContext({ a: text }), refused)
  }
})

test('anything but an object of strings is refused', () => {
  const refused = kmsError('INVALID_INPUT', /object of strings|strings only/)
  const wrong = [
    null,
    [],
    ['a'],
    new Map([['a', 'b']]),
    'text',
    7,
    true,
    () => {},
    { a: 1 },
    { a: null },
    { a: undefined },
    { a: new String('b') },
  ]
  // @ts-expect-error: what a caller without types may pass.
  for (const context of wrong) assert.throws(() => encodeContext(context), refused)
})
