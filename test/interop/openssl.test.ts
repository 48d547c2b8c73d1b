/** @node Files that OpenSSL's command line makes are read and verified here, and ours there, for every type that it knows. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import { concat, hex, u32be, utf8 } from '../../src/crypto/bytes.ts'
import { fromPem } from '../../src/crypto/pkcs8.ts'
import type { HashAlgorithm, Input } from '../../src/model/operation.ts'
import type { EmbeddedKms } from '../../src/providers/local/provider.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { run } from '../providers/calls.ts'

const isThere = spawnSync('openssl', ['version']).status === 0
const skip = isThere || process.env['CI'] === 'true' ? false : 'openssl is not there: what it makes is not compared'

const folder = mkdtempSync(join(tmpdir(), 'keytrail-openssl-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const path = (name: string) => join(folder, name)
const put = (name: string, bytes: Uint8Array | string) => {
  writeFileSync(path(name), bytes)
  return path(name)
}
const read = (name: string) => new Uint8Array(readFileSync(path(name)))

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Whether the command says yes; anything but a plain no is an error. */
function saysYes(...args: readonly string[]): boolean {
  const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  assert.match(`${stdout}${stderr}`, /verif/i, `openssl ${args.join(' ')}\n${stdout}${stderr}`)
  return status === 0
}

const message = utf8('a release of the house')

type SignInput = Pick<Input<'sign'>, 'hashAlgorithm' | 'padding'>

interface SigningType {
  readonly keyType: NonNullable<Input<'createKey'>['keyType']>
  /** For `openssl genpkey`. */
  readonly generate: readonly string[]
  /** What is asked of us, and how the same is said to OpenSSL; without a digest, `pkeyutl -rawin` does it. */
  readonly ways: readonly (readonly [SignInput, readonly string[]])[]
}

const hashes: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']
const ecdsa = (keyType: SigningType['keyType'], curve: string): SigningType => ({
  keyType,
  generate: ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`],
  ways: hashes.map((hashAlgorithm) => [{ hashAlgorithm }, [`-${hashAlgorithm}`]]),
})
const rsa = (keyType: SigningType['keyType'], bits: number): SigningType => ({
  keyType,
  generate: ['-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`],
  ways: hashes.flatMap((hashAlgorithm) => [
    [
      { hashAlgorithm },
      [`-${hashAlgorithm}`, '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
    ] as const,
    [{ hashAlgorithm, padding: 'pkcs1v15' }, [`-${hashAlgorithm}`]] as const,
  ]),
})

const signingTypes: readonly SigningType[] = [
  { keyType: 'ed25519', generate: ['-algorithm', 'ED25519'], ways: [[{}, []]] },
  ecdsa('ecdsa-p256', 'P-256'),
  ecdsa('ecdsa-p384', 'P-384'),
  ecdsa('ecdsa-p521', 'P-521'),
  ecdsa('ecdsa-secp256k1', 'secp256k1'),
  rsa('rsa-2048', 2048),
  rsa('rsa-3072', 3072),
  rsa('rsa-4096', 4096),
]

function opensslSigns(key: string, how: readonly string[]): Uint8Array {
  if (how.length === 0)
    openssl('pkeyutl', '-sign', '-rawin', '-inkey', key, '-in', path('message'), '-out', path('sig'))
  else openssl('dgst', ...how, '-sign', key, '-out', path('sig'), path('message'))
  return read('sig')
}

function opensslVerifies(publicKey: string, how: readonly string[], signature: Uint8Array, input: string): boolean {
  const sig = put('their.sig', signature)
  if (how.length === 0)
    return saysYes('pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', publicKey, '-sigfile', sig, '-in', input)
  return saysYes('dgst', ...how, '-verify', publicKey, '-signature', sig, input)
}

describe('OpenSSL', { skip }, () => {
  let kms: EmbeddedKms
  before(() => {
    kms = memoryKms()
    put('message', message)
    put('other', 'another message')
  })
  after(() => kms.close())

  for (const { keyType, generate, ways } of signingTypes) {
    test(`${keyType}: its PEM keys come in, and its signatures verify here`, async () => {
      const pem = path(`${keyType}.pem`)
      openssl('genpkey', ...generate, '-out', pem)
      const key = `theirs-${keyType}`
      const keyMaterial = fromPem('PRIVATE KEY', readFileSync(pem, 'utf8')) ?? assert.fail('one PEM block')
      await run(kms, 'importKey', { slug: key, keyType, keyMaterial, exportAllowed: true })
      const { publicKey, spki } = await run(kms, 'getPublicKey', { key })
      const theirs = openssl('pkey', '-in', pem, '-pubout')
      assert.deepEqual(spki, fromPem('PUBLIC KEY', theirs))
      if (keyType !== 'ed25519') assert.equal(publicKey, theirs)
      // One encoding, to the byte.
      assert.deepEqual((await run(kms, 'export', { key })).keyMaterial, keyMaterial)
      for (const [options, how] of ways) {
        const signature = opensslSigns(pem, how)
        const what = `${how.join(' ')}`
        assert.equal((await run(kms, 'verify', { key, input: message, signature, ...options })).valid, true, what)
        const other = await run(kms, 'verify', { key, input: utf8('another message'), signature, ...options })
        assert.equal(other.valid, false, what)
      }
    })

    test(`${keyType}: our signatures and our exported keys are read there`, async () => {
      const key = `ours-${keyType}`
      await run(kms, 'createKey', { slug: key, keyType, exportAllowed: true })
      const { spki } = await run(kms, 'getPublicKey', { key })
      const publicPem = path(`${key}.pub.pem`)
      openssl('pkey', '-pubin', '-inform', 'DER', '-in', put('spki.der', spki), '-out', publicPem)
      for (const [options, how] of ways) {
        const { signature } = await run(kms, 'sign', { key, input: message, ...options })
        assert.equal(opensslVerifies(publicPem, how, signature, path('message')), true, how.join(' '))
        assert.equal(opensslVerifies(publicPem, how, signature, path('other')), false, how.join(' '))
      }
      const { keyMaterial } = await run(kms, 'export', { key })
      openssl('pkey', '-inform', 'DER', '-in', put('key.der', keyMaterial), '-out', path('key.pem'))
      assert.equal(openssl('pkey', '-in', path('key.pem'), '-check', '-noout'), 'Key is valid\n')
      openssl('pkcs8', '-topk8', '-nocrypt', '-in', path('key.pem'), '-outform', 'DER', '-out', path('again.der'))
      assert.deepEqual(read('again.der'), keyMaterial)
      const [options, how] = ways[0] ?? assert.fail('one way at least')
      const signature = opensslSigns(path('key.pem'), how)
      assert.equal((await run(kms, 'verify', { key, input: message, signature, ...options })).valid, true)
    })
  }

  for (const [keyType, digest] of [
    ['hmac', 'SHA256'],
    ['hmac-sha256', 'SHA256'],
    ['hmac-sha384', 'SHA384'],
    ['hmac-sha512', 'SHA512'],
  ] as const)
    test(`${keyType}: the same HMAC there under the exported key`, async () => {
      await run(kms, 'createKey', { slug: keyType, keyType, exportAllowed: true })
      const { hmac } = await run(kms, 'hmac', { key: keyType, input: message })
      const { keyMaterial } = await run(kms, 'export', { key: keyType })
      const args = ['-digest', digest, '-macopt', `hexkey:${hex(keyMaterial)}`, '-in', path('message'), 'HMAC']
      assert.equal(
        openssl('mac', ...args)
          .trim()
          .toLowerCase(),
        hex(hmac),
      )
      const theirs = new Uint8Array(Buffer.from(openssl('mac', ...args).trim(), 'hex'))
      assert.equal((await run(kms, 'verifyHmac', { key: keyType, input: message, hmac: theirs })).valid, true)
    })

  test('rsa-2048: OAEP blocks open on both sides, with the label that the frame page gives', async () => {
    const key = 'ours-rsa-2048'
    const encryptionContext = { order: '17' }
    const { ciphertext } = await run(kms, 'encrypt', { key, plaintext: message, encryptionContext })
    const lp = (bytes: Uint8Array) => concat([u32be(bytes.length), bytes])
    const head = ciphertext.slice(0, 37)
    const context = concat([u32be(1), lp(utf8('order')), lp(utf8('17'))])
    put('aad', concat([lp(utf8('keytrail/aad/1')), lp(head), lp(utf8('rsa-2048')), context]))
    const label = openssl('dgst', '-sha256', '-r', path('aad')).slice(0, 64)
    const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256', `rsa_oaep_label:${label}`]
    const how = oaep.flatMap((option) => ['-pkeyopt', option])
    const { keyMaterial } = await run(kms, 'export', { key })
    openssl('pkey', '-inform', 'DER', '-in', put('key.der', keyMaterial), '-out', path('rsa.pem'))
    openssl(
      'pkeyutl',
      '-decrypt',
      '-inkey',
      path('rsa.pem'),
      ...how,
      '-in',
      put('block', ciphertext.slice(37)),
      '-out',
      path('plain'),
    )
    assert.deepEqual(read('plain'), message)

    openssl(
      'pkeyutl',
      '-encrypt',
      '-inkey',
      path('rsa.pem'),
      ...how,
      '-in',
      path('message'),
      '-out',
      path('their.block'),
    )
    const theirs = concat([head, read('their.block')])
    assert.deepEqual((await run(kms, 'decrypt', { key, ciphertext: theirs, encryptionContext })).plaintext, message)
  })

  test('wrapped key material: theirs comes in, ours opens there by the two commands of the frame page', async () => {
    const { spki } = await run(kms, 'getWrappingKey', {})
    openssl('rand', '-out', path('aes.key'), '32')
    openssl('rand', '-out', path('kek'), '32')
    openssl('pkey', '-pubin', '-inform', 'DER', '-in', put('spki.der', spki), '-out', path('wrapping.pem'))
    const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'].flatMap((one) => [
      '-pkeyopt',
      one,
    ])
    openssl(
      'pkeyutl',
      '-encrypt',
      '-pubin',
      '-inkey',
      path('wrapping.pem'),
      ...oaep,
      '-in',
      path('kek'),
      '-out',
      path('block'),
    )
    const kwp = ['-id-aes256-wrap-pad', '-K', hex(read('kek')), '-iv', 'A65959A6']
    openssl('enc', '-e', ...kwp, '-in', path('aes.key'), '-out', path('wrapped.key'))
    const keyMaterial = concat([read('block'), read('wrapped.key')])
    const given = {
      slug: 'wrapped',
      keyType: 'aes256-gcm96',
      keyMaterial,
      form: 'wrapped',
      exportAllowed: true,
    } as const
    await run(kms, 'importKey', given)
    assert.deepEqual((await run(kms, 'export', { key: 'wrapped' })).keyMaterial, read('aes.key'))

    openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072', '-out', path('private.pem'))
    const recipient = fromPem('PUBLIC KEY', openssl('pkey', '-in', path('private.pem'), '-pubout')) ?? assert.fail()
    put('wrapped', (await run(kms, 'export', { key: 'wrapped', recipient })).keyMaterial)
    const page = readFileSync(new URL('../../src/crypto/README.md', import.meta.url), 'utf8')
    const commands = /```sh\n(head -c K[\s\S]*?)```/.exec(page)?.[1] ?? assert.fail('the page has the commands')
    execFileSync('sh', ['-ec', `K=384\n${commands.replace('head -c K', 'head -c "$K"')}`], { cwd: folder })
    assert.deepEqual(read('key'), read('aes.key'))
  })
})
