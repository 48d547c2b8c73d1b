/**
 * From request over secret to KMS call, in the entries of any trail, and what has no other end. One pass, bounded memory: what
 * belongs together stands close together, so only the newest `window` calls are held.
 */

import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { serviceName } from './record.ts'

/** An entry, or one as `readTrail` gives it. */
export type CorrelateSource = AuditEntry | PlacedEntry

export interface PlacedEntry {
  /** Of which of several trails that are read together. */
  readonly instance: string
  readonly index: bigint
  readonly entry: AuditEntry
}

export interface CorrelateOptions {
  /** Calls held at once; 10,000 by default. What is joined further apart is told as orphans. */
  readonly window?: number
  /** What began so shortly before the last entry may still be under way, ms; 60,000 by default. */
  readonly pendingMs?: number
}

/** Who asked, as the entries tell it. */
export type CorrelatedRequest = Pick<AuditEntry, 'actor' | 'context' | 'origin' | 'reason'>

/**
 * One call of a Secrets Manager:
 *
 * - `chain`: all that it must have is there
 * - `orphan`: something is missing that must be there, or does not fit; `says` what
 * - `pending`: under way when the last entry was written, or left open by a crash and not yet recovered
 * - `cut`: what is missing may stand before the first entry that was read
 */
export interface Correlation {
  readonly kind: 'chain' | 'orphan' | 'pending' | 'cut'
  readonly request: CorrelatedRequest
  /** The secret's intent, of a change. */
  readonly intent?: AuditEntry
  /** The secret's result. */
  readonly secret?: AuditEntry
  /** The KMS call made for it. */
  readonly kms?: AuditEntry
  /** Entries that say that the result of one of these was withheld. */
  readonly amendments: readonly AuditEntry[]
  /** Of all but chains, in words. */
  readonly says?: string
}

/**
 * Joins the entries of a Secrets Manager with those of the KMS calls that it made. The entries may be filtered before, but must
 * be in the order of their trail, and hold what is `secret.*`, `kms.*` and `audit.*`. Entries of other calls are passed over.
 * Nothing is verified.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option; whatever the source throws.
 * @example
 * ```ts
 * for await (const { kind, request, secret, kms, says } of correlate(readTrail('./audit'))) if (kind === 'orphan') alert(says)
 * ```
 */
export async function* correlate(
  source: AsyncIterable<CorrelateSource> | Iterable<CorrelateSource>,
  options: CorrelateOptions = {},
): AsyncGenerator<Correlation, void, undefined> {
  const { window = 10_000, pendingMs = 60_000 } = options
  if (!Number.isSafeInteger(window) || window < 1) refuse("'window' must be a whole number from 1")
  if (!Number.isFinite(pendingMs) || pendingMs < 0) refuse("'pendingMs' must be a number of milliseconds")
  const held = new Map<string, Call>()
  // Which call an entry is of, for amendments.
  const callOf = new Map<string, string>()
  const trails = new Map<string, TrailFacts>()

  for await (const item of source) {
    const { entry, trail } = placed(item, trails)
    follow(trail, entry)
    const name = nameOf(entry, callOf)
    if (name === undefined) continue
    const call = held.get(name) ?? { trail, kms: [], amendments: [] }
    held.set(name, call)
    callOf.set(entry.eventID, name)
    add(call, entry)
    // One call may have any number of entries, if somebody uses its name for others.
    while (held.size > window || callOf.size > window * maxEntries) yield* oldest()
  }
  while (held.size > 0) yield* oldest('the end')

  function* oldest(at?: 'the end'): Generator<Correlation> {
    for (const [name, call] of held) {
      held.delete(name)
      for (const { eventID } of entriesOf(call)) callOf.delete(eventID)
      yield* conclusions(call, at === undefined ? undefined : pendingMs)
      return
    }
  }
}

/** Entries of one call, on average, more than which are not held either: intent, result, KMS call, and an amendment of each. */
const maxEntries = 5

/** What is known of one call so far. */
interface Call {
  readonly trail: TrailFacts
  intent?: AuditEntry
  secret?: AuditEntry
  readonly kms: AuditEntry[]
  readonly amendments: AuditEntry[]
}

interface TrailFacts {
  /** Whether it is read from its first entry on. */
  readonly isWhole: boolean
  /** `createdAt` of the first entry read, and of the last one. */
  readonly from: string
  to: string
  /** Which start of its writer is writing. Undefined once that was closed. */
  writer: string | undefined
}

function placed(item: CorrelateSource, trails: Map<string, TrailFacts>) {
  const [entry, name] = 'entry' in item ? [item.entry, item.instance] : [item, baseOf(item.instance)]
  const known = trails.get(name)
  if (known !== undefined) return { entry, trail: known }
  const isWhole = 'entry' in item ? item.index === 0n : item.sequence === 0
  const trail: TrailFacts = { isWhole, from: entry.createdAt, to: entry.createdAt, writer: entry.instance }
  trails.set(name, trail)
  return { entry, trail }
}

/** Without the random id of one start. */
function baseOf(instance: string): string {
  return instance.slice(0, Math.max(0, instance.lastIndexOf('-')))
}

function follow(trail: TrailFacts, { createdAt, instance, action }: AuditEntry): void {
  trail.to = createdAt
  trail.writer = action === 'audit.closed' ? undefined : instance
}

/** The call that an entry is of: the `eventID` of its result, by which all its other entries name it. */
function nameOf(entry: AuditEntry, callOf: ReadonlyMap<string, string>): string | undefined {
  const { action, phase, origin, details } = entry
  if (phase === 'amendment') return callOf.get(details?.amends ?? '')
  if (action.startsWith('secret.')) return entry.operationID ?? entry.eventID
  if (action.startsWith('kms.') && origin?.service === serviceName) return origin.eventID ?? entry.eventID
  return undefined
}

function add(call: Call, entry: AuditEntry): void {
  if (entry.phase === 'amendment') call.amendments.push(entry)
  else if (!entry.action.startsWith('secret.')) call.kms.push(entry)
  else if (entry.phase === 'intent') call.intent = entry
  else call.secret = entry
}

function entriesOf({ intent, secret, kms, amendments }: Call): readonly AuditEntry[] {
  return [intent, secret, ...kms, ...amendments].filter((entry) => entry !== undefined)
}

/** One, or one more for each KMS entry that has no place in it. `pendingMs`: given at the end of what was read. */
function* conclusions(call: Call, pendingMs: number | undefined): Generator<Correlation> {
  const { intent, secret, kms } = call
  const own = ownOf(call)
  for (const other of kms) if (other !== own) yield told({ ...call, kms: [other] }, 'orphan', strayWords(call, other))
  if (secret === undefined && own === undefined && intent === undefined) return
  if (secret === undefined) yield unfinished(call, own, pendingMs)
  else if (own !== undefined) yield told({ ...call, kms: [own] }, ...fit(secret, own))
  else if (needsKms(secret, intent)) yield lone(call, secret)
  else yield told(call, 'chain')
}

/** The KMS entry that the secret's names; of a secret that names none, the first that names it. */
function ownOf({ secret, kms }: Call): AuditEntry | undefined {
  const named = secret?.details?.kmsEventID
  return named === undefined ? kms[0] : kms.find(({ eventID }) => eventID === named)
}

function strayWords({ secret }: Call, { eventID }: AuditEntry): string {
  return secret === undefined
    ? `a second KMS call, ${eventID}, names the same entry as its origin`
    : `the KMS call ${eventID} names ${secret.eventID} as its origin, which names another`
}

function fit(secret: AuditEntry, kms: AuditEntry): readonly ['chain' | 'orphan', string?] {
  const path = kms.origin?.resource
  if (path !== undefined && secret.resourceIdentity !== undefined && path !== secret.resourceIdentity)
    return ['orphan', `the KMS call is for ${path}, the secret is ${secret.resourceIdentity}`]
  if (secret.details?.kmsEventID === undefined && !mayLeaveUnnamed(secret, kms))
    return ['orphan', `the KMS call names ${secret.eventID} as its origin, which made none, or another`]
  if (secret.outcome === 'success' && kms.outcome !== 'success')
    return ['orphan', `the secret's entry is a success, and its KMS call is not`]
  return ['chain']
}

/** Whoever calls the KMS may say what it likes of its origin: a secret's result names its KMS call, unless it was written before that ended. */
function mayLeaveUnnamed({ action, error, details, actor }: AuditEntry, kms: AuditEntry): boolean {
  const isEarly = error === 'DEADLINE_EXCEEDED' || error === 'ABORTED' || details?.recovered === true
  const isSame = actor?.type === kms.actor?.type && actor?.id === kms.actor?.id
  return isEarly && isSame && kms.action === callsOf[action]
}

/** What each does with the key. */
const callsOf: Readonly<Record<string, string>> = {
  'secret.create': 'kms.encrypt',
  'secret.put_value': 'kms.encrypt',
  'secret.get_value': 'kms.decrypt',
}

/** Reading and writing a value succeeds by one KMS call; and who names one had one. */
function needsKms({ action, outcome, details = {} }: AuditEntry, intent: AuditEntry | undefined): boolean {
  if (outcome !== 'success') return false
  if (action === 'secret.get_value' || action === 'secret.put_value') return true
  return action === 'secret.create' && (details.secretVersion ?? intent?.details?.secretVersion) !== undefined
}

/** A secret's entry without that of its KMS call. */
function lone(call: Call, secret: AuditEntry): Correlation {
  const { isWhole, from } = call.trail
  const named = secret.details?.kmsEventID
  // An id begins with its time: the entry may be older than all that was read.
  const mayBeCut = !isWhole && (named === undefined ? secret.createdAt <= from : timeOf(named) <= Date.parse(from))
  if (mayBeCut) return told(call, 'cut', 'its KMS call may stand before the first entry read: pruned, or left out')
  return told(
    call,
    'orphan',
    `a value was ${secret.action === 'secret.get_value' ? 'read' : 'written'}, and no KMS call is recorded for it`,
  )
}

/** A KMS call, or an intent, without the secret's result. */
function unfinished(call: Call, kms: AuditEntry | undefined, pendingMs: number | undefined): Correlation {
  const own = kms === undefined ? call : { ...call, kms: [kms] }
  if (call.intent !== undefined)
    return told(own, 'pending', 'a change without its result: under way, or left open by a crash until the next start')
  const { to, writer } = call.trail
  const isRecent =
    pendingMs !== undefined && kms !== undefined && Date.parse(to) - Date.parse(kms.createdAt) <= pendingMs
  if (isRecent && writer === kms.instance) return told(own, 'pending', 'a KMS call whose secret entry is not there yet')
  return told(
    own,
    'orphan',
    'a KMS call for a secret, and no entry of the secret: its process ended in between, or somebody else made it',
  )
}

/** Milliseconds since the epoch (RFC 9562 §5.7); NaN for what is no UUID. */
function timeOf(eventID: string): number {
  return Number.parseInt(eventID.replace('-', '').slice(0, 12), 16)
}

function told({ intent, secret, kms, amendments }: Call, kind: Correlation['kind'], says?: string): Correlation {
  const [first] = kms
  const { actor, context, origin, reason } = secret ?? intent ?? { ...first, origin: undefined }
  return {
    kind,
    request: {
      ...(actor !== undefined && { actor }),
      ...(context !== undefined && { context }),
      ...(origin !== undefined && { origin }),
      ...(reason !== undefined && { reason }),
    },
    ...(intent !== undefined && { intent }),
    ...(secret !== undefined && { secret }),
    ...(first !== undefined && { kms: first }),
    amendments,
    ...(says !== undefined && { says }),
  }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
