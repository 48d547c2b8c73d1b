/** Entries as short lines, for asserting what a program left behind. */
import type { AuditEntry } from '../model/entry.ts'

/**
 * One line an entry: action, outcome (before it `amendment` for one), key and version, verdict, error; of the log's own entries
 * the sink they are about. What differs from run to run is left out.
 *
 * @example
 * ```ts
 * assert.deepEqual(summary(sink.entries), [
 *   'kms_key.create pending orders',
 *   'kms_key.create success orders',
 *   'kms.encrypt success orders v1',
 *   'kms.decrypt failure orders v1 INVALID_CIPHERTEXT',
 *   'kms.verify success signing v2 invalid',
 * ])
 * ```
 */
export function summary(entries: readonly AuditEntry[]): readonly string[] {
  return entries.map(summaryOf)
}

function summaryOf(entry: AuditEntry): string {
  const words = [entry.action]
  if (entry.phase === 'amendment') words.push('amendment')
  words.push(entry.outcome)
  const subject = entry.keySlug ?? subjectOf(entry)
  if (subject !== undefined) words.push(subject)
  if (entry.keyVersion !== undefined) words.push(`v${entry.keyVersion}`)
  if (entry.valid !== undefined) words.push(entry.valid ? 'valid' : 'invalid')
  if (entry.error !== undefined) words.push(entry.error)
  return words.join(' ')
}

/** The log's entries are of the instance, whose id is random. */
function subjectOf({ resourceType, resourceIdentity, details }: AuditEntry): string | undefined {
  return resourceType === 'audit_log' ? details?.sink : resourceIdentity
}
