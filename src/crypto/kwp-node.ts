/** @node AES-KWP over node:crypto. */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { owned, ownedSecret } from './buffer.ts'
import { fromHex } from './bytes.ts'
import type { Kwp } from './engine.ts'

// RFC 5649 §3: the constant half of the alternative initial value; the other half is the length.
const initialValue = fromHex('a65959a6') ?? new Uint8Array(0)

export const kwp: Kwp = {
  wrap: (key, material) => owned(createCipheriv(cipherOf(key), key, initialValue).update(material)),
  unwrap(key, wrapped) {
    const decipher = createDecipheriv(cipherOf(key), key, initialValue)
    try {
      return ownedSecret(decipher.update(wrapped))
    } catch {
      // With key and input of the right lengths, OpenSSL refuses for one reason only: it is not authentic.
      return undefined
    }
  },
}

function cipherOf(key: Uint8Array): string {
  return `id-aes${key.length * 8}-wrap-pad`
}
