/** The sink seam: whatever accepts entries. */
import type { AuditEntry, SinkFacts } from './entry.ts'

/** What `write` returning means. P2 and P5 need a required sink that is `synced` or `remote`. */
export type Durability = 'memory' | 'handed-over' | 'written' | 'synced' | 'remote'

/** The trail after a batch: what binds a keystore to its trail. */
export interface Receipt {
  readonly origin: string
  readonly size: bigint
  /** RFC 6962 root, 32 bytes. */
  readonly root: Uint8Array
}

/** Where an entry stands in the trail; given by followers. */
export interface Placed {
  readonly index: bigint
  readonly leafHash: Uint8Array
  readonly checkpoint: string
}

/** An entry that a sink asks for when it starts, such as `audit.recovered`. */
export interface Notice {
  readonly action: 'audit.recovered'
  readonly quarantinedBytes: number
  readonly file: string
}

export interface AuditSink {
  readonly name: string
  readonly durability: Durability
  /**
   * Returns (or resolves) only when all of `entries` are as safe as `durability` says; throws otherwise, and then gets
   * the same entries again, first. One write at a time, in order: may see an entry twice, never a gap. Must not keep
   * the array; entries are immutable.
   */
  write(entries: readonly AuditEntry[], placed?: readonly Placed[]): void | Receipt | Promise<void | Receipt>
  /** Intents found without a result when the sink was opened, for recovery. */
  openIntents?(): Promise<readonly AuditEntry[]>
  /** Facts about the sink, recorded in `audit.opened`. */
  readonly facts?: SinkFacts
  /** A running count of entries that the sink accepted and then had to give up on, where it can: told in `audit.dropped`. */
  readonly lost?: number
  /** What happened when the sink was opened; recorded right after `audit.opened`. */
  readonly notices?: readonly Notice[]
  flush?(): Promise<void>
  close?(): Promise<void>
}
