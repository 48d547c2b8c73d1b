/** The key types of the embedded KMS as a table: what each may do, its secret, and how a version of it is prepared. */
import { KmsError } from '../model/errors.ts'
import type { ImportableKeyType, KeyType } from '../model/key.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { type AeadName, aeads } from './aead.ts'
import { equal, wipe } from './bytes.ts'
import { type Curve, curves, validScalar } from './curves.ts'
import type { Engine } from './engine.ts'
import { frameKey, type SealingKey } from './frame.ts'
import { type MacKey, macKey } from './mac.ts'
import { decodeMlDsaSeed, mlDsaSigningKey, requireMlDsa } from './ml-dsa-key.ts'
import { type MlDsaName, mlDsaSeedLength } from './ml-dsa-sets.ts'
import { digestLength } from './options.ts'
import { decodeEcPkcs8, decodeEd25519Pkcs8, encodeEcPkcs8, encodeEd25519Pkcs8, encodeMlDsaPkcs8 } from './pkcs8.ts'
import { admitRsa, generateRsa, isRsaMaterial, rsaKey } from './rsa.ts'
import type { RsaKeyType } from './rsa-parts.ts'
import { ecdsaSigningKey, ed25519SigningKey, type SigningKey } from './signing.ts'

export type Use = 'encrypt' | 'sign' | 'mac'

/** A prepared version of a key that has this use. */
export interface PreparedKeys {
  encrypt: SealingKey
  sign: SigningKey
  mac: MacKey
}

/** Makes the material off the event loop. */
export type Later = () => Promise<Uint8Array>

export interface Algorithm<U extends Use = Use, T extends ImportableKeyType = KeyType> {
  readonly keyType: T
  /** What it is for; an RSA key is for two. */
  readonly uses: readonly U[]
  /** Whose keys these are, if not ours: they only open and verify what was made there, and are never made here. */
  readonly onlyFrom?: string
  /** The type whose public keys have the same JWK, if that is another. */
  readonly publicAs?: KeyType
  /** The key version that a ciphertext names, where ciphertexts are no frames. */
  readonly versionOf?: (ciphertext: Uint8Array) => number | undefined
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
  /**
   * The material that `form` holds, or undefined for what is no such key, or one whose parts do not belong together. A key
   * of this type in a form that is not taken is `INVALID_INPUT`, and says so.
   */
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
  'rsa-2048': rsa('rsa-2048'),
  'rsa-3072': rsa('rsa-3072'),
  'rsa-4096': rsa('rsa-4096'),
  'xchacha20-poly1305': encrypting('xchacha20-poly1305', 'xchacha20-poly1305'),
  ed25519: {
    ...random('ed25519', 32),
    uses: ['sign'],
    form: 'pkcs8',
    counted: false,
    open(engine, seed, version) {
      checkMaterial(this, seed, version)
      return ed25519SigningKey(engine, seed)
    },
    encode: (_engine, seed) => encodeEd25519Pkcs8(seed),
    decode: (_engine, der) => decodeEd25519Pkcs8(der),
  },
  'ecdsa-p256': ecdsa('ecdsa-p256', curves.p256),
  'ecdsa-p384': ecdsa('ecdsa-p384', curves.p384),
  'ecdsa-p521': ecdsa('ecdsa-p521', curves.p521),
  'ecdsa-secp256k1': ecdsa('ecdsa-secp256k1', curves.secp256k1),
  'ml-dsa-44': mlDsa('ml-dsa-44'),
  'ml-dsa-65': mlDsa('ml-dsa-65'),
  'ml-dsa-87': mlDsa('ml-dsa-87'),
  hmac: authenticating('hmac', 'sha256'),
  'hmac-sha256': authenticating('hmac-sha256', 'sha256'),
  'hmac-sha384': authenticating('hmac-sha384', 'sha384'),
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
      checkMaterial(this, material, version)
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
      checkMaterial(this, material, version)
      return macKey(engine, { keyType, hashAlgorithm, key: material })
    },
  }
}

type Random = Pick<Algorithm, 'keyType' | 'materialLength' | 'valid' | 'generate'>

/** A secret that may be any bytes of its length. */
function random(keyType: KeyType, materialLength: number): Random {
  return {
    keyType,
    materialLength,
    valid: (material) => material.length === materialLength,
    generate: (engine) => fresh(engine, materialLength),
  }
}

/** One that leaves as it is. */
function symmetric(keyType: KeyType, materialLength: number): Omit<Algorithm, 'uses' | 'counted' | 'open'> {
  const bytes = random(keyType, materialLength)
  return {
    ...bytes,
    form: 'raw',
    encode: (_engine, material) => material.slice(),
    decode: (_engine, encoded) => (bytes.valid(encoded) ? encoded.slice() : undefined),
  }
}

function ecdsa(keyType: KeyType, curve: Curve): Algorithm<'sign'> {
  const { length, order } = curve
  // P-521 fills its last byte with one bit.
  const mask = order[0] === 1 ? 1 : 255
  const valid = (material: Uint8Array) => validScalar(curve, material)
  return {
    keyType,
    uses: ['sign'],
    form: 'pkcs8',
    counted: false,
    materialLength: length,
    valid,
    generate(engine) {
      // FIPS 186-5 §A.2.2: as many bits as n has, by rejection, so that every scalar is equally likely. All but P-521
      // reject one in 2³² at most, P-521 fewer still.
      const material = new Uint8Array(length)
      do {
        engine.randomFill(material)
        material[0] = (material[0] ?? 0) & mask
      } while (!valid(material))
      return material
    },
    open(engine, material, version) {
      checkMaterial(this, material, version)
      return ecdsaSigningKey(engine, { keyType, curve }, material)
    },
    encode: (engine, scalar) => encodeEcPkcs8(curve, scalar, ecPublic(engine, curve, scalar)),
    decode(engine, der) {
      const found = decodeEcPkcs8(curve, der)
      if (found === undefined || !valid(found.scalar)) return undefined
      const { scalar, publicKey } = found
      if (publicKey === undefined || equal(publicKey, ecPublic(engine, curve, scalar))) return scalar
      wipe(scalar)
      return undefined
    },
  }
}

function rsa(keyType: RsaKeyType): Algorithm<'encrypt' | 'sign'> {
  return {
    keyType,
    uses: ['encrypt', 'sign'],
    form: 'pkcs8',
    counted: false,
    valid: (material) => isRsaMaterial(keyType, material),
    generate: (engine) => () => generateRsa(engine, keyType),
    open(engine, material, version) {
      checkMaterial(this, material, version)
      return rsaKey(engine, { keyType, version, pkcs8: material })
    },
    encode: (_engine, material) => material.slice(),
    decode: (engine, der) => admitRsa(engine, keyType, der),
  }
}

function mlDsa(keyType: MlDsaName): Algorithm<'sign'> {
  return {
    ...random(keyType, mlDsaSeedLength),
    uses: ['sign'],
    form: 'pkcs8',
    counted: false,
    generate(engine) {
      // Rather than a key that nothing here can use.
      requireMlDsa(engine, keyType)
      return fresh(engine, mlDsaSeedLength)
    },
    open(engine, seed, version) {
      checkMaterial(this, seed, version)
      return mlDsaSigningKey(engine, keyType, seed)
    },
    encode: (_engine, seed) => encodeMlDsaPkcs8(keyType, seed),
    decode: (engine, der) => decodeMlDsaSeed(engine, keyType, der),
  }
}

function ecPublic(engine: Engine, curve: Curve, scalar: Uint8Array): Uint8Array {
  const key = engine.ecdsa(curve, scalar)
  key.destroy()
  return key.publicKey
}

/** Keys come straight from the host's generator, never from the pool. */
function fresh(engine: Engine, length: number): Uint8Array {
  const material = new Uint8Array(length)
  engine.randomFill(material)
  return material
}

/** Refuses, with `INVALID_INPUT`, what `open` must not get. */
export function checkMaterial(
  { keyType, materialLength, valid }: Omit<Algorithm<Use, ImportableKeyType>, 'open'>,
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
