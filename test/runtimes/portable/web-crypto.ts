/** Ciphertexts opened with the host's WebCrypto from the published layout alone: a second opinion in each runtime. */
import type { EncryptionContext } from 'keytrail'
import { concat, demand, demandBytes, utf8 } from './check.ts'
import type { EncryptingType } from './key-types.ts'

const { subtle } = globalThis.crypto

export interface SealedFrame {
  readonly type: EncryptingType
  readonly key: Uint8Array
  readonly frame: Uint8Array
  readonly encryptionContext: EncryptionContext
}

/** `01 ‖ version ‖ commitment (32) ‖ nonce ‖ body ‖ tag`; the associated data binds all before the body, type and context. */
export async function openFrame({ type, key, frame, encryptionContext }: SealedFrame): Promise<Uint8Array> {
  const bodyAt = 37 + type.nonceLength
  const head = frame.slice(0, bodyAt)
  demand(head[0] === 1, 'a frame must begin with its format, 1')
  const version = head.slice(1, 5)
  const committed = concat(lp(utf8('keytrail/commit/1')), version, lp(utf8(type.keyType)), lp(key))
  demandBytes(head.slice(5, 37), new Uint8Array(await subtle.digest('SHA-256', committed)), 'the commitment')
  const additionalData = concat(
    lp(utf8('keytrail/aad/1')),
    lp(head),
    lp(utf8(type.keyType)),
    contextBytes(encryptionContext),
  )
  const { cipherKey, iv } = await cipherOf(type, Uint8Array.from(key), head.slice(37))
  const opener = await subtle.importKey('raw', cipherKey, 'AES-GCM', false, ['decrypt'])
  return new Uint8Array(await subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, opener, frame.slice(bodyAt)))
}

interface Cipher {
  readonly cipherKey: Uint8Array<ArrayBuffer>
  readonly iv: Uint8Array<ArrayBuffer>
}

async function cipherOf(
  type: EncryptingType,
  key: Uint8Array<ArrayBuffer>,
  nonce: Uint8Array<ArrayBuffer>,
): Promise<Cipher> {
  if (type.webCrypto === 'AES-GCM') return { cipherKey: key, iv: nonce }
  // C2SP XAES-256-GCM: a key for each nonce by CMAC in counter mode, the rest of the nonce for AES-GCM.
  const block = await subtle.importKey('raw', key, 'AES-CBC', false, ['encrypt'])
  const encrypted = async (input: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> =>
    new Uint8Array(await subtle.encrypt({ name: 'AES-CBC', iv: new Uint8Array(16) }, block, input)).slice(0, 16)
  const mask = doubled(await encrypted(new Uint8Array(16)))
  const half = (counter: number) => {
    const message = concat(Uint8Array.of(0, counter, 0x58, 0), nonce.slice(0, 12))
    return encrypted(message.map((byte, at) => byte ^ (mask[at] ?? 0)))
  }
  return { cipherKey: concat(await half(1), await half(2)), iv: nonce.slice(12) }
}

/** NIST SP 800-38B §6.1: a shift to the left in GF(2¹²⁸). */
function doubled(block: Uint8Array): Uint8Array {
  const carry = (block[0] ?? 0) >> 7
  return block.map((byte, at) => ((byte << 1) | ((block[at + 1] ?? 0) >> 7)) ^ (at === 15 ? carry * 0x87 : 0))
}

function contextBytes(context: EncryptionContext): Uint8Array {
  // Names of these cases are ASCII: sorted as text they are sorted as bytes.
  const pairs = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))
  return concat(u32(pairs.length), ...pairs.flatMap(([name, value]) => [lp(utf8(name)), lp(utf8(value))]))
}

/** A length, then the bytes. */
function lp(bytes: Uint8Array): Uint8Array {
  return concat(u32(bytes.length), bytes)
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}
