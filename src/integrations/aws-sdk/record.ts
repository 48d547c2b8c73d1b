/**
 * From a command and its answer to an entry: as `audit/record.ts` for the operations of a client, and by the same rule:
 * each field is named here, one by one. Payloads are only measured.
 */
import { engine } from '#engine'
import type { PreparedContext } from '../../audit/context.ts'
import { type Draft, draftOf } from '../../audit/draft.ts'
import { keptContext, sizeOfContext } from '../../audit/encryption-context.ts'
import type { Fields } from '../../audit/fields.ts'
import { entryProvider, roundMs } from '../../audit/record.ts'
import { fingerprint } from '../../crypto/fingerprint.ts'
import type { EntryDetails, EntryProvider, PayloadSizes } from '../../model/entry.ts'
import { errorCodes, type KmsError } from '../../model/errors.ts'
import type { Scope } from '../../model/key.ts'
import type { Attempts } from './attempts.ts'
import type { Command } from './commands.ts'
import { failureOf } from './failure.ts'
import { destinationOf, keyOf, type NamedKey } from './key.ts'
import { type SdkRequest, sizesOf } from './request.ts'
import { countOf, fieldOf, textOf } from './sdk.ts'
import { algorithmOf } from './spelling.ts'

export interface SentCall {
  readonly command: Command
  readonly request: SdkRequest
  readonly prepared: PreparedContext
  readonly scope: Scope
  readonly attempts: Attempts
  /** Set once there is an intent. */
  readonly operationID: string | undefined
}

/** What the SDK answered or threw, or why it was not asked. */
export type SdkAnswer =
  | { readonly output: object }
  | { readonly thrown: unknown; readonly mayBeDone: boolean }
  | { readonly refusal: KmsError }

export interface Times {
  /** The whole call, ms. */
  readonly durationMs: number
  /** In the SDK. */
  readonly sdkMs: number | undefined
}

export const providerName = 'aws-kms'

/** The entry that says what is about to be done: written, and accepted, before a request is sent. */
export function recordSdkIntent(call: SentCall, fields: Fields): Draft {
  const { command, prepared, scope } = call
  const key = keyOf(command, call.request, undefined)
  const { flags, encryptionContext } = contextOf(call, key, fields)
  return draftOf({
    action: command.action,
    phase: 'intent',
    operationID: call.operationID,
    resourceType: command.resourceType ?? 'kms_key',
    resourceIdentity: key.identity,
    outcome: 'pending',
    region: scope.region,
    project: scope.project,
    keySlug: key.slug,
    keyType: key.keyType,
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: entryProvider(providerName),
    details: detailsOf(call, undefined, flags),
    encryptionContext,
  })
}

/** The entry of a command's answer: one for each command sent. */
export function recordSdkResult(call: SentCall, answer: SdkAnswer, times: Times, fields: Fields): Draft {
  const { command, prepared, scope } = call
  const output = 'output' in answer ? answer.output : undefined
  const failure = 'thrown' in answer ? failureOf(answer.thrown, { wasSent: call.attempts.sent !== 0 }) : undefined
  const isVerdict = failure?.isVerdict === true
  const error = 'refusal' in answer ? answer.refusal.code : isVerdict ? undefined : failure?.code
  const mayBeDone = 'thrown' in answer && answer.mayBeDone
  const key = keyOf(command, call.request, isVerdict ? {} : output)
  const { flags, encryptionContext } = contextOf(call, key, fields)
  if (output !== undefined && command.kind === 'change' && call.attempts.doubtful > 0) flags.push('attempt_in_doubt')
  return draftOf({
    action: command.action,
    phase: 'result',
    operationID: call.operationID,
    resourceType: command.resourceType ?? 'kms_key',
    resourceIdentity: key.identity,
    outcome: error === undefined ? 'success' : mayBeDone ? 'unknown' : 'failure',
    valid: isVerdict ? false : verdictIn(output),
    statusCode: error === undefined ? 200 : errorCodes[error].status,
    error,
    region: scope.region,
    project: scope.project,
    keySlug: key.slug,
    keyType: key.keyType,
    keyVersion: key.keyVersion,
    payloadSizes: payloadSizesOf(call, output),
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: providerOf(call, answer, times.sdkMs),
    details: detailsOf(call, output, flags),
    encryptionContext,
    durationMs: roundMs(times.durationMs),
  })
}

function verdictIn(output: object | undefined): boolean | undefined {
  const valid = fieldOf(output, 'SignatureValid') ?? fieldOf(output, 'MacValid')
  return typeof valid === 'boolean' ? valid : undefined
}

function providerOf(call: SentCall, answer: SdkAnswer, durationMs: number | undefined): EntryProvider {
  if ('refusal' in answer) return entryProvider(providerName)
  const metadata = fieldOf('output' in answer ? answer.output : answer.thrown, '$metadata')
  const requestId = textOf(metadata, 'requestId')
  const attempts = countOf(metadata, 'attempts') ?? call.attempts.sent
  return entryProvider(providerName, {
    ...(requestId !== undefined && { requestId }),
    ...(attempts !== undefined && { attempts }),
    ...(durationMs !== undefined && { durationMs }),
  })
}

function payloadSizesOf({ command, request }: SentCall, answer: object | undefined): PayloadSizes | undefined {
  const sizes: { -readonly [P in keyof PayloadSizes]: PayloadSizes[P] } = {
    ...request.sizes,
    ...sizesOf(command, 'answer', answer),
  }
  if (request.encryptionContext !== undefined) sizes.encryptionContext = sizeOfContext(request.encryptionContext)
  return Object.keys(sizes).length === 0 ? undefined : sizes
}

function contextOf({ request, prepared }: SentCall, key: NamedKey, fields: Fields) {
  const flags = [...prepared.flags, ...request.flags]
  const pairs = request.encryptionContext
  // Escaped, a character of the key's names takes at most six bytes.
  const taken = prepared.maxBytes + 6 * ((key.identity?.length ?? 0) + (key.slug?.length ?? 0))
  return { flags, encryptionContext: pairs && keptContext(pairs, { fields, taken, flags }) }
}

/** Details grow field by field. */
type Details = { -readonly [F in keyof EntryDetails]: EntryDetails[F] }

/** What only some commands tell. */
function detailsOf(
  { command, request }: SentCall,
  output: object | undefined,
  flags: readonly string[],
): EntryDetails | undefined {
  const details: Details = {}
  const algorithm = algorithmOf(algorithmIn(request.input) ?? algorithmIn(output))
  if (algorithm !== undefined) details.algorithm = algorithm
  switch (command.name) {
    case 'EnableKeyRotation':
      details.keyRotationEnabled = true
      period(details, request.input)
      break
    case 'DisableKeyRotation':
      details.keyRotationEnabled = false
      break
    case 'ImportKeyMaterial':
      details.form = 'wrapped'
      break
  }
  if (output !== undefined) answerDetails(details, command, request, output)
  if (flags.length > 0) details.flags = flags
  return Object.keys(details).length === 0 ? undefined : details
}

function algorithmIn(side: object | undefined): string | undefined {
  const names = ['SigningAlgorithm', 'MacAlgorithm', 'EncryptionAlgorithm'] as const
  return names.map((name) => textOf(side, name)).find((name) => name !== undefined)
}

function period(details: Details, input: object): void {
  const days = countOf(input, 'RotationPeriodInDays')
  if (days !== undefined && days > 0) details.rotationPeriodInDays = days
}

function answerDetails(details: Details, command: Command, request: SdkRequest, output: object): void {
  switch (command.name) {
    case 'ReEncrypt': {
      const destination = destinationOf(request, output)
      if (destination !== undefined) details.destinationKey = destination
      break
    }
    case 'ScheduleKeyDeletion': {
      const date = fieldOf(output, 'DeletionDate')
      if (date instanceof Date && !Number.isNaN(date.getTime())) details.deletionScheduledAt = date.toISOString()
      break
    }
    case 'ListKeys': {
      const keys = fieldOf(output, 'Keys')
      if (Array.isArray(keys)) details.count = keys.length
      break
    }
    case 'GetParametersForImport': {
      const publicKey = fieldOf(output, 'PublicKey')
      if (publicKey instanceof Uint8Array) details.wrappingKey = fingerprint(engine, publicKey)
      break
    }
  }
}
