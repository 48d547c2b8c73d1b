/** The operations of a Secrets Manager, each from top to bottom: what it looks at, its intent, the KMS, the store. */
import { hex, wipe } from '../../crypto/bytes.ts'
import { randomBytes } from '../../crypto/random.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey } from '../../model/key.ts'
import type { EncryptionContext } from '../../model/operation.ts'
import { browsed } from './browse.ts'
import { intend, onBehalf, type SecretCall, type SecretOperation } from './call.ts'
import {
  browseInput,
  type CreateInput,
  createInput,
  getInput,
  listInput,
  type Page,
  pathInput,
  policyInput,
  putInput,
  versionInput,
} from './input.ts'
import type { Put, Revealed, SecretFolder, SecretInfo, SecretList } from './manager.ts'
import { type AccessPolicy, refusingRule } from './policy.ts'
import type { SecretChange, SecretStore, StoredSecret, StoredVersion } from './store.ts'
import { decodeValue } from './value.ts'

/** What is to be kept, after its intent. */
interface Kept extends Pick<SecretChange, 'expectRevision' | 'value' | 'destroys'> {
  readonly secret: StoredSecret
}

export interface SecretOperations {
  readonly create: SecretOperation<CreateInput, SecretInfo>
  readonly put: SecretOperation<{ readonly path: string; readonly value: Uint8Array }, Put>
  readonly get: SecretOperation<{ readonly path: string; readonly version: number | undefined }, Revealed>
  readonly destroyVersion: SecretOperation<{ readonly path: string; readonly version: number }, SecretInfo>
  readonly delete: SecretOperation<{ readonly path: string }, { readonly path: string }>
  readonly updatePolicy: SecretOperation<
    { readonly path: string; readonly policy: AccessPolicy | undefined },
    SecretInfo
  >
  readonly describe: SecretOperation<{ readonly path: string }, SecretInfo>
  readonly list: SecretOperation<Page, SecretList>
  readonly browse: SecretOperation<Page, SecretFolder>
}

export function operationsOver(store: SecretStore): SecretOperations {
  return {
    create: {
      action: 'secret.create',
      check: createInput,
      forget: ({ value }) => wipe(value ?? new Uint8Array(0)),
      async run(call, input) {
        if ((await store.read(input.path)) !== undefined)
          throw new KmsError('SECRET_EXISTS', 'there is a secret at this path already')
        const made = madeOf(call, input, await usableKey(call, input.key))
        if (input.value === undefined) {
          await intend(call)
          return keep(call, { expectRevision: 0, secret: changed(call, made, {}) })
        }
        return keep(call, { expectRevision: 0, ...(await withVersion(call, made, input.value)) })
      },
    },

    put: {
      action: 'secret.put_value',
      check: putInput,
      forget: ({ value }) => wipe(value),
      async run(call, input) {
        const before = await found(call, input.path)
        judge(call, before)
        const { secret, value, version } = await withVersion(call, before, input.value)
        await keep(call, { expectRevision: before.revision, secret, value })
        return putOf(secret, version)
      },
    },

    get: {
      action: 'secret.get_value',
      check: getInput,
      async run(call, input) {
        const secret = await found(call, input.path)
        judge(call, secret)
        const version = readable(call, secret, input.version)
        const ciphertext = await ciphertextOf(call, secret, version)
        // The store has taken too long: no key is used for nobody.
        if (call.over !== undefined) throw call.over
        const { kms, options } = onBehalf(call)
        const encryptionContext = boundTo(secret, version.version)
        const opened = await asked(
          call,
          kms.decrypt({ key: secret.keyIdentity, ciphertext, encryptionContext }, options),
        )
        try {
          return {
            ...putOf(secret, { ...version, ...versionUsed(opened.keyVersion) }),
            ...decodeValue(opened.plaintext),
          }
        } finally {
          wipe(opened.plaintext)
        }
      },
    },

    destroyVersion: {
      action: 'secret.destroy_version',
      check: versionInput,
      async run(call, input) {
        const before = await found(call, input.path)
        const { version } = readable(call, before, input.version)
        const destroyedAt = timeOf(call)
        const versions = before.versions.map((one) => (one.version === version ? { ...one, destroyedAt } : one))
        await intend(call)
        const secret = changed(call, before, { versions })
        return keep(call, { expectRevision: before.revision, secret, destroys: version })
      },
    },

    delete: {
      action: 'secret.delete',
      check: pathInput,
      async run(call, { path }) {
        const { revision: expectRevision } = await found(call, path)
        await intend(call)
        await write(store, { path, operationID: call.eventID, expectRevision })
        return { path }
      },
    },

    updatePolicy: {
      action: 'secret.update_policy',
      check: policyInput,
      async run(call, input) {
        const { policy: _, ...before } = await found(call, input.path)
        await intend(call)
        const { policy } = input
        const secret = changed(call, before, policy === undefined ? {} : { policy })
        return keep(call, { expectRevision: before.revision, secret })
      },
    },

    describe: {
      action: 'secret.describe',
      check: pathInput,
      run: async (call, { path }) => infoOf(await found(call, path)),
    },

    list: {
      action: 'secret.list',
      check: listInput,
      async run(call, page) {
        const shown = await listed(call, page)
        const secrets = shown.slice(0, page.limit)
        const next = shown.length > page.limit ? secrets.at(-1)?.path : undefined
        const infos = secrets.map(infoOf)
        call.count = infos.length
        return { secrets: infos, ...(next !== undefined && { next }) }
      },
    },

    browse: {
      action: 'secret.list',
      check: browseInput,
      async run(call, page) {
        const { folders, secrets, next } = await browsed(page, {
          list: (query) => store.list(query),
          isShown: (secret) => isHere(call, secret),
        })
        call.count = secrets.length
        return { folders, secrets: secrets.map(infoOf), ...(next !== undefined && { next }) }
      },
    },
  }

  /** Those of this region and project, and one more than fits if there is one: of others not even a path is told. */
  async function listed(call: SecretCall, { prefix, after: start, limit }: Page): Promise<readonly StoredSecret[]> {
    const shown: StoredSecret[] = []
    let after = start
    for (;;) {
      const page = await store.list({ prefix, after, limit: limit + 1 })
      shown.push(...page.filter((secret) => isHere(call, secret)))
      const last = page.at(-1)
      if (last === undefined || page.length <= limit || shown.length > limit) return shown
      if (call.over !== undefined) throw call.over
      after = last.path
    }
  }

  async function found(call: SecretCall, path: string): Promise<StoredSecret> {
    const secret = await store.read(path)
    if (secret === undefined || !isHere(call, secret))
      throw new KmsError('SECRET_NOT_FOUND', 'there is no secret at this path')
    call.keySlug = secret.keySlug
    call.keyType = secret.keyType
    return secret
  }

  async function ciphertextOf(call: SecretCall, secret: StoredSecret, { version }: StoredVersion): Promise<Uint8Array> {
    const value = await store.readValue(secret, version)
    if (value !== undefined) return value
    // It may have been destroyed since it was looked at; else the store has lost it.
    const now = await found(call, secret.path)
    if (now.id !== secret.id) throw new KmsError('SECRET_NOT_FOUND', 'the secret was deleted meanwhile')
    readable(call, now, version)
    throw new KmsError('INTERNAL', `the store '${store.name}' has lost a value`)
  }

  /** `before` with one version more, and its ciphertext: one encryption, after the intent. */
  async function withVersion(
    call: SecretCall,
    before: StoredSecret,
    plaintext: Uint8Array,
  ): Promise<{ readonly secret: StoredSecret; readonly value: Uint8Array; readonly version: StoredVersion }> {
    const number = before.latestVersion + 1
    call.secretVersion = number
    await intend(call)
    const { kms, options } = onBehalf(call)
    const encryptionContext = boundTo(before, number)
    const sealed = await asked(call, kms.encrypt({ key: before.keyIdentity, plaintext, encryptionContext }, options))
    const version = { version: number, createdAt: timeOf(call), ...versionUsed(sealed.keyVersion) }
    const secret = changed(call, before, { latestVersion: number, versions: [...before.versions, version] })
    return { secret, value: sealed.ciphertext, version }
  }

  async function keep(call: SecretCall, kept: Kept): Promise<SecretInfo> {
    const { secret, expectRevision, value, destroys } = kept
    await write(store, {
      path: secret.path,
      operationID: call.eventID,
      expectRevision,
      secret,
      ...(value !== undefined && { value }),
      ...(destroys !== undefined && { destroys }),
    })
    return infoOf(secret)
  }
}

async function write(store: SecretStore, change: SecretChange): Promise<void> {
  try {
    await store.write(change)
  } catch (error) {
    if (error instanceof KmsError) throw error
    const message = `the store '${store.name}' failed with an error that is not a KmsError`
    throw new KmsError('INTERNAL', message, { cause: error, evidence: { unsettled: true } })
  }
}

/** Whatever of the KMS's answer the entry is to tell, also of a refusal. */
async function asked<T extends { readonly eventID: string; readonly keyVersion?: number }>(
  call: SecretCall,
  answer: Promise<T>,
): Promise<T> {
  try {
    const output = await answer
    call.kmsEventID = output.eventID
    if (output.keyVersion !== undefined) call.keyVersion = output.keyVersion
    return output
  } catch (error) {
    const refusal = asKmsError(error)
    if (refusal.eventID !== undefined) call.kmsEventID = refusal.eventID
    throw refusal
  }
}

/** Only as the keys are, by region and project: a store may be shared, and its secrets are found where their keys are. */
function isHere({ scope }: SecretCall, secret: StoredSecret): boolean {
  return secret.region === scope.region && secret.project === scope.project
}

function judge(call: SecretCall, { policy }: StoredSecret): void {
  if (policy === undefined) return
  const { clientIp } = call.prepared.said
  const rule = refusingRule(policy, { clientIp, now: call.inside.audit.clock.now() })
  if (rule === undefined) return
  throw new KmsError('ACCESS_DENIED', "the secret's access policy does not allow this", { evidence: { rule } })
}

/** The version asked for, or the current one. */
function readable(call: SecretCall, secret: StoredSecret, asked: number | undefined): StoredVersion {
  const version = asked ?? secret.latestVersion
  if (version > 0) call.secretVersion = version
  const stored = secret.versions.find((one) => one.version === version)
  if (stored === undefined)
    throw new KmsError('VERSION_NOT_FOUND', version === 0 ? 'the secret has no value yet' : 'there is no such version')
  if (stored.destroyedAt !== undefined)
    throw new KmsError('VERSION_NOT_FOUND', `version ${version} was destroyed: ask for another, or put a new one`)
  return stored
}

/** Looked up as a client's own calls look keys up, without an entry of its own: that of the secret tells which key it is. */
async function usableKey(call: SecretCall, name: string): Promise<ResolvedKey> {
  const { provider, scope } = call.inside
  const { kms, options } = onBehalf(call)
  const key = provider.resolve
    ? await provider.resolve(name, scope)
    : (await kms.describeKey({ key: name }, options)).key
  call.keySlug = key.slug
  call.keyType = key.keyType
  if (!/^x?(?:aes|chacha20)/.test(key.keyType))
    throw new KmsError('UNSUPPORTED_OPERATION', `a secret needs an AES or ChaCha key, not ${key.keyType}`)
  if (key.status !== undefined && key.status !== 'active')
    throw new KmsError('KEY_NOT_ACTIVE', `the key is ${key.status}: a secret needs one that is active`)
  return key
}

function madeOf(call: SecretCall, input: CreateInput, key: ResolvedKey): StoredSecret {
  const { region, project } = call.scope
  const { path, description, labels, policy } = input
  const createdAt = timeOf(call)
  return {
    path,
    id: hex(randomBytes(16)),
    keyIdentity: key.identity,
    keySlug: key.slug,
    keyType: key.keyType,
    ...(region !== undefined && { region }),
    ...(project !== undefined && { project }),
    ...(description !== undefined && { description }),
    ...(labels !== undefined && { labels }),
    ...(policy !== undefined && { policy }),
    latestVersion: 0,
    versions: [],
    createdAt,
    updatedAt: createdAt,
    revision: 0,
  }
}

function changed(call: SecretCall, before: StoredSecret, fields: Partial<StoredSecret>): StoredSecret {
  return Object.freeze({ ...before, ...fields, updatedAt: timeOf(call), revision: before.revision + 1 })
}

function timeOf({ inside }: SecretCall): string {
  return new Date(inside.audit.clock.now()).toISOString()
}

/** What a value is bound to: it opens as this version of this secret under this key, and as nothing else. */
function boundTo({ path, id, keyIdentity }: StoredSecret, version: number): EncryptionContext {
  return { 'secret.path': path, 'secret.id': id, 'secret.version': String(version), 'secret.key': keyIdentity }
}

function versionUsed(keyVersion: number | undefined): Pick<StoredVersion, 'kmsKeyVersion'> {
  return keyVersion === undefined ? {} : { kmsKeyVersion: keyVersion }
}

function putOf({ path, keyIdentity }: StoredSecret, { version, kmsKeyVersion }: StoredVersion): Put {
  return {
    path,
    version,
    kmsKeyIdentity: keyIdentity,
    ...(kmsKeyVersion !== undefined && { kmsKeyVersion }),
  }
}

function infoOf(secret: StoredSecret): SecretInfo {
  const { path, description, labels, policy, latestVersion } = secret
  return {
    path,
    ...(description !== undefined && { description }),
    ...(labels !== undefined && { labels }),
    ...(policy !== undefined && { policy }),
    kmsKeyIdentity: secret.keyIdentity,
    kmsKeySlug: secret.keySlug,
    keyType: secret.keyType,
    ...(latestVersion > 0 && { currentVersion: latestVersion }),
    versions: secret.versions.map(({ version, createdAt, destroyedAt, kmsKeyVersion }) => ({
      version,
      status: destroyedAt === undefined ? ('active' as const) : ('destroyed' as const),
      createdAt,
      ...(destroyedAt !== undefined && { destroyedAt }),
      ...(kmsKeyVersion !== undefined && { kmsKeyVersion }),
    })),
    createdAt: secret.createdAt,
    updatedAt: secret.updatedAt,
  }
}
