/** From an error to what the caller hears: a status and a message. One table, and no message but our own. */
import { KmsError, type KmsErrorCode } from '../../model/errors.ts'
import type { Reply } from './fetch.ts'

interface Row {
  readonly status: number
  /** In place of the error's own message: which could tell whether there is such a key, or how the service is built. */
  readonly message?: string
}

const hidden = { status: 404, message: 'not found' }
const busy = { status: 429, message: 'too many requests: try again later' }
const away = { status: 503, message: 'the KMS is not available: try again later' }

/** Every error code as the API tells it. */
export const failures: { readonly [C in KmsErrorCode]: Row } = {
  INVALID_INPUT: { status: 400 },
  INVALID_CIPHERTEXT: { status: 400, message: 'the ciphertext cannot be decrypted' },
  UNSUPPORTED_OPERATION: { status: 400 },
  KEY_NOT_ACTIVE: { status: 400 },
  EXPORT_NOT_ALLOWED: { status: 400 },
  USAGE_LIMIT: { status: 400 },
  VERSION_CONFLICT: { status: 400 },
  ABORTED: { status: 400 },
  // Not permitted looks as if it were not there.
  ACCESS_DENIED: hidden,
  KEY_NOT_FOUND: hidden,
  VERSION_NOT_FOUND: { status: 404, message: 'the key has no such version' },
  KEY_EXISTS: { status: 409 },
  SECRET_NOT_FOUND: hidden,
  SECRET_EXISTS: { status: 409 },
  THROTTLED: busy,
  OVERLOADED: busy,
  INTERNAL: { status: 500, message: 'internal error' },
  OUTCOME_UNAUDITED: {
    status: 500,
    message: 'the change may have been made, but its audit entry is not written yet: look before trying again',
  },
  AUDIT_REFUSED: { status: 503, message: 'the audit log takes no entries: nothing was done or released' },
  PROVIDER_UNAVAILABLE: away,
  LOCKED: away,
  ROLLED_BACK: away,
  CLOSED: away,
  DEADLINE_EXCEEDED: { status: 504, message: 'no answer in time' },
}

/** Why a request is not answered: an error, and where it differs from the table, what the caller hears. */
export interface Refusal {
  readonly error: KmsError
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Of `error`, although the table has one that says less. */
  readonly message?: string
}

const retryAfterSeconds = '1'

export function statusOf({ error, status }: Refusal): number {
  return status ?? failures[error.code].status
}

export function replyOf(refusal: Refusal, eventID: string | undefined): Reply {
  const { error, headers = {} } = refusal
  const status = statusOf(refusal)
  const message = refusal.message ?? failures[error.code].message ?? error.message
  const again = status === 429 || status === 503 ? { 'retry-after': retryAfterSeconds } : {}
  const entry = eventID === undefined ? {} : { [eventHeader]: eventID }
  return { status, body: { message }, headers: { ...again, ...entry, ...headers } }
}

/** Names the entry of the call, so that a caller can quote it. */
export const eventHeader = 'x-audit-event-id'

export function invalid(message: string): KmsError {
  return new KmsError('INVALID_INPUT', message)
}
