import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { KmsError } from '../../../src/model/errors.ts'
import type { VaultToken } from '../../../src/providers/vault-transit/index.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { bytes, rig } from './rig.ts'

const plaintext = bytes('x')

describe('a token from a callback', () => {
  test('is asked for at the first request, once for all that wait', async (t) => {
    let asked = 0
    const token = async () => {
      asked += 1
      return 's.root'
    }
    const { kms, endpoint } = await rig(t, { provider: { token } })
    for (const name of ['a', 'b', 'c']) endpoint.add(name, { type: 'aes256-gcm96' })
    assert.equal(asked, 0)
    await Promise.all(['a', 'b', 'c'].map((key) => kms.encrypt({ key, plaintext })))
    assert.equal(asked, 1)
  })

  test('that has expired is replaced once, however many calls meet the 403, and each goes through', async (t) => {
    let asked = 0
    const { kms, endpoint, results } = await rig(t, { provider: { token: () => `s.${++asked}` } })
    endpoint.tokens.add('s.1')
    for (let at = 0; at < 20; at++) endpoint.add(`k${at}`, { type: 'aes256-gcm96' })
    await kms.encrypt({ key: 'k0', plaintext })
    endpoint.tokens.delete('s.1')
    endpoint.tokens.add('s.2')
    const calls = Array.from({ length: 20 }, (_, at) => kms.encrypt({ key: `k${at}`, plaintext }))
    await Promise.all(calls)
    assert.equal(asked, 2)
    assert.ok(results().every(({ outcome }) => outcome === 'success'))
    assert.ok(results().some(({ provider }) => provider?.attempts === 2))
  })

  test('lets a change go again after the 403, which did nothing', async (t) => {
    let asked = 0
    const { kms, endpoint } = await rig(t, { provider: { token: () => `s.${++asked}` } })
    endpoint.tokens.add('s.1')
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    endpoint.tokens.delete('s.1')
    endpoint.tokens.add('s.2')
    assert.equal((await kms.rotate({ key: 'orders' })).keyVersion, 2)
    assert.equal(endpoint.policy('orders').latest, 2)
  })

  test('is replaced before the end that the callback told', async (t) => {
    const clock = fakeClock()
    let asked = 0
    const token = (): VaultToken => ({ token: `s.${++asked}`, ttlMs: 60_000 })
    const { kms, endpoint } = await rig(t, { provider: { token, clock } })
    for (const one of ['s.1', 's.2']) endpoint.tokens.add(one)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.encrypt({ key: 'orders', plaintext })
    clock.advance(53_000)
    await kms.encrypt({ key: 'orders', plaintext })
    assert.equal(asked, 1)
    clock.advance(2_000)
    await kms.encrypt({ key: 'orders', plaintext })
    assert.equal(asked, 2)
    assert.equal(endpoint.requests.at(-1)?.headers['x-vault-token'], 's.2')
    assert.ok(endpoint.requests.every(({ headers }) => headers['x-vault-token'] !== 's.3'))
  })

  test('is not asked for again and again where a policy denies', async (t) => {
    const clock = fakeClock()
    let asked = 0
    const token = () => {
      asked += 1
      return 's.root'
    }
    const { kms, endpoint } = await rig(t, { provider: { token, clock } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.denied.push(/encrypt/)
    for (let time = 0; time < 10; time++)
      await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'ACCESS_DENIED' })
    assert.equal(asked, 2)
    clock.advance(5_000)
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'ACCESS_DENIED' })
    assert.equal(asked, 3)
  })

  for (const [what, token, code] of [
    [
      'throws',
      () => {
        throw new Error('s.secret in a message')
      },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'rejects',
      async () => {
        throw Object.assign(new Error('s.secret'), { code: 'ECONNREFUSED' })
      },
      'PROVIDER_UNAVAILABLE',
    ],
    ['gives nothing', () => undefined, 'ACCESS_DENIED'],
    ['gives a token that no header can hold', () => 's.secret\r\nX-Evil: 1', 'ACCESS_DENIED'],
    ['gives an object without a token', () => ({ ttlMs: 5 }), 'ACCESS_DENIED'],
    ['gives null', () => null, 'ACCESS_DENIED'],
  ] as const)
    test(`whose callback ${what} is ${code}, and the next call asks again`, async (t) => {
      let broken = true
      // What a callback of an application may do.
      const callback = () => (broken ? (token() as string) : 's.root')
      const { kms, endpoint, last } = await rig(t, { provider: { token: callback } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      const error = await kms.encrypt({ key: 'orders', plaintext }).catch((thrown: unknown) => thrown)
      assert.ok(error instanceof KmsError)
      assert.equal(error.code, code)
      assert.ok(!inspect(error, { depth: 9 }).includes('s.secret'))
      assert.equal(last()?.error, code)
      broken = false
      await kms.encrypt({ key: 'orders', plaintext })
    })

  test('whose callback never answers is given up, and the caller’s deadline holds', async (t) => {
    let stuck = true
    const token = () => (stuck ? new Promise<string>(() => {}) : 's.root')
    const { kms, endpoint } = await rig(t, { provider: { token, requestTimeoutMs: 150 } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }, { deadlineMs: 50 }), { code: 'DEADLINE_EXCEEDED' })
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'PROVIDER_UNAVAILABLE' })
    stuck = false
    await kms.encrypt({ key: 'orders', plaintext })
  })
})

test('a fixed token that is not valid is ACCESS_DENIED, with its entry, and asked with once', async (t) => {
  for (const dialect of ['openbao', 'vault-1.8'] as const) {
    const { kms, endpoint, last } = await rig(t, { endpoint: { dialect }, provider: { token: 's.wrong' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'ACCESS_DENIED' })
    assert.equal(endpoint.count(), 1)
    assert.equal(last()?.statusCode, 403)
  }
})
