/** @node The format's page: its vectors open here, are made here, and open with the lines that are not ours. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { concat, hex } from '../../../src/crypto/bytes.ts'
import { encodeContext } from '../../../src/crypto/canonical.ts'
import { openChunks, sealChunks, sealedLength, streamKey } from '../../../src/crypto/stream.ts'
import {
  encodeHeader,
  headerOf,
  readHeader,
  streamInfo,
  withSealedKey,
} from '../../../src/integrations/envelope/header.ts'
import { engines, fixed, kmsError, unhex } from '../../crypto/engines.ts'
import { counted } from './rig.ts'

interface Vector {
  readonly name: string
  readonly dataKey: string
  readonly salt: string
  readonly chunkLength: number
  readonly encryptionContext: Readonly<Record<string, string>>
  readonly sealedKey: string
  readonly plaintextLength: number
  readonly header: string
  readonly chunks?: string
  readonly sealedSha256: string
}

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
// Made once by a Python program that shares no code with the library.
const { vectors } = JSON.parse(read('../../../src/integrations/envelope/envelope-vectors.json')) as {
  readonly vectors: readonly Vector[]
}
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

for (const engine of engines)
  describe(`vectors, ${engine.name}`, () => {
    for (const vector of vectors)
      test(vector.name, () => {
        const { chunkLength } = vector
        const [dataKey, salt, sealedKey] = [vector.dataKey, vector.salt, vector.sealedKey].map(unhex)
        assert.ok(dataKey && salt && sealedKey)
        const info = streamInfo(chunkLength, encodeContext(vector.encryptionContext))
        const key = streamKey(engine, { dataKey, salt, info, chunkLength })
        const header = encodeHeader({ chunkLength, salt, commitment: key.commitment, sealedKey })
        assert.equal(hex(header), vector.header)
        const plaintext = counted(vector.plaintextLength)
        const sealed = new Uint8Array(header.length + sealedLength(plaintext.length, chunkLength))
        sealed.set(header)
        sealChunks(key, plaintext, sealed, header.length)
        assert.equal(sha256(sealed), vector.sealedSha256)
        if (vector.chunks !== undefined) assert.equal(hex(sealed.subarray(header.length)), vector.chunks)
        assert.deepEqual(openChunks(key, sealed.subarray(header.length)), plaintext)
      })
  })

describe('without keytrail', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-envelope-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  let open: (sealed: Buffer, dataKey: Buffer, context: object) => Buffer
  let count = 0

  before(async () => {
    const example = read('../../../examples/open-envelope-without-keytrail.mjs')
    const imports = /^import \{[^}]*\} from 'node:crypto'$/m.exec(example)?.[0] ?? assert.fail('its one import')
    const code =
      /\/\/ The lines\.[^\n]*\n([\s\S]*?)\n\/\/ A fresh message/.exec(example)?.[1] ?? assert.fail('the lines')
    count = code.split('\n').filter((line) => line.trim() !== '').length
    const path = join(folder, 'lines.mjs')
    writeFileSync(path, `${imports}\n${code}\nexport { open }\n`)
    open = ((await import(pathToFileURL(path).href)) as { open: typeof open }).open
  })

  test('forty lines are forty lines', () => assert.ok(count <= 40, `${count}`))

  for (const vector of vectors.filter(({ chunks }) => chunks !== undefined))
    test(vector.name, () => {
      const sealed = Buffer.from(vector.header + vector.chunks, 'hex')
      const dataKey = Buffer.from(vector.dataKey, 'hex')
      assert.deepEqual(new Uint8Array(open(sealed, dataKey, vector.encryptionContext)), counted(vector.plaintextLength))
      assert.throws(() => open(sealed, dataKey, { other: '1' }))
      for (let length = 0; length < sealed.length; length++)
        assert.throws(() => open(sealed.subarray(0, length), dataKey, vector.encryptionContext))
    })
})

describe('the header', () => {
  const facts = { chunkLength: 4096, salt: fixed(32), commitment: fixed(32, 50), sealedKey: fixed(40, 9) }
  const header = encodeHeader(facts)

  test('is read as it was written, and every part of it says what it needs', () => {
    assert.deepEqual(headerOf(concat([header, fixed(100)])), { ...facts, length: header.length })
    for (let length = 0; length < header.length; length++) {
      const part = readHeader(header.subarray(0, length))
      assert.deepEqual(part, { needs: length < 73 ? 73 : header.length })
    }
  })

  test('other magics, chunk lengths and lengths of the sealed key are none, however short', () => {
    for (const [at, value] of [
      [0, 0],
      [1, 0],
      [2, 0],
      [3, 0],
      [3, 2],
      [4, 11],
      [4, 21],
      [4, 255],
      [69, 1],
      [69, 255],
      [71, 33],
    ]) {
      const changed = header.slice()
      changed[at ?? 0] = value ?? 0
      assert.equal(readHeader(changed), 'malformed', `${at}`)
    }
    const none = header.slice()
    none.set([0, 0, 0, 0], 69)
    assert.equal(readHeader(none), 'malformed')
    assert.equal(readHeader(fixed(1)), 'malformed')
  })

  test('takes no sealed key that no reader would', () => {
    for (const length of [0, 8193])
      assert.throws(() => encodeHeader({ ...facts, sealedKey: new Uint8Array(length) }), kmsError('INVALID_INPUT'))
  })

  test('another sealed key leaves everything else as it is', () => {
    const sealed = concat([header, fixed(100)])
    const moved = withSealedKey(sealed, headerOf(sealed) ?? assert.fail('a header'), fixed(50))
    assert.deepEqual(headerOf(moved), { ...facts, sealedKey: fixed(50), length: header.length + 10 })
    assert.deepEqual(moved.subarray(-100), fixed(100))
  })
})
