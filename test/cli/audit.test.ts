/** @node */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import { homeWith, keytrail, onTerminal, shell, type TestHome } from './run.ts'

let home: TestHome
before(async () => {
  home = await homeWith([{ slug: 'orders' }, { slug: 'other' }], 2)
  await home.run(['encrypt', 'orders'], { input: 'x' })
  await home.run(['decrypt', 'orders'], { input: 'no ciphertext' })
})

interface Line {
  readonly instance: string
  readonly index: number
  readonly covered: boolean
  readonly entry: AuditEntry
}

async function shown(...filters: readonly string[]): Promise<readonly Line[]> {
  const { code, stdout, stderr } = await keytrail(['audit', 'query', '--dir', home.dir, '--json', ...filters])
  assert.deepEqual([code, stderr], [0, ''])
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

test('entries are shown without a key, in the order of the trail, with the bytes that are signed', async () => {
  const lines = await shown()
  assert.deepEqual(
    lines.map(({ index }) => index),
    lines.map((_, at) => at),
  )
  assert.ok(lines.every(({ instance, covered }) => instance === 'main' && covered))
  const segment = readFileSync(join(home.dir, 'audit/main/segments/00000000000000000000.jsonl'), 'utf8')
  for (const { entry } of lines) assert.ok(segment.includes(`${lineOf(entry)}\n`))
})

test('filters narrow down to what an investigator asks for', async () => {
  const actions = (lines: readonly Line[]) => lines.map(({ entry }) => entry.action)
  assert.deepEqual(actions(await shown('--action', 'kms.*', '--key', 'orders')), ['kms.encrypt', 'kms.decrypt'])
  const failed = await shown('--outcome', 'failure', '--status', '400', '--since', '1h')
  assert.deepEqual(actions(failed), ['kms.decrypt'])
  const { entry } = failed[0] ?? assert.fail('no entry')
  assert.deepEqual(await shown('--event', entry.eventID), failed)
  assert.deepEqual(actions(await shown('--actor', entry.actor?.id ?? '', '--until', '2000-01-01')), [])
  const [created] = await shown('--action', 'kms_key.create', '--limit', '1')
  const operation = await shown('--operation', created?.entry.operationID ?? '')
  assert.deepEqual(
    operation.map((line) => line.entry.phase),
    ['intent', 'result'],
  )
})

test('a filter that cannot be is a wrong command line', async () => {
  const wrong = await keytrail(['audit', 'query', '--dir', home.dir, '--since', 'yesterday'])
  assert.deepEqual([wrong.code, wrong.stdout], [2, ''])
  assert.match(wrong.stderr, /'--since' takes a time/)
})

test('a terminal gets a table in colours, with NO_COLOR without, and no line wider than it is', async () => {
  const args = ['audit', 'query', '--dir', home.dir, '--key', 'orders']
  const coloured = await onTerminal(args, [], { env: { TERM: 'xterm' } })
  assert.equal(coloured.code, 0)
  assert.match(coloured.stdout, /^time +outcome +action/)
  assert.ok(coloured.stdout.includes('\u001b[32msuccess'))
  const plain = await onTerminal(args, [], { env: { NO_COLOR: '1', TERM: 'xterm' } })
  assert.ok(!plain.stdout.includes('\u001b'))
  assert.ok(plain.stdout.split('\r\n').every((line) => [...line].length <= 100))
})

test('a reader that has gone ends it quietly', async () => {
  const { stderr } = await shell(`{ keytrail audit query --dir '${home.dir}'; echo "code $?" >&2; } | true`)
  assert.equal(stderr, 'code 0\n')
})

test('a valid trail is 0; an edited one 1, and where; another key, or none, is not valid', async () => {
  const trail = join(home.dir, 'audit')
  const valid = await keytrail(['audit', 'verify', '--json'], { env: { KEYTRAIL_DIR: home.dir } })
  assert.equal(valid.code, 0)
  const verdict = JSON.parse(valid.stdout)
  assert.equal(verdict.verdict, 'valid')
  assert.match(verdict.root, /^[0-9a-f]{64}$/)

  const copy = join(home.folder, 'copy')
  cpSync(trail, copy, { recursive: true })
  const segment = join(copy, 'main/segments/00000000000000000000.jsonl')
  writeFileSync(segment, readFileSync(segment, 'utf8').replace('"action":"kms.encrypt"', '"action":"kms.encrypx"'))
  const edited = await keytrail(['audit', 'verify', copy])
  assert.deepEqual([edited.code, edited.stderr], [1, ''])
  const index = (await shown('--action', 'kms.encrypt'))[0]?.index
  assert.match(
    edited.stdout,
    new RegExp(`^tampered: main, .*\\(entry ${index}, 00000000000000000000\\.jsonl, line \\d+\\)\n`),
  )

  const otherKey = verdict.vkey.replace(/^(\S+?)\+.*/, '$1+00000000+AAAA')
  const other = await keytrail(['audit', 'verify', trail, '--vkey', otherKey])
  assert.equal(other.code, 1)
  const none = await keytrail(['audit', 'verify', home.folder])
  assert.deepEqual([none.code, none.stdout], [1, ''])
  assert.match(none.stderr, /^keytrail: INVALID_INPUT: there is no trail at /)
})

test('a pin is an anchor, and one that is ahead a reason to fail', async () => {
  const trail = join(home.dir, 'audit')
  const pin = join(home.folder, 'pin')
  assert.equal((await keytrail(['audit', 'pin', trail, '--out', pin])).code, 0)
  const held = await keytrail(['audit', 'verify', trail, '--pin', pin, '--incremental', '--json'])
  const verdict = JSON.parse(held.stdout)
  assert.deepEqual([held.code, held.stderr, verdict.verdict, verdict.anchor], [0, '', 'valid', 'pin'])
  assert.deepEqual(verdict.anchors, [{ kind: 'pin', size: verdict.size, file: pin, agrees: true }])

  const cut = join(home.folder, 'cut')
  cpSync(trail, cut, { recursive: true })
  const segment = join(cut, 'main/segments/00000000000000000000.jsonl')
  const lines = readFileSync(segment, 'utf8').split('\n').slice(0, -1)
  const before = lines.findLastIndex((line, at) => line.startsWith('{"commit"') && at < lines.length - 1)
  writeFileSync(segment, `${lines.slice(0, before + 1).join('\n')}\n`)
  writeFileSync(join(cut, 'main/checkpoint'), JSON.parse(lines[before] ?? '').checkpoint)
  assert.equal((await keytrail(['audit', 'verify', cut])).code, 0)
  const behind = await keytrail(['audit', 'verify', cut, '--pin', pin])
  assert.equal(behind.code, 1)
  assert.match(
    behind.stdout,
    /^rolled-back: main, the pin .* covers \d+ entries, the trail has \d+\n.*\n {2}pin .* does not agree\n$/,
  )
  assert.equal((await keytrail(['audit', 'verify', trail, '--copy', cut])).code, 0)
  const useless = await keytrail(['audit', 'verify', trail, '--incremental'])
  assert.deepEqual([useless.code, useless.stdout], [2, ''])
})

test('of a damaged trail what can be read is shown, and the damage is told', async () => {
  const copy = join(home.folder, 'damaged')
  cpSync(join(home.dir, 'audit'), copy, { recursive: true })
  const segment = join(copy, 'main/segments/00000000000000000000.jsonl')
  const lines = readFileSync(segment, 'utf8').split('\n')
  const at = lines.findIndex((line) => line.includes('"action":"kms.encrypt"'))
  writeFileSync(segment, lines.with(at, `x${lines[at]}`).join('\n'))
  const { code, stdout, stderr } = await keytrail(['audit', 'query', copy, '--json'])
  assert.equal(code, 1)
  assert.equal(stdout.trim().split('\n').length, (await shown()).length - 1)
  assert.match(stderr, /"code":"INTERNAL".*damaged/)
})
