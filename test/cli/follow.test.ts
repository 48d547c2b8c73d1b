/** @node */
import { deepStrictEqual, match, ok } from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { homeWith } from './run.ts'

test('query --follow shows what is there, then what another process adds, until the limit', async () => {
  const home = await homeWith([{ slug: 'orders' }])
  await home.run(['encrypt', 'orders'], { input: 'x' })
  const following = home.run(['audit', 'query', '-f', '--json', '--action', 'kms.*', '--limit', '3'])
  const short = home.run(['audit', 'query', '--follow', '--action', 'kms.decrypt', '--limit', '1'])
  await home.run(['encrypt', 'orders'], { input: 'y' })
  await home.run(['decrypt', 'orders'], { input: 'no ciphertext' })
  const { code, stdout, stderr } = await following
  deepStrictEqual([code, stderr], [0, ''])
  const lines = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
  deepStrictEqual(
    lines.map(({ entry }) => entry.action),
    ['kms.encrypt', 'kms.encrypt', 'kms.decrypt'],
  )
  ok(lines.every(({ covered }) => covered))
  match((await short).stdout, /^[^\n]*kms\.decrypt[^\n]*\n$/)
})

test('a trail that is not there cannot be followed', async () => {
  const home = await homeWith([])
  const { code, stderr } = await home.run(['audit', 'query', '--follow', join(home.folder, 'none')])
  deepStrictEqual(code, 1)
  match(stderr, /there is no trail/)
})
