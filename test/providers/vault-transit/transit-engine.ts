/**
 * A transit engine: keys by name, and what each path answers, in the words of two generations: Vault 1.8 (which knows no associated
 * data and fails a batch as a whole) and OpenBao of today. Held to recorded answers in endpoint.test.ts.
 */
import { createPrivateKey, generateKeyPairSync, KeyObject, randomBytes } from 'node:crypto'
import {
  CryptoFailure,
  derived,
  encrypts,
  exported,
  generate,
  hashes,
  hmac,
  isAead,
  isSigned,
  keyTypes,
  type Material,
  materialFrom,
  open,
  publicKeyText,
  type Signing,
  sameBytes,
  seal,
  signed,
  signs,
  unwrapImport,
} from './transit-crypto.ts'

export type Dialect = 'vault-1.8' | 'openbao'

export interface Version {
  readonly material: Material
  readonly hmacKey: Buffer
  readonly madeAt: number
}

export interface Policy {
  readonly name: string
  readonly type: string
  readonly derived: boolean
  readonly versions: Map<number, Version>
  readonly imported?: { readonly allowRotation: boolean }
  exportable: boolean
  latest: number
  minDecryption: number
  minEncryption: number
  minAvailable: number
  autoRotateSeconds: number
}

export type Body = Readonly<Record<string, unknown>>

export interface Result {
  readonly status: number
  readonly data?: Body
  readonly warnings?: readonly string[]
}

/** What Go's handlers return as an error: with the status, and whether the server wraps it in a list. */
export class Refusal extends Error {
  readonly status: number
  readonly listed: boolean
  constructor(status: number, text: string, listed = false) {
    super(text)
    this.status = status
    this.listed = listed
  }
}

export interface Engine {
  readonly dialect: Dialect
  /** Whether items of a batch may leave out what they say of associated data, as no released server is known to. */
  deafBatches: boolean
  readonly policies: Map<string, Policy>
  wrappingKey(): KeyObject
}

export function engine(dialect: Dialect, wrappingKeyPkcs8?: Buffer): Engine {
  let wrapping: KeyObject | undefined
  return {
    dialect,
    deafBatches: false,
    policies: new Map(),
    wrappingKey() {
      wrapping ??=
        wrappingKeyPkcs8 === undefined
          ? generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey
          : createPrivateKey({ key: wrappingKeyPkcs8, format: 'der', type: 'pkcs8' })
      return wrapping
    },
  }
}

export interface NewPolicy {
  readonly type: string
  readonly derived?: boolean
  readonly exportable?: boolean
  readonly keySize?: number
  readonly autoRotateSeconds?: number
  readonly imported?: { readonly allowRotation: boolean }
  /** Version 1 first; made when absent. */
  readonly materials?: readonly Material[]
  readonly hmacKeys?: readonly Buffer[]
}

export function addPolicy(to: Engine, name: string, options: NewPolicy): Policy {
  const { type, materials = [generate(type, options.keySize ?? 32)], hmacKeys = [] } = options
  const versions = materials.map((material, at): [number, Version] => [at + 1, version(type, material, hmacKeys[at])])
  const policy: Policy = {
    name,
    type,
    derived: options.derived ?? false,
    versions: new Map(versions),
    ...(options.imported && { imported: options.imported }),
    exportable: options.exportable ?? false,
    latest: materials.length,
    minDecryption: 1,
    minEncryption: 0,
    minAvailable: 0,
    autoRotateSeconds: options.autoRotateSeconds ?? 0,
  }
  to.policies.set(name, policy)
  return policy
}

function version(type: string, material: Material, hmacKey: Buffer | undefined): Version {
  const own = type === 'hmac' && Buffer.isBuffer(material) ? material : undefined
  return { material, hmacKey: hmacKey ?? own ?? randomBytes(32), madeAt: Date.now() }
}

export function rotatePolicy(policy: Policy): void {
  if (policy.imported?.allowRotation === false)
    throw new Refusal(500, `imported key ${policy.name} does not allow rotation within Vault`, true)
  const size = policy.type === 'hmac' ? policy.versions.get(policy.latest)?.hmacKey.length : undefined
  policy.latest += 1
  policy.versions.set(policy.latest, version(policy.type, generate(policy.type, size ?? 32), undefined))
}

/** `path` below the mount. */
export function handle(in_: Engine, method: string, path: string, body: Body): Result {
  const [head = '', ...rest] = path.split('/')
  const [first = '', second] = rest
  if (head === 'keys') return keyPath(in_, { method, name: first, verb: second, body })
  if (head === 'wrapping_key' && in_.dialect === 'openbao')
    return { status: 200, data: { public_key: publicKeyText('rsa-4096', in_.wrappingKey()) } }
  if (head === 'export') return exportPath(in_, rest)
  if (head === 'datakey') return dataKey(in_, rest, body)
  if (head === 'encrypt' || head === 'decrypt' || head === 'rewrap') return items(in_, head, first, body)
  if (head === 'sign') return signPath(in_, first, second, body)
  if (head === 'verify') return verifyPath(in_, first, second, body)
  if (head === 'hmac') return hmacPath(in_, first, second, body)
  throw new Refusal(404, `no handler for route "transit/${path}". route entry not found.`)
}

function found(in_: Engine, name: string, otherwise: string): Policy {
  const policy = in_.policies.get(name)
  if (policy === undefined) throw new Refusal(400, otherwise)
  return policy
}

// --- keys -----------------------------------------------------------------------------------------------------------

interface KeyPath {
  readonly method: string
  readonly name: string
  readonly verb: string | undefined
  readonly body: Body
}

function keyPath(in_: Engine, { method, name, verb, body }: KeyPath): Result {
  if (name === '' && (method === 'LIST' || method === 'GET')) {
    if (in_.policies.size === 0) throw new Refusal(404, '')
    return { status: 200, data: { keys: [...in_.policies.keys()].sort() } }
  }
  if (method === 'GET' && verb === undefined) {
    const policy = in_.policies.get(name)
    if (policy === undefined) throw new Refusal(404, '')
    return { status: 200, data: described(in_, policy) }
  }
  if (verb === undefined) return create(in_, name, body)
  if (verb === 'rotate') {
    const policy = found(in_, name, 'key not found')
    rotatePolicy(policy)
    return changed(in_, policy)
  }
  if (verb === 'config') return configure(in_, name, body)
  if (verb === 'trim') return trim(in_, name, body)
  if (verb === 'import' && in_.dialect === 'openbao') return importKey(in_, name, body)
  throw new Refusal(405, 'unsupported operation', true)
}

function changed(in_: Engine, policy: Policy, warnings: readonly string[] = []): Result {
  return in_.dialect === 'openbao' ? { status: 200, data: described(in_, policy), warnings } : { status: 204 }
}

function described({ dialect }: Engine, policy: Policy): Body {
  const { type, versions } = policy
  const available = [...versions].filter(([number]) => number >= policy.minDecryption)
  const keys = available.map(([number, { material, madeAt }]) => {
    if (Buffer.isBuffer(material)) return [number, Math.floor(madeAt / 1000)]
    const title = { 'ecdsa-p256': 'P-256', 'ecdsa-p384': 'P-384', 'ecdsa-p521': 'P-521' }[type] ?? type
    const time = new Date(madeAt).toISOString().replace('Z', '000Z')
    // The public key of a derived Ed25519 key depends on the context.
    const public_key = policy.derived ? '' : publicKeyText(type, material)
    return [number, { creation_time: time, name: title, public_key }]
  })
  return {
    allow_plaintext_backup: false,
    deletion_allowed: false,
    derived: policy.derived,
    exportable: policy.exportable,
    // That of HMAC keys is not shown by servers of this generation.
    ...(type !== 'hmac' && { keys: Object.fromEntries(keys) }),
    latest_version: policy.latest,
    min_available_version: policy.minAvailable,
    min_decryption_version: policy.minDecryption,
    min_encryption_version: policy.minEncryption,
    name: policy.name,
    supports_decryption: encrypts(type),
    supports_derivation: isAead(type) || type === 'ed25519',
    supports_encryption: encrypts(type),
    supports_signing: signs(type),
    type,
    ...(policy.derived && { kdf: 'hkdf_sha256', convergent_encryption: false }),
    ...(dialect === 'openbao' && {
      auto_rotate_period: policy.autoRotateSeconds,
      imported_key: policy.imported !== undefined,
      ...(policy.imported && { imported_key_allow_rotation: policy.imported.allowRotation }),
    }),
  }
}

function create(in_: Engine, name: string, body: Body): Result {
  const type = String(body['type'] ?? 'aes256-gcm96')
  const seconds = autoRotate(in_, body)
  if (body['convergent_encryption'] === true && body['derived'] !== true)
    throw new Refusal(400, 'convergent encryption requires derivation to be enabled')
  if (!keyTypes.includes(type)) throw new Refusal(400, `unknown key type ${type}`)
  const before = in_.policies.get(name)
  if (before !== undefined) return changed(in_, before, [`key ${name} already existed`])
  const keySize = body['key_size']
  const policy = addPolicy(in_, name, {
    type,
    derived: body['derived'] === true,
    exportable: body['exportable'] === true,
    ...(typeof keySize === 'number' && { keySize }),
    autoRotateSeconds: seconds ?? 0,
  })
  return changed(in_, policy)
}

/** Vault 1.8 does not know the field, and says nothing. */
function autoRotate({ dialect }: Engine, body: Body): number | undefined {
  const given = body['auto_rotate_period']
  if (given === undefined || dialect === 'vault-1.8') return undefined
  const [, count = '', unit = 's'] = /^(\d+)([smh]?)$/.exec(String(given)) ?? []
  const seconds = Number(count) * { s: 1, m: 60, h: 3600, '': 1 }[unit as 's' | 'm' | 'h' | '']
  if (seconds !== 0 && seconds < 3600)
    throw new Refusal(400, 'auto rotate period must be 0 to disable or at least an hour')
  return seconds
}

function configure(in_: Engine, name: string, body: Body): Result {
  const policy = found(in_, name, `no existing key named ${name} could be found`)
  const decryption =
    body['min_decryption_version'] === undefined ? policy.minDecryption : Number(body['min_decryption_version'])
  const encryption =
    body['min_encryption_version'] === undefined ? policy.minEncryption : Number(body['min_encryption_version'])
  if (decryption > policy.latest)
    throw new Refusal(400, `cannot set min decryption version of ${decryption}, latest key version is ${policy.latest}`)
  if (encryption > 0 && encryption < decryption)
    throw new Refusal(
      400,
      `cannot set min encryption/decryption values; min encryption version of ${encryption} must be greater than or equal to min decryption version of ${decryption}`,
    )
  policy.autoRotateSeconds = autoRotate(in_, body) ?? policy.autoRotateSeconds
  policy.minDecryption = decryption
  policy.minEncryption = encryption
  if (body['exportable'] === true) policy.exportable = true
  return changed(in_, policy)
}

function trim(in_: Engine, name: string, body: Body): Result {
  const policy = found(in_, name, 'invalid key name')
  if (policy.minEncryption === 0)
    throw new Refusal(400, 'minimum available version cannot be set when minimum encryption version is not set')
  policy.minAvailable = Number(body['min_available_version'])
  return changed(in_, policy)
}

function importKey(in_: Engine, name: string, body: Body): Result {
  const type = String(body['type'] ?? 'aes256-gcm96')
  if (!keyTypes.includes(type)) throw new Refusal(400, `unknown key type: ${type}`)
  if (in_.policies.has(name))
    throw new Refusal(
      500,
      'the import path cannot be used with an existing key; use import-version to rotate an existing imported key',
      true,
    )
  if (body['hash_function'] !== 'SHA256') throw new Refusal(400, `unknown hash function: ${body['hash_function']}`)
  const bytes = unwrapImport(in_.wrappingKey(), goBase64(body['ciphertext']))
  addPolicy(in_, name, {
    type,
    exportable: body['exportable'] === true,
    imported: { allowRotation: body['allow_rotation'] === true },
    materials: [materialFrom(type, bytes)],
  })
  return { status: 204 }
}

function exportPath(in_: Engine, [kind = '', name = '', wanted]: readonly string[]): Result {
  const policy = in_.policies.get(name)
  if (policy === undefined) throw new Refusal(404, '')
  if (!policy.exportable)
    throw new Refusal(
      400,
      in_.dialect === 'openbao' ? 'private key material is not exportable' : 'key is not exportable',
    )
  if (kind === 'encryption-key' && !encrypts(policy.type))
    throw new Refusal(400, 'encryption not supported for the key')
  if (kind === 'signing-key' && !signs(policy.type)) throw new Refusal(400, 'signing not supported for the key')
  const number = wanted === undefined ? undefined : wanted === 'latest' ? policy.latest : Number(wanted)
  if (number !== undefined && number < policy.minDecryption)
    throw new Refusal(400, 'version for export is below minimum decryption version')
  const chosen = [...policy.versions].filter(([one]) => number === undefined || one === number)
  if (chosen.length === 0) throw new Refusal(400, 'version does not exist or cannot be found')
  const keys = chosen.map(([one, { material, hmacKey }]) => [
    one,
    kind === 'hmac-key' ? hmacKey.toString('base64') : exported(policy.type, material),
  ])
  return { status: 200, data: { keys: Object.fromEntries(keys), name, type: policy.type } }
}

// --- encryption -----------------------------------------------------------------------------------------------------

const whole = (value: unknown): number => (value === undefined ? 0 : Number(value))
const text = (value: unknown): string => (value === undefined ? '' : String(value))

/** Go's StdEncoding: newlines are skipped, padding must be there, stray bits do not matter. */
export function goBase64(value: unknown): Buffer {
  const given = text(value)
  const bare = given.replace(/[\r\n]/g, '')
  const bad = /^[A-Za-z0-9+/]*/.exec(bare)?.[0].length ?? 0
  const padding = bare.slice(bad)
  const fits = (padding === '' || padding === '=' || padding === '==') && bare.length % 4 === 0
  if (fits) return Buffer.from(bare, 'base64')
  const at = padding === '' || (padding.startsWith('=') && bad % 4 > 1) ? bad - (bad % 4) : bad
  throw new Refusal(400, `illegal base64 data at input byte ${at}`)
}

interface Keyed {
  readonly policy: Policy
  readonly dialect: Dialect
}

function usable({ policy }: Keyed, wanted: number, purpose: 'encryption' | 'signing'): number {
  // Of signatures the server makes a 500 of it: it has the error without a response.
  const [status, listed] = purpose === 'signing' ? ([500, true] as const) : ([400, false] as const)
  if (wanted < 0) throw new Refusal(status, `requested version for ${purpose} is negative`, listed)
  if (wanted > policy.latest)
    throw new Refusal(status, `requested version for ${purpose} is higher than the latest key version`, listed)
  if (wanted !== 0 && wanted < policy.minEncryption)
    throw new Refusal(
      status,
      `requested version for ${purpose} is less than the minimum encryption key version`,
      listed,
    )
  return wanted === 0 ? policy.latest : wanted
}

function materialAt({ policy }: Keyed, number: number, context: Buffer): Material {
  const material = policy.versions.get(number)?.material
  if (material === undefined) throw new Refusal(400, 'no such version')
  if (!policy.derived || !Buffer.isBuffer(material)) return material
  if (context.length === 0)
    throw new Refusal(
      400,
      "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
    )
  return derived(policy.type, material, context)
}

function associated({ policy, dialect }: Keyed, item: Body, at: number): Buffer {
  const given = text(item['associated_data'])
  if (given === '' || dialect === 'vault-1.8') return Buffer.alloc(0)
  if (!isAead(policy.type))
    throw new Refusal(400, `'[${at}].associated_data' provided for non-AEAD cipher suite ${policy.type}`)
  try {
    return goBase64(given)
  } catch (error) {
    const { message } = error as Error
    throw new Refusal(500, `unable to get associated_data/additional_data from factory[0]: ${message}`, true)
  }
}

function encryptOne(keyed: Keyed, item: Body, at: number): Body {
  const { policy } = keyed
  if (item['plaintext'] === undefined) throw new Refusal(400, 'missing plaintext to encrypt')
  const plaintext = goBase64(item['plaintext'])
  const context = goBase64(item['context'])
  if (!encrypts(policy.type)) throw new Refusal(400, `message encryption not supported for key type ${policy.type}`)
  const number = usable(keyed, whole(item['key_version']), 'encryption')
  const material = materialAt(keyed, number, context)
  const sealed = seal(policy.type, material, plaintext, associated(keyed, item, at))
  return { ciphertext: `vault:v${number}:${sealed.toString('base64')}`, key_version: number }
}

function plaintextOf(keyed: Keyed, item: Body, at: number): Buffer {
  const { policy, dialect } = keyed
  const ciphertext = text(item['ciphertext'])
  if (ciphertext === '') throw new Refusal(400, 'missing ciphertext to decrypt')
  const context = goBase64(item['context'])
  if (!encrypts(policy.type)) throw new Refusal(400, `message decryption not supported for key type ${policy.type}`)
  const { number, payload } = versioned(policy, ciphertext, 'invalid ciphertext')
  let sealed: Buffer
  try {
    sealed = goBase64(payload)
  } catch {
    throw new Refusal(400, 'invalid ciphertext: could not decode base64')
  }
  const material = materialAt(keyed, number, context)
  const aad = associated(keyed, item, at)
  try {
    return open(policy.type, material, sealed, aad)
  } catch (error) {
    const { message } = error as CryptoFailure
    const isInternal =
      message.startsWith('failed to RSA') || (dialect === 'vault-1.8' && message.endsWith('authentication failed'))
    throw new Refusal(isInternal ? 500 : 400, message, isInternal)
  }
}

function versioned(policy: Policy, given: string, what: string): { readonly number: number; readonly payload: string } {
  if (!given.startsWith('vault:v')) throw new Refusal(400, `${what}: no prefix`)
  const parts = given.slice('vault:v'.length).split(':')
  if (parts.length < 2) throw new Refusal(400, `${what}: wrong number of fields`)
  const [digits = '', ...payload] = parts
  if (!/^[+-]?\d+$/.test(digits)) throw new Refusal(400, `${what}: version number could not be decoded`)
  const number = Number(digits) === 0 ? 1 : Number(digits)
  if (number > policy.latest) throw new Refusal(400, `${what}: version is too new`)
  if (number < policy.minDecryption)
    throw new Refusal(400, 'ciphertext or signature version is disallowed by policy (too old)')
  return { number, payload: payload.join(':') }
}

function items(in_: Engine, verb: 'encrypt' | 'decrypt' | 'rewrap', name: string, body: Body): Result {
  const batch = body['batch_input']
  if (batch !== undefined && !Array.isArray(batch)) throw new Refusal(400, 'failed to parse batch input')
  if (batch?.length === 0) throw new Refusal(400, 'missing batch input to process')
  const heard = (item: Body) => (in_.deafBatches ? { ...item, associated_data: undefined } : item)
  const list: readonly Body[] = batch?.map(heard) ?? [body]
  if (verb === 'encrypt' && batch === undefined && body['plaintext'] === undefined)
    throw new Refusal(400, 'missing plaintext to encrypt')
  const contexts = list.filter((item) => text(item['context']) !== '').length
  if (contexts !== 0 && contexts !== list.length)
    throw new Refusal(400, 'context should be set either in all the request blocks or in none')
  // An encrypt for a key that does not exist makes it, for a token that may create.
  if (verb === 'encrypt' && !in_.policies.has(name))
    addPolicy(in_, name, { type: 'aes256-gcm96', derived: contexts > 0 })
  const keyed = { policy: found(in_, name, 'encryption key not found'), dialect: in_.dialect }
  const one = (item: Body, at: number) => {
    if (verb === 'encrypt') return encryptOne(keyed, item, at)
    // rewrap knows no associated data.
    const plaintext = plaintextOf(keyed, verb === 'rewrap' ? { ...item, associated_data: undefined } : item, at)
    if (verb === 'decrypt') return { plaintext: plaintext.toString('base64') }
    return encryptOne(
      keyed,
      { plaintext: plaintext.toString('base64'), context: item['context'], key_version: item['key_version'] },
      at,
    )
  }
  if (batch === undefined) return { status: 200, data: asRefusals(() => one(body, 0)) }
  const refusals: Refusal[] = []
  const results = list.map((item, at) => {
    try {
      return { ...asRefusals(() => one(item, at)), ...(in_.dialect === 'openbao' && { reference: '' }) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      // The older server gives up on what it takes for a fault of its own.
      if (in_.dialect === 'vault-1.8' && error.status === 500) throw error
      // The newer one counts what associated data it refuses for neither kind of error.
      if (!error.message.includes('non-AEAD')) refusals.push(error)
      return { error: error.message, ...(in_.dialect === 'openbao' && { reference: '' }) }
    }
  })
  const data = { batch_results: results }
  if (in_.dialect === 'vault-1.8' || refusals.length === 0) return { status: 200, data }
  const partial = body['partial_failure_response_code']
  if (refusals.some(({ status }) => status === 400))
    return { status: typeof partial === 'number' && refusals.length < list.length ? partial : 400, data }
  return { status: 500, data }
}

function asRefusals<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof CryptoFailure) throw new Refusal(500, error.message, true)
    throw error
  }
}

function dataKey(in_: Engine, [form = '', name = '']: readonly string[], body: Body): Result {
  if (form !== 'plaintext' && form !== 'wrapped')
    throw new Refusal(400, "Invalid path, must be 'plaintext' or 'wrapped'")
  const keyed = { policy: found(in_, name, 'encryption key not found'), dialect: in_.dialect }
  const bits = body['bits'] ?? 256
  if (bits !== 128 && bits !== 256 && bits !== 512) throw new Refusal(400, 'invalid bit length')
  const plaintext = randomBytes(bits / 8).toString('base64')
  const sealed = asRefusals(() => encryptOne(keyed, { plaintext, context: body['context'] }, 0))
  return { status: 200, data: { ...sealed, ...(form === 'plaintext' && { plaintext }) } }
}

// --- signatures -----------------------------------------------------------------------------------------------------

function signingOf(url: string | undefined, body: Body): Signing {
  const hash = url ?? (text(body['hash_algorithm']) || 'sha2-256')
  if (!(hash in hashes)) throw new Refusal(400, `invalid hash algorithm "${hash}"`)
  const marshaling = text(body['marshaling_algorithm']) || 'asn1'
  if (marshaling !== 'asn1' && marshaling !== 'jws') throw new Refusal(400, `invalid marshaling type "${marshaling}"`)
  return {
    hash,
    marshaling,
    prehashed: body['prehashed'] === true,
    padding: text(body['signature_algorithm']),
    saltLength: text(body['salt_length']) || 'auto',
  }
}

function signPath(in_: Engine, name: string, url: string | undefined, body: Body): Result {
  const options = signingOf(url, body)
  const keyed = { policy: found(in_, name, 'signing key not found'), dialect: in_.dialect }
  const { policy } = keyed
  if (!signs(policy.type)) throw new Refusal(400, `key type ${policy.type} does not support signing`)
  const input = goBase64(body['input'])
  const number = usable(keyed, whole(body['key_version']), 'signing')
  const key = materialAt(keyed, number, Buffer.alloc(0))
  if (!(key instanceof KeyObject)) throw new Refusal(500, 'no key', true)
  const bytes = asRefusals(() => signed(policy.type, key, input, options))
  const encoded = bytes.toString(options.marshaling === 'jws' ? 'base64url' : 'base64')
  return { status: 200, data: { key_version: number, signature: `vault:v${number}:${encoded}` } }
}

function verifyPath(in_: Engine, name: string, url: string | undefined, body: Body): Result {
  if (body['signature'] === undefined && body['hmac'] === undefined)
    throw new Refusal(400, "neither a 'signature' nor an 'hmac' were given to verify")
  if (body['signature'] === undefined) return verifyHmac(in_, name, url, body)
  const options = signingOf(url, body)
  const policy = found(in_, name, 'signature verification key not found')
  if (!signs(policy.type)) throw new Refusal(400, `key type ${policy.type} does not support verification`)
  const input = goBase64(body['input'])
  const { number, payload } = versioned(policy, text(body['signature']), 'invalid signature')
  const signature = options.marshaling === 'jws' ? Buffer.from(payload, 'base64url') : goBase64(payload)
  const key = policy.versions.get(number)?.material
  if (!(key instanceof KeyObject)) throw new Refusal(500, 'no key', true)
  try {
    return { status: 200, data: { valid: isSigned(policy.type, key, input, signature, options) } }
  } catch (error) {
    if (error instanceof CryptoFailure) throw new Refusal(400, error.message)
    throw error
  }
}

function hmacKeyAt(policy: Policy, number: number): Buffer {
  if (number < 0) throw new Refusal(400, 'key version does not exist (cannot be negative)')
  const key = policy.versions.get(number)?.hmacKey
  if (key === undefined) throw new Refusal(400, `key version does not exist; latest key version is ${policy.latest}`)
  return key
}

function hmacPath(in_: Engine, name: string, url: string | undefined, body: Body): Result {
  const policy = found(in_, name, 'encryption key not found')
  const hash = url ?? (text(body['algorithm']) || 'sha2-256')
  const number = whole(body['key_version']) || policy.latest
  if (policy.minEncryption > 0 && number > 0 && number < policy.minEncryption)
    throw new Refusal(400, 'cannot generate HMAC: version is too old (disallowed by policy)')
  const key = hmacKeyAt(policy, number)
  if (!(hash in hashes)) throw new Refusal(400, "unsupported algorithm '\\x00'")
  if (body['input'] === undefined) throw new Refusal(400, 'missing input for HMAC')
  const mac = hmac(key, hash, goBase64(body['input']))
  return { status: 200, data: { hmac: `vault:v${number}:${mac.toString('base64')}` } }
}

function verifyHmac(in_: Engine, name: string, url: string | undefined, body: Body): Result {
  const policy = found(in_, name, 'encryption key not found')
  const hash = url ?? (text(body['algorithm']) || 'sha2-256')
  const given = text(body['hmac'])
  if (!given.startsWith('vault:v')) throw new Refusal(400, 'invalid HMAC to verify: no prefix')
  const [digits = '', payload] = given.slice('vault:v'.length).split(':')
  if (payload === undefined) throw new Refusal(400, 'invalid HMAC: wrong number of fields')
  if (!/^[+-]?\d+$/.test(digits)) throw new Refusal(400, 'invalid HMAC: version number could not be decoded')
  const number = Number(digits)
  if (number > policy.latest) throw new Refusal(400, 'invalid HMAC: version is too new')
  if (number < policy.minDecryption)
    throw new Refusal(400, 'cannot verify HMAC: version is too old (disallowed by policy)')
  const mac = hmac(hmacKeyAt(policy, number), hash, goBase64(body['input']))
  return { status: 200, data: { valid: sameBytes(mac, goBase64(payload)) } }
}
