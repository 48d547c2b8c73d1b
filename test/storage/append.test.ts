import assert from 'node:assert/strict'
import { appendFileSync, linkSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openAppend } from '../../src/storage/append.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { failOnce, faultyFileSystem } from './faults.ts'
import { freshFolder } from './folder.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('what was appended stands in the file, in order, after what was there', async (t) => {
  const path = join(freshFolder(t), 'log')
  const first = await openAppend(nodeFileSystem, path, { create: true })
  await first.append(bytes('one\n'))
  await first.append(bytes('two\n'))
  await first.close()
  const second = await openAppend(nodeFileSystem, path)
  assert.equal(second.size, 8)
  await second.append(bytes('three\n'))
  assert.equal(second.size, 14)
  await second.close()
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\nthree\n')
})

test('a new file must be new, and an old one must be there', async (t) => {
  const folder = freshFolder(t)
  writeFileSync(join(folder, 'old'), '')
  await assert.rejects(openAppend(nodeFileSystem, join(folder, 'old'), { create: true }), { message: /EEXIST/ })
  await assert.rejects(openAppend(nodeFileSystem, join(folder, 'new')), { message: /ENOENT/ })
  symlinkSync(join(folder, 'old'), join(folder, 'link'))
  await assert.rejects(openAppend(nodeFileSystem, join(folder, 'link')), { message: /ELOOP/ })
})

for (const separateSync of [false, true]) {
  const how = separateSync ? 'write and sync' : 'synced write'

  test(`short writes are gone on with (${how})`, async (t) => {
    const path = join(freshFolder(t), 'log')
    const fs = faultyFileSystem({ fail: () => undefined, shortWrite: 3, ...(separateSync && { separateSync }) })
    const file = await openAppend(fs, path, { create: true })
    await file.append(bytes('a line of some length\n'))
    await file.append(bytes('x'))
    await file.close()
    assert.equal(readFileSync(path, 'utf8'), 'a line of some length\nx')
  })
}

test('without O_DSYNC the sync comes before the promise', async (t) => {
  const fs = faultyFileSystem({ fail: () => undefined, separateSync: true })
  const file = await openAppend(fs, join(freshFolder(t), 'log'), { create: true })
  fs.steps.length = 0
  await file.append(bytes('x'))
  assert.deepEqual(fs.steps, ['write', 'sync'])
  await file.close()
})

const failures = [
  { step: 'write', code: 'ENOSPC' },
  { step: 'write', code: 'EIO' },
  { step: 'sync', code: 'EIO' },
] as const
for (const { step, code } of failures) {
  test(`after ${code} on ${step} the file is dead for good, and the failed step is not tried again`, async (t) => {
    const path = join(freshFolder(t), 'log')
    await (await openAppend(nodeFileSystem, path, { create: true })).close()
    const fs = faultyFileSystem({ fail: failOnce(step, code), separateSync: true })
    const file = await openAppend(fs, path)
    await assert.rejects(file.append(bytes('lost\n')), { code: 'PROVIDER_UNAVAILABLE', message: new RegExp(code) })
    const taken = fs.steps.length
    await assert.rejects(file.append(bytes('more\n')), { code: 'PROVIDER_UNAVAILABLE', message: /failed before/ })
    await assert.rejects(file.truncate(0), { message: /failed before/ })
    assert.equal(fs.steps.length, taken)
    assert.equal(file.size, 0)
    await file.close()
  })
}

const tamperings: Record<string, (path: string) => void> = {
  'moved away': (path) => renameSync(path, `${path}.1`),
  removed: (path) => rmSync(path),
  'replaced by a copy': (path) => {
    const content = readFileSync(path)
    renameSync(path, `${path}.1`)
    writeFileSync(path, content)
  },
  'given another name': (path) => linkSync(path, `${path}.1`),
  'written by another': (path) => appendFileSync(path, 'not ours\n'),
  emptied: (path) => writeFileSync(path, ''),
}
for (const [what, tamper] of Object.entries(tamperings)) {
  test(`a file ${what} behind our back is not written to`, async (t) => {
    const path = join(freshFolder(t), 'log')
    const file = await openAppend(nodeFileSystem, path, { create: true })
    await file.append(bytes('ours\n'))
    tamper(path)
    await assert.rejects(file.append(bytes('more\n')), { code: 'PROVIDER_UNAVAILABLE', message: /behind our back/ })
    await assert.rejects(file.append(bytes('more\n')), { message: /failed before/ })
    await file.close()
  })
}

test('a second append before the first settled is refused and does no harm', async (t) => {
  const path = join(freshFolder(t), 'log')
  const file = await openAppend(nodeFileSystem, path, { create: true })
  const first = file.append(bytes('one\n'))
  await assert.rejects(file.append(bytes('two\n')), { code: 'INTERNAL', message: /one append at a time/ })
  await first
  await file.append(bytes('three\n'))
  await file.close()
  assert.equal(readFileSync(path, 'utf8'), 'one\nthree\n')
})

test('a torn tail is cut, and appending goes on from there', async (t) => {
  const path = join(freshFolder(t), 'log')
  writeFileSync(path, 'whole\nto')
  const file = await openAppend(nodeFileSystem, path)
  await assert.rejects(file.truncate(9), { code: 'INVALID_INPUT' })
  await assert.rejects(file.truncate(-1), { code: 'INVALID_INPUT' })
  await file.truncate(6)
  await file.append(bytes('next\n'))
  await file.close()
  assert.equal(readFileSync(path, 'utf8'), 'whole\nnext\n')
})

test('a closed file is not written to; closing twice is fine', async (t) => {
  const file = await openAppend(nodeFileSystem, join(freshFolder(t), 'log'), { create: true })
  await file.close()
  await file.close()
  await assert.rejects(file.append(bytes('x')), { code: 'CLOSED' })
})
