/** What a test says of an entry: an action, and criteria that its fields must meet. */
import type { ActorType } from '../model/context.ts'
import type {
  AuditEntry,
  EntryActor,
  EntryDetails,
  EntryOrigin,
  EntryProvider,
  EntryReason,
  Outcome,
  PayloadSizes,
  Phase,
} from '../model/entry.ts'
import type { KmsErrorCode } from '../model/errors.ts'
import { type AsymmetricMatcher, type Difference, differences, isAsymmetric, isPart, show } from './difference.ts'
import { checkAction, type Known, known, nearest, refusal, valuesInside } from './known.ts'

/**
 * A value that a field must have; `null`: the field must be absent; text may be given as a regular expression to be found
 * in it; `expect.any(Number)` and its like of Jest and Vitest work too.
 */
export type Wanted<T> = T | null | AsymmetricMatcher | (T extends string ? RegExp : never)

/** Some fields of an object, each as wanted; at least one. */
export type Part<T> = { readonly [F in keyof T]?: Wanted<NonNullable<T[F]>> }

/**
 * What an entry must say. What is not named is not looked at, but for `phase`: results are meant unless it says otherwise.
 * Names that are none, values of a wrong kind, `undefined` and parts without a name are refused.
 */
export interface EntryCriteria {
  /** How many entries must match: exactly so many. At least one when absent. */
  readonly times?: number
  /** `result` by default. */
  readonly phase?: Phase | 'any'
  /** Slug or identity, as `readTrail` takes it: also of the second key of a re-encryption. */
  readonly key?: Wanted<string>
  readonly keyType?: Wanted<string>
  readonly keyVersion?: Wanted<number>
  readonly latestVersion?: Wanted<boolean>
  readonly resourceType?: Wanted<string>
  /** The identity of a key, the path of a secret. */
  readonly resourceIdentity?: Wanted<string>
  readonly outcome?: Wanted<Outcome>
  /** The verdict of verify and verify_hmac. */
  readonly valid?: Wanted<boolean>
  readonly statusCode?: Wanted<number>
  readonly error?: Wanted<KmsErrorCode>
  readonly region?: Wanted<string>
  readonly project?: Wanted<string>
  /** An id, or parts: `{ type: 'user', id: 'alice' }`; `{ type: 'unknown' }` is nobody. */
  readonly actor?: Wanted<string> | Part<Omit<EntryActor, 'type'> & { readonly type: ActorType | 'unknown' }>
  readonly clientIp?: Wanted<string>
  readonly userAgent?: Wanted<string>
  readonly requestId?: Wanted<string>
  readonly traceparent?: Wanted<string>
  readonly method?: Wanted<string>
  readonly route?: Wanted<string>
  /** A service, or parts. */
  readonly origin?: Wanted<string> | Part<EntryOrigin>
  /** A code, or parts. */
  readonly reason?: Wanted<string> | Part<EntryReason>
  /** A name, or parts. */
  readonly provider?: Wanted<string> | Part<EntryProvider>
  /** Bytes, by name. */
  readonly payloadSizes?: Wanted<Part<PayloadSizes>>
  readonly details?: Wanted<Part<EntryDetails>>
  /** Some of its pairs. */
  readonly encryptionContext?: Wanted<Readonly<Record<string, Wanted<string>>>>
  readonly eventID?: Wanted<string>
  readonly operationID?: Wanted<string>
}

/** One entry that is expected: an action, or an action with criteria. */
export type ExpectedEntry = string | readonly [action: string, criteria: EntryCriteria]

/** Checked, and ready to be held against entries. */
export interface Expectation {
  readonly action: string
  readonly criteria: EntryCriteria
  /** Such as `kms.decrypt { key: "orders" }`. */
  readonly words: string
  readonly times: number | undefined
  /** Where `entry` is not as expected. */
  differencesTo(entry: AuditEntry): readonly Difference[]
}

/**
 * Checks what a test asks for. `recorded` are the actions of the entries there are.
 *
 * @throws KmsError `INVALID_INPUT` that says which action, criterion or value is none.
 */
export function expectationOf(action: unknown, given: unknown, recorded: readonly string[]): Expectation {
  checkAction(action, recorded)
  const criteria = given === undefined ? {} : checked(given)
  const { times, phase = 'result', ...fields } = criteria
  const tests = Object.entries(fields).map(([name, wanted]) => testOf(name, wanted))
  return {
    action,
    criteria,
    words: Object.keys(criteria).length === 0 ? action : `${action} ${show(criteria)}`,
    times,
    differencesTo(entry) {
      const inAction = isOfAction(entry, action) ? [] : [{ at: 'action', wanted: action, found: entry.action }]
      const inPhase = phase === 'any' ? [] : differences('phase', phase, entry.phase)
      return [...inAction, ...inPhase, ...tests.flatMap((test) => test(entry))]
    },
  }
}

/** What the log says of itself is not what a program did: `*` does not mean it, `audit.*` does. */
function isOfAction(entry: AuditEntry, action: string): boolean {
  if (!action.endsWith('*')) return entry.action === action
  return entry.action.startsWith(action.slice(0, -1)) && (action.startsWith('audit') || !isOfLog(entry))
}

/** Whether the entry is one of the log about itself. */
export function isOfLog({ action }: AuditEntry): boolean {
  return action.startsWith('audit.')
}

type Test = (entry: AuditEntry) => readonly Difference[]

/** Criteria that are shorter than the entry: where their field stands. */
const places: Readonly<Record<string, (entry: AuditEntry) => unknown>> = {
  clientIp: ({ context }) => context?.clientIp,
  userAgent: ({ context }) => context?.userAgent,
  requestId: ({ context }) => context?.requestId,
  traceparent: ({ context }) => context?.traceparent,
  method: ({ context }) => context?.method,
  route: ({ context }) => context?.route,
}

/** What a text stands for where a part may be given too. */
const shortFor: Readonly<Record<string, (entry: AuditEntry) => unknown>> = {
  actor: ({ actor }) => actor?.id,
  origin: ({ origin }) => origin?.service,
  reason: ({ reason }) => reason?.code,
  provider: ({ provider }) => provider?.name,
}

function testOf(name: string, wanted: unknown): Test {
  if (name === 'key') return (entry) => differencesInKey(entry, wanted)
  const place = places[name] ?? ((entry: AuditEntry): unknown => entry[name as keyof AuditEntry])
  // Absent is as good as empty: each name that is wanted is then told on its own.
  if (isPart(wanted)) return (entry) => differences(name, wanted, place(entry) ?? {})
  const short = wanted === null ? undefined : shortFor[name]
  return (entry) => differences(name, wanted, short === undefined ? place(entry) : short(entry))
}

function differencesInKey(entry: AuditEntry, wanted: unknown): readonly Difference[] {
  const { keySlug, resourceType, resourceIdentity, details } = entry
  const second = details?.destinationKey
  const identity = resourceType === 'kms_key' ? resourceIdentity : undefined
  const names = [keySlug, identity, second?.slug, second?.identity].filter((name) => name !== undefined)
  const found = names[0]
  if (wanted === null || names.length === 0) return differences('key', wanted, found)
  const matches = names.some((name) => differences('key', wanted, name).length === 0)
  return matches ? [] : [{ at: 'key', wanted, found }]
}

function checked(given: unknown): EntryCriteria {
  if (!isPart(given)) throw refusal(`criteria are an object such as { outcome: 'success' }, not ${show(given)}`)
  const table: Readonly<Record<string, Known>> = known
  for (const [name, wanted] of Object.entries(given)) {
    const row = Object.hasOwn(table, name) ? table[name] : undefined
    if (row === undefined) throw unknownName('criterion', name, Object.keys(table))
    checkValue(name, wanted, row)
  }
  // Every name and value has just been looked at.
  return given as EntryCriteria
}

function checkValue(name: string, wanted: unknown, row: Known): void {
  // Neither is a field that may be absent or like something.
  if (name === 'times') checkTimes(wanted)
  else if (name === 'phase') checkSingle(name, String(wanted), row)
  else if (isPart(wanted) && (row.kind === 'part' || row.kind === 'textOrPart')) checkPart(name, wanted, row)
  else checkSingle(name, wanted, row)
}

function checkSingle(at: string, wanted: unknown, { kind, values }: Pick<Known, 'kind' | 'values'>): void {
  if (wanted === undefined) throw refusal(`${at} is undefined: leave it out, or say null for an absent field`)
  if (wanted === null || isAsymmetric(wanted)) return
  if (!isOfKind(wanted, kind)) throw refusal(`${at} must be ${kinds[kind]}, not ${show(wanted)}`)
  if (typeof wanted !== 'string' || values === undefined || values.includes(wanted)) return
  throw refusal(`${at} is never ${show(wanted)}: it is one of ${values.join(', ')}`)
}

function checkTimes(times: unknown): void {
  if (!Number.isSafeInteger(times) || Number(times) < 1)
    throw refusal(`times must be 1 or more, not ${show(times)}; 'not' says that there are none`)
}

function checkPart(at: string, part: Readonly<Record<string, unknown>>, { names, inside = 'anything' }: Known): void {
  const given = Object.entries(part)
  if (given.length === 0) throw refusal(`${at}: {} says nothing; null says that it is absent`)
  for (const [name, wanted] of given) {
    const place = `${at}.${name}`
    if (names !== undefined && !names.includes(name)) throw unknownName(`name in ${at}`, name, names)
    if (isPart(wanted) && inside === 'anything') checkPart(place, wanted, { kind: 'part' })
    else checkSingle(place, wanted, { kind: inside, ...valuesInside[place] })
  }
}

const kinds: Readonly<Record<Known['kind'], string>> = {
  text: 'a text or a regular expression',
  number: 'a number',
  truth: 'true or false',
  part: 'an object',
  textOrPart: 'a text, a regular expression or an object',
  anything: 'anything',
}

function isOfKind(wanted: unknown, kind: Known['kind']): boolean {
  if (kind === 'number') return typeof wanted === 'number'
  if (kind === 'truth') return typeof wanted === 'boolean'
  if (kind === 'anything') return true
  return kind !== 'part' && (typeof wanted === 'string' || wanted instanceof RegExp)
}

function unknownName(what: string, name: string, names: readonly string[]): Error {
  const meant = nearest(name, names)
  const hint = meant === undefined ? `known are ${names.join(', ')}` : `did you mean '${meant}'?`
  return refusal(`unknown ${what} '${name}': ${hint}`)
}
