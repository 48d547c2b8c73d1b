/** A witness as it is named in options, checked when it is first heard of. No refusal quotes a header. */
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import { type CosignatureVerifier, cosignatureVerifier } from './cosignature.ts'

export interface WitnessOptions {
  /** The witness's submission prefix, as it publishes it. `https:`, or `http:` on this machine; it is shown in `health`. */
  readonly url: string
  /** The witness's verification key, of type 4: `<name>+<hash>+<base64>`. */
  readonly vkey: string
  /** For one request and its answer; 10,000 by default. */
  readonly timeoutMs?: number
  /** Sent with every request, such as `authorization`. Never shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** Allows `http:` to other machines. A cosignature cannot be forged on the way, only withheld. */
  readonly allowInsecure?: true
}

/** Options that were found good. */
export interface Witness {
  readonly url: string
  readonly verifier: CosignatureVerifier
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, string>>
}

/** Errors: `INVALID_INPUT`, saying which option and why. */
export function checkedWitness(engine: Engine, options: WitnessOptions): Witness {
  return {
    url: checkedUrl(options.url, options.allowInsecure),
    verifier: cosignatureVerifier(engine, checkedText('vkey', options.vkey)),
    timeoutMs: checkedTimeout(options.timeoutMs ?? 10_000),
    headers: checkedHeaders(options.headers ?? {}),
  }
}

interface Address {
  readonly origin: string
  readonly pathname: string
  readonly protocol: string
  readonly hostname: string
  readonly username: string
  readonly password: string
  readonly search: string
  readonly hash: string
}

// `URL` is in every supported runtime and not in ES2023's library.
const { URL } = globalThis as unknown as { readonly URL: new (url: string) => Address }

/** Without a slash at its end. */
function checkedUrl(text: string, allowInsecure: true | undefined): string {
  const url = parsedUrl(checkedText('url', text))
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid('url must begin with https:')
  if (url.username !== '' || url.password !== '')
    throw invalid('url must not hold a user name or password; send an authorization header instead')
  if (url.search !== '' || url.hash !== '') throw invalid('url must be a prefix, without a query or a fragment')
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && allowInsecure !== true)
    throw invalid('url must be https: for another machine, or set allowInsecure: true')
  return `${url.origin}${url.pathname.replace(/\/$/, '')}`
}

function parsedUrl(text: string): Address {
  try {
    return new URL(text)
  } catch (error) {
    throw new KmsError('INVALID_INPUT', 'witness: url must be an absolute address such as https://witness.example/', {
      cause: error,
    })
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.[0-9]{1,3}){3}$/.test(hostname)
}

function checkedText(option: string, value: string): string {
  if (typeof value === 'string') return value
  throw invalid(`${option} must be text`)
}

/** Hosts take a longer delay for none at all. */
const longestTimer = 2 ** 31 - 1

function checkedTimeout(ms: number): number {
  if (Number.isInteger(ms) && ms >= 1 && ms <= longestTimer) return ms
  throw invalid('timeoutMs must be an integer of 1 or more')
}

/** A copy with lower-case names. */
function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    // RFC 9110 §5.6.2: a token.
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) throw invalid('headers holds a name that is not a header name')
    if (/^content-|^host$/.test(lower)) throw invalid(`headers must not hold ${lower}, which the request sets`)
    if (typeof value !== 'string' || !/^[\t -~]*$/.test(value)) throw invalid(`header ${lower} must be printable ASCII`)
    checked[lower] = value
  }
  return checked
}

function invalid(problem: string): KmsError {
  return new KmsError('INVALID_INPUT', `witness: ${problem}`)
}
