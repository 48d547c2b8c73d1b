/** @node */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVerifying } from '../../src/report/verifying.ts'
import { verifyTrail } from '../../src/trail/index.ts'
import { craft, vkeyOf } from '../trail/crafted.ts'
import { entriesFrom, folderFor, signerOf } from '../trail/entries.ts'

interface Cleaning {
  after(run: () => void): void
}

function trailFor(t: Cleaning): string {
  const batches = [{ entries: entriesFrom(0, 50), signers: [signerOf(1)] }]
  return craft(folderFor(t), { batches, vkeys: [{ vkey: vkeyOf(signerOf(1)), fromIndex: 0 }] }).folder
}

const thread = 0
const noThread = Number.POSITIVE_INFINITY

test('verified in a thread or in this one, the verdict is that of verifyTrail, and progress is told', async (t) => {
  const path = trailFor(t)
  const vkey = vkeyOf(signerOf(1))
  for (const threadFrom of [thread, noThread]) {
    const told: string[] = []
    const verifying = await startVerifying({
      ...{ path, options: { vkey }, threadFrom },
      onProgress: ({ instance, bytes, totalBytes }) => told.push(`${instance} ${bytes === totalBytes}`),
    })
    // A thread cannot have answered yet: nothing was waited for since it started.
    assert.equal(verifying.verdict !== undefined, threadFrom === noThread)
    assert.deepEqual(await verifying.ended(), await verifyTrail(path, { vkey }))
    assert.equal(verifying.verdict?.verdict, 'valid')
    assert.equal(told.at(-1), 'main true')
    verifying.check()
    await verifying.stop()
  }
})

test('what the verification fails of is told as verifyTrail tells it', async (t) => {
  const path = trailFor(t)
  const pin = join(path, 'no-such-pin')
  const failure = { name: 'KmsError', code: 'INVALID_INPUT', message: /no-such-pin/ }
  const order = { path, options: { pin }, onProgress() {} }
  await assert.rejects(verifyTrail(path, { pin }), failure)
  await assert.rejects(startVerifying({ ...order, threadFrom: noThread }), failure)
  const verifying = await startVerifying({ ...order, threadFrom: thread })
  await assert.rejects(verifying.ended(), failure)
  assert.throws(verifying.check, failure)
  await verifying.stop()
})

test('what cannot be handed to a thread is refused as it is here', async (t) => {
  // As plain JavaScript may give it.
  const options: object = { vkey: () => 'x' }
  const order = { path: trailFor(t), options, onProgress() {} }
  const failure = { name: 'KmsError', code: 'INVALID_INPUT' }
  await assert.rejects(startVerifying({ ...order, threadFrom: noThread }), failure)
  await assert.rejects(startVerifying({ ...order, threadFrom: thread }), failure)
})

test('a thread that nobody asks any more is ended, and verifies nothing here instead', async (t) => {
  const told: unknown[] = []
  const path = trailFor(t)
  const verifying = await startVerifying({ path, options: {}, threadFrom: thread, onProgress: (at) => told.push(at) })
  await verifying.stop()
  assert.deepEqual([told, verifying.verdict], [[], undefined])
  await assert.rejects(verifying.ended(), { code: 'ABORTED' })
})
