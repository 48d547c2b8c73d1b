/** What a transit provider is made with, checked once. No refusal quotes a token or an address. */
import { type Address, checkedAddress } from '../../model/address.ts'
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { type HttpResponse, host } from '../../model/host.ts'
import type { Scope } from '../../model/key.ts'

/** A token, and for how many ms it holds if that is known: it is replaced before then. */
export type VaultToken = string | { readonly token: string; readonly ttlMs?: number }

export interface VaultTransitOptions {
  /** Of the server, such as `https://vault.example:8200`; `http:` on this machine only. A path before `/v1` may follow. */
  readonly address: string
  /**
   * The token, or what gives one. A callback is called before the first request, again when a token is near its end, and again
   * after a 403: once for all calls that wait, and after a 403 not more often than every 5 seconds.
   */
  readonly token: string | (() => VaultToken | Promise<VaultToken>)
  /** How entries name this provider; `vault-transit` by default. */
  readonly name?: string
  /** Where the transit engine is mounted; `transit` by default. */
  readonly mount?: string
  /** Sent as `X-Vault-Namespace`. */
  readonly namespace?: string
  /** The region and project that the keys belong to: a client of another finds none. By default any finds them. */
  readonly scope?: Scope
  /** How long what a key is (its type, whether it is derived, its newest version) is remembered, ms; 60,000 by default. */
  readonly resolveTtlMs?: number
  /** For one request; 5,000 by default. The call's own deadline ends it sooner. */
  readonly requestTimeoutMs?: number
  /** Further attempts where a repeat is harmless; 2 by default. */
  readonly retries?: number
  /** Allows `http:` to other machines: whoever is on the way reads the token and every plaintext. */
  readonly allowInsecure?: true
  /** Instead of the host's `fetch`: for a private certificate authority or client certificates. Must not follow redirects. */
  readonly fetch?: (url: string, init: object) => Promise<HttpResponse>
  readonly clock?: Clock
}

export interface TransitOptions {
  readonly name: string
  /** Up to and including the mount, without a final slash. */
  readonly base: string
  /** What stands before a key's name in its identity. */
  readonly prefix: string
  readonly token: VaultTransitOptions['token']
  readonly namespace: string | undefined
  readonly scope: Scope | undefined
  readonly resolveTtlMs: number
  readonly requestTimeoutMs: number
  readonly retries: number
  readonly fetch: NonNullable<VaultTransitOptions['fetch']>
  readonly clock: Clock
}

const segment = /^[\w.-]*\w[\w.-]*$/

export function checkedOptions(options: VaultTransitOptions): TransitOptions {
  if (typeof options !== 'object' || options === null) throw invalid('takes one object: { address, token }')
  const { token, scope, name = 'vault-transit', fetch = host.fetch, clock = systemClock } = options
  const address = checkedBase(options)
  const mount = checkedPath('mount', options.mount ?? 'transit')
  const namespace = options.namespace === undefined ? undefined : checkedPath('namespace', options.namespace)
  if (typeof token === 'string') checkedToken(token)
  else if (typeof token !== 'function') throw invalid('token must be a string or a function that gives one')
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
    throw invalid('name must be 1–64 letters, digits, - _ or .')
  if (typeof fetch !== 'function') throw invalid('fetch must be a function')
  return {
    name,
    base: `${address.href.replace(/\/+$/, '')}/v1/${mount}`,
    prefix: `${namespace === undefined ? '' : `${namespace}/`}${mount}/`,
    token,
    namespace,
    scope,
    resolveTtlMs: checkedWhole('resolveTtlMs', options.resolveTtlMs ?? 60_000, 0),
    requestTimeoutMs: checkedWhole('requestTimeoutMs', options.requestTimeoutMs ?? 5_000, 1),
    retries: checkedWhole('retries', options.retries ?? 2, 0),
    fetch,
    clock,
  }
}

/** `token` if it can stand in a header. */
export function checkedToken(token: unknown): string {
  if (typeof token === 'string' && /^[!-~]{1,8192}$/.test(token)) return token
  throw invalid('the token must be printable ASCII without spaces')
}

function checkedBase({ address, allowInsecure }: VaultTransitOptions): Address {
  const rule = { who: 'vault transit', option: 'address', allowInsecure, instead: 'a token says who you are' }
  const url = checkedAddress(address, rule)
  if (url.search !== '' || url.hash !== '') throw invalid('address must not hold a query or a fragment')
  return url
}

function checkedPath(option: string, text: unknown): string {
  const path = typeof text === 'string' ? text.replace(/^\/|\/$/g, '') : ''
  if (path.split('/').every((part) => segment.test(part))) return path
  throw invalid(`${option} must be names of letters, digits, - _ and ., joined by /`)
}

function checkedWhole(option: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value
  throw invalid(`${option} must be an integer of ${min} or more`)
}

function invalid(problem: string): KmsError {
  return new KmsError('INVALID_INPUT', `vault transit: ${problem}`)
}
