/** What waits for one delivery: in order, one at a time, bounded. One that hangs holds up nobody but itself. */

import { isAtLeast } from '../../detect/finding.ts'
import type { Clock } from '../../model/clock.ts'
import { describeForeign, KmsError } from '../../model/errors.ts'
import type { Alert, Delivery } from './delivery.ts'

/** A finding did not arrive. */
export interface AlertProblem {
  /** Name of the delivery. */
  readonly delivery: string
  readonly finding: string
  readonly rule: string
  readonly why: string
}

export interface DeliveryHealth {
  readonly name: string
  /** Findings that wait for their turn, the one that is on its way included. */
  readonly queued: number
  /** Findings that the delivery took and tells later: of more than its rate allows, or because it cannot now. */
  readonly held: number
  /** Findings that arrived, or were taken. */
  readonly delivered: number
  /** Findings that did not arrive and will not: refused for good, or without room. */
  readonly lost: number
  /** RFC 3339, UTC. */
  readonly lastSuccessAt?: string
  readonly lastFailureAt?: string
  /** Why the last failure was one, or what the delivery waits for. */
  readonly problem?: string
}

export interface OutboxOptions {
  /** Most findings that may wait. */
  readonly room: number
  readonly clock: Clock
  readonly onProblem: (problem: AlertProblem) => void
}

export interface Outbox {
  readonly delivery: Delivery
  /** Queued or held. */
  readonly pending: number
  /** More than half of its room is taken, or as much is held that could be told now. */
  readonly isCrowded: boolean
  push(alert: Alert): void
  /** Resolves when nothing is queued and what was held has been tried once more. Never rejects. */
  flush(): Promise<void>
  health(): DeliveryHealth
  /** Counts what is left as lost, and closes the delivery. Never rejects. */
  close(): Promise<void>
}

export function createOutbox(delivery: Delivery, { room, clock, onProblem }: OutboxOptions): Outbox {
  const { name } = delivery
  const queue: Alert[] = []
  let running = false
  let closed = false
  let delivered = 0
  let lost = 0
  let lastSuccessAt: string | undefined
  let lastFailureAt: string | undefined
  let problem: string | undefined
  let waiters: (() => void)[] = []

  return {
    delivery,
    get pending() {
      return queue.length + (delivery.held ?? 0)
    },
    get isCrowded() {
      return queue.length > room / 2 || (delivery.problem === undefined && (delivery.held ?? 0) > room / 2)
    },
    push(alert) {
      if (closed) return lose(alert, 'the alerts are closed')
      const victim = queue.length < room ? undefined : leastOf(queue, running ? 1 : 0, alert)
      if (victim === alert) return lose(alert, `more than ${room} findings wait`)
      if (victim !== undefined) {
        queue.splice(queue.indexOf(victim), 1)
        lose(victim, `more than ${room} findings wait, and a worse one came`)
      }
      queue.push(alert)
      if (!running) void run()
    },
    async flush() {
      if (queue.length > 0) await new Promise<void>((resolve) => waiters.push(resolve))
      try {
        await delivery.flush?.()
      } catch (error) {
        failed(error)
      }
    },
    health: () => ({
      ...{ name, queued: queue.length, held: delivery.held ?? 0, delivered, lost },
      ...(lastSuccessAt !== undefined && { lastSuccessAt }),
      ...(lastFailureAt !== undefined && { lastFailureAt }),
      ...problemOf(delivery.problem ?? problem),
    }),
    async close() {
      closed = true
      for (const alert of queue.splice(0)) lose(alert, 'the alerts were closed before its turn')
      try {
        await delivery.close?.()
      } catch (error) {
        failed(error)
      }
      wake()
    },
  }

  async function run(): Promise<void> {
    running = true
    // Not in the turn of whoever found it.
    await Promise.resolve()
    for (let alert = queue[0]; alert !== undefined; alert = queue[0]) {
      try {
        await delivery.deliver(alert, (why) => lose(alert, why))
        // Closed meanwhile: it has been counted.
        if (closed) break
        delivered += 1
        lastSuccessAt = now()
        problem = undefined
      } catch (error) {
        if (closed) break
        lose(alert, failed(error))
      }
      queue.shift()
    }
    running = false
    wake()
  }

  function wake(): void {
    const idle = waiters
    waiters = []
    for (const resolve of idle) resolve()
  }

  function failed(error: unknown): string {
    lastFailureAt = now()
    problem = describeForeign(error).message
    return problem
  }

  function lose({ finding: { id, rule } }: Alert, why: string): void {
    lost += 1
    onProblem({ delivery: name, finding: id, rule, why })
  }

  function now(): string {
    return new Date(clock.now()).toISOString()
  }
}

function problemOf(problem: string | undefined): Pick<DeliveryHealth, 'problem'> {
  return problem === undefined ? {} : { problem }
}

/** Who has to make room: the first of the least bad ones, `coming` itself if none is less bad. What is on its way stays. */
function leastOf(queue: readonly Alert[], from: number, coming: Alert): Alert {
  let least = coming
  for (const alert of queue.slice(from)) if (!isAtLeast(alert.finding.level, least.finding.level)) least = alert
  return least
}

/** @throws KmsError `INVALID_INPUT` for what is no delivery, and for two of one name. */
export function checkDeliveries(deliveries: unknown): asserts deliveries is readonly Delivery[] {
  if (!Array.isArray(deliveries) || deliveries.length === 0)
    throw new KmsError('INVALID_INPUT', "'deliveries' must be a list with at least one, such as callbackDelivery(…)")
  const names = deliveries.map((one: Partial<Delivery> | null | undefined) => {
    if (typeof one?.deliver !== 'function' || typeof one.name !== 'string' || one.name === '')
      throw new KmsError('INVALID_INPUT', 'a delivery must have a name and a deliver function')
    if (one.hears !== 'alarms' && one.hears !== 'all')
      throw new KmsError('INVALID_INPUT', `delivery '${one.name}' must hear 'alarms' or 'all'`)
    return one.name
  })
  const twice = names.find((name, at) => names.indexOf(name) < at)
  if (twice !== undefined)
    throw new KmsError('INVALID_INPUT', `there are two deliveries '${twice}': give one of them another name`)
}
