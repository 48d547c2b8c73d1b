/** The AEADs as a table, and the one gate on their key and nonce lengths. */
import { KmsError } from '../model/errors.ts'

export type AeadName = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305' | 'xaes-256-gcm' | 'xchacha20-poly1305'

export interface AeadFacts {
  readonly keyLength: number
  readonly nonceLength: number
}

/** NIST SP 800-38D with 96-bit nonces, RFC 8439, C2SP XAES-256-GCM, draft-irtf-cfrg-xchacha-03. Every tag has 16 bytes. */
export const aeads: { readonly [N in AeadName]: AeadFacts } = {
  'aes-128-gcm': { keyLength: 16, nonceLength: 12 },
  'aes-256-gcm': { keyLength: 32, nonceLength: 12 },
  'chacha20-poly1305': { keyLength: 32, nonceLength: 12 },
  'xaes-256-gcm': { keyLength: 32, nonceLength: 24 },
  'xchacha20-poly1305': { keyLength: 32, nonceLength: 24 },
}

export const tagLength = 16

/** Refuses a key of the wrong length. */
export function checkAeadKey(name: AeadName, key: Uint8Array): void {
  const { keyLength } = aeads[name]
  if (key.length === keyLength) return
  throw new KmsError('INVALID_INPUT', `a key for ${name} must be ${keyLength} bytes, not ${key.length}`)
}

/** Refuses a nonce of the wrong length: GCM would take any, and the engines differ on the odd ones. */
export function checkNonce(name: AeadName, nonce: Uint8Array): void {
  const { nonceLength } = aeads[name]
  if (nonce.length === nonceLength) return
  throw new KmsError('INVALID_INPUT', `a nonce for ${name} must be ${nonceLength} bytes, not ${nonce.length}`)
}
