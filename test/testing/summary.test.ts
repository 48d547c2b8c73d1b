import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exampleEntries, exampleEntry, summary } from '../../src/testing/index.ts'
import { validEntries } from '../validate.ts'

test('an entry is one short line', () => {
  const { keySlug: _, keyVersion: __, ...unknownKey } = exampleEntry()
  assert.deepEqual(
    summary([
      exampleEntry(),
      exampleEntry(1, { action: 'kms.verify', valid: false }),
      exampleEntry(2, { action: 'kms.verify_hmac', valid: true }),
      { ...unknownKey, outcome: 'failure', error: 'KEY_NOT_FOUND', resourceIdentity: 'nope' },
      exampleEntry(3, { action: 'kms.rotate', phase: 'intent', outcome: 'pending' }),
      exampleEntry(4, { action: 'kms.rotate', phase: 'amendment', outcome: 'success' }),
    ]),
    [
      'kms.encrypt success orders v1',
      'kms.verify success orders v1 invalid',
      'kms.verify_hmac success orders v1 valid',
      'kms.encrypt failure nope KEY_NOT_FOUND',
      'kms.rotate pending orders v1',
      'kms.rotate amendment success orders v1',
    ],
  )
})

test('an entry of the log is named by the sink it is about, never by an instance', () => {
  const log = { resourceType: 'audit_log', resourceIdentity: 'main-Yx81kQ0z' } as const
  const { keySlug: _, keyVersion: __, ...entry } = exampleEntry(0, log)
  assert.deepEqual(
    summary([
      { ...entry, action: 'audit.opened' },
      { ...entry, action: 'audit.sink_down', details: { sink: 'trail' } },
    ]),
    ['audit.opened success', 'audit.sink_down success trail'],
  )
})

test('example entries match the schema, differ, and are the same each time', () => {
  const entries = validEntries(exampleEntries(1000))
  assert.equal(new Set(entries.map(({ eventID }) => eventID)).size, 1000)
  assert.equal(new Set(entries.map(({ salt }) => salt)).size, 1000)
  assert.deepEqual(exampleEntries(10, 5), entries.slice(5, 15))
})
