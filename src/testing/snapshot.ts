/** Entries without what differs from run to run: for snapshots. */
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { lineOf, order } from '../model/line.ts'

export interface SnapshotOptions {
  /** Fields to keep although they differ, such as `eventID`, `context.requestId` or `details.dueAt`. */
  readonly keep?: readonly string[]
  /** Fields to leave out besides, such as `provider` or `details.engine`. */
  readonly omit?: readonly string[]
  /** Also what the log says of itself (`audit.opened` …), which is left out otherwise. */
  readonly log?: true
}

/** An entry, or a part of one, as plain JSON. */
export type Snapshot = { readonly [name: string]: unknown }

/**
 * Each entry as a plain object in the entry's fixed order, without ids (of entries, operations, instances, keys, keystores,
 * requests), times, durations, running numbers, salts and fingerprints: what is left is the same in every run of the same
 * program. `summary` tells less.
 *
 * @throws KmsError `INVALID_INPUT` for a field to keep that is in no entry.
 * @example
 * ```ts
 * expect(snapshotOf(sink.entries)).toMatchSnapshot()
 * ```
 */
export function snapshotOf(entries: readonly AuditEntry[], options: SnapshotOptions = {}): readonly Snapshot[] {
  const { keep = [], omit = [], log } = options
  const pointless = keep.find((place) => place !== identity && !differing.has(place))
  if (pointless !== undefined)
    throw new KmsError('INVALID_INPUT', `'${pointless}' is nothing that a snapshot leaves out: it cannot be kept`)
  const shown = entries.filter(({ action }) => log === true || !action.startsWith('audit.'))
  return shown.map((entry) => {
    const isLeft = (place: string) =>
      omit.includes(place) || (!keep.includes(place) && (place === identity ? isRandom(entry) : differing.has(place)))
    // `lineOf` writes one JSON object, in the fixed order.
    return without(JSON.parse(lineOf(entry)) as Snapshot, '', isLeft)
  })
}

/** Of `details`, what differs from run to run and is not named as a time, a duration or an id. */
const differingDetails = [
  'recipient',
  'wrappingKey',
  'destinationKey.identity',
  'keystore',
  'generation',
  'amends',
  'sinks',
  'engine',
  'version',
  'quarantinedBytes',
  'vkey',
  'previousVkey',
  'archive',
  'archiveSha256',
  'trailSize',
  'trailRoot',
  'anchorSize',
  'anchorRoot',
  'usedBytes',
].map((name) => `details.${name}`)

/** What differs from run to run whatever the program does. */
const differing: ReadonlySet<string> = new Set([
  ...['eventID', 'operationID', 'createdAt', 'instance', 'sequence', 'durationMs', 'salt'],
  ...['context.requestId', 'context.traceparent', 'provider.requestId', 'provider.attempts'],
  ...differingDetails,
  ...Object.entries(order)
    .flatMap(([part, names]) => names.map((name) => `${part}.${name}`))
    .filter((place) => /(?:At|Ms|ID)$/.test(place)),
])

const identity = 'resourceIdentity'

/** Identities of keys are made up by the provider; the path of a secret, and a key that was not found, are the program's words. */
function isRandom({ resourceType, keySlug }: AuditEntry): boolean {
  if (resourceType === 'kms_key') return keySlug !== undefined
  return resourceType === 'kms_keystore' || resourceType === 'audit_log'
}

function without(fields: Snapshot, above: string, isLeft: (place: string) => boolean): Snapshot {
  const kept = Object.entries(fields).flatMap(([name, value]) => {
    const place = `${above}${name}`
    if (isLeft(place)) return []
    if (!isSnapshot(value)) return [[name, value] as const]
    const part = without(value, `${place}.`, isLeft)
    // An object of which nothing is left says nothing.
    return Object.keys(part).length === 0 ? [] : [[name, part] as const]
  })
  return Object.fromEntries(kept)
}

function isSnapshot(value: unknown): value is Snapshot {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
