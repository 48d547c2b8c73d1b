import assert from 'node:assert/strict'
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
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
