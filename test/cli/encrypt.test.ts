/** @node */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { readTrail } from '../../src/trail/reading/read.ts'
import { homeWith, keytrail, onTerminal, shell, type TestHome, temporary } from './run.ts'

let home: TestHome
before(async () => {
  home = await homeWith([{ slug: 'orders' }, { slug: 'releases', keyType: 'ed25519' }])
})

test('a file of 64 MiB goes into a ciphertext and comes back, for its owner only', async () => {
  const file = join(home.folder, 'big')
  const bytes = randomBytes(64 * 1024 * 1024)
  writeFileSync(file, bytes)
  const encrypted = await home.run(['encrypt', 'orders', file, '--out', `${file}.enc`])
  assert.deepEqual({ ...encrypted, bytes: 0 }, { code: 0, bytes: 0, stdout: '', stderr: '' })
  const decrypted = await home.run(['decrypt', 'orders', `${file}.enc`, '-o', `${file}.back`])
  assert.equal(decrypted.code, 0)
  assert.ok(readFileSync(`${file}.back`).equals(bytes))
  assert.equal(statSync(`${file}.back`).mode & 0o777, 0o600)
})

test('two keytrails in one pipe take turns', async () => {
  const bytes = randomBytes(1000)
  const piped = await shell('keytrail encrypt orders | keytrail decrypt orders', { input: bytes, env: home.env })
  assert.equal(piped.stderr, '')
  assert.deepEqual(piped.bytes, bytes)
})

test('several keytrails at once take turns', async () => {
  const line = 'for n in 1 2 3; do (printf $n | keytrail encrypt orders | wc -c) & done; wait'
  const { stdout, stderr } = await shell(line, { env: home.env })
  assert.equal(stderr, '')
  assert.equal(stdout.split('\n').filter((size) => size.trim() === '78').length, 3)
})

test('the text spelling opens with its context only, and the refusal names its entry', async () => {
  const context = ['--context', 'order=17', '--context', 'empty=']
  const made = await home.run(['encrypt', 'orders', '--text', ...context], { input: 'hello' })
  assert.match(made.stdout, /^keytrail:v1:[\w-]+\n$/)
  const opened = await home.run(['decrypt', 'orders', '--json', ...context], { input: made.stdout })
  const output = JSON.parse(opened.stdout)
  assert.equal(Buffer.from(output.plaintext, 'base64').toString(), 'hello')
  assert.equal(output.keyVersion, 1)

  const refused = await home.run(['decrypt', 'orders'], { input: made.stdout })
  assert.equal(refused.code, 1)
  assert.equal(refused.stdout, '')
  const eventID = /^keytrail: INVALID_CIPHERTEXT: .* \(entry (\S+)\)\n$/.exec(refused.stderr)?.[1]
  assert.ok(eventID)
  const found = []
  for await (const { entry } of readTrail(join(home.dir, 'audit'), { eventID })) found.push(entry)
  assert.equal(found.length, 1)
  assert.deepEqual(
    [found[0]?.action, found[0]?.error, found[0]?.actor?.type, found[0]?.context?.userAgent],
    ['kms.decrypt', 'INVALID_CIPHERTEXT', 'user', 'keytrail-cli/0.1.0'],
  )
})

test('JSON of encrypt holds the text spelling, and with --out only where it went', async () => {
  const made = await home.run(['encrypt', 'orders', '--json', '--reason', 'test', '--ticket', 'T-1'], {
    input: 'hello',
  })
  const output = JSON.parse(made.stdout)
  assert.match(output.ciphertext, /^keytrail:v1:/)
  assert.equal(output.key.slug, 'orders')
  const out = join(home.folder, 'c')
  const written = JSON.parse((await home.run(['encrypt', 'orders', '--json', '--out', out], { input: 'hello' })).stdout)
  assert.equal(written.out, out)
  assert.equal(written.ciphertext, undefined)
  assert.ok(readFileSync(out).length > 5)
  for await (const { entry } of readTrail(join(home.dir, 'audit'), { eventID: output.eventID }))
    assert.deepEqual(entry.reason, { code: 'test', ticket: 'T-1' })
})

test('what a call refuses is one line on standard error, with --json one object', async () => {
  const unknown = await home.run(['encrypt', 'nokey'], { input: 'x' })
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /^keytrail: KEY_NOT_FOUND: nokey: .* \(entry [\w-]+\)\n$/)
  const wrongType = await home.run(['encrypt', 'releases', '--json'], { input: 'x' })
  assert.equal(wrongType.code, 1)
  assert.equal(JSON.parse(wrongType.stderr).error.code, 'UNSUPPORTED_OPERATION')
  assert.equal(wrongType.stdout, '')
})

test('--out writes through a symbolic link and to a device, and replaces neither', async () => {
  const target = join(home.folder, 'target')
  writeFileSync(target, 'old')
  symlinkSync(target, join(home.folder, 'link'))
  await home.run(['encrypt', 'orders', '--text', '--out', join(home.folder, 'link')], { input: 'x' })
  assert.match(readFileSync(target, 'utf8'), /^keytrail:v1:/)
  const toDevice = await home.run(['encrypt', 'orders', '--out', '/dev/null'], { input: 'x' })
  assert.equal(toDevice.code, 0)
  assert.ok(statSync('/dev/null').isCharacterDevice())
})

test('a terminal is shown ciphertext as text, and plaintext only if it is text', async () => {
  const file = join(home.folder, 'binary')
  writeFileSync(file, Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a))
  const { stdout, code } = await onTerminal(['encrypt', 'orders', file], [], { env: home.env })
  assert.equal(code, 0)
  assert.match(stdout, /^keytrail:v1:[\w-]+\r\n$/)
  writeFileSync(`${file}.enc`, stdout.trim())
  const refused = await onTerminal(['decrypt', 'orders', `${file}.enc`], [], { env: home.env })
  assert.equal(refused.code, 1)
  assert.match(refused.stdout, /not plain text.*--out FILE/)
  assert.ok(!refused.stdout.includes('\u001b'))
})

test('a folder without keys is told apart, and nothing is made in it', async () => {
  const dir = join(temporary(), 'none')
  const { code, stderr } = await keytrail(['encrypt', 'orders', '--dir', dir], { input: 'x' })
  assert.equal(code, 1)
  assert.match(stderr, /there are no keys in .*keytrail init/)
  assert.ok(!existsSync(dir))
})

test('keys whose trail is gone are not used, and no new trail is begun by the way', async () => {
  const { run, dir } = await homeWith([{ slug: 'orders' }])
  rmSync(join(dir, 'audit'), { recursive: true })
  const { code, stdout, stderr } = await run(['encrypt', 'orders'], { input: 'x' })
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /holds no trail: put it back/)
  assert.ok(!existsSync(join(dir, 'audit')))
})

test('a region that cannot be is refused, and gives the keys back', async () => {
  const refused = await home.run(['encrypt', 'orders', '--region', 'a b'], { input: 'x' })
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^keytrail: INVALID_INPUT: 'region' must be/)
  const locks = readdirSync(join(home.dir, 'keys')).filter((name) => name.startsWith('lock.'))
  const held = locks.filter((name) => readFileSync(join(home.dir, 'keys', name), 'utf8').includes('"released":false'))
  assert.deepEqual(held, [])
})
