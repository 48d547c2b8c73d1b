/** @node What commands of the AWS SDK leave behind. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  GenerateRandomCommand,
  GetKeyPolicyCommand,
  GetPublicKeyCommand,
  ListKeysCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  VerifyCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms'
import { summary } from '../../../src/testing/summary.ts'
import { noShared } from '../../shared.ts'
import { type Rig, rig, steady } from './rig.ts'

const actor = { type: 'user', id: 'alice' } as const
const Plaintext = new TextEncoder().encode('attack at dawn')

describe('entries of the AWS SDK', { skip: noShared }, () => {
  let made: Rig
  before(async () => {
    made = await rig({ context: { current: () => ({ actor, requestId: 'r-17' }) }, project: 'billing' })
  })
  after(() => made.close())

  /** Runs and gives the entries that it left. */
  async function left(run: () => Promise<unknown>) {
    const from = made.entries().length
    await run()
    return made.entries().slice(from)
  }

  test('an encryption tells who, which key, and how many bytes', async () => {
    const arn = await made.newKey('SYMMETRIC_DEFAULT', 'orders')
    const input = { KeyId: 'alias/orders', Plaintext, EncryptionContext: { order: '17' } }
    const answer = await made.client.send(new EncryptCommand(input))
    const entry = made.entries().at(-1)
    assert.deepEqual(steady(entry), {
      action: 'kms.encrypt',
      phase: 'result',
      resourceType: 'kms_key',
      resourceIdentity: arn,
      outcome: 'success',
      statusCode: 200,
      region: 'eu-west-1',
      project: 'billing',
      keySlug: 'orders',
      keyType: 'aes256-gcm96',
      payloadSizes: { plaintext: 14, ciphertext: answer.CiphertextBlob?.length, encryptionContext: 7 },
      actor: { ...actor, source: 'context' },
      context: { requestId: 'r-17' },
      provider: { name: 'aws-kms', attempts: 1 },
      encryptionContext: { order: '17' },
    })
    assert.equal(entry?.provider?.requestId, answer.$metadata.requestId)
    assert.equal(made.handle.eventIDOf(answer), entry?.eventID)
    assert.ok(Number(entry?.durationMs) >= Number(entry?.provider?.durationMs))
  })

  test('a decryption that names no key tells which one opened it', async () => {
    const arn = await made.newKey()
    const sealed = await made.plain.send(new EncryptCommand({ KeyId: arn, Plaintext }))
    const { CiphertextBlob } = sealed
    const [entry] = await left(() => made.client.send(new DecryptCommand({ CiphertextBlob })))
    assert.equal(entry?.resourceIdentity, arn)
    assert.equal(entry?.keySlug, undefined)
    assert.deepEqual(entry?.payloadSizes, { plaintext: 14, ciphertext: CiphertextBlob?.length })
  })

  test('a failed decryption is the failure of whatever was asked for', async () => {
    const arn = await made.newKey()
    const CiphertextBlob = new Uint8Array(99)
    const entries = await left(() =>
      assert.rejects(made.client.send(new DecryptCommand({ CiphertextBlob, KeyId: arn })), {
        name: 'InvalidCiphertextException',
      }),
    )
    assert.deepEqual(summary(entries), [`kms.decrypt failure ${arn} INVALID_CIPHERTEXT`])
    assert.deepEqual(entries[0]?.payloadSizes, { ciphertext: 99 })
    assert.equal(entries[0]?.statusCode, 400)
  })

  test('data keys tell the sizes of what was made, with and without their plaintext', async () => {
    const KeyId = await made.newKey()
    const entries = await left(async () => {
      await made.client.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 24 }))
      await made.client.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_256' }))
      await made.client.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }))
      await made.client.send(new GenerateRandomCommand({ NumberOfBytes: 77 }))
    })
    assert.deepEqual(
      entries.map(({ action, keyType, payloadSizes }) => [action, keyType, payloadSizes?.plaintext]),
      [
        ['kms.generate_data_key', 'aes256-gcm96', 24],
        ['kms.generate_data_key', 'aes256-gcm96', undefined],
        ['kms.generate_data_key_pair', 'aes256-gcm96', entries[2]?.payloadSizes?.plaintext],
        ['kms.generate_random', undefined, 77],
      ],
    )
    assert.ok(Number(entries[2]?.payloadSizes?.plaintext) > 100)
    for (const { payloadSizes } of entries.slice(0, 3)) assert.ok(Number(payloadSizes?.ciphertext) > 0)
  })

  test('signatures tell algorithm and key type as far as AWS tells them; one that is not valid is a success', async () => {
    const rsa = await made.newKey('RSA_3072')
    const p256 = await made.newKey('ECC_NIST_P256')
    const p384 = await made.newKey('ECC_NIST_P384')
    const Message = new Uint8Array(33)
    const entries = await left(async () => {
      const signing = { KeyId: rsa, Message, SigningAlgorithm: 'RSASSA_PSS_SHA_256' } as const
      const { Signature } = await made.client.send(new SignCommand(signing))
      const verified = await made.client.send(new VerifyCommand({ ...signing, Signature }))
      assert.equal(verified.SignatureValid, true)
      await made.client.send(new SignCommand({ KeyId: p256, Message, SigningAlgorithm: 'ECDSA_SHA_256' }))
      await made.client.send(new SignCommand({ KeyId: p384, Message, SigningAlgorithm: 'ECDSA_SHA_384' }))
      await assert.rejects(
        made.client.send(new VerifyCommand({ ...signing, Message: new Uint8Array(34), Signature })),
        { name: 'KMSInvalidSignatureException' },
      )
    })
    assert.deepEqual(
      entries.map(({ action, outcome, valid, statusCode, error, keyType, details, payloadSizes }) => [
        action,
        outcome,
        valid,
        statusCode,
        error,
        keyType,
        details?.algorithm,
        payloadSizes?.input,
      ]),
      [
        ['kms.sign', 'success', undefined, 200, undefined, 'rsa-3072', 'pss-sha256', 33],
        ['kms.verify', 'success', true, 200, undefined, 'rsa-3072', 'pss-sha256', 33],
        ['kms.sign', 'success', undefined, 200, undefined, undefined, 'sha256', 33],
        ['kms.sign', 'success', undefined, 200, undefined, 'ecdsa-p384', 'sha384', 33],
        ['kms.verify', 'success', false, 200, undefined, undefined, 'pss-sha256', 34],
      ],
    )
    assert.equal(entries[4]?.resourceIdentity, rsa)
    assert.ok(entries[4]?.provider?.requestId)
  })

  test('MACs too', async () => {
    const KeyId = await made.newKey('HMAC_256')
    const given = { KeyId, Message: new Uint8Array(5), MacAlgorithm: 'HMAC_SHA_256' } as const
    const entries = await left(async () => {
      const { Mac } = await made.client.send(new GenerateMacCommand(given))
      await made.client.send(new VerifyMacCommand({ ...given, Mac }))
      await assert.rejects(made.client.send(new VerifyMacCommand({ ...given, Mac: new Uint8Array(32) })), {
        name: 'KMSInvalidMacException',
      })
    })
    assert.deepEqual(summary(entries), [
      `kms.hmac success ${KeyId} v1`,
      `kms.verify_hmac success ${KeyId} v1 valid`,
      `kms.verify_hmac success ${KeyId} v1 invalid`,
    ])
    for (const { keyType, payloadSizes } of entries) {
      assert.equal(keyType, 'hmac-sha256')
      assert.deepEqual(payloadSizes, { input: 5, mac: 32 })
    }
  })

  test('a re-encryption tells both keys', async () => {
    const source = await made.newKey()
    const destination = await made.newKey('SYMMETRIC_DEFAULT', 'next')
    const sealed = await made.plain.send(
      new EncryptCommand({ KeyId: source, Plaintext, EncryptionContext: { from: 'a' } }),
    )
    const { CiphertextBlob } = sealed
    const [entry] = await left(() =>
      made.client.send(
        new ReEncryptCommand({
          CiphertextBlob,
          SourceEncryptionContext: { from: 'a' },
          DestinationKeyId: 'alias/next',
          DestinationEncryptionContext: { to: 'b' },
        }),
      ),
    )
    assert.equal(entry?.action, 'kms.re_encrypt')
    assert.equal(entry?.resourceIdentity, source)
    assert.equal(entry?.keyType, 'aes256-gcm96')
    assert.deepEqual(entry?.encryptionContext, { from: 'a' })
    assert.deepEqual(entry?.details, {
      destinationKey: { identity: destination, slug: 'next', keyType: 'aes256-gcm96' },
    })
  })

  test('changes have an intent and a result, joined by their operationID', async () => {
    const KeyId = await made.newKey()
    const entries = await left(async () => {
      await made.client.send(new RotateKeyOnDemandCommand({ KeyId }))
      await made.client.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 180 }))
      await made.client.send(new DisableKeyRotationCommand({ KeyId }))
      await made.client.send(new DisableKeyCommand({ KeyId }))
      await made.client.send(new EnableKeyCommand({ KeyId }))
      await made.client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }))
      await made.client.send(new CancelKeyDeletionCommand({ KeyId }))
    })
    const actions = [
      'kms.rotate',
      'kms_key.update',
      'kms_key.update',
      'kms_key.disable',
      'kms_key.enable',
      'kms_key.delete',
      'kms_key.cancel_deletion',
    ]
    assert.deepEqual(
      summary(entries),
      actions.flatMap((action) => [`${action} pending ${KeyId}`, `${action} success ${KeyId}`]),
    )
    for (let at = 0; at < entries.length; at += 2) {
      assert.equal(entries[at]?.operationID, entries[at + 1]?.operationID)
      assert.equal(entries[at]?.phase, 'intent')
      assert.equal(entries[at + 1]?.phase, 'result')
    }
    assert.equal(new Set(entries.map(({ operationID }) => operationID)).size, 7)
    assert.deepEqual(entries[2]?.details, { keyRotationEnabled: true, rotationPeriodInDays: 180 })
    assert.deepEqual(entries[3]?.details, entries[2]?.details)
    assert.deepEqual(entries[5]?.details, { keyRotationEnabled: false })
    const due = Date.parse(entries[11]?.details?.deletionScheduledAt ?? '')
    assert.ok(Math.abs(due - Date.now() - 7 * 86_400_000) < 60_000)
  })

  test('a new key is named in the result; its type in the intent too', async () => {
    const entries = await left(() =>
      made.client.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P521', KeyUsage: 'SIGN_VERIFY' })),
    )
    assert.deepEqual(
      entries.map(({ action, outcome, keyType }) => [action, outcome, keyType]),
      [
        ['kms_key.create', 'pending', 'ecdsa-p521'],
        ['kms_key.create', 'success', 'ecdsa-p521'],
      ],
    )
    assert.equal(entries[0]?.resourceIdentity, undefined)
    assert.match(entries[1]?.resourceIdentity ?? '', /^arn:aws:kms:eu-west-1:111122223333:key\//)
  })

  test('reads leave an entry each, and no intent', async () => {
    const rsa = await made.newKey('RSA_2048')
    const KeyId = await made.newKey()
    const entries = await left(async () => {
      await made.client.send(new DescribeKeyCommand({ KeyId }))
      await made.client.send(new GetPublicKeyCommand({ KeyId: rsa }))
      await made.client.send(new ListKeysCommand({ Limit: 2 }))
      await made.client.send(new GetKeyPolicyCommand({ KeyId }))
    })
    assert.deepEqual(
      entries.map(({ action, phase, outcome, keyType, details }) => [action, phase, outcome, keyType, details]),
      [
        ['kms_key.describe', 'result', 'success', 'aes256-gcm96', undefined],
        ['kms_key.get_public_key', 'result', 'success', 'rsa-2048', undefined],
        ['kms_key.list', 'result', 'success', undefined, { count: 2 }],
        ['kms_key.get_key_policy', 'result', 'success', undefined, undefined],
      ],
    )
  })

  test('what a client has no operation for is a change, named as AWS names it', async () => {
    const KeyId = await made.newKey()
    const Policy = '{"Version":"2012-10-17","Statement":[]}'
    const entries = await left(async () => {
      await made.client.send(new PutKeyPolicyCommand({ KeyId, Policy }))
      await made.client.send(new CreateAliasCommand({ AliasName: 'alias/named', TargetKeyId: KeyId }))
    })
    assert.deepEqual(summary(entries), [
      `kms_key.put_key_policy pending ${KeyId}`,
      `kms_key.put_key_policy success ${KeyId}`,
      'kms_key.create_alias pending named',
      'kms_key.create_alias success named',
    ])
    assert.equal(entries[3]?.resourceIdentity, KeyId)
    assert.ok(!JSON.stringify(entries).includes('2012-10-17'))
  })

  test('a dry run is told as one', async () => {
    const KeyId = await made.newKey()
    const entries = await left(() =>
      assert.rejects(made.client.send(new EncryptCommand({ KeyId, Plaintext, DryRun: true })), {
        name: 'DryRunOperationException',
      }),
    )
    assert.deepEqual(summary(entries), [`kms.encrypt failure ${KeyId} ABORTED`])
    assert.deepEqual(entries[0]?.details?.flags, ['dry_run'])
  })

  test('the field policy and required context hold', async () => {
    const other = await rig({})
    const strict = await rig({})
    try {
      const KeyId = await other.newKey()
      other.handle.detach()
      const { auditAwsKms } = await import('../../../src/integrations/aws-sdk/index.ts')
      const hashKey = new Uint8Array(createHash('sha256').update('test').digest())
      const sink = strict.sink
      strict.handle.detach()
      const handle = auditAwsKms(other.client, {
        audit: {
          required: [sink],
          fields: { encryptionContext: 'names', hashKey },
          require: { 'kms.encrypt': ['reason'] },
        },
      })
      const before = other.endpoint.count('Encrypt')
      await assert.rejects(other.client.send(new EncryptCommand({ KeyId, Plaintext })), {
        name: 'KmsError',
        code: 'INVALID_INPUT',
      })
      assert.equal(other.endpoint.count('Encrypt'), before)
      assert.deepEqual(summary(strict.entries()), [`kms.encrypt failure ${KeyId} INVALID_INPUT`])
      const EncryptionContext = { order: 'secret-17' }
      await assert.rejects(
        other.client.send(new DecryptCommand({ CiphertextBlob: new Uint8Array(9), EncryptionContext })),
      )
      const kept = strict.entries().at(-1)?.encryptionContext
      assert.match(kept?.['order'] ?? '', /^h:/)
      await handle.close()
    } finally {
      await other.close()
      await strict.close()
    }
  })
})
