/** One of `anyOf`'s sinks with what waits for it: one write at a time, in order. */
import type { Clock } from '../model/clock.ts'
import type { AuditEntry } from '../model/entry.ts'
import type { AuditSink, Notice, Placed, Receipt } from '../model/sink.ts'
import type { MemberState } from './combine.ts'

export interface Batch {
  readonly entries: readonly AuditEntry[]
  readonly placed?: readonly Placed[]
}

export interface MemberOptions {
  readonly sink: AuditSink
  readonly name: string
  /** How long a write may take before the sink is late, ms. */
  readonly lateMs: number
  readonly clock: Clock
  /** Has it written that the sink went down, or came up. */
  readonly tell: (notice: Notice) => void
}

export interface Member {
  readonly sink: AuditSink
  readonly name: string
  /** Resolves when the sink has accepted `batch` and all before it; rejects when it refuses. */
  offer(batch: Batch): Promise<Receipt | undefined>
  /** Another sink has accepted `batch`, and this one has refused it or is late: told, once until it has caught up. */
  missed(batch: Batch): void
  isLate(): boolean
  /** Whether it was told to be down. */
  isDown(): boolean
  /** Sends what waits. Never rejects. */
  catchUp(): Promise<void>
  /** Takes back a batch that was refused; writes come one at a time, so it is the newest. */
  withdraw(batch: Batch): void
  /** Loses the oldest batches until the rest is within bounds; what is being sent cannot be taken back. */
  trim(): void
  giveUp(): void
  state(): MemberState
}

/** A batch on its way to the sink; the first answer counts. */
interface Offer {
  readonly batch: Batch
  accept(receipt: Receipt | undefined): void
  refuse(error: unknown): void
}

/** Most entries that wait for one lagging sink. */
const maxBacklog = 10_000

export function memberOf({ sink, name, lateMs, clock, tell }: MemberOptions): Member {
  let waiting: Offer[] = []
  /** Entries in `waiting` and in the write under way. */
  let held = 0
  let lost = 0
  let busy = false
  /** Monotonic clock, of the write under way. */
  let begunAt = 0
  let down = false
  let round = Promise.resolve()

  return {
    sink,
    name,
    offer(batch) {
      const answer = new Promise<Receipt | undefined>((accept, refuse) => {
        waiting.push({ batch, accept, refuse })
      })
      held += batch.entries.length
      void catchUp()
      return answer
    },
    missed({ entries }) {
      // What sinks say of one another must not set off more of it: two that come and go would write for ever.
      if (down || entries.every(isAboutSinks)) return
      down = true
      tell({ action: 'audit.sink_down', details: { sink: name } })
    },
    isLate: () => busy && clock.monotonic() - begunAt >= lateMs,
    isDown: () => down,
    catchUp,
    withdraw(batch) {
      const newest = waiting.at(-1)
      if (newest?.batch === batch) drop(waiting.pop())
    },
    trim() {
      while (held > maxBacklog && waiting.length > 0) lost += drop(waiting.shift())
    },
    giveUp() {
      while (waiting.length > 0) lost += drop(waiting.shift())
    },
    state: () => ({ name, waiting: held, lost }),
  }

  function catchUp(): Promise<void> {
    if (!busy && waiting.length > 0) round = send()
    return round
  }

  async function send(): Promise<void> {
    busy = true
    while (waiting.length > 0) {
      const sending = waiting
      waiting = []
      begunAt = clock.monotonic()
      let receipt: Receipt | undefined
      try {
        receipt = (await sink.write(...joined(sending))) ?? undefined
      } catch (error) {
        waiting = [...sending, ...waiting]
        for (const offer of waiting) offer.refuse(error)
        busy = false
        return
      }
      for (const offer of sending) {
        held -= offer.batch.entries.length
        offer.accept(receipt)
      }
    }
    busy = false
    if (!down) return
    down = false
    tell({ action: 'audit.sink_up', details: { sink: name } })
  }

  function drop(offer: Offer | undefined): number {
    const dropped = offer?.batch.entries.length ?? 0
    held -= dropped
    return dropped
  }
}

function isAboutSinks({ action }: AuditEntry): boolean {
  return action === 'audit.sink_down' || action === 'audit.sink_up'
}

function joined(offers: readonly Offer[]): [entries: readonly AuditEntry[], placed?: readonly Placed[]] {
  const entries = offers.flatMap(({ batch }) => batch.entries)
  const placed = offers.flatMap(({ batch }) => batch.placed ?? [])
  return placed.length === entries.length ? [entries, placed] : [entries]
}
