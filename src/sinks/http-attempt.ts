/** One request of the http sink, and what its answer means. */
import type { Clock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import { type HttpResponse, host } from '../model/host.ts'
import { reasonOf, retryAfter } from '../model/retry.ts'

export interface Attempt {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** On the clock's monotonic time. */
  readonly deadline: number
  readonly clock: Clock
}

/** `status` is absent when no answer came; `late` tells that the deadline was the reason. */
export interface Answer {
  readonly status?: number
  readonly retryAfterMs?: number
  readonly late?: true
  readonly cause?: unknown
}

/** Posts `body` once. Never throws: a failed request is an answer too. */
export async function attemptOnce({ url, headers, body, deadline, clock }: Attempt): Promise<Answer> {
  const abort = new host.AbortController()
  const disarm = clock.after(Math.max(0, deadline - clock.monotonic()), () => abort.abort())
  try {
    const init = { method: 'POST', headers, body, redirect: 'manual', credentials: 'omit', signal: abort.signal }
    const response = await host.fetch(url, init)
    discardBody(response, () => abort.abort(), disarm)
    const wait = retryAfter(response.headers.get('retry-after'), clock.now())
    return wait === undefined ? { status: response.status } : { status: response.status, retryAfterMs: wait }
  } catch (error) {
    disarm()
    return abort.signal.aborted ? { late: true } : { cause: reasonOf(error) }
  }
}

// A short body is read, so that the connection can be used again; of any other, an endless one say, nothing is.
function discardBody(response: HttpResponse, abort: () => void, disarm: () => void): void {
  const length = Number(response.headers.get('content-length') ?? (response.status === 204 ? 0 : Number.NaN))
  if (length <= 65_536 && response.headers.get('content-encoding') === null) {
    // What the answer was is known by now: whether its body arrives whole changes nothing.
    response.arrayBuffer().then(disarm, disarm)
    return
  }
  disarm()
  abort()
}

/** Whether the same request may succeed later. */
export function isPassing({ status }: Answer): boolean {
  return status === undefined || status === 429 || status >= 500
}

/** What the sink throws for an answer that is not 2xx; holds nothing that the collector wrote. */
export function refusal(where: string, { status, late, cause }: Answer): KmsError {
  return new KmsError('AUDIT_REFUSED', `the collector at ${where} ${problemOf(status, late)}`, { cause })
}

function problemOf(status: number | undefined, late: true | undefined): string {
  if (late) return 'did not answer within timeoutMs'
  if (status === undefined) return 'could not be reached'
  // A browser shows a redirect that was not followed as status 0.
  if (status === 0 || (status >= 300 && status < 400)) return `redirected (${status}); name the final address as url`
  if (status === 413) return 'answered 413; lower maxBatchBytes'
  return `answered ${status}`
}
