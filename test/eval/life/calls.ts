/** How calls are recorded: the fields that `src/audit/record.ts` gives each action, held against it by a test. */
import { type Draft, draftOf } from '../../../src/audit/draft.ts'
import { sizeOfContext } from '../../../src/audit/encryption-context.ts'
import type {
  AuditEntry,
  EntryContext,
  EntryDetails,
  EntryOrigin,
  EntryReason,
  PayloadSizes,
} from '../../../src/model/entry.ts'
import { type DecryptFailure, errorCodes, type KmsErrorCode } from '../../../src/model/errors.ts'
import type { KeyType } from '../../../src/model/key.ts'
import type { KeyState } from './keys.ts'
import type { Mark } from './mark.ts'
import { type Persona, region, type World } from './world.ts'
import type { Writer } from './writer.ts'

export type CryptoAction =
  | 'kms.encrypt'
  | 'kms.decrypt'
  | 'kms.sign'
  | 'kms.verify'
  | 'kms.hmac'
  | 'kms.verify_hmac'
  | 'kms.generate_data_key'
  | 'kms.re_encrypt'
export type ReadAction = 'kms_key.describe' | 'kms_key.list' | 'kms_key.get_public_key'

export interface Call {
  readonly at: number
  readonly by: Persona
  readonly action: CryptoAction | ReadAction
  /** Or what was asked for, where there is no such key; neither, for a list. */
  readonly key?: KeyState | string
  /** Absent: the latest. */
  readonly version?: number
  /** Plaintext, or input. */
  readonly bytes?: number
  readonly valid?: boolean
  readonly error?: KmsErrorCode
  readonly decryptFailure?: DecryptFailure
  readonly encryptionContext?: Readonly<Record<string, string>>
  readonly context?: EntryContext
  readonly origin?: EntryOrigin
  readonly reason?: EntryReason
  readonly details?: EntryDetails
  readonly writer?: Writer
  readonly mark?: Mark | undefined
}

/** Records a call that has one entry; undefined if nobody takes it. A key that is not active refuses by itself. */
export function record(world: World, call: Call): AuditEntry | undefined {
  const writer = call.writer ?? world.writerFor(call.by)
  if (writer === undefined || !writer.isOpen) return undefined
  const warned = usageOf(call)
  const { draft, because } = draftOfCall(world, warned)
  const { at, mark } = warned
  return writer.write(draft, { at, mark, because: mark === undefined ? because : undefined })
}

// 2^32 messages with random nonces of 96 bits: a warning at 0.8 of it, no more at 0.9 (SP 800-38D §8.3).
export const warnAt: number = Math.floor(0.8 * 2 ** 32)
const messageLimit = Math.floor(0.9 * 2 ** 32)

/** Whoever seals with a version that nears its limit is told so, until it is rotated. */
function usageOf(call: Call): Call {
  const { key, action, error, version } = call
  if (action !== 'kms.encrypt' || typeof key !== 'object' || error !== undefined || version !== undefined) return call
  const { nearLimit, status } = key
  if (nearLimit === undefined || nearLimit.left <= 0 || status !== 'active') return call
  nearLimit.left -= 1
  nearLimit.messages += 1
  const { messages, mark } = nearLimit
  return { ...call, mark, details: { ...call.details, messages, messageLimit, flags: ['usage_limit_near'] } }
}

/** The entry of `call`, not yet written, and whose doing it is that the call fails. */
export function draftOfCall(world: World, call: Call): { readonly draft: Draft; readonly because: Mark | undefined } {
  const { by, action, key, origin, reason, encryptionContext, decryptFailure } = call
  const { odds } = world
  const found = typeof key === 'object' ? key : undefined
  const isInactive = found !== undefined && found.status !== 'active' && action.startsWith('kms.')
  const error = call.error ?? (isInactive ? 'KEY_NOT_ACTIVE' : undefined)
  const version = versionOf(call, found, error)
  const details = {
    ...(decryptFailure !== undefined && { decryptFailure }),
    ...(action === 'kms_key.list' && error === undefined && { count: world.keys.size }),
    ...call.details,
  }
  const draft = draftOf({
    action,
    phase: 'result',
    resourceType: 'kms_key',
    resourceIdentity: found?.identity ?? (typeof key === 'string' ? key : undefined),
    outcome: error === undefined ? 'success' : 'failure',
    valid: error === undefined ? (call.valid ?? (isVerdict(action) ? true : undefined)) : undefined,
    statusCode: error === undefined ? 200 : errorCodes[error].status,
    error,
    region,
    project: found?.project ?? by.project,
    keySlug: found?.slug,
    keyType: found?.keyType,
    keyVersion: version,
    latestVersion: version !== undefined && found !== undefined && version < found.latest ? false : undefined,
    payloadSizes: sizesOf(call, found, error),
    actor: by.actor,
    context: call.context ?? by.context(odds),
    origin,
    reason,
    provider,
    details: Object.keys(details).length === 0 ? undefined : details,
    encryptionContext,
    durationMs: Math.round(odds.skewed(error === undefined ? 0.35 : 0.12, 0.6) * 1000) / 1000,
  })
  return { draft, because: isInactive ? found.because : undefined }
}

const provider = Object.freeze({ name: 'local' })

function isVerdict(action: string): boolean {
  return action === 'kms.verify' || action === 'kms.verify_hmac'
}

/** Told where a version was used, or where a ciphertext named one that did not open it. */
function versionOf({ action, version, valid, decryptFailure }: Call, key: KeyState | undefined, error: unknown) {
  if (key === undefined || action === 'kms_key.describe') return undefined
  if (error === undefined) return valid === false ? undefined : (version ?? key.latest)
  const isNamed = decryptFailure === 'authentication_failed' || decryptFailure === 'commitment_mismatch'
  return isNamed ? (version ?? key.latest) : undefined
}

function sizesOf(call: Call, key: KeyState | undefined, error: KmsErrorCode | undefined): PayloadSizes | undefined {
  const { action, bytes = 0, encryptionContext } = call
  const keyType = key?.keyType ?? 'aes256-gcm96'
  const isDone = error === undefined
  const context = encryptionContext === undefined ? nothing : { encryptionContext: sizeOfContext(encryptionContext) }
  const sealed = bytes + overheadOf(keyType)
  switch (action) {
    case 'kms.encrypt':
      return { plaintext: bytes, ...(isDone && { ciphertext: sealed }), ...context }
    case 'kms.decrypt':
      return { ...(isDone && { plaintext: bytes }), ciphertext: sealed, ...context }
    case 'kms.re_encrypt':
      return { ciphertext: sealed, ...context }
    case 'kms.generate_data_key':
      return isDone ? { plaintext: 32, ciphertext: 32 + overheadOf(keyType), ...context } : undefined
    case 'kms.sign':
      return { input: bytes, ...(isDone && { signature: signatureLength(keyType) }) }
    case 'kms.verify':
      return { input: bytes, signature: signatureLength(keyType) }
    case 'kms.hmac':
      return { input: bytes, ...(isDone && { mac: macLength(keyType) }) }
    case 'kms.verify_hmac':
      return { input: bytes, mac: macLength(keyType) }
    default:
      return undefined
  }
}

const nothing = {}

/** What a frame adds: header, nonce, tag. */
function overheadOf(keyType: KeyType): number {
  return keyType.startsWith('x') ? 77 : 65
}

function signatureLength(keyType: KeyType): number {
  if (keyType === 'rsa-4096') return 512
  if (keyType === 'rsa-3072') return 384
  return keyType === 'ed25519' ? 64 : 71
}

function macLength(keyType: KeyType): number {
  return keyType === 'hmac-sha512' ? 64 : 32
}

/** Of one kind, so many in ten seconds have entries of their own; the rest is one entry. */
const ownPerWindow = 100
const windowMs = 10_000

/** Records `count` refused calls like `call`, evenly over `overMs` from `call.at` on, joined as floods are. */
export function recordFlood(
  world: World,
  call: Call & { readonly error: KmsErrorCode },
  { count, overMs }: { readonly count: number; readonly overMs: number },
): void {
  const writer = call.writer ?? world.writerFor(call.by)
  if (writer === undefined) return
  const gap = overMs / count
  let windowEnds = 0
  let own = 0
  let joined: { readonly eventID: string; readonly firstAt: number; lastAt: number; count: number } | undefined
  for (let nth = 0; nth < count; nth++) world.agenda.at(call.at + nth * gap, refuse)
  world.agenda.at(call.at + overMs + windowMs, tell)

  function refuse(at: number): void {
    if (!writerIsOpen()) return
    if (at >= windowEnds) {
      tell(at)
      windowEnds = at + windowMs
      own = 0
    }
    own += 1
    if (own <= ownPerWindow) record(world, { ...call, ...(writer && { writer }), at })
    else if (joined === undefined) joined = { eventID: reserved(at), firstAt: at, lastAt: at, count: 1 }
    else {
      joined.count += 1
      joined.lastAt = at
    }
  }

  function writerIsOpen(): boolean {
    return writer?.isOpen === true
  }

  function reserved(at: number): string {
    return writer?.reserve(at) ?? ''
  }

  function tell(at: number): void {
    if (joined === undefined || writer === undefined || !writer.isOpen) return
    const { draft: like } = draftOfCall(world, call)
    const { type, id } = call.by.actor
    const draft = draftOf({
      action: like.action,
      phase: like.phase,
      resourceType: like.resourceType,
      resourceIdentity: like.resourceIdentity,
      outcome: like.outcome,
      statusCode: like.statusCode,
      error: like.error,
      region: like.region,
      project: like.project,
      keySlug: like.keySlug,
      keyType: like.keyType,
      actor: { type, id },
      provider: like.provider,
      details: {
        joined: joined.count,
        firstAt: new Date(joined.firstAt).toISOString(),
        lastAt: new Date(joined.lastAt).toISOString(),
      },
    })
    draft.eventID = joined.eventID
    joined = undefined
    writer.write(draft, { at, mark: call.mark })
  }
}

export interface Change {
  readonly at: number
  readonly by: Persona
  readonly action: string
  /** Or what a key that does not exist yet is to be. */
  readonly key: KeyState
  readonly isNew?: boolean
  readonly error?: KmsErrorCode
  readonly intentDetails?: EntryDetails
  /** Told when it is done. */
  readonly details?: () => EntryDetails
  readonly keyVersion?: () => number
  /** Asked for, and so already in the intent. */
  readonly askedVersion?: number
  readonly sizes?: PayloadSizes
  readonly context?: EntryContext
  readonly reason?: EntryReason
  readonly writer?: Writer
  readonly mark?: Mark | undefined
  /** It is done because of this attack, by somebody else. */
  readonly because?: Mark
  /** What becomes of the key. */
  readonly effect?: (at: number) => void
}

/** Records a change: its intent now, and a moment later what became of it. */
export function recordChange(world: World, change: Change): void {
  const { at, by, action, key, isNew, reason, mark, because, intentDetails, askedVersion, error } = change
  const writer = change.writer ?? world.writerFor(by)
  if (writer === undefined || !writer.isOpen) return
  const { instance } = writer
  const operationID = writer.reserve(at)
  const common = {
    action,
    operationID,
    resourceType: 'kms_key',
    region,
    project: key.project,
    keySlug: key.slug,
    keyType: key.keyType,
    actor: by.actor,
    context: change.context ?? by.context(world.odds),
    reason,
    provider,
  } as const
  const intent = draftOf({
    ...common,
    phase: 'intent',
    resourceIdentity: isNew ? undefined : key.identity,
    outcome: 'pending',
    keyVersion: askedVersion,
    details: intentDetails,
  })
  writer.write(intent, { at, mark, because })
  const lasts = Math.ceil(world.odds.skewed(4, 0.5))
  world.agenda.at(at + lasts, (now) => {
    // A process that has died in between leaves it open.
    if (writer.instance !== instance || !writer.isOpen) return
    if (error === undefined) change.effect?.(now)
    const made = () => ({ ...change.details?.(), generation: world.nextGeneration(), keystore: world.keystore })
    const details = { ...intentDetails, ...(error === undefined && made()) }
    const result = draftOf({
      ...common,
      phase: 'result',
      resourceIdentity: isNew && error !== undefined ? undefined : key.identity,
      outcome: error === undefined ? 'success' : 'failure',
      statusCode: error === undefined ? 200 : errorCodes[error].status,
      error,
      keyVersion: (error === undefined ? change.keyVersion?.() : undefined) ?? askedVersion,
      payloadSizes: error === undefined ? change.sizes : undefined,
      details: Object.keys(details).length === 0 ? undefined : details,
      durationMs: lasts - world.odds.below(900) / 1000,
    })
    writer.write(result, { at: now, mark, because })
  })
}

/** Records a change that was refused before its intent: one entry, a failure. */
export function recordRefusedChange(world: World, call: Omit<Call, 'action'> & { readonly action: string }): void {
  const writer = call.writer ?? world.writerFor(call.by)
  if (writer === undefined || !writer.isOpen || call.error === undefined) return
  const asked = { ...call, action: 'kms_key.describe' } as const
  const { draft } = draftOfCall(world, asked)
  draft.action = call.action
  writer.write(draft, { at: call.at, mark: call.mark })
}
