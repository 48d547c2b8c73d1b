/** Context of requests to Node's own `http` and `http2` servers. */
import { isPromise } from '../../model/promise.ts'
import { type NodeRequest, toldByNode } from './node-request.ts'
import { type ContextOptions, checkedOptions } from './options.ts'
import { bindEvents, type Emitter, served } from './served.ts'

/** A `ServerResponse`. */
export interface NodeResponse extends Emitter {
  statusCode: number
  readonly headersSent: boolean
  end(body?: string | Uint8Array): unknown
}

export interface NodeContextOptions<Q, S> extends ContextOptions<[request: Q, response: S]> {
  /** Answers a request whose `actor` or another function failed, before the handler has run; 500 with an empty body by default. */
  readonly onError?: (error: unknown, request: Q, response: S) => void
}

/**
 * A listener for `createServer` that calls `handler` within the context of its request, and gives what it gives. Node knows no
 * routes: say the template with `route`, or with `requestContext.add({ route })` in the handler.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * createServer(nodeContext(handle, { actor: (request) => sessions.userOf(request), route: '/orders/:id' })).listen(8080)
 * ```
 */
export function nodeContext<Q extends NodeRequest, S extends NodeResponse, T>(
  handler: (request: Q, response: S) => T,
  options: NodeContextOptions<Q, S> = {},
): (request: Q, response: S) => T | undefined | Promise<Awaited<T> | undefined> {
  const { onError = answer500, ...rest } = options
  const checked = checkedOptions<[Q, S]>('nodeContext', rest)
  return (request, response) => {
    let isServed = false
    const serve = () => {
      isServed = true
      bindEvents(checked.carrier, [request, response])
      return handler(request, response)
    }
    const failed = (error: unknown) => {
      // The handler's own failures are as they would be without us.
      if (isServed) throw error
      onError(error, request, response)
      return undefined
    }
    try {
      const result = served(checked, [request, response], toldByNode(request), serve)
      return isPromise(result) && !isServed ? result.catch(failed) : result
    } catch (error) {
      return failed(error)
    }
  }
}

function answer500(_error: unknown, _request: NodeRequest, response: NodeResponse): void {
  if (!response.headersSent) response.statusCode = 500
  response.end()
}
