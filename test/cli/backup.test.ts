import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { copyFolder } from '../copy-folder.ts'
import { homeWith } from './run.ts'

test('a home is backed up, lost, and put back with a reason that stands in its trail', async () => {
  const home = await homeWith([{ slug: 'orders' }])
  const out = join(home.folder, 'backup')
  const secret = join(home.folder, 'secret')
  const sealed = join(home.folder, 'sealed')
  writeFileSync(secret, 'attack at dawn')
  await home.run(['encrypt', 'orders', secret, '--out', sealed])
  const done = await home.run(['backup', home.dir, out])
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /^main: \d+ entries of keytrail\/\S+, valid\n$/)
  assert.match(done.stderr, /copied keystore generation 2 /)
  assert.equal((await home.run(['backup', home.dir, out])).code, 1)

  rmSync(home.dir, { recursive: true })
  const silent = await home.run(['restore', out, home.dir])
  assert.equal(silent.code, 2)
  assert.match(silent.stderr, /say why with '--accept-rollback REASON'/)
  assert.ok(!existsSync(home.dir))
  const back = await home.run(['restore', out, home.dir, '--accept-rollback', 'disk-lost', '--ticket', 'OPS-17'])
  assert.equal(back.code, 0, back.stderr)
  assert.match(back.stdout, /are as they were at 20/)
  assert.match(back.stderr, /verified with its own key only/)
  const opened = await home.run(['decrypt', 'orders', sealed])
  assert.equal(opened.stdout, 'attack at dawn')
  const shown = await home.run(['audit', 'query', '--action', 'audit.restored', '--json'])
  assert.match(shown.stdout, /"reason":\{"code":"disk-lost","ticket":"OPS-17"\}/)
  assert.equal((await home.run(['audit', 'verify'])).code, 0)
})

test('a backup for programs is one line of JSON', async () => {
  const home = await homeWith([])
  const out = join(home.folder, 'backup')
  const { stdout } = await home.run(['backup', home.dir, out, '--json'])
  const told = JSON.parse(stdout)
  assert.deepEqual([told.out, told.generation, told.trails[0].instance], [out, 1, 'main'])
  assert.match(told.trails[0].size, /^\d+$/)
})

test('keys that are older than their trail are refused with advice, and used once somebody says why', async () => {
  const home = await homeWith([{ slug: 'orders' }])
  const old = join(home.folder, 'old')
  copyFolder(join(home.dir, 'keys'), old)
  assert.equal((await home.run(['keys', 'rotate', 'orders'])).code, 0)
  rmSync(join(home.dir, 'keys'), { recursive: true })
  copyFolder(old, join(home.dir, 'keys'))
  const refused = await home.run(['keys', 'list'])
  assert.equal(refused.code, 1)
  assert.match(
    refused.stderr,
    /not of the same time[\s\S]*--accept-rollback REASON[\s\S]*ROLLED_BACK: the keystore was taken back/,
  )
  assert.equal((await home.run(['keys', 'list', '--accept-rollback', 'old-disk'])).code, 0)
  assert.equal((await home.run(['keys', 'list'])).code, 0)
  const shown = await home.run(['audit', 'query', '--action', 'audit.restored', '--json'])
  assert.match(shown.stdout, /"reason":\{"code":"old-disk"\}/)
})
