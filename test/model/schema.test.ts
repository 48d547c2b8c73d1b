import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { errorCodes } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { exampleEntry } from '../../src/testing/entries.ts'
import { validateEntry, validEntries } from '../validate.ts'
import { fullEntry } from './full-entry.ts'

interface Schema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly enum?: readonly unknown[]
}

const schema: Schema = JSON.parse(readFileSync(new URL('../../src/model/schema.json', import.meta.url), 'utf8'))

test('an entry with every field, and one with only the required ones, match the schema', () => {
  validateEntry(fullEntry)
  const { schema, eventID, createdAt, instance, sequence, action, phase, resourceType, outcome, salt } = exampleEntry()
  validateEntry({ schema, eventID, createdAt, instance, sequence, action, phase, resourceType, outcome, salt })
  validEntries([
    exampleEntry(),
    exampleEntry(1, { phase: 'intent', outcome: 'pending', operationID: fullEntry.operationID }),
    exampleEntry(2, { outcome: 'failure', statusCode: 404, error: 'KEY_NOT_FOUND', actor: { type: 'unknown' } }),
    exampleEntry(3, { outcome: 'unknown', operationID: fullEntry.operationID, details: { recovered: true } }),
    exampleEntry(4, { action: 'audit.opened', resourceType: 'audit_log', details: { sinks: fullEntry.details.sinks } }),
    exampleEntry(5, { encryptionContext: { __proto__: 'x', '': '' } }),
  ])
})

test('the schema has the fields of lineOf in their order, no more and no fewer', () => {
  assert.deepEqual(fieldsOfSchema(schema), fieldsOf(JSON.parse(lineOf(fullEntry))))
})

test('lineOf writes every field of the type', () => {
  assert.deepEqual(JSON.parse(lineOf(fullEntry)), fullEntry)
})

test('the schema knows every error code', () => {
  assert.deepEqual(schema.properties?.['error']?.enum, Object.keys(errorCodes))
})

const wrong: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'a field that nobody knows': { plaintext: 'secret' },
  'an actor with a field that nobody knows': { actor: { type: 'user', password: 'secret' } },
  'a missing salt': { salt: undefined },
  'a short salt': { salt: 'AAAA' },
  'null for an absent field': { region: null },
  'a UUID of another version': { eventID: '0199c9d0-1b00-4000-8000-000000000000' },
  'a time without milliseconds': { createdAt: '2026-01-02T03:04:05Z' },
  'a time that is none': { createdAt: '2026-02-30T03:04:05.000Z' },
  'a negative sequence': { sequence: -1 },
  'a key version of 0': { keyVersion: 0 },
  'latestVersion: true': { latestVersion: true },
  'an unknown outcome': { outcome: 'ok' },
  'a result that is pending': { outcome: 'pending' },
  'an intent that succeeded': { phase: 'intent', operationID: fullEntry.operationID },
  'an intent without operationID': { phase: 'intent', outcome: 'pending' },
  'a message for an error code': { error: 'key not found' },
  'a size that is no whole number': { payloadSizes: { plaintext: 1.5 } },
  'an encryption context that is no text': { encryptionContext: { order: 17 } },
  'a number for a text': { keySlug: 17 },
}

for (const [what, fields] of Object.entries(wrong)) {
  test(`${what} does not match the schema`, () => {
    // Wrong on purpose, as JavaScript callers can be.
    assert.throws(() => validateEntry({ ...exampleEntry(), ...fields } as AuditEntry), /entry/)
  })
}

/** Paths of all fields in their order, arrays seen through: `details.sinks.name`. */
function fieldsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return fieldsOf(value[0], path)
  if (typeof value !== 'object' || value === null || path === 'encryptionContext.') return []
  return Object.entries(value).flatMap(([name, field]) => [path + name, ...fieldsOf(field, `${path}${name}.`)])
}

function fieldsOfSchema(part: Schema, path = ''): readonly string[] {
  if (part.items !== undefined) return fieldsOfSchema(part.items, path)
  const properties = Object.entries(part.properties ?? {})
  return properties.flatMap(([name, field]) => [path + name, ...fieldsOfSchema(field, `${path}${name}.`)])
}
