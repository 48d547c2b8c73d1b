/** What a trail is asked to be, and what it is to its audit and its owner. */
import type { Clock } from '../model/clock.ts'
import type { AuditEntry, SinkFacts } from '../model/entry.ts'
import type { Signer } from '../model/signer.ts'
import type { AuditSink, Ledger, Notice, Receipt, SinkLog } from '../model/sink.ts'
import type { FileSystem } from '../storage/filesystem.ts'
import type { WitnessOptions } from './anchors/witness-options.ts'
import type { WitnessHealth } from './anchors/witness-turns.ts'
import type { EntryProof, ProveOptions } from './receipts/prove.ts'
import type { Pruned, PruneRequest } from './retention/prune.ts'

export interface TrailOptions {
  /** Folder that holds one directory for each instance. Made if absent, with mode 0700. */
  readonly path: string
  /** This writer's directory below `path`: letters, digits, `.`, `_`, `-`. `main` by default. */
  readonly instance?: string
  /**
   * `local.auditSigner()`, or a `fileSigner` kept outside the trail. A trail that is signed by the `previous` of it, or one
   * before that, is handed over to it by an entry that the audit is asked for (`notices`).
   */
  readonly signer: Signer
  /** What the trail is called in its checkpoints, for good; unique. Made from random characters by default. */
  readonly origin?: string
  /** Days for which retention may never drop an entry. Set when the trail is made, for good. */
  readonly minRetentionDays?: number
  /**
   * Where the trail stood when the keystore beside it was changed last: `local.binding()?.anchor`. A trail of this origin
   * that ends before it is refused, and nothing of it is cut.
   */
  readonly anchor?: Receipt
  /** A segment file that has grown to so many bytes is followed by another; 64 MiB by default. */
  readonly segmentBytes?: number
  /** Finished segments are compressed (`.jsonl.gz`); what is hashed and signed are the bytes as they were written. */
  readonly compressSealed?: boolean
  /**
   * Bytes that the files of this instance may take. At four fifths of it an entry `audit.space_low` is written; when it is
   * used up the trail is `full`, until entries are pruned.
   */
  readonly budgetBytes?: number
  /** Where signed checkpoints are kept, out of reach of whoever can change the trail. */
  readonly pin?: PinOptions | ((note: string) => Promise<void>)
  /** Others who are asked to cosign the checkpoints, at most once a minute and on `close`. */
  readonly witnesses?: readonly WitnessOptions[]
  /** Take the lock from a holder on another host or boot that is gone for sure. */
  readonly takeOver?: boolean
  /** File systems used although they are refused by default, such as `tmpfs` or `nfs`. */
  readonly allowFilesystem?: readonly string[]
  readonly clock?: Clock
  readonly fs?: FileSystem
}

/** On `close`, and every so often when entries came in between. */
export interface PinOptions {
  /** Outside the trail's folder. Gives way to larger checkpoints of the same trail only. */
  readonly file: string
  /** One hour by default. */
  readonly everyMs?: number
}

/** What goes on beside the writing, and never stops it. */
export interface TrailHealth {
  /** What went wrong last: with tiles, compression, the published checkpoint, pins. Empty when nothing did. */
  readonly problems: readonly string[]
  readonly witnesses: readonly WitnessHealth[]
}

/**
 * A sink whose entries are on the disk, in the tree, and signed, when `write` resolves. One writer at a time; anyone may
 * read with `readTrail` and check with `verifyTrail` meanwhile.
 */
export interface Trail extends AuditSink {
  readonly name: 'trail'
  readonly durability: 'synced'
  /** This instance's directory. */
  readonly path: string
  readonly origin: string
  /** Of the key that signs now. Hand it to whoever verifies, by a way that does not lead through this machine. */
  readonly vkey: string
  /** Entries that are safe. */
  readonly size: bigint
  /** Index of the first entry that is still there. */
  readonly prunedBelow: bigint
  /**
   * One batch: one write, one sync. After a failure nothing of the batch counts: it is cut off and kept in `quarantine/`,
   * and the trail goes on in a new segment when the batch comes again. An entry is in the trail once, then; only an entry
   * whose acknowledgement was lost with the process may be handed in, and stand, twice. A disk that is full is given the
   * mebibyte that the trail keeps for it, once, and then is `full`.
   *
   * Errors: `PROVIDER_UNAVAILABLE` (disk), `LOCKED` (another process took over), `CLOSED`, `INTERNAL` (a second write
   * before the first has settled), `INVALID_INPUT` (an entry of more than a megabyte).
   */
  write(entries: readonly AuditEntry[]): Promise<Receipt>
  /** Intents that stood without a result when the trail was opened, and still do. */
  openIntents(): Promise<readonly AuditEntry[]>
  readonly facts: SinkFacts
  readonly notices: readonly Notice[]
  connect(log: SinkLog): void
  /** The disk is full, or `budgetBytes` are used up; undefined again by itself once there is room. */
  readonly full: string | undefined
  /** Its own. */
  ledgers(): readonly Ledger[]
  /**
   * Hands the trail over to `next`: an entry that the present key signs, and from the batch after it on only `next` signs.
   * Resolves when the entry is accepted; at once when `next` signs already.
   *
   * Errors: `INVALID_INPUT` (no audit has taken the trail, another handover is under way, `next` does not sign),
   * `AUDIT_REFUSED` (the entry waits, and the handover with it).
   */
  rotateSigner(next: Signer): Promise<void>
  /** Drops old entries, in whole segments; see `pruneTrail`. */
  prune(request: PruneRequest): Promise<Pruned>
  /** A receipt for an entry of this trail, see `proveEntry`; what is not published yet is published first. */
  proveEntry(eventID: string, options?: Pick<ProveOptions, 'archive'>): Promise<EntryProof>
  /**
   * Publishes the checkpoint, keeps it where the `pin` option says, if it does, and resolves to it: a signed note, with
   * the cosignatures that it has. Errors: as `writePin`, or what the function given as `pin` throws.
   */
  pin(): Promise<string>
  health(): TrailHealth
  /** Publishes the checkpoint of what is safe. */
  flush(): Promise<void>
  /**
   * Waits for a write under way, publishes the checkpoint, pins it, and gives the lock back. What goes on beside (tiles,
   * compression, witnesses) is waited for a few seconds. Idempotent. Errors: those of `flush` and `pin`, when all is closed.
   */
  close(): Promise<void>
}
