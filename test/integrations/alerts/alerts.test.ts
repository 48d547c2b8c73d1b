/** Who hears of a finding, and how often; a delivery in trouble troubles nobody else. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AlertsOptions, createAlerts } from '../../../src/integrations/alerts/alerts.ts'
import { callbackDelivery } from '../../../src/integrations/alerts/callback.ts'
import type { Delivery } from '../../../src/integrations/alerts/delivery.ts'
import type { AlertProblem } from '../../../src/integrations/alerts/outbox.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { about, deferred, findingOf, notebook, start } from './findings.ts'

const suppression = { id: 's', rule: 'export', until: '2026-02-01T00:00:00Z', reason: 'T-42', by: 'user:alice' }

function rig(options: Partial<AlertsOptions> = {}) {
  const clock = fakeClock(start)
  const [alarms, record] = [notebook('alarms', 'alarms'), notebook('all', 'record')]
  const problems: AlertProblem[] = []
  const onProblem = (problem: AlertProblem) => void problems.push(problem)
  const alerts = createAlerts({ deliveries: [alarms, record], clock, onProblem, ...options })
  const ids = (book: typeof alarms) => book.alerts.map(({ finding }) => Number.parseInt(finding.id, 16))
  return { clock, alarms, record, alerts, problems, ids }
}

test('take returns at once, and every delivery gets each finding in order', async () => {
  const { alerts, alarms, record, ids } = rig()
  const { take } = alerts
  take([findingOf(1), findingOf(2)])
  take([findingOf(3)])
  assert.deepEqual([alarms.alerts.length, alerts.pending], [0, 6])
  await alerts.flush()
  assert.deepEqual([ids(alarms), ids(record), alerts.pending], [[1, 2, 3], [1, 2, 3], 0])
  assert.deepEqual(alarms.alerts[0], { finding: findingOf(1) })
  await alerts.close()
})

test('the same finding again is told to nobody', async () => {
  const { alerts, alarms, record, ids } = rig()
  alerts.take([findingOf(1), findingOf(1)])
  alerts.take([findingOf(1)])
  await alerts.close()
  assert.deepEqual([ids(alarms), ids(record), alerts.health().duplicates], [[1], [1], 2])
})

test('the same finding, worse, is another one: what began and what came of it may be of one millisecond', async () => {
  const { alerts, alarms } = rig()
  const levels = ['low', 'medium', 'low', 'high', 'medium'] as const
  alerts.take(levels.map((level) => findingOf(1, { level })))
  await alerts.close()
  assert.deepEqual(
    alarms.alerts.map(({ finding }) => finding.level),
    ['medium', 'high'],
  )
  const { below, duplicates } = alerts.health()
  assert.deepEqual([below, duplicates], [1, 2])
})

test('below the least level it is only counted', async () => {
  const { alerts, alarms, record, ids } = rig()
  alerts.take([findingOf(1, { level: 'low' }), findingOf(2, { level: 'medium' })])
  await alerts.close()
  assert.deepEqual([ids(alarms), ids(record), alerts.health().below], [[2], [2], 1])
})

describe('of one rule about the same', () => {
  const key = about({ key: 'orders' })
  const minute = 60

  test('once in an hour of the findings’ time, and the next one says how many were not told', async () => {
    const { alerts, alarms, record, ids } = rig()
    alerts.take([findingOf(0, key), findingOf(minute, key), findingOf(59 * minute, key), findingOf(60 * minute, key)])
    await alerts.close()
    assert.deepEqual(ids(alarms), [0, 3600])
    assert.deepEqual(ids(record), [0, 60, 3540, 3600])
    assert.deepEqual(
      alarms.alerts.map(({ repeats }) => repeats),
      [undefined, 2],
    )
    assert.equal(alerts.health().repeats, 2)
  })

  test('a worse one is told, and then one that is as bad as that is not', async () => {
    const { alerts, alarms, ids } = rig()
    const levels = ['medium', 'critical', 'critical', 'high'] as const
    alerts.take(levels.map((level, at) => findingOf(at, { ...key, level })))
    await alerts.close()
    assert.deepEqual(ids(alarms), [0, 1])
  })

  test('another rule, and another subject, are another matter', async () => {
    const { alerts, alarms, ids } = rig()
    const subjects = [{ key: 'orders' }, { key: 'payments' }, { key: 'orders', actor: 'user:a' }, { actor: 'orders' }]
    alerts.take([
      ...subjects.map((subject, at) => findingOf(at, about(subject))),
      findingOf(9, { ...key, rule: 'other' }),
    ])
    await alerts.close()
    assert.deepEqual(ids(alarms), [0, 1, 2, 3, 9])
  })

  test('quiet 0 tells each', async () => {
    const { alerts, alarms } = rig({ quiet: 0 })
    alerts.take([findingOf(0, key), findingOf(1, key)])
    await alerts.close()
    assert.equal(alarms.alerts.length, 2)
  })
})

test('a suppressed finding is for the record only, marked; when the suppression ends, alarms hear again', async () => {
  const { alerts, alarms, record, ids, clock } = rig({
    suppressions: [{ ...suppression, subject: { key: 'key-1' }, until: '2026-01-01T13:00:00Z' }],
  })
  alerts.take([findingOf(1), findingOf(2)])
  await clock.advanceAsync(3_600_000)
  alerts.take([findingOf(3, about({ key: 'key-1' }))])
  await alerts.close()
  assert.deepEqual(
    [ids(alarms), ids(record)],
    [
      [2, 3],
      [1, 2, 3],
    ],
  )
  assert.equal(record.alerts[0]?.suppressed?.id, 's')
  assert.equal(alerts.health().suppressed, 1)
})

test('a suppression that is in no trail is not begun', async () => {
  const { alerts } = rig()
  await assert.rejects(alerts.suppress(suppression), { code: 'INVALID_INPUT', message: /give createAlerts an 'audit'/ })
  assert.deepEqual(alerts.suppressions, [])
  await alerts.close()
})

test('one that hangs, and one that fails, do not hold up the others', async () => {
  const { promise, resolve } = deferred()
  const hanging: Delivery = { name: 'hanging', hears: 'alarms', deliver: () => promise }
  const failing: Delivery = { name: 'failing', hears: 'alarms', deliver: () => Promise.reject(new RangeError('no')) }
  const throwing = callbackDelivery(() => assert.fail('no'), { name: 'throwing' })
  const good = notebook()
  const { alerts, problems, clock } = rig({ deliveries: [hanging, failing, throwing, good] })
  alerts.take([findingOf(1), findingOf(2)])
  await clock.settle()
  assert.equal(good.alerts.length, 2)
  const health = (name: string) => alerts.health().deliveries.find((one) => one.name === name)
  assert.deepEqual([health('hanging')?.queued, health('hanging')?.lost], [2, 0])
  const { queued, lost, delivered, lastFailureAt, lastSuccessAt, problem } = health('failing') ?? {}
  assert.deepEqual([queued, lost, delivered, lastFailureAt], [0, 2, 0, '2026-01-01T12:00:00.000Z'])
  assert.deepEqual([lastSuccessAt, problem], [undefined, 'RangeError'])
  assert.equal(health('throwing')?.lost, 2)
  assert.deepEqual([health('notebook')?.delivered, health('notebook')?.lastSuccessAt], [2, '2026-01-01T12:00:00.000Z'])
  assert.equal(problems.length, 4)
  assert.deepEqual(problems[0], { delivery: 'failing', finding: findingOf(1).id, rule: 'export', why: 'RangeError' })

  const closing = alerts.close({ deadlineMs: 1000 })
  await clock.advanceAsync(1000)
  await closing
  assert.deepEqual([health('hanging')?.queued, health('hanging')?.lost], [0, 2])
  // It answers at last: that is too late, and counted once.
  resolve()
  await clock.settle()
  assert.equal(health('hanging')?.lost, 2)
})

for (const [how, answer] of [
  ['fails', (promise: Promise<void>) => promise.then(() => Promise.reject(new Error('late')))],
  ['succeeds', (promise: Promise<void>) => promise],
] as const)
  test(`one that ${how} after it was given up on is counted once`, async () => {
    const { promise, resolve } = deferred()
    const slow: Delivery = { name: 'slow', hears: 'alarms', deliver: () => answer(promise) }
    const { alerts, problems, clock } = rig({ deliveries: [slow] })
    alerts.take([findingOf(1)])
    const closing = alerts.close({ deadlineMs: 10 })
    await clock.advanceAsync(10)
    await closing
    resolve()
    await clock.settle()
    const { delivered, lost } = alerts.health().deliveries[0] ?? {}
    assert.deepEqual([delivered, lost, problems.length], [0, 1, 1])
  })

test('a queue that is full gives up the least bad finding, and never the one on its way', async () => {
  const { promise, resolve } = deferred()
  const got: string[] = []
  const slow: Delivery = {
    name: 'slow',
    hears: 'alarms',
    async deliver({ finding }) {
      await promise
      got.push(`${finding.level} ${Number.parseInt(finding.id, 16)}`)
    },
  }
  const { alerts, problems, clock } = rig({ deliveries: [slow], queue: 3 })
  const level = (number: number, of: 'medium' | 'high' | 'critical') => findingOf(number, { level: of })
  alerts.take([level(0, 'medium')])
  await clock.settle()
  alerts.take([level(1, 'high'), level(2, 'medium'), level(3, 'medium'), level(4, 'critical'), level(5, 'high')])
  assert.deepEqual(
    problems.map(({ finding }) => Number.parseInt(finding, 16)),
    [3, 2, 5],
  )
  resolve()
  await alerts.flush()
  assert.deepEqual(got, ['medium 0', 'high 1', 'critical 4'])
  assert.equal(alerts.health().deliveries[0]?.lost, 3)
  await alerts.close()
})

test('after close, findings are lost and said to be, and suppressions are refused', async () => {
  const { alerts, problems } = rig()
  await alerts.close()
  await alerts.close()
  alerts.take([findingOf(1)])
  assert.deepEqual(
    problems.map(({ delivery, why }) => `${delivery}: ${why}`),
    ['alarms: the alerts are closed', 'record: the alerts are closed'],
  )
  await assert.rejects(alerts.suppress(suppression), { code: 'CLOSED' })
  await assert.rejects(alerts.unsuppress('s'), { code: 'CLOSED' })
})

test('onProblem that throws costs nothing', async () => {
  const failing: Delivery = { name: 'failing', hears: 'alarms', deliver: () => Promise.reject(new Error('no')) }
  const { alerts } = rig({ deliveries: [failing], onProblem: () => assert.fail('no') })
  alerts.take([findingOf(1), findingOf(2)])
  await alerts.close()
  assert.equal(alerts.health().deliveries[0]?.lost, 2)
})

test('what is remembered is bounded', async () => {
  const { alerts } = rig({ least: 'critical' })
  for (let number = 0; number < 10_001; number++) alerts.take([findingOf(number)])
  alerts.take([findingOf(10_000)])
  assert.equal(alerts.health().duplicates, 1)
  alerts.take([findingOf(0)])
  assert.equal(alerts.health().duplicates, 1)
  await alerts.close()
})

test('timers: none is left', async () => {
  const { alerts, clock } = rig({ suppressions: [suppression] })
  assert.equal(clock.pending, 1)
  await alerts[Symbol.asyncDispose]()
  assert.equal(clock.pending, 0)
})

describe('refuses', () => {
  const deliveries = [notebook()]
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['nothing', undefined, /takes one object/],
    ['no delivery', { deliveries: [] }, /'deliveries' must be a list with at least one/],
    ['what is none', { deliveries: [{ name: 'x', hears: 'all' }] }, /must have a name and a deliver function/],
    ['null for one', { deliveries: [null] }, /must have a name and a deliver function/],
    ['one that hears nothing', { deliveries: [{ name: 'x', deliver() {} }] }, /'x' must hear 'alarms' or 'all'/],
    ['two of one name', { deliveries: [notebook(), notebook()] }, /two deliveries 'notebook'/],
    ['a level that there is not', { deliveries, least: 'loud' }, /'least' must be one of informational, low/],
    ['a quiet that is none', { deliveries, quiet: '1 h' }, /'quiet' must be/],
    ['no room', { deliveries, queue: 0 }, /'queue' must be/],
    ['an audit that is none', { deliveries, audit: {} }, /of an audit, as createAudit makes one, or of a KmsClient/],
    ['a suppression that is none', { deliveries, suppressions: [{}] }, /suppressions\[0\]/],
    ['onProblem that is no function', { deliveries, onProblem: 'x' }, /'onProblem' must be a function/],
  ]
  for (const [what, options, message] of wrong)
    test(what, () => {
      // Wrong on purpose, as JavaScript callers can be.
      assert.throws(() => createAlerts(options as AlertsOptions), { code: 'INVALID_INPUT', message })
    })

  test('a callback that is none', () => {
    assert.throws(() => callbackDelivery('x' as never), { code: 'INVALID_INPUT' })
  })
})
