/** What a review tells: plain JSON, the same for the page of words, `--json` and the HTML report. Moments are RFC 3339, UTC. */
import type { DetectorHealth } from '../detect/detector.ts'
import type { Finding, Level } from '../detect/finding.ts'
import type { Verdict } from '../trail/verify/verdict.ts'

export interface Review {
  readonly madeAt: string
  /** What is reviewed: from the one moment up to, not including, the other. */
  readonly from: string
  readonly to: string
  /** Whose hours and days are meant: an IANA name. */
  readonly timeZone: string
  /** Sentences: why somebody has to look. Empty when nothing needs eyes. */
  readonly needsEyes: readonly string[]
  /** Sentences: what is good to know beside it, such as what the verdict does not prove, and where counts are incomplete. */
  readonly notes: readonly string[]
  /** The level from which a finding needs eyes. */
  readonly least: Level
  /** Undefined when it was not verified, which needs eyes. */
  readonly verdict?: Verdict
  /** Lines that could not be read, and entries that tell no time. */
  readonly damagedLines: number
  /** Entries in the time reviewed, and in all that was read. */
  readonly entries: number
  readonly entriesRead: number
  readonly instances: readonly string[]
  /** Found in the time reviewed: what is suppressed last, then worst first, then newest first; at most {@link mostRows}, as every list here. */
  readonly findings: readonly ReviewedFinding[]
  /** How many more there were, of each list that may be cut. */
  readonly othersOfFindings: number
  readonly detector: DetectorHealth
  /** Attempts that were refused too; oldest first. */
  readonly exports: readonly ReviewedExport[]
  readonly othersOfExports: number
  /** By slug. */
  readonly keys: readonly ReviewedKey[]
  readonly othersOfKeys: number
  /** Most uses first. */
  readonly actors: readonly ReviewedActor[]
  readonly othersOfActors: number
  /** Most first. */
  readonly failures: readonly ReviewedFailure[]
  readonly othersOfFailures: number
  /** Nothing was written for longer than twice the heartbeat, and the log was not closed; oldest first. */
  readonly silences: readonly Silence[]
  readonly othersOfSilences: number
  readonly log: ReviewedLog
  /** Calls of the KMS by time, action and outcome; joined refusals counted one by one, here and in `hours`. */
  readonly timeline: Timeline
  /** Calls by hour of the week, from Monday 00:00 in `timeZone`: 168 numbers. */
  readonly hours: readonly number[]
}

export const mostRows = 10_000

export interface ReviewedFinding extends Finding {
  /** Why it is left out of what needs eyes, and until when. */
  readonly suppressed?: { readonly until: string; readonly reason: string; readonly by?: string }
}

export interface ReviewedExport {
  readonly eventID: string
  readonly at: string
  readonly key: string
  readonly keyVersion?: number
  readonly outcome: string
  readonly error?: string
  readonly form?: string
  readonly recipient?: string
  readonly actor?: string
  readonly clientIp?: string
  readonly reason?: string
  readonly ticket?: string
}

export interface ReviewedKey {
  readonly identity: string
  readonly slug?: string
  readonly keyType?: string
  readonly latestVersion?: number
  /** As far as the trail tells: `active`, `disabled`, `pending_deletion`, `destroyed`; undefined when it does not. */
  readonly status?: string
  readonly createdAt?: string
  /** In the time reviewed: successes by action, and failures. */
  readonly uses: Readonly<Record<string, number>>
  readonly failures: number
  /** Who decrypted, most first, at most ten of them, and how many there were. */
  readonly decryptedBy: readonly { readonly actor: string; readonly count: number }[]
  readonly decryptors: number
  /** Its last successful crypto operation, of all that was read. */
  readonly lastUsedAt?: string
  /** True when it was there, and not used, for 90 days or more up to `to`; undefined when the trail does not go back so far. */
  readonly unused?: boolean
  readonly rotation: ReviewedRotation
}

export interface ReviewedRotation {
  /** As the trail tells: of creation, import, `kms_key.update` and rotations. */
  readonly enabled?: boolean
  readonly periodInDays?: number
  readonly lastRotatedAt?: string
  readonly dueAt?: string
  /**
   * `overdue`: it should have rotated more than a day before `to`. `late`: it is due, but for less than that, or came more than a
   * day late in the time reviewed. `off`: it rotates by hand only, or not at all, since it is not active. `unknown`: what the
   * trail tells does not suffice.
   */
  readonly state: 'on time' | 'late' | 'overdue' | 'off' | 'unknown'
  /** In the time reviewed: the newest hundred. */
  readonly rotations: readonly {
    readonly at: string
    readonly action: string
    readonly outcome: string
    readonly eventID: string
  }[]
}

export interface ReviewedActor {
  readonly actor: string
  readonly uses: Readonly<Record<string, number>>
  readonly failures: number
  /** How many different keys, networks (/24, /48) and user agents; a note tells when these are not all. */
  readonly keys: number
  readonly networks: number
  readonly userAgents: number
  readonly firstAt: string
  readonly lastAt: string
}

export interface ReviewedFailure {
  readonly statusCode: number
  readonly error: string
  readonly action: string
  /** Of decryptions: what exactly failed. */
  readonly decryptFailure?: string
  /** Joined refusals counted one by one. */
  readonly count: number
  readonly actors: number
  readonly keys: number
  /** `eventID`s: at most five. */
  readonly examples: readonly string[]
}

export interface Silence {
  readonly instance: string
  readonly from: string
  readonly to: string
}

export interface ReviewedLog {
  /** By sink: entries dropped, and how often it went down. */
  readonly sinks: readonly { readonly sink: string; readonly dropped: number; readonly downs: number }[]
  readonly refusedCalls: number
  readonly opened: number
  readonly recovered: number
  readonly quarantinedBytes: number
  readonly pruned: number
  readonly restored: number
  readonly clockSteps: number
  /** Running numbers that are missing. */
  readonly missing: number
  /** `eventID`s of intents that have no result, and are older than an hour at `to`. */
  readonly openIntents: readonly string[]
  /** Field policies that were in force, in order. */
  readonly fieldPolicies: readonly { readonly at: string; readonly fields: string }[]
}

export interface Timeline {
  /** Start of the first bucket, and the length of each, ms. At most 400 buckets. */
  readonly from: string
  readonly bucketMs: number
  readonly series: readonly { readonly action: string; readonly outcome: string; readonly counts: readonly number[] }[]
}
