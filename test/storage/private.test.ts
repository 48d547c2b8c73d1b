import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { checkPrivate, makePrivateFolder } from '../../src/storage/private.ts'
import { freshFolder } from './folder.ts'

test('a folder is made for its owner alone, parents included; one that is there is left as it is', async (t) => {
  const folder = freshFolder(t)
  await makePrivateFolder(nodeFileSystem, join(folder, 'a', 'b'))
  assert.equal(statSync(join(folder, 'a', 'b')).mode & 0o777, 0o700)
  chmodSync(join(folder, 'a', 'b'), 0o750)
  await makePrivateFolder(nodeFileSystem, join(folder, 'a', 'b'))
  assert.equal(statSync(join(folder, 'a', 'b')).mode & 0o777, 0o750)
})

test('access for everybody is refused, for the group a warning', (t) => {
  const folder = freshFolder(t)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const mode of [0o604, 0o602, 0o601, 0o777]) {
    chmodSync(file, mode)
    assert.throws(() => checkPrivate(nodeFileSystem, file), { code: 'INVALID_INPUT', message: /chmod 600/ })
  }
  chmodSync(file, 0o640)
  assert.match(checkPrivate(nodeFileSystem, file) ?? '', /group \(mode 0640\)/)
  chmodSync(file, 0o600)
  assert.equal(checkPrivate(nodeFileSystem, file), undefined)
  chmodSync(folder, 0o755)
  assert.throws(() => checkPrivate(nodeFileSystem, folder), { message: /chmod 700/ })
  chmodSync(folder, 0o700)
  assert.throws(() => checkPrivate(nodeFileSystem, join(folder, 'none')), { message: /does not exist/ })
})

test('the names of the folders made are durable: each parent is synced, also when an earlier attempt made them', async (t) => {
  const folder = freshFolder(t)
  const synced: string[] = []
  const fs: FileSystem = {
    ...nodeFileSystem,
    async syncFolder(path) {
      synced.push(path)
      await nodeFileSystem.syncFolder(path)
    },
  }
  const made = join(folder, 'a', 'b', 'c', 'd')
  await makePrivateFolder(fs, made)
  assert.deepEqual(
    synced,
    ['a/b/c', 'a/b', 'a', ''].map((below) => join(folder, below).replace(/\/$/, '')),
  )
  synced.length = 0
  await makePrivateFolder(fs, made)
  assert.deepEqual(
    synced,
    ['a/b/c', 'a/b', 'a'].map((below) => join(folder, below)),
  )
})

test("a parent that may not be opened is left alone only if it was there before: it is another user's", async (t) => {
  const folder = freshFolder(t)
  const failing = (code: string): FileSystem => ({
    ...nodeFileSystem,
    syncFolder: async () => {
      throw Object.assign(new Error(code), { code })
    },
  })
  mkdirSync(join(folder, 'there'))
  await makePrivateFolder(failing('EACCES'), join(folder, 'there'))
  await assert.rejects(makePrivateFolder(failing('EIO'), join(folder, 'there')), { code: 'PROVIDER_UNAVAILABLE' })
  await assert.rejects(makePrivateFolder(failing('EACCES'), join(folder, 'new')), { code: 'PROVIDER_UNAVAILABLE' })
})
