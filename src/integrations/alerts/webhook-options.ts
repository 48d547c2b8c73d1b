/** The webhook's options, checked when it is made. No refusal quotes an address, whose query may hold a token, or a value. */

import { type Address, checkedAddress } from '../../model/address.ts'
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'

export interface WebhookOptions {
  /** Where findings are posted. `https:`, or `http:` on this machine; without user name and password. */
  readonly url: string
  /** Signs every request; at least 16 bytes, shared with the receiver. Copied. */
  readonly secret: Uint8Array
  /** `webhook` by default. */
  readonly name?: string
  /** Sent with every request, such as `authorization`. Never shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** For one attempt; 5,000 by default. */
  readonly timeoutMs?: number
  /** Further attempts after a network error, 429 or 5xx; 4 by default. */
  readonly retries?: number
  /** Most findings posted one by one within a minute, and as many again of `critical` ones; 30 by default. */
  readonly perMinute?: number
  /** Most findings that are held for a summary; 1,000 by default. */
  readonly mostHeld?: number
  readonly clock?: Clock
}

export interface CheckedWebhook {
  readonly url: Address
  readonly secret: Uint8Array
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly retries: number
  readonly perMinute: number
  readonly mostHeld: number
  readonly clock: Clock
}

const ownHeaders = /^(keytrail-.*|idempotency-key|content-type|content-length|host)$/

export function checkedWebhook(options: WebhookOptions): CheckedWebhook {
  if (typeof options !== 'object' || options === null) throw invalid('takes one object: { url, secret }')
  const { url, secret, name = 'webhook', headers = {}, clock = systemClock } = options
  if (typeof url !== 'string') throw invalid('url must be an absolute address such as https://alerts.example/')
  if (!(secret instanceof Uint8Array && secret.length >= 16))
    throw invalid('secret must be a Uint8Array of 16 bytes or more, shared with the receiver')
  return {
    url: checkedAddress(url, { who: 'webhook', option: 'url', instead: 'send an authorization header instead' }),
    secret: Uint8Array.from(secret),
    ...{ name, headers: checkedHeaders(headers), clock },
    timeoutMs: checkedWhole('timeoutMs', options.timeoutMs ?? 5000, 1),
    retries: checkedWhole('retries', options.retries ?? 4, 0),
    perMinute: checkedWhole('perMinute', options.perMinute ?? 30, 1),
    mostHeld: checkedWhole('mostHeld', options.mostHeld ?? 1000, 1),
  }
}

/** A copy with lower-case names. */
function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const checked = Object.entries(headers).map(([name, value]) => {
    const lower = name.toLowerCase()
    // RFC 9110 §5.6.2: a token.
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) throw invalid('headers holds a name that is not a header name')
    if (ownHeaders.test(lower)) throw invalid(`headers must not hold ${lower}: the webhook sets it`)
    if (typeof value !== 'string' || !/^[\t -~]*$/.test(value)) throw invalid(`header ${lower} must be printable ASCII`)
    return [lower, value] as const
  })
  return Object.fromEntries(checked)
}

function checkedWhole(option: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value
  throw invalid(`${option} must be a whole number of ${min} or more`)
}

function invalid(problem: string): KmsError {
  return new KmsError('INVALID_INPUT', `webhook: ${problem}`)
}
