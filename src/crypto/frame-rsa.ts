/**
 * The ciphertext of an RSA key: the plaintext itself under RSA-OAEP with SHA-256 (RFC 8017 §7.1), bound to its context
 * through the label. frame.ts has the text form.
 *
 *     02 ‖ version u32be ‖ commitment(32) ‖ OAEP block, as long as the modulus
 *     label = SHA-256(AAD)
 *     AAD = lp("keytrail/aad/1") ‖ lp(02 ‖ version ‖ commitment) ‖ lp(type) ‖ context
 *
 * OAEP says nothing about who encrypted: anyone with the public key can make such a frame.
 */
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import { andThen } from '../model/promise.ts'
import { concat, equal, lp, u32be, utf8 } from './bytes.ts'
import type { Engine, RsaPrivateKey, RsaPublicKey } from './engine.ts'
import { commitment, headerLength, type SealingKey, versionOf } from './frame.ts'

const format = 2
// RFC 8017 §7.1.1: two digests and two bytes of each block are not plaintext.
const overhead = 66

export interface RsaFrameOptions {
  readonly keyType: KeyType
  readonly version: number
  readonly spki: Uint8Array
  /** Of the modulus, in bytes. */
  readonly size: number
  readonly publicKey: RsaPublicKey
  /** The private key while it is held: throws after it was destroyed. */
  readonly privateKey: () => RsaPrivateKey
}

/** Seals at most `size` − 66 bytes (more is `INVALID_INPUT`), and opens; never throws for a bad frame. */
export function rsaFrames(engine: Engine, options: RsaFrameOptions): Pick<SealingKey, 'seal' | 'open'> {
  const { keyType, version, spki, size, publicKey, privateKey } = options
  const pinned = commitment(engine, { version, keyType, key: spki })
  const header = concat([Uint8Array.of(format), u32be(version), pinned])
  const aadHead = concat([lp(utf8('keytrail/aad/1')), lp(header), lp(utf8(keyType))])
  const most = size - overhead

  function labelOf(context: Uint8Array): Uint8Array {
    return engine.hash('sha256', concat([aadHead, context]))
  }

  return {
    seal(plaintext, context) {
      // The public key is enough, but a destroyed key seals nothing.
      privateKey()
      if (plaintext.length > most) {
        const message = `a plaintext under a key of type ${keyType} must be at most ${most} bytes, not ${plaintext.length}`
        throw new KmsError('INVALID_INPUT', message)
      }
      return andThen(publicKey.encrypt(plaintext, labelOf(context)), (block) => concat([header, block]))
    },
    open(frame, context) {
      const named = versionOf(frame)
      if (named === undefined || frame[0] !== format || frame.length !== headerLength + size) return 'malformed'
      if (named !== version) return 'unknown_version'
      if (!equal(frame.subarray(5, headerLength), pinned)) return 'commitment_mismatch'
      const plaintext = privateKey().decrypt(frame.subarray(headerLength), labelOf(context))
      return andThen(plaintext, (found) => found ?? 'authentication_failed')
    },
  }
}
