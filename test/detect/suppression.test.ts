/** Suppressions hold back what they name, until their day, and nothing else. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Finding, Subject } from '../../src/detect/finding.ts'
import { checkSuppressions, type Suppression, suppressionOf } from '../../src/detect/suppression.ts'

const now = Date.UTC(2026, 0, 2)
const good = {
  id: 'migration',
  rule: 'export',
  subject: { key: 'orders-*', actor: 'serviceAccount:mover' },
  until: '2026-02-01T00:00:00Z',
  reason: 'T-42: keys move to the other region',
  by: 'user:alice',
}

function findingOf(rule: string, subject: Subject): Finding {
  return {
    ...{
      id: 'f'.repeat(32),
      rule,
      title: 'a title',
      level: 'high',
      attack: [],
      at: '2026-01-01T00:00:00.000Z',
      subject,
    },
    window: { from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T00:00:00.000Z' },
    ...{ count: 1, evidence: [], says: 'something happened', whatToDo: 'look' },
  }
}

describe('suppressionOf', () => {
  const suppressions = checkSuppressions([good, { ...good, id: 'all', rule: 'repeated-400', subject: undefined }], {
    now,
  })
  const of = (rule: string, subject: Subject, at = now) => suppressionOf(findingOf(rule, subject), suppressions, at)?.id
  const mover = { key: 'orders-eu', actor: 'serviceAccount:mover' }

  test('all that a suppression names must match', () => {
    assert.equal(of('export', mover), 'migration')
    assert.equal(of('export', { ...mover, key: 'payments' }), undefined)
    assert.equal(of('export', { ...mover, actor: 'serviceAccount:mover2' }), undefined)
    assert.equal(of('export', { key: 'orders-eu' }), undefined)
    assert.equal(of('canary-key', mover), undefined)
  })

  test('without a subject it holds back every finding of its rule', () => {
    assert.equal(of('repeated-400', {}), 'all')
    assert.equal(of('repeated-400', { source: '192.0.2.1' }), 'all')
  })

  test('a pattern of the finding is no pattern: what it names is text', () => {
    assert.equal(of('export', { ...mover, key: '*' }), undefined)
  })

  test('it ends at its moment', () => {
    const end = Date.UTC(2026, 1, 1)
    assert.equal(of('export', mover, end - 1), 'migration')
    assert.equal(of('export', mover, end), undefined)
  })
})

describe('checkSuppressions', () => {
  test('gives a copy of what is right, moments in one spelling', () => {
    const given = [good]
    const checked = checkSuppressions(given, { now })
    assert.deepEqual(checked, [{ ...good, until: '2026-02-01T00:00:00.000Z' }])
    assert.notEqual(checked[0]?.subject, good.subject)
  })

  test('one that has expired may stand there; one for longer than 90 days may not', () => {
    const until = (moment: string) => checkSuppressions([{ ...good, until: moment }], { now })
    assert.equal(until('2025-01-01T00:00:00Z').length, 1)
    assert.equal(until('2026-04-02T00:00:00Z').length, 1)
    assert.throws(() => until('2026-04-02T00:00:01Z'), { code: 'INVALID_INPUT', message: /at most 90 days ahead/ })
  })

  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['no list', good, /suppressions must be a list/],
    ['null', [null], /'suppressions\[0\]' must be an object/],
    ['a list in it', [[]], /'suppressions\[0\]' must be an object/],
    ['no until', [{ ...good, until: undefined }], /'suppressions\[0\]\.until' must be an RFC 3339 time in UTC/],
    ['a day that does not exist', [{ ...good, until: '2026-02-30T00:00:00Z' }], /until' must be an RFC 3339/],
    ['a local time', [{ ...good, until: '2026-02-01T00:00:00' }], /until' must be an RFC 3339/],
    ['no reason', [{ ...good, reason: ' ' }], /'suppressions\[0\]\.reason' must be a text of 1–128/],
    ['a reason that would not fit an entry', [{ ...good, reason: 'x'.repeat(129) }], /reason' must be a text/],
    ['nobody', [{ ...good, by: undefined }], /'suppressions\[0\]\.by' must be a text/],
    ['somebody of no type', [{ ...good, by: 'alice' }], /by' must be who decided it/],
    ['a type without an id', [{ ...good, by: 'user:' }], /by' must be who decided it/],
    ['an id with a blank', [{ ...good, id: 'a b' }], /id' must be 1–64 letters/],
    [
      'a rule that there is not',
      [{ ...good, rule: 'exports' }],
      /rule' names no rule that there is: the rules are export, /,
    ],
    ['a field that there is not', [{ ...good, subjects: {} }], /has no 'subjects': it has id, rule, subject/],
    ['a field with a strange name', [{ ...good, ['\u001b[31m']: 1 }], /has no such field: it has/],
    ['a subject that there is not', [{ ...good, subject: { kye: 'x' } }], /subject' has no 'kye': it has key, actor/],
    ['a subject without anything', [{ ...good, subject: {} }], /subject' must name something/],
    ['a pattern that is no text', [{ ...good, subject: { key: 7 } }], /subject\.key' must be a text/],
    ['two of one id', [good, good], /there are two suppressions 'migration'/],
    ['too many', new Array(1001).fill(good), /at most 1000/],
  ]
  for (const [what, given, message] of wrong)
    test(`refuses ${what}`, () => {
      assert.throws(() => checkSuppressions(given, { now, rules: ['export', 'repeated-400'] }), {
        code: 'INVALID_INPUT',
        message,
      })
    })

  test('without a list of rules, any rule will do: a program may have its own', () => {
    const own: Suppression = { ...good, rule: 'our-own' }
    assert.equal(checkSuppressions([own], { now })[0]?.rule, 'our-own')
  })
})
