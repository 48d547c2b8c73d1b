/** @node Real processes, each with a scheduler, over one keystore and one trail. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { KmsClient } from '../../../src/client.ts'
import { systemClock } from '../../../src/model/clock.ts'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { openTrail, readTrail } from '../../../src/trail/index.ts'
import { fromSource } from '../../from-source.mjs'
import { freshFolder } from '../../storage/folder.ts'
import { day } from './stage.ts'

const child = fileURLToPath(new URL('scheduling-child.ts', import.meta.url))

function start(t: TestContext, what: string, folder = '') {
  const process_ = spawn(process.execPath, [...fromSource, child, what, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => process_.kill('SIGKILL'))
  const lines = createInterface({ input: process_.stdout })[Symbol.asyncIterator]()
  return {
    said: async () => (await lines.next()).value as string,
    go: () => process_.stdin.end('go\n'),
    exit: once(process_, 'exit'),
  }
}

test('of two processes on one keystore folder one holds it, the other waits and finds nothing due; a reader leaves it alone', async (t) => {
  const folder = freshFolder(t)
  const past = { ...systemClock, now: () => Date.now() - 40 * day }
  const local = await openLocalKms({
    path: join(folder, 'keys'),
    rootKey: new Uint8Array(32).fill(9),
    allowFilesystem: ['tmpfs'],
    clock: past,
  })
  const trail = await openTrail({
    path: join(folder, 'audit'),
    signer: local.auditSigner(),
    allowFilesystem: ['tmpfs'],
  })
  const kms = new KmsClient({ provider: local, audit: { required: [trail], clock: past } })
  await kms.createKey({ slug: 'monthly', rotationPeriodInDays: 30 })
  await kms.close()

  const first = start(t, 'writer', folder)
  assert.equal(await first.said(), 'open')
  const second = start(t, 'writer', folder)
  assert.equal(await second.said(), 'LOCKED')
  assert.equal(await start(t, 'reader', folder).said(), 'read-only rotated 0')
  first.go()
  assert.equal(await first.said(), 'rotated 1 overtaken 0 failed 0 fine')
  assert.equal(await second.said(), 'open')
  second.go()
  assert.equal(await second.said(), 'rotated 0 overtaken 0 failed 0 fine')
  assert.deepEqual(await first.exit, [0, null])
  assert.deepEqual(await second.exit, [0, null])

  const outcomes: string[] = []
  for await (const { entry } of readTrail(join(folder, 'audit'), { action: 'kms.rotate.scheduled' }))
    outcomes.push(`${entry.outcome} ${entry.actor?.id}`)
  assert.deepEqual(outcomes, ['pending keytrail-rotation', 'success keytrail-rotation'])
})

test('a scheduler does not keep its process alive', async (t) => {
  const idle = start(t, 'idle')
  assert.equal(await idle.said(), 'started')
  assert.deepEqual(await idle.exit, [0, null])
})
