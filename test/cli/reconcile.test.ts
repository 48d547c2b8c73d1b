/** @node */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { KmsClient } from '../../src/client.ts'
import type { Reconciliation } from '../../src/integrations/reconcile/index.ts'
import { systemClock } from '../../src/model/clock.ts'
import type { KmsProvider } from '../../src/model/provider.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { fileSigner, openTrail } from '../../src/trail/index.ts'
import { account, keyArn, kmsRecord, minute, start, uuid } from '../integrations/reconcile/records.ts'
import { keytrail, shell, temporary } from './run.ts'

/** A trail of five hours: an encryption every half hour by what says that it is AWS KMS, with a request id each. */
async function trailAt(folder: string): Promise<void> {
  let now = start
  const clock = { ...systemClock, now: () => now }
  const inner = memoryKms({ clock })
  let requests = 0
  const provider: KmsProvider = {
    name: 'aws-kms',
    operations: {
      createKey: inner.operations.createKey ?? assert.fail(),
      encrypt: async (input, call) => {
        const output = await inner.operations.encrypt?.(input, call)
        if (output === undefined) return assert.fail()
        const key = { ...output.key, identity: keyArn(1) }
        return { ...output, key, provider: { requestId: uuid(1, requests++), attempts: 1, durationMs: 9 } }
      },
    },
  }
  const trail = await openTrail({
    path: join(folder, 'audit'),
    signer: await fileSigner(join(folder, 'signer')),
    clock,
  })
  const kms = new KmsClient({ provider, audit: { required: [trail], clock } })
  await inner.operations.createKey?.(
    { slug: 'orders' },
    { operationID: '', scope: {}, signal: new AbortController().signal },
  )
  for (let number = 0; number < 10; number++) {
    await kms.encrypt({ key: 'orders', plaintext: Uint8Array.of(1) })
    now += 30 * minute
  }
  await kms.close()
}

const mallory = `arn:aws:iam::${account}:user/mallory`

const folder = temporary()
const edges = [start - 9 * minute, start + 400 * minute].map((at) => kmsRecord({ name: 'ListKeys', at, keys: [] }))
const seen = Array.from({ length: 10 }, (_, number) =>
  kmsRecord({ request: uuid(1, number), at: start + number * 30 * minute }),
)
const bypass = kmsRecord({ name: 'Decrypt', arn: mallory, at: start + 95 * minute })

before(async () => {
  await trailAt(folder)
  const file = (name: string, records: readonly object[]) => {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    const text = JSON.stringify({ Records: records })
    writeFileSync(join(folder, name), name.endsWith('.gz') ? gzipSync(text) : text)
  }
  file('good.json', [...edges, ...seen])
  file('logs/a.json.gz', [...edges, ...seen.slice(0, 5)])
  file('logs/b.json.gz', seen.slice(5))
  file('bypass.json', [bypass])
  file('torn.json', seen.slice(0, 5))
})

const audit = join(folder, 'audit')
const path = (name: string) => join(folder, name)

test('a trail and an export that agree are 0, in words and as JSON', async () => {
  const { code, stdout, stderr } = await keytrail(['audit', 'reconcile', audit, '--cloudtrail', path('good.json')])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(
    stdout,
    /^agrees: 10 calls in the trail, 12 events of AWS KMS, from 2026-01-05T08:05:00.000Z to 2026-01-05T12:55:00.000Z\n/,
  )
  assert.match(stdout, /\n {3}0 {2}only at AWS: outside keytrail\n/)
  assert.match(stdout, /\n {2}10 {2}in both, by request id\n/)
  const json = await keytrail(['audit', 'reconcile', audit, '--cloudtrail', path('good.json'), '--json'])
  const found = JSON.parse(json.stdout) as Reconciliation
  assert.deepEqual([json.code, found.agrees, found.counts.matched, found.findings], [0, true, 10, []])
})

test('folders, several files, standard input, and the trail of --dir', async () => {
  for (const args of [
    `audit reconcile --dir ${folder} --cloudtrail ${path('logs')}`,
    `audit reconcile ${audit} --cloudtrail ${path('logs/a.json.gz')} --cloudtrail ${path('logs/b.json.gz')}`,
    `audit reconcile ${audit} --cloudtrail ${path('logs')}/*.json.gz`,
    `audit reconcile ${audit} --cloudtrail - < ${path('good.json')}`,
    `audit reconcile ${audit} --cloudtrail - < ${path('logs/a.json.gz')} --cloudtrail ${path('logs/b.json.gz')}`,
  ]) {
    const { stdout, stderr } = await shell(`keytrail ${args}; echo "code $?"`)
    assert.equal(stderr, '', args)
    assert.match(stdout, /^agrees: [\s\S]*code 0\n$/, args)
  }
})

test('a use outside keytrail is 1, and says who it was, when, where from and by which request', async () => {
  const args = ['audit', 'reconcile', audit, '--cloudtrail', path('good.json'), '--cloudtrail', path('bypass.json')]
  const { code, stdout } = await keytrail(args)
  assert.equal(code, 1)
  assert.match(stdout, /^differs: 10 calls in the trail, 13 events/)
  assert.ok(
    stdout.includes(
      `only-theirs: ${mallory} used ${keyArn(1)} at 2026-01-05T09:35:00.000Z (Decrypt), and no entry tells of it\n` +
        `  event ${bypass['eventID']}, request ${bypass['requestID']}, from 192.0.2.7, with aws-sdk-js/3.1162.0\n`,
    ),
    stdout,
  )
  const json = await keytrail([...args, '--json'])
  assert.equal(json.code, 1)
  assert.equal((JSON.parse(json.stdout) as Reconciliation).findings[0]?.theirs?.principal, mallory)
})

test('options: the time, the keys, the roles and the name of the provider', async () => {
  const both = ['--cloudtrail', path('good.json'), '--cloudtrail', path('bypass.json')]
  const run = async (...args: readonly string[]) => {
    const { code, stdout } = await keytrail(['audit', 'reconcile', audit, ...both, '--json', ...args])
    return [code, (JSON.parse(stdout) as Reconciliation).counts.onlyTheirs]
  }
  assert.deepEqual(await run('--since', '2026-01-05T10:00:00Z'), [0, 0])
  assert.deepEqual(await run('--until', '2026-01-05T09:00:00Z'), [0, 0])
  assert.deepEqual(await run('--provider', 'cloud'), [0, 0])
  assert.deepEqual(await run('--provider', 'cloud', '--aws-key', keyArn(1)), [1, 10])
  assert.deepEqual(await run('--provider', 'cloud', '--role', mallory), [1, 1])
})

test('a trail without the end of the export, or an export without its end, agrees on what both cover', async () => {
  const { code, stdout } = await keytrail(['audit', 'reconcile', audit, '--cloudtrail', path('torn.json')])
  assert.equal(code, 0)
  assert.match(stdout, /outside the time that both cover/)
  const given = ['--since', '2026-01-05', '--until', '2026-01-06']
  const whole = await keytrail(['audit', 'reconcile', audit, '--cloudtrail', path('torn.json'), ...given])
  assert.equal(whole.code, 1)
  assert.match(whole.stdout, /\n {2}5 {2}only in the trail\n/)
})

test('without a common time nothing was compared, which is 1', async () => {
  const { code, stdout } = await keytrail(['audit', 'reconcile', audit, '--cloudtrail', path('bypass.json')])
  assert.equal(code, 1)
  assert.match(stdout, /^not compared: .*\n {2}nothing was compared: there is no time that both/)
})

test('what cannot be read is 1 and told in one line; a wrong command line is 2', async () => {
  writeFileSync(path('wrong.json'), 'hunter2')
  const wrong = await keytrail(['audit', 'reconcile', audit, '--cloudtrail', path('wrong.json')])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^keytrail: INVALID_INPUT: .*wrong\.json is no JSON of records\n$/)
  const absent = await keytrail(['audit', 'reconcile', path('nowhere'), '--cloudtrail', path('good.json')])
  assert.equal(absent.code, 1)
  for (const args of [
    [],
    ['--cloudtrail'],
    ['--cloudtrail', '-', '--cloudtrail', '-'],
    ['--cloudtrail', 'x', '--since', 'y'],
  ])
    assert.equal((await keytrail(['audit', 'reconcile', audit, ...args])).code, 2, args.join(' '))
})
