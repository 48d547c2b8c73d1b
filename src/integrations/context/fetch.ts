/** Context of requests to fetch-style handlers: workers, Deno, Bun, and whatever else answers a `Request`. */
import { KmsError } from '../../model/errors.ts'
import { type ContextOptions, checkedOptions } from './options.ts'
import { served } from './served.ts'

/** A `Request`. */
export interface FetchRequest {
  readonly method: string
  readonly headers: { get(name: string): string | null }
}

/**
 * `handler` within the context of its request; further arguments, such as a worker's `env` and `ctx`, are handed on, and to the
 * functions of `options` too. A `Request` tells neither its connection nor its route: say them with `peerIp` or `clientIp`, and `route`.
 *
 * A stream that a response goes on with after the handler has answered has lost the context unless its callbacks are bound:
 * `requestContext.bind(pull)`.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option, and for `trustedProxies` without `peerIp`.
 *
 * @example
 * ```ts
 * Deno.serve(fetchContext(handle, { peerIp: (_request, { remoteAddr }) => remoteAddr.hostname, trustedProxies: ['10.0.0.0/8'] }))
 * ```
 */
export function fetchContext<A extends readonly [request: FetchRequest, ...rest: readonly unknown[]], T>(
  handler: (...request: A) => T | Promise<T>,
  options: ContextOptions<A> = {},
): (...request: A) => Promise<T> {
  const checked = checkedOptions('fetchContext', options)
  if (checked.trusted !== undefined && checked.peerIp === undefined)
    throw new KmsError(
      'INVALID_INPUT',
      "'trustedProxies' of fetchContext needs 'peerIp': who connects tells whether to trust",
    )
  return async (...request) => {
    const [{ method, headers }] = request
    const told = { method, header: (name: string) => headers.get(name), peer: undefined, client: undefined }
    return served(checked, request, told, () => handler(...request))
  }
}
