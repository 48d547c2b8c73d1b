/** The handler for Node's `http`, structurally: a request with its stream in, a response out, and no more than that. */
import { host, type Signal } from '../../model/host.ts'
import type { RequestInfo } from './access.ts'
import type { AnyResponse, ApiReader, ApiRequest } from './fetch.ts'

/** An `http.IncomingMessage`. */
export interface NodeRequest extends AsyncIterable<unknown> {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly rawHeaders: readonly string[]
  /** Whether all of the body has arrived. */
  readonly complete: boolean
  readonly socket: { readonly remoteAddress?: string | undefined }
  resume(): unknown
}

/** An `http.ServerResponse`. */
export interface NodeResponse {
  readonly writableFinished: boolean
  readonly destroyed: boolean
  on(event: 'close' | 'error', listener: () => void): unknown
  writeHead(status: number, headers: Record<string, string>): unknown
  end(body?: Uint8Array): unknown
}

/**
 * A listener for `createServer` of `node:http`. The signal of a request aborts when its caller is gone. Whoever is refused
 * before their body has arrived is told so, and the connection is closed: nothing more of it is read than fits.
 *
 * What Node's parser refuses (malformed requests, too many or too large headers) or its server answers itself (`CONNECT`, an
 * `Expect` that it does not know) is no request and leaves no entry. Set the server's own `headersTimeout` and `requestTimeout` for
 * callers who never end their headers.
 */
export function toNodeHandler(
  handler: (request: ApiRequest, info: RequestInfo) => Promise<AnyResponse>,
): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  return async (request, response) => {
    const { remoteAddress } = request.socket
    const controller = new host.AbortController()
    response.on('error', nothing)
    response.on('close', () => {
      if (!response.writableFinished) controller.abort()
    })
    const answer = await handler(requestOf(request, controller.signal), {
      // The operating system adds a zone where the address is of one link only.
      ...(remoteAddress !== undefined && { peerIp: remoteAddress.replace(/%.*$/, '') }),
    })
    const headers: Record<string, string> = {}
    answer.headers.forEach((value, name) => {
      headers[name] = value
    })
    const body = new Uint8Array(await answer.arrayBuffer())
    if (response.destroyed) return
    if (!request.complete) headers['connection'] = 'close'
    if (answer.status !== 204) headers['content-length'] = String(body.length)
    response.writeHead(answer.status, headers)
    response.end(body)
    // What still arrives is thrown away until the connection ends, or the answer might never be seen.
    if (!request.complete) request.resume()
  }
}

function requestOf(request: NodeRequest, signal: Signal): ApiRequest {
  const { method = '', url = '' } = request
  const headers = headersOf(request.rawHeaders)
  return {
    method,
    url,
    headers: { get: (name) => headers.get(name.toLowerCase()) ?? null },
    body: { getReader: () => readerOf(request) },
    signal,
  }
}

/** Of a name that stands there twice both values, joined as fetch does: Node's own `headers` keep one of them. */
function headersOf(raw: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    const before = headers.get(name)
    const value = raw[at + 1] ?? ''
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return headers
}

function readerOf(request: NodeRequest): ApiReader {
  const parts = request[Symbol.asyncIterator]()
  return {
    async read() {
      const { done = false, value } = await parts.next()
      if (done) return { done }
      // A stream of Node without an encoding gives bytes; whoever set one finds the request refused.
      return value instanceof Uint8Array ? { done, value } : { done, value: undefined }
    },
    // Ending the iterator would end the connection before the answer is sent.
    cancel: async () => undefined,
  }
}

function nothing(): void {}
