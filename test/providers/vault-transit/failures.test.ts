import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { KmsError } from '../../../src/model/errors.ts'
import { vaultTransit } from '../../../src/providers/vault-transit/index.ts'
import { type Fault, sealed } from './endpoint.ts'
import { bytes, rig, seen, text } from './rig.ts'

const plaintext = bytes('the secret of the house')
const unavailable = { code: 'PROVIDER_UNAVAILABLE' }

describe('options', () => {
  test('an address that would send the token in the clear, or holds more than an address, is refused', () => {
    const token = 's.secret-token'
    for (const address of [
      'http://vault.example:8200',
      'ftp://vault.example',
      'https://user:s.secret-token@vault.example',
      'https://vault.example/?token=s.secret-token',
      'https://vault.example/#x',
      'vault.example',
      '',
    ])
      assert.throws(
        () => vaultTransit({ address, token }),
        (error: unknown) =>
          error instanceof KmsError && error.code === 'INVALID_INPUT' && !inspect(error).includes('s.secret'),
      )
    for (const address of [
      'https://vault.example:8200/',
      'http://127.0.0.1:8200',
      'http://localhost:8200',
      'http://[::1]:8200',
    ])
      assert.equal(vaultTransit({ address, token }).name, 'vault-transit')
    assert.equal(
      vaultTransit({ address: 'http://vault.example:8200', token, allowInsecure: true }).name,
      'vault-transit',
    )
  })

  test('each other option is checked, and no refusal quotes a token', () => {
    const address = 'https://vault.example'
    const good = { address, token: 's.x' }
    for (const wrong of [
      { ...good, token: 's.secret\nX-Evil: 1' },
      { ...good, token: '' },
      { ...good, token: 's.secret token' },
      { ...good, token: 7 },
      { ...good, mount: '../sys' },
      { ...good, mount: 'a//b' },
      { ...good, mount: '' },
      { ...good, mount: 'a?b' },
      { ...good, namespace: 'a\r\nb' },
      { ...good, namespace: '..' },
      { ...good, resolveTtlMs: -1 },
      { ...good, requestTimeoutMs: 0 },
      { ...good, retries: 1.5 },
      { ...good, fetch: 'fetch' },
      { ...good, name: '' },
      undefined,
    ])
      assert.throws(
        // Options of the wrong type are what is tested.
        () => vaultTransit(wrong as never),
        (error: unknown) =>
          error instanceof KmsError && error.code === 'INVALID_INPUT' && !inspect(error).includes('s.secret'),
      )
  })
})

describe('every request', () => {
  test('carries token, namespace and the mark of a request; the namespace stands in the identity', async (t) => {
    const { kms, endpoint } = await rig(t, { endpoint: { namespace: 'team/a' }, provider: { namespace: '/team/a/' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const { key } = await kms.encrypt({ key: 'orders', plaintext })
    assert.equal(key.identity, 'team/a/transit/orders')
    assert.equal((await kms.describeKey({ key: 'team/a/transit/orders' })).key.slug, 'orders')
    for (const { headers } of endpoint.requests) {
      assert.equal(headers['x-vault-request'], 'true')
      assert.equal(headers['x-vault-namespace'], 'team/a')
      assert.equal(headers['x-vault-token'], 's.root')
    }
  })

  test('to another namespace or mount finds nothing', async (t) => {
    const { kms, endpoint } = await rig(t, { endpoint: { namespace: 'team' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), { code: 'KEY_NOT_FOUND' })
    const other = await rig(t, { endpoint: { mount: 'kms/eu' }, provider: { mount: 'kms/eu' } })
    other.endpoint.add('orders', { type: 'aes256-gcm96' })
    assert.equal((await other.kms.encrypt({ key: 'orders', plaintext })).key.identity, 'kms/eu/orders')
  })

  test('is not made any more once the provider is closed', async (t) => {
    const { provider, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await provider.close?.()
    await assert.rejects(async () => provider.resolve?.('orders', {}), { code: 'CLOSED' })
    assert.equal(endpoint.count(), 0)
  })
})

const words = (...errors: readonly string[]) => JSON.stringify({ errors })
const listed = (error: string) => `1 error occurred:\n\t* ${error}\n\n`

describe('an answer that is no success', () => {
  const cases: readonly [string, Fault, string][] = [
    ['403', { answer: 403, body: words(listed('permission denied')) }, 'ACCESS_DENIED'],
    [
      '429',
      { answer: 429, body: words('request path "transit/encrypt/orders": rate limit quota exceeded') },
      'THROTTLED',
    ],
    ['sealed', sealed, 'PROVIDER_UNAVAILABLE'],
    ['standby', { answer: 473, body: '{}' }, 'PROVIDER_UNAVAILABLE'],
    [
      'a redirect',
      { answer: 307, headers: { location: 'http://127.0.0.1:1/v1/transit/encrypt/orders' } },
      'PROVIDER_UNAVAILABLE',
    ],
    ['a server fault', { answer: 500, body: words(listed('storage is gone')) }, 'PROVIDER_UNAVAILABLE'],
    ['a gateway', { answer: 502, body: '<html>bad gateway</html>' }, 'PROVIDER_UNAVAILABLE'],
    ['not Vault at all', { answer: 404, body: '<html>not found</html>' }, 'PROVIDER_UNAVAILABLE'],
    ['too large', { answer: 413, body: words('http: request body too large') }, 'INVALID_INPUT'],
    ['unsupported', { answer: 405, body: words(listed('unsupported operation')) }, 'UNSUPPORTED_OPERATION'],
    ['refused', { answer: 400, body: words('something about secret things') }, 'INVALID_INPUT'],
    ['gone', { answer: 400, body: words('encryption key not found') }, 'KEY_NOT_FOUND'],
  ]
  for (const [what, fault, code] of cases)
    test(`${what} is ${code}, with its entry, and without the server's words`, async (t) => {
      const { kms, endpoint, last } = await rig(t, { provider: { retries: 0 } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/encrypt/, fault)
      const error = await kms.encrypt({ key: 'orders', plaintext }).catch((thrown: unknown) => thrown)
      assert.ok(error instanceof KmsError)
      assert.equal(error.code, code)
      assert.doesNotMatch(error.message, /secret things|storage|quota/)
      assert.equal(last()?.error, code)
      assert.equal(last()?.provider?.attempts, 1)
      assert.equal(last()?.provider?.requestId, undefined, 'Vault names no request that failed')
    })
})

test('a redirect is not followed: the token goes where it was meant to go', async (t) => {
  const { kms, endpoint } = await rig(t)
  const elsewhere = await rig(t)
  for (const { endpoint: one } of [{ endpoint }, elsewhere]) one.add('orders', { type: 'aes256-gcm96' })
  const location = `${elsewhere.endpoint.address}/v1/transit/encrypt/orders`
  endpoint.fail(/encrypt/, { answer: 307, headers: { location } })
  await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), {
    code: 'PROVIDER_UNAVAILABLE',
    message: /redirected \(307\)/,
  })
  assert.equal(elsewhere.endpoint.count(), 0)
})

describe('a decrypt that fails', () => {
  for (const [what, status, error, decryptFailure] of [
    ['a 500 of Vault 1.8', 500, listed('cipher: message authentication failed'), 'authentication_failed'],
    ['a 400 of OpenBao', 400, 'cipher: message authentication failed', 'authentication_failed'],
    ['a 500 of ChaCha20', 500, listed('chacha20poly1305: message authentication failed'), 'authentication_failed'],
    ['too old', 400, 'ciphertext or signature version is disallowed by policy (too old)', 'version_below_minimum'],
    ['too new', 400, 'invalid ciphertext: version is too new', 'unknown_version'],
    ['too short', 400, 'invalid ciphertext length', 'malformed'],
    ['RSA', 500, listed('failed to RSA decrypt the ciphertext: crypto/rsa: decryption error'), undefined],
    ['words of a later version', 400, 'the ciphertext could not be opened', undefined],
  ] as const)
    test(`with ${what} is INVALID_CIPHERTEXT, and claims no more than was told`, async (t) => {
      const { kms, endpoint, last } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/decrypt/, { answer: status, body: words(error) })
      const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
      const thrown = await kms.decrypt({ key: 'orders', ciphertext }).catch((caught: unknown) => caught)
      assert.ok(thrown instanceof KmsError)
      assert.equal(thrown.code, 'INVALID_CIPHERTEXT')
      assert.equal(thrown.message, 'ciphertext does not open with this key and encryption context')
      assert.equal(last()?.details?.decryptFailure, decryptFailure)
      assert.equal(endpoint.count(/decrypt/), 1)
    })

  for (const [what, body] of [
    ['storage that cannot be read', words(listed('decryption failed: cipher: message authentication failed'))],
    ['two errors', words('cipher: message authentication failed', 'storage is gone')],
    ['a list of two', words('2 errors occurred:\n\t* cipher: message authentication failed\n\t* storage is gone\n\n')],
    ['no words', '{"errors":[]}'],
    ['no JSON', 'cipher: message authentication failed'],
  ] as const)
    test(`with a 500 of ${what} is a fault of the service`, async (t) => {
      const { kms, endpoint, last } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96' })
      const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
      endpoint.fail(/decrypt/, { answer: 500, body })
      await assert.rejects(kms.decrypt({ key: 'orders', ciphertext }), unavailable)
      assert.equal(last()?.details?.decryptFailure, undefined)
    })
})

describe('what passes', () => {
  for (const [what, fault] of Object.entries<Fault>({
    throttled: { answer: 429, headers: { 'retry-after': '0' }, body: words('quota') },
    sealed,
    'cut off': { cut: 'before' },
    'cut off after it acted': { cut: 'after' },
  }))
    test(`a request that was ${what} is repeated, and the entry tells the attempts`, async (t) => {
      const { kms, endpoint, last } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/encrypt/, fault, 2)
      await kms.encrypt({ key: 'orders', plaintext })
      assert.equal(endpoint.count(/encrypt/), 3)
      assert.equal(last()?.provider?.attempts, 3)
      assert.equal(last()?.outcome, 'success')
      assert.equal(last()?.provider?.requestId, endpoint.requestIds.at(-1))
    })

  test('is not waited for when the service asks for more patience than a call has', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.fail(/encrypt/, { answer: 429, headers: { 'retry-after': '30' }, body: words('quota') })
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), {
      code: 'THROTTLED',
      retryable: true,
      message: /again in 30 s/,
    })
    assert.equal(endpoint.count(/encrypt/), 1)
  })

  test('nobody there is PROVIDER_UNAVAILABLE, and of a change nothing is open', async (t) => {
    const { kms, endpoint, results } = await rig(t, { provider: { retries: 1 } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    await endpoint.close()
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), unavailable)
    await assert.rejects(kms.rotate({ key: 'orders' }), unavailable)
    assert.equal(results().at(-1)?.outcome, 'failure')
    t.mock.method(endpoint, 'close', async () => {})
  })
})

describe('a slow answer', () => {
  test('ends at the deadline, and its request with it', async (t) => {
    const { kms, endpoint, results } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    endpoint.fail(/encrypt/, { slowMs: 3_000 })
    const begun = Date.now()
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }, { deadlineMs: 400 }), { code: 'DEADLINE_EXCEEDED' })
    assert.ok(Date.now() - begun < 2_000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.equal(endpoint.count(/encrypt/), 1, 'no retry after the deadline')
    assert.equal(results().at(-1)?.error, 'DEADLINE_EXCEEDED')
  })

  test('ends when the caller aborts, also while it waits to try again', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.fail(/encrypt/, { answer: 429, headers: { 'retry-after': '2' }, body: words('quota') }, 9)
    const stop = new AbortController()
    const call = kms.encrypt({ key: 'orders', plaintext }, { signal: stop.signal })
    await seen(endpoint, /encrypt/)
    stop.abort()
    await assert.rejects(call, { code: 'ABORTED' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(endpoint.count(/encrypt/), 1)
  })

  test('beyond requestTimeoutMs is tried again', async (t) => {
    const { kms, endpoint, last } = await rig(t, { provider: { requestTimeoutMs: 400 } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    endpoint.fail(/encrypt/, { slowMs: 2_000 })
    await kms.encrypt({ key: 'orders', plaintext })
    assert.equal(last()?.provider?.attempts, 2)
    endpoint.fail(/encrypt/, { slowMs: 2_000 }, 3)
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), {
      code: 'PROVIDER_UNAVAILABLE',
      message: /requestTimeoutMs/,
    })
  })

  test('really closes the connection at an abort', async (t) => {
    let closed = false
    const server = createServer((request) => {
      request.socket.on('close', () => {
        closed = true
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const { kms } = await rig(t, { provider: { address: `http://127.0.0.1:${port}` } })
    await assert.rejects(kms.listKeys({}, { deadlineMs: 50 }), { code: 'DEADLINE_EXCEEDED' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(closed, true)
  })
})

describe('a change whose answer is lost', () => {
  const lost: Readonly<Record<string, Fault>> = {
    'cut after it acted': { cut: 'after' },
    'cut before it acted': { cut: 'before' },
    'a gateway’s 504': { answer: 504, body: '<html></html>' },
    'a gateway’s 503': { answer: 503, body: 'upstream connect error' },
    'a gateway’s 503 in JSON': { answer: 503, body: words('upstream is gone') },
    'a server fault': { answer: 500, body: words(listed('storage is gone')) },
    'a slow one': { slowMs: 2_000 },
  }
  for (const [what, fault] of Object.entries(lost))
    test(`(${what}) is sent once, is OUTCOME_UNAUDITED, and its intent stays open`, async (t) => {
      const { kms, endpoint, sink } = await rig(t, { provider: { requestTimeoutMs: 400 } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/rotate/, fault)
      await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'OUTCOME_UNAUDITED' })
      assert.equal(endpoint.count(/rotate/), 1)
      const open = sink.entries.filter(({ action }) => action === 'kms.rotate')
      assert.deepEqual(
        open.map(({ phase }) => phase),
        ['intent'],
      )
    })

  for (const [what, fault] of Object.entries<Fault>({
    sealed,
    throttled: { answer: 429, headers: { 'retry-after': '0' }, body: words('quota') },
  }))
    test(`but ${what}, which does nothing, is tried again`, async (t) => {
      const { kms, endpoint } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/rotate/, fault)
      assert.equal((await kms.rotate({ key: 'orders' })).keyVersion, 2)
      assert.equal(endpoint.policy('orders').latest, 2)
      endpoint.fail(/rotate/, fault, 9)
      await assert.rejects(kms.rotate({ key: 'orders' }), KmsError)
      assert.equal(endpoint.policy('orders').latest, 2)
    })

  test('at the deadline: told at once, and the intent stays open', async (t) => {
    const { kms, endpoint, sink } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    endpoint.fail(/rotate/, { slowMs: 3_000 })
    await assert.rejects(kms.rotate({ key: 'orders' }, { deadlineMs: 500 }), { code: 'DEADLINE_EXCEEDED' })
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepEqual(
      sink.entries.filter(({ action }) => action === 'kms.rotate').map(({ phase }) => phase),
      ['intent'],
    )
  })

  test('a change that was made, but whose key cannot be read after it, is open too', async (t) => {
    const { kms, endpoint } = await rig(t, { endpoint: { dialect: 'vault-1.8' }, provider: { retries: 0 } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.fail(/rotate/, { before: () => endpoint.fail(/GET/, sealed) })
    await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'OUTCOME_UNAUDITED' })
  })

  test('an export that is cut off is a failure, not open: it changes nothing', async (t) => {
    const { kms, endpoint, last } = await rig(t, { provider: { retries: 1 } })
    endpoint.add('mine', { type: 'aes256-gcm96', exportable: true })
    endpoint.fail(/export/, { cut: 'after' }, 2)
    await assert.rejects(kms.export({ key: 'mine' }), unavailable)
    assert.equal(last()?.outcome, 'failure')
    endpoint.fail(/export/, { cut: 'after' })
    assert.equal((await kms.export({ key: 'mine' })).keyMaterial.length, 32)
  })
})

describe('a malformed answer', () => {
  const data = (fields: object) => () => JSON.stringify({ request_id: 'x', data: fields })
  const shapes: Readonly<Record<string, (body: string) => string>> = {
    'no JSON': () => 'ciphertext',
    'half an answer': (body) => body.slice(0, 60),
    nothing: () => '',
    'not UTF-8': () => '\ud800',
    null: () => 'null',
    'a list': () => '[]',
    'another service': () => '{"ok":true}',
    'no data': () => '{"request_id":"x","data":null}',
    'data that is text': () => '{"request_id":"x","data":"vault:v1:AAAA"}',
    'an empty object': data({}),
    'a number for the text': data({ ciphertext: 7, plaintext: 7, signature: 7, hmac: 7, valid: 1, keys: 7 }),
    'text that is none of transit': data({
      ciphertext: 'AAAA',
      plaintext: '!!',
      signature: 'AAAA',
      hmac: 'AAAA',
      valid: 'true',
      keys: 'x',
    }),
    'a version that is none': data({
      ciphertext: 'vault:v0:AAAA',
      plaintext: 'AB==',
      signature: 'vault:v01:AAAA',
      hmac: 'vault:vx:AAAA',
      valid: null,
    }),
    'lengths that are none': data({
      ciphertext: 'vault:v1:',
      plaintext: 'AAA',
      signature: 'vault:v1:AAAA',
      hmac: 'vault:v1:AAAA',
      valid: [],
    }),
    'two versions': data({
      ciphertext: 'vault:v1:AAAA',
      key_version: 2,
      plaintext: 7,
      signature: 'vault:v1:AAAA',
      hmac: 'vault:v2:',
      valid: {},
    }),
  }
  for (const [what, rewrite] of Object.entries(shapes))
    test(`(${what}) is PROVIDER_UNAVAILABLE for every operation, never a TypeError, never believed`, async (t) => {
      const { kms, endpoint, results } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96', exportable: true })
      endpoint.add('releases', { type: 'ecdsa-p256' })
      const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
      const { signature } = await kms.sign({ key: 'releases', input: plaintext })
      const { hmac } = await kms.hmac({ key: 'orders', input: plaintext })
      const before = results().length
      endpoint.fail(/encrypt|decrypt|rewrap|datakey|sign|hmac|verify|export|list=true/, { rewrite }, 99)
      const calls = {
        encrypt: kms.encrypt({ key: 'orders', plaintext }),
        decrypt: kms.decrypt({ key: 'orders', ciphertext }),
        reEncrypt: kms.reEncrypt({ key: 'orders', ciphertext }),
        generateDataKey: kms.generateDataKey({ key: 'orders' }),
        sign: kms.sign({ key: 'releases', input: plaintext }),
        verify: kms.verify({ key: 'releases', input: plaintext, signature }),
        hmac: kms.hmac({ key: 'orders', input: plaintext }),
        verifyHmac: kms.verifyHmac({ key: 'orders', input: plaintext, hmac }),
        export: kms.export({ key: 'orders' }),
        listKeys: kms.listKeys(),
      }
      const settled = await Promise.allSettled(Object.values<Promise<unknown>>(calls))
      const codes = settled.map((one) => (one.status === 'rejected' ? one.reason.code : 'fulfilled'))
      const expected = Object.keys(calls).map((operation) => [operation, 'PROVIDER_UNAVAILABLE'])
      assert.deepEqual(
        Object.keys(calls).map((operation, at) => [operation, codes[at]]),
        expected,
      )
      assert.equal(results().length, before + 10)
    })

  const good = {
    name: 'orders',
    type: 'aes256-gcm96',
    latest_version: 1,
    derived: false,
    exportable: false,
    keys: { 1: 1795334031 },
  }
  for (const [what, fields] of Object.entries<object>({
    'another name': { ...good, name: 'other' },
    'no type': { ...good, type: undefined },
    'a type that is a sentence': { ...good, type: 'a b' },
    'no latest version': { ...good, latest_version: '1' },
    'version 0': { ...good, latest_version: 0 },
    'derived, as text': { ...good, derived: 'false' },
    'no exportable': { ...good, exportable: undefined },
    'no versions': { ...good, keys: {} },
    'versions that are a list': { ...good, keys: [1] },
    'a version called zero': { ...good, keys: { '00': 1 } },
    'a time that is none': { ...good, keys: { 1: 'yesterday' } },
    'a time beyond all calendars': { ...good, keys: { 1: 1e300 } },
    'a least version that is text': { ...good, min_decryption_version: '1' },
  }))
    test(`a key described with ${what} is not believed`, async (t) => {
      const { kms, endpoint } = await rig(t)
      endpoint.add('orders', { type: 'aes256-gcm96' })
      endpoint.fail(/GET/, { rewrite: data(fields) }, 9)
      await assert.rejects(kms.encrypt({ key: 'orders', plaintext }), unavailable)
      await assert.rejects(kms.describeKey({ key: 'orders' }), unavailable)
    })

  test('a public key of another type is not believed', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('releases', { type: 'ecdsa-p256' })
    for (const [from, to] of [
      [/"type":"ecdsa-p256"/, '"type":"ecdsa-p384"'],
      [/"type":"ecdsa-p256"/, '"type":"rsa-2048"'],
      [/"type":"ecdsa-p256"/, '"type":"ed25519"'],
      [/-----BEGIN PUBLIC KEY/, '-----BEGIN KEY'],
    ] as const) {
      await kms.describeKey({ key: 'releases' })
      endpoint.fail(/GET/, { rewrite: (body) => body.replace(from, to) })
      await assert.rejects(kms.getPublicKey({ key: 'releases' }), unavailable)
    }
  })

  test('an exported key of another type, or of two versions, is not believed', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('mine', { type: 'ecdsa-p256', exportable: true })
    endpoint.add('other', { type: 'ecdsa-p384', exportable: true })
    const other = await fetch(`${endpoint.address}/v1/transit/export/signing-key/other/latest`, {
      headers: { 'x-vault-token': 's.root' },
    })
    const theirs = (await other.json()) as { data: { keys: Record<string, string> } }
    for (const rewrite of [
      data({ ...theirs.data, type: 'ecdsa-p256' }),
      data({ type: 'ecdsa-p384', keys: theirs.data.keys }),
      data({ type: 'ecdsa-p256', keys: { 1: 'x', 2: 'y' } }),
      data({ type: 'ecdsa-p256', keys: { 7: 7 } }),
      data({ type: 'ecdsa-p256', keys: {} }),
    ]) {
      endpoint.fail(/export/, { rewrite })
      await assert.rejects(kms.export({ key: 'mine' }), unavailable)
    }
    endpoint.fail(/export/, { rewrite: data({ type: 'ecdsa-p256', keys: { 1: '' } }) })
    await assert.rejects(kms.export({ key: 'mine' }), { code: 'EXPORT_NOT_ALLOWED' })
  })
})

test('neither token nor plaintext nor key material stands in an entry, an error, or what an inspection shows', async (t) => {
  const token = 's.the-token-itself'
  const { kms, endpoint, provider, sink } = await rig(t, { provider: { token, retries: 0 } })
  endpoint.tokens.add(token)
  endpoint.add('orders', { type: 'aes256-gcm96', exportable: true })
  const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext, encryptionContext: { order: '17' } })
  await kms.decrypt({ key: 'orders', ciphertext, encryptionContext: { order: '17' } })
  const { keyMaterial } = await kms.export({ key: 'orders' })
  const echo: Fault = { rewrite: (body) => `${body}${text(plaintext)} ${token}` }
  const errors: unknown[] = []
  for (const fault of [
    echo,
    { cut: 'after' as const },
    { answer: 400, body: words(`${text(plaintext)} ${token}`) },
    { answer: 500, body: words(listed(`${text(plaintext)} ${token}`)) },
    { answer: 403, body: words(token) },
  ]) {
    endpoint.fail(/decrypt|encrypt/, fault, 2)
    errors.push(await kms.decrypt({ key: 'orders', ciphertext }).catch((error: unknown) => error))
    errors.push(await kms.encrypt({ key: 'orders', plaintext }).catch((error: unknown) => error))
  }
  const shown = [
    inspect(errors, { depth: 20, showHidden: true }),
    ...errors.map((error) => (error instanceof Error ? `${error.stack} ${inspect(error.cause)}` : '')),
    JSON.stringify(sink.entries),
    inspect(provider, { depth: 20, showHidden: true }),
    inspect(kms, { depth: 20, showHidden: true }),
  ].join('\n')
  const secrets = [
    token,
    text(plaintext),
    Buffer.from(plaintext).toString('base64'),
    Buffer.from(keyMaterial).toString('base64'),
  ]
  for (const secret of secrets) assert.ok(!shown.includes(secret), secret)
  assert.ok(errors.every((error) => error instanceof KmsError))
})
