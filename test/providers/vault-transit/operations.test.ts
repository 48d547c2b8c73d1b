import assert from 'node:assert/strict'
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  verify,
} from 'node:crypto'
import { describe, test } from 'node:test'
import { memoryKms } from '../../../src/providers/memory.ts'
import { vaultTransit } from '../../../src/providers/vault-transit/index.ts'
import { providerConformance } from '../../../src/testing/provider-conformance.ts'
import { summary } from '../../../src/testing/summary.ts'
import { startEndpoint } from './endpoint.ts'
import { asked, bytes, rig, text } from './rig.ts'

const scope = { region: 'nl-01', project: 'billing' }

describe('the conformance kit', () => {
  for (const { name, run } of providerConformance(async () => {
    const endpoint = await startEndpoint()
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.add('archive', { type: 'chacha20-poly1305' })
    endpoint.add('releases', { type: 'ecdsa-p256' })
    endpoint.add('webhooks', { type: 'hmac' })
    return {
      provider: vaultTransit({ address: endpoint.address, token: endpoint.token, scope }),
      keys: { encrypt: 'orders', other: 'archive', sign: 'releases', mac: 'webhooks' },
      scope,
      dispose: () => endpoint.close(),
    }
  }))
    test(name, run)
})

test('it leaves out what transit has not, and such a call is an audited refusal', async (t) => {
  const { kms, provider, endpoint, sink } = await rig(t)
  endpoint.add('orders', { type: 'aes256-gcm96' })
  assert.deepEqual(Object.keys(provider.operations).sort(), [
    'createKey',
    'decrypt',
    'describeKey',
    'encrypt',
    'export',
    'generateDataKey',
    'getPublicKey',
    'hmac',
    'importKey',
    'listKeys',
    'reEncrypt',
    'rotate',
    'sign',
    'updateMinDecryptionVersion',
    'updateRotation',
    'verify',
    'verifyHmac',
  ])
  await assert.rejects(kms.disableKey({ key: 'orders' }), { code: 'UNSUPPORTED_OPERATION' })
  await assert.rejects(kms.scheduleKeyDeletion({ key: 'orders' }), { code: 'UNSUPPORTED_OPERATION' })
  assert.deepEqual(
    summary(sink.entries).filter((line) => line.includes('failure')),
    ['kms_key.disable failure orders UNSUPPORTED_OPERATION', 'kms_key.delete failure orders UNSUPPORTED_OPERATION'],
  )
})

describe('encryption', () => {
  for (const type of ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'rsa-2048'])
    test(`${type}: a ciphertext is transit's text, and its entries tell key, version, sizes and request`, async (t) => {
      const { kms, endpoint, results } = await rig(t)
      endpoint.add('orders', { type })
      const { ciphertext, keyVersion, key, provider } = await kms.encrypt({
        key: 'orders',
        plaintext: bytes('17 ounces'),
      })
      assert.match(text(ciphertext), /^vault:v1:[A-Za-z0-9+/]+=*$/)
      assert.equal(keyVersion, 1)
      assert.deepEqual(key, { identity: 'transit/orders', slug: 'orders', keyType: type, latestVersion: 1 })
      const opened = await kms.decrypt({ key: 'transit/orders', ciphertext })
      assert.equal(text(opened.plaintext), '17 ounces')
      const [sealed, open] = results()
      assert.deepEqual(sealed?.payloadSizes, { plaintext: 9, ciphertext: ciphertext.length })
      assert.equal(sealed?.resourceIdentity, 'transit/orders')
      assert.equal(sealed?.keySlug, 'orders')
      assert.equal(sealed?.keyType, type)
      assert.equal(sealed?.keyVersion, 1)
      assert.equal(sealed?.provider?.name, 'vault-transit')
      assert.equal(sealed?.provider?.requestId, provider?.requestId)
      assert.ok(endpoint.requestIds.includes(provider?.requestId ?? ''))
      assert.equal(sealed?.provider?.attempts, 1)
      assert.ok((sealed?.provider?.durationMs ?? -1) >= 0)
      assert.deepEqual(open?.payloadSizes, { plaintext: 9, ciphertext: ciphertext.length })
    })

  test('what the embedded KMS takes as plaintext opens again, the longest too', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    for (const length of [1, 2, 3, 65_535]) {
      const plaintext = new Uint8Array(length).fill(length)
      const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
      assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext })).plaintext, plaintext)
    }
  })

  test('an empty plaintext that another program sealed opens', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const response = await fetch(`${endpoint.address}/v1/transit/encrypt/orders`, {
      method: 'POST',
      headers: { 'x-vault-token': endpoint.token },
      body: '{"plaintext":""}',
    })
    const { data } = (await response.json()) as { data: { ciphertext: string } }
    assert.deepEqual(
      (await kms.decrypt({ key: 'orders', ciphertext: bytes(data.ciphertext) })).plaintext,
      new Uint8Array(0),
    )
  })

  test('any other spelling of a ciphertext is refused here, and never sent', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: bytes('x') })
    const right = text(ciphertext)
    const payload = right.slice('vault:v1:'.length)
    assert.ok(payload.endsWith('='))
    const stray = `${payload.slice(0, -2)}${String.fromCharCode((payload.at(-2) ?? 'A').charCodeAt(0) + 1)}=`
    for (const wrong of [
      right.replace('v1', 'v01'),
      right.replace('v1', 'v+1'),
      right.replace('v1', 'v0'),
      right.replace('v1', 'v-1'),
      right.replace('v1', 'v4294967296'),
      right.replace('v1', 'v1e0'),
      right.replace('vault', 'VAULT'),
      `${right}\n`,
      ` ${right}`,
      right.replace(/=+$/, ''),
      `vault:v1:${payload.slice(0, 4)}\n${payload.slice(4)}`,
      `vault:v1:${stray}`,
      'vault:v1:',
      'vault:v1',
      'nope',
    ]) {
      const before = endpoint.count()
      await assert.rejects(kms.decrypt({ key: 'orders', ciphertext: bytes(wrong) }), {
        code: 'INVALID_CIPHERTEXT',
        message: 'ciphertext does not open with this key and encryption context',
      })
      assert.equal(endpoint.count(), before, wrong)
      assert.equal(last()?.details?.decryptFailure, 'malformed')
    }
  })

  test('an older version is asked for by number, and one that is not there is VERSION_NOT_FOUND', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.rotate({ key: 'orders' })
    const old = await kms.encrypt({ key: 'orders', plaintext: bytes('x'), keyVersion: 1 })
    assert.equal(old.keyVersion, 1)
    assert.equal(last()?.latestVersion, false)
    await assert.rejects(kms.encrypt({ key: 'orders', plaintext: bytes('x'), keyVersion: 3 }), {
      code: 'VERSION_NOT_FOUND',
    })
  })

  test('a plaintext that RSA cannot hold is INVALID_INPUT, though the server makes a 500 of it', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('small', { type: 'rsa-2048' })
    await assert.rejects(kms.encrypt({ key: 'small', plaintext: new Uint8Array(191) }), { code: 'INVALID_INPUT' })
    assert.equal(endpoint.count(/encrypt/), 1, 'and is not sent again')
  })

  test('a key that cannot encrypt says so', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('releases', { type: 'ed25519' })
    await assert.rejects(kms.encrypt({ key: 'releases', plaintext: bytes('x') }), { code: 'UNSUPPORTED_OPERATION' })
    await assert.rejects(kms.decrypt({ key: 'releases', ciphertext: bytes('vault:v1:AAAA') }), {
      code: 'UNSUPPORTED_OPERATION',
    })
  })

  test('a name that can be no key of transit is not found, and becomes no path', async (t) => {
    const { kms, endpoint } = await rig(t)
    for (const key of ['../sys/seal', 'a/b', 'orders?x', 'transit/', '.', 'orders%2f', 'other/orders'])
      await assert.rejects(kms.encrypt({ key, plaintext: bytes('x') }), { code: 'KEY_NOT_FOUND' })
    assert.equal(endpoint.count(), 0)
  })
})

describe('reEncrypt', () => {
  test('to the newest version of the same key is one rewrap, and no plaintext comes here', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: bytes('x') })
    await kms.rotate({ key: 'orders' })
    const moved = await kms.reEncrypt({ key: 'orders', ciphertext })
    assert.equal(moved.keyVersion, 1)
    assert.equal(moved.destinationKeyVersion, 2)
    assert.equal(endpoint.count(/decrypt/), 0)
    assert.equal(endpoint.count(/rewrap/), 1)
    assert.equal(text((await kms.decrypt({ key: 'orders', ciphertext: moved.ciphertext })).plaintext), 'x')
    const entry = last()
    assert.equal(entry?.action, 'kms.decrypt')
  })

  test('with an encryption context, or to another key, is a decrypt and an encrypt', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.add('archive', { type: 'aes128-gcm96' })
    const encryptionContext = { order: '17' }
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: bytes('x'), encryptionContext })
    const same = await kms.reEncrypt({ key: 'orders', ciphertext, encryptionContext })
    assert.equal(
      text((await kms.decrypt({ key: 'orders', ciphertext: same.ciphertext, encryptionContext })).plaintext),
      'x',
    )
    const next = { order: '18' }
    const moved = await kms.reEncrypt({
      key: 'orders',
      ciphertext,
      encryptionContext,
      destinationKey: 'archive',
      destinationEncryptionContext: next,
    })
    assert.equal(last()?.provider?.attempts, 2)
    assert.deepEqual(last()?.details?.destinationKey, {
      identity: 'transit/archive',
      slug: 'archive',
      keyType: 'aes128-gcm96',
      keyVersion: 1,
    })
    assert.equal(
      text((await kms.decrypt({ key: 'archive', ciphertext: moved.ciphertext, encryptionContext: next })).plaintext),
      'x',
    )
    assert.equal(endpoint.count(/rewrap/), 0)
  })

  test('that fails at its second request tells what opened, and all requests', async (t) => {
    const { kms, endpoint, last } = await rig(t, { provider: { retries: 0, name: 'vault-eu' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.add('archive', { type: 'aes128-gcm96' })
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: bytes('x') })
    endpoint.fail(/encrypt/, { answer: 500, body: '{"errors":["storage is gone"]}' })
    const moved = kms.reEncrypt({ key: 'orders', ciphertext, destinationKey: 'archive' })
    await assert.rejects(moved, { code: 'PROVIDER_UNAVAILABLE' })
    const entry = last()
    assert.deepEqual([entry?.keyVersion, entry?.provider?.attempts, entry?.provider?.name], [1, 2, 'vault-eu'])
    assert.equal(entry?.provider?.requestId, endpoint.requestIds.at(-1))
  })

  test('of what does not open is INVALID_CIPHERTEXT, by rewrap too', async (t) => {
    for (const dialect of ['openbao', 'vault-1.8'] as const) {
      const { kms, endpoint, last } = await rig(t, { endpoint: { dialect } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      const ciphertext = bytes(`vault:v1:${Buffer.alloc(40).toString('base64')}`)
      await assert.rejects(kms.reEncrypt({ key: 'orders', ciphertext }), { code: 'INVALID_CIPHERTEXT' })
      assert.equal(last()?.details?.decryptFailure, 'authentication_failed')
    }
  })
})

describe('generateDataKey', () => {
  test('is made by transit without a context, and here with one; its ciphertext opens to it', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    for (const length of [16, 32, 64]) {
      const made = await kms.generateDataKey({ key: 'orders', length })
      assert.equal(made.plaintext.length, length)
      assert.deepEqual((await kms.decrypt({ key: 'orders', ciphertext: made.ciphertext })).plaintext, made.plaintext)
    }
    assert.equal(endpoint.count(/datakey/), 3)
    const encryptionContext = { volume: '3' }
    const made = await kms.generateDataKey({ key: 'orders', encryptionContext })
    assert.equal(endpoint.count(/datakey/), 3)
    assert.deepEqual(
      (await kms.decrypt({ key: 'orders', ciphertext: made.ciphertext, encryptionContext })).plaintext,
      made.plaintext,
    )
    assert.equal(last()?.payloadSizes?.plaintext, 32)
  })

  test('of a length that transit does not make is INVALID_INPUT', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await assert.rejects(kms.generateDataKey({ key: 'orders', length: 24 }), {
      code: 'INVALID_INPUT',
      message: /16, 32, 64/,
    })
  })
})

const input = bytes('release 1.2.3')

describe('signatures', () => {
  const digests = { sha256: 'sha2-256', sha384: 'sha2-384', sha512: 'sha2-512' } as const
  for (const [type, natural] of [
    ['ecdsa-p256', 'sha256'],
    ['ecdsa-p384', 'sha384'],
    ['ecdsa-p521', 'sha512'],
  ] as const)
    test(`${type}: DER and r ‖ s, any digest, prehashed: what node:crypto verifies with the public key`, async (t) => {
      const { kms, endpoint, last } = await rig(t)
      endpoint.add('releases', { type })
      const { publicKey } = await kms.getPublicKey({ key: 'releases' })
      for (const hashAlgorithm of [undefined, 'sha256', 'sha384', 'sha512'] as const)
        for (const format of ['der', 'ieee-p1363'] as const)
          for (const prehashed of [false, true]) {
            const hash = hashAlgorithm ?? natural
            const options = { ...(hashAlgorithm && { hashAlgorithm }), format, prehashed }
            const given = prehashed ? new Uint8Array(createHash(hash).update(input).digest()) : input
            const { signature, keyVersion } = await kms.sign({ key: 'releases', input: given, ...options })
            assert.equal(keyVersion, 1)
            assert.ok(verify(hash, input, { key: publicKey, dsaEncoding: format }, signature), `${hash} ${format}`)
            assert.equal(await kms.verify({ key: 'releases', input: given, signature, ...options }), true)
            assert.equal(
              await kms.verify({ key: 'releases', input: new Uint8Array(given.length), signature, ...options }),
              false,
            )
            assert.ok(asked(endpoint).includes(`POST sign/releases/${digests[hash]}`))
          }
      assert.deepEqual(last()?.payloadSizes, { input: 64, signature: last()?.payloadSizes?.signature })
    })

  test('ed25519: 64 bytes that node:crypto verifies; options that it has not are refused', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('releases', { type: 'ed25519' })
    const { signature } = await kms.sign({ key: 'releases', input })
    const { spki, publicKey, jwk } = await kms.getPublicKey({ key: 'releases' })
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    assert.ok(verify(null, input, key, signature))
    assert.equal(Buffer.from(publicKey, 'base64').length, 32)
    assert.equal(jwk?.['crv'], 'Ed25519')
    assert.equal(await kms.verify({ key: 'releases', input, signature }), true)
    assert.equal(await kms.verify({ key: 'releases', input, signature: signature.slice(1) }), false)
    await assert.rejects(kms.sign({ key: 'releases', input, hashAlgorithm: 'sha256' }), { code: 'INVALID_INPUT' })
  })

  for (const type of ['rsa-2048', 'rsa-3072'])
    test(`${type}: PSS with a salt as long as the digest, and PKCS1-v1_5, prehashed or not`, async (t) => {
      const { kms, endpoint } = await rig(t)
      endpoint.add('releases', { type })
      const { publicKey } = await kms.getPublicKey({ key: 'releases' })
      for (const padding of [undefined, 'pss', 'pkcs1v15'] as const)
        for (const hashAlgorithm of ['sha256', 'sha512'] as const)
          for (const prehashed of [false, true]) {
            const options = { hashAlgorithm, prehashed, ...(padding && { padding }) }
            const given = prehashed ? new Uint8Array(createHash(hashAlgorithm).update(input).digest()) : input
            const { signature } = await kms.sign({ key: 'releases', input: given, ...options })
            const theirs =
              padding === 'pkcs1v15'
                ? { key: publicKey, padding: constants.RSA_PKCS1_PADDING }
                : {
                    key: publicKey,
                    padding: constants.RSA_PKCS1_PSS_PADDING,
                    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
                  }
            assert.ok(verify(hashAlgorithm, input, theirs, signature), JSON.stringify(options))
            assert.equal(await kms.verify({ key: 'releases', input: given, signature, ...options }), true)
            const other = signature.map((byte, at) => (at === 20 ? byte ^ 1 : byte))
            assert.equal(await kms.verify({ key: 'releases', input: given, signature: other, ...options }), false)
          }
      await assert.rejects(kms.sign({ key: 'releases', input, format: 'der' }), { code: 'INVALID_INPUT' })
      await assert.rejects(kms.sign({ key: 'releases', input, prehashed: true }), { code: 'INVALID_INPUT' })
    })

  test('versions are tried newest first, and the one that matched is named', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('releases', { type: 'ecdsa-p256' })
    const first = await kms.sign({ key: 'releases', input })
    await kms.rotate({ key: 'releases' })
    await kms.rotate({ key: 'releases' })
    const told = await kms.call('verify', { key: 'releases', input, signature: first.signature })
    assert.equal(told.valid, true)
    assert.equal(told.keyVersion, 1)
    assert.equal(last()?.latestVersion, false)
    const versions = endpoint.requests
      .filter(({ path }) => path.includes('/verify/'))
      .map(({ body }) => String(body['signature']).slice(0, 8))
    assert.deepEqual(versions, ['vault:v3', 'vault:v2', 'vault:v1'])
    const wrong = await kms.call('verify', { key: 'releases', input, signature: first.signature, keyVersion: 2 })
    assert.equal(wrong.valid, false)
    assert.equal(wrong.keyVersion, 2)
    await assert.rejects(kms.verify({ key: 'releases', input, signature: first.signature, keyVersion: 4 }), {
      code: 'VERSION_NOT_FOUND',
    })
  })

  test('an error names no request but its own, which Vault does not tell', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('releases', { type: 'ecdsa-p256' })
    const { signature } = await kms.sign({ key: 'releases', input })
    await kms.rotate({ key: 'releases' })
    endpoint.fail(/verify/, {
      before: () => endpoint.fail(/verify/, { answer: 500, body: '{"errors":["storage is gone"]}' }),
    })
    await assert.rejects(kms.verify({ key: 'releases', input, signature }), { code: 'PROVIDER_UNAVAILABLE' })
    assert.equal(last()?.provider?.attempts, 2)
    assert.equal(last()?.provider?.requestId, undefined)
  })

  test('a version made elsewhere does not make a good signature a bad one', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('releases', { type: 'ecdsa-p256' })
    const elsewhere = await rig(t, { provider: { address: endpoint.address } })
    assert.equal((await kms.sign({ key: 'releases', input })).keyVersion, 1)
    await elsewhere.kms.rotate({ key: 'releases' })
    const { signature, keyVersion } = await elsewhere.kms.sign({ key: 'releases', input })
    assert.equal(keyVersion, 2)
    const told = await kms.call('verify', { key: 'releases', input, signature })
    assert.deepEqual([told.valid, told.keyVersion, told.key.latestVersion], [true, 2, 2])
  })

  test('a signature that is none is false, and one in a laxer spelling is too', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('releases', { type: 'ecdsa-p256' })
    const { signature } = await kms.sign({ key: 'releases', input, format: 'ieee-p1363' })
    const asLong = new Uint8Array([0, ...signature.slice(0, 32), 0, ...signature.slice(32)])
    assert.equal(await kms.verify({ key: 'releases', input, signature, format: 'ieee-p1363' }), true)
    assert.equal(await kms.verify({ key: 'releases', input, signature: asLong, format: 'ieee-p1363' }), false)
    for (const none of [Uint8Array.of(0), new Uint8Array(70), bytes('vault:v1:AAAA')])
      assert.equal(await kms.verify({ key: 'releases', input, signature: none }), false)
  })

  test('a key that cannot sign says so', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await assert.rejects(kms.sign({ key: 'orders', input }), { code: 'UNSUPPORTED_OPERATION' })
    await assert.rejects(kms.getPublicKey({ key: 'orders' }), { code: 'UNSUPPORTED_OPERATION' })
  })
})

describe('HMACs', () => {
  test('of every key are plain bytes of the digest; the version that matched is named', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.add('webhooks', { type: 'hmac' })
    for (const key of ['orders', 'webhooks'])
      for (const [hashAlgorithm, length] of [
        [undefined, 32],
        ['sha384', 48],
        ['sha512', 64],
      ] as const) {
        const options = hashAlgorithm && { hashAlgorithm }
        const { hmac, keyVersion } = await kms.hmac({ key, input, ...options })
        assert.equal(hmac.length, length)
        assert.equal(keyVersion, 1)
        assert.equal(await kms.verifyHmac({ key, input, hmac, ...options }), true)
        assert.equal(await kms.verifyHmac({ key, input: bytes('other'), hmac, ...options }), false)
        assert.equal(await kms.verifyHmac({ key, input, hmac: hmac.slice(1), ...options }), false)
      }
    const { hmac } = await kms.hmac({ key: 'webhooks', input })
    await kms.rotate({ key: 'webhooks' })
    const told = await kms.call('verifyHmac', { key: 'webhooks', input, hmac })
    assert.deepEqual([told.valid, told.keyVersion], [true, 1])
    assert.deepEqual(last()?.payloadSizes, { input: input.length, mac: 32 })
    assert.equal((await kms.hmac({ key: 'webhooks', input, keyVersion: 1 })).keyVersion, 1)
    await assert.rejects(kms.hmac({ key: 'webhooks', input, keyVersion: 7 }), { code: 'VERSION_NOT_FOUND' })
  })
})

describe('lifecycle', () => {
  for (const dialect of ['openbao', 'vault-1.8'] as const)
    test(`createKey makes what was asked for, in ${dialect}; once`, async (t) => {
      const { kms, endpoint, sink } = await rig(t, { endpoint: { dialect } })
      for (const keyType of [
        'aes128-gcm96',
        'aes256-gcm96',
        'chacha20-poly1305',
        'ed25519',
        'ecdsa-p256',
        'ecdsa-p384',
        'ecdsa-p521',
        'rsa-2048',
        'hmac',
      ] as const) {
        const { key } = await kms.createKey({
          slug: `k-${keyType}`,
          keyType,
          exportAllowed: keyType === 'hmac',
        })
        assert.deepEqual(
          [key.slug, key.keyType, key.latestVersion, key.exportAllowed],
          [`k-${keyType}`, keyType, 1, keyType === 'hmac'],
        )
        assert.equal(endpoint.policy(`k-${keyType}`).type, keyType)
      }
      const { key } = await kms.createKey({})
      assert.equal(key.keyType, 'aes256-gcm96')
      assert.match(key.slug, /^key-[a-z0-9]{22}$/)
      await assert.rejects(kms.createKey({ slug: 'k-hmac' }), { code: 'KEY_EXISTS' })
      await assert.rejects(kms.createKey({ slug: 'other', keyType: 'ml-dsa-44' }), { code: 'INVALID_INPUT' })
      await assert.rejects(kms.createKey({ slug: 'other', labels: { team: 'a' } }), { code: 'INVALID_INPUT' })
      assert.ok(summary(sink.entries).includes('kms_key.create success k-hmac'))
    })

  test('createKey whose name was taken at the same moment is KEY_EXISTS', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.fail(/GET .*\/keys\/orders$/, { before: () => endpoint.add('orders', { type: 'aes256-gcm96' }) })
    await assert.rejects(kms.createKey({ slug: 'orders' }), { code: 'KEY_EXISTS' })
  })

  test('createKey where no engine is mounted says so, and makes nothing', async (t) => {
    const { kms, endpoint } = await rig(t, { endpoint: { mounted: false } })
    await assert.rejects(kms.createKey({ slug: 'orders' }), {
      code: 'KEY_NOT_FOUND',
      message: /no transit engine at this mount/,
    })
    assert.equal(endpoint.count(/POST/), 0)
  })

  for (const dialect of ['openbao', 'vault-1.8'] as const)
    test(`rotate names the new version, and refuses from another than the latest, in ${dialect}`, async (t) => {
      const { kms, endpoint, last } = await rig(t, { endpoint: { dialect } })
      endpoint.add('orders', { type: 'aes256-gcm96' })
      await kms.encrypt({ key: 'orders', plaintext: bytes('x') })
      const { key, keyVersion } = await kms.rotate({ key: 'orders', expectLatestVersion: 1 })
      assert.deepEqual([key.latestVersion, keyVersion, key.versions.map(({ version }) => version)], [2, 2, [1, 2]])
      assert.equal(last()?.details?.previousVersion, 1)
      assert.equal((await kms.encrypt({ key: 'orders', plaintext: bytes('x') })).keyVersion, 2)
      await assert.rejects(kms.rotate({ key: 'orders', expectLatestVersion: 1 }), { code: 'VERSION_CONFLICT' })
      assert.equal(endpoint.policy('orders').latest, 2)
      await assert.rejects(kms.rotate({ key: 'nowhere' }), { code: 'KEY_NOT_FOUND' })
    })

  test('a rotation after which no newer version shows is open, not a failure', async (t) => {
    const { kms, endpoint } = await rig(t, { endpoint: { dialect: 'vault-1.8' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const stale = (body: string) => body.replace('"latest_version":2', '"latest_version":1')
    endpoint.fail(/rotate/, { before: () => endpoint.fail(/GET/, { rewrite: stale }) })
    await assert.rejects(kms.rotate({ key: 'orders' }), { code: 'OUTCOME_UNAUDITED' })
  })

  test('a provider with a scope makes and lists keys for that one only', async (t) => {
    const here = { region: 'nl-01', project: 'billing' }
    const { kms, endpoint } = await rig(t, { provider: { scope: here } })
    const { key } = await kms.createKey({ slug: 'orders' })
    assert.deepEqual([key.region, key.projectId], ['nl-01', 'billing'])
    const other = await rig(t, { provider: { address: endpoint.address, scope: { ...here, project: 'other' } } })
    assert.deepEqual((await other.kms.listKeys()).keys, [])
    await assert.rejects(other.kms.createKey({ slug: 'mine' }), { code: 'ACCESS_DENIED' })
    const keyMaterial = new Uint8Array(32)
    await assert.rejects(other.kms.importKey({ slug: 'mine', keyType: 'aes256-gcm96', keyMaterial }), {
      code: 'ACCESS_DENIED',
    })
    await assert.rejects(other.kms.encrypt({ key: 'orders', plaintext: bytes('x') }), { code: 'KEY_NOT_FOUND' })
    assert.equal(endpoint.policy('orders').latest, 1)
    assert.throws(() => endpoint.policy('mine'))
  })

  test('the request that an entry of a change names is that of the change', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await kms.describeKey({ key: 'orders' })
    const before = endpoint.requestIds.length
    await kms.rotate({ key: 'orders' })
    assert.equal(last()?.provider?.requestId, endpoint.requestIds[before + 1])
  })

  test('updateRotation sets the period by which transit rotates by itself; rotateDueKeys leaves such keys alone', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    const { key } = await kms.updateRotation({ key: 'orders', keyRotationEnabled: true, rotationPeriodInDays: 30 })
    assert.deepEqual([key.keyRotationEnabled, key.rotationPeriodInDays, key.nextRotationAt], [true, 30, undefined])
    assert.equal(endpoint.policy('orders').autoRotateSeconds, 30 * 86_400)
    assert.deepEqual(await kms.rotateDueKeys(), [])
    const off = await kms.updateRotation({ key: 'orders', keyRotationEnabled: false })
    assert.equal(off.key.keyRotationEnabled, false)
    const made = await kms.createKey({ slug: 'yearly', keyRotationEnabled: true })
    assert.deepEqual([made.key.keyRotationEnabled, made.key.rotationPeriodInDays], [true, 365])
  })

  test('a server that rotates nothing by itself is not believed to', async (t) => {
    const { kms, endpoint, last } = await rig(t, { endpoint: { dialect: 'vault-1.8' } })
    endpoint.add('orders', { type: 'aes256-gcm96' })
    await assert.rejects(kms.updateRotation({ key: 'orders', keyRotationEnabled: true }), {
      code: 'UNSUPPORTED_OPERATION',
    })
    const { key } = await kms.createKey({ slug: 'yearly', keyRotationEnabled: true })
    assert.equal(key.keyRotationEnabled, false)
    assert.deepEqual(last()?.details?.flags, ['rotation_not_enabled'])
  })

  test('updateMinDecryptionVersion stops older versions, and the entry says why', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    endpoint.add('orders', { type: 'aes256-gcm96' })
    endpoint.add('releases', { type: 'ecdsa-p256' })
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: bytes('x') })
    const { signature } = await kms.sign({ key: 'releases', input })
    for (const key of ['orders', 'releases']) {
      await kms.rotate({ key })
      const { key: after } = await kms.updateMinDecryptionVersion({ key, minDecryptionVersion: 2 })
      assert.equal(after.minDecryptionVersion, 2)
    }
    await assert.rejects(kms.decrypt({ key: 'orders', ciphertext }), { code: 'INVALID_CIPHERTEXT' })
    assert.equal(last()?.details?.decryptFailure, 'version_below_minimum')
    assert.equal(last()?.keyVersion, 1)
    const { valid } = await kms.call('verify', { key: 'releases', input, signature })
    assert.equal(valid, false)
    await assert.rejects(kms.verify({ key: 'releases', input, signature, keyVersion: 1 }), {
      code: 'VERSION_NOT_FOUND',
    })
    await assert.rejects(kms.updateMinDecryptionVersion({ key: 'orders', minDecryptionVersion: 9 }), {
      code: 'INVALID_INPUT',
    })
    const { key } = await kms.updateMinDecryptionVersion({ key: 'orders', minDecryptionVersion: 1 })
    assert.equal(key.minDecryptionVersion, undefined)
    assert.equal(text((await kms.decrypt({ key: 'orders', ciphertext })).plaintext), 'x')
  })

  test('describeKey and listKeys tell all keys; no keys is an empty list', async (t) => {
    const { kms, endpoint, last } = await rig(t)
    assert.deepEqual((await kms.listKeys()).keys, [])
    for (let at = 0; at < 20; at++) endpoint.add(`key-${at}`, { type: at % 2 === 0 ? 'aes256-gcm96' : 'ed25519' })
    const { keys } = await kms.listKeys()
    assert.deepEqual(
      keys.map(({ slug }) => slug),
      [...endpoint.engine.policies.keys()].sort(),
    )
    assert.equal(last()?.details?.count, 20)
    assert.equal(last()?.provider?.attempts, 21)
    const { key } = await kms.describeKey({ key: 'key-1' })
    assert.equal(key.keyType, 'ed25519')
    assert.match(key.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual(
      key.versions.map(({ version }) => version),
      [1],
    )
  })
})

describe('key material', () => {
  const types = [
    'aes128-gcm96',
    'aes256-gcm96',
    'chacha20-poly1305',
    'ed25519',
    'ecdsa-p256',
    'ecdsa-p384',
    'ecdsa-p521',
    'rsa-2048',
  ] as const
  for (const type of types)
    test(`${type}: an exported key is the key, in each form`, async (t) => {
      const { kms, endpoint, last } = await rig(t)
      endpoint.add('mine', { type, exportable: true })
      const { keyMaterial, form, keyVersion } = await kms.export({ key: 'mine' })
      assert.equal(keyVersion, 1)
      assert.equal(last()?.details?.form, form)
      assert.deepEqual(last()?.payloadSizes, { keyMaterial: keyMaterial.length })
      const jwk = await kms.export({ key: 'mine', form: 'jwk' })
      const recipient = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const spki = new Uint8Array(recipient.publicKey.export({ type: 'spki', format: 'der' }))
      const wrapped = await kms.export({ key: 'mine', recipient: spki })
      assert.equal(wrapped.form, 'wrapped')
      assert.deepEqual(unwrapped(recipient.privateKey, wrapped.keyMaterial), Buffer.from(keyMaterial))
      // The embedded KMS takes it, in the form it came in.
      const local = memoryKms()
      const scope = {}
      const call = { operationID: 'x', scope, signal: new AbortController().signal }
      const { material } = { material: endpoint.policy('mine').versions.get(1)?.material }
      if (form === 'raw') assert.deepEqual(Buffer.from(keyMaterial), material)
      else {
        const theirs = createPrivateKey({ key: Buffer.from(keyMaterial), format: 'der', type: 'pkcs8' })
        assert.ok(!Buffer.isBuffer(material) && material !== undefined && theirs.equals(material))
        assert.ok(createPrivateKey({ key: JSON.parse(text(jwk.keyMaterial)), format: 'jwk' }).equals(material))
      }
      const imported = await local.operations.importKey?.({ slug: 'mine', keyType: type, keyMaterial }, call)
      assert.equal(imported?.key.keyType, type)
    })

  function unwrapped(key: Parameters<typeof privateDecrypt>[0] & object, blob: Uint8Array): Buffer {
    const aes = privateDecrypt({ key: key as never, oaepHash: 'sha256' }, blob.subarray(0, 256))
    const decipher = createDecipheriv('id-aes256-wrap-pad', aes, Buffer.from('a65959a6', 'hex'))
    return Buffer.concat([decipher.update(blob.subarray(256)), decipher.final()])
  }

  test('an HMAC key leaves as it is, of any length', async (t) => {
    const { kms, endpoint } = await rig(t)
    endpoint.add('mac', { type: 'hmac', exportable: true, keySize: 48 })
    const { keyMaterial } = await kms.export({ key: 'mac' })
    assert.deepEqual(Buffer.from(keyMaterial), endpoint.policy('mac').versions.get(1)?.material)
  })

  for (const dialect of ['openbao', 'vault-1.8'] as const)
    test(`a refused export is EXPORT_NOT_ALLOWED with its entry, in ${dialect}; a version that is not there VERSION_NOT_FOUND`, async (t) => {
      const { kms, endpoint, sink } = await rig(t, { endpoint: { dialect } })
      endpoint.add('kept', { type: 'aes256-gcm96' })
      endpoint.add('mine', { type: 'aes256-gcm96', exportable: true })
      await assert.rejects(kms.export({ key: 'kept' }), { code: 'EXPORT_NOT_ALLOWED' })
      await kms.rotate({ key: 'mine' })
      assert.equal((await kms.export({ key: 'mine', keyVersion: 1 })).keyVersion, 1)
      assert.equal((await kms.export({ key: 'mine' })).keyVersion, 2)
      await assert.rejects(kms.export({ key: 'mine', keyVersion: 3 }), { code: 'VERSION_NOT_FOUND' })
      await assert.rejects(kms.export({ key: 'mine', form: 'pkcs8' }), { code: 'INVALID_INPUT' })
      const lines = summary(sink.entries)
      assert.ok(
        lines.includes('kms.export pending kept') && lines.includes('kms.export failure kept EXPORT_NOT_ALLOWED'),
      )
    })

  test('an import goes wrapped to the engine’s own key, and works there', async (t) => {
    const wrappingKey = generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey.export({
      type: 'pkcs8',
      format: 'der',
    })
    const { kms, endpoint, sink, last } = await rig(t, { endpoint: { wrappingKey } })
    const raw = new Uint8Array(32).fill(7)
    const { key, wrappingKey: to } = await kms.importKey({
      slug: 'brought',
      keyType: 'aes256-gcm96',
      keyMaterial: raw,
      allowRotation: true,
    })
    assert.deepEqual([key.imported, key.allowRotation, key.latestVersion], [true, true, 1])
    assert.match(to ?? '', /^sha256:[0-9a-f]{64}$/)
    assert.equal(last()?.details?.wrappingKey, to)
    assert.deepEqual(endpoint.policy('brought').versions.get(1)?.material, Buffer.from(raw))
    assert.ok(!JSON.stringify(endpoint.requests).includes(Buffer.from(raw).toString('base64')))
    const pkcs8 = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' })
    await kms.importKey({ slug: 'signer', keyType: 'ed25519', keyMaterial: new Uint8Array(pkcs8) })
    await assert.rejects(kms.rotate({ key: 'signer' }), { code: 'INVALID_INPUT', message: /allowRotation/ })
    await assert.rejects(kms.importKey({ slug: 'signer', keyType: 'aes256-gcm96', keyMaterial: raw }), {
      code: 'KEY_EXISTS',
    })
    await assert.rejects(kms.importKey({ slug: 'short', keyType: 'aes256-gcm96', keyMaterial: raw.slice(1) }), {
      code: 'INVALID_INPUT',
    })
    await assert.rejects(kms.importKey({ slug: 'mac', keyType: 'hmac', keyMaterial: raw }), { code: 'INVALID_INPUT' })
    assert.ok(summary(sink.entries).includes('kms_key.import success brought v1'))
  })
})
