/**
 * The emitter: stamps entries, hands them to every sink in order, and knows whether audit can still promise anything.
 * Required sinks are awaited; best-effort sinks never slow a call, and what they lose is counted in an entry.
 */
import { engine } from '#engine'
import { toBase64url } from '../crypto/bytes.ts'
import { randomInto, randomToken } from '../crypto/random.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import type { RequestContext } from '../model/context.ts'
import type { AuditEntry, EntryDetails, EntrySink } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { isPromise } from '../model/promise.ts'
import type { AuditSink, Durability } from '../model/sink.ts'
import { version } from '../model/version.ts'
import { type Acceptance, type Channel, createChannel } from './channel.ts'
import { createDeadlines, type Deadlines } from './deadlines.ts'
import { type Draft, draftOf } from './draft.ts'
import { compileFields, type FieldPolicy, type Fields } from './fields.ts'
import { eventIDs, timestamps } from './ids.ts'

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
  /** Best-effort only: entries lost since the start. */
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

/** A required sink with so many entries waiting takes no more calls: those that gave up waiting left theirs behind. */
const maxQueued = 20_000
const lossReportMs = { first: 1000, next: 60_000 } as const
/** A clock that goes back further than this is told in an entry. */
const steppedMs = 1000

/**
 * Makes the audit: sinks, field policy and required context.
 *
 * @throws KmsError `INVALID_INPUT` without a required sink, or for a wrong option.
 * @example
 * ```ts
 * const audit = createAudit({ required: [trail], bestEffort: [stdoutSink()], fields: { clientIp: 'prefix' } })
 * ```
 */
export function createAudit(options: AuditOptions): Audit {
  checkOptions(options)
  const { clock = systemClock, sinkDeadlineMs = 5000, require = {} } = options
  const instance = `${options.instance ?? 'main'}-${randomToken().replace(/[-_]/g, '').slice(0, 8)}`
  const fields = compileFields(options.fields)
  const deadlines = createDeadlines(clock)
  const nextEventID = eventIDs()
  const timestamp = timestamps()
  // One draw for an entry's id and its salt.
  const random = new Uint8Array(32)
  const [randomOfID, randomOfSalt] = [random.subarray(0, 16), random.subarray(16)]
  const shared = { clock, deadlines, sinkDeadlineMs, onDown, onUp }
  const required = options.required.map((sink) => createChannel(sink, shared))
  const room = {
    entries: options.bestEffortQueue?.entries ?? 10_000,
    bytes: options.bestEffortQueue?.bytes ?? 16 * 1024 * 1024,
  }
  const bestEffort = (options.bestEffort ?? []).map((sink) => createChannel(sink, { ...shared, room, onLoss }))
  const channels = [...required, ...bestEffort]
  const only = channels.length === 1 ? required[0] : undefined
  const listeners = new Set<(event: AuditEvent) => void>()
  const losses = new Map<Channel, { total: number; unreported: number; reports: number }>()
  const claimed = new Set<string>()
  const diagnostics = host.process?.getBuiltinModule?.('node:diagnostics_channel')?.channel('keytrail')

  let sequence = 0
  let opened = false
  let refusedCalls = 0
  let refusedSinceUp = 0
  let latest = Number.NEGATIVE_INFINITY
  let closing: Promise<void> | undefined

  return {
    instance,
    fields,
    clock,
    deadlines,
    require,
    admit,
    countRefused,
    emit,
    note,
    hold() {
      for (const channel of channels) channel.hold()
    },
    release() {
      for (const channel of channels) channel.release()
    },
    reserveEventID,
    openIntents,
    claim(operationID) {
      const isFirst = !claimed.has(operationID)
      claimed.add(operationID)
      return isFirst
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    health,
    flush,
    close() {
      closing ??= close()
      return closing
    },
  }

  function admit(): KmsError | undefined {
    if (closing !== undefined) return countRefused(new KmsError('CLOSED', 'the audit is closed'))
    for (const { sink, problem, queued } of required) {
      if (problem === undefined && queued < maxQueued) continue
      const state = problem === undefined ? 'has no room' : 'is down'
      const cause = problem && { cause: problem }
      const message = `the sink '${sink.name}' ${state}: nothing was done, try again later`
      return countRefused(new KmsError('AUDIT_REFUSED', message, cause))
    }
    return undefined
  }

  function countRefused(error: KmsError): KmsError {
    refusedCalls += 1
    refusedSinceUp += 1
    tell({ type: 'refused', code: error.code })
    return error
  }

  function emit(draft: Draft, expiresAt = Number.POSITIVE_INFINITY): Acceptance | Promise<Acceptance> {
    if (!opened) open()
    stamp(draft)
    if (only !== undefined) return only.accept(draft, expiresAt)
    const answers = together(() => {
      for (const channel of bestEffort) channel.offer(draft)
      return required.map((channel) => channel.accept(draft, expiresAt))
    })
    if (answers.some(isPromise)) return Promise.all(answers).then(joined)
    // None is a promise, as just seen.
    return joined(answers as Acceptance[])
  }

  function note(draft: Draft): void {
    if (!opened) open()
    stamp(draft)
    together(() => {
      for (const channel of channels) channel.offer(draft)
    })
  }

  /**
   * Lets `queue` put an entry into every queue before any is sent: a sink that goes down or calls back at once, in the
   * midst of it, must not put a later entry before this one elsewhere. A lone required sink needs no queue: its accept
   * comes last.
   */
  function together<T>(queue: () => T): T {
    const held = required.length === 1 ? bestEffort : channels
    for (const channel of held) channel.hold()
    const queued = queue()
    for (const channel of held) channel.release()
    return queued
  }

  function reserveEventID(): string {
    randomInto(random)
    return nextEventID(clock.now(), randomOfID)
  }

  function stamp(draft: Draft): void {
    const now = clock.now()
    if (now < latest - steppedMs) tellStep(now)
    if (now > latest) latest = now
    randomInto(random)
    draft.eventID = nextEventID(now, randomOfID)
    draft.createdAt = timestamp(now)
    draft.instance = instance
    draft.sequence = sequence++
    draft.salt = toBase64url(randomOfSalt)
    if (listeners.size > 0 || diagnostics?.hasSubscribers) tell({ type: 'entry', entry: draft })
  }

  /** The configuration, as the first entry of this start; then what the sinks have to say of theirs. */
  function open(): void {
    opened = true
    const sinks = channels.map((channel) => sinkFacts(channel.sink, required.includes(channel)))
    logNote('audit.opened', { sinks, engine: engine.name, version, fields: fields.text })
    for (const channel of channels) {
      for (const { action, quarantinedBytes, file } of channel.sink.notices ?? [])
        logNote(action, { sink: channel.sink.name, quarantinedBytes, file })
    }
  }

  /** An entry about the log itself. */
  function logNote(action: string, details: EntryDetails): void {
    note(
      draftOf({
        action,
        phase: 'result',
        resourceType: 'audit_log',
        resourceIdentity: instance,
        outcome: 'success',
        actor: { type: 'system', id: 'keytrail' },
        details,
      }),
    )
  }

  function tellStep(now: number): void {
    const stepped = latest - now
    latest = now
    logNote('audit.clock_stepped', { steppedMs: stepped })
  }

  function onDown(channel: Channel): void {
    tell({ type: 'sink_down', sink: channel.sink.name })
    logNote('audit.sink_down', { sink: channel.sink.name })
  }

  function onUp(channel: Channel): void {
    tell({ type: 'sink_up', sink: channel.sink.name })
    const refused = refusedSinceUp
    refusedSinceUp = 0
    logNote('audit.sink_up', { sink: channel.sink.name, ...(required.includes(channel) && { refusedCalls: refused }) })
  }

  function onLoss(channel: Channel): void {
    const loss = losses.get(channel) ?? { total: 0, unreported: 0, reports: 0 }
    losses.set(channel, loss)
    loss.total += 1
    loss.unreported += 1
    tell({ type: 'lost', sink: channel.sink.name })
    if (loss.unreported === 1)
      deadlines.after(loss.reports === 0 ? lossReportMs.first : lossReportMs.next, () => reportLoss(channel))
  }

  function reportLoss(channel: Channel): void {
    const loss = losses.get(channel)
    if (loss === undefined || loss.unreported === 0) return
    const dropped = loss.unreported
    loss.unreported = 0
    loss.reports += 1
    logNote('audit.dropped', { sink: channel.sink.name, dropped })
  }

  async function openIntents(providerName: string): Promise<readonly AuditEntry[]> {
    const found = await Promise.all(required.map(({ sink }) => sink.openIntents?.() ?? []))
    return found.flat().filter((intent) => intent.provider?.name === providerName)
  }

  function health(): AuditHealth {
    const isDown = (channel: Channel) => channel.problem !== undefined
    const working = channels.some(isDown) ? 'degraded' : 'ok'
    const state = closing !== undefined ? 'closed' : required.some(isDown) ? 'refusing' : working
    return {
      state,
      instance,
      engine: engine.name,
      durable: required.some(({ sink }) => sink.durability === 'synced' || sink.durability === 'remote'),
      refusedCalls,
      sinks: channels.map((channel) => ({
        name: channel.sink.name,
        durability: channel.sink.durability,
        required: required.includes(channel),
        state: isDown(channel) ? 'down' : 'up',
        queued: channel.queued,
        ...(channel.lastAccepted !== undefined && { lastAcceptedAt: channel.lastAccepted.createdAt }),
        lost: losses.get(channel)?.total ?? 0,
      })),
    }
  }

  async function flush(): Promise<void> {
    const problem = required.find((channel) => channel.problem !== undefined)?.problem
    if (problem !== undefined) throw problem
    await Promise.all(channels.map((channel) => within(flushed(channel))))
  }

  async function flushed(channel: Channel): Promise<void> {
    await channel.drained()
    await channel.sink.flush?.()
  }

  async function close(): Promise<void> {
    for (const channel of bestEffort) reportLoss(channel)
    if (opened) logNote('audit.closed', { refusedCalls })
    // A sink that hangs or refuses must not keep the others from closing.
    const settled = await Promise.allSettled(channels.map(closed))
    const failed = settled.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async function closed(channel: Channel): Promise<void> {
    try {
      await within(channel.drained())
    } finally {
      channel.stop()
      await within(Promise.resolve(channel.sink.close?.()))
    }
  }

  /** `work`, or a rejection at the sink deadline. */
  function within<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = deadlines.after(sinkDeadlineMs, () => {
        reject(new KmsError('AUDIT_REFUSED', `a sink did not finish within ${sinkDeadlineMs} ms`))
      })
      work.then(resolve, reject).finally(cancel)
    })
  }

  function tell(event: AuditEvent): void {
    diagnostics?.publish(event)
    for (const listener of listeners) {
      try {
        listener(event)
      } catch {
        // A broken listener must not break the call it listens to.
        listeners.delete(listener)
      }
    }
  }
}

/** Refused if one refused, else the first receipt. */
function joined(answers: readonly Acceptance[]): Acceptance {
  return answers.find((answer) => answer instanceof KmsError) ?? answers.find((answer) => answer !== undefined)
}

function sinkFacts(sink: AuditSink, required: boolean): EntrySink {
  const { filesystem, size, vkey, warnings } = sink.facts ?? {}
  return {
    name: sink.name,
    durability: sink.durability,
    required,
    ...(filesystem !== undefined && { filesystem }),
    ...(size !== undefined && { size }),
    ...(vkey !== undefined && { vkey }),
    ...(warnings !== undefined && { warnings: [...warnings] }),
  }
}

const durabilities: readonly Durability[] = ['memory', 'handed-over', 'written', 'synced', 'remote']

function checkOptions(options: AuditOptions): void {
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
