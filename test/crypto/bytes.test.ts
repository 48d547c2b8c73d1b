/** Bytes and their spellings. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  concat,
  equal,
  fromBase64,
  fromBase64url,
  fromHex,
  fromUtf8,
  hex,
  lp,
  toBase64,
  toBase64url,
  u32be,
  u64be,
  utf8,
  wipe,
} from '../../src/crypto/bytes.ts'
import { assertLinear, assertOwned, fixed } from './engines.ts'

const bytes = fc.uint8Array({ maxLength: 200 })

const spellings = [
  { name: 'hex', to: hex, from: fromHex },
  { name: 'base64', to: toBase64, from: fromBase64 },
  { name: 'base64url', to: toBase64url, from: fromBase64url },
] as const

for (const { name, to, from } of spellings) {
  test(`${name} undoes itself`, () => {
    fc.assert(fc.property(bytes, (input) => assert.deepEqual(from(to(input)), Uint8Array.from(input))))
  })

  test(`${name} reads one spelling of each value and never crashes`, () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'AZaz09+/-_=fF') }), bytes.map(to))
    fc.assert(
      fc.property(text, (input) => {
        const read = from(input)
        const canonical = name === 'hex' ? input.toLowerCase() : input
        if (read !== undefined) assert.equal(to(read), canonical)
      }),
    )
  })

  test(`${name} is linear, both ways`, () => {
    assertLinear((length) => {
      const input = new Uint8Array(length).fill(7)
      const text = to(input)
      return () => assert.equal(from(text)?.length, to(input).length && length)
    })
  })
}

test('base64 agrees with the host, in both alphabets', () => {
  fc.assert(
    fc.property(bytes, (input) => {
      assert.equal(toBase64(input), Buffer.from(input).toString('base64'))
      assert.equal(toBase64url(input), Buffer.from(input).toString('base64url'))
      assert.equal(hex(input), Buffer.from(input).toString('hex'))
    }),
  )
})

test('base64 that is padded wrongly, has spare bits or foreign letters is undefined', () => {
  for (const text of [
    'A',
    'AA',
    'AA=',
    'AAA',
    'AB==',
    'AAB=',
    'A===',
    '====',
    'AA==\n',
    ' AA==',
    'AA-=',
    'AAé=',
    'AA==AA==',
  ]) {
    assert.equal(fromBase64(text), undefined, text)
  }
  for (const text of ['A', 'AB', 'AAB', 'AA==', 'A+AA', 'AA A', 'AAA\u{1F600}'])
    assert.equal(fromBase64url(text), undefined, text)
  for (const text of ['0', '0g', ' 0', '0x00', '٠٠']) assert.equal(fromHex(text), undefined, text)
})

test('UTF-8 undoes itself for well-formed text, and malformed bytes are undefined', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(fromUtf8(utf8(text)), text)))
  assert.equal(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), '\ufeffa')
  for (const malformed of [[0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
    assert.equal(fromUtf8(Uint8Array.from(malformed)), undefined)
  }
})

test('equal compares contents, wherever the difference is', () => {
  assert.equal(equal(fixed(40), fixed(40)), true)
  assert.equal(equal(fixed(0), fixed(0)), true)
  assert.equal(equal(fixed(40), fixed(39)), false)
  assert.equal(equal(new Uint8Array(3), new Uint8Array(2)), false)
  assert.equal(equal(new Uint8Array(2), new Uint8Array(3)), false)
  for (let bit = 0; bit < 320; bit++) {
    const other = fixed(40)
    other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(equal(fixed(40), other), false)
  }
})

test('numbers are big-endian, and lp is a length and the bytes', () => {
  assert.deepEqual(u32be(0x01020304), Uint8Array.of(1, 2, 3, 4))
  assert.deepEqual(u32be(0xffffffff), new Uint8Array(4).fill(255))
  assert.deepEqual(u64be(0x0102030405060708n), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
  assert.deepEqual(lp(Uint8Array.of(9, 8)), Uint8Array.of(0, 0, 0, 2, 9, 8))
  assert.deepEqual(concat([fixed(2), fixed(0), fixed(1, 7)]), Uint8Array.of(0, 1, 7))
})

test('wipe zeroes every array given, also a view of one', () => {
  const whole = fixed(10, 1)
  const other = fixed(3, 1)
  wipe(whole.subarray(2, 4), other)
  assert.deepEqual(whole, Uint8Array.of(1, 2, 0, 0, 5, 6, 7, 8, 9, 10))
  assert.deepEqual(other, new Uint8Array(3))
})

test('every result owns its buffer', () => {
  const results = [
    concat([fixed(3)]),
    utf8('text'),
    u32be(1),
    u64be(1n),
    lp(fixed(3)),
    fromHex('00'),
    fromBase64('AAAA'),
    fromBase64url('AA'),
  ]
  for (const result of results) assertOwned(result ?? Buffer.from('a pooled buffer, to fail'))
})
