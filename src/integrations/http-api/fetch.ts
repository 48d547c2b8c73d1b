/** What of the fetch standard is used, structurally: the handler runs wherever there are `Request`, `Response` and streams. */
import type { Signal } from '../../model/host.ts'

/** A fetch-style `Request`: the host's own, or what an adapter makes. */
export interface ApiRequest {
  readonly method: string
  /** Absolute, or only path and query. */
  readonly url: string
  readonly headers: { get(name: string): string | null }
  readonly body: ApiBody | null
  readonly signal?: Signal | null
}

/** A `ReadableStream` of bytes. */
export interface ApiBody {
  getReader(): ApiReader
}

export interface ApiReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
  cancel(): Promise<void>
}

/** What every `Response` has. */
export interface AnyResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null; forEach(each: (value: string, name: string) => void): void }
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The host's `Response` where its type is known, so that frameworks take what the handler returns. */
export type ApiResponse = typeof globalThis extends { Response: new (...given: never[]) => infer R } ? R : AnyResponse

/** What is sent: bytes of JSON, or nothing. */
export interface Reply {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

// Every supported runtime has it; ES2023's library does not declare it.
const { Response } = globalThis as unknown as {
  readonly Response: new (
    body: string | null,
    init: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  ) => ApiResponse
}

/** Nothing of this API is to be kept by a cache or guessed at by a browser. */
const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

export function responseOf({ status, body, headers = {} }: Reply): ApiResponse {
  if (body === undefined) return new Response(null, { status, headers: { ...always, ...headers } })
  const type = { 'content-type': 'application/json; charset=utf-8' }
  return new Response(JSON.stringify(body), { status, headers: { ...always, ...type, ...headers } })
}
