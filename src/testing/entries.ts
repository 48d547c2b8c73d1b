/** Entries as a client would write them, made without one. */
import type { AuditEntry } from '../model/entry.ts'

/**
 * Entry number `sequence` of an imaginary client: the successful encryption of 120 bytes by user alice. Valid against
 * `keytrail/schema.json`; the same number always gives the same entry.
 *
 * @example
 * ```ts
 * const failed = exampleEntry(0, { outcome: 'failure', statusCode: 400, error: 'INVALID_INPUT' })
 * ```
 */
export function exampleEntry(sequence = 0, fields: Partial<AuditEntry> = {}): AuditEntry {
  const number = sequence.toString(16).padStart(12, '0')
  return {
    schema: 'keytrail/1',
    eventID: `0199c9d0-1b00-7000-8000-${number}`,
    createdAt: new Date(Date.UTC(2026, 0, 2, 3, 4, 5) + sequence).toISOString(),
    instance: 'example-0000000000000000000000',
    sequence,
    action: 'kms.encrypt',
    phase: 'result',
    resourceType: 'kms_key',
    resourceIdentity: 'kms-example',
    outcome: 'success',
    statusCode: 200,
    region: 'nl-01',
    project: 'billing',
    keySlug: 'orders',
    keyType: 'aes256-gcm96',
    keyVersion: 1,
    payloadSizes: { plaintext: 120, ciphertext: 206 },
    actor: { type: 'user', id: 'alice', source: 'context' },
    context: { clientIp: '192.0.2.7', userAgent: 'example/1.0' },
    provider: { name: 'memory' },
    durationMs: 0.04,
    salt: `AAAAAAAAAA${number}`,
    ...fields,
  }
}

/** `count` entries in a row, beginning with number `first`. */
export function exampleEntries(count: number, first = 0): readonly AuditEntry[] {
  return Array.from({ length: count }, (_, at) => exampleEntry(first + at))
}
