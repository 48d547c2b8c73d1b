import assert from 'node:assert/strict'
import { test } from 'node:test'
import { localTime } from '../../src/detect/local-time.ts'
import { collectHours } from '../../src/report/hours.ts'
import { collectTimeline } from '../../src/report/timeline.ts'
import { day, factOf, hour, logFact, minute, monday } from './facts.ts'

test('calls by action and outcome, in the bucket of their time; joined refusals one by one', () => {
  const timeline = collectTimeline({ from: monday, to: monday + day })
  const failed = { outcome: 'failure', statusCode: 400, details: { joined: 40 } } as const
  timeline.take(factOf({ after: 0 }))
  timeline.take(factOf({ after: 4 * minute }))
  timeline.take(factOf({ after: day - 1, ...failed }))
  timeline.take(factOf({ after: 0, within: false }))
  timeline.take(factOf({ after: 0, phase: 'intent', outcome: 'pending' }))
  timeline.take(factOf({ after: 0, resourceType: 'secret' }))
  timeline.take(logFact('audit.opened'))
  const { from, bucketMs, series } = timeline.told()
  assert.deepEqual([from, bucketMs], [new Date(monday).toISOString(), 5 * minute])
  assert.deepEqual(
    series.map(({ action, outcome, counts }) => [action, outcome, counts.length, counts[0], counts.at(-1)]),
    [
      ['kms.encrypt', 'failure', 288, 0, 40],
      ['kms.encrypt', 'success', 288, 2, 0],
    ],
  )
})

test('never more than 400 buckets, which cover the whole of the time', () => {
  for (const length of [minute, 90 * minute, 7 * day, 30 * day, 100 * day, 400 * day, 36_525 * day]) {
    for (const from of [monday, monday + 1, monday + 17 * minute + 3]) {
      const to = from + length
      const timeline = collectTimeline({ from, to })
      const fact = { ...factOf({}), at: to - 1 }
      timeline.take(fact)
      const { from: start, bucketMs, series } = timeline.told()
      const counts = series[0]?.counts ?? []
      assert.ok(counts.length <= 400 && counts.length > 0, `${length}: ${counts.length}`)
      assert.ok(Date.parse(start) <= from && Date.parse(start) + counts.length * bucketMs >= to)
      assert.equal(counts.at(-1), 1)
    }
  }
})

test('very many actions share a row', () => {
  const timeline = collectTimeline({ from: monday, to: monday + day })
  for (let at = 0; at < 500; at++) timeline.take(factOf({ action: `kms.made-up-${at}` }))
  const { series } = timeline.told()
  assert.equal(series.length, 201)
  assert.equal(series.find(({ action }) => action === 'other')?.counts[0], 300)
})

test('hours of the week are those of the time zone', () => {
  const at = { after: hour }
  const [utc, amsterdam] = [collectHours(localTime('UTC')), collectHours(localTime('Europe/Amsterdam'))]
  for (const hours of [utc, amsterdam]) {
    hours.take(factOf(at))
    hours.take(factOf({ ...at, within: false }))
    hours.take(factOf({ ...at, outcome: 'failure', details: { joined: 5 } }))
  }
  assert.deepEqual([utc.told().length, utc.told()[1], amsterdam.told()[2]], [168, 6, 6])
  assert.equal(
    utc.told().reduce((sum, count) => sum + count, 0),
    6,
  )
})
