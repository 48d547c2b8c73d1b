/** Requests to the engine: one after another until there is an answer, with the token in force, and never twice where that could do harm. */
import { utf8, wipe } from '../../crypto/bytes.ts'
import { neverArrived } from '../../model/arrival.ts'
import { KmsError } from '../../model/errors.ts'
import { host, type Signal } from '../../model/host.ts'
import { backOff, reasonOf, retryAfter } from '../../model/retry.ts'
import { type Answer, isSuccess, readAnswer } from './answer.ts'
import type { TransitOptions } from './options.ts'
import { type HeldToken, tokenSource } from './token.ts'
import { evidenceOfTrace, type Trace } from './trace.ts'
import { aborted, pause, untilAborted } from './wait.ts'

export interface Asked {
  readonly method: 'GET' | 'POST'
  /** Below the mount. Names in it have been checked: nothing needs escaping. */
  readonly path: string
  readonly body?: object
  /** A change: twice is not once, so it is sent again only if it was certainly not acted on. */
  readonly change?: true
}

export interface Asking {
  /** Grows with each request. */
  readonly trace: Trace
  readonly signal: Signal
}

export interface Transport {
  /**
   * The answer, of whatever status. Throws `PROVIDER_UNAVAILABLE` where there is none, `ABORTED`; with `unsettled` where a
   * change may have been made all the same.
   */
  ask(asked: Asked, asking: Asking): Promise<Answer>
  close(): void
}

/** Told what became of one request. */
type Outcome =
  | { readonly answer: Answer }
  | { readonly lost: unknown; readonly late: boolean; readonly unsent: boolean }

/** A longer pause that the service asks for is for the caller to make. */
const longestPause = 2_000
/** Statuses after which the same request may do better: busy, not caught up, standby, sealed, a gateway's own. */
const passing: readonly number[] = [412, 429, 472, 473, 502, 503, 504]

export function transport(options: TransitOptions): Transport {
  const { base, namespace, requestTimeoutMs, retries, clock, fetch } = options
  const tokens = tokenSource({ token: options.token, timeoutMs: requestTimeoutMs, clock })
  let closed = false

  async function ask(asked: Asked, { trace, signal }: Asking): Promise<Answer> {
    let token = await untilAborted(tokens.current(), signal)
    let renewed = false
    for (let attempt = 0; ; attempt++) {
      if (closed) throw new KmsError('CLOSED', 'the transit provider is closed')
      if (signal.aborted) throw aborted()
      const outcome = await once(asked, token, { trace, signal })
      const { answer } = 'answer' in outcome ? outcome : { answer: undefined }
      if (answer?.status === 403 && !renewed) {
        renewed = true
        const next = await untilAborted(tokens.renewed(token), signal)
        if (next === undefined) return answer
        token = next
        continue
      }
      if (answer !== undefined && !passing.includes(answer.status)) return answer
      const wait = answer?.retryAfterMs ?? backOff(attempt)
      const again = attempt < retries && wait <= longestPause && (asked.change === undefined || isUndone(outcome))
      if (!again) return concluded(outcome, asked, trace)
      await pause(wait, signal)
    }
  }

  async function once(asked: Asked, token: HeldToken, { trace, signal }: Asking): Promise<Outcome> {
    const stop = new host.AbortController()
    let late = false
    const disarm = clock.after(requestTimeoutMs, () => {
      late = true
      stop.abort()
    })
    const abort = () => stop.abort()
    signal.addEventListener('abort', abort, { once: true })
    const body = asked.body === undefined ? undefined : utf8(JSON.stringify(asked.body))
    const begunAt = clock.monotonic()
    trace.attempts += 1
    // The name of an earlier request must not stand for this one.
    delete trace.requestId
    try {
      const answer = await exchange({ ...asked, url: `${base}/${asked.path}`, token, bytes: body, stop: stop.signal })
      if (answer.requestId !== undefined) trace.requestId = answer.requestId
      return { answer }
    } catch (error) {
      const cause = reasonOf(error)
      if (signal.aborted) throw stopped(asked, trace)
      return { lost: cause, late, unsent: isUnsent(cause) }
    } finally {
      trace.durationMs += clock.monotonic() - begunAt
      if (body !== undefined) wipe(body)
      disarm()
      signal.removeEventListener('abort', abort)
    }
  }

  async function exchange(request: Exchange): Promise<Answer> {
    const { method, url, token, bytes, stop } = request
    const response = await fetch(url, {
      method,
      headers: {
        'X-Vault-Token': token.text(),
        'X-Vault-Request': 'true',
        ...(namespace !== undefined && { 'X-Vault-Namespace': namespace }),
        ...(bytes !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(bytes !== undefined && { body: bytes }),
      // A token goes where it was meant to go, or nowhere.
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      signal: stop,
    })
    const received = new Uint8Array(await response.arrayBuffer())
    const answer = readAnswer(response.status, received, retryAfter(response.headers.get('retry-after'), clock.now()))
    wipe(received)
    return answer
  }

  return {
    ask,
    close() {
      closed = true
    },
  }
}

interface Exchange {
  readonly method: string
  readonly url: string
  readonly token: HeldToken
  readonly bytes: Uint8Array | undefined
  readonly stop: Signal
}

/** Certainly not acted on: it never left, or Vault itself said that it does nothing at present. */
function isUndone(outcome: Outcome): boolean {
  if (!('answer' in outcome)) return outcome.unsent
  const { status, errors } = outcome.answer
  if (status === 412 || status === 429 || status === 472 || status === 473) return true
  // A gateway's 503 may come after the request went on.
  return status === 503 && errors.some((text) => /is sealed|not active/.test(text))
}

/** The last answer, or the error for none; of a change that may have been made, that nobody can tell. */
function concluded(outcome: Outcome, asked: Asked, trace: Trace): Answer {
  const open = asked.change === true && !isUndone(outcome)
  if ('answer' in outcome && !open) return outcome.answer
  const problem =
    'answer' in outcome
      ? `the transit service answered ${outcome.answer.status}`
      : outcome.late
        ? 'the transit service did not answer within requestTimeoutMs'
        : 'the transit service could not be reached, or the connection broke'
  throw new KmsError('PROVIDER_UNAVAILABLE', problem, {
    ...('lost' in outcome && !outcome.late && { cause: outcome.lost }),
    evidence: { ...evidenceOfTrace(trace), ...(open && { unsettled: true }) },
  })
}

/** A 5xx that tells nothing of its own: what became of a change is not known. */
export function isOpen(answer: Answer): boolean {
  return !isSuccess(answer) && answer.status >= 500 && !isUndone({ answer })
}

function stopped({ change }: Asked, trace: Trace): KmsError {
  const evidence = { ...evidenceOfTrace(trace), ...(change && { unsettled: true as const }) }
  return new KmsError('ABORTED', 'the call was aborted', { evidence })
}

function isUnsent(cause: unknown): boolean {
  return typeof cause === 'object' && cause !== null && 'code' in cause && neverArrived(cause.code)
}
