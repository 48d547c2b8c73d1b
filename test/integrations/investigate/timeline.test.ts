/** @node A day in the life of a key, told afterwards: by the API, by the command line, and as a folder to hand over. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { isUsageError, readCommandLine } from '../../../src/cli/command.ts'
import { timeline } from '../../../src/cli/timeline.ts'
import { KmsClient } from '../../../src/client.ts'
import { folded } from '../../../src/integrations/investigate/folding.ts'
import { handOver } from '../../../src/integrations/investigate/hand-over.ts'
import { type TimelineOptions, type TimelineStep, timelineOf } from '../../../src/integrations/investigate/index.ts'
import { secretsManager } from '../../../src/integrations/secrets-manager/index.ts'
import { memorySecretStore } from '../../../src/integrations/secrets-manager/memory-store.ts'
import { lineOf } from '../../../src/model/line.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { exampleEntry } from '../../../src/testing/entries.ts'
import { checkProof, openTrail, readTrail } from '../../../src/trail/index.ts'
import { keytrail, temporary } from '../../cli/run.ts'
import { signerOf } from '../../trail/entries.ts'

const folder = temporary()
const audit = join(folder, 'audit')
const text = new TextEncoder().encode('attack at dawn')
const minute = 60_000
const hostile = 'evil\u001b[2J\u202e"; rm -rf /\n- '
let vkey = ''
let failedID = ''
let gotID = ''

before(async () => {
  // A Thursday.
  const clock = fakeClock(Date.UTC(2026, 0, 1, 9))
  const trail = await openTrail({ path: audit, signer: signerOf(7), allowFilesystem: ['tmpfs'] })
  vkey = trail.vkey
  const client = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [trail], clock, heartbeatMs: 0 } })
  const api = client.with({ actor: { type: 'serviceAccount', id: 'api' }, clientIp: '10.0.1.7' })
  await api.createKey({ slug: 'orders', exportAllowed: true })
  await api.createKey({ slug: 'other' })
  const { ciphertext } = await api.encrypt({ key: 'orders', plaintext: text })
  for (let calls = 0; calls < 50; calls++) {
    await api.decrypt({ key: 'orders', ciphertext })
    clock.advance(minute / 2)
  }
  const mallory = client.with({
    actor: { type: 'user', id: 'mallory' },
    requestId: 'r-17',
    clientIp: '203.0.113.9',
    userAgent: hostile,
  })
  const broken = ciphertext.slice()
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1
  await mallory.decrypt({ key: 'orders', ciphertext: broken }).catch((error) => {
    failedID = error.eventID
  })
  const secrets = secretsManager({ kms: api, store: memorySecretStore() })
  await secrets.create({ path: '/billing/database', key: 'orders', secretString: 'hunter2' })
  gotID = (await secrets.get({ path: '/billing/database' })).eventID
  await mallory.rotate({ key: 'orders' })
  for (let calls = 0; calls < 3; calls++) await api.decrypt({ key: 'orders', ciphertext })
  clock.advance(24 * 60 * minute)
  await api.describeKey({ key: 'other' })
  await mallory.with({ reason: { code: 'escrow', ticket: 'T-1' } }).export({ key: 'orders' })
  await client.close()
})

async function told(options: TimelineOptions): Promise<readonly TimelineStep[]> {
  const steps: TimelineStep[] = []
  for await (const step of timelineOf(audit, options)) steps.push(step)
  return steps
}

describe('the story of a key', () => {
  test('its life in order; like calls folded, a change never, and secrets with the calls they needed', async () => {
    const says = (await told({ key: 'orders' })).map((step) => step.says)
    const shown = says.map((each) => each.replace(/, (from|with|for|after|kms-) ?.*/, ''))
    assert.match(says[1] ?? '', /created orders, kms-[a-z2-7]+, from 10\.0\.1\.7$/)
    assert.deepEqual(shown, [
      'serviceAccount api is about to create orders',
      'serviceAccount api created orders',
      'serviceAccount api encrypted 14 bytes with orders v1',
      'kms.decrypt × 50 with orders by serviceAccount api from 10.0.1.7',
      'user mallory failed to decrypt 91 bytes with orders v1: INVALID_CIPHERTEXT',
      'serviceAccount api is about to create the secret /billing/database version 1',
      'serviceAccount api encrypted 8 bytes with orders v1',
      'serviceAccount api created the secret /billing/database version 1',
      'serviceAccount api decrypted 85 bytes with orders v1',
      'serviceAccount api read the value of /billing/database version 1',
      'user mallory is about to rotate orders',
      'user mallory rotated orders v2',
      'kms.decrypt × 3 with orders by serviceAccount api from 10.0.1.7',
      'user mallory is about to export the key material of orders',
      'user mallory exported the key material of orders v2',
    ])
  })

  test('by its identity it is the same story', async () => {
    let identity = ''
    for await (const { entry } of readTrail(audit, { action: 'kms.rotate' })) identity = entry.resourceIdentity ?? ''
    assert.deepEqual(await told({ key: identity }), await told({ key: 'orders' }))
  })

  test('unfolded, each entry is a step; a fold counts the same, and names its first and last', async () => {
    const [folded, single] = [await told({ key: 'orders' }), await told({ key: 'orders', unfolded: true })]
    const sum = (steps: readonly TimelineStep[]) => steps.reduce((all, { count }) => all + count, 0)
    assert.equal(sum(folded), single.length)
    const fold = folded.find(({ count }) => count === 50)
    const ids = single.map(({ entries }) => entries[0]?.entry.eventID)
    const first = ids.indexOf(fold?.entries[0]?.entry.eventID)
    assert.deepEqual(
      fold?.entries.map(({ entry }) => entry.eventID),
      [...ids.slice(first, first + 10), ...ids.slice(first + 40, first + 50)],
    )
    assert.equal(fold?.until, single[first + 49]?.at)
  })

  test('from and to cut it; a key that nobody names is refused', async () => {
    assert.deepEqual(
      (await told({ key: 'orders', from: '2026-01-02T00:00:00Z' })).map(({ count }) => count),
      [1, 1],
    )
    await assert.rejects(told({ key: 'nothing' }), { code: 'INVALID_INPUT' })
  })
})

describe('the story of an actor', () => {
  test('by id, and by type and id', async () => {
    const steps = await told({ actor: 'mallory' })
    assert.deepEqual(
      steps.map(({ entries }) => `${entries[0]?.entry.phase} ${entries[0]?.entry.action}`),
      ['result kms.decrypt', 'intent kms.rotate', 'result kms.rotate', 'intent kms.export', 'result kms.export'],
    )
    assert.deepEqual(await told({ actor: 'user:mallory' }), steps)
    assert.deepEqual(await told({ actor: 'client:mallory' }), [])
  })
})

describe('around an entry', () => {
  test('each entry says what ties it to the one asked for; what is not tied is not there', async () => {
    const steps = await told({ around: failedID, spanMs: 90_000 })
    const relations = steps.map(({ relation, entries }) => `${relation}: ${entries[0]?.entry.action}`)
    assert.deepEqual(
      [...new Set(relations)],
      [
        'same key: kms.decrypt',
        'asked: kms.decrypt',
        'same key: secret.create',
        'same key: kms.encrypt',
        'same key: secret.get_value',
        'same request: kms.rotate',
      ],
    )
    assert.equal(relations.filter((each) => each.startsWith('asked')).length, 1)
    // The day after, and the other key, are not.
    assert.ok(!relations.some((each) => each.includes('export') || each.includes('describe')))
  })

  test('a secret and its KMS call are of one call, a rotation and its intent of one change', async () => {
    const relation = async (around: string) =>
      new Map(
        (await told({ around })).map(({ relation: each, entries: [one] }) => [
          `${one?.entry.phase} ${one?.entry.action} ${each}`,
          each,
        ]),
      )
    assert.equal((await relation(gotID)).has('result kms.decrypt same secret call'), true)
    let rotated = ''
    for await (const { entry } of readTrail(audit, { action: 'kms.rotate', phase: 'result' })) rotated = entry.eventID
    assert.equal((await relation(rotated)).has('intent kms.rotate same change'), true)
  })

  test('an id that is none is refused', async () => {
    await assert.rejects(told({ around: '0199c9d0-1b00-7000-8000-000000000000' }), { code: 'INVALID_INPUT' })
  })
})

test('wrong options are refused', async () => {
  for (const options of [
    {},
    { key: 'a', actor: 'b' },
    { key: '' },
    { around: 'x', from: '2026-01-01' },
    { key: 'a', spanMs: -1 },
  ])
    await assert.rejects(told(options), { code: 'INVALID_INPUT' })
})

describe('handed over', () => {
  test('every receipt proves its entry, and SHA256SUMS names every file', async () => {
    const out = join(folder, 'case-17')
    const made = await handOver(audit, { actor: 'mallory', out })
    assert.deepEqual([made.entries, made.proven, made.unproven, made.cut, made.vkeys], [5, 5, [], false, [vkey]])
    const lines = readFileSync(join(out, 'timeline.jsonl'), 'utf8').trimEnd().split('\n')
    const receipts = readdirSync(join(out, 'receipts')).sort()
    const proven: string[] = []
    for (const name of receipts) {
      const checked = await checkProof(readFileSync(join(out, 'receipts', name), 'utf8'), { vkey })
      assert.ok(checked.valid)
      proven.push(checked.line)
    }
    assert.deepEqual(proven, lines)
    const words = readFileSync(join(out, 'timeline.txt'), 'utf8')
    assert.ok(!words.includes('\u001b') && !words.includes('\u202e'))
    assert.equal(words.trimEnd().split('\n').length, 5)
    const sums = readFileSync(join(out, 'SHA256SUMS'), 'utf8').trimEnd().split('\n')
    assert.equal(sums.length, 3 + receipts.length)
    for (const sum of sums) {
      const [digest, name = ''] = sum.split('  ')
      assert.equal(
        createHash('sha256')
          .update(readFileSync(join(out, name)))
          .digest('hex'),
        digest,
      )
    }
    assert.match(readFileSync(join(out, 'README.txt'), 'utf8'), /5 entries of an audit trail, 5 receipts\./)
    await assert.rejects(handOver(audit, { actor: 'mallory', out }), { code: 'INVALID_INPUT' })
  })

  test('no more than the limit, and it is told', async () => {
    const made = await handOver(audit, { key: 'orders', out: join(folder, 'short'), limit: 3 })
    assert.deepEqual([made.entries, made.proven, made.cut], [3, 3, true])
  })

  test('an entry that is not what was signed gets no receipt: the story is refused', async () => {
    const copy = join(folder, 'changed')
    cpSync(audit, copy, { recursive: true })
    const segments = join(copy, 'main', 'segments')
    const [name = ''] = readdirSync(segments)
    const was = readFileSync(join(segments, name), 'utf8')
    writeFileSync(join(segments, name), was.replace('"code":"escrow"', '"code":"escrov"'))
    await assert.rejects(handOver(copy, { actor: 'mallory', out: join(folder, 'refused') }), { code: 'INTERNAL' })
  })

  test('what no checkpoint covers yet is told, and has no receipt', async () => {
    const copy = join(folder, 'behind')
    cpSync(audit, copy, { recursive: true })
    const [segment = ''] = readdirSync(join(copy, 'main', 'segments'))
    // As it was published some batches before the last one.
    const commits = readFileSync(join(copy, 'main', 'segments', segment), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"commit"'))
    const { checkpoint } = JSON.parse(commits.at(-4) ?? '') as { checkpoint: string }
    writeFileSync(join(copy, 'main', 'checkpoint'), checkpoint)
    const made = await handOver(copy, { actor: 'mallory', out: join(folder, 'partly') })
    assert.equal(made.entries, 5)
    assert.ok(made.unproven.length > 0 && made.proven === 5 - made.unproven.length)
  })
})

describe('on the command line', () => {
  test('a heading a day, a line a step, escaped', async () => {
    const { code, stdout, stderr } = await keytrail(['audit', 'timeline', '--key', 'orders', audit])
    assert.deepEqual([code, stderr], [0, ''])
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines[0], 'Thursday 2026-01-01 (UTC)')
    assert.ok(lines.includes('Friday 2026-01-02 (UTC)'))
    assert.match(
      stdout,
      /\n09:00:00\.000 – 09:24:30\.000 {2}kms\.decrypt × 50 with orders by serviceAccount api from 10\.0\.1\.7 {2}[0-9a-f-]{36}\n/,
    )
    assert.ok(!stdout.includes('\u001b') && !stdout.includes('\u202e'))
  })

  test('in another zone', async () => {
    const { stdout } = await keytrail(['audit', 'timeline', '--key', 'orders', '--time-zone', 'Asia/Kathmandu', audit])
    assert.match(stdout, /^Thursday 2026-01-01 \(Asia\/Kathmandu\)\n14:45:00\.000 /)
  })

  test('around an entry, which is marked', async () => {
    const { stdout } = await keytrail(['audit', 'timeline', '--around', failedID, '--span', '2m', audit])
    const marked = stdout.split('\n').filter((line) => line.startsWith('> '))
    assert.equal(marked.length, 1)
    assert.ok(marked[0]?.endsWith(failedID))
    assert.match(stdout, /\[same request\]/)
  })

  test('as JSON, with the exact entries', async () => {
    const { code, stdout } = await keytrail(['audit', 'timeline', '--actor', 'mallory', '--json', audit])
    assert.equal(code, 0)
    const steps = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.equal(steps.length, 5)
    for (const { entries, says } of steps) {
      assert.ok(says.length > 0)
      assert.ok(stdout.includes(lineOf(entries[0].entry)))
    }
  })

  test('receipts into a folder', async () => {
    const out = join(folder, 'by-hand')
    const { code, stdout } = await keytrail(['audit', 'timeline', '--actor', 'mallory', '--prove', out, audit])
    assert.deepEqual([code, stdout], [0, `5 entries and 5 receipts in ${out}\n`])
    assert.equal(readdirSync(join(out, 'receipts')).length, 5)
  })

  test('nothing to tell is 1, a wrong command line is 2', async () => {
    assert.equal((await keytrail(['audit', 'timeline', '--actor', 'nobody', audit])).code, 1)
    for (const wrong of [
      [],
      ['--key', 'a', '--actor', 'b'],
      ['--key', 'a', '--span', '1m'],
      ['--around', failedID, '--since', '1d'],
      ['--around', failedID, '--span', 'long'],
      ['--key', 'orders', '--time-zone', 'Nowhere'],
    ])
      await assert.rejects(
        async () => timeline.run(readCommandLine(timeline, [...wrong, audit])),
        (error) => isUsageError(error),
        wrong.join(' '),
      )
  })
})

test('joined refusals count one by one', async () => {
  const found = (sequence: number, fields: object) => ({
    found: { instance: 'main', index: BigInt(sequence), covered: true, entry: exampleEntry(sequence, fields) },
    relation: 'same key' as const,
  })
  async function* story() {
    yield found(0, { outcome: 'failure', details: { joined: 40 } })
    yield found(1, { outcome: 'failure' })
    yield found(2, { createdAt: '2026-01-02T05:04:05.000Z' })
  }
  const steps: TimelineStep[] = []
  for await (const step of folded(story(), ({ found: { entry } }) => ({
    at: entry.createdAt,
    until: entry.createdAt,
    says: 'one',
    relation: 'same key',
    count: 1,
    failed: 0,
    entries: [],
  })))
    steps.push(step)
  assert.deepEqual(
    steps.map(({ count, failed, says }) => [count, failed, says]),
    [
      [41, 41, 'kms.encrypt × 41 with orders by user alice from 192.0.2.7, 41 failed'],
      [1, 0, 'one'],
    ],
  )
})
