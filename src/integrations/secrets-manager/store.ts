/** The seam under a Secrets Manager: what keeps secrets. A third party writes one in an afternoon. */
import type { IntentOutcome } from '../../model/provider.ts'
import type { AccessPolicy } from './policy.ts'

export interface StoredVersion {
  /** 1, 2, 3 … */
  readonly version: number
  /** RFC 3339, UTC. */
  readonly createdAt: string
  /** Version of the KMS key that encrypted it, where the KMS tells. */
  readonly kmsKeyVersion?: number
  /** From then on there is no value any more. */
  readonly destroyedAt?: string
}

/** All that is kept of a secret, except for its values. */
export interface StoredSecret {
  readonly path: string
  /** Random, lower-case hexadecimal: another secret at the same path, made after this one was deleted, has another. */
  readonly id: string
  /** The KMS key to which it is bound for good: its identity; slug and type as they were when it was made. */
  readonly keyIdentity: string
  readonly keySlug: string
  readonly keyType: string
  readonly region?: string
  readonly project?: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly policy?: AccessPolicy
  /** The newest version, which is the current one; 0 while there is none. */
  readonly latestVersion: number
  /** Oldest first, destroyed ones included. */
  readonly versions: readonly StoredVersion[]
  readonly createdAt: string
  readonly updatedAt: string
  /** Counts the changes made: 1 once it is made. */
  readonly revision: number
}

/** One change of one secret: whole, or not at all. */
export interface SecretChange {
  readonly path: string
  /** UUIDv7: its name in `outcomeOf`. Keep it with the change. */
  readonly operationID: string
  /** Of the secret as it is now, 0 for none: anything else is `VERSION_CONFLICT`. */
  readonly expectRevision: number
  /** What it becomes; absent: it is deleted with all its values. */
  readonly secret?: StoredSecret
  /** A value to keep with it: the newest version's. Ciphertext. */
  readonly value?: Uint8Array
  /** The version whose value is to be gone for good. */
  readonly destroys?: number
}

export interface SecretQuery {
  /** What paths must begin with; may be empty. */
  readonly prefix: string
  /** Only paths that come after this text. */
  readonly after: string
  /** At most so many. */
  readonly limit: number
}

/**
 * Keeps secrets; sees ciphertexts only, and never logs. Functions may answer with a promise. Changes of one path come one
 * at a time from one Secrets Manager; where several processes share a store, `expectRevision` decides.
 *
 * Functions throw `KmsError`: one from `write` says that nothing was changed, unless its `evidence` is `{ unsettled: true }`;
 * anything else that is thrown is taken for unsettled. `secretStoreConformance` in `keytrail/secrets-manager/testing` holds a
 * store to all this.
 */
export interface SecretStore {
  /** 1–64 letters, digits or . _ -, and no name of another store, or KMS provider, that writes into the same trail. */
  readonly name: string
  read(path: string): StoredSecret | undefined | Promise<StoredSecret | undefined>
  /** The ciphertext of one version; undefined if there is none. */
  readValue(secret: StoredSecret, version: number): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** Has made the change, as durable as the store is, when it resolves; what it removes is gone. */
  write(change: SecretChange): void | Promise<void>
  /** In the order of their paths, by code units. */
  list(query: SecretQuery): readonly StoredSecret[] | Promise<readonly StoredSecret[]>
  /** Whether a change was made, after a crash; `unknown` rather than a guess. Asked of the last change of a path, before another. */
  outcomeOf(operationID: string): IntentOutcome | Promise<IntentOutcome>
  /** No change made so far will be asked for any more: what was kept only to answer `outcomeOf`, of deleted secrets say, may go. */
  forget?(): void | Promise<void>
  close?(): Promise<void>
}
