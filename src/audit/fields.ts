/**
 * The field policy: which of a caller's fields an entry keeps, and in which form. Applied before anything is written,
 * and itself recorded in `audit.opened`, so that a reader can tell "not said" from "not kept".
 */
import { engine } from '#engine'
import { concat, lp, toBase64url, utf8 } from '../crypto/bytes.ts'
import { hmacSha256 } from '../crypto/mac.ts'
import { KmsError } from '../model/errors.ts'
import { prefixOf } from '../model/ip.ts'
import type { EncryptionContext } from '../model/operation.ts'
import { capText } from '../model/text.ts'

/** Fields of the caller that a policy may drop, hash or shorten. The IP address has modes of its own. */
export type PolicyField =
  | 'actor.id'
  | 'actor.name'
  | 'userAgent'
  | 'requestId'
  | 'traceparent'
  | 'method'
  | 'route'
  | 'origin.resource'
  | 'reason.ticket'

export interface FieldPolicy {
  /** Of `clientIp` and `peerIp`: `full` (default) · `prefix`: /24 or /48 · `hash`: keyed hash · `none`. */
  readonly clientIp?: 'full' | 'prefix' | 'hash' | 'none'
  /** `clear` (default; it is not secret) · `names`: values as keyed hashes · `drop`. */
  readonly encryptionContext?: 'clear' | 'names' | 'drop'
  readonly drop?: readonly PolicyField[]
  /** Kept as `h:` and 128 bits of HMAC-SHA-256: equal values stay equal, and cannot be read without `hashKey`. */
  readonly hash?: readonly PolicyField[]
  /** Most characters kept. */
  readonly shorten?: { readonly [F in PolicyField]?: number }
  /** At least 16 bytes; needed by every mode that hashes. Keep it: it is what links entries over years. */
  readonly hashKey?: Uint8Array
}

const policyFields: readonly PolicyField[] = [
  'actor.id',
  'actor.name',
  'userAgent',
  'requestId',
  'traceparent',
  'method',
  'route',
  'origin.resource',
  'reason.ticket',
]

/** A policy, compiled. */
export interface Fields {
  /** What is kept of `value`, or undefined. */
  keep(field: PolicyField, value: string): string | undefined
  ip(normalized: string): string | undefined
  encryptionContext(pairs: EncryptionContext): EncryptionContext | undefined
  /** The policy as one canonical text, without its key. */
  readonly text: string
}

/** @throws KmsError `INVALID_INPUT` for an unknown field or mode, or a hashing mode without a key. */
export function compileFields(policy: FieldPolicy = {}): Fields {
  const { clientIp = 'full', encryptionContext = 'clear', drop = [], hash = [], shorten = {} } = policy
  // A copy: the caller's array is theirs to wipe.
  const hashKey = policy.hashKey === undefined ? undefined : new Uint8Array(policy.hashKey)
  check()

  return {
    text: describe(),
    keep(field, value) {
      if (drop.includes(field)) return undefined
      if (hash.includes(field)) return hashed(field, value)
      const max = shorten[field]
      return max === undefined ? value : capText(value, max)
    },
    ip(normalized) {
      if (clientIp === 'full') return normalized
      if (clientIp === 'none') return undefined
      return clientIp === 'prefix' ? prefixOf(normalized) : hashed('clientIp', normalized)
    },
    encryptionContext(pairs) {
      if (encryptionContext === 'clear') return pairs
      if (encryptionContext === 'drop') return undefined
      return Object.fromEntries(Object.entries(pairs).map(([name, value]) => [name, hashed(`ec:${name}`, value)]))
    },
  }

  /** The field's name is part of what is hashed, so that equal texts in different fields do not link. */
  function hashed(field: string, value: string): string {
    const message = concat([lp(utf8('keytrail/field/1')), lp(utf8(field)), lp(utf8(value))])
    return `h:${toBase64url(hmacSha256(engine, hashKey ?? new Uint8Array(), message).subarray(0, 16))}`
  }

  function check() {
    const unknown = [...drop, ...hash, ...Object.keys(shorten)].find(
      (name) => !policyFields.some((field) => field === name),
    )
    if (unknown !== undefined) refuse(`has no field '${unknown}'; it may name ${policyFields.join(', ')}`)
    if (!['full', 'prefix', 'hash', 'none'].includes(clientIp)) refuse('clientIp must be full, prefix, hash or none')
    if (!['clear', 'names', 'drop'].includes(encryptionContext))
      refuse('encryptionContext must be clear, names or drop')
    if (Object.values(shorten).some((max) => !Number.isInteger(max) || max < 1))
      refuse('shorten takes whole numbers from 1')
    const hashes = hash.length > 0 || clientIp === 'hash' || encryptionContext === 'names'
    if (hashes && (hashKey === undefined || hashKey.length < 16)) refuse('hashes need a hashKey of at least 16 bytes')
  }

  function describe(): string {
    const parts = [`clientIp=${clientIp}`, `encryptionContext=${encryptionContext}`]
    if (drop.length > 0) parts.push(`drop=${[...drop].sort().join(',')}`)
    if (hash.length > 0) parts.push(`hash=${[...hash].sort().join(',')}`)
    const cuts = Object.entries(shorten)
      .sort()
      .map(([field, max]) => `${field}:${max}`)
    if (cuts.length > 0) parts.push(`shorten=${cuts.join(',')}`)
    return parts.join(' ')
  }
}

function refuse(problem: string): never {
  throw new KmsError('INVALID_INPUT', `the field policy ${problem}`)
}
