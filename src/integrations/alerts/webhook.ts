/** A delivery that posts findings to a webhook; portable. */
import { utf8, wipe } from '../../crypto/bytes.ts'
import { randomToken } from '../../crypto/random.ts'
import type { Finding } from '../../detect/finding.ts'
import { findingLine } from '../../detect/finding-line.ts'
import { KmsError } from '../../model/errors.ts'
import { type Answer, attemptOnce, isPassing } from '../../sinks/http-attempt.ts'
import { signatureOf } from '../../sinks/signature.ts'
import type { Delivery } from './delivery.ts'
import { createHeld, type GiveUp, type HeldMessage } from './held.ts'
import { checkedWebhook, type WebhookOptions } from './webhook-options.ts'

const minuteMs = 60_000
/** A receiver that asks to be left alone for longer is not waited for: the finding is held. */
const patienceMs = 10_000
/** However long it asks: then it is tried again. */
const longestWaitMs = 15 * minuteMs
const closedWhy = 'the alerts were closed before it could be told'

/**
 * Posts each alarm as JSON (`keytrail-finding/1`). It has arrived when the receiver answers 2xx; a redirect is never followed, and an
 * answer's body is not read. Request headers:
 *
 * - `content-type: application/json`
 * - `idempotency-key`: the finding's id. A request may come twice: a receiver keeps the first of equal ids.
 * - `keytrail-timestamp`: seconds since the epoch, when this attempt was made
 * - `keytrail-signature`: `v1=` and, in hex, HMAC-SHA-256 of timestamp, `.` and body (RFC 2104); `verifyAlert` checks it
 *
 * - **Retried** with back-off after a network error, 429 or 5xx, as often as `retries` says. A `retry-after` is honoured, up to a
 *   quarter of an hour. Any other answer loses the finding.
 * - **Held.** What is beyond `perMinute`, and what could not be posted although it was retried, is held, and told in one message
 *   by and by (`keytrail-findings-held/1`): how many of which rules, and the id of each. While the receiver is down, that message
 *   alone is tried, once a minute. Critical findings have a rate of their own: a flood of others does not hold them up.
 * - **Bounded.** At most `mostHeld` are held, and a message has at most 500. Of more than that the least bad ones are given up; the next
 *   message says how many.
 *
 * Its timers keep no process alive: `close` the alerts before the end.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 * @example
 * ```ts
 * webhookDelivery({ url: 'https://alerts.example/keytrail', secret })
 * ```
 */
export function webhookDelivery(options: WebhookOptions): Delivery {
  const { url, secret, name, headers, timeoutMs, retries, perMinute, mostHeld, clock } = checkedWebhook(options)
  const held = createHeld(mostHeld)
  let window = { from: Number.NEGATIVE_INFINITY, ordinary: 0, critical: 0 }
  /** The message that is on its way; the same until it has arrived. */
  let message: HeldMessage | undefined
  let problem: string | undefined
  let isDown = false
  /** On the clock's monotonic time: asked for by the receiver. */
  let notBefore = Number.NEGATIVE_INFINITY
  let closed = false
  let cancelTimer: (() => void) | undefined
  let wake: (() => void) | undefined
  // One request at a time: a receiver in trouble gets no second one beside it.
  let turn: Promise<unknown> = Promise.resolve()

  return {
    name,
    hears: 'alarms',
    get held() {
      return held.size + (message?.count ?? 0)
    },
    get problem() {
      return problem
    },
    async deliver(alert, giveUp = () => undefined) {
      if (closed) throw new KmsError('CLOSED', 'the webhook is closed')
      const { finding } = alert
      if (isDown || !hasRate(finding.level === 'critical' ? 'critical' : 'ordinary')) return hold(finding, giveUp)
      const answer = await inTurn(() => post(finding.id, findingLine(finding, alert)))
      if (isAccepted(answer)) {
        problem = undefined
        return
      }
      if (closed) throw new KmsError('CLOSED', 'the webhook is closed')
      problem = problemOf(url.host, answer)
      if (!isPassing(answer)) throw new KmsError('PROVIDER_UNAVAILABLE', problem)
      isDown = true
      hold(finding, giveUp)
    },
    async flush() {
      if (!closed) await inTurn(tellHeld)
    },
    close() {
      closed = true
      cancelTimer?.()
      wake?.()
      message?.giveUp(closedWhy)
      message = undefined
      held.drop(closedWhy)
      wipe(secret)
    },
  }

  function hasRate(kind: 'ordinary' | 'critical'): boolean {
    const now = clock.monotonic()
    if (now - window.from >= minuteMs) window = { from: now, ordinary: 0, critical: 0 }
    window[kind] += 1
    return window[kind] <= perMinute
  }

  function hold(finding: Finding, giveUp: GiveUp): void {
    held.add(finding, giveUp)
    arm()
  }

  /** At the end of the minute in which the first of them was held. */
  function arm(): void {
    if (cancelTimer !== undefined || closed) return
    const now = clock.monotonic()
    const left = window.from + minuteMs - now
    cancelTimer = clock.after(Math.max(left > 0 ? left : minuteMs, notBefore - now), () => {
      cancelTimer = undefined
      void inTurn(tellHeld)
    })
  }

  async function tellHeld(): Promise<void> {
    const why = isDown ? 'outage' : 'rate'
    for (;;) {
      message ??= held.take({ id: `held-${randomToken()}`, why })
      if (message === undefined) return
      const { id, text, giveUp } = message
      const answer = await post(id, text)
      if (closed) return
      const arrived = isAccepted(answer)
      problem = arrived ? undefined : problemOf(url.host, answer)
      isDown = !arrived && isPassing(answer)
      if (isDown) return arm()
      if (problem !== undefined) giveUp(problem)
      message = undefined
    }
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    // The next one waits for its end, however it ends.
    turn = done.catch(() => undefined)
    return done
  }

  async function post(id: string, text: string): Promise<Answer> {
    const body = utf8(text)
    for (let attempt = 0; ; attempt++) {
      const answer = closed ? { cause: 'closed' } : await once(id, body)
      const { retryAfterMs = 0 } = answer
      if (isPassing(answer)) notBefore = clock.monotonic() + Math.min(longestWaitMs, retryAfterMs)
      const isOver = closed || isAccepted(answer) || !isPassing(answer)
      if (isOver || attempt >= retries || retryAfterMs > patienceMs) return answer
      await pause(answer.retryAfterMs ?? backOff(attempt))
    }
  }

  function once(id: string, body: Uint8Array): Promise<Answer> {
    const timestamp = String(Math.floor(clock.now() / 1000))
    const own = {
      'content-type': 'application/json',
      'idempotency-key': id,
      'keytrail-timestamp': timestamp,
      'keytrail-signature': signatureOf(secret, timestamp, body),
    }
    const deadline = clock.monotonic() + timeoutMs
    return attemptOnce({ url: url.href, body, headers: { ...headers, ...own }, deadline, clock })
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, resolve)
      wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** Full jitter, ms: 0.5 s, 1 s, 2 s … up to 10 s. */
function backOff(attempt: number): number {
  return Math.random() * Math.min(10_000, 500 * 2 ** attempt)
}

function isAccepted({ status = 0 }: Answer): boolean {
  return status >= 200 && status < 300
}

/** Holds nothing that the receiver wrote. */
function problemOf(where: string, { status, late }: Answer): string {
  if (late) return `the receiver at ${where} did not answer in time`
  if (status === undefined) return `the receiver at ${where} could not be reached`
  if (status === 0 || (status >= 300 && status < 400))
    return `the receiver at ${where} redirected (${status}): name the final address as url`
  return `the receiver at ${where} answered ${status}`
}
