import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { algorithms } from '../../../src/crypto/algorithms.ts'
import { scrypt } from '../../../src/crypto/kdf.ts'
import { mlDsa } from '../../../src/crypto/ml-dsa.ts'
import { engine } from '../../../src/crypto/node.ts'
import type { KeyType } from '../../../src/model/key.ts'
import { sealKeystore } from '../../../src/providers/local/file.ts'
import { type OpenLocalKmsOptions, openLocalKms } from '../../../src/providers/local/index.ts'
import { newKeystore } from '../../../src/providers/local/keystore.ts'
import { nodeFileSystem } from '../../../src/storage/filesystem.ts'
import { freshFolder } from '../../storage/folder.ts'
import { bytes, failureOf, run } from '../calls.ts'

const rootKey = randomBytes(32)

test('exactly one source of the root key must be given, and it must be fit', async (t) => {
  const path = freshFolder(t)
  const unfit: Partial<Record<keyof OpenLocalKmsOptions, unknown>>[] = [
    {},
    { rootKey, passphrase: 'x' },
    { rootKey: randomBytes(31) },
    { rootKey: rootKey.toString('hex') },
    { rootKey: null },
    { passphrase: '' },
    { passphrase: new Uint8Array(0) },
    { passphrase: 7 },
    { rootKeyFile: '' },
    { rootKeyFile: 7 },
    { rootKeyFrom: async () => randomBytes(16) },
    { rootKeyFrom: async () => undefined },
    { rootKeyFrom: 'x' },
  ]
  for (const options of unfit) {
    const error = await failureOf(openLocalKms({ path, ...options } as OpenLocalKmsOptions)) // as JavaScript may call it
    assert.equal(error.code, 'INVALID_INPUT', inspect(options))
  }
  for (const options of [undefined, null, {}, { path: '' }, { path: 7 }])
    assert.equal((await failureOf(openLocalKms(options as never))).code, 'INVALID_INPUT') // the same
  assert.deepEqual(
    readdirSync(path).filter((name) => name.endsWith('.keys') || name.endsWith('.sock')),
    [],
  )
})

test('a root key is copied: what the caller does with its array afterwards does not matter', async (t) => {
  const path = freshFolder(t)
  const mine = new Uint8Array(rootKey)
  const kms = await openLocalKms({ path, rootKey: mine })
  assert.deepEqual(Buffer.from(mine), rootKey)
  mine.fill(0)
  await run(kms, 'createKey', { slug: 'k' })
  await kms.close()
  await (await openLocalKms({ path, rootKey })).close()
})

test('a root key file holds 32 bytes or 64 digits, stands outside, and is for its owner only', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'keys')
  const rootKeyFile = join(folder, 'root.key')
  const write = (content: string | Uint8Array, mode = 0o600) => {
    writeFileSync(rootKeyFile, content, { mode })
    chmodSync(rootKeyFile, mode)
  }
  await (await openLocalKms({ path, rootKey })).close()
  const hex = rootKey.toString('hex')
  for (const content of [rootKey, hex, `${hex}\n`, `${hex.toUpperCase()}\r\n`]) {
    write(content)
    await (await openLocalKms({ path, rootKeyFile })).close()
  }
  for (const content of [
    '',
    'x',
    hex.slice(1),
    `${hex}\n\n`,
    `${hex.slice(1)}g`,
    rootKey.toString('base64'),
    `${hex}0`,
  ]) {
    write(content)
    assert.equal((await failureOf(openLocalKms({ path, rootKeyFile }))).code, 'INVALID_INPUT', content)
  }
  write(rootKey, 0o604)
  assert.match((await failureOf(openLocalKms({ path, rootKeyFile }))).message, /open to every user/)
  write(rootKey, 0o640)
  const warned = await openLocalKms({ path, rootKeyFile })
  assert.match(warned.warnings.join(), /root\.key is open to its group/)
  await warned.close()
  writeFileSync(join(path, 'root.key'), rootKey, { mode: 0o600 })
  symlinkSync(join(path, 'root.key'), join(folder, 'link.key'))
  for (const inside of [join(path, 'root.key'), join(folder, 'link.key')])
    assert.match((await failureOf(openLocalKms({ path, rootKeyFile: inside }))).message, /must stand outside/)
  const missing = await failureOf(openLocalKms({ path, rootKeyFile: join(folder, 'none') }))
  assert.match(missing.message, /ENOENT/)
})

test('a root key may be fetched, and a source that fails is told without its message', async (t) => {
  const path = freshFolder(t)
  await (await openLocalKms({ path, rootKeyFrom: async () => rootKey })).close()
  await (await openLocalKms({ path, rootKey })).close()
  const rootKeyFrom = async () => {
    throw new Error('the token hunter2 is wrong')
  }
  const error = await failureOf(openLocalKms({ path, rootKeyFrom }))
  assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
  assert.ok(!inspect(error).includes('hunter2'))
})

test('a passphrase opens what it sealed, as text or bytes; another one and a root key do not', async (t) => {
  const path = freshFolder(t)
  const kms = await openLocalKms({ path, passphrase: 'korrekt ü battery' })
  await run(kms, 'createKey', { slug: 'k' })
  await kms.close()
  await (await openLocalKms({ path, passphrase: bytes('korrekt ü battery') })).close()
  const wrong = await failureOf(openLocalKms({ path, passphrase: 'korrekt u battery' }))
  assert.deepEqual([wrong.code, wrong.message], ['INVALID_INPUT', 'wrong passphrase for this keystore'])
  assert.match((await failureOf(openLocalKms({ path, rootKey }))).message, /sealed with a passphrase/)
  const other = freshFolder(t)
  await (await openLocalKms({ path: other, rootKey })).close()
  assert.match((await failureOf(openLocalKms({ path: other, passphrase: 'x' }))).message, /sealed with a root key/)
  assert.match((await failureOf(openLocalKms({ path: other, rootKey: randomBytes(32) }))).message, /wrong root key/)
})

test('a keystore sealed at scrypt N = 2^15 is read, one weaker is refused', async (t) => {
  const passphrase = bytes('x')
  for (const [log2N, readable] of [
    [15, true],
    [14, false],
  ] as const) {
    const path = freshFolder(t)
    const kdf = { N: 2 ** log2N, r: 8, p: 1, salt: randomBytes(32) }
    const key = await scrypt(engine, { ...kdf, passphrase, length: 32 })
    const file = sealKeystore(engine, { key, kdf }, newKeystore(engine))
    writeFileSync(join(path, '00000000000000000001.keys'), file, { mode: 0o600 })
    if (readable) await (await openLocalKms({ path, passphrase })).close()
    else assert.match((await failureOf(openLocalKms({ path, passphrase }))).message, /less than 32768 is refused/)
  }
})

test('folders and files are for their owner only, and what is open to all is refused', async (t) => {
  const path = join(freshFolder(t), 'deep', 'keys')
  const kms = await openLocalKms({ path, rootKey })
  await run(kms, 'createKey', { slug: 'k' })
  assert.equal(statSync(path).mode & 0o777, 0o700)
  for (const name of readdirSync(path).filter((name) => !name.endsWith('.sock')))
    assert.equal(statSync(join(path, name)).mode & 0o777, 0o600, name)
  assert.deepEqual(kms.warnings, [])
  assert.deepEqual(kms.facts, { path, filesystem: kms.facts.filesystem, readOnly: false, fips: false })
  await kms.close()
  const file = join(path, '00000000000000000002.keys')
  chmodSync(file, 0o644)
  assert.match((await failureOf(openLocalKms({ path, rootKey }))).message, /open to every user/)
  chmodSync(file, 0o640)
  chmodSync(path, 0o750)
  const warned = await openLocalKms({ path, rootKey })
  assert.equal(warned.warnings.length, 2)
  await warned.close()
  chmodSync(path, 0o755)
  assert.match((await failureOf(openLocalKms({ path, rootKey }))).message, /chmod 700/)
})

test('a file system that forgets or is shared is refused unless allowed by name', async (t) => {
  const path = freshFolder(t)
  const fs = { ...nodeFileSystem, filesystemNumber: async () => 0x6969 }
  const error = await failureOf(openLocalKms({ path, rootKey, fs }))
  assert.deepEqual([error.code, /'nfs'/.test(error.message)], ['INVALID_INPUT', true])
  const kms = await openLocalKms({ path, rootKey, fs, allowFilesystem: ['nfs'] })
  assert.equal(kms.facts.filesystem, 'nfs')
  assert.match(kms.warnings.join(), /allowed by name/)
  await kms.close()
})

test('no file in the folder holds a key, a slug, the signer, the root key or the passphrase in the clear', async (t) => {
  const path = freshFolder(t)
  const passphrase = 'canary passphrase 4711'
  const kms = await openLocalKms({ path, passphrase, mlDsa })
  const canaries: Uint8Array[] = [bytes(passphrase), bytes('canary-slug')]
  await run(kms, 'createKey', { slug: 'canary-slug', description: 'canary description' })
  for (const keyType of Object.keys(algorithms) as KeyType[]) {
    await run(kms, 'createKey', { slug: keyType, keyType, exportAllowed: true })
    const { keyMaterial } = await run(kms, 'export', { key: keyType })
    canaries.push((await algorithms[keyType].decode(engine, keyMaterial)) ?? assert.fail(keyType))
  }
  for (const name of readdirSync(path)) {
    if (name.endsWith('.sock')) continue
    const content = readFileSync(join(path, name))
    for (const canary of canaries) {
      const spellings = [
        Buffer.from(canary),
        Buffer.from(canary).toString('hex'),
        Buffer.from(canary).toString('base64'),
      ]
      for (const spelling of spellings) assert.equal(content.indexOf(spelling), -1, name)
    }
  }
  const shown = inspect(kms, { depth: 20, showHidden: true })
  assert.ok(!shown.includes(passphrase))
  await kms.close()
})

test('a folder that is a file is refused with words', async (t) => {
  const path = join(freshFolder(t), 'file')
  writeFileSync(path, '', { mode: 0o600 })
  const error = await failureOf(openLocalKms({ path, rootKey }))
  assert.match(error.message, /EEXIST|ENOTDIR/)
  assert.ok(!existsSync(join(path, 'lock.1')))
})
