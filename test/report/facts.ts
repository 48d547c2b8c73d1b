/** Facts for collectors, in the order in which they are given: days and hours counted from one moment. */
import type { AuditEntry } from '../../src/model/entry.ts'
import { type Fact, factReader } from '../../src/report/fact.ts'
import { entryAt } from '../trail/entries.ts'

export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour
/** A Monday, 00:00. */
export const monday = Date.UTC(2026, 0, 5)

/** What an entry of a test says besides what all say. */
export type Fields = Partial<AuditEntry> & {
  /** ms from {@link monday}; 0 by default. */
  readonly after?: number
  /** Directory of the trail. */
  readonly trail?: string
  readonly index?: bigint
  readonly within?: boolean
}

let next = 0

export function entryOf({ after = 0, ...fields }: Omit<Fields, 'trail' | 'index' | 'within'>): AuditEntry {
  return entryAt(next++, { createdAt: new Date(monday + after).toISOString(), ...fields })
}

export function factOf({ trail = 'main', index = 0n, within = true, after = 0, ...fields }: Fields): Fact {
  const entry = entryOf({ after, ...fields })
  return factReader()({ entry, instance: trail, index }, { at: monday + after, within })
}

export function logFact(action: string, { details, ...fields }: Fields = {}): Fact {
  const about = { resourceType: 'audit_log', resourceIdentity: 'main' } as const
  return factOf({ action, ...about, ...(details !== undefined && { details }), ...fields })
}

/** A tampered trail may hold anything where its type says otherwise. */
export function hostile(fields: Readonly<Record<string, unknown>>): Partial<AuditEntry> {
  return fields
}
