/** What tests assert of entries: that it holds where it should, that it fails where it should, and that the failure explains itself. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import {
  type EntryCriteria,
  type EntryMatchers,
  exampleEntry,
  expectEntries,
  keytrailMatchers,
} from '../../src/testing/index.ts'

const plaintext = new TextEncoder().encode('attack at dawn')

/** A key made, something encrypted by alice, decrypted twice (once in vain), rotated. */
async function story() {
  const sink = memorySink()
  const kms = new KmsClient({
    provider: memoryKms(),
    audit: { required: [sink] },
    region: 'nl-01',
    project: 'billing',
  })
  const { key } = await kms.createKey({ slug: 'orders' })
  const alice = kms.with({
    actor: { type: 'user', id: 'alice', name: 'Alice' },
    clientIp: '192.0.2.7',
    userAgent: 'curl/8.5',
    requestId: 'r-1',
    method: 'POST',
    route: '/orders/:id',
    origin: { service: 'checkout', resource: '/orders/17' },
    reason: { code: 'support', ticket: 'T-9' },
  })
  const encryptionContext = { order: '17', tenant: 'acme' }
  const { ciphertext } = await alice.encrypt({ key: 'orders', plaintext, encryptionContext })
  await kms.decrypt({ key: 'orders', ciphertext, encryptionContext })
  await kms.decrypt({ key: 'orders', ciphertext }).catch(() => undefined)
  await kms.rotate({ key: 'orders' })
  return { sink, kms, identity: key.identity }
}

const { sink, identity } = await story()

/** Every one of these holds of the story; changed as said, it does not. */
const criteria: readonly (readonly [action: string, holds: EntryCriteria, fails: EntryCriteria])[] = [
  ['kms.encrypt', { key: 'orders' }, { key: 'invoices' }],
  ['kms.encrypt', { key: identity }, { key: `${identity}x` }],
  ['kms.encrypt', { key: /^ord/ }, { key: /^inv/ }],
  ['kms.encrypt', { keyType: 'xaes256-gcm' }, { keyType: 'aes256-gcm96' }],
  ['kms.encrypt', { keyVersion: 1 }, { keyVersion: 2 }],
  ['kms.rotate', { keyVersion: 2, details: { previousVersion: 1 } }, { details: { previousVersion: 2 } }],
  ['kms.rotate', { phase: 'intent', outcome: 'pending' }, { phase: 'intent', outcome: 'success' }],
  ['kms.rotate', { phase: 'any', times: 2 }, { phase: 'any', times: 1 }],
  ['kms.rotate', { times: 1 }, { times: 2 }],
  ['kms.decrypt', { outcome: 'failure', error: 'INVALID_CIPHERTEXT' }, { outcome: 'failure', error: 'KEY_NOT_FOUND' }],
  [
    'kms.decrypt',
    { details: { decryptFailure: 'authentication_failed' } },
    { details: { decryptFailure: 'malformed' } },
  ],
  ['kms.decrypt', { statusCode: 400 }, { statusCode: 404 }],
  ['kms.decrypt', { error: null }, { error: null, outcome: 'failure' }],
  ['kms.decrypt', { actor: { type: 'unknown' } }, { actor: { type: 'user' } }],
  ['kms.decrypt', { clientIp: null }, { clientIp: '192.0.2.7' }],
  ['kms.decrypt', { origin: null, reason: null }, { origin: 'checkout' }],
  ['kms.decrypt', { times: 2 }, { times: 3 }],
  ['kms.decrypt', { latestVersion: null }, { latestVersion: false }],
  ['kms.encrypt', { actor: 'alice' }, { actor: 'bob' }],
  ['kms.encrypt', { actor: /lic/ }, { actor: /bob/ }],
  ['kms.encrypt', { actor: { type: 'user', name: 'Alice' } }, { actor: { type: 'client', name: 'Alice' } }],
  ['kms.encrypt', { actor: { source: 'context' } }, { actor: { source: 'call' } }],
  ['kms.encrypt', { clientIp: '192.0.2.7' }, { clientIp: '192.0.2.8' }],
  ['kms.encrypt', { userAgent: /^curl/ }, { userAgent: /^Mozilla/ }],
  ['kms.encrypt', { requestId: 'r-1' }, { requestId: 'r-2' }],
  ['kms.encrypt', { traceparent: null }, { traceparent: /^00-/ }],
  ['kms.encrypt', { method: 'POST', route: '/orders/:id' }, { method: 'POST', route: '/orders/17' }],
  ['kms.encrypt', { origin: 'checkout' }, { origin: 'billing' }],
  ['kms.encrypt', { origin: { resource: '/orders/17' } }, { origin: { resource: '/orders/18' } }],
  ['kms.encrypt', { reason: 'support' }, { reason: 'audit' }],
  ['kms.encrypt', { reason: { ticket: 'T-9' } }, { reason: { ticket: null } }],
  ['kms.encrypt', { provider: 'memory' }, { provider: 'local' }],
  ['kms.encrypt', { payloadSizes: { plaintext: 14 } }, { payloadSizes: { plaintext: 15 } }],
  ['kms.encrypt', { payloadSizes: { signature: null } }, { payloadSizes: { ciphertext: null } }],
  ['kms.encrypt', { encryptionContext: { order: '17' } }, { encryptionContext: { order: '18' } }],
  ['kms.encrypt', { encryptionContext: { order: /7$/ } }, { encryptionContext: { order: null } }],
  ['kms.encrypt', { encryptionContext: { constructor: null } }, { encryptionContext: { constructor: /./ } }],
  ['kms.encrypt', { region: 'nl-01', project: 'billing' }, { region: 'nl-01', project: 'shop' }],
  ['kms.encrypt', { resourceType: 'kms_key', resourceIdentity: identity }, { resourceType: 'secret' }],
  ['kms.*', { times: 4 }, { times: 5 }],
  ['*', { times: 5 }, { times: 6 }],
  ['kms_key.create', { phase: 'intent', operationID: /-7/ }, { operationID: null }],
  ['audit.*', { times: 1 }, { outcome: 'failure' }],
  [
    'audit.opened',
    { details: { sinks: [{ name: 'memory', durability: 'memory', required: true }] } },
    { details: { sinks: [] } },
  ],
]

describe('a criterion holds of an entry that meets it, and fails with the entries that do not', () => {
  for (const [action, holds, fails] of criteria)
    test(`${action} ${String(Object.entries(holds).map(([name, value]) => `${name} ${JSON.stringify(value)}`))}`, () => {
      assert.ok(expectEntries(sink).toHaveRecorded(action, holds).length > 0)
      throwsAssertion(() => expectEntries(sink).not.toHaveRecorded(action, holds))
      throwsAssertion(() => expectEntries(sink).toHaveRecorded(action, fails))
      expectEntries(sink).not.toHaveRecorded(action, fails)
    })
})

test('the verdict of a verification is a criterion, and `false` is not absent', () => {
  const entries = [exampleEntry(0, { action: 'kms.verify', valid: false })]
  expectEntries(entries).toHaveRecorded('kms.verify', { valid: false, outcome: 'success' })
  throwsAssertion(() => expectEntries(entries).toHaveRecorded('kms.verify', { valid: true }))
  throwsAssertion(() => expectEntries(entries).toHaveRecorded('kms.verify', { valid: null }))
})

test('a key is found as the second one of a re-encryption too', () => {
  const destinationKey = { identity: 'kms-new', slug: 'archive', keyType: 'xaes256-gcm' }
  const entries = [exampleEntry(0, { action: 'kms.re_encrypt', details: { destinationKey } })]
  for (const key of ['orders', 'kms-example', 'archive', 'kms-new'])
    expectEntries(entries).toHaveRecorded('kms.re_encrypt', { key })
  expectEntries(entries).not.toHaveRecorded('kms.re_encrypt', { key: 'invoices' })
})

test("the path of a secret is its resource, and no key's name", () => {
  const entries = [exampleEntry(0, { action: 'secret.get_value', resourceType: 'secret', resourceIdentity: '/db' })]
  expectEntries(entries).toHaveRecorded('secret.get_value', { resourceIdentity: '/db', key: 'orders' })
  expectEntries(entries).not.toHaveRecorded('secret.get_value', { key: '/db' })
})

test("matchers of Jest's and Vitest's kind are asked", () => {
  const above = (least: number) => ({ asymmetricMatch: (found: unknown) => Number(found) > least })
  expectEntries(sink).toHaveRecorded('kms.encrypt', { payloadSizes: { ciphertext: above(14) } })
  expectEntries(sink).not.toHaveRecorded('kms.encrypt', { payloadSizes: { ciphertext: above(1000) } })
})

test('gives the matching entries for a further look', () => {
  const found = expectEntries(sink).toHaveRecorded('kms.decrypt')
  assert.deepEqual(
    found.map(({ outcome }) => outcome),
    ['success', 'failure'],
  )
})

test('looks at the entries of the moment: of a sink, of whatever has entries, of a list', async () => {
  const { sink, kms } = await story()
  const expectation = expectEntries(sink)
  expectation.not.toHaveRecorded('kms_key.disable')
  await kms.disableKey({ key: 'orders' })
  expectation.toHaveRecorded('kms_key.disable')
  expectEntries({ entries: sink.entries }).toHaveRecorded('kms_key.disable')
  expectEntries(sink.entries).toHaveRecorded('kms_key.disable')
})

describe('in order', () => {
  test('others may stand between', () => {
    expectEntries(sink).toHaveRecordedInOrder(['kms_key.create', 'kms.encrypt', 'kms.rotate'])
    expectEntries(sink).toHaveRecordedInOrder([
      ['kms.rotate', { phase: 'intent' }],
      ['kms.rotate', { keyVersion: 2 }],
    ])
    expectEntries(sink).toHaveRecordedInOrder([['kms.decrypt', { times: 2 }], 'kms.rotate'])
  })
  test('the other way round fails, and one entry is not taken twice', () => {
    throwsAssertion(() => expectEntries(sink).toHaveRecordedInOrder(['kms.rotate', 'kms.encrypt']))
    throwsAssertion(() => expectEntries(sink).toHaveRecordedInOrder(['kms.encrypt', 'kms.encrypt']))
    throwsAssertion(() => expectEntries(sink).toHaveRecordedInOrder([['kms.decrypt', { times: 3 }]]))
    expectEntries(sink).not.toHaveRecordedInOrder(['kms.rotate', 'kms.encrypt'])
    throwsAssertion(() => expectEntries(sink).not.toHaveRecordedInOrder(['kms.encrypt', 'kms.rotate']))
  })
})

describe('only', () => {
  test('each is met and nothing else is there; intents of results and the own entries of the log aside', () => {
    expectEntries(sink).toHaveRecordedOnly(['kms_key.create', 'kms.*'])
    expectEntries(sink).toHaveRecordedOnly('*', { region: 'nl-01' })
    expectEntries(sink).toHaveRecordedOnly([
      'kms_key.create',
      'kms.encrypt',
      ['kms.decrypt', { times: 2 }],
      'kms.rotate',
    ])
  })
  test('another entry fails, and so does one that is missing or too many', () => {
    throwsAssertion(() => expectEntries(sink).toHaveRecordedOnly('kms.*'))
    throwsAssertion(() => expectEntries(sink).toHaveRecordedOnly(['*', 'kms.export']))
    throwsAssertion(() => expectEntries(sink).toHaveRecordedOnly(['*', ['kms.decrypt', { times: 1 }]]))
    expectEntries(sink).not.toHaveRecordedOnly('kms.*')
  })
  test('an intent without its result counts, and so does an amendment', () => {
    const intent = exampleEntry(0, { action: 'kms.rotate', phase: 'intent', outcome: 'pending', operationID: 'o-1' })
    const result = exampleEntry(1, { action: 'kms.rotate', operationID: 'o-1' })
    const amendment = exampleEntry(2, { action: 'kms.rotate', phase: 'amendment', operationID: 'o-1' })
    expectEntries([intent, result]).toHaveRecordedOnly('kms.rotate')
    throwsAssertion(() =>
      expectEntries([exampleEntry(3, { action: 'kms.rotate' }), intent]).toHaveRecordedOnly('kms.rotate'),
    )
    throwsAssertion(() => expectEntries([intent, result, amendment]).toHaveRecordedOnly('kms.rotate'))
    expectEntries([intent, result, amendment]).toHaveRecordedOnly('kms.rotate', { phase: 'any' })
  })
})

test('nothing is nothing but what the log says of itself', async () => {
  const sink = memorySink()
  expectEntries(sink).toHaveRecordedNothing()
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
  await kms.listKeys({}).catch(() => undefined)
  throwsAssertion(() => expectEntries(sink).toHaveRecordedNothing())
  expectEntries(sink).not.toHaveRecordedNothing()
  const opened = sink.entries.filter(({ action }) => action.startsWith('audit.'))
  assert.ok(opened.length > 0)
  expectEntries(opened).toHaveRecordedNothing()
  throwsAssertion(() => expectEntries(opened).not.toHaveRecordedNothing())
})

describe('what there is not is refused, whether it should be recorded or not', () => {
  test('and what there is, or may be in a group that is not ours, is not', () => {
    for (const action of [
      'kms_keystore.create',
      'kms_key.delete_alias',
      'secret.describe',
      'audit.read',
      'wallet.delete',
    ])
      expectEntries([]).not.toHaveRecorded(action)
  })

  // As a JavaScript author might write it.
  const wrong: readonly (readonly [action: unknown, criteria: unknown, says: RegExp])[] = [
    ['kms.decrpyt', undefined, /unknown action 'kms.decrpyt': did you mean 'kms.decrypt'\?/],
    ['kms.encypt', {}, /did you mean 'kms.encrypt'/],
    ['decrypt', {}, /did you mean 'kms.decrypt'/],
    ['kms.delete', {}, /did you mean 'kms_key.delete'/],
    ['kms_key.rotate', {}, /did you mean 'kms.rotate'/],
    ['kms.generateDataKey', {}, /did you mean 'kms.generate_data_key'/],
    ['secret.lists', {}, /did you mean 'secret.list'/],
    ['audit.reads', {}, /did you mean 'audit.read'/],
    ['kmss.*', {}, /did you mean 'kms\./],
    ['kms key', {}, /an action is a text/],
    [undefined, {}, /an action is a text|criteria stand/],
    ['kms.*.scheduled', {}, /an action is a text/],
    ['kms.decrypt', { outcom: 'success' }, /unknown criterion 'outcom': did you mean 'outcome'\?/],
    ['kms.decrypt', { colour: 'red' }, /unknown criterion 'colour': known are times, phase, key,/],
    ['kms.decrypt', { constructor: 'red' }, /unknown criterion 'constructor'/],
    ['kms.decrypt', { outcome: 'sucess' }, /outcome is never "sucess": it is one of pending, success/],
    ['kms.decrypt', { error: 'NOPE' }, /error is never "NOPE"/],
    ['kms.decrypt', { phase: 'results' }, /phase is never "results"/],
    ['kms.decrypt', { phase: null }, /phase is never "null"/],
    ['kms.decrypt', { key: undefined }, /key is undefined: leave it out, or say null/],
    ['kms.decrypt', { keyVersion: '1' }, /keyVersion must be a number, not "1"/],
    ['kms.decrypt', { key: 17 }, /key must be a text or a regular expression, not 17/],
    ['kms.decrypt', { key: { slug: 'orders' } }, /key must be a text or a regular expression/],
    ['kms.decrypt', { valid: 'false' }, /valid must be true or false/],
    ['kms.decrypt', { times: 0 }, /times must be 1 or more/],
    ['kms.decrypt', { times: undefined }, /times must be 1 or more/],
    ['kms.decrypt', { times: 1.5 }, /times must be 1 or more/],
    ['kms.decrypt', { actor: {} }, /actor: \{\} says nothing/],
    ['kms.decrypt', { actor: { idd: 'alice' } }, /unknown name in actor 'idd': did you mean 'id'\?/],
    ['kms.decrypt', { actor: { id: undefined } }, /actor.id is undefined/],
    ['kms.decrypt', { actor: { id: 7 } }, /actor.id must be a text/],
    ['kms.decrypt', { actor: { type: 'users' } }, /actor.type is never "users"/],
    [
      'kms.decrypt',
      { payloadSizes: { plainText: 3 } },
      /unknown name in payloadSizes 'plainText': did you mean 'plaintext'\?/,
    ],
    ['kms.decrypt', { payloadSizes: { plaintext: '3' } }, /payloadSizes.plaintext must be a number/],
    ['kms.decrypt', { payloadSizes: 3 }, /payloadSizes must be an object/],
    ['kms.decrypt', { details: { decryptFailures: 'malformed' } }, /unknown name in details/],
    ['kms.decrypt', { details: { destinationKey: {} } }, /details.destinationKey: \{\} says nothing/],
    ['kms.decrypt', { encryptionContext: {} }, /encryptionContext: \{\} says nothing/],
    ['kms.decrypt', { encryptionContext: { order: 17 } }, /encryptionContext.order must be a text/],
    ['kms.decrypt', 'orders', /criteria are an object/],
    ['kms.decrypt', null, /criteria are an object/],
  ]
  for (const [action, criteria, says] of wrong)
    test(`${String(action)} ${JSON.stringify(criteria)}`, () => {
      // Against the types, on purpose.
      const [name, asked] = [action as string, criteria as EntryCriteria]
      for (const matchers of [expectEntries(sink), expectEntries(sink).not] satisfies EntryMatchers<unknown>[]) {
        throwsRefusal(() => matchers.toHaveRecorded(name, asked), says)
        throwsRefusal(() => matchers.toHaveRecordedInOrder([[name, asked]]), says)
        throwsRefusal(() => matchers.toHaveRecordedOnly(name, asked), says)
      }
      throwsRefusal(() => keytrailMatchers.toHaveRecorded(sink, action, criteria), says)
    })

  test('lists without anything in them, and criteria beside a list', () => {
    for (const matchers of [expectEntries(sink), expectEntries(sink).not] satisfies EntryMatchers<unknown>[]) {
      throwsRefusal(() => matchers.toHaveRecordedInOrder([]), /a list of actions/)
      throwsRefusal(() => matchers.toHaveRecordedOnly([]), /a list of actions/)
      throwsRefusal(() => matchers.toHaveRecordedOnly(['kms.*'], { key: 'orders' }), /criteria stand in the list/)
    }
  })

  test('what has no entries', () => {
    const nothings: readonly unknown[] = [
      undefined,
      null,
      {},
      { entries: 'none' },
      7,
      Promise.resolve(sink),
      [{}],
      [null],
    ]
    for (const source of nothings) {
      const expectation = expectEntries(source as readonly AuditEntry[])
      throwsRefusal(() => expectation.toHaveRecorded('kms.*'), /entries|await|entry/)
      throwsRefusal(() => expectation.not.toHaveRecorded('kms.*'), /entries|await|entry/)
      throwsRefusal(() => expectation.toHaveRecordedNothing(), /entries|await|entry/)
    }
  })

  test('a promise, and what to do with it', () => {
    const promise = Promise.resolve(sink) as unknown as AuditEntry[]
    throwsRefusal(() => expectEntries(promise).not.toHaveRecorded('kms.*'), /await it first/)
  })

  test('an action of an integration that this version does not know is taken as it is', () => {
    expectEntries(sink).not.toHaveRecorded('wallet.open')
    expectEntries(sink).not.toHaveRecorded('wallet.*')
    expectEntries([exampleEntry(0, { action: 'kms.encrypts' })]).toHaveRecorded('kms.encrypts')
  })
})

describe('a failure explains itself', () => {
  test('what was expected, what came nearest and how it differs, and all there is', () => {
    const error = throwsAssertion(() =>
      expectEntries(sink).toHaveRecorded('kms.encrypt', {
        key: 'orders',
        actor: 'bob',
        encryptionContext: { order: '18' },
        error: 'KEY_NOT_FOUND',
      }),
    )
    assert.equal(
      error.message,
      `expected an entry kms.encrypt { key: "orders", actor: "bob", encryptionContext: { order: "18" }, error: "KEY_NOT_FOUND" }, and found none

nearest:
  4  kms.encrypt success orders v1
    actor: expected "bob", found "alice"
    encryptionContext.order: expected "18", found "17"
    error: expected "KEY_NOT_FOUND", found absent

recorded:
  2  kms_key.create pending orders
  3  kms_key.create success orders
  4  kms.encrypt success orders v1
  5  kms.decrypt success orders v1
  6  kms.decrypt failure orders v1 INVALID_CIPHERTEXT
  7  kms.rotate pending orders
  8  kms.rotate success orders v2`,
    )
    assert.deepEqual(error.expected, {
      action: 'kms.encrypt',
      key: 'orders',
      actor: 'bob',
      encryptionContext: { order: '18' },
      error: 'KEY_NOT_FOUND',
    })
    assert.deepEqual(error.actual, {
      action: 'kms.encrypt',
      key: 'orders',
      actor: 'alice',
      encryptionContext: { order: '17' },
      error: undefined,
    })
    assert.deepEqual([error.name, error.code, error.operator], ['AssertionError', 'ERR_ASSERTION', 'toHaveRecorded'])
  })

  test('an intent is not a result, and that is said', () => {
    const entries = [exampleEntry(0, { action: 'kms.rotate', phase: 'intent', outcome: 'pending' })]
    const { message } = throwsAssertion(() => expectEntries(entries).toHaveRecorded('kms.rotate'))
    assert.match(message, /phase: expected "result", found "intent"/)
  })

  test('another action with the same criteria is near, and without criteria none is', () => {
    const near = throwsAssertion(() =>
      expectEntries(sink).toHaveRecorded('kms.sign', { key: 'orders', actor: 'alice' }),
    )
    assert.match(
      near.message,
      /nearest:\n {2}4 {2}kms\.encrypt.*\n {4}action: expected "kms.sign", found "kms.encrypt"\n\n/,
    )
    const far = throwsAssertion(() => expectEntries(sink).toHaveRecorded('kms.sign'))
    assert.doesNotMatch(far.message, /nearest/)
  })

  test('how many there are, and which', () => {
    const more = throwsAssertion(() => expectEntries(sink).toHaveRecorded('kms.decrypt', { times: 1 }))
    assert.match(more.message, /^expected exactly 1 entry kms.decrypt \{ times: 1 \}, and found 2: entries 5, 6\n/)
    assert.deepEqual(
      [more.expected, more.actual],
      [
        { action: 'kms.decrypt', times: 1 },
        { action: 'kms.decrypt', times: 2 },
      ],
    )
    const fewer = throwsAssertion(() => expectEntries(sink).toHaveRecorded('kms.encrypt', { times: 2 }))
    assert.match(fewer.message, /^expected 2 entries kms.encrypt \{ times: 2 \}, and found 1: entry 4\n/)
  })

  test('what should not be there', () => {
    const { message, operator } = throwsAssertion(() =>
      expectEntries(sink).not.toHaveRecorded('kms.*', { outcome: 'failure' }),
    )
    assert.equal(
      message,
      'expected no entry kms.* { outcome: "failure" }, and found entry 6\n\n  6  kms.decrypt failure orders v1 INVALID_CIPHERTEXT',
    )
    assert.equal(operator, 'not.toHaveRecorded')
  })

  test('how far an order went', () => {
    const { message } = throwsAssertion(() =>
      expectEntries(sink).toHaveRecordedInOrder(['kms_key.create', 'kms.rotate', ['kms.encrypt', { key: 'orders' }]]),
    )
    assert.match(
      message,
      /1\. kms_key\.create \(entry 3\)\n {2}2\. kms\.rotate \(entry 8\)\n {2}3\. kms\.encrypt \{ key: "orders" \}\n\nfound no kms\.encrypt \{ key: "orders" \} after entry 8; there is one earlier: entry 4/,
    )
  })

  test('what is there besides, and what is missing', () => {
    const { message } = throwsAssertion(() =>
      expectEntries(sink).toHaveRecordedOnly(['kms_key.create', 'kms.encrypt', 'kms.sign']),
    )
    assert.match(message, /found 0, not 1, of kms.sign\n\nfound besides:\n {2}5 {2}kms\.decrypt/)
  })

  test('that nothing was recorded at all', () => {
    const { message } = throwsAssertion(() => expectEntries([]).toHaveRecorded('kms.decrypt'))
    assert.equal(message, 'expected an entry kms.decrypt, and found none\n\nnothing was recorded')
  })

  test('the end of a long list, and how much is before it', () => {
    const entries = Array.from({ length: 100 }, (_, at) => exampleEntry(at))
    const { message } = throwsAssertion(() => expectEntries(entries).toHaveRecorded('kms.sign'))
    assert.match(message, /… and 70 before these\n {3}71 {2}kms\.encrypt/)
    assert.ok(message.split('\n').length < 40)
  })

  test('text in it cannot move the cursor', () => {
    const entries = [exampleEntry(0, { keySlug: '\u001b[2Jroot\u202e' })]
    const { message } = throwsAssertion(() => expectEntries(entries).toHaveRecorded('kms.encrypt', { key: 'orders' }))
    assert.doesNotMatch(message, /[\u001b\u202e]/)
  })
})

interface ShownError extends Error {
  readonly code: string
  readonly operator: string
  readonly expected: unknown
  readonly actual: unknown
}

function throwsAssertion(run: () => unknown): ShownError {
  const error = thrownBy(run)
  assert.ok(error instanceof Error && error.name === 'AssertionError', `${String(error)} is no AssertionError`)
  // Just seen to be one.
  return error as ShownError
}

function throwsRefusal(run: () => unknown, says: RegExp): void {
  const error = thrownBy(run)
  assert.ok(error instanceof KmsError, `${String(error)} is no KmsError`)
  assert.equal(error.code, 'INVALID_INPUT')
  assert.match(error.message, says)
}

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw assert.fail('nothing was thrown')
}
