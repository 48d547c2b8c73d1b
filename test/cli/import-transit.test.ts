/** @node A key moves in from Vault by the command line, and what Vault made is opened and verified there. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { backupOf, entry, textOf } from '../integrations/vault-backup/backups.ts'
import { noShared, sharedJson } from '../shared.ts'
import { homeWith } from './run.ts'

test('a backup from a pipe, its ciphertexts with the line end of a file', { skip: noShared }, async () => {
  const { backup } = sharedJson<{
    produced_by_upstream_code: { backup: { backup: string; ciphertext_v1: string } }
  }>('fixtures/openbao-transit.json').produced_by_upstream_code
  const home = await homeWith([])
  const first = await home.run(['keys', 'import-transit', 'orders', '--json'], { input: `${backup.backup}\n` })
  assert.deepEqual([first.code, first.stderr], [0, 'versions imported: 2, here before: 0\n'])
  const { key, imported } = JSON.parse(first.stdout)
  assert.deepEqual([key.slug, key.keyType, imported], ['orders', 'transit-aes256-gcm96', [2, 1]])
  const again = await home.run(['keys', 'import-transit', 'orders', '-'], { input: backup.backup })
  assert.equal(again.stderr, 'versions imported: 0, here before: 2\n')
  assert.match(again.stdout, /^slug .*\norders +transit-aes256-gcm96 +v2 +active/)
  const opened = await home.run(['decrypt', 'orders'], { input: `${backup.ciphertext_v1}\n` })
  assert.deepEqual([opened.code, opened.stdout], [0, 'the quick brown fox'])
})

test('a MAC of Vault is verified from its file; a file that is no backup is refused and named', async () => {
  const home = await homeWith([])
  const file = (name: string, content: string) => {
    writeFileSync(join(home.folder, name), content)
    return join(home.folder, name)
  }
  const one = entry()
  const backup = file('backup', textOf(backupOf({ type: 0, entries: [one] })))
  assert.equal((await home.run(['keys', 'import-transit', 'hooks', backup])).code, 0)
  const digest = createHmac('sha256', Buffer.from(String(one['hmac_key']), 'base64'))
    .update('body')
    .digest('base64')
  const args = ['verify-hmac', 'hooks', file('body', 'body'), '--hmac']
  const valid = await home.run([...args, file('mac', `vault:v1:${digest}\n`)])
  assert.deepEqual([valid.code, valid.stdout], [0, 'valid by hooks v1\n'])
  const wrong = await home.run([...args, file('mac', `vault:v01:${digest}\n`)])
  assert.deepEqual([wrong.code, wrong.stdout], [1, 'not valid by hooks\n'])
  const none = await home.run(['keys', 'import-transit', 'none', file('none', 'AAAA')])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /INVALID_INPUT: .*backup is no JSON/)
})
