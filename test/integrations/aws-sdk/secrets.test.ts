/** @node No secret of a call, and no credential, in an entry, an error of ours or what the handle shows of itself. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import {
  CreateCustomKeyStoreCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateMacCommand,
  ImportKeyMaterialCommand,
  RetireGrantCommand,
  SignCommand,
} from '@aws-sdk/client-kms'
import { lineOf } from '../../../src/model/line.ts'
import { noShared } from '../../shared.ts'
import { rig } from './rig.ts'

const word = 'canary-4f1d8c'
const bytes = new TextEncoder().encode(word)

/** Every spelling in which the bytes might stand somewhere. */
function spellings(secret: Uint8Array): readonly string[] {
  const buffer = Buffer.from(secret)
  const plain = buffer.toString('latin1')
  return [
    plain,
    buffer.toString('base64').slice(0, -4),
    buffer.toString('hex'),
    [...secret].join(','),
    [...secret].join(', '),
  ]
}

describe('secrets of the AWS SDK', { skip: noShared }, () => {
  test('are in no entry, error or inspection', async () => {
    const sessionToken = 'session-token-canary-77e1'
    const made = await rig({ config: { credentials: async () => ({ ...secretKeys, sessionToken }) } })
    const secretKeys = { accessKeyId: 'AKIACANARY0000000000', secretAccessKey: 'secret-access-canary-90ab' }
    const seen: unknown[] = []
    // What the handle holds, and what is thrown, go through `inspect` with everything shown.
    const look = (value: unknown) => seen.push(inspect(value, { depth: 12, showHidden: true, getters: true }))
    const KeyId = await made.newKey()
    const rsa = await made.newKey('RSA_2048')
    const mac = await made.newKey('HMAC_256')
    const GrantToken = `${word}-grant`
    const commands = [
      new EncryptCommand({ KeyId, Plaintext: bytes, GrantTokens: [GrantToken] }),
      new DecryptCommand({ CiphertextBlob: bytes }),
      new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }),
      new SignCommand({ KeyId: rsa, Message: bytes, SigningAlgorithm: 'RSASSA_PSS_SHA_256' }),
      new GenerateMacCommand({ KeyId: mac, Message: bytes, MacAlgorithm: 'HMAC_SHA_256' }),
      new ImportKeyMaterialCommand({ KeyId, ImportToken: bytes, EncryptedKeyMaterial: bytes }),
      new RetireGrantCommand({ GrantToken }),
      new CreateCustomKeyStoreCommand({ CustomKeyStoreName: 'store', KeyStorePassword: word }),
    ]
    for (const command of commands) await made.client.send(command as EncryptCommand).catch(() => {})
    // With credentials that the endpoint takes, so that there are answers too.
    made.handle.detach()
    const good = await rig()
    const key = await good.newKey()
    const answers = [
      await good.client.send(new EncryptCommand({ KeyId: key, Plaintext: bytes })),
      await good.client.send(new GenerateDataKeyCommand({ KeyId: key, KeySpec: 'AES_256' })),
    ]
    for (const mode of ['reject', 'sync'] as const) {
      good.sink.mode = mode
      for (const command of [
        new EncryptCommand({ KeyId: key, Plaintext: bytes }),
        new GenerateDataKeyCommand({ KeyId: key, KeySpec: 'AES_256' }),
      ])
        await good.client.send(command as EncryptCommand).catch(look)
    }
    assert.ok(seen.length >= 2)
    look(made.handle)
    look(good.handle)
    const entries = [...made.sink.batches, ...good.sink.batches].flat()
    assert.ok(entries.length > 10)
    const all = [...seen, ...entries.map(lineOf), ...entries.map((entry) => inspect(entry, { showHidden: true }))].join(
      '\n',
    )
    const { Plaintext: dataKey = new Uint8Array() } = answers[1] as { Plaintext?: Uint8Array }
    const secrets = [...spellings(bytes), ...spellings(dataKey), sessionToken, ...Object.values(secretKeys), GrantToken]
    secrets.push(good.endpoint.credentials.secretAccessKey)
    for (const secret of secrets) assert.ok(!all.includes(secret), secret)
    await good.close()
    await made.close()
  })
})
