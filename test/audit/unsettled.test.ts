/** @node A change whose provider cannot tell whether it was made: no result is guessed, and the next start records it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, readTrail } from '../../src/trail/index.ts'
import { faultyFileSystem } from '../storage/faults.ts'
import { freshFolder } from '../storage/folder.ts'

test('a keystore whose last sync failed: the intent stays open, and the next start tells what became of it', async (t) => {
  const folder = freshFolder(t)
  async function open(fs?: FileSystem) {
    const local = await openLocalKms({
      path: join(folder, 'keys'),
      rootKey: new Uint8Array(32).fill(7),
      ...(fs && { fs }),
    })
    const trail = await openTrail({ path: join(folder, 'audit'), signer: local.auditSigner() })
    return new KmsClient({ provider: local, audit: { required: [trail] } })
  }
  let failing = false
  const fs = faultyFileSystem({ fail: (step) => (failing && step === 'syncFolder' ? 'EIO' : undefined) })
  const first = await open(fs)
  await first.createKey({ slug: 'orders' })
  failing = true
  await assert.rejects(first.rotate({ key: 'orders' }), { code: 'OUTCOME_UNAUDITED', message: /may or may not/ })
  failing = false
  await assert.rejects(first.rotate({ key: 'orders' }), { code: 'INTERNAL', message: /open it again/ })
  await first.close()

  const second = await open()
  const { key } = await second.describeKey({ key: 'orders' })
  await second.close()
  assert.equal(key.latestVersion, 2)
  const told: string[] = []
  for await (const { entry } of readTrail(join(folder, 'audit'), { action: 'kms.rotate' }))
    told.push(`${entry.phase} ${entry.outcome} ${entry.details?.recovered ?? false} ${entry.details?.generation ?? ''}`)
  assert.deepEqual(told, [
    'intent pending false ',
    'intent pending false ',
    'result failure false ',
    'result success true 3',
  ])

  const third = await open()
  await third.ready()
  await third.close()
})
