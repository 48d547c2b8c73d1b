/** What the middleware of every framework is told: the same options, about requests of its own kind. */

import type { Actor, Reason } from '../../model/context.ts'
import { KmsError } from '../../model/errors.ts'
import { type Network, parseNetworks } from '../../model/networks.ts'
import { type RequestCarrier, requestContext } from './carrier.ts'

/** `A` is what the framework hands to a middleware or handler of a request, such as `[request]`. */
export interface ContextOptions<A extends readonly unknown[]> {
  /** Who asks, as far as it is known before the handler runs; `requestContext.add({ actor })` says it later. If it fails, the request does. */
  readonly actor?: (...request: A) => Actor | undefined | Promise<Actor | undefined>
  /** Why. If it fails, the request does. */
  readonly reason?: (...request: A) => Reason | undefined | Promise<Reason | undefined>
  /**
   * Name of the header that holds the request's id, or a function that gives it. A request without one, and every request by
   * default, gets a random id (UUIDv4): `requestContext.current()?.requestId`. Whoever sends a header chooses what entries say.
   */
  readonly requestId?: string | ((...request: A) => string | null | undefined)
  /**
   * Networks in CIDR notation, or single addresses, of the proxies whose `Forwarded` and `X-Forwarded-For` count: see `clientIpOf`.
   * Without it the framework's own answer is taken, which is the connection's other end unless the framework is told otherwise.
   */
  readonly trustedProxies?: readonly string[]
  /** Which of the two headers the trusted proxies write; the other is not looked at. Both, by default, and they must agree. */
  readonly forwardedHeader?: 'forwarded' | 'x-forwarded-for'
  /** The client's address, instead of all that: from a header that your edge sets and nobody else can, say. */
  readonly clientIp?: (...request: A) => string | null | undefined
  /** The address of the connection's other end, where the framework does not tell or tells another. */
  readonly peerIp?: (...request: A) => string | null | undefined
  /** The route's template, or a function that is asked for it at each call of the KMS. Without it the framework's own answer is taken, if it has one. */
  readonly route?: string | ((...request: A) => string | undefined)
  /** The carrier to fill, instead of `requestContext`. */
  readonly carrier?: RequestCarrier
}

/** {@link ContextOptions}, checked. */
export interface CheckedOptions<A extends readonly unknown[]>
  extends Omit<ContextOptions<A>, 'trustedProxies' | 'route'> {
  readonly trusted: readonly Network[] | undefined
  readonly route: ((...request: A) => string | undefined) | undefined
  readonly carrier: RequestCarrier
}

const kinds: { readonly [O in keyof ContextOptions<never>]-?: readonly string[] } = {
  actor: ['function'],
  reason: ['function'],
  requestId: ['string', 'function'],
  trustedProxies: ['object'],
  forwardedHeader: ['string'],
  clientIp: ['function'],
  peerIp: ['function'],
  route: ['string', 'function'],
  carrier: ['object'],
}

/** @throws KmsError `INVALID_INPUT` for an option of the wrong type, and for one there is not: a slip would be trusted in silence. */
export function checkedOptions<A extends readonly unknown[]>(
  name: string,
  options: ContextOptions<A>,
): CheckedOptions<A> {
  if (typeof options !== 'object' || options === null) refuse(`${name} takes one object of options`)
  for (const [option, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, option)) refuse(`${name} has no such option; it has ${Object.keys(kinds).join(', ')}`)
    // Its own name, checked above.
    const kind = kinds[option as keyof typeof kinds]
    if (value !== undefined && !kind.includes(value === null ? 'null' : typeof value))
      refuse(`'${option}' of ${name} must be ${kind.map((type) => `a ${type}`).join(' or ')}`)
  }
  const { carrier = requestContext, forwardedHeader, requestId, route, trustedProxies } = options
  if (typeof carrier.current !== 'function' || typeof carrier.run !== 'function' || typeof carrier.bind !== 'function')
    refuse(`'carrier' of ${name} must be requestContext or one made by createRequestContext`)
  if (forwardedHeader !== undefined && forwardedHeader !== 'forwarded' && forwardedHeader !== 'x-forwarded-for')
    refuse(`'forwardedHeader' of ${name} must be 'forwarded' or 'x-forwarded-for'`)
  // RFC 9110 §5.6.2: a token.
  if (typeof requestId === 'string' && !/^[\w!#$%&'*+.^`|~-]+$/.test(requestId))
    refuse(`'requestId' of ${name} must be the name of a header, or a function`)
  if (route === '') refuse(`'route' of ${name} must be a template such as /orders/:id, or a function`)
  return {
    ...options,
    carrier,
    trusted: trustedProxies && parseNetworks('trustedProxies', trustedProxies),
    route: typeof route === 'string' ? () => route : route,
  }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
