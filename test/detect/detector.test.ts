import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createDetector, type DetectorState } from '../../src/detect/detector.ts'
import { exampleStart, playExample, type Step } from '../../src/detect/example.ts'
import { type Finding, findingID, levels, mostEvidence } from '../../src/detect/finding.ts'
import { defineRule, type Rule, type Watch } from '../../src/detect/rule.ts'
import { everyRule } from '../../src/detect/shipped.ts'
import type { Tools } from '../../src/detect/tools.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { fullEntry } from '../model/full-entry.ts'
import { noShared, sharedJson } from '../shared.ts'
import { everyExample, junk, tampered } from './streams.ts'

const hour = 3_600_000

/** A rule of a test's own; `watch` is all that matters. */
function ruleOf(id: string, watch: (tools: Tools) => Watch, actions: readonly string[] = ['*']): Rule {
  return defineRule({
    ...{ id, title: id, level: 'low', attack: [], why: 'test', falsePositives: [], whatToDo: 'nothing' },
    ...{ actions, parameters: {}, examples: [] },
    watch: (_, tools) => watch(tools),
  })
}

/** Tells each entry that it is shown. */
function showing(id: string, actions?: readonly string[]): Rule {
  return ruleOf(
    id,
    ({ report }) => ({
      take: ({ entry, missed, sinceMs, weight }) =>
        report({ subject: {}, evidence: [entry.eventID], says: `${entry.sequence} ${missed} ${sinceMs} ${weight}` }),
    }),
    actions,
  )
}

function played(...steps: readonly Step[]): readonly AuditEntry[] {
  return playExample({ says: '', findings: 0, steps }).entries
}

function findingsOf(rules: readonly Rule[], entries: readonly AuditEntry[], until?: number): readonly Finding[] {
  const detector = createDetector(rules)
  return [
    ...entries.flatMap((entry) => [...detector.take(entry)]),
    ...(until === undefined ? [] : detector.advance(until)),
  ]
}

function saysOf(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ says }) => says)
}

test('an entry that comes twice is left out, and counted; each writer has numbers of its own', () => {
  const entries = played(
    { action: 'kms.encrypt', times: 3 },
    { action: 'kms.encrypt', with: { instance: 'other-1', sequence: 0 } },
    { action: 'kms.encrypt', with: { sequence: 1 } },
    { action: 'kms.encrypt', with: { instance: 'other-1', sequence: 0 } },
    { action: 'kms.encrypt', with: { instance: 'other-1', sequence: 4 } },
  )
  const detector = createDetector([showing('showing')])
  const says = saysOf(entries.flatMap((entry) => [...detector.take(entry)]))
  assert.deepEqual(says, ['0 0 undefined 1', '1 0 1000 1', '2 0 1000 1', '0 0 undefined 1', '4 3 0 1'])
  assert.deepEqual(detector.health(), { entries: 5, duplicates: 2, evicted: {}, failed: {} })
})

test('a rule is shown its actions and phases, and no others', () => {
  const entries = played(
    { action: 'kms.decrypt' },
    { action: 'kms.decrypt', with: { phase: 'intent', outcome: 'pending' } },
    { action: 'kms.decrypt_all' },
    { action: 'kms_key.create' },
  )
  const shown = (actions: readonly string[]) => saysOf(findingsOf([showing('showing', actions)], entries)).length
  assert.equal(shown(['kms.decrypt']), 1)
  assert.equal(shown(['kms.*']), 2)
  assert.equal(shown(['kms.*', 'kms.decrypt', 'kms_key.create']), 3)
  assert.equal(shown(['*']), 3)
  assert.equal(shown(['audit.*']), 0)
})

test('rules are woken in the order of time, before the entry that is later, and a late look finds what a timely one would have', () => {
  const waking = (id: string, after: number) =>
    ruleOf(id, ({ wake, report }) => ({
      take: ({ at }) => wake(at + after),
      wake(now) {
        report({ subject: {}, evidence: [], says: `${id} at ${now - exampleStart}` })
        if (now < exampleStart + 5000) wake(now + after)
      },
    }))
  const rules = [waking('slow', 3000), waking('quick', 2000)]
  const [first] = played({ action: 'kms.encrypt' })
  assert.ok(first)
  const [timely, late] = [createDetector(rules), createDetector(rules)]
  assert.deepEqual(timely.take(first), late.take(first))
  const found = Array.from({ length: 100 }, (_, step) => [...timely.advance(exampleStart + step * 100)]).flat()
  assert.deepEqual(saysOf(found), ['quick at 2000', 'slow at 3000', 'quick at 4000', 'slow at 6000', 'quick at 6000'])
  assert.deepEqual(late.advance(exampleStart + 365 * 24 * hour), found)
  assert.deepEqual(late.advance(exampleStart + 366 * 24 * hour), [])
})

test('an entry is shown after what was due before it', () => {
  const rule = ruleOf('order', ({ wake, report }) => {
    const tell = (says: string) => report({ subject: {}, evidence: [], says })
    return {
      take: ({ entry, at }) => {
        tell(`entry ${entry.sequence}`)
        wake(at + 1000)
      },
      wake: (now) => tell(`woken at ${now - exampleStart}`),
    }
  })
  const entries = played({ action: 'kms.encrypt', times: 3, every: '1500ms' })
  assert.deepEqual(saysOf(findingsOf([rule], entries)), [
    ...['entry 0', 'woken at 1000', 'entry 1', 'woken at 2500', 'entry 2'],
  ])
})

test('a rule that asks to be woken in the past is woken, and not for ever', () => {
  let woken = 0
  const rule = ruleOf('past', ({ wake }) => ({
    take: ({ at }) => wake(at - 1000),
    wake(now) {
      woken += 1
      if (woken < 50) wake(now - 1000)
    },
  }))
  findingsOf([rule], played({ action: 'kms.encrypt' }), exampleStart + 20)
  assert.equal(woken, 20)
})

test('a rule that asks to be woken at no moment fails, and the others are woken', () => {
  let woken = 0
  const lost = ruleOf('lost', ({ wake }) => ({ take: () => wake(Number.NaN) }))
  const other = ruleOf('other', ({ wake }) => ({ take: ({ at }) => wake(at + 5), wake: () => void woken++ }))
  const detector = createDetector([other, lost])
  for (const entry of played({ action: 'kms.encrypt', times: 2 })) detector.take(entry)
  assert.equal(woken, 1)
  assert.equal(detector.health().failed['lost']?.entries, 2)
})

test('a rule that fails, in an entry or when it is woken, stops no other and is counted', () => {
  const broken = ruleOf('broken', ({ wake }) => ({
    take({ at }) {
      wake(at + 1)
      throw new TypeError('secret')
    },
    wake() {
      throw new RangeError('secret')
    },
  }))
  const detector = createDetector([broken, showing('showing')])
  const entries = played({ action: 'kms.encrypt', times: 2 })
  assert.equal(entries.flatMap((entry) => [...detector.take(entry)]).length, 2)
  assert.deepEqual(detector.health().failed, { broken: { entries: 3, last: 'TypeError' } })
})

test('what has no place is counted and shown to no rule; what has no moment leaves a gap', () => {
  const [first, second, third] = played({ action: 'kms.encrypt', times: 3 })
  assert.ok(first && second && third)
  const detector = createDetector([showing('showing')])
  const take = (entry: unknown) => saysOf(detector.take(entry as AuditEntry))
  assert.deepEqual(take(first), ['0 0 undefined 1'])
  for (const broken of [
    null,
    undefined,
    7,
    'entry',
    [],
    {},
    { ...second, sequence: Number.NaN },
    { ...second, sequence: '1' },
  ])
    assert.deepEqual(take(broken), [])
  for (const field of ['instance', 'eventID', 'action', 'phase']) assert.deepEqual(take({ ...second, [field]: {} }), [])
  assert.deepEqual(take({ ...second, createdAt: 'yesterday' }), [])
  // Its number was not taken for one that is here.
  assert.deepEqual(take(third), ['2 1 2000 1'])
  assert.equal(detector.health().failed['detector']?.entries, 13)
  assert.deepEqual(detector.health().duplicates, 0)
})

test('refusals that are joined count as many as they are, and never as less than one', () => {
  const weights = [7, 0, -3, 1.5, '9', null, 2 ** 60].map((joined) => {
    const [entry] = played({ action: 'kms.decrypt', with: { details: { joined: joined as number } } })
    return entry === undefined ? [] : saysOf(findingsOf([showing('showing')], [entry]))
  })
  assert.deepEqual(
    weights.flat().map((says) => says.split(' ').at(-1)),
    ['7', '1', '1', '1', '1', '1', '1'],
  )
})

test('a finding has all that its reader needs, names the same thing by the same id, and no more evidence than that', () => {
  const many = Array.from({ length: 50 }, (_, number) => `e${number}`)
  const sighting = { subject: { key: 'orders' }, evidence: many, says: 'seen', from: exampleStart - 5000 }
  const rule = ruleOf('many', ({ report }) => ({ take: () => report(sighting) }))
  const [finding, ...others] = findingsOf([rule], played({ action: 'kms.encrypt' }))
  assert.ok(finding !== undefined && others.length === 0)
  assert.deepEqual(finding, {
    ...{ id: findingID('many', '2026-01-01T12:00:00.000Z', sighting), rule: 'many', title: 'many', level: 'low' },
    ...{ attack: [], at: '2026-01-01T12:00:00.000Z', subject: { key: 'orders' } },
    window: { from: '2026-01-01T11:59:55.000Z', to: '2026-01-01T12:00:00.000Z' },
    ...{ count: 50, evidence: [...many.slice(0, 10), ...many.slice(-10)], says: 'seen', whatToDo: 'nothing' },
  })
  assert.equal(finding.evidence.length, mostEvidence)
  assert.match(finding.id, /^[0-9a-f]{32}$/)
  const about = [{ actor: 'orders' }, { source: 'orders' }, {}].map((subject) =>
    findingID('many', finding.at, { ...sighting, subject }),
  )
  assert.equal(new Set([finding.id, ...about, findingID('other', finding.at, sighting)]).size, 5)
})

test('options that make no sense are refused, with what is wrong', () => {
  const rule = showing('showing')
  const refused = { name: 'KmsError', code: 'INVALID_INPUT' }
  assert.throws(() => createDetector([rule, rule]), { ...refused, message: /two rules 'showing'/ })
  assert.throws(() => createDetector('rules' as never), { ...refused, message: /'rules' must be a list/ })
  for (const timeZone of ['Mars/Olympus', '', 7])
    assert.throws(() => createDetector([rule], { timeZone: timeZone as string }), { ...refused, message: /'timeZone'/ })
  for (const state of [null, 7, {}, { format: 'keytrail-detector/2' }])
    assert.throws(() => createDetector([rule], { state: state as never }), { ...refused, message: /'state'/ })
  const twice = ruleOf('twice', ({ record }) => {
    record('a', () => ({}))
    record('a', () => ({}))
    return { take: () => undefined }
  })
  assert.throws(() => createDetector([twice]), { ...refused, message: /two tables 'a'/ })
})

test('all rules over all examples: the same findings each time, and nothing fails', () => {
  const entries = everyExample()
  const detector = createDetector(everyRule)
  const findings = entries.flatMap((entry) => [...detector.take(entry)])
  assert.deepEqual(detector.health().failed, {})
  assert.deepEqual(findingsOf(everyRule, entries), findings)
  assert.ok(findings.length > everyRule.length)
  assert.equal(new Set(findings.map(({ id }) => id)).size, findings.length, 'two findings have one id')
  for (const { level, window, at, says } of findings) {
    assert.ok(levels.includes(level))
    assert.ok(window.from <= window.to && window.to <= at, says)
  }
})

test('stopped anywhere and gone on with from its state as a file keeps it, a detector finds the same', () => {
  const entries = everyExample()
  const end = Date.parse(entries.at(-1)?.createdAt ?? '') + 24 * hour
  const whole = findingsOf(everyRule, entries, end)
  const pieces = 7
  let state: DetectorState | undefined
  const findings: Finding[] = []
  for (let piece = 0; piece < pieces; piece++) {
    const detector = createDetector(everyRule, { ...(state && { state }) })
    const [from, to] = [piece, piece + 1].map((each) => Math.floor((each * entries.length) / pieces))
    // What was shown already is shown again, as a follower does after a crash.
    for (const entry of entries.slice(Math.max(0, (from ?? 0) - 20), to)) findings.push(...detector.take(entry))
    if (piece === pieces - 1) findings.push(...detector.advance(end))
    state = JSON.parse(JSON.stringify(detector.state())) as DetectorState
  }
  assert.deepEqual(findings, whole)
})

test('a state is a copy: what comes later does not reach into it', () => {
  const [first, ...rest] = everyExample()
  assert.ok(first)
  const detector = createDetector(everyRule)
  detector.take(first)
  const state = detector.state()
  const text = JSON.stringify(state)
  for (const entry of rest) detector.take(entry)
  assert.equal(JSON.stringify(state), text)
})

test('a hundred thousand subjects stay within the tables, and what had to make room is counted', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const detector = createDetector(everyRule)
      let state = seed
      const next = (below: number) => {
        // Numerical Recipes' generator: any will do.
        state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
        return Math.floor((state / 2 ** 32) * below)
      }
      const [like] = played({ action: 'kms.decrypt' })
      assert.ok(like)
      for (let sequence = 0; sequence < 100_000; sequence++) {
        const status = [200, 200, 400, 403, 404][next(5)] ?? 200
        detector.take({
          ...like,
          ...kinds[sequence % kinds.length],
          ...{ sequence, eventID: `${sequence}`, createdAt: new Date(exampleStart + sequence * 1000).toISOString() },
          instance: sequence % 3 === 0 ? `w${next(1e9)}-1` : 'main-1',
          ...(status !== 200 && { outcome: 'failure', statusCode: status, error: 'INVALID_INPUT' }),
          ...{
            resourceIdentity: `kms-${next(1e9)}`,
            keySlug: `k${next(1e9)}`,
            actor: { type: 'user', id: `u${next(1e9)}` },
          },
          context: { clientIp: `2001:db8::${next(1e9).toString(16)}`, userAgent: `agent/${next(1e9)}` },
        })
      }
      const { rules } = detector.state()
      const { evicted, failed } = detector.health()
      assert.deepEqual(failed, {})
      const cells = Object.entries(rules).flatMap(([rule, { tables }]) =>
        Object.entries(tables).map(([name, table]) => ({ name: `${rule} ${name}`, ...table })),
      )
      for (const table of cells) assert.ok(table.cells.length <= 50_000, `${table.name} holds ${table.cells.length}`)
      for (const [rule, { tables }] of Object.entries(rules)) {
        const count = Object.values(tables).reduce((sum, table) => sum + table.evicted, 0)
        assert.equal(evicted[rule] ?? 0, count)
      }
      assert.ok(Object.keys(evicted).length > 0)
      assert.ok(JSON.stringify(rules).length < 50e6, `${JSON.stringify(rules).length}`)
    }),
    { numRuns: 1 },
  )
})

const kinds: readonly Partial<AuditEntry>[] = [
  { action: 'kms.decrypt' },
  { action: 'kms.verify', valid: false },
  { action: 'kms.decrypt', details: { decryptFailure: 'authentication_failed' } },
  { action: 'secret.get_value', resourceType: 'secret' },
  { action: 'audit.sink_down', resourceType: 'audit_log', details: { sink: 'siem' } },
  { action: 'audit.opened', resourceType: 'audit_log', details: { fields: 'clientIp=full' } },
  { action: 'kms.encrypt' },
]

test('every field of every kind of entry replaced by junk: no rule fails, and the detector goes on', () => {
  const detector = createDetector(everyRule)
  const [base] = played({ action: 'kms.decrypt' })
  assert.ok(base)
  const actions = [...new Set(everyRule.flatMap((rule) => rule.actions))].map((action) =>
    action.replace('*', 'encrypt'),
  )
  let sequence = 0
  let number = 0
  for (const action of actions) {
    for (const phase of ['result', 'intent'] as const) {
      const like = { ...fullEntry, ...base, details: fullEntry.details, action, phase, outcome: 'success' as const }
      for (const entry of tampered(like, junk)) {
        number += 1
        // Where it stands is not what is tried here, but for every hundredth.
        const isPlaced = number % 100 !== 0
        const createdAt = new Date(exampleStart + 1000 * sequence).toISOString()
        detector.take(isPlaced ? { ...entry, createdAt, sequence: sequence++, instance: 'main-1' } : entry)
      }
    }
  }
  const { failed, entries } = detector.health()
  assert.ok(entries > 20_000)
  assert.deepEqual(
    Object.keys(failed).filter((id) => id !== 'detector'),
    [],
    JSON.stringify(failed),
  )
  const again = createDetector([showing('showing')], {
    state: JSON.parse(JSON.stringify(detector.state())) as DetectorState,
  })
  assert.equal(again.take({ ...base, sequence }).length, 1)
})

test('hostile strings stay within one line of a finding', { skip: noShared }, () => {
  const lists = Object.values(sharedJson<Readonly<Record<string, unknown>>>('vectors/hostile.json'))
  const strings = lists.flatMap((list) => (Array.isArray(list) ? list : [])).filter((item) => typeof item === 'string')
  assert.ok(strings.length > 30)
  const entries = everyExample(40)
  const findings = strings.flatMap((text) => {
    const named = entries.map((entry) => ({
      ...entry,
      ...(entry.keySlug !== undefined && { keySlug: text }),
      ...(entry.actor !== undefined &&
        entry.resourceType !== 'audit_log' && { actor: { type: 'user', id: text } as const }),
      ...(entry.details?.sink !== undefined && { details: { ...entry.details, sink: text } }),
    }))
    return findingsOf(everyRule, named)
  })
  assert.ok(findings.length > 100)
  for (const { says } of findings) {
    assert.doesNotMatch(says, /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u)
    assert.ok(says.length < 4000)
  }
})

test('a clock that is set back or years ahead: no flood, and nobody is blind for long', () => {
  const burst = (after: string, back = 0): readonly Step[] => [
    { action: 'kms.decrypt', times: 12, every: '5s', after, with: { outcome: 'failure', statusCode: 400 } },
    { action: 'kms.decrypt', with: { durationMs: back } },
  ]
  const entries = played(...burst('1s'), ...burst('2h'), ...burst('2h'))
  const shifted = (from: number, by: number) =>
    entries.map((entry, at) =>
      at < from ? entry : { ...entry, createdAt: new Date(Date.parse(entry.createdAt) + by).toISOString() },
    )
  const repeated = (list: readonly AuditEntry[]) =>
    findingsOf(everyRule, list).filter(({ rule }) => rule === 'repeated-400').length
  assert.equal(repeated(entries), 3)
  for (const by of [-100 * 24 * hour, -24 * hour, -3 * hour, 24 * hour, 7000 * 24 * hour]) {
    // Between two bursts, and in the midst of one.
    assert.equal(repeated(shifted(13, by)), 3, `${by}`)
    assert.ok([2, 3].includes(repeated(shifted(18, by))), `${by}`)
    const findings = findingsOf(everyRule, shifted(13, by))
    assert.ok(findings.length < 30, saysOf(findings).join('\n'))
  }
})
