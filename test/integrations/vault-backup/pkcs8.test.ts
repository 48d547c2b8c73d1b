/** The two forms of PKCS#8 that only Vault's import takes, on their way into ours. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto'
import { test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { utf8 } from '../../../src/crypto/bytes.ts'
import { encodeEd25519Pkcs8 } from '../../../src/crypto/pkcs8.ts'
import { usualPkcs8 } from '../../../src/integrations/vault-backup/index.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { assertOwned, kmsError } from '../../crypto/engines.ts'
import { noShared, sharedJson } from '../../shared.ts'

interface Fixture {
  readonly upstream_fixed: { readonly imports: readonly { readonly name: string; readonly pkcs8_b64: string }[] }
}

function imports(): readonly Uint8Array[] {
  const { imports: all } = sharedJson<Fixture>('fixtures/openbao-transit.json').upstream_fixed
  assert.equal(all.length, 2)
  return all.map(({ pkcs8_b64: text }) => new Uint8Array(Buffer.from(text, 'base64')))
}

const words = utf8('the quick brown fox')

test('the known ones become keys that sign for their public keys', { skip: noShared }, async (t) => {
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [memorySink()] } })
  t.after(() => kms.close())
  for (const [at, keyType] of (['ed25519', 'rsa-2048'] as const).entries()) {
    const given = imports()[at] ?? assert.fail()
    await assert.rejects(
      kms.importKey({ keyType, keyMaterial: given }),
      kmsError('INVALID_INPUT', new RegExp(`no ${keyType} key in the form pkcs8`)),
    )
    const keyMaterial = usualPkcs8(given)
    assertOwned(keyMaterial)
    const { key } = await kms.importKey({ keyType, keyMaterial, slug: keyType })
    const { spki } = await kms.getPublicKey({ key: keyType })
    const privateKey = createPrivateKey({ key: Buffer.from(keyMaterial), format: 'der', type: 'pkcs8' })
    assert.deepEqual(new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })), spki)
    const signature = new Uint8Array(sign(keyType === 'ed25519' ? null : 'sha256', words, privateKey))
    const options = keyType === 'ed25519' ? {} : ({ padding: 'pkcs1v15' } as const)
    assert.equal(await kms.verify({ key: key.identity, input: words, signature, ...options }), true)
  }
})

test('anything else is refused: the usual form, every cut, a byte more, a byte changed', {
  skip: noShared,
}, () => {
  const refused = kmsError('INVALID_INPUT', /neither/)
  assert.throws(() => usualPkcs8(encodeEd25519Pkcs8(new Uint8Array(randomBytes(32)))), refused)
  assert.throws(() => usualPkcs8(new Uint8Array(0)), refused)
  const text = '-----BEGIN' as unknown as Uint8Array // a wrong type
  assert.throws(() => usualPkcs8(text), kmsError('INVALID_INPUT', /DER, not PEM/))
  const [nss = words, rsa = words] = imports()
  for (let length = 0; length < nss.length; length++) assert.throws(() => usualPkcs8(nss.slice(0, length)), refused)
  for (let length = 0; length < rsa.length; length += 37) assert.throws(() => usualPkcs8(rsa.slice(0, length)), refused)
  for (const one of [nss, rsa]) assert.throws(() => usualPkcs8(Uint8Array.from([...one, 0])), refused)
  // All but the seed and what stands for its public key, at the end, is fixed.
  const [seedAt, publicAt] = [36, nss.length - 32]
  for (const at of [...nss.keys()].filter((one) => (one < seedAt || one >= seedAt + 32) && one < publicAt))
    assert.throws(() => usualPkcs8(nss.map((byte, index) => (index === at ? byte ^ 1 : byte))), refused, String(at))
})
