/** What a reconciliation finds, in figures and in words. */
import type { OurCall } from './ours.ts'
import type { TheirEvent } from './theirs.ts'

/** An entry of ours, by what finds it again. */
export interface OurEntry {
  readonly eventID: string
  readonly action: string
  /** RFC 3339, UTC. */
  readonly createdAt: string
  /** Identity, or what was asked for. */
  readonly key?: string
  readonly outcome: 'success' | 'failure' | 'unknown'
  readonly requestId?: string
}

/** An event of theirs, by what finds it again, and by whom it was. */
export interface TheirRecord {
  readonly eventID: string
  readonly eventName: string
  /** RFC 3339, UTC. */
  readonly eventTime: string
  readonly key?: string
  readonly errorCode?: string
  readonly requestId?: string
  /** ARN of who called. */
  readonly principal?: string
  readonly sourceIPAddress?: string
  readonly userAgent?: string
}

/**
 * `only-theirs`: AWS saw it, and the trail tells nothing of it: somebody used or changed the key outside keytrail. `only-ours`: the
 * trail says that AWS did it, and AWS' record does not. `disagreement`: both tell of the same request, and differ in `about`.
 */
export type FindingKind = 'only-theirs' | 'only-ours' | 'disagreement'

export interface Finding {
  readonly kind: FindingKind
  /** Of a disagreement. */
  readonly about?: 'key' | 'action' | 'outcome'
  /** One sentence for people. */
  readonly says: string
  readonly ours?: OurEntry
  readonly theirs?: TheirRecord
}

/** Calls by an AWS service on someone's behalf, such as S3 for an encrypted object. */
export interface ServiceUse {
  readonly service: string
  readonly eventName: string
  readonly key?: string
  readonly principal?: string
  readonly calls: number
}

/** How many of each; a call or event is counted once. */
export interface ReconciliationCounts {
  /** Calls in our entries that are about AWS KMS. */
  readonly calls: number
  /** Events of AWS KMS in the export, each once however often it was delivered. */
  readonly events: number
  /** Calls with their event, by request id. */
  readonly matched: number
  /** Calls with their event, by action, key and time: their entries name no request. */
  readonly matchedByTime: number
  /** Events that are other attempts of a call that was matched. */
  readonly retries: number
  /** Events that are part of a call beside its own, such as the alias of a new key. */
  readonly companions: number
  /** Calls that were refused before anything was sent. */
  readonly notSent: number
  /** Calls that ended without an answer, of which AWS has no event: they never arrived. */
  readonly notArrived: number
  /** Calls that AWS refused, without an event: CloudTrail does not keep every failure. */
  readonly failuresNotKept: number
  /** Events that read about a key and neither use nor change it, and that no entry names. */
  readonly reads: number
  /** Events of AWS KMS' own doing, such as an automatic rotation. */
  readonly byAws: number
  /** Events of AWS services on someone's behalf. */
  readonly byServices: number
  /** Events on keys that the trail does not know. */
  readonly otherKeys: number
  /** Calls and events that the other side may not cover. */
  readonly outside: number
  readonly onlyTheirs: number
  readonly onlyOurs: number
  readonly disagreements: number
}

export interface Reconciliation {
  /** Both sides cover it; undefined if there is no such time, and then nothing was compared. RFC 3339, UTC. */
  readonly range?: { readonly from: string; readonly to: string }
  /** True only if there is a range and not one finding. */
  readonly agrees: boolean
  readonly counts: ReconciliationCounts
  /** In the order of time; the first so many, see `limit`. */
  readonly findings: readonly Finding[]
  readonly services: readonly ServiceUse[]
  /** What the reader should know of the export, a sentence each. */
  readonly notes: readonly string[]
}

export function timeText(at: number): string {
  return new Date(at).toISOString()
}

export function ourEntry({ eventID, action, at, keyName, ok, requestId }: OurCall): OurEntry {
  return {
    eventID,
    action,
    createdAt: timeText(at),
    ...(keyName !== undefined && { key: keyName }),
    outcome: ok === undefined ? 'unknown' : ok ? 'success' : 'failure',
    ...(requestId !== undefined && { requestId }),
  }
}

export function theirRecord(event: TheirEvent): TheirRecord {
  const { eventID, eventName, at, key, errorCode, requestId, principal, sourceIPAddress, userAgent } = event
  return {
    eventID,
    eventName,
    eventTime: timeText(at),
    ...(key !== undefined && { key }),
    ...(errorCode !== undefined && { errorCode }),
    ...(requestId !== undefined && { requestId }),
    ...(principal !== undefined && { principal }),
    ...(sourceIPAddress !== undefined && { sourceIPAddress }),
    ...(userAgent !== undefined && { userAgent }),
  }
}

/** In the order of time, then by whose side and id: the same input gives the same report. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const keys = new Map(findings.map((finding) => [finding, orderOf(finding)]))
  const of = (finding: Finding) => keys.get(finding) ?? ''
  return [...findings].sort((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0))
}

function orderOf({ ours, theirs, about }: Finding): string {
  return `${theirs?.eventTime ?? ours?.createdAt} ${theirs?.eventID ?? ''} ${ours?.eventID ?? ''} ${about ?? ''}`
}
