import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectSilences } from '../../src/report/silences.ts'
import { type Fields, factOf, hour, logFact, minute, monday } from './facts.ts'

type Said = readonly [action: string, after: number, fields?: Fields]

/** Hours from monday. */
function silencesOf(
  said: readonly Said[],
  { from = 0, until }: { readonly from?: number; readonly until?: number } = {},
) {
  const silences = collectSilences(monday + from)
  for (const [action, after, fields] of said) {
    const isLog = action.startsWith('audit.')
    silences.take(isLog ? logFact(action, { after, ...fields }) : factOf({ action, after, ...fields }))
  }
  const { rows } = silences.told(until === undefined ? undefined : monday + until)
  const hours = (text: string) => (Date.parse(text) - monday) / hour
  return rows.map(({ instance, from: first, to }) => `${instance} ${hours(first)}–${hours(to)}`)
}

test('two hours of silence are allowed, not more', () => {
  assert.deepEqual(
    silencesOf([
      ['kms.encrypt', 0],
      ['kms.encrypt', 2 * hour],
    ]),
    [],
  )
  assert.deepEqual(
    silencesOf([
      ['kms.encrypt', 0],
      ['kms.encrypt', 2 * hour + 1],
    ]).length,
    1,
  )
})

test('a log that was closed may be silent, and one that is opened was silent since the last entry', () => {
  assert.deepEqual(
    silencesOf([
      ['audit.closed', 0],
      ['audit.opened', 9 * hour],
    ]),
    [],
  )
  assert.deepEqual(
    silencesOf([
      ['kms.encrypt', 0],
      ['audit.opened', 9 * hour],
    ]),
    ['main 0–9'],
  )
})

test('the end counts too, where the trail does not go on elsewhere', () => {
  const said: readonly Said[] = [['kms.encrypt', 0]]
  assert.deepEqual(silencesOf(said, { until: 5 * hour }), ['main 0–5'])
  assert.deepEqual(silencesOf(said), [])
  assert.deepEqual(silencesOf([['audit.closed', 0]], { until: 5 * hour }), [])
})

test('how long the heartbeat is, heartbeats tell, also of what was before', () => {
  const quiet: readonly Said[] = [
    ['kms.encrypt', 0],
    ['kms.encrypt', 3 * hour],
  ]
  assert.equal(silencesOf(quiet).length, 1)
  const slow = { details: { idleMs: 6 * hour } }
  assert.deepEqual(silencesOf([...quiet, ['audit.heartbeat', 9 * hour, slow]]), [])
  assert.deepEqual(silencesOf([...quiet, ['audit.heartbeat', 9 * hour, slow], ['kms.encrypt', 22 * hour]]), [
    'main 9–22',
  ])
  const quick = { details: { idleMs: 10 * minute } }
  assert.deepEqual(
    silencesOf([
      ['kms.encrypt', 0],
      ['audit.heartbeat', 10 * minute, quick],
      ['kms.encrypt', hour],
    ]).length,
    1,
  )
})

test('each trail by itself; what ends before the time reviewed is left out', () => {
  const said: readonly Said[] = [
    ['kms.encrypt', 0],
    ['kms.encrypt', hour, { trail: 'other' }],
    ['kms.encrypt', 3 * hour],
    ['kms.encrypt', 4 * hour, { trail: 'other' }],
  ]
  assert.deepEqual(silencesOf(said), ['main 0–3', 'other 1–4'])
  assert.deepEqual(silencesOf(said, { from: 3 * hour }), ['other 1–4'])
})
