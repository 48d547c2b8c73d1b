/** @node What goes wrong between here and AWS: what the caller hears, what the entry holds, what was sent again. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import type { KmsErrorCode } from '../../../src/model/errors.ts'
import { noShared } from '../../shared.ts'
import { type Rig, type RigOptions, refusalOf, startRig } from './rig.ts'

const plaintext = new Uint8Array(Buffer.from('a plaintext'))
const hmac = new Uint8Array(32)

async function withRig(options: RigOptions, run: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await startRig(options)
  try {
    await rig.kms.createKey({ slug: 'orders' })
    await run(rig)
  } finally {
    await rig.close()
  }
}

describe('credentials and permissions', { skip: noShared }, () => {
  const secrets = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'a-secret-access-key-that-nobody-may-read',
    sessionToken: 'a-session-token-that-nobody-may-read',
  }

  for (const [what, wrong] of [
    ['secret', { ...secrets, secretAccessKey: 'another-secret-access-key-not-to-be-read' }],
    ['session token', { ...secrets, sessionToken: 'another-session-token-not-to-be-read' }],
    ['access key', { ...secrets, accessKeyId: 'AKIAI44QH8DHBEXAMPLE' }],
  ] as const)
    test(`a wrong ${what} is ACCESS_DENIED, said once, and no credential is anywhere`, async () => {
      const rig = await startRig({ credentials: secrets, sdk: { credentials: wrong } })
      try {
        const refused = await refusalOf(rig.kms.encrypt({ key: 'orders', plaintext }))
        assert.equal(refused.code, 'ACCESS_DENIED')
        assert.equal(rig.endpoint.requests.length, 1)
        const created = await refusalOf(rig.kms.createKey({ slug: 'new' }))
        assert.equal(created.code, 'ACCESS_DENIED')
        assert.equal(rig.last().outcome, 'failure', 'what was refused at the door was not done')
        assert.equal(rig.last().provider?.attempts, 1)
        const told = [
          inspect([refused, created], { depth: 20, showHidden: true }),
          JSON.stringify([refused, created, rig.entries]),
          inspect([rig.provider, rig.kms], { depth: 20, showHidden: true }),
        ].join()
        for (const secret of [...Object.values(secrets).slice(1), ...Object.values(wrong).slice(1)])
          assert.ok(!told.includes(secret), 'a credential was told')
      } finally {
        await rig.close()
      }
    })

  test('a client without credentials is ACCESS_DENIED, and nothing is sent', async () => {
    const credentials = async () => {
      throw Object.assign(new Error('secret: hunter2'), { name: 'CredentialsProviderError' })
    }
    const rig = await startRig({ sdk: { credentials } })
    try {
      const refused = await refusalOf(rig.kms.encrypt({ key: 'orders', plaintext }))
      assert.equal(refused.code, 'ACCESS_DENIED')
      assert.ok(!inspect(refused, { depth: 20 }).includes('hunter2'))
      assert.equal(rig.endpoint.requests.length, 0)
    } finally {
      await rig.close()
    }
  })

  test('plaintext, data keys and messages are in no entry, no error and no inspection', async () => {
    await withRig({}, async ({ kms, entries, endpoint, provider }) => {
      const secret = new Uint8Array(Buffer.from('correct horse battery staple'))
      const sealed = await kms.encrypt({ key: 'orders', plaintext: secret })
      const dataKey = await kms.generateDataKey({ key: 'orders' })
      const errors: unknown[] = []
      for (const name of ['ValidationException', 'SerializationException', 'SomethingNewException']) {
        const message = `Value 'correct horse battery staple' is not valid`
        endpoint.fault({ operation: 'Encrypt', fault: { kind: 'error', name, message } })
        errors.push(await refusalOf(kms.encrypt({ key: 'orders', plaintext: secret })))
      }
      endpoint.fault({ operation: 'Decrypt', fault: { kind: 'body', body: 'correct horse battery staple' } })
      errors.push(await refusalOf(kms.decrypt({ key: 'orders', ciphertext: sealed.ciphertext })))
      const told = `${inspect([errors, provider], { depth: 20, showHidden: true })}${JSON.stringify([errors, entries])}`
      assert.ok(!told.includes('battery'))
      for (const encoding of ['base64', 'base64url', 'hex'] as const) {
        assert.ok(!told.includes(Buffer.from(secret).toString(encoding)))
        assert.ok(!told.includes(Buffer.from(dataKey.plaintext).toString(encoding)))
      }
    })
  })
})

describe('errors of AWS', { skip: noShared }, () => {
  const meanings: readonly (readonly [string, KmsErrorCode])[] = [
    ['NotFoundException', 'KEY_NOT_FOUND'],
    ['DisabledException', 'KEY_NOT_ACTIVE'],
    ['KMSInvalidStateException', 'KEY_NOT_ACTIVE'],
    ['InvalidKeyUsageException', 'INVALID_INPUT'],
    ['ValidationException', 'INVALID_INPUT'],
    ['InvalidGrantTokenException', 'ACCESS_DENIED'],
    ['AccessDeniedException', 'ACCESS_DENIED'],
    ['ExpiredTokenException', 'ACCESS_DENIED'],
    ['InvalidSignatureException', 'ACCESS_DENIED'],
    ['UnrecognizedClientException', 'ACCESS_DENIED'],
    ['ThrottlingException', 'THROTTLED'],
    ['KMSInternalException', 'PROVIDER_UNAVAILABLE'],
    ['DependencyTimeoutException', 'PROVIDER_UNAVAILABLE'],
    ['KeyUnavailableException', 'PROVIDER_UNAVAILABLE'],
    ['SomethingNewException', 'INTERNAL'],
  ]
  for (const statuses of ['model', 'documented'] as const)
    test(`mean the same with the statuses of the ${statuses}, and the entry has the request`, async () => {
      await withRig({ sdk: { maxAttempts: 1 }, statuses, aws: { resolveTtlMs: 0 } }, async (rig) => {
        for (const [name, code] of meanings) {
          const status = statuses === 'documented' && !/Internal|Timeout|Unavailable/.test(name) ? { status: 400 } : {}
          rig.endpoint.fault({ operation: 'Encrypt', fault: { kind: 'error', name, message: 'no', ...status } })
          await assert.rejects(rig.kms.encrypt({ key: 'orders', plaintext }), { code }, name)
          const { provider, error, outcome } = rig.last()
          assert.equal(error, code)
          assert.equal(outcome, 'failure')
          assert.equal(provider?.requestId, rig.endpoint.requests.at(-1)?.requestId)
          assert.equal(provider?.attempts, 1)
          assert.ok((provider?.durationMs ?? 0) > 0)
        }
      })
    })

  test('every failed decrypt is one code and one message, and the cause is not claimed', async () => {
    await withRig({}, async (rig) => {
      const { ciphertext } = await rig.kms.encrypt({ key: 'orders', plaintext })
      for (const name of ['InvalidCiphertextException', 'IncorrectKeyException', 'ValidationException']) {
        rig.endpoint.fault({ operation: 'Decrypt', fault: { kind: 'error', name } })
        const refused = await refusalOf(rig.kms.decrypt({ key: 'orders', ciphertext }))
        assert.equal(refused.code, 'INVALID_CIPHERTEXT')
        assert.equal(refused.message, 'ciphertext does not open with this key and encryption context')
        assert.equal(rig.last().details?.decryptFailure, undefined)
      }
    })
  })
})

describe('throttling', { skip: noShared }, () => {
  const throttled = { kind: 'error', name: 'ThrottlingException', message: 'Rate exceeded' } as const

  test('a read and a crypto call are repeated by the SDK, and the entry counts', async () => {
    await withRig({}, async (rig) => {
      rig.endpoint.fault({ operation: 'Encrypt', fault: throttled, times: 2 })
      const { provider } = await rig.kms.encrypt({ key: 'orders', plaintext })
      assert.equal(provider?.attempts, 3)
      assert.equal(rig.last().provider?.attempts, 3)
      assert.equal(rig.endpoint.count('Encrypt'), 3)
      rig.endpoint.fault({ operation: 'Encrypt', fault: throttled, times: 3 })
      const refused = await refusalOf(rig.kms.encrypt({ key: 'orders', plaintext }))
      assert.equal(refused.code, 'THROTTLED')
      assert.equal(refused.retryable, true)
      assert.equal(rig.last().provider?.attempts, 3)
    })
  })

  test('what may not be repeated is not, whatever the retry mode, and is known not to be done', async () => {
    await withRig({ sdk: { maxAttempts: 6, retryMode: 'adaptive' } }, async (rig) => {
      const { kms, endpoint } = rig
      for (const [operation, run] of [
        ['CreateKey', () => kms.createKey({ slug: 'another' })],
        ['RotateKeyOnDemand', () => kms.rotate({ key: 'orders' })],
        ['ScheduleKeyDeletion', () => kms.scheduleKeyDeletion({ key: 'orders' })],
        ['CancelKeyDeletion', () => kms.cancelKeyDeletion({ key: 'orders' })],
      ] as const) {
        const before = endpoint.count(operation)
        endpoint.fault({ operation, fault: throttled })
        assert.equal((await refusalOf(run())).code, 'THROTTLED')
        assert.equal(endpoint.count(operation), before + 1, operation)
        assert.equal(rig.last().outcome, 'failure')
        assert.equal(rig.last().provider?.attempts, 1)
      }
      await kms.rotate({ key: 'orders' })
    })
  })
})

describe('the connection', { skip: noShared }, () => {
  for (const when of ['before', 'after'] as const) {
    test(`cut ${when} it acted, once: what is harmless to repeat is repeated`, async () => {
      await withRig({}, async (rig) => {
        const { kms, endpoint } = rig
        for (const [operation, run] of [
          ['Encrypt', () => kms.encrypt({ key: 'orders', plaintext })],
          ['GenerateDataKey', () => kms.generateDataKey({ key: 'orders' })],
          ['DisableKey', () => kms.disableKey({ key: 'orders' })],
          ['EnableKey', () => kms.enableKey({ key: 'orders' })],
          ['EnableKeyRotation', () => kms.updateRotation({ key: 'orders', keyRotationEnabled: true })],
          ['DisableKeyRotation', () => kms.updateRotation({ key: 'orders', keyRotationEnabled: false })],
        ] as const) {
          endpoint.fault({ operation, fault: { kind: 'cut', when } })
          await run()
          assert.equal(endpoint.count(operation), 2, operation)
          assert.equal(rig.last().outcome, 'success')
          assert.equal(rig.last().provider?.attempts, 2)
        }
      })
    })

    test(`cut ${when} it acted, always: PROVIDER_UNAVAILABLE of a read, and nobody can tell of a change`, async () => {
      await withRig({ sdk: { maxAttempts: 2 } }, async (rig) => {
        const { kms, endpoint } = rig
        endpoint.fault({ operation: 'Encrypt', fault: { kind: 'cut', when }, times: 2 })
        assert.equal((await refusalOf(kms.encrypt({ key: 'orders', plaintext }))).code, 'PROVIDER_UNAVAILABLE')
        assert.equal(rig.last().outcome, 'failure')
        assert.equal(rig.last().provider?.attempts, 2)
        endpoint.fault({ operation: 'DisableKey', fault: { kind: 'cut', when }, times: 2 })
        assert.equal((await refusalOf(kms.disableKey({ key: 'orders' }))).code, 'OUTCOME_UNAUDITED')
        assert.equal(rig.last().outcome, 'pending', 'the intent is open')
        assert.equal(endpoint.key('alias/orders').state, when === 'before' ? 'Enabled' : 'Disabled')
      })
    })

    test(`cut ${when} it acted: what is not harmless to repeat is sent once, and its intent stays open`, async () => {
      await withRig({ sdk: { maxAttempts: 5 } }, async (rig) => {
        const { kms, endpoint } = rig
        endpoint.fault({ operation: 'RotateKeyOnDemand', fault: { kind: 'cut', when } })
        assert.equal((await refusalOf(kms.rotate({ key: 'orders' }))).code, 'OUTCOME_UNAUDITED')
        assert.equal(endpoint.count('RotateKeyOnDemand'), 1)
        assert.equal(endpoint.key('alias/orders').materials.length, when === 'before' ? 1 : 2)
        assert.equal(rig.last().outcome, 'pending')
        endpoint.fault({ operation: 'CreateKey', fault: { kind: 'cut', when } })
        const made = endpoint.count('CreateKey')
        assert.equal((await refusalOf(kms.createKey({ slug: 'next' }))).code, 'OUTCOME_UNAUDITED')
        assert.equal(endpoint.count('CreateKey'), made + 1)
        endpoint.fault({ operation: 'ScheduleKeyDeletion', fault: { kind: 'cut', when } })
        assert.equal((await refusalOf(kms.scheduleKeyDeletion({ key: 'orders' }))).code, 'OUTCOME_UNAUDITED')
        assert.equal(endpoint.count('ScheduleKeyDeletion'), 1)
      })
    })
  }

  test('refused: nothing can have arrived, so a change has certainly failed', async () => {
    await withRig({ sdk: { maxAttempts: 1 }, aws: { resolveTtlMs: 0 } }, async (rig) => {
      const gone = await startRig({ sdk: { maxAttempts: 1, endpoint: 'http://127.0.0.1:9' } })
      assert.equal((await refusalOf(gone.kms.createKey({}))).code, 'PROVIDER_UNAVAILABLE')
      assert.equal(gone.last().outcome, 'failure')
      assert.equal((await refusalOf(gone.kms.encrypt({ key: 'orders', plaintext }))).code, 'PROVIDER_UNAVAILABLE')
      await gone.close()
      assert.equal(rig.endpoint.count('CreateKey'), 1)
    })
  })

  test('a slow answer ends at the deadline, and the request is really given up', async () => {
    await withRig({ deadlineMs: 300, sdk: { maxAttempts: 5 } }, async (rig) => {
      rig.endpoint.fault({ operation: 'Encrypt', fault: { kind: 'slow', ms: 60_000 } })
      const begun = performance.now()
      assert.equal((await refusalOf(rig.kms.encrypt({ key: 'orders', plaintext }))).code, 'DEADLINE_EXCEEDED')
      assert.ok(performance.now() - begun < 5000)
      assert.equal(rig.last().error, 'DEADLINE_EXCEEDED')
      rig.endpoint.fault({ operation: 'RotateKeyOnDemand', fault: { kind: 'slow', ms: 60_000 } })
      assert.equal((await refusalOf(rig.kms.rotate({ key: 'orders' }))).code, 'DEADLINE_EXCEEDED')
      // The endpoint goes on only once the connection is closed.
      for (const operation of ['Encrypt', 'RotateKeyOnDemand'])
        await until(() => rig.endpoint.requests.some((seen) => seen.operation === operation && seen.status === 200))
      assert.equal(rig.endpoint.count('Encrypt'), 1)
      assert.equal(rig.last().outcome, 'pending', 'it was done, and nobody here knows')
    })
  })

  test('an abort gives the request up', async () => {
    await withRig({}, async (rig) => {
      rig.endpoint.fault({ operation: 'Encrypt', fault: { kind: 'slow', ms: 60_000 } })
      const controller = new AbortController()
      const { signal } = controller
      const call = refusalOf(rig.kms.encrypt({ key: 'orders', plaintext }, { signal }))
      await until(() => rig.endpoint.count('Encrypt') === 1)
      controller.abort()
      assert.equal((await call).code, 'ABORTED')
      await until(() =>
        rig.endpoint.requests.some(({ operation, status }) => operation === 'Encrypt' && status === 200),
      )
      assert.equal(rig.endpoint.count('Encrypt'), 1)
      assert.equal(rig.last().error, 'ABORTED')
    })
  })
})

describe('answers that cannot be read', { skip: noShared }, () => {
  type Change = (answer: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
  const another = 'arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000'
  const without =
    (...names: readonly string[]): Change =>
    (answer) =>
      Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name)))
  const withField =
    (fields: Readonly<Record<string, unknown>>): Change =>
    (answer) => ({ ...answer, ...fields })

  test('are PROVIDER_UNAVAILABLE for every operation, never a half-trusted value', async () => {
    await withRig({ sdk: { maxAttempts: 1 } }, async (rig) => {
      const { kms, endpoint } = rig
      await kms.createKey({ slug: 'signs', keyType: 'ecdsa-p256' })
      await kms.createKey({ slug: 'macs', keyType: 'hmac-sha256' })
      const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
      const { signature } = await kms.sign({ key: 'signs', input: plaintext })
      const cases: readonly (readonly [string, () => Promise<unknown>, readonly Change[]])[] = [
        [
          'Encrypt',
          () => kms.encrypt({ key: 'orders', plaintext }),
          [without('CiphertextBlob'), withField({ CiphertextBlob: '' }), withField({ KeyId: another })],
        ],
        [
          'Decrypt',
          () => kms.decrypt({ key: 'orders', ciphertext }),
          [without('Plaintext'), without('KeyId'), withField({ KeyId: another }), withField({ KeyId: 7 })],
        ],
        [
          'GenerateDataKey',
          () => kms.generateDataKey({ key: 'orders' }),
          [without('Plaintext'), without('CiphertextBlob'), withField({ Plaintext: 'AAAA' })],
        ],
        [
          'ReEncrypt',
          () => kms.reEncrypt({ key: 'orders', ciphertext }),
          [without('CiphertextBlob'), withField({ SourceKeyId: another }), withField({ KeyId: another })],
        ],
        [
          'Sign',
          () => kms.sign({ key: 'signs', input: plaintext }),
          [without('Signature'), withField({ Signature: 'AAAA' }), withField({ KeyId: another })],
        ],
        [
          'Verify',
          () => kms.verify({ key: 'signs', input: plaintext, signature }),
          [without('SignatureValid'), withField({ SignatureValid: 'true' }), withField({ KeyId: another })],
        ],
        ['GenerateMac', () => kms.hmac({ key: 'macs', input: plaintext }), [without('Mac')]],
        [
          'GetPublicKey',
          () => kms.getPublicKey({ key: 'signs' }),
          [without('PublicKey'), withField({ PublicKey: 'MAAA' }), withField({ KeyId: another })],
        ],
        [
          'DescribeKey',
          () => kms.describeKey({ key: 'orders' }),
          [
            without('KeyMetadata'),
            withField({ KeyMetadata: null }),
            withField({ KeyMetadata: {} }),
            (answer) => ({ KeyMetadata: { ...(answer['KeyMetadata'] as object), Arn: another } }),
            (answer) => ({ KeyMetadata: { ...(answer['KeyMetadata'] as object), CreationDate: undefined } }),
          ],
        ],
        ['ListKeys', () => kms.listKeys(), [withField({ Keys: [{}] }), withField({ Truncated: true })]],
        ['ListKeyRotations', () => kms.describeKey({ key: 'orders' }), [withField({ Rotations: [{}] })]],
      ]
      for (const [operation, run, changes] of cases) {
        for (const change of changes) {
          endpoint.fault({ operation, fault: { kind: 'change', change } })
          const refused = await refusalOf(run())
          assert.equal(refused.code, 'PROVIDER_UNAVAILABLE', `${operation}: ${refused.message}`)
          assert.equal(rig.last().outcome, 'failure')
        }
        for (const body of ['<html>', '{"KeyId":', '', 'null', '[]', '"x"']) {
          endpoint.fault({ operation, fault: { kind: 'body', body } })
          // An empty list is a list.
          if (operation.startsWith('List') && !['<html>', '{"KeyId":'].includes(body)) {
            await run()
            continue
          }
          const refused = await refusalOf(run())
          assert.equal(refused.code, 'PROVIDER_UNAVAILABLE', `${operation} ${body}: ${refused.message}`)
        }
        endpoint.fault({ operation, fault: { kind: 'body', body: '<html>', status: 503 } })
        assert.equal((await refusalOf(run())).code, 'PROVIDER_UNAVAILABLE', operation)
      }
      // A body that says no as the recorder moto does is a no.
      endpoint.fault({ operation: 'Verify', fault: { kind: 'change', change: withField({ SignatureValid: false }) } })
      assert.equal(await kms.verify({ key: 'signs', input: plaintext, signature }), false)
      endpoint.fault({ operation: 'VerifyMac', fault: { kind: 'error', name: 'KMSInvalidMacException' } })
      assert.equal(await kms.verifyHmac({ key: 'macs', input: plaintext, hmac }), false)
    })
  })

  test('of a change leave its intent open: it was made, or not', async () => {
    await withRig({ sdk: { maxAttempts: 1 } }, async (rig) => {
      const { kms, endpoint } = rig
      endpoint.fault({ operation: 'CreateKey', fault: { kind: 'change', change: () => ({}) } })
      assert.equal((await refusalOf(kms.createKey({}))).code, 'OUTCOME_UNAUDITED')
      endpoint.fault({ operation: 'RotateKeyOnDemand', fault: { kind: 'body', body: '<html>' } })
      assert.equal((await refusalOf(kms.rotate({ key: 'orders' }))).code, 'OUTCOME_UNAUDITED')
      endpoint.fault({ operation: 'ScheduleKeyDeletion', fault: { kind: 'change', change: without('DeletionDate') } })
      assert.equal((await refusalOf(kms.scheduleKeyDeletion({ key: 'orders' }))).code, 'OUTCOME_UNAUDITED')
      assert.equal(rig.last().outcome, 'pending')
      endpoint.fault({ operation: 'CancelKeyDeletion', fault: { kind: 'error', name: 'KMSInternalException' } })
      assert.equal((await refusalOf(kms.cancelKeyDeletion({ key: 'orders' }))).code, 'OUTCOME_UNAUDITED')
    })
  })

  test('after an accepted rotation nothing that cannot be read makes it fail', async () => {
    await withRig({ sdk: { maxAttempts: 1 } }, async (rig) => {
      const nothing = { operation: 'ListKeyRotations', fault: { kind: 'body', body: '{}' } } as const
      rig.endpoint.fault(nothing)
      rig.endpoint.fault({ operation: 'ListKeyRotations', fault: { kind: 'cut', when: 'before' } })
      const { key, flags } = await rig.kms.rotate({ key: 'orders' })
      assert.equal(key.latestVersion, 2)
      assert.deepEqual(flags, ['rotation_under_way'])
    })
  })
})

describe('a key that cannot be finished', { skip: noShared }, () => {
  test('is taken back: its deletion is scheduled, and the call fails with the reason', async () => {
    await withRig({}, async (rig) => {
      const { kms, endpoint } = rig
      for (const [operation, name, code] of [
        ['CreateAlias', 'AlreadyExistsException', 'KEY_EXISTS'],
        ['CreateAlias', 'AccessDeniedException', 'ACCESS_DENIED'],
        ['EnableKeyRotation', 'AccessDeniedException', 'ACCESS_DENIED'],
      ] as const) {
        endpoint.fault({ operation, fault: { kind: 'error', name } })
        const refused = await refusalOf(kms.createKey({ slug: 'new', keyRotationEnabled: true }))
        assert.equal(refused.code, code)
        const arn = /arn:aws:kms:\S+:key\/[0-9a-f-]+/.exec(refused.message)?.[0] ?? ''
        assert.equal(endpoint.key(arn).state, 'PendingDeletion')
        assert.equal(rig.last().outcome, 'failure')
        assert.equal(rig.last().error, code)
      }
      await kms.createKey({ slug: 'new' })
    })
  })

  test('and cannot be taken back leaves the intent open', async () => {
    await withRig({}, async (rig) => {
      rig.endpoint.deny('CreateAlias', 'ScheduleKeyDeletion')
      assert.equal((await refusalOf(rig.kms.createKey({ slug: 'new' }))).code, 'OUTCOME_UNAUDITED')
      assert.equal(rig.last().outcome, 'pending')
    })
  })

  test('is whole if its alias is there, although the answer was lost', async () => {
    await withRig({}, async (rig) => {
      rig.endpoint.fault({ operation: 'CreateAlias', fault: { kind: 'cut', when: 'after' } })
      const { key } = await rig.kms.createKey({ slug: 'new' })
      assert.equal(rig.endpoint.count('CreateAlias'), 2)
      assert.equal((await rig.kms.encrypt({ key: 'new', plaintext })).key.identity, key.identity)
      rig.endpoint.fault({ operation: 'CreateAlias', fault: { kind: 'cut', when: 'before' } })
      assert.equal((await refusalOf(rig.kms.createKey({ slug: 'other' }))).code, 'PROVIDER_UNAVAILABLE')
      assert.equal(rig.last().outcome, 'failure')
    })
  })
})

async function until(is: () => boolean): Promise<void> {
  for (let waited = 0; waited < 400; waited++) {
    if (is()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('it did not come about')
}
