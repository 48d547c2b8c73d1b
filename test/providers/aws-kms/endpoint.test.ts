/** @node The endpoint does what AWS documents, driven by the real SDK. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { after, describe, test } from 'node:test'
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  type KeySpec,
  type KMSClient,
  ListAliasesCommand,
  ListKeyRotationsCommand,
  ListKeysCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  type SigningAlgorithmSpec,
  VerifyCommand,
  type VerifyCommandInput,
  VerifyMacCommand,
} from '@aws-sdk/client-kms'
import { noShared } from '../../shared.ts'
import { type KmsEndpoint, startKmsEndpoint } from './endpoint.ts'
import { sdkClient } from './sdk-client.ts'

describe('the endpoint', { skip: noShared }, () => {
  const closing: (() => Promise<void>)[] = []
  after(async () => {
    for (const close of closing) await close()
  })

  async function rig(options: Parameters<typeof startKmsEndpoint>[0] = {}) {
    const endpoint = await startKmsEndpoint(options)
    const client = sdkClient(endpoint, { maxAttempts: 1 })
    closing.push(async () => {
      client.destroy()
      await endpoint.close()
    })
    return { endpoint, client }
  }
  async function newKey(client: KMSClient, spec: KeySpec = 'SYMMETRIC_DEFAULT', usage = 'ENCRYPT_DECRYPT') {
    const made = await client.send(new CreateKeyCommand({ KeySpec: spec, KeyUsage: usage as 'SIGN_VERIFY' }))
    return made.KeyMetadata?.KeyId ?? ''
  }
  const fails = (run: Promise<unknown>, name: string, status?: number) =>
    assert.rejects(run, (error: Error & { $metadata?: { httpStatusCode?: number } }) => {
      assert.equal(error.name, name)
      if (status !== undefined) assert.equal(error.$metadata?.httpStatusCode, status)
      return true
    })

  test('opens what it sealed, only under the same encryption context, also after rotations', async () => {
    const { client } = await rig()
    const KeyId = await newKey(client)
    const Plaintext = new Uint8Array([1, 2, 3])
    const sealed = await client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: { a: '1', b: '2' } }))
    await client.send(new RotateKeyOnDemandCommand({ KeyId }))
    const { CiphertextBlob } = sealed
    const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { b: '2', a: '1' } }))
    assert.deepEqual([...(opened.Plaintext ?? [])], [1, 2, 3])
    await fails(client.send(new DecryptCommand({ CiphertextBlob })), 'InvalidCiphertextException', 400)
    const other = await newKey(client)
    await fails(client.send(new DecryptCommand({ CiphertextBlob, KeyId: other })), 'IncorrectKeyException', 400)
    const { Rotations } = await client.send(new ListKeyRotationsCommand({ KeyId }))
    assert.deepEqual(
      Rotations?.map(({ RotationType }) => RotationType),
      ['ON_DEMAND'],
    )
  })

  test('rotations by hand are under way, refuse another, and change nothing until they are complete', async () => {
    const { client, endpoint } = await rig({ rotation: 'by-hand' })
    const KeyId = await newKey(client)
    await client.send(new RotateKeyOnDemandCommand({ KeyId }))
    assert.equal(endpoint.key(KeyId).materials.length, 1)
    await fails(client.send(new RotateKeyOnDemandCommand({ KeyId })), 'ConflictException', 409)
    endpoint.completeRotations()
    assert.equal(endpoint.key(KeyId).materials.length, 2)
  })

  test('signs RAW and DIGEST alike, as OpenSSL verifies', async () => {
    const { client } = await rig()
    const message = Buffer.from('a message')
    for (const [spec, algorithms] of [
      ['RSA_2048', ['RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512', 'RSASSA_PKCS1_V1_5_SHA_512']],
      ['ECC_NIST_P256', ['ECDSA_SHA_256']],
      ['ECC_NIST_P384', ['ECDSA_SHA_384']],
      ['ECC_NIST_P521', ['ECDSA_SHA_512']],
      ['ECC_SECG_P256K1', ['ECDSA_SHA_256']],
    ] as const) {
      const KeyId = await newKey(client, spec, 'SIGN_VERIFY')
      const { PublicKey } = await client.send(new GetPublicKeyCommand({ KeyId }))
      const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' })
      for (const algorithm of algorithms) {
        const SigningAlgorithm: SigningAlgorithmSpec = algorithm
        const hash = `sha${algorithm.slice(-3)}`
        const digest = createHash(hash).update(message).digest()
        const padding = algorithm.includes('PSS') ? { padding: 6, saltLength: digest.length } : {}
        for (const [Message, MessageType] of [
          [message, 'RAW'],
          [digest, 'DIGEST'],
        ] as const) {
          const { Signature } = await client.send(new SignCommand({ KeyId, Message, MessageType, SigningAlgorithm }))
          assert.ok(verify(hash, message, { key, ...padding }, Buffer.from(Signature ?? [])), `${spec} ${algorithm}`)
          for (const [again, type] of [
            [message, 'RAW'],
            [digest, 'DIGEST'],
          ] as const) {
            const input: VerifyCommandInput = { KeyId, Message: again, MessageType: type, SigningAlgorithm, Signature }
            const { SignatureValid } = await client.send(new VerifyCommand(input))
            assert.equal(SignatureValid, true)
            const bad = Uint8Array.from(Signature ?? []).map((byte, at) => (at === 9 ? byte ^ 1 : byte))
            await fails(client.send(new VerifyCommand({ ...input, Signature: bad })), 'KMSInvalidSignatureException')
          }
        }
      }
      const short = { KeyId, Message: message, MessageType: 'DIGEST', SigningAlgorithm: algorithms[0] } as const
      await fails(client.send(new SignCommand(short)), 'ValidationException')
    }
  })

  test('states, usages and names are held to', async () => {
    const { client } = await rig()
    const KeyId = await newKey(client)
    const Plaintext = new Uint8Array(4096)
    await client.send(new EncryptCommand({ KeyId, Plaintext }))
    await fails(client.send(new EncryptCommand({ KeyId, Plaintext: new Uint8Array(4097) })), 'ValidationException', 400)
    await client.send(new CreateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: KeyId }))
    await client.send(new EncryptCommand({ KeyId: 'alias/orders', Plaintext }))
    await client.send(new DisableKeyCommand({ KeyId }))
    await fails(client.send(new EncryptCommand({ KeyId, Plaintext })), 'DisabledException', 409)
    await fails(client.send(new RotateKeyOnDemandCommand({ KeyId })), 'DisabledException', 409)
    await client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }))
    await fails(client.send(new EncryptCommand({ KeyId, Plaintext })), 'KMSInvalidStateException', 409)
    await fails(client.send(new ScheduleKeyDeletionCommand({ KeyId })), 'KMSInvalidStateException', 409)
    await client.send(new CancelKeyDeletionCommand({ KeyId }))
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: 'alias/orders' }))
    assert.equal(KeyMetadata?.KeyState, 'Disabled')
    await fails(client.send(new DescribeKeyCommand({ KeyId: 'alias/none' })), 'NotFoundException', 404)
    await fails(client.send(new DescribeKeyCommand({ KeyId: 'nope' })), 'NotFoundException', 404)
    const mac = await newKey(client, 'HMAC_256', 'GENERATE_VERIFY_MAC')
    await fails(client.send(new EncryptCommand({ KeyId: mac, Plaintext })), 'InvalidKeyUsageException', 400)
    const input = { KeyId: mac, Message: Plaintext, MacAlgorithm: 'HMAC_SHA_256' } as const
    const { Mac } = await client.send(new GenerateMacCommand(input))
    assert.equal((await client.send(new VerifyMacCommand({ ...input, Mac }))).MacValid, true)
    await fails(client.send(new VerifyMacCommand({ ...input, Mac: new Uint8Array(32) })), 'KMSInvalidMacException', 400)
  })

  test('statuses as documented: every client error is 400', async () => {
    const { client } = await rig({ statuses: 'documented' })
    await fails(client.send(new DescribeKeyCommand({ KeyId: 'nope' })), 'NotFoundException', 400)
  })

  test('lists go by pages', async () => {
    const { client } = await rig()
    const ids = [await newKey(client), await newKey(client), await newKey(client)]
    const first = await client.send(new ListKeysCommand({ Limit: 2 }))
    assert.equal(first.Truncated, true)
    const second = await client.send(new ListKeysCommand({ Limit: 2, Marker: first.NextMarker }))
    assert.equal(second.Truncated, false)
    assert.deepEqual(
      [...(first.Keys ?? []), ...(second.Keys ?? [])].map(({ KeyId }) => KeyId),
      ids,
    )
    assert.deepEqual((await client.send(new ListAliasesCommand({}))).Aliases, [])
  })

  test('refuses what is not signed by its credentials, with the errors of AWS', async () => {
    const credentials = {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      sessionToken: 'FwoGZXIvYXdzEXAMPLETOKEN',
    }
    const { endpoint, client } = await rig({ credentials })
    await client.send(new ListKeysCommand({}))
    for (const [changed, name] of [
      [{ secretAccessKey: 'x'.repeat(40) }, 'InvalidSignatureException'],
      [{ accessKeyId: 'AKIAI44QH8DHBEXAMPLE' }, 'UnrecognizedClientException'],
      [{ sessionToken: 'another' }, 'UnrecognizedClientException'],
    ] as const) {
      const wrong = sdkClient(endpoint, { maxAttempts: 1, credentials: { ...credentials, ...changed } })
      await fails(wrong.send(new ListKeysCommand({})), name, 400)
      wrong.destroy()
    }
    const plain = await fetch(endpoint.url, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.ListKeys' },
    })
    assert.match(await plain.text(), /MissingAuthenticationTokenException/)
    const elsewhere = sdkClient(endpoint, { maxAttempts: 1, region: 'us-east-1' })
    await fails(elsewhere.send(new ListKeysCommand({})), 'InvalidSignatureException')
    elsewhere.destroy()
  })

  test('goes wrong on demand, and counts what it was asked and what it did', async () => {
    const { endpoint, client } = await rig()
    endpoint.fault({ operation: 'CreateKey', fault: { kind: 'error', name: 'ThrottlingException' } })
    await fails(client.send(new CreateKeyCommand({})), 'ThrottlingException', 400)
    endpoint.fault({ operation: 'CreateKey', fault: { kind: 'cut', when: 'before' } })
    await assert.rejects(client.send(new CreateKeyCommand({})), { code: 'ECONNRESET' })
    endpoint.fault({ operation: 'CreateKey', fault: { kind: 'cut', when: 'after' } })
    await assert.rejects(client.send(new CreateKeyCommand({})), { code: 'ECONNRESET' })
    endpoint.fault({ operation: 'CreateKey', fault: { kind: 'body', body: '<html>' } })
    await assert.rejects(client.send(new CreateKeyCommand({})))
    assert.deepEqual(
      endpoint.requests.map(({ done }) => done),
      [false, false, true, true],
    )
    assert.equal((await client.send(new ListKeysCommand({}))).Keys?.length, 2)
    endpoint.deny('ListKeys')
    await fails(client.send(new ListKeysCommand({})), 'AccessDeniedException', 400)
    endpoint.permit('ListKeys')
    await client.send(new ListKeysCommand({}))
  })

  test('what breaks the model is refused, and makes the endpoint fail at its end', async () => {
    const endpoint: KmsEndpoint = await startKmsEndpoint()
    const client = sdkClient(endpoint, { maxAttempts: 1 })
    await fails(client.send(new EncryptCommand({ KeyId: '', Plaintext: new Uint8Array(1) })), 'ValidationException')
    assert.deepEqual(endpoint.violations, [])
    client.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string }
        request.body = '{"KeyId":"nope","Surprise":1}'
        return next(args)
      },
      { step: 'serialize', priority: 'low' },
    )
    await fails(client.send(new DescribeKeyCommand({ KeyId: 'nope' })), 'SerializationException')
    client.destroy()
    await assert.rejects(endpoint.close(), /request DescribeKey: Value at 'Surprise'/)
  })
})
