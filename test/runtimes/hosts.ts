/** @node How each runtime is made to run the portable suite, and to tell what came of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { run } from '../packed.ts'
import { bundled } from './bundle.ts'
import { playwright, programs } from './installed.ts'
import type { Runtime } from './portable/case.ts'
import type { CaseReport } from './portable/suite.ts'

/** Where the suite stands, see `writeSuite`, and what it is given. */
export interface Task {
  readonly project: string
  readonly runtime: Runtime
}

export type Host = (task: Task) => Promise<readonly CaseReport[]>

/** Longer than the slowest takes beside another job on two cores. */
const patienceMs = 180_000

/** A program that runs a module and prints, with `words` before the module's name. */
export function program(command: string, words: readonly string[] = []): Host {
  return async ({ project, runtime }) => {
    const entry = 'run.mjs'
    // The library's own timers keep no process alive.
    const code = `import { runAll } from './suite.mjs'
const alive = setInterval(() => {}, 1000)
console.log(JSON.stringify(await runAll(${JSON.stringify(runtime)})))
clearInterval(alive)\n`
    writeFileSync(join(project, entry), code)
    // Nothing of this process's: no NODE_OPTIONS, and none of the source conditions.
    const env = { PATH: '/usr/bin:/bin', HOME: project, DENO_DIR: join(project, '.deno'), DENO_NO_UPDATE_CHECK: '1' }
    const options = { cwd: project, env, timeout: patienceMs, maxBuffer: 64 * 1024 * 1024 }
    const { stdout } = await run(command, [...words, entry], options)
    return reportsOf(stdout)
  }
}

export const node = (version: 'Node 20' | 'Node 22' | 'Node 24' | 'Node 26'): Host => program(programs[version])

export const bun: Host = program(programs.Bun, ['--no-install'])

/** With leave to reach the collector, and nothing else: no file, no variable, no other host. */
export const deno: Host = (task) => {
  const { host } = new URL(task.runtime.collector)
  const flags = ['--no-prompt', '--no-remote', '--cached-only', '--no-lock', '--node-modules-dir=manual']
  return program(programs.Deno, ['run', ...flags, `--allow-net=${host},127.0.0.1:2`])(task)
}

export const workerd: Host = ({ project, runtime }) => {
  const code = `import { runAll } from './suite.mjs'
export default { fetch: async () => Response.json(await runAll(${JSON.stringify(runtime)})) }\n`
  return withWorker(project, code, async (url) => reportsOf(await textOf(url)))
}

/** Runs `use` beside a worker made as Wrangler makes one: bundled for the browser platform, with its three conditions. */
export async function withWorker<T>(project: string, code: string, use: (url: string) => Promise<T>): Promise<T> {
  const options = { platform: 'browser', conditions: ['workerd', 'worker', 'browser'], target: 'es2024' }
  const { outputFiles } = await bundled(project, code, options)
  writeFileSync(join(project, 'worker.js'), outputFiles[0]?.contents ?? '')
  writeFileSync(join(project, 'workerd.capnp'), workerdConfig)
  const worker = await startWorkerd(project)
  try {
    return await use(worker.url)
  } finally {
    await worker.stop()
  }
}

/** What is answered, whatever the status. */
export async function textOf(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(patienceMs) })
  return response.text()
}

/** The worker, and leave to reach this machine, where the collector is. */
const workerdConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "loopback", network = (allow = ["private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
  globalOutbound = "loopback",
);
`

async function startWorkerd(project: string): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const child = spawn(programs.workerd, ['serve', 'workerd.capnp', '--control-fd=3'], {
    cwd: project,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  })
  const exited = once(child, 'exit')
  // The fourth is a pipe from the child: readable.
  const control = createInterface({ input: child.stdio[3] as Readable })
  const [line] = await Promise.race([once(control, 'line'), exited.then(() => ['the process ended'])])
  const told = /"event":\s*"listen".*"port":\s*(\d+)/.exec(String(line))
  if (told === null) throw new Error(`workerd does not listen: ${line}`)
  return {
    url: `http://127.0.0.1:${told[1]}/`,
    async stop() {
      child.kill()
      await exited
    },
  }
}

/** A page on localhost with the bundle, in Debian's Chromium without a window. */
export const chromium: Host = async ({ project, runtime }) => {
  const code = `import { runAll } from './suite.mjs'
globalThis.reports = runAll(${JSON.stringify(runtime)}).then((reports) => JSON.stringify(reports))\n`
  const { outputFiles } = await bundled(project, code, { platform: 'browser', target: 'es2023' })
  const page = await servePage(outputFiles[0]?.text ?? '')
  const browser = await playwright().chromium.launch({ executablePath: programs.Chromium, args: chromiumFlags })
  try {
    const opened = await browser.newPage()
    const failed = new Promise<never>((_resolve, reject) => opened.on('pageerror', reject))
    await opened.goto(page.url)
    const told = await Promise.race([opened.evaluate('globalThis.reports'), failed])
    return reportsOf(String(told))
  } finally {
    await browser.close()
    page.close()
  }
}

// As root it needs --no-sandbox; the others keep it from looking for its maker's servers.
export const chromiumFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
] as const

async function servePage(script: string): Promise<{ readonly url: string; close(): void }> {
  const html =
    '<!doctype html><meta charset="utf-8"><title>keytrail</title><script type="module" src="/app.js"></script>'
  const server = createServer((request, response) => {
    const isScript = request.url === '/app.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : html)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Listening on TCP it has such an address.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://localhost:${port}/`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function reportsOf(text: string): readonly CaseReport[] {
  const line = text.trim().split('\n').at(-1) ?? ''
  if (!line.startsWith('[')) throw new Error(`the suite told nothing: ${text.slice(0, 2000)}`)
  // suite.ts made it.
  return JSON.parse(line) as readonly CaseReport[]
}
