/** @node */
import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { createAudit } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/clock.ts'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { entriesFrom, folderFor, hastyFileSystem, signerOf } from './entries.ts'

test('what is pruned is covered by the published checkpoint, also when none was published for long', async (t) => {
  // Its timers run only when it is turned: nothing is published by itself.
  const clock = fakeClock()
  const path = folderFor(t)
  const trail = await openTrail({ path, signer: signerOf(1), clock, fs: hastyFileSystem, segmentBytes: 1 })
  const audit = createAudit({ required: [trail], clock })
  const createdAt = new Date(clock.now() - 40 * 86_400_000).toISOString()
  for (let at = 0; at < 5; at++) await trail.write(entriesFrom(10 * at, 10, { createdAt }))
  const { prunedBelow } = await trail.prune({ olderThan: '10d' })
  const { verdict, problem, ...told } = await verifyTrail(path, { vkey: trail.vkey })
  deepStrictEqual([verdict, problem, told.prunedBelow], ['valid', undefined, prunedBelow])
  await audit.close()
})
