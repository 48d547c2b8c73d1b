/** @node No entry, no result, and no change without its intent: with the SDK as with a client. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateMacCommand,
  GetKeyPolicyCommand,
  type KMSClient,
  ListKeysCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  SignCommand,
  VerifyCommand,
} from '@aws-sdk/client-kms'
import { auditAwsKms } from '../../../src/integrations/aws-sdk/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { summary } from '../../../src/testing/summary.ts'
import { puppet, turn } from '../../audit/puppet.ts'
import { closedAfterEach } from '../../closed-after-each.ts'
import { noShared } from '../../shared.ts'
import { type Rig, rig } from './rig.ts'

const Plaintext = new TextEncoder().encode('attack at dawn')

describe('no entry, no result', { skip: noShared }, () => {
  const ready = closedAfterEach(rig)

  /** What the SDK answers, seen from just inside the audit. */
  function answersOf(client: KMSClient): Record<string, unknown>[] {
    const answers: Record<string, unknown>[] = []
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        answers.push(result.output as unknown as Record<string, unknown>)
        return result
      },
      { step: 'build' },
    )
    return answers
  }

  async function material(made: Rig) {
    const KeyId = await made.newKey()
    const rsa = await made.newKey('RSA_2048')
    const mac = await made.newKey('HMAC_256')
    const { CiphertextBlob } = await made.plain.send(new EncryptCommand({ KeyId, Plaintext }))
    const signing = { KeyId: rsa, Message: Plaintext, SigningAlgorithm: 'RSASSA_PSS_SHA_256' } as const
    const { Signature } = await made.plain.send(new SignCommand(signing))
    return {
      KeyId,
      cryptoAndReads: [
        new EncryptCommand({ KeyId, Plaintext }),
        new DecryptCommand({ CiphertextBlob }),
        new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }),
        new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }),
        new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: KeyId }),
        new SignCommand(signing),
        new VerifyCommand({ ...signing, Signature }),
        // Its verdict is an error, and withheld too.
        new VerifyCommand({ ...signing, Message: new Uint8Array(1), Signature }),
        new GenerateMacCommand({ KeyId: mac, Message: Plaintext, MacAlgorithm: 'HMAC_SHA_256' }),
        new DescribeKeyCommand({ KeyId }),
        new ListKeysCommand({}),
        new GetKeyPolicyCommand({ KeyId }),
        // Fails.
        new DecryptCommand({ CiphertextBlob: new Uint8Array(50) }),
      ],
      changes: [
        new RotateKeyOnDemandCommand({ KeyId }),
        new DisableKeyCommand({ KeyId }),
        new PutKeyPolicyCommand({ KeyId, Policy: '{}' }),
        new CreateKeyCommand({}),
        // Fails.
        new DisableKeyCommand({ KeyId: 'nothing' }),
      ],
    }
  }
  // The union of commands is more than `send` can tell apart.
  const send = (client: KMSClient, command: unknown) => client.send(command as EncryptCommand)

  test('a sink known to be down refuses before anything is sent', async () => {
    const made = await ready()
    const { cryptoAndReads, changes } = await material(made)
    made.sink.mode = 'reject'
    await assert.rejects(send(made.client, cryptoAndReads[0]))
    const sent = made.endpoint.requests.length
    for (const command of [...cryptoAndReads, ...changes]) {
      await assert.rejects(send(made.client, command), (error) => {
        assert.ok(error instanceof KmsError)
        assert.equal(error.code, 'AUDIT_REFUSED')
        assert.match(error.message, /is down/)
        assert.equal(error.eventID, undefined)
        return true
      })
    }
    assert.equal(made.endpoint.requests.length, sent)
    assert.equal(made.handle.audit.health().refusedCalls, cryptoAndReads.length + changes.length)
  })

  test('a refused entry withholds the result of every command that uses or reads, zeroes its bytes, and an amendment follows', async () => {
    const made = await ready()
    const { cryptoAndReads } = await material(made)
    const answers = answersOf(made.client)
    made.handle.detach()
    for (const command of cryptoAndReads) {
      // A sink refuses once and is down then: each has its own.
      const sink = puppet()
      const handle = auditAwsKms(made.client, { audit: { required: [sink] } })
      await made.client.send(new ListKeysCommand({}))
      answers.length = 0
      sink.mode = 'reject'
      const sent = made.endpoint.requests.length
      const refused = await send(made.client, command).then(
        () => assert.fail('released'),
        (error: unknown) => error as KmsError,
      )
      assert.equal(refused.name, 'KmsError')
      assert.equal(refused.code, 'AUDIT_REFUSED')
      assert.equal(made.endpoint.requests.length, sent + 1)
      for (const answer of answers)
        for (const [name, value] of Object.entries(answer))
          if (value instanceof Uint8Array) assert.ok(value.length > 0 && value.every((byte) => byte === 0), name)
      sink.mode = 'sync'
      handle.detach()
      await handle.close()
      const [result, amendment] = sink.accepted.filter(({ resourceType }) => resourceType === 'kms_key').slice(-2)
      assert.equal(result?.eventID, refused.eventID)
      assert.equal(amendment?.phase, 'amendment')
      assert.equal(amendment?.details?.amends, refused.eventID)
      assert.deepEqual(amendment?.details?.flags, ['withheld'])
    }
  })

  test('nothing resolves before a slow sink has accepted', async () => {
    const made = await ready()
    const { cryptoAndReads } = await material(made)
    await made.client.send(new ListKeysCommand({}))
    made.sink.mode = 'hang'
    let resolved = false
    const call = send(made.client, cryptoAndReads[1]).then((answer) => {
      resolved = true
      return answer as { Plaintext?: Uint8Array }
    })
    const before = made.endpoint.count('Decrypt')
    while (made.endpoint.count('Decrypt') === before) await turn()
    for (let turns = 0; turns < 50; turns++) await turn()
    assert.equal(resolved, false)
    made.sink.settle('accept')
    assert.deepEqual((await call).Plaintext, Plaintext)
  })

  test('a late entry withholds at the deadline, the bytes are zeroed, and the entry comes all the same', async () => {
    const made = await ready({ deadlineMs: 50 })
    const { cryptoAndReads } = await material(made)
    const answers = answersOf(made.client)
    await made.client.send(new ListKeysCommand({}))
    answers.length = 0
    made.sink.mode = 'hang'
    const begun = performance.now()
    await assert.rejects(send(made.client, cryptoAndReads[1]), { name: 'KmsError', code: 'AUDIT_REFUSED' })
    // The sink's own deadline is 5 s.
    assert.ok(performance.now() - begun < 2500)
    const [answer] = answers
    assert.deepEqual(answer?.['Plaintext'], new Uint8Array(Plaintext.length))
    made.sink.mode = 'sync'
    made.sink.settle('accept')
    await made.handle.close()
    assert.deepEqual(
      summary(made.entries())
        .slice(-2)
        .map((line) => line.replace(/arn:\S+/, 'key')),
      ['kms.decrypt success key', 'kms.decrypt amendment success key'],
    )
  })

  test('a change is sent only once its intent is accepted', async () => {
    const made = await ready()
    const { changes } = await material(made)
    await made.client.send(new ListKeysCommand({}))
    made.sink.mode = 'hang'
    const call = send(made.client, changes[0])
    for (let turns = 0; turns < 100; turns++) await turn()
    assert.equal(made.endpoint.count('RotateKeyOnDemand'), 0)
    assert.equal(made.sink.batches.at(-1)?.at(-1)?.phase, 'intent')
    made.sink.mode = 'sync'
    made.sink.settle('accept')
    await call
    assert.equal(made.endpoint.count('RotateKeyOnDemand'), 1)
  })

  test('a refused or late intent: nothing is sent, and a failure closes it', async () => {
    for (const mode of ['reject', 'hang'] as const) {
      const made = await ready({ deadlineMs: 50 })
      const { changes, KeyId } = await material(made)
      await made.client.send(new ListKeysCommand({}))
      made.sink.mode = mode
      const sent = made.endpoint.requests.length
      const begun = performance.now()
      await assert.rejects(send(made.client, changes[1]), { name: 'KmsError', code: 'AUDIT_REFUSED' })
      assert.ok(performance.now() - begun < 2500)
      assert.equal(made.endpoint.requests.length, sent)
      made.sink.mode = 'sync'
      made.sink.settle('accept')
      await made.handle.close()
      const [intent, result] = made.entries().slice(-2)
      assert.deepEqual(summary([intent, result].filter((entry) => entry !== undefined)), [
        `kms_key.disable pending ${KeyId}`,
        `kms_key.disable failure ${KeyId} AUDIT_REFUSED`,
      ])
      assert.equal(intent?.operationID, result?.operationID)
    }
  })

  test('a change whose result is refused has been made: OUTCOME_UNAUDITED, and the entry waits', async () => {
    const made = await ready()
    const { changes, KeyId } = await material(made)
    await made.client.send(new ListKeysCommand({}))
    // The intent is accepted, what comes after it is not.
    made.sink.mode = 'async'
    made.client.middlewareStack.add(
      (next) => (args) => {
        made.sink.mode = 'reject'
        return next(args)
      },
      { step: 'build' },
    )
    const error = await send(made.client, changes[1]).then(
      () => assert.fail('released'),
      (thrown: unknown) => thrown as KmsError,
    )
    assert.equal(error.code, 'OUTCOME_UNAUDITED')
    assert.equal(made.endpoint.key(KeyId).state, 'Disabled')
    made.sink.mode = 'sync'
    await made.handle.close()
    assert.deepEqual(summary(made.entries()).slice(-3), [
      `kms_key.disable pending ${KeyId}`,
      `kms_key.disable success ${KeyId}`,
      `kms_key.disable amendment success ${KeyId}`,
    ])
  })

  test('a stream of hundreds at once has an entry each, in the trail before its answer', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    made.sink.mode = 'async'
    const calls = Array.from({ length: 300 }, async (_, at) => {
      const answer = await made.client.send(new EncryptCommand({ KeyId, Plaintext: new Uint8Array(at + 1) }))
      const eventID = made.handle.eventIDOf(answer)
      const entry = made.sink.accepted.find((accepted) => accepted.eventID === eventID)
      assert.equal(entry?.payloadSizes?.plaintext, at + 1)
      assert.equal(entry?.provider?.requestId, answer.$metadata.requestId)
    })
    await Promise.all(calls)
    assert.equal(made.entries().length, 300)
    assert.equal(new Set(made.entries().map(({ provider }) => provider?.requestId)).size, 300)
  })
})
