/** @node */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../../src/crypto/bytes.ts'
import { shippedRules } from '../../src/detect/index.ts'
import type { KmsClient } from '../../src/index.ts'
import { describeReview, type Review, type ReviewOptions, reviewTrail } from '../../src/report/index.ts'
import { pinTrail } from '../../src/trail/index.ts'
import { craft, vkeyOf } from '../trail/crafted.ts'
import { entriesFrom, entryAt, folderFor, segmentsIn, signerOf } from '../trail/entries.ts'
import { hostile } from './facts.ts'
import { type Rig, rig } from './rig.ts'

const day = 86_400_000
const hour = 3_600_000

const alice = { actor: { type: 'user', id: 'alice' }, clientIp: '203.0.113.9', userAgent: 'shop/1.2' } as const
const api = { actor: { type: 'serviceAccount', id: 'api' }, clientIp: '10.1.2.3', userAgent: 'api/4' } as const

async function refused(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, { name: 'KmsError' })
}

async function roundTrip(kms: KmsClient, key: string): Promise<void> {
  const { ciphertext } = await kms.encrypt({ key, plaintext: utf8('x') })
  await kms.decrypt({ key, ciphertext })
}

/** Four months: keys of every fate, and in the last week everything that a review is for. */
async function fourMonths(t: Parameters<typeof rig>[0]): Promise<Rig> {
  const one = await rig(t)
  const { clock, kms } = one
  await kms.createKey({ slug: 'orders', exportAllowed: true })
  await kms.createKey({ slug: 'dormant' })
  await kms.createKey({ slug: 'monthly', keyRotationEnabled: true, rotationPeriodInDays: 30 })
  await kms.createKey({ slug: 'yearly', keyRotationEnabled: true, rotationPeriodInDays: 365 })
  await roundTrip(kms.with(api), 'dormant')
  clock.step(118 * day)
  await one.trail.flush()
  const asApi = kms.with(api)
  for (let at = 0; at < 3; at++) await roundTrip(asApi, 'orders')
  await roundTrip(kms.with(alice), 'orders')
  clock.step(hour)
  const { ciphertext } = await asApi.encrypt({ key: 'orders', plaintext: utf8('x') })
  const swapped = ciphertext.slice()
  swapped[swapped.length - 1] = (swapped.at(-1) ?? 0) ^ 1
  await refused(kms.with(alice).decrypt({ key: 'orders', ciphertext: swapped }))
  await refused(kms.with(alice).decrypt({ key: 'nothing', ciphertext }))
  await refused(kms.with(alice).export({ key: 'monthly' }))
  const reason = { code: 'escrow', ticket: 'T-7' }
  await kms.with({ ...alice, reason }).export({ key: 'orders' })
  await kms.rotate({ key: 'orders' })
  await kms.disableKey({ key: 'yearly' })
  clock.step(hour / 2)
  return one
}

function reviewed({ path, clock }: Rig, options: ReviewOptions = {}): Promise<Review> {
  return reviewTrail(path, { clock, ...options })
}

test('real calls, from the client to the review', async (t) => {
  const one = await fourMonths(t)
  const review = await reviewed(one)
  assert.deepEqual([review.verdict?.verdict, review.instances, review.damagedLines], ['valid', ['main'], 0])
  assert.equal(Date.parse(review.to) - Date.parse(review.from), 7 * day)
  assert.ok(review.entriesRead > review.entries)

  assert.deepEqual(
    review.exports.map(({ key, outcome, error, form, actor, clientIp, reason, ticket }) => [
      ...[key, outcome, error, form, actor, clientIp, reason, ticket],
    ]),
    [
      ['monthly', 'failure', 'EXPORT_NOT_ALLOWED', undefined, 'user:alice', '203.0.113.9', undefined, undefined],
      ['orders', 'success', undefined, 'raw', 'user:alice', '203.0.113.9', 'escrow', 'T-7'],
    ],
  )
  assert.deepEqual(
    review.findings.map(({ rule, level }) => [rule, level]),
    [
      ['export', 'high'],
      ['rotation-overdue', 'medium'],
      ['manual-rotation', 'low'],
      ['key-disabled', 'low'],
    ],
  )

  const keys = new Map(review.keys.map((key) => [key.slug, key]))
  assert.deepEqual([...keys.keys()], ['dormant', 'monthly', 'orders', 'yearly'])
  const orders = keys.get('orders')
  assert.deepEqual(orders?.uses, { 'kms.encrypt': 5, 'kms.decrypt': 4, 'kms.export': 1, 'kms.rotate': 1 })
  assert.deepEqual([orders?.failures, orders?.latestVersion, orders?.unused], [1, 2, false])
  assert.deepEqual(orders?.decryptedBy, [
    { actor: 'serviceAccount:api', count: 3 },
    { actor: 'user:alice', count: 1 },
  ])
  assert.deepEqual(
    orders?.rotation.rotations.map(({ action, outcome }) => [action, outcome]),
    [['kms.rotate', 'success']],
  )
  assert.deepEqual([keys.get('dormant')?.unused, keys.get('dormant')?.uses], [true, {}])
  assert.equal(keys.get('monthly')?.rotation.state, 'overdue')
  assert.deepEqual([keys.get('yearly')?.status, keys.get('yearly')?.rotation.state], ['disabled', 'off'])

  assert.deepEqual(
    review.failures.map(({ statusCode, error, action, decryptFailure, count, actors }) => [
      ...[statusCode, error, action, decryptFailure, count, actors],
    ]),
    [
      [400, 'EXPORT_NOT_ALLOWED', 'kms.export', undefined, 1, 1],
      [400, 'INVALID_CIPHERTEXT', 'kms.decrypt', 'authentication_failed', 1, 1],
      [404, 'KEY_NOT_FOUND', 'kms.decrypt', undefined, 1, 1],
    ],
  )
  const actors = new Map(review.actors.map((actor) => [actor.actor, actor]))
  const acting = actors.get('user:alice')
  assert.deepEqual([acting?.failures, acting?.keys, acting?.networks, acting?.userAgents], [3, 2, 1, 1])
  assert.equal(
    review.hours.reduce((sum, count) => sum + count, 0),
    15,
  )
  assert.equal(review.silences.length, 1)
  assert.deepEqual([review.log.opened, review.log.missing, review.log.openIntents], [0, 0, []])
  assert.deepEqual(review.needsEyes, [
    '2 findings: 1 high, 1 medium',
    'key material was exported, once: orders',
    'an export was refused, once',
    '1 key should have rotated: monthly',
  ])
})

test('counted is the time reviewed alone, and up to its end', async (t) => {
  const one = await fourMonths(t)
  const start = Date.UTC(2026, 0, 2)
  const early = await reviewed(one, { from: new Date(start), to: new Date(start + 2 * day) })
  assert.deepEqual(
    early.keys.map(({ slug, status, rotation: { state }, unused }) => [slug, status, state, unused]),
    [
      ['dormant', 'active', 'off', false],
      ['monthly', 'active', 'on time', false],
      ['orders', 'active', 'off', false],
      ['yearly', 'active', 'on time', false],
    ],
  )
  // The clock of this test goes from day to day in one step.
  assert.deepEqual(
    early.findings.map(({ rule }) => rule),
    ['heartbeat-missing'],
  )
  assert.deepEqual([early.exports, early.failures, early.needsEyes], [[], [], ['1 finding: 1 medium']])
  assert.deepEqual(Object.fromEntries(early.actors.map(({ actor, uses }) => [actor, uses])), {
    unknown: { 'kms_key.create': 4 },
    'serviceAccount:api': { 'kms.encrypt': 1, 'kms.decrypt': 1 },
  })
  assert.ok(early.notes.some((note) => /entries are dated after the time reviewed/.test(note)))
  const before = await reviewed(one, { to: '2020-01-01' })
  assert.deepEqual([before.entries, before.keys, before.findings, before.needsEyes], [0, [], [], []])
  assert.deepEqual(before.notes.slice(2), [
    'the trail begins after the time reviewed',
    `${before.entriesRead} entries are dated after the time reviewed, and not counted`,
  ])
})

test('a quiet trail: nothing needs eyes, and every section says so', async (t) => {
  const one = await rig(t)
  await one.kms.createKey({ slug: 'orders' })
  await roundTrip(one.kms, 'orders')
  const path = join(one.folder, 'pin')
  await one.kms.close()
  one.clock.step(hour)
  await pinTrail(one.path, { out: path })
  const { vkey } = one.trail
  const review = await reviewed(one, { vkey, pin: path })
  assert.deepEqual([review.needsEyes, review.verdict?.anchor], [[], 'pin'])
  assert.deepEqual(review.notes, [
    'the trail begins within the time reviewed: what is usual, and what keys are used, it cannot tell yet',
  ])
  const page = describeReview(review)
  assert.match(page, /^VALID \(signed throughout by the key that was given; agrees with .*\n/)
  assert.match(page, /nothing needs eyes/)
  for (const section of ['Findings', 'Exports', 'Failures by cause', 'Keys unused for 90 days', 'Silences'])
    assert.ok(page.includes(`${section}: nothing`), section)
  const alone = await reviewed(one, { vkey: [] })
  assert.deepEqual(alone.needsEyes, [])
  assert.match(
    describeReview(alone),
    /^VALID \(self-consistent; key supplied by this directory\): nothing needs eyes\n/,
  )
  assert.equal(alone.notes.length, 3)
})

test('a trail that was tampered with, rolled back, cut, or not verified needs eyes', async (t) => {
  const one = await fourMonths(t)
  await one.kms.close()
  const pin = join(one.folder, 'pin')
  await pinTrail(one.path, { out: pin })

  const edited = join(one.folder, 'edited')
  cpSync(one.path, edited, { recursive: true })
  for (const { path, bytes } of segmentsIn(join(edited, 'main')))
    writeFileSync(path, bytes.toString('utf8').replace('"action":"kms.export"', '"action":"kms.encrypt"'))
  const tampered = await reviewTrail(edited, { clock: one.clock })
  assert.equal(tampered.verdict?.verdict, 'tampered')
  assert.match(tampered.needsEyes[0] ?? '', /^the trail main is tampered: /)
  assert.ok(tampered.notes.some((note) => /^\d+ entries are beyond what the verdict speaks of$/.test(note)))
  assert.match(describeReview(tampered), /^TAMPERED: \d things need eyes\n {2}! the trail main is tampered/)

  const cut = join(one.folder, 'cut')
  cpSync(one.path, cut, { recursive: true })
  const [segment] = segmentsIn(join(cut, 'main'))
  const lines = segment?.bytes.toString('utf8').split('\n').slice(0, -1) ?? []
  const before = lines.findLastIndex((line, at) => line.startsWith('{"commit"') && at < lines.length - 1)
  writeFileSync(segment?.path ?? '', `${lines.slice(0, before + 1).join('\n')}\n`)
  writeFileSync(join(cut, 'main/checkpoint'), JSON.parse(lines[before] ?? '').checkpoint)
  const back = await reviewTrail(cut, { clock: one.clock, pin })
  assert.match(back.needsEyes[0] ?? '', /^the trail main is rolled-back: the pin .* covers \d+ entries/)
  assert.ok((await reviewTrail(cut, { clock: one.clock })).needsEyes.every((says) => !says.includes('the trail main')))

  const torn = join(one.folder, 'torn')
  cpSync(one.path, torn, { recursive: true })
  for (const { path, bytes } of segmentsIn(join(torn, 'main')))
    writeFileSync(
      path,
      bytes.toString('utf8').replace(/\{"schema":"keytrail\/1"(?=[^\n]*"action":"kms.export")/, '{"sch'),
    )
  const damaged = await reviewTrail(torn, { clock: one.clock, verify: false })
  assert.ok(damaged.damagedLines >= 1)
  assert.equal(damaged.needsEyes[0], 'the trail was not verified: nobody can say that it is as it was written')
  assert.match(damaged.needsEyes[1] ?? '', /^\d+ lines? of the trail could not be read$/)
  assert.ok(damaged.needsEyes.some((says) => /running numbers? (is|are) missing/.test(says)))
  assert.match(describeReview(damaged), /^NOT VERIFIED: /)
  assert.equal(damaged.verdict, undefined)

  const other = await reviewed(one, { vkey: vkeyOf(signerOf(3), 'keytrail/another') })
  assert.match(other.needsEyes[0] ?? '', /^the trail main is unverifiable: no key was given for /)
})

test('what is suppressed is shown, marked, and needs no eyes; the level is asked for', async (t) => {
  const one = await fourMonths(t)
  const until = new Date(one.clock.now() + day).toISOString()
  const suppression = { id: 'escrow', rule: 'export', subject: { key: 'ord*' }, until, reason: 'T-7', by: 'user:bob' }
  const rules = shippedRules().filter(({ id }) => id === 'export')
  const held = await reviewed(one, { rules, suppressions: [suppression] })
  assert.deepEqual(held.findings[0]?.suppressed, { until, reason: 'T-7', by: 'user:bob' })
  assert.ok(held.needsEyes.every((says) => !says.includes('finding')))
  assert.ok(held.notes.includes('1 finding is suppressed'))
  assert.match(describeReview(held), /suppressed until .*: T-7/)
  one.clock.step(2 * day)
  assert.ok((await reviewed(one, { rules, suppressions: [suppression] })).needsEyes.includes('1 finding: 1 high'))
  assert.deepEqual((await reviewed(one, { rules, since: '1h' })).findings, [])
  const loud = await reviewed(one, { rules, least: 'critical' })
  assert.ok(loud.needsEyes.every((says) => !says.includes('finding')))
  assert.deepEqual((await reviewed(one, { rules: [] })).findings, [])
})

test('an intent without a result for more than an hour needs eyes; one that recovery closed does not', async (t) => {
  const entries = [
    entryAt(0, { action: 'kms.rotate', phase: 'intent', outcome: 'pending', operationID: 'op-1' }),
    entryAt(1, { action: 'kms.export', phase: 'intent', outcome: 'pending', operationID: 'op-2' }),
    entryAt(2, { action: 'kms.export', operationID: 'op-2', outcome: 'unknown', details: { recovered: true } }),
  ]
  const signers = [signerOf(1)]
  const { folder } = craft(folderFor(t), {
    batches: [{ entries, signers }],
    vkeys: [{ vkey: vkeyOf(signerOf(1)), fromIndex: 0 }],
  })
  const start = Date.parse(entries[0]?.createdAt ?? '')
  const at = (to: number) => reviewTrail(folder, { from: new Date(start), to: new Date(start + to) })
  assert.deepEqual((await at(hour)).log.openIntents, [])
  const late = await at(hour + 1)
  assert.deepEqual(late.log.openIntents, [entries[0]?.eventID])
  assert.ok(late.needsEyes.includes('of 1 change nobody knows whether it was made: an intent has no result'))
  assert.equal(late.exports[0]?.outcome, 'unknown')
  const says = 'key material may have been exported, once: orders: nobody knows how it ended'
  assert.ok(late.needsEyes.includes(says))
  assert.match(
    describeReview(late),
    /\n {2}succeeded {2}failed {2}unknown {2}action\n {10}0 {7}0 {8}1 {2}kms\.export\n/,
  )
})

test('several trails of one writer count each entry once', async (t) => {
  const parent = folderFor(t)
  const entries = entriesFrom(0, 50)
  const signers = [signerOf(1)]
  const vkeys = [{ vkey: vkeyOf(signerOf(1)), fromIndex: 0 }]
  craft(parent, { batches: [{ entries: entries.filter((_, at) => at !== 7), signers }], vkeys })
  cpSync(join(parent, 'main'), join(parent, 'spare'), { recursive: true })
  const spare = craft(join(parent, 'x'), { batches: [{ entries, signers }], vkeys })
  cpSync(spare.folder, join(parent, 'third'), { recursive: true })
  const review = await reviewTrail(parent, { from: '2026-01-01', to: '2026-02-02' })
  assert.deepEqual([review.entriesRead, review.log.missing, review.instances], [50, 0, ['main', 'spare', 'third']])
  assert.deepEqual(review.keys[0]?.uses, { 'kms.encrypt': 50 })
})

test('entries that hold anything are reviewed as far as they can be, and nothing acts upon a terminal', async (t) => {
  const evil = '\u001b[2J\u202e"; rm -rf \\ \n<script>'
  const odd: readonly unknown[] = [null, 7, 'x', [], {}, true, evil, { toString: 1, valueOf: 1 }, 'y'.repeat(5000)]
  const fields = [
    ...['action', 'phase', 'outcome', 'resourceType', 'resourceIdentity', 'keySlug', 'keyType', 'keyVersion', 'actor'],
    ...['context', 'details', 'provider', 'reason', 'error', 'statusCode', 'instance', 'sequence', 'operationID'],
  ]
  const actions = [
    'kms.export',
    'kms.decrypt',
    'kms_key.create',
    'kms.rotate.scheduled',
    'audit.opened',
    'audit.closed',
    'kms.re_encrypt',
  ]
  const within = (name: string, value: unknown) => ({
    actor: { type: value, id: value },
    context: { clientIp: value, userAgent: value },
    reason: { code: value, ticket: value },
    details: {
      ...{ form: value, recipient: value, joined: value, dueAt: value, latenessMs: value, destinationKey: value },
      ...{ keyRotationEnabled: value, rotationPeriodInDays: value, decryptFailure: value, refusedCalls: value },
      ...{ recovered: true, fields: value, sink: value, dropped: value, idleMs: value },
    },
    [name]: value,
  })
  const lines: string[] = []
  for (const action of actions)
    for (const name of fields)
      for (const value of odd)
        for (const outcome of ['success', 'failure']) {
          const plain = entryAt(lines.length, { action, outcome: outcome === 'success' ? 'success' : 'failure' })
          lines.push(
            JSON.stringify({ ...plain, ...(lines.length % 2 === 0 ? { [name]: value } : within(name, value)) }),
          )
        }
  const folder = folderFor(t)
  const { folder: main } = craft(folder, {
    batches: [{ entries: entriesFrom(0, lines.length, hostile({ keySlug: 'K' })), signers: [signerOf(1)] }],
    vkeys: [{ vkey: vkeyOf(signerOf(1)), fromIndex: 0 }],
  })
  const [segment] = segmentsIn(main)
  const commits =
    segment?.bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"commit"')) ?? []
  writeFileSync(segment?.path ?? '', [...lines, ...commits, ''].join('\n'))
  const review = await reviewTrail(main, { from: '2026-01-01', to: '2026-03-01', least: 'informational' })
  assert.equal(review.verdict?.verdict, 'tampered')
  assert.ok(review.entriesRead > 500 && review.exports.length > 50)
  const page = describeReview(review)
  assert.doesNotMatch(page, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
  assert.ok(page.split('\n').every((line) => line.length <= 700))
})

test('a wrong option is refused with what is wrong', async (t) => {
  const path = folderFor(t)
  const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ since: '7d', from: '2026-01-01' }, /'since' or 'from', not both/],
    [{ since: '7 days' }, /'since' must be/],
    [{ from: '2026-02-30' }, /'from' must be a time such as/],
    [{ from: '01/02/2026' }, /'from' must be a time such as/],
    [{ to: new Date(Number.NaN) }, /'to' must be a time/],
    [{ from: '2026-02-02', to: '2026-02-02' }, /'from' must be before 'to'/],
    [{ from: '1800-01-01', to: '2026-02-02' }, /at most a hundred years/],
    [{ timeZone: 'Mars' }, /'timeZone'/],
    [{ least: 'loud' }, /'least' must be one of informational/],
    [{ verify: 'no' }, /'verify' must be true or false/],
    [{ verify: false, pin: 'x' }, /'pin' is of no use with 'verify: false'/],
    [{ suppressions: 'all' }, /suppressions must be a list/],
    [{ rule: [] }, /no option 'rule'/],
  ]
  for (const [options, message] of wrong)
    await assert.rejects(reviewTrail(path, options), { code: 'INVALID_INPUT', message }, JSON.stringify(options))
  for (const verify of [true, false]) await assert.rejects(reviewTrail(path, { verify }), { code: 'INVALID_INPUT' })
})

test('an archive is reviewed too; what comes after it stands elsewhere', async (t) => {
  const one = await rig(t, 1)
  await one.kms.createKey({ slug: 'orders' })
  await roundTrip(one.kms, 'orders')
  one.clock.step(40 * day)
  await roundTrip(one.kms, 'orders')
  const archive = join(one.folder, 'old.jsonl')
  await one.trail.prune({ olderThan: '10d', archive })
  const review = await reviewTrail(archive, { clock: one.clock, since: '60d' })
  assert.deepEqual([review.verdict?.verdict, review.instances, review.silences.length], ['valid', ['old.jsonl'], 0])
  assert.ok(!readFileSync(archive, 'utf8').includes('audit.closed'))
  assert.deepEqual([review.keys[0]?.slug, review.keys[0]?.status], ['orders', 'active'])
})

test('progress is told while it verifies and reads', async (t) => {
  const { folder } = craft(folderFor(t), {
    batches: [{ entries: entriesFrom(0, 9000), signers: [signerOf(1)] }],
    vkeys: [{ vkey: vkeyOf(signerOf(1)), fromIndex: 0 }],
  })
  const steps = new Set<string>()
  const whole: boolean[] = []
  await reviewTrail(folder, {
    onProgress: ({ step, instance, bytes, totalBytes }) => {
      steps.add(`${step} ${instance}`)
      whole.push(bytes <= totalBytes && bytes > 0)
    },
  })
  assert.deepEqual([...steps], ['verifying main', 'reading main'])
  assert.ok(whole.every(Boolean))
})
