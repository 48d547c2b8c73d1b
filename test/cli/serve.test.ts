/** @node `keytrail serve`, as a process: the address, the token, what it keeps to itself, and how it ends. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { readTrail } from '../../src/trail/reading/read.ts'
import { verifyTrail } from '../../src/trail/verify/verify.ts'
import { environment, homeWith, keytrail, program, type TestHome } from './run.ts'

const token = 'a-token-that-nobody-guesses'
const region = 'nl-01'

interface Serving {
  readonly url: string
  readonly child: ChildProcess
  readonly output: () => string
  ask(line: string, body?: object, headers?: Readonly<Record<string, string>>): Promise<Response>
  /** Exit code after the signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

async function serving(home: TestHome, args: readonly string[] = []): Promise<Serving> {
  const [node = '', ...rest] = program
  const all = [...rest, 'serve', '--port', '0', '--region', region, ...args]
  const child = spawn(node, all, { env: environment({ ...home.env, KEYTRAIL_TOKEN: token }) })
  running.push(child)
  let output = ''
  child.stderr?.on('data', (part) => {
    output += part
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (part) => {
      output += part
      const found = /http:\/\/\S+/.exec(output)?.[0]
      if (found !== undefined) resolve(found)
    })
    child.on('exit', (code) => reject(new Error(`exit ${code}: ${output}`)))
  })
  return {
    url,
    child,
    output: () => output,
    ask(line, body, headers = {}) {
      const [method = '', path = ''] = line.split(' ')
      return fetch(`${url}${path.startsWith('/v1/') ? path : `/v1/kms/${region}${path}`}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          'x-organisation-identity': 'org-1',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
    },
    async stop(signal = 'SIGTERM') {
      const exited = once(child, 'exit')
      child.kill(signal)
      const [code] = (await exited) as [number | null]
      return code
    },
  }
}

async function fields(response: Response): Promise<Record<string, string>> {
  return (await response.json()) as Record<string, string>
}

describe('keytrail serve', () => {
  test('serves keys, keeps the trail, and ends with 0', async () => {
    const home = await homeWith([])
    const served = await serving(home)
    assert.match(served.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.equal((await served.ask('POST /keys', { slug: 'orders' })).status, 201)
    const plaintext = Buffer.from('attack at dawn').toString('base64')
    const { ciphertext } = await fields(await served.ask('POST /keys/orders/encrypt', { plaintext }))
    const opened = await fields(await served.ask('POST /keys/orders/decrypt', { ciphertext }))
    assert.deepEqual(opened, { plaintext, keyVersion: '1' })
    const project = await served.ask('POST /keys', { slug: 'orders' }, { 'x-project-identity': 'prj-1' })
    assert.equal((await fields(project))['projectId'], 'prj-1')

    const { logs } = (await (await served.ask('GET /v1/audit?action=kms.*&limit=1')).json()) as {
      logs: { action: string; context: Record<string, string> }[]
    }
    assert.equal(logs[0]?.action, 'kms.decrypt')
    assert.equal(logs[0]?.context['key_slug'], 'orders')

    assert.equal(await served.stop(), 0)
    assert.doesNotMatch(served.output(), new RegExp(token))
    const entries = []
    for await (const { entry } of readTrail(join(home.dir, 'audit'))) entries.push(entry)
    const decrypt = entries.find(({ action }) => action === 'kms.decrypt')
    assert.equal(decrypt?.actor?.id, 'api-token')
    assert.equal(decrypt?.context?.clientIp, '127.0.0.1')
    assert.equal(decrypt?.region, region)
    assert.ok(entries.some(({ action, details }) => action === 'audit.read' && details?.count === 1))
    assert.equal(entries.at(-1)?.action, 'audit.closed')
    assert.doesNotMatch(JSON.stringify(entries), new RegExp(`${token}|${plaintext}`))
    assert.equal((await verifyTrail(join(home.dir, 'audit'))).verdict, 'valid')
  })

  test('without the token, or with another, it is 401, of nobody', async () => {
    const home = await homeWith([])
    const served = await serving(home)
    for (const authorization of [
      '',
      token,
      `Bearer ${token}x`,
      `Bearer ${token.slice(1)}`,
      `Basic ${token}`,
      'Bearer ',
      `Bearer ${token}, Bearer ${token}`,
    ]) {
      const response = await served.ask('GET /keys', undefined, { authorization })
      assert.equal(response.status, 401, authorization)
      assert.equal(response.headers.get('www-authenticate'), 'Bearer')
    }
    assert.equal(await served.stop('SIGINT'), 0)
    for await (const { entry } of readTrail(join(home.dir, 'audit'), { statusCode: 401 }))
      assert.deepEqual(entry.actor, { type: 'unknown' })
  })

  test('key material leaves in the clear with --allow-raw-export only', async () => {
    const home = await homeWith([])
    for (const [args, status] of [
      [[], 400],
      [['--allow-raw-export'], 200],
    ] as const) {
      const served = await serving(home, args)
      await served.ask('POST /keys', { slug: 'orders', exportAllowed: true })
      const response = await served.ask('POST /keys/orders/export')
      assert.equal(response.status, status)
      assert.equal('keyMaterial' in (await fields(response)), status === 200)
      assert.equal(await served.stop(), 0)
    }
  })

  test('rotates what is due, of every project that has keys, and says that nobody asked for it', async () => {
    const due = [{ slug: 'orders', keyType: 'aes256-gcm96', rotationPeriodInDays: 30 }] as const
    const home = await homeWith(due, 40, { region, project: 'prj-1' })
    const served = await serving(home)
    const asProject = { 'x-project-identity': 'prj-1' }
    for (;;) {
      const key = await (await served.ask('GET /keys/orders', undefined, asProject)).json()
      if ((key as { latestVersion: number }).latestVersion === 2) break
    }
    assert.equal(await served.stop(), 0)
    const rotations = []
    for await (const { entry } of readTrail(join(home.dir, 'audit'), { action: 'kms.rotate.scheduled' }))
      rotations.push(entry)
    assert.deepEqual(
      rotations.map(({ outcome, project, actor }) => [outcome, project, actor?.type, actor?.id]),
      [
        ['pending', 'prj-1', 'system', 'keytrail-rotation'],
        ['success', 'prj-1', 'system', 'keytrail-rotation'],
      ],
    )
  })

  test('a signal lets a request on its way be answered, and takes no more', async () => {
    const home = await homeWith([])
    const served = await serving(home)
    const { port } = new URL(served.url)
    const body = JSON.stringify({ slug: 'late' })
    const stream = connect(Number(port), '127.0.0.1')
    let seen = ''
    stream.on('data', (part) => {
      seen += part
    })
    stream.write(
      `POST /v1/kms/${region}/keys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\nx-organisation-identity: o\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    )
    // Whoever is answered after it has been heard: the one before is on its way.
    await served.ask('GET /keys')
    const code = served.stop()
    await assert.rejects(untilRefused(Number(port)))
    stream.write(body.slice(5))
    await once(stream, 'close')
    assert.match(seen, /^HTTP\/1\.1 201 /)
    assert.equal(await code, 0)
  })

  const wrong: readonly (readonly [RegExp, readonly string[], Readonly<Record<string, string>>])[] = [
    [/KEYTRAIL_TOKEN must be set, to 16 characters or more/, ['--port', '0', '--region', region], {}],
    [/16 characters or more/, ['--port', '0', '--region', region], { KEYTRAIL_TOKEN: 'too-short-by-1-' }],
    [/printable ASCII/, ['--port', '0', '--region', region], { KEYTRAIL_TOKEN: 'with a blank in its middle' }],
    [/'--port' is missing/, ['--region', region], { KEYTRAIL_TOKEN: token }],
    [/0 to 65535/, ['--port', '65536', '--region', region], { KEYTRAIL_TOKEN: token }],
    [/'--region' is missing/, ['--port', '0'], { KEYTRAIL_TOKEN: token }],
    [/loopback only/, ['--port', '0', '--region', region, '--host', '0.0.0.0'], { KEYTRAIL_TOKEN: token }],
    [/loopback only/, ['--port', '0', '--region', region, '--host', '127.evil.example'], { KEYTRAIL_TOKEN: token }],
  ]
  for (const [message, args, env] of wrong)
    test(`a wrong command line is refused with 2: ${message.source}`, async () => {
      const { code, stderr } = await keytrail(['serve', ...args], { env })
      assert.equal(code, 2, stderr)
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, new RegExp(token))
    })

  test('a port that is taken is said so', async () => {
    const home = await homeWith([])
    const served = await serving(home)
    const other = await homeWith([])
    const { port } = new URL(served.url)
    const run = await other.run(['serve', '--port', port, '--region', region], { env: { KEYTRAIL_TOKEN: token } })
    assert.equal(run.code, 1)
    assert.match(run.stderr, /PROVIDER_UNAVAILABLE: cannot listen on port \d+: the port is taken/)
    await served.stop()
  })
})

/** Connects again and again until nobody listens. */
async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const stream = connect(port, '127.0.0.1')
    await once(stream, 'connect')
    stream.destroy()
  }
}
