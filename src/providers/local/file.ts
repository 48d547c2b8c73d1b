/**
 * The keystore file: a header in the clear, and the sealed keystore. One generation, one file.
 *
 *     magic(8) ‖ format(1) ‖ generation u64
 *     ‖ KDF: id(1) ‖ log2 N(1) ‖ r u32 ‖ p u32 ‖ salt(32)          how the root key came from a passphrase, or zeros
 *     ‖ salt(32) ‖ check(16) ‖ nonce(24) ‖ sum(16)
 *     ‖ XAES-256-GCM(HKDF(root, salt), nonce, AAD = all of the above)
 *
 * `check` = HKDF(root, salt) under another name: tells a wrong root key from damage. `sum` = SHA-256 of what stands before
 * it, cut: tells a damaged header from a wrong root key. Only the AEAD is trusted.
 */
import { openBox, sealBox } from '../../crypto/box.ts'
import { concat, equal, u32be, u64be, utf8, wipe } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { hkdfSha256 } from '../../crypto/kdf.ts'
import { randomBytes } from '../../crypto/random.ts'
import { KmsError } from '../../model/errors.ts'
import { decodeKeystore, encodeKeystore } from './encoding.ts'
import type { Keystore } from './keystore.ts'

/** How the root key was made from a passphrase. */
export interface PassphraseKdf {
  readonly N: number
  readonly r: number
  readonly p: number
  /** 32 bytes. */
  readonly salt: Uint8Array
}

export interface RootKey {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** Absent when the key was given as such. */
  readonly kdf?: PassphraseKdf
}

export interface Header {
  readonly generation: number
  readonly kdf?: PassphraseKdf
  readonly salt: Uint8Array
  readonly check: Uint8Array
  readonly nonce: Uint8Array
}

const magic = utf8('keytrail')
const format = 1
const kdfAt = 17
const saltAt = kdfAt + 42
const checkAt = saltAt + 32
const nonceAt = checkAt + 16
const sumAt = nonceAt + 24
const headerLength = sumAt + 16

const keyLabel = utf8('keytrail/keystore/1')
const checkLabel = utf8('keytrail/keystore/check/1')

/** A file of its own randomness: sealing the same keystore twice gives different bytes. */
export function sealKeystore(engine: Engine, root: RootKey, keystore: Keystore): Uint8Array {
  const salt = randomBytes(32)
  const nonce = randomBytes(24)
  const head = concat([
    magic,
    Uint8Array.of(format),
    u64be(BigInt(keystore.generation)),
    encodeKdf(root.kdf),
    salt,
    hkdfSha256(engine, { key: root.key, salt, info: checkLabel, length: 16 }),
    nonce,
  ])
  const aad = concat([head, sumOf(engine, head)])
  const key = hkdfSha256(engine, { key: root.key, salt, info: keyLabel, length: 32 })
  const plaintext = encodeKeystore(keystore)
  try {
    return concat([aad, sealBox(engine, { key, nonce, aad, plaintext })])
  } finally {
    wipe(key, plaintext)
  }
}

/** The header of a keystore file; anything damaged, foreign or from a later keytrail is `INTERNAL`. */
export function readHeader(engine: Engine, file: Uint8Array): Header {
  if (file.length < magic.length || !equal(file.subarray(0, magic.length), magic))
    throw new KmsError('INTERNAL', 'keystore is damaged: it does not begin as one')
  if (file[magic.length] !== format)
    throw new KmsError('INTERNAL', `keystore is of format ${file[magic.length]}, which this version cannot read`)
  if (file.length < headerLength) throw damaged('it is cut short')
  if (!equal(file.subarray(sumAt, headerLength), sumOf(engine, file.subarray(0, sumAt))))
    throw damaged('its header is not as it was written')
  const generation = Number(viewOf(file).getBigUint64(magic.length + 1))
  const kdf = decodeKdf(file.subarray(kdfAt, saltAt))
  return {
    generation,
    ...(kdf !== undefined && { kdf }),
    salt: file.slice(saltAt, checkAt),
    check: file.slice(checkAt, nonceAt),
    nonce: file.slice(nonceAt, sumAt),
  }
}

/** Whether `file` is sealed under `root`; its content may be damaged all the same. Errors as {@link readHeader}. */
export function opensWith(engine: Engine, root: RootKey, file: Uint8Array): boolean {
  const { salt, check } = readHeader(engine, file)
  return equal(check, hkdfSha256(engine, { key: root.key, salt, info: checkLabel, length: 16 }))
}

/** The keystore, or `INVALID_INPUT` for a wrong root key and `INTERNAL` for damage. */
export function unsealKeystore(engine: Engine, root: RootKey, file: Uint8Array): Keystore {
  const { generation, salt, nonce } = readHeader(engine, file)
  if (!opensWith(engine, root, file))
    throw new KmsError('INVALID_INPUT', `wrong ${root.kdf === undefined ? 'root key' : 'passphrase'} for this keystore`)
  const key = hkdfSha256(engine, { key: root.key, salt, info: keyLabel, length: 32 })
  const aad = file.subarray(0, headerLength)
  const plaintext = openBox(engine, { key, nonce, aad, box: file.subarray(headerLength) })
  wipe(key)
  if (plaintext === undefined) throw damaged('its content is not as it was written')
  try {
    const keystore = decodeKeystore(plaintext)
    if (keystore.generation !== generation) throw damaged('its generations disagree')
    return keystore
  } finally {
    wipe(plaintext)
  }
}

function encodeKdf(kdf: PassphraseKdf | undefined): Uint8Array {
  if (kdf === undefined) return new Uint8Array(saltAt - kdfAt)
  return concat([Uint8Array.of(1, Math.log2(kdf.N)), u32be(kdf.r), u32be(kdf.p), kdf.salt])
}

function decodeKdf(bytes: Uint8Array): PassphraseKdf | undefined {
  if (bytes[0] === 0) return undefined
  if (bytes[0] !== 1) throw new KmsError('INTERNAL', 'keystore asks for a key derivation that this version cannot do')
  const view = viewOf(bytes)
  return { N: 2 ** view.getUint8(1), r: view.getUint32(2), p: view.getUint32(6), salt: bytes.slice(10, 42) }
}

function sumOf(engine: Engine, bytes: Uint8Array): Uint8Array {
  return engine.hash('sha256', bytes).slice(0, 16)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function damaged(how: string): KmsError {
  return new KmsError('INTERNAL', `keystore is damaged: ${how}; restore it from a backup`)
}
