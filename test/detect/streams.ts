/** Entries of many kinds for the tests of the detector. */
import { playExample } from '../../src/detect/example.ts'
import { everyRule } from '../../src/detect/shipped.ts'
import type { AuditEntry } from '../../src/model/entry.ts'

/** The examples of every rule of up to `longest` entries, one after another, an hour apart, each by writers of its own. */
export function everyExample(longest = Number.POSITIVE_INFINITY): readonly AuditEntry[] {
  const entries: AuditEntry[] = []
  let begin = Date.UTC(2026, 0, 1, 12)
  for (const { id, examples } of everyRule) {
    for (const [number, example] of examples.entries()) {
      const played = playExample(example)
      if (played.entries.length > longest) continue
      const shift = begin - Date.parse(played.entries[0]?.createdAt ?? '2026-01-01T12:00:00.000Z')
      for (const entry of played.entries)
        entries.push({
          ...entry,
          createdAt: new Date(Date.parse(entry.createdAt) + shift).toISOString(),
          instance: `${id}.${number}.${entry.instance}`,
        })
      begin = Math.max(begin, played.end + shift) + 3_600_000
    }
  }
  return entries
}

/** One entry of `entries`, one of its fields replaced: every field with every piece of junk. */
export function* tampered(entry: object, junk: readonly unknown[]): Generator<AuditEntry> {
  for (const [name, value] of Object.entries(entry)) {
    // What a tampered file may hold is not what the type says.
    for (const each of junk) yield { ...(entry as AuditEntry), [name]: each }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
    for (const inner of tampered(value, junk)) yield { ...(entry as AuditEntry), [name]: inner }
  }
}

export const junk: readonly unknown[] = [
  null,
  0,
  -1,
  1e308,
  2 ** 53,
  true,
  '',
  'x'.repeat(5000),
  '__proto__',
  'constructor',
  '\u202e\u001b[2J\n"},{"',
  '\ud800',
  '9999-12-31T23:59:59.999Z',
  [],
  [null],
  ['__proto__', 7, {}],
  {},
  { toString: 1, valueOf: 1 },
  { type: 7, id: {}, length: -1 },
]
