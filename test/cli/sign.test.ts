/** @node */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { homeWith, type TestHome } from './run.ts'

let home: TestHome
let file: string
before(async () => {
  home = await homeWith([
    { slug: 'releases', keyType: 'ed25519' },
    { slug: 'tickets', keyType: 'ecdsa-p256' },
    { slug: 'webhooks', keyType: 'hmac-sha256' },
    { slug: 'pq', keyType: 'ml-dsa-44' },
    { slug: 'old-school', keyType: 'rsa-2048' },
  ])
  file = join(home.folder, 'file')
  writeFileSync(file, 'what is signed')
})

test('a signature verifies here and with the public key alone; over other bytes it is not valid, and exits with 1', async () => {
  const signature = `${file}.sig`
  assert.equal((await home.run(['sign', 'releases', file, '--out', signature])).code, 0)
  const valid = await home.run(['verify', 'releases', file, '--signature', signature])
  assert.deepEqual([valid.code, valid.stdout, valid.stderr], [0, 'valid by releases v1\n', ''])
  const { stdout } = await home.run(['keys', 'public-key', 'releases', '--json'])
  const key = createPublicKey({ key: Buffer.from(JSON.parse(stdout).spki, 'base64'), format: 'der', type: 'spki' })
  assert.ok(verify(null, readFileSync(file), key, readFileSync(signature)))
  const other = await home.run(['verify', 'releases', '-', '--signature', signature, '--json'], { input: 'another' })
  assert.equal(other.code, 1)
  const verdict = JSON.parse(other.stdout)
  assert.equal(verdict.valid, false)
  assert.match(verdict.eventID, /^[0-9a-f-]{36}$/)
})

test('an ECDSA signature over a digest, in base64, verifies over the input', async () => {
  const digest = createHash('sha256').update('what is signed').digest()
  const signed = await home.run(['sign', 'tickets', '--prehashed', '--format', 'ieee-p1363', '--text'], {
    input: digest,
  })
  assert.match(signed.stdout, /^[A-Za-z0-9+/]{86}==\n$/)
  const options = ['--signature', '-', '--format', 'ieee-p1363', '--hash', 'sha256']
  const valid = await home.run(['verify', 'tickets', file, ...options], { input: signed.stdout })
  assert.deepEqual([valid.code, valid.stderr], [0, ''])
  const wrong = await home.run(['verify', 'tickets', file, '--signature', file, '--hash', 'md5'])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^keytrail: INVALID_INPUT: .*sha256, sha384, sha512/)
})

test('ML-DSA signs where its package is installed, and RSA with the padding asked for', async () => {
  const signature = `${file}.pq`
  assert.equal((await home.run(['sign', 'pq', file, '--out', signature])).code, 0)
  assert.equal(readFileSync(signature).length, 2420)
  const valid = await home.run(['verify', 'pq', file, '--signature', signature])
  assert.deepEqual([valid.code, valid.stdout], [0, 'valid by pq v1\n'])
  const padding = ['--padding', 'pkcs1v15']
  const signed = await home.run(['sign', 'old-school', file, ...padding, '--text'])
  const same = await home.run(['verify', 'old-school', file, '--signature', '-', ...padding], { input: signed.stdout })
  assert.equal(same.code, 0)
  const other = await home.run(['verify', 'old-school', file, '--signature', '-'], { input: signed.stdout })
  assert.equal(other.code, 1)
})

test('an HMAC verifies; a changed one does not', async () => {
  const mac = `${file}.mac`
  const made = await home.run(['hmac', 'webhooks', file])
  assert.equal(made.bytes.length, 32)
  writeFileSync(mac, made.bytes)
  assert.equal((await home.run(['verify-hmac', 'webhooks', file, '--hmac', mac])).stdout, 'valid by webhooks v1\n')
  writeFileSync(
    mac,
    made.bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte)),
  )
  const changed = await home.run(['verify-hmac', 'webhooks', file, '--hmac', mac])
  assert.deepEqual([changed.code, changed.stdout], [1, 'not valid by webhooks\n'])
})

test('a verdict needs a signature, which is not read from where the input is', async () => {
  const without = await home.run(['verify', 'releases', file])
  assert.deepEqual([without.code, without.stdout], [2, ''])
  assert.match(without.stderr, /'--signature FILE' is missing/)
  const both = await home.run(['verify-hmac', 'webhooks', '--hmac', '-'], { input: 'x' })
  assert.equal(both.code, 2)
})
