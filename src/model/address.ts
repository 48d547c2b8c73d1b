/** Addresses of services, checked before a secret goes to one. No refusal quotes an address, whose query may hold a token. */
import { KmsError } from './errors.ts'

/** A parsed URL. */
export interface Address {
  readonly href: string
  readonly protocol: string
  readonly host: string
  readonly hostname: string
  readonly pathname: string
  readonly search: string
  readonly hash: string
  readonly username: string
  readonly password: string
}

// `URL` is in every supported runtime and not in ES2023's library.
const { URL } = globalThis as unknown as { readonly URL: new (url: string) => Address }

export interface AddressRule {
  /** Whose option it is, for the refusal. */
  readonly who: string
  /** Its name. */
  readonly option: string
  /** Allows `http:` to other machines than this one. */
  readonly allowInsecure?: true | undefined
  /** What to do instead of writing a user name and password into it. */
  readonly instead: string
}

/** `text` parsed: `https:`, or `http:` on this machine, without user name and password; anything else is `INVALID_INPUT`. */
export function checkedAddress(text: string, { who, option, allowInsecure, instead }: AddressRule): Address {
  const invalid = (problem: string, cause?: unknown) =>
    new KmsError('INVALID_INPUT', `${who}: ${option} ${problem}`, cause === undefined ? {} : { cause })
  const url = parsed(text, invalid)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid('must begin with https:')
  if (url.username !== '' || url.password !== '') throw invalid(`must not hold a user name or password; ${instead}`)
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && allowInsecure !== true)
    throw invalid('must be https: for another machine, or set allowInsecure: true')
  return url
}

function parsed(text: string, invalid: (problem: string, cause: unknown) => KmsError): Address {
  try {
    return new URL(text)
  } catch (error) {
    throw invalid('must be an absolute address such as https://logs.example/', error)
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.[0-9]{1,3}){3}$/.test(hostname)
}
