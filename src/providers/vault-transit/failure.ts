/**
 * What an answer that is no success means. Vault tells most of it in words only, and failures of the caller's making also as 500:
 * the words that are certain stand here in full, and any other 500 stays a fault of the service.
 */
import { type DecryptFailure, type Evidence, evidenceOf, KmsError, type KmsErrorCode } from '../../model/errors.ts'
import type { Answer } from './answer.ts'
import { evidenceOfTrace, type Trace } from './trace.ts'
import { isOpen } from './transport.ts'

/** Which request failed. */
export interface Failed {
  /** Opens a ciphertext: what is wrong with it is not told apart. */
  readonly opens?: { readonly version: number }
  readonly change?: true
  /** Its name. */
  readonly key?: string
  readonly trace: Trace
}

/** Texts that say for certain that the ciphertext did not open, and of which some say why. Compared whole: a storage fault quotes them. */
const unopened: ReadonlyMap<string, DecryptFailure | undefined> = new Map([
  ['cipher: message authentication failed', 'authentication_failed'],
  ['chacha20poly1305: message authentication failed', 'authentication_failed'],
  ['ciphertext or signature version is disallowed by policy (too old)', 'version_below_minimum'],
  ['invalid ciphertext: version is too new', 'unknown_version'],
  ['invalid ciphertext: no prefix', 'malformed'],
  ['invalid ciphertext: wrong number of fields', 'malformed'],
  ['invalid ciphertext: version number could not be decoded', 'malformed'],
  ['invalid ciphertext: could not decode base64', 'malformed'],
  ['invalid ciphertext length', 'malformed'],
  // Of these the service does not tell whether damage, another key or another context is the reason.
  ['invalid ciphertext: unable to decrypt', undefined],
  ['failed to RSA decrypt the ciphertext: crypto/rsa: decryption error', undefined],
  ['crypto/rsa: decryption error', undefined],
])

type Rule = readonly [RegExp, KmsErrorCode, string]

/** Texts of any request. Anchored, since a key's name may stand in one. */
const rules: readonly Rule[] = [
  [
    /^(?:(?:encryption|signing|signature verification) )?key not found$|^no existing key named \S+ could be found$/,
    'KEY_NOT_FOUND',
    'there is no such key',
  ],
  [/^missing 'context' for key derivation/, 'INVALID_INPUT', 'the key is derived: it needs a derivation context'],
  [/^(?:private key material|key) is not exportable$/, 'EXPORT_NOT_ALLOWED', 'the key is not exportable'],
  [
    /^requested version for (?:encryption|signing) is (?:higher than|less than|negative)|^key version does not exist|^version (?:does not exist|for export is below)|^(?:invalid (?:signature|HMAC): version is too new|cannot (?:verify|generate) HMAC: version is too old|ciphertext or signature version is disallowed by policy)/,
    'VERSION_NOT_FOUND',
    'the key has no such version, or does not let it be used',
  ],
  [
    /^key type \S+ does not support |not supported for (?:the key|key type \S+)$/,
    'UNSUPPORTED_OPERATION',
    'keys of this type cannot do that',
  ],
  [
    /^(?:failed to RSA encrypt the plaintext: )?crypto\/rsa: message too long for RSA/,
    'INVALID_INPUT',
    'the plaintext is longer than such an RSA key can encrypt',
  ],
  [/^unknown key type/, 'INVALID_INPUT', 'this server has no keys of that type'],
  [/^cannot set min (?:decryption|encryption)/, 'INVALID_INPUT', 'the key does not allow that minimum version'],
  [/^auto rotate period must be /, 'INVALID_INPUT', 'the server does not take that rotation period'],
  [/^imported key \S+ does not allow rotation/, 'INVALID_INPUT', 'the key was imported without allowRotation'],
  [/^the import path cannot be used with an existing key/, 'KEY_EXISTS', 'there is a key of that name already'],
]

/** Statuses whose texts are read. 200: an item of a batch. */
const worded: readonly number[] = [200, 400, 404, 500]

/** Whether the texts of `answer` say for certain what was wrong. */
export function isKnown(answer: Answer, failed: Failed): boolean {
  return worded.includes(answer.status) && (verdictOf(answer, failed) !== undefined || ruleOf(answer) !== undefined)
}

/** The error for `answer`, which is not a success. */
export function failureOf(answer: Answer, failed: Failed): KmsError {
  const evidence = evidenceOfTrace(failed.trace)
  const options = { evidence, ...(failed.key !== undefined && { key: failed.key }) }
  if (worded.includes(answer.status)) {
    const verdict = verdictOf(answer, failed)
    if (verdict !== undefined) return undecryptable(failed, verdict.failure)
    const rule = ruleOf(answer)
    if (rule !== undefined) return new KmsError(rule[1], rule[2], options)
  }
  if (failed.opens !== undefined && (answer.status === 400 || answer.status === 200))
    return undecryptable(failed, undefined)
  const [code, message] = byStatus(answer)
  if (failed.change !== true || !isOpen(answer)) return new KmsError(code, message, options)
  return new KmsError(code, message, { ...options, evidence: { ...evidence, unsettled: true } })
}

/** One code and one message whatever failed: what exactly is evidence, for the entry only, and only where it is certain. */
export function undecryptable({ opens, key, trace }: Failed, decryptFailure: DecryptFailure | undefined): KmsError {
  const isVersion = opens !== undefined && decryptFailure !== 'malformed' && decryptFailure !== 'unknown_version'
  const evidence: Evidence = {
    ...evidenceOfTrace(trace),
    ...(decryptFailure !== undefined && { decryptFailure }),
    ...(isVersion && { keyVersion: opens.version }),
  }
  const message = 'ciphertext does not open with this key and encryption context'
  return new KmsError('INVALID_CIPHERTEXT', message, { evidence, ...(key !== undefined && { key }) })
}

/** `thrown` by a call's second request, with what its first one has done. */
export function afterOpening(thrown: unknown, { keyVersion, trace }: Opened): unknown {
  if (!(thrown instanceof KmsError)) return thrown
  const later = evidenceOf(thrown)
  const { requestId, attempts, durationMs } = trace
  const evidence: Evidence = {
    ...(requestId !== undefined && { requestId }),
    ...later,
    attempts: attempts + (later.attempts ?? 0),
    durationMs: durationMs + (later.durationMs ?? 0),
    keyVersion,
  }
  const { code, message, key, cause } = thrown
  return new KmsError(code, message, {
    evidence,
    ...(key !== undefined && { key }),
    ...(cause !== undefined && { cause }),
  })
}

interface Opened {
  readonly keyVersion: number
  readonly trace: Trace
}

/** A 2xx answer that is not what transit answers. */
export function malformed(what: string, trace: Trace): KmsError {
  const message = `the service's answer is not one of a transit engine: ${what}`
  return new KmsError('PROVIDER_UNAVAILABLE', message, { evidence: evidenceOfTrace(trace) })
}

function verdictOf(
  { errors }: Answer,
  { opens }: Failed,
): { readonly failure: DecryptFailure | undefined } | undefined {
  const [text = ''] = errors
  return opens !== undefined && errors.length === 1 && unopened.has(text) ? { failure: unopened.get(text) } : undefined
}

function ruleOf({ errors }: Answer): Rule | undefined {
  const [text = ''] = errors
  return errors.length === 1 ? rules.find(([pattern]) => pattern.test(text)) : undefined
}

function byStatus({ status, foreign, retryAfterMs }: Answer): readonly [KmsErrorCode, string] {
  if (status === 0 || (status >= 300 && status < 400))
    return ['PROVIDER_UNAVAILABLE', `the transit service redirected (${status}); name the active address as address`]
  switch (status) {
    case 400:
      return ['INVALID_INPUT', 'the transit service refused the request as invalid']
    case 403:
      return [
        'ACCESS_DENIED',
        'the transit service denied access: the token is not valid, or its policies do not allow this',
      ]
    case 404:
      // Vault has a body for what it does not find; what has none is not Vault.
      return foreign
        ? ['PROVIDER_UNAVAILABLE', 'there is no Vault at this address: it answered 404']
        : ['KEY_NOT_FOUND', 'there is no such key, or no transit engine at this mount and namespace']
    case 405:
      return ['UNSUPPORTED_OPERATION', 'this server has no such operation']
    case 413:
      return ['INVALID_INPUT', 'the request is larger than the transit service takes']
    case 429:
      return ['THROTTLED', `the transit service asks for fewer requests${inSeconds(retryAfterMs)}`]
    case 472:
    case 473:
      return ['PROVIDER_UNAVAILABLE', `the transit service is a standby (${status})`]
    case 503:
      return ['PROVIDER_UNAVAILABLE', 'the transit service is sealed, in maintenance or not there (503)']
  }
  return ['PROVIDER_UNAVAILABLE', `the transit service answered ${status}`]
}

function inSeconds(ms: number | undefined): string {
  return ms === undefined ? '' : `: again in ${Math.ceil(ms / 1000)} s`
}
