/** @node Every operation and key type on a real SoftHSM2 token, through a client; node:crypto and pkcs11-tool look over its shoulder. */
import assert from 'node:assert/strict'
import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  verify as nodeVerify,
  privateDecrypt,
} from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { KmsClient } from '../../../src/client.ts'
import { unwrapKwp } from '../../../src/crypto/kwp.ts'
import { engine } from '../../../src/crypto/node.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import type { Pkcs11Kms } from '../../../src/providers/pkcs11/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { summary } from '../../../src/testing/summary.ts'
import { validEntries } from '../../validate.ts'
import { newToken, noToken, pin, type Token } from './token.ts'

const plaintext = new TextEncoder().encode('correct horse battery staple')
const recipient = generateKeyPairSync('rsa', { modulusLength: 2048 })
const recipientSpki = new Uint8Array(recipient.publicKey.export({ type: 'spki', format: 'der' }))

describe('on a SoftHSM2 token', { skip: noToken }, () => {
  let token: Token
  let provider: Pkcs11Kms
  const sink = memorySink()
  let kms: KmsClient

  before(async () => {
    token = newToken()
    provider = await token.open({ sessions: 2 })
    kms = new KmsClient({ provider, audit: { required: [sink] }, region: 'nl-01', project: 'billing' })
    await kms.listKeys({})
  })
  after(async () => {
    await kms.close()
    validEntries(sink.entries)
    const told = JSON.stringify(sink.entries)
    for (const secret of [pin, 'correct horse']) assert.ok(!told.includes(secret))
    await provider.close()
    token.remove()
  })

  async function refusal(act: () => Promise<unknown>): Promise<KmsError> {
    try {
      await act()
    } catch (error) {
      assert.ok(error instanceof KmsError, String(error))
      return error
    }
    throw new assert.AssertionError({ message: 'was not refused' })
  }

  test('what the token is, and what it can do', () => {
    assert.equal(provider.name, 'pkcs11')
    assert.equal(provider.token.label, token.label)
    assert.match(provider.token.serial, /^[0-9a-f]{16}$/)
    assert.ok(provider.mechanisms.includes(0x1087))
    assert.deepEqual(Object.keys(provider.operations).sort(), [
      'createKey',
      'decrypt',
      'describeKey',
      'encrypt',
      'export',
      'generateDataKey',
      'getPublicKey',
      'hmac',
      'listKeys',
      'reEncrypt',
      'rotate',
      'rotateScheduled',
      'sign',
      'verify',
      'verifyHmac',
    ])
  })

  for (const keyType of ['aes128-gcm96', 'aes256-gcm96', 'rsa-2048'] as const) {
    test(`${keyType} encrypts and decrypts, and its versions open what they sealed`, async () => {
      const key = `seal-${keyType}`
      sink.clear()
      await kms.createKey({ slug: key, keyType })
      const encryptionContext = { order: '17' }
      const first = await kms.encrypt({ key, plaintext, encryptionContext })
      const rotated = await kms.rotate({ key, expectLatestVersion: 1 })
      const second = await kms.encrypt({ key, plaintext })
      assert.equal(rotated.key.latestVersion, 2)
      assert.deepEqual([first.keyVersion, second.keyVersion], [1, 2])
      assert.deepEqual(
        (await kms.decrypt({ key, ciphertext: first.ciphertext, encryptionContext })).plaintext,
        plaintext,
      )
      assert.deepEqual((await kms.decrypt({ key, ciphertext: second.ciphertext })).plaintext, plaintext)
      const { code } = await refusal(() => kms.decrypt({ key, ciphertext: first.ciphertext }))
      assert.equal(code, 'INVALID_CIPHERTEXT')
      assert.deepEqual(summary(sink.entries), [
        `kms_key.create pending ${key}`,
        `kms_key.create success ${key}`,
        `kms.encrypt success ${key} v1`,
        `kms.rotate pending ${key}`,
        `kms.rotate success ${key} v2`,
        `kms.encrypt success ${key} v2`,
        `kms.decrypt success ${key} v1`,
        `kms.decrypt success ${key} v2`,
        `kms.decrypt failure ${key} v1 INVALID_CIPHERTEXT`,
      ])
      const opened = sink.entries[6]
      assert.equal(opened?.latestVersion, false)
      assert.equal(opened?.provider?.name, 'pkcs11')
      assert.equal(opened?.provider?.attempts, 1)
      assert.ok(Number(opened?.provider?.durationMs) > 0)
      // With GCM the token says nothing about the cause; with OAEP the block opened, and its digest is another.
      const failed = sink.entries[8]
      assert.equal(failed?.details?.decryptFailure, keyType === 'rsa-2048' ? 'authentication_failed' : undefined)
      assert.deepEqual(sink.entries[2]?.details?.flags, keyType === 'rsa-2048' ? ['oaep_sha1'] : undefined)
    })
  }

  test('the AES frame is as documented', async () => {
    await kms.createKey({ slug: 'framed', keyType: 'aes256-gcm96' })
    const { ciphertext } = await kms.encrypt({ key: 'framed', plaintext })
    assert.deepEqual([...ciphertext.subarray(0, 5)], [0x11, 0, 0, 0, 1])
    assert.equal(ciphertext.length, 5 + 12 + 32 + plaintext.length + 16)
  })

  test('a plaintext that is too long for RSA is refused with the limit', async () => {
    const key = 'seal-rsa-2048'
    const longest = new Uint8Array(256 - 42 - 32).fill(7)
    const { ciphertext } = await kms.encrypt({ key, plaintext: longest })
    assert.deepEqual((await kms.decrypt({ key, ciphertext })).plaintext, longest)
    const { code, message } = await refusal(() => kms.encrypt({ key, plaintext: new Uint8Array(longest.length + 1) }))
    assert.equal(code, 'INVALID_INPUT')
    assert.match(message, /at most 182 bytes, not 183/)
  })

  test('data keys come from the token, and re-encryption goes to another key', async () => {
    const made = await kms.generateDataKey({ key: 'seal-aes256-gcm96', length: 32, encryptionContext: { volume: '3' } })
    assert.equal(made.plaintext.length, 32)
    assert.notDeepEqual(made.plaintext, new Uint8Array(32))
    const moved = await kms.reEncrypt({
      key: 'seal-aes256-gcm96',
      ciphertext: made.ciphertext,
      destinationKey: 'seal-rsa-2048',
      encryptionContext: { volume: '3' },
      destinationEncryptionContext: { volume: '4' },
    })
    assert.equal(moved.destinationKey.slug, 'seal-rsa-2048')
    const opened = await kms.decrypt({
      key: 'seal-rsa-2048',
      ciphertext: moved.ciphertext,
      encryptionContext: { volume: '4' },
    })
    assert.deepEqual(opened.plaintext, made.plaintext)
    const wrapped = await kms.generateDataKey({ key: 'seal-rsa-2048', length: 16 })
    assert.deepEqual(
      (await kms.decrypt({ key: 'seal-rsa-2048', ciphertext: wrapped.ciphertext })).plaintext,
      wrapped.plaintext,
    )
  })

  /** What the recipient makes of an export. */
  function received(keyMaterial: Uint8Array): Uint8Array {
    const how = { key: recipient.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
    const kek = new Uint8Array(privateDecrypt(how, keyMaterial.subarray(0, 256)))
    return unwrapKwp(engine, kek, keyMaterial.slice(256)) ?? new Uint8Array(0)
  }

  const message = new TextEncoder().encode('a release')
  for (const keyType of ['rsa-2048', 'rsa-3072', 'rsa-4096'] as const) {
    test(`${keyType} signs with both paddings and three digests, and node:crypto verifies`, async () => {
      const key = `sign-${keyType}`
      await kms.createKey({ slug: key, keyType })
      const { publicKey } = await kms.getPublicKey({ key })
      for (const padding of ['pss', 'pkcs1v15'] as const) {
        for (const hashAlgorithm of ['sha256', 'sha384', 'sha512'] as const) {
          const { signature } = await kms.sign({ key, input: message, padding, hashAlgorithm })
          const how =
            padding === 'pss'
              ? {
                  key: publicKey,
                  padding: constants.RSA_PKCS1_PSS_PADDING,
                  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
                }
              : { key: publicKey, padding: constants.RSA_PKCS1_PADDING }
          assert.ok(nodeVerify(hashAlgorithm, message, how, signature))
          assert.equal(await kms.verify({ key, input: message, signature, padding, hashAlgorithm }), true)
          const digest = new Uint8Array(createHash(hashAlgorithm).update(message).digest())
          const hashed = await kms.sign({ key, input: digest, prehashed: true, padding, hashAlgorithm })
          assert.ok(nodeVerify(hashAlgorithm, message, how, hashed.signature))
        }
      }
    })
  }

  for (const keyType of ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'ecdsa-secp256k1'] as const) {
    test(`${keyType} signs in both formats and with each digest, and node:crypto verifies`, async () => {
      const key = `sign-${keyType}`
      await kms.createKey({ slug: key, keyType })
      const { publicKey, jwk } = await kms.getPublicKey({ key })
      assert.deepEqual(createPublicKey(publicKey).export({ format: 'jwk' }), jwk)
      for (const hashAlgorithm of ['sha256', 'sha384', 'sha512'] as const) {
        for (const format of ['der', 'ieee-p1363'] as const) {
          const { signature } = await kms.sign({ key, input: message, hashAlgorithm, format })
          assert.ok(nodeVerify(hashAlgorithm, message, { key: publicKey, dsaEncoding: format }, signature))
          assert.equal(await kms.verify({ key, input: message, signature, hashAlgorithm, format }), true)
          const digest = new Uint8Array(createHash(hashAlgorithm).update(message).digest())
          const hashed = await kms.sign({ key, input: digest, prehashed: true, hashAlgorithm, format })
          assert.ok(nodeVerify(hashAlgorithm, message, { key: publicKey, dsaEncoding: format }, hashed.signature))
        }
      }
    })
  }

  test('secp256k1 signatures have the lower s', async () => {
    for (let count = 0; count < 12; count++) {
      const { signature } = await kms.sign({ key: 'sign-ecdsa-secp256k1', input: message, format: 'ieee-p1363' })
      assert.ok((signature[32] ?? 255) < 0x80)
    }
  })

  test('ed25519 signs, and node:crypto verifies', async () => {
    await kms.createKey({ slug: 'ed', keyType: 'ed25519' })
    const { spki, publicKey } = await kms.getPublicKey({ key: 'ed' })
    assert.equal(Buffer.from(publicKey, 'base64').length, 32)
    const { signature } = await kms.sign({ key: 'ed', input: message })
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    assert.ok(nodeVerify(null, message, key, signature))
    assert.equal(
      (await refusal(() => kms.sign({ key: 'ed', input: message, hashAlgorithm: 'sha256' }))).code,
      'INVALID_INPUT',
    )
  })

  test('verify finds the version that signed, and says which was asked for', async () => {
    const old = await kms.sign({ key: 'ed', input: message })
    await kms.rotate({ key: 'ed' })
    const { valid, keyVersion } = await kms.call('verify', { key: 'ed', input: message, signature: old.signature })
    assert.deepEqual({ valid, keyVersion }, { valid: true, keyVersion: 1 })
    assert.equal(await kms.verify({ key: 'ed', input: message, signature: old.signature, keyVersion: 2 }), false)
    sink.clear()
    assert.equal(await kms.verify({ key: 'ed', input: plaintext, signature: old.signature }), false)
    assert.deepEqual(summary(sink.entries), ['kms.verify success ed invalid'])
  })

  for (const [keyType, length] of [
    ['hmac', 32],
    ['hmac-sha256', 32],
    ['hmac-sha384', 48],
    ['hmac-sha512', 64],
  ] as const) {
    test(`${keyType} authenticates`, async () => {
      const key = `mac-${keyType}`
      const made = await kms.createKey({ slug: key, keyType })
      assert.equal(made.key.keyType, keyType)
      const { hmac } = await kms.hmac({ key, input: message })
      assert.equal(hmac.length, length)
      assert.equal(await kms.verifyHmac({ key, input: message, hmac }), true)
      await kms.rotate({ key })
      const { valid, keyVersion } = await kms.call('verifyHmac', { key, input: message, hmac })
      assert.deepEqual({ valid, keyVersion }, { valid: true, keyVersion: 1 })
      assert.equal(await kms.verifyHmac({ key, input: message, hmac, keyVersion: 2 }), false)
      assert.equal(await kms.verifyHmac({ key, input: plaintext, hmac }), false)
    })
  }

  test('an HMAC is the standard one: the same as of a key whose value is known', async () => {
    await kms.createKey({ slug: 'known-mac', keyType: 'hmac-sha384', exportAllowed: true })
    const { keyMaterial } = await kms.export({ key: 'known-mac', recipient: recipientSpki })
    const { hmac } = await kms.hmac({ key: 'known-mac', input: message })
    assert.deepEqual(hmac, new Uint8Array(createHmac('sha384', received(keyMaterial)).update(message).digest()))
  })

  test('keys are described and listed, with what the token can tell', async () => {
    const { key } = await kms.describeKey({ key: 'ed' })
    assert.equal(key.keyType, 'ed25519')
    assert.equal(key.status, 'active')
    assert.equal(key.latestVersion, 2)
    assert.equal(key.exportAllowed, false)
    assert.deepEqual(
      key.versions.map(({ version }) => version),
      [1, 2],
    )
    assert.ok(Math.abs(Date.parse(key.createdAt) - Date.now()) < 600_000)
    const { keys } = await kms.listKeys({})
    assert.ok(keys.some(({ slug }) => slug === 'ed'))
    const byIdentity = await kms.describeKey({ key: key.identity })
    assert.equal(byIdentity.key.slug, 'ed')
  })

  test('what a token has no place for is refused, and so is a slug that is taken', async () => {
    const described = { slug: 'described', keyType: 'ed25519', description: 'of nothing' } as const
    assert.equal((await refusal(() => kms.createKey(described))).code, 'UNSUPPORTED_OPERATION')
    assert.equal((await refusal(() => kms.createKey({ slug: 'ed', keyType: 'ed25519' }))).code, 'KEY_EXISTS')
    const unknown = await refusal(() => kms.createKey({ slug: 'x', keyType: 'chacha20-poly1305' }))
    assert.equal(unknown.code, 'UNSUPPORTED_OPERATION')
    assert.match(unknown.message, /chacha20-poly1305/)
    assert.equal((await refusal(() => kms.disableKey({ key: 'ed' }))).code, 'UNSUPPORTED_OPERATION')
    assert.equal((await refusal(() => kms.encrypt({ key: 'ed', plaintext }))).code, 'UNSUPPORTED_OPERATION')
    assert.equal((await refusal(() => kms.sign({ key: 'framed', input: message }))).code, 'UNSUPPORTED_OPERATION')
    assert.equal((await refusal(() => kms.rotate({ key: 'ed', expectLatestVersion: 1 }))).code, 'VERSION_CONFLICT')
    assert.equal(
      (await refusal(() => kms.encrypt({ key: 'framed', plaintext, keyVersion: 9 }))).code,
      'VERSION_NOT_FOUND',
    )
  })

  describe('export', () => {
    test('of a key that never leaves is the audited failure that it is', async () => {
      sink.clear()
      const { code } = await refusal(() => kms.export({ key: 'framed', recipient: recipientSpki }))
      assert.equal(code, 'EXPORT_NOT_ALLOWED')
      assert.deepEqual(summary(sink.entries), [
        'kms.export pending framed',
        'kms.export failure framed v1 EXPORT_NOT_ALLOWED',
      ])
    })

    test('gives nothing in the clear, even of a key that may leave', async () => {
      await kms.createKey({ slug: 'leaving', keyType: 'aes256-gcm96', exportAllowed: true })
      assert.equal((await kms.describeKey({ key: 'leaving' })).key.exportAllowed, true)
      assert.equal((await refusal(() => kms.export({ key: 'leaving' }))).code, 'EXPORT_NOT_ALLOWED')
      assert.equal((await refusal(() => kms.export({ key: 'leaving', form: 'jwk' }))).code, 'UNSUPPORTED_OPERATION')
      assert.equal((await refusal(() => kms.export({ key: 'leaving', recipient: plaintext }))).code, 'INVALID_INPUT')
    })

    test('wraps for a recipient: what arrives opens what the token sealed', async () => {
      const { ciphertext } = await kms.encrypt({ key: 'leaving', plaintext })
      const { keyMaterial, form } = await kms.export({ key: 'leaving', recipient: recipientSpki })
      assert.equal(form, 'wrapped')
      const key = received(keyMaterial)
      assert.equal(key.length, 32)
      const gcm = createDecipheriv('aes-256-gcm', key, ciphertext.subarray(5, 17))
      const lp = (bytes: Uint8Array) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes])
      const aad = [
        lp(Buffer.from('keytrail/pkcs11/1')),
        lp(ciphertext.subarray(0, 5)),
        lp(Buffer.from('aes256-gcm96')),
        Buffer.alloc(4),
      ]
      gcm.setAAD(Buffer.concat(aad))
      gcm.setAuthTag(ciphertext.subarray(-16))
      const opened = Buffer.concat([gcm.update(ciphertext.subarray(17, -16)), gcm.final()])
      assert.deepEqual(opened, Buffer.concat([Buffer.alloc(32), plaintext]))
      const entry = sink.entries.at(-1)
      assert.match(String(entry?.details?.recipient), /^sha256:[0-9a-f]{64}$/)
    })

    test('of a symmetric key arrives in the embedded KMS', async () => {
      const home = new KmsClient({ provider: memoryKms(), audit: { required: [memorySink()] } })
      const { spki } = await home.call('getWrappingKey', {})
      const { keyMaterial } = await kms.export({ key: 'leaving', recipient: spki })
      const { key } = await home.importKey({ slug: 'arrived', keyType: 'aes256-gcm96', keyMaterial, form: 'wrapped' })
      assert.equal(key.keyType, 'aes256-gcm96')
    })

    test('of a private key is refused here: SoftHSM adds zeros to it', async () => {
      await kms.createKey({ slug: 'moving', keyType: 'ecdsa-p256', exportAllowed: true })
      const { code, message } = await refusal(() => kms.export({ key: 'moving', recipient: recipientSpki }))
      assert.equal(code, 'UNSUPPORTED_OPERATION')
      assert.match(message, /adds zeros/)
    })
  })

  describe('beside pkcs11-tool', () => {
    test('keys made here are sensitive, never extractable, local, and not for wrapping', () => {
      const listed = token.tool('--list-objects', '--type', 'secrkey')
      const ours = listed.split(/(?=Secret Key Object)/).find((text) => text.includes('framed/v1'))
      assert.match(String(ours), /Usage:\s+encrypt, decrypt\s/)
      assert.match(String(ours), /Access:\s+sensitive, always sensitive, never extractable, local/)
      const pairs = token.tool('--list-objects', '--type', 'privkey')
      const pair = pairs.split(/(?=Private Key Object)/).find((text) => text.includes('sign-ecdsa-p256/v1'))
      assert.match(String(pair), /Access:\s+sensitive, always sensitive, never extractable, local/)
    })

    test('the CKA_ID names the intent in the trail that allowed the version', async () => {
      sink.clear()
      await kms.createKey({ slug: 'traced', keyType: 'aes128-gcm96' })
      const operation = sink.entries[0]?.operationID?.replaceAll('-', '')
      const listed = token.tool('--list-objects', '--type', 'secrkey')
      const ours = listed.split(/(?=Secret Key Object)/).find((text) => text.includes('traced/v1'))
      assert.ok(ours?.replace(/\s/g, '').includes(String(operation)))
    })

    for (const [padding, mechanism] of [
      ['pkcs1v15', 'SHA256-RSA-PKCS'],
      ['pss', 'SHA256-RSA-PKCS-PSS'],
    ] as const) {
      test(`it verifies what we signed with ${padding}`, async () => {
        const key = 'sign-rsa-2048'
        const input = join(token.folder, 'message')
        const file = join(token.folder, 'signature')
        writeFileSync(input, message)
        writeFileSync(file, (await kms.sign({ key, input: message, padding })).signature)
        const listed = token.tool('--list-objects', '--type', 'pubkey').split(/(?=Public Key Object)/)
        const id = /ID:\s+([0-9a-f]+)/.exec(listed.find((text) => text.includes(`${key}/v1`)) ?? '')?.[1] ?? ''
        const args = ['--verify', '--mechanism', mechanism, '--id', id, '--input-file', input]
        assert.match(token.tool(...args, '--signature-file', file), /Signature is valid/)
        writeFileSync(input, plaintext)
        assert.match(token.tool(...args, '--signature-file', file), /Invalid signature/)
      })
    }

    test('keys that it makes are used as version 1, and rotated under the same identity', async () => {
      token.tool('--keygen', '--key-type', 'AES:32', '--label', 'adopted', '--id', '0a0b', '--sensitive')
      token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'adopted-pair', '--id', '0c', '--usage-sign')
      const sealed = await kms.encrypt({ key: 'adopted', plaintext })
      assert.equal(sealed.keyVersion, 1)
      const { key } = await kms.describeKey({ key: 'adopted' })
      assert.equal(key.imported, true)
      const rotated = await kms.rotate({ key: 'adopted' })
      assert.equal(rotated.key.identity, key.identity)
      assert.equal((await kms.encrypt({ key: 'adopted', plaintext })).keyVersion, 2)
      assert.deepEqual((await kms.decrypt({ key: 'adopted', ciphertext: sealed.ciphertext })).plaintext, plaintext)
      const { signature } = await kms.sign({ key: 'adopted-pair', input: message })
      const { publicKey } = await kms.getPublicKey({ key: 'adopted-pair' })
      assert.ok(nodeVerify('sha256', message, publicKey, signature))
    })

    test('two keys of one label are used for nothing', async () => {
      token.tool('--keygen', '--key-type', 'AES:32', '--label', 'twice/v1', '--id', '01')
      token.tool('--keygen', '--key-type', 'AES:32', '--label', 'twice/v1', '--id', '02')
      const { code, message } = await refusal(() => kms.encrypt({ key: 'twice', plaintext }))
      assert.equal(code, 'VERSION_CONFLICT')
      assert.match(message, /2 keys labelled twice\/v1/)
      assert.equal((await refusal(() => kms.rotate({ key: 'twice' }))).code, 'VERSION_CONFLICT')
      token.tool('--delete-object', '--type', 'secrkey', '--label', 'twice/v1', '--id', '02')
      assert.equal((await kms.encrypt({ key: 'twice', plaintext })).keyVersion, 1)
    })

    test('a version that it deletes is not found, and the others still work', async () => {
      await kms.createKey({ slug: 'pruned', keyType: 'aes256-gcm96' })
      const first = await kms.encrypt({ key: 'pruned', plaintext })
      await kms.rotate({ key: 'pruned' })
      const second = await kms.encrypt({ key: 'pruned', plaintext })
      token.tool('--delete-object', '--type', 'secrkey', '--label', 'pruned/v1')
      assert.equal(
        (await refusal(() => kms.decrypt({ key: 'pruned', ciphertext: first.ciphertext }))).code,
        'INVALID_CIPHERTEXT',
      )
      assert.equal(sink.entries.at(-1)?.details?.decryptFailure, 'unknown_version')
      assert.deepEqual((await kms.decrypt({ key: 'pruned', ciphertext: second.ciphertext })).plaintext, plaintext)
      assert.equal((await kms.rotate({ key: 'pruned' })).keyVersion, 3)
    })

    test('a version that it makes is found as soon as a ciphertext names it', async () => {
      await kms.createKey({ slug: 'shared', keyType: 'aes256-gcm96' })
      const other = await token.open()
      const elsewhere = new KmsClient({ provider: other, audit: { required: [memorySink()] } })
      await kms.encrypt({ key: 'shared', plaintext })
      await elsewhere.rotate({ key: 'shared' })
      const { ciphertext, keyVersion } = await elsewhere.encrypt({ key: 'shared', plaintext })
      assert.equal(keyVersion, 2)
      assert.deepEqual((await kms.decrypt({ key: 'shared', ciphertext })).plaintext, plaintext)
      await kms.encrypt({ key: 'shared', plaintext })
      await elsewhere.close()
      await other.close()
      // The other's leaving did not log this one out.
      assert.equal((await kms.encrypt({ key: 'shared', plaintext })).keyVersion, 2)
      assert.equal(sink.entries.at(-1)?.provider?.attempts, 1)
    })
  })

  test('what became of an intent: done where its version is on the token, else nobody knows', async () => {
    sink.clear()
    await kms.createKey({ slug: 'intended', keyType: 'aes256-gcm96' })
    const operationID = String(sink.entries[0]?.operationID)
    assert.equal(await provider.outcomeOf(operationID), 'done')
    assert.equal(await provider.outcomeOf('0199c9d0-1b00-7000-8000-000000000000'), 'unknown')
  })

  test('a ciphertext does not move to another key of the same type, version or context', async () => {
    await kms.createKey({ slug: 'here', keyType: 'aes256-gcm96' })
    await kms.createKey({ slug: 'there', keyType: 'aes256-gcm96' })
    const { ciphertext } = await kms.encrypt({ key: 'here', plaintext })
    assert.equal((await refusal(() => kms.decrypt({ key: 'there', ciphertext }))).code, 'INVALID_CIPHERTEXT')
    await kms.rotate({ key: 'here' })
    const renamed = ciphertext.slice()
    renamed[4] = 2
    assert.equal((await refusal(() => kms.decrypt({ key: 'here', ciphertext: renamed }))).code, 'INVALID_CIPHERTEXT')
  })

  test('neither the provider nor its errors show the PIN', async () => {
    const error = await refusal(() => kms.decrypt({ key: 'here', ciphertext: plaintext }))
    const shown = inspect([provider, error], { depth: 12, showHidden: true })
    for (const secret of [pin, 'correct horse']) assert.ok(!shown.includes(secret))
  })
})
