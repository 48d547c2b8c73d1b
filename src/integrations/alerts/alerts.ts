/** What happens with findings: who is called, who is not any more, and what is kept for the record. */
import type { Audit } from '../../audit/audit.ts'
import type { KmsClient } from '../../client.ts'
import { type Finding, isAtLeast, type Level, levels } from '../../detect/finding.ts'
import type { Suppression } from '../../detect/suppression.ts'
import { type Clock, systemClock } from '../../model/clock.ts'
import { type Duration, parseDuration } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { host } from '../../model/host.ts'
import type { Alert, Delivery } from './delivery.ts'
import { type AlertProblem, checkDeliveries, createOutbox, type DeliveryHealth, type Outbox } from './outbox.ts'
import { createRepeats } from './repeats.ts'
import { createSuppressed, type Unsuppress } from './suppressed.ts'
import { auditOf } from './trail-delivery.ts'

export interface AlertsOptions {
  readonly deliveries: readonly Delivery[]
  /** In force from the start; each is an entry, where there is an `audit`. */
  readonly suppressions?: readonly Suppression[]
  /** Findings below it are only counted; `medium` by default. */
  readonly least?: Level
  /**
   * After a finding was told, another one of its rule about the same, no worse, is not told again for so long: `'1h'` by default,
   * `0` for telling each. By the findings' own time.
   */
  readonly quiet?: Duration
  /** Where suppressions are recorded: an audit, or a client's. Needed for `suppress` and `unsuppress`. */
  readonly audit?: Audit | KmsClient
  /** Most findings that may wait for one delivery; 1,000 by default. Then the least bad one is given up. */
  readonly queue?: number
  /** Told of each finding that did not arrive. What it throws is dropped. */
  readonly onProblem?: (problem: AlertProblem) => void
  readonly clock?: Clock
}

export interface AlertsHealth {
  /** Findings taken. */
  readonly taken: number
  /** Of those: the same finding again, below the least level, held back by a suppression, told shortly before. */
  readonly duplicates: number
  readonly below: number
  readonly suppressed: number
  readonly repeats: number
  readonly deliveries: readonly DeliveryHealth[]
}

export interface Alerts {
  /** Takes findings, and returns at once. Never throws. May be handed on as a function. */
  readonly take: (findings: readonly Finding[]) => void
  /**
   * As `take`, for who can wait, such as `watchTrail` on the trail of years: resolves once no queue is more than half full. A delivery
   * that hangs is waited for once, for ten seconds.
   */
  readonly takeAll: (findings: readonly Finding[]) => Promise<void>
  /** In force once its entry is accepted. Errors: `INVALID_INPUT`, `AUDIT_REFUSED`, `CLOSED`. */
  suppress(suppression: Suppression): Promise<void>
  /** Ends a suppression once its entry is accepted. Errors as {@link Alerts.suppress}. */
  unsuppress(id: string, change?: Unsuppress): Promise<void>
  readonly suppressions: readonly Suppression[]
  /** Findings that have not arrived everywhere, and are not lost either. */
  readonly pending: number
  /** How often a finding did not arrive somewhere, and will not. */
  readonly lost: number
  health(): AlertsHealth
  /** Resolves when nothing is queued, and what is held has been tried once more. Never rejects. */
  flush(): Promise<void>
  /** Flushes within the deadline, 5 s by default; what is left then is lost, and counted. Idempotent. Before the client is closed. */
  close(options?: { readonly deadlineMs?: number }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Carries findings to whoever should hear of them.
 *
 * - **Each finding once**, by its id; and of a rule about the same key, actor and so on once in `quiet`, unless it gets worse. The
 *   next one that is told says how many were not.
 * - **Suppressions** hold findings back from callbacks and webhooks until a day that is named. They hide nothing: deliveries for
 *   the record (`trailDelivery`, `jsonLinesDelivery`) get those too, marked.
 * - **Deliveries** do not know each other: each has its own queue, bounded, and one that is down or hangs holds up itself only.
 *   What does not arrive is counted in `health()` and told to `onProblem`.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 * @example
 * ```ts
 * const alerts = createAlerts({ deliveries: [webhookDelivery({ url, secret }), trailDelivery(kms)], audit: kms })
 * const watch = detectorSink(createDetector(shippedRules()), { onFindings: alerts.take })
 * ```
 */
export function createAlerts(options: AlertsOptions): Alerts {
  const { deliveries, least, quietMs, room, onProblem, clock } = checked(options)
  const audit = options.audit === undefined ? undefined : auditOf(options.audit)
  const repeats = createRepeats(quietMs)
  const outboxes = deliveries.map((delivery) => createOutbox(delivery, { room, clock, onProblem: tellProblem }))
  const suppressed = createSuppressed({ suppressions: options.suppressions ?? [], audit, clock })
  const hanging = new Set<Outbox>()
  const counts = { taken: 0, duplicates: 0, below: 0, suppressed: 0, repeats: 0 }
  let closing: Promise<void> | undefined

  return {
    take(findings) {
      for (const finding of findings) takeOne(finding)
    },
    async takeAll(findings) {
      for (const finding of findings) {
        takeOne(finding)
        for (const outbox of outboxes) await keptUp(outbox)
      }
    },
    async suppress(suppression) {
      refuseIfClosed()
      await suppressed.add(suppression)
    },
    async unsuppress(id, change) {
      refuseIfClosed()
      await suppressed.remove(id, change)
    },
    get suppressions() {
      return suppressed.list
    },
    get pending() {
      return outboxes.reduce((sum, { pending }) => sum + pending, 0)
    },
    get lost() {
      return outboxes.reduce((sum, outbox) => sum + outbox.health().lost, 0)
    },
    health: () => ({ ...counts, deliveries: outboxes.map((outbox) => outbox.health()) }),
    flush,
    close,
    [Symbol.asyncDispose]: () => close(),
  }

  function takeOne(finding: Finding): void {
    counts.taken += 1
    if (repeats.isKnown(finding)) {
      counts.duplicates += 1
      return
    }
    if (!isAtLeast(finding.level, least)) {
      counts.below += 1
      return
    }
    const suppression = suppressed.of(finding)
    if (suppression !== undefined) {
      counts.suppressed += 1
      send({ finding, suppressed: suppression }, 'all')
      return
    }
    const told = repeats.tellable(finding)
    if (told === undefined) {
      counts.repeats += 1
      send({ finding }, 'all')
      return
    }
    send(told === 0 ? { finding } : { finding, repeats: told }, 'alarms')
  }

  /** Whoever hears `all` hears of alarms as well. */
  function send(alert: Alert, to: Delivery['hears']): void {
    for (const outbox of outboxes) if (to === 'alarms' || outbox.delivery.hears === 'all') outbox.push(alert)
  }

  async function keptUp(outbox: Outbox): Promise<void> {
    if (!outbox.isCrowded) hanging.delete(outbox)
    else if (!hanging.has(outbox)) {
      await within(patienceMs, outbox.flush())
      if (outbox.isCrowded) hanging.add(outbox)
    }
  }

  async function flush(): Promise<void> {
    await keptAlive(Promise.all(outboxes.map((outbox) => outbox.flush())))
  }

  function close({ deadlineMs = 5000 }: { readonly deadlineMs?: number } = {}): Promise<void> {
    closing ??= closed(deadlineMs)
    return closing
  }

  async function closed(deadlineMs: number): Promise<void> {
    suppressed.close()
    await Promise.all(outboxes.map((outbox) => within(deadlineMs, outbox.flush()).then(() => outbox.close())))
  }

  /** When `work` has settled, or at the deadline. */
  function within(ms: number, work: Promise<void>): Promise<void> {
    return keptAlive(
      new Promise((resolve) => {
        const cancel = clock.after(ms, resolve)
        work.then(resolve, resolve).finally(cancel)
      }),
    )
  }

  function refuseIfClosed(): void {
    if (closing !== undefined) throw new KmsError('CLOSED', 'the alerts are closed')
  }

  function tellProblem(problem: AlertProblem): void {
    try {
      onProblem?.(problem)
    } catch {
      // A listener that fails must not cost the findings that come after.
      return
    }
  }
}

const patienceMs = 10_000
const longestTimerMs = 2_147_483_647

/** Deliveries' own timers keep no process alive, but whoever awaits them is owed an answer. */
async function keptAlive<T>(work: Promise<T>): Promise<T> {
  const timer = host.setTimeout(() => {}, longestTimerMs)
  try {
    return await work
  } finally {
    host.clearTimeout(timer)
  }
}

function checked(options: AlertsOptions) {
  if (typeof options !== 'object' || options === null) refuse('createAlerts takes one object: { deliveries }')
  const { deliveries, least = 'medium', quiet = '1h', queue: room = 1000, onProblem, clock = systemClock } = options
  checkDeliveries(deliveries)
  if (!levels.includes(least)) refuse(`'least' must be one of ${levels.join(', ')}`)
  if (!Number.isSafeInteger(room) || room < 1) refuse("'queue' must be a whole number of 1 or more")
  if (onProblem !== undefined && typeof onProblem !== 'function') refuse("'onProblem' must be a function")
  const quietMs = parseDuration('quiet', quiet, { min: 0, max: 30 * 86_400_000 })
  return { deliveries, least, quietMs, room, onProblem, clock }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
