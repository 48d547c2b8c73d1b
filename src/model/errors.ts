/** The one error class, its codes, and what a failed call may tell its audit entry but not its caller. */

/** Every error code with its HTTP-like status and whether the same call may succeed later. */
export const errorCodes = {
  INVALID_INPUT: { status: 400, retryable: false },
  INVALID_CIPHERTEXT: { status: 400, retryable: false },
  UNSUPPORTED_OPERATION: { status: 400, retryable: false },
  KEY_NOT_ACTIVE: { status: 400, retryable: false },
  EXPORT_NOT_ALLOWED: { status: 400, retryable: false },
  USAGE_LIMIT: { status: 400, retryable: false },
  VERSION_CONFLICT: { status: 400, retryable: false },
  ABORTED: { status: 400, retryable: false },
  ACCESS_DENIED: { status: 403, retryable: false },
  KEY_NOT_FOUND: { status: 404, retryable: false },
  VERSION_NOT_FOUND: { status: 404, retryable: false },
  KEY_EXISTS: { status: 409, retryable: false },
  SECRET_NOT_FOUND: { status: 404, retryable: false },
  SECRET_EXISTS: { status: 409, retryable: false },
  LOCKED: { status: 423, retryable: true },
  ROLLED_BACK: { status: 423, retryable: false },
  THROTTLED: { status: 429, retryable: true },
  OVERLOADED: { status: 429, retryable: true },
  INTERNAL: { status: 500, retryable: false },
  OUTCOME_UNAUDITED: { status: 500, retryable: false },
  AUDIT_REFUSED: { status: 503, retryable: true },
  PROVIDER_UNAVAILABLE: { status: 503, retryable: true },
  CLOSED: { status: 503, retryable: false },
  DEADLINE_EXCEEDED: { status: 504, retryable: true },
} as const

export type KmsErrorCode = keyof typeof errorCodes

/** Why a ciphertext did not open. Told to the entry only; every caller hears the same `INVALID_CIPHERTEXT`. */
export type DecryptFailure =
  | 'malformed'
  | 'unknown_version'
  | 'version_below_minimum'
  | 'commitment_mismatch'
  | 'authentication_failed'

/** What a provider knows about a failed call beyond its code: recorded in the entry, not readable on the error. */
export interface Evidence {
  readonly keyVersion?: number
  readonly decryptFailure?: DecryptFailure
  readonly requestId?: string
  readonly attempts?: number
  /** Time spent in the service, ms. */
  readonly durationMs?: number
  /** Which provider refused, of several behind one. */
  readonly provider?: string
  /** Which access rule refused. */
  readonly rule?: string
  /** What the entry says in place of the error's own code: a refusal that hides from its caller whether there is such a key. */
  readonly code?: KmsErrorCode
  /** A change may or may not have been made, and only opening the provider again can tell: its intent stays open. */
  readonly unsettled?: true
}

export interface KmsErrorOptions {
  /** The operation that failed, such as `encrypt`. */
  readonly operation?: string
  /** The key as the caller named it. */
  readonly key?: string
  /** The `eventID` of the call's entry. */
  readonly eventID?: string
  /** What led here. Of a foreign error only its name, code and request id are kept. */
  readonly cause?: unknown
  /** For the audit entry only. */
  readonly evidence?: Evidence
}

const evidences = new WeakMap<KmsError, Evidence>()

/**
 * The only error keytrail throws. `code` is for programs, `message` for people; neither ever holds plaintext, key
 * material or tokens.
 *
 * @example
 * ```ts
 * try {
 *   await kms.decrypt({ key: 'orders', ciphertext })
 * } catch (error) {
 *   if (error instanceof KmsError && error.code === 'INVALID_CIPHERTEXT') return refuse(error.eventID)
 *   throw error
 * }
 * ```
 */
export class KmsError extends Error {
  override readonly name = 'KmsError'
  readonly code: KmsErrorCode
  /** HTTP-like status of `code`. */
  readonly statusCode: number
  readonly operation?: string
  readonly key?: string
  readonly eventID?: string
  /** True when the same call may succeed later without any change to it. */
  readonly retryable: boolean

  constructor(code: KmsErrorCode, message: string, options: KmsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: describeForeign(options.cause) })
    const facts = errorCodes[code]
    this.code = code
    this.statusCode = facts.status
    this.retryable = facts.retryable
    if (options.operation !== undefined) this.operation = options.operation
    if (options.key !== undefined) this.key = options.key
    if (options.eventID !== undefined) this.eventID = options.eventID
    if (options.evidence !== undefined) evidences.set(this, options.evidence)
  }
}

/** What `error`'s thrower told for the audit entry. Not reachable from the public API. */
export function evidenceOf(error: KmsError): Evidence {
  return evidences.get(error) ?? {}
}

/** What stands for a foreign error already: handed on, it must not be described again. */
const descriptions = new WeakSet<Error>()

/**
 * An error of ours that stands for a foreign one: its name, code and request id. Its message is left out, because a
 * foreign message may quote a secret; the foreign object is never kept, because it may hold one.
 */
export function describeForeign(error: unknown): Error {
  if (error instanceof KmsError || (error instanceof Error && descriptions.has(error))) return error
  const foreign = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {}
  const parts = [tokenOf(foreign, 'name') ?? typeof error, tokenOf(foreign, 'code'), tokenOf(foreign, 'requestId')]
  const described = new Error(parts.filter((part) => part !== undefined).join(' '))
  described.name = 'ForeignError'
  descriptions.add(described)
  return described
}

/** Short identifiers only: what a library uses as a name or a code, not what it writes as a sentence. */
function tokenOf(foreign: Readonly<Record<string, unknown>>, name: string): string | undefined {
  try {
    const value = foreign[name]
    return typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value) ? value : undefined
  } catch {
    // A getter of the foreign error failed in its turn: there is nothing to tell of this field.
    return undefined
  }
}
