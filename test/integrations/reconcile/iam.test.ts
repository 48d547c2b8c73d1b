/** @node The policies that the README gives: JSON, with AWS' own names, and exactly what the provider asks for. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { kindOf } from '../../../src/integrations/reconcile/names.ts'
import { noShared, sharedJson } from '../../shared.ts'

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const page = readFileSync(join(root, 'src/integrations/reconcile/README.md'), 'utf8')

interface Statement {
  readonly Sid: string
  readonly Effect: string
  readonly Action: string | readonly string[]
  readonly Condition?: object
}

const policies = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(
  ([, text = '']) => JSON.parse(text) as { readonly Version: string; readonly Statement: readonly Statement[] },
)
const [trust = assert.fail(), role = assert.fail(), key = assert.fail()] = policies
const actionsIn = ({ Action }: Statement) => (typeof Action === 'string' ? [Action] : Action)
const allowed = role.Statement.flatMap(actionsIn)

/** Operations of AWS KMS that the provider sends. */
const asked = [
  'CancelKeyDeletion',
  'CreateAlias',
  'CreateKey',
  'Decrypt',
  'DescribeKey',
  'DisableKey',
  'DisableKeyRotation',
  'EnableKey',
  'EnableKeyRotation',
  'Encrypt',
  'GenerateDataKey',
  'GenerateMac',
  'GetKeyRotationStatus',
  'GetPublicKey',
  'ListAliases',
  'ListKeyRotations',
  'ListKeys',
  'ListResourceTags',
  'ReEncrypt',
  'RotateKeyOnDemand',
  'ScheduleKeyDeletion',
  'Sign',
  'Verify',
  'VerifyMac',
]

/** The permissions of an operation, where they are not just its name. */
const permissions: Readonly<Record<string, readonly string[]>> = {
  ReEncrypt: ['ReEncryptFrom', 'ReEncryptTo'],
  // With labels.
  CreateKey: ['CreateKey', 'TagResource'],
}

const needed = asked.flatMap((operation) => permissions[operation] ?? [operation]).map((name) => `kms:${name}`)

test('there are three policies, of the one version that has conditions, each statement with a name of its own', () => {
  assert.equal(policies.length, 3)
  for (const { Version, Statement } of policies) {
    assert.equal(Version, '2012-10-17')
    assert.equal(new Set(Statement.map(({ Sid }) => Sid)).size, Statement.length)
    for (const { Effect } of Statement) assert.match(Effect, /^(?:Allow|Deny)$/)
  }
  assert.deepEqual(trust.Statement.flatMap(actionsIn), ['sts:AssumeRole'])
})

test('the role may do what the provider asks for, each once, and nothing else', () => {
  assert.deepEqual([...allowed].sort(), [...needed].sort())
})

test('every permission is one of AWS KMS', { skip: noShared }, () => {
  const model = sharedJson<{ operations: Readonly<Record<string, unknown>> }>('schemas/aws-kms-2014-11-01.api.min.json')
  const known = new Set([...Object.keys(model.operations), 'ReEncryptFrom', 'ReEncryptTo', '*'])
  for (const policy of [role, key])
    for (const action of policy.Statement.flatMap(actionsIn)) assert.ok(known.has(action.replace(/^kms:/, '')), action)
})

const sdk = join(root, 'src/providers/aws-kms/sdk.ts')
test('what the provider asks for is what its one file with commands names', {
  skip: !existsSync(sdk) && 'no such provider',
}, () => {
  const commands = [...readFileSync(sdk, 'utf8').matchAll(/^ {2}(\w+): \w+Command,$/gm)].map(([, name]) => name)
  assert.deepEqual([...new Set(commands)].sort(), asked)
})

test('the key is used by nobody else: every use is denied, and no administration', () => {
  const deny = key.Statement.find(({ Effect }) => Effect === 'Deny') ?? assert.fail()
  const names = actionsIn(deny).map((action) =>
    action.replace(/^kms:/, '').replace(/^ReEncrypt(?:From|To)$/, 'ReEncrypt'),
  )
  for (const name of names) assert.ok(name === 'CreateGrant' || kindOf(name) === 'use', name)
  for (const action of allowed.filter((one) => kindOf(one.replace('kms:', '')) === 'use'))
    assert.ok(actionsIn(deny).includes(action), action)
  assert.deepEqual(deny.Condition, { ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/keytrail' } })
})
