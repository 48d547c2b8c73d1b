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
import { engines } from '../crypto/engines.ts'
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
  })
}
