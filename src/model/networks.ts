/** Networks in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), and whether an address is in one of them. */

import { KmsError } from './errors.ts'
import { groupsOfIp } from './ip.ts'

export interface Network {
  /** Numbers of the address, most significant first: four of 8 bits, or eight of 16. */
  readonly groups: readonly number[]
  /** Bits that an address shares with it. */
  readonly prefix: number
}

/**
 * `10.0.0.0/8`, `2001:db8::/32`, or a single address. `name` says in an error where the texts stand.
 *
 * @throws KmsError `INVALID_INPUT` for what is no network, and for one with bits beyond its prefix: `10.1.2.3/8` is a slip.
 */
export function parseNetworks(name: string, texts: readonly string[]): readonly Network[] {
  if (!Array.isArray(texts))
    throw new KmsError('INVALID_INPUT', `'${name}' must be a list of networks in CIDR notation`)
  return texts.map((text: unknown) => {
    const network = typeof text === 'string' ? parseNetwork(text) : undefined
    if (network !== undefined && fits(network)) return network
    throw new KmsError(
      'INVALID_INPUT',
      `'${name}' must hold networks such as 10.0.0.0/8 or 2001:db8::/32, with no bits beyond the prefix, or single addresses`,
    )
  })
}

/** Whether the address is in one of `networks`; what is no address is in none. An IPv4-mapped IPv6 address counts as IPv4. */
export function inNetworks(networks: readonly Network[], ip: string): boolean {
  const groups = groupsOfIp(ip)
  return groups !== undefined && networks.some((network) => contains(network, groups))
}

/**
 * As {@link inNetworks}, and a network such as `192.0.2.0/24`, which is what the field policy keeps of an address, is in those
 * that hold the whole of it.
 */
export function holdsSource(networks: readonly Network[], source: string): boolean {
  if (!source.includes('/')) return inNetworks(networks, source)
  const told = parseNetwork(source)
  return (
    told !== undefined && networks.some((network) => network.prefix <= told.prefix && contains(network, told.groups))
  )
}

function parseNetwork(text: string): Network | undefined {
  const [address = '', prefixText, ...more] = text.split('/')
  const groups = groupsOfIp(address)
  if (groups === undefined || more.length > 0) return undefined
  const bits = groups.length === 4 ? 32 : 128
  if (prefixText === undefined) return { groups, prefix: bits }
  const prefix = /^(?:0|[1-9]\d{0,2})$/.test(prefixText) ? Number(prefixText) : bits + 1
  return prefix > bits ? undefined : { groups, prefix }
}

/** No bit is set beyond the prefix. */
function fits({ groups, prefix }: Network): boolean {
  const width = widthOf(groups)
  return groups.every((group, at) => (group & ~maskOf(prefix - at * width, width)) === 0)
}

function contains({ groups, prefix }: Network, address: readonly number[]): boolean {
  const width = widthOf(groups)
  if (address.length !== groups.length) return false
  return groups.every((group, at) => ((group ^ (address[at] ?? 0)) & maskOf(prefix - at * width, width)) === 0)
}

function widthOf(groups: readonly number[]): number {
  return groups.length === 4 ? 8 : 16
}

/** The upper `bits` of `width`. */
function maskOf(bits: number, width: number): number {
  const ones = 2 ** width - 1
  if (bits >= width) return ones
  return bits <= 0 ? 0 : ones & ~(2 ** (width - bits) - 1)
}
