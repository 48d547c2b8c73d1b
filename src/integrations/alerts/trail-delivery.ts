/** A delivery into the trail itself: what was found stands beside what it was found in. */
import type { Audit } from '../../audit/audit.ts'
import { insideOf, KmsClient } from '../../client.ts'
import { KmsError } from '../../model/errors.ts'
import type { Delivery } from './delivery.ts'
import { recordFinding } from './record.ts'

export interface TrailDeliveryOptions {
  /** `trail` by default. */
  readonly name?: string
  /** For a finding's entry to be accepted, ms; 10,000 by default. */
  readonly deadlineMs?: number
}

/**
 * Writes an entry for each finding: `finding.raised`, or `finding.suppressed` for one that a suppression holds back. It names the
 * rule, the level, what it is about, how many entries led to it, and the `eventID`s of at most twenty of them. No rule looks at
 * such entries: a finding finds nothing again. Where a required sink is down, a finding counts as lost here, although its entry
 * stays queued and is written when the sink is up again.
 *
 * @throws KmsError `INVALID_INPUT` for what is neither an audit nor a client; `CLOSED` for a client that is closed.
 */
export function trailDelivery(to: Audit | KmsClient, options: TrailDeliveryOptions = {}): Delivery {
  const { name = 'trail', deadlineMs = 10_000 } = options
  if (!(Number.isFinite(deadlineMs) && deadlineMs > 0))
    throw new KmsError('INVALID_INPUT', 'deadlineMs of trailDelivery must be a positive number')
  const audit = auditOf(to)
  return {
    name,
    hears: 'all',
    async deliver(alert) {
      if (audit.health().state === 'closed') throw new KmsError('CLOSED', 'the audit is closed')
      const acceptance = await audit.emit(recordFinding(alert), audit.clock.monotonic() + deadlineMs)
      if (acceptance instanceof KmsError) throw acceptance
    },
  }
}

/** The audit that a client has, or that is given. */
export function auditOf(given: Audit | KmsClient): Audit {
  if (given instanceof KmsClient) return insideOf(given).audit
  if (typeof given === 'object' && given !== null && 'emit' in given) return given
  throw new KmsError(
    'INVALID_INPUT',
    'findings go into the trail of an audit, as createAudit makes one, or of a KmsClient',
  )
}
