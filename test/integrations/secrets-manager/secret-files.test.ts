/** @node Secrets in a folder: what is on the disk, what meddling with it comes to, and a disk that fails. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { secretsManager } from '../../../src/integrations/secrets-manager/index.ts'
import { openSecretFiles } from '../../../src/integrations/secrets-manager/secret-files.ts'
import { lineOf } from '../../../src/model/line.ts'
import { type FileSystem, nodeFileSystem } from '../../../src/storage/filesystem.ts'
import { fromSource } from '../../from-source.mjs'
import { freshFolder } from '../../storage/folder.ts'
import { rig } from './rig.ts'

const allowFilesystem = ['tmpfs']
const canary = 'canary-5f1c9a77e2'

async function house(t: TestContext, fs: FileSystem = nodeFileSystem) {
  const folder = freshFolder(t)
  const path = join(folder, 'store')
  const store = await openSecretFiles({ path, allowFilesystem, fs })
  const made = await rig({ store })
  t.after(() => made.secrets.close())
  const [secretsFolder, values] = [join(path, 'secrets'), join(path, 'values')]
  return {
    ...made,
    path,
    values,
    records: secretsFolder,
    /** The file of the value of version `version` of the secret at `secret`. */
    async fileOf(secret: string, version: number) {
      return join(values, `${(await store.read(secret))?.id}-${version}`)
    },
    recordOf(secret: string) {
      const name = readdirSync(secretsFolder).find((one) =>
        readFileSync(join(secretsFolder, one), 'utf8').includes(`"path":"${secret}"`),
      )
      return join(secretsFolder, name ?? assert.fail())
    },
  }
}

function everyFile(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

test('nothing on the disk, and nothing in an entry, holds a value; every file is for its owner alone', async (t) => {
  const { secrets, path, sink } = await house(t)
  await secrets.create({ path: '/a', key: 'orders', secretString: canary })
  await secrets.put({ path: '/a', secretKeyValues: { name: canary } })
  await secrets.get({ path: '/a', version: 1 })
  const files = everyFile(path)
  assert.ok(files.length >= 4)
  for (const file of files) {
    const bytes = readFileSync(file)
    for (const form of [
      canary,
      Buffer.from(canary).toString('base64').slice(0, 16),
      Buffer.from(canary).toString('hex'),
    ])
      assert.equal(bytes.includes(form), false, file)
    assert.equal(statSync(file).mode & 0o777, 0o600, file)
  }
  for (const folder of ['', 'secrets', 'values']) assert.equal(statSync(join(path, folder)).mode & 0o777, 0o700)
  for (const entry of sink.accepted) assert.equal(lineOf(entry).includes(canary), false)
})

test('destroying and deleting remove the ciphertext from the disk', async (t) => {
  const { secrets, values, fileOf, path } = await house(t)
  await secrets.create({ path: '/a', key: 'orders', secretString: 'one' })
  await secrets.put({ path: '/a', secretString: 'two' })
  const first = readFileSync(await fileOf('/a', 1))
  const second = readFileSync(await fileOf('/a', 2))
  const holds = (bytes: Buffer) => everyFile(path).some((file) => readFileSync(file).includes(bytes))
  assert.equal(holds(first), true)
  await secrets.destroyVersion({ path: '/a', version: 1 })
  assert.deepEqual([holds(first), holds(second)], [false, true])
  await secrets.delete({ path: '/a' })
  assert.equal(holds(second), false)
  assert.deepEqual(readdirSync(values), [])
})

describe('files that were swapped', () => {
  async function swapped(t: TestContext, swap: (made: Awaited<ReturnType<typeof house>>) => Promise<void>) {
    const made = await house(t)
    const { secrets, kms } = made
    await kms.createKey({ slug: 'other' })
    await secrets.create({ path: '/a', key: 'orders', secretString: 'a1' })
    await secrets.put({ path: '/a', secretString: 'a2' })
    await secrets.create({ path: '/b', key: 'orders', secretString: 'b1' })
    await secrets.create({ path: '/c', key: 'other', secretString: 'c1' })
    await swap(made)
    made.entries()
    await assert.rejects(secrets.get({ path: '/a' }), { code: 'INVALID_CIPHERTEXT' })
    const [decrypted, got] = made.entries()
    assert.deepEqual([decrypted?.error, got?.error], ['INVALID_CIPHERTEXT', 'INVALID_CIPHERTEXT'])
    return decrypted?.details?.decryptFailure
  }
  const edit = (file: string, from: string | RegExp, to: string) => {
    const text = readFileSync(file, 'utf8')
    assert.notEqual(text.replace(from, to), text)
    writeFileSync(file, text.replace(from, to))
  }

  test('between versions', async (t) => {
    const failure = await swapped(t, async ({ fileOf }) => copyFileSync(await fileOf('/a', 1), await fileOf('/a', 2)))
    assert.equal(failure, 'authentication_failed')
  })
  test('between paths', async (t) => {
    const failure = await swapped(t, async ({ fileOf }) => copyFileSync(await fileOf('/b', 1), await fileOf('/a', 2)))
    assert.equal(failure, 'authentication_failed')
  })
  test('between keys', async (t) => {
    await swapped(t, async ({ fileOf }) => copyFileSync(await fileOf('/c', 1), await fileOf('/a', 2)))
  })
  test('with the key in the record', async (t) => {
    await swapped(t, async ({ recordOf, store }) => {
      const { keyIdentity = '' } = (await store.read('/c')) ?? {}
      edit(recordOf('/a'), /"keyIdentity":"[^"]*"/, `"keyIdentity":"${keyIdentity}"`)
    })
  })
  test('with the whole record of another secret, id and all', async (t) => {
    const failure = await swapped(t, async ({ recordOf }) => {
      const [from, to] = [recordOf('/b'), recordOf('/a')]
      writeFileSync(to, readFileSync(from, 'utf8').replace('"path":"/b"', '"path":"/a"'))
    })
    assert.equal(failure, 'authentication_failed')
  })
  test('with one bit', async (t) => {
    await swapped(t, async ({ fileOf }) => {
      const file = await fileOf('/a', 2)
      const bytes = readFileSync(file)
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
      writeFileSync(file, bytes)
    })
  })
})

describe('files that are damaged', () => {
  test('a record is refused, by the one who asks for it and at opening; none is passed over', async (t) => {
    const { secrets, recordOf, path } = await house(t)
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    await secrets.create({ path: '/b', key: 'orders', secretString: 'y' })
    const file = recordOf('/a')
    const whole = readFileSync(file, 'utf8')
    for (const damaged of [
      '',
      whole.slice(0, -20),
      whole.replace('"path":"/a"', '"path":"/b"'),
      whole.replace('keytrail-secret/1', 'keytrail-secret/2'),
      whole.replace('"latestVersion":1', '"latestVersion":2'),
      whole.replace(/"id":"[0-9a-f]*"/, '"id":"../../x"'),
    ]) {
      writeFileSync(file, damaged)
      await assert.rejects(secrets.get({ path: '/a' }), { code: 'INTERNAL' }, damaged)
      assert.equal((await secrets.get({ path: '/b' })).secretString, 'y')
    }
    await secrets.close()
    await assert.rejects(openSecretFiles({ path, allowFilesystem }), { code: 'INTERNAL', message: /damaged/ })
    writeFileSync(file, whole)
    await (await openSecretFiles({ path, allowFilesystem })).close()
  })

  test('a value that is missing is INTERNAL, and says so', async (t) => {
    const { secrets, fileOf } = await house(t)
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    rmSync(await fileOf('/a', 1))
    await assert.rejects(secrets.get({ path: '/a' }), { code: 'INTERNAL', message: /has lost a value/ })
  })
})

describe('opening', () => {
  test('finds what was kept, and clears what a crash left behind', async (t) => {
    const { secrets, path, values, records, kms } = await house(t)
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    await secrets.close()
    writeFileSync(join(values, `${'0'.repeat(32)}-1`), 'of a put that never was')
    writeFileSync(join(records, 'x.json.tmp'), 'half')
    const store = await openSecretFiles({ path, allowFilesystem })
    assert.equal(everyFile(path).filter((file) => !file.includes('lock')).length, 2)
    const { id } = (await store.read('/a')) ?? assert.fail()
    assert.deepEqual(readdirSync(values), [`${id}-1`])
    await store.close()
    await kms.close()
  })

  test('is for one process at a time', async (t) => {
    const { path, store } = await house(t)
    await assert.rejects(openSecretFiles({ path, allowFilesystem }), { code: 'LOCKED' })
    const child = fileURLToPath(new URL('../../storage/lock-child.ts', import.meta.url))
    const other = spawn(process.execPath, [...fromSource, child, path, 'exit'])
    let said = ''
    other.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (text.includes('ready')) other.stdin.end('go\n')
    })
    await new Promise((resolve) => other.on('close', resolve))
    assert.match(said, /LOCKED/)
    await store.close?.()
    await (await openSecretFiles({ path, allowFilesystem })).close()
  })

  test('that another process has taken over forgets nothing in its folder any more', async (t) => {
    const { secrets, path, records } = await house(t)
    await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
    await secrets.delete({ path: '/a' })
    await secrets.close()
    const store = await openSecretFiles({ path, allowFilesystem })
    const epochs = readdirSync(path).map((name) => Number(/^lock\.(\d+)$/.exec(name)?.[1] ?? 0))
    writeFileSync(join(path, `lock.${Math.max(...epochs) + 1}`), 'of whoever took it over')
    await assert.rejects(async () => store.forget?.(), { code: 'LOCKED' })
    assert.equal(readdirSync(records).length, 1)
    await store.close()
  })

  test('refuses folders that are open to everybody, and options that are none', async (t) => {
    const folder = freshFolder(t)
    const open = join(folder, 'open')
    mkdirSync(open, { mode: 0o755 })
    chmodSync(open, 0o755)
    await assert.rejects(openSecretFiles({ path: open, allowFilesystem }), {
      code: 'INVALID_INPUT',
      message: /open to every user/,
    })
    for (const options of [undefined, {}, { path: '' }, { path: 7 }])
      await assert.rejects(openSecretFiles(options as never), { code: 'INVALID_INPUT' })
    chmodSync(open, 0o750)
    const store = await openSecretFiles({ path: open, allowFilesystem })
    assert.ok(store.warnings.some((warning) => /open to its group/.test(warning)))
    await store.close()
  })
})

describe('a disk that fails', () => {
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })

  /** Fails in the function that a test names, while it says so. */
  function failing() {
    let which: keyof FileSystem | undefined
    const fail = (name: keyof FileSystem) => {
      if (which === name) throw full
    }
    const fs: FileSystem = {
      ...nodeFileSystem,
      async open(...args) {
        if (args[1] === 'create') fail('open')
        return nodeFileSystem.open(...args)
      },
      async rename(...args) {
        fail('rename')
        return nodeFileSystem.rename(...args)
      },
      async syncFolder(folder) {
        fail('syncFolder')
        return nodeFileSystem.syncFolder(folder)
      },
      async remove(path) {
        if (!path.endsWith('.tmp')) fail('remove')
        return nodeFileSystem.remove(path)
      },
    }
    return {
      fs,
      failIn: (name: keyof FileSystem | undefined) => {
        which = name
      },
    }
  }

  for (const name of ['open', 'rename'] as const)
    test(`${name}: the put is refused, nothing is changed, and it goes on when there is room`, async (t) => {
      const { fs, failIn } = failing()
      const { secrets } = await house(t, fs)
      await secrets.create({ path: '/a', key: 'orders', secretString: 'one' })
      failIn(name)
      await assert.rejects(secrets.put({ path: '/a', secretString: 'two' }), { code: 'PROVIDER_UNAVAILABLE' })
      failIn(undefined)
      assert.equal((await secrets.get({ path: '/a' })).secretString, 'one')
      assert.equal((await secrets.put({ path: '/a', secretString: 'three' })).version, 2)
      assert.equal((await secrets.get({ path: '/a' })).secretString, 'three')
    })

  test('a record that may or may not be durable leaves the intent open, and nothing more is written', async (t) => {
    const { fs, failIn } = failing()
    const { secrets, entries } = await house(t, fs)
    await secrets.create({ path: '/a', key: 'orders', secretString: 'one' })
    entries()
    failIn('syncFolder')
    await assert.rejects(secrets.updatePolicy({ path: '/a', policy: null }), { code: 'OUTCOME_UNAUDITED' })
    assert.deepEqual(
      entries().map(({ phase, action }) => [phase, action]),
      [['intent', 'secret.update_policy']],
    )
    failIn(undefined)
    await assert.rejects(secrets.updatePolicy({ path: '/a', policy: null }), {
      code: 'INTERNAL',
      message: /open it again/,
    })
  })

  test('a value that could not be removed is told, and removed by the next opening', async (t) => {
    const { fs, failIn } = failing()
    const { secrets, path, values } = await house(t, fs)
    await secrets.create({ path: '/a', key: 'orders', secretString: 'one' })
    failIn('remove')
    await assert.rejects(secrets.destroyVersion({ path: '/a', version: 1 }), { code: 'OUTCOME_UNAUDITED' })
    failIn(undefined)
    assert.equal(readdirSync(values).length, 1)
    await assert.rejects(secrets.get({ path: '/a' }), { code: 'VERSION_NOT_FOUND' })
    await secrets.close()
    await (await openSecretFiles({ path, allowFilesystem })).close()
    assert.equal(readdirSync(values).length, 0)
  })
})

test('a folder that was moved away under it is told as what it is', async (t) => {
  const { secrets, path } = await house(t)
  await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
  renameSync(path, `${path}-moved`)
  await assert.rejects(secrets.put({ path: '/a', secretString: 'y' }), (error: Error & { code: string }) =>
    ['LOCKED', 'SECRET_NOT_FOUND', 'PROVIDER_UNAVAILABLE'].includes(error.code),
  )
  renameSync(`${path}-moved`, path)
})

test('closing waits for what is being written, and gives name and folder back', async (t) => {
  const { secrets, path, kms } = await house(t)
  await secrets.create({ path: '/a', key: 'orders', secretString: 'one' })
  const putting = secrets.put({ path: '/a', secretString: 'two' })
  await secrets.close()
  assert.equal((await putting).version, 2)
  const again = secretsManager({ kms, store: await openSecretFiles({ path, allowFilesystem }) })
  assert.equal((await again.get({ path: '/a' })).secretString, 'two')
  await again.close()
})

test('a plaintext that no Secrets Manager made is INTERNAL, in the entry too', async (t) => {
  const { secrets, kms, fileOf, entries } = await house(t)
  await secrets.create({ path: '/a', key: 'orders', secretString: 'x' })
  const { encryptionContext = {} } = entries().find(({ action }) => action === 'kms.encrypt') ?? {}
  const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: Uint8Array.of(9, 9), encryptionContext })
  writeFileSync(await fileOf('/a', 1), ciphertext)
  entries()
  await assert.rejects(secrets.get({ path: '/a' }), { code: 'INTERNAL' })
  assert.deepEqual(
    entries().map(({ action, outcome }) => [action, outcome]),
    [
      ['kms.decrypt', 'success'],
      ['secret.get_value', 'failure'],
    ],
  )
})
