/** The cache by itself: every key that leaves it is wiped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeadlines } from '../../../src/audit/deadlines.ts'
import { type DataKeyCacheOptions, dataKeyCache } from '../../../src/integrations/envelope/cache.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { fixed } from '../../crypto/engines.ts'

const fetched = {
  key: { identity: 'kms-1', slug: 'orders', keyType: 'xaes256-gcm' },
  keyVersion: 1,
  sealedKey: fixed(5),
  eventID: 'e-1',
}

function opened(options: DataKeyCacheOptions = {}) {
  const clock = fakeClock()
  const cache = dataKeyCache(options, { clock, deadlines: createDeadlines(clock) })
  const keep = (id: string, bytes = 1) => cache.keep(id, fetched, fixed(32, 7), bytes)
  return { clock, cache, keep }
}

const isWiped = (key: Uint8Array | undefined) => key?.every((byte) => byte === 0)

test('a key is wiped when its time is over, without anybody asking for it', () => {
  const { clock, keep } = opened({ maxAgeMs: 1000 })
  const held = keep('a')
  clock.advance(999)
  assert.deepEqual(held?.dataKey, fixed(32, 7))
  clock.advance(1)
  assert.ok(isWiped(held?.dataKey))
  assert.equal(clock.pending, 0)
})

test('a key is wiped when another takes its place, when there is no room, when its bytes are used, when it is dropped, and at close', () => {
  const { cache, keep } = opened({ maxKeys: 2, maxBytes: 100 })
  const first = keep('a')
  const second = keep('a')
  assert.ok(isWiped(first?.dataKey) && !isWiped(second?.dataKey))
  const [third, fourth] = [keep('b'), keep('c')]
  assert.ok(isWiped(second?.dataKey))
  third?.count(98)
  assert.ok(!isWiped(third?.dataKey))
  third?.count(1)
  assert.ok(isWiped(third?.dataKey))
  assert.equal(cache.take('b', 1), undefined)
  fourth?.drop()
  assert.ok(isWiped(fourth?.dataKey))
  const fifth = keep('d')
  cache.close()
  assert.ok(isWiped(fifth?.dataKey))
  assert.equal(keep('e'), undefined)
})

test('one that went out and was replaced is not taken for the one that came', () => {
  const { cache, keep } = opened()
  const first = keep('a')
  const second = keep('a')
  first?.drop()
  assert.equal(cache.take('a', 1), second)
})

test('the key given is copied', () => {
  const { cache } = opened()
  const dataKey = fixed(32, 7)
  const held = cache.keep('a', fetched, dataKey, 1)
  dataKey.fill(0)
  assert.deepEqual(held?.dataKey, fixed(32, 7))
})
