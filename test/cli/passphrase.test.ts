/** @node */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { openLocalKms } from '../../src/providers/local/open.ts'
import { homeWith, keytrail, onTerminal, type Run, temporary } from './run.ts'

const secret = 'correct horse battery staple'
let folder: string
let dir: string
let made: Run
before(async () => {
  folder = temporary()
  dir = join(folder, 'home')
  made = await onTerminal(['init', '--dir', dir], [`${secret}\r`, `${secret}\r`])
})

test('init asks twice, shows nothing of what is typed, and the keys open with it', async () => {
  assert.equal(made.code, 0)
  assert.match(made.stdout, /new passphrase: \r\nonce more: \r\n/)
  assert.ok(!made.stdout.includes(secret))
  const opened = await keytrail(['keys', 'create', 'orders', '--dir', dir], { env: { KEYTRAIL_PASSPHRASE: secret } })
  assert.deepEqual([opened.code, opened.stderr], [0, ''])
})

test('two different answers make nothing', async () => {
  const other = join(folder, 'other')
  const { code, stdout } = await onTerminal(['init', '--dir', other], ['one\r', 'two\r'])
  assert.equal(code, 1)
  assert.match(stdout, /the two passphrases differ: nothing was made/)
  assert.ok(!existsSync(other))
})

test('the terminal is asked though standard input is the data; corrections count', async () => {
  const typed = [`${secret}é\u007f\r`]
  const within = 'printf data | "$@" | wc -c'
  const { stdout, code } = await onTerminal(['encrypt', 'orders', '--dir', dir], typed, { within })
  assert.deepEqual([code, stdout.replace(/ /g, '')], [0, 'passphrase:\r\n81\r\n'])
})

test('Ctrl-C at the prompt gives up', async () => {
  const { stdout, code } = await onTerminal(['keys', 'list', '--dir', dir], ['\u0003'])
  assert.equal(code, 1)
  assert.match(stdout, /keytrail: ABORTED: no passphrase was given/)
})

test('a passphrase file is read to the end of its line, and refused when everybody may read it', async () => {
  const file = join(folder, 'passphrase')
  writeFileSync(file, `${secret}\n`, { mode: 0o600 })
  const args = ['keys', 'list', '--dir', dir, '--passphrase-file', file]
  assert.equal((await keytrail(args)).code, 0)
  chmodSync(file, 0o644)
  const open = await keytrail(args)
  assert.equal(open.code, 1)
  assert.match(open.stderr, /open to every user/)
  const both = await keytrail([...args, '--root-key-file', file])
  assert.equal(both.code, 2)
})

test('a wrong passphrase, and none where nobody can be asked, are refused', async () => {
  const wrong = await keytrail(['keys', 'list', '--dir', dir], { env: { KEYTRAIL_PASSPHRASE: 'wrong' } })
  assert.deepEqual([wrong.code, wrong.stdout], [1, ''])
  assert.match(wrong.stderr, /^keytrail: INVALID_INPUT: wrong passphrase/)
  const nobody = await keytrail(['keys', 'list', '--dir', dir])
  assert.deepEqual([nobody.code, nobody.stdout], [1, ''])
  assert.match(nobody.stderr, /no terminal to ask .*KEYTRAIL_PASSPHRASE/)
})

test('neither passphrase nor plaintext is in any file or output', async () => {
  const plaintext = 'the plaintext that must not leave'
  const { stdout, stderr } = await keytrail(['encrypt', 'orders', '--json'], {
    input: plaintext,
    env: { KEYTRAIL_PASSPHRASE: secret, KEYTRAIL_DIR: dir },
  })
  assert.match(stdout, /"ciphertext":"keytrail:v1:/)
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const texts = [
    stdout,
    stderr,
    made.stdout,
    ...files.map((file) => readFileSync(join(file.parentPath, file.name), 'latin1')),
  ]
  // Without the last characters, which depend on what follows.
  for (const canary of [secret, plaintext].map((text) => Buffer.from(text)))
    for (const spelling of ['latin1', 'hex', 'base64', 'base64url'] as const)
      assert.ok(!texts.some((text) => text.includes(canary.toString(spelling).slice(0, -4))))
})

test('while another process holds the keys a verb waits, then says who holds them', async () => {
  const home = await homeWith([])
  const rootKeyFile = home.env['KEYTRAIL_ROOT_KEY_FILE'] ?? ''
  const local = await openLocalKms({ path: join(home.dir, 'keys'), rootKeyFile })
  const { code, stdout, stderr } = await home.run(['keys', 'list'])
  await local.close()
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, new RegExp(`^keytrail: LOCKED: .*${process.pid}`))
})
