/** The transit engine's known answers through both engines, and the one spelling of everything that it gives. */
import assert from 'node:assert/strict'
import {
  createCipheriv,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  randomInt,
  sign,
} from 'node:crypto'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { concat, fromBase64, hex, toBase64, toBase64url, utf8 } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import { type CurveName, curves } from '../../src/crypto/curves.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import { everyAlgorithm, isTransit } from '../../src/crypto/every-algorithm.ts'
import { requireApproved } from '../../src/crypto/fips.ts'
import { unwrapKeyMaterial } from '../../src/crypto/key-transport.ts'
import { hmacSha256 } from '../../src/crypto/mac.ts'
import { decodeEcPkcs8 } from '../../src/crypto/pkcs8.ts'
import { type TransitKey, type TransitOptions, transitKey } from '../../src/crypto/transit.ts'
import { type TransitHash, transitDigest } from '../../src/crypto/transit-hash.ts'
import { derivedKey } from '../../src/crypto/transit-kdf.ts'
import {
  decodeTransitVersion,
  encodeTransitVersion,
  type TransitVersion,
  transitKinds,
} from '../../src/crypto/transit-material.ts'
import { readTransit, transitVersion } from '../../src/crypto/transit-text.ts'
import type { TransitKeyType } from '../../src/model/key.ts'
import type { EncryptionContext } from '../../src/model/operation.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertOwned, engines, fixed, kmsError, node, unhex } from './engines.ts'

interface HmacAnswer {
  readonly algorithm: string
  readonly key_version?: number
  readonly hmac_key_ascii?: string
  readonly hmac_key_hex?: string
  readonly input_b64: string
  readonly hmac: string
  readonly valid?: boolean
}

interface SealedAnswer {
  readonly type: string
  readonly ciphertext: string
  readonly key_hex?: string
  readonly root_key_hex?: string
  readonly key_version?: number
  readonly plaintext_b64: string
  readonly associated_data_b64?: string
  readonly context_b64?: string
  readonly convergent?: boolean
}

interface SignatureAnswer {
  readonly type: string
  readonly key_version?: number
  readonly input_b64: string
  readonly signature: string
  readonly options?: {
    readonly hash_algorithm?: string
    readonly marshaling_algorithm?: string
    readonly signature_algorithm?: 'pss' | 'pkcs1v15'
    readonly prehashed?: boolean
    readonly salt_length?: string
  }
  readonly private_key_export?: string
  readonly public_key?: string
  readonly derived?: boolean
  readonly context_b64?: string
  readonly root_key_b64_64bytes?: string
}

interface Fixture {
  readonly about: object
  readonly upstream_fixed: {
    readonly hmac: readonly HmacAnswer[]
    readonly hash: readonly { readonly algorithm: string; readonly input_b64: string; readonly sum: string }[]
    readonly ecdsa: readonly {
      readonly type: string
      readonly d_hex: string
      readonly x_hex: string
      readonly y_hex: string
      readonly hash_algorithm: string
      readonly marshaling_algorithm: string
      readonly input_b64: string
      readonly signature: string
    }[]
    readonly audit_hmac: readonly { readonly salt: string; readonly value: string; readonly hashed: string }[]
    readonly kdf: readonly {
      readonly key_hex: string
      readonly context_ascii?: string
      readonly data_ascii?: string
      readonly output_hex: string
    }[]
    readonly imports: readonly { readonly pkcs8_b64: string }[]
  }
  readonly produced_by_upstream_code: {
    readonly symmetric: readonly SealedAnswer[]
    readonly derived_and_convergent: readonly SealedAnswer[]
    readonly hmac: readonly HmacAnswer[]
    readonly signatures: readonly SignatureAnswer[]
    readonly rsa_oaep: SealedAnswer & { readonly private_key_export: string }
    readonly import: {
      readonly ciphertext: string
      readonly plaintext_b64: string
      readonly target_key_hex: string
      readonly wrapped_blob_b64: string
      readonly wrapping_key_private_pkcs8_b64: string
    }
  }
}

const fixture: Fixture | undefined = noShared ? undefined : sharedJson<Fixture>('fixtures/openbao-transit.json')

function answers(): Fixture {
  assert.ok(fixture !== undefined)
  return fixture
}

function bytes(base64: string): Uint8Array {
  return fromBase64(base64) ?? assert.fail(`not base64: ${base64.slice(0, 40)}`)
}

const none: Omit<TransitVersion, 'key'> = { hmacKey: fixed(32), derivation: 'none', convergent: 0 }

function open(engine: Engine, keyType: TransitKeyType, facts: Partial<TransitVersion>, version = 1): TransitKey {
  const material = encodeTransitVersion({ ...none, key: new Uint8Array(0), ...facts })
  return transitKey(engine, { keyType, version, material })
}

function transitTypeOf(type: string): TransitKeyType {
  const keyType = `transit-${type}`
  assert.ok(keyType in transitKinds, keyType)
  return keyType as TransitKeyType // a name of the table
}

/** As this library names digests. */
function hashOf(name: string): TransitHash {
  return name.replace('sha2-', 'sha') as TransitHash // a wrong one is refused
}

/** The key as transit keeps it, read by OpenSSL. */
function keyOf({ type, private_key_export: text = '' }: SignatureAnswer): Uint8Array {
  if (type === 'ed25519') return bytes(text).slice(0, 32)
  const pkcs8 = new Uint8Array(createPrivateKey(text).export({ format: 'der', type: 'pkcs8' }))
  if (type.startsWith('rsa')) return pkcs8
  const curve = curves[type.slice('ecdsa-'.length) as CurveName] // the fixture has no others
  return decodeEcPkcs8(curve, pkcs8)?.scalar ?? assert.fail(type)
}

function optionsOf({ options = {}, context_b64: context }: SignatureAnswer): TransitOptions {
  return {
    ...(options.hash_algorithm !== undefined && {
      hashAlgorithm: options.hash_algorithm === 'none' ? 'none' : hashOf(options.hash_algorithm),
    }),
    ...(options.prehashed !== undefined && { prehashed: options.prehashed }),
    ...(options.signature_algorithm !== undefined && { padding: options.signature_algorithm }),
    ...(options.marshaling_algorithm === 'jws' && { format: 'ieee-p1363' as const }),
    ...(context !== undefined && { context: bytes(context) }),
  }
}

function contextOf({ associated_data_b64: data, context_b64: context }: SealedAnswer): Uint8Array {
  return encodeContext({
    ...(context !== undefined && { 'vault:context': context }),
    ...(data !== undefined && { 'vault:associated_data': data }),
  })
}

/** What verifies under none of the bit changes tried on it. */
function oneByteChanged(text: string): string {
  const at = text.lastIndexOf(':') + 1 + randomInt(text.length - text.lastIndexOf(':') - 6)
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
}

for (const engine of engines) {
  describe(`known answers, ${engine.name}`, { skip: noShared }, () => {
    test('symmetric: 27 ciphertexts open, with their associated data and no other', async () => {
      const { symmetric } = answers().produced_by_upstream_code
      assert.equal(symmetric.length, 27)
      for (const answer of symmetric) {
        const { type, key_hex: key = '', key_version: version = 0, ciphertext, plaintext_b64: plaintext } = answer
        const prepared = open(engine, transitTypeOf(type), { key: unhex(key) }, version)
        const opened = await prepared.open(utf8(ciphertext), contextOf(answer))
        assert.deepEqual(opened, bytes(plaintext), ciphertext)
        const other = contextOf({ ...answer, associated_data_b64: 'AA==' })
        assert.equal(await prepared.open(utf8(ciphertext), other), 'authentication_failed')
        assert.equal(await prepared.open(utf8(oneByteChanged(ciphertext)), contextOf(answer)), 'authentication_failed')
      }
    })

    test('derived and convergent: 30 ciphertexts open under HKDF, for their context and no other', async () => {
      const { derived_and_convergent: derived } = answers().produced_by_upstream_code
      assert.equal(derived.length, 30)
      for (const answer of derived) {
        const { type, root_key_hex: key = '', convergent, ciphertext, plaintext_b64: plaintext } = answer
        const facts = { key: unhex(key), derivation: 'hkdf', convergent: convergent ? 3 : 0 } as const
        const prepared = open(engine, transitTypeOf(type), facts)
        assert.deepEqual(await prepared.open(utf8(ciphertext), contextOf(answer)), bytes(plaintext), ciphertext)
        const other = contextOf({ ...answer, context_b64: 'dXNlci00Mw==' })
        assert.equal(await prepared.open(utf8(ciphertext), other), 'authentication_failed')
      }
    })

    test('hmac: all 20, by the name of their digest and without it', () => {
      const { upstream_fixed: fixed_, produced_by_upstream_code: produced } = answers()
      const all = [...fixed_.hmac, ...produced.hmac]
      assert.equal(all.length, 20)
      for (const answer of all) {
        const { hmac_key_ascii: ascii, hmac_key_hex: digits = '', key_version: version = 1, valid = true } = answer
        const hmacKey = ascii === undefined ? unhex(digits) : utf8(ascii)
        const mac = utf8(answer.hmac)
        const input = bytes(answer.input_b64)
        const named = { hashAlgorithm: hashOf(answer.algorithm) }
        for (const options of [named, {}]) {
          for (const key of [
            open(engine, 'transit-aes128-gcm96', { key: fixed(16), hmacKey }, version),
            open(engine, 'transit-hmac', { key: hmacKey, hmacKey: new Uint8Array(0) }, version),
          ]) {
            assert.equal(key.verifyMac(input, mac, options), valid, answer.algorithm)
            assert.equal(key.verifyMac(utf8('another'), mac, options), false)
          }
        }
        const others = ['sha256', 'sha512', 'sha3-224'] as const
        const other = others.find((hash) => hash !== named.hashAlgorithm)
        const key = open(engine, 'transit-aes128-gcm96', { key: fixed(16), hmacKey }, version)
        assert.equal(key.verifyMac(input, mac, { hashAlgorithm: other }), false)
      }
    })

    test('hash: the eight digests', () => {
      const { hash } = answers().upstream_fixed
      assert.equal(hash.length, 8)
      for (const { algorithm, input_b64: input, sum } of hash)
        assert.equal(hex(transitDigest(engine, hashOf(algorithm), bytes(input))), sum, algorithm)
    })

    test('ecdsa: the keys have their points, and their signatures verify', () => {
      const { ecdsa } = answers().upstream_fixed
      assert.equal(ecdsa.length, 3)
      for (const { type, d_hex, x_hex, y_hex, hash_algorithm: hash, input_b64, signature } of ecdsa) {
        const keyType = transitTypeOf(type)
        const kind = transitKinds[keyType]
        assert.ok(kind.is === 'ecdsa')
        const padded = (digits: string) => unhex(digits.padStart(2 * kind.curve.length, '0'))
        const key = open(engine, keyType, { key: padded(d_hex) })
        const point = concat([Uint8Array.of(4), padded(x_hex), padded(y_hex)])
        assert.deepEqual(key.publicKey.spki.slice(-point.length), point)
        const options = { hashAlgorithm: hashOf(hash) }
        assert.equal(key.verify(bytes(input_b64), utf8(signature), options), true, type)
        assert.equal(key.verify(utf8('another'), utf8(signature), options), false)
      }
    })

    test('signatures: all 49, whatever options they were made with', () => {
      const { signatures } = answers().produced_by_upstream_code
      assert.equal(signatures.length, 49)
      for (const answer of signatures) {
        const { type, derived = false, root_key_b64_64bytes: root = '', key_version: version = 1 } = answer
        const facts = derived
          ? { key: bytes(root), derivation: 'hkdf' as const }
          : { key: keyOf(answer), derivation: 'none' as const }
        const key = open(engine, transitTypeOf(type), facts, version)
        const [input, signature, options] = [bytes(answer.input_b64), utf8(answer.signature), optionsOf(answer)]
        const what = `${type} ${JSON.stringify(answer.options)}`
        assert.equal(key.verify(input, signature, options), true, what)
        const other = input.map((byte, at) => (at === 0 ? byte ^ 1 : byte))
        assert.equal(key.verify(other, signature, options), false, what)
        assert.equal(key.verify(input, utf8(oneByteChanged(answer.signature)), options), false, what)
        if (!derived) assert.equal(key.publicKey.text.trim(), answer.public_key?.trim(), what)
        const { format, ...rest } = options
        const otherFormat = { ...rest, ...(format === undefined && { format: 'ieee-p1363' as const }) }
        // 384 bytes have no padding: without + and / both alphabets spell them alike.
        const spelling = answer.signature.slice(answer.signature.lastIndexOf(':') + 1)
        const isBoth = type.startsWith('rsa') && spelling.length % 4 === 0 && !/[-_+/=]/.test(spelling)
        assert.equal(key.verify(input, signature, otherFormat), isBoth, what)
      }
    })

    test('rsa_oaep: opens, and refuses a context, which it was not bound to', async () => {
      const { rsa_oaep: answer } = answers().produced_by_upstream_code
      const key = open(engine, transitTypeOf(answer.type), { key: keyOf({ ...answer, input_b64: '', signature: '' }) })
      const empty = encodeContext(undefined)
      const opened = await key.open(utf8(answer.ciphertext), empty)
      assert.deepEqual(opened, bytes(answer.plaintext_b64))
      assertOwned(opened as Uint8Array) // not a reason
      assert.equal(await key.open(utf8(oneByteChanged(answer.ciphertext)), empty), 'authentication_failed')
      await assert.rejects(
        async () => key.open(utf8(answer.ciphertext), encodeContext({ a: 'b' })),
        kmsError('INVALID_INPUT', /bound to none/),
      )
    })

    test('import: the wrapped key opens, and the ciphertext under it', async () => {
      const { import: answer } = answers().produced_by_upstream_code
      const pkcs8 = bytes(answer.wrapping_key_private_pkcs8_b64)
      const key = await unwrapKeyMaterial(engine, pkcs8, bytes(answer.wrapped_blob_b64))
      assert.deepEqual(key, unhex(answer.target_key_hex))
      const opened = open(engine, 'transit-aes256-gcm96', { key }).open(utf8(answer.ciphertext), encodeContext({}))
      assert.deepEqual(await opened, bytes(answer.plaintext_b64))
    })

    test('kdf: the counter mode of old keys, and its PRF', () => {
      const [counter, prf, ...rest] = answers().upstream_fixed.kdf
      assert.equal(rest.length, 0)
      const key = unhex(counter?.key_hex ?? '')
      const derived = derivedKey(engine, { key, derivation: 'counter' }, utf8(counter?.context_ascii ?? ''), 32)
      assert.equal(hex(derived), counter?.output_hex)
      assert.equal(hex(hmacSha256(engine, unhex(prf?.key_hex ?? ''), utf8(prf?.data_ascii ?? ''))), prf?.output_hex)
    })

    test('audit_hmac: HMAC-SHA-256 of the salt, the one primitive of it that is here', () => {
      const { audit_hmac: all } = answers().upstream_fixed
      assert.equal(all.length, 3)
      for (const { salt, value, hashed } of all)
        assert.equal(`hmac-sha256:${hex(hmacSha256(engine, utf8(salt), utf8(value)))}`, hashed)
    })
  })

  describe(`round trips, ${engine.name}`, () => {
    for (const keyType of ['transit-aes256-gcm96', 'transit-chacha20-poly1305', 'transit-aes128-gcm96'] as const) {
      test(`${keyType}: what node:crypto sealed opens, for every derivation and kind of nonce`, async () => {
        for (let turn = 0; turn < 40; turn++) {
          const { facts, version, ciphertext, plaintext, context } = sealedAtRandom(keyType)
          const opened = await open(engine, keyType, facts, version).open(utf8(ciphertext), encodeContext(context))
          assert.ok(opened instanceof Uint8Array, `${JSON.stringify(facts)} ${opened}`)
          assert.deepEqual(opened, plaintext)
          assertOwned(opened)
        }
      })
    }

    test('RSA: the signature plus the modulus, which is the same number to it, is no signature', () => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const { n = '' } = privateKey.export({ format: 'jwk' })
      const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
      const key = open(engine, 'transit-rsa-2048', {
        key: new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })),
      })
      const options = { padding: 'pkcs1v15' } as const
      let tried = 0
      // About a third are small enough that the sum has as many bytes.
      for (let message = 0; tried < 3; message++) {
        const input = utf8(String(message))
        const signature = sign('sha256', input, privateKey)
        const sum = (BigInt(`0x${signature.toString('hex')}`) + modulus).toString(16)
        if (sum.length > 512) continue
        tried++
        const text = (bytes: Uint8Array) => utf8(`vault:v1:${toBase64(bytes)}`)
        assert.equal(key.verify(input, text(signature), options), true)
        assert.equal(key.verify(input, text(unhex(sum)), options), false)
      }
    })

    test('xchacha20-poly1305, which OpenBao alone has', async () => {
      const key = fixed(32)
      const nonce = fixed(24, 7)
      const body = new Uint8Array(24 + 5 + 16)
      body.set(nonce)
      engine.aead('xchacha20-poly1305', key).seal(nonce, utf8('data'), utf8('words'), body, 24)
      const context = encodeContext({ 'vault:associated_data': toBase64(utf8('data')) })
      const text = utf8(`vault:v3:${toBase64(body)}`)
      assert.deepEqual(await open(engine, 'transit-xchacha20-poly1305', { key }, 3).open(text, context), utf8('words'))
    })

    test('a MAC under a key that another version has not is false, and so is one without any HMAC key', () => {
      const mac = utf8(`vault:v1:${toBase64(hmacSha256(engine, fixed(32), utf8('input')))}`)
      const key = { key: fixed(32) }
      assert.equal(open(engine, 'transit-aes256-gcm96', key).verifyMac(utf8('input'), mac), true)
      assert.equal(open(engine, 'transit-aes256-gcm96', key, 2).verifyMac(utf8('input'), mac), false)
      const without = open(engine, 'transit-aes256-gcm96', { ...key, hmacKey: new Uint8Array(0) })
      const empty = utf8(`vault:v1:${toBase64(hmacSha256(engine, new Uint8Array(0), utf8('input')))}`)
      assert.equal(without.verifyMac(utf8('input'), empty), false)
    })
  })
}

interface Sealed {
  readonly facts: TransitVersion
  readonly version: number
  readonly ciphertext: string
  readonly plaintext: Uint8Array
  readonly context: EncryptionContext
}

/** As the documents have it, by node:crypto alone. */
function sealedAtRandom(keyType: TransitKeyType): Sealed {
  const short = keyType === 'transit-aes128-gcm96'
  const length = short ? 16 : 32
  const derivation = (short ? (['none', 'hkdf'] as const) : (['none', 'hkdf', 'counter'] as const))[
    randomInt(short ? 2 : 3)
  ]
  assert.ok(derivation !== undefined)
  const convergent = derivation === 'none' ? 0 : randomInt(4)
  const root = new Uint8Array(randomBytes(length))
  const ours = randomInt(2) === 0 && convergent !== 1
  const [context, data] = [new Uint8Array(randomBytes(1 + randomInt(40))), new Uint8Array(randomBytes(randomInt(40)))]
  const pairs = { order: hex(context), b: hex(data) }
  const canonical = encodeContext(pairs)
  const by = ours ? canonical : context
  const key =
    derivation === 'none'
      ? root
      : derivation === 'hkdf'
        ? new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), by, length))
        : createHmac('sha256', root)
            .update(concat([Uint8Array.of(0, 0, 0, 0), by, Uint8Array.of(0, 0, 1, 0)]))
            .digest()
  const nonce = new Uint8Array(randomBytes(12))
  const plaintext = new Uint8Array(randomBytes(randomInt(200)))
  const cipher = createCipheriv(cipherNames[keyType] ?? 'aes-256-gcm', key, nonce)
  cipher.setAAD(ours ? canonical : data, { plaintextLength: plaintext.length })
  const body = concat([
    ...(convergent === 1 ? [] : [nonce]),
    cipher.update(plaintext),
    cipher.final(),
    cipher.getAuthTag(),
  ])
  const version = 1 + randomInt(99)
  return {
    facts: { key: root, hmacKey: fixed(32), derivation, convergent },
    version,
    ciphertext: `vault:v${version}:${toBase64(body)}`,
    plaintext,
    context: ours
      ? pairs
      : {
          ...(derivation !== 'none' && { 'vault:context': toBase64(context) }),
          ...(convergent === 1 && { 'vault:nonce': toBase64(nonce) }),
          ...(data.length > 0 && { 'vault:associated_data': toBase64(data) }),
        },
  }
}

const cipherNames: Partial<Record<TransitKeyType, 'aes-256-gcm'>> = {
  // They share one signature at run time; the types tell GCM and ChaCha20 apart.
  'transit-aes128-gcm96': 'aes-128-gcm' as 'aes-256-gcm',
  'transit-chacha20-poly1305': 'chacha20-poly1305' as 'aes-256-gcm',
}

describe('one spelling', () => {
  const body = fixed(6, 250)
  const encoded = toBase64(body)
  assert.match(encoded, /[+/]/)

  test('of a text', () => {
    assert.deepEqual(readTransit(utf8(`vault:v1:${encoded}`)), { version: 1, body })
    assert.deepEqual(readTransit(utf8('vault:v4294967295:')), { version: 4294967295, body: fixed(0) })
    assert.deepEqual(readTransit(utf8(`vault:v20:${toBase64url(body)}`), 'base64url'), { version: 20, body })
    assert.deepEqual(readTransit(utf8('vault:v1:AAAA')), readTransit(utf8('vault:v1:AAAA'), 'base64url'))
  })

  const refused: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['no prefix', `v1:${encoded}`],
    ['another prefix', `bao:v1:${encoded}`],
    ['capitals', `Vault:v1:${encoded}`],
    ['capital v', `vault:V1:${encoded}`],
    ['no version', `vault:v:${encoded}`],
    ['version 0', `vault:v0:${encoded}`],
    ['a leading zero', `vault:v01:${encoded}`],
    ['a plus', `vault:v+1:${encoded}`],
    ['a minus', `vault:v-1:${encoded}`],
    ['a fraction', `vault:v1.0:${encoded}`],
    ['hexadecimal', `vault:v0x1:${encoded}`],
    ['2³²', `vault:v4294967296:${encoded}`],
    ['eleven digits', `vault:v10000000000:${encoded}`],
    ['no second colon', `vault:v1${encoded}`],
    ['a third colon', `vault:v1::${encoded}`],
    ['a space before', ` vault:v1:${encoded}`],
    ['a space behind', `vault:v1:${encoded} `],
    ['a line end behind', `vault:v1:${encoded}\n`],
    ['a line end within', `vault:v1:${encoded.slice(0, 4)}\n${encoded.slice(4)}`],
    ['a byte order mark', `\uFEFFvault:v1:${encoded}`],
    ['a NUL behind', `vault:v1:${encoded}\0`],
    ["the URL's alphabet", `vault:v1:${toBase64url(body)}`],
    ['no padding', 'vault:v1:AAA'],
    ['padding too much', 'vault:v1:AAAA===='],
    ['padding within', 'vault:v1:AA==AAAA'],
    ['bits behind the end', 'vault:v1:AB=='],
    ['digits of another script', 'vault:v١:AAAA'],
  ]
  for (const [what, text] of refused) {
    test(`not with ${what}`, async () => {
      assert.equal(readTransit(utf8(text)), undefined)
      for (const engine of engines) {
        const key = open(engine, 'transit-aes256-gcm96', { key: fixed(32) })
        assert.ok(['malformed', 'unknown_version'].includes(String(await key.open(utf8(text), encodeContext({})))))
        assert.equal(key.verifyMac(utf8('input'), utf8(text)), false)
        const signing = open(engine, 'transit-ed25519', { key: fixed(32) })
        assert.equal(signing.verify(utf8('input'), utf8(text)), false)
      }
    })
  }

  test('not in bytes that are no UTF-8, nor in the alphabet that the format does not have', () => {
    assert.equal(readTransit(concat([utf8('vault:v1:AAA'), Uint8Array.of(0xff)])), undefined)
    assert.equal(readTransit(utf8(`vault:v1:${encoded}`), 'base64url'), undefined)
    assert.equal(readTransit(utf8('vault:v1:AA=='), 'base64url'), undefined)
  })

  test('of the version alone, wherever the text is cut', () => {
    const text = utf8(`vault:v17:${encoded}`)
    for (let length = 0; length <= text.length; length++)
      assert.equal(transitVersion(text.subarray(0, length)), length < 10 ? undefined : 17)
  })
})

describe('the context', () => {
  const derived = { key: fixed(32), derivation: 'hkdf', convergent: 0 } as const
  const text = utf8(`vault:v1:${toBase64(fixed(40))}`)
  const refused: readonly (readonly [string, Partial<TransitVersion>, EncryptionContext, RegExp])[] = [
    ['none for a derived key', derived, {}, /vault:context/],
    ['no vault:context for a derived key', derived, { 'vault:associated_data': 'QQ==' }, /vault:context/],
    ['an empty vault:context', derived, { 'vault:context': '' }, /at least one byte/],
    ['an empty vault:associated_data', { key: fixed(32) }, { 'vault:associated_data': '' }, /at least one byte/],
    ['a vault:context for a plain key', { key: fixed(32) }, { 'vault:context': 'QQ==' }, /does not use/],
    ['a vault:nonce that is not used', derived, { 'vault:context': 'QQ==', 'vault:nonce': 'QQ==' }, /does not use/],
    ['no vault:nonce', { ...derived, convergent: 1 }, { 'vault:context': 'QQ==' }, /must hold 'vault:nonce'/],
    ['no reserved name', { ...derived, convergent: 1 }, { a: 'b' }, /must hold 'vault:nonce'/],
    [
      'a short vault:nonce',
      { ...derived, convergent: 1 },
      { 'vault:context': 'QQ==', 'vault:nonce': 'QQ==' },
      /12 bytes/,
    ],
    ['an unknown reserved name', { key: fixed(32) }, { 'vault:aad': 'QQ==' }, /reserved names/],
    ['reserved names beside others', { key: fixed(32) }, { 'vault:associated_data': 'QQ==', a: 'b' }, /reserved names/],
    ['what is no base64', { key: fixed(32) }, { 'vault:associated_data': 'QQ' }, /no base64/],
    ['the URL alphabet', { key: fixed(32) }, { 'vault:associated_data': '_w==' }, /no base64/],
  ]
  for (const [what, facts, context, says] of refused) {
    test(`is refused with ${what}`, () => {
      for (const engine of engines) {
        const key = open(engine, 'transit-aes256-gcm96', facts)
        assert.throws(() => key.open(text, encodeContext(context)), kmsError('INVALID_INPUT', says))
      }
    })
  }
})

describe('key material', () => {
  const sound: readonly (readonly [TransitKeyType, Partial<TransitVersion>])[] = [
    ['transit-aes128-gcm96', { key: fixed(16) }],
    ['transit-aes256-gcm96', { key: fixed(32), derivation: 'counter', convergent: 1 }],
    ['transit-chacha20-poly1305', { key: fixed(32), derivation: 'hkdf', convergent: 3 }],
    ['transit-ed25519', { key: fixed(32) }],
    ['transit-ed25519', { key: fixed(64), derivation: 'hkdf' }],
    ['transit-ecdsa-p521', { key: concat([fixed(1), fixed(65, 1)]) }],
    ['transit-hmac', { key: fixed(512), hmacKey: fixed(0) }],
    ['transit-hmac', { key: fixed(32), hmacKey: fixed(0) }],
  ]

  test('is read back as it was written', () => {
    for (const [keyType, facts] of sound) {
      const version: TransitVersion = { ...none, key: fixed(0), ...facts }
      assert.deepEqual(decodeTransitVersion(keyType, encodeTransitVersion(version)), version)
    }
  })

  test('is refused when it is cut, lengthened, or changed where it has no freedom', () => {
    for (const [keyType, facts] of sound) {
      const material = encodeTransitVersion({ ...none, key: fixed(0), ...facts })
      for (let length = 0; length < material.length; length++)
        assert.equal(decodeTransitVersion(keyType, material.slice(0, length)), undefined)
      assert.equal(decodeTransitVersion(keyType, concat([material, fixed(1)])), undefined)
      for (const at of [0, 1, 2, 3, 4])
        assert.equal(
          decodeTransitVersion(
            keyType,
            material.map((byte, index) => (index === at ? 0x77 : byte)),
          ),
          undefined,
        )
    }
  })

  const unsound: readonly (readonly [TransitKeyType, Partial<TransitVersion>])[] = [
    ['transit-aes128-gcm96', { key: fixed(32) }],
    ['transit-aes128-gcm96', { key: fixed(16), derivation: 'counter' }],
    ['transit-aes256-gcm96', { key: fixed(32), convergent: 3 }],
    ['transit-aes256-gcm96', { key: fixed(32), derivation: 'hkdf', convergent: 4 }],
    ['transit-ed25519', { key: fixed(64) }],
    ['transit-ed25519', { key: fixed(64), derivation: 'counter' }],
    ['transit-ed25519', { key: fixed(64), derivation: 'hkdf', convergent: 3 }],
    ['transit-ecdsa-p256', { key: fixed(32), derivation: 'hkdf' }],
    ['transit-ecdsa-p256', { key: new Uint8Array(32) }],
    ['transit-rsa-2048', { key: fixed(100) }],
    ['transit-hmac', { key: fixed(31), hmacKey: fixed(0) }],
    ['transit-hmac', { key: fixed(513), hmacKey: fixed(0) }],
    ['transit-hmac', { key: fixed(32) }],
  ]

  test('is refused where Vault could have no such key', () => {
    for (const [keyType, facts] of unsound) {
      const material = encodeTransitVersion({ ...none, key: fixed(0), ...facts })
      assert.equal(everyAlgorithm[keyType].valid(material), false)
      for (const engine of engines)
        assert.throws(() => everyAlgorithm[keyType].open(engine, material, 1), kmsError('INVALID_INPUT'))
    }
  })
})

describe('a prepared version', () => {
  const material = encodeTransitVersion({ ...none, key: fixed(32) })

  test('makes nothing, is made nowhere, shows no secret, and is gone once destroyed', async () => {
    for (const engine of engines) {
      const key = transitKey(engine, { keyType: 'transit-aes256-gcm96', version: 1, material })
      for (const make of [key.seal, key.sign, key.mac])
        assert.throws(() => make(), kmsError('UNSUPPORTED_OPERATION', /cannot make anything/))
      assert.throws(() => key.verify(utf8(''), utf8('vault:v1:')), kmsError('UNSUPPORTED_OPERATION', /cannot verify/))
      assert.throws(() => key.publicKey, kmsError('UNSUPPORTED_OPERATION', /cannot getPublicKey/))
      const shown = inspect(key, { depth: 9, showHidden: true })
      assert.ok(!shown.includes('7, 8, 9') && !shown.includes('07 08 09'))
      key.destroy()
      assert.throws(() => key.open(utf8('vault:v1:AAAA'), encodeContext({})), kmsError('CLOSED'))
      assert.throws(() => key.verifyMac(utf8(''), utf8('vault:v1:AAAA')), kmsError('CLOSED'))
    }
  })

  test('every transit type is a row that only opens and verifies', () => {
    for (const keyType of Object.keys(transitKinds) as TransitKeyType[]) {
      const row = everyAlgorithm[keyType]
      assert.ok(isTransit(keyType))
      assert.equal(row.keyType, keyType)
      assert.ok(row.uses.includes('mac') && row.onlyFrom !== undefined && !row.counted)
      assert.throws(() => row.generate(node), kmsError('UNSUPPORTED_OPERATION', /importTransitBackup/))
      assert.throws(() => requireApproved(keyType), kmsError('UNSUPPORTED_OPERATION', /not allowed in FIPS mode/))
    }
    assert.equal(isTransit('aes256-gcm96'), false)
  })

  test('refuses options that make no sense for its type', () => {
    const ed25519 = open(node, 'transit-ed25519', { key: fixed(32) })
    const ecdsa = open(node, 'transit-ecdsa-p256', { key: fixed(32, 1) })
    const mac = open(node, 'transit-hmac', { key: fixed(32), hmacKey: fixed(0) })
    const invalid = kmsError('INVALID_INPUT')
    const text = utf8('vault:v9:AAAA')
    assert.throws(() => ed25519.verify(utf8(''), text, { hashAlgorithm: 'sha256' }), invalid)
    assert.throws(() => ed25519.verify(utf8(''), text, { prehashed: true }), invalid)
    assert.throws(() => ecdsa.verify(utf8(''), text, { padding: 'pss' }), invalid)
    assert.throws(() => ecdsa.verify(utf8(''), text, { hashAlgorithm: 'none' }), invalid)
    assert.throws(() => ecdsa.verify(fixed(31), text, { prehashed: true }), invalid)
    assert.throws(() => mac.verifyMac(utf8(''), text, { hashAlgorithm: 'none' }), invalid)
  })

  test('a derived Ed25519 key says that a client cannot tell it the context', () => {
    const key = open(node, 'transit-ed25519', { key: fixed(64), derivation: 'hkdf' })
    assert.throws(() => key.verify(utf8(''), utf8('vault:v1:AAAA')), kmsError('UNSUPPORTED_OPERATION', /context/))
    assert.throws(() => key.publicKey, kmsError('UNSUPPORTED_OPERATION'))
  })
})

test('every section of the fixture is accounted for by name', { skip: noShared }, () => {
  const here = ['hmac', 'hash', 'ecdsa', 'audit_hmac', 'kdf']
  const produced = ['symmetric', 'derived_and_convergent', 'hmac', 'signatures', 'rsa_oaep', 'import']
  const elsewhere = {
    upstream_fixed: { imports: 'two odd PKCS#8 forms that its import takes: vault-backup/pkcs8.test.ts' },
    produced_by_upstream_code: {
      backup: 'vault-backup/import.test.ts',
      stored_policy_after_2_rotations_min_decryption_3: 'vault-backup/read.test.ts',
      stored_archive_after_2_rotations_min_decryption_3: 'vault-backup/read.test.ts',
      audit_salt: "Vault's own audit log is not read here: its values are hashed as audit_hmac, above",
      audit_lines: "Vault's own audit log is not read here",
      bad_inputs: "what Vault's HTTP endpoint answers: the tests of providers/vault-transit",
    },
  }
  const names = (part: object, rest: object) => [Object.keys(part).sort(), Object.keys(rest)]
  const [fixedNames, fixedRest] = names(answers().upstream_fixed, elsewhere.upstream_fixed)
  assert.deepEqual(fixedNames, [...here, ...(fixedRest ?? [])].sort())
  const [producedNames, producedRest] = names(answers().produced_by_upstream_code, elsewhere.produced_by_upstream_code)
  assert.deepEqual(producedNames, [...produced, ...(producedRest ?? [])].sort())
  assert.deepEqual(Object.keys(answers()).sort(), ['about', 'produced_by_upstream_code', 'upstream_fixed'])
})
