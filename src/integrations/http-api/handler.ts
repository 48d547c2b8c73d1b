/**
 * `createKmsHandler`: one fetch-style handler for the whole API. What reaches the client has the client's entry; every other
 * request has one written here, and none is answered before its entry is accepted.
 */
import { accepted } from '../../audit/accept.ts'
import type { Draft } from '../../audit/draft.ts'
import { missingContext } from '../../audit/required.ts'
import { insideOf } from '../../client.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError } from '../../model/errors.ts'
import type { RequestInfo } from './access.ts'
import { type Admitted, admit, isEnabled } from './admission.ts'
import { auditQuery, readPage } from './audit-log.ts'
import { announcesBody, readJson } from './body.ts'
import type { Planned } from './endpoints.ts'
import { eventHeader, invalid, type Refusal, replyOf } from './failure.ts'
import { type ApiRequest, type ApiResponse, type Reply, responseOf } from './fetch.ts'
import { type Fields, fieldsOf } from './fields.ts'
import { checkOptions, type KmsHandlerOptions } from './options.ts'
import { recordOwnAnswer, recordRefusal } from './refusal-entry.ts'
import { parametersOf } from './target.ts'
import { beginVisit, checkAwaited, type Endpoint, inTime, recordedOf, summaryEndpoint, type Visit } from './visit.ts'

export type KmsHandler = (request: ApiRequest, info?: RequestInfo) => Promise<ApiResponse>

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
  const { kms, organisation, trail, allowRawExport = false, maxInFlight = 1000 } = options
  const { maxBodyBytes = 1_048_576, bodyTimeoutMs = 10_000 } = options
  const { audit, deadlineMs } = insideOf(kms)
  const { clock } = audit
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
    const barred = audit.admit()
    if (barred !== undefined) return replyOf({ error: barred }, undefined)
    const visit = beginVisit({ request, info, kms, hasAuditLog: trail !== undefined })
    try {
      const unready = await inTime(visit, notReady)
      if (unready !== undefined) return replyOf({ error: unready }, undefined)
      const admitted = await admit(visit, options)
      return await ('error' in admitted ? refused(visit, admitted) : answer(visit, admitted))
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

  async function answer(visit: Visit, { endpoint, organisation: asking, denied }: Admitted): Promise<Reply> {
    const query = parametersOf(visit.query, endpoint.query ?? [])
    const fields = await fieldsIn(visit.request, endpoint)
    const planned = endpoint.plan?.({ key: visit.keyName ?? '', query, fields, allowRawExport })
    if (denied !== undefined) throw refusalAsTheClients(visit, planned) ?? denied
    if (planned !== undefined) return throughClient(visit, planned)
    if (endpoint === summaryEndpoint) return summary(visit, asking)
    return auditLog(visit, query)
  }

  /** What the client refuses before it looks at the key, for one that it is not asked about. */
  function refusalAsTheClients(visit: Visit, planned: Planned | undefined): KmsError | undefined {
    if (planned === undefined) return undefined
    const { action, prepared } = recordedOf(visit)
    planned.check(visit.inside.limits)
    return missingContext(audit, action, prepared)
  }

  async function fieldsIn(request: ApiRequest, { fields: names, bodyOptional }: Endpoint): Promise<Fields> {
    if (names === undefined && announcesBody(request)) throw invalid('this request takes no body')
    if (names === undefined) return fieldsOf({}, [])
    const limits = { maxBodyBytes, bodyTimeoutMs }
    return fieldsOf(await readJson(request, audit, { limits, optional: bodyOptional === true }), names)
  }

  /** From here on the entry is the client's, also of what fails. */
  async function throughClient(visit: Visit, planned: Planned): Promise<Reply> {
    const { signal } = visit.request
    const bound = visit.kms.with(visit.said)
    try {
      const { reply, eventID } = await planned.call(bound, signal ? { signal } : {})
      return { ...reply, headers: { [eventHeader]: eventID } }
    } catch (error) {
      const failed = asKmsError(error)
      return replyOf({ error: failed }, failed.eventID)
    }
  }

  async function summary(visit: Visit, asking: string): Promise<Reply> {
    const featureEnabled = await isEnabled(visit, asking, options)
    return ownAnswer(visit, { featureEnabled, regions: [{ slug: region, kmsAvailable: true }] }, undefined)
  }

  async function auditLog(visit: Visit, query: ReadonlyMap<string, string>): Promise<Reply> {
    if (trail === undefined) throw new KmsError('INTERNAL', 'there is no trail')
    const wanted = auditQuery(query, visit.project)
    const whose = organisation === undefined ? {} : { organisation }
    const page = await inTime(visit, () => readPage(trail, wanted, { ...whose, goOn: () => checkAwaited(visit) }))
    return ownAnswer(visit, page, page.logs.length)
  }

  /** Released once its entry is accepted. */
  async function ownAnswer(visit: Visit, body: object, count: number | undefined): Promise<Reply> {
    const recorded = recordedOf(visit)
    const missing = missingContext(audit, recorded.action, recorded.prepared)
    if (missing !== undefined) throw missing
    const reply = (eventID: string) => ({ status: 200, body, headers: { [eventHeader]: eventID } })
    return written(recordOwnAnswer(recorded, count), reply)
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
}

function nothing(): undefined {
  return undefined
}
