/** Local ciphertexts, as bytes and as text. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type AeadName, aeads } from '../../src/crypto/aead.ts'
import { algorithms, isFor } from '../../src/crypto/algorithms.ts'
import { concat, fromUtf8, hex, utf8 } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import {
  commitment,
  decodeCiphertext,
  encodeCiphertext,
  type FrameKey,
  frameKey,
  versionOf,
} from '../../src/crypto/frame.ts'
import type { KeyType } from '../../src/model/key.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertLinear, assertOwned, engines, fixed, kmsError, noble, node, sealed, unhex } from './engines.ts'

// Made once by a Python program that shares no code with the library, from DESIGN §3: key 00 01 … 1f, version 7.
const golden = {
  commitment: 'cd8f81510230ca0659a0a01cf768266894b1c2ef2c991828383da1d1199b127f',
  frame:
    '0100000007cd8f81510230ca0659a0a01cf768266894b1c2ef2c991828383da1d1199b127f404142434445464748494a4b' +
    '83cdda424557a762b9e47357ec0ac1def98bb7df8f340672933087957ebd',
  text: 'keytrail:v7:AQAAAAfNj4FRAjDKBlmgoBz3aCZolLHC7yyZGCg4PaHRGZsSf0BBQkNERUZHSElKS4PN2kJFV6diueRzV-wKwd75i7ffjzQGcpMwh5V-vQ',
  context: { order: '17', '\ue000': 'x', '\u{10000}': 'y', é: '' },
  plaintext: 'attack at dawn',
}

/** The key types whose ciphertexts are frames. */
const frameTypes = {
  'aes128-gcm96': 'aes-128-gcm',
  'aes256-gcm96': 'aes-256-gcm',
  'chacha20-poly1305': 'chacha20-poly1305',
  'xaes256-gcm': 'xaes-256-gcm',
  'xchacha20-poly1305': 'xchacha20-poly1305',
} as const satisfies Partial<Record<KeyType, AeadName>>
type FrameType = keyof typeof frameTypes
const encrypting = Object.keys(frameTypes) as readonly FrameType[] // Object.keys forgets its own names

function keyOf(engine: Engine, keyType: FrameType, key: Uint8Array, version: number): FrameKey {
  return frameKey(engine, { keyType, version, aead: frameTypes[keyType], key })
}

const lengthOf = (keyType: FrameType) => aeads[frameTypes[keyType]].keyLength
const empty = encodeContext(undefined)

for (const engine of engines) {
  describe(`frames, ${engine.name}`, () => {
    test('the golden frame opens, and has the golden commitment and text', () => {
      const key = fixed(32)
      assert.equal(hex(commitment(engine, { version: 7, keyType: 'aes256-gcm96', key })), golden.commitment)
      const plaintext = keyOf(engine, 'aes256-gcm96', key, 7).open(unhex(golden.frame), encodeContext(golden.context))
      assert.ok(plaintext instanceof Uint8Array, String(plaintext))
      assert.equal(fromUtf8(plaintext), golden.plaintext)
      assert.equal(encodeCiphertext(unhex(golden.frame)), golden.text)
      assert.equal(hex(decodeCiphertext(golden.text)), golden.frame)
    })

    for (const keyType of encrypting) {
      const material = fixed(lengthOf(keyType), 5)
      const key = keyOf(engine, keyType, material, 3)
      const context = encodeContext({ tenant: 'a' })

      test(`${keyType}: opens what it sealed, of any length, in its layout`, () => {
        const { nonceLength } = aeads[frameTypes[keyType]]
        for (const length of [0, 1, 15, 16, 17, 1024, 65_535, 200_000]) {
          const plaintext = fixed(length, 1)
          const frame = key.seal(plaintext, context)
          assertOwned(frame)
          assert.equal(frame.length, 37 + nonceLength + length + 16)
          assert.equal(versionOf(frame), 3)
          const pinned = commitment(engine, { version: 3, keyType, key: material })
          assert.deepEqual(frame.slice(5, 37), pinned)
          const opened = key.open(frame, context)
          assert.deepEqual(opened, plaintext)
          assertOwned(opened as Uint8Array) // equal to the plaintext, so no failure
        }
      })

      test(`${keyType}: no nonce is used twice`, () => {
        const frames = Array.from({ length: 2000 }, () => hex(key.seal(fixed(0), empty).subarray(37, -16)))
        assert.equal(new Set(frames).size, frames.length)
      })

      test(`${keyType}: every changed bit is noticed, and named`, () => {
        const frame = key.seal(fixed(20), context)
        for (let bit = 0; bit < frame.length * 8; bit++) {
          const changed = frame.slice()
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          const at = bit >> 3
          const expected =
            at === 0
              ? 'malformed'
              : at < 5
                ? 'unknown_version'
                : at < 37
                  ? 'commitment_mismatch'
                  : 'authentication_failed'
          assert.equal(key.open(changed, context), expected, `bit ${bit}`)
        }
      })

      test(`${keyType}: every truncation and any growth is noticed`, () => {
        const frame = key.seal(fixed(3), context)
        for (let length = 0; length < frame.length; length++) {
          const failure = key.open(frame.slice(0, length), context)
          assert.ok(failure === 'malformed' || failure === 'authentication_failed', `${length}: ${failure}`)
        }
        assert.equal(key.open(concat([frame, fixed(1)]), context), 'authentication_failed')
      })

      test(`${keyType}: opens only with its context, key, version and type`, () => {
        const frame = key.seal(fixed(20), context)
        assert.equal(key.open(frame, empty), 'authentication_failed')
        assert.equal(key.open(frame, encodeContext({ tenant: 'b' })), 'authentication_failed')
        assert.deepEqual(key.open(frame, context), fixed(20))
        const other = fixed(lengthOf(keyType), 6)
        assert.equal(keyOf(engine, keyType, other, 3).open(frame, context), 'commitment_mismatch')
        assert.equal(keyOf(engine, keyType, material, 4).open(frame, context), 'unknown_version')
        for (const sibling of encrypting) {
          if (sibling === keyType || lengthOf(sibling) !== lengthOf(keyType)) continue
          assert.notEqual(typeof keyOf(engine, sibling, material, 3).open(frame, context), 'object', sibling)
        }
      })

      test(`${keyType}: a view into a larger buffer is sealed and opened like a copy`, () => {
        const large = fixed(100)
        const frame = key.seal(large.subarray(10, 30), context)
        const holder = concat([fixed(9), frame, fixed(9)])
        assert.deepEqual(key.open(holder.subarray(9, 9 + frame.length), context), large.slice(10, 30))
      })
    }

    test('random bytes never open and never throw', () => {
      const keys = encrypting.map((keyType) => keyOf(engine, keyType, fixed(lengthOf(keyType)), 1))
      const start = Uint8Array.of(1, 0, 0, 0, 1)
      const bytes = fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ maxLength: 200 }).map((rest) => concat([start, rest])),
      )
      fc.assert(
        fc.property(bytes, fc.uint8Array({ maxLength: 20 }), (frame, context) => {
          for (const key of keys) assert.equal(typeof key.open(frame, context), 'string')
        }),
      )
    })

    test('a ciphertext that is valid under two keys opens under at most one', { skip: noShared }, () => {
      type Salamander = Readonly<Record<'key1' | 'key2' | 'iv' | 'aad' | 'ct' | 'tag' | 'msg1', string>>
      const { tests } = sharedJson<{ readonly tests: readonly Salamander[] }>('vectors/salamander_aes256gcm.json')
      assert.equal(tests.length, 8)
      for (const one of tests) {
        const [key1, key2, nonce, aad] = [one.key1, one.key2, one.iv, one.aad].map(unhex)
        assert.ok(key1 && key2 && nonce && aad)
        const body = concat([unhex(one.ct), unhex(one.tag)])
        // The bare AEAD opens it under both: that is the attack.
        for (const key of [key1, key2]) assert.ok(engine.aead('aes-256-gcm', key).open(nonce, aad, body, 0))
        assert.deepEqual(sealed(engine, 'aes-256-gcm', { key: key1, nonce, aad, plaintext: unhex(one.msg1) }), body)
        for (const [pinned, other] of [
          [key1, key2],
          [key2, key1],
        ] as const) {
          const head = concat([
            Uint8Array.of(1, 0, 0, 0, 1),
            commitment(engine, { version: 1, keyType: 'aes256-gcm96', key: pinned }),
          ])
          assert.equal(
            keyOf(engine, 'aes256-gcm96', other, 1).open(concat([head, nonce, body]), empty),
            'commitment_mismatch',
          )
        }
      }
    })
  })
}

test('these are the key types that encrypt with a symmetric key, and their rows make the same frames', async () => {
  const rows = Object.values(algorithms).filter(({ uses, form }) => uses.includes('encrypt') && form === 'raw')
  assert.deepEqual(rows.map(({ keyType }) => keyType).sort(), [...encrypting].sort())
  for (const keyType of encrypting) {
    const algorithm = algorithms[keyType]
    assert.ok(isFor('encrypt', algorithm))
    const material = fixed(lengthOf(keyType))
    const frame = await algorithm.open(node, material, 5).seal(fixed(9), empty)
    assert.deepEqual(keyOf(noble, keyType, material, 5).open(frame, empty), fixed(9))
  }
})

test('versionOf names no version where there is no frame', () => {
  const frame = unhex(golden.frame)
  assert.equal(versionOf(frame), 7)
  assert.equal(versionOf(frame.subarray(0, 65)), 7)
  assert.equal(versionOf(frame.subarray(0, 64)), undefined)
  assert.equal(versionOf(concat([Uint8Array.of(2), frame.subarray(1)])), undefined)
  assert.equal(versionOf(concat([Uint8Array.of(1, 0, 0, 0, 0), frame.subarray(5)])), undefined)
  assert.equal(versionOf(concat([Uint8Array.of(1, 255, 255, 255, 255), frame.subarray(5)])), 0xffffffff)
})

const frames = fc
  .record({ version: fc.integer({ min: 1, max: 0xffffffff }), rest: fc.uint8Array({ minLength: 60, maxLength: 300 }) })
  .map(({ version, rest }) => concat([Uint8Array.of(1, version >>> 24, version >>> 16, version >>> 8, version), rest]))

test('the text of a ciphertext undoes itself', () => {
  fc.assert(fc.property(frames, (frame) => assert.deepEqual(decodeCiphertext(encodeCiphertext(frame)), frame)))
  assertOwned(decodeCiphertext(golden.text))
})

test('a text that decodes is the one spelling of its bytes, and nothing crashes', () => {
  const mutated = fc
    .record({ frame: frames, at: fc.nat(), to: fc.string({ maxLength: 3 }) })
    .map(({ frame, at, to }) => {
      const text = encodeCiphertext(frame)
      const where = at % text.length
      return text.slice(0, where) + to + text.slice(where + 1)
    })
  fc.assert(
    fc.property(
      fc.oneof(
        mutated,
        fc.string(),
        fc.string().map((text) => `keytrail:v1:${text}`),
      ),
      (text) => {
        try {
          assert.equal(encodeCiphertext(decodeCiphertext(text)), text)
        } catch (error) {
          kmsError('INVALID_CIPHERTEXT', /expected keytrail:v<version>/)(error)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('other spellings of the same ciphertext are refused', () => {
  const { text } = golden
  const body = text.slice('keytrail:v7:'.length)
  const spellings = [
    `keytrail:v07:${body}`,
    `keytrail:v8:${body}`,
    `keytrail:v+7:${body}`,
    `keytrail:v7.0:${body}`,
    `keytrail:v7::${body}`,
    `keytrail:v7:x:${body}`,
    `KEYTRAIL:v7:${body}`,
    `keytrail:V7:${body}`,
    `vault:v7:${body}`,
    ` ${text}`,
    `${text} `,
    `${text}\n`,
    `${text}=`,
    text.replaceAll('-', '+'),
    body,
    '',
    'keytrail:v7:',
  ]
  for (const spelling of spellings)
    assert.throws(() => decodeCiphertext(spelling), kmsError('INVALID_CIPHERTEXT'), spelling)
  // What a caller without types may pass.
  const decodeAny = decodeCiphertext as (text: unknown) => Uint8Array
  const encodeAny = encodeCiphertext as (ciphertext: unknown) => string
  for (const wrong of [undefined, null, 7, fixed(100)]) assert.throws(() => decodeAny(wrong), kmsError('INVALID_INPUT'))
  for (const wrong of [undefined, 'text', [1]]) assert.throws(() => encodeAny(wrong), kmsError('INVALID_CIPHERTEXT'))
  assert.throws(() => encodeCiphertext(fixed(100)), kmsError('INVALID_CIPHERTEXT'))
})

test('reading a text is linear, right or wrong', () => {
  const text = (length: number) => encodeCiphertext(concat([Uint8Array.of(1, 0, 0, 0, 1), new Uint8Array(length)]))
  const refused = (input: string) => () => assert.throws(() => decodeCiphertext(input), kmsError('INVALID_CIPHERTEXT'))
  assertLinear((length) => {
    const input = text(length)
    return () => decodeCiphertext(input)
  })
  assertLinear((length) => refused(':'.repeat(length)))
  assertLinear((length) => refused(`keytrail:v${'1'.repeat(length)}:AAAA`))
  assertLinear((length) => refused(`${text(length)}!`))
})

test('the key is copied: wiping the material given changes nothing', () => {
  for (const engine of engines) {
    for (const keyType of encrypting) {
      const material = fixed(lengthOf(keyType), 9)
      const key = keyOf(engine, keyType, material, 1)
      const frame = key.seal(utf8('x'), empty)
      material.fill(0)
      assert.deepEqual(key.open(frame, empty), utf8('x'))
    }
  }
})
