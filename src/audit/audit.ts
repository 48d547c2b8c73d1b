/** What an audit is asked to be, and what it is to the client and to integrations. */
import type { Clock } from '../model/clock.ts'
import type { RequestContext } from '../model/context.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { AuditSink, Durability } from '../model/sink.ts'
import type { Acceptance } from './channel.ts'
import type { Deadlines } from './deadlines.ts'
import type { Draft } from './draft.ts'
import type { FieldPolicy, Fields } from './fields.ts'

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
  /** Entries not yet accepted. */
  readonly queued: number
  /** When the last entry that it accepted was written, RFC 3339; absent if it has accepted none. */
  readonly lastAcceptedAt?: string
  /** Entries lost since the start: those that found no room in a best-effort queue, and those that the sink gave up on. */
  readonly lost: number
}

export interface AuditHealth {
  /** `refusing`: a required sink is down, calls are refused before the provider is touched. */
  readonly state: 'ok' | 'degraded' | 'refusing' | 'closed'
  readonly instance: string
  readonly engine: string
  /** Whether a required sink is `synced` or `remote`, without which a crash may lose what was acknowledged (P2, P5). */
  readonly durable: boolean
  /** Calls refused because audit was down or closed, since the start. */
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
  /** Undefined, or the `AUDIT_REFUSED` or `CLOSED`, counted, that says why no entry could be accepted now. */
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
  /** While held, entries join one write a sink. Each `hold` needs its `release`. */
  hold(): void
  release(): void
  /** An id for an entry that must be named before it is written. */
  reserveEventID(): string
  /** True once for each intent: whoever claims it emits its result. */
  claim(operationID: string): boolean
  /** Open intents of `providerName`. */
  openIntents(providerName: string): Promise<readonly AuditEntry[]>
  /** Listens to entries as they are queued and to sinks going down and up; returns what stops it. A listener that throws is dropped. The same events go to the diagnostics channel `keytrail`, where the host has one (Node). */
  onEvent(listener: (event: AuditEvent) => void): () => void
  health(): AuditHealth
  /** Resolves when every queue is empty and flushed; rejects with `AUDIT_REFUSED` if a required sink is down. */
  flush(): Promise<void>
  /** Writes `audit.closed`, empties the queues within the sink deadline and closes the sinks. Idempotent. */
  close(): Promise<void>
}

const durabilities: readonly Durability[] = ['memory', 'handed-over', 'written', 'synced', 'remote']

/** @throws KmsError `INVALID_INPUT` that says which option is wrong. */
export function checkOptions(options: AuditOptions): void {
  if (typeof options !== 'object' || options === null) refuse('audit takes one object: { required: [sink] }')
  const { required, bestEffort = [], instance = 'main', sinkDeadlineMs = 5000 } = options
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
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
