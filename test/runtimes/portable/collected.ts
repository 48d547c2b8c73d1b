/** What the cases and the collector both know. */

/** Signs every request. */
export const secret: Uint8Array = new TextEncoder().encode('a secret of thirty-two bytes 012')

/** How the collector answers. */
export type Behaviour = 'accept' | 'busy-once' | 'refuse' | 'hang' | 'redirect'

/** One request as the collector found it. */
export interface Received {
  /** Whether the collector's own HMAC says that it is signed. */
  readonly signed: boolean
  readonly batch: string
  readonly contentType: string
  readonly authorization: string
  readonly body: string
}
