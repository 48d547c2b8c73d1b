/** The addresses that `Forwarded` (RFC 7239) and `X-Forwarded-For` tell, from the right: what the nearest proxy wrote comes first. */
import { normalizeIp } from '../../model/ip.ts'

/** Far above what an address with its port takes; longer is not looked at. */
const maxNode = 64
const maxElement = 2048

/** Each element's address in its one spelling, or undefined for what is no address: `unknown`, `_hidden`, junk. */
export function* forwardedFromRight(header: string): Generator<string | undefined> {
  for (const element of elementsFromRight(header, 'quotes')) yield forOf(element)
}

/** As {@link forwardedFromRight}. */
export function* xForwardedForFromRight(header: string): Generator<string | undefined> {
  for (const element of elementsFromRight(header, 'no quotes')) yield addressIn(element)
}

/** An address with or without port, IPv6 in brackets if there is one. Octal, hexadecimal, zones and names are none. */
export function addressIn(text: string): string | undefined {
  if (text.length > maxNode) return undefined
  const [, six, four, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  if (port !== undefined && Number(port) > 65_535) return undefined
  if (six !== undefined) return six.includes(':') ? normalizeIp(six) : undefined
  return normalizeIp(four ?? text)
}

/**
 * The elements of a list (RFC 9110 §5.6.1), last first, without empty ones. From the right because whoever is further left may
 * have written anything, an opening quote too, and must not change how what a proxy appended is read.
 */
function* elementsFromRight(header: string, quotes: 'quotes' | 'no quotes'): Generator<string> {
  let end = header.length
  let isQuoted = false
  for (let at = end - 1; at >= -1; at--) {
    const sign = at < 0 ? ',' : header[at]
    if (sign === '"' && quotes === 'quotes') isQuoted = isQuoted ? isEscaped(header, at) : true
    else if (sign === ',' && (!isQuoted || at < 0)) {
      const element = trimmed(header, at + 1, end)
      if (element !== '') yield element
      end = at
    }
  }
}

function trimmed(header: string, from: number, to: number): string {
  let [start, end] = [from, to]
  while (start < end && isBlank(header[start])) start++
  while (start < end && isBlank(header[end - 1])) end--
  return header.slice(start, end)
}

function isBlank(sign: string | undefined): boolean {
  return sign === ' ' || sign === '\t'
}

/** RFC 9110 §5.6.4: an odd number of backslashes before it. */
function isEscaped(header: string, at: number): boolean {
  let backslashes = 0
  while (header[at - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}

/** RFC 7239 §4: `name=value` pairs between semicolons; a value is a token or quoted. */
const pair =
  /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t -~])*)")[ \t]*)?(;|$)/y

/** The address of the one `for` in an element. */
function forOf(element: string): string | undefined {
  if (element.length > maxElement) return undefined
  let node: string | undefined
  for (let end: string | undefined = ';', at = 0; end === ';'; at = pair.lastIndex) {
    pair.lastIndex = at
    const found = pair.exec(element)
    if (found === null) return undefined
    const [, name, token, quoted] = found
    end = found[4]
    if (name?.toLowerCase() !== 'for') continue
    if (node !== undefined) return undefined
    node = token ?? quoted?.replace(/\\(.)/g, '$1')
  }
  return node === undefined ? undefined : nodeAddress(node)
}

/** RFC 7239 §6: IPv6 is in brackets, and a port may be an obfuscated one. */
function nodeAddress(node: string): string | undefined {
  if (!node.startsWith('[') && node.indexOf(':') !== node.lastIndexOf(':')) return undefined
  return addressIn(node.replace(/:_[\w.-]+$/, ''))
}
