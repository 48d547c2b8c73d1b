/** An entry in the making: the one place where fields are put in their order and absent ones left out. */
import { type AuditEntry, schemaName } from '../model/entry.ts'

/** An entry whose stamp (id, time, instance, sequence, salt) the emitter fills in when it is queued. */
export type Draft = { -readonly [F in keyof AuditEntry]: AuditEntry[F] }

type Stamp = 'schema' | 'eventID' | 'createdAt' | 'instance' | 'sequence' | 'salt'

/** Everything an entry says but its stamp. `undefined` is absent. */
export type Facts = {
  readonly [F in Exclude<keyof AuditEntry, Stamp>]:
    | AuditEntry[F]
    | (undefined extends AuditEntry[F] ? undefined : never)
}

type Needed = 'action' | 'phase' | 'resourceType' | 'outcome'

/** A draft of `facts`, in the entry's fixed order. */
export function draftOf(
  facts: Pick<Facts, Needed> & { readonly [F in Exclude<keyof Facts, Needed>]?: Facts[F] | undefined },
): Draft {
  // The stamp's places are taken here and filled at the queue; the loop of assignments keeps the order of `AuditEntry`.
  const draft = { schema: schemaName, eventID: '' } as Draft
  if (facts.operationID !== undefined) draft.operationID = facts.operationID
  draft.createdAt = ''
  draft.instance = ''
  draft.sequence = 0
  draft.action = facts.action
  draft.phase = facts.phase
  draft.resourceType = facts.resourceType
  if (facts.resourceIdentity !== undefined) draft.resourceIdentity = facts.resourceIdentity
  draft.outcome = facts.outcome
  if (facts.valid !== undefined) draft.valid = facts.valid
  if (facts.statusCode !== undefined) draft.statusCode = facts.statusCode
  if (facts.error !== undefined) draft.error = facts.error
  if (facts.region !== undefined) draft.region = facts.region
  if (facts.project !== undefined) draft.project = facts.project
  if (facts.keySlug !== undefined) draft.keySlug = facts.keySlug
  if (facts.keyType !== undefined) draft.keyType = facts.keyType
  if (facts.keyVersion !== undefined) draft.keyVersion = facts.keyVersion
  if (facts.latestVersion !== undefined) draft.latestVersion = facts.latestVersion
  if (facts.payloadSizes !== undefined) draft.payloadSizes = facts.payloadSizes
  if (facts.actor !== undefined) draft.actor = facts.actor
  if (facts.context !== undefined) draft.context = facts.context
  if (facts.origin !== undefined) draft.origin = facts.origin
  if (facts.reason !== undefined) draft.reason = facts.reason
  if (facts.provider !== undefined) draft.provider = facts.provider
  if (facts.details !== undefined) draft.details = facts.details
  if (facts.encryptionContext !== undefined) draft.encryptionContext = facts.encryptionContext
  if (facts.durationMs !== undefined) draft.durationMs = facts.durationMs
  draft.salt = ''
  return draft
}
