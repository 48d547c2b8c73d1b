/** The http sink's options, checked when it is made. No refusal quotes an address, whose query may hold a token, or a value. */
import { type Address, checkedAddress } from '../model/address.ts'
import { KmsError } from '../model/errors.ts'

export function checkedUrl(text: string, allowInsecure: true | undefined): Address {
  const instead = 'send an authorization header instead'
  return checkedAddress(text, { who: 'http sink', option: 'url', allowInsecure, instead })
}

const ownHeaders = /^(keytrail-.*|content-type|content-length|host)$/

/** A copy with lower-case names. */
export function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    // RFC 9110 §5.6.2: a token.
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) throw invalid('headers holds a name that is not a header name')
    if (ownHeaders.test(lower)) throw invalid(`headers must not hold ${lower}, the sink sets it`)
    if (typeof value !== 'string' || !/^[\t -~]*$/.test(value)) throw invalid(`header ${lower} must be printable ASCII`)
    checked[lower] = value
  }
  return checked
}

/** A copy, which the sink may wipe. */
export function checkedSecret(secret: Uint8Array | undefined): Uint8Array | undefined {
  if (secret === undefined) return undefined
  if (secret instanceof Uint8Array && secret.length >= 16) return Uint8Array.from(secret)
  throw invalid('secret must be a Uint8Array of 16 bytes or more')
}

export function checkedWhole(option: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value
  throw invalid(`${option} must be an integer of ${min} or more`)
}

function invalid(problem: string): KmsError {
  return new KmsError('INVALID_INPUT', `http sink: ${problem}`)
}
