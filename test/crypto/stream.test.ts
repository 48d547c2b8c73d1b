/** The chunks of a message, below the streams: what opens where, on both engines. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concat, hex } from '../../src/crypto/bytes.ts'
import { openChunks, type StreamKey, sealChunks, sealedLength, streamKey } from '../../src/crypto/stream.ts'
import { assertOwned, engines, fixed, kmsError, noble, node } from './engines.ts'

const chunkLength = 64
const step = chunkLength + 16
const options = { dataKey: fixed(32, 1), salt: fixed(32, 2), info: fixed(9, 3), chunkLength }

function sealed(key: StreamKey, plaintext: Uint8Array): Uint8Array {
  const out = new Uint8Array(sealedLength(plaintext.length, key.chunkLength))
  sealChunks(key, plaintext, out, 0)
  return out
}

for (const engine of engines)
  describe(`chunks, ${engine.name}`, () => {
    const key = streamKey(engine, options)

    test('opens what it sealed, of any length, in the one layout of that length', () => {
      for (const length of [0, 1, 63, 64, 65, 127, 128, 129, 1000]) {
        const plaintext = fixed(length, 5)
        const chunks = sealed(key, plaintext)
        assert.equal(chunks.length, length + 16 * (Math.floor(length / 64) + 1))
        const opened = openChunks(key, chunks) ?? assert.fail('opens')
        assert.deepEqual(opened, plaintext)
        assertOwned(opened)
      }
    })

    test('a chunk in pieces is the same chunk, and each piece owns its bytes', () => {
      for (const length of [0, 1, 16_384, 16_385, 65_536]) {
        const large = streamKey(engine, { ...options, chunkLength: 65_536 })
        const place = { index: 3, isLast: length < 65_536 }
        const whole = new Uint8Array(length + 16)
        large.sealChunk(place, fixed(length), whole, 0)
        const pieces = large.sealPieces(place, fixed(length))
        assert.deepEqual(concat(pieces), whole)
        for (const piece of pieces) assertOwned(piece)
      }
    })

    test('every changed bit of every chunk is noticed', () => {
      const chunks = sealed(key, fixed(150))
      for (let bit = 0; bit < chunks.length * 8; bit++) {
        const changed = chunks.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.equal(openChunks(key, changed), undefined, `bit ${bit}`)
      }
    })

    test('truncated anywhere, and appended to, it does not open', () => {
      for (const plaintext of [fixed(128), fixed(150)]) {
        const chunks = sealed(key, plaintext)
        for (let length = 0; length < chunks.length; length++)
          assert.equal(openChunks(key, chunks.subarray(0, length)), undefined, `${length}`)
        for (const more of [fixed(1), fixed(16), chunks.subarray(0, step), chunks.subarray(-38)])
          assert.equal(openChunks(key, concat([chunks, more])), undefined)
      }
    })

    test('chunks dropped, doubled, in another order, or of another message do not open', () => {
      const chunks = sealed(key, fixed(200))
      const other = sealed(streamKey(engine, { ...options, salt: fixed(32, 9) }), fixed(200))
      const [a, b, c, end] = [0, 1, 2, 3].map((at) => chunks.subarray(at * step, (at + 1) * step)) as Uint8Array[]
      const [, theirs, , theirEnd] = [0, 1, 2, 3].map((at) => other.subarray(at * step, (at + 1) * step))
      assert.ok(a && b && c && end && theirs && theirEnd)
      assert.ok(openChunks(key, concat([a, b, c, end])))
      const wrong = { reordered: [b, a, c, end], doubled: [a, b, b, c, end], first: [b, c, end], last: [a, b, c] }
      const more = { middle: [a, c, end], spliced: [a, theirs, c, end], otherEnd: [a, b, c, theirEnd], onlyEnd: [end] }
      for (const [how, parts] of Object.entries({ ...wrong, ...more }))
        assert.equal(openChunks(key, concat(parts)), undefined, how)
    })

    test('a chunk opens only at its own place, and full ones are never the last', () => {
      const chunks = sealed(key, fixed(200))
      const second = chunks.subarray(step, 2 * step)
      assert.ok(key.openChunk({ index: 1, isLast: false }, second))
      for (const place of [
        { index: 0, isLast: false },
        { index: 2, isLast: false },
        { index: 1, isLast: true },
        { index: 2 ** 32 + 1, isLast: false },
      ])
        assert.equal(key.openChunk(place, second), undefined)
      const forged = new Uint8Array(step)
      key.sealChunk({ index: 0, isLast: true }, fixed(64), forged, 0)
      assert.equal(key.openChunk({ index: 0, isLast: true }, forged), undefined)
    })

    test('a chunk whose index has no place in the nonce is refused', () => {
      const out = new Uint8Array(step)
      key.sealChunk({ index: 2 ** 32 - 1, isLast: false }, fixed(64), out, 0)
      const beyond = () => key.sealChunk({ index: 2 ** 32, isLast: false }, fixed(64), out, 0)
      assert.throws(beyond, kmsError('INVALID_INPUT', /chunks/))
    })

    test('no nonce is used twice: every place has ciphertexts of its own', () => {
      const zeros = new Uint8Array(chunkLength)
      const seen = new Set<string>()
      for (const salt of [fixed(32, 2), fixed(32, 3)])
        for (let index = 0; index < 50; index++)
          for (const isLast of [true, false]) {
            const out = new Uint8Array(step)
            streamKey(engine, { ...options, salt }).sealChunk({ index, isLast }, zeros, out, 0)
            seen.add(hex(out.subarray(0, chunkLength)))
          }
      assert.equal(seen.size, 200)
    })

    test('the commitment differs with data key, salt and info', () => {
      const others = [{ dataKey: fixed(32, 7) }, { salt: fixed(32, 7) }, { info: fixed(8, 3) }]
      const commitments = [{}, ...others].map((other) => hex(streamKey(engine, { ...options, ...other }).commitment))
      assert.equal(new Set(commitments).size, 4)
    })

    test('a data key of another length is refused; after destroy nothing is sealed', () => {
      assert.throws(() => streamKey(engine, { ...options, dataKey: fixed(16) }), kmsError('INVALID_INPUT', /32 bytes/))
      const gone = streamKey(engine, options)
      gone.destroy()
      assert.throws(() => sealed(gone, fixed(3)), kmsError('CLOSED'))
    })
  })

test('both engines make the same chunks, and open each other’s', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      (plaintext, salt) => {
        const [ours, theirs] = [node, noble].map((engine) => streamKey(engine, { ...options, salt }))
        assert.ok(ours && theirs)
        assert.deepEqual(ours.commitment, theirs.commitment)
        const chunks = sealed(ours, plaintext)
        assert.deepEqual(sealed(theirs, plaintext), chunks)
        assert.deepEqual(openChunks(theirs, chunks), plaintext)
      },
    ),
    { numRuns: 60 },
  )
})
