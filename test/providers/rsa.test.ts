/** RSA keys in the embedded KMS, where the engine answers at once and where it answers later. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { wipe } from '../../src/crypto/bytes.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import { KmsClient } from '../../src/index.ts'
import { evidenceOf } from '../../src/model/errors.ts'
import { openKeyring } from '../../src/providers/local/keyring.ts'
import { newKeystore } from '../../src/providers/local/keystore.ts'
import { type EmbeddedKms, embeddedKms } from '../../src/providers/local/provider.ts'
import { openUsage } from '../../src/providers/local/usage.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { wrapKeyMaterial } from '../../src/wrapping.ts'
import { engines, noble, node } from '../crypto/engines.ts'
import { bytes, failureOf, handClock, run } from './calls.ts'

const plaintext = bytes('a secret of the house')

function kmsOn(engine: Engine): EmbeddedKms {
  const keystore = newKeystore(engine)
  const usage = openUsage({ keystore })
  const keyring = openKeyring(engine, keystore, { usage })
  const persist = async () => ({ oldRemain: false })
  return embeddedKms({ name: 'test', engine, keyring, usage, clock: handClock(), persist })
}

for (const engine of engines) {
  describe(`RSA in the embedded KMS, ${engine.name}`, () => {
    test('one key encrypts and signs, before and after a rotation, and moves ciphertexts to another key', async (t) => {
      const kms = kmsOn(engine)
      t.after(() => kms.close())
      assert.equal(kms.synchronous, engine.rsa.synchronous)
      await run(kms, 'createKey', { slug: 'r', keyType: 'rsa-2048' })
      await run(kms, 'createKey', { slug: 'a', keyType: 'aes256-gcm96' })
      const { ciphertext } = await run(kms, 'encrypt', { key: 'r', plaintext })
      const { signature } = await run(kms, 'sign', { key: 'r', input: plaintext, padding: 'pkcs1v15' })
      await run(kms, 'rotate', { key: 'r' })
      assert.deepEqual((await run(kms, 'decrypt', { key: 'r', ciphertext })).plaintext, plaintext)
      const verify = { key: 'r', input: plaintext, signature }
      const verdict = await run(kms, 'verify', { ...verify, padding: 'pkcs1v15' })
      assert.deepEqual([verdict.valid, verdict.keyVersion], [true, 1])
      assert.equal((await run(kms, 'verify', verify)).valid, false)
      const moved = await run(kms, 'reEncrypt', { key: 'r', ciphertext, destinationKey: 'a' })
      const back = await run(kms, 'reEncrypt', { key: 'a', ciphertext: moved.ciphertext, destinationKey: 'r' })
      const opened = await run(kms, 'decrypt', { key: 'r', ciphertext: back.ciphertext })
      assert.deepEqual([opened.plaintext, opened.keyVersion], [plaintext, 2])
      const dataKey = await run(kms, 'generateDataKey', { key: 'r' })
      assert.deepEqual(
        (await run(kms, 'decrypt', { key: 'r', ciphertext: dataKey.ciphertext })).plaintext,
        dataKey.plaintext,
      )

      const tooLong = await failureOf(run(kms, 'encrypt', { key: 'r', plaintext: new Uint8Array(191) }))
      assert.deepEqual([tooLong.code, /rsa-2048 .* 190 bytes/.test(tooLong.message)], ['INVALID_INPUT', true])
      ciphertext[100] = (ciphertext[100] ?? 0) ^ 1
      const failure = await failureOf(run(kms, 'decrypt', { key: 'r', ciphertext }))
      assert.equal(failure.code, 'INVALID_CIPHERTEXT')
      assert.deepEqual(evidenceOf(failure), { decryptFailure: 'authentication_failed', keyVersion: 1 })
    })

    test('through the client, arrays may be overwritten as soon as the call is made', async (t) => {
      const provider = kmsOn(engine)
      const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
      t.after(() => kms.close())
      await kms.createKey({ slug: 'r', keyType: 'rsa-2048' })
      const own = plaintext.slice()
      const encrypting = kms.encrypt({ key: 'r', plaintext: own })
      wipe(own)
      const { ciphertext } = await encrypting
      const sent = ciphertext.slice()
      const decrypting = kms.decrypt({ key: 'r', ciphertext: sent })
      wipe(sent)
      assert.deepEqual((await decrypting).plaintext, plaintext)
      const input = plaintext.slice()
      const signing = kms.sign({ key: 'r', input })
      wipe(input)
      const { signature } = await signing
      assert.equal(await kms.verify({ key: 'r', input: plaintext, signature }), true)
    })

    test('an import that is refused while a key is being made is one refusal, told at once', async (t) => {
      const slow = gate()
      const [wrapping] = await pairOfKeys()
      const kms = kmsOn(withRsa(engine, { generate: [async () => wrapping.slice(), () => slow.wait(wrapping)] }))
      t.after(() => kms.close())
      await run(kms, 'getWrappingKey', {})
      const making = run(kms, 'createKey', { slug: 'r', keyType: 'rsa-4096' })
      const given = { slug: 'x', keyType: 'aes256-gcm96', keyMaterial: new Uint8Array(600), form: 'wrapped' } as const
      assert.equal((await failureOf(run(kms, 'importKey', given))).code, 'INVALID_INPUT')
      slow.open()
      await making
    })

    test('calls that were given up make no keys, and keep nobody waiting', async (t) => {
      const slow = gate()
      const [key] = await pairOfKeys()
      let made = 0
      const generate = () => {
        made += 1
        return slow.wait(key)
      }
      const kms = kmsOn(withRsa(engine, { generate: Array(9).fill(generate) }))
      t.after(() => kms.close())
      const controller = new AbortController()
      const first = run(kms, 'createKey', { slug: 'first', keyType: 'rsa-4096' })
      const givenUp = ['a', 'b', 'c'].map((slug) =>
        failureOf(run(kms, 'createKey', { slug, keyType: 'rsa-4096' }, { signal: controller.signal })),
      )
      const last = run(kms, 'createKey', { slug: 'last', keyType: 'rsa-4096' })
      controller.abort()
      slow.open()
      for (const error of await Promise.all(givenUp)) assert.equal(error.code, 'ABORTED')
      await Promise.all([first, last])
      assert.equal(made, 2)
    })
  })
}

test('what was wrapped to one wrapping key is not imported once another was made, also while it is being unwrapped', async (t) => {
  const [one, two] = await pairOfKeys()
  const slow = gate()
  const generate = [async () => one.slice(), async () => two.slice()]
  const kms = kmsOn(withRsa(noble, { generate, beforeDecrypt: () => slow.wait(one) }))
  t.after(() => kms.close())
  const { spki } = await run(kms, 'getWrappingKey', {})
  const keyMaterial = await wrapKeyMaterial({ keyMaterial: new Uint8Array(32).fill(7), recipient: spki })
  const given = { slug: 'x', keyType: 'aes256-gcm96', keyMaterial, form: 'wrapped' } as const
  const importing = failureOf(run(kms, 'importKey', given))
  const rotated = await run(kms, 'rotateWrappingKey', {})
  assert.notDeepEqual(rotated.spki, spki)
  slow.open()
  const error = await importing
  assert.deepEqual([error.code, /another wrapping key was made meanwhile/.test(error.message)], ['INVALID_INPUT', true])
})

/** Two RSA-4096 keys for all these tests: making one takes a second. */
let keys: Promise<readonly [Uint8Array, Uint8Array]> | undefined
function pairOfKeys(): Promise<readonly [Uint8Array, Uint8Array]> {
  keys ??= Promise.all([node.rsa.generate(4096), node.rsa.generate(4096)])
  return keys
}

interface Gate {
  open(): void
  /** A copy of `bytes`, once the gate is open. */
  wait(bytes: Uint8Array): Promise<Uint8Array>
}

function gate(): Gate {
  const { promise, resolve } = resolvers()
  return { open: resolve, wait: (bytes) => promise.then(() => bytes.slice()) }
}

function resolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

interface Changes {
  /** How the next keys are made, one after another. */
  readonly generate: readonly (() => Promise<Uint8Array>)[]
  readonly beforeDecrypt?: () => Promise<unknown>
}

/** An engine whose RSA keys come when a test wants them; all else of it is as it is. */
function withRsa(engine: Engine, { generate, beforeDecrypt }: Changes): Engine {
  const next = [...generate]
  const { rsa } = engine
  return {
    ...engine,
    rsa: {
      ...rsa,
      generate: () => next.shift()?.() ?? assert.fail('no more keys are told of'),
      privateKey(pkcs8) {
        const key = rsa.privateKey(pkcs8)
        if (beforeDecrypt === undefined) return key
        return { ...key, decrypt: async (...input) => beforeDecrypt().then(() => key.decrypt(...input)) }
      },
    },
  }
}
