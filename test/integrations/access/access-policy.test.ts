/** @node */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { KmsClient, type KmsClientOptions } from '../../../src/client.ts'
import {
  type AccessPolicyOptions,
  type AccessRule,
  accessPolicy,
  dryRun,
} from '../../../src/integrations/access/index.ts'
import type { RequestContext } from '../../../src/model/context.ts'
import { KmsError } from '../../../src/model/errors.ts'
import type { KmsCall } from '../../../src/model/middleware.ts'
import type { Operation, Output } from '../../../src/model/operation.ts'
import type { KmsProvider } from '../../../src/model/provider.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { fakeProvider } from '../../../src/testing/provider.ts'
import { validEntries } from '../../validate.ts'

const plaintext = new TextEncoder().encode('attack at dawn')
const alice: RequestContext = { actor: { type: 'user', id: 'alice' } }
const bob: RequestContext = { actor: { type: 'user', id: 'bob' } }
const root: RequestContext = { actor: { type: 'system', id: 'root' } }

const anything: AccessRule = {
  id: 'root',
  effect: 'allow',
  actors: ['system:root'],
  actions: ['kms:*', 'kms:Export', 'kms:ImportKey', 'kms:DestroyKey', 'kms:RotateAuditSigner'],
  keys: ['*'],
}
const aliceUses: AccessRule = {
  id: 'alice',
  effect: 'allow',
  actors: ['user:alice'],
  actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReadAccess'],
  keys: ['orders', 'archive-*'],
}

interface Opening extends Partial<Omit<AccessPolicyOptions, 'provider'>> {
  readonly of?: KmsProvider
  /** Whether the policy has the provider. */
  readonly knowing?: boolean
  readonly client?: Partial<KmsClientOptions>
}

/** A client with keys `orders`, `archive-1` and `payroll`, which `root` has made. */
async function open({ of = memoryKms(), knowing = true, client, rules = [], ...more }: Opening = {}) {
  const sink = memorySink()
  const policy = accessPolicy({ rules: [anything, ...rules], ...(knowing && { provider: of }), ...more })
  const kms = new KmsClient({ provider: of, audit: { required: [sink] }, middleware: [policy], ...client })
  const asRoot = kms.with(root)
  const identities: Record<string, string> = {}
  for (const slug of ['orders', 'archive-1', 'payroll'])
    identities[slug] = (await asRoot.createKey({ slug, keyType: 'aes256-gcm96', exportAllowed: true })).key.identity
  sink.clear()
  return { kms, sink, asRoot, asAlice: kms.with(alice), identity: (slug: string) => identities[slug] ?? assert.fail() }
}

async function refusal(call: Promise<unknown>): Promise<KmsError> {
  const error = await call.then(
    () => assert.fail('it was allowed'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof KmsError)
  return error
}

describe('a call', () => {
  test('goes on where a rule allows it, whichever name the caller gives the key', async () => {
    const { asAlice, identity } = await open({ rules: [aliceUses] })
    const { ciphertext } = await asAlice.encrypt({ key: 'orders', plaintext })
    const opened = await asAlice.decrypt({ key: identity('orders'), ciphertext })
    assert.deepEqual(opened.plaintext, plaintext)
  })

  test('is refused by a deny whatever allows it, whichever name the caller gives, with an entry that names the rule', async () => {
    const deny: AccessRule = { ...aliceUses, id: 'no-orders', effect: 'deny', actions: ['kms:Decrypt'] }
    const { asAlice, sink, identity } = await open({ rules: [aliceUses, deny] })
    const { ciphertext } = await asAlice.encrypt({ key: 'orders', plaintext })
    sink.clear()
    for (const key of ['orders', identity('orders')]) {
      const error = await refusal(asAlice.decrypt({ key, ciphertext }))
      assert.deepEqual([error.code, error.statusCode, error.retryable], ['ACCESS_DENIED', 403, false])
      assert.doesNotMatch(error.message, /no-orders/)
      const entry = sink.entries.at(-1)
      assert.equal(entry?.eventID, error.eventID)
      assert.deepEqual(
        [entry?.action, entry?.outcome, entry?.error, entry?.statusCode, entry?.keySlug, entry?.actor?.id],
        ['kms.decrypt', 'failure', 'ACCESS_DENIED', 403, 'orders', 'alice'],
      )
      assert.deepEqual(entry?.details, { rule: 'no-orders' })
    }
    assert.equal(validEntries(sink.entries).length, 2)
  })

  test('that nothing allows is refused, with an entry that names no rule', async () => {
    const { asAlice, kms, sink } = await open({ rules: [aliceUses] })
    for (const call of [
      asAlice.encrypt({ key: 'payroll', plaintext }),
      asAlice.sign({ key: 'orders', input: plaintext }),
      kms.with(bob).encrypt({ key: 'orders', plaintext }),
      kms.encrypt({ key: 'orders', plaintext }),
    ])
      assert.equal((await refusal(call)).code, 'ACCESS_DENIED')
    assert.deepEqual(
      sink.entries.map(({ details, error }) => [error, details]),
      new Array(4).fill(['ACCESS_DENIED', undefined]),
    )
  })

  test('by nobody is matched by rules for unknown, and by none else', async () => {
    const nobody: AccessRule = { ...aliceUses, id: 'nobody', actors: ['unknown'] }
    const { kms } = await open({ rules: [nobody] })
    await kms.encrypt({ key: 'orders', plaintext })
    // Somebody who calls himself so is somebody.
    const impostor = kms.with({ actor: { type: 'user', id: 'unknown' } })
    assert.equal((await refusal(impostor.encrypt({ key: 'orders', plaintext }))).code, 'ACCESS_DENIED')
    const everyone = await open({ rules: [{ ...nobody, actors: ['*'] }] })
    assert.equal((await refusal(everyone.kms.encrypt({ key: 'orders', plaintext }))).code, 'ACCESS_DENIED')
  })

  test('of one among thousands of actors is judged as theirs, in whatever order they come', async () => {
    const even: AccessRule = { ...aliceUses, actors: ['user:*0', 'user:*2', 'user:*4', 'user:*6', 'user:*8'] }
    const { kms } = await open({ rules: [even] })
    const ids = Array.from({ length: 2500 }, (_, number) => number)
    for (const number of [...ids, ...ids.reverse(), 7, 8, 7, 8]) {
      const asked = kms.with({ actor: { type: 'user', id: String(number) } }).describeKey({ key: 'orders' })
      const isAllowed = await asked.then(
        () => true,
        () => false,
      )
      assert.equal(isAllowed, number % 2 === 0)
    }
    const long = 'x'.repeat(300)
    for (const end of ['2', '3'])
      assert.equal(
        await kms
          .with({ actor: { type: 'user', id: long + end } })
          .describeKey({ key: 'orders' })
          .then(
            () => '2',
            () => '3',
          ),
        end,
      )
  })

  test('of many actors under many rules takes no more memory than is said', () => {
    const rules = Array.from(
      { length: 1000 },
      (_, at): AccessRule => ({
        id: `rule-${at}`,
        effect: 'allow',
        actors: ['user:*'],
        actions: ['kms:*'],
        keys: [`key-${at}`],
      }),
    )
    const policy = accessPolicy({ rules })
    const ask = (actor: string, operation: Operation, slug: string) => {
      const call = {
        operation,
        action: '',
        input: { key: slug },
        context: { actor: { type: 'user', id: actor } },
        scope: {},
        key: { identity: 'kms-a', slug, keyType: 'aes256-gcm96' },
      }
      // What the client makes of a call, as far as rules look at it.
      return policy(call as unknown as KmsCall, () => ({}) as Output<Operation>)
    }
    const before = heapUsed()
    for (let actor = 0; actor < 500; actor++)
      for (const operation of ['encrypt', 'sign', 'describeKey'] as const) {
        ask(String(actor), operation, `key-${actor}`)
        assert.throws(() => ask(String(actor), operation, 'other'), { code: 'ACCESS_DENIED' })
      }
    const megabytes = (heapUsed() - before) / 1e6
    assert.ok(megabytes < 30, `${megabytes} MB`)
  })

  test('is held to the policy by call, encryptMany, decryptMany and with', async () => {
    const { asAlice, kms, sink } = await open({ rules: [aliceUses] })
    const { ciphertext } = await asAlice.call('encrypt', { key: 'orders', plaintext })
    assert.equal((await refusal(asAlice.call('encrypt', { key: 'payroll', plaintext }))).code, 'ACCESS_DENIED')
    const sealed = await asAlice.encryptMany(['orders', 'payroll', 'archive-1'].map((key) => ({ key, plaintext })))
    assert.deepEqual(
      sealed.map((one) => (one.ok ? 'ok' : one.error.code)),
      ['ok', 'ACCESS_DENIED', 'ok'],
    )
    const opened = await asAlice.decryptMany(['orders', 'payroll'].map((key) => ({ key, ciphertext })))
    assert.deepEqual(
      opened.map((one) => (one.ok ? 'ok' : one.error.code)),
      ['ok', 'ACCESS_DENIED'],
    )
    // What the call says wins over what is bound.
    assert.equal((await refusal(asAlice.with(bob).encrypt({ key: 'orders', plaintext }))).code, 'ACCESS_DENIED')
    await kms.with(bob).encrypt({ key: 'orders', plaintext }, { context: alice })
    assert.equal(validEntries(sink.entries).length, 9)
  })

  test('that changes a key is refused before its intent, in one entry, and nothing is changed', async () => {
    const { asAlice, asRoot, sink } = await open({ rules: [aliceUses] })
    assert.equal((await refusal(asAlice.rotate({ key: 'orders' }))).code, 'ACCESS_DENIED')
    assert.deepEqual(
      sink.entries.map(({ phase, error, operationID }) => [phase, error, operationID]),
      [['result', 'ACCESS_DENIED', undefined]],
    )
    assert.equal((await asRoot.describeKey({ key: 'orders' })).key.latestVersion, 1)
  })

  test('that changes a key and is refused again and again is joined into one entry', async () => {
    const { asAlice, kms, sink } = await open({ rules: [aliceUses] })
    for (let at = 0; at < 150; at++) await refusal(asAlice.disableKey({ key: 'orders' }))
    await kms.close()
    const denied = sink.entries.filter(({ error }) => error === 'ACCESS_DENIED')
    assert.equal(denied.length, 101)
    assert.equal(denied.at(-1)?.details?.joined, 50)
    const { allowed } = await dryRun([{ ...aliceUses, actions: ['kms:*'] }], sink.entries)
    assert.equal(allowed.calls, 150)
  })

  test('never reaches the provider when it is refused', async () => {
    const of = fakeProvider()
    const { asAlice } = await open({ of, rules: [aliceUses] })
    const before = of.calls.length
    await refusal(asAlice.encrypt({ key: 'payroll', plaintext }))
    await refusal(asAlice.rotate({ key: 'payroll' }))
    assert.deepEqual(
      of.calls.slice(before).map(({ asked }) => asked),
      ['resolve', 'resolve'],
    )
  })

  test('is not touched by what happens to the rules afterwards', async () => {
    const given = { ...aliceUses, keys: ['orders'] }
    const { asAlice } = await open({ rules: [given] })
    given.keys.push('payroll')
    assert.equal((await refusal(asAlice.encrypt({ key: 'payroll', plaintext }))).code, 'ACCESS_DENIED')
  })

  test('is refused for a rule with a condition that is not met: network, hours, project, region', async () => {
    const clock = fakeClock(Date.UTC(2026, 0, 5, 7, 30))
    const office: AccessRule = {
      ...aliceUses,
      networks: ['10.0.0.0/8', '2001:db8::/32'],
      hours: { startHour: 9, endHour: 17, timezone: 'Europe/Amsterdam' },
      projects: ['bill*'],
      regions: ['nl-01'],
    }
    const client = { project: 'billing', region: 'nl-01' }
    const { asAlice } = await open({ rules: [office], clock, client })
    const from = (clientIp: string) => asAlice.with({ clientIp }).encrypt({ key: 'orders', plaintext })
    assert.equal((await refusal(from('10.1.2.3'))).code, 'ACCESS_DENIED')
    clock.advance(30 * 60_000)
    for (const clientIp of ['10.1.2.3', '::ffff:10.1.2.3', '2001:DB8:0::1']) await from(clientIp)
    for (const clientIp of ['11.1.2.3', '10.1.2.3/32', '10.1.2.3:80', '010.1.2.3', 'localhost'])
      assert.equal((await refusal(from(clientIp))).code, 'ACCESS_DENIED', clientIp)
    assert.equal((await refusal(asAlice.encrypt({ key: 'orders', plaintext }))).code, 'ACCESS_DENIED')
    for (const elsewhere of [{ project: 'billing' }, { region: 'nl-01' }, { ...client, project: 'other' }]) {
      const { asAlice: there } = await open({ rules: [office], clock, client: elsewhere })
      const call = there.with({ clientIp: '10.1.2.3' }).encrypt({ key: 'orders', plaintext })
      assert.equal((await refusal(call)).code, 'ACCESS_DENIED')
    }
  })

  test('from an address that nobody knows is met by a deny for a network', async () => {
    const away: AccessRule = { ...aliceUses, id: 'away', effect: 'deny', networks: ['203.0.113.0/24'] }
    const { asAlice, sink } = await open({ rules: [aliceUses, away] })
    await asAlice.with({ clientIp: '10.1.2.3' }).encrypt({ key: 'orders', plaintext })
    for (const asked of [asAlice, asAlice.with({ clientIp: 'junk' }), asAlice.with({ clientIp: '203.0.113.9' })]) {
      await refusal(asked.encrypt({ key: 'orders', plaintext }))
      assert.equal(sink.entries.at(-1)?.details?.rule, 'away')
    }
    // The other end of the connection is a proxy's.
    await refusal(asAlice.with({ clientIp: '203.0.113.9', peerIp: '10.0.0.1' }).encrypt({ key: 'orders', plaintext }))
  })
})

describe('export', () => {
  const full: AccessRule = { ...aliceUses, actions: ['kms:FullAccess', 'kms:*'], keys: ['*'] }
  const { publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  })
  const recipient = new Uint8Array(publicKey)

  test('is not given by full access, and is by name', async () => {
    const without = await open({ rules: [full] })
    await without.asAlice.encrypt({ key: 'payroll', plaintext })
    assert.equal((await refusal(without.asAlice.export({ key: 'orders' }))).code, 'ACCESS_DENIED')
    const { asAlice } = await open({ rules: [{ ...full, actions: ['kms:Export'] }] })
    await asAlice.export({ key: 'orders' })
    await asAlice.export({ key: 'orders', recipient })
    assert.equal((await refusal(asAlice.encrypt({ key: 'orders', plaintext }))).code, 'ACCESS_DENIED')
  })

  test('may be given for a recipient only', async () => {
    const { asAlice } = await open({ rules: [{ ...full, actions: ['kms:ExportWrapped'] }] })
    await asAlice.export({ key: 'orders', recipient })
    for (const input of [
      { key: 'orders' },
      { key: 'orders', form: 'wrapped' },
      { key: 'orders', form: 'raw', recipient },
    ] as const)
      assert.equal((await refusal(asAlice.export(input))).code, 'ACCESS_DENIED')
  })

  test('is denied by a deny of everything', async () => {
    const deny: AccessRule = { ...full, id: 'none', effect: 'deny', actions: ['kms:*'], keys: ['orders'] }
    const { asAlice, sink } = await open({ rules: [{ ...full, actions: ['kms:Export'] }, deny] })
    await refusal(asAlice.export({ key: 'orders' }))
    assert.equal(sink.entries.at(-1)?.details?.rule, 'none')
    await asAlice.export({ key: 'payroll' })
  })
})

describe('reEncrypt', () => {
  const from: AccessRule = { ...aliceUses, id: 'from', actions: ['kms:Decrypt'], keys: ['orders'] }
  const to: AccessRule = { ...aliceUses, id: 'to', actions: ['kms:Encrypt'], keys: ['archive-*'] }

  async function sealed(opening: Opening) {
    const opened = await open(opening)
    const { ciphertext } = await opened.asRoot.encrypt({ key: 'orders', plaintext })
    opened.sink.clear()
    return { ...opened, ciphertext }
  }

  test('needs decrypt on the key that opens and encrypt on the one that seals, whatever they are called', async () => {
    const { asAlice, ciphertext, identity } = await sealed({ rules: [from, to] })
    for (const destinationKey of ['archive-1', identity('archive-1')])
      await asAlice.reEncrypt({ key: 'orders', ciphertext, destinationKey })
    for (const destinationKey of ['payroll', identity('payroll'), 'orders', identity('orders'), undefined]) {
      const input = { key: 'orders', ciphertext, ...(destinationKey !== undefined && { destinationKey }) }
      assert.equal((await refusal(asAlice.reEncrypt(input))).code, 'ACCESS_DENIED', destinationKey)
    }
    const only = await sealed({ rules: [to] })
    const input = { key: 'orders', ciphertext: only.ciphertext, destinationKey: 'archive-1' }
    assert.equal((await refusal(only.asAlice.reEncrypt(input))).code, 'ACCESS_DENIED')
  })

  test('may be given without decrypt and encrypt, for jobs that move ciphertexts', async () => {
    const job: AccessRule = { ...from, actions: ['kms:ReEncryptFrom', 'kms:ReEncryptTo'] }
    const { asAlice, ciphertext } = await sealed({ rules: [job] })
    await asAlice.reEncrypt({ key: 'orders', ciphertext })
    for (const call of [asAlice.decrypt({ key: 'orders', ciphertext }), asAlice.encrypt({ key: 'orders', plaintext })])
      assert.equal((await refusal(call)).code, 'ACCESS_DENIED')
  })

  test('a deny on a slug is not passed by naming the identity of the destination', async () => {
    const all: AccessRule = { ...from, keys: ['*'], actions: ['kms:*'] }
    const deny: AccessRule = { ...to, id: 'no-pay', effect: 'deny', keys: ['payroll'] }
    const { asAlice, ciphertext, identity, sink } = await sealed({ rules: [all, deny] })
    for (const destinationKey of ['payroll', identity('payroll')]) {
      await refusal(asAlice.reEncrypt({ key: 'orders', ciphertext, destinationKey }))
      assert.equal(sink.entries.at(-1)?.details?.rule, 'no-pay')
    }
    await asAlice.reEncrypt({ key: 'orders', ciphertext, destinationKey: identity('archive-1') })
  })

  test('without the provider a destination is any key: allowed by rules for every key, and denied by any', async () => {
    const named = await sealed({ rules: [from, to], knowing: false })
    const input = { key: 'orders', ciphertext: named.ciphertext, destinationKey: 'archive-1' }
    assert.equal((await refusal(named.asAlice.reEncrypt(input))).code, 'ACCESS_DENIED')
    const every = await sealed({ rules: [from, { ...to, keys: ['*'] }], knowing: false })
    await every.asAlice.reEncrypt({ ...input, ciphertext: every.ciphertext })
    const deny: AccessRule = { ...to, id: 'no-pay', effect: 'deny', keys: ['payroll'] }
    const denied = await sealed({ rules: [from, { ...to, keys: ['*'] }, deny], knowing: false })
    await refusal(denied.asAlice.reEncrypt({ ...input, ciphertext: denied.ciphertext }))
    assert.equal(denied.sink.entries.at(-1)?.details?.rule, 'no-pay')
  })

  test('is dropped when the key that sealed is not the one that was found before', async () => {
    const inner = memoryKms()
    let moved: string | undefined
    const of: KmsProvider = {
      ...inner,
      synchronous: false,
      resolve: (name, scope) => {
        const key = inner.resolve?.(name, scope) ?? assert.fail()
        // The name `archive-1` is given to another key from here on.
        if (name === 'archive-1') moved = 'payroll'
        return key
      },
      operations: {
        ...inner.operations,
        reEncrypt: (input, call) =>
          inner.operations.reEncrypt?.({ ...input, destinationKey: moved ?? 'archive-1' }, call) ?? assert.fail(),
      },
    }
    const { asAlice, ciphertext, sink } = await sealed({ of, rules: [from, to] })
    const error = await refusal(asAlice.reEncrypt({ key: 'orders', ciphertext, destinationKey: 'archive-1' }))
    assert.equal(error.code, 'ACCESS_DENIED')
    assert.equal(sink.entries.at(-1)?.error, 'ACCESS_DENIED')
  })
})

describe('listKeys', () => {
  test('gives the keys that its caller may read, and its entry counts what was given', async () => {
    const deny: AccessRule = {
      ...aliceUses,
      id: 'hide',
      effect: 'deny',
      actions: ['kms:DescribeKey'],
      keys: ['archive-*'],
    }
    const { asAlice, asRoot, sink, kms } = await open({ rules: [aliceUses, deny] })
    const slugs = async (client: KmsClient) => (await client.listKeys()).keys.map(({ slug }) => slug).sort()
    assert.deepEqual(await slugs(asRoot), ['archive-1', 'orders', 'payroll'])
    assert.deepEqual(await slugs(asAlice), ['orders'])
    assert.deepEqual(
      sink.entries.map(({ details, actor }) => [actor?.id, details?.count]),
      [
        ['root', 3],
        ['alice', 1],
      ],
    )
    assert.equal((await refusal(kms.with(bob).listKeys())).code, 'ACCESS_DENIED')
  })

  test('is denied as a call by a deny of every key only', async () => {
    const deny: AccessRule = { ...aliceUses, id: 'no', effect: 'deny', actions: ['kms:ListKeys'], keys: ['orders'] }
    const some = await open({ rules: [aliceUses, deny] })
    assert.deepEqual(
      (await some.asAlice.listKeys()).keys.map(({ slug }) => slug),
      ['archive-1'],
    )
    const none = await open({ rules: [aliceUses, { ...deny, keys: ['*'] }] })
    assert.equal((await refusal(none.asAlice.listKeys())).code, 'ACCESS_DENIED')
  })
})

test('createKey is held to the slug that it asks for; without one it takes a rule for every key', async () => {
  const makes: AccessRule = { ...aliceUses, actions: ['kms:CreateKey'], keys: ['archive-*'] }
  const { asAlice } = await open({ rules: [makes] })
  await asAlice.createKey({ slug: 'archive-2' })
  assert.equal((await refusal(asAlice.createKey({ slug: 'pay' }))).code, 'ACCESS_DENIED')
  assert.equal((await refusal(asAlice.createKey({}))).code, 'ACCESS_DENIED')
  const every = await open({ rules: [{ ...makes, keys: ['*'] }] })
  await every.asAlice.createKey({})
})

test('the keystore itself is spoken of by rules for every key only', async () => {
  const of = fakeProvider()
  const { asAlice, asRoot } = await open({
    of,
    rules: [
      { ...aliceUses, actions: ['kms:GetWrappingKey'], keys: ['a*', '*z'] },
      { ...anything, id: 'deny', effect: 'deny', actions: ['kms:*'], keys: ['nothing*'] },
    ],
  })
  of.tell('getWrappingKey', { throws: new KmsError('THROTTLED', 'asked') })
  assert.equal((await refusal(asAlice.getWrappingKey())).code, 'ACCESS_DENIED')
  assert.equal((await refusal(asRoot.getWrappingKey())).code, 'THROTTLED')
})

test('a scheduler that the rules name rotates and destroys what is due, and nothing that it may not', async () => {
  const clock = fakeClock()
  const scheduler: AccessRule = {
    id: 'scheduler',
    effect: 'allow',
    actors: ['system:scheduler'],
    actions: ['kms:ReadAccess', 'kms:RotateScheduled', 'kms:DestroyKey'],
    keys: ['*'],
  }
  const { asRoot, kms } = await open({
    of: memoryKms({ clock }),
    rules: [scheduler, { ...scheduler, id: 'keep', effect: 'deny', actions: ['kms:DestroyKey'], keys: ['payroll'] }],
    clock,
    client: { audit: { required: [memorySink()], clock } },
  })
  await asRoot.updateRotation({ key: 'orders', keyRotationEnabled: true, rotationPeriodInDays: 1 })
  for (const key of ['archive-1', 'payroll']) await asRoot.scheduleKeyDeletion({ key, pendingWindowInDays: 7 })
  clock.advance(8 * 86_400_000)
  const bySystem = kms.with({ actor: { type: 'system', id: 'scheduler' } })
  assert.deepEqual(
    (await bySystem.rotateDueKeys()).map(({ ok }) => ok),
    [true],
  )
  const destroyed = await bySystem.destroyDueKeys()
  assert.deepEqual(
    destroyed.map((one) => (one.ok ? one.key.slug : one.error.code)),
    ['archive-1', 'ACCESS_DENIED'],
  )
  assert.equal((await refusal(bySystem.rotate({ key: 'orders' }))).code, 'ACCESS_DENIED')
  assert.equal((await refusal(kms.rotateDueKeys())).code, 'ACCESS_DENIED')
})

describe('hideExistence', () => {
  const bobSees: AccessRule = { ...aliceUses, id: 'bob', actors: ['user:bob'], keys: ['archive-1'] }
  const deny: AccessRule = { ...aliceUses, id: 'no-pay', effect: 'deny', actors: ['*'], keys: ['payroll'] }

  /** What a caller can see of a refusal, but for the name that it gave itself. */
  function seen(error: KmsError, name: string) {
    const own = Object.fromEntries(
      Object.getOwnPropertyNames(error)
        .filter((field) => field !== 'stack')
        .map((field) => [field, (error as unknown as Record<string, unknown>)[field]]),
    )
    assert.equal(own['key'], name)
    assert.match(String(own['eventID']), /^[0-9a-f-]{36}$/)
    return { ...own, key: '', eventID: '', text: String(error), cause: String(error.cause) }
  }

  test('a key that is denied and one that there is not look alike to the caller, in every operation; entries tell', async () => {
    const { kms, sink, asRoot, identity } = await open({ rules: [bobSees, deny], hideExistence: true })
    await asRoot.disableKey({ key: 'orders' })
    const asBob = kms.with(bob)
    const ciphertext = Uint8Array.of(1)
    const spki = Uint8Array.of(1)
    const operations = [
      (key: string) => asBob.encrypt({ key, plaintext }),
      (key: string) => asBob.decrypt({ key, ciphertext }),
      (key: string) => asBob.sign({ key, input: plaintext }),
      (key: string) => asBob.verifyHmac({ key, input: plaintext, hmac: spki }),
      (key: string) => asBob.generateDataKey({ key }),
      (key: string) => asBob.reEncrypt({ key, ciphertext }),
      (key: string) => asBob.describeKey({ key }),
      (key: string) => asBob.getPublicKey({ key }),
      (key: string) => asBob.rotate({ key }),
      (key: string) => asBob.export({ key, recipient: spki }),
      (key: string) => asBob.importKeyVersion({ key, keyVersion: 2, keyMaterial: plaintext }),
      (key: string) => asBob.scheduleKeyDeletion({ key }),
      // Refused at the door, either way.
      (key: string) => asBob.encrypt({ key, plaintext: new Uint8Array(0) }),
    ]
    for (const call of operations) {
      const unknown = seen(await refusal(call('nothing')), 'nothing')
      for (const [name, rule] of [
        ['payroll', 'no-pay'],
        [identity('payroll'), 'no-pay'],
        ['orders', undefined],
      ] as const) {
        const denied = await refusal(call(name))
        assert.deepEqual(seen(denied, name), unknown)
        const entry = sink.entries.at(-1)
        assert.equal(entry?.eventID, denied.eventID)
        if (denied.code === 'INVALID_INPUT') continue
        assert.deepEqual([denied.code, denied.statusCode], ['KEY_NOT_FOUND', 404])
        assert.deepEqual([entry?.error, entry?.statusCode], ['ACCESS_DENIED', 403])
        // A deny of some actions is not what refuses the others.
        if (entry?.action === 'kms.encrypt') assert.equal(entry.details?.rule, rule)
        assert.equal(entry?.keySlug, name === 'orders' ? 'orders' : 'payroll')
      }
    }
    validEntries(sink.entries)
  })

  test('also where it is the destination of a reEncrypt', async () => {
    const { kms, sink, asRoot } = await open({ rules: [bobSees, deny], hideExistence: true })
    const { ciphertext } = await asRoot.encrypt({ key: 'archive-1', plaintext })
    // `bobSees` gives decrypt and encrypt on the source.
    const call = (destinationKey: string) => kms.with(bob).reEncrypt({ key: 'archive-1', ciphertext, destinationKey })
    const unknown = seen(await refusal(call('nothing')), 'archive-1')
    assert.deepEqual(seen(await refusal(call('payroll')), 'archive-1'), unknown)
    assert.equal(sink.entries.at(-1)?.error, 'ACCESS_DENIED')
    const malformed = (destinationKey: string) =>
      kms.with(bob).reEncrypt({ key: 'archive-1', ciphertext: Uint8Array.of(1), destinationKey })
    assert.deepEqual(seen(await refusal(malformed('payroll')), 'archive-1'), unknown)
    assert.deepEqual(seen(await refusal(malformed('nothing')), 'archive-1'), unknown)
  })

  test('asks the provider what it says of no key, so that it costs the same', async () => {
    const inner = memoryKms()
    const asked: string[] = []
    const of: KmsProvider = {
      name: 'remote',
      operations: inner.operations,
      resolve: async (name, scope) => {
        asked.push(name)
        try {
          return await (inner.resolve?.(name, scope) ?? assert.fail())
        } catch {
          const cause = Object.assign(new Error('private'), { name: 'NotFoundException' })
          throw new KmsError('KEY_NOT_FOUND', 'the service has no such key', { cause })
        }
      },
    }
    const { kms } = await open({ of, rules: [deny], hideExistence: true })
    asked.length = 0
    const denied = await refusal(kms.with(bob).encrypt({ key: 'payroll', plaintext }))
    assert.deepEqual(asked, ['payroll', 'kms-none'])
    const unknown = await refusal(kms.with(bob).encrypt({ key: 'nothing', plaintext }))
    assert.deepEqual(seen(denied, 'payroll'), seen(unknown, 'nothing'))
    assert.match(String(denied.cause), /NotFoundException/)
  })

  test('many refusals are joined into one entry of the same kind, whether there is the key or not', async () => {
    const sink = memorySink()
    const { kms } = await open({
      rules: [deny],
      hideExistence: true,
      client: { audit: { required: [sink], floods: { perWindow: 3 } } },
    })
    const asBob = kms.with(bob)
    for (let number = 0; number < 5; number++)
      for (const key of ['payroll', 'nothing']) {
        const { code, eventID } = await refusal(asBob.encrypt({ key, plaintext }))
        assert.equal(code, 'KEY_NOT_FOUND')
        assert.ok(eventID)
      }
    await kms.close()
    const joined = sink.entries.filter(({ details }) => details?.joined !== undefined)
    assert.deepEqual(joined.map(({ error, details }) => [error, details?.joined]).sort(), [
      ['ACCESS_DENIED', 2],
      ['KEY_NOT_FOUND', 2],
    ])
  })

  test('calls that name no key are refused as ever', async () => {
    const { kms } = await open({ rules: [deny], hideExistence: true })
    const asBob = kms.with(bob)
    for (const call of [asBob.listKeys(), asBob.createKey({ slug: 'mine' }), asBob.getWrappingKey()])
      assert.equal((await refusal(call)).code, 'ACCESS_DENIED')
  })

  test('a refusal is about as quick as not finding the key', async () => {
    const { kms } = await open({
      rules: [deny],
      hideExistence: true,
      client: {
        audit: { required: [memorySink({ maxEntries: 1_000_000 })], floods: { perWindow: Number.POSITIVE_INFINITY } },
      },
    })
    const asBob = kms.with(bob)
    const time = async (key: string) => {
      const begun = performance.now()
      for (let number = 0; number < 200; number++) await refusal(asBob.encrypt({ key, plaintext }))
      return performance.now() - begun
    }
    const ratios: number[] = []
    for (let round = 0; round < 15; round++) ratios.push((await time('payroll')) / (await time('nothing')))
    const middle = ratios.sort((a, b) => a - b)[7] ?? Number.NaN
    // A round trip to a disk, say, would be a factor of a hundred.
    assert.ok(middle < 4 && middle > 0.25, `denied ÷ unknown: ${middle}`)
  })
})

test('a provider that does not resolve leaves the key unknown: allowed by rules for every key, and denied by any', async () => {
  const { name, operations } = memoryKms()
  const of: KmsProvider = { name, operations }
  const named = await open({ of, knowing: false, rules: [aliceUses] })
  assert.equal((await refusal(named.asAlice.encrypt({ key: 'orders', plaintext }))).code, 'ACCESS_DENIED')
  const every = { ...aliceUses, keys: ['*'] }
  const { asAlice } = await open({ of: { name, operations: memoryKms().operations }, knowing: false, rules: [every] })
  await asAlice.encrypt({ key: 'orders', plaintext })
  const deny: AccessRule = { ...aliceUses, id: 'no-pay', effect: 'deny', keys: ['payroll'] }
  const denied = await open({ of: { name, operations: memoryKms().operations }, knowing: false, rules: [every, deny] })
  await refusal(denied.asAlice.encrypt({ key: 'orders', plaintext }))
  assert.equal(denied.sink.entries.at(-1)?.details?.rule, 'no-pay')
})

/** Bytes, of what is still in use. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
