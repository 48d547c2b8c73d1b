/** A rule's examples: what happens, told in steps, and whether the rule must find something in it. */

import { type Duration, parseDuration } from '../model/duration.ts'
import type { AuditEntry } from '../model/entry.ts'
import type { Level } from './finding.ts'
import type { Parameters } from './rule.ts'

/** One entry, or several alike. What it does not say is ordinary: a success, by serviceAccount api from 192.0.2.7, with key orders. */
export interface Step {
  readonly action: string
  /** Since the entry before; nothing by default. */
  readonly after?: Duration
  /** How many; 1 by default. */
  readonly times?: number
  /** Between one and the next of them; a second by default. */
  readonly every?: Duration
  /** What the entries have besides; a function is told the number of the entry, from 0, among its like. */
  readonly with?: Partial<AuditEntry> | ((number: number) => Partial<AuditEntry>)
}

export interface Example {
  /** What happens, and so what the example shows. */
  readonly says: string
  /** How many findings there must be; 0: it must stay silent. */
  readonly findings: number
  /** Levels of the findings in their order, where they matter. */
  readonly levels?: readonly Level[]
  readonly parameters?: Parameters
  readonly steps: readonly Step[]
  /** How long nothing follows the last step. */
  readonly afterwards?: Duration
}

/** Thursday 2026-01-01, 12:00 UTC. */
export const exampleStart: number = Date.UTC(2026, 0, 1, 12)

const bounds = { min: 0, max: 3650 * 86_400_000 }

/** The entries of an example, and the moment (ms) at which it ends. */
export function playExample({ steps, afterwards = 0 }: Example): {
  readonly entries: readonly AuditEntry[]
  readonly end: number
} {
  const entries: AuditEntry[] = []
  let at = exampleStart
  for (const { action, after = 0, times = 1, every = '1s', with: fields = {} } of steps) {
    at += parseDuration('after', after, bounds)
    for (let number = 0; number < times; number++) {
      if (number > 0) at += parseDuration('every', every, bounds)
      entries.push(entryOf(entries.length, at, { action, ...(typeof fields === 'function' ? fields(number) : fields) }))
    }
  }
  return { entries, end: at + parseDuration('afterwards', afterwards, bounds) }
}

/** The same number gives the same entry. A failure has status 400 and an `INVALID_INPUT` unless it says otherwise. */
function entryOf(sequence: number, at: number, fields: Partial<AuditEntry> & { readonly action: string }): AuditEntry {
  const isKey = fields.action.startsWith('kms')
  const failed = fields.outcome === 'failure'
  const number = sequence.toString(16).padStart(12, '0')
  const time = at.toString(16).padStart(12, '0')
  return {
    schema: 'keytrail/1',
    eventID: `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${number}`,
    createdAt: new Date(at).toISOString(),
    instance: 'main-example1',
    sequence,
    phase: 'result',
    resourceType: isKey ? 'kms_key' : 'audit_log',
    resourceIdentity: isKey ? 'kms-orders' : 'main-example1',
    outcome: 'success',
    statusCode: failed ? 400 : 200,
    ...(failed && { error: 'INVALID_INPUT' }),
    ...(isKey && { keySlug: 'orders', keyType: 'xaes256-gcm', keyVersion: 1 }),
    actor: isKey ? { type: 'serviceAccount', id: 'api' } : { type: 'system', id: 'keytrail' },
    ...(isKey && { context: { clientIp: '192.0.2.7', userAgent: 'api/1.0' } }),
    salt: `AAAAAAAAAA${number}`,
    ...fields,
  }
}
