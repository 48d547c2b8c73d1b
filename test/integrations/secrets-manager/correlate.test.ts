/** From request over secret to KMS call, and what has no other end. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type CorrelateOptions,
  type Correlation,
  correlate,
  type PlacedEntry,
} from '../../../src/integrations/secrets-manager/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import type { KmsError } from '../../../src/model/errors.ts'
import { exampleEntry } from '../../../src/testing/entries.ts'
import { turn } from '../../audit/puppet.ts'
import { rig } from './rig.ts'

const path = '/billing/database'

/** Everything that creating, reading, being refused and changing leaves behind; the log's own entries too. */
async function story(): Promise<AuditEntry[]> {
  const { secrets, kms, sink } = await rig()
  await secrets.create({ path, key: 'orders', secretString: 'one' })
  await secrets.put({ path, secretString: 'two' })
  await secrets.get({ path })
  await kms.encrypt({ key: 'orders', plaintext: Uint8Array.of(1) })
  await assert.rejects(secrets.get({ path: '/nowhere' }))
  await secrets.updatePolicy({ path, policy: { conditions: [] } })
  await kms.disableKey({ key: 'orders' })
  await assert.rejects(secrets.get({ path }))
  return [...sink.accepted]
}

async function all(entries: Iterable<AuditEntry | PlacedEntry>, options?: CorrelateOptions): Promise<Correlation[]> {
  const found: Correlation[] = []
  for await (const one of correlate(entries, options)) found.push(one)
  return found
}

function brief(found: readonly Correlation[]): readonly string[] {
  return found.map(
    ({ kind, secret, intent, kms }) => `${kind} ${(secret ?? intent)?.action ?? '-'} ${kms?.action ?? '-'}`,
  )
}

const without = (entries: readonly AuditEntry[], drop: (entry: AuditEntry) => boolean) =>
  entries.filter((entry) => !drop(entry))

describe('whole', () => {
  test('each call of a Secrets Manager is one chain, with who asked; other calls are passed over', async () => {
    const found = await all(await story())
    assert.deepEqual(brief(found), [
      'chain secret.create kms.encrypt',
      'chain secret.put_value kms.encrypt',
      'chain secret.get_value kms.decrypt',
      'chain secret.get_value -',
      'chain secret.update_policy -',
      'chain secret.get_value kms.decrypt',
    ])
    const got = found[2]
    assert.deepEqual(got?.request, {
      actor: { type: 'user', id: 'alice', source: 'context' },
      context: { clientIp: '192.0.2.7', userAgent: 'curl/8.5.0', requestId: 'r-1' },
    })
    assert.equal(got?.secret?.details?.kmsEventID, got?.kms?.eventID)
    assert.equal(found[1]?.intent?.operationID, found[1]?.secret?.eventID)
  })

  test('a value that was withheld says so', async () => {
    const { secrets, sink, clock } = await rig()
    await secrets.create({ path, key: 'orders', secretString: 'one' })
    const { write } = sink
    sink.write = (entries) => {
      if (entries.some(({ action }) => action === 'secret.get_value')) throw new Error('no')
      return write(entries)
    }
    await assert.rejects(secrets.get({ path }))
    sink.write = write
    clock.advance(60_000)
    await turn()
    const found = await all(sink.accepted)
    assert.deepEqual(brief(found), ['chain secret.create kms.encrypt', 'chain secret.get_value kms.decrypt'])
    assert.deepEqual(
      found[1]?.amendments.map(({ details }) => details?.amends),
      [found[1]?.secret?.eventID],
    )
  })

  test('a change that recovery ended is a chain, though its entry has another name', async () => {
    const entries = await story()
    const put =
      entries.find(({ action, phase }) => action === 'secret.put_value' && phase === 'result') ?? assert.fail()
    const { details: _, statusCode: __, ...rest } = put
    const recovered: AuditEntry = {
      ...rest,
      eventID: '0199c9d0-1b00-7000-8000-0000000000ff',
      details: { recovered: true },
    }
    const found = await all(entries.map((entry) => (entry === put ? recovered : entry)))
    assert.deepEqual(brief(found)[1], 'chain secret.put_value kms.encrypt')
  })
})

describe('orphans', () => {
  test('a KMS call of which no entry of a secret tells, once its process is over', async () => {
    const entries = await story()
    const got = entries.find(({ action }) => action === 'secret.get_value')
    const found = await all([...without(entries, (entry) => entry === got), closed(entries)])
    assert.deepEqual(brief(found)[2], 'orphan - kms.decrypt')
    assert.match(found[2]?.says ?? '', /no entry of the secret/)
    assert.equal(found[2]?.request.context?.clientIp, '192.0.2.7')
  })

  for (const [action, call] of [
    ['secret.get_value', 2],
    ['secret.put_value', 1],
    ['secret.create', 0],
  ] as const)
    test(`${action} without its KMS call`, async () => {
      const entries = await story()
      const secret = entries.find((entry) => entry.action === action && entry.outcome === 'success') ?? assert.fail()
      const found = await all(without(entries, ({ eventID }) => eventID === secret.details?.kmsEventID))
      assert.deepEqual(brief(found)[call], `orphan ${action} -`)
      assert.match(found[call]?.says ?? '', /no KMS call is recorded/)
    })

  test('a KMS call that names an entry which names another, or another path, or succeeds where it failed', async () => {
    const entries = await story()
    const decrypted = entries.find(({ action }) => action === 'kms.decrypt') ?? assert.fail()
    const forged: AuditEntry = { ...decrypted, eventID: '0199c9d0-1b00-7000-8000-0000000000ff' }
    const at = entries.indexOf(decrypted)
    const doubled = await all(entries.toSpliced(at, 0, forged))
    assert.deepEqual(brief(doubled).slice(2, 4), [
      'orphan secret.get_value kms.decrypt',
      'chain secret.get_value kms.decrypt',
    ])
    assert.equal(doubled[2]?.kms?.eventID, forged.eventID)
    const moved = { ...decrypted, origin: { ...decrypted.origin, service: 'secrets-manager', resource: '/other' } }
    assert.match((await all(entries.with(at, moved)))[2]?.says ?? '', /is for \/other, the secret is/)
    const failed: AuditEntry = { ...decrypted, outcome: 'failure' }
    assert.equal((await all(entries.with(at, failed)))[2]?.kind, 'orphan')
    const nameless = { ...decrypted, origin: { service: 'secrets-manager' } }
    assert.deepEqual(brief(await all([...entries.with(at, nameless), closed(entries)])).slice(2, 4), [
      'orphan - kms.decrypt',
      'orphan secret.get_value -',
    ])
  })
})

describe('pending and cut', () => {
  test('what was under way at the end is pending, until a minute has passed or its process is over', async () => {
    const entries = await story()
    const at = entries.findIndex(({ action }) => action === 'kms.decrypt')
    const until = entries.slice(0, at + 1)
    const last = entries[at] ?? assert.fail()
    assert.equal((await all(until)).at(-1)?.kind, 'pending')
    const later = (ms: number): AuditEntry => ({
      ...closed(entries),
      action: 'audit.heartbeat',
      createdAt: new Date(Date.parse(last.createdAt) + ms).toISOString(),
    })
    assert.equal((await all([...until, later(60_000)])).at(-1)?.kind, 'pending')
    assert.equal((await all([...until, later(60_001)])).at(-1)?.kind, 'orphan')
    const restarted: AuditEntry = { ...closed(entries), action: 'audit.opened', instance: 'main-restarted' }
    assert.equal((await all([...until, restarted])).at(-1)?.kind, 'orphan')
  })

  test('an intent without its result is pending', async () => {
    const entries = await story()
    const at = entries.findIndex(({ action, phase }) => action === 'secret.put_value' && phase === 'intent')
    assert.deepEqual(brief(await all(entries.slice(0, at + 1))).at(-1), 'pending secret.put_value -')
    assert.deepEqual(brief(await all(entries.slice(0, at + 2))).at(-1), 'pending secret.put_value kms.encrypt')
  })

  test('what lacks only what stands before the first entry read is cut; in a whole trail it is an orphan', async () => {
    const entries = await story()
    const decrypted = entries.findIndex(({ action }) => action === 'kms.decrypt')
    const rest = entries.slice(decrypted + 1)
    const place = (first: bigint) => (entry: AuditEntry, at: number) => ({
      instance: 'main',
      index: first + BigInt(at),
      entry,
    })
    const [cut] = await all(rest.map(place(BigInt(decrypted + 1))))
    assert.deepEqual([cut?.kind, cut?.secret?.action], ['cut', 'secret.get_value'])
    assert.equal((await all(rest.map(place(0n))))[0]?.kind, 'orphan')
  })
})

test('a KMS call does not hide behind an entry of a secret that made none', async () => {
  const { secrets, kms, sink } = await rig()
  await secrets.create({ path: '/a', key: 'orders' })
  const [described, refused] = [
    (await secrets.describe({ path: '/a' })).eventID,
    await secrets.get({ path: '/a', version: 7 }).then(
      () => assert.fail(),
      (error: KmsError) => error.eventID ?? assert.fail(),
    ),
  ]
  for (const eventID of [described, refused])
    await kms.encrypt(
      { key: 'orders', plaintext: Uint8Array.of(1) },
      { context: { origin: { service: 'secrets-manager', eventID, resource: '/a' } } },
    )
  assert.deepEqual(brief(await all(sink.accepted)).slice(1), [
    'orphan secret.describe kms.encrypt',
    'orphan secret.get_value kms.encrypt',
  ])
})

test('holds no more calls than its window', async () => {
  const entries = await story()
  let taken = 0
  function* counting() {
    for (const entry of entries) {
      taken += 1
      yield entry
    }
  }
  for await (const one of correlate(counting(), { window: 1 })) {
    assert.equal(one.secret?.action, 'secret.create')
    break
  }
  assert.ok(taken < entries.length)
  assert.deepEqual(brief(await all(entries, { window: 1 })), brief(await all(entries)))
  for (const window of [0, 1.5, Number.NaN]) await assert.rejects(all([], { window }), { code: 'INVALID_INPUT' })
  await assert.rejects(all([], { pendingMs: -1 }), { code: 'INVALID_INPUT' })
})

test('holds no more entries than that, even if all name the same call', async () => {
  let taken = 0
  function* counting() {
    for (; taken < 1000; taken++)
      yield exampleEntry(taken, { action: 'kms.decrypt', origin: { service: 'secrets-manager', eventID: 'x' } })
  }
  for await (const { kind } of correlate(counting(), { window: 10 })) {
    assert.equal(kind, 'orphan')
    break
  }
  assert.ok(taken <= 50, `${taken} were taken`)
  assert.equal(
    (
      await all(
        Array.from({ length: 99 }, (_, at) => named(at)),
        { window: 1 },
      )
    ).length,
    99,
  )
})

function named(sequence: number): AuditEntry {
  return exampleEntry(sequence, { action: 'kms.decrypt', origin: { service: 'secrets-manager', eventID: 'x' } })
}

test('a decryption that ends after its caller has been told belongs to the same call', async () => {
  const entries = await story()
  const at = entries.findIndex(({ action }) => action === 'kms.decrypt')
  const [decrypted, got] = [entries[at] ?? assert.fail(), entries[at + 1] ?? assert.fail()]
  const { details: _, ...rest } = got
  const late: AuditEntry = { ...rest, outcome: 'failure', error: 'DEADLINE_EXCEEDED', statusCode: 504 }
  const found = await all([...entries.slice(0, at), late, ...entries.slice(at + 2), decrypted])
  assert.deepEqual(brief(found)[2], 'chain secret.get_value kms.decrypt')
})

/** That the client of `entries` closed its log. */
function closed(entries: readonly AuditEntry[]): AuditEntry {
  const { instance, createdAt, schema, salt, sequence } = entries.at(-1) ?? assert.fail()
  return {
    schema,
    eventID: '0199c9d0-1b00-7000-8000-0000000000fe',
    createdAt,
    instance,
    sequence,
    action: 'audit.closed',
    phase: 'result',
    resourceType: 'audit_log',
    outcome: 'success',
    salt,
  }
}
