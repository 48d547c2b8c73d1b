/** What a review tells: plain JSON, the same for the page of words, `--json` and the HTML report. Moments are RFC 3339, UTC. */
import type { DetectorHealth } from '../detect/detector.ts'
import type { Finding } from '../detect/finding.ts'
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
  /** Undefined when it was not verified, which needs eyes. */
  readonly verdict?: Verdict
  /** Lines that could not be read. */
  readonly damagedLines: number
  /** Entries in the time reviewed, and in all that was read. */
  readonly entries: number
  readonly entriesRead: number
  readonly instances: readonly string[]
  /** Found in the time reviewed, worst first, then newest first. */
  readonly findings: readonly ReviewedFinding[]
  readonly detector: DetectorHealth
  readonly exports: readonly ReviewedExport[]
  /** By slug. */
  readonly keys: readonly ReviewedKey[]
  /** Most uses first; at most {@link mostRows}, with the rest in `others`. */
  readonly actors: readonly ReviewedActor[]
  readonly othersOfActors: number
  /** Most first. */
  readonly failures: readonly ReviewedFailure[]
  /** Nothing was written for longer than the heartbeats allow. */
  readonly silences: readonly Silence[]
  readonly log: ReviewedLog
  /** Calls by time, action and outcome. */
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
  /** `unknown`: what the trail tells does not suffice; `off`: it rotates by hand only. */
  readonly state: 'on time' | 'late' | 'overdue' | 'off' | 'unknown'
  /** In the time reviewed. */
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
  /** How many different keys, networks (/24, /48) and user agents. */
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
  /** Intents that have no result, and are older than an hour at `to`. */
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
