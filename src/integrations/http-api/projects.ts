/** Clients of many projects over one provider and one audit. */
import type { Audit } from '../../audit/audit.ts'
import { KmsClient, type KmsClientOptions } from '../../client.ts'
import { KmsError } from '../../model/errors.ts'

export interface ProjectClientsOptions extends Omit<KmsClientOptions, 'project' | 'audit' | 'rebind'> {
  /** Made by `createAudit`, the one of the handler's own client. Whoever made it closes it, and then the provider. */
  readonly audit: Audit
  readonly region: string
  /** Whether there is such a project; by default each name is one. */
  readonly exists?: (project: string) => boolean
  /** Clients kept, 1,000 by default; one that is made again is as good. */
  readonly maxClients?: number
}

/**
 * The client of a project, made when it is first asked for; undefined where `exists` says no. For `createKmsHandler`:
 *
 * @example
 * ```ts
 * const audit = createAudit({ required: [trail] })
 * const shared = { provider, audit, region: 'nl-01', middleware }
 * createKmsHandler({ kms: new KmsClient(shared), projects: projectClients(shared), … })
 * ```
 */
export function projectClients(options: ProjectClientsOptions): (project: string) => KmsClient | undefined {
  const { exists = () => true, maxClients = 1000, ...shared } = options
  if (typeof exists !== 'function') throw new KmsError('INVALID_INPUT', "'exists' must be a function")
  if (!Number.isSafeInteger(maxClients) || maxClients < 1)
    throw new KmsError('INVALID_INPUT', "'maxClients' must be a whole number from 1")
  if (typeof shared.audit?.emit !== 'function')
    throw new KmsError('INVALID_INPUT', "'audit' must be the result of createAudit, shared with the handler's client")
  const clients = new Map<string, KmsClient>()

  return (project) => {
    if (exists(project) !== true) return undefined
    const client = clients.get(project) ?? new KmsClient({ ...shared, project })
    // The one that was used last stands at the end, and goes last.
    clients.delete(project)
    clients.set(project, client)
    const [oldest] = clients.keys()
    if (clients.size > maxClients && oldest !== undefined) clients.delete(oldest)
    return client
  }
}
