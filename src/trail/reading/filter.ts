/** @node Which entries a reader wants: a test on the bytes of a line where that is sound, then a test on the entry. */
import type { Buffer } from 'node:buffer'
import type { AuditEntry, Outcome, Phase } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import type { Block } from '../blocks.ts'
import { createdAtIn, type Line, needleFor } from './entry-line.ts'

/** All given fields must match. */
export interface TrailFilter {
  /** `kms.decrypt`, or a prefix such as `kms.*`; one of several. */
  readonly action?: string | readonly string[]
  /** Identity or slug of the key, also as a re-encryption's second. */
  readonly key?: string
  /** The actor's id. */
  readonly actor?: string
  readonly outcome?: Outcome
  readonly statusCode?: number
  readonly phase?: Phase
  /** `createdAt`, from this moment on. RFC 3339 text or a `Date`. */
  readonly from?: string | Date
  /** `createdAt`, before this moment. */
  readonly to?: string | Date
  readonly eventID?: string
  readonly operationID?: string
  /** At most so many entries. */
  readonly limit?: number
}

export interface Filter {
  /** Tells of a block's lines, asked in their order, which are no wanted entry for sure and need not be parsed: false. */
  readonly mayWant: (block: Block) => (line: Line) => boolean
  readonly wants: (entry: AuditEntry) => boolean
  readonly limit: number
}

/** Errors: `INVALID_INPUT` for a field that does not exist or a value that it cannot have. */
export function prepareFilter(filter: TrailFilter): Filter {
  for (const name of Object.keys(filter)) if (!names.includes(name)) throw refused(`there is no filter '${name}'`)
  const { limit = Number.POSITIVE_INFINITY } = filter
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit >= 0))
    throw refused('limit must be a whole number')
  const tests = testsOf(filter)
  return { mayWant: bytesTest(filter), wants: (entry) => tests.every((test) => test(entry)), limit }
}

const names: readonly string[] = [
  'action',
  'key',
  'actor',
  'outcome',
  'statusCode',
  'phase',
  'from',
  'to',
  'eventID',
  'operationID',
  'limit',
]

type Test = (entry: AuditEntry) => boolean

function testsOf({ action, key, actor, from, to, ...same }: TrailFilter): readonly Test[] {
  const { outcome, statusCode, phase, eventID, operationID } = same
  const tests: Test[] = []
  if (eventID !== undefined) tests.push((entry) => entry.eventID === eventID)
  if (operationID !== undefined) tests.push((entry) => entry.operationID === operationID)
  if (outcome !== undefined) tests.push((entry) => entry.outcome === outcome)
  if (statusCode !== undefined) tests.push((entry) => entry.statusCode === statusCode)
  if (phase !== undefined) tests.push((entry) => entry.phase === phase)
  if (actor !== undefined) tests.push((entry) => entry.actor?.id === actor)
  if (key !== undefined) tests.push((entry) => concerns(entry, key))
  if (action !== undefined) tests.push(actionTest(listOf(action)))
  if (from !== undefined) tests.push(since(timestamp('from', from)))
  if (to !== undefined) tests.push(not(since(timestamp('to', to))))
  return tests
}

function concerns(entry: AuditEntry, key: string): boolean {
  const second = entry.details?.destinationKey
  const identity = entry.resourceType === 'kms_key' ? entry.resourceIdentity : undefined
  return identity === key || entry.keySlug === key || second?.identity === key || second?.slug === key
}

function actionTest(actions: readonly string[]): Test {
  const exact = actions.filter((action) => !action.includes('*'))
  const prefixes = actions.filter((action) => action.includes('*')).map(prefixOf)
  return ({ action }) => exact.includes(action) || prefixes.some((prefix) => action.startsWith(prefix))
}

function prefixOf(action: string): string {
  if (action.indexOf('*') !== action.length - 1) throw refused(`'*' stands only at the end of an action: '${action}'`)
  return action.slice(0, -1)
}

// One spelling of a moment, so that text compares as time does.
function since(moment: string): Test {
  return ({ createdAt }) => createdAt >= moment
}

function not(test: Test): Test {
  return (entry) => !test(entry)
}

function timestamp(name: string, moment: string | Date): string {
  const date = new Date(moment)
  if (Number.isNaN(date.getTime()))
    throw refused(`'${name}' is no date: give RFC 3339 text such as 2026-01-31T00:00:00Z`)
  return date.toISOString()
}

/**
 * Every line is looked at: which segments lie within a time cannot be told from their first and last entries, because a
 * clock may have been years ahead for a while in the middle of one.
 */
function bytesTest(filter: TrailFilter): Filter['mayWant'] {
  const needle = needleOf(filter)
  const from = filter.from === undefined ? '' : timestamp('from', filter.from)
  const to = filter.to === undefined ? undefined : timestamp('to', filter.to)
  const mayHold = needle === undefined ? () => anyLine : (block: Block) => holding(block, needle)
  if (from === '' && to === undefined) return mayHold
  return (block) => {
    const mayHoldLine = mayHold(block)
    return (line) => {
      const createdAt = createdAtIn(block.bytes, line)
      if (createdAt !== undefined && (createdAt < from || (to !== undefined && createdAt >= to))) return false
      return mayHoldLine(line)
    }
  }
}

function anyLine(): boolean {
  return true
}

/** One search through the block, not one through each line. What it finds behind the block's end is in no line. */
function holding({ bytes, start }: Block, needle: Buffer): (line: Line) => boolean {
  let found = bytes.indexOf(needle, start)
  return (line) => {
    if (found >= 0 && found < line.start) found = bytes.indexOf(needle, line.start)
    return found >= 0 && found < line.end
  }
}

/** The rarest first: one search through a line is cheap, several are not. */
function needleOf(filter: TrailFilter): Buffer | undefined {
  const { eventID, operationID, actor, key, statusCode, outcome, phase } = filter
  const actions = listOf(filter.action ?? [])
  const [action] = actions
  if (eventID !== undefined) return needleFor('"eventID":"', eventID)
  if (operationID !== undefined) return needleFor('"operationID":"', operationID)
  if (actor !== undefined) return needleFor('"id":"', actor)
  if (key !== undefined) return needleFor(':"', key)
  if (action !== undefined && actions.length === 1)
    return action.endsWith('*') ? needleFor('"action":"', action.slice(0, -1), '') : needleFor('"action":"', action)
  // A salt follows every number, so a comma does.
  if (statusCode !== undefined) return needleFor('"statusCode":', String(statusCode), ',')
  if (outcome !== undefined) return needleFor('"outcome":"', outcome)
  return phase === undefined ? undefined : needleFor('"phase":"', phase)
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value
}

function refused(message: string): KmsError {
  return new KmsError('INVALID_INPUT', message)
}
