import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileGlobs } from '../../src/model/globs.ts'

/** By trying everything. */
function naive(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  if (pattern[0] !== '*') return pattern[0] === text[0] && text !== '' && naive(pattern.slice(1), text.slice(1))
  return naive(pattern.slice(1), text) || (text !== '' && naive(pattern, text.slice(1)))
}

test('a pattern matches what trying everything finds that it matches', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.', '\\'), maxLength: 7 })
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '.', '\\'), maxLength: 9 })
  fc.assert(
    fc.property(letters, letters, texts, (one, other, text) => {
      assert.equal(compileGlobs([one, other]).matches(text), naive(one, text) || naive(other, text))
    }),
    { numRuns: 5000 },
  )
})

test('start and end of a pattern never share a character, and what stands between has its own', () => {
  assert.equal(compileGlobs(['aba*ba']).matches('aba'), false)
  assert.equal(compileGlobs(['a*b*b']).matches('ab'), false)
  assert.equal(compileGlobs(['a*b*b']).matches('abb'), true)
})

test('a pattern that would keep a backtracking matcher for ever is answered', () => {
  const globs = compileGlobs([`${'*a'.repeat(200)}*b`])
  assert.equal(globs.matches('a'.repeat(100_000)), false)
  assert.equal(globs.matches(`${'a'.repeat(100_000)}b`), true)
})

test('case counts, and * alone is told apart', () => {
  assert.equal(compileGlobs(['Orders']).matches('orders'), false)
  assert.equal(compileGlobs(['orders', '*']).all, true)
  assert.equal(compileGlobs(['o*', '*s']).all, false)
})
