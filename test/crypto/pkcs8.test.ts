/** PKCS#8 and SPKI, strictly. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { concat } from '../../src/crypto/bytes.ts'
import {
  decodeEd25519Pkcs8,
  decodeEd25519Spki,
  decodeP256Pkcs8,
  decodeP256Spki,
  encodeEd25519Pkcs8,
  encodeEd25519Spki,
  encodeP256Pkcs8,
  encodeP256Spki,
  publicKeyPem,
} from '../../src/crypto/pkcs8.ts'
import { assertLinear, assertOwned, fixed } from './engines.ts'

const thirtyTwo = fc.uint8Array({ minLength: 32, maxLength: 32 })
const point = fc.uint8Array({ minLength: 64, maxLength: 64 }).map((xy) => concat([Uint8Array.of(4), xy]))

test('what OpenSSL writes is what we write, and we read it back', () => {
  const ed = generateKeyPairSync('ed25519')
  const edPrivate = new Uint8Array(ed.privateKey.export({ format: 'der', type: 'pkcs8' }))
  const edPublic = new Uint8Array(ed.publicKey.export({ format: 'der', type: 'spki' }))
  assert.deepEqual(encodeEd25519Pkcs8(decodeEd25519Pkcs8(edPrivate) ?? fixed(0)), edPrivate)
  assert.deepEqual(encodeEd25519Spki(decodeEd25519Spki(edPublic) ?? fixed(0)), edPublic)

  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecPrivate = new Uint8Array(ec.privateKey.export({ format: 'der', type: 'pkcs8' }))
  const ecPublic = new Uint8Array(ec.publicKey.export({ format: 'der', type: 'spki' }))
  const parts = decodeP256Pkcs8(ecPrivate)
  assert.ok(parts?.publicKey !== undefined)
  assert.deepEqual(encodeP256Pkcs8(parts.scalar, parts.publicKey), ecPrivate)
  assert.deepEqual(parts.publicKey, decodeP256Spki(ecPublic))
  assert.deepEqual(encodeP256Spki(parts.publicKey), ecPublic)
  assert.equal(publicKeyPem(ecPublic), ec.publicKey.export({ format: 'pem', type: 'spki' }))
  assert.equal(publicKeyPem(edPublic), ed.publicKey.export({ format: 'pem', type: 'spki' }))
})

test('OpenSSL reads both of our P-256 forms as the same key', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const parts = decodeP256Pkcs8(new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })))
  assert.ok(parts?.publicKey !== undefined)
  for (const der of [encodeP256Pkcs8(parts.scalar), encodeP256Pkcs8(parts.scalar, parts.publicKey)]) {
    const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    assert.deepEqual(
      new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' })),
      encodeP256Spki(parts.publicKey),
    )
  }
})

test('every encoding undoes itself and owns its buffer', () => {
  fc.assert(
    fc.property(thirtyTwo, point, (secret, publicKey) => {
      assert.deepEqual(decodeEd25519Pkcs8(encodeEd25519Pkcs8(secret)), secret)
      assert.deepEqual(decodeEd25519Spki(encodeEd25519Spki(secret)), secret)
      assert.deepEqual(decodeP256Pkcs8(encodeP256Pkcs8(secret)), { scalar: secret })
      assert.deepEqual(decodeP256Pkcs8(encodeP256Pkcs8(secret, publicKey)), { scalar: secret, publicKey })
      assert.deepEqual(decodeP256Spki(encodeP256Spki(publicKey)), publicKey)
    }),
  )
  const both = decodeP256Pkcs8(encodeP256Pkcs8(fixed(32), concat([Uint8Array.of(4), fixed(64)])))
  for (const bytes of [
    encodeEd25519Pkcs8(fixed(32)),
    encodeP256Spki(fixed(65)),
    decodeEd25519Spki(encodeEd25519Spki(fixed(32))),
    both?.scalar,
    both?.publicKey,
  ]) {
    assertOwned(bytes ?? Buffer.from('a pooled buffer, to fail'))
  }
})

const decoders = [decodeEd25519Pkcs8, decodeEd25519Spki, decodeP256Pkcs8, decodeP256Spki]
const samples = [
  encodeEd25519Pkcs8(fixed(32)),
  encodeEd25519Spki(fixed(32)),
  encodeP256Pkcs8(fixed(32)),
  encodeP256Pkcs8(fixed(32), concat([Uint8Array.of(4), fixed(64)])),
  encodeP256Spki(concat([Uint8Array.of(4), fixed(64)])),
]

test('a changed bit of the structure, a missing byte or one more is undefined', () => {
  const structure = [16, 12, 35, 36, 27]
  samples.forEach((sample, which) => {
    for (let bit = 0; bit < (structure[which] ?? 0) * 8 - 8; bit++) {
      const changed = sample.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      for (const decode of decoders) assert.equal(decode(changed), undefined, `sample ${which}, bit ${bit}`)
    }
    for (let length = 0; length < sample.length; length++) {
      for (const decode of decoders) assert.equal(decode(sample.slice(0, length)), undefined)
    }
    for (const decode of decoders) assert.equal(decode(concat([sample, fixed(1)])), undefined)
  })
})

test('a compressed P-256 point, BER lengths and a version 1 Ed25519 key are undefined', () => {
  assert.equal(decodeP256Spki(encodeP256Spki(concat([Uint8Array.of(3), fixed(64)]))), undefined)
  const spki = encodeEd25519Spki(fixed(32))
  assert.equal(decodeEd25519Spki(concat([Uint8Array.of(0x30, 0x81, 0x2a), spki.subarray(2)])), undefined)
  const versionOne = encodeEd25519Pkcs8(fixed(32))
  versionOne[4] = 1
  assert.equal(decodeEd25519Pkcs8(versionOne), undefined)
})

test('arbitrary bytes never crash a decoder, and 1 MiB takes linear time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of decoders) decode(bytes)
    }),
  )
  for (const decode of decoders) {
    assertLinear((length) => {
      const input = concat([samples[3] ?? fixed(0), new Uint8Array(length)])
      return () => assert.equal(decode(input), undefined)
    })
  }
})
