/** Key material in and out, as the trail tells it: an intent and one result each, on success and on every refusal, and no secret. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { KmsClient } from '../src/client.ts'
import type { AuditEntry } from '../src/model/entry.ts'
import { KmsError, type KmsErrorCode } from '../src/model/errors.ts'
import type { Operation } from '../src/model/operation.ts'
import { memoryKms } from '../src/providers/memory.ts'
import { memorySink } from '../src/sinks/memory.ts'
import { wrapKeyMaterial } from '../src/wrapping.ts'
import { validEntries } from './validate.ts'

const sink = memorySink()
const kms = new KmsClient({
  provider: memoryKms(),
  audit: { required: [sink] },
  region: 'nl-01',
  project: 'billing',
  deadlineMs: 60_000,
}).with({ actor: { type: 'user', id: 'alice' }, reason: { code: 'moving', ticket: 'OPS-17' } })

const secret = new Uint8Array(randomBytes(32))
const { publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { format: 'der', type: 'spki' },
  privateKeyEncoding: { format: 'der', type: 'pkcs8' },
})
const recipient = new Uint8Array(publicKey)
const fingerprint = (spki: Uint8Array) => `sha256:${createHash('sha256').update(spki).digest('hex')}`

let wrappingKey: Uint8Array
before(async () => {
  wrappingKey = (await kms.getWrappingKey()).spki
  await kms.createKey({ slug: 'made-here' })
  await kms.importKey({ slug: 'brought', keyType: 'aes256-gcm96', keyMaterial: secret, exportAllowed: true })
  await kms.importKey({ slug: 'still', keyType: 'aes256-gcm96', keyMaterial: secret, keyVersion: 2 })
})
beforeEach(() => sink.clear())
after(() => kms.close())

/** The entries of one call: held to the schema, its intent first. */
async function entriesOf(operation: Operation, input: object, code?: KmsErrorCode): Promise<readonly AuditEntry[]> {
  const called = kms.call(operation, input as never) // wrong inputs too
  if (code === undefined) await called
  else
    await assert.rejects(called, (error: unknown) => {
      assert.ok(error instanceof KmsError, String(error))
      assert.deepEqual([error.code, error.operation], [code, operation])
      return true
    })
  const entries = validEntries(sink.entries).filter(({ action }) => !action.startsWith('audit.'))
  const spelt = JSON.stringify(entries)
  for (const encoding of ['hex', 'base64', 'base64url'] as const)
    assert.ok(!spelt.includes(Buffer.from(secret).toString(encoding)))
  return entries
}

describe('a success is an intent and a result', () => {
  const wrapped = () => wrapKeyMaterial({ keyMaterial: secret, recipient: wrappingKey })

  test('kms_key.import', async () => {
    const keyMaterial = await wrapped()
    const given = { slug: 'new', keyType: 'aes256-gcm96', keyMaterial, form: 'wrapped', allowRotation: true }
    const [intent, result, ...more] = await entriesOf('importKey', { ...given, exportAllowed: true })
    assert.equal(more.length, 0)
    assert.deepEqual([intent?.action, intent?.phase, intent?.outcome], ['kms_key.import', 'intent', 'pending'])
    assert.equal(intent?.keySlug, 'new')
    assert.deepEqual([result?.action, result?.phase, result?.outcome], ['kms_key.import', 'result', 'success'])
    assert.equal(result?.operationID, intent?.operationID)
    assert.deepEqual(
      [result?.resourceType, result?.keySlug, result?.keyType, result?.keyVersion, result?.statusCode],
      ['kms_key', 'new', 'aes256-gcm96', 1, 200],
    )
    assert.deepEqual(result?.payloadSizes, { keyMaterial: keyMaterial.length })
    const { details } = result ?? {}
    assert.deepEqual(
      [details?.form, details?.wrappingKey, details?.allowRotation, details?.exportAllowed, details?.previousVersion],
      ['wrapped', fingerprint(wrappingKey), true, true, undefined],
    )
    assert.deepEqual([result?.actor?.id, result?.reason?.ticket, result?.region], ['alice', 'OPS-17', 'nl-01'])
  })

  test('kms_key.import_version', async () => {
    const [, result] = await entriesOf('importKeyVersion', { key: 'still', keyVersion: 1, keyMaterial: secret })
    assert.deepEqual([result?.action, result?.keyVersion, result?.latestVersion], ['kms_key.import_version', 1, false])
    assert.deepEqual(result?.payloadSizes, { keyMaterial: 32 })
    assert.equal(result?.details?.form, 'raw')
  })

  test('kms.export for a recipient, whose fingerprint stands in the intent already', async () => {
    const [intent, result] = await entriesOf('export', { key: 'brought', recipient })
    assert.equal(intent?.details?.recipient, fingerprint(recipient))
    assert.deepEqual([result?.details?.recipient, result?.details?.form], [fingerprint(recipient), 'wrapped'])
    assert.deepEqual(result?.payloadSizes, { keyMaterial: 256 + 40 })
  })

  test('kms.export in the clear names its form and no recipient', async () => {
    const [, result] = await entriesOf('export', { key: 'brought', form: 'jwk' })
    assert.deepEqual([result?.details?.recipient, result?.details?.form], [undefined, 'jwk'])
  })

  test('kms_key.get_wrapping_key and kms_keystore.rotate_wrapping_key are about the keystore', async () => {
    const [, got] = await entriesOf('getWrappingKey', {})
    assert.deepEqual(
      [got?.action, got?.resourceType, got?.details?.wrappingKey],
      ['kms_key.get_wrapping_key', 'kms_keystore', fingerprint(wrappingKey)],
    )
    assert.equal(got?.resourceIdentity, got?.details?.keystore)
    sink.clear()
    const [, rotated] = await entriesOf('rotateWrappingKey', {})
    assert.equal(rotated?.action, 'kms_keystore.rotate_wrapping_key')
    assert.notEqual(rotated?.details?.wrappingKey, fingerprint(wrappingKey))
    wrappingKey = (await kms.getWrappingKey()).spki
  })
})

describe('a refusal is one result', () => {
  const material = { keyMaterial: secret }
  const refusals: readonly [string, Operation, object, KmsErrorCode][] = [
    ['an import of a taken slug', 'importKey', { slug: 'brought', keyType: 'aes256-gcm96', ...material }, 'KEY_EXISTS'],
    ['an import of an HMAC key', 'importKey', { slug: 'mac', keyType: 'hmac', ...material }, 'INVALID_INPUT'],
    ['an import of what is no key', 'importKey', { slug: 'x', keyType: 'rsa-2048', ...material }, 'INVALID_INPUT'],
    ['an import without a type', 'importKey', { slug: 'x', ...material }, 'INVALID_INPUT'],
    ['an import of text', 'importKey', { slug: 'x', keyType: 'aes256-gcm96', keyMaterial: 'secret' }, 'INVALID_INPUT'],
    ['a version of an unknown key', 'importKeyVersion', { key: 'none', keyVersion: 1, ...material }, 'KEY_NOT_FOUND'],
    ['a version that is there', 'importKeyVersion', { key: 'brought', keyVersion: 1, ...material }, 'VERSION_CONFLICT'],
    [
      'a version of a key made here',
      'importKeyVersion',
      { key: 'made-here', keyVersion: 2, ...material },
      'INVALID_INPUT',
    ],
    ['an export that is not allowed', 'export', { key: 'made-here', recipient }, 'EXPORT_NOT_ALLOWED'],
    ['an export for what is no key', 'export', { key: 'brought', recipient: new Uint8Array(100) }, 'INVALID_INPUT'],
    ['an export wrapped to nobody', 'export', { key: 'brought', form: 'wrapped' }, 'INVALID_INPUT'],
    ['a rotation that was not allowed', 'rotate', { key: 'brought' }, 'INVALID_INPUT'],
  ]
  for (const [what, operation, input, code] of refusals)
    test(what, async () => {
      const entries = await entriesOf(operation, input, code)
      const results = entries.filter(({ phase }) => phase === 'result')
      assert.equal(results.length, 1)
      assert.deepEqual([results[0]?.outcome, results[0]?.error], ['failure', code])
      for (const { phase, outcome } of entries) if (phase === 'intent') assert.equal(outcome, 'pending')
      if (operation === 'export' && 'recipient' in input)
        assert.match(results[0]?.details?.recipient ?? '', /^sha256:[0-9a-f]{64}$/)
    })
})
