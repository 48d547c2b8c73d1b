/** What sinks lose, counted and told in entries: what found no room in a queue, and what a sink says it has given up on. */
import type { AuditSink } from '../model/sink.ts'
import type { Deadlines } from './deadlines.ts'

export interface Losses {
  /** One entry found no room in the queue of `sink`. */
  add(sink: AuditSink): void
  /** Lost since the start. */
  total(sink: AuditSink): number
  /** Begins to look, once a minute, at the sinks that count losses of their own. */
  watch(): void
  /** Tells now what has not been told. */
  tellAll(): void
}

export interface LossesOptions {
  readonly sinks: readonly AuditSink[]
  readonly deadlines: Deadlines
  /** Writes the entry. */
  readonly report: (sink: string, dropped: number) => void
}

/** The first loss is told soon; a sink that goes on losing does not fill the log with it. */
const afterMs = { first: 1000, next: 60_000 } as const

export function createLosses({ sinks, deadlines, report }: LossesOptions): Losses {
  const ledgers = new Map(sinks.map((sink) => [sink, { queue: 0, told: 0, reports: 0, planned: false }]))

  return {
    add(sink) {
      const ledger = ledgers.get(sink)
      if (ledger === undefined) return
      ledger.queue += 1
      if (ledger.planned) return
      ledger.planned = true
      deadlines.after(ledger.reports === 0 ? afterMs.first : afterMs.next, () => {
        ledger.planned = false
        tell(sink)
      })
    },
    total,
    watch() {
      const counting = sinks.filter(({ lost }) => lost !== undefined)
      if (counting.length > 0) look(counting)
    },
    tellAll() {
      for (const sink of sinks) tell(sink)
    },
  }

  function total(sink: AuditSink): number {
    return (ledgers.get(sink)?.queue ?? 0) + (sink.lost ?? 0)
  }

  function look(counting: readonly AuditSink[]): void {
    deadlines.after(afterMs.next, () => {
      for (const sink of counting) tell(sink)
      look(counting)
    })
  }

  function tell(sink: AuditSink): void {
    const ledger = ledgers.get(sink)
    const dropped = total(sink) - (ledger?.told ?? 0)
    if (ledger === undefined || dropped <= 0) return
    ledger.told += dropped
    ledger.reports += 1
    report(sink.name, dropped)
  }
}
