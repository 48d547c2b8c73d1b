import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectActors } from '../../src/report/actors.ts'
import { collectFailures } from '../../src/report/failures.ts'
import { roomFor } from '../../src/report/rows.ts'
import { day, type Fields, factOf, monday } from './facts.ts'

const failed = { outcome: 'failure', statusCode: 400, error: 'INVALID_INPUT' } as const

test('failures by cause: joined ones one by one, most first, five examples, different actors and keys', () => {
  const failures = collectFailures(roomFor(100))
  const by = (id: string): Fields => ({ actor: { type: 'user', id } })
  for (let at = 0; at < 7; at++) failures.take(factOf({ ...failed, ...by(`u${at % 2}`), resourceIdentity: `k${at}` }))
  failures.take(factOf({ ...failed, details: { joined: 93 } }))
  failures.take(factOf({ ...failed, action: 'secret.get_value', resourceType: 'secret' }))
  failures.take(factOf({ ...failed, within: false }))
  failures.take(factOf({}))
  const { rows, others } = failures.told()
  assert.deepEqual(
    rows.map(({ action, count, actors, keys, examples }) => [action, count, actors, keys, examples.length]),
    [
      ['kms.encrypt', 100, 3, 8, 5],
      ['secret.get_value', 1, 1, 0, 1],
    ],
  )
  assert.equal(others, 0)
})

test('actors: what they did, from how many networks, from when to when; what has no room is counted', () => {
  const room = roomFor(4)
  const actors = collectActors(room)
  const from = (clientIp: string, after: number, more: Fields = {}) => {
    actors.take(factOf({ context: { clientIp, userAgent: 'a/1' }, after, ...more }))
  }
  from('10.0.0.1', day)
  from('10.0.0.200', 0)
  from('10.0.9.1', 3 * day, { ...failed, details: { joined: 10 } })
  from('2001:db8::1', 2 * day)
  from('sha256:abc', day, { action: 'kms.decrypt' })
  from('10.0.0.1', 9 * day, { within: false })
  const moment = (after: number) => new Date(monday + after).toISOString()
  assert.deepEqual(actors.told().rows, [
    {
      actor: 'serviceAccount:sa-orders',
      uses: { 'kms.encrypt': 3, 'kms.decrypt': 1 },
      ...{ failures: 10, keys: 1, networks: 2, userAgents: 1, firstAt: moment(0), lastAt: moment(3 * day) },
    },
  ])
  assert.equal(room.leftOut, 2)
})
