/** RSA keys: prepared for encryption and signatures at once, generated, and checked when they come in. */
import { KmsError } from '../model/errors.ts'
import type { HashAlgorithm, SignatureFormat, SignaturePadding } from '../model/operation.ts'
import { andThen, isPromise } from '../model/promise.ts'
import { utf8, wipe } from './bytes.ts'
import type { Engine, RsaPrivateKey, RsaScheme } from './engine.ts'
import type { SealingKey } from './frame.ts'
import { rsaFrames } from './frame-rsa.ts'
import { held } from './held.ts'
import { checkDigest, checkOption, type SignatureOptions } from './options.ts'
import { decodeRsaSpki, encodeRsaSpki, publicKeyPem, type RsaPrivateNumbers } from './pkcs8.ts'
import { belongTogether, isOfType, type RsaKeyType, rsaBits, rsaParts } from './rsa-parts.ts'
import type { SigningKey } from './signing.ts'

const none: SignatureOptions = {}
const hashAlgorithms: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']
const paddings: readonly SignaturePadding[] = ['pss', 'pkcs1v15']
const formats: readonly SignatureFormat[] = []
const eitherWay: readonly boolean[] = [true, false]

/** One version of an RSA key, for both of its uses. Answers with promises where the engine's RSA does. */
export interface RsaKey extends SealingKey, SigningKey {
  destroy(): void
}

export interface RsaKeyOptions {
  readonly keyType: RsaKeyType
  readonly version: number
  /** Copied; one that is not of the key type is `INVALID_INPUT`. */
  readonly pkcs8: Uint8Array
}

export function rsaKey(engine: Engine, { keyType, version, pkcs8 }: RsaKeyOptions): RsaKey {
  const spki = publicPart(keyType, pkcs8)
  if (spki === undefined) throw new KmsError('INVALID_INPUT', `this is no PKCS#8 of an ${keyType} key`)
  const secret = held(engine.rsa.privateKey(pkcs8))
  const verify = rsaVerify(engine, keyType, spki)
  const size = rsaBits[keyType] / 8
  const publicKey = engine.rsa.publicKey(spki)
  return {
    ...rsaFrames(engine, { keyType, version, spki, size, publicKey, privateKey: secret.use }),
    sign(input, options = none) {
      const scheme = schemeOf(keyType, options, input)
      const key = secret.use()
      return options.prehashed ? signDigest(key, scheme, input) : key.sign(scheme, input)
    },
    verify(input, signature, options) {
      secret.use()
      return verify(input, signature, options)
    },
    get publicKey() {
      return { spki: spki.slice(), text: publicKeyPem(spki) }
    },
    destroy: secret.destroy,
  }
}

/** False for any signature that is not valid, malformed ones included. */
export type RsaSignatureVerifier = (
  input: Uint8Array,
  signature: Uint8Array,
  options?: SignatureOptions,
) => boolean | Promise<boolean>

/** Prepares a public key for checking signatures. An SPKI that is not of the key type is `INVALID_INPUT`. */
export function rsaVerify(engine: Engine, keyType: RsaKeyType, spki: Uint8Array): RsaSignatureVerifier {
  const parts = decodeRsaSpki(spki)
  if (parts === undefined || !isOfType(keyType, parts))
    throw new KmsError('INVALID_INPUT', `this is no public key of type ${keyType}`)
  const key = engine.rsa.publicKey(spki)
  const { n } = parts
  return (input, signature, options = none) => {
    const scheme = schemeOf(keyType, options, input)
    if (options.prehashed && key.verifyDigest === undefined) throw noDigests()
    // RFC 8017 §8.1.2 step 1 and §5.2.2 step 1: said here, so that it does not depend on the engine.
    if (signature.length !== n.length || !isLess(signature, n)) return false
    if (options.prehashed) return key.verifyDigest?.(scheme, input, signature) ?? false
    return key.verify(scheme, input, signature)
  }
}

/** The PKCS#8 of a fresh key, which whoever asked for it wipes. */
export async function generateRsa(engine: Engine, keyType: RsaKeyType): Promise<Uint8Array> {
  const pkcs8 = await engine.rsa.generate(rsaBits[keyType])
  if (isRsaMaterial(keyType, pkcs8)) return pkcs8
  wipe(pkcs8)
  throw new KmsError('INTERNAL', `this host generated a key that is no ${keyType} key`)
}

/** Whether `pkcs8` has the shape of such a key: what belongs together is asked when it comes in. */
export function isRsaMaterial(keyType: RsaKeyType, pkcs8: Uint8Array): boolean {
  return publicPart(keyType, pkcs8) !== undefined
}

/**
 * A copy of the PKCS#8 of a key that comes in, or undefined: not of the key type, parts that do not belong together, or a key
 * that cannot verify what it signs.
 */
export function admitRsa(
  engine: Engine,
  keyType: RsaKeyType,
  pkcs8: Uint8Array,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  const parts = rsaParts(keyType, pkcs8)
  if (parts === undefined) return undefined
  const own = pkcs8.slice()
  const works = belongTogether(parts) && worksAsPair(engine, keyType, own)
  wipeSecrets(parts)
  return andThen(works, (yes) => {
    if (yes) return own
    wipe(own)
    return undefined
  })
}

const probe = utf8('keytrail/pairwise/1')

/** SP 800-56B §6.4.1.5, on a random base: PSS has a salt. */
function worksAsPair(engine: Engine, keyType: RsaKeyType, pkcs8: Uint8Array): boolean | Promise<boolean> {
  try {
    const key = rsaKey(engine, { keyType, version: 1, pkcs8 })
    const works = andThen(key.sign(probe), (signature) => key.verify(probe, signature))
    if (!isPromise(works)) {
      key.destroy()
      return works
    }
    return works.catch(refused).finally(key.destroy)
  } catch (error) {
    return refused(error)
  }
}

/** What a host throws over a key says that it is none; that the host has no RSA, or broke down, is another matter. */
function refused(error: unknown): false {
  if (error instanceof KmsError && error.code !== 'INVALID_INPUT') throw error
  return false
}

function schemeOf(keyType: RsaKeyType, options: SignatureOptions, input: Uint8Array): RsaScheme {
  const { hashAlgorithm = 'sha256', prehashed, format, padding = 'pss' } = options
  checkOption(keyType, 'hashAlgorithm', hashAlgorithm, hashAlgorithms)
  checkOption(keyType, 'prehashed', prehashed, eitherWay)
  checkOption(keyType, 'format', format, formats)
  checkOption(keyType, 'padding', padding, paddings)
  if (prehashed) checkDigest(hashAlgorithm, input)
  return { padding, hashAlgorithm }
}

function signDigest(key: RsaPrivateKey, scheme: RsaScheme, digest: Uint8Array): Uint8Array {
  if (key.signDigest === undefined) throw noDigests()
  return key.signDigest(scheme, digest)
}

function noDigests(): KmsError {
  return new KmsError(
    'UNSUPPORTED_OPERATION',
    'prehashed RSA signatures need node:crypto: WebCrypto, which is used on this host, always hashes the input itself',
  )
}

/** The SPKI that goes with a PKCS#8, or undefined if that is not of the key type. */
/** The SPKI of a PKCS#8 of the key type, or undefined for what is none. */
export function publicPart(keyType: RsaKeyType, pkcs8: Uint8Array): Uint8Array | undefined {
  const parts = rsaParts(keyType, pkcs8)
  if (parts === undefined) return undefined
  const spki = encodeRsaSpki(parts)
  wipeSecrets(parts)
  return spki
}

function wipeSecrets({ d, p, q, dp, dq, qi }: RsaPrivateNumbers): void {
  wipe(d, p, q, dp, dq, qi)
}

/** Of two big-endian numbers of the same length; both public. */
function isLess(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
