/** Key derivation: refusals and ownership; the answers are in known-answers and Wycheproof. */
import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { utf8 } from '../../src/crypto/bytes.ts'
import { hkdfSha256, scrypt } from '../../src/crypto/kdf.ts'
import { assertOwned, engines, fixed, kmsError } from './engines.ts'

for (const engine of engines) {
  describe(`key derivation, ${engine.name}`, () => {
    test('HKDF agrees with OpenSSL at every length around its blocks', () => {
      for (const length of [1, 31, 32, 33, 64, 65, 8160]) {
        const input = { key: fixed(32), salt: fixed(length % 70), info: fixed(length % 50), length }
        const expected = new Uint8Array(hkdfSync('sha256', input.key, input.salt, input.info, length))
        const derived = hkdfSha256(engine, input)
        assert.deepEqual(derived, expected)
        assertOwned(derived)
      }
    })

    test('HKDF refuses lengths it cannot give', () => {
      for (const length of [0, -1, 8161, 1.5, Number.NaN]) {
        const derive = () => hkdfSha256(engine, { key: fixed(32), salt: fixed(0), info: fixed(0), length })
        assert.throws(derive, kmsError('INVALID_INPUT', /1 to 8160/))
      }
    })

    test('scrypt refuses parameters that are wrong or would take too much', async () => {
      const fine = { passphrase: utf8('p'), salt: fixed(32), N: 16, r: 1, p: 1, length: 32 }
      assertOwned(await scrypt(engine, fine))
      const wrong = [
        { N: 0 },
        { N: 1 },
        { N: 15 },
        { N: 16.5 },
        { N: 2 ** 40 },
        { r: 0 },
        { r: 2 ** 24 },
        { p: 0 },
        { p: 17 },
      ]
      for (const change of [...wrong, { length: 0 }, { length: 1025 }, { N: Number.NaN }]) {
        await assert.rejects(scrypt(engine, { ...fine, ...change }), kmsError('INVALID_INPUT', /^scrypt: /))
      }
    })
  })
}

test('the keystore default, N = 2^17, fits into memory limits, and both engines agree on it', async () => {
  const input = { passphrase: utf8('correct horse'), salt: fixed(32), N: 2 ** 17, r: 8, p: 1, length: 32 }
  const [first, second] = await Promise.all(engines.map((engine) => scrypt(engine, input)))
  assert.deepEqual(first, second)
})
