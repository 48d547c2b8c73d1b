/** ECDSA on P-256: forms, ranges, digests. */
import assert from 'node:assert/strict'
import { createPrivateKey, verify as verifyWithOpenSsl } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concat, fromHex, hex, utf8 } from '../../src/crypto/bytes.ts'
import { parseDer, parseP1363, toDer, validScalar } from '../../src/crypto/ecdsa.ts'
import { decodeP256Spki, encodeP256Pkcs8 } from '../../src/crypto/pkcs8.ts'
import { p256SigningKey, p256Verify } from '../../src/crypto/signing.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertLinear, assertOwned, engines, fixed, kmsError, noble, unhex } from './engines.ts'

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

function bigEndian(value: bigint): Uint8Array {
  return unhex(value.toString(16).padStart(64, '0'))
}

const scalars = fc.bigInt({ min: 1n, max: order - 1n })
const small = fc.bigInt({ min: 1n, max: 1n << 20n })
const signatures = fc
  .tuple(fc.oneof(scalars, small), fc.oneof(scalars, small))
  .map(([r, s]) => concat([bigEndian(r), bigEndian(s)]))

test('a scalar is valid from 1 to n − 1', () => {
  for (const value of [1n, 2n, order - 1n, order >> 1n]) assert.equal(validScalar(bigEndian(value)), true)
  for (const value of [0n, order, order + 1n, (1n << 256n) - 1n]) assert.equal(validScalar(bigEndian(value)), false)
  for (const length of [0, 31, 33]) assert.equal(validScalar(fixed(length, 1)), false)
})

test('DER and r ‖ s undo each other', () => {
  fc.assert(
    fc.property(signatures, (signature) => {
      const der = toDer(signature)
      assert.deepEqual(parseDer(der), signature)
      assert.deepEqual(parseP1363(signature), signature)
      assertOwned(der)
    }),
  )
})

test('DER has one spelling: what parses is what would be written, and nothing crashes', () => {
  const mutated = fc.tuple(signatures, fc.nat(), fc.uint8Array({ maxLength: 3 })).map(([signature, at, bytes]) => {
    const der = toDer(signature)
    const where = at % der.length
    return concat([der.subarray(0, where), bytes, der.subarray(where + 1)])
  })
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      const parsed = parseDer(bytes)
      if (parsed !== undefined) assert.deepEqual(toDer(parsed), Uint8Array.from(bytes))
    }),
    { numRuns: 2000 },
  )
  assertLinear((length) => {
    const input = concat([Uint8Array.of(0x30, 0x82), new Uint8Array(length)])
    return () => assert.equal(parseDer(input), undefined)
  })
})

test('BER, zeros, negatives, padding and trailing bytes are refused', () => {
  const one = '020101'
  assert.ok(parseDer(unhex(`3006${one}${one}`)))
  const tooLong = (bytes: number) => `02${bytes.toString(16)}${'7f'.repeat(bytes)}`
  for (const wrong of [
    `308106${one}${one}`,
    `3080${one}${one}0000`,
    `3007${one}${one}00`,
    `3006${one}${one}00`,
    `3005${one}0200`,
    `30070202${'0001'}${one}`,
    `3006020100${one}`,
    `3006020181${one}`,
    `3006${one}030101`,
    `3106${one}${one}`,
    `3026${tooLong(33)}${one}`,
    `3026${one}${tooLong(33)}`,
    `3047${tooLong(66)}${one}`,
    `3003${one}`,
    `3000`,
    '',
    '30',
  ]) {
    assert.equal(parseDer(fromHex(wrong) ?? fixed(0)), undefined, wrong)
  }
})

for (const engine of engines) {
  describe(`ECDSA, ${engine.name}`, () => {
    const key = p256SigningKey(engine, fixed(32, 1))
    const message = utf8('a message')

    test('signs and verifies in both forms, with every digest, hashed here or before', () => {
      for (const hashAlgorithm of [undefined, 'sha256', 'sha384', 'sha512'] as const) {
        for (const format of [undefined, 'der', 'ieee-p1363'] as const) {
          const digest = engine.hash(hashAlgorithm ?? 'sha256', message)
          const plain = key.sign(message, { hashAlgorithm, format })
          const prehashed = key.sign(digest, { hashAlgorithm, format, prehashed: true })
          for (const signature of [plain, prehashed]) {
            assertOwned(signature)
            assert.equal(key.verify(message, signature, { hashAlgorithm, format }), true)
            assert.equal(key.verify(digest, signature, { hashAlgorithm, format, prehashed: true }), true)
            assert.equal(key.verify(utf8('another'), signature, { hashAlgorithm, format }), false)
          }
          if (format === 'ieee-p1363') assert.equal(plain.length, 64)
          else assert.equal(plain[0], 0x30)
        }
      }
    })

    test('OpenSSL agrees, by way of the exported key', () => {
      const exported = createPrivateKey({
        key: Buffer.from(encodeP256Pkcs8(fixed(32, 1))),
        format: 'der',
        type: 'pkcs8',
      })
      assert.equal(verifyWithOpenSsl('sha256', message, key.publicKey.text, key.sign(message)), true)
      assert.equal(verifyWithOpenSsl('sha512', message, exported, key.sign(message, { hashAlgorithm: 'sha512' })), true)
    })

    test('the same signature in the other form, or by another digest, is false', () => {
      const signature = key.sign(message)
      assert.equal(key.verify(message, signature, { format: 'ieee-p1363' }), false)
      assert.equal(key.verify(message, signature, { hashAlgorithm: 'sha384' }), false)
      assert.equal(key.verify(message, key.sign(message, { format: 'ieee-p1363' })), false)
    })

    test('high s is accepted: it is valid by FIPS 186-5', () => {
      const signature = parseDer(key.sign(message)) ?? fixed(64)
      const s = BigInt(`0x${hex(signature.subarray(32))}`)
      const other = concat([signature.subarray(0, 32), bigEndian(order - s)])
      assert.equal(key.verify(message, toDer(other)), true)
      const digest = engine.hash('sha256', message)
      assert.equal(key.verify(digest, toDer(other), { prehashed: true }), true)
    })

    test('a digest of another length is refused, and so are private keys out of range', () => {
      const refused = kmsError('INVALID_INPUT', /must be 48 bytes of sha384, not 32/)
      assert.throws(() => key.sign(fixed(32), { prehashed: true, hashAlgorithm: 'sha384' }), refused)
      assert.throws(() => key.verify(fixed(32), fixed(64), { prehashed: true, hashAlgorithm: 'sha384' }), refused)
      for (const scalar of [bigEndian(0n), bigEndian(order), fixed(31, 1), fixed(33, 1)]) {
        assert.throws(() => p256SigningKey(engine, scalar), kmsError('INVALID_INPUT', /1 … n − 1/))
      }
    })

    test('keys are copied: wiping what was given changes nothing', () => {
      const lent = fixed(32, 1)
      const lentKey = p256SigningKey(engine, lent)
      lent.fill(0)
      const point = decodeP256Spki(key.publicKey.spki) ?? fixed(0)
      const verify = p256Verify(engine, point)
      point.fill(0)
      const digest = engine.hash('sha256', message)
      assert.deepEqual(lentKey.publicKey, key.publicKey)
      for (const prehashed of [false, true]) {
        const input = prehashed ? digest : message
        assert.equal(verify(input, lentKey.sign(input, { prehashed }), { prehashed }), true)
      }
    })

    test('a public key that is no point of the curve, or is compressed, is refused', () => {
      const noPoint = concat([Uint8Array.of(4), fixed(64)])
      const point = decodeP256Spki(key.publicKey.spki) ?? fixed(0)
      // X9.62's hybrid form, which OpenSSL would take: 6 or 7, by the parity of y.
      const hybrid = concat([Uint8Array.of(6 + ((point[64] ?? 0) & 1)), point.subarray(1)])
      const compressed = unhex('036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296')
      for (const wrong of [noPoint, hybrid, compressed, fixed(0), Uint8Array.of(0), new Uint8Array(65)]) {
        assert.throws(() => p256Verify(engine, wrong), kmsError('INVALID_INPUT', /uncompressed point/))
      }
    })
  })
}

test('deterministic signing takes the second k when the first is out of range', { skip: noShared }, () => {
  type Rejection = Readonly<Record<'privateKey' | 'messageAscii' | 'r' | 's', string>>
  const one = sharedJson<Rejection>('vectors/rfc6979_p256_rejection.json')
  const expected = `${one.r}${one.s}`.toLowerCase()
  for (const engine of engines) {
    const key = p256SigningKey(engine, unhex(one.privateKey))
    const digest = engine.hash('sha256', utf8(one.messageAscii))
    // Prehashed signing is noble's, and deterministic, on both engines.
    assert.equal(hex(key.sign(digest, { prehashed: true, format: 'ieee-p1363' })), expected)
  }
  const key = p256SigningKey(noble, unhex(one.privateKey))
  assert.equal(hex(key.sign(utf8(one.messageAscii), { format: 'ieee-p1363' })), expected)
})
