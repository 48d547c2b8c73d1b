/** @node An HTTP server that answers add-checkpoint as a test says, for witnesses that are well and for sick ones. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Cosigner } from './cosigner.ts'

export interface Asked {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The size in the first line. */
  readonly old: string
  /** The proof, as it is spelled. */
  readonly proof: readonly string[]
  /** What follows the first empty line. */
  readonly note: string
}

export type Handler = (asked: Asked, response: ServerResponse) => void

export interface WitnessServer {
  readonly url: string
  readonly asked: readonly Asked[]
  /** What the next requests meet, one each; the last one stays. */
  answer(...handlers: readonly Handler[]): void
  /** How many were made. */
  connections(): number
  /** Resolves when so many requests have come. */
  askedTimes(count: number): Promise<void>
}

export async function witnessServer(t: TestContext, ...handlers: readonly Handler[]): Promise<WitnessServer> {
  let waiting = [...handlers]
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const end = body.indexOf('\n\n')
    const [old = '', ...proof] = body.slice(0, end).split('\n')
    const one = {
      method: request.method,
      path: request.url,
      headers: request.headers,
      body,
      old,
      proof,
      note: body.slice(end + 2),
    }
    asked.push(one)
    const [handler] = waiting.length > 1 ? waiting.splice(0, 1) : waiting
    handler?.(one, response)
    server.emit('asked')
  })
  let connections = 0
  server.on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  // A server on a port has an address of this shape.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    connections: () => connections,
    answer(...next) {
      waiting = [...next]
    },
    async askedTimes(count) {
      while (asked.length < count) await once(server, 'asked')
    },
  }
}

/** 200 and `body`. */
export function says(body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Handler {
  return (_, response) => response.writeHead(200, headers).end(body)
}

export function cosigns(cosigner: Cosigner, seconds = 1_760_000_000): Handler {
  return ({ note }, response) => response.end(cosigner.cosign(note, seconds))
}

export function refuses(status: number, body = '', headers: Readonly<Record<string, string>> = {}): Handler {
  return (_, response) => response.writeHead(status, headers).end(body)
}

/** 409 as the specification words it. */
export function hasSize(size: bigint | number): Handler {
  return refuses(409, `${size}\n`, { 'content-type': 'text/x.tlog.size' })
}

/** Never answers. */
export const hangs: Handler = () => {}
