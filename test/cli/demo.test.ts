/** @node */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { keytrail, temporary } from './run.ts'

const nine = [
  'kms.encrypt',
  'kms.decrypt',
  'kms.sign',
  'kms.verify',
  'kms.hmac',
  'kms.verify_hmac',
  'kms.rotate',
  'kms.rotate.scheduled',
  'kms.export',
]

test('the demo needs nothing, shows all nine actions and their entries, and leaves nothing behind', async () => {
  const folder = temporary()
  const { code, stdout, stderr } = await keytrail(['demo'], { env: { TMPDIR: folder } })
  assert.equal(stderr, '')
  assert.equal(code, 0)
  const lines = stdout.split('\n')
  const done = lines.flatMap((line) => /^ {2}✓ (kms\.\S+)/.exec(line)?.[1] ?? [])
  assert.deepEqual(done, nine)
  for (const action of nine) {
    assert.ok(
      lines.some((line) => new RegExp(`^ *\\d+  \\S+ \\S+  ${action.replaceAll('.', '\\.')} .* success`).test(line)),
      `an entry of ${action}`,
    )
  }
  assert.match(stdout, /✗ kms\.decrypt .*INVALID_CIPHERTEXT/)
  assert.match(stdout, /✗ kms\.export .*EXPORT_NOT_ALLOWED/)
  assert.match(stdout, /✓ valid: main, \d+ entries/)
  const edited = /✗ tampered: .*\(entry (\d+),/.exec(stdout)?.[1]
  assert.ok(
    lines.some((line) => new RegExp(`^ *${edited}  .*kms\\.export .* success`).test(line)),
    'the edit is found where it was made',
  )
  assert.ok(lines.length < 60, 'short')
  assert.ok(
    lines.every((line) => [...line].length <= 100),
    'narrow',
  )
  assert.deepEqual(readdirSync(folder), [])
})

test('a demo in a folder is kept, and what it says of the trail is what audit verify says', async () => {
  const folder = temporary()
  const file = join(folder, 'photo.jpg')
  writeFileSync(file, new Uint8Array(100_000).fill(7))
  const dir = join(folder, 'demo')
  const { code, stdout } = await keytrail(['demo', file, '--dir', dir, '--json'])
  assert.equal(code, 0)
  const shown = JSON.parse(stdout)
  assert.deepEqual(
    shown.steps
      .filter((step: { outcome: string }) => step.outcome === 'success')
      .map((step: { action: string }) => step.action),
    nine,
  )
  assert.deepEqual(shown.file, { name: 'photo.jpg', size: 100_000 })
  assert.equal(shown.verdict.verdict, 'valid')
  assert.equal(shown.verdictOnEdited.verdict, 'tampered')
  const difference = [join(dir, 'audit'), join(dir, 'audit-edited')].map((trail) =>
    readFileSync(join(trail, 'main/segments/00000000000000000000.jsonl')),
  )
  const [before = Buffer.alloc(0), after = Buffer.alloc(0)] = difference
  assert.equal(before.length, after.length)
  assert.equal([...before].filter((byte, at) => byte !== after[at]).length, 1)

  assert.equal((await keytrail(['audit', 'verify', '--dir', dir])).code, 0)
  assert.equal((await keytrail(['audit', 'verify', join(dir, 'audit-edited')])).code, 1)
  const again = await keytrail(['demo', '--dir', dir])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /holds keys or a trail already/)
})

test('a demo of a file that cannot be used is refused in one line', async () => {
  const folder = temporary()
  mkdirSync(join(folder, 'tmp'))
  const { code, stdout, stderr } = await keytrail(['demo', join(folder, 'none')], {
    env: { TMPDIR: join(folder, 'tmp') },
  })
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^keytrail: PROVIDER_UNAVAILABLE: cannot read .*none: ENOENT\n$/)
  assert.deepEqual(readdirSync(join(folder, 'tmp')), [])
})
