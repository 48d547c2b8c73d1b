import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { type ReconcileOptions, type Reconciliation, reconcile } from '../../../src/integrations/reconcile/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { account, each, entryOf, keyArn, kmsRecord, minute, ownEntry, ownRole, start, uuid } from './records.ts'

const mallory = `arn:aws:iam::${account}:user/mallory`

/** Both sides cover ten hours around what is given, which is in the middle of them. */
function compare(
  ours: readonly AuditEntry[],
  theirs: readonly object[],
  options: ReconcileOptions = {},
): Promise<Reconciliation> {
  const edges = [start - 300 * minute, start + 300 * minute]
  const entries = [...edges.map(ownEntry), ...ours]
  const other = edges.map((at) => kmsRecord({ name: 'ListKeys', at, keys: [] }))
  return reconcile(each(entries), each([...other, ...theirs]), options)
}

const told = ({ findings }: Reconciliation) =>
  findings.map(({ kind, about, ours, theirs }) => [
    about === undefined ? kind : `${kind} ${about}`,
    ours?.eventID,
    theirs?.eventID,
  ])

test('what both saw belongs together by its request id, and nothing is found', async () => {
  const actions = {
    Encrypt: 'kms.encrypt',
    Decrypt: 'kms.decrypt',
    ReEncrypt: 'kms.re_encrypt',
    Sign: 'kms.sign',
    Verify: 'kms.verify',
    GenerateMac: 'kms.hmac',
    VerifyMac: 'kms.verify_hmac',
    GenerateDataKey: 'kms.generate_data_key',
    GenerateDataKeyWithoutPlaintext: 'kms.generate_data_key',
    GenerateDataKeyPair: 'kms.generate_data_key_pair',
    RotateKeyOnDemand: 'kms.rotate',
    CreateKey: 'kms_key.create',
    DisableKey: 'kms_key.disable',
    EnableKeyRotation: 'kms_key.update',
    ScheduleKeyDeletion: 'kms_key.delete',
    GetPublicKey: 'kms_key.get_public_key',
    DescribeKey: 'kms_key.describe',
    ListAliases: 'kms_key.list',
    PutKeyPolicy: 'kms_key.put_key_policy',
    GetKeyRotationStatus: 'kms_key.get_key_rotation_status',
  }
  const pairs = Object.entries(actions).map(([name, action], number) => {
    const request = uuid(1, number)
    const at = start + number * minute
    // The clocks differ, and the export is in another order.
    return [entryOf({ action, request, at }), kmsRecord({ name, request, at: at - 2 * minute })] as const
  })
  const found = await compare(
    pairs.map(([entry]) => entry),
    pairs.map(([, record]) => record).reverse(),
  )
  assert.equal(found.agrees, true)
  assert.deepEqual([found.findings, found.notes], [[], []])
  const { calls, events, matched, reads } = found.counts
  assert.deepEqual([calls, events, matched, reads], [20, 22, 20, 2])
  assert.deepEqual(found.range, {
    from: new Date(start - 295 * minute).toISOString(),
    to: new Date(start + 295 * minute).toISOString(),
  })
})

describe('found only at AWS', () => {
  test('is a use of the key outside keytrail, with who, from where and by what', async () => {
    const record = kmsRecord({ name: 'Decrypt', arn: mallory, at: start + 1500 })
    const found = await compare([entryOf({ request: uuid(1, 1) })], [kmsRecord({ request: uuid(1, 1) }), record])
    assert.equal(found.agrees, false)
    assert.deepEqual(found.findings, [
      {
        kind: 'only-theirs',
        says: `${mallory} used ${keyArn(1)} at 2026-01-05T08:00:01.000Z (Decrypt), and no entry tells of it`,
        theirs: {
          eventID: record['eventID'],
          eventName: 'Decrypt',
          eventTime: '2026-01-05T08:00:01.000Z',
          key: keyArn(1),
          requestId: record['requestID'],
          principal: mallory,
          sourceIPAddress: '192.0.2.7',
          userAgent: 'aws-sdk-js/3.1162.0',
        },
      },
    ])
    assert.equal(found.counts.onlyTheirs, 1)
  })

  test('is one even at the same moment, with the same action, by the same role: another request is another call', async () => {
    const record = kmsRecord({ name: 'Encrypt' })
    const found = await compare([entryOf({ request: uuid(1, 1) })], [record, kmsRecord({ request: uuid(1, 1) })])
    assert.deepEqual(told(found), [['only-theirs', undefined, record['eventID']]])
    // And the one of ours that is not there is not taken for it.
    const lost = entryOf({ request: uuid(1, 2) })
    const both = await compare([lost], [record])
    assert.deepEqual(told(both).sort(), [
      ['only-ours', lost.eventID, undefined],
      ['only-theirs', undefined, record['eventID']],
    ])
  })

  for (const name of [
    'PutKeyPolicy',
    'CreateGrant',
    'ScheduleKeyDeletion',
    'DisableKey',
    'ReplicateKey',
    'SomethingNew',
  ])
    test(`${name} is a change of the key`, async () => {
      const found = await compare(
        [entryOf({ request: uuid(1, 1) })],
        [kmsRecord({ request: uuid(1, 1) }), kmsRecord({ name, arn: mallory })],
      )
      assert.match(found.findings[0]?.says ?? '', /mallory changed arn:.*no entry tells of it$/)
    })

  test('tells what AWS refused as refused', async () => {
    const found = await compare(
      [entryOf({ request: uuid(1, 1) })],
      [kmsRecord({ request: uuid(1, 1) }), kmsRecord({ name: 'Decrypt', arn: mallory, error: 'AccessDenied' })],
    )
    assert.match(found.findings[0]?.says ?? '', /mallory was refused \(AccessDenied\) when it would have used/)
  })

  test('an alias that was pointed at another key is one, though the trail does not know that key', async () => {
    const record = kmsRecord({
      name: 'UpdateAlias',
      arn: mallory,
      keys: [`arn:aws:kms:eu-west-1:${account}:alias/orders`, keyArn(66)],
      parameters: { aliasName: 'alias/orders', targetKeyId: keyArn(66) },
    })
    const found = await compare([entryOf({ request: uuid(1, 1) })], [kmsRecord({ request: uuid(1, 1) }), record])
    assert.deepEqual(told(found), [['only-theirs', undefined, record['eventID']]])
  })

  test('keys that only options name count as well, and what a role of keytrail does with any', async () => {
    const theirs = [
      kmsRecord({ keys: [keyArn(7)], arn: mallory, event: uuid(2, 1) }),
      kmsRecord({ keys: [keyArn(8)], arn: mallory, event: uuid(2, 2) }),
      kmsRecord({ keys: [keyArn(9)], event: uuid(2, 3) }),
      kmsRecord({
        keys: [],
        name: 'Decrypt',
        error: 'InvalidCiphertextException',
        parameters: null,
        event: uuid(2, 4),
      }),
    ]
    const { counts: without } = await compare([], theirs)
    assert.deepEqual([without.otherKeys, without.onlyTheirs], [4, 0])
    const role = `arn:aws:iam::${account}:role/keytrail`
    const options = { keys: [keyArn(7), uuid(0xceed, 8)], roles: [role] }
    const found = await compare([], theirs, options)
    assert.deepEqual(
      found.findings.map(({ theirs: record }) => record?.eventID),
      [uuid(2, 1), uuid(2, 2), uuid(2, 3), uuid(2, 4)],
    )
    assert.equal((await compare([], theirs, { roles: [ownRole] })).counts.onlyTheirs, 2)
  })
})

describe('found only in the trail', () => {
  test('is a success of which AWS tells nothing, by its request or without one', async () => {
    const entries = [entryOf({ request: uuid(1, 1), action: 'kms.decrypt' }), entryOf({ at: start + minute })]
    const found = await compare(entries, [kmsRecord({ name: 'ListKeys' })])
    assert.deepEqual(
      told(found),
      entries.map(({ eventID }) => ['only-ours', eventID, undefined]),
    )
    assert.match(
      found.findings[0]?.says ?? '',
      /AWS did kms.decrypt with arn:.* and there is no event of that request$/,
    )
    assert.match(found.findings[1]?.says ?? '', /no event that it could be$/)
    assert.match(found.notes[0] ?? '', /^the export holds no use of any key: for CloudTrail .* read-only/)
  })

  test('a request that two entries name is one, whatever AWS says', async () => {
    const entries = [1, 2].map(() => entryOf({ request: uuid(1, 1) }))
    const found = await compare(entries, [kmsRecord({ request: uuid(1, 1) })])
    assert.deepEqual(told(found), [['only-ours', entries[1]?.eventID, undefined]])
    // The same entry twice, as a trail and its spare have it, is one entry.
    const [entry = assert.fail()] = entries
    assert.equal((await compare([entry, entry], [kmsRecord({ request: uuid(1, 1) })])).agrees, true)
  })

  test('refusals before anything was sent, ends without an answer and refusals by AWS are none', async () => {
    const failed = (error: string, more: object = {}) => entryOf({ outcome: 'failure', error: error as never, ...more })
    const found = await compare(
      [
        failed('INVALID_INPUT'),
        failed('ACCESS_DENIED'),
        failed('UNSUPPORTED_OPERATION'),
        failed('DEADLINE_EXCEEDED'),
        failed('PROVIDER_UNAVAILABLE', { attempts: 3 }),
        failed('THROTTLED', { attempts: 3, request: uuid(1, 1) }),
        failed('INVALID_CIPHERTEXT', { request: uuid(1, 2) }),
        failed('KEY_NOT_FOUND', { request: uuid(1, 3) }),
        entryOf({ outcome: 'unknown', action: 'kms.rotate', operationID: uuid(9, 1) }),
      ],
      [],
    )
    const { calls, notSent, notArrived, failuresNotKept } = found.counts
    assert.deepEqual([found.findings, calls, notSent, notArrived, failuresNotKept], [[], 9, 3, 4, 2])
  })

  test('other providers, and what the log says of itself, are no calls of AWS', async () => {
    const found = await compare(
      [entryOf({ provider: { name: 'local' } }), entryOf({ action: 'audit.opened' }), entryOf({ phase: 'amendment' })],
      [],
    )
    assert.deepEqual([found.counts.calls, found.agrees], [0, true])
    const named = await compare([entryOf({ provider: { name: 'cloud' } })], [], { providers: ['cloud'] })
    assert.deepEqual([named.counts.calls, named.counts.onlyOurs], [1, 1])
  })
})

describe('of the same request, both', () => {
  const request = uuid(1, 1)
  const one = async (entry: AuditEntry, record: object) => {
    const found = await compare([entry], [record])
    return found.findings.map(({ about, says }) => [about, says])
  }

  test('tell of different actions, keys or outcomes', async () => {
    assert.deepEqual(await one(entryOf({ request }), kmsRecord({ request, name: 'Decrypt' })), [
      ['action', 'of one request, our entry is of kms.encrypt, and AWS says Decrypt'],
    ])
    assert.deepEqual(await one(entryOf({ request }), kmsRecord({ request, keys: [keyArn(2)] })), [
      ['key', `of one request, our entry names the key ${keyArn(1)}, and AWS says ${keyArn(2)}`],
    ])
    assert.deepEqual(await one(entryOf({ request }), kmsRecord({ request, error: 'AccessDenied' })), [
      ['outcome', 'of one request, our entry says success, and AWS says AccessDenied'],
    ])
    const failure = { outcome: 'failure', error: 'ACCESS_DENIED' } as const
    assert.deepEqual(await one(entryOf({ request, ...failure }), kmsRecord({ request })), [
      ['outcome', 'of one request, our entry says failure, and AWS says success'],
    ])
  })

  const agreeing: [string, AuditEntry, object][] = [
    [
      'a signature that is not valid is a success of ours and an error of theirs',
      entryOf({ request, action: 'kms.verify', valid: false }),
      kmsRecord({ request, name: 'Verify', error: 'KMSInvalidSignatureException' }),
    ],
    [
      'so is a MAC',
      entryOf({ request, action: 'kms.verify_hmac', valid: false }),
      kmsRecord({ request, name: 'VerifyMac', error: 'KMSInvalidMacException' }),
    ],
    [
      'an answer that came too late or broken may be a success of theirs',
      entryOf({ request, outcome: 'failure', error: 'PROVIDER_UNAVAILABLE' }),
      kmsRecord({ request }),
    ],
    [
      'a refusal may rest on what was read about the key',
      entryOf({ request, outcome: 'failure', error: 'KEY_NOT_FOUND', key: 'alias/absent' }),
      kmsRecord({ request, name: 'DescribeKey', keys: [], error: 'NotFoundException' }),
    ],
    [
      'the key of ours may be the destination or the source',
      entryOf({ request, action: 'kms.re_encrypt', key: keyArn(2) }),
      kmsRecord({ request, name: 'ReEncrypt', keys: [keyArn(2), keyArn(3)] }),
    ],
    [
      'a key may be named by id, ARN, alias or both',
      entryOf({ request, key: uuid(0xceed, 1) }),
      kmsRecord({ request, parameters: { keyId: 'alias/orders' } }),
    ],
    [
      'a key that ours names by an alias only, and theirs by its ARN, cannot be told apart',
      entryOf({ request, key: 'orders' }),
      kmsRecord({ request }),
    ],
    [
      'a replica is named by its mrk- id',
      entryOf({ request, key: `arn:aws:kms:eu-west-1:${account}:key/mrk-${'0a'.repeat(16)}` }),
      kmsRecord({ request, keys: [`arn:aws:kms:us-east-1:${account}:key/mrk-${'0a'.repeat(16)}`] }),
    ],
    [
      're-encrypting to another provider is a Decrypt there',
      entryOf({ request, action: 'kms.re_encrypt' }),
      kmsRecord({ request, name: 'Decrypt' }),
    ],
  ]
  for (const [name, entry, record] of agreeing)
    test(`${name}: no disagreement`, async () => assert.deepEqual(await one(entry, record), []))
})

describe('a call that was sent again', () => {
  const request = uuid(1, 1)

  test('takes the records of its other attempts, and no more than it made', async () => {
    const entry = entryOf({ request, attempts: 3, durationMs: 4000, at: start + 4000 })
    const again = (at: number, error?: string) => kmsRecord({ at: start + at, ...(error !== undefined && { error }) })
    const last = kmsRecord({ request, at: start + 4000 })
    const throttled = [again(0, 'ThrottlingException'), again(2000, 'ThrottlingException')]
    const found = await compare([entry], [last, ...throttled])
    assert.deepEqual([found.agrees, found.counts.matched, found.counts.retries], [true, 1, 2])
    // An attempt whose answer was lost was a success for AWS.
    assert.equal((await compare([entry], [last, again(0)])).agrees, true)
    const third = again(3000)
    const four = await compare([entry], [...throttled, third, last])
    assert.deepEqual(told(four), [['only-theirs', undefined, third['eventID']]])
  })

  test('does not take those of another key, another action, or before it began', async () => {
    const entry = entryOf({ request, attempts: 3, durationMs: 4000, at: start + 4000 })
    const last = kmsRecord({ request, at: start + 4000 })
    for (const fields of [{ keys: [keyArn(2)] }, { name: 'Decrypt' }, { at: start - 5000 }, { at: start + 9000 }]) {
      const record = kmsRecord({ error: 'ThrottlingException', at: start + 1000, ...fields })
      const found = await compare(
        [entry, entryOf({ key: keyArn(2), request: uuid(1, 9) })],
        [last, kmsRecord({ request: uuid(1, 9), keys: [keyArn(2)] }), record],
      )
      assert.deepEqual(told(found), [['only-theirs', undefined, record['eventID']]], inspect(fields))
    }
  })

  test('without an answer takes what may have been its attempts, by key and time', async () => {
    const cut = { outcome: 'failure', error: 'PROVIDER_UNAVAILABLE', attempts: 2 } as const
    const records = [1, 2, 3].map((second) => kmsRecord({ at: start + second * 1000 }))
    const found = await compare([entryOf(cut)], records)
    assert.deepEqual(told(found), [['only-theirs', undefined, records[2]?.['eventID']]])
    assert.deepEqual([found.counts.matchedByTime, found.counts.retries], [1, 1])
  })
})

describe('entries without a request id', () => {
  test('take one event each, within the window and no further', async () => {
    const near = [0, 1, 2].map((number) => entryOf({ at: start + number * minute, action: 'kms.decrypt' }))
    const records = [4, 5, 6].map((number) => kmsRecord({ name: 'Decrypt', at: start + number * minute }))
    const found = await compare(near, records)
    assert.deepEqual([found.agrees, found.counts.matchedByTime], [true, 3])
    const far = kmsRecord({ name: 'Decrypt', at: start + 8 * minute })
    const missed = await compare(near, [...records, far])
    assert.deepEqual(told(missed), [['only-theirs', undefined, far['eventID']]])
    const narrow = await compare(near, records, { windowMs: minute })
    assert.deepEqual([narrow.counts.onlyOurs, narrow.counts.onlyTheirs], [3, 3])
  })

  test('do not take an event of another outcome', async () => {
    const found = await compare([entryOf()], [kmsRecord({ error: 'DisabledException' })])
    assert.deepEqual([found.counts.onlyOurs, found.counts.onlyTheirs], [1, 1])
  })

  test('a change that a crash cut off takes what AWS did, also long before it was recovered', async () => {
    const operationID = uuid(9, 1)
    const change = { action: 'kms_key.disable', operationID }
    const intent = entryOf({ ...change, phase: 'intent', outcome: 'pending', provider: { name: 'migrating' } })
    const result = entryOf({ ...change, outcome: 'unknown', at: start + 100 * minute, details: { recovered: true } })
    const record = kmsRecord({ name: 'DisableKey', at: start + 1000 })
    for (const entries of [[intent, result], [intent]]) {
      const found = await compare(entries, [record])
      assert.deepEqual([found.agrees, found.counts.matchedByTime], [true, 1])
      assert.equal((await compare(entries, [])).agrees, true)
    }
    const other = await compare([intent, result], [record, kmsRecord({ name: 'DisableKey', at: start + 2000 })])
    // The entry tells no number of attempts: up to three are its own.
    assert.equal(other.agrees, true)
    assert.equal(
      (await compare([intent, result], [record, record, kmsRecord({ name: 'EnableKey' })])).counts.onlyTheirs,
      1,
    )
  })

  test('many refusals in one entry take as many events', async () => {
    const joined = entryOf({
      action: 'kms.decrypt',
      outcome: 'failure',
      error: 'INVALID_CIPHERTEXT',
      request: uuid(1, 0),
      details: {
        joined: 5,
        firstAt: new Date(start).toISOString(),
        lastAt: new Date(start + 9000).toISOString(),
      },
    })
    const records = [0, 1, 2, 3, 4, 5].map((number) =>
      kmsRecord({
        name: 'Decrypt',
        error: 'InvalidCiphertextException',
        request: uuid(1, number),
        at: start + number * 1000,
      }),
    )
    assert.equal((await compare([joined], records.slice(0, 5))).agrees, true)
    assert.equal((await compare([joined], records)).counts.onlyTheirs, 1)
  })

  test('of a migration: what AWS refused before another opened it, and what it opened for another', async () => {
    const refused = entryOf({
      action: 'kms.decrypt',
      key: 'kms-old',
      provider: { name: 'local' },
      details: { flags: ['refused_by.aws-kms'] },
    })
    const failure = kmsRecord({ name: 'Decrypt', error: 'InvalidCiphertextException', parameters: null })
    const known = [entryOf({ request: uuid(1, 1) })]
    const same = [kmsRecord({ request: uuid(1, 1) })]
    const found = await compare([...known, refused], [...same, failure])
    assert.deepEqual([found.agrees, found.counts.companions], [true, 1])
    assert.equal((await compare(known, [...same, failure])).counts.onlyTheirs, 1)

    const away = entryOf({
      action: 'kms.re_encrypt',
      provider: { name: 'local' },
      details: { flags: ['opened_by.aws-kms'] },
    })
    const opened = kmsRecord({ name: 'Decrypt' })
    assert.equal((await compare([...known, away], [...same, opened])).agrees, true)
    assert.equal((await compare(known, [...same, opened])).counts.onlyTheirs, 1)

    const byNobody = entryOf({
      action: 'kms.decrypt',
      outcome: 'failure',
      error: 'INVALID_CIPHERTEXT',
      provider: { name: 'migrating' },
    })
    assert.equal((await compare([...known, byNobody], [...same, failure])).agrees, true)
  })
})

test('what a new key brings with it is a part of its call: alias, tags, rotation, each once', async () => {
  const request = uuid(1, 1)
  const create = entryOf({ action: 'kms_key.create', request, at: start + 1000, durationMs: 900 })
  const parts = ['CreateAlias', 'TagResource', 'EnableKeyRotation'].map((name) => kmsRecord({ name, at: start }))
  for (const named of ['CreateKey', 'CreateAlias', 'DescribeKey']) {
    const others = ['CreateKey', 'CreateAlias'].filter((name) => name !== named).map((name) => kmsRecord({ name }))
    const found = await compare([create], [kmsRecord({ name: named, request }), ...others])
    assert.deepEqual([found.agrees, found.counts.companions], [true, others.length], named)
  }
  const second = kmsRecord({ name: 'CreateAlias', at: start + 1000 })
  const found = await compare([create], [kmsRecord({ name: 'CreateKey', request }), ...parts, second])
  assert.deepEqual(told(found), [['only-theirs', undefined, second['eventID']]])
})

test('so are the two halves of an import, whichever of them the entry names', async () => {
  const request = uuid(1, 1)
  const entry = entryOf({ action: 'kms_key.import', request })
  for (const [named, other] of [
    ['CreateKey', 'ImportKeyMaterial'],
    ['ImportKeyMaterial', 'CreateKey'],
  ] as const) {
    const found = await compare([entry], [kmsRecord({ name: named, request }), kmsRecord({ name: other })])
    assert.deepEqual([found.agrees, found.counts.companions], [true, 1])
  }
})

describe('not a finding, but counted', () => {
  test('reads by whomever, rotations and deletions by AWS, other keys and other services', async () => {
    const more = { eventType: 'AwsServiceEvent', requestParameters: null, userIdentity: { invokedBy: 'AWS Internal' } }
    const known = [entryOf({ request: uuid(1, 1) })]
    const found = await compare(known, [
      kmsRecord({ request: uuid(1, 1) }),
      ...['DescribeKey', 'ListAliases', 'GetKeyPolicy', 'GenerateRandom'].map((name) =>
        kmsRecord({ name, arn: mallory }),
      ),
      kmsRecord({ name: 'RotateKey', request: undefined, more }),
      kmsRecord({ name: 'DeleteKey', request: undefined, more }),
      kmsRecord({ name: 'Decrypt', arn: mallory, keys: [keyArn(44)] }),
      kmsRecord({ more: { eventSource: 's3.amazonaws.com' } }),
    ])
    const { reads, byAws, otherKeys, events } = found.counts
    assert.deepEqual([found.agrees, reads, byAws, otherKeys, events], [true, 6, 2, 1, 10])
  })

  test('calls of AWS services on someone’s behalf, told apart by service, action, key and who', async () => {
    const behalf = (name: string, invokedBy: string, at = start) => kmsRecord({ name, invokedBy, at, arn: mallory })
    const found = await compare(
      [entryOf({ request: uuid(1, 1) })],
      [
        kmsRecord({ request: uuid(1, 1) }),
        behalf('Decrypt', 's3.amazonaws.com'),
        behalf('GenerateDataKey', 's3.amazonaws.com'),
        behalf('Decrypt', 's3.amazonaws.com', start + minute),
        behalf('Decrypt', 'dynamodb.amazonaws.com'),
      ],
    )
    assert.equal(found.agrees, true)
    const use = { key: keyArn(1), principal: mallory }
    assert.deepEqual(found.services, [
      { service: 'dynamodb.amazonaws.com', eventName: 'Decrypt', ...use, calls: 1 },
      { service: 's3.amazonaws.com', eventName: 'Decrypt', ...use, calls: 2 },
      { service: 's3.amazonaws.com', eventName: 'GenerateDataKey', ...use, calls: 1 },
    ])
    assert.equal(found.counts.byServices, 4)
  })

  test('an event that was delivered twice is one, and so is one request told in two accounts', async () => {
    const request = uuid(1, 1)
    const record = kmsRecord({ request })
    const shared = kmsRecord({ request, more: { recipientAccountId: '444455556666', sharedEventID: uuid(3, 3) } })
    const found = await compare([entryOf({ request })], [record, record, shared])
    assert.deepEqual([found.agrees, found.counts.matched, found.counts.events], [true, 1, 4])
    const bypass = kmsRecord({ arn: mallory })
    assert.equal((await compare([entryOf({ request })], [record, bypass, bypass])).counts.onlyTheirs, 1)
  })
})

describe('the time that both cover', () => {
  const hours = (number: number) => start + number * 60 * minute
  const spanning = async (ours: readonly AuditEntry[], theirs: readonly object[], options?: ReconcileOptions) => {
    const { counts, range, agrees, notes } = await reconcile(each(ours), each(theirs), options)
    return { found: [counts.onlyOurs, counts.onlyTheirs, counts.outside], range, agrees, notes }
  }
  const edge = (at: number) => kmsRecord({ name: 'ListKeys', at, keys: [] })

  test('is from the later beginning to the earlier end, and outside it nothing is found', async () => {
    const ours = [ownEntry(hours(0)), entryOf({ at: hours(1), request: uuid(1, 1) }), ownEntry(hours(4))]
    const theirs = [edge(hours(2)), kmsRecord({ at: hours(5) }), edge(hours(6))]
    assert.deepEqual((await spanning(ours, theirs)).found, [0, 0, 2])
    const inside = [
      kmsRecord({ at: hours(3), event: uuid(4, 1) }),
      kmsRecord({ at: hours(4) - 4 * minute, event: uuid(4, 2) }),
      kmsRecord({ at: hours(2) + 4 * minute, event: uuid(4, 3) }),
    ]
    // Within the window of an end the clocks may deceive.
    assert.deepEqual((await spanning(ours, [...theirs, ...inside])).found, [0, 1, 4])
  })

  test('ends earlier for what AWS lacks: CloudTrail is late', async () => {
    const missing = (at: number) => entryOf({ at, request: uuid(5, at) })
    const ours = [
      ownEntry(hours(-1)),
      missing(hours(4) - 19 * minute),
      missing(hours(4) - 21 * minute),
      ownEntry(hours(9)),
    ]
    const theirs = [edge(hours(0)), edge(hours(4))]
    assert.deepEqual((await spanning(ours, theirs)).found, [1, 0, 1])
    assert.deepEqual((await spanning(ours, theirs, { delayMs: 13 * minute })).found, [2, 0, 0])
  })

  test('is what the options say, if they say it', async () => {
    const theirs = [edge(hours(0)), kmsRecord({ at: hours(3) }), edge(hours(4))]
    const ours = [entryOf({ at: hours(1), request: uuid(1, 1) })]
    assert.deepEqual((await spanning(ours, theirs)).found, [0, 0, 2])
    const given = { from: new Date(hours(0)), to: new Date(hours(4)) }
    const { found, range } = await spanning(ours, theirs, given)
    assert.deepEqual(found, [1, 1, 0])
    assert.deepEqual(range, { from: given.from.toISOString(), to: given.to.toISOString() })
  })

  test('without any, nothing was compared, and that is no agreement', async () => {
    for (const [ours, theirs] of [
      [[], []],
      [[entryOf({ at: hours(0) })], []],
      [[], [edge(hours(0)), edge(hours(9))]],
      [
        [ownEntry(hours(0)), ownEntry(hours(3))],
        [edge(hours(4)), edge(hours(9))],
      ],
    ] as const) {
      const { agrees, range, notes } = await spanning(ours, theirs)
      assert.deepEqual([agrees, range], [false, undefined])
      assert.match(notes[0] ?? '', /^nothing was compared/)
    }
  })
})

test('the same in any order, byte for byte', async () => {
  const ours = Array.from({ length: 30 }, (_, number) =>
    entryOf({ at: start + number * 1000, ...(number % 3 === 0 ? {} : { request: uuid(1, number) }) }),
  )
  const theirs = Array.from({ length: 30 }, (_, number) =>
    kmsRecord({ at: start + number * 1000, request: uuid(1, number + (number % 5 === 0 ? 100 : 0)) }),
  )
  const one = JSON.stringify(await compare(ours, theirs))
  assert.equal(JSON.stringify(await compare(ours.toReversed(), theirs.toReversed())), one)
  assert.ok(JSON.parse(one).findings.length > 3)
})

test('findings beyond the limit are counted only', async () => {
  const theirs = Array.from({ length: 7 }, (_, number) => kmsRecord({ at: start + number * 1000, arn: mallory }))
  const { findings, counts } = await compare([], theirs, { keys: [keyArn(1)], limit: 3 })
  assert.deepEqual([findings.length, counts.onlyTheirs], [3, 7])
})

test('a record that is none ends it, and is not quoted', async () => {
  const wrong: unknown[] = [
    null,
    'hunter2',
    [],
    {},
    { eventSource: 7 },
    { ...kmsRecord(), eventID: undefined },
    { ...kmsRecord(), eventName: 4 },
    { ...kmsRecord(), eventTime: 'hunter2' },
    { ...kmsRecord(), eventTime: 1767600000 },
    { CloudTrailEvent: '{"hunter2' },
    { CloudTrailEvent: '"hunter2"' },
  ]
  for (const record of wrong)
    await assert.rejects(reconcile(each([ownEntry(start)]), each([record])), (error) => {
      assert.ok(error instanceof KmsError && error.code === 'INVALID_INPUT', inspect(error))
      assert.match(error.message, /^record 1 is no record of CloudTrail: /)
      assert.doesNotMatch(inspect(error), /hunter2/)
      return true
    })
})

test('fields of other shapes than AWS tells are left out, not believed', async () => {
  const odd = kmsRecord({
    request: uuid(1, 1),
    more: {
      userIdentity: 'root',
      resources: { ARN: keyArn(2) },
      requestParameters: [keyArn(3)],
      responseElements: 'x',
      errorCode: '',
      sourceIPAddress: { toString: 'x' },
      userAgent: 'x'.repeat(9000),
    },
  })
  assert.equal((await compare([entryOf({ request: uuid(1, 1) })], [odd])).agrees, true)
  const { findings } = await compare(
    [],
    [{ ...odd, requestID: uuid(1, 2), resources: [{ ARN: keyArn(1) }, null, 7] }],
    {
      keys: [keyArn(1)],
    },
  )
  assert.equal(findings[0]?.theirs?.userAgent?.length, 518)
  assert.match(findings[0]?.says ?? '', /^somebody used/)
})

test('a wrong option is refused', async () => {
  const wrong: object[] = [
    { windowMs: -1 },
    { delayMs: Number.NaN },
    { attempts: 1.5 },
    { limit: '3' },
    { keys: 'orders' },
    { roles: [''] },
    { providers: [7] },
    { from: '2026-01-01' },
    { to: new Date('x') },
  ]
  for (const options of wrong)
    await assert.rejects(
      reconcile(each([]), each([]), options as ReconcileOptions),
      { code: 'INVALID_INPUT' },
      inspect(options),
    )
})
