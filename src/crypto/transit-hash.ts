/** The digests of the transit engine: what an engine has, and by @noble/hashes on both engines what only transit still wants. */
import { hmac } from '@noble/hashes/hmac.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { sha224 } from '@noble/hashes/sha2.js'
import { sha3_224, sha3_256, sha3_384, sha3_512 } from '@noble/hashes/sha3.js'
import type { CHash } from '@noble/hashes/utils.js'
import type { HashAlgorithm } from '../model/operation.ts'
import type { Engine } from './engine.ts'
import { digestLength } from './options.ts'

type OtherHash = 'sha1' | 'sha224' | `sha3-${'224' | '256' | '384' | '512'}`

const others: { readonly [H in OtherHash]: CHash } = {
  sha1: sha1,
  sha224: sha224,
  'sha3-224': sha3_224,
  'sha3-256': sha3_256,
  'sha3-384': sha3_384,
  'sha3-512': sha3_512,
}

/** transit calls the first three, and SHA-224, `sha2-…`. */
export type TransitHash = HashAlgorithm | OtherHash

/** Those that an engine has come first. */
export const transitHashes: readonly TransitHash[] = [
  'sha256',
  'sha384',
  'sha512',
  'sha1',
  'sha224',
  'sha3-224',
  'sha3-256',
  'sha3-384',
  'sha3-512',
]

/** In bytes. */
export function transitHashLength(hash: TransitHash): number {
  return isOther(hash) ? others[hash].outputLen : digestLength[hash]
}

export function transitDigest(engine: Engine, hash: TransitHash, data: Uint8Array): Uint8Array {
  return isOther(hash) ? others[hash](data) : engine.hash(hash, data)
}

export function transitHmac(engine: Engine, hash: TransitHash, key: Uint8Array, data: Uint8Array): Uint8Array {
  if (isOther(hash)) return hmac(others[hash], key, data)
  const mac = engine.hmac(hash, key)
  try {
    return mac.compute(data)
  } finally {
    mac.destroy()
  }
}

export function isOther(hash: TransitHash): hash is OtherHash {
  return Object.hasOwn(others, hash)
}
