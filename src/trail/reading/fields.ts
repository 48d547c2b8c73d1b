/** An entry's fields by their paths: what a column shows, and what entries are counted by. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { order } from '../../model/line.ts'
import type { TrailEntry } from './read.ts'

/** Undefined where the entry has no such field. A list or an object is its JSON. */
export type FieldValue = string | number | boolean | undefined

export interface Field {
  /** As it was asked for. */
  readonly name: string
  readonly of: (found: TrailEntry) => FieldValue
}

/**
 * A field by its path, such as `action`, `actor.id`, `payloadSizes.plaintext`, `details.destinationKey.slug` or
 * `encryptionContext.order`; by a short name, such as `actor`, `key`, `source`, `plaintext`; or what an entry tells only
 * through its place: `index`, `trail`, `covered`, and `day` and `hour` of its time. Errors: `INVALID_INPUT` for another name.
 */
export function fieldOf(name: string): Field {
  const of = typeof name === 'string' ? accessOf(name) : undefined
  if (of === undefined) throw new KmsError('INVALID_INPUT', `an entry has no field '${String(name)}': ${hint}`)
  return { name, of }
}

/** Whether {@link fieldOf} knows it. */
export function isField(name: string): boolean {
  return accessOf(name) !== undefined
}

function accessOf(name: string): Field['of'] | undefined {
  const short = shortNames.get(name)
  if (short !== undefined) return short
  const path = name.split('.')
  const [top, ...rest] = path
  if (top === 'encryptionContext' && rest.length > 0) {
    // A pair's name may hold dots.
    const pair = rest.join('.')
    return ({ entry }) => within(entry, ['encryptionContext', pair])
  }
  return isKnown(path) ? ({ entry }) => within(entry, path) : undefined
}

/** Errors: as {@link fieldOf}, and `INVALID_INPUT` for none, too many, or one that is named twice. */
export function fieldsOf(what: string, names: readonly string[]): readonly Field[] {
  if (!Array.isArray(names) || names.length === 0 || names.length > manyFields)
    throw new KmsError('INVALID_INPUT', `'${what}' must name 1 to ${manyFields} fields`)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new KmsError('INVALID_INPUT', `'${what}' names ${String(twice)} twice`)
  return names.map(fieldOf)
}

const manyFields = 64

const entryFields: readonly string[] = [
  'schema',
  'eventID',
  'operationID',
  'createdAt',
  'instance',
  'sequence',
  'action',
  'phase',
  'resourceType',
  'resourceIdentity',
  'outcome',
  'valid',
  'statusCode',
  'error',
  'region',
  'project',
  'keySlug',
  'keyType',
  'keyVersion',
  'latestVersion',
  'payloadSizes',
  'actor',
  'context',
  'origin',
  'reason',
  'provider',
  'details',
  'encryptionContext',
  'durationMs',
  'salt',
]

const nested: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['payloadSizes', order.payloadSizes],
  ['actor', order.actor],
  ['context', order.context],
  ['origin', order.origin],
  ['reason', order.reason],
  ['provider', order.provider],
  ['details', order.details],
  ['details.destinationKey', order.destinationKey],
  ['details.cache', order.cache],
])

function isKnown(path: readonly string[]): boolean {
  const [top = ''] = path
  if (!entryFields.includes(top)) return false
  return path.slice(1).every((name, at) => nested.get(path.slice(0, at + 1).join('.'))?.includes(name) === true)
}

const sizes = Object.fromEntries(
  order.payloadSizes.filter((name) => name !== 'encryptionContext').map((name) => [name, ['payloadSizes', name]]),
)

const paths: Readonly<Record<string, readonly string[]>> = {
  source: ['context', 'clientIp'],
  status: ['statusCode'],
  ...sizes,
}

const shortNames: ReadonlyMap<string, Field['of']> = new Map<string, Field['of']>([
  ...Object.entries(paths).map(([name, path]): [string, Field['of']] => [name, ({ entry }) => within(entry, path)]),
  // Who has no id is told by what they are.
  ['actor', ({ entry }) => within(entry, ['actor', 'id']) ?? within(entry, ['actor', 'type'])],
  ['key', ({ entry }) => within(entry, ['keySlug']) ?? within(entry, ['resourceIdentity'])],
  ['origin', ({ entry }) => within(entry, ['origin', 'service'])],
  ['reason', ({ entry }) => within(entry, ['reason', 'code'])],
  ['provider', ({ entry }) => within(entry, ['provider', 'name'])],
  ['trail', ({ instance }) => instance],
  ['index', ({ index }) => (index <= Number.MAX_SAFE_INTEGER ? Number(index) : String(index))],
  ['covered', ({ covered }) => covered],
  ['day', ({ entry }) => startOf(entry, 10)],
  ['hour', ({ entry }) => startOf(entry, 13)],
])

const hint = `name one such as ${[...shortNames.keys(), 'createdAt', 'action', 'actor.type', 'context.userAgent'].join(', ')}`

/** 2026-01-31 and 2026-01-31T12: in UTC, as entries tell it. */
function startOf({ createdAt }: AuditEntry, length: number): FieldValue {
  return typeof createdAt === 'string' ? createdAt.slice(0, length) : undefined
}

function within(entry: AuditEntry, path: readonly string[]): FieldValue {
  let value: unknown = entry
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    // An object that has it.
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  return value === undefined || value === null ? undefined : JSON.stringify(value)
}
