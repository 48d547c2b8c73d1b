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
  if (key === null) wrongShape(who, operation, "a 'key' that is null")
  if (flags !== undefined && !areFlags(flags)) wrongShape(who, operation, "'flags' that are none")
  if (provider !== undefined && !isTrace(provider)) wrongShape(who, operation, "a 'provider' that is no trace")
  if (usage !== undefined && !isUsage(usage)) wrongShape(who, operation, "a 'usage' that is none")
  if (fingerprint !== undefined && !isFingerprint(fingerprint))
    wrongShape(who, operation, "a 'fingerprint' that is none")
  if (wrappingKey !== undefined && !isFingerprint(wrappingKey))
    wrongShape(who, operation, "a 'wrappingKey' that is no fingerprint")
  return output
}

function isFingerprint(value: unknown): boolean {
  return typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value)
}

function areFlags(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > 8) return false
  return value.every((flag) => typeof flag === 'string' && /^[\w.-]{1,64}$/.test(flag))
}

function isTrace(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { name, requestId, attempts, durationMs } = value as Readonly<Record<string, unknown>>
  if (name !== undefined && !(typeof name === 'string' && /^[\w.-]{1,64}$/.test(name))) return false
  if (requestId !== undefined && typeof requestId !== 'string') return false
  if (attempts !== undefined && !(Number.isSafeInteger(attempts) && Number(attempts) >= 0)) return false
  return durationMs === undefined || (Number.isFinite(durationMs) && Number(durationMs) >= 0)
}

function isUsage(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { messages, limit } = value as Readonly<Record<string, unknown>>
  return Number.isSafeInteger(messages) && Number.isSafeInteger(limit) && Number(messages) >= 0 && Number(limit) >= 0
}

function wrongShape(who: string, operation: string, what: string): never {
  throw new KmsError('INTERNAL', `${who} answered ${operation} with ${what}`)
}
