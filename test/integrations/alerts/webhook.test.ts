/** @node The webhook: signed, retried, never twice as another, never more than a minute allows, and nothing lost in silence. */
import assert from 'node:assert/strict'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { createAlerts } from '../../../src/integrations/alerts/alerts.ts'
import type { Alert, Delivery } from '../../../src/integrations/alerts/delivery.ts'
import type { HeldFindings } from '../../../src/integrations/alerts/held.ts'
import type { AlertProblem } from '../../../src/integrations/alerts/outbox.ts'
import { verifyAlert } from '../../../src/integrations/alerts/verify-alert.ts'
import { webhookDelivery } from '../../../src/integrations/alerts/webhook.ts'
import type { WebhookOptions } from '../../../src/integrations/alerts/webhook-options.ts'
import type { Clock } from '../../../src/model/clock.ts'
import { type FakeClock, fakeClock } from '../../../src/testing/clock.ts'
import { deferred, findingOf, start } from './findings.ts'
import { type Received, type ReceiverOptions, receiver, secret } from './receiver.ts'

async function rig(t: TestContext, answer?: ReceiverOptions['answer'], options: Partial<WebhookOptions> = {}) {
  const clock = fakeClock(start)
  const received = await receiver(t, { ...(answer && { answer }), now: clock.now })
  const webhook = webhookDelivery({ url: received.url, secret, clock: hasty(clock), ...options })
  t.after(() => webhook.close?.())
  let lost = 0
  const counted: Delivery & { readonly lost: number } = Object.create(webhook, {
    deliver: { value: (alert: Alert) => webhook.deliver(alert, () => void lost++) },
    lost: { get: () => lost },
  })
  return { clock, webhook: counted, ...received }
}

/** Lets what waits for its next attempt wait no longer than it takes to say so; all other time stands still. */
function hasty(clock: FakeClock): Clock {
  return {
    ...clock,
    after(ms, run) {
      const cancel = clock.after(ms, run)
      // An attempt's own time is the default, 5 s; a summary's is more than any pause.
      if (ms !== 5000 && ms <= 10_000) queueMicrotask(() => clock.advance(ms))
      return cancel
    },
  }
}

/** As a receiver without keytrail would. */
function isSigned({ headers, body }: Received): boolean {
  const [timestamp, signature] = [String(headers['keytrail-timestamp']), String(headers['keytrail-signature'])]
  const expected = `v1=${createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`
  return signature.length === expected.length && timingSafeEqual(Buffer.from(signature), Buffer.from(expected))
}

test('posts a finding as JSON, signed, with its id', async (t) => {
  const { webhook, requests, accepted } = await rig(t, undefined, { headers: { Authorization: 'Bearer abc' } })
  await webhook.deliver({ finding: findingOf(1), repeats: 4 })
  const [request] = requests
  assert.ok(request)
  assert.deepEqual(JSON.parse(request.body.toString()), { format: 'keytrail-finding/1', ...findingOf(1), repeats: 4 })
  assert.equal(request.headers['content-type'], 'application/json')
  assert.equal(request.headers['authorization'], 'Bearer abc')
  assert.equal(request.headers['idempotency-key'], findingOf(1).id)
  assert.equal(request.headers['keytrail-timestamp'], String(start / 1000))
  assert.ok(isSigned(request))
  assert.deepEqual(accepted, [findingOf(1).id])
})

test('is tried again after a network error, 429 and 5xx, signed anew, with the same id', async (t) => {
  const { webhook, requests, accepted } = await rig(t, (number, response) => {
    if (number === 0) response.destroy()
    return [undefined, 429, 503, 204][number]
  })
  await webhook.deliver({ finding: findingOf(1) })
  assert.equal(requests.length, 4)
  assert.equal(new Set(requests.map(({ headers }) => headers['idempotency-key'])).size, 1)
  assert.ok(requests.every(isSigned))
  assert.deepEqual([accepted, webhook.held, webhook.problem], [[findingOf(1).id], 0, undefined])
})

test('retry-after is honoured', async (t) => {
  const { webhook, requests } = await rig(t, (number, response) => {
    if (number > 0) return 204
    response.writeHead(429, { 'retry-after': '7' }).end()
    return undefined
  })
  await webhook.deliver({ finding: findingOf(1) })
  const [first, second] = requests.map(({ headers }) => Number(headers['keytrail-timestamp']))
  assert.equal(Number(second) - Number(first), 7)
})

test('a receiver that asks for an hour is tried after a quarter of one, and not before', async (t) => {
  const { webhook, clock, requests, came } = await rig(t, (number, response) => {
    if (number > 0) return 204
    response.writeHead(503, { 'retry-after': '3600' }).end()
    return undefined
  })
  await webhook.deliver({ finding: findingOf(1) })
  assert.deepEqual([requests.length, webhook.held], [1, 1])
  await clock.advanceAsync(15 * 60_000 - 1)
  assert.equal(requests.length, 1)
  await clock.advanceAsync(1)
  await came(2)
  assert.equal(held(requests[1]).findings[0]?.id, findingOf(1).id)
})

for (const status of [400, 401, 410, 301])
  test(`an answer of ${status} loses the finding at once, and says so`, async (t) => {
    const { webhook, requests } = await rig(t, () => status)
    const what = status === 301 ? /redirected \(301\): name the final address/ : new RegExp(`answered ${status}`)
    await assert.rejects(async () => webhook.deliver({ finding: findingOf(1) }), {
      code: 'PROVIDER_UNAVAILABLE',
      message: what,
    })
    assert.deepEqual([requests.length, webhook.held], [1, 0])
    assert.match(webhook.problem ?? '', what)
  })

test('one that does not answer is given up on in time', async (t) => {
  const { webhook, clock, came } = await rig(t, () => undefined, { retries: 0 })
  const delivered = webhook.deliver({ finding: findingOf(1) })
  await came(1)
  await clock.advanceAsync(5000)
  await delivered
  assert.equal(webhook.held, 1)
  assert.match(webhook.problem ?? '', /did not answer in time/)
})

function held(request: Received | undefined): HeldFindings {
  const message = request?.message
  assert.ok(message?.format === 'keytrail-findings-held/1')
  return message
}

describe('more than the rate allows', () => {
  test('is told in one message at the end of the minute, each by its id', async (t) => {
    const { webhook, clock, requests, came } = await rig(t, undefined, { perMinute: 2 })
    await webhook.deliver({ finding: findingOf(0) })
    await clock.advanceAsync(10_000)
    for (let number = 1; number < 6; number++)
      await webhook.deliver({ finding: findingOf(number, number === 4 ? { rule: 'other', level: 'medium' } : {}) })
    assert.deepEqual([requests.length, webhook.held], [2, 4])
    await clock.advanceAsync(49_999)
    assert.equal(requests.length, 2)
    await clock.advanceAsync(1)
    await came(3)
    const message = held(requests[2])
    assert.deepEqual([message.why, message.count, message.rules], ['rate', 4, { export: 3, other: 1 }])
    assert.deepEqual(
      message.findings,
      [2, 3, 4, 5].map((number) => {
        const { id, rule, level, at } = findingOf(number, number === 4 ? { rule: 'other', level: 'medium' } : {})
        return { id, rule, level, at }
      }),
    )
    assert.equal(requests[2]?.headers['idempotency-key'], message.id)
    await webhook.flush?.()
    assert.equal(webhook.held, 0)
    await webhook.deliver({ finding: findingOf(9) })
    assert.equal(requests.length, 4)
  })

  test('a critical one is not held up by others', async (t) => {
    const { webhook, accepted } = await rig(t, undefined, { perMinute: 1 })
    for (const number of [0, 1, 2]) await webhook.deliver({ finding: findingOf(number) })
    await webhook.deliver({ finding: findingOf(3, { level: 'critical' }) })
    assert.deepEqual(accepted, [findingOf(0).id, findingOf(3).id])
  })

  test('of what cannot be held, the least bad is given up, and each one is told to whoever gave it', async (t) => {
    const clock = fakeClock(start)
    const { url } = await receiver(t, { now: clock.now })
    const problems: AlertProblem[] = []
    const alerts = createAlerts({
      deliveries: [webhookDelivery({ url, secret, clock, perMinute: 1, mostHeld: 2 })],
      ...{ clock, onProblem: (problem) => problems.push(problem) },
    })
    const levels = ['high', 'medium', 'high', 'critical', 'critical', 'critical'] as const
    alerts.take(levels.map((level, number) => findingOf(number, { level })))
    await alerts.flush()
    // One of each kind was posted; the others were held, of which two at a time have room.
    assert.deepEqual(
      problems.map(({ finding, why }) => [Number.parseInt(finding, 16), why]),
      [
        [1, 'more than 2 findings are held'],
        [2, 'more than 2 findings are held'],
      ],
    )
    const { delivered, lost, held: waiting } = alerts.health().deliveries[0] ?? {}
    assert.deepEqual([delivered, lost, waiting], [6, 2, 0])
    await alerts.close()
  })

  test('a message stays below what receivers take: more are told in several, at once', async (t) => {
    const { webhook, requests } = await rig(t, undefined, { perMinute: 1 })
    for (let number = 0; number < 1001; number++) await webhook.deliver({ finding: findingOf(number) }, () => undefined)
    assert.equal(webhook.held, 1000)
    await webhook.flush?.()
    assert.deepEqual(
      requests.slice(1).map((request) => held(request).count),
      [500, 500],
    )
    assert.ok(requests.every(({ body }) => body.length < 100 * 1024))
    assert.equal(webhook.held, 0)
  })

  test('what cannot be held is counted, and the message says how many', async (t) => {
    const { webhook, requests } = await rig(t, undefined, { perMinute: 1, mostHeld: 2 })
    for (let number = 0; number < 6; number++) await webhook.deliver({ finding: findingOf(number) })
    assert.deepEqual([webhook.held, webhook.lost], [2, 3])
    await webhook.flush?.()
    assert.deepEqual([held(requests[1]).count, held(requests[1]).lost], [2, 3])
    await webhook.flush?.()
    assert.equal(requests.length, 2)
  })
})

test('while the receiver is down only the message is tried, the same until it arrives; then all goes on', async (t) => {
  let up = false
  const { webhook, requests, accepted } = await rig(t, () => (up ? 204 : 500), { retries: 1 })
  await webhook.deliver({ finding: findingOf(0) })
  await webhook.deliver({ finding: findingOf(1) })
  assert.deepEqual([requests.length, webhook.held], [2, 2])
  assert.match(webhook.problem ?? '', /answered 500/)
  await webhook.flush?.()
  await webhook.deliver({ finding: findingOf(2) })
  assert.equal(webhook.held, 3)
  const [third, fourth] = requests.slice(2).map(held)
  assert.deepEqual([third?.why, third?.count, fourth], ['outage', 2, third])
  up = true
  await webhook.flush?.()
  assert.deepEqual(held(requests[4]), third)
  // What came while it was on its way is told after it, and not a minute later: this may have been the last try.
  assert.deepEqual(
    [held(requests[5]).why, held(requests[5]).findings.map(({ id }) => id)],
    ['outage', [findingOf(2).id]],
  )
  assert.deepEqual([webhook.held, webhook.problem], [0, undefined])
  await webhook.deliver({ finding: findingOf(3) })
  assert.deepEqual(accepted, [third?.id, held(requests[5]).id, findingOf(3).id])
  assert.deepEqual([webhook.held, webhook.lost], [0, 0])
})

test('a message that is refused for good is lost, and counted', async (t) => {
  const { webhook } = await rig(t, (number) => (number === 0 ? 204 : 413), { perMinute: 1 })
  for (let number = 0; number < 4; number++) await webhook.deliver({ finding: findingOf(number) })
  await webhook.flush?.()
  assert.deepEqual([webhook.held, webhook.lost], [0, 3])
  assert.match(webhook.problem ?? '', /answered 413/)
})

test('closing ends what waits for its next attempt, and leaves no timer', async (t) => {
  const clock = fakeClock(start)
  const { promise, resolve } = deferred()
  const after: Clock['after'] = (ms, run) => {
    if (ms !== 5000) resolve()
    return clock.after(ms, run)
  }
  const { webhook } = await rig(t, () => 500, { clock: { ...clock, after } })
  const delivered = webhook.deliver({ finding: findingOf(0) })
  await promise
  await webhook.close?.()
  await assert.rejects(async () => delivered, { code: 'CLOSED' })
  await assert.rejects(async () => webhook.deliver({ finding: findingOf(1) }), { code: 'CLOSED' })
  assert.equal(clock.pending, 0)
})

test('closing while findings are held counts them', async (t) => {
  const { webhook, clock } = await rig(t, undefined, { perMinute: 1 })
  for (let number = 0; number < 4; number++) await webhook.deliver({ finding: findingOf(number) })
  await webhook.close?.()
  assert.deepEqual([webhook.held, webhook.lost, clock.pending], [0, 3, 0])
})

describe('verifyAlert', () => {
  test('gives what was said, and nothing for what is forged, old, or no message', async (t) => {
    const { webhook, requests, clock } = await rig(t)
    await webhook.deliver({ finding: findingOf(1) })
    const [request] = requests
    assert.ok(request)
    const signed = {
      secret,
      timestamp: String(request.headers['keytrail-timestamp']),
      signature: String(request.headers['keytrail-signature']),
      body: request.body,
      now: clock.now(),
    }
    const message = verifyAlert(signed)
    assert.deepEqual(message, { format: 'keytrail-finding/1', ...findingOf(1) })
    const forged = Buffer.from(request.body.toString().replace('mallory', 'alice00'))
    for (const wrong of [
      { body: forged },
      { secret: new Uint8Array(32) },
      { timestamp: String(Number(signed.timestamp) + 1) },
      { signature: undefined },
      { now: clock.now() + 300_001 },
    ])
      assert.equal(verifyAlert({ ...signed, ...wrong }), undefined)
  })

  for (const body of ['{"format":"keytrail/1"}', 'null', '[]', 'no JSON', '"x"'])
    test(`nothing for a signed ${body}`, () => {
      const timestamp = String(start / 1000)
      const signature = `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`
      assert.equal(verifyAlert({ secret, timestamp, signature, body: Buffer.from(body), now: start }), undefined)
    })
})

describe('refuses', () => {
  const url = 'https://alerts.example/'
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['nothing', undefined, /takes one object/],
    ['no address', { secret }, /url must be/],
    ['what is no address', { url: 'alerts', secret }, /url must be an absolute address/],
    ['plain http to another machine', { url: 'http://alerts.example/', secret }, /url must be https/],
    ['a password in it', { url: 'https://a:b@alerts.example/', secret }, /must not hold a user name/],
    ['no secret', { url }, /secret must be a Uint8Array of 16 bytes/],
    ['a short one', { url, secret: new Uint8Array(15) }, /secret must be/],
    ['a header that it sets', { url, secret, headers: { 'Idempotency-Key': 'x' } }, /must not hold idempotency-key/],
    ['a header of two lines', { url, secret, headers: { a: 'b\nc' } }, /header a must be printable/],
    ['a name that is none', { url, secret, headers: { 'a b': 'c' } }, /not a header name/],
    ['a rate of none', { url, secret, perMinute: 0 }, /perMinute must be/],
    ['a time that is none', { url, secret, timeoutMs: Number.NaN }, /timeoutMs must be/],
  ]
  for (const [what, options, message] of wrong)
    test(what, () => {
      // Wrong on purpose, as JavaScript callers can be.
      assert.throws(() => webhookDelivery(options as WebhookOptions), { code: 'INVALID_INPUT', message })
    })

  test('and shows nobody its secret', () => {
    const webhook = webhookDelivery({ url, secret, headers: { authorization: 'Bearer abc' } })
    assert.doesNotMatch(inspect(webhook, { depth: 9, showHidden: true }), /abc|30, ?31/)
  })
})
