/** Every endpoint of the KMS, once: method, path, audit action, permission, what it takes, and how it becomes a call of the client. */

import type { Called, CallOptions, KmsClient } from '../../client.ts'
import { toBase64, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { checkInput } from '../../model/input.ts'
import type { Key, KeyType } from '../../model/key.ts'
import type { HashAlgorithm, Input, KeyMaterialForm, Limits, Operation } from '../../model/operation.ts'
import { invalid } from './failure.ts'
import type { Reply } from './fetch.ts'
import { type Fields, versionOf } from './fields.ts'
import { ciphertextBytes, ciphertextText, wireKey, wireVersion } from './wire.ts'

/** What a caller must be allowed, on `kms_key` (or `audit_log`: `list`). */
export type Permission = 'list' | 'read' | 'create' | 'update' | 'delete'

export interface EndpointFacts {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** As entries tell it; `{region}` and `{id}` stand for one segment each. */
  readonly template: string
  readonly action: string
  readonly permission: Permission
  readonly resourceType: 'kms_key' | 'kms_keystore' | 'audit_log' | 'http_api'
  /** Names in the body; absent: there must be no body. */
  readonly fields?: readonly string[]
  /** An empty body stands for `{}`. */
  readonly bodyOptional?: true
  readonly query?: readonly string[]
}

/** What a request says, taken apart. */
export interface Asked {
  /** The key as the path names it, or an empty string. */
  readonly key: string
  readonly fields: Fields
  readonly query: ReadonlyMap<string, string>
  readonly allowRawExport: boolean
}

/** A reply, and the entry that allows it to leave. */
export interface Answered {
  readonly reply: Reply
  readonly eventID: string
}

export interface Planned {
  /**
   * For a request that never becomes a call, since its key is not permitted or not there. @throws KmsError `INVALID_INPUT` for what
   * the client refuses whatever the key is: or who hears it would know that there is such a key.
   */
  readonly check: (limits: Limits) => void
  /** A call of the client: it leaves its own entry, whatever becomes of it. */
  readonly call: (kms: KmsClient, options: CallOptions) => Promise<Answered>
}

export interface KeyEndpoint extends EndpointFacts {
  /** @throws KmsError for a request that never becomes a call. */
  readonly plan: (asked: Asked) => Planned
}

/** The platform's default; `createKey`'s own is another. */
const defaultKeyType = 'aes256-gcm96'

const root = '/v1/kms/{region}'
const onKeys = `${root}/keys`
const onKey = `${root}/keys/{id}`
const update = { method: 'POST', permission: 'update', resourceType: 'kms_key' } as const
const change = {
  method: 'POST',
  permission: 'delete',
  resourceType: 'kms_key',
  fields: [],
  bodyOptional: true,
} as const

export const keyEndpoints: readonly KeyEndpoint[] = [
  {
    method: 'GET',
    template: onKeys,
    action: 'kms_key.list',
    permission: 'list',
    resourceType: 'kms_key',
    query: ['name'],
    plan: ({ query }) => {
      const name = query.get('name')
      return calling('listKeys', {}, ({ keys }) => ({
        status: 200,
        body: keys.filter((key) => name === undefined || key.name === name).map(wireKey),
      }))
    },
  },
  {
    method: 'POST',
    template: onKeys,
    action: 'kms_key.create',
    permission: 'create',
    resourceType: 'kms_key',
    fields: [
      'name',
      'slug',
      'description',
      'labels',
      'annotations',
      'keyType',
      'exportAllowed',
      'keyRotationEnabled',
      'rotationPeriodInDays',
      'importKeyMaterial',
      'hashFunction',
      'allowRotation',
    ],
    plan: ({ fields }) => (fields.has('importKeyMaterial') ? planImport(fields) : planCreate(fields)),
  },
  {
    method: 'GET',
    template: onKey,
    action: 'kms_key.describe',
    permission: 'read',
    resourceType: 'kms_key',
    plan: ({ key }) => calling('describeKey', { key }, (output) => ({ status: 200, body: wireKey(output.key) })),
  },
  {
    method: 'DELETE',
    template: onKey,
    action: 'kms_key.delete',
    permission: 'delete',
    resourceType: 'kms_key',
    plan: ({ key }) => calling('scheduleKeyDeletion', { key }, () => ({ status: 204 })),
  },
  {
    method: 'DELETE',
    template: `${onKey}/cancel-deletion`,
    action: 'kms_key.cancel_deletion',
    permission: 'delete',
    resourceType: 'kms_key',
    plan: ({ key }) => calling('cancelKeyDeletion', { key }, () => ({ status: 204 })),
  },
  {
    method: 'GET',
    template: `${root}/wrapping-key`,
    action: 'kms_key.get_wrapping_key',
    permission: 'create',
    resourceType: 'kms_keystore',
    plan: () => calling('getWrappingKey', {}, ({ publicKey }) => ({ status: 200, body: { publicKey } })),
  },
  {
    method: 'GET',
    template: `${onKey}/public-key`,
    action: 'kms_key.get_public_key',
    permission: 'read',
    resourceType: 'kms_key',
    query: ['version'],
    plan: ({ key, query }) => {
      const version = query.get('version')
      const input = { key, ...(version !== undefined && { keyVersion: versionOf('version', version) }) }
      return calling('getPublicKey', input, ({ publicKey, keyVersion }) => ({
        status: 200,
        body: { keys: { [String(keyVersion ?? version ?? 1)]: publicKey } },
      }))
    },
  },
  {
    ...update,
    template: `${onKey}/encrypt`,
    action: 'kms.encrypt',
    fields: ['plaintext', 'keyVersion'],
    plan: ({ key, fields }) => {
      const input = { key, plaintext: fields.bytes('plaintext'), ...versionIn(fields) }
      return wiping(
        input.plaintext,
        calling('encrypt', input, ({ ciphertext, keyVersion }) => ({
          status: 200,
          body: { ciphertext: ciphertextText(ciphertext, keyVersion), ...wireVersion(keyVersion) },
        })),
      )
    },
  },
  {
    ...update,
    template: `${onKey}/decrypt`,
    action: 'kms.decrypt',
    fields: ['ciphertext'],
    plan: ({ key, fields }) =>
      calling('decrypt', { key, ciphertext: ciphertextBytes(fields.text('ciphertext')) }, (output) => ({
        status: 200,
        body: { plaintext: spelledAndWiped(output.plaintext), ...wireVersion(output.keyVersion) },
      })),
  },
  {
    ...update,
    template: `${onKey}/sign`,
    action: 'kms.sign',
    fields: ['input', 'keyVersion', 'hashAlgorithm', 'prehashed', 'context'],
    plan: ({ key, fields }) => {
      if (fields.has('context'))
        throw new KmsError('UNSUPPORTED_OPERATION', "no key type here signs with a 'context': leave it out")
      const prehashed = fields.flag('prehashed')
      const input = {
        key,
        input: fields.bytes('input'),
        ...versionIn(fields),
        ...hashIn(fields, 'hashAlgorithm'),
        ...(prehashed !== undefined && { prehashed }),
      }
      return calling('sign', input, ({ signature, keyVersion }) => ({
        status: 200,
        body: { signature: toBase64(signature), ...wireVersion(keyVersion) },
      }))
    },
  },
  {
    ...update,
    template: `${onKey}/verify`,
    action: 'kms.verify',
    fields: ['input', 'signature', 'hashAlgorithm'],
    plan: ({ key, fields }) => {
      const [input, signature] = [fields.bytes('input'), fields.bytes('signature')]
      return calling('verify', { key, input, signature, ...hashIn(fields, 'hashAlgorithm') }, ({ valid }) => ({
        status: 200,
        body: { valid },
      }))
    },
  },
  {
    ...update,
    template: `${onKey}/hmac`,
    action: 'kms.hmac',
    fields: ['input', 'keyVersion', 'algorithm'],
    plan: ({ key, fields }) => {
      const input = { key, input: fields.bytes('input'), ...versionIn(fields), ...hashIn(fields, 'algorithm') }
      return calling('hmac', input, ({ hmac, keyVersion }) => ({
        status: 200,
        body: { hmac: toBase64(hmac), ...wireVersion(keyVersion) },
      }))
    },
  },
  {
    ...update,
    template: `${onKey}/verify-hmac`,
    action: 'kms.verify_hmac',
    fields: ['input', 'hmac', 'hashAlgorithm'],
    plan: ({ key, fields }) => {
      const input = {
        key,
        input: fields.bytes('input'),
        hmac: fields.bytes('hmac'),
        ...hashIn(fields, 'hashAlgorithm'),
      }
      return calling('verifyHmac', input, ({ valid, keyVersion }) => ({
        status: 200,
        body: { valid, ...wireVersion(keyVersion) },
      }))
    },
  },
  {
    ...update,
    template: `${onKey}/rotate`,
    action: 'kms.rotate',
    fields: [],
    bodyOptional: true,
    plan: ({ key }) => calling('rotate', { key }, keyReply),
  },
  {
    ...update,
    template: `${onKey}/export`,
    action: 'kms.export',
    fields: ['keyVersion', 'recipient'],
    bodyOptional: true,
    plan: planExport,
  },
  {
    ...change,
    template: `${onKey}/disable`,
    action: 'kms_key.disable',
    plan: ({ key }) => calling('disableKey', { key }, keyReply),
  },
  {
    ...change,
    template: `${onKey}/enable`,
    action: 'kms_key.enable',
    plan: ({ key }) => calling('enableKey', { key }, keyReply),
  },
  {
    method: 'PATCH',
    template: `${onKey}/rotation`,
    action: 'kms_key.update',
    permission: 'update',
    resourceType: 'kms_key',
    fields: ['keyRotationEnabled', 'rotationPeriodInDays'],
    plan: ({ key, fields }) => {
      const keyRotationEnabled = fields.flag('keyRotationEnabled')
      if (keyRotationEnabled === undefined) throw invalid("'keyRotationEnabled' is missing")
      return calling('updateRotation', { key, keyRotationEnabled, ...periodIn(fields) }, keyReply)
    },
  },
]

/** The call, and its output as the wire has it. */
function calling<O extends Operation>(operation: O, input: Input<O>, reply: (output: Called<O>) => Reply): Planned {
  return {
    check(limits) {
      checkInput(operation, input, limits, 'borrow')
    },
    async call(kms, options) {
      const output = await kms.call(operation, input, options)
      return { reply: reply(output), eventID: output.eventID }
    },
  }
}

/** Zeroes what was decoded for the call. Of the text that it came as nothing can be zeroed. */
function wiping(secret: Uint8Array, planned: Planned): Planned {
  return { ...planned, call: (kms, options) => planned.call(kms, options).finally(() => wipe(secret)) }
}

function spelledAndWiped(secret: Uint8Array): string {
  const text = toBase64(secret)
  wipe(secret)
  return text
}

function keyReply({ key }: { readonly key: Key }): Reply {
  return { status: 200, body: wireKey(key) }
}

function versionIn(fields: Fields): { readonly keyVersion?: number } {
  const keyVersion = fields.version('keyVersion')
  return keyVersion === undefined ? {} : { keyVersion }
}

/** The client knows which there are. */
function hashIn(fields: Fields, name: string): { readonly hashAlgorithm?: HashAlgorithm } {
  const hashAlgorithm = fields.optionalText(name)
  if (hashAlgorithm === undefined) return {}
  if (!isHash(hashAlgorithm)) throw invalid(`'${name}' must be one of ${hashes.join(', ')}`)
  return { hashAlgorithm }
}

const hashes: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']

function isHash(text: string): text is HashAlgorithm {
  return hashes.some((hash) => hash === text)
}

function periodIn(fields: Fields): { readonly rotationPeriodInDays?: number } {
  const rotationPeriodInDays = fields.integer('rotationPeriodInDays')
  return rotationPeriodInDays === undefined ? {} : { rotationPeriodInDays }
}

function planCreate(fields: Fields): Planned {
  for (const name of ['hashFunction', 'allowRotation'])
    if (fields.has(name)) throw invalid(`'${name}' goes with 'importKeyMaterial'`)
  const keyRotationEnabled = fields.flag('keyRotationEnabled')
  const input = {
    ...descriptionIn(fields),
    ...(keyRotationEnabled !== undefined && { keyRotationEnabled }),
    ...periodIn(fields),
  }
  return calling('createKey', input, createdReply)
}

/**
 * Key material is wrapped to the key of `GET /wrapping-key` if `hashFunction` says with which hash: RSA-OAEP with SHA-256 and
 * AES-KWP. Without it, it is in the clear: raw bytes of a symmetric key, PKCS #8 of an asymmetric one.
 */
function planImport(fields: Fields): Planned {
  for (const name of ['keyRotationEnabled', 'rotationPeriodInDays'])
    if (fields.has(name))
      throw invalid(`'${name}' does not go with 'importKeyMaterial': PATCH the key's rotation afterwards`)
  const hashFunction = fields.optionalText('hashFunction')
  if (hashFunction !== undefined && hashFunction !== 'sha256') throw invalid("'hashFunction' must be sha256")
  const form: { readonly form?: KeyMaterialForm } = hashFunction === undefined ? {} : { form: 'wrapped' }
  const allowRotation = fields.flag('allowRotation')
  const keyMaterial = fields.bytes('importKeyMaterial')
  const input = {
    ...descriptionIn(fields),
    keyMaterial,
    ...form,
    ...(allowRotation !== undefined && { allowRotation }),
  }
  return wiping(keyMaterial, calling('importKey', input, createdReply))
}

function createdReply({ key }: { readonly key: Key }): Reply {
  return { status: 201, body: wireKey(key) }
}

function descriptionIn(fields: Fields) {
  const name = fields.optionalText('name')
  const slug = fields.optionalText('slug') ?? (name === undefined ? undefined : slugOf(name))
  const description = fields.optionalText('description')
  const labels = fields.texts('labels')
  const annotations = fields.texts('annotations')
  const exportAllowed = fields.flag('exportAllowed')
  return {
    ...(slug !== undefined && { slug }),
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(labels !== undefined && { labels }),
    ...(annotations !== undefined && { annotations }),
    ...(exportAllowed !== undefined && { exportAllowed }),
    // The client refuses a type that it does not know.
    keyType: (fields.optionalText('keyType') ?? defaultKeyType) as KeyType,
  }
}

/** A slug as its name suggests it: `Order keys` is `order-keys`. Undefined where nothing of the name is left. */
function slugOf(name: string): string | undefined {
  const words = name.toLowerCase().match(/[a-z0-9]+/g) ?? []
  const slug = words.join('-').slice(0, 63)
  return slug === '' || slug.startsWith('kms-') ? undefined : slug
}

function planExport({ key, fields, allowRawExport }: Asked): Planned {
  const recipient = fields.optionalBytes('recipient')
  if (recipient === undefined && !allowRawExport)
    throw new KmsError(
      'EXPORT_NOT_ALLOWED',
      "key material does not leave in the clear here: give 'recipient', an RSA public key (SPKI) to wrap it to",
    )
  const input = { key, ...versionIn(fields), ...(recipient !== undefined && { recipient }) }
  return calling('export', input, ({ keyMaterial, keyVersion }) => ({
    status: 200,
    body: { keyMaterial: spelledAndWiped(keyMaterial), ...wireVersion(keyVersion) },
  }))
}
