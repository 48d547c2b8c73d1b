/** `GET /v1/audit`: entries of a trail in the platform's shape, the newest first, page by page. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { invalid } from './failure.ts'
import { momentOf, type PlatformEntry, platformEntry } from './platform-entry.ts'

/** What a reader of the trail is asked for: it may give more, never less. */
export interface AuditLogFilter {
  readonly action?: readonly string[]
  readonly actor?: string
  readonly from?: string
  readonly to?: string
}

export interface AuditLogEntry {
  readonly instance: string
  readonly index: bigint
  readonly entry: AuditEntry
}

/** Entries, the oldest first: `(filter) => readTrail(path, filter)`. */
export type AuditLogReader = (filter: AuditLogFilter) => AsyncIterable<AuditLogEntry>

export interface AuditPage {
  /** The newest first. */
  readonly logs: readonly PlatformEntry[]
  /** `cursor` of the next page, which has older ones; absent on the last. */
  readonly nextCursor?: string
}

export const auditParameters: readonly string[] = [
  'action',
  'resourceType',
  'resourceIdentity',
  'userIdentity',
  'serviceAccountIdentity',
  'responseStatus',
  'searchText',
  'from',
  'to',
  'limit',
  'cursor',
]

/** What is asked for, checked. */
export interface AuditQuery {
  readonly filter: AuditLogFilter
  readonly wants: (entry: AuditEntry) => boolean
  readonly limit: number
  readonly before: Cursor | undefined
}

/** Where a page ended: what was there before stays before, since a trail only grows. */
interface Cursor {
  readonly instance: string
  readonly index: bigint
}

const defaultLimit = 100
const maxLimit = 1000

/** @throws KmsError `INVALID_INPUT`. */
export function auditQuery(query: ReadonlyMap<string, string>, project: string | undefined): AuditQuery {
  const actions = actionsOf(query.get('action'))
  const [user, serviceAccount] = [query.get('userIdentity'), query.get('serviceAccountIdentity')]
  if (user !== undefined && serviceAccount !== undefined)
    throw invalid("an entry has one principal: give 'userIdentity' or 'serviceAccountIdentity'")
  const actor = user ?? serviceAccount
  const [from, to] = [momentOf('from', query.get('from')), momentOf('to', query.get('to'))]
  return {
    filter: {
      ...(actions !== undefined && { action: actions }),
      ...(actor !== undefined && { actor }),
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
    },
    wants: allOf(testsOf(query, project)),
    limit: limitOf(query.get('limit')),
    before: cursorOf(query.get('cursor')),
  }
}

type Test = (entry: AuditEntry) => boolean

function testsOf(query: ReadonlyMap<string, string>, project: string | undefined): readonly Test[] {
  const tests: Test[] = []
  const types = listOf(query.get('resourceType'))
  const identity = query.get('resourceIdentity')
  const statuses = statusesOf(query.get('responseStatus'))
  const user = query.get('userIdentity')
  const serviceAccount = query.get('serviceAccountIdentity')
  const text = query.get('searchText')
  if (project !== undefined) tests.push((entry) => entry.project === project)
  if (types !== undefined) tests.push((entry) => types.includes(entry.resourceType))
  if (identity !== undefined) tests.push((entry) => entry.resourceIdentity === identity)
  if (statuses !== undefined) tests.push(({ statusCode }) => statusCode !== undefined && statuses.includes(statusCode))
  if (user !== undefined) tests.push(({ actor }) => actor?.type === 'user' && actor.id === user)
  if (serviceAccount !== undefined)
    tests.push(({ actor }) => actor?.type === 'serviceAccount' && actor.id === serviceAccount)
  if (text !== undefined) tests.push(searching(text.toLowerCase()))
  return tests
}

function allOf(tests: readonly Test[]): Test {
  return (entry) => tests.every((test) => test(entry))
}

/** What is asked for has been checked: a reader that takes it for wrong has something else to say, such as which folder is not there. */
async function* told(read: AuditLogReader, filter: AuditLogFilter): AsyncGenerator<AuditLogEntry, void, undefined> {
  try {
    yield* read(filter)
  } catch (error) {
    if (!(error instanceof KmsError) || error.code !== 'INVALID_INPUT') throw error
    throw new KmsError('INTERNAL', 'the audit log cannot be read', { cause: error })
  }
}

/** In any text or number of the entry as it is shown, whatever the case. */
function searching(wanted: string): Test {
  const holds = (value: unknown): boolean => {
    if (typeof value === 'object' && value !== null) return Object.values(value).some(holds)
    return String(value).toLowerCase().includes(wanted)
  }
  return (entry) => holds(platformEntry(entry))
}

function listOf(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').filter((one) => one !== '')
}

function actionsOf(text: string | undefined): readonly string[] | undefined {
  const actions = listOf(text)
  if (actions?.some((action) => action.slice(0, -1).includes('*')))
    throw invalid("'action' must be an action, or several with commas; '*' stands only at an end")
  return actions
}

function statusesOf(text: string | undefined): readonly number[] | undefined {
  return listOf(text)?.map((status) => {
    if (!/^[1-5]\d\d$/.test(status))
      throw invalid("'responseStatus' must be a status such as 400, or several with commas")
    return Number(status)
  })
}

function limitOf(text: string | undefined): number {
  const limit = text === undefined ? defaultLimit : /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > maxLimit) throw invalid(`'limit' must be a whole number from 1 to ${maxLimit}`)
  return limit
}

function cursorOf(text: string | undefined): Cursor | undefined {
  if (text === undefined) return undefined
  const [, instance, index] = /^(.{1,255}):(\d{1,20})$/s.exec(text) ?? []
  if (instance === undefined || index === undefined) throw invalid("'cursor' must be the 'nextCursor' of another page")
  return { instance, index: BigInt(index) }
}

/**
 * Reads from the beginning up to where the page ends, holding no more than the page. `goOn` is asked at each entry and throws where
 * nobody waits any more: what was read by then is the oldest, and no page.
 */
export async function readPage(
  read: AuditLogReader,
  { filter, wants, limit, before }: AuditQuery,
  options: { readonly organisation?: string; readonly goOn: () => void },
): Promise<AuditPage> {
  let page: AuditLogEntry[] = []
  let dropped = 0
  for await (const found of told(read, filter)) {
    options.goOn()
    if (before !== undefined && found.instance === before.instance && found.index >= before.index) break
    if (!wants(found.entry)) continue
    page.push(found)
    // Cut now and then, not for each.
    if (page.length <= 2 * limit) continue
    dropped += page.length - limit
    page = page.slice(-limit)
  }
  const older = dropped + Math.max(0, page.length - limit)
  const newest = page.slice(-limit).reverse()
  const last = newest.at(-1)
  const logs = newest.map(({ entry }) => platformEntry(entry, options))
  return older > 0 && last !== undefined ? { logs, nextCursor: `${last.instance}:${last.index}` } : { logs }
}
