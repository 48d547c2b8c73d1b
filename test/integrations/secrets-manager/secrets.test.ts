/** What a Secrets Manager does, and what it leaves behind. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { memorySecretStore, type SecretStore, secretsManager } from '../../../src/integrations/secrets-manager/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { lineOf } from '../../../src/model/line.ts'
import { turn } from '../../audit/puppet.ts'
import { validEntries } from '../../validate.ts'
import { rig, told } from './rig.ts'

const path = '/billing/database'

describe('a put and a get', () => {
  test('are one encryption and one decryption, which name the entry of the secret, and it names theirs', async () => {
    const { secrets, entries, kms } = await rig()
    const created = await secrets.create({ path, key: 'orders' })
    const put = await secrets.put({ path, secretString: 'hunter2' })
    const got = await secrets.get({ path })
    assert.deepEqual(
      { ...got, eventID: '' },
      {
        path,
        version: 1,
        secretString: 'hunter2',
        kmsKeyIdentity: created.kmsKeyIdentity,
        kmsKeyVersion: 1,
        eventID: '',
      },
    )
    assert.deepEqual(
      { ...put, eventID: '' },
      { path, version: 1, kmsKeyIdentity: created.kmsKeyIdentity, kmsKeyVersion: 1, eventID: '' },
    )
    const all = validEntries(entries())
    assert.deepEqual(told(all), [
      `secret.create pending ${path}`,
      `secret.create success ${path}`,
      `secret.put_value pending ${path} #1`,
      'kms.encrypt success v1',
      `secret.put_value success ${path} #1 v1`,
      'kms.decrypt success v1',
      `secret.get_value success ${path} #1 v1`,
    ])
    const [, , intent, encrypted, putEntry, decrypted, gotEntry] = all
    assert.equal(putEntry?.eventID, put.eventID)
    assert.equal(gotEntry?.eventID, got.eventID)
    assert.deepEqual(encrypted?.origin, { service: 'secrets-manager', eventID: put.eventID, resource: path })
    assert.deepEqual(decrypted?.origin, { service: 'secrets-manager', eventID: got.eventID, resource: path })
    assert.equal(putEntry?.details?.kmsEventID, encrypted?.eventID)
    assert.equal(gotEntry?.details?.kmsEventID, decrypted?.eventID)
    assert.equal(putEntry?.operationID, put.eventID)
    assert.equal(intent?.operationID, put.eventID)
    for (const entry of [encrypted, putEntry, decrypted, gotEntry]) {
      assert.deepEqual(entry?.actor, { type: 'user', id: 'alice', source: 'context' })
      assert.deepEqual(entry?.context, { clientIp: '192.0.2.7', userAgent: 'curl/8.5.0', requestId: 'r-1' })
      assert.deepEqual([entry?.region, entry?.project, entry?.keySlug], ['nl-01', 'billing', 'orders'])
    }
    assert.equal(gotEntry?.resourceType, 'secret')
    assert.equal(gotEntry?.keyType, 'xaes256-gcm')
    await kms.close()
  })

  test('who asks is bound here, carried, or said with the call, and is the same in both entries', async () => {
    const carried = { current: () => ({ traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }) }
    const { secrets, entries } = await rig({ context: carried })
    await secrets.create({ path, key: 'orders', secretString: 'x' })
    entries()
    const bob = secrets.with({ actor: { type: 'serviceAccount', id: 'bob' }, origin: { service: 'billing' } })
    await bob.get({ path }, { context: { reason: { code: 'deploy' }, userAgent: 'deployer' } })
    const [decrypted, got] = entries()
    for (const entry of [decrypted, got]) {
      assert.deepEqual(entry?.actor, { type: 'serviceAccount', id: 'bob', source: 'context' })
      assert.deepEqual(entry?.reason, { code: 'deploy' })
      assert.equal(entry?.context?.userAgent, 'deployer')
      assert.equal(entry?.context?.traceparent, carried.current().traceparent)
    }
    assert.deepEqual(got?.origin, { service: 'billing' })
    assert.equal(decrypted?.origin?.eventID, got?.eventID)
    const origin = { service: 'cron', eventID: 'e-1' }
    const carol = await secrets.get({ path }, { context: { actor: { type: 'user', id: 'carol' }, origin } })
    const [late, last] = entries()
    assert.deepEqual([late?.origin?.eventID, last?.origin], [carol.eventID, origin])
    for (const entry of [late, last]) assert.deepEqual(entry?.actor, { type: 'user', id: 'carol', source: 'call' })
  })

  test('old versions stay readable, and a rotated key needs no re-encryption', async () => {
    const { secrets, kms, entries } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'one' })
    await kms.rotate({ key: 'orders' })
    const second = await secrets.put({ path, secretKeyValues: { user: 'app', password: 'two' } })
    assert.deepEqual([second.version, second.kmsKeyVersion], [2, 2])
    entries()
    const first = await secrets.get({ path, version: 1 })
    assert.deepEqual([first.secretString, first.kmsKeyVersion], ['one', 1])
    assert.deepEqual((await secrets.get({ path })).secretKeyValues, { user: 'app', password: 'two' })
    assert.deepEqual(told(entries()), [
      'kms.decrypt success v1',
      `secret.get_value success ${path} #1 v1`,
      'kms.decrypt success v2',
      `secret.get_value success ${path} #2 v2`,
    ])
  })

  test('generated bytes are revealed as base64, are of the length asked for and random', async () => {
    const { secrets } = await rig()
    await secrets.create({ path, key: 'orders', generate: 32 })
    await secrets.put({ path, generate: 4096 })
    const [first, second] = [await secrets.get({ path, version: 1 }), await secrets.get({ path })]
    assert.equal(first.encoding, 'base64')
    assert.equal(Buffer.from(first.secretString ?? '', 'base64').length, 32)
    const bytes = Buffer.from(second.secretString ?? '', 'base64')
    assert.equal(bytes.length, 4096)
    assert.ok(new Set(bytes).size > 200)
  })

  test('the binding is told in the KMS entry, and holds path, version, key and which secret it is', async () => {
    const { secrets, entries } = await rig()
    const { kmsKeyIdentity } = await secrets.create({ path, key: 'orders', secretString: 'x' })
    const bound = entries().find(({ action }) => action === 'kms.encrypt')?.encryptionContext ?? {}
    assert.deepEqual(
      { ...bound, 'secret.id': '' },
      { 'secret.path': path, 'secret.version': '1', 'secret.key': kmsKeyIdentity, 'secret.id': '' },
    )
    assert.match(bound['secret.id'] ?? '', /^[0-9a-f]{32}$/)
  })
})

describe('the life of a secret', () => {
  test('describe and list tell of versions and never of values', async () => {
    const { secrets, entries } = await rig()
    const labels = { team: 'billing' }
    const policy = { conditions: [{ type: 'ip', effect: 'deny', cidrs: ['10.0.0.0/8'] }] } as const
    await secrets.create({ path, key: 'orders', description: 'the database', labels, policy, secretString: 'hunter2' })
    await secrets.put({ path, secretString: 'hunter3' })
    await secrets.destroyVersion({ path, version: 1 })
    entries()
    const described = await secrets.describe({ path })
    assert.deepEqual([described.description, described.labels, described.policy], ['the database', labels, policy])
    assert.equal(described.currentVersion, 2)
    assert.deepEqual(
      described.versions.map(({ version, status, kmsKeyVersion }) => [version, status, kmsKeyVersion]),
      [
        [1, 'destroyed', 1],
        [2, 'active', 1],
      ],
    )
    const { secrets: listed } = await secrets.list({ prefix: '/billing/' })
    const { eventID: _, ...info } = described
    assert.deepEqual(listed, [info])
    assert.doesNotMatch(JSON.stringify([described, listed]), /hunter|ciphertext|"id"/)
    assert.deepEqual(told(entries()), [`secret.describe success ${path}`, 'secret.list success /billing/'])
  })

  test('a destroyed version remains, unreadable, and its ciphertext is gone from the store', async () => {
    const { secrets, store, entries } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'one' })
    await secrets.put({ path, secretString: 'two' })
    const stored = (await store.read(path)) ?? assert.fail()
    await secrets.destroyVersion({ path, version: 2 })
    assert.equal(await store.readValue(stored, 2), undefined)
    entries()
    await assert.rejects(secrets.get({ path }), { code: 'VERSION_NOT_FOUND', message: /was destroyed/ })
    await assert.rejects(secrets.destroyVersion({ path, version: 2 }), { code: 'VERSION_NOT_FOUND' })
    await assert.rejects(secrets.get({ path, version: 3 }), { code: 'VERSION_NOT_FOUND' })
    assert.equal((await secrets.get({ path, version: 1 })).secretString, 'one')
    assert.equal((await secrets.put({ path, secretString: 'three' })).version, 3)
    assert.deepEqual(told(entries()).slice(0, 3), [
      `secret.get_value failure VERSION_NOT_FOUND ${path} #2`,
      `secret.destroy_version failure VERSION_NOT_FOUND ${path} #2`,
      `secret.get_value failure VERSION_NOT_FOUND ${path} #3`,
    ])
  })

  test('a deleted secret frees its path, and an old value does not open as the new one', async () => {
    const { secrets, store } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'one' })
    const before = (await store.read(path)) ?? assert.fail()
    const old = (await store.readValue(before, 1)) ?? assert.fail()
    await secrets.delete({ path })
    await assert.rejects(secrets.get({ path }), { code: 'SECRET_NOT_FOUND', statusCode: 404 })
    assert.equal(await store.readValue(before, 1), undefined)
    await secrets.create({ path, key: 'orders', secretString: 'two' })
    const now = (await store.read(path)) ?? assert.fail()
    const operationID = 'replay'
    await store.write({ path, operationID, expectRevision: now.revision, secret: { ...now, revision: 9 }, value: old })
    await assert.rejects(secrets.get({ path }), { code: 'INVALID_CIPHERTEXT' })
  })

  test('a secret without a value has none, and a path that is taken is 409', async () => {
    const { secrets, entries } = await rig()
    const made = await secrets.create({ path, key: 'orders' })
    assert.equal(made.currentVersion, undefined)
    await assert.rejects(secrets.get({ path }), { code: 'VERSION_NOT_FOUND', message: /no value yet/ })
    entries()
    await assert.rejects(secrets.create({ path, key: 'orders', secretString: 'x' }), {
      code: 'SECRET_EXISTS',
      statusCode: 409,
    })
    assert.deepEqual(told(entries()), [`secret.create failure SECRET_EXISTS ${path}`])
  })

  test('only active AES and ChaCha keys of the same region and project will do', async () => {
    const { secrets, kms, entries } = await rig()
    for (const keyType of [
      'aes128-gcm96',
      'aes256-gcm96',
      'chacha20-poly1305',
      'xaes256-gcm',
      'xchacha20-poly1305',
    ] as const) {
      await kms.createKey({ slug: keyType, keyType })
      await secrets.create({ path: `/${keyType}`, key: keyType, secretString: keyType })
      assert.equal((await secrets.get({ path: `/${keyType}` })).secretString, keyType)
    }
    for (const keyType of ['ed25519', 'ecdsa-p256', 'hmac-sha256'] as const) {
      await kms.createKey({ slug: keyType, keyType })
      await assert.rejects(secrets.create({ path, key: keyType }), { code: 'UNSUPPORTED_OPERATION' })
    }
    await assert.rejects(secrets.create({ path, key: 'nobody' }), { code: 'KEY_NOT_FOUND' })
    await kms.disableKey({ key: 'orders' })
    entries()
    await assert.rejects(secrets.create({ path, key: 'orders' }), { code: 'KEY_NOT_ACTIVE' })
    assert.deepEqual(told(entries()), [`secret.create failure KEY_NOT_ACTIVE ${path}`])
  })

  test('a disabled key makes its secrets unreadable while it is disabled, with an entry on either side', async () => {
    const { secrets, kms, entries } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'x' })
    await kms.disableKey({ key: 'orders' })
    entries()
    await assert.rejects(secrets.get({ path }), (error: KmsError) => {
      assert.equal(error.code, 'KEY_NOT_ACTIVE')
      assert.equal(error.operation, 'secret.get_value')
      return true
    })
    await assert.rejects(secrets.put({ path, secretString: 'y' }), { code: 'KEY_NOT_ACTIVE' })
    const all = entries()
    assert.deepEqual(told(all), [
      'kms.decrypt failure KEY_NOT_ACTIVE',
      `secret.get_value failure KEY_NOT_ACTIVE ${path} #1`,
      `secret.put_value pending ${path} #2`,
      'kms.encrypt failure KEY_NOT_ACTIVE',
      `secret.put_value failure KEY_NOT_ACTIVE ${path} #2`,
    ])
    assert.equal(all[1]?.details?.kmsEventID, all[0]?.eventID)
    await kms.enableKey({ key: 'orders' })
    assert.equal((await secrets.get({ path })).secretString, 'x')
  })

  test('secrets of another region or project are not found there, nor listed', async () => {
    const here = await rig()
    await here.secrets.create({ path, key: 'orders', secretString: 'x' })
    const there = await rig({ store: here.store, project: 'other' })
    await assert.rejects(there.secrets.get({ path }), { code: 'SECRET_NOT_FOUND' })
    assert.deepEqual((await there.secrets.list()).secrets, [])
    assert.deepEqual((await there.secrets.browse()).folders, [])
    await assert.rejects(there.secrets.create({ path, key: 'orders' }), { code: 'SECRET_EXISTS' })
  })
})

describe('lists', () => {
  test('nor are their paths told where a page begins', async () => {
    const store = memorySecretStore()
    const [one, other] = [await rig({ store }), await rig({ store, project: 'other' })]
    for (const path of ['/hidden-1', '/hidden-2', '/z']) await other.secrets.create({ path, key: 'orders' })
    for (const path of ['/mine', '/mine-2']) await one.secrets.create({ path, key: 'orders' })
    const { secrets, next } = await one.secrets.list({ limit: 1 })
    assert.deepEqual([secrets.map(({ path }) => path), next], [['/mine'], '/mine'])
    const rest = await one.secrets.list({ limit: 1, after: '/mine' })
    assert.deepEqual([rest.secrets.map(({ path }) => path), rest.next], [['/mine-2'], undefined])
  })

  test('come in pages, by path', async () => {
    const { secrets } = await rig()
    const paths = ['/a', '/a+b', '/a/b', '/a/c/d', '/b', '/b.c'].sort()
    for (const one of [...paths].reverse()) await secrets.create({ path: one, key: 'orders' })
    const pages: string[][] = []
    let after: string | undefined
    do {
      const page = await secrets.list({ limit: 4, ...(after !== undefined && { after }) })
      pages.push(page.secrets.map((secret) => secret.path))
      after = page.next
    } while (after !== undefined)
    assert.deepEqual(pages, [paths.slice(0, 4), paths.slice(4)])
    assert.deepEqual(
      (await secrets.list({ prefix: '/a/' })).secrets.map((secret) => secret.path),
      ['/a/b', '/a/c/d'],
    )
  })

  test('a folder shows its secrets and its folders, also where a name and a folder are the same', async () => {
    const { secrets } = await rig()
    const paths = ['/db', '/db/prod', '/db/prod/a', '/db/prod/b/c', '/db/prod-old', '/db/prod0', '/db/test/x', '/z']
    for (const one of paths) await secrets.create({ path: one, key: 'orders' })
    const seen = async (folder: string) => {
      const { folders, secrets: found, next } = await secrets.browse({ folder })
      return [folders, found.map((secret) => secret.path), next]
    }
    assert.deepEqual(await seen('/'), [['/db/'], ['/db', '/z'], undefined])
    assert.deepEqual(await seen('/db/'), [
      ['/db/prod/', '/db/test/'],
      ['/db/prod', '/db/prod-old', '/db/prod0'],
      undefined,
    ])
    assert.deepEqual(await seen('/db/prod/'), [['/db/prod/b/'], ['/db/prod/a'], undefined])
    assert.deepEqual(await seen('/nowhere/'), [[], [], undefined])
    const steps: string[] = []
    let after: string | undefined
    do {
      const page = await secrets.browse({ folder: '/db/', limit: 1, ...(after !== undefined && { after }) })
      steps.push(...page.folders, ...page.secrets.map((secret) => secret.path))
      after = page.next
    } while (after !== undefined)
    assert.deepEqual(steps, ['/db/prod', '/db/prod-old', '/db/prod/', '/db/prod0', '/db/test/'])
  })
})

describe('refusals', () => {
  const wrong: readonly (readonly [string, (secrets: ReturnType<typeof secretsManager>) => Promise<unknown>])[] = [
    ['a path without a slash', (secrets) => secrets.get({ path: 'hunter2' })],
    ['a path with //', (secrets) => secrets.get({ path: '/a//b' })],
    ['no object', (secrets) => secrets.get(undefined as never)],
    ['a field that nobody knows', (secrets) => secrets.get({ path, hunter2: 1 } as never)],
    ['no value', (secrets) => secrets.put({ path })],
    ['two values', (secrets) => secrets.put({ path, secretString: 'hunter2', generate: 16 })],
    ['an empty string', (secrets) => secrets.put({ path, secretString: '' })],
    ['a string that is too long', (secrets) => secrets.put({ path, secretString: 'ä'.repeat(2049) })],
    ['a lone surrogate', (secrets) => secrets.put({ path, secretString: 'hunter2\ud800' })],
    ['a map with 257 keys', (secrets) => secrets.put({ path, secretKeyValues: mapOf(257, 'x') })],
    ['a map with a bad name', (secrets) => secrets.put({ path, secretKeyValues: { 'hunter2 !': 'x' } })],
    ['a map that holds a number', (secrets) => secrets.put({ path, secretKeyValues: { a: 1 } as never })],
    ['15 generated bytes', (secrets) => secrets.put({ path, generate: 15 })],
    ['4097 generated bytes', (secrets) => secrets.put({ path, generate: 4097 })],
    ['a version that is none', (secrets) => secrets.get({ path, version: 0 })],
    [
      'a policy that misspells',
      (secrets) =>
        secrets.updatePolicy({
          path,
          policy: { conditions: [{ type: 'ip', effect: 'deny', cidr: ['::/0'] }] } as never,
        }),
    ],
    ['a limit of 0', (secrets) => secrets.list({ limit: 0 })],
    ['a folder without its slash', (secrets) => secrets.browse({ folder: '/a' })],
    [
      'a getter that throws',
      (secrets) =>
        secrets.get({
          get path(): string {
            throw new Error('hunter2')
          },
        }),
    ],
    ['a context that is none', (secrets) => secrets.get({ path }, { context: { actor: 'hunter2' } as never })],
    ['a deadline that is none', (secrets) => secrets.get({ path }, { deadlineMs: -1 })],
  ]
  for (const [what, call] of wrong)
    test(`${what} is one entry, INVALID_INPUT, and is not quoted`, async () => {
      const { secrets, entries } = await rig()
      await secrets.create({ path, key: 'orders', secretString: 'x' })
      entries()
      await assert.rejects(call(secrets), (error) => {
        assert.ok(error instanceof KmsError)
        assert.equal(error.code, 'INVALID_INPUT')
        assert.doesNotMatch(inspect(error), /hunter2/)
        return true
      })
      const all = entries()
      assert.equal(all.length, 1)
      assert.deepEqual([all[0]?.outcome, all[0]?.error, all[0]?.statusCode], ['failure', 'INVALID_INPUT', 400])
      assert.doesNotMatch(lineOf(all[0] ?? assert.fail()), /hunter2/)
    })

  test('limits are inclusive: 4096 bytes, 256 keys, names of 128', async () => {
    const { secrets } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'ä'.repeat(2048) })
    assert.equal((await secrets.get({ path })).secretString, 'ä'.repeat(2048))
    const map = { ...mapOf(255, 'y'), ['n'.repeat(128)]: 'z'.repeat(4096) }
    await secrets.put({ path, secretKeyValues: map })
    assert.deepEqual((await secrets.get({ path })).secretKeyValues, map)
    await secrets.put({ path, generate: 16 })
    await secrets.put({ path, secretKeyValues: {} })
    assert.deepEqual((await secrets.get({ path })).secretKeyValues, {})
  })

  test('a map beyond one encryption is refused before the KMS, saying what to raise; raised, it is kept', async () => {
    const map = mapOf(256, 'v'.repeat(4096))
    const { secrets, entries } = await rig()
    await secrets.create({ path, key: 'orders' })
    entries()
    let raise = ''
    await assert.rejects(secrets.put({ path, secretKeyValues: map }), (error: KmsError) => {
      assert.equal(error.code, 'INVALID_INPUT')
      raise = /\{ plaintext: \d+, ciphertext: \d+ \}/.exec(error.message)?.[0] ?? assert.fail(error.message)
      return true
    })
    assert.deepEqual(told(entries()), [`secret.put_value failure INVALID_INPUT ${path}`])
    const [plaintext, ciphertext] = [...raise.matchAll(/\d+/g)].map(Number)
    const raised = await rig({ limits: { plaintext: plaintext ?? 0, ciphertext: ciphertext ?? 0 } })
    await raised.secrets.create({ path, key: 'orders', secretKeyValues: map })
    assert.deepEqual((await raised.secrets.get({ path })).secretKeyValues, map)
    // What could be encrypted and not decrypted again would be lost.
    const half = await rig({ limits: { plaintext: plaintext ?? 0 } })
    await assert.rejects(half.secrets.create({ path, key: 'orders', secretKeyValues: map }), { code: 'INVALID_INPUT' })
  })

  test('context that the audit requires of an action is required here too', async () => {
    const { secrets, entries } = await rig({ require: { 'secret.get_value': ['reason'] } })
    await secrets.create({ path, key: 'orders', secretString: 'x' })
    entries()
    await assert.rejects(secrets.get({ path }), { code: 'INVALID_INPUT', message: /secret\.get_value needs 'reason'/ })
    assert.deepEqual(told(entries()), [`secret.get_value failure INVALID_INPUT ${path}`])
    await secrets.get({ path }, { context: { reason: { code: 'deploy' } } })
  })

  test('a carrier that fails refuses the call, with an entry', async () => {
    let fails = false
    const context = {
      current() {
        if (fails) throw new Error('hunter2')
        return undefined
      },
    }
    const { secrets, entries } = await rig({ context })
    await secrets.create({ path, key: 'orders', secretString: 'x' })
    entries()
    fails = true
    await assert.rejects(secrets.get({ path }), { code: 'INVALID_INPUT' })
    assert.deepEqual(told(entries()), [`secret.get_value failure INVALID_INPUT ${path}`])
  })

  test('floods of refusals are joined, but never those whose KMS call names them', async () => {
    const { secrets, entries, kms } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'x' })
    entries()
    for (let count = 0; count < 250; count++) await assert.rejects(secrets.get({ path: '/nowhere' }))
    assert.equal(entries().length, 100)
    await kms.disableKey({ key: 'orders' })
    for (let count = 0; count < 150; count++) await assert.rejects(secrets.get({ path }))
    assert.equal(entries().filter(({ action }) => action === 'secret.get_value').length, 150)
  })

  test('a signal that is none, or fails, is one entry, INVALID_INPUT', async () => {
    const { secrets, entries } = await rig()
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    entries()
    const nothing = () => undefined
    const fails = () => {
      throw new Error('hunter2')
    }
    // As a caller without types might.
    for (const signal of [
      { aborted: false, addEventListener: nothing },
      { aborted: false, addEventListener: fails, removeEventListener: nothing },
      { aborted: false, addEventListener: nothing, removeEventListener: fails },
    ])
      await assert.rejects(secrets.get({ path: '/a' }, { signal: signal as unknown as AbortSignal }), {
        code: 'INVALID_INPUT',
      })
    assert.deepEqual(told(entries()), Array(3).fill('secret.get_value failure INVALID_INPUT /a'))
  })

  test('the path in the entries is the one that was used, whatever a getter says next', async () => {
    const { secrets, entries } = await rig()
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    entries()
    let reads = 0
    await secrets.get({
      get path() {
        reads += 1
        return reads === 1 ? '/a' : '/innocent'
      },
    })
    const [kms, secret] = entries()
    assert.deepEqual([kms?.origin?.resource, secret?.resourceIdentity], ['/a', '/a'])
  })

  test('options that are none', async () => {
    const { kms, store } = await rig()
    for (const options of [
      undefined,
      {},
      { kms: {}, store },
      { kms, store: {} },
      { kms, store: { ...store, name: 'a b' } },
    ])
      assert.throws(() => secretsManager(options as never), { code: 'INVALID_INPUT' })
    assert.throws(() => secretsManager({ kms, store: memorySecretStore() }), { message: /name of another/ })
    assert.throws(() => secretsManager({ kms, store: memorySecretStore({ name: 'memory' }) }), {
      message: /name of another/,
    })
    secretsManager({ kms, store })
    secretsManager({ kms, store: memorySecretStore({ name: 'second' }) })
  })
})

describe('at once', () => {
  test('two puts get two versions, and each get sees a whole one', async () => {
    const { secrets } = await rig()
    await secrets.create({ path, key: 'orders', secretString: '0' })
    const puts = Array.from({ length: 20 }, (_, at) => secrets.put({ path, secretString: `value ${at}` }))
    const versions = (await Promise.all(puts)).map(({ version }) => version)
    assert.deepEqual(
      [...versions].sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, at) => at + 2),
    )
    for (const [at, version] of versions.entries())
      assert.equal((await secrets.get({ path, version })).secretString, `value ${at}`)
  })

  test('two Secrets Managers over one store take turns', async () => {
    const { secrets, kms, store } = await rig()
    await secrets.create({ path, key: 'orders' })
    const other = secretsManager({ kms, store })
    const all = await Promise.all(
      [1, 2, 3, 4].map((n) => (n % 2 ? secrets : other).put({ path, secretString: `${n}` })),
    )
    assert.deepEqual(all.map(({ version }) => version).sort(), [1, 2, 3, 4])
  })

  test('a secret that is made anew while it is read is not found, and nothing is lost', async () => {
    const inner = memorySecretStore()
    let between = async () => {}
    const store: SecretStore = {
      ...inner,
      async readValue(secret, version) {
        await between()
        return inner.readValue(secret, version)
      },
    }
    const { secrets } = await rig({ store })
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    between = async () => {
      await secrets.delete({ path: '/a' })
      await secrets.create({ path: '/a', key: 'orders', secretString: 'y' })
    }
    await assert.rejects(secrets.get({ path: '/a' }), { code: 'SECRET_NOT_FOUND' })
  })

  test('of two creations of one path, one is refused', async () => {
    const { secrets } = await rig()
    const both = await Promise.allSettled(
      [1, 2].map((n) => secrets.create({ path, key: 'orders', secretString: `${n}` })),
    )
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  })

  test('what the caller does to its input meanwhile changes nothing', async () => {
    const { secrets } = await rig()
    const map: Record<string, string> = { a: '1' }
    const input = { path, key: 'orders', secretKeyValues: map }
    const making = secrets.create(input)
    map['a'] = '2'
    input.path = '/elsewhere'
    await making
    assert.deepEqual((await secrets.get({ path })).secretKeyValues, { a: '1' })
  })
})

describe('close', () => {
  test('refuses new calls, waits for those in flight, closes the store, and not the client', async () => {
    let closed = 0
    const inner = memorySecretStore()
    const { secrets, kms, sink } = await rig({ store: { ...inner, close: async () => void closed++ } })
    await secrets.create({ path, key: 'orders', secretString: 'x' })
    sink.mode = 'hang'
    const getting = secrets.get({ path })
    await turn()
    const closing = secrets.close()
    await assert.rejects(secrets.get({ path }), { code: 'CLOSED' })
    assert.equal(closed, 0)
    sink.mode = 'sync'
    sink.settle('accept')
    assert.equal((await getting).secretString, 'x')
    await closing
    await secrets.close()
    assert.equal(closed, 1)
    await kms.describeKey({ key: 'orders' })
  })
})

test('what a Secrets Manager and its store show when inspected holds no value', async () => {
  const { secrets, store } = await rig()
  await secrets.create({ path, key: 'orders', secretString: 'hunter2' })
  await secrets.get({ path })
  const seen = inspect([secrets, store], { depth: 20, showHidden: true })
  assert.doesNotMatch(seen, /hunter2/)
})

function mapOf(count: number, value: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, value]))
}
