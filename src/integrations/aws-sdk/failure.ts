/** What the SDK threw, in our codes. The error itself goes to the application as it is; only this goes into the entry. */
import type { KmsErrorCode } from '../../model/errors.ts'
import { countOf, fieldOf, textOf } from './sdk.ts'

/** By the error's name. */
const codes: Readonly<Record<string, KmsErrorCode>> = {
  NotFoundException: 'KEY_NOT_FOUND',
  CustomKeyStoreNotFoundException: 'KEY_NOT_FOUND',
  AlreadyExistsException: 'KEY_EXISTS',
  DisabledException: 'KEY_NOT_ACTIVE',
  KMSInvalidStateException: 'KEY_NOT_ACTIVE',
  InvalidCiphertextException: 'INVALID_CIPHERTEXT',
  IncorrectKeyException: 'INVALID_CIPHERTEXT',
  UnsupportedOperationException: 'UNSUPPORTED_OPERATION',
  ConflictException: 'VERSION_CONFLICT',
  LimitExceededException: 'USAGE_LIMIT',
  // The caller wished that nothing be done, and nothing was.
  DryRunOperationException: 'ABORTED',
  AbortError: 'ABORTED',
  AccessDeniedException: 'ACCESS_DENIED',
  InvalidGrantTokenException: 'ACCESS_DENIED',
  NotAuthorizedException: 'ACCESS_DENIED',
  UnrecognizedClientException: 'ACCESS_DENIED',
  InvalidClientTokenId: 'ACCESS_DENIED',
  InvalidSignatureException: 'ACCESS_DENIED',
  SignatureDoesNotMatch: 'ACCESS_DENIED',
  IncompleteSignature: 'ACCESS_DENIED',
  IncompleteSignatureException: 'ACCESS_DENIED',
  MissingAuthenticationToken: 'ACCESS_DENIED',
  MissingAuthenticationTokenException: 'ACCESS_DENIED',
  ExpiredToken: 'ACCESS_DENIED',
  ExpiredTokenException: 'ACCESS_DENIED',
  OptInRequired: 'ACCESS_DENIED',
  CredentialsProviderError: 'ACCESS_DENIED',
  ThrottlingException: 'THROTTLED',
  Throttling: 'THROTTLED',
  ThrottledException: 'THROTTLED',
  RequestLimitExceeded: 'THROTTLED',
  TooManyRequestsException: 'THROTTLED',
  DependencyTimeoutException: 'PROVIDER_UNAVAILABLE',
  KeyUnavailableException: 'PROVIDER_UNAVAILABLE',
  KMSInternalException: 'PROVIDER_UNAVAILABLE',
  TimeoutError: 'PROVIDER_UNAVAILABLE',
}

/** Verdicts, which AWS tells as errors. */
const notValid: readonly string[] = ['KMSInvalidSignatureException', 'KMSInvalidMacException']

export interface Failure {
  readonly code: KmsErrorCode
  /** A verdict of verify or verify_hmac: no failure at all. */
  readonly isVerdict: boolean
}

/** `wasSent`: whether a request may have left. */
export function failureOf(thrown: unknown, { wasSent }: { readonly wasSent: boolean }): Failure {
  const name = textOf(thrown, 'name') ?? ''
  const status = countOf(fieldOf(thrown, '$metadata'), 'httpStatusCode')
  return { code: codeOf(name, status, wasSent), isVerdict: notValid.includes(name) }
}

function codeOf(name: string, status: number | undefined, wasSent: boolean): KmsErrorCode {
  const code = Object.hasOwn(codes, name) ? codes[name] : undefined
  if (code !== undefined) return code
  // Never sent: the SDK, or the application, could make no request of the input.
  if (status === undefined) return wasSent ? 'PROVIDER_UNAVAILABLE' : 'INVALID_INPUT'
  if (status === 429) return 'THROTTLED'
  if (status === 401 || status === 403) return 'ACCESS_DENIED'
  return status >= 400 && status < 500 ? 'INVALID_INPUT' : 'PROVIDER_UNAVAILABLE'
}
