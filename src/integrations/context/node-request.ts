/** Node's requests and what frameworks make of them, structurally. */
import type { Told } from './said.ts'
import type { Emitter } from './served.ts'

/** An `IncomingMessage` of `node:http` or `node:http2`. */
export interface NodeRequest extends Emitter {
  readonly method?: string | undefined
  readonly headers: { readonly [name: string]: string | string[] | undefined }
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/** `client`: its address as the framework sees it, if there is one. */
export function toldByNode(request: NodeRequest, client?: string | undefined): Told {
  const { remoteAddress: peer } = request.socket
  return { method: request.method, header: (name) => request.headers[name], peer, client: client ?? peer }
}
