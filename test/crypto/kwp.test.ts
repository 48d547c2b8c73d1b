/** AES key wrap with padding: RFC 5649's own answers, Wycheproof, and OpenSSL's command line. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concat } from '../../src/crypto/bytes.ts'
import { unwrapKwp, wrapKwp } from '../../src/crypto/kwp.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertOwned, engines, fixed, kmsError, unhex } from './engines.ts'

// RFC 5649 §6, a 192-bit key: through the engine, as ours are of 256 bits.
const rfcKey = unhex('5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8')
const rfcAnswers = [
  {
    material: unhex('c37b7e6492584340bed12207808941155068f738'),
    wrapped: unhex('138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a'),
  },
  { material: unhex('466f7250617369'), wrapped: unhex('afbeb0f07dfbf5419200f2ccb50bb24f') },
]

interface KwpFile {
  readonly numberOfTests: number
  readonly testGroups: readonly {
    readonly keySize: number
    readonly tests: readonly {
      readonly tcId: number
      readonly comment: string
      readonly key: string
      readonly msg: string
      readonly ct: string
      readonly result: 'valid' | 'invalid' | 'acceptable'
    }[]
  }[]
}

for (const engine of engines) {
  describe(`AES-KWP, ${engine.name}`, () => {
    test('RFC 5649 §6', () => {
      for (const { material, wrapped } of rfcAnswers) {
        assert.deepEqual(engine.kwp.wrap(rfcKey, material), wrapped)
        assert.deepEqual(engine.kwp.unwrap(rfcKey, wrapped), material)
      }
    })

    test('what `openssl enc -id-aes256-wrap-pad` writes', () => {
      const wrapped = unhex('9acfc91fad30c2a7483c6518bff81314094d763ec616571b')
      assert.deepEqual(wrapKwp(engine, fixed(32, 1), fixed(9, 1)), wrapped)
      assert.deepEqual(unwrapKwp(engine, fixed(32, 1), wrapped), fixed(9, 1))
    })

    test('Wycheproof wrap/aes_kwp: keys of 256 bits through the gate, the others through the engine', {
      skip: noShared,
    }, () => {
      const file = sharedJson<KwpFile>('vectors/wycheproof/wrap/aes_kwp_test.json')
      const judged = { valid: 0, invalid: 0, acceptable: 0 }
      for (const { keySize, tests } of file.testGroups) {
        for (const { tcId, comment, result, ...texts } of tests) {
          const [key, material, wrapped] = [unhex(texts.key), unhex(texts.msg), unhex(texts.ct)]
          const what = `tcId ${tcId} ${comment}`
          judged[result]++
          if (keySize !== 256) {
            assert.throws(() => unwrapKwp(engine, key, wrapped), kmsError('INVALID_INPUT', /must be 32 bytes, not/))
            assert.throws(() => wrapKwp(engine, key, material), kmsError('INVALID_INPUT', /must be 32 bytes, not/))
          }
          const unwrap = keySize === 256 ? unwrapKwp.bind(undefined, engine) : engine.kwp.unwrap
          const inBlocks = wrapped.length >= 16 && wrapped.length % 8 === 0
          if (keySize === 256 || inBlocks)
            assert.deepEqual(unwrap(key, wrapped), result === 'valid' ? material : undefined, what)
          if (result === 'valid') assert.deepEqual(engine.kwp.wrap(key, material), wrapped, what)
        }
      }
      assert.deepEqual(judged, { valid: 38, invalid: 89, acceptable: 0 })
    })

    test('wrapping undoes itself at every length; a changed bit, another key or a cut is undefined', () => {
      const key = fixed(32)
      for (let length = 1; length <= 40; length++) {
        const wrapped = wrapKwp(engine, key, fixed(length))
        assertOwned(wrapped)
        assert.equal(wrapped.length, 8 + 8 * Math.ceil(length / 8))
        const material = unwrapKwp(engine, key, wrapped)
        assert.deepEqual(material, fixed(length))
        assertOwned(material ?? assert.fail())
        for (let bit = 0; bit < 8 * wrapped.length; bit += 7) {
          const changed = wrapped.slice()
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          assert.equal(unwrapKwp(engine, key, changed), undefined)
        }
        for (let cut = 0; cut < wrapped.length; cut++)
          assert.equal(unwrapKwp(engine, key, wrapped.slice(0, cut)), undefined)
        assert.equal(unwrapKwp(engine, key, concat([wrapped, fixed(8)])), undefined)
        assert.equal(unwrapKwp(engine, fixed(32, 1), wrapped), undefined)
      }
    })

    test('neither the key nor the input is changed, and nothing cannot be wrapped', () => {
      const [key, material] = [fixed(32), fixed(100)]
      const wrapped = wrapKwp(engine, key, material)
      const kept = wrapped.slice()
      unwrapKwp(engine, key, wrapped)
      assert.deepEqual([key, material, wrapped], [fixed(32), fixed(100), kept])
      assert.throws(() => wrapKwp(engine, key, fixed(0)), kmsError('INVALID_INPUT', /no key material/))
    })
  })
}

test('both engines wrap alike, up to the size of an RSA key and beyond', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 1, maxLength: 5000 }),
      (key, material) => {
        const [first, second] = engines.map((engine) => wrapKwp(engine, key, material))
        assert.ok(first !== undefined && second !== undefined)
        assert.deepEqual(first, second)
        for (const engine of engines) assert.deepEqual(unwrapKwp(engine, key, first), material)
      },
    ),
    { numRuns: 50 },
  )
})
