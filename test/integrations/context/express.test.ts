import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import express, { type Express, type NextFunction, type Request, type Response, Router } from 'express'
import { createRequestContext, expressContext, requestContext } from '../../../src/integrations/context/index.ts'
import type { Actor } from '../../../src/model/context.ts'
import { entriesOf, failingActors, holdsAll, listen, type Rig, rig, send, until } from './rig.ts'

const invalid = { name: 'KmsError', code: 'INVALID_INPUT' }

function actor(request: Request): Actor | undefined {
  const id = request.get('x-user')
  return id === undefined ? undefined : { type: 'user', id }
}

async function served(t: TestContext, build: (app: Express, made: Rig) => void) {
  const made = await rig()
  const app = express()
  // What a failed request says is for the test alone.
  app.set('env', 'test')
  build(app, made)
  return { ...made, port: await listen(t, createServer(app)) }
}

test('entries say who asked, from where, on which route', async (t) => {
  const { port, ...made } = await served(t, (app, { store }) => {
    app.use(expressContext({ actor, requestId: 'X-Request-Id', reason: () => ({ code: 'order', ticket: 'T-1' }) }))
    app.post('/orders/:id', async (_request, response) => void response.send(await store()))
  })
  await holdsAll(port, made, 'POST', { reason: { code: 'order', ticket: 'T-1' } })
})

test('a request that says nothing is unknown, with an id of its own', async (t) => {
  const { port, sink } = await served(t, (app, { store }) => {
    app.use(expressContext({ requestId: 'x-request-id' }))
    app.get('/', async (_request, response) => void response.send(await store()))
  })
  sink.clear()
  await send(port, '/')
  await send(port, '/', { headers: { 'x-request-id': '' } })
  const [one, other] = sink.entries
  for (const entry of [one, other]) {
    assert.deepEqual(entry?.actor, { type: 'unknown' })
    assert.match(
      entry?.context?.requestId ?? '',
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  }
  assert.notEqual(one?.context?.requestId, other?.context?.requestId)
})

describe('the route is a template, whatever is in the URL', () => {
  const inner = (made: Rig) => {
    const router = Router()
    router.get('/', async (_request, response) => void response.send(await made.store()))
    router.get('/orders/:id', async (_request, response) => void response.send(await made.store()))
    return router
  }
  const cases: readonly (readonly [string, (app: Express, made: Rig) => void, string, string | undefined])[] = [
    [
      'on the application',
      (app, { store }) => app.get('/a/:b', async (_, response) => void response.send(await store())),
      '/a/secret',
      '/a/:b',
    ],
    ['in a router', (app, made) => app.use('/shop', inner(made)), '/shop/orders/secret', '/shop/orders/:id'],
    ['at the top of a router', (app, made) => app.use('/shop', inner(made)), '/shop', '/shop'],
    [
      'in a router whose mount has parameters',
      (app, made) => app.use('/tenants/:tenant', inner(made)),
      '/tenants/secret/orders/secret',
      '/tenants/:tenant/orders/:id',
    ],
    [
      'with encoded parameters',
      (app, made) => app.use('/tenants/:tenant', inner(made)),
      '/tenants/a%2Fb%20c/orders/secret',
      '/tenants/:tenant/orders/:id',
    ],
    [
      'in routers inside routers',
      (app, made) => app.use('/:x', Router().use('/fix', Router().use('/:y', inner(made)))),
      '/a/fix/b/orders/c',
      '/:x/fix/:y/orders/:id',
    ],
    [
      'in an application inside',
      (app, made) => app.use('/:x', express().use('/:y', inner(made))),
      '/a/b/orders/c',
      '/:x/:y/orders/:id',
    ],
    ['where parameters are alike', (app, made) => app.use('/:x/:y', inner(made)), '/a/a/orders/c', '/:x/:y/orders/:id'],
    [
      'where a parameter says what the mount says itself',
      (app, made) => app.use('/tenants/:tenant', inner(made)),
      '/tenants/tenants/orders/c',
      '/*/*/orders/:id',
    ],
    [
      'where a parameter is part of a segment',
      (app, made) => app.use('/v:x', inner(made)),
      '/vsecret/orders/c',
      '/*/orders/:id',
    ],
    [
      'where a mount takes many segments',
      (app, made) => app.use('/*all/end', inner(made)),
      '/secret/words/end/orders/c',
      '/*/*/*/orders/:id',
    ],
    [
      'after a mount that did not answer',
      (app, made) =>
        app
          .use(
            '/:x',
            Router().get('/other', (_, response) => void response.end()),
          )
          .use('/shop', inner(made)),
      '/shop/orders/c',
      '/shop/orders/:id',
    ],
    [
      'one of several',
      (app, { store }) => app.get(['/a/:b', '/c/:d'], async (_, response) => void response.send(await store())),
      '/c/secret',
      '/a/:b or /c/:d',
    ],
    [
      'not there for a regular expression',
      (app, { store }) => app.get(/^\/a(.*)$/, async (_, response) => void response.send(await store())),
      '/asecret',
      undefined,
    ],
    [
      'not there in middleware',
      (app, { store }) => app.use(async (_, response) => void response.send(await store())),
      '/secret',
      undefined,
    ],
  ]
  for (const [where, build, path, route] of cases)
    test(where, async (t) => {
      const { port, last } = await served(t, (app, made) => {
        app.use(expressContext({ actor }))
        build(app, made)
      })
      assert.equal((await send(port, `${path}?token=secret`)).body, last().eventID)
      assert.equal(last().context?.route, route)
      assert.equal(JSON.stringify(last()).includes('secret'), false)
    })

  test('where a router mounts the middleware, what is above it is not shown', async (t) => {
    const { port, last } = await served(t, (app, made) => {
      app.use('/tenants/:tenant', Router().use(expressContext({ actor })).use('/shop/:shop', inner(made)))
    })
    await send(port, '/tenants/secret/shop/secret/orders/secret')
    assert.equal(last().context?.route, '/*/*/shop/:shop/orders/:id')
  })

  test('or what the application says it is', async (t) => {
    const { port, last } = await served(t, (app, made) => {
      app.use(expressContext({ actor, route: (request) => `mine ${request.route?.path}` }))
      app.use('/shop', inner(made))
    })
    await send(port, '/shop/orders/17')
    assert.equal(last().context?.route, 'mine /orders/:id')
  })
})

describe('the client address', () => {
  const claim = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9', forwarded: 'for=6.6.6.6' }

  async function addressWith(
    t: TestContext,
    options: Parameters<typeof expressContext<Request>>[0],
    headers: Readonly<Record<string, string>> = claim,
    trustProxy: unknown = false,
  ) {
    const { port, last } = await served(t, (app, { store }) => {
      app.set('trust proxy', trustProxy)
      app.use(expressContext(options))
      app.get('/', async (_request, response) => void response.send(await store()))
    })
    await send(port, '/', { headers })
    const { context, details } = last()
    return { clientIp: context?.clientIp, peerIp: context?.peerIp, flags: details?.flags }
  }

  test('is its own for a client that nobody trusts, whatever it claims', async (t) => {
    const own = { clientIp: '127.0.0.1', peerIp: undefined, flags: undefined }
    assert.deepEqual(await addressWith(t, {}), own)
    assert.deepEqual(await addressWith(t, { trustedProxies: [] }), own)
    assert.deepEqual(await addressWith(t, { trustedProxies: ['10.0.0.0/8'] }), own)
  })

  test("is Express's answer where Express trusts proxies", async (t) => {
    assert.deepEqual(await addressWith(t, {}, claim, 'loopback'), {
      clientIp: '203.0.113.9',
      peerIp: '127.0.0.1',
      flags: undefined,
    })
    assert.deepEqual(await addressWith(t, {}, { 'x-forwarded-for': '[2001:DB8::9]:443' }, 1), {
      clientIp: '2001:db8::9',
      peerIp: '127.0.0.1',
      flags: undefined,
    })
    assert.deepEqual(await addressWith(t, {}, { 'x-forwarded-for': '0x7f.1' }, 1), {
      clientIp: undefined,
      peerIp: '127.0.0.1',
      flags: ['client_ip_invalid'],
    })
  })

  test('is ours where proxies are named, from both headers or the one that they write', async (t) => {
    const trustedProxies = ['127.0.0.0/8']
    const found = { clientIp: '203.0.113.9', peerIp: '127.0.0.1', flags: undefined }
    const untellable = { clientIp: undefined, peerIp: '127.0.0.1', flags: ['client_ip_invalid'] }
    assert.deepEqual(await addressWith(t, { trustedProxies, forwardedHeader: 'x-forwarded-for' }), found)
    assert.deepEqual(await addressWith(t, { trustedProxies, forwardedHeader: 'forwarded' }), {
      ...found,
      clientIp: '6.6.6.6',
    })
    assert.deepEqual(await addressWith(t, { trustedProxies }), untellable)
    assert.deepEqual(await addressWith(t, { trustedProxies }, { forwarded: 'for="203.0.113.9:80"' }), found)
  })

  test('is what the application says', async (t) => {
    const clientIp = (request: Request) => request.get('x-real-ip')
    const headers = { ...claim, 'x-real-ip': '198.51.100.1' }
    assert.deepEqual(await addressWith(t, { clientIp }, headers, true), {
      clientIp: '198.51.100.1',
      peerIp: '127.0.0.1',
      flags: undefined,
    })
    assert.deepEqual(await addressWith(t, { clientIp }), { clientIp: undefined, peerIp: '127.0.0.1', flags: undefined })
  })
})

describe('the context survives', () => {
  const body = JSON.stringify({ order: 'x'.repeat(100_000) })
  const headers = { 'x-user': 'alice', 'content-type': 'application/json' }

  /** A parser as people write them, whose events come from the connection. */
  function naive(request: Request, _response: Response, next: NextFunction) {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      request.body = JSON.parse(Buffer.concat(pieces).toString())
      next()
    })
  }

  /** A parser that loses it whatever is done: it goes on from somewhere that has seen no request. */
  const queue: NextFunction[] = []
  const elsewhere = (request: Request, response: Response, next: NextFunction) =>
    naive(request, response, () => queue.push(next))

  const context = expressContext({ actor })
  const cases: Readonly<Record<string, (app: Express) => void>> = {
    "Express's parser after it": (app) => app.use(context, express.json({ limit: '1mb' })),
    "Express's parser before it": (app) => app.use(express.json({ limit: '1mb' }), context),
    'a naive parser after it': (app) => app.use(context, naive),
    'a naive parser before it': (app) => app.use(naive, context),
    'a parser that loses it, between it and itself': (app) => app.use(context, elsewhere, context),
  }
  for (const [where, build] of Object.entries(cases))
    test(where, async (t) => {
      const draining = setInterval(() => queue.shift()?.(), 1)
      t.after(() => clearInterval(draining))
      const made = await served(t, (app, { store }) => {
        build(app)
        app.post('/orders', async (request, response) => {
          assert.ok(request.body.order)
          await store()
          response.on('finish', () => void store())
          response.end()
        })
      })
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => send(made.port, '/orders', { method: 'POST', headers, body })),
      )
      for (const { status } of answers) assert.equal(status, 200)
      await until(() => entriesOf(made, 'alice').length === 40)
      assert.equal(entriesOf(made, 'alice').length, 40)
      for (const { context } of entriesOf(made, 'alice')) assert.equal(context?.route, '/orders')
    })

  test('listeners in the handler itself', async (t) => {
    const made = await served(t, (app, { store }) => {
      app.use(expressContext({ actor }))
      app.post('/', (request, response) => {
        request.resume().on('end', async () => response.send(await store()))
      })
    })
    await send(made.port, '/', { method: 'POST', headers, body })
    assert.equal(made.last().actor?.id, 'alice')
  })

  test('an actor who is looked up, before a body that has come by then', async (t) => {
    const made = await served(t, (app, { store }) => {
      const slow = async (request: Request) => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        return actor(request)
      }
      app.use(expressContext({ actor: slow }), express.json({ limit: '1mb' }))
      app.post('/', async (request, response) => void response.send(`${await store()} ${request.body.order.length}`))
    })
    const answer = await send(made.port, '/', { method: 'POST', headers, body })
    assert.equal(answer.body, `${made.last().eventID} 100000`)
    assert.equal(made.last().actor?.id, 'alice')
  })
})

test('middleware after authentication adds who it is', async (t) => {
  const { port, last } = await served(t, (app, { store }) => {
    app.use(expressContext())
    app.use(async (_request, _response, next) => {
      await new Promise(setImmediate)
      requestContext.add({ actor: { type: 'serviceAccount', id: 'shop' } })
      next()
    })
    app.get('/', async (_request, response) => void response.send(await store()))
  })
  await send(port, '/')
  assert.deepEqual(last().actor, { type: 'serviceAccount', id: 'shop', source: 'context' })
})

describe('what fails in it fails the request, and no handler runs', () => {
  for (const [what, actor] of Object.entries(failingActors))
    test(what, async (t) => {
      const heard: unknown[] = []
      const { port } = await served(t, (app) => {
        app.use(expressContext({ actor }))
        app.get('/', () => assert.fail('the handler ran'))
        app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
          heard.push(error)
          response.status(503).end()
        })
      })
      assert.equal((await send(port, '/')).status, 503)
      assert.equal(heard.length, 1)
      assert.match(String(heard[0]), /RangeError: mine|KmsError: 'context.actor' must be/)
    })
})

test('it fills the carrier that it is given', async (t) => {
  const carrier = createRequestContext()
  const made = await rig(carrier)
  const app = express()
    .use(expressContext({ actor, carrier }))
    .get('/', async (_request, response) => {
      assert.equal(requestContext.current(), undefined)
      response.send(await made.store())
    })
  await send(await listen(t, createServer(app)), '/', { headers: { 'x-user': 'alice' } })
  assert.equal(made.last().actor?.id, 'alice')
})

test('wrong options are INVALID_INPUT', () => {
  const wrong: readonly unknown[] = [
    null,
    'x',
    { actor: 'alice' },
    { reason: { code: 'x' } },
    { requestId: 7 },
    { requestId: 'x request id' },
    { trustProxy: true },
    { trustedProxies: 'loopback' },
    { trustedProxies: null },
    { trustedProxies: ['loopback'] },
    { forwardedHeader: 'x-real-ip' },
    { clientIp: '127.0.0.1' },
    { route: '' },
    { route: /x/ },
    { carrier: {} },
    { carrier: { current: () => undefined } },
  ]
  for (const options of wrong)
    assert.throws(
      () => expressContext(options as Parameters<typeof expressContext>[0]),
      invalid,
      JSON.stringify(options),
    )
})
