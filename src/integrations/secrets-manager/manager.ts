/** What a Secrets Manager is to its callers. */
import type { CallOptions } from '../../client.ts'
import type { RequestContext } from '../../model/context.ts'
import type { AccessPolicy } from './policy.ts'
import type { RevealedValue, SecretValue } from './value.ts'

/** A secret without its values: what lists, descriptions and changes tell. */
export interface SecretInfo {
  readonly path: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly policy?: AccessPolicy
  readonly kmsKeyIdentity: string
  /** As it was when the secret was made. */
  readonly kmsKeySlug: string
  readonly keyType: string
  /** The newest version; absent while there is none. */
  readonly currentVersion?: number
  /** Oldest first; destroyed ones remain, unreadable. */
  readonly versions: readonly SecretVersionInfo[]
  /** RFC 3339, UTC. */
  readonly createdAt: string
  readonly updatedAt: string
}

export interface SecretVersionInfo {
  readonly version: number
  readonly status: 'active' | 'destroyed'
  readonly createdAt: string
  readonly destroyedAt?: string
  /** Version of the KMS key that encrypted it, where the KMS tells. */
  readonly kmsKeyVersion?: number
}

/** Every answer names its entry. */
export interface Recorded {
  readonly eventID: string
}

export interface CreateSecret extends SecretValue {
  /** 2–512 letters, digits or `/ _ - . +`, beginning with `/`, without `//` and without `/` at the end. */
  readonly path: string
  /** Identity or slug of an active AES or ChaCha key of the client's region and project. For good. */
  readonly key: string
  /** At most 1,024 characters. */
  readonly description?: string
  /** At most 64 pairs of 128 and 1,024 characters. */
  readonly labels?: Readonly<Record<string, string>>
  readonly policy?: AccessPolicy
}

export interface PutSecret extends SecretValue {
  readonly path: string
}

export interface Put {
  readonly path: string
  readonly version: number
  readonly kmsKeyIdentity: string
  readonly kmsKeyVersion?: number
}

export interface Revealed extends RevealedValue, Put {}

export interface ListSecrets {
  /** What paths must begin with: `/database/`; all by default. */
  readonly prefix?: string
  /** `next` of the page before. */
  readonly after?: string
  /** 1–1,000; 100 by default. */
  readonly limit?: number
}

export interface SecretList {
  readonly secrets: readonly SecretInfo[]
  /** Where the next page begins; absent after the last. */
  readonly next?: string
}

export interface BrowseSecrets {
  /** Ends in `/`; `/` by default. */
  readonly folder?: string
  readonly after?: string
  readonly limit?: number
}

export interface SecretFolder extends SecretList {
  /** Folders within it, each with its `/` at the end. Together with `secrets` at most `limit`. */
  readonly folders: readonly string[]
}

/**
 * Keeps secrets, encrypted by the KMS, and leaves an entry for each call: `resourceType: "secret"`, besides those of the KMS calls that
 * it makes on the caller's behalf. Every `put` is one `kms.encrypt`, every `get` one `kms.decrypt`.
 *
 * Failures are `KmsError`s. Besides its own, every method can fail with `INVALID_INPUT`, `AUDIT_REFUSED`, `OVERLOADED`, `DEADLINE_EXCEEDED`,
 * `ABORTED`, `CLOSED`; changes also with `OUTCOME_UNAUDITED`; those that use the key with whatever the KMS refuses.
 */
export interface SecretsManager {
  /** Makes a secret, with a first value if one is given. `SECRET_EXISTS`, `KEY_NOT_FOUND`, `KEY_NOT_ACTIVE`, `UNSUPPORTED_OPERATION` (another kind of key). */
  create(input: CreateSecret, options?: CallOptions): Promise<SecretInfo & Recorded>
  /** Adds a version, which is the current one from then on. `SECRET_NOT_FOUND`, `ACCESS_DENIED` by its policy. */
  put(input: PutSecret, options?: CallOptions): Promise<Put & Recorded>
  /** The current value, or that of `version`. `SECRET_NOT_FOUND`, `VERSION_NOT_FOUND`, `ACCESS_DENIED` by its policy; `INVALID_CIPHERTEXT`: what the store holds is not what was put. */
  get(input: { readonly path: string; readonly version?: number }, options?: CallOptions): Promise<Revealed & Recorded>
  /** Removes the value of one version for good; the version remains. `SECRET_NOT_FOUND`, `VERSION_NOT_FOUND`. */
  destroyVersion(
    input: { readonly path: string; readonly version: number },
    options?: CallOptions,
  ): Promise<SecretInfo & Recorded>
  /** Removes a secret with all its values for good, and frees its path. `SECRET_NOT_FOUND`. */
  delete(input: { readonly path: string }, options?: CallOptions): Promise<{ readonly path: string } & Recorded>
  /** Sets the access policy, or removes it with `null`. `SECRET_NOT_FOUND`. */
  updatePolicy(
    input: { readonly path: string; readonly policy: AccessPolicy | null },
    options?: CallOptions,
  ): Promise<SecretInfo & Recorded>
  /** `SECRET_NOT_FOUND`. */
  describe(input: { readonly path: string }, options?: CallOptions): Promise<SecretInfo & Recorded>
  /** Secrets by path. */
  list(input?: ListSecrets, options?: CallOptions): Promise<SecretList & Recorded>
  /** One folder: the secrets in it, and the folders in it. */
  browse(input?: BrowseSecrets, options?: CallOptions): Promise<SecretFolder & Recorded>
  /** The same Secrets Manager with `context` bound to each of its calls. @throws KmsError `INVALID_INPUT`. */
  with(context: RequestContext): SecretsManager
  /** Resolves when the intents that a crash left open are closed; the first call does it otherwise. Errors: `AUDIT_REFUSED`. */
  ready(): Promise<void>
  /** Refuses new calls (`CLOSED`), lets those in flight settle, and closes the store; not the client. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
