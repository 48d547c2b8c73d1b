/** Sinks made of sinks: `anyOf` for availability, `filter` for a part of the entries. */
import type { AuditEntry, SinkFacts } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { AuditSink, Durability, Placed } from '../model/sink.ts'

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

/** Most entries that wait for one lagging sink. */
const maxBacklog = 10_000

const weakestFirst: readonly Durability[] = ['memory', 'handed-over', 'written', 'synced', 'remote']

/**
 * Writes to all `sinks` and accepts as soon as one of them accepts; refuses with `AUDIT_REFUSED` when none does. Its
 * durability is the weakest of theirs, since any one may be the only one that accepted. It gives no receipt.
 *
 * What a sink has not accepted while another has, waits for it in order, and is sent first at the next write. Beyond
 * 10,000 waiting entries the oldest are lost to that sink: counted in `members`, told in `audit.dropped`; in the
 * sink itself the gap shows in `sequence`.
 *
 * @example
 * ```ts
 * const sink = anyOf(httpSink({ url: 'https://logs.eu.example/' }), httpSink({ url: 'https://logs.us.example/' }))
 * ```
 */
export function anyOf(...sinks: readonly AuditSink[]): AnyOfSink {
  const members = sinks.map(memberOf)
  const durability = weakestFirst.find((known) => sinks.some((sink) => sink.durability === known))
  if (durability === undefined) throw new KmsError('INVALID_INPUT', 'anyOf needs at least one sink')
  const names = sinks.map((sink) => sink.name).join(', ')
  let closed = false

  return {
    name: `anyOf(${names})`,
    durability,
    async write(entries, placed) {
      if (closed) throw new KmsError('CLOSED', `sink anyOf(${names}) is closed`)
      const batch: Batch = { entries: [...entries], ...(placed && { placed: [...placed] }) }
      const answers = members.map((member) => member.offer(batch))
      try {
        await Promise.any(answers)
      } catch (none) {
        // The same entries come again, first: left in the backlogs they would come twice each time.
        for (const member of members) member.withdraw(batch)
        const cause = none instanceof AggregateError ? none.errors[0] : none
        throw new KmsError('AUDIT_REFUSED', `none of the sinks accepted: ${names}`, { cause })
      }
      for (const member of members) member.trim()
    },
    get members() {
      return members.map((member) => member.state())
    },
    /** Of all members together. */
    get lost() {
      return members.reduce((sum, member) => sum + member.state().lost, 0)
    },
    get facts(): SinkFacts {
      const warnings = [...sinks.flatMap(warningsOf), ...members.flatMap((member) => lossOf(member.state()))]
      return warnings.length === 0 ? {} : { warnings }
    },
    notices: sinks.flatMap((sink) => sink.notices ?? []),
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
}

/**
 * Hands `sink` only the entries for which `matches` is true; the others are accepted without being written anywhere.
 * So it belongs beside a sink that takes everything, never alone as the required one.
 *
 * @example
 * ```ts
 * const exports = filter(httpSink({ url: 'https://pager.example/' }), (entry) => entry.action === 'kms.export')
 * ```
 */
export function filter(sink: AuditSink, matches: (entry: AuditEntry) => boolean): AuditSink {
  const { openIntents, flush, close } = sink
  return {
    name: `filter(${sink.name})`,
    durability: sink.durability,
    write(entries, placed) {
      const chosen = entries.map((entry) => matches(entry))
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
    notices: sink.notices ?? [],
    ...(openIntents && { openIntents: () => openIntents.call(sink) }),
    ...(flush && { flush: () => flush.call(sink) }),
    ...(close && { close: () => close.call(sink) }),
  }
}

interface Batch {
  readonly entries: readonly AuditEntry[]
  readonly placed?: readonly Placed[]
}

/** A batch on its way to one sink; the first answer counts. */
interface Offer {
  readonly batch: Batch
  accept(): void
  refuse(error: unknown): void
}

/** One of `anyOf`'s sinks with what waits for it: one write at a time, in order. */
function memberOf(sink: AuditSink) {
  let waiting: Offer[] = []
  /** Entries in `waiting` and in the write under way. */
  let held = 0
  let lost = 0
  let busy = false
  let round = Promise.resolve()

  function catchUp(): Promise<void> {
    if (!busy) round = send()
    return round
  }

  async function send(): Promise<void> {
    busy = true
    while (waiting.length > 0) {
      const sending = waiting
      waiting = []
      try {
        await sink.write(...joined(sending))
      } catch (error) {
        waiting = [...sending, ...waiting]
        for (const offer of waiting) offer.refuse(error)
        break
      }
      for (const offer of sending) {
        held -= offer.batch.entries.length
        offer.accept()
      }
    }
    busy = false
  }

  function drop(offer: Offer | undefined): number {
    const dropped = offer?.batch.entries.length ?? 0
    held -= dropped
    return dropped
  }

  return {
    catchUp,
    /** Resolves when the sink has accepted `batch` and all before it; rejects when it refuses. */
    offer(batch: Batch): Promise<void> {
      const answer = new Promise<void>((accept, refuse) => {
        waiting.push({ batch, accept, refuse })
      })
      held += batch.entries.length
      void catchUp()
      return answer
    },
    /** Takes back a batch that was refused; writes come one at a time, so it is the newest. */
    withdraw(batch: Batch): void {
      const newest = waiting.at(-1)
      if (newest?.batch === batch) drop(waiting.pop())
    },
    /** Loses the oldest batches until the rest is within bounds; what is being sent cannot be taken back. */
    trim(): void {
      while (held > maxBacklog && waiting.length > 0) lost += drop(waiting.shift())
    },
    giveUp(): void {
      while (waiting.length > 0) lost += drop(waiting.shift())
    },
    state: (): MemberState => ({ name: sink.name, waiting: held, lost }),
  }
}

function joined(offers: readonly Offer[]): [entries: readonly AuditEntry[], placed?: readonly Placed[]] {
  const entries = offers.flatMap(({ batch }) => batch.entries)
  const placed = offers.flatMap(({ batch }) => batch.placed ?? [])
  return placed.length === entries.length ? [entries, placed] : [entries]
}

function warningsOf(sink: AuditSink): readonly string[] {
  return (sink.facts?.warnings ?? []).map((warning) => `${sink.name}: ${warning}`)
}

function lossOf({ name, lost }: MemberState): readonly string[] {
  return lost === 0 ? [] : [`${name}: ${lost} entries lost`]
}

function refuseIfAllFailed(answers: readonly PromiseSettledResult<void>[]): void {
  const failed = answers.filter((answer) => answer.status === 'rejected')
  if (failed.length === answers.length) throw failed[0]?.reason
}
