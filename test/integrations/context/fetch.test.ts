import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import { describe, test } from 'node:test'
import { createAdaptorServer } from '@hono/node-server'
import { fetchContext, requestContext } from '../../../src/integrations/context/index.ts'
import type { Actor } from '../../../src/model/context.ts'
import { entriesOf, listen, rig, send, told } from './rig.ts'

interface Env {
  readonly incoming: { readonly socket: { readonly remoteAddress?: string } }
}

function actor(request: Request): Actor | undefined {
  const id = request.headers.get('x-user')
  return id === null ? undefined : { type: 'user', id }
}

const peerIp = (_request: Request, { incoming }: Env) => incoming.socket.remoteAddress

/** A server that hands each request to a fetch-style handler, with its connection as the second argument. */
function server(fetch: (request: Request, env: Env) => Promise<Response>): Server {
  return createAdaptorServer({ fetch: fetch as Parameters<typeof createAdaptorServer>[0]['fetch'] }) as Server
}

test('entries say who asked, from where, on which route', async (t) => {
  const { store, last } = await rig()
  const handler = fetchContext(async (_request: Request, _env: Env) => new Response(await store()), {
    actor,
    peerIp,
    route: '/orders/:id',
    requestId: (request) => request.headers.get('cf-ray'),
    trustedProxies: ['127.0.0.1'],
  })
  const port = await listen(t, server(handler))
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers = {
    'x-user': 'alice',
    'user-agent': 'tests',
    'cf-ray': 'ray-7',
    traceparent,
    'x-forwarded-for': '203.0.113.9',
  }
  const { body } = await send(port, '/orders/17?token=secret', { method: 'POST', headers })
  assert.equal(body, last().eventID)
  assert.deepEqual(told(last()), {
    actor: { type: 'user', id: 'alice', source: 'context' },
    clientIp: '203.0.113.9',
    peerIp: '127.0.0.1',
    userAgent: 'tests',
    requestId: 'ray-7',
    traceparent,
    method: 'POST',
    route: '/orders/:id',
  })
})

test('a request that tells nothing of its connection has no client address', async () => {
  const { store, last } = await rig()
  const handler = fetchContext(async (_request: Request) => new Response(await store()))
  await handler(new Request('http://x/', { headers: { 'x-forwarded-for': '6.6.6.6', forwarded: 'for=6.6.6.6' } }))
  assert.deepEqual(told(last()), {
    actor: { type: 'unknown' },
    method: 'GET',
    requestId: last().context?.requestId,
  })
})

test('many at once never mix, and bodies lose nothing', async (t) => {
  const made = await rig()
  const handler = fetchContext(
    async (request: Request, _env: Env) => {
      await made.store()
      const { length } = await request.text()
      await made.store()
      return new Response(String(length))
    },
    { actor },
  )
  const port = await listen(t, server(handler))
  const users = Array.from({ length: 50 }, (_, at) => `user-${at}`)
  await Promise.all(
    users.map((user) => send(port, '/', { method: 'POST', headers: { 'x-user': user }, body: 'x'.repeat(100_000) })),
  )
  for (const user of users) assert.equal(entriesOf(made, user).length, 2)
})

test('a response that goes on keeps the context of what is bound', async (t) => {
  const made = await rig()
  const handler = fetchContext(
    async (_request: Request, _env: Env) => {
      let pieces = 0
      const pull = requestContext.bind(async (controller: ReadableStreamDefaultController<Uint8Array>) => {
        controller.enqueue(new TextEncoder().encode(`${await made.store()}\n`))
        if (++pieces === 5) controller.close()
      })
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }))
    },
    { actor },
  )
  const port = await listen(t, server(handler))
  const { body } = await send(port, '/', { headers: { 'x-user': 'alice' } })
  assert.deepEqual(
    body.trim().split('\n'),
    entriesOf(made, 'alice').map(({ eventID }) => eventID),
  )
})

describe('what fails in it rejects, and no handler runs', () => {
  for (const [what, actor] of Object.entries({
    'an actor that throws': () => {
      throw new RangeError('mine')
    },
    'an actor that rejects': () => Promise.reject(new RangeError('mine')),
    'an actor that is none': () => 'alice' as unknown as Actor,
  }))
    test(what, async () => {
      const handler = fetchContext((_request: Request) => assert.fail('the handler ran'), { actor })
      await assert.rejects(handler(new Request('http://x/')), /RangeError: mine|KmsError: 'context.actor' must be/)
    })
})

test('proxies are not trusted where nobody knows who connects', () => {
  assert.throws(() => fetchContext((_request: Request) => 1, { trustedProxies: ['127.0.0.1'] }), {
    name: 'KmsError',
    code: 'INVALID_INPUT',
    message: /peerIp/,
  })
})
