/** A toy for the tests of the evaluation: cries at every export, and knows nothing else. */
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Finding } from './evaluate.ts'

export function detect(entries: Iterable<AuditEntry>): readonly Finding[] {
  const findings: Finding[] = []
  for (const { action, phase, eventID, createdAt, keySlug } of entries)
    if (action === 'kms.export' && phase === 'result')
      findings.push({
        rule: 'export',
        level: 'high',
        at: createdAt,
        evidence: [eventID],
        window: { from: createdAt, to: createdAt },
        subject: { key: keySlug },
      })
  return findings
}
