/** What the parameters of rules may hold, and in which time zone they are meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import { playExample, type Step } from '../../../src/detect/example.ts'
import type { Parameters } from '../../../src/detect/rule.ts'
import { everyRule } from '../../../src/detect/shipped.ts'

function ruleOf(id: string) {
  const rule = everyRule.find((each) => each.id === id)
  assert.ok(rule)
  return rule
}

interface Played {
  readonly id: string
  readonly parameters?: Parameters
  readonly timeZone?: string
  readonly steps: readonly Step[]
}

function play({ id, parameters = {}, timeZone = 'UTC', steps }: Played) {
  const detector = createDetector([ruleOf(id).withParameters(parameters)], { timeZone })
  const findings = playExample({ says: '', findings: 0, steps }).entries.flatMap((entry) => [...detector.take(entry)])
  assert.deepEqual(detector.health().failed, {})
  return { findings, detector }
}

const wrong: readonly (readonly [string, Parameters, RegExp])[] = [
  ['decrypt-cap', { keys: { orders: '5' } }, /'decrypt-cap.keys' must give 'orders' a number of 0 or more/],
  ['decrypt-cap', { keys: { orders: -1 } }, /must give 'orders' a number/],
  ['decrypt-cap', { perKey: '5' }, /'decrypt-cap.perKey' must be a number/],
  [
    'unexpected-decrypt',
    { actors: { orders: 'user:ann' } },
    /'unexpected-decrypt.actors.orders' must be a list of actors/,
  ],
  ['unexpected-decrypt', { actors: { orders: ['ann'] } }, /must be a list of actors/],
  ['unexpected-decrypt', { actors: { orders: [5] } }, /must be a list of actors/],
  ['unexpected-decrypt', { networks: ['10.1.2.3/8'] }, /'unexpected-decrypt.networks' must hold networks/],
  ['unexpected-decrypt', { keyNetworks: { orders: ['home'] } }, /'unexpected-decrypt.keyNetworks.orders' must hold/],
  ['unexpected-decrypt', { keyNetworks: { orders: '10.0.0.0/8' } }, /must be a list of networks/],
  ['signing-outside-hours', { keys: { orders: { startHour: 24, endHour: 3 } } }, /must have a startHour from 0 to 23/],
  ['signing-outside-hours', { keys: { orders: { startHour: 7 } } }, /and an endHour from 1 to 24/],
  ['signing-outside-hours', { keys: { orders: 5 } }, /must have a startHour/],
  [
    'signing-outside-hours',
    { keys: { orders: { startHour: 7, endHour: 9, days: ['Monday'] } } },
    /must be a list of mon, tue/,
  ],
  ['signing-outside-hours', { keys: { orders: { startHour: 7, endHour: 9, days: [] } } }, /must be a list of mon, tue/],
]

test('a parameter that cannot be meant is refused, in words', () => {
  for (const [id, parameters, message] of wrong)
    assert.throws(() => ruleOf(id).withParameters(parameters), { code: 'INVALID_INPUT', message })
})

test('signing hours are those of the time zone, also where the wall clock changes', () => {
  const parameters = { keys: { orders: { startHour: 13, endHour: 14 } } }
  const sign: Step = { action: 'kms.sign' }
  const summer: Step = { action: 'kms.sign', after: '182d' }
  const at = (timeZone: string) =>
    play({ id: 'signing-outside-hours', parameters, timeZone, steps: [sign, summer] }).findings
  // 12:00 UTC is 13:00 in Amsterdam in January, and 14:00 in July.
  assert.deepEqual(
    at('Europe/Amsterdam').map(({ says }) => says),
    ['serviceAccount:api signed with key orders on Thursday in hour 14, outside its hours'],
  )
  assert.equal(at('UTC').length, 2)
  assert.equal(at('America/New_York').length, 2)
})

test('a hostile name of an actor, a key or a program stays one word of a sentence', () => {
  const hostile = 'x\u001b[2J\u202e" ; rm -rf'
  const with_ = { actor: { type: 'user', id: hostile } as const, keySlug: hostile, resourceIdentity: hostile }
  const steps: Step[] = [{ action: 'kms.decrypt', times: 3, with: with_ }]
  const { findings } = play({ id: 'decrypt-cap', parameters: { perActor: 1, perKey: 1 }, steps })
  assert.equal(findings.length, 2)
  for (const { says } of findings) {
    assert.ok(says.includes('\\u001b[2J\\u202e\\" ; rm -rf'), says)
    assert.doesNotMatch(says, /[\u0000-\u001f\u202e]/)
  }
})

test('callers who name nobody are a group of their own', () => {
  const nobody = { actor: { type: 'unknown' } } as const
  const steps: Step[] = [{ action: 'kms.decrypt', times: 6, with: nobody }]
  const { findings } = play({ id: 'decrypt-cap', parameters: { perActor: 5 }, steps })
  assert.deepEqual(
    findings.map(({ subject, says }) => [subject, says]),
    [[{}, '6 decrypts by callers unknown within an hour, where at most 5 are meant to be']],
  )
})

test('an IPv6 network is known by its /48, however its addresses are shortened', () => {
  const from = (clientIp: string) => ({ with: { context: { clientIp } } })
  const steps: Step[] = [
    { action: 'kms.decrypt', times: 60, every: '6h', ...from('2001:db8:5::1') },
    { action: 'kms.decrypt', ...from('2001:db8:5:77:1:2:3:4') },
    { action: 'kms.decrypt', ...from('2001:db8:55::1') },
  ]
  assert.deepEqual(
    play({ id: 'new-network', steps }).findings.map(({ subject }) => subject.source),
    ['2001:db8:55::/48'],
  )
})

test('a network whose text begins like another is not that network', () => {
  const from = (clientIp: string) => ({ with: { context: { clientIp } } })
  const steps: Step[] = [
    { action: 'kms.decrypt', times: 60, every: '6h', ...from('10.1.1.7') },
    { action: 'kms.decrypt', ...from('10.1.10.7') },
    { action: 'kms.decrypt', ...from('10.1.1.99') },
  ]
  assert.deepEqual(
    play({ id: 'new-network', steps }).findings.map(({ subject }) => subject.source),
    ['10.1.10.0/24'],
  )
})

test('many actors, keys, networks and programs make no more state than is meant to be', () => {
  const steps: Step[] = [
    {
      action: 'kms.decrypt',
      times: 24_000,
      every: '1s',
      with: (number) => ({
        actor: { type: 'user', id: `u${number % 12_000}` },
        ...{ resourceIdentity: `kms-${(number * 7) % 50_000}`, keySlug: `k${number % 50_000}` },
        context: { clientIp: `10.${number % 250}.${number % 199}.1`, userAgent: `a${number % 50_000}` },
        payloadSizes: { plaintext: 100 },
      }),
    },
  ]
  const { entries } = playExample({ says: '', findings: 0, steps })
  const ids = ['decrypt-volume', 'decrypt-cap', 'first-use', 'new-network', 'new-agent', 'decrypt-ratio']
  const detector = createDetector([...ids, 'payload-outlier', 'many-keys'].map(ruleOf))
  for (const entry of entries) detector.take(entry)
  const bytes = JSON.stringify(detector.state()).length
  assert.ok(bytes < 25_000_000, String(bytes))
  const { evicted } = detector.health()
  for (const id of ids) assert.ok((evicted[id] ?? 0) > 0, id)
})
