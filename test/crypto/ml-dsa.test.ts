/** ML-DSA: signing keys over the optional package, the forms of its keys, and what happens without it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { algorithms, isFor } from '../../src/crypto/algorithms.ts'
import { concat, equal, hex, toBase64, utf8 } from '../../src/crypto/bytes.ts'
import { type Element, encodeDer, octetString, sequence } from '../../src/crypto/der.ts'
import type { Engine, MlDsaFunctions } from '../../src/crypto/engine.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import { decodeMlDsaSeed, mlDsaSigningKey, mlDsaVerify } from '../../src/crypto/ml-dsa-key.ts'
import { type MlDsaName, mlDsaSets } from '../../src/crypto/ml-dsa-sets.ts'
import { engine as withoutMlDsa } from '../../src/crypto/node.ts'
import { decodeMlDsaSpki, encodeMlDsaPkcs8 } from '../../src/crypto/pkcs8.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertOwned, engines, fixed, kmsError, node, unhex } from './engines.ts'

const names: readonly MlDsaName[] = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']
const zeros = new Uint8Array(32)
const message = utf8('Hello world')

/** Of Wycheproof's `mldsa_*_sign_seed_test.json`, tcId 2: SHA-256 of the public key and of the deterministic signature. */
const answers: Readonly<Record<MlDsaName, readonly [publicKey: string, signature: string]>> = {
  'ml-dsa-44': [
    'd87f8ca136ac1aa55e2d6c4521680efb3a378cbb9bc0bfb446e9c60893931ea3',
    '8cd6fc03daa72e87210a4e721523e84c14f27733789075e65736744d4787fdd5',
  ],
  'ml-dsa-65': [
    'b7acce2ddb11f8cc1aa46e2bafac6eacfa2b732ef192bd636ad8d3a56d649c66',
    '39fbbb0d97a52c79844213b325af823a7f16a174e00a5b3daeb3e6e6d1c89681',
  ],
  'ml-dsa-87': [
    'd43128fa8a8c785c1d44c9e7db538dbf9dd88fe6c8ad911a344bcec1017c6d54',
    '1ad45bd0419e694375bd38ec11d8e0c228ab9ffac2fce4adbe6218d9c949e293',
  ],
}

/** How the public keys begin that RFC 9881 prints in its appendix C, of the seed 00 01 … 1f. */
const printed: Readonly<Record<MlDsaName, string>> = {
  'ml-dsa-44': '17K0clSq4NtF55MNSpjSyX2PE5fReJ2voXAksxbp',
  'ml-dsa-65': 'SGg9kZeOMes93biwRzSC0riKX2JZSf2PWKVh5pa9',
  'ml-dsa-87': 'l5K87C8kMGhqgvzPPC9f9mXncderQbkCWM+n6Q7J',
}

for (const name of names) {
  const facts = mlDsaSets[name]
  const { keygen, sign, verify } = mlDsa[name]

  describe(name, () => {
    test('makes the keys and the deterministic signature of the published vectors', () => {
      const { publicKey, secretKey } = keygen(new Uint8Array(32).fill(0x2a))
      const signature = sign(secretKey, message, zeros)
      const digests = [publicKey, signature].map((bytes) => hex(node.hash('sha256', bytes)))
      assert.deepEqual(digests, answers[name])
      assert.equal(verify(publicKey, message, signature), true)
      const { publicKeyLength, secretKeyLength, signatureLength } = facts
      const lengths = [publicKey, secretKey, signature].map(({ length }) => length)
      assert.deepEqual(lengths, [publicKeyLength, secretKeyLength, signatureLength])
      for (const bytes of [publicKey, secretKey, signature]) assertOwned(bytes)
      assert.equal(toBase64(keygen(fixed(32)).publicKey).slice(0, 40), printed[name])
    })

    test('signatures are hedged with fresh randomness, which is wiped, and verify', () => {
      const drawn: Uint8Array[] = []
      const engine: Engine = {
        ...node,
        randomFill(out) {
          node.randomFill(out)
          drawn.push(out)
        },
      }
      const key = mlDsaSigningKey(engine, name, fixed(32))
      const [one, two] = [key.sign(message), key.sign(message)]
      assert.notDeepEqual(one, two)
      assert.deepEqual(drawn, [zeros, zeros])
      for (const signature of [one, two]) {
        assertOwned(signature)
        assert.equal(key.verify(message, signature), true)
        assert.equal(key.verify(utf8('another'), signature), false)
      }
      const still = mlDsaSigningKey({ ...node, randomFill: (out) => void out.fill(0) }, name, fixed(32))
      assert.deepEqual(still.sign(message), sign(keygen(fixed(32)).secretKey, message, zeros))
    })

    test('a malformed signature is false, never an error', () => {
      const key = mlDsaSigningKey(node, name, fixed(32))
      const signature = key.sign(message)
      const { signatureLength } = facts
      for (const length of [0, 1, signatureLength - 1])
        assert.equal(key.verify(message, signature.slice(0, length)), false)
      assert.equal(key.verify(message, concat([signature, fixed(1)])), false)
      for (const byte of [0, 255]) assert.equal(key.verify(message, new Uint8Array(signatureLength).fill(byte)), false)
      for (let at = 0; at < signatureLength; at += 97) {
        const changed = signature.slice()
        changed[at] = (changed[at] ?? 0) ^ 1
        assert.equal(key.verify(message, changed), false, `byte ${at}`)
      }
    })

    test('destroying wipes the expanded key', () => {
      let secret: Uint8Array = zeros
      const functions: MlDsaFunctions = {
        ...mlDsa[name],
        keygen(seed) {
          const keys = keygen(seed)
          secret = keys.secretKey
          return keys
        },
      }
      const key = mlDsaSigningKey({ ...node, mlDsa: { ...mlDsa, [name]: functions } }, name, fixed(32))
      assert.ok(secret.some((byte) => byte !== 0))
      key.destroy()
      assert.deepEqual(secret, new Uint8Array(facts.secretKeyLength))
      assert.throws(() => key.sign(message), kmsError('CLOSED'))
    })

    test('the public key is PEM, and checks signatures by itself', () => {
      const key = mlDsaSigningKey(node, name, fixed(32))
      const publicKey = decodeMlDsaSpki(name, key.publicKey.spki) ?? fixed(0)
      assert.match(key.publicKey.text, /^-----BEGIN PUBLIC KEY-----\n/)
      const alone = mlDsaVerify(node, name, publicKey)
      const signature = key.sign(message)
      publicKey.fill(0)
      assert.equal(alone(message, signature), true)
      for (const length of [0, facts.publicKeyLength - 1, facts.publicKeyLength + 1])
        assert.throws(() => mlDsaVerify(node, name, fixed(length)), kmsError('INVALID_INPUT', /public key of ml-dsa/))
    })

    test('a PKCS#8 of a seed is taken, one of both if they belong together, one of the expanded key alone by no means', () => {
      const seed = fixed(32, 9)
      const { secretKey } = keygen(seed)
      const head = encodeMlDsaPkcs8(name, seed)
      const identifier = head.slice(5, 18)
      const pkcs8 = (key: Element) => encodeDer(sequence(Uint8Array.of(2, 1, 0), identifier, octetString(key)))
      const both = (expanded: Uint8Array) => pkcs8(sequence(octetString(seed), octetString(expanded)))
      assert.deepEqual(decodeMlDsaSeed(node, name, head), seed)
      assert.deepEqual(decodeMlDsaSeed(node, name, both(secretKey)), seed)
      const changed = secretKey.slice()
      changed[100] = (changed[100] ?? 0) ^ 1
      assert.equal(decodeMlDsaSeed(node, name, both(changed)), undefined)
      const refused = kmsError('INVALID_INPUT', new RegExp(`this ${name} key holds no seed`))
      assert.throws(() => decodeMlDsaSeed(node, name, pkcs8(octetString(secretKey))), refused)
      const unsupported = kmsError('UNSUPPORTED_OPERATION', /npm i @noble\/post-quantum/)
      assert.throws(() => decodeMlDsaSeed(withoutMlDsa, name, both(secretKey)), unsupported)
      assert.deepEqual(decodeMlDsaSeed(withoutMlDsa, name, head), seed)
    })

    test('without ML-DSA no key is made; one that came in is kept and exported, and of no use', async () => {
      const algorithm = algorithms[name]
      assert.ok(isFor('sign', algorithm))
      const unsupported = kmsError(
        'UNSUPPORTED_OPERATION',
        /^ml-dsa-\d\d keys .* npm i @noble\/post-quantum, and pass mlDsa from keytrail\/ml-dsa when opening the KMS$/,
      )
      assert.throws(() => algorithm.open(withoutMlDsa, fixed(32), 1), unsupported)
      const sink = memorySink()
      const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
      await assert.rejects(kms.createKey({ slug: 'pen', keyType: name }), unsupported)
      const given = { slug: 'pen', keyType: name, exportAllowed: true, allowRotation: true } as const
      await kms.importKey({ ...given, keyMaterial: algorithm.encode(withoutMlDsa, fixed(32)) })
      await assert.rejects(kms.rotate({ key: 'pen' }), unsupported)
      await assert.rejects(kms.sign({ key: 'pen', input: message }), unsupported)
      await assert.rejects(kms.verify({ key: 'pen', input: message, signature: fixed(9) }), unsupported)
      await assert.rejects(kms.getPublicKey({ key: 'pen' }), unsupported)
      const { keyMaterial } = await kms.export({ key: 'pen' })
      assert.equal(keyMaterial.length, 54)
      assert.equal(sink.entries.filter(({ error }) => error === 'UNSUPPORTED_OPERATION').length, 5)
      await kms.close()
    })
  })
}

interface SignGroup {
  readonly privateSeed: string
  readonly privateKeyPkcs8?: string
  readonly publicKey: string
}
interface VerifyGroup {
  readonly publicKey: string
  readonly publicKeyDer?: string
}
interface Case {
  readonly tcId: number
  readonly comment: string
  readonly msg?: string
  readonly ctx?: string
  readonly rnd?: string
  readonly sig: string
  readonly result: 'valid' | 'invalid'
  readonly flags: readonly string[]
}
interface File<G> {
  readonly numberOfTests: number
  readonly testGroups: readonly (G & { readonly tests: readonly Case[] })[]
}

/**
 * Ours has an empty context and hashes the message itself, so these are left out: signatures over a given μ (no `msg`),
 * and signing with a context. A signature that is valid with a context must be false without.
 */
function isOurs({ msg, ctx = '' }: Case): boolean {
  return msg !== undefined && ctx === ''
}

for (const name of names) {
  describe(`Wycheproof, ${name}`, { skip: noShared }, () => {
    const path = (kind: string) =>
      `vectors/wycheproof/mldsa/${name.replaceAll('-', '').replace('mldsa', 'mldsa_')}_${kind}_test.json`

    test('signatures from seeds, deterministic or with the randomness given', () => {
      const file = sharedJson<File<SignGroup>>(path('sign_seed'))
      let judged = 0
      let seen = 0
      for (const group of file.testGroups) {
        seen += group.tests.length
        const seed = unhex(group.privateSeed)
        if (seed.length !== 32) {
          assert.ok(group.tests.every(({ result }) => result === 'invalid'))
          assert.equal(algorithms[name].valid(seed), false)
          judged += group.tests.length
          continue
        }
        const { publicKey, secretKey } = mlDsa[name].keygen(seed)
        assert.equal(hex(publicKey), group.publicKey)
        if (group.privateKeyPkcs8 !== undefined) assert.equal(hex(encodeMlDsaPkcs8(name, seed)), group.privateKeyPkcs8)
        for (const testCase of group.tests.filter(isOurs)) {
          const { msg = '', rnd, sig, result, tcId } = testCase
          assert.equal(result, 'valid', `tcId ${tcId}`)
          const randomness = rnd === undefined ? zeros : unhex(rnd)
          assert.ok(equal(mlDsa[name].sign(secretKey, unhex(msg), randomness), unhex(sig)), `tcId ${tcId}`)
          judged++
        }
      }
      assert.equal(seen, file.numberOfTests)
      assert.ok(judged >= 20, `only ${judged} cases were judged`)
    })

    for (const engine of engines)
      test(`verification, ${engine.name}`, () => {
        const file = sharedJson<File<VerifyGroup>>(path('verify'))
        let seen = 0
        for (const group of file.testGroups) {
          seen += group.tests.length
          const publicKey = unhex(group.publicKey)
          if (publicKey.length !== mlDsaSets[name].publicKeyLength) {
            assert.ok(group.tests.every(({ result }) => result === 'invalid'))
            assert.throws(() => mlDsaVerify(engine, name, publicKey), kmsError('INVALID_INPUT'))
            continue
          }
          if (group.publicKeyDer !== undefined)
            assert.deepEqual(decodeMlDsaSpki(name, unhex(group.publicKeyDer)), publicKey)
          const verify = mlDsaVerify(engine, name, publicKey)
          for (const testCase of group.tests) {
            const { msg = '', sig, result, tcId, comment } = testCase
            const expected = result === 'valid' && isOurs(testCase)
            assert.equal(verify(unhex(msg), unhex(sig)), expected, `tcId ${tcId} ${comment}`)
          }
        }
        assert.equal(seen, file.numberOfTests)
      })
  })
}
