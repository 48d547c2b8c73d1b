/** @node Two trails as one sink, and the disk of the first fails under it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { anyOf } from '../../src/sinks/combine.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { openTrail, readTrail, verifyTrail } from '../../src/trail/index.ts'
import { turn } from '../audit/puppet.ts'
import { faultyFileSystem, type Step } from '../storage/faults.ts'
import { freshFolder } from '../storage/folder.ts'

const plaintext = new Uint8Array(32)

async function entriesOf(path: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  for await (const { entry } of readTrail(path)) entries.push(entry)
  return entries
}

/** Time may pass only when nothing is being written: it would be late. */
async function written(kms: KmsClient): Promise<void> {
  await turn()
  while (kms.health().sinks.some(({ queued }) => queued > 0)) await turn()
}

describe('the disk of the main trail fails', () => {
  const ways: Readonly<Record<string, (step: Step) => string | undefined>> = {
    'every write': (step) => (step === 'write' ? 'EIO' : undefined),
    'every sync': (step) => (step === 'sync' ? 'EIO' : undefined),
    everything: () => 'EIO',
    'it is read-only': (step) => (step === 'open' || step === 'write' ? 'EROFS' : undefined),
    'it is full': (step) => (step === 'write' ? 'ENOSPC' : undefined),
  }
  for (const [what, way] of Object.entries(ways)) {
    test(`${what}: calls go on through the spare, both tell it, and both verify`, async (t) => {
      const folder = freshFolder(t)
      const clock = fakeClock()
      const [mainPath, sparePath] = [join(folder, 'main'), join(folder, 'spare')]
      let broken = false
      const fs = faultyFileSystem({
        fail: (step, _number, path) => (broken && path.startsWith(mainPath) ? way(step) : undefined),
        over: nodeFileSystem,
        separateSync: true,
      })
      const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: new Uint8Array(32).fill(7) })
      const signer = local.auditSigner()
      const main = await openTrail({ path: mainPath, signer, fs, clock })
      const spare = await openTrail({ path: sparePath, signer, clock })
      const sink = anyOf({ sinks: [main, spare], clock })
      const kms = new KmsClient({ provider: local, audit: { required: [sink], clock, heartbeatMs: 0 } })

      await kms.createKey({ slug: 'orders' })
      for (let at = 0; at < 5; at++) await kms.encrypt({ key: 'orders', plaintext })
      broken = true
      for (let at = 0; at < 20; at++) {
        await kms.encrypt({ key: 'orders', plaintext })
        await written(kms)
        clock.advance(300)
      }
      await kms.rotate({ key: 'orders' })
      assert.equal(kms.health().state, 'ok')
      assert.ok((sink.members[0]?.waiting ?? 0) >= 20)

      broken = false
      const lags = () => (sink.members[0]?.waiting ?? 0) > 0
      for (let at = 0; at < 100 && lags(); at++) {
        await written(kms)
        clock.advance(300)
        await kms.encrypt({ key: 'orders', plaintext })
        for (let round = 0; round < 500 && lags(); round++) await turn()
      }
      await written(kms)
      await kms.close()
      assert.deepEqual(
        sink.members.map(({ waiting, lost }) => [waiting, lost]),
        [
          [0, 0],
          [0, 0],
        ],
      )

      const [inMain, inSpare] = [await entriesOf(mainPath), await entriesOf(sparePath)]
      for (const entries of [inMain, inSpare]) {
        const told = entries.filter(({ action }) => action.startsWith('audit.sink_'))
        assert.deepEqual(
          told.map(({ action, details }) => `${action} ${details?.sink}`),
          ['audit.sink_down trail', 'audit.sink_up trail'],
        )
      }
      assert.deepEqual(
        inMain.map(({ eventID }) => eventID),
        inSpare.map(({ eventID }) => eventID),
        'no entry is missing, doubled or out of order',
      )
      for (const [path, { vkey }] of [
        [mainPath, main],
        [sparePath, spare],
      ] as const)
        assert.equal((await verifyTrail(path, { vkey })).verdict, 'valid')
    })
  }
})
