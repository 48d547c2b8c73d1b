import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { checkFilesystem, filesystemOf, isLocal } from '../../src/storage/filesystem-type.ts'

test('local file systems pass without a word', () => {
  for (const type of ['ext4', 'xfs', 'btrfs', 'zfs']) {
    assert.deepEqual(checkFilesystem(type), {})
    assert.ok(isLocal(type))
  }
})

test('memory and network file systems are refused unless allowed by name, and then a warning stays', () => {
  for (const type of ['tmpfs', 'nfs', 'cifs', 'fuse', '9p', 'ceph']) {
    assert.throws(() => checkFilesystem(type), { code: 'INVALID_INPUT', message: new RegExp(`'${type}'`) })
    assert.throws(() => checkFilesystem(type, ['ext4']), { code: 'INVALID_INPUT' })
    assert.match(checkFilesystem(type, [type]).warning ?? '', /allowed by name/)
    assert.ok(!isLocal(type))
  }
})

test('overlay and unknown file systems are a warning', () => {
  assert.match(checkFilesystem('overlay').warning ?? '', /mount a volume/)
  assert.match(checkFilesystem('unknown-1234').warning ?? '', /not known/)
  assert.ok(!isLocal('overlay') && !isLocal('unknown-1234'))
})

test('numbers become names whatever their sign', {
  skip: process.platform !== 'linux' && 'Linux numbers',
}, async () => {
  const named = (number: number) => filesystemOf({ ...nodeFileSystem, filesystemNumber: async () => number }, '/')
  assert.equal(await named(0xef53), 'ext4')
  assert.equal(await named(0x9123683e | 0), 'btrfs')
  assert.equal(await named(0x12345), 'unknown-12345')
})

test('the real kernel is asked', { skip: process.platform !== 'linux' && 'Linux numbers' }, async () => {
  assert.match(await filesystemOf(nodeFileSystem, tmpdir()), /^[a-z0-9-]+$/)
  if (existsSync('/dev/shm')) assert.equal(await filesystemOf(nodeFileSystem, '/dev/shm'), 'tmpfs')
  await assert.rejects(filesystemOf(nodeFileSystem, '/no/such/folder'), {
    code: 'PROVIDER_UNAVAILABLE',
    message: /ENOENT/,
  })
})
