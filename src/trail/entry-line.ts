/** @node An entry's line on its way back: found by its bytes, parsed only then. */
import { Buffer } from 'node:buffer'
import type { AuditEntry } from '../model/entry.ts'

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
export function mayHold(
  bytes: Buffer,
  line: { readonly start: number; readonly end: number },
  needle: Buffer,
): boolean {
  return bytes.subarray(line.start, line.end).includes(needle)
}

// What lineOf writes as it is; anything else it may escape.
const unescaped = /^[ !#-[\]-~]*$/

/** The bytes to look for, or undefined when the value may be spelled with escapes. */
export function needleFor(before: string, value: string, after = '"'): Buffer | undefined {
  return unescaped.test(value) ? Buffer.from(`${before}${value}${after}`) : undefined
}
