/** What a test asserts upon: a sink, or the entries themselves. */
import type { AuditEntry } from '../model/entry.ts'
import { refusal } from './known.ts'

/** A `memorySink`, or anything else with `entries`; or a list of entries, such as those read from a trail. */
export type EntrySource = { readonly entries: readonly AuditEntry[] } | readonly AuditEntry[]

/**
 * The entries of `source`, as they are now.
 *
 * @throws KmsError `INVALID_INPUT` when there are none to be had: an assertion on nothing must not pass.
 */
export function entriesOf(source: unknown): readonly AuditEntry[] {
  if (source instanceof Promise) throw refusal('a promise has no entries: await it first')
  const list = Array.isArray(source) ? source : entriesIn(source)
  if (!Array.isArray(list))
    throw refusal(
      'assert on a sink with entries, such as memorySink(), or on a list of entries, such as those of a trail',
    )
  if (!list.every(isEntry)) throw refusal('the list holds something that is no audit entry')
  return list
}

function entriesIn(source: unknown): unknown {
  return typeof source === 'object' && source !== null && 'entries' in source ? source.entries : undefined
}

function isEntry(value: unknown): value is AuditEntry {
  return typeof value === 'object' && value !== null && 'action' in value && typeof value.action === 'string'
}
