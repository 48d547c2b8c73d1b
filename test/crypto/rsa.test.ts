/** RSA keys: what OpenSSL made is what we make and read; frames, signatures, keys that come in, keys that are generated. */
import assert from 'node:assert/strict'
import {
  checkPrimeSync,
  createPublicKey,
  generatePrimeSync,
  constants as hostConstants,
  sign as hostSign,
  verify as hostVerify,
} from 'node:crypto'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { concat, fromBase64, hex, lp, toBase64, utf8, wipe } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import { fingerprint } from '../../src/crypto/fingerprint.ts'
import { decodeCiphertext, encodeCiphertext, frameKey, versionOf } from '../../src/crypto/frame.ts'
import type { SignatureOptions } from '../../src/crypto/options.ts'
import { decodeRsaPkcs8, encodeRsaPkcs8, type RsaPrivateNumbers } from '../../src/crypto/pkcs8.ts'
import { admitRsa, generateRsa, type RsaKey, rsaKey, rsaVerify } from '../../src/crypto/rsa.ts'
import { belongTogether, type RsaKeyType, rsaBits } from '../../src/crypto/rsa-parts.ts'
import { assertOwned, engines, fixed, kmsError, noble, node, unhex } from './engines.ts'
import { testKey } from './rsa-keys.ts'

const keyTypes = Object.keys(rsaBits) as readonly RsaKeyType[]
const hashes = ['sha256', 'sha384', 'sha512'] as const
const message = utf8('keytrail')
const context = encodeContext({ order: '17' })
const none = encodeContext(undefined)

function bytes(base64: string): Uint8Array {
  return fromBase64(base64) ?? assert.fail('not base64')
}

function open(engine: Engine, keyType: RsaKeyType = 'rsa-2048', version = 7): RsaKey {
  return rsaKey(engine, { keyType, version, pkcs8: testKey(keyType) })
}

/** Refuses now or later, as the engine has it. */
function assertRefused(work: () => unknown, expected: (error: unknown) => boolean): Promise<void> {
  return assert.rejects(async () => work(), expected)
}

// By OpenSSL 3.0.19 from the keys in rsa-keys.ts: `openssl dgst -sha256 -sign` of "keytrail", told by SHA-256.
const pkcs1v15Answers: { readonly [T in RsaKeyType]: Readonly<Record<(typeof hashes)[number] | 'spki', string>> } = {
  'rsa-2048': {
    spki: 'dcef9f1e8da79a89f72e831713930baff655d0f0a55fdc382d507dbb25325095',
    sha256: '41ca504e565ef91bb2a127c262112a93f28bae60a3bc279a67580c54bd4798d7',
    sha384: '26e7d906b9bbb13d0ae5e16e0920d22b46d4ed7110378f65a5786f0d20c57be5',
    sha512: '819457efd62f084e12d1b0b62574f16d26c5e42001489c5e324c9b2e32f06093',
  },
  'rsa-3072': {
    spki: '7cc95ffac944c8c06e1caf9a6aac1f46fddbd12aea4da38e636988b2d53b9b44',
    sha256: '3f69a757a0bf33fea16f81f77430d797f3132df4623b040106be8fe9315a8130',
    sha384: '2680e1203c89d4c2d5f3035aeb0b34f8c721ff8262ae78a7bca79cb3a09cc50f',
    sha512: '06aedf3ffa6f8a37a365fe9b523a942b3080aeac298a6a06556eecea95565371',
  },
  'rsa-4096': {
    spki: '5a35d12b43148680209cc1997c926ef2fa24563505dc87d7b7dd775cdba3b7c7',
    sha256: '6f476d4d2af0b05d2ceaa2d3ff0d6d66145a27d68215d2992def20d2f53223c5',
    sha384: '14801f07415980d61dc7e4b26c6dd11545b3a5554f63a2f4e605c189cd724bb6',
    sha512: '8584c1e73b32eecfdf4c74c2dc24191e82cf4efba7a897f8ac4ac163e9f0ec10',
  },
}
// `-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48`, rsa-2048.
const pssSignature = bytes(
  'kCnhDnVB0ZMe8zqUNjYU5jFgIg5VIzC4RuSPIhxQxKJZZNS9wfXN8ZuOLswtHRsOcQkKP2dwv4ZUfB3r9WS+mf4Esoz6Fr2oyvEJkq+C' +
    'M0gB6ZTBYLw48p2oMBfsFUyXyNCrLjANXnVMZzAuol1mnayjPyy5PDP77uPyuZs4Kh5u76b+lYcKWzps2Rte2gmr1+vaFD3Woy8ZcKfk' +
    'v43soH5WzWtPMdfodXt55GRuWTfVWmg6U2W9zPMrWcRXL5Sg1MkvUBoUVA4l2OdwMaOROMj8eXCjY0YYflB5Hq/A1WOgiLrmHgBvmZ2e' +
    'f56uWruTtnuawYsdgZmZnY/jci9eaQ==',
)
// `openssl pkeyutl -encrypt` with `rsa_oaep_label`, after a header and a label computed by a script of its own: version 7.
const frame = bytes(
  'AgAAAAdENk96eZgJg2tvYxJLf0LF9jit3sWrj9qcr172miyAY5T/rVUdYsnz48+VwA7cQM9qRe3SyRZrSzVfDKFtZcaP2ykrSrtRD8sZ' +
    '3pP3xCYzwEMKiJH3pZaoD28yGN5GEZbUDe4P1tCsVl6oLosyVTwJwOIv+mqkHO/XuNk9FKKfDjVcH+eFeQ+TlOHT3dcrhmsDwxMjBWZO' +
    'weQrL8DrHdeLNKy2XoRNhQtvVmNy/DDYtuAgfZBq+P0uafai/QI+WCSkdYCSGBFxhdDkAAeXhyBQHFFvmw2x4wTHQvmjmhqKZ7LhfHS1' +
    '0ytoS4Zu4UMyW3QqiONomoYmsQ6Z3Jubsqy4fjc9KvYEUD5NNpLY1YInUYryf3/LQ3/xvOOOze6/IwU=',
)

describe('what OpenSSL made', () => {
  for (const engine of engines) {
    test(`public keys, and the deterministic signatures of all three sizes, ${engine.name}`, async () => {
      for (const keyType of keyTypes) {
        const { spki, ...signatures } = pkcs1v15Answers[keyType]
        const key = open(engine, keyType)
        assert.equal(fingerprint(engine, key.publicKey.spki), `sha256:${spki}`)
        const pem = createPublicKey({ key: Buffer.from(key.publicKey.spki), format: 'der', type: 'spki' })
        assert.equal(key.publicKey.text, pem.export({ format: 'pem', type: 'spki' }))
        for (const hashAlgorithm of hashes) {
          const signature = await key.sign(message, { hashAlgorithm, padding: 'pkcs1v15' })
          assertOwned(signature)
          assert.equal(hex(engine.hash('sha256', signature)), signatures[hashAlgorithm])
        }
      }
    })

    test(`a PSS signature verifies, ${engine.name}`, async () => {
      assert.equal(await open(engine).verify(message, pssSignature, { hashAlgorithm: 'sha384' }), true)
    })

    test(`an OAEP frame opens under its version and its context, ${engine.name}`, async () => {
      const plaintext = await open(engine).open(frame, context)
      assert.deepEqual(plaintext, message)
      assert.equal(await open(engine, 'rsa-2048', 8).open(frame, context), 'unknown_version')
    })
  }
})

for (const engine of engines) {
  describe(`RSA frames, ${engine.name}`, () => {
    test('every length up to the modulus less 66 bytes opens again on both engines; one more is refused by name', async () => {
      for (const keyType of keyTypes) {
        const key = open(engine, keyType)
        const most = rsaBits[keyType] / 8 - 66
        for (const length of [0, 1, 32, most - 1, most]) {
          const sealed = await key.seal(fixed(length), context)
          assertOwned(sealed)
          assert.equal(sealed.length, 37 + rsaBits[keyType] / 8)
          assert.equal(versionOf(sealed), 7)
          assert.deepEqual(decodeCiphertext(encodeCiphertext(sealed)), sealed)
          for (const other of engines) {
            const opened = await open(other, keyType).open(sealed, context)
            assert.deepEqual(opened, fixed(length))
            assertOwned(opened as Uint8Array)
          }
        }
        await assertRefused(
          () => key.seal(fixed(most + 1), context),
          kmsError('INVALID_INPUT', new RegExp(`${keyType} must be at most ${most} bytes, not ${most + 1}`)),
        )
      }
    })

    test('two frames of one plaintext differ', async () => {
      const key = open(engine)
      assert.notDeepEqual(await key.seal(message, none), await key.seal(message, none))
    })

    test('each way to fail has its name, and none throws', async () => {
      const key = open(engine)
      const changedAt = (at: number, bit = 1) => {
        const changed = frame.slice()
        changed[at] = (changed[at] ?? 0) ^ bit
        return changed
      }
      assert.equal(await key.open(changedAt(0, 2 ^ 1), context), 'malformed')
      assert.equal(await key.open(changedAt(0, 2 ^ 3), context), 'malformed')
      assert.equal(await key.open(frame.slice(0, -1), context), 'malformed')
      assert.equal(await key.open(concat([frame, fixed(1)]), context), 'malformed')
      assert.equal(await key.open(fixed(0), context), 'malformed')
      assert.equal(await key.open(concat([frame.subarray(0, 37), fixed(384)]), context), 'malformed')
      for (let at = 1; at < 5; at++) assert.equal(await key.open(changedAt(at), context), 'unknown_version')
      for (let at = 5; at < 37; at++) assert.equal(await key.open(changedAt(at), context), 'commitment_mismatch')
      for (let at = 37; at < frame.length; at++)
        assert.equal(await key.open(changedAt(at), context), 'authentication_failed')
      assert.equal(await key.open(frame, none), 'authentication_failed')
      assert.equal(await key.open(frame, encodeContext({ order: '18' })), 'authentication_failed')
      // Zero, and not less than the modulus.
      for (const fill of [0, 255]) {
        const block = new Uint8Array(256).fill(fill)
        assert.equal(await key.open(concat([frame.subarray(0, 37), block]), context), 'authentication_failed')
      }
    })

    test('the label binds header, type and context: a block under any other does not open', async () => {
      const key = open(engine)
      const header = frame.subarray(0, 37)
      const sealUnder = async (...parts: readonly Uint8Array[]) => {
        const label = engine.hash('sha256', concat(parts))
        const block = await engine.rsa.publicKey(key.publicKey.spki).encrypt(message, label)
        return key.open(concat([header, block]), context)
      }
      const [name, type] = [lp(utf8('keytrail/aad/1')), lp(utf8('rsa-2048'))]
      assert.deepEqual(await sealUnder(name, lp(header), type, context), message)
      const other = header.slice()
      other[0] = 1
      for (const label of [
        [name, lp(other), type, context],
        [name, lp(header), lp(utf8('rsa-3072')), context],
        [name, lp(header), type, none],
        [lp(utf8('keytrail/aad/2')), lp(header), type, context],
        [],
      ])
        assert.equal(await sealUnder(...label), 'authentication_failed')
    })

    test('a frame of one format is none of the other', async () => {
      const key = fixed(32)
      const aes = frameKey(engine, { keyType: 'aes256-gcm96', version: 7, aead: 'aes-256-gcm', key })
      // As long as an RSA-2048 frame, so that only the first byte tells them apart.
      const sealed = aes.seal(fixed(256 - 28), none)
      assert.equal(sealed.length, frame.length)
      assert.deepEqual(aes.open(sealed, none), fixed(256 - 28))
      sealed[0] = 2
      assert.equal(versionOf(sealed), 7)
      assert.equal(aes.open(sealed, none), 'malformed')
      assert.equal(aes.open(frame, none), 'malformed')
      assert.equal(await open(engine).open(sealed, none), 'commitment_mismatch')
    })

    test('arrays may be reused as soon as the call is made', async () => {
      const key = open(engine)
      const plaintext = fixed(100)
      const ownContext = context.slice()
      const sealing = key.seal(plaintext, ownContext)
      wipe(plaintext, ownContext)
      const sealed = await sealing
      const ownFrame = sealed.slice()
      const ownAgain = context.slice()
      const opening = key.open(ownFrame, ownAgain)
      wipe(ownFrame, ownAgain)
      assert.deepEqual(await opening, fixed(100))
      const input = message.slice()
      const signing = key.sign(input)
      wipe(input)
      const signature = await signing
      const again = message.slice()
      const [ownSignature, pkcs8] = [signature.slice(), testKey('rsa-2048')]
      const verifying = key.verify(again, ownSignature)
      wipe(again, ownSignature)
      assert.equal(await verifying, true)
      const admitting = admitRsa(engine, 'rsa-2048', pkcs8)
      wipe(pkcs8)
      assert.deepEqual(await admitting, testKey('rsa-2048'))
      const material = testKey('rsa-2048')
      const prepared = rsaKey(engine, { keyType: 'rsa-2048', version: 7, pkcs8: material })
      wipe(material)
      assert.deepEqual(await prepared.open(sealed, context), fixed(100))
    })
  })

  describe(`RSA signatures, ${engine.name}`, () => {
    const schemes: readonly SignatureOptions[] = hashes.flatMap((hashAlgorithm) => [
      { hashAlgorithm, padding: 'pss' },
      { hashAlgorithm, padding: 'pkcs1v15' },
    ])

    test('each scheme verifies on both engines and by itself, and under no other scheme', async () => {
      const key = open(engine)
      for (const scheme of schemes) {
        const signature = await key.sign(message, scheme)
        assertOwned(signature)
        for (const other of engines) {
          for (const claimed of schemes)
            assert.equal(await open(other).verify(message, signature, claimed), claimed === scheme)
        }
      }
      assert.equal(
        await key.verify(message, await key.sign(message), { padding: 'pss', hashAlgorithm: 'sha256' }),
        true,
      )
    })

    test('only a salt as long as the digest verifies', async () => {
      const key = open(engine)
      const host = { key: Buffer.from(testKey('rsa-2048')), format: 'der', type: 'pkcs8' } as const
      for (const saltLength of [0, 20, 31, 32, 33, 222]) {
        const padding = hostConstants.RSA_PKCS1_PSS_PADDING
        const signature = hostSign('sha256', message, { ...host, padding, saltLength })
        assert.equal(await key.verify(message, new Uint8Array(signature)), saltLength === 32, `salt of ${saltLength}`)
      }
    })

    test('what is malformed is false: another length, not less than the modulus, one bit off', async () => {
      const key = open(engine)
      const { n } = parts('rsa-2048')
      for (const padding of ['pss', 'pkcs1v15'] as const) {
        const signature = await key.sign(message, { padding })
        const off = signature.slice()
        off[200] = (off[200] ?? 0) ^ 1
        const wrong = [
          off,
          new Uint8Array(0),
          signature.slice(1),
          concat([new Uint8Array(1), signature]),
          concat([signature, new Uint8Array(1)]),
          new Uint8Array(256),
          new Uint8Array(256).fill(255),
          n,
          plus(signature, n),
        ]
        for (const [at, changed] of wrong.entries())
          assert.equal(await key.verify(message, changed, { padding }), false, `${padding} ${at}`)
        assert.equal(await key.verify(utf8('other'), signature, { padding }), false)
      }
    })

    test('a length that is wrong and a number that is too large never reach the host', () => {
      const gullible: Engine = {
        ...engine,
        rsa: { ...engine.rsa, publicKey: (spki) => ({ ...engine.rsa.publicKey(spki), verify: () => true }) },
      }
      const key = open(gullible)
      const { n } = parts('rsa-2048')
      const below = n.slice()
      below[255] = (below[255] ?? 0) ^ 1 // n is odd
      assert.equal(key.verify(message, below), true)
      for (const signature of [n, new Uint8Array(256).fill(255), n.slice(1), concat([new Uint8Array(1), below])])
        assert.equal(key.verify(message, signature), false)
    })

    test('options that make no sense are refused, for making and checking', async () => {
      const key = open(engine)
      const signature = await key.sign(message)
      const refused: readonly [SignatureOptions, RegExp][] = [
        [{ format: 'der' }, /format is not taken for rsa-2048/],
        // What a caller without types may pass.
        [{ hashAlgorithm: 'sha1' as 'sha256' }, /hashAlgorithm must be sha256, sha384, sha512 or absent/],
        [{ padding: 'none' as 'pss' }, /padding must be pss, pkcs1v15 or absent/],
        [{ prehashed: 1 as unknown as boolean }, /prehashed must be true, false or absent/],
        [{ prehashed: true, hashAlgorithm: 'sha384' }, /must be 48 bytes of sha384, not 8/],
      ]
      for (const [options, says] of refused) {
        await assertRefused(() => key.sign(message, options), kmsError('INVALID_INPUT', says))
        await assertRefused(() => key.verify(message, signature, options), kmsError('INVALID_INPUT', says))
      }
    })

    test('a destroyed key does nothing any more', async () => {
      const key = open(engine)
      const [sealed, signature] = [await key.seal(message, none), await key.sign(message)]
      key.destroy()
      key.destroy()
      const closed = kmsError('CLOSED', /destroyed/)
      await assertRefused(() => key.seal(message, none), closed)
      await assertRefused(() => key.open(sealed, none), closed)
      await assertRefused(() => key.sign(message), closed)
      await assertRefused(() => key.verify(message, signature), closed)
    })

    test('a prepared key does not show its material when it is inspected', () => {
      const key = open(engine)
      const shown = inspect(key, { depth: 20, showHidden: true, getters: true })
      const { d, p } = parts('rsa-2048')
      for (const secret of [d, p, testKey('rsa-2048').subarray(0, 60)])
        for (const spelling of [hex(secret), toBase64(secret), [...secret.subarray(0, 4)].join(', ')])
          assert.ok(!shown.includes(spelling))
    })
  })

  describe(`RSA keys that come in, ${engine.name}`, () => {
    test('each of the three types takes its own and gives a copy back', async () => {
      for (const keyType of keyTypes) {
        const pkcs8 = testKey(keyType)
        assert.equal(algorithms[keyType].valid(pkcs8), true)
        const admitted = await algorithms[keyType].decode(engine, pkcs8)
        assert.deepEqual(admitted, pkcs8)
        assertOwned(admitted ?? assert.fail())
        assert.deepEqual(algorithms[keyType].encode(engine, pkcs8), pkcs8)
        for (const other of keyTypes.filter((one) => one !== keyType)) {
          assert.equal(algorithms[other].valid(pkcs8), false)
          assert.equal(await algorithms[other].decode(engine, pkcs8), undefined)
          assert.throws(() => algorithms[other].open(engine, pkcs8, 1), kmsError('INVALID_INPUT', new RegExp(other)))
        }
      }
      assert.throws(
        () => algorithms['rsa-2048'].open(engine, testKey('rsa-2048'), 0),
        kmsError('INVALID_INPUT', /key version/),
      )
    })

    test('parts that do not belong together are undefined, whichever it is', async () => {
      const whole = parts('rsa-2048')
      const other = decodeRsaPkcs8(otherKey()) ?? assert.fail()
      for (const name of ['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
        const swapped = encodeRsaPkcs8({ ...whole, [name]: other[name] })
        assert.equal(await admitRsa(engine, 'rsa-2048', swapped), undefined, `${name} of another key`)
        const changed = whole[name].slice()
        changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 2
        assert.equal(await admitRsa(engine, 'rsa-2048', encodeRsaPkcs8({ ...whole, [name]: changed })), undefined, name)
      }
      const { p, q, dp, dq } = whole
      const mirrored = encodeRsaPkcs8({ ...whole, p: q, q: p, dp: dq, dq: dp })
      assert.equal(await admitRsa(engine, 'rsa-2048', mirrored), undefined, 'qi of the mirrored key')
    })

    test('an exponent that undoes e modulo one prime only does not belong, whatever the host would make of it', async () => {
      const { p, q } = bigParts('rsa-2048')
      for (const order of [p - 1n, q - 1n]) {
        const pkcs8 = keyOf(p, q, order)
        assert.equal(belongTogether(decodeRsaPkcs8(pkcs8) ?? assert.fail()), false)
        assert.equal(await admitRsa(engine, 'rsa-2048', pkcs8), undefined)
      }
    })

    test('primes of unequal length, and primes that are neighbours, are undefined: n would be factored at once', async () => {
      const unequal = keyOf(prime(1000), prime(1048))
      assert.equal(algorithms['rsa-2048'].valid(unequal), true)
      assert.equal(await admitRsa(engine, 'rsa-2048', unequal), undefined)
      const { p } = bigParts('rsa-2048')
      let neighbour = p + 2n
      while (!checkPrimeSync(neighbour) || gcd(65537n, neighbour - 1n) !== 1n) neighbour += 2n
      const close = keyOf(p, neighbour)
      assert.equal(algorithms['rsa-2048'].valid(close), true)
      assert.equal(await admitRsa(engine, 'rsa-2048', close), undefined)
    })

    test('the exponents that are equivalent are all taken: d modulo φ(n) as well as λ(n), and either order of the primes', async () => {
      const { p, q } = bigParts('rsa-2048')
      const phi = (p - 1n) * (q - 1n)
      const lambda = phi / gcd(p - 1n, q - 1n)
      for (const [first, second] of [
        [p, q],
        [q, p],
      ] as const)
        for (const modulus of [phi, lambda]) {
          const pkcs8 = keyOf(first, second, modulus)
          assert.deepEqual(await admitRsa(engine, 'rsa-2048', pkcs8), pkcs8)
        }
    })

    test('a key of composite primes, whose numbers all agree, cannot verify what it signs', async () => {
      // Three factors whose two highest bits are set may make a modulus that is a bit short.
      const fits = (p: bigint, q: bigint) =>
        (p * q) >> 2047n === 1n && gcd(65537n, p - 1n) === 1n && gcd(65537n, q - 1n) === 1n
      let [p, q] = [0n, 0n]
      while (!fits(p, q)) [p, q] = [prime(512) * prime(512), prime(1024)]
      const pkcs8 = keyOf(p, q, ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n))
      assert.equal(algorithms['rsa-2048'].valid(pkcs8), true)
      assert.equal(await admitRsa(engine, 'rsa-2048', pkcs8), undefined)
    })

    test('another exponent, a modulus one bit short, bytes too many or too few are undefined', async () => {
      const { p, q } = bigParts('rsa-2048')
      const three = keyOf(p, q, (p - 1n) * (q - 1n), 65539n)
      assert.equal(await admitRsa(engine, 'rsa-2048', three), undefined)
      const short = keyOf(prime(1023), prime(1024))
      assert.equal(await admitRsa(engine, 'rsa-2048', short), undefined)
      const pkcs8 = testKey('rsa-2048')
      assert.equal(await admitRsa(engine, 'rsa-2048', pkcs8.slice(0, -1)), undefined)
      assert.equal(await admitRsa(engine, 'rsa-2048', concat([pkcs8, fixed(1)])), undefined)
      assert.equal(await admitRsa(engine, 'rsa-2048', fixed(0)), undefined)
      assert.throws(() => rsaVerify(engine, 'rsa-2048', fixed(20)), kmsError('INVALID_INPUT', /no public key of type/))
    })
  })
}

describe('digests made elsewhere', () => {
  test('node signs and verifies them without hashing again, for each scheme', async () => {
    const key = open(node)
    const publicKey = createPublicKey({ key: Buffer.from(key.publicKey.spki), format: 'der', type: 'spki' })
    for (const keyType of keyTypes) {
      for (const hashAlgorithm of hashes) {
        const digest = node.hash(hashAlgorithm, message)
        const sized = open(node, keyType)
        for (const padding of ['pss', 'pkcs1v15'] as const) {
          const signature = await sized.sign(digest, { hashAlgorithm, padding, prehashed: true })
          assertOwned(signature)
          for (const engine of engines)
            assert.equal(await open(engine, keyType).verify(message, signature, { hashAlgorithm, padding }), true)
          const hashedHere = await sized.sign(message, { hashAlgorithm, padding })
          assert.equal(await sized.verify(digest, hashedHere, { hashAlgorithm, padding, prehashed: true }), true)
          const other = node.hash(hashAlgorithm, utf8('other'))
          assert.equal(await sized.verify(other, signature, { hashAlgorithm, padding, prehashed: true }), false)
        }
      }
    }
    const pss = { key: publicKey, padding: hostConstants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    const signature = await key.sign(node.hash('sha256', message), { prehashed: true })
    assert.equal(hostVerify('sha256', message, pss, signature), true)
  })

  test('where WebCrypto does the work they are not supported, and told so', async () => {
    const key = open(noble)
    const digest = node.hash('sha256', message)
    const signature = await key.sign(message)
    const unsupported = kmsError('UNSUPPORTED_OPERATION', /prehashed RSA signatures need node:crypto/)
    await assertRefused(() => key.sign(digest, { prehashed: true }), unsupported)
    await assertRefused(() => key.verify(digest, signature, { prehashed: true }), unsupported)
  })
})

describe('making keys', () => {
  test('rsa-4096 takes its time beside the event loop: a timer keeps ticking', async () => {
    let ticks = 0
    const ticking = setInterval(() => ticks++, 1)
    const pkcs8 = await generateRsa(node, 'rsa-4096')
    clearInterval(ticking)
    assert.ok(ticks > 3, `${ticks} ticks`)
    assert.equal(algorithms['rsa-4096'].valid(pkcs8), true)
    assertOwned(pkcs8)
  })

  for (const engine of engines) {
    test(`a fresh key is of its type, belongs together, and is never the same, ${engine.name}`, async () => {
      const algorithm = algorithms['rsa-2048']
      const make = algorithm.generate(engine)
      assert.ok(typeof make === 'function')
      const [first, second] = [await make(), await make()]
      assertOwned(first)
      assert.notDeepEqual(first, second)
      for (const other of engines) assert.deepEqual(await algorithm.decode(other, first), first)
      assert.notDeepEqual(first, testKey('rsa-2048'))
    })
  }
})

function parts(keyType: RsaKeyType): RsaPrivateNumbers {
  return decodeRsaPkcs8(testKey(keyType)) ?? assert.fail()
}

/** A second key of 2048 bits, made from the first's p and a fresh prime. */
function otherKey(): Uint8Array {
  return keyOf(prime(1024), prime(1024))
}

function bigParts(keyType: RsaKeyType): { readonly p: bigint; readonly q: bigint } {
  const { p, q } = parts(keyType)
  return { p: big(p), q: big(q) }
}

/** A PKCS#8 of these two primes; `order`: modulo what d is the inverse of e. */
function keyOf(p: bigint, q: bigint, order = (p - 1n) * (q - 1n), e = 65537n): Uint8Array {
  const d = inverse(e, order)
  const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  return encodeRsaPkcs8({
    n: small(numbers.n),
    e: small(e),
    d: small(d),
    p: small(p),
    q: small(q),
    dp: small(numbers.dp),
    dq: small(numbers.dq),
    qi: small(numbers.qi),
  })
}

/** With the two top bits set, so that a product of two is as long as both together. */
function prime(bits: number): bigint {
  const top = 3n << BigInt(bits - 2)
  for (;;) {
    const found = generatePrimeSync(bits, { bigint: true })
    if ((found & top) === top) return found
  }
}

function big(digits: Uint8Array): bigint {
  return BigInt(`0x${hex(digits)}`)
}

function small(value: bigint): Uint8Array {
  const text = value.toString(16)
  return unhex(text.length % 2 === 0 ? text : `0${text}`)
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b)
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, value % modulus, 0n, 1n]
  while (r1 !== 0n) {
    const quotient = r0 / r1
    ;[r0, r1, t0, t1] = [r1, r0 - quotient * r1, t1, t0 - quotient * t1]
  }
  assert.equal(r0, 1n)
  return ((t0 % modulus) + modulus) % modulus
}

/** The sum in 256 bytes, or all ones if it does not fit. */
function plus(a: Uint8Array, b: Uint8Array): Uint8Array {
  const sum = big(a) + big(b)
  return sum < 1n << 2048n ? unhex(sum.toString(16).padStart(512, '0')) : new Uint8Array(256).fill(255)
}
