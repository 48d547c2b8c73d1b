/** PKCS#8, SPKI and PEM, strictly. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concat, hex } from '../../src/crypto/bytes.ts'
import { type Curve, curves } from '../../src/crypto/curves.ts'
import { mlDsaSets } from '../../src/crypto/ml-dsa-sets.ts'
import {
  decodeEcPkcs8,
  decodeEcSpki,
  decodeEd25519Pkcs8,
  decodeEd25519Spki,
  decodeMlDsaPkcs8,
  decodeMlDsaSpki,
  decodeRsaPkcs8,
  decodeRsaSpki,
  encodeEcPkcs8,
  encodeEcSpki,
  encodeEd25519Pkcs8,
  encodeEd25519Spki,
  encodeMlDsaPkcs8,
  encodeMlDsaSpki,
  encodeRsaPkcs8,
  encodeRsaSpki,
  fromPem,
  publicKeyPem,
  type RsaPrivateNumbers,
  toPem,
} from '../../src/crypto/pkcs8.ts'
import { assertLinear, assertOwned, fixed, unhex } from './engines.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const everyCurve = Object.values(curves)
const point = (curve: Curve) => concat([Uint8Array.of(4), fixed(2 * curve.length, 9)])
const opensslNames = { p256: 'P-256', p384: 'P-384', p521: 'P-521', secp256k1: 'secp256k1' } as const

function pkcs8(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }))
}

function spki(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }))
}

function readByOpenSsl(der: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
}

/** Fails here rather than at the next line that would use it. */
function found<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}

describe('what OpenSSL writes is what we write, and we read it back', () => {
  test('Ed25519', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    assert.deepEqual(encodeEd25519Pkcs8(found(decodeEd25519Pkcs8(pkcs8(privateKey)))), pkcs8(privateKey))
    assert.deepEqual(encodeEd25519Spki(found(decodeEd25519Spki(spki(publicKey)))), spki(publicKey))
    assert.equal(publicKeyPem(spki(publicKey)), publicKey.export({ format: 'pem', type: 'spki' }))
  })

  for (const curve of everyCurve)
    test(`${curve.title}, with the public key beside the private one or without`, () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: opensslNames[curve.name] })
      const parts = found(decodeEcPkcs8(curve, pkcs8(privateKey)))
      assert.ok(parts.publicKey !== undefined)
      assert.deepEqual(encodeEcPkcs8(curve, parts.scalar, parts.publicKey), pkcs8(privateKey))
      assert.deepEqual(parts.publicKey, decodeEcSpki(curve, spki(publicKey)))
      assert.deepEqual(encodeEcSpki(curve, parts.publicKey), spki(publicKey))
      assert.equal(publicKeyPem(spki(publicKey)), publicKey.export({ format: 'pem', type: 'spki' }))
      const alone = encodeEcPkcs8(curve, parts.scalar)
      assert.deepEqual(decodeEcPkcs8(curve, alone), { scalar: parts.scalar })
      assert.deepEqual(spki(createPublicKey(readByOpenSsl(alone))), spki(publicKey))
    })

  for (const modulusLength of [1024, 2048])
    test(`RSA-${modulusLength}`, () => {
      const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength })
      const numbers = found(decodeRsaPkcs8(pkcs8(privateKey)))
      assert.deepEqual(encodeRsaPkcs8(numbers), pkcs8(privateKey))
      const { n, e } = numbers
      assert.deepEqual(decodeRsaSpki(spki(publicKey)), { n, e })
      assert.deepEqual(encodeRsaSpki(numbers), spki(publicKey))
      const jwk = privateKey.export({ format: 'jwk' })
      for (const name of ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const)
        assert.equal(Buffer.from(numbers[name]).toString('base64url'), jwk[name], name)
      assert.ok(readByOpenSsl(encodeRsaPkcs8(numbers)).equals(privateKey))
    })
})

test('an ML-DSA key is as RFC 9881 §C.1 prints it', () => {
  assert.equal(
    toPem('PRIVATE KEY', encodeMlDsaPkcs8('ml-dsa-44', fixed(32))),
    '-----BEGIN PRIVATE KEY-----\nMDQCAQAwCwYJYIZIAWUDBAMRBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\nGhscHR4f\n-----END PRIVATE KEY-----\n',
  )
  assert.equal(
    hex(encodeMlDsaPkcs8('ml-dsa-65', fixed(32)).subarray(0, 24)),
    '3034020100300b060960864801650304031204228020' + '0001',
  )
  const head = encodeMlDsaSpki('ml-dsa-44', fixed(1312)).subarray(0, 22)
  assert.equal(hex(head), '30820532300b0609608648016503040311038205210000'.slice(0, 44))
})

test('an ML-DSA key reads in its three forms: seed, expanded, both', () => {
  for (const name of ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const) {
    const { secretKeyLength, oid } = mlDsaSets[name]
    const algorithm = encodeMlDsaPkcs8(name, fixed(32)).slice(5, 18)
    assert.equal(hex(algorithm).slice(-2), Number(oid.split('.').at(-1)).toString(16))
    const [seed, secretKey] = [fixed(32), fixed(secretKeyLength, 3)]
    const wrap = (head: string, ...parts: Uint8Array[]) => concat([unhex(head), ...parts])
    const u16 = (length: number) => length.toString(16).padStart(4, '0')
    const inner = wrap(`0482${u16(secretKeyLength)}`, secretKey)
    const whole = (key: Uint8Array) =>
      wrap(`3082${u16(20 + key.length)}020100`, algorithm, unhex(`0482${u16(key.length)}`), key)
    const both = wrap(`3082${u16(34 + inner.length)}0420`, seed, inner)
    assert.deepEqual(decodeMlDsaPkcs8(name, encodeMlDsaPkcs8(name, seed)), { seed })
    assert.deepEqual(decodeMlDsaPkcs8(name, whole(inner)), { secretKey })
    assert.deepEqual(decodeMlDsaPkcs8(name, whole(both)), { seed, secretKey })
    assert.equal(decodeMlDsaPkcs8(name, whole(concat([both, fixed(1)]))), undefined)
    assert.equal(decodeMlDsaPkcs8(name, whole(wrap('0420', seed))), undefined)
  }
})

const numbers = fc.record({
  n: bytes(64),
  e: bytes(3),
  d: bytes(64),
  p: bytes(32),
  q: bytes(32),
  dp: bytes(32),
  dq: bytes(31),
  qi: bytes(1),
})

function minimal(digits: Uint8Array): Uint8Array {
  return Uint8Array.from(digits.subarray(digits.findIndex((digit) => digit !== 0)))
}

test('every encoding undoes itself, and what is read owns its buffer', () => {
  fc.assert(
    fc.property(bytes(32), numbers, (secret, some) => {
      assert.deepEqual(decodeEd25519Pkcs8(encodeEd25519Pkcs8(secret)), secret)
      assert.deepEqual(decodeEd25519Spki(encodeEd25519Spki(secret)), secret)
      for (const numbers of Object.values(some)) fc.pre(numbers.some((digit) => digit !== 0))
      // As they come back: without the zeros in front.
      const expected = Object.fromEntries(Object.entries(some).map(([name, digits]) => [name, minimal(digits)]))
      assert.deepEqual(decodeRsaPkcs8(encodeRsaPkcs8(some)), expected)
      assert.deepEqual(decodeRsaSpki(encodeRsaSpki(some)), { n: expected['n'], e: expected['e'] })
    }),
  )
  for (const curve of everyCurve) {
    fc.assert(
      fc.property(bytes(curve.length), bytes(2 * curve.length), (scalar, xy) => {
        const publicKey = concat([Uint8Array.of(4), xy])
        assert.deepEqual(decodeEcPkcs8(curve, encodeEcPkcs8(curve, scalar)), { scalar })
        assert.deepEqual(decodeEcPkcs8(curve, encodeEcPkcs8(curve, scalar, publicKey)), { scalar, publicKey })
        assert.deepEqual(decodeEcSpki(curve, encodeEcSpki(curve, publicKey)), publicKey)
      }),
      { numRuns: 30 },
    )
  }
  const both = decodeEcPkcs8(curves.p521, encodeEcPkcs8(curves.p521, fixed(66), point(curves.p521)))
  const rsa = decodeRsaPkcs8(encodeRsaPkcs8(rsaNumbers))
  for (const made of [
    encodeEd25519Pkcs8(fixed(32)),
    encodeEcSpki(curves.p384, point(curves.p384)),
    encodeRsaPkcs8(rsaNumbers),
    decodeEd25519Spki(encodeEd25519Spki(fixed(32))),
    both?.scalar,
    both?.publicKey,
    ...Object.values(rsa ?? {}),
    decodeMlDsaPkcs8('ml-dsa-44', encodeMlDsaPkcs8('ml-dsa-44', fixed(32)))?.seed,
    decodeMlDsaSpki('ml-dsa-87', encodeMlDsaSpki('ml-dsa-87', fixed(2592))),
  ]) {
    assertOwned(made ?? Buffer.from('a pooled buffer, to fail'))
  }
})

const rsaNumbers: RsaPrivateNumbers = {
  n: fixed(128, 200),
  e: unhex('010001'),
  d: fixed(128, 1),
  p: fixed(64, 130),
  q: fixed(64, 131),
  dp: fixed(64, 1),
  dq: fixed(63, 1),
  qi: fixed(64, 2),
}

interface Codec {
  readonly name: string
  readonly decode: (der: Uint8Array) => unknown
  readonly sample: Uint8Array
}

const codecs: readonly Codec[] = [
  { name: 'Ed25519 private', decode: decodeEd25519Pkcs8, sample: encodeEd25519Pkcs8(fixed(32)) },
  { name: 'Ed25519 public', decode: decodeEd25519Spki, sample: encodeEd25519Spki(fixed(32)) },
  ...everyCurve.flatMap((curve): Codec[] => {
    const decode = (der: Uint8Array) => decodeEcPkcs8(curve, der)
    return [
      { name: `${curve.title} private alone`, decode, sample: encodeEcPkcs8(curve, fixed(curve.length)) },
      { name: `${curve.title} private`, decode, sample: encodeEcPkcs8(curve, fixed(curve.length), point(curve)) },
      {
        name: `${curve.title} public`,
        decode: (der) => decodeEcSpki(curve, der),
        sample: encodeEcSpki(curve, point(curve)),
      },
    ]
  }),
  { name: 'RSA private', decode: decodeRsaPkcs8, sample: encodeRsaPkcs8(rsaNumbers) },
  { name: 'RSA public', decode: decodeRsaSpki, sample: encodeRsaSpki(rsaNumbers) },
  ...(['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const).flatMap((name): Codec[] => [
    {
      name: `${name} private`,
      decode: (der) => decodeMlDsaPkcs8(name, der),
      sample: encodeMlDsaPkcs8(name, fixed(32)),
    },
    {
      name: `${name} public`,
      decode: (der) => decodeMlDsaSpki(name, der),
      sample: encodeMlDsaSpki(name, fixed(mlDsaSets[name].publicKeyLength)),
    },
  ]),
]

test('every truncation is undefined, and so is a byte more, and another type', () => {
  for (const { name, decode, sample } of codecs) {
    assert.notEqual(decode(sample), undefined, name)
    for (let length = 0; length < sample.length; length++)
      assert.equal(decode(sample.slice(0, length)), undefined, name)
    assert.equal(decode(concat([sample, fixed(1)])), undefined)
    assert.equal(decode(concat([sample, sample])), undefined)
    for (const other of codecs) {
      const related = other.name.replace(' alone', '') === name.replace(' alone', '')
      assert.equal(other.decode(sample) !== undefined, related, `${name} as ${other.name}`)
    }
  }
})

test('a changed bit is undefined or another key: two encodings never mean the same', () => {
  for (const { name, decode, sample } of codecs) {
    const original = decode(sample)
    for (let bit = 0; bit < 8 * Math.min(sample.length, 400); bit++) {
      const changed = sample.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.notDeepEqual(decode(changed), original, `${name}, bit ${bit}`)
    }
  }
})

test('a byte put in or taken out is undefined or another key', () => {
  const which = fc.constantFrom(...codecs.filter(({ sample }) => sample.length < 400))
  fc.assert(
    fc.property(which, fc.nat(), fc.uint8Array({ maxLength: 3 }), ({ decode, sample }, at, put) => {
      const where = at % sample.length
      const changed = concat([sample.subarray(0, where), put, sample.subarray(where + 1)])
      if (hex(changed) !== hex(sample)) assert.notDeepEqual(decode(changed), decode(sample))
    }),
    { numRuns: 2000 },
  )
})

test('forms that others write are undefined: compressed points, BER lengths, version 1, parameters, zero and negative numbers', () => {
  const { p256 } = curves
  assert.equal(decodeEcSpki(p256, encodeEcSpki(p256, concat([Uint8Array.of(3), fixed(64)]))), undefined)
  assert.equal(decodeEcPkcs8(p256, encodeEcPkcs8(p256, fixed(32), concat([Uint8Array.of(6), fixed(64)]))), undefined)
  assert.equal(decodeEcPkcs8(p256, encodeEcPkcs8(p256, fixed(31))), undefined)
  assert.equal(decodeEcPkcs8(p256, encodeEcPkcs8(p256, fixed(33))), undefined)
  const ed = encodeEd25519Spki(fixed(32))
  assert.equal(decodeEd25519Spki(concat([Uint8Array.of(0x30, 0x81, 0x2a), ed.subarray(2)])), undefined)
  const versionOne = encodeEd25519Pkcs8(fixed(32))
  versionOne[4] = 1
  assert.equal(decodeEd25519Pkcs8(versionOne), undefined)
  // NULL parameters where there must be none.
  assert.equal(decodeEd25519Spki(concat([unhex('302c300706032b65700500'), ed.subarray(9)])), undefined)
  // An ECPrivateKey that names its curve again, as "openssl ec" writes it by itself.
  const named = unhex(
    `304d020100301306072a8648ce3d020106082a8648ce3d0301070433303102010104${'20'}${'07'.repeat(32)}a00a06082a8648ce3d030107`,
  )
  assert.equal(decodeEcPkcs8(p256, named), undefined)
  assert.equal(decodeRsaPkcs8(encodeRsaPkcs8({ ...rsaNumbers, qi: fixed(1) })), undefined)
  assert.equal(decodeRsaSpki(encodeRsaSpki({ ...rsaNumbers, e: new Uint8Array(2) })), undefined)
  const negative = encodeRsaSpki({ n: Uint8Array.of(0x7f), e: Uint8Array.of(3) })
  assert.deepEqual(decodeRsaSpki(negative), { n: Uint8Array.of(0x7f), e: Uint8Array.of(3) })
  negative[negative.length - 4] = 0xff
  assert.equal(decodeRsaSpki(negative), undefined)
  // Unused bits in the BIT STRING.
  const unused = ed.slice()
  unused[11] = 1
  assert.equal(decodeEd25519Spki(unused), undefined)
})

test('arbitrary bytes never crash a decoder, and it takes linear time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
      for (const { decode } of codecs) decode(random)
    }),
  )
  for (const { decode, sample } of codecs) {
    assertLinear((length) => {
      const input = concat([sample, new Uint8Array(length)])
      return () => assert.equal(decode(input), undefined)
    })
    assertLinear((length) => {
      // One that says it is as long as it is.
      const input = concat([unhex('3083'), Uint8Array.of(length >> 16, (length >> 8) & 255, 0), new Uint8Array(length)])
      return () => assert.equal(decode(input), undefined)
    })
  }
})

describe('PEM', () => {
  const text = toPem('PRIVATE KEY', encodeRsaPkcs8(rsaNumbers))

  test('undoes itself, with either end of line, and with or without the last', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (der) => {
        const pem = toPem('PUBLIC KEY', der)
        for (const same of [pem, pem.trimEnd(), pem.replaceAll('\n', '\r\n')])
          assert.deepEqual(fromPem('PUBLIC KEY', same), Uint8Array.from(der))
      }),
    )
  })

  test('OpenSSL reads and writes the same', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const theirs = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
    assert.deepEqual(fromPem('PRIVATE KEY', theirs), pkcs8(privateKey))
    assert.equal(toPem('PRIVATE KEY', pkcs8(privateKey)), theirs)
  })

  test('any other text is undefined', () => {
    const lines = text.split('\n')
    for (const wrong of [
      '',
      '\n',
      'PRIVATE KEY',
      ` ${text}`,
      `\n${text}`,
      `${text}\n`,
      `${text}${text}`,
      text.replace('PRIVATE', 'PUBLIC'),
      text.replaceAll('PRIVATE', 'PUBLIC'),
      text.replace('-----BEGIN', '----BEGIN'),
      text.replace('KEY-----\n', 'KEY-----\nComment: x\n'),
      text.replace('KEY-----\n', 'KEY-----\nProc-Type: 4,ENCRYPTED\n\n'),
      lines.toSpliced(2, 1).join('\n').replace('=', ''),
      [lines[0], ` ${lines[1]}`, ...lines.slice(2)].join('\n'),
      [lines[0], lines[1], '', ...lines.slice(2)].join('\n'),
      [lines[0], `${lines[1]}${lines[2]}`, ...lines.slice(3)].join('\n'),
      [lines[0], ...lines.slice(-2)].join('\n'),
      text.replace('M', '-'),
    ])
      assert.equal(fromPem('PRIVATE KEY', wrong), undefined, JSON.stringify(wrong.slice(0, 80)))
  })

  test('takes linear time', () => {
    assertLinear((length) => {
      const pem = toPem('PUBLIC KEY', new Uint8Array(length))
      return () => assert.equal(fromPem('PUBLIC KEY', pem)?.length, length)
    })
    assertLinear((length) => {
      const pem = `-----BEGIN PUBLIC KEY-----${'\r'.repeat(length)}\n-----END PUBLIC KEY-----`
      return () => assert.equal(fromPem('PUBLIC KEY', pem), undefined)
    })
  })
})
