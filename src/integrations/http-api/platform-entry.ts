/** An entry in the platform's shape: its top level, and all else in a free map `context` in snake_case. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { parseMoment } from '../../model/moment.ts'
import { describeEntry } from '../../sinks/render.ts'

/** What of an entry has a place of its own on the platform. */
export interface PlatformEntry {
  readonly eventID: string
  readonly createdAt: string
  readonly action: string
  /** One sentence, made when it is read. */
  readonly description: string
  readonly resourceType: string
  readonly resourceIdentity?: string
  /** Of an actor of the type `user`. */
  readonly userIdentity?: string
  /** Of an actor of the type `serviceAccount`. */
  readonly serviceAccountIdentity?: string
  readonly organizationIdentity?: string
  readonly projectId?: string
  /** `client_ip`, `user_agent`, `method`, `path` (the route's template), `status`, `duration` (ms); and our own: `region`, `key_slug` … */
  readonly context: Readonly<Record<string, unknown>>
}

export interface PlatformEntryOptions {
  /** An entry does not tell whose it is. */
  readonly organisation?: string
}

/** `entry` as the platform tells it. Nothing is left out but `schema` and `salt`. */
export function platformEntry(entry: AuditEntry, { organisation }: PlatformEntryOptions = {}): PlatformEntry {
  const { type, id } = entry.actor ?? {}
  return {
    eventID: entry.eventID,
    createdAt: entry.createdAt,
    action: entry.action,
    description: describeEntry(entry),
    resourceType: entry.resourceType,
    ...(entry.resourceIdentity !== undefined && { resourceIdentity: entry.resourceIdentity }),
    ...(type === 'user' && id !== undefined && { userIdentity: id }),
    ...(type === 'serviceAccount' && id !== undefined && { serviceAccountIdentity: id }),
    ...(organisation !== undefined && { organizationIdentity: organisation }),
    ...(entry.project !== undefined && { projectId: entry.project }),
    context: contextOf(entry),
  }
}

function contextOf(entry: AuditEntry): Readonly<Record<string, unknown>> {
  const { context = {}, payloadSizes } = entry
  return defined({
    client_ip: context.clientIp,
    peer_ip: context.peerIp,
    user_agent: context.userAgent,
    method: context.method,
    path: context.route,
    status: entry.statusCode,
    duration: entry.durationMs,
    request_id: context.requestId,
    traceparent: context.traceparent,
    region: entry.region,
    project: entry.project,
    key_slug: entry.keySlug,
    key_type: entry.keyType,
    key_version: entry.keyVersion,
    latest_version: entry.latestVersion,
    outcome: entry.outcome,
    valid: entry.valid,
    error: entry.error,
    payload_sizes: payloadSizes && snakeCase(payloadSizes),
    phase: entry.phase,
    operation_id: entry.operationID,
    instance: entry.instance,
    sequence: entry.sequence,
    actor: entry.actor && snakeCase(entry.actor),
    origin: entry.origin && snakeCase(entry.origin),
    reason: entry.reason && snakeCase(entry.reason),
    provider: entry.provider && snakeCase(entry.provider),
    details: entry.details && snakeCase(entry.details),
    // Its names are the caller's.
    encryption_context: entry.encryptionContext,
  })
}

function defined(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** Names of our own tables only: `keyMaterial` is `key_material`, `eventID` is `event_id`. */
function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCase)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [snakeName(name), snakeCase(field)]))
}

function snakeName(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
}

export interface PlatformExportOptions extends PlatformEntryOptions {
  /** `createdAt` of what is exported, from the first moment on and before the second; RFC 3339. What is left out is open. */
  readonly from?: string
  readonly to?: string
  readonly exportedAt: Date
  /** Which filters chose the entries, to be told in the file. */
  readonly filters?: Readonly<Record<string, string>>
}

/** The file that the platform's export gives. */
export interface PlatformExport {
  readonly exportedAt: string
  readonly timeRange: { readonly type: 'all' | 'custom'; readonly start?: string; readonly end?: string }
  readonly totalLogs: number
  readonly logs: readonly PlatformEntry[]
  readonly filters?: Readonly<Record<string, string>>
}

/**
 * Entries as the platform's export file has them. They are held in memory, all of them. `entries` are not filtered again but by
 * time. Errors: `INVALID_INPUT` for times that are none; whatever reading throws.
 *
 * @example
 * ```ts
 * const file = await platformExport(readTrail('./audit', { action: 'kms.*' }), { exportedAt: new Date() })
 * ```
 */
export async function platformExport(
  entries: AsyncIterable<{ readonly entry: AuditEntry }>,
  options: PlatformExportOptions,
): Promise<PlatformExport> {
  const { exportedAt, filters } = options
  const [from, to] = [momentOf('from', options.from), momentOf('to', options.to)]
  const logs: PlatformEntry[] = []
  for await (const { entry } of entries) {
    if ((from !== undefined && entry.createdAt < from) || (to !== undefined && entry.createdAt >= to)) continue
    logs.push(platformEntry(entry, options))
  }
  const timeRange = {
    type: from === undefined && to === undefined ? ('all' as const) : ('custom' as const),
    ...(from !== undefined && { start: from }),
    ...(to !== undefined && { end: to }),
  }
  const told = { exportedAt: exportedAt.toISOString(), timeRange, totalLogs: logs.length, logs }
  return filters === undefined ? told : { ...told, filters }
}

/** One spelling of a moment, so that text compares as time does. @throws KmsError `INVALID_INPUT`. */
export function momentOf(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const moment = text.includes('T') ? parseMoment(text) : undefined
  if (moment === undefined)
    throw new KmsError('INVALID_INPUT', `'${name}' must be an RFC 3339 time that exists, such as 2026-01-31T12:00:00Z`)
  return new Date(moment).toISOString()
}
