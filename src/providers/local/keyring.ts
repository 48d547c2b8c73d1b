/** The keys of a keystore in use: found by name within their scope, their versions prepared when first wanted. */
import { algorithms, type PreparedKeys, type Use } from '../../crypto/algorithms.ts'
import type { Engine } from '../../crypto/engine.ts'
import { requireApproved } from '../../crypto/fips.ts'
import { KmsError } from '../../model/errors.ts'
import type { Key, ResolvedKey, Scope } from '../../model/key.ts'
import type { Operation } from '../../model/operation.ts'
import { type Keystore, latestOf, type StoredKey, type StoredVersion } from './keystore.ts'
import { keyOf, refOf } from './view.ts'

/** One state of a key; a change makes a new one. */
export interface LiveKey {
  readonly stored: StoredKey
  readonly ref: ResolvedKey
  readonly key: Key
  /** The newest version's number. */
  readonly latest: number
}

export interface Keyring {
  /** The key with this identity or slug within exactly this scope, or `KEY_NOT_FOUND`. */
  find(name: string, scope: Scope): LiveKey
  /** Keys within exactly this scope, oldest first. */
  list(scope: Scope): readonly LiveKey[]
  /** The keystore in force. */
  readonly keystore: Keystore
  /** Puts a newer keystore in force. Versions already prepared stay: a version's secret never changes. */
  replace(keystore: Keystore): void
  /** A prepared version, the latest unless `version` says another; `VERSION_NOT_FOUND`. Its use was checked before. */
  version<U extends Use>(key: LiveKey, use: U, version?: number): PreparedKeys[U]
  /** Wipes every secret; from here on everything is `CLOSED`. */
  close(): void
}

type Names = ReadonlyMap<string, LiveKey>
/** By region, then by project. */
type Scopes = ReadonlyMap<string | undefined, ReadonlyMap<string | undefined, Names>>

export interface KeyringOptions {
  /** Prepare only keys of types that FIPS mode allows; others are `UNSUPPORTED_OPERATION`. */
  readonly fips?: boolean
}

/** Finds by hash, so that a call costs the same with one key or a hundred thousand. */
export function openKeyring(engine: Engine, first: Keystore, { fips = false }: KeyringOptions = {}): Keyring {
  let keystore = first
  let live: readonly LiveKey[] = first.keys.map(liveKey)
  let scopes = byScope(live)
  let closed = false
  const prepared = new Map<string, Map<number, PreparedKeys[Use]>>()

  function prepare(key: LiveKey, version: number): PreparedKeys[Use] {
    const { material } = storedVersion(key, version)
    if (fips) requireApproved(key.stored.keyType)
    const opened = algorithms[key.stored.keyType].open(engine, material, version)
    const versions = prepared.get(key.stored.identity) ?? new Map<number, PreparedKeys[Use]>()
    prepared.set(key.stored.identity, versions.set(version, opened))
    return opened
  }

  return {
    get keystore() {
      return keystore
    },
    find(name, scope) {
      const found = scopes.get(scope.region)?.get(scope.project)?.get(name)
      if (found !== undefined) return found
      if (closed) throw closedError()
      throw new KmsError('KEY_NOT_FOUND', 'no such key in this region and project', { key: name })
    },
    list(scope) {
      if (closed) throw closedError()
      return live.filter(({ stored }) => stored.region === scope.region && stored.project === scope.project)
    },
    replace(next) {
      const before = new Map(live.map((key) => [key.stored, key]))
      keystore = next
      live = next.keys.map((stored) => before.get(stored) ?? liveKey(stored))
      scopes = byScope(live)
    },
    version<U extends Use>(key: LiveKey, _use: U, version = key.latest): PreparedKeys[U] {
      const opened = prepared.get(key.stored.identity)?.get(version) ?? prepare(key, version)
      return opened as PreparedKeys[U] // the key's type has the use that `_use` names: `capable` has checked it
    },
    close() {
      closed = true
      scopes = new Map()
      live = []
      for (const versions of prepared.values()) for (const version of versions.values()) version.destroy()
      prepared.clear()
      for (const { versions } of keystore.keys) for (const { material } of versions) material.fill(0)
      for (const seed of [keystore.signerSeed, ...keystore.formerSeeds]) seed.fill(0)
      keystore.wrappingKey?.fill(0)
    },
  }
}

/** What every use after `close` hears. */
export function closedError(): KmsError {
  return new KmsError('CLOSED', 'the keystore is closed')
}

/** A version as stored, or `VERSION_NOT_FOUND`. */
export function storedVersion(key: LiveKey, version: number): StoredVersion {
  const found = key.stored.versions.find((one) => one.version === version)
  if (found !== undefined) return found
  throw new KmsError('VERSION_NOT_FOUND', `key has no version ${version}: its latest is ${key.latest}`, {
    key: key.stored.slug,
  })
}

export function hasVersion(key: LiveKey, version: number): boolean {
  return key.stored.versions.some((one) => one.version === version)
}

/** Refuses a key that is not {@link capable} or not {@link active}. */
export function usable(key: LiveKey, use: Use, operation: Operation): LiveKey {
  return active(capable(key, use, operation), operation)
}

/** Refuses a key whose type cannot do `operation`: `UNSUPPORTED_OPERATION`, naming what it can do. */
export function capable(key: LiveKey, use: Use, operation: Operation): LiveKey {
  const { uses } = algorithms[key.stored.keyType]
  if (uses.includes(use)) return key
  const able = uses.map((one) => abilities[one]).join(', ')
  const message = `a key of type ${key.stored.keyType} cannot ${operation}: it can ${able}`
  throw new KmsError('UNSUPPORTED_OPERATION', message, { operation, key: key.stored.slug })
}

/** Refuses a key that is disabled or pending deletion: `KEY_NOT_ACTIVE`. */
export function active(key: LiveKey, operation: Operation): LiveKey {
  if (key.stored.status === 'active') return key
  throw new KmsError('KEY_NOT_ACTIVE', `key is ${key.stored.status}: ${remedies[key.stored.status]}`, {
    operation,
    key: key.stored.slug,
  })
}

const abilities: { readonly [U in Use]: string } = {
  encrypt: 'encrypt, decrypt, generateDataKey, reEncrypt',
  sign: 'sign, verify, getPublicKey',
  mac: 'hmac, verifyHmac',
}

const remedies = {
  disabled: 'enable it first',
  pending_deletion: 'cancel its deletion first',
}

function liveKey(stored: StoredKey): LiveKey {
  return { stored, ref: refOf(stored), key: keyOf(stored), latest: latestOf(stored) }
}

function byScope(keys: readonly LiveKey[]): Scopes {
  const scopes = new Map<string | undefined, Map<string | undefined, Map<string, LiveKey>>>()
  for (const key of keys) {
    const { region, project, identity, slug } = key.stored
    const projects = scopes.get(region) ?? new Map<string | undefined, Map<string, LiveKey>>()
    const names = projects.get(project) ?? new Map<string, LiveKey>()
    // An identity starts with kms-, and no slug does: one map holds both.
    scopes.set(region, projects.set(project, names.set(identity, key).set(slug, key)))
  }
  return scopes
}
