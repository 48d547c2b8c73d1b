/** @node A process killed between intent and result: the next attach finds it, and says what it knows. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CreateKeyCommand, KMSClient, ListKeysCommand } from '@aws-sdk/client-kms'
import { createAudit } from '../../../src/audit/emitter.ts'
import { auditAwsKms } from '../../../src/integrations/aws-sdk/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import type { AuditSink } from '../../../src/model/sink.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { summary } from '../../../src/testing/summary.ts'
import { fileSigner, openTrail, readTrail, verifyTrail } from '../../../src/trail/index.ts'
import { fromSource } from '../../from-source.mjs'
import { startKmsEndpoint } from '../../providers/aws-kms/endpoint.ts'
import { sdkClient } from '../../providers/aws-kms/sdk-client.ts'
import { noShared } from '../../shared.ts'
import { freshFolder } from '../../storage/folder.ts'

const child = fileURLToPath(new URL('killed-child.ts', import.meta.url))

async function kmsEntries(path: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  for await (const { entry } of readTrail(path, { action: ['kms_key.*'] })) entries.push(entry)
  return entries
}

test('a change under way when the process was killed is closed as unknown by the next attach', {
  skip: noShared,
}, async (t) => {
  const folder = freshFolder(t)
  const endpoint = await startKmsEndpoint()
  t.after(() => endpoint.close())
  const plain = sdkClient(endpoint)
  t.after(() => plain.destroy())
  const { KeyMetadata } = await plain.send(new CreateKeyCommand({}))
  const KeyId = KeyMetadata?.Arn ?? ''
  endpoint.fault({ fault: { kind: 'slow', ms: 60_000 }, operation: 'ScheduleKeyDeletion' })

  const { accessKeyId, secretAccessKey } = endpoint.credentials
  const args = [folder, endpoint.url, accessKeyId, secretAccessKey, KeyId]
  const killed = spawn(process.execPath, [...fromSource, child, ...args], { stdio: ['ignore', 'inherit', 'pipe'] })
  let errors = ''
  killed.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const ended = once(killed, 'close')
  // AWS has done it, and nobody has heard.
  const done = () => endpoint.requests.some(({ operation, done }) => operation === 'ScheduleKeyDeletion' && done)
  while (!done() && killed.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5))
  killed.kill('SIGKILL')
  const [, signal] = await ended
  assert.equal(signal, 'SIGKILL', errors)
  assert.deepEqual(summary(await kmsEntries(`${folder}/audit`)), [
    'kms_key.list success',
    `kms_key.delete pending ${KeyId}`,
  ])

  // Nothing need be called: attaching is enough.
  const trail = await openTrail({ path: `${folder}/audit`, signer: await fileSigner(`${folder}/signer.key`) })
  const client = sdkClient(endpoint)
  t.after(() => client.destroy())
  const handle = auditAwsKms(client, { audit: { required: [trail] } })
  await handle.close()
  const [, intent, result, ...more] = await kmsEntries(`${folder}/audit`)
  assert.deepEqual(more, [])
  assert.equal(result?.outcome, 'unknown')
  assert.equal(result?.action, 'kms_key.delete')
  assert.equal(result?.operationID, intent?.operationID)
  assert.deepEqual(result?.actor, { type: 'user', id: 'alice', source: 'context' })
  assert.deepEqual(result?.details, { recovered: true })
  assert.equal(result?.provider?.name, 'aws-kms')
  assert.equal((await verifyTrail(`${folder}/audit`)).verdict, 'valid')

  // Closed is closed.
  const again = await openTrail({ path: `${folder}/audit`, signer: await fileSigner(`${folder}/signer.key`) })
  const last = auditAwsKms(new KMSClient({ region: 'eu-west-1' }), { audit: { required: [again] } })
  await last.ready()
  await last.close()
  assert.equal((await kmsEntries(`${folder}/audit`)).length, 3)
})

const intent: AuditEntry = {
  schema: 'keytrail/1',
  eventID: '01a2030b-518c-73b2-8df4-630d3a938405',
  operationID: '01a2030b-518c-73b2-8df4-630d3a938406',
  createdAt: '2026-11-22T11:36:43.148Z',
  instance: 'main-x',
  sequence: 4,
  action: 'kms_key.disable',
  phase: 'intent',
  resourceType: 'kms_key',
  resourceIdentity: 'some-key',
  outcome: 'pending',
  provider: { name: 'aws-kms' },
  salt: '5Ylfaf6GfL2f3k_c__C1Ug',
}

test('two clients of one audit close an open intent once', async () => {
  const sink = memorySink()
  const audit = createAudit({ required: [{ ...sink, openIntents: async () => [intent] }] })
  const handles = [0, 1].map(() => auditAwsKms(new KMSClient({ region: 'eu-west-1' }), { audit }))
  await Promise.all(handles.map((handle) => handle.ready()))
  assert.deepEqual(summary(sink.entries).slice(1), ['kms_key.disable unknown some-key'])
  await audit.close()
})

test("another provider's intents are left to it", async () => {
  const sink = memorySink()
  const openIntents = async () => [{ ...intent, provider: { name: 'local' } }]
  const handle = auditAwsKms(new KMSClient({ region: 'eu-west-1' }), {
    audit: { required: [{ ...sink, openIntents }] },
  })
  await handle.ready()
  assert.deepEqual(sink.entries, [])
  await handle.close()
})

test('while the open intents cannot be read nothing is sent, and the next call tries again', {
  skip: noShared,
}, async (t) => {
  const endpoint = await startKmsEndpoint()
  t.after(() => endpoint.close())
  const client = sdkClient(endpoint)
  t.after(() => client.destroy())
  const sink = memorySink()
  let failing = true
  const unreadable: AuditSink = {
    ...sink,
    openIntents: async () => {
      if (failing) throw new Error('disk')
      return [intent]
    },
  }
  const handle = auditAwsKms(client, { audit: { required: [unreadable] } })
  await assert.rejects(handle.ready(), { code: 'AUDIT_REFUSED' })
  await assert.rejects(client.send(new ListKeysCommand({})), { name: 'KmsError', code: 'AUDIT_REFUSED' })
  assert.equal(endpoint.requests.length, 0)
  failing = false
  await client.send(new ListKeysCommand({}))
  assert.deepEqual(summary(sink.entries).slice(1), ['kms_key.disable unknown some-key', 'kms_key.list success'])
  await handle.close()
})
