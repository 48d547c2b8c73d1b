/** @node An entry's line on its way back: found by its bytes, parsed only then. */
import { Buffer } from 'node:buffer'
import type { AuditEntry } from '../../model/entry.ts'
import { escapedJson, jsonText } from '../../model/line.ts'
import { type Block, newline } from '../blocks.ts'

/** Where a line stands in its block, without its newline. */
export interface Line {
  readonly start: number
  readonly end: number
}

/** The lines of a block, entries and commits; none of a piece that is no whole line. */
export function* linesIn({ bytes, start, end, whole }: Block): Generator<Line, void, undefined> {
  for (let at = start; whole && at < end; ) {
    const stop = bytes.indexOf(newline, at)
    yield { start: at, end: stop }
    at = stop + 1
  }
}

/** Undefined when the text is not the JSON of an entry. Fields that this version does not know are kept. */
export function parseEntry(text: string): AuditEntry | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isEntry(parsed) ? parsed : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

// Only what readers rely upon; the hash, not the shape, says whether a line is what was written.
function isEntry(value: unknown): value is AuditEntry {
  if (typeof value !== 'object' || value === null) return false
  const fields = value as Readonly<Record<string, unknown>> // an object: its fields are checked here
  return relied.every((name) => typeof fields[name] === 'string')
}

const relied = ['schema', 'eventID', 'createdAt', 'action', 'outcome'] as const

/**
 * The line that an entry was read from, if `lineOf` made it, also a later version's that knows more fields. Of any other,
 * whose fields may hold what their types exclude, one line of the JSON that it holds.
 */
export function lineOfRead(entry: AuditEntry): string {
  const { encryptionContext: pairs } = entry
  // The order of JSON.parse is that of the line, save that it puts names first that are whole numbers.
  const isSorted =
    typeof pairs !== 'object' || pairs === null || Array.isArray(pairs) || !Object.keys(pairs).some(isWhole)
  if (isSorted) return escapedJson(JSON.stringify(entry))
  const names = Object.keys(pairs).sort()
  const sorted = names.map((name) => `${jsonText(name)}:${escapedJson(JSON.stringify(pairs[name]))}`).join(',')
  const others = escapedJson(JSON.stringify({ ...entry, encryptionContext: 0 }))
  return others.replace('"encryptionContext":0', () => `"encryptionContext":{${sorted}}`)
}

function isWhole(name: string): boolean {
  return /^\d+$/.test(name)
}

/**
 * Whether a line may hold `,"<name>":"<value>"`. Sound as a filter before parsing, because `lineOf` writes one spelling of
 * each string; not proof, because an encryption context may have a pair of that name.
 */
export function mayHold(bytes: Buffer, line: Line, needle: Buffer): boolean {
  return bytes.subarray(line.start, line.end).includes(needle)
}

const created = Buffer.from(',"createdAt":"')
const momentLength = 24

/**
 * The text of `createdAt`, without parsing the line; undefined when it does not stand there as `lineOf` writes a moment. The
 * first of that name is the entry's own: before it come only ids, and a quote within a string is escaped.
 */
export function createdAtIn(bytes: Buffer, line: Line): string | undefined {
  const at = createdAtPlace(bytes, line)
  return at < 0 ? undefined : bytes.toString('latin1', at, at + momentLength)
}

/** Where the text of `createdAt` begins; negative as {@link createdAtIn}. */
export function createdAtPlace(bytes: Buffer, { start, end }: Line): number {
  const usual = start + opening.length + uuid.length
  // Of the line alone: a search from its start would go through all that follow where it holds none.
  const found = isAt(bytes, usual, created) ? usual - start : bytes.subarray(start, end).indexOf(created)
  const at = start + found + created.length
  return found >= 0 && at + momentLength < end && isShaped(bytes, at, moment) ? at : -1
}

function isAt(bytes: Buffer, at: number, wanted: Buffer): boolean {
  for (let place = 0; place < wanted.length; place++) if (bytes[at + place] !== wanted[place]) return false
  return true
}

const opening = Buffer.from('{"schema":"keytrail/1","eventID":"')

/** Where the text of `eventID` begins; negative when it does not stand there as `lineOf` writes a UUID. */
export function eventIDPlace(bytes: Buffer, { start, end }: Line): number {
  const at = start + opening.length
  if (at + uuid.length > end || bytes.compare(opening, 0, opening.length, start, at) !== 0) return -1
  return isShaped(bytes, at, uuid) ? at : -1
}

// The closing quote is part of each.
const moment = '0000-00-00T00:00:00.000Z"'
const uuid = 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"'

/** Whether the bytes are those of `shape`, where 0 stands for any digit and x for any of hexadecimal. */
function isShaped(bytes: Buffer, at: number, shape: string): boolean {
  for (let place = 0; place < shape.length; place++) {
    const byte = bytes[at + place] ?? 0
    const wanted = shape.charCodeAt(place)
    const isDigit = byte >= 0x30 && byte <= 0x39
    if (wanted === 0x30 ? !isDigit : wanted === 0x78 ? !isDigit && !(byte >= 0x61 && byte <= 0x66) : byte !== wanted)
      return false
  }
  return true
}

// An encryption context may have a pair of either name, but no object in it, and its own name ends otherwise.
const clientIp = Buffer.from('"context":{"clientIp":"')

/** What `context.clientIp` holds between its quotes, escapes and all; undefined when the entry has none. */
export function clientIpIn(bytes: Buffer, { start, end }: Line): string | undefined {
  // Of the line alone: a search from its start would go through all that follow where it holds none.
  const line = bytes.subarray(start, end)
  const at = line.indexOf(clientIp) + clientIp.length
  return at < clientIp.length ? undefined : line.toString('utf8', at, line.indexOf(0x22, at))
}

// What lineOf writes as it is; anything else it may escape.
const unescaped = /^[ !#-[\]-~]*$/

/** The bytes to look for, or undefined when the value may be spelled with escapes. */
export function needleFor(before: string, value: string, after = '"'): Buffer | undefined {
  return unescaped.test(value) ? Buffer.from(`${before}${value}${after}`) : undefined
}
