import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectLog } from '../../src/report/log.ts'
import { type Fields, hostile, hour, logFact } from './facts.ts'

function told(said: readonly (readonly [action: string, fields?: Fields])[]) {
  const log = collectLog()
  for (const [action, fields] of said) log.take(logFact(action, fields))
  return log.told()
}

test('losses by sink, and each kind of repair', () => {
  const log = told([
    ['audit.opened', { details: {} }],
    ['audit.dropped', { details: { sink: 'http', dropped: 7 } }],
    ['audit.dropped', { details: { sink: 'http', dropped: 5 } }],
    ['audit.sink_down', { details: { sink: 'trail' } }],
    ['audit.sink_down', { details: { sink: 'http' } }],
    ['audit.recovered', { details: { quarantinedBytes: 120 } }],
    ['audit.recovered', { details: { quarantinedBytes: 30 } }],
    ['audit.pruned'],
    ['audit.restored'],
    ['audit.clock_stepped', { details: { steppedMs: 5000 } }],
    ['audit.opened', { within: false }],
    ['audit.dropped', { within: false, details: { sink: 'old', dropped: 1 } }],
  ])
  assert.deepEqual(log, {
    sinks: [
      { sink: 'http', dropped: 12, downs: 1 },
      { sink: 'trail', dropped: 0, downs: 1 },
    ],
    ...{ refusedCalls: 0, opened: 1, recovered: 2, quarantinedBytes: 150, pruned: 1, restored: 1, clockSteps: 1 },
    fieldPolicies: [],
  })
})

test('a loss that does not tell how many is one', () => {
  const log = told([['audit.dropped', hostile({ details: { dropped: 'many' } })]])
  assert.deepEqual(log.sinks, [{ sink: 'unknown', dropped: 1, downs: 0 }])
})

test('refused calls: those of a sink that is up again, and at the end only what was not told', () => {
  const one = { instance: 'main-one' }
  const refused = (refusedCalls: number) => ({ details: { refusedCalls } })
  const log = told([
    ['audit.sink_up', { ...one, ...refused(4), within: false }],
    ['audit.sink_up', { ...one, ...refused(3) }],
    ['audit.closed', { ...one, ...refused(9) }],
    ['audit.closed', { instance: 'main-two', ...refused(5) }],
  ])
  assert.equal(log.refusedCalls, 3 + 2 + 5)
})

test('field policies: the one in force at the start, and each change', () => {
  const policy = (fields: string, after: number, more: Fields = {}) =>
    ['audit.opened', { details: { fields }, after, ...more }] as const
  const before = { within: false }
  const log = told([
    policy('full', 0, before),
    policy('hashed', hour, before),
    policy('hashed', 2 * hour),
    policy('hashed', 2 * hour, { trail: 'other' }),
    policy('none', 3 * hour),
    policy('hashed', 4 * hour),
  ])
  const hours = log.fieldPolicies.map(({ at, fields }) => `${at.slice(11, 13)} ${fields}`)
  assert.deepEqual(hours, ['01 hashed', '03 none', '04 hashed'])
  assert.equal(told([policy('full', 0, before)]).fieldPolicies.length, 1)
})
