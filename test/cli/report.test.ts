/** @node From calls to a page: what `keytrail audit report` writes, and how it ends. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { before, test } from 'node:test'
import type { Review } from '../../src/report/review.ts'
import { buildPage } from '../report/built.ts'
import { homeWith, keytrail, onTerminal, program, shell, type TestHome } from './run.ts'

let home: TestHome
before(async () => {
  // Where the compiled command line looks: what `npm run build` lays beside it.
  await buildPage(join(dirname(program[1] ?? ''), '../report/page'))
  home = await homeWith([{ slug: 'orders', exportAllowed: true }], 2)
  await home.run(['encrypt', 'orders'], { input: 'x' })
})

function factsIn(page: string): Review {
  const [, json = ''] = /id="review">(.*?)<\/script>/s.exec(page) ?? []
  return JSON.parse(json)
}

test('nothing that needs eyes: a page, exit code 0, a sentence on standard error', async () => {
  const file = join(home.folder, 'quiet.html')
  const { code, stdout, stderr } = await home.run(['audit', 'report', '--html', file])
  assert.deepEqual([code, stdout, stderr], [0, '', 'nothing needs eyes\n'])
  const page = readFileSync(file, 'utf8')
  assert.match(page, /^<!doctype html>\n/)
  assert.match(page, /<title>The trail is valid\. Nothing needs eyes\./)
  const { verdict, timeline, keys, least } = factsIn(page)
  assert.equal(verdict?.verdict, 'valid')
  assert.deepEqual([keys.map(({ slug }) => slug), least], [['orders'], 'medium'])
  assert.ok(timeline.series.some(({ action, outcome }) => action === 'kms.encrypt' && outcome === 'success'))
  // It names who did what: for its owner alone.
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('an export needs eyes: exit code 1, and it stands in the page with its reason', async () => {
  const away = join(home.folder, 'orders.key')
  await home.run(['keys', 'export', 'orders', '--form', 'raw', '--reason', 'escrow <b>', '--out', away])
  const file = join(home.folder, 'export.html')
  const { code, stderr } = await home.run(['audit', 'report', '--html', file])
  assert.equal(code, 1)
  assert.match(stderr, /^\d+ reasons? to look: (?:it stands|they stand) at the top of the page\n$/)
  const page = readFileSync(file, 'utf8')
  assert.match(page, /escrow &#60;b&#62;/)
  assert.ok(!page.includes('escrow <b>'))
  const [only, ...others] = factsIn(page).exports
  assert.deepEqual([only?.key, only?.form, only?.reason, others.length], ['orders', 'raw', 'escrow <b>', 0])
  // The key itself is in no page.
  const material = readFileSync(away)
  for (const spelling of ['base64', 'base64url', 'hex'] as const) assert.ok(!page.includes(material.toString(spelling)))
})

test('a page that is there is replaced whole, and nothing lies beside it', async () => {
  const folder = join(home.folder, 'out')
  mkdirSync(folder)
  const file = join(folder, 'page.html')
  writeFileSync(file, 'old')
  await home.run(['audit', 'report', '--html', file, '--since', '1h'])
  assert.match(readFileSync(file, 'utf8'), /<\/html>\n$/)
  assert.deepEqual(readdirSync(folder), ['page.html'])
})

test('with --json it tells the file, its bytes and why; to a pipe the page goes as well', async () => {
  const file = join(home.folder, 'json.html')
  const { code, stdout } = await home.run(['audit', 'report', '--html', file, '--json'])
  const told = JSON.parse(stdout)
  assert.deepEqual([code, told.file, told.bytes], [1, file, statSync(file).size])
  assert.deepEqual(told.needsEyes, factsIn(readFileSync(file, 'utf8')).needsEyes)
  const piped = await shell('keytrail audit report --html /dev/stdout | cat', { env: home.env })
  assert.match(piped.stdout, /^<!doctype html>/)
})

test('a trail that was tampered with has a page, too, and says so first', async () => {
  const segment = join(home.dir, 'audit/main/segments/00000000000000000000.jsonl')
  const text = readFileSync(segment, 'utf8')
  writeFileSync(segment, text.replace('"outcome":"success"', '"outcome":"failure"'))
  try {
    const file = join(home.folder, 'tampered.html')
    const { code } = await home.run(['audit', 'report', '--html', file])
    assert.equal(code, 1)
    assert.match(readFileSync(file, 'utf8'), /<title>The trail was tampered with\. \S+ things? needs? eyes/)
  } finally {
    writeFileSync(segment, text)
  }
})

test('a command line without a file, or with one that cannot be, writes nothing', async () => {
  const missing = await home.run(['audit', 'report'])
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /option '--html' must say which file to write/)
  const folder = await home.run(['audit', 'report', '--html', home.folder])
  assert.deepEqual([folder.code, folder.stderr.includes('it is a folder')], [1, true])
  const nowhere = await home.run(['audit', 'report', '--html', join(home.folder, 'no/such/page.html')])
  assert.equal(nowhere.code, 1)
  assert.doesNotMatch(nowhere.stderr, /\n\s+at /)
  const none = await keytrail([
    'audit',
    'report',
    join(home.folder, 'nothing'),
    '--html',
    join(home.folder, 'none.html'),
  ])
  assert.equal(none.code, 1)
  assert.ok(!readdirSync(home.folder).includes('none.html'))
})

test('on a terminal the sentence is what is seen', async () => {
  const file = join(home.folder, 'terminal.html')
  const { code, stdout } = await onTerminal(['audit', 'report', '--html', file, '--since', '1h', '--dir', home.dir], [])
  assert.equal(code, 1)
  assert.match(stdout, /reasons? to look/)
})
