import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { createAdaptorServer } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import { type Context, Hono } from 'hono'
import { routePath } from 'hono/route'
import { honoContext, requestContext } from '../../../src/integrations/context/index.ts'
import type { Actor } from '../../../src/model/context.ts'
import { entriesOf, failingActors, holdsAll, listen, type Rig, rig, send } from './rig.ts'

function actor(c: Context): Actor | undefined {
  const id = c.req.header('x-user')
  return id === undefined ? undefined : { type: 'user', id }
}

async function served(t: TestContext, build: (app: Hono, made: Rig) => void) {
  const made = await rig()
  const app = new Hono()
  build(app, made)
  // Made without options of another kind it is a server of node:http.
  return { ...made, app, port: await listen(t, createAdaptorServer(app) as Server) }
}

test('entries say who asked, from where, on which route', async (t) => {
  const { port, ...made } = await served(t, (app, { store }) => {
    app.use(honoContext({ actor, requestId: 'x-request-id' }))
    app.post('/orders/:id', async (c) => c.text(await store()))
  })
  await holdsAll(port, made, 'POST')
})

test('the route is a template, whatever is in the URL', async (t) => {
  const { port, sink } = await served(t, (app, { store }) => {
    app.use(honoContext())
    app.use('/:tenant/*', async (_c, next) => {
      await store()
      await next()
      await store()
    })
    const inner = new Hono()
    inner.get('/orders/:id', async (c) => {
      await store()
      assert.equal(requestContext.current()?.route, routePath(c))
      return c.text('')
    })
    inner.get('/maybe/:id?', async (c) => c.text(await store()))
    inner.get('/digits/:id{[0-9]+}', async (c) => c.text(await store()))
    inner.all('/all/:id', async (c) => c.text(await store()))
    inner.get('/files/*', async (c) => c.text(await store()))
    app.route('/:tenant', inner)
    app.get('/:tenant/*', async (c) => c.text(await store()))
    app.notFound(async (c) => c.text(await store()))
  })
  for (const [path, route] of [
    ['/secret/orders/secret', '/:tenant/orders/:id'],
    ['/secret/maybe/secret', '/:tenant/maybe/:id'],
    ['/secret/digits/17', '/:tenant/digits/:id{[0-9]+}'],
    ['/secret/files/secret/secret', '/:tenant/files/*'],
    ['/secret/else', '/:tenant/*'],
    ['/secret/all/secret', '/:tenant/all/:id'],
  ] as const) {
    sink.clear()
    await send(port, `${path}?token=secret`)
    // Before, in, and after the handler.
    assert.deepEqual(
      sink.entries.map(({ context }) => context?.route),
      [route, route, route],
      path,
    )
    assert.equal(JSON.stringify(sink.entries).includes('secret'), false)
    for (const { details } of sink.entries) assert.equal(details?.flags, undefined)
  }
})

describe('the client address', () => {
  const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' }
  for (const [what, options, expected] of [
    ['is its own where nobody is trusted', {}, ['127.0.0.1', undefined]],
    [
      "is what Hono's own helper tells",
      { peerIp: (c: Context) => getConnInfo(c).remote.address },
      ['127.0.0.1', undefined],
    ],
    ['is ours where proxies are named', { trustedProxies: ['127.0.0.1'] }, ['203.0.113.9', '127.0.0.1']],
    ['is what the application says', { clientIp: () => '198.51.100.1' }, ['198.51.100.1', '127.0.0.1']],
  ] as const)
    test(what, async (t) => {
      const { port, last } = await served(t, (app, { store }) => {
        app.use(honoContext(options))
        app.get('/', async (c) => c.text(await store()))
      })
      await send(port, '/', { headers })
      assert.deepEqual([last().context?.clientIp, last().context?.peerIp], expected)
    })

  test('is not invented where the runtime tells none', async (t) => {
    const { app, last } = await served(t, (app, { store }) => {
      app.use(honoContext({ trustedProxies: ['127.0.0.1'] }))
      app.get('/', async (c) => c.text(await store()))
    })
    await app.request('/', { headers })
    assert.deepEqual([last().context?.clientIp, last().context?.peerIp], [undefined, undefined])
  })
})

test('the context survives bodies, of many requests at once', async (t) => {
  const made = await served(t, (app, { store }) => {
    app.use(honoContext({ actor }))
    app.use(async (_c, next) => {
      await new Promise(setImmediate)
      await next()
    })
    app.post('/orders', async (c) => {
      await store()
      assert.equal((await c.req.json()).order.length, 100_000)
      return c.text(await store())
    })
  })
  const body = JSON.stringify({ order: 'x'.repeat(100_000) })
  const users = Array.from({ length: 20 }, (_, at) => `user-${at}`)
  await Promise.all(
    users.map((user) => send(made.port, '/orders', { method: 'POST', headers: { 'x-user': user }, body })),
  )
  for (const user of users) assert.equal(entriesOf(made, user).length, 2)
})

test('middleware after authentication adds who it is', async (t) => {
  const { port, last } = await served(t, (app, { store }) => {
    app.use(honoContext())
    app.use(async (_c, next) => {
      requestContext.add({ actor: { type: 'client', id: 'cli' } })
      await next()
    })
    app.get('/', async (c) => c.text(await store()))
  })
  await send(port, '/')
  assert.deepEqual(last().actor, { type: 'client', id: 'cli', source: 'context' })
})

describe('what fails in it fails the request, and no handler runs', () => {
  for (const [what, actor] of Object.entries(failingActors))
    test(what, async (t) => {
      const heard: string[] = []
      const { port } = await served(t, (app) => {
        app.onError((error, c) => {
          heard.push(String(error))
          return c.text('', 503)
        })
        app.use(honoContext({ actor }))
        app.get('/', () => assert.fail('the handler ran'))
      })
      assert.equal((await send(port, '/')).status, 503)
      assert.equal(heard.length, 1)
      assert.match(heard[0] ?? '', /RangeError: mine|KmsError: 'context.actor' must be/)
    })
})
