/** What real servers made opens through the provider, and what it asks is what they were asked. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EncryptionContext, HashAlgorithm } from '../../../src/model/operation.ts'
import { noShared, sharedFile, sharedJson } from '../../shared.ts'
import { bytes, rig, text } from './rig.ts'
import { materialFromExport } from './transit-crypto.ts'

interface Recorded {
  readonly req: { readonly method: string; readonly path: string; readonly body: string }
  readonly res: { readonly status: number; readonly body: string }
}

const recorded = (): readonly Recorded[] =>
  Buffer.from(sharedFile('fixtures/vault-transit.vault-1.8-dev.jsonl'))
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"_note"'))
    .map((line) => JSON.parse(line) as Recorded)

interface Facts {
  readonly produced_by_upstream_code: {
    readonly symmetric: readonly (Sealed & { readonly key_hex: string; readonly key_version: number })[]
    readonly derived_and_convergent: readonly (Sealed & {
      readonly root_key_hex: string
      readonly context_b64: string
    })[]
    readonly hmac: readonly {
      readonly algorithm: string
      readonly hmac: string
      readonly hmac_key_hex: string
      readonly input_b64: string
    }[]
    readonly signatures: readonly {
      readonly type: string
      readonly input_b64: string
      readonly signature: string
      readonly private_key_export: string
      readonly options?: Readonly<Record<string, string | boolean>>
    }[]
  }
}

interface Sealed {
  readonly type: string
  readonly ciphertext: string
  readonly plaintext_b64: string
  readonly associated_data_b64?: string
}

const facts = () => sharedJson<Facts>('fixtures/openbao-transit.json').produced_by_upstream_code
const decoded = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const payloadOf = (value: string, as: BufferEncoding = 'base64') =>
  new Uint8Array(Buffer.from(value.split(':')[2] ?? '', as))
const hashes: Readonly<Record<string, HashAlgorithm>> = {
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
  'sha2-512': 'sha512',
}

describe('through the provider', { skip: noShared }, () => {
  test('the ciphertexts of the recorded Vault open with its exported keys, and the tampered one does not', async (t) => {
    const { kms, endpoint, last } = await rig(t, { endpoint: { dialect: 'vault-1.8' } })
    const exchanges = recorded()
    const exported = exchanges.find(({ req }) => req.path.includes('/export/encryption-key/k1'))?.res.body ?? '{}'
    const { data } = JSON.parse(exported) as { data: { keys: Record<string, string> } }
    endpoint.add('k1', {
      type: 'aes256-gcm96',
      materials: [1, 2].map((version) => Buffer.from(data.keys[version] ?? '', 'base64')),
    })
    let opened = 0
    for (const { req, res } of exchanges.filter(({ req: { path } }) => path.endsWith('/decrypt/k1'))) {
      const { ciphertext } = JSON.parse(req.body) as { ciphertext: string }
      const call = kms.decrypt({ key: 'k1', ciphertext: bytes(ciphertext) })
      if (res.status === 200) {
        const { data: expected } = JSON.parse(res.body) as { data: { plaintext: string } }
        assert.deepEqual((await call).plaintext, decoded(expected.plaintext))
      } else {
        await assert.rejects(call, { code: 'INVALID_CIPHERTEXT' })
        assert.equal(last()?.details?.decryptFailure, res.status === 500 ? 'authentication_failed' : 'malformed')
      }
      opened += 1
    }
    assert.equal(opened, 4)
  })

  test('what it asks is what the recorded client asked, path by path and field by field', async (t) => {
    const { kms, endpoint } = await rig(t, { endpoint: { dialect: 'vault-1.8' } })
    const theirs = (pattern: RegExp) => {
      const { req } =
        recorded().find(({ req: { method, path }, res }) => pattern.test(`${method} ${path}`) && res.status < 300) ??
        assert.fail()
      return { path: req.path, fields: req.body === '' ? [] : Object.keys(JSON.parse(req.body)).sort() }
    }
    const plaintext = bytes('x')
    await kms.createKey({ slug: 'k1', exportAllowed: true })
    await kms.createKey({ slug: 'e1', keyType: 'ecdsa-p256' })
    const { ciphertext } = await kms.encrypt({ key: 'k1', plaintext })
    await kms.decrypt({ key: 'k1', ciphertext })
    await kms.rotate({ key: 'k1' })
    const { hmac } = await kms.hmac({ key: 'k1', input: plaintext })
    await kms.verifyHmac({ key: 'k1', input: plaintext, hmac })
    const { signature } = await kms.sign({ key: 'e1', input: plaintext })
    await kms.verify({ key: 'e1', input: plaintext, signature })
    await kms.encryptMany([1, 2].map(() => ({ key: 'k1', plaintext })))
    for (const pattern of [
      /POST .*keys\/k1$/,
      /POST .*encrypt\/k1$/,
      /POST .*decrypt\/k1$/,
      /POST .*keys\/k1\/rotate$/,
      /POST .*sign\/e1\/sha2-256$/,
      /POST .*verify\/e1\/sha2-256$/,
      /POST .*hmac\/k1\/sha2-256$/,
      /POST .*verify\/k1\/sha2-256$/,
      /GET .*keys\/k1$/,
    ]) {
      const { path, fields } = theirs(pattern)
      const ours = endpoint.requests.find(({ method, path: asked }) => pattern.test(`${method} ${asked}`))
      assert.equal(ours?.path, path)
      // What it says besides is what the recorded client left to the default.
      const given = Object.keys(ours?.body ?? {}).filter(
        (field) => field !== 'marshaling_algorithm' && field !== 'exportable',
      )
      assert.deepEqual(
        given.sort(),
        fields.filter((field) => field !== 'exportable'),
        path,
      )
    }
    assert.ok(
      endpoint.requests.some(({ body }) => Array.isArray(body['batch_input']) && body['batch_input'].length === 2),
    )
  })

  test("OpenBao's ciphertexts open, by raw context and associated data", async (t) => {
    const { kms, endpoint } = await rig(t, { provider: { resolveTtlMs: 0 } })
    const { symmetric, derived_and_convergent } = facts()
    for (const { type, key_hex, key_version, ...sealed } of symmetric) {
      const key = Buffer.from(key_hex, 'hex')
      endpoint.add('k', { type, materials: key_version === 2 ? [Buffer.alloc(key.length), key] : [key] })
      const told = await open(sealed, {})
      assert.equal(told.keyVersion, key_version)
    }
    for (const { type, root_key_hex, context_b64, ...sealed } of derived_and_convergent) {
      endpoint.add('k', { type, derived: true, materials: [Buffer.from(root_key_hex, 'hex')] })
      await open(sealed, { 'vault:context': context_b64 })
    }

    async function open(
      { ciphertext, plaintext_b64, associated_data_b64: aad }: Omit<Sealed, 'type'>,
      context: EncryptionContext,
    ) {
      const encryptionContext = { ...context, ...(aad !== undefined && { 'vault:associated_data': aad }) }
      const opened = await kms.decrypt({ key: 'k', ciphertext: bytes(ciphertext), encryptionContext })
      assert.deepEqual(opened.plaintext, decoded(plaintext_b64))
      assert.equal(text(bytes(ciphertext)), ciphertext)
      return opened
    }
  })

  test("OpenBao's signatures and HMACs verify as plain bytes", async (t) => {
    const { kms, endpoint } = await rig(t, { provider: { resolveTtlMs: 0 } })
    const { signatures, hmac } = facts()
    let verified = 0
    for (const { type, input_b64, signature, private_key_export, options } of signatures) {
      // Without a hash of ours there is no way to ask; and a salt of another length is not ours.
      const hash = options?.['hash_algorithm']
      if (options === undefined || (hash !== undefined && hashes[String(hash)] === undefined)) continue
      if (options['salt_length'] === 'auto' || (options['marshaling_algorithm'] === 'jws' && type.startsWith('rsa')))
        continue
      endpoint.add('k', { type, materials: [materialFromExport(type, private_key_export)] })
      const isP1363 = options['marshaling_algorithm'] === 'jws'
      const given = {
        key: 'k',
        input: decoded(input_b64),
        signature: payloadOf(signature, isP1363 ? 'base64url' : 'base64'),
        ...(hash !== undefined && { hashAlgorithm: hashes[String(hash)] ?? 'sha256' }),
        ...(type.startsWith('ecdsa') && { format: isP1363 ? ('ieee-p1363' as const) : ('der' as const) }),
        ...(type.startsWith('rsa') && {
          padding: options['signature_algorithm'] === 'pss' ? ('pss' as const) : ('pkcs1v15' as const),
        }),
        ...(options['prehashed'] === true && { prehashed: true }),
      }
      assert.equal(await kms.verify(given), true, `${type} ${JSON.stringify(options)}`)
      verified += 1
    }
    assert.ok(verified >= 30, String(verified))
    let macs = 0
    for (const { algorithm, hmac: mac, hmac_key_hex, input_b64 } of hmac) {
      const hashAlgorithm = hashes[algorithm]
      if (hashAlgorithm === undefined) continue
      endpoint.add('k', { type: 'aes256-gcm96', hmacKeys: [Buffer.from(hmac_key_hex, 'hex')] })
      assert.equal(
        await kms.verifyHmac({ key: 'k', input: decoded(input_b64), hmac: payloadOf(mac), hashAlgorithm }),
        true,
      )
      macs += 1
    }
    assert.equal(macs, 3)
  })
})
