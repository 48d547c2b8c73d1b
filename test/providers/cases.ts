/** What every embedded KMS must do, as data: local and memory run the same. */
import assert from 'node:assert/strict'
import { constants, createPublicKey, randomBytes, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import type { MlDsaName } from '../../src/crypto/ml-dsa-sets.ts'
import { engine } from '../../src/crypto/node.ts'
import { decodeMlDsaSpki, publicKeyPem } from '../../src/crypto/pkcs8.ts'
import { evidenceOf } from '../../src/model/errors.ts'
import type { KeyType } from '../../src/model/key.ts'
import type { Operation } from '../../src/model/operation.ts'
import type { EmbeddedKms } from '../../src/providers/local/provider.ts'
import { bytes, callOf, day, failureOf, type HandClock, run, scope } from './calls.ts'

export interface Case {
  readonly name: string
  readonly run: (kms: EmbeddedKms, clock: HandClock) => Promise<void>
}

// The larger RSA keys take seconds to make and differ in nothing else: rsa-2048 stands for them.
const tooSlow: readonly string[] = ['rsa-3072', 'rsa-4096']
const keyTypes = (Object.keys(algorithms) as KeyType[]).filter((keyType) => !tooSlow.includes(keyType))
const encrypting = keyTypes.filter((type) => algorithms[type].uses.includes('encrypt'))
const signing = keyTypes.filter((type) => algorithms[type].uses.includes('sign'))
const mac = keyTypes.filter((type) => algorithms[type].uses.includes('mac'))

/** What OpenSSL is told to hash with; Ed25519 hashes by itself. */
const opensslHashes: { readonly [T in KeyType]?: string } = {
  'ecdsa-p256': 'sha256',
  'ecdsa-p384': 'sha384',
  'ecdsa-p521': 'sha512',
  'ecdsa-secp256k1': 'sha256',
  'rsa-2048': 'sha256',
}

const plaintext = bytes('a secret of the house')
const encryptionContext = { order: '17' }

function ownsItsBuffer(value: Uint8Array): void {
  assert.equal(value.constructor, Uint8Array)
  assert.equal(value.byteOffset, 0)
  assert.equal(value.buffer.byteLength, value.length)
}

export const cases: readonly Case[] = [
  {
    name: 'every region and project that has keys is listed once',
    async run(kms) {
      assert.deepEqual(kms.scopes(), [])
      await run(kms, 'createKey', { slug: 'a' }, { scope: { region: 'nl-01', project: 'billing' } })
      await run(kms, 'createKey', { slug: 'b' }, { scope: { region: 'nl-01', project: 'billing' } })
      await run(kms, 'createKey', { slug: 'a' }, { scope: { region: 'nl-01' } })
      await run(kms, 'createKey', { slug: 'a' }, { scope: {} })
      assert.deepEqual(kms.scopes(), [{ region: 'nl-01', project: 'billing' }, { region: 'nl-01' }, {}])
    },
  },
  ...encrypting.map((keyType) => ({
    name: `${keyType}: what was encrypted decrypts, with its context only, by slug and by identity`,
    async run(kms: EmbeddedKms) {
      const { key } = await run(kms, 'createKey', { slug: 'k', keyType })
      const sealed = await run(kms, 'encrypt', { key: 'k', plaintext, encryptionContext })
      assert.equal(sealed.keyVersion, 1)
      assert.deepEqual(
        { ...sealed.key },
        {
          identity: key.identity,
          slug: 'k',
          keyType,
          status: 'active',
          latestVersion: 1,
        },
      )
      const { ciphertext } = sealed
      ownsItsBuffer(ciphertext)
      const opened = await run(kms, 'decrypt', { key: key.identity, ciphertext, encryptionContext })
      assert.deepEqual(opened.plaintext, plaintext)
      assert.equal(opened.keyVersion, 1)
      assert.equal(opened.key, sealed.key)
      ownsItsBuffer(opened.plaintext)
      const wrong = await failureOf(run(kms, 'decrypt', { key: 'k', ciphertext }))
      assert.deepEqual(evidenceOf(wrong), { decryptFailure: 'authentication_failed', keyVersion: 1 })
    },
  })),
  {
    name: 'every failure to decrypt sounds the same; only the evidence tells them apart',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      await run(kms, 'createKey', { slug: 'other' })
      await run(kms, 'rotate', { key: 'k' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext, encryptionContext })
      const old = (await run(kms, 'encrypt', { key: 'k', plaintext, keyVersion: 1 })).ciphertext
      const changed = (at: number, source = ciphertext) => source.map((byte, index) => (index === at ? byte ^ 1 : byte))
      const failures = [
        [changed(0), 'malformed', undefined],
        [bytes('x'), 'malformed', undefined],
        [ciphertext.slice(0, 40), 'malformed', undefined],
        [changed(3), 'unknown_version', undefined],
        [changed(4, old), 'malformed', undefined],
        [changed(5), 'commitment_mismatch', 2],
        [changed(40), 'authentication_failed', 2],
        [changed(ciphertext.length - 1), 'authentication_failed', 2],
        [(await run(kms, 'encrypt', { key: 'other', plaintext })).ciphertext, 'commitment_mismatch', 1],
      ] as const
      const heard = new Set<string>()
      for (const [tampered, decryptFailure, keyVersion] of failures) {
        const error = await failureOf(run(kms, 'decrypt', { key: 'k', ciphertext: tampered, encryptionContext }))
        assert.deepEqual(
          evidenceOf(error),
          keyVersion === undefined ? { decryptFailure } : { decryptFailure, keyVersion },
        )
        heard.add(inspect({ ...error, message: error.message }))
      }
      assert.equal(heard.size, 1, [...heard].join('\n'))
      assert.match([...heard].join(), /INVALID_CIPHERTEXT/)
    },
  },
  ...signing.map((keyType) => ({
    name: `${keyType}: signs what its public key verifies, with us and without us`,
    async run(kms: EmbeddedKms) {
      await run(kms, 'createKey', { slug: 's', keyType })
      const { signature, keyVersion } = await run(kms, 'sign', { key: 's', input: plaintext })
      ownsItsBuffer(signature)
      assert.equal(keyVersion, 1)
      const good = await run(kms, 'verify', { key: 's', input: plaintext, signature })
      assert.deepEqual([good.valid, good.keyVersion], [true, 1])
      const bad = await run(kms, 'verify', { key: 's', input: bytes('another'), signature })
      assert.deepEqual([bad.valid, bad.keyVersion], [false, undefined])
      const { spki, publicKey } = await run(kms, 'getPublicKey', { key: 's' })
      ownsItsBuffer(spki)
      if (Object.hasOwn(mlDsa, keyType)) {
        const name = keyType as MlDsaName // just asked
        const theirs = decodeMlDsaSpki(name, spki) ?? assert.fail('an SPKI')
        assert.ok(mlDsa[name].verify(theirs, plaintext, signature))
        assert.equal(publicKey, publicKeyPem(spki))
        return
      }
      const theirs = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
      const pss = { key: theirs, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      const how = keyType.startsWith('rsa') ? pss : theirs
      assert.ok(verify(opensslHashes[keyType] ?? null, plaintext, how, signature))
      if (keyType === 'ed25519') assert.equal(publicKey, Buffer.from(spki.subarray(12)).toString('base64'))
      else assert.equal(publicKey, theirs.export({ type: 'spki', format: 'pem' }))
    },
  })),
  ...mac.map((keyType) => ({
    name: `${keyType}: a MAC verifies over its input only`,
    async run(kms: EmbeddedKms) {
      await run(kms, 'createKey', { slug: 'm', keyType })
      const { hmac } = await run(kms, 'hmac', { key: 'm', input: plaintext })
      ownsItsBuffer(hmac)
      assert.equal(hmac.length, algorithms[keyType].materialLength)
      assert.equal((await run(kms, 'verifyHmac', { key: 'm', input: plaintext, hmac })).valid, true)
      assert.equal((await run(kms, 'verifyHmac', { key: 'm', input: bytes('no'), hmac })).valid, false)
    },
  })),
  {
    name: 'old versions decrypt and verify after a rotation, new work uses the latest, and verify names the one that matched',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      await run(kms, 'createKey', { slug: 's', keyType: 'ed25519' })
      await run(kms, 'createKey', { slug: 'm', keyType: 'hmac' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
      const { signature } = await run(kms, 'sign', { key: 's', input: plaintext })
      const { hmac } = await run(kms, 'hmac', { key: 'm', input: plaintext })
      for (const key of ['k', 's', 'm']) {
        const rotated = await run(kms, 'rotate', { key })
        assert.equal(rotated.keyVersion, 2)
        assert.equal(rotated.key.latestVersion, 2)
        assert.equal(rotated.key.versions.length, 2)
      }
      assert.equal((await run(kms, 'decrypt', { key: 'k', ciphertext })).keyVersion, 1)
      assert.equal((await run(kms, 'encrypt', { key: 'k', plaintext })).keyVersion, 2)
      assert.equal((await run(kms, 'encrypt', { key: 'k', plaintext, keyVersion: 1 })).keyVersion, 1)
      const verified = await run(kms, 'verify', { key: 's', input: plaintext, signature })
      assert.deepEqual([verified.valid, verified.keyVersion], [true, 1])
      const asked = await run(kms, 'verify', { key: 's', input: plaintext, signature, keyVersion: 2 })
      assert.deepEqual([asked.valid, asked.keyVersion], [false, 2])
      const checked = await run(kms, 'verifyHmac', { key: 'm', input: plaintext, hmac })
      assert.deepEqual([checked.valid, checked.keyVersion], [true, 1])
      const first = await run(kms, 'getPublicKey', { key: 's', keyVersion: 1 })
      assert.notEqual(first.publicKey, (await run(kms, 'getPublicKey', { key: 's' })).publicKey)
    },
  },
  {
    name: 'a version that does not exist is VERSION_NOT_FOUND for every operation that takes one',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k', exportAllowed: true })
      await run(kms, 'createKey', { slug: 's', keyType: 'ecdsa-p256' })
      await run(kms, 'createKey', { slug: 'm', keyType: 'hmac' })
      const signature = bytes('sig')
      const asked = [
        run(kms, 'encrypt', { key: 'k', plaintext, keyVersion: 2 }),
        run(kms, 'export', { key: 'k', keyVersion: 2 }),
        run(kms, 'sign', { key: 's', input: plaintext, keyVersion: 2 }),
        run(kms, 'verify', { key: 's', input: plaintext, signature, keyVersion: 2 }),
        run(kms, 'getPublicKey', { key: 's', keyVersion: 2 }),
        run(kms, 'hmac', { key: 'm', input: plaintext, keyVersion: 2 }),
        run(kms, 'verifyHmac', { key: 'm', input: plaintext, hmac: signature, keyVersion: 2 }),
      ]
      for (const failure of await Promise.all(asked.map(failureOf))) assert.equal(failure.code, 'VERSION_NOT_FOUND')
    },
  },
  {
    name: 'an operation that the key type cannot do is UNSUPPORTED_OPERATION and says what it can',
    async run(kms) {
      const groups: readonly [KeyType, readonly Operation[], RegExp][] = [
        ['aes256-gcm96', ['sign', 'verify', 'hmac', 'verifyHmac', 'getPublicKey'], /aes256-gcm96 .* can encrypt/],
        [
          'ed25519',
          ['encrypt', 'decrypt', 'generateDataKey', 'reEncrypt', 'hmac', 'verifyHmac'],
          /ed25519 .* can sign/,
        ],
        ['hmac', ['encrypt', 'decrypt', 'generateDataKey', 'reEncrypt', 'sign', 'verify', 'getPublicKey'], /can hmac/],
      ]
      for (const [keyType, operations, message] of groups) {
        await run(kms, 'createKey', { slug: keyType, keyType })
        for (const operation of operations) {
          const operate = kms.operations[operation] as (input: object, call: object) => unknown // any row of the table
          const input = { key: keyType, plaintext, ciphertext: plaintext, input: plaintext, signature: plaintext }
          const error = await failureOf(Promise.resolve().then(() => operate(input, callOf())))
          assert.equal(error.code, 'UNSUPPORTED_OPERATION', operation)
          assert.match(error.message, message)
        }
      }
    },
  },
  {
    name: 'crypto, rotation and export need an active key; reads do not',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k', exportAllowed: true })
      await run(kms, 'createKey', { slug: 's', keyType: 'ed25519' })
      await run(kms, 'createKey', { slug: 'm', keyType: 'hmac' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
      for (const disable of ['disableKey', 'scheduleKeyDeletion'] as const) {
        for (const key of ['k', 's', 'm']) await run(kms, disable, { key })
        const refused = [
          run(kms, 'encrypt', { key: 'k', plaintext }),
          run(kms, 'decrypt', { key: 'k', ciphertext }),
          run(kms, 'generateDataKey', { key: 'k' }),
          run(kms, 'reEncrypt', { key: 'k', ciphertext }),
          run(kms, 'sign', { key: 's', input: plaintext }),
          run(kms, 'verify', { key: 's', input: plaintext, signature: plaintext }),
          run(kms, 'hmac', { key: 'm', input: plaintext }),
          run(kms, 'verifyHmac', { key: 'm', input: plaintext, hmac: plaintext }),
          run(kms, 'rotate', { key: 'k' }),
          run(kms, 'export', { key: 'k' }),
        ]
        const status = disable === 'disableKey' ? 'disabled' : 'pending_deletion'
        for (const failure of await Promise.all(refused.map(failureOf))) {
          assert.equal(failure.code, 'KEY_NOT_ACTIVE')
          assert.match(failure.message, new RegExp(status))
        }
        assert.equal((await run(kms, 'describeKey', { key: 'k' })).key.status, status)
        assert.equal((await run(kms, 'listKeys', {})).keys.length, 3)
        assert.ok((await run(kms, 'getPublicKey', { key: 's' })).publicKey)
      }
    },
  },
  {
    name: 'a key is found only within exactly its region and project, by identity too',
    async run(kms) {
      const { key } = await run(kms, 'createKey', { slug: 'k' })
      const elsewhere = [{}, { region: 'nl-01' }, { region: 'nl-02', project: 'billing' }, { project: 'billing' }]
      for (const other of elsewhere) {
        for (const name of ['k', key.identity]) {
          assert.equal(
            (await failureOf(run(kms, 'encrypt', { key: name, plaintext }, { scope: other }))).code,
            'KEY_NOT_FOUND',
          )
          assert.equal((await failureOf(run(kms, 'rotate', { key: name }, { scope: other }))).code, 'KEY_NOT_FOUND')
          assert.throws(() => kms.resolve?.(name, other), { code: 'KEY_NOT_FOUND', key: name })
        }
        assert.deepEqual((await run(kms, 'listKeys', {}, { scope: other })).keys, [])
      }
      const twin = await run(kms, 'createKey', { slug: 'k' }, { scope: { region: 'nl-01' } })
      assert.notEqual(twin.key.identity, key.identity)
      assert.equal(twin.key.projectId, undefined)
    },
  },
  {
    name: 'what a slug resolved to is what is used, even if the slug means another key by then',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'a' })
      await run(kms, 'createKey', { slug: 'b' })
      const resolved = await kms.resolve?.('b', scope)
      const { key } = await run(kms, 'encrypt', { key: 'a', plaintext }, resolved && { key: resolved })
      assert.equal(key.slug, 'b')
      assert.equal(key, resolved)
    },
  },
  {
    name: 'createKey: everything it says stands in describe, with the defaults of the house',
    async run(kms, clock) {
      const made = await run(kms, 'createKey', {
        slug: 'orders',
        name: 'Orders',
        description: 'for orders',
        labels: { team: 'a' },
        annotations: { note: 'b' },
        keyType: 'aes256-gcm96',
        exportAllowed: true,
        keyRotationEnabled: true,
        rotationPeriodInDays: 30,
      })
      const now = new Date(clock.now()).toISOString()
      assert.match(made.key.identity, /^kms-[a-z2-7]{20}$/)
      const { identity, ...rest } = made.key
      assert.deepEqual(rest, {
        slug: 'orders',
        name: 'Orders',
        description: 'for orders',
        labels: { team: 'a' },
        annotations: { note: 'b' },
        region: 'nl-01',
        projectId: 'billing',
        keyType: 'aes256-gcm96',
        status: 'active',
        exportAllowed: true,
        keyRotationEnabled: true,
        rotationPeriodInDays: 30,
        nextRotationAt: new Date(clock.now() + 30 * day).toISOString(),
        latestVersion: 1,
        versions: [{ version: 1, createdAt: now }],
        createdAt: now,
        updatedAt: now,
        objectVersion: 1,
      })
      const described = (await run(kms, 'describeKey', { key: identity })).key
      assert.deepEqual(described, { ...made.key, versions: [{ version: 1, createdAt: now, messages: 0 }] })
      assert.ok(Object.isFrozen(made.key) && Object.isFrozen(made.key.versions) && Object.isFrozen(made.key.labels))
      const plain = (await run(kms, 'createKey', {})).key
      assert.match(plain.slug, /^key-[a-z2-7]{12}$/)
      assert.equal(plain.name, plain.slug)
      assert.deepEqual(
        [plain.keyType, plain.exportAllowed, plain.keyRotationEnabled, plain.nextRotationAt],
        ['xaes256-gcm', false, false, undefined],
      )
      assert.equal((await run(kms, 'createKey', { keyRotationEnabled: true })).key.rotationPeriodInDays, 365)
      assert.equal((await run(kms, 'createKey', { rotationPeriodInDays: 7 })).key.keyRotationEnabled, true)
      assert.deepEqual((await run(kms, 'listKeys', {})).keys.map(({ slug }) => slug).slice(0, 2), [
        'orders',
        plain.slug,
      ])
    },
  },
  {
    name: 'createKey refuses a slug that is taken, unfit or looks like an identity, and an unknown type',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k' }))).code, 'KEY_EXISTS')
      for (const slug of ['', 'K', '-k', 'kms-k', 'a'.repeat(64), 'a_b', '../../x', '__proto__'])
        assert.equal((await failureOf(run(kms, 'createKey', { slug }))).code, 'INVALID_INPUT', slug)
      for (const keyType of ['rsa-1024', 'constructor', '']) {
        const error = await failureOf(run(kms, 'createKey', { keyType: keyType as KeyType }))
        assert.equal(error.code, 'INVALID_INPUT')
      }
      for (const texts of [{ name: '\ud800' }, { description: '\udc00' }, { labels: { a: '\ud800' } }])
        assert.match((await failureOf(run(kms, 'createKey', texts))).message, /lone surrogate/)
      await run(kms, 'scheduleKeyDeletion', { key: 'k' })
      assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k' }))).code, 'KEY_EXISTS')
      assert.equal((await run(kms, 'listKeys', {})).keys.length, 1)
    },
  },
  {
    name: 'disable and enable do what they say, again too, and are counted',
    async run(kms, clock) {
      const { key, generation } = await run(kms, 'createKey', { slug: 'k' })
      clock.turn(1000)
      const disabled = await run(kms, 'disableKey', { key: 'k' })
      assert.deepEqual([disabled.key.status, disabled.key.objectVersion], ['disabled', 2])
      assert.notEqual(disabled.key.updatedAt, key.updatedAt)
      assert.equal(disabled.generation, (generation ?? 0) + 1)
      const again = await run(kms, 'disableKey', { key: 'k' })
      assert.deepEqual(again.key, disabled.key)
      assert.equal(again.generation, (generation ?? 0) + 2)
      assert.equal((await run(kms, 'enableKey', { key: 'k' })).key.status, 'active')
      assert.equal((await run(kms, 'enableKey', { key: 'k' })).key.status, 'active')
      assert.equal((await run(kms, 'encrypt', { key: 'k', plaintext })).keyVersion, 1)
    },
  },
  {
    name: 'a deletion is scheduled in 30 days or as asked, shown, and cancelled back to what was before',
    async run(kms, clock) {
      await run(kms, 'createKey', { slug: 'k' })
      const pending = await run(kms, 'scheduleKeyDeletion', { key: 'k' })
      assert.equal(pending.key.deletionScheduledAt, new Date(clock.now() + 30 * day).toISOString())
      for (const operation of ['enableKey', 'disableKey', 'scheduleKeyDeletion'] as const)
        assert.equal((await failureOf(run(kms, operation, { key: 'k' }))).code, 'KEY_NOT_ACTIVE')
      const error = await failureOf(run(kms, 'updateRotation', { key: 'k', keyRotationEnabled: true }))
      assert.equal(error.code, 'KEY_NOT_ACTIVE')
      const back = await run(kms, 'cancelKeyDeletion', { key: 'k' })
      assert.equal(back.key.status, 'active')
      assert.equal(back.key.deletionScheduledAt, undefined)
      assert.equal((await failureOf(run(kms, 'cancelKeyDeletion', { key: 'k' }))).code, 'INVALID_INPUT')
      await run(kms, 'disableKey', { key: 'k' })
      const soon = await run(kms, 'scheduleKeyDeletion', { key: 'k', pendingWindowInDays: 7 })
      assert.equal(soon.key.deletionScheduledAt, new Date(clock.now() + 7 * day).toISOString())
      assert.equal((await run(kms, 'cancelKeyDeletion', { key: 'k' })).key.status, 'disabled')
      for (const pendingWindowInDays of [6, 91, Number.NaN])
        assert.equal(
          (await failureOf(run(kms, 'scheduleKeyDeletion', { key: 'k', pendingWindowInDays }))).code,
          'INVALID_INPUT',
        )
    },
  },
  {
    name: 'rotation settings change, and say when rotation falls due',
    async run(kms, clock) {
      const { key } = await run(kms, 'createKey', { slug: 'k' })
      const on = await run(kms, 'updateRotation', { key: 'k', keyRotationEnabled: true, rotationPeriodInDays: 10 })
      assert.equal(on.key.nextRotationAt, new Date(Date.parse(key.createdAt) + 10 * day).toISOString())
      clock.turn(3 * day)
      await run(kms, 'rotate', { key: 'k' })
      const later = (await run(kms, 'describeKey', { key: 'k' })).key
      assert.equal(later.nextRotationAt, new Date(clock.now() + 10 * day).toISOString())
      const off = await run(kms, 'updateRotation', { key: 'k', keyRotationEnabled: false })
      assert.deepEqual([off.key.nextRotationAt, off.key.rotationPeriodInDays], [undefined, 10])
    },
  },
  {
    name: 'rotate with an expected version is refused when another came first',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      const twice = await Promise.allSettled([
        run(kms, 'rotate', { key: 'k', expectLatestVersion: 1 }),
        run(kms, 'rotate', { key: 'k', expectLatestVersion: 1 }),
      ])
      assert.deepEqual(
        twice.map(({ status }) => status),
        ['fulfilled', 'rejected'],
      )
      const error = await failureOf(run(kms, 'rotate', { key: 'k', expectLatestVersion: 1 }))
      assert.equal(error.code, 'VERSION_CONFLICT')
      assert.equal((await run(kms, 'describeKey', { key: 'k' })).key.latestVersion, 2)
    },
  },
  {
    name: 'a scheduled rotation happens once, when due by the key itself, and never before',
    async run(kms, clock) {
      const { key } = await run(kms, 'createKey', { slug: 'k', rotationPeriodInDays: 10 })
      const dueAt = key.nextRotationAt ?? ''
      const scheduled = (over = {}) => run(kms, 'rotateScheduled', { key: 'k', expectLatestVersion: 1, dueAt, ...over })
      assert.equal((await failureOf(scheduled())).code, 'INVALID_INPUT')
      clock.turn(10 * day)
      assert.equal((await failureOf(scheduled({ dueAt: key.createdAt }))).code, 'VERSION_CONFLICT')
      assert.equal((await failureOf(scheduled({ expectLatestVersion: 2 }))).code, 'VERSION_CONFLICT')
      assert.equal((await scheduled()).keyVersion, 2)
      assert.equal((await failureOf(scheduled())).code, 'VERSION_CONFLICT')
      await run(kms, 'updateRotation', { key: 'k', keyRotationEnabled: false })
      assert.equal((await failureOf(scheduled({ expectLatestVersion: 2 }))).code, 'INVALID_INPUT')
    },
  },
  {
    name: 'a version that was made while the clock was a year ahead does not hold the next rotation up for a year',
    async run(kms, clock) {
      const { key } = await run(kms, 'createKey', { slug: 'k', rotationPeriodInDays: 30 })
      const dueAt = key.nextRotationAt ?? ''
      const scheduled = (over: { dueAt: string; expectLatestVersion: number }) =>
        run(kms, 'rotateScheduled', { key: 'k', ...over })
      clock.turn(10 * day + 365 * day)
      await scheduled({ dueAt, expectLatestVersion: 1 })
      clock.turn(-365 * day)
      // The clock is right again: what counts is the version before.
      const ahead = (await run(kms, 'describeKey', { key: 'k' })).key.nextRotationAt ?? ''
      assert.equal(ahead, new Date(clock.now() + 395 * day).toISOString())
      assert.equal((await failureOf(scheduled({ dueAt: ahead, expectLatestVersion: 2 }))).code, 'VERSION_CONFLICT')
      assert.equal((await failureOf(scheduled({ dueAt, expectLatestVersion: 2 }))).code, 'INVALID_INPUT')
      clock.turn(20 * day)
      assert.equal((await scheduled({ dueAt, expectLatestVersion: 2 })).keyVersion, 3)
      const { nextRotationAt } = (await run(kms, 'describeKey', { key: 'k' })).key
      assert.equal(nextRotationAt, new Date(clock.now() + 30 * day).toISOString())
    },
  },
  {
    name: 'a clock that is set back by less than a period, or before every version, changes nothing of what is due',
    async run(kms, clock) {
      const { key } = await run(kms, 'createKey', { slug: 'k', rotationPeriodInDays: 30 })
      clock.turn(50 * day)
      await run(kms, 'rotateScheduled', { key: 'k', expectLatestVersion: 1, dueAt: key.nextRotationAt ?? '' })
      const { nextRotationAt: dueAt = '' } = (await run(kms, 'describeKey', { key: 'k' })).key
      const early = () => failureOf(run(kms, 'rotateScheduled', { key: 'k', expectLatestVersion: 2, dueAt }))
      for (const back of [30, 1000]) {
        clock.turn(-back * day)
        assert.equal((await early()).code, 'INVALID_INPUT')
        clock.turn(back * day)
      }
    },
  },
  ...keyTypes.map((keyType) => ({
    name: `${keyType}: exports in its form if created so, and never otherwise`,
    async run(kms: EmbeddedKms) {
      await run(kms, 'createKey', { slug: 'open', keyType, exportAllowed: true })
      await run(kms, 'createKey', { slug: 'shut', keyType })
      const { keyMaterial, form, keyVersion, key } = await run(kms, 'export', { key: 'open' })
      ownsItsBuffer(keyMaterial)
      assert.equal(form, algorithms[keyType].form)
      assert.deepEqual([keyVersion, key.slug], [1, 'open'])
      if (form === 'raw') assert.equal(keyMaterial.length, algorithms[keyType].materialLength)
      const again = await run(kms, 'export', { key: 'open', form, keyVersion: 1 })
      assert.deepEqual(again.keyMaterial, keyMaterial)
      keyMaterial.fill(0)
      assert.notDeepEqual((await run(kms, 'export', { key: 'open' })).keyMaterial, keyMaterial)
      const other = form === 'raw' ? 'pkcs8' : 'raw'
      assert.equal((await failureOf(run(kms, 'export', { key: 'open', form: other }))).code, 'INVALID_INPUT')
      assert.equal((await failureOf(run(kms, 'export', { key: 'shut' }))).code, 'EXPORT_NOT_ALLOWED')
    },
  })),
  {
    name: 'types with short random nonces count what they seal, by version; describe and list tell it, others nothing',
    async run(kms) {
      for (const [slug, keyType] of [
        ['short', 'aes256-gcm96'],
        ['chacha', 'chacha20-poly1305'],
        ['long', 'xaes256-gcm'],
        ['pen', 'ed25519'],
      ] as const)
        await run(kms, 'createKey', { slug, keyType })
      const messages = async (key: string) =>
        (await run(kms, 'describeKey', { key })).key.versions.map((version) => version.messages)
      const { ciphertext } = await run(kms, 'encrypt', { key: 'short', plaintext })
      await run(kms, 'rotate', { key: 'short' })
      assert.deepEqual(await messages('short'), [1, 0])
      await run(kms, 'encrypt', { key: 'short', plaintext, keyVersion: 1 })
      await run(kms, 'generateDataKey', { key: 'short' })
      await run(kms, 'reEncrypt', { key: 'short', ciphertext })
      await run(kms, 'decrypt', { key: 'short', ciphertext })
      assert.deepEqual(await messages('short'), [2, 2])
      await run(kms, 'reEncrypt', { key: 'short', ciphertext, destinationKey: 'chacha' })
      await run(kms, 'encrypt', { key: 'long', plaintext })
      const { keys } = await run(kms, 'listKeys', {})
      assert.deepEqual(
        keys.map(({ versions }) => versions.map((version) => version.messages)),
        [[2, 2], [1], [undefined], [undefined]],
      )
      assert.ok(keys.every((key) => Object.isFrozen(key) && Object.isFrozen(key.versions)))
      const dueAt = new Date(0).toISOString()
      const early = run(kms, 'rotateScheduled', { key: 'short', expectLatestVersion: 2, dueAt, because: 'usage' })
      const error = await failureOf(early)
      assert.deepEqual([error.code, /not near the limit/.test(error.message)], ['INVALID_INPUT', true])
    },
  },
  {
    name: 'a key is destroyed on its day, not before, not by another date, and not without having been scheduled',
    async run(kms, clock) {
      await run(kms, 'createKey', { slug: 'k' })
      await run(kms, 'createKey', { slug: 'other' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
      const kept = await run(kms, 'encrypt', { key: 'other', plaintext })
      const at = (ms: number) => new Date(ms).toISOString()
      const destroy = (dueAt: string, over = {}) => run(kms, 'destroyKey', { key: 'k', dueAt }, over)
      assert.equal((await failureOf(destroy(at(clock.now())))).code, 'INVALID_INPUT')
      const { key } = await run(kms, 'scheduleKeyDeletion', { key: 'k', pendingWindowInDays: 7 })
      const dueAt = key.deletionScheduledAt ?? ''
      clock.turn(7 * day - 1)
      const early = await failureOf(destroy(dueAt))
      assert.deepEqual([early.code, /not .* before/.test(early.message)], ['INVALID_INPUT', true])
      clock.turn(1)
      assert.equal((await failureOf(destroy(at(clock.now() - 1)))).code, 'VERSION_CONFLICT')
      const { operationID } = callOf()
      const made = await destroy(dueAt, { operationID })
      assert.deepEqual([made.key, made.flags], [key, undefined])
      assert.equal(kms.outcomeOf(operationID), 'done')
      assert.equal(kms.binding()?.generation, made.generation)
      for (const name of ['k', key.identity]) {
        assert.equal((await failureOf(run(kms, 'decrypt', { key: name, ciphertext }))).code, 'KEY_NOT_FOUND')
        assert.equal((await failureOf(run(kms, 'cancelKeyDeletion', { key: name }))).code, 'KEY_NOT_FOUND')
        assert.throws(() => kms.resolve?.(name, scope), { code: 'KEY_NOT_FOUND' })
      }
      assert.equal((await failureOf(destroy(dueAt))).code, 'KEY_NOT_FOUND')
      const { keys } = await run(kms, 'listKeys', {})
      assert.deepEqual(
        keys.map(({ slug }) => slug),
        ['other'],
      )
      const { plaintext: opened } = await run(kms, 'decrypt', { key: 'other', ciphertext: kept.ciphertext })
      assert.deepEqual(opened, plaintext)
    },
  },
  {
    name: 'a deletion can be taken back as long as the key is there, also after its day',
    async run(kms, clock) {
      await run(kms, 'createKey', { slug: 'k' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
      const { key } = await run(kms, 'scheduleKeyDeletion', { key: 'k' })
      clock.turn(40 * day)
      await run(kms, 'cancelKeyDeletion', { key: 'k' })
      assert.deepEqual((await run(kms, 'decrypt', { key: 'k', ciphertext })).plaintext, plaintext)
      const late = run(kms, 'destroyKey', { key: 'k', dueAt: key.deletionScheduledAt ?? '' })
      assert.equal((await failureOf(late)).code, 'INVALID_INPUT')
    },
  },
  {
    name: 'the slug of a destroyed key is not taken again in its scope unless that is asked for, and then it is said',
    async run(kms, clock) {
      const destroyed = async (over = {}) => {
        const { key } = await run(kms, 'scheduleKeyDeletion', { key: 'k' }, over)
        clock.turn(30 * day)
        return run(kms, 'destroyKey', { key: 'k', dueAt: key.deletionScheduledAt ?? '' }, over)
      }
      const made = await run(kms, 'createKey', { slug: 'k', reuseSlug: true })
      assert.equal(made.flags, undefined)
      const { ciphertext } = await run(kms, 'encrypt', { key: 'k', plaintext })
      await destroyed()
      const error = await failureOf(run(kms, 'createKey', { slug: 'k' }))
      assert.equal(error.code, 'KEY_EXISTS')
      assert.match(error.message, /destroyed on 2026-01-31T00:00:00.000Z: reuseSlug/)
      assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k', reuseSlug: false }))).code, 'KEY_EXISTS')
      const elsewhere = await run(kms, 'createKey', { slug: 'k' }, { scope: { region: 'nl-01' } })
      assert.equal(elsewhere.flags, undefined)
      const again = await run(kms, 'createKey', { slug: 'k', reuseSlug: true })
      assert.deepEqual(again.flags, ['slug_reused'])
      assert.notEqual(again.key.identity, made.key.identity)
      assert.equal((await failureOf(run(kms, 'decrypt', { key: 'k', ciphertext }))).code, 'INVALID_CIPHERTEXT')
      assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k', reuseSlug: true }))).code, 'KEY_EXISTS')
      clock.turn(day)
      await destroyed()
      assert.match((await failureOf(run(kms, 'createKey', { slug: 'k' }))).message, /destroyed on 2026-03-03/)
    },
  },
  {
    name: 'versions below the minimum open, seal, sign and verify nothing until it is lowered; export and public key stay',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'box', exportAllowed: true })
      await run(kms, 'createKey', { slug: 'pen', keyType: 'ed25519' })
      await run(kms, 'createKey', { slug: 'mac', keyType: 'hmac-sha256' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'box', plaintext })
      const { signature } = await run(kms, 'sign', { key: 'pen', input: plaintext })
      const { hmac } = await run(kms, 'hmac', { key: 'mac', input: plaintext })
      for (const key of ['box', 'pen', 'mac']) {
        await run(kms, 'rotate', { key })
        const { key: after } = await run(kms, 'updateMinDecryptionVersion', { key, minDecryptionVersion: 2 })
        assert.equal(after.minDecryptionVersion, 2)
        assert.equal((await run(kms, 'describeKey', { key })).key.minDecryptionVersion, 2)
      }
      const old = await failureOf(run(kms, 'decrypt', { key: 'box', ciphertext }))
      const tampered = await failureOf(run(kms, 'decrypt', { key: 'box', ciphertext: plaintext }))
      assert.deepEqual([old.code, old.message], ['INVALID_CIPHERTEXT', tampered.message])
      assert.deepEqual(evidenceOf(old), { decryptFailure: 'version_below_minimum', keyVersion: 1 })
      assert.equal((await failureOf(run(kms, 'reEncrypt', { key: 'box', ciphertext }))).code, 'INVALID_CIPHERTEXT')
      const keyVersion = 1
      for (const [operation, input] of [
        ['encrypt', { key: 'box', plaintext, keyVersion }],
        ['sign', { key: 'pen', input: plaintext, keyVersion }],
        ['verify', { key: 'pen', input: plaintext, signature, keyVersion }],
        ['hmac', { key: 'mac', input: plaintext, keyVersion }],
        ['verifyHmac', { key: 'mac', input: plaintext, hmac, keyVersion }],
      ] as const) {
        const error = await failureOf(run(kms, operation, input as never)) // each input is of its operation
        assert.deepEqual([operation, error.code], [operation, 'VERSION_NOT_FOUND'])
        assert.match(error.message, /version 1 is below 2/)
      }
      assert.deepEqual(
        [
          (await run(kms, 'verify', { key: 'pen', input: plaintext, signature })).valid,
          (await run(kms, 'verifyHmac', { key: 'mac', input: plaintext, hmac })).valid,
        ],
        [false, false],
      )
      assert.equal((await run(kms, 'encrypt', { key: 'box', plaintext })).keyVersion, 2)
      assert.equal((await run(kms, 'generateDataKey', { key: 'box' })).keyVersion, 2)
      assert.equal((await run(kms, 'export', { key: 'box', keyVersion })).keyVersion, 1)
      assert.equal((await run(kms, 'getPublicKey', { key: 'pen', keyVersion })).keyVersion, 1)
      for (const minDecryptionVersion of [0, 3, 1.5])
        assert.equal(
          (await failureOf(run(kms, 'updateMinDecryptionVersion', { key: 'box', minDecryptionVersion }))).code,
          'INVALID_INPUT',
        )
      await run(kms, 'disableKey', { key: 'pen' })
      for (const key of ['box', 'pen', 'mac']) {
        const { key: after } = await run(kms, 'updateMinDecryptionVersion', { key, minDecryptionVersion: 1 })
        assert.ok(!('minDecryptionVersion' in after))
      }
      await run(kms, 'enableKey', { key: 'pen' })
      assert.deepEqual((await run(kms, 'decrypt', { key: 'box', ciphertext })).plaintext, plaintext)
      const again = await run(kms, 'verify', { key: 'pen', input: plaintext, signature })
      assert.deepEqual([again.valid, 'keyVersion' in again && again.keyVersion], [true, 1])
      await run(kms, 'scheduleKeyDeletion', { key: 'box' })
      const pending = run(kms, 'updateMinDecryptionVersion', { key: 'box', minDecryptionVersion: 2 })
      assert.equal((await failureOf(pending)).code, 'KEY_NOT_ACTIVE')
    },
  },
  {
    name: 'a data key is as long as asked, and its ciphertext opens to it',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      const made = await run(kms, 'generateDataKey', { key: 'k', encryptionContext })
      assert.equal(made.plaintext.length, 32)
      ownsItsBuffer(made.plaintext)
      const { ciphertext } = made
      assert.deepEqual(
        (await run(kms, 'decrypt', { key: 'k', ciphertext, encryptionContext })).plaintext,
        made.plaintext,
      )
      assert.equal((await run(kms, 'generateDataKey', { key: 'k', length: 64 })).plaintext.length, 64)
      assert.notDeepEqual((await run(kms, 'generateDataKey', { key: 'k' })).plaintext, made.plaintext)
    },
  },
  {
    name: 're-encryption moves a ciphertext to the latest version, another key or another context, within the scope',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'a' })
      await run(kms, 'createKey', { slug: 'b', keyType: 'aes128-gcm96' })
      await run(kms, 'createKey', { slug: 's', keyType: 'ed25519' })
      await run(kms, 'createKey', { slug: 'far' }, { scope: {} })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'a', plaintext, encryptionContext })
      await run(kms, 'rotate', { key: 'a' })
      const newer = await run(kms, 'reEncrypt', { key: 'a', ciphertext, encryptionContext })
      assert.deepEqual([newer.keyVersion, newer.destinationKeyVersion, newer.destinationKey.slug], [1, 2, 'a'])
      const moved = await run(kms, 'reEncrypt', {
        key: 'a',
        ciphertext,
        encryptionContext,
        destinationKey: 'b',
        destinationEncryptionContext: { to: 'b' },
      })
      const opened = await run(kms, 'decrypt', {
        key: 'b',
        ciphertext: moved.ciphertext,
        encryptionContext: { to: 'b' },
      })
      assert.deepEqual(opened.plaintext, plaintext)
      const attempts = {
        far: 'KEY_NOT_FOUND',
        s: 'UNSUPPORTED_OPERATION',
      }
      for (const [destinationKey, code] of Object.entries(attempts)) {
        const input = { key: 'a', ciphertext, encryptionContext, destinationKey }
        assert.equal((await failureOf(run(kms, 'reEncrypt', input))).code, code)
      }
      await run(kms, 'disableKey', { key: 'b' })
      const input = { key: 'a', ciphertext, encryptionContext, destinationKey: 'b' }
      assert.equal((await failureOf(run(kms, 'reEncrypt', input))).code, 'KEY_NOT_ACTIVE')
      assert.equal((await failureOf(run(kms, 'reEncrypt', { key: 'a', ciphertext }))).code, 'INVALID_CIPHERTEXT')
    },
  },
  {
    name: 'crypto and reads answer at once, changes later and one after another',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      assert.ok(!(kms.operations.encrypt?.({ key: 'k', plaintext }, callOf()) instanceof Promise))
      assert.ok(!(kms.operations.listKeys?.({}, callOf()) instanceof Promise))
      assert.ok(!(kms.resolve?.('k', scope) instanceof Promise))
      const changes = Array.from({ length: 20 }, () => run(kms, 'rotate', { key: 'k' }))
      const made = await Promise.all(changes)
      assert.deepEqual(
        made.map(({ keyVersion }) => keyVersion),
        Array.from({ length: 20 }, (_, at) => at + 2),
      )
      assert.equal(new Set(made.map(({ generation }) => generation)).size, 20)
    },
  },
  {
    name: 'the reference in outputs is one frozen object per key state',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      const first = await run(kms, 'encrypt', { key: 'k', plaintext })
      const second = await run(kms, 'encrypt', { key: 'k', plaintext })
      assert.equal(first.key, second.key)
      assert.ok(Object.isFrozen(first.key))
      await run(kms, 'createKey', { slug: 'another' })
      assert.equal((await run(kms, 'encrypt', { key: 'k', plaintext })).key, first.key)
      await run(kms, 'rotate', { key: 'k' })
      assert.notEqual((await run(kms, 'encrypt', { key: 'k', plaintext })).key, first.key)
    },
  },
  {
    name: 'the outcome of a change is known by its operation ID, and a refused one was not done',
    async run(kms) {
      const asked: [string, string][] = []
      for (let at = 0; at < 5; at++) {
        const { operationID } = callOf()
        await run(kms, 'createKey', { slug: `k${at}`, exportAllowed: true }, { operationID })
        asked.push([operationID, 'done'])
      }
      for (const operation of ['enableKey', 'export'] as const) {
        const { operationID } = callOf()
        await run(kms, operation, { key: 'k0' }, { operationID })
        asked.push([operationID, 'done'])
      }
      const { operationID } = callOf()
      await failureOf(run(kms, 'createKey', { slug: 'k0' }, { operationID }))
      asked.push([operationID, 'not-done'])
      for (const [id, outcome] of asked) assert.equal(kms.outcomeOf(id), outcome)
    },
  },
  {
    name: 'changes long past are unknown rather than guessed',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      const early = callOf().operationID
      await run(kms, 'enableKey', { key: 'k' }, { operationID: early })
      const refused = callOf().operationID
      for (let at = 0; at < 300; at++) await run(kms, 'enableKey', { key: 'k' })
      assert.equal(kms.outcomeOf(early), 'unknown')
      assert.equal(kms.outcomeOf(refused), 'unknown')
      assert.equal(kms.outcomeOf(callOf().operationID), 'not-done')
    },
  },
  {
    name: 'the anchor of the last change is kept with its generation',
    async run(kms) {
      const { keystore = '' } = kms.binding() ?? {}
      assert.match(keystore, /^[a-z2-7]{26}$/)
      assert.deepEqual(kms.binding(), { keystore, generation: 1 })
      const anchor = { origin: 'keytrail/x', size: 2n ** 60n, root: randomBytes(32) }
      const made = await run(kms, 'createKey', { slug: 'k' }, { anchor })
      assert.deepEqual(kms.binding(), { keystore, generation: 2, anchor })
      assert.deepEqual([made.keystore, made.generation], [keystore, 2])
    },
  },
  {
    name: 'a change whose call was aborted while it waited is not made',
    async run(kms) {
      const signal = AbortSignal.abort()
      assert.equal((await failureOf(run(kms, 'createKey', { slug: 'k' }, { signal }))).code, 'ABORTED')
      assert.deepEqual((await run(kms, 'listKeys', {})).keys, [])
    },
  },
  {
    name: 'the audit signer signs as Ed25519, is no key of the KMS, and ends with it',
    async run(kms) {
      const signer = kms.auditSigner()
      assert.equal(kms.auditSigner(), signer)
      const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), signer.publicKey])
      const theirs = createPublicKey({ key: spki, format: 'der', type: 'spki' })
      assert.ok(verify(null, plaintext, theirs, signer.sign(plaintext)))
      assert.deepEqual((await run(kms, 'listKeys', {})).keys, [])
      await kms.close()
      assert.throws(() => signer.sign(plaintext), { code: 'CLOSED' })
      assert.throws(() => kms.auditSigner(), { code: 'CLOSED' })
    },
  },
  {
    name: 'the audit signer rotates: the new one leads to those before it, and each works until the KMS is closed',
    async run(kms) {
      const first = kms.auditSigner()
      assert.equal(first.previous, undefined)
      const { generation, keystore } = await run(kms, 'rotateAuditSigner', {})
      assert.deepEqual(kms.binding(), { keystore, generation })
      const second = kms.auditSigner()
      assert.notDeepEqual(second.publicKey, first.publicKey)
      assert.equal(second.previous, first)
      await run(kms, 'rotateAuditSigner', {})
      assert.equal(kms.auditSigner().previous, second)
      assert.equal(kms.auditSigner().previous?.previous, first)
      assert.equal(first.sign(plaintext).length, 64)
      await kms.close()
      for (const signer of [first, second]) assert.throws(() => signer.sign(plaintext), { code: 'CLOSED' })
    },
  },
  {
    name: 'closing lets changes settle, and then everything is CLOSED',
    async run(kms) {
      await run(kms, 'createKey', { slug: 'k' })
      const under = [run(kms, 'rotate', { key: 'k' }), run(kms, 'rotate', { key: 'k' })]
      const closing = kms.close()
      assert.equal(kms.close(), closing)
      assert.equal((await failureOf(run(kms, 'rotate', { key: 'k' }))).code, 'CLOSED')
      await closing
      assert.deepEqual(
        (await Promise.all(under)).map(({ keyVersion }) => keyVersion),
        [2, 3],
      )
      assert.equal((await failureOf(run(kms, 'encrypt', { key: 'k', plaintext }))).code, 'CLOSED')
      assert.equal((await failureOf(run(kms, 'listKeys', {}))).code, 'CLOSED')
      assert.throws(() => kms.resolve?.('k', scope), { code: 'CLOSED' })
    },
  },
  {
    name: 'no key byte shows in what util.inspect prints of the provider, its keys and its errors',
    async run(kms) {
      const shown: unknown[] = [kms, kms.auditSigner()]
      const secrets: Uint8Array[] = []
      for (const keyType of keyTypes) {
        shown.push(await run(kms, 'createKey', { slug: keyType, keyType, exportAllowed: true }))
        const { keyMaterial } = await run(kms, 'export', { key: keyType })
        secrets.push((await algorithms[keyType].decode(engine, keyMaterial)) ?? assert.fail(keyType))
        shown.push(await failureOf(run(kms, 'createKey', { slug: keyType })))
      }
      shown.push(kms.resolve?.('hmac', scope), await run(kms, 'encrypt', { key: 'xaes256-gcm', plaintext }))
      const text = inspect(shown, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null })
      for (const secret of secrets) {
        for (const spelling of [[...secret].join(', '), hexOf(secret), hexOf(secret).replace(/..(?=.)/g, '$& ')])
          assert.ok(!text.includes(spelling.slice(0, 40)))
      }
      assert.ok(text.includes('xaes256-gcm'))
    },
  },
]

function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString('hex')
}
