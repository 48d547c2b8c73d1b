/** @node Processes killed between the steps of a call: the next start finds out, and `correlate` tells. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { KmsClient } from '../../../src/client.ts'
import { type Correlation, correlate, secretsManager } from '../../../src/integrations/secrets-manager/index.ts'
import { openSecretFiles } from '../../../src/integrations/secrets-manager/secret-files.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { fileSigner, openTrail, readTrail, verifyTrail } from '../../../src/trail/index.ts'
import { fromSource } from '../../from-source.mjs'
import { freshFolder } from '../../storage/folder.ts'

const child = fileURLToPath(new URL('killed-child.ts', import.meta.url))
const allowFilesystem = ['tmpfs']

async function opened(folder: string) {
  const rootKeyFile = join(folder, 'root.key')
  const local = await openLocalKms({ path: `${folder}/keys`, rootKeyFile, allowFilesystem })
  const signer = await fileSigner(`${folder}/signer.key`)
  const trail = await openTrail({ path: `${folder}/audit`, signer, allowFilesystem })
  const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
  const secrets = secretsManager({ kms, store: await openSecretFiles({ path: `${folder}/secrets`, allowFilesystem }) })
  return {
    kms,
    secrets,
    async close() {
      await secrets.close()
      await kms.close()
    },
  }
}

/** The secret /a with one value. */
async function house(t: TestContext): Promise<string> {
  const folder = freshFolder(t)
  writeFileSync(join(folder, 'root.key'), crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 })
  const { kms, secrets, close } = await opened(folder)
  await kms.createKey({ slug: 'orders' })
  await secrets.create({ path: '/a', key: 'orders', secretString: 'value 1' })
  await close()
  return folder
}

/** Runs the child until it dies; with `killAfter`, until it has said so many lines. Resolves to what it said. */
async function run(folder: string, step: string, killAfter = Number.POSITIVE_INFINITY): Promise<readonly string[]> {
  const args = [...fromSource, child, folder, join(folder, 'root.key'), step]
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  process_.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.split('\n').length > killAfter) process_.kill('SIGKILL')
  })
  const [, signal] = await once(process_, 'close')
  assert.equal(signal, 'SIGKILL')
  return said.split('\n').slice(0, -1)
}

async function told(folder: string): Promise<{ readonly entries: AuditEntry[]; readonly calls: Correlation[] }> {
  const entries: AuditEntry[] = []
  for await (const { entry } of readTrail(`${folder}/audit`, { action: ['secret.*', 'kms.*'] })) entries.push(entry)
  const calls: Correlation[] = []
  for await (const call of correlate(readTrail(`${folder}/audit`))) calls.push(call)
  assert.equal((await verifyTrail(`${folder}/audit`)).verdict, 'valid')
  return { entries, calls }
}

test('killed between encryption and store: the put is a failure, its value nowhere, and still one chain', async (t) => {
  const folder = await house(t)
  await run(folder, 'encrypted')
  const { secrets, close } = await opened(folder)
  await secrets.ready()
  assert.equal((await secrets.get({ path: '/a' })).version, 1)
  await close()
  const { entries, calls } = await told(folder)
  const [result] = entries.filter(({ details }) => details?.recovered)
  assert.deepEqual([result?.action, result?.outcome, result?.resourceIdentity], ['secret.put_value', 'failure', '/a'])
  assert.deepEqual(
    calls.map(({ kind }) => kind),
    ['chain', 'chain', 'chain'],
  )
  assert.equal(calls[1]?.kms?.origin?.eventID, result?.operationID)
})

test('killed after the store: the put is a success', async (t) => {
  const folder = await house(t)
  await run(folder, 'kept')
  const { secrets, close } = await opened(folder)
  assert.equal((await secrets.get({ path: '/a' })).secretString, 'the last')
  await close()
  const { entries, calls } = await told(folder)
  const recovered = entries.filter(({ details }) => details?.recovered)
  assert.deepEqual(
    recovered.map(({ action, outcome }) => [action, outcome]),
    [['secret.put_value', 'success']],
  )
  assert.deepEqual(
    calls.map(({ kind }) => kind),
    ['chain', 'chain', 'chain'],
  )
})

test('killed after a deletion: it is known to be done, and then forgotten', async (t) => {
  const folder = await house(t)
  await run(folder, 'deleted')
  assert.equal(readdirSync(join(folder, 'secrets/secrets')).length, 1)
  assert.deepEqual(readdirSync(join(folder, 'secrets/values')), [])
  const { secrets, close } = await opened(folder)
  await assert.rejects(secrets.get({ path: '/a' }), { code: 'SECRET_NOT_FOUND' })
  await close()
  assert.deepEqual(readdirSync(join(folder, 'secrets/secrets')), [])
  const recovered = (await told(folder)).entries.filter(({ details }) => details?.recovered)
  assert.deepEqual(
    recovered.map(({ action, outcome }) => [action, outcome]),
    [['secret.delete', 'success']],
  )
})

test('killed between the entry of a decryption and that of the secret: an orphan, and nothing was released', async (t) => {
  const folder = await house(t)
  await run(folder, 'decrypted')
  const { secrets, close } = await opened(folder)
  await secrets.list()
  await close()
  const { calls } = await told(folder)
  assert.deepEqual(
    calls.map(({ kind, kms }) => [kind, kms?.action]),
    [
      ['chain', 'kms.encrypt'],
      ['orphan', 'kms.decrypt'],
      ['chain', undefined],
    ],
  )
})

test('killed anywhere, again and again: each value that was acknowledged is there, and each call has its entries', async (t) => {
  const folder = await house(t)
  const values = new Map([['1', 'value 1']])
  for (const lines of [4, 9, 6]) {
    for (const line of await run(folder, 'anywhere', lines)) {
      const [, version, value] = /^put (\d+) (.*)$/.exec(line) ?? []
      if (version !== undefined && value !== undefined) values.set(version, value)
    }
  }
  const { secrets, close } = await opened(folder)
  for (const [version, value] of values)
    assert.equal((await secrets.get({ path: '/a', version: Number(version) })).secretString, value)
  const { versions } = await secrets.describe({ path: '/a' })
  await close()
  assert.equal(readdirSync(join(folder, 'secrets/values')).length, versions.length)
  const { entries, calls } = await told(folder)
  const intents = entries.filter(({ phase, action }) => phase === 'intent' && action.startsWith('secret.'))
  for (const { operationID } of intents)
    assert.equal(entries.filter((entry) => entry.operationID === operationID && entry.phase === 'result').length, 1)
  const made = entries.filter(
    ({ action, outcome, phase }) => action === 'secret.put_value' && phase === 'result' && outcome === 'success',
  )
  assert.equal(made.length + 1, versions.length)
  assert.ok(calls.every(({ kind }) => kind === 'chain'))
})
