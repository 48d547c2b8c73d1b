/** @node Attaching to a KMS client, in all the ways that one is used. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, test } from 'node:test'
import {
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  type EncryptCommandOutput,
  KMS,
  KMSClient,
  ListKeysCommand,
  paginateListKeys,
} from '@aws-sdk/client-kms'
import { createAudit } from '../../../src/audit/emitter.ts'
import { type AwsKmsClient, auditAwsKms } from '../../../src/integrations/aws-sdk/index.ts'
import type { RequestContext } from '../../../src/model/context.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { summary } from '../../../src/testing/summary.ts'
import { puppet, turn } from '../../audit/puppet.ts'
import { closedAfterEach } from '../../closed-after-each.ts'
import { noShared } from '../../shared.ts'
import { type Rig, rig } from './rig.ts'

// Both satisfy the shape, without a cast.
const shapes: readonly AwsKmsClient[] = [new KMSClient({ region: 'eu-west-1' }), new KMS({ region: 'eu-west-1' })]

const Plaintext = new TextEncoder().encode('attack at dawn')
const refused = (code: string) => (error: unknown) => error instanceof KmsError && error.code === code

describe('auditAwsKms', { skip: noShared }, () => {
  const ready = closedAfterEach(rig)
  const configOf = ({ endpoint }: Rig) => ({
    region: endpoint.region,
    endpoint: endpoint.url,
    credentials: endpoint.credentials,
  })

  test('takes a KMSClient and a KMS', () => {
    for (const client of shapes) {
      const handle = auditAwsKms(client, { audit: { required: [memorySink()] } })
      handle.detach()
    }
  })

  test('hears promises, callbacks, methods of the aggregated client and paginators', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    await made.newKey()
    const kms = new KMS(configOf(made))
    const sink = memorySink()
    auditAwsKms(kms, { audit: { required: [sink] } })
    const command = new EncryptCommand({ KeyId, Plaintext })
    await kms.send(command)
    const answer = await new Promise<EncryptCommandOutput | undefined>((resolve, reject) =>
      kms.send(command, (error: unknown, output?: EncryptCommandOutput) => (error ? reject(error) : resolve(output))),
    )
    assert.ok(answer?.CiphertextBlob)
    await kms.encrypt({ KeyId, Plaintext })
    await new Promise<void>((resolve) => kms.describeKey({ KeyId }, () => resolve()))
    let keys = 0
    for await (const page of paginateListKeys({ client: kms, pageSize: 1 }, {})) keys += page.Keys?.length ?? 0
    assert.equal(keys, 2)
    assert.deepEqual(
      sink.entries.filter(({ resourceType }) => resourceType === 'kms_key').map(({ action }) => action),
      ['kms.encrypt', 'kms.encrypt', 'kms.encrypt', 'kms_key.describe', 'kms_key.list', 'kms_key.list'],
    )
    kms.destroy()
  })

  test('a callback hears a refusal as its error', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    await made.client.send(new ListKeysCommand({}))
    made.sink.mode = 'reject'
    const error = await new Promise((resolve) =>
      made.client.send(new EncryptCommand({ KeyId, Plaintext }), (thrown: unknown) => resolve(thrown)),
    )
    assert.ok(refused('AUDIT_REFUSED')(error))
  })

  test('other clients of the same configuration stay as they are', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const config = { ...configOf(made), maxAttempts: 1 }
    const [one, other] = [new KMSClient(config), new KMSClient(config)]
    const sink = memorySink()
    auditAwsKms(one, { audit: { required: [sink] } })
    await other.send(new EncryptCommand({ KeyId, Plaintext }))
    assert.deepEqual(sink.entries, [])
    await one.send(new EncryptCommand({ KeyId, Plaintext }))
    assert.equal(sink.entries.length, 2)
    one.destroy()
    other.destroy()
  })

  test('several clients share one audit, each with its region', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const sink = memorySink()
    const audit = createAudit({ required: [sink] })
    const one = new KMSClient(configOf(made))
    const two = new KMSClient(configOf(made))
    auditAwsKms(one, { audit })
    auditAwsKms(two, { audit, region: 'home' })
    await one.send(new EncryptCommand({ KeyId, Plaintext }))
    await two.send(new EncryptCommand({ KeyId, Plaintext }))
    assert.deepEqual(
      sink.entries.slice(1).map(({ region }) => region),
      ['eu-west-1', 'home'],
    )
    await audit.close()
  })

  test('is refused a second time on one client, until it is detached; the sinks stay free', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const sink = memorySink()
    assert.throws(() => auditAwsKms(made.client, { audit: { required: [sink] } }), refused('INVALID_INPUT'))
    await made.client.send(new DescribeKeyCommand({ KeyId }))
    assert.equal(made.entries().length, 1)
    made.handle.detach()
    const handle = auditAwsKms(made.client, { audit: { required: [sink] } })
    await made.client.send(new DescribeKeyCommand({ KeyId }))
    assert.equal(made.entries().length, 1)
    assert.deepEqual(summary(sink.entries).slice(1), [`kms_key.describe success ${KeyId}`])
    handle.detach()
  })

  test('detaching puts the stack back as it was', async () => {
    const client = new KMSClient({ region: 'eu-west-1' })
    const before = client.middlewareStack.identify()
    const handle = auditAwsKms(client, { audit: { required: [memorySink()] } })
    assert.equal(client.middlewareStack.identify().length, before.length + 2)
    handle.detach()
    handle.detach()
    assert.deepEqual(client.middlewareStack.identify(), before)
  })

  test('a wrong audit leaves the client as it was, and free', () => {
    const client = new KMSClient({ region: 'eu-west-1' })
    const before = client.middlewareStack.identify()
    const wrong: unknown[] = [undefined, {}, { audit: undefined }, { audit: { required: [] } }]
    for (const options of wrong)
      assert.throws(() => auditAwsKms(client, options as { audit: { required: [] } }), refused('INVALID_INPUT'))
    const audit = { required: [memorySink()] }
    for (const options of [{ deadlineMs: 0 }, { deadlineMs: Number.NaN }, { region: '' }, { project: 'a b' }])
      assert.throws(() => auditAwsKms(client, { audit, ...options }), refused('INVALID_INPUT'))
    assert.throws(() => auditAwsKms(client, { audit, context: {} as never }), refused('INVALID_INPUT'))
    assert.deepEqual(client.middlewareStack.identify(), before)
    auditAwsKms(client, { audit }).detach()
  })

  test('a client of another service, or none at all, is refused', () => {
    const audit = { required: [memorySink()] }
    const stack = shapes[0]?.middlewareStack as AwsKmsClient['middlewareStack']
    const other = { config: { serviceId: 'S3' }, middlewareStack: stack }
    for (const client of [other, {}, undefined, { config: {} }])
      assert.throws(() => auditAwsKms(client as AwsKmsClient, { audit }), refused('INVALID_INPUT'))
  })

  test('hears also commands that the SDK has cached from before', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const client = new KMSClient({ ...configOf(made), cacheMiddleware: true })
    const command = () => new DescribeKeyCommand({ KeyId })
    await client.send(command())
    const sink = memorySink()
    const handle = auditAwsKms(client, { audit: { required: [sink] } })
    await client.send(command())
    await client.send(command())
    assert.deepEqual(summary(sink.entries).slice(1), Array(2).fill(`kms_key.describe success ${KeyId}`))
    handle.detach()
    await client.send(command())
    assert.equal(sink.entries.length, 3)
    const again = auditAwsKms(client, { audit: { required: [puppet()] } })
    await client.send(command())
    assert.equal(again.audit.health().sinks[0]?.lastAcceptedAt === undefined, false)
    client.destroy()
  })

  test('records what middleware of the application made of a command, on the client and on the command', async () => {
    const made = await ready()
    const first = await made.newKey()
    const second = await made.newKey()
    made.client.middlewareStack.add(
      (next) => (args) => next({ ...args, input: { ...args.input, Plaintext: new Uint8Array(99) } }),
      { step: 'initialize', priority: 'low' },
    )
    const command = new EncryptCommand({ KeyId: first, Plaintext })
    command.middlewareStack.add((next) => (args) => next({ ...args, input: { ...args.input, KeyId: second } }), {
      step: 'initialize',
      priority: 'low',
    })
    await made.client.send(command)
    const [entry] = made.entries()
    assert.equal(entry?.resourceIdentity, second)
    assert.equal(entry?.payloadSizes?.plaintext, 99)
  })

  test('middleware that sends twice makes two calls, and one that answers itself makes none', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    made.client.middlewareStack.add(
      (next) => async (args) => {
        await next(args)
        return next(args)
      },
      { step: 'initialize', name: 'twice' },
    )
    await made.client.send(new DescribeKeyCommand({ KeyId }))
    assert.equal(made.entries().length, 2)
    assert.equal(made.endpoint.count('DescribeKey'), 2)
    made.client.middlewareStack.remove('twice')
    made.client.middlewareStack.add(() => async () => ({ response: {}, output: { $metadata: {} } }), {
      step: 'initialize',
    })
    await made.client.send(new DescribeKeyCommand({ KeyId }))
    assert.equal(made.entries().length, 2)
  })

  test('an answer that middleware of the application has emptied is withheld like any other', async () => {
    const made = await ready()
    await made.client.send(new ListKeysCommand({}))
    made.client.middlewareStack.add(() => async () => ({ response: {}, output: undefined }) as never, { step: 'build' })
    made.sink.mode = 'reject'
    await assert.rejects(made.client.send(new ListKeysCommand({})), refused('AUDIT_REFUSED'))
  })

  test('asks the carrier at each call, also deep below it', async () => {
    const store = new AsyncLocalStorage<RequestContext>()
    const made = await ready({ context: { current: () => store.getStore() } })
    const KeyId = await made.newKey()
    const call = () => made.client.send(new DisableKeyCommand({ KeyId }))
    await Promise.all(
      ['alice', 'bob'].map((id) => store.run({ actor: { type: 'user', id }, reason: { code: id } }, () => call())),
    )
    await call()
    const who = made.entries().map(({ phase, actor, reason }) => [phase, actor?.id ?? actor?.type, reason?.code])
    for (const id of ['alice', 'bob'])
      for (const phase of ['intent', 'result'])
        assert.equal(who.filter((words) => words.join() === [phase, id, id].join()).length, 1)
    assert.deepEqual(who.slice(-2), [
      ['intent', 'unknown', undefined],
      ['result', 'unknown', undefined],
    ])
  })

  test('a carrier that fails or tells nonsense refuses the call, with an entry, and nothing is sent', async () => {
    const carriers = [
      () => {
        throw new Error('no store')
      },
      () => ({ actor: 'alice' }) as unknown as RequestContext,
    ]
    for (const current of carriers) {
      const made = await ready({ context: { current } })
      const KeyId = await made.newKey()
      const sent = made.endpoint.requests.length
      await assert.rejects(made.client.send(new DisableKeyCommand({ KeyId })), refused('INVALID_INPUT'))
      assert.equal(made.endpoint.requests.length, sent)
      assert.deepEqual(summary(made.entries()), [`kms_key.disable failure ${KeyId} INVALID_INPUT`])
    }
  })

  test('after close the client is refused, until it is detached; calls in flight settle first', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    await made.client.send(new ListKeysCommand({}))
    made.sink.mode = 'hang'
    const before = made.endpoint.count('Encrypt')
    const call = made.client.send(new EncryptCommand({ KeyId, Plaintext }))
    while (made.endpoint.count('Encrypt') === before) await turn()
    let closed = false
    const closing = made.handle.close().then(() => {
      closed = true
    })
    await assert.rejects(made.client.send(new ListKeysCommand({})), refused('CLOSED'))
    for (let turns = 0; turns < 50; turns++) await turn()
    assert.equal(closed, false)
    made.sink.mode = 'sync'
    made.sink.settle('accept')
    await call
    await closing
    assert.equal(made.handle.close(), made.handle.close())
    assert.equal(made.sink.accepted.at(-1)?.action, 'audit.closed')
    await assert.rejects(made.client.send(new ListKeysCommand({})), refused('CLOSED'))
    made.handle.detach()
    await made.client.send(new ListKeysCommand({}))
  })

  test('a shared audit is flushed by close, not closed', async () => {
    const made = await ready()
    const audit = createAudit({ required: [memorySink()] })
    const client = new KMSClient(configOf(made))
    const handle = auditAwsKms(client, { audit })
    await client.send(new ListKeysCommand({}))
    await handle.close()
    assert.equal(audit.health().state, 'ok')
    await audit.close()
  })

  test('a client without a region fails as it would, and has its entry', async () => {
    const sink = memorySink()
    const region = async () => {
      throw new Error('Region is missing')
    }
    const client = new KMSClient({ region, credentials: { accessKeyId: 'a', secretAccessKey: 'b' } })
    const handle = auditAwsKms(client, { audit: { required: [sink] } })
    await assert.rejects(client.send(new ListKeysCommand({})), { message: 'Region is missing' })
    assert.deepEqual(summary(sink.entries).slice(1), ['kms_key.list failure INVALID_INPUT'])
    assert.equal(sink.entries[1]?.region, undefined)
    await handle.close()
  })

  test('costs no request', async () => {
    const made = await ready()
    const KeyId = await made.newKey()
    const sent = made.endpoint.requests.length
    await made.client.send(new EncryptCommand({ KeyId, Plaintext }))
    await made.client.send(new DisableKeyCommand({ KeyId }))
    assert.deepEqual(
      made.endpoint.requests.slice(sent).map(({ operation }) => operation),
      ['Encrypt', 'DisableKey'],
    )
  })
})
