/** A sink that posts entries to a collector over HTTP; portable, for hosts without a disk. */
import { concat, equal, utf8, wipe } from '../crypto/bytes.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { lineOf } from '../model/line.ts'
import { backOff } from '../model/retry.ts'
import type { AuditSink } from '../model/sink.ts'
import { attemptOnce, isPassing, refusal } from './http-attempt.ts'
import { checkedHeaders, checkedSecret, checkedUrl, checkedWhole } from './http-options.ts'
import { signatureOf } from './signature.ts'

export interface HttpSinkOptions {
  /** Where batches are posted. `https:`, or `http:` on this machine; without user name and password. */
  readonly url: string
  /** `http` by default. */
  readonly name?: string
  /** Signs every request; at least 16 bytes, shared with the receiver. Copied. */
  readonly secret?: Uint8Array
  /** Sent with every request, such as `authorization`. Never shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** For one `write` in all, retries included; 4,000 by default, below the emitter's own deadline of 5,000. */
  readonly timeoutMs?: number
  /** Further attempts after a network error, 429 or 5xx; 3 by default. */
  readonly retries?: number
  /** A batch larger than this is posted in several requests, in order; 1 MiB by default. */
  readonly maxBatchBytes?: number
  /** Allows `http:` to other machines. Whoever is on the way can then read and drop entries. */
  readonly allowInsecure?: true
  readonly clock?: Clock
}

/**
 * Posts each batch as JSON Lines and accepts when the collector answers 2xx: the collector must answer so only when
 * the entries are safe with it. Anything else is `AUDIT_REFUSED`; a redirect is never followed. Request headers:
 *
 * - `content-type: application/x-ndjson`
 * - `keytrail-batch`: `eventID` of the first entry in the body. A request may come twice, and entries may come again
 *   in another batch: a collector keeps the first of equal `eventID`s.
 * - `keytrail-timestamp`, with a secret: seconds since the epoch, when this attempt was made
 * - `keytrail-signature`, with a secret: `v1=` and, in hex, HMAC-SHA-256 of timestamp, `.` and body (RFC 2104)
 *
 * A receiver checks the last two with {@link verifySignature}.
 *
 * @example
 * ```ts
 * const sink = httpSink({ url: 'https://logs.example/keytrail', secret, headers: { authorization: `Bearer ${token}` } })
 * ```
 */
export function httpSink(options: HttpSinkOptions): AuditSink {
  const { name = 'http', clock = systemClock } = options
  const url = checkedUrl(options.url, options.allowInsecure)
  const headers = checkedHeaders(options.headers ?? {})
  const secret = checkedSecret(options.secret)
  const timeoutMs = checkedWhole('timeoutMs', options.timeoutMs ?? 4_000, 1)
  const retries = checkedWhole('retries', options.retries ?? 3, 0)
  const maxBatchBytes = checkedWhole('maxBatchBytes', options.maxBatchBytes ?? 1024 * 1024, 1)
  let closed = false

  async function post(batch: string, body: Uint8Array, deadline: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (closed) throw closedError()
      const answer = await attemptOnce({ url: url.href, body, headers: headersOf(batch, body), deadline, clock })
      if (answer.status !== undefined && answer.status >= 200 && answer.status < 300) return
      const pause = answer.retryAfterMs ?? backOff(attempt)
      const worthIt = isPassing(answer) && attempt < retries && clock.monotonic() + pause < deadline
      if (!worthIt) throw refusal(url.host, answer)
      // Not the clock's timer: a write under way keeps its process alive, as its sockets do.
      await new Promise<void>((resolve) => host.setTimeout(resolve, pause))
    }
  }

  function headersOf(batch: string, body: Uint8Array): Readonly<Record<string, string>> {
    const plain = { ...headers, 'content-type': 'application/x-ndjson', 'keytrail-batch': batch }
    if (secret === undefined) return plain
    const timestamp = String(Math.floor(clock.now() / 1000))
    return {
      ...plain,
      'keytrail-timestamp': timestamp,
      'keytrail-signature': signatureOf(secret, timestamp, body),
    }
  }

  return {
    name,
    durability: 'remote',
    async write(entries) {
      if (closed) throw closedError()
      const deadline = clock.monotonic() + timeoutMs
      for (const { batch, body } of bodiesOf(entries, maxBatchBytes)) await post(batch, body, deadline)
    },
    async close() {
      closed = true
      if (secret !== undefined) wipe(secret)
    },
  }
}

export interface SignedRequest {
  readonly secret: Uint8Array
  /** Header `keytrail-timestamp`. */
  readonly timestamp: string | null | undefined
  /** Header `keytrail-signature`. */
  readonly signature: string | null | undefined
  /** The body's exact bytes, before any parsing. */
  readonly body: Uint8Array
  /** Milliseconds since the epoch; the host's clock by default. */
  readonly now?: number
  /** How far the timestamp may lie from `now`, either way; 300,000 by default. */
  readonly toleranceMs?: number
}

/**
 * For receivers: whether a request of {@link httpSink} was made with `secret` and is recent. False for anything
 * malformed. Within the tolerance the same request can be played again; equal `eventID`s tell.
 */
export function verifySignature(request: SignedRequest): boolean {
  const { secret, timestamp, signature, body, now = systemClock.now(), toleranceMs = 300_000 } = request
  if (typeof timestamp !== 'string' || !/^[0-9]{1,12}$/.test(timestamp)) return false
  if (typeof signature !== 'string' || !/^v1=[0-9a-f]{64}$/.test(signature)) return false
  if (!(Math.abs(now - Number(timestamp) * 1000) <= toleranceMs)) return false
  return equal(utf8(signature), utf8(signatureOf(secret, timestamp, body)))
}

function closedError(): KmsError {
  return new KmsError('CLOSED', 'the http sink is closed')
}

function* bodiesOf(entries: readonly AuditEntry[], maxBytes: number): Generator<{ batch: string; body: Uint8Array }> {
  let lines: Uint8Array[] = []
  let bytes = 0
  let batch = ''
  for (const entry of entries) {
    const line = utf8(`${lineOf(entry)}\n`)
    if (lines.length > 0 && bytes + line.length > maxBytes) {
      yield { batch, body: concat(lines) }
      lines = []
      bytes = 0
    }
    if (lines.length === 0) batch = entry.eventID
    lines.push(line)
    bytes += line.length
  }
  if (lines.length > 0) yield { batch, body: concat(lines) }
}
