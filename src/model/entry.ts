/** The entry: what a call leaves behind. One JSON object with a fixed key order; absent fields are left out. */
import type { ActorType } from './context.ts'
import type { DecryptFailure, KmsErrorCode } from './errors.ts'
import type { PayloadName } from './operation.ts'
import type { Durability } from './sink.ts'

export const schemaName = 'keytrail/1'

export type Phase = 'intent' | 'result' | 'amendment'
export type Outcome = 'pending' | 'success' | 'failure' | 'unknown'
export type ResourceType = 'kms_key' | 'audit_log' | (string & {})

export interface EntryActor {
  /** `unknown` when the caller named none; never invented. */
  readonly type: ActorType | 'unknown'
  readonly id?: string
  readonly name?: string
  /** Where it was said: bound to the client (`context`) or with the call. */
  readonly source?: 'context' | 'call'
}

export interface EntryContext {
  readonly clientIp?: string
  readonly peerIp?: string
  readonly userAgent?: string
  readonly requestId?: string
  readonly traceparent?: string
  readonly method?: string
  readonly route?: string
}

export interface EntryOrigin {
  readonly service: string
  readonly eventID?: string
  readonly resource?: string
}

export interface EntryReason {
  readonly code: string
  readonly ticket?: string
}

export interface EntryProvider {
  readonly name: string
  readonly requestId?: string
  readonly attempts?: number
  readonly durationMs?: number
}

/** Facts about a sink that `audit.opened` tells. */
export interface SinkFacts {
  /** Filesystem under the trail, such as `ext4`. */
  readonly filesystem?: string
  /** Entries in the trail when it was opened. */
  readonly size?: string
  /** The trail's verification key. */
  readonly vkey?: string
  /** Days for which retention may never drop an entry. */
  readonly minRetentionDays?: number
  readonly warnings?: readonly string[]
}

export interface EntrySink extends SinkFacts {
  readonly name: string
  readonly durability: Durability
  readonly required: boolean
}

export interface EntryKey {
  readonly identity: string
  readonly slug: string
  readonly keyType: string
  readonly keyVersion?: number
}

/** Of a call that was answered from a cache of data keys. */
export interface EntryCache {
  readonly hit: boolean
  /** The `eventID` of the entry of the call that filled the cache. */
  readonly parent: string
}

/** What only some actions tell; a closed set. */
export interface EntryDetails {
  readonly algorithm?: string
  readonly form?: string
  /** For whom exported key material was wrapped: `sha256:` and the hexadecimal SHA-256 of the public key (SPKI). */
  readonly recipient?: string
  /** The keystore's wrapping key, told as `recipient` is: the one given out or made, or that an import was wrapped to. */
  readonly wrappingKey?: string
  readonly destinationKey?: EntryKey
  readonly dueAt?: string
  readonly latenessMs?: number
  /** Why a key was rotated by itself; absent for its period. */
  readonly because?: string
  readonly previousVersion?: number
  readonly deletionScheduledAt?: string
  readonly keyRotationEnabled?: boolean
  readonly rotationPeriodInDays?: number
  readonly exportAllowed?: boolean
  readonly allowRotation?: boolean
  readonly minDecryptionVersion?: number
  /** Of a key version that nears its limit: how many messages it has sealed at most, and the limit. */
  readonly messages?: number
  readonly messageLimit?: number
  readonly decryptFailure?: DecryptFailure
  /** Keystore generation that the change made. */
  readonly generation?: number
  /** Which keystore, where `generation` is told: a random id that it keeps for good. */
  readonly keystore?: string
  /** Keys listed; of a finding, entries that led to it. */
  readonly count?: number
  /** Which access rule refused; of a finding or a suppression, whose it is. */
  readonly rule?: string
  /** Of a finding: its level, `eventID`s of entries that show it (at most 20), and what it is about. */
  readonly level?: string
  readonly evidence?: readonly string[]
  readonly subject?: string
  /** Of a suppression: when it ends. */
  readonly until?: string
  /** Of a `secret`: the version read, written or destroyed, and the `eventID` of the entry of the KMS call that it needed. */
  readonly secretVersion?: number
  readonly kmsEventID?: string
  readonly cache?: EntryCache
  /** Written by recovery, not by the call itself. */
  readonly recovered?: boolean
  /** The `eventID` of the entry that an amendment is about. */
  readonly amends?: string
  /** Of the log itself. */
  readonly sink?: string
  readonly sinks?: readonly EntrySink[]
  readonly engine?: string
  readonly version?: string
  /** The field policy in force, as canonical text. */
  readonly fields?: string
  readonly dropped?: number
  readonly refusedCalls?: number
  readonly quarantinedBytes?: number
  readonly file?: string
  readonly steppedMs?: number
  /** How long nothing was written before a heartbeat. */
  readonly idleMs?: number
  /** So many refusals of one kind stand in this one entry; the first and the last of them. */
  readonly joined?: number
  readonly firstAt?: string
  readonly lastAt?: string
  /** Of `audit.key_rotated`: who signs from here on, and who did before. Of `audit.pruned`: who signs the trail it is of. */
  readonly vkey?: string
  readonly previousVkey?: string
  /** Of `audit.pruned`: entries from `prunedFrom` up to, not including, `prunedBelow` are dropped; decimal indexes. */
  readonly prunedFrom?: string
  readonly prunedBelow?: string
  /** `createdAt` of the newest entry dropped. */
  readonly newestAt?: string
  readonly olderThanDays?: number
  readonly minRetentionDays?: number
  /** File name of what was archived, and SHA-256 of its bytes, hex. */
  readonly archive?: string
  readonly archiveSha256?: string
  /** Of `audit.restored`: where the trail stood (decimal size; root, base64), and the anchor of the keystore that is accepted. */
  readonly trailSize?: string
  readonly trailRoot?: string
  readonly anchorSize?: string
  readonly anchorRoot?: string
  /** Of `audit.space_low`, bytes. */
  readonly usedBytes?: number
  readonly budgetBytes?: number
  /** What had to be changed or left out of this entry, and other marks: `client_ip_invalid`, `withheld` … */
  readonly flags?: readonly string[]
}

export type PayloadSizes = { readonly [P in PayloadName | 'encryptionContext']?: number }

/** An audit entry; see the README's table. Immutable once handed to a sink. */
export interface AuditEntry {
  readonly schema: typeof schemaName
  /** UUIDv7, never below the one before, save that of joined refusals, as old as the first of them, and of a secret's result, reserved when its call begins. */
  readonly eventID: string
  /** UUIDv7 that joins intent, result and amendment; only where there is an intent. */
  readonly operationID?: string
  /** RFC 3339, UTC, milliseconds. Told by the clock; order is the position in the trail. */
  readonly createdAt: string
  /** Which client's audit wrote it: name and random start id. */
  readonly instance: string
  /** Running number within `instance`, from 0. */
  readonly sequence: number
  readonly action: string
  readonly phase: Phase
  readonly resourceType: ResourceType
  /** Key identity, or what was asked for when no key was found. */
  readonly resourceIdentity?: string
  readonly outcome: Outcome
  /** Verdict of verify and verify_hmac; `false` is a success with `valid: false`. */
  readonly valid?: boolean
  readonly statusCode?: number
  readonly error?: KmsErrorCode
  readonly region?: string
  readonly project?: string
  readonly keySlug?: string
  readonly keyType?: string
  readonly keyVersion?: number
  /** Only ever `false`: an older version was used. */
  readonly latestVersion?: boolean
  readonly payloadSizes?: PayloadSizes
  readonly actor?: EntryActor
  readonly context?: EntryContext
  readonly origin?: EntryOrigin
  readonly reason?: EntryReason
  readonly provider?: EntryProvider
  readonly details?: EntryDetails
  /** Pairs, or only the names with hashed values, or absent, by field policy. */
  readonly encryptionContext?: Readonly<Record<string, string>>
  readonly durationMs?: number
  /** 128 random bits, base64url: the hash of a pruned entry cannot be guessed back. */
  readonly salt: string
}
