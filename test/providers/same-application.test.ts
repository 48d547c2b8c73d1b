/** @node One application, unchanged, over every provider: it sees the same, and leaves the same entries. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { KmsProvider } from '../../src/model/provider.ts'
import { awsKms } from '../../src/providers/aws-kms/index.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { vaultTransit } from '../../src/providers/vault-transit/index.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { freshFolder } from '../storage/folder.ts'
import { application } from './application.ts'
import { startKmsEndpoint } from './aws-kms/endpoint.ts'
import { sdkClient } from './aws-kms/sdk-client.ts'
import { newToken, noToken } from './pkcs11/token.ts'
import { startEndpoint } from './vault-transit/endpoint.ts'

interface Setting {
  readonly skip?: string | false
  readonly open: (t: TestContext) => KmsProvider | Promise<KmsProvider>
  /** Whether its entries name the key version of every use. */
  readonly versions: 'told' | 'untold'
}

const settings: Readonly<Record<string, Setting>> = {
  memory: { open: () => memoryKms(), versions: 'told' },
  'aws-kms': { open: aws, versions: 'untold' },
  pkcs11: { open: pkcs11, versions: 'told', skip: noToken },
  'vault-transit': { open: vault, versions: 'told' },
  local: { open: (t) => openLocalKms({ path: freshFolder(t), rootKey: randomBytes(32) }), versions: 'told' },
}

async function aws(t: TestContext): Promise<KmsProvider> {
  const endpoint = await startKmsEndpoint()
  const client = sdkClient(endpoint)
  t.after(async () => {
    client.destroy()
    await endpoint.close()
  })
  return awsKms({ client })
}

async function pkcs11(t: TestContext): Promise<KmsProvider> {
  const token = newToken()
  t.after(token.remove)
  return token.open()
}

async function vault(t: TestContext): Promise<KmsProvider> {
  const endpoint = await startEndpoint()
  t.after(() => endpoint.close())
  return vaultTransit({ address: endpoint.address, token: endpoint.token })
}

const saw = [
  'opened: attack at dawn',
  'as another order: INVALID_CIPHERTEXT',
  'cut short: INVALID_CIPHERTEXT',
  'the data key again: true, 32 bytes',
  'rotated to 2; the old opens: attack at dawn',
  're-encrypted: attack at dawn',
  'many: a b c',
  'signed: true, says OpenSSL: true',
  'another release: false',
  'a cookie: true, 32 bytes',
  'another cookie: false',
  'signing with orders: UNSUPPORTED_OPERATION',
  'no such key: KEY_NOT_FOUND',
  'keys: cookies active, orders active, releases active',
]

const left = [
  'kms_key.create pending orders aes256-gcm96',
  'kms_key.create success orders aes256-gcm96',
  'kms_key.create pending releases ecdsa-p256',
  'kms_key.create success releases ecdsa-p256',
  'kms_key.create pending cookies hmac',
  'kms_key.create success cookies hmac',
  'kms.encrypt success orders aes256-gcm96 v1 plaintext 14 encryptionContext 17',
  'kms.decrypt success orders aes256-gcm96 v1 plaintext 14 encryptionContext 17',
  'kms.decrypt failure orders aes256-gcm96 INVALID_CIPHERTEXT encryptionContext 7',
  'kms.decrypt failure orders aes256-gcm96 INVALID_CIPHERTEXT encryptionContext 17',
  'kms.generate_data_key success orders aes256-gcm96 v1 plaintext 32',
  'kms.decrypt success orders aes256-gcm96 v1 plaintext 32',
  'kms.rotate pending orders aes256-gcm96',
  'kms.rotate success orders aes256-gcm96 v2',
  'kms.decrypt success orders aes256-gcm96 v1 old plaintext 14 encryptionContext 17',
  'kms.re_encrypt success orders aes256-gcm96 v1 old encryptionContext 17',
  'kms.decrypt success orders aes256-gcm96 v2 plaintext 14 encryptionContext 17',
  'kms.encrypt success orders aes256-gcm96 v2 plaintext 1',
  'kms.encrypt success orders aes256-gcm96 v2 plaintext 1',
  'kms.encrypt success orders aes256-gcm96 v2 plaintext 1',
  'kms.decrypt success orders aes256-gcm96 v2 plaintext 1',
  'kms.decrypt success orders aes256-gcm96 v2 plaintext 1',
  'kms.decrypt success orders aes256-gcm96 v2 plaintext 1',
  'kms.sign success releases ecdsa-p256 v1 input 18',
  'kms_key.get_public_key success releases ecdsa-p256 v1',
  'kms.verify success releases ecdsa-p256 v1 valid: true input 18',
  'kms.verify success releases ecdsa-p256 valid: false input 7',
  'kms.hmac success cookies hmac v1 input 18 mac 32',
  'kms.verify_hmac success cookies hmac v1 valid: true input 18 mac 32',
  'kms.verify_hmac success cookies hmac valid: false input 7 mac 32',
  'kms.sign failure orders aes256-gcm96 UNSUPPORTED_OPERATION input 18',
  'kms.encrypt failure nobody KEY_NOT_FOUND plaintext 18',
  'kms_key.list success',
]

/** What an entry says whatever wrote it. Which version failed, or did not match, not every provider can tell. */
function lineOf(entry: AuditEntry, versions: 'told' | 'untold'): string {
  const { action, outcome, valid, error, resourceIdentity, keySlug, keyType, keyVersion, latestVersion, payloadSizes } =
    entry
  const { plaintext, input, mac, encryptionContext } = payloadSizes ?? {}
  return [
    action,
    outcome,
    keySlug ?? resourceIdentity,
    // What `hmac` makes has a longer name in AWS.
    keyType === 'hmac-sha256' ? 'hmac' : keyType,
    versions === 'told' && outcome === 'success' && valid !== false && keyVersion !== undefined && `v${keyVersion}`,
    versions === 'told' && latestVersion === false && 'old',
    valid !== undefined && `valid: ${valid}`,
    error,
    ...Object.entries({ plaintext, input, mac, encryptionContext }).map(
      ([name, size]) => size !== undefined && `${name} ${size}`,
    ),
  ]
    .filter((part) => part !== undefined && part !== false)
    .join(' ')
}

for (const [name, { open, versions, skip = false }] of Object.entries(settings))
  test(`${name}: the application sees what it sees over any other, and leaves the same entries`, {
    skip,
  }, async (t) => {
    const sink = memorySink()
    const kms = new KmsClient({
      provider: await open(t),
      audit: { required: [sink] },
      region: 'nl-01',
      project: 'billing',
    })
    assert.deepEqual(await application(kms), saw)
    await kms.close()
    const entries = sink.entries.filter(({ resourceType }) => resourceType === 'kms_key')
    assert.deepEqual(
      entries.map((entry) => lineOf(entry, versions)),
      versions === 'told' ? left : left.map((line) => line.replace(/ v\d( old)?/, '')),
    )
    for (const entry of entries) assert.equal(entry.provider?.name, entries[0]?.provider?.name)
  })
