/** How a call was answered: what its entry tells of the service. */
import type { Evidence } from '../../model/errors.ts'
import type { ProviderTrace } from '../../model/operation.ts'

/** Grows with each request of a call. */
export interface Trace {
  attempts: number
  durationMs: number
  /** Of the last request, if its answer told one. */
  requestId?: string
}

export function newTrace(): Trace {
  return { attempts: 0, durationMs: 0 }
}

/** Counts `other`'s requests to `trace`'s, which keeps its own request id. */
export function addTrace(trace: Trace, other: Trace): void {
  trace.attempts += other.attempts
  trace.durationMs += other.durationMs
}

export function traceOf({ attempts, durationMs, requestId }: Trace): ProviderTrace {
  return { ...(requestId !== undefined && { requestId }), attempts, durationMs }
}

/** The same for an error; nothing where no request was made. */
export function evidenceOfTrace(trace: Trace): Evidence {
  return trace.attempts === 0 ? {} : traceOf(trace)
}
