/** The provider seam: whatever holds keys and does the crypto. A third party writes one in an afternoon. */
import type { Signal } from './host.ts'
import type { ResolvedKey, Scope } from './key.ts'
import type { Input, Operation, Output } from './operation.ts'
import type { Receipt } from './sink.ts'

/** What a provider may know about a call besides its input. */
export interface CallInfo {
  /** UUIDv7 of a change's intent: its name in `outcomeOf`, and an idempotency token for services that take one. Empty for crypto calls and reads, which have no intent. */
  readonly operationID: string
  readonly scope: Scope
  /** What the input's `key` resolved to; use its `identity` rather than resolving again. Absent without `resolve`. */
  readonly key?: ResolvedKey
  /** Aborts when the caller aborts or the deadline passes. */
  readonly signal: Signal
  /** For changes: where the intent stands in the trail. Store it with the change it allowed. */
  readonly anchor?: Receipt
}

/** What binds a keystore to its trail: the trail holds the newest generation, and had this root when the last change was allowed. */
export interface Binding {
  /** Random id that the keystore keeps for good. */
  readonly keystore: string
  /** Counts the changes made. */
  readonly generation: number
  /** Where the intent of the last change stood. */
  readonly anchor?: Receipt
}

/** What became of a change whose result entry is missing. */
export type IntentOutcome = 'done' | 'not-done' | 'unknown'

/**
 * A name and a table of functions. What a provider cannot do it leaves out: the call becomes an audited
 * `UNSUPPORTED_OPERATION`. Functions throw `KmsError`; anything else becomes `INTERNAL`. Inputs are checked and copied
 * before they arrive. Outputs are objects made for the call: the client adds the `eventID` to them. A provider never
 * changes a key by itself, and never logs.
 */
export interface KmsProvider {
  readonly name: string
  /**
   * `true`: `resolve` and the crypto operations answer without a promise, and keep nothing of their input. The client
   * then hands them the caller's own bytes instead of a copy, since nothing can change those meanwhile.
   */
  readonly synchronous?: boolean
  readonly operations: {
    readonly [O in Operation]?: (input: Input<O>, call: CallInfo) => Output<O> | Promise<Output<O>>
  }
  /** Finds the key that `key` (identity or slug) names within `scope`, or throws `KEY_NOT_FOUND`. */
  resolve?(key: string, scope: Scope): ResolvedKey | Promise<ResolvedKey>
  /** For recovery of open intents. Must answer `unknown` rather than guess. */
  outcomeOf?(operationID: string): IntentOutcome | Promise<IntentOutcome>
  /** Where a keystore that this provider may change stands, for the rollback check before a client's first call. */
  binding?(): Binding | undefined
  /**
   * Of one that stands for several: those. Recovery holds each keystore among them against the trail, not `binding`, which is
   * then only the one that operations on the keystore itself are about, and closes the intents that each of them left open.
   */
  readonly behind?: readonly KmsProvider[]
  close?(): Promise<void>
}
