/** @node Each command of the installed SDK as an action, and those to come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as sdk from '@aws-sdk/client-kms'
import { commandOf } from '../../../src/integrations/aws-sdk/commands.ts'

const names = Object.keys(sdk).filter((name) => /^[A-Z]\w+Command$/.test(name))

test('the SDK has the commands that the table was made of', () => {
  assert.ok(names.length >= 54, String(names.length))
})

test('every command is an action as the schema has it', () => {
  for (const name of names) {
    const { action } = commandOf(name)
    assert.match(action, /^(?:kms|kms_key|kms_keystore)\.[a-z][a-z0-9_]*$/)
    assert.notEqual(action, 'kms_key.unknown')
  }
})

test('what changes something is a change: reads and uses of a key are named one by one', () => {
  const by = (kind: string) =>
    names.filter((name) => commandOf(name).kind === kind).map((name) => name.replace(/Command$/, ''))
  assert.deepEqual(
    by('read').filter((name) => !/^(?:Get|List|Describe)/.test(name)),
    [],
  )
  assert.deepEqual(by('crypto').sort(), [
    'Decapsulate',
    'Decrypt',
    'DeriveSharedSecret',
    'Encapsulate',
    'Encrypt',
    'GenerateDataKey',
    'GenerateDataKeyPair',
    'GenerateDataKeyPairWithoutPlaintext',
    'GenerateDataKeyWithoutPlaintext',
    'GenerateMac',
    'GenerateRandom',
    'ReEncrypt',
    'Sign',
    'Verify',
    'VerifyMac',
  ])
})

test('one that we do not know is named as AWS names it: a read by its first word, else a change', () => {
  const { action, kind } = commandOf('MeltHSMKey2Command')
  assert.deepEqual([action, kind], ['kms_key.melt_hsm_key2', 'change'])
  assert.equal(commandOf('ListMoltenKeysCommand').kind, 'read')
  assert.equal(commandOf('GettyCommand').kind, 'change')
  assert.equal(commandOf('ListenCommand').kind, 'change')
})

test('what is no name is a change without one', () => {
  for (const name of [
    undefined,
    '',
    'Command',
    17,
    'a b',
    'é',
    `X${'x'.repeat(99)}`,
    'toString',
    '__proto__',
    'constructor',
  ])
    assert.deepEqual([commandOf(name).action, commandOf(name).kind], ['kms_key.unknown', 'change'])
})
