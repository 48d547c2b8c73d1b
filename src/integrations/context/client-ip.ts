/** The client's address, through proxies that are trusted by name and no others. */

import type { RequestContext } from '../../model/context.ts'
import { normalizeIp } from '../../model/ip.ts'
import { inNetworks, type Network, parseNetworks } from '../../model/networks.ts'
import { addressIn, forwardedFromRight, xForwardedForFromRight } from './forwarded.ts'

/** Stands for an address that cannot be told: the audit drops it and flags the entry `client_ip_invalid`. */
const untellable = 'invalid'

/** More proxies in a row than anyone has. */
const maxProxies = 32

type Header = string | readonly string[] | null | undefined

/** What a request says of where it comes from. Give only the header that your proxies write, if you know which it is. */
export interface ForwardedRequest {
  /** Address of the connection's other end. */
  readonly peer: string | undefined
  /** `Forwarded` (RFC 7239). */
  readonly forwarded?: Header
  /** `X-Forwarded-For`. */
  readonly xForwardedFor?: Header
}

/** `clientIp`, and `peerIp` where it is another. */
export type ClientAddress = Pick<RequestContext, 'clientIp' | 'peerIp'>

/**
 * The fields of a request's context that say where it comes from. Headers count only as far as `trustedProxies` (networks in
 * CIDR notation or single addresses) wrote them: from the right, each trusted address vouches for the one left of it, and the
 * first that is not trusted is the client. What a client wrote itself is never reached.
 *
 * An element on that way which holds no address (`unknown`, `_hidden`, octal, hexadecimal, a zone, junk), more than 32 proxies, or
 * two headers that disagree make the client untellable: `clientIp` is then a text that the audit drops and flags
 * `client_ip_invalid`. With the peer unknown there is neither.
 *
 * @throws KmsError `INVALID_INPUT` for proxies that are no networks.
 *
 * @example
 * ```ts
 * clientIpOf({ peer: '10.0.0.7', xForwardedFor: '6.6.6.6, 203.0.113.9' }, ['10.0.0.0/8'])
 * // { clientIp: '203.0.113.9', peerIp: '10.0.0.7' }
 * ```
 */
export function clientIpOf(request: ForwardedRequest, trustedProxies: readonly string[]): ClientAddress {
  return forwardedAddress(request, parseNetworks('trustedProxies', trustedProxies))
}

/** {@link clientIpOf} with its networks parsed. */
export function forwardedAddress(request: ForwardedRequest, trusted: readonly Network[]): ClientAddress {
  const peer = peerAddress(request.peer)
  if (peer === undefined) return {}
  const xForwardedFor = textOf(request.xForwardedFor)
  const forwarded = textOf(request.forwarded)
  const told: string[] = []
  if (xForwardedFor !== '') told.push(walk(peer, xForwardedForFromRight(xForwardedFor), trusted))
  if (forwarded !== '') told.push(walk(peer, forwardedFromRight(forwarded), trusted))
  // A proxy that writes the one header hands the other on as the client wrote it: whichever is taken, it may be a lie.
  const [clientIp = peer, other = clientIp] = told
  return besidePeer(clientIp === other ? clientIp : untellable, peer)
}

/** A client that somebody else has told of, in its one spelling, and the peer where it is another. */
export function toldAddress(client: string | null | undefined, connected: string | undefined): ClientAddress {
  const peer = peerAddress(connected)
  // Who connects is the operating system's word here too, zone and all.
  if (client && client === connected) return besidePeer(peer ?? untellable, peer)
  return besidePeer(client ? (addressIn(client) ?? untellable) : undefined, peer)
}

function besidePeer(clientIp: string | undefined, peer: string | undefined): ClientAddress {
  return {
    ...(clientIp !== undefined && { clientIp }),
    ...(peer !== undefined && peer !== clientIp && { peerIp: peer }),
  }
}

/** The operating system's own word, with a zone where the address is of one link only. */
function peerAddress(text: string | undefined): string | undefined {
  return text === undefined ? undefined : normalizeIp(text.split('%', 1)[0] ?? '')
}

/** From the peer to the first address that is not trusted, or the last that is told. */
function walk(peer: string, hops: Iterable<string | undefined>, trusted: readonly Network[]): string {
  let address = peer
  let proxies = 0
  for (const hop of hops) {
    if (!inNetworks(trusted, address)) break
    if (hop === undefined || ++proxies > maxProxies) return untellable
    address = hop
  }
  return address
}

function textOf(header: Header): string {
  return typeof header === 'string' ? header : (header ?? []).join(',')
}
