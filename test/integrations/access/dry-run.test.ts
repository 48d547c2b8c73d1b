import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FieldPolicy } from '../../../src/audit/fields.ts'
import type { FloodOptions } from '../../../src/audit/floods.ts'
import { KmsClient } from '../../../src/client.ts'
import { type AccessRule, accessPolicy, type DryRun, dryRun } from '../../../src/integrations/access/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import type { KmsMiddleware } from '../../../src/model/middleware.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { exampleEntry } from '../../../src/testing/entries.ts'

const plaintext = new TextEncoder().encode('attack at dawn')
const root = { actor: { type: 'system', id: 'root' } } as const
const alice = { actor: { type: 'user', id: 'alice' } } as const
const everything: AccessRule = {
  id: 'all',
  effect: 'allow',
  actors: ['*', 'unknown'],
  actions: ['kms:*', 'kms:Export', 'kms:ImportKey', 'kms:DestroyKey', 'kms:RewrapRootKey'],
  keys: ['*'],
}
const deny = (rule: Partial<AccessRule>): AccessRule => ({ ...everything, id: 'deny', effect: 'deny', ...rule })

interface Recording {
  readonly fields?: FieldPolicy
  readonly floods?: FloodOptions
  readonly middleware?: readonly KmsMiddleware[]
}

async function recorded(
  run: (kms: KmsClient, clock: ReturnType<typeof fakeClock>) => Promise<void>,
  more: Recording = {},
) {
  const clock = fakeClock(Date.UTC(2026, 0, 5, 12))
  const sink = memorySink()
  const { fields, floods, middleware = [] } = more
  const audit = { required: [sink], clock, ...(fields && { fields }), ...(floods && { floods }) }
  const kms = new KmsClient({ provider: memoryKms({ clock }), audit, middleware, project: 'billing', region: 'nl-01' })
  await kms.with(root).createKey({ slug: 'orders', exportAllowed: true })
  await kms.with(root).createKey({ slug: 'payroll' })
  await run(kms, clock)
  await kms.close()
  return sink.entries
}

const use = (kms: KmsClient, key = 'orders') => kms.encrypt({ key, plaintext }).catch(() => undefined)

/** The three counts. */
function counts({ refused, allowed, unclear }: DryRun) {
  return { refused: refused.calls, allowed: allowed.calls, unclear: unclear.calls }
}

async function countsOf(rules: readonly AccessRule[], entries: readonly AuditEntry[]) {
  return counts(await dryRun(rules, entries))
}

describe('a dry run', () => {
  test('tells what would have been refused, by rule, and by actor, action and key, with examples', async () => {
    const entries = await recorded(async (kms) => {
      for (let number = 0; number < 7; number++) await use(kms.with(alice), 'payroll')
      await use(kms.with(alice))
      await kms
        .with(alice)
        .encrypt({ key: 'payroll', plaintext, keyVersion: 9 })
        .catch(() => undefined)
      await kms.rotate({ key: 'payroll' })
    })
    const rules = [
      { ...everything, actors: ['user:*', 'system:*'] },
      deny({ id: 'no-pay', keys: ['pay*'], actions: ['kms:Encrypt'], actors: ['user:alice'] }),
      deny({ id: 'idle', keys: ['nothing'] }),
    ]
    const found = await dryRun(rules, entries)
    // Two keys made, nine calls of alice's, a rotation: each once, whatever entries it has.
    assert.equal(found.calls, 12)
    assert.deepEqual(found.rules, [{ rule: 'no-pay', calls: 8 }, { rule: 'idle', calls: 0 }, { calls: 1 }])
    const ids = entries.filter(({ actor }) => actor?.id === 'alice').map(({ eventID }) => eventID)
    const rotated = entries.find(({ action, phase }) => action === 'kms.rotate' && phase === 'result')
    assert.deepEqual(found.refused, {
      calls: 9,
      groups: [
        {
          actor: 'user:alice',
          action: 'kms.encrypt',
          key: 'payroll',
          rule: 'no-pay',
          calls: 8,
          succeeded: 7,
          examples: ids.slice(0, 5),
        },
        {
          actor: 'unknown',
          action: 'kms.rotate',
          key: 'payroll',
          calls: 1,
          succeeded: 1,
          examples: [rotated?.eventID],
        },
      ],
    })
    assert.deepEqual([found.allowed.calls, found.unclear.calls], [0, 0])
  })

  test('says of a recorded policy exactly what it did: nothing more is refused, and nothing less', async () => {
    const rules = [
      { ...everything, actors: ['system:root'] },
      {
        ...everything,
        id: 'alice',
        actors: ['user:alice'],
        keys: ['orders'],
        hours: { startHour: 9, endHour: 17, timezone: 'UTC' },
      },
      deny({ id: 'away', networks: ['203.0.113.0/24'], actions: ['kms:Decrypt'] }),
      deny({ id: 'no-export', actions: ['kms:Export'], keys: ['kms-*'] }),
    ]
    const clock = fakeClock(Date.UTC(2026, 0, 5, 12))
    const provider = memoryKms({ clock })
    const sink = memorySink()
    const kms = new KmsClient({
      provider,
      audit: { required: [sink], clock },
      middleware: [accessPolicy({ rules, provider, clock })],
    })
    const asRoot = kms.with({ ...root, clientIp: '10.0.0.1' })
    await asRoot.createKey({ slug: 'orders', exportAllowed: true })
    await asRoot.createKey({})
    const { ciphertext } = await asRoot.encrypt({ key: 'orders', plaintext })
    for (let hour = 0; hour < 24; hour++) {
      for (const clientIp of ['10.0.0.1', '203.0.113.9', undefined]) {
        const asked = kms.with({ ...alice, ...(clientIp && { clientIp }) })
        await asked.decrypt({ key: 'orders', ciphertext }).catch(() => undefined)
        await asked.reEncrypt({ key: 'orders', ciphertext }).catch(() => undefined)
        await asked.export({ key: 'orders' }).catch(() => undefined)
        await asked.listKeys().catch(() => undefined)
        await asked.updateRotation({ key: 'orders', keyRotationEnabled: false }).catch(() => undefined)
        await asked.updateMinDecryptionVersion({ key: 'orders', minDecryptionVersion: 1 }).catch(() => undefined)
        await asked.createKey({ slug: 'x' }).catch(() => undefined)
        await asked.encrypt({ key: 'nothing', plaintext }).catch(() => undefined)
      }
      clock.advance(3_600_000)
    }
    await kms.close()
    const denied = sink.entries.filter(({ error }) => error === 'ACCESS_DENIED').length
    const allowed = sink.entries.filter(({ phase, outcome }) => phase === 'result' && outcome === 'success').length
    assert.ok(denied > 100 && allowed > 100, `${denied} denied, ${allowed} allowed`)
    const found = await dryRun(rules, sink.entries)
    // A reEncrypt that was refused does not tell of its destination.
    assert.deepEqual(
      found.unclear.groups.filter(({ action }) => action !== 'kms.re_encrypt'),
      [],
    )
    assert.deepEqual(counts(found), { refused: 0, allowed: 0, unclear: found.unclear.calls })
    // And against no deny at all, all that was denied for one is allowed.
    const open = await dryRun([everything], sink.entries)
    assert.equal(open.allowed.calls + open.unclear.calls, denied)
    assert.equal(open.refused.calls, 0)
  })

  test('takes what readTrail gives, waits for it, and keeps to a range of time', async () => {
    const entries = await recorded(async (kms, clock) => {
      await use(kms)
      clock.advance(3_600_000)
      await use(kms)
    })
    async function* trail() {
      for (const entry of entries) yield { index: 0n, entry }
    }
    const rules = [deny({})]
    assert.equal((await dryRun(rules, trail())).refused.calls, 4)
    const from = new Date(Date.UTC(2026, 0, 5, 13))
    assert.equal((await dryRun(rules, trail(), { from })).refused.calls, 1)
    assert.equal((await dryRun(rules, trail(), { to: from })).refused.calls, 3)
  })

  test('counts a change whose result is missing by its intent, and what came from elsewhere not at all', async () => {
    const entries = await recorded(async (kms) => {
      await kms.with(alice).rotate({ key: 'orders' })
    })
    const torn = entries.filter(({ action, phase }) => action !== 'kms.rotate' || phase !== 'result')
    const found = await dryRun([{ ...everything, actors: ['system:*'] }], torn)
    assert.deepEqual(found.refused.groups[0]?.succeeded, 0)
    assert.equal(found.refused.calls, 1)
    const secret = { ...exampleEntry(), action: 'secret.get_value', resourceType: 'secret' }
    assert.equal((await dryRun([deny({})], [secret])).calls, 0)
  })

  test('leaves out a change that was refused before its intent: no policy is asked about it', async () => {
    const entries = await recorded(async (kms) => {
      await kms
        .with(alice)
        .createKey({ slug: 'Not a slug' })
        .catch(() => undefined)
      await kms
        .with(alice)
        .export({ key: 'orders', keyVersion: 0 })
        .catch(() => undefined)
    })
    assert.equal(entries.filter(({ error }) => error === 'INVALID_INPUT').length, 2)
    assert.deepEqual(await countsOf([{ ...everything, actors: ['system:*'] }], entries), {
      refused: 0,
      allowed: 0,
      unclear: 0,
    })
  })

  test('judges a change that recovery has closed by its intent, which tells what was asked', async () => {
    const like = exampleEntry()
    const common = { ...like, action: 'kms.export', operationID: like.eventID }
    const recipient = `sha256:${'0'.repeat(64)}`
    const intent: AuditEntry = { ...common, phase: 'intent', outcome: 'pending', details: { recipient } }
    const result: AuditEntry = { ...common, phase: 'result', outcome: 'success', details: { recovered: true } }
    const rules = [{ ...everything, actions: ['kms:ExportWrapped'] as const }]
    assert.deepEqual(await countsOf(rules, [intent, result]), { refused: 0, allowed: 0, unclear: 0 })
    assert.deepEqual(await countsOf(rules, [result]), { refused: 0, allowed: 0, unclear: 1 })
  })

  test('refuses wrong rules, and what is no entry', async () => {
    await assert.rejects(dryRun([], []), { code: 'INVALID_INPUT' })
    for (const item of [null, undefined, 'x', {}, { entry: null }, { entry: {} }])
      await assert.rejects(dryRun([everything], [item as never]), { code: 'INVALID_INPUT' })
  })

  test('keeps no more groups than it says, and counts what is over by action', async () => {
    const like = exampleEntry()
    const entries = Array.from({ length: 10_010 }, (_, number) => ({
      ...like,
      action: 'kms.decrypt',
      phase: 'result' as const,
      keySlug: `key-${number}`,
    }))
    const { refused } = await dryRun([deny({})], entries)
    assert.equal(refused.calls, 10_010)
    assert.equal(refused.groups.length, 10_001)
    const { action, key, calls } = refused.groups[0] ?? {}
    assert.deepEqual({ action, key, calls }, { action: 'kms.decrypt', key: undefined, calls: 10 })
  })
})

describe('a dry run says that it cannot tell', () => {
  const hashKey = new Uint8Array(16)
  const byAlice = { ...everything, actors: ['user:alice', 'system:*'] }
  const byUsers = { ...everything, actors: ['user:*', 'system:*'] }
  const inside = { ...everything, id: 'inside', networks: ['10.0.0.0/8'] }

  const once = (fields: FieldPolicy, clientIp?: string) =>
    recorded((kms) => use(kms.with({ ...alice, ...(clientIp && { clientIp }) })).then(() => undefined), { fields })
  /** Of the one call that alice made. */
  const alices = (entries: readonly AuditEntry[]) =>
    entries.filter(({ action, actor }) => action.startsWith('audit.') || actor?.type === 'user')

  test('where the actor is dropped, hashed or cut, and the rule asks for more than its type', async () => {
    const long = 'a'.repeat(300)
    const cut = await recorded((kms) => use(kms.with({ actor: { type: 'user', id: long } })).then(() => undefined))
    for (const entries of [await once({ drop: ['actor.id'] }), await once({ hash: ['actor.id'], hashKey }), cut]) {
      const found = await dryRun([byAlice], alices(entries))
      assert.deepEqual(found.unclear.groups[0]?.untold, ['actor'])
      assert.deepEqual(counts(found), { refused: 0, allowed: 0, unclear: 1 })
      assert.deepEqual(await countsOf([byUsers], alices(entries)), { refused: 0, allowed: 0, unclear: 0 })
      assert.deepEqual(await countsOf([deny({ actors: ['client:x'] }), byUsers], alices(entries)), {
        refused: 0,
        allowed: 0,
        unclear: 0,
      })
    }
    // An id that only looks like a hash is an id, where the trail says that none is hashed.
    const odd = { actor: { type: 'user', id: 'h:AAAAAAAAAAAAAAAAAAAAAA' } } as const
    const entries = alices(await recorded((kms) => use(kms.with(odd)).then(() => undefined)))
    assert.equal((await dryRun([byAlice], entries)).refused.calls, 1)
    const unopened = entries.filter(({ action }) => !action.startsWith('audit.'))
    assert.equal((await dryRun([byAlice], unopened)).unclear.calls, 1)
  })

  test('where the address is hashed or not kept, and not where nobody said it', async () => {
    for (const fields of [{ clientIp: 'none' }, { clientIp: 'hash', hashKey }] as const) {
      const found = await dryRun([inside], alices(await once(fields, '10.0.0.1')))
      assert.deepEqual(found.unclear.groups[0]?.untold, ['clientIp'])
    }
    const unsaid = alices(await once({}))
    assert.deepEqual(await countsOf([inside], unsaid), { refused: 1, allowed: 0, unclear: 0 })
    const junk = alices(await once({}, 'junk'))
    assert.deepEqual(await countsOf([inside], junk), { refused: 1, allowed: 0, unclear: 0 })
    // Without the entry that tells what is kept.
    const unopened = unsaid.filter(({ action }) => !action.startsWith('audit.'))
    assert.deepEqual(await countsOf([inside], unopened), { refused: 0, allowed: 0, unclear: 1 })
  })

  test('where a prefix is kept of the address, only if it hangs on the rest', async () => {
    const prefix = alices(await once({ clientIp: 'prefix' }, '10.1.2.3'))
    const judged = async (...networks: string[]) => countsOf([{ ...everything, networks }], prefix)
    assert.deepEqual(await judged('10.0.0.0/8'), { refused: 0, allowed: 0, unclear: 0 })
    assert.deepEqual(await judged('10.1.2.0/24'), { refused: 0, allowed: 0, unclear: 0 })
    for (const network of ['11.0.0.0/8', '10.1.3.0/24', '2001:db8::/32'])
      assert.deepEqual(await judged(network), { refused: 1, allowed: 0, unclear: 0 }, network)
    for (const network of ['10.1.2.0/25', '10.1.2.128/25', '10.1.2.3'])
      assert.deepEqual(await judged(network), { refused: 0, allowed: 0, unclear: 1 }, network)
    const six = alices(await once({ clientIp: 'prefix' }, '2001:db8:1::7'))
    assert.equal((await dryRun([{ ...everything, networks: ['2001:db8::/32'] }], six)).unclear.calls, 0)
    assert.equal((await dryRun([{ ...everything, networks: ['2001:db8:1::/64'] }], six)).unclear.calls, 1)
  })

  test('where an unclear deny or allow decides, and not where another rule does', async () => {
    const entries = alices(await once({ clientIp: 'none' }, '10.0.0.1'))
    const away = deny({ networks: ['203.0.113.0/24'] })
    assert.deepEqual(await countsOf([everything, away], entries), { refused: 0, allowed: 0, unclear: 1 })
    assert.deepEqual(await countsOf([everything, away, deny({ id: 'all-of-it' })], entries), {
      refused: 1,
      allowed: 0,
      unclear: 0,
    })
    assert.deepEqual(await countsOf([inside, everything], entries), { refused: 0, allowed: 0, unclear: 0 })
    // Nothing allows it, whatever the deny does.
    assert.deepEqual(await countsOf([away], entries), { refused: 1, allowed: 0, unclear: 0 })
  })

  test('of refusals that stand in one entry, by time and address; each is counted', async () => {
    const policy = accessPolicy({ rules: [{ ...everything, actors: ['system:*'] }] })
    const entries = await recorded(
      async (kms) => {
        for (let number = 0; number < 10; number++) await use(kms.with({ ...alice, clientIp: '10.0.0.1' }))
      },
      { middleware: [policy], floods: { perWindow: 4 } },
    )
    const whole = await dryRun([everything], entries)
    assert.deepEqual([whole.calls, whole.allowed.calls], [12, 10])
    const found = await dryRun([inside], alices(entries))
    assert.deepEqual(counts(found), { refused: 0, allowed: 4, unclear: 6 })
    assert.deepEqual(found.unclear.groups[0]?.untold, ['clientIp', 'time'])
    const hours = { startHour: 9, endHour: 17, timezone: 'UTC' }
    assert.deepEqual(await countsOf([{ ...everything, hours }], entries), { refused: 0, allowed: 4, unclear: 6 })
  })

  test('of the destination of a reEncrypt that failed', async () => {
    const entries = alices(
      await recorded(async (kms) => {
        const asAlice = kms.with(alice)
        await asAlice
          .reEncrypt({ key: 'orders', ciphertext: plaintext, destinationKey: 'payroll' })
          .catch(() => undefined)
        const { ciphertext } = await kms.with(root).encrypt({ key: 'orders', plaintext })
        await asAlice.reEncrypt({ key: 'orders', ciphertext, destinationKey: 'payroll' })
      }),
    )
    const rules = [everything, deny({ actions: ['kms:Encrypt'], keys: ['payroll'] })]
    const found = await dryRun(rules, entries)
    assert.deepEqual(counts(found), { refused: 1, allowed: 0, unclear: 1 })
    assert.deepEqual(found.unclear.groups[0]?.untold, ['key'])
    // A source that is refused is refused wherever it goes.
    assert.deepEqual(await countsOf([everything, deny({ keys: ['orders'] })], entries), {
      refused: 2,
      allowed: 0,
      unclear: 0,
    })
  })

  test('of an update that does not say of what, unless both are judged alike', async () => {
    const update: AuditEntry = {
      ...exampleEntry(),
      action: 'kms_key.update',
      phase: 'result',
      operationID: exampleEntry().eventID,
      details: {},
    }
    assert.equal((await dryRun([everything], [update])).unclear.calls, 0)
    const found = await dryRun([everything, deny({ actions: ['kms:UpdateRotation'] })], [update])
    assert.deepEqual(found.unclear.groups[0]?.untold, ['operation'])
  })

  test('of the slug that a new key asked for, where the intent is missing', async () => {
    const entries = await recorded(async (kms) => {
      await kms.with(alice).createKey({})
      await kms.with(alice).createKey({ slug: 'mine' })
    })
    // Whatever a slug begins with: only a rule for every key allows one that is made up.
    const rules = [{ ...everything, keys: [...'abcdefghijklmnopqrstuvwxyz0123456789'].map((letter) => `${letter}*`) }]
    assert.deepEqual(await countsOf(rules, entries), { refused: 1, allowed: 0, unclear: 0 })
    const results = alices(entries).filter(({ phase }) => phase === 'result')
    assert.deepEqual(await countsOf(rules, results), { refused: 0, allowed: 0, unclear: 2 })
  })
})
