/** OpenTelemetry's active span, where `@opentelemetry/api` is installed: the one file that names it. */
import { KmsError } from '../../model/errors.ts'
import { invalidTraceparent, traceparentOf } from './traceparent.ts'

/** What is used of the package. */
interface OpenTelemetry {
  readonly trace: {
    getActiveSpan():
      | { spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number } }
      | undefined
  }
}

let api: OpenTelemetry | undefined
let failure: KmsError | undefined
let loading: Promise<void> | undefined = import('@opentelemetry/api').then(
  (found: OpenTelemetry) => {
    api = found
    loading = undefined
  },
  (error: unknown) => {
    if (!isMissing(error))
      failure = new KmsError('INTERNAL', '@opentelemetry/api is installed and could not be loaded', { cause: error })
    loading = undefined
  },
)

/**
 * Settles when it is known whether there is OpenTelemetry, moments after the program has started; undefined when it is
 * known already. No top-level `await` does it: that would keep programs from loading this with `require`.
 */
export function openTelemetryLoading(): Promise<void> | undefined {
  return loading
}

/**
 * The active span as a `traceparent`; undefined if there is none.
 *
 * @throws KmsError `INTERNAL` if the package is there and could not be loaded.
 */
export function activeTraceparent(): string | undefined {
  if (failure !== undefined) throw failure
  const span = api?.trace.getActiveSpan()?.spanContext()
  if (span === undefined) return undefined
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, '0')
  // Tracing that is switched off has a span of zeros.
  const traceparent = traceparentOf(`00-${span.traceId}-${span.spanId}-${flags}`)
  return traceparent === invalidTraceparent ? undefined : traceparent
}

/**
 * This very package is not there. One that is there and lacks a file or another package is something else. Loaders have errors of
 * their own realm, which are no `Error` of ours: Jest's do.
 */
export function isMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('message' in error)) return false
  return /["'`]@opentelemetry\/api["'`]/.test(String(error.message))
}
