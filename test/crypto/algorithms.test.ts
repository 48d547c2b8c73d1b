/** The table of key types: what each takes, gives and refuses. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { type Algorithm, algorithms } from '../../src/crypto/algorithms.ts'
import { hex, toBase64, utf8 } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import type { SignatureOptions } from '../../src/crypto/options.ts'
import { decodeEd25519Pkcs8, decodeEd25519Spki, decodeP256Pkcs8, decodeP256Spki } from '../../src/crypto/pkcs8.ts'
import { assertOwned, engines, fixed, kmsError, noble, node } from './engines.ts'

const input = utf8('input')
const empty = encodeContext(undefined)
const all = Object.entries(algorithms) as readonly (readonly [string, Algorithm])[] // Object.entries forgets readonly

test('the table has the nine key types, each under its own name', () => {
  const uses = Object.fromEntries(
    all.map(([name, { use, exportForm, materialLength }]) => [name, `${use} ${exportForm} ${materialLength}`]),
  )
  assert.deepEqual(uses, {
    'aes128-gcm96': 'encrypt raw 16',
    'aes256-gcm96': 'encrypt raw 32',
    'chacha20-poly1305': 'encrypt raw 32',
    'xaes256-gcm': 'encrypt raw 32',
    ed25519: 'sign pkcs8 32',
    'ecdsa-p256': 'sign pkcs8 32',
    hmac: 'mac raw 32',
    'hmac-sha256': 'mac raw 32',
    'hmac-sha512': 'mac raw 64',
  })
  for (const [name, { keyType }] of all) assert.equal(keyType, name)
})

test('a P-256 key out of range is drawn again', () => {
  let draws = 0
  const engine = {
    ...node,
    randomFill: (out: Uint8Array) => {
      draws++
      out.fill(draws === 1 ? 255 : draws === 2 ? 0 : 7)
    },
  }
  assert.deepEqual(algorithms['ecdsa-p256'].generate(engine), new Uint8Array(32).fill(7))
  assert.equal(draws, 3)
})

for (const engine of engines) {
  describe(`key types, ${engine.name}`, () => {
    test('fresh material has its length, its own buffer, and is never the same', () => {
      for (const [, algorithm] of all) {
        const made = Array.from({ length: 20 }, () => algorithm.generate(engine))
        for (const material of made) {
          assert.equal(material.length, algorithm.materialLength)
          assertOwned(material)
        }
        assert.equal(new Set(made.map(hex)).size, made.length)
      }
    })

    test('material of another length and impossible versions are refused by name', () => {
      for (const [name, algorithm] of all) {
        const material = algorithm.generate(engine)
        const wrongLength = kmsError(
          'INVALID_INPUT',
          new RegExp(`${name} key material must be ${material.length} bytes`),
        )
        for (const length of [0, material.length - 1, material.length + 1]) {
          assert.throws(() => algorithm.open(engine, fixed(length), 1), wrongLength)
        }
        for (const version of [0, -1, 1.5, 2 ** 32, Number.NaN]) {
          assert.throws(() => algorithm.open(engine, material, version), kmsError('INVALID_INPUT', /key version/))
        }
        algorithm.open(engine, material, 2 ** 32 - 1).destroy()
      }
    })

    test('a destroyed key does nothing any more, however often it is destroyed', () => {
      const closed = kmsError('CLOSED', /destroyed/)
      for (const [, algorithm] of all) {
        const material = algorithm.generate(engine)
        if (algorithm.use === 'encrypt') {
          const key = algorithm.open(engine, material, 1)
          const frame = key.seal(input, empty)
          key.destroy()
          key.destroy()
          assert.throws(() => key.seal(input, empty), closed)
          assert.throws(() => key.open(frame, empty), closed)
        } else if (algorithm.use === 'sign') {
          const key = algorithm.open(engine, material, 1)
          const signature = key.sign(input)
          key.destroy()
          key.destroy()
          assert.throws(() => key.sign(input), closed)
          assert.throws(() => key.verify(input, signature), closed)
          assert.throws(() => key.exportMaterial(), closed)
        } else {
          const key = algorithm.open(engine, material, 1)
          const mac = key.mac(input)
          key.destroy()
          key.destroy()
          assert.throws(() => key.mac(input), closed)
          assert.throws(() => key.verify(input, mac), closed)
        }
      }
    })

    test('no prepared key shows its material when it is inspected', () => {
      for (const [name, algorithm] of all) {
        const material = algorithm.generate(engine)
        const shown = inspect(algorithm.open(engine, material, 1), { depth: 20, showHidden: true, getters: true })
        for (const spelling of [hex(material), toBase64(material), [...material.subarray(0, 4)].join(', ')]) {
          assert.ok(!shown.includes(spelling), name)
        }
      }
    })
  })

  describe(`options, ${engine.name}`, () => {
    const refused: readonly [keyof typeof algorithms, SignatureOptions, RegExp][] = [
      ['ed25519', { hashAlgorithm: 'sha512' }, /hashAlgorithm is not taken for ed25519/],
      ['ed25519', { prehashed: true }, /prehashed must be false or absent for ed25519/],
      ['ed25519', { format: 'der' }, /format is not taken for ed25519/],
      ['hmac', { hashAlgorithm: 'sha512' }, /hashAlgorithm must be sha256 or absent for hmac keys/],
      ['hmac-sha256', { hashAlgorithm: 'sha384' }, /hashAlgorithm must be sha256 or absent/],
      ['hmac-sha512', { hashAlgorithm: 'sha256' }, /hashAlgorithm must be sha512 or absent/],
      ['hmac', { prehashed: true }, /prehashed must be false or absent/],
      ['hmac-sha512', { format: 'ieee-p1363' }, /format is not taken/],
      // What a caller without types may pass.
      ['ecdsa-p256', { hashAlgorithm: 'md5' as 'sha256' }, /hashAlgorithm must be sha256, sha384, sha512 or absent/],
      ['ecdsa-p256', { format: 'raw' as 'der' }, /format must be der, ieee-p1363 or absent/],
      ['ecdsa-p256', { prehashed: 'yes' as unknown as boolean }, /prehashed must be true, false or absent/],
    ]
    for (const [keyType, options, says] of refused) {
      test(`${keyType} refuses ${JSON.stringify(options)}, for making and checking`, () => {
        const algorithm: Algorithm = algorithms[keyType]
        const invalid = kmsError('INVALID_INPUT', says)
        if (algorithm.use === 'sign') {
          const key = algorithm.open(engine, fixed(32, 1), 1)
          assert.throws(() => key.sign(input, options), invalid)
          assert.throws(() => key.verify(input, key.sign(input), options), invalid)
        } else if (algorithm.use === 'mac') {
          const key = algorithm.open(engine, fixed(algorithm.materialLength), 1)
          assert.throws(() => key.mac(input, options), invalid)
          assert.throws(() => key.verify(input, key.mac(input), options), invalid)
        } else assert.fail('not a key type with options')
      })
    }

    test('defaults said aloud change nothing', () => {
      for (const [keyType, algorithm] of all) {
        if (algorithm.use === 'mac') {
          const key = algorithm.open(engine, fixed(algorithm.materialLength), 1)
          const own = keyType === 'hmac-sha512' ? 'sha512' : 'sha256'
          assert.deepEqual(key.mac(input, { hashAlgorithm: own, prehashed: false, format: undefined }), key.mac(input))
        }
        if (keyType === 'ed25519' && algorithm.use === 'sign') {
          const key = algorithm.open(engine, fixed(32), 1)
          assert.deepEqual(key.sign(input, { prehashed: false, hashAlgorithm: undefined }), key.sign(input))
        }
      }
    })
  })

  describe(`MACs and signing keys, ${engine.name}`, () => {
    test('a MAC verifies whole and unchanged only, and owns its buffer', () => {
      for (const [, algorithm] of all) {
        if (algorithm.use !== 'mac') continue
        const key = algorithm.open(engine, algorithm.generate(engine), 1)
        const mac = key.mac(input)
        assertOwned(mac)
        assert.equal(mac.length, algorithm.materialLength)
        assert.equal(key.verify(input, mac), true)
        assert.equal(key.verify(utf8('other'), mac), false)
        for (let length = 0; length < mac.length; length++) assert.equal(key.verify(input, mac.slice(0, length)), false)
        for (let bit = 0; bit < mac.length * 8; bit++) {
          const changed = mac.slice()
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          assert.equal(key.verify(input, changed), false)
        }
      }
    })

    test('public keys and exported material are what was put in, and are copies', () => {
      const seed = fixed(32, 3)
      const ed = algorithms.ed25519
      const ec = algorithms['ecdsa-p256']
      assert.ok(ed.use === 'sign' && ec.use === 'sign')
      const edKey = ed.open(engine, seed, 1)
      assert.deepEqual(decodeEd25519Pkcs8(edKey.exportMaterial()), seed)
      assert.equal(edKey.publicKey.text, toBase64(decodeEd25519Spki(edKey.publicKey.spki) ?? fixed(0)))
      const ecKey = ec.open(engine, seed, 1)
      const parts = decodeP256Pkcs8(ecKey.exportMaterial())
      assert.deepEqual(parts?.scalar, seed)
      assert.deepEqual(parts?.publicKey, decodeP256Spki(ecKey.publicKey.spki))
      assert.match(ecKey.publicKey.text, /^-----BEGIN PUBLIC KEY-----\n/)
      for (const key of [edKey, ecKey]) {
        const before = key.publicKey.text
        const signature = key.sign(input)
        assertOwned(key.publicKey.spki)
        assertOwned(key.exportMaterial())
        assertOwned(signature)
        key.publicKey.spki.fill(0)
        key.exportMaterial().fill(0)
        assert.equal(key.publicKey.text, before)
        assert.equal(key.verify(input, signature), true)
        assert.equal(key.verify(input, key.sign(input)), true)
      }
    })
  })
}

test('both engines make the same public keys and exports of the same material', () => {
  for (const [, algorithm] of all) {
    if (algorithm.use !== 'sign') continue
    const [a, b] = [node, noble].map((engine) => algorithm.open(engine, fixed(32, 5), 1))
    assert.ok(a && b)
    assert.deepEqual(a.publicKey, b.publicKey)
    assert.deepEqual(a.exportMaterial(), b.exportMaterial())
  }
})
