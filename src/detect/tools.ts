/** What a rule works with: tables that the detector keeps for it, time, and where findings go. */
import type { Sighting } from './finding.ts'
import type { LocalTime } from './local-time.ts'
import type { Cells, Table, TableOptions } from './table.ts'

export interface Tools {
  /**
   * A table of the rule's own, the same for the same name, kept in the detector's state. What it holds must be plain JSON.
   * Whatever a rule remembers is in a table: nothing else survives.
   */
  table<V extends Cells>(name: string, options: TableOptions<V>): Table<V>
  /** One record of the rule's own, kept likewise. */
  record<V extends Cells>(name: string, make: () => V): V
  /** Asks for `Watch.wake` once the entries' time has come to `at`, ms. The earliest time asked for counts; ask anew when woken. */
  wake(at: number): void
  report(sighting: Sighting): void
  /** The wall clock of the detector's time zone. */
  readonly local: LocalTime
}
