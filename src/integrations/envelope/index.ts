/**
 * Envelope encryption: data of any length under data keys of the KMS, whole or as streams; a cache of data keys, each use of it an
 * entry; and moving what was sealed to the newest version of a key.
 *
 * @packageDocumentation
 */

export type { CallOptions, KmsClient } from '../../client.ts'
export type { DataKeyCacheOptions } from './cache.ts'
export {
  type Bound,
  type Envelope,
  type EnvelopeOptions,
  type EnvelopeStream,
  envelope,
  type KeyUse,
} from './envelope.ts'
export {
  type MovedItem,
  type ReEncryptOptions,
  type ReEncryptProgress,
  type ReEncryptVerdict,
  reEncryptAll,
  type SealedItem,
} from './re-encrypt.ts'
export type { ByteTransform } from './streams.ts'
