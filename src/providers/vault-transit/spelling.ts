/**
 * `vault:vN:` texts, in the one spelling that transit gives: N without leading zeros, 1 or more, then padded base64 (RFC 4648
 * §4) without stray bits. Its decoder takes others too; here they are refused, so that one value has one text.
 */
import { fromBase64, fromBase64url, toBase64, toBase64url } from '../../crypto/bytes.ts'

export interface Versioned {
  readonly version: number
  readonly bytes: Uint8Array
}

/** `jws` signatures are base64url without padding. */
export type Base64 = 'standard' | 'url'

export function readVersioned(text: string, base64: Base64 = 'standard'): Versioned | undefined {
  const [, digits, payload] = /^vault:v([1-9][0-9]{0,9}):(.+)$/s.exec(text) ?? []
  if (digits === undefined || payload === undefined) return undefined
  const version = Number(digits)
  const bytes = base64 === 'standard' ? fromBase64(payload) : fromBase64url(payload)
  return bytes === undefined || version > 0xffff_ffff ? undefined : { version, bytes }
}

export function writeVersioned({ version, bytes }: Versioned, base64: Base64 = 'standard'): string {
  return `vault:v${version}:${base64 === 'standard' ? toBase64(bytes) : toBase64url(bytes)}`
}
