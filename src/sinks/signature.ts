/** The signature of requests that are posted: over the moment too, so that one cannot be played again later. */
import { engine } from '#engine'
import { concat, hex, utf8 } from '../crypto/bytes.ts'
import { hmacSha256 } from '../crypto/mac.ts'

/** `v1=` and, in hex, HMAC-SHA-256 of timestamp, `.` and body (RFC 2104). */
export function signatureOf(secret: Uint8Array, timestamp: string, body: Uint8Array): string {
  return `v1=${hex(hmacSha256(engine, secret, concat([utf8(`${timestamp}.`), body])))}`
}
