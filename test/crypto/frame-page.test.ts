/** @node The page on the ciphertext: its vectors open here on both engines, and with the thirty lines that are not ours. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { algorithms, isFor } from '../../src/crypto/algorithms.ts'
import { fromUtf8 } from '../../src/crypto/bytes.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import { decodeCiphertext, encodeCiphertext } from '../../src/crypto/frame.ts'
import type { KeyType } from '../../src/model/key.ts'
import { engines, unhex } from './engines.ts'

interface Vector {
  readonly keyType: KeyType
  readonly key: string
  readonly keyVersion: number
  readonly encryptionContext: Readonly<Record<string, string>>
  readonly plaintext: string
  readonly ciphertext: string
  readonly text: string
}

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const { vectors } = JSON.parse(read('../../src/crypto/frame-vectors.json')) as { readonly vectors: readonly Vector[] }

test('there are two for each way of sealing: with a context that must be sorted, and without', () => {
  const sealing = Object.keys(algorithms).filter((type) => algorithms[type as KeyType].uses.includes('encrypt'))
  const expected = sealing.filter((type) => type !== 'rsa-3072' && type !== 'rsa-4096')
  for (const keyType of expected) {
    const of = vectors.filter((vector) => vector.keyType === keyType)
    assert.deepEqual(
      of.map(({ encryptionContext }) => Object.keys(encryptionContext).length),
      [0, 4],
      keyType,
    )
  }
})

for (const engine of engines)
  describe(`vectors, ${engine.name}`, () => {
    for (const vector of vectors)
      test(`${vector.keyType} v${vector.keyVersion} opens, in its one spelling, and with nothing else`, async () => {
        const algorithm = algorithms[vector.keyType]
        assert.ok(isFor('encrypt', algorithm))
        const material = (await algorithm.decode(engine, unhex(vector.key))) ?? assert.fail('the key is one')
        const key = algorithm.open(engine, material, vector.keyVersion)
        const frame = unhex(vector.ciphertext)
        const plaintext = await key.open(frame, encodeContext(vector.encryptionContext))
        assert.ok(typeof plaintext !== 'string', String(plaintext))
        assert.equal(fromUtf8(plaintext), vector.plaintext)
        assert.equal(encodeCiphertext(frame), vector.text)
        assert.deepEqual(decodeCiphertext(vector.text), frame)
        const other = encodeContext({ ...vector.encryptionContext, more: '' })
        assert.equal(await key.open(frame, other), 'authentication_failed')
      })
  })

describe('without keytrail', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-page-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  type Open = (frame: Buffer, type: string, key: Buffer, context: object) => Buffer
  let lines: { readonly open: Open; readonly openRsa: Open }
  let count = 0

  before(async () => {
    const example = read('../../examples/open-without-keytrail.mjs')
    const imports = /^import \{[^}]*\} from 'node:crypto'$/m.exec(example)?.[0] ?? assert.fail('its one import')
    const code =
      /\/\/ The thirty lines[^\n]*\n([\s\S]*?)\n\/\/ Fresh ciphertexts/.exec(example)?.[1] ?? assert.fail('the lines')
    const [aead = ''] = code.split('// RSA')
    count = aead.split('\n').filter((line) => line.trim() !== '').length
    const path = join(folder, 'lines.mjs')
    writeFileSync(path, `${imports}\n${code}\nexport { open, openRsa }\n`)
    lines = (await import(pathToFileURL(path).href)) as typeof lines // what the line above exports
  })

  test('thirty lines are thirty lines', () => assert.ok(count <= 30, `${count}`))

  for (const { keyType, keyVersion, key, ciphertext, encryptionContext, plaintext } of vectors) {
    // HChaCha20 is in no version of node:crypto.
    if (keyType === 'xchacha20-poly1305') continue
    test(`${keyType} v${keyVersion} opens`, () => {
      const open = keyType.startsWith('rsa-') ? lines.openRsa : lines.open
      const [frame, secret] = [Buffer.from(ciphertext, 'hex'), Buffer.from(key, 'hex')]
      assert.equal(String(open(frame, keyType, secret, encryptionContext)), plaintext)
      assert.throws(() => open(frame, keyType, secret, { order: '18' }))
    })
  }
})
