/** @node Inputs that a client of ours would refuse, or that fight back: the service is their judge. */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { DecryptCommand, EncryptCommand, type EncryptCommandInput, SignCommand } from '@aws-sdk/client-kms'
import { auditAwsKms } from '../../../src/integrations/aws-sdk/index.ts'
import { lineOf } from '../../../src/model/line.ts'
import { noShared } from '../../shared.ts'
import { type Rig, rig } from './rig.ts'

const Plaintext = new TextEncoder().encode('attack at dawn')

describe('inputs of the AWS SDK', { skip: noShared }, () => {
  const open: Rig[] = []
  async function ready(): Promise<Rig> {
    const made = await rig()
    open.push(made)
    return made
  }
  afterEach(async () => {
    for (const made of open.splice(0)) await made.close()
  })

  test('with more context than a client of ours takes go through, and are told as far as there is room', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`name-${at}`, `value-${at}`]))
    await made.client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: many }))
    assert.deepEqual(made.entries()[0]?.encryptionContext, many)
    const large = { quoted: '"'.repeat(7000) }
    await made.client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: large }))
    const entry = made.entries()[1]
    assert.equal(entry?.encryptionContext, undefined)
    assert.deepEqual(entry?.details?.flags, ['encryption_context_dropped'])
    assert.equal(entry?.payloadSizes?.encryptionContext, 7006)
  })

  test('with an empty context leave none in the entry', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    await made.client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: {} }))
    assert.equal(made.entries()[0]?.encryptionContext, undefined)
    assert.deepEqual(made.entries()[0]?.details, undefined)
  })

  test('with text for bytes, as the SDK takes it, are measured as it is sent', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const text = 'dämmerung' as unknown as Uint8Array
    const { CiphertextBlob } = await made.client.send(new EncryptCommand({ KeyId, Plaintext: text }))
    assert.equal(made.entries()[0]?.payloadSizes?.plaintext, 10)
    const opened = await made.client.send(new DecryptCommand({ CiphertextBlob }))
    assert.equal(new TextDecoder().decode(opened.Plaintext), 'dämmerung')
  })

  test('are what is sent, whatever becomes of the object meanwhile', async () => {
    const made = await ready()
    const first = await made.newKey()
    const second = await made.newKey()
    made.sink.mode = 'async'
    const EncryptionContext: Record<string, string> = { order: '17' }
    const input = { KeyId: first, Plaintext, EncryptionContext }
    const call = made.client.send(new EncryptCommand(input))
    input.KeyId = second
    EncryptionContext['order'] = '18'
    const { KeyId, CiphertextBlob } = await call
    assert.equal(KeyId, first)
    assert.equal(made.entries()[0]?.resourceIdentity, first)
    await made.plain.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { order: '17' } }))
    assert.deepEqual(made.entries()[0]?.encryptionContext, { order: '17' })
  })

  test('are measured as they were when the call was made', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const buffer = new ArrayBuffer(21)
    const call = made.client.send(new EncryptCommand({ KeyId, Plaintext: new Uint8Array(buffer) }))
    await Promise.resolve()
    structuredClone(buffer, { transfer: [buffer] })
    await call.catch(() => {})
    assert.equal(made.entries()[0]?.payloadSizes?.plaintext, 21)
  })

  test('whose getters say another thing each time are recorded as they are sent', async () => {
    const made = await ready()
    const keys = [await made.newKey(), await made.newKey(), await made.newKey()]
    let reads = 0
    const input = {
      get KeyId() {
        return keys[reads++ % 3]
      },
      Plaintext,
    }
    const { KeyId } = await made.client.send(new EncryptCommand(input as EncryptCommandInput))
    assert.ok(reads > 0)
    assert.equal(made.entries()[0]?.resourceIdentity, KeyId)
  })

  test('of a class of their own go on as they are', async () => {
    const made = await ready()
    const arn = await made.newKey()
    const input: EncryptCommandInput = Object.create({ KeyId: arn, Plaintext })
    await made.client.send(new EncryptCommand(input))
    assert.equal(made.entries()[0]?.resourceIdentity, arn)
    assert.equal(made.entries()[0]?.payloadSizes?.plaintext, 14)
  })

  test('that throw when looked at meet the SDK as they would without us, and the entry does without', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const bomb = () => {
      throw new RangeError('boom')
    }
    const traps = { get: bomb, ownKeys: bomb, getPrototypeOf: bomb, getOwnPropertyDescriptor: bomb, has: bomb }
    const inputs: unknown[] = [
      Object.defineProperty({ KeyId }, 'Plaintext', { enumerable: true, get: bomb }),
      { KeyId, Plaintext, EncryptionContext: new Proxy({}, traps) },
      new Proxy({}, traps),
      { KeyId, Plaintext, EncryptionContext: 'no map' },
      { KeyId, Plaintext, EncryptionContext: { a: 1, b: null, c: 'kept' } },
      { KeyId, Plaintext, EncryptionContext: { lone: '\ud800' } },
      { KeyId: 17, Plaintext },
      { KeyId: { toString: bomb }, Plaintext },
      { KeyId, Plaintext: new DataView(new ArrayBuffer(8)) },
      { KeyId, Plaintext: 5 },
      { KeyId: '\u202e"\\'.repeat(700), Plaintext },
      { KeyId: `alias/${'ж'.repeat(3000)}`, Plaintext },
      null,
      undefined,
      {},
    ]
    for (const [at, input] of inputs.entries()) {
      const audited = await outcome(made.client.send(new EncryptCommand(input as EncryptCommandInput)))
      const bare = await outcome(made.plain.send(new EncryptCommand(input as EncryptCommandInput)))
      assert.equal(audited, bare, `input ${at}`)
      assert.equal(made.entries().length, at + 1)
      assert.ok(lineOf(made.entries()[at] as never).length < 16_384)
    }
    // What the endpoint finds against its model is what this test is about.
    ;(made.endpoint.violations as string[]).length = 0
    const flags = made.entries().map(({ details }) => details?.flags?.join() ?? '')
    assert.deepEqual(flags.slice(0, 6), [
      '',
      'encryption_context_partial',
      '',
      'encryption_context_partial',
      'encryption_context_partial',
      'encryption_context_partial',
    ])
    assert.deepEqual(made.entries()[4]?.encryptionContext, { c: 'kept' })
  })

  test('leave an entry below 16 KiB however much is said at once', async () => {
    const made = await ready()
    const loud = '\u202e'.repeat(5000)
    made.handle.detach()
    const current = () => ({
      actor: { type: 'user', id: loud, name: loud } as const,
      userAgent: loud,
      requestId: loud,
      route: loud,
      origin: { service: loud, eventID: loud, resource: loud },
      reason: { code: loud, ticket: loud },
    })
    const handle = auditAwsKms(made.client, { audit: { required: [made.sink] }, context: { current } })
    const EncryptionContext = Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [`${at}${loud.slice(0, 20)}`, loud.slice(0, 20)]),
    )
    const input = { KeyId: `alias/${loud}`, Plaintext, EncryptionContext }
    await made.client.send(new EncryptCommand(input)).catch(() => {})
    const entry = made.entries().at(-1)
    assert.ok(entry && lineOf(entry).length < 16_384, String(entry && lineOf(entry).length))
    await handle.close()
  })

  test('leave one below 16 KiB when a long name and a long context are only just too much together', async () => {
    const made = await ready()
    const KeyId = `alias/${'\u202e'.repeat(300)}`
    const EncryptionContext = { long: 'x'.repeat(13_000) }
    await made.client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })).catch(() => {})
    const entry = made.entries().at(-1)
    assert.ok(entry && lineOf(entry).length < 16_384)
    assert.deepEqual(entry.details?.flags, ['encryption_context_dropped'])
    const short = { KeyId: 'alias/short', Plaintext, EncryptionContext }
    await made.client.send(new EncryptCommand(short)).catch(() => {})
    assert.equal(made.entries().at(-1)?.encryptionContext?.['long']?.length, 13_000)
  })

  test('that AWS refuses leave what can be told of them', async () => {
    const made = await ready()
    const rsa = await made.newKey('RSA_2048')
    const Message = new Uint8Array(5000)
    await assert.rejects(
      made.client.send(new SignCommand({ KeyId: rsa, Message, SigningAlgorithm: 'RSASSA_PSS_SHA_256' })),
      { name: 'ValidationException' },
    )
    const [entry] = made.entries()
    assert.equal(entry?.error, 'INVALID_INPUT')
    assert.equal(entry?.payloadSizes?.input, 5000)
    assert.equal(entry?.details?.algorithm, 'pss-sha256')
  })
})

/** A name for how a call ended, the same with and without an audit. */
function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'answered',
    (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`,
  )
}
