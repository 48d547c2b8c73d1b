/** noble ↔ node on random operations: what one makes the other accepts, and both refuse the same. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AeadName, aeads } from '../../src/crypto/aead.ts'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { type CurveName, curves } from '../../src/crypto/curves.ts'
import { ed25519Sign, ed25519Verify } from '../../src/crypto/ed25519.ts'
import { randomBytes } from '../../src/crypto/random.ts'
import { ecdsaSigningKey } from '../../src/crypto/signing.ts'
import { shareOf } from '../share.ts'
import { engines, noble, node, sealed } from './engines.ts'

const symmetricRuns = shareOf(10_000)
const ed25519Runs = shareOf(1000)

/** Mostly short, now and then over block and stride limits. */
function randomLength(run: number): number {
  if (run % 500 === 499) return 4000 + (run % 200)
  return Number(randomBytes(1)[0]) >> (run % 3)
}

function flipped(bytes: Uint8Array): Uint8Array {
  const changed = bytes.slice()
  const bit = new DataView(randomBytes(4).buffer).getUint32(0) % (8 * bytes.length)
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return changed
}

describe('differential', () => {
  for (const name of Object.keys(aeads) as AeadName[]) {
    test(`${name}: ${symmetricRuns} random messages`, () => {
      const { keyLength, nonceLength } = aeads[name]
      for (let run = 0; run < symmetricRuns; run++) {
        const key = randomBytes(keyLength)
        const nonce = randomBytes(nonceLength)
        const aad = randomBytes(randomLength(run))
        const plaintext = randomBytes(randomLength(run + 1))
        const first = sealed(node, name, { key, nonce, aad, plaintext })
        // Turn about, so that each run costs noble one operation.
        if (run % 2 === 0) assert.deepEqual(sealed(noble, name, { key, nonce, aad, plaintext }), first)
        else assert.deepEqual(noble.aead(name, key).open(nonce, aad, first, 0), plaintext)
        if (run % 20 !== 0) continue
        const changed = flipped(first)
        for (const engine of engines) assert.equal(engine.aead(name, key).open(nonce, aad, changed, 0), undefined)
      }
    })
  }

  for (const algorithm of ['sha256', 'sha384', 'sha512'] as const) {
    test(`${algorithm} and its HMAC: ${symmetricRuns} random messages`, () => {
      for (let run = 0; run < symmetricRuns; run++) {
        const message = randomBytes(randomLength(run))
        const digest = node.hash(algorithm, message)
        assert.deepEqual(noble.hash(algorithm, message), digest)
        for (const engine of run % 20 === 0 ? engines : []) {
          // Into the middle of what is hashed.
          const out = new Uint8Array(message.length + 64)
          out.set(message)
          engine.hashInto(algorithm, out.subarray(0, message.length), out, message.length >> 1)
          const at = message.length >> 1
          assert.deepEqual(out.subarray(at, at + digest.length), digest)
          assert.deepEqual(out.subarray(0, at), message.subarray(0, at))
        }
        const key = randomBytes(randomLength(run + 1))
        assert.deepEqual(noble.hmac(algorithm, key).compute(message), node.hmac(algorithm, key).compute(message))
      }
    })
  }

  test('HMAC where one way of computing it ends and another begins, with keys of every length', () => {
    for (const algorithm of ['sha256', 'sha384', 'sha512'] as const) {
      for (const keyLength of [0, 1, 32, 63, 64, 65, 127, 128, 129, 1000]) {
        const key = randomBytes(keyLength)
        const [one, other] = [node.hmac(algorithm, key), noble.hmac(algorithm, key)]
        for (const length of [0, 8191, 8192, 8193, 20_000, 1]) {
          const message = randomBytes(length)
          assert.deepEqual(one.compute(message), other.compute(message), `${algorithm} ${keyLength} ${length}`)
        }
      }
    }
  })

  test(`ed25519: ${ed25519Runs} random keys and messages`, () => {
    for (let run = 0; run < ed25519Runs; run++) {
      const seed = randomBytes(32)
      const message = randomBytes(randomLength(run))
      const signer = node.ed25519(seed)
      const signature = signer.sign(message)
      assert.deepEqual(ed25519Sign(noble, seed)(message), signature)
      const verifiers = engines.map((engine) => ed25519Verify(engine, signer.publicKey))
      for (const verify of verifiers) {
        assert.equal(verify(message, signature), true)
        assert.equal(verify(message, flipped(signature)), false)
      }
      const changedKey = flipped(signer.publicKey)
      for (const engine of engines) assert.equal(ed25519Verify(engine, changedKey)(message, signature), false)
    }
  })

  // Two signatures and six verifications each.
  const curveRuns: Readonly<Record<CurveName, number>> = { p256: 250, p384: 130, p521: 130, secp256k1: 250 }
  for (const curve of Object.values(curves)) {
    const runs = shareOf(curveRuns[curve.name])
    test(`ECDSA on ${curve.title}: ${runs} random keys and messages`, () => {
      const type = { keyType: `ecdsa-${curve.name}`, curve } as const
      for (let run = 0; run < runs; run++) {
        const scalar = algorithms[type.keyType].generate(node)
        assert.ok(typeof scalar !== 'function')
        const message = randomBytes(randomLength(run))
        const [one, other] = engines.map((engine) => ecdsaSigningKey(engine, type, scalar))
        assert.ok(one && other)
        assert.deepEqual(one.publicKey, other.publicKey)
        const hashAlgorithm = (['sha256', 'sha384', 'sha512'] as const)[run % 3] ?? 'sha256'
        for (const [signer, verifier] of [
          [one, other],
          [other, one],
        ] as const) {
          const signature = signer.sign(message, { hashAlgorithm })
          assert.equal(verifier.verify(message, signature, { hashAlgorithm }), true)
          const changed = flipped(signature)
          assert.equal(one.verify(message, changed, { hashAlgorithm }), false)
          assert.equal(other.verify(message, changed, { hashAlgorithm }), false)
        }
      }
    })
  }
})
