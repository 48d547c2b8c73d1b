/**
 * @node The collector that the http sink posts to, from every runtime: it checks signatures with Node's own HMAC, keeps what
 * came, and answers as the path says: `/<behaviour>/<id>`. `/received/<id>` tells what came.
 */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { type Received, secret } from './portable/collected.ts'

export interface Collector {
  /** Without a slash at its end. */
  readonly origin: string
  close(): Promise<void>
}

// A page of another origin posts here too.
const cors = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': 'authorization, content-type, keytrail-batch, keytrail-timestamp, keytrail-signature',
}

export async function startCollector(): Promise<Collector> {
  const received = new Map<string, readonly Received[]>()

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, behaviour = '', id = ''] = (request.url ?? '').split('/')
    if (request.method === 'OPTIONS') return end(response, 204)
    if (behaviour === 'received') return end(response, 200, JSON.stringify(received.get(id) ?? []))
    const before = received.get(id) ?? []
    received.set(id, [...before, await readRequest(request)])
    if (behaviour === 'accept') return end(response, 200)
    if (behaviour === 'busy-once') return end(response, before.length === 0 ? 503 : 200)
    if (behaviour === 'redirect') return end(response.setHeader('location', `/accept/${id}`), 307)
    if (behaviour === 'refuse') return end(response, 400)
    // Anything else is 'hang': no answer.
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Listening on TCP it has such an address.
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function end(response: ServerResponse, status: number, body = ''): void {
  response.writeHead(status, cors).end(body)
}

async function readRequest(request: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString('utf8')
  const header = (name: string): string => String(request.headers[name] ?? '')
  const signed = `${header('keytrail-timestamp')}.${body}`
  const signature = `v1=${createHmac('sha256', secret).update(signed).digest('hex')}`
  return {
    signed: header('keytrail-signature') === signature,
    batch: header('keytrail-batch'),
    contentType: header('content-type'),
    authorization: header('authorization'),
    body,
  }
}
