/** A transit engine behind HTTP, with faults on demand. Bound to recorded exchanges in endpoint.test.ts; shares no code with the provider. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  addPolicy,
  type Body,
  type Dialect,
  type Engine,
  engine,
  handle,
  type NewPolicy,
  type Policy,
  Refusal,
} from './transit-engine.ts'

export interface EndpointOptions {
  readonly dialect?: Dialect
  /** Requests without it as their namespace find nothing. */
  readonly namespace?: string
  /** Whether the engine is mounted already; `true` by default. */
  readonly mounted?: boolean
  readonly mount?: string
  /** Of imports, PKCS#8 (DER); made when first asked for otherwise. */
  readonly wrappingKey?: Buffer
}

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Body
}

/** What goes wrong with a request. */
export type Fault =
  /** Answered without acting on it. */
  | { readonly answer: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** The connection is cut, before or after it was acted on. */
  | { readonly cut: 'before' | 'after' }
  /** Acted on, and answered so much later. */
  | { readonly slowMs: number }
  /** Acted on, and answered otherwise. */
  | { readonly rewrite: (body: string) => string; readonly status?: number }
  /** Acted on and answered; `before` runs before the answer leaves. */
  | { readonly before: () => void }

interface Planned {
  readonly matches: RegExp
  readonly fault: Fault
  left: number
}

export interface Endpoint {
  readonly address: string
  readonly token: string
  readonly engine: Engine
  /** Oldest first. */
  readonly requests: readonly Seen[]
  /** Tokens that are valid. */
  readonly tokens: Set<string>
  /** Paths (below `/v1/`) that no token's policy allows. */
  readonly denied: RegExp[]
  /** The `request_id`s given, oldest first. */
  readonly requestIds: readonly string[]
  add(name: string, options: NewPolicy): Policy
  policy(name: string): Policy
  /** The next `times` requests whose `METHOD path` matches meet the fault. */
  fail(matches: RegExp, fault: Fault, times?: number): void
  /** Requests so far whose `METHOD path` matches. */
  count(matches?: RegExp): number
  close(): Promise<void>
}

const sealedBody = '{"errors":["Vault is sealed"]}\n'

/** For a fault: what a sealed server answers. */
export const sealed: Fault = { answer: 503, body: sealedBody }

export async function startEndpoint(options: EndpointOptions = {}): Promise<Endpoint> {
  const { dialect = 'openbao', namespace, mount = 'transit' } = options
  const transit = engine(dialect, options.wrappingKey)
  const requests: Seen[] = []
  const requestIds: string[] = []
  const tokens = new Set(['s.root'])
  const denied: RegExp[] = []
  const planned: Planned[] = []
  let mounted = options.mounted ?? true

  function answer(request: Seen): { status: number; body: string } {
    const path = request.path.replace(/^\/v1\//, '')
    if (request.headers['x-vault-namespace'] !== namespace)
      return failed(404, `no handler for route "${path}". route entry not found.`)
    if (!tokens.has(String(request.headers['x-vault-token'])))
      return dialect === 'openbao'
        ? failed(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n')
        : failed(403, 'permission denied')
    if (denied.some((pattern) => pattern.test(path))) return failed(403, '1 error occurred:\n\t* permission denied\n\n')
    if (path === `sys/mounts/${mount}`) {
      mounted = true
      return { status: 204, body: '' }
    }
    if (path.startsWith('sys/audit/')) return { status: 204, body: '' }
    if (!mounted || !path.startsWith(`${mount}/`))
      return failed(404, `no handler for route "${path}". route entry not found.`)
    return inEngine(request.method, path.slice(mount.length + 1), request.body)
  }

  function inEngine(method: string, path: string, body: Body): { status: number; body: string } {
    try {
      const [bare = '', query] = path.split('?')
      const { status, data, warnings = [] } = handle(transit, query === 'list=true' ? 'LIST' : method, bare, body)
      if (status === 204) return { status, body: '' }
      const request_id = randomUUID()
      requestIds.push(request_id)
      const text = JSON.stringify({
        request_id,
        lease_id: '',
        renewable: false,
        lease_duration: 0,
        data,
        wrap_info: null,
        warnings: warnings.length === 0 ? null : warnings,
        auth: null,
      })
      return { status, body: `${text}\n` }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (error.message === '') return { status: error.status, body: '{"errors":[]}\n' }
      return failed(error.status, error.listed ? `1 error occurred:\n\t* ${error.message}\n\n` : error.message)
    }
  }

  function failed(status: number, text: string): { status: number; body: string } {
    return { status, body: `${JSON.stringify({ errors: [text] })}\n` }
  }

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming
      const raw = Buffer.concat(chunks).toString()
      const request: Seen = { method, path: url, headers, body: raw === '' ? {} : (JSON.parse(raw) as Body) }
      requests.push(request)
      const plan = planned.find(({ matches, left }) => left > 0 && matches.test(`${method} ${url}`))
      if (plan !== undefined) plan.left -= 1
      meet(plan?.fault, { request, incoming, response })
    })
  })

  function meet(fault: Fault | undefined, { request, incoming, response }: Exchange): void {
    if (fault !== undefined && 'answer' in fault) {
      send(response, fault.answer, fault.body ?? '', fault.headers)
      return
    }
    if (fault !== undefined && 'cut' in fault) {
      if (fault.cut === 'after') answer(request)
      incoming.socket.destroy()
      return
    }
    const { status, body } = answer(request)
    if (fault !== undefined && 'slowMs' in fault) {
      setTimeout(() => send(response, status, body), fault.slowMs).unref()
      return
    }
    if (fault !== undefined && 'before' in fault) fault.before()
    if (fault !== undefined && 'rewrite' in fault) send(response, fault.status ?? status, fault.rewrite(body))
    else send(response, status, body)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // The address of a TCP server is not a pipe's name.
  const { port } = server.address() as AddressInfo
  return {
    address: `http://127.0.0.1:${port}`,
    token: 's.root',
    engine: transit,
    requests,
    tokens,
    denied,
    requestIds,
    add: (name, policy) => addPolicy(transit, name, policy),
    policy(name) {
      const policy = transit.policies.get(name)
      if (policy === undefined) throw new Error(`no key ${name}`)
      return policy
    },
    fail(matches, fault, times = 1) {
      planned.push({ matches, fault, left: times })
    },
    count: (matches = /./) => requests.filter(({ method, path }) => matches.test(`${method} ${path}`)).length,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

interface Exchange {
  readonly request: Seen
  readonly incoming: IncomingMessage
  readonly response: ServerResponse
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'cache-control': 'no-store', 'content-type': 'application/json', ...headers })
  response.end(body)
}
