import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAudit } from '../../src/audit/emitter.ts'
import { KmsClient, type KmsClientOptions } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { Binding, IntentOutcome, KmsProvider } from '../../src/model/provider.ts'
import type { Ledger, Receipt, Remembered } from '../../src/model/sink.ts'
import { exampleEntry } from '../../src/testing/entries.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { validEntries } from '../validate.ts'
import { puppet } from './puppet.ts'

const keystore = 'ks-1'
const op = (number: number) => `0199c9d0-1b00-7000-8000-00000000000${number}`
const rootOf = (size: bigint) => new Uint8Array(32).fill(Number(size) + 1)
const anchorAt = (size: bigint, origin = 'trail.example'): Receipt => ({ origin, size, root: rootOf(size) })

/** A trail of 10 entries that remembers generation 3. */
function ledgerOf(fields: Partial<Ledger> & { last?: Remembered | undefined } = {}): Ledger {
  const { last: _last, ...rest } = fields
  const last = 'last' in fields ? fields.last : { generation: 3 }
  return {
    origin: 'trail.example',
    size: 10n,
    prunedBelow: 0n,
    rootAt: async (size) => (size <= 10n ? rootOf(size) : undefined),
    lastOf: (id) => (id === keystore ? last : undefined),
    ...rest,
  }
}

function intentOf(operationID: string): AuditEntry {
  return exampleEntry(0, {
    operationID,
    action: 'kms.rotate',
    phase: 'intent',
    outcome: 'pending',
    provider: { name: 'memory' },
  })
}

interface Staging {
  readonly binding?: Partial<Binding> | 'none'
  readonly ledgers?: readonly Ledger[] | 'none'
  readonly intents?: Readonly<Record<string, IntentOutcome>>
  readonly rebind?: KmsClientOptions['rebind']
}

function stage({ binding = {}, ledgers = [ledgerOf()], intents = {}, rebind }: Staging = {}) {
  const sink = Object.assign(puppet({ name: 'trail' }), {
    ...(ledgers !== 'none' && { ledgers: () => ledgers }),
    openIntents: async () => Object.keys(intents).map(intentOf),
  })
  const bound: Binding | undefined =
    binding === 'none' ? undefined : { keystore, generation: 3, anchor: anchorAt(7n), ...binding }
  const provider: KmsProvider = {
    ...fakeProvider(),
    binding: () => bound,
    outcomeOf: (id: string) => intents[id] ?? 'unknown',
  }
  const audit = createAudit({ required: [sink] })
  const kms = new KmsClient({ provider, audit, ...(rebind !== undefined && { rebind }) })
  return { sink, kms, audit, provider }
}

const fits: Readonly<Record<string, Staging>> = {
  'the same generation, and the root that was': {},
  'a keystore that was never changed, and a trail that knows nothing of it': {
    binding: { generation: 1, anchor: undefined } as unknown as Partial<Binding>,
    ledgers: [ledgerOf({ last: undefined })],
  },
  'a provider without a binding': { binding: 'none' },
  'sinks that remember nothing': { ledgers: 'none' },
  'one generation ahead with its intent open: a crash': {
    binding: { generation: 4, anchor: anchorAt(10n) },
    intents: { [op(1)]: 'done' },
  },
  'two of three open intents done': {
    binding: { generation: 5 },
    intents: { [op(1)]: 'done', [op(2)]: 'not-done', [op(3)]: 'done' },
  },
  'an anchor in the second of two trails': {
    ledgers: [ledgerOf({ origin: 'other', last: { generation: 2 } }), ledgerOf()],
  },
  'an anchor of another trail that was accepted': {
    binding: { anchor: anchorAt(900n, 'gone.example') },
    ledgers: [ledgerOf({ last: { generation: 3, accepted: { size: 900n, root: rootOf(900n) } } })],
  },
  'a trail that forgot by pruning': {
    binding: { generation: 9, anchor: anchorAt(2n) },
    ledgers: [ledgerOf({ prunedBelow: 5n, rootAt: async () => undefined, last: undefined })],
  },
}

const broken: Readonly<Record<string, [Staging, RegExp]>> = {
  'a keystore behind its trail': [{ binding: { generation: 2 } }, /keystore was taken back.*generation 2.*of 3/],
  'a keystore behind the longer-lived of two trails': [
    { ledgers: [ledgerOf(), ledgerOf({ origin: 'other', last: { generation: 4 } })] },
    /keystore was taken back/,
  ],
  'a keystore ahead with no intent open': [{ binding: { generation: 4 } }, /changed without entries/],
  'a keystore ahead, and the open intent was not done': [
    { binding: { generation: 4 }, intents: { [op(1)]: 'not-done' } },
    /changed without entries/,
  ],
  'a keystore two ahead of one open intent': [
    { binding: { generation: 5 }, intents: { [op(1)]: 'done' } },
    /changed without entries/,
  ],
  'a changed keystore, and a trail that never heard of it': [
    { ledgers: [ledgerOf({ last: undefined })] },
    /changed without entries/,
  ],
  'a trail that is shorter than the anchor': [
    { binding: { anchor: anchorAt(11n) } },
    /trail was taken back: it has 10 entries, and had 11/,
  ],
  'a trail with another root there': [
    { binding: { anchor: { ...anchorAt(7n), root: rootOf(8n) } } },
    /another one: its history/,
  ],
  'a trail of another name': [{ binding: { anchor: anchorAt(7n, 'else.example') } }, /another one: the keystore was/],
  'a root that cannot be told although nothing was pruned': [
    { ledgers: [ledgerOf({ rootAt: async () => undefined })] },
    /cannot tell its root/,
  ],
  'an accepted anchor that is not the one there is': [
    {
      binding: { anchor: anchorAt(900n, 'gone.example') },
      ledgers: [ledgerOf({ last: { generation: 3, accepted: { size: 900n, root: rootOf(1n) } } })],
    },
    /another one/,
  ],
}

describe('keystore and trail fit:', () => {
  for (const [what, staging] of Object.entries(fits)) {
    test(what, async () => {
      const { kms, sink } = stage(staging)
      await kms.ready()
      await kms.createKey({ slug: 'orders' })
      assert.ok(!sink.accepted.some(({ action }) => action === 'audit.restored'))
    })
  }
})

describe('ROLLED_BACK:', () => {
  for (const [what, [staging, message]] of Object.entries(broken)) {
    test(what, async () => {
      const { kms, sink, provider } = stage(staging)
      await assert.rejects(kms.ready(), { code: 'ROLLED_BACK', message })
      const calls = [() => kms.createKey({ slug: 'orders' }), () => kms.listKeys(), () => kms.rotate({ key: 'x' })]
      for (const call of calls) await assert.rejects(call(), { code: 'ROLLED_BACK', message, statusCode: 423 })
      const entries = validEntries(sink.accepted).filter(({ resourceType }) => resourceType === 'kms_key')
      assert.deepEqual(
        entries.map(({ action, phase, outcome, error }) => [action, phase, outcome, error]),
        ['kms_key.create', 'kms_key.list', 'kms.rotate'].map((action) => [action, 'result', 'failure', 'ROLLED_BACK']),
        'each call has its entry, and no intent is closed',
      )
      assert.equal(kms.health().refusedCalls, 0)
      assert.ok(provider)
    })
  }
})

describe('rebind', () => {
  test('goes on, after an entry that tells what was accepted, and why', async () => {
    const staging: Staging = { binding: { generation: 2, anchor: anchorAt(11n) }, intents: { [op(1)]: 'done' } }
    const { kms, sink } = stage({ ...staging, rebind: { code: 'restore-drill', ticket: 'OPS-1' } })
    await kms.createKey({ slug: 'orders' })
    const base64 = (size: bigint) => Buffer.from(rootOf(size)).toString('base64')
    const [, restored, recovered] = validEntries(sink.accepted)
    assert.equal(restored?.action, 'audit.restored')
    assert.deepEqual(restored?.reason, { code: 'restore-drill', ticket: 'OPS-1' })
    assert.deepEqual(restored?.details, {
      keystore,
      generation: 2,
      trailSize: '10',
      trailRoot: base64(10n),
      anchorSize: '11',
      anchorRoot: base64(11n),
    })
    assert.deepEqual(recovered?.details, { recovered: true }, 'the generation was told just before')
  })

  test('writes nothing where keystore and trail fit', async () => {
    const { kms, sink } = stage({ rebind: true })
    await kms.createKey({ slug: 'orders' })
    assert.ok(!sink.accepted.some(({ action }) => action === 'audit.restored'))
  })

  test('is refused as long as its entry is', async () => {
    const { kms, sink } = stage({ binding: { generation: 2 }, rebind: true })
    sink.mode = 'throw'
    await assert.rejects(kms.ready(), { code: 'AUDIT_REFUSED' })
    await assert.rejects(kms.createKey({ slug: 'orders' }), { code: 'AUDIT_REFUSED' })
  })

  test('on a shared audit lets the clients after it pass', async () => {
    const { kms, audit, provider } = stage({ binding: { generation: 2 } })
    await assert.rejects(kms.ready(), { code: 'ROLLED_BACK' })
    await new KmsClient({ provider, audit, rebind: true }).ready()
    await new KmsClient({ provider, audit }).ready()
    await assert.rejects(kms.ready(), { code: 'ROLLED_BACK' })
  })

  test('takes true or a reason', () => {
    for (const rebind of [false, 'yes', {}, { code: '' }, { code: 7 }, null])
      assert.throws(() => stage({ rebind: rebind as unknown as true }), { code: 'INVALID_INPUT' })
  })
})

test('a recovered change tells its generation, so that the next start does not miss it', async () => {
  const { kms, sink } = stage({
    binding: { generation: 5 },
    intents: { [op(1)]: 'done', [op(2)]: 'unknown', [op(3)]: 'done' },
  })
  await kms.ready()
  const recovered = validEntries(sink.accepted).filter(({ details }) => details?.recovered === true)
  assert.deepEqual(
    recovered.map(({ outcome, details }) => [outcome, details]),
    [
      ['success', { recovered: true, keystore, generation: 4 }],
      ['unknown', { recovered: true }],
      ['success', { recovered: true, keystore, generation: 5 }],
    ],
  )
})

test('a ledger that cannot be read refuses calls for now, without ROLLED_BACK', async () => {
  let fails = true
  const ledger = ledgerOf({
    rootAt: async (size) => {
      if (fails) throw new KmsError('PROVIDER_UNAVAILABLE', 'the disk is gone')
      return rootOf(size)
    },
  })
  const { kms } = stage({ ledgers: [ledger] })
  await assert.rejects(kms.createKey({ slug: 'orders' }), { code: 'AUDIT_REFUSED' })
  assert.equal(kms.health().refusedCalls, 1)
  fails = false
  await kms.createKey({ slug: 'orders' })
})

test('a second client on the audit does not compare again: changes of the first may be on their way', async () => {
  let generation = 3
  const { audit, provider } = stage()
  const moving: KmsProvider = { ...provider, binding: () => ({ keystore, generation, anchor: anchorAt(7n) }) }
  await new KmsClient({ provider: moving, audit }).ready()
  generation = 4
  await new KmsClient({ provider: moving, audit, region: 'two' }).ready()
})
