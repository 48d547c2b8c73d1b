/** What an audit is asked to be, and what it is to the client and to integrations. */
import type { Clock } from '../model/clock.ts'
import type { RequestContext } from '../model/context.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { AuditSink, Durability, Ledger, SinkLog } from '../model/sink.ts'
import type { Acceptance } from './channel.ts'
import type { Deadlines } from './deadlines.ts'
import type { Draft } from './draft.ts'
import type { FieldPolicy, Fields } from './fields.ts'
import { checkFloods, type FloodOptions } from './floods.ts'

/** A field of the context that a call may be required to have. */
export type RequiredField = keyof RequestContext

export interface AuditOptions {
  /** Every one must accept an entry before its result leaves. At least one. */
  readonly required: readonly AuditSink[]
  /** Never waited for. */
  readonly bestEffort?: readonly AuditSink[]
  /** Which of the caller's fields are kept, and how. */
  readonly fields?: FieldPolicy
  /**
   * Context that an action must have, or the call is refused: `{ 'kms.export': ['actor', 'reason'] }`. `*` is every
   * action.
   */
  readonly require?: Readonly<Record<string, readonly RequiredField[]>>
  /** Name of this writer in its entries, `main` by default; a random id of this start is added. */
  readonly instance?: string
  /** How long a sink's write may take, ms; 5,000 by default. */
  readonly sinkDeadlineMs?: number
  /** What may wait for a best-effort sink; 10,000 entries and 16 MiB by default. */
  readonly bestEffortQueue?: { readonly entries?: number; readonly bytes?: number }
  /** After so long without an entry an `audit.heartbeat` is written, ms; an hour by default, 0 for none. Begins with the first entry. */
  readonly heartbeatMs?: number
  /** When refused calls are joined into one entry. */
  readonly floods?: FloodOptions
  readonly clock?: Clock
}

export type AuditEvent =
  | { readonly type: 'entry'; readonly entry: AuditEntry }
  | { readonly type: 'sink_down' | 'sink_up'; readonly sink: string }
  | { readonly type: 'lost'; readonly sink: string }
  | { readonly type: 'refused'; readonly code: KmsError['code'] }

export interface SinkHealth {
  readonly name: string
  readonly durability: Durability
  readonly required: boolean
  readonly state: 'up' | 'down'
  /** Why it takes no further call, such as a disk that is nearly full; absent while there is room. */
  readonly full?: string
  /** Entries not yet accepted. */
  readonly queued: number
  /** When the last entry that it accepted was written, RFC 3339; absent if it has accepted none. */
  readonly lastAcceptedAt?: string
  /** Entries lost since the start: those that found no room in a best-effort queue, and those that the sink gave up on. */
  readonly lost: number
}

export interface AuditHealth {
  /** `refusing`: a required sink is down or full, calls are refused before the provider is touched. */
  readonly state: 'ok' | 'degraded' | 'refusing' | 'closed'
  readonly instance: string
  readonly engine: string
  /** Whether a required sink is `synced` or `remote`, without which a crash may lose what was acknowledged (P2, P5). */
  readonly durable: boolean
  /** Calls refused because audit was down, full or closed, since the start. */
  readonly refusedCalls: number
  readonly sinks: readonly SinkHealth[]
}

/** The audit that a `KmsClient` and its integrations share. */
export interface Audit {
  readonly instance: string
  readonly fields: Fields
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly require: Readonly<Record<string, readonly RequiredField[]>>
  /** Undefined, or the `AUDIT_REFUSED` or `CLOSED`, counted, that says why no call should begin now. */
  admit(): KmsError | undefined
  /** Counts a call that was refused without an entry. */
  countRefused(error: KmsError): KmsError
  /**
   * Stamps `draft`, queues it, and tells whether every required sink accepted it before `expiresAt` (monotonic clock).
   * Never throws or rejects.
   */
  emit(draft: Draft, expiresAt?: number): Acceptance | Promise<Acceptance>
  /** The same, for an entry that nobody waits for. */
  note(draft: Draft): void
  /** Entries about the log itself, as sinks write them too. */
  readonly log: SinkLog
  /**
   * Takes the result entry of a refused call into one that stands for many, and gives the `eventID` which that one will
   * have; undefined where the refusal deserves an entry of its own, which is then to be emitted.
   */
  join(refusal: Draft): string | undefined
  /** While held, entries join one write a sink. Each `hold` needs its `release`. */
  hold(): void
  release(): void
  /** An id for an entry that must be named before it is written. */
  reserveEventID(): string
  /** True once for each intent: whoever claims it emits its result. */
  claim(operationID: string): boolean
  /** Open intents of `providerName`. */
  openIntents(providerName: string): Promise<readonly AuditEntry[]>
  /** What the required sinks remember of keystores. */
  ledgers(): readonly Ledger[]
  /** By keystore id, why it does not fit the ledgers; undefined if it does. Found once, before the first call of any client. */
  readonly bindings: Map<string, Promise<string | undefined | KmsError>>
  /** Listens to entries as they are queued and to sinks going down and up; returns what stops it. A listener that throws is dropped. The same events go to the diagnostics channel `keytrail`, where the host has one (Node). */
  onEvent(listener: (event: AuditEvent) => void): () => void
  health(): AuditHealth
  /** Writes what refusals are joined so far; resolves when every queue is empty and flushed; rejects with `AUDIT_REFUSED` if a required sink is down. */
  flush(): Promise<void>
  /** Writes `audit.closed`, empties the queues within the sink deadline and closes the sinks. Idempotent. */
  close(): Promise<void>
}

const durabilities: readonly Durability[] = ['memory', 'handed-over', 'written', 'synced', 'remote']

/** @throws KmsError `INVALID_INPUT` that says which option is wrong. */
export function checkOptions(options: AuditOptions): void {
  if (typeof options !== 'object' || options === null) refuse('audit takes one object: { required: [sink] }')
  const { required, bestEffort = [], instance = 'main', sinkDeadlineMs = 5000, heartbeatMs = 0 } = options
  if (!Array.isArray(required) || required.length === 0)
    refuse(
      "audit.required must name at least one sink, such as openTrail(…) or memorySink(): 'no entry, no result' needs one",
    )
  if (!Array.isArray(bestEffort)) refuse('audit.bestEffort must be a list of sinks')
  for (const sink of [...required, ...bestEffort]) {
    if (typeof sink?.write !== 'function' || typeof sink.name !== 'string' || !durabilities.includes(sink.durability))
      refuse('a sink must have a name, a durability and a write function')
  }
  if (!/^[\w.-]{1,64}$/.test(instance))
    refuse('audit.instance must be 1–64 letters, digits, dots, dashes or underscores')
  if (!Number.isFinite(sinkDeadlineMs) || sinkDeadlineMs <= 0) refuse('audit.sinkDeadlineMs must be a positive number')
  if (!Number.isFinite(heartbeatMs) || heartbeatMs < 0)
    refuse('audit.heartbeatMs must be a number of milliseconds, or 0 for no heartbeat')
  checkFloods(options.floods)
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
