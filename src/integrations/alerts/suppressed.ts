/** The suppressions in force, each change of which is an entry. */
import { accepted } from '../../audit/accept.ts'
import type { Audit } from '../../audit/audit.ts'
import type { Finding } from '../../detect/finding.ts'
import {
  actorOf,
  checkSuppression,
  checkSuppressions,
  type Suppression,
  suppressionOf,
} from '../../detect/suppression.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { keytrail, recordSuppression } from './record.ts'

/** Who ends a suppression, and why. */
export interface Unsuppress {
  /** Type and id, as in `user:alice`; nobody is named in the entry without it. */
  readonly by?: string
  /** 1–128 characters. */
  readonly reason?: string
}

export interface Suppressed {
  readonly list: readonly Suppression[]
  of(finding: Finding): Suppression | undefined
  add(given: Suppression): Promise<void>
  remove(id: string, change?: Unsuppress): Promise<void>
  close(): void
}

export interface SuppressedOptions {
  readonly suppressions: readonly Suppression[]
  readonly audit: Audit | undefined
  readonly clock: Clock
}

const deadlineMs = 10_000
/** Timers cannot wait for months. */
const longestWaitMs = 86_400_000
const most = 1000

export function createSuppressed({ suppressions, audit, clock }: SuppressedOptions): Suppressed {
  const inForce = new Map(
    checkSuppressions(suppressions, { now: clock.now() })
      .filter(({ until }) => Date.parse(until) > clock.now())
      .map((one) => [one.id, one] as const),
  )
  let cancel = () => {}
  for (const one of inForce.values()) note(one, { action: 'finding.suppression_added', by: one.by, reason: one.reason })
  arm()

  return {
    get list() {
      return [...inForce.values()]
    },
    of: (finding) => suppressionOf(finding, [...inForce.values()], clock.now()),
    async add(given) {
      const one = checkSuppression(given, { name: 'suppression', now: clock.now() })
      if (Date.parse(one.until) <= clock.now()) refuse("'suppression.until' has passed")
      if (inForce.has(one.id)) refuse(`there is a suppression '${one.id}': remove it first`)
      if (inForce.size >= most) refuse(`there may be at most ${most} suppressions`)
      await written(one, { action: 'finding.suppression_added', by: one.by, reason: one.reason })
      inForce.set(one.id, one)
      arm()
    },
    async remove(id, change = {}) {
      const { by, reason } = change
      const one = inForce.get(id)
      if (one === undefined) refuse('there is no such suppression')
      if (by !== undefined && (typeof by !== 'string' || actorOf(by) === undefined))
        refuse("'by' must be type and id, as in user:alice")
      if (reason !== undefined && (typeof reason !== 'string' || reason === '' || reason.length > 128))
        refuse("'reason' must be a text of 1–128 characters")
      await written(one, { action: 'finding.suppression_removed', by, reason })
      inForce.delete(id)
      arm()
    },
    close() {
      cancel()
    },
  }

  /** No effect without an entry: what cannot be recorded does not happen. */
  async function written(one: Suppression, change: Parameters<typeof recordSuppression>[2]): Promise<void> {
    if (audit === undefined)
      throw new KmsError('INVALID_INPUT', "a suppression is recorded in a trail: give createAlerts an 'audit'")
    if (audit.health().state === 'closed') throw new KmsError('CLOSED', 'the audit is closed')
    await accepted(audit, recordSuppression(audit, one, change), audit.clock.monotonic() + deadlineMs)
  }

  function note(one: Suppression, change: Parameters<typeof recordSuppression>[2]): void {
    if (audit !== undefined && audit.health().state !== 'closed') audit.note(recordSuppression(audit, one, change))
  }

  function arm(): void {
    cancel()
    const ends = [...inForce.values()].map(({ until }) => Date.parse(until))
    if (ends.length === 0) return
    cancel = clock.after(Math.min(longestWaitMs, Math.max(0, Math.min(...ends) - clock.now())), expire)
  }

  function expire(): void {
    for (const one of inForce.values()) {
      if (Date.parse(one.until) > clock.now()) continue
      inForce.delete(one.id)
      note(one, { action: 'finding.suppression_removed', by: keytrail, reason: 'expired' })
    }
    arm()
  }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
