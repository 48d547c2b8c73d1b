/** For receivers of webhooks: whether a message is ours, and what it says. */
import { fromUtf8 } from '../../crypto/bytes.ts'
import type { Finding } from '../../detect/finding.ts'
import { findingFormat, type Told } from '../../detect/finding-line.ts'
import { type SignedRequest, verifySignature } from '../../sinks/http.ts'
import { type HeldFindings, heldFormat } from './held.ts'

/** What a webhook's body says: one finding, or which ones were held back. `format` tells them apart. */
export type AlertMessage = (Finding & Told & { readonly format: typeof findingFormat }) | HeldFindings

/**
 * The message of a request that a `webhookDelivery` with this `secret` made at most five minutes ago; undefined for any other.
 * Within that time the same request can be played again: keep the first of equal `id`s.
 *
 * @example
 * ```ts
 * const message = verifyAlert({
 *   secret,
 *   timestamp: request.headers.get('keytrail-timestamp'),
 *   signature: request.headers.get('keytrail-signature'),
 *   body: new Uint8Array(await request.arrayBuffer()),
 * })
 * if (message === undefined) return new Response(null, { status: 401 })
 * ```
 */
export function verifyAlert(request: SignedRequest): AlertMessage | undefined {
  if (!verifySignature(request)) return undefined
  const message = parsed(request.body)
  if (message?.format !== findingFormat && message?.format !== heldFormat) return undefined
  return message
}

function parsed(body: Uint8Array): AlertMessage | null | undefined {
  try {
    // Whoever has the secret wrote it.
    return JSON.parse(fromUtf8(body) ?? '') as AlertMessage | null
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
