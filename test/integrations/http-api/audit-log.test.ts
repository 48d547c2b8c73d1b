/** @node `GET /v1/audit` over a real trail: filters, pages, the platform's shape, and the entry that reading leaves. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createAudit } from '../../../src/audit/emitter.ts'
import { KmsClient } from '../../../src/client.ts'
import type { AccessQuestion, Authorize } from '../../../src/integrations/http-api/index.ts'
import {
  createKmsHandler,
  type KmsHandler,
  platformEntry,
  platformExport,
  projectClients,
} from '../../../src/integrations/http-api/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { openTrail } from '../../../src/trail/open.ts'
import { readTrail } from '../../../src/trail/reading/read.ts'
import { fileSigner } from '../../../src/trail/signer.ts'
import type { Trail } from '../../../src/trail/trail.ts'
import { verifyTrail } from '../../../src/trail/verify/verify.ts'
import { puppet } from '../../audit/puppet.ts'
import { fullEntry } from '../../model/full-entry.ts'

interface Log {
  readonly eventID: string
  readonly createdAt: string
  readonly action: string
  readonly description: string
  readonly resourceType: string
  readonly resourceIdentity?: string
  readonly userIdentity?: string
  readonly serviceAccountIdentity?: string
  readonly projectId?: string
  readonly context: Readonly<Record<string, unknown>>
}

interface Page {
  readonly logs: readonly Log[]
  readonly nextCursor?: string
  readonly message?: string
}

describe('GET /v1/audit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-http-api-'))
  const path = join(folder, 'audit')
  let trail: Trail
  let kms: KmsClient
  let handler: KmsHandler
  let authorize: Authorize = () => true
  const questions: AccessQuestion[] = []

  before(async () => {
    const signer = await fileSigner(join(folder, 'signer.key'))
    trail = await openTrail({ path, signer })
    const audit = createAudit({ required: [trail], heartbeatMs: 0 })
    const shared = { provider: memoryKms(), audit, region: 'nl-01' }
    kms = new KmsClient(shared)
    handler = createKmsHandler({
      kms,
      projects: projectClients(shared),
      authenticate: ({ headers }) => {
        const id = headers.get('authorization')
        return id === null ? undefined : { actor: { type: id.startsWith('svc') ? 'serviceAccount' : 'user', id } }
      },
      authorize: (question) => {
        questions.push(question)
        return authorize(question)
      },
      organisation: 'org-1',
      trail: (filter) => readTrail(path, filter),
    })
    await ask('POST', '/v1/kms/nl-01/keys', { slug: 'orders' })
    for (const who of ['alice', 'bob', 'svc-1'])
      for (let at = 0; at < 4; at++)
        await ask('POST', '/v1/kms/nl-01/keys/orders/encrypt', { plaintext: 'AAAA' }, { authorization: who })
    await ask('POST', '/v1/kms/nl-01/keys/orders/encrypt', { plaintext: '' })
    await ask('POST', '/v1/kms/nl-01/keys', { slug: 'own' }, { 'x-project-identity': 'prj-1' })
  })
  after(async () => {
    await kms.close()
    await trail.close()
    assert.equal((await verifyTrail(path)).verdict, 'valid')
    rmSync(folder, { recursive: true })
  })

  async function ask(method: string, url: string, body?: object, headers: Readonly<Record<string, string>> = {}) {
    const all = { authorization: 'alice', 'x-organisation-identity': 'org-1', 'user-agent': 'test/1', ...headers }
    const request = new Request(`http://host${url}`, {
      method,
      headers: { ...all, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    // A real Request in, a real Response out.
    const response: Response = await handler(request, { peerIp: '192.0.2.7' })
    return response
  }

  async function page(query: string, headers: Readonly<Record<string, string>> = {}): Promise<Page> {
    const response = await ask('GET', `/v1/audit${query}`, undefined, headers)
    assert.equal(response.status, 200, query)
    return (await response.json()) as Page
  }

  test('tells entries in the platform’s shape, the newest first', async () => {
    const { logs } = await page('?action=kms.encrypt&userIdentity=bob')
    assert.equal(logs.length, 4)
    const sorted = logs
      .map(({ eventID }) => eventID)
      .sort()
      .reverse()
    assert.deepEqual(
      logs.map(({ eventID }) => eventID),
      sorted,
    )
    const [log] = logs
    assert.ok(log)
    const { eventID, createdAt, resourceIdentity, context, ...others } = log
    assert.match(eventID, /^[0-9a-f-]{36}$/)
    assert.match(createdAt, /Z$/)
    assert.match(String(resourceIdentity), /^kms-/)
    assert.deepEqual(others, {
      action: 'kms.encrypt',
      description: 'user bob encrypted 3 bytes with orders v1',
      resourceType: 'kms_key',
      userIdentity: 'bob',
      organizationIdentity: 'org-1',
    })
    const { duration, sequence, instance, ...told } = context
    assert.equal(typeof duration, 'number')
    assert.equal(typeof sequence, 'number')
    assert.match(String(instance), /^main-/)
    assert.deepEqual(told, {
      client_ip: '192.0.2.7',
      user_agent: 'test/1',
      method: 'POST',
      path: '/v1/kms/{region}/keys/{id}/encrypt',
      status: 200,
      region: 'nl-01',
      key_slug: 'orders',
      key_type: 'aes256-gcm96',
      key_version: 1,
      outcome: 'success',
      payload_sizes: { plaintext: 3, ciphertext: 68 },
      phase: 'result',
      actor: { type: 'user', id: 'bob', source: 'context' },
      provider: { name: 'memory' },
    })
  })

  const filters: readonly (readonly [string, (log: Log) => boolean, number])[] = [
    ['?action=kms.encrypt', ({ action }) => action === 'kms.encrypt', 13],
    ['?action=kms.*', ({ action }) => action.startsWith('kms.'), 13],
    ['?action=kms.encrypt,kms_key.create', ({ action }) => action !== 'audit.opened', 17],
    ['?resourceType=audit_log&action=audit.opened', ({ resourceType }) => resourceType === 'audit_log', 1],
    ['?resourceType=kms_key,kms_keystore', ({ resourceType }) => resourceType === 'kms_key', 17],
    ['?userIdentity=alice&action=kms.encrypt', ({ userIdentity }) => userIdentity === 'alice', 5],
    ['?serviceAccountIdentity=svc-1', ({ serviceAccountIdentity }) => serviceAccountIdentity === 'svc-1', 4],
    ['?serviceAccountIdentity=alice', () => false, 0],
    ['?responseStatus=400', ({ context }) => context['status'] === 400, 1],
    ['?responseStatus=400,404', ({ context }) => context['status'] === 400, 1],
    ['?searchText=SVC-1&action=kms.*', ({ description }) => description.includes('svc-1'), 4],
    ['?searchText=invalid_input', ({ context }) => context['error'] === 'INVALID_INPUT', 1],
    ['?from=2999-01-01T00:00:00Z', () => false, 0],
    ['?to=2999-01-01T00:00:00%2B01:00&action=kms.encrypt', () => true, 13],
  ]
  for (const [query, holds, count] of filters)
    test(`${query} finds ${count}`, async () => {
      const { logs } = await page(query)
      assert.ok(logs.every(holds))
      assert.equal(logs.length, count)
    })

  test('resourceIdentity finds what is about one key', async () => {
    const [{ resourceIdentity = '' } = { resourceIdentity: '' }] = (await page('?action=kms.encrypt&limit=1')).logs
    const { logs } = await page(`?resourceIdentity=${resourceIdentity}`)
    assert.ok(logs.length > 12)
    assert.ok(logs.every((log) => log.resourceIdentity === resourceIdentity))
  })

  test('pages have every entry once, also while entries are written', async () => {
    const whole = (await page('?action=kms.encrypt')).logs.map(({ eventID }) => eventID)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const query = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const found = await page(`?action=kms.encrypt&limit=5${query}`)
      seen.push(...found.logs.map(({ eventID }) => eventID))
      cursor = found.nextCursor
      // What comes meanwhile is newer than every cursor.
      await ask('POST', '/v1/kms/nl-01/keys/orders/encrypt', { plaintext: 'AAAA' }, { authorization: 'carol' })
    } while (cursor !== undefined)
    assert.deepEqual(seen, whole)
  })

  test('a project sees what is its own', async () => {
    const { logs } = await page('', { 'x-project-identity': 'prj-1' })
    assert.ok(logs.length > 0)
    assert.ok(logs.every(({ projectId }) => projectId === 'prj-1'))
  })

  test('reading is asked for, is an entry with how many were read, and is told in words', async () => {
    const { logs } = await page('?action=kms.encrypt&limit=3')
    const question = questions.at(-1)
    assert.deepEqual(
      [question?.resourceType, question?.permission, question?.action],
      ['audit_log', 'list', 'audit.read'],
    )
    const entry = (await page('?action=audit.read&limit=1')).logs[0]
    assert.equal(entry?.resourceType, 'audit_log')
    assert.deepEqual(entry?.context['details'], { count: logs.length })
    assert.equal(entry?.description, 'user alice read the audit log')
    assert.equal(entry?.context['path'], '/v1/audit')
  })

  test('whoever may not read it finds nothing there', async () => {
    authorize = ({ resourceType }) => resourceType !== 'audit_log'
    const response = await ask('GET', '/v1/audit')
    authorize = () => true
    assert.equal(response.status, 404)
    assert.deepEqual(await response.json(), { message: 'not found' })
    const refused = (await page('?responseStatus=403')).logs[0]
    assert.deepEqual([refused?.action, refused?.context['error']], ['audit.read', 'ACCESS_DENIED'])
  })

  for (const query of [
    '?limit=0',
    '?limit=1001',
    '?limit=x',
    '?cursor=x',
    '?cursor=main:-1',
    '?responseStatus=4xx',
    '?from=yesterday',
    '?from=2026-02-30T00:00:00Z',
    '?to=2026-02-30T00:00:00%2B01:00',
    '?to=2026-01-31T24:00:00Z',
    '?to=2026-01-01',
    '?action=*.encrypt',
    '?action=kms.*,*x*',
    '?userIdentity=a&serviceAccountIdentity=b',
    '?unknown=1',
    '?limit=1&limit=2',
    `?searchText=${'a'.repeat(5000)}`,
  ])
    test(`${query.slice(0, 50)} is 400`, async () => {
      const response = await ask('GET', `/v1/audit${query}`)
      assert.equal(response.status, 400)
      assert.match(((await response.json()) as Page).message ?? '', /./)
    })

  test('nor where there is no log is told: 500, as it is none of the caller’s doing', async () => {
    const elsewhere = createKmsHandler({
      kms,
      authenticate: () => ({ actor: { type: 'user', id: 'alice' } }),
      authorize: () => true,
      trail: (filter) => readTrail(join(folder, 'nowhere'), filter),
    })
    const headers = { 'x-organisation-identity': 'o' }
    const response = await elsewhere(new Request('http://host/v1/audit', { headers }))
    assert.equal(response.status, 500)
    assert.equal(await response.text(), '{"message":"internal error"}')
  })

  test('a log that is not read in time is 504, never a page of what was read by then', async () => {
    const turned = fakeClock()
    let later = 0
    const clock = { ...turned, monotonic: () => turned.monotonic() + later }
    const sink = puppet()
    const slow = new KmsClient({
      provider: memoryKms(),
      audit: { required: [sink], heartbeatMs: 0, clock },
      region: 'nl-01',
      deadlineMs: 5000,
    })
    const reader = createKmsHandler({
      kms: slow,
      authenticate: () => ({ actor: { type: 'user', id: 'alice' } }),
      authorize: () => true,
      // Entries of one block come without a turn of the event loop between them: no timer fires meanwhile.
      trail: async function* () {
        for (let at = 0n; at < 20n; at++) {
          await Promise.resolve()
          yield { instance: 'main', index: at, entry: fullEntry }
          if (at === 9n) later = 6000
        }
      },
    })
    const headers = { 'x-organisation-identity': 'o' }
    const response = await reader(new Request('http://host/v1/audit', { headers }))
    assert.equal(response.status, 504)
    assert.deepEqual([sink.accepted.at(-1)?.action, sink.accepted.at(-1)?.error], ['audit.read', 'DEADLINE_EXCEEDED'])
    await slow.close()
  })

  test('whoever has gone away in the midst of it was given nothing, and the entry says so', async () => {
    const caller = new AbortController()
    const sink = puppet()
    const client = new KmsClient({
      provider: memoryKms(),
      audit: { required: [sink], heartbeatMs: 0 },
      region: 'nl-01',
    })
    const reader = createKmsHandler({
      kms: client,
      authenticate: () => ({ actor: { type: 'user', id: 'alice' } }),
      authorize: () => true,
      trail: async function* () {
        yield { instance: 'main', index: 0n, entry: fullEntry }
        caller.abort()
        yield { instance: 'main', index: 1n, entry: fullEntry }
      },
    })
    const headers = { 'x-organisation-identity': 'o' }
    await reader(new Request('http://host/v1/audit', { headers, signal: caller.signal }))
    assert.deepEqual([sink.accepted.at(-1)?.action, sink.accepted.at(-1)?.error], ['audit.read', 'ABORTED'])
    await client.close()
  })

  test('a log that cannot be read is 500, without a word of why', async () => {
    const broken = createKmsHandler({
      kms,
      authenticate: () => ({ actor: { type: 'user', id: 'alice' } }),
      authorize: () => true,
      // biome-ignore lint/correctness/useYield: it fails before it has anything to give
      trail: async function* () {
        throw new Error('ENOENT /var/secret')
      },
    })
    const headers = { 'x-organisation-identity': 'o' }
    const response = await broken(new Request('http://host/v1/audit', { headers }))
    assert.equal(response.status, 500)
    assert.equal(await response.text(), '{"message":"internal error"}')
  })
})

test('an entry with every field keeps every field in the platform’s shape', () => {
  const { context } = platformEntry(fullEntry)
  const leaves = (value: unknown): unknown[] =>
    typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [value]
  const told = new Set(leaves(platformEntry(fullEntry)))
  const { schema: _schema, salt: _salt, ...rest } = fullEntry
  assert.deepEqual(
    leaves(rest).filter((value) => !told.has(value)),
    [],
  )
  for (const name of Object.keys(context)) assert.match(name, /^[a-z]+(?:_[a-z]+)*$/)
})

test('an export has the entries of its time and says which', async () => {
  const entry = (createdAt: string): { entry: AuditEntry } => ({ entry: { ...fullEntry, createdAt } })
  async function* entries() {
    yield entry('2026-01-01T00:00:00.000Z')
    yield entry('2026-01-02T00:00:00.000Z')
    yield entry('2026-01-03T00:00:00.000Z')
  }
  const exportedAt = new Date('2026-02-01T00:00:00Z')
  const all = await platformExport(entries(), { exportedAt })
  assert.deepEqual([all.totalLogs, all.logs.length, all.timeRange], [3, 3, { type: 'all' }])
  assert.equal(all.exportedAt, '2026-02-01T00:00:00.000Z')
  const [from, to] = ['2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z']
  const some = await platformExport(entries(), { exportedAt, from, to, filters: { action: 'kms.*' } })
  assert.deepEqual(Object.keys(some), ['exportedAt', 'timeRange', 'totalLogs', 'logs', 'filters'])
  assert.equal(some.totalLogs, 1)
  assert.deepEqual(some.timeRange, {
    type: 'custom',
    start: '2026-01-02T00:00:00.000Z',
    end: '2026-01-03T00:00:00.000Z',
  })
  await assert.rejects(platformExport(entries(), { exportedAt, from: 'soon' }), { code: 'INVALID_INPUT' })
})
