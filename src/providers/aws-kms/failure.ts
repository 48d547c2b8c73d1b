/** Every error of the SDK, and what it is here: one table. No message of AWS is handed on: it may quote what was sent. */
import { neverArrived } from '../../model/arrival.ts'
import { type Evidence, KmsError, type KmsErrorCode } from '../../model/errors.ts'
import type { ProviderTrace } from '../../model/operation.ts'
import type { Attempts } from './sdk.ts'

/** Every failed decrypt sounds like this. */
export const closedMessage = 'ciphertext does not open with this key and encryption context'

const credentials = 'AWS did not accept the credentials of the client'
const throttled = 'AWS KMS throttles: it is asked more often than the account may'
const unavailable = 'AWS KMS failed'
const notActive = 'AWS KMS refuses: the key is not enabled'
const notSo = 'AWS KMS did not take the request'

/** By the error's name, which AWS keeps stable; its HTTP status is not: model and documentation differ in it. */
const table: Readonly<Record<string, readonly [KmsErrorCode, string]>> = {
  NotFoundException: ['KEY_NOT_FOUND', 'AWS KMS has no such key'],
  DisabledException: ['KEY_NOT_ACTIVE', notActive],
  KMSInvalidStateException: ['KEY_NOT_ACTIVE', 'AWS KMS refuses: the state of the key does not allow it'],
  InvalidCiphertextException: ['INVALID_CIPHERTEXT', closedMessage],
  IncorrectKeyException: ['INVALID_CIPHERTEXT', closedMessage],
  InvalidKeyUsageException: ['INVALID_INPUT', "AWS KMS refuses: the key's usage or type does not allow it"],
  UnsupportedOperationException: ['UNSUPPORTED_OPERATION', 'AWS KMS cannot do this with this key'],
  AlreadyExistsException: ['KEY_EXISTS', 'AWS KMS has another key of this name'],
  LimitExceededException: ['USAGE_LIMIT', 'AWS KMS refuses: a quota is used up'],
  ConflictException: ['VERSION_CONFLICT', 'AWS KMS is rotating this key at the moment'],
  InvalidArnException: ['INVALID_INPUT', notSo],
  InvalidAliasNameException: ['INVALID_INPUT', notSo],
  MalformedPolicyDocumentException: ['INVALID_INPUT', notSo],
  TagException: ['INVALID_INPUT', 'AWS KMS did not take the labels as tags'],
  ValidationException: ['INVALID_INPUT', notSo],
  SerializationException: ['INVALID_INPUT', notSo],
  InvalidGrantTokenException: ['ACCESS_DENIED', 'AWS KMS did not accept a grant token'],
  NotAuthorizedException: ['ACCESS_DENIED', 'AWS KMS denied this'],
  UnrecognizedClientException: ['ACCESS_DENIED', credentials],
  InvalidSignatureException: ['ACCESS_DENIED', credentials],
  SignatureDoesNotMatch: ['ACCESS_DENIED', credentials],
  IncompleteSignatureException: ['ACCESS_DENIED', credentials],
  IncompleteSignature: ['ACCESS_DENIED', credentials],
  InvalidClientTokenId: ['ACCESS_DENIED', credentials],
  MissingAuthenticationTokenException: ['ACCESS_DENIED', credentials],
  MissingAuthenticationToken: ['ACCESS_DENIED', credentials],
  ExpiredTokenException: ['ACCESS_DENIED', credentials],
  ExpiredToken: ['ACCESS_DENIED', credentials],
  OptInRequired: ['ACCESS_DENIED', credentials],
  CredentialsProviderError: ['ACCESS_DENIED', 'the client found no credentials'],
  ThrottlingException: ['THROTTLED', throttled],
  Throttling: ['THROTTLED', throttled],
  TooManyRequestsException: ['THROTTLED', throttled],
  RequestLimitExceeded: ['THROTTLED', throttled],
  KMSInternalException: ['PROVIDER_UNAVAILABLE', unavailable],
  DependencyTimeoutException: ['PROVIDER_UNAVAILABLE', unavailable],
  KeyUnavailableException: ['PROVIDER_UNAVAILABLE', unavailable],
  InternalFailure: ['PROVIDER_UNAVAILABLE', unavailable],
  ServiceUnavailable: ['PROVIDER_UNAVAILABLE', unavailable],
}

export interface FailureFacts {
  readonly command: string
  readonly trace: ProviderTrace
  readonly attempts: Attempts
  readonly changes: boolean
  /** Whether what AWS calls not valid can only be the ciphertext. */
  readonly opens: boolean
}

/** What was thrown, as an error of ours. */
export function failureOf(thrown: unknown, facts: FailureFacts): KmsError {
  const { command, trace, changes, opens } = facts
  const name = nameOf(thrown)
  const [code, message] = meaningOf(thrown, name, command)
  const evidence: Evidence = changes && !isSettled(thrown, name, code, facts) ? { ...trace, unsettled: true } : trace
  if (opens && name === 'ValidationException')
    return new KmsError('INVALID_CIPHERTEXT', closedMessage, { evidence, cause: thrown })
  return new KmsError(code, message, { evidence, cause: thrown })
}

function meaningOf(thrown: unknown, name: string, command: string): readonly [KmsErrorCode, string] {
  if (name === 'AbortError') return ['ABORTED', 'the request was aborted']
  if (name === 'AccessDeniedException' || name === 'AccessDenied')
    return ['ACCESS_DENIED', `AWS KMS denied it: the caller needs the permission kms:${permissionOf(command)}`]
  const known = Object.hasOwn(table, name) ? table[name] : undefined
  if (known !== undefined) return known
  const status = statusOf(thrown)
  if (status === 429) return ['THROTTLED', throttled]
  if (status === 401 || status === 403) return ['ACCESS_DENIED', 'AWS KMS denied this']
  if (answered(thrown) && status !== undefined && status < 500)
    return ['INTERNAL', `AWS KMS refused ${command} for a reason that is not known here`]
  if (status !== undefined && status >= 500) return ['PROVIDER_UNAVAILABLE', unavailable]
  return ['PROVIDER_UNAVAILABLE', `no answer of AWS KMS to ${command} that can be read`]
}

/** Re-encryption is two permissions, one a key. */
function permissionOf(command: string): string {
  return command === 'ReEncrypt' ? 'ReEncryptFrom on the one key and kms:ReEncryptTo on the other' : command
}

/** Whether it is certain that this change was not made. */
function isSettled(thrown: unknown, name: string, code: KmsErrorCode, { attempts, trace }: FailureFacts): boolean {
  const wasOnlyOne = attempts === 'once' || trace.attempts === 1
  // An attempt before the last may have been lost after it was done.
  if (code === 'THROTTLED' || name === 'CredentialsProviderError') return wasOnlyOne
  if (code === 'ABORTED' || code === 'PROVIDER_UNAVAILABLE') return wasOnlyOne && neverArrived(textOf(thrown, 'code'))
  return true
}

/** Whether AWS answered with an error of its own. */
function answered(thrown: unknown): boolean {
  return textOf(thrown, '$fault') !== ''
}

function nameOf(thrown: unknown): string {
  return textOf(thrown, 'name')
}

function textOf(thrown: unknown, field: string): string {
  const value = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, field) : undefined
  return typeof value === 'string' ? value : ''
}

function statusOf(thrown: unknown): number | undefined {
  const metadata = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, '$metadata') : undefined
  const status = typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'httpStatusCode') : undefined
  return typeof status === 'number' ? status : undefined
}
