/** A finding as a line: nothing is lost, nothing acts upon a terminal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from '../../src/detect/finding.ts'
import { findingLine, subjectWords } from '../../src/detect/finding-line.ts'

const hostile = 'a\u202e"\u001b[31m\u2028\ud800'

const finding: Finding = {
  id: '0123456789abcdef0123456789abcdef',
  rule: 'export',
  title: 'Key material was exported',
  level: 'critical',
  attack: ['T1552.004'],
  at: '2026-01-01T00:00:00.000Z',
  subject: { key: hostile, actor: 'user:alice', source: '192.0.2.7', secret: '/a', sink: 'trail', instance: 'main-1' },
  window: { from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T00:00:01.000Z' },
  count: 2,
  evidence: ['0199c9d0-1b00-7000-8000-000000000000', hostile],
  says: `somebody did ${hostile}`,
  whatToDo: 'look',
}

test('a line has every field of the finding, in its order', () => {
  const parsed = JSON.parse(findingLine(finding))
  assert.deepEqual(parsed, { format: 'keytrail-finding/1', ...finding })
  assert.deepEqual(Object.keys(parsed), ['format', ...Object.keys(finding)])
})

test('what stands beside it comes last, and only when there is any', () => {
  const suppressed = { id: 's', until: '2026-02-01T00:00:00.000Z', reason: hostile, by: 'user:bob' }
  const parsed = JSON.parse(findingLine(finding, { repeats: 3, suppressed }))
  assert.deepEqual(parsed, { format: 'keytrail-finding/1', ...finding, repeats: 3, suppressed })
  assert.equal(findingLine(finding, { repeats: 0 }), findingLine(finding))
})

test('is one line without anything that a terminal acts upon', () => {
  assert.doesNotMatch(findingLine(finding), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
})

test('a subject in words names what it has', () => {
  assert.equal(subjectWords({ actor: 'user:alice', key: 'orders' }), 'key orders, actor user:alice')
  assert.equal(subjectWords({}), '')
})
