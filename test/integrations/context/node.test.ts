import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { describe, test } from 'node:test'
import { nodeContext, requestContext } from '../../../src/integrations/context/index.ts'
import type { Actor } from '../../../src/model/context.ts'
import { entriesOf, holdsAll, rig, send, serve, until } from './rig.ts'

function actor({ headers }: IncomingMessage): Actor | undefined {
  const id = headers['x-user']
  return typeof id === 'string' ? { type: 'user', id } : undefined
}

test('entries say who asked, from where, on which route', async (t) => {
  const made = await rig()
  const port = await serve(
    t,
    nodeContext(async (_request, response) => void response.end(await made.store()), {
      actor,
      route: '/orders/:id',
      requestId: 'x-request-id',
    }),
  )
  await holdsAll(port, made, 'PUT')
})

test('a router of its own says the route when it knows it, and it is never the URL', async (t) => {
  const { store, sink } = await rig()
  const port = await serve(
    t,
    nodeContext(async (_request, response) => {
      await store()
      requestContext.add({ route: '/orders/:id' })
      response.end(await store())
    }),
  )
  sink.clear()
  await send(port, '/orders/secret?token=secret')
  assert.deepEqual(
    sink.entries.map(({ context }) => context?.route),
    [undefined, '/orders/:id'],
  )
})

describe('the client address', () => {
  const claim = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' }
  async function addressOf(
    t: Parameters<typeof serve>[0],
    options: NonNullable<Parameters<typeof nodeContext<IncomingMessage, ServerResponse, unknown>>[1]>,
    headers: Readonly<Record<string, string | string[]>> = claim,
  ) {
    const { store, last } = await rig()
    const port = await serve(
      t,
      nodeContext(async (_request, response) => void response.end(await store()), options),
    )
    await send(port, '/', { headers })
    const { context, details } = last()
    return [context?.clientIp, context?.peerIp, details?.flags]
  }

  test('is its own for a client that nobody trusts, whatever it claims', async (t) => {
    for (const options of [{}, { trustedProxies: [] }, { trustedProxies: ['10.0.0.0/8', '203.0.113.9'] }])
      assert.deepEqual(await addressOf(t, options), ['127.0.0.1', undefined, undefined])
  })

  test('is what the nearest untrusted address is, over several headers of the same name', async (t) => {
    const trustedProxies = ['127.0.0.1']
    assert.deepEqual(await addressOf(t, { trustedProxies }), ['203.0.113.9', '127.0.0.1', undefined])
    const twice = { forwarded: ['for=6.6.6.6', 'for="[2001:db8::9]:1"'] }
    assert.deepEqual(await addressOf(t, { trustedProxies }, twice), ['2001:db8::9', '127.0.0.1', undefined])
  })

  test('is nothing, and flagged, when a trusted proxy passes junk on', async (t) => {
    for (const junk of ['0177.0.0.1', 'unknown', '203.0.113.9, fe80::1%eth0', '"'])
      assert.deepEqual(await addressOf(t, { trustedProxies: ['127.0.0.1'] }, { 'x-forwarded-for': junk }), [
        undefined,
        '127.0.0.1',
        ['client_ip_invalid'],
      ])
  })

  test('is that of a connection through a PROXY protocol, where the application knows it', async (t) => {
    const options = { peerIp: () => '10.9.9.9', trustedProxies: ['10.0.0.0/8'] }
    assert.deepEqual(await addressOf(t, options), ['203.0.113.9', '10.9.9.9', undefined])
  })
})

test('a client on the link itself is known by its address, zone or no zone, and so is one that a framework tells', async () => {
  const { store, last } = await rig()
  for (const [options, expected] of [
    [{}, ['fe80::1', undefined, undefined]],
    [{ trustedProxies: ['10.0.0.0/8'] }, ['fe80::1', undefined, undefined]],
    // Of somebody else a zone means nothing here.
    [{ clientIp: () => 'fe80::2%eth0' }, [undefined, 'fe80::1', ['client_ip_invalid']]],
  ] as const) {
    const emit = () => true
    const request = { method: 'GET', headers: {}, socket: { remoteAddress: 'fe80::1%eth0' }, emit }
    const response = { statusCode: 200, headersSent: false, end: () => undefined, emit }
    await nodeContext(() => store(), options)(request, response)
    const { context, details } = last()
    assert.deepEqual([context?.clientIp, context?.peerIp, details?.flags], expected)
  }
})

test('headers that are no HTTP never reach an entry', async (t) => {
  const { store, sink } = await rig()
  const port = await serve(
    t,
    nodeContext(async (_request, response) => void response.end(await store()), { trustedProxies: ['127.0.0.1'] }),
  )
  sink.clear()
  for (const line of [
    'x-forwarded-for: 1.2.3.4\0',
    'x-forwarded-for: 1.2.3.4\r: x',
    `x-forwarded-for: ${'1.2.3.4, '.repeat(10_000)}`,
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET / HTTP/1.1\r\nhost: x\r\n${line}\r\n\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 4/)
    socket.destroy()
  }
  assert.equal(sink.entries.length, 0)
})

describe('the context survives', () => {
  test('bodies read by events, of hundreds of requests on few connections', async (t) => {
    const made = await rig()
    const port = await serve(
      t,
      nodeContext(
        (request, response) => {
          let length = 0
          request.on('data', (piece: Buffer) => {
            length += piece.length
          })
          request.on('end', async () => {
            await made.store()
            response.on('close', () => void made.store())
            response.end(String(length))
          })
        },
        { actor },
      ),
    )
    const users = Array.from({ length: 200 }, (_, at) => `user-${at}`)
    await Promise.all(
      users.map(async (user) => {
        const response = await fetch(`http://127.0.0.1:${port}/`, {
          method: 'POST',
          headers: { 'x-user': user },
          body: 'x'.repeat(70_000),
        })
        assert.equal(await response.text(), '70000')
      }),
    )
    await until(() => users.every((user) => entriesOf(made, user).length === 2))
    for (const user of users) assert.equal(entriesOf(made, user).length, 2, user)
  })

  test('HTTP/2, where requests share one connection', async (t) => {
    const made = await rig()
    const server = createHttp2(
      nodeContext(
        (request, response) => void request.resume().on('end', async () => response.end(await made.store())),
        {
          actor: ({ headers }) => ({ type: 'user', id: String(headers['x-user']) }),
          route: '/',
        },
      ),
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    t.after(() => {
      session.destroy()
      server.close()
    })
    const users = Array.from({ length: 20 }, (_, at) => `user-${at}`)
    await Promise.all(
      users.map(async (user) => {
        const stream = session.request({ ':method': 'POST', ':path': '/', 'x-user': user })
        stream.end('x'.repeat(1000))
        stream.resume()
        await once(stream, 'end')
      }),
    )
    for (const user of users) assert.equal(entriesOf(made, user).length, 1, user)
    assert.equal(made.last().context?.clientIp, '127.0.0.1')
  })
})

describe('what fails before the handler', () => {
  test('is answered with 500, and no handler runs', async (t) => {
    for (const actor of [
      () => {
        throw new RangeError('mine')
      },
      () => Promise.reject(new RangeError('mine')),
      () => 'alice' as unknown as Actor,
      () => Promise.resolve('alice' as unknown as Actor),
    ]) {
      const port = await serve(
        t,
        nodeContext(() => assert.fail('the handler ran'), { actor }),
      )
      const { status, body } = await send(port, '/')
      assert.deepEqual([status, body], [500, ''])
    }
  })

  test('is for onError to answer, where there is one', async (t) => {
    const port = await serve(
      t,
      nodeContext(() => assert.fail('the handler ran'), {
        actor: () => Promise.reject(new RangeError('mine')),
        onError(error, _request, response) {
          response.statusCode = 401
          response.end(String(error))
        },
      }),
    )
    const { status, body } = await send(port, '/')
    assert.deepEqual([status, body], [401, 'RangeError: mine'])
  })
})

test("the handler's own answer and failures are as they would be", async () => {
  const request = { method: 'GET', headers: {}, socket: {}, emit: () => true }
  const response = { statusCode: 200, headersSent: false, emit: () => true, end: () => assert.fail('it was answered') }
  const failure = new RangeError('mine')
  const onError = () => assert.fail('it was called')
  // OpenTelemetry has been looked for by now: nothing is waited for.
  await requestContext.run({}, async () => {
    assert.equal(nodeContext(() => 42)({ ...request }, { ...response }), 42)
    assert.throws(
      () =>
        nodeContext(
          () => {
            throw failure
          },
          { onError },
        )({ ...request }, { ...response }),
      (error) => error === failure,
    )
  })
  for (const actor of [undefined, async () => undefined])
    await assert.rejects(
      async () =>
        nodeContext(() => Promise.reject(failure), { onError, ...(actor && { actor }) })(
          { ...request },
          { ...response },
        ),
      (error) => error === failure,
    )
})
