/** The seam of a delivery: whatever carries findings to somebody. */
import type { Finding } from '../../detect/finding.ts'
import type { Told } from '../../detect/finding-line.ts'
import type { Suppression } from '../../detect/suppression.ts'

export interface Alert extends Told {
  readonly finding: Finding
  /** The suppression that holds it back; only deliveries that hear `all` get such a one. */
  readonly suppressed?: Suppression
}

export interface Delivery {
  readonly name: string
  /** `alarms`: what nobody suppressed, and what was not told a while ago. `all`: every finding, for the record. */
  readonly hears: 'alarms' | 'all'
  /**
   * Resolves when the finding has arrived, or is held: the delivery then tells it by itself, later, or calls `giveUp` with the reason.
   * Rejects when it is lost. One at a time, in order.
   */
  deliver(alert: Alert, giveUp?: (why: string) => void): void | Promise<void>
  /** Findings that it holds. */
  readonly held?: number
  /** Why it holds findings, or what failed last. */
  readonly problem?: string | undefined
  /** Tries once, now, to tell what it holds. Resolves also when that fails. */
  flush?(): Promise<void>
  /** Stops all that goes on; what is held then is lost. */
  close?(): void | Promise<void>
}
