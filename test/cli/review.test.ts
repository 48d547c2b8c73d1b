/** @node */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { homeWith, keytrail, onTerminal, type Run, shell, type TestHome } from './run.ts'

let home: TestHome
before(async () => {
  home = await homeWith([{ slug: 'orders', exportAllowed: true }, { slug: 'other' }], 100)
  await home.run(['encrypt', 'orders'], { input: 'x' })
})

function review(...args: readonly string[]): Promise<Run> {
  return keytrail(['audit', 'review', '--dir', home.dir, ...args])
}

test('nothing needs eyes: 0, the verdict first, and every section says that there is nothing', async () => {
  const { code, stdout, stderr } = await review()
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(
    stdout,
    /^VALID \(self-consistent; key supplied by this directory\): nothing needs eyes\n\nReview of main /,
  )
  for (const section of ['Findings', 'Exports', 'Failures by cause', 'Who decrypts what', 'Silences'])
    assert.ok(stdout.includes(`\n${section}: nothing\n`), section)
  assert.match(stdout, /\nKeys unused for 90 days\n {2}- other: no use is told, active\n/)
  assert.match(stdout, /\n {2}succeeded {2}failed {2}action\n {10}1 {7}0 {2}kms\.encrypt\n/)
  assert.ok(stdout.split('\n').every((line) => line.length <= 80))
})

test('an export needs eyes: 1, on the page and as JSON; what is suppressed in the settings does not alarm', async () => {
  const exported = [
    'keys',
    'export',
    'orders',
    '--form',
    'raw',
    '--out',
    join(home.folder, 'k'),
    '--reason',
    'escrow',
    '--ticket',
    'T-1',
  ]
  assert.equal((await home.run(exported)).code, 0)
  const page = await review('--since', '1h')
  assert.equal(page.code, 1)
  assert.match(
    page.stdout,
    /: 2 things need eyes\n {2}! 1 finding: 1 high\n {2}! key material was exported, once: orders\n/,
  )
  assert.match(page.stdout, /\nExports\n {2}- .*Z, orders v1 by user:\S+, raw, escrow, ticket T-1\n {4}entry /)

  const { code, stdout } = await review('--json')
  const told = JSON.parse(stdout)
  assert.deepEqual([code, told.verdict.verdict, told.exports.length, told.findings[0].rule], [1, 'valid', 1, 'export'])
  assert.match(told.verdict.root, /^[0-9a-f]{64}$/)
  assert.deepEqual([typeof told.verdict.size, told.needsEyes.length, told.hours.length], ['number', 2, 168])

  const settings = join(home.folder, 'settings.json')
  const until = new Date(Date.now() + 86_400_000).toISOString()
  const suppressions = [{ id: 'escrow', rule: 'export', until, reason: 'T-1', by: 'user:bob' }]
  writeFileSync(settings, JSON.stringify({ timeZone: 'Europe/Amsterdam', suppressions }))
  const held = await review('--rules', settings)
  assert.match(held.stdout, /: 1 thing needs eyes\n {2}! key material was exported, once: orders\n/)
  assert.match(held.stdout, /suppressed until .*Z: T-1/)
  assert.match(held.stdout, /are those of\s+Europe\/Amsterdam/)
  const loud = await review('--level', 'critical')
  assert.match(loud.stdout, /: 1 thing needs eyes\n/)
  const past = await review('--until', new Date(Date.now() - 86_400_000).toISOString(), '--since', '30d')
  assert.equal(past.code, 0)
})

test('a trail that was tampered with, or not verified, is 1 and says so first', async () => {
  const copy = join(home.folder, 'copy')
  cpSync(join(home.dir, 'audit'), copy, { recursive: true })
  const segment = join(copy, 'main/segments/00000000000000000000.jsonl')
  writeFileSync(segment, readFileSync(segment, 'utf8').replace('"action":"kms.encrypt"', '"action":"kms.encrypx"'))
  const tampered = await keytrail(['audit', 'review', copy])
  assert.equal(tampered.code, 1)
  assert.match(tampered.stdout, /^TAMPERED: \d things? needs? eyes\n {2}! the trail main is tampered: /)
  const blind = await review('--no-verify')
  assert.equal(blind.code, 1)
  assert.match(blind.stdout, /^NOT VERIFIED: \d things? needs? eyes\n {2}! the trail was not verified/)
})

test('a wrong command line is 2, no trail 1', async () => {
  for (const args of [
    ['--level', 'loud'],
    ['--since', 'yesterday'],
    ['--no-verify', '--pin', 'x'],
    ['a', 'b'],
  ]) {
    const { code, stdout } = await review(...args)
    assert.deepEqual([code, stdout], [2, ''], args.join(' '))
  }
  const none = await keytrail(['audit', 'review', home.folder])
  assert.deepEqual([none.code, none.stdout], [1, ''])
  assert.match(none.stderr, /^keytrail: INVALID_INPUT: there is no trail at /)
})

test('in a terminal no line is wider than it is; a reader that has gone ends it quietly', async () => {
  const { stdout } = await onTerminal(['audit', 'review', '--dir', home.dir], [])
  assert.match(stdout, /VALID/)
  assert.ok(stdout.split('\r\n').every((line) => [...line].length <= 100))
  const { stderr } = await shell(
    `{ keytrail audit review --dir '${home.dir}' --until 2000-01-01 --since 1999-01-01; echo "code $?" >&2; } | true`,
  )
  assert.equal(stderr, 'code 0\n')
})
