/** Entries without what differs from run to run: for snapshots. */
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { lineOf } from '../model/line.ts'

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
  const pointless = keep.find((place) => place !== identity && !differs(place))
  if (pointless !== undefined)
    throw new KmsError('INVALID_INPUT', `'${pointless}' is never left out of a snapshot: it need not be kept`)
  const shown = entries.filter(({ action }) => log === true || !action.startsWith('audit.'))
  return shown.map((entry) => {
    const isLeft = (place: string) =>
      omit.includes(place) || (!keep.includes(place) && (place === identity ? isRandom(entry) : differs(place)))
    // `lineOf` writes one JSON object, in the fixed order.
    return without(JSON.parse(lineOf(entry)) as Snapshot, '', isLeft)
  })
}

/** What differs from run to run whatever the program does, besides what is named as a time, a duration or an id. */
const differing: ReadonlySet<string> = new Set([
  'instance',
  'sequence',
  'salt',
  'context.requestId',
  'context.traceparent',
  'provider.requestId',
  'provider.attempts',
  ...[
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
  ].map((name) => `details.${name}`),
])

function differs(place: string): boolean {
  return differing.has(place) || (/(?:At|Ms|ID)$/.test(place) && !place.startsWith('encryptionContext.'))
}

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
