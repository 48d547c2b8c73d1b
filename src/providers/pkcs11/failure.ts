/** From what a token answered to the one error that keytrail throws. */
import { type Evidence, KmsError, type KmsErrorCode } from '../../model/errors.ts'
import { ckr } from './constants.ts'
import type { Fault } from './cryptoki.ts'
import type { Failure } from './protocol.ts'

/** Return values after which a new session, or a new login, may help. */
const lost: readonly number[] = [
  ckr.DEVICE_REMOVED,
  ckr.SESSION_CLOSED,
  ckr.SESSION_HANDLE_INVALID,
  ckr.TOKEN_NOT_PRESENT,
  ckr.TOKEN_NOT_RECOGNIZED,
  ckr.USER_NOT_LOGGED_IN,
  ckr.CRYPTOKI_NOT_INITIALIZED,
  // `clean` could not put another session in the place of one in which a call was left open.
  ckr.OPERATION_ACTIVE,
]

export function isSessionLost(failure: Failure): boolean {
  return 'fault' in failure && lost.includes(failure.fault.rv)
}

/** Whether its handle means nothing any more, or another session. */
export function isSessionGone(failure: Failure): boolean {
  return 'fault' in failure && gone.includes(failure.fault.rv)
}

const gone: readonly number[] = [ckr.SESSION_CLOSED, ckr.SESSION_HANDLE_INVALID, ckr.CRYPTOKI_NOT_INITIALIZED]

/** Whether the token has said no to the PIN: it counts tries, and locks itself after a few. */
export function isPinRefused(failure: Failure): boolean {
  return 'fault' in failure && pinMessages[failure.fault.rv] !== undefined
}

const pinMessages: Readonly<Record<number, string>> = {
  [ckr.PIN_INCORRECT]:
    'the token refused the PIN: it is not tried again, for the token locks itself after a few wrong ones',
  [ckr.PIN_INVALID]: 'the token refused the PIN: it has characters that no PIN of this token has',
  [ckr.PIN_LEN_RANGE]: 'the token refused the PIN: no PIN of this token is as long, or as short',
  [ckr.PIN_EXPIRED]: 'the PIN of the token has expired: set a new one',
  [ckr.PIN_LOCKED]: 'the PIN of the token is locked after too many wrong ones: its security officer can unlock it',
  [ckr.USER_PIN_NOT_INITIALIZED]: 'the token has no user PIN yet: its security officer sets one',
}

const codes: Readonly<Record<number, KmsErrorCode>> = {
  [ckr.ACTION_PROHIBITED]: 'ACCESS_DENIED',
  [ckr.ATTRIBUTE_READ_ONLY]: 'ACCESS_DENIED',
  [ckr.KEY_FUNCTION_NOT_PERMITTED]: 'ACCESS_DENIED',
  [ckr.SESSION_READ_ONLY]: 'ACCESS_DENIED',
  [ckr.TOKEN_WRITE_PROTECTED]: 'ACCESS_DENIED',
  [ckr.ATTRIBUTE_SENSITIVE]: 'EXPORT_NOT_ALLOWED',
  [ckr.KEY_NOT_WRAPPABLE]: 'EXPORT_NOT_ALLOWED',
  [ckr.KEY_UNEXTRACTABLE]: 'EXPORT_NOT_ALLOWED',
  [ckr.CURVE_NOT_SUPPORTED]: 'UNSUPPORTED_OPERATION',
  [ckr.FUNCTION_NOT_SUPPORTED]: 'UNSUPPORTED_OPERATION',
  [ckr.KEY_SIZE_RANGE]: 'UNSUPPORTED_OPERATION',
  [ckr.KEY_TYPE_INCONSISTENT]: 'UNSUPPORTED_OPERATION',
  [ckr.MECHANISM_INVALID]: 'UNSUPPORTED_OPERATION',
  [ckr.MECHANISM_PARAM_INVALID]: 'UNSUPPORTED_OPERATION',
}

const messages: Readonly<Record<number, string>> = {
  [ckr.DEVICE_MEMORY]: 'the token is full',
  [ckr.SESSION_COUNT]: 'the token has no session left: others hold them',
}

/** `PROVIDER_UNAVAILABLE` for all that a later call may find better. The name of what was answered is told, nothing of the input. */
export function failureError(failure: Failure, evidence: Evidence = {}): KmsError {
  if ('stale' in failure) {
    const error = new KmsError('VERSION_NOT_FOUND', 'the key version is not on the token any more', { evidence })
    stales.add(error)
    return error
  }
  if ('code' in failure) {
    const told = failure.unsettled ? { ...evidence, unsettled: true as const } : evidence
    return new KmsError(failure.code, failure.message, { evidence: told })
  }
  const { fault, during } = failure
  const pin = pinMessages[fault.rv]
  if (pin !== undefined) return new KmsError('ACCESS_DENIED', pin, { evidence, cause: causeOf(fault) })
  const code = codes[fault.rv] ?? 'PROVIDER_UNAVAILABLE'
  const message = messages[fault.rv] ?? `the token answered ${fault.name} to ${during}`
  return new KmsError(code, message, { evidence, cause: causeOf(fault) })
}

function causeOf({ name, rv }: Fault): object {
  return { name: 'Pkcs11Error', code: `${name}.0x${rv.toString(16)}` }
}

const stales = new WeakSet<object>()

/** Whether a job failed because an object is not what it was: look again. */
export function isStale(error: unknown): boolean {
  return typeof error === 'object' && error !== null && stales.has(error)
}

export function closedError(): KmsError {
  return new KmsError('CLOSED', 'the token was closed')
}

export function abortedError(): KmsError {
  return new KmsError('ABORTED', 'given up while it waited for a session of the token: nothing was done')
}

export function overloadedError(waiting: number): KmsError {
  return new KmsError('OVERLOADED', `${waiting} calls wait for a session of the token already`)
}
