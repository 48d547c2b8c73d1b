import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KmsError } from '../../src/model/errors.ts'
import type { ResolvedKey } from '../../src/model/key.ts'
import { keyCache } from '../../src/providers/key-cache.ts'
import { fakeClock } from '../../src/testing/index.ts'

const orders: ResolvedKey = { identity: 'id-1', slug: 'orders', keyType: 'aes256-gcm96', status: 'active' }

function rig(options: { ttlMs?: number; scope?: { region?: string; project?: string } } = {}) {
  const clock = fakeClock()
  const asked: string[] = []
  const answers: { key: ResolvedKey | KmsError } = { key: orders }
  const find = async (name: string) => {
    asked.push(name)
    const { key } = answers
    await Promise.resolve()
    if (key instanceof KmsError) throw key
    return key
  }
  return { cache: keyCache({ find, clock, ...options }), clock, asked, answers }
}

test('a name is asked for once within the time limit, by however many at once, and again after it', async () => {
  const { cache, clock, asked } = rig({ ttlMs: 1000 })
  const found = await Promise.all([cache.resolve('orders', {}), cache.resolve('orders', {})])
  assert.deepEqual(found, [orders, orders])
  clock.advance(999)
  assert.equal(cache.resolve('orders', {}), orders, 'known: no promise')
  assert.deepEqual(asked, ['orders'])
  clock.advance(1)
  await cache.resolve('orders', {})
  assert.deepEqual(asked, ['orders', 'orders'])
})

test('a refusal is not kept', async () => {
  const { cache, asked, answers } = rig()
  answers.key = new KmsError('KEY_NOT_FOUND', 'no such key')
  await assert.rejects(async () => cache.resolve('orders', {}), { code: 'KEY_NOT_FOUND' })
  answers.key = orders
  assert.deepEqual(await cache.resolve('orders', {}), orders)
  assert.equal(asked.length, 2)
})

test('a change forgets the key under every name, and what was asked before it', async () => {
  const { cache, asked } = rig()
  await cache.resolve('orders', {})
  await cache.resolve('id-1', {})
  cache.forget(orders)
  const late = cache.resolve('orders', {})
  cache.forget(orders)
  await late
  await cache.resolve('orders', {})
  await cache.resolve('id-1', {})
  assert.deepEqual(asked, ['orders', 'id-1', 'orders', 'orders', 'id-1'])
})

test('a time limit of 0 asks each time', async () => {
  const { cache, asked } = rig({ ttlMs: 0 })
  await cache.resolve('orders', {})
  await cache.resolve('orders', {})
  assert.equal(asked.length, 2)
})

test('calls of another region or project find nothing, and the service is not asked', async () => {
  const { cache, asked } = rig({ scope: { region: 'nl-01', project: 'billing' } })
  assert.deepEqual(await cache.resolve('orders', { region: 'nl-01', project: 'billing' }), orders)
  for (const scope of [{}, { region: 'nl-01' }, { region: 'nl-01', project: 'other' }])
    assert.throws(() => cache.resolve('orders', scope), { code: 'KEY_NOT_FOUND' })
  assert.equal(asked.length, 1)
})
