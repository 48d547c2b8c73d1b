/** @node Secrets planted everywhere, every operation driven to success and failure, and a search of all that came out. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createAudit } from '../../src/audit/emitter.ts'
import { KmsClient } from '../../src/client.ts'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import { engine } from '../../src/crypto/node.ts'
import { decodeRsaPkcs8 } from '../../src/crypto/pkcs8.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { KeyType } from '../../src/model/key.ts'
import { lineOf } from '../../src/model/line.ts'
import { type Operation, operations } from '../../src/model/operation.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { anyOf, filter } from '../../src/sinks/combine.ts'
import { httpSink } from '../../src/sinks/http.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { stdoutSink } from '../../src/sinks/stdout.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { fileSigner, openTrail } from '../../src/trail/index.ts'
import { puppet } from '../audit/puppet.ts'
import { compile } from '../compile.ts'
import { isWhole } from '../share.ts'
import { folderFor } from '../trail/entries.ts'
import { formsOf, type Haystack, inspected, leaksIn, type Secret } from './search.ts'

const allowFilesystem = ['tmpfs']
// The larger RSA keys take seconds to make and differ in nothing else: rsa-2048 stands for them.
const tooSlow: readonly string[] = ['rsa-3072', 'rsa-4096']
const keyTypes = (Object.keys(algorithms) as readonly KeyType[]).filter((keyType) => !tooSlow.includes(keyType))

describe('the search', () => {
  const secret = { name: 'planted', bytes: randomBytes(32) }
  const surroundings = (leak: string) => `some words before ${leak} and some after`

  for (const length of [32, 12])
    for (const { form } of formsOf(randomBytes(12)))
      test(`finds ${length} bytes of a secret in the form '${form}'`, () => {
        const piece = Buffer.from(secret.bytes.subarray(0, length))
        const spelled = formsOf(piece).find((spelling) => spelling.form === form)?.needle ?? ''
        const bytes = Buffer.from(surroundings(spelled), 'latin1')
        const leaks = leaksIn(new Map([['here', bytes]]), [secret])
        assert.deepEqual([...new Set(leaks.map(({ where }) => where))], ['here'])
      })

  test('finds a secret within base64 of more, at whatever place', () => {
    for (let before = 0; before < 6; before++) {
      const text = Buffer.concat([randomBytes(before), secret.bytes, randomBytes(5)]).toString('base64')
      assert.equal(leaksIn(new Map([['here', text]]), [secret]).length > 0, true)
    }
  })

  test('finds a secret in a field, a hidden field, a map, a cause', () => {
    const hidden = Object.defineProperty({}, 'secret', { value: secret.bytes, enumerable: false })
    const caused = new Error('outside', { cause: new Error(`inside: ${Buffer.from(secret.bytes).toString('hex')}`) })
    const holders = [{ secret: secret.bytes }, hidden, new Map([['secret', secret.bytes]]), caused]
    for (const holder of holders)
      assert.ok(leaksIn(new Map([['here', inspected(holder)]]), [secret]).length > 0, inspected(holder))
  })

  test('finds nothing where nothing is', () => {
    const haystack = new Map([['here', surroundings(randomBytes(10_000).toString('base64'))]])
    assert.deepEqual(leaksIn(haystack, [secret]), [])
  })
})

test('no secret is in an entry, an error, an inspected object, an event, a request or a file', async (t) => {
  const scene = await openScene(t)
  const { haystack, secrets, errors } = scene
  for (const kms of [scene.overLocal, scene.overMemory]) await driveAll(kms, scene)
  await driveKeystore(t, scene)
  await driveFaults(scene)
  await driveOpenings(t, scene)
  await scene.finish()

  for (const [at, error] of errors.entries()) addError(haystack, `error ${at} (${error.code})`, error)
  assert.ok(errors.length > 200, `${errors.length} errors were looked through`)
  assert.ok(secrets.length > 2 * keyTypes.length + 5)
  assert.ok(haystack.size > errors.length)
  assert.deepEqual(leaksIn(haystack, secrets), [])
})

interface Scene {
  readonly overLocal: KmsClient
  readonly overMemory: KmsClient
  readonly haystack: Haystack
  readonly secrets: Secret[]
  readonly errors: KmsError[]
  readonly folder: string
  /** Keeps an error, which must be a KmsError; fails if there is none. */
  refused(work: Promise<unknown>): Promise<void>
  finish(): Promise<void>
}

async function openScene(t: TestContext): Promise<Scene> {
  const folder = folderFor(t)
  const haystack: Haystack = new Map()
  const errors: KmsError[] = []
  const secrets: Secret[] = []
  const secret = (name: string, bytes: Uint8Array = randomBytes(32)) => {
    secrets.push({ name, bytes: Uint8Array.from(bytes) })
    return Uint8Array.from(bytes)
  }
  const token = randomBytes(24).toString('base64url')
  secrets.push({ name: 'authorization header', bytes: Buffer.from(token) })
  const events: unknown[] = []
  const listen = (event: unknown) => events.push(event)
  subscribe('keytrail', listen)
  const requests: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const { authorization: _, ...headers } = request.headers
    requests.push(JSON.stringify(headers), body)
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // The address of a TCP server is not a pipe's name.
  const { port } = server.address() as AddressInfo

  const local = await openLocalKms({ path: join(folder, 'keys'), rootKey: secret('root key'), allowFilesystem, mlDsa })
  const trail = await openTrail({ path: join(folder, 'audit'), signer: local.auditSigner(), allowFilesystem })
  const http = httpSink({
    url: `http://127.0.0.1:${port}/`,
    secret: secret('http secret'),
    headers: { authorization: `Bearer ${token}` },
  })
  const kept = memorySink({ maxEntries: 100_000 })
  const hashKey = secret('hash key')
  const fields = { clientIp: 'hash', encryptionContext: 'names', hash: ['actor.id'], hashKey } as const
  const any = anyOf(http, memorySink({ maxEntries: 100_000 }))
  const some = filter(memorySink({ maxEntries: 100_000 }), () => true)
  const overLocal = new KmsClient({
    provider: local,
    audit: { required: [trail, kept], bestEffort: [http, any, some], fields },
  })
  const memory = memoryKms({ mlDsa })
  const audit = createAudit({ required: [kept], fields })
  const overMemory = new KmsClient({ provider: memory, audit })
  const publicObjects = () => ({
    local,
    memory,
    overLocal,
    overMemory,
    trail,
    http,
    any,
    some,
    kept,
    audit,
    signer: local.auditSigner(),
    stdout: stdoutSink(),
    binding: local.binding(),
    health: [overLocal.health(), overMemory.health(), audit.health()],
  })

  return {
    overLocal,
    overMemory,
    haystack,
    secrets,
    errors,
    folder,
    async refused(work) {
      try {
        await work
      } catch (error) {
        assert.ok(error instanceof KmsError, `a foreign error came out: ${error}`)
        errors.push(error)
        return
      }
      assert.fail('must be refused')
    },
    async finish() {
      for (const [name, value] of Object.entries(publicObjects())) haystack.set(`${name}, inspected`, inspected(value))
      addFiles(haystack, folder)
      await overLocal.close()
      await overMemory.close()
      await audit.close()
      await memory.close()
      unsubscribe('keytrail', listen)
      addFiles(haystack, folder)
      assert.ok(requests.length > 2 && events.length > 100)
      for (const [at, text] of requests.entries()) haystack.set(`request ${at}`, text)
      haystack.set('events', inspected(events))
      addEntries(haystack, kept.entries)
      haystack.set('a closed client, inspected', inspected(overLocal))
    },
  }
}

/** Every operation on every key type: once as it should be, then as it should not. */
async function driveAll(kms: KmsClient, scene: Scene): Promise<void> {
  const { refused } = scene
  for (const keyType of keyTypes) {
    const key = keyType
    await kms.createKey({ slug: key, keyType, exportAllowed: true })
    const { keyMaterial } = await kms.export({ key })
    await addKeySecrets(scene.secrets, keyType, keyType, keyMaterial)
    await kms.rotate({ key })
    const second = await kms.export({ key, keyVersion: 2 })
    await addKeySecrets(scene.secrets, `${keyType} v2`, keyType, second.keyMaterial)
    const plaintext = Uint8Array.from(randomBytes(32))
    scene.secrets.push({ name: `plaintext for ${keyType}`, bytes: plaintext.slice() })
    const { uses } = algorithms[keyType]
    const can: readonly string[] = uses.flatMap((use): readonly string[] => abilities[use])
    for (const [operation, run] of Object.entries(everyUse(kms, key, plaintext))) {
      if (!can.includes(operation)) await refused(run())
    }
    for (const use of uses) await works[use](kms, scene, { key, plaintext })
    await refused(kms.export({ key, keyVersion: 9 }))
    await refused(kms.rotate({ key, expectLatestVersion: 9 }))
    await refused(kms.createKey({ slug: key }))
    await kms.disableKey({ key })
    for (const run of Object.values(everyUse(kms, key, plaintext))) await refused(run())
    await kms.enableKey({ key })
    await kms.updateRotation({ key, keyRotationEnabled: true })
    await kms.describeKey({ key })
    await kms.scheduleKeyDeletion({ key })
    await refused(kms.export({ key }))
    await kms.cancelKeyDeletion({ key })
    for (const run of Object.values(everyUse(kms, 'nowhere', plaintext))) await refused(run())
    await wrongInputs(kms, scene, { key, plaintext })
  }
  await kms.createKey({ slug: 'closed' })
  await refused(kms.export({ key: 'closed' }))
  await kms.listKeys()
  await kms.rotateDueKeys()
}

const abilities = {
  encrypt: ['encrypt', 'generateDataKey', 'decrypt', 'reEncrypt'],
  sign: ['sign', 'verify', 'getPublicKey'],
  mac: ['hmac', 'verifyHmac'],
} as const

interface Given {
  readonly key: string
  readonly plaintext: Uint8Array
}

/** The plaintext as every payload that there is; what a key cannot do, or does not open, is refused. */
function everyUse(kms: KmsClient, key: string, plaintext: Uint8Array): Record<string, () => Promise<unknown>> {
  return {
    encrypt: () => kms.encrypt({ key, plaintext }),
    decrypt: () => kms.decrypt({ key, ciphertext: plaintext }),
    generateDataKey: () => kms.generateDataKey({ key }),
    reEncrypt: () => kms.reEncrypt({ key, ciphertext: plaintext }),
    sign: () => kms.sign({ key, input: plaintext }),
    verify: () => kms.verify({ key, input: plaintext, signature: plaintext }),
    hmac: () => kms.hmac({ key, input: plaintext }),
    verifyHmac: () => kms.verifyHmac({ key, input: plaintext, hmac: plaintext }),
  }
}

type Work = (kms: KmsClient, scene: Scene, given: Given) => Promise<void>

const works: { readonly [U in keyof typeof abilities]: Work } = {
  async encrypt(kms, { refused, secrets }, { key, plaintext }) {
    const encryptionContext = { order: '17' }
    const { ciphertext } = await kms.encrypt({ key, plaintext, encryptionContext })
    assert.deepEqual((await kms.decrypt({ key, ciphertext, encryptionContext })).plaintext, plaintext)
    await kms.encryptMany([{ key, plaintext }])
    await kms.decryptMany([
      { key, ciphertext, encryptionContext },
      { key, ciphertext },
    ])
    const dataKey = await kms.generateDataKey({ key })
    secrets.push({ name: `data key of ${key}`, bytes: dataKey.plaintext.slice() })
    await kms.reEncrypt({ key, ciphertext, encryptionContext })
    await refused(kms.decrypt({ key, ciphertext }))
    await refused(kms.reEncrypt({ key, ciphertext }))
    await refused(kms.decrypt({ key, ciphertext: ciphertext.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) }))
    await refused(kms.decrypt({ key, ciphertext: ciphertext.slice(0, -1), encryptionContext }))
    await refused(kms.decrypt({ key, ciphertext: plaintext }))
    await refused(kms.encrypt({ key, plaintext, keyVersion: 9 }))
  },
  async sign(kms, { refused }, { key, plaintext }) {
    const { signature } = await kms.sign({ key, input: plaintext })
    assert.equal(await kms.verify({ key, input: plaintext, signature }), true)
    assert.equal(await kms.verify({ key, input: plaintext, signature: plaintext }), false)
    await kms.getPublicKey({ key })
    await refused(kms.sign({ key, input: plaintext, keyVersion: 9 }))
  },
  async mac(kms, { refused }, { key, plaintext }) {
    const { hmac } = await kms.hmac({ key, input: plaintext })
    assert.equal(await kms.verifyHmac({ key, input: plaintext, hmac }), true)
    assert.equal(await kms.verifyHmac({ key, input: plaintext, hmac: plaintext }), false)
    await refused(kms.hmac({ key, input: plaintext, keyVersion: 9 }))
  },
}

/** Callers' slips: the secret in the wrong field, of the wrong type, or where nothing belongs. */
async function wrongInputs(kms: KmsClient, { refused }: Scene, { key, plaintext }: Given): Promise<void> {
  const hex = Buffer.from(plaintext).toString('hex')
  const shared = new Uint8Array(new SharedArrayBuffer(32))
  shared.set(plaintext)
  const wrong: readonly (readonly [Operation, object])[] = [
    ['encrypt', { key, plaintext: hex }],
    ['encrypt', { key, plaintext: shared }],
    ['encrypt', { key, plaintext: [...plaintext] }],
    ['encrypt', { key, plaintext: new Float64Array(plaintext) }],
    ['encrypt', { key, plaintext: new Uint8Array(70_000).map((_, at) => plaintext[at % 32] ?? 0) }],
    ['encrypt', { key, plaintext, keyVersion: hex }],
    ['encrypt', { key, plaintext, encryptionContext: plaintext }],
    ['encrypt', { key, plaintext, encryptionContext: { nested: { plaintext } } }],
    ['encrypt', { key: plaintext, plaintext }],
    ['encrypt', { key: { plaintext }, plaintext }],
    ['decrypt', { key, ciphertext: hex }],
    ['sign', { key, input: hex, hashAlgorithm: hex, format: hex }],
    ['sign', { key, input: plaintext, prehashed: hex }],
    ['sign', { key, input: plaintext.slice(0, 20), prehashed: true, hashAlgorithm: hex }],
    ['createKey', { slug: 'wrong', keyType: plaintext }],
    ['createKey', { slug: 'wrong', labels: { plaintext } }],
    ['scheduleKeyDeletion', { key, pendingWindowInDays: hex }],
    ['export', { key, form: hex }],
    ['encrypt', hostileObject(hex)],
    [
      'encrypt',
      {
        key,
        get plaintext() {
          throw hostile(hex)
        },
      },
    ],
  ]
  // What a program in JavaScript may pass, whatever the types say.
  for (const [operation, input] of wrong) await refused(kms.call(operation, input as never))
  await refused(kms.listKeys({ plaintext, note: hex } as object))
}

/** Operations on the keystore itself; root keys and passphrases of every kind, and callers' slips with them. */
async function driveKeystore(t: TestContext, scene: Scene): Promise<void> {
  const { overLocal, overMemory, refused, secrets, haystack } = scene
  const rootKey = Uint8Array.from(randomBytes(32))
  const passphrase = randomBytes(24).toString('base64url')
  secrets.push({ name: 'the next root key', bytes: rootKey.slice() })
  secrets.push({ name: 'the next passphrase', bytes: Buffer.from(passphrase) })
  const hex = Buffer.from(rootKey).toString('hex')
  const rootKeyFile = join(folderFor(t), 'next.key')
  writeFileSync(rootKeyFile, hex, { mode: 0o600 })
  for (const input of [{ passphrase }, { passphrase: Buffer.from(passphrase) }, { rootKeyFile }, { rootKey }])
    haystack.set(`resealed ${Object.keys(input)} ${haystack.size}`, inspected(await overLocal.rewrapRootKey(input)))
  haystack.set('a new signer', inspected(await overLocal.rotateAuditSigner()))
  await overMemory.rotateAuditSigner()
  const wrong: readonly object[] = [
    {},
    { rootKey: hex },
    { rootKey: [...rootKey] },
    { rootKey: rootKey.subarray(1) },
    { rootKey, passphrase },
    { passphrase: { passphrase } },
    { passphrase: passphrase.repeat(40) },
    { passphrase, [hex]: true },
    { rootKeyFile: rootKey },
    { rootKeyFile: '/no/such/file' },
  ]
  // What a program in JavaScript may pass, whatever the types say.
  for (const input of wrong) await refused(overLocal.rewrapRootKey(input as never))
  await refused(overMemory.rewrapRootKey({ rootKey }))
  await refused(overLocal.rotateAuditSigner({ rootKey } as object))
}

/** Foreign errors that quote a secret, from everything that a user of the library may plug in. */
async function driveFaults(scene: Scene): Promise<void> {
  const { refused, secrets, haystack } = scene
  const bytes = Uint8Array.from(randomBytes(32))
  secrets.push({ name: 'quoted by foreign errors', bytes: bytes.slice() })
  const hex = Buffer.from(bytes).toString('hex')
  const thrown: readonly unknown[] = [
    hostile(hex),
    hostile(Buffer.from(bytes).toString('base64')),
    new AggregateError([hostile(hex)], hex),
    Object.assign(new Error(hex), { name: `bad ${hex}`, code: `${hex} `, requestId: { hex } }),
    new KmsError('PROVIDER_UNAVAILABLE', 'ours', { cause: hostile(hex) }),
    hex,
    bytes,
    { toString: () => hex, message: hex },
    undefined,
  ]
  for (const error of thrown) {
    const provider = fakeProvider()
    const sink = puppet()
    const audit = createAudit({ required: [sink], bestEffort: [brokenSink(error)], sinkDeadlineMs: 50 })
    const kms = new KmsClient({ provider, audit })
    await kms.createKey({ slug: 'x' })
    for (const operation of ['encrypt', 'rotate', 'listKeys', 'resolve'] as const) {
      provider.tell(operation, { throws: error })
      const input = operation === 'listKeys' ? {} : { key: 'x', plaintext: bytes }
      await refused(kms.call(operation === 'resolve' ? 'encrypt' : operation, input as never))
    }
    for (const answer of [undefined, null, hex, bytes, { ciphertext: hex }, { key: bytes, ciphertext: [bytes] }]) {
      provider.tell('encrypt', { answers: answer })
      await refused(kms.encrypt({ key: 'x', plaintext: bytes }))
    }
    const guarded = new KmsClient({
      provider,
      audit,
      middleware: [
        () => {
          throw error
        },
      ],
    })
    await refused(guarded.encrypt({ key: 'x', plaintext: bytes }))
    const filtered = filter(memorySink(), () => {
      throw error
    })
    for (const broken of [brokenSink(error), anyOf(brokenSink(error)), filtered]) {
      const behind = new KmsClient({ provider, audit: { required: [broken] } })
      await refused(behind.encrypt({ key: 'x', plaintext: bytes }))
      await refused(behind.encrypt({ key: 'x', plaintext: bytes }))
      haystack.set(`client behind ${broken.name} ${haystack.size}`, inspected([behind, behind.health()]))
    }
    haystack.set(`faulty client ${haystack.size}`, inspected([kms, audit, audit.health()]))
    addEntries(haystack, sink.accepted)
    await audit.close().catch(() => undefined)
  }
}

/** Opening, right and wrong. */
async function driveOpenings(t: TestContext, scene: Scene): Promise<void> {
  const { refused, secrets, haystack } = scene
  const folder = folderFor(t)
  const passphrase = `${randomBytes(12).toString('base64url')} ünd ${randomBytes(12).toString('base64url')}`
  const wrong = randomBytes(24).toString('base64url')
  const rootKey = Uint8Array.from(randomBytes(32))
  for (const [name, text] of Object.entries({ passphrase, wrong })) secrets.push({ name, bytes: Buffer.from(text) })
  secrets.push({ name: 'another root key', bytes: rootKey.slice() })
  const hex = Buffer.from(rootKey).toString('hex')

  const path = join(folder, 'passphrase')
  const local = await openLocalKms({ path, passphrase, allowFilesystem })
  haystack.set('a keystore under a passphrase, inspected', inspected(local))
  const { publicKey } = local.auditSigner()
  assert.equal(publicKey.length, 32)
  await refused(openLocalKms({ path, passphrase, allowFilesystem }))
  await local.close()
  await refused(openLocalKms({ path, passphrase: wrong, allowFilesystem }))
  await refused(openLocalKms({ path, rootKey, allowFilesystem }))
  // What a program in JavaScript may pass, whatever the types say.
  await refused(openLocalKms({ path, rootKey: hex as never, allowFilesystem }))
  await refused(openLocalKms({ path, rootKey, passphrase, allowFilesystem }))
  const rootKeyFrom = () => Promise.reject(hostile(hex))
  await refused(openLocalKms({ path, rootKeyFrom, allowFilesystem }))
  await refused(openLocalKms({ path, rootKeyFrom: async () => rootKey.subarray(1), allowFilesystem }))
  const rootKeyFile = join(folder, 'root.key')
  writeFileSync(rootKeyFile, `${hex} and more\n`, { mode: 0o600 })
  await refused(openLocalKms({ path, rootKeyFile, allowFilesystem }))
  await refused(fileSigner(rootKeyFile))
  const quoting = () => Promise.reject(hostile(hex))
  const fs = { ...nodeFileSystem, rename: quoting, syncFolder: quoting }
  await refused(openLocalKms({ path: join(folder, 'broken'), rootKey, fs, allowFilesystem }))
  const signer = await fileSigner(join(folder, 'audit.key'))
  // PRIVATE+KEY+<name>+<hash>+<base64>, which may itself hold a plus sign.
  const encoded = readFileSync(join(folder, 'audit.key'), 'utf8').split('+').slice(4).join('+')
  const seed = Buffer.from(encoded, 'base64').subarray(1)
  assert.equal(seed.length, 32)
  secrets.push({ name: 'seed of a signer', bytes: Uint8Array.from(seed) })
  const trail = await openTrail({ path: join(folder, 'trail'), signer, allowFilesystem })
  haystack.set('a trail and its signer, inspected', inspected([trail, signer]))
  await trail.close()
  // The files that hold the secrets are the user's; the directories are ours.
  addFiles(haystack, path)
  addFiles(haystack, join(folder, 'trail'))
}

function brokenSink(error: unknown) {
  return {
    name: 'broken',
    durability: 'memory',
    write(): void {
      throw error
    },
  } as const
}

/** As careless as an error can be. */
function hostile(quoted: string): Error {
  return Object.assign(new TypeError(`could not process ${quoted}`, { cause: new Error(quoted) }), {
    input: quoted,
    bytes: Buffer.from(quoted, 'hex'),
    stack: `TypeError: ${quoted}\n    at ${quoted}`,
    toString: () => quoted,
    toJSON: () => ({ quoted }),
  })
}

function hostileObject(quoted: string): object {
  return new Proxy(
    { key: 'x' },
    {
      get() {
        throw hostile(quoted)
      },
      ownKeys() {
        throw hostile(quoted)
      },
    },
  )
}

/** The secret itself, out of the form in which it was exported. */
async function addKeySecrets(secrets: Secret[], name: string, keyType: KeyType, exported: Uint8Array): Promise<void> {
  const bytes = await algorithms[keyType].decode(engine, exported)
  assert.ok(bytes !== undefined)
  secrets.push({ name: `key ${name}`, bytes })
  const rsa = decodeRsaPkcs8(bytes)
  // Either is the key.
  if (rsa !== undefined)
    secrets.push({ name: `key ${name}, d`, bytes: rsa.d }, { name: `key ${name}, p`, bytes: rsa.p })
}

function addEntries(haystack: Haystack, entries: readonly AuditEntry[]): void {
  assert.ok(entries.length > 0)
  haystack.set(`lines ${haystack.size}`, entries.map(lineOf).join('\n'))
  haystack.set(`entries ${haystack.size}`, inspected(entries))
}

function addError(haystack: Haystack, name: string, error: KmsError): void {
  haystack.set(name, `${inspected(error)}\n${JSON.stringify(error)}\n${error}`)
  let depth = 0
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause, depth++)
    haystack.set(`${name}, cause ${depth}`, `${cause.message}\n${cause.stack}\n${Object.entries(cause)}`)
}

function addFiles(haystack: Haystack, folder: string): void {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  assert.ok(files.length > 0)
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name)
    haystack.set(`${relative(folder, path)} ${haystack.size}`, readFileSync(path))
    haystack.set(`the name of ${relative(folder, path)}`, path)
  }
}

describe('bytes that come out', () => {
  for (const provider of ['memory', 'local'] as const)
    test(`${provider}: own their whole ArrayBuffer, are the caller's, and inputs stay as they were`, async (t) => {
      const local =
        provider === 'memory'
          ? memoryKms({ mlDsa })
          : await openLocalKms({ path: join(folderFor(t), 'keys'), rootKey: randomBytes(32), allowFilesystem, mlDsa })
      // RSA-4096 keys take their time on a busy machine.
      const kms = new KmsClient({ provider: local, audit: { required: [memorySink()] }, deadlineMs: 120_000 })
      const made = new Set<string>()
      // A pool is what a slip would hand out: small Buffers share one.
      const pooled = (length: number) => Buffer.allocUnsafe(length).fill(3)

      async function call<O extends Operation>(operation: O, input: object): Promise<Record<string, Uint8Array>> {
        const before = bytesOf(input).map(([, bytes]) => Uint8Array.from(bytes))
        const output = await kms.call(operation, input as never)
        assert.deepEqual(
          bytesOf(input).map(([, bytes]) => Uint8Array.from(bytes)),
          before,
          `${operation} left its input alone`,
        )
        for (const [name, bytes] of bytesOf(output)) {
          made.add(`${operation} ${name}`)
          assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype, `${operation} ${name} is plain`)
          assert.equal(bytes.byteOffset, 0)
          assert.equal(bytes.buffer.byteLength, bytes.length)
          assert.ok(bytes.buffer instanceof ArrayBuffer)
        }
        return Object.fromEntries(bytesOf(output))
      }

      /** The same twice, what came first scribbled over in between. */
      async function twice<O extends Operation>(operation: O, input: object, field: string): Promise<void> {
        const first = (await call(operation, input))[field] ?? new Uint8Array()
        const copy = first.slice()
        first.fill(0xee)
        assert.deepEqual((await call(operation, input))[field], copy, `${operation} ${field} is the caller's own`)
      }

      for (const keyType of keyTypes) {
        const key = keyType
        await kms.createKey({ slug: key, keyType, exportAllowed: true })
        await twice('export', { key }, 'keyMaterial')
        const { uses } = algorithms[keyType]
        if (uses.includes('encrypt')) {
          for (const length of keyType.startsWith('rsa') ? [1, 100, 190] : [1, 100, 5000]) {
            const { ciphertext = new Uint8Array() } = await call('encrypt', { key, plaintext: pooled(length) })
            await twice('decrypt', { key, ciphertext }, 'plaintext')
            await twice('decrypt', { key, ciphertext: Buffer.from(ciphertext) }, 'plaintext')
            await call('reEncrypt', { key, ciphertext })
          }
          const { plaintext = new Uint8Array(), ciphertext } = await call('generateDataKey', { key })
          const copy = plaintext.slice()
          plaintext.fill(0)
          assert.deepEqual((await call('decrypt', { key, ciphertext }))['plaintext'], copy)
        }
        if (uses.includes('sign')) {
          const { signature } = await call('sign', { key, input: pooled(40) })
          await call('verify', { key, input: pooled(40), signature })
          await twice('getPublicKey', { key }, 'spki')
        }
        if (uses.includes('mac')) {
          await twice('hmac', { key, input: pooled(40) }, 'hmac')
          await call('verifyHmac', { key, input: pooled(40), hmac: pooled(32) })
        }
        await twice('export', { key }, 'keyMaterial')
      }
      await twice('getWrappingKey', {}, 'spki')
      await call('rotateWrappingKey', {})
      const offered = Object.entries(operations).filter(([name]) => name in local.operations)
      const expected = offered.flatMap(([name, { makes }]) => makes.map((field) => `${name} ${field}`))
      assert.deepEqual([...made].sort(), expected.sort(), 'every output that is bytes was looked at')

      const changed = Reflect.set((await kms.describeKey({ key: 'hmac' })).key, 'status', 'disabled')
      assert.ok(!changed || (await kms.describeKey({ key: 'hmac' })).key.status === 'active')
      await kms.close()
    })

  test("the audit signer's public key is the caller's own too", () => {
    const memory = memoryKms({ mlDsa })
    const { publicKey } = memory.auditSigner()
    const copy = publicKey.slice()
    publicKey.fill(0)
    assert.deepEqual(memory.auditSigner().publicKey, copy)
  })

  function bytesOf(value: object): [string, Uint8Array][] {
    return Object.entries(value).filter((field): field is [string, Uint8Array] => field[1] instanceof Uint8Array)
  }
})

describe('whatever is thrown by what a user plugs in', () => {
  const secret = 'what must not come out'
  const treacherous = {
    get name(): string {
      throw new Error(secret)
    },
  }

  test('an error whose fields throw is an error like any other: one KmsError, one entry', async () => {
    const provider = fakeProvider()
    const sink = memorySink()
    const kms = new KmsClient({ provider, audit: { required: [sink] } })
    await kms.createKey({ slug: 'x' })
    const before = sink.entries.length
    provider.tell('encrypt', { throws: treacherous })
    await assert.rejects(kms.encrypt({ key: 'x', plaintext: new Uint8Array(1) }), { code: 'INTERNAL' })
    assert.equal(sink.entries.length, before + 1)
  })

  test('a signer that fails with an error of its own makes the trail fail with one of ours', async (t) => {
    const { publicKey } = memoryKms().auditSigner()
    const sign = () => {
      throw new Error(secret)
    }
    const opening = openTrail({ path: folderFor(t), signer: { publicKey, sign }, allowFilesystem })
    await assert.rejects(opening, (error) => error instanceof KmsError && !inspected(error).includes(secret))
  })

  test('a context carrier, an option or a signal that throws is a KmsError that does not quote', async () => {
    const quoting = () => {
      throw new Error(secret)
    }
    const audit = { required: [memorySink()] }
    const carried = new KmsClient({ provider: memoryKms(), context: { current: quoting }, audit })
    const plain = new KmsClient({ provider: memoryKms(), audit })
    const options = Object.defineProperty({}, 'context', { get: quoting })
    const signal = Object.defineProperty({}, 'aborted', { get: quoting })
    for (const call of [
      () => carried.listKeys(),
      () => plain.listKeys({}, options),
      // What a program in JavaScript may pass, whatever the types say.
      () => plain.listKeys({}, { signal: signal as never }),
    ])
      await assert.rejects(call, (error) => error instanceof KmsError && !inspected(error).includes(secret))
  })
})

// Sixty starts of node, which print what the tests above have seen.
const onOneNode = isWhole ? test : undefined
onOneNode?.('the command line shows and leaves no secret, whatever the verb', async (t) => {
  const folder = folderFor(t)
  const main = await compile('src/cli/main.ts', folder)
  const dir = join(folder, 'home')
  const out = join(folder, 'out')
  mkdirSync(out)
  const haystack: Haystack = new Map()
  const plaintext = Uint8Array.from(randomBytes(64))
  const rootKey = Uint8Array.from(randomBytes(32))
  const passphrase = randomBytes(24).toString('base64url')
  const secrets: Secret[] = [
    { name: 'plaintext', bytes: plaintext },
    { name: 'root key', bytes: rootKey },
    { name: 'passphrase', bytes: Buffer.from(passphrase) },
  ]
  const rootKeyFile = join(folder, 'root.key')
  writeFileSync(rootKeyFile, rootKey, { mode: 0o600 })
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const recipient = join(folder, 'recipient.pem')
  writeFileSync(recipient, pair.publicKey.export({ type: 'spki', format: 'pem' }))
  const privateKeyFile = join(folder, 'private.pem')
  writeFileSync(privateKeyFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const { d = '', p = '' } = pair.privateKey.export({ format: 'jwk' })
  for (const [name, part] of Object.entries({ d, p }))
    secrets.push({ name: `the recipient's ${name}`, bytes: Buffer.from(part, 'base64url') })
  const file = join(folder, 'plain')
  writeFileSync(file, plaintext)
  const withRootKey = { KEYTRAIL_ROOT_KEY_FILE: rootKeyFile, KEYTRAIL_DIR: dir }

  function run(args: readonly string[], env: Readonly<Record<string, string>> = withRootKey): number | null {
    const { HOME = '/', PATH = '' } = process.env
    const ran = spawnSync(process.execPath, [main, ...args], { env: { HOME, PATH, ...env } })
    const name = `keytrail ${args.join(' ')} ${haystack.size}`
    haystack.set(`${name}: stdout`, ran.stdout)
    haystack.set(`${name}: stderr`, ran.stderr)
    return ran.status
  }
  const to = (name: string) => ['--out', join(out, name)]
  const fine: readonly (readonly string[])[] = [
    ['init'],
    ['keys', 'create', 'seal', '--exportable'],
    ['keys', 'create', 'sign', '--type', 'ed25519', '--exportable'],
    ['keys', 'create', 'mac', '--type', 'hmac-sha256', '--exportable'],
    ['keys', 'list', '--json'],
    ['keys', 'show', 'seal'],
    ['encrypt', 'seal', file, ...to('sealed')],
    ['decrypt', 'seal', join(out, 'sealed'), ...to('opened')],
    ['encrypt', 'seal', file, '--json'],
    ['sign', 'sign', file, ...to('signature')],
    ['verify', 'sign', file, '--signature', join(out, 'signature')],
    ['hmac', 'mac', file, ...to('hmac')],
    ['verify-hmac', 'mac', file, '--hmac', join(out, 'hmac')],
    ['keys', 'public-key', 'sign'],
    ...Object.entries({ seal: 'raw', sign: 'pkcs8', mac: 'raw' }).map(([key, form]) => {
      return ['keys', 'export', key, '--form', form, '--reason', 'test', ...to(`${key}.key`)]
    }),
    ['keys', 'wrapping-key'],
    ['keys', 'export', 'seal', '--recipient', recipient, '--reason', 'test', ...to('wrapped')],
    ['keys', 'unwrap', join(out, 'wrapped'), '--private-key', privateKeyFile, ...to('unwrapped')],
    ['keys', 'wrap', join(out, 'seal.key'), '--recipient', recipient, ...to('wrapped-too')],
    ['keys', 'import', 'brought', join(out, 'seal.key'), '--type', 'xaes256-gcm', '--allow-rotation', '--json'],
    ['keys', 'import-version', 'brought', join(out, 'seal.key'), '--key-version', '2', '--json'],
    ['keys', 'show', 'brought'],
    ['keys', 'min-version', 'brought', '2'],
    ['keys', 'destroy', '--due'],
    ['keys', 'rotate', 'seal'],
    ['keys', 'disable', 'mac'],
    ['keys', 'enable', 'mac'],
    ['keys', 'delete', 'mac'],
    ['keys', 'cancel-deletion', 'mac'],
    ['audit', 'query'],
    ['audit', 'query', '--json'],
    ['audit', 'query', '--csv'],
    ['audit', 'query', '--by', 'actor,key,source'],
    ['audit', 'verify', '--json'],
    ['demo', file, '--dir', join(folder, 'demo')],
  ]
  for (const args of fine) assert.equal(run(args), 0, `${args.join(' ')}: ${[...haystack.values()].at(-1)}`)
  for (const [key, keyType] of Object.entries({ seal: 'xaes256-gcm', sign: 'ed25519', mac: 'hmac-sha256' } as const))
    await addKeySecrets(secrets, key, keyType, Uint8Array.from(readFileSync(join(out, `${key}.key`))))
  assert.deepEqual(Uint8Array.from(readFileSync(join(out, 'opened'))), plaintext)
  const wrong: readonly (readonly string[])[] = [
    ['decrypt', 'seal', file],
    ['decrypt', 'seal', file, '--json'],
    ['decrypt', 'nowhere', join(out, 'sealed')],
    ['verify', 'sign', file, '--signature', file],
    ['keys', 'export', 'seal'],
    ['keys', 'unwrap', join(out, 'sealed'), '--private-key', privateKeyFile],
    ['keys', 'import', 'no-key', join(out, 'seal.key'), '--type', 'ecdsa-p256', '--json'],
    ['keys', 'import', 'no-key', join(out, 'seal.key'), '--type', 'hmac', '--json'],
    ['keys', 'wrap', join(out, 'seal.key'), '--recipient', privateKeyFile],
    ['encrypt', 'sign', file],
    ['encrypt', 'seal', file, '--context', passphrase],
    ['encrypt', 'seal', '--passphrase', passphrase],
  ]
  for (const args of wrong.slice(0, -2)) assert.notEqual(run(args), 0, args.join(' '))
  for (const args of wrong.slice(-2)) {
    // A secret in the wrong place of the command line is not repeated.
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { env: { ...withRootKey } })
    assert.equal(status, 2)
    haystack.set(`a usage error ${haystack.size}`, `${stdout}${stderr}`)
  }
  const other = { KEYTRAIL_PASSPHRASE: passphrase, KEYTRAIL_DIR: join(folder, 'other') }
  assert.equal(run(['init'], other), 0)
  assert.equal(run(['keys', 'create', 'x'], other), 0)
  assert.notEqual(run(['keys', 'list'], { ...other, KEYTRAIL_PASSPHRASE: `${passphrase}!` }), 0)
  for (const home of [dir, join(folder, 'other'), join(folder, 'demo')]) addFiles(haystack, home)
  assert.deepEqual(leaksIn(haystack, secrets), [])
})
