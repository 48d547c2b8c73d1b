/** What a keystore holds: keys with their secrets, the audit signer's seed, and which changes were made. Immutable. */
import type { KeyStatus, KeyType } from '../../model/key.ts'
import type { IntentOutcome } from '../../model/provider.ts'
import type { Receipt } from '../../model/sink.ts'

export interface StoredVersion {
  readonly version: number
  /** ms since the epoch, as are all times here. */
  readonly createdAt: number
  /** The secret: symmetric key, Ed25519 seed or P-256 scalar. */
  readonly material: Uint8Array
}

/** The key resource as model/key.ts has it, and its secrets. */
export interface StoredKey {
  readonly identity: string
  readonly slug: string
  readonly name: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly region?: string
  readonly project?: string
  readonly keyType: KeyType
  readonly status: KeyStatus
  /** What `cancelKeyDeletion` goes back to; only while `pending_deletion`. */
  readonly statusBefore?: 'active' | 'disabled'
  readonly deletionScheduledAt?: number
  readonly exportAllowed: boolean
  readonly keyRotationEnabled: boolean
  readonly rotationPeriodInDays?: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly objectVersion: number
  /** 1, 2, 3 …; at least one. */
  readonly versions: readonly StoredVersion[]
}

export interface Keystore {
  /** Counts changes. */
  readonly generation: number
  readonly keys: readonly StoredKey[]
  /** Ed25519 seed of the audit signer, 32 bytes. */
  readonly signerSeed: Uint8Array
  /** Where the intent of the last change stood in the trail. */
  readonly anchor?: Receipt
  readonly changes: Changes
}

/** The operations that made the newest generations, so that a client can tell what became of an open intent. */
export interface Changes {
  /** Oldest first. */
  readonly operationIDs: readonly string[]
  /** The greatest of those no longer listed. */
  readonly forgotten?: string
}

/** More than a client can have open at a crash in all likelihood; beyond it the answer is `unknown`. */
const remembered = 256

/** `changes` with one more, and without the oldest when there are too many. */
export function rememberChange({ operationIDs, forgotten }: Changes, operationID: string): Changes {
  const all = [...operationIDs, operationID]
  const oldest = all[0] ?? operationID
  if (all.length <= remembered)
    return forgotten === undefined ? { operationIDs: all } : { operationIDs: all, forgotten }
  return { operationIDs: all.slice(1), forgotten: forgotten !== undefined && forgotten > oldest ? forgotten : oldest }
}

/**
 * `done` if the change is listed. One that is not can only have been made if its ID is no greater than the greatest
 * forgotten one: operation IDs grow with time (UUIDv7), so that is `unknown` only for changes long past.
 */
export function outcomeOfChange({ operationIDs, forgotten }: Changes, operationID: string): IntentOutcome {
  if (operationIDs.includes(operationID)) return 'done'
  return forgotten !== undefined && operationID <= forgotten ? 'unknown' : 'not-done'
}

/** A keystore without keys: generation 1. */
export function newKeystore(signerSeed: Uint8Array): Keystore {
  return { generation: 1, keys: [], signerSeed, changes: { operationIDs: [] } }
}
