/**
 * From a call and its answer to an entry. Each field is named here, one by one, and nothing is ever spread into an
 * entry: what this file does not name cannot leak. Plaintext, key material, signatures and MACs are only measured.
 */
import { engine } from '#engine'
import { fingerprint } from '../crypto/fingerprint.ts'
import { isToken, isTrace } from '../model/dispatch.ts'
import type { AuditEntry, EntryDetails, EntryKey, EntryProvider, Outcome, PayloadSizes } from '../model/entry.ts'
import { errorCodes, evidenceOf, KmsError, type KmsErrorCode } from '../model/errors.ts'
import type { Key, KeyRef, ResolvedKey, Scope } from '../model/key.ts'
import {
  type EncryptionContext,
  type Operation,
  type Output,
  operations,
  type ProviderTrace,
  type Used,
} from '../model/operation.ts'
import { capText } from '../model/text.ts'
import type { PreparedContext } from './context.ts'
import { type Draft, draftOf } from './draft.ts'
import { keptContext, sizeOfContext } from './encryption-context.ts'
import type { Fields } from './fields.ts'

/** What a record needs to know of a call. */
export interface RecordedCall {
  readonly operation: Operation
  /** The checked input; before it is checked, and if it did not pass, what the caller gave. */
  readonly input: Readonly<Record<string, unknown>>
  readonly prepared: PreparedContext
  readonly scope: Scope
  readonly providerName: string
  readonly key: ResolvedKey | undefined
  /** Of operations on the keystore itself: its id. */
  readonly keystore: string | undefined
  /** Set once an intent is written. */
  readonly operationID: string | undefined
  /** Wall clock at the start, ms since the epoch; known for changes. */
  readonly startedAt: number | undefined
}

/** A provider's output, or why there is none. */
export type Answer = Output<Operation> | KmsError

/** Details grow field by field. */
type Details = { -readonly [F in keyof EntryDetails]: EntryDetails[F] }

const maxAskedFor = 128

/** The entry that says what is about to be done: written, and accepted, before a change. */
export function recordIntent(call: RecordedCall, fields: Fields): Draft {
  const { prepared, scope, key } = call
  const flags = [...prepared.flags]
  return draftOf({
    action: operations[call.operation].action,
    phase: 'intent',
    operationID: call.operationID,
    resourceType: resourceTypeOf(call),
    resourceIdentity: key?.identity ?? call.keystore ?? askedFor(call),
    outcome: 'pending',
    region: scope.region,
    project: scope.project,
    keySlug: key?.slug ?? requested(call, 'slug'),
    keyType: key?.keyType ?? requested(call, 'keyType'),
    keyVersion: versionOf(call.input['keyVersion']),
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: { name: call.providerName },
    details: detailsOf(call, undefined, flags),
    encryptionContext: contextOf(call, fields, flags),
  })
}

/** The entry of a call's answer: exactly one for each call. */
export function recordResult(call: RecordedCall, answer: Answer, durationMs: number, fields: Fields): Draft {
  const error = answer instanceof KmsError ? answer : undefined
  const code = error && recordedCode(error)
  const output = answer instanceof KmsError ? undefined : answer
  const { prepared, scope } = call
  const flags = prepared.flags.length === 0 ? [] : [...prepared.flags]
  const key = output?.key ?? call.key
  const keyVersion =
    output?.keyVersion ?? versionOf(error && evidenceOf(error).keyVersion) ?? versionOf(call.input['keyVersion'])
  const encryptionContext = contextOf(call, fields, flags)
  return draftOf({
    action: operations[call.operation].action,
    phase: 'result',
    operationID: call.operationID,
    resourceType: resourceTypeOf(call),
    resourceIdentity: key?.identity ?? call.keystore ?? askedFor(call),
    outcome: error ? 'failure' : 'success',
    valid: output === undefined ? undefined : verdictOf(output),
    statusCode: code ? errorCodes[code].status : 200,
    error: code,
    region: scope.region,
    project: scope.project,
    keySlug: key?.slug ?? requested(call, 'slug'),
    keyType: key?.keyType ?? requested(call, 'keyType'),
    keyVersion,
    latestVersion: isOlder(keyVersion, key) ? false : undefined,
    payloadSizes: sizesOf(call, output),
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: providerOf(call, output, error),
    details: detailsOf(call, answer, flags),
    encryptionContext,
    durationMs: roundMs(durationMs),
  })
}

/** Which generation of which keystore a change made. */
export interface ChangeMade {
  readonly keystore: string
  readonly generation: number
}

/** The result of an intent found open by recovery: told by the provider, not by the call. */
export function recordRecovered(
  intent: AuditEntry,
  outcome: Exclude<Outcome, 'pending'>,
  made: ChangeMade | undefined,
): Draft {
  return draftOf({
    action: intent.action,
    phase: 'result',
    operationID: intent.operationID,
    resourceType: intent.resourceType,
    resourceIdentity: intent.resourceIdentity,
    outcome,
    region: intent.region,
    project: intent.project,
    keySlug: intent.keySlug,
    keyType: intent.keyType,
    keyVersion: intent.keyVersion,
    actor: intent.actor,
    context: intent.context,
    origin: intent.origin,
    reason: intent.reason,
    provider: intent.provider && { name: intent.provider.name },
    details: { ...(made && { generation: made.generation, keystore: made.keystore }), recovered: true },
  })
}

/** Says of an earlier result that it was withheld from the caller, because its entry was refused or late. */
export function recordAmendment(entry: AuditEntry): Draft {
  return draftOf({
    action: entry.action,
    phase: 'amendment',
    operationID: entry.operationID,
    resourceType: entry.resourceType,
    resourceIdentity: entry.resourceIdentity,
    outcome: entry.outcome,
    region: entry.region,
    project: entry.project,
    keySlug: entry.keySlug,
    keyType: entry.keyType,
    keyVersion: entry.keyVersion,
    actor: entry.actor,
    details: { amends: entry.eventID, flags: ['withheld'] },
  })
}

/** Of evidence nobody has looked at the types before. */
function recordedCode(error: KmsError): KmsErrorCode {
  const { code } = evidenceOf(error)
  return code !== undefined && Object.hasOwn(errorCodes, code) ? code : error.code
}

function resourceTypeOf(call: RecordedCall): 'kms_key' | 'kms_keystore' {
  return operations[call.operation].resourceType ?? 'kms_key'
}

/** What was asked for, when no key was found for it. */
function askedFor(call: RecordedCall): string | undefined {
  const name = call.input['key']
  return typeof name === 'string' ? capText(name, maxAskedFor) : undefined
}

/** What a key that does not exist yet is to be. */
function requested(call: RecordedCall, field: 'slug' | 'keyType'): string | undefined {
  const makes = call.operation === 'createKey' || call.operation === 'importKey'
  const value = makes ? call.input[field] : undefined
  return typeof value === 'string' ? capText(value, maxAskedFor) : undefined
}

function versionOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined
}

function verdictOf(output: Output<Operation>): boolean | undefined {
  return 'valid' in output ? output.valid : undefined
}

function isOlder(keyVersion: number | undefined, key: KeyRef | undefined): boolean {
  return keyVersion !== undefined && key?.latestVersion !== undefined && keyVersion < key.latestVersion
}

/** Lengths in bytes, of what was given even if it was refused, and of what was made. */
function sizesOf(call: RecordedCall, output: Output<Operation> | undefined): PayloadSizes | undefined {
  const sizes: { -readonly [P in keyof PayloadSizes]: PayloadSizes[P] } = {}
  let some = false
  // Fields are named by the operation's row; both sides are looked at, never kept.
  const made = output as Readonly<Record<string, unknown>> | undefined
  for (const rule of operations[call.operation].sizes) {
    const bytes = rule.of === 'input' ? call.input[rule.field] : made?.[rule.field]
    if (!(bytes instanceof Uint8Array)) continue
    sizes[rule.as] = bytes.byteLength
    some = true
  }
  const context = encryptionContextOf(call)
  if (context !== undefined) {
    sizes.encryptionContext = sizeOfContext(context)
    some = true
  }
  return some ? sizes : undefined
}

/** Only a checked input holds a context: `checkInput` copied it. */
function encryptionContextOf(call: RecordedCall): EncryptionContext | undefined {
  return call.input['encryptionContext'] as EncryptionContext | undefined
}

function contextOf(call: RecordedCall, fields: Fields, flags: string[]): EncryptionContext | undefined {
  const pairs = encryptionContextOf(call)
  return pairs && keptContext(pairs, { fields, taken: call.prepared.maxBytes, flags })
}

// One object a provider while it tells nothing about single calls.
const plainProviders = new Map<string, EntryProvider>()

function providerOf(call: RecordedCall, output: Used | undefined, error: KmsError | undefined): EntryProvider {
  if (error === undefined) return entryProvider(output?.provider?.name ?? call.providerName, output?.provider)
  const evidence = evidenceOf(error)
  const { provider } = evidence
  // Of evidence nobody has looked at the types before.
  const name = isToken(provider) ? provider : call.providerName
  return entryProvider(name, isTrace(evidence) ? evidence : undefined)
}

/** Which provider answered, with what it tells of this call. */
export function entryProvider(name: string, trace?: ProviderTrace): EntryProvider {
  const { requestId, attempts, durationMs } = trace ?? nothingTold
  if (requestId === undefined && attempts === undefined && durationMs === undefined) return plainProvider(name)
  return {
    name,
    ...(requestId !== undefined && { requestId: capText(requestId, 128) }),
    ...(attempts !== undefined && { attempts }),
    ...(durationMs !== undefined && { durationMs: roundMs(durationMs) }),
  }
}

const nothingTold: ProviderTrace = {}

/** To the microsecond. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function plainProvider(name: string): EntryProvider {
  let provider = plainProviders.get(name)
  if (provider === undefined) {
    provider = Object.freeze({ name })
    plainProviders.set(name, provider)
  }
  return provider
}

/** Fields of the checked input that the details tell as they are, in the entry's order. */
const toldOf: { readonly [O in Operation]?: readonly (keyof EntryDetails)[] } = {
  export: ['form'],
  rotateScheduled: ['because'],
  updateMinDecryptionVersion: ['minDecryptionVersion'],
  importKeyVersion: ['form'],
  importKey: ['form', 'exportAllowed', 'allowRotation'],
  updateRotation: ['keyRotationEnabled', 'rotationPeriodInDays'],
  createKey: ['keyRotationEnabled', 'rotationPeriodInDays', 'exportAllowed'],
}

/** What only some actions tell. */
function detailsOf(call: RecordedCall, answer: Answer | undefined, flags: readonly string[]): EntryDetails | undefined {
  const details: Details = {}
  const { input } = call
  switch (call.operation) {
    case 'sign':
    case 'verify':
    case 'hmac':
    case 'verifyHmac':
      if (typeof input['hashAlgorithm'] === 'string') details.algorithm = input['hashAlgorithm']
      if (typeof input['padding'] === 'string') details.algorithm = algorithmOf(input['padding'], details.algorithm)
      break
    case 'export':
      if (input['recipient'] instanceof Uint8Array) details.recipient = fingerprint(engine, input['recipient'])
      break
    case 'rotateScheduled':
    case 'destroyKey':
      lateness(details, input['dueAt'], call.startedAt)
      break
  }
  for (const name of toldOf[call.operation] ?? []) {
    // By names of the table; of an input that was refused nothing is left but bytes, numbers and the key's name.
    const value = input[name]
    if (value !== undefined) Object.assign(details, { [name]: value })
  }
  if (answer instanceof KmsError) {
    const { decryptFailure, rule } = evidenceOf(answer)
    if (decryptFailure !== undefined) details.decryptFailure = decryptFailure
    if (isToken(rule)) details.rule = rule
  } else if (answer !== undefined) outputDetails(details, answer)
  const marks = flagsOf(flags, answer)
  if (marks.length > 0) details.flags = marks
  for (const _ in details) return details
  return undefined
}

/** `pss-sha256`, or the padding alone where the digest is the key type's own choice. */
function algorithmOf(padding: string, hashAlgorithm: string | undefined): string {
  return hashAlgorithm === undefined ? padding : `${padding}-${hashAlgorithm}`
}

function lateness(details: Details, dueAt: unknown, startedAt: number | undefined): void {
  if (typeof dueAt !== 'string') return
  details.dueAt = dueAt
  if (startedAt !== undefined) details.latenessMs = Math.max(0, startedAt - Date.parse(dueAt))
}

function flagsOf(flags: readonly string[], answer: Answer | undefined): readonly string[] {
  if (answer === undefined || answer instanceof KmsError) return flags
  const { usage, flags: more } = answer
  if (usage === undefined && more === undefined) return flags
  return [...flags, ...(usage === undefined ? [] : ['usage_limit_near']), ...(more ?? [])]
}

function outputDetails(details: Details, output: Output<Operation>): void {
  if ('form' in output) details.form = output.form
  if ('destinationKey' in output) details.destinationKey = entryKey(output.destinationKey, output.destinationKeyVersion)
  if ('keys' in output) details.count = output.keys.length
  if (output.generation !== undefined) details.generation = output.generation
  if (output.keystore !== undefined) details.keystore = output.keystore
  if ('fingerprint' in output) details.wrappingKey = output.fingerprint
  if ('wrappingKey' in output) details.wrappingKey = output.wrappingKey
  if (output.usage !== undefined) {
    details.messages = output.usage.messages
    details.messageLimit = output.usage.limit
  }
  const key = output.key
  if (key !== undefined && isResource(key)) {
    // Of a rotation, or of a newer version imported.
    const previous = output.keyVersion === key.latestVersion ? key.versions.at(-2) : undefined
    if (previous !== undefined) details.previousVersion = previous.version
    if (key.deletionScheduledAt !== undefined) details.deletionScheduledAt = key.deletionScheduledAt
  }
}

function isResource(key: KeyRef): key is Key {
  return 'versions' in key && Array.isArray(key.versions)
}

function entryKey(key: KeyRef, keyVersion: number | undefined): EntryKey {
  const { identity, slug, keyType } = key
  return keyVersion === undefined ? { identity, slug, keyType } : { identity, slug, keyType, keyVersion }
}
