import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector, shippedRules } from '../../src/detect/index.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { entryAt } from '../trail/entries.ts'

test('an entry that holds anything is counted as one at which the detector failed, and the next is seen', () => {
  const odd: unknown = { toString: 1, valueOf: 1 }
  const detector = createDetector(shippedRules())
  const fields = ['instance', 'sequence', 'createdAt', 'action', 'phase', 'actor', 'details', 'context', 'reason']
  for (const [at, name] of fields.entries()) {
    const entry: Partial<AuditEntry> = { ...entryAt(at), [name]: odd }
    // A file may hold what the type rules out.
    deepStrictEqual(detector.take(entry as AuditEntry), [])
  }
  strictEqual(detector.health().failed['detector'] === undefined, false)
  const exported = entryAt(fields.length, { action: 'kms.export', details: { form: 'raw' } })
  strictEqual(detector.take(exported).length, 1)
})
