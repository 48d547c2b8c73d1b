import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { httpSink, verifySignature } from '../../src/sinks/http.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'
import { sinkConformance } from '../../src/testing/sink-conformance.ts'

const secret = Uint8Array.from({ length: 32 }, (_, at) => at)

interface Received {
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

type Collector = Awaited<ReturnType<typeof listen>>

/** A collector on this machine; `answer` says what it does with request number n, 204 if nothing. */
async function listen(answer: (response: ServerResponse, number: number) => unknown = () => 204) {
  const requests: Received[] = []
  const accepted: AuditEntry[] = []
  const connections = new Set<unknown>()
  const handle: RequestListener = (request, response) => {
    connections.add(request.socket)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      requests.push({ headers: request.headers, body })
      const status = answer(response, requests.length - 1)
      if (typeof status !== 'number') return
      if (status >= 200 && status < 300) accepted.push(...entriesIn(body))
      response.writeHead(status).end()
    })
  }
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // The address of a TCP server is not a pipe's name.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/logs`,
    requests,
    accepted,
    connections,
    close(): void {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function collector(t: TestContext, answer?: Parameters<typeof listen>[0]): Promise<Collector> {
  const made = await listen(answer)
  t.after(() => made.close())
  return made
}

function entriesIn(body: Buffer): readonly AuditEntry[] {
  return body
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEntry)
}

for (const { name, run } of sinkConformance(async () => {
  let refusing = false
  const made = await listen(() => {
    if (!refusing) return 204
    refusing = false
    return 400
  })
  return {
    sink: httpSink({ url: made.url, secret }),
    accepted: () => made.accepted,
    refuseNext: () => {
      refusing = true
    },
    dispose: () => made.close(),
  }
})) {
  test(`http sink: ${name}`, run)
}

test('posts a batch as JSON Lines, signed', async (t) => {
  const { url, requests } = await collector(t)
  const before = Math.floor(Date.now() / 1000)
  await httpSink({ url, secret, headers: { Authorization: 'Bearer abc' } }).write(exampleEntries(2))
  const [request] = requests
  assert.ok(request)
  assert.equal(request.body.toString(), `${lineOf(exampleEntry(0))}\n${lineOf(exampleEntry(1))}\n`)
  assert.equal(request.headers['content-type'], 'application/x-ndjson')
  assert.equal(request.headers['authorization'], 'Bearer abc')
  assert.equal(request.headers['keytrail-batch'], exampleEntry(0).eventID)
  assert.ok(Number(request.headers['keytrail-timestamp']) >= before)
  assert.equal(verifySignature(signedPart(request)), true)
})

test('posts without a signature when there is no secret', async (t) => {
  const { url, requests } = await collector(t)
  await httpSink({ url }).write(exampleEntries(1))
  assert.equal(requests[0]?.headers['keytrail-signature'], undefined)
  assert.equal(requests[0]?.headers['keytrail-timestamp'], undefined)
})

test('a known signature', () => {
  const request = {
    secret,
    timestamp: '1767323045',
    // printf '1767323045.{}\n' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
    signature: 'v1=1ab9c2addc4ddd0a9b5f251fdd93d466a68f302ee6d7de2da9865c207ea925e7',
    body: Buffer.from('{}\n'),
    now: 1_767_323_045_000,
  }
  assert.equal(verifySignature(request), true)
})

test('a signature holds for its bytes, secret and time only', async (t) => {
  const { url, requests } = await collector(t)
  await httpSink({ url, secret }).write(exampleEntries(1))
  assert.ok(requests[0])
  const good = signedPart(requests[0])
  const at = Number(good.timestamp) * 1000
  assert.equal(verifySignature({ ...good, now: at + 300_000 }), true)
  assert.equal(verifySignature({ ...good, now: at - 300_000 }), true)
  const bad = {
    'another body': { body: Buffer.concat([good.body, Buffer.from('\n')]) },
    'another secret': { secret: secret.map((byte) => byte ^ 1) },
    'another time': { timestamp: String(Number(good.timestamp) + 1) },
    'too old': { now: at + 300_001 },
    'from the future': { now: at - 300_001 },
    'a time that is none': { now: Number.NaN },
    'no timestamp': { timestamp: null },
    'no signature': { signature: undefined },
    'a signature cut short': { signature: good.signature?.slice(0, -1) },
    'a signature in capitals': { signature: good.signature?.toUpperCase() },
    'another scheme': { signature: good.signature?.replace('v1=', 'v2=') },
    'a timestamp written otherwise': { timestamp: `${good.timestamp}.0` },
  }
  for (const [what, change] of Object.entries(bad)) {
    assert.equal(verifySignature({ ...good, ...change }), false, what)
  }
})

test('splits a large batch into requests in order', async (t) => {
  const { url, requests, accepted } = await collector(t)
  const line = lineOf(exampleEntry(0)).length + 1
  await httpSink({ url, maxBatchBytes: 3 * line }).write(exampleEntries(8))
  assert.deepEqual(
    requests.map(({ body }) => entriesIn(body).length),
    [3, 3, 2],
  )
  assert.equal(requests[1]?.headers['keytrail-batch'], exampleEntry(3).eventID)
  assert.deepEqual(accepted, exampleEntries(8))
})

test('a batch smaller than one entry still sends the entry', async (t) => {
  const { url, accepted } = await collector(t)
  await httpSink({ url, maxBatchBytes: 1 }).write(exampleEntries(2))
  assert.deepEqual(accepted, exampleEntries(2))
})

test('tries again after 429 and 5xx, each time with a signature of its own', async (t) => {
  const statuses = [500, 429, 503]
  const { url, requests, accepted } = await collector(t, (_, number) => statuses[number] ?? 201)
  await httpSink({ url, secret }).write(exampleEntries(1))
  assert.equal(requests.length, 4)
  assert.deepEqual(accepted, exampleEntries(1))
  for (const request of requests) assert.equal(verifySignature(signedPart(request)), true)
})

test('gives up after the last retry', async (t) => {
  const { url, requests } = await collector(t, () => 503)
  await assert.rejects(async () => httpSink({ url, retries: 2 }).write(exampleEntries(1)), refusal(/answered 503/))
  assert.equal(requests.length, 3)
})

test('does not try again what will not change', async (t) => {
  for (const status of [400, 401, 403, 404, 413, 422]) {
    const { url, requests } = await collector(t, () => status)
    await assert.rejects(async () => httpSink({ url }).write(exampleEntries(1)), refusal(new RegExp(`${status}`)))
    assert.equal(requests.length, 1)
  }
})

test('says what to do about 413', async (t) => {
  const { url } = await collector(t, () => 413)
  await assert.rejects(async () => httpSink({ url }).write(exampleEntries(1)), refusal(/lower maxBatchBytes/))
})

test('never follows a redirect', async (t) => {
  const target = await collector(t)
  for (const status of [301, 302, 307, 308]) {
    const { url, requests } = await collector(t, (response) => {
      response.writeHead(status, { location: target.url }).end()
    })
    await assert.rejects(async () => httpSink({ url }).write(exampleEntries(1)), refusal(/redirected/))
    assert.equal(requests.length, 1)
  }
  assert.equal(target.requests.length, 0)
})

test('waits as long as Retry-After asks, in seconds or until a date', async (t) => {
  for (const value of [() => '1', () => new Date(Date.now() + 1500).toUTCString()]) {
    const times: number[] = []
    const { url } = await collector(t, (response, number) => {
      times.push(Date.now())
      if (number > 0) return 204
      response.writeHead(429, { 'retry-after': value() }).end()
      return undefined
    })
    await httpSink({ url }).write(exampleEntries(1))
    const [first = 0, second = 0] = times
    assert.ok(second - first >= 450, `waited ${second - first} ms`)
  }
})

test('does not wait for a Retry-After beyond its deadline', async (t) => {
  const { url, requests } = await collector(t, (response) => {
    response.writeHead(503, { 'retry-after': '3600' }).end()
  })
  const start = performance.now()
  await assert.rejects(async () => httpSink({ url }).write(exampleEntries(1)), refusal(/503/))
  assert.ok(performance.now() - start < 2000)
  assert.equal(requests.length, 1)
})

test('refuses when the collector does not answer in time', async (t) => {
  const { url, requests } = await collector(t, () => 'silence')
  await assert.rejects(
    async () => httpSink({ url, timeoutMs: 100 }).write(exampleEntries(1)),
    refusal(/did not answer within timeoutMs/),
  )
  assert.equal(requests.length, 1)
})

test('retries fit into the one deadline', async (t) => {
  const { url } = await collector(t, () => 503)
  const start = performance.now()
  await assert.rejects(async () => httpSink({ url, timeoutMs: 300, retries: 1000 }).write(exampleEntries(1)), KmsError)
  assert.ok(performance.now() - start < 2000)
})

test('tries again when the connection breaks, and refuses when nobody listens', async (t) => {
  const broken = await collector(t, (response, number) => (number === 0 ? response.destroy() : 204))
  await httpSink({ url: broken.url }).write(exampleEntries(1))
  assert.equal(broken.requests.length, 2)

  const gone = await listen()
  gone.close()
  await assert.rejects(
    async () => httpSink({ url: gone.url, retries: 1 }).write(exampleEntries(1)),
    (error: unknown) =>
      error instanceof KmsError &&
      /could not be reached/.test(error.message) &&
      /ECONNREFUSED/.test(String(error.cause)),
  )
})

test('refuses an answer that is not HTTP', async (t) => {
  const server = createTcpServer((socket) => socket.on('error', () => undefined).end('220 mail.example ESMTP\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const sink = httpSink({ url: `http://127.0.0.1:${port}/`, retries: 0 })
  await assert.rejects(async () => sink.write(exampleEntries(1)), refusal(/could not be reached/))
})

test('reads no endless answer, and a 2xx counts though its body breaks', { timeout: 20_000 }, async (t) => {
  let written = 0
  let hungUp: Promise<unknown> | undefined
  const { url } = await collector(t, (response, number) => {
    if (number === 0) {
      response.writeHead(200, { 'content-length': '10' }).write('123', () => response.destroy())
      return
    }
    response.writeHead(200)
    hungUp = once(response, 'close')
    const more = () => {
      do written += 65_536
      while (response.write(Buffer.alloc(65_536)) && !response.destroyed)
    }
    response.on('drain', more)
    more()
  })
  const sink = httpSink({ url, retries: 0 })
  await sink.write(exampleEntries(1))
  await sink.write(exampleEntries(1, 1))
  const accepted = performance.now()
  await hungUp
  assert.ok(written < 16 * 1024 * 1024, `${written} bytes`)
  assert.ok(performance.now() - accepted < 2000, 'hangs up at once, not at the deadline')
})

test('uses one connection again', async (t) => {
  const { url, connections } = await collector(t, (response, number) => {
    if (number % 2 === 0) return 204
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
    return undefined
  })
  const sink = httpSink({ url })
  for (let at = 0; at < 10; at++) await sink.write(exampleEntries(1, at))
  assert.ok(connections.size <= 2, `${connections.size} connections`)
})

test('accepts no address that would give entries or credentials away', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    'http://logs.example/': /https:/,
    'http://127.0.0.1.example/': /https:/,
    'http://10.0.0.1/': /https:/,
    'https://user:password@logs.example/': /user name/,
    'https://token@logs.example/': /user name/,
    'ftp://logs.example/': /https:/,
    'file:///etc/passwd': /https:/,
    '/logs': /absolute/,
    '': /absolute/,
  }
  for (const [url, message] of Object.entries(wrong)) {
    assert.throws(() => httpSink({ url }), { code: 'INVALID_INPUT', message }, url)
  }
  for (const url of ['http://localhost:1/', 'http://[::1]/', 'http://127.1.2.3/', 'https://logs.example/'])
    httpSink({ url })
  httpSink({ url: 'http://logs.example/', allowInsecure: true })
})

test('accepts no header that is its own or none', () => {
  const url = 'https://logs.example/'
  for (const name of [
    'Content-Type',
    'keytrail-signature',
    'KEYTRAIL-anything',
    'host',
    'content-length',
    'a b',
    '',
    'a\n',
  ]) {
    assert.throws(() => httpSink({ url, headers: { [name]: 'x' } }), { code: 'INVALID_INPUT' }, name)
  }
  for (const value of ['a\r\nb', 'é', '\u0000', 17 as unknown as string]) {
    assert.throws(() => httpSink({ url, headers: { authorization: value } }), { code: 'INVALID_INPUT' })
  }
})

test('accepts no secret that is short, and no limit that is none', () => {
  const url = 'https://logs.example/'
  assert.throws(() => httpSink({ url, secret: new Uint8Array(15) }), { code: 'INVALID_INPUT' })
  assert.throws(() => httpSink({ url, secret: 'a string of some length' as unknown as Uint8Array }), {
    code: 'INVALID_INPUT',
  })
  assert.throws(() => httpSink({ url, timeoutMs: 0 }), { code: 'INVALID_INPUT' })
  assert.throws(() => httpSink({ url, retries: -1 }), { code: 'INVALID_INPUT' })
  assert.throws(() => httpSink({ url, maxBatchBytes: Number.NaN }), { code: 'INVALID_INPUT' })
})

test('shows neither secret nor headers nor what the collector wrote', async (t) => {
  const canary = 'canary-5c1f'
  const { url } = await collector(t, (response) => {
    response.writeHead(400, { 'x-note': canary }).end(canary)
  })
  const sink = httpSink({
    url: `${url}?token=${canary}`,
    secret: Buffer.from(canary.repeat(3)),
    headers: { authorization: canary },
  })
  const error: unknown = await Promise.resolve(sink.write([exampleEntry(0, { keySlug: canary })])).catch(
    (e: unknown) => e,
  )
  assert.ok(error instanceof KmsError)
  for (const shown of [error, sink]) {
    const text = `${inspect(shown, { depth: 9, showHidden: true })} ${JSON.stringify(shown)}`
    assert.ok(!text.includes(canary) && !text.includes(Buffer.from(canary).toString('hex')), text)
  }
  for (const options of [
    { url: `${canary}` },
    { url: `http://logs.example/?token=${canary}` },
    { url, headers: { authorization: `${canary}\n` } },
    { url, headers: { [`${canary}\n`]: 'x' } },
  ]) {
    const refused = thrownBy(() => httpSink(options))
    assert.ok(
      !inspect(refused, { depth: 9, showHidden: true })
        .replace(/^\s+at .*$/gm, '')
        .includes(canary),
    )
  }
})

test('uses its own copy of the secret', async (t) => {
  const { url, requests } = await collector(t)
  const own = secret.slice()
  const sink = httpSink({ url, secret: own })
  own.fill(0)
  await sink.write(exampleEntries(1))
  assert.ok(requests[0])
  assert.equal(verifySignature(signedPart(requests[0])), true)
})

function signedPart({ headers, body }: Received) {
  const { 'keytrail-timestamp': timestamp, 'keytrail-signature': signature } = headers
  assert.ok(typeof timestamp === 'string' && typeof signature === 'string')
  return { secret, timestamp, signature, body }
}

function refusal(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof KmsError)
    assert.equal(error.code, 'AUDIT_REFUSED')
    assert.match(error.message, message)
    return true
  }
}

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}
