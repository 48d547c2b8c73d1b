/** XChaCha20-Poly1305 over another cipher: what it hands on, and what it leaves behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hchacha20, type XChachaParts, xchacha } from '../../src/crypto/xchacha.ts'
import { fixed, kmsError } from './engines.ts'

interface Handed {
  readonly key: Uint8Array
  readonly keyThen: Uint8Array
  readonly nonce: Uint8Array
}

/** A cipher that notes what it is given, and fails if told to. */
function notingCipher(fails: () => boolean): { readonly parts: XChachaParts; readonly handed: Handed[] } {
  const handed: Handed[] = []
  function note(key: Uint8Array, nonce: Uint8Array): void {
    handed.push({ key, keyThen: key.slice(), nonce })
    if (fails()) throw new Error('the cipher failed')
  }
  return { handed, parts: { seal: note, open: (key, nonce) => void note(key, nonce) } }
}

test('the message key comes from key and nonce, is handed on with the rest of the nonce, and wiped whatever happens', () => {
  let failing = false
  const { parts, handed } = notingCipher(() => failing)
  const aead = xchacha(fixed(32), parts)
  const nonce = fixed(24, 100)
  aead.seal(nonce, fixed(0), fixed(9), new Uint8Array(25), 0)
  aead.open(nonce, fixed(0), fixed(25), 0)
  failing = true
  assert.throws(() => aead.seal(nonce, fixed(0), fixed(9), new Uint8Array(25), 0), /the cipher failed/)
  assert.throws(() => aead.open(nonce, fixed(0), fixed(25), 0), /the cipher failed/)
  assert.equal(handed.length, 4)
  for (const { key, keyThen, nonce } of handed) {
    assert.deepEqual(keyThen, hchacha20(fixed(32), fixed(16, 100)))
    assert.deepEqual(nonce, Uint8Array.of(0, 0, 0, 0, ...fixed(8, 116)))
    assert.deepEqual(key, new Uint8Array(32))
  }
})

test('the key is copied, and gone after destroy', () => {
  const { parts, handed } = notingCipher(() => false)
  const lent = fixed(32)
  const aead = xchacha(lent, parts)
  const use = () => aead.seal(fixed(24), fixed(0), fixed(0), new Uint8Array(16), 0)
  lent.fill(9)
  use()
  aead.destroy()
  use()
  const subkeys = handed.map(({ keyThen }) => keyThen)
  assert.deepEqual(subkeys, [hchacha20(fixed(32), fixed(16)), hchacha20(new Uint8Array(32), fixed(16))])
})

test('a nonce of another length is refused before anything is done', () => {
  const { parts, handed } = notingCipher(() => false)
  const aead = xchacha(fixed(32), parts)
  for (const length of [0, 12, 23, 25]) {
    const refused = kmsError('INVALID_INPUT', /nonce for xchacha20-poly1305 must be 24 bytes/)
    assert.throws(() => aead.seal(fixed(length), fixed(0), fixed(0), new Uint8Array(16), 0), refused)
    assert.throws(() => aead.open(fixed(length), fixed(0), fixed(16), 0), refused)
  }
  assert.deepEqual(handed, [])
})
