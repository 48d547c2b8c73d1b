/** What `createKmsHandler` is asked to be. */
import { type Inside, insideOf, type KmsClient } from '../../client.ts'
import { KmsError } from '../../model/errors.ts'
import type { Authenticate, Authorize } from './access.ts'
import type { AuditLogReader } from './audit-log.ts'
import { invalid } from './failure.ts'
import type { ApiRequest } from './fetch.ts'

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
  /** Whether KMS is enabled for who asks; anything but `true` is answered with 403. */
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

export const identityPattern: RegExp = /^[\w.:/-]{1,128}$/

/** The region that is served. @throws KmsError `INVALID_INPUT` that says which option is wrong. */
export function checkOptions(options: KmsHandlerOptions): string {
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
