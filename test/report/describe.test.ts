import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeReview } from '../../src/report/describe.ts'
import { columns, printable, wrapped } from '../../src/report/lines.ts'
import type { Review, ReviewedActor, ReviewedExport, ReviewedFinding } from '../../src/report/review.ts'

const evil = '\u001b[31mred\u202e "quoted" \\ \n'

const at = '2026-01-05T12:00:00.000Z'

const quiet: Review = {
  ...{ madeAt: at, from: '2025-12-29T12:00:00.000Z', to: at, timeZone: 'UTC', least: 'medium' },
  ...{ needsEyes: [], notes: [], damagedLines: 0, entries: 0, entriesRead: 0, instances: [] },
  ...{ findings: [], othersOfFindings: 0, exports: [], othersOfExports: 0, keys: [], othersOfKeys: 0 },
  ...{ actors: [], othersOfActors: 0, failures: [], othersOfFailures: 0, silences: [], othersOfSilences: 0 },
  detector: { entries: 0, duplicates: 0, evicted: {}, failed: {} },
  log: {
    ...{ sinks: [], refusedCalls: 0, opened: 0, recovered: 0, quarantinedBytes: 0, pruned: 0, restored: 0 },
    ...{ clockSteps: 0, missing: 0, openIntents: [], fieldPolicies: [] },
  },
  timeline: { from: at, bucketMs: 1, series: [] },
  hours: [],
}

function exported(number: number): ReviewedExport {
  return { eventID: `id-${number}`, at, key: 'orders', outcome: 'success', form: 'raw' }
}

function actor(number: number): ReviewedActor {
  const counts = { failures: 0, keys: 1, networks: 1, userAgents: 1 }
  return { actor: `user:u${number}`, uses: { 'kms.encrypt': 1 }, ...counts, firstAt: at, lastAt: at }
}

test('a review of nothing has every section, each with nothing', () => {
  const page = describeReview(quiet)
  assert.equal((page.match(/: nothing$/gm) ?? []).length, 10)
  assert.match(page, /^NOT VERIFIED: nothing needs eyes\n\nReview of a trail without entries from/)
  assert.ok(!page.includes('Good to know'))
})

test('long lists end in how many more there are, those that were cut included', () => {
  const many = (count: number) => Array.from({ length: count }, (_, number) => number)
  const page = describeReview({
    ...quiet,
    ...{ exports: many(103).map(exported), othersOfExports: 1000 },
    ...{ actors: many(11).map(actor), othersOfActors: 0 },
  })
  assert.equal((page.match(/entry id-/g) ?? []).length, 100)
  assert.match(page, /\n {2}and 1,003 more: see --json\n/)
  assert.equal((page.match(/user:u/g) ?? []).length, 10)
  assert.match(page, /\n {2}and 1 more: see --json$/)
})

test('what to do is said once of each rule', () => {
  const finding = (rule: string, level: 'high' | 'low'): ReviewedFinding => ({
    ...{ id: 'f', rule, title: 'T', level, attack: [], at, subject: {}, window: { from: at, to: at }, count: 1 },
    ...{ evidence: [], says: 'something', whatToDo: `see ${rule}` },
  })
  const findings = [finding('a', 'high'), finding('b', 'high'), finding('a', 'high'), finding('a', 'low')]
  const lines = describeReview({ ...quiet, findings }).split('\n')
  assert.deepEqual(
    lines.filter((line) => line.includes('to do')).map((line) => line.trim()),
    ['to do: see a', 'to do: see b', 'to do: as above'],
  )
})

test('what needs eyes comes first, and the log tells what it has', () => {
  const log = { ...quiet.log, sinks: [{ sink: evil, dropped: 3, downs: 1 }], refusedCalls: 1, openIntents: ['id-1'] }
  const page = describeReview({ ...quiet, needsEyes: ['a', 'b'], notes: ['c'], log })
  assert.match(page, /^NOT VERIFIED: 2 things need eyes\n {2}! a\n {2}! b\n/)
  assert.match(
    page,
    /3 entries lost, down 1 time\n {2}- 1 call was refused, as the log was down\n {2}- an intent without/,
  )
  assert.match(page, /\nGood to know\n {2}- c$/)
})

test('hostile text is escaped, names that are quoted already are left', () => {
  assert.equal(printable('key "a\\u202eb" is'), 'key "a\\u202eb" is')
  assert.equal(printable(evil), '\\u001b[31mred\\u202e "quoted" \\ \\n')
  const says = { ...exported(1), key: evil, actor: evil, reason: evil, ticket: evil, recipient: evil, clientIp: evil }
  const page = describeReview({ ...quiet, exports: [says], needsEyes: [evil], notes: [evil], instances: [evil] })
  assert.doesNotMatch(page, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
})

test('words are wrapped at the width, a word that is longer stands alone; a page has 40 columns at least', () => {
  const lines = wrapped('one two three four', { width: 12, lead: '  - ' })
  assert.deepEqual(lines, ['  - one two', '    three', '    four'])
  assert.deepEqual(wrapped(`a ${'x'.repeat(20)} b`, { width: 12, lead: '' }), ['a', 'x'.repeat(20), 'b'])
  const page = describeReview({ ...quiet, notes: ['word '.repeat(40).trim()] }, { width: 3 })
  assert.ok(page.split('\n').some((line) => line.length > 30))
  assert.ok(page.split('\n').every((line) => line.length <= 45))
})

test('numbers stand to the right, with their thousands', () => {
  assert.deepEqual(
    columns(
      [
        ['count', 'what'],
        [1234, 'a'],
        [5, 'bc'],
      ],
      ' ',
    ),
    [' count  what', ' 1,234  a', '     5  bc'],
  )
})
