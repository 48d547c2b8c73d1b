/** @node Hostile requests, on raw sockets: never a 500, never a stack, an entry for each request, and never more read than fits. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createAudit } from '../../../src/audit/emitter.ts'
import { KmsClient } from '../../../src/client.ts'
import { clientIpOf } from '../../../src/integrations/context/index.ts'
import { createKmsHandler } from '../../../src/integrations/http-api/handler.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { puppet, turn } from '../../audit/puppet.ts'
import { closedAfterEach } from '../../closed-after-each.ts'
import { organisation, type Rig, region, rig, token } from './rig.ts'

const ready = closedAfterEach(rig)

function head(line: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { host: 'x', authorization: token, 'x-organisation-identity': organisation, ...headers }
  return `${line} HTTP/1.1\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`
}

const encrypt = `POST /v1/kms/${region}/keys/aes/encrypt`
const json = { 'content-type': 'application/json' }

async function withKey(options: Parameters<typeof ready>[0] = {}): Promise<Rig> {
  const made = await ready(options)
  await made.kms.createKey({ slug: 'aes' })
  return made
}

/** The entries since `made` had its key. */
function entriesOf(made: Rig): readonly string[] {
  return made
    .results()
    .slice(1)
    .map(({ action, statusCode, error }) => `${action} ${statusCode} ${error}`)
}

describe('paths and methods', () => {
  const lines = [
    'GET /',
    'GET /v1',
    'GET /v1/kms',
    'GET /v1/kms/',
    `GET /v1/kms/${region}/summary`,
    `GET /v1/kms/${region}/keys/`,
    `GET /v1/kms/${region}//keys`,
    `GET //v1/kms/${region}/keys`,
    'GET /v1/kms//keys',
    `GET /v1/kms/${region}/Keys`,
    `GET /v1/kms/${region}/%6beys`,
    `GET /v1/kms/${region}/keys/../keys`,
    `GET /v1/kms/${region}/keys/aes/../aes`,
    `GET /v1/kms/${region}/keys/aes/encrypt/`,
    `POST /v1/kms/${region}/keys/aes/verify_hmac`,
    'GET /v1/audit',
    'GET *',
  ]
  for (const line of lines)
    test(`${line} is 404, and an entry without the path`, async () => {
      const made = await withKey()
      const answer = await made.socket(head(line, { connection: 'close' }))
      assert.match(answer, /^HTTP\/1\.1 404 /)
      assert.match(answer, /\{"message":"not found"\}$/)
      const entry = made.results().at(-1)
      assert.equal(entry?.action, 'api.request')
      assert.equal(entry?.statusCode, 404)
      assert.equal(entry?.context?.route, undefined)
    })

  test('an absolute URL is its path, and a fragment is none of it', async () => {
    const made = await withKey()
    assert.match(
      await made.socket(head(`GET http://other.example/v1/kms/${region}/keys/aes`, { connection: 'close' })),
      /^HTTP\/1\.1 200 /,
    )
    assert.match(
      await made.socket(head(`GET /v1/kms/${region}/keys/aes#x`, { connection: 'close' })),
      /^HTTP\/1\.1 200 /,
    )
  })

  for (const [line, allow] of [
    [`HEAD /v1/kms/${region}/keys`, 'GET, POST'],
    [`OPTIONS /v1/kms/${region}/keys`, 'GET, POST'],
    [`PUT /v1/kms/${region}/keys/aes`, 'GET, DELETE'],
    [`GET ${encrypt.slice(5)}`, 'POST'],
    [`POST /v1/kms/${region}/keys/aes/rotation`, 'PATCH'],
  ] as const)
    test(`${line} is 405, with what is allowed`, async () => {
      const made = await withKey()
      const answer = await made.socket(head(line, { connection: 'close' }))
      assert.match(answer, /^HTTP\/1\.1 405 /)
      assert.match(answer, new RegExp(`\r\nallow: ${allow}\r\n`))
      assert.deepEqual(entriesOf(made), ['api.request 405 UNSUPPORTED_OPERATION'])
    })

  test('a query never reaches an entry', async () => {
    const made = await withKey()
    await made.socket(head(`GET /v1/kms/${region}/keys?token=hunter2`, { connection: 'close' }))
    assert.doesNotMatch(JSON.stringify(made.sink.accepted), /hunter2/)
    assert.equal(made.results().at(-1)?.context?.route, '/v1/kms/{region}/keys')
  })
})

describe('headers', () => {
  test('two of a kind are not one of them', async () => {
    const made = await withKey()
    const twice = `GET /v1/kms/${region}/keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\n`
    const auth = await made.socket(
      `${twice}authorization: ${token}\r\nAuthorization: Bearer other\r\nx-organisation-identity: ${organisation}\r\n\r\n`,
    )
    assert.match(auth, /^HTTP\/1\.1 401 /)
    const org = await made.socket(
      `${twice}authorization: ${token}\r\nx-organisation-identity: ${organisation}\r\nX-Organisation-Identity: org-2\r\n\r\n`,
    )
    assert.match(org, /^HTTP\/1\.1 400 /)
  })

  test('what is too long for an entry is cut, and what is no address or trace is flagged', async () => {
    const made = await withKey({ clientIp: () => '0177.0.0.1' })
    const headers = {
      connection: 'close',
      'user-agent': 'a'.repeat(5000),
      traceparent: 'nonsense',
      'x-request-id': 'r-1',
    }
    await made.socket(head(`GET /v1/kms/${region}/keys`, headers))
    const entry = made.results().at(-1)
    assert.equal(entry?.context?.userAgent, `${'a'.repeat(256)}…#5000`)
    assert.equal(entry?.context?.requestId, 'r-1')
    assert.equal(entry?.context?.clientIp, undefined)
    assert.equal(entry?.context?.peerIp, '127.0.0.1')
    assert.deepEqual(entry?.details?.flags, ['client_ip_invalid', 'traceparent_invalid'])
  })

  test('a proxy that is trusted tells the client, nobody else does; a trace of a later version is told as the first', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7'
    for (const [proxy, clientIp, peerIp] of [
      ['127.0.0.0/8', '203.0.113.9', '127.0.0.1'],
      ['10.0.0.0/8', '127.0.0.1', undefined],
    ] as const) {
      const made = await withKey({
        clientIp: ({ headers }, peer) =>
          clientIpOf({ peer, xForwardedFor: headers.get('x-forwarded-for') }, [proxy]).clientIp,
      })
      const headers = {
        connection: 'close',
        'x-forwarded-for': '6.6.6.6, 203.0.113.9',
        traceparent: `cc-${trace}-01-x`,
      }
      await made.socket(head(`GET /v1/kms/${region}/keys`, headers))
      const { context } = made.results().at(-1) ?? {}
      assert.deepEqual([context?.clientIp, context?.peerIp, context?.traceparent], [clientIp, peerIp, `00-${trace}-01`])
    }
  })

  test('a bomb of headers is refused by the parser, and the next request is served', async () => {
    const made = await withKey()
    const bomb = await made.socket(head(`GET /v1/kms/${region}/keys`, { x: 'a'.repeat(100_000) }))
    assert.match(bomb, /^HTTP\/1\.1 431 /)
    assert.equal((await made.ask('GET /keys')).status, 200)
  })
})

describe('bodies', () => {
  test('one that claims to be too large is refused before it comes', async () => {
    const made = await withKey()
    const answer = await made.socket(head(encrypt, { ...json, 'content-length': '99999999999' }))
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.match(answer, /connection: close/i)
    assert.match(answer, /at most 1048576 bytes/)
    assert.deepEqual(entriesOf(made), ['kms.encrypt 400 INVALID_INPUT'])
  })

  test('one that is larger than it may be, in chunks, is refused on the way', async () => {
    const made = await withKey({ maxBodyBytes: 10_000 })
    const stream = connect(made.port, '127.0.0.1')
    stream.on('error', () => undefined)
    let seen = ''
    let sent = 0
    stream.on('data', (part) => {
      seen += part
    })
    stream.write(head(encrypt, { ...json, 'transfer-encoding': 'chunked' }))
    const chunk = `1000\r\n${'a'.repeat(4096)}\r\n`
    while (!stream.destroyed && seen === '') {
      sent += 4096
      stream.write(chunk)
      await turn()
    }
    assert.match(seen, /^HTTP\/1\.1 400 /)
    assert.ok(sent < 10_000_000, `${sent} bytes were taken`)
    stream.destroy()
    assert.deepEqual(entriesOf(made), ['kms.encrypt 400 INVALID_INPUT'])
  })

  test('one that is refused for who sends it is not read', async () => {
    const made = await withKey()
    const answer = await made.socket(
      head(encrypt, { ...json, authorization: 'Bearer wrong', 'content-length': '500000' }),
    )
    assert.match(answer, /^HTTP\/1\.1 401 /)
    assert.match(answer, /connection: close/i)
  })

  test('one that never ends is refused in time, by the clock', async () => {
    const clock = fakeClock()
    const sink = puppet()
    const audit = createAudit({ required: [sink], heartbeatMs: 0, clock })
    const kms = new KmsClient({ provider: memoryKms(), audit, region })
    const handler = createKmsHandler({
      kms,
      authenticate: () => ({ actor: { type: 'user', id: 'alice' } }),
      authorize: () => true,
      bodyTimeoutMs: 3000,
    })
    await kms.createKey({ slug: 'aes' })
    let cancelled = 0
    const headers = new Headers({ 'x-organisation-identity': 'o', ...json })
    const body = {
      getReader: () => ({
        read: () => new Promise<never>(() => undefined),
        cancel: async () => {
          cancelled += 1
        },
      }),
    }
    const answer = handler({ method: 'POST', url: encrypt.slice(5), headers, body })
    for (let at = 0; at < 10; at++) await turn()
    clock.advance(2999)
    assert.equal(cancelled, 0)
    clock.advance(1)
    const { status } = await answer
    assert.equal(status, 400)
    assert.equal(cancelled, 1)
    assert.equal(sink.accepted.at(-1)?.error, 'INVALID_INPUT')
    await audit.close()
  })

  test('a caller who goes away in the midst of it leaves an entry', async () => {
    const made = await withKey()
    const stream = connect(made.port, '127.0.0.1')
    stream.write(`${head(encrypt, { ...json, 'content-length': '1000' })}{"plaintext"`)
    await once(stream, 'connect')
    // Heard by the server once this other one has been answered.
    await made.ask('GET /keys')
    stream.destroy()
    await until(() => entriesOf(made).length === 2)
    assert.deepEqual(entriesOf(made), ['kms_key.list 200 undefined', 'kms.encrypt 400 ABORTED'])
  })

  test('half a connection is enough to be answered', async () => {
    const made = await withKey()
    const stream = connect({ port: made.port, host: '127.0.0.1', allowHalfOpen: true })
    let seen = ''
    stream.on('data', (part) => {
      seen += part
    })
    const body = '{"plaintext":"AAAA"}'
    stream.end(head(encrypt, { ...json, 'content-length': String(body.length) }) + body)
    await once(stream, 'end')
    assert.match(seen, /^HTTP\/1\.1 200 /)
  })

  test('requests in one pipe are answered in order', async () => {
    const made = await withKey()
    const get = head(`GET /v1/kms/${region}/keys/aes`)
    const answer = await made.socket([get, get, head('GET /nowhere', { connection: 'close' })])
    assert.deepEqual(
      [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      ['200', '200', '404'],
    )
    // They are worked on side by side.
    assert.deepEqual([...entriesOf(made)].sort(), [
      'api.request 404 UNSUPPORTED_OPERATION',
      'kms_key.describe 200 undefined',
      'kms_key.describe 200 undefined',
    ])
  })

  test('junk behind requests in one pipe ends the connection, and each request has its entry all the same', async () => {
    const made = await withKey()
    const get = head(`GET /v1/kms/${region}/keys/aes`)
    const answer = await made.socket(`${get}${get}\u0000\u0001junk\r\n\r\n`)
    assert.match(answer, /HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n\r\n$/)
    await until(() => entriesOf(made).length === 2)
    for (const entry of entriesOf(made)) assert.match(entry, /^kms_key\.describe (?:200 undefined|400 ABORTED)$/)
    assert.equal((await made.ask('GET /keys/aes')).status, 200)
  })

  test('a body where none belongs is refused', async () => {
    const made = await withKey()
    for (const line of [`GET /v1/kms/${region}/keys`, `DELETE /v1/kms/${region}/keys/aes`])
      assert.match(
        await made.socket(`${head(line, { ...json, 'content-length': '2', connection: 'close' })}{}`),
        /^HTTP\/1\.1 400 /,
      )
  })

  test('depth, size of numbers and names of prototypes are only JSON', async () => {
    const made = await withKey()
    const bodies = [
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      `{"plaintext":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
      `{"plaintext":1${'0'.repeat(10_000)}}`,
      '{"constructor":{"prototype":{"polluted":true}}}',
      '{"plaintext":"AAAA","toString":"AAAA"}',
    ]
    for (const raw of bodies)
      assert.equal((await made.ask('POST /keys/aes/encrypt', { raw })).status, 400, raw.slice(0, 40))
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
    const labels = '{"slug":"odd","labels":{"__proto__":"a","constructor":"b"}}'
    const odd = await made.ask('POST /keys', { raw: labels })
    assert.equal(odd.status, 201, odd.text)
    assert.deepEqual(Object.entries(odd.json['labels'] as object), [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ])
  })

  test('of a field that stands there twice the last counts', async () => {
    const made = await withKey()
    const { json: sealed } = await made.ask('POST /keys/aes/encrypt', {
      raw: '{"plaintext":"AAAA","plaintext":"BBBB"}',
    })
    const opened = await made.ask('POST /keys/aes/decrypt', { body: { ciphertext: sealed['ciphertext'] } })
    assert.equal(opened.json['plaintext'], 'BBBB')
  })
})

test('whatever is asked, there is a message and one entry, and never a 500', async () => {
  const made = await withKey({ trail: async function* () {} })
  const word = fc.constantFrom(
    'v1',
    'kms',
    region,
    'keys',
    'aes',
    'ghost',
    'encrypt',
    'decrypt',
    'public-key',
    'rotation',
    'audit',
    'summary',
    '%61es',
    '%',
    '..',
    '',
  )
  const path = fc.oneof(
    fc.array(word, { maxLength: 7 }).map((words) => `/${words.join('/')}`),
    fc
      .constantFrom(
        '',
        '/encrypt',
        '/decrypt',
        '/sign',
        '/verify',
        '/hmac',
        '/verify-hmac',
        '/rotate',
        '/export',
        '/enable',
        '/rotation',
        '/public-key',
      )
      .map((end) => `/v1/kms/${region}/keys/aes${end}`),
  )
  const query = fc.oneof(
    fc.constant(''),
    fc.constantFrom('?', '?version=1', '?a=b&a=c', '?limit=0', '?cursor=%zz', '?action=*x*'),
  )
  const field = fc.constantFrom(
    'plaintext',
    'ciphertext',
    'input',
    'signature',
    'hmac',
    'keyVersion',
    'keyRotationEnabled',
    '__proto__',
    'labels',
  )
  const value = fc.oneof(
    fc.constantFrom('AAAA', '1', 'keytrail:v1:AAAA', true, null, 1e308),
    fc.jsonValue({ maxDepth: 2 }),
  )
  const body = fc.oneof(
    fc
      .array(fc.tuple(field, value), { maxLength: 3 })
      .map((pairs) => `{${pairs.map(([name, one]) => `"${name}":${JSON.stringify(one)}`).join(',')}}`),
    fc.string({ maxLength: 40 }),
    fc.constant(undefined),
  )
  const method = fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'PUT', 'HEAD')
  await fc.assert(
    fc.asyncProperty(method, path, query, body, async (verb, at, asked, content) => {
      const before = made.results().length
      const bytes = content === undefined ? '' : Buffer.from(content).toString('latin1')
      const headers = {
        connection: 'close',
        ...(content !== undefined && { ...json, 'content-length': String(bytes.length) }),
      }
      const stream = await made.socket([head(`${verb} ${at}${asked}`, headers), Buffer.from(bytes, 'latin1')])
      const status = Number(/^HTTP\/1\.1 (\d+) /.exec(stream)?.[1])
      assert.ok([200, 201, 204, 400, 404, 405, 409, 503].includes(status), stream)
      if (status >= 400 && verb !== 'HEAD') assert.match(stream, /\r\n\r\n\{"message":"[^"]+"\}$/)
      assert.doesNotMatch(stream, /\bat .*\.(?:ts|js):\d+|Error:/)
      assert.equal(made.results().length, before + 1)
    }),
    { numRuns: 300 },
  )
})

test('more requests at once than may be are told to come later, and counted', async () => {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const made = await ready({
    maxInFlight: 1,
    authenticate: async () => {
      await held
      return { actor: { type: 'user', id: 'alice' } }
    },
  })
  const first = made.ask('GET /keys')
  await until(async () => (await made.ask('GET /keys')).status === 429)
  const second = await made.ask('GET /keys')
  assert.equal(second.headers.get('retry-after'), '1')
  assert.ok(made.kms.health().refusedCalls >= 2)
  release()
  assert.equal((await first).status, 200)
})

/** Polls without waiting for a time. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let at = 0; at < 10_000; at++) {
    if (await holds()) return
    await turn()
  }
  assert.fail('it never held')
}
