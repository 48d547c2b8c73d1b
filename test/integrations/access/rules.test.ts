import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AccessRule, accessPolicy, checkRules } from '../../../src/integrations/access/index.ts'
import { KmsError } from '../../../src/model/errors.ts'

const rule = { id: 'orders', effect: 'allow', actors: ['user:alice'], actions: ['kms:Decrypt'], keys: ['orders'] }
const hours = { startHour: 9, endHour: 17, timezone: 'UTC' }

/** What is wrong, and what must be said of it. */
const wrong: readonly (readonly [string, unknown, RegExp])[] = [
  ['no list', { rules: [rule] }, /^the rules must be a list/],
  ['no rules', [], /at least one/],
  ['too many', new Array(10_001).fill(rule), /at most 10000/],
  ['a text', ['allow'], /'rules\[0\]' must be an object/],
  ['a hole', new Array(1), /'rules\[0\]' must be an object/],
  ['no id', [{ ...rule, id: undefined }], /'rules\[0\]\.id'/],
  ['an id with a space', [{ ...rule, id: 'a b' }], /'rules\[0\]\.id'/],
  ['an id of an object', [{ ...rule, id: { toString: () => 'x' } }], /'rules\[0\]\.id'/],
  ['an id twice', [rule, { ...rule, effect: 'deny' }], /'orders' must have an id of its own/],
  ['an effect', [{ ...rule, effect: 'Deny' }], /'orders\.effect' must be allow or deny/],
  ['a field that is misspelt', [{ ...rule, network: ['10.0.0.0/8'] }], /'orders' must have no field 'network'/],
  ['a field called __proto__', JSON.parse('[{"id":"orders","__proto__":{"effect":"allow"}}]'), /no field '__proto__'/],
  ['no actors', [{ ...rule, actors: undefined }], /'orders\.actors' must be a list of 1/],
  ['actors that are empty', [{ ...rule, actors: [] }], /'orders\.actors' must be a list of 1/],
  ['actors that are a text', [{ ...rule, actors: 'user:alice' }], /'orders\.actors' must be a list of 1/],
  ['an actor without a type', [{ ...rule, actors: ['alice'] }], /'orders\.actors' must hold \*, unknown, or a type/],
  ['an actor of a type that there is not', [{ ...rule, actors: ['users:alice'] }], /'orders\.actors' must hold/],
  ['an actor of a type of Object', [{ ...rule, actors: ['toString:alice'] }], /'orders\.actors' must hold/],
  ['an actor without an id', [{ ...rule, actors: ['user:'] }], /'orders\.actors' must hold/],
  ['any type of actor', [{ ...rule, actors: ['*:alice'] }], /'orders\.actors' must hold/],
  ['an actor that is a number', [{ ...rule, actors: [7] }], /'orders\.actors' must be a list of texts/],
  ['actions that are empty', [{ ...rule, actions: [] }], /'orders\.actions' must be a list of 1/],
  ['an action that there is not', [{ ...rule, actions: ['kms:Decrpyt'] }], /'orders\.actions' must hold permissions/],
  ['an action of an entry', [{ ...rule, actions: ['kms.decrypt'] }], /'orders\.actions' must hold permissions/],
  ['an action of Object', [{ ...rule, actions: ['constructor'] }], /'orders\.actions' must hold permissions/],
  ['a pattern of actions', [{ ...rule, actions: ['kms:De*'] }], /'orders\.actions' must hold permissions/],
  ['keys that are empty', [{ ...rule, keys: [] }], /'orders\.keys' must be a list of 1/],
  ['a key that is empty', [{ ...rule, keys: [''] }], /'orders\.keys' must hold patterns of 1/],
  ['a key that is long', [{ ...rule, keys: ['a'.repeat(513)] }], /'orders\.keys' must hold patterns of 1/],
  ...['pay?', 'pay[a-z]', '{a,b}', '!pay', '^pay', 'a\\*', '**', ' pay', 'pay ', 'a\nb'].map(
    (key) =>
      [`the key ${JSON.stringify(key)}`, [{ ...rule, keys: [key] }], /'orders\.keys' must hold patterns with/] as const,
  ),
  ['projects that are empty', [{ ...rule, projects: [] }], /'orders\.projects' must be a list of 1/],
  ['regions that are empty', [{ ...rule, regions: [] }], /'orders\.regions' must be a list of 1/],
  ['networks that are empty', [{ ...rule, networks: [] }], /'orders\.networks' must be a list of 1/],
  ['networks that are null', [{ ...rule, networks: null }], /'orders\.networks' must be a list of 1/],
  ['a network with bits beyond', [{ ...rule, networks: ['10.1.2.3/8'] }], /'orders\.networks' must hold networks/],
  ['hours that are null', [{ ...rule, hours: null }], /'orders\.hours' must be an object/],
  ['hours without a zone', [{ ...rule, hours: { startHour: 9, endHour: 17 } }], /'orders\.hours\.timezone'/],
  ['a zone that there is not', [{ ...rule, hours: { ...hours, timezone: 'Mars' } }], /'orders\.hours\.timezone'/],
  ['hours with more', [{ ...rule, hours: { ...hours, days: [1] } }], /'orders\.hours' must have no field 'days'/],
]

describe('rules that are wrong are refused, and it is said which and why', () => {
  for (const [name, rules, message] of wrong)
    test(name, () => {
      const refusal = (error: unknown) =>
        error instanceof KmsError && error.code === 'INVALID_INPUT' && message.test(error.message)
      assert.throws(() => checkRules(rules), refusal)
      assert.throws(() => accessPolicy({ rules: rules as readonly AccessRule[] }), refusal)
    })
})

test('rules that are right come back as a copy, frozen to the last list', () => {
  const given = {
    ...rule,
    actors: ['user:alice', 'serviceAccount:billing-*', 'client:CN=A B,O=c:d', 'system:*', '*', 'unknown'],
    actions: ['kms:ReadAccess', 'kms:*', 'kms:FullAccess', 'kms:Export'],
    keys: ['orders', 'kms-abc*', 'arn:aws:kms:*:key/1', 'transit/pay.roll', 'é'],
    projects: ['billing'],
    regions: ['nl-*'],
    networks: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'],
    hours,
  }
  const [checked] = checkRules([given])
  assert.deepEqual(checked, given)
  for (const part of [checked, ...Object.values(checked ?? {})]) assert.ok(Object.isFrozen(part))
  given.keys.push('payroll')
  assert.equal(checked?.keys.includes('payroll'), false)
})

test('options that are wrong are refused', () => {
  const rules = checkRules([rule])
  for (const options of [
    undefined,
    null,
    { rules, provider: null },
    { rules, hideExistence: 'yes' },
    { rules, hideExistence: true },
    { rules, hideExistence: true, provider: { name: 'x', operations: {} } },
    { rules, clock: {} },
  ])
    assert.throws(() => accessPolicy(options as never), { name: 'KmsError', code: 'INVALID_INPUT' })
})
