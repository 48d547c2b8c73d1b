/**
 * The emitter: stamps entries, hands them to every sink in order, and knows whether audit can still promise anything.
 * Required sinks are awaited; best-effort sinks never slow a call, and what they lose is counted in an entry.
 */
import { engine } from '#engine'
import { toBase64url } from '../crypto/bytes.ts'
import { randomInto, randomToken } from '../crypto/random.ts'
import { systemClock } from '../model/clock.ts'
import type { AuditEntry, EntrySink } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { isPromise } from '../model/promise.ts'
import type { AuditSink, Ledger, Notice } from '../model/sink.ts'
import { version } from '../model/version.ts'
import { type Audit, type AuditEvent, type AuditHealth, type AuditOptions, checkOptions } from './audit.ts'
import { type Acceptance, type Channel, createChannel } from './channel.ts'
import { createDeadlines } from './deadlines.ts'
import { type Draft, draftOf } from './draft.ts'
import { compileFields } from './fields.ts'
import { createFloods } from './floods.ts'
import { createFullness } from './fullness.ts'
import { createHeartbeat } from './heartbeat.ts'
import { eventIDs, timestamps } from './ids.ts'
import { createLosses } from './losses.ts'

/** A required sink with so many entries waiting takes no more calls: those that gave up waiting left theirs behind. */
const maxQueued = 20_000
/** A clock that goes back further than this is told in an entry. */
const steppedMs = 1000
/** Sinks that an audit has connected: their entries about themselves go there, and to no other. */
const connected = new WeakSet<AuditSink>()

/**
 * Makes the audit: sinks, field policy and required context.
 *
 * @throws KmsError `INVALID_INPUT` without a required sink, for a wrong option, or for a sink with entries of its own that
 * another audit has.
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
  const losses = createLosses({
    sinks: channels.map(({ sink }) => sink),
    deadlines,
    report: (sink, dropped) => logNote({ action: 'audit.dropped', details: { sink, dropped } }),
  })
  const fullness = createFullness({ deadlines, onFull, onRoom })
  const floods = createFloods({ rate: options.floods, clock, deadlines, reserveEventID, write: note })
  const heartbeat = createHeartbeat({
    everyMs: options.heartbeatMs ?? 3_600_000,
    clock,
    deadlines,
    written: () => ({ count: sequence, at: stampedAt }),
    beat: (idleMs) => logNote({ action: 'audit.heartbeat', details: { idleMs } }),
  })
  const claimed = new Set<string>()
  const diagnostics = host.process?.getBuiltinModule?.('node:diagnostics_channel')?.channel('keytrail')

  let sequence = 0
  let opened = false
  let refusedCalls = 0
  let refusedSinceUp = 0
  let latest = Number.NEGATIVE_INFINITY
  let stampedAt = Number.NEGATIVE_INFINITY
  let closing: Promise<void> | undefined

  connect(channels.map(({ sink }) => sink))
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
    log: { note: logAccepted },
    // What comes after the last window was told would never be.
    join: (refusal) => (closing === undefined ? floods.join(refusal) : undefined),
    hold() {
      for (const channel of channels) channel.hold()
    },
    release() {
      for (const channel of channels) channel.release()
    },
    reserveEventID,
    openIntents,
    ledgers,
    bindings: new Map(),
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
      const { full } = sink
      if (problem === undefined && full === undefined && queued < maxQueued) continue
      if (full !== undefined) fullness.refused(sink)
      const room = full === undefined ? 'has no room' : `is full (${full})`
      const state = problem === undefined ? room : 'is down'
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
      for (const channel of bestEffort) channel.offer(draft)
      for (const channel of required) channel.offer(draft)
    })
  }

  /**
   * Lets `queue` put an entry into every queue before any is sent: a sink that goes down or calls back at once, in the
   * midst of it, must not put a later entry before this one elsewhere. A lone required sink needs no holding: its turn
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
    stampedAt = now
    randomInto(random)
    // Some are named before they are written.
    if (draft.eventID === '') draft.eventID = nextEventID(now, randomOfID)
    draft.createdAt = timestamp(now)
    draft.instance = instance
    draft.sequence = sequence++
    draft.salt = toBase64url(randomOfSalt)
    if (listeners.size > 0 || diagnostics?.hasSubscribers) tell({ type: 'entry', entry: draft })
  }

  /** The configuration, as the first entry of this start; then what the sinks have to say of theirs. */
  function open(): void {
    opened = true
    losses.watch()
    const sinks = channels.map((channel) => sinkFacts(channel.sink, required.includes(channel)))
    logNote({
      action: 'audit.opened',
      details: { sinks, engine: engine.fips() ? `${engine.name}+fips` : engine.name, version, fields: fields.text },
    })
    for (const { sink } of channels) for (const notice of sink.notices ?? []) logNote(ofSink(sink, notice))
    heartbeat.begin()
  }

  /** Hands each sink what it needs for entries of its own. */
  function connect(sinks: readonly AuditSink[]): void {
    const connecting = sinks.filter((sink) => sink.connect !== undefined)
    const taken = connecting.find((sink, at) => connected.has(sink) || connecting.indexOf(sink) < at)
    if (taken !== undefined)
      throw new KmsError('INVALID_INPUT', `the sink '${taken.name}' is in use by an audit already: share that audit`)
    for (const sink of connecting) {
      connected.add(sink)
      sink.connect?.({ note: (notice) => logAccepted(ofSink(sink, notice)) })
    }
  }

  function logNote(notice: Notice): void {
    note(logDraft(notice))
  }

  async function logAccepted(notice: Notice): Promise<void> {
    if (closing !== undefined) throw new KmsError('AUDIT_REFUSED', `the audit is closed: no ${notice.action} any more`)
    const accepted = await emit(logDraft(notice))
    if (accepted instanceof KmsError) throw accepted
  }

  /** An entry about the log itself. */
  function logDraft({ action, details, reason }: Notice): Draft {
    return draftOf({
      action,
      phase: 'result',
      resourceType: 'audit_log',
      resourceIdentity: instance,
      outcome: 'success',
      actor: { type: 'system', id: 'keytrail' },
      reason,
      details,
    })
  }

  function tellStep(now: number): void {
    const stepped = latest - now
    latest = now
    logNote({ action: 'audit.clock_stepped', details: { steppedMs: stepped } })
  }

  function onDown(channel: Channel): void {
    tell({ type: 'sink_down', sink: channel.sink.name })
    logNote({ action: 'audit.sink_down', details: { sink: channel.sink.name } })
  }

  function onUp(channel: Channel): void {
    if (required.includes(channel)) tellUp(channel.sink)
    else tellSinkUp(channel.sink.name)
  }

  /** Calls go on: how many did not is in the log from here on. */
  function tellUp({ name }: AuditSink): void {
    const refusedCalls = refusedSinceUp
    refusedSinceUp = 0
    tellSinkUp(name, { refusedCalls })
  }

  function tellSinkUp(sink: string, counted?: { readonly refusedCalls: number }): void {
    tell({ type: 'sink_up', sink })
    logNote({ action: 'audit.sink_up', details: { sink, ...counted } })
  }

  function onFull({ name }: AuditSink): void {
    tell({ type: 'sink_down', sink: name })
  }

  /** If it is down besides, that it is up again tells all. */
  function onRoom(sink: AuditSink): void {
    const isDown = required.some((channel) => channel.sink === sink && channel.problem !== undefined)
    if (!isDown) tellUp(sink)
  }

  function onLoss({ sink }: Channel): void {
    losses.add(sink)
    tell({ type: 'lost', sink: sink.name })
  }

  async function openIntents(providerName: string): Promise<readonly AuditEntry[]> {
    const found = await Promise.all(required.map(({ sink }) => sink.openIntents?.() ?? []))
    return found.flat().filter((intent) => intent.provider?.name === providerName)
  }

  function ledgers(): readonly Ledger[] {
    return required.flatMap(({ sink }) => sink.ledgers?.() ?? [])
  }

  function health(): AuditHealth {
    const isFailing = ({ problem, sink }: Channel) => problem !== undefined || sink.full !== undefined
    const working = channels.some(isFailing) ? 'degraded' : 'ok'
    const refusing = required.some(isFailing)
    const state = closing !== undefined ? 'closed' : refusing ? 'refusing' : working
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
        state: channel.problem === undefined ? 'up' : 'down',
        ...(channel.sink.full !== undefined && { full: channel.sink.full }),
        queued: channel.queued,
        ...(channel.lastAccepted !== undefined && { lastAcceptedAt: channel.lastAccepted.createdAt }),
        lost: losses.total(channel.sink),
      })),
    }
  }

  async function flush(): Promise<void> {
    floods.tellAll()
    const problem = required.find((channel) => channel.problem !== undefined)?.problem
    if (problem !== undefined) throw problem
    await Promise.all(channels.map((channel) => within(flushed(channel))))
  }

  async function flushed(channel: Channel): Promise<void> {
    await channel.drained()
    await channel.sink.flush?.()
  }

  async function close(): Promise<void> {
    heartbeat.stop()
    fullness.stop()
    floods.tellAll()
    losses.tellAll()
    if (opened) logNote({ action: 'audit.closed', details: { refusedCalls } })
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

/** `notice`, naming the sink that it is about. */
function ofSink({ name }: AuditSink, { action, details, reason }: Notice): Notice {
  return { action, details: { sink: name, ...details }, ...(reason && { reason }) }
}

function sinkFacts(sink: AuditSink, required: boolean): EntrySink {
  const { filesystem, size, vkey, minRetentionDays, warnings } = sink.facts ?? {}
  return {
    name: sink.name,
    durability: sink.durability,
    required,
    ...(filesystem !== undefined && { filesystem }),
    ...(size !== undefined && { size }),
    ...(vkey !== undefined && { vkey }),
    ...(minRetentionDays !== undefined && { minRetentionDays }),
    ...(warnings !== undefined && { warnings: [...warnings] }),
  }
}
