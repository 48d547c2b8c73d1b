/** What an entry has to do with another one: the closest of its ties. */
import type { AuditEntry } from '../../model/entry.ts'

/** From the entry itself to what merely happened at the same time in the log. */
export type Relation =
  | 'asked'
  | 'same change'
  | 'same secret call'
  | 'same request'
  | 'same actor'
  | 'same key'
  | 'same source'
  | 'the log'

/** Tells how an entry is tied to `asked`; undefined for no tie. */
export function relations(asked: AuditEntry): (entry: AuditEntry) => Relation | undefined {
  const calls = new Set(callsIn(asked))
  const request = requestOf(asked)
  const actor = actorOf(asked)
  const key = keyOf(asked)
  const source = asked.context?.clientIp
  return (entry) => {
    if (entry.eventID === asked.eventID) return 'asked'
    if (asked.operationID !== undefined && entry.operationID === asked.operationID) return 'same change'
    if (entry.details?.amends === asked.eventID || asked.details?.amends === entry.eventID) return 'same change'
    if (callsIn(entry).some((id) => calls.has(id))) return 'same secret call'
    if (request !== undefined && requestOf(entry) === request) return 'same request'
    if (entry.resourceType === 'audit_log') return entry.action === 'audit.heartbeat' ? undefined : 'the log'
    if (actor !== undefined && actorOf(entry) === actor) return 'same actor'
    if (key !== undefined && keyOf(entry) === key) return 'same key'
    if (source !== undefined && entry.context?.clientIp === source) return 'same source'
    return undefined
  }
}

/** Ids by which a secret's entries and those of its KMS call name one another. */
function callsIn({ eventID, operationID, origin, details }: AuditEntry): readonly string[] {
  return [eventID, operationID, origin?.eventID, details?.kmsEventID].filter((id) => id !== undefined)
}

/** The trace (W3C Trace Context §3.2.2.3) or the request: either is of one request, and the first is told more widely. */
function requestOf({ context }: AuditEntry): string | undefined {
  const { traceparent } = context ?? {}
  const trace = typeof traceparent === 'string' ? traceparent.split('-')[1] : undefined
  if (trace !== undefined) return `trace ${trace}`
  return context?.requestId === undefined ? undefined : `request ${context.requestId}`
}

function actorOf({ actor }: AuditEntry): string | undefined {
  return actor?.id === undefined ? undefined : `${actor.type}:${actor.id}`
}

/** The slug, which entries of secrets tell too. */
function keyOf({ keySlug, resourceType, resourceIdentity }: AuditEntry): string | undefined {
  return keySlug ?? (resourceType === 'kms_key' ? resourceIdentity : undefined)
}
