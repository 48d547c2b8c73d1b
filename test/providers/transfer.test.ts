/** @node Key material in and out: what was exported and imported again opens old ciphertexts, whatever way it went. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { fromUtf8, utf8 } from '../../src/crypto/bytes.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import type { KeyType } from '../../src/model/key.ts'
import type { Input, KeyMaterialForm } from '../../src/model/operation.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import type { EmbeddedKms } from '../../src/providers/local/provider.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { unwrapKeyMaterial, wrapKeyMaterial } from '../../src/wrapping.ts'
import { kmsError } from '../crypto/engines.ts'
import { freshFolder } from '../storage/folder.ts'
import { bytes, failureOf, run } from './calls.ts'

const keyTypes = Object.keys(algorithms) as KeyType[] // the table's own names
const importable = keyTypes.filter((keyType) => !algorithms[keyType].uses.includes('mac'))
const plaintext = bytes('a secret of the house')

const recipient = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { format: 'der', type: 'spki' },
  privateKeyEncoding: { format: 'der', type: 'pkcs8' },
})
const spki = new Uint8Array(recipient.publicKey)
const privateKey = new Uint8Array(recipient.privateKey)
const fingerprintOf = (der: Uint8Array) => `sha256:${createHash('sha256').update(der).digest('hex')}`

/** Lets a key work, and answers with a check of another key that should have the same material. */
async function work(kms: EmbeddedKms, key: string, keyType: KeyType, keyVersion?: number) {
  const { uses } = algorithms[keyType]
  const version = keyVersion === undefined ? {} : { keyVersion }
  const sealed = uses.includes('encrypt') ? await run(kms, 'encrypt', { key, plaintext, ...version }) : undefined
  const signed = uses.includes('sign') ? await run(kms, 'sign', { key, input: plaintext, ...version }) : undefined
  return async (other: EmbeddedKms, otherKey: string): Promise<void> => {
    if (sealed !== undefined) {
      const opened = await run(other, 'decrypt', { key: otherKey, ciphertext: sealed.ciphertext })
      assert.deepEqual([opened.plaintext, opened.keyVersion], [plaintext, sealed.keyVersion])
    }
    if (signed !== undefined) {
      const input = { key: otherKey, input: plaintext, signature: signed.signature }
      const { valid, keyVersion } = await run(other, 'verify', input)
      assert.deepEqual([valid, keyVersion], [true, signed.keyVersion])
    }
  }
}

describe('what was exported and imported', () => {
  let here: EmbeddedKms
  let there: EmbeddedKms
  let wrappingKey: Uint8Array
  before(async () => {
    here = memoryKms({ mlDsa })
    there = memoryKms({ mlDsa })
    wrappingKey = (await run(there, 'getWrappingKey', {})).spki
  })
  after(async () => {
    await here.close()
    await there.close()
  })

  for (const keyType of importable)
    test(`${keyType}: works on with what was made before, in the clear, as a JWK and wrapped`, async () => {
      await run(here, 'createKey', { slug: keyType, keyType, exportAllowed: true })
      const check = await work(here, keyType, keyType)
      const forms: readonly KeyMaterialForm[] = [algorithms[keyType].form, 'jwk', 'wrapped']
      const seen = new Set<string>()
      for (const form of forms) {
        const wrapping = form === 'wrapped' ? { recipient: wrappingKey } : {}
        const exported = await run(here, 'export', { key: keyType, form, ...wrapping })
        const { keyMaterial } = exported
        assert.deepEqual([exported.form, exported.keyVersion], [form, 1])
        assert.deepEqual([keyMaterial.byteOffset, keyMaterial.buffer.byteLength], [0, keyMaterial.length])
        seen.add(Buffer.from(keyMaterial).toString('hex'))
        const slug = `${keyType}-${form}`
        const imported = await run(there, 'importKey', { slug, keyType, keyMaterial, form })
        const { key } = imported
        assert.deepEqual([key.imported, key.allowRotation, key.latestVersion], [true, false, 1])
        assert.equal(imported.wrappingKey, form === 'wrapped' ? fingerprintOf(wrappingKey) : undefined)
        await check(there, slug)
      }
      assert.equal(seen.size, forms.length)
    })

  for (const keyType of keyTypes.filter((type) => !importable.includes(type)))
    test(`${keyType}: leaves, and is not let in`, async () => {
      await run(here, 'createKey', { slug: keyType, keyType, exportAllowed: true })
      const { keyMaterial } = await run(here, 'export', { key: keyType })
      assert.equal(keyMaterial.length, algorithms[keyType].materialLength)
      const error = await failureOf(run(there, 'importKey', { slug: keyType, keyType, keyMaterial }))
      kmsError('INVALID_INPUT', /cannot be imported: create one/)(error)
    })

  test('a key with several versions moves, version by version, and its gaps are gaps', async () => {
    await run(here, 'createKey', { slug: 'moving', exportAllowed: true })
    await run(here, 'rotate', { key: 'moving' })
    await run(here, 'rotate', { key: 'moving' })
    const checks = [await work(here, 'moving', 'xaes256-gcm', 1), await work(here, 'moving', 'xaes256-gcm', 3)]
    const materialOf = async (keyVersion: number) =>
      (await run(here, 'export', { key: 'moving', keyVersion })).keyMaterial
    const imported = await run(there, 'importKey', {
      slug: 'moved',
      keyType: 'xaes256-gcm',
      keyMaterial: await materialOf(3),
      keyVersion: 3,
    })
    assert.deepEqual(
      imported.key.versions.map(({ version }) => version),
      [3],
    )
    await checks[1]?.(there, 'moved')
    const tooOld = await failureOf((checks[0] ?? assert.fail())(there, 'moved'))
    kmsError('INVALID_CIPHERTEXT')(tooOld)

    const added = await run(there, 'importKeyVersion', {
      key: 'moved',
      keyVersion: 1,
      keyMaterial: await materialOf(1),
    })
    assert.deepEqual(
      added.key.versions.map(({ version }) => version),
      [1, 3],
    )
    assert.equal(added.key.latestVersion, 3)
    for (const check of checks) await check(there, 'moved')
    const gap = await failureOf(run(there, 'encrypt', { key: 'moved', plaintext, keyVersion: 2 }))
    kmsError('VERSION_NOT_FOUND', /has no version 2/)(gap)
    assert.equal((await run(there, 'encrypt', { key: 'moved', plaintext })).keyVersion, 3)

    const twice = { key: 'moved', keyVersion: 1, keyMaterial: await materialOf(1) }
    kmsError('VERSION_CONFLICT', /has a version 1 already/)(await failureOf(run(there, 'importKeyVersion', twice)))
    const newer = { key: 'moved', keyVersion: 4, keyMaterial: new Uint8Array(randomBytes(32)) }
    kmsError('INVALID_INPUT', /without allowRotation/)(await failureOf(run(there, 'importKeyVersion', newer)))
    const rotated = await failureOf(run(there, 'rotate', { key: 'moved' }))
    kmsError('INVALID_INPUT', /without allowRotation/)(rotated)
    const own = { key: 'moving', keyVersion: 9, keyMaterial: new Uint8Array(32) }
    kmsError('INVALID_INPUT', /was made here/)(await failureOf(run(here, 'importKeyVersion', own)))
  })

  test('with allowRotation it rotates, by us and by import', async () => {
    const keyMaterial = new Uint8Array(randomBytes(32))
    const given = { slug: 'turning', keyType: 'aes256-gcm96', keyMaterial, allowRotation: true } as const
    assert.equal((await run(there, 'importKey', given)).key.allowRotation, true)
    assert.equal((await run(there, 'rotate', { key: 'turning' })).keyVersion, 2)
    const next = { key: 'turning', keyVersion: 7, keyMaterial: new Uint8Array(randomBytes(32)) }
    assert.equal((await run(there, 'importKeyVersion', next)).key.latestVersion, 7)
    assert.equal((await run(there, 'encrypt', { key: 'turning', plaintext })).keyVersion, 7)
    assert.equal((await run(there, 'rotate', { key: 'turning', expectLatestVersion: 7 })).keyVersion, 8)
  })

  test('automatic rotation cannot be switched on for one imported without allowRotation', async () => {
    const keyMaterial = new Uint8Array(randomBytes(32))
    await run(there, 'importKey', { slug: 'still', keyType: 'aes256-gcm96', keyMaterial })
    const error = await failureOf(run(there, 'updateRotation', { key: 'still', keyRotationEnabled: true }))
    kmsError('INVALID_INPUT', /without allowRotation/)(error)
    await run(there, 'updateRotation', { key: 'still', keyRotationEnabled: false })
  })

  test('the bytes given are not changed, and changing them later changes nothing', async () => {
    const keyMaterial = new Uint8Array(randomBytes(32))
    const before = keyMaterial.slice()
    await run(there, 'importKey', { slug: 'kept', keyType: 'aes256-gcm96', keyMaterial, exportAllowed: true })
    assert.deepEqual(keyMaterial, before)
    keyMaterial.fill(0)
    assert.deepEqual((await run(there, 'export', { key: 'kept' })).keyMaterial, before)
  })

  const wrong: readonly [string, Partial<Input<'importKey'>>, RegExp][] = [
    ['a key too short', { keyMaterial: new Uint8Array(31) }, /no aes256-gcm96 key in the form raw/],
    [
      'the form of another type',
      { form: 'pkcs8', keyMaterial: new Uint8Array(32) },
      /is raw, jwk or wrapped, not pkcs8/,
    ],
    [
      'PKCS#8 that is none',
      { keyType: 'ecdsa-p256', keyMaterial: new Uint8Array(138) },
      /no ecdsa-p256 key in the form pkcs8/,
    ],
    ['an Ed25519 key as P-256', { keyType: 'ecdsa-p256', keyMaterial: pkcs8('ed25519') }, /no ecdsa-p256 key/],
    ['an RSA key of another size', { keyType: 'rsa-3072', keyMaterial: privateKey }, /no rsa-3072 key/],
    ['a JWK that is no JSON', { form: 'jwk', keyMaterial: utf8('{') }, /no aes256-gcm96 key in the form jwk/],
    ['a JWK of another kind', { form: 'jwk', keyMaterial: utf8('{"kty":"OKP","k":"AA"}') }, /in the form jwk/],
    [
      'what is not wrapped',
      { form: 'wrapped', keyMaterial: new Uint8Array(600) },
      /no aes256-gcm96 key in the form wrapped/,
    ],
    ['an unknown type', { keyType: 'des' as KeyType }, /'keyType' must be one of aes128-gcm96, /],
  ]
  for (const [what, given, says] of wrong)
    test(`${what} is refused in words`, async () => {
      const input = { slug: 'wrong', keyType: 'aes256-gcm96', keyMaterial: new Uint8Array(32), ...given } as const
      kmsError('INVALID_INPUT', says)(await failureOf(run(there, 'importKey', input)))
      kmsError('KEY_NOT_FOUND')(await failureOf(run(there, 'describeKey', { key: 'wrong' })))
    })

  test('a slug that is taken is refused before anything is opened', async () => {
    const input = { slug: 'moved', keyType: 'aes256-gcm96', keyMaterial: new Uint8Array(1), form: 'wrapped' } as const
    kmsError('KEY_EXISTS')(await failureOf(run(there, 'importKey', input)))
  })
})

function pkcs8(type: 'ed25519'): Uint8Array {
  const { privateKey } = generateKeyPairSync(type, {
    publicKeyEncoding: { format: 'der', type: 'spki' },
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
  })
  return new Uint8Array(privateKey)
}

describe('export for a recipient', () => {
  test('opens with its private key only, and never twice to the same bytes', async () => {
    const kms = memoryKms()
    await run(kms, 'createKey', { slug: 'k', exportAllowed: true })
    const clear = await run(kms, 'export', { key: 'k' })
    const [one, two] = [
      await run(kms, 'export', { key: 'k', recipient: spki }),
      await run(kms, 'export', { key: 'k', recipient: spki, form: 'wrapped' }),
    ]
    assert.deepEqual([one.form, two.form], ['wrapped', 'wrapped'])
    assert.notDeepEqual(one.keyMaterial, two.keyMaterial)
    for (const { keyMaterial: wrapped } of [one, two])
      assert.deepEqual(await unwrapKeyMaterial({ wrapped, privateKey }), clear.keyMaterial)
    const changed = one.keyMaterial.map((byte, at) => (at === 290 ? byte ^ 1 : byte))
    await assert.rejects(
      unwrapKeyMaterial({ wrapped: changed, privateKey }),
      kmsError('INVALID_INPUT', /does not open/),
    )
    await kms.close()
  })

  test('needs a recipient that is an RSA key of a fair size, and the form that goes with one', async () => {
    const kms = memoryKms()
    await run(kms, 'createKey', { slug: 'k', exportAllowed: true })
    const small = generateKeyPairSync('rsa', {
      modulusLength: 1024,
      publicKeyEncoding: { format: 'der', type: 'spki' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    })
    const refusals: readonly [Partial<Input<'export'>>, RegExp][] = [
      [{ form: 'wrapped' }, /'recipient' goes with form 'wrapped'/],
      [{ form: 'raw', recipient: spki }, /'recipient' goes with form 'wrapped'/],
      [{ form: 'pkcs8' }, /is raw, jwk or wrapped, not pkcs8/],
      [{ recipient: new Uint8Array(294) }, /recipient/],
      [{ recipient: new Uint8Array(small.publicKey) }, /2048/],
    ]
    for (const [input, says] of refusals)
      kmsError('INVALID_INPUT', says)(await failureOf(run(kms, 'export', { key: 'k', ...input })))
    await kms.close()
  })
})

describe('the wrapping key', () => {
  test('is one of RSA-4096 for all, until it is rotated: then what was wrapped to the one before stays outside', async (t) => {
    const path = freshFolder(t)
    const rootKey = new Uint8Array(randomBytes(32))
    const kms = await openLocalKms({ path, rootKey })
    const [first, again] = await Promise.all([run(kms, 'getWrappingKey', {}), run(kms, 'getWrappingKey', {})])
    assert.deepEqual(first.spki, again.spki)
    assert.equal(first.spki.length, 550)
    assert.equal(first.fingerprint, fingerprintOf(first.spki))
    assert.match(first.publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
    await kms.close()

    const reopened = await openLocalKms({ path, rootKey })
    assert.deepEqual((await run(reopened, 'getWrappingKey', {})).spki, first.spki)
    const keyMaterial = await wrapKeyMaterial({ keyMaterial: new Uint8Array(32), recipient: first.spki })
    const given = { keyType: 'aes256-gcm96', keyMaterial, form: 'wrapped' } as const
    await run(reopened, 'importKey', { ...given, slug: 'before' })
    const second = await run(reopened, 'rotateWrappingKey', {})
    assert.notDeepEqual(second.spki, first.spki)
    kmsError('INVALID_INPUT', /form wrapped/)(await failureOf(run(reopened, 'importKey', { ...given, slug: 'after' })))
    await reopened.close()
  })

  test('a keystore that has none says how to make it', async () => {
    const kms = memoryKms()
    const given = { slug: 'k', keyType: 'aes256-gcm96', keyMaterial: new Uint8Array(600), form: 'wrapped' } as const
    kmsError(
      'INVALID_INPUT',
      /no wrapping key yet: getWrappingKey makes it/,
    )(await failureOf(run(kms, 'importKey', given)))
    await kms.close()
  })
})

describe('JSON Web Keys', () => {
  test('a symmetric key is an oct key of one member', async () => {
    const kms = memoryKms()
    await run(kms, 'createKey', { slug: 'k', exportAllowed: true })
    const { keyMaterial } = await run(kms, 'export', { key: 'k', form: 'jwk' })
    const jwk: unknown = JSON.parse(fromUtf8(keyMaterial) ?? '')
    const raw = (await run(kms, 'export', { key: 'k' })).keyMaterial
    assert.deepEqual(jwk, { kty: 'oct', k: Buffer.from(raw).toString('base64url') })
    await kms.close()
  })
})
