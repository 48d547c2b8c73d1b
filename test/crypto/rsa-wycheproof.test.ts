/** Wycheproof's RSA vectors through both engines, keys read by our own strict codec. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Engine, RsaScheme } from '../../src/crypto/engine.ts'
import { decodeRsaPkcs8, decodeRsaSpki, encodeRsaPkcs8, encodeRsaSpki } from '../../src/crypto/pkcs8.ts'
import { isRsaMaterial, rsaKey, rsaVerify } from '../../src/crypto/rsa.ts'
import { isOfType, type RsaKeyType, rsaBits } from '../../src/crypto/rsa-parts.ts'
import type { HashAlgorithm } from '../../src/model/operation.ts'
import { noShared, sharedJson } from '../shared.ts'
import { engines, kmsError, unhex } from './engines.ts'

interface Case {
  readonly tcId: number
  readonly comment: string
  readonly flags: readonly string[]
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly msg: string
}

interface Group {
  readonly sha: string
  readonly keySize: number
}

interface File<G, C> {
  readonly numberOfTests: number
  readonly testGroups: readonly (G & Group & { readonly tests: readonly (C & Case)[] })[]
}

/** Runs every group of a file; how many of its cases we take, as `run` counts them, is written down beside the file. */
async function eachGroup<G, C>(
  path: string,
  takes: number,
  run: (group: G & Group, tests: readonly (C & Case)[]) => Promise<number>,
): Promise<void> {
  const file = sharedJson<File<G, C>>(`vectors/wycheproof/${path}_test.json`)
  let [judged, taken] = [0, 0]
  for (const group of file.testGroups) {
    judged += group.tests.length
    taken += await run(group, group.tests)
  }
  assert.equal(judged, file.numberOfTests)
  assert.equal(taken, takes)
}

/** What we answer where Wycheproof leaves it open, by flag; one that is not here fails. */
const acceptable: Readonly<Record<string, boolean>> = {
  // A DigestInfo without its NULL: ours and OpenSSL's is compared as a whole.
  MissingNull: false,
  // 1024 bits and e = 3 are what the key types refuse; the primitive itself computes with them.
  SmallPublicKey: true,
  // Made so that the ciphertext is a small number: it decodes.
  SmallIntegerCiphertext: true,
  Constructed: true,
  EncryptionWithLabel: true,
}

function expected({ result, flags, tcId }: Case): boolean {
  if (result !== 'acceptable') return result === 'valid'
  const answers = flags.map((flag) => acceptable[flag])
  assert.ok(!answers.includes(undefined), `tcId ${tcId}: no answer written down for ${flags.join(', ')}`)
  return answers.every((answer) => answer === true)
}

/** The hashes that Wycheproof has, and which are ours for signatures. */
const hashes: Readonly<Record<string, HashAlgorithm | 'not ours'>> = {
  'SHA-1': 'not ours',
  'SHA-224': 'not ours',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
  'SHA-512/224': 'not ours',
  'SHA-512/256': 'not ours',
}
const ours: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']

function hashOf(name: string): HashAlgorithm | undefined {
  const hash = hashes[name]
  assert.ok(hash !== undefined, `${name} is in no table`)
  return hash === 'not ours' ? undefined : hash
}

/** The key type of a public key, if it has one. */
function typeOf(parts: { readonly n: Uint8Array; readonly e: Uint8Array }): RsaKeyType | undefined {
  return (Object.keys(rsaBits) as RsaKeyType[]).find((keyType) => isOfType(keyType, parts))
}

interface PrivateGroup {
  readonly privateKeyPkcs8: string
}

interface OaepGroup extends PrivateGroup {
  readonly mgfSha: string
}

interface SignatureCase {
  readonly sig: string
}

interface VerifyGroup {
  readonly publicKeyDer: string
}

interface PssGroup extends VerifyGroup {
  readonly mgfSha: string
  readonly sLen: number
}

/** Each file, and how many of its cases open, verify, or are signed alike: the valid ones of the combinations that are ours. */
const oaepFiles = {
  '2048_sha1_mgf1sha1': 0,
  '2048_sha256_mgf1sha1': 0,
  '2048_sha256_mgf1sha256': 8,
  '2048_sha384_mgf1sha384': 0,
  '2048_sha512_mgf1sha512': 0,
  '3072_sha256_mgf1sha256': 8,
  '3072_sha512_mgf1sha512': 0,
  '4096_sha256_mgf1sha256': 8,
  '4096_sha512_mgf1sha512': 0,
  misc: 15,
}
const pssFiles = {
  '2048_sha256_mgf1_0': 0,
  '2048_sha256_mgf1_32': 31,
  '2048_sha384_mgf1_48': 47,
  '3072_sha256_mgf1_32': 31,
  '4096_sha256_mgf1_32': 31,
  '4096_sha384_mgf1_48': 47,
  '4096_sha512_mgf1_64': 66,
  misc: 2,
}
const signatureFiles = { '2048_sha256': 4, '3072_sha256': 3, '3072_sha384': 3, '4096_sha512': 3 }
const generationFiles = { 2048: 14, 3072: 13, 4096: 12 }

for (const engine of engines) {
  describe(`Wycheproof RSA, ${engine.name}`, { skip: noShared }, () => {
    for (const [file, takes] of Object.entries(oaepFiles)) {
      test(`rsa_oaep/${file}: SHA-256 with MGF1-SHA-256 opens as written, no other combination opens at all`, async () => {
        type OaepCase = { readonly ct: string; readonly label: string }
        await eachGroup<OaepGroup, OaepCase>(`rsa_oaep/rsa_oaep_${file}`, takes, async (group, tests) => {
          const pkcs8 = unhex(group.privateKeyPkcs8)
          const parts = decodeRsaPkcs8(pkcs8)
          assert.ok(parts !== undefined)
          assert.deepEqual(encodeRsaPkcs8(parts), pkcs8)
          for (const [keyType, bits] of Object.entries(rsaBits) as [RsaKeyType, number][])
            assert.equal(isRsaMaterial(keyType, pkcs8), bits === group.keySize)
          const isOurs = hashOf(group.sha) === 'sha256' && hashOf(group.mgfSha) === 'sha256'
          const key = engine.rsa.privateKey(pkcs8)
          for (const testCase of tests) {
            const opened = await key.decrypt(unhex(testCase.ct), unhex(testCase.label))
            const plaintext = isOurs && expected(testCase) ? unhex(testCase.msg) : undefined
            assert.deepEqual(opened, plaintext, `tcId ${testCase.tcId} ${testCase.comment}`)
          }
          return isOurs ? tests.filter(expected).length : 0
        })
      })
    }

    for (const [file, takes] of Object.entries(pssFiles)) {
      test(`rsa_pss/${file}: one hash throughout and a salt as long as the digest, or false`, async () => {
        await eachGroup<PssGroup, SignatureCase>(`rsa_pss/rsa_pss_${file}`, takes, async (group, tests) => {
          const { keyType, spki } = readPublicKey(group)
          assert.ok(keyType !== undefined)
          const verify = rsaVerify(engine, keyType, spki)
          const hash = hashOf(group.sha)
          const isOurs = hash !== undefined && hash === hashOf(group.mgfSha) && group.sLen === saltLengths[hash]
          for (const testCase of tests) {
            const [input, signature] = [unhex(testCase.msg), unhex(testCase.sig)]
            const what = `tcId ${testCase.tcId} ${testCase.comment}`
            for (const hashAlgorithm of ours) {
              const holds = isOurs && hashAlgorithm === hash && expected(testCase)
              assert.equal(await verify(input, signature, { hashAlgorithm }), holds, what)
              await assertPrehashed(engine, verify, { input, signature, padding: 'pss', hashAlgorithm, holds, what })
            }
          }
          return isOurs ? tests.filter(expected).length : 0
        })
      })
    }

    for (const [file, takes] of Object.entries(signatureFiles)) {
      test(`rsa_pkcs1/rsa_signature_${file}`, async () => {
        await eachGroup<VerifyGroup, SignatureCase>(`rsa_pkcs1/rsa_signature_${file}`, takes, async (group, tests) => {
          const { keyType, spki } = readPublicKey(group)
          const hashAlgorithm = hashOf(group.sha)
          assert.ok(hashAlgorithm !== undefined)
          const padding = 'pkcs1v15'
          if (keyType === undefined) {
            // e = 3: refused by the key type, and judged by the primitive alone.
            assert.throws(
              () => rsaVerify(engine, `rsa-${group.keySize}` as RsaKeyType, spki),
              kmsError('INVALID_INPUT'),
            )
            const key = engine.rsa.publicKey(spki)
            for (const testCase of tests) {
              const verdict = await key.verify({ padding, hashAlgorithm }, unhex(testCase.msg), unhex(testCase.sig))
              assert.equal(verdict, expected(testCase), `tcId ${testCase.tcId} ${testCase.comment}`)
            }
            return tests.filter(expected).length
          }
          const verify = rsaVerify(engine, keyType, spki)
          for (const testCase of tests) {
            const [input, signature] = [unhex(testCase.msg), unhex(testCase.sig)]
            const [holds, what] = [expected(testCase), `tcId ${testCase.tcId} ${testCase.comment}`]
            assert.equal(await verify(input, signature, { padding, hashAlgorithm }), holds, what)
            await assertPrehashed(engine, verify, { input, signature, padding, hashAlgorithm, holds, what })
          }
          return tests.filter(expected).length
        })
      })
    }

    for (const [size, takes] of Object.entries(generationFiles)) {
      test(`rsa_pkcs1/rsa_pkcs1_${size}_sig_gen: we sign what is written there`, async () => {
        await eachGroup<PrivateGroup, SignatureCase>(
          `rsa_pkcs1/rsa_pkcs1_${size}_sig_gen`,
          takes,
          async (group, tests) => {
            const pkcs8 = unhex(group.privateKeyPkcs8)
            const keyType = `rsa-${group.keySize}` as RsaKeyType // the files have no other sizes
            const [hashAlgorithm, padding] = [hashOf(group.sha), 'pkcs1v15' as const]
            const parts = decodeRsaPkcs8(pkcs8)
            assert.ok(parts !== undefined)
            if (typeOf(parts) === undefined) {
              assert.throws(() => rsaKey(engine, { keyType, version: 1, pkcs8 }), kmsError('INVALID_INPUT'))
              assert.ok(hashAlgorithm !== undefined)
              const key = engine.rsa.privateKey(pkcs8)
              for (const { msg, sig } of tests)
                assert.deepEqual(await key.sign({ padding, hashAlgorithm }, unhex(msg)), unhex(sig))
              return tests.length
            }
            const key = rsaKey(engine, { keyType, version: 1, pkcs8 })
            for (const testCase of tests) {
              const [input, signature] = [unhex(testCase.msg), unhex(testCase.sig)]
              if (hashAlgorithm === undefined) {
                // SHA-1 and SHA-224: no name of ours says them, and no name of ours verifies them.
                for (const one of ours)
                  assert.equal(await key.verify(input, signature, { padding, hashAlgorithm: one }), false)
                continue
              }
              assert.ok(expected(testCase))
              assert.deepEqual(await key.sign(input, { padding, hashAlgorithm }), signature)
              if (!engine.rsa.synchronous) continue
              const digest = engine.hash(hashAlgorithm, input)
              assert.deepEqual(await key.sign(digest, { padding, hashAlgorithm, prehashed: true }), signature)
            }
            return hashAlgorithm === undefined ? 0 : tests.length
          },
        )
      })
    }
  })
}

const saltLengths = { sha256: 32, sha384: 48, sha512: 64 } as const

function readPublicKey(group: VerifyGroup): { readonly spki: Uint8Array; readonly keyType: RsaKeyType | undefined } {
  const spki = unhex(group.publicKeyDer)
  const parts = decodeRsaSpki(spki)
  assert.ok(parts !== undefined)
  assert.deepEqual(encodeRsaSpki(parts), spki)
  return { spki, keyType: typeOf(parts) }
}

interface Prehashed extends RsaScheme {
  readonly input: Uint8Array
  readonly signature: Uint8Array
  readonly holds: boolean
  readonly what: string
}

/** The same verdict on the digest, where the engine takes digests. */
async function assertPrehashed(
  engine: Engine,
  verify: ReturnType<typeof rsaVerify>,
  { input, signature, padding, hashAlgorithm, holds, what }: Prehashed,
): Promise<void> {
  const digest = engine.hash(hashAlgorithm, input)
  const options = { padding, hashAlgorithm, prehashed: true }
  if (engine.rsa.synchronous) assert.equal(await verify(digest, signature, options), holds, `${what}, prehashed`)
  else assert.throws(() => verify(digest, signature, options), kmsError('UNSUPPORTED_OPERATION', /node:crypto/))
}
