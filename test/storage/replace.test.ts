import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KmsError } from '../../src/model/errors.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { createFile, replaceFile, temporaryOf } from '../../src/storage/replace.ts'
import { crashAt, failOnce, faultyFileSystem } from './faults.ts'
import { freshFolder } from './folder.ts'

const old = new TextEncoder().encode('the old content')
const young = new TextEncoder().encode('a newer content, longer than the old one')

test('a replaced file holds the new bytes, with the mode asked for, and leaves nothing beside it', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'file')
  await replaceFile(nodeFileSystem, path, old)
  await replaceFile(nodeFileSystem, path, young, { mode: 0o640 })
  assert.deepEqual(readFileSync(path), Buffer.from(young))
  assert.equal(statSync(path).mode & 0o777, 0o640)
  assert.deepEqual(readdirSync(folder), ['file'])
})

test('the bytes are synced before the name, and the folder after it', async (t) => {
  const fs = faultyFileSystem({ fail: () => undefined })
  await replaceFile(fs, join(freshFolder(t), 'file'), young)
  assert.deepEqual(fs.steps, ['remove', 'open', 'write', 'sync', 'rename', 'syncFolder'])
})

test('a replacement that stops at any step leaves the old or the new file, never a part', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'file')
  let stoppedAt = 0
  for (; ; stoppedAt++) {
    await replaceFile(nodeFileSystem, path, old)
    const fs = faultyFileSystem({ fail: crashAt(stoppedAt), shortWrite: 7 })
    const failure = await replaceFile(fs, path, young).then(
      () => undefined,
      (error) => error,
    )
    const found = readFileSync(path, 'utf8')
    assert.ok(found === text(old) || found === text(young), found)
    if (failure === undefined) break
    assert.ok(failure instanceof KmsError)
    assert.equal(failure.code, found === text(old) ? 'PROVIDER_UNAVAILABLE' : 'INTERNAL')
    assert.match(failure.message, found === text(old) ? /EIO/ : /may or may not have been written/)
  }
  assert.ok(stoppedAt > 8, `stopped at ${stoppedAt} steps`)
  assert.equal(readFileSync(path, 'utf8'), text(young))
})

test('a full disk is told, cleaned up after, and does not stop the next attempt', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'file')
  await replaceFile(nodeFileSystem, path, old)
  const fs = faultyFileSystem({ fail: failOnce('write', 'ENOSPC'), shortWrite: 3 })
  await assert.rejects(replaceFile(fs, path, young), { code: 'PROVIDER_UNAVAILABLE', message: /ENOSPC/ })
  assert.deepEqual(readdirSync(folder), ['file'])
  assert.equal(readFileSync(path, 'utf8'), text(old))
  await replaceFile(fs, path, young)
  assert.equal(readFileSync(path, 'utf8'), text(young))
})

test('what a crash left under the temporary name is not in the way, not even a link to elsewhere', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'file')
  const elsewhere = join(folder, 'elsewhere')
  writeFileSync(elsewhere, 'untouched')
  symlinkSync(elsewhere, temporaryOf(path))
  await replaceFile(nodeFileSystem, path, young)
  assert.equal(readFileSync(elsewhere, 'utf8'), 'untouched')
  assert.equal(readFileSync(path, 'utf8'), text(young))
})

test('a name that is taken is never overwritten by createFile', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'file')
  assert.equal(await createFile(nodeFileSystem, path, old), true)
  assert.equal(await createFile(nodeFileSystem, path, young), false)
  assert.equal(readFileSync(path, 'utf8'), text(old))
  assert.deepEqual(readdirSync(folder), ['file'])
})

test('a creation that stops at any step leaves no file or the whole one, and says which', async (t) => {
  const folder = freshFolder(t)
  for (let stopAt = 0; ; stopAt++) {
    const path = join(folder, `file-${stopAt}`)
    const failure = await createFile(faultyFileSystem({ fail: crashAt(stopAt) }), path, young).then(
      () => undefined,
      (error) => error,
    )
    const there = readdirSync(folder).includes(`file-${stopAt}`)
    if (there) assert.equal(readFileSync(path, 'utf8'), text(young))
    if (failure === undefined) {
      assert.ok(there)
      break
    }
    assert.equal(failure.code, there ? 'INTERNAL' : 'PROVIDER_UNAVAILABLE')
  }
})

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
