/** @node Every operation through a client: what it answers, and what its entry holds. */
import assert from 'node:assert/strict'
import { createHash, createHmac, createPublicKey, verify } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  type KeySpec,
  type KeyUsageType,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms'
import type { KeyType } from '../../../src/model/key.ts'
import { fakeClock } from '../../../src/testing/index.ts'
import { noShared } from '../../shared.ts'
import { home, type Rig, refusalOf, startRig } from './rig.ts'
import { sdkClient } from './sdk-client.ts'

const plaintext = new Uint8Array(Buffer.from('a plaintext'))
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

describe('AWS KMS, operation by operation', { skip: noShared }, () => {
  let rig: Rig
  before(async () => {
    rig = await startRig()
  })
  after(() => rig.close())

  /** What every entry of an answer of AWS has. */
  function checkProvider(): void {
    const { provider } = rig.last()
    assert.equal(provider?.name, 'aws-kms')
    assert.match(provider?.requestId ?? '', uuid)
    assert.equal(provider?.attempts, 1)
    assert.ok((provider?.durationMs ?? -1) > 0)
    assert.ok(
      rig.endpoint.requests.some(({ requestId }) => requestId === provider?.requestId),
      'a request id that AWS gave',
    )
  }

  test('encrypt, decrypt, generateDataKey and reEncrypt: no version is told, and every size is', async () => {
    const { kms } = rig
    const { key } = await kms.createKey({ slug: 'orders' })
    await kms.createKey({ slug: 'archive' })
    const encryptionContext = { order: '17' }
    const sealed = await kms.encrypt({ key: 'orders', plaintext, encryptionContext })
    assert.equal(sealed.keyVersion, undefined)
    assert.deepEqual(sealed.key, { identity: key.identity, slug: 'orders', keyType: 'aes256-gcm96' })
    assert.equal(sealed.provider?.attempts, 1)
    let entry = rig.last()
    assert.equal(entry.action, 'kms.encrypt')
    assert.equal(entry.resourceIdentity, key.identity)
    assert.equal(entry.keySlug, 'orders')
    assert.equal(entry.keyType, 'aes256-gcm96')
    assert.equal(entry.keyVersion, undefined)
    assert.deepEqual(entry.payloadSizes, {
      plaintext: plaintext.length,
      ciphertext: sealed.ciphertext.length,
      encryptionContext: 7,
    })
    checkProvider()

    const opened = await kms.decrypt({ key: key.identity, ciphertext: sealed.ciphertext, encryptionContext })
    assert.deepEqual(opened.plaintext, plaintext)
    assert.equal(rig.last().keySlug, 'orders')
    assert.deepEqual(rig.last().payloadSizes, {
      plaintext: plaintext.length,
      ciphertext: sealed.ciphertext.length,
      encryptionContext: 7,
    })
    checkProvider()

    for (const length of [16, 32, 64]) {
      const dataKey = await kms.generateDataKey({ key: 'orders', length, encryptionContext })
      assert.equal(dataKey.plaintext.length, length)
      assert.equal(rig.last().payloadSizes?.plaintext, length)
      const again = await kms.decrypt({ key: 'orders', ciphertext: dataKey.ciphertext, encryptionContext })
      assert.deepEqual(again.plaintext, dataKey.plaintext)
    }

    const moved = await kms.reEncrypt({
      key: 'orders',
      ciphertext: sealed.ciphertext,
      encryptionContext,
      destinationKey: 'archive',
      destinationEncryptionContext: { year: '2026' },
    })
    entry = rig.last()
    assert.equal(entry.details?.destinationKey?.slug, 'archive')
    assert.equal(entry.keySlug, 'orders')
    checkProvider()
    const there = { key: 'archive', ciphertext: moved.ciphertext, encryptionContext: { year: '2026' } }
    assert.deepEqual((await kms.decrypt(there)).plaintext, plaintext)
    const same = await kms.reEncrypt({ key: 'orders', ciphertext: sealed.ciphertext, encryptionContext })
    assert.deepEqual(
      (await kms.decrypt({ key: 'orders', ciphertext: same.ciphertext, encryptionContext })).plaintext,
      plaintext,
    )
  })

  test('a payload that AWS does not take is refused before anything is sent, and says what to do', async () => {
    const { kms, endpoint } = rig
    await kms.createKey({ slug: 'limits' })
    await kms.createKey({ slug: 'limits-mac', keyType: 'hmac-sha256' })
    await kms.encrypt({ key: 'limits', plaintext: new Uint8Array(4096) })
    await kms.hmac({ key: 'limits-mac', input: new Uint8Array(4096) })
    const sent = endpoint.requests.length
    const tooLong = await refusalOf(kms.encrypt({ key: 'limits', plaintext: new Uint8Array(4097) }))
    assert.equal(tooLong.code, 'INVALID_INPUT')
    assert.match(tooLong.message, /at most 4096 bytes.* has 4097.*generateDataKey/)
    for (const input of [new Uint8Array(4097), new Uint8Array(0)]) {
      const refused = await refusalOf(kms.hmac({ key: 'limits-mac', input }))
      assert.equal(refused.code, 'INVALID_INPUT')
      assert.match(refused.message, /1–4096 bytes/)
      const hmac = new Uint8Array(32)
      await assert.rejects(kms.verifyHmac({ key: 'limits-mac', input, hmac }), { code: 'INVALID_INPUT' })
    }
    await assert.rejects(kms.decrypt({ key: 'limits', ciphertext: new Uint8Array(6145) }), {
      code: 'INVALID_CIPHERTEXT',
      message: 'ciphertext does not open with this key and encryption context',
    })
    assert.equal(rig.last().details?.decryptFailure, 'malformed')
    assert.equal(endpoint.requests.length, sent)
  })

  for (const [keyType, most] of [
    ['rsa-2048', 190],
    ['rsa-3072', 318],
    ['rsa-4096', 446],
  ] as const)
    test(`${keyType} for encryption: ${most} bytes, no encryption context, one version`, async () => {
      const own = await startRig({ aws: { rsaKeys: 'encrypt' } })
      const { kms } = own
      try {
        await kms.createKey({ slug: 'post', keyType })
        const whole = new Uint8Array(most).fill(7)
        const { ciphertext, keyVersion } = await kms.encrypt({ key: 'post', plaintext: whole })
        assert.equal(keyVersion, 1)
        assert.equal(own.last().keyVersion, 1)
        assert.deepEqual((await kms.decrypt({ key: 'post', ciphertext })).plaintext, whole)
        const sent = own.endpoint.requests.length
        const long = await refusalOf(kms.encrypt({ key: 'post', plaintext: new Uint8Array(most + 1) }))
        assert.match(long.message, new RegExp(`at most ${most} bytes`))
        const encryptionContext = { a: 'b' }
        await assert.rejects(kms.encrypt({ key: 'post', plaintext, encryptionContext }), { code: 'INVALID_INPUT' })
        await assert.rejects(kms.decrypt({ key: 'post', ciphertext, encryptionContext }), {
          code: 'INVALID_CIPHERTEXT',
        })
        await assert.rejects(kms.generateDataKey({ key: 'post' }), { code: 'UNSUPPORTED_OPERATION' })
        assert.equal(own.endpoint.requests.length, sent)
        for (const wrong of [ciphertext.map((byte) => byte ^ 1), ciphertext.slice(0, -1), new Uint8Array(9)])
          await assert.rejects(kms.decrypt({ key: 'post', ciphertext: wrong }), { code: 'INVALID_CIPHERTEXT' })
        await kms.createKey({ slug: 'safe' })
        const moved = await kms.reEncrypt({ key: 'post', ciphertext, destinationKey: 'safe' })
        assert.deepEqual((await kms.decrypt({ key: 'safe', ciphertext: moved.ciphertext })).plaintext, whole)
        const back = { key: 'safe', ciphertext: moved.ciphertext, destinationKey: 'post' }
        const { destinationKeyVersion } = await kms.reEncrypt(back)
        assert.equal(destinationKeyVersion, 1)
        // It encrypts, and so does not sign.
        await assert.rejects(kms.sign({ key: 'post', input: plaintext }), { code: 'INVALID_INPUT' })
      } finally {
        await own.close()
      }
    })

  const rsaWays = (['pss', 'pkcs1v15'] as const).flatMap((padding) =>
    (['sha256', 'sha384', 'sha512'] as const).map((hashAlgorithm) => ({ padding, hashAlgorithm })),
  )
  const signers: readonly [KeyType, readonly object[], string][] = [
    ['rsa-2048', [{}, ...rsaWays], 'sha256'],
    ['rsa-3072', [{}], 'sha256'],
    ['rsa-4096', [{}], 'sha256'],
    ['ecdsa-p256', [{}, { format: 'ieee-p1363' }, { hashAlgorithm: 'sha256' }], 'sha256'],
    ['ecdsa-p384', [{}, { format: 'ieee-p1363' }], 'sha384'],
    ['ecdsa-p521', [{}, { format: 'ieee-p1363' }], 'sha512'],
    ['ecdsa-secp256k1', [{}, { format: 'ieee-p1363' }], 'sha256'],
  ]
  for (const [keyType, ways, byDefault] of signers)
    test(`${keyType} signs short, empty, long and hashed messages alike, as OpenSSL verifies`, async () => {
      const { kms, endpoint } = rig
      const slug = `sign-${keyType}`
      const { key } = await kms.createKey({ slug, keyType })
      assert.equal(key.keyType, keyType)
      const { publicKey, spki, keyVersion } = await kms.getPublicKey({ key: slug })
      assert.equal(keyVersion, 1)
      const pem = createPublicKey(publicKey)
      assert.deepEqual(new Uint8Array(pem.export({ type: 'spki', format: 'der' })), spki)
      for (const way of ways as readonly { padding?: 'pss' | 'pkcs1v15'; hashAlgorithm?: 'sha256'; format?: 'der' }[]) {
        const hash = way.hashAlgorithm ?? byDefault
        const asNode = {
          key: pem,
          ...(keyType.startsWith('rsa') && way.padding !== 'pkcs1v15' && { padding: 6, saltLength: -1 }),
          ...(keyType.startsWith('ecdsa') && { dsaEncoding: way.format ?? 'der' }),
        } as const
        for (const length of [0, 1, 4096, 4097, 100_000]) {
          const input = new Uint8Array(length).fill(length)
          const { signature } = await kms.sign({ key: slug, input, ...way })
          assert.deepEqual(rig.last().payloadSizes, { input: length, signature: signature.length })
          assert.equal(rig.last().keyVersion, 1)
          checkProvider()
          assert.equal(endpoint.requests.at(-1)?.input['MessageType'], length === 0 || length > 4096 ? 'DIGEST' : 'RAW')
          assert.ok(verify(hash, input, asNode, signature), `${keyType} ${JSON.stringify(way)} ${length}`)
          assert.equal(await kms.verify({ key: slug, input, signature, ...way }), true)
          const prehashed = {
            key: slug,
            input: new Uint8Array(createHash(hash).update(input).digest()),
            prehashed: true,
          }
          assert.equal(await kms.verify({ ...prehashed, signature, ...way }), true)
          const other = await kms.sign({ ...prehashed, ...way })
          assert.ok(verify(hash, input, asNode, other.signature))
          const another = new Uint8Array(length + 1)
          assert.equal(await kms.verify({ key: slug, input: another, signature, ...way }), false)
          assert.equal(rig.last().outcome, 'success')
          assert.equal(rig.last().valid, false)
          checkProvider()
        }
      }
      const input = new Uint8Array(5)
      await assert.rejects(kms.sign({ key: slug, input, prehashed: true }), { code: 'INVALID_INPUT' })
      const wrong = keyType.startsWith('rsa') ? { format: 'der' as const } : { padding: 'pss' as const }
      await assert.rejects(kms.sign({ key: slug, input, ...wrong }), { code: 'INVALID_INPUT' })
      if (keyType.startsWith('ecdsa')) {
        const hashAlgorithm = byDefault === 'sha256' ? 'sha512' : 'sha256'
        await assert.rejects(kms.sign({ key: slug, input, hashAlgorithm }), { code: 'INVALID_INPUT' })
        const { signature } = await kms.sign({ key: slug, input })
        const asP1363 = { key: slug, input, signature, format: 'ieee-p1363' as const }
        assert.equal(await kms.verify(asP1363), false, 'a DER signature is none of the other form')
      }
      assert.equal(await kms.verify({ key: slug, input, signature: new Uint8Array(7000).fill(1) }), false)
      await assert.rejects(kms.encrypt({ key: slug, plaintext: input }), {
        code: keyType.startsWith('rsa') ? 'INVALID_INPUT' : 'UNSUPPORTED_OPERATION',
      })
      await assert.rejects(kms.hmac({ key: slug, input }), { code: 'UNSUPPORTED_OPERATION' })
      await assert.rejects(kms.rotate({ key: slug }), { code: 'UNSUPPORTED_OPERATION' })
    })

  test('secp256k1 signatures have the lower s, whichever AWS makes, and AWS verifies them', async () => {
    const { kms } = rig
    await kms.createKey({ slug: 'chain', keyType: 'ecdsa-secp256k1' })
    const half = '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0'
    for (const format of ['der', 'ieee-p1363'] as const)
      for (let made = 0; made < 16; made++) {
        const input = Uint8Array.of(made)
        const { signature } = await kms.sign({ key: 'chain', input, format })
        assert.equal(await kms.verify({ key: 'chain', input, format, signature }), true)
        const s = Buffer.from(signature.slice(-32)).toString('hex')
        // In DER a high s has a zero before it, and a low one has none; a short one is low.
        if (format === 'ieee-p1363') assert.ok(s <= half, s)
        else assert.ok((signature.at(5 + (signature.at(3) ?? 0)) ?? 0) <= 32)
      }
  })

  for (const [keyType, hash] of [
    ['hmac-sha256', 'sha256'],
    ['hmac-sha384', 'sha384'],
    ['hmac-sha512', 'sha512'],
    ['aws:HMAC_224', 'sha224'],
  ] as const)
    test(`${keyType} authenticates, as node:crypto does with the same key`, async () => {
      const { kms, endpoint } = rig
      const slug = `mac-${hash}`
      const { key } = await kms.createKey({ slug, keyType: keyType as KeyType })
      assert.equal(key.keyType, keyType)
      const input = new Uint8Array(300).fill(3)
      const { hmac, keyVersion } = await kms.hmac({ key: slug, input })
      assert.equal(keyVersion, 1)
      const [material = Buffer.alloc(0)] = endpoint.key(`alias/${slug}`).materials
      assert.deepEqual(Buffer.from(hmac), createHmac(hash, material).update(input).digest())
      assert.deepEqual(rig.last().payloadSizes, { input: 300, mac: hmac.length })
      checkProvider()
      assert.equal(await kms.verifyHmac({ key: slug, input, hmac }), true)
      assert.equal(await kms.verifyHmac({ key: slug, input, hmac: hmac.map((byte) => byte ^ 1) }), false)
      assert.equal(rig.last().valid, false)
      assert.equal(rig.last().keyVersion, 1)
      checkProvider()
      assert.equal(await kms.verifyHmac({ key: slug, input, hmac: new Uint8Array(7000).fill(1) }), false)
      const hashAlgorithm = hash === 'sha512' ? 'sha256' : 'sha512'
      await assert.rejects(kms.hmac({ key: slug, input, hashAlgorithm }), { code: 'INVALID_INPUT' })
      await assert.rejects(kms.sign({ key: slug, input }), { code: 'UNSUPPORTED_OPERATION' })
    })

  test('createKey makes tags of name and labels, sets the rotation, and the alias last', async () => {
    const { kms, endpoint } = rig
    const labels = { team: 'billing', stage: 'test' }
    const { key } = await kms.createKey({
      slug: 'whole',
      name: 'The whole',
      description: 'all of it',
      labels,
      keyRotationEnabled: true,
      rotationPeriodInDays: 90,
    })
    const described = (await kms.describeKey({ key: 'whole' })).key
    const { nextRotationAt, ...rest } = described
    assert.deepEqual(rest, key)
    assert.match(nextRotationAt ?? '', /^\d{4}-/)
    assert.equal(key.name, 'The whole')
    assert.equal(key.description, 'all of it')
    assert.deepEqual(key.labels, labels)
    assert.equal(key.keyRotationEnabled, true)
    assert.equal(key.rotationPeriodInDays, 90)
    assert.equal(key.exportAllowed, false)
    assert.equal(key.status, 'active')
    assert.equal(key.region, home.region)
    assert.equal(key.projectId, home.project)
    assert.deepEqual(Object.fromEntries(endpoint.key('alias/whole').tags), { ...labels, Name: 'The whole' })
    const changes = endpoint.requests.slice(-40).map(({ operation }) => operation)
    assert.ok(changes.lastIndexOf('EnableKeyRotation') < changes.lastIndexOf('CreateAlias'))

    const unnamed = (await kms.createKey({})).key
    assert.match(unnamed.slug, uuid)
    assert.ok(unnamed.identity.endsWith(`:key/${unnamed.slug}`))
    assert.equal((await kms.describeKey({ key: unnamed.slug })).key.identity, unnamed.identity)
  })

  test('createKey refuses what AWS has no place for, and a slug that is taken, before a key is made', async () => {
    const { kms, endpoint } = rig
    await kms.createKey({ slug: 'taken' })
    const made = endpoint.count('CreateKey')
    for (const [input, code] of [
      [{ slug: 'taken' }, 'KEY_EXISTS'],
      [{ exportAllowed: true }, 'INVALID_INPUT'],
      [{ annotations: { a: 'b' } }, 'INVALID_INPUT'],
      [{ name: 'x', labels: { Name: 'y' } }, 'INVALID_INPUT'],
      [{ labels: { a: 'x'.repeat(257) } }, 'INVALID_INPUT'],
      [{ keyType: 'xaes256-gcm' }, 'INVALID_INPUT'],
      [{ keyType: 'ed25519' }, 'INVALID_INPUT'],
      [{ keyRotationEnabled: true, rotationPeriodInDays: 89 }, 'INVALID_INPUT'],
      [{ keyRotationEnabled: true, rotationPeriodInDays: 2561 }, 'INVALID_INPUT'],
      [{ rotationPeriodInDays: 365 }, 'INVALID_INPUT'],
      [{ keyType: 'rsa-2048', keyRotationEnabled: true }, 'INVALID_INPUT'],
    ] as const)
      await assert.rejects(kms.createKey(input as object), { code }, JSON.stringify(input))
    assert.equal(endpoint.count('CreateKey'), made)
    // The service has the last word on tags.
    await assert.rejects(kms.createKey({ labels: { 'aws:mine': 'x' } }), { code: 'INVALID_INPUT' })
  })

  test('rotate makes the next version, told with its conflict, and old ciphertexts open', async () => {
    const { kms, endpoint } = rig
    await kms.createKey({ slug: 'turning' })
    const { ciphertext } = await kms.encrypt({ key: 'turning', plaintext })
    const first = await kms.rotate({ key: 'turning', expectLatestVersion: 1 })
    assert.equal(first.keyVersion, 2)
    assert.equal(first.key.latestVersion, 2)
    assert.deepEqual(
      first.key.versions.map(({ version }) => version),
      [1, 2],
    )
    const entry = rig.last()
    assert.equal(entry.action, 'kms.rotate')
    assert.equal(entry.keyVersion, 2)
    assert.equal(entry.details?.previousVersion, 1)
    assert.equal(entry.provider?.requestId, lastOf('RotateKeyOnDemand')?.requestId)
    await assert.rejects(kms.rotate({ key: 'turning', expectLatestVersion: 1 }), { code: 'VERSION_CONFLICT' })
    endpoint.rotateAutomatically('alias/turning')
    assert.equal((await kms.describeKey({ key: 'turning' })).key.latestVersion, 3)
    assert.deepEqual((await kms.decrypt({ key: 'turning', ciphertext })).plaintext, plaintext)
    // Of what is asked for only the newest can be had.
    const { ciphertext: newest } = await kms.encrypt({ key: 'turning', plaintext, keyVersion: 3 })
    assert.deepEqual((await kms.decrypt({ key: 'turning', ciphertext: newest })).plaintext, plaintext)
    for (const keyVersion of [1, 2, 4]) {
      const refused = await refusalOf(kms.encrypt({ key: 'turning', plaintext, keyVersion }))
      assert.equal(refused.code, 'VERSION_NOT_FOUND')
      assert.match(refused.message, /newest version of a key, 3/)
    }
    for (let made = 1; made < 25; made++) await kms.rotate({ key: 'turning' })
    await assert.rejects(kms.rotate({ key: 'turning' }), { code: 'USAGE_LIMIT' })
  })

  const lastOf = (operation: string) => rig.endpoint.requests.findLast((seen) => seen.operation === operation)

  test('a rotation that AWS has not completed says so, and refuses another', async () => {
    const own = await startRig({ rotation: 'by-hand' })
    try {
      await own.kms.createKey({ slug: 'slow' })
      const { key, flags } = await own.kms.rotate({ key: 'slow' })
      assert.equal(key.latestVersion, 2)
      assert.deepEqual(flags, ['rotation_under_way'])
      assert.deepEqual(own.last().details?.flags, ['rotation_under_way'])
      assert.equal(own.last().details?.previousVersion, 1)
      assert.equal((await own.kms.describeKey({ key: 'slow' })).key.latestVersion, 1)
      await assert.rejects(own.kms.rotate({ key: 'slow', expectLatestVersion: 1 }), { code: 'VERSION_CONFLICT' })
      own.endpoint.completeRotations()
      assert.equal((await own.kms.describeKey({ key: 'slow' })).key.latestVersion, 2)
    } finally {
      await own.close()
    }
  })

  test('lifecycle: disabled, enabled, to be deleted, kept; crypto only while it is active', async () => {
    const { kms } = rig
    await kms.createKey({ slug: 'life' })
    assert.equal((await kms.disableKey({ key: 'life' })).key.status, 'disabled')
    await assert.rejects(kms.encrypt({ key: 'life', plaintext }), { code: 'KEY_NOT_ACTIVE' })
    assert.equal(rig.last().outcome, 'failure')
    checkProvider()
    assert.equal((await kms.disableKey({ key: 'life' })).key.status, 'disabled')
    assert.equal((await kms.enableKey({ key: 'life' })).key.status, 'active')
    await kms.encrypt({ key: 'life', plaintext })
    const { key } = await kms.scheduleKeyDeletion({ key: 'life', pendingWindowInDays: 7 })
    assert.equal(key.status, 'pending_deletion')
    const inDays = (Date.parse(key.deletionScheduledAt ?? '') - Date.now()) / 86_400_000
    assert.ok(inDays > 6.9 && inDays < 7.1)
    assert.equal(rig.last().details?.deletionScheduledAt, key.deletionScheduledAt)
    await assert.rejects(kms.encrypt({ key: 'life', plaintext }), { code: 'KEY_NOT_ACTIVE' })
    await assert.rejects(kms.enableKey({ key: 'life' }), { code: 'KEY_NOT_ACTIVE' })
    const listed = (await kms.listKeys()).keys.find(({ slug }) => slug === 'life')
    assert.equal(listed?.status, 'pending_deletion')
    const kept = (await kms.cancelKeyDeletion({ key: 'life' })).key
    assert.equal(kept.status, 'disabled')
    assert.equal(kept.deletionScheduledAt, undefined)
    await assert.rejects(kms.cancelKeyDeletion({ key: 'life' }), { code: 'KEY_NOT_ACTIVE' })
    await kms.enableKey({ key: 'life' })
    await kms.encrypt({ key: 'life', plaintext })
    await assert.rejects(kms.scheduleKeyDeletion({ key: 'life', pendingWindowInDays: 31 }), { code: 'INVALID_INPUT' })
  })

  test('updateRotation sets the schedule by which AWS rotates', async () => {
    const { kms, endpoint } = rig
    await kms.createKey({ slug: 'yearly' })
    const on = await kms.updateRotation({ key: 'yearly', keyRotationEnabled: true, rotationPeriodInDays: 180 })
    assert.equal(on.key.rotationPeriodInDays, 180)
    assert.equal(endpoint.key('alias/yearly').rotationDays, 180)
    await kms.updateRotation({ key: 'yearly', keyRotationEnabled: true })
    assert.equal(endpoint.key('alias/yearly').rotationDays, 180)
    const off = await kms.updateRotation({ key: 'yearly', keyRotationEnabled: false })
    assert.equal(off.key.keyRotationEnabled, false)
    assert.equal(off.key.rotationPeriodInDays, undefined)
    assert.equal(endpoint.key('alias/yearly').rotationDays, undefined)
    const again = await kms.updateRotation({ key: 'yearly', keyRotationEnabled: true })
    assert.equal(again.key.rotationPeriodInDays, 365)
    for (const rotationPeriodInDays of [89, 2561])
      await assert.rejects(kms.updateRotation({ key: 'yearly', keyRotationEnabled: true, rotationPeriodInDays }), {
        code: 'INVALID_INPUT',
      })
  })

  test('what AWS lacks is an audited UNSUPPORTED_OPERATION', async () => {
    const { kms } = rig
    await kms.createKey({ slug: 'here' })
    await assert.rejects(kms.export({ key: 'here' }), { code: 'UNSUPPORTED_OPERATION' })
    assert.equal(rig.last().error, 'UNSUPPORTED_OPERATION')
    assert.equal(rig.last().keySlug, 'here')
    await assert.rejects(kms.updateMinDecryptionVersion({ key: 'here', minDecryptionVersion: 1 }), {
      code: 'UNSUPPORTED_OPERATION',
    })
  })

  test('listKeys gives every key that may be described, over all pages, and marks that some may not', async () => {
    const own = await startRig()
    const client = sdkClient(own.endpoint)
    try {
      assert.deepEqual((await own.kms.listKeys()).keys, [])
      for (let made = 0; made < 60; made++) await client.send(new CreateKeyCommand({ Description: `${made}` }))
      await own.kms.createKey({ slug: 'named', keyType: 'hmac-sha256' })
      const { keys, flags } = await own.kms.listKeys()
      assert.equal(keys.length, 61)
      assert.equal(flags, undefined)
      assert.equal(own.last().details?.count, 61)
      assert.deepEqual(
        keys.slice(0, 60).map(({ description }) => description),
        Array.from({ length: 60 }, (_, at) => `${at}`),
      )
      assert.equal(keys.at(-1)?.slug, 'named')
      own.endpoint.fault({
        operation: 'DescribeKey',
        fault: { kind: 'error', name: 'AccessDeniedException', message: 'no' },
      })
      const some = await own.kms.listKeys()
      assert.equal(some.keys.length, 60)
      assert.deepEqual(own.last().details?.flags, ['keys_denied'])
    } finally {
      client.destroy()
      await own.close()
    }
  })
})

describe('names and resolving', { skip: noShared }, () => {
  test('slug, alias, key id, ARN and alias ARN name the same key; two aliases are one slug, the older', async () => {
    const rig = await startRig()
    const client = sdkClient(rig.endpoint)
    try {
      const { key } = await rig.kms.createKey({ slug: 'orders' })
      const id = key.identity.split('/').at(-1) ?? ''
      await new Promise((resolve) => setTimeout(resolve, 5))
      await client.send(new CreateAliasCommand({ AliasName: 'alias/a-newer-one', TargetKeyId: id }))
      const aliasArn = key.identity.replace(/key\/.*/, 'alias/orders')
      for (const name of ['orders', 'alias/orders', id, key.identity, aliasArn, 'a-newer-one']) {
        const { key: used } = await rig.kms.encrypt({ key: name, plaintext })
        assert.equal(used.identity, key.identity)
        assert.equal(used.slug, 'orders', name)
        assert.equal(rig.last().keySlug, 'orders')
      }
      await assert.rejects(rig.kms.encrypt({ key: 'arn:aws:s3:::bucket', plaintext }), { code: 'INVALID_INPUT' })
      await assert.rejects(rig.kms.encrypt({ key: 'none', plaintext }), { code: 'KEY_NOT_FOUND' })
    } finally {
      client.destroy()
      await rig.close()
    }
  })

  test('what a name resolved to holds for its time, and no longer; what AWS refuses is asked anew', async () => {
    const clock = fakeClock()
    const rig = await startRig({ aws: { clock, resolveTtlMs: 1000 } })
    const client = sdkClient(rig.endpoint)
    try {
      const first = (await rig.kms.createKey({ slug: 'orders' })).key
      const second = (await rig.kms.createKey({})).key
      await rig.kms.encrypt({ key: 'orders', plaintext })
      const asked = rig.endpoint.count('DescribeKey')
      await rig.kms.encrypt({ key: 'orders', plaintext })
      assert.equal(rig.endpoint.count('DescribeKey'), asked)
      await client.send(new UpdateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: second.slug }))
      clock.advance(999)
      assert.equal((await rig.kms.encrypt({ key: 'orders', plaintext })).key.identity, first.identity)
      clock.advance(1)
      assert.equal((await rig.kms.encrypt({ key: 'orders', plaintext })).key.identity, second.identity)
      await client.send(new DisableKeyCommand({ KeyId: second.slug }))
      await assert.rejects(rig.kms.encrypt({ key: 'orders', plaintext }), { code: 'KEY_NOT_ACTIVE' })
      const before = rig.endpoint.count('DescribeKey')
      await assert.rejects(rig.kms.encrypt({ key: 'orders', plaintext }), { code: 'KEY_NOT_ACTIVE' })
      assert.equal(rig.endpoint.count('DescribeKey'), before + 1)
    } finally {
      client.destroy()
      await rig.close()
    }
  })

  test('fails closed where a key may not be described, or its aliases not listed, and names the permission', async () => {
    const rig = await startRig({ aws: { resolveTtlMs: 0 } })
    try {
      await rig.kms.createKey({ slug: 'orders' })
      for (const permission of ['DescribeKey', 'ListAliases']) {
        rig.endpoint.deny(permission)
        const refused = await refusalOf(rig.kms.encrypt({ key: 'orders', plaintext }))
        assert.equal(refused.code, 'ACCESS_DENIED')
        assert.match(refused.message, new RegExp(`kms:${permission}$`))
        assert.equal(rig.last().error, 'ACCESS_DENIED')
        rig.endpoint.permit(permission)
      }
      assert.equal(rig.endpoint.count('Encrypt'), 0)
    } finally {
      await rig.close()
    }
  })

  test('keys are of one scope: others find none, list none and make none', async () => {
    const rig = await startRig()
    try {
      await rig.kms.createKey({ slug: 'orders' })
      const call = { operationID: '', scope: { ...home, project: 'other' }, signal: new AbortController().signal }
      assert.deepEqual(await rig.provider.operations.listKeys?.({}, call), { keys: [] })
      const made = async () => rig.provider.operations.createKey?.({}, call)
      await assert.rejects(made, { code: 'INVALID_INPUT' })
      await assert.rejects(async () => rig.provider.resolve?.('orders', call.scope), { code: 'KEY_NOT_FOUND' })
    } finally {
      await rig.close()
    }
  })

  for (const [spec, usage, keyType] of [
    ['ECC_NIST_P256', 'KEY_AGREEMENT', 'aws:ECC_NIST_P256'],
    ['RSA_2048', 'ENCRYPT_DECRYPT', 'rsa-2048'],
  ] as const satisfies readonly (readonly [KeySpec, KeyUsageType, string])[])
    test(`a key of ${spec} for ${usage} is of type ${keyType}`, async () => {
      const rig = await startRig()
      const client = sdkClient(rig.endpoint)
      try {
        const made = await client.send(new CreateKeyCommand({ KeySpec: spec, KeyUsage: usage }))
        const { key } = await rig.kms.describeKey({ key: made.KeyMetadata?.Arn ?? '' })
        assert.equal(key.keyType, keyType)
        assert.equal(key.slug, made.KeyMetadata?.KeyId)
        if (usage === 'KEY_AGREEMENT')
          await assert.rejects(rig.kms.sign({ key: key.slug, input: plaintext }), { code: 'UNSUPPORTED_OPERATION' })
      } finally {
        client.destroy()
        await rig.close()
      }
    })
})
