import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { type RotationSchedulerOptions, startRotationScheduler } from '../../../src/integrations/rotation/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { day, gated, hour, minute, type Stage, settled, stage } from './stage.ts'

const codesOf = ({ runs }: Stage) => runs.map(({ error }) => error?.code ?? 'fine')
const rotation = (key: string, version: number) => [
  `kms.rotate.scheduled pending ${key}`,
  `kms.rotate.scheduled success ${key} v${version}`,
]

describe('due keys', () => {
  test('are rotated at start and each hour, once each, and their entries say who, why, when due and how late', async (t) => {
    const at = await stage(t, { monthly: 30, yearly: 365 })
    const { pass, changes, clock, sink, kms } = at
    const { nextRotationAt } = (await kms.describeKey({ key: 'monthly' })).key
    at.start()
    await pass(0)
    assert.deepEqual([at.runs.length, changes()], [1, []])
    clock.advance(30 * day - hour / 2 - clock.monotonic())
    await settled()
    assert.deepEqual(changes(), [])
    await pass(hour)
    assert.deepEqual(changes(), rotation('monthly', 2))
    const written = sink.accepted.filter(({ action }) => action === 'kms.rotate.scheduled')
    for (const entry of written) {
      assert.deepEqual(entry.actor, { type: 'system', id: 'keytrail-rotation', source: 'context' })
      assert.deepEqual(entry.reason, { code: 'schedule' })
      assert.deepEqual(entry.details?.dueAt, nextRotationAt)
      assert.deepEqual([entry.region, entry.project], ['nl-01', 'billing'])
    }
    const late = written.at(-1)?.details?.latenessMs
    assert.ok(late !== undefined && late > 0 && late <= hour, `${late}`)
    const [done] = at.runs.at(-1)?.rotated ?? []
    assert.deepEqual([done?.key.slug, done?.keyVersion, done?.dueAt], ['monthly', 2, nextRotationAt])
    assert.deepEqual([done?.latenessMs, done?.eventID], [late, written.at(-1)?.eventID])
    await pass(3 * hour, hour)
    assert.deepEqual(changes(), [])
  })

  test('that were missed while nobody ran are caught up once, and the next period counts from then', async (t) => {
    const { clock, start, pass, changes, kms } = await stage(t, { monthly: 30, daily: 1 })
    clock.advance(100 * day)
    start()
    await pass(0)
    assert.deepEqual(changes(), [...rotation('monthly', 2), ...rotation('daily', 2)])
    const { nextRotationAt } = (await kms.describeKey({ key: 'monthly' })).key
    assert.equal(nextRotationAt, new Date(clock.now() + 30 * day).toISOString())
    await pass(23 * hour, hour)
    assert.deepEqual(changes(), [])
    await pass(hour)
    assert.deepEqual(changes(), rotation('daily', 3))
  })

  test('are only those that are active, rotate by a period, and are due', async (t) => {
    const { clock, start, pass, changes, kms } = await stage(t, { on: 30, disabled: 30, off: 30, doomed: 30 })
    await kms.createKey({ slug: 'never' })
    await kms.disableKey({ key: 'disabled' })
    await kms.updateRotation({ key: 'off', keyRotationEnabled: false })
    await kms.scheduleKeyDeletion({ key: 'doomed' })
    changes()
    clock.advance(30 * day)
    start({ destroyDueKeys: false })
    await pass(0)
    assert.deepEqual(changes(), rotation('on', 2))
  })

  test('of whose deletion the day has come are destroyed in the same run, unless that is left out', async (t) => {
    const { clock, start, pass, changes, kms, runs, sink } = await stage(t, { soon: 30, stays: 365 })
    await kms.scheduleKeyDeletion({ key: 'soon', pendingWindowInDays: 7 })
    changes()
    clock.advance(7 * day + minute)
    const keeps = start({ destroyDueKeys: false })
    await pass(0)
    assert.deepEqual(changes(), [])
    await keeps.stop()
    start()
    await pass(0)
    assert.deepEqual(changes(), ['kms_key.destroy pending soon', 'kms_key.destroy success soon'])
    assert.deepEqual(
      runs.at(-1)?.destroyed.map(({ key, latenessMs }) => [key.slug, latenessMs]),
      [['soon', minute]],
    )
    assert.equal(sink.accepted.at(-1)?.actor?.id, 'keytrail-rotation')
    const lists = sink.accepted.filter(({ action }) => action === 'kms_key.list')
    assert.equal(lists.length, runs.length, 'the keys are listed once a run')
  })

  test('are rotated by whom the options name, for the reason that they give', async (t) => {
    const { clock, start, pass, sink, kms } = await stage(t, { monthly: 30 })
    clock.advance(30 * day)
    assert.throws(() => startRotationScheduler(kms, { context: { actor: 'me' as never } }), { code: 'INVALID_INPUT' })
    start({ context: { actor: { type: 'serviceAccount', id: 'ops' }, origin: { service: 'cron' } } })
    await pass(0)
    const { actor, reason, origin } = sink.accepted.at(-1) ?? {}
    assert.deepEqual([actor?.id, reason, origin], ['ops', { code: 'schedule' }, { service: 'cron' }])
  })
})

describe('the clock', () => {
  test('set forward by a year, rotates each key once', async (t) => {
    const { clock, start, pass, changes } = await stage(t, { monthly: 30, weekly: 7 })
    start()
    await pass(0)
    clock.step(365 * day)
    await pass(2 * day, hour)
    assert.deepEqual(changes(), [...rotation('monthly', 2), ...rotation('weekly', 2)])
  })

  test('set back by a year rotates nothing again, and hourly turns go on', async (t) => {
    const { clock, start, pass, changes, runs } = await stage(t, { monthly: 30 })
    clock.advance(30 * day)
    start()
    await pass(0)
    assert.deepEqual(changes(), rotation('monthly', 2))
    clock.step(-365 * day)
    const before = runs.length
    await pass(48 * hour, hour)
    assert.equal(runs.length, before + 48)
    assert.deepEqual(changes(), [])
    assert.deepEqual(
      runs.at(-1)?.ahead.map(({ slug }) => slug),
      ['monthly'],
    )
    clock.step(365 * day)
    await pass(28 * day, hour)
    assert.deepEqual(changes(), rotation('monthly', 3))
  })

  test('set back in the midst of a run, delays the next turn by nothing', async (t) => {
    const { clock, start, pass, provider, runs } = await stage(t, { monthly: 30 })
    const gate = gated()
    provider.tell('listKeys', { after: gate.opened })
    start()
    await pass(0)
    clock.step(-365 * day)
    clock.advance(5_000)
    gate.open()
    await settled()
    assert.equal(runs.length, 1)
    await pass(hour - 5_001)
    assert.equal(runs.length, 1)
    await pass(1)
    assert.equal(runs.length, 2)
  })

  test('ahead for an hour and set right does not hold rotation up for a year', async (t) => {
    const { clock, start, pass, changes, runs } = await stage(t, { monthly: 30 })
    start()
    await pass(10 * day, hour)
    clock.step(365 * day)
    await pass(hour)
    assert.deepEqual(changes(), rotation('monthly', 2))
    clock.step(-365 * day)
    await pass(19 * day, hour)
    assert.deepEqual(changes(), [])
    assert.deepEqual(
      runs.at(-1)?.ahead.map(({ slug }) => slug),
      ['monthly'],
    )
    await pass(day, hour)
    assert.deepEqual(changes(), rotation('monthly', 3))
    await pass(30 * day, hour)
    assert.deepEqual(changes(), rotation('monthly', 4))
    assert.deepEqual(runs.at(-1)?.ahead, [])
  })

  test('swung by a year each hour, brings no storm', async (t) => {
    const { clock, start, pass, changes } = await stage(t, { monthly: 30 })
    start()
    await pass(0)
    for (let swing = 0; swing < 24; swing++) {
      clock.step((swing % 2 === 0 ? 1 : -1) * 365 * day)
      await pass(hour)
    }
    assert.deepEqual(changes(), rotation('monthly', 2))
  })

  test('after a sleep of days there is one run, not one for each turn that was missed', async (t) => {
    const { clock, start, pass, runs, changes } = await stage(t, { daily: 1 })
    start()
    await pass(0)
    clock.advance(40 * day)
    await settled()
    assert.equal(runs.length, 2)
    assert.deepEqual(changes(), rotation('daily', 2))
    await pass(hour - 1)
    assert.equal(runs.length, 2)
    await pass(1)
    assert.equal(runs.length, 3)
  })
})

describe('failures', () => {
  test('of one key do not stop the others, are entries, and wait for the next turn if they will not pass', async (t) => {
    const { clock, start, pass, changes, provider, runs } = await stage(t, { one: 30, two: 30 })
    clock.advance(30 * day)
    provider.tell('rotateScheduled', { throws: new KmsError('INTERNAL', 'broken') })
    const scheduler = start()
    await pass(0)
    const failed = ['kms.rotate.scheduled pending one', 'kms.rotate.scheduled failure one INTERNAL']
    assert.deepEqual(changes(), [...failed, ...rotation('two', 2)])
    assert.deepEqual(
      runs[0]?.failed.map(({ key, operation, error }) => [key.slug, operation, error.code]),
      [['one', 'rotateScheduled', 'INTERNAL']],
    )
    assert.ok(runs[0]?.failed[0]?.error.eventID)
    assert.equal(scheduler.last, runs[0])
    await pass(59 * minute, minute)
    assert.deepEqual(changes(), [])
    await pass(minute)
    assert.deepEqual(changes(), rotation('one', 2))
  })

  test('that may pass are tried again after one minute, two, four …; what will not pass is not tried with them', async (t) => {
    const { clock, start, pass, provider, runs, changes } = await stage(t, { sick: 30, broken: 30 })
    clock.advance(30 * day)
    const unavailable = { throws: new KmsError('PROVIDER_UNAVAILABLE', 'away') }
    const broken = { throws: new KmsError('INTERNAL', 'broken') }
    provider.tell('rotateScheduled', unavailable, broken, ...Array(6).fill(unavailable))
    start()
    const begun: number[] = []
    const begunAt = clock.monotonic()
    let seen = 0
    for (let at = 0; at <= 60; at++) {
      await pass(at === 0 ? 0 : minute)
      if (runs.length > seen) begun.push((clock.monotonic() - begunAt) / minute)
      seen = runs.length
    }
    assert.deepEqual(begun, [0, 1, 3, 7, 15, 31, 60])
    for (const { failed } of runs.slice(0, 6)) {
      const codes = failed.map(({ key, error }) => `${key.slug} ${error.code}`)
      assert.deepEqual(codes, ['sick PROVIDER_UNAVAILABLE', 'broken INTERNAL'])
    }
    assert.equal(runs[6]?.failed.length, 1, 'both were tried anew at the turn')
    const intents = changes().filter((line) => line.includes('pending'))
    assert.equal(intents.filter((line) => line.endsWith('broken')).length, 2)
    await pass(hour, minute)
    assert.equal(runs.at(-1)?.failed.length, 0)
  })

  test('to list the keys are tried again too', async (t) => {
    const at = await stage(t, { monthly: 30 })
    at.clock.advance(30 * day)
    at.provider.tell('listKeys', { throws: new KmsError('THROTTLED', 'slowly') })
    at.start()
    await at.pass(0)
    assert.deepEqual([codesOf(at), at.changes()], [['THROTTLED'], []])
    await at.pass(minute)
    assert.deepEqual([codesOf(at), at.changes()], [['THROTTLED', 'fine'], rotation('monthly', 2)])
  })

  test('of a provider that never answers end with the deadline, and the others are rotated', async (t) => {
    const { clock, start, pass, provider, runs, changes } = await stage(t, { monthly: 30, other: 30 })
    clock.advance(30 * day)
    provider.tell('rotateScheduled', 'never')
    start({ deadlineMs: 5_000 })
    await pass(0)
    assert.equal(runs.length, 0)
    await pass(5_000)
    assert.deepEqual(
      runs[0]?.failed.map(({ error }) => error.code),
      ['DEADLINE_EXCEEDED'],
    )
    assert.deepEqual(changes(), ['kms.rotate.scheduled pending monthly', ...rotation('other', 2)])
  })

  test('of the audit rotate nothing; a minute after it is back, everything is', async (t) => {
    const at = await stage(t, { one: 30, two: 30 })
    const { clock, sink, provider, pass, changes, runs } = at
    clock.advance(30 * day)
    sink.mode = 'reject'
    at.start()
    await pass(0)
    assert.equal(codesOf(at)[0], 'AUDIT_REFUSED')
    assert.ok(provider.calls.every(({ asked }) => asked !== 'rotateScheduled'))
    assert.deepEqual([runs[0]?.rotated, runs[0]?.failed], [[], []])
    sink.mode = 'sync'
    await pass(minute, 1_000)
    assert.deepEqual(changes(), [...rotation('one', 2), ...rotation('two', 2)])
  })

  test('of the audit between two keys end the run, and the provider is not touched for the second', async (t) => {
    const at = await stage(t, { one: 30, two: 30 })
    const { clock, sink, provider, pass, runs } = at
    clock.advance(30 * day)
    const gate = gated()
    provider.tell('rotateScheduled', { after: gate.opened })
    at.start()
    await pass(0)
    sink.mode = 'reject'
    gate.open()
    await settled()
    // The first is rotated, and its entry waits.
    assert.deepEqual(
      runs[0]?.failed.map(({ key, error }) => `${key.slug} ${error.code}`),
      ['one OUTCOME_UNAUDITED'],
    )
    assert.equal(runs[0]?.error?.code, 'AUDIT_REFUSED')
    assert.equal(provider.calls.filter(({ asked }) => asked === 'rotateScheduled').length, 1)
    sink.mode = 'sync'
    await pass(minute, 1_000)
    assert.deepEqual(runs[1]?.failed, [])
    assert.deepEqual(
      runs[1]?.rotated.map(({ key }) => key.slug),
      ['two'],
    )
  })
})

describe('the scheduler', () => {
  test('runs by hand at any time, joins a run in flight, and that moves no turn', async (t) => {
    const { clock, start, pass, changes, provider, runs } = await stage(t, { monthly: 30 })
    const scheduler = start()
    await pass(0)
    await pass(hour / 2)
    clock.step(30 * day)
    const gate = gated()
    provider.tell('rotateScheduled', { after: gate.opened })
    const [first, second] = [scheduler.run(), scheduler.run()]
    gate.open()
    assert.equal(await first, await second)
    assert.deepEqual(changes(), rotation('monthly', 2))
    assert.equal(runs.length, 2)
    await pass(hour / 2)
    assert.equal(runs.length, 3)
  })

  test('stops: begins no further key, and waits for what is in flight', async (t) => {
    const { clock, start, pass, changes, provider, runs } = await stage(t, { one: 30, two: 30 })
    clock.advance(30 * day)
    const gate = gated()
    provider.tell('rotateScheduled', { after: gate.opened })
    const scheduler = start()
    await pass(0)
    let isStopped = false
    const stopping = scheduler.stop().then(() => {
      isStopped = true
    })
    await settled()
    assert.equal(isStopped, false)
    gate.open()
    await stopping
    assert.deepEqual(changes(), rotation('one', 2))
    assert.equal(runs[0]?.error?.code, 'CLOSED')
    await pass(2 * hour, hour)
    assert.deepEqual([runs.length, scheduler.stopped], [1, true])
    await assert.rejects(scheduler.run(), { code: 'CLOSED' })
    await scheduler.stop()
  })

  test('stops before its first run, too, and when it is disposed of', async (t) => {
    const { clock, start, pass, runs } = await stage(t, { one: 30 })
    await start({ jitter: '10s' }).stop()
    const scheduler = start({ jitter: '10s' })
    assert.equal(scheduler.last, undefined)
    await scheduler[Symbol.asyncDispose]()
    await pass(hour)
    assert.deepEqual([runs.length, clock.pending], [0, 0])
  })

  test('stops by itself when its client is closed, also in the midst of a run', async (t) => {
    for (const midst of [false, true]) {
      const at = await stage(t, { one: 30, two: 30 })
      const { clock, pass, kms, provider } = at
      clock.advance(30 * day)
      const gate = gated()
      if (midst) provider.tell('rotateScheduled', { after: gate.opened })
      const scheduler = at.start()
      await pass(0)
      const closing = kms.close()
      gate.open()
      await closing
      await pass(hour)
      assert.deepEqual(codesOf(at), midst ? ['CLOSED'] : ['fine', 'CLOSED'])
      assert.equal(scheduler.stopped, true)
      assert.equal(clock.pending, 0)
    }
  })

  test('goes on whatever a listener throws, or rejects with', async (t) => {
    const { start, pass } = await stage(t, {})
    let told = 0
    const failing = () => {
      told += 1
      if (told === 1) throw new Error('listener')
      return Promise.reject(new Error('listener'))
    }
    start({ onRun: failing })
    await pass(0)
    await pass(3 * hour, hour)
    assert.equal(told, 4)
  })

  test('spreads first runs over the jitter, ten seconds unless told otherwise', async (t) => {
    const { clock, start, kms, runs } = await stage(t, {})
    for (let count = 0; count < 50; count++) {
      const scheduler = startRotationScheduler(kms, { onRun: (run) => runs.push(run) })
      t.after(() => scheduler.stop())
    }
    assert.equal(clock.pending, 50)
    clock.advance(5_000)
    await settled()
    assert.ok(runs.length > 5 && runs.length < 45, `${runs.length} of 50 in the first half`)
    clock.advance(5_000)
    await settled()
    assert.equal(runs.length, 50)
    start({ every: '1s' })
  })

  test('takes lengths of time in one strict spelling, and refuses everything else', async (t) => {
    const { kms, clock, start, pass, runs } = await stage(t, {})
    const wrong: readonly unknown[] = [
      ...[
        '1',
        '1 h',
        ' 1h',
        '1.5h',
        '-1h',
        '01h',
        '1H',
        'h',
        '',
        '1h30m',
        '1e3ms',
        '999ms',
        '2d',
        '١h',
        '99999999999999999h',
      ],
      ...[0, 999, -1, 1000.5, Number.NaN, Number.POSITIVE_INFINITY, 86_400_001, null, {}, ['1h'], 1000n, true],
    ]
    for (const every of wrong)
      assert.throws(
        () => startRotationScheduler(kms, { every: every as never }),
        { name: 'KmsError', code: 'INVALID_INPUT', message: /'every' must be .* from 1s to 1d/ },
        String(every),
      )
    const others: readonly unknown[] = [
      { jitter: '2h' },
      { jitter: -1 },
      { onRun: 'x' },
      { deadlineMs: 0 },
      { destroyDueKeys: 'no' },
      { context: null },
      null,
      7,
    ]
    for (const options of others)
      assert.throws(() => startRotationScheduler(kms, options as RotationSchedulerOptions), {
        name: 'KmsError',
        code: 'INVALID_INPUT',
      })
    for (const client of [undefined, {}, 'kms'])
      assert.throws(() => startRotationScheduler(client as never), { name: 'KmsError', code: 'INVALID_INPUT' })
    assert.equal(clock.pending, 0)
    for (const every of ['90s', 90_000, '1m', '60000ms']) {
      const scheduler = start({ every })
      await pass(0)
      const before = runs.length
      await pass(every === '90s' || every === 90_000 ? 90_000 : minute)
      assert.equal(runs.length, before + 1)
      await scheduler.stop()
    }
  })
})

test('two schedulers over one provider rotate each key once: the second is overtaken, which is no failure', async (t) => {
  const { clock, provider, kms, start, pass, runs } = await stage(t, { one: 30, two: 30 })
  await kms.createKey({ slug: 'gone' })
  await kms.scheduleKeyDeletion({ key: 'gone' })
  const sink = memorySink()
  const other = new KmsClient({ provider, audit: { required: [sink], clock }, region: 'nl-01', project: 'billing' })
  await other.ready()
  clock.advance(30 * day)
  start()
  const second = startRotationScheduler(other, { jitter: 0, onRun: (run) => runs.push(run) })
  t.after(() => second.stop())
  await pass(0)
  assert.equal(runs.length, 2)
  assert.deepEqual(runs.flatMap(({ rotated }) => rotated.map(({ key }) => key.slug)).sort(), ['one', 'two'])
  assert.deepEqual(
    runs.flatMap(({ overtaken }) => overtaken.map(({ key, error }) => `${key.slug} ${error.code}`)).sort(),
    ['gone KEY_NOT_FOUND', 'one VERSION_CONFLICT', 'two VERSION_CONFLICT'],
  )
  assert.deepEqual(
    runs.flatMap(({ failed, error }) => [...failed, error]),
    [undefined, undefined],
  )
  for (const slug of ['one', 'two']) assert.equal((await kms.describeKey({ key: slug })).key.latestVersion, 2)
  await pass(minute)
  assert.equal(runs.length, 2, 'nothing is tried again for it')
})

test('who listed the keys before another rotated them asks for the version that it saw, and gets none', async (t) => {
  const { clock, provider, kms, start, pass, changes } = await stage(t, { monthly: 30 })
  const { keys } = await kms.listKeys()
  clock.advance(30 * day)
  const first = start()
  await pass(0)
  assert.deepEqual(changes(), rotation('monthly', 2))
  await first.stop()
  provider.tell('listKeys', { answers: { keys } })
  const second = start()
  const { overtaken, failed } = await second.run()
  assert.deepEqual([overtaken.map(({ error }) => error.code), failed], [['VERSION_CONFLICT'], []])
  const asked = provider.calls.filter((call) => call.asked === 'rotateScheduled')
  assert.deepEqual(
    asked.map(({ input }) => (input as { expectLatestVersion?: number }).expectLatestVersion),
    [1, 1],
  )
})
