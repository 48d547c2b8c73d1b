/** Entries of requests that never become a call of the client: refused before, or answered by the API itself. Field by field. */
import type { PreparedContext } from '../../audit/context.ts'
import { type Draft, draftOf } from '../../audit/draft.ts'
import { entryProvider, roundMs } from '../../audit/record.ts'
import { isToken } from '../../model/dispatch.ts'
import type { EntryDetails } from '../../model/entry.ts'
import { errorCodes, evidenceOf } from '../../model/errors.ts'
import type { KeyRef } from '../../model/key.ts'
import { capText } from '../../model/text.ts'
import type { EndpointFacts } from './endpoints.ts'
import { type Refusal, statusOf } from './failure.ts'

/** What is known of a request so far. */
export interface RecordedRequest {
  readonly action: string
  readonly resourceType: EndpointFacts['resourceType']
  readonly prepared: PreparedContext
  readonly region: string | undefined
  readonly project: string | undefined
  /** Undefined where the request is about no key. */
  readonly providerName: string | undefined
  /** As the path names it. */
  readonly keyName: string | undefined
  readonly key: KeyRef | undefined
  readonly durationMs: number
}

const maxAskedFor = 128

/** The entry of a refusal. Its error may tell the entry more than the caller: then its status is the entry's too. */
export function recordRefusal(request: RecordedRequest, refusal: Refusal): Draft {
  const { code = refusal.error.code, rule, decryptFailure } = evidenceOf(refusal.error)
  const hides = refusal.status === undefined
  const details: { -readonly [D in 'rule' | 'decryptFailure']?: EntryDetails[D] } = {}
  if (decryptFailure !== undefined) details.decryptFailure = decryptFailure
  if (isToken(rule)) details.rule = rule
  return draft(request, {
    outcome: 'failure',
    statusCode: hides ? errorCodes[code].status : statusOf(refusal),
    error: code,
    details,
  })
}

/** The entry of a request that the API answers itself; `count`: of entries read. */
export function recordOwnAnswer(request: RecordedRequest, count: number | undefined): Draft {
  return draft(request, { outcome: 'success', statusCode: 200, details: count === undefined ? {} : { count } })
}

type Ending = Pick<Draft, 'outcome' | 'statusCode' | 'error'> & { readonly details: EntryDetails }

function draft(request: RecordedRequest, { outcome, statusCode, error, details }: Ending): Draft {
  const { prepared, key, keyName } = request
  const told: EntryDetails = prepared.flags.length === 0 ? details : { ...details, flags: prepared.flags }
  return draftOf({
    action: request.action,
    phase: 'result',
    resourceType: request.resourceType,
    resourceIdentity: key?.identity ?? (keyName === undefined ? undefined : capText(keyName, maxAskedFor)),
    outcome,
    statusCode,
    error,
    region: request.region,
    project: request.project,
    keySlug: key?.slug,
    keyType: key?.keyType,
    actor: prepared.actor,
    context: prepared.context,
    origin: prepared.origin,
    reason: prepared.reason,
    provider: request.providerName === undefined ? undefined : entryProvider(request.providerName),
    details: Object.keys(told).length === 0 ? undefined : told,
    durationMs: roundMs(request.durationMs),
  })
}
