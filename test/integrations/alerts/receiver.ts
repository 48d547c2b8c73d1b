/** @node A receiver of webhooks on this machine. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type AlertMessage, verifyAlert } from '../../../src/integrations/alerts/verify-alert.ts'

export const secret: Uint8Array = Uint8Array.from({ length: 32 }, (_, at) => at)

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Undefined when it is not signed. */
  readonly message: AlertMessage | undefined
}

export interface Receiver {
  readonly url: string
  readonly requests: readonly Received[]
  /** Ids of what was signed and accepted, in order. */
  readonly accepted: readonly string[]
  /** Resolves when so many requests have come and were answered. */
  came(count: number): Promise<void>
}

export interface ReceiverOptions {
  /** Status of the answer to request number n; 204 by default. Undefined: it answers by itself, or never. */
  readonly answer?: (number: number, response: ServerResponse) => number | undefined
  /** What time it is for it; the host's clock by default. */
  readonly now?: () => number
}

export async function receiver(t: TestContext, { answer = () => 204, now }: ReceiverOptions = {}): Promise<Receiver> {
  const requests: Received[] = []
  const accepted: string[] = []
  let heard = () => {}
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { headers } = request
      const header = (name: string) => [headers[name]].flat()[0]
      const signed = { timestamp: header('keytrail-timestamp'), signature: header('keytrail-signature') }
      const message = verifyAlert({ secret, ...signed, body, ...(now && { now: now() }) })
      requests.push({ headers, body, message })
      const status = answer(requests.length - 1, response)
      if (status !== undefined) {
        if (status < 300 && message !== undefined) accepted.push(message.id)
        response.writeHead(status).end()
      }
      heard()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // The address of a TCP server is not a pipe's name.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/alerts`,
    requests,
    accepted,
    came(count) {
      return new Promise((resolve) => {
        heard = () => void (requests.length >= count && resolve())
        heard()
      })
    },
  }
}
