/** A client that takes its context from the request that is served, and servers over real sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type ContextCarrier, KmsClient } from '../../../src/client.ts'
import { requestContext } from '../../../src/integrations/context/index.ts'
import type { Actor } from '../../../src/model/context.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { type MemorySink, memorySink } from '../../../src/sinks/memory.ts'

export const plaintext = new TextEncoder().encode('three apples')

export interface Rig {
  readonly kms: KmsClient
  readonly sink: MemorySink
  /** Encrypts with `orders`, as something deep below a handler that knows no request. */
  readonly store: () => Promise<string>
  /** The entry of the last call. */
  readonly last: () => AuditEntry
}

export async function rig(context: ContextCarrier = requestContext): Promise<Rig> {
  const sink = memorySink({ maxEntries: 20_000 })
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context })
  await kms.createKey({ slug: 'orders' })
  return {
    kms,
    sink,
    store: async () => (await kms.encrypt({ key: 'orders', plaintext })).eventID,
    last: () => sink.entries.at(-1) ?? assert.fail('there is an entry'),
  }
}

/** What an entry says of its caller. */
export function told({ actor, context, reason }: AuditEntry): object {
  return { actor, ...context, ...(reason && { reason }) }
}

export async function listen(t: TestContext, server: Server): Promise<number> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // The address of a TCP server is not a pipe's name.
  return (server.address() as AddressInfo).port
}

export function serve(t: TestContext, listener: RequestListener): Promise<number> {
  return listen(t, createServer(listener))
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** Sent in two pieces, the second when the server has had time to start. */
  readonly body?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request on a connection of its own, with the headers as they are given. */
export async function send(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: Sent = {},
): Promise<Answer> {
  const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false })
  if (body !== undefined) {
    const half = body.length >> 1
    request.write(body.slice(0, half))
    await new Promise((resolve) => setTimeout(resolve, 5))
    request.write(body.slice(half))
  }
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }
}

/** The entries whose caller is `id`. */
export function entriesOf({ sink }: Rig, id: string): readonly AuditEntry[] {
  return sink.entries.filter(({ actor }) => actor !== undefined && 'id' in actor && actor.id === id)
}

export const alice: Actor = { type: 'user', id: 'alice' }

/** Sends a request of alice's that says all there is, with a query that may not be kept, and holds its entry to it, save for what `differs`. */
export async function holdsAll(port: number, { last }: Rig, method: string, differs: object = {}): Promise<void> {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers = { 'x-user': 'alice', 'user-agent': 'tests', 'x-request-id': 'req-7', traceparent }
  const { body } = await send(port, '/orders/17?token=secret', { method, headers })
  assert.equal(body, last().eventID)
  assert.deepEqual(told(last()), {
    actor: { type: 'user', id: 'alice', source: 'context' },
    clientIp: '127.0.0.1',
    userAgent: 'tests',
    requestId: 'req-7',
    traceparent,
    method,
    route: '/orders/:id',
    ...differs,
  })
}

/** What an application's `actor` may do wrong. */
export const failingActors: Readonly<Record<string, () => Actor | Promise<Actor>>> = {
  'an actor that throws': () => {
    throw new RangeError('mine')
  },
  'an actor that rejects': () => Promise.reject(new RangeError('mine')),
  'an actor that is none': () => ({ type: 'god', id: 'x' }) as unknown as Actor,
  'an actor that is none, later': () => Promise.resolve('alice' as unknown as Actor),
}

/** Waits for what happens beside a response, and gives up after seconds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5000 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 1))
}
