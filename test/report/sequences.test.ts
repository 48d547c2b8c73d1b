import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectSequences } from '../../src/report/sequences.ts'
import { type Fields, factOf, hostile } from './facts.ts'

function taken(entries: readonly Fields[]): { readonly isNew: readonly boolean[]; readonly missing: number } {
  const sequences = collectSequences()
  const isNew = entries.map((fields) => sequences.take(factOf(fields)))
  return { isNew, missing: sequences.missing }
}

function numbers(all: readonly number[], fields: Fields = {}): readonly Fields[] {
  return all.map((sequence) => ({ ...fields, sequence }))
}

test('without a gap nothing is missing; a gap is as wide as it is', () => {
  assert.equal(taken(numbers([0, 1, 2, 3])).missing, 0)
  assert.equal(taken(numbers([0, 1, 5, 6, 8])).missing, 4)
})

test('the first of a writer is missed, unless what was before it was pruned', () => {
  assert.equal(taken(numbers([3, 4])).missing, 3)
  assert.equal(taken(numbers([3, 4], { index: 700n })).missing, 0)
  const later = numbers([2], { instance: 'main-later', index: 701n })
  assert.equal(taken([...numbers([3, 4], { index: 700n }), ...later]).missing, 2)
})

test('a second trail of the same writer brings the same again, or what was missing', () => {
  const both = taken([...numbers([0, 1, 4]), ...numbers([1, 2, 3, 4], { trail: 'spare', index: 1n })])
  assert.deepEqual(both, { isNew: [true, true, true, false, true, true, false], missing: 0 })
  const some = taken([...numbers([0, 9]), ...numbers([4], { trail: 'spare' })])
  assert.equal(some.missing, 7)
})

test('only gaps that are seen in the time reviewed count', () => {
  assert.equal(taken([...numbers([0, 5], { within: false }), ...numbers([8])]).missing, 2)
})

test('what is no running number is an entry all the same', () => {
  const wrong = [hostile({ sequence: 'x' }), hostile({ sequence: -1 }), hostile({ sequence: 1.5 })]
  assert.deepEqual(taken([...numbers([0]), ...wrong, ...numbers([1])]), {
    isNew: [true, true, true, true, true],
    missing: 0,
  })
})

test('very many gaps are counted, and no longer filled', () => {
  const odd = Array.from({ length: 1500 }, (_, at) => 2 * at + 1)
  assert.equal(taken(numbers(odd)).missing, 1500)
})
