/** @node What the application tells the handler, and what it makes of answers out of shape; ciphertexts of other services. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { createAudit } from '../../../src/audit/emitter.ts'
import { KmsClient } from '../../../src/client.ts'
import {
  createKmsHandler,
  type KmsHandlerOptions,
  projectClients,
  toNodeHandler,
} from '../../../src/integrations/http-api/index.ts'
import { ciphertextBytes, ciphertextText } from '../../../src/integrations/http-api/wire.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { puppet, turn } from '../../audit/puppet.ts'
import { closedAfterEach } from '../../closed-after-each.ts'
import { fullEntry } from '../../model/full-entry.ts'
import { organisation, region, rig } from './rig.ts'

const ready = closedAfterEach(rig)

function clientOf(more: object = {}): KmsClient {
  return new KmsClient({ provider: memoryKms(), audit: { required: [puppet()] }, region, ...more })
}

describe('options', () => {
  const good = { kms: clientOf(), authenticate: () => undefined, authorize: () => true }
  const wrong: readonly (readonly [RegExp, unknown])[] = [
    [/takes one object/, undefined],
    [/'authenticate' must be a function: there is no default/, { ...good, authenticate: undefined }],
    [/'authorize' must be a function: there is no default/, { ...good, authorize: undefined }],
    [/'kms' must be a KmsClient$/, { ...good, kms: {} }],
    [/with a region/, { ...good, kms: new KmsClient({ provider: memoryKms(), audit: { required: [puppet()] } }) }],
    [/'trail' must be a function/, { ...good, trail: './audit' }],
    [/'organisation'/, { ...good, organisation: 'a b' }],
    [/'allowRawExport'/, { ...good, allowRawExport: 'yes' }],
    [/'maxBodyBytes'/, { ...good, maxBodyBytes: 0 }],
    [/'maxInFlight'/, { ...good, maxInFlight: Number.NaN }],
  ]
  for (const [message, options] of wrong)
    test(`wrong ones are refused: ${message.source}`, () => {
      // What the type forbids, JavaScript allows.
      assert.throws(() => createKmsHandler(options as KmsHandlerOptions), { code: 'INVALID_INPUT', message })
    })

  test('of clients of projects too', () => {
    const audit = createAudit({ required: [puppet()] })
    const shared = { provider: memoryKms(), audit, region }
    assert.throws(() => projectClients({ ...shared, maxClients: 0 }), { code: 'INVALID_INPUT' })
    assert.throws(() => projectClients({ ...shared, audit: { required: [] } as never }), { code: 'INVALID_INPUT' })
    const clients = projectClients({ ...shared, maxClients: 2, exists: (project) => project !== 'no' })
    const first = clients('a')
    assert.equal(clients('no'), undefined)
    clients('b')
    assert.equal(clients('a'), first, 'kept while it is used')
    clients('c')
    assert.equal(clients('a'), first, 'the oldest goes first')
    clients('d')
    clients('e')
    assert.notEqual(clients('a'), first)
  })
})

describe('what the application answers', () => {
  const ways: readonly (readonly [string, Partial<KmsHandlerOptions>, number, string])[] = [
    ['authenticate throws', { authenticate: thrower('the password was hunter2') }, 500, 'INTERNAL'],
    ['authenticate answers with no actor', { authenticate: () => ({}) as never }, 500, 'INTERNAL'],
    ['authenticate answers with true', { authenticate: () => true as never }, 500, 'INTERNAL'],
    [
      'authenticate answers with a name that is none',
      { authenticate: () => ({ actor: { type: 'user', id: 'alice', name: 5 } }) as never },
      500,
      'INTERNAL',
    ],
    [
      'authenticate answers with a reason that is none',
      { authenticate: () => ({ actor: { type: 'user', id: 'alice' }, reason: 'because' }) as never },
      500,
      'INTERNAL',
    ],
    ['clientIp answers with a number', { clientIp: () => 7 as never }, 500, 'INTERNAL'],
    ['authenticate answers with null', { authenticate: () => null as never }, 401, 'ACCESS_DENIED'],
    ['authorize throws', { authorize: thrower('the password was hunter2') }, 500, 'INTERNAL'],
    ['authorize answers with 1', { authorize: () => 1 as never }, 404, 'ACCESS_DENIED'],
    ['authorize answers with undefined', { authorize: () => undefined as never }, 404, 'ACCESS_DENIED'],
    ['isEnabled answers with undefined', { isEnabled: () => undefined as never }, 403, 'ACCESS_DENIED'],
    ['isEnabled throws', { isEnabled: thrower('hunter2') }, 500, 'INTERNAL'],
    ['clientIp throws', { clientIp: thrower('hunter2') }, 500, 'INTERNAL'],
    ['a client of another audit', { projects: () => clientOf({ project: 'prj-a' }) }, 500, 'INTERNAL'],
    [
      'another organisation',
      { authenticate: () => ({ actor: { type: 'user', id: 'a' }, organisation: 'org-2' }) },
      404,
      'KEY_NOT_FOUND',
    ],
  ]
  for (const [name, options, status, error] of ways)
    test(`${name}: ${status}, an entry, and not a word of it`, async () => {
      const made = await ready(options)
      const answer = await made.ask('GET /keys', { headers: { 'x-project-identity': 'prj-a' } })
      assert.equal(answer.status, status, answer.text)
      assert.doesNotMatch(answer.text, /hunter2/)
      assert.equal(made.entryOf(answer).error, error)
      assert.equal(made.entryOf(answer).action, 'kms_key.list')
    })

  test('nobody reads without a name: what the API answers itself is held to the same', async () => {
    const made = await ready({ authenticate: () => ({ actor: { type: 'user', id: 'alice', name: 5 } }) as never })
    const answer = await made.ask('GET /v1/kms/summary')
    assert.equal(answer.status, 500, answer.text)
    assert.equal(made.entryOf(answer).error, 'INTERNAL')
  })

  test('a client on the link itself is known by its address, zone or no zone', async () => {
    const heard: unknown[] = []
    const listener = toNodeHandler(async (_request, info) => {
      heard.push(info)
      return new Response(null, { status: 204 })
    })
    for (const remoteAddress of ['fe80::1%eth0', '2001:db8::1', undefined]) {
      const request = Object.assign(Readable.from([]), {
        method: 'GET',
        url: '/',
        rawHeaders: [],
        complete: true,
        socket: { remoteAddress },
      })
      const nothing = () => undefined
      await listener(request, {
        writableFinished: false,
        destroyed: false,
        on: nothing,
        writeHead: nothing,
        end: nothing,
      })
    }
    assert.deepEqual(heard, [{ peerIp: 'fe80::1' }, { peerIp: '2001:db8::1' }, {}])
  })

  test('a client address that is null is none, as headers tell it', async () => {
    const made = await ready({ clientIp: (request) => request.headers.get('cf-connecting-ip') as never })
    const answer = await made.ask('GET /keys')
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(
      [made.entryOf(answer).context?.clientIp, made.entryOf(answer).context?.peerIp],
      [undefined, '127.0.0.1'],
    )
  })

  test('a reason is told, and a rule that refused', async () => {
    const made = await ready({
      authenticate: () => ({ actor: { type: 'user', id: 'alice' }, reason: { code: 'break-glass', ticket: 'T-1' } }),
      authorize: ({ action }) => {
        if (action === 'kms_key.list') throw new KmsError('ACCESS_DENIED', 'no', { evidence: { rule: 'no-lists' } })
        return true
      },
    })
    const denied = await made.ask('GET /keys')
    assert.equal(denied.status, 404)
    assert.equal(made.entryOf(denied).details?.rule, 'no-lists')
    assert.deepEqual(made.entryOf(denied).reason, { code: 'break-glass', ticket: 'T-1' })
  })

  test('authorize is asked with what the key is, by whatever name it comes', async () => {
    const asked: unknown[] = []
    const made = await ready({
      authorize: ({ key, permission, action, organisation: whose, resourceType }) => {
        asked.push({ key, permission, action, whose, resourceType })
        return true
      },
    })
    const { key } = await made.kms.createKey({ slug: 'orders' })
    await made.ask(`POST /keys/${key.identity}/export`)
    await made.ask('GET /keys/ghost')
    const { identity, slug, keyType } = key
    const common = { whose: organisation, resourceType: 'kms_key' }
    assert.deepEqual(asked, [
      { key: { name: identity, identity, slug, keyType }, permission: 'update', action: 'kms.export', ...common },
      { key: { name: 'ghost' }, permission: 'read', action: 'kms_key.describe', ...common },
    ])
  })

  test('what does not answer in time is 504, by the clock', async () => {
    const clock = fakeClock()
    const sink = puppet()
    const audit = createAudit({ required: [sink], heartbeatMs: 0, clock })
    const kms = new KmsClient({ provider: memoryKms(), audit, region, deadlineMs: 5000 })
    const handler = createKmsHandler({
      kms,
      authenticate: () => new Promise(() => undefined),
      authorize: () => true,
    })
    const answer = handler(new Request(`http://x/v1/kms/${region}/keys`))
    for (let at = 0; at < 10; at++) await turn()
    clock.advance(5000)
    const { status } = await answer
    assert.equal(status, 504)
    assert.equal(sink.accepted.at(-1)?.error, 'DEADLINE_EXCEEDED')
    await audit.close()
  })

  test('nor does a request wait longer for what a crash left open: 504, with its entry', async () => {
    const clock = fakeClock()
    const sink = puppet()
    const open = [1, 2, 3].map((at) => ({
      ...fullEntry,
      phase: 'intent',
      operationID: `op-${at}`,
      provider: { name: 'memory' },
    }))
    const audit = createAudit({
      required: [{ ...sink, openIntents: async () => open as AuditEntry[] }],
      heartbeatMs: 0,
      clock,
    })
    // It never tells what became of a change.
    const provider = { ...memoryKms(), name: 'memory', outcomeOf: () => new Promise<never>(() => undefined) }
    const kms = new KmsClient({ provider, audit, region, deadlineMs: 5000 })
    const handler = createKmsHandler({ kms, authenticate: () => undefined, authorize: () => true })
    const answer = handler(new Request(`http://x/v1/kms/${region}/keys`))
    for (let at = 0; at < 10; at++) await turn()
    clock.advance(5000)
    const { status } = await Promise.race([answer, settledSoon()])
    assert.equal(status, 504)
    assert.equal(sink.accepted.at(-1)?.error, 'DEADLINE_EXCEEDED')
    await audit.close()
  })

  test('a context that an action needs is missing for a key that is there, and for one that is not', async () => {
    const provider = memoryKms()
    const audit = createAudit({ required: [puppet()], require: { 'kms.export': ['reason'] } })
    const kms = new KmsClient({ provider, audit, region })
    await kms.createKey({ slug: 'orders' })
    const handler = createKmsHandler({
      kms,
      authenticate: () => ({ actor: { type: 'user', id: 'alice' } }),
      authorize: () => true,
      allowRawExport: true,
    })
    const heard: unknown[] = []
    for (const slug of ['orders', 'ghost']) {
      const headers = { 'x-organisation-identity': 'o' }
      const asked = new Request(`http://x/v1/kms/${region}/keys/${slug}/export`, { method: 'POST', headers })
      const answer = await handler(asked)
      heard.push([answer.status, await answer.text()])
    }
    assert.match(String(heard[0]), /^400,.*'reason'/)
    assert.deepEqual(heard[1], heard[0])
    await audit.close()
  })

  test('nobody is who is bound to the client', async () => {
    const sink = puppet()
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, region })
    const handler = createKmsHandler({
      kms: kms.with({ actor: { type: 'user', id: 'root' } }),
      authenticate: () => undefined,
      authorize: () => true,
    })
    const { status } = await handler(new Request(`http://x/v1/kms/${region}/keys`))
    assert.equal(status, 401)
    assert.deepEqual(sink.accepted.at(-1)?.actor, { type: 'unknown' })
    await kms.close()
  })

  test('a flood of refusals is joined, and each hears which entry it stands in', async () => {
    const sink = puppet()
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], floods: { perWindow: 3 } }, region })
    const handler = createKmsHandler({ kms, authenticate: () => undefined, authorize: () => true })
    const heard: (string | null)[] = []
    for (let at = 0; at < 10; at++)
      heard.push((await handler(new Request(`http://x/v1/kms/${region}/keys`))).headers.get('x-audit-event-id'))
    await kms.close()
    const entries = sink.accepted.filter(({ action }) => action === 'kms_key.list')
    assert.equal(entries.length, 4)
    assert.equal(entries.at(-1)?.details?.joined, 7)
    for (const entry of entries) assert.deepEqual(entry.actor?.type, 'unknown')
    assert.deepEqual([...new Set(heard)].sort(), entries.map(({ eventID }) => eventID).sort())
  })
})

describe('ciphertexts on the wire', () => {
  test('of a service of transit’s kind are its own text', () => {
    const text = 'vault:v3:AAAAAAAAAAAAAAAAAAAAAAAAAAA='
    const bytes = new TextEncoder().encode(text)
    assert.equal(ciphertextText(bytes, 3), text)
    assert.deepEqual(ciphertextBytes(text), bytes)
  })

  test('of a service that keeps its form to itself are opaque, also where they look like a frame of ours', () => {
    const bytes = new Uint8Array(100)
    bytes.set([1, 2, 2, 0, 120])
    for (const [version, prefix] of [
      [undefined, 'opaque:v0:'],
      [4, 'opaque:v4:'],
    ] as const) {
      const text = ciphertextText(bytes, version)
      assert.ok(text.startsWith(prefix))
      assert.deepEqual(ciphertextBytes(text), bytes)
    }
  })

  for (const text of [
    '',
    'opaque:v0:',
    'opaque:v0:A',
    'opaque:v0:A+/=',
    'vault:v0:AAAA',
    'vault:v1:',
    'keytrail:v2:AQ',
    ':',
    'AAAA',
  ])
    test(`${JSON.stringify(text)} is none`, () => {
      assert.throws(() => ciphertextBytes(text), { code: 'INVALID_CIPHERTEXT' })
    })
})

function thrower(message: string): () => never {
  return () => {
    throw new Error(message)
  }
}

/** What stands for an answer that does not come. */
async function settledSoon(): Promise<{ readonly status: number }> {
  for (let at = 0; at < 50; at++) await turn()
  return { status: 0 }
}
