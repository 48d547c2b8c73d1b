/**
 * What Vault's and OpenBao's transit engine gives: `vault:v<version>:<base64>`, as UTF-8 bytes. Go's reader takes several
 * spellings of one value (a sign or zeros before the version, line ends within the base64); here there is one.
 */
import { fromBase64, fromBase64url, fromUtf8 } from './bytes.ts'

const scheme = 'vault:'
const prefix = `${scheme}v`
const longestVersion = 10
const [zero, nine, colon] = [0x30, 0x39, 0x3a]

/** The key version that a text names, or undefined for what does not begin as such a text. */
export function transitVersion(text: Uint8Array): number | undefined {
  return headOf(text)?.version
}

/** Whether these bytes are to be read as such a text, well spelt or not: no signature or MAC begins like this by chance. */
export function isTransitText(bytes: Uint8Array): boolean {
  for (let at = 0; at < scheme.length; at++) if (bytes[at] !== scheme.charCodeAt(at)) return false
  return true
}

/** Standard alphabet with padding, or, for `marshaling_algorithm: jws`, the URL's without. */
export type TransitEncoding = 'base64' | 'base64url'

export interface TransitValue {
  readonly version: number
  readonly body: Uint8Array
}

/** Undefined for every spelling but the one. */
export function readTransit(text: Uint8Array, encoding: TransitEncoding = 'base64'): TransitValue | undefined {
  const head = headOf(text)
  if (head === undefined) return undefined
  const encoded = fromUtf8(text.subarray(head.length))
  if (encoded === undefined) return undefined
  const body = encoding === 'base64' ? fromBase64(encoded) : fromBase64url(encoded)
  return body === undefined ? undefined : { version: head.version, body }
}

function headOf(text: Uint8Array): { readonly version: number; readonly length: number } | undefined {
  for (let at = 0; at < prefix.length; at++) if (text[at] !== prefix.charCodeAt(at)) return undefined
  let version = 0
  for (let at = prefix.length; at <= prefix.length + longestVersion; at++) {
    const code = text[at] ?? 0
    if (code === colon) return version > 0 && version <= 0xffff_ffff ? { version, length: at + 1 } : undefined
    // Also where the version begins with a zero.
    if (code < zero || code > nine || (version === 0 && code === zero)) return undefined
    version = 10 * version + code - zero
  }
  return undefined
}
