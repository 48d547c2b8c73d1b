/** @node Errors of the SDK: recorded, and the application's own still. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  CreateKeyCommand,
  DecryptCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  KMSServiceException,
  NotFoundException,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms'
import type { KmsErrorCode } from '../../../src/model/errors.ts'
import { summary } from '../../../src/testing/summary.ts'
import { puppet } from '../../audit/puppet.ts'
import { closedAfterEach } from '../../closed-after-each.ts'
import { noShared } from '../../shared.ts'
import { rig } from './rig.ts'

const Plaintext = new TextEncoder().encode('attack at dawn')
const quick = { requestTimeout: 400, throwOnRequestTimeout: true }

describe('errors of the AWS SDK', { skip: noShared }, () => {
  const ready = closedAfterEach(rig)

  test('are rethrown as they are, the same object, once they are recorded', async () => {
    const made = await ready()
    const thrown: unknown[] = []
    made.client.middlewareStack.add(
      (next) => async (args) => {
        try {
          return await next(args)
        } catch (error) {
          thrown.push(error)
          throw error
        }
      },
      { step: 'build' },
    )
    const KeyId = 'alias/nobody'
    const error: unknown = await made.client.send(new EncryptCommand({ KeyId, Plaintext })).catch((caught) => caught)
    assert.ok(error instanceof NotFoundException && error instanceof KMSServiceException)
    assert.equal(error, thrown[0])
    const entry = made.entries().at(-1)
    assert.deepEqual(summary(made.entries()), ['kms.encrypt failure nobody KEY_NOT_FOUND'])
    assert.equal(entry?.statusCode, 404)
    assert.equal(entry?.resourceIdentity, KeyId)
    assert.equal(entry?.provider?.requestId, error.$metadata.requestId)
    assert.equal(entry?.provider?.attempts, 1)
    assert.equal(made.handle.eventIDOf(error), entry?.eventID)
  })

  test('have our codes, whatever their HTTP status', async () => {
    const expected: Readonly<Record<string, KmsErrorCode>> = {
      NotFoundException: 'KEY_NOT_FOUND',
      DisabledException: 'KEY_NOT_ACTIVE',
      KMSInvalidStateException: 'KEY_NOT_ACTIVE',
      KeyUnavailableException: 'PROVIDER_UNAVAILABLE',
      InvalidKeyUsageException: 'INVALID_INPUT',
      InvalidGrantTokenException: 'ACCESS_DENIED',
      InvalidCiphertextException: 'INVALID_CIPHERTEXT',
      IncorrectKeyException: 'INVALID_CIPHERTEXT',
      AccessDeniedException: 'ACCESS_DENIED',
      UnrecognizedClientException: 'ACCESS_DENIED',
      ExpiredTokenException: 'ACCESS_DENIED',
      ThrottlingException: 'THROTTLED',
      KMSInternalException: 'PROVIDER_UNAVAILABLE',
      DependencyTimeoutException: 'PROVIDER_UNAVAILABLE',
      ValidationException: 'INVALID_INPUT',
      SomethingNewException: 'INVALID_INPUT',
    }
    const made = await ready()
    for (const name of Object.keys(expected)) {
      made.endpoint.fault({ fault: { kind: 'error', name } })
      await assert.rejects(made.client.send(new DecryptCommand({ CiphertextBlob: new Uint8Array(9) })), { name })
    }
    assert.deepEqual(
      Object.fromEntries(Object.keys(expected).map((name, at) => [name, made.entries()[at]?.error])),
      expected,
    )
    for (const { outcome } of made.entries()) assert.equal(outcome, 'failure')
  })

  test('a call that was throttled twice is one entry with three attempts', async () => {
    const made = await ready({ config: { maxAttempts: 3 } })
    const KeyId = await made.newKey()
    made.endpoint.fault({ fault: { kind: 'error', name: 'ThrottlingException' }, operation: 'Encrypt', times: 2 })
    const answer = await made.client.send(new EncryptCommand({ KeyId, Plaintext }))
    assert.equal(answer.$metadata.attempts, 3)
    assert.equal(made.endpoint.count('Encrypt'), 3)
    assert.deepEqual(summary(made.entries()), [`kms.encrypt success ${KeyId}`])
    assert.equal(made.entries()[0]?.provider?.attempts, 3)
  })

  test('a connection that is cut is PROVIDER_UNAVAILABLE; the application hears what the SDK says', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    made.endpoint.fault({ fault: { kind: 'cut', when: 'before' }, operation: 'Encrypt' })
    await assert.rejects(made.client.send(new EncryptCommand({ KeyId, Plaintext })), { code: 'ECONNRESET' })
    assert.deepEqual(summary(made.entries()), [`kms.encrypt failure ${KeyId} PROVIDER_UNAVAILABLE`])
    assert.equal(made.entries()[0]?.provider?.requestId, undefined)
  })

  test('an answer out of shape is a failure too', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    made.endpoint.fault({ fault: { kind: 'body', body: '{"Ciphertext' }, operation: 'Encrypt' })
    await assert.rejects(made.client.send(new EncryptCommand({ KeyId, Plaintext })), { name: 'SyntaxError' })
    assert.deepEqual(summary(made.entries()), [`kms.encrypt failure ${KeyId} PROVIDER_UNAVAILABLE`])
  })

  test("the application's abort is its own: ABORTED in the entry, AbortError for it", async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    made.endpoint.fault({ fault: { kind: 'slow', ms: 10_000 }, operation: 'Encrypt' })
    const controller = new AbortController()
    const call = made.client.send(new EncryptCommand({ KeyId, Plaintext }), { abortSignal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await assert.rejects(call, { name: 'AbortError' })
    assert.deepEqual(summary(made.entries()), [`kms.encrypt failure ${KeyId} ABORTED`])
  })

  test('a change that was refused is a failure', async () => {
    const made = await ready()
    await assert.rejects(made.client.send(new EnableKeyCommand({ KeyId: 'nothing' })), { name: 'NotFoundException' })
    assert.deepEqual(summary(made.entries()), [
      'kms_key.enable pending nothing',
      'kms_key.enable failure nothing KEY_NOT_FOUND',
    ])
  })

  test('a change that may have been made is unknown: cut off, a server error, an answer nobody can read, an abort', async () => {
    const cases = [
      ['PROVIDER_UNAVAILABLE', { kind: 'cut', when: 'after' }],
      ['PROVIDER_UNAVAILABLE', { kind: 'error', name: 'KMSInternalException', status: 500 }],
      ['PROVIDER_UNAVAILABLE', { kind: 'body', body: '{' }],
      ['ABORTED', { kind: 'slow', ms: 10_000 }],
    ] as const
    for (const [code, fault] of cases) {
      const made = await ready()
      made.endpoint.fault({ fault, operation: 'CreateKey' })
      const controller = new AbortController()
      if (fault.kind === 'slow') setTimeout(() => controller.abort(), 100)
      await assert.rejects(made.client.send(new CreateKeyCommand({}), { abortSignal: controller.signal }))
      assert.deepEqual(
        made.entries().map(({ phase, outcome, error }) => [phase, outcome, error]),
        [
          ['intent', 'pending', undefined],
          ['result', 'unknown', code],
        ],
        fault.kind,
      )
    }
  })

  test('a refusal after an attempt that may have done it is unknown, a success after one says so', async () => {
    const made = await ready({ config: { maxAttempts: 2 } })
    const KeyId = await made.newKey()
    made.endpoint.fault({ fault: { kind: 'cut', when: 'after' }, operation: 'DisableKey' })
    await made.client.send(new DisableKeyCommand({ KeyId }))
    const success = made.entries().at(-1)
    assert.equal(success?.outcome, 'success')
    assert.deepEqual(success?.details?.flags, ['attempt_in_doubt'])
    assert.equal(success?.provider?.attempts, 2)

    made.endpoint.fault({ fault: { kind: 'cut', when: 'after' }, operation: 'PutKeyPolicy' })
    made.endpoint.fault({
      fault: { kind: 'error', name: 'MalformedPolicyDocumentException' },
      operation: 'PutKeyPolicy',
    })
    await assert.rejects(made.client.send(new PutKeyPolicyCommand({ KeyId, Policy: '{}' })), {
      name: 'MalformedPolicyDocumentException',
    })
    assert.equal(made.entries().at(-1)?.outcome, 'unknown')
  })

  test('a change that was throttled to the end is a failure: no attempt can have done it', async () => {
    const made = await ready({ config: { maxAttempts: 2 } })
    made.endpoint.fault({ fault: { kind: 'error', name: 'ThrottlingException' }, operation: 'CreateKey', times: 2 })
    await assert.rejects(made.client.send(new CreateKeyCommand({})), { name: 'ThrottlingException' })
    const entry = made.entries().at(-1)
    assert.equal(entry?.outcome, 'failure')
    assert.equal(entry?.error, 'THROTTLED')
    assert.equal(entry?.provider?.attempts, 2)
  })

  test('a change that never left is a failure, although the SDK does not tell it apart', async () => {
    const credentials = async () => {
      throw Object.assign(new Error('no credentials here'), { name: 'CredentialsProviderError' })
    }
    const made = await ready({ config: { credentials } })
    await assert.rejects(made.client.send(new CreateKeyCommand({})), { name: 'CredentialsProviderError' })
    assert.equal(made.endpoint.requests.length, 0)
    const entry = made.entries().at(-1)
    assert.equal(entry?.outcome, 'failure')
    assert.equal(entry?.error, 'ACCESS_DENIED')
    assert.equal(entry?.provider?.attempts, 0)
  })

  test('a change that nobody was there to hear is a failure', async () => {
    const made = await ready({ config: { endpoint: 'http://127.0.0.1:9', maxAttempts: 2 } })
    await assert.rejects(made.client.send(new CreateKeyCommand({})), { code: 'ECONNREFUSED' })
    const entry = made.entries().at(-1)
    assert.equal(entry?.outcome, 'failure')
    assert.equal(entry?.error, 'PROVIDER_UNAVAILABLE')
  })

  test('where middleware of the application hides what leaves, nothing is claimed', async () => {
    const made = await ready()
    made.client.middlewareStack.add(
      // Arguments of its own, without what else is in them.
      (next) => (args) => next({ input: args.input, request: args.request } as typeof args),
      { step: 'build' },
    )
    made.endpoint.fault({ fault: { kind: 'cut', when: 'after' }, operation: 'CreateKey' })
    await assert.rejects(made.client.send(new CreateKeyCommand({})))
    assert.equal(made.entries().at(-1)?.outcome, 'unknown')
    // Answered, once, with a refusal: that much is certain.
    await assert.rejects(made.client.send(new EnableKeyCommand({ KeyId: 'nothing' })), { name: 'NotFoundException' })
    assert.equal(made.entries().at(-1)?.outcome, 'failure')
  })

  test("a request that takes too long by the SDK's own timeout is PROVIDER_UNAVAILABLE", async () => {
    const made = await ready({ config: { requestHandler: quick } })
    const KeyId = await made.newKey()
    made.endpoint.fault({ fault: { kind: 'slow', ms: 10_000 }, operation: 'Encrypt' })
    await assert.rejects(made.client.send(new EncryptCommand({ KeyId, Plaintext })), { name: 'TimeoutError' })
    assert.deepEqual(summary(made.entries()), [`kms.encrypt failure ${KeyId} PROVIDER_UNAVAILABLE`])
  })

  test('a flood of one refusal is joined, and the application hears each', async () => {
    const sink = puppet()
    const made = await ready({ audit: { required: [sink], floods: { perWindow: 3, windowMs: 60_000 } } })
    for (let at = 0; at < 10; at++)
      await assert.rejects(made.client.send(new DecryptCommand({ CiphertextBlob: new Uint8Array(9) })), {
        name: 'InvalidCiphertextException',
      })
    await made.handle.close()
    const entries = sink.accepted.filter(({ action }) => action === 'kms.decrypt')
    assert.equal(entries.length, 4)
    assert.equal(entries.at(-1)?.details?.joined, 7)
  })

  test('refused changes are never joined: each intent has its result', async () => {
    const sink = puppet()
    const made = await ready({ audit: { required: [sink], floods: { perWindow: 1, windowMs: 60_000 } } })
    for (let at = 0; at < 5; at++) await assert.rejects(made.client.send(new EnableKeyCommand({ KeyId: 'nothing' })))
    await made.handle.close()
    const results = sink.accepted.filter(({ phase, action }) => phase === 'result' && action === 'kms_key.enable')
    assert.equal(new Set(results.map(({ operationID }) => operationID)).size, 5)
  })
})
