/** @node */
import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { systemClock } from '../../src/model/clock.ts'
import { openLocalKms } from '../../src/providers/local/open.ts'
import { openTrail } from '../../src/trail/open.ts'
import { readTrail } from '../../src/trail/reading/read.ts'
import { homeWith, type TestHome } from './run.ts'

let home: TestHome
let vkey = ''
// A home whose trail has several segments, most of them 500 days old: files of 64 MiB would take a while.
before(async () => {
  home = await homeWith([{ slug: 'orders' }], 500)
  const local = await openLocalKms({ path: join(home.dir, 'keys'), rootKeyFile: join(home.folder, 'root.key') })
  let daysAgo = 500
  const clock = { ...systemClock, now: () => systemClock.now() - daysAgo * 86_400_000 }
  const path = join(home.dir, 'audit')
  const trail = await openTrail({ path, signer: local.auditSigner(), segmentBytes: 4000, clock })
  vkey = trail.vkey
  const kms = new KmsClient({ provider: local, audit: { required: [trail], clock } })
  for (daysAgo of [500, 1])
    for (let call = 0; call < 20; call++) await kms.encrypt({ key: 'orders', plaintext: new Uint8Array(8) })
  await kms.close()
})

async function indexes(path: string): Promise<readonly number[]> {
  const found: number[] = []
  for await (const { index } of readTrail(path)) found.push(Number(index))
  return found
}

test('a dry run tells what would go, and nothing goes', async () => {
  const { code, stdout, stderr } = await home.run(['audit', 'prune', '--older-than', '400d', '--dry-run'])
  deepStrictEqual([code, stderr], [0, ''])
  match(stdout, /^would drop \d+ entries, 0 to \d+, in \d+ segments of \d+ bytes\n$/)
  strictEqual((await indexes(join(home.dir, 'audit')))[0], 0)
})

test('what is old goes into the archive, the entry says why, and both verify', async () => {
  const archive = join(home.folder, 'old.jsonl.gz')
  const args = ['--older-than', '400d', '--archive', archive, '--reason', 'retention', '--json']
  const { code, stdout, stderr } = await home.run(['audit', 'prune', ...args])
  deepStrictEqual([code, stderr], [0, ''])
  const told = JSON.parse(stdout)
  deepStrictEqual(
    [told.archive, told.archiveSha256, told.dryRun],
    [archive, createHash('sha256').update(readFileSync(archive)).digest('hex'), false],
  )
  const all = [...(await indexes(archive)), ...(await indexes(join(home.dir, 'audit')))]
  deepStrictEqual(
    all,
    all.map((_, at) => at),
  )
  strictEqual((await indexes(archive)).length, told.prunedBelow)
  for (const where of [[], [archive]]) {
    const verdict = await home.run(['audit', 'verify', ...where, '--vkey', vkey])
    deepStrictEqual([verdict.code, verdict.stderr], [0, ''], verdict.stdout)
  }
  const shown = await home.run(['audit', 'query', '--action', 'audit.pruned', '--json'])
  const { entry } = JSON.parse(shown.stdout)
  deepStrictEqual(
    [entry.reason.code, entry.details.archive, entry.details.prunedBelow],
    ['retention', 'old.jsonl.gz', String(told.prunedBelow)],
  )
  const archived = await home.run(['audit', 'query', archive, '--limit', '1', '--json'])
  strictEqual(JSON.parse(archived.stdout).index, 0)
})

test('when nothing is old enough it says so; what cannot be is a wrong command line', async () => {
  const none = await home.run(['audit', 'prune', '--older-than', '4000d'])
  deepStrictEqual([none.code, none.stderr], [0, ''])
  match(none.stdout, /^nothing to drop/)
  for (const args of [[], ['--older-than', '1y'], ['--older-than', '400']]) {
    const wrong = await home.run(['audit', 'prune', ...args])
    deepStrictEqual([wrong.code, wrong.stdout], [2, ''])
    match(wrong.stderr, /older-than/)
  }
  const nowhere = await home.run(['audit', 'prune', '--older-than', '4000d', '--dir', join(home.folder, 'none')])
  deepStrictEqual([nowhere.code, nowhere.stdout], [1, ''])
  strictEqual(existsSync(join(home.folder, 'none')), false)
})
