/** What a keystore holds: keys with their secrets, the audit signer's seeds, and which changes were made. Immutable. */
import type { Engine } from '../../crypto/engine.ts'
import type { ImportableKeyType, KeyStatus } from '../../model/key.ts'
import type { IntentOutcome } from '../../model/provider.ts'
import type { Receipt } from '../../model/sink.ts'
import { randomName } from './names.ts'

export interface StoredVersion {
  readonly version: number
  /** ms since the epoch, as are all times here. */
  readonly createdAt: number
  /** The secret, as crypto/every-algorithm.ts has it for the key's type. */
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
  readonly keyType: ImportableKeyType
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
  /** Of an imported key: whether it may get newer versions. Absent for one that was made here. */
  readonly imported?: { readonly allowRotation: boolean }
  /** Absent: 1. */
  readonly minDecryptionVersion?: number
  /** At least one, oldest first. Without gaps unless imported. */
  readonly versions: readonly StoredVersion[]
}

/** The newest version's number. */
export function latestOf({ versions }: StoredKey): number {
  return versions.at(-1)?.version ?? 0
}

/** Key material and the wrapping key: what goes when a keystore is replaced by one that has it no longer. */
export function secretsOf({ keys, wrappingKey }: Keystore): readonly Uint8Array[] {
  const materials = keys.flatMap(({ versions }) => versions.map(({ material }) => material))
  return wrappingKey === undefined ? materials : [...materials, wrappingKey]
}

/** What stays of a destroyed key, so that its slug does not come to mean another one unnoticed. */
export interface RetiredKey {
  readonly identity: string
  readonly slug: string
  readonly region?: string
  readonly project?: string
  readonly destroyedAt: number
}

/** How many messages a version has sealed, at most. */
export interface UsageCount {
  readonly identity: string
  readonly version: number
  readonly messages: number
}

export interface Keystore {
  /** Names the keystore in the trail: random, made with it, never changed. */
  readonly id: string
  /** Counts changes. */
  readonly generation: number
  readonly keys: readonly StoredKey[]
  /** Destroyed keys, oldest first. */
  readonly retired: readonly RetiredKey[]
  /** What versions of counted types had sealed when this generation was made: what is known if the usage file is not. */
  readonly usage: readonly UsageCount[]
  /** Seals the usage file, 32 bytes; made with the keystore, never changed. */
  readonly usageKey: Uint8Array
  /** RSA-4096, PKCS#8: opens what is imported wrapped. Made when it is first asked for. */
  readonly wrappingKey?: Uint8Array
  /** Ed25519 seed of the audit signer, 32 bytes. */
  readonly signerSeed: Uint8Array
  /** Those it had before, newest first: a trail that is not handed over yet is signed with one of them. */
  readonly formerSeeds: readonly Uint8Array[]
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
export function newKeystore(engine: Engine): Keystore {
  return {
    id: randomName(26),
    generation: 1,
    keys: [],
    retired: [],
    usage: [],
    usageKey: newSecret(engine),
    signerSeed: newSecret(engine),
    formerSeeds: [],
    changes: { operationIDs: [] },
  }
}

/**
 * 32 bytes each, so many are cheap, and none may go too soon: each instance of a trail is handed over when it is next
 * opened, and a restored one may be several rotations behind.
 */
const formerSeeds = 32

/** The seeds after a rotation of the audit signer; the oldest goes when there are more than {@link formerSeeds}. */
export function rotatedSeeds(engine: Engine, before: Keystore): Pick<Keystore, 'signerSeed' | 'formerSeeds'> {
  const former = [before.signerSeed, ...before.formerSeeds].slice(0, formerSeeds)
  return { signerSeed: newSecret(engine), formerSeeds: former }
}

function newSecret(engine: Engine): Uint8Array {
  const secret = new Uint8Array(32)
  engine.randomFill(secret)
  return secret
}
