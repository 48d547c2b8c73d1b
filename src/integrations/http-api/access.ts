/** Who asks, and whether they may: what the application answers, checked and never taken on trust. */
import { copyContext } from '../../audit/context.ts'
import type { Actor, Reason, RequestContext } from '../../model/context.ts'
import { KmsError } from '../../model/errors.ts'
import type { Permission } from './endpoints.ts'
import type { ApiRequest } from './fetch.ts'

/** Who a request's credentials say it is. */
export interface Authenticated {
  readonly actor: Actor
  /** If given, the `X-Organisation-Identity` that goes with it; another is answered with 404. */
  readonly organisation?: string
  /** Why they ask, where they have said so. */
  readonly reason?: Reason
  /** Handed on to `authorize`, and nowhere else. */
  readonly credentials?: unknown
}

/** The key that a request names. */
export interface AskedKey {
  /** As the path has it: identity or slug. */
  readonly name: string
  /** What it resolved to; absent where there is no such key, or the provider cannot tell. */
  readonly identity?: string
  readonly slug?: string
  readonly keyType?: string
}

/** May this actor do this? */
export interface AccessQuestion {
  readonly actor: Actor
  readonly credentials: unknown
  readonly organisation: string
  readonly region: string
  readonly project: string | undefined
  readonly resourceType: 'kms_key' | 'audit_log'
  /** `list`, `read` (key, public key), `create` (also the wrapping key), `update` (all crypto, rotate, export), `delete` (also disable, enable, cancel). */
  readonly permission: Permission
  /** Such as `kms.export`: to tell apart what one permission covers. */
  readonly action: string
  readonly key: AskedKey | undefined
}

/** Undefined: the credentials are missing or wrong (401). */
export type Authenticate = (
  request: ApiRequest,
  info: RequestInfo,
) => Authenticated | undefined | Promise<Authenticated | undefined>

/** Only `true` lets the request through. A `KmsError` `ACCESS_DENIED` is a no, whose rule the entry tells. */
export type Authorize = (question: AccessQuestion) => boolean | Promise<boolean>

/** What a request does not say itself. */
export interface RequestInfo {
  /** Address of the connection's other end. */
  readonly peerIp?: string
}

/** @throws KmsError `INTERNAL` for an answer out of shape: whoever that was must not be let in. */
export function checkedAnswer(answer: unknown): Authenticated | undefined {
  if (answer === undefined || answer === null) return undefined
  const { actor, reason, organisation, credentials } = answer as Partial<Authenticated>
  const who = copied({ ...(actor && { actor }), ...(reason !== undefined && { reason }) })
  if (who?.actor === undefined)
    throw new KmsError('INTERNAL', 'authenticate must answer with undefined or { actor: { type, id, name? }, reason? }')
  return {
    actor: who.actor,
    ...(who.reason !== undefined && { reason: who.reason }),
    ...(organisation !== undefined && { organisation }),
    credentials,
  }
}

/** What an entry can tell of it; undefined if it is out of shape. */
function copied(said: Pick<Authenticated, 'reason'> & { readonly actor?: Actor }): RequestContext | undefined {
  try {
    return copyContext(said)
  } catch (error) {
    if (error instanceof KmsError) return undefined
    throw error
  }
}
