import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer, get } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, test } from 'node:test'
import { setTimeout as later, setImmediate as soon } from 'node:timers/promises'
import { createRequestContext, type RequestCarrier, requestContext } from '../../../src/integrations/context/index.ts'
import type { RequestContext } from '../../../src/model/context.ts'
import { alice, listen, plaintext, rig } from './rig.ts'

const bob = { type: 'user', id: 'bob' } as const
const invalid = { name: 'KmsError', code: 'INVALID_INPUT' }

describe('a carrier', () => {
  test('carries nothing outside of run, and what run was given inside', () => {
    const carrier = createRequestContext()
    assert.equal(carrier.current(), undefined)
    const answer = carrier.run({ actor: alice }, () => {
      assert.deepEqual(carrier.current(), { actor: alice })
      return 42
    })
    assert.equal(answer, 42)
    assert.equal(carrier.current(), undefined)
  })

  test('is one of several: what one carries the others do not', () => {
    const [one, other] = [createRequestContext(), createRequestContext()]
    one.run({ actor: alice }, () => {
      assert.equal(other.current(), undefined)
      assert.equal(requestContext.current(), undefined)
      other.run({ actor: bob }, () => assert.deepEqual(one.current(), { actor: alice }))
    })
  })

  test('lets what fn throws pass, and forgets', () => {
    const thrown = new RangeError('mine')
    assert.throws(
      () =>
        requestContext.run({ actor: alice }, () => {
          throw thrown
        }),
      (error) => error === thrown,
    )
    assert.equal(requestContext.current(), undefined)
  })

  test('keeps a copy that nobody can change', () => {
    const said = { actor: { type: 'user', id: 'alice' }, reason: { code: 'x' }, more: 'y' } as const
    requestContext.run(said, () => {
      Object.assign(said.actor, { id: 'mallory' })
      const current = requestContext.current() ?? assert.fail()
      assert.deepEqual(current, { actor: alice, reason: { code: 'x' } })
      for (const part of [current, current.actor, current.reason]) assert.ok(Object.isFrozen(part))
    })
  })

  test('is the same object for as long as nothing changes', () => {
    let route: string | undefined
    requestContext.run(
      { actor: alice },
      () => {
        const before = requestContext.current()
        assert.equal(requestContext.current(), before)
        route = '/orders/:id'
        const routed = requestContext.current()
        assert.deepEqual(routed, { actor: alice, route })
        assert.equal(requestContext.current(), routed)
        route = '/others/:id'
        assert.deepEqual(requestContext.current(), { actor: alice, route })
        requestContext.add({ requestId: 'r' })
        const added = requestContext.current()
        assert.deepEqual(added, { actor: alice, route, requestId: 'r' })
        assert.equal(requestContext.current(), added)
        route = undefined
        assert.deepEqual(requestContext.current(), { actor: alice, requestId: 'r' })
      },
      { route: () => route },
    )
  })
})

describe('add', () => {
  test('fills in what is known later, over what was known, wherever the request is', async () => {
    await requestContext.run({ requestId: 'r', userAgent: 'a' }, async () => {
      await (async () => {
        await soon()
        requestContext.add({ actor: alice, userAgent: 'b' })
      })()
      assert.deepEqual(requestContext.current(), { actor: alice, requestId: 'r', userAgent: 'b' })
    })
  })

  test('says a route once and for all', () => {
    requestContext.run(
      {},
      () => {
        requestContext.add({ route: '/mine' })
        assert.equal(requestContext.current()?.route, '/mine')
      },
      { route: () => '/live' },
    )
  })

  test('of one request says nothing of another', async () => {
    await Promise.all(
      [alice, bob].map((actor) =>
        requestContext.run({}, async () => {
          await soon()
          requestContext.add({ actor })
          await soon()
          assert.deepEqual(requestContext.current(), { actor })
        }),
      ),
    )
  })

  test('outside of run is INVALID_INPUT', () => {
    assert.throws(() => requestContext.add({ actor: alice }), invalid)
  })
})

test('run inside run begins with what is known, and what it adds stays inside', () => {
  requestContext.run(
    { actor: alice, requestId: 'r' },
    () => {
      requestContext.run({ reason: { code: 'nightly' }, requestId: 's' }, () => {
        requestContext.add({ userAgent: 'inner' })
        assert.deepEqual(requestContext.current(), {
          actor: alice,
          requestId: 's',
          userAgent: 'inner',
          reason: { code: 'nightly' },
          route: '/outer',
        })
      })
      assert.deepEqual(requestContext.current(), { actor: alice, requestId: 'r', route: '/outer' })
    },
    { route: () => '/outer' },
  )
})

test('bind runs with the context of now, with this and all arguments', () => {
  const target = {
    name: 'target',
    tell(this: { name: string }, ...more: string[]) {
      return [this.name, ...more, requestContext.current()?.actor?.id]
    },
  }
  target.tell = requestContext.run({ actor: alice }, () => requestContext.bind(target.tell))
  assert.deepEqual(target.tell('a', 'b'), ['target', 'a', 'b', 'alice'])
  requestContext.run({ actor: bob }, () => assert.deepEqual(target.tell(), ['target', 'alice']))
  const fn = () => 1
  assert.equal(requestContext.bind(fn), fn)
})

describe('wrong fields are INVALID_INPUT where they are said', () => {
  const wrong: readonly unknown[] = [
    null,
    'alice',
    { actor: 'alice' },
    { actor: { type: 'root', id: 'x' } },
    { actor: { type: 'user', id: 17 } },
    { clientIp: '' },
    { route: 7 },
    { reason: 'because' },
  ]
  for (const context of wrong)
    test(JSON.stringify(context), () => {
      // From JavaScript, anything may come.
      const given = context as RequestContext
      assert.throws(() => requestContext.run(given, () => assert.fail('fn was called')), invalid)
      requestContext.run({ actor: alice }, () => {
        assert.throws(() => requestContext.add(given), invalid)
        assert.deepEqual(requestContext.current(), { actor: alice })
      })
    })

  test('a live route that is no string refuses the call, with an entry', async () => {
    const { store, last } = await rig()
    const route = () => 7 as unknown as string
    await requestContext.run({ actor: alice }, () => assert.rejects(store(), invalid), { route })
    assert.equal(last().outcome, 'failure')
  })
})

describe('the context is there', () => {
  const whoAsks: Readonly<Record<string, (tell: () => Promise<string>) => Promise<unknown>>> = {
    'after awaits': async (tell) => {
      for (let at = 0; at < 3; at++) await Promise.resolve()
      await tell()
    },
    'in timers, immediates, ticks and microtasks': (tell) =>
      Promise.all(
        [setTimeout, setImmediate, process.nextTick, queueMicrotask].map(
          (start) => new Promise((resolve, reject) => start(() => tell().then(resolve, reject))),
        ),
      ),
    'in listeners of an emitter': async (tell) => {
      const emitter = new EventEmitter()
      const told = new Promise((resolve, reject) => emitter.on('event', () => tell().then(resolve, reject)))
      await later(1)
      emitter.emit('event')
      await told
    },
    'in streams': (tell) =>
      pipeline(
        Readable.from(['a', 'b']),
        async function* (source: AsyncIterable<string>) {
          for await (const piece of source) yield `${piece}${await tell()}`
        },
        async (source: AsyncIterable<string>) => {
          for await (const _ of source) await tell()
        },
      ),
    'in Web Streams': async (tell) => {
      const stream = new ReadableStream({
        async start(controller) {
          controller.enqueue(await tell())
          controller.close()
        },
      })
      for await (const _ of stream) await tell()
    },
  }
  for (const [where, go] of Object.entries(whoAsks))
    test(where, async () => {
      const { store, sink } = await rig()
      sink.clear()
      await requestContext.run({ actor: alice }, () => go(store))
      assert.ok(sink.entries.length > 0)
      for (const { actor } of sink.entries) assert.deepEqual(actor, { ...alice, source: 'context' })
    })
})

test('what a call says wins over what is bound, and that over what is carried, field by field', async () => {
  const { kms, last } = await rig()
  const fields = {
    actor: (where: string) => ({ type: 'user', id: where }) as const,
    clientIp: (where: string) => ({ carried: '192.0.2.1', bound: '192.0.2.2', called: '192.0.2.3' })[where],
    userAgent: (where: string) => where,
    requestId: (where: string) => where,
    method: (where: string) => where,
    route: (where: string) => `/${where}`,
    reason: (where: string) => ({ code: where }),
    origin: (where: string) => ({ service: where }),
  }
  const names = Object.keys(fields) as (keyof typeof fields)[]
  const places = ['carried', 'bound', 'called'] as const
  // Each field is said in each combination of places; the last of them must be in the entry.
  for (let shift = 0; shift < 8; shift++) {
    const said = { carried: {}, bound: {}, called: {} } as Record<(typeof places)[number], RequestContext>
    const expected: Record<string, unknown> = {}
    for (const [at, name] of names.entries()) {
      const chosen = places.filter((_, bit) => ((at + shift) >> bit) & 1)
      for (const place of chosen) said[place] = { ...said[place], [name]: fields[name](place) }
      const last = chosen.at(-1)
      if (last !== undefined) expected[name] = fields[name](last)
    }
    await requestContext.run(said.carried, () =>
      kms.with(said.bound).encrypt({ key: 'orders', plaintext }, { context: said.called }),
    )
    const { actor, context, reason, origin } = last()
    const { source, ...who } = actor ?? assert.fail()
    const found = { ...context, ...(source && { actor: who }), ...(reason && { reason }), ...(origin && { origin }) }
    assert.deepEqual(found, expected)
  }
})

test('clients with something bound, and others, take turns in one request', async () => {
  const { kms, last } = await rig()
  const clients = [kms, kms.with({ userAgent: 'bound' }), kms, kms.with({ actor: bob })]
  const other = await rig()
  await requestContext.run({ actor: alice, userAgent: 'carried' }, async () => {
    const told: unknown[] = []
    for (let turn = 0; turn < 2; turn++)
      for (const client of clients) {
        await client.encrypt({ key: 'orders', plaintext })
        told.push([last().actor?.id, last().context?.userAgent])
      }
    const expected = [
      ['alice', 'carried'],
      ['alice', 'bound'],
      ['alice', 'carried'],
      ['bob', 'carried'],
    ]
    assert.deepEqual(told, [...expected, ...expected])
    requestContext.add({ userAgent: 'added' })
    await kms.encrypt({ key: 'orders', plaintext })
    assert.equal(last().context?.userAgent, 'added')
    await other.store()
    assert.equal(other.last().context?.userAgent, 'added')
  })
})

test('a carrier that does not say that it is constant is read anew at each call', async () => {
  const store = { userAgent: 'before', actor: { type: 'user', id: 'alice' } } as const
  const made = await rig({ current: () => Object.freeze(store) })
  await made.store()
  Object.assign(store.actor, { id: 'bob' })
  await made.store()
  assert.equal(made.last().actor?.id, 'bob')
})

test('hundreds of requests at once, over real sockets, never mix', async (t) => {
  const { store, sink } = await rig()
  const jitter = () => later(Math.random() * 4)
  const serve = (carrier: RequestCarrier) =>
    createServer(async (request, response) => {
      const id = String(request.headers['x-user'])
      await carrier.run({ requestId: id }, async () => {
        await jitter()
        carrier.add({ actor: { type: 'user', id } })
        for (let call = 0; call < 4; call++) {
          await jitter()
          await store()
        }
        response.end(carrier.current()?.actor?.id)
      })
    })
  const port = await listen(t, serve(requestContext))
  const ask = async (id: string) => {
    const request = get({ host: '127.0.0.1', port, headers: { 'x-user': id }, agent: false })
    const [response] = await once(request, 'response')
    let body = ''
    for await (const chunk of response) body += chunk
    return body
  }
  const ids = Array.from({ length: 300 }, (_, at) => `user-${at}`)
  assert.deepEqual(await Promise.all(ids.map(ask)), ids)
  const calls = sink.entries.filter(({ action }) => action === 'kms.encrypt')
  assert.equal(calls.length, 4 * ids.length)
  for (const entry of calls) assert.equal(entry.actor?.id, entry.context?.requestId)
  for (const id of ids) assert.equal(calls.filter(({ actor }) => actor?.id === id).length, 4)
})
