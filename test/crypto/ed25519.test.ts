/** Ed25519: the gate, and one verdict on both engines. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { hex, utf8 } from '../../src/crypto/bytes.ts'
import { ed25519Key, ed25519Public, ed25519Sign, ed25519Verify, ed25519VerifyLater } from '../../src/crypto/ed25519.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertOwned, engines, fixed, kmsError, noble, node, unhex } from './engines.ts'

interface CctvCase {
  readonly number: number
  readonly key: string
  readonly sig: string
  readonly msg: string
  readonly flags: readonly string[] | null
}

/**
 * Our verdict on each kind of CCTV case, by flag: one such flag refuses. `low_order_component_*` alone is let through
 * to the equation, where a `low_order_residue` fails, because nothing is multiplied by the cofactor.
 */
const refusing = [
  'low_order_A',
  'low_order_R',
  'non_canonical_A',
  'non_canonical_R',
  'low_order_residue',
  'reencoded_k',
]

test('every CCTV case has one verdict, the same on both engines, now and later', { skip: noShared }, async () => {
  const cases = sharedJson<readonly CctvCase[]>('vectors/cctv/ed25519vectors.json')
  let accepted = 0
  for (const { number, key, sig, msg, flags } of cases) {
    const expected = !(flags ?? []).some((flag) => refusing.includes(flag))
    if (expected) accepted++
    for (const engine of engines) {
      const verdict = ed25519Verify(engine, unhex(key))(utf8(msg), unhex(sig))
      const later = await ed25519VerifyLater(engine, unhex(key))(utf8(msg), unhex(sig))
      const told = `${engine.name}, case ${number}: ${(flags ?? []).join(', ')}`
      assert.deepEqual([verdict, later], [expected, expected], told)
    }
  }
  assert.equal(cases.length, 457)
  assert.ok(accepted > 0 && accepted < cases.length, `${accepted} accepted`)
})

const p = 2n ** 255n - 19n
const order = 2n ** 252n + 27742317777372353535851937790883648493n

function encode(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 255n))
}

function decode(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

/** The eight points of small order by computation (any point times L), and the two spellings of −0. */
function smallOrderEncodings(): Uint8Array[] {
  const { Point } = ed25519
  let generator = Point.ZERO
  for (let y = 2n; generator.multiplyUnsafe(4n).is0(); y++) {
    if (!isPoint(encode(y))) continue
    let square = Point.fromBytes(encode(y))
    generator = Point.ZERO
    for (let left = order; left > 0n; left >>= 1n, square = square.double()) {
      if (left & 1n) generator = generator.add(square)
    }
  }
  const multiples = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n].map((factor) => generator.multiplyUnsafe(factor).toBytes())
  return [...multiples, encode(1n | (1n << 255n)), encode((p - 1n) | (1n << 255n))]
}

const smallOrder = smallOrderEncodings()

test('there are ten encodings of small order below p', () => {
  assert.equal(new Set(smallOrder.map(hex)).size, 10)
})

for (const engine of engines) {
  describe(`Ed25519, ${engine.name}`, () => {
    const seed = fixed(32, 9)
    const message = utf8('a message')
    const signature = ed25519Sign(engine, seed)(message)
    const verify = ed25519Verify(engine, ed25519Public(engine, seed))

    test('a signature verifies, and any changed bit of it does not', () => {
      assert.equal(verify(message, signature), true)
      for (let bit = 0; bit < 512; bit++) {
        const changed = signature.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.equal(verify(message, changed), false, `bit ${bit}`)
      }
    })

    test('a signature of another length is false, not an error', () => {
      for (const length of [0, 1, 32, 63]) assert.equal(verify(message, signature.slice(0, length)), false)
      assert.equal(verify(message, Uint8Array.of(...signature, 0)), false)
    })

    test('S is refused from L on: S + L would be a second signature', () => {
      const s = decode(signature.subarray(32))
      for (const other of [s + order, s + 2n * order, order, order + 1n, 2n ** 256n - 1n]) {
        const changed = signature.slice()
        changed.set(encode(other), 32)
        assert.equal(verify(message, changed), false)
      }
    })

    test('a public key of small order, or with y ≥ p, verifies nothing', () => {
      const zeroS = new Uint8Array(64)
      for (const key of [...smallOrder, encode(p), encode(p + 1n), encode(2n ** 255n - 1n)]) {
        const nothing = ed25519Verify(engine, key)
        for (const r of [...smallOrder, fixed(32)]) {
          zeroS.set(r)
          assert.equal(nothing(message, zeroS), false)
        }
      }
    })

    test('R of small order is refused', () => {
      for (const r of smallOrder) {
        const changed = signature.slice()
        changed.set(r)
        assert.equal(verify(message, changed), false)
      }
    })

    test('32 bytes that are no point verify nothing', () => {
      let noPoints = 0
      for (let start = 0; start < 20; start++) {
        const key = fixed(32, start)
        assert.equal(ed25519Verify(engine, key)(message, signature), false)
        if (!isPoint(key)) noPoints++
      }
      assert.ok(noPoints > 0)
    })

    test('keys of another length are refused by name', () => {
      assert.throws(() => ed25519Verify(engine, fixed(31)), kmsError('INVALID_INPUT', /32 bytes, not 31/))
      assert.throws(() => ed25519Key(engine, fixed(64)), kmsError('INVALID_INPUT', /32 bytes, not 64/))
    })

    test('outputs own their buffers, and inputs are not kept', () => {
      assertOwned(signature)
      assertOwned(ed25519Public(engine, seed))
      const lent = seed.slice()
      const sign = ed25519Sign(engine, lent)
      lent.fill(0)
      assert.deepEqual(sign(message), signature)
      const lentKey = ed25519Public(engine, seed).slice()
      const prepared = ed25519Verify(engine, lentKey)
      lentKey.fill(0)
      assert.equal(prepared(message, signature), true)
    })
  })
}

function isPoint(key: Uint8Array): boolean {
  // x² = (y² − 1) / (d·y² + 1) has a root when Euler's criterion says so.
  const y = decode(key) & (2n ** 255n - 1n)
  const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
  const u = (y * y - 1n) % p
  const v = (d * y * y + 1n) % p
  return power((((u * power(v, p - 2n)) % p) + p) % p, (p - 1n) / 2n) <= 1n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let [square, left] = [base % p, exponent]; left > 0n; left >>= 1n, square = (square * square) % p) {
    if (left & 1n) result = (result * square) % p
  }
  return result
}

test('both engines sign alike: Ed25519 is deterministic', () => {
  assert.deepEqual(ed25519Sign(node, fixed(32))(fixed(100)), ed25519Sign(noble, fixed(32))(fixed(100)))
})
