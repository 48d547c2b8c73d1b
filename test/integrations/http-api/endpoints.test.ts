/** @node Every endpoint × every documented status, over a real socket: status, body and entry. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, verify as verifyNode } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { wrapKeyMaterial } from '../../../src/index.ts'
import { type AccessRule, accessPolicy } from '../../../src/integrations/access/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { type Answer, type Ask, base64, organisation, type Rig, region, rig } from './rig.ts'

const plaintext = base64('attack at dawn')
const input = base64('a message')

interface Row {
  /** Method and path below the region. */
  readonly line: string
  readonly action: string
  readonly ask?: Ask
  readonly status: number
  /** The body, and what of it is to be seen. */
  readonly check?: (answer: Answer) => void
  /** Fields of the entry, besides those that every row has. */
  readonly entry?: Readonly<Record<string, unknown>>
}

/** What succeeds, in an order in which it can. */
function successes(known: { ciphertext?: string; signature?: string; hmac?: string }): readonly Row[] {
  return [
    {
      line: 'GET /v1/kms/summary',
      action: 'api.request',
      status: 200,
      check: ({ json }) =>
        assert.deepEqual(json, { featureEnabled: true, regions: [{ slug: region, kmsAvailable: true }] }),
      entry: { resourceType: 'http_api', context: { route: '/v1/kms/summary' } },
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { name: 'Order keys', labels: { team: 'a' }, exportAllowed: true } },
      status: 201,
      check: ({ json }) => {
        assert.match(String(json['identity']), /^kms-/)
        const { identity: _identity, createdAt, updatedAt, versions, ...others } = json
        assert.deepEqual(others, {
          name: 'Order keys',
          slug: 'order-keys',
          labels: { team: 'a' },
          keyType: 'aes256-gcm96',
          status: 'active',
          exportAllowed: true,
          keyRotationEnabled: false,
          latestVersion: 1,
          objectVersion: 1,
        })
        assert.equal(createdAt, updatedAt)
        assert.deepEqual(versions, [{ version: 1, createdAt }])
      },
      entry: { keySlug: 'order-keys', keyType: 'aes256-gcm96', context: { route: '/v1/kms/{region}/keys' } },
    },
    ...[
      { slug: 'signer', keyType: 'ed25519' },
      { slug: 'macs', keyType: 'hmac' },
      { slug: 'doomed', keyType: 'aes128-gcm96' },
    ].map(
      (body): Row => ({
        line: 'POST /keys',
        action: 'kms_key.create',
        ask: { body },
        status: 201,
        entry: { keySlug: body.slug },
      }),
    ),
    {
      line: 'POST /keys',
      action: 'kms_key.import',
      ask: {
        body: {
          slug: 'brought',
          keyType: 'aes256-gcm96',
          importKeyMaterial: Buffer.alloc(32, 7).toString('base64'),
          allowRotation: true,
        },
      },
      status: 201,
      check: ({ json }) => assert.equal(json['imported'], true),
      entry: { keySlug: 'brought', payloadSizes: { keyMaterial: 32 } },
    },
    {
      line: 'GET /keys',
      action: 'kms_key.list',
      status: 200,
      check: ({ json }) => {
        assert.ok(Array.isArray(json))
        assert.deepEqual(json.map(({ slug }) => slug).sort(), ['brought', 'doomed', 'macs', 'order-keys', 'signer'])
      },
    },
    {
      line: 'GET /keys?name=Order+keys',
      action: 'kms_key.list',
      status: 200,
      check: ({ json }) =>
        assert.deepEqual(
          (json as unknown as { slug: string }[]).map(({ slug }) => slug),
          ['order-keys'],
        ),
    },
    {
      line: 'GET /keys/order-keys',
      action: 'kms_key.describe',
      status: 200,
      check: ({ json }) => assert.equal(json['slug'], 'order-keys'),
      entry: { keySlug: 'order-keys', context: { route: '/v1/kms/{region}/keys/{id}' } },
    },
    {
      line: 'POST /keys/order-keys/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext } },
      status: 200,
      check: ({ json }) => {
        assert.deepEqual(Object.keys(json), ['ciphertext', 'keyVersion'])
        assert.equal(json['keyVersion'], '1')
        assert.match(String(json['ciphertext']), /^keytrail:v1:[\w-]+$/)
        known.ciphertext = String(json['ciphertext'])
      },
      entry: {
        keySlug: 'order-keys',
        keyType: 'aes256-gcm96',
        keyVersion: 1,
        payloadSizes: { plaintext: 14, ciphertext: 79 },
        context: { route: '/v1/kms/{region}/keys/{id}/encrypt' },
      },
    },
    {
      line: 'POST /keys/order-keys/decrypt',
      action: 'kms.decrypt',
      get ask() {
        return { body: { ciphertext: known.ciphertext } }
      },
      status: 200,
      check: ({ json }) => assert.deepEqual(json, { plaintext, keyVersion: '1' }),
      entry: { keyVersion: 1, payloadSizes: { plaintext: 14, ciphertext: 79 } },
    },
    {
      line: 'POST /keys/signer/sign',
      action: 'kms.sign',
      ask: { body: { input, keyVersion: '1' } },
      status: 200,
      check: ({ json }) => {
        assert.deepEqual(Object.keys(json), ['signature', 'keyVersion'])
        assert.equal(json['keyVersion'], '1')
        known.signature = String(json['signature'])
        assert.equal(Buffer.from(known.signature, 'base64').length, 64)
      },
      entry: { keyVersion: 1, payloadSizes: { input: 9, signature: 64 } },
    },
    {
      line: 'POST /keys/signer/verify',
      action: 'kms.verify',
      get ask() {
        return { body: { input, signature: known.signature } }
      },
      status: 200,
      check: ({ json }) => assert.deepEqual(json, { valid: true }),
      entry: { valid: true },
    },
    {
      line: 'POST /keys/signer/verify',
      action: 'kms.verify',
      get ask() {
        return { body: { input: base64('another'), signature: known.signature } }
      },
      status: 200,
      check: ({ json }) => assert.deepEqual(json, { valid: false }),
      entry: { valid: false },
    },
    {
      line: 'POST /keys/macs/hmac',
      action: 'kms.hmac',
      ask: { body: { input } },
      status: 200,
      check: ({ json }) => {
        assert.deepEqual(Object.keys(json), ['hmac', 'keyVersion'])
        assert.equal(json['keyVersion'], '1')
        known.hmac = String(json['hmac'])
      },
      entry: { payloadSizes: { input: 9, mac: 32 } },
    },
    {
      line: 'POST /keys/macs/verify-hmac',
      action: 'kms.verify_hmac',
      get ask() {
        return { body: { input, hmac: known.hmac } }
      },
      status: 200,
      check: ({ json }) => assert.deepEqual(json, { valid: true, keyVersion: '1' }),
      entry: { valid: true, context: { route: '/v1/kms/{region}/keys/{id}/verify-hmac' } },
    },
    {
      line: 'GET /keys/signer/public-key?version=1',
      action: 'kms_key.get_public_key',
      status: 200,
      check: ({ json }) => {
        const { keys } = json as { keys: Record<string, string> }
        assert.deepEqual(Object.keys(keys), ['1'])
        const key = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(keys['1'] ?? '', 'base64').toString('base64url') }
        const signature = Buffer.from(known.signature ?? '', 'base64')
        assert.ok(verifyNode(null, Buffer.from('a message'), { key, format: 'jwk' }, signature))
      },
    },
    {
      line: 'POST /keys/order-keys/rotate',
      action: 'kms.rotate',
      status: 200,
      check: ({ json }) => {
        assert.equal(json['latestVersion'], 2)
        assert.equal((json['versions'] as unknown[]).length, 2)
      },
    },
    {
      line: 'POST /keys/order-keys/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext, keyVersion: '1' } },
      status: 200,
      check: ({ json }) => assert.equal(json['keyVersion'], '1'),
      entry: { keyVersion: 1, latestVersion: false },
    },
    {
      line: 'POST /keys/order-keys/export',
      action: 'kms.export',
      ask: { body: { keyVersion: '2' } },
      status: 200,
      check: ({ json }) => {
        assert.deepEqual(Object.keys(json), ['keyMaterial', 'keyVersion'])
        assert.equal(json['keyVersion'], '2')
        assert.equal(Buffer.from(String(json['keyMaterial']), 'base64').length, 32)
      },
      entry: { keyVersion: 2, payloadSizes: { keyMaterial: 32 } },
    },
    {
      line: 'PATCH /keys/order-keys/rotation',
      action: 'kms_key.update',
      ask: { body: { keyRotationEnabled: true, rotationPeriodInDays: 90 } },
      status: 200,
      check: ({ json }) => assert.equal(json['rotationPeriodInDays'], 90),
    },
    {
      line: 'POST /keys/doomed/disable',
      action: 'kms_key.disable',
      status: 200,
      check: ({ json }) => assert.equal(json['status'], 'disabled'),
    },
    {
      line: 'POST /keys/doomed/enable',
      action: 'kms_key.enable',
      ask: { body: {} },
      status: 200,
      check: ({ json }) => assert.equal(json['status'], 'active'),
    },
    {
      line: 'DELETE /keys/doomed',
      action: 'kms_key.delete',
      status: 204,
      check: ({ text }) => assert.equal(text, ''),
      entry: { keySlug: 'doomed' },
    },
    {
      line: 'DELETE /keys/doomed/cancel-deletion',
      action: 'kms_key.cancel_deletion',
      status: 204,
      check: ({ text }) => assert.equal(text, ''),
    },
    {
      line: 'GET /wrapping-key',
      action: 'kms_key.get_wrapping_key',
      status: 200,
      check: ({ json }) => assert.match(String(json['publicKey']), /^-----BEGIN PUBLIC KEY-----/),
      entry: { resourceType: 'kms_keystore' },
    },
  ]
}

describe('every endpoint, when all is well', () => {
  let made: Rig
  before(async () => {
    made = await rig()
  })
  after(() => made.close())

  for (const row of successes({}))
    test(`${row.line} is ${row.status}`, async () => {
      const answer = await made.ask(row.line, row.ask)
      assert.equal(answer.status, row.status, answer.text)
      row.check?.(answer)
      assertHeaders(answer)
      const { context, ...more } = row.entry ?? {}
      const entry = made.entryOf(answer)
      assertHas(entry, { action: row.action, outcome: 'success', region, ...more })
      assertHas(entry.actor, { type: 'serviceAccount', id: 'svc-1' })
      const method = row.line.split(' ')[0]
      assertHas(entry.context, { clientIp: '127.0.0.1', userAgent: 'rig/1', method, ...(context as object) })
    })
})

/** Each endpoint once, with a request that would succeed on the keys of `prepared`. */
const everyEndpoint: readonly Row[] = [
  { line: 'GET /keys', action: 'kms_key.list', status: 200 },
  { line: 'POST /keys', action: 'kms_key.create', ask: { body: { slug: 'another' } }, status: 201 },
  { line: 'GET /keys/aes', action: 'kms_key.describe', status: 200 },
  { line: 'DELETE /keys/aes', action: 'kms_key.delete', status: 204 },
  { line: 'DELETE /keys/aes/cancel-deletion', action: 'kms_key.cancel_deletion', status: 204 },
  { line: 'GET /wrapping-key', action: 'kms_key.get_wrapping_key', status: 200 },
  { line: 'GET /keys/aes/public-key', action: 'kms_key.get_public_key', status: 200 },
  { line: 'POST /keys/aes/encrypt', action: 'kms.encrypt', ask: { body: { plaintext } }, status: 200 },
  {
    line: 'POST /keys/aes/decrypt',
    action: 'kms.decrypt',
    ask: { body: { ciphertext: `keytrail:v1:${frame()}` } },
    status: 200,
  },
  { line: 'POST /keys/aes/sign', action: 'kms.sign', ask: { body: { input } }, status: 200 },
  { line: 'POST /keys/aes/verify', action: 'kms.verify', ask: { body: { input, signature: input } }, status: 200 },
  { line: 'POST /keys/aes/hmac', action: 'kms.hmac', ask: { body: { input } }, status: 200 },
  { line: 'POST /keys/aes/verify-hmac', action: 'kms.verify_hmac', ask: { body: { input, hmac: input } }, status: 200 },
  { line: 'POST /keys/aes/rotate', action: 'kms.rotate', status: 200 },
  { line: 'POST /keys/aes/export', action: 'kms.export', status: 200 },
  { line: 'POST /keys/aes/disable', action: 'kms_key.disable', status: 200 },
  { line: 'POST /keys/aes/enable', action: 'kms_key.enable', status: 200 },
  {
    line: 'PATCH /keys/aes/rotation',
    action: 'kms_key.update',
    ask: { body: { keyRotationEnabled: false } },
    status: 200,
  },
]

const aboutOneKey = everyEndpoint.filter(({ line }) => line.includes('/aes'))
const withBody = everyEndpoint.filter(({ ask }) => ask !== undefined)

interface Refused {
  readonly status: number
  readonly message: string | RegExp
  readonly error: string
  readonly entryStatus?: number
}

async function assertRefused(made: Rig, row: Row, ask: Ask | undefined, expected: Refused): Promise<void> {
  const before = made.results().length
  const answer = await made.ask(row.line, ask ?? {})
  assert.equal(answer.status, expected.status, `${row.line}: ${answer.text}`)
  assert.deepEqual(Object.keys(answer.json), ['message'])
  const message = String(answer.json['message'])
  if (typeof expected.message === 'string') assert.equal(message, expected.message)
  else assert.match(message, expected.message)
  assertHeaders(answer)
  const { entryStatus = expected.status } = expected
  assertHas(made.entryOf(answer), {
    action: row.action,
    phase: 'result',
    outcome: 'failure',
    statusCode: entryStatus,
    error: expected.error,
  })
  assert.equal(made.results().length, before + 1, 'one entry a request')
}

const notFound = { status: 404, message: 'not found' }

describe('every endpoint, when it is refused', () => {
  let made: Rig
  let answers: { readonly allow: boolean; readonly enabled: boolean } = { allow: true, enabled: true }
  before(async () => {
    made = await rig({ authorize: () => answers.allow, isEnabled: () => answers.enabled })
    await made.kms.createKey({ slug: 'aes' })
  })
  after(() => made.close())

  for (const row of everyEndpoint) {
    test(`${row.line} is 401 without credentials`, async () => {
      const ask = { ...row.ask, headers: { authorization: undefined } }
      const message = 'authentication is missing or wrong'
      await assertRefused(made, row, ask, { status: 401, message, error: 'ACCESS_DENIED' })
    })

    test(`${row.line} is 400 without an organisation`, async () => {
      const ask = { ...row.ask, headers: { 'x-organisation-identity': undefined } }
      await assertRefused(made, row, ask, { status: 400, message: /X-Organisation-Identity/, error: 'INVALID_INPUT' })
    })

    test(`${row.line} is 403 where KMS is not enabled`, async () => {
      answers = { allow: true, enabled: false }
      await assertRefused(made, row, row.ask, { status: 403, message: 'KMS is not enabled', error: 'ACCESS_DENIED' })
      answers = { allow: true, enabled: true }
    })

    test(`${row.line} is 404 where it is not permitted, and the entry tells why`, async () => {
      answers = { allow: false, enabled: true }
      await assertRefused(made, row, row.ask, { ...notFound, error: 'ACCESS_DENIED', entryStatus: 403 })
      answers = { allow: true, enabled: true }
    })

    test(`${row.line} is 404 for another organisation and an unknown project`, async () => {
      const elsewhere = { ...row.ask, headers: { 'x-organisation-identity': 'org-2' } }
      await assertRefused(made, row, elsewhere, { ...notFound, error: 'KEY_NOT_FOUND' })
      const project = { ...row.ask, headers: { 'x-project-identity': 'nowhere' } }
      await assertRefused(made, row, project, { ...notFound, error: 'KEY_NOT_FOUND' })
    })

    test(`${row.line} is 503 in a region that has no KMS`, async () => {
      const [method, path] = row.line.split(' ')
      const line = `${method} /v1/kms/de-01${path}`
      const expected = { status: 503, message: 'there is no KMS in this region', error: 'PROVIDER_UNAVAILABLE' }
      await assertRefused(made, { ...row, line }, row.ask, expected)
    })

    test(`${row.line} is 400 with a parameter that it does not take`, async () => {
      await assertRefused(made, { ...row, line: `${row.line}?trace=1` }, row.ask, {
        status: 400,
        message: /^the query takes /,
        error: 'INVALID_INPUT',
      })
    })
  }

  for (const row of aboutOneKey)
    test(`${row.line} is 404 for a key that is not there, in the very words of one that is not permitted`, async () => {
      const line = row.line.replace('/aes', '/ghost')
      const own = row.ask
      await assertRefused(made, { ...row, line }, own, { ...notFound, error: 'KEY_NOT_FOUND' })
      answers = { allow: false, enabled: true }
      const denied = [await made.ask(row.line, own ?? {}), await made.ask(line, own ?? {})]
      answers = { allow: true, enabled: true }
      const unknown = await made.ask(line, own ?? {})
      for (const { status, text } of denied)
        assert.deepEqual({ status, text }, { status: unknown.status, text: unknown.text })
      const names = (answer: Answer) => [...answer.headers.keys()].sort()
      for (const answer of denied) assert.deepEqual(names(answer), names(unknown))
    })

  for (const row of withBody)
    test(`${row.line} is 400 for a body that is not what it takes`, async () => {
      const bad: readonly (readonly [RegExp, Ask])[] = [
        [/not well-formed JSON/, { raw: '{"plaintext": "secret' }],
        [/not well-formed JSON/, { raw: '\ufeff{}' }],
        [/must be JSON in UTF-8/, { raw: Uint8Array.of(0x7b, 0xff, 0x7d) }],
        [/must be a JSON object/, { raw: '[]' }],
        [/must be a JSON object/, { raw: '"text"' }],
        [/must be a JSON object/, { raw: 'null' }],
        [/a field that is none of/, { body: { ...(row.ask?.body as object), surprise: 1 } }],
        [/a field that is none of/, { raw: '{"__proto__": {"plaintext": "AAAA"}}' }],
        [/content type/, { raw: '{}', headers: { 'content-type': 'text/plain' } }],
        [/content type/, { raw: '{}', headers: { 'content-type': 'application/json; charset=latin1' } }],
        [/compressed/, { raw: '{}', headers: { 'content-encoding': 'gzip' } }],
        [/not well-formed|content type/, { raw: '' }],
      ]
      for (const [message, ask] of bad)
        await assertRefused(made, row, ask, { status: 400, message, error: 'INVALID_INPUT' })
    })
})

describe('when the audit log takes nothing', () => {
  let made: Rig
  before(async () => {
    made = await rig()
    await made.kms.createKey({ slug: 'aes' })
    made.sink.mode = 'reject'
  })
  after(() => made.close())

  for (const row of [{ line: 'GET /v1/kms/summary', ask: {} }, ...everyEndpoint])
    test(`${row.line} is 503, and nothing leaves`, async () => {
      const answer = await made.ask(row.line, row.ask ?? {})
      assert.equal(answer.status, 503, answer.text)
      assert.deepEqual(answer.json, { message: 'the audit log takes no entries: nothing was done or released' })
      assert.equal(answer.headers.get('retry-after'), '1')
    })

  test('so is a refusal', async () => {
    assert.equal((await made.ask('GET /nowhere')).status, 503)
    assert.equal((await made.ask('GET /keys', { headers: { authorization: undefined } })).status, 503)
  })
})

describe('409, 400 of state and type, 404 of a version', () => {
  let made: Rig
  before(async () => {
    made = await rig()
    for (const body of [
      { slug: 'aes' },
      { slug: 'signer', keyType: 'ed25519' },
      { slug: 'macs', keyType: 'hmac' },
      { slug: 'off' },
      { slug: 'going' },
    ])
      assert.equal((await made.ask('POST /keys', { body })).status, 201)
    await made.kms.disableKey({ key: 'off' })
    await made.kms.scheduleKeyDeletion({ key: 'going' })
  })
  after(() => made.close())

  const rows: readonly (Row & Omit<Refused, 'status'>)[] = [
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { slug: 'aes' } },
      status: 409,
      error: 'KEY_EXISTS',
      message: /./,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { name: 'AES' } },
      status: 409,
      error: 'KEY_EXISTS',
      message: /./,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { slug: 'Not A Slug' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /slug/,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { keyType: 'des' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /./,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { labels: { a: 1 } } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /labels/,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { allowRotation: true } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /importKeyMaterial/,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.import',
      ask: { body: { keyType: 'hmac', importKeyMaterial: 'AAAA' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /cannot be imported/,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { importKeyMaterial: 'AAA' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /base64/,
    },
    {
      line: 'POST /keys',
      action: 'kms_key.create',
      ask: { body: { importKeyMaterial: 'AAAA', hashFunction: 'md5' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /hashFunction/,
    },
    {
      line: 'PATCH /keys/aes/rotation',
      action: 'kms_key.update',
      ask: { body: {} },
      status: 400,
      error: 'INVALID_INPUT',
      message: /keyRotationEnabled/,
    },
    {
      line: 'PATCH /keys/aes/rotation',
      action: 'kms_key.update',
      ask: { body: { keyRotationEnabled: true, rotationPeriodInDays: 3651 } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /3650/,
    },
    {
      line: 'PATCH /keys/aes/rotation',
      action: 'kms_key.update',
      ask: { body: { keyRotationEnabled: true, rotationPeriodInDays: 1e300 } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /whole number/,
    },
    {
      line: 'PATCH /keys/aes/rotation',
      action: 'kms_key.update',
      ask: { body: { keyRotationEnabled: 'yes' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /true or false/,
    },
    {
      line: 'POST /keys/aes/sign',
      action: 'kms.sign',
      ask: { body: { input } },
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /./,
    },
    {
      line: 'POST /keys/aes/verify',
      action: 'kms.verify',
      ask: { body: { input, signature: input } },
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /./,
    },
    {
      line: 'POST /keys/aes/hmac',
      action: 'kms.hmac',
      ask: { body: { input } },
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /./,
    },
    {
      line: 'POST /keys/aes/verify-hmac',
      action: 'kms.verify_hmac',
      ask: { body: { input, hmac: input } },
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /./,
    },
    {
      line: 'GET /keys/aes/public-key',
      action: 'kms_key.get_public_key',
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /./,
    },
    {
      line: 'POST /keys/signer/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext } },
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /./,
    },
    {
      line: 'POST /keys/signer/sign',
      action: 'kms.sign',
      ask: { body: { input, context: 'AAAA' } },
      status: 400,
      error: 'UNSUPPORTED_OPERATION',
      message: /context/,
    },
    {
      line: 'POST /keys/signer/sign',
      action: 'kms.sign',
      ask: { body: { input, hashAlgorithm: 'md5' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /hashAlgorithm/,
    },
    {
      line: 'POST /keys/macs/hmac',
      action: 'kms.hmac',
      ask: { body: { input, hashAlgorithm: 'sha256' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /a field that is none of input, keyVersion, algorithm/,
    },
    {
      line: 'POST /keys/macs/verify-hmac',
      action: 'kms.verify_hmac',
      ask: { body: { input, hmac: input, algorithm: 'sha256' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /a field that is none of/,
    },
    {
      line: 'POST /keys/aes/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext: '' } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /plaintext/,
    },
    {
      line: 'POST /keys/aes/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext: Buffer.alloc(65_536).toString('base64') } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /65535|65,535/,
    },
    ...['YQ', 'YQ=', 'YR==', ' YQ==', 'YQ==\n', '_-8=', 7, null, ['YQ==']].map((bad) => ({
      line: 'POST /keys/aes/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext: bad } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /'plaintext' must be a string of standard base64 with padding/,
    })),
    ...[1, '0', '01', '1.0', '-1', ' 1', '4294967296', '', null].map((bad) => ({
      line: 'POST /keys/aes/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext, keyVersion: bad } },
      status: 400,
      error: 'INVALID_INPUT',
      message: /'keyVersion' must be a version as a string/,
    })),
    {
      line: 'POST /keys/aes/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext, keyVersion: '7' } },
      status: 404,
      error: 'VERSION_NOT_FOUND',
      message: 'the key has no such version',
    },
    {
      line: 'POST /keys/aes/decrypt',
      action: 'kms.decrypt',
      ask: { body: { ciphertext: 'nonsense' } },
      status: 400,
      error: 'INVALID_CIPHERTEXT',
      message: 'the ciphertext cannot be decrypted',
    },
    {
      line: 'POST /keys/aes/decrypt',
      action: 'kms.decrypt',
      ask: { body: { ciphertext: `keytrail:v1:${frame()}` } },
      status: 400,
      error: 'INVALID_CIPHERTEXT',
      message: 'the ciphertext cannot be decrypted',
    },
    {
      line: 'POST /keys/aes/export',
      action: 'kms.export',
      status: 400,
      error: 'EXPORT_NOT_ALLOWED',
      message: /exportAllowed/,
    },
    {
      line: 'POST /keys/off/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext } },
      status: 400,
      error: 'KEY_NOT_ACTIVE',
      message: /./,
    },
    {
      line: 'POST /keys/going/encrypt',
      action: 'kms.encrypt',
      ask: { body: { plaintext } },
      status: 400,
      error: 'KEY_NOT_ACTIVE',
      message: /./,
    },
    { line: 'POST /keys/off/rotate', action: 'kms.rotate', status: 400, error: 'KEY_NOT_ACTIVE', message: /./ },
    { line: 'POST /keys/off/export', action: 'kms.export', status: 400, error: 'KEY_NOT_ACTIVE', message: /./ },
    { line: 'POST /keys/going/disable', action: 'kms_key.disable', status: 400, error: 'KEY_NOT_ACTIVE', message: /./ },
    {
      line: 'DELETE /keys/aes/cancel-deletion',
      action: 'kms_key.cancel_deletion',
      status: 400,
      error: 'INVALID_INPUT',
      message: /./,
    },
    {
      line: 'GET /keys/signer/public-key?version=x',
      action: 'kms_key.get_public_key',
      status: 400,
      error: 'INVALID_INPUT',
      message: /'version' must be a version/,
    },
    {
      line: 'GET /keys/signer/public-key?version=9',
      action: 'kms_key.get_public_key',
      status: 404,
      error: 'VERSION_NOT_FOUND',
      message: /./,
    },
    {
      line: 'GET /keys/signer/public-key?version=1&version=1',
      action: 'kms_key.get_public_key',
      status: 400,
      error: 'INVALID_INPUT',
      message: /once/,
    },
    {
      line: 'GET /keys/%zz',
      action: 'kms_key.describe',
      status: 400,
      error: 'INVALID_INPUT',
      message: /percent-encoded/,
    },
    {
      line: 'GET /keys/%00',
      action: 'kms_key.describe',
      status: 400,
      error: 'INVALID_INPUT',
      message: /percent-encoded/,
    },
  ]
  for (const row of rows)
    test(`${row.line} ${JSON.stringify(row.ask?.body ?? null).slice(0, 60)} is ${row.status} ${row.error}`, () =>
      assertRefused(made, row, row.ask, row))

  test('a percent-encoded slug is the slug', async () => {
    const answer = await made.ask('GET /keys/%61es')
    assert.equal(answer.status, 200)
    assert.equal(made.entryOf(answer).keySlug, 'aes')
  })

  test('a refused body still has the key in its entry', async () => {
    const malformed = await made.ask('POST /keys/aes/decrypt', { body: { ciphertext: 'nonsense' } })
    assert.equal(made.entryOf(malformed).details?.decryptFailure, 'malformed')
    const entry = made.entryOf(await made.ask('POST /keys/aes/encrypt', { raw: '{' }))
    assertHas(entry, { keySlug: 'aes', keyType: 'aes256-gcm96', region, statusCode: 400 })
    assert.match(entry.resourceIdentity ?? '', /^kms-/)
    assertHas(entry.context, { clientIp: '127.0.0.1', userAgent: 'rig/1', route: '/v1/kms/{region}/keys/{id}/encrypt' })
  })
})

test('whatever stands in the body, a key that is not permitted and one that is not there are told alike', async () => {
  const made = await rig({ authorize: ({ key }) => key?.slug !== 'hidden' })
  try {
    const { key } = await made.kms.createKey({ slug: 'hidden' })
    const bodies: readonly Ask[] = [
      { body: { plaintext } },
      { body: { plaintext: '' } },
      { body: { plaintext: Buffer.alloc(70_000).toString('base64') } },
      { body: { plaintext, keyVersion: '9' } },
      { body: { plaintext: 'AAA' } },
      { body: {} },
      { raw: '{' },
    ]
    for (const ask of bodies) {
      const there = await made.ask(`POST /keys/${key.identity}/encrypt`, ask)
      const notThere = await made.ask('POST /keys/kms-nobodyhasthisname0000/encrypt', ask)
      assert.ok(there.status === 404 || there.status === 400)
      assert.deepEqual([there.status, there.text], [notThere.status, notThere.text])
      assert.equal(there.headers.get('connection'), notThere.headers.get('connection'))
    }
  } finally {
    await made.close()
  }
})

test('nor does a policy inside the client tell them apart', async () => {
  const provider = memoryKms()
  const rules: readonly AccessRule[] = [
    { id: 'none', effect: 'allow', actors: ['*'], actions: ['kms:*'], keys: ['other'] },
  ]
  const made = await rig({ provider, client: { middleware: [accessPolicy({ rules, provider })] } })
  try {
    await new KmsClient({ provider, audit: { required: [memorySink()] }, region }).createKey({ slug: 'hidden' })
    const asks: readonly (readonly [string, Ask])[] = [
      ['encrypt', { body: { plaintext } }],
      ['encrypt', { body: { plaintext: '' } }],
      ['encrypt', { body: { plaintext: Buffer.alloc(70_000).toString('base64') } }],
      ['sign', { body: { input: '', keyVersion: '4294967295' } }],
      ['export', { body: { recipient: '' } }],
      ['decrypt', { body: { ciphertext: 'keytrail:v1:AQ' } }],
    ]
    for (const [verb, ask] of asks) {
      const there = await made.ask(`POST /keys/hidden/${verb}`, ask)
      const notThere = await made.ask(`POST /keys/ghost/${verb}`, ask)
      assert.ok(there.status === 404 || there.status === 400)
      assert.deepEqual([verb, there.status, there.text], [verb, notThere.status, notThere.text])
    }
    for (const period of [0, 90, 4000]) {
      const ask = { body: { keyRotationEnabled: true, rotationPeriodInDays: period } }
      const there = await made.ask('PATCH /keys/hidden/rotation', ask)
      const notThere = await made.ask('PATCH /keys/ghost/rotation', ask)
      assert.deepEqual([there.status, there.text], [notThere.status, notThere.text])
    }
  } finally {
    await made.close()
  }
})

test('each error code has its status, and 429, 500 and 504 say nothing but that', async () => {
  const thrown: { error: KmsError | undefined } = { error: undefined }
  const made = await rig({
    client: {
      middleware: [
        (_call, next) => {
          if (thrown.error !== undefined) throw thrown.error
          return next()
        },
      ],
    },
  })
  try {
    await made.kms.createKey({ slug: 'aes' })
    const statuses = {
      THROTTLED: 429,
      OVERLOADED: 429,
      INTERNAL: 500,
      PROVIDER_UNAVAILABLE: 503,
      LOCKED: 503,
      ROLLED_BACK: 503,
      DEADLINE_EXCEEDED: 504,
      ACCESS_DENIED: 404,
      KEY_NOT_FOUND: 404,
      USAGE_LIMIT: 400,
    } as const
    for (const [code, status] of Object.entries(statuses)) {
      thrown.error = new KmsError(code as keyof typeof statuses, 'told by /etc/passwd at line 7')
      const answer = await made.ask('POST /keys/aes/encrypt', { body: { plaintext } })
      assert.equal(answer.status, status, code)
      if (status !== 400) assert.doesNotMatch(answer.text, /passwd/)
      assert.equal(made.entryOf(answer).error, code)
      assert.equal(answer.headers.get('retry-after'), status === 429 || status === 503 ? '1' : null)
    }
    thrown.error = undefined
  } finally {
    await made.close()
  }
})

test('a change whose result entry is refused is 500, and says to look', async () => {
  const made = await rig()
  try {
    await made.kms.createKey({ slug: 'aes' })
    const { write } = made.sink
    made.sink.write = refusingResults(write)
    const answer = await made.ask('POST /keys/aes/rotate')
    made.sink.write = write
    assert.equal(answer.status, 500)
    assert.match(String(answer.json['message']), /look before trying again/)
  } finally {
    await made.close()
  }
})

function refusingResults(write: Rig['sink']['write']): Rig['sink']['write'] {
  return (entries, ...more) => {
    if (entries.some(({ phase, action }) => phase === 'result' && action === 'kms.rotate')) throw new Error('full')
    return write(entries, ...more)
  }
}

test('key material comes wrapped to the wrapping key, and leaves wrapped to a recipient', async () => {
  const made = await rig({ allowRawExport: false })
  try {
    const { json } = await made.ask('GET /wrapping-key')
    const spki = Buffer.from(String(json['publicKey']).replace(/-----[^-]+-----|\s/g, ''), 'base64')
    const wrapped = await wrapKeyMaterial({ recipient: new Uint8Array(spki), keyMaterial: new Uint8Array(32).fill(9) })
    const importKeyMaterial = Buffer.from(wrapped).toString('base64')
    const body = { slug: 'brought', importKeyMaterial, hashFunction: 'sha256', exportAllowed: true }
    const imported = await made.ask('POST /keys', { body })
    assert.equal(imported.status, 201, imported.text)
    assert.equal(made.entryOf(imported).details?.form, 'wrapped')

    const refused = await made.ask('POST /keys/brought/export')
    assert.equal(refused.status, 400)
    assertHas(made.entryOf(refused), { action: 'kms.export', error: 'EXPORT_NOT_ALLOWED' })
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const recipient = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
    const exported = await made.ask('POST /keys/brought/export', { body: { recipient } })
    assert.equal(exported.status, 200, exported.text)
    assert.equal(made.entryOf(exported).details?.form, 'wrapped')
  } finally {
    await made.close()
  }
})

test('what the API encrypts the client decrypts, and the other way round', async () => {
  const made = await rig()
  try {
    await made.kms.createKey({ slug: 'aes', keyType: 'xaes256-gcm' })
    const { json } = await made.ask('POST /keys/aes/encrypt', { body: { plaintext } })
    const { decodeCiphertext, encodeCiphertext } = await import('../../../src/index.ts')
    const opened = await made.kms.decrypt({ key: 'aes', ciphertext: decodeCiphertext(String(json['ciphertext'])) })
    assert.equal(Buffer.from(opened.plaintext).toString('base64'), plaintext)
    const { ciphertext } = await made.kms.encrypt({ key: 'aes', plaintext: new Uint8Array([1, 2, 3]) })
    const answer = await made.ask('POST /keys/aes/decrypt', { body: { ciphertext: encodeCiphertext(ciphertext) } })
    assert.deepEqual(answer.json, { plaintext: 'AQID', keyVersion: '1' })
  } finally {
    await made.close()
  }
})

test('a project has keys and entries of its own', async () => {
  const made = await rig()
  const headers = { 'x-project-identity': 'prj-a' }
  try {
    assert.equal((await made.ask('POST /keys', { body: { slug: 'own' }, headers })).json['projectId'], 'prj-a')
    const inside = await made.ask('POST /keys/own/encrypt', { body: { plaintext }, headers })
    assert.equal(inside.status, 200)
    assertHas(made.entryOf(inside), { project: 'prj-a', region })
    assert.equal((await made.ask('POST /keys/own/encrypt', { body: { plaintext } })).status, 404)
    const other = { 'x-project-identity': 'prj-b' }
    const outside = await made.ask('POST /keys/own/encrypt', { body: { plaintext }, headers: other })
    assert.equal(outside.status, 404)
    assertHas(made.entryOf(outside), { project: 'prj-b', error: 'KEY_NOT_FOUND' })
    const two = await made.ask('GET /keys', { headers: { 'x-project-identity': 'prj-a, prj-b' } })
    assert.equal(two.status, 400)
  } finally {
    await made.close()
  }
})

/** A well-formed ciphertext that nobody made, base64url. */
function frame(): string {
  const bytes = new Uint8Array(80)
  bytes.set([1, 0, 0, 0, 1])
  return Buffer.from(bytes).toString('base64url')
}

function assertHas(actual: object | undefined, expected: object): void {
  const picked = Object.fromEntries(
    Object.keys(expected).map((name) => [name, (actual as Record<string, unknown>)?.[name]]),
  )
  assert.deepEqual(picked, expected)
}

function assertHeaders({ headers, status }: Answer): void {
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  if (status !== 204) assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
  assert.ok(organisation)
}
