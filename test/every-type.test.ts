/**
 * @node Every key type, through the client: what it can do succeeds, what it cannot is refused, and each call has its one
 * result entry with the type, the version, the sizes that the README's table promises, and the error.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, describe, test } from 'node:test'
import { KmsClient } from '../src/client.ts'
import { algorithms, type Use } from '../src/crypto/algorithms.ts'
import { isApproved } from '../src/crypto/fips.ts'
import { mlDsa } from '../src/crypto/ml-dsa.ts'
import type { AuditEntry, PayloadSizes } from '../src/model/entry.ts'
import { KmsError, type KmsErrorCode } from '../src/model/errors.ts'
import type { KeyType } from '../src/model/key.ts'
import type { Input, Operation } from '../src/model/operation.ts'
import { memoryKms } from '../src/providers/memory.ts'
import { memorySink } from '../src/sinks/memory.ts'
import { validEntries } from './validate.ts'

/** What README.md says of each. `overhead`: of a ciphertext over its plaintext. `signature`: a length, or the most there may be. */
interface Facts {
  readonly uses: readonly Use[]
  readonly overhead?: number
  /** Of a ciphertext, whatever the plaintext. */
  readonly ciphertext?: number
  readonly mostPlaintext?: number
  readonly signature?: number
  /** ECDSA's fixed length; DER is at most `signature`. */
  readonly fixed?: number
  readonly mac?: number
}

const rsa = (size: number): Facts => ({
  uses: ['encrypt', 'sign'],
  ciphertext: 37 + size,
  mostPlaintext: size - 66,
  signature: size,
})
const ecdsa = (signature: number, fixed: number): Facts => ({ uses: ['sign'], signature, fixed })

const facts: { readonly [T in KeyType]: Facts } = {
  'aes128-gcm96': { uses: ['encrypt'], overhead: 65 },
  'aes256-gcm96': { uses: ['encrypt'], overhead: 65 },
  'chacha20-poly1305': { uses: ['encrypt'], overhead: 65 },
  'xchacha20-poly1305': { uses: ['encrypt'], overhead: 77 },
  'xaes256-gcm': { uses: ['encrypt'], overhead: 77 },
  'rsa-2048': rsa(256),
  'rsa-3072': rsa(384),
  'rsa-4096': rsa(512),
  ed25519: { uses: ['sign'], signature: 64 },
  'ecdsa-p256': ecdsa(72, 64),
  'ecdsa-p384': ecdsa(104, 96),
  'ecdsa-p521': ecdsa(139, 132),
  'ecdsa-secp256k1': ecdsa(72, 64),
  'ml-dsa-44': { uses: ['sign'], signature: 2420 },
  'ml-dsa-65': { uses: ['sign'], signature: 3309 },
  'ml-dsa-87': { uses: ['sign'], signature: 4627 },
  hmac: { uses: ['mac'], mac: 32 },
  'hmac-sha256': { uses: ['mac'], mac: 32 },
  'hmac-sha384': { uses: ['mac'], mac: 48 },
  'hmac-sha512': { uses: ['mac'], mac: 64 },
}
const keyTypes = Object.keys(facts) as KeyType[] // the table's own names

const text = new TextEncoder().encode('attack at dawn')
const sink = memorySink()
const kms = new KmsClient({
  provider: memoryKms({ mlDsa }),
  audit: { required: [sink] },
  region: 'nl-01',
  project: 'billing',
  deadlineMs: 120_000,
})

before(async () => {
  for (const keyType of keyTypes) await kms.createKey({ slug: keyType, keyType, exportAllowed: true })
  await kms.createKey({ slug: 'disabled-rsa', keyType: 'rsa-2048' })
  await kms.disableKey({ key: 'disabled-rsa' })
})
beforeEach(() => sink.clear())
after(() => kms.close())

/** The one result entry of the last call, which is held to the schema. */
function told(action: string): AuditEntry {
  const results = validEntries(sink.entries).filter(
    ({ phase, action }) => phase === 'result' && action !== 'audit.opened',
  )
  assert.deepEqual(
    results.map((entry) => entry.action),
    [action],
  )
  const [entry] = results
  assert.ok(entry !== undefined)
  assert.deepEqual([entry.region, entry.project, entry.resourceType], ['nl-01', 'billing', 'kms_key'])
  sink.clear()
  return entry
}

function succeeded(action: string, keyType: KeyType, sizes: PayloadSizes | undefined): AuditEntry {
  const entry = told(action)
  assert.deepEqual(
    [entry.outcome, entry.statusCode, entry.keySlug, entry.keyType, entry.keyVersion],
    ['success', 200, keyType, keyType, 1],
  )
  assert.deepEqual(entry.payloadSizes, sizes)
  return entry
}

async function refused<O extends Operation>(operation: O, input: Input<O>, code: KmsErrorCode): Promise<AuditEntry> {
  const action = { encrypt: 'encrypt', decrypt: 'decrypt', sign: 'sign', verify: 'verify', hmac: 'hmac' } as const
  await assert.rejects(kms.call(operation, input), (error: unknown) => {
    assert.ok(error instanceof KmsError, String(error))
    assert.equal(error.code, code, error.message)
    return true
  })
  const entry = told(`kms.${action[operation as keyof typeof action]}`) // the five that are asked here
  assert.deepEqual([entry.outcome, entry.error], ['failure', code])
  return entry
}

test('the table is the library’s', () => {
  assert.deepEqual(keyTypes.toSorted(), Object.keys(algorithms).toSorted())
  for (const keyType of keyTypes) assert.deepEqual(algorithms[keyType].uses, facts[keyType].uses, keyType)
})

test('the README has a row for each type, with its sizes and whether FIPS mode allows it', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, section = ''] = /\n## Key types\n([\s\S]*?)\n## /.exec(readme) ?? []
  const rows = section.split('\n').filter((line) => line.startsWith('| `') && line.split('|').length === 7)
  for (const keyType of keyTypes) {
    const cells = rows.map((row) => row.split('|')).filter(([, types = '']) => types.includes(`\`${keyType}\``))
    assert.equal(cells.length, 1, keyType)
    const [, , , sizes = '', , fips = ''] = cells[0] ?? []
    assert.equal(fips.trim() === 'yes', isApproved(keyType), keyType)
    const { overhead, ciphertext, mostPlaintext, signature, fixed, mac } = facts[keyType]
    const numbers: readonly string[] = sizes.replaceAll(/(?<=\d),(?=\d)/g, '').match(/\d+/g) ?? []
    for (const size of [ciphertext, mostPlaintext, signature, fixed, mac, overhead])
      if (size !== undefined && !(sizes.includes('the same') && size === overhead))
        assert.ok(numbers.includes(String(size)), `${keyType}: ${size} is not in «${sizes}»`)
  }
})

for (const key of keyTypes) {
  const { uses, overhead, ciphertext: fixedCiphertext, mostPlaintext, signature: longest, fixed, mac } = facts[key]
  describe(key, () => {
    if (uses.includes('encrypt')) {
      test('encrypts and decrypts', async () => {
        const encryptionContext = { order: '17' }
        const { ciphertext } = await kms.encrypt({ key, plaintext: text, encryptionContext })
        const size = fixedCiphertext ?? text.length + (overhead ?? 0)
        const sizes = { plaintext: text.length, ciphertext: size, encryptionContext: 7 }
        succeeded('kms.encrypt', key, sizes)
        const { plaintext } = await kms.decrypt({ key, ciphertext, encryptionContext })
        assert.deepEqual(plaintext, text)
        succeeded('kms.decrypt', key, sizes)
      })

      test('a changed ciphertext, another context and another key are one failure to the caller, and told apart in the entry', async () => {
        const { ciphertext } = await kms.encrypt({ key, plaintext: text })
        sink.clear()
        const changed = (at: number) => ciphertext.map((byte, index) => (index === at ? byte ^ 1 : byte))
        const failures = [
          [changed(0), {}, 'malformed'],
          [changed(4), {}, 'unknown_version'],
          [changed(5), {}, 'commitment_mismatch'],
          [changed(ciphertext.length - 1), {}, 'authentication_failed'],
          [ciphertext, { order: '18' }, 'authentication_failed'],
        ] as const
        for (const [wrong, encryptionContext, why] of failures) {
          const entry = await refused('decrypt', { key, ciphertext: wrong, encryptionContext }, 'INVALID_CIPHERTEXT')
          // Version 0 is none.
          const expected = why === 'unknown_version' ? 'malformed' : why
          assert.equal(entry.details?.decryptFailure, expected)
          assert.equal(entry.keyType, key)
        }
      })

      test('a plaintext too long is refused, measured', async () => {
        const plaintext = new Uint8Array((mostPlaintext ?? 65_535) + 1)
        const entry = await refused('encrypt', { key, plaintext }, 'INVALID_INPUT')
        assert.deepEqual(entry.payloadSizes, { plaintext: plaintext.length })
        const { ciphertext } = await kms.encrypt({ key, plaintext: plaintext.subarray(1) })
        assert.ok(ciphertext.length > 0)
      })
    } else
      test('does not encrypt', async () => {
        const entry = await refused('encrypt', { key, plaintext: text }, 'UNSUPPORTED_OPERATION')
        assert.deepEqual([entry.keyType, entry.payloadSizes], [key, { plaintext: text.length }])
      })

    if (uses.includes('sign')) {
      test('signs and verifies; what is not its signature is a success that says false', async () => {
        const { signature } = await kms.sign({ key, input: text })
        const sizes = { input: text.length, signature: signature.length }
        if (fixed === undefined) assert.equal(signature.length, longest)
        else assert.ok(signature.length <= (longest ?? 0) && signature.length > fixed)
        succeeded('kms.sign', key, sizes)
        assert.equal(await kms.verify({ key, input: text, signature }), true)
        assert.equal(succeeded('kms.verify', key, sizes).valid, true)
        const changed = signature.map((byte, at) => (at === signature.length - 1 ? byte ^ 1 : byte))
        for (const wrong of [changed, signature.slice(1), new Uint8Array(signature.length), Uint8Array.of(0)]) {
          assert.equal(await kms.verify({ key, input: text, signature: wrong, keyVersion: 1 }), false)
          assert.equal(succeeded('kms.verify', key, { input: 14, signature: wrong.length }).valid, false)
        }
      })

      test('options that make no sense for it are refused in words', async () => {
        const isRsa = key.startsWith('rsa-')
        const isEcdsa = fixed !== undefined
        if (fixed !== undefined) {
          const { signature } = await kms.sign({ key, input: text, format: 'ieee-p1363' })
          assert.equal(signature.length, fixed)
        }
        sink.clear()
        if (!isRsa) await refused('sign', { key, input: text, padding: 'pss' }, 'INVALID_INPUT')
        if (!isEcdsa) await refused('sign', { key, input: text, format: 'der' }, 'INVALID_INPUT')
        if (!isRsa && !isEcdsa) {
          await refused('sign', { key, input: text, hashAlgorithm: 'sha256' }, 'INVALID_INPUT')
          await refused('sign', { key, input: new Uint8Array(32), prehashed: true }, 'INVALID_INPUT')
        } else {
          const wrong = { key, input: text, prehashed: true } as const
          const entry = await refused('sign', wrong, 'INVALID_INPUT')
          assert.deepEqual(entry.payloadSizes, { input: 14 })
          for (const [hashAlgorithm, length] of [
            ['sha256', 32],
            ['sha384', 48],
            ['sha512', 64],
          ] as const) {
            const input = new Uint8Array(length).fill(7)
            const { signature } = await kms.sign({ key, input, prehashed: true, hashAlgorithm })
            assert.equal(
              succeeded('kms.sign', key, { input: length, signature: signature.length }).details?.algorithm,
              hashAlgorithm,
            )
            assert.equal(await kms.verify({ key, input, signature, prehashed: true, hashAlgorithm }), true)
            // It was a digest that was signed, not the digest of that digest.
            assert.equal(await kms.verify({ key, input, signature, hashAlgorithm }), false)
            sink.clear()
          }
        }
        if (isRsa) {
          const { signature } = await kms.sign({ key, input: text, padding: 'pkcs1v15', hashAlgorithm: 'sha512' })
          const entry = succeeded('kms.sign', key, { input: 14, signature: signature.length })
          assert.equal(entry.details?.algorithm, 'pkcs1v15-sha512')
          assert.equal(await kms.verify({ key, input: text, signature, hashAlgorithm: 'sha512' }), false)
        }
      })
    } else
      test('does not sign', async () => {
        const entry = await refused('sign', { key, input: text }, 'UNSUPPORTED_OPERATION')
        assert.deepEqual([entry.keyType, entry.payloadSizes], [key, { input: text.length }])
      })

    if (uses.includes('mac'))
      test('authenticates, and says false of what it did not', async () => {
        const { hmac } = await kms.hmac({ key, input: text })
        assert.equal(hmac.length, mac)
        const sizes = { input: text.length, mac: hmac.length }
        succeeded('kms.hmac', key, sizes)
        assert.equal(await kms.verifyHmac({ key, input: text, hmac }), true)
        assert.equal(succeeded('kms.verify_hmac', key, sizes).valid, true)
        assert.equal(await kms.verifyHmac({ key, input: text.subarray(1), hmac, keyVersion: 1 }), false)
        assert.equal(told('kms.verify_hmac').valid, false)
        await refused(
          'hmac',
          { key, input: text, hashAlgorithm: key === 'hmac-sha384' ? 'sha256' : 'sha384' },
          'INVALID_INPUT',
        )
      })
    else
      test('makes no HMAC', async () => {
        const entry = await refused('hmac', { key, input: text }, 'UNSUPPORTED_OPERATION')
        assert.deepEqual([entry.keyType, entry.payloadSizes], [key, { input: text.length }])
      })
  })
}

test('a disabled RSA key neither encrypts nor signs', async () => {
  const key = 'disabled-rsa'
  await refused('encrypt', { key, plaintext: text }, 'KEY_NOT_ACTIVE')
  await refused('sign', { key, input: text }, 'KEY_NOT_ACTIVE')
})

test('without the optional package no ML-DSA key is made, and one that is there is refused at work, saying what is missing', async () => {
  const plain = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
  const refusal = (error: unknown) => {
    assert.ok(error instanceof KmsError)
    assert.equal(error.code, 'UNSUPPORTED_OPERATION')
    assert.match(error.message, /npm i @noble\/post-quantum.*keytrail\/ml-dsa/)
    return true
  }
  await assert.rejects(plain.createKey({ slug: 'pq', keyType: 'ml-dsa-65' }), refusal)
  assert.equal(validEntries(sink.entries).at(-1)?.error, 'UNSUPPORTED_OPERATION')
  const { keyMaterial } = await kms.export({ key: 'ml-dsa-65' })
  await plain.importKey({ slug: 'pq', keyType: 'ml-dsa-65', keyMaterial })
  await assert.rejects(plain.sign({ key: 'pq', input: text }), refusal)
  assert.equal(validEntries(sink.entries).at(-1)?.error, 'UNSUPPORTED_OPERATION')
  await plain.close()
})
