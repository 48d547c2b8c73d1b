/** No entry, no value; no change without its intent; every call within its deadline. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memorySecretStore, type SecretStore, secretsManager } from '../../../src/integrations/secrets-manager/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { KmsError } from '../../../src/model/errors.ts'
import type { KmsProvider } from '../../../src/model/provider.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { turn } from '../../audit/puppet.ts'
import { type Rig, rig, told } from './rig.ts'

const path = '/billing/database'

async function staged(options: Parameters<typeof rig>[0] = {}): Promise<Rig> {
  const made = await rig(options)
  await made.secrets.create({ path, key: 'orders', secretString: 'hunter2' })
  made.entries()
  return made
}

/** A store that waits before it answers `name`, and how to let it go on. */
function slow(name: 'read' | 'write' | 'readValue') {
  const inner = memorySecretStore()
  let go: (() => void) | undefined
  let holds = false
  const held = () =>
    holds
      ? new Promise<void>((resolve) => {
          go = resolve
        })
      : Promise.resolve()
  const store: SecretStore = {
    ...inner,
    [name]: (...args: never[]) => held().then(() => (inner[name] as (...all: never[]) => unknown)(...args)),
  }
  const hold = () => {
    holds = true
  }
  return { store, inner, hold, release: () => go?.() }
}

/** Wraps the decryption of a KMS, so that a test sees what becomes of its plaintext. */
function watched(): { readonly provider: KmsProvider; readonly plaintexts: Uint8Array[] } {
  const inner = memoryKms()
  const plaintexts: Uint8Array[] = []
  const decrypt: KmsProvider['operations']['decrypt'] = async (input, call) => {
    const output = (await inner.operations.decrypt?.(input, call)) ?? assert.fail()
    plaintexts.push(output.plaintext)
    return output
  }
  const { synchronous: _, ...provider } = inner
  return { provider: { ...provider, operations: { ...inner.operations, decrypt } }, plaintexts }
}

describe('a required sink is down', () => {
  for (const [what, call] of [
    ['get', ({ secrets }: Rig) => secrets.get({ path })],
    ['put', ({ secrets }: Rig) => secrets.put({ path, secretString: 'x' })],
    ['list', ({ secrets }: Rig) => secrets.list()],
    ['delete', ({ secrets }: Rig) => secrets.delete({ path })],
    ['create', ({ secrets }: Rig) => secrets.create({ path: '/new', key: 'orders' })],
  ] as const)
    test(`${what} is AUDIT_REFUSED before store and KMS are touched`, async () => {
      const asked: string[] = []
      const inner = memorySecretStore()
      const store: SecretStore = {
        ...inner,
        read(path) {
          asked.push('read')
          return inner.read(path)
        },
        list(query) {
          asked.push('list')
          return inner.list(query)
        },
      }
      const made = await staged({ store })
      made.sink.mode = 'throw'
      await assert.rejects(made.secrets.describe({ path }), { code: 'AUDIT_REFUSED' })
      asked.length = 0
      await assert.rejects(call(made), { code: 'AUDIT_REFUSED', statusCode: 503, retryable: true })
      assert.deepEqual(asked, [])
    })
})

describe('the entry is refused', () => {
  test('the value of a get is dropped, zeroed, and an amendment says so', async () => {
    const { provider, plaintexts } = watched()
    const made = await staged({ provider })
    refuseFrom(made, ({ action }) => action === 'secret.get_value')
    await assert.rejects(made.secrets.get({ path }), (error: KmsError) => {
      assert.deepEqual([error.code, error.operation], ['AUDIT_REFUSED', 'secret.get_value'])
      return true
    })
    assert.equal(plaintexts.length, 1)
    assert.ok(plaintexts[0]?.every((byte) => byte === 0))
    made.sink.mode = 'sync'
    made.clock.advance(60_000)
    await turn()
    assert.deepEqual(told(made.entries()), [
      'kms.decrypt success v1',
      `secret.get_value success ${path} #1 v1`,
      `secret.get_value withheld ${path} v1`,
    ])
  })

  test('of the decryption: no value, and the secret says why', async () => {
    const made = await staged()
    refuseFrom(made, ({ action }) => action === 'kms.decrypt')
    await assert.rejects(made.secrets.get({ path }), { code: 'AUDIT_REFUSED' })
  })

  test('of an intent: nothing is touched, and no intent stays open', async () => {
    const made = await staged()
    refuseFrom(made, ({ phase }) => phase === 'intent')
    await assert.rejects(made.secrets.put({ path, secretString: 'x' }), { code: 'AUDIT_REFUSED' })
    assert.equal((await made.store.read(path))?.latestVersion, 1)
    made.sink.mode = 'sync'
    made.clock.advance(60_000)
    await turn()
    assert.deepEqual(told(made.entries()), [
      `secret.put_value pending ${path} #2`,
      `secret.put_value failure AUDIT_REFUSED ${path} #2`,
    ])
  })

  test('of a change: it is made, OUTCOME_UNAUDITED, and the entry waits', async () => {
    const made = await staged()
    refuseFrom(made, ({ phase, action }) => phase === 'result' && action === 'secret.put_value')
    await assert.rejects(made.secrets.put({ path, secretString: 'x' }), { code: 'OUTCOME_UNAUDITED' })
    assert.equal((await made.store.read(path))?.latestVersion, 2)
    made.sink.mode = 'sync'
    made.clock.advance(60_000)
    await turn()
    assert.deepEqual(told(made.entries()).slice(2), [
      `secret.put_value success ${path} #2 v1`,
      `secret.put_value withheld ${path} v1`,
    ])
  })

  test('generated bytes that nobody was told of are kept, and readable once the entry is there', async () => {
    const made = await staged()
    refuseFrom(made, ({ phase, action }) => phase === 'result' && action === 'secret.put_value')
    await assert.rejects(made.secrets.put({ path, generate: 32 }), { code: 'OUTCOME_UNAUDITED' })
    made.sink.mode = 'sync'
    made.clock.advance(60_000)
    await turn()
    assert.equal((await made.secrets.get({ path })).version, 2)
  })
})

describe('a change', () => {
  for (const [what, action, call] of [
    ['create', 'secret.create', ({ secrets }: Rig) => secrets.create({ path: '/new', key: 'orders' })],
    ['put', 'secret.put_value', ({ secrets }: Rig) => secrets.put({ path, secretString: 'x' })],
    ['destroyVersion', 'secret.destroy_version', ({ secrets }: Rig) => secrets.destroyVersion({ path, version: 1 })],
    ['updatePolicy', 'secret.update_policy', ({ secrets }: Rig) => secrets.updatePolicy({ path, policy: null })],
    ['delete', 'secret.delete', ({ secrets }: Rig) => secrets.delete({ path })],
  ] as const)
    test(`${what} has its intent accepted before the store is written to`, async () => {
      const inner = memorySecretStore()
      let seen: readonly string[] = []
      const store: SecretStore = {
        ...inner,
        write(change) {
          if (made !== undefined) seen = made.entries().map(({ phase, action }) => `${phase} ${action}`)
          return inner.write(change)
        },
      }
      let made: Rig | undefined
      const rigged = await staged({ store })
      made = rigged
      await call(rigged)
      assert.equal(seen[0], `intent ${action}`)
      const [result] = rigged.entries()
      assert.deepEqual([result?.phase, result?.action, result?.outcome], ['result', action, 'success'])
      assert.equal(result?.operationID, result?.eventID)
    })

  test('that the store refuses is a failure, and nothing was changed', async () => {
    const inner = memorySecretStore()
    let refuses = false
    const store: SecretStore = {
      ...inner,
      write(change) {
        if (refuses) throw new KmsError('PROVIDER_UNAVAILABLE', 'no room')
        return inner.write(change)
      },
    }
    const made = await staged({ store })
    refuses = true
    await assert.rejects(made.secrets.put({ path, secretString: 'x' }), { code: 'PROVIDER_UNAVAILABLE' })
    assert.deepEqual(told(made.entries()).slice(2), [`secret.put_value failure PROVIDER_UNAVAILABLE ${path} #2 v1`])
  })

  test('of which the store cannot tell whether it was made leaves its intent open', async () => {
    const inner = memorySecretStore()
    let fails = false
    const store: SecretStore = {
      ...inner,
      write(change) {
        if (fails) throw new Error('hunter2')
        return inner.write(change)
      },
    }
    const made = await staged({ store })
    fails = true
    await assert.rejects(made.secrets.delete({ path }), (error: KmsError) => {
      assert.equal(error.code, 'OUTCOME_UNAUDITED')
      assert.doesNotMatch(String(error.cause), /hunter2/)
      return true
    })
    assert.deepEqual(told(made.entries()), [`secret.delete pending ${path}`])
  })

  test('of which the store cannot tell is told as what it was once the store is opened again', async () => {
    const inner = memorySecretStore()
    let fails = false
    const store: SecretStore = {
      ...inner,
      write(change) {
        inner.write(change)
        if (fails) throw new Error('the connection is lost')
      },
    }
    const made = await staged({ store })
    fails = true
    await assert.rejects(made.secrets.put({ path, secretString: 'x' }), { code: 'OUTCOME_UNAUDITED' })
    await made.secrets.close()
    made.entries()
    const again = secretsManager({ kms: made.kms, store: { ...inner } })
    await again.put({ path, secretString: 'y' })
    const [first, ...rest] = made.entries()
    assert.deepEqual(
      [first?.action, first?.outcome, first?.details],
      ['secret.put_value', 'success', { recovered: true }],
    )
    assert.equal(rest.filter(({ operationID }) => operationID === first?.operationID).length, 0)
  })

  test('of a store that others write to is VERSION_CONFLICT when they were faster', async () => {
    const made = await staged()
    const now = (await made.store.read(path)) ?? assert.fail()
    const { store } = made
    const racing = secretsManager({
      kms: made.kms,
      store: { ...store, name: 'shared', read: () => ({ ...now, revision: now.revision - 1 }) },
    })
    await assert.rejects(racing.put({ path, secretString: 'x' }), { code: 'VERSION_CONFLICT' })
  })
})

describe('the deadline', () => {
  test('of a get: the caller hears at once, the entry says so, and what comes late is wiped', async () => {
    const { store, hold, release } = slow('readValue')
    const { provider, plaintexts } = watched()
    const made = await staged({ store, provider })
    hold()
    const getting = made.secrets.get({ path }, { deadlineMs: 1000 })
    await turn()
    made.clock.advance(1000)
    await assert.rejects(getting, { code: 'DEADLINE_EXCEEDED' })
    const [entry] = made.entries()
    assert.deepEqual([entry?.action, entry?.error], ['secret.get_value', 'DEADLINE_EXCEEDED'])
    release()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.ok(plaintexts.every((bytes) => bytes.every((byte) => byte === 0)))
    const [late] = made.entries()
    assert.ok(late === undefined || late.origin?.eventID === entry?.eventID)
  })

  test('of a change: the caller hears at once, and the entry tells what was done when it is done', async () => {
    const { store, hold, release } = slow('write')
    const made = await staged({ store })
    hold()
    const putting = made.secrets.put({ path, secretString: 'x' }, { deadlineMs: 1000 })
    for (let turns = 0; turns < 5; turns++) await turn()
    made.clock.advance(1000)
    await assert.rejects(putting, { code: 'DEADLINE_EXCEEDED' })
    assert.deepEqual(told(made.entries()), [`secret.put_value pending ${path} #2`, 'kms.encrypt success v1'])
    release()
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.deepEqual(told(made.entries()), [`secret.put_value success ${path} #2 v1`])
  })

  test('of a change that waits for its turn: it is never made', async () => {
    const { store, inner, hold, release } = slow('write')
    const made = await staged({ store })
    hold()
    const first = made.secrets.put({ path, secretString: 'first' })
    for (let turns = 0; turns < 5; turns++) await turn()
    const second = made.secrets.put({ path, secretString: 'second' }, { deadlineMs: 1000 })
    await turn()
    made.clock.advance(1000)
    await assert.rejects(second, { code: 'DEADLINE_EXCEEDED' })
    // Told now: what it waits for may never end.
    assert.deepEqual(told(made.entries()).slice(-1), [`secret.put_value failure DEADLINE_EXCEEDED ${path}`])
    release()
    assert.equal((await first).version, 2)
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.equal((await inner.read(path))?.latestVersion, 2)
    assert.deepEqual(told(made.entries()), [`secret.put_value success ${path} #2 v1`])
  })

  test('of calls whose store never answers: more than 10,000 of them are not held', async () => {
    const { store, hold } = slow('read')
    const made = await staged({ store })
    hold()
    const calls = Array.from({ length: 10_000 }, () => made.secrets.get({ path }, { deadlineMs: 1000 }))
    const settled = Promise.allSettled(calls)
    await turn()
    made.clock.advance(1000)
    await settled
    await assert.rejects(made.secrets.get({ path }), { code: 'OVERLOADED' })
  })

  test('of a get whose store is late: no key is used any more', async () => {
    const { store, hold, release } = slow('readValue')
    const made = await staged({ store })
    hold()
    const getting = made.secrets.get({ path }, { deadlineMs: 1000 })
    await turn()
    made.clock.advance(1000)
    await assert.rejects(getting, { code: 'DEADLINE_EXCEEDED' })
    release()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.deepEqual(told(made.entries()), [`secret.get_value failure DEADLINE_EXCEEDED ${path} #1`])
  })

  test('an abort ends a call too', async () => {
    const { store, hold, release } = slow('read')
    const made = await staged({ store })
    hold()
    const controller = new AbortController()
    const getting = made.secrets.get({ path }, { signal: controller.signal })
    await turn()
    controller.abort()
    await assert.rejects(getting, { code: 'ABORTED' })
    await assert.rejects(made.secrets.get({ path }, { signal: controller.signal }), { code: 'ABORTED' })
    release()
    assert.deepEqual(told(made.entries()), [
      `secret.get_value failure ABORTED ${path}`,
      `secret.get_value failure ABORTED ${path}`,
    ])
  })
})

describe('recovery', () => {
  test('is done before the first call, by what the store knows, and told the store when nothing is open any more', async () => {
    const intent = (operationID: string): AuditEntry => ({ ...openIntent, operationID })
    const done = '0199c9d0-1b00-7000-8000-00000000000a'
    const never = '0199c9d0-1b00-7000-8000-00000000000b'
    const asked: string[] = []
    const inner = memorySecretStore({ name: 'files' })
    const store: SecretStore = {
      ...inner,
      outcomeOf: (id) => (id === done ? 'done' : 'not-done'),
      forget: () => void asked.push('forget'),
    }
    const made = await rig({ store })
    Object.assign(made.sink, { openIntents: async () => [intent(done), intent(never)] })
    await assert.rejects(made.secrets.get({ path }), { code: 'SECRET_NOT_FOUND' })
    const [first, second] = made.entries()
    assert.deepEqual([first?.operationID, first?.outcome, first?.details], [done, 'success', { recovered: true }])
    assert.deepEqual([second?.operationID, second?.outcome], [never, 'failure'])
    assert.deepEqual(asked, ['forget'])
    await made.secrets.ready()
    assert.deepEqual(asked, ['forget'])
  })

  test('that fails refuses calls, and is tried again by the next', async () => {
    const made = await rig()
    let fails = true
    Object.assign(made.sink, {
      openIntents: async () => {
        if (fails) throw new Error('not now')
        return []
      },
    })
    await assert.rejects(made.secrets.list(), { code: 'AUDIT_REFUSED' })
    fails = false
    await made.secrets.list()
  })
})

const openIntent: AuditEntry = {
  schema: 'keytrail/1',
  eventID: '0199c9d0-1b00-7000-8000-000000000001',
  createdAt: '2026-01-02T03:04:05.678Z',
  instance: 'main-0',
  sequence: 1,
  action: 'secret.put_value',
  phase: 'intent',
  resourceType: 'secret',
  resourceIdentity: path,
  outcome: 'pending',
  provider: { name: 'files' },
  salt: 'AAAAAAAAAAAAAAAAAAAAAA',
}

/** The sink refuses from the first entry on that `matches`. */
function refuseFrom({ sink }: Rig, matches: (entry: AuditEntry) => boolean): void {
  const { write } = sink
  sink.write = (entries) => {
    if (entries.some(matches) && sink.mode === 'sync' && !refused) {
      refused = true
      sink.mode = 'throw'
    }
    return write(entries)
  }
  let refused = false
}
