/** @node */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { homeAt, openHome } from '../../src/cli/home.ts'
import { systemClock } from '../../src/model/clock.ts'
import { readTrail } from '../../src/trail/reading/read.ts'
import { homeWith, keytrail, type TestHome, temporary } from './run.ts'

let home: TestHome
before(async () => {
  home = await homeWith(
    [
      { slug: 'backup', exportAllowed: true },
      { slug: 'daily', rotationPeriodInDays: 1 },
    ],
    3,
  )
})

test('init makes a keystore, a trail and a root key once, and prints what verifies the trail', async () => {
  const folder = temporary()
  const dir = join(folder, 'home')
  const rootKey = join(folder, 'root.key')
  const made = await keytrail(['init', '--dir', dir, '--root-key-file', rootKey])
  assert.equal(made.code, 0)
  assert.match(made.stdout, /^keytrail\/\S+\+[0-9a-f]{8}\+\S+\n$/)
  assert.match(made.stderr, /made the root key .*keep a copy/)
  assert.equal(statSync(rootKey).mode & 0o777, 0o600)
  const key = readFileSync(rootKey)
  for (const spelling of ['hex', 'base64', 'base64url', 'latin1'] as const)
    assert.ok(!`${made.stdout}${made.stderr}`.includes(key.toString(spelling)))

  const again = await keytrail(['init', '--dir', dir, '--root-key-file', rootKey])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /already: nothing was changed/)
  assert.deepEqual(readFileSync(rootKey), key)
  const verified = await keytrail(['audit', 'verify', '--dir', dir, '--vkey', made.stdout.trim()])
  assert.equal(verified.code, 0)
  assert.match(verified.stdout, /signed throughout by the key that was given/)
})

test('a root key among the keys is refused', async () => {
  const dir = join(temporary(), 'home')
  const { code, stderr } = await keytrail(['init', '--dir', dir, '--root-key-file', join(dir, 'keys', 'root.key')])
  assert.equal(code, 1)
  assert.match(stderr, /the root key must stand outside/)
  assert.ok(!existsSync(dir))
})

test('a key lives: made, rotated, disabled, enabled, to be deleted, and taken back', async () => {
  const json = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await home.run([...args, '--json'])
    assert.deepEqual([code, stderr], [0, ''])
    return JSON.parse(stdout)
  }
  const made = await json(
    'keys',
    'create',
    'orders',
    '--label',
    'team=a',
    '--description',
    'of orders',
    '--type',
    'aes256-gcm96',
  )
  assert.deepEqual([made.key.slug, made.key.keyType, made.key.labels], ['orders', 'aes256-gcm96', { team: 'a' }])
  assert.equal((await json('keys', 'rotate', 'orders', '--expect-version', '1')).keyVersion, 2)
  assert.equal((await json('keys', 'disable', 'orders')).key.status, 'disabled')
  const refused = await home.run(['encrypt', 'orders'], { input: 'x' })
  assert.deepEqual([refused.code, refused.stdout], [1, ''])
  assert.match(refused.stderr, /^keytrail: KEY_NOT_ACTIVE: /)
  assert.equal((await json('keys', 'enable', 'orders')).key.status, 'active')
  const deleted = await home.run(['keys', 'delete', 'orders', '--pending-days', '9'])
  assert.match(
    deleted.stdout,
    /^slug .*\norders {2}aes256-gcm96 {2}v2 {7}pending_deletion \d{4}-\d\d-\d\d {2}kms-\w+\n$/,
  )
  assert.equal((await json('keys', 'cancel-deletion', 'orders')).key.status, 'active')
  const shown = await home.run(['keys', 'show', made.key.identity])
  assert.match(shown.stdout, /^description {2}of orders$/m)
  assert.match(shown.stdout, /^export {7}never$/m)
})

test('a slug that is taken, a conflict and a wrong type are refused', async () => {
  const taken = await home.run(['keys', 'create', 'backup'])
  assert.equal(taken.code, 1)
  assert.match(taken.stderr, /^keytrail: KEY_EXISTS: .* \(entry \S+\)\n$/)
  const conflict = await home.run(['keys', 'rotate', 'backup', '--expect-version', '7', '--json'])
  assert.equal(JSON.parse(conflict.stderr).error.code, 'VERSION_CONFLICT')
  const noPublicKey = await home.run(['keys', 'public-key', 'backup'])
  assert.match(noPublicKey.stderr, /^keytrail: UNSUPPORTED_OPERATION: /)
})

test('keys of another region are not found', async () => {
  const here = await home.run(['keys', 'list', '--json'])
  assert.ok(JSON.parse(here.stdout).keys.some((key: { slug: string }) => key.slug === 'backup'))
  const there = await home.run(['keys', 'list', '--json'], { env: { KEYTRAIL_REGION: 'nl-01' } })
  assert.deepEqual(JSON.parse(there.stdout).keys, [])
})

test('rotate --due rotates what is due, on schedule, and then nothing', async () => {
  const first = await home.run(['keys', 'rotate', '--due'])
  assert.deepEqual([first.code, first.stderr], [0, ''])
  assert.match(first.stdout, /\ndaily {2}xaes256-gcm {2}v2 /)
  assert.ok(!first.stdout.includes('backup'))
  const second = await home.run(['keys', 'rotate', '--due', '--json'])
  assert.deepEqual(JSON.parse(second.stdout), { rotated: [], failed: [] })
  const scheduled = []
  for await (const { entry } of readTrail(join(home.dir, 'audit'), { action: 'kms.rotate.scheduled' }))
    scheduled.push(entry.outcome)
  assert.deepEqual(scheduled, ['pending', 'success'])
})

test('rotate --due tells of a key whose version was made while the clock was a year ahead', async () => {
  const old = await homeWith([{ slug: 'early', rotationPeriodInDays: 30 }], 3)
  const { kms } = await openHome(homeAt(old.dir), {
    rootKey: { rootKeyFile: join(old.folder, 'root.key') },
    context: {},
    clock: { ...systemClock, now: () => systemClock.now() + 365 * 86_400_000 },
  })
  assert.equal((await kms.rotateDueKeys()).length, 1)
  await kms.close()
  const { code, stdout, stderr } = await old.run(['keys', 'rotate', '--due'])
  assert.equal(code, 0)
  assert.ok(!stdout.includes('early'))
  assert.match(stderr, /no key is due\nearly: its newest version is dated ahead of the clock/)
})

test('destroy --due destroys what is due, and then nothing; its slug is taken again only when asked', async () => {
  const old = await homeWith([{ slug: 'gone' }, { slug: 'stays' }], 40)
  const { kms } = await openHome(homeAt(old.dir), {
    rootKey: { rootKeyFile: join(old.folder, 'root.key') },
    context: {},
    clock: { ...systemClock, now: () => systemClock.now() - 31 * 86_400_000 },
  })
  await kms.scheduleKeyDeletion({ key: 'gone' })
  await kms.close()
  const byName = await old.run(['keys', 'destroy'])
  assert.equal(byName.code, 2)
  assert.match(byName.stderr, /'--due' is missing/)
  assert.equal((await old.run(['keys', 'destroy', 'gone', '--due'])).code, 2)
  const first = await old.run(['keys', 'destroy', '--due'])
  assert.deepEqual([first.code, first.stderr], [0, ''])
  assert.match(first.stdout, /\ngone {2}xaes256-gcm {2}v1 /)
  assert.ok(!first.stdout.includes('stays'))
  const second = await old.run(['keys', 'destroy', '--due', '--json'])
  assert.deepEqual(JSON.parse(second.stdout), { destroyed: [], failed: [] })
  assert.match((await old.run(['keys', 'destroy', '--due'])).stderr, /no key is due/)
  const entries = []
  for await (const { entry } of readTrail(join(old.dir, 'audit'), { action: 'kms_key.destroy' }))
    entries.push([entry.outcome, entry.keySlug, typeof entry.details?.latenessMs])
  assert.deepEqual(entries, [
    ['pending', 'gone', 'number'],
    ['success', 'gone', 'number'],
  ])
  const taken = await old.run(['keys', 'create', 'gone'])
  assert.equal(taken.code, 1)
  assert.match(taken.stderr, /^keytrail: KEY_EXISTS: .*was destroyed on .*reuseSlug/)
  assert.equal((await old.run(['keys', 'create', 'gone', '--reuse-slug'])).code, 0)
})

test('min-version stops old versions and lets them be used again; show tells it, and how often versions were used', async () => {
  const own = await homeWith([{ slug: 'k', keyType: 'aes256-gcm96' }])
  const sealed = await own.run(['encrypt', 'k'], { input: 'x' })
  await own.run(['keys', 'rotate', 'k'])
  for (const wrong of ['0', 'v2', '1.5', '']) assert.equal((await own.run(['keys', 'min-version', 'k', wrong])).code, 2)
  const beyond = await own.run(['keys', 'min-version', 'k', '3'])
  assert.match(beyond.stderr, /INVALID_INPUT: k: 'minDecryptionVersion' must be 1–2/)
  const set = await own.run(['keys', 'min-version', 'k', '2', '--json'])
  assert.equal(JSON.parse(set.stdout).key.minDecryptionVersion, 2)
  const refused = await own.run(['decrypt', 'k'], { input: sealed.bytes })
  assert.match(refused.stderr, /^keytrail: INVALID_CIPHERTEXT: /)
  const shown = await own.run(['keys', 'show', 'k'])
  assert.match(shown.stdout, /^messages {5}v1 1, v2 0$/m)
  assert.match(shown.stdout, /^min version {2}v2: /m)
  assert.ok(!shown.stdout.includes('imported'))
  await own.run(['keys', 'min-version', 'k', '1'])
  const opened = await own.run(['decrypt', 'k'], { input: sealed.bytes })
  assert.deepEqual([opened.code, opened.stdout], [0, 'x'])
  assert.doesNotMatch((await own.run(['keys', 'show', 'k'])).stdout, /min version/)
})
