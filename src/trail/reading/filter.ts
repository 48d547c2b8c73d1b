/** @node Which entries a reader wants: a test on the bytes of a line where that is sound, then a test on the entry. */
import type { Buffer } from 'node:buffer'
import type { AuditEntry, Outcome, PayloadSizes, Phase } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { isTold, parseMoment } from '../../model/moment.ts'
import { holdsSource, type Network, parseNetworks } from '../../model/networks.ts'
import { clientIpIn, createdAtIn, type Line, needleFor } from './entry-line.ts'

/** One of these. */
type OneOf<T> = T | readonly T[]

/** Bytes of any one payload, or of those that are named. */
export type SizeBound = number | { readonly [P in keyof PayloadSizes]?: number }

/** All given fields must match; a list matches with any of its values, an empty one with nothing. */
export interface TrailFilter {
  /** `kms.decrypt`, or a prefix such as `kms.*`. */
  readonly action?: OneOf<string>
  /** Identity or slug of the key, also as a re-encryption's second. */
  readonly key?: OneOf<string>
  /** The key's type, such as `aes256-gcm96`. */
  readonly keyType?: OneOf<string>
  readonly keyVersion?: OneOf<number>
  /** The actor's id. */
  readonly actor?: OneOf<string>
  /**
   * Client addresses, or networks in CIDR notation: `10.0.0.0/8`. Where the field policy kept only the network of an address
   * (/24, /48), it is in those that hold it whole; where it kept a hash, nothing matches.
   */
  readonly source?: OneOf<string>
  /** The service that a call was made for: `origin.service`. */
  readonly origin?: OneOf<string>
  readonly project?: OneOf<string>
  readonly region?: OneOf<string>
  readonly outcome?: OneOf<Outcome>
  readonly statusCode?: OneOf<number>
  /** `KmsError` code. */
  readonly error?: OneOf<string>
  /** Verdict of verify and verify_hmac. */
  readonly valid?: boolean
  readonly phase?: Phase
  /**
   * At least so many bytes: of one payload, which is then at most `maxSize` if that is a number too, or of each that is
   * named: `{ plaintext: 1000 }`. The encryption context counts only where it is named.
   */
  readonly minSize?: SizeBound
  /** At most so many bytes; as `minSize`. */
  readonly maxSize?: SizeBound
  /** `createdAt`, from this moment on. RFC 3339 text, a bare date, or a `Date`. */
  readonly from?: string | Date
  /** `createdAt`, before this moment. */
  readonly to?: string | Date
  readonly eventID?: OneOf<string>
  readonly operationID?: string
  /** At most so many entries. */
  readonly limit?: number
}

/** What of a filter the ranges beside a segment can answer: `createdAt` and `eventID` as their texts compare. */
export interface Sought {
  /** From here on; '' for the beginning. */
  readonly from: string
  /** Before this; undefined for no end. */
  readonly to: string | undefined
  /** One of these; undefined for all. */
  readonly eventIDs: readonly string[] | undefined
}

export interface Filter {
  /** One of these bytes stands in each line that is wanted; undefined when that cannot be said. */
  readonly needles: readonly Buffer[] | undefined
  /** False: the line is no wanted entry for sure, and need not be parsed. */
  readonly mayWant: (bytes: Buffer, line: Line) => boolean
  readonly wants: (entry: AuditEntry) => boolean
  /** Undefined when it asks for all times and ids. */
  readonly sought: Sought | undefined
  readonly limit: number
}

/** Errors: `INVALID_INPUT` for a field that does not exist or a value that it cannot have. */
export function prepareFilter(filter: TrailFilter): Filter {
  const asked = check(filter)
  const { limit = Number.POSITIVE_INFINITY } = filter
  const tests = testsOf(asked)
  const { needles, others } = needlesOf(asked)
  return {
    needles,
    mayWant: bytesTest(asked, others),
    wants: (entry) => tests.every((test) => test(entry)),
    sought: soughtOf(asked),
    limit,
  }
}

const texts = [
  'action',
  'key',
  'keyType',
  'actor',
  'source',
  'origin',
  'project',
  'region',
  'outcome',
  'error',
] as const
const counts = ['keyVersion', 'statusCode'] as const
const others: readonly string[] = ['valid', 'phase', 'minSize', 'maxSize', 'from', 'to', 'operationID', 'limit']

/** A filter whose values are what they should be, one spelling of each. */
interface Asked {
  /** By field; those that were left out are not in it. */
  readonly oneOf: ReadonlyMap<(typeof texts)[number] | 'eventID' | 'operationID' | 'phase', readonly string[]>
  readonly counts: ReadonlyMap<(typeof counts)[number], readonly number[]>
  readonly networks: readonly Network[] | undefined
  readonly valid: boolean | undefined
  readonly sizes: { readonly min: SizeBound | undefined; readonly max: SizeBound | undefined }
  readonly from: string
  readonly to: string | undefined
}

function check(filter: TrailFilter): Asked {
  if (typeof filter !== 'object' || filter === null) throw refused('a filter is one object, such as { action: … }')
  const known: readonly string[] = [...texts, ...counts, ...others, 'eventID']
  for (const name of Object.keys(filter)) if (!known.includes(name)) throw refused(`there is no filter '${name}'`)
  const { limit, valid, from, to, minSize, maxSize, source } = filter
  if (limit !== undefined && limit !== Number.POSITIVE_INFINITY && !isCount(limit))
    throw refused('limit must be a whole number')
  if (valid !== undefined && typeof valid !== 'boolean') throw refused("'valid' must be true or false")
  const oneOf = new Map<Parameters<Asked['oneOf']['get']>[0], readonly string[]>()
  for (const name of [...texts, 'eventID', 'operationID', 'phase'] as const) {
    const values = listed(name, filter[name], isText, 'text')
    if (values !== undefined) oneOf.set(name, values)
  }
  const numbers = new Map<(typeof counts)[number], readonly number[]>()
  for (const name of counts) {
    const values = listed(name, filter[name], isCount, 'a whole number')
    if (values !== undefined) numbers.set(name, values)
  }
  for (const action of oneOf.get('action') ?? []) checkAction(action)
  return {
    oneOf,
    counts: numbers,
    networks: source === undefined ? undefined : parseNetworks('source', oneOf.get('source') ?? []),
    valid,
    sizes: { min: boundOf('minSize', minSize), max: boundOf('maxSize', maxSize) },
    from: from === undefined ? '' : timestamp('from', from),
    to: to === undefined ? undefined : timestamp('to', to),
  }
}

/** The values as a list of their own; undefined when the field was left out. */
function listed<T>(
  name: string,
  value: unknown,
  is: (one: unknown) => one is T,
  what: string,
): readonly T[] | undefined {
  if (value === undefined) return undefined
  const all: readonly unknown[] = Array.isArray(value) ? [...value] : [value]
  if (!all.every(is)) throw refused(`'${name}' must be ${what}, or a list of such`)
  return all
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function checkAction(action: string): void {
  const star = action.indexOf('*')
  if (star >= 0 && star !== action.length - 1) throw refused(`'*' stands only at the end of an action: '${action}'`)
}

const payloads = ['plaintext', 'ciphertext', 'input', 'signature', 'mac', 'keyMaterial'] as const
const sized: readonly string[] = [...payloads, 'encryptionContext']

function boundOf(name: string, bound: SizeBound | undefined): SizeBound | undefined {
  if (bound === undefined || isCount(bound)) return bound
  if (typeof bound !== 'object' || bound === null)
    throw refused(`'${name}' must be a whole number of bytes, or such as { plaintext: 1000 }`)
  for (const [payload, bytes] of Object.entries(bound)) {
    if (!sized.includes(payload)) throw refused(`'${name}' names no payload '${payload}': ${sized.join(', ')}`)
    if (!isCount(bytes)) throw refused(`'${name}.${payload}' must be a whole number of bytes`)
  }
  return { ...bound }
}

function timestamp(name: string, moment: string | Date): string {
  const time = moment instanceof Date ? moment.getTime() : typeof moment === 'string' ? parseMoment(moment) : undefined
  if (time === undefined || !isTold(time))
    throw refused(`'${name}' is no date: give RFC 3339 text such as 2026-01-31T00:00:00Z, of a day that exists`)
  return new Date(time).toISOString()
}

type Test = (entry: AuditEntry) => boolean

function testsOf({ oneOf, counts, networks, valid, sizes, from, to }: Asked): readonly Test[] {
  const tests: Test[] = []
  for (const [name, values] of oneOf) if (name !== 'source') tests.push(textTest(name, values))
  for (const [name, values] of counts) tests.push((entry) => isOneOf(values, entry[name]))
  if (networks !== undefined) tests.push(sourceTest(networks))
  if (valid !== undefined) tests.push((entry) => entry.valid === valid)
  tests.push(...sizeTests(sizes))
  // One spelling of a moment, so that text compares as time does.
  if (from !== '') tests.push(({ createdAt }) => createdAt >= from)
  if (to !== undefined) tests.push(({ createdAt }) => !(createdAt >= to))
  return tests
}

function isOneOf<T>(values: readonly T[], value: T | undefined): boolean {
  return value !== undefined && values.includes(value)
}

function textTest(name: Parameters<Asked['oneOf']['get']>[0], values: readonly string[]): Test {
  switch (name) {
    case 'action':
      return actionTest(values)
    case 'key':
      return (entry) => values.some((key) => concerns(entry, key))
    case 'actor':
      return ({ actor }) => isOneOf(values, actor?.id)
    case 'origin':
      return ({ origin }) => isOneOf(values, origin?.service)
    case 'source':
      return () => true
    default:
      return (entry) => isOneOf(values, entry[name])
  }
}

function concerns(entry: AuditEntry, key: string): boolean {
  const second = entry.details?.destinationKey
  const identity = entry.resourceType === 'kms_key' ? entry.resourceIdentity : undefined
  return identity === key || entry.keySlug === key || second?.identity === key || second?.slug === key
}

function actionTest(actions: readonly string[]): Test {
  const exact = actions.filter((action) => !action.endsWith('*'))
  const prefixes = actions.filter((action) => action.endsWith('*')).map((action) => action.slice(0, -1))
  return ({ action }) => exact.includes(action) || prefixes.some((prefix) => action.startsWith(prefix))
}

function sourceTest(networks: readonly Network[]): Test {
  return ({ context }) => typeof context?.clientIp === 'string' && holdsSource(networks, context.clientIp)
}

function sizeTests({ min, max }: Asked['sizes']): readonly Test[] {
  const tests: Test[] = []
  const [least, most] = [typeof min === 'number' ? min : 0, typeof max === 'number' ? max : Number.POSITIVE_INFINITY]
  if (typeof min === 'number' || typeof max === 'number')
    tests.push(({ payloadSizes }) => payloads.some((name) => isWithin(payloadSizes?.[name], { least, most })))
  const named = [
    ...boundsOf(min).map(([name, bytes]) => ({ name, least: bytes, most: Number.POSITIVE_INFINITY })),
    ...boundsOf(max).map(([name, bytes]) => ({ name, least: 0, most: bytes })),
  ]
  for (const { name, least, most } of named)
    tests.push(({ payloadSizes }) => isWithin(payloadSizes?.[name], { least, most }))
  return tests
}

function boundsOf(bound: SizeBound | undefined): readonly (readonly [keyof PayloadSizes, number])[] {
  // Its names were checked against the table.
  return typeof bound === 'object' ? (Object.entries(bound) as [keyof PayloadSizes, number][]) : []
}

function isWithin(
  bytes: number | undefined,
  { least, most }: { readonly least: number; readonly most: number },
): boolean {
  return typeof bytes === 'number' && bytes >= least && bytes <= most
}

function soughtOf({ oneOf, from, to }: Asked): Sought | undefined {
  const eventIDs = oneOf.get('eventID')
  return from === '' && to === undefined && eventIDs === undefined ? undefined : { from, to, eventIDs }
}

/** For the lines that hold a needle, or all when there is none. Of the others each line that is wanted holds one too. */
function bytesTest({ networks, from, to }: Asked, others: readonly Needles[]): Filter['mayWant'] {
  const mayCome = networks && mayComeFrom(networks)
  const isTimed = from !== '' || to !== undefined
  return (bytes, line) => {
    if (isTimed) {
      const createdAt = createdAtIn(bytes, line)
      if (createdAt !== undefined && (createdAt < from || (to !== undefined && createdAt >= to))) return false
    }
    if (mayCome !== undefined && !mayCome(bytes, line)) return false
    if (others.length === 0) return true
    const own = bytes.subarray(line.start, line.end)
    return others.every((needles) => needles.some((needle) => own.includes(needle)))
  }
}

/** An address comes again and again: what was found of the last ones is kept. */
function mayComeFrom(networks: readonly Network[]): Filter['mayWant'] {
  const known = new Map<string, boolean>()
  return (bytes, line) => {
    const source = clientIpIn(bytes, line)
    if (source === undefined) return false
    const found = known.get(source)
    if (found !== undefined) return found
    if (known.size >= manySources) known.clear()
    // Spelled with escapes, it is read when the line is parsed.
    const may = source.includes('\\') || holdsSource(networks, source)
    known.set(source, may)
    return may
  }
}

const manySources = 10_000

type Field = Parameters<Asked['oneOf']['get']>[0] | Parameters<Asked['counts']['get']>[0] | 'valid'

// The rarest first: one search through a block is cheap, several are not.
const byRarity: readonly (readonly [Field, before: string, after?: string])[] = [
  ['eventID', '"eventID":"'],
  ['operationID', '"operationID":"'],
  ['error', '"error":"'],
  ['actor', '"id":"'],
  ['key', ':"'],
  ['origin', '"service":"'],
  // Always followed so, and a longer needle is found sooner.
  ['action', '"action":"', '","phase":"'],
  // A salt follows every number, so a comma does.
  ['statusCode', '"statusCode":', ','],
  ['valid', '"valid":', ','],
  ['keyType', '"keyType":"'],
  ['project', '"project":"'],
  ['phase', '"phase":"'],
  ['outcome', '"outcome":"'],
  ['keyVersion', '"keyVersion":', ','],
  ['region', '"region":"'],
]

/** More searches than this cost as much as looking at each line. */
const manyNeedles = 16

type Needles = readonly Buffer[]

/** What to search for, and what a line where it was found must hold besides: parsing it would cost more than looking. */
function needlesOf(asked: Asked): { readonly needles: Needles | undefined; readonly others: readonly Needles[] } {
  const possible: Needles[] = []
  for (const [name, before, after] of byRarity) {
    const needles = allOrNone(valuesOf(asked, name)?.map((value) => needleIn(name, before, value, after)))
    if (needles !== undefined && needles.length <= manyNeedles) possible.push(needles)
  }
  // Most actions begin as `kms.*` does: anything else is rarer.
  const exact = possible.find((needles) => !needles.some((needle) => anyAction.test(needle.toString('latin1'))))
  const needles = exact ?? possible[0]
  return { needles, others: possible.filter((other) => other !== needles) }
}

const anyAction = /^"action":"(?:[a-z]+[._])?$/

function valuesOf({ oneOf, counts, valid }: Asked, name: Field): readonly string[] | undefined {
  if (name === 'valid') return valid === undefined ? undefined : [String(valid)]
  if (name === 'statusCode' || name === 'keyVersion') return counts.get(name)?.map(String)
  return oneOf.get(name)
}

function needleIn(name: Field, before: string, value: string, after?: string): Buffer | undefined {
  if (name === 'action' && value.endsWith('*')) return needleFor(before, value.slice(0, -1), '')
  return needleFor(before, value, after)
}

/** Undefined when a value has no bytes to look for: then a line may hold it all the same. */
function allOrNone(needles: readonly (Buffer | undefined)[] | undefined): readonly Buffer[] | undefined {
  if (needles === undefined) return undefined
  const found = needles.filter((needle) => needle !== undefined)
  return found.length === needles.length ? found : undefined
}

function refused(message: string): KmsError {
  return new KmsError('INVALID_INPUT', message)
}
