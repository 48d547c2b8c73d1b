/** HMAC (RFC 2104): prepared keys of the MAC key types, and HMAC-SHA-256 in one call. */
import type { KeyType } from '../model/key.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { equal } from './bytes.ts'
import type { Engine } from './engine.ts'
import { held } from './held.ts'
import { checkOption, type SignatureOptions } from './options.ts'

const nothing: readonly string[] = []
const unhashed: readonly boolean[] = [false]

/** One version of a MAC key. Options that make no sense for the key type are `INVALID_INPUT`. After `destroy`: `CLOSED`. */
export interface MacKey {
  mac(input: Uint8Array, options?: SignatureOptions): Uint8Array
  /** Compared in constant time; another length is false. */
  verifyMac(input: Uint8Array, mac: Uint8Array, options?: SignatureOptions): boolean
  destroy(): void
}

export interface MacKeyOptions {
  readonly keyType: KeyType
  readonly hashAlgorithm: HashAlgorithm
  /** As long as the digest; copied. */
  readonly key: Uint8Array
}

/** Prepares a key; its length has been checked. */
export function macKey(engine: Engine, { keyType, hashAlgorithm, key }: MacKeyOptions): MacKey {
  const secret = held(engine.hmac(hashAlgorithm, key))
  const itsOwn: readonly string[] = [hashAlgorithm]

  function compute(input: Uint8Array, options: SignatureOptions | undefined): Uint8Array {
    if (options !== undefined) {
      checkOption(keyType, 'hashAlgorithm', options.hashAlgorithm, itsOwn)
      checkOption(keyType, 'prehashed', options.prehashed, unhashed)
      checkOption(keyType, 'format', options.format, nothing)
      checkOption(keyType, 'padding', options.padding, nothing)
    }
    return secret.use().compute(input)
  }

  return {
    mac: compute,
    verifyMac: (input, mac, options) => equal(compute(input, options), mac),
    destroy: secret.destroy,
  }
}

/** 32 bytes (RFC 4231). For many inputs under one key prepare it with `engine.hmac`. */
export function hmacSha256(engine: Engine, key: Uint8Array, data: Uint8Array): Uint8Array {
  const mac = engine.hmac('sha256', key)
  try {
    return mac.compute(data)
  } finally {
    mac.destroy()
  }
}
