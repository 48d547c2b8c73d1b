/** @node The README's table of providers says of each operation who has it, and every operation stands in it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { KMSClient } from '@aws-sdk/client-kms'
import { operations } from '../../src/model/operation.ts'
import type { KmsProvider } from '../../src/model/provider.ts'
import { awsKms } from '../../src/providers/aws-kms/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { vaultTransit } from '../../src/providers/vault-transit/index.ts'
import { newToken, noToken } from './pkcs11/token.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [, section = ''] = /\n## Providers\n([\s\S]*?)\n## /.exec(readme) ?? []

/** By operation, the cells of its row. */
const rows = new Map(
  section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => {
      const [, named = '', ...cells] = line.split('|')
      return [...named.matchAll(/`(\w+)`/g)].map(([, operation = '']) => [operation, cells] as const)
    }),
)
/** Of the embedded KMS on disk only; there is no such thing elsewhere. */
const unlisted = ['rewrapRootKey']

test('every operation has a row', () => {
  const listed = [...rows.keys()].filter((name) => name in operations)
  assert.deepEqual([...listed, ...unlisted].sort(), Object.keys(operations).sort())
})

const columns = {
  embedded: () => memoryKms(),
  'AWS KMS': () => awsKms({ client: new KMSClient({ region: 'eu-west-1' }) }),
  'Vault, OpenBao': () => vaultTransit({ address: 'http://127.0.0.1:1', token: 'none' }),
}
for (const [at, [name, open]] of Object.entries(columns).entries()) {
  test(`the column of ${name} is true`, () => assert.deepEqual(claimed(at), had(open())))
}

test('the column of PKCS#11 is true, of SoftHSM2', { skip: noToken }, async () => {
  const token = newToken()
  const provider = await token.open()
  try {
    assert.deepEqual(claimed(3), had(provider))
  } finally {
    await provider.close()
    token.remove()
  }
})

function claimed(column: number): readonly string[] {
  const has = ([operation, cells]: readonly [string, readonly string[]]) =>
    operation in operations && cells[column]?.trim().startsWith('✓') === true
  return [...rows]
    .filter(has)
    .map(([operation]) => operation)
    .sort()
}

function had(provider: KmsProvider): readonly string[] {
  return Object.keys(provider.operations).sort()
}
