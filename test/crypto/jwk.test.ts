/** @node JSON Web Keys: what we write others read, what others write we read, and nothing else. */
import assert from 'node:assert/strict'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { calculateJwkThumbprint, importJWK } from 'jose'
import { algorithms, isFor } from '../../src/crypto/algorithms.ts'
import { fromUtf8, hex, utf8 } from '../../src/crypto/bytes.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import { decodeJwk, encodeJwk, publicJwk } from '../../src/crypto/jwk.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import type { KeyType } from '../../src/model/key.ts'
import { noShared, sharedJson } from '../shared.ts'
import { engines, node } from './engines.ts'

const keyTypes = Object.keys(algorithms) as KeyType[] // the table's own names
const withMlDsa = (engine: Engine): Engine => ({ ...engine, mlDsa })

async function made(engine: Engine, keyType: KeyType): Promise<Uint8Array> {
  const material = algorithms[keyType].generate(engine)
  return typeof material === 'function' ? material() : material
}

const parsed = (text: Uint8Array) => JSON.parse(fromUtf8(text) ?? '') as Record<string, string>

/** RSA keys take long to make: one each for all tests. */
const materials = new Map<KeyType, Promise<Uint8Array>>()
function materialOf(keyType: KeyType): Promise<Uint8Array> {
  const known = materials.get(keyType) ?? made(withMlDsa(node), keyType)
  materials.set(keyType, known)
  return known
}

for (const plain of engines) {
  const engine = withMlDsa(plain)
  describe(`JWK, ${engine.name}`, () => {
    for (const keyType of keyTypes)
      test(`${keyType}: what is written is read, and nothing that was changed in it`, async () => {
        const material = await materialOf(keyType)
        const text = encodeJwk(engine, keyType, material)
        assert.deepEqual(await decodeJwk(engine, keyType, text), material)
        const jwk = parsed(text)
        for (const name of Object.keys(jwk)) {
          const { [name]: value = '', ...without } = jwk
          const changes = [
            without,
            { ...jwk, [name]: value.slice(1) },
            { ...jwk, [name]: 17 },
            { ...jwk, [name]: `${value}=` },
          ]
          for (const changed of changes) {
            const decoded = await decodeJwk(engine, keyType, utf8(JSON.stringify(changed)))
            // An `alg` is not needed but for AKP.
            assert.equal(decoded, undefined, `${keyType} with ${name}: ${JSON.stringify(changed).slice(0, 60)}`)
          }
        }
        for (const other of keyTypes.filter((one) => one !== keyType && algorithms[one].form === 'pkcs8'))
          assert.equal(await decodeJwk(engine, other, text), undefined, `as ${other}`)
      })
  })
}

test('extra members are of no account, but alg and use must fit', async () => {
  const material = await materialOf('ecdsa-p256')
  const jwk = parsed(encodeJwk(node, 'ecdsa-p256', material))
  const decoded = (more: object) => decodeJwk(node, 'ecdsa-p256', utf8(JSON.stringify({ ...jwk, ...more })))
  for (const fine of [
    { kid: '1', key_ops: ['sign'], ext: true },
    { alg: 'ES256', use: 'sig' },
  ])
    assert.deepEqual(await decoded(fine), material)
  for (const wrong of [{ alg: 'ES384' }, { alg: 'HS256' }, { alg: 1 }, { use: 'enc' }, { use: null }])
    assert.equal(await decoded(wrong), undefined)
})

describe('with node:crypto', () => {
  const pairs: readonly [KeyType, () => { readonly privateKey: KeyObject }][] = [
    ['ed25519', () => generateKeyPairSync('ed25519')],
    ['ecdsa-p256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ecdsa-p384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['ecdsa-p521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['ecdsa-secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
    ['rsa-2048', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ]
  for (const [keyType, generate] of pairs)
    test(`${keyType}: its JWKs are read here, and ours there`, async () => {
      const { privateKey: theirs } = generate()
      const material = await decodeJwk(node, keyType, utf8(JSON.stringify(theirs.export({ format: 'jwk' }))))
      assert.ok(material !== undefined)
      const text = encodeJwk(node, keyType, material)
      const sameKey = createPrivateKey({ key: parsed(text) as JsonWebKey, format: 'jwk' })
      assert.ok(sameKey.equals(theirs))
      const algorithm = algorithms[keyType]
      assert.ok(isFor('sign', algorithm))
      const jwk = publicJwk(keyType, algorithm.open(node, material, 1).publicKey.spki)
      assert.ok(createPublicKey({ key: { ...jwk } as JsonWebKey, format: 'jwk' }).equals(createPublicKey(theirs)))
    })
})

test('jose reads our keys, and gives them the thumbprint of RFC 7638', async () => {
  for (const [keyType, alg] of [
    ['ed25519', 'EdDSA'],
    ['ecdsa-p384', 'ES384'],
    ['rsa-2048', 'PS256'],
    ['aes256-gcm96', 'A256GCM'],
  ] as const) {
    const jwk = parsed(encodeJwk(node, keyType, await materialOf(keyType)))
    assert.ok(await importJWK({ ...jwk, alg }))
    assert.match(await calculateJwkThumbprint(jwk), /^[\w-]{43}$/)
  }
})

test('RFC 8037 Appendix A: the Ed25519 key', async () => {
  const text =
    '{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
  const material = await decodeJwk(node, 'ed25519', utf8(text))
  assert.equal(hex(material ?? new Uint8Array()), '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
})

test('RFC 7517 Appendix A.2: the P-256 key; its RSA key has 2048 bits', async () => {
  const text =
    '{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",' +
    '"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","use":"enc","kid":"1"}'
  assert.equal(await decodeJwk(node, 'ecdsa-p256', utf8(text)), undefined, 'it is for encryption')
  const material = await decodeJwk(node, 'ecdsa-p256', utf8(text.replace('"use":"enc",', '')))
  assert.equal(material?.length, 32)
})

test('whatever bytes come in, the answer is a key or none', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), async (text) => {
      for (const keyType of ['aes256-gcm96', 'ecdsa-p256', 'rsa-2048'] as const)
        assert.equal(await decodeJwk(node, keyType, text), undefined)
    }),
  )
})

interface Group {
  readonly comment: string
  readonly private?: { readonly keys?: readonly object[] }
  readonly tests: readonly { readonly tcId: number; readonly result: string }[]
}

/** Wycheproof judges key sets by the JWS they verify. Of its keys, these are ours to import or to refuse. */
test('Wycheproof jwk: a key too small, off its curve or of another kind is none', { skip: noShared }, async () => {
  const { testGroups } = sharedJson<{ readonly testGroups: readonly Group[] }>(
    'vectors/wycheproof/jwk/json_web_key_test.json',
  )
  const types = ['rsa-2048', 'rsa-3072', 'ecdsa-p256', 'ecdsa-p384', 'aes256-gcm96', 'xaes256-gcm'] as const
  const taken = new Map<string, readonly string[]>()
  for (const { comment, private: secret } of testGroups) {
    const found: string[] = []
    for (const key of secret?.keys ?? [])
      for (const keyType of types)
        if ((await decodeJwk(node, keyType, utf8(JSON.stringify(key)))) !== undefined) found.push(keyType)
    taken.set(comment, found)
  }
  assert.ok(taken.size >= 10)
  for (const [comment, found] of taken) assert.deepEqual(found, [], comment)
})

test('random symmetric keys come back', () => {
  for (const length of [16, 32]) {
    const keyType = length === 16 ? 'aes128-gcm96' : 'xaes256-gcm'
    const material = new Uint8Array(randomBytes(length))
    assert.deepEqual(decodeJwk(node, keyType, encodeJwk(node, keyType, material)), material)
  }
})
