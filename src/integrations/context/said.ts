/** What a request says of itself, whatever framework serves it. */
import { v4 } from 'uuid'
import { randomBytes } from '../../crypto/random.ts'
import type { Actor, Reason, RequestContext } from '../../model/context.ts'
import { isPromise } from '../../model/promise.ts'
import { type ClientAddress, forwardedAddress, toldAddress } from './client-ip.ts'
import { openTelemetryLoading } from './opentelemetry.ts'
import type { CheckedOptions } from './options.ts'
import { traceparentOf } from './traceparent.ts'

/** What a framework tells of a request. */
export interface Told {
  readonly method: string | undefined
  /** Several of one name may come as a list, or joined by commas. */
  readonly header: (name: string) => string | readonly string[] | null | undefined
  /** Address of the connection's other end. */
  readonly peer: string | undefined
  /** The client's address, as the framework is configured to see it. */
  readonly client: string | undefined
}

/** At once where nothing has to be waited for: `options.actor`, `options.reason`, or, as the program starts, OpenTelemetry. */
export function saidBy<A extends readonly unknown[]>(
  options: CheckedOptions<A>,
  request: A,
  told: Told,
): RequestContext | Promise<RequestContext> {
  const fixed = fixedBy(options, request, told)
  const actor = options.actor?.(...request)
  const reason = options.reason?.(...request)
  const loading = openTelemetryLoading()
  if (!isPromise(actor) && !isPromise(reason) && loading === undefined) return withWho(fixed, actor, reason)
  return Promise.all([actor, reason, loading]).then(([who, why]) => withWho(fixed, who, why))
}

function withWho(fixed: RequestContext, actor: Actor | undefined, reason: Reason | undefined): RequestContext {
  return { ...fixed, ...(actor !== undefined && { actor }), ...(reason !== undefined && { reason }) }
}

function fixedBy<A extends readonly unknown[]>(options: CheckedOptions<A>, request: A, told: Told): RequestContext {
  const userAgent = textOf(told.header('user-agent'))
  const traceparent = traceparentOf(told.header('traceparent'))
  return {
    ...addressOf(options, request, told),
    ...(userAgent && { userAgent }),
    requestId: requestIdOf(options, request, told),
    ...(traceparent !== undefined && { traceparent }),
    ...(told.method && { method: told.method }),
  }
}

function addressOf<A extends readonly unknown[]>(options: CheckedOptions<A>, request: A, told: Told): ClientAddress {
  const { trusted, forwardedHeader } = options
  const peer = (options.peerIp ? options.peerIp(...request) : told.peer) ?? undefined
  if (options.clientIp !== undefined) return toldAddress(options.clientIp(...request), peer)
  if (trusted === undefined) return toldAddress(told.client ?? peer, peer)
  const forwarded = forwardedHeader === 'x-forwarded-for' ? undefined : told.header('forwarded')
  const xForwardedFor = forwardedHeader === 'forwarded' ? undefined : told.header('x-forwarded-for')
  return forwardedAddress({ peer, forwarded, xForwardedFor }, trusted)
}

function requestIdOf<A extends readonly unknown[]>(
  { requestId }: CheckedOptions<A>,
  request: A,
  { header }: Told,
): string {
  const given = typeof requestId === 'string' ? textOf(header(requestId.toLowerCase())) : requestId?.(...request)
  return given || v4({ random: randomBytes(16) })
}

function textOf(header: string | readonly string[] | null | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.join(', ')
}
