/** The ground truth of one attack, as it grows while the attack is played. */
import type { AuditEntry } from '../../../src/model/entry.ts'

export type Variant = 'subtle' | 'loud'

export interface Mark {
  readonly kind: string
  readonly variant: Variant
  /** What gives it away is something that is not there. */
  readonly isAbsence: boolean
  /** Identity and slug. */
  key?: { readonly identity: string; readonly slug: string }
  actor?: string
  /** Name of the writer, without the id of its start. */
  writer?: string
  /** Wall clock, ms since the epoch. */
  from?: number
  to?: number
  /** Entries that the attack itself left behind; of an absence, those next to it. */
  readonly eventIDs: string[]
  /** Entries of others that are as they are because of it, such as calls that fail since a key was disabled. */
  readonly aftermath: string[]
}

/** Counts `entry` as one of the attack's own. */
export function markOwn(mark: Mark, entry: AuditEntry): void {
  const at = Date.parse(entry.createdAt)
  mark.from = Math.min(mark.from ?? at, at)
  mark.to = Math.max(mark.to ?? at, at)
  mark.eventIDs.push(entry.eventID)
}
