/** The entries of a Secrets Manager. Each field is named here, one by one; of a value nothing is told. */
import type { PreparedContext } from '../../audit/context.ts'
import { type Draft, draftOf } from '../../audit/draft.ts'
import { roundMs } from '../../audit/record.ts'
import { isToken } from '../../model/dispatch.ts'
import type { EntryDetails } from '../../model/entry.ts'
import { errorCodes, evidenceOf, type KmsError } from '../../model/errors.ts'
import type { Scope } from '../../model/key.ts'

/** What entries of KMS calls name as their origin. */
export const serviceName = 'secrets-manager'

export type SecretAction =
  | 'secret.create'
  | 'secret.get_value'
  | 'secret.put_value'
  | 'secret.update_policy'
  | 'secret.destroy_version'
  | 'secret.delete'
  | 'secret.list'
  | 'secret.describe'

/** What is known of a call, more and more as it goes on. */
export interface RecordedSecretCall {
  readonly action: SecretAction
  /** As asked for, where it looks like a path. */
  readonly path: string | undefined
  readonly prepared: PreparedContext
  readonly scope: Scope
  readonly storeName: string
  /** Of the result; what entries of KMS calls name as the origin's. */
  readonly eventID: string
  /** Set once there is an intent. */
  operationID?: string
  keySlug?: string
  keyType?: string
  keyVersion?: number
  secretVersion?: number
  kmsEventID?: string
  /** Secrets listed. */
  count?: number
}

export function recordSecretIntent(call: RecordedSecretCall): Draft {
  const { prepared, scope } = call
  return draftOf({
    action: call.action,
    phase: 'intent',
    operationID: call.operationID,
    resourceType: 'secret',
    resourceIdentity: call.path,
    outcome: 'pending',
    region: scope.region,
    project: scope.project,
    keySlug: call.keySlug,
    keyType: call.keyType,
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: { name: call.storeName },
    details: detailsOf(call, undefined),
  })
}

/** The entry of what came of a call: exactly one for each. */
export function recordSecretResult(call: RecordedSecretCall, error: KmsError | undefined, durationMs: number): Draft {
  const { prepared, scope } = call
  const draft = draftOf({
    action: call.action,
    phase: 'result',
    operationID: call.operationID,
    resourceType: 'secret',
    resourceIdentity: call.path,
    outcome: error === undefined ? 'success' : 'failure',
    statusCode: error === undefined ? 200 : errorCodes[error.code].status,
    error: error?.code,
    region: scope.region,
    project: scope.project,
    keySlug: call.keySlug,
    keyType: call.keyType,
    keyVersion: call.keyVersion,
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: { name: call.storeName },
    details: detailsOf(call, error),
    durationMs: roundMs(durationMs),
  })
  draft.eventID = call.eventID
  return draft
}

function detailsOf(call: RecordedSecretCall, error: KmsError | undefined): EntryDetails | undefined {
  const { count, secretVersion, kmsEventID } = call
  const { flags } = call.prepared
  const rule = error && evidenceOf(error).rule
  const details: { -readonly [F in keyof EntryDetails]: EntryDetails[F] } = {}
  if (count !== undefined) details.count = count
  if (isToken(rule)) details.rule = rule
  if (secretVersion !== undefined) details.secretVersion = secretVersion
  if (kmsEventID !== undefined) details.kmsEventID = kmsEventID
  if (flags.length > 0) details.flags = [...flags]
  for (const _ in details) return details
  return undefined
}
