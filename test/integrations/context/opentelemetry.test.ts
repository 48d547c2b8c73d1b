import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { context, propagation, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api'
import { AlwaysOffSampler, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { nodeContext, requestContext } from '../../../src/integrations/context/index.ts'
import { isMissing, openTelemetryLoading } from '../../../src/integrations/context/opentelemetry.ts'
import { fromSource } from '../../from-source.mjs'
import { alice, listen, plaintext, rig, send } from './rig.ts'

const provider = new NodeTracerProvider()
provider.register()
after(() => provider.shutdown())
const tracer = trace.getTracer('tests')
const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

await openTelemetryLoading()

describe("the active span of OpenTelemetry's SDK", () => {
  test('becomes the traceparent, over that of the header, and below what is bound or called', async () => {
    const { kms, store, last } = await rig()
    await tracer.startActiveSpan('work', async (span) => {
      const { traceId, spanId } = span.spanContext()
      const expected = `00-${traceId}-${spanId}-01`
      await requestContext.run({ actor: alice, traceparent: header }, async () => {
        assert.equal(requestContext.current()?.traceparent, expected)
        await store()
        assert.equal(last().context?.traceparent, expected)
        assert.equal(last().actor?.id, 'alice')
        await kms.with({ traceparent: header }).encrypt({ key: 'orders', plaintext })
        assert.equal(last().context?.traceparent, header)
        await kms.encrypt({ key: 'orders', plaintext }, { context: { traceparent: header } })
        assert.equal(last().context?.traceparent, header)
      })
      span.end()
    })
  })

  test('is that of the innermost, and the same context for as long as it is', () => {
    requestContext.run({ actor: alice }, () =>
      tracer.startActiveSpan('outer', (outer) => {
        const before = requestContext.current()
        assert.equal(requestContext.current(), before)
        tracer.startActiveSpan('inner', (inner) => {
          assert.ok(requestContext.current()?.traceparent?.includes(inner.spanContext().spanId))
          inner.end()
        })
        assert.ok(requestContext.current()?.traceparent?.includes(outer.spanContext().spanId))
        outer.end()
      }),
    )
  })

  test('is there outside of any request, too', async () => {
    const { store, last } = await rig()
    await tracer.startActiveSpan('job', async (span) => {
      await store()
      assert.ok(last().context?.traceparent?.includes(span.spanContext().traceId))
      span.end()
    })
    assert.equal(requestContext.current(), undefined)
  })

  test('leaves the header alone where there is no span, or one of zeros', async () => {
    requestContext.run({ traceparent: header }, () => {
      assert.equal(requestContext.current()?.traceparent, header)
      const none = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: TraceFlags.NONE }
      context.with(trace.setSpanContext(ROOT_CONTEXT, none), () =>
        assert.equal(requestContext.current()?.traceparent, header),
      )
    })
  })

  test('tells when it is not sampled', async () => {
    const off = new NodeTracerProvider({ sampler: new AlwaysOffSampler() })
    const span = off.getTracer('tests').startSpan('unsampled')
    context.with(trace.setSpan(ROOT_CONTEXT, span), () =>
      assert.match(requestContext.current()?.traceparent ?? '', /-00$/),
    )
    await off.shutdown()
  })

  test('continues the trace of the request, as its propagator has read it', async (t) => {
    const { store, last } = await rig()
    const serve = nodeContext(async (_request, response) => void response.end(await store()), { route: '/' })
    const port = await listen(
      t,
      // What an instrumentation does.
      createServer((request, response) => {
        const remote = propagation.extract(ROOT_CONTEXT, request.headers)
        tracer.startActiveSpan('GET', {}, remote, (span) => {
          response.on('finish', () => span.end())
          serve(request, response)
        })
      }),
    )
    await send(port, '/', { headers: { traceparent: header } })
    const [, traceId, spanId] = last().context?.traceparent?.split('-') ?? []
    assert.equal(traceId, '4bf92f3577b34da6a3ce929d0e0e4736')
    assert.notEqual(spanId, '00f067aa0ba902b7')
  })
})

test('that the package is missing is known by what the loader says, whichever realm its error is of', () => {
  const say = (message: string) => [new Error(message), runInNewContext('new Error(message)', { message }) as unknown]
  for (const error of say("Cannot find module '@opentelemetry/api' from 'carrier.js'")) assert.ok(isMissing(error))
  for (const error of say("Cannot find module 'x' from '/app/node_modules/@opentelemetry/api/main.js'"))
    assert.ok(!isMissing(error))
  for (const error of [undefined, null, "'@opentelemetry/api'", {}]) assert.ok(!isMissing(error))
})

describe('a program', () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-opentelemetry-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['src', 'package.json']) cpSync(join(root, name), join(folder, name), { recursive: true })
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '@opentelemetry'), { recursive: true })
  for (const name of ['@noble', 'uuid']) symlinkSync(join(root, 'node_modules', name), join(modules, name))

  async function run(lines: readonly string[]): Promise<string> {
    const code = [
      `const { nodeContext, requestContext } = await import('./src/integrations/context/index.ts')`,
      `const { openTelemetryLoading } = await import('./src/integrations/context/opentelemetry.ts')`,
      ...lines,
    ]
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...fromSource, '--no-warnings', '--input-type=module', '-e', code.join('\n')],
      { cwd: folder },
    )
    return stdout.trim()
  }

  function install(files: Readonly<Record<string, string>>): void {
    const api = join(modules, '@opentelemetry/api')
    rmSync(api, { recursive: true, force: true })
    mkdirSync(api)
    for (const [name, text] of Object.entries(files)) writeFileSync(join(api, name), text)
  }

  const carried = [
    'await openTelemetryLoading()',
    `console.log(requestContext.run({ traceparent: 'x' }, () => requestContext.current()).traceparent)`,
  ]

  test('without the package runs as if nothing were', async () => {
    assert.equal(await run(carried), 'x')
  })

  test('whose package cannot be loaded is told so, and its message stays where it is', async () => {
    for (const main of [
      "throw new Error('a secret')",
      "import 'something-that-is-not-there'",
      'this is no JavaScript',
    ]) {
      install({
        'package.json': '{ "name": "@opentelemetry/api", "type": "module", "main": "main.js" }',
        'main.js': main,
      })
      const code = [
        'await openTelemetryLoading()',
        'try { requestContext.current() } catch (error) { console.log(String(error), error.code) }',
      ]
      assert.equal(await run(code), 'KmsError: @opentelemetry/api is installed and could not be loaded INTERNAL')
    }
    install({ 'package.json': '{ "name": "@opentelemetry/api", "type": "module", "main": "gone.js" }' })
    assert.match(
      await run([
        'await openTelemetryLoading()',
        'try { requestContext.current() } catch (error) { console.log(error.code) }',
      ]),
      /^INTERNAL$/,
    )
  })

  test('whose first request comes before the package is loaded waits for it', async () => {
    install({
      'package.json': '{ "name": "@opentelemetry/api", "type": "module", "main": "main.js" }',
      'main.js': `await new Promise((resolve) => setTimeout(resolve, 100))
        const spanContext = () => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 })
        export const trace = { getActiveSpan: () => ({ spanContext }) }`,
    })
    const code = [
      `const request = { method: 'GET', headers: {}, socket: {}, emit: () => true }`,
      'await nodeContext(() => console.log(requestContext.current().traceparent))(request, { ...request })',
    ]
    assert.equal(await run(code), `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
  })
})
