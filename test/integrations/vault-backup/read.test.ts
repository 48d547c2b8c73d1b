/** What a transit backup may hold, and how what it must not hold is refused: by name, never by value. */
import assert from 'node:assert/strict'
import { createPublicKey, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { toBase64, utf8 } from '../../../src/crypto/bytes.ts'
import { decodeTransitVersion } from '../../../src/crypto/transit-material.ts'
import { readTransitBackup } from '../../../src/integrations/vault-backup/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { kmsError } from '../../crypto/engines.ts'
import { noShared, sharedJson } from '../../shared.ts'
import {
  type Backup,
  backupOf,
  ecKey,
  ed25519Key,
  emptyEntry,
  entry,
  goJson,
  type Json,
  rsaKey,
  textOf,
} from './backups.ts'

interface Fixture {
  readonly produced_by_upstream_code: {
    readonly backup: { readonly backup: string }
    readonly stored_policy_after_2_rotations_min_decryption_3: { readonly [name: string]: Json }
    readonly stored_archive_after_2_rotations_min_decryption_3: { readonly keys: readonly { readonly key: string }[] }
  }
}

const fixture = () => sharedJson<Fixture>('fixtures/openbao-transit.json').produced_by_upstream_code

function keyIn(backup: ReturnType<typeof readTransitBackup>, version: number): string {
  const one = backup.versions.find((known) => known.version === version) ?? assert.fail(`no version ${version}`)
  const facts = decodeTransitVersion(backup.keyType, one.keyMaterial()) ?? assert.fail()
  return toBase64(facts.key.slice())
}

describe('known answers', { skip: noShared }, () => {
  test('the backup that genuine code made', () => {
    const backup = readTransitBackup(fixture().backup.backup)
    const { name, keyType, latestVersion, minDecryptionVersion } = backup
    assert.deepEqual([name, keyType, latestVersion, minDecryptionVersion], ['bk', 'transit-aes256-gcm96', 2, 1])
    assert.deepEqual(
      backup.versions.map(({ version, createdAt }) => [version, createdAt]),
      [
        [1, '2026-11-22T07:42:54.228186314Z'],
        [2, '2026-11-22T07:42:54.22819682Z'],
      ],
    )
    assert.equal(keyIn(backup, 1), '49XhO8/6iFIWW7T+wLcUKPi2d1yY3pP9+Hdn2CuB4Q0=')
  })

  test('a policy whose older versions are in the archive alone', () => {
    const { stored_policy_after_2_rotations_min_decryption_3: policy } = fixture()
    const { stored_archive_after_2_rotations_min_decryption_3: archived } = fixture()
    const text = JSON.stringify({ policy, archived_keys: archived })
    const backup = readTransitBackup(Buffer.from(text).toString('base64'))
    assert.equal(backup.minDecryptionVersion, 3)
    assert.deepEqual(
      backup.versions.map(({ version }) => version),
      [1, 2, 3],
    )
    for (const version of [1, 2, 3]) assert.equal(keyIn(backup, version), archived.keys[version]?.key)
  })
})

describe('every key type', () => {
  const symmetric = (length: number) => entry({ key: randomBytes(length).toString('base64') })
  const both = (length: number) => {
    const key = randomBytes(length).toString('base64')
    return entry({ key, hmac_key: key })
  }
  const rows: readonly (readonly [string, number, () => ReturnType<typeof entry>])[] = [
    ['transit-aes256-gcm96', 0, () => symmetric(32)],
    ['transit-ecdsa-p256', 1, () => ecKey('P-256').entry],
    ['transit-ed25519', 2, () => ed25519Key().entry],
    ['transit-rsa-2048', 3, () => rsaKey(2048).entry],
    ['transit-chacha20-poly1305', 5, () => symmetric(32)],
    ['transit-ecdsa-p384', 6, () => ecKey('P-384').entry],
    ['transit-ecdsa-p521', 7, () => ecKey('P-521').entry],
    ['transit-aes128-gcm96', 8, () => symmetric(16)],
    ['transit-rsa-3072', 9, () => rsaKey(3072, false).entry],
    ['transit-hmac', 10, () => both(32)],
    ['transit-hmac', 11, () => both(64)],
    ['transit-xchacha20-poly1305', 11, () => symmetric(32)],
  ]
  for (const [keyType, type, make] of rows) {
    test(`${keyType}, by its number ${type}`, () => {
      const backup = readTransitBackup(textOf(backupOf({ type, entries: [make(), make()] })))
      assert.equal(backup.keyType, keyType)
      assert.equal(backup.versions.length, 2)
      for (const version of backup.versions)
        assert.notEqual(decodeTransitVersion(backup.keyType, version.keyMaterial()), undefined)
    })
  }

  test('numbers longer than a double keep every digit, also those that begin with zeros', () => {
    for (let turn = 0; turn < 30; turn++) {
      const { privateKey, entry: made } = ecKey('P-256')
      const backup = readTransitBackup(textOf(backupOf({ type: 1, entries: [made] })))
      const { d = '' } = privateKey.export({ format: 'jwk' })
      assert.equal(keyIn(backup, 1), Buffer.from(d, 'base64url').toString('base64'))
    }
  })

  test('an RSA key is the same whether Go had its CRT parts or not', () => {
    for (const precomputed of [true, false]) {
      const { privateKey, entry: made } = rsaKey(2048, precomputed)
      const backup = readTransitBackup(textOf(backupOf({ type: 3, entries: [made] })))
      const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' })
      assert.equal(keyIn(backup, 1), pkcs8.toString('base64'))
      assert.ok(createPublicKey(privateKey).asymmetricKeyType === 'rsa')
    }
  })
})

describe('the facts of a policy', () => {
  const facts = (policy: { readonly [name: string]: Json }, convergent = 0) => {
    const entries = [entry({ convergent_version: convergent })]
    const { keyType, versions } = readTransitBackup(textOf(backupOf({ type: 0, entries, policy })))
    const { derivation, convergent: found } =
      decodeTransitVersion(keyType, versions[0]?.keyMaterial() ?? new Uint8Array(0)) ?? assert.fail()
    return [derivation, found]
  }

  test('derivation and convergent encryption, by the version or else by the policy', () => {
    const derived = { derived: true, convergent_encryption: true }
    assert.deepEqual(facts({}), ['none', 0])
    assert.deepEqual(facts({ derived: true, kdf: 0 }), ['counter', 0])
    assert.deepEqual(facts({ derived: true }), ['hkdf', 0])
    assert.deepEqual(facts({ ...derived, convergent_version: -1 }, 3), ['hkdf', 3])
    assert.deepEqual(facts({ ...derived, convergent_version: -1 }), ['hkdf', 3])
    assert.deepEqual(facts({ ...derived, convergent_version: 2 }), ['hkdf', 2])
    assert.deepEqual(facts({ ...derived, convergent_version: 2 }, 3), ['hkdf', 3])
    assert.deepEqual(facts({ ...derived, kdf: 0, convergent_version: 1 }), ['counter', 1])
    assert.deepEqual(facts({ ...derived, kdf: 0, convergent_version: 0 }), ['counter', 1])
    assert.deepEqual(facts({ convergent_version: 2 }), ['none', 0])
  })

  test('a trimmed key: the archive begins with the least version there is', () => {
    const entries = [entry(), entry(), entry(), entry()]
    const { policy, archived_keys: _whole } = backupOf({ type: 0, entries, policy: { min_decryption_version: 4 } })
    const backup = readTransitBackup(
      textOf({
        policy: { ...policy, archive_min_version: 3, min_available_version: 3 },
        archived_keys: { keys: entries.slice(2) },
      }),
    )
    assert.deepEqual(
      backup.versions.map(({ version }) => version),
      [3, 4],
    )
    assert.equal(keyIn(backup, 3), entries[2]?.['key'])
  })

  test('an HMAC key that came later stands in the policy alone, and is taken', () => {
    const late = entry()
    const backup = backupOf({ type: 0, entries: [late] })
    const read = readTransitBackup(
      textOf({ ...backup, archived_keys: { keys: [emptyEntry, { ...late, hmac_key: null }] } }),
    )
    const { hmacKey } =
      decodeTransitVersion('transit-aes256-gcm96', read.versions[0]?.keyMaterial() ?? new Uint8Array(0)) ??
      assert.fail()
    assert.equal(toBase64(hmacKey.slice()), late['hmac_key'])
  })
})

describe('refusals', () => {
  const sound = backupOf({ type: 0, entries: [entry(), entry()] })
  const policy = (fields: { readonly [name: string]: Json }): Backup => ({
    ...sound,
    policy: { ...sound.policy, ...fields },
  })
  const one = (fields: { readonly [name: string]: Json }, type = 0): Backup =>
    backupOf({ type, entries: [entry(fields)] })
  const ec = ecKey('P-256').entry
  const ed = ed25519Key().entry
  const rsa = rsaKey(2048).entry
  const rsaFields = rsa['rsa_key'] as { readonly [name: string]: Json } // made above
  const key = randomBytes(32).toString('base64')

  const rows: readonly (readonly [string, Json | Backup, RegExp])[] = [
    ['a list', [], /backup is no object/],
    ['no policy', { archived_keys: { keys: [] } }, /backup\.policy is no object/],
    ['another field beside', { ...sound, more: { a: 1 } }, /backup\.more is a field/],
    ['an unknown field of the policy', policy({ post_quantum: 'on' }), /backup\.policy\.post_quantum is a field/],
    ['an unknown field of a version', one({ shares: [1] }), /keys\.1\.shares is a field/],
    ['a managed key', policy({ type: 10, managed_key_name: 'hsm' }), /managed key/],
    ['a version without a key', one({ key: null }), /no private key/],
    ['a public key alone', one({ public_key_imported: true }), /no private key/],
    ['ML-DSA and what comes after', policy({ type: 15 }), /type is 15/],
    ['a CMAC key', policy({ type: 12, key_size: 16 }), /type is 12/],
    ['an HMAC key whose halves differ', policy({ type: 11, key_size: 32 }), /type is 11/],
    ['a type that is no number', policy({ type: 'aes' }), /policy\.type is no whole number/],
    ['a fraction', policy({ latest_version: 1.5 }), /latest_version is no whole number/],
    ['a template of its own', policy({ version_template: 'bao:{{version}}:' }), /version_template/],
    ['a softly deleted key', policy({ soft_deleted: true }), /deleted softly/],
    ['a key without versions', policy({ key }), /knew no versions/],
    ['a KDF of later days', policy({ kdf: 2 }), /kdf is not 0 or 1/],
    ['a flag that is text', policy({ derived: 'true' }), /derived is neither/],
    ['no latest version', policy({ latest_version: 0 }), /latest_version/],
    ['a latest version that is not there', policy({ latest_version: 3 }), /lacks the latest version/],
    ['a version beyond the latest', policy({ latest_version: 1 }), /holds a version 2/],
    ['a least above the latest', policy({ min_decryption_version: 3 }), /min_decryption_version/],
    ['a version with a leading zero', policy({ keys: { '01': entry() } }), /no version/],
    ['keys that are no object', policy({ keys: 'none' }), /policy\.keys is no object/],
    ['a version that is no object', policy({ keys: { '1': 7, '2': entry() } }), /keys\.1 is no object/],
    ['an archive that is another key', { ...sound, archived_keys: { keys: [emptyEntry, entry()] } }, /damaged/],
    ['an archive shifted by one', policy({ archive_min_version: 1 }), /damaged|holds a version/],
    ['an archive that is no array', { ...sound, archived_keys: { keys: 'none' } }, /archived_keys\.keys is no array/],
    ['a key that is no base64', one({ key: 'AAA' }), /keys\.1\.key is no base64/],
    ['a key that is no text', one({ key: 7 }), /keys\[1\]\.key is no text/],
    ['a short key', one({ key: 'AAAA' }), /no version of a key of type aes256-gcm96/],
    ['an HMAC key that is no base64', one({ hmac_key: '*' }), /hmac_key is no base64/],
    ['a convergent key that is not derived', policy({ convergent_encryption: true }), /no version of a key/],
    ['the numbers of another curve', backupOf({ type: 6, entries: [ec] }), /P-384/],
    ['too long a number', one({ ...ec, ec_d: 1n << 300n }, 1), /P-256/],
    ['a number as text', one({ ...ec, ec_d: '12345' }, 1), /ec_d is no positive whole number/],
    ['a negative number', one({ ...ec, ec_d: -5n }, 1), /ec_d is no positive whole number/],
    ['a scalar of another point', one({ ...ec, ec_d: 12345678901234567890n }, 1), /not the private key of/],
    ['an Ed25519 key of two halves', one({ ...ed, key: Buffer.alloc(64, 1).toString('base64') }, 2), /halves/],
    ['a short Ed25519 key', one({ ...ed, key }, 2), /halves/],
    ['three primes', one({ ...rsa, rsa_key: { ...rsaFields, Primes: [3n, 5n, 7n] } }, 3), /Primes are not two/],
    ['an RSA key of another size', backupOf({ type: 4, entries: [rsa] }), /rsa-4096/],
    ['an RSA key without D', one({ ...rsa, rsa_key: { ...rsaFields, D: null } }, 3), /rsa_key\.D is no positive/],
  ]
  for (const [what, backup, says] of rows) {
    test(what, () => {
      assert.throws(() => readTransitBackup(textOf(backup)), kmsError('INVALID_INPUT', says))
    })
  }

  test('texts that are no backup', () => {
    const text = textOf(sound)
    for (const [given, says] of [
      ['', /no JSON/],
      ['{}', /no base64/],
      [`${text}\n`, /no base64/],
      [text.slice(0, -8), /no JSON/],
      [Buffer.from('\xff\xfe', 'latin1').toString('base64'), /no JSON/],
      [Buffer.from('{"policy":{"name":"\\u000012"},"a"}').toString('base64'), /no JSON/],
      [undefined, /no text/],
      [utf8(text), /no text/],
    ] as const) {
      assert.throws(() => readTransitBackup(given as string), kmsError('INVALID_INPUT', says)) // wrong types too
    }
  })

  test('a text that a number is marked with is no number, and leaves no value in the message', () => {
    const forged = goJson(backupOf({ type: 1, entries: [{ ...ec, time: '\u0000x1' }] }))
    assert.throws(
      () => readTransitBackup(Buffer.from(forged).toString('base64')),
      kmsError('INVALID_INPUT', /no JSON$/),
    )
  })

  test('no refusal, cut or changed at random, is another error than ours, and none tells a key', () => {
    const secrets = [sound.policy, ec, rsa].flatMap((part) => goJson(part).match(/[A-Za-z0-9+/=]{24,}/g) ?? [])
    for (const part of [sound, backupOf({ type: 1, entries: [ec] }), backupOf({ type: 3, entries: [rsa] })]) {
      const json = goJson(part)
      for (let turn = 0; turn < 300; turn++) {
        const at = Math.floor(Math.random() * json.length)
        const changed =
          turn % 2 === 0 ? json.slice(0, at) + json.slice(at + 1) : `${json.slice(0, at)}7${json.slice(at + 1)}`
        try {
          readTransitBackup(Buffer.from(changed).toString('base64'))
        } catch (error) {
          assert.ok(error instanceof KmsError, String(error))
          assert.equal(error.code, 'INVALID_INPUT')
          const told = inspect(error, { depth: 9 })
          for (const secret of secrets) assert.ok(!told.includes(secret), told)
        }
      }
    }
  })
})

test('a backup shows no key, gives copies, and is empty once wiped', () => {
  const entries = [entry()]
  const backup = readTransitBackup(textOf(backupOf({ type: 0, entries })))
  const [version] = backup.versions
  assert.ok(version !== undefined)
  const copy = version.keyMaterial()
  copy.fill(0)
  assert.equal(keyIn(backup, 1), entries[0]?.['key'])
  const secret = Buffer.from(String(entries[0]?.['key']), 'base64')
  const shown = inspect(backup, { depth: 9, showHidden: true }) + JSON.stringify(backup)
  for (const spelt of [secret.toString('base64'), secret.toString('hex'), [...secret.subarray(0, 8)].join(', ')])
    assert.ok(!shown.includes(spelt))
  backup.wipe()
  assert.throws(() => version.keyMaterial(), kmsError('CLOSED', /wiped/))
})
