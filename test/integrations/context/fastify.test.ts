import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import { fastifyContext, requestContext } from '../../../src/integrations/context/index.ts'
import type { Actor } from '../../../src/model/context.ts'
import { entriesOf, failingActors, holdsAll, type Rig, rig, send, until } from './rig.ts'

function actor({ headers }: FastifyRequest): Actor | undefined {
  const id = headers['x-user']
  return typeof id === 'string' ? { type: 'user', id } : undefined
}

async function served(
  t: TestContext,
  build: (app: FastifyInstance, made: Rig) => unknown,
  options: FastifyServerOptions = {},
) {
  const made = await rig()
  const app = fastify(options)
  await build(app, made)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => {
    app.server.closeAllConnections()
    return app.close()
  })
  // The address of a TCP server is not a pipe's name.
  const { port } = app.server.address() as AddressInfo
  return { ...made, app, port }
}

test('entries say who asked, from where, on which route', async (t) => {
  const { port, ...made } = await served(t, async (app, { store }) => {
    await app.register(fastifyContext({ actor, requestId: ({ id }) => `fastify-${id}` }))
    app.post('/orders/:id', store)
  })
  await holdsAll(port, made, 'POST', { requestId: 'fastify-req-1' })
})

test('two traceparents are none, and flagged', async (t) => {
  const { port, last } = await served(t, async (app, { store }) => {
    await app.register(fastifyContext())
    app.get('/', store)
  })
  const one = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await send(port, '/', { headers: { traceparent: [one, one] } })
  assert.equal(last().context?.traceparent, undefined)
  assert.deepEqual(last().details?.flags, ['traceparent_invalid'])
})

describe('the route is a template, whatever is in the URL', () => {
  test('with a prefix, an optional parameter, a regular expression, a wildcard', async (t) => {
    const { port, last } = await served(t, async (app, { store }) => {
      await app.register(fastifyContext())
      await app.register(
        async (inner) => {
          inner.get('/orders/:id', store)
          inner.get('/maybe/:id?', store)
          inner.get('/digits/:id(^\\d+$)', store)
          inner.get('/files/*', store)
        },
        { prefix: '/:tenant' },
      )
      app.setNotFoundHandler(store)
    })
    for (const [path, route] of [
      ['/secret/orders/secret', '/:tenant/orders/:id'],
      ['/secret/maybe', '/:tenant/maybe/:id'],
      ['/secret/maybe/secret', '/:tenant/maybe/:id'],
      ['/secret/digits/17', '/:tenant/digits/:id(^\\d+$)'],
      ['/secret/files/secret/secret', '/:tenant/files/*'],
      ['/secret', undefined],
    ] as const) {
      await send(port, `${path}?token=secret`)
      assert.equal(last().context?.route, route)
      assert.equal(last().details?.flags, undefined)
      assert.equal(JSON.stringify(last()).includes('secret'), false)
    }
  })
})

describe('the plugin', () => {
  test('serves routes beside it and below, and not those above', async (t) => {
    const { port, sink } = await served(t, async (app, { store }) => {
      app.get('/above', store)
      await app.register(async (scope) => {
        await scope.register(fastifyContext({ actor }))
        scope.get('/beside', store)
        await scope.register(async (inner) => inner.get('/below', store))
      })
      await app.register(async (scope) => scope.get('/apart', store))
    })
    sink.clear()
    for (const path of ['/above', '/beside', '/below', '/apart'])
      await send(port, path, { headers: { 'x-user': 'alice' } })
    assert.deepEqual(
      sink.entries.map(({ actor }) => actor?.id),
      [undefined, 'alice', 'alice', undefined],
    )
  })

  test('is for Fastify 5, and says its name', async () => {
    const app = fastify()
    await app.register(fastifyContext())
    assert.ok(app.hasPlugin('keytrail-context'))
    await app.close()
  })

  test('is made of its options: given an instance, as other plugins are, it is refused', async () => {
    const app = fastify()
    assert.throws(() => fastifyContext(app as object), { name: 'KmsError', code: 'INVALID_INPUT' })
    await app.close()
  })
})

describe('the client address', () => {
  const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' }
  for (const [what, trustProxy, options, expected] of [
    ['is its own where nobody is trusted', false, {}, ['127.0.0.1', undefined]],
    ["is Fastify's answer where Fastify trusts proxies", '127.0.0.1', {}, ['203.0.113.9', '127.0.0.1']],
    ['is ours where proxies are named', false, { trustedProxies: ['127.0.0.1'] }, ['203.0.113.9', '127.0.0.1']],
    ['is ours where both are', true, { trustedProxies: ['127.0.0.1'] }, ['203.0.113.9', '127.0.0.1']],
  ] as const)
    test(what, async (t) => {
      const { port, last } = await served(
        t,
        async (app, { store }) => {
          await app.register(fastifyContext(options))
          app.get('/', store)
        },
        { trustProxy },
      )
      await send(port, '/', { headers })
      assert.deepEqual([last().context?.clientIp, last().context?.peerIp], expected)
    })
})

describe('the context survives', () => {
  const body = JSON.stringify({ order: 'x'.repeat(100_000) })
  const headers = { 'x-user': 'alice', 'content-type': 'application/json' }
  const lost: (() => void)[] = []

  const cases: Readonly<Record<string, (app: FastifyInstance) => void>> = {
    "Fastify's parser": () => {},
    'hooks with callbacks and with promises': (app) => {
      app.addHook('onRequest', (_request, _reply, done) => void setImmediate(done))
      app.addHook('preParsing', async () => undefined)
      app.addHook('preHandler', (_request, _reply, done) => done())
    },
    'a parser that reads events': (app) => {
      app.removeContentTypeParser('application/json')
      app.addContentTypeParser('application/json', (_request, payload, done) => {
        let text = ''
        payload.on('data', (piece) => {
          text += piece
        })
        payload.on('end', () => done(null, JSON.parse(text)))
      })
    },
    'a hook that loses it, before a parser': (app) => {
      app.addHook('preParsing', (_request, _reply, payload, done) => void lost.push(() => done(null, payload)))
    },
  }
  for (const [where, build] of Object.entries(cases))
    test(where, async (t) => {
      const draining = setInterval(() => lost.shift()?.(), 1)
      t.after(() => clearInterval(draining))
      const made = await served(t, async (app, { store }) => {
        await app.register(fastifyContext({ actor }))
        build(app)
        app.addHook('onResponse', async () => void (await store()))
        app.post('/orders', async (request) => {
          assert.ok((request.body as { order: string }).order)
          return store()
        })
      })
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => send(made.port, '/orders', { method: 'POST', headers, body })),
      )
      for (const { status } of answers) assert.equal(status, 200)
      await until(() => entriesOf(made, 'alice').length === 40)
      assert.equal(entriesOf(made, 'alice').length, 40)
    })

  test("requests that Fastify's own inject makes", async (t) => {
    const { app, last } = await served(t, async (app, { store }) => {
      await app.register(fastifyContext({ actor }))
      app.post('/orders', store)
    })
    await app.inject({ method: 'POST', url: '/orders', headers: { 'x-user': 'alice' }, payload: { order: 1 } })
    assert.equal(last().actor?.id, 'alice')
  })
})

test('a hook after authentication adds who it is', async (t) => {
  const { port, last } = await served(t, async (app, { store }) => {
    await app.register(fastifyContext())
    app.addHook('preHandler', async () => requestContext.add({ actor: { type: 'client', id: 'cli' } }))
    app.get('/', store)
  })
  await send(port, '/')
  assert.deepEqual(last().actor, { type: 'client', id: 'cli', source: 'context' })
})

describe('what fails in it fails the request, and no handler runs', () => {
  for (const [what, actor] of Object.entries(failingActors))
    test(what, async (t) => {
      const heard: string[] = []
      const { port } = await served(t, async (app) => {
        app.setErrorHandler((error, _request, reply) => {
          heard.push(String(error))
          return reply.status(503).send()
        })
        await app.register(fastifyContext({ actor }))
        app.get('/', () => assert.fail('the handler ran'))
      })
      assert.equal((await send(port, '/')).status, 503)
      assert.equal(heard.length, 1)
      assert.match(heard[0] ?? '', /RangeError: mine|KmsError: 'context.actor' must be/)
    })
})
