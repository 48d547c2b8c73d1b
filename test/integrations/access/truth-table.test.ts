/** The policy against one written again, plainly and without an eye on speed, over random rules and calls. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type AccessAction, type AccessRule, accessPolicy } from '../../../src/integrations/access/index.ts'
import type { RequestContext } from '../../../src/model/context.ts'
import { evidenceOf, KmsError } from '../../../src/model/errors.ts'
import type { ResolvedKey, Scope } from '../../../src/model/key.ts'
import type { KmsCall, KmsMiddleware } from '../../../src/model/middleware.ts'
import { type Operation, type Output, operations } from '../../../src/model/operation.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { fakeProvider } from '../../../src/testing/provider.ts'

/** Per operation, the actions that a rule may name to allow it; written down again, so that a slip in the table is seen. */
const allowedBy: { readonly [O in Operation]: string } = {
  encrypt: 'Encrypt FullAccess *',
  decrypt: 'Decrypt FullAccess *',
  sign: 'Sign FullAccess *',
  verify: 'Verify FullAccess *',
  hmac: 'Hmac FullAccess *',
  verifyHmac: 'VerifyHmac FullAccess *',
  rotate: 'Rotate FullAccess *',
  rotateScheduled: 'RotateScheduled Rotate FullAccess *',
  export: 'Export',
  generateDataKey: 'GenerateDataKey Encrypt FullAccess *',
  reEncrypt: 'ReEncryptFrom Decrypt FullAccess *',
  createKey: 'CreateKey FullAccess *',
  importKey: 'ImportKey',
  importKeyVersion: 'ImportKeyVersion ImportKey',
  describeKey: 'DescribeKey ReadAccess FullAccess *',
  listKeys: 'ListKeys ReadAccess FullAccess *',
  enableKey: 'EnableKey FullAccess *',
  disableKey: 'DisableKey FullAccess *',
  scheduleKeyDeletion: 'ScheduleKeyDeletion FullAccess *',
  cancelKeyDeletion: 'CancelKeyDeletion FullAccess *',
  destroyKey: 'DestroyKey',
  updateRotation: 'UpdateRotation FullAccess *',
  updateMinDecryptionVersion: 'UpdateMinDecryptionVersion FullAccess *',
  getPublicKey: 'GetPublicKey ReadAccess FullAccess *',
  getWrappingKey: 'GetWrappingKey FullAccess *',
  rotateWrappingKey: 'RotateWrappingKey',
  rewrapRootKey: 'RewrapRootKey',
  rotateAuditSigner: 'RotateAuditSigner',
}
const wrappedExport = 'ExportWrapped Export'
const reEncryptTo = 'ReEncryptTo Encrypt FullAccess *'
const everyAction = [
  ...new Set([...Object.values(allowedBy), wrappedExport, reEncryptTo].flatMap((text) => text.split(' '))),
].map((name) => `kms:${name}` as AccessAction)

interface Call {
  readonly operation: Operation
  readonly context: RequestContext
  readonly scope: Scope
  readonly key: string | undefined
  readonly destination: string | undefined
  readonly slug: string | undefined
  readonly recipient: boolean
  readonly now: number
}

const slugs = ['orders', 'payroll-a', 'payroll-b']
const keyNamed = (slug: string): ResolvedKey => ({ slug, identity: `kms-${slug}-id`, keyType: 'aes256-gcm96' })

function glob(pattern: string, text: string): boolean {
  return new RegExp(`^${pattern.replace(/[.]/g, '\\.').replaceAll('*', '[^]*')}$`).test(text)
}

function names(patterns: readonly string[], key: ResolvedKey): boolean {
  return patterns.some((pattern) => glob(pattern, key.slug) || glob(pattern, key.identity))
}

/** Which deny refuses first, `default`, or undefined: allowed. */
function reference(rules: readonly AccessRule[], call: Call): string | undefined {
  const { operation, recipient } = call
  const granted = operation === 'export' && recipient ? wrappedExport : allowedBy[operation]
  const source = call.key === undefined ? undefined : keyNamed(call.key)
  const first = judged(rules, call, granted, source)
  if (first !== undefined || operation !== 'reEncrypt') return first
  return judged(rules, call, reEncryptTo, call.destination === undefined ? source : keyNamed(call.destination))
}

function judged(
  rules: readonly AccessRule[],
  call: Call,
  granted: string,
  key: ResolvedKey | undefined,
): string | undefined {
  const matching = rules.filter((rule) => matches(rule, call, granted, key))
  const deny = matching.find(({ effect }) => effect === 'deny')
  if (deny !== undefined) return deny.id
  return matching.length > 0 ? undefined : 'default'
}

function matches(rule: AccessRule, call: Call, granted: string, key: ResolvedKey | undefined): boolean {
  const denies = rule.effect === 'deny'
  const wanted = granted.split(' ').map((name) => `kms:${name}`)
  const everything = rule.actions.includes('kms:*') || rule.actions.includes('kms:FullAccess')
  if (!rule.actions.some((action) => wanted.includes(action)) && !(denies && everything)) return false

  const { actor, clientIp } = call.context
  const named = actor === undefined ? 'unknown' : `${actor.type}:${actor.id}`
  if (!rule.actors.some((pattern) => (actor === undefined ? pattern === 'unknown' : glob(pattern, named)))) return false

  const hasStar = rule.keys.includes('*')
  if (operations[call.operation].resourceType === 'kms_keystore') {
    if (!hasStar) return false
  } else if (call.operation === 'listKeys') {
    if (denies && !hasStar) return false
  } else if (call.operation === 'createKey' || call.operation === 'importKey') {
    const slug = call.slug
    if (slug === undefined) {
      if (!denies && !hasStar) return false
    } else if (!rule.keys.some((pattern) => glob(pattern, slug))) return false
  } else if (key === undefined) {
    if (!denies && !hasStar) return false
  } else if (!names(rule.keys, key)) return false

  const { project, region } = call.scope
  if (rule.projects && !(project !== undefined && rule.projects.some((pattern) => glob(pattern, project)))) return false
  if (rule.regions && !(region !== undefined && rule.regions.some((pattern) => glob(pattern, region)))) return false

  if (rule.networks) {
    // Networks of the rules below are whole octets.
    const ok = /^\d+\.\d+\.\d+\.\d+$/.test(clientIp ?? '')
    if (!ok && !denies) return false
    if (ok && !rule.networks.some((network) => clientIp?.startsWith(network.split('.0')[0] ?? ''))) return false
  }
  if (rule.hours) {
    const hour = new Date(call.now).getUTCHours()
    const { startHour: from, endHour: to } = rule.hours
    if (!(from < to ? hour >= from && hour < to : hour >= from || hour < to)) return false
  }
  return true
}

const some = <T>(...values: readonly T[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
const hoursOfDay = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 24 }))
  .filter(([startHour, endHour]) => startHour !== endHour)
  .map(([startHour, endHour]) => ({ startHour, endHour, timezone: 'UTC' }))

type Unnamed = Omit<AccessRule, 'id'>

const aRule: fc.Arbitrary<Unnamed> = fc
  .record({
    effect: fc.constantFrom<'allow' | 'deny'>('allow', 'allow', 'deny'),
    actors: some('user:alice', 'user:*', 'serviceAccount:a*', 'system:*', '*', 'unknown'),
    actions: fc.oneof(some(...everyAction), some<AccessAction>('kms:*', 'kms:FullAccess', 'kms:ReadAccess')),
    keys: some('orders', 'payroll-*', '*-b', 'kms-orders-id', 'kms-*', '*'),
    projects: maybe(some('billing', 'b*', 'other')),
    regions: maybe(some('nl-01', '*')),
    networks: maybe(some('10.0.0.0/8', '192.168.0.0/16')),
    hours: maybe(hoursOfDay),
  })
  // A condition that is absent is not there, as in a file.
  .map(
    (rule) => Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)) as unknown as Unnamed,
  )

const rulesOf = fc
  .array(aRule, { minLength: 1, maxLength: 8 })
  .map((rules) => rules.map((rule, at): AccessRule => ({ ...rule, id: `r${at}` })))

const aCall: fc.Arbitrary<Call> = fc.record({
  operation: fc.constantFrom(...(Object.keys(operations) as Operation[])),
  context: fc
    .record({
      actor: fc.constantFrom(
        undefined,
        { type: 'user' as const, id: 'alice' },
        { type: 'user' as const, id: 'unknown' },
        { type: 'serviceAccount' as const, id: 'app' },
        { type: 'serviceAccount' as const, id: 'bapp' },
        { type: 'system' as const, id: 'scheduler' },
        { type: 'client' as const, id: 'user:alice' },
      ),
      clientIp: fc.constantFrom(undefined, '10.1.2.3', '192.168.7.7', '8.8.8.8', '10.1.2.3/32', 'junk'),
    })
    .map(({ actor, clientIp }) => ({
      ...(actor !== undefined && { actor }),
      ...(clientIp !== undefined && { clientIp }),
    })),
  scope: fc.constantFrom<Scope>({}, { project: 'billing' }, { project: 'x', region: 'nl-01' }, { region: 'de-01' }),
  key: fc.constantFrom(undefined, ...slugs),
  destination: fc.constantFrom(undefined, ...slugs),
  slug: fc.constantFrom(undefined, ...slugs),
  recipient: fc.boolean(),
  now: fc.integer({ min: 0, max: 23 }).map((hour) => Date.UTC(2026, 0, 5, hour, 59)),
})

let now = 0
const clock = { ...fakeClock(), now: () => now }
const provider = { ...fakeProvider(), resolve: (slug: string) => keyNamed(slug) }

function policyOf(rules: readonly AccessRule[]): KmsMiddleware {
  return accessPolicy({ rules, provider, clock })
}

/** Undefined if the policy let the call go on, otherwise which rule refused. */
async function verdictOf(policy: KmsMiddleware, call: Call): Promise<string | undefined> {
  now = call.now
  const { operation, context, scope, key, destination, slug, recipient } = call
  const isNamed = 'key' in operations[operation].fields
  const made: KmsCall = {
    operation,
    action: operations[operation].action,
    input: {
      ...(isNamed && { key: key ?? 'any' }),
      ...(slug !== undefined && { slug }),
      ...(destination !== undefined && { destinationKey: destination }),
      ...(recipient && { recipient: Uint8Array.of(1) }),
    } as unknown as KmsCall['input'],
    context,
    scope,
    ...(isNamed && key !== undefined && { key: keyNamed(key) }),
  }
  let wentOn = false
  const output = { keys: [], ciphertext: new Uint8Array(1), destinationKey: keyNamed(destination ?? key ?? 'orders') }
  try {
    await policy(made, () => {
      wentOn = true
      return output as unknown as Output<Operation>
    })
    assert.ok(wentOn)
    return undefined
  } catch (error) {
    if (!(error instanceof KmsError)) throw error
    assert.equal(error.code, 'ACCESS_DENIED')
    assert.equal(wentOn, false, 'a refusal before the call')
    return evidenceOf(error).rule ?? 'default'
  }
}

describe('the policy', () => {
  test('judges as one written plainly does', async () => {
    const seen = { allowed: 0, denied: 0, default: 0 }
    await fc.assert(
      fc.asyncProperty(rulesOf, fc.array(aCall, { minLength: 20, maxLength: 20 }), async (rules, calls) => {
        const policy = policyOf(rules)
        for (const call of calls) {
          // The key that then sealed is told by the provider, and judged again: the answer of this one is made up.
          if (call.operation === 'reEncrypt' && call.key === undefined && call.destination === undefined) continue
          const expected = reference(rules, call)
          assert.equal(await verdictOf(policy, call), expected)
          seen[expected === undefined ? 'allowed' : expected === 'default' ? 'default' : 'denied'] += 1
        }
      }),
      { numRuns: 400 },
    )
    // All three were met, and often.
    for (const count of Object.values(seen)) assert.ok(count > 300, JSON.stringify(seen))
  })

  for (const operation of Object.keys(operations) as Operation[])
    test(`${operation} is allowed by each of its actions alone, and by no other`, async () => {
      const call = { operation, context: {}, scope: {}, key: 'orders', destination: undefined, slug: 'orders', now: 0 }
      for (const action of everyAction) {
        const rules: AccessRule[] = [{ id: 'x', effect: 'allow', actors: ['unknown'], actions: [action], keys: ['*'] }]
        if (operation === 'reEncrypt')
          rules.push({ id: 'y', effect: 'allow', actors: ['unknown'], actions: ['kms:ReEncryptTo'], keys: ['*'] })
        const isAllowed = (await verdictOf(policyOf(rules), { ...call, recipient: false })) === undefined
        assert.equal(isAllowed, allowedBy[operation].split(' ').includes(action.slice(4)), action)
      }
    })
})
