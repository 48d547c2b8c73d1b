/** The endpoint is held to what real servers answered: a recorded Vault 1.8, and facts from OpenBao's own code. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { noShared, sharedFile, sharedJson } from '../../shared.ts'
import { type Endpoint, type EndpointOptions, startEndpoint } from './endpoint.ts'
import { materialFromExport } from './transit-crypto.ts'

interface Recorded {
  readonly req: {
    readonly method: string
    readonly path: string
    readonly headers: Record<string, string>
    readonly body: string
  }
  readonly res: { readonly status: number; readonly headers: Record<string, string>; readonly body: string }
}

interface Signature {
  readonly type: string
  readonly input_b64: string
  readonly signature: string
  readonly options?: Record<string, unknown>
  readonly private_key_export: string
}

interface BadInput {
  readonly case: string
  readonly path: string
  readonly data?: Record<string, unknown>
  readonly body?: string
  readonly message?: string
  readonly http_status_by_RespondErrorCommon: number
  readonly http_status_code_in_response?: number
}

interface Facts {
  readonly produced_by_upstream_code: {
    readonly symmetric: readonly {
      readonly case: string
      readonly type: string
      readonly key_hex: string
      readonly key_version: number
      readonly ciphertext: string
      readonly plaintext_b64: string
      readonly associated_data_b64?: string
    }[]
    readonly derived_and_convergent: readonly {
      readonly type: string
      readonly root_key_hex: string
      readonly context_b64: string
      readonly associated_data_b64?: string
      readonly ciphertext: string
      readonly plaintext_b64: string
    }[]
    readonly hmac: readonly {
      readonly algorithm: string
      readonly hmac: string
      readonly hmac_key_hex: string
      readonly input_b64: string
    }[]
    readonly signatures: readonly Signature[]
    readonly rsa_oaep: {
      readonly ciphertext: string
      readonly plaintext_b64: string
      readonly private_key_export: string
    }
    readonly import: {
      readonly ciphertext: string
      readonly plaintext_b64: string
      readonly wrapped_blob_b64: string
      readonly wrapping_key_private_pkcs8_b64: string
      readonly wrapping_key_public_pem: string
    }
    readonly bad_inputs: readonly BadInput[]
  }
}

const recorded = (): readonly Recorded[] =>
  Buffer.from(sharedFile('fixtures/vault-transit.vault-1.8-dev.jsonl'))
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"_note"'))
    .map((line) => JSON.parse(line) as Recorded)
const facts = () => sharedJson<Facts>('fixtures/openbao-transit.json').produced_by_upstream_code

async function started(t: TestContext, options?: EndpointOptions): Promise<Endpoint> {
  const endpoint = await startEndpoint(options)
  t.after(() => endpoint.close())
  return endpoint
}

async function ask({ address, token }: Endpoint, method: string, path: string, body?: unknown, as = token) {
  const response = await fetch(`${address}${path}`, {
    method,
    headers: { 'x-vault-token': as, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  // Each test looks at what it expects.
  const json = (text === '' ? {} : JSON.parse(text)) as { data?: Record<string, unknown>; errors?: string[] }
  return { status: response.status, text, json, headers: response.headers }
}

/** Field names and types, all the way down; of texts nothing but that. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(fields.map(([name, field]) => [name, shapeOf(field)]))
}

describe('a recorded Vault 1.8', { skip: noShared }, () => {
  test('is answered alike, exchange by exchange: status, shape and words', async (t) => {
    const endpoint = await started(t, { dialect: 'vault-1.8', mounted: false })
    const exchanges = recorded()
    assert.equal(exchanges.length, 24)
    const material = keysOf(exchanges)
    // What only the recorded server could make or check, and what this one made in its place.
    const instead = new Map<string, string>()
    for (const { req, res } of exchanges) {
      let body = req.body
      for (const [theirs, ours] of instead) body = body.replaceAll(theirs, ours)
      const as = req.headers['x-vault-token'] === '<bad>' ? 's.bad' : endpoint.token
      const answer = await ask(endpoint, req.method, req.path, body === '' ? undefined : body, as)
      const where = `${req.method} ${req.path} ${req.body.slice(0, 60)}`
      assert.equal(answer.status, res.status, where)
      // Now the key is the recorded one, so that the recorded ciphertexts open.
      if (/keys\/k1$|keys\/k1\/rotate$/.test(req.path)) plant(endpoint, material)
      if (res.body === '') {
        assert.equal(answer.text, '', where)
        continue
      }
      const expected = JSON.parse(res.body) as { errors?: string[]; data?: Record<string, unknown> }
      assert.deepEqual(shapeOf(answer.json), shapeOf(expected), where)
      assert.deepEqual(answer.json.errors, expected.errors, where)
      for (const field of ['plaintext', 'valid', 'key_version', 'keys', 'name', 'type', 'latest_version'])
        if (field in (expected.data ?? {}) && !req.path.endsWith('/keys/k1'))
          assert.deepEqual(answer.json.data?.[field], expected.data?.[field], where)
      for (const field of ['signature', 'hmac']) {
        const [theirs, ours] = [expected.data?.[field], answer.json.data?.[field]]
        if (typeof theirs === 'string' && typeof ours === 'string') instead.set(theirs, ours)
      }
    }
    assert.equal(instead.size, 2)
  })

  /** The exported key material: version 1, then 2. */
  function keysOf(exchanges: readonly Recorded[]): readonly Buffer[] {
    const exported = exchanges.find(({ req }) => req.path.includes('/export/encryption-key/k1'))
    const { data } = JSON.parse(exported?.res.body ?? '{}') as { data: { keys: Record<string, string> } }
    return ['1', '2'].map((version) => Buffer.from(data.keys[version] ?? '', 'base64'))
  }

  function plant(endpoint: Endpoint, material: readonly Buffer[]): void {
    const policy = endpoint.policy('k1')
    for (const [number, version] of policy.versions)
      policy.versions.set(number, { ...version, material: material[number - 1] ?? version.material })
  }
})

describe("OpenBao's own answers", { skip: noShared }, () => {
  test('every symmetric ciphertext opens, with its associated data only', async (t) => {
    const endpoint = await started(t)
    for (const { type, key_version, key_hex, ciphertext, plaintext_b64, associated_data_b64 } of facts().symmetric) {
      const key = Buffer.from(key_hex, 'hex')
      endpoint.add('k', { type, materials: key_version === 2 ? [Buffer.alloc(key.length), key] : [key] })
      const body = { ciphertext, ...(associated_data_b64 && { associated_data: associated_data_b64 }) }
      const opened = await ask(endpoint, 'POST', '/v1/transit/decrypt/k', body)
      assert.equal(opened.json.data?.['plaintext'], plaintext_b64)
      const wrong = await ask(endpoint, 'POST', '/v1/transit/decrypt/k', { ciphertext, associated_data: 'AAAA' })
      assert.equal(wrong.status, 400)
    }
  })

  test('every ciphertext of a derived key opens with its context', async (t) => {
    const endpoint = await started(t)
    for (const { type, root_key_hex, context_b64: context, ciphertext, ...one } of facts().derived_and_convergent) {
      const { plaintext_b64, associated_data_b64: associated_data } = one
      endpoint.add('k', { type, derived: true, materials: [Buffer.from(root_key_hex, 'hex')] })
      const body = { ciphertext, context, ...(associated_data && { associated_data }) }
      const opened = await ask(endpoint, 'POST', '/v1/transit/decrypt/k', body)
      assert.equal(opened.json.data?.['plaintext'], plaintext_b64, `${type} ${opened.text}`)
      const wrong = await ask(endpoint, 'POST', '/v1/transit/decrypt/k', { ...body, context: 'AAAA' })
      assert.equal(wrong.status, 400)
    }
  })

  test('every HMAC and signature of an undivided key verifies, and no other', async (t) => {
    const endpoint = await started(t)
    const { hmac, signatures } = facts()
    for (const { algorithm, hmac: mac, hmac_key_hex, input_b64 } of hmac) {
      endpoint.add('k', { type: 'aes256-gcm96', hmacKeys: [Buffer.from(hmac_key_hex, 'hex')] })
      const path = `/v1/transit/verify/k/${algorithm}`
      assert.equal((await ask(endpoint, 'POST', path, { input: input_b64, hmac: mac })).json.data?.['valid'], true)
      assert.equal((await ask(endpoint, 'POST', path, { input: 'AAAA', hmac: mac })).json.data?.['valid'], false)
    }
    let verified = 0
    for (const { type, input_b64: input, signature, options, private_key_export } of signatures) {
      // No hash and derived keys: the provider asks for neither.
      if (options === undefined || options['hash_algorithm'] === 'none') continue
      // The fixture holds the whole history of a type: one key each.
      const material = materialFromExport(type, private_key_export)
      endpoint.add('k', { type, materials: [material] })
      const body = { ...options, signature, input }
      const answer = await ask(endpoint, 'POST', '/v1/transit/verify/k', body)
      assert.equal(answer.json.data?.['valid'], true, `${type} ${JSON.stringify(options)} ${answer.text}`)
      const other =
        options['prehashed'] === true ? Buffer.alloc(Buffer.from(input, 'base64').length).toString('base64') : 'AAAA'
      const wrong = await ask(endpoint, 'POST', '/v1/transit/verify/k', { ...body, input: other })
      assert.equal(wrong.json.data?.['valid'], false)
      verified += 1
    }
    assert.ok(verified >= 44, String(verified))
  })

  test('an RSA ciphertext opens', async (t) => {
    const endpoint = await started(t)
    const { ciphertext, plaintext_b64, private_key_export } = facts().rsa_oaep
    endpoint.add('k', { type: 'rsa-2048', materials: [createPrivateKey(private_key_export)] })
    const opened = await ask(endpoint, 'POST', '/v1/transit/decrypt/k', { ciphertext })
    assert.equal(opened.json.data?.['plaintext'], plaintext_b64)
  })

  test('an import takes the recorded blob, and its key opens the recorded ciphertext', async (t) => {
    const { wrapped_blob_b64, wrapping_key_private_pkcs8_b64, wrapping_key_public_pem, ciphertext, plaintext_b64 } =
      facts().import
    const endpoint = await started(t, { wrappingKey: Buffer.from(wrapping_key_private_pkcs8_b64, 'base64') })
    const key = await ask(endpoint, 'GET', '/v1/transit/wrapping_key')
    assert.equal(String(key.json.data?.['public_key']).trim(), wrapping_key_public_pem.trim())
    const body = { type: 'aes256-gcm96', ciphertext: wrapped_blob_b64, hash_function: 'SHA256' }
    assert.equal((await ask(endpoint, 'POST', '/v1/transit/keys/i/import', body)).status, 204)
    const opened = await ask(endpoint, 'POST', '/v1/transit/decrypt/i', { ciphertext })
    assert.equal(opened.json.data?.['plaintext'], plaintext_b64)
  })

  test('bad inputs are refused with the same status and the same words', async (t) => {
    const endpoint = await started(t)
    plantFor(endpoint)
    const all = facts().bad_inputs
    const asked = requestsFor(facts())
    assert.deepEqual(
      all.filter(({ case: name }) => !(name in asked)).map(({ case: name }) => name),
      [],
    )
    let compared = 0
    for (const { case: name, path, data, body, message, ...expected } of all) {
      const answer = await ask(endpoint, 'POST', `/v1/transit/${path}`, asked[name])
      const status = expected.http_status_code_in_response ?? (expected.http_status_by_RespondErrorCommon || 200)
      assert.equal(answer.status, status, `${name}: ${answer.text}`)
      if (message !== undefined) assert.equal(plain(answer.json.errors?.[0]), message, name)
      else if (data !== undefined) assert.deepEqual(shapeOf(answer.json.data), shapeOf(data), name)
      else
        assert.deepEqual(shapeOf(answer.json.data), shapeOf((JSON.parse(body ?? '{}') as { data: unknown }).data), name)
      if (data?.['plaintext'] !== undefined) assert.equal(answer.json.data?.['plaintext'], data['plaintext'], name)
      if (data?.['valid'] !== undefined) assert.equal(answer.json.data?.['valid'], data['valid'], name)
      compared += 1
    }
    assert.equal(compared, 61)
  })

  /** Over HTTP the server wraps what its handlers return as errors. */
  function plain(text: string | undefined): string | undefined {
    return text?.replace(/^1 error occurred:\n\t\* (.*)\n\n$/, '$1')
  }

  /** The keys that the cases name. */
  function plantFor(endpoint: Endpoint): void {
    const { symmetric, signatures } = facts()
    const [first, second] = [1, 2].map((version) => {
      const one = symmetric.find(({ type, key_version }) => type === 'aes256-gcm96' && key_version === version)
      return Buffer.from(one?.key_hex ?? '', 'hex')
    })
    assert.ok(first && second)
    endpoint.add('s-aes256-gcm96', { type: 'aes256-gcm96', materials: [first, second] })
    endpoint.add('d-aes256-gcm96-false', { type: 'aes256-gcm96', derived: true })
    for (const type of ['ecdsa-p256', 'ed25519', 'rsa-2048']) {
      const text = signatures.find((one) => one.type === type && one.private_key_export)?.private_key_export ?? ''
      const material: Buffer | KeyObject = materialFromExport(type, text)
      endpoint.add(`k-${type}`, { type, materials: [material] })
    }
  }

  function requestsFor({ symmetric, signatures }: Facts['produced_by_upstream_code']): Record<string, object> {
    const of = (name: string) =>
      symmetric.find((one) => one.type === 'aes256-gcm96' && one.case === name)?.ciphertext ?? ''
    const fox = of('fox')
    const payload = fox.split(':')[2] ?? ''
    const bytes = Buffer.from(payload, 'base64')
    const flipped = Buffer.from(bytes)
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1
    const cipher = (ciphertext: string) => ({ ciphertext })
    const input = Buffer.from('the quick brown fox').toString('base64')
    const ed25519 = signatures.find(({ type, options }) => type === 'ed25519' && options)?.signature ?? ''
    const hash = Buffer.alloc(32, 7).toString('base64')
    const bad = { batch_input: [{ plaintext: input }, { plaintext: '!!' }] }
    return {
      canonical: cipher(fox),
      'newline inside base64': cipher(`vault:v1:${payload.slice(0, 8)}\n${payload.slice(8)}`),
      'leading zero version': cipher(fox.replace('v1', 'v01')),
      'plus version': cipher(fox.replace('v1', 'v+1')),
      'version 0 maps to 1': cipher(fox.replace('v1', 'v0')),
      'negative version': cipher(fox.replace('v1', 'v-1')),
      'version too new': cipher(fox.replace('v1', 'v9')),
      'wrong version': cipher(fox.replace('v1', 'v2')),
      'no prefix': cipher('nope'),
      'no version sep': cipher('vault:v1'),
      'version not a number': cipher('vault:vx:AAAA'),
      'bad base64': cipher('vault:v1:!!!!'),
      'unpadded base64': cipher(`vault:v1:${Buffer.alloc(40).toString('base64').replace(/=+$/, '')}`),
      'too short': cipher('vault:v1:AAAA'),
      'nonce only': cipher(`vault:v1:${bytes.subarray(0, 12).toString('base64')}`),
      'flipped tag bit': cipher(`vault:v1:${flipped.toString('base64')}`),
      'empty ciphertext': cipher(''),
      'unexpected aad': { ciphertext: fox, associated_data: 'AAAA' },
      'unknown key': cipher(fox),
      'decrypt with signing key': cipher(fox),
      'rsa garbage': cipher(`vault:v1:${Buffer.alloc(256, 1).toString('base64')}`),
      'bad base64 plaintext': { plaintext: 'abc!' },
      'missing plaintext': {},
      'key_version too high': { plaintext: input, key_version: 9 },
      'key_version negative': { plaintext: input, key_version: -1 },
      'aad not base64': { plaintext: input, associated_data: '!' },
      'derived key without context': { plaintext: input },
      'encrypt with ecdsa': { plaintext: input },
      'aad with rsa': { plaintext: input, associated_data: 'AAAA' },
      'rsa plaintext too long': { plaintext: Buffer.alloc(300).toString('base64') },
      'batch empty': { batch_input: [] },
      'batch mixed': bad,
      'batch mixed partial 207': { ...bad, partial_failure_response_code: 207 },
      'batch aad on rsa': { batch_input: [{ plaintext: input, associated_data: 'AAAA' }] },
      'sign bad hash': { input, hash_algorithm: 'md5' },
      'sign bad marshaling': { input, marshaling_algorithm: 'asn2' },
      'sign key_version too high': { input, key_version: 9 },
      'sign with aes': { input },
      'sign prehashed wrong length rsa': { input: 'AAAA', prehashed: true, signature_algorithm: 'pkcs1v15' },
      'sign prehashed wrong length ecdsa': { input: 'AAAA', prehashed: true },
      'sign bad sigalg rsa': { input, signature_algorithm: 'foo' },
      'verify neither': { input },
      'verify both': { input, signature: 'x', hmac: 'y' },
      'verify no prefix': { input, signature: 'x' },
      'verify bad der': { input, signature: 'vault:v1:AAAA' },
      'verify wrong length ed25519': { input, signature: ed25519.replace(/:[^:]*$/, `:${hash}`) },
      'hmac bad alg': { input, algorithm: 'md5' },
      'hmac version negative': { input, key_version: -1 },
      'hmac version too high': { input, key_version: 9 },
      'hmac missing input': {},
      'verify hmac mismatch': { input, hmac: `vault:v1:${hash}` },
      'datakey bad bits': { bits: 100 },
      'datakey bad path': {},
      'rotate unknown': {},
      'trim without min_encryption': { min_available_version: 1 },
      'config min_dec too high': { min_decryption_version: 9 },
      'config min_enc<min_dec': { min_encryption_version: 1, min_decryption_version: 2 },
      'auto rotate 30m': { auto_rotate_period: '30m' },
      'unknown key type': { type: 'des' },
      'convergent without derived': { convergent_encryption: true },
      'rewrap aad ciphertext': cipher(of('fox + aad')),
    }
  }
})

test('a public key of a key made here is that of its private key', async (t) => {
  const endpoint = await started(t)
  endpoint.add('e', { type: 'ecdsa-p384' })
  const { json } = await ask(endpoint, 'GET', '/v1/transit/keys/e')
  const { keys } = json.data as { keys: Record<string, { public_key: string }> }
  assert.equal(createPublicKey(keys['1']?.public_key ?? '').asymmetricKeyDetails?.namedCurve, 'secp384r1')
})
