import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeContext } from '../../../src/crypto/canonical.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { bytes, rig, text } from './rig.ts'

const plaintext = bytes('17 ounces')
const encryptionContext = { order: '17', shop: 'é' }
const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64')

/** What another program asks the server. */
async function raw({ address, token }: { address: string; token: string }, path: string, body: object) {
  const headers = { 'x-vault-token': token }
  const response = await fetch(`${address}/v1/transit/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return (await response.json()) as { data?: { ciphertext: string; plaintext: string } }
}

describe('an encryption context', () => {
  test('goes as associated data in the canonical encoding, absent and empty as none', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.encrypt({ key: 'orders', plaintext, encryptionContext })
    await kms.encrypt({ key: 'orders', plaintext, encryptionContext: {} })
    await kms.encrypt({ key: 'orders', plaintext })
    const [, , sealed, empty, absent] = endpoint.requests.filter(({ path }) => path.includes('/encrypt/'))
    assert.equal(sealed?.body['associated_data'], base64(encodeContext(encryptionContext)))
    assert.equal(sealed?.body['context'], undefined)
    for (const none of [empty, absent]) assert.deepEqual(Object.keys(none?.body ?? {}), ['plaintext'])
  })

  test('of a derived key is the context of its derivation too, and must be there', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96', derived: true })
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext, encryptionContext })
    const opened = await kms.decrypt({ key: 'orders', ciphertext, encryptionContext })
    assert.deepEqual(opened.plaintext, plaintext)
    const canonical = base64(encodeContext(encryptionContext))
    assert.deepEqual(
      (
        await raw(endpoint, 'decrypt/orders', {
          ciphertext: text(ciphertext),
          context: canonical,
          associated_data: canonical,
        })
      ).data?.plaintext,
      base64(plaintext),
    )
    await assert.rejects(kms.decrypt({ key: 'orders', ciphertext, encryptionContext: { order: '18' } }), {
      code: 'INVALID_CIPHERTEXT',
    })
    const made = await kms.generateDataKey({ key: 'orders', encryptionContext })
    assert.deepEqual(
      (await kms.decrypt({ key: 'orders', ciphertext: made.ciphertext, encryptionContext })).plaintext,
      made.plaintext,
    )
    const before = endpoint.count()
    for (const refused of [
      kms.encrypt({ key: 'orders', plaintext }),
      kms.decrypt({ key: 'orders', ciphertext, encryptionContext: {} }),
      kms.generateDataKey({ key: 'orders' }),
      kms.reEncrypt({ key: 'orders', ciphertext }),
    ])
      await assert.rejects(refused, { code: 'INVALID_INPUT', message: /derived: it needs an encryption context/ })
    assert.equal(endpoint.count(), before)
    endpoint.add('signer', { type: 'ed25519', derived: true })
    await assert.rejects(kms.sign({ key: 'signer', input: plaintext }), { code: 'INVALID_INPUT', message: /derived/ })
    await assert.rejects(kms.getPublicKey({ key: 'signer' }), { code: 'UNSUPPORTED_OPERATION' })
  })

  test('that a key cannot bind is refused', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('wide', { type: 'rsa-2048' })
    await assert.rejects(kms.encrypt({ key: 'wide', plaintext, encryptionContext }), {
      code: 'INVALID_INPUT',
      message: /rsa-2048 cannot bind/,
    })
    assert.equal(endpoint.count(/encrypt/), 0)
  })
})

describe('raw values', () => {
  test('open what other programs sealed, and are recorded as they are', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('plain', { type: 'aes256-gcm96' })
    endpoint.add('divided', { type: 'aes256-gcm96', derived: true })
    const associated_data = base64(bytes('any bytes'))
    const context = base64(bytes('user-42'))
    const names = { 'vault:context': context, 'vault:associated_data': associated_data }
    for (const [key, sealedWith, encryptionContext] of [
      ['plain', { associated_data }, { 'vault:associated_data': associated_data }],
      ['divided', { context }, { 'vault:context': context }],
      ['divided', { context, associated_data }, names],
    ] as const) {
      const { data } = await raw(endpoint, `encrypt/${key}`, { plaintext: base64(plaintext), ...sealedWith })
      const ciphertext = bytes(data?.ciphertext ?? '')
      assert.deepEqual((await kms.decrypt({ key, ciphertext, encryptionContext })).plaintext, plaintext)
      assert.deepEqual(last()?.encryptionContext, encryptionContext)
      const ours = await kms.encrypt({ key, plaintext, encryptionContext })
      const theirs = await raw(endpoint, `decrypt/${key}`, { ciphertext: text(ours.ciphertext), ...sealedWith })
      assert.equal(theirs.data?.plaintext, base64(plaintext))
    }
  })

  test('of the derivation alone keep a rewrap inside', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('divided', { type: 'aes256-gcm96', derived: true })
    const encryptionContext = { 'vault:context': base64(bytes('user-42')) }
    const { ciphertext } = await kms.encrypt({ key: 'divided', plaintext, encryptionContext })
    const moved = await kms.reEncrypt({ key: 'divided', ciphertext, encryptionContext })
    assert.deepEqual(
      (await kms.decrypt({ key: 'divided', ciphertext: moved.ciphertext, encryptionContext })).plaintext,
      plaintext,
    )
    assert.equal(endpoint.count(/rewrap/), 1)
  })

  test('stand alone, under exactly these names, as canonical base64, where the key can bind them', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('plain', { type: 'aes256-gcm96' })
    endpoint.add('divided', { type: 'aes256-gcm96', derived: true })
    for (const [key, encryptionContext, message] of [
      [
        'plain',
        { 'vault:associated_data': 'AAAA', order: '17' },
        /may hold vault:context and vault:associated_data only/,
      ],
      ['plain', { 'vault:nonce': 'AAAA' }, /may hold/],
      ['plain', { 'vault:Context': 'AAAA' }, /may hold/],
      ['plain', { 'vault:associated_data': '' }, /must be base64/],
      ['plain', { 'vault:associated_data': 'AAA' }, /must be base64/],
      ['plain', { 'vault:associated_data': 'AB==' }, /must be base64/],
      ['plain', { 'vault:associated_data': 'any bytes' }, /must be base64/],
      ['plain', { 'vault:context': 'AAAA' }, /not derived: 'vault:context' would not be bound/],
      ['divided', { 'vault:associated_data': 'AAAA' }, /derived: it needs 'vault:context'/],
    ] as const)
      await assert.rejects(kms.encrypt({ key, plaintext, encryptionContext }), { code: 'INVALID_INPUT', message })
    assert.equal(endpoint.count(/encrypt/), 0)
  })
})

describe('a server that ignores associated data', () => {
  test('is found out before anything is sealed without its context', async (t) => {
    const { kms, endpoint, last } = await rig(t, { endpoint: { dialect: 'vault-1.8' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    for (let time = 0; time < 2; time++)
      await assert.rejects(kms.encrypt({ key: 'orders', plaintext, encryptionContext }), {
        code: 'UNSUPPORTED_OPERATION',
        message: /ignores associated data/,
      })
    assert.equal(last()?.provider?.attempts, 1)
    assert.ok(!JSON.stringify(endpoint.requests).includes(base64(plaintext)), 'the plaintext stays here')
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
    await assert.rejects(kms.decrypt({ key: 'orders', ciphertext, encryptionContext }), {
      code: 'UNSUPPORTED_OPERATION',
    })
    assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext })).plaintext, plaintext)
    await assert.rejects(kms.generateDataKey({ key: 'orders', encryptionContext }), { code: 'UNSUPPORTED_OPERATION' })
  })

  test('in batches alone is found out too', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.engine.deafBatches = true
    const inputs = [1, 2].map(() => ({ key: 'orders', plaintext, encryptionContext }))
    for (const one of await kms.encryptMany(inputs)) assert.ok(!one.ok && one.error.code === 'UNSUPPORTED_OPERATION')
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext, encryptionContext }), {
      code: 'UNSUPPORTED_OPERATION',
    })
    assert.ok(!JSON.stringify(endpoint.requests).includes(base64(plaintext)))
  })

  test('is asked about once, by however many calls, and by a reader who may only decrypt', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const inputs = Array.from({ length: 20 }, () => ({ key: 'orders', plaintext, encryptionContext }))
    const sealed = await kms.encryptMany(inputs)
    assert.ok(sealed.every(({ ok }) => ok))
    assert.equal(endpoint.count(/encrypt/), 3, 'the check, alone and as a batch, and one batch')
    const old = await rig(t, { endpoint: { dialect: 'vault-1.8' } })
    old.endpoint.add('orders', { type: 'aes256-gcm96' })
    const refused = await old.kms.encryptMany(inputs)
    assert.ok(refused.every((one) => !one.ok && one.error.code === 'UNSUPPORTED_OPERATION'))
    assert.equal(old.endpoint.count(/encrypt/), 1)
    const reader = await rig(t, { provider: { address: endpoint.address } })
    endpoint.denied.push(/encrypt/)
    const [first] = sealed
    assert.ok(first?.ok)
    for (let time = 0; time < 3; time++)
      assert.deepEqual(
        (await reader.kms.decrypt({ key: 'orders', ciphertext: first.ciphertext, encryptionContext })).plaintext,
        plaintext,
      )
    assert.equal(endpoint.count(/decrypt/), 5)
  })

  test('is not cleared by a ciphertext that tells nothing, nor by a server that is down', async (t) => {
    const { kms, endpoint, last } = await rig(t, { provider: { retries: 0 } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const none = bytes(`vault:v9:${base64(new Uint8Array(40))}`)
    await assert.rejects(kms.decrypt({ key: 'orders', ciphertext: none, encryptionContext }), {
      code: 'INVALID_CIPHERTEXT',
    })
    assert.equal(last()?.details?.decryptFailure, 'unknown_version')
    for (const answer of [400, 500, 503]) {
      endpoint.fail(/encrypt/, { answer, body: '{"errors":["storage is gone"]}' })
      await assert.rejects(kms.encrypt({ key: 'orders', plaintext, encryptionContext }), KmsError)
    }
    assert.equal(endpoint.count(/encrypt/), 3, 'each was the question again')
    await kms.encrypt({ key: 'orders', plaintext, encryptionContext })
    assert.equal(endpoint.count(/encrypt/), 6)
    const fresh = await rig(t)
    fresh.endpoint.add('orders', { type: 'aes256-gcm96' })
    const opened = await fresh.kms.decryptMany(
      [none, none, none].map((ciphertext) => ({ key: 'orders', ciphertext, encryptionContext })),
    )
    assert.ok(opened.every((one) => !one.ok && one.error.code === 'INVALID_CIPHERTEXT'))
  })
})
