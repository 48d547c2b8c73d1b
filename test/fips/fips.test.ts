/** @node FIPS mode with a real FIPS provider of OpenSSL, and what is said where there is none. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { getFips, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { isApproved, requireFips } from '../../src/crypto/fips.ts'
import type { KeyType } from '../../src/model/key.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { kmsError, noble } from '../crypto/engines.ts'
import { freshFolder } from '../storage/folder.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const config = join(root, '.runtimes/fips/openssl.cnf')
const skip =
  existsSync(config) || process.env['CI'] === 'true'
    ? false
    : 'no FIPS provider here: test/fips/install.sh .runtimes/fips installs one (Debian, as root)'

const keyTypes = Object.keys(algorithms) as KeyType[] // the table's own names

interface Facts {
  readonly withPassphrase: string
  readonly facts: { readonly fips: boolean }
  readonly byType: Readonly<Record<string, string>>
  readonly byDefault: string
  readonly prehashed: string
  readonly rewrapped: string
  readonly verdict: string
  readonly laxTypes: Readonly<Record<string, string>>
  readonly entries: readonly {
    readonly action: string
    readonly phase: string
    readonly keyType?: string
    readonly outcome: string
    readonly error?: string
    readonly engine?: string
  }[]
}

describe('with the FIPS provider', { skip }, () => {
  let facts: Facts
  before(async () => {
    const args = ['--conditions=keytrail-source', '--import', 'ts-blank-space/register', 'test/fips/child.ts']
    const env = { ...process.env, NODE_OPTIONS: `--force-fips --openssl-config=${config}` }
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env, maxBuffer: 1 << 26 })
    facts = JSON.parse(stdout) as Facts // the child's own document
  })

  for (const keyType of keyTypes)
    test(`${keyType} ${isApproved(keyType) ? 'works' : 'is refused, and says what to use'}`, () => {
      const found = facts.byType[keyType] ?? ''
      if (isApproved(keyType)) assert.equal(found, 'allowed')
      else assert.match(found, /^UNSUPPORTED_OPERATION: .* is not allowed in FIPS mode: use one of aes128-gcm96, /)
    })

  test('each refusal has its entry, and each approved type its entries', () => {
    for (const keyType of keyTypes) {
      const of = facts.entries.filter((entry) => entry.keyType === keyType && entry.phase === 'result')
      const created = of.filter(({ action }) => action === 'kms_key.create')
      const wanted = isApproved(keyType) ? ['success', undefined] : ['failure', 'UNSUPPORTED_OPERATION']
      assert.deepEqual([created[0]?.outcome, created[0]?.error], wanted, keyType)
      assert.equal(
        of.some(({ action }) => action === 'kms.export'),
        isApproved(keyType),
        keyType,
      )
    }
  })

  test('new keys are AES-256-GCM by default, and the facts and audit.opened say in which mode', () => {
    assert.equal(facts.byDefault, 'aes256-gcm96')
    assert.equal(facts.facts.fips, true)
    assert.equal(facts.entries.find(({ action }) => action === 'audit.opened')?.engine, 'node+fips')
  })

  test('a passphrase and signing of digests are refused', () => {
    assert.match(facts.withPassphrase, /^UNSUPPORTED_OPERATION: scrypt is not approved/)
    assert.match(facts.rewrapped, /^UNSUPPORTED_OPERATION: .*scrypt/)
    assert.match(facts.prehashed, /^UNSUPPORTED_OPERATION: 'prehashed' is not allowed in FIPS mode/)
  })

  test('the trail that was written there verifies', () => assert.equal(facts.verdict, 'valid'))

  test('without the option, what OpenSSL lacks there is refused in words too', () => {
    assert.equal(facts.laxTypes['xaes256-gcm'], 'allowed')
    for (const keyType of ['chacha20-poly1305', 'xchacha20-poly1305', 'ecdsa-secp256k1'])
      assert.match(facts.laxTypes[keyType] ?? '', /^UNSUPPORTED_OPERATION: /, keyType)
  })
})

describe('without it', { skip: getFips() === 1 && 'this process is in FIPS mode' }, () => {
  const refused = kmsError(
    'UNSUPPORTED_OPERATION',
    /'fips: true' cannot be kept: crypto\.getFips\(\) is 0: start Node with --force-fips/,
  )

  test('fips: true is refused, and nothing is made', async (t) => {
    const path = join(freshFolder(t), 'keys')
    await assert.rejects(openLocalKms({ path, rootKey: new Uint8Array(randomBytes(32)), fips: true }), refused)
    assert.equal(existsSync(path), false)
    assert.throws(() => memoryKms({ fips: true }), refused)
  })

  test('the noble engine never keeps it', () => {
    assert.throws(
      () => requireFips(noble),
      kmsError('UNSUPPORTED_OPERATION', /the noble engine, which is no FIPS module/),
    )
  })
})
