/** Context of requests to Hono 4. */

import { type ContextOptions, checkedOptions } from './options.ts'
import { served } from './served.ts'
import { templateOf } from './template.ts'

/** A `RouterRoute` of Hono. */
export interface HonoRoute {
  readonly method: string
  readonly path: string
  readonly handler: { readonly length: number }
}

/** A `Context` of Hono. */
export interface HonoContext {
  readonly req: {
    readonly method: string
    header(name: string): string | undefined
    /** What has matched the request, in the order of registration, and which of it runs now. */
    readonly matchedRoutes: readonly HonoRoute[]
    readonly routeIndex: number
  }
  /** Of the runtime; `@hono/node-server` has Node's request there. */
  readonly env: unknown
}

/**
 * Middleware that serves each request within its context; mount it first, with `app.use`. Hono knows no client address: on
 * `@hono/node-server` it is the connection's; elsewhere say it with `peerIp`, such as `(c) => getConnInfo(c).remote.address`, or `clientIp`.
 * Route: the path of the handler that runs, or in middleware of the one that would.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * app.use(honoContext({ actor: (c: Context) => sessions.userOf(c.req) }))
 * ```
 */
export function honoContext<C extends HonoContext>(
  options: ContextOptions<[c: C]> = {},
): (c: C, next: () => Promise<void>) => Promise<void> {
  const checked = checkedOptions('honoContext', options)
  return async (c, next) => {
    const peer = nodePeer(c.env)
    const told = {
      method: c.req.method,
      header: (name: string) => c.req.header(name),
      peer,
      client: peer,
      ownRoute: () => honoRoute(c),
    }
    await served(checked, [c], told, next)
  }
}

function honoRoute({ req: { matchedRoutes, routeIndex } }: HonoContext): string | undefined {
  const [current, ...later] = matchedRoutes.slice(routeIndex)
  return current && templateOf([current, ...later].find(isHandler)?.path ?? current.path)
}

/** Hono does not tell middleware from what `all` registers; but the former takes `next`. */
function isHandler({ method, handler }: HonoRoute): boolean {
  return method !== 'ALL' || handler.length < 2
}

interface NodeBindings {
  readonly server?: NodeBindings
  readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } }
}

function nodePeer(env: unknown): string | undefined {
  // Whatever the runtime has put there: each step is looked at.
  const bindings = (env ?? {}) as NodeBindings
  return (bindings.server ?? bindings).incoming?.socket?.remoteAddress
}
