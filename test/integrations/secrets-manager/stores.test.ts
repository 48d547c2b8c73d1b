/** @node Both stores, held to the seam's contract; and the kit itself, held to stores that break it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { memorySecretStore, type SecretStore } from '../../../src/integrations/secrets-manager/index.ts'
import { openSecretFiles } from '../../../src/integrations/secrets-manager/secret-files.ts'
import { type SecretStoreUnderTest, secretStoreConformance } from '../../../src/integrations/secrets-manager/testing.ts'

async function inFolder(): Promise<SecretStoreUnderTest> {
  const path = mkdtempSync(join(tmpdir(), 'keytrail-secrets-'))
  const allowFilesystem = ['tmpfs']
  return {
    store: await openSecretFiles({ path, allowFilesystem }),
    reopen: () => openSecretFiles({ path, allowFilesystem }),
    dispose: () => rmSync(path, { recursive: true, force: true }),
  }
}

describe('memorySecretStore', () => {
  for (const { name, run } of secretStoreConformance(() => ({ store: memorySecretStore() }))) test(name, run)
})

describe('openSecretFiles', () => {
  for (const { name, run } of secretStoreConformance(inFolder)) test(name, run)
})

/** A store with one thing wrong, and the case that must find it. */
const broken: readonly (readonly [string, (inner: SecretStore) => Partial<SecretStore>, RegExp])[] = [
  ['a name that is none', () => ({ name: 'a b' }), /name/],
  [
    'forgets fields',
    (inner) => ({ read: async (path) => without(await inner.read(path), 'policy') }),
    /field for field/,
  ],
  ['gives its own bytes', (inner) => sharing(inner), /nor give out its own/],
  ['takes any revision', (inner) => careless(inner), /not as expected/],
  ['never destroys', (inner) => ({ write: (change) => inner.write({ ...change, destroys: 99 }) }), /destroyed/],
  [
    'lists without order',
    (inner) => ({ list: async (query) => [...(await inner.list(query))].reverse() }),
    /lists by path/,
  ],
  ['lists too many', (inner) => ({ list: (query) => inner.list({ ...query, limit: 1000 }) }), /lists by path/],
  ['calls everything done', () => ({ outcomeOf: () => 'done' }), /knows that the last change/],
  ['knows of nothing', () => ({ outcomeOf: () => 'unknown' }), /knows that the last change/],
  ['writes after close', () => ({ close: async () => undefined }), /closes twice/],
]
for (const [what, fault, named] of broken)
  test(`the kit finds a store that ${what}`, async () => {
    const failed: string[] = []
    for (const { name, run } of secretStoreConformance(() => {
      const inner = memorySecretStore()
      return { store: { ...inner, ...fault(inner) } }
    }))
      await run().catch(() => failed.push(name))
    assert.ok(
      failed.some((name) => named.test(name)),
      `found: ${failed.join(', ')}`,
    )
  })

function without<T extends object>(value: T | undefined, name: keyof T): T | undefined {
  if (value === undefined) return undefined
  const { [name]: _, ...rest } = value
  return rest as T
}

function sharing(inner: SecretStore): Partial<SecretStore> {
  const values = new Map<string, Uint8Array>()
  return {
    write(change) {
      if (change.value !== undefined) values.set(`${change.secret?.id}-${change.secret?.latestVersion}`, change.value)
      return inner.write(change)
    },
    readValue: (secret, version) => values.get(`${secret.id}-${version}`),
  }
}

function careless(inner: SecretStore): Partial<SecretStore> {
  return {
    async write(change) {
      const now = await inner.read(change.path)
      return inner.write({ ...change, expectRevision: now?.revision ?? 0 })
    },
  }
}
