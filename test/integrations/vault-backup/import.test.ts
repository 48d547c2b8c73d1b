/** @node Moving house: a backup becomes a key on the disk, and an audited life with what Vault made. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, createHmac, type KeyObject, publicEncrypt, randomBytes, sign } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { utf8 } from '../../../src/crypto/bytes.ts'
import { encodeContext } from '../../../src/crypto/canonical.ts'
import { importTransitBackup, readTransitBackup } from '../../../src/integrations/vault-backup/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { KmsError, type KmsErrorCode } from '../../../src/model/errors.ts'
import type { ImportableKeyType, KeyType } from '../../../src/model/key.ts'
import type { KmsMiddleware } from '../../../src/model/middleware.ts'
import type { Operation } from '../../../src/model/operation.ts'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { summary } from '../../../src/testing/summary.ts'
import { openTrail, readTrail } from '../../../src/trail/index.ts'
import { noShared, sharedJson } from '../../shared.ts'
import { freshFolder } from '../../storage/folder.ts'
import { backupOf, type Entry, ecKey, ed25519Key, entry, rsaKey, textOf } from './backups.ts'

const words = utf8('the quick brown fox')

async function house(folder: string) {
  const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: new Uint8Array(32).fill(7) })
  const trail = await openTrail({ path: join(folder, 'audit'), signer: local.auditSigner() })
  return new KmsClient({ provider: local, audit: { required: [trail] }, region: 'nl-01', project: 'billing' })
}

async function entriesIn(folder: string): Promise<readonly AuditEntry[]> {
  const entries: AuditEntry[] = []
  for await (const { entry: one } of readTrail(join(folder, 'audit'))) entries.push(one)
  return entries.filter(({ action }) => action.startsWith('kms'))
}

/** A KMS in memory, whose calls `middleware` may stop. */
function flat(t: TestContext, middleware: readonly KmsMiddleware[] = []) {
  const sink = memorySink()
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, middleware })
  t.after(() => kms.close())
  return { kms, entries: () => summary(sink.entries.filter(({ action }) => action.startsWith('kms'))), sink }
}

function code(expected: KmsErrorCode, says = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KmsError, String(error))
    assert.equal(error.code, expected, error.message)
    assert.match(error.message, says)
    return true
  }
}

function bytesIn(one: Entry, name = 'key'): Buffer {
  return Buffer.from(String(one[name]), 'base64')
}

/** As Vault would, by node:crypto alone. */
function sealed(version: number, one: Entry, plaintext: Uint8Array, aad: Uint8Array = new Uint8Array(0)): Uint8Array {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', bytesIn(one), nonce)
  cipher.setAAD(aad)
  const body = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
  return utf8(`vault:v${version}:${body.toString('base64')}`)
}

function mac(version: number, one: Entry, input: Uint8Array, hash = 'sha256'): Uint8Array {
  return utf8(`vault:v${version}:${createHmac(hash, bytesIn(one, 'hmac_key')).update(input).digest('base64')}`)
}

test('a backup, its ciphertexts and its MACs, in a keystore that is opened again', { skip: noShared }, async (t) => {
  const folder = freshFolder(t)
  const { backup } = sharedJson<{
    produced_by_upstream_code: { backup: { backup: string; ciphertext_v1: string; ciphertext_v2: string } }
  }>('fixtures/openbao-transit.json').produced_by_upstream_code
  const kms = await house(folder)
  const { key, imported, existing } = await importTransitBackup(kms, { backup: backup.backup, slug: 'orders-vault' })
  assert.deepEqual([imported, existing], [[2, 1], []])
  assert.equal(key.keyType, 'transit-aes256-gcm96')
  assert.deepEqual([key.imported, key.exportAllowed, key.latestVersion], [true, false, 2])
  assert.equal(key.annotations?.['vault-transit-name'], 'bk')
  await kms.close()

  const again = await house(folder)
  for (const text of [backup.ciphertext_v1, backup.ciphertext_v2]) {
    const { plaintext } = await again.decrypt({ key: 'orders-vault', ciphertext: utf8(text) })
    assert.deepEqual(plaintext, words)
  }
  await again.createKey({ slug: 'orders' })
  const moved = await again.reEncrypt({
    key: 'orders-vault',
    ciphertext: utf8(backup.ciphertext_v1),
    destinationKey: 'orders',
    destinationEncryptionContext: { order: '17' },
  })
  const { plaintext } = await again.decrypt({
    key: 'orders',
    ciphertext: moved.ciphertext,
    encryptionContext: { order: '17' },
  })
  assert.deepEqual(plaintext, words)
  await again.close()

  assert.deepEqual(summary(await entriesIn(folder)), [
    'kms_key.import pending orders-vault v2',
    'kms_key.import success orders-vault v2',
    'kms_key.import_version pending orders-vault v1',
    'kms_key.import_version success orders-vault v1',
    'kms.decrypt success orders-vault v1',
    'kms.decrypt success orders-vault v2',
    'kms_key.create pending orders',
    'kms_key.create success orders',
    'kms.re_encrypt success orders-vault v1',
    'kms.decrypt success orders v1',
  ])
  const secret = Buffer.from('49XhO8/6iFIWW7T+wLcUKPi2d1yY3pP9+Hdn2CuB4Q0=', 'base64')
  for (const path of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!path.isFile()) continue
    const content = readFileSync(join(path.parentPath, path.name))
    for (const spelt of [secret, secret.toString('base64'), secret.toString('hex')])
      assert.equal(content.includes(spelt), false, path.name)
  }
  const [, result] = await entriesIn(folder)
  assert.deepEqual([result?.keyType, result?.region, result?.project], ['transit-aes256-gcm96', 'nl-01', 'billing'])
  assert.equal(result?.details?.form, 'raw')
})

describe('what a moved key does', () => {
  const entries = [entry(), entry(), entry()]
  const [first = entry(), second = entry(), third = entry()] = entries
  const backup = textOf(backupOf({ type: 0, entries, policy: { min_decryption_version: 2 } }))

  test('opens what vaultTransit bound to an encryption context, and what others bound to bytes', async (t) => {
    const { kms } = flat(t)
    await importTransitBackup(kms, { backup })
    const encryptionContext = { order: '17', region: 'nl' }
    const ours = sealed(3, third, words, encodeContext(encryptionContext))
    assert.deepEqual((await kms.decrypt({ key: 'house', ciphertext: ours, encryptionContext })).plaintext, words)
    const theirs = sealed(3, third, words, utf8('invoice 17'))
    const data = { 'vault:associated_data': Buffer.from('invoice 17').toString('base64') }
    const opened = await kms.decrypt({ key: 'house', ciphertext: theirs, encryptionContext: data })
    assert.deepEqual([opened.plaintext, opened.keyVersion], [words, 3])
    for (const wrong of [{ order: '18', region: 'nl' }, {}])
      await assert.rejects(
        kms.decrypt({ key: 'house', ciphertext: ours, encryptionContext: wrong }),
        code('INVALID_CIPHERTEXT'),
      )
  })

  test('keeps to the least version that Vault let be used, until it is lowered', async (t) => {
    const { kms, sink, entries: told } = flat(t)
    const { key, imported } = await importTransitBackup(kms, { backup })
    assert.deepEqual([imported, key.minDecryptionVersion], [[3, 2, 1], 2])
    assert.deepEqual(told().slice(0, 8), [
      'kms_key.import pending house v3',
      'kms_key.import success house v3',
      'kms_key.import_version pending house v2',
      'kms_key.import_version success house v2',
      'kms_key.update pending house',
      'kms_key.update success house',
      'kms_key.import_version pending house v1',
      'kms_key.import_version success house v1',
    ])
    const old = sealed(1, first, words)
    await assert.rejects(kms.decrypt({ key: 'house', ciphertext: old }), code('INVALID_CIPHERTEXT'))
    assert.equal(sink.entries.at(-1)?.details?.decryptFailure, 'version_below_minimum')
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac: mac(1, first, words) }), false)
    await kms.updateMinDecryptionVersion({ key: 'house', minDecryptionVersion: 1 })
    assert.deepEqual((await kms.decrypt({ key: 'house', ciphertext: old })).plaintext, words)
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac: mac(1, first, words) }), true)
  })

  test('verifies MACs of any version and digest, and the entry names the version', async (t) => {
    const { kms, sink } = flat(t)
    await importTransitBackup(kms, { backup })
    for (const [hash, hashAlgorithm] of [
      ['sha256', 'sha256'],
      ['sha384', 'sha384'],
      ['sha512', undefined],
      ['sha1', undefined],
      ['sha3-384', undefined],
    ] as const) {
      const options = { key: 'house', input: words, ...(hashAlgorithm && { hashAlgorithm }) }
      assert.equal(await kms.verifyHmac({ ...options, hmac: mac(2, second, words, hash) }), true)
      assert.deepEqual([sink.entries.at(-1)?.keyVersion, sink.entries.at(-1)?.valid], [2, true])
      assert.equal(await kms.verifyHmac({ ...options, hmac: mac(3, second, words, hash) }), false)
      assert.equal(await kms.verifyHmac({ ...options, hmac: mac(2, second, utf8('slow'), hash) }), false)
      assert.equal(await kms.verifyHmac({ ...options, keyVersion: 3, hmac: mac(2, second, words, hash) }), false)
    }
  })

  test('every ciphertext but the one spelling fails alike, and only the entry says how', async (t) => {
    const { kms, sink } = flat(t)
    await importTransitBackup(kms, { backup })
    const text = new TextDecoder().decode(sealed(2, second, words))
    const body = text.slice('vault:v2:'.length)
    const rows: readonly (readonly [string, string])[] = [
      [`vault:v02:${body}`, 'malformed'],
      [` ${text}`, 'malformed'],
      [`${text}\n`, 'malformed'],
      [`vault:v2:${body.slice(0, 20)}\n${body.slice(20)}`, 'malformed'],
      [`bao:v2:${body}`, 'malformed'],
      [`vault:v2:${body.replace(/=*$/, '')}==`, 'malformed'],
      ['vault:v2:AAAA', 'malformed'],
      [`keytrail:v2:${body}`, 'malformed'],
      [`vault:v9:${body}`, 'unknown_version'],
      [`vault:v3:${body}`, 'authentication_failed'],
      [`vault:v2:${body[0] === 'A' ? 'B' : 'A'}${body.slice(1)}`, 'authentication_failed'],
    ]
    for (const [ciphertext, failure] of rows) {
      await assert.rejects(
        kms.decrypt({ key: 'house', ciphertext: utf8(ciphertext) }),
        code('INVALID_CIPHERTEXT', /^ciphertext does not open with this key and encryption context$/),
      )
      assert.equal(sink.entries.at(-1)?.details?.decryptFailure, failure, ciphertext)
    }
  })

  test('makes nothing, never rotates, and says how to go on', async (t) => {
    const { kms, entries: told } = flat(t)
    await importTransitBackup(kms, { backup, exportAllowed: true })
    const ciphertext = sealed(2, second, words)
    const refused: readonly (readonly [Operation, object])[] = [
      ['encrypt', { plaintext: words }],
      ['generateDataKey', {}],
      ['hmac', { input: words }],
      ['sign', { input: words }],
      ['rotate', {}],
      ['updateRotation', { keyRotationEnabled: true }],
      ['reEncrypt', { ciphertext }],
      ['getPublicKey', {}],
    ]
    for (const [operation, input] of refused) {
      const called = kms.call(operation, { key: 'house', ...input } as never) // the table's own inputs
      await assert.rejects(called, code('UNSUPPORTED_OPERATION', /reEncrypt/))
      assert.match(told().at(-1) ?? '', / failure house .*UNSUPPORTED_OPERATION$/)
    }
    await kms.createKey({ slug: 'own', keyType: 'aes256-gcm96' })
    const { ciphertext: own } = await kms.encrypt({ key: 'own', plaintext: words })
    await assert.rejects(
      kms.reEncrypt({ key: 'own', ciphertext: own, destinationKey: 'house' }),
      code('UNSUPPORTED_OPERATION', /destinationKey/),
    )
    await assert.rejects(
      kms.createKey({ keyType: 'transit-aes256-gcm96' as ImportableKeyType as KeyType }), // not a type that it has
      code('UNSUPPORTED_OPERATION', /importTransitBackup/),
    )
    for (const form of ['jwk', 'pkcs8'] as const)
      await assert.rejects(kms.export({ key: 'house', form }), code('INVALID_INPUT', /raw or wrapped/))
    const { keyMaterial } = await kms.export({ key: 'house', keyVersion: 2 })
    await kms.importKey({ slug: 'copy', keyType: 'transit-aes256-gcm96', keyMaterial, keyVersion: 2 })
    assert.deepEqual((await kms.decrypt({ key: 'copy', ciphertext })).plaintext, words)
    await assert.rejects(
      kms.importKey({ keyType: 'transit-aes128-gcm96', keyMaterial, form: 'raw' }),
      code('INVALID_INPUT', /no transit-aes128-gcm96 key/),
    )
  })

  test('is disabled, enabled, deleted and found in its scope as every other', async (t) => {
    const { kms } = flat(t)
    const { key } = await importTransitBackup(kms, { backup, slug: 'moved' })
    const ciphertext = sealed(3, third, words)
    await kms.disableKey({ key: 'moved' })
    await assert.rejects(kms.decrypt({ key: 'moved', ciphertext }), code('KEY_NOT_ACTIVE'))
    await assert.rejects(kms.verifyHmac({ key: 'moved', input: words, hmac: words }), code('KEY_NOT_ACTIVE'))
    await kms.enableKey({ key: key.identity })
    await kms.scheduleKeyDeletion({ key: 'moved' })
    await assert.rejects(kms.decrypt({ key: 'moved', ciphertext }), code('KEY_NOT_ACTIVE'))
    await kms.cancelKeyDeletion({ key: 'moved' })
    assert.deepEqual((await kms.decrypt({ key: 'moved', ciphertext })).plaintext, words)
    assert.deepEqual(
      (await kms.listKeys()).keys.map(({ keyType }) => keyType),
      ['transit-aes256-gcm96'],
    )
  })
})

describe('other types, end to end', () => {
  const text = (version: number, bytes: Uint8Array, encoding: 'base64' | 'base64url' = 'base64') =>
    utf8(`vault:v${version}:${Buffer.from(bytes).toString(encoding)}`)

  test('ECDSA: SHA-256 unless told, DER and jws, and digests made elsewhere', async (t) => {
    const { kms, sink } = flat(t)
    const keys = [ecKey('P-384'), ecKey('P-384')]
    await importTransitBackup(kms, { backup: textOf(backupOf({ type: 6, entries: keys.map((one) => one.entry) })) })
    const [, { privateKey: key } = ecKey('P-384')] = keys
    const der = text(2, sign('sha256', words, key))
    assert.equal(await kms.verify({ key: 'house', input: words, signature: der }), true)
    assert.equal(sink.entries.at(-1)?.keyVersion, 2)
    const digest = new Uint8Array(createHash('sha256').update(words).digest())
    assert.equal(
      await kms.verify({ key: 'house', input: digest, signature: der, prehashed: true, hashAlgorithm: 'sha256' }),
      true,
    )
    const jws = text(2, sign('sha512', words, { key, dsaEncoding: 'ieee-p1363' }), 'base64url')
    const how = { key: 'house', input: words, hashAlgorithm: 'sha512', format: 'ieee-p1363' } as const
    assert.equal(await kms.verify({ ...how, signature: jws }), true)
    assert.equal(await kms.verify({ ...how, format: 'der', signature: jws }), false)
    const { publicKey, jwk } = await kms.getPublicKey({ key: 'house' })
    assert.equal(publicKey, String(keys[1]?.entry['public_key']))
    assert.equal(jwk?.['crv'], 'P-384')
  })

  test('Ed25519', async (t) => {
    const { kms } = flat(t)
    const { privateKey, entry: one } = ed25519Key()
    await importTransitBackup(kms, { backup: textOf(backupOf({ type: 2, entries: [one] })) })
    const signature = sign(null, words, privateKey)
    assert.equal(await kms.verify({ key: 'house', input: words, signature: text(1, signature) }), true)
    assert.equal(await kms.verify({ key: 'house', input: words, signature: new Uint8Array(signature) }), true)
    assert.equal(await kms.verify({ key: 'house', input: utf8('slow'), signature: text(1, signature) }), false)
    assert.equal((await kms.getPublicKey({ key: 'house' })).jwk?.['kty'], 'OKP')
  })

  test("plain signatures and MACs, as vaultTransit gives them, with this library's defaults", async (t) => {
    const { kms, sink } = flat(t)
    const keys = [ecKey('P-384'), ecKey('P-384')]
    await importTransitBackup(kms, { backup: textOf(backupOf({ type: 6, entries: keys.map((one) => one.entry) })) })
    const [{ privateKey: key, entry: first } = ecKey('P-384')] = keys
    const plain = (hash: string) => new Uint8Array(sign(hash, words, key))
    assert.equal(await kms.verify({ key: 'house', input: words, signature: plain('sha384') }), true)
    assert.equal(sink.entries.at(-1)?.keyVersion, 1)
    assert.equal(await kms.verify({ key: 'house', input: words, signature: plain('sha256') }), false)
    const asked = { key: 'house', input: words, hashAlgorithm: 'sha256' } as const
    assert.equal(await kms.verify({ ...asked, signature: plain('sha256') }), true)
    assert.equal(await kms.verify({ ...asked, keyVersion: 2, signature: plain('sha256') }), false)
    const p1363 = new Uint8Array(sign('sha256', words, { key, dsaEncoding: 'ieee-p1363' }))
    assert.equal(await kms.verify({ ...asked, signature: p1363, format: 'ieee-p1363' }), true)
    const hmac = new Uint8Array(createHmac('sha256', bytesIn(first, 'hmac_key')).update(words).digest())
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac }), true)
    assert.equal(sink.entries.at(-1)?.keyVersion, 1)
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac: hmac.slice(1) }), false)
    assert.equal(await kms.verifyHmac({ key: 'house', input: utf8('slow'), hmac }), false)
    // What begins as a text is read as one.
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac: utf8('vault:') }), false)
  })

  test('Ed25519, derived: MACs verify, signatures say that they need a context', async (t) => {
    const { kms } = flat(t)
    const { entry: one } = ed25519Key()
    await importTransitBackup(kms, { backup: textOf(backupOf({ type: 2, entries: [one], policy: { derived: true } })) })
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac: mac(1, one, words) }), true)
    await assert.rejects(
      kms.verify({ key: 'house', input: words, signature: text(1, words) }),
      code('UNSUPPORTED_OPERATION', /context/),
    )
  })

  test('RSA: OAEP, PSS with any salt, PKCS#1 v1.5', async (t) => {
    const { kms } = flat(t)
    const { privateKey: key, entry: one } = rsaKey(2048)
    await importTransitBackup(kms, { backup: textOf(backupOf({ type: 3, entries: [one] })) })
    const block = publicEncrypt({ key: key as KeyObject, oaepHash: 'sha256' }, words)
    assert.deepEqual((await kms.decrypt({ key: 'house', ciphertext: text(1, block) })).plaintext, words)
    await assert.rejects(
      kms.decrypt({ key: 'house', ciphertext: text(1, block.subarray(1)) }),
      code('INVALID_CIPHERTEXT'),
    )
    for (const saltLength of [0, 20, 32, 222]) {
      const signature = text(1, sign('sha256', words, { key, padding: 6, saltLength }))
      assert.equal(await kms.verify({ key: 'house', input: words, signature }), true, String(saltLength))
      assert.equal(await kms.verify({ key: 'house', input: utf8('slow'), signature }), false)
      assert.equal(await kms.verify({ key: 'house', input: words, signature, padding: 'pkcs1v15' }), false)
    }
    const old = text(1, sign('sha512', words, { key, padding: 1 }))
    const how = { key: 'house', input: words, padding: 'pkcs1v15' } as const
    assert.equal(await kms.verify({ ...how, signature: old, hashAlgorithm: 'sha512' }), true)
    assert.equal(await kms.verify({ ...how, signature: old }), false)
    assert.equal(await kms.verifyHmac({ key: 'house', input: words, hmac: mac(1, one, words) }), true)
  })

  test('RSA whose parts do not belong together is refused, and nothing is imported', async (t) => {
    const { kms, entries: told } = flat(t)
    const [one, other] = [rsaKey(2048), rsaKey(2048)].map((made) => made.entry['rsa_key'] as Entry) // made there
    const mixed = entry({ key: null, rsa_key: { ...one, D: other?.['D'] ?? null } })
    const backup = textOf(backupOf({ type: 3, entries: [mixed] }))
    await assert.rejects(importTransitBackup(kms, { backup }), code('INVALID_INPUT', /no transit-rsa-2048 key/))
    assert.deepEqual(told(), ['kms_key.import pending house v1', 'kms_key.import failure house v1 INVALID_INPUT'])
    assert.equal((await kms.listKeys()).keys.length, 0)
  })
})

describe('an import that was cut off', () => {
  const entries = Array.from({ length: 5 }, () => entry())
  const backup = textOf(backupOf({ type: 0, entries, policy: { min_decryption_version: 3 } }))
  const usable = async (kms: KmsClient, versions: readonly number[]) => {
    for (const version of versions) {
      const ciphertext = sealed(version, entries[version - 1] ?? entry(), words)
      assert.deepEqual((await kms.decrypt({ key: 'house', ciphertext })).plaintext, words)
    }
  }

  for (let broken = 1; broken <= 6; broken++) {
    test(`before its change ${broken} is taken up again, and no version below the least was ever usable`, async (t) => {
      let left = broken
      const { kms, sink } = flat(t, [
        (call, next) => {
          const changes = call.operation.startsWith('import') || call.operation === 'updateMinDecryptionVersion'
          if (changes && --left === 0) throw new KmsError('ACCESS_DENIED', 'not now')
          return next()
        },
      ])
      await assert.rejects(importTransitBackup(kms, { backup }), code('ACCESS_DENIED'))
      const [half] = (await kms.listKeys()).keys
      const has = half?.versions.map(({ version }) => version) ?? []
      assert.ok(has.every((version) => version >= 3) || half?.minDecryptionVersion === 3, String(has))
      const { key, imported, existing } = await importTransitBackup(kms, { backup })
      assert.deepEqual([...imported, ...existing].sort(), [1, 2, 3, 4, 5])
      assert.deepEqual(existing, has)
      assert.equal(key.minDecryptionVersion, 3)
      assert.equal(key.versions.length, 5)
      await usable(kms, [3, 4, 5])
      const again = await importTransitBackup(kms, { backup })
      assert.deepEqual([again.imported, again.existing], [[], [1, 2, 3, 4, 5]])
      assert.equal(
        sink.entries.filter(({ action, outcome }) => action === 'kms_key.import' && outcome === 'success').length,
        1,
      )
    })
  }

  test('a later backup brings its newer versions, and a raised least', async (t) => {
    const { kms } = flat(t)
    await importTransitBackup(kms, { backup: textOf(backupOf({ type: 0, entries: entries.slice(0, 2) })) })
    const { key, imported, existing } = await importTransitBackup(kms, { backup })
    assert.deepEqual(
      [imported, existing],
      [
        [5, 4, 3],
        [1, 2],
      ],
    )
    assert.deepEqual([key.latestVersion, key.minDecryptionVersion], [5, 3])
    await usable(kms, [3, 4, 5])
  })

  test('another key of the same name, or one made here, is not mixed with it', async (t) => {
    const { kms } = flat(t)
    await importTransitBackup(kms, { backup })
    const other = textOf(backupOf({ type: 0, entries: Array.from({ length: 6 }, () => entry()) }))
    await assert.rejects(importTransitBackup(kms, { backup: other }), code('KEY_EXISTS', /not of this backup/))
    await kms.createKey({ slug: 'own', keyType: 'aes256-gcm96' })
    await assert.rejects(importTransitBackup(kms, { backup, slug: 'own' }), code('KEY_EXISTS', /not of this backup/))
    assert.equal((await kms.describeKey({ key: 'house' })).key.versions.length, 5)
  })

  test('what is no backup at all is refused before anything is called', async (t) => {
    const { kms, entries: told } = flat(t)
    for (const backup of [undefined, null, 7, '', 'AAAA'])
      await assert.rejects(importTransitBackup(kms, { backup: backup as string }), code('INVALID_INPUT')) // wrong types too
    assert.deepEqual(told(), [])
  })

  test('a name that is no slug needs one; annotations of the caller stay beside ours', async (t) => {
    const { kms } = flat(t)
    const named = textOf(backupOf({ type: 0, entries, policy: { name: 'Orders_2019' } }))
    await assert.rejects(importTransitBackup(kms, { backup: named }), code('INVALID_INPUT', /slug/))
    const read = readTransitBackup(named)
    const options = { backup: read, slug: 'orders', annotations: { team: 'billing' }, labels: { from: 'vault' } }
    const { key } = await importTransitBackup(kms, options)
    assert.deepEqual(
      [key.annotations?.['team'], key.annotations?.['vault-transit-name'], key.labels],
      ['billing', 'Orders_2019', { from: 'vault' }],
    )
    // It was handed in, so it is not wiped.
    assert.ok((read.versions[0]?.keyMaterial().length ?? 0) > 0)
    read.wipe()
  })
})
