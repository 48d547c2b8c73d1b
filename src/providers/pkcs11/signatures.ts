/**
 * Signatures: hashed here, signed in the token, verified here. Verifying needs no secret and no session, and so there is one rule for
 * every edge case, that of the embedded KMS, whatever a token makes of it.
 */
import { engine } from '#engine'
import { utf8 } from '../../crypto/bytes.ts'
import type { Curve } from '../../crypto/curves.ts'
import { parseP1363, toDer, withLowS } from '../../crypto/ecdsa.ts'
import { ed25519Verify } from '../../crypto/ed25519.ts'
import { checkDigest, checkNoOptions, checkOption, type SignatureOptions } from '../../crypto/options.ts'
import { decodeEcSpki, decodeEd25519Spki } from '../../crypto/pkcs8.ts'
import { rsaVerify } from '../../crypto/rsa.ts'
import { digestInfo } from '../../crypto/rsa-emsa.ts'
import type { RsaKeyType } from '../../crypto/rsa-parts.ts'
import { ecdsaVerify } from '../../crypto/signing.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyType } from '../../model/key.ts'
import type { HashAlgorithm } from '../../model/operation.ts'
import { ckm, type MechanismName } from './constants.ts'
import type { PublicKey, TokenKeyType } from './key-types.ts'
import type { SignScheme } from './protocol.ts'

/** What the token is asked for, and what becomes of its answer. */
export interface Signing {
  /** What it must be able to do. */
  readonly mechanism: MechanismName
  readonly scheme: SignScheme
  readonly input: Uint8Array
  /** Bytes of its answer. */
  readonly size: number
  /** The answer in the form asked for; `PROVIDER_UNAVAILABLE` for what is no signature at all. */
  finish(signature: Uint8Array): Uint8Array
}

const hashAlgorithms: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']
const eitherWay: readonly boolean[] = [true, false]

/** `INVALID_INPUT` for options that make no sense for the key type. */
export function signingOf({ keyType, kind }: TokenKeyType, input: Uint8Array, options: SignatureOptions): Signing {
  switch (kind.is) {
    case 'rsa':
      return rsaSigning(keyType, kind.size, input, options)
    case 'ecdsa':
      return ecdsaSigning(keyType, kind.curve, input, options)
    case 'ed25519':
      checkNoOptions(keyType, options)
      return { mechanism: 'EDDSA', scheme: { is: 'bare', mechanism: ckm.EDDSA }, input, size: 64, finish: asItIs }
    default:
      throw new KmsError('UNSUPPORTED_OPERATION', `a key of type ${keyType} cannot sign`)
  }
}

function rsaSigning(keyType: KeyType, size: number, input: Uint8Array, options: SignatureOptions): Signing {
  const { hashAlgorithm = 'sha256', padding = 'pss' } = options
  checkOption(keyType, 'padding', padding, ['pss', 'pkcs1v15'])
  checkOption(keyType, 'format', options.format, [])
  const digest = digested(keyType, hashAlgorithm, input, options)
  if (padding === 'pss')
    return { mechanism: 'RSA_PKCS_PSS', scheme: { is: 'pss', hashAlgorithm }, input: digest, size, finish: asItIs }
  const scheme = { is: 'bare', mechanism: ckm.RSA_PKCS } as const
  return { mechanism: 'RSA_PKCS', scheme, input: digestInfo(hashAlgorithm, digest), size, finish: asItIs }
}

function ecdsaSigning(keyType: KeyType, curve: Curve, input: Uint8Array, options: SignatureOptions): Signing {
  const { hashAlgorithm = curve.hashAlgorithm, format = 'der' } = options
  checkOption(keyType, 'format', format, ['der', 'ieee-p1363'])
  checkOption(keyType, 'padding', options.padding, [])
  const digest = digested(keyType, hashAlgorithm, input, options)
  return {
    mechanism: 'ECDSA',
    scheme: { is: 'bare', mechanism: ckm.ECDSA },
    // FIPS 186-5 §6.4.1: the leftmost bits, as many as the order has. Some tokens leave that to the caller.
    input: digest.slice(0, curve.length),
    size: 2 * curve.length,
    finish(signature) {
      const valid = parseP1363(curve, signature)
      if (valid === undefined)
        throw new KmsError('PROVIDER_UNAVAILABLE', 'the token answered C_Sign with what is no ECDSA signature')
      const chosen = curve.lowS ? withLowS(curve, valid) : valid
      return format === 'der' ? toDer(chosen) : chosen
    },
  }
}

function digested(
  keyType: KeyType,
  hashAlgorithm: HashAlgorithm,
  input: Uint8Array,
  options: SignatureOptions,
): Uint8Array {
  checkOption(keyType, 'hashAlgorithm', hashAlgorithm, hashAlgorithms)
  checkOption(keyType, 'prehashed', options.prehashed, eitherWay)
  if (options.prehashed !== true) return engine.hash(hashAlgorithm, input)
  checkDigest(hashAlgorithm, input)
  return input
}

function asItIs(signature: Uint8Array): Uint8Array {
  return signature
}

export type Verifier = (
  input: Uint8Array,
  signature: Uint8Array,
  options?: SignatureOptions,
) => boolean | Promise<boolean>

/** `INTERNAL` for a public key of the token's that is none: half-trusted bytes must not verify anything. */
export function verifierOf({ keyType, kind }: TokenKeyType, { spki }: PublicKey): Verifier {
  try {
    if (kind.is === 'rsa') {
      // The table gives this kind to the RSA types only.
      return rsaVerify(engine, keyType as RsaKeyType, spki)
    }
    if (kind.is === 'ecdsa') {
      return ecdsaVerify(engine, { keyType, curve: kind.curve }, decodeEcSpki(kind.curve, spki) ?? none)
    }
    const verify = ed25519Verify(engine, decodeEd25519Spki(spki) ?? none)
    return (input, signature, options) => {
      checkNoOptions(keyType, options)
      return verify(input, signature)
    }
  } catch (cause) {
    throw new KmsError('INTERNAL', `the token's public key is no ${keyType} key`, { cause })
  }
}

const none = new Uint8Array(0)

/** What a pair is tried with before its first signature leaves. */
export const pairText: Uint8Array = utf8('keytrail/pkcs11/pair/1')
