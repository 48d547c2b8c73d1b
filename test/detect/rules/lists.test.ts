/** @node Parameters of rules that are lists or shares: what makes no sense is refused before anything is watched. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canaryKey } from '../../../src/detect/rules/canary-key.ts'
import { manualRotation } from '../../../src/detect/rules/manual-rotation.ts'

test('canaries and actors are texts', () => {
  const refused = { code: 'INVALID_INPUT' }
  assert.throws(() => canaryKey.withParameters({ keys: ['honey', ''] }), {
    ...refused,
    message: /'keys' must be a list/,
  })
  assert.throws(() => canaryKey.withParameters({ keys: 'honey' }), { ...refused, message: /must be a list/ })
  assert.throws(() => canaryKey.withParameters({ except: [7] }), { ...refused, message: /'except' must be a list/ })
  assert.throws(() => canaryKey.withParameters({ again: 'soon' }), { ...refused, message: /'again'/ })
  assert.throws(() => manualRotation.withParameters({ actors: [''] }), {
    ...refused,
    message: /'actors' must be a list/,
  })
})

test('a share is at most the whole', () => {
  assert.throws(() => manualRotation.withParameters({ early: 10 }), {
    code: 'INVALID_INPUT',
    message: /'early' must be a share of the period/,
  })
  assert.deepEqual(manualRotation.withParameters({ early: 1 }).parameters, { actors: [], early: 1 })
})
