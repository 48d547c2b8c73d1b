/** @node The trail verified by code that shares nothing with ours: verify.py, on Python's hashlib and the openssl command. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { entriesFrom, entryAt, folderFor, hastyFileSystem, segmentsIn, signerOf } from './entries.ts'

const script = fileURLToPath(new URL('verify.py', import.meta.url))
const missing = ['python3', 'openssl'].filter(
  (tool) => spawnSync(tool, ['--version']).status !== 0 && spawnSync(tool, ['version']).status !== 0,
)
const skip =
  missing.length > 0 && process.env['CI'] !== 'true' ? `${missing.join(' and ')} not found: no second verifier` : false

interface Answer {
  readonly valid: boolean
  readonly size?: number
  readonly root?: string
  readonly problem?: string
}

function secondVerdict(folder: string, vkey: string): Answer {
  const { stdout, stderr } = spawnSync('python3', [script, folder, vkey], { encoding: 'utf8' })
  ok(stdout.startsWith('{'), stderr)
  return JSON.parse(stdout) as Answer
}

test('a second verifier finds the same size and root, and the same tampering', { skip }, async (t) => {
  const path = folderFor(t)
  const trail = await openTrail({ path, signer: signerOf(7), segmentBytes: 20_000, fs: hastyFileSystem })
  for (let next = 0, count = 1; next < 100; next += count, count = 1 + (next % 9))
    await trail.write(entriesFrom(next, count))
  await trail.write([entryAt(1000, { actor: { type: 'user', id: 'Zoë \u202e \ud83d\ude42 "\n' } })])
  await trail.close()
  const { size, root, verdict } = await verifyTrail(path, { vkey: trail.vkey })
  strictEqual(verdict, 'valid')
  deepStrictEqual(secondVerdict(trail.path, trail.vkey), {
    valid: true,
    size: Number(size),
    root: Buffer.from(root).toString('hex'),
  })

  const [segment] = segmentsIn(trail.path)
  ok(segment)
  for (let at = 11; at < segment.bytes.length; at += 1499) {
    const bytes = Buffer.from(segment.bytes)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(segment.path, bytes)
    strictEqual((await verifyTrail(path)).verdict, 'tampered', `byte ${at}`)
    strictEqual(secondVerdict(trail.path, trail.vkey).valid, false, `byte ${at}`)
  }
  writeFileSync(segment.path, segment.bytes)
  strictEqual(secondVerdict(trail.path, trail.vkey).valid, true)
  const other = await openTrail({ path, instance: 'other', signer: signerOf(8), fs: hastyFileSystem })
  await other.close()
  strictEqual(secondVerdict(trail.path, other.vkey).valid, false)
  ok(readFileSync(join(trail.path, 'checkpoint'), 'utf8').includes(`\n${size}\n`))
})
