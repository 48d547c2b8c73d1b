/**
 * Who asks, from where, on which route: a carrier of the request's context for `new KmsClient({ context })`, and middleware
 * that fills it.
 *
 * @packageDocumentation
 */

export { createRequestContext, type LiveContext, type RequestCarrier, requestContext } from './carrier.ts'
export { type ClientAddress, clientIpOf, type ForwardedRequest } from './client-ip.ts'
export { type ExpressRequest, expressContext } from './express.ts'
export type { ExpressRouting } from './express-route.ts'
export { type FastifyContextInstance, type FastifyContextRequest, fastifyContext } from './fastify.ts'
export { type FetchRequest, fetchContext } from './fetch.ts'
export { type HonoContext, type HonoRoute, honoContext } from './hono.ts'
export { type NodeContextOptions, type NodeResponse, nodeContext } from './node.ts'
export type { NodeRequest } from './node-request.ts'
export type { ContextOptions } from './options.ts'
export type { Emitter } from './served.ts'
export { traceparentOf } from './traceparent.ts'
