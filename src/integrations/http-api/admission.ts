/** All that is asked of a request before its body is read: each step refuses it, or makes more of it known. */
import { insideOf } from '../../client.ts'
import type { RequestContext } from '../../model/context.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey } from '../../model/key.ts'
import { type AccessQuestion, type AskedKey, type Authenticated, checkedAnswer } from './access.ts'
import { invalid, type Refusal } from './failure.ts'
import { identityPattern, type KmsHandlerOptions } from './options.ts'
import type { NoMatch } from './routes.ts'
import { decoded } from './target.ts'
import { auditEndpoint, type Endpoint, inTime, summaryEndpoint, type Visit } from './visit.ts'

/** For what, and for whom. */
export interface Admitted {
  readonly endpoint: Endpoint
  readonly organisation: string
  /** Told only once the request has been read and is in order, as to whoever names a key that is not there. */
  readonly denied: KmsError | undefined
}

/** Resolves to the refusal, or rejects with it. */
export async function admit(visit: Visit, options: KmsHandlerOptions): Promise<Admitted | Refusal> {
  visit.said = { ...visit.said, ...addressOf(visit, options) }
  const { endpoint } = visit.match
  if (endpoint === undefined) return noEndpoint(visit.match)
  const who = checkedAnswer(await inTime(visit, () => options.authenticate(visit.request, visit.info)))
  if (who === undefined) return unauthenticated()
  const { actor, reason } = who
  visit.said = { ...visit.said, actor, ...(reason !== undefined && { reason }) }

  const organisation = identityIn(visit, 'x-organisation-identity')
  if (organisation === undefined) return { error: invalid("the header 'X-Organisation-Identity' is missing") }
  const known = [options.organisation, who.organisation].filter((one) => one !== undefined)
  if (known.some((one) => one !== organisation)) return notFound('there is no such organisation here')
  if (!isServed(visit)) return noSuchRegion()
  if (!chooseProject(visit, options)) return notFound('there is no such project')
  if (endpoint !== summaryEndpoint && !(await isEnabled(visit, organisation, options))) return notEnabled()

  const { key } = visit.match.endpoint === undefined ? {} : visit.match
  if (key !== undefined) visit.keyName = decoded('the key', key)
  const denied = await deniedBy(visit, options, { endpoint, who, organisation })
  return { endpoint, organisation, denied }
}

export async function isEnabled(
  visit: Visit,
  organisation: string,
  { isEnabled: ask }: KmsHandlerOptions,
): Promise<boolean> {
  if (ask === undefined) return true
  const { project } = visit
  return (await inTime(visit, () => ask({ organisation, project }))) === true
}

/** The connection's other end stands beside the client's address only where they differ. @throws KmsError `INTERNAL` for what is no text. */
function addressOf({ request, info }: Visit, { clientIp }: KmsHandlerOptions): RequestContext {
  const peerIp = textOrNone('peerIp', info.peerIp)
  const ip = clientIp === undefined ? peerIp : textOrNone('clientIp', clientIp(request, peerIp))
  return {
    ...(ip !== undefined && { clientIp: ip }),
    ...(peerIp !== undefined && peerIp !== ip && { peerIp }),
  }
}

/** A header that is not there is null. */
function textOrNone(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw new KmsError('INTERNAL', `'${name}' must be an address as text, or undefined`)
  return value
}

/** @throws KmsError `INVALID_INPUT` for what is no identity, such as two of them. */
function identityIn({ request }: Visit, header: string): string | undefined {
  const identity = request.headers.get(header)
  if (identity === null) return undefined
  if (!identityPattern.test(identity)) throw invalid(`the header '${header}' must be one identity`)
  return identity
}

function isServed(visit: Visit): boolean {
  const { region } = visit.match.endpoint === undefined ? {} : visit.match
  if (region === undefined || region === visit.region) return true
  // The entry tells which was asked for.
  visit.region = identityPattern.test(region) ? region : undefined
  return false
}

/** @throws KmsError `INTERNAL` where the application mixes clients up. */
function chooseProject(visit: Visit, { projects }: KmsHandlerOptions): boolean {
  const project = identityIn(visit, 'x-project-identity')
  if (project === undefined || project === visit.project) return true
  visit.project = project
  const kms = projects?.(project)
  if (kms === undefined) return false
  const inside = insideOf(kms)
  const { audit, scope } = inside
  if (audit !== visit.inside.audit || scope.project !== project || scope.region !== visit.region)
    throw new KmsError('INTERNAL', "'projects' gave a client of another audit, region or project")
  visit.kms = kms
  visit.inside = inside
  return true
}

/**
 * Why the caller may not; or that there is no such key, which takes the same steps and gets the same answer: nobody is to tell
 * the two apart.
 */
async function deniedBy(
  visit: Visit,
  { authorize }: KmsHandlerOptions,
  asking: { readonly endpoint: Endpoint; readonly who: Authenticated; readonly organisation: string },
): Promise<KmsError | undefined> {
  const { keyName: name } = visit
  visit.key = name === undefined ? undefined : await resolved(visit, name)
  const question: AccessQuestion = {
    actor: asking.who.actor,
    credentials: asking.who.credentials,
    organisation: asking.organisation,
    region: visit.region ?? '',
    project: visit.project,
    resourceType: asking.endpoint === auditEndpoint ? 'audit_log' : 'kms_key',
    permission: asking.endpoint.permission,
    action: asking.endpoint.action,
    key: name === undefined ? undefined : askedKey(name, visit.key),
  }
  const allowed = await inTime(visit, () => authorize(question)).catch(ifDenied)
  if (allowed instanceof KmsError) return allowed
  if (allowed !== true) return new KmsError('ACCESS_DENIED', 'not permitted')
  const isUnknown = name !== undefined && visit.key === undefined && visit.inside.provider.resolve !== undefined
  return isUnknown ? new KmsError('KEY_NOT_FOUND', 'there is no such key') : undefined
}

function askedKey(name: string, key: ResolvedKey | undefined): AskedKey {
  if (key === undefined) return { name }
  const { identity, slug, keyType } = key
  return { name, identity, slug, keyType }
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

/** A no that was thrown, with the rule that said it. */
function ifDenied(thrown: unknown): KmsError {
  if (thrown instanceof KmsError && (thrown.code === 'ACCESS_DENIED' || thrown.code === 'KEY_NOT_FOUND')) return thrown
  throw thrown
}

function noEndpoint({ allow }: NoMatch): Refusal {
  if (allow.length === 0)
    return { error: new KmsError('UNSUPPORTED_OPERATION', 'there is no such path'), status: 404, message: 'not found' }
  const error = new KmsError('UNSUPPORTED_OPERATION', `this path takes ${allow.join(', ')}`)
  return { error, status: 405, headers: { allow: allow.join(', ') } }
}

function unauthenticated(): Refusal {
  const error = new KmsError('ACCESS_DENIED', 'who asks is not known')
  const headers = { 'www-authenticate': 'Bearer' }
  return { error, status: 401, message: 'authentication is missing or wrong', headers }
}

function notFound(message: string): Refusal {
  return { error: new KmsError('KEY_NOT_FOUND', message) }
}

function noSuchRegion(): Refusal {
  const message = 'there is no KMS in this region'
  return { error: new KmsError('PROVIDER_UNAVAILABLE', message), message }
}

function notEnabled(): Refusal {
  const message = 'KMS is not enabled'
  return { error: new KmsError('ACCESS_DENIED', message), status: 403, message }
}
