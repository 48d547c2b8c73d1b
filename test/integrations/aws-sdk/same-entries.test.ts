/** @node The SDK, audited, leaves the entries that a `KmsClient` over the same service leaves. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  type KMSClient,
  ReEncryptCommand,
  SignCommand,
  VerifyCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms'
import { KmsClient } from '../../../src/client.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { awsKms } from '../../../src/providers/aws-kms/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { sdkClient } from '../../providers/aws-kms/sdk-client.ts'
import { noShared } from '../../shared.ts'
import { type Rig, rig, steady } from './rig.ts'

const plaintext = new TextEncoder().encode('attack at dawn')
const context = { current: () => ({ actor: { type: 'user', id: 'alice' } as const, requestId: 'r-17' }) }
const encryptionContext = { order: '17', customer: 'ж"' }

describe('a KmsClient and the audited SDK', { skip: noShared }, () => {
  let made: Rig
  let kms: KmsClient
  const sink = memorySink()
  before(async () => {
    made = await rig({ context, project: 'billing' })
    const scope = { region: 'eu-west-1', project: 'billing' }
    // Its own client: what the provider sends is no entry of the application's.
    const provider = awsKms({ client: sdkClient(made.endpoint, { maxAttempts: 1 }), scope })
    kms = new KmsClient({ provider, audit: { required: [sink] }, context, ...scope })
    await made.newKey('SYMMETRIC_DEFAULT', 'orders')
    await made.newKey('SYMMETRIC_DEFAULT', 'next')
    await made.newKey('RSA_2048', 'signing')
    await made.newKey('HMAC_256', 'mac')
  })
  after(async () => {
    await kms.close()
    await made.close()
  })

  /** What the last entry of each says. */
  async function both(ours: () => Promise<unknown>, theirs: (client: KMSClient) => Promise<unknown>) {
    const failures = await Promise.all([failureOf(ours()), failureOf(theirs(made.client))])
    const [ofClient, ofSdk] = [sink.entries.at(-1), made.entries().at(-1)].map(steady)
    assert.deepEqual(ofSdk, ofClient)
    assert.equal(failures[0], failures[1])
    return made.entries().at(-1) as AuditEntry
  }
  const failureOf = (run: Promise<unknown>) =>
    run.then(
      () => false,
      () => true,
    )

  test('encrypt and decrypt alike', async () => {
    const input = { KeyId: 'alias/orders', Plaintext: plaintext, EncryptionContext: encryptionContext }
    const entry = await both(
      () => kms.encrypt({ key: 'orders', plaintext, encryptionContext }),
      (client) => client.send(new EncryptCommand(input)),
    )
    assert.equal(entry.keySlug, 'orders')
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext, encryptionContext })
    const named = { KeyId: 'alias/orders', CiphertextBlob: ciphertext, EncryptionContext: encryptionContext }
    await both(
      () => kms.decrypt({ key: 'orders', ciphertext, encryptionContext }),
      (client) => client.send(new DecryptCommand(named)),
    )
  })

  test('make data keys, re-encrypt and authenticate alike', async () => {
    await both(
      () => kms.generateDataKey({ key: 'orders', length: 32 }),
      (client) => client.send(new GenerateDataKeyCommand({ KeyId: 'alias/orders', NumberOfBytes: 32 })),
    )
    const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
    const moving = { CiphertextBlob: ciphertext, SourceKeyId: 'alias/orders', DestinationKeyId: 'alias/next' }
    const moved = await both(
      () => kms.reEncrypt({ key: 'orders', ciphertext, destinationKey: 'next' }),
      (client) => client.send(new ReEncryptCommand(moving)),
    )
    assert.equal(moved.details?.destinationKey?.slug, 'next')
    const mac = { KeyId: 'alias/mac', Message: plaintext, MacAlgorithm: 'HMAC_SHA_256' } as const
    const { hmac } = await kms.hmac({ key: 'mac', input: plaintext })
    await both(
      () => kms.hmac({ key: 'mac', input: plaintext, hashAlgorithm: 'sha256' }),
      (client) => client.send(new GenerateMacCommand(mac)),
    )
    await both(
      () => kms.verifyHmac({ key: 'mac', input: plaintext, hmac, hashAlgorithm: 'sha256' }),
      (client) => client.send(new VerifyMacCommand({ ...mac, Mac: hmac })),
    )
  })

  test('sign and verify alike', async () => {
    const options = { key: 'signing', input: plaintext, padding: 'pss', hashAlgorithm: 'sha256' } as const
    const signing = { KeyId: 'alias/signing', Message: plaintext, SigningAlgorithm: 'RSASSA_PSS_SHA_256' } as const
    await both(
      () => kms.sign(options),
      (client) => client.send(new SignCommand(signing)),
    )
    const { signature } = await kms.sign(options)
    const verified = await both(
      () => kms.verify({ ...options, signature }),
      (client) => client.send(new VerifyCommand({ ...signing, Signature: signature })),
    )
    assert.equal(verified.valid, true)
  })

  test('read alike', async () => {
    await both(
      () => kms.describeKey({ key: 'orders' }),
      (client) => client.send(new DescribeKeyCommand({ KeyId: 'alias/orders' })),
    )
    await both(
      () => kms.getPublicKey({ key: 'signing' }),
      (client) => client.send(new GetPublicKeyCommand({ KeyId: 'alias/signing' })),
    )
  })

  test('fail alike, but for what only a look at the key would have told', async () => {
    const tampered = new Uint8Array(90)
    const entry = await both(
      () => kms.decrypt({ key: 'orders', ciphertext: tampered }).catch((error) => Promise.reject(error)),
      (client) =>
        client
          .send(new DescribeKeyCommand({ KeyId: 'alias/orders' }))
          .then(() => client.send(new DecryptCommand({ KeyId: 'alias/orders', CiphertextBlob: tampered }))),
    ).catch((error: unknown) => {
      assert.ok(error instanceof assert.AssertionError)
      return made.entries().at(-1) as AuditEntry
    })
    const ofClient = sink.entries.at(-1)
    for (const field of ['action', 'outcome', 'error', 'statusCode', 'keySlug', 'region', 'project'] as const)
      assert.equal(entry[field], ofClient?.[field])
    assert.deepEqual(entry.payloadSizes, ofClient?.payloadSizes)
    // Asked for by its alias, refused without a word of the key.
    assert.equal(entry.resourceIdentity, 'alias/orders')
    assert.equal(entry.keyType, undefined)
  })
})
