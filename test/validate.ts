/** @node Entries held against the shipped JSON Schema; for every test that sees entries. */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { AuditEntry } from '../src/model/entry.ts'
import { lineOf } from '../src/model/line.ts'
import { schemaCheck } from './schema-check.ts'

const matches = schemaCheck(readFileSync(new URL('../src/model/schema.json', import.meta.url), 'utf8'))

/**
 * Throws, naming every field at fault, unless `entry` matches `src/model/schema.json` and its line says the same: a
 * field that a line would leave out must not be in memory either.
 */
export function validateEntry(entry: AuditEntry): void {
  const line = lineOf(entry)
  const plain: unknown = JSON.parse(JSON.stringify(entry))
  if (!matches(plain)) throw new Error(`${faults()}\nin ${line}`)
  if (!isDeepStrictEqual(JSON.parse(line), plain)) throw new Error(`the line is not the entry:\n${line}`)
}

/** `validateEntry` for each of `entries`, of which there must be one at least; returns them. */
export function validEntries(entries: readonly AuditEntry[]): readonly AuditEntry[] {
  if (entries.length === 0) throw new Error('no entries to validate')
  for (const entry of entries) validateEntry(entry)
  return entries
}

function faults(): string {
  return (matches.errors ?? []).map(({ instancePath, message }) => `entry${instancePath} ${message}`).join(', ')
}
