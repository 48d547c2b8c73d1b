/** @node Receipts, consistency proofs and exports on the command line. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { homeWith, keytrail, type TestHome } from './run.ts'

let home: TestHome
let vkey: string
let eventID: string
let trail: string
before(async () => {
  home = await homeWith([{ slug: 'orders' }])
  trail = join(home.dir, 'audit/main')
  const checkpoint = readFileSync(join(trail, 'checkpoint'))
  await home.run(['encrypt', 'orders'], { input: 'x' })
  writeFileSync(join(home.folder, 'old.pin'), checkpoint)
  const about = JSON.parse(readFileSync(join(trail, 'trail.json'), 'utf8')) as { vkeys: { vkey: string }[] }
  vkey = about.vkeys[0]?.vkey ?? assert.fail('no key')
  const { stdout } = await home.run(['audit', 'query', '--json', '--action', 'kms.encrypt'])
  eventID = (JSON.parse(stdout) as { entry: { eventID: string } }).entry.eventID
})

const run = (...args: readonly string[]) => home.run(args)
const inHome = (name: string) => join(home.folder, name)

test('a receipt is written, and checked with nothing but the key', async () => {
  const file = inHome('export.tlog-proof')
  const made = await run('audit', 'prove', eventID, '-o', file)
  assert.deepEqual([made.code, made.stdout, made.stderr], [0, '', ''])
  const printed = await run('audit', 'prove', eventID)
  assert.equal(printed.stdout, readFileSync(file, 'utf8'))

  // No home here: only the file and the key.
  const checked = await keytrail(['audit', 'check-proof', file, '--vkey', vkey])
  assert.deepEqual([checked.code, checked.stderr], [0, ''])
  assert.match(checked.stdout, /^valid: entry \d+ of \d+ in keytrail\//)
  assert.ok(checked.stdout.includes(`signed by ${vkey}\n`))
  assert.ok(checked.stdout.includes(eventID))
  assert.match(checked.stdout, /kms\.encrypt/)
  const json = await keytrail(['audit', 'check-proof', '--json', '--vkey', vkey], { input: printed.stdout })
  const answer = JSON.parse(json.stdout) as { valid: boolean; entry: { eventID: string } }
  assert.deepEqual([json.code, answer.valid, answer.entry.eventID], [0, true, eventID])
})

test('a receipt that is not valid says why, and exits with 1', async () => {
  const { stdout: text } = await run('audit', 'prove', eventID)
  const changed = await keytrail(['audit', 'check-proof', '--vkey', vkey], { input: text.replace('index ', 'index 1') })
  assert.deepEqual(
    [changed.code, changed.stdout],
    [1, 'not valid: the entry is not at this place in what was signed\n'],
  )
  const noise = await keytrail(['audit', 'check-proof', '--vkey', vkey, '--json'], { input: Uint8Array.of(255, 0, 27) })
  assert.deepEqual([noise.code, noise.stdout], [1, '{"valid":false,"problem":"this is no tlog-proof file"}\n'])
  assert.equal((await keytrail(['audit', 'check-proof'], { input: text })).code, 2)
  const unknown = await run('audit', 'prove', '01999999-0000-7000-8000-000000000000')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /there is no entry/)
})

test('a checkpoint is proven to continue an older one', async () => {
  const [old, proof] = [inHome('old.pin'), inHome('old-to-now.proof')]
  assert.equal((await run('audit', 'consistency', old, '-o', proof)).code, 0)
  const printed = await run('audit', 'consistency', old, 'latest', trail, '--json')
  assert.equal((JSON.parse(printed.stdout) as { text: string }).text, readFileSync(proof, 'utf8'))
  const checked = await keytrail(['audit', 'check-consistency', old, proof, '--vkey', vkey])
  assert.equal(checked.code, 0)
  assert.match(checked.stdout, /^valid: keytrail\/\S+ with \d+ entries continues what it was with \d+\n$/)
  const current = join(trail, 'checkpoint')
  const backwards = await keytrail(['audit', 'check-consistency', current, proof, '--vkey', vkey])
  assert.deepEqual([backwards.code, backwards.stdout.slice(0, 10)], [1, 'not valid:'])
  const noise = await keytrail(['audit', 'check-consistency', old, '--vkey', vkey], { input: 'x' })
  assert.deepEqual([noise.code, noise.stdout], [1, 'not valid: this is no consistency proof\n'])
  const nowhere = await run('audit', 'consistency', '999999')
  assert.deepEqual([nowhere.code, /no checkpoint of 999999 entries/.test(nowhere.stderr)], [1, true])
})

test('a trail is exported once, and verified as what it is', async () => {
  const out = inHome('log')
  const made = await run('audit', 'export', out, '--format', 'tlog-tiles')
  assert.deepEqual([made.code, made.stderr], [0, ''])
  assert.match(made.stdout, /^exported \d+ entries of keytrail\//)
  assert.ok(existsSync(join(out, 'tile/entries')))
  const verified = await keytrail(['audit', 'verify', out, '--vkey', vkey])
  assert.equal(verified.code, 0, verified.stderr)
  const again = await run('audit', 'export', join(home.dir, 'audit'), out)
  assert.deepEqual([again.code, /is there already/.test(again.stderr)], [1, true])
  assert.equal((await run('audit', 'export', inHome('other'), '--format', 'zip')).code, 2)
  assert.equal((await run('audit', 'export')).code, 2)
})
