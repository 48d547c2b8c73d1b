/** Sinks made of sinks: `anyOf` for availability, `filter` for a part of the entries. */
import { type Clock, systemClock } from '../model/clock.ts'
import type { AuditEntry, SinkFacts } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { AuditSink, Durability, Notice, Receipt, SinkLog } from '../model/sink.ts'
import { type Batch, type Member, memberOf } from './member.ts'

export interface AnyOfOptions {
  /** At least one. */
  readonly sinks: readonly AuditSink[]
  /** A sink that is behind the others for so long is told to be down, ms; 5,000 by default. */
  readonly lateMs?: number
  readonly clock?: Clock
}

/** How one of `anyOf`'s sinks stands. */
export interface MemberState {
  readonly name: string
  /** Entries accepted by another sink that this one has still to accept. */
  readonly waiting: number
  /** Entries that this sink will never get: its backlog was full, or it lagged when closed. */
  readonly lost: number
}

export interface AnyOfSink extends AuditSink {
  /** In the order given to `anyOf`. */
  readonly members: readonly MemberState[]
}

const weakestFirst: readonly Durability[] = ['memory', 'handed-over', 'written', 'synced', 'remote']

/**
 * Writes to all `sinks` and accepts as soon as one of them accepts, with the receipt of that one; refuses with
 * `AUDIT_REFUSED` when none does. Its durability is the weakest of theirs, since any one may be the only one that
 * accepted. It is full when no sink is left that is neither full nor down.
 *
 * What a sink has not accepted while another has, waits for it in order, and is sent first at the next write. That it
 * stopped accepting, and that it has caught up, are entries, `audit.sink_down` and `audit.sink_up` in all of them, once an
 * audit has taken the sink. Beyond 10,000 waiting entries the oldest are lost to that sink: counted in `members`, told in
 * `audit.dropped`; in the sink itself the gap shows in `sequence`. Sinks of the same name are told apart as `trail`,
 * `trail#2` …
 *
 * @throws KmsError `INVALID_INPUT` without a sink, or for a wrong option.
 * @example
 * ```ts
 * const sink = anyOf(await openTrail({ path: '/data/audit', signer }), await openTrail({ path: '/spare/audit', signer }))
 * ```
 */
export function anyOf(options: AnyOfOptions): AnyOfSink
export function anyOf(...sinks: readonly AuditSink[]): AnyOfSink
export function anyOf(...given: readonly (AuditSink | AnyOfOptions)[]): AnyOfSink {
  const { sinks, lateMs = 5000, clock = systemClock } = optionsOf(given)
  const names = namesOf(sinks)
  const members = sinks.map((sink, at) => memberOf({ sink, name: names[at] ?? sink.name, lateMs, clock, tell }))
  const durability = weakestFirst.find((known) => sinks.some((sink) => sink.durability === known))
  if (durability === undefined) throw new KmsError('INVALID_INPUT', 'anyOf needs at least one sink')
  const all = names.join(', ')
  let log: SinkLog | undefined
  let closed = false

  /** Nobody waits for it: it is written with what comes next, also to the sink that it is about. */
  function tell(notice: Notice): void {
    log?.note(notice).catch(isQueued)
  }

  return {
    name: `anyOf(${all})`,
    durability,
    async write(entries, placed) {
      if (closed) throw new KmsError('CLOSED', `sink anyOf(${all}) is closed`)
      const batch: Batch = { entries: [...entries], ...(placed && { placed: [...placed] }) }
      const answers = members.map((member) => member.offer(batch))
      const receipt = await firstOf(answers, batch)
      for (const [at, member] of members.entries()) {
        answers[at]?.catch(() => member.missed(batch))
        if (member.isLate()) member.missed(batch)
        member.trim()
      }
      return receipt
    },
    connect(connected) {
      log = connected
      for (const { sink, name } of members) {
        sink.connect?.({ note: (notice) => connected.note(noticeOf(name, notice)) })
      }
    },
    get full() {
      const reasons = members.map(({ sink, isDown }) => (isDown() ? 'down' : sink.full))
      if (reasons.includes(undefined) || members.every(({ isDown }) => isDown())) return undefined
      return reasons.map((reason, at) => `${names[at]}: ${reason}`).join('; ')
    },
    ledgers: () => sinks.flatMap((sink) => sink.ledgers?.() ?? []),
    get members() {
      return members.map((member) => member.state())
    },
    /** Of all members together. */
    get lost() {
      return members.reduce((sum, member) => sum + member.state().lost, 0)
    },
    get facts(): SinkFacts {
      const warnings = [...members.flatMap(warningsOf), ...members.flatMap((member) => lossOf(member.state()))]
      const days = new Set(sinks.map((sink) => sink.facts?.minRetentionDays))
      const [minRetentionDays] = days
      return {
        ...(days.size === 1 && minRetentionDays !== undefined && { minRetentionDays }),
        ...(warnings.length > 0 && { warnings }),
      }
    },
    get notices() {
      return members.flatMap(({ sink, name }) => (sink.notices ?? []).map((notice) => noticeOf(name, notice)))
    },
    /** Intents open in any of the sinks: one that missed a result reports too much, never too little. */
    async openIntents() {
      const found = await Promise.all(sinks.map(async (sink) => (await sink.openIntents?.()) ?? []))
      return [...new Map(found.flat().map((intent) => [intent.eventID, intent])).values()]
    },
    /** Sends every backlog once more, then flushes every sink; a sink that still lags is told in `members`. */
    async flush() {
      await Promise.all(members.map((member) => member.catchUp()))
      refuseIfAllFailed(await Promise.allSettled(sinks.map(async (sink) => sink.flush?.())))
    },
    /** Waits for writes under way; what a sink has still not accepted then is lost to it. */
    async close() {
      if (closed) return
      closed = true
      await Promise.all(members.map((member) => member.catchUp()))
      const answers = await Promise.allSettled(sinks.map(async (sink) => sink.close?.()))
      for (const member of members) member.giveUp()
      const failed = answers.find((answer) => answer.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    },
  }

  /** The receipt of who accepts first; if none does, nobody keeps the batch. */
  async function firstOf(answers: readonly Promise<Receipt | undefined>[], batch: Batch): Promise<Receipt | undefined> {
    try {
      return await Promise.any(answers)
    } catch (none) {
      // The same entries come again, first: left in the backlogs they would come twice each time.
      for (const member of members) member.withdraw(batch)
      const cause = none instanceof AggregateError ? none.errors[0] : none
      throw new KmsError('AUDIT_REFUSED', `none of the sinks accepted: ${all}`, { cause })
    }
  }
}

/**
 * Hands `sink` only the entries for which `matches` is true, and those that it asked for itself; the others are accepted
 * without being written anywhere. So it belongs beside a sink that takes everything, never alone as the required one.
 *
 * @example
 * ```ts
 * const exports = filter(httpSink({ url: 'https://pager.example/' }), (entry) => entry.action === 'kms.export')
 * ```
 */
export function filter(sink: AuditSink, matches: (entry: AuditEntry) => boolean): AuditSink {
  const { connect, openIntents, ledgers, flush, close } = sink
  /** Under which names it asked for entries: a sink made of sinks has several. */
  const asking = new Set<string>()
  const isAskedFor = ({ resourceType, details }: AuditEntry) =>
    resourceType === 'audit_log' && details?.sink !== undefined && asking.has(details.sink)
  const isWanted = (entry: AuditEntry) => matches(entry) || isAskedFor(entry)

  function asked(notice: Notice): Notice {
    const named = noticeOf(sink.name, notice)
    asking.add(named.details.sink ?? sink.name)
    return named
  }

  return {
    name: `filter(${sink.name})`,
    durability: sink.durability,
    write(entries, placed) {
      const chosen = entries.map(isWanted)
      const passed = entries.filter((_, at) => chosen[at])
      if (passed.length === 0) return
      return sink.write(
        passed,
        placed?.filter((_, at) => chosen[at]),
      )
    },
    get facts(): SinkFacts {
      const warnings = [...(sink.facts?.warnings ?? []), 'filtered: entries that do not match are not written']
      return { ...sink.facts, warnings }
    },
    get full() {
      return sink.full
    },
    get lost() {
      return sink.lost ?? 0
    },
    get notices() {
      return (sink.notices ?? []).map(asked)
    },
    ...(connect && {
      connect: (log: SinkLog) => connect.call(sink, { note: (notice) => log.note(asked(notice)) }),
    }),
    ...(ledgers && { ledgers: () => ledgers.call(sink) }),
    ...(openIntents && { openIntents: () => openIntents.call(sink) }),
    ...(flush && { flush: () => flush.call(sink) }),
    ...(close && { close: () => close.call(sink) }),
  }
}

function optionsOf(given: readonly (AuditSink | AnyOfOptions)[]): AnyOfOptions {
  const [first] = given
  const options = isOptions(first) ? first : { sinks: given as readonly AuditSink[] } // the other overload
  const { sinks, lateMs = 1 } = options
  if (!Array.isArray(sinks) || sinks.some((sink) => typeof sink?.write !== 'function'))
    throw new KmsError('INVALID_INPUT', 'anyOf takes sinks, or { sinks: [sink, …] }')
  if (!(lateMs > 0)) throw new KmsError('INVALID_INPUT', 'lateMs of anyOf must be a positive number')
  return options
}

function isOptions(given: AuditSink | AnyOfOptions | undefined): given is AnyOfOptions {
  return typeof given === 'object' && given !== null && 'sinks' in given
}

/** Two trails are both called `trail`. */
function namesOf(sinks: readonly AuditSink[]): readonly string[] {
  return sinks.map(({ name }, at) => {
    const before = sinks.slice(0, at).filter((sink) => sink.name === name).length
    return before === 0 ? name : `${name}#${before + 1}`
  })
}

/** `notice`, naming the sink that it comes from, and not the one made of it. */
function noticeOf(name: string, { action, details, reason }: Notice): Notice {
  return { action, details: { sink: name, ...details }, ...(reason && { reason }) }
}

/** A notice that is refused stays queued. */
function isQueued(): void {}

function warningsOf({ sink, name }: Member): readonly string[] {
  return (sink.facts?.warnings ?? []).map((warning) => `${name}: ${warning}`)
}

function lossOf({ name, lost }: MemberState): readonly string[] {
  return lost === 0 ? [] : [`${name}: ${lost} entries lost`]
}

function refuseIfAllFailed(answers: readonly PromiseSettledResult<void>[]): void {
  const failed = answers.filter((answer) => answer.status === 'rejected')
  if (failed.length === answers.length) throw failed[0]?.reason
}
