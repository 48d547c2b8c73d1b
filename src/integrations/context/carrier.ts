/** @node The request that is being served, in an `AsyncLocalStorage`: who asks, from where, on which route. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { copyContext } from '../../audit/context.ts'
import type { ContextCarrier } from '../../client.ts'
import type { RequestContext } from '../../model/context.ts'
import { KmsError } from '../../model/errors.ts'
import { activeTraceparent } from './opentelemetry.ts'

/** A carrier of context for `new KmsClient({ context })`. What a call says itself, and what is bound by `with()`, win over it field by field. */
export interface RequestCarrier extends ContextCarrier {
  readonly constant: true
  /**
   * What is known of the request now, frozen, and the same object for as long as nothing changes. The `traceparent` is that of
   * OpenTelemetry's active span if there is one, also outside of `run`. Undefined where nothing is known.
   *
   * @throws KmsError `INVALID_INPUT` for a live route that is no string; `INTERNAL` if `@opentelemetry/api` is there and cannot be loaded.
   */
  current(): RequestContext | undefined
  /**
   * Runs `fn`, and all that it starts, with `context`; gives what `fn` gives. Inside another `run` it begins with what the outer
   * one holds by then. Work that goes on after the request, a queue say, keeps the request that started it.
   *
   * @throws KmsError `INVALID_INPUT` for a field of the wrong type, before `fn` is called; whatever `fn` throws.
   */
  run<T>(context: RequestContext, fn: () => T, live?: LiveContext): T
  /**
   * Adds what becomes known later in the request, over what was known, field by field: the actor after authentication, say.
   * For all calls from here on that this `run` has led to, wherever they are.
   *
   * @throws KmsError `INVALID_INPUT` for a field of the wrong type, and outside of `run`.
   */
  add(fields: RequestContext): void
  /** `fn`, to be run with the context of now by whoever calls it: for callbacks of libraries that lose it, and for streams. */
  bind<A extends unknown[], T>(fn: (...args: A) => T): (...args: A) => T
}

/** What is looked up anew at each call. */
export interface LiveContext {
  /** The template of the route that is being served, once the framework knows it. A route that `run` or `add` was given wins. */
  readonly route?: (() => string | undefined) | undefined
}

/** One `run`. */
interface Served {
  said: RequestContext
  readonly route: LiveContext['route']
  /** What `current` answered last, and of what it was made. */
  answered?: { readonly said: RequestContext; readonly overlay: Overlay; readonly whole: RequestContext }
}

type Overlay = Pick<RequestContext, 'route' | 'traceparent'>

/** A carrier of its own, for those who need several; one is enough for most: {@link requestContext}. */
export function createRequestContext(): RequestCarrier {
  const storage = new AsyncLocalStorage<Served>()

  return Object.freeze({
    constant: true,
    current() {
      const served = storage.getStore()
      const traceparent = activeTraceparent()
      if (served === undefined) return traceparent === undefined ? undefined : Object.freeze({ traceparent })
      return whole(served, { traceparent, route: served.said.route === undefined ? served.route?.() : undefined })
    },
    run(context, fn, live = {}) {
      const outer = storage.getStore()
      const said = sealed({ ...outer?.said, ...copyContext(context) })
      return storage.run({ said, route: live.route ?? outer?.route }, fn)
    },
    add(fields) {
      const served = storage.getStore()
      if (served === undefined)
        throw new KmsError('INVALID_INPUT', 'there is no request to add to: call add() inside of run()')
      served.said = sealed({ ...served.said, ...copyContext(fields) })
    },
    bind<A extends unknown[], T>(fn: (...args: A) => T): (...args: A) => T {
      const served = storage.getStore()
      if (served === undefined) return fn
      return function bound(this: unknown, ...args: A): T {
        return storage.run(served, () => fn.apply(this, args))
      }
    },
  } satisfies RequestCarrier)
}

/** The carrier that the middleware of this package fills unless it is given another: `new KmsClient({ context: requestContext, … })`. */
export const requestContext: RequestCarrier = createRequestContext()

function whole(served: Served, { traceparent, route }: { readonly [F in keyof Overlay]-?: Overlay[F] | undefined }) {
  const { said, answered } = served
  if (traceparent === undefined && route === undefined) return said
  if (answered?.said === said && answered.overlay.route === route && answered.overlay.traceparent === traceparent)
    return answered.whole
  const overlay = { ...(route !== undefined && { route }), ...(traceparent !== undefined && { traceparent }) }
  const made = { said, overlay, whole: sealed({ ...said, ...overlay }) }
  served.answered = made
  return made.whole
}

/** A copy that nobody can change. */
function sealed(context: RequestContext): RequestContext {
  const copy = copyContext(context)
  for (const part of [copy.actor, copy.origin, copy.reason]) Object.freeze(part)
  return copy
}
