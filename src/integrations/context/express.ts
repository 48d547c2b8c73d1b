/** Context of requests to Express 5. */
import { type ExpressRouting, expressRoute, watchMounts } from './express-route.ts'
import { type NodeRequest, toldByNode } from './node-request.ts'
import { type ContextOptions, checkedOptions } from './options.ts'
import { bindEvents, type Emitter, served } from './served.ts'

/** A `Request` of Express. */
export interface ExpressRequest extends NodeRequest, ExpressRouting {
  /** What Express takes for the client's address, by its setting `trust proxy`. */
  readonly ip?: string | undefined
}

/**
 * Middleware that serves each request within its context; mount it first, with `app.use`. The route is looked up at each call, for Express
 * knows it only once a handler runs. Client address: `request.ip`, which is the connection's unless `trust proxy` is set.
 *
 * Mounted a second time, the same middleware enters the context it made: after a parser that loses it.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * app.use(expressContext({ actor: (request: Request) => sessions.userOf(request) }))
 * ```
 */
export function expressContext<Q extends ExpressRequest>(
  options: ContextOptions<[request: Q]> = {},
): (request: Q, response: Emitter, next: (error?: unknown) => void) => void | Promise<void> {
  const checked = checkedOptions('expressContext', options)
  const { carrier } = checked
  const again = new WeakMap<Q, (next: () => void) => void>()
  return (request, response, next) => {
    const enter = again.get(request)
    if (enter !== undefined) return enter(() => next())
    watchMounts(request)
    const told = { ...toldByNode(request, request.ip), ownRoute: () => expressRoute(request) }
    return served(checked, [request], told, () => {
      bindEvents(carrier, [request, response])
      again.set(
        request,
        carrier.bind((proceed: () => void) => proceed()),
      )
      next()
    })
  }
}
