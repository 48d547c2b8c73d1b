/**
 * `createKmsHandler`: one fetch-style handler for the whole API. A request is taken apart step by step; each step refuses or
 * goes on. What reaches the client has the client's entry; every other request has one written here, and none is answered
 * before its entry is accepted.
 */
import { accepted } from '../../audit/accept.ts'
import { type PreparedContext, prepareContext } from '../../audit/context.ts'
import type { Draft } from '../../audit/draft.ts'
import { missingContext } from '../../audit/required.ts'
import { type Inside, insideOf, type KmsClient } from '../../client.ts'
import type { RequestContext } from '../../model/context.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey } from '../../model/key.ts'
import { type Authenticate, type Authenticated, type Authorize, checkedAnswer, type RequestInfo } from './access.ts'
import { type AuditLogReader, auditParameters, auditQuery, readPage } from './audit-log.ts'
import { announcesBody, type BodyLimits, readJson } from './body.ts'
import { type Answered, type Asked, type EndpointFacts, type KeyEndpoint, keyEndpoints } from './endpoints.ts'
import { eventHeader, invalid, type Refusal, replyOf } from './failure.ts'
import { type ApiRequest, type ApiResponse, type Reply, responseOf } from './fetch.ts'
import { fieldsOf } from './fields.ts'
import { type RecordedRequest, recordOwnAnswer, recordRefusal } from './refusal-entry.ts'
import { type Match, matchRoute, type NoMatch } from './routes.ts'
import { decoded, parametersOf, targetOf } from './target.ts'

export interface KmsHandlerOptions {
  /** Its region is the one that is served, and its project, if it has one, that of requests which name none. */
  readonly kms: KmsClient
  /**
   * The client of another project, over the same provider and audit: `projectClients(…)` makes them. Undefined: there is no
   * such project. Without it `X-Project-Identity` may only name the project of `kms`.
   */
  readonly projects?: (project: string) => KmsClient | undefined
  readonly authenticate: Authenticate
  readonly authorize: Authorize
  /** Whose keys these are: requests that name another organisation are answered with 404. */
  readonly organisation?: string
  /** Whether KMS is enabled for who asks; `false` is answered with 403. */
  readonly isEnabled?: (asking: {
    readonly organisation: string
    readonly project: string | undefined
  }) => boolean | Promise<boolean>
  /** For `GET /v1/audit`, which is not there without it: `(filter) => readTrail(path, filter)`. */
  readonly trail?: AuditLogReader
  /** Whether key material may leave in the clear. Otherwise export needs a `recipient` to wrap it to. */
  readonly allowRawExport?: boolean
  /** The client's address, where the connection's other end is a proxy that you trust; by default that other end. */
  readonly clientIp?: (request: ApiRequest, peerIp: string | undefined) => string | undefined
  /** 1 MiB by default: base64 of 768 KiB. */
  readonly maxBodyBytes?: number
  /** For a body to arrive, 10,000 by default. */
  readonly bodyTimeoutMs?: number
  /** More requests at once are answered with 429, without an entry; 1,000 by default. */
  readonly maxInFlight?: number
}

export type KmsHandler = (request: ApiRequest, info?: RequestInfo) => Promise<ApiResponse>

/** What the API answers itself. */
interface OwnEndpoint extends EndpointFacts {
  readonly plan: undefined
}

type Endpoint = KeyEndpoint | OwnEndpoint

/** No endpoint at all, and endpoints about no key. */
const apiAction = 'api.request'

const summaryEndpoint: OwnEndpoint = {
  method: 'GET',
  template: '/v1/kms/summary',
  action: apiAction,
  permission: 'list',
  resourceType: 'http_api',
  plan: undefined,
}

const auditEndpoint: OwnEndpoint = {
  method: 'GET',
  template: '/v1/audit',
  action: 'audit.read',
  permission: 'list',
  resourceType: 'audit_log',
  query: auditParameters,
  plan: undefined,
}

/** A request on its way; grows as more becomes known. */
interface Visit {
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

/** Who asks, for whom, and for what. */
interface Admitted {
  readonly endpoint: Endpoint
  readonly who: Authenticated
  readonly organisation: string
  /** Told only once the request has been read and is in order, as to whoever names a key that is not there. */
  readonly denied: KmsError | undefined
}

const identityPattern = /^[\w.:/-]{1,128}$/

/**
 * A fetch-style handler for the KMS API. It never throws; whatever fails is a JSON `{"message"}` with the platform's status,
 * and each request has its entry, joined with others of its kind in a flood.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option, and for a client without a region.
 * @example
 * ```ts
 * const handler = createKmsHandler({
 *   kms, // of a region
 *   authenticate: (request) => sessions.get(request.headers.get('authorization')),
 *   authorize: ({ actor, permission, key }) => policy.allows(actor, permission, key?.slug),
 * })
 * createServer(toNodeHandler(handler)).listen(8080, '127.0.0.1')
 * ```
 */
export function createKmsHandler(options: KmsHandlerOptions): KmsHandler {
  const region = checkOptions(options)
  const { kms, projects, authenticate, authorize, organisation, isEnabled, trail, clientIp } = options
  const { allowRawExport = false, maxBodyBytes = 1_048_576, bodyTimeoutMs = 10_000, maxInFlight = 1000 } = options
  const limits: BodyLimits = { maxBodyBytes, bodyTimeoutMs }
  const { audit, deadlineMs } = insideOf(kms)
  const { clock, deadlines, fields } = audit
  const endpoints: readonly Endpoint[] = [
    ...keyEndpoints,
    summaryEndpoint,
    ...(trail === undefined ? [] : [auditEndpoint]),
  ]
  let inFlight = 0

  return async (request, info = {}) => {
    if (inFlight >= maxInFlight) return unrecorded(new KmsError('OVERLOADED', `${maxInFlight} requests are in flight`))
    inFlight += 1
    try {
      return responseOf(await replyTo(request, info))
    } catch (error) {
      // A fault of ours: what was thrown may quote anything, and is told to nobody.
      return unrecorded(new KmsError('INTERNAL', 'the handler failed', { cause: error }))
    } finally {
      inFlight -= 1
    }
  }

  /** Of what could have no entry: counted in the next one about the log. */
  function unrecorded(error: KmsError): ApiResponse {
    return responseOf(replyOf({ error: audit.countRefused(error) }, undefined))
  }

  async function replyTo(request: ApiRequest, info: RequestInfo): Promise<Reply> {
    const barred = audit.admit() ?? (await notReady())
    if (barred !== undefined) return replyOf({ error: barred }, undefined)
    const visit = begin(request, info)
    try {
      const admitted = await admit(visit)
      if ('error' in admitted) return refused(visit, admitted)
      return await answer(visit, admitted)
    } catch (error) {
      return refused(visit, { error: asKmsError(error) })
    }
  }

  /** What a crash left open is closed before the first entry. Where keystore and trail do not fit, each call says so itself. */
  async function notReady(): Promise<KmsError | undefined> {
    const failed = await kms.ready().then(nothing, asKmsError)
    if (failed === undefined || failed.code === 'ROLLED_BACK') return undefined
    return audit.countRefused(failed)
  }

  function begin(request: ApiRequest, info: RequestInfo): Visit {
    const { segments, query } = targetOf(request.url)
    const match = matchRoute(endpoints, request.method, segments)
    const inside = insideOf(kms)
    const { project } = inside.scope
    const begunAt = clock.monotonic()
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
      traceparent: headers.get('traceparent') ?? undefined,
      method,
      route,
    }
    const given = Object.entries(texts).filter(([, text]) => text !== undefined && text !== '')
    return Object.fromEntries(given)
  }

  /** Everything up to the body: what may not go on, and why. */
  async function admit(visit: Visit): Promise<Admitted | Refusal> {
    visit.said = { ...visit.said, ...addressOf(visit) }
    const { endpoint } = visit.match
    if (endpoint === undefined) return noEndpoint(visit.match)
    const who = checkedAnswer(await inTime(visit, () => authenticate(visit.request, visit.info)))
    if (who === undefined) return unauthenticated()
    const { actor, reason } = who
    visit.said = { ...visit.said, actor, ...(reason !== undefined && { reason }) }

    const asked = identityIn(visit, 'x-organisation-identity')
    if (asked === undefined) return { error: invalid("the header 'X-Organisation-Identity' is missing") }
    const known = [organisation, who.organisation].filter((one) => one !== undefined)
    if (known.some((one) => one !== asked)) return notFound('there is no such organisation here')
    const wrongRegion = checkRegion(visit)
    if (wrongRegion !== undefined) return wrongRegion
    if (!chooseProject(visit)) return notFound('there is no such project')
    if (endpoint !== summaryEndpoint && !(await enabled(visit, asked))) return notEnabled()

    if (visit.match.endpoint !== undefined && visit.match.key !== undefined)
      visit.keyName = decoded('the key', visit.match.key)
    const admitted = { endpoint, who, organisation: asked }
    return { ...admitted, denied: await deniedBy(visit, admitted) }
  }

  /** The connection's other end stands beside the client's address only where they differ. */
  function addressOf({ request, info: { peerIp } }: Visit): RequestContext {
    const ip = clientIp === undefined ? peerIp : clientIp(request, peerIp)
    return {
      ...(ip !== undefined && ip !== '' && { clientIp: ip }),
      ...(peerIp !== undefined && peerIp !== '' && peerIp !== ip && { peerIp }),
    }
  }

  /** @throws KmsError `INVALID_INPUT` for what is no identity, such as two of them. */
  function identityIn({ request }: Visit, header: string): string | undefined {
    const identity = request.headers.get(header)
    if (identity === null) return undefined
    if (!identityPattern.test(identity)) throw invalid(`the header '${header}' must be one identity`)
    return identity
  }

  function checkRegion(visit: Visit): Refusal | undefined {
    const asked = visit.match.endpoint === undefined ? undefined : visit.match.region
    if (asked === undefined || asked === region) return undefined
    visit.region = identityPattern.test(asked) ? asked : undefined
    return {
      error: new KmsError('PROVIDER_UNAVAILABLE', 'there is no KMS in this region'),
      message: 'there is no KMS in this region',
    }
  }

  function chooseProject(visit: Visit): boolean {
    const project = identityIn(visit, 'x-project-identity')
    if (project === undefined || project === visit.project) return true
    visit.project = project
    const other = projects?.(project)
    if (other === undefined) return false
    const inside = insideOf(other)
    if (inside.audit !== audit || inside.scope.project !== project || inside.scope.region !== region)
      throw new KmsError('INTERNAL', "'projects' gave a client of another audit, region or project")
    visit.kms = other
    visit.inside = inside
    return true
  }

  async function enabled(visit: Visit, asked: string): Promise<boolean> {
    if (isEnabled === undefined) return true
    const { project } = visit
    return (await inTime(visit, () => isEnabled({ organisation: asked, project }))) === true
  }

  /**
   * Why the caller may not; or that there is no such key, which takes the same steps and gets the same answer: nobody is to tell
   * the two apart.
   */
  async function deniedBy(
    visit: Visit,
    { endpoint, who, organisation: asked }: Omit<Admitted, 'denied'>,
  ): Promise<KmsError | undefined> {
    const { keyName: name } = visit
    visit.key = name === undefined ? undefined : await resolved(visit, name)
    const { identity, slug, keyType } = visit.key ?? {}
    const question = {
      actor: who.actor,
      credentials: who.credentials,
      organisation: asked,
      region,
      project: visit.project,
      resourceType: endpoint === auditEndpoint ? ('audit_log' as const) : ('kms_key' as const),
      permission: endpoint.permission,
      action: endpoint === summaryEndpoint ? 'kms_key.list' : endpoint.action,
      key:
        name === undefined
          ? undefined
          : {
              name,
              ...(identity !== undefined && { identity }),
              ...(slug !== undefined && { slug }),
              ...(keyType !== undefined && { keyType }),
            },
    }
    const allowed = await inTime(visit, () => authorize(question)).catch(ifDenied)
    if (allowed instanceof KmsError) return allowed
    if (allowed !== true) return new KmsError('ACCESS_DENIED', 'not permitted')
    const isUnknown = name !== undefined && visit.key === undefined && visit.inside.provider.resolve !== undefined
    return isUnknown ? new KmsError('KEY_NOT_FOUND', 'there is no such key') : undefined
  }

  /** Undefined: there is no such key. Another failure is a refusal: rules may hang on what the key is. */
  async function resolved(visit: Visit, name: string): Promise<ResolvedKey | undefined> {
    const { provider, scope } = visit.inside
    try {
      return await inTime(visit, () => provider.resolve?.(name, scope))
    } catch (error) {
      const failed = asKmsError(error)
      if (failed.code === 'KEY_NOT_FOUND') return undefined
      throw failed
    }
  }

  async function answer(visit: Visit, admitted: Admitted): Promise<Reply> {
    const { endpoint } = admitted
    const query = parametersOf(visit.query, endpoint.query ?? [])
    const asked: Asked = { key: visit.keyName ?? '', query, fields: await fieldsIn(visit, endpoint), allowRawExport }
    const planned = endpoint.plan?.(asked)
    if (admitted.denied !== undefined) throw admitted.denied
    if (planned !== undefined) return throughClient(visit, planned)
    if (endpoint === summaryEndpoint) return summary(visit, admitted)
    return auditLog(visit, query)
  }

  async function fieldsIn({ request }: Visit, { fields: names, bodyOptional }: Endpoint) {
    const optional = bodyOptional === true
    if (names !== undefined) return fieldsOf(await readJson(request, audit, { limits, optional }), names)
    if (announcesBody(request)) throw invalid('this request takes no body')
    return fieldsOf({}, [])
  }

  /** From here on the entry is the client's, also of what fails. */
  async function throughClient(
    visit: Visit,
    planned: (kms: KmsClient, options: object) => Promise<Answered>,
  ): Promise<Reply> {
    const { signal } = visit.request
    try {
      const { reply, eventID } = await planned(visit.kms.with(visit.said), signal ? { signal } : {})
      return { ...reply, headers: { [eventHeader]: eventID } }
    } catch (error) {
      const failed = asKmsError(error)
      return replyOf({ error: failed }, failed.eventID)
    }
  }

  async function summary(visit: Visit, { organisation: asked }: Admitted): Promise<Reply> {
    const featureEnabled = await enabled(visit, asked)
    return ownAnswer(visit, { featureEnabled, regions: [{ slug: region, kmsAvailable: true }] }, undefined)
  }

  async function auditLog(visit: Visit, query: ReadonlyMap<string, string>): Promise<Reply> {
    if (trail === undefined) throw new KmsError('INTERNAL', 'there is no trail')
    const wanted = auditQuery(query, visit.project)
    const endsAt = clock.monotonic() + deadlineMs
    const page = await inTime(visit, () =>
      readPage(trail, wanted, {
        ...(organisation !== undefined && { organisation }),
        stopped: () => clock.monotonic() > endsAt || visit.request.signal?.aborted === true,
      }),
    )
    return ownAnswer(visit, page, page.logs.length)
  }

  /** Released once its entry is accepted. */
  async function ownAnswer(visit: Visit, body: object, count: number | undefined): Promise<Reply> {
    const recorded = recordedOf(visit)
    const missing = missingContext(audit, recorded.action, recorded.prepared)
    if (missing !== undefined) throw missing
    return written(recordOwnAnswer(recorded, count), (eventID) => ({
      status: 200,
      body,
      headers: { [eventHeader]: eventID },
    }))
  }

  /** Told once its entry is accepted, or joined with those of its kind. */
  async function refused(visit: Visit, refusal: Refusal): Promise<Reply> {
    const draft = recordRefusal(recordedOf(visit), refusal)
    const joined = audit.join(draft)
    if (joined !== undefined) return replyOf(refusal, joined)
    return written(draft, (eventID) => replyOf(refusal, eventID))
  }

  async function written(draft: Draft, reply: (eventID: string) => Reply): Promise<Reply> {
    try {
      return reply(await accepted(audit, draft, clock.monotonic() + deadlineMs))
    } catch (error) {
      return replyOf({ error: asKmsError(error) }, draft.eventID)
    }
  }

  function recordedOf(visit: Visit): RecordedRequest {
    const { endpoint } = visit.match
    const isAboutKeys = endpoint !== undefined && endpoint !== summaryEndpoint && endpoint !== auditEndpoint
    return {
      action: endpoint?.action ?? apiAction,
      resourceType: endpoint?.resourceType ?? 'http_api',
      prepared: preparedOf(visit),
      region: visit.region,
      project: visit.project,
      providerName: isAboutKeys ? visit.inside.provider.name : undefined,
      keyName: visit.keyName,
      key: visit.key,
      durationMs: clock.monotonic() - visit.begunAt,
    }
  }

  /** What the application said of who asks may be out of shape: then that is left out. What is bound says who asks of nobody. */
  function preparedOf({ said, inside }: Visit): PreparedContext {
    const { actor: _bound, ...bound } = inside.bound.said
    try {
      return prepareContext(fields, { ...bound, ...said })
    } catch {
      const { actor: _actor, reason: _reason, ...own } = said
      return prepareContext(fields, { ...bound, ...own })
    }
  }

  /** What the application is asked must answer in time, too. */
  function inTime<T>(visit: Visit, ask: () => T | Promise<T>): Promise<T> {
    const left = deadlineMs - (clock.monotonic() - visit.begunAt)
    return new Promise((resolve, reject) => {
      const cancel = deadlines.after(Math.max(0, left), () =>
        reject(new KmsError('DEADLINE_EXCEEDED', `no answer within ${deadlineMs} ms`)),
      )
      Promise.resolve().then(ask).then(resolve, reject).finally(cancel)
    })
  }
}

function noEndpoint({ allow }: NoMatch): Refusal {
  if (allow.length === 0)
    return { error: new KmsError('UNSUPPORTED_OPERATION', 'there is no such path'), status: 404, message: 'not found' }
  const error = new KmsError('UNSUPPORTED_OPERATION', `this path takes ${allow.join(', ')}`)
  return { error, status: 405, headers: { allow: allow.join(', ') } }
}

function unauthenticated(): Refusal {
  const error = new KmsError('ACCESS_DENIED', 'who asks is not known')
  return {
    error,
    status: 401,
    message: 'authentication is missing or wrong',
    headers: { 'www-authenticate': 'Bearer' },
  }
}

function notFound(message: string): Refusal {
  return { error: new KmsError('KEY_NOT_FOUND', message) }
}

function notEnabled(): Refusal {
  return { error: new KmsError('ACCESS_DENIED', 'KMS is not enabled'), status: 403, message: 'KMS is not enabled' }
}

/** A no that was thrown, with the rule that said it. */
function ifDenied(thrown: unknown): KmsError {
  if (thrown instanceof KmsError && (thrown.code === 'ACCESS_DENIED' || thrown.code === 'KEY_NOT_FOUND')) return thrown
  throw thrown
}

function nothing(): undefined {
  return undefined
}

/** The region that is served. */
function checkOptions(options: KmsHandlerOptions): string {
  if (typeof options !== 'object' || options === null)
    throw invalid('createKmsHandler takes one object: { kms, authenticate, authorize }')
  const { kms, projects, isEnabled, trail, clientIp, organisation, allowRawExport = false } = options
  for (const name of ['authenticate', 'authorize'] as const)
    if (typeof options[name] !== 'function') throw invalid(`'${name}' must be a function: there is no default`)
  for (const [name, value] of Object.entries({ projects, isEnabled, trail, clientIp }))
    if (value !== undefined && typeof value !== 'function') throw invalid(`'${name}' must be a function`)
  if (organisation !== undefined && !identityPattern.test(organisation))
    throw invalid("'organisation' must be 1–128 letters, digits or . : / _ -")
  if (typeof allowRawExport !== 'boolean') throw invalid("'allowRawExport' must be true or false")
  const { maxBodyBytes = 1, bodyTimeoutMs = 1, maxInFlight = 1 } = options
  for (const [name, value] of Object.entries({ maxBodyBytes, bodyTimeoutMs, maxInFlight }))
    if (!Number.isFinite(value) || value <= 0) throw invalid(`'${name}' must be a positive number`)
  const { region } = insideOfClient(kms).scope
  if (region === undefined) throw invalid("'kms' must be a KmsClient with a region: it is part of every path")
  return region
}

function insideOfClient(kms: KmsClient): Inside {
  try {
    return insideOf(kms)
  } catch (error) {
    throw new KmsError('INVALID_INPUT', "'kms' must be a KmsClient", { cause: error })
  }
}
