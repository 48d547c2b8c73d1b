/** @node An entry's line on its way back: found by its bytes, parsed only then. */
import { Buffer } from 'node:buffer'
import type { AuditEntry } from '../../model/entry.ts'
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
  return ['schema', 'eventID', 'createdAt', 'action', 'outcome'].every((name) => typeof fields[name] === 'string')
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
 * The text of `createdAt`, without parsing the line; undefined when it does not stand there as `lineOf` writes it. The first
 * of that name is the entry's own: before it come only ids, and a quote within a string is escaped.
 */
export function createdAtIn(bytes: Buffer, { start, end }: Line): string | undefined {
  const at = bytes.indexOf(created, start) + created.length
  const stop = at + momentLength
  if (at < created.length || stop >= end || bytes[stop] !== 0x22 || bytes[stop - 1] !== 0x5a) return undefined
  return bytes.toString('latin1', at, stop)
}

// What lineOf writes as it is; anything else it may escape.
const unescaped = /^[ !#-[\]-~]*$/

/** The bytes to look for, or undefined when the value may be spelled with escapes. */
export function needleFor(before: string, value: string, after = '"'): Buffer | undefined {
  return unescaped.test(value) ? Buffer.from(`${before}${value}${after}`) : undefined
}
