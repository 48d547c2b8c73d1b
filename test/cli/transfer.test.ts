/** @node Key material in and out by the command line, with OpenSSL's on the other side. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { readTrail } from '../../src/trail/reading/read.ts'
import { homeWith, onTerminal, type TestHome } from './run.ts'

let here: TestHome
let there: TestHome
before(async () => {
  here = await homeWith([
    { slug: 'backup', exportAllowed: true },
    { slug: 'pen', keyType: 'ecdsa-p256', exportAllowed: true },
    { slug: 'kept' },
  ])
  there = await homeWith([])
})

const file = (name: string) => join(here.folder, name)

test('an export needs a reason, a key made for it, someone to whom or a form, and a place that is no terminal', async () => {
  const clear = ['keys', 'export', 'backup', '--form', 'raw']
  for (const args of [clear, ['keys', 'export', 'backup', '--reason', 'drill']]) {
    const refused = await here.run(args)
    assert.deepEqual([refused.code, refused.stdout], [2, ''])
  }
  const notAllowed = await here.run(['keys', 'export', 'kept', '--form', 'raw', '--reason', 'drill'])
  assert.deepEqual([notAllowed.code, notAllowed.stdout], [1, ''])
  assert.match(notAllowed.stderr, /^keytrail: EXPORT_NOT_ALLOWED: /)
  const onScreen = await onTerminal([...clear, '--reason', 'drill', '--text'], [], { env: here.env })
  assert.equal(onScreen.code, 2)
  assert.match(onScreen.stdout, /not shown on a terminal/)

  const piped = await here.run([...clear, '--reason', 'drill'])
  assert.deepEqual([piped.code, piped.bytes.length, piped.stderr], [0, 32, ''])
  const out = file('backup.key')
  writeFileSync(out, 'old', { mode: 0o644 })
  const filed = await here.run([...clear, '--reason', 'drill', '--ticket', 'T-1', '--out', out])
  assert.deepEqual([filed.code, filed.stdout, filed.stderr], [0, '', ''])
  assert.deepEqual(readFileSync(out), piped.bytes)
  assert.equal(statSync(out).mode & 0o777, 0o600)
  const told = []
  for await (const { entry } of readTrail(join(here.dir, 'audit'), { action: 'kms.export', outcome: 'success' }))
    told.push([entry.reason, entry.details?.form])
  assert.deepEqual(told, [
    [{ code: 'drill' }, 'raw'],
    [{ code: 'drill', ticket: 'T-1' }, 'raw'],
  ])
})

test('wrapped to the other keystore it moves there, and opens what was encrypted here', async () => {
  const asked = await there.run(['keys', 'wrapping-key'])
  assert.equal(asked.code, 0)
  const fingerprint = asked.stderr.trim()
  assert.match(fingerprint, /^sha256:[0-9a-f]{64}$/)
  writeFileSync(file('wrapping.pem'), asked.stdout)
  const der = execFileSync('openssl', ['pkey', '-pubin', '-in', file('wrapping.pem'), '-outform', 'DER'])
  const sum = execFileSync('sha256sum', { input: der, encoding: 'utf8' }).slice(0, 64)
  assert.equal(fingerprint, `sha256:${sum}`)

  const sealed = await here.run(['encrypt', 'backup', '--text'], { input: 'attack at dawn' })
  const out = file('backup.wrapped')
  const to = ['--recipient', file('wrapping.pem'), '--reason', 'moving', '--out', out]
  const exported = await here.run(['keys', 'export', 'backup', ...to])
  assert.deepEqual([exported.code, exported.stderr], [0, ''])
  const imported = await there.run(['keys', 'import', 'moved', out, '--type', 'xaes256-gcm', '--form', 'wrapped'])
  assert.deepEqual([imported.code, imported.stderr], [0, ''])
  assert.match(imported.stdout, /\nmoved {2}xaes256-gcm {2}v1 /)
  const opened = await there.run(['decrypt', 'moved'], { input: sealed.stdout })
  assert.equal(opened.stdout, 'attack at dawn')

  for await (const { entry } of readTrail(join(here.dir, 'audit'), { action: 'kms.export' }))
    if (entry.reason?.code === 'moving')
      assert.deepEqual([entry.details?.recipient, entry.details?.form ?? 'wrapped'], [fingerprint, 'wrapped'])
  const results = []
  for await (const { entry } of readTrail(join(there.dir, 'audit'), { action: 'kms_key.import', outcome: 'success' }))
    results.push([entry.keySlug, entry.details?.wrappingKey, entry.payloadSizes?.keyMaterial])
  assert.deepEqual(results, [['moved', fingerprint, statSync(out).size]])

  const rotated = await there.run(['keys', 'wrapping-key', '--rotate'])
  assert.notEqual(rotated.stderr.trim(), fingerprint)
  const late = await there.run(['keys', 'import', 'late', out, '--type', 'xaes256-gcm', '--form', 'wrapped'])
  assert.equal(late.code, 1)
  assert.match(late.stderr, /INVALID_INPUT/)
})

test("wrapped for a person's key, their private key opens it", async () => {
  execFileSync('openssl', [
    'genpkey',
    '-quiet',
    '-algorithm',
    'RSA',
    '-pkeyopt',
    'rsa_keygen_bits:2048',
    '-out',
    file('me.pem'),
  ])
  execFileSync('openssl', ['pkey', '-in', file('me.pem'), '-pubout', '-out', file('me.pub.pem')])
  const exported = await here.run(['keys', 'export', 'backup', '--recipient', file('me.pub.pem'), '--reason', 'escrow'])
  assert.equal(exported.code, 0)
  const opened = await here.run(['keys', 'unwrap', '--private-key', file('me.pem')], { input: exported.bytes })
  assert.deepEqual(opened.bytes, readFileSync(file('backup.key')))
  const wrapped = await here.run(['keys', 'wrap', file('backup.key'), '--recipient', file('me.pub.pem')])
  assert.equal(wrapped.bytes.length, 256 + 40)
  const again = await here.run(['keys', 'unwrap', '--private-key', file('me.pem')], { input: wrapped.bytes })
  assert.deepEqual(again.bytes, opened.bytes)
  const wrong = await here.run(['keys', 'unwrap', '--private-key', file('me.pem')], { input: 'x'.repeat(296) })
  assert.deepEqual([wrong.code, wrong.stdout], [1, ''])
})

test('a key that OpenSSL made comes in as PEM, and another version of it after', async () => {
  const pem = (name: string) => {
    const args = ['genpkey', '-quiet', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file(name)]
    execFileSync('openssl', args)
    return file(name)
  }
  const type = ['--type', 'ecdsa-p256']
  const imported = await there.run(['keys', 'import', 'theirs', pem('v2.pem'), ...type, '--key-version', '2'])
  assert.deepEqual([imported.code, imported.stderr], [0, ''])
  writeFileSync(file('message'), 'a release')
  execFileSync('openssl', ['dgst', '-sha256', '-sign', file('v2.pem'), '-out', file('message.sig'), file('message')])
  const verified = await there.run(['verify', 'theirs', file('message'), '--signature', file('message.sig')])
  assert.deepEqual([verified.code, verified.stdout], [0, 'valid by theirs v2\n'])

  const added = await there.run(['keys', 'import-version', 'theirs', pem('v1.pem'), '--key-version', '1'])
  assert.equal(added.code, 0)
  const newer = await there.run(['keys', 'import-version', 'theirs', pem('v3.pem'), '--key-version', '3'])
  assert.match(newer.stderr, /INVALID_INPUT: .*allowRotation/)
  const wrongPem = await there.run(['keys', 'import', 'none', file('me.pub.pem'), ...type])
  assert.match(wrongPem.stderr, /not one PEM block of a PRIVATE KEY/)
  const noType = await there.run(['keys', 'import', 'none', file('v1.pem')])
  assert.equal(noType.code, 2)
})

test('a JWK goes out and comes in', async () => {
  const exported = await here.run(['keys', 'export', 'pen', '--form', 'jwk', '--reason', 'drill'])
  const jwk = JSON.parse(exported.stdout)
  assert.deepEqual(Object.keys(jwk), ['kty', 'crv', 'x', 'y', 'd'])
  const args = ['keys', 'import', 'pen-too', '--type', 'ecdsa-p256', '--form', 'jwk']
  const imported = await there.run(args, { input: exported.stdout })
  assert.deepEqual([imported.code, imported.stderr], [0, ''])
  const [ours, theirs] = [
    await here.run(['keys', 'public-key', 'pen']),
    await there.run(['keys', 'public-key', 'pen-too']),
  ]
  assert.equal(ours.stdout, theirs.stdout)
})
