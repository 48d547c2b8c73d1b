/** @node Secrets given as a Buffer, whose `slice` is a view: they are copied all the same, and stay their owner's. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import type { RootKeyOptions } from '../../../src/providers/local/root-key.ts'
import { unwrapKeyMaterial, wrapKeyMaterial } from '../../../src/wrapping.ts'
import { freshFolder } from '../../storage/folder.ts'
import { failureOf, run } from '../calls.ts'

const sources: readonly [string, (bytes: Buffer) => RootKeyOptions][] = [
  ['rootKey', (bytes) => ({ rootKey: bytes })],
  ['rootKeyFrom', (bytes) => ({ rootKeyFrom: async () => bytes })],
  ['passphrase', (bytes) => ({ passphrase: bytes })],
]

for (const [name, optionsOf] of sources)
  test(`${name}: a keystore made, changed and closed opens with the same bytes, and with no zeros`, async (t) => {
    const path = join(freshFolder(t), 'keys')
    const secret = randomBytes(32)
    const before = Buffer.from(secret)
    const kms = await openLocalKms({ path, ...optionsOf(secret) })
    await run(kms, 'createKey', { slug: 'k' })
    await run(kms, 'rotate', { key: 'k' })
    await kms.close()
    assert.deepEqual(secret, before, "the caller's bytes stay as they were")
    const zeros = await failureOf(openLocalKms({ path, ...optionsOf(Buffer.alloc(32)) }))
    assert.match(zeros.message, /^wrong /)
    const again = await openLocalKms({ path, ...optionsOf(secret) })
    assert.equal((await run(again, 'describeKey', { key: 'k' })).key.latestVersion, 2)
    await again.close()
  })

test('wrapping and unwrapping leave the bytes that they are given as they are', async () => {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { format: 'der', type: 'spki' },
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
  })
  const { publicKey: recipient, privateKey } = pair
  const keyMaterial = randomBytes(32)
  const given = [recipient, privateKey, keyMaterial]
  const before = given.map((bytes) => Buffer.from(bytes))
  const wrapped = Buffer.from(await wrapKeyMaterial({ keyMaterial, recipient }))
  for (let time = 0; time < 2; time++)
    assert.deepEqual(Buffer.from(await unwrapKeyMaterial({ wrapped, privateKey })), keyMaterial)
  assert.deepEqual(given, before)
  const treacherous = Object.defineProperty({ recipient }, 'keyMaterial', {
    get() {
      throw new TypeError('no')
    },
  })
  for (const input of [treacherous, undefined, null, 5, {}])
    assert.equal((await failureOf(wrapKeyMaterial(input as never))).code, 'INVALID_INPUT') // what JavaScript may pass
})
