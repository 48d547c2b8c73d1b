/** From a checked call to a provider's answer: has it this operation, did it answer in shape, what did it throw. */
import { KmsError } from './errors.ts'
import { type Input, type Operation, type Output, operations } from './operation.ts'
import { isPromise } from './promise.ts'
import type { CallInfo, KmsProvider } from './provider.ts'

/** The provider's output, checked for shape, or a `KmsError` thrown or rejected. */
export function dispatch<O extends Operation>(
  provider: KmsProvider,
  operation: O,
  input: Input<O>,
  info: CallInfo,
): Output<O> | Promise<Output<O>> {
  const run = provider.operations[operation]
  if (run === undefined)
    throw new KmsError('UNSUPPORTED_OPERATION', `the provider '${provider.name}' cannot do ${operation}`)
  const output = run(input, info)
  return checkedOutput(`the provider '${provider.name}'`, operation, output)
}

/** Whatever was thrown, as a `KmsError`; a foreign error is `INTERNAL`, with its name and code as cause. */
export function asKmsError(thrown: unknown): KmsError {
  if (thrown instanceof KmsError) return thrown
  return new KmsError('INTERNAL', 'the provider or a middleware failed with an error that is not a KmsError', {
    cause: thrown,
  })
}

/** `output`, or `INTERNAL`: who answers out of shape must not make a truthy verdict or an empty ciphertext. */
export function checkedOutput<O extends Operation>(
  who: string,
  operation: O,
  output: Output<O> | Promise<Output<O>>,
): Output<O> | Promise<Output<O>> {
  if (isPromise(output)) return output.then((settled) => checkShape(who, operation, settled))
  return checkShape(who, operation, output)
}

function checkShape<O extends Operation>(who: string, operation: O, output: Output<O>): Output<O> {
  // A third party's answer is unknown until looked at.
  const fields = output as unknown as Readonly<Record<string, unknown>> | null | undefined
  if (typeof fields !== 'object' || fields === null) wrongShape(who, operation, 'no output')
  const isVerdict = operation === 'verify' || operation === 'verifyHmac'
  if (isVerdict && typeof fields['valid'] !== 'boolean') wrongShape(who, operation, "no boolean 'valid'")
  for (const field of operations[operation].makes) {
    if (!(fields[field] instanceof Uint8Array)) wrongShape(who, operation, `no bytes '${field}'`)
  }
  // What goes into the entry as it is.
  const { key, flags, usage, fingerprint, wrappingKey, provider } = fields
  if (key === null) wrongField(who, operation, 'key')
  if (flags !== undefined && !areFlags(flags)) wrongField(who, operation, 'flags')
  if (provider !== undefined && !isTrace(provider)) wrongField(who, operation, 'provider')
  if (usage !== undefined && !isUsage(usage)) wrongField(who, operation, 'usage')
  if (fingerprint !== undefined && !isFingerprint(fingerprint)) wrongField(who, operation, 'fingerprint')
  if (wrappingKey !== undefined && !isFingerprint(wrappingKey)) wrongField(who, operation, 'wrappingKey')
  return output
}

function isFingerprint(value: unknown): boolean {
  return isText(value, /^sha256:[0-9a-f]{64}$/)
}

function areFlags(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 8 && value.every(isToken)
}

/** Whether what a provider tells of a call may go into an entry. */
export function isTrace(value: unknown): boolean {
  const { name = 'none', requestId = '', attempts = 0, durationMs = 0 } = fieldsOf(value)
  if (!isToken(name) || typeof requestId !== 'string' || !isCount(attempts)) return false
  return Number.isFinite(durationMs) && Number(durationMs) >= 0
}

function isUsage(value: unknown): boolean {
  const { messages, limit } = fieldsOf(value)
  return isCount(messages) && isCount(limit)
}

/** What is no object has one field, which is of no kind that is asked for. */
function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : { attempts: null }
}

/** A short name. */
export function isToken(value: unknown): value is string {
  return isText(value, /^[\w.-]{1,64}$/)
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function wrongShape(who: string, operation: string, what: string): never {
  throw new KmsError('INTERNAL', `${who} answered ${operation} with ${what}`)
}

function wrongField(who: string, operation: string, field: string): never {
  wrongShape(who, operation, `a wrong '${field}'`)
}
