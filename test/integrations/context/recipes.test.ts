import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { listen, told } from './rig.ts'

const source = new URL('../../../src/', import.meta.url)
const page = readFileSync(new URL('integrations/context/README.md', source), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'keytrail-recipes-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** The page's program of that name, over the source. */
async function recipe(name: string): Promise<Record<string, (...given: unknown[]) => Promise<unknown>>> {
  const code =
    new RegExp(`\`\`\`js\n// ${name}\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? assert.fail(`the page has ${name}`)
  const paths: Readonly<Record<string, string>> = {
    keytrail: 'index.ts',
    'keytrail/context': 'integrations/context/index.ts',
    'keytrail/providers/memory': 'providers/memory.ts',
    'keytrail/sinks/http': 'sinks/http.ts',
  }
  const text = code.replace(
    /from '(keytrail[^']*)'/g,
    (_, specifier: string) => `from '${new URL(paths[specifier] ?? assert.fail(specifier), source)}'`,
  )
  const file = join(folder, name)
  writeFileSync(file, text)
  return import(pathToFileURL(file).href)
}

/** A real collector, which takes its time: an answer after `delayMs`, and only then are the entries there. */
async function collector(t: TestContext, delayMs: number) {
  const entries: AuditEntry[] = []
  const port = await listen(
    t,
    createServer(async (request, response) => {
      let text = ''
      for await (const piece of request) text += piece
      await later(delayMs)
      for (const line of text.trim().split('\n')) entries.push(JSON.parse(line) as AuditEntry)
      response.writeHead(204).end()
    }),
  )
  return {
    url: `http://127.0.0.1:${port}/`,
    encryptions: () => entries.filter(({ action }) => action === 'kms.encrypt'),
  }
}

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a Lambda function has handed everything over when it has answered', async (t) => {
  const [required, analytics] = [await collector(t, 5), await collector(t, 60)]
  Object.assign(process.env, { COLLECTOR: required.url, ANALYTICS: analytics.url })
  const { handler = assert.fail() } = await recipe('lambda.mjs')
  const event = {
    routeKey: 'POST /orders/{id}',
    headers: { traceparent },
    body: 'three apples',
    requestContext: {
      http: { method: 'POST', sourceIp: '203.0.113.9', userAgent: 'tests' },
      authorizer: { jwt: { claims: { sub: 'alice' } } },
    },
  }
  const invocations = ['first', 'second', 'third']
  for (const [at, awsRequestId] of invocations.entries()) {
    const { statusCode } = (await handler(event, { awsRequestId })) as { statusCode: number }
    // From here on it is frozen.
    assert.equal(statusCode, 200)
    for (const { encryptions } of [required, analytics]) {
      assert.equal(encryptions().length, at + 1)
      assert.deepEqual(told(encryptions().at(-1) ?? assert.fail()), {
        actor: { type: 'user', id: 'alice', source: 'context' },
        clientIp: '203.0.113.9',
        userAgent: 'tests',
        requestId: awsRequestId,
        traceparent,
        method: 'POST',
        route: '/orders/{id}',
      })
    }
  }
})

test('a worker has handed everything over when what it waits for is done', async (t) => {
  const [required, analytics] = [await collector(t, 5), await collector(t, 60)]
  const { fetch = assert.fail() } = await recipe('edge.mjs')
  const waits: Promise<unknown>[] = []
  const request = new Request('https://edge.example/orders?token=secret', {
    method: 'POST',
    body: 'three apples',
    headers: {
      'x-client': 'cli',
      'cf-connecting-ip': '203.0.113.9',
      'x-forwarded-for': '6.6.6.6',
      'cf-ray': 'ray-7',
      traceparent,
    },
  })
  const env = { COLLECTOR: required.url, ANALYTICS: analytics.url }
  const response = (await fetch(request, env, { waitUntil: (wait: Promise<unknown>) => waits.push(wait) })) as Response
  assert.equal(response.status, 200)
  assert.equal(required.encryptions().length, 1)
  await Promise.all(waits)
  for (const { encryptions } of [required, analytics])
    assert.deepEqual(encryptions().map(told), [
      {
        actor: { type: 'client', id: 'cli', source: 'context' },
        clientIp: '203.0.113.9',
        requestId: 'ray-7',
        traceparent,
        method: 'POST',
        route: '/orders',
      },
    ])
})
