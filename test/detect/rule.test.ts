import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineRule, type Parameters } from '../../src/detect/rule.ts'
import { everyRule, type RuleSettings, shippedRules } from '../../src/detect/shipped.ts'
import { KmsError } from '../../src/model/errors.ts'

const rule = defineRule({
  ...{
    id: 'night',
    title: 'Night',
    level: 'low',
    attack: [],
    why: '',
    falsePositives: [],
    whatToDo: '',
    actions: ['*'],
  },
  examples: [],
  parameters: { until: 6, within: '1h', loud: true, names: ['a'] as readonly string[], of: { a: 1 } },
  check({ until }) {
    if (until > 24) throw new KmsError('INVALID_INPUT', 'night.until must be an hour')
  },
  sees: ({ entry }, parameters) => ({ subject: {}, evidence: [entry.eventID], says: JSON.stringify(parameters) }),
})

test('some parameters change, the others stay, and the rule it was made of is as before', () => {
  const changed = rule.withParameters({ until: 5, names: [] })
  assert.deepEqual(changed.parameters, { ...rule.parameters, until: 5, names: [] })
  assert.deepEqual(changed.withParameters({ loud: false }).parameters, { ...changed.parameters, loud: false })
  assert.equal(rule.parameters['until'], 6)
  assert.deepEqual({ ...changed, parameters: 0 }.id, 'night')
})

test('a parameter that there is not, or of another kind, is refused with what is wrong', () => {
  const refusals: readonly (readonly [object, RegExp])[] = [
    [{ untill: 5 }, /rule 'night' has no parameter 'untill': it has until, within, loud, names, of/],
    [{ toString: 5 }, /has no parameter 'toString'/],
    [{ until: '5' }, /'night.until' must be a number$/],
    [{ until: Number.NaN }, /'night.until' must be a number of 0 or more/],
    [{ until: Number.POSITIVE_INFINITY }, /must be a number of 0 or more/],
    [{ until: -1 }, /must be a number of 0 or more/],
    [{ within: 5 }, /'night.within' must be a string/],
    [{ loud: 1 }, /'night.loud' must be a boolean/],
    [{ names: 'a' }, /'night.names' must be a list/],
    [{ of: ['a'] }, /'night.of' must be a object/],
    [{ of: null }, /'night.of' must be a object/],
    [{ until: 25 }, /night.until must be an hour/],
  ]
  for (const [changed, message] of refusals)
    assert.throws(() => rule.withParameters(changed as Parameters), {
      name: 'KmsError',
      code: 'INVALID_INPUT',
      message,
    })
})

test('shipped rules stand as they are but for what is set', () => {
  assert.deepEqual(shippedRules(), everyRule)
  const without = shippedRules({ export: false })
  assert.deepEqual(
    without.map(({ id }) => id),
    everyRule.map(({ id }) => id).filter((id) => id !== 'export'),
  )
  const changed = shippedRules({ 'repeated-400': { atLeast: 3 } }).find(({ id }) => id === 'repeated-400')
  assert.equal(changed?.parameters['atLeast'], 3)
})

test('a rule that there is not is refused, and so is a wrong parameter of one that there is', () => {
  const refused = (settings: object, message: RegExp) =>
    assert.throws(() => shippedRules(settings as RuleSettings), { name: 'KmsError', code: 'INVALID_INPUT', message })
  refused({ exports: false }, /there is no rule 'exports'/)
  refused({ constructor: false }, /there is no rule 'constructor'/)
  refused({ 'repeated-400': { atMost: 1 } }, /has no parameter 'atMost'/)
})

test('every length of time that a shipped rule takes is refused where it is none, with its name', () => {
  const refused = everyRule.flatMap((each) =>
    Object.entries(each.parameters)
      .filter(([, value]) => typeof value === 'string' && /^\d+(ms|s|m|h|d)$/.test(value))
      .map(([name]) => {
        const start = () => each.withParameters({ [name]: 'soon' }).start(nothing)
        assert.throws(
          start,
          { name: 'KmsError', code: 'INVALID_INPUT', message: new RegExp(name) },
          `${each.id}.${name}`,
        )
        return name
      }),
  )
  assert.ok(refused.length > 10)
})

const nothing = {
  table: () => nothingKept,
  record: <V>(_: string, make: () => V) => make(),
  wake: () => undefined,
  report: () => undefined,
  local: { hourOfWeek: () => 0, hour: () => 0, day: () => 0 },
}

const nothingKept = {
  size: 0,
  evicted: 0,
  of: () => assert.fail('nothing is shown to it'),
  get: () => undefined,
  delete: () => undefined,
  evict: () => undefined,
  entries: () => [][Symbol.iterator](),
}
