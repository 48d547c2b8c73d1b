/** Key material wrapped for an RSA key: opened and made by OpenSSL through node:crypto, independently of our code. */
import assert from 'node:assert/strict'
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto'
import { describe, test } from 'node:test'
import { concat, wipe } from '../../src/crypto/bytes.ts'
import { unwrapKeyMaterial, wrapKeyMaterial } from '../../src/crypto/key-transport.ts'
import { encodeRsaSpki } from '../../src/crypto/pkcs8.ts'
import { type RsaKeyType, rsaBits } from '../../src/crypto/rsa-parts.ts'
import { assertOwned, engines, fixed, kmsError, unhex } from './engines.ts'
import { testKey } from './rsa-keys.ts'

const keyTypes = Object.keys(rsaBits) as readonly RsaKeyType[]
const initialValue = unhex('a65959a6')

function pairOf(keyType: RsaKeyType) {
  const privateKey = createPrivateKey({ key: Buffer.from(testKey(keyType)), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  return { privateKey, publicKey, spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })) }
}

const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const

/** The other side of `wrapKeyMaterial`, written with node:crypto alone. */
function unwrapElsewhere(keyType: RsaKeyType, wrapped: Uint8Array): Uint8Array {
  const size = rsaBits[keyType] / 8
  const key = privateDecrypt({ key: pairOf(keyType).privateKey, ...oaep }, wrapped.subarray(0, size))
  assert.equal(key.length, 32)
  return new Uint8Array(createDecipheriv('id-aes256-wrap-pad', key, initialValue).update(wrapped.subarray(size)))
}

function wrapElsewhere(keyType: RsaKeyType, key: Uint8Array, material: Uint8Array): Uint8Array {
  const block = publicEncrypt({ key: pairOf(keyType).publicKey, ...oaep }, key)
  const name = `id-aes${key.length * 8}-wrap-pad`
  return concat([block, createCipheriv(name, key, initialValue).update(material)])
}

for (const engine of engines) {
  describe(`key transport, ${engine.name}`, () => {
    test('OpenSSL opens what we wrapped, and we open what it wrapped, whatever the length', async () => {
      for (const keyType of keyTypes) {
        for (const material of [fixed(1), fixed(16), fixed(32), testKey('rsa-4096')]) {
          const wrapped = await wrapKeyMaterial(engine, pairOf(keyType).spki, material)
          assertOwned(wrapped)
          assert.deepEqual(unwrapElsewhere(keyType, wrapped), material)
          for (const other of engines) {
            const unwrapped = await unwrapKeyMaterial(other, testKey(keyType), wrapped)
            assert.deepEqual(unwrapped, material)
            assertOwned(unwrapped ?? assert.fail())
          }
          const theirs = wrapElsewhere(keyType, fixed(32, 7), material)
          assert.deepEqual(await unwrapKeyMaterial(engine, testKey(keyType), theirs), material)
        }
      }
    })

    test('each wrapping has a key of its own', async () => {
      const { spki } = pairOf('rsa-2048')
      const [first, second] = [
        await wrapKeyMaterial(engine, spki, fixed(32)),
        await wrapKeyMaterial(engine, spki, fixed(32)),
      ]
      assert.notDeepEqual(first.subarray(256), second.subarray(256))
    })

    test('anything else is undefined: a changed bit in either part, a cut, another key, another key length', async () => {
      const pkcs8 = testKey('rsa-2048')
      const wrapped = await wrapKeyMaterial(engine, pairOf('rsa-2048').spki, fixed(32))
      for (let at = 0; at < wrapped.length; at += at < 250 ? 25 : 1) {
        const changed = wrapped.slice()
        changed[at] = (changed[at] ?? 0) ^ 1
        assert.equal(await unwrapKeyMaterial(engine, pkcs8, changed), undefined, `byte ${at}`)
      }
      for (const length of [0, 1, 255, 256, 257, 264, wrapped.length - 1])
        assert.equal(await unwrapKeyMaterial(engine, pkcs8, wrapped.slice(0, length)), undefined)
      assert.equal(await unwrapKeyMaterial(engine, pkcs8, concat([wrapped, fixed(8)])), undefined)
      assert.equal(await unwrapKeyMaterial(engine, testKey('rsa-3072'), wrapped), undefined)
      assert.equal(await unwrapKeyMaterial(engine, testKey('rsa-4096'), concat([wrapped, fixed(512)])), undefined)
      for (const length of [16, 24])
        assert.equal(
          await unwrapKeyMaterial(engine, pkcs8, wrapElsewhere('rsa-2048', fixed(length), fixed(32))),
          undefined,
        )
    })

    test('arrays may be reused as soon as the call is made', async () => {
      const material = fixed(50)
      const { spki } = pairOf('rsa-2048')
      const wrapping = wrapKeyMaterial(engine, spki, material)
      wipe(material, spki)
      const wrapped = await wrapping
      const [own, pkcs8] = [wrapped.slice(), testKey('rsa-2048')]
      const unwrapping = unwrapKeyMaterial(engine, pkcs8, own)
      wipe(own, pkcs8)
      assert.deepEqual(await unwrapping, fixed(50))
    })

    test('a recipient that will not do is told why', async () => {
      const { n, e } = rsaPublic('rsa-2048')
      const spkiOf = (pair: ReturnType<typeof generateKeyPairSync>) =>
        new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }))
      const even = n.slice()
      even[255] = 2
      const long = concat([n, n, n.subarray(0, 1)])
      const refused: readonly [Uint8Array, RegExp][] = [
        [fixed(0), /is no SubjectPublicKeyInfo/],
        [fixed(294), /is no SubjectPublicKeyInfo/],
        [testKey('rsa-2048'), /is no SubjectPublicKeyInfo/],
        [concat([pairOf('rsa-2048').spki, fixed(1)]), /is no SubjectPublicKeyInfo/],
        [spkiOf(generateKeyPairSync('ed25519')), /not an RSA key/],
        [spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' })), /not an RSA key/],
        [
          spkiOf(generateKeyPairSync('rsa', { modulusLength: 1024 })),
          /RSA key of 1024 bits: it must have 2048 to 4096/,
        ],
        [encodeRsaSpki({ n: long, e }), /RSA key of 4104 bits/],
        [encodeRsaSpki({ n: concat([Uint8Array.of(1), n.subarray(1)]), e }), /RSA key of 2041 bits/],
        [encodeRsaSpki({ n, e: Uint8Array.of(1) }), /exponent/],
        [encodeRsaSpki({ n, e: Uint8Array.of(3) }), /exponent/],
        [encodeRsaSpki({ n, e: Uint8Array.of(1, 0, 0) }), /exponent/],
        [encodeRsaSpki({ n, e: Uint8Array.of(1, 0, 0, 0, 1) }), /exponent/],
        [encodeRsaSpki({ n: even, e }), /modulus is even/],
      ]
      for (const [spki, says] of refused)
        await assert.rejects(async () => wrapKeyMaterial(engine, spki, fixed(32)), kmsError('INVALID_INPUT', says))
      await assert.rejects(
        async () => wrapKeyMaterial(engine, pairOf('rsa-2048').spki, fixed(0)),
        kmsError('INVALID_INPUT', /no key material/),
      )
      await assert.rejects(
        async () => unwrapKeyMaterial(engine, fixed(100), fixed(300)),
        kmsError('INVALID_INPUT', /no PKCS#8 of an RSA key/),
      )
    })
  })
}

function rsaPublic(keyType: RsaKeyType): { readonly n: Uint8Array; readonly e: Uint8Array } {
  const { n = '', e = '' } = pairOf(keyType).publicKey.export({ format: 'jwk' })
  return { n: new Uint8Array(Buffer.from(n, 'base64url')), e: new Uint8Array(Buffer.from(e, 'base64url')) }
}
