/** @node */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { DryRun } from '../../src/integrations/access/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { fileSigner, openTrail } from '../../src/trail/index.ts'
import { keytrail, temporary } from './run.ts'

const folder = temporary()
const dir = ['--dir', folder]
const everyone = { id: 'all', effect: 'allow', actors: ['*', 'unknown'], actions: ['kms:*'], keys: ['*'] }
const deny = { ...everyone, id: 'no-pay', effect: 'deny', actions: ['kms:Encrypt'], keys: ['payroll'] }
const rules = join(folder, 'rules.json')

before(async () => {
  const signer = await fileSigner(join(folder, 'signer'))
  const trail = await openTrail({ path: join(folder, 'audit'), signer })
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [trail] } })
  const alice = kms.with({ actor: { type: 'user', id: 'alice' } })
  for (const slug of ['orders', 'payroll']) {
    await alice.createKey({ slug })
    await alice.encrypt({ key: slug, plaintext: Uint8Array.of(1) })
  }
  await kms.close()
  writeFileSync(rules, JSON.stringify([everyone, deny]))
})

test('tells what would be refused, by whom and for which rule, and exits with 1', async () => {
  const { code, stdout, stderr } = await keytrail(['audit', 'access', rules, ...dir])
  assert.equal(code, 1, stderr)
  assert.match(stdout, /^4 calls: 1 would be refused, 0 cannot be told, 0 more would be allowed\n/)
  assert.match(stdout, /\n {2}1 {2}denied by no-pay\n/)
  assert.match(
    stdout,
    /\n {2}1 × {2}kms\.encrypt {2}payroll {2}user:alice {2}by no-pay, 1 succeeded, such as [0-9a-f-]{36}\n/,
  )
})

test('with --json it is one object', async () => {
  const { stdout } = await keytrail(['audit', 'access', rules, join(folder, 'audit'), '--json'])
  const { calls, refused, rules: byRule } = JSON.parse(stdout) as DryRun
  assert.deepEqual([calls, refused.calls, byRule], [4, 1, [{ rule: 'no-pay', calls: 1 }, { calls: 0 }]])
})

test('exits with 0 if nothing would be refused, and takes the rules from standard input', async () => {
  const { code, stdout } = await keytrail(['audit', 'access', '-', ...dir], { input: JSON.stringify([everyone]) })
  assert.equal(code, 0)
  assert.equal(stdout, '4 calls: 0 would be refused, 0 cannot be told, 0 more would be allowed\n')
  const later = await keytrail(['audit', 'access', rules, ...dir, '--since', '2100-01-01'])
  assert.deepEqual([later.code, later.stdout.slice(0, 8)], [0, '0 calls:'])
})

test('says what is wrong with the rules, and does not quote what is no JSON', async () => {
  const wrong = await keytrail(['audit', 'access', '-', ...dir], { input: JSON.stringify([{ ...deny, actors: [] }]) })
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /'no-pay\.actors' must be a list/)
  const broken = await keytrail(['audit', 'access', '-', ...dir], { input: 'hunter2' })
  assert.equal(broken.code, 1)
  assert.match(broken.stderr, /the rules must be JSON/)
  assert.doesNotMatch(broken.stderr, /hunter2/)
  assert.equal((await keytrail(['audit', 'access'])).code, 2)
})
