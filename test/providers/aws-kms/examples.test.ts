/**
 * @node The endpoint's validator and answers against AWS's own examples, AWS's older model, and, as a second opinion, the
 * exchanges recorded from moto.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { noShared, sharedJson, sharedPath } from '../../shared.ts'
import { type KmsEndpoint, startKmsEndpoint } from './endpoint.ts'
import { type KmsModel, kmsModel } from './model.ts'
import { rawCall } from './raw-call.ts'

type Fields = Readonly<Record<string, unknown>>
interface Example {
  readonly input?: Fields | null
  readonly output?: Fields | null
  readonly id: string
}

/** What the endpoint has; the rest of the model is key stores, imports, replicas and agreements. */
const served = [
  'CancelKeyDeletion',
  'CreateAlias',
  'CreateGrant',
  'CreateKey',
  'Decrypt',
  'DeleteAlias',
  'DescribeKey',
  'DisableKey',
  'DisableKeyRotation',
  'EnableKey',
  'EnableKeyRotation',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'GenerateRandom',
  'GetKeyPolicy',
  'GetKeyRotationStatus',
  'GetPublicKey',
  'ListAliases',
  'ListGrants',
  'ListKeyPolicies',
  'ListKeyRotations',
  'ListKeys',
  'ListResourceTags',
  'PutKeyPolicy',
  'ReEncrypt',
  'RetireGrant',
  'RevokeGrant',
  'RotateKeyOnDemand',
  'ScheduleKeyDeletion',
  'Sign',
  'TagResource',
  'UntagResource',
  'UpdateAlias',
  'UpdateKeyDescription',
  'Verify',
  'VerifyMac',
]

/** The examples are for people: `<binary data>` stands for base64, a date for seconds. The model says where. */
function asWire(model: KmsModel, shape: string, value: unknown): unknown {
  const type = model.typeOf(shape)
  if (type === 'blob' && typeof value === 'string') return Buffer.from(value).toString('base64')
  // One of them has an hour of three digits.
  if (type === 'timestamp' && typeof value === 'string') return Date.parse(value.replace('T016', 'T16')) / 1000
  if (Array.isArray(value)) return value.map((item) => asWire(model, model.itemOf(shape), item))
  if (typeof value !== 'object' || value === null || type === 'map') return value
  return Object.fromEntries(
    Object.entries(value)
      // Empty where the answer is for an enclave.
      .filter(([, member]) => member !== '' || type !== 'structure')
      .map(([name, member]) => [name, asWire(model, model.memberOf(shape, name), member)]),
  )
}

describe("AWS's own examples", { skip: noShared }, () => {
  const examples = () =>
    sharedJson<{ examples: Readonly<Record<string, readonly Example[]>> }>('schemas/aws-kms-2014-11-01.examples.json')
      .examples

  test('are accepted, request and answer, by the validator', () => {
    const model = kmsModel()
    const checked = new Set<string>()
    for (const operation of served)
      for (const { input, output, id } of examples()[operation] ?? []) {
        for (const [direction, value] of [
          ['input', input ?? {}],
          ['output', output ?? {}],
        ] as const) {
          const shape = model.shapeOf(operation, direction)
          assert.deepEqual(model.violations(shape, asWire(model, shape, value)), [], `${id} ${direction}`)
        }
        checked.add(operation)
      }
    assert.equal(checked.size, served.length, 'an example of every operation that is served')
  })

  test('are refused once a member is missing, unknown, or of another type', () => {
    const model = kmsModel()
    let broken = 0
    for (const operation of served)
      for (const { input } of examples()[operation] ?? []) {
        const shape = model.shapeOf(operation, 'input')
        const wire = asWire(model, shape, input ?? {}) as Fields
        assert.equal(model.violations(shape, { ...wire, Surprise: 1 })[0]?.kind, 'unknown')
        for (const name of Object.keys(wire)) {
          assert.ok(model.violations(shape, { ...wire, [name]: Symbol('none') }).length > 0, `${operation}.${name}`)
          broken++
        }
        for (const name of model.requiredOf(shape)) {
          const { [name]: _none, ...rest } = wire
          assert.equal(model.violations(shape, rest)[0]?.kind, 'missing', `${operation}.${name}`)
        }
      }
    assert.ok(broken > 60)
  })

  test('have the members that the endpoint answers', async () => {
    const endpoint = await startKmsEndpoint()
    try {
      const answers = await answersTo(endpoint)
      for (const operation of served) {
        const example = (examples()[operation] ?? []).find((one) => !JSON.stringify(one).includes('Recipient'))
        const wanted = membersOf(example?.output ?? {})
        const found = membersOf(answers.get(operation) ?? {})
        for (const member of wanted)
          assert.ok(found.has(member), `${operation} does not answer ${member}, as AWS's example does`)
      }
    } finally {
      await endpoint.close()
    }
  })
})

/** Paths of all members, lists by their items. */
function membersOf(value: unknown, path = '', found = new Set<string>()): ReadonlySet<string> {
  if (Array.isArray(value)) for (const item of value) membersOf(item, `${path}[]`, found)
  else if (typeof value === 'object' && value !== null)
    for (const [name, member] of Object.entries(value)) {
      found.add(`${path}.${name}`)
      membersOf(member, `${path}.${name}`, found)
    }
  return found
}

/** The first answer of every operation, of a service that has something of everything. */
async function answersTo(endpoint: KmsEndpoint): Promise<ReadonlyMap<string, Fields>> {
  const answers = new Map<string, Fields>()
  async function ask(operation: string, input: Fields): Promise<Fields> {
    const { status, body } = await rawCall(endpoint, operation, input)
    assert.equal(status, 200, `${operation}: ${JSON.stringify(body)}`)
    if (!answers.has(operation)) answers.set(operation, body)
    return body
  }
  const base64 = Buffer.from('a message').toString('base64')
  const made = async (input: Fields) => String(((await ask('CreateKey', input))['KeyMetadata'] as Fields)['KeyId'])
  const KeyId = await made({ Tags: [{ TagKey: 'Purpose', TagValue: 'Test' }] })
  const signer = await made({ KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' })
  const sealer = await made({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' })
  const mac = await made({ KeySpec: 'HMAC_384', KeyUsage: 'GENERATE_VERIFY_MAC' })
  await ask('DescribeKey', { KeyId })
  await ask('CreateAlias', { AliasName: 'alias/ExampleAlias', TargetKeyId: KeyId })
  await ask('ListAliases', {})
  await ask('ListKeys', {})
  await ask('ListResourceTags', { KeyId })
  await ask('TagResource', { KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] })
  await ask('UntagResource', { KeyId, TagKeys: ['a'] })
  await ask('GetKeyPolicy', { KeyId, PolicyName: 'default' })
  await ask('PutKeyPolicy', { KeyId, Policy: '{}' })
  await ask('ListKeyPolicies', { KeyId })
  await ask('UpdateKeyDescription', { KeyId, Description: 'x' })
  await ask('EnableKeyRotation', { KeyId, RotationPeriodInDays: 365 })
  await ask('RotateKeyOnDemand', { KeyId })
  // The example was made while a rotation on demand was under way.
  endpoint.key(KeyId).rotatingSince = Date.now()
  await ask('GetKeyRotationStatus', { KeyId })
  await ask('ListKeyRotations', { KeyId })
  await ask('DisableKeyRotation', { KeyId })
  const { CiphertextBlob } = await ask('Encrypt', { KeyId, Plaintext: base64 })
  await ask('Decrypt', { CiphertextBlob, KeyId })
  await ask('ReEncrypt', { CiphertextBlob, DestinationKeyId: KeyId })
  await ask('GenerateDataKey', { KeyId, KeySpec: 'AES_256' })
  await ask('GenerateDataKeyWithoutPlaintext', { KeyId, KeySpec: 'AES_256' })
  await ask('GenerateDataKeyPair', { KeyId, KeyPairSpec: 'RSA_3072' })
  await ask('GenerateDataKeyPairWithoutPlaintext', { KeyId, KeyPairSpec: 'ECC_NIST_P521' })
  await ask('GenerateRandom', { NumberOfBytes: 32 })
  const signing = { KeyId: signer, Message: base64, MessageType: 'RAW', SigningAlgorithm: 'ECDSA_SHA_384' }
  const { Signature } = await ask('Sign', signing)
  await ask('Verify', { ...signing, Signature })
  await ask('GetPublicKey', { KeyId: sealer })
  const authenticating = { KeyId: mac, MacAlgorithm: 'HMAC_SHA_384', Message: base64 }
  const { Mac } = await ask('GenerateMac', authenticating)
  await ask('VerifyMac', { ...authenticating, Mac })
  const grant = { KeyId, GranteePrincipal: 'arn:aws:iam::111122223333:role/x', Operations: ['Encrypt', 'Decrypt'] }
  const { GrantId } = await ask('CreateGrant', { ...grant, Name: 'x', RetiringPrincipal: grant.GranteePrincipal })
  await ask('ListGrants', { KeyId })
  const second = await ask('CreateGrant', grant)
  await ask('RetireGrant', { KeyId, GrantId: second['GrantId'] })
  await ask('RevokeGrant', { KeyId, GrantId })
  await ask('UpdateAlias', { AliasName: 'alias/ExampleAlias', TargetKeyId: KeyId })
  await ask('DeleteAlias', { AliasName: 'alias/ExampleAlias' })
  await ask('DisableKey', { KeyId })
  await ask('EnableKey', { KeyId })
  await ask('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 })
  await ask('CancelKeyDeletion', { KeyId })
  return answers
}

test("the older model of AWS's older SDK has the same operations and members", { skip: noShared }, () => {
  interface OldShape {
    readonly type: string
    readonly members?: Readonly<Record<string, object>>
    readonly required?: readonly string[]
    readonly shape?: string
  }
  const old = sharedJson<{
    operations: Readonly<Record<string, { input?: OldShape; output?: OldShape }>>
    shapes: Readonly<Record<string, OldShape>>
  }>('schemas/aws-kms-2014-11-01.api.min.json')
  const model = kmsModel()
  for (const operation of served) {
    const { input, output } = old.operations[operation] ?? {}
    const answered = output?.shape === undefined ? output : old.shapes[output.shape]
    assert.deepEqual(
      Object.keys(input?.members ?? {}).sort(),
      [...model.membersOf(model.shapeOf(operation, 'input'))].sort(),
      operation,
    )
    assert.deepEqual(
      [...(input?.required ?? [])].sort(),
      [...model.requiredOf(model.shapeOf(operation, 'input'))].sort(),
      operation,
    )
    assert.deepEqual(
      Object.keys(answered?.members ?? {}).sort(),
      [...model.membersOf(model.shapeOf(operation, 'output'))].sort(),
      operation,
    )
  }
})

describe('the exchanges recorded from moto, a second opinion', { skip: noShared }, () => {
  interface Exchange {
    readonly req: { readonly headers: Readonly<Record<string, string>>; readonly body: string }
    readonly res: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }
  }
  let endpoint: KmsEndpoint
  before(async () => {
    endpoint = await startKmsEndpoint()
  })
  after(() => endpoint.close())

  test('go alike here, but where moto is not AWS', async () => {
    const lines = readFileSync(sharedPath('fixtures/aws-kms.moto-5.jsonl'), 'utf8').trim().split('\n').slice(1)
    /** Values of theirs, such as key ids and ciphertexts, and what stands for them here. */
    const ours = new Map<string, unknown>()
    const deviations: string[] = []
    const model = kmsModel()
    for (const [at, line] of lines.entries()) {
      const { req, res } = JSON.parse(line) as Exchange
      const operation = (req.headers['x-amz-target'] ?? '').replace('TrentService.', '')
      const asked = JSON.parse(req.body) as Fields
      assert.ok(
        model.violations(model.shapeOf(operation, 'input'), asked).every(({ kind }) => kind === 'length'),
        'the recorded request is a request',
      )
      const translated = Object.fromEntries(
        Object.entries(asked).map(([name, value]) => [
          name,
          typeof value === 'string' ? (ours.get(value) ?? value) : value,
        ]),
      )
      // One ciphertext of theirs was tampered with in its last byte.
      if (operation === 'Decrypt' && translated['CiphertextBlob'] === asked['CiphertextBlob'])
        translated['CiphertextBlob'] = tampered(String(ours.get('a ciphertext')))
      const here = await rawCall(endpoint, operation, translated)
      const there = (JSON.parse(res.body || 'null') ?? {}) as Fields
      const error = here.status === 200 ? undefined : String(here.body['__type'])
      const theirError = res.status === 200 ? undefined : String(there['__type'])
      if (error !== theirError || here.status !== res.status)
        deviations.push(
          `${at + 1} ${operation}: here ${here.status} ${error ?? ''}, moto ${res.status} ${theirError ?? ''}`,
        )
      learn(ours, there, here.body)
      if (operation === 'Encrypt' && !ours.has('a ciphertext')) ours.set('a ciphertext', here.body['CiphertextBlob'])
      if (error === undefined && theirError === undefined)
        for (const [name, value] of Object.entries(there))
          if (value !== null && name !== 'KeyMetadata') assert.ok(name in here.body, `${operation} answers ${name}`)
    }
    assert.deepEqual(deviations, [
      '13 Verify: here 400 KMSInvalidSignatureException, moto 200 ',
      '19 Encrypt: here 404 NotFoundException, moto 400 NotFoundException',
      '22 Encrypt: here 409 DisabledException, moto 200 ',
    ])
  })
})

function tampered(blob: string): string {
  const bytes = Buffer.from(blob, 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  return bytes.toString('base64')
}

/** What of their answer a later request may say again. */
function learn(ours: Map<string, unknown>, there: Fields, here: Fields): void {
  for (const [name, value] of Object.entries(there)) {
    if (typeof value === 'string' && name in here) ours.set(value, here[name])
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      learn(ours, value as Fields, (here[name] ?? {}) as Fields)
  }
}
