/** Settings from a file: what is right is taken, what is wrong is named. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkSettings } from '../../src/detect/settings.ts'
import { shippedRules } from '../../src/detect/shipped.ts'

const now = Date.UTC(2026, 0, 2)
const suppression = { id: 's', rule: 'export', until: '2026-02-01T00:00:00Z', reason: 'T-42', by: 'user:alice' }

test('time zone, parameters, rules left out and suppressions', () => {
  const given = {
    timeZone: 'Europe/Amsterdam',
    rules: { 'repeated-400': { atLeast: 5 }, export: false },
    suppressions: [suppression],
  }
  const settings = checkSettings(JSON.parse(JSON.stringify(given)), { now })
  assert.deepEqual(settings, { ...given, suppressions: [{ ...suppression, until: '2026-02-01T00:00:00.000Z' }] })
  const rules = shippedRules(settings.rules)
  assert.ok(rules.every(({ id }) => id !== 'export'))
  assert.equal(rules.find(({ id }) => id === 'repeated-400')?.parameters['atLeast'], 5)
})

test('nothing at all is fine', () => {
  assert.deepEqual(checkSettings({}), {})
})

describe('refuses', () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['what is no object', [], /'settings' must be an object/],
    ['null', null, /'settings' must be an object/],
    [
      'a name that there is not',
      { timezone: 'UTC' },
      /'settings' has no 'timezone': it has timeZone, rules, suppressions/,
    ],
    ['a time zone that there is not', { timeZone: 'Mars/Olympus' }, /'timeZone' must be an IANA name/],
    ['a time zone that is no text', { timeZone: 1 }, /'timeZone' must be a text/],
    ['a rule that there is not', { rules: { exports: false } }, /'rules' has no 'exports': it has .*export/],
    ['a rule of a prototype', JSON.parse('{"rules":{"__proto__":{}}}'), /'rules' has no '__proto__'/],
    ['true for a rule', { rules: { export: true } }, /'rules\.export' must be an object of parameters, or false/],
    ['a parameter that there is not', { rules: { 'repeated-400': { least: 1 } } }, /has no parameter 'least'/],
    ['a parameter of another kind', { rules: { 'repeated-400': { atLeast: '5' } } }, /must be a number/],
    [
      'a suppression of no rule',
      { suppressions: [{ ...suppression, rule: 'exports' }] },
      /names no rule that there is/,
    ],
  ]
  for (const [what, given, message] of wrong)
    test(what, () => {
      assert.throws(() => checkSettings(given, { now }), { code: 'INVALID_INPUT', message })
    })
})
