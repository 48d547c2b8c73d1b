import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type BackupOptions, backup } from '../../src/backup/index.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { failureOf } from '../providers/calls.ts'
import { faultyFileSystem } from '../storage/faults.ts'
import { freshFolder } from '../storage/folder.ts'
import { entriesFrom } from '../trail/entries.ts'
import { type House, house, plaintext } from './house.ts'

function take(home: House, over: Partial<BackupOptions> = {}) {
  return backup({ keys: home.keys, audit: home.audit, out: home.out(), ...over })
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

/** A house with three keys and some entries, closed. */
async function lived(t: TestContext): Promise<House> {
  const home = house(t)
  const { kms } = await home.open({ trail: { segmentBytes: 4000 } })
  for (const slug of ['a', 'b', 'c']) await kms.createKey({ slug })
  for (let at = 0; at < 10; at++) await kms.encrypt({ key: 'a', plaintext })
  await kms.close()
  return home
}

test('a backup holds the keystore, the trail and nothing else, lists each file, and verifies', async (t) => {
  const home = await lived(t)
  const manifest = await take(home)
  const out = home.out()
  assert.deepEqual(filesIn(out), ['backup.json', ...manifest.files.map(({ path }) => path)].sort())
  for (const { path, bytes, sha256 } of manifest.files) {
    const content = readFileSync(join(out, path))
    assert.equal(content.length, bytes)
    assert.equal(createHash('sha256').update(content).digest('hex'), sha256)
    assert.equal(statSync(join(out, path)).mode & 0o777, 0o600)
    assert.equal(statSync(dirname(join(out, path))).mode & 0o777, 0o700)
  }
  assert.ok(manifest.files.filter(({ path }) => path.startsWith('audit/main/segments/')).length > 2)
  assert.ok(!manifest.files.some(({ path }) => /lock|reserve|sock|tmp/.test(path)))
  assert.equal(manifest.generation, 4)
  const { instances } = await verifyTrail(join(out, 'audit'))
  const original = await verifyTrail(home.audit)
  assert.deepEqual(
    manifest.trails,
    instances.map(({ instance, origin, size, root }) => ({ instance, origin, size, root })),
  )
  assert.deepEqual([instances[0]?.verdict, instances[0]?.root], ['valid', original.root])
})

test('every instance is copied, also when one is named', async (t) => {
  const home = await lived(t)
  const { kms } = await home.open({ trail: { instance: 'second' } }).catch(async () => home.open())
  await kms.close()
  const names = readdirSync(home.audit).sort()
  assert.deepEqual(
    (await take(home)).trails.map(({ instance }) => instance),
    names,
  )
  const one = await take(home, { audit: join(home.audit, 'main'), out: home.out('one') })
  assert.deepEqual(
    one.trails.map(({ instance }) => instance),
    ['main'],
  )
  assert.ok(existsSync(join(home.out('one'), 'audit/main/trail.json')))
})

test('what is being written is left out: the copy ends with a commit line', async (t) => {
  const home = await lived(t)
  const segments = join(home.audit, 'main/segments')
  const last = join(segments, readdirSync(segments).sort().at(-1) ?? '')
  const whole = readFileSync(last)
  const { trails } = await take(home, { out: home.out('whole') })
  for (const tail of ['{"schema":"keytrail/1","half', '{"schema":"keytrail/1"}\n', '{"schema":1}\n{"commit":{"from":'])
    await t.test(`such as ${tail.trim()}`, async () => {
      writeFileSync(last, whole)
      appendFileSync(last, tail)
      const out = join(freshFolder(t), 'backup')
      assert.deepEqual((await take(home, { out })).trails, trails)
      assert.equal((await verifyTrail(join(out, 'audit'))).unsignedTail, undefined)
    })
})

test('a trail without a batch, and one whose newest segment has none, are copied as they are', async (t) => {
  const home = house(t)
  const { local, trail } = await home.open()
  const { trails } = await take(home)
  assert.deepEqual(
    trails.map(({ size }) => size),
    [0n],
  )
  await trail.write(entriesFrom(0, 3))
  await trail.close()
  const next = join(home.audit, 'main/segments/00000000000000000003.jsonl')
  writeFileSync(next, '{"schema":', { mode: 0o600 })
  assert.deepEqual(
    (await take(home, { out: home.out('second') })).trails.map(({ size }) => size),
    [3n],
  )
  await local.close()
})

test('backups taken while keys are made, rotated and used verify, and are of one moment', async (t) => {
  const home = house(t)
  const { kms } = await home.open({ trail: { segmentBytes: 20_000 } })
  await kms.createKey({ slug: 'k' })
  let over = false
  const work = [0, 1, 2].map(async (worker) => {
    for (let at = 0; !over; at++) {
      await kms.encrypt({ key: 'k', plaintext })
      if (at % 500 === worker * 150) await kms.rotate({ key: 'k' })
    }
  })
  try {
    for (let round = 0; round < 5; round++) await takenAt(home, home.out(`backup-${round}`))
  } finally {
    over = true
    await Promise.all(work)
  }
})

/** The keystore's generation must be the last that the trail tells of, or those of intents that are still open. */
async function takenAt(home: House, out: string): Promise<void> {
  const { generation } = await take(home, { out })
  const lines = readdirSync(join(out, 'audit/main/segments'))
    .sort()
    .flatMap((name) =>
      readFileSync(join(out, 'audit/main/segments', name), 'utf8')
        .trimEnd()
        .split('\n'),
    )
    .map((line) => JSON.parse(line))
  const told = Math.max(1, ...lines.map(({ details }) => details?.generation ?? 1))
  const closed = new Set(lines.filter(({ phase }) => phase === 'result').map(({ operationID }) => operationID))
  const open = lines.filter(({ phase, operationID }) => phase === 'intent' && !closed.has(operationID))
  assert.ok(generation >= told && generation <= told + open.length, `${generation} ${told} ${open.length}`)
}

test('a change that comes between is waited out, and one at every try is too many', async (t) => {
  const home = house(t)
  const { kms } = await home.open()
  await kms.createKey({ slug: 'k' })
  let changes = 1
  let isOn = true
  const fs = {
    ...nodeFileSystem,
    async readFile(path: string) {
      const bytes = await nodeFileSystem.readFile(path)
      if (!path.endsWith('.keys') || changes-- <= 0) return bytes
      // Not rotations: there are hundreds, and the keystore would grow by each.
      isOn = !isOn
      await (isOn ? kms.enableKey({ key: 'k' }) : kms.disableKey({ key: 'k' }))
      return bytes
    },
  }
  assert.equal((await take(home, { fs })).generation, 3)
  assert.equal(changes, -1)
  changes = Number.POSITIVE_INFINITY
  const error = await failureOf(take(home, { fs, out: home.out('never') }))
  assert.deepEqual([error.code, error.retryable], ['PROVIDER_UNAVAILABLE', true])
  assert.match(error.message, /changed all the time/)
  assert.ok(!existsSync(home.out('never')) && !existsSync(`${home.out('never')}.partial`))
})

test('a segment that goes while it is copied, and a trail.json that changes, are begun again', async (t) => {
  const home = await lived(t)
  const first = join(home.audit, 'main/segments/00000000000000000000.jsonl')
  const about = join(home.audit, 'main/trail.json')
  let gone = 0
  const vanishing = {
    ...nodeFileSystem,
    async readFile(path: string) {
      if (path === first && gone++ === 0) throw Object.assign(new Error(), { code: 'ENOENT' })
      return nodeFileSystem.readFile(path)
    },
  }
  await take(home, { fs: vanishing })
  assert.equal(gone, 2)
  let read = 0
  const changing = {
    ...nodeFileSystem,
    async readFile(path: string) {
      const bytes = await nodeFileSystem.readFile(path)
      return path === about && read++ === 0 ? bytes.slice(1) : bytes
    },
  }
  await take(home, { fs: changing, out: home.out('second') })
  assert.ok(read > 3)
})

test('a taken or unfinished folder, and a place without keys or trail, are refused', async (t) => {
  const home = await lived(t)
  mkdirSync(home.out())
  await take(home)
  const again = await failureOf(take(home))
  assert.deepEqual([again.code, /not empty/.test(again.message)], ['INVALID_INPUT', true])
  mkdirSync(home.out('other.partial'))
  assert.match((await failureOf(take(home, { out: home.out('other') }))).message, /left from an earlier attempt/)
  const nowhere = join(home.folder, 'nowhere')
  for (const [over, message] of [
    [{ keys: nowhere }, /holds no keystore/],
    [{ audit: nowhere }, /no trail at/],
    [{ keys: '' }, /needs 'keys'/],
  ] as const) {
    const error = await failureOf(take(home, { ...over, out: home.out('third') }))
    assert.equal(error.code, 'INVALID_INPUT')
    assert.match(error.message, message)
    assert.ok(!existsSync(home.out('third')) && !existsSync(`${home.out('third')}.partial`))
  }
})

test('a trail that was changed, or is signed by another key than the one given, makes no backup', async (t) => {
  const home = await lived(t)
  const other = await openTrail({ path: freshFolder(t), signer: (await house(t).open()).local.auditSigner() })
  assert.equal((await failureOf(take(home, { vkey: other.vkey }))).code, 'INTERNAL')
  const first = join(home.audit, 'main/segments/00000000000000000000.jsonl')
  writeFileSync(first, readFileSync(first, 'utf8').replace('"slug":"a"', '"slug":"x"').replace('success', 'failure'))
  const error = await failureOf(take(home))
  assert.equal(error.code, 'INTERNAL')
  assert.match(error.message, /'main' is tampered: .*verify the original/)
  assert.ok(!existsSync(home.out()))
})

test('whatever step fails, there is a whole backup or none', async (t) => {
  const home = await lived(t)
  for (let step = 0, done = false; !done; step++) {
    const out = join(freshFolder(t), 'backup')
    const fs = faultyFileSystem({ fail: (_step, number) => (number === step ? 'EIO' : undefined) })
    const taken = await take(home, { fs, out }).catch((error) => error)
    done = fs.steps.length <= step
    if (done) assert.ok(step > 20 && existsSync(join(out, 'backup.json')))
    else assert.ok(['PROVIDER_UNAVAILABLE', 'INTERNAL'].includes(taken.code), `step ${step}: ${taken}`)
    if (existsSync(out)) assert.equal((await verifyTrail(join(out, 'audit'))).verdict, 'valid')
    assert.ok(step < 500 && !existsSync(`${out}.partial`))
  }
})
