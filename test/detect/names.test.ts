import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../src/detect/detector.ts'
import { playExample } from '../../src/detect/example.ts'
import { nameCache } from '../../src/detect/names.ts'
import { defineRule, type Seen } from '../../src/detect/rule.ts'
import type { AuditEntry } from '../../src/model/entry.ts'

test('an actor is told by type and id, together with its key as one text', () => {
  const names = nameCache()
  const billing = { type: 'serviceAccount', id: 'billing' } as const
  const told = { actor: 'serviceAccount:billing', key: 'kms-1', pair: 'serviceAccount:billing kms-1' }
  assert.deepEqual(names(billing, 'kms-1'), told)
  assert.equal(names({ ...billing }, 'kms-1'), names(billing, 'kms-1'))
  assert.equal(names({ type: 'user', id: 'billing' }, 'kms-1').actor, 'user:billing')
  assert.deepEqual(names(billing, undefined), { actor: 'serviceAccount:billing', key: undefined, pair: undefined })
})

test('whoever is not named is one and the same', () => {
  const names = nameCache()
  assert.deepEqual(names({ type: 'unknown' }, 'kms-1'), { actor: undefined, key: 'kms-1', pair: 'unknown kms-1' })
  assert.equal(names(undefined, 'kms-1'), names({ type: 'client' }, 'kms-1'))
})

test('of more names than it keeps it begins anew, with the same answers', () => {
  const names = nameCache()
  for (let number = 0; number < 60_000; number++) names({ type: 'user', id: `u${number % 3}` }, `kms-${number}`)
  assert.equal(names({ type: 'user', id: 'u1' }, 'kms-1').pair, 'user:u1 kms-1')
  const first = names({ type: 'user', id: 'u1' }, 'kms-1')
  for (let number = 0; number < 60_000; number++) names({ type: 'user', id: `v${number}` }, undefined)
  assert.notEqual(names({ type: 'user', id: 'u1' }, 'kms-1'), first)
  assert.deepEqual(names({ type: 'user', id: 'u1' }, 'kms-1'), first)
})

test('an entry that was tampered with stops nobody: names that are none, phases that are none', () => {
  const shown: Seen[] = []
  const watching = defineRule({
    ...{
      id: 'watching',
      title: 'Shown',
      level: 'low',
      attack: [],
      why: 'test',
      falsePositives: [],
      whatToDo: 'nothing',
    },
    ...{ actions: ['kms.*'], parameters: {}, examples: [] },
    sees(seen) {
      shown.push(seen)
      return undefined
    },
  })
  const detector = createDetector([watching])
  const { entries } = playExample({ says: '', findings: 0, steps: [{ action: 'kms.decrypt', times: 4 }] })
  const hostile = { toString: 1, valueOf: 1 }
  const changes: readonly object[] = [
    { actor: { type: hostile, id: hostile }, resourceIdentity: hostile },
    { phase: 'constructor' },
    { phase: '__proto__' },
    {},
  ]
  // What a tampered file may hold is not what the type says.
  for (const [at, change] of changes.entries()) detector.take({ ...entries[at], ...change } as AuditEntry)
  assert.deepEqual(
    shown.map(({ actor, key, pair }) => [actor, key, pair]),
    [
      [undefined, undefined, undefined],
      ['serviceAccount:api', 'kms-orders', 'serviceAccount:api kms-orders'],
    ],
  )
  assert.equal(detector.health().entries, 4)
})
