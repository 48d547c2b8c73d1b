import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Settled } from '../../../src/client.ts'
import { asked, bytes, rig, seen, text } from './rig.ts'

const many = (count: number, key = 'orders') =>
  Array.from({ length: count }, (_, at) => ({ key, plaintext: bytes(`plaintext ${at}`) }))

function ciphertexts(settled: readonly Settled<'encrypt'>[]): readonly Uint8Array[] {
  return settled.map((one) => {
    assert.ok(one.ok)
    return one.ciphertext
  })
}

describe('calls that begin together', () => {
  test('are one request: a hundred encrypts, a hundred decrypts, an entry each with the same request', async (t) => {
    const { kms, endpoint, results } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const sealed = ciphertexts(await kms.encryptMany(many(100)))
    assert.deepEqual(asked(endpoint), ['GET keys/orders', 'POST encrypt/orders'])
    const opened = await kms.decryptMany(sealed.map((ciphertext) => ({ key: 'orders', ciphertext })))
    assert.deepEqual(
      opened.map((one) => one.ok && text(one.plaintext)),
      many(100).map(({ plaintext }) => text(plaintext)),
    )
    assert.equal(endpoint.count(), 3)
    const entries = results()
    assert.equal(entries.length, 200)
    assert.equal(new Set(entries.map(({ eventID }) => eventID)).size, 200)
    assert.deepEqual([...new Set(entries.map(({ provider }) => provider?.requestId))], endpoint.requestIds.slice(-2))
    assert.ok(entries.every(({ provider, keyVersion }) => provider?.attempts === 1 && keyVersion === 1))
  })

  test('one alone stays a plain request', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.encryptMany(many(1))
    assert.deepEqual(Object.keys(endpoint.requests.at(-1)?.body ?? {}), ['plaintext'])
  })

  test('are kept apart by key and kind', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.add('archive', { type: 'aes256-gcm96' })
    const settled = await kms.encryptMany([...many(3), ...many(3, 'archive')])
    assert.ok(settled.every(({ ok }) => ok))
    assert.deepEqual(asked(endpoint, /POST/).toSorted(), ['POST encrypt/archive', 'POST encrypt/orders'])
  })

  test('are at most 256, and about a mebibyte, a request', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    ciphertexts(await kms.encryptMany(many(600)))
    assert.equal(endpoint.count(/encrypt/), 3)
    const large = Array.from({ length: 40 }, () => ({ key: 'orders', plaintext: new Uint8Array(60_000) }))
    ciphertexts(await kms.encryptMany(large))
    assert.equal(endpoint.count(/encrypt/), 3 + 4)
  })
})

for (const dialect of ['openbao', 'vault-1.8'] as const)
  describe(`one that fails in a batch of ${dialect}`, () => {
    test('a tampered ciphertext fails alone, with its own evidence', async (t) => {
      const { kms, endpoint, results } = await rig(t, { endpoint: { dialect } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      const sealed = [...ciphertexts(await kms.encryptMany(many(20)))]
      sealed[7] = bytes(`vault:v1:${Buffer.alloc(50).toString('base64')}`)
      sealed[11] = bytes(`vault:v5:${Buffer.alloc(50).toString('base64')}`)
      sealed[13] = bytes('nope')
      const opened = await kms.decryptMany(sealed.map((ciphertext) => ({ key: 'orders', ciphertext })))
      for (const [at, one] of opened.entries()) {
        if (one.ok) assert.equal(text(one.plaintext), `plaintext ${at}`)
        else assert.equal(one.error.message, 'ciphertext does not open with this key and encryption context')
      }
      assert.deepEqual(
        opened.flatMap(({ ok }, at) => (ok ? [] : [at])),
        [7, 11, 13],
      )
      const failures = results().filter(({ outcome }) => outcome === 'failure')
      assert.deepEqual(failures.map(({ details }) => details?.decryptFailure).toSorted(), [
        'authentication_failed',
        'malformed',
        'unknown_version',
      ])
      // The newer server tells each item's outcome at once; the older one is asked again, by halves.
      if (dialect === 'openbao') assert.equal(endpoint.count(/decrypt/), 1)
      else
        assert.ok(endpoint.count(/decrypt/) > 1 && endpoint.count(/decrypt/) <= 12, String(endpoint.count(/decrypt/)))
    })

    test('all of them', async (t) => {
      const { kms, endpoint } = await rig(t, { endpoint: { dialect } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      const ciphertext = bytes(`vault:v1:${Buffer.alloc(50).toString('base64')}`)
      const opened = await kms.decryptMany(Array.from({ length: 5 }, () => ({ key: 'orders', ciphertext })))
      assert.ok(opened.every((one) => !one.ok && one.error.code === 'INVALID_CIPHERTEXT'))
    })

    test('of RSA, where the failure is an error of the server', async (t) => {
      const { kms, endpoint } = await rig(t, { endpoint: { dialect } })
      endpoint.add('wide', { type: 'rsa-2048' })
      const sealed = [...ciphertexts(await kms.encryptMany(many(4, 'wide')))]
      sealed[2] = bytes(`vault:v1:${Buffer.alloc(256, 1).toString('base64')}`)
      const opened = await kms.decryptMany(sealed.map((ciphertext) => ({ key: 'wide', ciphertext })))
      assert.deepEqual(
        opened.map((one) => (one.ok ? 'ok' : one.error.code)),
        ['ok', 'ok', 'INVALID_CIPHERTEXT', 'ok'],
      )
    })
  })

describe('a batch as a whole', () => {
  test('a caller who goes away does not take the others along', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    endpoint.fail(/encrypt/, { slowMs: 300 })
    const gone = new AbortController()
    const calls = many(3).map((input, at) => kms.encrypt(input, at === 1 ? { signal: gone.signal } : {}))
    await seen(endpoint, /encrypt/)
    gone.abort()
    const settled = await Promise.allSettled(calls)
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.equal(endpoint.count(/encrypt/), 1)
  })

  test('ends when the last caller has gone', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.fail(/encrypt/, { slowMs: 5_000 })
    const begun = Date.now()
    const settled = await Promise.allSettled(many(3).map((input) => kms.encrypt(input, { deadlineMs: 100 })))
    assert.ok(settled.every((one) => one.status === 'rejected' && one.reason.code === 'DEADLINE_EXCEEDED'))
    assert.ok(Date.now() - begun < 2_000)
  })

  test('that never arrives fails every call, after the retries', async (t) => {
    const { kms, endpoint, results } = await rig(t, { provider: { retries: 1 } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.fail(/encrypt/, { cut: 'before' }, 2)
    const settled = await kms.encryptMany(many(5))
    assert.ok(settled.every((one) => !one.ok && one.error.code === 'PROVIDER_UNAVAILABLE'))
    assert.equal(endpoint.count(/encrypt/), 2)
    assert.ok(results().every(({ provider }) => provider?.attempts === 2))
  })

  for (const [what, rewrite] of Object.entries<(body: string) => string>({
    'fewer results': (body) => body.replace(/\{"ciphertext":[^}]*\},/, ''),
    'no results': (body) => body.replace('batch_results', 'others'),
    'results that are no list': (body) => body.replace(/"batch_results":\[.*?\]/, '"batch_results":{}'),
    'a result that is a number': (body) => body.replace(/\{"ciphertext":[^}]*\}/, '7'),
    'an error that is no text': (body) => body.replace(/\{"ciphertext":[^}]*\}/, '{"error":7}'),
    'a result without ciphertext': (body) => body.replace(/\{"ciphertext":[^}]*\}/, '{"key_version":1}'),
  }))
    test(`with ${what} is no answer`, async (t) => {
      const { kms, endpoint } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/encrypt/, { rewrite })
      const settled = await kms.encryptMany(many(3))
      const failed = settled.filter((one) => !one.ok && one.error.code === 'PROVIDER_UNAVAILABLE')
      assert.ok(failed.length >= 1, JSON.stringify(settled))
      const ofOne = what.startsWith('a')
      assert.equal(failed.length, ofOne ? 1 : 3)
    })

  test('an item whose failure is not known by its words is asked alone, so that a fault stays one', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const sealed = ciphertexts(await kms.encryptMany(many(3)))
    const rewrite = (body: string) => body.replace(/\{"plaintext":[^}]*\}/, '{"error":"storage is gone"}')
    endpoint.fail(/decrypt/, { rewrite, status: 400 })
    endpoint.fail(/decrypt/, { answer: 500, body: '{"errors":["1 error occurred:\\n\\t* storage is gone\\n\\n"]}' })
    const opened = await kms.decryptMany(sealed.map((ciphertext) => ({ key: 'orders', ciphertext })))
    assert.deepEqual(
      opened.map((one) => (one.ok ? 'ok' : one.error.code)),
      ['PROVIDER_UNAVAILABLE', 'ok', 'ok'],
    )
    assert.equal(endpoint.count(/decrypt/), 2)
  })
})
