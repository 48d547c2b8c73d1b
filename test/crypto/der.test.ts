/** DER: one encoding for each value, and nothing else read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concat, hex } from '../../src/crypto/bytes.ts'
import {
  bitString,
  type DerReader,
  encodeDer,
  integer,
  objectIdentifier,
  octetString,
  readDer,
  sequence,
  tags,
} from '../../src/crypto/der.ts'
import { assertLinear, assertOwned, fixed, unhex } from './engines.ts'

test('lengths take the definite form and as few bytes as can be', () => {
  const heads = [
    [0, '0400'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_535, '0482ffff'],
    [65_536, '0483010000'],
    [16_777_216, '048401000000'],
  ] as const
  for (const [length, head] of heads) {
    const der = encodeDer(octetString(new Uint8Array(length)))
    assert.equal(hex(der.subarray(0, head.length / 2)), head)
    assert.equal(der.length, head.length / 2 + length)
    assertOwned(der)
    assert.equal(
      readDer(der, (from) => from.take(tags.octetString).length),
      length,
    )
  }
})

test('integers are written without needless zeros and never negative', () => {
  const written = [
    ['00', '020100'],
    ['0000', '020100'],
    ['01', '020101'],
    ['007f', '02017f'],
    ['80', '02020080'],
    ['00ff01', '020300ff01'],
  ] as const
  for (const [digits, der] of written) assert.equal(hex(encodeDer(integer(unhex(digits)))), der)
})

test('object identifiers are as the standards print them', () => {
  const known = [
    ['1.2.840.113549.1.1.1', '06092a864886f70d010101'],
    ['1.2.840.10045.3.1.7', '06082a8648ce3d030107'],
    ['1.3.101.112', '06032b6570'],
    ['2.16.840.1.101.3.4.3.17', '0609608648016503040311'],
    ['1.3.132.0.34', '06052b81040022'],
  ] as const
  for (const [dotted, der] of known) assert.equal(hex(encodeDer(objectIdentifier(dotted))), der)
})

const readInteger = (der: Uint8Array) => readDer(der, (from) => from.integer())

test('an integer reads back, minimal; negative, padded and empty ones do not read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (digits) => {
      const read = readInteger(encodeDer(integer(digits)))
      const start = digits.findIndex((digit) => digit !== 0)
      assert.deepEqual(read, start === -1 ? Uint8Array.of(0) : Uint8Array.from(digits.subarray(start)))
    }),
  )
  for (const wrong of ['0200', '0201ff', '02020001', '0202007f', '02030000ff', '0202ff80', '030101', '02'])
    assert.equal(readInteger(unhex(wrong)), undefined, wrong)
})

test('lengths that are longer than they must be, indefinite or past the end do not read', () => {
  const read = (text: string) => readDer(unhex(text), (from) => hex(from.take(tags.octetString)))
  assert.equal(read('0401aa'), 'aa')
  for (const wrong of [
    '048101aa',
    '04820001aa',
    '0480aa0000',
    '0402aa',
    '04817f',
    '0484ffffffff',
    '04850000000001aa',
    '04ff',
    '0401aaaa',
    '04',
    '',
    '2401aa',
    '1f0401aa',
  ])
    assert.equal(read(wrong), undefined, wrong)
  assert.equal(read(`048180${'bb'.repeat(128)}`), 'bb'.repeat(128))
  assert.equal(read(`04820080${'bb'.repeat(128)}`), undefined)
})

const shape = (from: DerReader) =>
  from.within(tags.sequence, () => {
    const first = from.integer()
    const inner = from.within(tags.octetString, () => from.within(tags.sequence, () => from.integer()))
    const optional = from.has(tags.null) ? from.take(tags.null) : undefined
    return { first, inner, optional, last: from.withinBits(() => from.rest()) }
  })
const written = encodeDer(
  sequence(integer(fixed(3, 1)), octetString(sequence(integer(fixed(2, 7)))), bitString(fixed(4))),
)

test('nested contents must be read to their end, and none beyond it', () => {
  assert.deepEqual(readDer(written, shape), {
    first: fixed(3, 1),
    inner: fixed(2, 7),
    optional: undefined,
    last: fixed(4),
  })
  const unread = (from: DerReader) => from.within(tags.sequence, () => from.integer())
  assert.equal(readDer(written, unread), undefined)
  const beyond = (from: DerReader) =>
    from.within(tags.sequence, () => {
      from.integer()
      return from.within(tags.octetString, () => [from.take(tags.sequence), from.take(tags.bitString)])
    })
  assert.equal(readDer(written, beyond), undefined)
  // An inner element may not reach out of the one around it.
  assert.equal(
    readDer(unhex('30030402aabb'), (from) => from.within(tags.sequence, () => from.take(tags.octetString))),
    undefined,
  )
})

test('a bit string with unused bits does not read', () => {
  const read = (text: string) => readDer(unhex(text), (from) => from.withinBits(() => hex(from.rest())))
  assert.equal(read('030300aabb'), 'aabb')
  for (const wrong of ['030301aaba', '0300', '030107']) assert.equal(read(wrong), undefined, wrong)
})

test('after a failure everything read is empty, and the whole is undefined', () => {
  const seen: unknown[] = []
  const result = readDer(written, (from) => {
    from.take(tags.null)
    seen.push(from.take(tags.sequence).length, from.rest().length, from.integer().length, from.has(tags.sequence))
    seen.push(from.within(tags.sequence, () => from.rest().length))
    from.expect(Uint8Array.of(0x30))
    return 'something'
  })
  assert.equal(result, undefined)
  assert.deepEqual(seen, [0, 0, 0, false, 0])
})

test('every truncation, changed bit of the structure and further byte is noticed, or reads as another value', () => {
  for (let length = 0; length < written.length; length++)
    assert.equal(readDer(written.subarray(0, length), shape), undefined)
  assert.equal(readDer(concat([written, fixed(1)]), shape), undefined)
  for (let bit = 0; bit < 8 * written.length; bit++) {
    const changed = written.slice()
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.notDeepEqual(readDer(changed, shape), readDer(written, shape))
  }
})

test('arbitrary bytes never crash a reader, and it takes linear time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      readDer(bytes, shape)
    }),
    { numRuns: 2000 },
  )
  assertLinear((length) => {
    const many = concat(Array.from({ length: Math.floor(length / 64) }, () => encodeDer(octetString(fixed(62)))))
    return () =>
      readDer(many, (from) => {
        let count = 0
        while (from.has(tags.octetString)) count += from.take(tags.octetString).length
        return count
      })
  })
  // Nested as deep as can be: the reader goes no deeper than it is asked to.
  assertLinear((length) => {
    const nested = new Uint8Array(length).fill(0x30)
    return () => assert.equal(readDer(nested, shape), undefined)
  })
})
