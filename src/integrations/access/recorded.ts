/** What an entry tells of a call that an access policy would be asked about, and what it does not tell. */
import type { AuditEntry } from '../../model/entry.ts'
import { type Operation, operations } from '../../model/operation.ts'
import type { AskedKey, AskingActor, AskingAddress, Question } from './judge.ts'
import { exportPermission, needs, type Permission } from './permissions.ts'

/** One thing that a call needs, and with which question. */
export interface RecordedNeed {
  readonly permission: Permission
  readonly question: Question
}

export interface RecordedCall {
  /** The result; of a call whose result is missing, the intent. */
  readonly entry: AuditEntry
  /** How many calls the entry stands for. */
  readonly calls: number
  /** All of one list are needed; of several lists, one, and the entry does not tell which. */
  readonly alternatives: readonly (readonly RecordedNeed[])[]
}

/** What entries of one instance leave out, as its `audit.opened` says. Not known where that entry is not there. */
export interface KeptFields {
  readonly clientIp: boolean
  readonly hashesActor: boolean
}

const operationsOf: ReadonlyMap<string, readonly Operation[]> = byAction()

function byAction(): Map<string, Operation[]> {
  const found = new Map<string, Operation[]>()
  // The table's keys.
  for (const operation of Object.keys(operations) as Operation[]) {
    const { action } = operations[operation]
    found.set(action, [...(found.get(action) ?? []), operation])
  }
  return found
}

/** Of an `audit.opened` entry. */
export function keptFields(entry: AuditEntry): KeptFields {
  const parts = (entry.details?.fields ?? '').split(' ')
  const hashed = parts.find((part) => part.startsWith('hash='))?.slice('hash='.length) ?? ''
  return { clientIp: !parts.includes('clientIp=none'), hashesActor: hashed.split(',').includes('actor.id') }
}

/**
 * Undefined for an entry of something else, and for a call about which no policy is asked: one that found no key, and a change that
 * something else refused before its intent. `intent` is the one of the same operation.
 */
export function recordedCall(
  entry: AuditEntry,
  kept: KeptFields | undefined,
  intent: AuditEntry | undefined,
): RecordedCall | undefined {
  const found = operationsOf.get(entry.action)
  if (found === undefined || !isAsked(found, entry)) return undefined
  const joined = entry.details?.joined
  const common = {
    actor: actorOf(entry, kept),
    clientIp: joined === undefined ? addressOf(entry, kept) : 'untold',
    at: joined === undefined ? Date.parse(entry.createdAt) : 'untold',
    project: entry.project,
    region: entry.region,
  } as const
  // A result that recovery has written tells nothing of the input; one without an intent is a refusal, which tells all of it.
  const asked = intent ?? entry
  const alternatives = found
    .filter((operation) => mayBe(operation, asked))
    .flatMap((operation) => needsOf(operation, { ...common, key: keyOf(operation, entry, intent) }, asked))
  return { entry, calls: joined ?? 1, alternatives }
}

function isAsked([operation]: readonly Operation[], { error, keySlug, operationID }: AuditEntry): boolean {
  if (error === 'KEY_NOT_FOUND' && keySlug === undefined) return false
  const kind = operation && operations[operation].kind
  return kind === 'crypto' || kind === 'read' || operationID !== undefined || error === 'ACCESS_DENIED'
}

/** Two operations have one action; their details tell them apart. */
function mayBe(operation: Operation, { details }: AuditEntry): boolean {
  if (operation === 'updateRotation') return details?.minDecryptionVersion === undefined
  if (operation === 'updateMinDecryptionVersion') return details?.keyRotationEnabled === undefined
  return true
}

function needsOf(operation: Operation, question: Question, asked: AuditEntry): readonly (readonly RecordedNeed[])[] {
  const { permission } = needs[operation]
  if (operation === 'reEncrypt') {
    const destination = { ...question, key: asked.details?.destinationKey ?? ('untold' as const) }
    return [
      [
        { permission, question },
        { permission: 'kms:ReEncryptTo', question: destination },
      ],
    ]
  }
  if (operation !== 'export') return [[{ permission, question }]]
  const { recovered, joined, form = 'wrapped', recipient } = asked.details ?? {}
  const forms =
    recovered === true || joined !== undefined ? [true, false] : [recipient !== undefined && form === 'wrapped']
  return forms.map((isWrapped) => [{ permission: exportPermission(isWrapped), question }])
}

function keyOf(operation: Operation, entry: AuditEntry, intent: AuditEntry | undefined): AskedKey {
  const { about } = needs[operation]
  if (about === 'keys' || about === 'keystore') return about
  if (about === 'newKey') {
    // The result tells the slug that was made up for a key that asked for none.
    const asked = entry.operationID === undefined ? entry : intent
    if (asked === undefined) return 'untold'
    return asked.keySlug === undefined ? 'unknown' : { slug: asked.keySlug }
  }
  const { keySlug, resourceIdentity } = entry
  if (keySlug === undefined || resourceIdentity === undefined) return 'untold'
  return { slug: keySlug, identity: resourceIdentity }
}

function actorOf({ actor }: AuditEntry, kept: KeptFields | undefined): AskingActor | 'untold' {
  // Of many refusals in one entry.
  if (actor === undefined) return 'untold'
  const { type, id } = actor
  if (type === 'unknown') return { type }
  if (id === undefined || isCut(id) || isHashed(id, kept?.hashesActor)) return { type }
  return { type, id }
}

function addressOf({ context, details }: AuditEntry, kept: KeptFields | undefined): AskingAddress {
  const text = context?.clientIp
  if (text === undefined) {
    const isSaid = details?.flags?.includes('client_ip_invalid') === true
    return isSaid || kept?.clientIp === true ? 'unknown' : 'untold'
  }
  if (text.startsWith('h:')) return 'untold'
  return text.includes('/') ? { network: text } : { address: text }
}

/** As `capText` marks it. */
function isCut(text: string): boolean {
  return /…#\d+$/u.test(text)
}

function isHashed(text: string, hashes: boolean | undefined): boolean {
  return hashes === false ? false : /^h:[\w-]{22}$/.test(text)
}
