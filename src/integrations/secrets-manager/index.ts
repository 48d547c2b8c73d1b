/**
 * A Secrets Manager over a KMS client: secrets by path, versions, access policies, an entry for each call, and the way from a
 * request over the secret to the KMS call in any trail.
 *
 * @packageDocumentation
 */

export type { CallOptions } from '../../client.ts'
export {
  type CorrelatedRequest,
  type CorrelateOptions,
  type CorrelateSource,
  type Correlation,
  correlate,
  type PlacedEntry,
} from './correlate.ts'
export type {
  BrowseSecrets,
  CreateSecret,
  ListSecrets,
  Put,
  PutSecret,
  Recorded,
  Revealed,
  SecretFolder,
  SecretInfo,
  SecretList,
  SecretsManager,
  SecretVersionInfo,
} from './manager.ts'
export { type MemorySecretStoreOptions, memorySecretStore } from './memory-store.ts'
export type { AccessCondition, AccessPolicy, IpCondition, TimeCondition } from './policy.ts'
export { type SecretsManagerOptions, secretsManager } from './secrets-manager.ts'
export type { SecretChange, SecretQuery, SecretStore, StoredSecret, StoredVersion } from './store.ts'
export type { RevealedValue, SecretValue } from './value.ts'
