import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { counted, lengthOf, listed, word } from '../../src/detect/words.ts'
import { trailsIn, writerName } from '../../src/detect/writer.ts'

test('a word is as it is, quoted where it has a blank, cut where it is long', () => {
  assert.deepEqual(['orders', 'kms-1', 'a b', '', 'a"b', 'é'].map(word), [
    'orders',
    'kms-1',
    '"a b"',
    '""',
    '"a\\"b"',
    'é',
  ])
  assert.equal(word('x'.repeat(129)), `${'x'.repeat(128)}…`)
  assert.deepEqual([undefined, null, 7, ['a'], { a: 1 }].map(word), [
    'unknown',
    'null',
    '7',
    '"[\\"a\\"]"',
    '"{\\"a\\":1}"',
  ])
})

test('nothing in a word acts upon a terminal or ends a line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(word(text), /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u)
    }),
  )
  assert.equal(word('\u001b[2J\n\u202e'), '"\\u001b[2J\\n\\u202e"')
})

test('numbers and lengths of time are told as people do', () => {
  assert.deepEqual(
    [counted(1, 'call'), counted(0, 'call'), counted(12_345, 'entry', 'entries')],
    ['1 call', '0 calls', '12,345 entries'],
  )
  const lengths = [0, 999, 1999, 2000, 119_000, 120_000, 5_400_000, 172_799_999, 172_800_000, 604_800_000].map(lengthOf)
  assert.deepEqual(lengths, [
    ...['0 ms', '999 ms', '1999 ms', '2 seconds', '119 seconds', '2 minutes', '90 minutes', '48 hours'],
    ...['2 days', '7 days'],
  ])
})

test('a list names the first few', () => {
  assert.deepEqual(
    [listed([]), listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c d'])],
    ['', 'a', 'a and b', 'a, b and "c d"'],
  )
  assert.equal(listed(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a, b, c, d, e and 2 more')
  assert.equal(listed(['a', 'b', 'c'], 2), 'a, b and 1 more')
})

test('the name of a writer outlasts its starts', () => {
  assert.deepEqual(['main-x1y2', 'eu-west-x1y2', 'main', '-x', ''].map(writerName), ['main', 'eu-west', 'main', '', ''])
})

test('trails are known by their origins, whoever signs them', () => {
  const sink = { name: 'trail', durability: 'synced', required: true } as const
  const sinks = [{ ...sink, vkey: 'keytrail/a+0123abcd+key' }, sink, { ...sink, vkey: 'keytrail/b+99+other' }]
  assert.equal(trailsIn({ sinks }), 'keytrail/a keytrail/b')
  const hostile: readonly unknown[] = [
    undefined,
    {},
    { sinks: 7 },
    { sinks: [null, 7, { vkey: {} }, { vkey: 'none' }] },
  ]
  assert.deepEqual(
    hostile.map((details) => trailsIn(details as undefined)),
    ['', '', '', ''],
  )
  assert.equal(trailsIn({ sinks: [{ ...sink, vkey: `${'x'.repeat(9000)}+1+k` }] }).length, 128)
})
