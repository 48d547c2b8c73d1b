import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { fromSource } from '../../from-source.mjs'
import { freshFolder } from '../../storage/folder.ts'
import { bytes, run } from '../calls.ts'

const child = fileURLToPath(new URL('rotating-child.ts', import.meta.url))
const rootKey = randomBytes(32)

test('a process killed while it rotates has lost no version that it acknowledged, and its lock is free at once', async (t) => {
  const path = join(freshFolder(t), 'keys')
  let kms = await openLocalKms({ path, rootKey })
  await run(kms, 'createKey', { slug: 'k' })
  for (let round = 0; round < 4; round++) {
    const { ciphertext, keyVersion = 0 } = await run(kms, 'encrypt', { key: 'k', plaintext: bytes('kept') })
    await kms.close()
    const args = [...fromSource, child, path, rootKey.toString('hex')]
    const victim = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const killAt = keyVersion + 1 + round * 3
    let acknowledged = 0
    for await (const line of createInterface({ input: victim.stdout })) {
      acknowledged = Number(line)
      if (acknowledged === killAt) victim.kill('SIGKILL')
    }
    if (victim.exitCode === null && victim.signalCode === null) await once(victim, 'exit')
    assert.equal(victim.signalCode, 'SIGKILL')
    kms = await openLocalKms({ path, rootKey })
    const { key } = await run(kms, 'describeKey', { key: 'k' })
    assert.ok(key.latestVersion === acknowledged || key.latestVersion === acknowledged + 1, `${key.latestVersion}`)
    assert.deepEqual((await run(kms, 'decrypt', { key: 'k', ciphertext })).plaintext, bytes('kept'))
  }
  await kms.close()
})
