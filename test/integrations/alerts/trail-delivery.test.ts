/** @node What was found, and what was not to be heard, stands in the trail. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAudit } from '../../../src/audit/emitter.ts'
import { KmsClient } from '../../../src/client.ts'
import { createDetector } from '../../../src/detect/detector.ts'
import { everyRule, shippedRules } from '../../../src/detect/shipped.ts'
import { detectorSink } from '../../../src/detect/sink.ts'
import { createAlerts } from '../../../src/integrations/alerts/alerts.ts'
import { trailDelivery } from '../../../src/integrations/alerts/trail-delivery.ts'
import type { Clock } from '../../../src/model/clock.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import type { AuditSink } from '../../../src/model/sink.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { describeEntry } from '../../../src/sinks/render.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { about, findingOf, notebook, start } from './findings.ts'

const suppression = {
  id: 'migration',
  rule: 'export',
  subject: { key: 'key-*' },
  until: '2026-02-01T00:00:00.000Z',
  reason: 'T-42',
  by: 'user:alice',
}

function rig() {
  const clock = fakeClock(start)
  const sink = memorySink()
  const audit = createAudit({ required: [sink], clock, heartbeatMs: 0 })
  const alarms = notebook()
  const of = (action: string) => sink.entries.filter((entry) => entry.action === action)
  return { clock, sink, audit, alarms, of }
}

test('a finding is an entry: rule, level, what it is about, and the entries that show it', async () => {
  const { audit, of, clock } = rig()
  const alerts = createAlerts({ deliveries: [trailDelivery(audit)], clock })
  alerts.take([findingOf(1, { count: 30, subject: { key: 'orders', actor: 'user:mallory' } })])
  await alerts.close()
  const [entry] = of('finding.raised')
  assert.ok(entry)
  const { resourceType, resourceIdentity, outcome, actor, reason, details } = entry
  assert.deepEqual(
    [resourceType, resourceIdentity, outcome, reason],
    ['finding', findingOf(1).id, 'success', undefined],
  )
  assert.deepEqual(actor, { type: 'system', id: 'keytrail' })
  assert.deepEqual(details, {
    count: 30,
    rule: 'export',
    level: 'high',
    evidence: findingOf(1).evidence,
    subject: 'key orders, actor user:mallory',
  })
  assert.equal(
    describeEntry(entry),
    'rule export (high) found something: key orders, actor user:mallory, in 30 entries',
  )
})

test('however much there is to tell of it, the entry stays small', async () => {
  const { audit, of, clock } = rig()
  const alerts = createAlerts({ deliveries: [trailDelivery(audit)], clock })
  const long = '\u202e'.repeat(5000)
  const evidence = Array.from({ length: 500 }, () => long)
  alerts.take([findingOf(1, { rule: long, evidence, subject: { key: long, actor: long } })])
  await alerts.close()
  const [entry] = of('finding.raised')
  assert.equal(entry?.details?.evidence?.length, 20)
  assert.ok(JSON.stringify(entry).length < 8192)
})

describe('suppressions', () => {
  test('adding, holding back, removing and expiring: each is an entry that says who and why', async () => {
    const { audit, alarms, of, clock, sink } = rig()
    const alerts = createAlerts({ deliveries: [alarms, trailDelivery(audit)], audit, clock })
    await alerts.suppress(suppression)
    await alerts.suppress({ ...suppression, id: 'short', rule: 'other', until: '2026-01-01T13:00:00Z' })
    alerts.take([findingOf(1), findingOf(2, about({ key: 'payments' }))])
    await alerts.flush()
    await alerts.unsuppress('migration', { by: 'user:bob', reason: 'done' })
    alerts.take([findingOf(3)])
    await clock.advanceAsync(3_600_000)
    await alerts.close()

    const [added, short] = of('finding.suppression_added')
    assert.equal(added?.resourceIdentity, 'migration')
    assert.deepEqual(added?.actor, { type: 'user', id: 'alice', source: 'call' })
    assert.deepEqual(added?.reason, { code: 'T-42' })
    assert.deepEqual(added?.details, { rule: 'export', subject: 'key key-*', until: suppression.until })
    assert.equal(short?.details?.until, '2026-01-01T13:00:00.000Z')

    const [heldBack] = of('finding.suppressed')
    assert.equal(heldBack?.resourceIdentity, findingOf(1).id)
    assert.deepEqual(heldBack?.reason, { code: 'T-42', ticket: 'migration' })
    assert.equal(heldBack?.details?.until, suppression.until)

    const [removed, expired] = of('finding.suppression_removed')
    assert.deepEqual([removed?.actor?.id, removed?.reason], ['bob', { code: 'done' }])
    assert.deepEqual(
      [expired?.resourceIdentity, expired?.actor, expired?.reason],
      ['short', { type: 'system', id: 'keytrail' }, { code: 'expired' }],
    )
    assert.equal(expired?.createdAt, '2026-01-01T13:00:00.000Z')
    assert.deepEqual(
      alarms.alerts.map(({ finding }) => finding.id),
      [findingOf(2).id, findingOf(3).id],
    )
    assert.deepEqual(alerts.suppressions, [])
    assert.ok(sink.entries.every(({ details }) => details?.flags === undefined))
  })

  test('those in force from the start are entries too; what has expired is not', async () => {
    const { audit, alarms, of, clock } = rig()
    const old = { ...suppression, id: 'old', until: '2025-12-01T00:00:00Z' }
    const alerts = createAlerts({ deliveries: [alarms], suppressions: [old, suppression], audit, clock })
    await alerts.close()
    assert.deepEqual(
      of('finding.suppression_added').map(({ resourceIdentity }) => resourceIdentity),
      ['migration'],
    )
  })

  test('no entry, no suppression; no entry, and it stays', async () => {
    let up = true
    const memory = memorySink()
    const sink: AuditSink = {
      ...{ name: 'moody', durability: 'memory' },
      write(entries) {
        if (!up) throw new Error('down')
        return memory.write(entries)
      },
    }
    const clock = fakeClock(start)
    const audit = createAudit({ required: [sink], clock, heartbeatMs: 0 })
    const alerts = createAlerts({ deliveries: [notebook()], audit, clock })
    await alerts.suppress(suppression)
    up = false
    await assert.rejects(alerts.suppress({ ...suppression, id: 'other' }), { code: 'AUDIT_REFUSED' })
    await assert.rejects(alerts.unsuppress('migration'), { code: 'AUDIT_REFUSED' })
    assert.deepEqual(
      alerts.suppressions.map(({ id }) => id),
      ['migration'],
    )
    await alerts.close()
  })

  test('who may be named, and for how long, is checked', async () => {
    const { audit, clock } = rig()
    const alerts = createAlerts({ deliveries: [notebook()], audit, clock })
    await alerts.suppress(suppression)
    const wrong: readonly (readonly [() => Promise<void>, RegExp])[] = [
      [() => alerts.suppress(suppression), /there is a suppression 'migration'/],
      [() => alerts.suppress({ ...suppression, id: 'a', until: '2026-06-01T00:00:00Z' }), /at most 90 days/],
      [() => alerts.suppress({ ...suppression, id: 'a', until: '2025-06-01T00:00:00Z' }), /has passed/],
      [() => alerts.suppress({ ...suppression, id: 'a', reason: '' }), /'suppression.reason' must be a text/],
      [() => alerts.unsuppress('nobody'), /no such suppression/],
      [() => alerts.unsuppress('migration', { by: 'bob' }), /'by' must be type and id/],
      [() => alerts.unsuppress('migration', { reason: '' }), /'reason' must be/],
    ]
    for (const [call, message] of wrong) await assert.rejects(call, { code: 'INVALID_INPUT', message })
    await alerts.close()
  })

  test('a suppression of a month ends on time, and no timer is longer than a day', async () => {
    const { audit, clock, of } = rig()
    const waits: number[] = []
    const after: Clock['after'] = (ms, run) => {
      waits.push(ms)
      return clock.after(ms, run)
    }
    const deliveries = [notebook()]
    const alerts = createAlerts({ deliveries, suppressions: [suppression], audit, clock: { ...clock, after } })
    await clock.advanceTo('2026-01-31T23:59:59Z')
    assert.equal(of('finding.suppression_removed').length, 0)
    await clock.advanceTo(suppression.until)
    assert.equal(of('finding.suppression_removed').length, 1)
    assert.ok(Math.max(...waits) <= 86_400_000)
    await alerts.close()
  })
})

test('a live watch that writes its findings into the trail it watches finds nothing in them', async () => {
  const required = memorySink()
  // All that they find is told.
  const rules = everyRule.filter(({ id }) => id === 'export' || id === 'repeated-400')
  const watch = detectorSink(createDetector(rules), { onFindings: (found) => alerts.take(found) })
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [required], bestEffort: [watch] } })
  const alerts = createAlerts({ deliveries: [trailDelivery(kms)], audit: kms })
  await kms.createKey({ slug: 'orders', exportAllowed: true })
  await kms.export({ key: 'orders' })
  const settled = async () => {
    await watch.flush?.()
    await alerts.flush()
  }
  for (let turn = 0; turn < 10; turn++) await settled()
  const raised = required.entries.filter(({ action }) => action === 'finding.raised')
  assert.equal(raised.length, watch.health().findings)
  assert.ok(raised.length >= 1)
  const evidence = raised.flatMap(({ details }) => details?.evidence ?? [])
  const exported = required.entries.find(({ action, phase }) => action === 'kms.export' && phase === 'result')
  assert.ok(exported !== undefined && evidence.includes(exported.eventID))
  // No rule looks at entries of findings, whatever it looks at.
  const again = createDetector(shippedRules())
  const found = required.entries.flatMap((entry: AuditEntry) =>
    entry.action.startsWith('finding.') ? again.take(entry) : [],
  )
  assert.deepEqual(found, [])
  await alerts.close()
  await kms.close()
  assert.deepEqual([alerts.pending, alerts.health().deliveries[0]?.lost], [0, 0])
})

test('once the audit is closed, findings are lost and said to be', async () => {
  const { audit, clock } = rig()
  const alerts = createAlerts({ deliveries: [trailDelivery(audit)], audit, clock })
  await audit.close()
  alerts.take([findingOf(1)])
  await alerts.flush()
  assert.deepEqual(
    [alerts.health().deliveries[0]?.lost, alerts.health().deliveries[0]?.problem],
    [1, 'the audit is closed'],
  )
  await assert.rejects(alerts.suppress(suppression), { code: 'CLOSED' })
  await alerts.close()
})

test('options that make no sense are refused', () => {
  const { audit } = rig()
  assert.throws(() => trailDelivery({} as never), { code: 'INVALID_INPUT' })
  assert.throws(() => trailDelivery(null as never), { code: 'INVALID_INPUT' })
  assert.throws(() => trailDelivery(audit, { deadlineMs: 0 }), { code: 'INVALID_INPUT' })
})
