/** The key types of the embedded KMS as a table: what each may do, its secret, and how a version of it is prepared. */
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import type { HashAlgorithm, KeyMaterialForm } from '../model/operation.ts'
import { type AeadName, aeads } from './aead.ts'
import { validScalar } from './ecdsa.ts'
import type { Engine } from './engine.ts'
import { type FrameKey, frameKey } from './frame.ts'
import { type MacKey, macKey } from './mac.ts'
import { digestLength } from './options.ts'
import { ed25519SigningKey, p256SigningKey, type SigningKey } from './signing.ts'

interface Row<Use extends string, Opened> {
  readonly use: Use
  readonly keyType: KeyType
  /** The form in which a version may be exported. */
  readonly exportForm: KeyMaterialForm
  /** Bytes of secret material: the symmetric key, the Ed25519 seed, the P-256 scalar. */
  readonly materialLength: number
  /** Fresh secret material. Whoever asked for it wipes it. */
  generate(engine: Engine): Uint8Array
  /**
   * Prepares one version: everything that can be done once is done here. `material` is copied; of the wrong length, or
   * with a `version` that is not an integer from 1 to 2³² − 1, it is `INVALID_INPUT`.
   */
  open(engine: Engine, material: Uint8Array, version: number): Opened
}

export type EncryptAlgorithm = Row<'encrypt', FrameKey>
export type SignAlgorithm = Row<'sign', SigningKey>
export type MacAlgorithm = Row<'mac', MacKey>
export type Algorithm = EncryptAlgorithm | SignAlgorithm | MacAlgorithm

/**
 * @example
 * ```ts
 * const algorithm = algorithms[keyType]
 * if (algorithm.use !== 'encrypt') throw …
 * const key = algorithm.open(engine, algorithm.generate(engine), 1)
 * const frame = key.seal(plaintext, encodeContext({ order: '17' }))
 * ```
 */
export const algorithms: { readonly [T in KeyType]: Algorithm } = {
  'aes128-gcm96': encrypting('aes128-gcm96', 'aes-128-gcm'),
  'aes256-gcm96': encrypting('aes256-gcm96', 'aes-256-gcm'),
  'chacha20-poly1305': encrypting('chacha20-poly1305', 'chacha20-poly1305'),
  'xaes256-gcm': encrypting('xaes256-gcm', 'xaes-256-gcm'),
  ed25519: signing('ed25519', ed25519SigningKey, () => true),
  'ecdsa-p256': signing('ecdsa-p256', p256SigningKey, validScalar),
  hmac: authenticating('hmac', 'sha256'),
  'hmac-sha256': authenticating('hmac-sha256', 'sha256'),
  'hmac-sha512': authenticating('hmac-sha512', 'sha512'),
}

function encrypting(keyType: KeyType, aead: AeadName): EncryptAlgorithm {
  const materialLength = aeads[aead].keyLength
  return {
    use: 'encrypt',
    keyType,
    exportForm: 'raw',
    materialLength,
    generate: (engine) => fresh(engine, materialLength),
    open(engine, material, version) {
      check(keyType, material, materialLength, version)
      return frameKey(engine, { keyType, version, aead, key: material })
    },
  }
}

function signing(
  keyType: KeyType,
  prepare: (engine: Engine, material: Uint8Array) => SigningKey,
  valid: (material: Uint8Array) => boolean,
): SignAlgorithm {
  return {
    use: 'sign',
    keyType,
    exportForm: 'pkcs8',
    materialLength: 32,
    generate(engine) {
      const material = fresh(engine, 32)
      // FIPS 186-5 §A.2.2: by rejection, so that every scalar is equally likely. P-256 rejects one in 2³².
      while (!valid(material)) engine.randomFill(material)
      return material
    },
    open(engine, material, version) {
      check(keyType, material, 32, version)
      return prepare(engine, material)
    },
  }
}

function authenticating(keyType: KeyType, hashAlgorithm: HashAlgorithm): MacAlgorithm {
  const materialLength = digestLength[hashAlgorithm]
  return {
    use: 'mac',
    keyType,
    exportForm: 'raw',
    materialLength,
    generate: (engine) => fresh(engine, materialLength),
    open(engine, material, version) {
      check(keyType, material, materialLength, version)
      return macKey(engine, { keyType, hashAlgorithm, key: material })
    },
  }
}

/** Keys come straight from the host's generator, never from the pool. */
function fresh(engine: Engine, length: number): Uint8Array {
  const material = new Uint8Array(length)
  engine.randomFill(material)
  return material
}

function check(keyType: KeyType, material: Uint8Array, length: number, version: number): void {
  if (material.length !== length) {
    throw new KmsError('INVALID_INPUT', `${keyType} key material must be ${length} bytes, not ${material.length}`)
  }
  if (!Number.isInteger(version) || version < 1 || version > 0xffff_ffff) {
    throw new KmsError('INVALID_INPUT', `a key version must be an integer from 1 to 4294967295, not ${version}`)
  }
}
