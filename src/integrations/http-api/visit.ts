/** A request on its way through the handler, and what its own entry tells of it. */
import type { Audit } from '../../audit/audit.ts'
import { type PreparedContext, prepareContext } from '../../audit/context.ts'
import { type Inside, insideOf, type KmsClient } from '../../client.ts'
import type { RequestContext } from '../../model/context.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey } from '../../model/key.ts'
import { traceparentOf } from '../context/traceparent.ts'
import type { RequestInfo } from './access.ts'
import { auditParameters } from './audit-log.ts'
import { type EndpointFacts, type KeyEndpoint, keyEndpoints } from './endpoints.ts'
import type { ApiRequest } from './fetch.ts'
import type { RecordedRequest } from './refusal-entry.ts'
import { type Match, matchRoute, type NoMatch } from './routes.ts'
import { targetOf } from './target.ts'

/** What the API answers itself. */
export interface OwnEndpoint extends EndpointFacts {
  readonly plan: undefined
}

export type Endpoint = KeyEndpoint | OwnEndpoint

/** Of no endpoint at all, and of one about no key. */
const apiAction = 'api.request'

export const summaryEndpoint: OwnEndpoint = {
  method: 'GET',
  template: '/v1/kms/summary',
  action: apiAction,
  permission: 'list',
  resourceType: 'http_api',
  plan: undefined,
}

export const auditEndpoint: OwnEndpoint = {
  method: 'GET',
  template: '/v1/audit',
  action: 'audit.read',
  permission: 'list',
  resourceType: 'audit_log',
  query: auditParameters,
  plan: undefined,
}

const withoutAuditLog: readonly Endpoint[] = [...keyEndpoints, summaryEndpoint]
const withAuditLog: readonly Endpoint[] = [...withoutAuditLog, auditEndpoint]

/** Grows as more becomes known. */
export interface Visit {
  readonly request: ApiRequest
  readonly info: RequestInfo
  /** Monotonic clock. */
  readonly begunAt: number
  readonly match: Match<Endpoint> | NoMatch
  readonly query: string
  kms: KmsClient
  inside: Inside
  said: RequestContext
  region: string | undefined
  project: string | undefined
  keyName: string | undefined
  key: ResolvedKey | undefined
}

export interface Arrival {
  readonly request: ApiRequest
  readonly info: RequestInfo
  readonly kms: KmsClient
  readonly hasAuditLog: boolean
}

export function beginVisit({ request, info, kms, hasAuditLog }: Arrival): Visit {
  const { segments, query } = targetOf(request.url)
  const match = matchRoute(hasAuditLog ? withAuditLog : withoutAuditLog, request.method, segments)
  const inside = insideOf(kms)
  const { region, project } = inside.scope
  const begunAt = inside.audit.clock.monotonic()
  const said = saidBy(request, match.endpoint?.template)
  return {
    request,
    info,
    begunAt,
    match,
    query,
    kms,
    inside,
    said,
    region,
    project,
    keyName: undefined,
    key: undefined,
  }
}

/** From the request alone; who asks is not known yet. */
function saidBy({ method, headers }: ApiRequest, route: string | undefined): RequestContext {
  const texts = {
    userAgent: headers.get('user-agent') ?? undefined,
    requestId: headers.get('x-request-id') ?? undefined,
    traceparent: traceparentOf(headers.get('traceparent')),
    method,
    route,
  }
  const given = Object.entries(texts).filter(([, text]) => text !== undefined && text !== '')
  return Object.fromEntries(given)
}

export function recordedOf(visit: Visit): RecordedRequest {
  const { endpoint } = visit.match
  const { audit, provider } = visit.inside
  const isAboutKeys = endpoint?.plan !== undefined
  return {
    action: endpoint?.action ?? apiAction,
    resourceType: endpoint?.resourceType ?? 'http_api',
    prepared: preparedOf(visit, audit),
    region: visit.region,
    project: visit.project,
    providerName: isAboutKeys ? provider.name : undefined,
    keyName: visit.keyName,
    key: visit.key,
    durationMs: audit.clock.monotonic() - visit.begunAt,
  }
}

/** What the application said of who asks may be out of shape: then that is left out. What is bound says who asks of nobody. */
function preparedOf({ said, inside }: Visit, { fields }: Audit): PreparedContext {
  const { actor: _bound, ...bound } = inside.bound.said
  try {
    return prepareContext(fields, { ...bound, ...said })
  } catch {
    const { actor: _actor, reason: _reason, ...own } = said
    return prepareContext(fields, { ...bound, ...own })
  }
}

/** @throws KmsError `ABORTED` or `DEADLINE_EXCEEDED` where nobody waits any more: timers do not fire in the midst of work that never pauses. */
export function checkAwaited({ inside, begunAt, request }: Visit): void {
  if (request.signal?.aborted === true) throw new KmsError('ABORTED', 'the caller is gone')
  if (inside.audit.clock.monotonic() - begunAt > inside.deadlineMs) throw late(inside)
}

/** What the application is asked must answer in time, too: within the deadline of a call. @throws KmsError `DEADLINE_EXCEEDED`. */
export function inTime<T>({ inside, begunAt }: Visit, ask: () => T | Promise<T>): Promise<T> {
  const { audit, deadlineMs } = inside
  const left = deadlineMs - (audit.clock.monotonic() - begunAt)
  return new Promise((resolve, reject) => {
    const cancel = audit.deadlines.after(Math.max(0, left), () => reject(late(inside)))
    Promise.resolve().then(ask).then(resolve, reject).finally(cancel)
  })
}

function late({ deadlineMs }: Inside): KmsError {
  return new KmsError('DEADLINE_EXCEEDED', `no answer within ${deadlineMs} ms`)
}
