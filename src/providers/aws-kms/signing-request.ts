/** How a message is put to AWS to sign or verify: as it is, or, where it is long or hashed already, as its digest. */
import type { Engine } from '../../crypto/engine.ts'
import { checkDigest, checkOption } from '../../crypto/options.ts'
import type { KeyType } from '../../model/key.ts'
import type { HashAlgorithm, Input } from '../../model/operation.ts'
import { type KeySpecRow, maxPayload } from './key-specs.ts'
import type { SigningAlgorithm } from './sdk.ts'

export type SigningOptions = Pick<Input<'sign'>, 'input' | 'hashAlgorithm' | 'prehashed' | 'padding' | 'format'>

export interface SigningRequest {
  readonly Message: Uint8Array
  readonly MessageType: 'RAW' | 'DIGEST'
  readonly SigningAlgorithm: SigningAlgorithm
}

const rsaAlgorithms = {
  pss: { sha256: 'RSASSA_PSS_SHA_256', sha384: 'RSASSA_PSS_SHA_384', sha512: 'RSASSA_PSS_SHA_512' },
  pkcs1v15: {
    sha256: 'RSASSA_PKCS1_V1_5_SHA_256',
    sha384: 'RSASSA_PKCS1_V1_5_SHA_384',
    sha512: 'RSASSA_PKCS1_V1_5_SHA_512',
  },
} as const

const ecdsaAlgorithms = { sha256: 'ECDSA_SHA_256', sha384: 'ECDSA_SHA_384', sha512: 'ECDSA_SHA_512' } as const

/** Options that make no sense for the key are `INVALID_INPUT`. */
export function signingRequest(
  engine: Engine,
  keyType: string,
  signs: NonNullable<KeySpecRow['signs']>,
  { input, hashAlgorithm, prehashed = false, padding, format }: SigningOptions,
): SigningRequest {
  // Only a row of ours has `signs`, and each of those has a key type of ours.
  const type = keyType as KeyType
  let hash: HashAlgorithm = hashAlgorithm ?? 'sha256'
  let algorithm: SigningAlgorithm
  if (signs.scheme === 'rsa') {
    checkOption(type, 'format', format, [])
    algorithm = rsaAlgorithms[padding ?? 'pss'][hash]
  } else {
    hash = signs.curve.hashAlgorithm
    // AWS has one digest a curve.
    checkOption(type, 'hashAlgorithm', hashAlgorithm, [hash])
    checkOption(type, 'padding', padding, [])
    algorithm = ecdsaAlgorithms[hash]
  }
  if (prehashed) {
    checkDigest(hash, input)
    return { Message: input, MessageType: 'DIGEST', SigningAlgorithm: algorithm }
  }
  // AWS takes 1–4096 bytes.
  if (input.length >= 1 && input.length <= maxPayload)
    return { Message: input, MessageType: 'RAW', SigningAlgorithm: algorithm }
  return { Message: engine.hash(hash, input), MessageType: 'DIGEST', SigningAlgorithm: algorithm }
}
