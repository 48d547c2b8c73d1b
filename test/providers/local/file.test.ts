import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { engine as noble } from '../../../src/crypto/noble.ts'
import { engine } from '../../../src/crypto/node.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { decodeKeystore, encodeKeystore } from '../../../src/providers/local/encoding.ts'
import { readHeader, sealKeystore, unsealKeystore } from '../../../src/providers/local/file.ts'
import type { Keystore } from '../../../src/providers/local/keystore.ts'
import { keystores } from './keystores.ts'

const root = { key: randomBytes(32) }
const keystore: Keystore = {
  id: 'abcdefghijklmnopqrstuvwxyz',
  generation: 7,
  keys: [],
  retired: [],
  usage: [{ identity: 'kms-a', version: 1, messages: 2 ** 40 }],
  usageKey: new Uint8Array(randomBytes(32)),
  signerSeed: new Uint8Array(randomBytes(32)),
  formerSeeds: [new Uint8Array(randomBytes(32))],
  changes: { operationIDs: ['one', 'two'], forgotten: 'none' },
}
const headerLength = 147

function failure(run: () => unknown): KmsError {
  try {
    run()
  } catch (error) {
    if (error instanceof KmsError) return error
    throw error
  }
  throw new Error('expected a KmsError')
}

test('every keystore that can be is the same after encoding and decoding', () => {
  fc.assert(
    fc.property(keystores, (original) => {
      assert.deepEqual(decodeKeystore(encodeKeystore(original)), original)
    }),
    { numRuns: 300 },
  )
})

test('bytes that no keystore encodes to are refused, never a crash', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      assert.equal(failure(() => decodeKeystore(bytes)).code, 'INTERNAL')
    }),
    { numRuns: 2000 },
  )
})

test('an encoding cut short, lengthened or with a byte changed is refused or another keystore, never a crash', () => {
  fc.assert(
    fc.property(keystores, fc.nat(), fc.integer({ min: 1, max: 255 }), (original, at, change) => {
      const encoded = encodeKeystore(original)
      const position = at % encoded.length
      assert.equal(failure(() => decodeKeystore(encoded.subarray(0, position))).code, 'INTERNAL')
      assert.equal(failure(() => decodeKeystore(new Uint8Array([...encoded, 0]))).code, 'INTERNAL')
      encoded[position] = (encoded[position] ?? 0) ^ change
      try {
        assert.notDeepEqual(decodeKeystore(encoded), original)
      } catch (error) {
        assert.ok(error instanceof KmsError && error.code === 'INTERNAL', String(error))
      }
    }),
    { numRuns: 300 },
  )
})

test('a key without a version is refused', () => {
  fc.assert(
    fc.property(keystores, (original) => {
      fc.pre(original.keys.length > 0)
      const without = { ...original, keys: original.keys.map((key) => ({ ...key, versions: [] })) }
      assert.equal(failure(() => decodeKeystore(encodeKeystore(without))).code, 'INTERNAL')
    }),
    { numRuns: 20 },
  )
})

test('lengths that lie cost nothing', () => {
  const lying = new Uint8Array(1_000_000).fill(255)
  // The id, the generation, the length of the seed; then lies.
  lying.set([0, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 32])
  const begun = performance.now()
  for (let round = 0; round < 100; round++) assert.equal(failure(() => decodeKeystore(lying)).code, 'INTERNAL')
  assert.ok(performance.now() - begun < 2000)
})

test('a sealed keystore opens on both engines, and never looks the same twice', () => {
  const file = sealKeystore(engine, root, keystore)
  assert.deepEqual(unsealKeystore(engine, root, file), keystore)
  assert.deepEqual(unsealKeystore(noble, root, file), keystore)
  assert.deepEqual(unsealKeystore(engine, root, sealKeystore(noble, root, keystore)), keystore)
  const other = sealKeystore(engine, root, keystore)
  assert.notDeepEqual(other.subarray(59, headerLength), file.subarray(59, headerLength))
  assert.notDeepEqual(other.subarray(headerLength), file.subarray(headerLength))
})

test('the header says in the clear what opening needs, byte for byte as documented', () => {
  const kdf = { N: 2 ** 17, r: 8, p: 1, salt: randomBytes(32) }
  const file = sealKeystore(engine, { ...root, kdf }, keystore)
  assert.equal(Buffer.from(file.subarray(0, 8)).toString(), 'keytrail')
  assert.equal(Buffer.from(file.subarray(8, 27)).toString('hex'), `01${'0000000000000007'}01110000000800000001`)
  assert.deepEqual(Buffer.from(file.subarray(27, 59)), kdf.salt)
  const header = readHeader(engine, file)
  assert.equal(header.generation, 7)
  assert.deepEqual({ ...header.kdf, salt: Buffer.from(header.kdf?.salt ?? []) }, kdf)
})

test('damage to any bit of the header is refused as damage, not as a wrong root key', () => {
  const file = sealKeystore(engine, root, keystore)
  for (let at = 0; at < headerLength; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = file.slice()
      damaged[at] = (damaged[at] ?? 0) ^ (1 << bit)
      const error = failure(() => unsealKeystore(engine, root, damaged))
      assert.equal(error.code, 'INTERNAL', `byte ${at}`)
      assert.match(error.message, /damaged|cannot read/)
    }
  }
})

test('damage to the body, a file cut short and a file made longer are refused', () => {
  const file = sealKeystore(engine, root, keystore)
  for (let round = 0; round < 200; round++) {
    const damaged = file.slice()
    const at = randomInt(headerLength, file.length)
    damaged[at] = (damaged[at] ?? 0) ^ (1 << randomInt(8))
    assert.match(failure(() => unsealKeystore(engine, root, damaged)).message, /content is not as it was written/)
  }
  for (let length = 0; length < file.length; length++)
    assert.equal(failure(() => unsealKeystore(engine, root, file.subarray(0, length))).code, 'INTERNAL')
  assert.equal(failure(() => unsealKeystore(engine, root, new Uint8Array([...file, 0]))).code, 'INTERNAL')
})

test('a wrong root key is told as such', () => {
  const file = sealKeystore(engine, root, keystore)
  const error = failure(() => unsealKeystore(engine, { key: randomBytes(32) }, file))
  assert.equal(error.code, 'INVALID_INPUT')
  assert.match(error.message, /wrong root key/)
})

test('header and body of two files do not go together', () => {
  const [one, two] = [sealKeystore(engine, root, keystore), sealKeystore(engine, root, keystore)]
  const mixed = new Uint8Array([...one.subarray(0, headerLength), ...two.subarray(headerLength)])
  assert.equal(failure(() => unsealKeystore(engine, root, mixed)).code, 'INTERNAL')
})
