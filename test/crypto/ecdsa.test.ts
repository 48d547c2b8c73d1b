/** ECDSA on every curve: forms, ranges, digests. */
import assert from 'node:assert/strict'
import { createPrivateKey, sign as signWithOpenSsl, verify as verifyWithOpenSsl } from 'node:crypto'
import { describe, test } from 'node:test'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { concat, hex, utf8 } from '../../src/crypto/bytes.ts'
import { below, type Curve, curves, validScalar } from '../../src/crypto/curves.ts'
import { parseDer, parseP1363, toDer, withLowS } from '../../src/crypto/ecdsa.ts'
import { decodeEcSpki, encodeEcPkcs8 } from '../../src/crypto/pkcs8.ts'
import { type EcdsaType, ecdsaSigningKey, ecdsaVerify, type PromptSigningKey } from '../../src/crypto/signing.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertLinear, assertOwned, engines, fixed, kmsError, noble, unhex } from './engines.ts'

const types: readonly EcdsaType[] = [
  { keyType: 'ecdsa-p256', curve: curves.p256 },
  { keyType: 'ecdsa-p384', curve: curves.p384 },
  { keyType: 'ecdsa-p521', curve: curves.p521 },
  { keyType: 'ecdsa-secp256k1', curve: curves.secp256k1 },
]

function orderOf({ order }: Curve): bigint {
  return BigInt(`0x${hex(order)}`)
}

function bigEndian({ length }: Curve, value: bigint): Uint8Array {
  return unhex(value.toString(16).padStart(2 * length, '0'))
}

/** A private key without much thought; below every order. */
function scalarOf({ length }: Curve): Uint8Array {
  return concat([Uint8Array.of(0), fixed(length - 1, 1)])
}

test('the table has the orders that noble has, and the forms of X9.62 for its names', () => {
  const theirs = { p256, p384, p521, secp256k1 }
  for (const curve of Object.values(curves)) {
    assert.equal(orderOf(curve), theirs[curve.name].Point.Fn.ORDER, curve.name)
    assert.equal(curve.order.length, curve.length)
    assert.equal(theirs[curve.name].getPublicKey(scalarOf(curve), false).length, 1 + 2 * curve.length)
  }
})

for (const { curve } of types) {
  const order = orderOf(curve)
  const small = fc.bigInt({ min: 1n, max: 1n << 20n })
  const parts = fc.oneof(fc.bigInt({ min: 1n, max: order - 1n }), small)
  const signatures = fc.tuple(parts, parts).map(([r, s]) => concat([bigEndian(curve, r), bigEndian(curve, s)]))

  describe(`forms on ${curve.title}`, () => {
    test('a scalar is valid from 1 to n − 1', () => {
      for (const value of [1n, 2n, order - 1n, order >> 1n])
        assert.equal(validScalar(curve, bigEndian(curve, value)), true)
      const top = (1n << BigInt(8 * curve.length)) - 1n
      for (const value of [0n, order, order + 1n, top]) assert.equal(validScalar(curve, bigEndian(curve, value)), false)
      for (const length of [0, curve.length - 1, curve.length + 1])
        assert.equal(validScalar(curve, new Uint8Array(length).fill(1)), false)
    })

    test('DER and r ‖ s undo each other', () => {
      fc.assert(
        fc.property(signatures, (signature) => {
          const der = toDer(signature)
          assert.deepEqual(parseDer(curve, der), signature)
          assert.deepEqual(parseP1363(curve, signature), signature)
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
        fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 150 })), (bytes) => {
          const parsed = parseDer(curve, bytes)
          if (parsed !== undefined) assert.deepEqual(toDer(parsed), Uint8Array.from(bytes))
        }),
        { numRuns: 1000 },
      )
      assertLinear((length) => {
        const input = concat([Uint8Array.of(0x30, 0x82), new Uint8Array(length)])
        return () => assert.equal(parseDer(curve, input), undefined)
      })
    })

    test('r and s out of range are refused in both forms', () => {
      const one = bigEndian(curve, 1n)
      for (const value of [0n, order, order + 1n]) {
        const wrong = bigEndian(curve, value)
        for (const signature of [concat([wrong, one]), concat([one, wrong])]) {
          assert.equal(parseP1363(curve, signature), undefined)
          assert.equal(parseDer(curve, toDer(signature)), undefined)
        }
      }
      for (const length of [0, 2 * curve.length - 1, 2 * curve.length + 1])
        assert.equal(parseP1363(curve, new Uint8Array(length).fill(1)), undefined)
    })

    test('the lower s is the lower of the two, and doing it twice changes nothing', () => {
      fc.assert(
        fc.property(signatures, (signature) => {
          const s = BigInt(`0x${hex(signature.subarray(curve.length))}`)
          const low = withLowS(curve, signature)
          assert.deepEqual(low.subarray(0, curve.length), signature.subarray(0, curve.length))
          assert.equal(BigInt(`0x${hex(low.subarray(curve.length))}`), s > order - s ? order - s : s)
          assert.deepEqual(withLowS(curve, low), low)
        }),
      )
    })
  })
}

test('below compares numbers', () => {
  const numbers = fc.uint8Array({ minLength: 4, maxLength: 4 })
  const number = (bytes: Uint8Array) => new DataView(Uint8Array.from(bytes).buffer).getUint32(0)
  fc.assert(fc.property(numbers, numbers, (a, b) => assert.equal(below(a, b), number(a) < number(b))))
  assert.equal(below(fixed(4), fixed(4)), false)
})

test('BER, zeros, negatives, padding and trailing bytes are refused', () => {
  const one = '020101'
  const parse = (text: string) => parseDer(curves.p256, unhex(text))
  assert.ok(parse(`3006${one}${one}`))
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
    `3009${one}${one}${one}`,
    `3003${one}`,
    `3000`,
    '',
    '30',
  ]) {
    assert.equal(parse(wrong), undefined, wrong)
  }
})

test('on P-521 a long form of length is what DER has, from 128 bytes on and not before', () => {
  const { p521 } = curves
  const signature = concat([Uint8Array.of(1), fixed(65, 7), Uint8Array.of(1), fixed(65, 9)])
  const der = toDer(signature)
  assert.equal(hex(der.subarray(0, 3)), '308188')
  assert.deepEqual(parseDer(p521, der), signature)
  const short = concat([new Uint8Array(6), fixed(60, 7), new Uint8Array(6), fixed(60, 9)])
  assert.equal(hex(toDer(short).subarray(0, 2)), '307c')
  assert.equal(parseDer(p521, concat([unhex('30817c'), toDer(short).subarray(2)])), undefined)
  assert.equal(parseDer(p521, concat([unhex('30820088'), der.subarray(3)])), undefined)
})

for (const engine of engines) {
  for (const type of types) {
    const { curve } = type
    const { length } = curve

    describe(`ECDSA on ${curve.title}, ${engine.name}`, () => {
      const key = ecdsaSigningKey(engine, type, scalarOf(curve))
      const message = utf8('a message')
      const half = orderOf(curve) / 2n

      function sOf(signature: Uint8Array): bigint {
        return BigInt(`0x${hex(signature.subarray(length))}`)
      }

      /** Signatures until s is high, which every second one is; n − s is then as valid. */
      function withHighS(signature: Uint8Array): Uint8Array {
        const s = sOf(signature)
        return concat([signature.subarray(0, length), bigEndian(curve, s > half ? s : orderOf(curve) - s)])
      }

      test('signs and verifies in both forms, with every digest, hashed here or before', () => {
        for (const hashAlgorithm of [undefined, 'sha256', 'sha384', 'sha512'] as const) {
          for (const format of [undefined, 'der', 'ieee-p1363'] as const) {
            const digest = engine.hash(hashAlgorithm ?? curve.hashAlgorithm, message)
            const plain = key.sign(message, { hashAlgorithm, format })
            const prehashed = key.sign(digest, { hashAlgorithm, format, prehashed: true })
            for (const signature of [plain, prehashed]) {
              assertOwned(signature)
              assert.equal(key.verify(message, signature, { hashAlgorithm, format }), true)
              assert.equal(key.verify(digest, signature, { hashAlgorithm, format, prehashed: true }), true)
              assert.equal(key.verify(utf8('another'), signature, { hashAlgorithm, format }), false)
            }
            if (format === 'ieee-p1363') assert.equal(plain.length, 2 * length)
            else assert.equal(plain[0], 0x30)
          }
        }
      })

      test('the default digest is the one of the table', () => {
        const { hashAlgorithm } = curve
        assert.equal(key.verify(message, key.sign(message), { hashAlgorithm }), true)
      })

      test('OpenSSL agrees, by way of the exported key', () => {
        const der = Buffer.from(encodeEcPkcs8(curve, scalarOf(curve)))
        const exported = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
        const { hashAlgorithm } = curve
        assert.equal(verifyWithOpenSsl(hashAlgorithm, message, key.publicKey.text, key.sign(message)), true)
        const signature = key.sign(message, { hashAlgorithm: 'sha512' })
        assert.equal(verifyWithOpenSsl('sha512', message, exported, signature), true)
        assert.equal(key.verify(message, signWithOpenSsl(hashAlgorithm, message, exported)), true)
      })

      test('the same signature in the other form, or by another digest, is false', () => {
        const signature = key.sign(message)
        const other = curve.hashAlgorithm === 'sha384' ? 'sha256' : 'sha384'
        assert.equal(key.verify(message, signature, { format: 'ieee-p1363' }), false)
        assert.equal(key.verify(message, signature, { hashAlgorithm: other }), false)
        assert.equal(key.verify(message, key.sign(message, { format: 'ieee-p1363' })), false)
      })

      test('high s is accepted: it is valid by FIPS 186-5', () => {
        const signature = withHighS(key.sign(message, { format: 'ieee-p1363' }))
        assert.ok(sOf(signature) > half)
        assert.equal(key.verify(message, signature, { format: 'ieee-p1363' }), true)
        assert.equal(key.verify(message, toDer(signature)), true)
        const digest = engine.hash(curve.hashAlgorithm, message)
        assert.equal(key.verify(digest, toDer(signature), { prehashed: true }), true)
      })

      if (curve.lowS)
        test('its own s is low in both forms, hashed here or before', () => {
          for (let run = 0; run < 32; run++) {
            const [input, digest] = [fixed(9, run), engine.hash('sha256', fixed(9, run))]
            for (const signature of [
              key.sign(input, { format: 'ieee-p1363' }),
              key.sign(digest, { prehashed: true, format: 'ieee-p1363' }),
              parseDer(curve, key.sign(input)) ?? fixed(0),
              parseDer(curve, key.sign(digest, { prehashed: true })) ?? fixed(0),
            ]) {
              assert.equal(signature.length, 2 * length)
              assert.ok(sOf(signature) <= half)
            }
          }
        })

      test('a digest of another length is refused, and so are private keys out of range', () => {
        const refused = kmsError('INVALID_INPUT', /must be 48 bytes of sha384, not 32/)
        assert.throws(() => key.sign(fixed(32), { prehashed: true, hashAlgorithm: 'sha384' }), refused)
        assert.throws(() => key.verify(fixed(32), fixed(64), { prehashed: true, hashAlgorithm: 'sha384' }), refused)
        const [zero, order] = [new Uint8Array(length), curve.order]
        for (const scalar of [zero, order, fixed(length - 1, 1), concat([Uint8Array.of(0), scalarOf(curve)])]) {
          const says = new RegExp(`a ${curve.title} private key must be ${length} bytes in 1 … n − 1`)
          assert.throws(() => ecdsaSigningKey(engine, type, scalar), kmsError('INVALID_INPUT', says))
        }
      })

      test('keys are copied: wiping what was given changes nothing', () => {
        const lent = scalarOf(curve)
        const lentKey = ecdsaSigningKey(engine, type, lent)
        lent.fill(0)
        const point = decodeEcSpki(curve, key.publicKey.spki) ?? fixed(0)
        const verify = ecdsaVerify(engine, type, point)
        point.fill(0)
        const digest = engine.hash(curve.hashAlgorithm, message)
        assert.deepEqual(lentKey.publicKey, key.publicKey)
        for (const prehashed of [false, true]) {
          const input = prehashed ? digest : message
          assert.equal(verify(input, lentKey.sign(input, { prehashed }), { prehashed }), true)
        }
      })

      test('a public key that is no point of the curve, or is compressed, is refused', () => {
        const noPoint = concat([Uint8Array.of(4), fixed(2 * length)])
        const point = decodeEcSpki(curve, key.publicKey.spki) ?? fixed(0)
        const parity = (point.at(-1) ?? 0) & 1
        // X9.62's hybrid form, which OpenSSL would take: 6 or 7, by the parity of y.
        const hybrid = concat([Uint8Array.of(6 + parity), point.subarray(1)])
        const compressed = concat([Uint8Array.of(2 + parity), point.subarray(1, 1 + length)])
        const infinity = Uint8Array.of(0)
        for (const wrong of [noPoint, hybrid, compressed, fixed(0), infinity, new Uint8Array(1 + 2 * length)]) {
          const says = new RegExp(`a ${curve.title} public key must be an uncompressed point`)
          assert.throws(() => ecdsaVerify(engine, type, wrong), kmsError('INVALID_INPUT', says))
        }
      })
    })
  }
}

/** Answers of RFC 6979 §A.2, message "sample", with each curve's own hash; prehashed signing is noble's on both engines. */
const deterministic: readonly (readonly [EcdsaType['curve']['name'], string, string])[] = [
  [
    'p256',
    'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
      'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  ],
  [
    'p384',
    '6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5',
    '94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46' +
      '99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8',
  ],
  [
    'p521',
    '00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538',
    '00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa' +
      '00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a',
  ],
]

function signedPrehashed(key: PromptSigningKey, digest: Uint8Array): string {
  return hex(key.sign(digest, { prehashed: true, format: 'ieee-p1363' }))
}

test('RFC 6979 §A.2.5–A.2.7: prehashed signing is deterministic', () => {
  for (const engine of engines) {
    for (const [name, scalar, expected] of deterministic) {
      const type = types.find(({ curve }) => curve.name === name)
      assert.ok(type !== undefined)
      const key = ecdsaSigningKey(engine, type, unhex(scalar))
      assert.equal(signedPrehashed(key, engine.hash(type.curve.hashAlgorithm, utf8('sample'))), expected)
    }
  }
})

test('deterministic signing takes the second k when the first is out of range', { skip: noShared }, () => {
  type Rejection = Readonly<Record<'privateKey' | 'messageAscii' | 'r' | 's', string>>
  const one = sharedJson<Rejection>('vectors/rfc6979_p256_rejection.json')
  const type: EcdsaType = { keyType: 'ecdsa-p256', curve: curves.p256 }
  const expected = `${one.r}${one.s}`.toLowerCase()
  for (const engine of engines) {
    const key = ecdsaSigningKey(engine, type, unhex(one.privateKey))
    assert.equal(signedPrehashed(key, engine.hash('sha256', utf8(one.messageAscii))), expected)
  }
  const key = ecdsaSigningKey(noble, type, unhex(one.privateKey))
  assert.equal(hex(key.sign(utf8(one.messageAscii), { format: 'ieee-p1363' })), expected)
})
