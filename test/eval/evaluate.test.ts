/** @node The arithmetic of the evaluation, on small truths made by hand, and toy detectors through a small life. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { evaluateBy } from './command.ts'
import { type Detect, type Finding, judge } from './evaluate.ts'
import { expected } from './expected.ts'
import { detect } from './exports-detector.ts'
import { pageOf } from './page.ts'
import { scoreOf, shortfalls, type Trial } from './score.ts'
import { seedsFrom } from './seeds.ts'
import { tryOut } from './trial.ts'
import type { Truth } from './truth.ts'

const truth = (fields: Partial<Truth>): Truth => ({
  kind: 'export-raw',
  variant: 'subtle',
  from: '2026-03-20T10:00:00.000Z',
  to: '2026-03-20T11:00:00.000Z',
  isAbsence: false,
  eventIDs: [],
  aftermath: [],
  ...fields,
})

const finding = (fields: Partial<Finding>): Finding => ({
  rule: 'export',
  level: 'high',
  at: '2026-03-20T10:30:00.000Z',
  evidence: [],
  window: { from: '2026-03-20T10:20:00.000Z', to: '2026-03-20T10:30:00.000Z' },
  subject: {},
  ...fields,
})

const kinds = { 'export-raw': ['export'], sweep: ['sweep', 'export'], silence: ['quiet'] }

describe('an attack', () => {
  const truths = [truth({ eventIDs: ['a', 'b'] })]

  test('is found by an expected rule with evidence among its entries', () => {
    const [attack] = judge([finding({ evidence: ['x', 'b'] })], { truths, expected: kinds }).attacks
    assert.deepEqual(attack?.foundBy, ['export'])
    assert.equal(attack?.delayMs, 1_800_000)
  })

  test('is not found by a rule that has evidence of something else, whenever that was', () => {
    const [attack] = judge([finding({ evidence: ['x'] })], { truths, expected: kinds }).attacks
    assert.deepEqual(attack?.foundBy, [])
    assert.equal(attack?.delayMs, undefined)
  })

  test('is only seen by a rule that was not expected, whose alarm is true all the same', () => {
    const { attacks, findings } = judge([finding({ rule: 'sweep', evidence: ['a'] })], { truths, expected: kinds })
    assert.deepEqual(attacks[0]?.foundBy, [])
    assert.deepEqual(attacks[0]?.seenBy, ['sweep'])
    assert.equal(findings[0]?.isTrue, true)
  })

  test('is found by the first of several', () => {
    const found = [finding({ evidence: ['a'] }), finding({ evidence: ['b'], at: '2026-03-20T10:02:00.000Z' })]
    assert.equal(judge(found, { truths, expected: kinds }).attacks[0]?.delayMs, 120_000)
  })

  test('that shares an entry with another is told of both', () => {
    const two = [...truths, truth({ kind: 'sweep', eventIDs: ['b'] })]
    const { attacks } = judge([finding({ evidence: ['b'] })], { truths: two, expected: kinds })
    assert.deepEqual(
      attacks.map(({ foundBy }) => foundBy),
      [['export'], ['export']],
    )
  })

  test('that no rule is expected to find is an error', () => {
    assert.throws(() => judge([], { truths, expected: {} }), /no rule is expected to find export-raw/)
    assert.throws(() => judge([], { truths, expected: { 'export-raw': [] } }), /no rule is expected/)
  })
})

describe('what is missing', () => {
  const silence = { kind: 'silence', isAbsence: true } as const
  const quiet = (fields: Partial<Finding>) => finding({ rule: 'quiet', ...fields })
  const foundIn = (of: Partial<Truth>, by: Partial<Finding>) =>
    judge([quiet(by)], { truths: [truth({ ...silence, ...of })], expected: kinds }).attacks[0]?.foundBy.length === 1

  test('is found where the window overlaps and the subject agrees', () => {
    assert.ok(foundIn({ writer: 'kms-a' }, { subject: { instance: 'kms-a-x1y2z3w4' } }))
    assert.ok(foundIn({ writer: 'kms-a' }, { subject: { writer: 'kms-a' } }))
    assert.ok(foundIn({ key: { identity: 'kms-1', slug: 'orders' } }, { subject: { key: 'orders' } }))
    assert.ok(foundIn({ key: { identity: 'kms-1', slug: 'orders' } }, { subject: { key: 'kms-1' } }))
    assert.ok(foundIn({ actor: 'ada' }, { subject: { actor: 'ada', key: undefined } }))
  })

  test('is not found where the subject is another, or none', () => {
    assert.ok(!foundIn({ writer: 'kms-a' }, { subject: { instance: 'kms-b-x1y2z3w4' } }))
    assert.ok(!foundIn({ writer: 'kms-a' }, { subject: { instance: 'kms-ab' } }))
    assert.ok(!foundIn({ writer: 'kms-a' }, { subject: {} }))
    assert.ok(!foundIn({ key: { identity: 'kms-1', slug: 'orders' } }, { subject: { key: 'carts' } }))
    assert.ok(!foundIn({ key: { identity: 'kms-1', slug: 'orders' }, actor: 'ada' }, { subject: { key: 'orders' } }))
    assert.ok(!foundIn({}, { subject: { key: 'orders' } }))
  })

  test('is not found before it began nor after it ended', () => {
    const subject = { instance: 'kms-a' }
    const before = { from: '2026-03-20T09:00:00.000Z', to: '2026-03-20T09:59:59.999Z' }
    const after = { from: '2026-03-20T11:00:00.001Z', to: '2026-03-20T12:00:00.000Z' }
    const touching = { from: '2026-03-20T11:00:00.000Z', to: '2026-03-20T12:00:00.000Z' }
    assert.ok(!foundIn({ writer: 'kms-a' }, { subject, window: before }))
    assert.ok(!foundIn({ writer: 'kms-a' }, { subject, window: after }))
    assert.ok(foundIn({ writer: 'kms-a' }, { subject, window: touching }))
  })

  test('is found by an entry next to it', () => {
    assert.ok(foundIn({ writer: 'kms-a', eventIDs: ['n'] }, { evidence: ['n'] }))
  })

  test('is nothing that a present attack may be found by', () => {
    const present = truth({ kind: 'silence', writer: 'kms-a', eventIDs: ['a'] })
    const { attacks } = judge([quiet({ subject: { instance: 'kms-a' } })], { truths: [present], expected: kinds })
    assert.deepEqual(attacks[0]?.foundBy, [])
  })
})

describe('a finding', () => {
  test('is an alarm from medium on', () => {
    const levels = ['informational', 'low', 'medium', 'high', 'critical'] as const
    const { findings } = judge(
      levels.map((level) => finding({ level })),
      { truths: [], expected: kinds },
    )
    assert.deepEqual(
      findings.map(({ isAlarm }) => isAlarm),
      [false, false, true, true, true],
    )
  })

  test('about what an attack brought about is no false alarm, and does not find it', () => {
    const truths = [truth({ eventIDs: ['a'], aftermath: ['z'] })]
    const { attacks, findings } = judge([finding({ evidence: ['z'] })], { truths, expected: kinds })
    assert.equal(findings[0]?.isTrue, true)
    assert.deepEqual(attacks[0]?.foundBy, [])
  })

  test('without evidence of any attack is false', () => {
    const { findings } = judge([finding({ evidence: ['x'] })], {
      truths: [truth({ eventIDs: ['a'] })],
      expected: kinds,
    })
    assert.equal(findings[0]?.isTrue, false)
  })
})

describe('a score', () => {
  const trial = (fields: Partial<Trial> & Pick<Trial, 'judgement'>): Trial => ({
    seed: 1,
    life: 'attacked',
    days: 30,
    entries: 1000,
    seconds: 0.002,
    ...fields,
  })
  const truths = [truth({ eventIDs: ['a'] }), truth({ kind: 'sweep', variant: 'loud', eventIDs: ['b'] })]
  const attacked = judge(
    [
      finding({ evidence: ['a'] }),
      finding({ evidence: ['x'], level: 'medium' }),
      finding({ evidence: ['y'], level: 'low' }),
      finding({ rule: 'other', evidence: ['b'] }),
    ],
    { truths, expected: kinds },
  )
  const calm = judge([finding({}), finding({}), finding({ level: 'low' })], { truths: [], expected: kinds })
  const trials = [
    trial({ judgement: attacked }),
    trial({ life: 'ordinary', judgement: calm, entries: 3000, seconds: 0.006 }),
  ]
  const score = scoreOf(trials, kinds)

  test('counts attacks, alarms and days', () => {
    assert.equal(score.attacks, 2)
    assert.equal(score.found, 1)
    assert.equal(score.recall, 0.5)
    assert.equal(score.precision, 2 / 3)
    assert.equal(score.falseAlarmsPerDay, 2 / 30)
    assert.equal(score.quietPerDay, 1 / 30)
    assert.equal(score.entries, 4000)
    assert.equal(Math.round(score.entriesPerSecond), 500_000)
  })

  test('tells each rule what it found of what it should, and what it cried for nothing', () => {
    assert.deepEqual(
      score.rules.find(({ rule }) => rule === 'export'),
      { rule: 'export', expected: 2, found: 1, trueAlarms: 1, falseAlarms: 1, ordinaryAlarms: 2, ordinaryQuiet: 1 },
    )
    assert.deepEqual(
      score.rules.find(({ rule }) => rule === 'other'),
      { rule: 'other', expected: 0, found: 0, trueAlarms: 1, falseAlarms: 0, ordinaryAlarms: 0, ordinaryQuiet: 0 },
    )
    assert.deepEqual(score.missed, [
      { seed: 1, kind: 'sweep', variant: 'loud', from: truths[1]?.from, to: truths[1]?.to, eventIDs: ['b'] },
    ])
    assert.deepEqual(
      score.kinds.map(({ kind, attacks, found }) => [kind, attacks, found]),
      [
        ['export-raw', 1, 1],
        ['sweep', 1, 0],
      ],
    )
  })

  test('falls short of each aim by itself', () => {
    const good = { ...score, recall: 0.95, falseAlarmsPerDay: 1, entriesPerSecond: 300_000 }
    assert.deepEqual(shortfalls(good), [])
    assert.match(String(shortfalls({ ...good, recall: 0.949 })), /^recall 94\.9 % is below 95\.0 %$/)
    assert.match(String(shortfalls({ ...good, falseAlarmsPerDay: 1.01 })), /^1\.01 false alarms a day/)
    assert.match(String(shortfalls({ ...good, entriesPerSecond: 299_999 })), /^299999 entries a second/)
  })

  test('adds up several seeds', () => {
    const both = scoreOf([...trials, ...trials.map((one) => ({ ...one, seed: 2 }))], kinds)
    assert.deepEqual(both.seeds, [1, 2])
    assert.equal(both.attacks, 4)
    assert.equal(both.recall, 0.5)
    assert.equal(both.falseAlarmsPerDay, 2 / 30)
  })

  test('as a page says what was missed and which aims are not met', () => {
    const page = pageOf(score, 1)
    assert.match(page, /\| attacks found \| 1 of 2, 50\.0 % \| ≥ 95\.0 % \|/)
    assert.match(page, /\| export-raw \| 1 of 1 \| 30\.0 min \| export \| {2}\|/)
    assert.match(page, /\| export \| 1 of 2 \| 50\.0 % \| 1 \| 1 \| 2 \| 1 \|/)
    assert.match(page, /## Missed\n\n[^#]*\| 1 \| sweep \| loud \|/)
    assert.match(page, /Not met: recall 50\.0 % is below 95\.0 %\.\n$/)
  })
})

describe('through a life', () => {
  const scale = 0.002

  test('who says next to nothing finds nothing and cries for nothing, and is waited for', async () => {
    const silent: Detect = async (entries) => {
      for (const _ of entries);
      return Promise.resolve([finding({ level: 'low' })])
    }
    const begunAt = performance.now()
    const trial = await tryOut({ seed: 5, scale, life: 'ordinary', detect: silent })
    const took = (performance.now() - begunAt) / 1000
    const score = scoreOf([trial], expected)
    assert.equal(score.attacks, 0)
    assert.equal(score.falseAlarmsPerDay, 0)
    assert.equal(score.quietPerDay, 1 / 30)
    assert.ok(trial.entries > 10_000)
    // Making the entries takes far longer than this, and is not counted.
    assert.ok(trial.seconds >= 0 && trial.seconds < took / 2, `${trial.seconds} of ${took} s`)
  })

  test('who cries at every export finds those, and who knows all finds all', async () => {
    const trial = await tryOut({ seed: 5, scale, life: 'attacked', detect })
    const score = scoreOf([trial], expected)
    assert.deepEqual(
      score.kinds.filter(({ found }) => found > 0).map(({ kind }) => kind),
      ['export-raw', 'export-without-reason', 'export-after-creation', 'export-after-rotation'],
    )
    // The exercise of a disaster is the one that is none.
    assert.equal(score.rules.find(({ rule }) => rule === 'export')?.falseAlarms, 1)

    const truths = trial.judgement.attacks.map((attack) => attack.truth)
    const all = truths.map(({ kind, eventIDs, from, to, key, actor, writer }) =>
      finding({
        rule: expected[kind]?.[0] ?? '',
        evidence: eventIDs.slice(0, 1),
        window: { from, to },
        subject: { key: key?.slug, actor, instance: writer },
      }),
    )
    const knowing = { ...trial, judgement: judge(all, { truths, expected }) }
    assert.equal(scoreOf([knowing], expected).recall, 1)
    assert.equal(scoreOf([knowing], expected).precision, 1)
  })

  test('who stops half way is told so', async () => {
    const hasty: Detect = (entries) => {
      for (const _ of entries) return []
      return []
    }
    await assert.rejects(tryOut({ seed: 5, scale, life: 'ordinary', detect: hasty }), /stopped before the last entry/)
  })
})

describe('the command', () => {
  const toy = fileURLToPath(new URL('./exports-detector.ts', import.meta.url))
  const run = async (...args: readonly string[]) => {
    const printed: string[] = []
    const told: string[] = []
    const print = (text: string) => {
      printed.push(text)
    }
    const tell = (line: string) => {
      told.push(line)
    }
    return { code: await evaluateBy(args, { print, tell }), printed: printed.join(''), told }
  }

  test('lives each seed twice, prints what it measured, and ends with 1 where an aim is missed', async () => {
    const { code, printed, told } = await run('--seeds', '3', '--scale', '0.0001', '--detector', toy, '--json')
    assert.equal(code, 1)
    assert.match(told.join('\n'), /^seed 3, ordinary: \d+ entries.*\nseed 3, attacked: \d+ entries, detector \d\.\d s$/)
    const { attacks, found, missed, falseAlarms, seeds } = JSON.parse(printed)
    assert.deepEqual(seeds, [3])
    assert.deepEqual([attacks, found, missed.length], [Object.keys(expected).length, 4, attacks - 4])
    // The exercise, in both lives.
    assert.deepEqual(
      falseAlarms.map(({ life, subject }: { life: string; subject: object }) => [life, subject]),
      [
        ['ordinary', { key: 'dr-master' }],
        ['attacked', { key: 'dr-master' }],
      ],
    )
  })

  test('says what is wrong with an option, and ends with 2', async () => {
    assert.deepEqual(await run('--seeds', '1,x'), {
      code: 2,
      printed: '',
      told: ['--seeds takes whole numbers, such as 1,2,3'],
    })
    assert.match(String((await run('--seeds', '')).told), /whole numbers/)
    assert.match(String((await run('--scale', '0')).told), /--scale takes a number above 0/)
    assert.match(String((await run('--scale', '1e3')).told), /at most 20/)
    assert.match(String((await run('--drawn-from', 'HEAD')).told), /--drawn-from takes the whole id of a commit/)
    assert.match(String((await run('--detector', `${toy}.missing`)).told), /no detector could be loaded from/)
    const other = fileURLToPath(new URL('./expected.ts', import.meta.url))
    const { code, told } = await run('--detector', other)
    assert.equal(code, 2)
    assert.match(String(told), /exports no function detect/)
  })
})

test('seeds drawn from a commit are the first numbers of its SHA-256', () => {
  // FIPS 180-4, of 'abc': ba7816bf 8f01cfea 414140de …
  assert.deepEqual(seedsFrom('abc', 3), [0xba7816bf, 0x8f01cfea, 0x414140de])
})
