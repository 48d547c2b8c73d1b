/** Serving a request with its context: what the middleware of all frameworks have in common. */
import type { RequestContext } from '../../model/context.ts'
import { isPromise } from '../../model/promise.ts'
import type { RequestCarrier } from './carrier.ts'
import type { CheckedOptions } from './options.ts'
import { saidBy, type Told } from './said.ts'

/**
 * Runs `serve` in the context of `request`: now, or when it is known who asks. `ownRoute` is the framework's template of its route.
 */
export function served<A extends readonly unknown[], T>(
  options: CheckedOptions<A>,
  request: A,
  told: Told & { readonly ownRoute?: () => string | undefined },
  serve: () => T,
): T | Promise<Awaited<T>> {
  const { carrier, route } = options
  const live = { route: route ? () => route(...request) : told.ownRoute }
  const run = (said: RequestContext) => carrier.run(said, serve, live)
  const said = saidBy(options, request, told)
  return isPromise(said) ? Promise.resolve(said.then(run)) : run(said)
}

/** What of a Node request or response is used to keep its context. */
export interface Emitter {
  emit(event: string | symbol, ...values: never[]): boolean
}

/**
 * Has listeners of `emitters` run in the context of now. Events of a request come from its connection, which knows no request:
 * a body read with `on('data')` and `on('end')` would lose who asks.
 */
export function bindEvents(carrier: RequestCarrier, emitters: readonly Emitter[]): void {
  for (const emitter of emitters) emitter.emit = carrier.bind(emitter.emit)
}
