import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { homeWith, onTerminal } from './run.ts'

test('a home goes from a root key to another one, which is made, and the old one opens it no longer', async () => {
  const home = await homeWith([{ slug: 'orders' }])
  const rootKeyFile = join(home.folder, 'new.key')
  const done = await home.run(['keys', 'rewrap-root', '--new-root-key-file', rootKeyFile, '--json'])
  assert.equal(done.code, 0, done.stderr)
  assert.equal(JSON.parse(done.stdout).generation, 3)
  assert.match(done.stderr, /made the root key .*keep a copy[\s\S]*backups made before still need the old/)
  assert.equal(statSync(rootKeyFile).mode & 0o777, 0o600)
  assert.match((await home.run(['keys', 'list'])).stderr, /wrong root key/)
  const listed = await home.run(['keys', 'list'], { env: { KEYTRAIL_ROOT_KEY_FILE: rootKeyFile } })
  assert.match(listed.stdout, /orders/)
  const shown = await home.run(['audit', 'query', '--action', 'kms_keystore.rewrap_root_key', '--json'])
  assert.deepEqual(
    shown.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).entry?.phase ?? JSON.parse(line).phase),
    ['intent', 'result'],
  )
  assert.ok(!`${done.stdout}${done.stderr}${shown.stdout}`.includes(readFileSync(rootKeyFile).toString('hex')))
})

test('a passphrase comes from a file, or is asked for twice', async () => {
  const home = await homeWith([{ slug: 'orders' }])
  const file = join(home.folder, 'passphrase')
  writeFileSync(file, 'correct horse\n', { mode: 0o600 })
  const done = await home.run(['keys', 'rewrap-root', '--new-passphrase-file', file])
  assert.equal(done.code, 0, done.stderr)
  const env = { KEYTRAIL_DIR: home.dir, KEYTRAIL_PASSPHRASE: 'correct horse' }
  const asked = await onTerminal(['keys', 'rewrap-root'], ['battery\r', 'battery\r'], { env })
  assert.equal(asked.code, 0, asked.stdout)
  assert.match(asked.stdout, /new passphrase: [\s\S]*once more: [\s\S]*sealed anew as generation 4/)
  const differ = await onTerminal(['keys', 'rewrap-root'], ['one\r', 'two\r'], {
    env: { ...env, KEYTRAIL_PASSPHRASE: 'battery' },
  })
  assert.equal(differ.code, 1)
  assert.match(differ.stdout, /differ: nothing was made/)
  const listed = await onTerminal(['keys', 'list'], ['battery\r'], { env: { KEYTRAIL_DIR: home.dir } })
  assert.match(listed.stdout, /orders/)
})

test('two sources, or a root key among the keys, are refused before anything is made', async () => {
  const home = await homeWith([])
  const inside = join(home.dir, 'keys', 'root.key')
  const both = await home.run(['keys', 'rewrap-root', '--new-root-key-file', inside, '--new-passphrase-file', inside])
  assert.equal(both.code, 2)
  const among = await home.run(['keys', 'rewrap-root', '--new-root-key-file', inside])
  assert.equal(among.code, 1)
  assert.match(among.stderr, /must stand outside/)
  assert.ok(!existsSync(inside))
  assert.equal((await home.run(['keys', 'list'])).code, 0)
})
