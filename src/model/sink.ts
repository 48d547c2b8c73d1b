/** The sink seam: whatever accepts entries. */
import type { AuditEntry, EntryDetails, EntryReason, SinkFacts } from './entry.ts'

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

/** An entry about the log itself that a sink asks for, such as `audit.recovered`. */
export interface Notice {
  readonly action: `audit.${string}`
  /** Besides the sink's name, which is added. */
  readonly details: EntryDetails
  /** Why, where somebody decided it. */
  readonly reason?: EntryReason
}

/** How a sink has entries of its own written, once an audit has taken it. */
export interface SinkLog {
  /**
   * Resolves when every required sink has accepted the entry; rejects with `AUDIT_REFUSED` otherwise, and the entry stays
   * queued. Never await it inside `write`: the entry comes in a later one.
   */
  note(notice: Notice): Promise<void>
}

/** What a trail remembers, to be compared with a keystore. */
export interface Ledger {
  readonly origin: string
  /** Entries that are safe. */
  readonly size: bigint
  /** Root over the first `size` entries; undefined when there are not so many, or they cannot be told any more. */
  rootAt(size: bigint): Promise<Uint8Array | undefined>
  /** The newest that the entries tell of `keystore`; undefined when they tell nothing of it. */
  lastOf(keystore: string): Remembered | undefined
  /** Entries below this index are dropped: what they told may be forgotten. */
  readonly prunedBelow: bigint
}

export interface Remembered {
  readonly generation: number
  /** The anchor that `audit.restored` accepted although it was not of this trail. */
  readonly accepted?: { readonly size: bigint; readonly root: Uint8Array }
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
  /** Called once, by the audit that takes the sink, before its first write. */
  connect?(log: SinkLog): void
  /**
   * Why no further call should begin, such as a disk that is nearly full; undefined when there is room. The audit refuses
   * calls at the door while a required sink is full, but still writes what is queued and what the log says of itself.
   */
  readonly full?: string | undefined
  /** What durable sinks remember, for the rollback check: one for each trail behind this sink. */
  ledgers?(): readonly Ledger[]
  flush?(): Promise<void>
  close?(): Promise<void>
}
