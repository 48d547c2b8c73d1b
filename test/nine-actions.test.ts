/**
 * PLATFORM.md §1: each of the nine audited actions, on success and on each failure that it can have, leaves exactly
 * one result entry with every field that applies: region, project, key slug, key type, outcome, key version, payload
 * sizes, client IP, user agent.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KmsClient } from '../src/client.ts'
import type { AuditEntry, PayloadSizes } from '../src/model/entry.ts'
import { KmsError, type KmsErrorCode } from '../src/model/errors.ts'
import type { Input, Operation } from '../src/model/operation.ts'
import { memoryKms } from '../src/providers/memory.ts'
import { memorySink } from '../src/sinks/memory.ts'
import { fakeClock } from '../src/testing/clock.ts'
import { validEntries } from './validate.ts'

const text = new TextEncoder().encode('attack at dawn')
const encryptionContext = { order: '17' }
const contextSize = 7

const keyTypes = { box: 'aes256-gcm96', pen: 'ecdsa-p256', mac: 'hmac-sha256', vault: 'aes256-gcm96' } as const

interface Scene {
  readonly kms: KmsClient
  readonly entries: () => readonly AuditEntry[]
  readonly ciphertext: Uint8Array
  readonly signature: Uint8Array
  readonly hmac: Uint8Array
}

interface Case {
  readonly action: string
  readonly operation: Operation
  /** Slug of a key that can do it, and of one that cannot, if any. */
  readonly key: keyof typeof keyTypes
  readonly wrongKey?: keyof typeof keyTypes
  readonly input: (scene: Scene) => Record<string, unknown>
  readonly bad: (scene: Scene) => Record<string, unknown>
  readonly keyVersion: number
  /** What the entry of a success measures, and what of it is known of a refused call. */
  readonly sizes: PayloadSizes | undefined
  readonly given: PayloadSizes | undefined
}

const empty = new Uint8Array()
const cases: readonly Case[] = [
  {
    action: 'kms.encrypt',
    operation: 'encrypt',
    key: 'box',
    wrongKey: 'pen',
    input: () => ({ plaintext: text, encryptionContext }),
    bad: () => ({ plaintext: empty }),
    keyVersion: 1,
    sizes: { plaintext: 14, ciphertext: 14 + 65, encryptionContext: contextSize },
    given: { plaintext: 14, encryptionContext: contextSize },
  },
  {
    action: 'kms.decrypt',
    operation: 'decrypt',
    key: 'box',
    wrongKey: 'mac',
    input: ({ ciphertext }) => ({ ciphertext, encryptionContext }),
    bad: () => ({ ciphertext: 'AAAA' }),
    keyVersion: 1,
    sizes: { plaintext: 14, ciphertext: 14 + 65, encryptionContext: contextSize },
    given: { ciphertext: 14 + 65, encryptionContext: contextSize },
  },
  {
    action: 'kms.sign',
    operation: 'sign',
    key: 'pen',
    wrongKey: 'box',
    input: () => ({ input: text, format: 'ieee-p1363' }),
    bad: () => ({ input: text, hashAlgorithm: 'md5' }),
    keyVersion: 1,
    sizes: { input: 14, signature: 64 },
    given: { input: 14 },
  },
  {
    action: 'kms.verify',
    operation: 'verify',
    key: 'pen',
    wrongKey: 'mac',
    input: ({ signature }) => ({ input: text, signature, format: 'ieee-p1363' }),
    bad: () => ({ input: text }),
    keyVersion: 1,
    sizes: { input: 14, signature: 64 },
    given: { input: 14, signature: 64 },
  },
  {
    action: 'kms.hmac',
    operation: 'hmac',
    key: 'mac',
    wrongKey: 'pen',
    input: () => ({ input: text }),
    bad: () => ({ input: 'text' }),
    keyVersion: 1,
    sizes: { input: 14, mac: 32 },
    given: { input: 14 },
  },
  {
    action: 'kms.verify_hmac',
    operation: 'verifyHmac',
    key: 'mac',
    wrongKey: 'box',
    input: ({ hmac }) => ({ input: text, hmac }),
    bad: () => ({ input: text, hmac: empty }),
    keyVersion: 1,
    sizes: { input: 14, mac: 32 },
    given: { input: 14, mac: 32 },
  },
  {
    action: 'kms.rotate',
    operation: 'rotate',
    key: 'box',
    input: () => ({}),
    bad: () => ({ expectLatestVersion: 0 }),
    keyVersion: 2,
    sizes: undefined,
    given: undefined,
  },
  {
    action: 'kms.rotate.scheduled',
    operation: 'rotateScheduled',
    key: 'vault',
    input: () => ({ expectLatestVersion: 1, dueAt: '2026-02-01T00:00:00.000Z' }),
    bad: () => ({ expectLatestVersion: 1, dueAt: 'soon' }),
    keyVersion: 2,
    sizes: undefined,
    given: undefined,
  },
  {
    action: 'kms.export',
    operation: 'export',
    key: 'vault',
    input: () => ({}),
    bad: () => ({ form: 'pem' }),
    keyVersion: 1,
    sizes: { keyMaterial: 32 },
    given: undefined,
  },
]

const caller = {
  actor: { type: 'serviceAccount', id: 'billing-worker' },
  clientIp: '192.0.2.7',
  userAgent: 'billing/1.2',
  requestId: 'req-1',
} as const

async function stage(): Promise<Scene> {
  const sink = memorySink()
  const clock = fakeClock(Date.UTC(2026, 0, 2))
  const kms = new KmsClient({
    provider: memoryKms({ clock }),
    audit: { required: [sink], clock },
    region: 'nl-01',
    project: 'billing',
    middleware: [
      (call, next) => {
        if (call.context.requestId === 'denied') throw new KmsError('ACCESS_DENIED', 'not today')
        return next()
      },
    ],
  }).with(caller)
  for (const [slug, keyType] of Object.entries(keyTypes)) {
    await kms.createKey({
      slug,
      keyType,
      exportAllowed: slug === 'vault',
      keyRotationEnabled: slug === 'vault',
      ...(slug === 'vault' && { rotationPeriodInDays: 30 }),
    })
  }
  const { ciphertext } = await kms.encrypt({ key: 'box', plaintext: text, encryptionContext })
  const { signature } = await kms.sign({ key: 'pen', input: text, format: 'ieee-p1363' })
  const { hmac } = await kms.hmac({ key: 'mac', input: text })
  // The rotation of 'vault' has been due for a day.
  clock.advance(31 * 86_400_000)
  const before = sink.entries.length
  return { kms, entries: () => validEntries(sink.entries.slice(before)), ciphertext, signature, hmac }
}

/** Calls, and returns what came of it with the call's one result entry. */
async function called(scene: Scene, one: Case, input: Record<string, unknown>, kms = scene.kms) {
  const at = scene.entries === undefined ? 0 : countOf(scene)
  const error = await kms.call(one.operation, input as Input<Operation>).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  const results = scene
    .entries()
    .slice(at)
    .filter(({ phase, action }) => phase === 'result' && action === one.action)
  assert.equal(results.length, 1, 'exactly one result entry')
  const entry = results[0] ?? assert.fail()
  const intents = scene
    .entries()
    .slice(at)
    .filter(({ phase }) => phase === 'intent')
  assert.equal(intents.length, entry.operationID === undefined ? 0 : 1)
  for (const intent of intents) assert.equal(intent.operationID, entry.operationID)
  return { error, entry }
}

function countOf(scene: Scene): number {
  try {
    return scene.entries().length
  } catch {
    // `validEntries` wants one at least.
    return 0
  }
}

/** The fields that every entry of PLATFORM.md §1 has, whatever became of the call. */
function assertCommon(entry: AuditEntry, one: Case): void {
  assert.equal(entry.action, one.action)
  assert.equal(entry.resourceType, 'kms_key')
  assert.equal(entry.region, 'nl-01')
  assert.equal(entry.project, 'billing')
  assert.equal(entry.context?.clientIp, '192.0.2.7')
  assert.equal(entry.context?.userAgent, 'billing/1.2')
  assert.deepEqual(entry.actor, { type: 'serviceAccount', id: 'billing-worker', source: 'context' })
  assert.match(entry.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.equal(typeof entry.durationMs, 'number')
}

function assertFailure(
  entry: AuditEntry,
  error: unknown,
  one: Case,
  code: KmsErrorCode,
  slug: string | undefined,
): void {
  assert.ok(error instanceof KmsError, `${one.action} must fail`)
  assert.equal(error.code, code)
  assert.equal(error.operation, one.operation)
  assert.equal(error.eventID, entry.eventID, 'the error names its entry')
  assertCommon(entry, one)
  assert.equal(entry.outcome, 'failure')
  assert.equal(entry.error, code)
  assert.equal(entry.statusCode, error.statusCode)
  assert.equal(entry.keySlug, slug)
  assert.equal(entry.keyType, slug === undefined ? undefined : keyTypes[slug as keyof typeof keyTypes])
  if (slug !== undefined) assert.match(entry.resourceIdentity ?? '', /^kms-/)
}

for (const one of cases) {
  describe(one.action, () => {
    test('success: every field', async () => {
      const scene = await stage()
      const { error, entry } = await called(scene, one, { key: one.key, ...one.input(scene) })
      assert.equal(error, undefined)
      assertCommon(entry, one)
      assert.equal(entry.outcome, 'success')
      assert.equal(entry.statusCode, 200)
      assert.equal(entry.error, undefined)
      assert.equal(entry.keySlug, one.key)
      assert.equal(entry.keyType, keyTypes[one.key])
      assert.match(entry.resourceIdentity ?? '', /^kms-/)
      assert.equal(entry.keyVersion, one.keyVersion)
      assert.deepEqual(entry.payloadSizes, one.sizes)
      if (one.operation.startsWith('verify')) assert.equal(entry.valid, true)
    })

    test('by identity instead of slug: the same fields', async () => {
      const scene = await stage()
      const { key } = await scene.kms.describeKey({ key: one.key })
      const { entry } = await called(scene, one, { key: key.identity, ...one.input(scene) })
      assert.equal(entry.keySlug, one.key)
      assert.equal(entry.resourceIdentity, key.identity)
    })

    test('unknown key: 404, and what was asked for', async () => {
      const scene = await stage()
      const { error, entry } = await called(scene, one, { key: 'nobody', ...one.input(scene) })
      assertFailure(entry, error, one, 'KEY_NOT_FOUND', undefined)
      assert.equal(entry.statusCode, 404)
      assert.equal(entry.resourceIdentity, 'nobody')
      assert.deepEqual(entry.payloadSizes, one.given)
    })

    const { wrongKey } = one
    if (wrongKey !== undefined)
      test('wrong key type: 400', async () => {
        const scene = await stage()
        const { error, entry } = await called(scene, one, { key: wrongKey, ...one.input(scene) })
        assertFailure(entry, error, one, 'UNSUPPORTED_OPERATION', wrongKey)
        assert.equal(entry.statusCode, 400)
        assert.deepEqual(entry.payloadSizes, one.given)
      })

    for (const [state, leave] of [
      ['disabled', (kms: KmsClient) => kms.disableKey({ key: one.key })],
      ['pending deletion', (kms: KmsClient) => kms.scheduleKeyDeletion({ key: one.key })],
    ] as const)
      test(`${state}: 400`, async () => {
        const scene = await stage()
        await leave(scene.kms)
        const { error, entry } = await called(scene, one, { key: one.key, ...one.input(scene) })
        assertFailure(entry, error, one, 'KEY_NOT_ACTIVE', one.key)
        assert.equal(entry.statusCode, 400)
        assert.deepEqual(entry.payloadSizes, one.given)
      })

    test('bad input: 400, with the key that it was meant for', async () => {
      const scene = await stage()
      const { error, entry } = await called(scene, one, { key: one.key, ...one.bad(scene) })
      assertFailure(entry, error, one, 'INVALID_INPUT', one.key)
      assert.equal(entry.operationID, undefined, 'nothing was intended')
    })

    test('denied by middleware: 403', async () => {
      const scene = await stage()
      const kms = scene.kms.with({ requestId: 'denied' })
      const { error, entry } = await called(scene, one, { key: one.key, ...one.input(scene) }, kms)
      assertFailure(entry, error, one, 'ACCESS_DENIED', one.key)
      assert.equal(entry.statusCode, 403)
      assert.deepEqual(entry.payloadSizes, one.given)
    })
  })
}

describe('what only some can have', () => {
  const decrypt = cases.find(({ operation }) => operation === 'decrypt') ?? assert.fail()

  test('every failure to decrypt is one code and one message; the entry says which it was', async () => {
    const scene = await stage()
    const flip = (at: number) => scene.ciphertext.map((byte, index) => (index === at ? byte ^ 1 : byte))
    const unknownVersion = scene.ciphertext.slice()
    unknownVersion[4] = 9
    const attempts: readonly [string, Record<string, unknown>, number | undefined][] = [
      ['authentication_failed', { ciphertext: flip(scene.ciphertext.length - 1), encryptionContext }, 1],
      ['authentication_failed', { ciphertext: flip(60), encryptionContext }, 1],
      ['authentication_failed', { ciphertext: scene.ciphertext, encryptionContext: { order: '18' } }, 1],
      ['authentication_failed', { ciphertext: scene.ciphertext }, 1],
      ['commitment_mismatch', { ciphertext: flip(10), encryptionContext }, 1],
      ['unknown_version', { ciphertext: unknownVersion, encryptionContext }, undefined],
      ['malformed', { ciphertext: flip(0), encryptionContext }, undefined],
      ['malformed', { ciphertext: scene.ciphertext.slice(0, 20), encryptionContext }, undefined],
    ]
    const messages = new Set<string>()
    for (const [cause, input, keyVersion] of attempts) {
      const { error, entry } = await called(scene, decrypt, { key: 'box', ...input })
      assertFailure(entry, error, decrypt, 'INVALID_CIPHERTEXT', 'box')
      assert.equal(entry.details?.decryptFailure, cause)
      assert.equal(entry.keyVersion, keyVersion, cause)
      assert.equal('decryptFailure' in (error as object), false)
      messages.add((error as KmsError).message)
    }
    assert.equal(messages.size, 1)
  })

  for (const operation of ['verify', 'verifyHmac'] as const)
    test(`${operation} of something forged is a success whose verdict is false`, async () => {
      const scene = await stage()
      const one = cases.find((candidate) => candidate.operation === operation) ?? assert.fail()
      const { error, entry } = await called(scene, one, {
        key: one.key,
        ...one.input(scene),
        input: new Uint8Array(14),
      })
      assert.equal(error, undefined)
      assertCommon(entry, one)
      assert.equal(entry.outcome, 'success')
      assert.equal(entry.valid, false)
      assert.equal(entry.keySlug, one.key)
      assert.deepEqual(entry.payloadSizes, one.sizes)
    })

  test('export of a key that does not allow it: 400', async () => {
    const scene = await stage()
    const one = cases.find(({ operation }) => operation === 'export') ?? assert.fail()
    const { error, entry } = await called(scene, one, { key: 'box' })
    assertFailure(entry, error, one, 'EXPORT_NOT_ALLOWED', 'box')
    assert.equal(entry.statusCode, 400)
  })

  test('an old key version is marked in decrypt, verify, verify_hmac and export', async () => {
    const scene = await stage()
    for (const key of ['box', 'pen', 'mac', 'vault']) await scene.kms.rotate({ key })
    for (const operation of ['decrypt', 'verify', 'verifyHmac'] as const) {
      const one = cases.find((candidate) => candidate.operation === operation) ?? assert.fail()
      const { entry } = await called(scene, one, { key: one.key, ...one.input(scene) })
      assert.equal(entry.keyVersion, 1)
      assert.equal(entry.latestVersion, false)
    }
    const one = cases.find(({ operation }) => operation === 'export') ?? assert.fail()
    const { entry } = await called(scene, one, { key: 'vault', keyVersion: 1 })
    assert.equal(entry.latestVersion, false)
    const encrypt = cases[0] ?? assert.fail()
    assert.equal((await called(scene, encrypt, { key: 'box', ...encrypt.input(scene) })).entry.latestVersion, undefined)
  })

  test('a scheduled rotation tells when it was due, how late it came and the version before', async () => {
    const scene = await stage()
    const one = cases.find(({ operation }) => operation === 'rotateScheduled') ?? assert.fail()
    const { entry } = await called(scene, one, { key: 'vault', ...one.input(scene) })
    assert.equal(entry.details?.dueAt, '2026-02-01T00:00:00.000Z')
    assert.equal(entry.details?.latenessMs, 86_400_000)
    assert.equal(entry.details?.previousVersion, 1)
  })
})
