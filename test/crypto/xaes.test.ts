/** @node XAES-256-GCM against its specification and against vectors made with another library. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { shake128 } from '@noble/hashes/sha3.js'
import { openBox, sealBox } from '../../src/crypto/box.ts'
import { concat, hex } from '../../src/crypto/bytes.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import { isWhole } from '../share.ts'
import { noShared, sharedJson } from '../shared.ts'
import { assertOwned, engines, fixed, kmsError, node, unhex } from './engines.ts'

interface Spec {
  readonly tests: readonly { key: string; iv: string; aad: string; msg: string; ctTag: string }[]
  readonly accumulated: { readonly 10000: string; readonly 1000000: string }
}

interface Made {
  readonly tests: readonly {
    tcId: number
    key: string
    iv: string
    aad: string
    msg: string
    ct: string
    tag: string
    result: 'valid' | 'invalid'
  }[]
}

for (const engine of engines) {
  describe(`XAES-256-GCM, ${engine.name}`, () => {
    test("the specification's examples", { skip: noShared }, () => {
      const { tests } = sharedJson<Spec>('vectors/xaes_spec.json')
      assert.equal(tests.length, 2)
      for (const one of tests) {
        const input = { key: unhex(one.key), nonce: unhex(one.iv), aad: unhex(one.aad) }
        const box = sealBox(engine, { ...input, plaintext: unhex(one.msg) })
        assert.equal(hex(box), one.ctTag)
        assert.equal(hex(openBox(engine, { ...input, box }) ?? fixed(1)), one.msg)
      }
    })

    test("another library's answers, right and changed", { skip: noShared }, () => {
      const { tests } = sharedJson<Made>('vectors/xaes256gcm.json')
      assert.equal(tests.length, 96)
      for (const one of tests) {
        const input = { key: unhex(one.key), nonce: unhex(one.iv), aad: unhex(one.aad) }
        const box = concat([unhex(one.ct), unhex(one.tag)])
        const opened = openBox(engine, { ...input, box })
        if (one.result === 'invalid') {
          assert.equal(opened, undefined, `tcId ${one.tcId}`)
          continue
        }
        assert.deepEqual(opened, unhex(one.msg), `tcId ${one.tcId}`)
        assert.deepEqual(sealBox(engine, { ...input, plaintext: unhex(one.msg) }), box, `tcId ${one.tcId}`)
      }
    })

    test('10,000 messages drawn from a stream have the specified hash', { skip: noShared }, () => {
      assert.equal(accumulate(engine, 10_000), sharedJson<Spec>('vectors/xaes_spec.json').accumulated[10000])
    })

    test('a box opens only whole, unchanged, with its own key, nonce and header', () => {
      const input = { key: fixed(32), nonce: fixed(24), aad: fixed(7) }
      const box = sealBox(engine, { ...input, plaintext: fixed(100) })
      assertOwned(box)
      const opened = openBox(engine, { ...input, box })
      assert.deepEqual(opened, fixed(100))
      assertOwned(opened ?? box)
      for (const length of [0, 15, 16, box.length - 1]) {
        assert.equal(openBox(engine, { ...input, box: box.slice(0, length) }), undefined)
      }
      assert.equal(openBox(engine, { ...input, box, key: fixed(32, 1) }), undefined)
      assert.equal(openBox(engine, { ...input, box, nonce: fixed(24, 1) }), undefined)
      assert.equal(openBox(engine, { ...input, box, aad: fixed(8) }), undefined)
    })

    test('keys and nonces of other lengths are refused by name', () => {
      const input = { key: fixed(32), nonce: fixed(24), aad: fixed(0), plaintext: fixed(1) }
      assert.throws(() => sealBox(engine, { ...input, key: fixed(16) }), kmsError('INVALID_INPUT', /32 bytes, not 16/))
      assert.throws(
        () => sealBox(engine, { ...input, nonce: fixed(12) }),
        kmsError('INVALID_INPUT', /24 bytes, not 12/),
      )
    })
  })
}

// Only the fast engine, and the streams by OpenSSL: noble would need minutes, and agrees on the first 10,000.
if (isWhole)
  test('1,000,000 messages drawn from a stream have the specified hash', { skip: noShared }, () => {
    const sink = createHash('shake128', { outputLength: 32 })
    drawn(node, 1_000_000, { source: from(createHash('shake128', { outputLength: 314_000_000 }).digest()), sink })
    assert.equal(sink.digest('hex'), sharedJson<Spec>('vectors/xaes_spec.json').accumulated[1000000])
  })

/** The hash that `xaes_spec.json` tells after so many messages. */
function accumulate(engine: Engine, messages: number): string {
  const sink = shake128.create()
  drawn(engine, messages, { source: stream(), sink })
  return hex(sink.xof(32))
}

interface Streams {
  /** The next so many bytes; SHAKE-128 of nothing. */
  readonly source: (length: number) => Uint8Array
  readonly sink: { update(bytes: Uint8Array): unknown }
}

/** As `xaes_spec.json` tells: inputs from one SHAKE-128 stream, ciphertexts into another. */
function drawn(engine: Engine, messages: number, { source, sink }: Streams): void {
  for (let made = 0; made < messages; made++) {
    const key = source(32)
    const nonce = source(24)
    const plaintext = source(source(1)[0] ?? 0)
    const aad = source(source(1)[0] ?? 0)
    sink.update(sealBox(engine, { key, nonce, aad, plaintext }))
  }
}

function from(buffer: Buffer): Streams['source'] {
  // What is sealed is a plain Uint8Array.
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
  let at = 0
  return (length) => {
    at += length
    assert.ok(at <= bytes.length, 'the stream was long enough')
    return bytes.subarray(at - length, at)
  }
}

function stream(): Streams['source'] {
  const shake = shake128.create()
  let block: Uint8Array = shake.xof(65_536)
  let at = 0
  return (length) => {
    if (at + length > block.length) {
      block = concat([block.subarray(at), shake.xof(65_536)])
      at = 0
    }
    at += length
    return block.slice(at - length, at)
  }
}
