import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engine } from '../../../src/crypto/node.ts'
import {
  type Changes,
  newKeystore,
  outcomeOfChange,
  rememberChange,
  rotatedSeeds,
} from '../../../src/providers/local/keystore.ts'

/** As many changes as are remembered, all later than `z`. */
function full(changes: Changes): Changes {
  return Array.from({ length: 256 }, (_, at) => `z${at}`).reduce(rememberChange, changes)
}

test('a change is done while it is remembered', () => {
  const changes = rememberChange({ operationIDs: [] }, 'a')
  assert.equal(outcomeOfChange(changes, 'a'), 'done')
  assert.equal(outcomeOfChange(changes, 'b'), 'not-done')
  assert.equal(outcomeOfChange(changes, 'Z'), 'not-done')
})

test('the greatest forgotten ID is the border between not-done and unknown, also when IDs came out of order', () => {
  const changes = full(['c', 'b', 'a'].reduce(rememberChange, { operationIDs: [] }))
  assert.equal(changes.operationIDs.length, 256)
  for (const forgotten of ['a', 'b', 'c']) assert.equal(outcomeOfChange(changes, forgotten), 'unknown')
  assert.equal(outcomeOfChange(changes, 'd'), 'not-done')
  assert.equal(outcomeOfChange(changes, 'z0'), 'done')
})

test('the 32 seeds before the last are kept, newest first, and no more', () => {
  let keystore = newKeystore(engine)
  const seeds = [keystore.signerSeed]
  for (let round = 0; round < 34; round++) {
    keystore = { ...keystore, ...rotatedSeeds(engine, keystore) }
    seeds.unshift(keystore.signerSeed)
  }
  assert.deepEqual([keystore.signerSeed, ...keystore.formerSeeds], seeds.slice(0, 33))
  assert.equal(new Set(seeds.map((seed) => seed.join())).size, 35)
})
