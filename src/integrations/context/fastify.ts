/** Context of requests to Fastify 5. */

import { isPromise } from '../../model/promise.ts'
import { type NodeRequest, toldByNode } from './node-request.ts'
import { type ContextOptions, checkedOptions } from './options.ts'
import { bindEvents, type Emitter, served } from './served.ts'
import { templateOf } from './template.ts'

/** A `FastifyRequest`. */
export interface FastifyContextRequest {
  readonly raw: NodeRequest
  /** What Fastify takes for the client's address, by its option `trustProxy`. */
  readonly ip: string
  readonly routeOptions: { readonly url?: string | undefined }
}

type Done = (error?: Error) => void
type Hook<Q> = (request: Q, reply: { readonly raw: Emitter }, done: Done) => void

/** What is used of a Fastify instance. */
export interface FastifyContextInstance<Q> {
  addHook(name: 'onRequest', hook: Hook<Q>): unknown
  addHook(name: 'preValidation', hook: Hook<Q>): unknown
}

/**
 * A plugin that serves each request within its context, from `onRequest` on: register it first. It is for the instance that registers
 * it and all below, as if it were made by fastify-plugin. Client address: `request.ip`, which is the connection's unless
 * `trustProxy` is set. Route: `request.routeOptions.url`.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * await app.register(fastifyContext({ actor: (request: FastifyRequest) => sessions.userOf(request) }))
 * ```
 */
export function fastifyContext<Q extends FastifyContextRequest>(
  options: ContextOptions<[request: Q]> = {},
): (instance: FastifyContextInstance<Q>, options: object, done: Done) => void {
  const checked = checkedOptions('fastifyContext', options)
  const { carrier } = checked
  const again = new WeakMap<Q, (done: Done) => void>()

  function plugin(instance: FastifyContextInstance<Q>, _options: object, registered: Done): void {
    instance.addHook('onRequest', (request, reply, done) => {
      const ownRoute = () => templateOf(request.routeOptions.url)
      const told = { ...toldByNode(request.raw, request.ip), ownRoute }
      const serving = served(checked, [request], told, () => {
        bindEvents(carrier, [request.raw, reply.raw])
        again.set(
          request,
          carrier.bind((proceed: Done) => proceed()),
        )
        done()
      })
      if (isPromise(serving)) serving.catch(done)
    })
    // Whatever has parsed the body may have lost it.
    instance.addHook('preValidation', (request, _reply, done) => {
      const enter = again.get(request)
      if (enter === undefined) done()
      else enter(done)
    })
    registered()
  }

  return Object.assign(plugin, {
    // The three marks that fastify-plugin sets: hooks of this plugin are hooks of who registers it.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'keytrail-context',
    [Symbol.for('plugin-meta')]: { name: 'keytrail-context', fastify: '5.x' },
  })
}
