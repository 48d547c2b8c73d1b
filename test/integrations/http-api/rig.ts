/** @node The API over a real socket, on a memory KMS, with a sink that does as it is told. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createAudit } from '../../../src/audit/emitter.ts'
import { KmsClient, type KmsClientOptions } from '../../../src/client.ts'
import {
  createKmsHandler,
  type KmsHandlerOptions,
  projectClients,
  toNodeHandler,
} from '../../../src/integrations/http-api/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { type Puppet, puppet } from '../../audit/puppet.ts'

export const region = 'nl-01'
export const organisation = 'org-1'
export const token = 'Bearer test'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // What a test looks into is its own business.
  readonly json: Record<string, unknown>
  readonly text: string
}

export interface Ask {
  readonly body?: unknown
  /** As it is, instead of `body`. */
  readonly raw?: string | Uint8Array
  /** Undefined takes a header away. */
  readonly headers?: Readonly<Record<string, string | undefined>>
}

export interface Rig {
  readonly kms: KmsClient
  readonly sink: Puppet
  readonly port: number
  readonly server: Server
  /** `GET /keys/x`: below `/v1/kms/nl-01`; a path that begins with `/v1/` or `//` is taken as it is. */
  ask(line: string, asked?: Ask): Promise<Answer>
  /** The entry that the answer names, which there must be. */
  entryOf(answer: Answer): AuditEntry
  /** Entries accepted, results only, without those about the log itself. */
  results(): readonly AuditEntry[]
  /** Sends `text` on a socket, and resolves to all that comes back until the other end closes. */
  socket(text: string | readonly (string | Uint8Array)[]): Promise<string>
  close(): Promise<void>
}

export interface RigOptions extends Partial<KmsHandlerOptions> {
  readonly client?: Partial<Omit<KmsClientOptions, 'audit' | 'provider' | 'project'>>
  readonly provider?: KmsClientOptions['provider']
}

export async function rig({ client = {}, provider = memoryKms(), ...options }: RigOptions = {}): Promise<Rig> {
  const sink = puppet()
  const audit = createAudit({ required: [sink], heartbeatMs: 0, floods: { perWindow: Number.POSITIVE_INFINITY } })
  const shared = { provider, audit, region, ...client }
  const kms = options.kms ?? new KmsClient(shared)
  const handler = createKmsHandler({
    projects: projectClients({ ...shared, exists: (project) => project.startsWith('prj-') }),
    authenticate: (request) =>
      request.headers.get('authorization') === token ? { actor: { type: 'serviceAccount', id: 'svc-1' } } : undefined,
    authorize: () => true,
    organisation,
    allowRawExport: true,
    ...options,
    kms,
  })
  const server = createServer(toNodeHandler(handler)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    kms,
    sink,
    port,
    server,
    async ask(line, asked = {}) {
      const [method = '', path = ''] = line.split(' ')
      const { body, raw, headers = {} } = asked
      const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
      const all = {
        authorization: token,
        'x-organisation-identity': organisation,
        'user-agent': 'rig/1',
        ...(sent !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      }
      const given = Object.entries(all).filter((header): header is [string, string] => header[1] !== undefined)
      const response = await fetch(
        `http://127.0.0.1:${port}${/^\/(?:v1\/|\/)/.test(path) ? path : `/v1/kms/${region}${path}`}`,
        {
          method,
          headers: given,
          ...(sent !== undefined && { body: sent }),
        },
      )
      const text = await response.text()
      const json = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
      return { status: response.status, headers: response.headers, json, text }
    },
    entryOf({ headers }) {
      const eventID = headers.get('x-audit-event-id')
      const found = sink.accepted.filter((entry) => entry.eventID === eventID)
      if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} entries of ${eventID}`)
      return found[0]
    },
    results: () => sink.accepted.filter(({ phase, action }) => phase === 'result' && action !== 'audit.opened'),
    async socket(parts) {
      const stream = connect(port, '127.0.0.1')
      const seen: Uint8Array[] = []
      stream.on('data', (part: Uint8Array) => seen.push(part))
      stream.on('error', () => undefined)
      await once(stream, 'connect')
      for (const part of typeof parts === 'string' ? [parts] : parts) stream.write(part)
      await new Promise((resolve) => stream.on('close', resolve))
      return Buffer.concat(seen).toString('latin1')
    },
    async close() {
      sink.settle('accept')
      sink.mode = 'sync'
      // First: a sink that was down is asked again after a while, on a timer that keeps no process alive.
      await audit.close()
      server.closeAllConnections()
      server.close()
    },
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
