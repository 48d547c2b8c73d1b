/** The table of key types: what each takes, gives and refuses. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { type Algorithm, algorithms, isFor } from '../../src/crypto/algorithms.ts'
import { hex, toBase64, utf8 } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import type { SignatureOptions } from '../../src/crypto/options.ts'
import { decodeEd25519Spki } from '../../src/crypto/pkcs8.ts'
import { assertOwned, engines, fixed, kmsError, noble, node } from './engines.ts'

const input = utf8('input')
const empty = encodeContext(undefined)
const all = Object.entries(algorithms) as readonly (readonly [string, Algorithm])[] // Object.entries forgets readonly

/** Rows whose material is made at once: what takes seconds has tests of its own. */
const quick = all.filter(([, algorithm]) => typeof algorithm.generate(node) !== 'function')

function materialOf(algorithm: Algorithm, engine: Engine): Uint8Array {
  const made = algorithm.generate(engine)
  assert.ok(typeof made !== 'function', algorithm.keyType)
  return made
}

/** Refuses now or later, as the key's type has it. */
function assertRefused(work: () => unknown, expected: (error: unknown) => boolean): Promise<void> {
  return assert.rejects(async () => work(), expected)
}

test('the table has the key types, each under its own name', () => {
  const rows = Object.fromEntries(
    all.map(([name, { uses, form, materialLength, counted }]) => [
      name,
      [...uses, form, ...(materialLength === undefined ? [] : [materialLength]), ...(counted ? ['counted'] : [])].join(
        ' ',
      ),
    ]),
  )
  assert.deepEqual(rows, {
    'aes128-gcm96': 'encrypt raw 16 counted',
    'aes256-gcm96': 'encrypt raw 32 counted',
    'chacha20-poly1305': 'encrypt raw 32 counted',
    'xaes256-gcm': 'encrypt raw 32',
    'rsa-2048': 'encrypt sign pkcs8',
    'rsa-3072': 'encrypt sign pkcs8',
    'rsa-4096': 'encrypt sign pkcs8',
    'xchacha20-poly1305': 'encrypt raw 32',
    ed25519: 'sign pkcs8 32',
    'ecdsa-p256': 'sign pkcs8 32',
    'ecdsa-p384': 'sign pkcs8 48',
    'ecdsa-p521': 'sign pkcs8 66',
    'ecdsa-secp256k1': 'sign pkcs8 32',
    'ml-dsa-44': 'sign pkcs8 32',
    'ml-dsa-65': 'sign pkcs8 32',
    'ml-dsa-87': 'sign pkcs8 32',
    hmac: 'mac raw 32',
    'hmac-sha256': 'mac raw 32',
    'hmac-sha384': 'mac raw 48',
    'hmac-sha512': 'mac raw 64',
  })
  for (const [name, { keyType }] of all) assert.equal(keyType, name)
})

test('a scalar out of range is drawn again, and the bits that no scalar has are not drawn', () => {
  for (const keyType of ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'ecdsa-secp256k1'] as const) {
    const { materialLength = 0 } = algorithms[keyType]
    let draws = 0
    const engine = {
      ...node,
      randomFill: (out: Uint8Array) => {
        draws++
        assert.ok(draws < 5, 'what is in range is taken')
        out.fill(draws === 1 ? 255 : draws === 2 ? 0 : 7)
      },
    }
    const expected = new Uint8Array(materialLength).fill(7)
    // 521 bits: of the first byte only the lowest stays.
    if (keyType === 'ecdsa-p521') expected[0] = 1
    assert.deepEqual(algorithms[keyType].generate(engine), expected)
    assert.equal(draws, 3)
  }
})

for (const engine of engines) {
  describe(`key types, ${engine.name}`, () => {
    test('fresh material has its length, its own buffer, and is never the same', () => {
      for (const [, algorithm] of quick) {
        const made = Array.from({ length: 20 }, () => materialOf(algorithm, engine))
        for (const material of made) {
          assert.equal(material.length, algorithm.materialLength)
          assert.equal(algorithm.valid(material), true)
          assertOwned(material)
        }
        assert.equal(new Set(made.map(hex)).size, made.length)
      }
    })

    test('material of another length and impossible versions are refused by name', () => {
      for (const [name, algorithm] of quick) {
        const material = materialOf(algorithm, engine)
        const wrongLength = kmsError(
          'INVALID_INPUT',
          new RegExp(`${name} key material must be ${material.length} bytes`),
        )
        for (const length of [0, material.length - 1, material.length + 1]) {
          assert.equal(algorithm.valid(fixed(length)), false)
          assert.throws(() => algorithm.open(engine, fixed(length), 1), wrongLength)
        }
        for (const version of [0, -1, 1.5, 2 ** 32, Number.NaN]) {
          assert.throws(() => algorithm.open(engine, material, version), kmsError('INVALID_INPUT', /key version/))
        }
        algorithm.open(engine, material, 2 ** 32 - 1).destroy()
      }
    })

    test('a destroyed key does nothing any more, however often it is destroyed', async () => {
      const closed = kmsError('CLOSED', /destroyed/)
      for (const [, algorithm] of quick) {
        const material = materialOf(algorithm, engine)
        if (isFor('encrypt', algorithm)) {
          const key = algorithm.open(engine, material, 1)
          const frame = await key.seal(input, empty)
          key.destroy()
          key.destroy()
          await assertRefused(() => key.seal(input, empty), closed)
          await assertRefused(() => key.open(frame, empty), closed)
        }
        if (isFor('sign', algorithm)) {
          const key = algorithm.open(engine, material, 1)
          const signature = await key.sign(input)
          key.destroy()
          key.destroy()
          await assertRefused(() => key.sign(input), closed)
          await assertRefused(() => key.verify(input, signature), closed)
        }
        if (isFor('mac', algorithm)) {
          const key = algorithm.open(engine, material, 1)
          const mac = key.mac(input)
          key.destroy()
          key.destroy()
          await assertRefused(() => key.mac(input), closed)
          await assertRefused(() => key.verifyMac(input, mac), closed)
        }
      }
    })

    test('no prepared key shows its material when it is inspected', () => {
      for (const [name, algorithm] of quick) {
        const material = materialOf(algorithm, engine)
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
      ['hmac-sha384', { hashAlgorithm: 'sha512' }, /hashAlgorithm must be sha384 or absent/],
      ['ml-dsa-44', { hashAlgorithm: 'sha512' }, /hashAlgorithm is not taken for ml-dsa-44/],
      ['ml-dsa-65', { prehashed: true }, /prehashed must be false or absent for ml-dsa-65/],
      ['ml-dsa-87', { format: 'der' }, /format is not taken for ml-dsa-87/],
      ['hmac-sha512', { hashAlgorithm: 'sha256' }, /hashAlgorithm must be sha512 or absent/],
      ['hmac', { prehashed: true }, /prehashed must be false or absent/],
      ['hmac-sha512', { format: 'ieee-p1363' }, /format is not taken/],
      ['ed25519', { padding: 'pss' }, /padding is not taken for ed25519/],
      ['ecdsa-p384', { padding: 'pkcs1v15' }, /padding is not taken for ecdsa-p384/],
      ['hmac', { padding: 'pss' }, /padding is not taken for hmac/],
      // What a caller without types may pass.
      ['ecdsa-p256', { hashAlgorithm: 'md5' as 'sha256' }, /hashAlgorithm must be sha256, sha384, sha512 or absent/],
      ['ecdsa-p256', { format: 'raw' as 'der' }, /format must be der, ieee-p1363 or absent/],
      ['ecdsa-p256', { prehashed: 'yes' as unknown as boolean }, /prehashed must be true, false or absent/],
    ]
    for (const [keyType, options, says] of refused) {
      test(`${keyType} refuses ${JSON.stringify(options)}, for making and checking`, async () => {
        const algorithm: Algorithm = algorithms[keyType]
        const invalid = kmsError('INVALID_INPUT', says)
        if (isFor('sign', algorithm)) {
          const key = algorithm.open(engine, materialOf(algorithm, engine), 1)
          const signature = await key.sign(input)
          await assertRefused(() => key.sign(input, options), invalid)
          await assertRefused(() => key.verify(input, signature, options), invalid)
        } else if (isFor('mac', algorithm)) {
          const key = algorithm.open(engine, materialOf(algorithm, engine), 1)
          await assertRefused(() => key.mac(input, options), invalid)
          await assertRefused(() => key.verifyMac(input, key.mac(input), options), invalid)
        } else assert.fail('not a key type with options')
      })
    }

    const macHashes: Readonly<Record<string, 'sha384' | 'sha512'>> = {
      'hmac-sha384': 'sha384',
      'hmac-sha512': 'sha512',
    }
    test('defaults said aloud change nothing', async () => {
      for (const [keyType, algorithm] of all) {
        if (isFor('mac', algorithm)) {
          const key = algorithm.open(engine, fixed(algorithm.materialLength ?? 0), 1)
          const own = macHashes[keyType] ?? 'sha256'
          assert.deepEqual(key.mac(input, { hashAlgorithm: own, prehashed: false, format: undefined }), key.mac(input))
        }
        if (keyType === 'ed25519' && isFor('sign', algorithm)) {
          const key = algorithm.open(engine, fixed(32), 1)
          assert.deepEqual(await key.sign(input, { prehashed: false, hashAlgorithm: undefined }), await key.sign(input))
        }
      }
    })
  })

  describe(`MACs and signing keys, ${engine.name}`, () => {
    test('a MAC verifies whole and unchanged only, and owns its buffer', () => {
      for (const [, algorithm] of all) {
        if (!isFor('mac', algorithm)) continue
        const key = algorithm.open(engine, materialOf(algorithm, engine), 1)
        const mac = key.mac(input)
        assertOwned(mac)
        assert.equal(mac.length, algorithm.materialLength)
        assert.equal(key.verifyMac(input, mac), true)
        assert.equal(key.verifyMac(utf8('other'), mac), false)
        for (let length = 0; length < mac.length; length++)
          assert.equal(key.verifyMac(input, mac.slice(0, length)), false)
        for (let bit = 0; bit < mac.length * 8; bit++) {
          const changed = mac.slice()
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          assert.equal(key.verifyMac(input, changed), false)
        }
      }
    })

    test('public keys and signatures are the caller’s own', async () => {
      for (const [keyType, algorithm] of quick) {
        if (!isFor('sign', algorithm)) continue
        const key = algorithm.open(engine, materialOf(algorithm, engine), 1)
        const before = key.publicKey.text
        const { spki } = key.publicKey
        const signature = await key.sign(input)
        assertOwned(spki)
        assertOwned(signature)
        if (keyType === 'ed25519') assert.equal(before, toBase64(decodeEd25519Spki(spki) ?? fixed(0)))
        else assert.match(before, /^-----BEGIN PUBLIC KEY-----\n/)
        spki.fill(0)
        assert.equal(key.publicKey.text, before)
        assert.equal(await key.verify(input, signature), true)
        assert.equal(await key.verify(input, await key.sign(input)), true)
      }
    })
  })

  describe(`material outside, ${engine.name}`, () => {
    test('what is encoded decodes to the same material, and both are copies', async () => {
      for (const [name, algorithm] of quick) {
        const material = materialOf(algorithm, engine)
        const kept = material.slice()
        const encoded = algorithm.encode(engine, material)
        assertOwned(encoded)
        assert.equal(encoded.length === material.length, algorithm.form === 'raw', name)
        const decoded = await algorithm.decode(engine, encoded)
        assert.deepEqual(decoded, kept, name)
        assertOwned(decoded ?? Buffer.from('a pooled buffer, to fail'))
        encoded.fill(0)
        assert.deepEqual(decoded, kept)
        assert.deepEqual(material, kept)
      }
    })

    test('what is no such key is undefined: cut short, longer, of another type', async () => {
      for (const [name, algorithm] of quick) {
        const encoded = algorithm.encode(engine, materialOf(algorithm, engine))
        for (const wrong of [encoded.slice(1), encoded.slice(0, -1), Uint8Array.of(...encoded, 0), fixed(0)])
          assert.equal(await algorithm.decode(engine, wrong), undefined, name)
        for (const [otherName, other] of quick) {
          if (otherName === name || other.form === 'raw' || algorithm.form === 'raw') continue
          assert.equal(await other.decode(engine, encoded), undefined, `${name} as ${otherName}`)
        }
      }
    })
  })
}

test('both engines make the same public keys and encodings of the same material', () => {
  for (const [, algorithm] of quick) {
    if (!isFor('sign', algorithm)) continue
    const material = materialOf(algorithm, node)
    const [a, b] = [node, noble].map((engine) => algorithm.open(engine, material, 1))
    assert.ok(a && b)
    assert.deepEqual(a.publicKey, b.publicKey)
    assert.deepEqual(algorithm.encode(node, material), algorithm.encode(noble, material))
  }
})
