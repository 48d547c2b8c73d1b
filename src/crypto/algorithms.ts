/** The key types of the embedded KMS as a table: what each may do, its secret, and how a version of it is prepared. */
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { type AeadName, aeads } from './aead.ts'
import { equal } from './bytes.ts'
import { validScalar } from './ecdsa.ts'
import type { Engine } from './engine.ts'
import { frameKey, type SealingKey } from './frame.ts'
import { type MacKey, macKey } from './mac.ts'
import { digestLength } from './options.ts'
import { decodeEd25519Pkcs8, decodeP256Pkcs8, encodeEd25519Pkcs8, encodeP256Pkcs8 } from './pkcs8.ts'
import { ed25519SigningKey, p256SigningKey, type SigningKey } from './signing.ts'

export type Use = 'encrypt' | 'sign' | 'mac'

/** A prepared version of a key that has this use. */
export interface PreparedKeys {
  encrypt: SealingKey
  sign: SigningKey
  mac: MacKey
}

/** Makes the material off the event loop. */
export type Later = () => Promise<Uint8Array>

export interface Algorithm<U extends Use = Use> {
  readonly keyType: KeyType
  /** What it is for; an RSA key is for two. */
  readonly uses: readonly U[]
  /** The form in which key material leaves and comes in unless another is asked for. */
  readonly form: 'raw' | 'pkcs8'
  /** Whether 96-bit random nonces bound the messages of one version (NIST SP 800-38D §8.3). */
  readonly counted: boolean
  /** Bytes of secret material, where they have one length: the symmetric key, the seed, the scalar. */
  readonly materialLength?: number
  /** Whether bytes have the shape of such material; what `open` refuses besides needs an engine. */
  valid(material: Uint8Array): boolean
  /** Fresh secret material, which whoever asked for it wipes; or, where that takes seconds, how to make it. */
  generate(engine: Engine): Uint8Array | Later
  /**
   * Prepares one version: everything that can be done once is done here. `material` is copied; if it is not `valid`, or
   * with a `version` that is not an integer from 1 to 2³² − 1, it is `INVALID_INPUT`.
   */
  open(engine: Engine, material: Uint8Array, version: number): { readonly [P in U]: PreparedKeys[P] }[U]
  /** Material in its `form`: bytes that the caller owns, and wipes. */
  encode(engine: Engine, material: Uint8Array): Uint8Array
  /** The material that `form` holds, or undefined for what is no such key, or one whose parts do not belong together. */
  decode(engine: Engine, encoded: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
}

/**
 * @example
 * ```ts
 * const algorithm = algorithms[keyType]
 * if (!isFor('encrypt', algorithm)) throw …
 * const made = algorithm.generate(engine)
 * const key = algorithm.open(engine, typeof made === 'function' ? await made() : made, 1)
 * const frame = await key.seal(plaintext, encodeContext({ order: '17' }))
 * ```
 */
export const algorithms: { readonly [T in KeyType]: Algorithm } = {
  'aes128-gcm96': encrypting('aes128-gcm96', 'aes-128-gcm'),
  'aes256-gcm96': encrypting('aes256-gcm96', 'aes-256-gcm'),
  'chacha20-poly1305': encrypting('chacha20-poly1305', 'chacha20-poly1305'),
  'xaes256-gcm': encrypting('xaes256-gcm', 'xaes-256-gcm'),
  ed25519: signing('ed25519', {
    prepare: ed25519SigningKey,
    valid: () => true,
    encode: (_engine, seed) => encodeEd25519Pkcs8(seed),
    decode: (_engine, der) => decodeEd25519Pkcs8(der),
  }),
  'ecdsa-p256': signing('ecdsa-p256', {
    prepare: p256SigningKey,
    valid: validScalar,
    encode: (engine, scalar) => encodeP256Pkcs8(scalar, p256Public(engine, scalar)),
    decode: decodeP256,
  }),
  hmac: authenticating('hmac', 'sha256'),
  'hmac-sha256': authenticating('hmac-sha256', 'sha256'),
  'hmac-sha512': authenticating('hmac-sha512', 'sha512'),
}

/** Whether keys of this type have the use. */
export function isFor<U extends Use>(use: U, algorithm: Algorithm): algorithm is Algorithm<U> {
  return algorithm.uses.some((one) => one === use)
}

function encrypting(keyType: KeyType, aead: AeadName): Algorithm<'encrypt'> {
  const { keyLength, nonceLength } = aeads[aead]
  return {
    ...symmetric(keyType, keyLength),
    uses: ['encrypt'],
    counted: nonceLength === 12,
    open(engine, material, version) {
      check(this, material, version)
      return frameKey(engine, { keyType, version, aead, key: material })
    },
  }
}

function authenticating(keyType: KeyType, hashAlgorithm: HashAlgorithm): Algorithm<'mac'> {
  return {
    ...symmetric(keyType, digestLength[hashAlgorithm]),
    uses: ['mac'],
    counted: false,
    open(engine, material, version) {
      check(this, material, version)
      return macKey(engine, { keyType, hashAlgorithm, key: material })
    },
  }
}

/** A secret that is nothing but random bytes. */
function symmetric(keyType: KeyType, materialLength: number): Omit<Algorithm, 'uses' | 'counted' | 'open'> {
  const valid = (material: Uint8Array) => material.length === materialLength
  return {
    keyType,
    form: 'raw',
    materialLength,
    valid,
    generate: (engine) => fresh(engine, materialLength),
    encode: (_engine, material) => material.slice(),
    decode: (_engine, encoded) => (valid(encoded) ? encoded.slice() : undefined),
  }
}

interface Curve {
  prepare(engine: Engine, material: Uint8Array): SigningKey
  valid(material: Uint8Array): boolean
  encode(engine: Engine, material: Uint8Array): Uint8Array
  decode(engine: Engine, der: Uint8Array): Uint8Array | undefined
}

function signing(keyType: KeyType, { prepare, valid, encode, decode }: Curve): Algorithm<'sign'> {
  return {
    keyType,
    uses: ['sign'],
    form: 'pkcs8',
    counted: false,
    materialLength: 32,
    valid: (material) => material.length === 32 && valid(material),
    generate(engine) {
      const material = fresh(engine, 32)
      // FIPS 186-5 §A.2.2: by rejection, so that every scalar is equally likely. P-256 rejects one in 2³².
      while (!valid(material)) engine.randomFill(material)
      return material
    },
    open(engine, material, version) {
      check(this, material, version)
      return prepare(engine, material)
    },
    encode,
    decode,
  }
}

function p256Public(engine: Engine, scalar: Uint8Array): Uint8Array {
  const key = engine.p256(scalar)
  key.destroy()
  return key.publicKey
}

function decodeP256(engine: Engine, der: Uint8Array): Uint8Array | undefined {
  const found = decodeP256Pkcs8(der)
  if (found === undefined || !validScalar(found.scalar)) return undefined
  const { scalar, publicKey } = found
  return publicKey === undefined || equal(publicKey, p256Public(engine, scalar)) ? scalar : undefined
}

/** Keys come straight from the host's generator, never from the pool. */
function fresh(engine: Engine, length: number): Uint8Array {
  const material = new Uint8Array(length)
  engine.randomFill(material)
  return material
}

function check(
  { keyType, materialLength, valid }: Omit<Algorithm, 'open'>,
  material: Uint8Array,
  version: number,
): void {
  if (materialLength !== undefined && material.length !== materialLength) {
    throw new KmsError(
      'INVALID_INPUT',
      `${keyType} key material must be ${materialLength} bytes, not ${material.length}`,
    )
  }
  if (!valid(material)) throw new KmsError('INVALID_INPUT', `this is no key material of type ${keyType}`)
  if (!Number.isInteger(version) || version < 1 || version > 0xffff_ffff) {
    throw new KmsError('INVALID_INPUT', `a key version must be an integer from 1 to 4294967295, not ${version}`)
  }
}
