/** What an entry tells of a change: whether it was made, who made it, and how to say so. */
import type { AuditEntry, EntryDetails } from '../model/entry.ts'
import type { Subject } from './finding.ts'
import type { Seen } from './rule.ts'
import { word } from './words.ts'

/** Also where nobody can tell any more: an intent that was found open after a crash. */
export function mayBeDone({ outcome }: AuditEntry): boolean {
  return outcome === 'success' || outcome === 'unknown'
}

/** The actor for a sentence. */
export function byWhom({ actor }: Seen): string {
  return actor === undefined ? 'somebody unknown' : word(actor)
}

/** Key and actor, as far as they are known. */
export function keyAndActor({ keyName, actor }: Seen): Subject {
  return { ...(keyName !== undefined && { key: keyName }), ...(actor !== undefined && { actor }) }
}

/** Whether two moments lie less than `span` ms apart, whichever is first: a clock may be set back. */
export function isNear(at: number, other: number, span: number): boolean {
  return Math.abs(at - other) < span
}

/** Of a trail that was tampered with, flags may be anything. */
export function hasFlag(details: EntryDetails | undefined, flag: string): boolean {
  const flags = details?.flags
  return Array.isArray(flags) && flags.includes(flag)
}

/** `because of T-1`, `without a reason`. */
export function forWhatReason({ entry }: Seen): string {
  const { code } = entry.reason ?? {}
  return code === undefined ? 'without a reason' : `because of ${word(code)}`
}
